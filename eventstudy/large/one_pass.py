"""Fit by one pass over each firm-event's own days: fastest if securities have few events."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from eventstudy.large.panel import FirmEvents, Layout, MarketFit, WidePanel, windows_of
from eventstudy.large.prefix import fit_again, keeps_digits, line_of, predict

#: Number of firm-events at a time, so that their returns fit into the processor's cache.
CHUNK = 256


def fit_one_pass(panel: WidePanel, events: FirmEvents, layout: Layout, out: MarketFit) -> None:
    """Fill ``out`` from plain sums of returns, squares and products; use `fit_by_model` if digits are lost."""
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
    # A product with ones is faster than `sum`.
    ones = np.ones(end - begin)
    for w, (first, last) in enumerate(layout.car):
        for part, values in zip(windows, (y, x), strict=True):
            np.vecdot(values[:, first - begin : last + 1 - begin], ones[: last + 1 - first], out=part[w])
    if panel.clean is not None:
        y = windows_of(panel.clean, events.security, at, end - begin)
    y, x, ones = y[:, days], x[:, days], ones[days]
    sums[0] = y.shape[1]
    _moments(y, x, ones, sums)
    # A row has a missing day only if its product is NaN.
    rows = np.flatnonzero(~np.isfinite(sums[4]))
    if len(rows):
        no_gap_in_index = np.isfinite(sums[2]).all()
        y, x = y[rows], x[rows]
        # Faster than an assignment by mask: kept days have a bit mask of ones.
        keep = np.negative(np.isfinite(y if no_gap_in_index else y + x).view(np.int8)).astype(np.int64)
        for values in (y, x):
            bits = values.view(np.int64)
            bits &= keep
        whole = np.empty((6, len(rows)))
        whole[0] = -keep.sum(axis=1)
        _moments(y, x, ones, whole)
        sums[:, rows] = whole


def _moments(
    y: NDArray[np.float64], x: NDArray[np.float64], ones: NDArray[np.float64], sums: NDArray[np.float64]
) -> None:
    for (a, b), room in zip(((y, ones), (x, ones), (y, y), (x, y), (x, x)), sums[1:], strict=True):
        np.vecdot(a, b, out=room)
