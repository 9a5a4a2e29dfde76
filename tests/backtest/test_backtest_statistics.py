"""Statistics of a track record against published numbers, hand values and plain loops."""

from __future__ import annotations

import itertools
import math
import tracemalloc

import numpy as np
import pytest
from scipy import stats

from eventstudy.backtest.resampling import (
    block_length,
    cross_validated,
    overfitting,
    shock_interval,
    stationary_intervals,
    superiority,
)
from eventstudy.backtest.statistics import (
    annual_factor,
    autocorrelations,
    deflated_sharpe,
    expected_best,
    max_drawdown,
    max_drawdowns,
    minimum_track_record,
    probabilistic_sharpe,
    profit_factor,
    sharpe,
    sharpe_report,
    sharpe_se,
    sharpes,
    skewness_kurtosis,
    wilson,
)
from eventstudy.messages import text


def test_wilson_by_hand_and_at_the_edges() -> None:
    # 3 of 4: z^2 = 3.841459; (0.75 + 0.480182 -+ 1.959964 sqrt(0.046875 + 0.060023)) / 1.960365
    assert wilson(3, 4) == pytest.approx((0.300642, 0.954413), abs=1e-6)
    assert wilson(0, 10) == pytest.approx((0.0, 0.277533), abs=1e-6)
    assert all(math.isnan(value) for value in wilson(0, 0))


def test_profit_factor() -> None:
    assert profit_factor(np.array([3.0, -1.0, 2.0, -1.5])) == 2.0
    assert profit_factor(np.array([1.0])) == math.inf
    assert math.isnan(profit_factor(np.zeros(0)))


def test_sharpe_and_its_error() -> None:
    # mean 2, sd (ddof 1) 1
    assert sharpe(np.array([1.0, 2.0, 3.0])) == 2.0
    assert math.isnan(sharpe(np.zeros(50)))
    # Lo (2002), table 1: SR 1.00 with T = 60 has a standard error of 0.158, 0.50 with T = 24 of 0.217.
    assert sharpe_se(1.0, 60) == pytest.approx(0.158, abs=5e-4)
    assert sharpe_se(0.5, 24) == pytest.approx(0.217, abs=5e-4)


def test_lo_factor() -> None:
    assert annual_factor(np.zeros(11), 12) == pytest.approx(math.sqrt(12), abs=1e-12)
    # Lo (2002), table 2: AR(1) with rho = 0.20 and q = 12 turns sqrt(12) = 3.46 into 2.88.
    assert annual_factor(0.2 ** np.arange(1, 12), 12) == pytest.approx(2.88, abs=5e-3)
    rho = np.array([0.3, -0.1])
    loop = 12 / math.sqrt(12 + 2 * sum((12 - k) * rho[k - 1] for k in (1, 2)))
    assert annual_factor(rho, 12) == pytest.approx(loop, rel=1e-14)


def test_autocorrelations_against_a_loop() -> None:
    x = np.random.default_rng(1).normal(size=60)
    mean, total = x.mean(), ((x - x.mean()) ** 2).sum()
    for lag, value in enumerate(autocorrelations(x, 5), 1):
        loop = sum((x[t] - mean) * (x[t - lag] - mean) for t in range(lag, 60)) / total
        assert value == pytest.approx(loop, abs=1e-14)
    assert autocorrelations(np.zeros(9), 3).tolist() == [0.0, 0.0, 0.0]


def test_deflated_sharpe_of_the_paper() -> None:
    # Bailey and Lopez de Prado (2014), numerical example: annual SR 2.5 over T = 1250 days, skewness -3,
    # kurtosis 10, N = 100 trials with variance 1/2 a year: SR0 = 0.1132 a day and DSR = 0.9004.
    daily = 2.5 / math.sqrt(250)
    best = expected_best(0.5 / 250, 100)
    assert best == pytest.approx(0.1132, abs=5e-5)
    assert probabilistic_sharpe(daily, best, 1250, -3.0, 10.0) == pytest.approx(0.9004, abs=5e-5)
    # With 46 trials it is 0.9505, the paper's limit.
    assert probabilistic_sharpe(daily, expected_best(0.5 / 250, 46), 1250, -3.0, 10.0) == pytest.approx(
        0.9505, abs=5e-5
    )


def test_deflated_sharpe_takes_the_trials_variance() -> None:
    ratios = [0.02, 0.05, -0.01, float("nan")]
    variance = float(np.var([0.02, 0.05, -0.01], ddof=1))
    expected = probabilistic_sharpe(0.05, expected_best(variance, 7), 500, 0.1, 4.0)
    assert deflated_sharpe(0.05, 500, 0.1, 4.0, trial_ratios=ratios, trials=7) == expected
    one = deflated_sharpe(0.05, 500, 0.1, 4.0, trial_ratios=[0.05], trials=1)
    assert one == probabilistic_sharpe(0.05, 0.0, 500, 0.1, 4.0)
    assert math.isnan(deflated_sharpe(0.05, 500, 0.1, 4.0, trial_ratios=[0.05], trials=3))


def test_normal_returns_reduce_psr_to_lo() -> None:
    # With skewness 0 and kurtosis 3 the variance is Lo's 1 + SR^2/2.
    expected = stats.norm.cdf(0.1 * math.sqrt(99) / math.sqrt(1 + 0.005))
    assert probabilistic_sharpe(0.1, 0.0, 100, 0.0, 3.0) == pytest.approx(float(expected), abs=1e-14)


def test_minimum_track_record_is_where_psr_reaches_the_level() -> None:
    needed = minimum_track_record(0.08, 0.0, -0.5, 6.0)
    spread = 1 + 0.5 * 0.08 + 5 / 4 * 0.0064
    assert needed == pytest.approx(1 + spread * (1.6448536269514722 / 0.08) ** 2, rel=1e-12)
    assert probabilistic_sharpe(0.08, 0.0, math.ceil(needed), -0.5, 6.0) >= 0.95
    assert probabilistic_sharpe(0.08, 0.0, math.floor(needed), -0.5, 6.0) < 0.95
    assert minimum_track_record(-0.1, 0.0, 0.0, 3.0) == math.inf


def test_max_drawdown() -> None:
    # Levels 0.1, 0.05, 0.15, -0.05, 0.0: from 0.15 to -0.05.
    assert max_drawdown(np.array([0.1, -0.05, 0.1, -0.2, 0.05])) == pytest.approx(-0.2, abs=1e-15)
    assert max_drawdown(np.array([-0.1, 0.3])) == pytest.approx(-0.1, abs=1e-15)
    assert max_drawdown(np.array([0.1, 0.2])) == 0.0
    x = np.random.default_rng(2).normal(size=40)
    level = [0.0, *itertools.accumulate(x.tolist())]
    loop = min(level[j] - level[i] for i in range(41) for j in range(i, 41))
    assert max_drawdown(x) == pytest.approx(loop, abs=1e-12)


def test_report_of_flat_days_says_nothing() -> None:
    report = sharpe_report(np.zeros(300), trial_ratios=[], trials=4, lags=5)
    assert math.isnan(report.sharpe)
    assert math.isnan(report.dsr)
    assert report.n_days == 300


def test_report_puts_the_parts_together() -> None:
    x = np.random.default_rng(3).standard_t(5, 700) * 0.01 + 0.0006
    report = sharpe_report(x, trial_ratios=[0.01, 0.05], trials=2, lags=18)
    ratio = x.mean() / x.std(ddof=1)
    assert report.sharpe == pytest.approx(ratio * math.sqrt(252), rel=1e-12)
    assert report.sharpe_lo == pytest.approx(ratio * annual_factor(autocorrelations(x, 18)), rel=1e-12)
    g3, g4 = float(stats.skew(x)), float(stats.kurtosis(x, fisher=False))
    assert report.psr == pytest.approx(probabilistic_sharpe(ratio, 0.0, 700, g3, g4), rel=1e-12)
    assert report.dsr < report.psr


def test_shock_interval_draws_whole_shocks() -> None:
    # Three shocks of 20 trades at +10 %, three of one at -10 %: with j of the first kind among six draws
    # the mean is 0.1 (20 j - (6 - j)) / (20 j + 6 - j), and j is binomial(6, 1/2). Its 2.5 % and 97.5 %
    # points are 1 and 5 (1.6 % below the one, 1.6 % above the other).
    values = [np.full(20, 0.1)] * 3 + [np.full(1, -0.1)] * 3
    low, high = shock_interval(values, draws=20_000, seed=1)
    assert low == pytest.approx(0.1 * (20 - 5) / 25, abs=1e-12)
    assert high == pytest.approx(0.1 * (100 - 1) / 101, abs=1e-12)
    assert math.isnan(shock_interval(values[:5], draws=100, seed=1)[0])


def test_moments_against_scipy() -> None:
    for seed in range(5):
        x = np.random.default_rng(seed).standard_t(4, 300 + seed) * 0.01
        expected = (float(stats.skew(x)), float(stats.kurtosis(x, fisher=False)))
        assert skewness_kurtosis(x) == pytest.approx(expected, rel=1e-13)


def test_ratios_and_falls_of_many_rows_are_those_of_each() -> None:
    rows = np.random.default_rng(8).normal(0.001, 0.01, (7, 90))
    rows[3], rows[4] = 0.0, 0.002
    assert max_drawdowns(rows).tolist() == [max_drawdown(row) for row in rows]
    np.testing.assert_array_equal(sharpes(rows), [sharpe(row) for row in rows])
    assert np.isnan(sharpes(rows)[[3, 4]]).all()
    assert math.isnan(max_drawdown(np.zeros(0)))
    assert math.isnan(sharpe(np.ones(1)))


def wanderings() -> dict[str, np.ndarray]:
    """Series with no, positive and negative dependence, with long memory, and with mostly idle days."""
    rng = np.random.default_rng(11)
    noise = rng.normal(size=900)
    slow, swing = np.zeros(900), np.zeros(900)
    for t in range(1, 900):
        slow[t] = 0.9 * slow[t - 1] + noise[t]
        swing[t] = -0.6 * swing[t - 1] + noise[t]
    return {
        "noise": noise,
        "slow": slow,
        "swing": swing,
        "walk": np.cumsum(noise),
        "short": noise[:40],
        "idle": np.where(np.arange(900) % 150 < 20, noise, 0.0),
        "trend": np.linspace(-1, 2, 300) ** 3,
    }


@pytest.mark.parametrize("name", list(wanderings()))
def test_block_length_is_archs(name: str) -> None:
    from arch.bootstrap import optimal_block_length

    x = wanderings()[name]
    expected = float(optimal_block_length(x).to_numpy()[0, 0])
    assert block_length(x) == pytest.approx(max(expected, 1.0), rel=1e-10)


def test_block_length_of_hardly_any_days() -> None:
    assert block_length(np.zeros(50)) == 1.0
    assert [block_length(np.array(x)) for x in ([1.0, 2.0], [1.0, 2.0, -1.0])] == [1.0, 1.0]
    assert 1.0 <= block_length(np.array([1.0, 2.0, 3.0, 4.0, 9.0, 8.0])) <= 2.0


def test_stationary_intervals_are_archs_in_distribution() -> None:
    from arch.bootstrap import StationaryBootstrap

    x = wanderings()["slow"] * 0.01 + 0.002
    draws = 4_000
    found = stationary_intervals(x, [sharpes, max_drawdowns], draws=draws, seed=3)
    twin = StationaryBootstrap(block_length(x), x, seed=np.random.default_rng(3))
    resampled = np.array([data[0][0] for data in twin.bootstrap(draws)])
    for (low, high), values in zip(found, (sharpes(resampled), max_drawdowns(resampled)), strict=True):
        # A sample quantile of N draws stands, in 4 of its standard errors, between these order statistics.
        slack = 4 * math.sqrt(2 * 0.025 * 0.975 / draws)
        for end, share in ((low, 0.025), (high, 0.975)):
            below, above = np.quantile(values, [max(share - slack, 0), min(share + slack, 1)])
            assert below < end < above
        middle = np.quantile(values, [0.3, 0.7])
        assert low < middle[0] < middle[1] < high


def test_stationary_intervals_cover_and_repeat() -> None:
    covered = 0
    for seed in range(40):
        x = np.random.default_rng(seed).normal(0.001, 0.01, 400)
        ((low, high),) = stationary_intervals(x, [lambda v: v.mean(axis=-1)], draws=300, seed=seed)
        covered += low < 0.001 < high
    assert 34 <= covered <= 40
    again = [stationary_intervals(x, [sharpes], draws=200, seed=5) for _ in range(2)]
    assert again[0] == again[1]
    both = stationary_intervals(x, [sharpes, max_drawdowns], draws=200, seed=5)
    assert both[0] == again[0][0]
    assert both[1] == stationary_intervals(x, [max_drawdowns], draws=200, seed=5)[0]
    assert np.isnan(stationary_intervals(np.zeros(50), [sharpes, max_drawdowns], draws=10, seed=1)).all()


def test_resampling_many_days_stays_small() -> None:
    x = np.random.default_rng(1).normal(size=2_600)
    tracemalloc.start()
    stationary_intervals(x, [sharpes, max_drawdowns], draws=1_000, seed=1)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 50e6


def test_superiority_finds_the_rule_that_was_planted() -> None:
    rng = np.random.default_rng(4)
    base = rng.normal(0, 0.01, 600)
    rules = base[:, None] + rng.normal(0, 0.005, (600, 4))
    rules[:, 2] += 0.002
    names = ["a", "b", "c", "d"]
    found = superiority(rules, names, base, "base", n_shocks=40, draws=400, seed=1)
    assert found.spa_consistent < 0.01
    assert found.superior == ("c",)
    assert found.spa_lower <= found.spa_consistent <= found.spa_upper
    none = superiority(rules[:, :2] - 0.001, names[:2], base, "base", n_shocks=40, draws=400, seed=1)
    assert none.spa_consistent > 0.2
    assert none.superior == ()


def test_superiority_says_why_it_does_not_apply() -> None:
    rules = np.zeros((50, 2))
    same = superiority(rules, ["a", "b"], np.zeros(50), "zero", n_shocks=9, draws=50, seed=1)
    assert text(same.reason) == "no rule differs from the benchmark"
    few = superiority(rules, ["a", "b"], np.zeros(50), "zero", n_shocks=5, draws=50, seed=1)
    assert text(few.reason) == "the rule traded 5 shock(s), the test needs 6"
    assert math.isnan(few.spa_consistent)


def test_overfitting_against_a_plain_loop() -> None:
    returns = np.random.default_rng(5).normal(size=(96, 5))
    parts = np.array_split(np.arange(96), 6)
    below = []
    for chosen in itertools.combinations(range(6), 3):
        inside = [t for i in chosen for t in parts[i]]
        outside = [t for i in range(6) if i not in chosen for t in parts[i]]
        scores = [sharpe(returns[inside, r]) for r in range(5)]
        out = [sharpe(returns[outside, r]) for r in range(5)]
        rank = 1 + sum(value < out[int(np.argmax(scores))] for value in out)
        below.append(math.log(rank / 6 / (1 - rank / 6)) <= 0)
    found = cross_validated(returns, parts)
    assert found.n_splits == 20
    assert found.probability == pytest.approx(np.mean(below), abs=1e-15)


def test_overfitting_is_not_meaningful_with_few_shocks() -> None:
    returns = np.random.default_rng(6).normal(size=(320, 12))
    assert text(overfitting(returns, n_shocks=29).reason) == "PBO not meaningful: 29 shocks, it needs 30"
    assert text(overfitting(returns[:, :9], n_shocks=30).reason) == "PBO not meaningful: 9 rules, it needs 10"
    idle = returns.copy()
    idle[:20, 3] = 0.0
    assert "not every rule trades in each of 16 blocks" in text(overfitting(idle, n_shocks=30).reason)
    assert overfitting(returns, n_shocks=30).n_splits == 12_870
