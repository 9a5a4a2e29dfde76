"""How much was given back and how fast, by hand and against loops; gates; dates."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from reversal_studies import many
from reversal_twins import clopper_pearson_holds, fieller_holds, survival_loop
from scipy import special

from eventstudy.messages import text
from eventstudy.reversal.contrasts import label_difference
from eventstudy.reversal.findings import measures
from eventstudy.reversal.measures import (
    gates,
    half_life,
    kaplan_meier,
    median_time,
    recovery_times,
    reversal_ratio,
    share_positive,
)


def test_reversal_ratio_is_a_ratio_of_means() -> None:
    drop, post = np.array([-0.10, -0.06, -0.08, -0.12]), np.array([0.04, 0.05, 0.01, 0.06])
    ratio = reversal_ratio(drop, post)
    assert ratio.estimate == pytest.approx(0.16 / 0.36)
    assert ratio.shape == "interval"
    t = special.stdtrit(3, 0.975)
    for edge, outside in ((ratio.lower, -1e-6), (ratio.upper, 1e-6)):
        assert fieller_holds(edge - outside, drop.tolist(), post.tolist(), t)
        assert not fieller_holds(edge + outside, drop.tolist(), post.tolist(), t)


def test_fieller_sets_without_bounds_are_named() -> None:
    t = special.stdtrit(3, 0.975)
    drop, post = np.array([-0.10, 0.12, -0.09, 0.05]), np.array([0.02, -0.01, 0.03, -0.02])
    ratio = reversal_ratio(drop, post)
    assert ratio.shape == "everything"
    for rho in (-1e3, -1.0, 0.0, 1.0, 1e3):
        assert fieller_holds(rho, drop.tolist(), post.tolist(), t)
    far = reversal_ratio(np.array([-0.10, 0.05, -0.09, 0.02]), np.array([0.20, 0.21, 0.22, 0.19]))
    assert far.shape == "outside"
    assert not fieller_holds((far.lower + far.upper) / 2, [-0.10, 0.05, -0.09, 0.02], [0.20, 0.21, 0.22, 0.19], t)
    assert fieller_holds(far.upper + 1, [-0.10, 0.05, -0.09, 0.02], [0.20, 0.21, 0.22, 0.19], t)


def test_one_date_has_a_ratio_without_an_interval() -> None:
    ratio = reversal_ratio(np.array([-0.1]), np.array([0.025]))
    assert ratio.estimate == pytest.approx(0.25)
    assert ratio.shape == "undefined"
    assert np.isnan(ratio.lower)


@pytest.mark.parametrize(("hits", "n"), [(0, 5), (3, 7), (7, 7), (10, 12)])
def test_share_of_dates_has_the_exact_binomial_interval(hits: int, n: int) -> None:
    values = np.where(np.arange(n) < hits, 0.01, -0.01)
    share, lower, upper = share_positive(values)
    assert share == hits / n
    for edge, out in ((lower, -1e-6), (upper, 1e-6)):
        if 0 < edge < 1:
            assert clopper_pearson_holds(edge - out, hits, n, 0.025)
            assert not clopper_pearson_holds(edge + out, hits, n, 0.025)


def test_recovery_is_the_first_day_on_which_enough_was_given_back() -> None:
    tau = np.arange(-1, 6)
    path = np.array(
        [[np.nan, -0.05, -0.10, -0.08, -0.05, -0.02, 0.00], [np.nan, -0.05, -0.10, -0.12, -0.11, -0.09, -0.08]]
    )
    drop = np.array([-0.10, -0.10])
    time, seen = recovery_times(path, tau, drop, share=0.5, start=2)
    assert time.tolist() == [3.0, 5.0]
    assert seen.tolist() == [True, False]
    time, seen = recovery_times(path, tau, drop, share=1.0, start=2)
    assert (time.tolist(), seen.tolist()) == ([5.0, 5.0], [True, False])


def test_recovery_is_censored_where_the_prices_end() -> None:
    path = np.array([[-0.05, -0.10, -0.09, np.nan, np.nan]])
    time, seen = recovery_times(path, np.arange(5), np.array([-0.10]), share=0.5, start=2)
    assert (time.tolist(), seen.tolist()) == ([2.0], [False])


def test_kaplan_meier_by_hand() -> None:
    time = np.array([2.0, 3.0, 3.0, 5.0, 8.0])
    seen = np.array([True, True, False, True, False])
    times, survival, se = kaplan_meier(time, seen)
    assert times.tolist() == [2.0, 3.0, 5.0]
    np.testing.assert_allclose(survival, [0.8, 0.6, 0.3])
    np.testing.assert_allclose(se[1], 0.6 * np.sqrt(1 / 20 + 1 / 12))
    np.testing.assert_allclose(survival, [survival_loop(time.tolist(), seen.tolist(), t) for t in times])
    assert median_time(times, survival) == 5.0
    assert np.isnan(median_time(times[:2], survival[:2]))


def test_half_life_of_a_path_that_decays() -> None:
    phi = 0.8
    path = -0.02 - 0.08 * phi ** np.arange(20)
    assert half_life(path) == pytest.approx(np.log(0.5) / np.log(phi), rel=0.01)
    path[7] -= 0.03
    assert np.isnan(half_life(path))


def test_a_straight_path_has_no_half_life() -> None:
    assert np.isnan(half_life(np.linspace(-0.10, -0.02, 20)))


def test_the_gates_close_after_the_first_failure(tmp_path: Path) -> None:
    _, shocks, _ = many(tmp_path)
    steps = gates(shocks, label_difference(shocks, shocks.history.config), shocks.history.config)
    assert [gate.step for gate in steps] == [1, 2, 3, 4, 4]
    assert steps[0].reached
    passed = True
    for gate in steps[:3]:
        assert gate.reached == passed
        passed = gate.passed
        assert gate.passed == (gate.reached and gate.p_value <= 0.05)
    assert all(gate.reached == passed for gate in steps[3:])


def test_measures_note_a_sign_that_flips(tmp_path: Path) -> None:
    _, shocks, _ = many(tmp_path, 6)
    flipped = dict(shocks.variants)
    flipped["log"] = -flipped["simple"]
    other = replace(shocks, variants=flipped)
    notes = {
        m.measure: text(m.note) for m in measures(other, [], shocks.history.config) if m.group == "label=misreading"
    }
    assert notes["excess_log"] == "sign differs from simple returns"
    assert notes["excess_bhar"] == ""
