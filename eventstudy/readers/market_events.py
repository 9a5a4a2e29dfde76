"""Reader of the events of a market-wide study: a ticker and a date a row, CSV or Parquet, of any length."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq
from numpy.typing import NDArray

from eventstudy.errors import EventsError, Problem
from eventstudy.readers.columns import day_column
from eventstudy.readers.sheets import parquet_table
from eventstudy.readers.text import read_file

COLUMNS = ("event_id", "ticker", "date", "group")
#: More problems than this are counted, not listed.
_LISTED = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class MarketEvents:
    """N events in the order of the file.

    Attributes
    ----------
    event_id : pyarrow array (N,)
        As in the file, or the number of the row.
    tickers, ticker : (S,), (N,)
        All tickers in alphabetical order, and each event's place among them.
    date : (N,) int32
        Days since 1970.
    groups, group : (G,), (N,)
        Names of the groups and each event's, none where the file has no such column.
    ignored : tuple of str
        Columns of the file that nobody reads.
    """

    path: str
    sha256: str
    event_id: pa.Array
    tickers: tuple[str, ...]
    ticker: NDArray[np.int32]
    date: NDArray[np.int32]
    groups: tuple[str, ...] = ()
    group: NDArray[np.int32] | None = None
    ignored: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.date)


def read_market_events(path: Path) -> MarketEvents:
    """Read and check the events.

    Raises
    ------
    EventsError
        With every problem and its line: no such column, no ticker, no date, a timestamp in place of a
        date, an event_id that is there twice, no event at all.
    """
    try:
        raw = read_file(path, EventsError)
        table = _table(path, raw)
    except UnicodeDecodeError as error:
        raise EventsError(Problem("is not UTF-8 text; save it as UTF-8", str(path))) from error
    except (OSError, pa.ArrowException) as error:
        said = getattr(error, "strerror", None) or str(error).splitlines()[0]
        raise EventsError(Problem(f"cannot be read: {said}", str(path))) from error
    missing = [name for name in ("ticker", "date") if name not in table.column_names]
    if missing:
        text = f"no column {', '.join(missing)}; accepted are {', '.join(COLUMNS)}, ticker and date are needed"
        raise EventsError(Problem(text, str(path), 1))
    if not len(table):
        raise EventsError(Problem("has no event", str(path)))
    ticker = pc.utf8_trim_whitespace(pc.cast(table["ticker"], pa.string()).combine_chunks())
    dates = table["date"].combine_chunks()
    read = day_column(dates)
    date = np.where(np.isnat(read.days), np.datetime64(0, "D"), read.days).astype(np.int32)
    wrong = [(row, str(dates[row].as_py() or "")) for row in read.wrong]
    problems = [(row, f"date {shown!r} is no date such as 2026-06-09; day 0 needs a bare date") for row, shown in wrong]
    empty = np.flatnonzero(pc.fill_null(pc.equal(ticker, ""), True).to_numpy(zero_copy_only=False))
    problems += [(int(row), "no ticker") for row in empty]
    if "event_id" in table.column_names:
        event_id = pc.cast(table["event_id"], pa.string()).combine_chunks()
    else:
        event_id = pa.array(np.arange(1, len(table) + 1).astype(np.str_))
    names, codes = _codes(ticker.fill_null(""))
    groups, group = (
        _codes(pc.cast(table["group"], pa.string()).combine_chunks().fill_null(""))
        if ("group" in table.column_names)
        else ((), None)
    )
    if "event_id" in table.column_names:
        problems += _twice(event_id, [codes, date] if group is None else [codes, date, group])
    _refuse(problems, str(path), first=2 if path.suffix != ".parquet" else 1)
    ignored = tuple(name for name in table.column_names if name not in COLUMNS)
    digest = hashlib.sha256(raw).hexdigest()
    return MarketEvents(
        path=str(path),
        sha256=digest,
        event_id=event_id,
        tickers=names,
        ticker=codes,
        date=date,
        groups=groups,
        group=group,
        ignored=ignored,
    )


def count_events(path: Path) -> int:
    """How many rows a list of tickers and dates has at most, from its ends of lines; 0 for other files."""
    try:
        if path.suffix == ".parquet":
            source = pq.ParquetFile(path)
            names, rows = source.schema_arrow.names, source.metadata.num_rows
        else:
            with path.open("rb") as file:
                names = pa_csv.read_csv(pa.BufferReader(file.readline())).schema.names
                rows = sum(part.count(b"\n") for part in iter(lambda: file.read(2**20), b""))
    except pa.ArrowException:
        return 0
    return rows if {"ticker", "date"} <= set(names) else 0


def _table(path: Path, raw: bytes) -> pa.Table:
    if path.suffix == ".parquet":
        return parquet_table(str(path), raw, EventsError)
    # As text, so that a wrong cell can be shown with its line.
    names = pa_csv.read_csv(pa.BufferReader(raw.partition(b"\n")[0] + b"\n")).schema.names
    types = pa_csv.ConvertOptions(column_types=dict.fromkeys(names, pa.string()), strings_can_be_null=True)
    return pa_csv.read_csv(pa.BufferReader(raw), convert_options=types)


def _twice(event_id: pa.Array, cells: list[NDArray[np.int32]]) -> list[tuple[int, str]]:
    """Rows whose event_id is empty, or stands in an earlier row that says something else."""
    names, codes = _codes(event_id.fill_null(""))
    first = np.full(len(names), -1)
    first[codes[::-1]] = np.arange(len(codes))[::-1]
    again = np.flatnonzero(np.any([cell != cell[first[codes]] for cell in cells], axis=0))
    found = [(int(row), f"event_id {names[codes[row]]!r} is there twice") for row in again if names[codes[row]]]
    empty = [name for name in names if not name]
    return found + [(int(row), "no event_id") for row in np.flatnonzero(codes == 0) if empty]


def _codes(column: pa.Array) -> tuple[tuple[str, ...], NDArray[np.int32]]:
    """Names in alphabetical order and the place of each row's."""
    encoded = pc.dictionary_encode(column)
    names = encoded.dictionary.to_pylist()
    order = sorted(range(len(names)), key=names.__getitem__)
    place = np.empty(len(names), dtype=np.int32)
    place[order] = np.arange(len(names))
    codes: NDArray[np.int32] = place[encoded.indices.to_numpy(zero_copy_only=False)]
    return tuple(names[i] for i in order), codes


def _refuse(problems: list[tuple[int, str]], path: str, *, first: int) -> None:
    if not problems:
        return
    found = [Problem(text, path, row + first) for row, text in sorted(problems)[:_LISTED]]
    if len(problems) > _LISTED:
        found.append(Problem(f"… and {len(problems) - _LISTED} more rows like these", path))
    raise EventsError(found)
