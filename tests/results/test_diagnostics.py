"""Diagnostics against statsmodels, and against what they must notice."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from panels import make_panel
from scipy import stats

from eventstudy.core.abnormal import AbnormalReturns, abnormal_returns
from eventstudy.core.models import fit
from eventstudy.core.models.base import no_remarks
from eventstudy.messages import text
from eventstudy.results.diagnostics import (
    LAGS,
    FitDiagnostics,
    arch_lm,
    autocorrelations,
    beta_shift,
    diagnose,
    diagnose_study,
    jarque_bera,
    leave_one_date_out,
    ljung_box,
)

Floats = NDArray[np.float64]
SEEDS = st.integers(0, 2**32 - 1)


def residuals(seed: int, n: int = 3, length: int = 120) -> Floats:
    return 0.02 * np.random.default_rng(seed).standard_t(4, size=(n, length)) + 0.001


@settings(max_examples=15, deadline=None)
@given(seed=SEEDS)
def test_ljung_box_equals_statsmodels(seed: int) -> None:
    from statsmodels.stats.diagnostic import acorr_ljungbox
    from statsmodels.tsa.stattools import acf

    e = residuals(seed)
    rho, pairs = autocorrelations(e, LAGS)
    q, p = ljung_box(rho, pairs, e)
    for i, row in enumerate(e):
        reference = acorr_ljungbox(row, lags=[LAGS])
        np.testing.assert_allclose(rho[i], acf(row, nlags=LAGS, fft=False)[1:], rtol=1e-9, atol=1e-13)
        np.testing.assert_allclose(q[i], reference["lb_stat"].iloc[0], rtol=1e-9)
        np.testing.assert_allclose(p[i], reference["lb_pvalue"].iloc[0], rtol=1e-8, atol=1e-14)


def test_days_around_a_missing_one_are_no_neighbours() -> None:
    e = np.array([[1.0, -1.0, np.nan, 1.0, -1.0, np.nan, 1.0, -1.0]])
    rho, pairs = autocorrelations(e, 2)
    assert pairs.tolist() == [[3, 2]]
    np.testing.assert_allclose(rho[0], [-0.5, -1.0 / 3.0], rtol=1e-14)


@settings(max_examples=15, deadline=None)
@given(seed=SEEDS)
def test_arch_equals_statsmodels(seed: int) -> None:
    from statsmodels.stats.diagnostic import het_arch

    e = residuals(seed)
    lm, p = arch_lm(e)
    for i, row in enumerate(e):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)
            reference = het_arch(row, nlags=LAGS)
        np.testing.assert_allclose(lm[i], reference[0], rtol=1e-8)
        np.testing.assert_allclose(p[i], reference[1], rtol=1e-7, atol=1e-14)


def test_arch_leaves_out_days_whose_lags_are_missing() -> None:
    import statsmodels.api as sm

    e = residuals(5, 1)
    e[0, [10, 50, 51, 90]] = np.nan
    squared = e[0] ** 2
    rows = [t for t in range(LAGS, 120) if np.isfinite(squared[t - LAGS : t + 1]).all()]
    design = sm.add_constant(np.array([[squared[t - j] for j in range(1, LAGS + 1)] for t in rows]))
    result = sm.OLS(squared[rows], design).fit()
    np.testing.assert_allclose(arch_lm(e)[0][0], len(rows) * result.rsquared, rtol=1e-8)


@settings(max_examples=15, deadline=None)
@given(seed=SEEDS, missing=st.sampled_from([0.0, 0.2]))
def test_jarque_bera_equals_statsmodels(seed: int, missing: float) -> None:
    from statsmodels.stats.stattools import jarque_bera as reference

    e = residuals(seed)
    e[np.random.default_rng(seed).random(e.shape) < missing] = np.nan
    statistic, p = jarque_bera(e)
    for i, row in enumerate(e):
        expected = reference(row[np.isfinite(row)])
        np.testing.assert_allclose([statistic[i], p[i]], expected[:2], rtol=1e-9, atol=1e-300)


@settings(max_examples=15, deadline=None)
@given(seed=SEEDS, length=st.sampled_from([60, 121, 240]))
def test_beta_shift_equals_statsmodels(seed: int, length: int) -> None:
    import statsmodels.api as sm

    rng = np.random.default_rng(seed)
    m = 0.01 * rng.standard_normal((2, length))
    y = m * np.where(np.arange(length) < length // 2, 1.0, 1.3) + 0.02 * rng.standard_normal((2, length))
    wald, p = beta_shift(y, m)
    second = (np.arange(length) >= length // 2).astype(float)
    lags = int(np.floor(4 * (length / 100) ** (2 / 9)))
    for i in range(2):
        design = np.column_stack([np.ones(length), m[i], second, second * m[i]])
        result = sm.OLS(y[i], design).fit(cov_type="HAC", cov_kwds={"maxlags": lags, "use_correction": False})
        np.testing.assert_allclose(wald[i], result.tvalues[3] ** 2, rtol=1e-8)
        np.testing.assert_allclose(p[i], result.pvalues[3], rtol=1e-7, atol=1e-14)


def test_missing_days_stand_still_in_beta_shift() -> None:
    """Missing days at both ends change nothing; the halves are halves of the used days."""
    rng = np.random.default_rng(3)
    m = 0.01 * rng.standard_normal((1, 100))
    y = m + 0.02 * rng.standard_normal((1, 100))
    pad = np.full((1, 30), np.nan)
    padded = beta_shift(np.hstack([pad, y, pad]), np.hstack([pad, m, pad]))
    np.testing.assert_allclose(padded[0], beta_shift(y, m)[0], rtol=1e-10)


@pytest.mark.parametrize("scale", [1.0, 100.0])
def test_units_do_not_matter(scale: float) -> None:
    e = residuals(9)
    rho, _ = autocorrelations(e, LAGS)
    large = autocorrelations(scale * e, LAGS)[0]
    np.testing.assert_allclose(large, rho, rtol=1e-10)
    np.testing.assert_allclose(arch_lm(scale * e)[0], arch_lm(e)[0], rtol=1e-8)
    np.testing.assert_allclose(jarque_bera(scale * e)[0], jarque_bera(e)[0], rtol=1e-10)
    m = np.roll(e, 1, axis=0)
    np.testing.assert_allclose(beta_shift(scale * e, scale * m)[0], beta_shift(e, m)[0], rtol=1e-8)


def test_p_values_are_uniform_under_the_null() -> None:
    """4,000 series of independent normal errors with one beta: 5 % of each test's p-values are below 5 %."""
    rng = np.random.default_rng(20260624)
    e = rng.standard_normal((4_000, 240))
    m = rng.standard_normal((4_000, 240))
    rho, pairs = autocorrelations(e, LAGS)
    found = {"ljung_box": ljung_box(rho, pairs, e)[1], "arch": arch_lm(e)[1], "beta": beta_shift(e, m)[1]}
    low, high = stats.binom.ppf([0.001, 0.999], 4_000, 0.05) / 4_000
    assert low < (found["ljung_box"] < 0.05).mean() < high
    # Asymptotic tests: at 240 days ARCH rejects a little too seldom, the HAC Wald test a little too often.
    assert 0.030 < (found["arch"] < 0.05).mean() < 0.055
    assert 0.050 < (found["beta"] < 0.05).mean() < 0.085


def troubled() -> AbnormalReturns:
    """Five fits: nothing wrong, autocorrelated, clustered variance, another beta, many zeros; one trend."""
    rng = np.random.default_rng(7)
    days = 250 + 31
    m = 0.01 * rng.standard_normal(days)
    e = 0.02 * rng.standard_normal((6, days))
    for t in range(1, days):
        e[1, t] += 0.5 * e[1, t - 1]
    e[2] *= np.sqrt(np.where((np.arange(days) // 25) % 2 == 0, 0.2, 3.0))
    y = m + e
    y[3] = np.where(np.arange(days) < 125, 0.2, 2.5) * m + e[3]
    y[4, rng.random(days) < 0.2] = 0.0
    y[5, 250:260] -= 0.04
    panel = make_panel(y, m, n_estimation=250, first_tau=-10)
    return abnormal_returns(panel, fit(panel), alpha="estimated")


def test_each_trouble_is_noticed_and_no_other() -> None:
    found = diagnose(troubled())
    marked = {name: set(np.flatnonzero(has).tolist()) for name, has in found.troubles().items()}
    assert marked["autocorrelation"] == {1}
    assert marked["beta_shift"] == {3}
    assert marked["thin_trading"] == {4}
    assert marked["pre_trend"] == {5}
    assert 2 in marked["arch"]
    assert 2 in marked["normality"]
    assert 0 not in set().union(*marked.values())
    assert not found.advice[0]
    assert found.advice[1].codes[0] == "advice.autocorrelation"
    assert found.advice[4].codes[-1] == "advice.thin_trading"
    assert text(found.advice[3]).startswith("beta changed within the estimation window")
    assert found.rho1[1] == pytest.approx(0.5, abs=0.12)
    assert found.zero_share[4] == pytest.approx(0.2, abs=0.06)
    assert found.pre_trend_t[5] == pytest.approx(-0.4 / (0.02 * np.sqrt(10)), abs=2.5)


def test_a_short_event_window_has_no_pre_trend() -> None:
    rng = np.random.default_rng(1)
    m = rng.standard_normal(130)
    panel = make_panel(m + rng.standard_normal((2, 130)), m, n_estimation=125, first_tau=-2)
    assert np.isnan(diagnose(abnormal_returns(panel, fit(panel))).pre_trend_t).all()


def test_too_few_days_give_nan() -> None:
    e = np.full((1, 40), np.nan)
    e[0, :4] = [1.0, -1.0, 2.0, 0.5]
    assert np.isnan(arch_lm(e)[1][0])
    assert np.isnan(beta_shift(np.full((1, 40), np.nan), np.ones((1, 40)))[1][0])
    assert np.isnan(jarque_bera(np.full((1, 40), np.nan))[1][0])


def test_leave_one_date_out() -> None:
    values = np.array([0.1, np.nan, -0.2, 0.4, 0.0])
    lower, upper, most = leave_one_date_out(values, ["A", "B", "C", "D", "E"])
    assert lower == pytest.approx(-0.1 / 3)
    assert upper == pytest.approx(0.5 / 3)
    assert most == "D"
    assert leave_one_date_out(values[:2], ["A", "B"])[2] == ""


def test_study_shares_and_advice() -> None:
    found = diagnose(troubled())
    study = diagnose_study(
        found,
        rbar=0.1,
        n_effective=4.0,
        common_volatility_ratio=1.5,
        shock_car=np.array([0.1, 0.2, 0.6]),
        shock_id=["A", "B", "C"],
    )
    assert study.n_fits == 6
    assert study.shares["thin_trading"] == pytest.approx(1 / 6)
    assert study.shares["autocorrelation"] == (found.ljung_box_p < 0.05).mean()
    assert study.most_influential == "C"
    assert any(text(advice).startswith("17% of the fits: many returns are exactly zero") for advice in study.advice)
    assert len(study.advice) == sum(share > 0.15 for share in study.shares.values())


def test_shares_are_over_the_fits_that_could_be_tested() -> None:
    nan = np.nan
    p = np.array([0.01, nan, 0.5])
    fits = FitDiagnostics(
        n_estimation=np.array([9, 9, 9]),
        rho1=p,
        ljung_box_p=p,
        arch_p=p,
        jarque_bera_p=p,
        beta_shift_p=p,
        zero_share=np.zeros(3),
        pre_trend_t=np.full(3, nan),
        advice=no_remarks(3),
    )
    study = diagnose_study(
        fits, rbar=nan, n_effective=nan, common_volatility_ratio=nan, shock_car=np.zeros(0), shock_id=[]
    )
    assert study.shares["arch"] == 0.5
    assert np.isnan(study.shares["pre_trend"])
