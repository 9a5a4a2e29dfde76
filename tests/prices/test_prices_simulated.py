"""The simulated panel: what was put in comes out, and nothing depends on order."""

from __future__ import annotations

import datetime as dt
import json
import time
from dataclasses import replace
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from studies import event_row, write_events, write_study

from eventstudy.config import load_config
from eventstudy.errors import ConfigError, PriceError
from eventstudy.events import read_events
from eventstudy.messages import text
from eventstudy.prices import PriceRequest, PriceSeries, PriceTable, get_provider
from eventstudy.prices.simulated import Listing, PlantedDrop, SimulatedProvider, simulated_prices
from eventstudy.prices.sources import price_request

START, END = dt.date(2016, 1, 1), dt.date(2025, 12, 31)
US = [Listing(f"U{i}", "XNAS", "SPY") for i in range(8)]
CHINA = [Listing(f"C{i}", "XSHG", "000300.SS") for i in range(4)]
EVERYONE = [*US, *CHINA]
FIELDS = ("dates", "open", "high", "low", "close", "adj_close", "volume")


def sessions(mic: str, start: dt.date, end: dt.date) -> NDArray[np.datetime64]:
    """Weekdays without every 41st (XNAS) or 23rd (others) day since 1970."""
    days = np.arange(np.datetime64(start, "D"), np.datetime64(end, "D") + 1)
    days = days[np.is_busday(days)]
    return days[days.astype(np.int64) % (41 if mic == "XNAS" else 23) != 0]


def panel(
    listings: list[Listing],
    *drops: PlantedDrop,
    seed: int = 7,
    start: dt.date = START,
    end: dt.date = END,
    tickers: tuple[str, ...] = (),
) -> PriceTable:
    provider = SimulatedProvider(listings, drops, seed=seed, sessions=sessions)
    benchmarks = tuple(sorted({listing.benchmark for listing in listings}))
    asked = tickers or (*(listing.ticker for listing in listings), *benchmarks)
    return provider.fetch(PriceRequest(asked, start, end))


def returns(bars: PriceSeries) -> NDArray[np.float64]:
    moved: NDArray[np.float64] = bars.adj_close[1:] / bars.adj_close[:-1] - 1
    return moved


def residuals(table: PriceTable, ticker: str, benchmark: str) -> tuple[NDArray[np.float64], float]:
    """Least-squares residuals and slope on the benchmark; both trade on the same days."""
    market = returns(table.series[benchmark])
    design = np.column_stack([np.ones(len(market)), market])
    stock = returns(table.series[ticker])
    slope = np.linalg.lstsq(design, stock, rcond=None)[0]
    return stock - design @ slope, float(slope[1])


def assert_same(left: PriceSeries, right: PriceSeries) -> None:
    for field in FIELDS:
        np.testing.assert_array_equal(getattr(left, field), getattr(right, field))


def test_table_says_that_it_is_simulated() -> None:
    table = panel(US[:2])
    assert table.simulated
    assert table.source == "simulated"
    assert table.series["U0"].source == "simulated, seed 7"
    assert json.loads(json.dumps(table.truth))["seed"] == 7
    assert get_provider("simulated") is SimulatedProvider


def test_dates_are_the_exchanges_sessions() -> None:
    table = panel([US[0], CHINA[0]])
    np.testing.assert_array_equal(table.series["U0"].dates, sessions("XNAS", START, END))
    np.testing.assert_array_equal(table.series["C0"].dates, sessions("XSHG", START, END))
    np.testing.assert_array_equal(table.series["000300.SS"].dates, sessions("XSHG", START, END))
    assert table.outcomes["C0"].rows == len(table.series["C0"].dates)


def test_residuals_correlate_at_the_planned_level() -> None:
    found = []
    for seed in range(3):
        table = panel(US, seed=seed)
        rows = np.array([residuals(table, listing.ticker, "SPY")[0] for listing in US])
        pairs = np.corrcoef(rows)
        found += [pairs[i, j] for i, j in combinations(range(len(US)), 2)]
    assert np.mean(found) == pytest.approx(0.40, abs=0.06)


def test_slopes_are_the_ones_in_the_truth() -> None:
    table = panel(US)
    error = [residuals(table, x.ticker, "SPY")[1] - table.truth["beta"][x.ticker] for x in US]
    assert np.max(np.abs(error)) < 0.2
    assert all(0.8 <= beta <= 1.6 for beta in table.truth["beta"].values())
    assert len(set(table.truth["beta"].values())) == len(US)


def test_volatility_comes_in_clusters_and_returns_do_not() -> None:
    def first_lag(x: NDArray[np.float64]) -> float:
        return float(np.corrcoef(x[1:], x[:-1])[0, 1])

    tables = [panel(US, seed=seed) for seed in range(3)]
    rows = [residuals(table, x.ticker, "SPY")[0] for table in tables for x in US]
    assert np.mean([first_lag(row**2) for row in rows]) > 0.07
    assert np.mean([first_lag(row) for row in rows]) == pytest.approx(0, abs=0.02)
    kurtosis = [np.mean(row**4) / np.mean(row**2) ** 2 for row in rows]
    assert np.mean(kurtosis) > 4


def test_no_day_looks_like_an_unadjusted_split() -> None:
    listings = [Listing(f"T{i}", "XNAS", "SPY") for i in range(30)]
    for seed in range(8):
        table = panel(listings, seed=seed)
        assert max(np.abs(returns(bars)).max() for bars in table.series.values()) < 0.45


def test_markets_share_the_world_on_days_that_both_trade() -> None:
    correlations = []
    for seed in range(3):
        table = panel([US[0], CHINA[0]], seed=seed)
        left, right = table.series["SPY"], table.series["000300.SS"]
        _, i, j = np.intersect1d(left.dates[1:], right.dates[1:], return_indices=True)
        correlations.append(np.corrcoef(returns(left)[i], returns(right)[j])[0, 1])
    assert np.mean(correlations) == pytest.approx(0.5, abs=0.08)


def test_planted_drop_and_reversal_are_exact_differences() -> None:
    day = dt.date(2020, 6, 3)
    drop = PlantedDrop("s1", {"U0": day, "U1": day}, -0.10, reversal=0.5, label="misreading")
    plain, planted = panel(US), panel(US, drop)
    added = returns(planted.series["U0"]) - returns(plain.series["U0"])
    zero = int(np.flatnonzero(plain.series["U0"].dates[1:] == np.datetime64(day))[0])
    expected = np.zeros_like(added)
    expected[zero] = -0.10
    expected[zero + 2 : zero + 21] = 0.05 / 19
    np.testing.assert_allclose(added, expected, atol=1e-12)
    assert_same(plain.series["U2"], planted.series["U2"])
    assert planted.truth["drops"] == [
        {
            "shock_id": "s1",
            "label": "misreading",
            "drop": -0.10,
            "reversal": 0.5,
            "reversal_taus": [2, 20],
            "sessions": {"U0": "2020-06-03", "U1": "2020-06-03"},
        }
    ]


def test_market_model_finds_the_drop_within_noise() -> None:
    days = [dt.date(2019, 3, 5), dt.date(2021, 6, 8), dt.date(2023, 9, 12)]
    tickers = tuple(listing.ticker for listing in US)
    drops = [PlantedDrop(f"s{d}", dict.fromkeys(tickers, d), -0.08, reversal=0.5) for d in days]
    first, after = [], []
    for seed in range(12):
        table = panel(US, *drops, seed=seed)
        for ticker in tickers:
            abnormal, _ = residuals(table, ticker, "SPY")
            for day in days:
                zero = int(np.flatnonzero(table.series["SPY"].dates[1:] == np.datetime64(day))[0])
                first.append(abnormal[zero])
                after.append(abnormal[zero + 2 : zero + 21].sum())
    # 36 clusters of one day: sd 0.022 * sqrt(0.4 + 0.6 / 8) / 6 = 0.25 %, and sqrt(19) times that.
    assert np.mean(first) == pytest.approx(-0.08, abs=0.008)
    assert np.mean(after) == pytest.approx(0.04, abs=0.033)


def test_drop_before_the_request_still_gives_back_inside_it() -> None:
    day = dt.date(2020, 6, 3)
    drop = PlantedDrop("s1", {"U0": day}, -0.10, reversal=1.0)
    whole = panel(US[:1], drop)
    late = panel(US[:1], drop, start=dt.date(2020, 6, 10))
    inside = whole.series["U0"].dates[1:] > late.series["U0"].dates[0]
    np.testing.assert_allclose(returns(late.series["U0"]), returns(whole.series["U0"])[inside], atol=1e-12)
    assert late.truth["drops"][0]["sessions"] == {}


def test_returns_do_not_depend_on_the_days_asked_for() -> None:
    whole = panel(US[:2])
    part = panel(US[:2], start=dt.date(2020, 1, 1), end=dt.date(2021, 12, 31))
    dates = part.series["U1"].dates[1:]
    inside = np.isin(whole.series["U1"].dates[1:], dates)
    np.testing.assert_allclose(returns(part.series["U1"]), returns(whole.series["U1"])[inside], atol=1e-12)


def test_order_and_company_change_nothing() -> None:
    forward = panel(EVERYONE)
    backward = panel(EVERYONE[::-1], tickers=("SPY", "C3", "U0", "000300.SS"))
    alone = panel(US[:1])
    for ticker in ("SPY", "C3", "U0", "000300.SS"):
        assert_same(forward.series[ticker], backward.series[ticker])
    assert_same(forward.series["U0"], alone.series["U0"])
    assert forward.truth["beta"]["U0"] == alone.truth["beta"]["U0"]


def test_same_seed_same_arrays_other_seed_others() -> None:
    left, right, other = panel(US[:2]), panel(US[:2]), panel(US[:2], seed=8)
    assert_same(left.series["U0"], right.series["U0"])
    assert not np.allclose(returns(left.series["U0"]), returns(other.series["U0"]))
    assert not np.allclose(returns(left.series["U0"]), returns(left.series["U1"]))


def test_membership_dates_are_respected() -> None:
    listed = Listing("NEW", "XNAS", "SPY", dt.date(2022, 1, 27), dt.date(2024, 8, 21))
    gone = Listing("OLD", "XNAS", "SPY", None, dt.date(2010, 1, 1))
    table = panel([listed, gone])
    dates = table.series["NEW"].dates
    np.testing.assert_array_equal(dates, sessions("XNAS", dt.date(2022, 1, 27), dt.date(2024, 8, 21)))
    assert "OLD" not in table.series
    assert table.outcomes["OLD"].status == "no_prices"
    assert text(table.outcomes["OLD"].message) == "not listed on the days requested"


def test_drop_outside_the_listing_is_not_planted() -> None:
    day = dt.date(2020, 6, 3)
    drop = PlantedDrop("s1", {"NEW": day, "U0": day}, -0.10)
    table = panel([Listing("NEW", "XNAS", "SPY", dt.date(2022, 1, 27)), US[0]], drop)
    assert table.truth["drops"][0]["sessions"] == {"U0": "2020-06-03"}


def test_bars_are_plausible() -> None:
    bars = panel(US[:1]).series["U0"]
    assert np.all(bars.low <= np.minimum(bars.open, bars.close))
    assert np.all(bars.high >= np.maximum(bars.open, bars.close))
    assert np.all(bars.low > 0)
    assert np.all(bars.volume > 1000)
    np.testing.assert_array_equal(bars.close, bars.adj_close)
    moved = np.abs(returns(bars))
    assert np.mean(bars.volume[1:][moved > 0.05]) > 1.2 * np.mean(bars.volume[1:][moved < 0.01])


def test_unknown_ticker_is_an_outcome() -> None:
    table = panel(US[:1], tickers=("U0", "XYZ"))
    assert table.outcomes["XYZ"].status == "no_prices"
    assert text(table.outcomes["XYZ"].message) == "not among the simulated prices"
    assert set(table.series) == {"U0"}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"seed": -1}, "seed -1 is negative"),
        ({"listings": [US[0], US[0]]}, "U0 is listed twice"),
        ({"drops": [PlantedDrop("s1", {}, -1.5)]}, "it must lie between -0.9 and 0.9"),
    ],
)
def test_plan_is_checked(change: dict[str, Any], message: str) -> None:
    plan: dict[str, Any] = {"listings": US, "drops": [], "seed": 1, "sessions": sessions, **change}
    with pytest.raises(ConfigError, match=message):
        SimulatedProvider(plan["listings"], plan["drops"], seed=plan["seed"], sessions=plan["sessions"])


def test_day_zero_must_be_a_session() -> None:
    saturday = dt.date(2020, 6, 6)
    drop = PlantedDrop("s1", {"U0": saturday}, -0.10)
    with pytest.raises(ConfigError, match="2020-06-06 is not a session of XNAS"):
        panel(US[:1], drop)


def test_request_before_the_first_day_is_refused() -> None:
    with pytest.raises(PriceError, match="simulated prices begin on 2000-01-01"):
        panel(US[:1], start=dt.date(1999, 12, 31))


def test_thirty_tickers_of_ten_years_are_quick() -> None:
    listings = [Listing(f"T{i}", "XNAS", "SPY") for i in range(30)]
    began = time.thread_time()
    table = panel(listings)
    assert time.thread_time() - began < 2.0
    assert len(table.series) == 31


def test_quiet_falls_are_the_same_ones_whatever_days_are_asked_for(tmp_path: Path) -> None:
    path = write_events(tmp_path, [event_row("E1", "2021-06-09")])
    events, config = read_events(path), load_config(path, config_file=write_study(tmp_path))
    whole = price_request(events, config)
    less = replace(whole, start=whole.start + dt.timedelta(days=400), end=dt.date(2020, 6, 30))
    (long, short) = (
        {drop["shock_id"]: drop["drop"] for drop in simulated_prices(events, config, asked).truth["drops"]}
        for asked in (whole, less)
    )
    days = [name.removeprefix("quiet-") for name in long if name.startswith("quiet-")]
    inside = [f"quiet-{day}" for day in days if str(less.start) <= day <= "2020-06-30"]
    assert len(inside) > 20
    assert [short[name] for name in inside] == [long[name] for name in inside]
    assert short.keys() <= long.keys()


def test_windows_of_an_event_s_own_given_as_dates_are_part_of_what_is_asked_for(tmp_path: Path) -> None:
    path, config_file = write_events(tmp_path, [event_row("E1", "2021-06-09")]), write_study(tmp_path)
    overrides = ["reversal.history_years=1"]
    usual = price_request(read_events(path), load_config(path, config_file=config_file, overrides=overrides))
    head = "ticker,date,estimation_start,estimation_end,event_start,event_end\n"
    path.write_text(f"{head}AAA,2021-06-09,2015-03-02,2016-03-02,2021-06-01,2023-06-30\n")
    own = price_request(read_events(path), load_config(path, config_file=config_file, overrides=overrides))
    assert own.start == dt.date(2015, 2, 20) < usual.start
    assert own.end == dt.date(2023, 6, 30) > usual.end
