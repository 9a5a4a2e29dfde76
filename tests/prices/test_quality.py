"""Faults in price series: each is found by its name, and real extreme days are not taken for faults."""

from __future__ import annotations

import datetime as dt
import json
import shutil
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from studies import edit_prices, event_row, write_events, write_prices, write_study

from eventstudy.cli import main
from eventstudy.config import Market, Peer, Prices, StudyConfig, load_config
from eventstudy.errors import PriceError, Reason
from eventstudy.events import read_events
from eventstudy.exchanges.calendars import sessions
from eventstudy.messages import text
from eventstudy.prices import PriceOutcome, PriceRequest, PriceSeries, PriceTable
from eventstudy.prices.files import FilesProvider
from eventstudy.prices.quality import (
    QualityFinding,
    check_quality,
    sentences,
    units_in_doubt,
    vet,
    with_special_sessions,
)
from eventstudy.prices.quality.moves import SPLITS
from eventstudy.prices.sources import get_prices, price_request, with_aliases
from eventstudy.prices.table import price_unit

PROJECT = Path(__file__).parents[2]
SHARED = PROJECT.parent / "shared" / "data"
needs_data = pytest.mark.skipif(not SHARED.is_dir(), reason="the folder of real prices is not there")
FIRST, LAST = dt.date(2022, 1, 3), dt.date(2023, 12, 29)
Found = dict[str, QualityFinding]


def bars(ticker: str, mic: str = "XNYS", *, seed: int = 1, sd: float = 0.015) -> PriceSeries:
    """Two years of quiet bars with open, high and low around a random walk rounded to cents."""
    days = sessions(mic, FIRST, LAST)
    rng = np.random.default_rng([seed, *map(ord, ticker)])
    close = np.round(100.0 * np.exp(np.cumsum(rng.normal(0.0, sd, len(days)).clip(-0.06, 0.06))), 2)
    wide = 1.0 + rng.uniform(0.002, 0.01, len(days))
    # On the mainland as many as are traded there: 100 million yuan a day.
    volume = np.round(rng.uniform(800, 1200, len(days))) * (1_000 if mic in ("XSHG", "XSHE") else 1)
    return PriceSeries(
        ticker=ticker,
        dates=days,
        open=close.copy(),
        high=close * wide,
        low=close / wide,
        close=close,
        adj_close=close.copy(),
        volume=volume,
    )


def table(*series: PriceSeries) -> PriceTable:
    outcomes = {item.ticker: PriceOutcome(ticker=item.ticker, status="ok", rows=len(item.dates)) for item in series}
    return PriceTable(source="test", series={item.ticker: item for item in series}, outcomes=outcomes)


def study(peer: Peer | None = None, *, mic: str = "XNYS", **market: str) -> StudyConfig:
    peers = (peer or Peer(ticker="AAA", market=mic), Peer(ticker="BBB", market=mic))
    return StudyConfig(markets=(Market(mic, "IDX", **market),), peers=peers)


def look(
    item: PriceSeries, config: StudyConfig | None = None, *, events: Mapping[str, NDArray[np.datetime64]] | None = None
) -> Found:
    """Findings about one series beside two quiet ones, by the name of the check."""
    config = config or study()
    mic = config.markets[0].mic
    prices = table(bars("IDX", mic), item, bars("BBB", mic))
    found = check_quality(prices, config, sessions=sessions, event_days=events)
    assert {finding.ticker for finding in found} <= {item.ticker}
    assert len({finding.check for finding in found}) == len(found)
    return {finding.check: finding for finding in found}


def scaled(item: PriceSeries, first: int, factor: float, *, last: int | None = None) -> PriceSeries:
    """All four prices of the rows ``first`` to ``last`` times ``factor``."""
    columns = {name: getattr(item, name).copy() for name in ("open", "high", "low", "close", "adj_close")}
    for values in columns.values():
        values[first:last] *= factor
    return replace(item, **columns)


def without(item: PriceSeries, rows: slice) -> PriceSeries:
    kept = np.ones(len(item.dates), dtype=bool)
    kept[rows] = False
    names = ("dates", "open", "high", "low", "close", "adj_close", "volume")
    return replace(item, **{name: getattr(item, name)[kept] for name in names})


def changed(item: PriceSeries, name: str, rows: object, value: object) -> PriceSeries:
    values = getattr(item, name).copy()
    values[rows] = value
    return replace(item, **{name: values})


@pytest.mark.parametrize("mic", ["XNYS", "XSHG", "XTAI", "XTKS"])
def test_quiet_prices_are_not_suspect(mic: str) -> None:
    assert look(bars("AAA", mic), study(mic=mic)) == {}


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10_000), factor=st.sampled_from([0.01, 0.5, 3.0, 1000.0]))
def test_the_unit_of_prices_does_not_matter(seed: int, factor: float) -> None:
    item = bars("AAA", seed=seed)
    assert look(scaled(item, 0, factor)) == look(item) == {}


# Splits and crashes


@pytest.mark.parametrize("ratio", [1.5, 2, 3, 5, 10, 1 / 2, 1 / 10, 1 / 30])
def test_an_unadjusted_split(ratio: float) -> None:
    assert {ratio, 1 / ratio} & set(SPLITS)
    item = bars("AAA", sd=0.005)
    found = look(scaled(item, 300, 1 / ratio))
    assert list(found) == ["unadjusted_split"]
    finding = found["unadjusted_split"]
    assert (finding.day, finding.severity) == (str(item.dates[300]), "stop")
    assert finding.value == pytest.approx(item.close[300] / item.close[299] / ratio - 1)
    assert f"near a split of {max(ratio, 1 / ratio):g} for 1, on " in str(text(finding.message))


def test_a_crash_with_the_turnover_of_one_is_no_split() -> None:
    item = scaled(bars("AAA"), 300, 0.5)
    assert look(changed(item, "volume", 300, 8000.0)) == {}


def test_a_split_without_volumes() -> None:
    item = replace(bars("AAA", sd=0.005), volume=np.full(len(bars("AAA").dates), np.nan))
    assert look(scaled(item, 300, 0.5))["unadjusted_split"].severity == "stop"
    assert look(scaled(item, 300, 2 / 3)) == {}
    assert look(scaled(item, 300, 0.37))["extreme_return"].severity == "warn"


def test_an_extreme_return_that_is_no_split() -> None:
    item = scaled(bars("AAA", sd=0.005), 300, 0.42)
    finding = look(item)["extreme_return"]
    assert (finding.severity, finding.day) == ("stop", str(item.dates[300]))
    assert "usual turnover, without an event near it" in str(text(finding.message))
    assert look(item, events={"XNYS": item.dates[297:298]}) == {}
    assert "extreme_return" in look(item, events={"XNYS": item.dates[296:297]})


def test_a_split_that_the_source_lists_needs_no_turnover() -> None:
    item = changed(scaled(bars("AAA", sd=0.005), 300, 0.5), "volume", 300, 90_000.0)
    assert look(item) == {}
    splits = np.zeros(len(item.dates))
    splits[300] = 2.0
    finding = look(replace(item, splits=splits))["unadjusted_split"]
    assert "adj_close does not include the listed split of 2 for 1" in str(text(finding.message))
    done = replace(bars("AAA"), splits=splits)
    assert look(done) == {}


def test_a_split_on_an_event_day_is_still_a_split() -> None:
    item = scaled(bars("AAA", sd=0.005), 300, 0.5)
    assert "unadjusted_split" in look(item, events={"XNYS": item.dates[300:301]})


def test_a_split_that_adj_close_knows_is_none() -> None:
    item = scaled(bars("AAA"), 300, 0.5)
    adjusted = item.adj_close.copy()
    adjusted[:300] /= 2
    assert look(replace(item, adj_close=adjusted)) == {}


def test_an_adjustment_that_did_not_happen() -> None:
    item = bars("AAA", sd=0.005)
    adjusted = item.close.copy()
    adjusted[:300] *= 2
    found = look(replace(item, adj_close=adjusted))
    assert list(found) == ["phantom_adjustment"]
    assert found["phantom_adjustment"].value == pytest.approx(-0.5, abs=0.02)
    assert "adj_close moves -" in str(text(found["phantom_adjustment"].message))


def test_an_adjustment_without_a_listed_reason() -> None:
    item = bars("AAA")
    adjusted = item.close.copy()
    adjusted[:300] *= 0.95
    item = replace(item, adj_close=adjusted)
    assert {name: finding.severity for name, finding in look(item).items()} == {"unlisted_adjustment": "warn"}
    assert look(replace(item, adj_close=np.where(np.arange(len(adjusted)) < 300, 0.96, 1.0) * item.close)) == {}
    none = np.zeros(len(item.dates))
    finding = look(replace(item, dividends=none, splits=none))["unlisted_adjustment"]
    assert (finding.severity, finding.day) == ("warn", str(item.dates[300]))
    assert finding.value == pytest.approx(1 / 0.95 - 1)
    paid = none.copy()
    paid[300] = 0.05 * item.close[299]
    assert look(replace(item, dividends=paid, splits=none)) == {}


@pytest.mark.parametrize("factor", [100.0, 0.01])
def test_a_currency_slip(factor: float) -> None:
    item = bars("AAA")
    finding = look(scaled(item, 300, factor))["currency_slip"]
    assert (finding.severity, finding.day) == ("stop", str(item.dates[300]))
    assert abs(finding.value) == pytest.approx(np.log(100), abs=0.06)


# Boards with a price limit


def test_a_bonus_past_the_limit() -> None:
    item = bars("AAA", "XSHG")
    found = look(scaled(item, 300, 1 / 1.3), study(mic="XSHG"))
    assert list(found) == ["unadjusted_split"]
    assert "with the whole range of the day; sse_main allows 10% a day" in str(text(found["unadjusted_split"].message))


def test_a_return_past_the_limit_that_began_inside() -> None:
    item = bars("AAA", "XSHG", sd=0.003)
    item = scaled(item, 300, 0.8)
    item = changed(item, "high", 300, item.close[299])
    finding = look(item, study(mic="XSHG"))["beyond_limit"]
    assert (finding.severity, "the open was within the limit" in str(text(finding.message))) == ("stop", True)


def test_a_return_just_past_the_limit_is_a_warning() -> None:
    item = bars("AAA", "XSHG", sd=0.0001)
    finding = look(scaled(item, 300, 0.89), study(mic="XSHG"))["beyond_limit"]
    assert (finding.severity, finding.value) == ("warn", pytest.approx(-0.11, abs=1e-3))


def test_a_large_move_inside_a_wide_limit_is_a_return() -> None:
    assert look(scaled(bars("AAA", "XSHG", sd=0.002), 300, 0.71), study(mic="XSHG", board="bse")) == {}


def test_the_first_sessions_have_no_limit() -> None:
    item = scaled(bars("AAA", "XSHG"), 3, 1.5)
    assert look(item, study(mic="XSHG", board="star")) == {}
    for listed, name in ((dt.date(2022, 1, 4), set()), (dt.date(2010, 1, 4), {"unadjusted_split"})):
        peer = Peer(ticker="AAA", market="XSHG", from_=listed, board="star")
        assert set(look(item, study(peer, mic="XSHG"))) == name


def limit_days(item: PriceSeries, limit: float, rows: Mapping[int, int]) -> PriceSeries:
    """Let a series close at its limit, up or down, on some rows; later prices move with them."""
    for row, sign in rows.items():
        target = item.close[row - 1] * (1 + sign * limit)
        item = scaled(item, row, target / item.close[row])
        item = changed(item, "high" if sign > 0 else "low", row, item.close[row])
    return item


@pytest.mark.parametrize("constant", [10.0, -10.0])
def test_additive_adjustment_is_told_by_limit_days(constant: float) -> None:
    item = limit_days(bars("AAA", "XSHG"), 0.10, {100: 1, 200: -1, 300: 1})
    config = study(mic="XSHG")
    assert look(item, config) == {}
    lowered = replace(item, **{n: getattr(item, n) - constant for n in ("open", "high", "low", "close", "adj_close")})
    found = look(lowered, config)
    if constant < 0:
        # Prices raised by a constant move less than the limit allows: nothing shows.
        assert found == {}
        return
    finding = found["additive_adjustment"]
    assert list(found) == ["additive_adjustment"]
    assert (finding.severity, finding.value) == ("stop", pytest.approx(10.0, abs=0.3))
    assert text(finding.message).startswith("on 3 days at the price limit the price moved past the limit, by up to ")


def test_one_limit_day_is_not_enough() -> None:
    item = limit_days(bars("AAA", "XSHG"), 0.10, {100: 1})
    lowered = replace(item, **{n: getattr(item, n) - 10.0 for n in ("open", "high", "low", "close", "adj_close")})
    assert look(lowered, study(mic="XSHG")) == {}


def test_limit_days_that_imply_different_constants_are_rounding() -> None:
    item = limit_days(bars("AAA", "XSHG"), 0.104, {100: 1})
    item = limit_days(item, 0.115, {200: 1})
    assert "additive_adjustment" not in look(item, study(mic="XSHG"))


def test_additive_adjustment_beside_traded_closes() -> None:
    item = bars("AAA")
    found = look(replace(item, adj_close=item.close - 20.0))
    assert list(found) == ["additive_adjustment"]
    assert found["additive_adjustment"].value == pytest.approx(20.0)
    assert look(replace(item, adj_close=item.close * 0.8)) == {}


# Bars


def test_adjusted_closes_beside_raw_bars() -> None:
    item = bars("AAA")
    low = changed(changed(item, "close", slice(100, 200), item.low[100:200] * 0.98), "adj_close", slice(0, 0), 1.0)
    finding = look(replace(low, adj_close=item.adj_close))["close_outside_range"]
    assert (finding.severity, finding.value) == ("stop", pytest.approx(-0.02))
    assert "on 100 day(s)" in str(text(finding.message))
    assert "the close is adjusted and open, high, low are not" in str(text(finding.message))
    once = changed(item, "high", 50, item.close[50] * 0.95)
    once = changed(once, "low", 50, item.close[50] * 0.94)
    assert look(once)["close_outside_range"].severity == "warn"
    mixed = changed(low, "low", slice(300, 302), low.close[300:302] * 1.02)
    mixed = changed(mixed, "high", slice(300, 302), low.close[300:302] * 0.98)
    mixed = changed(replace(mixed, adj_close=item.adj_close), "close", slice(310, 313), mixed.high[310:313] * 1.02)
    assert "the columns are mixed up" in str(text(look(mixed)["close_outside_range"].message))


@pytest.mark.parametrize(("count", "severity"), [(10, "warn"), (200, "stop")])
def test_adjusted_closes_that_are_empty(count: int, severity: str) -> None:
    item = changed(bars("AAA"), "adj_close", slice(100, 100 + count), np.nan)
    finding = look(item)["adjusted_missing"]
    assert (finding.severity, finding.value, finding.day) == (severity, count, str(item.dates[100]))


@pytest.mark.parametrize("name", ["close", "adj_close"])
def test_prices_that_are_not_positive(name: str) -> None:
    item = changed(bars("AAA"), name, 77, -3.0)
    finding = look(changed(item, "low", 77, -4.0))["not_positive"]
    assert (finding.severity, finding.value, finding.day) == ("stop", -3.0, str(item.dates[77]))


def test_stale_prices() -> None:
    item = bars("AAA")
    run = changed(item, "adj_close", slice(100, 111), item.adj_close[99])
    run = replace(
        run, open=run.adj_close, close=run.adj_close.copy(), high=run.adj_close * 1.001, low=run.adj_close / 1.001
    )
    finding = look(run)["stale"]
    assert (finding.severity, finding.value, finding.day) == ("warn", 12, str(item.dates[99]))
    short = changed(item, "adj_close", slice(100, 109), item.adj_close[99])
    assert look(replace(short, **dict.fromkeys(("open", "close", "high", "low"), short.adj_close))) == {}
    twos = np.repeat(item.adj_close[::2], 2)[: len(item.dates)]
    finding = look(replace(item, adj_close=twos, close=twos.copy(), high=twos * 1.001, low=twos / 1.001))["stale"]
    assert finding.value == pytest.approx(0.5, abs=0.01)


def test_thin_bars_but_not_those_at_a_limit() -> None:
    item = bars("AAA", "XSHG")
    flat = changed(changed(item, "high", 200, item.close[200]), "low", 200, item.close[200])
    flat = changed(flat, "volume", 200, 3.0)
    finding = look(flat, study(mic="XSHG"))["thin_bar"]
    assert (finding.severity, finding.value, finding.day) == ("warn", 1, str(item.dates[200]))
    locked = limit_days(item, 0.10, {200: 1})
    locked = changed(changed(locked, "low", 200, locked.close[200]), "volume", 200, 3.0)
    assert look(locked, study(mic="XSHG")) == {}
    assert look(changed(flat, "volume", 200, 500_000.0), study(mic="XSHG")) == {}


def test_volume_in_lots_is_seen_by_the_money_traded() -> None:
    item = bars("AAA")
    money = item.close * item.volume
    assert look(replace(item, amount=money)) == {}
    lots = look(replace(item, amount=100 * money))["volume_unit"]
    assert (lots.severity, lots.value) == ("warn", pytest.approx(100.0))
    assert text(lots.message).startswith(
        "amount is 100 times close x volume. If the volume counts lots, set prices.vol"
    )
    known = replace(study(), prices=Prices(volume_unit={"AAA": 100}))
    assert look(replace(item, amount=100 * money), known) == {}
    too_many = replace(study(), prices=Prices(volume_unit={"AAA": 1_000}))
    assert look(replace(item, amount=100 * money), too_many)["volume_unit"].value == pytest.approx(0.1)
    # Fewer than ten days with an amount tell nothing.
    few = np.full(len(money), np.nan)
    few[:9] = 100 * money[:9]
    assert look(replace(item, amount=few)) == {}


def test_a_mainland_share_that_hardly_trades_counts_lots() -> None:
    item = bars("AAA", "XSHG")
    thin = replace(item, volume=item.volume / 100)
    finding = look(thin, study(mic="XSHG"))["volume_unit"]
    assert finding.value == pytest.approx(float(np.median(item.close * item.volume)) / 100)
    assert "million yuan a day" in str(text(finding.message))
    lots = replace(study(mic="XSHG"), prices=Prices(volume_unit={"AAA": 100}))
    assert look(thin, lots) == {}


def test_a_change_of_the_unit_along_the_series() -> None:
    item = bars("AAA", "XSHG")
    step = np.where(np.arange(len(item.volume)) < 300, 1.0, 100.0)
    finding = look(replace(item, volume=item.volume * step), study(mic="XSHG"))["volume_step"]
    assert (finding.day, finding.severity) == (str(item.dates[300]), "warn")
    assert finding.value == pytest.approx(100.0, rel=0.2)
    # Ten times the trade is an event, and so is a rise by a hundred over a year.
    assert look(replace(item, volume=item.volume * step**0.5), study(mic="XSHG")) == {}
    slow = np.exp(np.linspace(0.0, np.log(100.0), len(item.volume)))
    assert look(replace(item, volume=item.volume * slow), study(mic="XSHG")) == {}


# Gaps, ends, identities


def test_gaps() -> None:
    item = without(bars("AAA"), slice(100, 103))
    finding = look(item)["gaps"]
    assert (finding.severity, finding.value, finding.day) == ("warn", 3, str(bars("AAA").dates[100]))
    halted = changed(bars("AAA"), "volume", 100, 0.0)
    assert look(halted)["gaps"].value == 1
    weekly = bars("AAA")
    weekly = without(weekly, np.arange(len(weekly.dates)) % 5 != 0)
    finding = look(weekly)["gaps"]
    assert (
        finding.severity,
        "80% of the sessions are missing, so this is not a daily series" in str(text(finding.message)),
    ) == ("drop", True)


def test_another_company_under_the_ticker() -> None:
    item = scaled(bars("AAA"), 350, 3.0)
    found = look(changed(without(item, slice(60, 350)), "volume", 60, 9000.0))
    assert (found["ticker_reuse"].severity, found["ticker_reuse"].day) == ("drop", str(item.dates[350]))
    assert "no price for 290 sessions, then " in str(text(found["ticker_reuse"].message))
    same = look(without(bars("AAA", sd=0.001), slice(60, 350)))
    assert "ticker_reuse" not in same


def test_prices_outside_the_listing() -> None:
    item = bars("AAA")
    early = look(item, study(Peer(ticker="AAA", market="XNYS", from_=dt.date(2022, 2, 1))))["outside_listing"]
    assert (early.value, early.day, early.severity) == (20, "2022-01-03", "warn")
    late = look(item, study(Peer(ticker="AAA", market="XNYS", until=dt.date(2023, 12, 27))))["outside_listing"]
    assert (late.value, late.day) == (2, "2023-12-28")


def test_a_series_that_stops() -> None:
    short = without(bars("AAA"), slice(-11, None))
    finding = look(short)["series_stops"]
    assert (finding.severity, finding.value, finding.day) == ("warn", 11, str(short.dates[-1]))
    assert look(without(bars("AAA"), slice(-10, None))) == {}
    last = short.dates[-1].astype(dt.date)
    assert look(short, study(Peer(ticker="AAA", market="XNYS", until=last))) == {}
    assert look(short, study(Peer(ticker="AAA", market="XNYS", deal_bound_from=last))) == {}


def test_one_series_under_two_names() -> None:
    config, index = study(), bars("IDX")
    twin = replace(index, ticker="AAA")
    found = check_quality(table(index, twin, bars("BBB")), config, sessions=sessions)
    assert [(f.ticker, f.check, f.severity) for f in found] == [("AAA", "same_series", "stop")]
    assert "returns as the benchmark IDX" in str(text(found[0].message))
    copied = scaled(replace(bars("BBB"), ticker="AAA"), 0, 7.0)
    found = check_quality(table(index, copied, bars("BBB")), config, sessions=sessions)
    assert [(f.ticker, text(f.message).split(";")[0]) for f in found] == [
        ("BBB", "has the same 500 returns as the peer AAA")
    ]


def test_constant_series_are_left_to_the_selection() -> None:
    item = bars("AAA")
    five = np.full(len(item.dates), 5.0)
    flat = replace(item, adj_close=five, open=five, close=five, high=five, low=five)
    assert list(look(flat)) == ["stale"]


def test_another_currency() -> None:
    item = replace(bars("AAA"), currency="EUR")
    assert text(look(item, study(currency="GBP"))["currency"].message).startswith("quoted in EUR, XNYS in GBP")
    # Pence are pounds once their unit is known.
    for here in ("GBP", "GBp", "GBX"):
        assert look(replace(item, currency=here), study(currency="GBP")) == {}
    assert look(replace(item, currency=""), study(currency="GBP")) == {}


def test_pence_that_nobody_names() -> None:
    item, london = bars("AAA", "XLON"), study(mic="XLON", currency="GBP")
    other = replace(bars("BBB", "XLON"), currency="GBp")

    def found(one: PriceSeries, config: StudyConfig) -> list[tuple[str, str]]:
        prices = table(bars("IDX", "XLON"), one, other)
        return [(f.ticker, f.check) for f in check_quality(prices, config, sessions=sessions)]

    assert found(item, london) == [("AAA", "price_unit")]
    assert found(replace(item, volume=np.full(len(item.volume), np.nan)), london) == []
    for currency in ("GBp", "GBP"):
        assert found(replace(item, currency=currency), london) == []
    for said in ({"XLON": 0.01}, {"AAA": 1.0}):
        assert found(item, replace(london, prices=Prices(price_unit=said))) == []
    findings = check_quality(table(bars("IDX", "XLON"), item, other), london, sessions=sessions)
    assert units_in_doubt(findings, london) == {"AAA"}
    # The money traded is in pounds: it agrees with close times volume in pence.
    pounds = replace(item, currency="GBp", amount=item.close * item.volume / 100)
    assert found(pounds, london) == []


@pytest.mark.parametrize(
    ("currency", "said", "unit"),
    [
        ("GBp", {}, 0.01),
        ("GBX", {"XLON": 1.0}, 0.01),
        ("GBP", {"XLON": 0.01}, 1.0),
        ("", {"XLON": 0.01}, 0.01),
        ("GBp", {"AAA": 1.0}, 1.0),
        ("", {}, None),
        ("USD", {}, 1.0),
    ],
)
def test_what_one_unit_of_a_price_is(currency: str, said: dict[str, float], unit: float | None) -> None:
    config = replace(study(mic="XLON", currency="GBP"), prices=Prices(price_unit=said))
    assert price_unit(replace(bars("AAA", "XLON"), currency=currency), "XLON", config) == unit


def test_what_is_not_there_is_not_looked_at() -> None:
    config = study()
    config = replace(config, markets=(*config.markets, Market("XTKS", "NIK"), Market("XLON", "FTX")))
    empty = without(bars("AAA"), slice(None))
    assert check_quality(table(bars("IDX"), empty, bars("BBB")), config, sessions=sessions) == ()
    nothing = replace(bars("AAA"), adj_close=np.full(len(bars("AAA").dates), np.nan))
    found = check_quality(table(bars("IDX"), nothing, bars("BBB")), config, sessions=sessions)
    assert [finding.check for finding in found] == ["adjusted_missing"]


def test_simulated_prices_are_not_looked_at() -> None:
    prices = replace(table(bars("IDX"), scaled(bars("AAA"), 300, 0.01)), simulated=True)
    assert check_quality(prices, study(), sessions=sessions) == ()


# What follows


def test_vet_stops_drops_and_accepts() -> None:
    prices = table(bars("IDX"), replace(bars("AAA"), source="AAA.csv"), bars("BBB"))
    warn = QualityFinding(
        "BBB", "stale", "2022-05-03", 12.0, "warn", Reason("quality.stale_run", n=12, day="2022-05-03")
    )
    drop = QualityFinding("BBB", "ticker_reuse", "2022-05-03", 3.0, "drop", Reason("quality.reuse", n=290, factor=3.0))
    again = QualityFinding("BBB", "gaps", "2022-06-03", 3.0, "drop", Reason("quality.gaps", n=3, day="2022-06-03"))
    stop = QualityFinding("AAA", "unadjusted_split", "2022-05-04", -0.5, "stop", Reason("quality.mixed_up"))
    assert vet(prices, [warn]) is prices
    left = vet(prices, [warn, drop, again])
    assert list(left.series) == ["IDX", "AAA"]
    assert text(left.outcomes["BBB"].message).startswith("suspect: ticker reuse on 2022-05-03: no price for 290")
    with pytest.raises(PriceError) as caught:
        vet(prices, [drop, stop])
    assert str(caught.value) == (
        "AAA.csv: AAA on 2022-05-04: unadjusted_split (-0.5): the columns are mixed up; "
        "--set 'prices.accept_days=[\"AAA:2022-05-04\"]' goes on with this day as it is, --accept-suspect with all"
    )
    assert vet(prices, [drop, stop], accept=True) is prices
    assert list(vet(prices, [drop, stop], days=["AAA:2022-05-04"]).series) == ["IDX", "AAA"]


def test_sentences_put_tickers_together() -> None:
    one = QualityFinding("A", "series_stops", "2022-05-03", 12.0, "warn", Reason("quality.half_adjusted"))
    rest = [
        replace(one, ticker="B"),
        QualityFinding("C", "gaps", "2022-05-04", 1.0, "drop", Reason("quality.mixed_up")),
    ]
    ends, many = "the close is adjusted and open, high, low are not", "the columns are mixed up"
    said = [f"A, B: series stops (2022-05-03): {ends}", f"C: missing sessions (2022-05-04): {many}"]
    assert [text(reason) for reason in sentences([one, *rest])] == said
    assert (
        text(sentences(rest, accept=True)[1]) == f"C: accepted although suspect, missing sessions (2022-05-04): {many}"
    )


@pytest.fixture
def small(tmp_path: Path) -> Path:
    write_prices(tmp_path / "prices")
    write_events(tmp_path, [event_row("E1", "2021-06-09")])
    write_study(tmp_path)
    return tmp_path


def command(folder: Path, name: str, *more: str) -> list[str]:
    return [
        name,
        str(folder / "events.csv"),
        "--config",
        str(folder / "study.toml"),
        "--prices",
        str(folder / "prices"),
        *more,
    ]


def halve(path: Path, on: str) -> None:
    rows = [line.split(",") for line in path.read_text(encoding="utf-8").splitlines()]
    for row in rows[1:]:
        if row[0] >= on:
            row[1] = row[2] = repr(float(row[1]) / 2)
    path.write_text("\n".join([",".join(row) for row in rows] + [""]), encoding="utf-8")


def test_a_run_stops_at_a_split_or_accepts_it(small: Path, capsys: pytest.CaptureFixture[str]) -> None:
    halve(small / "prices" / "AAA.csv", "2021-02-02")
    out = ("--out", str(small / "results"), "--quiet", "--set", 'report.formats=["csv", "json"]')
    assert main(command(small, "run", *out)) == 4
    assert "AAA.csv: AAA on 2021-02-02: unadjusted_split (-0." in capsys.readouterr().err
    assert not (small / "results" / "latest").exists()
    assert main(command(small, "run", *out, "--accept-suspect")) == 0
    pack = small / "results" / "latest"
    manifest = json.loads((pack / "manifest.json").read_text(encoding="utf-8"))
    assert manifest["settings"]["prices"]["accept_suspect"] is True
    rows = (pack / "tables" / "quality.csv").read_text(encoding="utf-8").splitlines()
    days = ("--set", 'prices.accept_days=["AAA:2021-02-02"]')
    assert main(command(small, "run", *out, *days)) == 0
    summary = json.loads((small / "results" / "latest" / "summary.json").read_text(encoding="utf-8"))
    assert [text[:27] for text in summary["warnings"] if "suspect" in text] == ["AAA: accepted although suspect"[:27]]
    assert main(command(small, "run", *out, "--set", 'prices.accept_days=["AAA:2021-02-03"]')) == 4
    assert main(command(small, "run", *out, "--set", 'prices.accept_days=["AAA 2021-02-02"]')) == 2
    assert rows[0] == "ticker,check,day,value,severity,message,message_code"
    assert rows[1].startswith("AAA,unadjusted_split,2021-02-02,-0.")
    summary = json.loads((pack / "summary.json").read_text(encoding="utf-8"))
    assert any(text.startswith("AAA: accepted although suspect, unadjusted split") for text in summary["warnings"])


def test_a_check_shows_what_is_suspect(small: Path, capsys: pytest.CaptureFixture[str]) -> None:
    edit_prices(small / "prices" / "AAA.csv", d2021_03_02=None)
    assert main(command(small, "check", "--json")) == 0
    found = json.loads(capsys.readouterr().out)["quality"]
    assert [(row["ticker"], row["check"], row["day"], row["value"]) for row in found] == [
        ("AAA", "gaps", "2021-03-02", 1.0)
    ]
    assert main(command(small, "check")) == 0
    assert "AAA: missing sessions (2021-03-02): 1 session(s) without a trade" in " ".join(
        capsys.readouterr().out.split()
    )
    halve(small / "prices" / "AAA.csv", "2021-02-02")
    assert main(command(small, "check")) == 4
    assert main(command(small, "check", "--accept-suspect")) == 0


def test_a_dropped_series_is_told_in_the_ledger(small: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = small / "prices" / "AAA.csv"
    lines = path.read_text(encoding="utf-8").splitlines()
    path.write_text("\n".join([lines[0], *lines[1::5], ""]), encoding="utf-8")
    assert main(command(small, "check", "--json")) == 0
    ledger = {row["ticker"]: row for row in json.loads(capsys.readouterr().out)["ledger"]}
    assert ledger["AAA"]["status"] == "dropped"
    assert ledger["AAA"]["reason"].startswith("suspect: missing sessions on 2020-01-03: ")
    assert ledger["BBB"]["status"] == "used"


# Former tickers


def test_an_alias_serves_only_where_the_ticker_has_no_prices() -> None:
    own, former = bars("NEW"), bars("OLD")
    config = study(Peer(ticker="NEW", market="XNYS", aliases=("OLDER", "OLD")))
    request = PriceRequest(("NEW", "BBB", "IDX"), FIRST, LAST)
    asked: list[tuple[str, ...]] = []

    def fetch(of: tuple[PriceSeries, ...]):
        def answer(wanted: PriceRequest) -> PriceTable:
            asked.append(wanted.tickers)
            return table(*(item for item in of if item.ticker in wanted.tickers))

        return answer

    assert with_aliases(fetch((own, former, bars("BBB"))), request, config).series["NEW"] is own
    found = with_aliases(fetch((former, bars("BBB"))), request, config)
    np.testing.assert_array_equal(found.series["NEW"].adj_close, former.adj_close)
    assert found.series["NEW"].ticker == found.outcomes["NEW"].ticker == "NEW"
    assert text(found.outcomes["NEW"].message) == "no prices under this ticker; those of OLD, an alias, are used"
    assert "OLD" not in found.series
    first = bars("OLDER")
    both = with_aliases(fetch((former, first, bars("BBB"))), request, config)
    np.testing.assert_array_equal(both.series["NEW"].adj_close, first.adj_close)
    assert with_aliases(fetch((bars("BBB"),)), request, config).series.keys() == {"BBB"}
    assert asked[0] == ("NEW", "BBB", "IDX")
    assert set(asked[2]) == {"OLD", "OLDER"}


def test_the_file_of_an_alias_is_used_with_a_remark(small: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_study(small, extra={"AAA": 'aliases = ["OLD"]'})
    (small / "prices" / "AAA.csv").rename(small / "prices" / "OLD.csv")
    out = ("--out", str(small / "results"), "--json", "--set", 'report.formats=["json"]')
    assert main(command(small, "run", *out)) == 0
    warnings = json.loads(capsys.readouterr().out)["warnings"]
    assert "AAA: no prices under this ticker; those of OLD, an alias, are used" in warnings


# Real files


@needs_data
def test_the_real_prices_run_and_their_extreme_days_are_no_faults() -> None:
    events, config = read_events(PROJECT / "events.csv"), load_config(PROJECT / "events.csv")
    prices = get_prices(events, config, str(SHARED / "prices"), tell=print)
    found = check_quality(prices, config, sessions=sessions)
    assert {finding.severity for finding in found} == {"warn"}
    assert vet(prices, found) is prices
    named = {(finding.ticker, finding.check) for finding in found}
    assert ("002281.SZ", "series_stops") in named
    moves = {finding.ticker: finding.day for finding in found if finding.check in ("extreme_return", "beyond_limit")}
    # The one large move without volumes in the file is asked to be looked up, no more.
    assert moves == {"AAOI": "2024-11-08"}


@needs_data
@pytest.mark.parametrize(
    ("file", "check", "day"),
    [
        ("unadjusted-ex-dates.300308.csv", "unadjusted_split", "2024-06-06"),
        ("additive-adjustment-descending.300308.csv", "additive_adjustment", "2023-03-22"),
        ("adjusted-close-raw-ohlc.300308.SZ.csv", "close_outside_range", "2022-03-15"),
    ],
)
def test_real_faults_are_found_by_name(tmp_path: Path, file: str, check: str, day: str) -> None:
    shutil.copyfile(SHARED / "dirty" / file, tmp_path / "300308.SZ.csv")
    config = load_config(PROJECT / "events.csv")
    request = PriceRequest(("300308.SZ",), dt.date(2015, 1, 1), dt.date(2026, 12, 31))
    found = check_quality(FilesProvider(tmp_path).fetch(request), config, sessions=sessions)
    by_name = {finding.check: finding for finding in found}
    assert (by_name[check].day, by_name[check].severity) == (day, "stop")
    assert set(by_name) <= {check, "adjusted_missing", "volume_unit"}


@needs_data
def test_the_unadjusted_bonus_and_the_constants_have_their_sizes(tmp_path: Path) -> None:
    config = load_config(PROJECT / "events.csv")
    request = PriceRequest(("300308.SZ",), dt.date(2015, 1, 1), dt.date(2026, 12, 31))
    sizes = {}
    for name in ("unadjusted-ex-dates", "additive-adjustment-descending"):
        shutil.copyfile(SHARED / "dirty" / f"{name}.300308.csv", tmp_path / "300308.SZ.csv")
        found = check_quality(FilesProvider(tmp_path).fetch(request), config, sessions=sessions)
        sizes[name] = found[0].value
    assert sizes["unadjusted-ex-dates"] == pytest.approx(-0.2488, abs=1e-4)
    assert sizes["additive-adjustment-descending"] == pytest.approx(2.22, abs=0.01)


@needs_data
def test_infinera_was_not_listed_in_2026(tmp_path: Path) -> None:
    events = read_events(write_events(tmp_path, [event_row("X26", "2026-06-09", tickers="INFN;LITE")]))
    config = load_config(tmp_path / "events.csv", sector="optical")
    assert "INFN" in price_request(events, config).tickers
    out = tmp_path / "check.json"
    arguments = ["check", str(tmp_path / "events.csv"), "--sector", "optical", "--prices", str(SHARED / "prices")]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("click.echo", lambda text, **_: out.write_text(text, encoding="utf-8"))
        assert main([*arguments, "--json"]) == 0
    ledger = {row["ticker"]: row["reason"] for row in json.loads(out.read_text(encoding="utf-8"))["ledger"]}
    assert ledger["INFN"] == "not_listed: Infinera (INFN) was listed until 2025-02-28"
    assert not ledger["LITE"]


def findings_of(item: PriceSeries) -> tuple[QualityFinding, ...]:
    return check_quality(table(bars("IDX"), item, bars("BBB")), study(), sessions=sessions)


def dated(item: PriceSeries, days: NDArray[np.datetime64]) -> PriceSeries:
    """The same bars on other days."""
    return replace(item, dates=days)


def test_a_day_without_volume_at_the_last_close_is_a_halt() -> None:
    item = bars("AAA")
    for rows in (slice(120, 123), slice(60, 61)):
        still = item
        for name in ("open", "high", "low", "close", "adj_close"):
            still = changed(still, name, rows, item.close[rows.start - 1])
        still = changed(still, "volume", rows, np.nan)
        found = look(still)
        assert found["suspended"].value == rows.stop - rows.start
        kept = vet(table(bars("IDX"), still), tuple(found.values())).series["AAA"]
        assert (kept.volume[rows] == 0).all()
        assert np.isfinite(kept.volume).all()
    # A source without volumes says nothing about halts.
    assert "suspended" not in look(replace(still, volume=np.full(len(item.dates), np.nan)))


@pytest.mark.parametrize(("last", "volume"), [(400, 0.0), (300, np.nan)])
def test_prices_repeated_to_the_end_are_no_prices(last: int, volume: float) -> None:
    item = bars("AAA")
    for name in ("open", "high", "low", "close", "adj_close"):
        item = changed(item, name, slice(last + 1, None), item.close[last])
    item = changed(item, "volume", slice(last + 1, None), volume)
    finding = next(one for one in findings_of(item) if one.check == "repeated_prices")
    assert (finding.day, finding.value) == (str(item.dates[last + 1]), len(item.dates) - 1 - last)
    kept = vet(table(bars("IDX"), item), [finding]).series["AAA"]
    assert (str(kept.dates[-1]), len(kept.open), len(kept.dividends)) == (str(item.dates[last]), last + 1, 0)
    # With trade at that price it is a price.
    traded = changed(item, "volume", slice(last + 1, None), 900.0)
    assert "repeated_prices" not in {one.check for one in findings_of(traded)}


@pytest.mark.parametrize("days", [-1, 1])
def test_dates_a_day_off_stop(days: int) -> None:
    item = bars("AAA")
    finding = look(dated(item, item.dates + days))["off_session"]
    assert finding.severity == "stop"
    assert 0.15 < finding.value < 0.3
    few = item.dates.copy()
    few[100] += 0
    assert look(dated(item, few)) == {}


@pytest.mark.parametrize("lag", [-1, 1])
def test_returns_that_fit_the_index_on_another_session_stop(lag: int) -> None:
    index, own = bars("IDX"), bars("AAA", sd=0.004)
    change = np.diff(np.log(index.close), prepend=np.log(index.close[0])) + np.diff(np.log(own.close), prepend=0.0)
    change[0] = 0.0
    for shift, expected in ((0, []), (lag, [lag])):
        close = 50.0 * np.exp(np.cumsum(np.roll(change, shift)))
        item = replace(own, **dict.fromkeys(("open", "high", "low", "close", "adj_close"), close))
        found = check_quality(table(index, item, bars("BBB")), study(), sessions=sessions)
        assert [finding.value for finding in found if finding.check == "day_shift"] == expected


@pytest.mark.parametrize("wrong", [1e5, 0.0, 112.0])
def test_an_open_outside_the_range_fills_nothing(wrong: float) -> None:
    item = changed(bars("AAA"), "close", 50, 100.0)
    item = changed(changed(changed(item, "adj_close", 50, 100.0), "high", 50, 101.0), "low", 50, 99.0)
    item = changed(item, "open", 50, wrong)
    finding = look(item)["open_outside_range"]
    assert (finding.severity, finding.day) == ("warn", str(item.dates[50]))
    kept = vet(table(bars("IDX"), item), [finding]).series["AAA"]
    assert np.flatnonzero(np.isnan(kept.open)).tolist() == [50]


@pytest.mark.parametrize("phantom", [0.16, 0.3])
def test_a_phantom_dividend_inside_a_window_stops(phantom: float) -> None:
    item = bars("AAA")
    adjusted = item.close.copy()
    adjusted[:300] /= 1 + phantom
    item = replace(item, adj_close=adjusted)
    near = {"XNYS": item.dates[[310]]}
    assert look(item, events=near)["unlisted_adjustment"].severity == "stop"
    far = {"XNYS": item.dates[[100]]}
    assert look(item, events=far)["unlisted_adjustment"].severity == "warn"


def test_a_saturday_on_which_index_and_peers_traded_is_a_session() -> None:
    saturday = np.datetime64("2022-05-07")

    def moved(item: PriceSeries, *days: np.datetime64) -> PriceSeries:
        at = np.searchsorted(item.dates, days)
        columns = {
            name: np.insert(getattr(item, name), at, getattr(item, name)[at] * 1.01)
            for name in ("open", "high", "low", "close", "adj_close", "volume")
        }
        return replace(item, dates=np.insert(item.dates, at, days), **columns)

    both = table(moved(bars("IDX"), saturday), moved(bars("AAA"), saturday), bars("BBB"))
    special = with_special_sessions(both, study(), sessions)("XNYS", FIRST, LAST)
    assert saturday in special
    assert len(special) == len(sessions("XNYS", FIRST, LAST)) + 1
    index = table(moved(bars("IDX"), saturday), bars("AAA"), bars("BBB"))
    assert with_special_sessions(index, study(), sessions) is sessions
    # As many as a fifth of the sessions are dates a day off, not special sessions.
    early = table(*(replace(bars(name), dates=bars(name).dates - 1) for name in ("IDX", "AAA", "BBB")))
    assert with_special_sessions(early, study(), sessions) is sessions
