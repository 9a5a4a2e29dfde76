"""Every bad input of docs/bad-inputs.md: exit code, message, and earlier results as they were."""

from __future__ import annotations

import datetime as dt
import errno
import json
import os
import re
import resource
import shutil
import sqlite3
import stat
import subprocess
import time
import zoneinfo
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import openpyxl
import pandas as pd
import pytest
from bad_inputs_place import E1, E2, TABLES_ONLY, TICKERS, Place, make_study, settle, whole
from blackbox import behind, finish, make_certificate, start
from fake_yahoo import FakeYahoo, fresh_yfinance
from filelock import FileLock
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scripted import Scripted
from studies import HEADER, edit_prices, event_row, write_prices, write_study

from eventstudy import plots
from eventstudy.commands.doctor import examine as doctor
from eventstudy.errors import EventStudyError, Reason
from eventstudy.events import Event, read_events
from eventstudy.exchanges.calendars import align, exchange_sessions, sessions
from eventstudy.plots import fonts
from eventstudy.prices import PROVIDERS, check_tickers
from eventstudy.prices.snapshot import open_snapshot
from eventstudy.reversal.claims import read_claims

PERIODIC = ("--set", "windows.estimation=[-200,-11]")


@dataclass(frozen=True)
class Row:
    """One bad input: the input, the result, and the test that checks it."""

    number: int
    given: str
    gets: str
    test: Callable[[Place], None]


ROWS: dict[int, Row] = {}


def row(number: int, given: str, gets: str) -> Callable[[Callable[[Place], None]], Callable[[Place], None]]:
    def register(test: Callable[[Place], None]) -> Callable[[Place], None]:
        assert number not in ROWS
        ROWS[number] = Row(number, given, gets, test)
        return test

    return register


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_study(tmp_path_factory.mktemp("study"))


@pytest.fixture
def place(
    template: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Iterator[Place]:
    yield settle(template, tmp_path, monkeypatch, capsys)
    os.environ.pop("TZ", None)
    time.tzset()


@pytest.mark.parametrize("number", range(1, 90), ids=str)
def test_bad_input(number: int, place: Place) -> None:
    ROWS[number].test(place)
    place.assert_earlier_results_intact()


def refused(answer: Any, code: int, *said: str) -> None:
    """A command ended with this code and said each of these on stderr, without a traceback."""
    assert answer.code == code, answer.said
    for text in said:
        assert text in answer.err, answer.err
    assert "Traceback" not in answer.said


@contextmanager
def yahoo_run(place: Place, modes: dict[str, str], **options: Any) -> Iterator[Any]:
    """A run on prices of a Yahoo on this machine, with a fault for each ticker."""
    with FakeYahoo(modes, n_bars=260, varied=True) as server, fresh_yfinance(place.patch):
        place.yahoo(server, **options)
        place.rows(event_row("E1", server.days()[200].isoformat()))
        yield place.run("--quiet", prices="yahoo")


# The events file


@row(1, "UTF-8 byte-order mark", "read; the mark is ignored")
def _(place: Place) -> None:
    place.bytes(b"\xef\xbb\xbf" + place.events.read_bytes())
    assert place.run("--quiet").code == 0
    assert place.reason("AAA") == "used "


@row(2, "GBK or GB18030 text", "read as GB18030; a note says so")
def _(place: Place) -> None:
    place.bytes("\n".join([HEADER, event_row("E1", E1, title="光模块下跌"), ""]).encode("gb18030"))
    answer = place.check()
    assert answer.code == 0
    assert "events.csv: is not UTF-8; read as GB18030" in answer.out
    assert read_events(place.events).rows[0].title == "光模块下跌"


@row(3, "UTF-16, as Excel's 'Unicode text'", "read as UTF-16; a note says so")
def _(place: Place) -> None:
    plain = read_events(place.events).rows
    place.bytes(place.events.read_text(encoding="utf-8").encode("utf-16"))
    answer = place.check()
    assert answer.code == 0
    assert "events.csv: is not UTF-8; read as UTF-16" in answer.out
    assert read_events(place.events).rows == plain


@row(4, "semicolons, tabs or bars between the cells", "read; any other separator is an error")
def _(place: Place) -> None:
    text = place.events.read_text(encoding="utf-8")
    for separator in ";\t|":
        place.bytes(text.replace(",", separator).encode())
        assert place.check().code == 0
    place.bytes(text.replace(",", "~").encode())
    refused(place.run(), 2, "events.csv:1: no column with the date of the event; the file has event_id~timestamp~")


@row(
    5, "Excel serial number 46196 as a date", "read if all dates are serial numbers; else an error that shows the date"
)
def _(place: Place) -> None:
    place.rows(event_row("E1", "46196"))
    assert read_events(place.events).rows[0].timestamp == dt.date(2026, 6, 23)
    place.rows(event_row("E1", "46196"), event_row("E2", E1))
    refused(place.run(), 2, "events.csv:2: timestamp '46196' is an Excel serial number (it would mean 2026-06-23)")


@row(6, "06/07/2026", "error that shows both readings, unless both are the same day or another row decides")
def _(place: Place) -> None:
    @settings(max_examples=25, deadline=None, database=None, derandomize=True)
    @given(st.integers(1, 12), st.integers(1, 12), st.sampled_from("/."))
    def either(first: int, second: int, mark: str) -> None:
        place.rows(event_row("E1", f"{first:02d}{mark}{second:02d}{mark}2026"))
        if first == second:
            assert read_events(place.events).rows[0].timestamp == dt.date(2026, first, first)
            return
        with pytest.raises(EventStudyError) as caught:
            read_events(place.events)
        text = str(caught.value)
        assert f"could be 2026-{first:02d}-{second:02d} or 2026-{second:02d}-{first:02d}" in text

    either()
    refused(place.run(), 2, "could be 2026-")


@row(
    7,
    "2026年6月24日 and 24-Jun-26",
    "the first is read; the second is an error with an ISO example, because its year has two digits",
)
def _(place: Place) -> None:
    for text in ("2026年6月24日", "24-Jun-2026", "June 24, 2026", "20260624"):
        place.bytes(f'event_id,timestamp,precision,kind,label\nE1,"{text}",date,report,unknown\n'.encode())
        assert read_events(place.events).rows[0].timestamp == dt.date(2026, 6, 24)
    place.rows(event_row("E1", "24-Jun-26"))
    refused(place.run(), 2, "is not a time; write ISO 8601 with an offset, such as 2026-06-09T09:30:00-04:00")
    place.rows(event_row("E1", "2021/06/09"))
    assert place.check().code == 0


@row(8, "time without a zone", "error; the time is never assumed to be UTC")
def _(place: Place) -> None:
    place.rows(event_row("E1", "2021-06-09T16:30"))
    refused(place.run(), 2, "events.csv:2: timestamp '2021-06-09T16:30': has no zone")


@row(9, "unknown time zone", "error with the most similar zone")
def _(place: Place) -> None:
    place.rows(event_row("E1", "2021-06-09T16:30 America/New_Yrok", precision="minute"))
    refused(place.run(), 2, "zone 'America/New_Yrok' is unknown; did you mean 'America/New_York'?")


@row(10, "local time that a clock change makes ambiguous or absent", "error that asks for an offset")
def _(place: Place) -> None:
    zones = sorted(z for z in zoneinfo.available_timezones() if z.startswith(("America/", "Europe/")))

    @settings(max_examples=25, deadline=None, database=None, derandomize=True)
    @given(st.sampled_from(zones), st.integers(0, 364))
    def changes(zone: str, day: int) -> None:
        midnight = dt.datetime(2021, 1, 1) + dt.timedelta(days=day)
        for minutes in range(0, 240, 30):
            local = midnight + dt.timedelta(minutes=minutes)
            folds = [local.replace(tzinfo=zoneinfo.ZoneInfo(zone), fold=f).utcoffset() for f in (0, 1)]
            place.rows(event_row("E1", f"{local:%Y-%m-%dT%H:%M} {zone}", precision="minute"))
            if folds[0] == folds[1]:
                read_events(place.events)
            else:
                with pytest.raises(EventStudyError, match="this local time occurs twice or not at all; give an offset"):
                    read_events(place.events)

    changes()
    for local in ("2021-03-14T02:30", "2021-11-07T01:30"):
        place.rows(event_row("E1", f"{local} America/New_York", precision="minute"))
        refused(place.run(), 2, "falls into a clock change of America/New_York")


@row(11, "date without a time", "needs precision 'date'; a printed line says how the date is read")
def _(place: Place) -> None:
    place.rows(event_row("E1", E1, precision="minute"))
    refused(place.run(), 2, "is a bare date, precision is 'minute'; add the time with its offset")
    place.rows(event_row("E1", E1))
    answer = place.check("--json")
    assert answer.code == 0
    assert "only the date is known: look at [-1,1] as well" in answer.out


@row(12, "weekend or holiday", "day 0 is the next session; the ledger shows both")
def _(place: Place) -> None:
    place.rows(event_row("E1", "2021-06-12"), event_row("E2", "2021-09-06"))
    assert place.run("--quiet").code == 0
    assert place.reason("AAA") == "shifted shifted: XNYS was closed, day 0 is 2 day(s) later"
    assert place.reason("AAA", "E2") == "shifted shifted: XNYS was closed, day 0 is 1 day(s) later"
    assert place.table("ledger")["session"].tolist() == ["2021-06-14"] * 2 + ["2021-09-07"] * 2
    assert place.table("alignment")["timestamp"].tolist() == ["2021-06-12", "2021-09-06"]


@row(13, "after the close, before the open, in the lunch break", "next session, same session, same session")
def _(place: Place) -> None:
    def day0(stamp: str, mic: str) -> tuple[str, str]:
        event = Event(
            event_id="E", timestamp=dt.datetime.fromisoformat(stamp), precision="minute", kind="report", label="unknown"
        )
        found = align(event, mic)
        assert found is not None
        return str(found.session), found.reaction

    assert day0("2021-06-09T15:59:00-04:00", "XNYS") == ("2021-06-09", "intraday")
    assert day0("2021-06-09T16:00:00-04:00", "XNYS") == ("2021-06-10", "after_close")
    assert day0("2021-06-09T05:00:00-04:00", "XNYS") == ("2021-06-09", "pre_open")
    assert day0("2021-06-09T12:00:00+08:00", "XSHG") == ("2021-06-09", "intraday")
    assert day0("2021-06-11T15:00:00+08:00", "XSHG") == ("2021-06-15", "after_close")
    place.rows(event_row("E1", "2021-06-09T16:30-04:00"))
    assert place.run("--quiet").code == 0
    assert place.reason("AAA") == "shifted shifted: published after the close, day 0 is 1 day(s) later"


@row(14, "event in the future, or with a window that is not over", "dropped: no price yet, or window_incomplete")
def _(place: Place) -> None:
    place.rows(event_row("E1", E1), event_row("E2", "2021-12-15"), event_row("E3", "2022-06-01"))
    assert place.run("--quiet").code == 0
    assert place.reason("AAA", "E2") == (
        "dropped window_incomplete: day +20 lies after 2021-12-30, the last session of IDX"
    )
    assert place.reason("AAA", "E3") == "dropped no_prices: the series ends on 2021-12-30"


@row(15, "event before the first price, or soon after a listing", "dropped: estimation_short with the counts")
def _(place: Place) -> None:
    place.rows(event_row("E0", "2020-03-03"), event_row("E1", "2020-09-02"), event_row("E2", E2))
    place.prices("BBB", lambda lines: lines[200:])
    assert place.run("--quiet").code == 0
    assert place.reason("AAA", "E0") == "dropped no_prices: the series starts on 2020-06-01"
    assert re.match(r"dropped estimation_short: 5\d of at least 120 returns in \[-250,-11\]", place.reason("AAA"))
    assert place.reason("BBB", "E2").startswith("dropped estimation_short: ")
    assert place.reason("AAA", "E2") == "used "


@row(16, "delisted inside the window", "dropped: prices_end_before_window; windows.allow_partial keeps it, flagged")
def _(place: Place) -> None:
    place.prices("AAA", lambda lines: [line for line in lines if line < "2021-06-16"])
    place.rows(event_row("E1", E1))
    assert place.run("--quiet").code == 0
    assert place.reason("AAA").startswith("dropped prices_end_before_window: no return after 2021-06-15")
    assert place.run("--set", "windows.allow_partial=true", "--quiet").code == 0
    assert place.reason("AAA") == "used 16 of 31 event days without a return, the first is day 5"


@row(17, "the same event_id twice", "error with both lines; two identical rows count once")
def _(place: Place) -> None:
    place.rows(event_row("E1", E1), event_row("E2", E2), event_row("E1", E1))
    assert place.run("--quiet").code == 0
    assert place.summary()["counts"] == {"dropped": 0, "merged": 2, "reasons": {}, "shifted": 0, "used": 4}
    place.rows(event_row("E1", E1), event_row("E2", E1), event_row("E1", E2))
    refused(place.run(), 2, "events.csv:4: event_id 'E1' is already on line 2; ids are unique")


@row(
    18,
    "one ticker and session in two events",
    "counts once within one shock; in two shocks both are kept, with a warning",
)
def _(place: Place) -> None:
    place.rows(event_row("E1", E1), event_row("E2", E1, tickers="AAA"), event_row("E3", E2))
    assert place.run("--quiet").code == 0
    said = "merged repeated: E1 has this security with the same day 0 in the same shock; it counts once"
    assert place.reason("AAA", "E2") == said
    place.rows(
        event_row("E1", E1, shock_id="S1"), event_row("E2", E1, tickers="AAA", shock_id="S2"), event_row("E3", E2)
    )
    assert place.run("--quiet").code == 0
    warned = "E1, E2 have the same day 0, 2021-06-09, for 1 peers: they are counted as separate events"
    assert warned in place.summary()["warnings"]


@row(
    19,
    "overlapping windows of one ticker",
    "days around the other event are left out of the estimation; each is listed",
)
def _(place: Place) -> None:
    place.rows(event_row("E1", "2021-07-07"), event_row("E2", E2))
    assert place.run("--quiet").code == 0
    cuts = place.table("estimation_cuts")
    days = cuts[(cuts["event_id"] == "E2") & (cuts["ticker"] == "AAA")]
    assert days["session"].tolist() == ["2021-07-06", "2021-07-07", "2021-07-08", "2021-07-09"]
    assert "E1" in days["reason"].iloc[0]
    assert place.reason("AAA", "E2") == "used "
    place.rows(event_row("E1", E1), event_row("E2", "2021-06-16", tickers="AAA"))
    assert place.run("--quiet").code == 0
    assert place.reason("AAA", "E2").endswith(
        "5 session(s) after E1 of the same security, whose event window has not ended"
    )
    assert [text for text in place.summary()["warnings"] if "is still open (E2 AAA)" in text] != []


@row(20, "all events on one day", "one date, whatever the ids are; no test claims to separate it from the market")
def _(place: Place) -> None:
    for shock in ("", "S", "S{n}"):
        rows = [event_row(f"E{n}", E1, tickers=t, shock_id=shock.format(n=n)) for n, t in enumerate(TICKERS, 1)]
        place.rows(*rows)
        assert place.run("--quiet").code == 0
        summary = place.summary()
        assert summary["headline"]["n_dates"] == 1
        assert summary["trust"].startswith("One date only: no test can separate the event from other news")
        said = [text for text in summary["warnings"] if not text.startswith("These prices lack")]
        assert [text.split(":")[0] for text in said] == [f"shocks S1, S2 have the same day 0, {E1}"] * ("{" in shock)


@row(21, "one event with one security", "CAR and its own t; tests over events are not applicable, with the reason")
def _(place: Place) -> None:
    place.rows(event_row("E1", E1, tickers="AAA"))
    assert place.run("--quiet").code == 0
    car = place.table("car")
    assert car["p_value"].ne("").all()
    tests = place.table("tests").query("group == 'all' and window == '[0,1]'").set_index("name")
    for name in ("cross_sectional_t", "bmp", "date_t"):
        assert tests.loc[name, "p_value"] == ""
        assert tests.loc[name, "reason"] != ""
    assert tests.loc["cross_sectional_t", "estimate"] == car.query("window == '[0,1]'")["car"].iloc[0]


# Tickers


@row(22, "ticker that the provider does not know", "dropped: no_prices, with the provider's message")
def _(place: Place) -> None:
    with yahoo_run(place, {"BBB": "404"}) as answer:
        assert answer.code == 0
        assert place.reason("BBB").startswith("dropped no_prices: Yahoo has no prices of BBB in 20")
        assert place.reason("BBB").endswith('it says: "No data found, symbol may be delisted"')


@row(23, "ticker ../../x, AAPL#x, A B", "error; tickers that pass are requested as they are written")
def _(place: Place) -> None:
    for ticker in ("../../x", "AAPL#x", "A B", "A/B", "A?B", "A%2FB"):
        place.rows(event_row("E1", E1, tickers=ticker))
        refused(place.run(), 2, "events.csv:2: ticker ", "accepted are capital letters, digits and . - = _ ^")
        (place.folder / "bad").mkdir(exist_ok=True)
        config = write_study(place.folder / "bad", (ticker,))
        place.rows(event_row("E1", E1))
        answer = place.cli("run", place.events, "--config", config, "--prices", place.folder / "prices")
        refused(answer, 2, "is not a ticker: capital letters, digits")

    @settings(max_examples=200, deadline=None, database=None, derandomize=True)
    @given(st.text(max_size=12))
    def only_plain(ticker: str) -> None:
        try:
            check_tickers([ticker])
        except EventStudyError:
            return
        assert re.fullmatch(r"[A-Z0-9.\-=^]+", ticker)
        assert ".." not in ticker[:1]

    only_plain()


@row(24, "002281 without its exchange", "read as 002281.SZ; a note says so; leading zeros are kept")
def _(place: Place) -> None:
    place.rows(event_row("E1", E1, tickers="002281"), event_row("E2", E1, tickers="603083"))
    assert [event.tickers for event in read_events(place.events)] == [("002281.SZ",), ("603083.SS",)]
    answer = place.check()
    assert "ticker '002281' read as '002281.SZ'" in answer.out
    place.rows(event_row("E1", E1, tickers="742281"))
    refused(place.run(), 2, "'742281' has no exchange; write its ending too")


@row(25, "tickers NA, TRUE, 1E5", "read as text")
def _(place: Place) -> None:
    odd = ("NA", "TRUE", "1E5")
    write_prices(place.folder / "odd", odd, start="2020-06-01", end="2021-12-30")
    write_study(place.folder, odd)
    place.rows(event_row("E1", E1, tickers="NA;TRUE;1E5"))
    assert place.run("--quiet", prices="odd").code == 0
    assert place.table("ledger")["ticker"].tolist() == list(odd)
    assert set(place.table("car")["ticker"]) == set(odd)


@row(26, "lower-case or full-width letters in a ticker", "read as capitals; a note says so")
def _(place: Place) -> None:
    place.rows(event_row("E1", E1, tickers="aaa;ＢＢＢ"))
    answer = place.check()
    assert answer.code == 0
    assert "line 2: ticker 'aaa' read as 'AAA'" in answer.out
    assert "ticker 'ＢＢＢ' read as 'BBB'" in answer.out

    @settings(max_examples=50, deadline=None, database=None, derandomize=True)
    @given(st.text("abcxyzABCXYZ０１ａｂＺ019.-", min_size=1, max_size=8))
    def reads_capitals(text: str) -> None:
        place.rows(event_row("E1", E1, tickers=text))
        try:
            tickers = read_events(place.events).rows[0].tickers
        except EventStudyError:
            return
        assert all(re.fullmatch(r"[A-Z0-9.\-=^]+", ticker) for ticker in tickers)

    reads_capitals()


# Text that becomes something else


@row(27, "=cmd() as a name", "text in the workbook, with a leading apostrophe in CSV; numbers stay numbers")
def _(place: Place) -> None:
    for text in ("=cmd()", "+1", "@SUM(A1)"):
        place.rows(event_row("E1", E1, shock_id="S", title=text), event_row("E2", E2, title=text))
        assert place.run("--set", 'report.formats=["csv","xlsx"]', "--quiet").code == 0
        shocks = place.table("shocks")
        assert set(shocks["title"]) == {f"'{text}"}
        assert any(float(value) < 0 for value in place.table("car")["car"])
        book = openpyxl.load_workbook(place.latest / "tables.xlsx")
        cells = [cell for sheet in book for line in sheet.iter_rows() for cell in line]
        assert not [cell for cell in cells if cell.data_type == "f"]
        assert any(cell.value == text and cell.data_type == "s" for cell in cells)


@row(28, "HTML, Typst or LaTeX markup in names", "shown as written")
def _(place: Place) -> None:
    evil = "<script>alert(1)</script> #import \\input{x} $x$"
    extra = dict.fromkeys(TICKERS, f"name = '{evil}'")
    write_study(place.folder, extra=extra, tickers=TICKERS)
    place.rows(event_row("E1", E1, title=evil), event_row("E2", E2))
    place.patch.setattr(plots, "plots_of", lambda _: ())
    assert place.run("--set", f'study.name="{evil.replace(chr(92), "")}"', *formats("pdf", "html"), "--quiet").code == 0
    page = (place.latest / "report.html").read_text(encoding="utf-8")
    assert "<script>alert" not in page
    assert "&lt;script&gt;alert(1)" in page
    assert (place.latest / "report.pdf").stat().st_size > 10_000


def formats(*names: str) -> tuple[str, str]:
    return ("--set", f"report.formats={json.dumps(names)}")


@row(29, "quotes and line breaks inside a cell", "read; line numbers of later rows stay right")
def _(place: Place) -> None:
    first = f'E1,{E1},date,report,unknown,,,,,,"two\nlines ""quoted""",,,'
    text = f"{HEADER}\n{first}\nE2,never,date,report,unknown,,,,,,,,,\n"
    place.bytes(text.encode())
    refused(place.run(), 2, "events.csv:4: timestamp 'never' is not a time")
    place.bytes(text.replace("never", E2).encode())
    assert place.check().code == 0
    place.bytes(f'{HEADER}\nE1,{E1},date,report,unknown,,,,,,"never closed,,,\n'.encode())
    refused(place.run(), 2, "is not a CSV file: unexpected end of data; close the quotes")


@row(30, "row with fewer or more cells than the header", "error with the count")
def _(place: Place) -> None:
    good = event_row("E1", E1)
    place.bytes(f"{HEADER}\n{good},,\n{good.replace('E1', 'E2')[:-2]}\n".encode())
    refused(
        place.run(),
        2,
        "events.csv:2: row has 2 cell(s) more than the header",
        "events.csv:3: row has 2 cell(s) fewer than the header",
    )


@row(31, "empty file, or only a header", "error that names 'eventstudy init'")
def _(place: Place) -> None:
    for content, said in ((b"", "is empty"), (b"\n \n", "is empty"), (HEADER.encode(), "has a header but no event")):
        place.bytes(content)
        refused(place.run(), 2, f"events.csv: {said}", "'eventstudy init' writes")


@row(32, "a file of 2 GB", "refused because of its size, before it is read")
def _(place: Place) -> None:
    with place.events.open("wb") as file:
        file.truncate(2 * 2**30)
    begun = time.monotonic()
    refused(place.run(), 2, "events.csv: is 2048 MiB; accepted are 64 MiB")
    assert time.monotonic() - begun < 5


@row(
    33,
    "NUL bytes, or a workbook renamed to .csv",
    "a workbook of events is read; else an error that says what the file is",
)
def _(place: Place) -> None:
    book = openpyxl.Workbook()
    book.save(place.events)
    refused(place.run(), 2, "events.csv: is an Excel workbook without a cell")
    for cells in (("Date", "Ticker"), (dt.datetime.fromisoformat(E1[:10]), "AAA")):
        book.active.append(cells)
    book.save(place.events)
    assert [(event.event_id, event.tickers) for event in read_events(place.events)] == [(f"AAA-{E1[:10]}", ("AAA",))]
    place.bytes(f"{HEADER}\nE1,\x00".encode())
    refused(place.run(), 2, "contains NUL bytes and is not a text file")
    book.save(place.folder / "prices" / "AAA.csv")
    place.rows(event_row("E1", E1))
    refused(place.run(), 4, "AAA.csv")


# Prices


@row(34, "zero or negative close", "file: error with line and day; provider: that ticker is refused")
def _(place: Place) -> None:
    edit_prices(place.folder / "prices" / "AAA.csv", d2021_03_02="-5,-5,1000", d2021_03_03="0,0,1000")
    refused(place.run(), 4, "AAA.csv:191: close -5 on 2021-03-02 is zero or negative", "line like it: 192)")
    with yahoo_run(place, {"BBB": "negative"}) as answer:
        assert answer.code == 0
        assert place.reason("BBB").startswith("dropped no_prices: Yahoo's prices of BBB: close -")


@row(35, "a missing price", "that day and the next have no return, and are counted; CAR and t are finite")
def _(place: Place) -> None:
    edit_prices(place.folder / "prices" / "AAA.csv", d2021_03_02=",,", d2021_06_17=",,")
    place.rows(event_row("E1", E1))
    assert place.run("--quiet").code == 0
    assert place.reason("AAA") == "used 2 of 31 event days without a return, the first is day 6"
    assert [text for text in place.summary()["warnings"] if "no CAR in some windows" in text] == [
        (
            "1 of 2 used firm-events have no CAR in some windows, because a day of the window has no return (E1 AAA); "
            "N of these windows does not count them: [2,10] 1, [2,20] 1"
        )
    ]
    estimation = place.table("estimation").set_index("ticker")
    assert (estimation.loc["AAA", "n_estimation"], estimation.loc["BBB", "n_estimation"]) == ("238", "240")
    car = place.table("car").query("ticker == 'AAA' and window == '[0,1]'").iloc[0]
    assert all(np.isfinite(float(car[name])) for name in ("car", "se", "t", "p_value"))


def divide(place: Place, ticker: str, day: str, ratio: float, *, once: bool = False) -> None:
    """Divide the prices from ``day`` on by ``ratio``, or those of the day alone."""

    def change(lines: list[str]) -> Iterator[str]:
        for line in lines:
            date, close, adjusted, volume = line.split(",")
            if date == day or (date > day and not once):
                close, adjusted = (repr(float(price) / ratio) for price in (close, adjusted))
            yield f"{date},{close},{adjusted},{volume}"

    place.prices(ticker, change)


@row(
    36, "unadjusted split in the estimation window", "the run stops and names day and ratio; --accept-suspect continues"
)
def _(place: Place) -> None:
    divide(place, "AAA", "2021-03-02", 4)
    refused(place.run(), 4, "AAA on 2021-03-02: unadjusted_split", "near a split of 4 for 1", "--accept-suspect")
    assert place.run("--accept-suspect", "--quiet").code == 0
    manifest = json.loads((place.latest / "manifest.json").read_text(encoding="utf-8"))
    assert manifest["settings"]["prices"]["accept_suspect"] is True


@row(37, "unadjusted split on the event day", "the run stops and names day and ratio")
def _(place: Place) -> None:
    divide(place, "AAA", E1, 10)
    refused(place.run(), 4, f"AAA on {E1}: unadjusted_split", "near a split of 10 for 1")


@row(38, "stale prices: 40 equal closes", "listed with first day and length")
def _(place: Place) -> None:
    def freeze(lines: list[str]) -> Iterator[str]:
        for at, line in enumerate(lines):
            yield line[:10] + lines[150][10:] if 150 <= at < 190 else line

    place.prices("AAA", freeze)
    assert place.run("--quiet").code == 0
    assert "stale" in set(place.table("quality")["check"])


@row(39, "the same day twice in a price file", "error with both lines")
def _(place: Place) -> None:
    place.prices("AAA", lambda lines: [*lines[:50], lines[49], *lines[50:]])
    refused(place.run(), 4, "AAA.csv:52: 2020-08-10 comes twice, here and in line 51; keep one row")


@row(40, "price rows out of order", "sorted, with a note; every table stays the same")
def _(place: Place) -> None:
    before = {name: place.table(name) for name in ("car", "tests", "aar")}
    for ticker in (*TICKERS, "IDX"):
        place.prices(ticker, lambda lines: lines[::-1])
    assert place.run("--quiet").code == 0
    assert place.latest.name != place.earlier["name"]
    assert all(place.table(name).equals(table) for name, table in before.items())
    manifest = json.loads((place.latest / "manifest.json").read_text(encoding="utf-8"))
    assert "AAA.csv is not in the order of its dates; it was sorted" in str(manifest["prices"]["outcomes"]["AAA"])


@row(41, "gap in the estimation window", "no return spans the gap; counted")
def _(place: Place) -> None:
    place.prices("AAA", lambda lines: lines[:150] + lines[160:])
    place.rows(event_row("E1", E1))
    assert place.run("--quiet").code == 0
    assert place.table("estimation").set_index("ticker").loc["AAA", "n_estimation"] == "229"


@row(42, "index without some days", "the run stops and names the days; prices.benchmark_gaps=drop continues")
def _(place: Place) -> None:
    edit_prices(place.folder / "prices" / "IDX.csv", d2021_03_02=None, d2021_03_05=None)
    refused(place.run(), 4, "benchmark IDX lacks 2 session(s) on which peers traded: 2021-03-02, 2021-03-05")
    assert place.run("--set", "prices.benchmark_gaps=drop", "--quiet").code == 0


@row(43, "index that never moves", "error; models that estimate nothing from the index run with a warning")
def _(place: Place) -> None:
    place.prices("IDX", lambda lines: [f"{line[:10]},100,100,1000" for line in lines])
    refused(place.run(), 4, "IDX", "never moves")
    assert place.run("--set", "model.name=market_adjusted", "--quiet").code == 0
    # The index returns nothing, so what is abnormal is the return itself.
    returns = pd.read_csv(place.folder / "prices" / "AAA.csv", index_col="date")["adj_close"].pct_change()
    ours = place.table("car").query("window == '[0,1]' and ticker == 'AAA'").set_index("event_id")["car"]
    row = place.table("ledger").query("event_id == 'E1' and ticker == 'AAA'").iloc[0]
    at = returns.index.get_loc(row["session"])
    assert float(ours["E1"]) == pytest.approx(returns.iloc[at] + returns.iloc[at + 1], rel=1e-6)
    assert any("IDX: stale" in line for line in place.summary()["warnings"])


@row(44, "security that never moves", "dropped: constant_returns")
def _(place: Place) -> None:
    place.prices("AAA", lambda lines: [f"{line[:10]},100,100,1000" for line in lines])
    answer = place.run("--quiet")
    assert answer.code == 0, answer.said
    assert place.reason("AAA").startswith("dropped ")
    assert "constant" in place.reason("AAA")
    assert place.reason("BBB") == "used "


@row(45, "security that is its own benchmark", "error, even under another name")
def _(place: Place) -> None:
    write_study(place.folder, ("AAA", "IDX"))
    refused(place.run(), 2, "peer IDX is also a benchmark: its abnormal return would be zero")
    write_study(place.folder, ("AAA", "TWIN"))
    (place.folder / "prices" / "TWIN.csv").write_bytes((place.folder / "prices" / "IDX.csv").read_bytes())
    answer = place.run()
    assert answer.code == 4 or place.reason("TWIN").startswith("dropped ")
    assert "IDX" in answer.said or "IDX" in place.reason("TWIN")


@row(46, "currency different from that of the benchmark", "listed with both currencies")
def _(place: Place) -> None:
    provider = Scripted()
    provider.history["AAA"] = lambda series: replace(series, currency="GBp")
    place.patch.setitem(PROVIDERS, "scripted", provider)
    place.patch.setenv("XDG_DATA_HOME", str(place.folder / "data"))
    config = place.folder / "study.toml"
    text = config.read_text(encoding="utf-8").replace("[[markets]]", '[[markets]]\ncurrency = "USD"')
    config.write_text(text, encoding="utf-8")
    assert place.run("--quiet", prices="scripted").code == 0
    found = place.table("quality").query("check == 'currency'")
    assert found["ticker"].tolist() == ["AAA"]
    assert "GBp" in found["message"].iloc[0]
    assert "USD" in found["message"].iloc[0]


@row(47, "one price in a unit 100 times smaller", "the run stops and names the day")
def _(place: Place) -> None:
    divide(place, "AAA", "2021-03-02", 100, once=True)
    refused(place.run(), 4, "AAA on 2021-03-02: currency_slip")
    with yahoo_run(place, {"BBB": "slip"}) as answer:
        refused(answer, 4, "currency_slip")


@row(48, "bar of a session that is not over", "left out; a note says so")
def _(place: Place) -> None:
    with FakeYahoo(n_bars=221, varied=True) as server, fresh_yfinance(place.patch):
        today = server.days()[-1]
        noon = dt.datetime.combine(today, dt.time(12), server.zone)
        place.yahoo(server, now=lambda: noon)
        place.rows(event_row("E1", server.days()[190].isoformat()))
        assert place.cli("fetch", *place.inputs("yahoo"), "--quiet").code == 0
        entry = open_snapshot(place.snapshots()[0]).tickers["AAA"]
        assert entry.outcome.last == server.days()[-2].isoformat()
        assert entry.outcome.notes == (Reason("yahoo.running", n=1, days=str(today)),)


@row(49, "markets with different holidays", "each keeps its own sessions; no empty day is added")
def _(place: Place) -> None:
    write_prices(place.folder / "two", ("AAA",), start="2020-06-01", end="2021-12-30")
    write_prices(place.folder / "two", ("600000.SS",), start="2020-06-01", end="2021-12-30", mic="XSHG", seed=9)
    (place.folder / "two" / "IDX.csv").rename(place.folder / "two" / "000300.SS.csv")
    write_prices(place.folder / "two", ("AAA",), start="2020-06-01", end="2021-12-30")
    config = write_study(place.folder, ("AAA",))
    config.write_text(
        config.read_text(encoding="utf-8") + '[[markets]]\nmic = "XSHG"\nregion = "CN"\nbenchmark = "000300.SS"\n'
        '[[peers]]\nticker = "600000.SS"\nmarket = "XSHG"\n',
        encoding="utf-8",
    )
    place.rows(event_row("E1", "2021-05-12"))
    answer = place.run("--quiet", prices="two")
    assert answer.code == 0, answer.said
    assert place.table("ledger")["reason"].tolist() == ["", ""]
    daily = place.table("abnormal_returns")
    assert daily["ar"].ne("").all()
    labour_day = daily[daily["session"] == "2021-05-04"]["ticker"].tolist()
    assert labour_day == ["AAA"]


# Providers and snapshots


def fetch_twice(
    place: Place, first: dict[str, str], second: dict[str, str], **options: Any
) -> tuple[Any, Any, FakeYahoo]:
    """The same fetch before and after the server changes; returns both answers and the server."""
    with FakeYahoo(first, n_bars=260, varied=True, **options) as server, fresh_yfinance(place.patch):
        place.yahoo(server)
        place.rows(event_row("E1", server.days()[200].isoformat()))
        one = place.cli("fetch", *place.inputs("yahoo"))
        server.modes, server.dies_after = second, None
        server.asked.clear()
        with fresh_yfinance(place.patch):
            return one, place.cli("fetch", *place.inputs("yahoo")), server


@row(
    50, "price history that Yahoo rewrites", "a comparison of two snapshots lists each changed return by ticker and day"
)
def _(place: Place) -> None:
    with FakeYahoo(n_bars=260, varied=True) as server:
        place.yahoo(server)
        place.rows(event_row("E1", server.days()[200].isoformat()))
        for name, modes in (("a", {}), ("b", {"AAA": "dividend"})):
            server.modes = modes
            with fresh_yfinance(place.patch):
                assert place.cli("fetch", *place.inputs("yahoo"), "--out", place.folder / name).code == 0
        day = server.days()[40]
    answer = place.cli("snapshot", "diff", "a", "b")
    assert answer.code == 0
    assert answer.out.startswith(f"AAA {day}: return ")
    assert answer.out.endswith("1 difference(s) in 1 ticker(s)")


@row(51, "HTTP 429, too many requests", "requests stop, received prices are kept, exit 4; the same command continues")
def _(place: Place) -> None:
    one, two, server = fetch_twice(place, {"BBB": "429"}, {})
    refused(one, 4, "BBB: Yahoo answered: too many requests", "1 of 3 tickers are fetched and kept in ")
    assert one.err.endswith("the same command resumes")
    assert two.code == 0, two.said
    assert sorted(server.asked) == ["BBB", "IDX"]


@row(52, "network that fails midway", "each ticker was saved; the same command requests the rest")
def _(place: Place) -> None:
    one, two, server = fetch_twice(place, {}, {}, dies_after=1)
    refused(one, 4, "no answer", "1 of 3 tickers are fetched and kept in ")
    assert two.code == 0, two.said
    assert sorted(server.asked) == ["BBB", "IDX"]


@row(53, "HTML, garbage or half an answer", "provider_broken after retries, never 'delisted'; exit 4")
def _(place: Place) -> None:
    one, two, server = fetch_twice(place, {"AAA": "html", "BBB": "truncate"}, {"AAA": "flaky:1"})
    refused(one, 4, "AAA: Yahoo gave no usable prices in 3 s and at most 3 tries: HTTP status 200", "BBB: ")
    assert "delisted" not in one.said
    assert two.code == 0, two.said
    assert server.asked["AAA"] > 1


@row(54, "server that does not answer", "one deadline for each ticker, whatever the sum of time-outs")
def _(place: Place) -> None:
    with FakeYahoo({"AAA": "hang"}, n_bars=260, varied=True) as server, fresh_yfinance(place.patch):
        place.yahoo(server, deadline=0.6)
        place.rows(event_row("E1", server.days()[200].isoformat()))
        begun = time.monotonic()
        answer = place.cli("fetch", *place.inputs("yahoo"))
        assert time.monotonic() - begun < 4
    refused(answer, 4, "AAA: Yahoo gave no usable prices in 0.6 s", "2 of 3 tickers are fetched and kept")


@row(55, "proxy whose certificate is not trusted", "error that names SSL_CERT_FILE and CURL_CA_BUNDLE")
def _(place: Place) -> None:
    pair = make_certificate(place.folder / "ca")
    if pair is None:
        pytest.skip("needs openssl")
    with FakeYahoo(tls=pair, n_bars=260, varied=True) as server:
        place.rows(event_row("E1", server.days()[200].isoformat()))
        command = ["fetch", *place.inputs("yahoo")]
        code, _, err = finish(command, env=behind(server.url, place.folder, None))
        assert code == 4
        assert "set SSL_CERT_FILE and CURL_CA_BUNDLE to the company's root certificates" in " ".join(err.split())
        assert server.asked == {}
        assert finish(command, env=behind(server.url, place.folder, pair[0]))[0] == 0


@row(56, "yfinance's cache databases damaged", "deleted and created again")
def _(place: Place) -> None:
    (place.folder / "cache").mkdir()
    for name in ("tkr-tz.db", "cookies.db"):
        (place.folder / "cache" / name).write_bytes(b"no database" * 100)
    with yahoo_run(place, {}) as answer:
        assert answer.code == 0, answer.said
    with sqlite3.connect(place.folder / "cache" / "tkr-tz.db") as database:
        assert database.execute("PRAGMA quick_check").fetchone() == ("ok",)
    database.close()


@row(57, "snapshot with one flipped byte", "exit 5 with the file's name")
def _(place: Place) -> None:
    place.patch.setitem(PROVIDERS, "scripted", Scripted())
    assert place.cli("fetch", *place.inputs("scripted"), "--out", "snap").code == 0
    path = place.folder / "snap" / "AAA.parquet"
    content = path.read_bytes()
    for at in range(0, len(content), 1000):
        path.write_bytes(content[:at] + bytes([content[at] ^ 4]) + content[at + 1 :])
        refused(place.run(prices="snap"), 5, "AAA.parquet: is not what was stored (sha256 differs)")
    path.write_bytes(content)
    assert place.run("--quiet", prices="snap").code == 0


# Results on disk


@row(58, "disk full", "exit 1; partly written files are removed, earlier results stay")
def _(place: Place) -> None:
    place.rows(event_row("E1", E1))
    process = start(
        ["run", *place.inputs(), "--out", place.results, *TABLES_ONLY],
        stderr=-1,
        stdout=-1,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096)),
    )
    _, err = process.communicate(timeout=60)
    assert process.returncode == 1, err
    assert b"the disk is full or a file is too large" in err
    assert b"earlier results are as they were" in err
    assert b"Traceback" not in err
    assert place.latest.name == place.earlier["name"]


@row(59, "results folder without write permission", "error before any price is requested")
def _(place: Place) -> None:
    provider = Scripted()
    place.patch.setitem(PROVIDERS, "scripted", provider)
    for out in ("/proc/results", place.events / "results"):
        answer = place.cli("run", *place.inputs("scripted"), "--out", out)
        refused(answer, 2, f"--out {out}: cannot be written (", "give another folder")
    assert provider.asked == []


@row(60, "kill -9 while a pack is written", "latest is a complete pack; the next run cleans up")
def _(place: Place) -> None:
    place.rows(event_row("E1", E1))
    for pause in (0.9, 1.2, 1.5):
        process = start(["run", *place.inputs(), "--out", place.results, *TABLES_ONLY], stderr=-3, stdout=-3)
        time.sleep(pause)
        process.kill()
        process.wait()
        assert whole(place.latest)
    assert place.run("--quiet").code == 0


@row(61, "two runs at once", "the second stops at once: another run is writing")
def _(place: Place) -> None:
    with FileLock(place.results / ".eventstudy.lock"):
        refused(place.run(), 2, "another run is writing there; wait for it or give another folder")


@row(
    62, "new results in a folder with old ones", "a new folder, then latest is replaced in one step; nothing is renamed"
)
def _(place: Place) -> None:
    place.rows(event_row("E1", E1))
    assert place.run("--quiet").code == 0
    names = sorted(path.name for path in place.results.iterdir() if path.is_dir())
    assert names == sorted(["latest", place.earlier["name"], place.latest.name])
    assert place.latest.name != place.earlier["name"]


@row(63, "Ctrl-C", "exit 130; says what is kept; no traceback")
def _(place: Place) -> None:
    place.patch.setitem(PROVIDERS, "scripted", Scripted({"IDX": KeyboardInterrupt()}))
    place.patch.setenv("XDG_DATA_HOME", str(place.folder / "data"))
    refused(place.run(prices="scripted"), 130, "eventstudy: stopped; 2 of 3 tickers are fetched and kept in ")
    place.patch.setattr("eventstudy.study.answer_study", stopped)
    refused(place.run(), 130, "eventstudy: stopped; no result was written, earlier ones are as they were")


def stopped(*_: object, **__: object) -> None:
    raise KeyboardInterrupt


@row(64, "closed pipe, as of | head", "the command ends without a message")
def _(place: Place) -> None:
    for arguments in (["check", *place.inputs(), "--json"], ["--help"]):
        process = start(arguments, stdout=-1, stderr=-1)
        assert process.stdout is not None
        process.stdout.close()
        assert process.stderr is not None
        with process.stderr:
            assert process.stderr.read() == b""
        assert process.wait(60) == 0
    closed = start(["sectors"], stderr=-1, preexec_fn=lambda: os.close(1))
    assert closed.communicate(timeout=60)[1] == b""
    assert closed.returncode == 0


# The machine


@row(65, "LC_ALL=C", "files are UTF-8, output falls back to ASCII")
def _(place: Place) -> None:
    place.rows(event_row("E1", E1, title="光模块"), event_row("E2", E2))
    env = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "LANG": ""}
    code, out, err = finish(["run", *place.inputs(), "--out", place.results, *TABLES_ONLY], env=env)
    assert (code, err) == (0, "")
    assert out.isascii()
    assert "Pack: " in out
    assert "光模块" in (place.latest / "tables" / "shocks.csv").read_text(encoding="utf-8")


@row(66, "TZ=Pacific/Kiritimati", "identical tables")
def _(place: Place) -> None:
    place.rows(event_row("E1", "2021-06-09T23:30-04:00"), event_row("E2", "2021-09-08T16:01 America/New_York"))
    packs = []
    for zone in ("UTC", "Pacific/Kiritimati", "America/Los_Angeles"):
        place.patch.setenv("TZ", zone)
        time.tzset()
        assert place.cli("run", *place.inputs(), "--out", zone.replace("/", "-"), *TABLES_ONLY, "--quiet").code == 0
        pack = place.folder / zone.replace("/", "-") / "latest"
        packs.append({path.name: path.read_bytes() for path in pack.rglob("*.*")})
    assert len(packs[0]) > 10
    assert packs[0] == packs[1] == packs[2]


@row(67, "wrong clock", "doctor compares it with the newest price")
def _(place: Place) -> None:
    for now, said in (
        (dt.datetime(2020, 1, 1, tzinfo=dt.UTC), "but there is a price of 2021-12-30: set the clock"),
        (dt.datetime(2031, 1, 1, tzinfo=dt.UTC), "old prices, or a clock that runs ahead"),
    ):
        finding = doctor.clock(doctor.newest_price(place.folder / "prices"), now)
        assert finding.state == "warning"
        assert said in finding.text


@row(68, "date past the calendar's last known day", "dropped: no_session; other events continue")
def _(place: Place) -> None:
    place.rows(event_row("E1", E1), event_row("E2", "2090-01-02"))
    assert place.run("--quiet").code == 0
    assert place.reason("AAA", "E2") == "dropped no_session: the calendar of XNYS does not reach the event"
    assert place.reason("AAA") == "used "
    last = exchange_sessions("XSHG").days[-1].astype(dt.date)
    assert len(sessions("XSHG", last, last + dt.timedelta(days=400))) == 1
    (warning,) = [f for f in doctor.calendars(last) if "XSHG" in f.text]
    assert warning.state == "warning"


@row(69, "settings: unknown key, overlapping windows, a window that runs backwards", "error with the key")
def _(place: Place) -> None:
    for override, said in (
        ("windows.minimun=150", "unknown key 'windows.minimun'; accepted: "),
        ("windows.estimation=[-250,-5]", "windows.estimation = [-250, -5] overlaps windows.event = [-10, 20]"),
        ("windows.post=[20,2]", "windows.post = [20, 2] runs backwards; write [2, 20]"),
        ("windows.minimum='many'", "windows.minimum = 'many': accepted is a whole number"),
    ):
        refused(place.run("--set", override), 2, said)
    config = place.folder / "study.toml"
    config.write_text(config.read_text(encoding="utf-8") + "[windows]\nminimun = 3\n", encoding="utf-8")
    line = config.read_text(encoding="utf-8").splitlines().index("minimun = 3") + 1
    refused(place.run(), 2, f"study.toml:{line}: unknown key 'windows.minimun'", "did you mean 'minimum'?")


@row(
    70,
    "paths in settings, names and ids; results folder reached through a link",
    "nothing is written outside the results folder",
)
def _(place: Place) -> None:
    names = st.sampled_from(("../up", "/etc/abs", "..", "a/b", "a\\b", "C:\\x", "~root", "\x00", "x" * 300, "con"))

    @settings(max_examples=15, deadline=None, database=None, derandomize=True, suppress_health_check=list(HealthCheck))
    @given(names)
    def stays_inside(name: str) -> None:
        place.rows(event_row(name, E1, shock_id=name))
        assert place.check().code == (0 if name == "con" else 2)
        place.rows(event_row("E1", E1), event_row("E2", E2))
        before = outside(place)
        answer = place.run("--set", f"study.name={json.dumps(name)}", "--quiet")
        assert answer.code == 0, answer.said
        assert outside(place) == before

    stays_inside()
    refused(place.run("--set", "study.sector=../x"), 2, "study.sector = '../x': accepted are 1 to 40 small")
    (place.folder / "real").mkdir()
    (place.folder / "link").symlink_to("real")
    assert place.cli("run", *place.inputs(), "--out", "link", *TABLES_ONLY, "--quiet").code == 0
    assert whole((place.folder / "real" / "latest").resolve())


def outside(place: Place) -> set[str]:
    """Every path of the test's folder and beside it that is no result."""
    paths = {str(path) for path in place.folder.rglob("*") if place.results not in (path, *path.parents)}
    return paths | {str(path) for path in place.folder.parent.iterdir()}


@row(71, "no font with Chinese characters", "tickers as labels and one note; no warning")
def _(place: Place) -> None:
    fonts.forget_fonts()
    place.patch.setattr(fonts.font_manager, "findSystemFonts", list)
    try:
        write_study(place.folder, TICKERS, extra={"AAA": "name_local = '光模块'", "BBB": "name_local = '芯片'"})
        answer = place.run(*formats("pdf", "csv"), "--quiet")
    finally:
        fonts.forget_fonts()
    assert answer.code == 0, answer.said
    assert "warn" not in answer.err.lower()
    assert (place.latest / "report.pdf").stat().st_size > 10_000


@row(72, "warnings turned into errors", "none is raised: yfinance's own are caught")
def _(place: Place) -> None:
    with yahoo_run(place, {}) as answer:
        assert answer.code == 0, answer.said
    place.rows(event_row("E1", E1))
    code, _, err = finish(["check", *place.inputs()], env={"PYTHONWARNINGS": "error"})
    assert (code, err) == (0, "")


@row(73, "a pipe or a device instead of a file", "refused at once, exit 2 for events and 4 for prices")
def _(place: Place) -> None:
    os.mkfifo(place.folder / "pipe.csv")
    (place.folder / "zero.csv").symlink_to("/dev/zero")
    for name in ("pipe.csv", "zero.csv"):
        refused(place.run(prices=name), 4, f"{name}: is a pipe or a device, not a file")
        refused(
            place.cli("check", name, "--config", "study.toml"), 2, f"{name} is a pipe or a device, which may have no"
        )


@row(74, "small Parquet file that unpacks to too many rows", "refused because of the row count in its footer")
def _(place: Place) -> None:
    place.patch.setattr("eventstudy.readers.sheets.MOST_CELLS", 9_999)
    frame = pd.DataFrame({"date": ["2021-06-09"] * 5_000, "ticker": "AAA", "close": 1.0})
    frame.to_parquet(place.folder / "much.parquet")
    refused(place.run(prices="much.parquet"), 4, "much.parquet: holds 5,000 rows, too many to be read at once")


@row(
    75,
    "weekly or monthly prices",
    "error with the frequency, if over 5 % of the sessions have no price of any security",
)
def _(place: Place) -> None:
    series = {
        path.stem: pd.read_csv(path, index_col="date", parse_dates=True)["adj_close"]
        for path in (place.folder / "prices").glob("*.csv")
    }
    for step, named in (("W-WED", "weekly"), ("BME", "monthly")):
        sparse = pd.DataFrame(series).resample(step).last().rename_axis(index="date")
        sparse.to_csv(place.folder / "sparse.csv")
        refused(place.run(prices="sparse.csv"), 4, f"the prices seem to be {named}; an event study needs daily ones")


@row(76, "HTTP 500 or 503 with a JSON answer", "requested again, then exit 4; never stored as 'no prices'")
def _(place: Place) -> None:
    one, two, server = fetch_twice(place, {"AAA": "500json", "BBB": "503json"}, {})
    refused(one, 4, "AAA: Yahoo gave no usable prices", "HTTP status 500", "HTTP status 503")
    assert two.code == 0, two.said
    assert sorted(server.asked) == ["AAA", "BBB"]


@row(77, "provider without prices of the benchmark", "exit 4; 'fetch --again TICKER' requests it again")
def _(place: Place) -> None:
    with FakeYahoo({"IDX": "404"}, n_bars=260, varied=True) as server:
        place.yahoo(server)
        place.rows(event_row("E1", server.days()[200].isoformat()))
        fetch = ["fetch", *place.inputs("yahoo")]
        with fresh_yfinance(place.patch):
            refused(place.cli(*fetch), 4, "IDX: Yahoo has no prices of IDX", "'eventstudy fetch --again IDX' asks anew")
        server.modes = {}
        server.asked.clear()
        with fresh_yfinance(place.patch):
            refused(place.cli(*fetch), 4, "IDX: Yahoo has no prices of IDX")
            refused(place.cli(*fetch, "--again", "IDY"), 2, "did you mean 'IDX'?")
            assert sorted(server.asked) == []
            assert place.cli(*fetch, "--again", "IDX").code == 0
        assert sorted(server.asked) == ["IDX"]


@row(78, "control characters in a file or an answer", "shown as blanks; none reaches the terminal")
def _(place: Place) -> None:
    (place.folder / "prices" / "AAA.csv").write_text("date,\x1b]0;owned\x07open\n2021-06-09,1\n", encoding="utf-8")
    answer = place.run()
    refused(answer, 4, "has columns date")
    assert answer.err.isprintable()


@row(79, "tickers as Wind, baostock or JoinQuant write them", "found in prices, read in events; a note says so")
def _(place: Place) -> None:
    write_study(place.folder, ("600519.SS", "BBB"))
    (place.folder / "prices" / "AAA.csv").rename(place.folder / "prices" / "sh.600519.csv")
    place.rows(event_row("E1", E1, tickers="600519.SH"))
    answer = place.check()
    assert "ticker '600519.SH' read as '600519.SS'" in answer.said
    assert place.run().code == 0
    assert place.reason("600519.SS").startswith("used")


@row(80, "offset beyond 14 hours; year 0001 or 9999", "error with the line and what is accepted")
def _(place: Place) -> None:
    for moment in ("2021-06-09T10:00:00+14:01", "2021-06-09T10:00:00-23:59"):
        place.rows(event_row("E1", moment))
        refused(place.check(), 2, "events.csv:2:", "no time zone has such an offset; the largest is 14:00")
    for day in ("0001-01-01", "9999-12-31"):
        place.rows(event_row("E1", day))
        refused(place.check(), 2, "events.csv:2:", "the year is not one of 1900 to 2199")
    place.rows(event_row("E1", "2021-06-09T10:00:00+14:00"))
    assert place.check().code == 0


@row(81, "ticker 1e5 or full-width letters in claims.csv", "read as capitals, as in events.csv; else an error")
def _(place: Place) -> None:
    head = "claim_id,ticker,date,claimed\n"
    for ticker, read in (("1e5", "1E5"), ("ａａａ", "AAA")):
        (place.folder / "claims.csv").write_text(f"{head}C1,{ticker},{E1},-1%\n", encoding="utf-8")
        assert [claim.ticker for claim in read_claims(place.folder / "claims.csv")] == [read]
    (place.folder / "claims.csv").write_text(f"{head}C1,A B,{E1},-1%\n", encoding="utf-8")
    answer = place.run("--set", 'reversal.ask="yes"')
    refused(answer, 2, "claims.csv:2: ticker 'A B': accepted are capital letters")


@row(82, "a pipe instead of the study file, or of one file in a folder of prices", "refused before it is read")
def _(place: Place) -> None:
    pipe = place.folder / "pipe.toml"
    os.mkfifo(pipe)
    refused(place.cli("check", place.events, "--config", pipe), 2, "is a pipe or a device")
    (place.folder / "prices" / "AAA.csv").unlink()
    os.mkfifo(place.folder / "prices" / "AAA.csv")
    refused(place.run(), 4, "AAA.csv")


@row(83, "output to a full device", "exit 1: the output cannot be written")
def _(place: Place) -> None:
    with Path("/dev/full").open("wb") as full:
        process = start(["sectors"], stdout=full, stderr=subprocess.PIPE)
        _, error = process.communicate(timeout=60)
    assert process.returncode == 1
    assert b"what the command prints cannot be written (No space left on device)" in error
    assert b"Traceback" not in error


@row(84, "no room for temporary files", "exit 1 with the folder and TMPDIR")
def _(place: Place) -> None:
    place.patch.setattr("eventstudy.study.compute", _raising(OSError(errno.ENOSPC, "No space left on device")))
    place.patch.setattr("shutil.disk_usage", lambda _: SimpleNamespace(free=0))
    refused(place.run(), 1, "the folder of temporary files", "is full", "set TMPDIR to another")


@row(85, "not enough memory", "exit 1 with this cause; no partly written file stays")
def _(place: Place) -> None:
    for error in (MemoryError(), ImportError("x.so: failed to map segment from shared object")):
        place.patch.setattr("eventstudy.study.compute", _raising(error))
        refused(place.run(), 1, "the memory is not enough for this", "earlier results are as they were")


@row(86, "too many open files", "exit 1 with the limit and how to raise it")
def _(place: Place) -> None:
    place.patch.setattr("eventstudy.study.compute", _raising(OSError(errno.EMFILE, "Too many open files")))
    refused(place.run(), 1, "too many files are open (Too many open files)", "ulimit -n 1024")


def _raising(error: Exception) -> Callable[..., None]:
    def fail(*_: object) -> None:
        raise error

    return fail


@row(87, "umask", "files and folders of a pack have the permissions that it allows")
def _(place: Place) -> None:
    before = os.umask(0)
    try:
        for mask in (0o077, 0o002):
            os.umask(mask)
            place.rows(event_row("E1", E1), event_row(f"X{mask}", E2))
            assert place.run("--quiet").code == 0
            assert stat.S_IMODE(place.latest.stat().st_mode) == 0o777 & ~mask
            assert stat.S_IMODE((place.latest / "summary.json").stat().st_mode) == 0o666 & ~mask
    finally:
        os.umask(before)


@row(88, "a pack with a file that was damaged, forged or added", "exit 5 with the file and what to do")
def _(place: Place) -> None:
    pack = place.folder / "copy"
    for name, content, said in (
        ("summary.json", b"{", "was changed after it was written (sha256 differs)"),
        ("manifest.json", b"{}", "is no result pack's manifest"),
        ("manifest.json", b'{"digest": 1}', "is not what was written (its digest differs)"),
        ("tables/more.csv", b"a", "is not a file of the pack: it was added later"),
    ):
        shutil.copytree(place.latest, pack)
        (pack / name).write_bytes(content)
        refused(place.cli("verify", pack), 2 if content == b"{}" else 5, f"{name}: ", said)
        shutil.rmtree(pack)


@row(89, "settings outside their range, or a value twice in a list", "one error for each, with the range")
def _(place: Place) -> None:
    for setting, said in (
        ("tests.draws=-1", "tests.draws = -1: accepted is 1 to 1000000"),
        ("study.seed=-1", "study.seed = -1: accepted is 0 to 4294967295"),
        ("reversal.share_negative=nan", "reversal.share_negative = nan: accepted is 0 to 1"),
        ("reversal.drop_k=-1", "reversal.drop_k = -1.0: accepted is 0 to 100"),
        ("tests.level=inf", "tests.level = inf: accepted is 0.0001 to 0.5"),
        ('report.formats=["csv","csv"]', "report.formats names csv twice"),
    ):
        answer = place.run("--set", setting)
        refused(answer, 2, said)
        assert answer.err.count("eventstudy:") == 1


def test_every_row_has_its_test() -> None:
    assert sorted(ROWS) == list(range(1, 90))
    assert all(row.given and row.gets for row in ROWS.values())
