"""Outcome of a backtest: facts for the summary and plain sentences."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict

import numpy as np

from eventstudy.backtest.evaluate import EVERY_DROP, PLACEBO, RULE, Evaluation
from eventstudy.backtest.resampling import FEW_SHOCKS, Superiority
from eventstudy.backtest.trade_tables import Row, record_row, shock_rows
from eventstudy.backtest.trading import Traded
from eventstudy.errors import Reason
from eventstudy.messages import catalogue, retold

#: Counts in the sentence if a rule did not trade, by reason.
_COUNTED = {
    f"refusal.{name}": Reason(f"refused.{name}")
    for name in ("not_public", "no_drop", "late_label", "no_room", "no_prices", "no_peer")
}
_UNFILLED = Reason("refused.blocked")


def summarise(traded: Traded) -> Row:
    """Return the facts on the backtest for the summary, with reasons as sentences."""
    found = traded.evaluation
    own = found.records[RULE]
    volume = any(np.isfinite(tape.volume).any() for tape in traded.tapes.values())
    unknown = withheld(traded)
    caveats = (Reason("trade.hindsight"), Reason("trade.price_index"))
    gaps = np.array([row["gap"] for row in shock_rows(found.runs[RULE], traded)])
    known = gaps[np.isfinite(gaps)]
    few = own.n_shocks and own.n_shocks < FEW_SHOCKS
    summary: Row = {
        **record_row(own, unknown),
        "capacity_withheld": unknown,
        "rule": found.rule.name,
        "gate": found.rule.gate,
        "label": found.rule.label,
        "currency": traded.currency,
        "n_trials": found.trials.total,
        "trials": found.trials.sentence,
        "trials_run": found.trials.grid,
        "trials_logged": found.trials.logged,
        "trials_declared": found.trials.declared,
        "comparison": {name: record_row(item, unknown) for name, item in found.records.items() if name != RULE},
        "walk_forward": record_row(found.walk_forward, unknown),
        "against": [asdict(item) for item in found.against],
        "snooping": snooping(found.against),
        # Mean over traded shocks of the trade's net return minus the study's own CAR after the drop.
        "gap": float(known.mean()) if len(known) else float("nan"),
        "pbo": found.overfitting.probability,
        "pbo_reason": found.overfitting.reason,
        "caveats": [*caveats, Reason("trade.volume" if volume else "trade.no_volume"), *unknown.values()],
        "why_none": why_none(found),
        "caution": Reason("trade.caution", shocks=_count(own.n_shocks, "shock")) if few else Reason(),
        "sentence": sentence(found),
        "unverified_fees": sorted(
            {f"{fee.market} {fee.name} ({fee.certainty})" for fee in traded.costs.fees if fee.certainty != "source"}
        ),
    }
    return {name: retold(value, catalogue("en")) for name, value in summary.items()}


def withheld(traded: Traded) -> dict[str, Reason]:
    """Return by currency why no capacity is given: the units of some bought shares are in doubt."""
    found = traded.evaluation
    tried = [item.result for part in found.specifications.values() for item in part]
    bought: dict[str, set[str]] = {}
    for result in (*found.runs.values(), *tried):
        for trade in result.filled:
            if trade.ticker in traded.in_doubt:
                bought.setdefault(trade.currency, set()).add(trade.ticker)
    return {
        currency: Reason("trade.capacity_withheld", currency=currency, n=len(names), first=", ".join(sorted(names)[:3]))
        for currency, names in sorted(bought.items())
    }


def snooping(tests: Sequence[Superiority]) -> Reason:
    """Return whether any specification beats each benchmark, with correction for all trials."""
    reasons = {item.reason for item in tests}
    if len(reasons) == 1 and all(reasons):
        return Reason("snooping.none", why=reasons.pop())
    found = []
    for item in tests:
        survivors = ", ".join(item.superior) or Reason("snooping.no_rule")
        spa = Reason("snooping.spa", p=item.spa_consistent, n=item.n_rules, survivors=survivors)
        benchmark = Reason(f"snooping.{item.benchmark}")
        found.append(Reason("snooping.against", benchmark=benchmark, found=item.reason or spa))
    return Reason.join(found)


def why_none(found: Evaluation) -> Reason:
    """Return why the rule did not trade; empty if it did."""
    result = found.runs[RULE]
    if result.filled:
        return Reason()
    asked = [decision for decision in result.decisions if found.rule.trades(decision.label)]
    label = Reason() if found.rule.gate == "off" else Reason(f"label.{found.rule.label}")
    if not asked:
        return Reason("trade.no_labelled", label=label) if label else Reason("trade.no_shock")
    whys = Counter(_COUNTED[d.refusal.code] if d.refusal else _UNFILLED for d in asked)
    counted = [Reason("trade.was" if n == 1 else "trade.were", n=n, what=why) for why, n in whys.items()]
    parts = Reason.join(counted, ", ")
    if not label:
        return Reason("trade.of", shocks=_count(len(asked), "shock"), reasons=parts)
    kind = "trade.of_labelled_one" if len(asked) == 1 else "trade.of_labelled"
    return Reason(kind, n=len(asked), label=label, reasons=parts)


def sentence(found: Evaluation) -> Reason:
    """Return the rule's result as one sentence, always with the number of trades."""
    own, compared = found.records[RULE], _compared(found)
    if not own.n_trades:
        return Reason("trade.none", why=why_none(found), beside=compared)
    low, high = own.net_interval
    known = np.isfinite(low)
    return Reason(
        "trade.late" if found.rule.gate == "post_hoc" else "trade.earned",
        trades=_count(own.n_trades, "trade"),
        shocks=_count(own.n_shocks, "shock"),
        net=own.net_per_trade,
        interval=(
            Reason("trade.interval", low=low, high=high) if known else Reason("trade.no_interval", fewest=FEW_SHOCKS)
        ),
        hits=own.hits,
        beside=compared,
    )


def _compared(found: Evaluation) -> Reason:
    """Result of the same rule on control drops, or else on the study's own drops of any label."""
    placebo, every = found.records.get(PLACEBO), found.records[EVERY_DROP]
    if placebo is not None and placebo.n_trades:
        key, other, noun = "trade.comparable", placebo, "drop"
    elif every.n_trades:
        key, other, noun = "trade.every", every, "shock"
    else:
        return Reason("trade.no_drop")
    counts = {"trades": _count(other.n_trades, "trade"), "drops": _count(other.n_shocks, noun)}
    return Reason(key, net=other.net_per_trade, **counts)


def _count(n: int, noun: str) -> Reason:
    return Reason(f"count.{noun}{'' if n == 1 else 's'}", n=n)
