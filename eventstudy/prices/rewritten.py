"""Differences between two snapshots: prices that a provider has changed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from operator import attrgetter
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from eventstudy.prices.snapshot import open_snapshot, read_series
from eventstudy.prices.table import PriceSeries

#: Yahoo's adjusted closes jitter by about 1e-7 between two calls; a return that moved more was rewritten.
TOLERANCE = 1e-6

Kind = Literal["return", "new", "absent"]


@dataclass(frozen=True, slots=True)
class Rewritten:
    """One day of one ticker that two snapshots tell differently.

    ``before`` and ``after`` are returns of adjusted closes; for a ``new`` or ``absent`` day the
    adjusted close itself, NaN in the snapshot without that day. A ticker that only one of them has
    comes with an empty ``day``.
    """

    ticker: str
    day: str
    kind: Kind
    before: float
    after: float


def diff_snapshots(before: Path, after: Path, *, tolerance: float = TOLERANCE) -> tuple[Rewritten, ...]:
    """Return every difference, by ticker and day.

    Returns are compared over the days that both have, so that one missing row is told once.
    """
    old, new = open_snapshot(before), open_snapshot(after)
    held = [{t for t, entry in snapshot.tickers.items() if entry.file} for snapshot in (old, new)]
    rows: list[Rewritten] = []
    for ticker in sorted(held[0] | held[1]):
        if ticker not in held[0] or ticker not in held[1]:
            kind: Kind = "new" if ticker in held[1] else "absent"
            rows.append(Rewritten(ticker, "", kind, np.nan, np.nan))
            continue
        found = _differences(read_series(old, ticker), read_series(new, ticker), tolerance)
        rows += sorted(found, key=attrgetter("day"))
    return tuple(rows)


def _differences(old: PriceSeries, new: PriceSeries, tolerance: float) -> Iterator[Rewritten]:
    common, here, there = np.intersect1d(old.dates, new.dates, assume_unique=True, return_indices=True)
    before, after = _returns(old.adj_close[here]), _returns(new.adj_close[there])
    moved = ~np.isclose(before, after, rtol=0.0, atol=tolerance, equal_nan=True)
    for at in np.flatnonzero(moved):
        yield Rewritten(old.ticker, str(common[at + 1]), "return", float(before[at]), float(after[at]))
    for at in np.flatnonzero(~np.isin(new.dates, common)):
        yield Rewritten(old.ticker, str(new.dates[at]), "new", np.nan, float(new.adj_close[at]))
    for at in np.flatnonzero(~np.isin(old.dates, common)):
        yield Rewritten(old.ticker, str(old.dates[at]), "absent", float(old.adj_close[at]), np.nan)


def _returns(price: NDArray[np.float64]) -> NDArray[np.float64]:
    change: NDArray[np.float64] = price[1:] / price[:-1] - 1.0
    return change
