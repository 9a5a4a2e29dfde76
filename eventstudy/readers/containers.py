"""Read a table of another program from a file (recognised by its content) or from a frame."""

from __future__ import annotations

import csv
import datetime as dt
import hashlib
import io
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from eventstudy.errors import EventStudyError, Problem
from eventstudy.readers.headers import meaning
from eventstudy.readers.sheets import Sheet, arrow_sheet, csv_sheet, parquet_table
from eventstudy.readers.text import Text, read_text, records_of

ACCEPTED_FRAMES = "accepted are frames of pandas, polars, pyarrow and duckdb, and lists of dicts"
#: A CSV of at least this many bytes is read by Arrow, which is faster but does not give line numbers.
_LARGE = 4 * 2**20
_ZIP = b"PK\x03\x04"
#: First bytes of the formats 113 to 115 of Stata, which have no other signature.
_OLD_STATA = tuple(bytes([version, order]) for version in (113, 114, 115) for order in (1, 2))
#: Names of columns with row numbers, as pandas writes them for an index without a name.
_ROW_NUMBERS = ("", "unnamed: 0", "__index_level_0__")


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """Columns of a table before any check.

    ``names`` are header cells without blanks around them, ``columns`` a list of texts or an Arrow array for each,
    ``lines`` the line of each row in the file. ``ragged`` are rows with more or fewer cells than the header, which are
    not in ``columns``; ``encoding`` is that of a text file.
    """

    file: str
    sha256: str
    names: tuple[str, ...]
    columns: tuple[Any, ...]
    lines: Sequence[int]
    ragged: tuple[Problem, ...] = ()
    encoding: str = ""


def table_of_bytes(raw: bytes, file: str, error: type[EventStudyError]) -> Table:
    """Return the table of a file: CSV in any encoding, Excel, Parquet, Feather or Stata.

    Raises
    ------
    EventStudyError
        Of the type ``error``, if the file has another format, is damaged or empty.
    """
    digest = hashlib.sha256(raw).hexdigest()
    if raw.startswith(_ZIP):
        return _of_records(_excel_rows(raw, file, error), file, digest)
    if not _is_columnar(raw):
        text = read_text(raw, file, error)
        if len(raw) > _LARGE and (table := _large(text)) is not None:
            found = _of_arrow(table, file, digest)
            return replace(found, lines=range(2, table.num_rows + 2), encoding=text.encoding)
        return _of_records(records_of(text, file, error), file, digest, text.encoding)
    return _of_arrow(_columnar(raw, file, error), file, digest)


def sheet_of_bytes(raw: bytes, file: str, error: type[EventStudyError]) -> Sheet:
    """Return the sheet of a file of any accepted kind, for readers of prices; raises as `table_of_bytes`."""
    if raw.startswith(_ZIP):
        table = table_of_bytes(raw, file, error)
        cells = dict(zip(table.names, table.columns, strict=True))
        return Sheet(file, np.array(table.lines, dtype=np.int64), cells, table.sha256)
    if _is_columnar(raw):
        return arrow_sheet(file, _columnar(raw, file, error), hashlib.sha256(raw).hexdigest())
    return csv_sheet(file, raw, error)


def table_of_frame(data: Any, file: str, error: type[EventStudyError]) -> Table:
    """Return the table of a frame of pandas, polars, pyarrow or duckdb, or of a list of dicts.

    Raises
    ------
    EventStudyError
        Of the type ``error``, for any other object.
    """
    import pyarrow as pa

    try:
        frame = frame_of(data)
        if isinstance(frame, pa.Table):
            table = _of_arrow(frame, file, "")
        else:
            flat = _flat(frame)
            columns = [_of_series(flat.iloc[:, at]) for at in range(flat.shape[1])]
            table = _named([str(name) for name in flat.columns], columns, file, "", range(2, len(flat) + 2))
    except (TypeError, ValueError, KeyError, AttributeError, pa.ArrowException) as failure:
        raise error(f"events of the type {type(data).__name__} cannot be read; {ACCEPTED_FRAMES}") from failure
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerows([table.names, *zip(*map(texts, table.columns), strict=True)])
    digest = hashlib.sha256(text.getvalue().encode()).hexdigest()
    return replace(table, sha256=digest)


def frame_of(data: Any) -> Any:
    """Return a frame or series of pandas unchanged, and any other frame as a pandas frame or an Arrow table.

    Raises
    ------
    TypeError, ValueError, ArrowException
        If the object is no frame, no dict of columns and no list of dicts, and gives no Arrow data.
    """
    import pandas as pd
    import pyarrow as pa

    if isinstance(data, pd.Series | pd.DataFrame):
        return data
    if isinstance(data, Mapping):
        return pd.DataFrame(dict(data))
    if isinstance(data, list | tuple) and all(isinstance(row, Mapping) for row in data):
        return pd.DataFrame(list(data))
    # A lazy frame, such as a query of polars, is evaluated first.
    return pa.table(data.collect() if hasattr(data, "collect") else data)


def texts(column: Any) -> list[str]:
    """Return the cells of a column as text, missing ones as empty text; whole numbers without a decimal point."""
    if isinstance(column, list):
        return column
    import pyarrow as pa

    if pa.types.is_timestamp(column.type) and column.type.unit == "ns":
        column = column.cast(pa.timestamp("us", column.type.tz), safe=False)
    return [_text(cell) for cell in column.to_pylist()]


def _text(cell: Any) -> str:
    if cell is None or (isinstance(cell, float) and math.isnan(cell)):
        return ""
    if isinstance(cell, list | tuple | set):
        return ";".join(map(str, cell))
    if isinstance(cell, dt.datetime):
        bare = cell.tzinfo is None and cell.time() == dt.time.min
        return cell.date().isoformat() if bare else cell.isoformat()
    if isinstance(cell, float):
        return str(int(cell)) if cell.is_integer() else repr(cell)
    return cell.isoformat() if isinstance(cell, dt.date) else str(cell).strip()


def is_binary(raw: bytes) -> bool:
    """Whether the first bytes of a file are those of a workbook, an archive or a binary table."""
    return raw.startswith((_ZIP, b"\x1f\x8b")) or _is_columnar(raw)


def _is_columnar(raw: bytes) -> bool:
    return raw.startswith((b"PAR1", b"ARROW1", b"<stata_dta>", *_OLD_STATA))


def _columnar(raw: bytes, file: str, error: type[EventStudyError]) -> Any:
    """A Parquet, Feather or Stata file as an Arrow table."""
    import pandas as pd
    import pyarrow as pa
    import pyarrow.feather as feather

    if raw.startswith(b"PAR1"):
        return parquet_table(file, raw, error)
    try:
        if raw.startswith(b"ARROW1"):
            return feather.read_table(pa.BufferReader(raw))
        return pa.Table.from_pandas(pd.read_stata(io.BytesIO(raw), convert_categoricals=True), preserve_index=False)
    except (ValueError, OSError, pa.ArrowException) as failure:
        raise error(
            Problem(f"cannot be read: {str(failure).splitlines()[0]}; save it as 'CSV UTF-8'", file)
        ) from failure


def _large(text: Text) -> Any | None:
    """A large CSV as an Arrow table of texts; None if it must be read row by row to get line numbers."""
    import pyarrow as pa
    import pyarrow.csv as pa_csv

    parse = pa_csv.ParseOptions(delimiter=text.separator, ignore_empty_lines=False)
    names = next(csv.reader([text.content.partition("\n")[0].rstrip("\r")], delimiter=text.separator), [])
    if len(set(names)) < len(names):
        return None
    convert = pa_csv.ConvertOptions(column_types=dict.fromkeys(names, pa.string()), strings_can_be_null=False)
    try:
        source = pa.BufferReader(text.content.encode())
        table = pa_csv.read_csv(source, parse_options=parse, convert_options=convert)
    except pa.ArrowException:
        return None
    return table if table.column_names == names else None


def _excel_rows(raw: bytes, file: str, error: type[EventStudyError]) -> list[tuple[int, list[str]]]:
    """(row, cells) of the first sheet of a workbook that is not empty."""
    import zipfile

    try:
        import openpyxl
    except ImportError as failure:
        text = "is an Excel workbook, for which openpyxl is needed: install it, or save the sheet as 'CSV UTF-8'"
        raise error(Problem(text, file)) from failure
    try:
        book = openpyxl.load_workbook(io.BytesIO(raw), read_only=True, data_only=True)
        for sheet in book.worksheets:
            numbered = enumerate(sheet.iter_rows(values_only=True), 1)
            rows = [(line, cells) for line, row in numbered if any(cells := [_text(cell) for cell in row])]
            if rows:
                width = max(at for at, cell in enumerate(rows[0][1], 1) if cell)
                used = max([width, *(at for _, row in rows for at, cell in enumerate(row, 1) if cell)])
                return [(line, (row + [""] * used)[:used]) for line, row in rows]
    except (ValueError, KeyError, OSError, zipfile.BadZipFile) as failure:
        text = "is an Excel workbook or a zip archive that cannot be opened; save the sheet as 'CSV UTF-8'"
        raise error(Problem(text, file)) from failure
    raise error(Problem("is an Excel workbook without a cell", file))


def _of_records(records: list[tuple[int, list[str]]], file: str, digest: str, encoding: str = "") -> Table:
    header, body = records[0][1], records[1:]
    width = len(header)
    ragged = []
    for line, row in body:
        if surplus := len(row) - width:
            more = "more" if surplus > 0 else "fewer"
            ragged.append(Problem(f"row has {abs(surplus)} cell(s) {more} than the header", file, line))
    whole = [(line, row) for line, row in body if len(row) == width] if ragged else body
    columns = [list(column) for column in zip(*(row for _, row in whole), strict=True)] or [[] for _ in header]
    return _named(header, columns, file, digest, [line for line, _ in whole], tuple(ragged), encoding)


def _of_arrow(table: Any, file: str, digest: str) -> Table:
    columns = [column.combine_chunks() for column in table.columns]
    return _named(table.column_names, columns, file, digest, range(1, table.num_rows + 1))


def _named(
    names: Iterable[str],
    columns: Sequence[Any],
    file: str,
    digest: str,
    lines: Sequence[int],
    ragged: tuple[Problem, ...] = (),
    encoding: str = "",
) -> Table:
    """The table without its column of row numbers."""
    kept = [(name.strip(), column) for name, column in zip(names, columns, strict=True) if not _numbers(name, column)]
    return Table(
        file=file,
        sha256=digest,
        names=tuple(name for name, _ in kept),
        columns=tuple(column for _, column in kept),
        lines=lines,
        ragged=ragged,
        encoding=encoding,
    )


def _numbers(name: str, column: Any) -> bool:
    if name.strip().lower() not in _ROW_NUMBERS:
        return False
    cells = texts(column)
    return cells in ([str(row) for row in range(len(cells))], [""] * len(cells))


def _flat(data: Any) -> Any:
    """A pandas frame with only columns: an index with content becomes columns."""
    import pandas as pd

    index = data.index
    frame = data.to_frame() if isinstance(data, pd.Series) else data.copy()
    if frame.columns.nlevels > 1:
        frame.columns = ["_".join(map(str, name)).strip("_") for name in frame.columns]
    if isinstance(data, pd.Series) and data.name is None:
        frame.columns = ["ticker" if _are_days(index) else "date"]
    if index.nlevels == 1 and pd.api.types.is_numeric_dtype(index.dtype) and index.name is None:
        return frame
    named = {meaning(str(name)) for name in frame.columns}
    levels = [index.get_level_values(level) for level in range(index.nlevels)]
    for at, level in enumerate(levels):
        name = level.name or ("date" if _are_days(level) else "ticker")
        if str(name) in map(str, frame.columns) or (level.name is None and name in named):
            continue
        frame.insert(at, name, level)
    return frame.reset_index(drop=True)


def _are_days(index: Any) -> bool:
    import pandas as pd

    return isinstance(index, pd.DatetimeIndex | pd.PeriodIndex)


def _of_series(column: Any) -> Any:
    """An Arrow array, or texts if the cells have several types."""
    import pandas as pd
    import pyarrow as pa

    if isinstance(column.dtype, pd.PeriodDtype):
        return [_text(None if pd.isna(cell) else str(cell)) for cell in column]
    if pd.api.types.is_object_dtype(column):
        return [_text(cell if isinstance(cell, list | tuple | set) or not pd.isna(cell) else None) for cell in column]
    array = pa.Array.from_pandas(column)
    return array.combine_chunks() if isinstance(array, pa.ChunkedArray) else array
