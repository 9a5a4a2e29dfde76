"""Placebo drops: comparable falls of the same peers at other dates, matched to the shocks."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eventstudy.config import StudyConfig
from eventstudy.core.abnormal import ShockPortfolios, Window
from eventstudy.core.arrays import Bools, Counts, Floats, Places, Texts
from eventstudy.errors import Reason
from eventstudy.reversal.drops import Drops, Fall, fall_of
from eventstudy.reversal.history import History, PeerDay, day_codes, rolling_car, rolling_fit

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

    day: Counts
    car_drop: Floats
    car_post: Floats
    traits: Floats
    qualifies: Bools
    grids: tuple[Counts, ...]

    def __len__(self) -> int:
        return len(self.day)

    def take(self, index: Bools | Places) -> Pool:
        """Return the candidates at ``index``, positions or a mask."""
        taken: dict[str, NDArray[Any]] = {name: getattr(self, name)[index] for name in ARRAYS}
        return Pool(**taken, grids=self.grids)


ARRAYS = tuple(field.name for field in fields(Pool) if field.name != "grids")


def empty_pool() -> Pool:
    """Return a pool without candidates."""
    none = np.zeros(0)
    return Pool(none.astype(np.int64), none, none, np.zeros((0, len(VARIABLES))), none.astype(bool), ())


def traits(portfolios: ShockPortfolios, drop: Window, *, fall: Fall | None = None) -> Floats:
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
    recent = daily_returns(portfolios, fall, before=drop[0])[:, -RECENT_DAYS:]
    panel = abnormal.panel
    past = np.concatenate([panel.estimation_returns[rows], panel.event_returns[rows][:, before]], axis=1)
    run_up = np.nansum(_mean(portfolios, weight, past[:, -RUN_UP_DAYS:]), axis=1)
    market = panel.event_factors[rows][:, abnormal.weights(drop) > 0, 0].sum(axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        vol_ratio = np.log(_spread(recent) / _spread(errors))
    return np.column_stack(
        [fall.s, vol_ratio, run_up, portfolios.total(weight * np.nan_to_num(market)), portfolios.day0 / 365.25]
    )


def daily_returns(portfolios: ShockPortfolios, fall: Fall, *, before: int) -> Floats:
    """Abnormal returns of the estimation window and of the event days before one, (K, days)."""
    abnormal = portfolios.abnormal
    lately = abnormal.ar[portfolios.members][:, abnormal.tau < before]
    return np.concatenate([fall.peers.residual, _mean(portfolios, fall.peers.weight, lately)], axis=1)


def _mean(portfolios: ShockPortfolios, weight: Floats, values: Floats) -> Floats:
    """Weighted mean over the peers that have the day, (K, days); NaN where none has."""
    known = np.isfinite(values)
    share = portfolios.total(weight[:, None] * known)
    total = portfolios.total(weight[:, None] * np.where(known, values, 0.0))
    return np.where(share > 0, total / np.where(share > 0, share, 1.0), np.nan)


def _spread(values: Floats) -> Floats:
    """Standard deviation over the days that are known, (K,)."""
    known = np.isfinite(values)
    count = np.maximum(known.sum(axis=1), 1)
    level = np.where(known, values, 0.0).sum(axis=1) / count
    squares = np.where(known, values - level[:, None], 0.0) ** 2
    spread: Floats = np.sqrt(squares.sum(axis=1) / np.maximum(count - 1, 1))
    return spread


def screen(history: History, tickers: Sequence[str], days: Counts, config: StudyConfig) -> Screened:
    """Look at every day of the history at once with rolling market models.

    The screen always uses the market model; what passes it is then estimated as the study's own events.
    """
    windows = config.windows
    car = np.full((len(days), len(tickers)), np.nan)
    post = np.full((len(days), len(tickers)), np.nan)
    region = {market.mic: market.region for market in config.markets}
    markets = [history.market_of(ticker) for ticker in tickers]
    for market in {market.mic: market for market in markets}.values():
        listed = np.flatnonzero([other.mic == market.mic for other in markets])
        columns = [market.tickers.index(tickers[int(i)]) for i in listed]
        returns = market.returns[:, columns]
        fit = rolling_fit(returns, market.market_return, ~history.excluded[market.mic][:, columns], windows.estimation)
        rows = np.searchsorted(day_codes(market.sessions), days)
        known = rows < len(market.sessions)
        for target, window, alpha in ((car, windows.drop, True), (post, windows.post, False)):
            every = rolling_car(returns, market.market_return, fit, window, minimum=windows.minimum, alpha=alpha)
            target[np.ix_(known, listed)] = every[rows[known]]
    names = np.array([region[market.mic] for market in markets])
    return Screened(car, post, _portfolio_weights(np.isfinite(car) & np.isfinite(post), names), names)


@dataclass(frozen=True, slots=True)
class Screened:
    """CARs of every day × peer, (D, n), with the weights of a market-balanced portfolio of the complete."""

    car_drop: Floats
    car_post: Floats
    weight: Floats
    region: Texts

    def drop(self) -> Floats:
        """Portfolio CAR of the drop window, (D,); NaN without peers."""
        total = (self.weight * np.where(self.weight > 0, self.car_drop, 0.0)).sum(axis=1)
        return np.where(self.weight.sum(axis=1) > 0, total, np.nan)

    def complete(self) -> Bools:
        """Days with at least half the peers and one of every region, (D,)."""
        known = self.weight > 0
        enough: Bools = known.mean(axis=1) >= SHARE_OF_PEERS
        for name in np.unique(self.region):
            enough &= known[:, self.region == name].any(axis=1)
        return enough

    def share_negative(self) -> Floats:
        """Share of the portfolio's peers that fell, (D,)."""
        known = self.weight > 0
        fell = (known & (np.nan_to_num(self.car_drop) < 0)).sum(axis=1)
        share: Floats = fell / np.maximum(known.sum(axis=1), 1)
        return share


def _portfolio_weights(complete: Bools, region: Texts) -> Floats:
    weight = np.zeros(complete.shape)
    for name in np.unique(region):
        columns = region == name
        count = complete[:, columns].sum(axis=1, keepdims=True)
        weight[:, columns] = complete[:, columns] / np.maximum(count, 1)
    total = weight.sum(axis=1, keepdims=True)
    even: Floats = weight / np.where(total > 0, total, 1.0)
    return even


def portfolios_at(history: History, wanted: Mapping[int, Sequence[str]]) -> Iterator[ShockPortfolios]:
    """Yield the portfolios of peers by day, named by it, some thousands of firm-events at a time."""
    every = [PeerDay(f"{day:06d}", tuple(tickers), day) for day, tickers in sorted(wanted.items())]
    part = np.cumsum([len(item.tickers) for item in every]) // CHUNK
    for _, items in itertools.groupby(zip(every, part, strict=True), key=lambda pair: pair[1]):
        yield history.portfolios(history.requests([item for item, _ in items]))


def pool_of(history: History, tickers: Sequence[str], days: Counts, config: StudyConfig) -> Pool:
    """Estimate a peer set's portfolio at each of these days as the study estimates its events."""
    windows, grids, parts = config.windows, history.grids(tickers), [empty_pool()]
    for portfolios in portfolios_at(history, dict.fromkeys(days.tolist(), tickers)):
        fall = fall_of(portfolios, windows.drop)
        own, post = traits(portfolios, windows.drop, fall=fall), portfolios.car(windows.post)
        day = portfolios.shock_id.astype(np.int64)
        parts.append(Pool(day, fall.car, post, own, fall.qualifies(config.reversal), grids))
    joined: dict[str, NDArray[Any]] = {name: np.concatenate([getattr(p, name) for p in parts]) for name in ARRAYS}
    pool = Pool(**joined, grids=grids)
    return pool.take(np.isfinite(pool.car_post) & np.isfinite(pool.traits).all(axis=1))


def distances(target: Floats, pool: Floats, scale: Floats, *, wide: float = 1.0) -> Floats:
    """Standardised distance of each candidate to a shock, infinite outside the calipers, (P,).

    ``scale`` (V,) turns a difference into calipers: one is the edge, ``wide`` moves it.
    """
    gap = np.abs(pool - target) / scale
    return np.where((gap <= wide).all(axis=1), np.sqrt((gap**2).sum(axis=1)), np.inf)


def caliper_scale(pool: Floats) -> Floats:
    """Widest difference allowed in each variable, (V,): fixed for S and years, in sd for the others."""
    spread = pool.std(axis=0, ddof=1) if len(pool) > 1 else np.ones(len(VARIABLES))
    spread = np.where(spread > 0, spread, 1.0)
    spread[[VARIABLES.index("s_drop"), VARIABLES.index("year")]] = 1.0
    scale: Floats = CALIPERS * spread
    return scale


@dataclass(frozen=True, slots=True)
class Matched:
    """The dates matched to one shock: rows of its pool, nearest first, with their distances."""

    rows: Places
    distance: Floats
    widened: bool


def match(targets: Floats, pools: Sequence[Pool], *, many: bool) -> list[Matched]:
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
    scales = [caliper_scale(pool.traits) for pool in pools]
    chosen: list[list[int]] = [[] for _ in pools]
    widened = [False] * len(pools)
    taken: list[int] = []
    for wide in (1.0, 2.0):
        hungry = [k for k in range(len(pools)) if wide == 1.0 or len(chosen[k]) < FEWEST_MATCHES]
        for k in hungry:
            widened[k] = wide > 1.0
        queue = {k: distances(targets[k], pools[k].traits, scales[k], wide=wide) for k in hungry}
        _take_turns(pools, queue, chosen, taken, MATCHES_MANY if many else MATCHES_FEW)
    matched = []
    for k, pool in enumerate(pools):
        rows = np.array(chosen[k], dtype=np.intp)
        gap = distances(targets[k], pool.traits, scales[k], wide=np.inf)[rows]
        order = np.argsort(gap, kind="stable")
        matched.append(Matched(rows[order], gap[order], widened[k]))
    return matched


def _take_turns(
    pools: Sequence[Pool], queue: Mapping[int, Floats], chosen: list[list[int]], taken: list[int], most: int
) -> None:
    """Let the shocks pick one date each in turn until none finds another."""
    free = {k: np.isfinite(gaps) & far_from(pools[k].day, taken, pools[k].grids) for k, gaps in queue.items()}
    picking = list(queue)
    while picking:
        for k in list(picking):
            open_rows = np.flatnonzero(free[k])
            if not len(open_rows) or len(chosen[k]) >= most:
                picking.remove(k)
                continue
            row = int(open_rows[np.argmin(queue[k][open_rows])])
            chosen[k].append(row)
            taken.append(int(pools[k].day[row]))
            for j in queue:
                free[j] &= sessions_apart(pools[j].day, taken[-1], pools[j].grids) >= APART


def sessions_apart(days: Counts, other: int, grids: Sequence[Counts]) -> Counts:
    """Sessions between each day and another one, on the exchange where they are fewest, (P,)."""
    apart = np.full(len(days), np.iinfo(np.int64).max)
    for grid in grids:
        gap = np.abs(np.searchsorted(grid, days) - np.searchsorted(grid, other))
        apart = np.minimum(apart, gap)
    return apart


def far_from(days: Counts, others: Iterable[int], grids: Sequence[Counts], sessions: int = APART) -> Bools:
    """Which days lie at least so many sessions from every other one, on every exchange, (P,)."""
    far = np.ones(len(days), dtype=bool)
    for other in others:
        far &= sessions_apart(days, other, grids) >= sessions
    return far


@dataclass(frozen=True, slots=True)
class Benchmarks:
    """What each of K shocks is held against.

    Attributes
    ----------
    pools : tuple of Pool
        Candidates of each shock's peer set, empty for shocks that were not searched for.
    matched : tuple of Matched
        Tier P1, rows of the pools.
    every_day : tuple of Pool
        Tier P0: days 21 sessions apart, drops or not.
    reasons : tuple of Reason
        Why a shock has no valid benchmark, else empty.
    """

    pools: tuple[Pool, ...]
    matched: tuple[Matched, ...]
    every_day: tuple[Pool, ...]
    reasons: tuple[Reason, ...]

    def placebos(self, k: int) -> Floats:
        """Post-drop CARs of a shock's matched placebos; none without a valid benchmark."""
        return np.zeros(0) if self.reasons[k] else self.pools[k].car_post[self.matched[k].rows]

    def placebo_traits(self, k: int) -> Floats:
        """Traits of a shock's matched placebos, (M, V)."""
        return self.pools[k].traits[self.matched[k].rows]

    def days(self, k: int) -> Counts:
        """Dates of a shock's matched placebos."""
        return self.pools[k].day[self.matched[k].rows]

    def days_of(self, mask: Bools | None = None) -> list[Counts]:
        """Dates of every shock's matched placebos; none for shocks that are not marked or have no benchmark."""
        mask = np.array([not why for why in self.reasons], dtype=bool) if mask is None else mask
        return [self.days(k) if marked else np.zeros(0, dtype=np.int64) for k, marked in enumerate(mask)]

    def shared(self, mask: Bools) -> int:
        """Count the dates that are placebos of more than one of the marked shocks."""
        days = [self.days(int(k)) for k in np.flatnonzero(mask)]
        _, times = np.unique(np.concatenate(days), return_counts=True) if days else ((), np.zeros(0))
        return int((times > 1).sum())


def benchmarks(
    history: History,
    drops: Drops,
    traits: Floats,
    tickers: Sequence[tuple[str, ...]],
    event_days: Mapping[str, Counts],
    config: StudyConfig,
    *,
    label: Texts,
    case: int | None,
) -> Benchmarks:
    """Search the history for placebos of every qualifying shock, and of one that need not qualify.

    No date serves two shocks of one label. It may serve shocks of different labels: these stand together
    in the verdict on all drops alone, whose permutation takes their sets for independent although they
    share such dates (`Benchmarks.shared` counts them), and may so reject too often.

    Parameters
    ----------
    traits : (K, V)
        Of the shocks.
    tickers
        Peers in each shock's portfolio: a placebo is a fall of the same ones.
    event_days
        By peer the days of the events that bear on it: placebos keep 21 sessions away.
    label : (K,)
        Labels of the shocks.
    case
        Shock shown as a case study. Where it is no qualifying drop it may match any falling day.
    """
    count = len(tickers)
    wanted = [k for k in range(count) if drops.qualifies[k] and np.isfinite(drops.post[k])]
    candidates = {
        key: _candidates(history, key, event_days, config, case=False) for key in {tickers[k] for k in wanted}
    }
    nothing = empty_pool()
    pools = [candidates[tickers[k]][0] if k in wanted else nothing for k in range(count)]
    every_day = [candidates[tickers[k]][1] if k in wanted else nothing for k in range(count)]
    matched = [Matched(np.zeros(0, dtype=np.intp), np.zeros(0), False)] * count
    for name in dict.fromkeys(label[wanted].tolist()):
        alike = [k for k in wanted if label[k] == name]
        sets = match(traits[alike], [pools[k] for k in alike], many=len(alike) >= MANY_SHOCKS)
        for k, own in zip(alike, sets, strict=True):
            matched[k] = own
    if case is not None and case not in wanted:
        pools[case], every_day[case] = _candidates(history, tickers[case], event_days, config, case=True)
        matched[case] = match(traits[[case]], [pools[case]], many=False)[0]
        wanted.append(case)
    reasons = [Reason("benchmark.no_drop")] * count
    for k in wanted:
        n = len(matched[k].rows)
        reasons[k] = Reason() if n >= FEWEST_MATCHES else Reason("benchmark.few", n=n, fewest=FEWEST_MATCHES)
    return Benchmarks(tuple(pools), tuple(matched), tuple(every_day), tuple(reasons))


def _candidates(
    history: History, tickers: tuple[str, ...], event_days: Mapping[str, Counts], config: StudyConfig, *, case: bool
) -> tuple[Pool, Pool]:
    """Comparable falls of a peer set, and days at regular distance whatever happened on them."""
    days, grids = history.days(tickers), history.grids(tickers)
    screened = screen(history, tickers, days, config)
    usable = screened.complete() & far_from(days, event_days[tickers[0]].tolist(), grids)
    rule = config.reversal
    drop = np.nan_to_num(screened.drop(), nan=np.inf)
    falls = usable & ((drop < 0) if case else (drop <= -rule.drop_min))
    if not case:
        falls &= screened.share_negative() >= rule.share_negative
    regular = _spaced(days, usable, grids)
    pool = pool_of(history, tickers, days[falls | regular], config)
    falling = pool.car_drop < 0 if case else pool.qualifies
    return pool.take(falling & np.isin(pool.day, days[falls])), pool.take(np.isin(pool.day, days[regular]))


def _spaced(days: Counts, usable: Bools, grids: Sequence[Counts]) -> Bools:
    """Mark usable days so that neighbours are 21 sessions apart on every exchange, from the first one on."""
    marks = np.zeros(len(days), dtype=bool)
    positions = np.column_stack([np.searchsorted(grid, days) for grid in grids])
    last = np.full(len(grids), -APART)
    for row in np.flatnonzero(usable):
        if (positions[row] - last >= APART).all():
            marks[row], last = True, positions[row]
    return marks


def placebo_rows(
    benchmarks: Benchmarks, drops: Drops, traits: Floats, genuine: Bools, news_days: Counts
) -> list[Placebo]:
    """List the dates of all four tiers of every shock that was searched for.

    ``genuine`` marks the shocks whose label says that the news was true (tier P2); ``news_days`` are
    the days of known news besides the events (tier P3 keeps five sessions away).
    """
    rows: list[Placebo] = []
    true_news = genuine & drops.qualifies & np.isfinite(drops.post)
    for k, shock in enumerate(drops.shock_id.tolist()):
        pool, matched, every_day = benchmarks.pools[k], benchmarks.matched[k], benchmarks.every_day[k]
        if not len(pool):
            continue
        at_all = np.arange(len(every_day))
        rows += _listed(shock, "P0", every_day, Matched(at_all, np.full(len(every_day), np.nan), False))
        rows += _listed(shock, "P1", pool, matched)
        others = np.flatnonzero(true_news & (np.arange(len(true_news)) != k))
        gaps = distances(traits[k], traits[others], caliper_scale(pool.traits), wide=2.0)
        near = [i for i in np.argsort(gaps, kind="stable") if np.isfinite(gaps[i])]
        shocks = Pool(drops.day0.astype(np.int64), drops.drop, drops.post, traits, drops.qualifies, ())
        rows += _listed(shock, "P2", shocks, Matched(others[near], gaps[near], True))
        quiet = far_from(benchmarks.days(k), news_days.tolist(), pool.grids, NO_NEWS + 1)
        rows += _listed(shock, "P3", pool, Matched(matched.rows[quiet], matched.distance[quiet], matched.widened))
    return rows


def _listed(shock: str, tier: str, pool: Pool, matched: Matched) -> Iterator[Placebo]:
    """One row a matched date of a pool."""
    for row, distance in zip(matched.rows.tolist(), matched.distance.tolist(), strict=True):
        s_drop, vol_ratio, run_up, market, _ = pool.traits[row].tolist()
        yield Placebo(
            shock_id=shock,
            tier=tier,
            day=int(pool.day[row]),
            s_drop=s_drop,
            car_drop=float(pool.car_drop[row]),
            car_post=float(pool.car_post[row]),
            vol_ratio=vol_ratio,
            run_up=run_up,
            market_return=market,
            distance=distance,
            widened=matched.widened,
        )


def balance(targets: Floats, matched: Sequence[Floats]) -> list[dict[str, float | str]]:
    """Compare shocks and their placebos in every matching variable.

    Notes
    -----
    Each shock counts once, each of its placebos 1/M. The standardised mean difference is the
    difference over the root of the mean of both variances; a single shock has none, so the placebos'
    variance stands for both (Austin 2009). Below 0.1 is called balanced, above 0.25 is not.
    """
    if not matched:
        return []
    rows: list[dict[str, float | str]] = []
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
