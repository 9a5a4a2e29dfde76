"""Read text files of any program: encoding, separator, records with their line numbers."""

from __future__ import annotations

import csv
import errno
import gzip
import io
import itertools
import re
import stat
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eventstudy.errors import EventStudyError, Problem

#: First bytes of files that are no text, and advice for each.
NOT_TEXT = {
    b"PK\x03\x04": "an Excel workbook or another zip archive; save it as 'CSV UTF-8'",
    b"PAR1": "a Parquet file; give it the ending .parquet",
    b"\xd0\xcf\x11\xe0": "an old Excel workbook; save it as 'CSV UTF-8'",
    b"%PDF": "a PDF",
}
_GZIP = b"\x1f\x8b"
BYTE_ORDER_MARKS = {b"\xff\xfe": "utf-16", b"\xfe\xff": "utf-16"}
SEPARATORS = ",;\t|"
_HIGH = re.compile(rb"[\x80-\xff]+")


def read_file(path: Path, error: type[EventStudyError], *, advice: str = "", most: int | None = None) -> bytes:
    """Return the bytes of a file, unpacked if it is a gzip archive; ``most`` is the largest accepted number.

    Raises
    ------
    EventStudyError
        Of the type ``error``, if it cannot be read, is a pipe, a device or a damaged archive, has more than ``most``
        bytes, or does not fit into memory.
    """
    try:
        refuse_endless(path, error)
        with path.open("rb") as file:
            is_packed = file.read(len(_GZIP)) == _GZIP
        size = path.stat().st_size
        if most is not None and size > most:
            raise error(Problem(f"is {size / 2**20:.0f} MiB; accepted are {most // 2**20} MiB", str(path)))
        with gzip.open(path) if is_packed else path.open("rb") as file:
            raw: bytes = file.read(-1 if most is None else most + 1)
        if most is not None and len(raw) > most:
            raise error(Problem(f"unpacks to more than the accepted {most // 2**20} MiB", str(path)))
        return raw
    except (gzip.BadGzipFile, EOFError, zlib.error) as failure:
        raise error(Problem("is a damaged gzip archive; get it again", str(path))) from failure
    except OSError as failure:
        raise error(Problem(f"cannot be read: {_why(failure)}{advice}", str(path))) from failure
    except MemoryError as failure:
        text = "does not fit into memory; give a file with the study's tickers alone"
        raise error(Problem(text, str(path))) from failure


def refuse_endless(path: Path, error: type[EventStudyError]) -> None:
    """Raise for a pipe or a device: reading one may never end."""
    mode = path.stat().st_mode
    if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
        raise error(Problem("is a pipe or a device, not a file; save its output in a file first", str(path)))


def _why(failure: OSError) -> str:
    if failure.errno in (errno.EMFILE, errno.ENFILE):
        return "too many files are open; end other programs, or raise the limit with 'ulimit -n'"
    return failure.strerror or "unreadable"


@dataclass(frozen=True, slots=True)
class Text:
    """A decoded file, with Python's name of its ``encoding`` and the ``separator`` of cells."""

    content: str
    encoding: str
    separator: str


def read_text(raw: bytes, file: str, error: type[EventStudyError]) -> Text:
    """Decode a file and detect the separator of its cells.

    Raises
    ------
    EventStudyError
        Of the type ``error``, if the file is no text.
    """
    for magic, kind in NOT_TEXT.items():
        if raw.startswith(magic):
            raise error(Problem(f"is not a CSV file but {kind}", file))
    encoding = encoding_of(raw)
    try:
        content = raw.decode(encoding)
    except UnicodeDecodeError as failure:
        line = raw.count(b"\n", 0, failure.start) + 1
        raise error(Problem("is not UTF-8 text; save it as 'CSV UTF-8'", file, line)) from failure
    if "\x00" in content:
        raise error(Problem("contains NUL bytes and is not a text file; save it as 'CSV UTF-8'", file))
    return Text(content, encoding, separator_of(content))


def wrong_cells(
    column: str,
    cells: Sequence[object] | NDArray[Any],
    wrong: Mapping[int, str],
    file: str,
    lines: Sequence[int] | NDArray[np.int64] = (),
) -> list[Problem]:
    """Return a `Problem` for each wrong cell.

    ``lines`` are the line numbers of the file, by index; without them no line is named.
    """
    return [
        Problem(f"{column} {str(cells[at]).strip()!r} {why}", file, int(lines[at]) if len(lines) else None)
        for at, why in wrong.items()
    ]


def encoding_of(raw: bytes) -> str:
    """Return the encoding of a file's bytes.

    A file that is not UTF-8 is GB18030 if its bytes above 127 come in pairs, as in Chinese text, and Windows-1252 if
    they are single, as umlauts and accents are.
    """
    for mark, name in BYTE_ORDER_MARKS.items():
        if raw.startswith(mark):
            return name
    if raw[1:2] == b"\x00" and raw[3:4] == b"\x00":
        return "utf-16-le"
    try:
        raw.decode("utf-8")
    except UnicodeDecodeError:
        runs = [len(run) for run in _HIGH.findall(raw)]
        even = sum(length % 2 == 0 for length in runs)
        order = ("gb18030", "cp1252") if 2 * even > len(runs) else ("cp1252", "gb18030")
        return next((name for name in order if _decodes(raw, name)), "utf-8")
    return "utf-8-sig"


def _decodes(raw: bytes, encoding: str) -> bool:
    try:
        raw.decode(encoding)
    except UnicodeDecodeError:
        return False
    return True


def separator_of(content: str) -> str:
    """Return the most frequent separator of the first line that has one; a comma if there is none."""
    for line in itertools.islice(io.StringIO(content), 20):
        outside = re.sub(r'"[^"]*"', "", line)
        counts = {mark: outside.count(mark) for mark in SEPARATORS}
        if any(counts.values()):
            return max(counts, key=lambda mark: counts[mark])
    return ","


def records_of(text: Text, file: str, error: type[EventStudyError]) -> list[tuple[int, list[str]]]:
    """Return (line, cells) of every row that is not blank; comment lines ("# source …") above the header are left out.

    Raises
    ------
    EventStudyError
        Of the type ``error``, if a quote is not closed or the file is empty.
    """
    source = io.StringIO(text.content, newline="")
    reader = csv.reader(source, delimiter=text.separator, strict=True)
    records: list[tuple[int, list[str]]] = []
    start = 1
    try:
        for record in reader:
            if any(cell.strip() for cell in record):
                records.append((start, record))
            start = reader.line_num + 1
    except csv.Error as failure:
        raise error(Problem(f"is not a CSV file: {failure}; close the quotes", file, reader.line_num)) from failure
    if not records:
        raise error(Problem("is empty; the first line must name the columns", file))
    while len(records) > 1 and records[0][1][0].startswith("#") and len(records[0][1]) < len(records[1][1]):
        del records[0]
    return records
