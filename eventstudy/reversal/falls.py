"""Every fall of the peers in question: the drops asked about, and the controls that they are compared with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from eventstudy.core.abnormal import ShockPortfolios, Window
from eventstudy.core.arrays import Bools, Counts, Floats, Places
from eventstudy.reversal.controls import VARIABLES, daily_returns, portfolios_at, screen, traits
from eventstudy.reversal.drops import fall_of
from eventstudy.reversal.estimator import APART, CONTROL_DROP, Excess, Falls, estimate, is_control, ruled_out, usable
from eventstudy.reversal.history import History

#: Weight of a day's square in the recent variance against that of the day after it (RiskMetrics 1996).
DECAY = 0.94
#: Days of a calendar week; the first of January 1970 was a Thursday.
WEEK, THURSDAY = 7, 3


@dataclass(frozen=True, slots=True, kw_only=True)
class StudyFalls:
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Fallen:
    """What portfolios did before, in and after the drop window; arrays of shape (P,)."""

    day: Counts
    drop: Floats
    drop_s: Floats
    run_up: Floats
    post: Floats
    sigma: Floats
    recent: Floats
    qualifies: Bools

    def take(self, index: Bools | Places) -> Fallen:
        """Return the portfolios at ``index``."""
        return Fallen(**{name: getattr(self, name)[index] for name in self.__slots__})

    def where(self, other: Bools, values: Fallen) -> Fallen:
        """Return the portfolios with the marked ones, (P,), taken from ``values``."""
        return Fallen(**{name: np.where(other, getattr(values, name), getattr(self, name)) for name in self.__slots__})


def study_falls(
    history: History, fallen: Fallen, asked: Bools, peers: Sequence[tuple[str, ...]], event_days: Mapping[str, Counts]
) -> StudyFalls:
    """Estimate the marked shocks and every control of their peer sets in one way.

    Parameters
    ----------
    fallen
        The K shocks, by `fallen_of`.
    asked : (K,)
        Shocks to be compared.
    peers
        K peer sets, sorted: the peers of the headline group that each shock names.
    event_days
        By peer the days of the events that bear on it; its controls keep `APART` sessions away from them.

    Notes
    -----
    A control is a day on which at least half of the set's peers, and one of every region, have both windows, and
    which is one by `is_control`, that is by its drop window alone. It is estimated as the study's own events.
    """
    numbers = np.flatnonzero(asked)
    sets = sorted({peers[int(k)] for k in numbers})
    family = dict(zip(sets, families(sets), strict=True))
    events = fallen.take(numbers)
    own = [peers[int(k)] for k in numbers]
    parts = [events]
    drops: dict[str, list[Counts]] = {}
    for names, found in zip(sets, _control_falls(history, sets, events.take(np.zeros(0, dtype=np.intp))), strict=True):
        drops[", ".join(names)] = [found.day[found.qualifies]]
        parts.append(found.take(~_near(found.day, event_days[names[0]], history.grids(names))))
        own += [names] * len(parts[-1].day)
    for k, names in enumerate(own[: len(numbers)]):
        drops[", ".join(names)].append(events.day[k : k + 1][events.qualifies[k : k + 1]])
    falls = _joined(parts)
    days = history.days({ticker for names in sets for ticker in names}) if sets else np.zeros(0, dtype=np.int64)
    shock = np.concatenate([numbers, np.full(len(own) - len(numbers), -1)])
    config = history.config
    return StudyFalls(
        falls=Falls(
            event=shock >= 0,
            stratum=np.array([", ".join(names) for names in own], dtype=np.str_),
            family=np.array([family[names] for names in own], dtype=np.str_),
            session=np.searchsorted(days, falls.day),
            week=week_of(falls.day),
            drop_s=falls.drop_s,
            run_up=falls.run_up,
            post=falls.post,
            sigma=falls.sigma,
            recent=falls.recent,
            length=config.windows.post[1] - config.windows.post[0] + 1,
        ),
        shock=shock,
        day=falls.day,
        drop=falls.drop,
        lead=lead_of(config.reversal.controls, config.windows.drop, config.windows.post),
        draws=config.tests.draws,
        seed=config.study.seed,
        moderated=config.reversal.estimator != "regression",
        drops={name: np.searchsorted(days, np.concatenate(found)) for name, found in drops.items()},
    )


def lead_of(controls: str, drop: Window, post: Window) -> int:
    """Sessions by which a control is over before an event's drop window begins; 0 where that is not asked for."""
    return post[1] - drop[0] + 1 if controls == "before" else 0


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


def _joined(parts: Sequence[Fallen]) -> Fallen:
    return Fallen(**{name: np.concatenate([getattr(part, name) for part in parts]) for name in Fallen.__slots__})


def _control_falls(history: History, sets: Sequence[tuple[str, ...]], nothing: Fallen) -> list[Fallen]:
    """Estimate every control fall of each peer set, whatever events are near; a peer's day but once."""
    days: list[Counts] = []
    wanted: dict[int, set[str]] = {}
    for names in sets:
        every = history.days(names)
        screened = screen(history, names, every, history.config)
        days.append(every[screened.complete() & (np.nan_to_num(screened.drop(), nan=np.inf) <= CONTROL_DROP)])
        for day in days[-1].tolist():
            wanted.setdefault(day, set()).update(names)
    parts: list[list[Fallen]] = [[nothing] for _ in sets]
    for portfolios in portfolios_at(history, {day: sorted(names) for day, names in wanted.items()}):
        for at, (names, own) in enumerate(zip(sets, days, strict=True)):
            named = _only(portfolios, names, own)
            parts[at].append(replace(fallen_of(named, history), day=named.shock_id.astype(np.int64)))
    falls = map(_joined, parts)
    return [fell.take(is_control(fell.drop_s, fell.drop) & np.isfinite(fell.post)) for fell in falls]


def _only(portfolios: ShockPortfolios, tickers: tuple[str, ...], days: Counts) -> ShockPortfolios:
    """Return the portfolios of some of the peers on some of the days."""
    number = np.repeat(np.arange(len(portfolios)), np.diff(np.append(portfolios.starts, len(portfolios.members))))
    kept = np.isin(portfolios.abnormal.panel.ticker[portfolios.members], tickers)
    kept &= np.isin(portfolios.shock_id.astype(np.int64), days)[number]
    numbers, starts = np.unique(number[kept], return_index=True)
    return replace(
        portfolios,
        shock_id=portfolios.shock_id[numbers],
        day0=portfolios.day0[numbers],
        members=portfolios.members[kept],
        starts=starts,
    )


def fallen_of(portfolios: ShockPortfolios, history: History) -> Fallen:
    """Return what portfolios did in and around the drop window of the history's settings."""
    windows = history.config.windows
    fall = fall_of(portfolios, windows.drop)
    trait = dict(zip(VARIABLES, traits(portfolios, windows.drop, fall=fall).T, strict=True))
    return Fallen(
        day=portfolios.day0.astype(np.int64),
        drop=fall.car,
        drop_s=trait["s_drop"],
        run_up=trait["run_up"],
        post=portfolios.car(windows.post),
        sigma=np.sqrt(fall.peers.s2),
        recent=_recent(daily_returns(portfolios, fall, before=windows.drop[1] + 1)),
        qualifies=fall.qualifies(history.config.reversal),
    )


def _recent(daily: Floats) -> Floats:
    """Root of the exponentially weighted mean square of daily values, the newest last: (P, D) to (P,)."""
    known = np.isfinite(daily)
    age = known[:, ::-1].cumsum(axis=1)[:, ::-1] - 1
    weight = np.where(known, DECAY**age, 0.0)
    total = weight.sum(axis=1)
    square = (weight * np.nan_to_num(daily) ** 2).sum(axis=1)
    root: Floats = np.sqrt(np.where(total > 0, square / np.where(total > 0, total, 1.0), np.nan))
    return root


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
