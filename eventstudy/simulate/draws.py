"""Draws of pseudo-events, and the count of rejections in every design."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from scipy import special

from eventstudy.config import StudyConfig, Window
from eventstudy.core.abnormal import AbnormalReturns, abnormal_returns
from eventstudy.core.models import fit
from eventstudy.core.statistics import Sample, mean_correlation, residual_correlations, run_tests
from eventstudy.core.windows import Request, cut
from eventstudy.simulate.batches import run_batches
from eventstudy.simulate.plan import BROWN_WARNER_TEST, DAY0, DENSE, PAIRS, REGIME, Plan, planted
from eventstudy.simulate.pseudo_events import Pool, dense_dates, dense_rows, simulated_returns, spacing, uneventful
from eventstudy.simulate.rates import Case, Rate, Simulation

#: (case, test, window) to [draws to which the test applied, rejections, sum of the draws' own targets, sum of
#: their k_eff].
Tally = dict[tuple[Case, str, Window], NDArray[np.float64]]


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
    """Count how often the tests (of ``tests.names``, or all) reject in every design.

    Draws come in batches, see `run_batches`: the counts do not depend on ``jobs``, ``engine`` and ``scheduler``.
    """
    batches = run_batches(
        functools.partial(_run_batch, pool, config, plan),
        draws=plan.draws,
        seed=plan.seed,
        jobs=jobs,
        engine=engine,
        scheduler=scheduler,
        progress=progress,
    )
    counts: Tally = {}
    rbar: list[float] = []
    variance: list[float] = []
    for of_batch, correlations, variances in batches:
        for key, values in of_batch.items():
            counts[key] = counts.get(key, np.zeros(4)) + values
        rbar += correlations
        variance += variances
    rates = tuple(_rate(key, values, plan, pool) for key, values in counts.items())
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


def _run_batch(
    pool: Pool, config: StudyConfig, plan: Plan, task: tuple[int, np.random.SeedSequence]
) -> tuple[Tally, list[float], list[float]]:
    """Return the counts of one batch, and for each draw rbar and the mean residual variance."""
    draws, seed = task
    batch = _Batch(pool, config, plan, draws, np.random.default_rng(seed))
    if plan.has("common", "all_doubled", "common_doubled", "one_date", "fat_tails"):
        rows = draw_dates(pool.eligible(plan.peers), draws, plan.dates, spacing(plan, config), batch.rng)
        columns = batch.peers_on(rows, plan.peers)
        batch.common(rows, columns)
        if plan.has("fat_tails"):
            batch.fat_tails(rows, columns)
    if plan.has("random"):
        batch.random()
    if plan.has("brown_warner"):
        batch.brown_warner()
    if plan.has(*DENSE) and pool.gaps:
        batch.dense()
    return batch.tally, batch.rbar, batch.variance


def draw_dates(
    eligible: NDArray[np.intp], draws: int, dates: int, apart: int, rng: np.random.Generator
) -> NDArray[np.intp]:
    """Draw ``dates`` of the eligible rows for each draw, at least ``apart`` rows from each other.

    Rows are tried in random order. Each kept row excludes at most two of the largest possible set, so with room for
    twice as many dates every order succeeds. Shape (draws, dates).
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


def _shifted(sample: Sample, change: NDArray[np.float64]) -> Sample:
    """Return the sample with ``change`` (broadcast to (N, L2)) added to its event-window returns."""
    abnormal = sample.abnormal
    panel = replace(abnormal.panel, event_returns=abnormal.panel.event_returns + change)
    return replace(sample, abnormal=replace(abnormal, panel=panel))


def _dropped(sample: Sample, effect: float) -> Sample:
    return _shifted(sample, np.where(sample.abnormal.tau == 0, -effect, 0.0))


def _changed(residuals: NDArray[np.float64], design: str, dates: NDArray[np.intp], plan: Plan) -> NDArray[np.float64]:
    """Return the history's residuals, (T, n), changed as in the design."""
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


class _Batch:
    """The draws of one batch in all designs, and their counts."""

    def __init__(self, pool: Pool, config: StudyConfig, plan: Plan, draws: int, rng: np.random.Generator) -> None:
        self.pool, self.config, self.plan, self.draws, self.rng = pool, config, plan, draws, rng
        self.tally: Tally = {}
        self.rbar: list[float] = []
        self.variance: list[float] = []

    def peers_on(self, rows: NDArray[np.intp], peers: int) -> NDArray[np.intp]:
        """Draw ``peers`` of the candidates of each date without replacement: (draws, K) to (draws, K, peers)."""
        candidate = self.pool.candidate[rows]
        return _smallest(np.where(candidate, self.rng.random(candidate.shape), np.inf), peers)

    def samples(
        self,
        pool: Pool,
        rows: NDArray[np.intp],
        columns: NDArray[np.intp],
        correlations: NDArray[np.float64] | None = None,
    ) -> Iterator[Sample]:
        """Cut and fit pseudo-events at ``rows`` (draws, K) and ``columns`` (draws, K, peers); one sample for each
        draw."""
        abnormal = _abnormal(pool, self.config, rows, columns)
        size = len(abnormal) // self.draws
        for draw in range(self.draws):
            own = abnormal.take(np.arange(draw * size, (draw + 1) * size))
            pairs = correlations
            if pairs is None:
                pairs = residual_correlations(own.expected.residuals, own.panel.estimation_sessions)
            yield Sample(
                group="all",
                abnormal=own,
                correlations=pairs,
                weighting=self.config.tests.weights,
                seed=self.plan.seed,
                draws=self.plan.resamples,
            )

    def add(self, case: Case, sample: Sample, windows: tuple[Window, ...]) -> None:
        """Count the draws to which each test applied, and those in which it rejected."""
        for result in run_tests([sample], windows, self.config.tests.names):
            applied = not np.isnan(result.p_value)
            rejected = applied and result.p_value <= self.plan.level * (1 + 1e-12)
            self.count(case, result.name, result.window, applied, rejected, 0.0, result.k_eff if applied else 0.0)

    def count(self, case: Case, test: str, window: Window, *values: float) -> None:
        """Add one draw's numbers, those of a `Tally`."""
        self.tally.setdefault((case, test, window), np.zeros(4))[:] += values

    def with_power(self, design: str, sample: Sample) -> None:
        """Count size in every window, and power in windows with day 0."""
        self.add(Case(design), sample, self.plan.windows)
        seen = tuple(window for window in self.plan.windows if window[0] <= 0 <= window[1])
        for effect in self.plan.effects:
            self.add(Case(design, effect), _dropped(sample, effect), seen)

    def common(self, rows: NDArray[np.intp], columns: NDArray[np.intp]) -> None:
        """Count the designs on common dates; all of them use the same draws."""
        _, dates, peers = columns.shape
        for sample in self.samples(self.pool, rows, columns):
            ar = sample.abnormal.ar
            mean = ar.reshape(dates, peers, -1).mean(axis=1).repeat(peers, axis=0)
            first = np.arange(len(ar)) < peers
            if self.plan.has("common"):
                self.with_power("common", sample)
            changed = {
                "all_doubled": _shifted(sample, ar),
                "common_doubled": _shifted(sample, mean),
                "one_date": sample.take("all", first),
            }
            for design in set(changed).intersection(self.plan.designs):
                self.add(Case(design), changed[design], self.plan.windows)
            self.rbar.append(mean_correlation(sample.correlations[np.ix_(first, first)]))

    def fat_tails(self, rows: NDArray[np.intp], columns: NDArray[np.intp]) -> None:
        """Count common dates on simulated histories, one for each draw."""
        pool = self.repeated(simulated_returns(self.pool, self.draws, self.rng), self.pool.excluded)
        for sample in self.samples(pool, rows, self.own(columns)):
            self.add(Case("fat_tails"), sample, self.plan.windows)

    def repeated(self, returns: NDArray[np.float64], excluded: NDArray[np.bool_]) -> Pool:
        """Return the pool with one history for each draw, side by side: (T, draws n)."""
        side_by_side = (1, self.draws)
        return replace(
            self.pool,
            returns=returns,
            flags=np.tile(self.pool.flags, side_by_side),
            excluded=np.tile(excluded, side_by_side),
        )

    def own(self, columns: NDArray[np.intp]) -> NDArray[np.intp]:
        """Return the columns of each draw's own history in `repeated`."""
        return columns + len(self.pool.tickers) * np.arange(self.draws)[:, None, None]

    def dense(self) -> None:
        """Count rejections on dates as dense as the study's own; each draw has its own history without the events."""
        pool, plan, draws = self.pool, self.plan, self.draws
        rows = dense_dates(dense_rows(pool, plan.peers), pool.gaps, draws, self.rng)
        possible = pool.candidate if pool.possible is None else pool.possible
        # The same peers on all dates of a draw, as in a study, if they have complete windows.
        key = np.broadcast_to(self.rng.random((draws, 1, possible.shape[1])), possible[rows].shape)
        columns = self.own(_smallest(np.where(possible[rows], key, np.inf), plan.peers))
        histories = [uneventful(pool, self.rng) for _ in range(draws)]
        for design in filter(plan.has, DENSE):
            made = [
                expected + _changed(residuals, design, rows[draw], plan)
                for draw, (expected, residuals) in enumerate(histories)
            ]
            changed = self.repeated(np.hstack(made), np.zeros_like(pool.excluded))
            for sample in self.samples(changed, rows, columns):
                self.add(Case(design), sample, plan.windows)
                if plan.effects:
                    self.plant(design, sample)
                if design == "dense":
                    first = np.arange(len(sample.abnormal)) < plan.peers
                    self.rbar.append(mean_correlation(sample.correlations[np.ix_(first, first)]))

    def plant(self, design: str, sample: Sample) -> None:
        """Count power: a drop spread evenly over the days of each window, at every date."""
        tau = sample.abnormal.tau
        for window in self.plan.windows:
            days = (tau >= window[0]) & (tau <= window[1])
            effect = planted(window)
            self.add(Case(design, effect), _shifted(sample, np.where(days, -effect / days.sum(), 0.0)), (window,))

    def random(self) -> None:
        """Count independent firm-events: one random peer on each of the random dates."""
        rows = draw_dates(self.pool.eligible(1), self.draws, self.plan.dates, spacing(self.plan, self.config), self.rng)
        for sample in self.samples(self.pool, rows, self.peers_on(rows, 1)):
            self.with_power("random", sample)

    def brown_warner(self) -> None:
        """Count the one-sided portfolio test on random pairs against Phi(a sqrt(50)/sigma - 1.645).

        Brown and Warner (1985) drew 250 samples of 50 securities, each with its own date. sigma is the root
        mean square of the draw's residual standard deviations.
        """
        pairs = np.argwhere(self.pool.candidate)
        drawn = pairs[self.rng.integers(len(pairs), size=(self.draws, PAIRS))]
        # The portfolio test uses no correlations of pairs.
        unknown = np.full((PAIRS, PAIRS), np.nan)
        for sample in self.samples(self.pool, drawn[:, :, 0], drawn[:, :, 1:], unknown):
            variance = float(sample.abnormal.expected.sigma2.mean())
            self.variance.append(variance)
            for effect in (0.0, *self.plan.effects):
                target = special.ndtr(effect * np.sqrt(PAIRS / variance) + special.ndtri(self.plan.level))
                (result,) = run_tests([_dropped(sample, effect)], [DAY0], [BROWN_WARNER_TEST])
                rejected = result.statistic < 0 and result.p_value <= 2 * self.plan.level
                self.count(Case("brown_warner", effect), BROWN_WARNER_TEST, DAY0, 1.0, rejected, float(target), 0.0)


def _smallest(keys: NDArray[np.float64], count: int) -> NDArray[np.intp]:
    """Columns of the smallest keys along the last axis, in ascending order."""
    chosen: NDArray[np.intp] = np.sort(np.argsort(keys, axis=-1)[..., :count], axis=-1)
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
