"""Prefix sums of one security after another: every window is a difference of two of them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from eventstudy.large.one_pass import fit_again, keeps_digits, line_of, predict
from eventstudy.large.panel import FirmEvents, Layout, MarketFit, WidePanel

#: Bytes of prefix sums held at a time; more do not stay in the cache, fewer cost calls.
BYTES = 1_500_000


def fit_prefix(panel: WidePanel, events: FirmEvents, layout: Layout, out: MarketFit) -> None:
    """Fill ``out`` for firm-events that are sorted by security and index.

    A window far smaller than what was summed before it, as after a bad tick or with levels in place
    of returns, has lost digits in the difference; such firm-events are fitted by `fit_by_model`.
    """
    key = events.security * len(panel.indices) + events.index
    starts = np.flatnonzero(np.r_[True, key[1:] != key[:-1]])
    edges = np.r_[starts, len(events)]
    together = max(1, BYTES // (48 * (panel.sessions + 1)))
    sums = np.zeros((3, together, panel.sessions + 1), dtype=complex)
    # Windows of events are differences of sums that no day is kept out of.
    whole = sums if panel.clean is None else np.zeros_like(sums)
    for block in range(0, len(starts), together):
        first = starts[block : block + together]
        rows = slice(int(edges[block]), int(edges[min(block + together, len(starts))]))
        _accumulate(panel, panel.estimation, events.take(first), sums)
        if panel.clean is not None:
            _accumulate(panel, panel.returns, events.take(first), whole)
        group = np.repeat(np.arange(len(first)), np.diff(edges[block : block + len(first) + 1]))
        _fit(panel, events.take(rows), group, layout, sums, whole, out.take(rows))


def _accumulate(
    panel: WidePanel, returns: NDArray[np.float64], pairs: FirmEvents, sums: NDArray[np.complex128]
) -> None:
    """Running sums of 1, y; x, x^2; xy, y^2: a complex number adds two at once."""
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
) -> None:
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
    again = np.flatnonzero(~keeps_digits(seen_y, seen_x, out.beta, sse, sxx))
    fit_again(panel, events, again, layout, out)


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
