"""Draws of pseudo-events, and the count of rejections in every design."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray
from scipy import special

from eventstudy.config import StudyConfig
from eventstudy.core.abnormal import AbnormalReturns, Window, abnormal_returns
from eventstudy.core.models import fit
from eventstudy.core.statistics import Sample, TestResult, mean_correlation, residual_correlations, run_tests
from eventstudy.core.windows import Request, cut
from eventstudy.simulate.plan import BROWN_WARNER_TEST, DAY0, DENSE, PAIRS, REGIME, Plan, planted
from eventstudy.simulate.pseudo_events import Pool, dense_dates, dense_rows, simulated_returns, spacing, uneventful
from eventstudy.simulate.rates import Case, Rate, Simulation
from eventstudy.workers import run_blocks

#: Draws that are cut and fitted at once; each such batch has a stream of random numbers of its own.
BATCH = 20
#: (case, test, window) to [draws to which the test applied, rejections, sum of the draws' own targets, sum
#: of what their dates are worth].
Tally = dict[tuple[Case, str, Window], NDArray[np.float64]]


@dataclass(frozen=True, slots=True)
class _Batch:
    """Tallies of one batch, and for each draw rbar and the mean residual variance."""

    tally: Tally = field(default_factory=dict)
    rbar: list[float] = field(default_factory=list)
    variance: list[float] = field(default_factory=list)

    def add(self, case: Case, test: str, window: Window, counts: Sequence[float]) -> None:
        self.tally.setdefault((case, test, window), np.zeros(4))[:] += counts


def simulate(
    pool: Pool,
    config: StudyConfig,
    plan: Plan,
    *,
    jobs: int = 1,
    engine: str = "local",
    scheduler: str = "",
    progress: Callable[[int, int], None] | None = None,
) -> Simulation:
    """Count how often the tests reject, in every design: those of ``tests.names``, or all.

    Draws come in batches with spawned seeds, so the counts do not depend on ``jobs``, ``engine`` and
    ``scheduler``, those of `run_blocks`. ``progress`` is called with the draws done and all draws.
    """
    sizes = [min(BATCH, plan.draws - done) for done in range(0, plan.draws, BATCH)]
    tasks = list(zip(sizes, np.random.SeedSequence(plan.seed).spawn(len(sizes)), strict=True))
    tally: Tally = {}
    rbar: list[float] = []
    variance: list[float] = []
    batches = run_blocks(
        functools.partial(_run_batch, pool, config, plan),
        tasks,
        jobs=jobs,
        engine=engine,
        scheduler=scheduler,
        progress=progress and (lambda done, _: progress(min(done * BATCH, plan.draws), plan.draws)),
    )
    for batch in batches:
        for key, counts in batch.tally.items():
            tally[key] = tally.get(key, np.zeros(4)) + counts
        rbar += batch.rbar
        variance += batch.variance
    rates = tuple(_rate(key, counts, plan, pool) for key, counts in tally.items())
    sigma = float(np.sqrt(np.mean(variance))) if variance else float("nan")
    return Simulation(plan, pool, rates, float(np.mean(rbar)) if rbar else float("nan"), sigma)


def _rate(key: tuple[Case, str, Window], counts: NDArray[np.float64], plan: Plan, pool: Pool) -> Rate:
    case, test, window = key
    applied = int(counts[0])
    target = float("nan") if case.effect else plan.level
    if case.design == "brown_warner":
        n_events = n_dates = PAIRS
        target = float(counts[2]) / applied
    else:
        dense = len(pool.gaps) + 1 if case.design in DENSE else plan.dates
        n_dates = 1 if case.design == "one_date" else dense
        n_events = n_dates * (1 if case.design == "random" else plan.peers)
    return Rate(
        case=case,
        test=test,
        window=window,
        n_draws=applied,
        n_rejected=int(counts[1]),
        target=target,
        n_events=n_events,
        n_dates=n_dates,
        k_eff=float(counts[3]) / applied if applied else float("nan"),
    )


def _run_batch(pool: Pool, config: StudyConfig, plan: Plan, task: tuple[int, np.random.SeedSequence]) -> _Batch:
    draws, seed = task
    rng = np.random.default_rng(seed)
    batch = _Batch()
    if plan.has("common", "all_doubled", "common_doubled", "one_date", "fat_tails"):
        rows = draw_dates(pool.eligible(plan.peers), draws, plan.dates, spacing(plan, config), rng)
        columns = _draw_peers(pool.candidate[rows], plan.peers, rng)
        _common(batch, pool, config, plan, rows, columns)
        if plan.has("fat_tails"):
            _fat_tails(batch, pool, config, plan, rows, columns, rng)
    if plan.has("random"):
        _random(batch, pool, config, plan, draws, rng)
    if plan.has("brown_warner"):
        _brown_warner(batch, pool, config, plan, draws, rng)
    if plan.has(*DENSE) and pool.gaps:
        _dense(batch, pool, config, plan, draws, rng)
    return batch


def draw_dates(
    eligible: NDArray[np.intp], draws: int, dates: int, apart: int, rng: np.random.Generator
) -> NDArray[np.intp]:
    """Draw ``dates`` of the eligible rows for each draw, at least ``apart`` rows from each other.

    Rows are tried in random order. One that is kept rules out at most two of the largest possible
    set, so that with room for twice as many dates every order succeeds. Shape (draws, dates).
    """
    drawn = np.empty((draws, dates), dtype=np.intp)
    for draw in range(draws):
        open_ = np.ones(len(eligible), dtype=bool)
        order = rng.permutation(len(eligible))
        for date in range(dates):
            at = eligible[order[open_[order]][0]]
            open_ &= np.abs(eligible - at) >= apart
            drawn[draw, date] = at
    return drawn


def _draw_peers(candidate: NDArray[np.bool_], peers: int, rng: np.random.Generator) -> NDArray[np.intp]:
    """Draw ``peers`` of the candidates of each date without replacement: (..., n) to (..., peers)."""
    key = np.where(candidate, rng.random(candidate.shape), np.inf)
    chosen: NDArray[np.intp] = np.sort(np.argsort(key, axis=-1)[..., :peers], axis=-1)
    return chosen


def _abnormal(pool: Pool, config: StudyConfig, rows: NDArray[np.intp], columns: NDArray[np.intp]) -> AbnormalReturns:
    """Cut and fit pseudo-events at ``rows`` (draws, dates) and ``columns`` (draws, dates, peers)."""
    at = np.broadcast_to(rows[:, :, None], columns.shape).ravel().tolist()
    dates = np.broadcast_to(np.arange(columns.shape[1])[:, None], columns.shape).ravel().tolist()
    names, region = pool.tickers, pool.region
    requests = [
        Request(
            event_id=f"D{date}",
            shock_id=f"D{date}",
            ticker=names[column % len(names)],
            market=region,
            region=region,
            position=row,
            column=column,
        )
        for date, row, column in zip(dates, at, columns.ravel().tolist(), strict=True)
    ]
    panel = cut(
        requests,
        pool.returns,
        pool.market_return[:, None],
        pool.sessions.astype("datetime64[D]").astype(np.int32),
        pool.flags,
        pool.excluded,
        estimation=config.windows.estimation,
        event=config.windows.event,
    )
    expected = fit(panel, config.model.name, settings=config.model)
    return abnormal_returns(panel, expected, alpha=config.model.alpha)


def _samples(abnormal: AbnormalReturns, draws: int, config: StudyConfig, plan: Plan) -> Iterator[Sample]:
    """Yield one sample for each draw of a batch."""
    size = len(abnormal) // draws
    for draw in range(draws):
        mine = abnormal.take(np.arange(draw * size, (draw + 1) * size))
        correlations = residual_correlations(mine.expected.residuals, mine.panel.estimation_sessions)
        yield Sample(
            group="all",
            abnormal=mine,
            correlations=correlations,
            weighting=config.tests.weights,
            seed=plan.seed,
            draws=plan.resamples,
        )


def _shifted(sample: Sample, change: NDArray[np.float64]) -> Sample:
    """Return the sample with ``change`` (broadcast to (N, L2)) added to its event-window returns."""
    abnormal = sample.abnormal
    panel = replace(abnormal.panel, event_returns=abnormal.panel.event_returns + change)
    return replace(sample, abnormal=replace(abnormal, panel=panel))


def _dropped(sample: Sample, effect: float) -> Sample:
    return _shifted(sample, np.where(sample.abnormal.tau == 0, -effect, 0.0))


def _tally(batch: _Batch, case: Case, sample: Sample, config: StudyConfig, plan: Plan) -> None:
    windows = [w for w in plan.windows if not case.effect or w[0] <= 0 <= w[1]]
    for result in run_tests([sample], windows, config.tests.names):
        _count(batch, case, result, plan)


def _count(batch: _Batch, case: Case, result: TestResult, plan: Plan) -> None:
    applied = not np.isnan(result.p_value)
    rejected = applied and result.p_value <= plan.level * (1 + 1e-12)
    worth = result.k_eff if applied else 0.0
    batch.add(case, result.name, result.window, (applied, rejected, 0.0, worth))


def _with_power(batch: _Batch, design: str, sample: Sample, config: StudyConfig, plan: Plan) -> None:
    _tally(batch, Case(design), sample, config, plan)
    for effect in plan.effects:
        _tally(batch, Case(design, effect), _dropped(sample, effect), config, plan)


def _common(
    batch: _Batch, pool: Pool, config: StudyConfig, plan: Plan, rows: NDArray[np.intp], columns: NDArray[np.intp]
) -> None:
    """Tally the designs on common dates; all of them use the same draws."""
    draws, dates, peers = columns.shape
    for sample in _samples(_abnormal(pool, config, rows, columns), draws, config, plan):
        ar = sample.abnormal.ar
        mean = ar.reshape(dates, peers, -1).mean(axis=1).repeat(peers, axis=0)
        first = np.arange(len(ar)) < peers
        if plan.has("common"):
            _with_power(batch, "common", sample, config, plan)
        changed = {
            "all_doubled": _shifted(sample, ar),
            "common_doubled": _shifted(sample, mean),
            "one_date": sample.take("all", first),
        }
        for design in set(changed).intersection(plan.designs):
            _tally(batch, Case(design), changed[design], config, plan)
        batch.rbar.append(mean_correlation(sample.correlations[np.ix_(first, first)]))


def _fat_tails(
    batch: _Batch,
    pool: Pool,
    config: StudyConfig,
    plan: Plan,
    rows: NDArray[np.intp],
    columns: NDArray[np.intp],
    rng: np.random.Generator,
) -> None:
    """Tally common dates on simulated histories, one for each draw of the batch."""
    draws, n = len(rows), len(pool.tickers)
    simulated = replace(
        pool,
        returns=simulated_returns(pool, draws, rng),
        flags=np.tile(pool.flags, (1, draws)),
        excluded=np.tile(pool.excluded, (1, draws)),
    )
    own = columns + n * np.arange(draws)[:, None, None]
    for sample in _samples(_abnormal(simulated, config, rows, own), draws, config, plan):
        _tally(batch, Case("fat_tails"), sample, config, plan)


def _dense(batch: _Batch, pool: Pool, config: StudyConfig, plan: Plan, draws: int, rng: np.random.Generator) -> None:
    """Tally dates as dense as the study's own, each draw on a history of its own without the events."""
    rows = dense_dates(dense_rows(pool, plan.peers), pool.gaps, draws, rng)
    possible = pool.candidate if pool.possible is None else pool.possible
    # The same peers on all dates of a draw, as a study has them, as far as they have their windows.
    key = np.broadcast_to(rng.random((draws, 1, possible.shape[1])), possible[rows].shape)
    key = np.where(possible[rows], key, np.inf)
    columns = np.sort(np.argsort(key, axis=-1)[..., : plan.peers], axis=-1)
    histories = [uneventful(pool, rng) for _ in range(draws)]
    own = columns + possible.shape[1] * np.arange(draws)[:, None, None]
    for design in DENSE:
        if not plan.has(design):
            continue
        made = [
            expected + _changed(residuals, design, rows[draw], plan)
            for draw, (expected, residuals) in enumerate(histories)
        ]
        changed = replace(
            pool,
            returns=np.hstack(made),
            flags=np.tile(pool.flags, (1, draws)),
            excluded=np.zeros((len(pool.sessions), draws * possible.shape[1]), dtype=bool),
        )
        for sample in _samples(_abnormal(changed, config, rows, own), draws, config, plan):
            _tally(batch, Case(design), sample, config, plan)
            if plan.effects:
                _plant(batch, design, sample, config, plan)
            if design == "dense":
                first = np.arange(len(sample.abnormal)) < plan.peers
                batch.rbar.append(mean_correlation(sample.correlations[np.ix_(first, first)]))


def _changed(residuals: NDArray[np.float64], design: str, dates: NDArray[np.intp], plan: Plan) -> NDArray[np.float64]:
    """Return the history's residuals, (T, n), as the design has them."""
    days = np.arange(len(residuals))
    if design == "dense_regime":
        return residuals * np.where(days >= dates[len(dates) // 2], REGIME, 1.0)[:, None]
    if design == "dense_doubled":
        first, last = (f(day for window in plan.windows for day in (0, *window)) for f in (min, max))
        tested = ((days[:, None] >= dates + first) & (days[:, None] <= dates + last)).any(axis=1)
        there = np.isfinite(residuals)
        mean = np.where(there, residuals, 0.0).sum(axis=1) / np.maximum(there.sum(axis=1), 1)
        return residuals + np.where(tested, mean, 0.0)[:, None]
    return residuals


def _plant(batch: _Batch, design: str, sample: Sample, config: StudyConfig, plan: Plan) -> None:
    """Tally power: a drop spread evenly over the days of each window, at every date."""
    tau = sample.abnormal.tau
    for window in plan.windows:
        inside = (tau >= window[0]) & (tau <= window[1])
        effect = planted(window)
        fallen = _shifted(sample, np.where(inside, -effect / inside.sum(), 0.0))
        for result in run_tests([fallen], [window], config.tests.names):
            _count(batch, Case(design, effect), result, plan)


def _random(batch: _Batch, pool: Pool, config: StudyConfig, plan: Plan, draws: int, rng: np.random.Generator) -> None:
    """Tally independent firm-events: one random peer on each of the random dates."""
    rows = draw_dates(pool.eligible(1), draws, plan.dates, spacing(plan, config), rng)
    columns = _draw_peers(pool.candidate[rows], 1, rng)
    for sample in _samples(_abnormal(pool, config, rows, columns), draws, config, plan):
        _with_power(batch, "random", sample, config, plan)


def _brown_warner(
    batch: _Batch, pool: Pool, config: StudyConfig, plan: Plan, draws: int, rng: np.random.Generator
) -> None:
    """Tally the one-sided portfolio test on random pairs against Phi(a sqrt(50)/sigma - 1.645).

    Brown and Warner (1985) drew 250 samples of 50 securities, each with its own date. sigma is the root
    mean square of the draw's residual standard deviations.
    """
    where = np.argwhere(pool.candidate)
    chosen = where[rng.integers(len(where), size=(draws, PAIRS))]
    abnormal = _abnormal(pool, config, chosen[:, :, 0], chosen[:, :, 1:])
    # The portfolio test uses no correlations of pairs.
    unknown = np.full((PAIRS, PAIRS), np.nan)
    for draw in range(draws):
        mine = abnormal.take(np.arange(draw * PAIRS, (draw + 1) * PAIRS))
        sample = Sample(
            group="all",
            abnormal=mine,
            correlations=unknown,
            weighting=config.tests.weights,
            seed=plan.seed,
            draws=plan.resamples,
        )
        variance = float(mine.expected.sigma2.mean())
        batch.variance.append(variance)
        for effect in (0.0, *plan.effects):
            target = special.ndtr(effect * np.sqrt(PAIRS / variance) + special.ndtri(plan.level))
            (result,) = run_tests([_dropped(sample, effect)], [DAY0], [BROWN_WARNER_TEST])
            rejected = result.statistic < 0 and result.p_value <= 2 * plan.level
            batch.add(Case("brown_warner", effect), BROWN_WARNER_TEST, DAY0, (1.0, float(rejected), float(target), 0.0))
