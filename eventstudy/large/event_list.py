"""Read a long list of events (one ticker and date in each row) as arrays, in the same way as `events`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from eventstudy.config import IN_MEMORY
from eventstudy.errors import EventsError, Problem, Reason
from eventstudy.events import EVENT_ID, FRAME, READ, read_tickers
from eventstudy.readers.columns import day_column
from eventstudy.readers.containers import Table, table_of_bytes, table_of_frame
from eventstudy.readers.dates import NO_DAY, WITH_TIME
from eventstudy.readers.event_columns import OWN_SETTINGS, event_columns
from eventstudy.readers.spellings import Spellings
from eventstudy.readers.text import read_file

#: Columns that a long list does not support; they must be empty.
FEW_ONLY = ("label", "label_asof", "shock_id", "clarifies", *OWN_SETTINGS)
#: Largest number of listed problems; further ones are counted.
_LISTED = 20

Codes = tuple[tuple[str, ...], NDArray[np.int32]]


@dataclass(frozen=True, slots=True, kw_only=True)
class EventList:
    """N events in the order of the file.

    Attributes
    ----------
    event_id : pyarrow array (N,)
        As in the file, or TICKER-DATE.
    tickers, ticker : (S,), (N,)
        All tickers in alphabetical order, and the index of each event's ticker.
    spellings
        Spellings of the tickers in the file.
    date : (N,) int32
        Days since 1970.
    groups
        By column: the groups in alphabetical order and the index (N,) of each event's group.
    remarks
        Notes on other spellings and on unread columns.
    """

    path: str
    sha256: str
    event_id: pa.Array
    tickers: tuple[str, ...]
    ticker: NDArray[np.int32]
    spellings: tuple[str, ...]
    date: NDArray[np.int32]
    groups: Mapping[str, Codes]
    remarks: tuple[Reason, ...] = ()

    def __len__(self) -> int:
        return len(self.date)


def read_list(source: Any, groups: Sequence[str] = ()) -> EventList:
    """Read and check the events, from a file or frame of any kind that `eventstudy.events` reads.

    ``groups`` names columns whose cells are groups.

    Raises
    ------
    EventsError
        With every problem and its line: missing column, ticker or date, a timestamp instead of a date, a repeated
        event_id, no event, values in a column of `FEW_ONLY`.
    """
    path = str(source) if isinstance(source, Path) else FRAME
    table = (
        table_of_bytes(read_file(source, EventsError), path, EventsError)
        if isinstance(source, Path)
        else table_of_frame(source, path, EventsError)
    )
    header = event_columns(table.names, READ)
    said = list(header.problems)
    missing = [ours for ours, name in (("ticker", "tickers"), ("date", "timestamp")) if name not in header.known]
    said += [f"no column {', '.join(missing)}; ticker and date are needed"] if missing else []
    said += [f"no column {name!r}, which tests.group names" for name in groups if name not in header.own]
    if said:
        raise EventsError([Problem(text, path, 1) for text in said])
    if not len(table.lines):
        raise EventsError([*table.ragged] or Problem("has no event", path))
    columns = {name: _array(table.columns[at]) for name, at in (*header.known.items(), *header.own.items())}
    problems = _few_only(columns)
    spellings = Spellings(header.identifier)
    (names, codes), given, wrong = _tickers(_texts(columns["tickers"]), spellings, table.lines)
    problems += wrong
    date, wrong = _dates(columns["timestamp"])
    problems += wrong
    event_id, wrong = _ids(columns, names, codes, date, table)
    _refuse(problems + wrong, table)
    unread = [name for name in header.own if name not in groups]
    remarks = [*spellings.remarks(), *([Reason("market.ignored", columns=", ".join(unread))] if unread else [])]
    return EventList(
        path=path,
        sha256=table.sha256,
        event_id=event_id,
        tickers=names,
        ticker=codes,
        spellings=given,
        date=date,
        groups={name: _codes(_texts(columns[name])) for name in groups},
        remarks=tuple(remarks),
    )


def _array(column: Any) -> pa.Array:
    return pa.array(column, pa.string()) if isinstance(column, list) else column


def _texts(column: pa.Array) -> pa.Array:
    return pc.fill_null(pc.utf8_trim_whitespace(pc.cast(column, pa.string())), "")


def _few_only(columns: Mapping[str, pa.Array]) -> list[tuple[int, str]]:
    """The first value of each column that a list of more than `IN_MEMORY` events must not have."""
    found = []
    for name in FEW_ONLY:
        cells = _texts(columns[name]) if name in columns else pa.array([], pa.string())
        filled = pc.invert(pc.is_in(pc.utf8_lower(cells), pa.array(["", "unknown"]))).to_numpy(zero_copy_only=False)
        if filled.any():
            row = int(filled.argmax())
            text = f"up to {IN_MEMORY:,} events can have one of their own; leave it out, or take fewer events"
            found.append((row, f"{name} {cells[row].as_py()!r}: {text}"))
    return found


def _tickers(
    cells: pa.Array, spellings: Spellings, lines: Sequence[int]
) -> tuple[Codes, tuple[str, ...], list[tuple[int, str]]]:
    """Tickers as in `eventstudy.events`, their spellings in the file, and problems; each distinct text is read once."""
    given, place = _codes(cells)
    first = np.full(len(given), -1)
    first[place[::-1]] = np.arange(len(place))[::-1]
    problems, read = [], []
    # In the order of the file, for the remarks.
    for at in np.argsort(first, kind="stable").tolist():
        found: list[str] = []
        row = int(first[at])
        tickers = list(read_tickers(given[at], lines[row], found, spellings))
        if not given[at]:
            found.append("no ticker")
        elif len(tickers) > 1:
            found.append(f"tickers {given[at]!r}: in a list of more than {IN_MEMORY:,} events a row has one")
        rows = np.flatnonzero(place == at) if found else ()
        problems += [(int(row), text) for row in rows for text in found]
        read.append((at, tickers[0] if tickers else ""))
    names = [name for _, name in sorted(read)]
    known, code = _codes(pa.array(names))
    return (known, code[place]), given, problems


def _dates(column: pa.Array) -> tuple[NDArray[np.int32], list[tuple[int, str]]]:
    read = day_column(column)
    date = np.where(np.isnat(read.days), np.datetime64(0, "D"), read.days).astype(np.int32)
    bare = f"is not a date such as 2026-06-09; in a list of more than {IN_MEMORY:,} events each has a bare date"
    wrong = [
        (row, f"date {str(column[row].as_py() or '')!r} {bare if why in (NO_DAY, WITH_TIME) else why}")
        for row, why in read.wrong.items()
    ]
    return date, wrong


def _ids(
    columns: Mapping[str, pa.Array],
    names: Sequence[str],
    codes: NDArray[np.int32],
    date: NDArray[np.int32],
    table: Table,
) -> tuple[pa.Array, list[tuple[int, str]]]:
    """Ids of the events: those of the file, else TICKER-DATE; different rows with the same name get a number."""
    stems = pa.array([name.lstrip("^").replace("=", "_") for name in names], pa.string())
    days = pc.cast(pa.array(date, pa.date32()), pa.string())
    made = pc.binary_join_element_wise(stems.take(pa.array(codes)), days, "-")
    given = _texts(columns["event_id"]) if "event_id" in columns else pa.nulls(len(made), pa.string())
    own = pc.fill_null(pc.not_equal(given, ""), False).to_numpy(zero_copy_only=False)
    bad = own & ~pc.fill_null(pc.match_substring_regex(given, f"^(?:{EVENT_ID.pattern})$"), True).to_numpy(False)
    accepted = "accepted are 1 to 64 letters, digits, _ . -"
    problems = [(int(row), f"event_id {given[int(row)].as_py()!r}: {accepted}") for row in np.flatnonzero(bad)]
    event_id = pc.if_else(pa.array(own), given, made)
    place = pc.dictionary_encode(event_id).indices.to_numpy(zero_copy_only=False)
    again = np.flatnonzero(np.bincount(place)[place] > 1).tolist()
    if not again:
        return event_id, problems
    cells = [column for name, column in columns.items() if name != "event_id"]
    said: dict[str, tuple[tuple[Any, ...], int]] = {}
    changed = {}
    # Ids of the file have priority over generated ones.
    for row in sorted(again, key=lambda row: (not own[row], row)):
        stem = name = event_id[row].as_py()
        content, number = tuple(column[row].as_py() for column in cells), 1
        while said.setdefault(name, (content, row))[0] != content:
            if own[row]:
                first = table.lines[said[name][1]]
                problems.append((row, f"event_id {name!r} is already on line {first}; ids are unique"))
                break
            number += 1
            name = f"{stem}-{number}"
        if name != stem:
            changed[row] = name
    if changed:
        mask = np.zeros(len(event_id), dtype=bool)
        mask[list(changed)] = True
        event_id = pc.replace_with_mask(event_id, pa.array(mask), pa.array([changed[row] for row in sorted(changed)]))
    return event_id, problems


def _codes(column: pa.Array) -> Codes:
    """Names in alphabetical order and the index of each row's name."""
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
