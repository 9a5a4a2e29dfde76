"""One pass over each firm-event's own days: quickest where a security has few of them."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from eventstudy.large.by_model import fit_by_model
from eventstudy.large.panel import FirmEvents, Layout, MarketFit, WidePanel, empty_fit, put, windows_of

#: Firm-events at a time: temporaries of about a megabyte.
CHUNK = 512
#: Rounding that a running sum of thousands of terms gathers, as a share of its size.
ROUNDING = 64 * np.finfo(float).eps
#: Relative error of sums of squares above which a firm-event is fitted again in two passes.
TOLERANCE = 2e-11


def fit_one_pass(panel: WidePanel, events: FirmEvents, layout: Layout, out: MarketFit) -> None:
    """Fill ``out`` from plain sums of returns, squares and products; `fit_by_model` where they lose digits."""
    sums, windows = np.empty((6, len(events))), np.empty((2, len(layout.car), len(events)))
    for start in range(0, len(events), CHUNK):
        rows = slice(start, start + CHUNK)
        _sum(panel, events.take(rows), layout, sums[:, rows], windows[..., rows])
    *_, yy, _, xx = sums
    x_mean, sxx, s2, sse = line_of(sums, out)
    for w, (y, x) in enumerate(zip(*windows, strict=True)):
        predict(out, w, layout, y, x, x_mean, sxx, s2)
    again = np.flatnonzero(~keeps_digits(yy, xx, out.beta, sse, sxx))
    fit_again(panel, events, again, layout, out)


def _sum(
    panel: WidePanel, events: FirmEvents, layout: Layout, sums: NDArray[np.float64], windows: NDArray[np.float64]
) -> None:
    """Set sums over complete pairs of 1, y, x, y^2, xy and x^2, and those of y and x over the windows."""
    begin, end = min(layout.estimation[0], layout.event[0]), max(layout.estimation[1], layout.event[1]) + 1
    days = slice(layout.estimation[0] - begin, layout.estimation[1] + 1 - begin)
    at = events.position + begin
    y = windows_of(panel.returns, events.security, at, end - begin)
    x = windows_of(panel.indices, events.index, at, end - begin)
    for w, (first, last) in enumerate(layout.car):
        for part, values in zip(windows, (y, x), strict=True):
            _total(values[:, first - begin : last + 1 - begin], part[w])
    if panel.clean is not None:
        y = windows_of(panel.clean, events.security, at, end - begin)
    y, x = y[:, days], x[:, days]
    sums[0] = y.shape[1]
    _moments(y, x, sums)
    # Only rows whose product is no number have a day missing.
    rows = np.flatnonzero(~np.isfinite(sums[4]))
    if len(rows):
        y, x = y[rows], x[rows]
        keep = -np.isfinite(y + x).astype(np.int64)
        for values in (y, x):
            # Quicker than an assignment by mask.
            bits = values.view(np.int64)
            bits &= keep
        whole = np.empty((6, len(rows)))
        whole[0] = -keep.sum(axis=1)
        _moments(y, x, whole)
        sums[:, rows] = whole


def _moments(y: NDArray[np.float64], x: NDArray[np.float64], sums: NDArray[np.float64]) -> None:
    _total(y, sums[1])
    _total(x, sums[2])
    for (a, b), room in zip(((y, y), (x, y), (x, x)), sums[3:], strict=True):
        np.vecdot(a, b, out=room)


def _total(values: NDArray[np.float64], out: NDArray[np.float64]) -> None:
    """Sums of rows; the product with ones is quicker than `sum`."""
    np.vecdot(values, np.ones(values.shape[1]), out=out)


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
    """Whether differences of sums that saw squares of this size have enough digits left.

    A rounded difference can even be negative: compared as a product it is never taken for exact.
    """
    with np.errstate(invalid="ignore", over="ignore"):
        kept: NDArray[np.bool_] = ROUNDING * (seen_y + beta * beta * seen_x) < TOLERANCE * sse
        kept &= ROUNDING * seen_x < TOLERANCE * sxx
    return kept


def fit_again(panel: WidePanel, events: FirmEvents, rows: NDArray[np.intp], layout: Layout, out: MarketFit) -> None:
    """Fit these rows in two passes, those without a single day excepted."""
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
