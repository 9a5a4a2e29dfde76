"""Parse columns of days in many spellings."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

_CLOCK = r"(?:[ T](?P<clock>\d{1,2}:\d{2}(?::\d{2}(?:\.\d+)?)?)\s*(?P<zone>Z|[+-]\d{2}:?\d{2})?)?"
_YEAR_FIRST = re.compile(r"(\d{4})([-/.年])(\d{1,2})(?:\2|月)(\d{1,2})日?" + _CLOCK)
_COMPACT = re.compile(r"(\d{4})(\d{2})(\d{2})(?:\.0)?")
_DOTTED = re.compile(r"(\d{1,2})\.(\d{1,2})\.(\d{4})" + _CLOCK)
_DOTS = re.compile(r"(\d{1,2})\.(\d{1,2})\.(\d{4})")
_YEAR_LAST = re.compile(r"(\d{1,2})([/-])(\d{1,2})\2(\d{4})" + _CLOCK)
_NAMED = re.compile(r"(?:(\d{1,2})[- ]?([A-Za-z]{3,9})[- ,]*(\d{4}))|(?:([A-Za-z]{3,9})\.? (\d{1,2}),? (\d{4}))")
_SERIAL = re.compile(r"(\d{5})(?:\.0*)?")
_ISO_DAYS = re.compile(r"(?:[0-9]{4}-[0-9]{2}-[0-9]{2}\n)*")
#: Day 0 of Excel's serial numbers, which count a 29 February 1900 that did not exist.
EXCEL_ZERO = dt.date(1899, 12, 30)
#: Serial numbers that can be days of prices: 1927 to 2064.
SERIALS = (10_000, 60_000)
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
NO_DAY = "is not a day; write it as 2026-06-24"
WITH_TIME = "has a time of day; daily prices have a day: write it as 2026-06-24"


@dataclass(frozen=True, slots=True)
class Days:
    """Days of T cells, NaT if a cell is no day; ``wrong`` maps the index of such a cell to the problem."""

    days: NDArray[np.datetime64]
    wrong: Mapping[int, str]


def parse_days(cells: Sequence[str], *, dots_decide: bool = True) -> Days:
    """Read a column of days.

    Accepted are 2024-06-12, 20240612, 2024/6/12, 12.06.2024, 12 Jun 2024, 12JUN2024, midnight as in
    2024-06-12 00:00:00, 06/12/2024 if the whole column shows which number is the month, and Excel's serial numbers if
    all cells are such numbers. With dots the day comes first; without ``dots_decide`` dots are treated like slashes.
    """
    # One match for the whole column: files of the usual form are read at the speed of numpy.
    if _ISO_DAYS.fullmatch("".join(f"{cell}\n" for cell in cells)):
        try:
            return Days(np.array(cells, dtype="datetime64[D]"), {})
        except ValueError:
            pass
    known = {cell: cell.strip() for cell in dict.fromkeys(cells)}
    if not dots_decide:
        known = {cell: _DOTS.sub(r"\1/\2/\3", bare) for cell, bare in known.items()}
    order = _order(known.values())
    serial = all(_serial(cell) is not None for cell in known.values())
    read = {cell: _day(bare, order, serial=serial) for cell, bare in known.items()}
    days = np.array([read[cell][0] or "NaT" for cell in cells], dtype="datetime64[D]")
    return Days(days, {at: read[cell][1] for at, cell in enumerate(cells) if read[cell][1]})


def _order(cells: Iterable[str]) -> str:
    """Which number of 06/12/2024 is the month: ``"month"`` first, ``"day"`` first, ``"both"``, ``""``."""
    pairs = [match.group(1, 3) for cell in cells if (match := _YEAR_LAST.fullmatch(cell))]
    day_first = any(int(first) > 12 >= int(second) for first, second in pairs)
    month_first = any(int(second) > 12 >= int(first) for first, second in pairs)
    if day_first and month_first:
        return "both"
    return "day" if day_first else "month" if month_first else ""


def _serial(cell: str) -> int | None:
    match = _SERIAL.fullmatch(cell)
    return int(match[1]) if match and SERIALS[0] <= int(match[1]) <= SERIALS[1] else None


def _day(cell: str, order: str, *, serial: bool) -> tuple[str, str]:
    """Return the ISO day of a cell and what is wrong with it."""
    if serial and (number := _serial(cell)) is not None:
        return str(EXCEL_ZERO + dt.timedelta(days=number)), ""
    if match := _YEAR_FIRST.fullmatch(cell):
        return _iso(match[1], match[3], match[4], match)
    if match := _COMPACT.fullmatch(cell):
        return _iso(match[1], match[2], match[3])
    if match := _DOTTED.fullmatch(cell):
        return _iso(match[3], match[2], match[1], match)
    if match := _YEAR_LAST.fullmatch(cell):
        return _year_last(match, order)
    if match := _NAMED.fullmatch(cell):
        day, name, year = (match[1], match[2], match[3]) if match[1] else (match[5], match[4], match[6])
        month = name[:3].lower()
        return _iso(year, str(_MONTHS.index(month) + 1), day) if month in _MONTHS else ("", NO_DAY)
    return "", NO_DAY


def _year_last(match: re.Match[str], order: str) -> tuple[str, str]:
    first, second, year = match[1], match[3], match[4]
    if order == "month":
        return _iso(year, first, second, match)
    if order == "day":
        return _iso(year, second, first, match)
    if order == "both":
        return "", "is written month first and, elsewhere in this column, day first; write 2026-06-24"
    one, other = _iso(year, first, second)[0], _iso(year, second, first)[0]
    if one == other:
        return _iso(year, first, second, match)
    return "", f"could be {one} or {other}, and no other row decides; write 2026-06-24"


def _iso(year: str, month: str, day: str, match: re.Match[str] | None = None) -> tuple[str, str]:
    try:
        iso = str(dt.date(int(year), int(month), int(day)))
    except ValueError:
        return "", NO_DAY
    clock = (match["clock"] or "") if match is not None else ""
    if clock and any(character in "123456789" for character in clock):
        return "", WITH_TIME
    return iso, ""
