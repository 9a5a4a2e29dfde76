"""Columns of Arrow tables, read with each different cell once. Unlike `sheets`, this module loads pyarrow."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from eventstudy.readers.dates import NO_DAY, Days, parse_days


def spellings(column: pa.Array) -> tuple[list[str], NDArray[np.int64]]:
    """Return the distinct cells of a column as text (empty for null), and the index of the cell of each row."""
    cells = pc.dictionary_encode(pc.fill_null(pc.cast(column, pa.string()), ""))
    return cells.dictionary.to_pylist(), cells.indices.to_numpy(zero_copy_only=False)


def day_column(column: pa.Array) -> Days:
    """Read a column of days: dates, timestamps, or anything that `parse_days` reads.

    A timestamp counts as the day in its own time zone. If it has a time of day, it is listed in ``wrong``, with its
    day.
    """
    if pa.types.is_timestamp(column.type) and column.type.tz:
        column = pc.local_timestamp(column)
    if pa.types.is_date(column.type) or pa.types.is_timestamp(column.type):
        stamps = column.to_numpy(zero_copy_only=False)
        days = stamps.astype("datetime64[D]")
        return Days(days, dict.fromkeys(np.flatnonzero(~(days == stamps)).tolist(), NO_DAY))
    spelled, place = spellings(column)
    read = parse_days(spelled)
    rows = np.flatnonzero(np.isin(place, list(read.wrong))).tolist() if read.wrong else []
    return Days(read.days[place], {row: read.wrong[int(place[row])] for row in rows})
