"""Simulate one order: fill, exit, daily profit and loss."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, fields, replace

import numpy as np
from numpy.typing import NDArray

from eventstudy.backtest.costs import CostTable
from eventstudy.backtest.past_view import Floats, Tape
from eventstudy.backtest.rule import Answer, Decision, Order, Rule
from eventstudy.errors import Reason

AT_CLOSE, AT_OPEN, AT_STOP = "close", "open", "stop"


@dataclass(frozen=True, slots=True)
class Legs:
    """Profit and loss session by session, shape (D,) each, in one currency.

    ``gross`` is the long leg, ``hedge`` the index leg, ``cost`` and ``hedge_cost`` their costs (positive).
    """

    gross: Floats
    hedge: Floats
    cost: Floats
    hedge_cost: Floats

    def total(self, name: str) -> float:
        """Sum of ``gross`` (long leg only), ``hedged``, ``cost`` or ``net`` (both legs)."""
        hedged = self.gross.sum() + self.hedge.sum()
        cost = self.cost.sum() + self.hedge_cost.sum()
        return float({"gross": self.gross.sum(), "hedged": hedged, "cost": cost, "net": hedged - cost}[name])


_NO_LEGS = Legs(*(np.zeros(0) for _ in range(4)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Trade:
    """One order and its end. Returns are shares of ``value``; the defaults are those of an order not filled.

    ``entry_row``, ``exit_row`` and ``rows`` (D,), from entry to exit, are indices of the exchange's sessions;
    ``exit_row`` is -1 if nothing was bought. ``ordered`` is the value of the order, ``value`` the value bought, both
    in the base currency; without an exchange rate one unit of the exchange's currency counts as one unit of the base
    currency. ``local`` and ``base`` are the legs in both currencies, ``base`` None without a rate; ``rate_in`` and
    ``rate_out`` are the rates of entry and exit.

    ``why_left`` is the reason for the exit, empty if nothing was bought. ``blocked`` is the reason why the order was
    not filled, was reduced, or why the sale was delayed. ``room`` is the largest capital within the capacity limit, in
    the exchange's currency. ``left`` is when the position or the order ended, in UTC nanoseconds.
    """

    decision: Decision
    order: Order
    ticker: str
    currency: str
    ordered: float
    room: float
    why_entered: Reason
    blocked: Reason
    left: int
    entry_row: int
    exit_row: int = -1
    entry_price: float = float("nan")
    exit_price: float = float("nan")
    value: float = 0.0
    rows: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, dtype=np.int64))
    local: Legs = _NO_LEGS
    base: Legs | None = None
    rate_in: float = float("nan")
    rate_out: float = float("nan")
    why_left: Reason = Reason()

    @property
    def shock_id(self) -> str:
        """Shock that was traded."""
        return self.decision.shock_id

    @property
    def mic(self) -> str:
        """Exchange of the security."""
        return self.order.mic

    @property
    def filled(self) -> bool:
        """Whether anything was bought."""
        return self.exit_row >= 0

    @property
    def local_value(self) -> float:
        """Value bought, in the exchange's currency."""
        return self.value / self.rate_in if np.isfinite(self.rate_in) else self.value

    @property
    def legs(self) -> Legs:
        """The legs in the portfolio's currency.

        They are in the base currency. If a rate is missing during the trade, the returns in the exchange's currency
        are earned on ``value``, as if the principal were hedged.
        """
        if self.base is not None:
            return self.base
        scale = self.value / self.local_value if self.filled else 1.0
        return Legs(*(getattr(self.local, item.name) * scale for item in fields(Legs)))

    @property
    def gross(self) -> float:
        """Profit of the long leg."""
        return self.legs.total("gross")

    @property
    def hedged(self) -> float:
        """Profit of both legs before costs."""
        return self.legs.total("hedged")

    @property
    def cost(self) -> float:
        """All costs, positive."""
        return self.legs.total("cost")

    @property
    def hedge_cost(self) -> float:
        """Costs of the index leg, positive."""
        return float(self.legs.hedge_cost.sum())

    @property
    def net(self) -> float:
        """Profit of both legs after costs."""
        return self.legs.total("net")

    @property
    def adverse_excursion(self) -> float:
        """Deepest loss of both legs before costs at any close, in the exchange's currency; 0 or negative."""
        if not self.filled or not self.value:
            return float("nan")
        path = np.cumsum(self.local.gross + self.local.hedge)
        return float(min(path.min(), 0.0) / self.local_value)


def execute(
    order: Order,
    weight: float,
    rule: Rule,
    decision: Decision,
    tape: Tape,
    costs: CostTable,
    answers: Sequence[Answer] = (),
) -> Trade:
    """Simulate one order of ``weight`` units of capital.

    Notes
    -----
    A purchase needs a seller: at a close locked limit-up, or on a session without trade, nothing is filled. A sale
    needs a buyer: it waits while the close is locked limit-down or nobody trades, and until the exchange's rule allows
    it (A-shares: T+1).
    """
    entry, last, notes = _entry_row(order, rule, decision, tape)
    rate = float(tape.fx[last])
    wanted = weight * rule.capital
    limit = rule.capacity_share * order.adv
    allowed = limit * (rate if np.isfinite(rate) else 1.0) if np.isfinite(limit) else np.inf
    if wanted > allowed:
        notes.append(Reason("order.cut", share=rule.capacity_share, days=rule.adv_days))
    if not np.isfinite(order.adv):
        notes.append(Reason("order.no_volume"))
    first_day, last_day = rule.signal
    trade = Trade(
        decision=decision,
        order=order,
        ticker=tape.tickers[order.column],
        currency=tape.currency,
        ordered=min(wanted, allowed),
        room=limit / weight if weight > 0 else float("nan"),
        why_entered=Reason("order.fell", car=order.car, first=first_day, last=last_day, portfolio=decision.car),
        blocked=Reason.join(notes),
        left=max(int(tape.closes[last]), decision.time),
        entry_row=min(order.row, len(tape) - 1) if entry is None else entry,
    )
    return trade if entry is None else _held(trade, rule, tape, costs, answers)


def _entry_row(order: Order, rule: Rule, decision: Decision, tape: Tape) -> tuple[int | None, int, list[Reason]]:
    """Session on which the order is filled (None if never), the last session tried, and the obstacles."""
    struck = tape.opens if rule.entry_at == AT_OPEN else tape.closes
    row, notes = order.row, list[Reason]()
    while row < len(tape) and struck[row] <= decision.time:
        row += 1
    for at in range(row, row + rule.retry + 1):
        if at >= len(tape):
            return None, len(tape) - 1, [*notes, Reason("order.prices_end")]
        obstacle = _no_purchase(order.column, at, rule, tape)
        if not obstacle:
            return at, at, notes
        notes.append(obstacle)
    return None, row + rule.retry, notes


def _no_purchase(column: int, row: int, rule: Rule, tape: Tape) -> Reason:
    """Return why a purchase is not filled on a session; empty if it is."""
    day, locked = tape.day(row), tape.locked_up[row, column]
    if not np.isfinite(tape.price[row, column]):
        return Reason("order.no_trade", day=day)
    if rule.entry_at == AT_CLOSE:
        return Reason("order.locked_up", day=day) if locked else Reason()
    if not np.isfinite(tape.open[row, column]):
        return Reason("order.no_open", day=day)
    # A day with a single price was locked at the open too.
    one_price = locked and tape.open[row, column] >= tape.close[row, column]
    return Reason("order.locked_up_at_open", day=day) if one_price else Reason()


@dataclass(frozen=True, slots=True)
class _Exit:
    """End of a position: the session, the price used, the reason, and delays."""

    row: int
    at: str
    why: Reason
    notes: Sequence[Reason]


def _held(trade: Trade, rule: Rule, tape: Tape, costs: CostTable, answers: Sequence[Answer]) -> Trade:
    """Simulate a position from the purchase at ``trade.entry_row`` to its sale."""
    order, column, entry, rate = trade.order, trade.order.column, trade.entry_row, float(tape.fx[trade.entry_row])
    price = tape.price[entry:, column]
    start = price[0] * tape.open[entry, column] / tape.close[entry, column] if rule.entry_at == AT_OPEN else price[0]
    # Value of one unit at each close from the entry on, and the index relative to its close at the entry. The
    # index has only closes, so after a purchase at the open its leg starts at that close.
    growth = _carried(price / start)
    known = tape.index[: entry + 1][np.isfinite(tape.index[: entry + 1])]
    index = _carried(tape.index[entry:] / known[-1])
    end = _exit(order, rule, tape, answers, entry, growth)
    last, rows = end.row - entry, np.arange(entry, end.row + 1)
    levels = growth[: last + 1].copy()
    levels[last] = _sale_level(rule, tape, column, end, entry, growth)
    money = trade.ordered / rate if np.isfinite(rate) else trade.ordered
    cost, hedge_cost = _costs(order, rule, tape, costs, rows, end.at, money, levels[last], index[last])
    local = Legs(
        gross=np.diff(levels, prepend=1.0) * money,
        hedge=-order.beta * np.diff(index[: last + 1], prepend=1.0) * money,
        cost=cost,
        hedge_cost=hedge_cost,
    )
    base, no_rate = _converted(local, levels, money, tape, rows)
    return replace(
        trade,
        exit_row=end.row,
        entry_price=_quoted(tape, column, entry, tape.open if rule.entry_at == AT_OPEN else tape.close),
        exit_price=levels[last] / growth[last] * _quoted(tape, column, end.row, tape.close),
        value=trade.ordered,
        rows=rows,
        local=local,
        base=base,
        rate_in=rate,
        rate_out=float(tape.fx[end.row]),
        why_left=end.why,
        blocked=Reason.join((trade.blocked, *end.notes, no_rate)),
        left=int(tape.closes[end.row]),
    )


def _converted(
    local: Legs, levels: Floats, money: float, tape: Tape, rows: NDArray[np.int64]
) -> tuple[Legs | None, Reason]:
    """Convert the legs to the base currency; None, with the reason, if a session has no rate.

    Notes
    -----
    The long leg is bought with converted money, so it also gains or loses with the currency: V_t f_t - V_(t-1)
    f_(t-1). The index leg needs no capital; its profit, and all costs, are converted on the day on which they arise.
    """
    fx = tape.fx[rows]
    if not np.isfinite(fx).all():
        lacking = tape.day(int(rows[~np.isfinite(fx)][0]))
        known = np.isfinite(fx[0])
        return None, Reason("order.no_rate", currency=tape.currency, day=lacking) if known else Reason()
    worth = np.concatenate([[fx[0]], levels * fx]) * money
    return Legs(np.diff(worth), local.hedge * fx, local.cost * fx, local.hedge_cost * fx), Reason()


def _carried(values: Floats) -> Floats:
    """Return a path in which missing days have the value of the day before."""
    known = np.isfinite(values)
    last = np.maximum.accumulate(np.where(known, np.arange(len(values)), 0))
    carried: Floats = np.where(known[last], values[last], 1.0)
    return carried


def _exit(order: Order, rule: Rule, tape: Tape, answers: Sequence[Answer], entry: int, growth: Floats) -> _Exit:
    """Find the end of the position: the first of clarification, stop and horizon, then the first possible sale."""
    column, settle = order.column, int(tape.settle[order.column])
    planned, why = _planned(order, rule, tape, answers, entry)
    stop = _stop_row(column, rule, tape, entry, min(planned, len(tape) - 1), growth)
    at, notes = AT_CLOSE, list[Reason]()
    if stop is not None:
        planned, why, at = stop, Reason("left.stop", loss=rule.stop), AT_STOP
    if planned < entry + settle:
        notes.append(Reason("order.held_back", day=tape.day(planned), settle=settle))
        planned, at = entry + settle, AT_OPEN
    obstacles = list[Reason]()
    row = planned
    while row < len(tape) and (obstacle := _no_sale(column, row, tape)):
        obstacles.append(obstacle)
        row += 1
    if len(obstacles) > 1:
        notes.append(Reason("order.longer", first=obstacles[0], n=len(obstacles) - 1))
    else:
        notes += obstacles
    if row < len(tape):
        return _Exit(row, at if row == planned else AT_CLOSE, why, notes)
    row = entry + int(np.flatnonzero(np.isfinite(tape.price[entry:, column]))[-1])
    return _Exit(row, AT_CLOSE, Reason("left.prices_end"), notes)


def _planned(order: Order, rule: Rule, tape: Tape, answers: Sequence[Answer], entry: int) -> tuple[int, Reason]:
    """Session of the sale by the rule: the horizon, or the session after a clarification; and the clarification."""
    bought = int(tape.opens[entry] if rule.entry_at == AT_OPEN else tape.closes[entry])
    planned = max(order.horizon_row, entry + 1)
    why = Reason("left.horizon", day=rule.horizon)
    for answer in answers if rule.clarification_exit else ():
        row = answer.day0.get(order.mic, len(tape)) + 1
        if answer.known > bought and entry < row < planned:
            planned, why = row, Reason("left.clarification", event=answer.event_id)
    return planned, why


def _stop_row(column: int, rule: Rule, tape: Tape, entry: int, last: int, growth: Floats) -> int | None:
    """First session whose low reaches the stop; an entry at the close cannot be stopped that day."""
    if rule.stop > 0:
        for row in range(entry + (rule.entry_at == AT_CLOSE), last + 1):
            if _within_day(tape.low, tape, column, row) * growth[row - entry] <= 1.0 - rule.stop:
                return row
    return None


def _within_day(prices: Floats, tape: Tape, column: int, row: int) -> float:
    """Another price of the day divided by its close; 1 if unknown."""
    ratio = float(prices[row, column] / tape.close[row, column])
    return ratio if np.isfinite(ratio) else 1.0


def _no_sale(column: int, row: int, tape: Tape) -> Reason:
    """Return why a sale is not possible on a session; empty if it is."""
    if not np.isfinite(tape.price[row, column]):
        return Reason("order.no_trade_to_sell", day=tape.day(row))
    return Reason("order.locked_down", day=tape.day(row)) if tape.locked_down[row, column] else Reason()


def _sale_level(rule: Rule, tape: Tape, column: int, end: _Exit, entry: int, growth: Floats) -> float:
    """Value of one unit at the sale.

    This is the close; for a stop its level, or the open if it is lower; for a stop that was delayed by T+1 the first
    open after it.
    """
    close = float(growth[end.row - entry])
    if end.at == AT_CLOSE:
        return close
    opened, level = close * _within_day(tape.open, tape, column, end.row), 1.0 - rule.stop
    if end.at == AT_OPEN:
        return opened
    return level if end.row == entry else min(opened, level)


def _costs(
    order: Order,
    rule: Rule,
    tape: Tape,
    costs: CostTable,
    rows: NDArray[np.int64],
    sold_at: str,
    money: float,
    level: float,
    index_level: float,
) -> tuple[Floats, Floats]:
    """Costs of the long and of the index leg by session: at entry on the first, at exit on the last."""
    first, last = (tape.sessions[row].astype("datetime64[D]").item() for row in rows[[0, -1]])
    size = {"adv": order.adv, "sigma": order.sigma}
    bought = costs.share(order.mic, "buy", first, order=money, **size, at_open=rule.entry_at == AT_OPEN)
    sold = costs.share(order.mic, "sell", last, order=money * level, **size, at_open=sold_at == AT_OPEN)
    rate = abs(order.beta) * costs.hedge_bps / 1e4
    long, hedge = np.zeros(len(rows)), np.zeros(len(rows))
    long[0] += money * bought
    long[-1] += money * level * sold
    hedge[0] += money * rate
    hedge[-1] += money * rate * index_level
    return long, hedge


def _quoted(tape: Tape, column: int, row: int, traded: Floats) -> float:
    """The traded price, or the adjusted close if it is unknown."""
    price = float(traded[row, column])
    return price if np.isfinite(price) else float(tape.price[row, column])
