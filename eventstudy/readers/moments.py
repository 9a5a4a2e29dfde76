"""Parse columns of an events file that contain days, or times with a zone."""

from __future__ import annotations

import datetime as dt
import difflib
import re
import zoneinfo
from collections.abc import Sequence
from dataclasses import dataclass

from eventstudy.readers.dates import EXCEL_ZERO, NO_DAY, WITH_TIME, parse_days

Moment = dt.datetime | dt.date
_DATE = re.compile(r"(\d{4})[-/](\d{1,2})[-/](\d{1,2})")
_ZONED = re.compile(r"(?P<local>\S+(?: \d\S*)?)\s*(?:\[(?P<bracket>[^\]]+)\]| (?P<name>[A-Za-z_]+/\S+|UTC))")
#: Accepted years of an event.
YEARS = (1900, 2199)
#: Offsets from UTC go from -12:00 to +14:00.
_LARGEST_OFFSET = dt.timedelta(hours=14)
_ISO_TIME = re.compile(r"\d{4}[-/]\d{1,2}[-/]\d{1,2}[T ]\S")
_EXAMPLE = "write ISO 8601 with an offset, such as 2026-06-09T09:30:00-04:00, or a date 2026-06-09"
_NO_ZONE = "has no zone, and a naive time could be any of 24 hours"


@dataclass(frozen=True, slots=True)
class Moments:
    """Values of N cells: an aware UTC time, a day, or None; ``wrong`` maps the index of a cell to the problem."""

    values: tuple[Moment | None, ...]
    wrong: dict[int, str]


def parse_moments(cells: Sequence[str], precisions: Sequence[str]) -> Moments:
    """Read a column of moments, empty cells as None.

    Times need an offset or a zone; days may be written in every way that `parse_days` reads. A time at
    midnight counts as a day if its precision is ``date``, or if no precision is given and every such cell of the
    column is a day or at midnight.

    Parameters
    ----------
    cells : sequence of str, (N,)
    precisions : sequence of str, (N,)
        As given in the file, empty if missing.
    """
    spelled = [cell for cell in dict.fromkeys(cells) if cell]
    days = parse_days(spelled, dots_decide=False)
    known: dict[str, Moment | str] = {
        cell: _moment(cell, None if at in days.wrong else days.days[at].astype(dt.date), days.wrong.get(at, ""))
        for at, cell in enumerate(spelled)
    }
    free = {cell for cell, precision in zip(cells, precisions, strict=True) if cell and not precision}
    no_times = all(_at_midnight(known[cell]) for cell in free)
    values: list[Moment | None] = []
    wrong: dict[int, str] = {}
    for at, (cell, precision) in enumerate(zip(cells, precisions, strict=True)):
        read = known.get(cell)
        if isinstance(read, dt.datetime):
            bare = (precision == "date" and read.tzinfo is None) or (not precision and no_times)
            if bare and _at_midnight(read):
                read = read.date()
            else:
                read = _utc(read)
        if isinstance(read, str):
            wrong[at] = read
        values.append(None if isinstance(read, str) else read)
    return Moments(tuple(values), wrong)


def _at_midnight(moment: Moment | str) -> bool:
    return not isinstance(moment, dt.datetime) or moment.time() == dt.time.min


def _utc(moment: dt.datetime) -> dt.datetime | str:
    if moment.tzinfo is None:
        return f": {_NO_ZONE}; {_EXAMPLE}"
    try:
        return moment.astimezone(dt.UTC)
    except OverflowError as error:
        return f": {error}; {_EXAMPLE}"


def _moment(cell: str, day: dt.date | None, why_no_day: str) -> Moment | str:
    """A day, a time in its own zone, or None; else the problem of the cell."""
    try:
        if re.match(r"\d{4}[-/]", cell) and not YEARS[0] <= int(cell[:4]) <= YEARS[1]:
            raise ValueError(f"the year is not one of {YEARS[0]} to {YEARS[1]}")
        if date := _DATE.fullmatch(cell):
            return dt.date(int(date[1]), int(date[2]), int(date[3]))
        if (zoned := _ZONED.fullmatch(cell)) and _DATE.match(zoned["local"]):
            return _in_zone(zoned["local"], zoned["bracket"] or zoned["name"])
        if _ISO_TIME.match(cell) and cell[4] == "-":
            moment = dt.datetime.fromisoformat(cell)
            if abs(moment.utcoffset() or dt.timedelta(0)) > _LARGEST_OFFSET:
                raise ValueError("no time zone has such an offset; the largest is 14:00")
            return moment
    except (ValueError, OverflowError) as error:
        return f": {error}; {_EXAMPLE}"
    if day is not None:
        return day
    if why_no_day not in ("", NO_DAY, WITH_TIME):
        return f" {why_no_day}"
    return f" {_diagnosis(cell)}; {_EXAMPLE}"


def _in_zone(local: str, zone: str) -> dt.datetime:
    try:
        info = zoneinfo.ZoneInfo(zone)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError) as error:
        close = difflib.get_close_matches(zone, sorted(zoneinfo.available_timezones()), n=1, cutoff=0.5)
        hint = f"; did you mean {close[0]!r}?" if close else ""
        raise ValueError(f"zone {zone!r} is unknown{hint}") from error
    moment = dt.datetime.fromisoformat(local)
    if moment.tzinfo is not None:
        raise ValueError("has both an offset and a zone; keep one")
    early, late = (moment.replace(tzinfo=info, fold=fold) for fold in (0, 1))
    if early.utcoffset() != late.utcoffset():
        raise ValueError(
            f"falls into a clock change of {zone}: this local time occurs twice or not at all; give an offset"
        )
    return early


def _diagnosis(text: str) -> str:
    if re.fullmatch(r"\d{5}(\.\d+)?", text):
        day = EXCEL_ZERO + dt.timedelta(days=int(float(text)))
        return f"is an Excel serial number (it would mean {day}) among other forms of dates"
    return "is not a time" if text else "is empty"
