"""Read one long file of prices of a whole market, in pieces, into a wide table on disk."""

from __future__ import annotations

import csv
import datetime as dt
import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq
from numpy.lib.format import open_memmap, write_array_header_1_0
from numpy.typing import NDArray

from eventstudy.errors import PriceError, Problem, Reason
from eventstudy.exchanges.tickers import of_ticker
from eventstudy.prices.quality.quantities import no_price
from eventstudy.prices.table import PriceTable
from eventstudy.readers import crsp
from eventstudy.readers.columns import day_column, spellings
from eventstudy.readers.containers import is_binary
from eventstudy.readers.headers import columns_of, meaning
from eventstudy.readers.numbers import MISSING_SPELLINGS, NUMBER_MARKS, parse_numbers
from eventstudy.readers.spellings import Spellings
from eventstudy.readers.text import encoding_of, refuse_endless, separator_of, wrong_cells

#: Number of rows in memory at a time.
BATCH_ROWS = 1_000_000
#: Bytes of a CSV in memory at a time.
BATCH_BYTES = 32 * 2**20
#: Number of row groups of a Parquet file for one task.
GROUPS_A_TASK = 16
#: Largest number of rows on other days whose values a task keeps.
OFF_KEPT = 250_000
#: Number of bytes for detecting the dialect of a CSV.
HEAD_BYTES = 2**16
#: Columns for computing returns, in order of preference.
VALUES = ("adj_close", "return", "close")
_EPOCH = dt.date(1970, 1, 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class LongFile:
    """A long file and its columns; ``ticker`` is empty for a single series.

    ``name`` is the original file of the prices, ``others`` are unread columns, ``remarks`` notes for the reader.
    ``encoding`` and ``separator`` are those of a CSV; ``text_values`` says whether its values are read as text.
    """

    path: str
    name: str
    ticker: str
    date: str
    value: str
    holds_returns: bool
    sha256: str
    encoding: str = "utf-8"
    separator: str = ","
    text_values: bool = False
    others: tuple[str, ...] = ()
    remarks: tuple[Reason, ...] = ()

    def index(self, benchmark: str) -> LongFile | None:
        """Return the index of a panel from a further column; None if there is none."""
        column = of_ticker(self.others, benchmark)
        return replace(self, ticker="", value=column, text_values=True) if column else None


@dataclass(frozen=True, slots=True)
class Piece:
    """Part of a long file that one task reads, and its target."""

    file: LongFile
    groups: tuple[int, ...]
    tickers: tuple[str, ...]
    sessions: NDArray[np.int32]
    table: str


@dataclass(frozen=True, slots=True)
class Filled:
    """Numbers of rows written by security and of rows on other days, and problems.

    ``rows`` (S,) is the number of rows written, ``n_off`` that of rows on other days; ``off_session`` (m, 3) has
    security, day and value of the first `OFF_KEPT` of these.
    """

    rows: NDArray[np.int64]
    off_session: NDArray[np.float64]
    n_off: int
    problems: tuple[str, ...]


def is_long_file(path: Path) -> bool:
    """Whether a file can be read in pieces: a CSV or Parquet file with tickers, days and a column of `VALUES`."""
    with path.open("rb") as file:
        head = file.read(16)
    columnar = head.startswith(b"PAR1")
    if columnar != (path.suffix == ".parquet") or (is_binary(head) and not columnar):
        return False
    known = {meaning(name) for name in _dialect(path)[0]}
    return {"ticker", "date"} <= known and not known.isdisjoint(VALUES)


def open_long(path: Path, *, one_series: bool = False) -> LongFile:
    """Recognise the columns of a CSV or Parquet file."""
    try:
        refuse_endless(path, PriceError)
        names, encoding, separator, head = _dialect(path)
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
    except (OSError, pa.ArrowException) as error:
        said = getattr(error, "strerror", None) or str(error).splitlines()[0]
        raise PriceError(Problem(f"cannot be read as {path.suffix or 'a table'}: {said}", str(path))) from error
    known = {name: names[at] for name, at in columns_of(names, str(path), PriceError).items()}
    value = next((name for name in VALUES if name in known), "adj_close")
    wanted = ["date", value] if one_series else ["ticker", "date", value]
    missing = [name for name in wanted if name not in known]
    if missing:
        text = f"no column {', '.join(missing)}; accepted are ticker, date, and adj_close or return"
        raise PriceError(Problem(f"{text}; the file has {', '.join(names)}", str(path)))
    return LongFile(
        path=str(path.resolve()),
        name=path.name,
        ticker="" if one_series else known["ticker"],
        date=known["date"],
        value=known[value],
        holds_returns=value == "return",
        sha256=digest,
        encoding=encoding,
        separator=separator,
        text_values=_is_text(head, known[value], separator),
        others=tuple(name for name in names if name not in known.values()),
        remarks=(Reason("price.unadjusted", tickers=path.name),) if value == "close" else (),
    )


def write_long(table: PriceTable, path: Path, name: str) -> LongFile:
    """Write adjusted closes as a long file; ``name`` is their origin."""
    series = list(table.series.values())
    tickers = np.repeat([item.ticker for item in series], [len(item.dates) for item in series])
    days = np.concatenate([np.empty(0, dtype="datetime64[D]"), *(item.dates for item in series)])
    closes = np.concatenate([np.empty(0), *(item.adj_close for item in series)])
    columns = {"ticker": pa.array(tickers, pa.string()), "date": pa.array(days, pa.date32()), "adj_close": closes}
    pq.write_table(pa.table(columns), path, row_group_size=BATCH_ROWS)
    unadjusted = any(note.code == "read.unadjusted" for row in table.outcomes.values() for note in row.notes)
    known = sorted({item.sha256 for item in series})
    digest = known[0] if len(known) == 1 else hashlib.sha256("".join(known).encode()).hexdigest()
    return LongFile(
        path=str(path.resolve()),
        name=name,
        ticker="ticker",
        date="date",
        value="adj_close",
        holds_returns=False,
        sha256=digest,
        remarks=(Reason("price.unadjusted", tickers=name),) if unadjusted else (),
    )


def _dialect(path: Path) -> tuple[list[str], str, str, list[str]]:
    """Names of the columns, encoding, separator and first complete lines (none for Parquet)."""
    if path.suffix == ".parquet":
        return list(pq.ParquetFile(path).schema_arrow.names), "utf-8", ",", []
    with path.open("rb") as file:
        head = file.read(HEAD_BYTES)
    encoding = encoding_of(head[: head.rfind(b"\n") + 1] or head).replace("-sig", "")
    text = head.decode(encoding, errors="replace").removeprefix("\ufeff")
    separator = separator_of(text)
    header = next(csv.reader([text.partition("\n")[0].rstrip("\r")], delimiter=separator), [])
    return header, encoding, separator, text.splitlines()[:-1]


def read_series(file: LongFile, ticker: str) -> tuple[NDArray[np.int32], NDArray[np.float64]]:
    """Days since 1970 in order, and values, of one ticker."""
    days, values = [], []
    for names, at, value in _batches(file, groups_of(file, [ticker])):
        mine = slice(None) if names is None else _codes(names, {ticker: 0}) == 0
        days.append(at[mine])
        values.append(value[mine])
    day = np.concatenate(days) if days else np.empty(0, dtype=np.int32)
    value = np.concatenate(values) if values else np.empty(0)
    there = np.isfinite(value)
    order = np.argsort(day[there], kind="stable")
    day, value = day[there][order], value[there][order]
    if file.value in file.others:
        # The index of a panel has the same value in all rows of a day.
        again = np.append(False, (day[1:] == day[:-1]) & (value[1:] == value[:-1]))[: len(day)]
        day, value = day[~again], value[~again]
    what = ticker or "the series"
    if not len(day):
        raise PriceError(Problem(f"no row of {what!r}; give another --benchmark", file.path))
    twice = np.flatnonzero(day[1:] == day[:-1])
    if len(twice):
        text = f"{what} has two rows on {_date(day[twice[0]])}; accepted is one row a ticker and day"
        raise PriceError(Problem(text, file.path))
    if not file.holds_returns and (value <= 0).any():
        text = f"{what} on {_date(day[value <= 0][0])}: {file.value} = {value[value <= 0][0]:g} is no price"
        raise PriceError(Problem(text, file.path))
    return day, value


def _date(day: int) -> dt.date:
    return _EPOCH + dt.timedelta(days=int(day))


def groups_of(file: LongFile, tickers: Sequence[str]) -> tuple[int, ...]:
    """Row groups that may contain one of these tickers, by the statistics of the file; empty for CSV."""
    if not file.path.endswith(".parquet"):
        return ()
    meta = pq.ParquetFile(file.path).metadata
    if not file.ticker:
        return tuple(range(meta.num_row_groups))
    column = meta.schema.to_arrow_schema().names.index(file.ticker)
    wanted = np.sort(np.array(tickers, dtype=np.str_))
    found = []
    for group in range(meta.num_row_groups):
        known = meta.row_group(group).column(column).statistics
        told = known is not None and known.has_min_max and isinstance(known.min, str)
        if not told or np.searchsorted(wanted, known.min) < np.searchsorted(wanted, known.max, "right"):
            found.append(group)
    return tuple(found)


def pieces(
    file: LongFile, tickers: Sequence[str], sessions: NDArray[np.int32], table: Path, *, also: Sequence[str] = ()
) -> list[Piece]:
    """Split the reading of these tickers into tasks (one for a CSV). ``also`` are further spellings."""
    groups = groups_of(file, [*tickers, *also])
    parts = [groups[i : i + GROUPS_A_TASK] for i in range(0, len(groups), GROUPS_A_TASK)]
    if not file.path.endswith(".parquet"):
        parts = [()]
    return [Piece(file, part, tuple(tickers), sessions, str(table)) for part in parts]


def new_table(path: Path, rows: int, sessions: int) -> None:
    """Create a table of (rows, sessions) on disk, filled with NaN.

    Raises
    ------
    OSError
        If the disk is full. The whole file is written at once, because a mapped file that cannot grow would end the
        process without a message.
    """
    empty = np.full((256, sessions), np.nan)
    try:
        with path.open("wb") as file:
            write_array_header_1_0(file, {"descr": "<f8", "fortran_order": False, "shape": (rows, sessions)})
            for start in range(0, rows, len(empty)):
                file.write(empty[: rows - start].data)
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(path)) from error


def fill(piece: Piece) -> Filled:
    """Write the values of a piece into their cells; repeating it changes nothing."""
    table = open_memmap(piece.table, mode="r+")
    row_of = {ticker: row for row, ticker in enumerate(piece.tickers)}
    counted = np.zeros(len(piece.tickers), dtype=np.int64)
    off: list[NDArray[np.float64]] = []
    n_off = 0
    problems: list[str] = []
    for names, day, value in _batches(piece.file, piece.groups):
        row = np.zeros(len(day), dtype=np.intp) if names is None else _codes(names, row_of)
        at = np.searchsorted(piece.sessions, day)
        there = (row >= 0) & np.isfinite(value)
        known = at < len(piece.sessions)
        known[known] = piece.sessions[at[known]] == day[known]
        stray = there & ~known
        if n_off < OFF_KEPT and stray.any():
            off.append(np.column_stack([row[stray], day[stray], value[stray]])[: OFF_KEPT - n_off])
        n_off += int(stray.sum())
        there &= known
        if not piece.file.holds_returns:
            for i in np.flatnonzero(there & no_price(value))[: max(0, 20 - len(problems))]:
                ticker = piece.tickers[row[i]]
                problems.append(f"{ticker} on {_date(day[i])}: adj_close = {value[i]:g} is no price")
        table[row[there], at[there]] = value[there]
        counted += np.bincount(row[there], minlength=len(counted))
    table.flush()
    return Filled(counted, np.vstack([np.empty((0, 3)), *off]), n_off, tuple(problems))


def tickers_of(file: LongFile) -> frozenset[str]:
    """Return all tickers of a file; this reads the file again."""
    found: set[str] = set()
    groups = range(pq.ParquetFile(file.path).num_row_groups) if file.path.endswith(".parquet") else ()
    for names, _, _ in _batches(file, groups):
        found.update(() if names is None else map(str, names.dictionary.to_pylist()))
    return frozenset(found)


def _codes(names: pa.DictionaryArray, row_of: dict[str, int]) -> NDArray[np.intp]:
    """Row of each ticker, -1 for tickers that are not requested."""
    spellings = Spellings()
    wanted = [
        row_of.get(name, row_of.get(spellings.read(name, 0), -1)) for name in map(str, names.dictionary.to_pylist())
    ]
    rows = np.array([*wanted, -1], dtype=np.intp)
    codes = pc.fill_null(names.indices, len(rows) - 1).to_numpy(zero_copy_only=False)
    found: NDArray[np.intp] = rows[codes]
    return found


def _batches(
    file: LongFile, groups: Sequence[int]
) -> Iterator[tuple[pa.DictionaryArray | None, NDArray[np.int32], NDArray[np.float64]]]:
    """Yield tickers, days since 1970 and values, with a limited number of rows at a time."""
    names = [name for name in (file.ticker, file.date, file.value) if name]
    try:
        for batch in _raw_batches(file, groups, names):
            ticker = batch.column(file.ticker) if file.ticker else None
            if ticker is not None and not pa.types.is_dictionary(ticker.type):
                ticker = pc.dictionary_encode(ticker)
            yield ticker, _days(file, batch.column(file.date)), _values(file, batch.column(file.value))
    except (OSError, pa.ArrowException) as error:
        said = str(error).splitlines()[0]
        text = f"cannot be read: {said}; accepted are dates such as 2026-06-09 and numbers"
        raise PriceError(Problem(text, file.path)) from error


def _days(file: LongFile, column: pa.Array) -> NDArray[np.int32]:
    """Days since 1970; the hour of a timestamp is ignored."""
    if column.null_count:
        raise PriceError(Problem(f"{column.null_count} rows have no {file.date}", file.path))
    read = day_column(column)
    if np.isnat(read.days).any():
        raise PriceError(wrong_cells(file.date, column.to_pylist(), read.wrong, file.path)[:20])
    return read.days.astype(np.int32)


def _values(file: LongFile, column: pa.Array) -> NDArray[np.float64]:
    """Values as float64, NaN if missing."""
    if pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
        cells, place = spellings(column)
        read = parse_numbers(["" if cell.strip() in crsp.LETTERS else cell for cell in cells])
        if read.wrong:
            raise PriceError(wrong_cells(file.value, cells, read.wrong, file.path)[:20])
        value = read.values[place]
    else:
        value = pc.cast(column, pa.float64()).to_numpy(zero_copy_only=False)
    return crsp.without_codes(value) if file.holds_returns else value


def _raw_batches(file: LongFile, groups: Sequence[int], names: list[str]) -> Iterator[pa.RecordBatch]:
    if file.path.endswith(".parquet"):
        source = pq.ParquetFile(file.path)
        yield from source.iter_batches(BATCH_ROWS, row_groups=list(groups), columns=names)
        return
    types = {file.date: pa.string(), file.ticker: pa.string()} if file.ticker else {file.date: pa.string()}
    yield from pa_csv.open_csv(
        file.path,
        read_options=pa_csv.ReadOptions(block_size=BATCH_BYTES, encoding=file.encoding),
        parse_options=pa_csv.ParseOptions(delimiter=file.separator),
        convert_options=pa_csv.ConvertOptions(
            include_columns=names,
            column_types=types | ({} if file.text_values else {file.value: pa.float64()}),
            null_values=[*MISSING_SPELLINGS, *crsp.LETTERS],
            strings_can_be_null=True,
            decimal_point=".",
        ),
    )


def _is_text(lines: Sequence[str], column: str, separator: str) -> bool:
    """Whether the values of a CSV must be read as text because of decimal commas, thousands or currency signs."""
    known = {*MISSING_SPELLINGS, *crsp.LETTERS}
    cells = ((row.get(column) or "").strip() for row in csv.DictReader(lines, delimiter=separator))
    return any(cell not in known and not frozenset(cell) <= NUMBER_MARKS for cell in cells)
