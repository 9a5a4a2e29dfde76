"""Codes in CRSP files that are not values.

Source: CRSP Data Descriptions Guide, missing return codes. -66.0: more than ten days without a price;
-77.0: not traded on the exchange at the time; -88.0: outside the security's listing; -99.0: no current price;
-44.0: no valid previous price; -55.0: no delisting return. WRDS writes letters instead, B and C in the field
of returns.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from eventstudy.errors import Reason
from eventstudy.readers.sheets import Sheet

#: Letters that CRSP writes instead of a return.
LETTERS = ("A", "B", "C", "D", "E", "P", "S", "T")
#: Numbers that CRSP writes instead of a return.
CODES = (-44.0, -55.0, -66.0, -77.0, -88.0, -99.0)

#: Columns whose negative prices are means of bid and ask.
SIGNED = ("prc", "dlyprc", "altprc")


def unsigned(sheet: Sheet, column: str) -> Sheet:
    """Return a sheet without the minus signs that mark means of bid and ask; a note gives their number."""
    cells = sheet.cells[column]
    if isinstance(cells, np.ndarray) and cells.dtype.kind == "f":
        marked, plain = int((cells < 0).sum()), np.abs(cells)
    else:
        texts = [str(cell).strip() for cell in cells]
        marked = sum(text[:1] == "-" and text[1:2].isdigit() for text in texts)
        plain = np.array([text[1:] if text[1:2].isdigit() and text[:1] == "-" else text for text in texts], object)
    found = replace(sheet, cells={**sheet.cells, column: plain})
    return found.noted(Reason("read.bid_ask", n=marked)) if marked else found


def without_codes(returns: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the returns with NaN instead of codes."""
    return np.where(np.isin(returns, CODES), np.nan, returns)
