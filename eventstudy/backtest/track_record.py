"""The track record of one run: results by shock, with intervals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from eventstudy.backtest.execution import Trade
from eventstudy.backtest.past_view import Floats
from eventstudy.backtest.portfolio import Daily, Run
from eventstudy.backtest.resampling import FEW_SHOCKS, shock_interval, stationary_intervals
from eventstudy.backtest.statistics import (
    SharpeReport,
    max_drawdown,
    max_drawdowns,
    profit_factor,
    sharpe_report,
    sharpes,
    wilson,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """The track record of one run; returns are relative to the value bought.

    ``hit_rate`` counts shocks, not trades, because trades of one shock share its days. ``break_even_bps`` is the
    one-sided cost of the long leg at which the mean trade earns nothing after the cost of the index leg. ``capacity``
    maps a currency to the capital in it at which the first order reaches the limit.
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
    ratio: SharpeReport
    sharpe_interval: tuple[float, float]
    max_drawdown: float
    drawdown_interval: tuple[float, float]
    break_even_bps: float
    capacity: Mapping[str, float]
    days_held: float


def by_shock(result: Run) -> dict[str, list[Trade]]:
    """Filled trades of each shock, in order of time."""
    return {name: [t for t in result.filled if t.shock_id == name] for name in result.shocks}


def record(result: Run, series: Daily, ratios: Sequence[float], *, trials: int, draws: int, seed: int) -> Record:
    """Return the record of one run; ``ratios`` are the daily Sharpe ratios of all trials."""
    filled, grouped = result.filled, by_shock(result)
    net, gross, hedged, cost, hedge_cost, depth = (
        np.array([getattr(trade, name) for trade in filled], dtype=float)
        for name in ("net", "gross", "hedged", "cost", "hedge_cost", "adverse_excursion")
    )
    value = np.array([trade.value for trade in filled])
    share = net / value
    shares = [np.array([trade.net / trade.value for trade in trades]) for trades in grouped.values()]
    profits = np.array([sum(trade.net for trade in trades) for trades in grouped.values()])
    worth = np.array([sum(trade.value for trade in trades) for trades in grouped.values()])
    hits, n = int((profits > 0).sum()), len(profits)
    held = np.array([len(trade.rows) - 1 for trade in filled], dtype=float)
    returns = series.returns
    lags = int(np.ceil(held.mean())) if len(held) else 1
    # Resampling few shocks repeats the same shocks, so there is no interval.
    moving = returns if n >= FEW_SHOCKS else np.zeros(0)
    ratio_interval, fall_interval = stationary_intervals(
        moving, [lambda x: sharpes(x) * np.sqrt(252), max_drawdowns], draws=min(draws, 1_000), seed=seed
    )
    return Record(
        name=result.name,
        n_decided=sum(1 for d in result.decisions if d.time),
        n_trades=len(filled),
        n_shocks=n,
        n_blocked=len(result.trades) - len(filled),
        net_per_trade=mean(share),
        net_interval=shock_interval(shares, draws=draws, seed=seed),
        net_per_shock=mean(profits / worth),
        gross_per_trade=mean(gross / value),
        hedged_per_trade=mean(hedged / value),
        cost_per_trade=mean(cost / value),
        hits=hits,
        hit_rate=hits / n if n else float("nan"),
        hit_interval=wilson(hits, n),
        hit_rate_trades=mean((net > 0).astype(float)),
        profit_factor=profit_factor(profits),
        adverse_excursion=mean(depth),
        ratio=sharpe_report(returns, trial_ratios=ratios, trials=trials, lags=lags),
        sharpe_interval=ratio_interval,
        max_drawdown=max_drawdown(returns),
        drawdown_interval=fall_interval,
        break_even_bps=mean((hedged - hedge_cost) / value) / 2 * 1e4,
        capacity=capacity(filled),
        days_held=mean(held),
    )


def capacity(trades: Sequence[Trade]) -> dict[str, float]:
    """Capital at which the first order of each currency reaches the limit; empty without volume."""
    rooms: dict[str, list[float]] = {}
    for trade in trades:
        if np.isfinite(trade.room):
            rooms.setdefault(trade.currency, []).append(trade.room)
    return {currency: min(values) for currency, values in sorted(rooms.items())}


def mean(values: Floats) -> float:
    """Mean; NaN if empty."""
    return float(values.mean()) if len(values) else float("nan")
