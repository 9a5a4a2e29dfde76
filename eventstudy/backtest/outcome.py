"""Outcome of a backtest: the rows of its tables, facts for the summary and plain sentences."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from eventstudy.backtest.evaluate import EVERY_DROP, PLACEBO, RULE, Evaluation, cost_curve
from eventstudy.backtest.execution import Legs, Trade
from eventstudy.backtest.portfolio import Run
from eventstudy.backtest.resampling import FEW_SHOCKS, Superiority
from eventstudy.backtest.statistics import drawdowns, sharpe
from eventstudy.backtest.track_record import Record, by_shock, mean
from eventstudy.backtest.trading import Traded
from eventstudy.errors import Reason
from eventstudy.exchanges.exchange import EVER
from eventstudy.messages import catalogue, retold

#: Counts in the sentence if a rule did not trade, by reason.
_COUNTED = {
    f"refusal.{name}": Reason(f"refused.{name}")
    for name in ("not_public", "no_drop", "late_label", "no_room", "no_prices", "no_peer")
}
_UNFILLED = Reason("refused.blocked")
#: Parts of a trade's result, with the names of `Legs.total`.
_PARTS = ("gross", "hedged", "cost", "net")
_NAN = float("nan")
Row = dict[str, Any]
#: Tables of the backtest, those of `rows`.
TABLES = (
    "trades",
    "comparison_trades",
    "track_record",
    "pnl",
    "backtest",
    "specifications",
    "cost_sensitivity",
    "fees",
)


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


def rows(traded: Traded) -> dict[str, list[Row]]:
    """Return the rows of every table of the backtest by the table's name."""
    found = traded.evaluation
    others = [(name, trade) for name, result in found.runs.items() if name != RULE for trade in result.trades]
    curves = [cost_curve(result, found.series[name], traded.tapes) for name, result in found.runs.items()]
    return {
        "trades": [_trade_row(trade, traded) for trade in found.runs[RULE].trades],
        "comparison_trades": [{"run": name, **_trade_row(trade, traded)} for name, trade in others],
        "track_record": list(_track_records(found)),
        "pnl": list(_pnl_rows(found)),
        "backtest": [row for result in found.runs.values() for row in shock_rows(result, traded)],
        "specifications": list(_specification_rows(found)),
        "cost_sensitivity": [row for curve in curves for row in curve],
        "fees": [
            asdict(fee) | {"first": "" if fee.first == EVER else str(fee.first), "until": str(fee.until or "")}
            for fee in traded.costs.fees
        ],
    }


def _trade_row(trade: Trade, traded: Traded) -> Row:
    tape, rated = traded.tapes[trade.mic], trade.base is not None
    doubt = trade.ticker in traded.in_doubt
    return {
        "shock_id": trade.shock_id,
        "ticker": trade.ticker,
        "market": trade.mic,
        "label": trade.decision.label,
        "entry_session": tape.day(trade.entry_row) if trade.entry_row < len(tape) else "",
        "exit_session": tape.day(trade.exit_row) if trade.filled else "",
        "entry_price": trade.entry_price,
        "exit_price": trade.exit_price,
        "currency": trade.currency,
        "value": trade.local_value,
        "beta": trade.order.beta,
        **_shares(trade.local, trade.local_value),
        "adverse_excursion": trade.adverse_excursion,
        "why_entered": trade.why_entered,
        "why_left": trade.why_left,
        "blocked": Reason.join((trade.blocked, Reason("order.unit_in_doubt" if doubt else ""))),
        "capacity": _NAN if doubt else trade.room,
        "base_currency": traded.base if rated else "",
        "rate_in": trade.rate_in,
        "rate_out": trade.rate_out,
        "value_base": trade.value if rated else _NAN,
        **{f"{name}_base": share for name, share in _shares(trade.base, trade.value).items()},
    }


def _shares(legs: Legs | None, value: float) -> dict[str, float]:
    """Profits and cost relative to the value bought; NaN if nothing was bought or the currency has no rate."""
    return {name: legs.total(name) / value if legs and value else _NAN for name in _PARTS}


def _track_records(found: Evaluation) -> Iterator[Row]:
    """One row for each run, intervals as two columns; the capacity is in the trades."""
    for item in (*found.records.values(), found.walk_forward):
        row: Row = {"run": item.name}
        for name, value in record_row(item).items():
            if isinstance(value, list):
                short = name.removesuffix("_ci")
                row[f"{short}_lower"], row[f"{short}_upper"] = value
            elif name != "capacity":
                row[name] = value
        yield {**row, "n_trials": found.trials.total}


def record_row(item: Record, unknown: Collection[str] = ()) -> Row:
    """Return a track record as plain values; ``unknown`` are currencies whose capacity is withheld."""
    own = {name: value for name, value in asdict(item).items() if name not in ("name", "ratio")}
    return {
        **{n.replace("_interval", "_ci"): list(v) if isinstance(v, tuple) else v for n, v in own.items()},
        **asdict(item.ratio),
        "capacity": {name: value for name, value in item.capacity.items() if name not in unknown},
    }


def _pnl_rows(found: Evaluation) -> Iterator[Row]:
    series = found.series[RULE]
    columns = {name: getattr(series, name) for name in ("gross", "hedge", "cost", "net", "equity")}
    columns |= {"drawdown": drawdowns(series.returns), "n_positions": series.n_positions}
    columns["gross_exposure"] = series.exposure
    for name in (EVERY_DROP, PLACEBO):
        other, unknown = found.series.get(name), np.full(len(series.day), np.nan)
        columns[f"{name}_net"] = unknown if other is None else other.net
        columns[f"{name}_equity"] = unknown if other is None else other.equity
    for i, day in enumerate(series.day.astype("datetime64[D]").astype(str)):
        yield {"date": str(day), **{name: values[i] for name, values in columns.items()}}


def shock_rows(result: Run, traded: Traded) -> Iterator[Row]:
    """Yield a row for each shock with a decision."""
    grouped = by_shock(result)
    for decision in result.decisions:
        trades = grouped.get(decision.shock_id, [])
        value = sum(trade.value for trade in trades)
        local = sum(trade.local.total("net") / trade.local_value * trade.value for trade in trades)
        net_local = local / value if value else _NAN
        post = traded.car_post.get(decision.shock_id, _NAN)
        decided = dt.datetime.fromtimestamp(decision.time / 1e9, tz=dt.UTC) if decision.time else None
        yield {
            "run": result.name,
            "shock_id": decision.shock_id,
            "label": decision.label,
            "decided": decided.isoformat(timespec="minutes") if decided else "",
            "car_signal": decision.car,
            "s_signal": decision.s,
            "share_negative": decision.share_negative,
            "n_peers": decision.n_peers,
            "qualifies": decision.qualifies,
            "refusal": decision.refusal,
            "n_orders": sum(trade.shock_id == decision.shock_id for trade in result.trades),
            "n_filled": len(trades),
            "value": value,
            **{name: sum(getattr(trade, name) for trade in trades) / value if value else _NAN for name in _PARTS},
            "car_post": post,
            "gap": net_local - post,
            "net_local": net_local,
        }


def _specification_rows(found: Evaluation) -> Iterator[Row]:
    for name, tried in found.specifications.items():
        for item in tried:
            filled = item.result.filled
            yield {
                "run": name,
                "entry": f"{item.rule.entry_at}+{item.rule.entry_day}",
                "horizon": item.rule.horizon,
                "gate": item.rule.gate,
                "n_trades": len(filled),
                "n_shocks": len(item.result.shocks),
                "net_per_trade": mean(np.array([trade.net / trade.value for trade in filled])),
                "net_total": float(item.returns.sum()),
                "sharpe": sharpe(item.returns) * float(np.sqrt(252)),
                "own": item.rule == tried[0].rule,
                "specification": item.digest,
            }
