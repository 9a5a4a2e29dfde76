"""What pages and terminal say of dates that overlap and of tests that a burst makes too quick."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rich.console import Console
from small_study import changed, small_study
from test_overlap import study

from eventstudy.core.statistics.dates import LARGE_CVR, dates_needed
from eventstudy.messages import catalogue, said
from eventstudy.report.pages import study_document
from eventstudy.report.render.md import markdown
from eventstudy.report.render.tex import write_latex
from eventstudy.report.render.text import summary_text
from eventstudy.report.sections.answer import small_table
from eventstudy.report.terminal import print_summary
from eventstudy.report.wording import p_text
from eventstudy.results.evidence import LITTLE, date_power, worth_of_dates
from eventstudy.results.result import StudyResult

TOGETHER = {"n_events": 12, "n_dates": 3, "n_effective": 3.5, "rbar": 0.3}


def dense(**facts: Any) -> StudyResult:
    """The small study with 2 dates worth 1.7, and a burst in its drop window alone."""
    result = small_study()
    rows = [
        {
            **row,
            "k_eff": 1.7 if row["n_dates"] == 2 else 1.0,
            "cvr": 1.9 if row["n_dates"] == 2 and row["window"] == "[0,1]" else 1.3,
        }
        for row in result.facts["small_table"][2:5]
    ]
    return changed(result, facts={"small_table": rows, **facts})


#: p of BMP-KP in the first row of the table, as it is printed.
P_OF_BMP = p_text(small_study().facts["small_table"][2]["bmp_kp_p"])


@pytest.mark.parametrize("language", ["en", "zh"])
def test_k_eff_stands_beside_k(language: str) -> None:
    shown = small_table(dense().facts, catalogue(language))
    place = shown.head.index("K")
    assert shown.head[place + 1] == "K_eff"
    assert [row[place : place + 2] for row in shown.rows] == [("2", "1.7"), ("2", "1.7"), ("1", "1.0")]


def test_a_result_without_it_has_no_such_column() -> None:
    without = [{name: cell for name, cell in row.items() if name != "k_eff"} for row in dense().facts["small_table"]]
    assert "K_eff" not in small_table(dense(small_table=without).facts, catalogue("en")).head


def test_p_values_are_marked_where_common_volatility_was_high() -> None:
    apart = {"n_events": 12, "n_dates": 3, "n_effective": 12.0, "rbar": 0.0}
    shown = small_table(dense(headline=apart).facts, catalogue("en"))
    names = shown.names
    marked = {(at, names[place]) for at, row in enumerate(shown.rows) for place, cell in enumerate(row) if "‡" in cell}
    # 1.3 is not above the limit; date_t, sign_flip and the cross-sectional t do not take the past's variance.
    assert LARGE_CVR == 1.3
    assert marked == {(0, "bmp_kp_p")}
    assert shown.rows[0][names.index("bmp_kp_p")] == f"{P_OF_BMP} ‡"
    assert shown.mark_note == (
        "‡ The peers' common volatility is above that of the estimation window (ratio 1.9 in [0, +1]): tests "
        "that take variances or correlations from there reject a true null too often."
    )


def test_the_cross_sectional_test_has_the_same_mark_and_one_note() -> None:
    result = dense(headline=TOGETHER)
    shown = small_table(result.facts, catalogue("en"))
    last = [row[-1] for row in shown.rows]
    assert all(cell.endswith("‡") or cell == "–" for cell in last)
    assert shown.mark_note.count("‡") == 1
    assert "they are worth" in shown.mark_note
    assert "ratio 1.9 in [0, +1]" in shown.mark_note
    assert "共同波动比" in small_table(result.facts, catalogue("zh")).mark_note


def test_pages_strike_what_is_marked(tmp_path: Path) -> None:
    document = study_document(dense())
    write_latex(document, tmp_path / "latex")
    tex = (tmp_path / "latex" / "summary.tex").read_text(encoding="utf-8")
    # Heads may be broken into lines.
    assert "K\\_eff" in tex.replace("\\allowbreak{}", "").replace(" \\\\ ", "")
    assert f"{P_OF_BMP} \\ddag{{}}" in tex
    assert f"{P_OF_BMP} ‡" in markdown(document, document.sections[:1])
    assert document.tables()["summary"].mark == "‡"


def printed(result: StudyResult, width: int) -> str:
    console = Console(file=io.StringIO(), width=width, force_terminal=False)
    print_summary(result, Path("pack"), console)
    text: str = console.file.getvalue()  # type: ignore[attr-defined]
    return text


def test_terminal_and_summary_show_marks_and_the_note_that_belongs_to_them() -> None:
    result = dense(headline=TOGETHER)
    wide, narrow = printed(result, 160), printed(result, 72)
    assert "K_eff" in wide
    assert f"{P_OF_BMP} ‡" in wide
    assert " ".join(wide.split()).count("‡ The cross-sectional test") == 1
    # Where no marked column finds room, no note stands about one.
    assert p_text(result.facts["small_table"][0]["date_t_p"]) in narrow
    assert "‡" not in narrow
    text = summary_text(result)
    assert "K_eff" in text
    assert max(len(line) for line in text.splitlines()) <= 100


def test_trust_says_what_overlapping_dates_areworth_of_dates() -> None:
    sample = study([150, 155, 200, 230, 236, 260, 281, 302], 5).at((2, 20))
    row = date_power(sample)
    assert (row["n_dates"], row["k_eff"]) == (8, sample.overlap.k_eff)
    assert row["df"] == sample.overlap.df
    assert row["df"] < 7
    assert row["mde"] > 3 * row["sd"] / np.sqrt(8)
    (text,) = worth_of_dates({(2, 20): row})
    needed = dates_needed(row["sd"], LITTLE, worth=row["k_eff"] / 8)
    assert needed > dates_needed(row["sd"], LITTLE)
    assert text == (
        f"Over [2,20] the windows of the 8 dates overlap: they are worth {row['k_eff']:.1f} (K_eff). date_t, "
        f"with {row['df']:.1f} degrees of freedom, detects a mean of {row['mde']:.1%} with 80 % power; 2% "
        f"would take {needed} such dates."
    )
    assert "只相当于" in said(text, catalogue("zh"))
    apart = date_power(study([150, 180, 210, 240], 5).at((2, 20)))
    assert apart["df"] == 3.0
    assert worth_of_dates({(2, 20): apart}) == []
    (little,) = worth_of_dates({(2, 20): date_power(study([150, 151, 152], 7).at((2, 20)))})
    assert "worth 1.0 dates apart: no test over dates and no band of the mean can be had" in little
