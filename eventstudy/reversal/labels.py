"""Labels and clarifications in time: what was known when, and what came after what."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from eventstudy.config import StudyConfig
from eventstudy.events import DATED_LABELS, Event, Events, instant_utc
from eventstudy.exchanges import calendars
from eventstudy.exchanges.calendars import Alignment
from eventstudy.messages import say
from eventstudy.shocks import hit_by, leads_of, together


def chronology(
    events: Events, alignments: Mapping[tuple[str, str], Alignment], config: StudyConfig
) -> list[dict[str, str]]:
    """Check that each clarification came after the drop that it is said to clarify.

    ``PRECEDES_DROP`` where it was public before the clarified event, ``SAME_SESSION`` where both fall
    on one session of an exchange that has peers of both, so that daily data cannot tell them apart.
    """
    rows = []
    whole, hit = together(events), hit_by(events, leads_of(events, config, alignments))
    for event in dict.fromkeys(whole.values()):
        if not event.clarifies:
            continue
        of = replace(whole[event.clarifies], tickers=tuple(sorted(hit[event.clarifies])))
        flag, sentence = _chronology_flag(event, of, alignments, config)
        rows.append(
            {"event_id": event.event_id, "clarifies": of.event_id, "flag": flag, "sentence": sentence}
        )
    return rows


def _chronology_flag(
    event: Event, of: Event, alignments: Mapping[tuple[str, str], Alignment], config: StudyConfig
) -> tuple[str, str]:
    dates = say("chronology.dates", event=_shown(event), of=_shown(of))
    if _latest(event) < _earliest(of):
        return (
            "PRECEDES_DROP",
            say("chronology.precedes", event=event.event_id, of=of.event_id, dates=dates),
        )
    shared = set(_markets_of(event, config)) & set(_markets_of(of, config))
    same = [
        market.mic
        for market in config.markets
        if market.mic in shared
        and (a := alignments.get((event.event_id, market.mic)))
        and (b := alignments.get((of.event_id, market.mic)))
        and a.session == b.session
    ]
    if same:
        names = ", ".join(same)
        return "SAME_SESSION", say("chronology.same", event=event.event_id, of=of.event_id, mics=names)
    return "", say("chronology.after", event=event.event_id, of=of.event_id, dates=dates)


def _shown(event: Event) -> str:
    moment = event.timestamp
    return moment.strftime("%Y-%m-%d %H:%M UTC") if isinstance(moment, dt.datetime) else moment.isoformat()


def _latest(event: Event) -> dt.datetime:
    return instant_utc(event.timestamp, end_of_day=True)


def _earliest(event: Event) -> dt.datetime:
    return instant_utc(event.timestamp)


def label_timing(
    events: Events, alignments: Mapping[tuple[str, str], Alignment], config: StudyConfig
) -> dict[str, Any]:
    """Count the labels known by the close of the drop window's last day, and those set afterwards."""
    timing = {event.event_id: known_in_time(event, alignments, config) for event in events}
    post_hoc = [name for name, known in timing.items() if known is False]
    ex_ante = sum(known is True for known in timing.values())
    return {"ex_ante": ex_ante, "post_hoc": len(post_hoc), "post_hoc_events": post_hoc}


def known_in_time(
    event: Event, alignments: Mapping[tuple[str, str], Alignment], config: StudyConfig
) -> bool | None:
    """Whether the label was known by the close of the drop window; None where labels have no date.

    Only a misreading or genuine label says something about what should follow the drop, so only these
    carry the time at which they could first be known.
    """
    if event.label not in DATED_LABELS or event.label_asof is None:
        return None
    closes = []
    for mic in _markets_of(event, config):
        alignment = alignments.get((event.event_id, mic))
        if alignment:
            table = calendars.exchange_sessions(mic)
            last = min(table.position(alignment.session) + config.windows.drop[1], len(table.days) - 1)
            closes.append(calendars.session_close(mic, table.days[last].astype(dt.date)))
    return bool(closes) and instant_utc(event.label_asof, end_of_day=True) <= max(closes)


def _markets_of(event: Event, config: StudyConfig) -> list[str]:
    """Exchanges of the peers that an event is about: elsewhere no window of it closes."""
    named = set(event.tickers)
    mics = [peer.market for peer in config.peers if not named or named & {peer.ticker, *peer.aliases}]
    return list(dict.fromkeys(mics))
