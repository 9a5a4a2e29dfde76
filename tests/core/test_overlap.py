"""Dates whose windows share sessions: the correction by hand, its size, and what does not change it."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from numpy.typing import NDArray
from panels import make_panel
from scipy import stats
from twins import corrected_t

from eventstudy.core.abnormal import abnormal_returns, shock_portfolios
from eventstudy.core.models import fit
from eventstudy.core.statistics import STATISTICS, Sample, residual_correlations
from eventstudy.core.statistics.dates import (
    MANY_DATES,
    _flipped,
    dates_needed,
    detectable,
    minimum_detectable_effect,
    sign_flip_p,
    signs_of,
    student,
)
from eventstudy.core.statistics.overlap import (
    DateOverlap,
    clustered,
    date_overlap,
    growing_overlap,
    likeness,
    shared_sessions,
)
from eventstudy.large.battery import lagged_overlap
from eventstudy.messages import text
from eventstudy.results.multiplicity import adjust, by_block
from eventstudy.results.tables import _aar_columns

L1, L2, WINDOW = 120, 23, (2, 20)
OVER_DATES = ("date_t", "ibragimov_mueller", "sign_flip", "bootstrap_dates", "portfolio_t", "permutation")


def three() -> DateOverlap:
    """Windows of two days at sessions 10, 11 and 20: the first two share one of them."""
    early, late, share = shared_sessions(np.array([[10, 11], [11, 12], [20, 21]], dtype=np.int32))
    return DateOverlap(3, early, late, share)


def study(days: list[int], seed: int, *, peers: int = 2, effect: float = 0.0) -> Sample:
    """Peers at dates of one history of 700 sessions, its residuals read at each date."""
    rng = np.random.default_rng(seed)
    market, common = rng.normal(0, 0.01, 700), rng.normal(0, 0.012, 700)
    own = rng.normal(0, 0.01, (peers, 700))
    rows, index = [], []
    for day in days:
        at = np.arange(day - L1 - 2, day + L2 - 2)
        index.append(at)
        rows += [(market + common + own[i])[at] for i in range(peers)]
    returns = np.array(rows)
    returns[:, L1 + 4 :] += effect / 19
    panel = make_panel(
        returns,
        np.repeat(market[np.array(index)], peers, axis=0),
        n_estimation=L1,
        shock_id=np.repeat([f"S{day:04d}" for day in days], peers).tolist(),
        starts=np.repeat([18_000 + at[0] for at in index], peers).tolist(),
    )
    abnormal = abnormal_returns(panel, fit(panel))
    correlations = residual_correlations(abnormal.expected.residuals, panel.estimation_sessions)
    return Sample(group="all", abnormal=abnormal, correlations=correlations, draws=199)


def test_three_dates_by_hand() -> None:
    """sum(W) = 4; sigma² = (42/9)/(3-4/3) = 2.8; t = 7/sqrt(11.2); df = (5/3)²/(29/18) = 50/29."""
    overlap = three()
    assert overlap.weight.tolist() == [0.5]
    assert overlap.total == 4.0
    assert overlap.k_eff == 9 / 4
    t, df = overlap.student(np.array([1.0, 2.0, 4.0]))
    assert t == pytest.approx(7 / math.sqrt(11.2), rel=1e-14)
    assert df == pytest.approx(50 / 29, rel=1e-14)
    assert overlap.blocks.tolist() == [0, 0, 1]
    # n'Wn = 1 + 4 + 9 + 2*0.5*1*2 = 16 over n'n = 14.
    assert overlap.inflation(np.array([1.0, 2.0, 3.0])) == pytest.approx(16 / 14, rel=1e-14)
    # Block sums of the deviations -4/3-1/3 and 5/3: se = sqrt(2 * 2 * 25/9)/3 = 10/9.
    assert clustered(np.array([1.0, 2.0, 4.0]), overlap.blocks) == pytest.approx(7 / 3 / (10 / 9), rel=1e-14)


@pytest.mark.parametrize("seed", range(5))
def test_against_full_matrices(seed: int) -> None:
    rng = np.random.default_rng(seed)
    day = np.sort(rng.choice(90, 14, replace=False))
    window = (day[:, None] + np.arange(12)).astype(np.int32)
    early, late, share = shared_sessions(window)
    alike = rng.uniform(0.2, 1.0, len(share))
    overlap = DateOverlap(14, early, late, share * alike)
    w = np.eye(14)
    for (j, k), weight in zip(zip(early, late, strict=True), overlap.weight, strict=True):
        expected = len(set(window[j].tolist()) & set(window[k].tolist())) / 12
        assert weight == pytest.approx(expected * alike[(early == j) & (late == k)][0], rel=1e-14)
        w[j, k] = w[k, j] = weight
    assert {(j, k) for j, k in itertools.combinations(range(14), 2) if day[k] - day[j] < 12} == set(
        zip(early.tolist(), late.tolist(), strict=True)
    )
    values = rng.normal(0.3, 1, 14)
    slow = corrected_t(values.tolist(), w.tolist())
    assert slow is not None
    t, df = overlap.student(values)
    assert t == pytest.approx(slow[0], rel=1e-12)
    assert 2 * stats.t.sf(abs(t), df) == pytest.approx(slow[1], rel=1e-10)
    # The same matrix from places on one axis of sessions.
    by_lag = np.zeros((14, 12))
    by_lag[early, day[late] - day[early]] = alike
    lagged = lagged_overlap(day.astype(np.intp), by_lag, (0, 11))
    assert lagged.student(values) == pytest.approx((t, df), rel=1e-12)


def test_without_overlap_it_is_the_plain_t_to_the_last_digit() -> None:
    sample = study([150, 171, 200, 260, 300, 340], 1).at(WINDOW)
    assert not sample.overlap
    assert sample.overlap.k_eff == 6.0
    result = STATISTICS["date_t"](sample)
    assert result.statistic == student(sample.shock_s)
    assert (result.df, result.k_eff) == (5.0, 6.0)
    assert clustered(sample.shock_s, np.arange(6)) == pytest.approx(student(sample.shock_s), rel=1e-14)
    assert (sample.overlap.inflation(np.ones(6)), sample.inflation) == (1.0, 1.0)


def test_peers_that_are_the_same_count_by_their_shared_sessions() -> None:
    """Dates 9 and 10 sessions apart share 10 and 9 of 19: the residuals' correlation is nearly one."""
    sample = study([200, 209, 219, 400], 3).at(WINDOW)
    pairs = dict(
        zip(
            zip(sample.overlap.early.tolist(), sample.overlap.late.tolist(), strict=True),
            sample.overlap.weight.tolist(),
            strict=True,
        )
    )
    assert set(pairs) == {(0, 1), (1, 2)}
    assert pairs[0, 1] == pytest.approx(10 / 19, rel=0.01)
    assert pairs[1, 2] == pytest.approx(9 / 19, rel=0.01)
    assert STATISTICS["date_t"](sample).k_eff == pytest.approx(16 / (4 + 2 * (10 + 9) / 19), rel=0.01)


def test_portfolios_of_other_residuals_count_less_and_unknown_ones_fully() -> None:
    rng = np.random.default_rng(4)
    residual = rng.normal(size=(3, 400))
    sessions = np.tile(np.arange(400, dtype=np.int32), (3, 1))
    residual[1] = 0.6 * residual[0] + 0.8 * residual[1]
    sessions[2] += 380
    early, late = np.array([0, 0, 1]), np.array([1, 2, 2])
    alike = likeness(residual, sessions, early, late)
    expected = residual[0] @ residual[1] / math.sqrt(residual[0] @ residual[0] * (residual[1] @ residual[1]))
    assert alike[0] == pytest.approx(expected, rel=1e-13)
    assert alike[0] == pytest.approx(0.6, abs=0.1)
    assert alike[1:].tolist() == [1.0, 1.0]


@pytest.mark.parametrize("name", [*OVER_DATES, "grank_t", "corrado", "corrado_zivney", "bootstrap_blocks"])
def test_order_of_the_rows_does_not_matter_where_dates_overlap(name: str) -> None:
    days = [150, 155, 200, 230, 236, 260, 281, 302, 323, 344, 365, 386, 407]
    sample = study(days, 5)
    order = np.random.default_rng(1).permutation(len(sample.abnormal))
    mixed = Sample(
        group="all",
        abnormal=sample.abnormal.take(order),
        correlations=sample.correlations[np.ix_(order, order)],
        draws=199,
    )
    first, second = STATISTICS[name](sample.at(WINDOW)), STATISTICS[name](mixed.at(WINDOW))
    assert not first.reason
    assert first.k_eff < 13
    assert second.statistic == pytest.approx(first.statistic, rel=1e-10)
    assert second.p_value == pytest.approx(first.p_value, rel=1e-9)


def test_tests_that_need_blocks_refuse_chained_dates() -> None:
    """Fifteen dates ten sessions apart are one chain; the t over dates still has its degrees of freedom."""
    sample = study([150 + 10 * i for i in range(15)], 6).at(WINDOW)
    for name, needed in (("sign_flip", 6), ("bootstrap_dates", 10)):
        result = STATISTICS[name](sample)
        assert text(result.reason) == (
            f"n/a, needs {needed} blocks of dates whose windows share no session; 15 dates form 1"
        )
        assert math.isnan(result.p_value)
    t = STATISTICS["date_t"](sample)
    assert not t.reason
    assert 7 < t.k_eff < 9
    assert 6 < t.df < 12


def test_dates_worth_less_than_two_are_refused() -> None:
    result = STATISTICS["date_t"](study([150, 151, 152], 7).at(WINDOW))
    assert (
        text(result.reason)
        == "n/a, the windows of 3 dates overlap so much that they carry the information of 1.0 dates; two are needed"
    )
    assert result.k_eff == pytest.approx(1.05, abs=0.03)


def test_independent_firm_events_are_not_claimed_where_windows_overlap() -> None:
    result = STATISTICS["grank_z"](study([150, 155, 200, 260], 8, peers=1).at(WINDOW))
    assert text(result.reason).startswith(
        "n/a, the test assumes independent firm-events; the windows of 4 dates overlap"
    )


def test_step_down_flips_linked_dates_together() -> None:
    matrix = np.array([[1.0, np.nan], [2.0, 3.0], [4.0, np.nan]])
    summed = by_block(matrix, np.array([0, 0, 1]))
    np.testing.assert_array_equal(summed, [[3.0, 3.0], [4.0, np.nan]])
    days = [150, 155, 200, 230, 260, 290, 320, 350]
    sample = study(days, 9).at(WINDOW)
    rows = {row.name: row for row in adjust([sample], [STATISTICS["sign_flip"](sample)])}
    # One window only: stepped down it is the sign-flip test of the seven blocks itself, a multiple of 1/64.
    assert rows["sign_flip"].romano_wolf == pytest.approx(rows["sign_flip"].p_value, abs=1 / 64)


def rates(days_of: NDArray[np.intp], effect: float, names: tuple[str, ...]) -> dict[str, float]:
    found = dict.fromkeys(names, 0)
    for seed, days in enumerate(days_of):
        sample = study(np.sort(days).tolist(), seed, peers=1, effect=effect).at(WINDOW)
        for name in names:
            found[name] += STATISTICS[name](sample).p_value <= 0.05
    return {name: count / len(days_of) for name, count in found.items()}


def test_size_and_power_where_dates_are_dense() -> None:
    """Thirty dates in 550 sessions: the plain t rejects 15 % of true nulls; Monte Carlo error 0.9 points."""
    rng = np.random.default_rng(10)
    draws = np.array([rng.choice(550, 30, replace=False) + 125 for _ in range(600)])
    names = ("date_t", "ibragimov_mueller")
    size = rates(draws, 0.0, names)
    plain = np.mean(
        [
            2 * stats.t.sf(abs(student(study(sorted(d.tolist()), seed, peers=1).at(WINDOW).shock_s)), 29) <= 0.05
            for seed, d in enumerate(draws[:300])
        ]
    )
    assert plain > 0.11
    assert all(0.025 <= rate <= 0.07 for rate in size.values()), size
    power = rates(draws[:150], 0.05, names)
    assert all(rate > 0.6 for rate in power.values()), power


@pytest.mark.parametrize("seed", range(3))
def test_degrees_of_freedom_and_clustering_against_full_matrices(seed: int) -> None:
    """u = D (I - 1a') c with covariance W of c: var(a'c) over E[u'u], by matrices."""
    rng = np.random.default_rng(seed)
    day = np.sort(rng.choice(60, 9, replace=False))
    early, late, share = shared_sessions((day[:, None] + np.arange(10)).astype(np.int32))
    overlap = DateOverlap(9, early, late, share * rng.uniform(0.3, 1.0, len(share)))
    w = np.eye(9)
    w[early, late] = w[late, early] = overlap.weight
    m = np.eye(9) - 1 / 9
    spread = m @ w @ m
    assert overlap.df == pytest.approx(np.trace(spread) ** 2 / np.trace(spread @ spread), rel=1e-12)
    values = rng.normal(size=9)
    np.testing.assert_allclose(overlap.times(values), w @ values, rtol=1e-13)

    def ratio(matrix: NDArray[np.float64], a: NDArray[np.float64]) -> float:
        d = np.diag(a) @ (np.eye(9) - np.outer(np.ones(9), a))
        return float(a @ matrix @ a / np.trace(d @ matrix @ d.T))

    a = rng.uniform(1, 4, 9)
    a /= a.sum()
    expected = 9 / 8 * ratio(w, a) / ratio(np.eye(9), a)
    assert overlap.clustering(a) == pytest.approx(expected, rel=1e-12)
    assert DateOverlap.none(9).clustering(a) == 9 / 8
    # With equal shares the mean's variance is that of the t over dates.
    e = values - values.mean()
    assert overlap.clustering(np.full(9, 1 / 9)) * (e / 9) @ (e / 9) == pytest.approx(
        overlap.spread(values) ** 2 / overlap.k_eff, rel=1e-12
    )


def test_windows_that_grow_have_the_overlap_of_each_of_them() -> None:
    sample = study([150, 155, 162, 200, 260], 11)
    portfolios = shock_portfolios(sample.abnormal)
    growing = growing_overlap(portfolios, portfolios.weighted((0, 0)))
    tau = sample.abnormal.tau
    assert len(growing) == len(tau)
    assert not growing[0]
    for last in (-1, 2, 9, 20):
        inside = (tau >= tau[0]) & (tau <= last)
        one = date_overlap(portfolios, portfolios.weighted((0, 0)), inside)
        np.testing.assert_allclose(growing[int(np.flatnonzero(tau == last)[0])].weight, one.weight, rtol=1e-12)


def band(sample: Sample) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """CAAR and half width of its band by event day."""
    columns = _aar_columns(sample)
    return columns["caar"], columns["upper"] - columns["caar"]


def test_the_band_of_the_mean_car_is_the_t_interval_over_overlapping_dates() -> None:
    """One peer a date: the CAAR is the mean of the dates' CARs, its band that of the t over them."""
    sample = study([150, 155, 162, 200, 260, 300], 12, peers=1)
    caar, half = band(sample)
    for last in (0, 5, 20):
        whole = sample.at((int(sample.abnormal.tau[0]), last))
        t, df = whole.overlap.student(whole.shock_car)
        at = int(np.flatnonzero(sample.abnormal.tau == last)[0])
        assert caar[at] == pytest.approx(whole.shock_car.mean(), rel=1e-12)
        assert half[at] == pytest.approx(stats.t.ppf(0.975, df) * abs(caar[at] / t), rel=1e-9)


def test_no_band_where_dates_are_worth_less_than_two() -> None:
    _, half = band(study([150, 151, 152], 13))
    assert np.isfinite(half[0])
    assert np.isnan(half[-1])
    one = band(study([150], 13))[1]
    assert np.isnan(one).all()


def test_the_band_holds_zero_as_often_as_it_says_where_dates_are_dense() -> None:
    """Thirty dates in 550 sessions, no effect: 95 % of bands hold zero on the last day; error 1.3 points."""
    rng = np.random.default_rng(14)
    held = plain = 0
    for seed in range(300):
        sample = study(np.sort(rng.choice(550, 30, replace=False) + 125).tolist(), seed, peers=1)
        caar, half = band(sample)
        cars = sample.abnormal.ar.sum(axis=1)
        held += abs(caar[-1]) <= half[-1]
        plain += abs(caar[-1]) <= stats.t.ppf(0.975, 29) * cars.std(ddof=1) / math.sqrt(30)
    assert 0.91 <= held / 300 <= 0.99
    assert plain / 300 < 0.89


def test_the_smallest_effect_and_the_dates_it_needs_count_overlap() -> None:
    overlap = three()
    assert minimum_detectable_effect(0.05, 12) == detectable(0.05 / math.sqrt(12), 11)
    assert minimum_detectable_effect(0.05, 9 / 4, df=overlap.df) == detectable(0.05 / 1.5, 50 / 29)
    assert math.isnan(minimum_detectable_effect(0.05, 1.0))
    apart = dates_needed(0.05, 0.02)
    assert dates_needed(0.05, 0.02, worth=0.75) == math.ceil(apart / 0.75)
    assert dates_needed(0.05, 0.02, worth=1.0) == apart


def test_sign_flips_of_many_dates_are_drawn_in_pieces() -> None:
    values = np.random.default_rng(15).normal(0.08, 1, MANY_DATES + 200)
    found, less, greater = _flipped(values, 9_999, 3)
    normal = 2 * stats.norm.sf(abs(values.sum()) / math.sqrt(values @ values))
    assert found == pytest.approx(normal, abs=0.012)
    assert found != 1.0
    assert (greater if values.sum() > 0 else less) == pytest.approx(found / 2, abs=0.006)
    assert greater + less == pytest.approx(1.0001, abs=1e-12)
    assert _flipped(values[:9], 9_999, 3).two_sided == sign_flip_p(values[:9], signs_of(9, 9_999, 3))
