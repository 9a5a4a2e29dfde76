"""Test of the calendar-time portfolio, which holds each share during its event window."""

from __future__ import annotations

import numpy as np

from eventstudy.core.arrays import Floats
from eventstudy.core.statistics.sample import TestResult, WindowSample, statistic
from eventstudy.errors import Reason

#: Smallest number of calendar days for a standard error over days.
FEWEST_DAYS = 10


@statistic(
    "calendar_time",
    weighted=True,
    null="the calendar-time portfolio's mean daily abnormal return is zero",
    source="Jaffe 1974; Mandelker 1974; Newey and West 1987",
)
def calendar_time(sample: WindowSample) -> TestResult:
    """t of the mean daily abnormal return of the calendar-time portfolio, t(D-1).

    Notes
    -----
    D is the number of calendar days in some firm-event's window. On each of them the portfolio's return is the
    mean AR of the firm-events whose windows contain the day, so common dates count once. The standard error is
    that of Newey and West, with Bartlett weights and min(W-1, floor(4 (D/100)^(2/9))) lags over the days in
    order. The estimate is a daily return, not a CAR. Each day has the same weight, whatever its number of
    firm-events.
    """
    mean = sample.of(calendar_returns)
    days = len(mean)
    if days < FEWEST_DAYS:
        return sample.refuse(Reason("not_tested.few_days", needed=FEWEST_DAYS, n=days))
    width = sample.window[1] - sample.window[0] + 1
    lags = min(width - 1, int(4 * (days / 100) ** (2 / 9)))
    se = np.sqrt(newey_west_variance(mean, lags))
    value = mean.mean() / se if se > 0 else np.nan
    return sample.result(value, distribution="t", df=float(days - 1), estimate=float(mean.mean()))


def calendar_returns(sample: WindowSample) -> Floats:
    """Mean abnormal return of each calendar day that lies in some firm-event's window, (D,)."""
    inside = sample.abnormal.weights(sample.window) > 0
    ar, sessions = sample.abnormal.ar[:, inside], sample.abnormal.panel.event_sessions[:, inside]
    # A day without a trade that a later return of the window covers does not count for that firm.
    there = np.isfinite(ar)
    code = np.unique(sessions[there], return_inverse=True)[1]
    weight = np.broadcast_to(sample.shares[:, None] if sample.by_value else 1.0, ar.shape)[there]
    mean: Floats = np.bincount(code, weights=weight * ar[there]) / np.bincount(code, weights=weight)
    return mean


def newey_west_variance(values: Floats, lags: int) -> float:
    """Variance of the mean of a series, autocovariances up to ``lags`` with Bartlett weights.

    (g_0 + 2 sum_j (1 - j/(lags+1)) g_j) / D with g_j = sum_t x_t x_{t-j} / D (Newey and West 1987).
    """
    deviation = values - values.mean()
    days = len(deviation)
    total = float(deviation @ deviation)
    for lag in range(1, lags + 1):
        total += 2.0 * (1.0 - lag / (lags + 1)) * float(deviation[lag:] @ deviation[:-lag])
    return total / days**2
