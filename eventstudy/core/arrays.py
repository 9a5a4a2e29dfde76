"""Short names of the arrays that the core computes with, whose shapes stand in docstrings; rows about their means."""

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
