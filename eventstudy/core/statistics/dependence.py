"""Correlations of residuals between firm-events on shared calendar sessions."""

from __future__ import annotations

import numpy as np

from eventstudy.core.arrays import Bools, Days, Floats, Places
from eventstudy.core.windows import NO_SESSION

#: Up to this mean correlation firm-events on different dates count as independent.
SMALL_RBAR = 0.02


def residual_correlations(residuals: Floats, sessions: Days) -> Floats:
    """Correlations (N, N) of estimation residuals of each pair, on their common calendar sessions.

    ``residuals`` (N, L1) are NaN on days that were not used, ``sessions`` their calendar days. Zero for pairs
    that share fewer than two sessions; the diagonal is NaN.

    Notes
    -----
    Events at different dates are compared on the same days, not on the same event days: two
    residuals of different weeks are unrelated (Kolari and Pynnönen 2010, eq. 11, for common dates; pairs of different
    dates without common sessions are zero).
    """
    n = len(residuals)
    used = np.isfinite(residuals) & (sessions != NO_SESSION)
    days, code = np.unique(sessions[used], return_inverse=True)
    value, there = np.zeros((n, len(days))), np.zeros((n, len(days)))
    row = np.nonzero(used)[0]
    value[row, code] = residuals[used]
    there[row, code] = 1.0
    shared = there @ there.T
    with np.errstate(divide="ignore", invalid="ignore"):
        total = value @ there.T
        moment = (value**2) @ there.T - total**2 / shared
        covariance = value @ value.T - total * total.T / shared
        correlation = covariance / np.sqrt(moment * moment.T)
    correlation[shared < 2] = 0.0
    np.fill_diagonal(correlation, np.nan)
    return correlation


def window_overlap(sessions: Days, inside: Bools, news: Places) -> Floats:
    """Share (N, N) of a tested window's calendar sessions that each pair of firm-events has in common.

    ``sessions`` (N, L2) are the calendar days of the event days, ``inside`` (L2,) the window's. One for pairs of one
    piece of ``news`` (N,), even if one exchange reacts a day later than another.

    Notes
    -----
    CARs of two dates are correlated only to the extent that their windows have common days, even if the residuals of
    their estimation windows are perfectly correlated, as for a firm with two events. Weighting by the overlap follows
    Kolari, Pape and
    Pynnönen (2018); without overlap it is Kolari and Pynnönen's (2010) zero for pairs across dates.
    """
    # Peers of one exchange have the same days, so each distinct window is compared only once.
    tested, alike = np.unique(sessions[:, inside], axis=0, return_inverse=True)
    days, code = np.unique(tested, return_inverse=True)
    there = np.zeros((len(tested), len(days)))
    there[np.repeat(np.arange(len(tested)), tested.shape[1]), code.ravel()] = 1.0
    shared: Floats = (there @ there.T) / tested.shape[1]
    return np.where(news[:, None] == news, 1.0, shared[alike][:, alike])


def mean_correlation(correlations: Floats) -> float:
    """Mean over the pairs i ≠ j of a correlation matrix; NaN if there is no pair or one is undefined."""
    n = len(correlations)
    if n < 2:
        return float("nan")
    # If the first entry is removed, the diagonal is the last of n+1 columns.
    off_diagonal = correlations.ravel()[1:].reshape(n - 1, n + 1)[:, :-1].ravel()
    return float(off_diagonal.mean())


def effective_number(n: int, rbar: float) -> float:
    """Number of independent firm-events with the information of n with mean correlation r̄: n/(1+(n-1)r̄).

    It exceeds n if r̄ is negative. NaN if 1+(n-1)r̄ is not positive.
    """
    inflation = 1.0 + (n - 1) * rbar
    return n / inflation if inflation > 0 else float("nan")
