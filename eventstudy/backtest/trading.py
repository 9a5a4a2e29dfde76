"""The backtest of a study: its prices, shocks and costs put together."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from eventstudy.backtest.costs import CostTable, cost_table
from eventstudy.backtest.evaluate import Evaluation, evaluate
from eventstudy.backtest.past_view import Tape
from eventstudy.backtest.rule import Rule, rule_of
from eventstudy.backtest.tapes import placebo_shocks, shocks_of, tapes_of
from eventstudy.backtest.trials import question_of
from eventstudy.config import StudyConfig
from eventstudy.core.estimation import Computed, headline_group
from eventstudy.events import Events
from eventstudy.messages import joined, say, text
from eventstudy.prices import PriceTable
from eventstudy.prices.quality import units_in_doubt
from eventstudy.reversal import Judgement


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
    rated = [say("fx.at", currency=name, ticker=prices.fx[name].ticker) for name in foreign if name in prices.fx]
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
    return text(outcome.message) if outcome is not None and outcome.message else say("fx.no_prices", ticker=name)
