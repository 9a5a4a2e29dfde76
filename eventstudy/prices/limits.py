"""Days on which a share closed at its exchange's price limit, from daily bars."""

from __future__ import annotations

import datetime as dt

import numpy as np
from numpy.typing import NDArray

from eventstudy.exchanges.rules import Locks, in_yen, locked, tick_size
from eventstudy.prices.table import PriceSeries

#: Tolerance for adjusted prices, which are rounded twice, as a share of the last close.
ADJUSTED_SLACK = 0.0015
#: Tolerance for stored prices, as a share of a tick.
_OFF_TICK = 0.02


def limit_days(
    item: PriceSeries, grid: NDArray[np.datetime64], board: str, *, listed: dt.date | None = None
) -> tuple[Locks, bool]:
    """Find the sessions of ``grid`` (T,) with a close at the limit, and whether adjusted prices were used.

    ``listed`` is the first day of trading; it counts only if the series does not start before it,
    since a date of membership may be later than the listing.

    Notes
    -----
    The limit is computed from the last close, lowered by the exchange on an ex-date: ``close * last adjusted close /
    adjusted close``. If the file has no traded prices, adjusted ones are used with `ADJUSTED_SLACK`. A limit in yen
    depends on the level of the traded price, so without traded prices only days after the last adjustment can match.
    """
    values = {name: item.on(grid, name) for name in ("close", "high", "low", "adj_close")}
    close, adjusted = values["close"], values["adj_close"]
    raw = np.isfinite(close) & has_traded_prices(item)
    price = np.where(np.isfinite(close), close, adjusted)
    previous = np.full(len(grid), np.nan)
    previous[1:] = price[1:] * adjusted[:-1] / adjusted[1:]
    with np.errstate(invalid="ignore"):
        ticks = price / tick_size(board, price, grid)
        on_tick = np.abs(ticks - np.round(ticks)) < _OFF_TICK
    exact = (raw & on_tick) | in_yen(board)
    locks = locked(
        board,
        grid,
        price,
        previous,
        high=values["high"],
        low=values["low"],
        days_listed=_days_listed(item, grid, listed),
        slack=np.where(exact, 0.0, ADJUSTED_SLACK),
    )
    guessed = not raw.any() if in_yen(board) else np.any((locks.up | locks.down) & ~exact)
    return locks, bool(guessed)


def has_traded_prices(item: PriceSeries) -> bool:
    """Return whether closes differ from adjusted closes on any day, so that they are traded prices."""
    both = np.isfinite(item.close) & np.isfinite(item.adj_close)
    return bool(np.any(np.abs(item.adj_close[both] / item.close[both] - 1.0) > 1e-6))


def _days_listed(item: PriceSeries, grid: NDArray[np.datetime64], listed: dt.date | None) -> NDArray[np.int64] | None:
    if listed is None or not len(grid) or not len(item.dates):
        return None
    first = np.datetime64(listed, "D")
    if item.dates[0] < first or first < grid[0]:
        return None
    return np.arange(len(grid)) - int(np.searchsorted(grid, first)) + 1
