"""Prices from the user's own CSV or Parquet files.

Either a folder with one file for each ticker (``LITE.csv``, ``300308.SZ.csv``, ``^GSPC.parquet``)
or one long file with a ``ticker`` (or ``symbol``) column. Nothing is repaired: a file that cannot
be read as it stands is refused, with all problems of all files at once.
"""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eventstudy.errors import PriceError, Problem, Reason, printable
from eventstudy.prices.table import PriceOutcome, PriceRequest, PriceSeries, PriceTable, check_tickers, provider
from eventstudy.readers.dates import NO_DAY, parse_days
from eventstudy.readers.headers import columns_of, unread
from eventstudy.readers.numbers import NO_NUMBER, parse_numbers
from eventstudy.readers.text import read_text, records_of, wrong_cells

PRICES = ("open", "high", "low", "close", "adj_close")
FIELDS = (*PRICES, "volume")

SUFFIXES = (".csv", ".parquet")

#: No share, index or day's volume was ever outside; past it, ratios of prices overflow.
_LEAST, _MOST = 1e-9, 1e18
#: What differs between two problems of one kind: the cell, a day, a number.
_PARTICULAR = re.compile(r"'[^']*'|[-+]?[0-9][0-9.e+-]*")
#: Lines of one kind of problem that are named; the others are counted.
_LINES_NAMED = 5


@dataclass(frozen=True, slots=True)
class _Sheet:
    """A file's rows before any check: column name to cells, and the line of each row.

    ``cells`` holds text for CSV and arrays for Parquet. Lines of a Parquet file are row numbers. ``notes``
    say how the file was read.
    """

    file: str
    lines: NDArray[np.int64]
    cells: Mapping[str, Sequence[str] | NDArray[Any]]
    sha256: str
    notes: tuple[Reason, ...] = ()


@dataclass(frozen=True, slots=True)
class _Bars:
    """Readable bars of one ticker in the order of the file; fields the file lacks are absent."""

    file: str
    lines: NDArray[np.int64]
    dates: NDArray[np.datetime64]
    values: Mapping[str, NDArray[np.float64]]
    amount: NDArray[np.float64]
    notes: tuple[Reason, ...] = ()


@provider("files")
class FilesProvider:
    """Reads prices from a folder with a file per ticker, or from one long file.

    Parameters
    ----------
    path
        The folder, or the long CSV or Parquet file.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)

    def fetch(self, request: PriceRequest) -> PriceTable:
        """Return the rows of the requested days for each ticker that has a file.

        Raises
        ------
        ConfigError
            A ticker is not written as a ticker.
        PriceError
            The path is missing, or any file that was asked for is faulty; lists every problem.
        """
        check_tickers(request.tickers)
        if self.path.is_dir():
            return _read_each(request, _Folder(self.path))
        if self.path.is_file():
            return _read_each(request, _LongFile(_open_sheet(self.path)))
        raise PriceError(
            Problem(
                "no such folder or file; give a folder with one CSV or Parquet per ticker, "
                "or one long file with a ticker column",
                file=str(self.path),
            )
        )


def prices_of_arrow(table: Any, request: PriceRequest, *, name: str) -> PriceTable:
    """Return the requested rows of a pyarrow table in the form of a long file, checked alike.

    ``name`` stands for the file in messages; the digest is of the table's rows.
    """
    import pyarrow as pa

    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as stream:
        stream.write_table(table.combine_chunks())
    sha256 = hashlib.sha256(sink.getvalue().to_pybytes()).hexdigest()
    return _read_each(request, _LongFile(_arrow_sheet(name, table, sha256)))


class _Folder:
    """A folder with one file for each ticker."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.names = {entry.name for entry in path.iterdir() if entry.suffix in SUFFIXES}
        if not self.names:
            text = "holds no .csv and no .parquet file; 'eventstudy check' lists those that it needs"
            raise PriceError(Problem(text, file=str(path)))

    def sheet(self, ticker: str) -> _Sheet | Reason:
        """Rows of ``ticker``, or why there are none."""
        found = [ticker + suffix for suffix in SUFFIXES if ticker + suffix in self.names]
        if not found:
            return Reason("price.no_file", ticker=ticker, folder=self.path.resolve().name)
        if len(found) > 1:
            raise PriceError(Problem(f"both {' and '.join(found)} exist; keep one", file=str(self.path)))
        sheet = _open_sheet(self.path / found[0])
        return _of_ticker(sheet, ticker)


class _LongFile:
    """One table with the rows of many tickers."""

    def __init__(self, whole: _Sheet) -> None:
        self.whole = whole
        if "ticker" not in self.whole.cells:
            raise PriceError(
                Problem("has no ticker column; add one, or give a folder with one file per ticker", file=whole.file)
            )
        self.rows: dict[str, list[int]] = {}
        for row, ticker in enumerate(self.whole.cells["ticker"]):
            self.rows.setdefault(str(ticker).strip(), []).append(row)

    def sheet(self, ticker: str) -> _Sheet | Reason:
        """Rows of ``ticker``, or why there are none."""
        if ticker not in self.rows:
            return Reason("price.no_row", ticker=ticker, file=printable(Path(self.whole.file).name))
        rows = self.rows[ticker]
        cells: dict[str, Sequence[str] | NDArray[Any]] = {
            name: column[rows] if isinstance(column, np.ndarray) else [column[row] for row in rows]
            for name, column in self.whole.cells.items()
        }
        return replace(self.whole, lines=self.whole.lines[rows], cells=cells)


def _read_each(request: PriceRequest, store: _Folder | _LongFile) -> PriceTable:
    """Read all tickers, collecting the problems of all before any is raised."""
    series: dict[str, PriceSeries] = {}
    outcomes: dict[str, PriceOutcome] = {}
    problems: list[Problem] = []
    for ticker in dict.fromkeys(request.tickers):
        try:
            sheet = store.sheet(ticker)
            if isinstance(sheet, Reason):
                outcomes[ticker] = PriceOutcome(ticker=ticker, status="no_prices", message=sheet)
                continue
            read, outcomes[ticker] = _series(ticker, sheet, request)
        except PriceError as error:
            problems.extend(error.problems)
            continue
        if len(read.dates):
            series[ticker] = read
    if problems:
        raise PriceError(problems)
    return PriceTable(source="files", series=series, outcomes=outcomes)


def _series(ticker: str, sheet: _Sheet, request: PriceRequest) -> tuple[PriceSeries, PriceOutcome]:
    """Check, sort and cut one ticker's rows to the requested days."""
    bars = _bars(sheet)
    bars, order = _sorted(bars)
    _refuse_faulty(bars)
    values, more = _with_adjusted(bars)
    notes = bars.notes + order + more + _oddities(bars.dates, values)
    inside = (bars.dates >= np.datetime64(request.start)) & (bars.dates <= np.datetime64(request.end))
    dates = bars.dates[inside]
    name = Path(sheet.file).name
    cut: dict[str, Any] = {field: values[field][inside] for field in FIELDS}
    amount = bars.amount[inside] if len(bars.amount) else bars.amount
    series = PriceSeries(ticker=ticker, dates=dates, **cut, source=name, sha256=sheet.sha256, amount=amount)
    if not len(dates):
        days = {"start": request.start, "end": request.end}
        message = Reason("price.no_rows", file=name)
        if len(bars.dates):
            message = Reason("price.outside", file=name, first=bars.dates[0], last=bars.dates[-1], **days)
        return series, PriceOutcome(ticker=ticker, status="no_prices", message=message, notes=notes)
    first, last = str(dates[0]), str(dates[-1])
    return series, PriceOutcome(ticker=ticker, status="ok", rows=len(dates), first=first, last=last, notes=notes)


def _open_sheet(path: Path) -> _Sheet:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise PriceError(Problem(f"cannot be read: {error.strerror}", file=str(path))) from error
    if path.suffix == ".parquet":
        return _parquet_sheet(str(path), content)
    return _csv_sheet(str(path), content)


def _csv_sheet(file: str, content: bytes) -> _Sheet:
    """Split a CSV into columns of text; every row has as many cells as the header."""
    text = read_text(content, file, PriceError)
    numbered = records_of(text, file, PriceError)
    header, first = _header(file, [row for _, row in numbered[:3]])
    body = numbered[first:]
    _refuse_ragged(file, len(header), body)
    columns: list[Sequence[str]] = list(zip(*(row for _, row in body), strict=True))
    cells, notes = _named(file, header, columns or [[] for _ in header])
    if first == 3:
        cells["ticker"] = [numbered[1][1][1]] * len(body)
    lines = np.array([line for line, _ in body], dtype=np.int64)
    if text.encoding not in ("utf-8-sig", "utf-8"):
        notes = (*notes, Reason("read.encoding", name=text.encoding.upper()))
    return _Sheet(file, lines, cells, hashlib.sha256(content).hexdigest(), notes)


def _header(file: str, top: Sequence[Sequence[str]]) -> tuple[list[str], int]:
    """Return the header cells and how many rows it takes: one, or the three that yfinance writes."""
    header = list(top[0])
    if header[0].strip() != "Price" or len(top) < 3 or top[1][0].strip() != "Ticker":
        return header, 1
    tickers = sorted({cell.strip() for cell in top[1][1:]})
    if len(tickers) != 1 or top[2][0].strip() != "Date":
        raise PriceError(
            Problem(
                f"has yfinance's three-line header with tickers {', '.join(tickers) or 'none'}; "
                "it can be read with one ticker only: save one file per ticker",
                file=file,
                line=2,
            )
        )
    return ["Date", *header[1:]], 3


def _named(file: str, header: Sequence[str], columns: Sequence[Any]) -> tuple[dict[str, Any], tuple[Reason, ...]]:
    """Keep the columns that are known, under the names used here, and name those left out that may matter."""
    places = columns_of(header, file, PriceError)
    if "date" not in places or not places.keys() & {"close", "adj_close"}:
        found = f"has columns {', '.join(header)}; needed are date and close or adj_close"
        raise PriceError(Problem(found, file=file, line=1))
    places.pop("return", None)
    left = unread(header, places)
    notes = (Reason("read.unread", columns=printable(", ".join(left))),) if left else ()
    return {name: columns[at] for name, at in places.items()}, notes


def _refuse_ragged(file: str, width: int, body: Iterable[tuple[int, Sequence[str]]]) -> None:
    _raise_any(
        [
            Problem(f"has {len(row)} cells, the header has {width}", file=file, line=line)
            for line, row in body
            if len(row) != width
        ],
        file,
    )


def _parquet_sheet(file: str, content: bytes) -> _Sheet:
    """Columns of a Parquet file as arrays; a time zone is read as the exchange's own."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        table = pq.read_table(pa.BufferReader(content))
    except (pa.ArrowException, OSError) as error:
        reason = str(error).split("\n")[0]
        raise PriceError(Problem(f"is not a Parquet file: {reason}", file=file)) from error
    return _arrow_sheet(file, table, hashlib.sha256(content).hexdigest())


def _arrow_sheet(file: str, table: Any, sha256: str) -> _Sheet:
    cells, notes = _named(file, table.column_names, table.columns)
    arrays = {name: _arrow_array(file, name, column) for name, column in cells.items()}
    return _Sheet(file, np.arange(1, table.num_rows + 1), arrays, sha256, notes)


def _arrow_array(file: str, name: str, column: Any) -> NDArray[Any]:
    """One Parquet column: text as it is, numbers as float64, dates as datetime64."""
    import pyarrow as pa
    import pyarrow.compute as pc

    kind = column.type
    if name == "date" and pa.types.is_timestamp(kind) and kind.tz:
        column = pc.local_timestamp(column)
    number = pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_null(kind)
    if name in (*FIELDS, "amount") and number:
        return np.asarray(column.cast(pa.float64()).to_numpy(), dtype=np.float64)
    if name == "date" and pa.types.is_temporal(kind):
        return np.asarray(column.to_numpy())
    if pa.types.is_dictionary(kind):
        column = column.cast(kind.value_type)
    if name == "amount":
        return np.full(len(column), np.nan)
    if pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
        return np.array([text or "" for text in column.to_pylist()], dtype=object)
    raise PriceError(Problem(f"column {name} has the type {kind}, which cannot be read", file=file))


def _of_ticker(sheet: _Sheet, ticker: str) -> _Sheet:
    """Refuse another ticker's rows in a file named after one; a code of digits is another spelling."""
    named = [str(cell).strip() for cell in sheet.cells.get("ticker", ())]
    if len(set(named)) == 1 and named[0] != ticker and named[0].isdigit():
        return replace(sheet, notes=(*sheet.notes, Reason("read.calls", ticker=ticker, name=named[0])))
    _raise_any(
        [
            Problem(f"is a row of {cell!r} in the file of {ticker}", file=sheet.file, line=int(line))
            for line, cell in zip(sheet.lines, named, strict=False)
            if cell != ticker
        ],
        sheet.file,
    )
    return sheet


def _bars(sheet: _Sheet) -> _Bars:
    """Convert the cells to days and numbers, naming every cell that is neither."""
    problems: list[Problem] = []
    missing: Counter[str] = Counter()
    dates = _days(sheet, problems)
    values = {name: _numbers(sheet, name, problems, missing) for name in FIELDS if name in sheet.cells}
    _raise_any(problems, sheet.file)
    words = ", ".join(f"{word!r} {count} times" for word, count in sorted(missing.items()))
    notes = (*sheet.notes, Reason("read.missing", words=printable(words))) if words else sheet.notes
    # The money traded only checks the volume: a cell that is no number stops nothing.
    cells = sheet.cells.get("amount", ())
    amount = cells if isinstance(cells, np.ndarray) else parse_numbers(cells, multiples=True).values
    return _Bars(sheet.file, sheet.lines, dates, values, amount, notes)


def _days(sheet: _Sheet, problems: list[Problem]) -> NDArray[np.datetime64]:
    cells = sheet.cells["date"]
    if isinstance(cells, np.ndarray) and cells.dtype.kind == "M":
        days = cells.astype("datetime64[D]")
        wrong = dict.fromkeys(np.flatnonzero((days != cells) | np.isnat(cells)).tolist(), NO_DAY)
    else:
        read = parse_days(cells)  # type: ignore[arg-type]
        days, wrong = read.days, dict(read.wrong)
    problems.extend(wrong_cells("date", cells, wrong, sheet.file, sheet.lines))
    return days


def _numbers(sheet: _Sheet, name: str, problems: list[Problem], missing: Counter[str]) -> NDArray[np.float64]:
    """A column as float64, NaN where the cell is empty."""
    cells = sheet.cells[name]
    if isinstance(cells, np.ndarray) and cells.dtype.kind == "f":
        wrong = dict.fromkeys(np.flatnonzero(np.isinf(cells)).tolist(), NO_NUMBER)
        problems.extend(wrong_cells(name, cells, wrong, sheet.file, sheet.lines))
        return cells
    read = parse_numbers(cells, multiples=name == "volume")  # type: ignore[arg-type]
    problems.extend(wrong_cells(name, cells, read.wrong, sheet.file, sheet.lines))
    missing.update(read.missing)
    return read.values


def _sorted(bars: _Bars) -> tuple[_Bars, tuple[Reason, ...]]:
    """Bars in the order of their days, with a note if the file was not."""
    if np.all(bars.dates[1:] >= bars.dates[:-1]):
        return bars, ()
    order = np.argsort(bars.dates, kind="stable")
    values = {name: column[order] for name, column in bars.values.items()}
    note = Reason("read.sorted", file=printable(Path(bars.file).name))
    amount = bars.amount[order] if len(bars.amount) else bars.amount
    lines, dates = bars.lines[order], bars.dates[order]
    return replace(bars, lines=lines, dates=dates, values=values, amount=amount), (note,)


def _refuse_faulty(bars: _Bars) -> None:
    """Raise for days that come twice and for prices that cannot be prices."""
    problems = []
    for row in np.flatnonzero(bars.dates[1:] == bars.dates[:-1]):
        message = f"{bars.dates[row]} comes twice, here and in line {bars.lines[row]}; keep one row"
        problems.append(Problem(message, file=bars.file, line=int(bars.lines[row + 1])))
    for name, column in bars.values.items():
        floor = "negative" if name == "volume" else "zero or negative"
        for row in np.flatnonzero(column < 0 if name == "volume" else column <= 0):
            message = f"{name} {column[row]:g} on {bars.dates[row]} is {floor}; correct it or leave it empty"
            problems.append(Problem(message, file=bars.file, line=int(bars.lines[row])))
        for row in np.flatnonzero((column > 0) & ((column < _LEAST) | (column > _MOST))):
            message = f"{name} {column[row]:g} on {bars.dates[row]} is out of any price's range"
            problems.append(Problem(message, file=bars.file, line=int(bars.lines[row])))
    _raise_any(problems, bars.file)


def _with_adjusted(bars: _Bars) -> tuple[dict[str, NDArray[np.float64]], tuple[Reason, ...]]:
    """All six fields; a file without adjusted closes has its closes taken for them."""
    absent = np.full(len(bars.dates), np.nan)
    values = {name: bars.values.get(name, absent) for name in FIELDS}
    close, adjusted = values["close"], values["adj_close"]
    if np.isnan(adjusted).all() and not np.isnan(close).all():
        values["adj_close"] = close
        return values, (Reason("read.unadjusted"),)
    lacking = int((np.isnan(adjusted) & ~np.isnan(close)).sum())
    return values, (Reason("read.adjusted_empty", n=lacking),) if lacking else ()


def _oddities(dates: NDArray[np.datetime64], values: Mapping[str, NDArray[np.float64]]) -> tuple[Reason, ...]:
    """Notes on rows that are kept as they are but should be looked at."""
    close, adjusted = values["close"], values["adj_close"]
    empty = np.isnan(close) & np.isnan(adjusted)
    # Half a per cent allows for sources that round the four prices differently.
    outside = (close < 0.995 * values["low"]) | (close > 1.005 * values["high"])
    kinds = {"read.no_close": empty, "read.outside_range": outside}
    return tuple(Reason(code, n=int(at.sum()), first=dates[at][0]) for code, at in kinds.items() if at.any())


def _raise_any(problems: Sequence[Problem], file: str) -> None:
    """Raise the problems of one file, each kind once: its first line, and on how many others it is found."""
    kinds: dict[str, list[Problem]] = {}
    for problem in sorted(problems, key=lambda problem: problem.line or 0):
        kinds.setdefault(_PARTICULAR.sub("…", problem.message), []).append(problem)
    if kinds:
        raise PriceError([_once(alike, file) for alike in kinds.values()])


def _once(alike: Sequence[Problem], file: str) -> Problem:
    """The first of some problems of one kind, with the lines of the others."""
    first, others = alike[0], [str(problem.line) for problem in alike[1:]]
    if not others:
        return first
    named = ", ".join(others[:_LINES_NAMED]) + (", …" if len(others) > _LINES_NAMED else "")
    what = "another line" if len(others) == 1 else f"{len(others)} other lines"
    return Problem(f"{first.message} (and {what} like it: {named})", file, first.line)
