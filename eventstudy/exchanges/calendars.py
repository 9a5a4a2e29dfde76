"""Exchange sessions, and the session on which each exchange could first react to an event."""

from __future__ import annotations

import datetime as dt
import functools
import importlib
import warnings
import zoneinfo
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eventstudy.config import StudyConfig
from eventstudy.errors import ConfigError, nearest
from eventstudy.events import Event, Events, instant_utc
from eventstudy.exchanges.exchange import FIRST_DAY, Exchange, exchanges
from eventstudy.messages import say

#: Longest closure of an exchange around New Year 2000, in days.
LONGEST_HOLIDAY = 14
#: Beyond this number of days to day 0 (more than a weekend) the first return covers the news of several days.
DAYS_APART = 4


@dataclass(frozen=True, slots=True)
class Alignment:
    """Day 0 of one event on one exchange.

    ``reaction`` says where the timestamp fell: pre_open, intraday, after_close, closed (no session
    that day) or date (only the date is known). ``days_after`` counts calendar days to the session.
    """

    event_id: str
    mic: str
    session: dt.date
    reaction: str
    days_after: int
    note: str = ""


@dataclass(frozen=True, slots=True)
class Sessions:
    """Sessions of one exchange in its own zone: days, opens and closes in UTC nanoseconds, shape (T,)."""

    mic: str
    zone: str
    days: NDArray[np.datetime64]
    opens: NDArray[np.int64]
    closes: NDArray[np.int64]

    def position(self, day: dt.date) -> int:
        """Index of the first session on or after ``day``; ``len(days)`` if the calendar ends before."""
        return int(np.searchsorted(self.days, np.datetime64(day, "D")))


#: Cache of this process: sessions by MIC, as computed, received from another process, or extended for old events.
_SESSIONS: dict[str, Sessions] = {}


def remember(sessions: Mapping[str, Sessions]) -> None:
    """Store sessions of exchanges, by MIC, that another process has computed."""
    _SESSIONS.update(sessions)


def remember_earlier(mic: str, days: NDArray[np.datetime64]) -> None:
    """Extend an exchange's sessions before the start of its calendar by the days on which its index has a price.

    These sessions have the hours of the calendar's first session. They replace earlier extensions.
    """
    table = _SESSIONS.get(mic) or _worked_out(mic)
    later = table.days >= np.datetime64(FIRST_DAY, "D")
    days = np.unique(days.astype("datetime64[D]"))
    days = days[days < table.days[later][0]]
    zone = zoneinfo.ZoneInfo(table.zone)

    def joined(moments: NDArray[np.int64]) -> NDArray[np.int64]:
        hour = dt.datetime.fromtimestamp(int(moments[later][0]) / 1e9, zone).time()
        early = [int(dt.datetime.combine(day, hour, zone).timestamp()) * 10**9 for day in days.tolist()]
        return np.concatenate([np.array(early, dtype=np.int64), moments[later]])

    opens, closes = joined(table.opens), joined(table.closes)
    _SESSIONS[mic] = replace(table, days=np.concatenate([days, table.days[later]]), opens=opens, closes=closes)


def forget_earlier(mic: str) -> None:
    """Remove the extension by `remember_earlier`, for a study without events before the calendar."""
    if mic in _SESSIONS and _SESSIONS[mic].days[0] < np.datetime64(FIRST_DAY, "D"):
        del _SESSIONS[mic]


def exchange_sessions(mic: str) -> Sessions:
    """Return all sessions of an exchange from 2000 to the end of its calendar.

    `remember_earlier` adds sessions before 2000 if a study has such events.
    """
    if mic not in _SESSIONS:
        _SESSIONS[mic] = _worked_out(mic)
    return _SESSIONS[mic]


def _worked_out(mic: str) -> Sessions:
    import exchange_calendars

    exchange = exchanges().get(mic)
    name = exchange.calendar if exchange else mic
    known = exchange_calendars.get_calendar_names(include_aliases=True)
    if name not in known:
        raise ConfigError(f"market {mic!r} has no trading calendar; {nearest(mic, known)}")
    with warnings.catch_warnings():
        # exchange_calendars 4.13 reads tz-aware columns in a way that pandas 3.1 deprecates.
        warnings.simplefilter("ignore")
        try:
            calendar = _calendar(name)
        except (ValueError, NotImplementedError) as error:
            raise ConfigError(
                f"market {mic!r}: its calendar in exchange_calendars does not work here "
                f"({type(error).__name__}); another release of it or of pandas may"
            ) from error
    table = _sessions(mic, calendar)
    return _as_known(table, exchange) if exchange else table


def _as_known(table: Sessions, exchange: Exchange) -> Sessions:
    """The sessions from the exchange's first day on, with sessions that the calendar lacks.

    Added sessions after the calendar's end are ignored, because all events in the gap would be moved to them.
    """
    zone, known = zoneinfo.ZoneInfo(exchange.time_zone), table.days.tolist()
    inside = [item for item in exchange.extra_sessions if known[0] <= item.day <= known[-1]]
    extra = [item for item in inside if item.day not in set(known)]
    opens, closes = (
        [int(dt.datetime.combine(item.day, getattr(item, at), zone).timestamp()) * 10**9 for item in extra]
        for at in ("open", "close")
    )
    days = np.append(table.days, np.array([item.day for item in extra], dtype="datetime64[D]"))
    order = np.argsort(days)
    order = order[days[order] >= np.datetime64(exchange.first_day, "D")]
    return replace(
        table,
        days=days[order],
        opens=np.append(table.opens, np.array(opens, dtype=np.int64))[order],
        closes=np.append(table.closes, np.array(closes, dtype=np.int64))[order],
    )


def _calendar(name: str) -> Any:
    """The calendar from `FIRST_DAY`, or from its own start if that is later."""
    import exchange_calendars

    make = _own_years(name) or functools.partial(exchange_calendars.get_calendar, name)
    try:
        return make(start=str(FIRST_DAY), side="left")
    except ValueError:
        return make(side="left")


def _own_years(name: str) -> Any:
    """The calendar's class with yearly holidays computed only for the years that it covers; None without a class.

    The library computes them for 1970 to 2200, which takes most of the time of making a calendar.
    """
    try:
        module = importlib.import_module(f"exchange_calendars.exchange_calendar_{name.lower()}")
        kind = getattr(module, f"{name}ExchangeCalendar")
    except (ImportError, AttributeError):
        return None
    import pandas as pd
    from exchange_calendars.exchange_calendar import HolidayCalendar

    # A holiday may be observed on another day, so one more year is included on both sides.
    year = pd.Timedelta(days=366)
    first, last = pd.Timestamp(FIRST_DAY) - year, kind.default_end() + year

    class Years(HolidayCalendar):  # type: ignore[misc]
        def holidays(self, start: Any = None, end: Any = None, return_name: bool = False) -> Any:
            return super().holidays(start or first, end or last, return_name)

    class OwnYears(kind):  # type: ignore[misc, valid-type]
        @property
        def regular_holidays(self) -> Any:
            found = super().regular_holidays
            return found and Years(found.rules)

    return OwnYears


def _sessions(mic: str, calendar: Any) -> Sessions:
    schedule = calendar.schedule
    days = schedule.index.to_numpy().astype("datetime64[D]")
    opens, closes = (
        schedule[column].dt.tz_convert(None).to_numpy().astype("datetime64[ns]").astype(np.int64)
        for column in ("open", "close")
    )
    return Sessions(mic, str(calendar.tz), days, opens, closes)


def sessions(mic: str, start: dt.date, end: dt.date) -> NDArray[np.datetime64]:
    """Return the session days of an exchange from ``start`` to ``end``, both included."""
    days = exchange_sessions(mic).days
    return days[(days >= np.datetime64(start, "D")) & (days <= np.datetime64(end, "D"))]


def session_close(mic: str, session: dt.date) -> dt.datetime:
    """Return when a session ends, in UTC; `KeyError` if that day is no session."""
    table = exchange_sessions(mic)
    at = table.position(session)
    if at == len(table.days) or table.days[at] != np.datetime64(session, "D"):
        raise KeyError(f"{session} is not a session of {mic}")
    return dt.datetime.fromtimestamp(int(table.closes[at]) / 1e9, tz=dt.UTC)


def align(event: Event, mic: str, *, table: Callable[[str], Sessions] = exchange_sessions) -> Alignment | None:
    """Return day 0 of an event: the first session whose close is later than the timestamp.

    A timestamp exactly at the close belongs to the next session, since nobody could trade on it any more. A bare date
    means the session of that date, or the next one if the exchange was closed. Returns None if the calendar ends
    before the event or begins after it.
    """
    calendar = table(mic)
    first: dt.date = calendar.days[0].astype(dt.date) if len(calendar.days) else FIRST_DAY
    # A calendar that starts with the century's first holidays knows them.
    begins = FIRST_DAY if 0 <= (first - FIRST_DAY).days <= LONGEST_HOLIDAY else first
    if instant_utc(event.timestamp).date() < begins:
        return None
    if not isinstance(event.timestamp, dt.datetime):
        at = calendar.position(event.timestamp)
        if at == len(calendar.days):
            return None
        session = calendar.days[at].astype(dt.date)
        reaction = "date" if session == event.timestamp else "closed"
        return _aligned(event, calendar.mic, session, reaction, event.timestamp)
    moment = int(event.timestamp.timestamp()) * 10**9
    at = int(np.searchsorted(calendar.closes, moment, side="right"))
    if at == len(calendar.days):
        return None
    session = calendar.days[at].astype(dt.date)
    asked = event.timestamp.astimezone(zoneinfo.ZoneInfo(calendar.zone)).date()
    return _aligned(event, mic, session, _reaction(calendar, at, moment, asked), asked)


def align_all(events: Events, config: StudyConfig) -> dict[tuple[str, str], Alignment]:
    """Return day 0 of every event on every market of the study, by (event_id, MIC)."""
    pairs = {}
    for event in events:
        for market in config.markets:
            alignment = align(event, market.mic)
            if alignment is not None:
                pairs[event.event_id, market.mic] = alignment
    return pairs


def _reaction(calendar: Sessions, at: int, moment: int, asked: dt.date) -> str:
    if moment >= calendar.opens[at]:
        return "intraday"
    if calendar.days[at] == np.datetime64(asked, "D"):
        return "pre_open"
    traded = at > 0 and calendar.days[at - 1] == np.datetime64(asked, "D")
    return "after_close" if traded else "closed"


def _aligned(event: Event, mic: str, session: dt.date, reaction: str, asked: dt.date) -> Alignment:
    days_after = (session - asked).days
    note = ""
    if event.precision == "date":
        note = say("day0.date_only")
    if days_after > DAYS_APART:
        note = say("day0.closed", mic=mic, session=session, days=days_after)
    return Alignment(event.event_id, mic, session, reaction, days_after, note)
