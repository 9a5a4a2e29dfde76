"""Convert frames of prices of any shape to one table with a header, as in a file."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from eventstudy.errors import PriceError
from eventstudy.readers.containers import frame_of
from eventstudy.readers.headers import meaning

ACCEPTED = (
    "accepted are a long frame (date, ticker, close or adj_close), a wide one (days x tickers), one of yfinance "
    "with two rows of headers, the same with days in the index, and a dict of one frame or series a ticker; of "
    "pandas, polars, pyarrow, duckdb, or what else gives Arrow data"
)


def arrow_of_frame(prices: Any, *, returns: bool = False) -> Any:
    """Return prices as a long or wide Arrow table.

    ``prices`` is a frame of any library with the Arrow PyCapsule interface, or a dict or list of dicts that pandas
    accepts. With ``returns`` its numbers are simple returns.
    """
    import pandas as pd
    import pyarrow as pa

    try:
        frame = _flat(prices)
        if returns:
            frame = _named_returns(frame)
        frame.columns = [str(name) for name in frame.columns]
        for name in [name for name in frame.columns if pd.api.types.is_object_dtype(frame[name])]:
            kind = pd.api.types.infer_dtype(frame[name], skipna=True)
            if kind not in ("string", "date", "empty"):
                frame[name] = frame[name].map(lambda cell: "" if pd.isna(cell) else str(cell))
        return pa.Table.from_pandas(frame, preserve_index=False)
    except (ValueError, TypeError, KeyError, AttributeError, IndexError, pa.ArrowException) as error:
        raise PriceError(f"prices of the type {type(prices).__name__} cannot be read; {ACCEPTED}") from error


def _flat(prices: Any) -> Any:
    """A frame with only columns; the days are one of them."""
    import pandas as pd

    parts = prices.values() if isinstance(prices, Mapping) else ()
    if any(isinstance(part, Mapping) or hasattr(part, "collect") or hasattr(part, "columns") for part in parts):
        return pd.concat([_flat(part).assign(ticker=str(ticker)) for ticker, part in prices.items()], ignore_index=True)
    frame: Any = frame_of(prices)
    if isinstance(frame, pd.Series):
        frame = frame.to_frame("close")
    else:
        frame = frame.copy() if isinstance(frame, pd.DataFrame) else frame.to_pandas()
    if frame.columns.nlevels == 2:
        fields = [{meaning(str(name)) for name in frame.columns.get_level_values(level)} for level in (0, 1)]
        tickers = 1 if fields[0] & {"close", "adj_close"} else 0
        frame = frame.stack(tickers, future_stack=True)
        frame.index = frame.index.set_names([frame.index.names[0] or "date", "ticker"])
        frame.columns.name = None
    named = {meaning(str(name)) for name in frame.columns}
    if frame.index.nlevels == 2:
        levels = [frame.index.get_level_values(level) for level in (0, 1)]
        swapped = _are_days(levels[1]) and not _are_days(levels[0])
        frame = frame.rename_axis(index=["ticker", "date"] if swapped else ["date", "ticker"]).reset_index()
    elif "date" in named:
        frame = frame.reset_index(drop=True)
    elif isinstance(frame.index, pd.RangeIndex):
        raise ValueError("no days")
    else:
        frame = frame.rename_axis(index="date").reset_index()
    for name in frame.columns:
        if meaning(str(name)) == "date":
            frame[name] = _whole_days(frame[name])
    return frame


def _named_returns(frame: Any) -> Any:
    """A long frame with the numbers in a column named as returns."""
    means = {str(name): meaning(str(name)) for name in frame.columns}
    if "ticker" not in means.values():
        day, *_ = (name for name, what in means.items() if what == "date")
        frame = frame.melt(id_vars=day, var_name="ticker", value_name="return").dropna(subset="return")
    elif "return" not in means.values():
        frame = frame.rename(columns={name: "return" for name, what in means.items() if what in ("close", "adj_close")})
    return frame


def _are_days(index: Any) -> bool:
    import pandas as pd

    return isinstance(index, (pd.DatetimeIndex, pd.PeriodIndex)) or meaning(str(index.name)) == "date"


def _whole_days(column: Any) -> Any:
    """Days without hours, each in its own time zone; other values are not changed."""
    if hasattr(column.dtype, "freq"):
        column = column.dt.to_timestamp(how="end")
    if column.dtype.kind == "M":
        column = column.dt.tz_localize(None) if column.dt.tz is not None else column
        return column.dt.normalize()
    return column
