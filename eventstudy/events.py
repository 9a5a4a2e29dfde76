"""Reader of events.csv: every problem at once, each with its line."""

from __future__ import annotations

import contextlib
import csv
import datetime as dt
import difflib
import hashlib
import io
import math
import re
import unicodedata
import zoneinfo
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from eventstudy.config import LABELS
from eventstudy.errors import EventsError, Problem, Reason, nearest
from eventstudy.exchanges.exchange import with_suffix

if TYPE_CHECKING:
    import pandas as pd

PRECISIONS = ("second", "minute", "session", "date")
KINDS: tuple[str, ...] = ("report", "clarification", "earnings", "guidance", "regulation", "product")
KINDS += ("deal", "macro", "rumour", "price_move", "other")
DIMENSIONS = ("engineering", "cross_industry", "policy")
DATED_LABELS = ("misreading", "genuine")
MAX_BYTES = 64 * 2**20
#: An unknown column as like a known one as this (difflib's ratio) is refused as a misspelt one.
SLIP = 0.8

_EVENT_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.\-]{0,63}")
#: Letters, digits and the few marks that exchanges use; a ticker goes into URLs and file names.
TICKER = re.compile(r"\^?[A-Z0-9][A-Z0-9.\-=]{0,19}")
#: Years that an event may be of.
YEARS = (1900, 2199)
#: Offsets from UTC go from -12:00 to +14:00.
LARGEST_OFFSET = dt.timedelta(hours=14)
_DATE = re.compile(r"(\d{4})[-/](\d{1,2})[-/](\d{1,2})")
_ZONED = re.compile(r"(?P<local>\S+(?: \d\S*)?)\s*(?:\[(?P<bracket>[^\]]+)\]| (?P<name>[A-Za-z_]+/\S+|UTC))")


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One information event.

    ``timestamp`` is an aware UTC datetime, or a date when ``precision`` is ``date``.
    ``label_asof`` is when the label could first be known, likewise; ``line`` is the file's line.
    ``shock_given`` says whether the file names the shock; where it does not, ``shock_id`` is the event's own
    id until `shocks.with_shocks` groups events by day 0. ``own`` holds the cells of the file's other columns:
    numbers where the whole column is numbers, else texts; an empty cell is not in it.
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
    own: Mapping[str, str | float] = field(default_factory=dict, hash=False)


#: Columns of an events file: the fields of an event but the last three, and the first of them must be there.
COLUMNS = tuple(item.name for item in fields(Event))[:-3]
REQUIRED = COLUMNS[:5]


@dataclass(frozen=True, slots=True)
class Events:
    """The events of one file in file order, with the file's sha256 and what the reader noted.

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
    """Read and check an events file, a CSV with a row an event.

    Raises
    ------
    EventsError
        With every problem found, as ``FILE:LINE: what, what is accepted, what to do``.

    Examples
    --------
    >>> from pathlib import Path
    >>> from eventstudy import read_events
    >>> text = "event_id,timestamp,precision,kind,label\\nE1,2021-06-09,date,report,unknown\\n"
    >>> _ = Path("one.csv").write_text(text)
    >>> [event.event_id for event in read_events(Path("one.csv"))]
    ['E1']
    """
    return parse_events(_read_bytes(path), str(path))


def events_of_frame(frame: pd.DataFrame) -> Events:
    """Check a frame with the columns of an events file as the file itself would be.

    Timestamps and dates may be objects, ``tickers`` lists; an absent value is an empty cell. Line 2 of an
    `EventsError` is the frame's first row. Nothing stands beside a frame: no claims, no confounders.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([str(column) for column in frame.columns])
    for row in frame.to_dict("records"):
        bare = row.get("precision") == "date"
        writer.writerow([_cell(value, bare and column == "timestamp") for column, value in row.items()])
    return parse_events(text.getvalue().encode(), str(Path("DataFrame") / "events.csv"))


def _cell(value: Any, bare: bool) -> str:
    if isinstance(value, list | tuple | set):
        return ";".join(map(str, value))
    if value is None or value != value:
        return ""
    if isinstance(value, dt.datetime) and (bare or (value.tzinfo is None and value.time() == dt.time.min)):
        return value.date().isoformat()
    return value.isoformat() if isinstance(value, dt.date) else str(value)


def parse_events(raw: bytes, name: str) -> Events:
    """Check the content of an events file as `read_events`; ``name`` stands for it in messages."""
    text, remarks = _decode(raw, name)
    header, records = _records(text, name, COLUMNS, REQUIRED, own=True)
    problems: list[Problem] = []
    rows: list[Event] = []
    others = [column for column in header if column not in COLUMNS]
    cells = [dict(zip(header, record, strict=False)) for _, record in records]
    own = own_columns([{column: row.get(column, "") for column in others} for row in cells])
    for (line, record), row, extra in zip(records, cells, own, strict=True):
        found: list[str] = []
        event = _event(row, line, len(record) - len(header), found, remarks)
        problems += [Problem(message, name, line) for message in found]
        if event is not None:
            rows.append(replace(event, own=extra))
    problems += _cross_check(rows, name)
    if not rows and not problems:
        problems.append(Problem("has a header but no event; 'eventstudy init' writes worked rows", name))
    if problems:
        raise EventsError(sorted(problems, key=lambda p: p.line or 0))
    return Events(tuple(rows), name, hashlib.sha256(raw).hexdigest(), tuple(remarks))


def read_records(
    path: Path, columns: Sequence[str], required: Sequence[str], *, own: bool = False
) -> list[tuple[int, dict[str, str]]]:
    """Read another CSV that may stand beside the events: (line, cells by column), blanks stripped.

    With ``own`` it may have other columns too.

    Raises
    ------
    EventsError
        For a file that is no CSV text, a column that is missing, unknown or there twice, and rows with
        more or fewer cells than the header.
    """
    name = str(path)
    text, _ = _decode(_read_bytes(path), name)
    header, records = _records(text, name, columns, required, own=own)
    problems = [
        Problem(f"row has {len(record)} cell(s), the header {len(header)}", name, line)
        for line, record in records
        if len(record) != len(header)
    ]
    if problems:
        raise EventsError(problems)
    return [
        (line, {column: cell.strip() for column, cell in zip(header, record, strict=True)}) for line, record in records
    ]


def own_columns(rows: Sequence[Mapping[str, str]]) -> list[dict[str, str | float]]:
    """Return the cells of columns of the user's own, without empty ones.

    A column whose every cell is a finite number holds numbers, any other holds texts.
    """
    kept = [{column: cell.strip() for column, cell in row.items() if cell.strip()} for row in rows]
    texts = {column for row in kept for column, cell in row.items() if not _is_number(cell)}
    return [{column: cell if column in texts else float(cell) for column, cell in row.items()} for row in kept]


def _is_number(cell: str) -> bool:
    try:
        return math.isfinite(float(cell))
    except ValueError:
        return False


def _read_bytes(path: Path) -> bytes:
    name = str(path)
    try:
        if path.exists() and not (path.is_file() or path.is_dir()):
            raise EventsError(Problem("is a pipe or a device, not a file; save what it gives in a file first", name))
        size = path.stat().st_size
        if size > MAX_BYTES:
            raise EventsError(Problem(f"is {size / 2**20:.0f} MiB; accepted are {MAX_BYTES // 2**20} MiB", name))
        raw = path.read_bytes()
    except OSError as error:
        hint = "give the path of an events CSV, or let 'eventstudy init' write one to start from"
        raise EventsError(Problem(f"cannot be read: {error.strerror}; {hint}", name)) from error
    for wrong, what in (
        (raw[:2] == b"PK", "is an Excel workbook; save it as 'CSV UTF-8' and give that file"),
        (raw[:2] in (b"\xff\xfe", b"\xfe\xff"), "is UTF-16 text; save it as 'CSV UTF-8'"),
        (b"\x00" in raw, "holds NUL bytes and is not a text file; save it as 'CSV UTF-8'"),
    ):
        if wrong:
            raise EventsError(Problem(what, name))
    return raw


def _decode(raw: bytes, name: str) -> tuple[str, list[Reason]]:
    with contextlib.suppress(UnicodeDecodeError):
        return raw.decode("utf-8-sig"), []
    with contextlib.suppress(UnicodeDecodeError):
        return raw.decode("gb18030"), [Reason("events.gb18030", file=Path(name).name)]
    raise EventsError(Problem("is neither UTF-8 nor GB18030 text; save it as 'CSV UTF-8'", name))


def _records(
    text: str, name: str, columns: Sequence[str], required: Sequence[str], *, own: bool
) -> tuple[list[str], list[tuple[int, list[str]]]]:
    first = text.split("\n", 1)[0]
    delimiter = max(",;\t", key=first.count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    records: list[tuple[int, list[str]]] = []
    start = 1
    try:
        for record in reader:
            if any(cell.strip() for cell in record):
                records.append((start, record))
            start = reader.line_num + 1
    except csv.Error as error:
        raise EventsError(Problem(f"is not CSV: {error}; close the quotes", name, reader.line_num)) from error
    if not records:
        raise EventsError(Problem("is empty; 'eventstudy init' writes an events file to start from", name))
    header = [given.lower() if given.lower() in columns else given for given in map(str.strip, records[0][1])]
    missing = [c for c in required if c not in header]
    # Columns of the user's own are welcome beside the events; one that is nearly a known one is a slip.
    welcome = own and not missing
    problems = [
        f"column {c!r} is unknown; {nearest(c, columns)}"
        for c in header
        if c not in columns and not (welcome and c and not difflib.get_close_matches(c.lower(), columns, 1, SLIP))
    ]
    problems += [f"column {c!r} is missing" for c in missing]
    problems += [f"column {c!r} is there twice" for c in sorted({c for c in header if header.count(c) > 1})]
    if problems:
        raise EventsError([Problem(message, name, 1) for message in problems])
    return header, records[1:]


def _event(row: dict[str, str], line: int, surplus: int, found: list[str], remarks: list[Reason]) -> Event | None:
    """Return the row's event, or None with what is wrong appended to ``found``."""
    if surplus:
        found.append(f"row has {abs(surplus)} cell(s) {'more' if surplus > 0 else 'fewer'} than the header")
        return None
    row = {column: row.get(column, "").strip() for column in COLUMNS}
    for column in ("event_id", "shock_id"):
        if not _EVENT_ID.fullmatch(row[column]) and (row[column] or column == "event_id"):
            found.append(f"{column} {row[column]!r}: accepted are 1 to 64 letters, digits, _ . -")
    allowed = {"precision": PRECISIONS, "kind": KINDS, "label": LABELS, "dimension": ("", *DIMENSIONS)}
    for column, accepted in allowed.items():
        if row[column] not in accepted:
            found.append(f"{column} {row[column]!r}; {nearest(row[column], filter(None, accepted))}")
    timestamp = _instant(row["timestamp"], "timestamp", found)
    bare = not isinstance(timestamp, dt.datetime)
    if timestamp is not None and row["precision"] in PRECISIONS and bare != (row["precision"] == "date"):
        what = f"is a bare date, precision is {row['precision']!r}" if bare else "has a time, precision is 'date'"
        cure = "add the time with its offset or write" if bare else "write the date alone or"
        wanted = "date" if bare else "minute"
        found.append(f"timestamp {row['timestamp']!r} {what}; {cure} precision {wanted!r}")
    asof = _instant(row["label_asof"], "label_asof", found) if row["label_asof"] else None
    if row["label"] in DATED_LABELS and not row["label_asof"]:
        found.append(f"label {row['label']!r} needs label_asof: when that could first be known (ISO 8601)")
    tickers = tuple(_tickers(row["tickers"], line, found, remarks))
    if found or timestamp is None:
        return None
    read: dict[str, Any] = {**row, "timestamp": timestamp, "label_asof": asof, "tickers": tickers}
    read["shock_id"] = row["shock_id"] or row["event_id"]
    return Event(**read, line=line, shock_given=bool(row["shock_id"]))


def _tickers(text: str, line: int, found: list[str], remarks: list[Reason]) -> Iterator[str]:
    for given in filter(None, (part.strip() for part in text.split(";"))):
        ticker = unicodedata.normalize("NFKC", given).upper()
        if ticker != given:
            remarks.append(Reason("events.ticker", line=line, given=given, ticker=ticker))
        if with_suffix(ticker):
            found.append(f"ticker {given!r} has no exchange; did you mean '{with_suffix(ticker)}'?")
        elif re.fullmatch(r"\d{6}", ticker):
            found.append(f"ticker {given!r} has no exchange; write its ending too")
        elif not TICKER.fullmatch(ticker):
            found.append(f"ticker {given!r}: accepted are capital letters, digits and . - = ^")
        else:
            yield ticker


def _instant(text: str, column: str, found: list[str]) -> dt.datetime | dt.date | None:
    """Return an aware UTC datetime or a date, or None with a problem that shows the way out."""
    example = "write ISO 8601 with an offset, such as 2026-06-09T09:30:00-04:00, or a date 2026-06-09"
    date = _DATE.fullmatch(text)
    try:
        if re.match(r"\d{4}[-/]", text) and not YEARS[0] <= int(text[:4]) <= YEARS[1]:
            raise ValueError(f"the year is not one of {YEARS[0]} to {YEARS[1]}")
        if date:
            return dt.date(int(date[1]), int(date[2]), int(date[3]))
        zoned = _ZONED.fullmatch(text)
        if zoned:
            return _in_zone(zoned["local"], zoned["bracket"] or zoned["name"])
        if re.match(r"\d{4}-\d{2}-\d{2}[T ]", text):
            moment = dt.datetime.fromisoformat(text)
            if moment.tzinfo is None:
                raise ValueError("has no zone, and a naive time could be any of 24 hours")
            if abs(moment.utcoffset() or dt.timedelta(0)) > LARGEST_OFFSET:
                raise ValueError("no place on earth has such an offset; the largest is 14:00")
            return moment.astimezone(dt.UTC)
        found.append(f"{column} {text!r} {_diagnosis(text)}; {example}")
    except (ValueError, OverflowError) as error:
        found.append(f"{column} {text!r}: {error}; {example}")
    return None


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
        raise ValueError(f"falls into a clock change of {zone}: it exists twice or never; give an offset")
    return early.astimezone(dt.UTC)


def _diagnosis(text: str) -> str:
    if re.fullmatch(r"\d{5}(\.\d+)?", text):
        day = dt.date(1899, 12, 30) + dt.timedelta(days=int(float(text)))
        return f"is an Excel serial number (it would mean {day})"
    slashed = re.fullmatch(r"(\d{1,2})[/.](\d{1,2})[/.](\d{4})", text)
    if slashed:
        a, b, year = (int(part) for part in slashed.groups())
        return f"could be {year}-{a:02d}-{b:02d} or {year}-{b:02d}-{a:02d}"
    return "is not a time" if text else "is empty"


def _cross_check(rows: Sequence[Event], name: str) -> list[Problem]:
    problems = []
    seen: dict[str, Event] = {}
    for event in rows:
        first = seen.setdefault(event.event_id, event)
        # A row that says again what an earlier one says is no conflict: its firm-events count once.
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
    """Return when a moment has passed for certain: a bare date at the end of the day in UTC-12."""
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
