"""Files as strangers bring them: read with no study file and no edit, with the CAR of an independent regression.

One seeded world of three shares and an index; every case writes its events and its prices in another shape.
"""

from __future__ import annotations

import datetime as dt
import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from eventstudy.cli import main
from eventstudy.config import load_config
from eventstudy.config.plain import assumed_table
from eventstudy.core.estimation import compute
from eventstudy.errors import EventStudyError
from eventstudy.events import Events, events_of_frame, read_events
from eventstudy.exchanges.calendars import sessions
from eventstudy.prices.sources import frame_prices, get_prices
from eventstudy.prices.table import PriceTable
from eventstudy.shocks import with_shocks

WINDOW, ESTIMATION = (0, 1), (-130, -11)
QUICK = ("windows.estimation=[-130,-11]", "windows.minimum=120", "windows.clean_estimation=false")
EVENTS = [("AAA", "2024-03-05"), ("BBB", "2024-04-17"), ("CCC", "2024-05-08"), ("AAA", "2024-06-27")]
Floats = NDArray[np.float64]


def world() -> pd.DataFrame:
    """Adjusted closes of an index and three shares on the sessions of New York, two digits each."""
    days = sessions("XNYS", dt.date(2023, 6, 1), dt.date(2024, 9, 30))
    rng = np.random.default_rng(20240612)
    index = rng.normal(0.0003, 0.01, len(days))
    prices = {"^GSPC": 4000 * np.cumprod(1 + index)}
    for ticker, beta, start in (("AAA", 0.8, 50), ("BBB", 1.1, 120), ("CCC", 1.4, 2200)):
        prices[ticker] = start * np.cumprod(1 + beta * index + rng.normal(0, 0.015, len(days)))
    return pd.DataFrame(prices, index=pd.Index(days.astype("datetime64[s]"), name="Date")).round(2)


WORLD = world()


def least_squares(prices: pd.DataFrame, ticker: str, day: str, index: str = "^GSPC") -> float:
    """CAR of the market model, by numpy alone; the intercept holds on days 0 and +1."""
    returns: Floats = prices[[index, ticker]].pct_change().to_numpy()
    zero = int(np.searchsorted(prices.index.to_numpy().astype("datetime64[D]"), np.datetime64(day)))
    known = returns[zero + ESTIMATION[0] : zero + ESTIMATION[1] + 1]
    design = np.column_stack([np.ones(len(known)), known[:, 0]])
    alpha, beta = np.linalg.lstsq(design, known[:, 1], rcond=None)[0]
    after = returns[zero + WINDOW[0] : zero + WINDOW[1] + 1]
    return float((after[:, 1] - alpha - beta * after[:, 0]).sum())


def cars(events: Events, prices: Callable[[Any], PriceTable] | str, index: str = "^GSPC", exchange: str = "") -> Any:
    """CAR by ticker and day, through the parts that `run` goes through."""
    tickers = list(dict.fromkeys(ticker for event in events for ticker in event.tickers))
    config = load_config(Path(events.path), overrides=QUICK, assumed=lambda: assumed_table(tickers, exchange, index))
    table = get_prices(events, config, prices, tell=print) if isinstance(prices, str) else prices(config)
    abnormal = compute(with_shocks(events, config), config, table).abnormal
    found = zip(abnormal.panel.ticker, abnormal.panel.day0.astype("datetime64[D]"), abnormal.car(WINDOW), strict=True)
    return {(str(ticker), str(day)): float(value) for ticker, day, value in found}


def table_of_events(**columns: Any) -> pd.DataFrame:
    frame = pd.DataFrame(EVENTS, columns=["ticker", "date"])
    return frame.assign(**columns)


def text_of(frame: pd.DataFrame, **options: Any) -> str:
    text: str = frame.to_csv(index=False, **options)
    return text


def renamed(ticker: str, date: str, spell: str = "%Y-%m-%d") -> pd.DataFrame:
    frame = table_of_events()
    frame["date"] = pd.to_datetime(frame["date"]).dt.strftime(spell)
    return frame.rename(columns={"ticker": ticker, "date": date})


def excel(frame: pd.DataFrame) -> bytes:
    file = io.BytesIO()
    frame.to_excel(file, index=False)
    return file.getvalue()


def saved(frame: pd.DataFrame, kind: str) -> bytes:
    file = io.BytesIO()
    options = {"write_index": False} if kind == "stata" else {}
    getattr(frame, f"to_{kind}")(file, **options)
    return file.getvalue()


DATED = table_of_events(date=pd.to_datetime([day for _, day in EVENTS]))
SERIALS = (DATED["date"] - pd.Timestamp("1899-12-30")).dt.days
#: Events as they come: the content of a file.
EVENT_FILES: dict[str, str | bytes] = {
    "ticker,date": text_of(table_of_events()),
    "Symbol and Announcement Date": text_of(renamed("Symbol", "Announcement Date")),
    "compact days": text_of(renamed("TICKER", "edate", "%Y%m%d")),
    "slashes, year first": text_of(renamed("tic", "datadate", "%Y/%m/%d")),
    "day first": text_of(renamed("ticker", "date", "%d/%m/%Y")),
    "month first": text_of(renamed("ticker", "date", "%m/%d/%Y")),
    "dots": text_of(renamed("ticker", "Event date", "%d.%m.%Y")),
    "names of months": text_of(renamed("ticker", "event_date", "%d %b %Y")),
    "midnight": text_of(renamed("ticker", "timestamp", "%Y-%m-%d 00:00:00")),
    "serials": text_of(table_of_events(date=SERIALS)),
    "semicolons": text_of(table_of_events(), sep=";"),
    "tabs": text_of(table_of_events(), sep="\t"),
    "UTF-16": text_of(table_of_events(), sep="\t").encode("utf-16"),
    "byte-order mark": text_of(table_of_events()).encode("utf-8-sig"),
    "Latin-1": text_of(table_of_events(firm="Müller & Söhne")).encode("cp1252"),
    "Chinese": text_of(renamed("股票代码", "公告日期").assign(名称="平安银行")).encode("gb18030"),
    "workbook": excel(DATED),
    "workbook of texts": excel(table_of_events()),
    "Parquet": saved(DATED, "parquet"),
    "Feather": saved(DATED, "feather"),
    "Stata": saved(DATED, "stata"),
    "own columns": text_of(table_of_events(size=[1.5, 2, None, 4], country=["US", "DE", "", "FR"])),
    "lower case and blanks": text_of(table_of_events(ticker=[" aaa", "bbb ", "ccc", "AAA"])),
    "number of the row": table_of_events().to_csv(),
    "empty cells": text_of(table_of_events(label="", kind="", precision="", event_id="")),
}


def long(close: str = "Adj Close", ticker: str = "Ticker", day: str = "Date") -> pd.DataFrame:
    return WORLD.reset_index().melt("Date", var_name=ticker, value_name=close).rename(columns={"Date": day})


#: Prices as they come: name and content of a file.
PRICE_FILES: dict[str, str | bytes] = {
    "wide": WORLD.to_csv(),
    "long": text_of(long()),
    "long, close alone": text_of(long("close", "symbol", "date")),
    "CRSP": text_of(long("PRC", "ticker", "date").assign(date=lambda f: f["date"].dt.strftime("%Y%m%d"))),
    "semicolons and commas": WORLD.to_csv(sep=";", decimal=","),
    "day first": WORLD.rename(index=lambda day: day.strftime("%d/%m/%Y")).to_csv(),
    "newest first": WORLD[::-1].to_csv(),
    "workbook": excel(WORLD.reset_index()),
    "Parquet": saved(long(), "parquet"),
    "UTF-16": WORLD.to_csv(sep="\t").encode("utf-16"),
    "words for missing": text_of(long()).replace("\n", "\n,,\n", 0) + "2024-10-01,AAA,N/A\n",
    "Wind": text_of(long("收盘价", "代码", "日期")).encode("gb18030"),
}
RIGHT = {(ticker, day): least_squares(WORLD, ticker, day) for ticker, day in EVENTS}


def written(folder: Path, name: str, content: str | bytes) -> Path:
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def same(found: dict[tuple[str, str], float], right: dict[tuple[str, str], float], tolerance: float = 1e-9) -> None:
    assert found.keys() == right.keys()
    for key, car in right.items():
        assert found[key] == pytest.approx(car, abs=tolerance), key


@pytest.mark.parametrize("shape", EVENT_FILES)
def test_events_in_any_shape(shape: str, tmp_path: Path) -> None:
    events = read_events(written(tmp_path, "my events", EVENT_FILES[shape]))
    same(cars(events, str(written(tmp_path, "prices.csv", PRICE_FILES["wide"]))), RIGHT)


@pytest.mark.parametrize("shape", PRICE_FILES)
def test_prices_in_any_shape(shape: str, tmp_path: Path) -> None:
    events = read_events(written(tmp_path, "events.csv", EVENT_FILES["ticker,date"]))
    same(cars(events, str(written(tmp_path, "my prices", PRICE_FILES[shape]))), RIGHT)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("ticker,date\nAAA,06/07/2024\n", "could be 2024-06-07 or 2024-07-06"),
        ("ticker,date\nAAA,27/13/2024\n", "is not a time; write ISO 8601"),
        ("ticker,date\nAAA,2024-06-12 09:30\n", "has no zone"),
        ("ticker,when\nAAA,2024-06-12\n", "no column with the date of the event; the file has ticker, when"),
        ("date,ticker,lable\n2024-06-12,AAA,unknown\n", "did you mean 'label'?"),
        ("ticker,permno,date\nAAA,1,2024-06-12\n", "keep one, or name the right one 'tickers'"),
        ("date\n2024-06-12\n", "or give the events tickers"),
        ("ticker,date\n^GSPC,2024-06-12\n", "peer ^GSPC is also a benchmark"),
    ],
)
def test_what_cannot_be_read_is_refused_with_what_helps(
    content: str, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    events = written(tmp_path, "mine.csv", content)
    assert main(["check", str(events)]) == 2
    assert said in capsys.readouterr().err


def test_two_commands_and_no_edit(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    events = written(tmp_path, "mine.xlsx", EVENT_FILES["workbook"])
    prices = written(tmp_path, "prices.csv", PRICE_FILES["wide"])
    out, study = tmp_path / "out", tmp_path / "study.toml"
    quick = [part for setting in (*QUICK, 'report.formats=["csv", "json"]') for part in ("--set", setting)]
    asked = ["run", str(events), "--prices", str(prices), "--out", str(out), *quick]
    assert main([*asked, "--write-config", str(study)]) == 0
    said = capsys.readouterr().err
    assert f"no study file: mine.xlsx is studied for its 3 tickers on XNYS against ^GSPC; written to {study}" in said
    rows = pd.read_csv(out / "latest" / "tables" / "car.csv")
    rows = rows[rows["window"] == "[0,1]"]
    same({(row.ticker, row.event_id.removeprefix(f"{row.ticker}-")): row.car for row in rows.itertuples()}, RIGHT, 1e-6)
    assert main([*asked, "--config", str(study)]) == 0
    assert "no study file" not in capsys.readouterr().err
    assert main([*asked, "--config", str(study), "--benchmark", "^DJI"]) == 2
    assert "--benchmark: this study has a file" in capsys.readouterr().err


def test_an_index_and_an_exchange_can_be_named(tmp_path: Path) -> None:
    prices = WORLD.rename(columns={"^GSPC": "MKT"})
    events = read_events(written(tmp_path, "events.csv", EVENT_FILES["ticker,date"]))
    same(cars(events, str(written(tmp_path, "prices.csv", prices.to_csv())), "MKT", "XNAS"), RIGHT)


def mainland() -> pd.DataFrame:
    """The same walks on the sessions of Shanghai."""
    days = sessions("XSHG", dt.date(2023, 6, 1), dt.date(2024, 9, 30))
    frame = WORLD.iloc[: len(days)].rename(columns={"^GSPC": "000001.SS", "AAA": "600519.SS"})
    return frame.set_axis(pd.Index(days.astype("datetime64[s]"), name="Date"))[["000001.SS", "600519.SS"]]


@pytest.mark.parametrize("header", ["ts_code", "ticker", "股票代码"])
@pytest.mark.parametrize("ticker", ["600519.SH", "sh.600519", "SH600519", "600519.XSHG", "600519"])
def test_chinese_spellings(header: str, ticker: str, tmp_path: Path) -> None:
    prices = mainland()
    events = read_events(written(tmp_path, "events.csv", f"{header},date\n{ticker},2024-03-05\n"))
    found = cars(events, str(written(tmp_path, "prices.csv", prices.to_csv())), "000001.SS")
    same(found, {("600519.SS", "2024-03-05"): least_squares(prices, "600519.SS", "2024-03-05", "000001.SS")})


def test_sessions_before_2000_are_those_of_the_index(tmp_path: Path) -> None:
    days = np.busday_offset("1996-01-02", np.arange(len(WORLD)), roll="forward", holidays=["1996-07-04", "1996-09-02"])
    prices = WORLD.set_axis(pd.Index(days.astype("datetime64[s]"), name="Date"))
    first, second = str(days[180]), str(days[220])
    text = f"ticker,date\nAAA,{first}\nBBB,{second}\nCCC,1996-09-02\n"
    events = read_events(written(tmp_path, "events.csv", text))
    found = cars(events, str(written(tmp_path, "prices.csv", prices.to_csv())))
    asked = [("AAA", first), ("BBB", second), ("CCC", "1996-09-03")]
    same(found, {(ticker, day): least_squares(prices, ticker, day) for ticker, day in asked})


INDICES = ("range", "date", "ticker", "both", "swapped", "strings")
STAMPS = ("datetime", "text", "date", "aware", "compact", "period", "serial", "close", "garbage", "number")
CELLS = ("object", "string", "category", "float")


def odd_frame(index: str, stamps: str, cells: str, order: list[int]) -> pd.DataFrame:
    frame = DATED.assign(size=[1, 2, 3, 4])
    days = frame["date"]
    frame["date"] = {
        "datetime": days,
        "text": days.dt.strftime("%Y-%m-%d"),
        "date": days.dt.date,
        "aware": days.dt.tz_localize("America/New_York"),
        "compact": days.dt.strftime("%Y%m%d").astype(int),
        "period": days.dt.to_period("D"),
        "serial": SERIALS,
        "close": days.dt.tz_localize("America/New_York") + pd.Timedelta(hours=15),
        "garbage": ["yesterday"] * 4,
        "number": [1.5, 2.5, 3.5, 4.5],
    }[stamps]
    frame["ticker"] = [1.0, 2.0, 3.0, 1.0] if cells == "float" else frame["ticker"].astype(cells)
    frame = frame[[["ticker", "date", "size"][at] for at in order]]
    keys = {"date": ["date"], "ticker": ["ticker"], "both": ["date", "ticker"], "swapped": ["ticker", "date"]}
    if index == "strings":
        return frame.set_axis(["a", "b", "c", "d"])
    return frame.set_index(keys[index]) if index in keys else frame


@settings(max_examples=60, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
@given(st.sampled_from(INDICES), st.sampled_from(STAMPS), st.sampled_from(CELLS), st.permutations([0, 1, 2]))
def test_frames_of_events_are_read_right_or_refused(index: str, stamps: str, cells: str, order: list[int]) -> None:
    try:
        events = events_of_frame(odd_frame(index, stamps, cells, order))
    except EventStudyError:
        assert stamps in ("garbage", "number")
        return
    tickers = ["1", "2", "3", "1"] if cells == "float" else [ticker for ticker, _ in EVENTS]
    assert [event.tickers for event in events] == [(ticker,) for ticker in tickers]
    days = [e.timestamp.date() if isinstance(e.timestamp, dt.datetime) else e.timestamp for e in events]
    assert [str(day) for day in days] == [day for _, day in EVENTS]
    assert [event.own["size"] for event in events] == [1, 2, 3, 4]


LONG = long("adj_close", "ticker", "date")
FRAMES: dict[str, Callable[[], Any]] = {
    "wide": lambda: WORLD,
    "wide, naive days as text": lambda: WORLD.set_axis(WORLD.index.strftime("%Y-%m-%d")),
    "wide, aware": lambda: WORLD.tz_localize("America/New_York"),
    "wide, 16:00": lambda: WORLD.set_axis(WORLD.index + pd.Timedelta(hours=16)),
    "wide, periods": lambda: WORLD.to_period("D"),
    "wide, days in a column": lambda: WORLD.reset_index(),
    "wide, float32": lambda: WORLD.astype("float32").astype("float64").round(2),
    "wide, dates as objects": lambda: WORLD.set_axis(pd.Index(WORLD.index.date, name="Date")),
    "wide, index without a name": lambda: WORLD.rename_axis(None),
    "wide, columns in another order": lambda: WORLD[WORLD.columns[::-1]],
    "long": lambda: LONG,
    "long, shuffled": lambda: LONG.sample(frac=1, random_state=1),
    "long, days in the index": lambda: LONG.set_index("date"),
    "long, both in the index": lambda: LONG.set_index(["date", "ticker"]),
    "long, swapped": lambda: LONG.set_index(["ticker", "date"]),
    "long, categories": lambda: LONG.astype({"ticker": "category"}),
    "long, compact days": lambda: LONG.assign(date=LONG["date"].dt.strftime("%Y%m%d").astype(int)),
    "long, prices as text": lambda: LONG.assign(adj_close=LONG["adj_close"].astype(str)),
    "long, close alone": lambda: LONG.rename(columns={"adj_close": "Close", "ticker": "Symbol"}),
    "yfinance": lambda: pd.concat({"Close": WORLD, "Volume": WORLD * 0 + 1000}, axis=1),
    "yfinance, swapped": lambda: pd.concat({"Close": WORLD, "Volume": WORLD * 0 + 1000}, axis=1).swaplevel(axis=1),
    "dict of frames": lambda: {name: WORLD[[name]].set_axis(["Close"], axis=1) for name in WORLD},
    "dict of series": lambda: {name: WORLD[name] for name in WORLD},
}
NO_PRICES: dict[str, Callable[[], Any]] = {
    "a number": lambda: 3,
    "a list": lambda: [1, 2],
    "an empty frame": pd.DataFrame,
    "no days": lambda: WORLD.reset_index(drop=True),
    "negative": lambda: -WORLD,
    "texts": lambda: WORLD.astype(str).replace(r".*", "many", regex=True),
    "no share": lambda: WORLD[["^GSPC"]],
    "no index": lambda: WORLD[["AAA"]],
    "days twice": lambda: pd.concat([WORLD, WORLD]),
    "monthly": lambda: WORLD.resample("ME").last(),
}


@pytest.mark.parametrize("shape", FRAMES)
def test_frames_of_prices(shape: str) -> None:
    events = events_of_frame(table_of_events())
    same(cars(events, lambda config: frame_prices(events, config, FRAMES[shape]())), RIGHT)


@pytest.mark.parametrize("shape", NO_PRICES)
def test_what_is_no_price_is_refused_in_a_sentence(shape: str) -> None:
    events = events_of_frame(table_of_events())
    with pytest.raises(EventStudyError) as caught:
        cars(events, lambda config: frame_prices(events, config, NO_PRICES[shape]()))
    assert str(caught.value)
