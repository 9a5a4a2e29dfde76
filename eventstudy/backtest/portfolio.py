"""The portfolio: decisions in order of time, its position limit, daily profit and loss of all trades."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from eventstudy.backtest.costs import CostTable
from eventstudy.backtest.execution import Trade, execute
from eventstudy.backtest.past_view import Floats, PastView, Tape
from eventstudy.backtest.rule import Decision, Judged, Rule, Shock, decision_time, judge_shock, orders_of
from eventstudy.errors import Reason

#: Cache of judgements, by shock, instant and all inputs.
Memo = dict[tuple[Hashable, ...], Judged | None]


@dataclass(frozen=True, slots=True)
class Run:
    """One rule over all shocks: K decisions in order of time, and their trades, filled or not."""

    name: str
    decisions: tuple[Decision, ...]
    trades: tuple[Trade, ...]
    capital: float

    @property
    def filled(self) -> tuple[Trade, ...]:
        """Filled trades."""
        return tuple(trade for trade in self.trades if trade.filled)

    @property
    def shocks(self) -> tuple[str, ...]:
        """Shocks with at least one filled trade, in order of time."""
        return tuple(dict.fromkeys(trade.shock_id for trade in self.filled))


@dataclass(frozen=True, slots=True, kw_only=True)
class Daily:
    """Profit and loss by calendar day over the whole sample, days without positions included; shape (D,) each.

    ``day`` counts days since 1970. Money is in the base currency, ``cost`` is positive. ``exposure``
    is longs and hedges at their entry values, as a share of capital.
    """

    day: NDArray[np.int64]
    gross: Floats
    hedge: Floats
    cost: Floats
    n_positions: NDArray[np.int64]
    exposure: Floats
    capital: float

    @property
    def net(self) -> Floats:
        """Profit after costs."""
        return self.gross + self.hedge - self.cost

    @property
    def returns(self) -> Floats:
        """Net profit as a share of the starting capital."""
        return self.net / self.capital

    @property
    def equity(self) -> Floats:
        """Capital with all profit so far."""
        return self.capital + np.cumsum(self.net)


def run(
    rules: Rule | Sequence[Rule],
    tapes: Mapping[str, Tape],
    shocks: Sequence[Shock],
    costs: CostTable,
    *,
    name: str = "rule",
    memo: Memo | None = None,
) -> Run:
    """Trade all shocks in the order of their decisions.

    ``rules`` is one rule for all, or one for each shock. Each peer gets the same amount. A shock uses at most
    ``per_shock`` of the capital, longs and hedges together, and at most what the cap leaves. ``memo`` caches
    judgements for other rules on the same tapes.
    """
    chosen = [rules] * len(shocks) if isinstance(rules, Rule) else list(rules)
    timed = [(decision_time(r, tapes, shock), r, shock) for r, shock in zip(chosen, shocks, strict=True)]
    decisions = [
        Decision(shock_id=shock.shock_id, label=shock.label, time=0, refusal=Reason("refusal.no_prices"))
        for time, _, shock in timed
        if time is None
    ]
    trades: list[Trade] = []
    judgements = {} if memo is None else memo
    due = [(time, shock, rule) for time, rule, shock in timed if time is not None]
    for time, shock, rule in sorted(due, key=lambda item: (item[0], item[1].shock_id)):
        past, of_judgement = PastView(tapes, time), (rule.signal, rule.estimation, rule.minimum, rule.weights)
        key = (shock.shock_id, time, *of_judgement, rule.criteria)
        if key not in judgements:
            judgements[key] = judge_shock(rule, past, shock)
        decision = orders_of(rule, past, shock, judgements[key])
        # Longs and hedges held or on order, at their entry values, as a share of capital; an order that is never
        # filled counts until this is known.
        held = sum(t.ordered * (1.0 + abs(t.order.beta)) for t in trades if t.left > time) / rule.capital
        room = min(rule.per_shock, rule.gross_cap - held)
        if decision.orders and room <= 1e-12:
            decision = replace(decision, refusal=Reason("refusal.no_room"), orders=())
        decisions.append(decision)
        # Equal amounts, so that longs and hedges together use the available share.
        total = sum(1.0 + abs(order.beta) for order in decision.orders)
        trades += [
            execute(order, room / total, rule, decision, tapes[order.mic], costs, shock.answers)
            for order in decision.orders
        ]
    capital = chosen[0].capital if chosen else Rule().capital
    return Run(name, tuple(sorted(decisions, key=lambda d: (d.time, d.shock_id))), tuple(trades), capital)


def daily(result: Run, tapes: Mapping[str, Tape], first: int, last: int) -> Daily:
    """Sum all trades by calendar day, over every session of any exchange from ``first`` to ``last``."""
    every = np.unique(np.concatenate([tape.sessions for tape in tapes.values()])).astype(np.int64)
    day = every[(every >= first) & (every <= last)]
    gross, hedge, cost, exposure = (np.zeros(len(day)) for _ in range(4))
    positions = np.zeros(len(day), dtype=np.int64)
    for trade in result.filled:
        sessions = tapes[trade.mic].sessions[trade.rows]
        at = np.searchsorted(day, sessions)
        if not len(day) or sessions[0] < first or sessions[-1] > last:
            raise ValueError(f"{trade.shock_id} {trade.ticker}: trade outside the days of the series")
        legs = trade.legs
        gross[at] += legs.gross
        hedge[at] += legs.hedge
        cost[at] += legs.cost + legs.hedge_cost
        # A position is also held on days on which its own exchange is closed.
        inside = slice(int(at[0]), int(at[-1]) + 1)
        positions[inside] += 1
        exposure[inside] += trade.value * (1.0 + abs(trade.order.beta)) / result.capital
    return Daily(
        day=day, gross=gross, hedge=hedge, cost=cost, n_positions=positions, exposure=exposure, capital=result.capital
    )
