"""Matched control drops: similar falls of the same peers on other dates."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from eventstudy.config import StudyConfig, Window
from eventstudy.core.abnormal import ShockPortfolios
from eventstudy.core.arrays import Bools, Counts, Floats, Places, Texts
from eventstudy.core.windows import Request
from eventstudy.errors import Reason
from eventstudy.reversal.controls import Screened, deviation_of, far_from, sessions_apart
from eventstudy.reversal.drops import VARIABLES, PeerDrops
from eventstudy.reversal.estimator import APART
from eventstudy.reversal.history import History, PeerDay, as_kind
from eventstudy.reversal.permutation import excess

#: Calipers: largest difference in each of `VARIABLES`: S in standard errors, time in years, the others in
#: standard deviations over the candidates.
CALIPERS = np.array([0.5, 1.0, 1.0, 1.0, 3.0])
#: Smallest number of matches for a valid comparison.
FEWEST_MATCHES = 5
#: Number of matches for each shock if many, and if few, shocks share the history.
MATCHES_MANY, MATCHES_FEW, MANY_SHOCKS = 10, 40, 6
#: Sessions without any known event around a no-news drop.
NO_NEWS = 5
#: Definitions of a shock's excess: summed or compounded returns, and other intercepts of the model.
VARIANTS = ("simple", "log", "bhar", "alpha_zero", "alpha_estimated")


@dataclass(frozen=True, slots=True, kw_only=True)
class Placebo:
    """One control date of a shock. ``distance`` is NaN if it was not matched (tier P0)."""

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


def distances(target: Floats, pool: Floats, scale: Floats, *, wide: float = 1.0) -> Floats:
    """Standardised distance of each candidate to a shock, infinite outside the calipers, (P,).

    ``scale`` (V,) converts a difference into calipers; the limit is one, times ``wide``.
    """
    gap = np.abs(pool - target) / scale
    return np.where((gap <= wide).all(axis=1), np.sqrt((gap**2).sum(axis=1)), np.inf)


def caliper_scale(pool: Floats) -> Floats:
    """Largest difference in each variable, (V,): fixed for S and years, in standard deviations for the others."""
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


def match(
    targets: Floats, pools: Sequence[PeerDrops], grids: Sequence[Sequence[Counts]], *, many: bool
) -> list[Matched]:
    """Match each shock with its nearest candidates; a date is used for only one shock.

    Parameters
    ----------
    targets : (K, V)
        Traits of the shocks, ``pools`` their candidates, ``grids`` the sessions of their exchanges.
    many
        Whether six or more shocks share the history: then 10 matches for each shock, else up to 40.

    Notes
    -----
    Shocks take turns; each takes the nearest remaining date within its calipers that is at least 21 sessions from all
    dates taken. For a shock with fewer than five matches the calipers are doubled once.
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
        _take_turns(pools, grids, queue, chosen, taken, MATCHES_MANY if many else MATCHES_FEW)
    matched = []
    for k, pool in enumerate(pools):
        rows = np.array(chosen[k], dtype=np.intp)
        gap = distances(targets[k], pool.traits, scales[k], wide=np.inf)[rows]
        order = np.argsort(gap, kind="stable")
        matched.append(Matched(rows[order], gap[order], widened[k]))
    return matched


def _take_turns(
    pools: Sequence[PeerDrops],
    grids: Sequence[Sequence[Counts]],
    queue: Mapping[int, Floats],
    chosen: list[list[int]],
    taken: list[int],
    most: int,
) -> None:
    """Let the shocks pick one date each in turn until none finds another."""
    free = {k: np.isfinite(gaps) & far_from(pools[k].day, taken, grids[k]) for k, gaps in queue.items()}
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
                free[j] &= sessions_apart(pools[j].day, taken[-1], grids[j]) >= APART


@dataclass(frozen=True, slots=True)
class Benchmarks:
    """Matched control drops of K shocks.

    Attributes
    ----------
    pools : tuple of PeerDrops
        Candidates of each shock's peer set, empty for shocks that were not searched for.
    matched : tuple of Matched
        Tier P1, rows of the pools.
    every_day : tuple of PeerDrops
        Tier P0: days 21 sessions apart, drops or not.
    grids
        Sessions of each exchange of the shocks' peers, by which distances are counted.
    reasons : tuple of Reason
        Why a shock has no valid comparison, else empty.
    """

    pools: tuple[PeerDrops, ...]
    matched: tuple[Matched, ...]
    every_day: tuple[PeerDrops, ...]
    grids: tuple[tuple[Counts, ...], ...]
    reasons: tuple[Reason, ...]

    def placebos(self, k: int) -> Floats:
        """Post-drop CARs of a shock's matched control drops; empty without a valid comparison."""
        return np.zeros(0) if self.reasons[k] else self.pools[k].post[self.matched[k].rows]

    def placebo_traits(self, k: int) -> Floats:
        """Characteristics of a shock's matched control drops, (M, V)."""
        return self.pools[k].traits[self.matched[k].rows]

    def days(self, k: int) -> Counts:
        """Dates of a shock's matched control drops."""
        return self.pools[k].day[self.matched[k].rows]

    def days_of(self, mask: Bools | None = None) -> list[Counts]:
        """Dates of the matched control drops of each shock; empty for unmarked shocks and those without a
        comparison."""
        mask = np.array([not why for why in self.reasons], dtype=bool) if mask is None else mask
        return [self.days(k) if marked else np.zeros(0, dtype=np.int64) for k, marked in enumerate(mask)]

    def shared(self, mask: Bools) -> int:
        """Count the dates that are control drops of more than one of the marked shocks."""
        days = [self.days(int(k)) for k in np.flatnonzero(mask)]
        _, times = np.unique(np.concatenate(days), return_counts=True) if days else ((), np.zeros(0))
        return int((times > 1).sum())


def benchmarks(
    own: PeerDrops,
    tickers: Sequence[tuple[str, ...]],
    past: Mapping[tuple[str, ...], PeerDrops],
    searched: Mapping[int, PlaceboDays],
    history: History,
    *,
    label: Texts,
    case: int | None,
) -> Benchmarks:
    """Match control drops to every qualifying shock, and to the case study.

    A date is used for only one shock of a label, but possibly for shocks of different labels. These are combined only
    in the verdict on all drops. Its permutation test treats the sets as independent although they share dates
    (`Benchmarks.shared` counts them), so it may reject too often.

    Parameters
    ----------
    own
        Drops of the K shocks.
    tickers
        Peers in each shock's portfolio; a control drop is a fall of the same peers.
    past
        Portfolios of these peers on days of the history, which include the days in ``searched``.
    searched
        Days by index of the shock, for shocks that get control drops.
    label : (K,)
        Labels of the shocks.
    case
        Shock shown as a case study. If it is no qualifying drop, it may be matched with any falling day.
    """
    count = len(tickers)
    grids = tuple(history.grids(names) for names in tickers)
    wanted = [k for k in searched if own.qualifies[k] and np.isfinite(own.post[k])]
    pools, every_day = [PeerDrops.none()] * count, [PeerDrops.none()] * count
    for k, days in searched.items():
        pool = past[tickers[k]]
        pool = pool.take(np.isfinite(pool.post) & np.isfinite(pool.traits).all(axis=1))
        falling = pool.qualifies if k in wanted else pool.drop < 0
        pools[k] = pool.take(falling & np.isin(pool.day, days.falls))
        every_day[k] = pool.take(np.isin(pool.day, days.regular))
    matched = [Matched(np.zeros(0, dtype=np.intp), np.zeros(0), False)] * count
    for name in dict.fromkeys(label[wanted].tolist()):
        alike = [k for k in wanted if label[k] == name]
        sets = match(
            own.traits[alike], [pools[k] for k in alike], [grids[k] for k in alike], many=len(alike) >= MANY_SHOCKS
        )
        for k, found in zip(alike, sets, strict=True):
            matched[k] = found
    if case is not None and case not in wanted:
        matched[case] = match(own.traits[[case]], [pools[case]], [grids[case]], many=False)[0]
    reasons = [Reason("benchmark.no_drop")] * count
    for k in searched:
        n = len(matched[k].rows)
        reasons[k] = Reason() if n >= FEWEST_MATCHES else Reason("benchmark.few", n=n, fewest=FEWEST_MATCHES)
    return Benchmarks(tuple(pools), tuple(matched), tuple(every_day), grids, tuple(reasons))


@dataclass(frozen=True, slots=True)
class PlaceboDays:
    """Days of a peer set's history: candidate falls, and all days at regular distances (tier P0)."""

    falls: Counts
    regular: Counts


def placebo_days(screened: Screened, history: History, events: Counts, *, falling: bool) -> PlaceboDays:
    """Search the days of a peer set away from its events for drops, or for all days on which it fell."""
    rule, drop, grids = history.config.reversal, screened.drop(), history.grids(screened.tickers)
    usable = screened.complete() & far_from(screened.days, events.tolist(), grids)
    alike = drop < 0 if falling else (drop <= -rule.drop_min) & (screened.share_negative() >= rule.share_negative)
    return PlaceboDays(screened.days[usable & alike], screened.days[_spaced(screened.days, usable, grids)])


def _spaced(days: Counts, usable: Bools, grids: Sequence[Counts]) -> Bools:
    """Mark usable days, from the first one on, that are 21 sessions apart on every exchange."""
    marks = np.zeros(len(days), dtype=bool)
    positions = np.column_stack([np.searchsorted(grid, days) for grid in grids])
    last = np.full(len(grids), -APART)
    for row in np.flatnonzero(usable):
        if (positions[row] - last >= APART).all():
            marks[row], last = True, positions[row]
    return marks


def placebo_rows(
    benchmarks: Benchmarks, shock_id: Texts, own: PeerDrops, genuine: Bools, news_days: Counts
) -> list[Placebo]:
    """List the dates of all four tiers of every searched shock.

    ``own`` are the shocks' drops, ``genuine`` marks the shocks whose label says that the news was true (tier P2);
    ``news_days`` are the days of known news besides the events (tier P3 keeps five sessions away).
    """
    rows: list[Placebo] = []
    true_news = genuine & own.qualifies & np.isfinite(own.post)
    for k, shock in enumerate(shock_id.tolist()):
        pool, matched, every_day = benchmarks.pools[k], benchmarks.matched[k], benchmarks.every_day[k]
        if not len(pool):
            continue
        at_all = np.arange(len(every_day))
        rows += _listed(shock, "P0", every_day, Matched(at_all, np.full(len(every_day), np.nan), False))
        rows += _listed(shock, "P1", pool, matched)
        others = np.flatnonzero(true_news & (np.arange(len(true_news)) != k))
        gaps = distances(own.traits[k], own.traits[others], caliper_scale(pool.traits), wide=2.0)
        near = [i for i in np.argsort(gaps, kind="stable") if np.isfinite(gaps[i])]
        rows += _listed(shock, "P2", own, Matched(others[near], gaps[near], True))
        quiet = far_from(benchmarks.days(k), news_days.tolist(), benchmarks.grids[k], NO_NEWS + 1)
        rows += _listed(shock, "P3", pool, Matched(matched.rows[quiet], matched.distance[quiet], matched.widened))
    return rows


def _listed(shock: str, tier: str, pool: PeerDrops, matched: Matched) -> Iterator[Placebo]:
    """One row for each matched date of a pool."""
    for row, distance in zip(matched.rows.tolist(), matched.distance.tolist(), strict=True):
        s_drop, vol_ratio, run_up, market, _ = pool.traits[row].tolist()
        yield Placebo(
            shock_id=shock,
            tier=tier,
            day=int(pool.day[row]),
            s_drop=s_drop,
            car_drop=float(pool.drop[row]),
            car_post=float(pool.post[row]),
            vol_ratio=vol_ratio,
            run_up=run_up,
            market_return=market,
            distance=distance,
            widened=matched.widened,
        )


def placebo_balance(targets: Floats, matched: Sequence[Floats]) -> list[dict[str, float | str]]:
    """Compare shocks and their control drops in every matching variable.

    Notes
    -----
    Each shock has weight one, each of its M control drops 1/M. The standardised mean difference is the difference
    divided by `deviation_of`. Below 0.1 a variable is balanced, above 0.25 it is not.
    """
    if not matched:
        return []
    rows: list[dict[str, float | str]] = []
    means = np.array([values.mean(axis=0) for values in matched])
    everything = np.concatenate(list(matched))
    for v, name in enumerate(VARIABLES):
        pooled = deviation_of(targets[:, v], everything[:, v])
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


@dataclass(frozen=True, slots=True)
class MatchedSets:
    """Portfolios of shocks and of their control drops, formed by one estimator.

    ``event`` (K,) and the arrays in ``placebos`` are rows of ``portfolios``; a shock that could not be
    formed has row -1 and no control drops.
    """

    portfolios: ShockPortfolios
    event: Places
    placebos: tuple[Places, ...]

    def car(self, window: Window) -> tuple[Floats, list[Floats]]:
        """CARs of the shocks (K,) and of the control drops of each."""
        return self.split(self.portfolios.car(window))

    def bhar(self, window: Window) -> tuple[Floats, list[Floats]]:
        """Buy-and-hold abnormal returns, in the form of `car`."""
        portfolios = self.portfolios
        weight = portfolios.peer_weights(window)
        value = np.nan_to_num(portfolios.abnormal.bhar(window)[portfolios.members])
        total = portfolios.total(weight * value)
        return self.split(np.where(portfolios.total(weight) > 0, total, np.nan))

    def split(self, values: Floats) -> tuple[Floats, list[Floats]]:
        """Split values of the portfolios into those of the shocks and of the control drops of each; NaN is removed."""
        events = np.where(self.event >= 0, values[self.event], np.nan)
        return events, [values[rows][np.isfinite(values[rows])] for rows in self.placebos]


def matched_sets(
    history: History,
    own: Mapping[str, Sequence[Request]],
    shocks: Sequence[str] | Texts,
    tickers: Sequence[tuple[str, ...]],
    days: Sequence[Counts],
    *,
    alpha: str | None = None,
) -> MatchedSets:
    """Form the portfolios of shocks and control drops with the settings of ``history``.

    ``own`` has the shocks' firm-events, ``days`` the control dates of each shock.
    """
    wanted = [PeerDay(f"{shock}@{day}", tickers[k], int(day)) for k, shock in enumerate(shocks) for day in days[k]]
    requests = {mic: list(rows) for mic, rows in own.items()}
    for mic, rows in history.requests(wanted).items():
        requests.setdefault(mic, []).extend(rows)
    portfolios = history.portfolios(history.fits(requests), alpha=alpha)
    at = {str(name): row for row, name in enumerate(portfolios.shock_id)}
    return MatchedSets(
        portfolios,
        np.array([at.get(shock, -1) for shock in shocks], dtype=np.intp),
        tuple(
            np.array([at[name] for day in days[k] if (name := f"{shock}@{day}") in at], dtype=np.intp)
            for k, shock in enumerate(shocks)
        ),
    )


def variants(
    history: History,
    requests: Mapping[str, Sequence[Request]],
    shock_id: Texts,
    tickers: Sequence[tuple[str, ...]],
    days: Sequence[Counts],
    sets: MatchedSets | None,
    config: StudyConfig,
) -> dict[str, Floats]:
    """Return X_k of every shock by all definitions, (K,) each, for the same control dates."""
    if sets is None:
        return dict.fromkeys(VARIANTS, np.full(len(shock_id), np.nan))
    post = config.windows.post

    def formed(kind: str, alpha: str | None = None) -> MatchedSets:
        if kind == history.panel.kind and alpha is None:
            return sets
        other = replace(history, panel=as_kind(history.panel, kind, config.model))
        return matched_sets(other, requests, shock_id, tickers, days, alpha=alpha)

    plain = formed("simple")
    values = [plain.car(post), formed("log").car(post), plain.bhar(post)]
    values += [formed(history.panel.kind, policy).car(post) for policy in ("zero", "estimated")]
    return {name: excess(*pair) for name, pair in zip(VARIANTS, values, strict=True)}
