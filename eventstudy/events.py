"""Read events from a file or a frame, and report all problems at once, with their lines."""

from __future__ import annotations

import datetime as dt
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from eventstudy.config import LABELS
from eventstudy.errors import EventsError, Problem, Reason, nearest
from eventstudy.readers.containers import Table, table_of_bytes, table_of_frame, texts
from eventstudy.readers.event_columns import OWN_SETTINGS, EventColumns, event_columns
from eventstudy.readers.moments import Moment, Moments, parse_moments
from eventstudy.readers.numbers import parse_numbers
from eventstudy.readers.spellings import Spellings
from eventstudy.readers.text import read_file

PRECISIONS = ("second", "minute", "session", "date")
KINDS: tuple[str, ...] = ("report", "clarification", "earnings", "guidance", "regulation", "product")
KINDS += ("deal", "macro", "rumour", "price_move", "other")
DIMENSIONS = ("engineering", "cross_industry", "policy")
DATED_LABELS = ("misreading", "genuine")
#: Values of empty cells; an empty precision follows from the timestamp.
DEFAULTS = {"kind": "other", "label": "unknown"}
MAX_BYTES = 64 * 2**20
#: Columns that are stored unchanged.
_KEPT = "event_id precision kind label clarifies dimension title title_local source source_url notes".split()

EVENT_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.\-]{0,63}")
#: Letters, digits and the few marks that exchanges use; a ticker goes into URLs and file names.
TICKER = re.compile(r"\^?[A-Z0-9][A-Z0-9.\-=_]{0,19}")
#: Path of events that come as a frame; no other file is looked for in its folder.
FRAME = str(Path("DataFrame") / "events.csv")
#: Largest distance from day 0, in event days, of a window given in an event's own row.
_FURTHEST = 5_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One information event.

    ``timestamp`` is an aware UTC datetime, or a date when ``precision`` is ``date``.
    ``label_asof`` is when the label could first be known, in the same form; ``line`` is the line in the file.
    ``shock_given`` says whether the file names the shock. If not, ``shock_id`` is the event's id until
    `shocks.with_shocks` groups events by day 0. ``benchmark`` and the ends of the estimation and event windows (event
    days or dates) replace those of the study if they are given. ``title_local`` is the title on Chinese pages. ``own``
    has the user's further columns: numbers (NaN for an empty cell) or texts.
    """

    event_id: str
    timestamp: dt.datetime | dt.date
    precision: str
    kind: str
    label: str
    label_asof: dt.datetime | dt.date | None = None
    shock_id: str = ""
    clarifies: str = ""
    tickers: tuple[str, ...] = ()
    dimension: str = ""
    title: str = ""
    source: str = ""
    source_url: str = ""
    notes: str = ""
    line: int = 0
    shock_given: bool = True
    benchmark: str = ""
    estimation_start: int | dt.date | None = None
    estimation_end: int | dt.date | None = None
    event_start: int | dt.date | None = None
    event_end: int | dt.date | None = None
    title_local: str = ""
    own: Mapping[str, str | float] = field(default_factory=dict, hash=False)


#: Columns of an events file: the first fields of an event.
COLUMNS = tuple(item.name for item in fields(Event))[:14]
#: Columns that are read by name; others are the user's own.
READ = (*COLUMNS, *OWN_SETTINGS, "title_local")


@dataclass(frozen=True, slots=True)
class Events:
    """The events of one file in file order, with the file's sha256 and the notes of the reader.

    Examples
    --------
    >>> from eventstudy import Study, read_events
    >>> events = read_events(Study.from_sector("healthcare").events_file)
    >>> len(events) == len(events.rows)
    True
    >>> events.by_id("CLIN15").label
    'misreading'
    >>> next(iter(events)).timestamp.isoformat()
    '2015-09-21T14:56:00+00:00'
    """

    rows: tuple[Event, ...]
    path: str
    sha256: str
    remarks: tuple[Reason, ...] = ()
    _ids: dict[str, Event] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_ids", {event.event_id: event for event in reversed(self.rows)})

    def __iter__(self) -> Iterator[Event]:
        return iter(self.rows)

    def __len__(self) -> int:
        return len(self.rows)

    def by_id(self, event_id: str) -> Event:
        """Return the event with this id; `KeyError` if there is none."""
        return self._ids[event_id]


def read_events(path: Path) -> Events:
    """Read and check an events file.

    Parameters
    ----------
    path : Path
        A table with one row for each event, as CSV, Excel, Parquet, Feather or Stata; docs/files.md lists the accepted
        column names. Only a date is required in each row.

    Returns
    -------
    Events
        In the order of the file.

    Raises
    ------
    EventsError
        With every problem found, as ``FILE:LINE: what, what is accepted, what to do``.

    Examples
    --------
    >>> from pathlib import Path
    >>> from eventstudy import read_events
    >>> _ = Path("one.csv").write_text("Ticker;Date\\nJNJ;9 Jun 2021\\n")
    >>> [(event.event_id, event.precision) for event in read_events(Path("one.csv"))]
    [('JNJ-2021-06-09', 'date')]
    """
    return _events_of(table_of_bytes(_read_bytes(path), str(path), EventsError))


def events_of_frame(data: Any) -> Events:
    """Check a frame, or a list of dicts, with the columns of an events file, in the same way as a file.

    Timestamps and dates may be objects, ``tickers`` lists; an absent value is an empty cell. Line 2 in a message is
    the first row of a frame. Claims and confounders are not read, since a frame has no folder.

    Raises
    ------
    EventsError
        With every problem found.
    """
    return _events_of(table_of_frame(data, FRAME, EventsError))


def parse_events(raw: bytes, name: str) -> Events:
    """Check the content of an events file; ``name`` stands for it in messages. Raises as `read_events`."""
    return _events_of(table_of_bytes(raw, name, EventsError))


def read_records(path: Path, columns: Sequence[str], required: Sequence[str]) -> list[tuple[int, dict[str, str]]]:
    """Read another table of the study's folder, such as claims: (line, cells by column), blanks stripped.

    Raises
    ------
    EventsError
        If the file is no table, if a column is missing, unknown or repeated, or if a row has more or fewer cells than
        the header.
    """
    table = table_of_bytes(_read_bytes(path), str(path), EventsError)
    header = [name.lower() for name in table.names]
    problems = [f"column {c!r} is unknown; {nearest(c, columns)}" for c in header if c not in columns]
    problems += [f"column {c!r} is missing" for c in required if c not in header]
    problems += [f"column {c!r} occurs twice" for c in sorted({c for c in header if header.count(c) > 1})]
    if problems or table.ragged:
        raise EventsError([*(Problem(message, table.file, 1) for message in problems), *table.ragged])
    rows = zip(*map(texts, table.columns), strict=True)
    return [
        (line, {column: cell.strip() for column, cell in zip(header, row, strict=True)})
        for line, row in zip(table.lines, rows, strict=True)
    ]


def _read_bytes(path: Path) -> bytes:
    advice = "; give the path of an events file, or let 'eventstudy init' write one to start from"
    raw = read_file(path, EventsError, advice=advice, most=MAX_BYTES)
    if not raw.strip():
        raise EventsError(Problem("is empty; 'eventstudy init' writes an events file to start from", str(path)))
    return raw


def _events_of(table: Table) -> Events:
    """Check every row of a table."""
    columns = event_columns(table.names, READ)
    wrong = list(columns.problems)
    if "timestamp" not in columns.known:
        wrong.append(f"no column with the date of the event; the file has {', '.join(table.names)}: name it 'date'")
    if wrong:
        raise EventsError([Problem(message, table.file, 1) for message in wrong])
    if not len(table.lines) and not table.ragged:
        raise EventsError(Problem("has a header but no event; 'eventstudy init' writes example rows", table.file))
    cells = _Cells.of(table, columns)
    problems = list(table.ragged)
    events: list[Event] = []
    for row, line in enumerate(table.lines):
        found: list[str] = []
        event = _event(cells, row, line, found)
        problems += [Problem(message, table.file, line) for message in found]
        if event is not None:
            events.append(event)
    events = _with_ids(events)
    problems += _cross_check(events, table.file)
    if problems:
        raise EventsError(sorted(problems, key=lambda p: p.line or 0))
    remarks = [*cells.spellings.remarks()]
    if table.encoding not in ("", "utf-8", "utf-8-sig"):
        remarks.insert(0, Reason("events.encoding", file=Path(table.file).name, name=table.encoding.upper()))
    return Events(tuple(events), table.file, table.sha256, tuple(remarks))


@dataclass(frozen=True, slots=True)
class _Cells:
    """Columns of an events file as text by name, its moments and its own columns read as a whole."""

    texts: Mapping[str, Sequence[str]]
    moments: Mapping[str, Moments]
    own: Mapping[str, Sequence[str | float]]
    spellings: Spellings

    @classmethod
    def of(cls, table: Table, columns: EventColumns) -> _Cells:
        empty = [""] * len(table.lines)
        named = {name: [cell.strip() for cell in texts(table.columns[at])] for name, at in columns.known.items()}
        known = {name: named.get(name, empty) for name in READ}
        known["precision"] = [cell.lower() for cell in known["precision"]]
        dates = ["date"] * len(table.lines)
        moments = {
            "timestamp": parse_moments(known["timestamp"], known["precision"]),
            "label_asof": parse_moments(known["label_asof"], empty),
            **{name: parse_moments(_no_days(known[name]), dates) for name in OWN_SETTINGS[1:]},
        }
        own = {name: own_column(texts(table.columns[at])) for name, at in columns.own.items()}
        return cls(known, moments, own, Spellings(columns.identifier))

    def at(self, row: int) -> dict[str, str]:
        """The cells of a row; empty ones get their default value."""
        cells = {name: column[row] for name, column in self.texts.items()}
        return cells | {name: cells[name].lower() or default for name, default in DEFAULTS.items()}

    def moment(self, column: str, row: int, found: list[str]) -> Moment | None:
        """A moment, or None with what is wrong appended to ``found``."""
        read = self.moments[column]
        if row in read.wrong:
            found.append(f"{column} {self.texts[column][row]!r}{read.wrong[row]}")
        return read.values[row]


_DAY_NUMBER = re.compile(r"[+-]?\d{1,4}")


def _no_days(cells: Sequence[str]) -> list[str]:
    """The cells without those that are event days, such as -120."""
    return ["" if _DAY_NUMBER.fullmatch(cell) else cell for cell in cells]


def own_column(cells: Sequence[str]) -> Sequence[str | float]:
    """Return a further column of the user: numbers (NaN for an empty cell) if all cells are numbers, else texts."""
    bare = [cell.strip() for cell in cells]
    read = parse_numbers(bare)
    if not any(bare) or read.wrong:
        return bare
    # One NaN object for all empty cells, so that equal rows compare as equal.
    return [math.nan if math.isnan(value) else value for value in read.values.tolist()]


def _event(cells: _Cells, row: int, line: int, found: list[str]) -> Event | None:
    """Return the row's event, or None with what is wrong appended to ``found``."""
    texts_of = cells.at(row)
    for column in ("event_id", "shock_id"):
        if texts_of[column] and not EVENT_ID.fullmatch(texts_of[column]):
            found.append(f"{column} {texts_of[column]!r}: accepted are 1 to 64 letters, digits, _ . -")
    timestamp = cells.moment("timestamp", row, found)
    if not texts_of["timestamp"]:
        found.append("timestamp '' is empty; write a date such as 2026-06-09")
    if timestamp is not None and not texts_of["precision"]:
        texts_of["precision"] = _precision_of(timestamp)
    given = (("precision", PRECISIONS), ("kind", KINDS), ("label", LABELS), ("dimension", DIMENSIONS))
    for column, accepted in given:
        if texts_of[column] and texts_of[column] not in accepted:
            found.append(f"{column} {texts_of[column]!r}; {nearest(texts_of[column], accepted)}")
    _check_precision(texts_of, timestamp, found)
    asof = cells.moment("label_asof", row, found)
    if texts_of["label"] in DATED_LABELS and not texts_of["label_asof"]:
        found.append(f"label {texts_of['label']!r} needs label_asof: when that could first be known (ISO 8601)")
    tickers = tuple(read_tickers(texts_of["tickers"], line, found, cells.spellings))
    benchmark = "".join(read_tickers(texts_of["benchmark"], line, found, Spellings("permno")))
    ends: dict[str, Any] = {name: _end(cells, name, row, found) for name in OWN_SETTINGS[1:]}
    _check_windows(ends, found)
    if found or timestamp is None:
        return None
    kept: dict[str, Any] = {name: texts_of[name] for name in _KEPT}
    return Event(
        timestamp=timestamp,
        label_asof=asof,
        shock_id=texts_of["shock_id"] or texts_of["event_id"],
        tickers=tickers,
        line=line,
        shock_given=bool(texts_of["shock_id"]),
        benchmark=benchmark,
        own={name: column[row] for name, column in cells.own.items()},
        **kept,
        **ends,
    )


def _precision_of(timestamp: Moment) -> str:
    if not isinstance(timestamp, dt.datetime):
        return "date"
    return "second" if timestamp.second else "minute"


def _check_precision(row: Mapping[str, str], timestamp: Moment | None, found: list[str]) -> None:
    bare = not isinstance(timestamp, dt.datetime)
    if timestamp is None or row["precision"] not in PRECISIONS or bare == (row["precision"] == "date"):
        return
    what = f"is a bare date, precision is {row['precision']!r}" if bare else "has a time, precision is 'date'"
    cure = "add the time with its offset or write" if bare else "write the date alone or"
    found.append(f"timestamp {row['timestamp']!r} {what}; {cure} precision {'date' if bare else 'minute'!r}")


def read_tickers(text: str, line: int, found: list[str], spellings: Spellings) -> Iterator[str]:
    """Yield the tickers in a cell; problems with others are appended to ``found``."""
    for given in filter(None, (part.strip() for part in re.split(r"[;,|]", text))):
        ticker = spellings.read(given, line)
        if not spellings.numbered and re.fullmatch(r"\d{6}", ticker):
            found.append(f"ticker {given!r} has no exchange; write its ending too")
        elif not TICKER.fullmatch(ticker):
            found.append(f"ticker {given!r}: accepted are capital letters, digits and . - = _ ^")
        else:
            yield ticker


def _end(cells: _Cells, name: str, row: int, found: list[str]) -> int | dt.date | None:
    """One end of a window given in the event's row: an event day or a date."""
    cell = cells.texts[name][row]
    if not _DAY_NUMBER.fullmatch(cell):
        moment = cells.moment(name, row, found)
        return moment.date() if isinstance(moment, dt.datetime) else moment
    if abs(int(cell)) > _FURTHEST:
        found.append(f"{name} {cell!r}: accepted are event days from {-_FURTHEST} to {_FURTHEST}, or a date")
    return int(cell)


def _check_windows(ends: Mapping[str, int | dt.date | None], found: list[str]) -> None:
    for window in ("estimation", "event"):
        first, last = ends[f"{window}_start"], ends[f"{window}_end"]
        if first is None or last is None:
            continue
        if isinstance(first, int) != isinstance(last, int):
            found.append(f"{window}_start is {first}, {window}_end {last}: write two event days, or two dates")
        elif first > last:  # type: ignore[operator]
            found.append(f"{window}_start {first} comes after {window}_end {last}")


def _with_ids(events: Sequence[Event]) -> list[Event]:
    """Name events without an id: TICKER-DATE, or E and the row if they do not have exactly one ticker.

    If different rows would get the same name, the later ones get a number.
    """
    named: list[Event] = []
    seen = {event.event_id: event for event in events if event.event_id}
    for row, event in enumerate(events, 1):
        if event.event_id:
            named.append(event)
            continue
        day = event.timestamp.date() if isinstance(event.timestamp, dt.datetime) else event.timestamp
        stem = f"{event.tickers[0].lstrip('^').replace('=', '_')}-{day}" if len(event.tickers) == 1 else f"E{row}"
        name, number = stem, 1
        while True:
            own = replace(event, event_id=name, shock_id=event.shock_id or name)
            if replace(own, line=0) == replace(seen.setdefault(name, own), line=0):
                break
            number += 1
            name = f"{stem}-{number}"
        named.append(own)
    return named


def _cross_check(rows: Sequence[Event], name: str) -> list[Problem]:
    problems = []
    seen: dict[str, Event] = {}
    for event in rows:
        first = seen.setdefault(event.event_id, event)
        # A repeated row is no conflict: its firm-events count once.
        if replace(event, line=first.line) != first:
            text = f"event_id {event.event_id!r} is already on line {first.line}; ids are unique"
            problems.append(Problem(text, name, event.line))
    for event in rows:
        if event.clarifies and event.clarifies not in seen:
            text = f"clarifies {event.clarifies!r} names no event; {nearest(event.clarifies, seen)}"
            problems.append(Problem(text, name, event.line))
        elif event.clarifies == event.event_id:
            problems.append(Problem("an event cannot clarify itself", name, event.line))
    return problems


def over_everywhere(moment: dt.datetime | dt.date) -> dt.datetime:
    """Return when a moment has passed everywhere: for a bare date, the end of the day in UTC-12."""
    if isinstance(moment, dt.datetime):
        return moment
    begun = dt.datetime.combine(moment, dt.time.min, tzinfo=dt.UTC)
    try:
        return begun + dt.timedelta(days=1, hours=12)
    except OverflowError:
        return dt.datetime.max.replace(tzinfo=dt.UTC)


def instant_utc(moment: dt.datetime | dt.date, *, end_of_day: bool = False) -> dt.datetime:
    """Return a comparable UTC datetime; a bare date means its first or its last moment in UTC."""
    if isinstance(moment, dt.datetime):
        return moment
    clock = dt.time.max if end_of_day else dt.time.min
    return dt.datetime.combine(moment, clock, tzinfo=dt.UTC)
