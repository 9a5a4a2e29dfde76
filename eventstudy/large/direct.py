"""Two passes over each firm-event's own days: the reference for digits, and quickest for few events."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from eventstudy.core.models.ols import CONSTANT
from eventstudy.large.panel import FirmEvents, Layout, MarketFit, WidePanel, windows_of

#: Firm-events at a time: temporaries of about a megabyte.
CHUNK = 512
#: Share of the total squares that residuals must have for their sum to be taken as a difference.
PLAIN = 1e-4


def fit_direct(panel: WidePanel, events: FirmEvents, layout: Layout, out: MarketFit) -> None:
    """Fill ``out`` for these firm-events, by centred cross products as `expected_returns.ols` does."""
    for start in range(0, len(events), CHUNK):
        rows = slice(start, start + CHUNK)
        _fit(panel, events.take(rows), layout, out.take(rows))


def _fit(panel: WidePanel, events: FirmEvents, layout: Layout, out: MarketFit) -> None:
    y, x = estimation_pairs(panel, events, layout)
    count, y_mean, x_mean = _centre(y, x)
    sxx, sxy, syy = (np.vecdot(*pair) for pair in ((x, x), (x, y), (y, y)))
    with np.errstate(divide="ignore", invalid="ignore"):
        sxx = np.where(sxx > CONSTANT * (sxx + count * x_mean**2), sxx, np.nan)
        beta = sxy / sxx
        sse = syy - beta * sxy
        close = np.flatnonzero(sse < PLAIN * syy)
        error = y[close] - beta[close, None] * x[close]
        sse[close] = np.vecdot(error, error)
        out.n[:], out.beta[:], out.alpha[:] = count, beta, y_mean - beta * x_mean
        s2 = np.where(count > 2, sse / (count - 2), np.nan)
        out.sigma[:] = np.sqrt(s2)
    _predict(panel, events, layout, out, x_mean, sxx, s2)


def _centre(
    y: NDArray[np.float64], x: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Take the means of complete pairs off in place, zero elsewhere; return the days used and both means."""
    count = np.full(len(y), float(y.shape[1]))
    y_mean, x_mean = y.sum(axis=1) / count, x.sum(axis=1) / count
    # Only rows whose mean is no number have a day missing.
    rows = np.flatnonzero(~np.isfinite(y_mean + x_mean))
    if len(rows):
        pair = y[rows], x[rows]
        used = np.isfinite(pair[0] + pair[1])
        count[rows] = used.sum(axis=1)
        keep = -used.astype(np.int64)
        with np.errstate(divide="ignore", invalid="ignore"):
            for values, mean in zip(pair, (y_mean, x_mean), strict=True):
                clear(values, keep)
                mean[rows] = values.sum(axis=1) / count[rows]
                values -= mean[rows][:, None]
                clear(values, keep)
    y -= y_mean[:, None]
    x -= x_mean[:, None]
    if len(rows):
        y[rows], x[rows] = pair
    return count, y_mean, x_mean


def clear(values: NDArray[np.float64], keep: NDArray[np.int64]) -> None:
    """Set values to zero where ``keep`` has no bit set: quicker than an assignment by mask."""
    bits = values.view(np.int64)
    bits &= keep


def _predict(
    panel: WidePanel,
    events: FirmEvents,
    layout: Layout,
    out: MarketFit,
    x_mean: NDArray[np.float64],
    sxx: NDArray[np.float64],
    s2: NDArray[np.float64],
) -> None:
    y, x = event_pairs(panel, events, layout)
    for w, window in enumerate(layout.car):
        inside = layout.inside(window)
        predict(out, w, layout, y[:, inside].sum(axis=1), x[:, inside].sum(axis=1), x_mean, sxx, s2)


def estimation_pairs(
    panel: WidePanel, events: FirmEvents, layout: Layout
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Returns of the security and of its index in the estimation window, (m, L1)."""
    return _pairs(panel, panel.estimation, events, layout.estimation[0], layout.n_estimation)


def event_pairs(
    panel: WidePanel, events: FirmEvents, layout: Layout
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The same over the event window, (m, L2)."""
    return _pairs(panel, panel.returns, events, layout.event[0], layout.n_event)


def pairs_of(panel: WidePanel, events: FirmEvents, layout: Layout) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The same over both windows, (m, L1+L2)."""
    if panel.clean is None and layout.estimation[1] + 1 == layout.event[0]:
        return _pairs(panel, panel.returns, events, layout.estimation[0], layout.n_estimation + layout.n_event)
    both = zip(estimation_pairs(panel, events, layout), event_pairs(panel, events, layout), strict=True)
    y, x = (np.hstack(pair) for pair in both)
    return y, x


def _pairs(
    panel: WidePanel, returns: NDArray[np.float64], events: FirmEvents, first: int, length: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    y = windows_of(returns, events.security, events.position + first, length)
    x = windows_of(panel.indices, events.index, events.position + first, length)
    return y, x


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
