"""A study without a file: settings by names, frames of every library, and estimates as statsmodels has them."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from typing import Any

import duckdb
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

import eventstudy
from eventstudy import EventStudyError, Study
from eventstudy.config.plain import exchange_of
from eventstudy.errors import ConfigError, PriceError
from eventstudy.events import events_of_frame
from eventstudy.exchanges.calendars import sessions
from eventstudy.prices import PriceRequest
from eventstudy.prices.files import prices_of_arrow
from eventstudy.prices.frames import arrow_of_frame
from eventstudy.prices.sources import frame_prices

DAYS = pd.DatetimeIndex(sessions("XNYS", dt.date(2020, 1, 2), dt.date(2021, 12, 30)))
TICKERS = ("IDX", "AAA", "LOW")
#: Places of day 0 among the sessions.
AT = {"E1": 300, "E2": 340, "E3": 400}
WINDOW = (-1, 1)


def returns() -> pd.DataFrame:
    """Days x tickers: an index and two shares on it."""
    rng = np.random.default_rng(11)
    market = rng.standard_t(5, len(DAYS)) * 0.008
    shares = {name: 0.0003 + slope * market + rng.standard_t(5, len(DAYS)) * 0.01 for name, slope in SLOPES.items()}
    return pd.DataFrame({"IDX": market, **shares}, index=DAYS)


SLOPES = {"AAA": 0.8, "LOW": 1.3}
RETURNS = returns()
WIDE = 100.0 * (1.0 + RETURNS).cumprod()
LONG = WIDE.rename_axis(index="date", columns="ticker").stack().rename("close").reset_index()
EVENTS = pd.DataFrame(
    {
        "event_id": list(AT),
        "timestamp": [str(DAYS[at].date()) for at in AT.values()],
        "precision": "date",
        "kind": "other",
        "label": "unknown",
        "tickers": ["AAA;LOW", "AAA", "LOW"],
    }
)


def by_ols(ticker: str, at: int, *, others: tuple[int, ...] = (), window: tuple[int, int] = WINDOW) -> float:
    """CAR over a window by a regression of its own, without days -1 to +2 of the firm's other events."""
    fitted = [day for day in range(at - 250, at - 10) if all(not -1 <= day - other <= 2 for other in others)]
    index, own = RETURNS["IDX"].to_numpy(), RETURNS[ticker].to_numpy()
    design = np.column_stack([np.ones(len(fitted)), index[fitted]])
    alpha, beta = np.linalg.lstsq(design, own[fitted], rcond=None)[0]
    days = slice(at + window[0], at + window[1] + 1)
    return float((own[days] - alpha - beta * index[days]).sum())


FIRST = (AT["E1"],)
CARS = {
    ("E1", "AAA"): by_ols("AAA", AT["E1"]),
    ("E1", "LOW"): by_ols("LOW", AT["E1"]),
    ("E2", "AAA"): by_ols("AAA", AT["E2"], others=FIRST),
    ("E3", "LOW"): by_ols("LOW", AT["E3"], others=FIRST),
}


def cars_of(result: eventstudy.StudyResult) -> dict[tuple[str, str], float]:
    return {(row.event_id, row.ticker): row.car for row in result.car.where(window=WINDOW)}


@pytest.fixture(scope="module")
def result() -> eventstudy.StudyResult:
    return eventstudy.car(EVENTS, WIDE, benchmark="IDX", window=WINDOW)


def test_one_line_gives_the_cars_of_a_regression(result: eventstudy.StudyResult) -> None:
    assert cars_of(result) == pytest.approx(CARS, rel=1e-9)


def test_the_intercept_counts_on_every_day_of_the_window() -> None:
    window = (-2, 9)
    result = eventstudy.car(EVENTS, WIDE, benchmark="IDX", window=window)
    expected = by_ols("LOW", AT["E3"], others=FIRST, window=window)
    assert result.car.one(event_id="E3", ticker="LOW", window=window).car == pytest.approx(expected, rel=1e-9)
    assert result.model.alpha == "estimated"


def test_estimates_are_the_mean_over_dates_with_its_t(result: eventstudy.StudyResult) -> None:
    dates = [np.mean([CARS["E1", "AAA"], CARS["E1", "LOW"]]), CARS["E2", "AAA"], CARS["E3", "LOW"]]
    t = stats.ttest_1samp(dates, 0.0)
    assert result.params.to_dict() == pytest.approx({"[-1,1]": np.mean(dates)})
    assert result.bse.to_dict() == pytest.approx({"[-1,1]": np.std(dates, ddof=1) / np.sqrt(3)})
    assert result.tvalues.to_dict() == pytest.approx({"[-1,1]": t.statistic})
    assert result.pvalues.to_dict() == pytest.approx({"[-1,1]": t.pvalue})
    for alpha in (0.05, 0.2):
        expected = t.confidence_interval(1 - alpha)
        assert result.conf_int(alpha).loc["[-1,1]"].tolist() == pytest.approx(list(expected))
    frame = result.to_frame()
    assert frame.index.name == "window"
    assert frame.loc["[-1,1]", ["n_events", "n_dates", "test"]].tolist() == [4, 3, "ibragimov_mueller"]
    shown = f"$[-1,1]$ & {100 * np.mean(dates):.2f} & "
    assert result.to_latex().splitlines()[4].startswith(shown)
    assert result.plot().get_ylabel() == "CAAR, %"


def test_one_event_of_one_firm_has_the_t_of_its_own_days() -> None:
    single = eventstudy.car(EVENTS.iloc[[1]], WIDE, benchmark="IDX", window=WINDOW)
    frame = single.to_frame()
    assert frame.loc["[-1,1]", "test"] == single.effect.test == "car_t"
    assert frame.loc["[-1,1]", "p_value"] == single.effect.p_value
    assert frame.loc["[-1,1]", "estimate"] == pytest.approx(by_ols("AAA", AT["E2"]))
    fitted = slice(AT["E2"] - 250, AT["E2"] - 10)
    market, own = RETURNS["IDX"].to_numpy()[fitted], RETURNS["AAA"].to_numpy()[fitted]
    residuals, n = own - np.polyval(np.polyfit(market, own, 1), market), len(own)
    moved = RETURNS["IDX"].to_numpy()[AT["E2"] - 1 : AT["E2"] + 2].sum() - 3 * market.mean()
    variance = residuals @ residuals / (n - 2) * (3 + 9 / n + moved**2 / (n * market.var()))
    assert frame.loc["[-1,1]", "se"] == pytest.approx(np.sqrt(variance))


def test_estimates_do_not_depend_on_the_tests_that_are_run() -> None:
    one, other = (
        eventstudy.car(EVENTS, WIDE, benchmark="IDX", tests=tests).to_frame() for tests in (["sign_flip"], ["date_t"])
    )
    pd.testing.assert_frame_equal(one, other)
    assert np.isfinite(one["se"]).all()


#: How frames of other libraries, and of other shapes, hold the same prices.
SHAPES: dict[str, Callable[[], Any]] = {
    "polars, long": lambda: pl.from_pandas(LONG),
    "polars, wide": lambda: pl.from_pandas(WIDE.rename_axis(index="date").reset_index()),
    "polars, categories": lambda: pl.from_pandas(LONG).with_columns(pl.col("ticker").cast(pl.Categorical)),
    "polars, lazy": lambda: pl.from_pandas(LONG).lazy(),
    "pyarrow": lambda: pa.Table.from_pandas(LONG, preserve_index=False),
    "pyarrow, batches": lambda: pa.Table.from_pandas(LONG, preserve_index=False).to_reader(),
    "duckdb": lambda: duckdb.from_arrow(pa.Table.from_pandas(LONG, preserve_index=False)),
    "dict of polars frames": lambda: {
        name: pl.from_pandas(part[["date", "close"]].reset_index(drop=True)) for name, part in LONG.groupby("ticker")
    },
    "dict of lazy polars frames": lambda: {
        name: frame.lazy() for name, frame in SHAPES["dict of polars frames"]().items()
    },
    "list of dicts": lambda: LONG.to_dict("records"),
    "dict of columns": lambda: LONG.to_dict("list"),
    "dict of dicts": lambda: {name: {"date": DAYS, "close": WIDE[name].to_numpy()} for name in TICKERS},
    "periods": lambda: WIDE.set_index(DAYS.to_period("D")),
    "at 16:00 in New York": lambda: WIDE.set_index((DAYS + pd.Timedelta(hours=16)).tz_localize("America/New_York")),
}


@pytest.mark.parametrize("name", SHAPES)
def test_frames_of_every_library_give_the_same_cars(name: str) -> None:
    result = eventstudy.car(EVENTS, SHAPES[name](), benchmark="IDX", window=WINDOW, tests=["date_t"])
    assert cars_of(result) == pytest.approx(CARS, rel=1e-9)


@pytest.mark.parametrize(
    "frame",
    [RETURNS, RETURNS.rename_axis(index="date", columns="ticker").stack().rename("close").reset_index()],
    ids=["wide", "long"],
)
def test_returns_may_stand_for_prices(frame: pd.DataFrame) -> None:
    result = eventstudy.car(EVENTS, frame, benchmark="IDX", prices_are="returns", tests=["date_t"])
    assert cars_of(result) == pytest.approx(CARS, rel=1e-9)
    with pytest.raises(ConfigError, match="in a file, name the column of returns 'return'"):
        eventstudy.car(EVENTS, "prices.csv", benchmark="IDX", prices_are="returns")
    with pytest.raises(ConfigError, match="did you mean 'returns'"):
        eventstudy.car(EVENTS, frame, benchmark="IDX", prices_are="return")  # type: ignore[arg-type]


READ = events_of_frame(EVENTS)
STUDY = Study(peers=["AAA", "LOW"], benchmark="IDX", windows=WINDOW)


@st.composite
def frames(draw: st.DrawFn) -> tuple[Any, bool]:
    """A frame of some shape, and whether its numbers are returns."""
    are_returns = draw(st.booleans())
    table = RETURNS if are_returns else WIDE
    index = draw(st.sampled_from(["days", "seconds", "zone", "16:00", "periods", "texts", "dates"]))
    table = table.set_axis(INDICES[index](), axis=0)[list(draw(st.permutations(TICKERS)))]
    if draw(st.booleans()):
        table = table.assign(OTHER=1.0)
    dtype = draw(st.sampled_from(["float64", "Float64", "float64[pyarrow]", "object", "str"]))
    # The shortest text of a number is the number itself.
    table = table.map(repr) if dtype == "str" else table.astype(dtype)
    shape = draw(st.sampled_from(["wide", "column", "long", "date, ticker", "ticker, date", "dict", "yfinance"]))
    frame = shaped(table, shape, draw)
    if shape not in ("dict", "yfinance") and draw(st.booleans()):
        frame = frame.sample(frac=1.0, random_state=draw(st.integers(0, 9)))
    return frame, are_returns


INDICES: dict[str, Callable[[], Any]] = {
    "days": lambda: DAYS,
    "seconds": lambda: DAYS.as_unit("s"),
    "zone": lambda: DAYS.tz_localize("Asia/Tokyo"),
    "16:00": lambda: DAYS + pd.Timedelta(hours=16),
    "periods": lambda: DAYS.to_period("D"),
    "texts": lambda: DAYS.strftime("%Y%m%d"),
    "dates": lambda: DAYS.date,
}


def shaped(table: pd.DataFrame, shape: str, draw: st.DrawFn) -> Any:
    day = draw(st.sampled_from(["date", "Date", "trade_date", "datadate"]))
    if shape in ("wide", "column"):
        named = table.rename_axis(index=draw(st.sampled_from([None, day])) if shape == "wide" else day)
        return named if shape == "wide" else named.reset_index()
    if shape == "dict":
        return {name: table[name].rename("close").rename_axis(index=day).to_frame() for name in table}
    if shape == "yfinance":
        both = pd.concat({"Close": table, "Volume": table.map(lambda _: 1000)}, axis=1)
        return both.swaplevel(axis=1) if draw(st.booleans()) else both
    name = draw(st.sampled_from(["ticker", "Symbol", "TICKER"]))
    price = draw(st.sampled_from(["close", "Adj Close", "PRC"]))
    long = table.rename_axis(index=day).reset_index().melt(id_vars=day, var_name=name, value_name=price)
    if shape != "long":
        return long.set_index([day, name] if shape == "date, ticker" else [name, day])
    return long[list(draw(st.permutations(list(long.columns))))]


@settings(max_examples=60, deadline=None)
@given(frames())
def test_any_mixture_of_types_indices_and_orders_gives_the_same_returns(given: tuple[Any, bool]) -> None:
    frame, are_returns = given
    request = PriceRequest(TICKERS, dt.date(2020, 1, 1), dt.date(2022, 1, 1))
    table = prices_of_arrow(arrow_of_frame(frame, returns=are_returns), request, name="frame")
    for ticker in TICKERS:
        series = table.series[ticker]
        assert series.dates.astype(str).tolist() == DAYS.strftime("%Y-%m-%d").tolist()
        steps = series.adj_close[1:] / series.adj_close[:-1] - 1.0
        np.testing.assert_allclose(steps, RETURNS[ticker].to_numpy()[1:], rtol=0, atol=1e-12)


CELLS = st.one_of(st.none(), st.booleans(), st.integers(-5, 10**20), st.floats(), st.text(max_size=5), st.dates())
NAMES = st.one_of(st.sampled_from(["date", "ticker", "close", "return", "AAA", "IDX"]), st.text(max_size=4), st.none())


@settings(max_examples=150, deadline=None)
@given(
    st.one_of(
        CELLS,
        st.lists(CELLS, max_size=3),
        st.dictionaries(NAMES, st.lists(CELLS, max_size=4), max_size=4),
        st.lists(st.dictionaries(NAMES, CELLS, max_size=4), max_size=4),
        st.lists(st.tuples(NAMES, st.lists(CELLS, min_size=3, max_size=3)), max_size=4).map(
            lambda columns: pd.DataFrame([row for _, row in columns], index=[name for name, _ in columns]).T
        ),
    ),
    st.booleans(),
)
def test_what_is_no_prices_ends_in_a_sentence(data: Any, are_returns: bool) -> None:
    try:
        table = frame_prices(READ, STUDY.settings, data, returns=are_returns)
    except EventStudyError:
        return
    # What was taken has no more rows than were given, and every ticker without any says why.
    assert all(len(series.dates) <= 4 for series in table.series.values())
    assert all(outcome.message.code for ticker, outcome in table.outcomes.items() if ticker not in table.series)


def test_what_is_accepted_is_named() -> None:
    with pytest.raises(PriceError, match=r"prices of the type list cannot be read; accepted are a long frame .*polars"):
        eventstudy.car(EVENTS, [1, 2], benchmark="IDX")


@pytest.mark.parametrize(
    ("names", "told"),
    [
        ({"benchmrk": "IDX"}, "unknown name 'benchmrk'; accepted: .*did you mean 'benchmark'"),
        ({"model": "markt"}, "model.name = 'markt' is unknown; .*did you mean 'market'"),
        ({"windows": {"estimaton": (-250, -11)}}, "unknown key 'windows.estimaton'; .*did you mean 'estimation'"),
        ({"tests": {"weigths": "equal"}}, "unknown key 'tests.weigths'; .*did you mean 'weights'"),
        ({"peers": [{"ticker": "AAA", "grup": "core"}]}, "unknown key 'peers.grup'; .*did you mean 'group'"),
        ({"exchange": "XNYC"}, "exchange 'XNYC'; accepted: .*did you mean 'XNYS'"),
        ({"peers": ["AAA", "SAN.PA"]}, "one benchmark, IDX, for 2 exchanges: .*'XPAR': '\\^FCHI'"),
        ({"peers": 3}, "peers of the type int: accepted are tickers, dicts"),
        ({"peers": []}, "no peers: name them"),
        ({"windows": 3}, "windows.car = 3: accepted is a list"),
        ({"windows": (-20, 20), "estimation": (-250, -11)}, "end the estimation before day -20"),
        ({"windows": (1, -1)}, r"windows.car\[0\] = \[1, -1\] runs backwards"),
        ({"estimation": "long"}, "windows.estimation = 'long'"),
    ],
)
def test_wrong_names_and_values_are_told_with_the_nearest(names: dict[str, Any], told: str) -> None:
    with pytest.raises(ConfigError, match=told):
        Study(**{"peers": ["AAA"], "benchmark": "IDX", **names})


def test_one_benchmark_serves_exchanges_with_the_same_usual_index() -> None:
    markets = Study(peers=["600519.SS", "300308.SZ"], benchmark="IDX").settings.markets
    assert [(market.mic, market.benchmark) for market in markets] == [("XSHG", "IDX"), ("XSHE", "IDX")]


def test_names_are_the_settings_of_a_file() -> None:
    peers = pd.DataFrame({"ticker": ["AAA", "600519.SS"], "group": ["core", None], "from": [None, dt.date(2021, 1, 4)]})
    study = Study(
        peers=peers,
        benchmark={"XNYS": "IDX"},
        windows=[(0, 1), (-5, 5)],
        estimation=(-100, -11),
        model={"name": "market_robust", "alpha": "zero"},
        returns={"kind": "log"},
        tests=["date_t", "sign_flip"],
    )
    found = study.settings
    assert [(peer.ticker, peer.market, peer.group) for peer in found.peers] == [
        ("AAA", "XNYS", "core"),
        ("600519.SS", "XSHG", "core"),
    ]
    assert found.peers[1].from_ == dt.date(2021, 1, 4)
    assert [(market.mic, market.benchmark) for market in found.markets] == [("XNYS", "IDX"), ("XSHG", "000300.SS")]
    assert (found.windows.car, found.windows.event) == (((0, 1), (-5, 5)), (-5, 5))
    assert (found.windows.estimation, found.windows.minimum) == ((-100, -11), 72)
    assert (found.model.name, found.model.alpha, found.returns.kind) == ("market_robust", "zero", "log")
    assert found.tests.names == ("date_t", "sign_flip")
    # An estimation window that is not named ends before the event window.
    assert Study(peers=peers, windows=(-20, 20)).settings.windows.estimation == (-250, -21)
    for window in ((0, 0), (-1, 1), (-3, -2), (2, 30)):
        assert Study(peers=peers, windows=window, estimation=(-250, -40)).settings.windows.car == (window,)
    # An estimation window that nobody wrote ends before the event window.
    assert Study(peers=peers, windows=(-20, 20)).settings.windows.estimation == (-250, -21)


def test_endings_name_the_exchange() -> None:
    assert [exchange_of(name) for name in ("AAA", "BRK.B", "SAN.PA", "7203.T")] == ["XNYS", "XNYS", "XPAR", "XTKS"]
    assert exchange_of("SAP", "XETR") == "XETR"
