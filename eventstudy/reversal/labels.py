"""Timing of labels and clarifications."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from eventstudy.config import StudyConfig
from eventstudy.core.windows import EventPanel, Request
from eventstudy.errors import ConfigError, Reason
from eventstudy.events import Event, Events, instant_utc, over_everywhere
from eventstudy.exchanges import calendars
from eventstudy.exchanges.calendars import Alignment
from eventstudy.shocks import hit_by, leads_of, together

#: Reasons why a label cannot count in a confirmatory verdict: it came after the drop, or has no time.
LATE, UNDATED = "label_late", "label_undated"
SHA256 = re.compile("[0-9a-f]{64}")


def asks_reversal(events: Events, config: StudyConfig) -> bool:
    """Return whether a study asks about reversals, see `Reversal.ask`; volume and volatility never do.

    Raises
    ------
    ConfigError
        If it does, and its event window does not contain the drop and post windows.
    """
    label, windows = config.reversal.label, config.windows
    auto = config.reversal.ask == "auto" and any(event.label == label for event in events)
    if config.study.kind != "return" or not (auto or config.reversal.ask == "yes"):
        return False
    if not windows.hold_reversal:
        raise ConfigError(
            f"windows.event = {list(windows.event)} has no room for windows.drop = {list(windows.drop)} and "
            f"windows.post = {list(windows.post)}, which events labelled {label!r} are asked about; widen it, or give "
            "reversal.ask = 'no' for the effect of the events alone"
        )
    return True


def label_evidence(events: Events, event_ids: Sequence[str]) -> dict[str, Any]:
    """Count the labels of these events, and those without an archived text.

    A label has evidence if the event has a ``source_url`` and, in the column ``evidence``, the sha256 of an archived
    text; otherwise it is self-declared.
    """
    given = [events.by_id(name) for name in event_ids]
    n = sum(not (each.source_url and SHA256.fullmatch(str(each.own.get("evidence", "")))) for each in given)
    sentence = Reason("labels.self_declared", n=n, of=len(given)) if n else Reason()
    return {"n": len(given), "n_self_declared": n, "sentence": sentence}


def chronology(
    events: Events, alignments: Mapping[tuple[str, str], Alignment], config: StudyConfig
) -> list[dict[str, Reason | str]]:
    """Check that each clarification came after its drop.

    ``PRECEDES_DROP`` if it was public before the clarified event; ``SAME_SESSION`` if both are on one session of an
    exchange with peers of both, so that daily data cannot separate them.
    """
    rows: list[dict[str, Reason | str]] = []
    whole, hit = together(events), hit_by(events, leads_of(events, config, alignments))
    for event in dict.fromkeys(whole.values()):
        if not event.clarifies:
            continue
        of = replace(whole[event.clarifies], tickers=tuple(sorted(hit[event.clarifies])))
        flag, sentence = _chronology_flag(event, of, alignments, config)
        rows.append({"event_id": event.event_id, "clarifies": of.event_id, "flag": flag, "sentence": sentence})
    return rows


def _chronology_flag(
    event: Event, of: Event, alignments: Mapping[tuple[str, str], Alignment], config: StudyConfig
) -> tuple[str, Reason]:
    dates = Reason("chronology.dates", event=_shown(event), of=_shown(of))
    if instant_utc(event.timestamp, end_of_day=True) < instant_utc(of.timestamp):
        return ("PRECEDES_DROP", Reason("chronology.precedes", event=event.event_id, of=of.event_id, dates=dates))
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
        return "SAME_SESSION", Reason("chronology.same", event=event.event_id, of=of.event_id, mics=names)
    return "", Reason("chronology.after", event=event.event_id, of=of.event_id, dates=dates)


def _shown(event: Event) -> str:
    moment = event.timestamp
    return moment.strftime("%Y-%m-%d %H:%M UTC") if isinstance(moment, dt.datetime) else moment.isoformat()


def label_timing(
    events: Events,
    alignments: Mapping[tuple[str, str], Alignment],
    config: StudyConfig,
    counted: Mapping[str, Sequence[str]],
) -> dict[str, Any]:
    """Count the labels known before the post window, those set afterwards, and those without a time.

    Rows that `together` joins count as one label. ``counted`` has the exchanges of each event's peers, from
    `counted_markets`. ``unknown`` and ``clarification`` do not count as labels without a time, unless one of them is
    the label in question.
    """
    mics: dict[str, set[str]] = {}
    whole = together(events)
    for name, event in whole.items():
        mics.setdefault(event.event_id, set()).update(counted.get(name, ()))
    distinct = {event.event_id: event for event in whole.values()}
    where = {name: sorted(reached) for name, reached in mics.items()}
    reasons = {name: untimely(event, alignments, config, where) for name, event in distinct.items()}
    silent = {"unknown", "clarification"} - {config.reversal.label}
    late = [name for name, reason in reasons.items() if reason == LATE]
    undated = [n for n, e in distinct.items() if reasons[n] == UNDATED and e.label not in silent]
    return {
        "ex_ante": sum(not reason for reason in reasons.values()),
        "post_hoc": len(late),
        "post_hoc_events": late,
        "undated": len(undated),
        "undated_events": undated,
    }


def counted_markets(panel: EventPanel, requests: Mapping[str, Sequence[Request]]) -> dict[str, list[str]]:
    """Exchanges of the peers that count for each event: those of the headline's ``panel`` where it is in
    it, else those of all its usable firm-events.
    """
    usable: dict[str, set[str]] = {}
    for mic, rows in requests.items():
        for request in rows:
            usable.setdefault(request.event_id, set()).add(mic)
    headline: dict[str, set[str]] = {}
    for name, mic in zip(panel.event_id.tolist(), panel.market.tolist(), strict=True):
        headline.setdefault(name, set()).add(mic)
    return {name: sorted(mics) for name, mics in (usable | headline).items()}


def untimely(
    event: Event,
    alignments: Mapping[tuple[str, str], Alignment],
    config: StudyConfig,
    counted: Mapping[str, Sequence[str]],
) -> str:
    """Return the code of the reason why a label cannot count in a confirmatory verdict; empty if it can.

    `UNDATED` if the file does not say when it could first be known; `LATE` if that was after `drop_over`.
    """
    if event.label_asof is None:
        return UNDATED
    over = drop_over(event, alignments, config, counted.get(event.event_id) or _markets_of(event, config))
    return "" if over is not None and over_everywhere(event.label_asof) <= over else LATE


def drop_over(
    event: Event, alignments: Mapping[tuple[str, str], Alignment], config: StudyConfig, markets: Sequence[str]
) -> dt.datetime | None:
    """Return the first time at which the drop window is over on an exchange: its close of the last drop day.

    From then on some returns belong to the post window, so a later label may depend on them. With ``windows.drop = [0,
    1]`` it is the earliest close of day +1 among ``markets``, with ``[0, 0]`` that of day 0. None if no exchange has
    the session.
    """
    closes = []
    for mic in markets:
        alignment = alignments.get((event.event_id, mic))
        if alignment:
            table = calendars.exchange_sessions(mic)
            last = min(table.position(alignment.session) + config.windows.drop[1], len(table.days) - 1)
            closes.append(calendars.session_close(mic, table.days[last].astype(dt.date)))
    return min(closes, default=None)


def _markets_of(event: Event, config: StudyConfig) -> list[str]:
    """Exchanges of the peers that an event concerns."""
    named = set(event.tickers)
    mics = [peer.market for peer in config.peers if not named or named & {peer.ticker, *peer.aliases}]
    return list(dict.fromkeys(mics))
