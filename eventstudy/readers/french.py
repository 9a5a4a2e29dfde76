"""Kenneth French's files of daily factors as they are downloaded.

Lines of text come first, then a header whose first cell is empty, a row a day (20240612), and a copyright
line or, in monthly files, tables of annual factors behind an empty line. -99.99 and -999 stand for no value.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

#: Numbers that stand where there is no value.
CODES = (-99.99, -999.0)
_DAY = re.compile(r"\d{8}")


def daily_rows(rows: Sequence[Sequence[str]]) -> tuple[int, list[list[str]]]:
    """Return how many lines stand above the header, and header and days; other files as they are."""
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
