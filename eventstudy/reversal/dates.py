"""Shocks of one day 0 as one date: what a verdict and every measure over dates counts."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray


def date_means(day0: NDArray[np.int32], values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Mean over the shocks of each date, in order of the dates.

    Parameters
    ----------
    day0 : (K,)
        Day 0 of the shocks.
    values : (K,) or (K, ...)

    Returns
    -------
    (D,) or (D, ...) array
    """
    days, date = np.unique(day0, return_inverse=True)
    if len(days) == len(day0):
        return values[np.argsort(day0, kind="stable")]
    return np.array([values[date == d].mean(axis=0) for d in range(len(days))])


def date_sets(
    day0: NDArray[np.int32], events: NDArray[np.float64], placebos: Sequence[NDArray[np.float64]]
) -> tuple[NDArray[np.float64], list[NDArray[np.float64]]]:
    """CARs of each date and those of its placebos, from those of K shocks.

    Notes
    -----
    Shocks of one date move together, so the date is worth one observation: the mean of their CARs,
    against the placebos of all of them. Each set is moved to the mean of the sets' means, so that the
    date's excess is the mean of its shocks' excesses. One portfolio scatters more than the mean of
    several, so the spread of the placebos errs on the side of a test that rejects less often.
    """
    days, date = np.unique(day0, return_inverse=True)
    sets = []
    for d in range(len(days)):
        own = [placebos[int(k)] for k in np.flatnonzero(date == d)]
        if len(own) > 1:
            level = [float(np.nanmean(values)) for values in own]
            own = [values - at + float(np.mean(level)) for values, at in zip(own, level, strict=True)]
        sets.append(np.concatenate(own))
    return date_means(day0, events), sets


def date_names(day0: NDArray[np.int32], names: NDArray[np.str_]) -> list[str]:
    """Names of the shocks of each date side by side, in order of the dates."""
    return [", ".join(names[day0 == day].tolist()) for day in np.unique(day0)]
