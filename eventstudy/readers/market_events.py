"""Reader of the events of a market-wide study: a ticker and a date a row, of any length."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq
from numpy.typing import NDArray

from eventstudy.errors import EventsError, Problem
from eventstudy.readers.columns import day_column
from eventstudy.readers.containers import Table, table_of_bytes
from eventstudy.readers.dates import NO_DAY, WITH_TIME
from eventstudy.readers.event_columns import OWN_SETTINGS, event_columns
from eventstudy.readers.text import read_file

COLUMNS = ("event_id", "ticker", "date", "group")
#: More problems than this are counted, not listed.
_LISTED = 20
#: Bytes after which a first line is no line of column names.
_LONGEST_HEADER = 2**20


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
    """Read and check the events, from a file of any kind that `eventstudy.events.read_events` reads.

    Raises
    ------
    EventsError
        With every problem and its line: no such column, no ticker, no date, a timestamp in place of a
        date, an event_id that is there twice, no event at all.
    """
    table = table_of_bytes(read_file(path, EventsError), str(path), EventsError)
    header = event_columns(table.names, ("event_id", "tickers", "timestamp", *OWN_SETTINGS))
    missing = [ours for ours, name in (("ticker", "tickers"), ("date", "timestamp")) if name not in header.known]
    said = list(header.problems)
    if own := [name for name in OWN_SETTINGS if name in header.known]:
        text = "all events of a market-wide study have the same; leave it out, or give the list to 'eventstudy run'"
        said.append(f"column {', '.join(own)}: {text}")
    if missing:
        said.append(f"no column {', '.join(missing)}; accepted are {', '.join(COLUMNS)}, ticker and date are needed")
    if said:
        raise EventsError([Problem(text, str(path), 1) for text in said])
    if not len(table.lines):
        raise EventsError([*table.ragged] or Problem("has no event", str(path)))
    columns = {name: _array(table.columns[at]) for name, at in (*header.known.items(), *header.own.items())}
    ticker = _texts(columns["tickers"])
    dates = columns["timestamp"]
    read = day_column(dates)
    date = np.where(np.isnat(read.days), np.datetime64(0, "D"), read.days).astype(np.int32)
    wrong = [(row, str(dates[row].as_py() or ""), why) for row, why in read.wrong.items()]
    problems = [(row, f"date {shown!r} {_why(why)}") for row, shown, why in wrong]
    problems += [(int(row), "no ticker") for row in np.flatnonzero(pc.equal(ticker, "").to_numpy(zero_copy_only=False))]
    names, codes = _codes(ticker)
    groups, group = _codes(_texts(columns["group"])) if "group" in header.own else ((), None)
    event_id = pa.array(np.arange(1, len(table.lines) + 1).astype(np.str_))
    if "event_id" in header.known:
        event_id = _texts(columns["event_id"])
        problems += _twice(event_id, [codes, date] if group is None else [codes, date, group])
    _refuse(problems, table)
    return MarketEvents(
        path=str(path),
        sha256=table.sha256,
        event_id=event_id,
        tickers=names,
        ticker=codes,
        date=date,
        groups=groups,
        group=group,
        ignored=tuple(name for name in header.own if name != "group"),
    )


def count_events(path: Path) -> int:
    """How many rows a list of tickers and dates has at most, from its ends of lines; 0 for other files."""
    try:
        if path.suffix == ".parquet":
            source = pq.ParquetFile(path)
            return source.metadata.num_rows if _is_list(source.schema_arrow.names) else 0
        with path.open("rb") as file:
            header = file.readline(_LONGEST_HEADER)
            if not _is_list(pa_csv.read_csv(pa.BufferReader(header)).schema.names):
                return 0
            return sum(part.count(b"\n") for part in iter(lambda: file.read(2**20), b""))
    except pa.ArrowException:
        return 0


def _is_list(names: Sequence[str]) -> bool:
    """Whether columns of these names have a ticker and a date, and nothing that only `run` heeds.

    A label asks about reversals; settings of an event's own are refused in a list.
    """
    known = event_columns(names, ("tickers", "timestamp", "label", *OWN_SETTINGS)).known
    return known.keys() == {"tickers", "timestamp"}


def _array(column: Any) -> pa.Array:
    return pa.array(column, pa.string()) if isinstance(column, list) else column


def _texts(column: pa.Array) -> pa.Array:
    return pc.fill_null(pc.utf8_trim_whitespace(pc.cast(column, pa.string())), "")


def _why(why: str) -> str:
    """What is the matter with a date: which days it could be, or that it is none."""
    return "is no date such as 2026-06-09; day 0 needs a bare date" if why in (NO_DAY, WITH_TIME) else why


def _twice(event_id: pa.Array, cells: list[NDArray[np.int32]]) -> list[tuple[int, str]]:
    """Rows whose event_id is empty, or stands in an earlier row that says something else."""
    names, codes = _codes(event_id)
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


def _refuse(problems: list[tuple[int, str]], table: Table) -> None:
    named = [Problem(text, table.file, table.lines[row]) for row, text in problems]
    found = sorted([*named, *table.ragged], key=lambda problem: problem.line or 0)
    if len(found) > _LISTED:
        more = Problem(f"… and {len(found) - _LISTED} more rows like these", table.file)
        found = [*found[:_LISTED], more]
    if found:
        raise EventsError(found)
