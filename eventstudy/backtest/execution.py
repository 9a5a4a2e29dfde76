"""What becomes of an order on its exchange: filled or not, sold when and why, and what each day brings."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from eventstudy.messages import say

from .costs import CostTable
from .rule import Answer, Decision, Order, Rule
from .view import Floats, Tape

AT_CLOSE, AT_OPEN, AT_STOP = "close", "open", "stop"


@dataclass(frozen=True, slots=True)
class Trade:
    """One order and its end. Money is in the base currency, returns are shares of ``value``.

    Attributes
    ----------
    value
        What was bought, in the base currency; 0 where nothing was filled.
    rows : (D,)
        Rows of the exchange's sessions from the entry to the exit.
    gross_path, hedge_path, cost_path : (D,)
        Profit and loss of the long leg, of the index leg, and costs (positive), session by session.
    exit_row
        -1 where nothing was bought.
    blocked
        What kept the order from being filled, cut it down or held it back, in words.
    room
        Largest capital at which the order would still have met the capacity limit.
    """

    shock_id: str
    label: str
    ticker: str
    mic: str
    currency: str
    entry_row: int
    exit_row: int
    entry_price: float
    exit_price: float
    value: float
    beta: float
    rows: NDArray[np.int64]
    gross_path: Floats
    hedge_path: Floats
    cost_path: Floats
    why_entered: str
    why_left: str
    blocked: str
    room: float
    decided: int
    left: int

    @property
    def filled(self) -> bool:
        """Whether anything was bought."""
        return self.exit_row >= 0

    @property
    def gross(self) -> float:
        """Profit of the long leg."""
        return float(self.gross_path.sum())

    @property
    def hedged(self) -> float:
        """Profit of both legs before costs."""
        return float(self.gross_path.sum() + self.hedge_path.sum())

    @property
    def cost(self) -> float:
        """All costs, positive."""
        return float(self.cost_path.sum())

    @property
    def net(self) -> float:
        """Profit of both legs after costs."""
        return self.hedged - self.cost

    @property
    def adverse_excursion(self) -> float:
        """Deepest loss of both legs before costs at any close, as a share of ``value``; 0 or negative."""
        if not self.filled or not self.value:
            return float("nan")
        path = np.cumsum(self.gross_path + self.hedge_path)
        return float(min(path.min(), 0.0) / self.value)


def execute(
    order: Order, weight: float, rule: Rule, decision: Decision, tape: Tape, costs: CostTable,
    answers: Sequence[Answer] = (),
) -> Trade:  # fmt: skip
    """Carry out one order of ``weight`` units of capital.

    Notes
    -----
    A purchase needs a seller: at a close locked limit-up, or on a session without trade, nothing is
    filled. A sale needs a buyer: it waits while the close is locked limit-down or nobody trades, and
    for as many sessions after the purchase as the exchange's settlement asks (A-shares: T+1).
    """
    entry, notes = _entry_row(order, rule, decision, tape)
    wanted = weight * rule.capital
    allowed = rule.capacity_share * order.adv * _fx(tape, order.row) if np.isfinite(order.adv) else np.inf
    if wanted > allowed:
        notes = [*notes, f"cut to {rule.capacity_share:.0%} of the value traded in {rule.adv_days} days"]
    if not np.isfinite(order.adv):
        notes = [*notes, "volume unknown: no impact charged, no capacity known"]
    room = allowed / weight if np.isfinite(order.adv) and weight > 0 else float("nan")
    why = f"fell {order.car:+.1%} in [{rule.signal[0]},{rule.signal[1]}], portfolio {decision.car:+.1%}"
    if entry is None:
        return _unfilled(order, decision, tape, why, notes, room)
    value = min(wanted, allowed)
    return _held(order, rule, decision, tape, costs, answers, entry, value, why, notes, room)


def _fx(tape: Tape, row: int) -> float:
    """Last known rate at or before a session."""
    known = tape.fx[: row + 1][np.isfinite(tape.fx[: row + 1])]
    return float(known[-1]) if len(known) else float("nan")


def _entry_row(order: Order, rule: Rule, decision: Decision, tape: Tape) -> tuple[int | None, list[str]]:
    """First session on which the order is filled, None where it never is, and what stood in its way."""
    struck = tape.opens if rule.entry_at == AT_OPEN else tape.closes
    row, notes = order.row, []
    while row < len(tape) and struck[row] <= decision.time:
        row += 1
    for attempt in range(rule.retry + 1):
        at = row + attempt
        if at >= len(tape):
            notes.append("prices end before the entry")
            break
        obstacle = _no_purchase(order.column, at, rule, tape)
        if not obstacle:
            return at, notes
        notes.append(f"{obstacle} on {tape.day(at)}")
    return None, notes


def _no_purchase(column: int, row: int, rule: Rule, tape: Tape) -> str:
    if not np.isfinite(tape.price[row, column]):
        return "no fill: no trade"
    if rule.entry_at == AT_OPEN:
        if not np.isfinite(tape.open[row, column]):
            return "no fill: opening price unknown"
        # Locked at the open as well when the day had one price only.
        one_price = tape.locked_up[row, column] and tape.open[row, column] >= tape.close[row, column]
        return "no fill: limit-up at the open" if one_price else ""
    return "no fill: limit-up at the close" if tape.locked_up[row, column] else ""


def _unfilled(
    order: Order, decision: Decision, tape: Tape, why: str, notes: Sequence[str], room: float
) -> Trade:
    nothing = np.zeros(0)
    row = min(order.row, len(tape) - 1)
    return Trade(
        decision.shock_id, decision.label, tape.tickers[order.column], order.mic, tape.currency, row, -1,
        float("nan"), float("nan"), 0.0, order.beta, np.zeros(0, dtype=np.int64), nothing, nothing, nothing,
        why, "", "; ".join(notes), room, decision.time, decision.time,
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Exit:
    """Where a position ends: the session, at which of its prices, and why."""

    row: int
    at: str
    why: str
    notes: tuple[str, ...] = ()


def _held(
    order: Order, rule: Rule, decision: Decision, tape: Tape, costs: CostTable, answers: Sequence[Answer],
    entry: int, value: float, why: str, notes: Sequence[str], room: float,
) -> Trade:  # fmt: skip
    column = order.column
    growth = _growth(tape, column, entry, rule.entry_at)
    index = _index_growth(tape, entry)
    end = _exit(order, rule, tape, answers, entry, growth)
    last = end.row - entry
    levels = growth[: last + 1].copy()
    levels[last] = _sale_level(rule, tape, column, end, entry, growth)
    rows = np.arange(entry, end.row + 1)
    fx = tape.fx[rows] / _fx(tape, entry)
    gross = np.diff(levels, prepend=1.0) * value * fx
    hedge = -order.beta * np.diff(index[: last + 1], prepend=1.0) * value * fx
    cost = _costs(order, rule, tape, costs, entry, end, value, levels[last], index[last])
    exit_price = _quoted(tape, column, end, levels[last] / growth[last])
    return Trade(
        decision.shock_id, decision.label, tape.tickers[column], order.mic, tape.currency, entry, end.row,
        _entry_price(tape, column, entry, rule), exit_price, value, order.beta, rows, gross, hedge, cost * fx,
        why, end.why, "; ".join((*notes, *end.notes)), room, decision.time, int(tape.closes[end.row]),
    )  # fmt: skip


def _growth(tape: Tape, column: int, entry: int, at: str) -> Floats:
    """Value of one unit bought, at each close from the entry on; unchanged while nobody trades."""
    price = tape.price[entry:, column]
    start = price[0]
    if at == AT_OPEN:
        start = price[0] * tape.open[entry, column] / tape.close[entry, column]
    return _carried(price / start)


def _index_growth(tape: Tape, entry: int) -> Floats:
    """Level of the index at each close against that of the entry session's.

    The index has closes only: with a purchase at the open its leg starts at that session's close.
    """
    known = tape.index[: entry + 1][np.isfinite(tape.index[: entry + 1])]
    return _carried(tape.index[entry:] / known[-1])


def _carried(values: Floats) -> Floats:
    there = np.isfinite(values)
    last = np.maximum.accumulate(np.where(there, np.arange(len(values)), 0))
    carried: Floats = np.where(there[last], values[last], 1.0)
    return carried


def _exit(
    order: Order, rule: Rule, tape: Tape, answers: Sequence[Answer], entry: int, growth: Floats
) -> _Exit:
    """Find where the position ends: what comes first of clarification, stop, and horizon, then who buys."""
    planned, why = _planned(order, rule, tape, answers, entry)
    stop = _stop_row(order.column, rule, tape, entry, min(planned, len(tape) - 1), growth)
    at, notes = AT_CLOSE, list[str]()
    if stop is not None:
        planned, why, at = stop, say("left.stop", loss=rule.stop), AT_STOP
    free = entry + int(tape.settle[order.column])
    if planned < free:
        notes.append(f"sale held back from {tape.day(planned)} by T+{int(tape.settle[order.column])}")
        planned, at = free, AT_OPEN
    obstacles: list[str] = []
    for row in range(planned, len(tape)):
        obstacle = _no_sale(order.column, row, tape)
        if not obstacle:
            notes += _summed(obstacles)
            return _Exit(row, at if row == planned else AT_CLOSE, why, tuple(notes))
        obstacles.append(f"{obstacle} on {tape.day(row)}")
    row = entry + int(np.flatnonzero(np.isfinite(tape.price[entry:, order.column]))[-1])
    return _Exit(row, AT_CLOSE, say("left.prices_end"), tuple(notes))


def _summed(obstacles: Sequence[str]) -> list[str]:
    more = f" and {len(obstacles) - 1} more session(s)" if len(obstacles) > 1 else ""
    return [obstacles[0] + more] if obstacles else []


def _planned(
    order: Order, rule: Rule, tape: Tape, answers: Sequence[Answer], entry: int
) -> tuple[int, str]:
    bought = int(tape.opens[entry] if rule.entry_at == AT_OPEN else tape.closes[entry])
    planned = max(order.horizon_row, entry + 1)
    why = say("left.horizon", day=rule.horizon)
    if not rule.clarification_exit:
        return planned, why
    for answer in answers:
        row = answer.day0.get(order.mic, len(tape)) + 1
        if answer.known > bought and entry < row < planned:
            planned, why = row, say("left.clarification", event=answer.event_id)
    return planned, why


def _stop_row(
    column: int, rule: Rule, tape: Tape, entry: int, last: int, growth: Floats
) -> int | None:
    """First session whose low reaches the stop; an entry at the close cannot be stopped that day."""
    if rule.stop <= 0:
        return None
    for row in range(entry + (rule.entry_at == AT_CLOSE), last + 1):
        if _within_day(tape.low, tape, column, row) * growth[row - entry] <= 1.0 - rule.stop:
            return row
    return None


def _within_day(prices: Floats, tape: Tape, column: int, row: int) -> float:
    """Another price of the day over its close; 1 where it is not known."""
    ratio = float(prices[row, column] / tape.close[row, column])
    return ratio if np.isfinite(ratio) else 1.0


def _no_sale(column: int, row: int, tape: Tape) -> str:
    if not np.isfinite(tape.price[row, column]):
        return "no sale: no trade"
    return "no sale: limit-down at the close" if tape.locked_down[row, column] else ""


def _sale_level(rule: Rule, tape: Tape, column: int, end: _Exit, entry: int, growth: Floats) -> float:
    """Value of one unit at the sale.

    That is the close; for a stop its level, or the open where that lies below; for a stop that
    settlement held back the first open after it.
    """
    close = float(growth[end.row - entry])
    if end.at == AT_CLOSE:
        return close
    opened = close * _within_day(tape.open, tape, column, end.row)
    if end.at == AT_OPEN:
        return opened
    level = 1.0 - rule.stop
    bought_today = end.row == entry
    return level if bought_today else min(opened, level)


def _costs(
    order: Order, rule: Rule, tape: Tape, costs: CostTable, entry: int, end: _Exit, value: float,
    level: float, index_level: float,
) -> Floats:  # fmt: skip
    """Costs by session: the purchase on the first, the sale on the last, the index leg on both."""
    local = value / _fx(tape, entry)
    bought = costs.share(
        order.mic, "buy", _date(tape, entry), order=local, adv=order.adv, sigma=order.sigma,
        at_open=rule.entry_at == AT_OPEN,
    )  # fmt: skip
    sold = costs.share(
        order.mic, "sell", _date(tape, end.row), order=local * level, adv=order.adv, sigma=order.sigma
    )
    hedge = abs(order.beta) * costs.hedge_bps / 1e4
    path = np.zeros(end.row - entry + 1)
    path[0] += value * (bought + hedge)
    path[-1] += value * (level * sold + hedge * index_level)
    return path


def _date(tape: Tape, row: int) -> dt.date:
    day: dt.date = np.datetime64(int(tape.sessions[row]), "D").astype(dt.date)
    return day


def _entry_price(tape: Tape, column: int, row: int, rule: Rule) -> float:
    traded = tape.open if rule.entry_at == AT_OPEN else tape.close
    price = float(traded[row, column])
    return price if np.isfinite(price) else float(tape.price[row, column])


def _quoted(tape: Tape, column: int, end: _Exit, of_close: float) -> float:
    close = float(tape.close[end.row, column])
    return of_close * (close if np.isfinite(close) else float(tape.price[end.row, column]))
