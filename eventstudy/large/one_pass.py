"""One pass over each firm-event's own days: quickest where a security has few of them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from eventstudy.large.panel import FirmEvents, Layout, MarketFit, WidePanel, windows_of
from eventstudy.large.prefix import fit_again, keeps_digits, line_of, predict

#: Firm-events at a time: temporaries of about a megabyte.
CHUNK = 512


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
