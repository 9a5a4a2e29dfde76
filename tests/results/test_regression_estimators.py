"""HC3 and GLS by the firms' past covariance: against statsmodels, slow twins, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest
import statsmodels.api as sm
import twins
from scipy import stats

from eventstudy.errors import EstimationError
from eventstudy.results.regressions import Fitted, factor_gls, hc3, past_covariance


def draw(seed: int, dates: int = 3, firms: int = 12, days: int = 200) -> tuple[np.ndarray, ...]:
    """Firms with two common factors in their residuals; unequal dates, the last with one firm."""
    rng = np.random.default_rng(seed)
    date = np.concatenate([np.full(firms - 2 * k, k) for k in range(dates)] + [[dates]])
    n = len(date)
    residuals = rng.normal(size=(n, days)) * rng.uniform(0.01, 0.03, n)[:, None]
    for k in range(dates + 1):
        mine = date == k
        residuals[mine] += rng.normal(size=(mine.sum(), 2)) @ rng.normal(0, 0.01, (2, days))
    x = np.column_stack([np.ones(n), rng.normal(size=n), rng.integers(0, 2, n)])
    order = rng.permutation(n)
    return (0.02 * x[:, 1] + rng.normal(0, 0.03, n))[order], x[order], date[order], residuals[order]


@pytest.mark.parametrize("seed", range(3))
def test_hc3_is_that_of_statsmodels(seed: int) -> None:
    y, x, _, _ = draw(seed)
    ours, theirs = hc3(y, x), sm.OLS(y, x).fit(cov_type="HC3", use_t=True)
    for mine, other in ((ours.coefficient, theirs.params), (ours.se, theirs.bse), (ours.p_value, theirs.pvalues)):
        np.testing.assert_allclose(mine, other, rtol=1e-9)
    assert ours.r_squared == pytest.approx(theirs.rsquared, rel=1e-10)
    assert set(ours.df) == {len(y) - 3}


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("width", [1, 3, 19])
def test_gls_is_that_of_statsmodels_with_its_slow_twins_covariance(seed: int, width: int) -> None:
    """Coefficients and R² by statsmodels' GLS on one dense matrix; errors by the coefficients of each past day."""
    y, x, date, residuals = draw(seed)
    ours = factor_gls(y, x, date, residuals, width)
    omega = twins.past_covariance(residuals[:, :100], date)
    theirs = sm.GLS(y, x, sigma=omega).fit()
    np.testing.assert_allclose(ours.coefficient, theirs.params, rtol=1e-8)
    past = np.array([sm.GLS(residuals[:, day], x, sigma=omega).fit().params for day in range(100, 200)])
    se = np.sqrt((past**2).mean(axis=0) * (width + width**2 / 200))
    np.testing.assert_allclose(ours.se, se, rtol=1e-8)
    np.testing.assert_allclose(ours.p_value, 2 * stats.t.sf(abs(theirs.params / se), 100), rtol=1e-7)
    np.testing.assert_allclose(ours.weight @ y, ours.coefficient, rtol=1e-10)
    whole = sm.GLS(y, np.ones(len(y)), sigma=omega).fit()
    assert ours.r_squared == pytest.approx(1 - theirs.ssr / whole.ssr, rel=1e-8)


def test_one_component_is_worked_out_by_hand() -> None:
    """Two firms: the first axis of a 2x2 covariance, and what it leaves over."""
    days = np.random.default_rng(5).normal(size=(60, 2)) @ np.array([[2.0, 1.0], [0.0, 1.0]])
    found, s = past_covariance(days), np.cov(days.T)
    gap = np.hypot(s[0, 0] - s[1, 1], 2 * s[0, 1])
    largest, angle = (s[0, 0] + s[1, 1] + gap) / 2, 0.5 * np.arctan2(2 * s[0, 1], s[0, 0] - s[1, 1])
    axis = np.array([np.cos(angle), np.sin(angle)])
    common = largest * np.outer(axis, axis)
    np.testing.assert_allclose(found, common + np.diag(np.diag(s - common)), rtol=1e-10)
    # Its diagonal is the firms' own variances whatever the number of components.
    np.testing.assert_allclose(np.diag(found), np.diag(s), rtol=1e-10)


def test_gls_is_exact_where_ols_is_blind() -> None:
    """A common factor with known loadings moves every CAR: GLS takes it out, OLS does not."""
    rng = np.random.default_rng(11)
    loading, signal = rng.normal(size=40), rng.normal(size=40)
    x = np.column_stack([np.ones(40), signal])

    def errors(fit: Fitted | None, y: np.ndarray) -> float:
        beta = fit.coefficient if fit else np.linalg.lstsq(x, y, rcond=None)[0]
        return float(beta[1] - 0.01)

    gls, ols = [], []
    for _ in range(60):
        past = np.outer(loading, rng.normal(0, 0.05, 200)) + rng.normal(0, 0.01, (40, 200))
        y = 0.01 * signal + loading * rng.normal(0, 0.05) + rng.normal(0, 0.01, 40)
        gls.append(errors(factor_gls(y, x, np.zeros(40), past, 1), y))
        ols.append(errors(None, y))
    assert np.std(gls) < 0.5 * np.std(ols)


def test_gls_keeps_its_size() -> None:
    """One date, 30 firms with three factors: the share of true nulls rejected at 5 %."""
    rng = np.random.default_rng(3)
    p = []
    for _ in range(600):
        days = rng.normal(size=(30, 3)) @ rng.normal(0, 0.01, (3, 241)) + rng.normal(0, 0.015, (30, 241))
        x = np.column_stack([np.ones(30), rng.normal(size=30)])
        p.append(factor_gls(days[:, -1], x, np.zeros(30), days[:, :-1], 1).p_value[1])
    # Monte Carlo error 0.9 points.
    assert 0.03 < np.mean(np.array(p) <= 0.05) < 0.07


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda y, x, date, r: (np.where(np.arange(len(y)) == 1, np.nan, y), x, date, r), "missing or infinite"),
        (lambda y, x, date, r: (y[:3], x[:3], date[:3], r[:3]), "3 rows cannot estimate 3"),
        (lambda y, x, date, r: (y, x[:, [0, 1, 1]], date, r), "collinear"),
        (lambda y, x, date, r: (y, x, date, r[:, :30]), "30 estimation days are too few"),
        (lambda y, x, date, r: (y, x, date, r * 0.0), "are all zero on the first 100"),
    ],
)
def test_what_gls_refuses(change: object, words: str) -> None:
    with pytest.raises(EstimationError, match=words):
        factor_gls(*change(*draw(1)), 1)  # type: ignore[operator]


def test_a_row_that_alone_decides_a_coefficient_has_no_hc3() -> None:
    y, x, _, _ = draw(1)
    x[:, 2] = np.arange(len(y)) == 4
    with pytest.raises(EstimationError, match="row 4 alone determines a coefficient"):
        hc3(y, x)
