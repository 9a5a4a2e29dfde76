"""Accepted ranges of input numbers: prices, returns, units. Used for files, frames, factors and long lists."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
Unit = Literal["", "percent", "basis points"]

#: No price moves by a factor of e^5 in a session.
LARGEST_LOG = 5.0
#: Standard deviation of a daily return in decimals: below it nothing moves, above it the unit is another one.
PLAUSIBLE_SD = (3e-4, 0.2)


def no_price(values: Floats) -> Bools:
    """Mark numbers that are no price: zero, negative, infinite. NaN is the absence of one."""
    return (values <= 0) | np.isinf(values)


def no_return(values: Floats, kind: str) -> Bools:
    """Mark numbers that are no one-session return: a loss of all or more, or a log return of 5 or more."""
    low, high = (-LARGEST_LOG, LARGEST_LOG) if kind == "log" else (-1.0, float(np.expm1(LARGEST_LOG)))
    return (values <= low) | (values >= high)


def unit_of(sigma: float) -> Unit:
    """Return the unit that daily returns with this standard deviation are in, empty for decimals."""
    if sigma > 100 * PLAUSIBLE_SD[1]:
        return "basis points"
    return "percent" if sigma > PLAUSIBLE_SD[1] else ""


def better_lag(own: Floats, index: Floats) -> int:
    """Return by how many sessions returns follow the index, where they fit it better so than on the same day.

    Parameters
    ----------
    own, index : (T,)
        Returns of a security, or means of several, and of its index on the same sessions.

    Returns
    -------
    int
        -1 where the returns stand a session too early, 1 a session too late, else 0.

    Notes
    -----
    The correlation a day apart must be five standard errors from zero and three above the one of the same
    day: a thin share follows its index a little, it does not follow it better.
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
