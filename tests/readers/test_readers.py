"""Dialects of other programs: text, headers, numbers and days."""

from __future__ import annotations

import datetime as dt
import gzip
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from eventstudy.errors import EventsError, PriceError
from eventstudy.prices.factors import read_factors
from eventstudy.readers.columns import day_column
from eventstudy.readers.crsp import without_codes
from eventstudy.readers.dates import parse_days
from eventstudy.readers.event_columns import event_columns
from eventstudy.readers.french import daily_rows
from eventstudy.readers.headers import columns_of, meaning, unread
from eventstudy.readers.numbers import MISSING, parse_numbers
from eventstudy.readers.text import encoding_of, read_file, read_text, records_of, separator_of


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        ("date,close\n2024-06-12,1\n", "utf-8"),
        ("日期,收盘\n2024-06-12,1\n", "utf-8"),
        ("日期,收盘,名称\n2024-06-12,1,平安银行\n", "gb18030"),
        ("Datum;Kurs;Börse\n12.06.2024;1,5;Düsseldorf\n", "cp1252"),
        ("date,close\n2024-06-12,1\n", "utf-16"),
        ("date,close\n2024-06-12,1\n", "utf-16-le"),
    ],
)
def test_text_is_read_in_the_encoding_it_was_saved_in(text: str, encoding: str) -> None:
    read = read_text(text.encode(encoding), "f.csv", PriceError)
    assert read.content == text


def test_umlauts_are_no_chinese_characters() -> None:
    assert encoding_of("Übergröße,Äpfel".encode("cp1252")) == "cp1252"
    assert encoding_of("名称".encode("gb18030")) == "gb18030"


@pytest.mark.parametrize(("raw", "said"), [(b"PK\x03\x04", "Excel"), (b"PAR1abc", "Parquet"), (b"a\x00b,c\n", "NUL")])
def test_what_is_no_text_is_refused_by_kind(raw: bytes, said: str) -> None:
    with pytest.raises(PriceError, match=said):
        read_text(raw, "f.csv", PriceError)


def test_separator_and_lines() -> None:
    assert separator_of("a;b;c,d\n") == ";"
    assert separator_of('"a;b",c\n') == ","
    text = read_text(b'date,note\n\n2024-06-12,"two\nlines"\n2024-06-13,x\n', "f.csv", PriceError)
    assert [line for line, _ in records_of(text, "f.csv", PriceError)] == [1, 3, 5]


@pytest.mark.parametrize(
    ("header", "name"),
    [
        ("Date", "date"),
        ("<DATE>", "date"),
        ("交易日期", "date"),
        ("trade_date", "date"),
        ("Trddt", "date"),
        ("Adj Close", "adj_close"),
        ("adjusted_close", "adj_close"),
        ("Adj. Close", "adj_close"),
        ("adj_close_price", "adj_close"),
        ("adjcp", "adj_close"),
        ("Close/Last", "close"),
        ("PRC", "close"),
        ("PX_LAST", "close"),
        ("收盘价", "close"),
        ("pre_close", ""),
        ("涨跌幅", ""),
        ("Vol.", "volume"),
        ("成交量", "volume"),
        ("股票代码", "ticker"),
        ("ts_code", "ticker"),
        ("PERMNO", "ticker"),
        ("RET", "return"),
    ],
)  # one row a spelling
def test_headers_by_meaning(header: str, name: str) -> None:
    assert meaning(header) == name


def test_two_identifiers_are_refused_with_the_lasting_one() -> None:
    with pytest.raises(PriceError, match="TICKER, PERMNO; keep PERMNO"):
        columns_of(["TICKER", "date", "PERMNO", "RET"], "f.csv", PriceError)


def test_price_is_the_close_where_there_is_no_other() -> None:
    assert columns_of(["Date", "Price", "Vol."], "f", PriceError) == {"date": 0, "volume": 2, "close": 1}
    assert columns_of(["Date", "Price", "Close"], "f", PriceError)["close"] == 2


def test_neglected_adjustments_are_named() -> None:
    header = ["date", "close", "div_yield", "Stock Splits", "splits", "name"]
    assert unread(header, columns_of(header, "f", PriceError)) == ["div_yield", "Stock Splits", "splits"]


@pytest.mark.parametrize("word", sorted(MISSING - {""}))
def test_a_word_for_missing_costs_one_value(word: str) -> None:
    read = parse_numbers(["1.5", word, word.upper(), "2"])
    np.testing.assert_array_equal(read.values, [1.5, np.nan, np.nan, 2.0])
    assert not read.wrong
    assert sum(read.missing.values()) == 2


@pytest.mark.parametrize(
    ("cells", "values"),
    [
        (["1,234.50", "$2", "3 "], [1234.5, 2.0, 3.0]),
        (["1234,5", "0,25"], [1234.5, 0.25]),
        (["1.234,50", "2,5"], [1234.5, 2.5]),
        (["1,234", "987.5"], [1234.0, 987.5]),
        (["5%", "-1.5%"], [0.05, -0.015]),
        (["-.5", "+1e3"], [-0.5, 1000.0]),
    ],
)
def test_numbers_in_many_hands(cells: list[str], values: list[float]) -> None:
    read = parse_numbers(cells)
    assert not read.wrong
    np.testing.assert_allclose(read.values, values, rtol=1e-15)


def test_multiples_are_read_where_they_are_asked_for() -> None:
    np.testing.assert_allclose(parse_numbers(["1.2M", "3K", "2万"], multiples=True).values, [1.2e6, 3e3, 2e4])
    assert parse_numbers(["1.2M"]).wrong.keys() == {0}


def test_what_could_be_two_numbers_is_refused_with_both() -> None:
    read = parse_numbers(["12,345", "98,765"])
    assert read.wrong[0].startswith("could be 12.345 or 12345")
    assert parse_numbers(["12,345", "0,5"]).values[0] == 12.345


@pytest.mark.parametrize("word", ["abc", "1.2.3", "inf", "1e999", "12:30"])
def test_what_is_no_number_is_named(word: str) -> None:
    assert parse_numbers(["1", word]).wrong.keys() == {1}


@pytest.mark.parametrize(
    "cell",
    [
        "2024-06-12",
        "20240612",
        "2024/6/12",
        "2024.06.12",
        "2024年6月12日",
        "12.06.2024",
        "12 Jun 2024",
        "12JUN2024",
        "12-Jun-2024",
        "Jun 12, 2024",
        "2024-06-12 00:00:00",
        "2024-06-12T00:00:00.000Z",
        "2024-06-12 00:00:00-05:00",
    ],
)  # one row a spelling
def test_days_in_many_hands(cell: str) -> None:
    read = parse_days([cell, cell])
    assert not read.wrong
    assert read.days.astype(str).tolist() == ["2024-06-12"] * 2


def test_a_column_decides_which_number_is_the_month() -> None:
    assert parse_days(["06/12/2024", "06/13/2024"]).days.astype(str).tolist() == ["2024-06-12", "2024-06-13"]
    assert parse_days(["06/12/2024", "13/12/2024"]).days.astype(str).tolist() == ["2024-12-06", "2024-12-13"]
    assert parse_days(["06/12/2024"]).wrong[0].startswith("could be 2024-06-12 or 2024-12-06")
    assert set(parse_days(["06/13/2024", "13/06/2024"]).wrong) == {0, 1}
    assert parse_days(["06/06/2024"]).days.astype(str).tolist() == ["2024-06-06"]


def test_excel_serials_only_where_all_are() -> None:
    assert parse_days(["45455", "45456.0"]).days.astype(str).tolist() == ["2024-06-12", "2024-06-13"]
    assert parse_days(["45455", "2024-06-13"]).wrong.keys() == {0}


@pytest.mark.parametrize(
    "cell", ["2024-02-30", "2024-13-01", "27/27/2024", "06/06/2024 16:00", "", "x", "2024-06-12 16:00", "12 Foo 2024"]
)
def test_what_is_no_day_is_named(cell: str) -> None:
    read = parse_days([cell, "2024-06-13"])
    assert read.wrong.keys() == {0}
    assert np.isnat(read.days[0])


FRENCH = """This file was created using the 202406 CRSP database.
The 1-month TBill rate is from a bank.

,Mkt-RF,SMB,HML,RF
20240611,    0.15,  -99.99,    0.02,   0.022
20240612,    0.97,    1.20,   -0.87,   0.022

  Annual Factors: January-December
,Mkt-RF,SMB,HML,RF
  2023,   21.70,   -3.10,  -13.60,   4.95

Copyright 2024
"""


def test_frenchs_file_as_downloaded(tmp_path: Path) -> None:
    (tmp_path / "f.csv").write_text(FRENCH, encoding="utf-8")
    table = read_factors(tmp_path / "f.csv", ["Mkt-RF", "SMB"], percent=True)
    assert table.dates.astype(str).tolist() == ["2024-06-11", "2024-06-12"]
    np.testing.assert_allclose(table.values, [[0.0015, np.nan], [0.0097, 0.012]], rtol=1e-12)
    assert daily_rows([["date", "SMB"], ["2024-06-12", "1"]]) == (0, [["date", "SMB"], ["2024-06-12", "1"]])


def test_codes_of_crsp_are_no_returns() -> None:
    read = without_codes(np.array([0.01, -66.0, -99.0, -0.44, -44.0]))
    np.testing.assert_array_equal(read, [0.01, np.nan, np.nan, -0.44, np.nan])


def test_days_of_arrow_columns_are_those_of_their_own_zone() -> None:
    text = day_column(pa.array(["2024-06-12", "12.06.2024", "2024-06-12", None, "x"]))
    assert text.days.astype(str).tolist() == ["2024-06-12", "2024-06-12", "2024-06-12", "NaT", "NaT"]
    assert sorted(text.wrong) == [3, 4]
    moment = dt.datetime(2024, 6, 11, 16, tzinfo=dt.UTC)
    zoned = day_column(pa.array([moment, None], pa.timestamp("s", "Asia/Shanghai")))
    assert zoned.days.astype(str).tolist() == ["2024-06-12", "NaT"]
    assert list(zoned.wrong) == [1]
    close = day_column(pa.array([dt.datetime(2024, 6, 12), dt.datetime(2024, 6, 12, 16)]))
    assert close.days.astype(str).tolist() == ["2024-06-12", "2024-06-12"]
    assert list(close.wrong) == [1]
    assert day_column(pa.array([20240612])).days.astype(str).tolist() == ["2024-06-12"]


def test_a_file_packed_with_gzip_is_read(tmp_path: Path) -> None:
    packed = gzip.compress(b"ticker,date\nGE,2018-06-26\n")
    (tmp_path / "events.csv.gz").write_bytes(packed)
    assert read_file(tmp_path / "events.csv.gz", EventsError) == b"ticker,date\nGE,2018-06-26\n"
    (tmp_path / "cut.csv.gz").write_bytes(packed[:-9])
    with pytest.raises(EventsError, match="is a damaged gzip archive; get it again"):
        read_file(tmp_path / "cut.csv.gz", EventsError)


def test_the_headers_of_an_event_panel_are_known() -> None:
    columns = event_columns(("subject_id", "EVT_DATE", "CCAR"), ("timestamp", "tickers"))
    assert columns.known == {"timestamp": 1, "tickers": 0}
    assert columns.own == {"CCAR": 2}


def test_what_an_archive_unpacks_to_is_what_counts(tmp_path: Path) -> None:
    packed, plain = tmp_path / "events.csv.gz", tmp_path / "events.csv"
    packed.write_bytes(gzip.compress(b"ticker,date\n" + b" " * 2**21))
    plain.write_bytes(b" " * (2**20 + 1))
    assert packed.stat().st_size < 2**14
    assert len(read_file(packed, EventsError, most=2**22)) == 2**21 + 12
    for path, said in ((packed, "unpacks to more than the accepted 1 MiB"), (plain, "is 1 MiB; accepted are 1 MiB")):
        with pytest.raises(EventsError, match=said):
            read_file(path, EventsError, most=2**20)


def test_a_remark_above_the_header_is_left_out() -> None:
    text = read_text(b"# Data source: somewhere\nDate,AAA\n2024-06-12,1\n", "prices.csv", PriceError)
    assert records_of(text, "prices.csv", PriceError) == [(2, ["Date", "AAA"]), (3, ["2024-06-12", "1"])]
    text = read_text(b"#RIC,Date\nAAA,2024-06-12\n", "prices.csv", PriceError)
    assert records_of(text, "prices.csv", PriceError)[0] == (1, ["#RIC", "Date"])
