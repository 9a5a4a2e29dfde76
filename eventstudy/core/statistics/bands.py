"""The band around the mean cumulative abnormal return, day by day."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy import special

from eventstudy.core.arrays import Floats
from eventstudy.core.statistics.overlap import DateOverlap
from eventstudy.core.statistics.sample import FEWEST_EFFECTIVE


def band_half_width(count: Floats, total: Floats, overlap: Sequence[DateOverlap]) -> Floats:
    """Half width of the CAAR's 95 % band by event day, (L2,); NaN without two dates, or two dates' worth.

    Parameters
    ----------
    count, total : (K, L2)
        Firm-events of each date that have the day, and the sum of their AR - AAR.
    overlap : L2 times
        Of the dates' windows from the first event day to each one.

    Notes
    -----
    The influence of a date on the CAAR up to a day is the sum over its firm-events of (AR - AAR)/n,
    accumulated over the days; `DateOverlap.clustering` makes the variance of the sum of their squares.
    The t distribution has the degrees of freedom of `DateOverlap.df`: K-1 without overlap.
    """
    k, days = count.shape
    half = np.full(days, np.nan)
    if k < 2:
        return half
    with np.errstate(invalid="ignore", divide="ignore"):
        influence = np.cumsum(total / count.sum(axis=0), axis=1)
        share = np.cumsum(count, axis=1) / np.cumsum(count.sum(axis=0))
    square = (influence**2).sum(axis=0)
    for day, between in enumerate(overlap):
        if between.k_eff < FEWEST_EFFECTIVE or not np.isfinite(square[day]):
            continue
        half[day] = special.stdtrit(between.df, 0.975) * np.sqrt(between.clustering(share[:, day]) * square[day])
    return half
