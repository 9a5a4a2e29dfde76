"""Short names of the arrays that the core computes with; shapes stand in the docstrings."""

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
