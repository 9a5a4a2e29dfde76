"""Tables of other programs (CSV, Parquet, Arrow, frames) as columns of cells; each distinct text is parsed once."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eventstudy.errors import EventStudyError, PriceError, Problem, Reason
from eventstudy.readers.headers import meaning
from eventstudy.readers.text import read_text, records_of

Cells = Sequence[str] | NDArray[Any]
#: Largest number of cells of a Parquet file that is read at once; a small file may unpack to more.
MOST_CELLS = 400_000_000


@dataclass(frozen=True, slots=True)
class Sheet:
    """Unchecked columns by header, and the line of each row.

    ``cells`` are texts for CSV and arrays for Arrow; for Arrow the lines are row numbers. ``notes`` say how the file
    was read.
    """

    file: str
    lines: NDArray[np.int64]
    cells: Mapping[str, Cells]
    sha256: str
    notes: tuple[Reason, ...] = ()

    def taken(self, rows: Sequence[int] | NDArray[np.intp]) -> Sheet:
        """Return some of the rows, in the given order."""
        at = np.asarray(rows, dtype=np.intp)
        cells: dict[str, Cells] = {
            name: column[at] if isinstance(column, np.ndarray) else [column[row] for row in at]
            for name, column in self.cells.items()
        }
        return replace(self, lines=self.lines[at], cells=cells)

    def noted(self, note: Reason) -> Sheet:
        """Return the sheet with one more note."""
        return replace(self, notes=(*self.notes, note))


def csv_sheet(file: str, content: bytes, error: type[EventStudyError]) -> Sheet:
    """Split a CSV into columns of text; every row must have as many cells as the header.

    Raises
    ------
    EventStudyError
        Of the type ``error``, if the file is no CSV; the message names the lines that are too short or too long.
    """
    text = read_text(content, file, error)
    numbered = records_of(text, file, error)
    header, first = _header(file, [row for _, row in numbered[:3]], error)
    body = numbered[first:]
    ragged = [
        Problem(f"has {len(row)} cells, the header has {len(header)}", file, line)
        for line, row in body
        if len(row) != len(header)
    ]
    if ragged:
        raise error(ragged[:20])
    columns: list[Sequence[str]] = list(zip(*(row for _, row in body), strict=True)) or [() for _ in header]
    cells = _unique(header, columns)
    if first == 3:
        cells["Ticker"] = [numbered[1][1][1]] * len(body)
    notes: tuple[Reason, ...] = ()
    if text.encoding not in ("utf-8-sig", "utf-8"):
        notes = (Reason("read.encoding", name=text.encoding.upper()),)
    lines = np.array([line for line, _ in body], dtype=np.int64)
    return Sheet(file, lines, cells, hashlib.sha256(content).hexdigest(), notes)


def _unique(header: Sequence[str], columns: Sequence[Any]) -> dict[str, Any]:
    """Columns by header; a repeated header gets a blank at its end, so that it can be reported."""
    cells: dict[str, Any] = {}
    for name, column in zip(header, columns, strict=True):
        while name in cells:
            name += " "
        cells[name] = column
    return cells


def _header(file: str, top: Sequence[Sequence[str]], error: type[EventStudyError]) -> tuple[list[str], int]:
    """Return the header cells and the number of header rows: one, or the three that yfinance writes."""
    header = list(top[0])
    if header[0].strip() != "Price" or len(top) < 3 or top[1][0].strip() != "Ticker":
        return header, 1
    tickers = sorted({cell.strip() for cell in top[1][1:]})
    if len(tickers) != 1 or top[2][0].strip() != "Date":
        named = ", ".join(tickers) or "none"
        text = (
            f"has yfinance's three-line header with tickers {named}; "
            "it can be read with one ticker only: save one file per ticker"
        )
        raise error(Problem(text, file, 2))
    return ["Date", *header[1:]], 3


def parquet_table(file: str, content: bytes, error: type[EventStudyError]) -> Any:
    """Read a Parquet file as an Arrow table, if by its footer it fits into memory.

    Raises
    ------
    EventStudyError
        Of the type ``error``, if it is no Parquet file or has too many cells.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        footer = pq.read_metadata(pa.BufferReader(content))
        if footer.num_rows * max(footer.num_columns, 1) > MOST_CELLS:
            text = f"holds {footer.num_rows:,} rows, too many to be read at once; keep those of the study's tickers"
            raise error(Problem(text, file))
        return pq.read_table(pa.BufferReader(content))
    except (pa.ArrowException, OSError) as failure:
        reason = str(failure).split("\n")[0]
        raise error(Problem(f"is not a Parquet file: {reason}", file=file)) from failure


def arrow_sheet(file: str, table: Any, sha256: str = "") -> Sheet:
    """Columns of an Arrow table as arrays; without the digest of a file, a digest of the rows is used."""
    columns = [_array(file, name, column) for name, column in zip(table.column_names, table.columns, strict=True)]
    cells = _unique(table.column_names, columns)
    return Sheet(file, np.arange(1, table.num_rows + 1), cells, sha256 or _digest(table))


def _digest(table: Any) -> str:
    import pyarrow as pa

    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as stream:
        stream.write_table(table.combine_chunks())
    return hashlib.sha256(sink.getvalue().to_pybytes()).hexdigest()


def _array(file: str, name: str, column: Any) -> NDArray[Any]:
    """One column: numbers as float64, days and local times as datetime64, everything else as text."""
    import pyarrow as pa
    import pyarrow.compute as pc

    kind = column.type
    if pa.types.is_dictionary(kind):
        column = column.cast(kind.value_type)
        kind = column.type
    if pa.types.is_integer(kind) and meaning(name) not in ("date", "ticker"):
        column, kind = column.cast(pa.float64()), pa.float64()
    if pa.types.is_boolean(kind) or pa.types.is_nested(kind) or pa.types.is_binary(kind):
        return np.array([f"of type {kind}"] * len(column), dtype=object)
    if pa.types.is_timestamp(kind) and kind.tz:
        column = pc.local_timestamp(column)
    if pa.types.is_timestamp(kind) or pa.types.is_date(kind):
        return np.asarray(column.to_numpy())
    try:
        if pa.types.is_floating(kind) or pa.types.is_decimal(kind) or pa.types.is_null(kind):
            return np.asarray(column.cast(pa.float64()).to_numpy(), dtype=np.float64)
        return np.array([text or "" for text in column.cast(pa.string()).to_pylist()], dtype=object)
    except pa.ArrowException as failure:
        raise PriceError(Problem(f"column {name} has the type {kind}, which cannot be read", file)) from failure
