"""Prices from local files: what is read, what is noted, what is refused and where."""

from __future__ import annotations

import datetime as dt
import hashlib
import time
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eventstudy.errors import ConfigError, PriceError
from eventstudy.messages import text
from eventstudy.prices import PROVIDERS, TICKER, PriceRequest, PriceTable, get_provider
from eventstudy.prices.files import FilesProvider

SHARED = Path(__file__).parents[3] / "shared" / "data"
REAL = pytest.mark.skipif(not SHARED.is_dir(), reason="the real price files are not on this machine")
START, END = dt.date(2020, 1, 1), dt.date(2030, 1, 1)

PLAIN = """date,open,high,low,close,adj_close,volume
2024-01-02,10,12,9,11,5.5,100
2024-01-03,11,13,10,12,6,200
2024-01-04,12,14,11,13,6.5,
"""


def read(path: Path, *tickers: str, start: dt.date = START, end: dt.date = END) -> PriceTable:
    return FilesProvider(path).fetch(PriceRequest(tickers, start, end))


def one(folder: Path, content: str | bytes, name: str = "LITE.csv") -> PriceTable:
    data = content.encode() if isinstance(content, str) else content
    (folder / name).write_bytes(data)
    return read(folder, name.rsplit(".", 1)[0])


def refused(folder: Path, content: str | bytes, name: str = "LITE.csv") -> list[str]:
    """The problems of a file, without the folder's name."""
    with pytest.raises(PriceError) as caught:
        one(folder, content, name)
    return [str(problem).replace(f"{folder}/", "") for problem in caught.value.problems]


def test_reads_every_field_with_empty_as_nan(tmp_path: Path) -> None:
    table = one(tmp_path, PLAIN)
    bars = table.series["LITE"]
    assert [str(day) for day in bars.dates] == ["2024-01-02", "2024-01-03", "2024-01-04"]
    np.testing.assert_array_equal(bars.open, [10, 11, 12])
    np.testing.assert_array_equal(bars.high, [12, 13, 14])
    np.testing.assert_array_equal(bars.low, [9, 10, 11])
    np.testing.assert_array_equal(bars.close, [11, 12, 13])
    np.testing.assert_array_equal(bars.adj_close, [5.5, 6, 6.5])
    np.testing.assert_array_equal(bars.volume, [100, 200, np.nan])
    assert bars.sha256 == hashlib.sha256(PLAIN.encode()).hexdigest()
    outcome = table.outcomes["LITE"]
    assert (outcome.status, outcome.rows, tuple(map(text, outcome.notes))) == ("ok", 3, ())
    assert (outcome.first, outcome.last) == ("2024-01-02", "2024-01-04")
    assert bars.source == "LITE.csv"
    assert get_provider("files") is FilesProvider


@pytest.mark.parametrize(
    "content",
    [
        b"\xef\xbb\xbf" + PLAIN.encode(),
        PLAIN.replace("\n", "\r\n"),
        PLAIN.replace("date,open,high,low,close,adj_close", "Date,OPEN,High,Low,Close,Adj Close"),
        PLAIN.replace("adj_close", "adjclose"),
        PLAIN.replace("2024-01-03", "2024/01/03"),
        PLAIN.replace("2024-01-03", "2024-01-03 00:00:00-05:00"),
        PLAIN.replace("11,13", " 11 , 13 "),
        PLAIN + "\n\n",
        PLAIN.replace("100\n", "100,\n")
        .replace("200\n", "200,\n")
        .replace("6.5,\n", "6.5,,note\n")
        .replace("volume\n", "volume,source\n"),
    ],
    ids=["bom", "crlf", "yahoo names", "adjclose", "slashes", "midnight", "blanks", "empty lines", "others"],
)
def test_spellings_that_mean_the_same(tmp_path: Path, content: str | bytes) -> None:
    expected = one(tmp_path, PLAIN, "A.csv").series["A"]
    table = one(tmp_path, content, "B.csv")
    for field in ("dates", "open", "high", "low", "close", "adj_close", "volume"):
        np.testing.assert_array_equal(getattr(table.series["B"], field), getattr(expected, field))
    assert tuple(map(text, table.outcomes["B"].notes)) == ()


def test_close_alone_serves_as_adjusted_with_a_note(tmp_path: Path) -> None:
    table = one(tmp_path, "date,close\n2024-01-02,11\n2024-01-03,12\n")
    np.testing.assert_array_equal(table.series["LITE"].adj_close, [11, 12])
    assert np.isnan(table.series["LITE"].open).all()
    (note,) = tuple(map(text, table.outcomes["LITE"].notes))
    assert note.startswith("no adj_close; close is used")


def test_rows_with_adjusted_close_only_are_kept(tmp_path: Path) -> None:
    table = one(tmp_path, "date,close,adj_close\n2024-01-02,11,5\n2024-01-03,,6\n")
    np.testing.assert_array_equal(table.series["LITE"].adj_close, [5, 6])
    np.testing.assert_array_equal(table.series["LITE"].close, [11, np.nan])
    assert tuple(map(text, table.outcomes["LITE"].notes)) == ()


def test_holes_stay_nan_and_are_noted(tmp_path: Path) -> None:
    table = one(tmp_path, "date,close,adj_close\n2024-01-02,11,5\n2024-01-03,,\n2024-01-04,12,\n")
    np.testing.assert_array_equal(table.series["LITE"].adj_close, [5, np.nan, np.nan])
    assert tuple(map(text, table.outcomes["LITE"].notes)) == (
        "adj_close is empty on 1 day(s) with a close",
        "1 day(s) without any close, first 2024-01-03",
    )


def test_unsorted_dates_are_sorted_with_a_note(tmp_path: Path) -> None:
    header, *rows = PLAIN.splitlines()
    table = one(tmp_path, "\n".join([header, rows[2], rows[0], rows[1]]))
    np.testing.assert_array_equal(table.series["LITE"].close, [11, 12, 13])
    assert tuple(map(text, table.outcomes["LITE"].notes)) == (
        "LITE.csv is not in the order of its dates; it was sorted",
    )


@settings(max_examples=25, deadline=None)
@given(order=st.permutations(range(6)))
def test_order_of_rows_changes_no_value(tmp_path_factory: pytest.TempPathFactory, order: list[int]) -> None:
    rows = [f"2024-01-0{i + 1},{10 + i},{5 + i}" for i in range(6)]
    text = "\n".join(["date,close,adj_close", *(rows[i] for i in order)])
    bars = one(tmp_path_factory.mktemp("prices"), text).series["LITE"]
    np.testing.assert_array_equal(bars.close, 10 + np.arange(6))
    np.testing.assert_array_equal(bars.adj_close, 5 + np.arange(6))


def test_rows_outside_the_request_are_cut_both_days_included(tmp_path: Path) -> None:
    (tmp_path / "LITE.csv").write_text(PLAIN, encoding="utf-8")
    table = read(tmp_path, "LITE", start=dt.date(2024, 1, 3), end=dt.date(2024, 1, 3))
    np.testing.assert_array_equal(table.series["LITE"].close, [12])
    empty = read(tmp_path, "LITE", start=dt.date(2025, 1, 1))
    outcome = empty.outcomes["LITE"]
    assert outcome.status == "no_prices"
    assert text(outcome.message) == ("LITE.csv has 2024-01-02..2024-01-04, nothing in 2025-01-01..2030-01-01")
    assert not empty.series


def test_missing_file_is_an_outcome_and_missing_folder_an_error(tmp_path: Path) -> None:
    (tmp_path / "LITE.csv").write_text(PLAIN, encoding="utf-8")
    table = read(tmp_path, "LITE", "COHR")
    assert set(table.series) == {"LITE"}
    assert table.outcomes["COHR"].status == "no_prices"
    assert text(table.outcomes["COHR"].message) == f"no file COHR.csv in the folder {tmp_path.name}"
    for name in ("COHR (1).csv", "cohr.us.txt"):
        (tmp_path / name).write_text("date,close\n", encoding="utf-8")
        told = read(tmp_path, "LITE", "COHR").outcomes["COHR"].message
        assert text(told) == f"no file COHR.csv in the folder {tmp_path.name}, but there is {name}"
        (tmp_path / name).unlink()
    with pytest.raises(PriceError, match=r"nowhere: no such folder or file; give a folder"):
        read(tmp_path / "nowhere", "LITE")
    (tmp_path / "empty").mkdir()
    with pytest.raises(PriceError, match=r"empty: holds no file that ends in \.csv, \.csv\.gz"):
        read(tmp_path / "empty", "LITE")


def test_tickers_cannot_name_other_files(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "LITE.csv").write_text(PLAIN, encoding="utf-8")
    (tmp_path / "OUT.csv").write_text(PLAIN, encoding="utf-8")
    with pytest.raises(ConfigError) as caught:
        read(tmp_path / "in", "../OUT", "LITE", "A B")
    assert len(caught.value.problems) == 2


HEADER = "date,close,adj_close\n"


@pytest.mark.parametrize(
    ("content", "close"),
    [
        (HEADER + "2024-01-02,11,5\n2024-01-03,n/a,6\n", [11.0, np.nan]),
        (HEADER + '2024-01-02,"1,100.5",5\n', [1100.5]),
        (HEADER + "45293,11,5\n", [11.0]),
        ("date;close\n02.01.2024;11,5\n", [11.5]),
        ("date;close\n2024-01-02;11\n".encode("utf-16"), [11.0]),
        ("日期,股票代码,收盘\n2024-01-02,000001,11\n", [11.0]),
        ("date,close,名称\n2024-01-02,11,平安\n".encode("gbk"), [11.0]),
        ("ts_code,trade_date,close,pre_close\nLITE,20240102,11,1\n", [11.0]),
        ("<DATE>,<OPEN>,<CLOSE>\n20240102,10,11\n", [11.0]),
        ("Date,Close/Last,Volume\n01/02/2024,$11.00,5\n01/16/2024,$12.00,6\n", [11.0, 12.0]),
        ("Date,Price,Vol.\n01/02/2024,11,1.2M\n01/16/2024,12,3K\n", [11.0, 12.0]),
    ],
)
def test_files_of_other_programs_are_read(tmp_path: Path, content: str | bytes, close: list[float]) -> None:
    raw = content if isinstance(content, bytes) else content.encode()
    (tmp_path / "LITE.csv").write_bytes(raw)
    series = read(tmp_path, "LITE").series["LITE"]
    np.testing.assert_array_equal(series.close, close)
    assert str(series.dates[0]) == "2024-01-02"


def test_what_was_read_in_another_way_is_noted(tmp_path: Path) -> None:
    content = "日期,股票代码,收盘,分红\n2024-01-02,000001,11,0\n2024-01-03,000001,--,0\n"
    (tmp_path / "LITE.csv").write_bytes(content.encode("gbk"))
    notes = tuple(map(text, read(tmp_path, "LITE").outcomes["LITE"].notes))
    assert "the file for LITE is named 000001" in notes
    assert "is not UTF-8; it was read as GB18030" in notes
    assert "cells that count as missing: '--' 1 times" in notes
    assert "column 分红 is not read: prices must be adjusted already" in notes


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (HEADER + "2024-01-02,1_0,5\n", "LITE.csv:2: close '1_0' is not a number"),
        (HEADER + "2024-01-02,1-2,5\n", "LITE.csv:2: close '1-2' is not a number"),
        (HEADER + "2024-01-02,inf,5\n", "LITE.csv:2: close 'inf' is not a number"),
        (HEADER + "461961,11,5\n", "LITE.csv:2: date '461961' is not a day; write it as 2026-06-24"),
        (HEADER + "02/01/2024,11,5\n", "LITE.csv:2: date '02/01/2024' could be 2024-02-01 or 2024-01-02"),
        (HEADER + "2024-02-30,11,5\n", "LITE.csv:2: date '2024-02-30' is not a day"),
        (HEADER + ",11,5\n", "LITE.csv:2: date '' is not a day"),
        (HEADER + "2024-01-02 14:30,11,5\n", "LITE.csv:2: date '2024-01-02 14:30' has a time of day"),
        (HEADER + "2024-01-02,0,5\n", "LITE.csv:2: close 0 on 2024-01-02 is zero or negative"),
        (HEADER + "2024-01-02,11,-5\n", "LITE.csv:2: adj_close -5 on 2024-01-02 is zero or negative"),
        ("date,close,volume\n2024-01-02,11,-5\n", "LITE.csv:2: volume -5 on 2024-01-02 is negative"),
        (
            HEADER + "2024-01-03,11,5\n2024-01-02,11,5\n2024-01-03,12,5\n",
            "LITE.csv:4: 2024-01-03 comes twice, here and in line 2; keep one row",
        ),
        (HEADER + "2024-01-02,11\n", "LITE.csv:2: has 2 cells, the header has 3"),
        (HEADER + "2024-01-02,11,5,6\n", "LITE.csv:2: has 4 cells, the header has 3"),
        ("date,open\n2024-01-02,11\n", "LITE.csv:1: has columns date, open; needed are"),
        ("date,close,Close\n2024-01-02,1,2\n", "LITE.csv:1: has two columns for close: close, Close; keep one"),
        ("", "LITE.csv: is empty; the first line must name the columns"),
        (b"PK\x03\x04rest of a workbook", "LITE.csv: is an Excel workbook or a zip archive that cannot be opened"),
        (b"PAR1....PAR1", "LITE.csv: is not a Parquet file: "),
        (b"date,close\n2024-01-02,\xff\n", "LITE.csv:2: close '\xff' is not a number"),
        ("date,close\n2024-01-02,\x0011\n", "LITE.csv: contains NUL bytes and is not a text file"),
        (
            "date,close,ticker\n2024-01-02,1,LITE\n2024-01-03,2,COHR\n",
            "LITE.csv:3: is a row of 'COHR' in the file of LITE",
        ),
        (
            "Price,Close,Close\nTicker,LITE,COHR\nDate,,\n2024-01-02,1,2\n",
            "LITE.csv:2: has yfinance's three-line header with tickers COHR, LITE; it can be read with one",
        ),
    ],
)
def test_faulty_file_is_refused_by_line(tmp_path: Path, content: str | bytes, expected: str) -> None:
    (problem,) = refused(tmp_path, content)
    assert problem.startswith(expected)


def test_header_alone_is_no_prices(tmp_path: Path) -> None:
    outcome = one(tmp_path, HEADER).outcomes["LITE"]
    assert outcome.status == "no_prices"
    assert text(outcome.message).startswith("LITE.csv has no rows")


def test_all_problems_of_all_files_come_at_once(tmp_path: Path) -> None:
    (tmp_path / "A.csv").write_text(HEADER + "2024-01-02,x,y\n2024-01-03,z,1\n", encoding="utf-8")
    (tmp_path / "B.csv").write_text(HEADER + "2024-01-02,-1,1\n", encoding="utf-8")
    (tmp_path / "C.csv").write_text(PLAIN, encoding="utf-8")
    with pytest.raises(PriceError) as caught:
        read(tmp_path, "A", "C", "B")
    places = [(Path(problem.file).name, problem.line) for problem in caught.value.problems]
    assert places == [("A.csv", 2), ("A.csv", 2), ("B.csv", 2)]
    said = [str(problem).rpartition("A.csv")[2] for problem in caught.value.problems]
    assert said[0].endswith("if there is none (and another line like it: 3)")
    assert said[1].startswith(":2: adj_close 'y' is not a number; ")


def test_each_kind_of_problem_is_said_once_with_its_count(tmp_path: Path) -> None:
    rows = "".join(f"2024-01-{day:02d},x{day},1\n" for day in range(1, 31))
    problems = refused(tmp_path, HEADER + rows)
    (said,) = problems
    assert said == (
        "LITE.csv:2: close 'x1' is not a number; write it as 1234.5, or leave it empty if there is none "
        "(and 29 other lines like it: 3, 4, 5, 6, 7, …)"
    )
    zeros = "".join(f"2024-01-{day:02d},{0 if day % 2 else -day},1\n" for day in range(1, 4))
    (said,) = refused(tmp_path, HEADER + zeros)
    assert said == (
        "LITE.csv:2: close 0 on 2024-01-01 is zero or negative; correct it or leave it empty "
        "(and 2 other lines like it: 3, 4)"
    )


def test_faults_in_files_not_asked_for_do_not_matter(tmp_path: Path) -> None:
    (tmp_path / "BAD.csv").write_text("nonsense", encoding="utf-8")
    assert set(one(tmp_path, PLAIN).series) == {"LITE"}


def test_csv_and_parquet_of_one_ticker_are_ambiguous(tmp_path: Path) -> None:
    (tmp_path / "LITE.parquet").write_bytes(b"")
    (problem,) = refused(tmp_path, PLAIN)
    assert problem.endswith("both LITE.csv and LITE.parquet exist; keep one")


THREE_LINES = "Price,Close,High\nTicker,{0},{0}\nDate,,\n2024-01-02,11,12\n2024-01-03,12,13\n"


def test_three_line_header_of_one_ticker_is_read(tmp_path: Path) -> None:
    table = one(tmp_path, THREE_LINES.format("^GSPC"), "^GSPC.csv")
    np.testing.assert_array_equal(table.series["^GSPC"].close, [11, 12])
    np.testing.assert_array_equal(table.series["^GSPC"].high, [12, 13])
    assert str(table.series["^GSPC"].dates[0]) == "2024-01-02"
    problems = refused(tmp_path, THREE_LINES.format("AAPL"))
    assert problems[0] == "LITE.csv:4: is a row of 'AAPL' in the file of LITE (and another line like it: 5)"


def test_close_outside_the_days_range_is_noted(tmp_path: Path) -> None:
    table = one(tmp_path, "date,low,high,close,adj_close\n2024-01-02,9,12,11,11\n2024-01-03,9,12,8,8\n")
    (note,) = tuple(map(text, table.outcomes["LITE"].notes))
    assert note.startswith("1 day(s) with a close outside low..high")
    assert note.endswith("first 2024-01-03")


LONG = """Symbol,Date,Close,Adj Close
LITE,2024-01-02,11,5
COHR,2024-01-02,20,10
LITE,2024-01-03,12,6
COHR,2024-01-03,21,11
BAD,2024-01-03,x,y
"""


def test_long_file_is_cut_by_ticker(tmp_path: Path) -> None:
    path = tmp_path / "all.csv"
    path.write_text(LONG, encoding="utf-8")
    table = read(path, "COHR", "LITE", "MU")
    np.testing.assert_array_equal(table.series["LITE"].adj_close, [5, 6])
    np.testing.assert_array_equal(table.series["COHR"].close, [20, 21])
    assert text(table.outcomes["MU"].message) == "no row for MU in all.csv"
    assert table.series["LITE"].sha256 == hashlib.sha256(LONG.encode()).hexdigest()
    with pytest.raises(PriceError) as caught:
        read(path, "BAD", "LITE")
    assert [problem.line for problem in caught.value.problems] == [6, 6]
    (tmp_path / "plain.csv").write_text(PLAIN, encoding="utf-8")
    with pytest.raises(PriceError, match="has no ticker column"):
        read(tmp_path / "plain.csv", "LITE")


def test_parquet_in_every_date_type_gives_the_csv_values(tmp_path: Path) -> None:
    pa = pytest.importorskip("pyarrow")
    pq = pytest.importorskip("pyarrow.parquet")
    days = [dt.date(2024, 1, 2), dt.date(2024, 1, 3)]
    midnights = [dt.datetime(day.year, day.month, day.day) for day in days]
    utc = [midnight + dt.timedelta(hours=5) for midnight in midnights]
    forms = {
        "DAY": pa.array(days, pa.date32()),
        "STAMP": pa.array(midnights, pa.timestamp("ns")),
        "ZONE": pa.array(utc, pa.timestamp("s", "America/New_York")),
        "TEXT": pa.array([str(day) for day in days]),
    }
    for name, dates in forms.items():
        columns = {"Date": dates, "Close": pa.array([11, None], pa.int64()), "Adj Close": [5.5, 6.0]}
        pq.write_table(pa.table(columns), tmp_path / f"{name}.parquet")
    table = read(tmp_path, *forms)
    for name in forms:
        assert [str(day) for day in table.series[name].dates] == ["2024-01-02", "2024-01-03"]
        np.testing.assert_array_equal(table.series[name].close, [11, np.nan])
        np.testing.assert_array_equal(table.series[name].adj_close, [5.5, 6])
    data = (tmp_path / "DAY.parquet").read_bytes()
    assert table.series["DAY"].sha256 == hashlib.sha256(data).hexdigest()


def test_faulty_parquet_is_refused_by_row(tmp_path: Path) -> None:
    pa = pytest.importorskip("pyarrow")
    pq = pytest.importorskip("pyarrow.parquet")
    columns = {"date": pa.array([dt.datetime(2024, 1, 2, 14)]), "close": [1.0], "ticker": ["LITE"]}
    pq.write_table(pa.table(columns), tmp_path / "LITE.parquet")
    with pytest.raises(PriceError, match=r"LITE\.parquet:1: date '2024-01-02T14:00:00\S*' is not a day"):
        read(tmp_path, "LITE")
    with pytest.raises(PriceError, match=r"LITE\.parquet:1: date "):
        read(tmp_path / "LITE.parquet", "LITE")
    (tmp_path / "COHR.parquet").write_bytes(b"PAR1 no parquet")
    with pytest.raises(PriceError, match=r"COHR\.parquet: is not a Parquet file"):
        read(tmp_path, "COHR")
    pq.write_table(pa.table({"date": [dt.date(2024, 1, 2)], "close": [True]}), tmp_path / "MU.parquet")
    with pytest.raises(PriceError, match=r"MU\.parquet:1: close 'of type bool' is not a number"):
        read(tmp_path, "MU")


def test_registry_knows_the_shipped_providers_and_names_the_nearest() -> None:
    PROVIDERS.load_all()
    PROVIDERS.load_installed()
    assert {"baostock", "files", "simulated", "yahoo"} == set(PROVIDERS.declared) <= set(PROVIDERS)
    with pytest.raises(ConfigError, match=r"'yaho' is unknown; accepted: .*yahoo.*did you mean 'yahoo'\?"):
        get_provider("yaho")


FACTS = [
    ("NVDA", "2025-01-27", -16.97),
    ("LITE", "2025-01-27", -22.46),
    ("COHR", "2025-01-27", -18.95),
    ("AAOI", "2025-01-27", -20.04),
    ("SPY", "2025-01-27", -1.41),
    ("300308.SZ", "2025-01-27", -10.47),
    ("300308.SZ", "2025-02-05", -14.44),
    ("300502.SZ", "2025-02-05", -18.50),
    ("INFN", "2024-06-28", 15.78),
    ("LITE", "2018-11-12", -32.98),
    ("ACIA", "2018-04-16", -35.97),
    ("AAOI", "2026-06-09", -17.17),
    ("LITE", "2026-06-09", -8.22),
    ("COHR", "2026-06-09", -11.44),
    ("SPY", "2026-06-09", -0.29),
    ("300308.SZ", "2024-10-08", 20.00),
    ("603083.SS", "2024-10-08", 10.00),
    ("300308.SZ", "2025-04-07", -20.01),
]


@REAL
def test_real_folder_facts_and_speed() -> None:
    folder = SHARED / "prices"
    tickers = tuple(path.stem for path in sorted(folder.glob("*.csv")) if TICKER.fullmatch(path.stem))
    began = time.thread_time()
    table = read(folder, *tickers, start=dt.date(2018, 1, 1))
    took = time.thread_time() - began
    assert len(tickers) >= 43
    assert set(table.series) == set(tickers)
    assert took < 2.0
    for ticker, day, percent in FACTS:
        bars = table.series[ticker]
        row = int(np.flatnonzero(bars.dates == np.datetime64(day))[0])
        moved = 100 * (bars.adj_close[row] / bars.adj_close[row - 1] - 1)
        assert moved == pytest.approx(percent, abs=0.0051), (ticker, day)
    assert table.last_date == "2026-08-21"
    assert table.outcomes["INFN"].last == "2024-08-21"


@REAL
def test_real_faulty_files(tmp_path: Path) -> None:
    dirty = SHARED / "dirty"
    sources = {
        "^GSPC": "three-row-header.GSPC.csv",
        "DOWN": "additive-adjustment-descending.300308.csv",
        "MIXED": "adjusted-close-raw-ohlc.300308.SZ.csv",
    }
    for ticker, name in sources.items():
        (tmp_path / f"{ticker}.csv").write_bytes((dirty / name).read_bytes())
    table = read(tmp_path, *sources)
    assert table.series["^GSPC"].close[0] == pytest.approx(6495.14990234375)
    assert any("it was sorted" in note for note in tuple(map(text, table.outcomes["DOWN"].notes)))
    assert any("outside low..high" in note for note in tuple(map(text, table.outcomes["MIXED"].notes)))
    assert any("adj_close is empty" in note for note in tuple(map(text, table.outcomes["MIXED"].notes)))


@pytest.mark.parametrize(
    ("last", "expected"),
    [
        ("2024-01-04,9.0,-0.5", [10.0, 9.0, 4.5]),
        ("2024-01-04,,-0.5", [10.0, 9.9, 4.95]),
        ("2024-01-04,,-1", [10.0, 9.9, 9.9e-9]),
        ("2024-01-04,9.0,P", [10.0, 9.9, 9.0]),
        ("2024-01-04,9.0,-55", [10.0, 9.9, 9.0]),
    ],
)
def test_a_delisting_return_is_in_the_last_price(tmp_path: Path, last: str, expected: list[float]) -> None:
    """By hand: compounded with the day's own return, or alone where the day has no price; CRSP's codes are none."""
    middle = "9.0" if expected[1] == 9.0 else "9.9"
    content = f"date,adj_close,dlret\n2024-01-02,10,\n2024-01-03,{middle},\n{last}\n"
    table = one(tmp_path, content)
    assert table.series["LITE"].adj_close.tolist() == pytest.approx(expected, rel=1e-12)
    told = [note.code for note in table.outcomes["LITE"].notes]
    assert ("read.delisting" in told) == (expected[2] != 9.0)


def test_a_delisting_return_in_every_row_counts_once(tmp_path: Path) -> None:
    table = one(tmp_path, "date,close,volume,dlret\n2024-01-02,10,5,-0.3\n2024-01-03,8,5,-0.3\n2024-01-04,6,0,-0.3\n")
    found = table.series["LITE"]
    assert found.adj_close.tolist() == pytest.approx([10.0, 8.0, 4.2])
    assert found.volume[:2].tolist() == [5.0, 5.0]
    assert np.isnan(found.volume[2])
