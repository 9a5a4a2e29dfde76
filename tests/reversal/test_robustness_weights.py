"""Weighted controls and balance against slow twins: entropy maximised over the weights themselves."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import optimize, stats
from statsmodels.api import OLS
from test_estimator import LENGTH, drops_of, falls_of, portfolio

from eventstudy.reversal.controls import balance
from eventstudy.reversal.estimator import clusters, outcome
from eventstudy.reversal.robustness import entropy_weights, weighted


def test_entropy_weights_are_the_most_even_ones_with_these_means() -> None:
    rng = np.random.default_rng(3)
    x = np.column_stack([rng.normal(size=30), rng.uniform(size=30)])
    target = np.array([0.4, 0.6])
    found = entropy_weights(x, target)
    assert found is not None
    bounds = [(1e-12, 1.0)] * 30
    rules = {"type": "eq", "fun": lambda w: np.append(w @ x - target, w.sum() - 1)}
    start, precise = np.full(30, 1 / 30), {"ftol": 1e-14, "maxiter": 500}
    slow = optimize.minimize(
        lambda w: float(w @ np.log(w)), start, bounds=bounds, constraints=rules, method="SLSQP", options=precise
    )
    np.testing.assert_allclose(found, slow.x, atol=1e-5)
    np.testing.assert_allclose(found @ x, target, atol=1e-8)
    assert float(found @ np.log(found)) <= slow.fun + 1e-7


def test_no_weights_reach_means_that_no_control_has() -> None:
    assert entropy_weights(np.arange(10.0)[:, None], np.array([11.0])) is None


def test_the_weighted_excess_is_its_slow_twin() -> None:
    returns = portfolio(6)
    falls = falls_of(returns, drops_of(returns, 6, 6), effect=0.05)
    found, lower, upper, p_value = weighted(falls)
    z, m, event = outcome(falls), falls.scale(), falls.event
    x = np.column_stack([falls.drop_s.clip(-5, 0), falls.run_up.clip(-0.6, 0.6)])
    w = entropy_weights(x[~event], x[event].mean(axis=0))
    assert w is not None
    unit = sum(1 / value for value in m[event]) / event.sum()
    level, mean = float(w @ z[~event]), float(z[event].mean())
    sums: dict[int, float] = {}
    share = iter(w)
    for cluster, value, own in zip(clusters(falls).tolist(), z, event, strict=True):
        sums[cluster] = sums.get(cluster, 0.0) + ((value - mean) / 6 if own else -next(share) * (value - level))
    se = np.sqrt(sum(total**2 for total in sums.values())) / unit
    effect = (mean - level) / unit
    assert found == pytest.approx(effect, rel=1e-6)
    assert p_value == pytest.approx(2 * stats.t.sf(abs(effect / se), 5), rel=1e-5)
    assert (lower, upper) == pytest.approx(stats.t.interval(0.95, 5, effect, se), rel=1e-5)


def test_two_weeks_have_no_error_of_weighted_controls() -> None:
    returns = portfolio(6)
    assert np.isnan(weighted(falls_of(returns, drops_of(returns, 2, 6)))).all()


def test_balance_before_and_after_is_a_difference_of_means_and_a_coefficient() -> None:
    returns = portfolio(7)
    falls = falls_of(returns, drops_of(returns, 5, 7))
    event = falls.event
    x = np.column_stack(
        [np.ones(len(falls)), falls.drop_s.clip(-5, 0), falls.run_up.clip(-0.6, 0.6), event.astype(float)]
    )
    rows = {row.variable: row for row in balance(falls, moderated=False)}
    assert list(rows) == ["drop_s", "run_up", "sigma", "recent"]
    for name, row in rows.items():
        values = getattr(falls, name)
        own, others = values[event], values[~event]
        deviation = np.sqrt((np.var(own, ddof=1) + np.var(others, ddof=1)) / 2)
        assert (row.mean_events, row.mean_controls) == pytest.approx((own.mean(), others.mean()))
        assert row.smd_before == pytest.approx((own.mean() - others.mean()) / deviation)
        assert row.smd_after == pytest.approx(OLS(values, x).fit().params[-1] / deviation, abs=1e-9)
    # What the regression holds equal is nearly so; beyond its clip, at 0.6, a run-up is not.
    assert abs(rows["run_up"].smd_after) < 0.1 < abs(rows["run_up"].smd_before)
    assert (row.n_events, row.n_controls) == (5, len(falls) - 5)
    assert falls.length == LENGTH
    # With its slope drawn towards none the depth is held equal in part.
    depth = next(row for row in balance(falls) if row.variable == "drop_s")
    assert 0 < abs(depth.smd_after) < abs(depth.smd_before)
    assert balance(falls.take(~event)) == []
