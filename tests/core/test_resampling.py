"""Ranks and drawn distributions against other implementations, and the rules of their draws."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import statsmodels.api as sm
from arch.bootstrap import StationaryBootstrap
from panels import make_panel
from scipy import stats

from eventstudy.core.abnormal import abnormal_returns
from eventstudy.core.arrays import row_ranks
from eventstudy.core.models import fit
from eventstudy.core.statistics import STATISTICS, Sample, Tails, TestResult
from eventstudy.core.statistics.calendar_time import newey_west_variance
from eventstudy.core.statistics.rank_tests import signed_rank_tails
from eventstudy.core.statistics.resampled import _stationary_rows, skewness_adjusted, stationary_positions
from eventstudy.messages import text


def test_ranks_put_ties_at_their_mean_and_leave_missing_ones_out() -> None:
    values = np.array([[3.0, 1.0, np.nan, 1.0, 2.0], [np.nan] * 5, [5.0, 4.0, 3.0, 2.0, 1.0]])
    expected = [[4.0, 1.5, np.nan, 1.5, 3.0], [np.nan] * 5, [5.0, 4.0, 3.0, 2.0, 1.0]]
    np.testing.assert_array_equal(row_ranks(values), expected)


@pytest.mark.parametrize("n", [1, 2, 7, 23, 50])
def test_exact_signed_rank_p_is_that_of_scipy(n: int) -> None:
    values = np.random.default_rng(n).normal(0.3, 1, n)
    expected = stats.wilcoxon(values, method="exact")
    w = stats.rankdata(np.abs(values))[values > 0].sum()
    found = signed_rank_tails(w, n)
    assert found.two_sided == pytest.approx(expected.pvalue, rel=1e-12)
    for side in ("less", "greater"):
        expected = stats.wilcoxon(values, method="exact", alternative=side)
        assert found.of(side) == pytest.approx(expected.pvalue, rel=1e-12)


def sample_with_cars(car: np.ndarray) -> Sample:
    """Firm-events whose CAR on day 0 is given, up to the fit's error, which is zero here."""
    n, rng = len(car), np.random.default_rng(0)
    market = rng.normal(0, 0.01, 43)
    returns = np.tile(market, (n, 1))
    returns[:, :40] += 0.01 * np.tile([1.0, -1.0], 20) * rng.uniform(1, 2, (n, 1))
    panel = make_panel(returns, market, n_estimation=40)
    abnormal = abnormal_returns(panel, fit(panel))
    panel.event_returns[:, 2] += car - abnormal.car((0, 0))
    return Sample(group="all", abnormal=abnormal_returns(panel, fit(panel)), correlations=np.zeros((n, n)))


@pytest.mark.parametrize("n", [60, 200])
def test_wilcoxon_of_many_is_normal_without_correction(n: int) -> None:
    car = np.random.default_rng(n).normal(0.01, 0.05, n)
    result = STATISTICS["wilcoxon"](sample_with_cars(car).at((0, 0)))
    expected = stats.wilcoxon(car, method="asymptotic", correction=False)
    assert result.distribution == "normal"
    assert result.p_value == pytest.approx(expected.pvalue, rel=1e-8)


def test_wilcoxon_with_ties_and_zeros() -> None:
    car = np.array([0.02, -0.02, 0.02, 0.0, 0.03, 0.01, -0.01, 0.05, 0.0, 0.04])
    sample = sample_with_cars(car).at((0, 0))
    result = STATISTICS["wilcoxon"](dataclasses.replace(sample, car=car))
    expected = stats.wilcoxon(car, zero_method="wilcox", method="asymptotic", correction=False)
    assert result.statistic == stats.rankdata(np.abs(car[car != 0]))[car[car != 0] > 0].sum()
    assert result.p_value == pytest.approx(expected.pvalue, rel=1e-12)
    none = STATISTICS["wilcoxon"](dataclasses.replace(sample, car=np.zeros(10)))
    assert text(none.reason) == "n/a, all CARs are zero"


def test_skewness_adjusted_t_by_hand() -> None:
    row = np.array([-0.1, 0.0, 0.05, 0.4])
    s, n = row.mean() / row.std(ddof=1), 4
    g = ((row - row.mean()) ** 3).sum() / (n * row.std(ddof=1) ** 3)
    assert skewness_adjusted(row[None, :])[0] == pytest.approx(2 * (s + g * s * s / 3 + g / 24), rel=1e-13)


def test_two_tailed_share_counts_the_value_itself() -> None:
    draws = np.arange(99.0)
    assert Tails.drawn(-1.0, draws, symmetric=False) == pytest.approx((0.02, 0.01, 1.0))
    assert Tails.drawn(49.0, draws, symmetric=False) == pytest.approx((1.0, 0.51, 0.51))
    assert Tails.drawn(200.0, np.full(99, np.nan), symmetric=False) == (1.0, 1.0, 1.0)
    assert Tails.drawn(-96.0, draws, symmetric=True) == pytest.approx((0.04, 0.01, 1.0))


def test_stationary_positions_against_a_loop() -> None:
    """Same random numbers: a day starts a block with probability 1/mean, else it follows the day before."""
    length, width, draws = 60, 19, 40
    rng = np.random.default_rng(7)
    new, starts = rng.random((draws, width)), rng.integers(length, size=(draws, width))
    expected = np.zeros((draws, width), dtype=int)
    for b in range(draws):
        for t in range(width):
            begins = t == 0 or new[b, t] < length ** (-1 / 3)
            expected[b, t] = starts[b, t] if begins else (expected[b, t - 1] + 1) % length
    assert (_stationary_rows(length, width, draws, 7) == expected).all()
    every = stationary_positions(length, 5, width=width, mean_block=1.0, rng=np.random.default_rng(3))
    alone = np.random.default_rng(3)
    alone.random((5, width))
    assert (every == alone.integers(length, size=(5, width))).all()


def test_stationary_bootstrap_has_the_variance_of_archs() -> None:
    """Sums of nine days of an autocorrelated series, resampled in blocks of the same mean length."""
    rng = np.random.default_rng(4)
    noise = rng.normal(size=500)
    series = noise + 0.6 * np.roll(noise, 1)
    width, length = 9, len(series)
    rows = _stationary_rows(length, width, 20_000, 1)
    ours = (series - series.mean())[rows].sum(axis=1)
    theirs = StationaryBootstrap(length ** (1 / 3), series - series.mean(), seed=np.random.default_rng(5))
    sums = np.concatenate(
        [data[0][0][: length // width * width].reshape(-1, width).sum(axis=1) for data in theirs.bootstrap(400)]
    )
    # 20,000 sums each: 1 % Monte Carlo error of the variance; independent days would give 30 % less.
    assert ours.var() == pytest.approx(sums.var(), rel=0.04)
    assert ours.var() > 1.3 * width * series.var()


def test_newey_west_variance_is_statsmodels() -> None:
    values = np.cumsum(np.random.default_rng(3).normal(size=60)) * 0.1
    for lags in (0, 1, 4):
        fitted = sm.OLS(values, np.ones(60)).fit(cov_type="HAC", cov_kwds={"maxlags": lags})
        assert newey_west_variance(values, lags) == pytest.approx(fitted.bse[0] ** 2, rel=1e-10)


def test_placebo_windows_hold_consecutive_days_only() -> None:
    """A missing day takes away every window over it; with too few left the test is refused."""
    rng = np.random.default_rng(6)
    market = rng.normal(0, 0.01, 64)
    panel = make_panel((market + rng.normal(0, 0.02, 64))[None, :], market, n_estimation=60)

    def outcome() -> TestResult:
        abnormal = abnormal_returns(panel, fit(panel))
        return STATISTICS["sq"](Sample(group="all", abnormal=abnormal, correlations=np.zeros((1, 1))).at((-1, 1)))

    panel.estimation_returns[0, [10, 20, 30]] = np.nan
    residual = fit(panel).residuals[0]
    sums = np.array([residual[t : t + 3].sum() for t in range(58)])
    sums = sums[np.isfinite(sums)]
    assert len(sums) == 8 + 7 + 7 + 27
    car = outcome().statistic
    tail = 1 + min((sums <= car).sum(), (sums >= car).sum())
    assert outcome().p_value == pytest.approx(min(1.0, 2 * tail / 50), rel=1e-12)
    panel.estimation_returns[0, [35, 45, 50, 55]] = np.nan
    assert text(outcome().reason) == "n/a, needs 39 windows of 3 days, has 37"


@pytest.mark.parametrize("model", ["market", "mean_adjusted", "market_adjusted"])
def test_placebo_tests_keep_their_size_whatever_the_model_estimates(model: str) -> None:
    """Ten-day windows after a short estimation: the fit's error is a fifth of the CAR's variance."""
    rng, draws, shocks = np.random.default_rng(9), 300, 4
    rejected = {"permutation": 0, "bootstrap_blocks": 0}
    n = draws * shocks
    market = rng.normal(0, 0.01, (n, 92))
    panel = make_panel(
        (market if model != "mean_adjusted" else 0.0) + rng.normal(0, 0.02, (n, 92)),
        market,
        n_estimation=80,
        shock_id=[f"S{i:04d}" for i in range(n)],
        starts=(18_000 + 100 * np.arange(n)).tolist(),
    )
    abnormal = abnormal_returns(panel, fit(panel, model), alpha="estimated")
    for first in range(0, n, shocks):
        part = abnormal.take(np.arange(first, first + shocks))
        sample = Sample(group="all", abnormal=part, correlations=np.zeros((shocks, shocks)), draws=299).at((0, 9))
        for name in rejected:
            rejected[name] += STATISTICS[name](sample).p_value <= 0.05
    # Monte Carlo error 1.3 points.
    assert 0.015 <= rejected["permutation"] / draws <= 0.09
    assert 0.015 <= rejected["bootstrap_blocks"] / draws <= 0.09
