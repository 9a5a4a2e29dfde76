"""Typed attributes of a result: each field by its own name, each number as tables and summary have it."""

from __future__ import annotations

import math
import typing
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from small_study import small_study
from studies import event_row, write_events, write_prices, write_study

from eventstudy import Study, StudyResult
from eventstudy.config.json_values import plain_json
from eventstudy.errors import Reason
from eventstudy.messages import catalogue, say
from eventstudy.report.packs import read_pack
from eventstudy.report.render.views import headline_test
from eventstudy.report.sections.answer import headline
from eventstudy.results import from_tables
from eventstudy.results.columns import TABLES
from eventstudy.results.from_tables import rows_of, verdict_of, warnings_of
from eventstudy.results.records import (
    STUDENTISED,
    AarRow,
    CarRow,
    DropRow,
    LedgerRow,
    ShockRow,
    TestRow,
    TradeRow,
    VerdictRow,
)
from eventstudy.reversal.findings import verdict_facts
from eventstudy.reversal.permutation import PermutationTest, placebo_spread
from eventstudy.reversal.verdict import Evidence, verdict

KINDS: dict[str, Any] = {
    "tests": TestRow,
    "car": CarRow,
    "aar": AarRow,
    "shocks": ShockRow,
    "reversal": DropRow,
    "trades": TradeRow,
    "ledger": LedgerRow,
}
ROWS = [
    event_row("E1", "2021-06-09", label="misreading", label_asof="2021-06-10", title="A drop"),
    event_row("E2", "2021-09-08T10:00:00-04:00", label="genuine", label_asof="2021-09-08", tickers="AAA;BBB"),
    event_row("E3", "2022-01-12", label="misreading", label_asof="2022-01-11"),
]
QUICK = {"report.formats": ["csv", "json"], "reversal.specification_curve": False}


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("records")
    write_prices(folder / "prices", end="2022-04-29")
    write_events(folder, ROWS)
    write_study(folder)
    return folder


def run(place: Path, prices: str = "prices", **overrides: Any) -> StudyResult:
    study = Study.from_toml(place / "study.toml", overrides={**QUICK, **overrides})
    return study.run(place / "events.csv", prices=place / prices if prices == "prices" else prices)


@pytest.fixture(scope="module")
def result(place: Path) -> StudyResult:
    return run(place)


def _filled(kind: Any) -> dict[str, Any]:
    """A value for each field, no two alike where their type allows it."""
    made: dict[Any, Any] = {str: "text {}".format, int: int, float: lambda i: i / 7, bool: lambda i: i % 2 == 0}
    hints = typing.get_type_hints(kind)
    return {
        name: made[hints[name]](i) if hints[name] in made else (i, i + 1)
        for i, name in enumerate(field.name for field in fields(kind))
    }


@pytest.mark.parametrize("name", KINDS)
def test_a_record_has_the_columns_of_its_table_by_name(name: str) -> None:
    kind = KINDS[name]
    assert sorted(field.name for field in fields(kind)) == sorted(TABLES[name])
    values = _filled(kind)
    cells = {k: f"[{v[0]},{v[1]}]" if isinstance(v, tuple) else v for k, v in values.items()}
    (row,) = rows_of(pd.DataFrame([cells])[list(TABLES[name])], kind)
    assert {key: getattr(row, key) for key in values} == values
    assert [type(getattr(row, key)) for key in values] == [type(value) for value in values.values()]


def test_what_is_missing_is_nan_or_empty_and_a_count_is_never_made_up() -> None:
    cells = dict.fromkeys(TABLES["reversal"]) | {
        "n_peers": 3,
        "n_locked": 0,
        "n_placebos": 0,
        "qualifies": False,
        "widened": False,
        "label_in_time": True,
        "rank": None,
    }
    (row,) = rows_of(pd.DataFrame([cells]), DropRow)
    assert (row.n_peers, row.qualifies, row.label_in_time, row.label) == (3, False, True, "")
    assert math.isnan(row.rank)
    assert math.isnan(row.excess_log)
    with pytest.raises(ValueError, match="a yes or no is missing"):
        rows_of(pd.DataFrame([cells | {"qualifies": None}]), DropRow)
    with pytest.raises((TypeError, ValueError)):
        rows_of(pd.DataFrame([cells | {"n_peers": math.nan}]), DropRow)


def test_a_verdict_has_every_number_of_the_summary_by_name() -> None:
    evidence = Evidence(
        subject=Reason("subject.all"),
        window=(2, 20),
        excess=np.array([0.01, 0.05, 0.02, 0.04, 0.03, 0.06, -0.01]),
        drop=np.full(7, -0.08),
        permutation=PermutationTest(greater=0.02, less=0.99, two_sided=0.04, floor=0.001, draws=99, exact=False),
        spread=placebo_spread([np.array([0.01, -0.02, 0.03])] * 7),
        n_events=19,
        n_effective=11.5,
        n_placebos=21,
    )
    facts = plain_json(verdict_facts(verdict(evidence, seed=1, draws=99), "label=misreading", "[2,20]"))
    row = verdict_of(facts)
    assert {"interval" if key == "ci" else key for key in facts} | {"k_eff"} == {
        field.name for field in fields(VerdictRow)
    }
    assert row.interval == tuple(facts["ci"])
    assert row.window == (2, 20)
    for name in set(facts) - {"ci", "window"}:
        value = getattr(row, name)
        assert (None if value != value else value) == facts[name], name
    low, high = stats.t.interval(0.95, 6, evidence.excess.mean(), stats.sem(evidence.excess))
    assert row.effect == pytest.approx(0.2 / 7)
    assert row.interval == pytest.approx((low, high))
    empty = verdict_of({**facts, "effect": None, "ci": [None, None], "p_value": None})
    assert all(math.isnan(value) for value in (empty.effect, *empty.interval, empty.p_value, empty.k_eff))


def test_intervals_are_those_of_the_means_that_the_tables_hold(result: StudyResult) -> None:
    dates = [row.car for row in result.shocks.where(window=(2, 20))]
    firms = [row.car for row in result.car.where(window=(2, 20))]
    assert (len(dates), len(firms)) == (3, 8)
    for name, values in (("ibragimov_mueller", dates), ("cross_sectional_t", firms)):
        test = result.tests.get(name, window=(2, 20))
        for level in (0.95, 0.9):
            wanted = stats.t.interval(level, len(values) - 1, np.mean(values), stats.sem(values))
            assert test.conf_int(level) == pytest.approx(wanted, rel=1e-10), name
    one = result.car.one(event_id="E1", ticker="BBB", window=(0, 1))
    assert one.conf_int() == pytest.approx(stats.t.interval(0.95, one.df, one.car, one.se))
    held = {row.name for row in result.tests if not math.isnan(row.conf_int()[0])}
    assert held == set(STUDENTISED)


def test_an_interval_and_its_p_value_agree(result: StudyResult) -> None:
    """Zero lies in the 95 % interval where p is above 5 %, and at its end where the level is 1 - p."""
    checked = 0
    for test in result.tests:
        low, high = test.conf_int()
        if math.isnan(low):
            continue
        checked += 1
        assert (low <= 0.0 <= high) == (test.p_value >= 0.05)
        if 1e-6 < test.p_value < 1 - 1e-6:
            nearest = min(abs(end) for end in test.conf_int(1.0 - test.p_value))
            assert nearest < 1e-6 * (high - low)
    assert checked > 50


def test_over_shared_days_k_eff_and_the_interval_count_them_once(place: Path, tmp_path: Path) -> None:
    days = ("2021-06-09", "2021-06-16", "2021-06-30", "2021-07-09")
    write_events(tmp_path, [event_row(f"E{i}", day) for i, day in enumerate(days)])
    study = Study.from_toml(place / "study.toml", overrides=QUICK)
    found = study.run(tmp_path / "events.csv", prices=place / "prices")
    test = found.tests.get("ibragimov_mueller", (2, 10))
    values = [row.car for row in found.shocks.where(window=(2, 10))]
    assert (test.n_dates, len(values)) == (4, 4)
    assert 2.0 < test.k_eff < 3.0
    assert test.df < 3.0
    low, high = test.conf_int()
    assert (low + high) / 2 == pytest.approx(np.mean(values))
    assert high - low > np.ptp(stats.t.interval(0.95, 3, np.mean(values), stats.sem(values)))


def test_rows_are_asked_by_their_fields(result: StudyResult) -> None:
    assert len(result.tests) == len(result.tables["tests"])
    test = result.tests.get(name="date_t", window=(0, 1), group="all")
    table = result.tables["tests"].set_index(["group", "window", "name"])
    assert test.p_value == table.loc[("all", "[0,1]", "date_t"), "p_value"]
    assert test.k_eff == table.loc[("all", "[0,1]", "date_t"), "k_eff"]
    genuine = result.tests.get("sign_flip", (0, 1), "label=genuine")
    assert math.isnan(genuine.p_value)
    assert genuine.reason == "n/a, needs 2 dates, has 1"
    ours = result.car.where(ticker="CCC", window=[0, 1])
    assert [row.event_id for row in ours] == ["E1", "E3"]
    frame = result.to_frame("car").query("ticker == 'CCC' and window == '[0,1]'")
    pd.testing.assert_frame_equal(ours.to_frame(), frame)
    assert [row.title for row in result.shocks[:1]] == ["A drop"]
    assert result.aar.one(group="all", tau=0).n == 8
    assert [row.status for row in result.ledger] == ["used"] * 8
    assert repr(result.trades).startswith(f"<{len(result.trades)} × TradeRow: shock_id, ticker, ")
    assert result.tests is result.tests


def test_a_wrong_question_is_answered_with_what_there_is(result: StudyResult) -> None:
    for ask, told in (
        (lambda: result.tests.get("datet", (0, 1)), "no test 'datet'.*did you mean 'date_t'"),
        (lambda: result.tests.get("date_t", (0, 3)), r"no window \(0, 3\); there are \(-1, 1\), \(0, 0\)"),
        (lambda: result.tests.get("date_t", (0, 1), "genuine"), "no group 'genuine'.*label=genuine"),
        (lambda: result.car.where(tickr="AAA"), "no field 'tickr'.*did you mean 'ticker'"),
        (lambda: result.trades.where(nett=0.0), "no field 'nett'.*did you mean 'net'"),
        (lambda: result.car.one(ticker="AAA"), "18 of 48 rows have ticker='AAA'; one is needed"),
        (lambda: result.to_frame("cars"), "no table 'cars'; there are aar"),
    ):
        with pytest.raises(KeyError, match=told):
            ask()


def test_counts_windows_and_model_are_those_of_the_study(result: StudyResult) -> None:
    counts = result.counts
    assert (counts.used, counts.shifted, counts.dropped, counts.merged) == (8, 0, 0, 0)
    assert (counts.n_events, counts.n_shocks, counts.n_peers, counts.n_dates) == (3, 3, 3, 3)
    assert counts.k_eff == result.tests.get("date_t", result.windows.drop).k_eff == 3.0
    assert dict(counts.reasons) == {}
    assert result.windows == Study.from_sector("healthcare").settings.windows
    assert (result.model.name, result.model.lags) == ("market", 1)
    full = small_study()
    trades = full.tables["trades"]
    assert [(row.ticker, row.net) for row in full.trades] == list(zip(trades["ticker"], trades["net"], strict=True))
    assert len(full.trades) == 7
    assert full.verdict.mde == full.facts["verdict"]["mde"]
    assert set(full.verdicts) == {"label=misreading", "label=misreading;exploratory", "label=genuine", "all"}
    assert full.verdicts["label=genuine"].sentence == full.facts["verdicts"]["label=genuine"]["sentence"]


def test_warnings_know_how_grave_they_are() -> None:
    rows = warnings_of([say("labels.undated", label="x", events="E1", n=1), "a text without a code"])
    assert [(row.severity, row.code) for row in rows] == [("serious", "labels.undated"), ("caution", "")]
    assert str(rows[1]) == rows[1].text == "a text without a code"
    assert rows.to_frame()["severity"].tolist() == ["serious", "caution"]
    assert len(warnings_of([])) == 0


def test_the_effect_of_another_quantity_is_its_test_and_there_is_no_verdict(place: Path) -> None:
    found = run(place, **{"study.kind": "volatility"})
    effect = found.effect
    assert (effect.test, effect.window, effect.group) == ("ibragimov_mueller", found.windows.car[0], "all")
    same = found.tests.get("ibragimov_mueller", effect.window)
    assert (effect.estimate, effect.statistic, effect.p_value) == (same.estimate, same.statistic, same.p_value)
    assert (effect.lower, effect.upper) == pytest.approx(same.conf_int(), rel=1e-12)
    assert effect.k_eff == found.tests.get("date_t", effect.window).k_eff == 3.0
    assert found.verdict is None
    assert found.verdicts == {}
    assert (len(found.drops), len(found.trades)) == (0, 0)


def test_repr_is_ten_lines_at_most(result: StudyResult, place: Path) -> None:
    lines = repr(result).splitlines()
    test = headline_test(result)
    assert test is not None
    assert (test.name, test.window, test.group) == ("ibragimov_mueller", (0, 0), "all")
    low, high = test.conf_int()
    mean, low_text, high_text = (f"{100 * x:+.1f}%".replace("-", "−") for x in (test.estimate, low, high))
    assert lines[0] == "StudyResult: Small study"
    assert lines[1] == f"Run: {result.run_id}; prices: files to {result.facts['data_date']}"
    assert lines[2].startswith(f"Verdict: {headline(result.facts, catalogue('en'))[:40]}")
    assert lines[-5] == ("Counts: 8 firm-events used (0 with day 0 shifted), 0 dropped; 3 events, 3 shocks, 3 peers")
    assert lines[-4] == (
        f"CAR [0, 0]: mean {mean}, 95% interval {low_text} to {high_text}, p {test.p_value:.3f} (t over dates)"
    )
    assert lines[-3] == "Dates: K = 3, as much information as 3.0 without overlap (K_eff)"
    assert lines[-2].startswith(f"Warnings: {len(result.warnings)}, the most serious: {result.warnings[0].text[:30]}")
    assert lines[-1].startswith("Next: .verdict, ")
    simulated = repr(run(place, "simulated")).splitlines()
    for shown in (lines, simulated):
        assert len(shown) <= 10
        assert max(map(len, shown)) <= 100
    assert simulated[1].startswith("SIMULATED ")
    assert "SIMULATED" not in repr(result)
    chinese = repr(replace(result, facts={**result.facts, "language": "zh", "warnings": []}))
    assert "警告：无" in chinese.splitlines()
    assert len(chinese.splitlines()) <= 10


def test_a_pack_read_back_has_the_attributes_of_its_summary(result: StudyResult, tmp_path: Path) -> None:
    pack = read_pack(result.write_pack(tmp_path / "pack", formats=("csv", "json")))
    assert repr(pack.verdict) == repr(result.verdict)
    assert pack.counts == result.counts
    assert list(pack.warnings) == list(result.warnings)
    assert pack.windows == result.windows
    with pytest.raises(KeyError, match="no table 'tests'"):
        pack.tests  # noqa: B018
    shown = [line for line in repr(result).splitlines() if not line.startswith(("CAR", "Dates", "Run"))]
    assert [line for line in repr(pack).splitlines() if not line.startswith("Run")] == shown


def test_a_changed_copy_reads_its_own_facts() -> None:
    plain = small_study()
    assert not plain.verdict.sentence.startswith("Other")
    facts = {**plain.facts, "verdict": {**plain.facts["verdict"], "sentence": "Other."}}
    assert replace(plain, facts=facts).verdict.sentence == "Other."
    assert len(from_tables.tests_of(plain.tables["tests"].iloc[:2])) == 2
