"""Fit by prefix sums for each security: every window is a difference of two of them."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from eventstudy.large.by_model import fit_by_model
from eventstudy.large.panel import FirmEvents, Layout, MarketFit, WidePanel, empty_fit, put

#: Bytes of prefix sums at a time; more would not fit into the cache, fewer would need more calls.
BYTES = 1_500_000
#: Rounding error of a running sum of thousands of terms, relative to its size.
ROUNDING = 64 * np.finfo(float).eps
#: Relative error of sums of squares above which a firm-event is fitted again in two passes.
TOLERANCE = 2e-11


def fit_prefix(panel: WidePanel, events: FirmEvents, layout: Layout, out: MarketFit) -> None:
    """Fill ``out`` for firm-events that are sorted by security and index.

    If a window's sum is much smaller than the sums before it (after a bad tick, or with price levels instead of
    returns), the difference loses digits; such firm-events are fitted by `fit_by_model`.
    """
    key = events.security * len(panel.indices) + events.index
    starts = np.flatnonzero(np.diff(key, prepend=-1))
    edges = np.r_[starts, len(events)]
    together = max(1, BYTES // (48 * (panel.sessions + 1)))
    sums = np.zeros((3, together, panel.sessions + 1), dtype=complex)
    # Event windows use sums over all days.
    whole = sums if panel.clean is None else np.zeros_like(sums)
    kept = np.ones(len(events), dtype=bool)
    for block in range(0, len(starts), together):
        first = starts[block : block + together]
        rows = slice(int(edges[block]), int(edges[min(block + together, len(starts))]))
        _accumulate(panel, panel.estimation, events.take(first), sums)
        if panel.clean is not None:
            _accumulate(panel, panel.returns, events.take(first), whole)
        group = np.repeat(np.arange(len(first)), np.diff(edges[block : block + len(first) + 1]))
        kept[rows] = _fit(panel, events.take(rows), group, layout, sums, whole, out.take(rows))
    fit_again(panel, events, np.flatnonzero(~kept), layout, out)


def _accumulate(
    panel: WidePanel, returns: NDArray[np.float64], pairs: FirmEvents, sums: NDArray[np.complex128]
) -> None:
    """Running sums of 1, y; x, x^2; xy, y^2, two at a time as complex numbers."""
    y, x = returns[pairs.security], panel.indices[pairs.index]
    bad = ~(np.isfinite(y) & np.isfinite(x))
    if bad.any():
        y[bad] = x[bad] = 0.0
    ones, squares, products = (part[: len(y), 1:] for part in sums)
    np.logical_not(bad, out=ones.real, casting="unsafe")
    ones.imag = y
    squares.real = x
    np.multiply(x, x, out=squares.imag)
    np.multiply(x, y, out=products.real)
    np.multiply(y, y, out=products.imag)
    for part in (ones, squares, products):
        np.cumsum(part, axis=1, out=part)


def _fit(
    panel: WidePanel,
    events: FirmEvents,
    group: NDArray[np.intp],
    layout: Layout,
    sums: NDArray[np.complex128],
    whole: NDArray[np.complex128],
    out: MarketFit,
) -> NDArray[np.bool_]:
    """Fit the firm-events of these securities; return which of them are accurate."""
    base, length = group * sums.shape[2], panel.sessions
    flat = sums.reshape(3, -1)
    first, end = (
        base + np.clip(events.position + day, 0, length) for day in (layout.estimation[0], layout.estimation[1] + 1)
    )
    ones, squares, products = (part[end] - part[first] for part in flat)
    x_mean, sxx, s2, sse = line_of(
        (ones.real, ones.imag, squares.real, products.imag, products.real, squares.imag), out
    )
    for w in range(len(layout.car)):
        _window(events, base, layout, w, whole.reshape(3, -1), length, x_mean, sxx, s2, out)
    seen_y, seen_x = flat[2].imag[end], flat[1].imag[end]
    return keeps_digits(seen_y, seen_x, out.beta, sse, sxx)


def _window(
    events: FirmEvents,
    base: NDArray[np.intp],
    layout: Layout,
    w: int,
    flat: NDArray[np.complex128],
    length: int,
    x_mean: NDArray[np.float64],
    sxx: NDArray[np.float64],
    s2: NDArray[np.float64],
    out: MarketFit,
) -> None:
    window = layout.car[w]
    width = window[1] - window[0] + 1
    first, end = (base + np.clip(events.position + day, 0, length) for day in (window[0], window[1] + 1))
    ones = flat[0][end] - flat[0][first]
    x = flat[1].real[end] - flat[1].real[first]
    y = np.where(ones.real == width, ones.imag, np.nan)
    predict(out, w, layout, y, x, x_mean, sxx, s2)


def line_of(
    sums: Iterable[NDArray[np.float64]], out: MarketFit
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Set the line and sigma from sums of 1, y, x, y^2, xy and x^2; return xbar, Sxx, sigma^2 and SSE."""
    count, sy, sx, yy, xy, xx = sums
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        y_mean, x_mean = sy / count, sx / count
        sxx, sxy = xx - sx * x_mean, xy - sx * y_mean
        beta = sxy / sxx
        sse = yy - sy * y_mean - beta * sxy
        out.n[:], out.beta[:], out.alpha[:] = count, beta, y_mean - beta * x_mean
        s2 = np.where(count > 2, sse / (count - 2), np.nan)
        out.sigma[:] = np.sqrt(s2)
    return x_mean, sxx, s2, sse


def keeps_digits(
    seen_y: NDArray[np.float64],
    seen_x: NDArray[np.float64],
    beta: NDArray[np.float64],
    sse: NDArray[np.float64],
    sxx: NDArray[np.float64],
) -> NDArray[np.bool_]:
    """Whether differences of sums of squares of this size have enough digits.

    A rounded difference can even be negative; the comparison as a product handles this case.
    """
    with np.errstate(invalid="ignore", over="ignore"):
        kept: NDArray[np.bool_] = ROUNDING * (seen_y + beta * beta * seen_x) < TOLERANCE * sse
        kept &= ROUNDING * seen_x < TOLERANCE * sxx
    return kept


def fit_again(panel: WidePanel, events: FirmEvents, rows: NDArray[np.intp], layout: Layout, out: MarketFit) -> None:
    """Fit these rows in two passes, except those without any day."""
    rows = rows[out.n[rows] > 0]
    if len(rows):
        part = empty_fit(len(rows), len(layout.car))
        fit_by_model(panel, events.take(rows), layout, part)
        put(out, rows, part)


def predict(
    out: MarketFit,
    w: int,
    layout: Layout,
    y: NDArray[np.float64],
    x: NDArray[np.float64],
    x_mean: NDArray[np.float64],
    sxx: NDArray[np.float64],
    s2: NDArray[np.float64],
) -> None:
    """Set CAR and variance from the window's sums of both returns, NaN where one of them is.

    Notes
    -----
    With A of the window's W days carrying the intercept, CAR = Y - A alpha - beta X and
    Var(CAR) = s2 (W + A^2/n + (X - A xbar)^2 / Sxx): g'Vg of Campbell, Lo and MacKinlay (1997, ch. 4)
    with the intercept's column zero on the days that do not carry it.
    """
    first, last = layout.car[w]
    alphas = layout.alpha_days(layout.car[w])
    with np.errstate(divide="ignore", invalid="ignore"):
        out.car[w] = y - alphas * out.alpha - out.beta * x
        pull = x - alphas * x_mean
        out.variance[w] = s2 * (last - first + 1 + alphas**2 / out.n + pull * pull / sxx) + 0.0 * y
