"""Price limits, ticks, sessions without limits and rules for sales, computed from the facts in `exchange`."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from eventstudy.errors import ConfigError, nearest
from eventstudy.exchanges.exchange import Dated, PriceLimit, Selling, boards, exchanges

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

#: Tolerance of a rounding, in ticks, because products of prices and ratios have rounding errors.
_ROUNDING = 1e-6
#: Tick sizes of an unknown board.
_CENT = ((np.inf, 0.01),)


@dataclass(frozen=True, slots=True)
class Locks:
    """Days with a close at the price limit, and first sessions of a listing without a limit, shape (T,) each."""

    down: Bools
    up: Bools
    no_limit: Bools


def board_of(ticker: str, mic: str, *, peer: str = "", market: str = "") -> str:
    """Return the board from the first available of: the peer's entry, the ticker's digits, the market's entry, the MIC.

    An exchange without a board gives ``""``; its limits are unknown.
    """
    for stated in (peer, market):
        if stated and stated not in boards():
            raise ConfigError(f"{ticker}: board {stated!r} is unknown; {nearest(stated, boards())}")
    known = exchanges().get(mic)
    return peer or (known.board_of(ticker) if known else "") or market or (known.board if known else "")


def tick_size(board: str, price: ArrayLike, days: NDArray[np.datetime64] | None = None) -> Floats:
    """Return the smallest price step at ``price``, same shape.

    ``days`` has the shape of ``price``. Without it the newest table is used; for days before the first known table,
    the first one is used.
    """
    prices = np.asarray(price, dtype=np.float64)
    known = boards()[board].ticks if board in boards() else ()
    if not known:
        return _step(_CENT, prices)
    if days is None or len(known) == 1:
        return _step(known[-1].steps, prices)
    found = _step(known[0].steps, prices)
    for table in known[1:]:
        found = np.where(days >= np.datetime64(table.first, "D"), _step(table.steps, prices), found)
    return found


def limit_prices(
    board: str, day: dt.date, previous_close: float, *, days_listed: int | None = None
) -> tuple[float, float]:
    """Return the lowest and the highest price allowed on ``day``, rounded as the exchange rounds.

    Parameters
    ----------
    previous_close
        The exchange's reference price: the last close, lowered on an ex-date.
    days_listed
        1 on the first session; None when the listing is old enough not to matter.

    Returns
    -------
    down, up
        ``(0.0, inf)`` without a limit, ``(nan, nan)`` if no rule is known.
    """
    if board not in boards():
        raise ConfigError(f"board {board!r} is unknown; {nearest(board, boards())}")
    days = np.array([day], dtype="datetime64[D]")
    listed = None if days_listed is None else np.array([days_listed])
    down, up = limit_bands(board, days, np.array([previous_close]), days_listed=listed)
    return float(down[0]), float(up[0])


def limit_bands(
    board: str, days: NDArray[np.datetime64], previous: Floats, *, days_listed: NDArray[np.int64] | None = None
) -> tuple[Floats, Floats]:
    """Return the limits of `limit_prices` for many days of one share, shape (T,) each.

    Notes
    -----
    Shanghai, Shenzhen and Beijing round half up to the tick and move at least one tick. Taipei takes
    the last tick inside the limit, or one tick if the limit is smaller. Tokyo adds and subtracts an amount that
    depends on the base price. After two locked days without trades it widens one side to four times the amount; daily
    prices do not show this, so it is ignored here.
    """
    previous = np.asarray(previous, dtype=np.float64)
    down, up = np.full(len(days), np.nan), np.full(len(days), np.nan)
    for rule in _rules(board):
        here = _within(rule, days)
        if here.any():
            down[here], up[here] = _band(rule, previous[here], days[here])
    free = free_sessions(board, days, days_listed)
    return np.where(free, 0.0, down), np.where(free, np.inf, up)


def free_sessions(board: str, days: NDArray[np.datetime64], days_listed: NDArray[np.int64] | None) -> Bools:
    """Return which days belong to the first sessions of a listing that have no limit, shape (T,)."""
    free = np.zeros(len(days), dtype=bool)
    if days_listed is None:
        return free
    for rule in boards()[board].free_sessions if board in boards() else ():
        free |= _within(rule, days) & (days_listed >= 1) & (days_listed <= rule.sessions)
    return free


def limit_fraction(board: str, days: NDArray[np.datetime64]) -> Floats:
    """Return the limit as a fraction of the previous close; NaN without a limit, or if it is unknown or in yen."""
    found = np.full(len(days), np.nan)
    for rule in _rules(board):
        if rule.kind == "fraction":
            found[_within(rule, days)] = rule.limit
    return found


def in_yen(board: str) -> bool:
    """Return whether the board's limit is an amount of money, which requires traded prices."""
    return any(rule.kind == "amounts" for rule in _rules(board))


def locked(
    board: str,
    days: NDArray[np.datetime64],
    close: Floats,
    previous: Floats,
    *,
    high: Floats | None = None,
    low: Floats | None = None,
    days_listed: NDArray[np.int64] | None = None,
    slack: Floats | float = 0.0,
) -> Locks:
    """Return the days whose close is at the limit.

    Parameters
    ----------
    close, previous : (T,) float
        The close and the reference price it is compared with; NaN is never locked.
    high, low : (T,) float, optional
        If given, a locked close must also be the high or low of the day.
    slack : (T,) float or float
        0 for traded prices, which must be within half a tick of the limit. For adjusted and rounded prices, the
        tolerance as a fraction of ``previous``; it is at least one and a half ticks.

    Notes
    -----
    A close beyond the limit is an error in the data or an exception of the exchange, never a lock.
    """
    down_price, up_price = limit_bands(board, days, previous, days_listed=days_listed)
    ticks = np.where(np.asarray(slack) > 0, 1.5, 0.5 + _ROUNDING)
    with np.errstate(invalid="ignore"):
        reach = np.maximum(tick_size(board, close, days) * ticks, slack * previous)
        down, up = _at(close, down_price, low, reach), _at(close, up_price, high, reach)
    return Locks(down, up, free_sessions(board, days, days_listed))


def _at(close: Floats, limit: Floats, extreme: Floats | None, reach: Floats) -> Bools:
    at: Bools = np.isfinite(limit) & (limit > 0) & (np.abs(close - limit) <= reach)
    return at if extreme is None else at & ~(np.abs(close - extreme) > reach)


def sessions_before_sale(board: str, day: dt.date) -> int:
    """Return how many sessions must pass before a share bought on ``day`` can be sold; 1 is T+1."""
    return trade_rule(board, day).sessions_before_sale


def trade_rule(board: str, day: dt.date) -> Selling:
    """Return the rule for sales on a board; `ConfigError` if none is known."""
    for rule in boards()[board].selling if board in boards() else ():
        if rule.holds(day):
            return rule
    raise ConfigError(f"board {board!r} on {day}: no rule for selling is known; {nearest(board, boards())}")


def _within(rule: Dated, days: NDArray[np.datetime64]) -> Bools:
    inside: Bools = days >= np.datetime64(rule.first, "D")
    if rule.until is not None:
        inside &= days <= np.datetime64(rule.until, "D")
    return inside


def _rules(board: str) -> tuple[PriceLimit, ...]:
    """Rules of a board in the order in which later ones win."""
    return boards()[board].limits if board in boards() else ()


def _band(rule: PriceLimit, previous: Floats, days: NDArray[np.datetime64]) -> tuple[Floats, Floats]:
    if rule.kind == "none":
        return np.zeros(previous.shape), np.full(previous.shape, np.inf)
    if rule.kind == "amounts":
        amount = _step(rule.amounts, previous)
        return np.maximum(previous - amount, tick_size(rule.board, previous, days)), previous + amount
    down: Floats = previous * (1.0 - rule.limit)
    up: Floats = previous * (1.0 + rule.limit)
    step = tick_size(rule.board, previous, days)
    if boards()[rule.board].rounding == "inside":
        down, up = _inside(rule.board, down, days, np.ceil), _inside(rule.board, up, days, np.floor)
    else:
        down, up = _half_up(down, step), _half_up(up, step)
    small = step * (1 - _ROUNDING)
    down = np.where(previous - down < small, previous - step, down)
    up = np.where(up - previous < small, previous + step, up)
    lowest: Floats = np.maximum(down, step)
    # Six decimals are finer than any tick and remove rounding errors.
    return np.round(lowest, 6), np.round(up, 6)


def _half_up(price: Floats, step: Floats) -> Floats:
    rounded: Floats = np.floor(price / step + 0.5 + _ROUNDING) * step
    return rounded


def _inside(board: str, price: Floats, days: NDArray[np.datetime64], towards: np.ufunc) -> Floats:
    step = tick_size(board, price, days)
    inward = -_ROUNDING if towards is np.ceil else _ROUNDING
    rounded: Floats = towards(price / step + inward) * step
    return rounded


def _step(table: Sequence[tuple[float, float]], price: Floats) -> Floats:
    bounds, steps = np.array(table).T
    where = np.minimum(np.searchsorted(bounds, price, side="right"), len(steps) - 1)
    return np.asarray(steps[where], dtype=np.float64)
