"""Exchange rates: which way they quote, what was known when, and where they come from."""

from __future__ import annotations

import datetime as dt
import json
from dataclasses import replace
from pathlib import Path
from zoneinfo import ZoneInfo

import fake_yahoo
import numpy as np
import pandas as pd
import pytest
from fake_yahoo import FakeYahoo
from studies import event_row, write_events, write_prices, write_study

from eventstudy.backtest import Traded, rows, summarise, trade_study
from eventstudy.cli import main
from eventstudy.config import load_config
from eventstudy.core.estimation import compute, groups, headline_group
from eventstudy.errors import ConfigError
from eventstudy.events import read_events
from eventstudy.messages import catalogue, text
from eventstudy.prices import PriceRequest, PriceSeries
from eventstudy.prices.files import FilesProvider
from eventstudy.prices.fx import known_rates
from eventstudy.prices.snapshot import Snapshot, StoredTicker, write_manifest, write_series
from eventstudy.prices.sources import frame_prices, get_prices, price_request
from eventstudy.prices.yahoo import YahooProvider
from eventstudy.report.sections.trade import backtest_strip
from eventstudy.reversal import study_shocks
from eventstudy.shocks import with_shocks

HOUR = 3_600 * 10**9
EVENT = event_row("E1", "2021-06-09T14:00Z", label="misreading", label_asof="2021-06-09T15:00Z")
IN_EURO = "results add up as shares of capital in EUR"
EURO = ("study.currency=EUR", 'backtest.fx={USD="EURUSD=X"}')


def quotes(ticker: str, days: list[str], values: list[float]) -> PriceSeries:
    nothing, close = np.full(len(days), np.nan), np.array(values)
    return PriceSeries(
        ticker=ticker,
        dates=np.array(days, dtype="datetime64[D]"),
        open=nothing,
        high=nothing,
        low=nothing,
        close=close,
        adj_close=close,
        volume=nothing,
    )


def opens(*moments: str) -> np.ndarray:
    return np.array(moments, dtype="datetime64[ns]").astype(np.int64)


def test_a_pair_is_turned_by_its_name() -> None:
    yuan = quotes("USDCNY=X", ["2024-03-04"], [7.2])
    at = opens("2024-03-05T01:30")
    # 7.2 yuan for a dollar: one yuan is 13.9 cents. Both names say the same.
    assert known_rates(yuan, "USD", at, 7) == pytest.approx([1 / 7.2])
    dollars = quotes("CNYUSD=X", ["2024-03-04"], [1 / 7.2])
    assert known_rates(dollars, "USD", at, 7) == pytest.approx([1 / 7.2])
    # A million yuan earned is 138,888.89 dollars, not 7.2 million.
    assert round(float(1_000_000 * known_rates(yuan, "USD", at, 7)[0]), 2) == 138_888.89


def test_a_session_never_sees_its_own_days_quote() -> None:
    days = ["2024-03-07", "2024-03-08", "2024-03-11"]
    item = quotes("CNYUSD=X", days, [0.1, 0.2, 0.3])
    found = known_rates(
        item, "USD", opens("2024-03-07T01:30", "2024-03-08T01:30", "2024-03-08T14:30", "2024-03-11T01:30"), 7
    )
    # Friday's quote counts from midnight on: Monday has it, Friday itself has Thursday's.
    assert np.isnan(found[0])
    assert found[1:].tolist() == [0.1, 0.1, 0.2]
    changed = known_rates(replace(item, close=np.array([0.1, 0.2, 9.0])), "USD", opens("2024-03-11T20:00"), 7)
    assert changed.tolist() == [0.2]


def test_a_stale_or_empty_quote_is_none() -> None:
    item = quotes("CNYUSD=X", ["2024-03-01", "2024-03-04", "2024-03-12"], [0.1, np.nan, 0.3])
    at = opens("2024-03-05T01:30", "2024-03-08T01:30", "2024-03-09T01:30", "2024-03-13T01:30")
    found = known_rates(item, "USD", at, 7)
    assert found[[0, 1, 3]].tolist() == [0.1, 0.1, 0.3]
    assert np.isnan(found[2])
    assert np.isnan(known_rates(quotes("CNYUSD=X", [], []), "USD", at, 7)).all()


def folder(tmp_path: Path, *, rate: bool = True) -> Path:
    """Three New York peers that lose a tenth on the event's day, and the euro in dollars."""
    prices = tmp_path / "prices"
    write_prices(prices)
    for ticker in ("AAA", "BBB", "CCC"):
        path = prices / f"{ticker}.csv"
        lines = path.read_text(encoding="utf-8").splitlines()
        for i, line in enumerate(lines[1:], 1):
            day, close, _, volume = line.split(",")
            price = float(close) * (0.9 if day >= "2021-06-09" else 1.0)
            lines[i] = f"{day},{price!r},{price!r},{volume}"
        path.write_text("\n".join([*lines, ""]), encoding="utf-8")
    if rate:
        days = np.arange("2020-01-01", "2022-12-31", dtype="datetime64[D]")
        days = days[np.is_busday(days)]
        text = [f"{day},{1.25 if day < np.datetime64('2021-06-21') else 1.0}" for day in days]
        (prices / "EURUSD=X.csv").write_text("\n".join(["date,close", *text, ""]), encoding="utf-8")
    return prices


def test_a_frame_has_its_rates_apart_as_a_folder_has(tmp_path: Path) -> None:
    prices = folder(tmp_path)
    events = read_events(write_events(tmp_path, [EVENT]))
    config = load_config(tmp_path / "events.csv", config_file=study(tmp_path), overrides=EURO)
    table = frame_prices(events, config, {path.stem: pd.read_csv(path) for path in prices.glob("*.csv")})
    of_folder = get_prices(events, config, str(prices), tell=print)
    assert set(of_folder.fx) == {"USD"}
    assert table.fx["USD"].close.tolist() == of_folder.fx["USD"].close.tolist()
    assert sorted(table.series) == ["AAA", "BBB", "CCC", "IDX"]


def study(tmp_path: Path) -> Path:
    path = write_study(tmp_path)
    text = path.read_text(encoding="utf-8").replace('mic = "XNYS"', 'mic = "XNYS"\ncurrency = "USD"')
    path.write_text(text, encoding="utf-8")
    return path


def traded(tmp_path: Path, prices: Path | str, *overrides: str) -> Traded:
    events = read_events(write_events(tmp_path, [EVENT]))
    config = load_config(tmp_path / "events.csv", config_file=study(tmp_path), overrides=[*overrides, "tests.draws=99"])
    table = get_prices(events, config, str(prices), tell=print)
    computed = compute(with_shocks(events, config), config, table)
    samples = list(groups(computed.sample, events, config))
    headline = next(sample for sample in samples if sample.group == headline_group(config))
    shocks = study_shocks(computed, headline, config)
    return trade_study(computed, shocks, events, config, table)


def test_a_folder_with_a_rate_gives_both_currencies(tmp_path: Path) -> None:
    found = traded(tmp_path, folder(tmp_path), *EURO)
    table = rows(found)["trades"]
    assert len(table) == 3
    for row in table:
        # Bought at 1.25 dollars for a euro, sold at 1: every dollar is worth a quarter more.
        assert (row["currency"], row["base_currency"]) == ("USD", "EUR")
        assert (row["rate_in"], row["rate_out"]) == (0.8, 1.0)
        assert row["value_base"] == pytest.approx(0.8 * row["value"], abs=1e-8)
        assert row["gross_base"] == pytest.approx((1 + row["gross"]) * 1.25 - 1, abs=1e-12)
        assert row["net_base"] == pytest.approx(row["hedged_base"] - row["cost_base"], abs=1e-12)
    money = sum(row["net_base"] * row["value_base"] for row in table)
    assert sum(row["net"] for row in rows(found)["pnl"]) == pytest.approx(money, abs=1e-8)
    shock = next(row for row in rows(found)["backtest"] if row["run"] == "rule")
    local = sum(row["net"] * row["value"] for row in table) / sum(row["value"] for row in table)
    # The study's CAR is in dollars, so the gap is taken there.
    assert shock["net_local"] == pytest.approx(local, abs=1e-12)
    assert shock["gap"] == pytest.approx(local - shock["car_post"], abs=1e-12)
    assert summarise(found)["currency"] == (
        "results add up as shares of capital in EUR; USD at EURUSD=X, the last quote of a day that was over "
        "when a session opened"
    )


def test_a_folder_without_the_rate_runs_and_says_so(tmp_path: Path) -> None:
    found = traded(tmp_path, folder(tmp_path, rate=False), *EURO)
    for row in rows(found)["trades"]:
        assert row["base_currency"] == ""
        assert all(np.isnan(row[name]) for name in ("rate_in", "value_base", "gross_base", "net_base"))
        assert np.isfinite(row["net"])
    assert summarise(found)["currency"].startswith(
        "results add up as shares of capital in EUR; no exchange rate for USD (no file EURUSD=X.csv in the "
        "folder prices): results are in local currency"
    )
    unset = traded(tmp_path, folder(tmp_path, rate=False), "study.currency=EUR")
    assert "USD (backtest.fx.USD is not set)" in summarise(unset)["currency"]
    simulated = traded(tmp_path, "simulated", *EURO)
    assert "USD (simulated prices have no exchange rate)" in summarise(simulated)["currency"]


def test_orders_do_not_depend_on_later_rates(tmp_path: Path) -> None:
    prices = folder(tmp_path)
    honest = traded(tmp_path, prices, *EURO).evaluation.runs["rule"]
    path = prices / "EURUSD=X.csv"
    lines = path.read_text(encoding="utf-8").splitlines()
    # The entry is on 11 June: the rates of that day and all after it are others.
    spoilt = [line if line < "2021-06-11" else f"{line.split(',')[0]},99" for line in lines[1:]]
    path.write_text("\n".join([lines[0], *spoilt, ""]), encoding="utf-8")
    again = traded(tmp_path, prices, *EURO).evaluation.runs["rule"]
    assert again.decisions == honest.decisions
    for one, other in zip(honest.trades, again.trades, strict=True):
        assert (one.value, one.local_value, one.rate_in) == (other.value, other.local_value, other.rate_in)
        assert one.net != other.net


def test_rates_are_asked_for_and_kept_apart_from_securities(tmp_path: Path) -> None:
    prices = folder(tmp_path)
    events = read_events(write_events(tmp_path, [EVENT]))
    config = load_config(tmp_path / "events.csv", config_file=study(tmp_path), overrides=EURO)
    request = price_request(events, config)
    assert request.tickers == ("AAA", "BBB", "CCC", "IDX", "EURUSD=X")
    table = get_prices(events, config, str(prices), tell=print)
    assert sorted(table.series) == ["AAA", "BBB", "CCC", "IDX"]
    assert [item.ticker for item in table.fx.values()] == ["EURUSD=X"]
    # A snapshot delivers them alike.
    kept = tmp_path / "snapshot"
    kept.mkdir()
    plain = FilesProvider(prices).fetch(request)
    stored = {}
    for name, item in plain.series.items():
        file, sha256, content = write_series(kept, item)
        days = (request.start.isoformat(), request.end.isoformat())
        stored[name] = StoredTicker(
            outcome=plain.outcomes[name],
            asked=days,
            fetched_at="2024-01-01T00:00:00+00:00",
            file=file,
            sha256=sha256,
            content_sha256=content,
        )
    write_manifest(Snapshot(kept, "yahoo", stored))
    again = get_prices(events, config, str(kept), tell=print)
    np.testing.assert_array_equal(again.fx["USD"].close, table.fx["USD"].close)


def test_a_whole_run_says_it_and_can_be_verified(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    folder(tmp_path)
    study(tmp_path)
    write_events(tmp_path, [EVENT])
    sets = [f"--set={text}" for text in (*EURO, "tests.draws=99", 'report.formats=["csv","json","md"]')]
    command = ["run", "events.csv", "--config", "study.toml", "--prices", "prices", "--out", "out", "--quiet"]
    assert main([*command, *sets]) == 0
    pack = Path(capsys.readouterr().out.strip())
    summary = json.loads((pack / "summary.json").read_text(encoding="utf-8"))
    assert summary["backtest"]["currency"].startswith(f"{IN_EURO}; USD at EURUSD=X")
    assert "no adj_close" not in " ".join(summary["warnings"])
    manifest = json.loads((pack / "manifest.json").read_text(encoding="utf-8"))
    assert "EURUSD=X" in [item["name"] for item in manifest["inputs"]]
    assert main(["verify", str(pack)]) == 0
    # Without the hedge all twelve are other specifications; the first run's count against them.
    assert main([*command, *sets, "--set=backtest.hedge=false"]) == 0
    second = Path(capsys.readouterr().out.strip().splitlines()[-1])
    told = json.loads((second / "summary.json").read_text(encoding="utf-8"))["backtest"]
    assert (told["n_trials"], told["trials_run"], told["trials_logged"]) == (24, 12, 12)
    recorded = json.loads((second / "manifest.json").read_text(encoding="utf-8"))["trials"]
    assert len(recorded["rules"]) == 12
    assert main(["verify", str(second)]) == 0
    capsys.readouterr()
    # The same again is no new trial and no new pack.
    assert main([*command, *sets, "--set=backtest.hedge=false"]) == 0
    assert Path(capsys.readouterr().out.strip()) == second
    path = tmp_path / "prices" / "EURUSD=X.csv"
    path.write_text(path.read_text(encoding="utf-8").replace("2021-06-14,1.25", "2021-06-14,1.26"))
    assert main(["verify", str(pack)]) == 5


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ('backtest.fx={USD="USDCNY=X"}', "'USDCNY=X' does not turn USD into study.currency = 'EUR'; acc"),
        ('backtest.fx={EUR="EURUSD=X"}', "backtest.fx.EUR: that is study.currency itself"),
        ("backtest.fx={USD=1}", "backtest.fx.USD = 1: accepted is a text"),
        ("backtest.fx=EURUSD=X", "backtest.fx = 'EURUSD=X': accepted is a table"),
        ("backtest.fx_stale_days=0", "accepted is 1 to 30"),
        ("prices.volume_unit={XNYZ=100}", "did you mean 'XNYS'"),
        ("prices.volume_unit={XNYS=0}", "prices.volume_unit.XNYS = 0: accepted is 1 to 1000000 shares"),
        ("prices.price_unit={XLOM=0.01}", "prices.price_unit: 'XLOM'"),
        ("prices.price_unit={XNYS=0}", "prices.price_unit.XNYS = 0.0: accepted is 0.0001 to 10000 of the"),
    ],
)
def test_settings_that_cannot_be_are_refused(tmp_path: Path, override: str, said: str) -> None:
    path = write_events(tmp_path, [EVENT])
    with pytest.raises(ConfigError) as caught:
        load_config(path, config_file=study(tmp_path), overrides=["study.currency=EUR", override])
    assert said in str(caught.value)


def test_lots_enter_capacity_and_impact(tmp_path: Path) -> None:
    prices = folder(tmp_path)
    # 1,000 units at about 100 dollars: 5 % of the day's value is some 5,000 dollars.
    one, lots = traded(tmp_path, prices), traded(tmp_path, prices, "prices.volume_unit={XNYS=100}")
    for small, large in zip(rows(one)["trades"], rows(lots)["trades"], strict=True):
        assert large["capacity"] == pytest.approx(100 * small["capacity"])
        assert text(small["blocked"]).startswith("cut to 5%")
        assert large["value"] > 10 * small["value"]
        assert not large["blocked"]


def test_prices_in_hundredths_are_money_by_their_unit(tmp_path: Path) -> None:
    prices = folder(tmp_path)
    whole, cents = traded(tmp_path, prices), traded(tmp_path, prices, "prices.price_unit={XNYS=0.01}")
    for large, small in zip(rows(whole)["trades"], rows(cents)["trades"], strict=True):
        assert large["capacity"] == pytest.approx(100 * small["capacity"])
        assert large["entry_price"] == pytest.approx(100 * small["entry_price"])
        # The same shares move alike, whatever they are counted in.
        assert large["gross"] == pytest.approx(small["gross"], abs=1e-12)
        assert large["beta"] == pytest.approx(small["beta"])


def test_yahoo_quotes_a_rate_by_its_london_day(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    later = dt.datetime(2025, 1, 15, tzinfo=dt.UTC)
    with fake_yahoo.fresh_yfinance(monkeypatch), FakeYahoo() as server:
        server.zone = ZoneInfo("Europe/London")
        source = YahooProvider(session=server.session(), cache_dir=tmp_path, pause=0.01, now=lambda: later)
        table = source.fetch(PriceRequest(("USDCNY=X",), dt.date(2024, 1, 1), dt.date(2024, 12, 31)))
    item = table.series["USDCNY=X"]
    assert [str(day) for day in item.dates] == [day.isoformat() for day in server.days()]
    at = opens(f"{server.days()[4]}T01:30")
    assert known_rates(item, "USD", at, 7) == pytest.approx([1 / server.closes()[3]])


@pytest.mark.parametrize("language", ["en", "zh"])
@pytest.mark.parametrize("drop", ["0.03", "0.5"])
def test_page_1_never_speaks_without_the_number_of_trades(tmp_path: Path, language: str, drop: str) -> None:
    told = summarise(traded(tmp_path, folder(tmp_path, rate=False), f"reversal.drop_min={drop}"))
    strip = backtest_strip({"backtest": told}, catalogue(language))
    number = {"en": {"0.03": "3 trades on 1 shock", "0.5": "No trades"}}.get(
        language, {"0.03": "3 笔交易", "0.5": "没有交易"}
    )[drop]
    assert number in strip[0][1]
    # PSR and DSR of one shock would look like evidence.
    names = [name for name, _ in strip]
    assert not {"PSR", "DSR", catalogue(language)["backtest.hit_rate"]} & set(names)
    assert len(strip) == 1 or drop == "0.03"
    many = {**told, "caution": "", "sharpe": 0.5, "psr": 0.9, "dsr": 0.8, "n_trades": 30}
    assert {"PSR", "DSR"} <= {name for name, _ in backtest_strip({"backtest": many}, catalogue(language))}
