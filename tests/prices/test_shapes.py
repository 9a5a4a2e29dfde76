"""One normaliser: every shape of prices, in files and in frames, gives the same series."""

from __future__ import annotations

import datetime as dt
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from studies import event_row, write_events, write_prices, write_study

from eventstudy.config import load_config
from eventstudy.errors import ConfigError, PriceError
from eventstudy.events import read_events
from eventstudy.exchanges.tickers import of_ticker, spelled
from eventstudy.messages import text
from eventstudy.prices import PriceRequest, PriceTable
from eventstudy.prices.files import FilesProvider, prices_of_arrow
from eventstudy.prices.frames import arrow_of_frame
from eventstudy.prices.sources import frame_prices, get_prices
from eventstudy.prices.table import known_volume
from eventstudy.readers.crsp import without_codes
from eventstudy.readers.numbers import parse_ratios

DAYS = pd.date_range("2024-01-02", periods=4, freq="B")
CLOSES = {"AAA": [10.0, 11.0, 12.0, 13.0], "LOW": [20.0, 21.0, 22.0, 23.0]}
REQUEST = PriceRequest(("AAA", "LOW"), dt.date(2020, 1, 1), dt.date(2030, 1, 1))
WIDE = pd.DataFrame(CLOSES, index=DAYS)
LONG = pd.DataFrame(
    {"date": np.tile(DAYS, 2), "ticker": np.repeat(["AAA", "LOW"], 4), "close": [*CLOSES["AAA"], *CLOSES["LOW"]]}
)


def yfinance_frame(*, ticker_first: bool) -> pd.DataFrame:
    frame = pd.concat({"Close": WIDE, "Adj Close": WIDE, "Volume": WIDE * 100}, axis=1, names=["Price", "Ticker"])
    frame.index.name = "Date"
    return frame.swaplevel(axis=1).sort_index(axis=1) if ticker_first else frame


FRAMES: dict[str, Callable[[], Any]] = {
    "long": lambda: LONG,
    "long, other names": lambda: LONG.rename(columns={"date": "Date", "ticker": "Symbol", "close": "Adj Close"}),
    "long, shuffled": lambda: LONG.sample(frac=1, random_state=1),
    "long, texts": lambda: LONG.assign(date=LONG["date"].dt.strftime("%d.%m.%Y")),
    "long, numbers as texts": lambda: LONG.assign(close=LONG["close"].map("${:,.2f}".format)),
    "long, categories": lambda: LONG.assign(ticker=LONG["ticker"].astype("category")),
    "long, dates": lambda: LONG.assign(date=LONG["date"].dt.date),
    "long, 16:00": lambda: LONG.assign(date=LONG["date"] + pd.Timedelta(hours=16)),
    "long, zone": lambda: LONG.assign(date=LONG["date"].dt.tz_localize("Asia/Shanghai")),
    "long, named index beside a date": lambda: LONG.set_index(pd.RangeIndex(5, 13, name="row")),
    "date in the index": lambda: LONG.set_index("date"),
    "date and ticker in the index": lambda: LONG.set_index(["date", "ticker"]),
    "ticker and date in the index": lambda: LONG.set_index(["ticker", "date"]),
    "unnamed index of both": lambda: LONG.set_index(["date", "ticker"]).rename_axis(index=[None, None]),
    "series by date and ticker": lambda: LONG.set_index(["date", "ticker"])["close"],
    "wide": lambda: WIDE,
    "wide, named index": lambda: WIDE.rename_axis(index="Date"),
    "wide, named columns": lambda: WIDE.rename_axis(columns="Ticker"),
    "wide, 16:00": lambda: WIDE.set_index(DAYS + pd.Timedelta(hours=16)),
    "wide, New York": lambda: WIDE.set_index(DAYS.tz_localize("America/New_York")),
    "wide, seconds": lambda: WIDE.set_index(DAYS.as_unit("s")),
    "wide, periods": lambda: WIDE.set_index(DAYS.to_period("D")),
    "wide, texts": lambda: WIDE.set_index(DAYS.strftime("%Y-%m-%d")),
    "wide, whole numbers": lambda: WIDE.astype(int),
    "wide, date as column": lambda: WIDE.rename_axis(index="date").reset_index(),
    "wide, other tickers too": lambda: WIDE.assign(HIGH=1.0, ZZZ=2.0),
    "wide, days of another market": lambda: pd.concat(
        [WIDE, pd.DataFrame({"AAA": [np.nan], "OTHER": [1.0]}, index=[pd.Timestamp("2024-01-06")])]
    ),
    "yfinance": lambda: yfinance_frame(ticker_first=False),
    "yfinance, by ticker": lambda: yfinance_frame(ticker_first=True),
    "dict of frames": lambda: {
        name: pd.DataFrame({"Close": values}, index=pd.Index(DAYS, name="Date")) for name, values in CLOSES.items()
    },
    "dict of series": lambda: {name: WIDE[name] for name in CLOSES},
    "arrow": lambda: pa.Table.from_pandas(LONG),
    "returns": lambda: LONG.assign(
        close=np.concatenate([np.array(v) / np.append(1.0, v[:-1]) - 1 for v in CLOSES.values()])
    ).rename(columns={"close": "ret"}),
}


def check(table: PriceTable) -> None:
    for ticker, closes in CLOSES.items():
        series = table.series[ticker]
        assert series.dates.astype(str).tolist() == [str(day.date()) for day in DAYS], ticker
        np.testing.assert_allclose(series.adj_close, closes, rtol=1e-12)


@pytest.mark.parametrize("name", FRAMES)
def test_frames_of_every_shape_are_the_same_prices(name: str) -> None:
    check(prices_of_arrow(arrow_of_frame(FRAMES[name]()), REQUEST, name="frame"))


@pytest.mark.parametrize("ending", ["csv", "parquet"])
@pytest.mark.parametrize("name", ["long", "long, texts", "wide, date as column", "arrow"])
def test_files_of_every_shape_are_the_same_prices(tmp_path: Path, name: str, ending: str) -> None:
    table = arrow_of_frame(FRAMES[name]())
    path = tmp_path / f"prices.{ending}"
    if ending == "csv":
        table.to_pandas().to_csv(path, index=False)
    else:
        pq.write_table(table, path)
    check(FilesProvider(path).fetch(REQUEST))


@pytest.mark.parametrize("wrong", [3, "x", [1, 2], pd.DataFrame(), pd.DataFrame({"a": [1]}), {"AAA": 3}, object()])
def test_what_is_no_table_of_prices_is_refused_in_a_sentence(wrong: Any) -> None:
    with pytest.raises(PriceError):
        prices_of_arrow(arrow_of_frame(wrong), REQUEST, name="frame")


def test_a_wide_file_without_the_ticker_says_so(tmp_path: Path) -> None:
    (tmp_path / "w.csv").write_text("date,AAA,QQQ\n2024-01-02,1,2\n", encoding="utf-8")
    table = FilesProvider(tmp_path / "w.csv").fetch(REQUEST)
    assert text(table.outcomes["LOW"].message) == "no row for LOW in w.csv"
    (tmp_path / "v.csv").write_text("date,X1,X2,X3,AAB\n2024-01-02,1,2,3,4\n", encoding="utf-8")
    outcome = FilesProvider(tmp_path / "v.csv").fetch(REQUEST).outcomes["AAA"]
    assert text(outcome.message).endswith("nor for any other ticker of the study: it has X1, X2, X3, AAB")


@pytest.mark.parametrize(
    ("name", "ticker"),
    [
        ("600519.SH", "600519.SS"),
        ("sh.600519", "600519.SS"),
        ("SH600519", "600519.SS"),
        ("600519.XSHG", "600519.SS"),
        ("sz300308", "300308.SZ"),
        ("300308.XSHE", "300308.SZ"),
        (" aaa ", "AAA"),
        ("600519.0", "600519.SS"),
        ("1", "000001.SZ"),
    ],
)
def test_tickers_in_other_spellings(tmp_path: Path, name: str, ticker: str) -> None:
    assert of_ticker([name, "ZZZ"], ticker) == name
    rows = f"ticker,date,close\n{name},2024-01-02,5\nZZZ,2024-01-02,6\n"
    (tmp_path / "p.csv").write_text(rows, encoding="utf-8")
    table = FilesProvider(tmp_path / "p.csv").fetch(PriceRequest((ticker,), REQUEST.start, REQUEST.end))
    assert table.series[ticker].close.tolist() == [5.0]
    assert "read.calls" in [note.code for note in table.outcomes[ticker].notes]


def test_a_spelling_that_means_two_is_none() -> None:
    assert of_ticker(["SH600519", "600519.SH"], "600519.SS") == ""
    assert spelled("BRK.B") == "BRK.B"


def of_text(folder: Path, content: str) -> Any:
    (folder / "AAA.csv").write_text(content, encoding="utf-8")
    table = FilesProvider(folder).fetch(PriceRequest(("AAA",), REQUEST.start, REQUEST.end))
    return table.series["AAA"], table.outcomes["AAA"]


@pytest.mark.parametrize("column", ["Stock Splits", "splitFactor", "split_ratio"])
@pytest.mark.parametrize("cell", ["4", "4:1", "4/1"])
def test_dividends_and_splits_of_a_file_are_read(tmp_path: Path, column: str, cell: str) -> None:
    none = "1.0" if column == "splitFactor" else "0"
    rows = f"2024-01-02,40,40,0,{none}\n2024-01-03,10,10,0.25,{cell}\n2024-01-04,10,10,,\n"
    series, outcome = of_text(tmp_path, f"date,close,adj_close,Dividends,{column}\n{rows}")
    assert series.splits.tolist() == [0.0, 4.0, 0.0]
    assert series.dividends.tolist() == [0.0, 0.25, 0.0]
    assert not outcome.notes
    np.testing.assert_array_equal(parse_ratios(["3-for-2", "x", "2"]), [1.5, np.nan, 2.0])


@pytest.mark.parametrize(
    ("volumes", "status", "expected"),
    [
        (["9", "", "8", "7"], None, [9.0, 0.0, 8.0, 7.0]),
        (["9", "8", "", "7"], None, [9.0, 8.0, np.nan, 7.0]),
        (["0", "0", "0", "0"], None, [np.nan] * 4),
        (["", "", "", ""], None, [np.nan] * 4),
        (["9", "9", "9", "9"], ["1", "0", "1", "停牌"], [9.0, 0.0, 9.0, 0.0]),
        (["", "", "", ""], ["1", "1", "0", "1"], [np.nan, np.nan, 0.0, np.nan]),
    ],
)
def test_halts_and_unknown_volumes(
    tmp_path: Path, volumes: list[str], status: list[str] | None, expected: list[float]
) -> None:
    closes = [10, 10, 11, 12]
    state = status or ["1"] * 4
    rows = [f"{day.date()},{c},{v},{s}\n" for day, c, v, s in zip(DAYS, closes, volumes, state, strict=True)]
    series, _ = of_text(tmp_path, "date,close,volume,tradestatus\n" + "".join(rows))
    np.testing.assert_array_equal(series.volume, expected)
    np.testing.assert_array_equal(known_volume(np.array([0.0, 2.0]), np.array([1.0, 1.0])), [0.0, 2.0])


def test_negative_prices_of_crsp_are_means_of_bid_and_ask(tmp_path: Path) -> None:
    series, outcome = of_text(tmp_path, "date,PRC\n2024-01-02,-10.5\n2024-01-03,11\n")
    assert series.close.tolist() == [10.5, 11.0]
    assert [note.code for note in outcome.notes] == ["read.bid_ask", "read.unadjusted"]
    with pytest.raises(PriceError, match=r"close -10\.5 on 2024-01-02 is zero or negative"):
        of_text(tmp_path, "date,close\n2024-01-02,-10.5\n")


def test_returns_of_a_file_become_prices(tmp_path: Path) -> None:
    rows = "2024-01-02,0.5\n2024-01-03,C\n2024-01-04,-0.5\n2024-01-05,-99\n2024-01-08,1\n"
    series, outcome = of_text(tmp_path, "date,RET\n" + rows)
    np.testing.assert_allclose(series.adj_close, [1.5, np.nan, 0.75, np.nan, 1.5])
    assert outcome.notes[0].code == "read.returns"
    with pytest.raises(PriceError, match="return -1 on 2024-01-02 is a loss of all or more"):
        of_text(tmp_path, "date,RET\n2024-01-02,-1\n")
    assert np.isnan(without_codes(np.array([-77.0]))).all()


def test_returns_in_percent_are_told_by_their_median_even_where_none_passes_minus_one(tmp_path: Path) -> None:
    days = np.arange(np.datetime64("2024-01-01"), np.datetime64("2024-02-10"))
    sizes = np.random.default_rng(4).uniform(-0.9, 0.9, len(days))
    text = "\n".join(f"{day},{size:.4f}" for day, size in zip(days, sizes, strict=True))
    with pytest.raises(PriceError, match=r"the returns are in percent, by their median size; give decimals"):
        of_text(tmp_path, f"date,RET\n{text}\n")
    with pytest.raises(PriceError, match="if these are returns, a long file calls the column 'return'"):
        of_text(tmp_path, f"date,adj_close\n{text}\n")
    scaled = "\n".join(f"{day},{size / 100:.6f}" for day, size in zip(days, sizes, strict=True))
    assert of_text(tmp_path, f"date,RET\n{scaled}\n")[0].adj_close[-1] == pytest.approx(
        np.prod(1 + np.round(sizes / 100, 6))
    )


@pytest.mark.parametrize("name", ["pipe.csv", "zero.parquet"])
def test_pipes_and_devices_are_refused_and_not_waited_for(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    if name == "pipe.csv":
        os.mkfifo(path)
    else:
        path.symlink_to("/dev/zero")
    with pytest.raises(PriceError, match="is a pipe or a device, not a file"):
        FilesProvider(path).fetch(REQUEST)


def test_a_parquet_file_that_unpacks_to_too_much_is_refused_by_its_footer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pq.write_table(pa.table({"date": ["2024-01-02"] * 4000, "close": [1.0] * 4000}), tmp_path / "AAA.parquet")
    monkeypatch.setattr("eventstudy.readers.sheets.MOST_CELLS", 7999)
    with pytest.raises(PriceError, match="holds 4,000 rows, too many to be read at once"):
        FilesProvider(tmp_path).fetch(PriceRequest(("AAA",), REQUEST.start, REQUEST.end))


def test_control_characters_of_a_file_do_not_reach_the_terminal(tmp_path: Path) -> None:
    with pytest.raises(PriceError) as caught:
        of_text(tmp_path, "date,op\x1b[2Jen\n2024-01-02,1\n")
    assert "op [2Jen" in str(caught.value)
    assert str(caught.value).isprintable()


@pytest.mark.parametrize(("step", "named"), [("W-FRI", "weekly"), ("BME", "monthly"), ("BQE", "quarterly")])
@pytest.mark.parametrize("as_frame", [False, True])
def test_prices_that_are_not_daily_are_refused_by_their_frequency(
    tmp_path: Path, step: str, named: str, as_frame: bool
) -> None:
    write_prices(tmp_path / "prices")
    events = read_events(write_events(tmp_path, [event_row("E1", "2021-06-09")]))
    config = load_config(tmp_path / "events.csv", config_file=write_study(tmp_path))
    daily = get_prices(events, config, str(tmp_path / "prices"), tell=lambda _: None)
    wide = pd.DataFrame({name: pd.Series(item.adj_close, item.dates) for name, item in daily.series.items()})
    assert set(frame_prices(events, config, wide).series) == {"AAA", "BBB", "CCC", "IDX"}
    sparse = wide.resample(step).last()
    sparse.rename_axis(index="date").to_csv(tmp_path / "wide.csv")
    file = str(tmp_path / "wide.csv")
    with pytest.raises(PriceError, match=f"the prices seem to be {named}; an event study needs daily ones"):
        _ = frame_prices(events, config, sparse) if as_frame else get_prices(events, config, file, tell=lambda _: None)


def test_prices_of_two_far_stretches_are_daily(tmp_path: Path) -> None:
    write_prices(tmp_path / "prices")
    events = read_events(write_events(tmp_path, [event_row("E1", "2021-06-09")]))
    config = load_config(tmp_path / "events.csv", config_file=write_study(tmp_path))
    daily = get_prices(events, config, str(tmp_path / "prices"), tell=lambda _: None)
    wide = pd.DataFrame({name: pd.Series(item.adj_close, item.dates) for name, item in daily.series.items()})
    parts = pd.concat([wide.iloc[:60], wide.iloc[120:]])
    assert len(frame_prices(events, config, parts).series["IDX"].dates) == len(parts)
    with pytest.raises(ConfigError):
        get_prices(events, config, str(tmp_path / "nowhere"), tell=lambda _: None)
