"""The same fits compiled by numba (extra ``fast``): the running sums of a security, then all its events."""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from eventstudy.core.models.ols import CONSTANT
from eventstudy.large.one_pass import ROUNDING, TOLERANCE
from eventstudy.large.panel import FirmEvents, Layout, MarketFit, WidePanel
from eventstudy.registry import KERNELS


@KERNELS.add("market_fit")
def fit_compiled(panel: WidePanel, events: FirmEvents, layout: Layout, out: MarketFit) -> None:
    """Fill ``out`` for firm-events that are sorted by security and index; twin of `fit_prefix`."""
    alphas = np.array([layout.alpha_days(window) for window in layout.car], dtype=np.int64)
    _fit(
        panel.returns,
        panel.estimation,
        panel.clean is not None,
        panel.indices,
        events.position,
        events.security,
        events.index,
        layout.estimation[0],
        layout.estimation[1] + 1,
        np.array(layout.car, dtype=np.int64),
        alphas,
        out.alpha,
        out.beta,
        out.sigma,
        out.n,
        out.car,
        out.variance,
    )


@njit(cache=True, nogil=True, error_model="numpy")  # type: ignore[untyped-decorator]
def _accumulate(y: NDArray[np.float64], x: NDArray[np.float64], sums: NDArray[np.float64]) -> None:
    n = sy = sx = sxx = sxy = syy = 0.0
    for t in range(len(y)):
        a, b = y[t], x[t]
        if np.isfinite(a) and np.isfinite(b):
            n += 1.0
            sy += a
            sx += b
            sxx += b * b
            sxy += a * b
            syy += a * a
        row = sums[t + 1]
        row[0], row[1], row[2], row[3], row[4], row[5] = n, sy, sx, sxx, sxy, syy


@njit(cache=True, nogil=True, error_model="numpy")  # type: ignore[untyped-decorator]
def _two_pass(y: NDArray[np.float64], x: NDArray[np.float64]) -> tuple[float, float, float, float, float, float]:
    """Return (n, mean y, mean x, Sxx, Sxy, SSE) of centred pairs."""
    n = sy = sx = squares = 0.0
    for t in range(len(y)):
        if np.isfinite(y[t]) and np.isfinite(x[t]):
            n += 1.0
            sy += y[t]
            sx += x[t]
            squares += x[t] * x[t]
    y_mean, x_mean = sy / n, sx / n
    sxx = sxy = sse = 0.0
    for t in range(len(y)):
        if np.isfinite(y[t]) and np.isfinite(x[t]):
            b = x[t] - x_mean
            sxx += b * b
            sxy += b * (y[t] - y_mean)
    if not sxx > CONSTANT * squares:
        sxx = np.nan
    beta = sxy / sxx
    for t in range(len(y)):
        if np.isfinite(y[t]) and np.isfinite(x[t]):
            e = (y[t] - y_mean) - beta * (x[t] - x_mean)
            sse += e * e
    return n, y_mean, x_mean, sxx, sxy, sse


@njit(cache=True, nogil=True, error_model="numpy")  # type: ignore[untyped-decorator]
def _fit(
    returns: NDArray[np.float64],
    estimation: NDArray[np.float64],
    cleaned: bool,
    indices: NDArray[np.float64],
    position: NDArray[np.intp],
    security: NDArray[np.intp],
    index: NDArray[np.intp],
    begin: int,
    end: int,
    windows: NDArray[np.int64],
    alphas: NDArray[np.int64],
    alpha_: NDArray[np.float64],
    beta_: NDArray[np.float64],
    sigma_: NDArray[np.float64],
    n_: NDArray[np.int32],
    car_: NDArray[np.float64],
    variance_: NDArray[np.float64],
) -> None:
    length = returns.shape[1]
    sums = np.zeros((length + 1, 6))
    whole = np.zeros((length + 1, 6)) if cleaned else sums
    last, held = -1, -1
    for i in range(len(position)):
        y, z, x = returns[security[i]], estimation[security[i]], indices[index[i]]
        if security[i] != last or index[i] != held:
            _accumulate(z, x, sums)
            if cleaned:
                _accumulate(y, x, whole)
            last, held = security[i], index[i]
        a = min(max(position[i] + begin, 0), length)
        b = min(max(position[i] + end, 0), length)
        low, high = sums[a], sums[b]
        n = high[0] - low[0]
        sx, sy = high[2] - low[2], high[1] - low[1]
        y_mean, x_mean = sy / n, sx / n
        sxx = high[3] - low[3] - sx * x_mean
        sxy = high[4] - low[4] - sx * y_mean
        beta = sxy / sxx
        sse = high[5] - low[5] - sy * y_mean - beta * sxy
        kept = ROUNDING * (high[5] + beta * beta * high[3]) < TOLERANCE * sse
        kept = kept and ROUNDING * high[3] < TOLERANCE * sxx
        if not kept:
            n, y_mean, x_mean, sxx, sxy, sse = _two_pass(z[a:b], x[a:b])
            beta = sxy / sxx
        s2 = sse / (n - 2.0) if n > 2.0 else np.nan
        alpha = y_mean - beta * x_mean
        alpha_[i], beta_[i], sigma_[i], n_[i] = alpha, beta, np.sqrt(s2), int(n)
        for w in range(len(windows)):
            width = windows[w, 1] - windows[w, 0] + 1
            first, past = position[i] + windows[w, 0], position[i] + windows[w, 1] + 1
            wx = wy = np.nan
            if first >= 0 and past <= length:
                if not kept:
                    wx, wy = np.sum(x[first:past]), np.sum(y[first:past])
                elif whole[past, 0] - whole[first, 0] == width:
                    wx, wy = whole[past, 2] - whole[first, 2], whole[past, 1] - whole[first, 1]
            pull = wx - alphas[w] * x_mean
            variance = s2 * (width + alphas[w] ** 2 / n + pull * pull / sxx)
            car_[w, i] = wy - alphas[w] * alpha - beta * wx
            variance_[w, i] = variance + 0.0 * wy
