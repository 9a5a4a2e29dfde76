"""The backtest of a study: its tapes, shocks and costs put together, and the tables and words of it."""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from eventstudy.backtest.costs import CostTable, cost_table
from eventstudy.backtest.evaluate import (
    EVERY_DROP,
    PLACEBO,
    RULE,
    Evaluation,
    Record,
    by_shock,
    cost_curve,
    evaluate,
)
from eventstudy.backtest.execution import Legs, Trade
from eventstudy.backtest.past_view import Tape
from eventstudy.backtest.portfolio import Run
from eventstudy.backtest.resampling import FEW_SHOCKS, Superiority
from eventstudy.backtest.rule import Decision, Rule, rule_of
from eventstudy.backtest.statistics import sharpe
from eventstudy.backtest.tapes import placebo_shocks, shocks_of, tapes_of
from eventstudy.backtest.trials import question_of
from eventstudy.config import StudyConfig
from eventstudy.core.estimation import Computed, headline_group
from eventstudy.events import Events
from eventstudy.exchanges.exchange import EVER
from eventstudy.messages import Message, joined, say
from eventstudy.prices import PriceTable
from eventstudy.prices.quality import units_in_doubt
from eventstudy.reversal import Judgement

CAVEATS = (say("trade.hindsight"), say("trade.price_index"))
VOLUME = say("trade.volume")
NO_VOLUME = say("trade.no_volume")
UNIT_IN_DOUBT = "unit of volume or price in doubt: no capacity known"
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Traded:
    """A study's backtest with what it was made from; ``car_post`` is the study's own CAR by shock.

    ``in_doubt`` are the peers of whose volume or price nobody knows the unit.
    """

    evaluation: Evaluation
    tapes: Mapping[str, Tape]
    costs: CostTable
    car_post: Mapping[str, float]
    base: str
    currency: str
    in_doubt: frozenset[str] = frozenset()


def trade_study(
    computed: Computed,
    judgement: Judgement,
    events: Events,
    config: StudyConfig,
    prices: PriceTable,
    *,
    group: str = "",
    logged: Mapping[str, float] | None = None,
) -> Traded:
    """Backtest the rule of a study's settings on its headline group, or on another ``group`` of samples.

    ``logged`` are trading specifications that were run before, by digest, with their daily Sharpe ratio.
    """
    tapes = tapes_of(computed.returns, computed.selection.excluded, prices, config)
    group = group or headline_group(config)
    group = "" if group == "all" else group.removeprefix("peers=")
    shocks = shocks_of(events, config, tapes, computed.alignments, group=group)
    setting = config.backtest
    costs = cost_table(list(tapes), config.costs, impact=setting.impact, hedge_bps=setting.hedge_bps)
    rule = rule_of(config)
    found = evaluate(
        rule,
        tapes,
        shocks,
        costs,
        placebos=placebo_shocks(comparable(judgement, rule), shocks, tapes),
        logged=logged,
        declared=setting.trials,
        question=question_of(events, config),
        embargo=setting.embargo,
        draws=config.tests.draws,
        seed=config.study.seed,
    )
    post = dict(zip(judgement.drops.shock_id.tolist(), judgement.drops.post.tolist(), strict=True))
    return Traded(
        evaluation=found,
        tapes=tapes,
        costs=costs,
        car_post=post,
        base=config.study.currency,
        currency=currencies(tapes, prices, config),
        in_doubt=units_in_doubt(computed.findings, config),
    )


def comparable(judgement: Judgement, rule: Rule) -> list[tuple[str, int]]:
    """Return (shock, calendar day) of the placebo drops matched to drops of the labels that it trades."""
    drops, found = judgement.drops, judgement.benchmarks
    return [
        (str(shock), int(day))
        for k, shock in enumerate(drops.shock_id)
        if drops.qualifies[k] and not found.reasons[k] and rule.trades(str(judgement.label[k]))
        for day in found.days(k)
    ]


def currencies(tapes: Mapping[str, Tape], prices: PriceTable, config: StudyConfig) -> str:
    """Say in which currency the result is, what the rates are, and which currencies have none."""
    base = config.study.currency
    foreign = sorted({tape.currency for tape in tapes.values() if tape.tickers} - {base})
    rated = [
        say("fx.at", currency=name, ticker=prices.fx[name].ticker) for name in foreign if name in prices.fx
    ]
    unrated = [
        say("fx.without", currency=name, why=_no_rate(name, prices, config))
        for name in foreign
        if name not in prices.fx
    ]
    text = [say("trade.one_currency", currency=base)]
    if rated:
        text.append(say("fx.rated", rates=joined(rated, ", ")))
    if unrated:
        text.append(say("fx.unrated", names=joined(unrated, ", ")))
    return joined(text)


def _no_rate(currency: str, prices: PriceTable, config: StudyConfig) -> str:
    name = config.backtest.fx.get(currency)
    if name is None:
        return say("fx.not_set", currency=currency)
    if prices.simulated:
        return say("fx.simulated")
    outcome = prices.outcomes.get(name)
    return outcome.message if outcome is not None and outcome.message else say("fx.no_prices", ticker=name)


def rows(traded: Traded) -> dict[str, list[Row]]:
    """Return the rows of every table of the backtest by the table's name."""
    runs = traded.evaluation.runs
    return {
        "trades": [_trade_row(trade, traded) for trade in runs[RULE].trades],
        "comparison_trades": [
            {"run": name, **_trade_row(trade, traded)}
            for name, result in runs.items()
            if name != RULE
            for trade in result.trades
        ],
        "track_record": list(_track_records(traded.evaluation)),
        "pnl": list(_pnl_rows(traded.evaluation)),
        "backtest": [row for result in runs.values() for row in _shock_rows(result, traded)],
        "specifications": list(_specification_rows(traded.evaluation)),
        "cost_sensitivity": [
            {name: getattr(point, name) for name in point.__dataclass_fields__}
            for name, result in runs.items()
            for point in cost_curve(result, traded.evaluation.series[name], traded.tapes)
        ],
        "fees": [
            {
                "market": fee.market,
                "name": fee.name,
                "side": fee.side,
                "bps": fee.bps,
                "first": "" if fee.first == EVER else str(fee.first),
                "until": str(fee.until or ""),
                "source": fee.source,
                "certainty": fee.certainty,
            }
            for fee in traded.costs.fees
        ],
    }


def _trade_row(trade: Trade, traded: Traded) -> Row:
    tape = traded.tapes[trade.mic]
    doubt = trade.ticker in traded.in_doubt
    return {
        "shock_id": trade.shock_id,
        "ticker": trade.ticker,
        "market": trade.mic,
        "label": trade.label,
        "entry_session": tape.day(trade.entry_row) if trade.entry_row < len(tape) else "",
        "exit_session": tape.day(trade.exit_row) if trade.filled else "",
        "entry_price": trade.entry_price,
        "exit_price": trade.exit_price,
        "currency": trade.currency,
        "value": trade.local_value,
        "beta": trade.beta,
        **_shares(trade.local, trade.local_value),
        "adverse_excursion": trade.adverse_excursion,
        "why_entered": trade.why_entered,
        "why_left": trade.why_left,
        "blocked": "; ".join(filter(None, (trade.blocked, UNIT_IN_DOUBT if doubt else ""))),
        "capacity": float("nan") if doubt else trade.room,
        "base_currency": traded.base if trade.base is not None else "",
        "rate_in": trade.rate_in,
        "rate_out": trade.rate_out,
        "value_base": trade.value if trade.base is not None else float("nan"),
        **{f"{name}_base": share for name, share in _shares(trade.base, trade.value).items()},
    }


_PARTS = ("gross", "hedged", "cost", "net")


def _shares(legs: Legs | None, value: float) -> dict[str, float]:
    """Profits and cost as shares of what was bought; NaN where nothing was or the currency has no rate."""
    return {name: legs.total(name) / value if legs and value else float("nan") for name in _PARTS}


def _track_records(found: Evaluation) -> Iterator[Row]:
    """One row a run, intervals as two columns; the capacity is in the trades."""
    for item in (*found.records.values(), found.walk_forward):
        row: Row = {"run": item.name}
        for name, value in _record(item).items():
            if isinstance(value, list):
                short = name.removesuffix("_ci")
                row[f"{short}_lower"], row[f"{short}_upper"] = value
            elif name != "capacity":
                row[name] = value
        yield {**row, "n_trials": item.sharpe.n_trials}


def _pnl_rows(found: Evaluation) -> Iterator[Row]:
    series = found.series[RULE]
    others = {name: found.series[name] for name in (EVERY_DROP, PLACEBO) if name in found.series}
    days = series.day.astype("datetime64[D]").astype(str)
    for i, day in enumerate(days):
        row: Row = {
            "date": str(day),
            "gross": series.gross[i],
            "hedge": series.hedge[i],
            "cost": series.cost[i],
            "net": series.net[i],
            "equity": series.equity[i],
            "n_positions": series.n_positions[i],
            "gross_exposure": series.exposure[i],
        }
        for name in (EVERY_DROP, PLACEBO):
            other = others.get(name)
            row[f"{name}_net"] = float("nan") if other is None else other.net[i]
            row[f"{name}_equity"] = float("nan") if other is None else other.equity[i]
        yield row


def _shock_rows(result: Run, traded: Traded) -> Iterator[Row]:
    grouped = by_shock(result)
    for decision in result.decisions:
        trades = grouped.get(decision.shock_id, [])
        value = sum(trade.value for trade in trades)
        share = {
            name: sum(getattr(trade, name) for trade in trades) / value if value else float("nan")
            for name in _PARTS
        }
        local = sum(trade.local.total("net") / trade.local_value * trade.value for trade in trades)
        net_local = local / value if value else float("nan")
        post = traded.car_post.get(decision.shock_id, float("nan"))
        n_orders = sum(1 for trade in result.trades if trade.shock_id == decision.shock_id)
        yield {
            "run": result.name,
            "shock_id": decision.shock_id,
            "label": decision.label,
            "decided": _instant(decision.time),
            "car_signal": decision.car,
            "s_signal": decision.s,
            "share_negative": decision.share_negative,
            "n_peers": decision.n_peers,
            "qualifies": decision.qualifies,
            "refusal": decision.refusal,
            "n_orders": n_orders,
            "n_filled": len(trades),
            "value": value,
            **share,
            "car_post": post,
            "gap": net_local - post,
            "net_local": net_local,
        }


def _instant(nanoseconds: int) -> str:
    if not nanoseconds:
        return ""
    return dt.datetime.fromtimestamp(nanoseconds / 1e9, tz=dt.UTC).isoformat(timespec="minutes")


def _specification_rows(found: Evaluation) -> Iterator[Row]:
    for name, tried in found.specifications.items():
        for item in tried:
            filled = item.result.filled
            share = np.array([trade.net / trade.value for trade in filled])
            yield {
                "run": name,
                "entry": f"{item.rule.entry_at}+{item.rule.entry_day}",
                "horizon": item.rule.horizon,
                "gate": item.rule.gate,
                "n_trades": len(filled),
                "n_shocks": len(item.result.shocks),
                "net_per_trade": float(share.mean()) if len(share) else float("nan"),
                "net_total": float(item.returns.sum()),
                "sharpe": sharpe(item.returns) * float(np.sqrt(252)),
                "own": item.rule == tried[0].rule,
                "specification": item.digest,
            }


def summarise(traded: Traded) -> Row:
    """Return what the summary says of the backtest."""
    found = traded.evaluation
    mine = found.records[RULE]
    unknown = withheld(traded)
    return {
        **_record(mine, unknown),
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
        "comparison": {name: _record(item, unknown) for name, item in found.records.items() if name != RULE},
        "walk_forward": _record(found.walk_forward, unknown),
        "against": [_against(item) for item in found.against],
        "snooping": snooping(found.against),
        "gap": _gap(traded),
        "pbo": found.overfitting.probability,
        "pbo_reason": found.overfitting.reason,
        "caveats": [*CAVEATS, *_volume_caveats(traded), *unknown.values()],
        "why_none": why_none(found),
        "caution": caution(mine),
        "sentence": sentence(found),
        "unverified_fees": sorted(
            {
                f"{fee.market} {fee.name} ({fee.certainty})"
                for fee in traded.costs.fees
                if fee.certainty != "source"
            }
        ),
    }


def _volume_caveats(traded: Traded) -> list[str]:
    if not any(np.isfinite(tape.volume).any() for tape in traded.tapes.values()):
        return [NO_VOLUME]
    return [VOLUME]


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
        currency: say(
            "trade.capacity_withheld", currency=currency, n=len(names), first=", ".join(sorted(names)[:3])
        )
        for currency, names in sorted(bought.items())
    }


def _record(item: Record, unknown: Collection[str] = ()) -> Row:
    report = item.sharpe
    return {
        "n_decided": item.n_decided,
        "n_trades": item.n_trades,
        "n_shocks": item.n_shocks,
        "n_blocked": item.n_blocked,
        "net_per_trade": item.net_per_trade,
        "net_ci": list(item.net_interval),
        "net_per_shock": item.net_per_shock,
        "gross_per_trade": item.gross_per_trade,
        "hedged_per_trade": item.hedged_per_trade,
        "cost_per_trade": item.cost_per_trade,
        "hits": item.hits,
        "hit_rate": item.hit_rate,
        "hit_ci": list(item.hit_interval),
        "hit_rate_trades": item.hit_rate_trades,
        "profit_factor": item.profit_factor,
        "adverse_excursion": item.adverse_excursion,
        "sharpe": report.annual,
        "sharpe_lo": report.annual_lo,
        "sharpe_se": report.se_annual,
        "sharpe_ci": list(item.sharpe_interval),
        "psr": report.psr,
        "dsr": report.dsr,
        "min_track_record_days": report.min_track_record,
        "n_days": report.n_days,
        "max_drawdown": item.max_drawdown,
        "drawdown_ci": list(item.drawdown_interval),
        "break_even_bps": item.break_even_bps,
        "days_held": item.days_held,
        "capacity": {name: value for name, value in item.capacity.items() if name not in unknown},
    }


def _against(item: Superiority) -> Row:
    return {
        "benchmark": item.benchmark,
        "spa_lower": item.lower,
        "spa_consistent": item.consistent,
        "spa_upper": item.upper,
        "superior": list(item.superior),
        "n_rules": item.n_rules,
        "reason": item.reason,
    }


def snooping(tests: Sequence[Superiority]) -> str:
    """Say whether any specification beats each benchmark once all that were tried are counted."""
    reasons = {item.reason for item in tests}
    if len(reasons) == 1 and "" not in reasons:
        return say("snooping.none", why=reasons.pop())
    found = []
    for item in tests:
        survivors = ", ".join(item.superior) or say("snooping.no_rule")
        outcome = item.reason or say("snooping.spa", p=item.consistent, n=item.n_rules, survivors=survivors)
        found.append(say("snooping.against", benchmark=say(f"snooping.{item.benchmark}"), found=outcome))
    return joined(found)


def _gap(traded: Traded) -> float:
    """Mean over traded shocks of the trade's net return less the study's own CAR after the drop."""
    gaps = [row["gap"] for row in _shock_rows(traded.evaluation.runs[RULE], traded)]
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
    parts = joined([_reason(group, n) for group, n in _refusals(mine).items()], ", ")
    if label is None:
        return say("trade.of", shocks=_count(len(mine), "shock"), reasons=parts)
    kind = "trade.of_labelled_one" if len(mine) == 1 else "trade.of_labelled"
    return say(kind, n=len(mine), label=label, reasons=parts)


def _refusals(decisions: list[Decision]) -> dict[str, int]:
    counts: dict[str, int] = {}
    for decision in decisions:
        kind = decision.refusal.partition(":")[0] or "blocked"
        counts[kind] = counts.get(kind, 0) + 1
    return counts


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
