"""The study's rule traded and measured, beside the same rule on every drop."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from eventstudy.backtest.costs import CostTable
from eventstudy.backtest.execution import Trade
from eventstudy.backtest.past_view import Floats, Tape
from eventstudy.backtest.portfolio import Daily, Memo, Run, daily, run
from eventstudy.backtest.resampling import (
    FEW_SHOCKS,
    Overfitting,
    Superiority,
    overfitting,
    shock_interval,
    stationary_intervals,
    superiority,
)
from eventstudy.backtest.rule import Rule, Shock
from eventstudy.backtest.statistics import (
    SharpeReport,
    max_drawdown,
    max_drawdowns,
    profit_factor,
    sharpe,
    sharpe_report,
    sharpes,
    wilson,
)
from eventstudy.backtest.trials import TrialCount, rule_digest
from eventstudy.backtest.walk_forward import walk_forward

RULE, EVERY_DROP, PLACEBO = "rule", "every_drop", "placebo_drops"
#: Specifications that are run beside the study's own: how it would have done elsewhere, and the trials
#: that its Sharpe ratio is deflated by.
ENTRIES: tuple[tuple[Literal["open", "close"], int], ...] = (
    ("close", 2),
    ("open", 2),
    ("close", 1),
    ("open", 1),
)
HORIZONS = (5, 10, 20)
#: One-sided all-in costs of the long leg in basis points.
COST_GRID = (0.0, 5.0, 10.0, 20.0, 30.0, 50.0, 75.0, 100.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """The track record of one run; returns are shares of what was bought.

    ``hit_rate`` counts shocks, not trades: those of one shock share its days. ``break_even_bps`` is the
    one-sided cost of the long leg at which the mean trade earns nothing after the index leg's own cost.
    ``capacity`` maps a currency to the capital in it at which the first order meets the limit.
    """

    name: str
    n_decided: int
    n_trades: int
    n_shocks: int
    n_blocked: int
    net_per_trade: float
    net_interval: tuple[float, float]
    net_per_shock: float
    gross_per_trade: float
    hedged_per_trade: float
    cost_per_trade: float
    hits: int
    hit_rate: float
    hit_interval: tuple[float, float]
    hit_rate_trades: float
    profit_factor: float
    adverse_excursion: float
    sharpe: SharpeReport
    sharpe_interval: tuple[float, float]
    max_drawdown: float
    drawdown_interval: tuple[float, float]
    break_even_bps: float
    capacity: Mapping[str, float]
    days_held: float


@dataclass(frozen=True, slots=True)
class Specification:
    """One specification with the daily net returns that it made."""

    digest: str
    rule: Rule
    result: Run
    returns: Floats


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluation:
    """The rule's run and those it is compared with, by the names `RULE`, `EVERY_DROP`, `PLACEBO`.

    ``before`` are the daily Sharpe ratios of logged specifications that this run did not try again.
    """

    rule: Rule
    runs: Mapping[str, Run]
    series: Mapping[str, Daily]
    records: Mapping[str, Record]
    specifications: Mapping[str, tuple[Specification, ...]]
    walk_forward: Record
    against: tuple[Superiority, ...]
    overfitting: Overfitting
    trials: TrialCount
    before: Mapping[str, float]


def evaluate(
    rule: Rule,
    tapes: Mapping[str, Tape],
    shocks: Sequence[Shock],
    costs: CostTable,
    *,
    placebos: Sequence[Shock] = (),
    logged: Mapping[str, float] | None = None,
    declared: int = 0,
    question: str = "",
    embargo: int = 5,
    draws: int,
    seed: int,
) -> Evaluation:
    """Trade the rule, every drop, and the placebo drops where there are any.

    Parameters
    ----------
    placebos
        Shocks at the dates of comparable drops; every one that qualifies is traded. Those before the
        study's first shock are left out: all series cover the same days.
    logged
        Specifications that were run before, by digest, with their daily Sharpe ratios.
    declared
        Specifications tried elsewhere, from the settings.
    question
        What makes the same rule another specification, from `trials.question_of`.
    """
    first, last = span(tapes, shocks)
    placebos = [placebo for placebo in placebos if span(tapes, [placebo])[0] >= first]
    open_rule = replace(rule, gate="off")
    memo: Memo = {}
    runs = {
        RULE: run(rule, tapes, shocks, costs, name=RULE, memo=memo),
        EVERY_DROP: run(open_rule, tapes, shocks, costs, name=EVERY_DROP, memo=memo),
    }
    if placebos:
        runs[PLACEBO] = run(open_rule, tapes, placebos, costs, name=PLACEBO, memo=memo)
    series = {name: daily(result, tapes, first, last) for name, result in runs.items()}
    tried = {
        name: specifications(which, tapes, shocks, costs, first, last, memo, question)
        for name, which in ((RULE, rule), (EVERY_DROP, open_rule))
    }
    own = {item.digest for item in tried[RULE]}
    before = {digest: ratio for digest, ratio in sorted((logged or {}).items()) if digest not in own}
    trials = TrialCount(len(own), len(before), declared)
    ratios = {
        name: [*(sharpe(item.returns) for item in found), *before.values()] for name, found in tried.items()
    }
    records = {
        name: record(
            result, series[name], ratios.get(name, ratios[EVERY_DROP]), trials.total, draws=draws, seed=seed
        )
        for name, result in runs.items()
    }
    variants = [item.rule for item in tried[RULE]]
    choice = walk_forward(variants, tapes, shocks, costs, embargo=embargo, memo=memo)
    walked = record(
        choice, daily(choice, tapes, first, last), ratios[RULE], trials.total, draws=draws, seed=seed
    )
    every = np.column_stack([item.returns for item in tried[RULE]])
    names = [item.rule.name for item in tried[RULE]]
    benchmarks = {name: item.returns for name, item in series.items() if name != RULE}
    benchmarks["zero"] = np.zeros(len(every))
    n_shocks, reps = records[RULE].n_shocks, min(draws, 1_000)
    against = tuple(
        superiority(every, names, benchmark, label, n_shocks=n_shocks, draws=reps, seed=seed)
        for label, benchmark in benchmarks.items()
    )
    pbo = overfitting(every, n_shocks=n_shocks)
    return Evaluation(
        rule=rule,
        runs=runs,
        series=series,
        records=records,
        specifications=tried,
        walk_forward=walked,
        against=against,
        overfitting=pbo,
        trials=trials,
        before=before,
    )


def span(tapes: Mapping[str, Tape], shocks: Sequence[Shock]) -> tuple[int, int]:
    """First day 0 of any shock and last session of any exchange: the days on which the rule was on watch."""
    days = [int(tapes[mic].sessions[row]) for shock in shocks for mic, row in shock.day0.items()]
    ends = [int(tape.sessions[-1]) for tape in tapes.values() if len(tape)]
    return (min(days), max(ends)) if days else (0, -1)


def specifications(
    rule: Rule,
    tapes: Mapping[str, Tape],
    shocks: Sequence[Shock],
    costs: CostTable,
    first: int,
    last: int,
    memo: Memo,
    question: str = "",
) -> tuple[Specification, ...]:
    """Run the rule with other entries and horizons; the study's own comes first."""
    variants = [rule]
    for at, day in ENTRIES:
        for horizon in dict.fromkeys((*HORIZONS, rule.horizon)):
            variant = replace(rule, entry_at=at, entry_day=day, horizon=horizon)
            if variant not in variants and day - 1 >= rule.drop[0] and horizon > day:
                variants.append(variant)
    found = []
    for variant in variants:
        result = run(variant, tapes, shocks, costs, name=variant.name, memo=memo)
        returns = daily(result, tapes, first, last).returns
        found.append(Specification(rule_digest(variant, question), variant, result, returns))
    return tuple(found)


def by_shock(result: Run) -> dict[str, list[Trade]]:
    """Filled trades of each shock, in order of time."""
    return {name: [t for t in result.filled if t.shock_id == name] for name in result.shocks}


def record(
    result: Run, series: Daily, ratios: Sequence[float], trials: int, *, draws: int, seed: int
) -> Record:
    """Measure one run."""
    filled, grouped = result.filled, by_shock(result)
    net, gross, hedged, cost, hedge_cost, depth = (
        np.array([getattr(trade, name) for trade in filled], dtype=float)
        for name in ("net", "gross", "hedged", "cost", "hedge_cost", "adverse_excursion")
    )
    value = np.array([trade.value for trade in filled])
    share = net / value
    shares = [np.array([trade.net / trade.value for trade in trades]) for trades in grouped.values()]
    profits = np.array([sum(trade.net for trade in trades) for trades in grouped.values()])
    hits, n = int((profits > 0).sum()), len(profits)
    held = np.array([len(trade.rows) - 1 for trade in filled], dtype=float)
    returns = series.returns
    report = sharpe_report(
        returns,
        trial_ratios=ratios,
        trials=trials,
        lags=int(np.ceil(held.mean())) if len(held) else 1,
    )
    root = np.sqrt(252)
    # A few shocks resampled are the same shocks again: no interval comes of it.
    moving = returns if n >= FEW_SHOCKS else np.zeros(0)
    ratio_interval, fall_interval = stationary_intervals(
        moving, [lambda x: sharpes(x) * root, max_drawdowns], draws=min(draws, 1_000), seed=seed
    )
    return Record(
        name=result.name,
        n_decided=sum(1 for d in result.decisions if d.time),
        n_trades=len(filled),
        n_shocks=n,
        n_blocked=len(result.trades) - len(filled),
        net_per_trade=_mean(share),
        net_interval=shock_interval(shares, draws=draws, seed=seed),
        net_per_shock=_mean(
            profits / np.array([sum(t.value for t in trades) for trades in grouped.values()])
        ),
        gross_per_trade=_mean(gross / value),
        hedged_per_trade=_mean(hedged / value),
        cost_per_trade=_mean(cost / value),
        hits=hits,
        hit_rate=hits / n if n else float("nan"),
        hit_interval=wilson(hits, n),
        hit_rate_trades=_mean((net > 0).astype(float)),
        profit_factor=profit_factor(profits),
        adverse_excursion=_mean(depth),
        sharpe=report,
        sharpe_interval=ratio_interval,
        max_drawdown=max_drawdown(returns),
        drawdown_interval=fall_interval,
        break_even_bps=_mean((hedged - hedge_cost) / value) / 2 * 1e4,
        capacity=capacity(filled),
        days_held=_mean(held),
    )


def _mean(values: Floats) -> float:
    return float(values.mean()) if len(values) else float("nan")


def capacity(trades: Sequence[Trade]) -> dict[str, float]:
    """Capital at which the first order of each currency meets the limit; without volume, nothing."""
    rooms: dict[str, list[float]] = {}
    for trade in trades:
        if np.isfinite(trade.room):
            rooms.setdefault(trade.currency, []).append(trade.room)
    return {currency: min(values) for currency, values in sorted(rooms.items())}


@dataclass(frozen=True, slots=True)
class CostPoint:
    """What a run would have earned at one one-sided all-in cost of the long leg."""

    run: str
    cost_bps: float
    net_per_trade: float
    net_total: float
    sharpe: float


def cost_curve(result: Run, series: Daily, tapes: Mapping[str, Tape]) -> list[CostPoint]:
    """Net result at each cost of `COST_GRID` in place of the cost table; the index leg pays its own."""
    filled = result.filled
    free = series.gross + series.hedge
    points = []
    for bps in COST_GRID:
        path = np.zeros(len(series.day))
        for trade in filled:
            at = np.searchsorted(series.day, tapes[trade.mic].sessions[trade.rows])
            np.add.at(path, at[[0, -1]], trade.value * bps / 1e4)
            path[at] += trade.book.hedge_cost
        share = np.array([(t.hedged - t.hedge_cost) / t.value - 2 * bps / 1e4 for t in filled])
        net = free - path
        annual = sharpe(net / series.capital) * float(np.sqrt(252))
        points.append(CostPoint(result.name, bps, _mean(share), float(net.sum()), annual))
    return points
