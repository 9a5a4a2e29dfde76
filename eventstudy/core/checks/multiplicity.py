"""Adjustment of p-values for multiple tests: Holm's step-down."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from eventstudy.core.arrays import Days, Floats
from eventstudy.core.statistics.sample import WindowSample


def days_of(sample: WindowSample) -> Days:
    """Return the day of each date of a sample, (K,): days since 1970, or positions on an axis of sessions."""
    return sample.portfolios.day0


def holm(p: Floats) -> Floats:
    """Holm's step-down p-values (Holm 1979): max_{l<=j} (m-l+1) p_(l), at most one; NaN stays NaN."""
    return stepwise(p, lambda ordered, m: np.maximum.accumulate((m - np.arange(m)) * ordered))


def stepwise(p: Floats, rule: Callable[[Floats, int], Floats]) -> Floats:
    """Return p-values adjusted by a function of the ordered p-values and their number m, at most 1; NaN stays NaN."""
    adjusted = np.full(len(p), np.nan)
    there = np.flatnonzero(np.isfinite(p))
    order = there[np.argsort(p[there], kind="stable")]
    adjusted[order] = np.minimum(rule(p[order], len(order)), 1.0)
    return adjusted
