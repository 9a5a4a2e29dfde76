"""Events in frames of any library, index and order: the right events, or an error that says what is accepted."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from typing import Any

import duckdb
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eventstudy import EventsError, EventStudyError
from eventstudy.events import events_of_frame

DAYS = [dt.date(2021, 3, 12), dt.date(2021, 3, 12), dt.date(2021, 5, 7)]
TICKERS = ["AAA", "LOW", "AAA"]
EVENTS = pd.DataFrame({"ticker": TICKERS, "date": pd.DatetimeIndex(DAYS)})
EXPECTED = sorted(zip(TICKERS, DAYS, strict=True))
#: How the days of a frame may be written.
DATES: dict[str, Callable[[Any], Any]] = {
    "timestamps": lambda days: days,
    "seconds": lambda days: days.dt.as_unit("s"),
    "midnight in Tokyo": lambda days: days.dt.tz_localize("Asia/Tokyo"),
    "periods": lambda days: days.dt.to_period("D"),
    "dates": lambda days: days.dt.date,
    "objects": lambda days: days.astype(object),
    "texts": lambda days: days.dt.strftime("%Y-%m-%d"),
    "with slashes": lambda days: days.dt.strftime("%Y/%m/%d"),
    "whole numbers": lambda days: days.dt.strftime("%Y%m%d").astype(int),
    "floats": lambda days: days.dt.strftime("%Y%m%d").astype(float),
    "categories": lambda days: days.dt.strftime("%Y-%m-%d").astype("category"),
    "of Arrow": lambda days: days.dt.date.astype(pd.ArrowDtype(pa.date32())),
}
#: How another library, or another shape, holds a frame.
HOLDERS: dict[str, Callable[[pd.DataFrame], Any]] = {
    "pandas": lambda frame: frame,
    "days in the index": lambda frame: frame.set_index(frame.columns[list(frame.columns != "size").index(True)]),
    "all in the index": lambda frame: frame.set_index([name for name in frame if name != "size"]),
    "list of dicts": lambda frame: frame.to_dict("records"),
    "dict of columns": lambda frame: frame.to_dict("list"),
    "polars": lambda frame: pl.from_arrow(pa.Table.from_pandas(frame, preserve_index=False)),
    "lazy polars": lambda frame: HOLDERS["polars"](frame).lazy(),
    "pyarrow": lambda frame: pa.Table.from_pandas(frame, preserve_index=False),
    "duckdb": lambda frame: duckdb.from_arrow(pa.Table.from_pandas(frame, preserve_index=False)),
}


def found(data: Any) -> list[tuple[str, Any]]:
    return sorted((event.tickers[0], event.timestamp) for event in events_of_frame(data))


@pytest.mark.parametrize("holder", HOLDERS)
@pytest.mark.parametrize("date", DATES)
def test_events_of_every_library_and_type_of_date(holder: str, date: str) -> None:
    if date == "periods" and holder in ("polars", "lazy polars", "pyarrow", "duckdb"):
        pytest.skip("Arrow has no periods")
    if date == "midnight in Tokyo" and holder == "duckdb":
        pytest.skip("DuckDB keeps the instant and not the zone")
    frame = EVENTS.assign(date=DATES[date](EVENTS["date"]))
    assert found(HOLDERS[holder](frame)) == EXPECTED


@st.composite
def frames(draw: st.DrawFn) -> Any:
    frame = EVENTS.assign(
        date=DATES[draw(st.sampled_from(sorted(set(DATES) - {"periods", "midnight in Tokyo"})))](EVENTS["date"])
    )
    if draw(st.booleans()):
        frame = frame.assign(size=[1.5, None, 3.0])
    kind = draw(st.sampled_from(["object", "str", "category", "string[pyarrow]"]))
    frame = frame.assign(ticker=frame["ticker"].astype(kind))
    names = {
        "ticker": draw(st.sampled_from(["ticker", "TICKER", "Symbol", "ts_code", "股票代码"])),
        "date": draw(st.sampled_from(["date", "Date", "event_date", "announcement_date", "edate", "datadate"])),
    }
    order = list(draw(st.permutations(list(frame.columns))))
    frame = frame[order].rename(columns=names).sample(frac=1.0, random_state=draw(st.integers(0, 9)))
    if draw(st.booleans()):
        frame = frame.reset_index(drop=True)
    return HOLDERS[draw(st.sampled_from(sorted(set(HOLDERS) - {"days in the index", "all in the index"})))](frame)


@settings(max_examples=80, deadline=None)
@given(frames())
def test_any_mixture_of_names_types_and_orders_gives_the_same_events(data: Any) -> None:
    assert found(data) == EXPECTED


CELLS = st.one_of(st.none(), st.booleans(), st.integers(-5, 10**20), st.floats(), st.text(max_size=5), st.dates())
NAMES = st.one_of(st.sampled_from(["date", "ticker", "event_id", "label", "precision"]), st.text(max_size=4), st.none())


@settings(max_examples=150, deadline=None)
@given(
    st.one_of(
        CELLS,
        st.lists(CELLS, max_size=3),
        st.dictionaries(NAMES, st.lists(CELLS, max_size=4), max_size=4),
        st.lists(st.dictionaries(NAMES, CELLS, max_size=4), max_size=4),
        st.lists(st.lists(CELLS, min_size=2, max_size=2), max_size=3).map(
            lambda rows: pd.DataFrame(rows, columns=["date", "ticker"])
        ),
    )
)
def test_what_is_no_events_ends_in_a_sentence(data: Any) -> None:
    try:
        events = events_of_frame(data)
    except EventStudyError:
        return
    # What was taken has a day each: nothing is made up.
    assert all(isinstance(event.timestamp, dt.date) for event in events)


def test_a_time_without_a_zone_is_refused() -> None:
    with pytest.raises(EventsError, match="has no zone"):
        events_of_frame(EVENTS.assign(date=EVENTS["date"] + pd.Timedelta(hours=16)))


@pytest.mark.parametrize("wrong", [3, None, ["AAA"], [("AAA", "2021-03-12")], object(), b"ticker,date"])
def test_what_is_accepted_is_named(wrong: Any) -> None:
    with pytest.raises(EventsError, match="accepted are frames of pandas, polars, pyarrow and duckdb"):
        events_of_frame(wrong)
