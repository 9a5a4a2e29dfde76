"""Day 0 on each exchange: golden cases, boundaries, holidays."""

from __future__ import annotations

import datetime as dt
import warnings

import exchange_calendars
import numpy as np
import pytest

from eventstudy.errors import ConfigError
from eventstudy.events import Event
from eventstudy.exchanges.calendars import align, exchange_sessions, forget_earlier, session_close, sessions


def event(text: str) -> Event:
    if "T" not in text:
        return Event(
            event_id="E", timestamp=dt.date.fromisoformat(text), precision="date", kind="report", label="unknown"
        )
    return Event(
        event_id="E", timestamp=dt.datetime.fromisoformat(text), precision="minute", kind="report", label="unknown"
    )


@pytest.mark.parametrize(
    ("timestamp", "mic", "session", "reaction"),
    [
        # NVIDIA's keynote in US hours reaches Shanghai the next morning.
        ("2025-03-18T17:00+00:00", "XNYS", "2025-03-18", "intraday"),
        ("2025-03-18T17:00+00:00", "XSHG", "2025-03-19", "pre_open"),
        # At the closing second nothing can be traded any more.
        ("2024-03-18T20:00+00:00", "XNYS", "2024-03-19", "after_close"),
        ("2024-03-18T20:00+00:00", "XSHG", "2024-03-19", "pre_open"),
        ("2024-03-18T19:59:59+00:00", "XNYS", "2024-03-18", "intraday"),
        ("2026-02-03T22:00+00:00", "XNYS", "2026-02-04", "after_close"),
        ("2026-02-03T22:00+00:00", "XSHE", "2026-02-04", "pre_open"),
        # A Friday in New York is a Saturday in Shanghai.
        ("2025-02-21T18:00+00:00", "XNAS", "2025-02-21", "intraday"),
        ("2025-02-21T18:00+00:00", "XSHG", "2025-02-24", "closed"),
        # Early close at 13:00 New York on the day after Thanksgiving.
        ("2024-11-29T17:59+00:00", "XNYS", "2024-11-29", "intraday"),
        ("2024-11-29T18:00+00:00", "XNYS", "2024-12-02", "after_close"),
        # Shanghai's lunch break is inside the session; so is the moment before its close at 15:00.
        ("2026-02-04T12:00+08:00", "XSHG", "2026-02-04", "intraday"),
        ("2026-02-04T14:59+08:00", "XSHG", "2026-02-04", "intraday"),
        ("2026-02-04T15:00+08:00", "XSHG", "2026-02-05", "after_close"),
        ("2018-04-16T13:00+00:00", "XNYS", "2018-04-16", "pre_open"),
        # Every day is a session of coins, to midnight UTC; 2022-11-12 is a Saturday.
        ("2022-11-12", "COIN", "2022-11-12", "date"),
        ("2022-11-12T23:59+00:00", "COIN", "2022-11-12", "intraday"),
        ("2022-11-13T00:00+00:00", "COIN", "2022-11-13", "intraday"),
        # Memorial Day: shut in New York only.
        ("2025-05-26T15:00+00:00", "XNYS", "2025-05-27", "closed"),
        ("2025-05-26T05:00+00:00", "XSHG", "2025-05-26", "intraday"),
        # Qingming: shut in Shanghai only.
        ("2025-04-04T14:00+00:00", "XNYS", "2025-04-04", "intraday"),
        ("2025-04-04T03:00+00:00", "XSHG", "2025-04-07", "closed"),
        # Tokyo trades to 15:30 since 2024-11-05.
        ("2024-11-01T06:15+00:00", "XTKS", "2024-11-05", "after_close"),
        ("2024-11-06T06:15+00:00", "XTKS", "2024-11-06", "intraday"),
        # Bare dates: that day's session, or the next one.
        ("2026-06-09", "XNYS", "2026-06-09", "date"),
        ("2026-06-07", "XNYS", "2026-06-08", "closed"),
        ("2025-01-29", "XSHE", "2025-02-05", "closed"),
    ],
)
def test_day0(timestamp: str, mic: str, session: str, reaction: str) -> None:
    alignment = align(event(timestamp), mic)
    assert alignment is not None
    assert (str(alignment.session), alignment.reaction) == (session, reaction)


def test_a_long_closure_is_noted() -> None:
    alignment = align(event("2025-01-27T14:30+00:00"), "XSHG")
    assert alignment is not None
    assert (str(alignment.session), alignment.days_after) == ("2025-02-05", 9)
    assert "covers 9 days" in alignment.note


def test_a_bare_date_asks_for_the_wider_window() -> None:
    alignment = align(event("2026-06-09"), "XNYS")
    assert alignment is not None
    assert "[-1,1]" in alignment.note


def test_past_the_end_of_a_calendar_there_is_no_day0() -> None:
    end = exchange_sessions("XSHG").days[-1].astype(dt.date)
    assert align(event(str(end + dt.timedelta(days=1))), "XSHG") is None
    late = dt.datetime.combine(end, dt.time(23), tzinfo=dt.UTC)
    assert align(event(late.isoformat()), "XSHG") is None


def test_session_close_and_range() -> None:
    assert session_close("XNYS", dt.date(2024, 11, 29)) == dt.datetime(2024, 11, 29, 18, tzinfo=dt.UTC)
    with pytest.raises(KeyError, match="2024-11-30 is not a session"):
        session_close("XNYS", dt.date(2024, 11, 30))
    days = sessions("XSHG", dt.date(2025, 1, 26), dt.date(2025, 2, 6))
    assert [str(day) for day in days] == ["2025-01-27", "2025-02-05", "2025-02-06"]


def test_an_unknown_market_names_a_known_one() -> None:
    with pytest.raises(ConfigError, match=r"market 'XNYX' has no trading calendar.*did you mean"):
        exchange_sessions("XNYX")


@pytest.mark.parametrize("mic", ["XNYS", "XSHG", "XTAI", "XTKS", "XHKG", "XLON", "XKRX"])
def test_sessions_are_the_librarys(mic: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        whole = exchange_calendars.get_calendar(mic, start="2000-01-01", side="left")
    forget_earlier(mic)
    mine = exchange_sessions(mic)
    assert mine.days.tolist() == whole.sessions.date.tolist()
    np.testing.assert_array_equal(mine.opens, whole.opens_nanos)
    np.testing.assert_array_equal(mine.closes, whole.closes_nanos)
    assert mine.zone == str(whole.tz)
