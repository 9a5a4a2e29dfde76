"""Daily factor returns from a CSV: the market's excess return, size, value, the risk-free rate, your own."""

from __future__ import annotations

import contextlib
import csv
import hashlib
import io
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from eventstudy.errors import ConfigError, Problem, nearest
from eventstudy.readers import french
from eventstudy.readers.numbers import MISSING

#: Standard deviation of a daily factor return beyond which the unit must be wrong.
PLAUSIBLE_SD = (3e-4, 0.2)
_DAY = re.compile(r"(\d{4})-?(\d{2})-?(\d{2})")
_LISTED = 20


@dataclass(frozen=True, slots=True)
class FactorTable:
    """Factor returns as decimals by calendar day, days ascending; ``values`` has shape (T, K)."""

    dates: NDArray[np.datetime64]
    names: tuple[str, ...]
    values: NDArray[np.float64]
    source: str
    sha256: str

    def column(self, name: str) -> NDArray[np.float64]:
        """Return one column, shape (T,); `ConfigError` with the nearest one if it is not in the file."""
        if name not in self.names:
            raise ConfigError(Problem(f"has no column {name!r}; {nearest(name, self.names)}", self.source))
        return self.values[:, self.names.index(name)]


def read_factors(path: Path, names: Sequence[str], *, percent: bool) -> FactorTable:
    """Read the named columns of a CSV with a ``date`` column (2026-06-09 or 20260609).

    Parameters
    ----------
    names
        Columns to read, each once.
    percent
        Whether the file holds percent; the table holds decimals.

    Raises
    ------
    ConfigError
        For a file that cannot be read, a column that it lacks, a cell that is neither a number nor
        empty, a day named twice, or values that cannot be in the unit said. Lists all of them.
    """
    raw = _bytes(path)
    try:
        rows = list(csv.reader(io.StringIO(raw.decode("utf-8-sig"), newline="")))
    except (UnicodeDecodeError, csv.Error) as error:
        raise ConfigError(Problem(f"is not a UTF-8 CSV: {error}", str(path))) from error
    top, rows = french.daily_rows(rows)
    header = [cell.strip() for cell in rows[0]] if rows else []
    columns = _columns(header, names, str(path))
    problems: list[Problem] = []
    days, values = [], []
    for number, row in enumerate(rows[1:], top + 2):
        if any(cell.strip() for cell in row):
            days.append(_day(row, header, number, str(path), problems))
            values.append([_value(row, at, header, number, str(path), problems) for at in columns])
    if not problems:
        problems += _repeated(days, str(path))
    if not days:
        problems.append(Problem("holds no row below its header", str(path)))
    if problems:
        raise ConfigError(problems[:_LISTED])
    dates = np.array(days, dtype="datetime64[D]")
    table = np.array(values, dtype=float).reshape(len(days), len(names)) / (100.0 if percent else 1.0)
    _check_unit(table, names, str(path), percent=percent)
    order = np.argsort(dates)
    return FactorTable(dates[order], tuple(names), table[order], str(path), hashlib.sha256(raw).hexdigest())


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        reason = error.strerror or "unreadable"
        text = f"cannot be read: {reason}; model.factors_file is a path from the working directory"
        raise ConfigError(Problem(text, str(path))) from error


def _columns(header: Sequence[str], names: Sequence[str], file: str) -> list[int]:
    problems = [
        Problem(f"has no column {name!r}; {nearest(name, header)}", file, 1)
        for name in ("date", *names)
        if name not in header
    ]
    problems += [
        Problem(f"has two columns {name!r}; rename one", file, 1)
        for name in ("date", *names)
        if header.count(name) > 1
    ]
    if problems:
        raise ConfigError(problems)
    return [header.index(name) for name in names]


def _day(row: Sequence[str], header: Sequence[str], line: int, file: str, problems: list[Problem]) -> str:
    at = header.index("date")
    text = row[at].strip() if at < len(row) else ""
    match = _DAY.fullmatch(text)
    if match:
        with contextlib.suppress(ValueError):
            return str(np.datetime64("-".join(match.groups()), "D"))
    problems.append(Problem(f"date {text!r} is no day; write 2026-06-09 or 20260609", file, line))
    return "NaT"


def _value(
    row: Sequence[str], at: int, header: Sequence[str], line: int, file: str, problems: list[Problem]
) -> float:
    text = row[at].strip() if at < len(row) else ""
    if text.lower() in MISSING:
        return float("nan")
    try:
        number = float(text)
        if number in french.CODES:
            return float("nan")
    except ValueError:
        number = float("inf")
    if np.isinf(number):
        advice = "leave the cell empty where there is none"
        problems.append(Problem(f"{header[at]} = {text!r} is no number; {advice}", file, line))
    return number


def _repeated(days: Sequence[str], file: str) -> list[Problem]:
    seen: set[str] = set()
    problems = []
    for day in days:
        if day in seen:
            problems.append(Problem(f"names {day} twice; keep one row a day", file))
        seen.add(day)
    return problems


def _check_unit(values: NDArray[np.float64], names: Sequence[str], file: str, *, percent: bool) -> None:
    """Refuse factors whose largest standard deviation no daily return has."""
    spread = [float(np.nanstd(column)) for column in values.T if np.isfinite(column).sum() >= _LISTED]
    largest = max(spread, default=0.01)
    # A risk-free rate alone hardly moves: it says nothing about the unit.
    if largest > PLAUSIBLE_SD[1] or (len(names) > 1 and largest < PLAUSIBLE_SD[0]):
        raise ConfigError(
            Problem(
                f"daily factors with a standard deviation of {largest:.2g} with model.percent = "
                f"{str(percent).lower()}; set model.percent = {str(not percent).lower()} if the file holds "
                f"{'decimals' if percent else 'percent'}",
                file,
            )
        )
