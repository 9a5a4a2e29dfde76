"""Plain twins of the models: one firm-event at a time, loops and matrices as the papers write them.

Every twin takes returns and regressors of one firm-event over the estimation window (NaN where
missing) and over the event window, and gives a `Twin`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Twin:
    """Coefficients, residuals of the used days, and the full covariance of the event days' errors."""

    theta: Floats
    residuals: Floats
    sigma2: float
    dof: int
    mean: Floats
    covariance: Floats

    def variance(self, weights: Floats) -> float:
        return float(weights @ self.covariance @ weights)


def complete(y: Floats, *columns: Floats) -> list[int]:
    return [t for t in range(len(y)) if np.isfinite(y[t]) and all(np.isfinite(c[t]) for c in columns)]


def _result(theta: Floats, error: Floats, k: int, event: Floats, estimation_error: Floats) -> Twin:
    """V = s2 (I + X* C X*') with C the covariance of the coefficients over s2."""
    dof = len(error) - k
    s2 = float(sum(e * e for e in error)) / dof
    v = s2 * (np.eye(len(event)) + event @ estimation_error @ event.T)
    return Twin(theta, error, s2, dof, event @ theta, v)


def ols(y: Floats, x: Sequence[Floats], event: Sequence[Floats]) -> Twin:
    """OLS on a constant and the columns, on days where all are there (MacKinlay 1997)."""
    days = complete(y, *x)
    design = np.array([[1.0, *(c[t] for c in x)] for t in days])
    star = np.array([[1.0, *(c[t] for c in event)] for t in range(len(event[0]))])
    return _least_squares(y[days], design, star)


def _least_squares(y: Floats, design: Floats, star: Floats) -> Twin:
    q, r = np.linalg.qr(design)
    theta = np.linalg.solve(r, q.T @ y)
    inverse = np.linalg.inv(r) @ np.linalg.inv(r).T
    return _result(theta, y - design @ theta, design.shape[1], star, inverse)


def mean_adjusted(y: Floats, length: int) -> Twin:
    days = complete(y)
    return _least_squares(y[days], np.ones((len(days), 1)), np.ones((length, 1)))


def raw(y: Floats, length: int) -> Twin:
    return _result(np.zeros(1), y[complete(y)], 0, np.ones((length, 1)), np.zeros((1, 1)))


def market_adjusted(y: Floats, m: Floats, event: Floats) -> Twin:
    days = complete(y, m)
    star = np.column_stack([np.ones(len(event)), event])
    return _result(np.array([0.0, 1.0]), y[days] - m[days], 0, star, np.zeros((2, 2)))


def scholes_williams(y: Floats, before: Floats, m: Floats, after: Floats, event: Floats) -> Twin:
    """beta = (b- + b + b+) / (1 + 2 rho), each from its own regression; alpha through the means."""
    days = complete(y, before, m, after)
    slopes = [np.polyfit(series[days], y[days], 1)[0] for series in (before, m, after)]
    rho = np.corrcoef(before[days], m[days])[0, 1]
    beta = sum(slopes) / (1.0 + 2.0 * rho)
    weights = np.zeros(len(days))
    for series in (before, m, after):
        away = series[days] - series[days].mean()
        weights += away / (away @ away) / (1.0 + 2.0 * rho)
    return _one_beta(y[days], m[days], float(beta), weights, event)


def dimson(y: Floats, columns: Sequence[Floats], m: Floats, event: Floats) -> Twin:
    """beta = sum of the slopes of one regression on all leads and lags."""
    days = complete(y, *columns)
    design = np.array([[1.0, *(c[t] for c in columns)] for t in days])
    solver = np.linalg.pinv(design)
    weights = solver[1:].sum(axis=0)
    return _one_beta(y[days], m[days], float(weights @ y[days]), weights, event)


def _one_beta(y: Floats, m: Floats, beta: float, weights: Floats, event: Floats) -> Twin:
    """The coefficients are sums of returns; their covariance follows from the weights day by day."""
    alpha = y.mean() - beta * m.mean()
    both = np.column_stack([1.0 / len(y) - m.mean() * weights, weights])
    star = np.column_stack([np.ones(len(event)), event])
    return _result(np.array([alpha, beta]), y - alpha - beta * m, 2, star, both.T @ both)


def two_index(y: Floats, local: Floats, world: Floats, event: tuple[Floats, Floats]) -> Twin:
    """Regression on the local index and on the world's residual on it (Park 2004)."""
    days = complete(y, local, world)
    slope, start = np.polyfit(local[days], world[days], 1)
    rest = world - start - slope * local
    return ols(y, [local, rest], [event[0], event[1] - start - slope * event[0]])


def excess(y: Floats, rf: Floats, x: Sequence[Floats], event: Sequence[Floats], event_rf: Floats) -> Twin:
    """Regression in excess of the risk-free return, the prediction with it put back."""
    fit = ols(y - rf, x, event)
    return Twin(fit.theta, fit.residuals, fit.sigma2, fit.dof, fit.mean + event_rf, fit.covariance)


def trade_to_trade(price: Floats, index: Floats, first: int, end: int, star: Sequence[tuple[int, int]]) -> Twin:
    """Maynes and Rumsey (1993): returns from trade to trade, observations over sqrt(n).

    ``price`` is NaN without a trade; rows ``first`` to ``end`` (excluded) are the estimation window;
    ``star`` gives (from, to) of each event return. The covariance has n on the diagonal.
    """
    rows, y = [], []
    for t in range(first, end):
        if not np.isfinite(price[t]):
            continue
        last = max(s for s in range(t) if np.isfinite(price[s]))
        n = t - last
        rows.append([np.sqrt(n), (index[t] / index[last] - 1.0) / np.sqrt(n)])
        y.append((price[t] / price[last] - 1.0) / np.sqrt(n))
    event = np.array([[to - since, index[to] / index[since] - 1.0] for since, to in star])
    fit = _least_squares(np.array(y), np.array(rows), event)
    extra = fit.sigma2 * np.diag([to - since - 1.0 for since, to in star])
    return Twin(fit.theta, fit.residuals, fit.sigma2, fit.dof, fit.mean, fit.covariance + extra)


def shrunk_alpha(
    alphas: Floats, noises: Floats, own: int, fit: Twin, event: Floats, xtx_inv: Floats
) -> tuple[float, Floats]:
    """Intercept drawn towards zero, and V with the error of an intercept of variance tau2."""
    tau2 = max(0.0, float(np.var(alphas, ddof=1) - noises.mean()))
    w = tau2 / (tau2 + noises[own]) if tau2 > 0 else 0.0
    pull = np.diag([w, 1.0])
    error = fit.sigma2 * pull @ xtx_inv @ pull + np.diag([(1.0 - w) ** 2 * tau2, 0.0])
    return w * float(alphas[own]), fit.sigma2 * np.eye(len(event)) + event @ error @ event.T


def garch_path(omega: float, a: float, b: float, h: float, e: float, event: Sequence[float]) -> list[float]:
    """h on each event day; None of a residual (NaN) stands for its expectation."""
    path = []
    for error in event:
        h = omega + a * (e * e if np.isfinite(e) else h) + b * h
        path.append(h)
        e = error
    return path
