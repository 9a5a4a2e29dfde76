"""Permutation within matched sets, floors of p-values, dates of several shocks, equivalence."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from reversal_twins import difference_loop, permutation_loop
from scipy import special

from eventstudy.core.statistics.dates import sign_flip_floor, sign_flip_p, signs_of
from eventstudy.reversal.permutation import (
    Rank,
    date_means,
    date_names,
    date_sets,
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


DAY0 = np.array([3, 5, 3], dtype=np.int32)


def test_means_and_names_by_date_in_order_of_the_dates() -> None:
    np.testing.assert_allclose(date_means(DAY0, np.array([0.2, 0.5, 0.4])), [0.3, 0.5])
    np.testing.assert_allclose(date_means(DAY0, np.array([[1.0, 2.0], [5.0, 6.0], [3.0, 4.0]])), [[2, 3], [5, 6]])
    np.testing.assert_array_equal(date_means(np.array([9, 4], dtype=np.int32), np.array([1.0, 2.0])), [2.0, 1.0])
    assert date_names(DAY0, np.array(["B", "C", "A"])) == ["B, A", "C"]


def test_a_dates_placebos_are_those_of_all_its_shocks_about_their_common_mean() -> None:
    placebos = [np.array([0.0, 0.2]), np.array([0.1, 0.3]), np.array([0.3, 0.5, 0.7])]
    post, sets = date_sets(DAY0, np.array([0.2, 0.5, 0.4]), placebos)
    np.testing.assert_allclose(post, [0.3, 0.5])
    # Means 0.1 and 0.5: both are moved to 0.3, and the excess is the mean of 0.1 and -0.1.
    np.testing.assert_allclose(sets[0], [0.2, 0.4, 0.1, 0.3, 0.5])
    assert post[0] - sets[0].mean() == pytest.approx(0.0)
    np.testing.assert_array_equal(sets[1], placebos[1])
