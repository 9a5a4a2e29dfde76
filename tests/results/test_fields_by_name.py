"""Numbers that stand beside a number like them: each by its own name, from values made by hand."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from panels import make_panel

from eventstudy.backtest.outcome import record_row
from eventstudy.backtest.track_record import record
from eventstudy.core.abnormal import AbnormalReturns, abnormal_returns
from eventstudy.core.models import fit
from eventstudy.errors import Reason
from eventstudy.messages import catalogue
from eventstudy.report.sections.ledger import counts
from eventstudy.results.counts import firm_event_counts
from eventstudy.results.tables import _car_table, _estimation_table
from eventstudy.reversal.findings import verdict_facts
from eventstudy.reversal.permutation import PermutationTest, placebo_spread
from eventstudy.reversal.verdict import Evidence, verdict

L1 = 60


def drawn() -> AbnormalReturns:
    rng = np.random.default_rng(3)
    market = rng.normal(0.0005, 0.01, L1 + 6)
    returns = 0.001 + 1.2 * market + rng.normal(0, 0.02, (3, L1 + 6))
    panel = make_panel(returns, market, n_estimation=L1)
    return abnormal_returns(panel, fit(panel), alpha="estimated")


def test_sigma_and_se_are_roots_and_not_squares() -> None:
    """Against least squares and the closed form of the CAR's prediction error, firm by firm."""
    abnormal = drawn()
    panel = abnormal.panel
    estimation = _estimation_table(abnormal)
    cars = _car_table(abnormal, [(0, 2)], "two-sided", compounds=True)
    for i in range(3):
        x, y = panel.estimation_factors[i, :, 0], panel.estimation_returns[i]
        design = np.column_stack([np.ones(L1), x])
        theta, sse, *_ = np.linalg.lstsq(design, y, rcond=None)
        s2 = float(sse[0]) / (L1 - 2)
        assert estimation["sigma"][i] == pytest.approx(np.sqrt(s2), rel=1e-10)
        inside = (panel.tau >= 0) & (panel.tau <= 2)
        star = panel.event_factors[i, inside, 0]
        lever = (star - x.mean()).sum() ** 2 / ((x - x.mean()) ** 2).sum()
        se = np.sqrt(s2 * (3 + 9 / L1 + lever))
        car = (panel.event_returns[i, inside] - theta[0] - theta[1] * star).sum()
        assert cars["se"][i] == pytest.approx(se, rel=1e-9)
        assert cars["car"][i] == pytest.approx(car, rel=1e-9)
        assert cars["t"][i] == pytest.approx(car / se, rel=1e-9)


def test_a_verdict_keeps_its_one_sided_p_and_its_floor_apart() -> None:
    test = PermutationTest(greater=0.11, less=0.95, two_sided=0.2, floor=0.03, draws=99, exact=True)
    values = np.array([0.02, 0.05, -0.01])
    evidence = Evidence(
        subject=Reason("subject.all"),
        window=(2, 20),
        excess=values,
        drop=np.full(3, -0.1),
        permutation=test,
        spread=placebo_spread([np.linspace(-0.1, 0.1, 5)] * 3),
    )
    facts = verdict_facts(verdict(evidence, seed=1, draws=99), "all", "[2,20]")
    assert (facts["p_value"], facts["p_greater"], facts["p_floor"]) == (0.2, 0.11, 0.03)


def a_trade(shock: str, **numbers: float) -> SimpleNamespace:
    return SimpleNamespace(
        shock_id=shock, value=100.0, rows=[1, 2, 3], room=np.nan, currency="USD", hedge_cost=0.5, **numbers
    )


def test_a_track_record_has_each_number_under_its_name() -> None:
    """Two trades of 100: +10 and -4, hedged +8 and -5, cost 1.0 and 1.4, net +7.0 and -6.4."""
    trades = [
        a_trade("A", gross=10.0, hedged=8.0, cost=1.0, net=7.0, adverse_excursion=-0.03),
        a_trade("B", gross=-4.0, hedged=-5.0, cost=1.4, net=-6.4, adverse_excursion=-0.10),
    ]
    result: Any = SimpleNamespace(
        name="rule", filled=trades, trades=trades, shocks=("A", "B"), decisions=[SimpleNamespace(time="x")] * 3
    )
    series: Any = SimpleNamespace(returns=np.array([0.01, -0.02, 0.005, 0.0]))
    row = record_row(record(result, series, [0.1], trials=1, draws=99, seed=1))
    expected = {
        "n_decided": 3,
        "n_trades": 2,
        "n_shocks": 2,
        "n_blocked": 0,
        "gross_per_trade": 0.03,
        "hedged_per_trade": 0.015,
        "cost_per_trade": 0.012,
        "net_per_trade": 0.003,
        "net_per_shock": 0.003,
        "hits": 1,
        "hit_rate": 0.5,
        "profit_factor": 7.0 / 6.4,
        "adverse_excursion": -0.065,
        "break_even_bps": (0.015 - 0.005) / 2 * 1e4,
        "days_held": 2.0,
    }
    assert {name: row[name] for name in expected} == pytest.approx(expected)


def test_shifted_firm_events_are_among_the_used() -> None:
    rows = [("used", ""), ("used", "reason.locked_up"), ("shifted", "reason.shifted_closed")]
    rows += [("dropped", "reason.no_prices"), ("dropped", "reason.series_ends"), ("merged", "reason.repeated")]
    assert firm_event_counts(rows) == {"used": 3, "shifted": 1, "dropped": 2, "merged": 1, "reasons": {"no_prices": 2}}


@pytest.fixture(scope="module", params=["healthcare", "optical"])
def pack(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Pack of a shipped example; the optical one has no prices of its own, so they are simulated."""
    from eventstudy.cli import main

    here, name = tmp_path_factory.mktemp("counts"), str(request.param)
    prices = ["--prices", "simulated"] if name == "optical" else []
    changed = ('report.formats=["csv","json","xlsx","md"]', "reversal.specification_curve=false")
    settings = [part for text in (*changed, "tests.draws=99") for part in ("--set", text)]
    assert main(["run", "--example", name, *prices, "--out", str(here), "--quiet", *settings]) == 0
    return here / "latest"


def test_counts_agree_between_ledger_summary_page_one_and_workbook(pack: Path) -> None:
    """On examples where many firm-events have their day 0 moved."""
    ledger = pd.read_csv(pack / "ledger.csv")
    facts = json.loads((pack / "summary.json").read_text(encoding="utf-8"))
    used, shifted, merged, dropped = (
        int(ledger["status"].isin(names).sum())
        for names in (("used", "shifted"), ("shifted",), ("merged",), ("dropped",))
    )
    assert used + merged + dropped == len(ledger)
    assert 0 < shifted < used
    assert [facts["counts"][name] for name in ("used", "shifted", "dropped")] == [used, shifted, dropped]
    line = counts(facts, catalogue("en"))
    again = f", {merged} repeated and merged" if merged else ""
    assert line == f"Firm-events: {used} used ({shifted} with day 0 moved), {dropped} dropped{again}"
    assert facts["counts"].get("merged", 0) == merged
    told = f"firm-events used {used}, {dropped} dropped"
    assert told in (pack / "summary.md").read_text(encoding="utf-8").replace("\\", "")
    book = pd.read_excel(next(pack.glob("*.xlsx")), sheet_name=None, header=None)
    cells = dict(book["summary"].iloc[:, :2].astype(object).to_numpy().tolist())
    assert int(cells["firm-events used"]) == used
    assert int(cells["firm-events used, day 0 moved"]) == shifted
    assert int(cells["firm-events dropped"]) == dropped
    sheet = book["ledger"]
    at = sheet.iloc[0].tolist().index("status")
    assert int(sheet.iloc[1:, at].isin(["used", "shifted"]).sum()) == used
