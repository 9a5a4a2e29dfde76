"""Resampled intervals, tests against a benchmark over many rules, and the probability of overfitting."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import special

from .view import Floats

#: Below so many shocks nothing about a record generalises.
FEW_SHOCKS = 6
#: Overfitting by cross-validation means nothing below these.
FEWEST_SHOCKS, FEWEST_RULES, BLOCKS = 30, 10, 16


def block_length(returns: Floats) -> float:
    """Mean block of the stationary bootstrap (Politis and White 2004), at least 1."""
    from arch.bootstrap import optimal_block_length

    if not np.std(returns) > 0:
        return 1.0
    found = float(optimal_block_length(returns).to_numpy()[0, 0])
    return max(found, 1.0) if np.isfinite(found) else max(np.sqrt(len(returns)), 1.0)


def stationary_interval(
    returns: Floats, statistic: Callable[[Floats], float], *, draws: int, seed: int, level: float = 0.95
) -> tuple[float, float]:
    """Percentile interval of a statistic of daily returns (stationary bootstrap, Politis and Romano 1994).

    NaN where the series never moves, or where too few draws allow the statistic.
    """
    if len(returns) < 2 or not np.std(returns) > 0:
        return float("nan"), float("nan")
    from arch.bootstrap import StationaryBootstrap

    bootstrap = StationaryBootstrap(block_length(returns), returns, seed=np.random.default_rng(seed))
    values = np.array([statistic(data[0][0]) for data in bootstrap.bootstrap(draws)])
    return _percentiles(values, level)


def shock_interval(
    values: Sequence[Floats], *, draws: int, seed: int, level: float = 0.95
) -> tuple[float, float]:
    """Percentile interval of the mean over trades, with whole shocks drawn: ``values`` has one array a shock.

    Trades of one shock share its days and are no independent evidence. NaN below six shocks, where the
    draws are too few different ones: with two, half of all draws repeat a single shock.
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


@dataclass(frozen=True, slots=True)
class Superiority:
    """Hansen's test that no rule beats the benchmark, and the rules that survive the step-down.

    NaN with a ``reason`` where it cannot be had.
    """

    benchmark: str
    lower: float
    consistent: float
    upper: float
    superior: tuple[str, ...]
    n_rules: int
    reason: str = ""


def superiority(
    rules: Floats, names: Sequence[str], benchmark: Floats, benchmark_name: str,
    *, n_shocks: int, draws: int, seed: int, level: float = 0.05,
) -> Superiority:  # fmt: skip
    """Test T x R daily net returns against a benchmark of shape (T,).

    Hansen (2005) for the p-values, Romano and Wolf (2005) for the set of superior rules, both with the
    stationary bootstrap and losses = -returns. Rules that never differ from the benchmark are left out.
    Blocks of days stand for independent evidence, which days of one shock are not: below six shocks
    the test does not apply.
    """
    if n_shocks < FEW_SHOCKS:
        nan, why = float("nan"), f"the rule traded {n_shocks} shock(s), the test takes {FEW_SHOCKS}"
        return Superiority(benchmark_name, nan, nan, nan, (), rules.shape[1], why)
    differs = np.std(rules - benchmark[:, None], axis=0) > 1e-14
    kept = [name for name, keep in zip(names, differs, strict=True) if keep]
    nan = float("nan")
    if not kept:
        return Superiority(benchmark_name, nan, nan, nan, (), 0, "no rule ever differs from the benchmark")
    from arch.bootstrap import SPA, StepM

    block = int(np.ceil(max(block_length(column) for column in (rules[:, differs] - benchmark[:, None]).T)))
    losses = -rules[:, differs]
    test = SPA(-benchmark, losses, block_size=block, reps=draws, bootstrap="stationary", seed=seed)
    test.compute()
    p = test.pvalues
    steps = StepM(
        -benchmark, losses, size=level, block_size=block, reps=draws, bootstrap="stationary", seed=seed
    )
    steps.compute()
    best = tuple(kept[int(i)] for i in steps.superior_models)
    return Superiority(
        benchmark_name, float(p["lower"]), float(p["consistent"]), float(p["upper"]), best, len(kept)
    )


@dataclass(frozen=True, slots=True)
class Overfitting:
    """Probability of backtest overfitting; NaN with a ``reason`` where it is not meaningful."""

    probability: float
    n_splits: int
    reason: str = ""


def overfitting(returns: Floats, *, n_shocks: int, blocks: int = BLOCKS) -> Overfitting:
    """PBO of T x R daily returns by combinatorially symmetric cross-validation (Bailey et al. 2017).

    Needs 30 shocks, 10 rules, and every rule moving in each of the blocks; else it is not meaningful.

    Notes
    -----
    The days fall into S blocks. Each half of the blocks in turn chooses the rule with the best Sharpe
    ratio; its rank r among R in the other half gives the logit of r/(R+1). PBO is the share of splits
    with a logit of at most zero.
    """
    nan = float("nan")
    if n_shocks < FEWEST_SHOCKS:
        return Overfitting(nan, 0, f"PBO not meaningful: {n_shocks} shock(s), it takes {FEWEST_SHOCKS}")
    parts = np.array_split(np.arange(len(returns)), blocks)
    if returns.shape[1] < FEWEST_RULES:
        return Overfitting(nan, 0, f"PBO not meaningful: {returns.shape[1]} rules, it takes {FEWEST_RULES}")
    if any((np.std(returns[part], axis=0) == 0).any() for part in parts):
        return Overfitting(nan, 0, f"PBO not meaningful: not every rule trades in each of {blocks} blocks")
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
