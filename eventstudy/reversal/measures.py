"""How much of a drop was given back, and how fast."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import special


@dataclass(frozen=True, slots=True)
class Ratio:
    """Reversal ratio with its Fieller interval.

    ``shape`` is ``interval``, ``outside`` (all but the numbers between the ends: the drop's mean is
    not clearly off zero), ``everything``, or ``undefined`` for fewer than two dates.
    """

    estimate: float
    lower: float
    upper: float
    shape: str


def reversal_ratio(drop: NDArray[np.float64], post: NDArray[np.float64], level: float = 0.95) -> Ratio:
    """Ratio of means RR = -sum(post) / sum(drop): one means that the drop was given back in full.

    Notes
    -----
    Fieller (1954): all rho with (m_p + rho m_d)^2 <= t^2 (v_p + 2 rho c_pd + rho^2 v_d), where m are
    means over the K dates, v and c their variances and covariance, t that of t(K-1). The quadratic
    a rho^2 + 2 b rho + c <= 0 has a = m_d^2 - t^2 v_d, b = m_p m_d - t^2 c_pd, c = m_p^2 - t^2 v_p.
    """
    k = len(drop)
    if not k or drop.sum() == 0:
        return Ratio(float("nan"), float("nan"), float("nan"), "undefined")
    estimate = float(-post.sum() / drop.sum())
    if k < 2:
        return Ratio(estimate, float("nan"), float("nan"), "undefined")
    t2 = float(special.stdtrit(k - 1, 0.5 + level / 2)) ** 2
    covariance = np.cov(np.vstack([drop, post])) / k
    a = float(drop.mean() ** 2 - t2 * covariance[0, 0])
    b = float(drop.mean() * post.mean() - t2 * covariance[0, 1])
    c = float(post.mean() ** 2 - t2 * covariance[1, 1])
    inside = b * b - a * c
    if inside < 0:
        return Ratio(estimate, -np.inf, np.inf, "everything")
    ends = sorted(((-b - np.sqrt(inside)) / a, (-b + np.sqrt(inside)) / a))
    return Ratio(estimate, float(ends[0]), float(ends[1]), "interval" if a > 0 else "outside")


def share_positive(values: NDArray[np.float64], level: float = 0.95) -> tuple[float, float, float]:
    """Share of positive values with the exact binomial interval (Clopper and Pearson 1934)."""
    n = len(values)
    if not n:
        return float("nan"), float("nan"), float("nan")
    hits = int((values > 0).sum())
    tail = (1 - level) / 2
    lower = 0.0 if hits == 0 else float(special.betaincinv(hits, n - hits + 1, tail))
    upper = 1.0 if hits == n else float(special.betaincinv(hits + 1, n - hits, 1 - tail))
    return hits / n, lower, upper


def recovery_times(
    path: NDArray[np.float64], tau: NDArray[np.int64], drop: NDArray[np.float64], *, share: float, start: int
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """First session on which ``share`` of the drop has been given back, and whether that happened.

    Parameters
    ----------
    path : (K, L2)
        Cumulative log abnormal returns from day 0, NaN before it and after the last known day.
    drop : (K,)
        Cumulative log abnormal return of the drop window, negative.
    start
        First day that counts: the day after the drop window.

    Returns
    -------
    (K,) sessions since day 0, the last known one where the drop was not given back by then
    (right-censored), and (K,) bool.
    """
    target = -(1.0 - share) * np.abs(drop)
    days = tau >= start
    known = np.isfinite(path[:, days])
    reached = known & (np.nan_to_num(path[:, days], nan=-np.inf) >= target[:, None])
    seen: NDArray[np.bool_] = np.asarray(reached.any(axis=1))
    last = np.where(known.any(axis=1), known.shape[1] - 1 - known[:, ::-1].argmax(axis=1), 0)
    time = tau[days][np.where(seen, reached.argmax(axis=1), last)]
    return time.astype(float), seen


def kaplan_meier(
    time: NDArray[np.float64], seen: NDArray[np.bool_]
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Survival after each distinct time of an event, with Greenwood's standard error.

    Returns
    -------
    times, survival, standard error, each (J,)

    Notes
    -----
    Kaplan and Meier (1958): S(t) = prod (1 - d_j/n_j), n_j at risk just before t_j; censored at t_j
    counts as at risk. Greenwood (1926): Var S = S^2 sum d_j / (n_j (n_j - d_j)).
    """
    times = np.unique(time[seen])
    at_risk = np.array([(time >= t).sum() for t in times], dtype=float)
    events = np.array([((time == t) & seen).sum() for t in times], dtype=float)
    survival = np.cumprod(1.0 - events / at_risk) if len(times) else np.zeros(0)
    with np.errstate(divide="ignore", invalid="ignore"):
        spread = np.cumsum(events / (at_risk * (at_risk - events)))
        se = np.where(survival > 0, survival * np.sqrt(spread), 0.0)
    return times, survival, se


def median_time(times: NDArray[np.float64], survival: NDArray[np.float64]) -> float:
    """First time by which half have recovered; NaN where that was not reached."""
    half = np.flatnonzero(survival <= 0.5)
    return float(times[half[0]]) if len(half) else float("nan")


def half_life(mean_path: NDArray[np.float64]) -> float:
    """Sessions in which half of the way to the path's level is gone; NaN where it is not defined.

    ``mean_path`` holds the mean cumulative AR from the drop window's last day on. Defined only for a
    path that moves one way: C_t = C_inf + A phi^t is fitted by least squares, phi on a grid and the
    other two in closed form, and the half-life is ln(1/2)/ln(phi).
    """
    steps = np.diff(mean_path)
    if len(steps) < 3 or not np.isfinite(mean_path).all() or not ((steps > 0).all() or (steps < 0).all()):
        return float("nan")
    t = np.arange(len(mean_path))
    grid = np.linspace(0.01, 0.99, 981)
    errors = [_fit_error(phi**t, mean_path) for phi in grid]
    best = int(np.argmin(errors))
    if best == len(grid) - 1:
        return float("nan")
    return float(np.log(0.5) / np.log(grid[best]))


def _fit_error(regressor: NDArray[np.float64], values: NDArray[np.float64]) -> float:
    x = regressor - regressor.mean()
    slope = (x @ values) / (x @ x)
    return float(((values - values.mean() - slope * x) ** 2).sum())
