"""What a backtest comes to: its facts for the summary, and in plain sentences."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict

import numpy as np

from eventstudy.backtest.evaluate import EVERY_DROP, PLACEBO, RULE, Evaluation
from eventstudy.backtest.resampling import FEW_SHOCKS, Superiority
from eventstudy.backtest.track_record import Record
from eventstudy.backtest.trade_tables import Row, record_row, shock_rows
from eventstudy.backtest.trading import Traded
from eventstudy.messages import Message, joined, say

CAVEATS = (say("trade.hindsight"), say("trade.price_index"))
VOLUME = say("trade.volume")
NO_VOLUME = say("trade.no_volume")
#: Message for each kind of refusal, by the beginning of its text.
_REFUSED = {
    "no drop": "no_drop",
    "its label was not known when the trade was decided": "late_label",
    "no room": "no_room",
    "blocked": "blocked",
    "no prices through the drop window": "no_prices",
    "the event was not public for certain when the trade was decided": "not_public",
    "no peer with enough prices before the drop": "no_peer",
}


def summarise(traded: Traded) -> Row:
    """Return what the summary says of the backtest."""
    found = traded.evaluation
    mine = found.records[RULE]
    volume = any(np.isfinite(tape.volume).any() for tape in traded.tapes.values())
    unknown = withheld(traded)
    return {
        **record_row(mine, unknown),
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
        "against": [asdict(item) | {"superior": list(item.superior)} for item in found.against],
        "snooping": snooping(found.against),
        "gap": _gap(traded),
        "pbo": found.overfitting.probability,
        "pbo_reason": found.overfitting.reason,
        "caveats": [*CAVEATS, VOLUME if volume else NO_VOLUME, *unknown.values()],
        "why_none": why_none(found),
        "caution": caution(mine),
        "sentence": sentence(found),
        "unverified_fees": sorted(
            {f"{fee.market} {fee.name} ({fee.certainty})" for fee in traded.costs.fees if fee.certainty != "source"}
        ),
    }


def withheld(traded: Traded) -> dict[str, Message]:
    """Say by currency why no capacity is given: shares were bought whose units are in doubt."""
    found = traded.evaluation
    tried = [item.result for part in found.specifications.values() for item in part]
    bought: dict[str, set[str]] = {}
    for result in (*found.runs.values(), *tried):
        for trade in result.filled:
            if trade.ticker in traded.in_doubt:
                bought.setdefault(trade.currency, set()).add(trade.ticker)
    return {
        currency: say("trade.capacity_withheld", currency=currency, n=len(names), first=", ".join(sorted(names)[:3]))
        for currency, names in sorted(bought.items())
    }


def snooping(tests: Sequence[Superiority]) -> str:
    """Say whether any specification beats each benchmark once all that were tried are counted."""
    reasons = {item.reason for item in tests}
    if len(reasons) == 1 and "" not in reasons:
        return say("snooping.none", why=reasons.pop())
    found = []
    for item in tests:
        survivors = ", ".join(item.superior) or say("snooping.no_rule")
        outcome = item.reason or say("snooping.spa", p=item.spa_consistent, n=item.n_rules, survivors=survivors)
        found.append(say("snooping.against", benchmark=say(f"snooping.{item.benchmark}"), found=outcome))
    return joined(found)


def _gap(traded: Traded) -> float:
    """Mean over traded shocks of the trade's net return less the study's own CAR after the drop."""
    gaps = [row["gap"] for row in shock_rows(traded.evaluation.runs[RULE], traded)]
    known = [gap for gap in gaps if np.isfinite(gap)]
    return float(np.mean(known)) if known else float("nan")


def caution(item: Record) -> str:
    """Say what the Sharpe ratio of few shocks is worth, empty where there are enough."""
    if item.n_shocks == 0 or item.n_shocks >= FEW_SHOCKS:
        return ""
    return say("trade.caution", shocks=_count(item.n_shocks, "shock"))


def why_none(found: Evaluation) -> str:
    """Say why the rule did not trade, empty where it did."""
    result = found.runs[RULE]
    if result.filled:
        return ""
    mine = [d for d in result.decisions if found.rule.trades(d.label)]
    label = None if found.rule.gate == "off" else say(f"label.{found.rule.label}")
    if not mine:
        return say("trade.no_shock") if label is None else say("trade.no_labelled", label=label)
    kinds = Counter(decision.refusal.partition(":")[0] or "blocked" for decision in mine)
    parts = joined([_reason(kind, n) for kind, n in kinds.items()], ", ")
    if label is None:
        return say("trade.of", shocks=_count(len(mine), "shock"), reasons=parts)
    kind = "trade.of_labelled_one" if len(mine) == 1 else "trade.of_labelled"
    return say(kind, n=len(mine), label=label, reasons=parts)


def _reason(kind: str, n: int) -> str:
    key = "trade.was" if n == 1 else "trade.were"
    return say(key, n=n, what=say(f"refused.{_REFUSED[kind]}") if kind in _REFUSED else kind)


def sentence(found: Evaluation) -> str:
    """Say in one plain sentence what the rule earned, never without the number of trades."""
    mine, beside = found.records[RULE], _beside(found)
    if not mine.n_trades:
        return say("trade.none", why=why_none(found), beside=beside)
    low, high = mine.net_interval
    return say(
        "trade.late" if found.rule.gate == "post_hoc" else "trade.earned",
        trades=_count(mine.n_trades, "trade"),
        shocks=_count(mine.n_shocks, "shock"),
        net=mine.net_per_trade,
        interval=(
            say("trade.interval", low=low, high=high)
            if np.isfinite(low)
            else say("trade.no_interval", fewest=FEW_SHOCKS)
        ),
        hits=mine.hits,
        beside=beside,
    )


def _beside(found: Evaluation) -> Message:
    """What the same rule earned on comparable drops, or else on the study's own drops of any label."""
    placebo, every = found.records.get(PLACEBO), found.records[EVERY_DROP]
    if placebo is not None and placebo.n_trades:
        key, other, noun = "trade.comparable", placebo, "drop"
    elif every.n_trades:
        key, other, noun = "trade.every", every, "shock"
    else:
        return say("trade.no_drop")
    counts = {"trades": _count(other.n_trades, "trade"), "drops": _count(other.n_shocks, noun)}
    return say(key, net=other.net_per_trade, **counts)


def _count(n: int, noun: str) -> Message:
    return say(f"count.{noun}{'' if n == 1 else 's'}", n=n)
