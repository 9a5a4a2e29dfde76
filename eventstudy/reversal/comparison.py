"""Every fall of the peers in question: the drops asked about, and the controls that they are compared with."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from eventstudy.core.abnormal import ShockPortfolios, Window
from eventstudy.core.arrays import Bools, Counts, Floats, Places
from eventstudy.reversal.drops import PeerDrops, peer_drops
from eventstudy.reversal.estimator import APART, Excess, Falls, estimate, is_control, ruled_out, usable
from eventstudy.reversal.history import Fits, History, PeerDay

#: Firm-events estimated at once.
CHUNK = 6_000
#: Peers of one portfolio, sorted.
Peers = tuple[str, ...]
#: Days of a calendar week; the first of January 1970 was a Thursday.
WEEK, THURSDAY = 7, 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """Shocks of a study and the control falls of their peer sets; arrays of shape (N,).

    Attributes
    ----------
    falls
        What the regression takes. Its strata are the peer sets that the shocks name, of which not all members
        need have prices on a day; strata with a peer in common are one family.
    shock : int
        Number of the shock, -1 for a control.
    day, drop
        Day 0 as days since 1970, and CAR of the drop window.
    drops
        By stratum: sessions of all drops by the study's rule in its history, events or not.
    lead
        Sessions that a control must be ahead of an event to be compared with it, see `lead_of`.
    draws, seed, moderated
        Of the estimates, see `estimator.estimate`.
    """

    falls: Falls
    shock: Places
    day: Counts
    drop: Floats
    drops: Mapping[str, Counts]
    lead: int = 0
    draws: int = 9_999
    seed: int = 20260624
    moderated: bool = True
    #: Estimates by the marks of their shocks: verdicts, rows beside them, ranks, endpoints and pools ask for the same.
    known: dict[bytes, Excess] = field(init=False, repr=False, compare=False, default_factory=dict)

    def excess(self, counted: Bools) -> Excess:
        """Return what the regression says of the marked shocks, (K,)."""
        if (key := counted.tobytes()) not in self.known:
            self.known[key] = estimate(self.of(counted), draws=self.draws, seed=self.seed, moderated=self.moderated)
        return self.known[key]

    def of(self, counted: Bools) -> Falls:
        """Return the controls with the marked shocks, (K,) of all shocks of the study."""
        falls = self.falls.take((self.shock < 0) | counted[self.shock])
        return falls if not self.lead else _each_with_its_past(falls, self.lead)

    def comparable(self, count: int) -> Bools:
        """Which of so many shocks have the controls and the numbers that they need, (K,)."""
        falls, found = self.of(np.ones(count, dtype=bool)), np.zeros(count, dtype=bool)
        found[self.shock[self.shock >= 0][usable(falls)[falls.event]]] = True
        return found

    def most(self, counted: Bools) -> int:
        """Return how many drops `APART` sessions apart the history of the marked shocks' peer sets can give."""
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
    """Set the marked shocks beside every control of their peer sets, both estimated in one way.

    Parameters
    ----------
    drops
        The K shocks, by `peer_drops`.
    asked : (K,)
        Shocks to be compared.
    peers
        K peer sets: the peers of the headline group that each shock names.
    event_days
        By peer the days of the events that bear on it; its controls keep `APART` sessions away from them.
    past, controls
        By peer set what its portfolio did on days of the history, and those of them that may be controls.

    Notes
    -----
    A control is a day on which at least half of the set's peers, and one of every region, have both windows, and
    which is one by `is_control`, that is by its drop window alone. It is estimated as the study's own events.
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
        lead=lead_of(config.reversal.controls, config.windows.drop, config.windows.post),
        draws=config.tests.draws,
        seed=config.study.seed,
        moderated=is_moderated(config.reversal.estimator),
        drops={name: np.searchsorted(days, np.concatenate(days_of)) for name, days_of in qualifying.items()},
    )


def lead_of(controls: str, drop: Window, post: Window) -> int:
    """Sessions by which a control is over before an event's drop window begins; 0 where that is not asked for."""
    return post[1] - drop[0] + 1 if controls == "before" else 0


def is_moderated(estimator: str) -> bool:
    """Whether the regression is moderated: the matched sets are compared with the default one."""
    return estimator != "regression"


def week_of(day: Counts) -> Counts:
    """Number of the calendar week of days since 1970."""
    return (day + THURSDAY) // WEEK


def _each_with_its_past(falls: Falls, lead: int) -> Falls:
    """Give each event a stratum of its own with the controls that lie so many sessions ahead of it."""
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
    """Which days events rule out as controls, on any exchange, (P,)."""
    near = np.zeros(len(days), dtype=np.bool_)
    for grid in grids:
        near |= ruled_out(np.searchsorted(grid, days), np.searchsorted(grid, events))
    return near


def past_drops(wanted: Sequence[tuple[History, Mapping[Peers, Counts]]]) -> list[dict[Peers, PeerDrops]]:
    """Estimate peer sets on the days that are wanted of each, by the windows of each history.

    Notes
    -----
    The histories differ in their drop and post windows alone: a firm-event is cut and fitted once for all of them,
    and once for all sets of a family, whatever events are near.
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
    """Yield the fits of the peers by day, named by it, some thousands of firm-events at a time."""
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
    """Return for each peer set its family, the first of the sets that are linked to it by common peers."""
    family = list(range(len(sets)))
    for at, own in enumerate(sets):
        linked = {family[j] for j in range(at) if set(own) & set(sets[j])} | {at}
        family = [min(linked) if name in linked else name for name in family]
    return [", ".join(sets[name]) for name in family]


def _most(sessions: Counts) -> int:
    """Count the sessions from the first on that lie `APART` from the one counted before."""
    count, last = 0, -APART
    for session in np.unique(sessions).tolist():
        if session - last >= APART:
            count, last = count + 1, session
    return count
