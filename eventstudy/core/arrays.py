"""Short names of array types (docstrings give the shapes); centring and ranking of rows."""

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
Texts = NDArray[np.str_]
#: Positions in another array.
Places = NDArray[np.intp]
Counts = NDArray[np.int64]
#: Days since 1970.
Days = NDArray[np.int32]
Dates = NDArray[np.datetime64]
#: Of `errors.Reason`.
Reasons = NDArray[np.object_]


def centred(values: Floats, used: Bools) -> Floats:
    """Deviations of each row from the mean of its used days, zero elsewhere, all (N, L)."""
    with np.errstate(divide="ignore", invalid="ignore"):
        mean = np.where(used, values, 0.0).sum(axis=1) / used.sum(axis=1)
    return np.where(used, values - mean[:, None], 0.0)


def row_ranks(values: Floats) -> Floats:
    """Ranks along axis 1 with ties at their mean; NaN stays NaN and is not counted."""
    there = np.isfinite(values)
    filled = np.where(there, values, np.inf)
    order = np.argsort(filled, axis=1)
    ranks = np.empty(values.shape)
    np.put_along_axis(ranks, order, np.arange(1.0, values.shape[1] + 1.0)[None, :], axis=1)
    ordered = np.take_along_axis(filled, order, axis=1)
    # Missing days are infinite here; they get no rank.
    tied = ((ordered[:, 1:] == ordered[:, :-1]) & (ordered[:, 1:] < np.inf)).any(axis=1)
    for row in np.flatnonzero(tied):
        _, place, count = np.unique(filled[row], return_inverse=True, return_counts=True)
        ranks[row] = (np.cumsum(count) - (count - 1) / 2.0)[place]
    return np.where(there, ranks, np.nan)
