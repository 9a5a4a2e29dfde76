"""A study whose events carry no label in question: the effect of its events, against a computation of its own."""

from __future__ import annotations

import datetime as dt
import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from studies import event_row, write_events, write_prices, write_study

from eventstudy import Study, StudyResult
from eventstudy.cli import main
from eventstudy.errors import ConfigError
from eventstudy.exchanges.calendars import sessions

FIRMS = ("AAA", "BBB", "CCC", "DDD", "EEE", "FFF", "GGG", "HHH")
#: Files of the question about reversals.
OF_REVERSAL = {
    *(
        "reversal",
        "reversal_measures",
        "endpoints",
        "endpoint_drops",
        "falls",
        "reversal_paths",
        "gates",
        "placebo",
        "placebo_balance",
        "clarifications",
    ),
    *("specification_curve", "claims", "trades", "comparison_trades", "track_record", "pnl", "backtest"),
    *("specifications", "cost_sensitivity", "fees"),
}
SMALL = {"tests.names": ["date_t", "ibragimov_mueller", "cross_sectional_t", "sign_flip"]}


def make(folder: Path, firms: tuple[str, ...], rows: list[str]) -> Path:
    folder.mkdir(exist_ok=True)
    write_prices(folder / "prices", firms)
    write_study(folder, firms)
    write_events(folder, rows)
    return folder


def run(folder: Path, **overrides: Any) -> StudyResult:
    study = Study.from_toml(folder / "study.toml", overrides={**SMALL, **overrides})
    return study.run(folder / "events.csv", prices=str(folder / "prices"))


def rows_of(n: int, firms: tuple[str, ...], **cells: str) -> list[str]:
    """``n`` events of one firm each, on days far apart from each other or not."""
    days = sessions("XNYS", dt.date(2021, 3, 1), dt.date(2022, 11, 1))
    chosen = np.random.default_rng(1).choice(len(days), n, replace=False)
    return [
        event_row(f"E{at:02d}", str(days[day]), tickers=firms[at % len(firms)], **cells)
        for at, day in enumerate(chosen)
    ]


def car_by_hand(folder: Path, ticker: str, day: str, window: tuple[int, int]) -> tuple[float, float, int]:
    """CAR, its standard error and the degrees of freedom by least squares on the closes of the files.

    With a single event the estimation has all of [-250, -11].
    """
    table = [pd.read_csv(folder / "prices" / f"{name}.csv").set_index("date")["close"] for name in (ticker, "IDX")]
    both = pd.concat(table, axis=1).pct_change()
    zero = list(both.index).index(day)
    y, x = both.iloc[zero - 250 : zero - 10].dropna().to_numpy().T
    design = np.column_stack([np.ones(len(x)), x])
    coefficients, residual = np.linalg.lstsq(design, y, rcond=None)[:2]
    df = len(y) - 2
    event = both.iloc[zero + window[0] : zero + window[1] + 1].to_numpy()
    there = np.column_stack([np.ones(len(event)), event[:, 1]])
    total = there.sum(axis=0)
    spread = len(event) + total @ np.linalg.inv(design.T @ design) @ total
    return float((event[:, 0] - there @ coefficients).sum()), float(np.sqrt(residual[0] / df * spread)), df


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make(tmp_path_factory.mktemp("plain") / "forty", FIRMS, rows_of(40, FIRMS))


@pytest.fixture(scope="module")
def forty(plain: Path) -> StudyResult:
    return run(plain)


def test_forty_events_have_the_mean_over_their_dates_in_front(forty: StudyResult) -> None:
    effect = forty.effect
    car = forty.to_frame("car").query("window == '[0,0]'")["car"]
    assert (effect.window, effect.n_events, effect.n_dates) == ((0, 0), 40, 40)
    # Each event has a date of its own, and windows of one day do not overlap.
    known = stats.ttest_1samp(car, 0.0)
    assert effect.estimate == pytest.approx(car.mean(), rel=1e-12)
    assert effect.se == pytest.approx(stats.sem(car), rel=1e-9)
    assert (effect.statistic, effect.p_value) == pytest.approx((known.statistic, known.pvalue), rel=1e-9)
    assert (effect.lower, effect.upper) == pytest.approx(tuple(known.confidence_interval(0.95)), rel=1e-9)
    assert effect.k_eff == pytest.approx(40.0)
    assert effect.sentence.startswith(f"The shares moved by {100 * car.mean():+.2f}% on average on the event day, ")
    assert known.pvalue > 0.05
    assert effect.sentence.endswith(" The interval includes zero, so the direction is not known.")
    assert forty.verdict is None
    assert (forty.verdicts, len(forty.drops), len(forty.trades)) == ({}, 0, 0)


def test_each_event_day_has_its_mean_and_the_sum_up_to_it(forty: StudyResult) -> None:
    days = forty.to_frame("event_days").set_index("tau")
    daily = forty.to_frame("abnormal_returns").pivot(index="event_id", columns="tau", values="ar")
    assert days.index.tolist() == list(range(-10, 21))
    np.testing.assert_allclose(days["ar"], daily.mean(), rtol=1e-9)
    np.testing.assert_allclose(days["ar_t"], stats.ttest_1samp(daily, 0.0).statistic, rtol=1e-9)
    np.testing.assert_allclose(days["car"], daily.mean().cumsum(), rtol=1e-9, atol=1e-12)
    first = days.loc[-10]
    assert first["car_t"] == first["ar_t"]


def test_windows_and_groups_of_other_questions_are_not_there(forty: StudyResult) -> None:
    assert not OF_REVERSAL & set(forty.tables)
    gone = {
        "verdict",
        "verdicts",
        "exploratory",
        "chronology",
        "labels",
        "claims",
        "backtest",
        "more_data",
        "case_study",
    }
    assert not gone & set(forty.facts)
    tests = forty.to_frame("tests")
    # label=unknown, market=XNYS and region=US hold the same firm-events as all.
    assert {group for group in tests["group"] if "shock_id" not in group} == {"all"}
    assert set(tests["window"]) == {f"[{a},{b}]" for a, b in forty.windows.car}


def test_one_event_of_one_firm_is_its_car(tmp_path: Path) -> None:
    folder = make(tmp_path / "one", ("AAA",), [event_row("E1", "2021-06-09", tickers="AAA")])
    found = run(folder, **{"windows.car": [[0, 1]], "windows.event": [-5, 5]})
    car, se, df = car_by_hand(folder, "AAA", "2021-06-09", (0, 1))
    effect = found.effect
    assert (effect.test, effect.n_events, effect.n_dates, effect.df) == ("car_t", 1, 1, df)
    assert (effect.estimate, effect.se) == pytest.approx((car, se), rel=1e-9)
    assert effect.p_value == pytest.approx(2 * stats.t.sf(abs(car / se), df), rel=1e-9)
    assert (effect.lower, effect.upper) == pytest.approx(stats.t.interval(0.95, df, car, se), rel=1e-9)
    assert effect.sentence.startswith(f"The share moved by {100 * car:+.2f}% over days [0, +1], ")
    assert set(found.to_frame("tests")["window"]) == {"[0,1]"}


def test_one_firm_has_its_events_on_page_one(tmp_path: Path) -> None:
    days = ("2021-03-09", "2021-06-09", "2021-09-09", "2022-01-12", "2022-05-10")
    rows = [event_row(f"E{at}", day, tickers="AAA") for at, day in enumerate(days)]
    folder = make(tmp_path / "firm", ("AAA",), rows)
    given = [str(folder / "events.csv"), "--config", str(folder / "study.toml"), "--prices", str(folder / "prices")]
    out = tmp_path / "out"
    assert main(["run", *given, "--set", 'report.formats=["md","csv","json"]', "--out", str(out), "--quiet"]) == 0
    car = pd.read_csv(out / "latest" / "tables" / "car.csv").query("window == '[0,0]'")
    page = (out / "latest" / "summary.md").read_text(encoding="utf-8")
    for row in car.itertuples():
        cells = (
            f"| {row.event_id} | AAA | {100 * row.car:+.2f}% | {100 * row.se:.2f}% | {row.t:.2f} | {row.p_value:.3f} |"
        )
        assert cells.replace("-", "−") in page
    assert not {path.stem for path in (out / "latest" / "tables").glob("*.csv")} & OF_REVERSAL
    facts = json.loads((out / "latest" / "summary.json").read_text(encoding="utf-8"))
    assert facts["effect"]["p_value"] == pytest.approx(stats.ttest_1samp(car["car"], 0).pvalue, rel=1e-9)


@pytest.mark.parametrize(("ask", "label"), [("auto", "unknown"), ("no", "misreading")])
def test_without_a_label_or_by_the_setting_nothing_is_asked(tmp_path: Path, ask: str, label: str) -> None:
    rows = [event_row("E1", "2021-06-09", label=label, label_asof="2021-06-08")]
    found = run(make(tmp_path / "asked", ("AAA", "BBB"), rows), **{"reversal.ask": ask})
    assert found.verdict is None
    assert found.effect.n_events == 2


@pytest.mark.parametrize(("ask", "label"), [("auto", "misreading"), ("yes", "unknown")])
def test_a_label_or_the_setting_asks(tmp_path: Path, ask: str, label: str) -> None:
    rows = [event_row("E1", "2021-06-09", label=label, label_asof="2021-06-08" if label == "misreading" else "")]
    folder = make(tmp_path / "asked", ("AAA", "BBB"), rows)
    quick = {"reversal.ask": ask, "reversal.specification_curve": False}
    found = run(folder, **quick)
    assert found.verdict is not None
    assert found.verdict.kind == "inconclusive"
    assert "event_days" not in found.tables
    # The effect stands for any study.
    assert found.effect.estimate == found.to_frame("shocks").query("window == '[0,0]'")["car"].iloc[0]
    with pytest.raises(ConfigError, match="has no room for windows"):
        run(folder, **{"reversal.ask": "auto", "reversal.label": label, "windows.event": [-1, 1]})


def test_a_short_event_window_cuts_what_is_not_written(tmp_path: Path) -> None:
    folder = make(tmp_path / "short", ("AAA",), [event_row("E1", "2021-06-09")])

    def windows(**overrides: Any) -> Any:
        return Study.from_toml(folder / "study.toml", overrides=overrides).settings.windows

    short = windows(**{"windows.event": [-5, 5]})
    assert (short.drop, short.post) == ((0, 1), (2, 5))
    assert short.car == ((0, 0), (0, 1), (-1, 1), (2, 5))
    assert windows(**{"windows.event": [0, 0]}).car == ((0, 0),)
    assert windows(**{"windows.event": [-20, 30]}).estimation == (-250, -21)
    for name, window in (("post", [2, 20]), ("car", [[0, 6]])):
        with pytest.raises(ConfigError, match=r"lies outside windows.event = \[-5, 5\]"):
            windows(**{"windows.event": [-5, 5], f"windows.{name}": window})


def test_packs_without_a_verdict_are_shown_compared_verified_and_not_pooled(
    plain: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(plain)
    given = ["run", "events.csv", "--config", "study.toml", "--prices", "prices", "--quiet"]
    given += ["--set", 'report.formats=["csv","json"]']
    packs = [str(tmp_path / name / "latest") for name in ("first", "second")]
    assert main([*given, "--out", str(tmp_path / "first")]) == 0
    assert main([*given, "--set", "windows.car=[[0,1]]", "--out", str(tmp_path / "second")]) == 0
    capsys.readouterr()
    assert main(["show", packs[0]]) == 0
    shown = " ".join(capsys.readouterr().out.replace("│", "").split())
    assert "beyond what the market explains (95 % interval" in shown
    assert main(["compare", *packs, "--json"]) == 0
    changes = {(row["part"], row["name"]) for row in json.loads(capsys.readouterr().out)}
    assert {("effect", "window"), ("effect", "estimate")} <= changes
    assert main(["verify", packs[0]]) == 0
    capsys.readouterr()
    assert main(["pool", *packs, "--out", str(tmp_path / "pool")]) == 2
    assert "has no verdict: it asks for the effect of its events" in " ".join(capsys.readouterr().err.split())


def test_both_languages_say_the_effect(plain: Path) -> None:
    for language, noun in (("en", "mean CAR"), ("zh", "平均 CAR")):
        shown = run(plain, **{"study.language": language}).summary()
        assert noun in shown
