"""Daily factor returns from a CSV: the market's excess return, size, value, the risk-free rate, your own."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from eventstudy.errors import ConfigError, Problem, Reason, nearest
from eventstudy.prices.quality.quantities import PLAUSIBLE_SD
from eventstudy.readers import french
from eventstudy.readers.dates import parse_days
from eventstudy.readers.numbers import parse_numbers
from eventstudy.readers.text import read_file, read_text, records_of, wrong_cells

#: Condition number of standardised factors above which single loadings are rounding of the data.
ILL_CONDITIONED = 1e4
_LISTED = 20


@dataclass(frozen=True, slots=True)
class FactorTable:
    """Factor returns as decimals by calendar day, days ascending; ``values`` has shape (T, K)."""

    dates: NDArray[np.datetime64]
    names: tuple[str, ...]
    values: NDArray[np.float64]
    source: str
    sha256: str
    notes: tuple[Reason, ...] = ()

    def column(self, name: str) -> NDArray[np.float64]:
        """Return one column, shape (T,); `ConfigError` with the nearest one if it is not in the file."""
        if name not in self.names:
            raise ConfigError(Problem(f"has no column {name!r}; {nearest(name, self.names)}", self.source))
        return self.values[:, self.names.index(name)]


def read_factors(path: Path, names: Sequence[str], *, percent: bool) -> FactorTable:
    """Read the named columns of a CSV with a ``date`` column (2026-06-09 or 20260609); the table holds decimals."""
    advice = "; model.factors_file is a path from the working directory"
    file, raw = str(path), french.unpacked(read_file(path, ConfigError, advice=advice))
    numbered = records_of(read_text(raw, file, ConfigError), file, ConfigError)
    top, (head, *body) = french.daily_rows([row for _, row in numbered])
    places = _columns([cell.strip() for cell in head], names, file)
    lines = [line for line, _ in numbered[top + 1 : top + 1 + len(body)]]
    cells = {name: [row[at] if at < len(row) else "" for row in body] for name, at in places.items()}
    days, columns = parse_days(cells["date"]), {name: parse_numbers(cells[name]) for name in names}
    problems = wrong_cells("date", cells["date"], days.wrong, file, lines)
    for name, column in columns.items():
        problems += wrong_cells(name, cells[name], column.wrong, file, lines)
    if not problems:
        twice = sorted({str(day) for day, count in Counter(days.days.tolist()).items() if count > 1})
        problems += [Problem(f"has {day} twice; keep one row for each day", file) for day in twice]
    if not lines:
        problems.append(Problem("has no row below its header", file))
    if problems:
        raise ConfigError(sorted(problems, key=lambda problem: problem.line or 0)[:_LISTED])
    table = np.column_stack([np.empty((len(lines), 0)), *(columns[name].values for name in names)])
    table = french.without_codes(table, percent=percent) / (100.0 if percent else 1.0)
    _check_unit(table, names, file, percent=percent)
    order = np.argsort(days.days)
    digest = hashlib.sha256(raw).hexdigest()
    notes = _nearly_collinear(table, names)
    return FactorTable(days.days[order], tuple(names), table[order], file, digest, notes)


def _nearly_collinear(values: NDArray[np.float64], names: Sequence[str]) -> tuple[Reason, ...]:
    """Warn of standardised factors with a condition number above `ILL_CONDITIONED`: their loadings say nothing.

    Source: Belsley, Kuh and Welsch (1980), Regression Diagnostics, section 3.2.
    """
    known = values[np.isfinite(values).all(axis=1)]
    moving = np.flatnonzero(known.std(axis=0) > 0) if len(known) else np.empty(0, dtype=np.intp)
    if len(moving) < 2 or len(known) <= len(moving):
        return ()
    known = known[:, moving]
    number = float(np.linalg.cond((known - known.mean(axis=0)) / known.std(axis=0)))
    if number <= ILL_CONDITIONED:
        return ()
    return (Reason("factors.collinear", names=", ".join(names[int(at)] for at in moving), number=f"{number:.1e}"),)


def _columns(header: Sequence[str], names: Sequence[str], file: str) -> dict[str, int]:
    problems = [
        Problem(f"has no column {name!r}; {nearest(name, header)}", file, 1)
        for name in ("date", *names)
        if name not in header
    ]
    problems += [
        Problem(f"has two columns {name!r}; rename one", file, 1) for name in ("date", *names) if header.count(name) > 1
    ]
    if problems:
        raise ConfigError(problems)
    return {name: header.index(name) for name in ("date", *names)}


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
