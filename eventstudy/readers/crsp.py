"""Codes of CRSP's files that are no values.

Source: CRSP Data Descriptions Guide, missing return codes. -66.0: more than ten days without a price;
-77.0: not traded on the exchange at the time; -88.0: outside the security's listing; -99.0: no current price;
-44.0: no valid previous price; -55.0: no delisting return. WRDS writes letters instead, B and C in the field
of returns.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

#: Letters in the place of a return.
LETTERS = ("A", "B", "C", "D", "E", "P", "S", "T")
#: Numbers in the place of a return.
CODES = (-44.0, -55.0, -66.0, -77.0, -88.0, -99.0)


def without_codes(returns: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return returns with NaN in the place of codes."""
    return np.where(np.isin(returns, CODES), np.nan, returns)
