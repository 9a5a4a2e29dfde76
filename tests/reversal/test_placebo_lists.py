"""The page on the size of the verdict counts the lists that could be given one."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "benchmarks"))

from placebo_lists import Design, Outcome, allowed, page  # noqa: E402

GIVEN = argparse.Namespace(lists=500, seed=20260624)


def outcomes(*, able: int = 0, drift: int = 0, rest: int = 0, tested: int = 0, small: int = 0) -> tuple[Outcome, ...]:
    """Lists with six dates, some of them called drift, and lists with one; of the tested, some below 5 %."""
    p = [0.01] * small + [0.5] * (tested - small) + [float("nan")] * (able + rest - tested)
    kinds = ["drift"] * drift + ["inconclusive"] * (able + rest - drift)
    dates = [6] * able + [1] * rest
    return tuple(map(Outcome, kinds, dates, p))


def test_rates_are_of_the_lists_that_could_be_given_a_verdict() -> None:
    own = outcomes(rest=125, tested=116, small=3)
    loose = outcomes(able=78, drift=2, rest=47, tested=125, small=7)
    daily = outcomes(able=77, drift=5, rest=48, tested=125, small=17)
    rows = [
        Design("random drops", 69, own_rule=True, outcomes=own),
        Design("loose", 295, own_rule=False, outcomes=loose),
        Design("daily", 295, own_rule=False, outcomes=daily),
    ]
    said = page(rows, GIVEN, "2026-08-11")
    assert "**155 lists could be called anything but inconclusive** (0, 78, 77, row by row)." in said
    assert '"Reversal" was said of 0 of 155, 0.0%; allowed are 5.7% (2.5 % and 2.58 standard errors).' in said
    assert '"Drift" was said of 7 of 155, 4.5% (2 of 78, loose; 5 of 77, daily); allowed are' in said
    assert "None of these lists was made by the study's own rule for drops" in said
    assert "| random drops | 69 | 125 | 0 | 0 | 0 | 125 | 0 | 1.0 | 0 | 3 of 116 (2.6%) |" in said


def test_lists_without_dates_show_nothing() -> None:
    said = page([Design("sessions", 2080, own_rule=True, outcomes=outcomes(rest=125))], GIVEN, "2026-08-11")
    assert "No list had 6 dates: nothing is known about the size of the verdict." in said
    assert '"Reversal" was said' not in said


def test_the_shipped_page_says_what_its_table_holds() -> None:
    shipped = (ROOT / "docs" / "size-of-the-verdict.md").read_text(encoding="utf-8")
    table = [line.split("|")[1:-1] for line in shipped.splitlines() if line.startswith("| random")]
    able, reversals, drifts = (sum(int(row[at]) for row in table) for at in (9, 3, 4))
    assert able == 155
    assert f"**{able} lists could be called" in shipped
    assert f'"Reversal" was said of {reversals} of {able}, ' in shipped
    assert f'"Drift" was said of {drifts} of {able}, {drifts / able:.1%} ' in shipped
    assert f"allowed are {allowed(0.025, able):.1%} (" in shipped


def test_the_allowance_is_two_and_a_half_standard_errors() -> None:
    assert allowed(0.025, 500) == pytest.approx(0.0430, abs=5e-5)
