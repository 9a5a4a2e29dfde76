"""Read Kenneth French's files of daily factors as they are downloaded.

Lines of text come first, then a header whose first cell is empty, one row for each day (20240612), and a copyright
line or, in monthly files, tables of annual factors after an empty line. -99.99 and -999 are missing values.
"""

from __future__ import annotations

import io
import re
import zipfile
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

#: Codes for a missing value in a file in percent, and in one that was divided by 100.
CODES = (-99.99, -999.0)
CODES_OF_DECIMALS = (*CODES, -0.9999, -9.99)
#: Largest unpacked size of a zip archive, in bytes.
_MOST_BYTES = 2**28
_DAY = re.compile(r"\d{8}")


def unpacked(raw: bytes) -> bytes:
    """Return the only CSV of a zip archive; other files unchanged."""
    if not raw.startswith(b"PK\x03\x04"):
        return raw
    try:
        with zipfile.ZipFile(io.BytesIO(raw)) as archive:
            (member,) = [item for item in archive.infolist() if item.filename.lower().endswith(".csv")]
            return archive.read(member) if member.file_size <= _MOST_BYTES else raw
    except (zipfile.BadZipFile, ValueError, RuntimeError, NotImplementedError):
        return raw


def without_codes(values: NDArray[np.float64], *, percent: bool) -> NDArray[np.float64]:
    """Return the factors with NaN instead of codes."""
    return np.where(np.isin(values, CODES if percent else CODES_OF_DECIMALS), np.nan, values)


def daily_rows(rows: Sequence[Sequence[str]]) -> tuple[int, list[list[str]]]:
    """Return the number of lines above the header, and header and daily rows; other files unchanged."""
    if rows and rows[0] and rows[0][0].strip().lower() == "date":
        return 0, [list(row) for row in rows]
    for top, row in enumerate(rows[:100]):
        if len(row) > 1 and not row[0].strip() and all(cell.strip() for cell in row[1:]):
            body = []
            for line in rows[top + 1 :]:
                if not line or not _DAY.fullmatch(line[0].strip()):
                    break
                body.append(list(line))
            return top, [["date", *row[1:]], *body]
    return 0, [list(row) for row in rows]
