"""Two passes over each firm-event's own days: the reference for digits, and quickest for few events."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from eventstudy.expected_returns.ols import CONSTANT

from .panel import FirmEvents, Layout, MarketFit, WidePanel, windows_of

#: Firm-events at a time: temporaries of about a megabyte.
CHUNK = 512


def fit_direct(panel: WidePanel, events: FirmEvents, layout: Layout, out: MarketFit) -> None:
    """Fill ``out`` for these firm-events, by centred cross products as `expected_returns.ols` does."""
    for start in range(0, len(events), CHUNK):
        rows = slice(start, start + CHUNK)
        _fit(panel, events.take(rows), layout, out.take(rows))


def _fit(panel: WidePanel, events: FirmEvents, layout: Layout, out: MarketFit) -> None:
    y, x = estimation_pairs(panel, events, layout)
    used = np.isfinite(y)
    whole = bool(used.all())
    count = used.sum(axis=1)
    if not whole:
        y, x = np.where(used, y, 0.0), np.where(used, x, 0.0)
    with np.errstate(divide="ignore", invalid="ignore"):
        y_mean, x_mean = y.sum(axis=1) / count, x.sum(axis=1) / count
        squares = np.einsum("nl,nl->n", x, x)
        y -= y_mean[:, None]
        x -= x_mean[:, None]
        if not whole:
            y *= used
            x *= used
        sxx = np.einsum("nl,nl->n", x, x)
        sxx = np.where(sxx > CONSTANT * squares, sxx, np.nan)
        beta = np.einsum("nl,nl->n", x, y) / sxx
        x *= beta[:, None]
        y -= x
        sse = np.einsum("nl,nl->n", y, y)
        out.n[:], out.beta[:], out.alpha[:] = count, beta, y_mean - beta * x_mean
        s2 = np.where(count > 2, sse / (count - 2), np.nan)
    out.sigma[:] = np.sqrt(s2)
    y, x = event_pairs(panel, events, layout)
    for w, window in enumerate(layout.car):
        inside, alphas = layout.inside(window), layout.alpha_days(window)
        predict(
            out, w, y[:, inside].sum(axis=1), x[:, inside].sum(axis=1), window[1] - window[0] + 1, alphas,
            x_mean, sxx, s2,
        )  # fmt: skip


def estimation_pairs(
    panel: WidePanel, events: FirmEvents, layout: Layout
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Returns of the security and its index in the estimation window, (m, L1); both NaN where one is."""
    return _pairs(panel, events, layout.estimation[0], layout.n_estimation)


def event_pairs(
    panel: WidePanel, events: FirmEvents, layout: Layout
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The same over the event window, (m, L2)."""
    return _pairs(panel, events, layout.event[0], layout.n_event)


def _pairs(
    panel: WidePanel, events: FirmEvents, first: int, length: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    y = windows_of(panel.returns, events.security, events.position + first, length)
    x = windows_of(panel.indices, events.index, events.position + first, length)
    y += 0.0 * x
    x += 0.0 * y
    return y, x


def predict(
    out: MarketFit, window: int, y: NDArray[np.float64], x: NDArray[np.float64], width: int, alphas: int,
    x_mean: NDArray[np.float64], sxx: NDArray[np.float64], s2: NDArray[np.float64],
) -> None:  # fmt: skip
    """Set CAR and variance from the window's sums of both returns.

    Notes
    -----
    With A of the window's W days carrying the intercept, CAR = Y - A alpha - beta X and
    Var(CAR) = s2 (W + A^2/n + (X - A xbar)^2 / Sxx): g'Vg of Campbell, Lo and MacKinlay (1997, ch. 4)
    with the intercept's column zero on the days that do not carry it.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        out.car[window] = y - alphas * out.alpha - out.beta * x
        pull = x - alphas * x_mean
        out.variance[window] = s2 * (width + alphas**2 / out.n + pull * pull / sxx)
