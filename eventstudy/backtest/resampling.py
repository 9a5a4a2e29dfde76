"""Resampled intervals, tests against a benchmark over many rules, and the probability of overfitting.

``arch.bootstrap`` also has the stationary bootstrap and its block length, but importing it takes 0.65 s of processor
time (479 modules). So only Hansen's test, which needs a long record, imports it; tests compare `block_length` with
that of arch.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import special

from eventstudy.backtest.past_view import Floats
from eventstudy.core.statistics.resampled import stationary_positions
from eventstudy.errors import Reason

#: Smallest number of shocks for intervals and tests of a record.
FEW_SHOCKS = 6
#: Smallest numbers of shocks and rules for cross-validation.
FEWEST_SHOCKS, FEWEST_RULES, BLOCKS = 30, 10, 16
#: Number of consecutive small autocorrelations after which later ones count as zero.
_RUN = 5
#: Number of resampled days in memory at once (32 MB).
AT_ONCE = 500_000


def block_length(returns: Floats) -> float:
    """Mean block of the stationary bootstrap of T daily returns, between 1 and min(3 sqrt(T), T/3).

    Notes
    -----
    Politis and White (2004) with the correction of Patton, Politis and White (2009):
    b = (2 G^2 / D)^(1/3) T^(1/3), D = 2 S^2, G and S sums over the lags |k| <= M of w(k) |k| R(k) and of
    w(k) R(k), R the autocovariances with divisor T and w the flat-top window min(1, 2 (1 - |k|/M)). M is
    twice the lag after which five autocorrelations in a row lie within 2 sqrt(log10(T)/T), at most
    ceil(sqrt(T)) + 5. 1 if returns do not vary.
    """
    n = len(returns)
    if not np.std(returns) > 0:
        return 1.0
    x = returns - returns.mean()
    most = min(int(np.ceil(np.sqrt(n))) + _RUN, n - 1)
    products = np.array([x[k:] @ x[: n - k] for k in range(most + 1)])
    m = _last_lag(x, products, most)
    k = np.arange(1, m + 1)
    weighted = 2 * np.minimum(1.0, 2 * (1 - k / m)) * products[1 : m + 1] / n
    g, s = float((k * weighted).sum()), float(products[0] / n + weighted.sum())
    if s == 0:
        return max(float(np.sqrt(n)), 1.0)
    longest = float(np.ceil(min(3 * np.sqrt(n), n / 3)))
    length: float = ((g / s) ** 2 * n) ** (1 / 3)
    return max(min(length, longest), 1.0)


def _last_lag(x: Floats, products: Floats, most: int) -> int:
    """Lags that enter `block_length`: M, from the products of the deviations at each lag up to ``most``."""
    n = len(x)
    before, after = (np.cumsum(part**2)[::-1] for part in (x, x[::-1]))
    square = before[1 : most + 1] * after[1 : most + 1]
    with np.errstate(divide="ignore", invalid="ignore"):
        small = np.abs(products[: len(square)]) / np.sqrt(square) < 2 * np.sqrt(np.log10(n) / n)
    runs = np.lib.stride_tricks.sliding_window_view(small, min(_RUN, len(small))).all(axis=1)
    found = np.flatnonzero(runs)
    return min(2 * max(int(found[0]), 1), most) if len(found) else most


def stationary_intervals(
    returns: Floats, statistics: Sequence[Callable[[Floats], Floats]], *, draws: int, seed: int, level: float = 0.95
) -> list[tuple[float, float]]:
    """Percentile intervals of statistics of daily returns (stationary bootstrap, Politis and Romano 1994).

    All statistics work along the last axis and use the same resamples. NaN if the series does not vary, or if the
    statistic is defined for too few draws.
    """
    n = len(returns)
    if n < 2 or not np.std(returns) > 0:
        return [(float("nan"), float("nan"))] * len(statistics)
    rng, block = np.random.default_rng(seed), block_length(returns)
    values, at_once = np.empty((len(statistics), draws)), max(AT_ONCE // n, 1)
    for first in range(0, draws, at_once):
        size = min(at_once, draws - first)
        resampled = returns[stationary_positions(n, size, width=n, mean_block=block, rng=rng)]
        values[:, first : first + size] = [statistic(resampled) for statistic in statistics]
    return [_percentiles(row, level) for row in values]


def shock_interval(values: Sequence[Floats], *, draws: int, seed: int, level: float = 0.95) -> tuple[float, float]:
    """Percentile interval of the mean over trades, resampling whole shocks: ``values`` has one array for each shock.

    Trades of one shock share its days and are not independent. NaN below six shocks, because there are too few
    distinct draws: with two shocks, half of all draws repeat one of them.
    """
    if len(values) < FEW_SHOCKS:
        return float("nan"), float("nan")
    totals = np.array([shock.sum() for shock in values])
    counts = np.array([len(shock) for shock in values])
    drawn = np.random.default_rng(seed).integers(0, len(values), (draws, len(values)))
    return _percentiles(totals[drawn].sum(axis=1) / counts[drawn].sum(axis=1), level)


def _percentiles(values: Floats, level: float) -> tuple[float, float]:
    finite = values[np.isfinite(values)]
    if len(finite) < len(values) / 2:
        return float("nan"), float("nan")
    low, high = np.percentile(finite, [50 * (1 - level), 50 * (1 + level)])
    return float(low), float(high)


@dataclass(frozen=True, slots=True, kw_only=True)
class Superiority:
    """Hansen's test that no rule beats the benchmark, and the superior rules by the step-down.

    NaN with a ``reason`` if it does not apply. ``spa_lower``, ``spa_consistent`` and ``spa_upper`` are his three
    p-values.
    """

    benchmark: str
    spa_lower: float = float("nan")
    spa_consistent: float = float("nan")
    spa_upper: float = float("nan")
    superior: tuple[str, ...] = ()
    n_rules: int
    reason: Reason = Reason()


def superiority(
    rules: Floats,
    names: Sequence[str],
    benchmark: Floats,
    benchmark_name: str,
    *,
    n_shocks: int,
    draws: int,
    seed: int,
    level: float = 0.05,
) -> Superiority:
    """Test T x R daily net returns against a benchmark of shape (T,).

    Hansen (2005) for the p-values, Romano and Wolf (2005) for the set of superior rules, both with the
    stationary bootstrap and losses = -returns. Rules that never differ from the benchmark are left out.
    Blocks of days are treated as independent, but days of one shock are not, so the test needs six shocks.
    """
    if n_shocks < FEW_SHOCKS:
        why = Reason("trade.few_shocks", n=n_shocks, fewest=FEW_SHOCKS)
        return Superiority(benchmark=benchmark_name, n_rules=rules.shape[1], reason=why)
    differs = np.std(rules - benchmark[:, None], axis=0) > 1e-14
    kept = [name for name, keep in zip(names, differs, strict=True) if keep]
    if not kept:
        return Superiority(benchmark=benchmark_name, n_rules=0, reason=Reason("snooping.same"))
    from arch.bootstrap import SPA, StepM

    block = int(np.ceil(max(block_length(column) for column in (rules[:, differs] - benchmark[:, None]).T)))
    losses = -rules[:, differs]
    test = SPA(-benchmark, losses, block_size=block, reps=draws, bootstrap="stationary", seed=seed)
    test.compute()
    p = test.pvalues
    steps = StepM(-benchmark, losses, size=level, block_size=block, reps=draws, bootstrap="stationary", seed=seed)
    steps.compute()
    best = tuple(kept[int(i)] for i in steps.superior_models)
    return Superiority(
        benchmark=benchmark_name,
        spa_lower=float(p["lower"]),
        spa_consistent=float(p["consistent"]),
        spa_upper=float(p["upper"]),
        superior=best,
        n_rules=len(kept),
    )


@dataclass(frozen=True, slots=True)
class Overfitting:
    """Probability of backtest overfitting; NaN with a ``reason`` if it is not meaningful."""

    probability: float
    n_splits: int
    reason: Reason = Reason()


def overfitting(returns: Floats, *, n_shocks: int, blocks: int = BLOCKS) -> Overfitting:
    """PBO of T x R daily returns by combinatorially symmetric cross-validation (Bailey et al. 2017).

    Needs 30 shocks, 10 rules, and trades of every rule in each block; else it is not meaningful.

    Notes
    -----
    The days are divided into S blocks. For each choice of half of the blocks, the rule with the best Sharpe ratio is
    found; its rank r among R rules in the other half gives the logit of r/(R+1). PBO is the share of splits
    with a logit of at most zero.
    """
    nan = float("nan")
    if n_shocks < FEWEST_SHOCKS:
        return Overfitting(nan, 0, Reason("pbo.shocks", n=n_shocks, fewest=FEWEST_SHOCKS))
    parts = np.array_split(np.arange(len(returns)), blocks)
    if returns.shape[1] < FEWEST_RULES:
        return Overfitting(nan, 0, Reason("pbo.rules", n=returns.shape[1], fewest=FEWEST_RULES))
    if any((np.std(returns[part], axis=0) == 0).any() for part in parts):
        return Overfitting(nan, 0, Reason("pbo.blocks", n=blocks))
    return cross_validated(returns, parts)


def cross_validated(returns: Floats, parts: Sequence[NDArray[np.intp]]) -> Overfitting:
    """Share of the splits of these blocks in which the best rule of one half is below the other's median."""
    count = np.array([len(part) for part in parts], dtype=float)
    total = np.array([returns[part].sum(axis=0) for part in parts])
    square = np.array([(returns[part] ** 2).sum(axis=0) for part in parts])
    chosen = np.array(list(itertools.combinations(range(len(parts)), len(parts) // 2)))
    inside = np.zeros((len(chosen), len(parts)))
    np.put_along_axis(inside, chosen, 1.0, axis=1)
    best = _ratios(inside, count, total, square).argmax(axis=1)
    out = _ratios(1.0 - inside, count, total, square)
    rank = 1 + (out < np.take_along_axis(out, best[:, None], axis=1)).sum(axis=1)
    logits = special.logit(rank / (returns.shape[1] + 1))
    return Overfitting(float(np.mean(logits <= 0)), len(logits))


def _ratios(halves: Floats, count: Floats, total: Floats, square: Floats) -> Floats:
    """Sharpe ratios of every rule over each half, (splits, R), from sums over the blocks."""
    n = (halves @ count)[:, None]
    mean = halves @ total / n
    variance = (halves @ square - n * mean**2) / (n - 1)
    ratios: Floats = mean / np.sqrt(np.maximum(variance, 1e-30))
    return ratios
