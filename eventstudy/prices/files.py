"""Prices from the user's own CSV or Parquet files, or from frames: one normaliser for all their shapes.

A folder with one file for each ticker (``LITE.csv``, ``300308.SZ.csv.gz``, ``^GSPC.parquet``), one long table
with a row a ticker and day, or one wide table with a column a ticker; a folder may hold one such table beside
files. Nothing is repaired: what cannot be read as it stands is refused, with all problems of all files at once.
"""

from __future__ import annotations

import difflib
import functools
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eventstudy.errors import PriceError, Problem, Reason, printable
from eventstudy.exchanges.tickers import of_ticker
from eventstudy.prices.quality.quantities import unit_of
from eventstudy.prices.table import (
    PriceOutcome,
    PriceRequest,
    PriceSeries,
    PriceTable,
    check_tickers,
    known_volume,
    provider,
)
from eventstudy.readers import crsp
from eventstudy.readers.containers import sheet_of_bytes
from eventstudy.readers.dates import NO_DAY, parse_days
from eventstudy.readers.headers import columns_of, meaning, reduced, unread
from eventstudy.readers.numbers import NO_NUMBER, parse_numbers, parse_ratios
from eventstudy.readers.sheets import Cells, Sheet, arrow_sheet
from eventstudy.readers.text import read_file, wrong_cells

PRICES = ("open", "high", "low", "close", "adj_close")
FIELDS = (*PRICES, "volume")
SUFFIXES = (".csv", ".csv.gz", ".parquet", ".xlsx")
Values = dict[str, NDArray[np.float64]]

#: Plausible range of prices and volumes; outside it ratios of prices overflow.
_LEAST, _MOST = 1e-9, 1e18
#: Parts that differ between problems of one kind: the cell, a day, a number.
_PARTICULAR = re.compile(r"'[^']*'|[-+]?[0-9][0-9.e+-]*")
#: Characters that end the ticker at the beginning of a file name.
_WORD = re.compile(r"[ _(.]")
#: Smallest number of returns whose median is used to detect the unit.
_MANY = 20
#: Share of numbers at or below zero above which they are returns, not prices.
_OFTEN = 0.2
_RETURNS = "if these are returns, a long file calls the column 'return', and Study.run has prices_are='returns'"
#: Number of listed lines for one kind of problem; further ones are counted.
_LINES_NAMED = 5


@provider("files")
class FilesProvider:
    """Reads prices from a folder with one file for each ticker, or from one long or wide file.

    Parameters
    ----------
    path
        The folder, or the file (recognised by its content).
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)

    def fetch(self, request: PriceRequest) -> PriceTable:
        """Return the rows of the requested days for each ticker with a file, rows or a column."""
        check_tickers(request.tickers)
        if self.path.is_dir():
            return _read_each(request, _Folder(self.path, request.tickers))
        if self.path.exists():
            return _read_each(request, _OneTable(_open_sheet(self.path), request.tickers))
        text = "no such folder or file; give a folder with one CSV or Parquet per ticker, or one long or wide file"
        raise PriceError(Problem(text, str(self.path)))


def prices_of_arrow(table: Any, request: PriceRequest, *, name: str) -> PriceTable:
    """Return the requested rows of a long or wide pyarrow table, with the same checks as for a file.

    ``name`` replaces the file name in messages; the digest is that of the table's rows.
    """
    return _read_each(request, _OneTable(arrow_sheet(name, table), request.tickers))


def with_index_file(table: PriceTable, path: Path, request: PriceRequest) -> PriceTable:
    """Return prices with those of an index in a separate file, under the name of the file."""
    series, outcome = _series(str(path), _by_meaning(_open_sheet(path)), request)
    found = {series.ticker: series} if len(series.dates) else {}
    outcomes = {**table.outcomes, series.ticker: outcome}
    return replace(table, series={**table.series, **found}, outcomes=outcomes)


def _open_sheet(path: Path) -> Sheet:
    return sheet_of_bytes(read_file(path, PriceError), str(path), PriceError)


class _Folder:
    """A folder with one file for each ticker, or with a table of several."""

    def __init__(self, path: Path, tickers: Sequence[str]) -> None:
        self.path, self.tickers = path, tickers
        self.every = names = {entry.name for entry in path.iterdir()}
        self.stems = sorted(name.removesuffix(end) for name in names for end in SUFFIXES if name.endswith(end))
        self.names = {name for name in names if name.endswith(SUFFIXES)}
        if not self.names:
            text = f"holds no file that ends in {', '.join(SUFFIXES)}; 'eventstudy check' lists those that it needs"
            raise PriceError(Problem(text, file=str(path)))

    @functools.cached_property
    def table(self) -> _OneTable | None:
        """The table in the only file that is not named after a ticker; None if there is none."""
        own = {of_ticker(self.stems, ticker) for ticker in self.tickers}
        others = [name for name in self.names if not any(name == stem + end for stem in own for end in SUFFIXES)]
        if len(others) != 1:
            return None
        sheet = _open_sheet(self.path / others[0])
        means = {meaning(cell) for cell in sheet.cells}
        long = "ticker" in means and bool(means & {"close", "adj_close", "return"})
        return _OneTable(sheet, self.tickers) if long or _is_wide(sheet, self.tickers) else None

    def sheet(self, ticker: str) -> Sheet | Reason:
        """Rows of ``ticker``, or why there are none."""
        named = [ticker + suffix for suffix in SUFFIXES if ticker + suffix in self.names]
        if len(named) > 1:
            raise PriceError(Problem(f"both {' and '.join(named)} exist; keep one", file=str(self.path)))
        stem = ticker if named else of_ticker(self.stems, ticker)
        if not stem:
            rows = self.table.sheet(ticker) if self.table else None
            if isinstance(rows, Sheet):
                return rows
            folder = printable(self.path.resolve().name)
            # Downloads are called "NVDA (1).csv", "INTC Historical Data.csv", "mu.us.txt".
            like = [name for name in sorted(self.every) if _WORD.split(name)[0].upper() == ticker]
            if like:
                return Reason("price.no_file_like", ticker=ticker, folder=folder, name=printable(like[0]))
            return Reason("price.no_file", ticker=ticker, folder=folder)
        name, *_ = (stem + suffix for suffix in SUFFIXES if stem + suffix in self.names)
        sheet = _by_meaning(_open_sheet(self.path / name))
        if stem != ticker:
            sheet = sheet.noted(Reason("read.calls", ticker=ticker, name=printable(stem)))
        return _of_ticker(sheet, ticker, stem)


class _OneTable:
    """One table, long (one row for each ticker and day) or wide (one column for each ticker)."""

    def __init__(self, sheet: Sheet, tickers: Sequence[str]) -> None:
        self.tickers, self.own = tickers, sheet
        self.rows: dict[str, list[int]] = {}
        self.wide = _is_wide(sheet, tickers)
        if self.wide:
            self.whole = sheet
            known = {meaning(cell): cell for cell in sheet.cells}
            self.date = known["date"]
            self.rows = {cell.strip(): [] for cell in sheet.cells if cell != self.date}
            return
        self.whole = _by_meaning(sheet)
        if "ticker" not in self.whole.cells:
            text = "has no ticker column; name it ticker or symbol, or give a folder with one file per ticker"
            raise PriceError(Problem(text, file=sheet.file))
        for row, ticker in enumerate(self.whole.cells["ticker"]):
            self.rows.setdefault(str(ticker).strip(), []).append(row)

    def index(self, ticker: str) -> Sheet | None:
        """The index of a panel, from a column that repeats it in the rows of each ticker; None if there is none."""
        used = set(columns_of(list(self.own.cells), self.own.file, PriceError).values())
        column = of_ticker([cell for at, cell in enumerate(self.own.cells) if at not in used], ticker)
        if self.wide or not column:
            return None
        days, cells = self.whole.cells["date"], self.own.cells[column]
        first: dict[str, int] = {}
        for row, (day, cell) in enumerate(zip(days, cells, strict=True)):
            # Rows of a security without an index value have an empty cell.
            if str(cell).strip() in ("", "nan"):
                continue
            if str(cells[first.setdefault(str(day), row)]) != str(cell):
                text = f"{column} has two values on {day}; a column that is an index has one a day"
                raise PriceError(Problem(text, self.own.file, int(self.own.lines[row])))
        what = "adj_close" if self.whole.cells.keys() & {"close", "adj_close"} else "return"
        return replace(self.whole, cells={"date": days, what: cells}).taken(list(first.values()))

    @functools.cached_property
    def known(self) -> bool:
        """Whether any ticker of the study is in the table."""
        return any(of_ticker(self.rows, ticker) for ticker in self.tickers)

    def sheet(self, ticker: str) -> Sheet | Reason:
        """Rows of ``ticker``, or why there are none."""
        name = of_ticker(self.rows, ticker)
        file = printable(Path(self.whole.file).name)
        if not name:
            if (beside := self.index(ticker)) is not None:
                return beside
            if self.known:
                return Reason("price.no_row", ticker=ticker, file=file)
            # No ticker of the study is in the file, which may use another spelling.
            near = difflib.get_close_matches(ticker, self.rows, n=1, cutoff=0.0)
            ids = ", ".join(printable(name) for name in dict.fromkeys([*list(self.rows)[:3], *near]))
            return Reason("price.no_row_like", ticker=ticker, file=file, ids=ids)
        if self.wide:
            column, *_ = (cells for cell, cells in self.whole.cells.items() if cell.strip() == name)
            sheet = replace(self.whole, cells={"date": self.whole.cells[self.date], "adj_close": column})
            # With several markets in one table, each has empty cells on days of the others.
            sheet = sheet.taken([row for row, cell in enumerate(column) if str(cell).strip() not in ("", "nan")])
        else:
            sheet = self.whole.taken(self.rows[name])
        return sheet if name == ticker else sheet.noted(Reason("read.calls", ticker=ticker, name=printable(name)))


def _is_wide(sheet: Sheet, tickers: Sequence[str]) -> bool:
    """Whether a table is wide, with one column for each ticker."""
    known = {meaning(cell): cell for cell in sheet.cells}
    named = {cell.strip() for cell in sheet.cells if cell not in (known.get("date"), known.get("ticker"))}
    closes = known.keys() & {"close", "adj_close", "return"} or any(reduced(cell) == "price" for cell in sheet.cells)
    return "ticker" not in known and "date" in known and bool(named) and (not closes or named <= set(tickers))


def _by_meaning(sheet: Sheet) -> Sheet:
    """Keep the recognised columns under the package's names, and note unread columns that may matter."""
    header = list(sheet.cells)
    at = columns_of(header, sheet.file, PriceError)
    prices = at.keys() & {"close", "adj_close"}
    if "date" not in at or not (prices or "return" in at):
        needed = (
            f"has columns {', '.join(header)}; needed are date and close or adj_close (docs/files.md: accepted names)"
        )
        raise PriceError(Problem(needed, file=sheet.file, line=1))
    if "adj_close" in at:
        at.pop("return", None)
    left = unread(header, at)
    if "close" in at and reduced(header[at["close"]]) in crsp.SIGNED:
        sheet = crsp.unsigned(sheet, header[at["close"]])
    cells = {name: sheet.cells[header[place]] for name, place in at.items()}
    named = replace(sheet, cells=cells)
    return named.noted(Reason("read.unread", columns=printable(", ".join(left)))) if left else named


def _of_ticker(sheet: Sheet, ticker: str, stem: str) -> Sheet:
    """Refuse rows of another ticker in a file named after a ticker; a code of digits counts as a spelling."""
    named = [str(cell).strip() for cell in sheet.cells.get("ticker", ())]
    same = named[0] if len(set(named)) == 1 and named[0] not in (ticker, stem) else ""
    if same.isdigit() or (same and of_ticker([same], ticker)):
        return sheet.noted(Reason("read.calls", ticker=ticker, name=printable(same)))
    problems = [
        Problem(f"is a row of {cell!r} in the file of {ticker}", sheet.file, int(line))
        for line, cell in zip(sheet.lines, named, strict=False)
        if cell not in (ticker, stem)
    ]
    _raise_any(problems, sheet.file)
    return sheet


def _read_each(request: PriceRequest, store: _Folder | _OneTable) -> PriceTable:
    """Read all tickers, and raise the problems of all together."""
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


def _series(ticker: str, sheet: Sheet, request: PriceRequest) -> tuple[PriceSeries, PriceOutcome]:
    """Check, sort and cut one ticker's rows to the requested days."""
    sheet, dates, values = _checked(sheet)
    fields, notes = _with_adjusted(dates, values)
    notes = (*sheet.notes, *notes)
    name = printable(Path(sheet.file).name)
    told: dict[str, Any] = {**fields, "source": name, "sha256": sheet.sha256}
    series = PriceSeries(ticker=ticker, dates=dates, **told).within(request)
    if len(series.dates):
        return series, PriceOutcome.of(series, notes)
    message = Reason("price.no_rows", file=name)
    if len(dates):
        days = {"first": dates[0], "last": dates[-1], "start": request.start, "end": request.end}
        message = Reason("price.outside", file=name, **days)
    return series, PriceOutcome(ticker=ticker, status="no_prices", message=message, notes=notes)


def _checked(sheet: Sheet) -> tuple[Sheet, NDArray[np.datetime64], Values]:
    """Convert the cells to ordered days and to numbers; raise for each kind of invalid cell."""
    problems: list[Problem] = []
    missing: Counter[str] = Counter()
    dates = _days(sheet, problems)
    checked = (*FIELDS, "return", "delisting")
    values = {name: _numbers(sheet, name, problems, missing) for name in checked if name in sheet.cells}
    _raise_any(problems, sheet.file)
    # The other columns only check prices and volumes, so invalid cells in them are ignored.
    for name in ("amount", "dividends", "splits", "status"):
        if name in sheet.cells:
            values[name] = _lenient(name, sheet.cells[name])
    if missing:
        words = ", ".join(f"{word!r} {count} times" for word, count in sorted(missing.items()))
        sheet = sheet.noted(Reason("read.missing", words=printable(words)))
    if np.any(dates[1:] < dates[:-1]):
        order = np.argsort(dates, kind="stable")
        values = {name: column[order] for name, column in values.items()}
        sheet, dates = sheet.taken(order), dates[order]
        sheet = sheet.noted(Reason("read.sorted", file=printable(Path(sheet.file).name)))
    _refuse_faulty(sheet, dates, values)
    return sheet, dates, values


def _days(sheet: Sheet, problems: list[Problem]) -> NDArray[np.datetime64]:
    cells = sheet.cells["date"]
    if isinstance(cells, np.ndarray) and cells.dtype.kind == "M":
        days = cells.astype("datetime64[D]")
        wrong = dict.fromkeys(np.flatnonzero((days != cells) | np.isnat(cells)).tolist(), NO_DAY)
    else:
        read = parse_days([str(cell) for cell in cells])
        days, wrong = read.days, dict(read.wrong)
    problems.extend(wrong_cells("date", cells, wrong, sheet.file, sheet.lines))
    return days


def _numbers(sheet: Sheet, name: str, problems: list[Problem], missing: Counter[str]) -> NDArray[np.float64]:
    """A column as float64, NaN for empty cells."""
    cells = sheet.cells[name]
    if isinstance(cells, np.ndarray) and cells.dtype.kind == "f":
        wrong: Mapping[int, str] = dict.fromkeys(np.flatnonzero(np.isinf(cells)).tolist(), NO_NUMBER)
        values = cells
    else:
        texts = [str(cell) for cell in cells]
        if name in ("return", "delisting"):
            texts = ["" if cell.strip() in crsp.LETTERS else cell for cell in texts]
        read = parse_numbers(texts, multiples=name == "volume")
        values, wrong = read.values, read.wrong
        missing.update(read.missing)
    problems.extend(wrong_cells(name, cells, wrong, sheet.file, sheet.lines))
    return crsp.without_codes(values) if name in ("return", "delisting") else values


def _lenient(name: str, cells: Cells) -> NDArray[np.float64]:
    """A column with optional numbers: splits as new shares for one old share, 0 without a split."""
    if isinstance(cells, np.ndarray) and cells.dtype.kind == "f":
        values = cells
    elif name == "status":
        values = parse_numbers(["0" if str(cell).strip() == "停牌" else str(cell) for cell in cells]).values
    else:
        texts = [str(cell) for cell in cells]
        values = parse_ratios(texts) if name == "splits" else parse_numbers(texts, multiples=name == "amount").values
    if name not in ("dividends", "splits"):
        return values
    actions: NDArray[np.float64] = np.nan_to_num(values, nan=0.0)
    # Some sources write 1 (one new share for one old) on days without a split.
    return np.where(actions == 1.0, 0.0, actions) if name == "splits" else actions


def _refuse_faulty(sheet: Sheet, dates: NDArray[np.datetime64], values: Values) -> None:
    """Raise for repeated days and for numbers that cannot be prices, volumes or returns."""
    problems = []
    for row in np.flatnonzero(dates[1:] == dates[:-1]):
        message = f"{dates[row]} comes twice, here and in line {sheet.lines[row]}; keep one row"
        problems.append(Problem(message, file=sheet.file, line=int(sheet.lines[row + 1])))
    returns = values.get("return", np.empty(0))
    returns = returns[np.isfinite(returns)]
    usual = float(np.median(np.abs(returns))) if len(returns) >= _MANY else 0.0
    if unit_of(usual):
        message = f"the returns are in {unit_of(usual)}, by their median size; give decimals, 0.01 for one percent"
        raise PriceError([*problems, Problem(message, file=sheet.file)])
    for name in (*FIELDS, "return"):
        column = values.get(name, np.empty(0))
        floor, least = {"volume": ("negative", 0.0), "return": ("a loss of all or more", -1.0)}.get(
            name, ("zero or negative", 0.0)
        )
        low = column < least if name == "volume" else column <= least
        many = name in ("close", "adj_close") and len(low) >= _MANY and low.mean() > _OFTEN
        kinds = {
            f"is {floor}; {_RETURNS if many else 'correct it or leave it empty'}": low,
            "is out of any price's range": (column > 0) & ((column < _LEAST) | (column > _MOST)) & (name != "return"),
        }
        problems += [
            Problem(f"{name} {column[row]:g} on {dates[row]} {what}", file=sheet.file, line=int(sheet.lines[row]))
            for what, rows in kinds.items()
            for row in np.flatnonzero(rows)
        ]
    _raise_any(problems, sheet.file)


def _with_adjusted(dates: NDArray[np.datetime64], values: Values) -> tuple[Values, tuple[Reason, ...]]:
    """All fields of a series, with notes; closes or cumulated returns replace missing adjusted closes."""
    absent = np.full(len(dates), np.nan)
    fields = {name: values.get(name, absent) for name in FIELDS}
    fields |= {name: values[name] for name in ("amount", "dividends", "splits") if name in values}
    notes: list[Reason] = []
    if "return" in values:
        level = np.cumprod(1.0 + np.nan_to_num(values["return"]))
        fields["adj_close"] = np.where(np.isnan(values["return"]), np.nan, level)
        notes.append(Reason("read.returns"))
    elif np.isnan(fields["adj_close"]).all() and not np.isnan(fields["close"]).all():
        fields["adj_close"] = fields["close"]
        notes.append(Reason("read.unadjusted"))
    if np.isfinite(values.get("delisting", absent)).any():
        fields, day = _delisted(fields, values["delisting"])
        notes.append(Reason("read.delisting", day=dates[day], value=values["delisting"][day]))
    close, adjusted = fields["close"], fields["adj_close"]
    lacking = int((np.isnan(adjusted) & ~np.isnan(close)).sum())
    if lacking:
        notes.append(Reason("read.adjusted_empty", n=lacking))
    fields["volume"] = known_volume(fields["volume"], np.where(np.isnan(close), adjusted, close), values.get("status"))
    # A tolerance of half a percent, because some sources round the four prices differently.
    kinds = {
        "read.no_close": np.isnan(close) & np.isnan(adjusted),
        "read.outside_range": (close < 0.995 * fields["low"]) | (close > 1.005 * fields["high"]),
    }
    notes += [Reason(code, n=int(at.sum()), first=dates[at][0]) for code, at in kinds.items() if at.any()]
    return fields, tuple(notes)


def _delisted(fields: Values, returns: NDArray[np.float64]) -> tuple[Values, int]:
    """Return the fields with the delisting return in the last price, and its row.

    Notes
    -----
    It is the return from the last price to the final payment (Shumway 1997, J. Finance 52, 327-340). In a row with a
    price it is compounded with that day's return; in a row without a price it is that day's return. If a file repeats
    it in every row, it counts once, in the last row. It has no volume and no close.
    """
    day = int(np.flatnonzero(np.isfinite(returns))[-1])
    adjusted = fields["adj_close"].copy()
    priced = np.flatnonzero(np.isfinite(adjusted[: day + 1]))
    if len(priced):
        # After a total loss the price is a billionth, because zero has no logarithm.
        adjusted[day] = adjusted[priced[-1]] * max(1.0 + returns[day], _LEAST)
    blank = {name: np.where(np.arange(len(adjusted)) == day, np.nan, fields[name]) for name in ("close", "volume")}
    return {**fields, **blank, "adj_close": adjusted}, day


def _raise_any(problems: Sequence[Problem], file: str) -> None:
    """Raise the problems of one file, each kind once, with its first line and the number of other lines."""
    kinds: dict[str, list[Problem]] = {}
    for problem in sorted(problems, key=lambda problem: problem.line or 0):
        kinds.setdefault(_PARTICULAR.sub("…", problem.message), []).append(problem)
    told = []
    for first, *others in kinds.values():
        lines = [str(problem.line) for problem in others[:_LINES_NAMED]]
        lines += ["…"] if len(others) > _LINES_NAMED else []
        what = "another line" if len(others) == 1 else f"{len(others)} other lines"
        like = f" (and {what} like it: {', '.join(lines)})" if others else ""
        told.append(Problem(f"{first.message}{like}", file, first.line))
    if told:
        raise PriceError(told)
