"""Drops in question and controls of the regression, and their balance."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from eventstudy.config import Window, Windows
from eventstudy.core.abnormal import ShockPortfolios
from eventstudy.core.arrays import Bools, Counts, Floats, Places, Texts
from eventstudy.reversal.drops import PeerDrops, peer_drops
from eventstudy.reversal.estimator import (
    APART,
    CONTROL_DROP,
    NAN,
    Excess,
    Falls,
    estimate,
    is_control,
    ruled_out,
    slope_row,
    traits_of,
    usable,
)
from eventstudy.reversal.history import Fits, History, PeerDay, day_codes, rolling_car, rolling_fit

#: Number of firm-events that are estimated at a time.
CHUNK = 6_000
#: Peers of one portfolio, sorted.
Peers = tuple[str, ...]
#: Days of a calendar week; the first of January 1970 was a Thursday.
WEEK, THURSDAY = 7, 3
#: A control's portfolio has at least this share of the shock's peers, and all its regions.
SHARE_OF_PEERS = 0.5
#: Characteristics in which drops and controls are compared; the first two are in the regression.
TRAITS = ("drop_s", "run_up", "sigma", "recent")
#: Standardised mean difference above which a characteristic counts as unbalanced (Stuart 2010).
UNBALANCED = 0.25


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """Shocks of a study and the control falls of their peer sets; arrays of shape (N,).

    Attributes
    ----------
    falls
        Input of the regression. Its strata are the peer sets that the shocks name (not all members need prices on a
        day); strata with common peers are one family.
    shock : int
        Number of the shock, -1 for a control.
    day, drop
        Day 0 as days since 1970, and CAR of the drop window.
    drops, peers
        By stratum: sessions of all drops by the study's rule in its history, with or without events; and its peers.
    lead
        Smallest number of sessions from a control to an event that is compared with it, see `lead_of`.
    draws, seed, moderated
        Arguments of `estimator.estimate`.
    """

    falls: Falls
    shock: Places
    day: Counts
    drop: Floats
    drops: Mapping[str, Counts]
    peers: Mapping[str, Peers] = field(default_factory=dict)
    lead: int = 0
    draws: int = 9_999
    seed: int = 20260624
    moderated: bool = True
    #: Cache of estimates by the marked shocks, since verdicts, ranks, endpoints and pools use the same.
    known: dict[bytes, Excess] = field(init=False, repr=False, compare=False, default_factory=dict)

    def excess(self, counted: Bools) -> Excess:
        """Return the regression's result for the marked shocks, (K,)."""
        if (key := counted.tobytes()) not in self.known:
            self.known[key] = estimate(self.of(counted), draws=self.draws, seed=self.seed, moderated=self.moderated)
        return self.known[key]

    def of(self, counted: Bools) -> Falls:
        """Return the controls with the marked shocks, (K,) of all shocks of the study."""
        falls = self.falls.take((self.shock < 0) | counted[self.shock])
        return falls if not self.lead else _each_with_its_past(falls, self.lead)

    def comparable(self, count: int) -> Bools:
        """Which of K shocks have enough controls and all numbers, (K,)."""
        falls, found = self.of(np.ones(count, dtype=bool)), np.zeros(count, dtype=bool)
        found[self.shock[self.shock >= 0][usable(falls)[falls.event]]] = True
        return found

    def most(self, counted: Bools) -> int:
        """Return the largest number of drops, `APART` sessions apart, in the history of the marked shocks' peer
        sets."""
        own = (self.shock >= 0) & counted[self.shock]
        sessions: dict[str, list[Counts]] = {}
        for family, stratum in set(zip(self.falls.family[own].tolist(), self.falls.stratum[own].tolist(), strict=True)):
            sessions.setdefault(family, []).append(self.drops[stratum])
        return sum(_most(np.concatenate(of_family)) for of_family in sessions.values())


def compare(
    history: History,
    drops: PeerDrops,
    asked: Bools,
    peers: Sequence[Peers],
    event_days: Mapping[str, Counts],
    past: Mapping[Peers, PeerDrops],
    controls: Mapping[Peers, Counts],
) -> Comparison:
    """Return the marked shocks with all controls of their peer sets, estimated in the same way.

    Parameters
    ----------
    drops
        The K shocks, by `peer_drops`.
    asked : (K,)
        Shocks to be compared.
    peers
        K peer sets: the peers of the headline group that each shock names.
    event_days
        By peer the days of the events that concern it; its controls are `APART` sessions away from them.
    past, controls
        By peer set the drops and returns of its portfolio on days of the history, and which of these may be controls.

    Notes
    -----
    A control is a day on which at least half of the set's peers, and one of every region, have both windows, and
    and which fell enough by `is_control`, which uses only the drop window. It is estimated like the study's own events.
    """
    numbers = np.flatnonzero(asked)
    own = [peers[int(k)] for k in numbers]
    sets = sorted(set(own))
    family = dict(zip(sets, families(sets), strict=True))
    events = drops.take(numbers)
    parts = [events]
    qualifying: dict[str, list[Counts]] = {}
    for names in sets:
        found = past[names]
        fell = is_control(found.drop_s, found.drop) & np.isfinite(found.post) & np.isin(found.day, controls[names])
        found = found.take(fell)
        qualifying[", ".join(names)] = [found.day[found.qualifies]]
        parts.append(found.take(~_near(found.day, event_days[names[0]], history.grids(names))))
        own += [names] * len(parts[-1])
    for k, names in enumerate(own[: len(numbers)]):
        qualifying[", ".join(names)].append(events.day[k : k + 1][events.qualifies[k : k + 1]])
    every = PeerDrops.joined(parts)
    days = history.days({ticker for names in sets for ticker in names}) if sets else np.zeros(0, dtype=np.int64)
    shock = np.concatenate([numbers, np.full(len(own) - len(numbers), -1)])
    config = history.config
    return Comparison(
        falls=Falls(
            event=shock >= 0,
            stratum=np.array([", ".join(names) for names in own], dtype=np.str_),
            family=np.array([family[names] for names in own], dtype=np.str_),
            session=np.searchsorted(days, every.day),
            week=week_of(every.day),
            drop_s=every.drop_s,
            run_up=every.run_up,
            post=every.post,
            sigma=every.sigma,
            recent=every.recent,
            length=config.windows.post[1] - config.windows.post[0] + 1,
        ),
        shock=shock,
        day=every.day,
        drop=every.drop,
        peers={", ".join(names): names for names in sets},
        lead=lead_of(config.reversal.controls, config.windows.drop, config.windows.post),
        draws=config.tests.draws,
        seed=config.study.seed,
        moderated=is_moderated(config.reversal.estimator),
        drops={name: np.searchsorted(days, np.concatenate(days_of)) for name, days_of in qualifying.items()},
    )


def lead_of(controls: str, drop: Window, post: Window) -> int:
    """Sessions that a control must begin before an event's drop window; 0 if ``reversal.controls`` is ``all``."""
    return post[1] - drop[0] + 1 if controls == "before" else 0


def is_moderated(estimator: str) -> bool:
    """Whether the regression is moderated; with the estimator ``matched`` the reported regression is the default
    one."""
    return estimator != "regression"


def week_of(day: Counts) -> Counts:
    """Number of the calendar week of days since 1970."""
    return (day + THURSDAY) // WEEK


def _each_with_its_past(falls: Falls, lead: int) -> Falls:
    """Give each event its own stratum, with the controls at least ``lead`` sessions before it."""
    events, rows, names = np.flatnonzero(falls.event), [], []
    for event in events.tolist():
        past = ~falls.event & (falls.stratum == falls.stratum[event])
        past &= falls.session + lead <= falls.session[event]
        rows.append(np.append(event, np.flatnonzero(past)))
        names += [f"{falls.stratum[event]} before {event}"] * len(rows[-1])
    if not rows:
        return falls
    stacked = replace(falls.take(np.concatenate(rows)), stratum=np.array(names, dtype=np.str_))
    # Events first, in their order.
    return stacked.take(np.argsort(~stacked.event, kind="stable"))


def _near(days: Counts, events: Counts, grids: Sequence[Counts]) -> Bools:
    """Which days cannot be controls because of events, on any exchange, (P,)."""
    near = np.zeros(len(days), dtype=np.bool_)
    for grid in grids:
        near |= ruled_out(np.searchsorted(grid, days), np.searchsorted(grid, events))
    return near


def past_drops(wanted: Sequence[tuple[History, Mapping[Peers, Counts]]]) -> list[dict[Peers, PeerDrops]]:
    """Estimate peer sets on the given days, for the windows of each history.

    Notes
    -----
    The histories differ only in their drop and post windows, so a firm-event is cut and fitted once for all of them
    and for all sets of a family.
    """
    sets = sorted({names for _, days in wanted for names in days})
    found: list[dict[Peers, list[PeerDrops]]] = [{names: [PeerDrops.none()] for names in days} for _, days in wanted]
    of_family = sorted(zip(families(sets), sets, strict=True))
    for _, linked in itertools.groupby(of_family, key=lambda pair: pair[0]):
        own = [names for _, names in linked]
        peers: dict[int, set[str]] = {}
        for (_, days), names in itertools.product(wanted, own):
            for day in days.get(names, ()):
                peers.setdefault(int(day), set()).update(names)
        for fits in _fits_at(wanted[0][0], peers):
            portfolios = wanted[0][0].portfolios(fits)
            for (history, days), parts in zip(wanted, found, strict=True):
                portfolios = history.portfolios(fits) if fits.locked else portfolios
                for names in set(own) & set(days):
                    named = _only(portfolios, names, days[names])
                    estimated = peer_drops(named, history.config)
                    parts[names].append(replace(estimated, day=named.shock_id.astype(np.int64)))
    return [{names: PeerDrops.joined(each) for names, each in parts.items()} for parts in found]


def _fits_at(history: History, peers: Mapping[int, set[str]]) -> Iterator[Fits]:
    """Yield the fits of the peers by day, some thousands of firm-events at a time."""
    every = [PeerDay(f"{day:06d}", tuple(sorted(names)), day) for day, names in sorted(peers.items())]
    part = np.cumsum([len(item.tickers) for item in every]) // CHUNK
    for _, items in itertools.groupby(zip(every, part, strict=True), key=lambda pair: pair[1]):
        yield history.fits(history.requests([item for item, _ in items]))


def _only(portfolios: ShockPortfolios, tickers: Peers, days: Counts) -> ShockPortfolios:
    """Return the portfolios of some of the peers on some of the days."""
    number = np.repeat(np.arange(len(portfolios)), np.diff(np.append(portfolios.starts, len(portfolios.members))))
    kept = np.isin(portfolios.abnormal.panel.ticker[portfolios.members], tickers)
    kept &= np.isin(portfolios.shock_id.astype(np.int64), days)[number]
    numbers, starts = np.unique(number[kept], return_index=True)
    return replace(
        portfolios,
        abnormal=portfolios.abnormal.take(portfolios.members[kept]),
        shock_id=portfolios.shock_id[numbers],
        day0=portfolios.day0[numbers],
        members=np.arange(kept.sum()),
        starts=starts,
    )


def families(sets: Sequence[tuple[str, ...]]) -> list[str]:
    """Return for each peer set its family: the first of the sets linked to it by common peers."""
    family = list(range(len(sets)))
    for at, own in enumerate(sets):
        linked = {family[j] for j in range(at) if set(own) & set(sets[j])} | {at}
        family = [min(linked) if name in linked else name for name in family]
    return [", ".join(sets[name]) for name in family]


def _most(sessions: Counts) -> int:
    """Count sessions, starting with the first, that are `APART` after the previously counted one."""
    count, last = 0, -APART
    for session in np.unique(sessions).tolist():
        if session - last >= APART:
            count, last = count + 1, session
    return count


def screen(history: History, tickers: Sequence[str], asked: Sequence[Windows]) -> list[Screened]:
    """Search every day of the history with rolling market models, for each pair of drop and post windows.

    The search always uses the market model; days that pass are then estimated like the study's own events.
    """
    days, windows = history.days(tickers), history.config.windows
    cars = np.full((len(asked), 2, len(days), len(tickers)), np.nan)
    region = {market.mic: market.region for market in history.config.markets}
    markets = [history.market_of(ticker) for ticker in tickers]
    for market in {market.mic: market for market in markets}.values():
        listed = np.flatnonzero([other.mic == market.mic for other in markets])
        columns = [market.tickers.index(tickers[int(i)]) for i in listed]
        returns = market.returns[:, columns]
        fit = rolling_fit(returns, market.market_return, ~history.excluded[market.mic][:, columns], windows.estimation)
        rows = np.searchsorted(day_codes(market.sessions), days)
        known = rows < len(market.sessions)
        for (drop, post), own in zip(cars, asked, strict=True):
            for target, window, alpha in ((drop, own.drop, True), (post, own.post, False)):
                every = rolling_car(returns, market.market_return, fit, window, minimum=windows.minimum, alpha=alpha)
                target[np.ix_(known, listed)] = every[rows[known]]
    names = np.array([region[market.mic] for market in markets])
    return [
        Screened(tickers, days, drop, _portfolio_weights(np.isfinite(drop) & np.isfinite(post), names), names)
        for drop, post in cars
    ]


@dataclass(frozen=True, slots=True)
class Screened:
    """Drop CARs of every day × peer, (D, n), with the weights of a market-balanced portfolio of complete peers."""

    tickers: Sequence[str]
    days: Counts
    car_drop: Floats
    weight: Floats
    region: Texts

    def drop(self) -> Floats:
        """Portfolio CAR of the drop window, (D,); infinite without peers."""
        total = (self.weight * np.where(self.weight > 0, self.car_drop, 0.0)).sum(axis=1)
        return np.where(self.weight.sum(axis=1) > 0, total, np.inf)

    def controls(self) -> Counts:
        """Days that may be controls of the regression, without regard to events."""
        return self.days[self.complete() & (self.drop() <= CONTROL_DROP)]

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


def sessions_apart(days: Counts, other: int, grids: Sequence[Counts]) -> Counts:
    """Sessions between each day and another one, the smallest number over the exchanges, (P,)."""
    apart = np.full(len(days), np.iinfo(np.int64).max)
    for grid in grids:
        gap = np.abs(np.searchsorted(grid, days) - np.searchsorted(grid, other))
        apart = np.minimum(apart, gap)
    return apart


def far_from(days: Counts, others: Iterable[int], grids: Sequence[Counts], sessions: int = APART) -> Bools:
    """Which days are at least a number of sessions away from all other days, on every exchange, (P,)."""
    far = np.ones(len(days), dtype=bool)
    for other in others:
        far &= sessions_apart(days, other, grids) >= sessions
    return far


@dataclass(frozen=True, slots=True, kw_only=True)
class Balance:
    """One characteristic of drops and controls: means, and standardised differences before and after adjustment."""

    variable: str
    mean_events: float
    mean_controls: float
    smd_before: float
    smd_after: float
    n_events: int
    n_controls: int


def deviation_of(events: Floats, others: Floats) -> float:
    """Root of the mean of both variances of a trait (Austin 2009); for a single event only that of the others."""
    variance = float(others.var(ddof=1)) if len(others) > 1 else NAN
    return float(np.sqrt(((float(events.var(ddof=1)) if len(events) > 1 else variance) + variance) / 2))


def balance(falls: Falls, *, moderated: bool = True) -> list[Balance]:
    """Compare the characteristics of drops and controls of the regression.

    Notes
    -----
    Before: difference of the means, divided by `deviation_of`. After: coefficient of the drops in a least-squares
    regression of the characteristic on levels, depth of the drop and run-up, divided by the same deviation.
    """
    falls = falls.take(usable(falls))
    event = falls.event
    if not event.any():
        return []
    traits, every = traits_of(falls), np.column_stack([getattr(falls, n) for n in TRAITS])
    slope = np.append(slope_row(falls, traits) * moderated, 0.0)
    design = np.vstack([np.column_stack([traits, event]), slope])
    coefficient = np.linalg.lstsq(design, np.vstack([every, np.zeros(len(TRAITS))]), rcond=None)[0][-1]
    rows = []
    for name, values, left in zip(TRAITS, every.T, coefficient.tolist(), strict=True):
        deviation = deviation_of(values[event], values[~event])
        difference = float(values[event].mean() - values[~event].mean())
        rows.append(
            Balance(
                variable=name,
                mean_events=float(values[event].mean()),
                mean_controls=float(values[~event].mean()),
                smd_before=difference / deviation if deviation > 0 else NAN,
                smd_after=left / deviation if deviation > 0 else NAN,
                n_events=int(event.sum()),
                n_controls=int((~event).sum()),
            )
        )
    return rows
