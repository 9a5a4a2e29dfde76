"""What followed the drops against securities from outside the sector, weighted to move as the peers did before."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from eventstudy.config import StudyConfig
from eventstudy.core.abnormal import ShockPortfolios
from eventstudy.core.arrays import Bools, Counts, Floats, Places
from eventstudy.errors import Reason
from eventstudy.reversal.drops import mean_by_day, recent_deviation
from eventstudy.reversal.estimator import FEWEST_CONTROLS, clusters
from eventstudy.reversal.history import History, PeerDay
from eventstudy.reversal.measure import NO_NOTE, Measure
from eventstudy.reversal.study_shocks import Shocks

#: A donor may lack so much of the estimation window, and nothing of the post window.
MOST_MISSING = 0.1
#: Days whose donors are cut at once, and random numbers that are held at once.
DAYS, BLOCK = 400, 2_000_000


@dataclass(frozen=True, slots=True)
class Gaps:
    """Peers less their synthetic controls over the post window, by row of the study's comparison, (N,).

    ``scale`` is the standard deviation of such a gap, from the mean of two daily ones as in the regression: that of the
    estimation window and the exponentially weighted one at the close of the drop. NaN where no donor has the days.
    """

    gap: Floats
    scale: Floats
    n_donors: int


def synthetic_gaps(shocks: Shocks) -> Gaps | Reason:
    """Set every drop and control of a study beside its own weighted donors; why not, where none are named.

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
        rows, peers = np.flatnonzero(comparison.falls.stratum == stratum), tuple(stratum.split(", "))
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
    """Weights (J,), none negative, of sum one, that bring ``donors`` (T, J) nearest to ``own`` (T,).

    Notes
    -----
    As sum w = 1, own - donors w = Z w with Z = own - donors. For v of sum s, |Z v|^2 + (1 - s)^2 is least in the
    direction of the w that is sought, whatever s is: one non-negative least squares fit gives it exactly.
    """
    # Slow to load, and most studies name no donors.
    from scipy.optimize import nnls

    gap = own[:, None] - donors
    spread = np.sqrt((gap**2).mean()) or 1.0
    stacked = np.vstack([gap / spread, np.ones(donors.shape[1])])
    found = nnls(stacked, np.append(np.zeros(len(own)), 1.0))[0]
    return np.asarray(found / found.sum())


@dataclass(frozen=True, slots=True)
class Stratum:
    """Drops and controls that stand for each other: gaps over their scales, (n,), drops first, one a week.

    ``cluster`` (n,) is the slide of each, ``share`` the drops' weights, one for each of them.
    """

    z: Floats
    cluster: Counts
    share: Floats


def by_synthetic(shocks: Shocks, group: str, gaps: Gaps | Reason, config: StudyConfig) -> Measure:
    """Return the mean gap of one kind of drops over that of their controls, with the p of its rank among controls.

    Notes
    -----
    With z the gap over its scale, T is the mean over the weeks of the drops of z less the mean z of the controls. Its
    p is two-sided, the share of random choices of other falls of the same strata, one of each slide at most, with
    |T*| >= |T|; what is not chosen is then the control. Falls that share days, donors and peers stay together, so
    correlation across securities leaves the level alone.
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
    """Yield the drops of each stratum with its controls; each drop alone where those must be over before it."""
    comparison = shocks.comparison
    falls, control = comparison.falls, known & (comparison.shock < 0)
    for name in np.unique(falls.stratum[events]).tolist():
        own = events[falls.stratum[events] == name]
        for some in own[:, None] if comparison.lead else [own]:
            past = falls.session + comparison.lead <= falls.session[some].min() if comparison.lead else True
            yield some, np.flatnonzero(control & (falls.stratum == name) & past)


def placebo_p(strata: Sequence[Stratum], *, draws: int, seed: int) -> float:
    """Two-sided p of the sum over strata of the drops' shares times z less the mean z of what is not chosen."""
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
    """T* of random choices: falls in random order, of each cluster the first, as many as there are drops, (draws,)."""
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
