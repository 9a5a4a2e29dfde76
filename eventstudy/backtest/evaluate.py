"""Backtest of the study's rule, of the same rule on every drop, and of what a walk-forward would have chosen."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np

from eventstudy.backtest.costs import CostTable
from eventstudy.backtest.past_view import Floats, Tape
from eventstudy.backtest.portfolio import Daily, Memo, Run, daily, run
from eventstudy.backtest.resampling import Overfitting, Superiority, overfitting, superiority
from eventstudy.backtest.rule import Rule, Shock, decision_time
from eventstudy.backtest.statistics import sharpe
from eventstudy.backtest.track_record import Record, mean, record
from eventstudy.backtest.trials import TrialCount, rule_digest

RULE, EVERY_DROP, PLACEBO = "rule", "every_drop", "placebo_drops"
#: Further specifications that are run: entries and horizons; each counts as a trial.
ENTRIES: tuple[tuple[Literal["open", "close"], int], ...] = (("close", 2), ("open", 2), ("close", 1), ("open", 1))
HORIZONS = (5, 10, 20)
#: One-sided all-in costs of the long leg in basis points.
COST_GRID = (0.0, 5.0, 10.0, 20.0, 30.0, 50.0, 75.0, 100.0)
#: Number of ended shocks before a choice is made; until then the first rule trades.
FEWEST_ENDED = 5


@dataclass(frozen=True, slots=True)
class Specification:
    """One specification with its daily net returns."""

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
    """Trade the rule, every drop, and the control drops if there are any.

    Parameters
    ----------
    placebos
        Shocks on the dates of control drops; all that qualify are traded. Those before the study's first shock are
        left out, so that all series cover the same days.
    logged
        Specifications that were run before, by digest, with their daily Sharpe ratios.
    declared
        Specifications tried elsewhere, from the settings.
    question
        Settings and events that distinguish specifications of the same rule, from `trials.question_of`.
    """
    first, last = span(tapes, shocks)
    placebos = [placebo for placebo in placebos if span(tapes, [placebo])[0] >= first]
    open_rule = replace(rule, gate="off")
    memo: Memo = {}
    asked = {RULE: (rule, shocks), EVERY_DROP: (open_rule, shocks)} | (
        {PLACEBO: (open_rule, placebos)} if placebos else {}
    )
    runs = {name: run(which, tapes, met, costs, name=name, memo=memo) for name, (which, met) in asked.items()}
    series = {name: daily(result, tapes, first, last) for name, result in runs.items()}
    tried = {
        name: specifications(which, tapes, shocks, costs, (first, last), memo, question)
        for name, which in ((RULE, rule), (EVERY_DROP, open_rule))
    }
    own = {item.digest for item in tried[RULE]}
    before = {digest: ratio for digest, ratio in sorted((logged or {}).items()) if digest not in own}
    trials = TrialCount(len(own), len(before), declared)
    ratios = {name: [*(sharpe(item.returns) for item in found), *before.values()] for name, found in tried.items()}
    ratios[PLACEBO] = ratios[EVERY_DROP]
    record_of = functools.partial(record, trials=trials.total, draws=draws, seed=seed)
    records = {name: record_of(result, series[name], ratios[name]) for name, result in runs.items()}
    rules = [item.rule for item in tried[RULE]]
    chosen = choose(rules, tapes, shocks, costs, embargo=embargo, memo=memo)
    walked = run(chosen, tapes, shocks, costs, name="walk_forward", memo=memo)
    every = np.column_stack([item.returns for item in tried[RULE]])
    n_shocks = records[RULE].n_shocks
    benchmarks = {name: item.returns for name, item in series.items() if name != RULE}
    benchmarks["zero"] = np.zeros(len(every))
    against = [
        superiority(
            every, [item.name for item in rules], returns, name, n_shocks=n_shocks, draws=min(draws, 1_000), seed=seed
        )
        for name, returns in benchmarks.items()
    ]
    return Evaluation(
        rule=rule,
        runs=runs,
        series=series,
        records=records,
        specifications=tried,
        walk_forward=record_of(walked, daily(walked, tapes, first, last), ratios[RULE]),
        against=tuple(against),
        overfitting=overfitting(every, n_shocks=n_shocks),
        trials=trials,
        before=before,
    )


def span(tapes: Mapping[str, Tape], shocks: Sequence[Shock]) -> tuple[int, int]:
    """First day 0 of any shock and last session of any exchange: the period of the backtest."""
    days = [int(tapes[mic].sessions[row]) for shock in shocks for mic, row in shock.day0.items()]
    ends = [int(tape.sessions[-1]) for tape in tapes.values() if len(tape)]
    return (min(days), max(ends)) if days else (0, -1)


def specifications(
    rule: Rule,
    tapes: Mapping[str, Tape],
    shocks: Sequence[Shock],
    costs: CostTable,
    days: tuple[int, int],
    memo: Memo,
    question: str = "",
) -> tuple[Specification, ...]:
    """Run the rule with other entries and horizons, counted from the first to the last of ``days``; its own first."""
    variants = [rule]
    for at, day in ENTRIES:
        for horizon in dict.fromkeys((*HORIZONS, rule.horizon)):
            variant = replace(rule, entry_at=at, entry_day=day, horizon=horizon)
            if variant not in variants and day - 1 >= rule.drop[0] and horizon > day:
                variants.append(variant)
    found = []
    for variant in variants:
        result = run(variant, tapes, shocks, costs, name=variant.name, memo=memo)
        returns = daily(result, tapes, *days).returns
        found.append(Specification(rule_digest(variant, question), variant, result, returns))
    return tuple(found)


def cost_curve(result: Run, series: Daily, tapes: Mapping[str, Tape]) -> Iterator[dict[str, Any]]:
    """Yield the result of a run at each cost of `COST_GRID`; the index leg keeps its own cost."""
    free = series.gross + series.hedge
    for bps in COST_GRID:
        path = np.zeros(len(series.day))
        for trade in result.filled:
            at = np.searchsorted(series.day, tapes[trade.mic].sessions[trade.rows])
            np.add.at(path, at[[0, -1]], trade.value * bps / 1e4)
            path[at] += trade.legs.hedge_cost
        share = np.array([(t.hedged - t.hedge_cost) / t.value - 2 * bps / 1e4 for t in result.filled])
        net = free - path
        annual = sharpe(net / series.capital) * float(np.sqrt(252))
        row = {"run": result.name, "cost_bps": bps, "net_per_trade": mean(share)}
        yield {**row, "net_total": float(net.sum()), "sharpe": annual}


def ended_at(shock: Shock, rule: Rule, tapes: Mapping[str, Tape], embargo: int) -> int | None:
    """Return when a shock's last possible day and the embargo are over, None if they are not.

    Notes
    -----
    Purge: a shock counts as running to day +horizon of the longest rule even if its trades were sold earlier, so that
    no outcome overlaps a later decision (Lopez de Prado 2018, ch. 7).
    """
    ends = []
    for mic, day0 in shock.day0.items():
        row = day0 + rule.horizon + embargo
        if mic in tapes and shock.columns.get(mic):
            if row >= len(tapes[mic]):
                return None
            ends.append(int(tapes[mic].closes[row]))
    return max(ends) if ends else None


def choose(
    rules: Sequence[Rule],
    tapes: Mapping[str, Tape],
    shocks: Sequence[Shock],
    costs: CostTable,
    *,
    embargo: int,
    memo: Memo | None = None,
) -> list[Rule]:
    """Return the rule for each shock: the best so far by mean net return over shocks, else the first.

    Every rule trades every shock separately, so that results do not depend on each other; no trade counts as zero.
    """
    longest = max(rules, key=lambda rule: rule.horizon)
    outcome, ends = np.zeros((len(shocks), len(rules))), list[int | None]()
    for k, shock in enumerate(shocks):
        alone = [run(rule, tapes, [shock], costs, memo=memo) for rule in rules]
        outcome[k] = [sum(trade.net for trade in result.filled) / result.capital for result in alone]
        end = ended_at(shock, longest, tapes, embargo)
        # A delayed sale ends later than the last event day.
        ends.append(end and max(end, *(trade.left for result in alone for trade in result.filled), 0))
    chosen = []
    for shock in shocks:
        times = [time for rule in rules if (time := decision_time(rule, tapes, shock)) is not None]
        known = [j for j, end in enumerate(ends) if end is not None and times and end <= min(times)]
        traded = [j for j in known if outcome[j].any()]
        best = int(outcome[known].mean(axis=0).argmax()) if len(traded) >= FEWEST_ENDED else 0
        chosen.append(rules[best])
    return chosen
