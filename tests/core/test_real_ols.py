"""Abnormal returns of the real study, each rebuilt by hand and by statsmodels on the same window."""

from __future__ import annotations

import csv
import functools
import itertools
import math
import tomllib
import warnings
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from eventstudy.config import load_config
from eventstudy.events import read_events
from eventstudy.prices.sources import get_prices
from eventstudy.results.result import StudyResult
from eventstudy.study import run_study

PROJECT = Path(__file__).parents[2]
PRICES = PROJECT.parent / "shared" / "data" / "prices"
STUDY = PROJECT / "eventstudy" / "sectors" / "optical" / "study.toml"
#: exchange_calendars keeps Nasdaq's sessions under New York's name, Shenzhen's under Shanghai's.
CALENDARS = {"XNAS": "XNYS", "XSHE": "XSHG"}

pytestmark = pytest.mark.skipif(not PRICES.is_dir(), reason="the shared price files are not beside the project")


@functools.cache
def study() -> StudyResult:
    events = read_events(PROJECT / "events.csv")
    config = load_config(PROJECT / "events.csv", sector="optical")
    prices = get_prices(events, config, str(PRICES), tell=lambda _: None)
    return run_study(events, config, prices)


@functools.cache
def closes(ticker: str) -> dict[str, float]:
    """Adjusted closes by day from the CSV, without days of no volume."""
    with (PRICES / f"{ticker}.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    return {
        row["date"]: float(row["adj_close"])
        for row in rows
        if row["adj_close"] and (ticker.startswith("^") or row["volume"] == "" or float(row["volume"]) != 0)
    }


@functools.cache
def markets() -> dict[str, tuple[str, str]]:
    """Ticker to (MIC, benchmark), from the study's TOML."""
    table = tomllib.loads(STUDY.read_text(encoding="utf-8"))
    benchmark = {market["mic"]: market["benchmark"] for market in table["markets"]}
    return {peer["ticker"]: (peer["market"], benchmark[peer["market"]]) for peer in table["peers"]}


@functools.cache
def calendar(mic: str) -> tuple[str, ...]:
    import exchange_calendars

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        sessions = exchange_calendars.get_calendar(CALENDARS.get(mic, mic), start="2017-01-01").sessions
    return tuple(day.strftime("%Y-%m-%d") for day in sessions)


@functools.cache
def grid(mic: str) -> tuple[str, ...]:
    """Sessions from the index's first to its last price on which anything traded."""
    names = [ticker for ticker, (market, _) in markets().items() if market == mic]
    index = next(benchmark for market, benchmark in markets().values() if market == mic)
    known = [closes(name) for name in (index, *names) if (PRICES / f"{name}.csv").is_file()]
    first, last = min(known[0]), max(known[0])
    return tuple(day for day in calendar(mic) if first <= day <= last and any(day in table for table in known))


def returns(ticker: str, days: tuple[str, ...]) -> NDArray[np.float64]:
    price = closes(ticker)
    pairs = itertools.pairwise(days)
    return np.array([math.nan, *(price.get(b, math.nan) / price.get(a, math.nan) - 1.0 for a, b in pairs)])


def ols_abnormal_returns(event_id: str, ticker: str) -> tuple[dict[int, float], float, float, int]:
    """AR by event day, beta, sigma and number of days, by statsmodels OLS on the window rebuilt here."""
    import statsmodels.api as sm

    table = study().tables["abnormal_returns"]
    rows = table[(table["event_id"] == event_id) & (table["ticker"] == ticker)]
    session = rows.loc[rows["tau"] == 0, "session"].item()
    mic, benchmark = markets()[ticker]
    days = grid(mic)
    at = days.index(session)
    cuts = study().tables["estimation_cuts"]
    cut = set(cuts.loc[(cuts["event_id"] == event_id) & (cuts["ticker"] == ticker), "session"])
    y, m = returns(ticker, days), returns(benchmark, days)
    window = [
        t
        for t in range(max(at - 250, 0), at - 10)
        if days[t] not in cut and math.isfinite(y[t]) and math.isfinite(m[t])
    ]
    result = sm.OLS(y[window], sm.add_constant(m[window])).fit()
    alpha, beta = result.params
    # The study's policy: the intercept counts up to day +1.
    found = {
        tau: y[at + tau] - (alpha if tau <= 1 else 0.0) - beta * m[at + tau]
        for tau in range(-10, 21)
        if at + tau < len(days)
    }
    return found, beta, math.sqrt(result.mse_resid), len(window)


def pairs() -> list[tuple[str, str]]:
    """Four names of 2026-06-09, and ten others: one for each of many events, markets in turn."""
    if not PRICES.is_dir():
        return []
    used = study().tables["estimation"][["event_id", "ticker"]]
    table = study().tables["abnormal_returns"]
    day0 = table[table["tau"] == 0].set_index(["event_id", "ticker"])["session"]
    rows = [(str(e), str(t)) for e, t in used.itertuples(index=False)]
    first = [pair for pair in rows if day0[pair] == "2026-06-09" and pair[1] in ("LITE", "COHR", "AAOI", "FN")]
    others: list[tuple[str, str]] = []
    seen: set[tuple[str, str]] = set()
    for pair in sorted(rows, key=lambda pair: (day0[pair], pair)):
        key = (day0[pair][:4], markets()[pair[1]][0])
        if key not in seen and pair not in first:
            seen.add(key)
            others.append(pair)
    step = max(len(others) // 10, 1)
    return first + others[::step][:10]


def test_the_pairs_spread_over_years_and_markets() -> None:
    chosen = pairs()
    table = study().tables["abnormal_returns"]
    day0 = table[table["tau"] == 0].set_index(["event_id", "ticker"])["session"]
    assert {pair[1] for pair in chosen if day0[pair] == "2026-06-09"} >= {"LITE", "COHR", "AAOI", "FN"}
    assert len(chosen) >= 14
    assert len({day0[pair][:4] for pair in chosen}) >= 5
    assert len({markets()[pair[1]][0] for pair in chosen}) >= 4


def test_abnormal_returns_equal_statsmodels() -> None:
    table = study().tables["abnormal_returns"].set_index(["event_id", "ticker", "tau"])["ar"].sort_index()
    fits = study().tables["estimation"].set_index(["event_id", "ticker"])
    for event_id, ticker in pairs():
        found, beta, sigma, days = ols_abnormal_returns(event_id, ticker)
        ours = table[event_id, ticker]
        assert len(ours) == 31
        np.testing.assert_allclose(
            [ours[tau] for tau in found], list(found.values()), rtol=0, atol=1e-10, err_msg=f"{event_id} {ticker}"
        )
        fit = fits.loc[(event_id, ticker)]
        np.testing.assert_allclose([fit["beta"], fit["sigma"]], [beta, sigma], rtol=1e-10)
        assert fit["n_estimation"] == days


def test_day0_returns_are_those_of_the_files() -> None:
    table = study().tables["abnormal_returns"]
    day = table[(table["session"] == "2026-06-09") & (table["tau"] == 0)].set_index("ticker")["return"]
    day = day[~day.index.duplicated()]
    np.testing.assert_allclose([day["AAOI"], day["LITE"], day["COHR"]], [-0.1717, -0.0822, -0.1144], atol=5e-5)
