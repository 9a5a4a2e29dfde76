"""events.csv: what is accepted, and every problem with its line."""

from __future__ import annotations

import datetime as dt
import functools
import math
from pathlib import Path
from typing import Any

import duckdb
import pandas as pd
import pyarrow as pa
import pytest

from eventstudy.errors import EventsError
from eventstudy.events import COLUMNS, Event, events_of_frame, instant_utc, read_events
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
        ("2026-06-09,date", "2025-11-02T01:30 America/New_York,minute", "twice or not at all"),
        ("2026-06-09,date", "2025-03-09T02:30 America/New_York,minute", "twice or not at all"),
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
        ("unknown,,,,", "unknown,,,,742281", "ticker '742281' has no exchange"),
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
        (b"a\x00b", "NUL"),
        (b"event_id,when\nE1,2026-06-09\n", "no column with the date of the event; the file has event_id, when"),
        (b"rdq,datadate\n2026-06-09,2026-03-31\n", "has 2 columns for timestamp: rdq, datadate; keep one, or name"),
        (b"ticker,permno,date\nA,1,2026-06-09\n", "has 2 columns for tickers: ticker, permno; keep one, or name"),
        (HEADER.replace("title", "titel").encode() + b"\n", "did you mean 'title'?"),
        (HEADER.encode() + b'\n"E1,2026', "is not a CSV file"),
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


def cells_of(tmp_path: Path, content: bytes | str, name: str = "events.csv") -> list[Event]:
    path = tmp_path / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return list(read_events(path))


def test_a_date_and_a_ticker_are_enough(tmp_path: Path) -> None:
    (event,) = cells_of(tmp_path, "Symbol,Announcement Date\n aapl ,20240612\n")
    assert (event.event_id, event.timestamp) == ("AAPL-2024-06-12", dt.date(2024, 6, 12))
    assert (event.precision, event.kind, event.label, event.tickers) == ("date", "other", "unknown", ("AAPL",))
    assert (event.shock_given, event.own) == (False, {})


def test_rows_without_a_ticker_are_named_by_their_number_and_repeated_names_are_counted_up(tmp_path: Path) -> None:
    events = cells_of(tmp_path, "date,ticker,size\n2024-06-12,,1\n2024-06-12,A,1\n2024-06-12,A,2\n2024-06-12,A,1\n")
    assert [event.event_id for event in events] == ["E1", "A-2024-06-12", "A-2024-06-12-2", "A-2024-06-12"]


@pytest.mark.parametrize(
    ("days", "meant"),
    [
        (["06/12/2024", "06/27/2024"], ["2024-06-12", "2024-06-27"]),
        (["06/12/2024", "27/06/2024"], ["2024-12-06", "2024-06-27"]),
        (["12.06.2024", "27.06.2024"], ["2024-06-12", "2024-06-27"]),
        (["45455", "45470.0"], ["2024-06-12", "2024-06-27"]),
        (["2014-11-27 00:00:00", "2024-06-12"], ["2014-11-27", "2024-06-12"]),
        (["2014-11-27T00:00:00Z", "2024-06-12"], ["2014-11-27", "2024-06-12"]),
    ],
)
def test_the_column_as_a_whole_says_what_a_date_means(tmp_path: Path, days: list[str], meant: list[str]) -> None:
    events = cells_of(tmp_path, "date,ticker\n" + "".join(f"{day},A\n" for day in days))
    assert [event.timestamp for event in events] == [dt.date.fromisoformat(day) for day in meant]
    assert {event.precision for event in events} == {"date"}


def test_midnight_beside_other_times_is_a_time(tmp_path: Path) -> None:
    text = "date,ticker\n2014-11-27T00:00Z,A\n2014-11-28T09:30:05Z,A\n"
    assert [event.precision for event in cells_of(tmp_path, text)] == ["minute", "second"]


def test_columns_of_the_user_are_kept_as_numbers_or_texts(tmp_path: Path) -> None:
    text = 'date,ticker,Size,country,empty\n2024-06-12,A,"1,250.5",DE,\n2024-06-13,B,,FR,\n'
    first, second = cells_of(tmp_path, text)
    assert dict(first.own) == {"Size": 1250.5, "country": "DE", "empty": ""}
    assert math.isnan(second.own["Size"])  # type: ignore[arg-type]


def test_benchmark_and_windows_of_an_event(tmp_path: Path) -> None:
    header = "date,ticker,benchmark,estimation_start,estimation_end,event_start,event_end\n"
    first, second = cells_of(tmp_path, header + "2024-06-12,A,^GDAXI,-120,-11,-2,+2\n2024-06-12,B,,,2024-05-31,,\n")
    assert (first.benchmark, first.estimation_start, first.event_end) == ("^GDAXI", -120, 2)
    assert (second.benchmark, second.estimation_start, second.estimation_end) == ("", None, dt.date(2024, 5, 31))
    with pytest.raises(EventsError, match="event_start 3 comes after event_end 1"):
        cells_of(tmp_path, header + "2024-06-12,A,,,,3,1\n")
    with pytest.raises(EventsError, match="write two event days, or two dates"):
        cells_of(tmp_path, header + "2024-06-12,A,,-100,2024-05-31,,\n")


@pytest.mark.parametrize(
    ("header", "given", "ticker"),
    [
        ("ts_code", "600519.SH", "600519.SS"),
        ("code", "sh.600519", "600519.SS"),
        ("ticker", "SH600519", "600519.SS"),
        ("ticker", "600519.XSHG", "600519.SS"),
        ("Stkcd", "2281", "002281.SZ"),
        ("股票代码", "600519", "600519.SS"),
        ("PERMNO", "14593.0", "14593"),
        ("gvkey", "001690", "001690"),
        ("Firm", "BRK-B", "BRK-B"),
    ],
)
def test_spellings_of_tickers(tmp_path: Path, header: str, given: str, ticker: str) -> None:
    assert cells_of(tmp_path, f"{header},date\n{given},2024-06-12\n")[0].tickers == (ticker,)


@pytest.mark.parametrize("ending", ["xlsx", "parquet", "feather", "dta", "csv"])
@pytest.mark.parametrize("name", ["events.csv", "events"])
def test_a_file_is_known_by_its_content(tmp_path: Path, ending: str, name: str) -> None:
    days = pd.to_datetime(["2024-06-12", "2024-06-27"])
    frame = pd.DataFrame({"Ticker": ["A", "B"], "Date": days, "size": [1.5, 2.0], "country": ["Süd", "Nord"]})
    save = {"xlsx": frame.to_excel, "parquet": frame.to_parquet, "feather": frame.to_feather}
    save |= {"dta": functools.partial(frame.to_stata, write_index=False), "csv": frame.to_csv}
    path = tmp_path / f"saved.{ending}"
    save[ending](path)
    events = list(read_events(path.rename(tmp_path / name)))
    assert [(event.event_id, dict(event.own)) for event in events] == [
        ("A-2024-06-12", {"size": 1.5, "country": "Süd"}),
        ("B-2024-06-27", {"size": 2.0, "country": "Nord"}),
    ]


def test_umlauts_of_latin_1_stay(tmp_path: Path) -> None:
    events = cells_of(tmp_path, "Ticker;Datum des Berichts;date\nA;Köln, März;12 Jun 2024\n".encode("cp1252"))
    assert events[0].own == {"Datum des Berichts": "Köln, März"}


FRAME = pd.DataFrame({"ticker": ["A", "B"], "date": pd.to_datetime(["2024-06-12", "2024-06-27"])})


@pytest.mark.parametrize(
    "data",
    [
        FRAME,
        FRAME.astype({"date": str}),
        FRAME.assign(date=FRAME["date"].dt.tz_localize("Asia/Shanghai")),
        FRAME.assign(date=FRAME["date"].dt.date),
        FRAME.assign(date=FRAME["date"].dt.to_period("D")),
        FRAME.assign(date=[20240612, 20240627]),
        FRAME.assign(date=[45455.0, 45470.0]),
        FRAME.assign(ticker=FRAME["ticker"].astype("category")),
        FRAME.set_index("date"),
        FRAME.set_index("ticker"),
        FRAME.set_index(["ticker", "date"]),
        FRAME.set_index(["date", "ticker"]),
        FRAME.set_index("date").rename_axis(None),
        FRAME.set_index("date")["ticker"],
        FRAME.to_dict("records"),
        FRAME.to_dict("list"),
        pa.Table.from_pandas(FRAME),
        duckdb.from_df(FRAME),
    ],
    ids=lambda data: type(data).__name__,
)
def test_frames_of_many_libraries_are_read_alike(data: Any) -> None:
    assert [event.event_id for event in events_of_frame(data)] == ["A-2024-06-12", "B-2024-06-27"]


@pytest.mark.parametrize("data", [3, None, ["A"], object(), {"date": 3}, FRAME["ticker"], pd.DataFrame(), []])
def test_what_is_no_frame_of_events_is_refused(data: Any) -> None:
    with pytest.raises(EventsError):
        events_of_frame(data)
