"""Detect long lists, which are studied by sums over dates; pyarrow is loaded only if a file may be one."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from eventstudy.config import IN_MEMORY
from eventstudy.errors import EventsError
from eventstudy.readers.containers import frame_of, is_binary, table_of_bytes
from eventstudy.readers.event_columns import event_columns
from eventstudy.readers.text import read_file

#: Largest length of a header line, in bytes.
_LONGEST_HEADER = 2**20


def is_long(source: Any) -> bool:
    """Whether a file or frame is a list of tickers and dates with more firm-events than fit in memory."""
    try:
        if not isinstance(source, Path):
            frame = frame_of(source)
            names = getattr(frame, "column_names", None) or list(frame.columns)
            return len(frame) > IN_MEMORY and _is_list(list(map(str, names)))
        # An event takes more than a byte even if compressed, so most files need not be opened.
        return source.is_file() and source.stat().st_size >= IN_MEMORY and _holds_many(source)
    except (OSError, ValueError, TypeError, AttributeError):
        return False


def _holds_many(path: Path) -> bool:
    import pyarrow as pa
    import pyarrow.csv as pa_csv
    import pyarrow.parquet as pq

    try:
        if path.suffix == ".parquet":
            file = pq.ParquetFile(path)
            return file.metadata.num_rows > IN_MEMORY and _is_list(file.schema_arrow.names)
        with path.open("rb") as stream:
            header = stream.readline(_LONGEST_HEADER)
            if not is_binary(header):
                if not _is_list(pa_csv.read_csv(pa.BufferReader(header)).schema.names):
                    return False
                rows, last = 0, b"\n"
                while part := stream.read(2**20):
                    rows, last = rows + part.count(b"\n"), part[-1:]
                return rows + (last != b"\n") > IN_MEMORY
        table = table_of_bytes(read_file(path, EventsError), str(path), EventsError)
        return len(table.lines) > IN_MEMORY and _is_list(table.names)
    except (pa.ArrowException, EventsError):
        return False


def _is_list(names: Sequence[str]) -> bool:
    return event_columns(names, ("tickers", "timestamp")).known.keys() == {"tickers", "timestamp"}
