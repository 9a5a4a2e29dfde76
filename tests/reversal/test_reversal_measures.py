"""Measures of reversal against numbers worked out by hand and against their definitions."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from reversal_twins import clopper_pearson_holds, difference_loop, fieller_holds, permutation_loop, survival_loop
from scipy import special

from eventstudy.core.statistics.dates import sign_flip_floor, sign_flip_p, signs_of
from eventstudy.reversal.measures import (
    half_life,
    kaplan_meier,
    median_time,
    recovery_times,
    reversal_ratio,
    share_positive,
)
from eventstudy.reversal.permutation import (
    Rank,
    difference_p,
    equivalence_p,
    excess,
    leave_one_out,
    matched_permutation,
    rank_among,
    shown_floor,
)

RETURNS = st.floats(-0.5, 0.5).map(lambda x: round(x, 3))


def test_excess_is_the_event_less_the_mean_of_its_placebos() -> None:
    over = excess(np.array([0.05, -0.02, 0.01]), [np.array([0.01, 0.03]), np.array([-0.04]), np.array([])])
    np.testing.assert_allclose(over[:2], [0.03, 0.02])
    assert np.isnan(over[2])


def test_one_event_ranks_among_its_placebos() -> None:
    placebos = np.linspace(-0.10, 0.08, 19)
    test = matched_permutation(np.array([0.20]), [placebos], draws=99, seed=1)
    assert test.exact
    assert test.draws == 20
    assert test.greater == pytest.approx(1 / 20)
    assert test.two_sided == pytest.approx(1 / 20)
    assert test.floor == pytest.approx(1 / 20)
    lowest = matched_permutation(np.array([-0.30]), [placebos], draws=99, seed=1)
    assert (lowest.greater, lowest.less, lowest.two_sided) == (1.0, 1 / 20, 1 / 20)
    middle = matched_permutation(np.array([0.025]), [placebos], draws=99, seed=1)
    assert middle.greater == pytest.approx((1 + (placebos >= 0.025).sum()) / 20)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.lists(RETURNS, min_size=2, max_size=5), min_size=1, max_size=3))
def test_permutation_agrees_with_every_choice_in_turn(sets: list[list[float]]) -> None:
    events, placebos = np.array([s[0] for s in sets]), [np.array(s[1:]) for s in sets]
    test = matched_permutation(events, placebos, draws=99, seed=1)
    greater, less = permutation_loop([s[0] for s in sets], [s[1:] for s in sets])
    assert test.greater == pytest.approx(greater)
    assert test.less == pytest.approx(less)
    ways = [abs(sum(way)) for way in itertools.product(*(as_event(one) for one in sets))]
    slack = 1e-12 * max(*ways, 1e-300)
    assert test.two_sided == pytest.approx(np.mean([way >= ways[0] - slack for way in ways]))
    assert test.floor == pytest.approx(np.mean([way >= max(ways) - slack for way in ways]))
    assert test.floor <= test.two_sided <= 1.0


def as_event(members: list[float]) -> list[float]:
    """Excess of each member of a set over the mean of the others, in turn."""
    return [v - sum(members[:i] + members[i + 1 :]) / (len(members) - 1) for i, v in enumerate(members)]


def test_a_pair_has_a_mirror_image_and_so_no_p_below_one() -> None:
    """With one placebo the two excesses are a number and its negative; two pairs reach one half."""
    one = matched_permutation(np.array([0.3]), [np.array([0.1])], draws=9, seed=1)
    assert (one.greater, one.two_sided, one.floor) == (0.5, 1.0, 1.0)
    two = matched_permutation(np.array([0.3, 0.3]), [np.array([0.1]), np.array([0.1])], draws=9, seed=1)
    assert (two.greater, two.two_sided, two.floor) == (0.25, 0.5, 0.5)


def test_a_rank_counts_the_shock_and_ties_stand_before_it() -> None:
    place = rank_among(0.02, np.array([0.05, 0.02, 0.02, -0.01, -0.30]))
    assert place == Rank(rank=4, among=6, p_value=pytest.approx(5 / 6), floor=pytest.approx(1 / 6))
    assert rank_among(0.02, np.zeros(0)) is None


@pytest.mark.parametrize(
    ("floor", "said"),
    [(1 / 22, "0.045"), (1 / 17, "0.058"), (0.05, "0.05"), (1 / 6, "0.16"), (0.1, "0.1"), (1 / 1500, "0.00066")],
)
def test_a_floor_is_never_rounded_up(floor: float, said: str) -> None:
    text = f"{shown_floor(floor):.2g}"
    assert text == said
    assert float(text) <= floor


def test_a_floor_of_one_or_of_no_test_stays() -> None:
    assert (shown_floor(1.0), shown_floor(0.0)) == (1.0, 0.0)
    assert np.isnan(shown_floor(float("nan")))


def test_the_floor_of_a_difference_counts_mirror_images() -> None:
    """Two against two: six ways, each with its mirror image; one against three has none."""
    gap, p, floor = difference_p(np.array([3.0, 4.0]), np.array([1.0, 2.0]), draws=9, seed=1)
    assert (gap, p, floor) == (2.0, pytest.approx(2 / 6), pytest.approx(2 / 6))
    assert difference_p(np.array([9.0]), np.array([1.0, 2.0, 3.0]), draws=9, seed=1)[1:] == (0.25, 0.25)


def test_floors_of_sign_flips_are_those_of_the_vectors_that_are_used() -> None:
    for k in (2, 5, 14):
        assert sign_flip_floor(k, 999) == 2 / 2**k == sign_flip_p(np.ones(k), signs_of(k, 999, 1))
    assert sign_flip_floor(1, 999) == 1.0
    assert sign_flip_floor(40, 999) == 1 / 1_000 == sign_flip_p(np.ones(40), signs_of(40, 999, 1))


def test_many_sets_are_drawn_with_the_observed_one_counted() -> None:
    rng = np.random.default_rng(3)
    placebos = [rng.normal(0, 0.1, 10) for _ in range(12)]
    test = matched_permutation(np.full(12, 5.0), placebos, draws=999, seed=4)
    assert not test.exact
    assert test.draws == 999
    assert test.greater == pytest.approx(1 / 1000)
    again = matched_permutation(np.full(12, 5.0), placebos, draws=999, seed=4)
    assert again == test


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


def test_difference_of_labels_by_permutation() -> None:
    treated, others = np.array([0.10, 0.08]), np.array([0.0, -0.02, 0.01, 0.03, 0.02])
    gap, p, floor = difference_p(treated, others, draws=99, seed=1)
    assert gap == pytest.approx(0.09 - 0.008)
    assert floor == pytest.approx(1 / 21)
    assert p == pytest.approx(1 / 21)
    assert p == pytest.approx(difference_loop(treated.tolist(), others.tolist()))
    _, mild, _ = difference_p(np.array([0.02, 0.01]), others, draws=99, seed=1)
    assert mild == pytest.approx(difference_loop([0.02, 0.01], others.tolist()))


def test_equivalence_is_the_worse_of_two_one_sided_tests() -> None:
    values = np.array([0.01, -0.01, 0.005, -0.005])
    se = values.std(ddof=1) / 2
    assert equivalence_p(values, 0.03) == pytest.approx(special.stdtr(3, -(0.03 - values.mean()) / se))
    assert equivalence_p(values + 0.02, 0.03) == pytest.approx(special.stdtr(3, -0.01 / se))


def test_leave_one_out_means() -> None:
    np.testing.assert_allclose(leave_one_out(np.array([1.0, 2.0, 6.0])), [4.0, 3.5, 1.5])
