"""Tests over firm-events that pool the cross-section."""

from __future__ import annotations

import numpy as np

from eventstudy.core.arrays import Floats
from eventstudy.core.statistics.sample import TestResult, WindowSample, statistic
from eventstudy.errors import Reason

MEAN_ZERO = "the mean cumulative abnormal return is zero"
NO_VARIATION = Reason("not_tested.no_variation")


@statistic(
    "cross_sectional_t",
    null=MEAN_ZERO,
    source="Brown and Warner 1980; MacKinlay 1997, sec. 5",
    minimum=2,
    weighted=True,
)
def cross_sectional_t(sample: WindowSample) -> TestResult:
    """CAAR over the cross-sectional standard error, t(N-1); on common dates it rejects far too often."""
    return _ratio(sample, sample.mean(sample.car), sample.error(sample.car))


@statistic("skewness_t", null=MEAN_ZERO, source="Hall 1992", minimum=3)
def skewness_t(sample: WindowSample) -> TestResult:
    """Hall's transformed t for skewed CARs, normal.

    Notes
    -----
    S = mean/s with ddof 1, g = N/((N-1)(N-2)) sum ((CAR - mean)/s)^3, and t = sqrt(N) (S + g S^2/3 + g^2 S^3/27
    + g/(6N)) (Hall 1992, J. R. Statist. Soc. B 54, 221-228). Assumes independent firm-events. It becomes
    extremely large with strong effects, so it is never the headline test.
    """
    sd = sample.car.std(ddof=1)
    if not sd > 0:
        return sample.refuse(NO_VARIATION)
    n, s = sample.n, sample.car.mean() / sd
    skew = n / ((n - 1) * (n - 2)) * (((sample.car - sample.car.mean()) / sd) ** 3).sum()
    value = np.sqrt(n) * (s + skew * s**2 / 3 + skew**2 * s**3 / 27 + skew / (6 * n))
    return sample.result(value, distribution="normal")


@statistic(
    "bhar_t",
    null="the mean buy-and-hold abnormal return is zero",
    source="Barber and Lyon 1997",
    minimum=2,
    weighted=True,
)
def bhar_t(sample: WindowSample) -> TestResult:
    """Mean BHAR over its cross-sectional standard error, t(N-1).

    BHAR = prod(1+R) - prod(1+E[R]); for log returns exp(sum R) - exp(sum E[R]). Assumes independent
    firm-events.
    """
    bhar = sample.abnormal.bhar(sample.window)
    mean, se = sample.mean(bhar), sample.error(bhar)
    if not se > 0:
        return sample.refuse(NO_VARIATION)
    return sample.result(mean / se, distribution="t", df=float(sample.n - 1), estimate=mean)


@statistic("patell", null=MEAN_ZERO, source="Patell 1976", minimum=1, weighted=True)
def patell(sample: WindowSample) -> TestResult:
    """Patell's Z = sum SCAR / sqrt(sum (M-k)/(M-k-2)) with SCARs of exact prediction-error variance."""
    return sample.result(_patell(sample), distribution="normal")


@statistic("patell_kp", null=MEAN_ZERO, source="Patell 1976; Kolari and Pynnönen 2010", minimum=2, weighted=True)
def patell_kp(sample: WindowSample) -> TestResult:
    """Patell's Z over sqrt(1+(N-1) rbar), for correlated firm-events; rbar as in ``bmp_kp``."""
    inflation = 1.0 + (sample.weighty - 1) * sample.rbar
    if not inflation > 0:
        return sample.refuse(_no_adjustment(sample))
    return sample.result(_patell(sample) / np.sqrt(inflation), distribution="normal")


@statistic("bmp", null=MEAN_ZERO, source="Boehmer, Musumeci and Poulsen 1991", minimum=2, weighted=True)
def bmp(sample: WindowSample) -> TestResult:
    """Mean SCAR over its cross-sectional standard error, t(N-1): robust to event-induced variance."""
    return _ratio(sample, sample.mean(sample.scar), sample.error(sample.scar))


@statistic("bmp_kp", null=MEAN_ZERO, source="Kolari and Pynnönen 2010", minimum=2, weighted=True)
def bmp_kp(sample: WindowSample) -> TestResult:
    """BMP times sqrt((1-rbar)/(1+(N-1) rbar)), t(N-1): also robust to correlated firm-events.

    Not robust if the event raises the common variance; see the common-volatility ratio. With overlapping
    windows rbar counts a pair of two dates by the share of the window that they have in common, so another
    window can give another rbar.
    """
    inflation = 1.0 + (sample.weighty - 1) * sample.rbar
    if not (inflation > 0 and sample.rbar < 1):
        return sample.refuse(_no_adjustment(sample))
    se = sample.error(sample.scar) * np.sqrt(inflation / (1.0 - sample.rbar))
    return _ratio(sample, sample.mean(sample.scar), se)


@statistic(
    "portfolio_t", null=MEAN_ZERO, source="Brown and Warner 1980, crude dependence adjustment", minimum=1, weighted=True
)
def portfolio_t(sample: WindowSample) -> TestResult:
    """CAAR over sqrt(W) times the standard deviation of the mean AR of the firm-events, t(L-1).

    The standard deviation (ddof 1) is that of the daily means in the estimation window, in event time. On
    common dates it includes the correlation of the peers.
    """
    mean = sample.once(mean_residuals)
    if len(mean) < 3:
        return sample.refuse(Reason("not_tested.two_days"))
    width = sample.window[1] - sample.window[0] + 1
    value = sample.mean(sample.car) / (mean.std(ddof=1) * np.sqrt(width * sample.inflation))
    return sample.result(float(value), distribution="t", df=float(len(mean) - 1))


def mean_residuals(sample: WindowSample) -> Floats:
    """Mean residual over the firm-events on each estimation day that has any, (M,)."""
    residuals = sample.abnormal.expected.residuals
    there = np.isfinite(residuals)
    days = there.any(axis=0)
    if sample.by_value:
        weight = np.where(there, sample.shares[:, None], 0.0)
        return np.asarray((weight * np.nan_to_num(residuals)).sum(axis=0)[days] / weight.sum(axis=0)[days])
    mean: Floats = np.where(there, residuals, 0.0).sum(axis=0)[days] / there.sum(axis=0)[days]
    return mean


def _ratio(sample: WindowSample, mean: float, se: float) -> TestResult:
    if not se > 0:
        return sample.refuse(NO_VARIATION)
    return sample.result(float(mean / se), distribution="t", df=float(sample.n - 1))


def _patell(sample: WindowSample) -> float:
    dof = sample.abnormal.expected.dof
    if (dof <= 2).any():
        return float("nan")
    if sample.by_value:
        return sample.mean(sample.scar) / float(np.sqrt((sample.shares**2 * dof / (dof - 2.0)).sum()))
    return float(sample.scar.sum() / np.sqrt((dof / (dof - 2.0)).sum()))


def _no_adjustment(sample: WindowSample) -> Reason:
    if np.isnan(sample.rbar):
        return Reason("not_tested.no_rbar")
    return Reason("not_tested.low_rbar", rbar=sample.rbar)
