"""Run the backtest of a study: join its prices, shocks and costs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from eventstudy.backtest.costs import CostTable, cost_table
from eventstudy.backtest.evaluate import Evaluation, evaluate
from eventstudy.backtest.past_view import Tape
from eventstudy.backtest.rule import Rule, rule_of
from eventstudy.backtest.tapes import placebo_shocks, shocks_of, tapes_of
from eventstudy.backtest.trials import question_of
from eventstudy.config import StudyConfig
from eventstudy.core.arrays import Counts
from eventstudy.core.estimation import Computed, headline_group
from eventstudy.errors import Reason
from eventstudy.events import Events
from eventstudy.prices import PriceTable
from eventstudy.prices.quality import units_in_doubt
from eventstudy.reversal import Shocks
from eventstudy.reversal.controls import lead_of
from eventstudy.reversal.matching import FEWEST_MATCHES, match


@dataclass(frozen=True, slots=True, kw_only=True)
class Traded:
    """A study's backtest with its inputs; ``car_post`` is the study's own CAR by shock.

    ``currency`` is the currency of the result. ``in_doubt`` are the peers whose unit of volume or price is unknown.
    """

    evaluation: Evaluation
    tapes: Mapping[str, Tape]
    costs: CostTable
    car_post: Mapping[str, float]
    base: str
    currency: Reason
    in_doubt: frozenset[str] = frozenset()


def trade_study(
    computed: Computed,
    judged: Shocks,
    events: Events,
    config: StudyConfig,
    prices: PriceTable,
    *,
    group: str = "",
    logged: Mapping[str, float] | None = None,
) -> Traded:
    """Backtest the rule of a study's settings on its headline group, or on another ``group``.

    ``logged`` are trading specifications that were run before, by digest, with their daily Sharpe ratio.
    """
    tapes = tapes_of(computed.returns, computed.selection.excluded, prices, config)
    shocks = shocks_of(events, config, tapes, computed.alignments, group=group or headline_group(config))
    setting, rule, drops = config.backtest, rule_of(config), judged.drops
    costs = cost_table(list(tapes), config.costs, impact=setting.impact, hedge_bps=setting.hedge_bps)
    found = evaluate(
        rule,
        tapes,
        shocks,
        costs,
        placebos=placebo_shocks(comparable(judged, rule), shocks, tapes),
        logged=logged,
        declared=setting.trials,
        question=question_of(events, config),
        embargo=setting.embargo,
        draws=config.tests.draws,
        seed=config.study.seed,
    )
    return Traded(
        evaluation=found,
        tapes=tapes,
        costs=costs,
        car_post=dict(zip(drops.shock_id.tolist(), drops.post.tolist(), strict=True)),
        base=config.study.currency,
        currency=currencies(tapes, prices, config),
        in_doubt=units_in_doubt(computed.findings, config),
    )


def comparable(judged: Shocks, rule: Rule) -> list[tuple[str, int]]:
    """Return (shock, calendar day) of the control drops matched to drops with the labels that the rule trades.

    With ``reversal.controls = "before"`` each drop is matched separately, among drops whose post windows were over
    before it began, which a trader could have known.
    """
    drops, found = judged.drops, judged.benchmarks
    days = _past_days if judged.history.config.reversal.controls == "before" else lambda _, k: found.days(k)
    return [
        (str(shock), int(day))
        for k, shock in enumerate(drops.shock_id)
        if drops.qualifies[k] and not found.reasons[k] and rule.trades(str(judged.label[k]))
        for day in days(judged, k)
    ]


def _past_days(judged: Shocks, k: int) -> Counts:
    """Dates of the most similar earlier drops whose post windows were over; empty if there are too few."""
    pool, windows = judged.benchmarks.pools[k], judged.history.config.windows
    sessions = judged.history.days(judged.tickers[k])
    own = np.searchsorted(sessions, judged.drops.day0[k].astype("datetime64[D]").astype(np.int64))
    past = pool.take(np.searchsorted(sessions, pool.day) + lead_of("before", windows.drop, windows.post) <= own)
    (nearest,) = match(judged.traits[[k]], [past], [judged.benchmarks.grids[k]], many=False)
    return past.day[nearest.rows] if len(nearest.rows) >= FEWEST_MATCHES else past.day[:0]


def currencies(tapes: Mapping[str, Tape], prices: PriceTable, config: StudyConfig) -> Reason:
    """Return the currency of the result, the exchange rates, and currencies without a rate."""
    base, rated, unrated = config.study.currency, list[Reason](), list[Reason]()
    for name in sorted({tape.currency for tape in tapes.values() if tape.tickers} - {base}):
        if name in prices.fx:
            rated.append(Reason("fx.at", currency=name, ticker=prices.fx[name].ticker))
        else:
            unrated.append(Reason("fx.without", currency=name, why=_no_rate(name, prices, config)))
    return Reason.join(
        (
            Reason("trade.one_currency", currency=base),
            Reason("fx.rated", rates=Reason.join(rated, ", ")) if rated else Reason(),
            Reason("fx.unrated", names=Reason.join(unrated, ", ")) if unrated else Reason(),
        )
    )


def _no_rate(currency: str, prices: PriceTable, config: StudyConfig) -> Reason:
    name = config.backtest.fx.get(currency)
    if name is None:
        return Reason("fx.not_set", currency=currency)
    if prices.simulated:
        return Reason("fx.simulated")
    outcome = prices.outcomes.get(name)
    return (outcome and outcome.message) or Reason("fx.no_prices", ticker=name)
