"""Tables and summary of the reversal analysis agree with each other; the case study; planted aftermaths."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from reversal_studies import ENDS, drop_days, many, misread, study
from studies import event_row

from eventstudy.messages import text
from eventstudy.reversal import findings, reversal_summary, tables
from eventstudy.reversal.findings import case_study, shock_rows
from eventstudy.reversal.permutation import matched_permutation, shown_floor


def test_tables_can_be_recomputed_from_each_other(tmp_path: Path) -> None:
    computed, shocks, events = many(tmp_path, 8, "reversal.estimator=matched")
    config = shocks.history.config
    found = findings(shocks, events, computed.alignments, config)
    rows = tables(found, shocks.history.config)
    by_shock = {row["shock_id"]: row for row in rows["reversal"]}
    posts = {
        shock: [p["car_post"] for p in rows["placebo"] if p["shock_id"] == shock and p["tier"] == "P1"]
        for shock in by_shock
    }
    asked = [row for row in by_shock.values() if row["role"] == "confirmatory"]
    assert len(asked) >= 2
    for row in asked:
        assert row["excess"] == pytest.approx(row["car_post"] - np.mean(posts[row["shock_id"]]))
        assert row["n_placebos"] == len(posts[row["shock_id"]])
        assert row["excess_simple"] == pytest.approx(row["excess"])
    measured = {(m["measure"], m["group"]): m for m in rows["reversal_measures"]}
    primary = measured["excess_post", "label=misreading"]
    assert primary["estimate"] == pytest.approx(np.mean([row["excess"] for row in asked]))
    test = matched_permutation(
        np.array([row["car_post"] for row in asked]),
        [np.array(posts[row["shock_id"]]) for row in asked],
        draws=config.tests.draws,
        seed=config.study.seed,
    )
    assert primary["p_value"] == pytest.approx(test.two_sided)
    assert measured["excess_P1", "label=misreading"]["estimate"] == pytest.approx(primary["estimate"])
    ratio = -sum(r["car_post"] for r in asked) / sum(r["car_drop"] for r in asked)
    assert measured["reversal_ratio", "label=misreading"]["estimate"] == pytest.approx(ratio)
    path = {(p["series"], p["tau"]): p["car"] for p in rows["reversal_paths"] if p["group"] == "label=misreading"}
    drop_and_post = path["events", 20] - path["events", -1]
    assert drop_and_post == pytest.approx(np.mean([r["car_drop"] + r["car_post"] for r in asked]))
    summary = reversal_summary(found, shocks.history.config)
    assert summary["verdict"]["effect"] == pytest.approx(primary["estimate"])
    assert set(summary["verdicts"]) == {"label=genuine", "all"}


def test_the_case_study_names_its_rank(tmp_path: Path) -> None:
    days = drop_days(2)
    _, shocks = study(
        tmp_path,
        [misread("E0", days[0]), event_row("E1", days[1], label="contested"), *ENDS],
        'reversal.case="E1"',
        "reversal.estimator=matched",
    )
    facts = case_study(shocks, shocks.history.config)
    assert facts is not None
    k = list(shocks.drops.shock_id).index("E1")
    placebos = shocks.benchmarks.placebos(k)
    own, m = shocks.drops.post[k], len(placebos)
    rank = 1 + int((placebos >= own).sum())
    assert (facts["shock_id"], facts["rank"], facts["among"]) == ("E1", rank, m + 1)
    sentence = text(facts["sentence"])
    assert sentence.startswith(
        f"Case study. One shock. Rank {rank} of {m + 1}, itself and its {m} matched control drops. "
        "No claim about misreadings in general. E1 (drop: "
    )
    everyone = np.append(own, placebos)
    far = np.abs(everyone - everyone.mean())
    p, floor = (far >= far[0] - 1e-15).mean(), (far >= far.max() - 1e-15).mean()
    assert (facts["p_rank"], facts["p_rank_floor"]) == (pytest.approx(p), pytest.approx(floor))
    assert f"(two-sided p of the rank {p:.2f}, which cannot be below {shown_floor(floor):.2g})" in sentence
    row = shock_rows(shocks, shocks.history.config)[k]
    assert (row["rank"], row["among"], row["n_placebos"]) == (rank, m + 1, m)
    assert (row["p_rank"], row["p_rank_floor"]) == (facts["p_rank"], facts["p_rank_floor"])


def test_one_drop_has_one_rank_in_verdict_case_and_tables(tmp_path: Path) -> None:
    days = drop_days(3)
    rows = [
        misread("E0", days[0]),
        event_row("E1", days[1], label="contested"),
        event_row("E2", days[2], label="macro"),
    ]
    _, shocks = study(tmp_path, [*rows, *ENDS])
    verdict, facts = shocks.verdict, case_study(shocks, shocks.history.config)
    assert facts is not None
    assert facts["shock_id"] == "E0"  # the newest of the label asked about, not the newest fall
    assert verdict.estimator == "rank"
    ranked = (verdict.rank, verdict.among, verdict.p_value)
    assert (facts["rank"], facts["among"], facts["p_rank"]) == ranked
    by_shock = {row["shock_id"]: row for row in shock_rows(shocks, shocks.history.config)}
    assert (by_shock["E0"]["rank"], by_shock["E0"]["among"], by_shock["E0"]["p_rank"]) == ranked
    assert verdict.among > by_shock["E0"]["n_placebos"] + 1
    assert f"rank {verdict.rank} of {verdict.among} by size" in text(facts["sentence"])


def test_a_shock_that_is_no_drop_has_no_rank(tmp_path: Path) -> None:
    _, shocks = study(tmp_path, [misread("E0", drop_days(1)[0]), *ENDS], "reversal.drop_min=0.9")
    facts = case_study(shocks, shocks.history.config)
    assert facts is not None
    assert (facts["qualifies"], facts["rank"]) == (False, None)
    assert "which does not count as a drop, so it is not compared" in text(facts["sentence"])


def test_one_date_has_one_two_sided_p_on_every_page(tmp_path: Path) -> None:
    """The verdict's p, its floor, the row of the shock and the primary measure are one test."""
    computed, shocks, events = many(tmp_path, 1, "reversal.estimator=matched")
    found = findings(shocks, events, computed.alignments, shocks.history.config)
    facts, rows = reversal_summary(found, shocks.history.config)["verdict"], tables(found, shocks.history.config)
    assert facts["n_dates"] == 1
    row = next(r for r in rows["reversal"] if r["role"] == "confirmatory")
    assert row["p_rank"] == facts["p_value"]
    assert row["p_rank_floor"] == facts["p_floor"] == pytest.approx(1 / (row["n_placebos"] + 1))
    measured = {(m["measure"], m["group"]): m for m in rows["reversal_measures"]}
    primary = measured["excess_post", "label=misreading"]
    assert primary["p_value"] == facts["p_value"]
    assert text(primary["note"]) == (
        f"permutation over matched control drops: two-sided p, which cannot be below {facts['p_floor']:.4g}; "
        f"one-sided towards a reversal {facts['p_greater']:.4g}"
    )
    assert f"no p below {shown_floor(facts['p_floor']):.2g} is possible" in text(facts["sentence"])
    assert f"rank {row['rank']} of {row['n_placebos'] + 1};" in text(facts["sentence"])


def test_the_placebos_line_averages_as_many_drops_as_it_says(tmp_path: Path) -> None:
    computed, shocks, events = many(tmp_path)
    found = findings(shocks, events, computed.alignments, shocks.history.config)
    rows = tables(found, shocks.history.config)
    groups = {p["group"] for p in rows["reversal_paths"]}
    assert "label=misreading" in groups
    for group in groups:
        counted = np.flatnonzero(shocks.members[group])
        lines = {
            s: {p["n_paths"] for p in rows["reversal_paths"] if (p["group"], p["series"]) == (group, s)}
            for s in ("events", "placebos")
        }
        assert lines["events"] == {len(counted)}
        assert lines["placebos"] == {sum(len(shocks.benchmarks.placebos(int(k))) for k in counted)}
