"""Regression over clusters: against statsmodels, by hand, and what is refused."""

from __future__ import annotations

import time

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from statsmodels.formula.api import ols

from eventstudy.core.checks.regression import ClusterRegression, last_coefficient, regress, wild_weights
from eventstudy.errors import EstimationError
from eventstudy.results.regressions import design_of


def draw(seed: int, clusters: int = 15, size: int = 6) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    drawn = rng.integers(clusters, size=clusters * size)
    code = rng.permutation(np.concatenate([np.arange(clusters), drawn]))
    x = np.column_stack([rng.normal(size=len(code)), rng.normal(size=clusters)[code]])
    y = 0.4 + 0.3 * x[:, 0] + rng.normal(size=clusters)[code] + rng.normal(size=len(code))
    return y, x, code


@pytest.mark.parametrize("seed", range(5))
def test_cr1_is_the_cluster_covariance_of_statsmodels(seed: int) -> None:
    y, x, code = draw(seed)
    ours = regress(y, x, code, draws=99)
    theirs = sm.OLS(y, sm.add_constant(x)).fit(cov_type="cluster", cov_kwds={"groups": code}, use_t=True)
    np.testing.assert_allclose(ours.coefficient, theirs.params, rtol=1e-10)
    np.testing.assert_allclose(ours.se_cr1, theirs.bse, rtol=1e-10)
    np.testing.assert_allclose(ours.p_cr1, theirs.pvalues, rtol=1e-9)
    assert ours.r_squared == pytest.approx(theirs.rsquared, rel=1e-10)
    assert (ours.n, ours.clusters) == (len(y), 15)


def test_a_formula_on_a_frame_is_the_same_regression() -> None:
    y, x, code = draw(3)
    frame = pd.DataFrame({"car": y, "drop": x[:, 0], "size": x[:, 1], "shock": [f"S{c}" for c in code]})
    left, right, names = design_of("car ~ drop * size", frame)
    ours = regress(left, right, frame["shock"].to_numpy(), names=names, constant=False, draws=99)
    theirs = ols("car ~ drop * size", frame).fit(cov_type="cluster", cov_kwds={"groups": code}, use_t=True)
    assert ours.names == ("Intercept", "drop", "size", "drop:size")
    np.testing.assert_allclose(ours.coefficient, theirs.params, rtol=1e-10)
    np.testing.assert_allclose(ours.se_cr1, theirs.bse, rtol=1e-10)


def test_a_mean_over_equal_clusters_has_the_t_test_of_the_cluster_means() -> None:
    """With a constant only and clusters of one size CR2 is the t test over means with G-1 df, exactly."""
    values = np.random.default_rng(1).normal(0.2, 1, (7, 4))
    cluster = np.repeat(np.arange(7), 4)
    fit = regress(values.ravel(), np.ones((28, 1)), cluster, constant=False, names=["mean"])
    means = values.mean(axis=1)
    assert fit.coefficient[0] == pytest.approx(means.mean(), rel=1e-12)
    assert fit.se_cr2[0] == pytest.approx(means.std(ddof=1) / np.sqrt(7), rel=1e-12)
    assert fit.df_cr2[0] == pytest.approx(6.0, rel=1e-12)


def test_wild_weights_follow_the_number_of_clusters() -> None:
    webb, said = wild_weights(6, draws=500, seed=1)
    assert said == "Webb, 500 draws"
    assert set(np.round(np.unique(webb[1:]) ** 2, 12)) == {0.5, 1.0, 1.5}
    assert (webb[0] == 1).all()
    every, said = wild_weights(9, draws=500, seed=1)
    assert said == "Rademacher, all 512"
    assert len(np.unique(every, axis=0)) == 512
    some, said = wild_weights(20, draws=500, seed=1)
    assert said == "Rademacher, 500 draws"
    assert some.shape == (501, 20)


def test_draws_cost_milliseconds() -> None:
    y, x, code = draw(2, clusters=40, size=20)
    regress(y, x, code)
    begin = time.thread_time()
    regress(y, x, code, draws=9_999)
    assert time.thread_time() - begin < 0.5


def test_wild_bootstrap_keeps_its_size_where_cr1_does_not() -> None:
    """Ten dates, three of them treated: CR1 rejects a true null more often than the restricted bootstrap."""
    rng = np.random.default_rng(8)
    code = np.repeat(np.arange(10), 8)
    x = (code < 3).astype(float)[:, None]
    fits = [regress(rng.normal(size=10)[code] + rng.normal(size=80), x, code) for _ in range(400)]
    kinds = ("p_cr1", "p_cr2", "p_wild")
    cr1, cr2, wild = (np.mean([getattr(fit, kind)[1] < 0.05 for fit in fits]) for kind in kinds)
    # Monte Carlo error 1.1 points; CR1 is near 9 %, CR2 near 3 %, the bootstrap near 5 %.
    assert cr1 > 0.06
    assert cr2 < 0.06
    assert 0.02 < wild < 0.08


def refused(y: object, x: object, cluster: object, **options: object) -> ClusterRegression:
    return regress(np.asarray(y, float), np.asarray(x, float), np.asarray(cluster), **options)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("y", "x", "cluster", "words"),
    [
        ([1, 2, np.nan, 4], [[1], [2], [3], [5]], [1, 1, 2, 2], "row 2: a value is missing"),
        ([1, 2, 3, 4], [[1], [2], [np.inf], [5]], [1, 1, 2, 2], "row 2: a value is missing or infinite"),
        ([1, 2, 3, 4], [[1], [2], [3], [5]], [1, 1, 1, 1], "1 cluster; .* at least two"),
        ([1, 2, 3, 4], [[1], [1], [1], [1]], [1, 1, 2, 2], "const, x1 are collinear"),
        ([1, 2], [[1], [3]], [1, 2], "2 rows cannot estimate 2 coefficients"),
        ([1, 2, 3], [[1], [2]], [1, 1, 2], r"3 values need x of shape \(3, k\)"),
    ],
)
def test_what_is_refused(y: object, x: object, cluster: object, words: str) -> None:
    with pytest.raises(EstimationError, match=words):
        refused(y, x, cluster)


def test_names_must_fit() -> None:
    with pytest.raises(EstimationError, match="1 covariates need as many names; got 2"):
        refused([1, 2, 3, 4], [[1], [2], [3], [5]], [1, 1, 2, 2], names=["a", "b"])


def test_a_formula_leaves_no_row_out_silently() -> None:
    frame = pd.DataFrame({"car": [0.1, 0.2, np.nan, 0.3], "x": [1.0, 2, 3, 5], "shock": list("aabb")})
    with pytest.raises(EstimationError, match="on 4 rows: "):
        design_of("car ~ x", frame)


@pytest.mark.parametrize("sizes", [(1, 1, 2, 3, 9), (2, 40, 3, 70, 5, 1)])
def test_the_last_coefficient_of_several_outcomes_is_that_of_each_regression(sizes: tuple[int, ...]) -> None:
    """Clusters smaller and larger than the number of coefficients."""
    rng, cluster = np.random.default_rng(3), np.repeat(np.arange(len(sizes)), sizes)
    x, y = rng.standard_normal((len(cluster), 4)), rng.standard_normal((len(cluster), 3))
    found = last_coefficient(y, x, cluster)
    for j in range(3):
        whole = regress(y[:, j], x, cluster, constant=False, draws=1)
        assert found.value[j] == pytest.approx(whole.coefficient[-1], rel=1e-10)
        assert found.squares[:, j].sum() == pytest.approx(whole.se_cr2[-1] ** 2, rel=1e-10)
        assert found.df == pytest.approx(whole.df_cr2[-1], rel=1e-9)
    # Of independent errors of variance one a cluster of which every row is fitted freely has c'c on average.
    alike = x @ np.linalg.inv(x.T @ x)[:, -1]
    assert found.expected == pytest.approx([(alike[cluster == g] ** 2).sum() for g in range(len(sizes))], rel=1e-9)
    y[2, 1] = np.nan
    with pytest.raises(EstimationError, match="row 2"):
        last_coefficient(y, x, cluster)
