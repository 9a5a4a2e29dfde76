"""Factor files, and studies whose model wants more than the index."""

from __future__ import annotations

import csv
import itertools
from pathlib import Path

import numpy as np
import pytest
from studies import edit_prices, event_row, write_events, write_prices, write_study

from eventstudy.config import load_config
from eventstudy.core.estimation import Computed, compute
from eventstudy.errors import ConfigError, EstimationError, PriceError
from eventstudy.events import read_events
from eventstudy.messages import text
from eventstudy.prices.factors import read_factors
from eventstudy.prices.sources import get_prices, price_request
from eventstudy.shocks import with_shocks

SHARED = Path(__file__).parents[3] / "shared" / "data" / "factors" / "FF5_MOM_US_daily_percent.csv"


def write(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "factors.csv"
    path.write_text(text, encoding="utf-8")
    return path


def study(tmp_path: Path, *overrides: str, rows: list[str] | None = None) -> Computed:
    if not (tmp_path / "prices").exists():
        write_prices(tmp_path / "prices")
    events = read_events(write_events(tmp_path, rows or [event_row("E1", "2021-06-09")]))
    config = load_config(tmp_path / "events.csv", config_file=write_study(tmp_path), overrides=overrides)
    prices = get_prices(events, config, str(tmp_path / "prices"), tell=lambda _: None)
    return compute(with_shocks(events, config), config, prices)


def write_daily_factors(tmp_path: Path, *, drop: str = "") -> Path:
    """RF of one basis point and SMB from a seed on every session of the price files, in percent."""
    rng = np.random.default_rng(3)
    days = [line.split(",")[0] for line in (tmp_path / "prices" / "IDX.csv").read_text().splitlines()[1:]]
    rows = [f"{day},{rng.normal(0, 0.6):.4f},0.01" for day in days]
    return write(tmp_path, "\n".join(["date,SMB,RF", *(row for row in rows if not drop or drop not in row), ""]))


def test_percent_becomes_decimals_in_order_of_days(tmp_path: Path) -> None:
    path = write(tmp_path, "\ufeffdate,Mkt-RF,RF\n20240103,-0.5,0.01\n2024-01-02,1.25,\n2024-01-04,-99.99,0.01\n")
    table = read_factors(path, ["RF", "Mkt-RF"], percent=True)
    assert table.names == ("RF", "Mkt-RF")
    assert [str(day) for day in table.dates] == ["2024-01-02", "2024-01-03", "2024-01-04"]
    np.testing.assert_allclose(table.column("Mkt-RF"), [0.0125, -0.005, np.nan], rtol=1e-14)
    np.testing.assert_allclose(table.column("RF"), [np.nan, 0.0001, 0.0001], rtol=1e-14)
    with pytest.raises(ConfigError, match=r"factors\.csv: has no column 'SMB'; accepted: Mkt-RF, RF"):
        table.column("SMB")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("date,SMB\n2024-01-02,x\n", r"factors\.csv:2: SMB 'x' is not a number; write it"),
        ("date,SMB\n2024-02-30,1\n", r"factors\.csv:2: date '2024-02-30' is not a day; write it"),
        ("date,SMB\n02/01/2024,1\n", r"factors\.csv:2: date '02/01/2024' could be 2024-02-01 or 2024-01-02"),
        ("date,SMB\n2024-01-02,1\n20240102,1\n", "has 2024-01-02 twice; keep one row for each day"),
        ("date,SMB\n", "has no row below its header"),
        ("date,SNB\n2024-01-02,1\n", r"factors\.csv:1: has no column 'SMB'; .*did you mean 'SNB'"),
        ("day,SMB\n2024-01-02,1\n", r"factors\.csv:1: has no column 'date'"),
        ("date,SMB,SMB\n2024-01-02,1,1\n", "has two columns 'SMB'; rename one"),
        ("date,SMB\n2024-01-02,inf\n", "SMB 'inf' is not a number"),
    ],
)
def test_faulty_files_are_refused_with_the_line(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        read_factors(write(tmp_path, text), ["SMB"], percent=True)


def test_a_file_of_another_program_is_read_as_prices_are(tmp_path: Path) -> None:
    path = write(tmp_path, "date;SMB\n03.01.2024;-0,50\n02.01.2024;1,25\n04.01.2024;n/a\n")
    table = read_factors(path, ["SMB"], percent=True)
    assert table.dates.astype(str).tolist() == ["2024-01-02", "2024-01-03", "2024-01-04"]
    np.testing.assert_allclose(table.column("SMB"), [0.0125, -0.005, np.nan], rtol=1e-14)
    assert read_factors(path, [], percent=True).values.shape == (3, 0)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"none\.csv: cannot be read: No such file"):
        read_factors(tmp_path / "none.csv", ["SMB"], percent=True)


@pytest.mark.parametrize(("percent", "size"), [(False, 0.8), (True, 0.008)])
def test_the_wrong_unit_is_refused(tmp_path: Path, percent: bool, size: float) -> None:
    rng = np.random.default_rng(1)
    rows = [
        f"2024-01-{day:02d},{size * rng.standard_normal():.6f},{size * rng.standard_normal():.6f}"
        for day in range(1, 31)
    ]
    path = write(tmp_path, "\n".join(["date,SMB,HML", *rows, ""]))
    with pytest.raises(ConfigError, match=rf"set model\.percent = {str(not percent).lower()} if the file holds"):
        read_factors(path, ["SMB", "HML"], percent=percent)
    assert read_factors(path, ["SMB", "HML"], percent=not percent).values.shape == (30, 2)


def test_a_missing_factor_day_is_a_missing_pair(tmp_path: Path) -> None:
    write_prices(tmp_path / "prices")
    path = write_daily_factors(tmp_path, drop="2021-03-10")
    options = (
        f"model.factors_file={path}",
        "model.risk_free=RF",
        "model.name=factors",
        'model.factors=["market","SMB"]',
    )
    computed = study(tmp_path, *options)
    panel, expected = computed.abnormal.panel, computed.abnormal.expected
    assert expected.loadings == ("alpha", "beta", "beta_SMB", "risk_free")
    np.testing.assert_array_equal(expected.n_estimation, 239)
    at = int(np.flatnonzero(panel.estimation_sessions[0] == np.datetime64("2021-03-10", "D").astype(int))[0])
    assert np.isnan(panel.factor("SMB")[0][0, at])
    rng = np.random.default_rng(3)
    days = [line.split(",")[0] for line in (tmp_path / "prices" / "IDX.csv").read_text().splitlines()[1:]]
    smb = {day: round(rng.normal(0, 0.6), 4) / 100 for day in days}
    shown = [str(day) for day in panel.estimation_sessions[0].astype("datetime64[D]")]
    there = [day for day in shown if day != "2021-03-10"]
    np.testing.assert_allclose(np.delete(panel.factor("SMB")[0][0], at), [smb[day] for day in there], rtol=1e-12)


def test_capm_equals_a_regression_of_excess_returns(tmp_path: Path) -> None:
    import statsmodels.api as sm

    write_prices(tmp_path / "prices")
    path = write_daily_factors(tmp_path)
    computed = study(tmp_path, f"model.factors_file={path}", "model.risk_free=RF", "model.name=capm")
    panel, expected = computed.abnormal.panel, computed.abnormal.expected
    result = sm.OLS(panel.estimation_returns[1] - 1e-4, sm.add_constant(panel.factor("market")[0][1] - 1e-4)).fit()
    np.testing.assert_allclose(expected.theta[1, :2], result.params, rtol=1e-9)
    star = panel.factor("market")[1][1]
    predicted = 1e-4 + result.params[0] * (panel.tau <= 1) + result.params[1] * (star - 1e-4)
    np.testing.assert_allclose(computed.abnormal.expected.mean[1], predicted, rtol=0, atol=1e-12)


def test_factors_that_end_before_the_event_drop_the_pair_with_the_reason(tmp_path: Path) -> None:
    write_prices(tmp_path / "prices")
    path = write_daily_factors(tmp_path)
    kept = [line for line in path.read_text().splitlines() if line.startswith("date") or line < "2021-07-15"]
    path.write_text("\n".join([*kept, ""]), encoding="utf-8")
    options = (f"model.factors_file={path}", "model.risk_free=RF", "model.name=capm")
    rows = [event_row("E1", "2021-06-09"), event_row("E2", "2021-08-11")]
    ledger = {row.event_id: row for row in study(tmp_path, *options, rows=rows).selection.ledger}
    assert ledger["E1"].status == "used"
    assert (ledger["E2"].status, ledger["E2"].stage) == ("dropped", "model")
    assert text(ledger["E2"].reason) == "no_factors: capm has no factor on any event day"
    with pytest.raises(EstimationError, match="model capm could not be fitted to any event × peer"):
        study(tmp_path, *options, rows=rows[1:])


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("model.name=capm",), "model.name = 'capm' needs model.factors_file"),
        (("model.name=capm", "model.factors_file=f.csv"), "model.name = 'capm' needs model.risk_free"),
        (("model.name=factors", "model.factors_file=f.csv"), "model.name = 'factors' needs model.factors"),
        (("model.name=dimson", "model.lags=0"), "model.lags = 0: accepted is 1 to 10"),
        (("model.name=rolling", "model.span=500"), "model.span = 500: accepted is 20 to 240"),
        (("returns.gaps=trade_to_trade", "model.name=garch"), "'trade_to_trade' with model.name = 'garch'"),
        (("model.lag=2",), "unknown key 'model.lag'; .*did you mean 'lags'"),
        (("model.name=markt",), "model.name = 'markt' is unknown; .*did you mean 'market'"),
    ],
)
def test_model_settings_are_checked(tmp_path: Path, options: tuple[str, ...], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        study(tmp_path, *options)


def test_leads_and_lags_come_from_the_market_and_stay_in_the_window(tmp_path: Path) -> None:
    computed = study(tmp_path, "model.name=dimson", "model.lags=2")
    panel = computed.abnormal.panel
    m = computed.returns.markets["XNYS"].market_return
    at = computed.returns.markets["XNYS"].position(np.datetime64("2021-06-09").astype(object))
    np.testing.assert_array_equal(panel.factor("market-2")[0][0], m[at - 252 : at - 12])
    ahead = panel.factor("market+2")[0][0]
    np.testing.assert_array_equal(ahead[:-2], m[at - 248 : at - 10])
    assert np.isnan(ahead[-2:]).all()
    np.testing.assert_array_equal(computed.abnormal.expected.n_estimation, 238)


def test_world_index_is_asked_for_and_needed(tmp_path: Path) -> None:
    write_prices(tmp_path / "prices")
    events = read_events(write_events(tmp_path, [event_row("E1", "2021-06-09")]))
    options = ("model.name=two_index", "model.world=WLD")
    config = load_config(tmp_path / "events.csv", config_file=write_study(tmp_path), overrides=options)
    assert "WLD" in price_request(events, config).tickers
    with pytest.raises(PriceError, match=r"model\.world = 'WLD' has no prices"):
        study(tmp_path, *options)
    same = study(tmp_path, "model.name=two_index", "model.world=IDX").abnormal.expected
    plain = study(tmp_path).abnormal.expected
    np.testing.assert_allclose(same.mean, plain.mean, rtol=0, atol=1e-15)
    np.testing.assert_array_equal(same.dof, plain.dof)


def test_others_are_the_other_peers(tmp_path: Path) -> None:
    computed = study(tmp_path, "model.name=leave_one_out")
    panel = computed.abnormal.panel
    order = {str(ticker): row for row, ticker in enumerate(panel.ticker)}
    others = (panel.event_returns[order["BBB"]] + panel.event_returns[order["CCC"]]) / 2.0
    np.testing.assert_allclose(panel.factor("others")[1][order["AAA"]], others, rtol=1e-12)


def test_donors_are_not_hit_by_the_event(tmp_path: Path) -> None:
    """All peers are of one group: only an event that names its tickers leaves donors."""
    rows = [event_row("E1", "2021-06-09"), event_row("E2", "2021-09-08", tickers="AAA")]
    computed = study(tmp_path, "model.name=synthetic_peer", rows=rows)
    ledger = {(row.event_id, row.ticker): row for row in computed.selection.ledger}
    assert text(ledger["E1", "AAA"].reason).startswith("factors_short: 0 of at least 120 estimation days")
    assert ledger["E2", "AAA"].status == "used"
    expected = computed.abnormal.expected
    assert expected.loadings == ("AAA", "BBB", "CCC")
    assert expected.theta[0, 0] == 0.0
    assert expected.theta[0].sum() == pytest.approx(1.0, abs=1e-14)


def test_a_gap_is_one_return_trade_to_trade(tmp_path: Path) -> None:
    write_prices(tmp_path / "prices")
    edit_prices(tmp_path / "prices" / "AAA.csv", d2021_06_10=None, d2021_06_11=None)
    missing = study(tmp_path).abnormal
    lumped = study(tmp_path, "returns.gaps=trade_to_trade").abnormal
    row = list(lumped.panel.ticker).index("AAA")
    at = int(np.flatnonzero(lumped.panel.event_sessions[row] == np.datetime64("2021-06-14", "D").astype(int))[0])
    assert np.isnan(missing.panel.event_returns[row, at])
    lines = (tmp_path / "prices" / "AAA.csv").read_text(encoding="utf-8").splitlines()
    prices = {line["date"]: float(line["adj_close"]) for line in csv.DictReader(lines)}
    real = prices["2021-06-14"] / prices["2021-06-09"] - 1.0
    assert lumped.panel.event_returns[row, at] == pytest.approx(real, abs=1e-15)
    assert lumped.expected.scale[row, at] == 3.0
    assert np.isnan(missing.car((0, 5))[row])
    assert np.isfinite(lumped.car((0, 5))[row])
    assert np.isnan(lumped.car((0, 2))[row])
    others = np.arange(len(lumped)) != row
    np.testing.assert_allclose(lumped.ar[others], missing.ar[others], rtol=0, atol=1e-15)


def test_conflicting_fits_reach_the_ledger(tmp_path: Path) -> None:
    computed = study(tmp_path, "model.name=garch", "model.variance=conditional")
    ledger = {(row.event_id, row.ticker): text(row.reason) for row in computed.selection.ledger}
    expected = computed.abnormal.expected
    for ticker, remark in zip(computed.abnormal.panel.ticker, expected.remark, strict=True):
        assert text(remark) in ledger["E1", str(ticker)]
    assert any("garch fell back to OLS" in reason for reason in ledger.values())


@pytest.mark.skipif(not SHARED.is_file(), reason="the shared factor file is not beside the project")
def test_the_shared_factors_explain_the_index() -> None:
    """The US market's excess return and the risk-free rate add up to the S&P 500 within its breadth."""
    table = read_factors(SHARED, ["Mkt-RF", "SMB", "HML", "RMW", "CMA", "Mom", "RF"], percent=True)
    assert str(table.dates[0]) == "2018-01-02"
    assert table.column("Mkt-RF")[0] == pytest.approx(0.0085, abs=1e-12)
    with (SHARED.parents[1] / "prices" / "^GSPC.csv").open(encoding="utf-8", newline="") as file:
        close = {row["date"]: float(row["adj_close"]) for row in csv.DictReader(file)}
    days = [str(day) for day in table.dates]
    pairs = [
        (close[b] / close[a] - 1.0, table.column("Mkt-RF")[i + 1] + table.column("RF")[i + 1])
        for i, (a, b) in enumerate(itertools.pairwise(days))
        if a in close and b in close
    ]
    index, factors = np.array(pairs).T
    assert np.corrcoef(index, factors)[0, 1] > 0.98
    assert np.polyfit(index, factors, 1)[0] == pytest.approx(1.0, abs=0.05)
