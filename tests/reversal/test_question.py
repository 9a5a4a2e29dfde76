"""The shocks of a study: verdicts by label and time, ways to count, shocks of one day."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from reversal_studies import ENDS, drop_days, many, misread, shared_prices, study
from studies import event_row

from eventstudy.messages import text
from eventstudy.reversal import findings, reversal_summary
from eventstudy.reversal.contrasts import label_difference
from eventstudy.reversal.estimator import estimate
from eventstudy.reversal.findings import measures
from eventstudy.reversal.history import as_kind
from eventstudy.reversal.matching import matched_sets, variants
from eventstudy.reversal.measures import gates


def test_two_shocks_of_one_day_count_once_in_the_verdict(tmp_path: Path) -> None:
    first, second = drop_days(2)
    rows = [misread("A", first, tickers="AAA;BBB"), misread("B", first, tickers="CCC"), misread("C", second)]
    rows[1] = rows[1].replace(f"misreading,{first},", f"misreading,{first},S")
    _, shocks = study(tmp_path, rows, "reversal.share_negative=0.1", "reversal.drop_k=0.1", "reversal.drop_min=0.0001")
    assert shocks.drops.shock_id.tolist() == ["A", "S", "C"]
    assert shocks.drops.overlaps == ("", "", "")
    assert shocks.asked.tolist() == [True, True, True]
    x = estimate(shocks.comparison.of(shocks.asked)).own
    assert shocks.verdict.n_dates == 2
    assert shocks.verdict.effect == pytest.approx((x[:2].mean() + x[2]) / 2, rel=1e-12)
    found = {m.measure: m for m in measures(shocks, [], shocks.history.config) if m.group == "label=misreading"}
    assert {found[name].n_dates for name in ("car_drop", "car_post", "excess_post", "share_positive")} == {2}
    drop = shocks.drops.drop
    assert found["car_drop"].estimate == pytest.approx((drop[:2].mean() + drop[2]) / 2, rel=1e-12)
    step = gates(shocks, label_difference(shocks, shocks.history.config), shocks.history.config)[0]
    assert step.estimate == pytest.approx(found["car_drop"].estimate, rel=1e-12)


def test_a_late_label_is_left_out_of_the_confirmatory_verdict(tmp_path: Path) -> None:
    days = drop_days(2)
    rows = [misread("E0", days[0]), event_row("E1", days[1], label="misreading", label_asof="2022-12-01")]
    _, shocks = study(tmp_path, rows)
    assert shocks.in_time.tolist() == [True, False]
    assert shocks.asked.tolist() == [True, False]
    assert shocks.verdict.n_dates == 1
    assert shocks.exploratory.n_dates == 2


def test_a_late_label_is_left_out_of_the_verdicts_on_other_labels(tmp_path: Path) -> None:
    days = drop_days(2)
    rows = [
        event_row("E0", days[0], label="genuine", label_asof=days[0]),
        event_row("E1", days[1], label="genuine", label_asof="2022-12-01"),
    ]
    _, shocks = study(tmp_path, rows)
    assert shocks.in_time.tolist() == [True, False]
    assert shocks.verdicts["label=genuine"].n_dates == 1
    # No label is in the question of all drops.
    assert shocks.verdicts["all"].n_dates == 2


@pytest.mark.parametrize(("asof", "said"), [(0, "no late label among them"), (1, "late labels included")])
def test_the_exploratory_verdict_says_whether_a_late_label_is_in_it(tmp_path: Path, asof: int, said: str) -> None:
    days = drop_days(2)
    known = (days[1], "2022-12-01")[asof]
    _, shocks = study(
        tmp_path, [misread("E0", days[0]), event_row("E1", days[1], label="misreading", label_asof=known)]
    )
    assert f"after misreading-labelled drops ({said}) the peers'" in text(shocks.exploratory.sentence)


def test_late_labels_alone_leave_a_verdict_nothing_and_it_says_so(tmp_path: Path) -> None:
    rows = [event_row("E0", drop_days(1)[0], label="genuine", label_asof="2022-12-01")]
    _, shocks = study(tmp_path, rows)
    assert text(shocks.verdicts["label=genuine"].sentence) == (
        "Inconclusive: the label of the one genuine-labelled drop was set after the drop had ended, "
        "so there is no confirmatory test."
    )


def test_measures_in_other_returns_do_not_depend_on_the_studys_own(tmp_path: Path) -> None:
    """From log returns the simple, the log and the buy-and-hold excess are those made from simple ones."""
    _, shocks, _ = many(tmp_path, 2)
    history, found = shocks.history, shocks.benchmarks
    logs = replace(history, panel=as_kind(history.panel, "log", history.config.model))
    none = np.zeros(0, dtype=np.int64)
    days = [none if why else found.days(k) for k, why in enumerate(found.reasons)]
    sets = matched_sets(logs, shocks.requests, shocks.drops.shock_id, shocks.tickers, days)
    made = variants(logs, shocks.requests, shocks.drops.shock_id, shocks.tickers, days, sets, history.config)
    for name in ("simple", "log", "bhar"):
        own = shocks.variants[name]
        assert np.isfinite(own).sum() >= 1
        np.testing.assert_allclose(made[name], own, rtol=0, atol=1e-10)
    own = shocks.variants
    assert not np.allclose(own["log"], own["bhar"], equal_nan=True)


def test_placebo_dates_that_two_labels_share_are_counted(tmp_path: Path) -> None:
    computed, shocks, events = many(tmp_path)
    found = findings(shocks, events, computed.alignments, shocks.history.config)
    counted = np.flatnonzero(shocks.members["all"])
    times = Counter(int(day) for k in counted for day in shocks.benchmarks.days(int(k)))
    twice = sum(count > 1 for count in times.values())
    assert twice > 0
    summary = reversal_summary(found, shocks.history.config)
    assert summary["verdicts"]["all"]["n_shared_placebos"] == twice
    assert summary["verdict"]["n_shared_placebos"] == 0
    assert summary["verdicts"]["label=genuine"]["n_shared_placebos"] == 0


def plant(folder: Path, days: list[str], daily: float) -> None:
    """Write the shared prices with ``daily`` added to every peer's return on days +2 to +11 of each drop."""
    folder.mkdir()
    for path in Path(shared_prices().name).glob("*.csv"):
        lines = path.read_text().splitlines()
        factor, rows = 1.0, [lines[0]]
        dates = [line[:10] for line in lines[1:]]
        raised = {dates.index(day) + step for day in days for step in range(2, 12)}
        for number, line in enumerate(lines[1:]):
            date, close, _, volume = line.split(",")
            factor *= 1.0 + daily if number in raised and path.stem != "IDX" else 1.0
            rows.append(f"{date},{float(close) * factor!r},{float(close) * factor!r},{volume}")
        (folder / path.name).write_text("\n".join([*rows, ""]), encoding="utf-8")


@pytest.mark.parametrize(("daily", "kind"), [(0.012, "reversal"), (-0.012, "drift"), (0.0, "inconclusive")])
def test_a_planted_aftermath_gets_its_verdict(tmp_path: Path, daily: float, kind: str) -> None:
    days = drop_days(9)
    plant(tmp_path / "prices", days, daily)
    _, shocks = study(tmp_path, [*(misread(f"E{i}", day) for i, day in enumerate(days)), *ENDS])
    assert shocks.verdict.n_dates >= 6
    assert shocks.verdict.kind == kind
    if daily:
        assert shocks.verdict.effect == pytest.approx(10 * daily, abs=0.05)
        assert shocks.verdict.p_value < 0.01
