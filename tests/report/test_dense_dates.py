"""What pages and terminal say of dates that overlap and of tests that reject too often after a burst."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pytest
from rich.console import Console
from small_study import changed, small_study
from test_overlap import study

from eventstudy.core.statistics.dates import dates_needed
from eventstudy.messages import catalogue, said
from eventstudy.report.render.views import summary_text
from eventstudy.report.sections.answer import small_table
from eventstudy.report.terminal import print_summary
from eventstudy.report.wording import amount, p_text
from eventstudy.results.effect import LITTLE, date_power, which_to_trust, worth_of_dates
from eventstudy.results.result import StudyResult


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


@pytest.mark.parametrize("language", ["en", "zh"])
def test_k_eff_stands_beside_k(language: str) -> None:
    shown = small_table(dense().facts, catalogue(language))
    place = shown.head.index("K")
    assert shown.head[place + 1] == "K_eff"
    assert [row[place : place + 2] for row in shown.rows] == [("2", "1.7"), ("2", "1.7"), ("1", "1.0")]


def printed(result: StudyResult, width: int) -> str:
    console = Console(file=io.StringIO(), width=width, force_terminal=False)
    print_summary(result, console)
    text: str = console.file.getvalue()  # type: ignore[attr-defined]
    return text


def test_terminal_and_summary_show_k_eff_and_the_p_of_the_mean_that_they_show() -> None:
    result = dense()
    row = result.facts["small_table"][0]
    shown = f"{amount(row['estimate'], catalogue('en'))}", p_text(row["p_value"])
    for text in (printed(result, 160), summary_text(result)):
        assert "K_eff" in text
        assert " ".join(shown[:1]) in text
        assert shown[1] in text
    assert "K_eff" not in printed(result, 60)
    assert max(len(line) for line in summary_text(result).splitlines()) <= 100


def test_trust_praises_no_test_for_what_the_dates_do_not_have() -> None:
    assert which_to_trust(7, 7, 0.0, 1.0).endswith("and the BMP test equals the date-level t.")
    assert which_to_trust(7, 6, 0.0, 1.0) == (
        "7 firm-events fall on 6 dates, and their residuals are uncorrelated (mean 0.00): trust the tests over dates, "
        "and use the tests over firm-events for comparison."
    )
    assert "Shares moved together: 7 firm-events on 6 dates" in which_to_trust(7, 6, 0.2, 1.0)


def test_trust_says_what_overlapping_dates_are_worth() -> None:
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
        f"Over [2,20] the windows of the 8 dates overlap: they carry the information of {row['k_eff']:.1f} separate "
        f"dates (K_eff). The date-level t, with {row['df']:.1f} degrees of freedom, detects a mean of "
        f"{row['mde']:.1%} with 80 % power; to detect 2% takes about {float(f'{needed:.2g}'):.0f} such dates."
    )
    assert "只相当于" in said(text, catalogue("zh"))
    apart = date_power(study([150, 180, 210, 240], 5).at((2, 20)))
    assert apart["df"] == 3.0
    assert worth_of_dates({(2, 20): apart}) == []
    (little,) = worth_of_dates({(2, 20): date_power(study([150, 151, 152], 7).at((2, 20)))})
    assert "information of 1.0 separate dates: there is no test over dates and no band of the mean" in little
