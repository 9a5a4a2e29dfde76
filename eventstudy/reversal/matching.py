"""The benchmark of every shock: its matched placebo drops, and portfolios of both by one estimator."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from eventstudy.core.abnormal import ShockPortfolios, Window
from eventstudy.core.windows import Request
from eventstudy.messages import say
from eventstudy.reversal.drops import Drops
from eventstudy.reversal.history import History, PeerDay
from eventstudy.reversal.placebo import (
    APART,
    FEWEST_MATCHES,
    MANY_SHOCKS,
    NO_NEWS,
    Matched,
    Placebo,
    Pool,
    caliper_scale,
    distances,
    empty_pool,
    far_from,
    match,
    pool_of,
    screen,
)


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
    reasons : tuple of str
        Why a shock has no valid benchmark, else empty.
    """

    pools: tuple[Pool, ...]
    matched: tuple[Matched, ...]
    every_day: tuple[Pool, ...]
    reasons: tuple[str, ...]

    def placebos(self, k: int) -> NDArray[np.float64]:
        """Post-drop CARs of a shock's matched placebos; none without a valid benchmark."""
        return np.zeros(0) if self.reasons[k] else self.pools[k].car_post[self.matched[k].rows]

    def placebo_traits(self, k: int) -> NDArray[np.float64]:
        """Traits of a shock's matched placebos, (M, V)."""
        return self.pools[k].traits[self.matched[k].rows]

    def days(self, k: int) -> NDArray[np.int64]:
        """Dates of a shock's matched placebos."""
        return self.pools[k].day[self.matched[k].rows]

    def shared(self, mask: NDArray[np.bool_]) -> int:
        """Count the dates that are placebos of more than one of the marked shocks."""
        days = [self.days(int(k)) for k in np.flatnonzero(mask)]
        _, times = np.unique(np.concatenate(days), return_counts=True) if days else ((), np.zeros(0))
        return int((times > 1).sum())


def benchmarks(
    history: History,
    judged: Drops,
    traits: NDArray[np.float64],
    tickers: Sequence[tuple[str, ...]],
    event_days: NDArray[np.int64],
    *,
    label: NDArray[np.str_],
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
    event_days : (E,)
        Days of all events of the file: placebos keep 21 sessions away.
    label : (K,)
        Labels of the shocks.
    case
        Shock shown as a case study. Where it is no qualifying drop it may match any falling day.
    """
    wanted = [k for k in range(len(tickers)) if judged.qualifies[k] and np.isfinite(judged.post[k])]
    found = {key: _candidates(history, key, event_days, case=False) for key in {tickers[k] for k in wanted}}
    nothing = empty_pool()
    pools = [found[tickers[k]][0] if k in wanted else nothing for k in range(len(tickers))]
    every_day = [found[tickers[k]][1] if k in wanted else nothing for k in range(len(tickers))]
    chosen = [Matched(np.zeros(0, dtype=np.intp), np.zeros(0), False)] * len(tickers)
    for name in dict.fromkeys(label[wanted].tolist()):
        alike = [k for k in wanted if label[k] == name]
        sets = match(traits[alike], [pools[k] for k in alike], many=len(alike) >= MANY_SHOCKS)
        for k, matched in zip(alike, sets, strict=True):
            chosen[k] = matched
    if case is not None and case not in wanted:
        pools[case], every_day[case] = _candidates(history, tickers[case], event_days, case=True)
        chosen[case] = match(traits[[case]], [pools[case]], many=False)[0]
        wanted.append(case)
    reasons = []
    for k, matched in enumerate(chosen):
        few = say("benchmark.few", n=len(matched.rows), fewest=FEWEST_MATCHES)
        none = few if k in wanted else say("benchmark.no_drop")
        reasons.append("" if len(matched.rows) >= FEWEST_MATCHES else none)
    return Benchmarks(tuple(pools), tuple(chosen), tuple(every_day), tuple(reasons))


def _candidates(
    history: History, tickers: tuple[str, ...], event_days: NDArray[np.int64], *, case: bool
) -> tuple[Pool, Pool]:
    """Comparable falls of a peer set, and days at regular distance whatever happened on them."""
    days = history.days(tickers)
    grids = history.grids(tickers)
    screened = screen(history, tickers, days)
    usable = screened.complete() & far_from(days, event_days.tolist(), grids)
    rule = history.config.reversal
    drop = np.nan_to_num(screened.drop(), nan=np.inf)
    falls = usable & ((drop < 0) if case else (drop <= -rule.drop_min))
    if not case:
        falls &= screened.share_negative() >= rule.share_negative
    regular = _spaced(days, usable, grids)
    pool = pool_of(history, tickers, days[falls | regular])
    is_regular = np.isin(pool.day, days[regular])
    falling = pool.car_drop < 0 if case else pool.qualifies
    return pool.take(falling & np.isin(pool.day, days[falls])), pool.take(is_regular)


def _spaced(
    days: NDArray[np.int64], usable: NDArray[np.bool_], grids: Sequence[NDArray[np.int64]]
) -> NDArray[np.bool_]:
    """Mark usable days so that neighbours are 21 sessions apart on every exchange, from the first one on."""
    marks = np.zeros(len(days), dtype=bool)
    positions = np.column_stack([np.searchsorted(grid, days) for grid in grids])
    last = np.full(len(grids), -APART)
    for row in np.flatnonzero(usable):
        if (positions[row] - last >= APART).all():
            marks[row], last = True, positions[row]
    return marks


def placebo_rows(
    found: Benchmarks,
    judged: Drops,
    traits: NDArray[np.float64],
    genuine: NDArray[np.bool_],
    news_days: NDArray[np.int64],
) -> list[Placebo]:
    """List the dates of all four tiers of every shock that was searched for.

    ``genuine`` marks the shocks whose label says that the news was true (tier P2); ``news_days`` are
    the days of known news besides the events (tier P3 keeps five sessions away).
    """
    rows: list[Placebo] = []
    for k, shock in enumerate(judged.shock_id):
        pool = found.pools[k]
        if not len(pool):
            continue
        rows += [_row(str(shock), "P0", found.every_day[k], i) for i in range(len(found.every_day[k]))]
        rows += _matched_rows(str(shock), "P1", pool, found.matched[k])
        rows += _genuine_rows(k, judged, traits, genuine, pool)
        quiet = far_from(found.days(k), news_days.tolist(), pool.grids, NO_NEWS + 1)
        matched = found.matched[k]
        rows += _matched_rows(
            str(shock), "P3", pool, Matched(matched.rows[quiet], matched.distance[quiet], matched.widened)
        )
    return rows


def _matched_rows(shock: str, tier: str, pool: Pool, matched: Matched) -> list[Placebo]:
    pairs = zip(matched.rows.tolist(), matched.distance.tolist(), strict=True)
    return [_row(shock, tier, pool, row, gap, widened=matched.widened) for row, gap in pairs]


def _row(
    shock: str, tier: str, pool: Pool, row: int, distance: float = float("nan"), *, widened: bool = False
) -> Placebo:
    s_drop, vol_ratio, run_up, market, _ = pool.traits[row].tolist()
    return Placebo(
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
        widened=widened,
    )


def _genuine_rows(
    k: int, judged: Drops, traits: NDArray[np.float64], genuine: NDArray[np.bool_], pool: Pool
) -> list[Placebo]:
    """Other shocks' drops on true news within the wide calipers of a shock, nearest first."""
    others = np.flatnonzero(genuine & judged.qualifies & np.isfinite(judged.post))
    others = others[others != k]
    gaps = distances(traits[k], traits[others], caliper_scale(pool.traits), wide=2.0)
    rows = []
    for i in np.argsort(gaps, kind="stable"):
        if np.isfinite(gaps[i]):
            j = int(others[i])
            s_drop, vol_ratio, run_up, market, _ = traits[j].tolist()
            rows.append(
                Placebo(
                    shock_id=str(judged.shock_id[k]),
                    tier="P2",
                    day=int(judged.day0[j]),
                    s_drop=s_drop,
                    car_drop=float(judged.drop[j]),
                    car_post=float(judged.post[j]),
                    vol_ratio=vol_ratio,
                    run_up=run_up,
                    market_return=market,
                    distance=float(gaps[i]),
                    widened=True,
                )
            )
    return rows


@dataclass(frozen=True, slots=True)
class MatchedSets:
    """Portfolios of shocks and of their placebos, formed by one estimator.

    ``event`` (K,) and the arrays in ``placebos`` are rows of ``portfolios``; a shock that could not be
    formed has row -1 and no placebos.
    """

    portfolios: ShockPortfolios
    event: NDArray[np.intp]
    placebos: tuple[NDArray[np.intp], ...]

    def car(self, window: Window) -> tuple[NDArray[np.float64], list[NDArray[np.float64]]]:
        """CARs of the shocks (K,) and of each one's placebos."""
        return self.split(self.portfolios.car(window))

    def bhar(self, window: Window) -> tuple[NDArray[np.float64], list[NDArray[np.float64]]]:
        """Buy-and-hold abnormal returns of the same."""
        portfolios = self.portfolios
        weight = portfolios.peer_weights(window)
        value = np.nan_to_num(portfolios.abnormal.bhar(window)[portfolios.members])
        total = portfolios.total(weight * value)
        return self.split(np.where(portfolios.total(weight) > 0, total, np.nan))

    def split(self, values: NDArray[np.float64]) -> tuple[NDArray[np.float64], list[NDArray[np.float64]]]:
        """Values of the portfolios as those of the shocks and of each one's placebos; NaN ones go."""
        events = np.where(self.event >= 0, values[self.event], np.nan)
        return events, [values[rows][np.isfinite(values[rows])] for rows in self.placebos]


def matched_sets(
    history: History,
    own: Mapping[str, Sequence[Request]],
    shocks: Sequence[str],
    tickers: Sequence[tuple[str, ...]],
    days: Sequence[NDArray[np.int64]],
    *,
    alpha: str | None = None,
) -> MatchedSets:
    """Form the portfolios of shocks and placebos anew, under whatever settings ``history`` has.

    ``own`` holds the shocks' firm-events; ``days`` the placebo dates of each shock.
    """
    wanted = [PeerDay(f"{shock}@{day}", tickers[k], int(day)) for k, shock in enumerate(shocks) for day in days[k]]
    requests = {mic: list(rows) for mic, rows in own.items()}
    for mic, rows in history.requests(wanted).items():
        requests.setdefault(mic, []).extend(rows)
    portfolios = history.portfolios(requests, alpha=alpha)
    at = {str(name): row for row, name in enumerate(portfolios.shock_id)}
    return MatchedSets(
        portfolios,
        np.array([at.get(shock, -1) for shock in shocks], dtype=np.intp),
        tuple(_rows_of(at, (f"{shock}@{day}" for day in days[k])) for k, shock in enumerate(shocks)),
    )


def _rows_of(at: Mapping[str, int], names: Iterable[str]) -> NDArray[np.intp]:
    return np.array([at[name] for name in names if name in at], dtype=np.intp)
