"""Accepted ranges of input numbers: prices, returns, units. Used for files, frames, factors and long lists."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
Unit = Literal["", "percent", "basis points"]

#: Largest possible absolute log return of a session.
LARGEST_LOG = 5.0
#: Smallest and largest plausible standard deviation of daily returns in decimals; above it the unit is wrong.
PLAUSIBLE_SD = (3e-4, 0.2)


def no_price(values: Floats) -> Bools:
    """Mark impossible prices: zero, negative, infinite. NaN is a missing price."""
    return (values <= 0) | np.isinf(values)


def no_return(values: Floats, kind: str) -> Bools:
    """Mark impossible one-session returns: a loss of 100 % or more, or a log return of 5 or more."""
    low, high = (-LARGEST_LOG, LARGEST_LOG) if kind == "log" else (-1.0, float(np.expm1(LARGEST_LOG)))
    return (values <= low) | (values >= high)


def unit_of(sigma: float) -> Unit:
    """Return the unit of daily returns with this standard deviation, empty for decimals."""
    if sigma > 100 * PLAUSIBLE_SD[1]:
        return "basis points"
    return "percent" if sigma > PLAUSIBLE_SD[1] else ""


def better_lag(own: Floats, index: Floats) -> int:
    """Return the lag at which returns fit the index better than on the same day.

    Parameters
    ----------
    own, index : (T,)
        Returns of a security, or means of several, and of its index on the same sessions.

    Returns
    -------
    int
        -1 if the returns are one session too early, 1 if one session too late, else 0.

    Notes
    -----
    The lagged correlation must be five standard errors from zero and three above that of the same day, because a
    thinly traded share also follows its index with a lag.
    """
    there = np.isfinite(own) & np.isfinite(index)
    if there.sum() < 60:
        return 0
    same = _correlation(own, index)
    error = 1.0 / np.sqrt(there.sum())
    lagged = {-1: _correlation(own[:-1], index[1:]), 1: _correlation(own[1:], index[:-1])}
    lag = max(lagged, key=lambda k: lagged[k])
    return lag if lagged[lag] > max(5.0 * error, same + 3.0 * error) else 0


def _correlation(one: Floats, other: Floats) -> float:
    both = np.isfinite(one) & np.isfinite(other)
    a, b = one[both] - one[both].mean(), other[both] - other[both].mean()
    size = float(np.sqrt((a @ a) * (b @ b)))
    return float(a @ b) / size if size > 0 else 0.0
