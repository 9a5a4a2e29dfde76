"""The excess of page 1 by other estimators and other definitions."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy import special

from eventstudy.config import StudyConfig, Window
from eventstudy.core.abnormal import ShockPortfolios
from eventstudy.core.arrays import Bools, Counts, Floats, Places
from eventstudy.core.statistics.dates import t_interval
from eventstudy.errors import EstimationError, EventStudyError, Reason
from eventstudy.reversal.drops import mean_by_day, recent_deviation
from eventstudy.reversal.estimator import FEWEST_CONTROLS, FEWEST_WEEKS, Falls, clusters, outcome, traits_of, usable
from eventstudy.reversal.history import History, PeerDay, as_kind
from eventstudy.reversal.matching import MatchedSets, matched_sets
from eventstudy.reversal.measures import NO_NOTE, Measure, mean_measure, span
from eventstudy.reversal.permutation import ENUMERATED, date_sets, excess, sets_test
from eventstudy.reversal.question import Shocks

NAN = float("nan")
#: Largest number of steps of Newton's method, and tolerance of the weighted means.
STEPS, NEAR = 50, 1e-9
#: Largest missing share of the estimation window of a donor; the post window must be complete.
MOST_MISSING = 0.1
#: Number of days whose donors are cut at a time, and number of random numbers at a time.
DAYS, BLOCK = 400, 2_000_000
MODELS = ("market", "market_adjusted", "mean_adjusted")
POST_WINDOWS: tuple[Window, ...] = ((2, 5), (2, 10), (2, 20))
DRAWS = 1_999
#: CARs of the dates in question, (D,), and those of each date's placebos.
DateSets = tuple[Floats, list[Floats]]


def robustness(shocks: Shocks, group: str, gaps: Gaps | Reason, config: StudyConfig) -> Iterator[Measure]:
    """Yield the mean excess of one kind of drops by each estimator."""
    falls, mask = shocks.comparison, shocks.counted[group]
    dates = len(np.unique(shocks.drops.day0[mask]))
    found = falls.excess(mask)
    name = "rank" if found.rank else "regression"
    note = Reason(f"note.by_{name}", p=found.p_greater, floor=found.p_floor, n=found.n_controls)
    row = Measure(measure="excess_regression", group=group, n_dates=dates, estimate=found.effect, lower=found.lower)
    yield replace(row, upper=found.upper, p_value=found.p_value, note=found.reason or note)
    effect, low, high, p = weighted(falls.of(mask))
    note = Reason("note.by_weights" if np.isfinite(effect) else "note.no_weights")
    row = Measure(measure="excess_weighted", group=group, n_dates=dates, estimate=effect, lower=low)
    yield replace(row, upper=high, p_value=p, note=note)
    yield replace(_by_days(shocks, group, config), n_dates=dates)
    yield _by_sets(shocks, group, config)
    yield by_synthetic(shocks, group, gaps, config)


def _by_days(shocks: Shocks, group: str, config: StudyConfig) -> Measure:
    """Return the calendar-time alpha of the drops over their post windows, times the length of the window.

    Notes
    -----
    Jaffe (1974), Mandelker (1974): on each calendar day d the mean a_d of the abnormal returns of all shocks whose
    post window contains it, each the weighted mean of its peers. The alpha is the mean of a_d over the D days, its
    standard error s(a_d) / sqrt(D), t(D - 1). Days have equal weights, and no control return is subtracted.
    """
    portfolios, (first, last) = shocks.portfolios, config.windows.post
    abnormal, members = portfolios.abnormal, portfolios.members
    days = (abnormal.tau >= first) & (abnormal.tau <= last)
    sizes = np.diff(np.append(portfolios.starts, len(members)))
    weight = np.repeat(portfolios.peer_weights(config.windows.post)[:, None], int(days.sum()), axis=1)
    ar, day = abnormal.ar[members][:, days], abnormal.panel.event_sessions[members][:, days]
    shock = np.broadcast_to(np.repeat(np.arange(len(portfolios)), sizes)[:, None], ar.shape)
    used = (weight > 0) & np.isfinite(ar) & np.isin(shock, np.flatnonzero(shocks.counted[group]))
    pairs, at = np.unique(np.column_stack([shock[used], day[used]]), axis=0, return_inverse=True)
    value = np.bincount(at.ravel(), weight[used] * ar[used]) / np.bincount(at.ravel(), weight[used])
    number = np.unique(pairs[:, 1], return_inverse=True)[1]
    alpha = (last - first + 1) * np.bincount(number, value) / np.bincount(number) if len(value) else np.zeros(0)
    return mean_measure("calendar_time_alpha", group, alpha, note=Reason("note.by_days", n=len(alpha)))


def _by_sets(shocks: Shocks, group: str, config: StudyConfig) -> Measure:
    """Return the mean over matched sets and the p-value of their permutation."""
    mask, drops = shocks.members[group], shocks.drops
    x, sets = shocks.by_date(shocks.excess, mask), [shocks.benchmarks.placebos(int(k)) for k in np.flatnonzero(mask)]
    _, test = sets_test(drops.day0[mask], drops.post[mask], sets, draws=config.tests.draws, seed=config.study.seed)
    note = Reason("note.by_matched", p=test.greater, floor=test.floor) if len(x) else NO_NOTE
    return replace(mean_measure("excess_matched", group, x, note=note), p_value=test.two_sided)


def weighted(falls: Falls, *, level: float = 0.05) -> tuple[float, float, float, float]:
    """Mean excess over controls with entropy weights, its interval and p; NaN if no weights make the means equal.

    Notes
    -----
    Hainmueller (2012): w maximises the entropy -sum w log w under sum w = 1 and equal means of drops and weighted
    controls in the characteristics of the regression: shares of the strata, S and run-up. With z as in the regression,

        effect = (mean z_event - sum w_j z_j) / mean(1 / (m_i sqrt(L))),

    its variance the sum over clusters, those of the regression, of the squared sums of a_i (z_i - own side's mean),
    a_i = 1/N for drops and -w_i for controls; t with K - 1 degrees of freedom, K the weeks. NaN below three weeks.
    """
    falls = falls.take(usable(falls))
    event, weeks = falls.event, len(np.unique(falls.week[falls.event]))
    if weeks < FEWEST_WEEKS:
        return NAN, NAN, NAN, NAN
    x = traits_of(falls)
    w = entropy_weights(x[~event], x[event].mean(axis=0))
    if w is None:
        return NAN, NAN, NAN, NAN
    z, share = outcome(falls), np.zeros(len(falls))
    share[event], share[~event] = 1.0 / event.sum(), -w
    about = z - np.where(event, z[event].mean(), w @ z[~event])
    of_cluster = np.bincount(np.unique(clusters(falls), return_inverse=True)[1], share * about)
    unit = float((1.0 / falls.scale()[event]).mean())
    effect, se = float(share @ z) / unit, float(np.sqrt((of_cluster**2).sum())) / unit
    half = float(special.stdtrit(weeks - 1, 1 - level / 2)) * se
    return effect, effect - half, effect + half, float(2 * special.stdtr(weeks - 1, -abs(effect / se)))


def entropy_weights(x: NDArray[np.float64], target: NDArray[np.float64]) -> NDArray[np.float64] | None:
    """Entropy weights (N,) for which the columns of ``x`` (N, p) have the given means; None if there are none."""
    spread = x.std(axis=0)
    c = (x - target) / np.where(spread > 0, spread, 1.0)
    slope = np.zeros(c.shape[1])
    value = special.logsumexp(-c @ slope)
    for _ in range(STEPS):
        w = special.softmax(-c @ slope)
        mean = w @ c
        if np.abs(mean).max() < NEAR:
            return np.asarray(w, dtype=np.float64)
        step = np.linalg.pinv((c * w[:, None]).T @ c - np.outer(mean, mean), hermitian=True) @ mean
        size = 1.0
        while (new := special.logsumexp(-c @ (slope + size * step))) > value - 1e-4 * size * (
            step @ mean
        ) and size > NEAR:
            size /= 2
        slope, value = slope + size * step, new
    return None


@dataclass(frozen=True, slots=True)
class Gaps:
    """Peers minus their synthetic controls over the post window, by row of the study's comparison, (N,).

    ``scale`` is the standard deviation of such a gap, from the mean of two daily ones as in the regression: that of the
    estimation window and the exponentially weighted one at the close of the drop. NaN if no donor has the days.
    """

    gap: Floats
    scale: Floats
    n_donors: int


def synthetic_gaps(shocks: Shocks) -> Gaps | Reason:
    """Return the gaps of all drops and controls to their weighted donors, or a reason if no donors are named.

    Notes
    -----
    Goldsmith-Pinkham and Lyu (2025): R_0t are returns of the peers' portfolio and R_jt of the donors in event time. The
    weights w minimise sum_t (R_0t - sum_j w_j R_jt)^2 over the estimation window, w_j >= 0 and sum_j w_j = 1 (Abadie,
    Diamond and Hainmueller 2010), and the gap is sum_t (R_0t - sum_j w_j R_jt) over the post window. No index and no
    factor enters. Day 0 of a donor is its first session on or after that of the first peer.
    """
    history, comparison = shocks.history, shocks.comparison
    named = set(history.config.reversal.donors)
    listed = {ticker for market in history.panel.markets.values() for ticker in market.tickers}
    meant = (p.ticker for p in history.config.peers if named & {p.ticker, p.group, *p.aliases})
    donors = tuple(ticker for ticker in meant if ticker in listed)
    if not donors:
        return Reason("note.no_donors")
    gap, scale = np.full((2, len(comparison.shock)), np.nan)
    for stratum in np.unique(comparison.falls.stratum).tolist():
        rows, peers = np.flatnonzero(comparison.falls.stratum == stratum), comparison.peers[stratum]
        outside = tuple(name for name in donors if name not in peers)
        for some in np.array_split(rows, -(-len(rows) // DAYS)) if outside else ():
            own = _own_paths(shocks, peers, some)
            others = _donor_paths(history, outside, comparison.day[some])
            for row, path, around in zip(some.tolist(), own, others, strict=True):
                gap[row], scale[row] = gap_of(path, around, history.config)
    return Gaps(gap, scale, len(donors))


def _own_paths(shocks: Shocks, peers: tuple[str, ...], rows: Places) -> Floats:
    """Returns of the peers' portfolio in event time of each of these rows, (R, L1 + L2)."""
    comparison, history = shocks.comparison, shocks.history
    names = [str(shocks.drops.shock_id[k]) if k >= 0 else "" for k in comparison.shock[rows]]
    names = [name or f"{day:06d}" for name, day in zip(names, comparison.day[rows].tolist(), strict=True)]
    wanted = [PeerDay(f"{day:06d}", peers, day) for day in comparison.day[rows[comparison.shock[rows] < 0]].tolist()]
    formed = [shocks.portfolios]
    if wanted:
        formed.append(history.portfolios(history.fits(history.requests(wanted))))
    paths: dict[str, Floats] = {}
    for portfolios in formed:
        paths.update(zip(portfolios.shock_id.tolist(), _paths(portfolios, history.config), strict=True))
    return np.array([paths[name] for name in names])


def _paths(portfolios: ShockPortfolios, config: StudyConfig) -> Floats:
    """Returns of each portfolio over the days of both windows, with its weights of the post window, (K, L1 + L2)."""
    panel = portfolios.abnormal.panel
    returns = np.concatenate([panel.estimation_returns, panel.event_returns], axis=1)[portfolios.members]
    return mean_by_day(portfolios, portfolios.peer_weights(config.windows.post), returns)


def _donor_paths(history: History, donors: tuple[str, ...], days: Counts) -> Floats:
    """Returns of donors in event time around each of R days, (R, J, L1 + L2)."""
    windows = history.config.windows
    length = windows.event[1] - windows.event[0] + 1
    panel = history.fits(history.requests([PeerDay(str(n), donors, int(day)) for n, day in enumerate(days)])).panel
    returns = np.concatenate([panel.estimation_returns, panel.event_returns[:, :length]], axis=1)
    paths = np.full((len(days), len(donors), returns.shape[1]), np.nan)
    paths[panel.shock_id.astype(np.intp), [donors.index(name) for name in panel.ticker.tolist()]] = returns
    return paths


def gap_of(own: Floats, donors: Floats, config: StudyConfig) -> tuple[float, float]:
    """Gap over the post window and its scale, of a path (L1 + L2,) and those of J donors, (J, L1 + L2)."""
    windows = config.windows
    first = len(own) - (windows.event[1] - windows.post[0] + 1)
    post, before = slice(first, first + windows.post[1] - windows.post[0] + 1), np.arange(len(own))
    before = before[(before < len(own) - (windows.event[1] - windows.event[0] + 1)) & np.isfinite(own)]
    known = np.isfinite(donors)
    whole = donors[known[:, post].all(axis=1) & (known[:, before].mean(axis=1) >= 1 - MOST_MISSING)]
    days = before[np.isfinite(whole[:, before]).all(axis=0)]
    if not len(whole) or len(days) < windows.minimum or not np.isfinite(own[post]).all():
        return np.nan, np.nan
    weight = donor_weights(own[days], whole[:, days].T)
    daily = own - weight @ whole
    # Windows that end with the last day of the drop.
    recent = recent_deviation(daily[None, : first - (windows.post[0] - windows.drop[1] - 1)])[0]
    deviation = (np.sqrt((daily[days] ** 2).mean()) + recent) / 2
    return float(daily[post].sum()), float(deviation * np.sqrt(post.stop - post.start))


def donor_weights(own: Floats, donors: Floats) -> Floats:
    """Non-negative weights (J,) with sum one that minimise the distance of ``donors`` (T, J) to ``own`` (T,).

    Notes
    -----
    As sum w = 1, own - donors w = Z w with Z = own - donors. For v with sum s, |Z v|^2 + (1 - s)^2 is smallest in the
    direction of the solution w for every s, so one non-negative least squares fit gives it exactly.
    """
    # Imported here because it loads slowly and most studies name no donors.
    from scipy.optimize import nnls

    gap = own[:, None] - donors
    spread = np.sqrt((gap**2).mean()) or 1.0
    stacked = np.vstack([gap / spread, np.ones(donors.shape[1])])
    found = nnls(stacked, np.append(np.zeros(len(own)), 1.0))[0]
    return np.asarray(found / found.sum())


@dataclass(frozen=True, slots=True)
class Stratum:
    """Exchangeable drops and controls: standardised gaps, (n,), drops first, one for each week.

    ``cluster`` (n,) is the slide of each, ``share`` the weights of the drops.
    """

    z: Floats
    cluster: Counts
    share: Floats


def by_synthetic(shocks: Shocks, group: str, gaps: Gaps | Reason, config: StudyConfig) -> Measure:
    """Return the mean gap of one kind of drops minus that of their controls, with its p among controls.

    Notes
    -----
    With z the standardised gap, T is the mean z over the weeks of the drops minus the mean z of the controls. Its
    two-sided p is the share of random choices of other falls of the same strata, at most one from each slide, with
    |T*| >= |T|; the remaining falls are then the controls. Falls share days, donors and peers, so correlation across
    securities does not affect the level.
    """
    comparison, counted = shocks.comparison, shocks.counted[group]
    if isinstance(gaps, Reason) or not counted.any():
        return Measure(measure="excess_synthetic", group=group, note=gaps if isinstance(gaps, Reason) else NO_NOTE)
    falls, known = comparison.falls, np.isfinite(gaps.gap) & (gaps.scale > 0)
    events = np.flatnonzero((comparison.shock >= 0) & counted[comparison.shock] & known)
    placed = [(own, rest) for own, rest in _placed(shocks, events, known) if len(rest) >= FEWEST_CONTROLS]
    if not placed:
        return Measure(measure="excess_synthetic", group=group, note=Reason("note.no_synthetic"))
    every = np.concatenate([own for own, _ in placed])
    weeks, sizes = np.unique(falls.week[every], return_counts=True)
    strata, effect = [], 0.0
    for own, rest in placed:
        rows, n = np.concatenate([own, rest]), len(own)
        z, cluster = gaps.gap[rows] / gaps.scale[rows], clusters(falls.take(rows))
        share = 1.0 / (len(weeks) * sizes[np.searchsorted(weeks, falls.week[own])])
        effect += float(share @ (gaps.gap[own] - gaps.scale[own] * z[n:].mean()))
        week, at = np.unique(cluster[:n], return_inverse=True)
        shares: Floats = np.bincount(at, share).astype(np.float64)
        mean = np.bincount(at, share * z[:n]) / shares
        strata.append(Stratum(np.append(mean, z[n:]), np.append(week, cluster[n:]), shares))
    p, draws = placebo_p(strata, draws=config.tests.draws, seed=config.study.seed), config.tests.draws
    dates = len(np.unique(shocks.drops.day0[comparison.shock[every]]))
    note = Reason("note.by_synthetic", n=gaps.n_donors, floor=1 / (1 + draws))
    return Measure(measure="excess_synthetic", group=group, estimate=effect, p_value=p, n_dates=dates, note=note)


def _placed(shocks: Shocks, events: Places, known: Bools) -> Iterator[tuple[Places, Places]]:
    """Yield the drops of each stratum with its controls; each drop separately if controls must be over before it."""
    comparison = shocks.comparison
    falls, control = comparison.falls, known & (comparison.shock < 0)
    for name in np.unique(falls.stratum[events]).tolist():
        own = events[falls.stratum[events] == name]
        for some in own[:, None] if comparison.lead else [own]:
            past = falls.session + comparison.lead <= falls.session[some].min() if comparison.lead else True
            yield some, np.flatnonzero(control & (falls.stratum == name) & past)


def placebo_p(strata: Sequence[Stratum], *, draws: int, seed: int) -> float:
    """Two-sided p of the sum over strata of weighted z of the drops minus the mean z of the controls."""
    rng = np.random.default_rng(seed)
    found, others = 0.0, np.zeros(draws)
    for own in strata:
        k = len(own.share)
        found += float(own.share @ (own.z[:k] - own.z[k:].mean()))
        step = max(1, BLOCK // len(own.z))
        for first in range(0, draws, step):
            others[first : first + step] += _drawn(own, min(step, draws - first), rng)
    return float(1 + (np.abs(others) >= abs(found) * (1 - 1e-12)).sum()) / (1 + draws)


def _drawn(own: Stratum, draws: int, rng: np.random.Generator) -> Floats:
    """T* of random choices, (draws,): falls in random order, the first of each cluster, as many as there are drops."""
    order: Places = np.argsort(own.cluster, kind="stable")
    z, k = own.z[order], len(own.share)
    starts = np.flatnonzero(np.diff(own.cluster[order], prepend=-1))
    keys = rng.random((draws, len(z)))
    best = np.maximum.reduceat(keys, starts, axis=1)
    sizes = np.diff(np.append(starts, len(z)))
    value = np.add.reduceat(z * (keys == np.repeat(best, sizes, axis=1)), starts, axis=1)
    chosen = np.argsort(-best, axis=1)[:, :k]
    total, count = np.add.reduceat(z, starts)[chosen].sum(axis=1), sizes[chosen].sum(axis=1)
    rest = (z.sum() - total) / np.maximum(len(z) - count, 1)
    drawn: Floats = np.take_along_axis(value, chosen, axis=1) @ own.share[: chosen.shape[1]] - rest * own.share.sum()
    return drawn


@dataclass(frozen=True, slots=True, kw_only=True)
class Specification:
    """Mean excess of the drops in question by one specification, with its 95 % t interval over dates.

    ``joint_p`` is the same for all: the share of permutations within the matched sets under which the
    median over the specifications is as far from zero as observed.
    """

    window: str
    model: str
    returns: str
    alpha: str
    estimate: float
    lower: float
    upper: float
    n_dates: int
    median: float
    share_positive: float
    joint_p: float


def specification_curve(shocks: Shocks, config: StudyConfig) -> list[Specification]:
    """Measure windows × models × returns × intercepts on the same shocks and control dates.

    Notes
    -----
    Simonsohn, Simmons and Nelson (2020): the median over specifications is tested by permuting once,
    which member of a matched set is the event, for all specifications together, so that their dependence is preserved.
    Intercepts differ only for models that have one.
    """
    if shocks.sets is None or not shocks.asked.any():
        return []
    rows: list[tuple[Window, str, str, str]] = []
    sets: list[DateSets] = []
    for model in MODELS:
        for kind in ("simple", "log"):
            for alpha in ("auto", "estimated") if model == "market" else ("auto",):
                formed = _formed(shocks, config, model, kind, alpha)
                if formed is not None:
                    rows += [(window, model, kind, alpha) for window in POST_WINDOWS]
                    sets += [_asked(shocks, formed, window) for window in POST_WINDOWS]
    if not sets:
        raise EstimationError("no model of the curve can be fitted to the placebo dates")
    over = [excess(events, [values[np.isfinite(values)] for values in placebos]) for events, placebos in sets]
    means = np.array([np.nanmean(values) for values in over])
    ends = [t_interval(values[np.isfinite(values)]) for values in over]
    median, p = float(np.median(means)), _joint_p(sets, config.study.seed)
    share = float((means > 0).mean())
    return [
        Specification(
            window=span(window),
            model=model,
            returns=kind,
            alpha=alpha,
            estimate=float(mean),
            lower=low,
            upper=high,
            n_dates=len(pair[0]),
            median=median,
            share_positive=share,
            joint_p=p,
        )
        for (window, model, kind, alpha), mean, (low, high), pair in zip(rows, means, ends, sets, strict=True)
    ]


def _formed(shocks: Shocks, config: StudyConfig, model: str, kind: str, alpha: str) -> MatchedSets | None:
    """Portfolios of shocks and control drops with other settings; None if the model cannot be fitted."""
    config = replace(config, model=replace(config.model, name=model, alpha=alpha))  # type: ignore[arg-type]
    panel = as_kind(shocks.history.panel, kind, config.model)
    history, days = replace(shocks.history, config=config, panel=panel), shocks.benchmarks.days_of(shocks.asked)
    try:
        return matched_sets(history, shocks.requests, shocks.drops.shock_id, shocks.tickers, days)
    except EventStudyError:
        return None


def _asked(shocks: Shocks, formed: MatchedSets, window: Window) -> DateSets:
    """CARs of the dates in question and of their control drops; a control drop missing in one specification is NaN."""
    car, rows = formed.portfolios.car(window), np.flatnonzero(shocks.asked)
    return date_sets(shocks.drops.day0[rows], car[formed.event[rows]], [car[formed.placebos[int(k)]] for k in rows])


def _joint_p(sets: Sequence[DateSets], seed: int) -> float:
    """Two-sided p of the median over specifications under one permutation for all of them."""
    stacked = [
        np.array([np.append(events[k], placebos[k]) for events, placebos in sets]) for k in range(len(sets[0][0]))
    ]
    over = []
    for values in stacked:
        m = values.shape[1] - 1
        level = np.nanmean(values, axis=1, keepdims=True)
        over.append(np.nan_to_num(values - level) * (m + 1) / m)
    ways = float(np.prod([values.shape[1] for values in over]))
    rng = np.random.default_rng(seed)
    if ways <= min(ENUMERATED, DRAWS):
        grid = np.meshgrid(*(np.arange(values.shape[1]) for values in over), indexing="ij")
        picks = np.array(grid).reshape(len(over), -1)
        added = 0
    else:
        picks = np.array([rng.integers(0, v.shape[1], size=DRAWS) for v in over])
        added = 1
    means = sum(values[:, pick] for values, pick in zip(over, picks, strict=True)) / len(over)
    medians = np.abs(np.median(np.asarray(means), axis=0))
    observed = abs(float(np.median(sum(values[:, 0] for values in over) / len(over))))
    hits = int((medians >= observed * (1 - 1e-12)).sum())
    return (hits + added) / (len(medians) + added)
