"""Tests of one firm-event: the abnormal return of a day and the CAR of a window."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import special

from eventstudy.config import Window
from eventstudy.core.abnormal import AbnormalReturns
from eventstudy.core.arrays import Floats
from eventstudy.core.statistics.sample import Alternative, TestResult, WindowSample, statistic
from eventstudy.errors import Reason


@dataclass(frozen=True, slots=True)
class FirmTest:
    """Values, standard errors, t statistics and p-values, all of one shape."""

    value: Floats
    se: Floats
    t: Floats
    p_value: Floats
    df: Floats


def car_tests(abnormal: AbnormalReturns, window: Window, alternative: Alternative = "two-sided") -> FirmTest:
    """t tests of every firm-event's CAR, arrays of shape (N,), df = estimation days less coefficients.

    t = CAR / sqrt(g'Vg) with the exact prediction-error variance (Campbell, Lo and MacKinlay 1997,
    eq. 4.4.15; Patell 1976).
    """
    car = abnormal.car(window)
    se = np.where(np.isfinite(car), np.sqrt(abnormal.variance(window)), np.nan)
    t = car / se
    df = abnormal.expected.dof
    return FirmTest(car, se, t, p_values(t, df, alternative), df)


def p_values(t: Floats, df: Floats, alternative: Alternative) -> Floats:
    """p-values of t statistics with ``df`` degrees of freedom, of one shape, against an alternative."""
    if alternative == "two-sided":
        return np.asarray(2.0 * special.stdtr(df, -np.abs(t)))
    return np.asarray(special.stdtr(df, t if alternative == "less" else -t))


@statistic(
    "ar_t",
    weighted=True,
    null="the abnormal return of the day is zero",
    source="Campbell, Lo and MacKinlay 1997, eq. 4.4.15",
)
def ar_t(sample: WindowSample) -> TestResult:
    """t test of one firm's abnormal return on one day; for groups see the cross-sectional tests."""
    if sample.window[0] != sample.window[1]:
        return sample.refuse(Reason("not_tested.one_day"))
    return _single(sample)


@statistic(
    "car_t",
    weighted=True,
    null="the cumulative abnormal return is zero",
    source="Campbell, Lo and MacKinlay 1997, eq. 4.4.15",
)
def car_t(sample: WindowSample) -> TestResult:
    """t test of one firm's CAR; for groups see the cross-sectional tests."""
    return _single(sample)


def _single(sample: WindowSample) -> TestResult:
    if sample.n != 1:
        return sample.refuse(Reason("not_tested.one_event", n=sample.n))
    return sample.result(float(sample.scar[0]), distribution="t", df=float(sample.abnormal.expected.dof[0]))
