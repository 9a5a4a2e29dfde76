"""Placebo drops: comparable falls of the same peers at other dates, found in the whole history."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from eventstudy.config import StudyConfig
from eventstudy.core.abnormal import ShockPortfolios, Window
from eventstudy.reversal.drops import Fall, fall_of
from eventstudy.reversal.history import History, PeerDay, rolling_car, rolling_fit

#: Variables that a placebo must share with its event, and by how much it may differ: S in standard
#: errors, time in years, the others in standard deviations over the candidates.
VARIABLES = ("s_drop", "vol_ratio", "run_up", "market_return", "year")
CALIPERS = np.array([0.5, 1.0, 1.0, 1.0, 3.0])
#: Sessions between a placebo and any event, and between two placebos: no post window is shared.
APART = 21
#: With fewer matches there is no benchmark.
FEWEST_MATCHES = 5
#: Matches a shock: few where many shocks share the history, all (so far) where few do.
MATCHES_MANY, MATCHES_FEW, MANY_SHOCKS = 10, 40, 6
#: Sessions without any known event around a no-news drop.
NO_NEWS = 5
RECENT_DAYS, RUN_UP_DAYS = 20, 60
#: A placebo's portfolio holds at least this share of the shock's peers, and all its regions.
SHARE_OF_PEERS = 0.5
#: Firm-events estimated at once.
CHUNK = 6_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Placebo:
    """One date set against a shock. ``distance`` is NaN where nothing was matched (tier P0)."""

    shock_id: str
    tier: str
    day: int
    s_drop: float
    car_drop: float
    car_post: float
    vol_ratio: float
    run_up: float
    market_return: float
    distance: float
    widened: bool = False


@dataclass(frozen=True, slots=True)
class Pool:
    """Candidate dates of one peer set with its portfolio at each: arrays (P,), ``traits`` (P, V).

    ``grids`` holds the sessions of each exchange of the peers, by which distances are counted.
    """

    day: NDArray[np.int64]
    car_drop: NDArray[np.float64]
    car_post: NDArray[np.float64]
    traits: NDArray[np.float64]
    qualifies: NDArray[np.bool_]
    grids: tuple[NDArray[np.int64], ...]

    def __len__(self) -> int:
        return len(self.day)

    def take(self, index: NDArray[np.bool_] | NDArray[np.intp]) -> Pool:
        """Return the candidates at ``index``, positions or a mask."""
        return Pool(
            self.day[index],
            self.car_drop[index],
            self.car_post[index],
            self.traits[index],
            self.qualifies[index],
            self.grids,
        )


def empty_pool() -> Pool:
    """Return a pool without candidates."""
    none = np.zeros(0)
    return Pool(none.astype(np.int64), none, none, np.zeros((0, len(VARIABLES))), none.astype(bool), ())


def traits(portfolios: ShockPortfolios, drop: Window, *, fall: Fall | None = None) -> NDArray[np.float64]:
    """Return what is matched on, by shock and in the order of `VARIABLES`, shape (K, 5).

    All of it was known at the close of the drop: the standardised drop; the log ratio of the
    portfolio's abnormal volatility over its last 20 sessions to that over the estimation window; its
    return over the last 60; its index's return in the drop window; and the date in years. ``fall`` is
    that of `fall_of`, where at hand.
    """
    fall = fall or fall_of(portfolios, drop)
    abnormal, weight, errors = portfolios.abnormal, fall.peers.weight, fall.peers.residual
    rows = portfolios.members
    before = abnormal.tau < drop[0]
    lately = _mean(portfolios, weight, abnormal.ar[rows][:, before])
    recent = np.concatenate([errors, lately], axis=1)[:, -RECENT_DAYS:]
    panel = abnormal.panel
    past = np.concatenate([panel.estimation_returns[rows], panel.event_returns[rows][:, before]], axis=1)
    run_up = np.nansum(_mean(portfolios, weight, past[:, -RUN_UP_DAYS:]), axis=1)
    inside = abnormal.weights(drop) > 0
    market = panel.event_factors[rows][:, inside, 0].sum(axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        vol_ratio = np.log(_spread(recent) / _spread(errors))
    return np.column_stack(
        [fall.s, vol_ratio, run_up, portfolios.total(weight * np.nan_to_num(market)), portfolios.day0 / 365.25]
    )


def _mean(portfolios: ShockPortfolios, weight: NDArray[np.float64], values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Weighted mean over the peers that have the day, (K, days); NaN where none has."""
    there = np.isfinite(values)
    share = portfolios.total(weight[:, None] * there)
    total = portfolios.total(weight[:, None] * np.where(there, values, 0.0))
    return np.where(share > 0, total / np.where(share > 0, share, 1.0), np.nan)


def _spread(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Standard deviation over the days that are there, (K,)."""
    there = np.isfinite(values)
    count = np.maximum(there.sum(axis=1), 1)
    level = np.where(there, values, 0.0).sum(axis=1) / count
    spread: NDArray[np.float64] = np.sqrt(
        (np.where(there, values - level[:, None], 0.0) ** 2).sum(axis=1) / np.maximum(count - 1, 1)
    )
    return spread


def screen(history: History, tickers: Sequence[str], days: NDArray[np.int64]) -> Screened:
    """Look at every day of the history at once with rolling market models.

    The screen always uses the market model; what passes it is then estimated as the study's own events.
    """
    windows = history.config.windows
    car = np.full((len(days), len(tickers)), np.nan)
    post = np.full((len(days), len(tickers)), np.nan)
    region = {market.mic: market.region for market in history.config.markets}
    markets = [history.market_of(ticker) for ticker in tickers]
    for market in {market.mic: market for market in markets}.values():
        mine = np.flatnonzero([other.mic == market.mic for other in markets])
        columns = [market.tickers.index(tickers[int(i)]) for i in mine]
        returns = market.returns[:, columns]
        fit = rolling_fit(returns, market.market_return, ~history.excluded[market.mic][:, columns], windows.estimation)
        rows = np.searchsorted(market.sessions.astype("datetime64[D]").astype(np.int64), days)
        inside = rows < len(market.sessions)
        for target, window, alpha in ((car, windows.drop, True), (post, windows.post, False)):
            every = rolling_car(returns, market.market_return, fit, window, minimum=windows.minimum, alpha=alpha)
            target[np.ix_(inside, mine)] = every[rows[inside]]
    names = np.array([region[market.mic] for market in markets])
    return Screened(car, post, _portfolio_weights(np.isfinite(car) & np.isfinite(post), names), names)


@dataclass(frozen=True, slots=True)
class Screened:
    """CARs of every day × peer, (D, n), with the weights of a market-balanced portfolio of the complete."""

    car_drop: NDArray[np.float64]
    car_post: NDArray[np.float64]
    weight: NDArray[np.float64]
    region: NDArray[np.str_]

    def drop(self) -> NDArray[np.float64]:
        """Portfolio CAR of the drop window, (D,); NaN without peers."""
        return self._mean(self.car_drop)

    def complete(self) -> NDArray[np.bool_]:
        """Days with at least half the peers and one of every region, (D,)."""
        there = self.weight > 0
        enough: NDArray[np.bool_] = there.mean(axis=1) >= SHARE_OF_PEERS
        for name in np.unique(self.region):
            enough &= there[:, self.region == name].any(axis=1)
        return enough

    def share_negative(self) -> NDArray[np.float64]:
        """Share of the portfolio's peers that fell, (D,)."""
        there = self.weight > 0
        fell = (there & (np.nan_to_num(self.car_drop) < 0)).sum(axis=1)
        share: NDArray[np.float64] = fell / np.maximum(there.sum(axis=1), 1)
        return share

    def _mean(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        total = (self.weight * np.where(self.weight > 0, values, 0.0)).sum(axis=1)
        return np.where(self.weight.sum(axis=1) > 0, total, np.nan)


def _portfolio_weights(there: NDArray[np.bool_], region: NDArray[np.str_]) -> NDArray[np.float64]:
    weight = np.zeros(there.shape)
    for name in np.unique(region):
        mine = region == name
        count = there[:, mine].sum(axis=1, keepdims=True)
        weight[:, mine] = there[:, mine] / np.maximum(count, 1)
    total = weight.sum(axis=1, keepdims=True)
    even: NDArray[np.float64] = weight / np.where(total > 0, total, 1.0)
    return even


def pool_of(history: History, tickers: Sequence[str], days: NDArray[np.int64]) -> Pool:
    """Estimate a peer set's portfolio at each of these days as the study estimates its events."""
    step = max(CHUNK // max(len(tickers), 1), 1)
    grids, parts = history.grids(tickers), []
    for first in range(0, len(days), step):
        wanted = [PeerDay(f"{day:06d}", tuple(tickers), int(day)) for day in days[first : first + step]]
        parts.append(_pool(history.portfolios(history.requests(wanted)), history.config, grids))
    every = [empty_pool(), *parts]
    pool = Pool(
        np.concatenate([part.day for part in every]),
        np.concatenate([part.car_drop for part in every]),
        np.concatenate([part.car_post for part in every]),
        np.concatenate([part.traits for part in every]),
        np.concatenate([part.qualifies for part in every]),
        grids,
    )
    return pool.take(np.isfinite(pool.car_post) & np.isfinite(pool.traits).all(axis=1))


def _pool(portfolios: ShockPortfolios, config: StudyConfig, grids: tuple[NDArray[np.int64], ...]) -> Pool:
    windows = config.windows
    fall = fall_of(portfolios, windows.drop)
    return Pool(
        portfolios.shock_id.astype(np.int64),
        fall.car,
        portfolios.car(windows.post),
        traits(portfolios, windows.drop, fall=fall),
        fall.qualifies(config.reversal),
        grids,
    )


def distances(
    target: NDArray[np.float64], pool: NDArray[np.float64], scale: NDArray[np.float64], *, wide: float = 1.0
) -> NDArray[np.float64]:
    """Standardised distance of each candidate to a shock, infinite outside the calipers, (P,).

    ``scale`` (V,) turns a difference into calipers: one is the edge, ``wide`` moves it.
    """
    gap = np.abs(pool - target) / scale
    inside = (gap <= wide).all(axis=1)
    return np.where(inside, np.sqrt((gap**2).sum(axis=1)), np.inf)


def caliper_scale(pool: NDArray[np.float64]) -> NDArray[np.float64]:
    """Widest difference allowed in each variable, (V,): fixed for S and years, in sd for the others."""
    spread = pool.std(axis=0, ddof=1) if len(pool) > 1 else np.ones(len(VARIABLES))
    spread = np.where(spread > 0, spread, 1.0)
    spread[[VARIABLES.index("s_drop"), VARIABLES.index("year")]] = 1.0
    scale: NDArray[np.float64] = CALIPERS * spread
    return scale


@dataclass(frozen=True, slots=True)
class Matched:
    """The dates matched to one shock: rows of its pool, nearest first, with their distances."""

    rows: NDArray[np.intp]
    distance: NDArray[np.float64]
    widened: bool


def match(targets: NDArray[np.float64], pools: Sequence[Pool], *, many: bool) -> list[Matched]:
    """Give each shock its nearest candidates; no date serves two of them.

    Parameters
    ----------
    targets : (K, V)
        Traits of the shocks, ``pools`` their candidates.
    many
        Whether six shocks or more share the history: then 10 matches a shock, else up to 40.

    Notes
    -----
    Shocks take turns, each the nearest date left within its calipers that lies 21 sessions from all
    dates taken. A shock with fewer than five is served again with calipers twice as wide, once.
    """
    most = MATCHES_MANY if many else MATCHES_FEW
    scales = [caliper_scale(pool.traits) for pool in pools]
    chosen: list[list[int]] = [[] for _ in pools]
    widened = [False] * len(pools)
    taken: list[int] = []
    for wide in (1.0, 2.0):
        hungry = [k for k in range(len(pools)) if wide == 1.0 or len(chosen[k]) < FEWEST_MATCHES]
        for k in hungry:
            widened[k] = wide > 1.0
        queue = {k: distances(targets[k], pools[k].traits, scales[k], wide=wide) for k in hungry}
        _take_turns(hungry, pools, queue, chosen, taken, most)
    found = []
    for k, pool in enumerate(pools):
        rows = np.array(chosen[k], dtype=np.intp)
        gap = distances(targets[k], pool.traits, scales[k], wide=np.inf)[rows]
        order = np.argsort(gap, kind="stable")
        found.append(Matched(rows[order], gap[order], widened[k]))
    return found


def _take_turns(
    hungry: Sequence[int],
    pools: Sequence[Pool],
    queue: Mapping[int, NDArray[np.float64]],
    chosen: list[list[int]],
    taken: list[int],
    most: int,
) -> None:
    """Let the shocks pick one date each in turn until none finds another."""
    free = {k: np.isfinite(queue[k]) for k in hungry}
    for k in hungry:
        free[k] &= far_from(pools[k].day, taken, pools[k].grids)
    picking = list(hungry)
    while picking:
        for k in list(picking):
            open_rows = np.flatnonzero(free[k])
            if not len(open_rows) or len(chosen[k]) >= most:
                picking.remove(k)
                continue
            row = int(open_rows[np.argmin(queue[k][open_rows])])
            chosen[k].append(row)
            taken.append(int(pools[k].day[row]))
            for j in hungry:
                free[j] &= sessions_apart(pools[j].day, taken[-1], pools[j].grids) >= APART


def sessions_apart(days: NDArray[np.int64], other: int, grids: Sequence[NDArray[np.int64]]) -> NDArray[np.int64]:
    """Sessions between each day and another one, on the exchange where they are fewest, (P,)."""
    apart = np.full(len(days), np.iinfo(np.int64).max)
    for grid in grids:
        gap = np.abs(np.searchsorted(grid, days) - np.searchsorted(grid, other))
        apart = np.minimum(apart, gap)
    return apart


def far_from(
    days: NDArray[np.int64], others: Iterable[int], grids: Sequence[NDArray[np.int64]], sessions: int = APART
) -> NDArray[np.bool_]:
    """Which days lie at least so many sessions from every other one, on every exchange, (P,)."""
    far = np.ones(len(days), dtype=bool)
    for other in others:
        far &= sessions_apart(days, other, grids) >= sessions
    return far


def balance(targets: NDArray[np.float64], matched: Sequence[NDArray[np.float64]]) -> list[dict[str, float | str]]:
    """Compare shocks and their placebos in every matching variable.

    Notes
    -----
    Each shock counts once, each of its placebos 1/M. The standardised mean difference is the
    difference over the root of the mean of both variances; a single shock has none, so the placebos'
    variance stands for both (Austin 2009). Below 0.1 is called balanced, above 0.25 is not.
    """
    rows: list[dict[str, float | str]] = []
    if not matched:
        return rows
    means = np.array([values.mean(axis=0) for values in matched])
    everything = np.concatenate(list(matched))
    for v, name in enumerate(VARIABLES):
        placebo_variance = float(everything[:, v].var(ddof=1)) if len(everything) > 1 else float("nan")
        event_variance = float(targets[:, v].var(ddof=1)) if len(targets) > 1 else placebo_variance
        pooled = np.sqrt((placebo_variance + event_variance) / 2)
        difference = float(targets[:, v].mean() - means[:, v].mean())
        rows.append(
            {
                "variable": name,
                "mean_events": float(targets[:, v].mean()),
                "mean_placebos": float(means[:, v].mean()),
                "smd": difference / pooled if pooled > 0 else float("nan"),
            }
        )
    return rows
