"""Returns from which pseudo-events are drawn, and the possible sessions."""

from __future__ import annotations

import datetime as dt
import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from eventstudy.config import StudyConfig, Window
from eventstudy.core.estimation import trusted
from eventstudy.core.models import MODELS, needs
from eventstudy.core.returns import MarketPanel, to_returns
from eventstudy.core.selection import select
from eventstudy.core.statistics import residual_correlations
from eventstudy.errors import ConfigError, EstimationError, nearest
from eventstudy.events import Events, instant_utc
from eventstudy.exchanges import calendars
from eventstudy.prices import PriceTable
from eventstudy.prices.quality import with_special_sessions
from eventstudy.simulate.plan import DENSE, FEWEST_PEERS, Plan

#: Sessions around the study's own events without pseudo-events.
SURROUNDINGS = (-10, 20)
#: Requested years of prices before the last event, and sessions in a year.
YEARS, SESSIONS_A_YEAR = 10, 252
#: Sessions of a history without events that share a sign.
BLOCK = 21
#: Degrees of freedom of simulated residuals.
DEGREES = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Pool:
    """Returns of one region's peers and where pseudo-events can be placed.

    Attributes
    ----------
    sessions : (T,) datetime64[D]
        Sessions that the region's exchanges share.
    returns : (T, n)
        Without each peer's intercept over the testable days: after a run-up it would be a true abnormal return, while
        the null hypothesis assumes none.
    market_return : (T,)
    flags : (T, n) uint8
    excluded : (T, n) bool
        Days around the study's own events that no estimation uses.
    candidate : (T, n) bool
        Whether this can be a day 0: the event window is complete, the estimation window is long enough, and neither
        day 0 nor a tested day is in the `SURROUNDINGS` of an event of the study.
    near : (T,) bool, optional
        `SURROUNDINGS` of the study's own events.
    possible : (T, n) bool, optional
        Whether this could be a day 0 if the study had no events.
    gaps : tuple of int
        Sessions from each date of the study to the next, for dates with prices.
    """

    region: str
    benchmark: str
    tickers: tuple[str, ...]
    sessions: NDArray[np.datetime64]
    returns: NDArray[np.float64]
    market_return: NDArray[np.float64]
    flags: NDArray[np.uint8]
    excluded: NDArray[np.bool_]
    candidate: NDArray[np.bool_]
    near: NDArray[np.bool_] | None = None
    possible: NDArray[np.bool_] | None = None
    gaps: tuple[int, ...] = ()

    def eligible(self, peers: int) -> NDArray[np.intp]:
        """Rows on which at least ``peers`` securities are candidates."""
        return np.flatnonzero(self.candidate.sum(axis=1) >= peers)


def reaching_back(events: Events, config: StudyConfig) -> StudyConfig:
    """Return settings for the price request, with an estimation window that begins ten years earlier.

    A study needs prices only around its events, a simulation as many years as possible.
    """
    days = [instant_utc(event.timestamp).date() for event in events]
    missing = YEARS - (max(days) - min(days)).days / 365.25
    first, last = config.windows.estimation
    windows = replace(config.windows, estimation=(min(first, -int(missing * SESSIONS_A_YEAR)), last))
    return replace(config, windows=windows)


def draw_pool(
    events: Events, config: StudyConfig, prices: PriceTable, plan: Plan, *, region: str | None = None
) -> Pool:
    """Return the returns of a region's peers with the possible sessions of pseudo-events.

    The default region is that with the most sessions on which ``plan.peers`` peers are candidates. Exchanges of one
    region with one benchmark are pooled, since they share sessions. A return after a gap is always missing.

    Raises
    ------
    ConfigError
        For an unknown region, windows outside the event window, or a model that needs more than the index.
    EstimationError
        If there is no room for twice as many dates as a draw needs, with separate event windows.
    PriceError
        If prices are suspect and ``prices.accept_suspect`` is not set.
    """
    pool, lacking = _roomiest(_pools(events, config, prices, plan, region), plan, config)
    if lacking:
        raise EstimationError(lacking)
    return pool


def draw_fitting(
    events: Events, config: StudyConfig, prices: PriceTable, plan: Plan, *, region: str | None = None
) -> tuple[Pool, Plan]:
    """Return a pool as `draw_pool`, and the plan with the largest possible number of peers.

    The number of peers on a date is reduced from ``plan.peers`` until the dates of a draw fit. If they do not fit with
    two peers, the errors of `draw_pool` are raised.
    """
    pools = _pools(events, config, prices, plan, region)
    for peers in range(plan.peers, FEWEST_PEERS - 1, -1):
        fitting = replace(plan, peers=peers)
        pool, lacking = _roomiest(pools, fitting, config)
        if not lacking:
            return pool, fitting
    raise EstimationError(lacking)


def _roomiest(pools: Sequence[Pool], plan: Plan, config: StudyConfig) -> tuple[Pool, str]:
    """Return the pool with most possible sessions, and its problem for the plan; empty if there is room.

    Room is counted in dates with separate windows; if only dense dates are drawn, in sessions.
    """
    if set(plan.designs) - set(DENSE):
        pool, gap = max(pools, key=lambda pool: len(pool.eligible(plan.peers))), spacing(plan, config)
        room, last = 0, -gap
        for row in pool.eligible(plan.peers):
            if row - last >= gap:
                room, last = room + 1, int(row)
        fits = room >= 2 * plan.dates
        lacking = (
            f"{pool.region}: room for {room} dates, {gap} sessions apart, on which {plan.peers} peers have "
            f"their windows and no event of the study is near; {plan.dates} dates a draw need "
            f"{2 * plan.dates}; give fewer --dates or --peers, or a longer history of prices"
        )
    else:
        pool = max(pools, key=lambda pool: len(dense_rows(pool, plan.peers)))
        room, dates = len(dense_rows(pool, plan.peers)), len(pool.gaps) + 1
        fits = bool(pool.gaps) and room >= 2 * dates
        lacking = (
            f"{pool.region}: {dates if pool.gaps else 'fewer than two'} dates of the study have complete "
            f"windows, and {room} sessions {plan.peers} peers with them; dates as dense as the study's own "
            "need two dates and twice as many sessions: give fewer --peers, shorter windows or more prices"
        )
    return pool, "" if fits else lacking


def _pools(events: Events, config: StudyConfig, prices: PriceTable, plan: Plan, region: str | None) -> list[Pool]:
    """Pools of all regions with prices, or of the named region; at least one."""
    _check(plan, config)
    config = replace(config, returns=replace(config.returns, gaps="missing"))
    alignments = calendars.align_all(events, config)
    prices, _ = trusted(prices, config, alignments)
    panel = to_returns(prices, config, sessions=with_special_sessions(prices, config, calendars.sessions))
    excluded = select(events, config, prices, panel, alignments).excluded
    markets: dict[tuple[str, str], list[MarketPanel]] = {}
    for mic, market in panel.markets.items():
        if market.tickers:
            markets.setdefault((config.market(mic).region or mic, market.benchmark), []).append(market)
    days = {mic: [a.session for (_, at), a in alignments.items() if at == mic] for mic in panel.markets}
    shock = {event.event_id: event.shock_id for event in events}
    # First day 0 of each shock on each exchange.
    first: dict[str, dict[str, dt.date]] = {mic: {} for mic in panel.markets}
    for (event_id, mic), alignment in alignments.items():
        if mic in first:
            earlier = first[mic].get(shock[event_id], alignment.session)
            first[mic][shock[event_id]] = min(alignment.session, earlier)
    pools = [_pool(name, group, excluded, days, first, config, plan) for (name, _), group in markets.items()]
    if region is not None and region not in {pool.region for pool in pools}:
        raise ConfigError(f"--region {region!r} has no prices; {nearest(region, [p.region for p in pools])}")
    pools = [pool for pool in pools if region in (None, pool.region)]
    if not pools:
        raise EstimationError("no market has both an index and peers; 'eventstudy check' shows each")
    return pools


def _check(plan: Plan, config: StudyConfig) -> None:
    first, last = config.windows.event
    if not first <= 0 <= last:
        raise ConfigError(f"windows.event = [{first},{last}] does not contain day 0; a simulation needs it")
    wrong = [f"[{a},{b}]" for a, b in plan.windows if not first <= a <= b <= last]
    if wrong or not plan.windows:
        raise ConfigError(f"--windows {';'.join(wrong)}: accepted are windows inside windows.event = [{first},{last}]")
    name, kind = config.model.name, config.study.kind
    if kind != "return":
        raise ConfigError(
            f"study.kind = {kind!r}: a simulation adds drops to returns and draws histories of returns, so it says "
            "nothing about another quantity; give --set study.kind=return"
        )
    if needs(name):
        alone = ", ".join(sorted(model for model in MODELS if not needs(model)))
        raise ConfigError(
            f"model.name = {name!r} needs {', '.join(needs(name))}; simulated events have the index alone: "
            f"give --set model.name=market (accepted: {alone})"
        )


def _pool(
    region: str,
    markets: Sequence[MarketPanel],
    excluded: Mapping[str, NDArray[np.bool_]],
    event_days: Mapping[str, Sequence[object]],
    first_days: Mapping[str, Mapping[str, dt.date]],
    config: StudyConfig,
    plan: Plan,
) -> Pool:
    shared = functools.reduce(np.intersect1d, [market.sessions for market in markets])
    rows = [np.isin(market.sessions, shared) for market in markets]
    pairs = list(zip(markets, rows, strict=True))
    returns = np.hstack([market.returns[row] for market, row in pairs])
    flags = np.hstack([market.flags[row] for market, row in pairs])
    cuts = np.hstack([excluded[market.mic][row] for market, row in pairs])
    index = markets[0].market_return[rows[0]]
    near = surroundings(shared, [day for market in markets for day in event_days[market.mic]])
    tested = (min(0, *(first for first, _ in plan.windows)), max(0, *(last for _, last in plan.windows)))
    blocked = _count(near[:, None], tested) > 0
    candidate = _candidates(returns, index, cuts, config) & ~blocked
    possible = _candidates(returns, index, np.zeros_like(cuts), config)
    used = candidate.any(axis=0) if candidate.any() else possible.any(axis=0)
    shocks = [first_days.get(market.mic, {}) for market in markets]
    own = {name: min(m[name] for m in shocks if name in m) for m in shocks for name in m}
    # Distinct dates of the study on which a window is complete.
    at = np.unique(np.searchsorted(shared, np.array(list(own.values()), dtype="datetime64[D]")))
    at = at[at < len(shared)]
    tickers = np.array([ticker for market in markets for ticker in market.tickers])[used]
    reached = _count(candidate, (-tested[1], -tested[0])) > 0
    alpha, _, _ = history_fit(np.where(reached, returns, np.nan)[:, used], index)
    return Pool(
        region=region,
        benchmark=markets[0].benchmark,
        tickers=tuple(tickers.tolist()),
        sessions=shared,
        returns=returns[:, used] - np.nan_to_num(alpha),
        market_return=index,
        flags=flags[:, used],
        excluded=cuts[:, used],
        candidate=candidate[:, used],
        near=near,
        possible=possible[:, used],
        gaps=tuple(np.diff(at[possible[at][:, used].any(axis=1)]).tolist()),
    )


def surroundings(sessions: NDArray[np.datetime64], days: Sequence[object]) -> NDArray[np.bool_]:
    """Mark the sessions from ten before to twenty after each of the study's event days, shape (T,)."""
    marked = np.zeros(len(sessions), dtype=bool)
    for at in np.searchsorted(sessions, np.array(days, dtype="datetime64[D]")):
        marked[max(at + SURROUNDINGS[0], 0) : at + SURROUNDINGS[1] + 1] = True
    return marked


def _candidates(
    returns: NDArray[np.float64], index: NDArray[np.float64], excluded: NDArray[np.bool_], config: StudyConfig
) -> NDArray[np.bool_]:
    there = np.isfinite(returns) & np.isfinite(index)[:, None]
    first, last = config.windows.event
    whole = _count(there, config.windows.event) == last - first + 1
    enough = _count(there & ~excluded, config.windows.estimation) >= config.windows.minimum
    candidate: NDArray[np.bool_] = whole & enough
    return candidate


def _count(mask: NDArray[np.bool_], window: Window) -> NDArray[np.int64]:
    """Number of marked rows in the window around each row, shape (T, n)."""
    total = np.vstack([np.zeros((1, mask.shape[1]), dtype=np.int64), np.cumsum(mask, axis=0)])
    row = np.arange(len(mask))
    counted: NDArray[np.int64] = (
        total[np.clip(row + window[1] + 1, 0, len(mask))] - total[np.clip(row + window[0], 0, len(mask))]
    )
    return counted


def history_fit(
    returns: NDArray[np.float64], index: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Market model of each column over its whole history: alpha (n,), beta (n,), residuals (T, n)."""
    there = np.isfinite(returns) & np.isfinite(index)[:, None]
    y = np.where(there, returns, np.nan)
    x = np.where(there, index[:, None], np.nan)
    count = np.maximum(there.sum(axis=0), 1)
    x_mean, y_mean = np.nansum(x, axis=0) / count, np.nansum(y, axis=0) / count
    with np.errstate(divide="ignore", invalid="ignore"):
        beta = np.nansum((x - x_mean) * (y - y_mean), axis=0) / np.nansum((x - x_mean) ** 2, axis=0)
    alpha = y_mean - beta * x_mean
    return alpha, beta, y - alpha - beta * x


def spacing(plan: Plan, config: StudyConfig) -> int:
    """Sessions between two dates of a draw, so that no day is tested twice."""
    return max(config.windows.event[1], *(last - first for first, last in plan.windows)) + 1


def dense_rows(pool: Pool, peers: int) -> NDArray[np.intp]:
    """Rows on which at least ``peers`` securities could have a day 0 if the study had no events."""
    possible = pool.candidate if pool.possible is None else pool.possible
    return np.flatnonzero(possible.sum(axis=1) >= peers)


def dense_dates(rows: NDArray[np.intp], gaps: Sequence[int], draws: int, rng: np.random.Generator) -> NDArray[np.intp]:
    """Draw dates that follow each other as the study's own do, shape (draws, K), ascending.

    Each draw uses the gaps in random order and begins on a random one of ``rows``. A date after the last row continues
    at the first one. A date on another row, or on one already used, moves to the next free row.
    """
    drawn = np.empty((draws, len(gaps) + 1), dtype=np.intp)
    length = int(rows[-1] - rows[0]) + 1
    free = np.zeros(length, dtype=bool)
    free[rows - rows[0]] = True
    for draw in range(draws):
        open_ = free.copy()
        at = int(rng.choice(rows)) - int(rows[0])
        for date, gap in enumerate((0, *rng.permutation(gaps).tolist())):
            at = (at + gap) % length
            at = (at + int(np.argmax(np.roll(open_, -at)))) % length
            open_[at] = False
            drawn[draw, date] = at + rows[0]
    return np.sort(drawn, axis=1)


def uneventful(pool: Pool, rng: np.random.Generator) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Expected returns and residuals of a history without the study's events, both (T, n).

    Residuals of the sessions in ``pool.near`` are those of other sessions, drawn at random and the same
    for all peers, so that their correlation is preserved. The intercept of the whole history is removed, and each
    `BLOCK` of sessions gets a random sign, the same for all peers. Without these signs the residuals of long windows,
    which cover most of the history, would sum to nearly zero.
    """
    _, beta, residuals = history_fit(pool.returns, pool.market_return)
    there = np.isfinite(residuals)
    if pool.near is not None and pool.near.any():
        known = there.sum(axis=1) * ~pool.near
        sources = np.flatnonzero(known == known.max())
        drawn = residuals[rng.choice(sources, int(pool.near.sum()))]
        residuals[pool.near] = np.where(there[pool.near], np.nan_to_num(drawn), np.nan)
    residuals -= np.nanmean(residuals, axis=0)
    blocks = (np.arange(len(residuals)) + rng.integers(BLOCK)) // BLOCK
    residuals *= rng.choice((-1.0, 1.0), blocks[-1] + 1)[blocks][:, None]
    expected: NDArray[np.float64] = pool.market_return[:, None] * beta
    return expected, residuals


def simulated_returns(pool: Pool, draws: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """Simulate histories with t(5) residuals, shape (T, draws n), NaN if the peers' returns are.

    Notes
    -----
    R_it = beta_i R_mt + s_i u_it, with u_t multivariate t(5) of unit variance and with the correlations
    of the residuals over the whole history, made positive semidefinite by clipping its eigenvalues. Betas and s_i are
    those of the whole history.
    """
    _, beta, residuals = history_fit(pool.returns, pool.market_return)
    days = np.broadcast_to(np.arange(len(residuals), dtype=np.int32), residuals.T.shape)
    correlations = residual_correlations(residuals.T, days)
    np.fill_diagonal(correlations, 1.0)
    values, vectors = np.linalg.eigh(correlations)
    root = vectors * np.sqrt(np.maximum(values, 0.0))
    root /= np.sqrt((root**2).sum(axis=1))[:, None]
    normal = rng.standard_normal((len(residuals), draws, len(beta))) @ root.T
    radius = np.sqrt((DEGREES - 2) / rng.chisquare(DEGREES, size=(len(residuals), draws, 1)))
    drawn = pool.market_return[:, None, None] * beta + normal * radius * np.nanstd(residuals, axis=0)
    simulated: NDArray[np.float64] = np.where(np.isfinite(pool.returns)[:, None, :], drawn, np.nan)
    return simulated.reshape(len(residuals), -1)
