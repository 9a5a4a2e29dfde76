"""Statistics of a track record: hit rate, Sharpe ratio with its standard error, correction for many trials."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import special

from eventstudy.backtest.past_view import Floats

SESSIONS_A_YEAR = 252
EULER = 0.5772156649015329
#: A standard deviation this small relative to the largest value is rounding error.
_ZERO = 1e-15


def wilson(hits: int, n: int, level: float = 0.95) -> tuple[float, float]:
    """Score interval of a share (Wilson 1927); NaN without observations.

    Notes
    -----
    (p + z^2/2n +- z sqrt(p(1-p)/n + z^2/4n^2)) / (1 + z^2/n)
    """
    if n == 0:
        return float("nan"), float("nan")
    z = float(special.ndtri(0.5 + level / 2))
    p = hits / n
    middle, half = p + z * z / (2 * n), z * np.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    scale = 1 + z * z / n
    return float((middle - half) / scale), float((middle + half) / scale)


def profit_factor(profits: Floats) -> float:
    """Sum of the gains over the sum of the losses; infinite without losses, NaN without trades."""
    gains, losses = profits[profits > 0].sum(), -profits[profits < 0].sum()
    if losses > 0:
        return float(gains / losses)
    return float("inf") if gains > 0 else float("nan")


def sharpe(returns: Floats) -> float:
    """Mean divided by standard deviation (ddof 1) for one period, not annualised; NaN without variation."""
    return float(sharpes(returns))


def sharpes(returns: Floats) -> Floats:
    """`sharpe` along the last axis: (..., T) to (...)."""
    if returns.shape[-1] < 2:
        return np.full(returns.shape[:-1], np.nan)
    sd = np.asarray(returns.std(axis=-1, ddof=1))
    moves = sd > _ZERO * np.maximum(np.abs(returns).max(axis=-1), 1.0)
    ratios: Floats = returns.mean(axis=-1) / np.where(moves, sd, np.nan)
    return ratios


def sharpe_se(ratio: float, n: int) -> float:
    """Standard error of a Sharpe ratio of iid returns: sqrt((1 + SR^2/2) / T) (Lo 2002, eq. 9)."""
    return float(np.sqrt((1 + ratio**2 / 2) / n)) if n > 0 else float("nan")


def autocorrelations(returns: Floats, lags: int) -> Floats:
    """Sample autocorrelations rho_1 … rho_lags with divisor T; zeros without variation."""
    x = returns - returns.mean()
    total = float(x @ x)
    lags = min(lags, len(x) - 1)
    if total <= 0:
        return np.zeros(max(lags, 0))
    return np.array([float(x[k:] @ x[:-k]) / total for k in range(1, lags + 1)])


def annual_factor(rho: Floats, q: int = SESSIONS_A_YEAR) -> float:
    """Factor that converts a Sharpe ratio of one period into one of q periods (Lo 2002, eq. 20).

    Parameters
    ----------
    rho
        First autocorrelations; later ones count as zero. Without any the factor is sqrt(q).

    Notes
    -----
    eta(q) = q / sqrt(q + 2 sum_k (q-k) rho_k). NaN if the variance would be negative.
    """
    lags = np.arange(1, min(len(rho), q - 1) + 1)
    variance = q + 2 * float(((q - lags) * rho[: len(lags)]).sum())
    return q / float(np.sqrt(variance)) if variance > 0 else float("nan")


def probabilistic_sharpe(ratio: float, benchmark: float, n: int, skewness: float, kurtosis: float) -> float:
    """Probability that the true Sharpe ratio exceeds a benchmark (Bailey and Lopez de Prado 2012, eq. 11).

    Parameters
    ----------
    ratio, benchmark
        For one period, not annualised.
    kurtosis
        Raw: 3 for the normal.

    Notes
    -----
    PSR = Phi((SR - SR*) sqrt(n-1) / sqrt(1 - g3 SR + (g4-1)/4 SR^2))
    """
    spread = 1 - skewness * ratio + (kurtosis - 1) / 4 * ratio**2
    if n < 2 or not spread > 0:
        return float("nan")
    return float(special.ndtr((ratio - benchmark) * np.sqrt(n - 1) / np.sqrt(spread)))


def expected_best(variance: float, trials: int) -> float:
    """Expected largest Sharpe ratio among N trials without skill (Bailey and Lopez de Prado 2014, eq. 1).

    Notes
    -----
    sqrt(V) [(1-g) Phi^-1(1 - 1/N) + g Phi^-1(1 - 1/(N e))], g Euler's constant; 0 for one trial.
    """
    if trials < 2:
        return 0.0
    high = special.ndtri(1 - 1 / trials)
    higher = special.ndtri(1 - 1 / (trials * np.e))
    return float(np.sqrt(variance) * ((1 - EULER) * high + EULER * higher))


def deflated_sharpe(
    ratio: float, n: int, skewness: float, kurtosis: float, *, trial_ratios: Sequence[float], trials: int
) -> float:
    """PSR against the expected best of ``trials`` rules without skill (Bailey and Lopez de Prado 2014, eq. 2).

    ``trial_ratios`` are the Sharpe ratios of the tried rules for one period; their variance (ddof 1) is that of the
    trials. With one trial it is the PSR against zero; NaN if there are several trials but fewer than two known ratios.
    """
    known = np.array([value for value in trial_ratios if np.isfinite(value)])
    if trials > 1 and len(known) < 2:
        return float("nan")
    variance = float(known.var(ddof=1)) if trials > 1 else 0.0
    return probabilistic_sharpe(ratio, expected_best(variance, trials), n, skewness, kurtosis)


def minimum_track_record(
    ratio: float, benchmark: float, skewness: float, kurtosis: float, level: float = 0.95
) -> float:
    """Periods needed before PSR(benchmark) reaches the level (Bailey and Lopez de Prado 2012, eq. 13).

    Notes
    -----
    1 + (1 - g3 SR + (g4-1)/4 SR^2) (z / (SR - SR*))^2; infinite if the ratio is not above the benchmark.
    """
    if not np.isfinite(ratio):
        return float("nan")
    if ratio <= benchmark:
        return float("inf")
    spread = 1 - skewness * ratio + (kurtosis - 1) / 4 * ratio**2
    return float(1 + spread * (special.ndtri(level) / (ratio - benchmark)) ** 2)


def skewness_kurtosis(returns: Floats) -> tuple[float, float]:
    """Third and raw fourth standardised moment, divisors T: m3 / m2^1.5 and m4 / m2^2 (3 for the normal)."""
    deviation = returns - returns.mean()
    square = deviation**2
    m2 = square.mean()
    return float((square * deviation).mean() / m2**1.5), float((square**2).mean() / m2**2)


def max_drawdown(returns: Floats) -> float:
    """Largest fall of the sum of returns below its highest earlier level, 0 or negative.

    Position sizes depend on the starting capital, so returns are added; the start counts as a level.
    """
    return float(max_drawdowns(returns))


def max_drawdowns(returns: Floats) -> Floats:
    """`max_drawdown` along the last axis: (..., T) to (...); NaN without days."""
    if not returns.shape[-1]:
        return np.full(returns.shape[:-1], np.nan)
    deepest: Floats = drawdowns(returns).min(axis=-1)
    return deepest


def drawdowns(returns: Floats) -> Floats:
    """Distance of the sum of returns from its highest earlier level, along the last axis; 0 or negative."""
    level = np.cumsum(returns, axis=-1)
    fallen: Floats = level - np.maximum(np.maximum.accumulate(level, axis=-1), 0.0)
    return fallen


@dataclass(frozen=True, slots=True, kw_only=True)
class SharpeReport:
    """A Sharpe ratio of daily returns with its standard error and corrections; NaN without variation.

    ``sharpe`` is sqrt(252) times the daily ratio, ``sharpe_se`` its standard error, ``sharpe_lo`` is Lo's annual ratio,
    corrected for autocorrelation.
    """

    n_days: int
    sharpe: float = float("nan")
    sharpe_lo: float = float("nan")
    sharpe_se: float = float("nan")
    psr: float = float("nan")
    dsr: float = float("nan")
    min_track_record_days: float = float("nan")


def sharpe_report(returns: Floats, *, trial_ratios: Sequence[float], trials: int, lags: int) -> SharpeReport:
    """Return the Sharpe ratio of T daily returns, days without positions included.

    ``lags`` autocorrelations enter Lo's factor: positions last about as many sessions.
    """
    ratio, n = sharpe(returns), len(returns)
    if not np.isfinite(ratio):
        return SharpeReport(n_days=n)
    skewness, kurtosis = skewness_kurtosis(returns)
    root = float(np.sqrt(SESSIONS_A_YEAR))
    return SharpeReport(
        n_days=n,
        sharpe=ratio * root,
        sharpe_lo=ratio * annual_factor(autocorrelations(returns, lags)),
        sharpe_se=sharpe_se(ratio, n) * root,
        psr=probabilistic_sharpe(ratio, 0.0, n, skewness, kurtosis),
        dsr=deflated_sharpe(ratio, n, skewness, kurtosis, trial_ratios=trial_ratios, trials=trials),
        min_track_record_days=minimum_track_record(ratio, 0.0, skewness, kurtosis),
    )
