"""events.csv: what is accepted, and every problem with its line."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import pytest

from eventstudy.errors import EventsError
from eventstudy.events import COLUMNS, Event, instant_utc, read_events
from eventstudy.messages import text

HEADER = ",".join(COLUMNS)
ROW = "E1,2026-06-09,date,report,unknown,,,,,,,,,"


def write(tmp_path: Path, *lines: str, encoding: str = "utf-8") -> Path:
    path = tmp_path / "events.csv"
    path.write_bytes("\n".join([HEADER, *lines, ""]).encode(encoding))
    return path


def problems(tmp_path: Path, *lines: str) -> list[str]:
    with pytest.raises(EventsError) as caught:
        read_events(write(tmp_path, *lines))
    return [str(problem).removeprefix(str(tmp_path) + "/") for problem in caught.value.problems]


def test_a_row_becomes_an_event(tmp_path: Path) -> None:
    line = (
        "E1,2026-06-09T09:30:00-04:00,minute,report,misreading,2026-06-12,S1,,LITE;300308.SZ,engineering,"
        "A title,A source,https://example.org,A note"
    )
    events = read_events(write(tmp_path, line))
    assert list(events) == [
        Event(
            event_id="E1",
            timestamp=dt.datetime(2026, 6, 9, 13, 30, tzinfo=dt.UTC),
            precision="minute",
            kind="report",
            label="misreading",
            label_asof=dt.date(2026, 6, 12),
            shock_id="S1",
            clarifies="",
            tickers=("LITE", "300308.SZ"),
            dimension="engineering",
            title="A title",
            source="A source",
            source_url="https://example.org",
            notes="A note",
            line=2,
        )
    ]
    assert len(events.sha256) == 64


def test_shock_id_defaults_to_event_id(tmp_path: Path) -> None:
    assert read_events(write(tmp_path, ROW)).by_id("E1").shock_id == "E1"


@pytest.mark.parametrize(
    ("text", "utc"),
    [
        ("2026-06-09T13:30Z", "2026-06-09T13:30:00+00:00"),
        ("2026-06-09 21:30+08:00", "2026-06-09T13:30:00+00:00"),
        ("2026-06-09T09:30 America/New_York", "2026-06-09T13:30:00+00:00"),
        ("2026-06-09T09:30[America/New_York]", "2026-06-09T13:30:00+00:00"),
        ("2026-01-09T09:30 America/New_York", "2026-01-09T14:30:00+00:00"),
    ],
)
def test_zones_become_utc(tmp_path: Path, text: str, utc: str) -> None:
    event = read_events(write(tmp_path, ROW.replace("2026-06-09,date", f"{text},minute"))).by_id("E1")
    assert event.timestamp.isoformat() == utc


def test_a_date_may_have_slashes_when_the_year_is_first(tmp_path: Path) -> None:
    assert read_events(write(tmp_path, ROW.replace("2026-06-09", "2026/06/09"))).by_id("E1").timestamp == dt.date(
        2026, 6, 9
    )


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("2026-06-09,date", "2026-06-09T10:00,minute", "has no zone"),
        ("2026-06-09,date", "2026-06-09T10:00 America/New_Yrok,minute", "did you mean 'America/New_York'?"),
        ("2026-06-09,date", "2025-11-02T01:30 America/New_York,minute", "twice or never"),
        ("2026-06-09,date", "2025-03-09T02:30 America/New_York,minute", "twice or never"),
        ("2026-06-09,date", "46196,date", "would mean 2026-06-23"),
        ("2026-06-09,date", "06/07/2026,date", "could be 2026-06-07 or 2026-07-06"),
        ("2026-06-09,date", "24-Jun-26,date", "is not a time"),
        ("2026-06-09,date", "2026-13-09,date", "month must be in 1..12"),
        ("2026-06-09,date", ",date", "is empty"),
        ("2026-06-09,date", "2026-06-09,minute", "is a bare date"),
        ("2026-06-09,date", "2026-06-09T10:00Z,date", "has a time"),
        ("2026-06-09,date", "2026-06-09,day", "did you mean"),
        ("report", "raport", "did you mean 'report'?"),
        ("unknown", "misread", "did you mean 'misreading'?"),
        ("unknown,", "misreading,", "needs label_asof"),
        ("E1,", "../E1,", "event_id '../E1'"),
        ("unknown,,,,", "unknown,,,,002281", "did you mean '002281.SZ'?"),
        ("unknown,,,,", "unknown,,,,603083", "did you mean '603083.SS'?"),
        ("unknown,,,,", "unknown,,,,AAPL#x", "ticker 'AAPL#x'"),
        ("unknown,,,,", "unknown,,,E9,", "clarifies 'E9' names no event"),
        ("unknown,,,,", "unknown,,,E1,", "cannot clarify itself"),
        ("unknown,,,,,", "unknown,,,,,policies", "did you mean 'policy'?"),
    ],
)
def test_a_wrong_cell_is_named_with_its_line(tmp_path: Path, old: str, new: str, said: str) -> None:
    (message,) = problems(tmp_path, ROW.replace(old, new, 1))
    assert message.startswith("events.csv:2: ")
    assert said in message


def test_all_problems_come_at_once_in_order_of_lines(tmp_path: Path) -> None:
    found = problems(
        tmp_path,
        ROW,
        ROW.replace("unknown", "macro"),
        ROW.replace("E1", "E3") + ",x",
        "E4,nonsense,date,report,unknown,,,,,,,,,",
    )
    assert [message.split(": ")[0] for message in found] == ["events.csv:3", "events.csv:4", "events.csv:5"]
    assert "already on line 2" in found[0]
    assert "1 cell(s) more than the header" in found[1]


def test_line_numbers_survive_newlines_inside_a_field(tmp_path: Path) -> None:
    first = 'E1,2026-06-09,date,report,unknown,,,,,,"a\ntitle",,,'
    assert problems(tmp_path, first, "E2,x,date,report,unknown,,,,,,,,,")[0].startswith("events.csv:4: ")
    assert read_events(write(tmp_path, first)).by_id("E1").title == "a\ntitle"


@pytest.mark.parametrize("delimiter", [";", "\t"])
def test_semicolons_and_tabs_separate_too(tmp_path: Path, delimiter: str) -> None:
    path = tmp_path / "events.csv"
    path.write_text(f"{HEADER}\n{ROW}\n".replace(",", delimiter), encoding="utf-8")
    assert read_events(path).by_id("E1").kind == "report"


def test_byte_order_mark_and_gb18030(tmp_path: Path) -> None:
    line = ROW.replace("unknown,,,,,,", "unknown,,,,,,光迅科技", 1)
    assert read_events(write(tmp_path, line, encoding="utf-8-sig")).by_id("E1").title == "光迅科技"
    chinese = read_events(write(tmp_path, line, encoding="gb18030"))
    assert chinese.by_id("E1").title == "光迅科技"
    assert "read as GB18030" in text(chinese.remarks[0])


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "is empty"),
        (HEADER.encode(), "has a header but no event"),
        (b"PK\x03\x04", "is an Excel workbook"),
        ("x".encode("utf-16"), "is UTF-16 text"),
        (b"a\x00b", "NUL"),
        (b"event_id,timestamp\nE1,2026-06-09\n", "column 'precision' is missing"),
        (HEADER.replace("title", "titel").encode() + b"\n", "did you mean 'title'?"),
        (HEADER.encode() + b'\n"E1,2026', "is not CSV"),
    ],
)
def test_a_file_that_is_no_events_file(tmp_path: Path, content: bytes, said: str) -> None:
    path = tmp_path / "events.csv"
    path.write_bytes(content)
    with pytest.raises(EventsError, match=said):
        read_events(path)


def test_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(EventsError, match="cannot be read: No such file"):
        read_events(tmp_path / "none.csv")


def test_full_width_and_lower_case_tickers_are_read_and_remarked(tmp_path: Path) -> None:
    events = read_events(write(tmp_path, ROW.replace("unknown,,,,", "unknown,,,,ｌｉｔｅ", 1)))
    assert events.by_id("E1").tickers == ("LITE",)
    assert list(map(text, events.remarks)) == ["line 2: ticker 'ｌｉｔｅ' read as 'LITE'"]


def test_instant_of_a_bare_date() -> None:
    day = dt.date(2026, 6, 9)
    assert instant_utc(day) == dt.datetime(2026, 6, 9, tzinfo=dt.UTC)
    assert instant_utc(day, end_of_day=True) > dt.datetime(2026, 6, 9, 23, 59, 59, tzinfo=dt.UTC)


def test_the_shipped_events() -> None:
    root = Path(__file__).parents[1]
    events = read_events(root / "events.csv")
    packaged = root / "eventstudy" / "sectors" / "optical" / "events.csv"
    assert (root / "events.csv").samefile(packaged)
    sa26 = events.by_id("SA26")
    assert (sa26.timestamp, sa26.precision, sa26.label) == (dt.date(2026, 6, 9), "date", "contested")
    assert "10 June" in sa26.notes
    assert events.by_id("CPX26").clarifies == "SA26"
    assert all(event.source_url.startswith("http") for event in events if event.source_url)
