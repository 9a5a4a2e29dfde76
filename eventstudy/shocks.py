"""Group the rows of an events file into shocks, and find the lead of each.

A shock is a set of firm-events; their distribution over the rows of the file must not matter. All functions depend on
the content of the rows, never on their order or ids.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from eventstudy.config import StudyConfig
from eventstudy.events import Event, Events, instant_utc
from eventstudy.exchanges.calendars import Alignment, align_all
from eventstudy.exchanges.tickers import of_ticker

Alignments = Mapping[tuple[str, str], Alignment]
Key = tuple[str | bool, ...]
#: Rows of one timestamp, and their day 0 by exchange.
_Moment = tuple[list[Event], dict[str, dt.date]]
#: Label of a shock whose lead rows have different labels.
DISAGREED = "unknown"


def is_answer(event: Event) -> bool:
    """Whether the event answers other news; such a row starts no shock."""
    return "clarification" in (event.label, event.kind) or bool(event.clarifies)


def with_shocks(events: Events, config: StudyConfig) -> Events:
    """Return the events in order of time, those without a shock_id grouped into shocks by day 0.

    Tickers are changed to the spelling of the peers, such as 600519.SH to 600519.SS. Rows without a shock_id are one
    shock if they have the same day 0 in the same region, or the same timestamp. An answer without a shock_id belongs
    to the shock that it clarifies. A derived shock is named after the first of its event ids in alphabetical order.
    Applying the function twice changes nothing.
    """
    rows = sorted(_as_peers(events, config), key=_in_time)
    given = {event.shock_id for event in rows if event.shock_given}
    free = [event for event in rows if not event.shock_given and event.event_id not in given]
    if free:
        days = _own_days(free, config, align_all(events, config))
        names = _derived(free, days, config)
        answered = {event.event_id: event for event in rows}
        names |= {e.event_id: _followed(e, answered, names) for e in free if e.clarifies}
        rows = [replace(e, shock_id=names.get(e.event_id, e.shock_id), shock_given=True) for e in rows]
    return replace(events, rows=tuple(rows))


def _as_peers(events: Iterable[Event], config: StudyConfig) -> Iterable[Event]:
    """The events with tickers in the spelling of the study's peers, if exactly one peer can be meant."""
    peers = [name for peer in config.peers for name in (peer.ticker, *peer.aliases)]
    known = set(peers)
    others = sorted({ticker for event in events for ticker in event.tickers} - known)
    meant = {ticker: name for ticker in others if (name := of_ticker(peers, ticker))}
    if not meant:
        return events
    return [replace(e, tickers=tuple(meant.get(ticker, ticker) for ticker in e.tickers)) for e in events]


def _in_time(event: Event) -> tuple[dt.datetime, Key, str]:
    return instant_utc(event.timestamp), _content(event), event.event_id


def _content(event: Event) -> Key:
    """The content of a row without its tickers and ids."""
    asof = event.label_asof.isoformat() if event.label_asof else ""
    texts = (event.dimension, event.title, event.source, event.source_url, event.notes)
    return (event.precision, bool(event.clarifies), event.kind, event.label, asof, *texts)


def together(events: Iterable[Event]) -> dict[str, Event]:
    """Return for each event id the whole event: rows that differ only in tickers and id, joined.

    It has the first of the ids in alphabetical order and all tickers. If one of the rows has no ticker, the joined
    event has none either, which means all peers.
    """
    known = {event.event_id: event for event in events}
    alike: dict[tuple[object, ...], list[Event]] = {}
    for event in events:
        answered = known.get(event.clarifies)
        about = answered.shock_id if answered else ""
        alike.setdefault((event.shock_id, event.timestamp, about, _content(event)), []).append(event)
    whole: dict[str, Event] = {}
    for rows in alike.values():
        first = min(rows, key=lambda e: e.event_id)
        one = replace(first, tickers=_named(rows), line=min(e.line for e in rows))
        whole |= {event.event_id: one for event in rows}
    return whole


def _named(rows: Sequence[Event]) -> tuple[str, ...]:
    if any(not event.tickers for event in rows):
        return ()
    return tuple(sorted({ticker for event in rows for ticker in event.tickers}))


@dataclass(frozen=True, slots=True)
class Lead:
    """The rows that start one shock.

    ``event`` represents all ``rows``: it is the earliest, with the tickers of all, their common label (`DISAGREED` if
    labels differ) and the time at which the labels of all rows were known. ``pairs`` are (event_id, MIC) of the
    exchanges on which a row has the day 0 of the shock. ``labels`` are the different labels of the rows.
    """

    event: Event
    rows: tuple[Event, ...]
    pairs: frozenset[tuple[str, str]]
    labels: tuple[str, ...]


def leads_of(events: Events, config: StudyConfig, alignments: Alignments) -> dict[str, Lead]:
    """Return the lead of every shock, in order of time.

    The first row of a shock is the one with the earliest day 0, then the earliest timestamp, among those
    that are no answer (among all rows if there are only answers). On each exchange the lead consists of the rows with
    the day 0 of the first row: the session of its region, or the first session on which that exchange could react to
    the timestamp of the first row.
    """
    rows = sorted(events, key=_in_time)
    days = _own_days(rows, config, alignments)
    shocks: dict[str, list[Event]] = {}
    for event in rows:
        shocks.setdefault(event.shock_id, []).append(event)
    return {name: _lead(of_shock, days, config, alignments) for name, of_shock in shocks.items()}


def _lead(
    rows: Sequence[Event], days: Mapping[str, Mapping[str, dt.date]], config: StudyConfig, alignments: Alignments
) -> Lead:
    reports = [event for event in rows if not is_answer(event)] or list(rows)
    (first, first_days), *later = _moments(reports, days)
    regions = {market.mic: market.region or market.mic for market in config.markets}
    start = _Day(dict(first_days), _by_region(first_days, regions))
    for _, later_days in later:
        start.take(later_days, regions)
    begun = first[0].event_id

    def leads(mic: str, day: dt.date) -> bool:
        reacted = alignments.get((begun, mic))
        return day in (start.exchanges.get(mic), start.regions.get(regions[mic]), reacted.session if reacted else None)

    pairs = frozenset((e.event_id, mic) for e in reports for mic, day in days[e.event_id].items() if leads(mic, day))
    leading = [e for e in reports if any((e.event_id, mic) in pairs for mic in days[e.event_id])] or first
    labels = tuple(sorted({event.label for event in leading}))
    known = [event.label_asof for event in leading if event.label_asof is not None]
    asof = None
    if len(labels) == 1 and len(known) == len(leading):
        asof = max(known, key=lambda moment: instant_utc(moment, end_of_day=True))
    label = labels[0] if len(labels) == 1 else DISAGREED
    event = replace(leading[0], tickers=_named(leading), label=label, label_asof=asof)
    return Lead(event, tuple(leading), pairs, labels)


def hit_by(events: Events, leads: Mapping[str, Lead]) -> dict[str, frozenset[str]]:
    """Return for each event the tickers that all rows of its news name; an empty set means all peers."""
    found = {event_id: frozenset(whole.tickers) for event_id, whole in together(events).items()}
    for lead in leads.values():
        found |= {event.event_id: frozenset(lead.event.tickers) for event in lead.rows}
    return found


def _moments(rows: Iterable[Event], days: Mapping[str, Mapping[str, dt.date]]) -> list[_Moment]:
    """Group rows by timestamp, with their day 0 by exchange; the earliest day 0 first."""
    alike: dict[dt.datetime | dt.date, list[Event]] = {}
    for event in rows:
        alike.setdefault(event.timestamp, []).append(event)
    moments = [(same, {mic: day for e in same for mic, day in days[e.event_id].items()}) for same in alike.values()]

    def when(moment: _Moment) -> tuple[dt.date, dt.datetime, bool]:
        stamp = moment[0][0].timestamp
        return min(moment[1].values(), default=dt.date.max), instant_utc(stamp), isinstance(stamp, dt.datetime)

    return sorted(moments, key=when)


@dataclass(frozen=True, slots=True)
class _Day:
    """Day 0 of one shock by exchange and by region."""

    exchanges: dict[str, dt.date]
    regions: dict[str, dt.date]

    def take(self, days: Mapping[str, dt.date], regions: Mapping[str, str]) -> bool:
        """Add the days of other rows if they agree in all common regions, and there is at least one."""
        own = _by_region(days, regions)
        shared = own.keys() & self.regions.keys()
        if not shared or any(own[name] != self.regions[name] for name in shared):
            return False
        # A region has one day in a shock, so neighbouring days cannot be linked through another region.
        self.regions.update(own)
        for mic, day in days.items():
            self.exchanges.setdefault(mic, day)
        return True


def _by_region(days: Mapping[str, dt.date], regions: Mapping[str, str]) -> dict[str, dt.date]:
    found: dict[str, dt.date] = {}
    for mic, day in days.items():
        found[regions[mic]] = min(day, found.get(regions[mic], day))
    return found


def _own_days(events: Iterable[Event], config: StudyConfig, alignments: Alignments) -> dict[str, dict[str, dt.date]]:
    """Day 0 of each event on the exchanges of its peers, by event id and MIC."""
    home = {name: peer.market for peer in config.peers for name in (peer.ticker, *peer.aliases)}
    every = sorted(set(home.values()))
    found: dict[str, dict[str, dt.date]] = {}
    for event in events:
        mics = sorted({home[name] for name in event.tickers if name in home}) if event.tickers else every
        days = found.setdefault(event.event_id, {})
        for mic in mics:
            alignment = alignments.get((event.event_id, mic))
            if alignment is not None:
                days[mic] = alignment.session
    return found


def _derived(rows: Sequence[Event], days: Mapping[str, Mapping[str, dt.date]], config: StudyConfig) -> dict[str, str]:
    """Name of the shock of each row without a shock_id; reports form shocks first, then answers join them."""
    regions = {market.mic: market.region or market.mic for market in config.markets}
    shocks: list[tuple[_Day, list[Event]]] = []
    on: dict[tuple[str, dt.date], list[int]] = {}
    reports = [event for event in rows if not is_answer(event)]
    loose = [event for event in rows if is_answer(event) and not event.clarifies]
    for alike, alike_days in (*_moments(reports, days), *_moments(loose, days)):
        own = _by_region(alike_days, regions)
        near = sorted({at for place in own.items() for at in on.get(place, ())})
        at = next((at for at in near if shocks[at][0].take(alike_days, regions)), len(shocks))
        if at == len(shocks):
            shocks.append((_Day(dict(alike_days), own), []))
        shocks[at][1].extend(alike)
        for place in own.items():
            on.setdefault(place, []).append(at)
    return {e.event_id: min(o.event_id for o in of_shock) for _, of_shock in shocks for e in of_shock}


def _followed(event: Event, known: Mapping[str, Event], names: Mapping[str, str]) -> str:
    """Shock of the event that an answer clarifies, if necessary through other answers."""
    seen = {event.event_id}
    while (answered := known.get(event.clarifies)) is not None:
        if answered.event_id in names:
            return names[answered.event_id]
        if answered.shock_given or answered.event_id in seen:
            return answered.shock_id
        seen.add(answered.event_id)
        event = answered
    return event.shock_id
