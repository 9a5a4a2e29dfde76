"""Fits by the registered models, some hundred firm-events at a time."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from eventstudy.core.abnormal import AbnormalReturns
from eventstudy.core.abnormal import abnormal_returns as subtract
from eventstudy.core.models import fit
from eventstudy.core.windows import EventPanel
from eventstudy.large.panel import FirmEvents, Layout, MarketFit, WidePanel, windows_of

#: Number of firm-events at a time: temporary arrays of some megabytes.
CHUNK = 512


def fit_by_model(panel: WidePanel, events: FirmEvents, layout: Layout, out: MarketFit) -> None:
    """Fill ``out`` for these firm-events, by the model that the layout names."""
    for start in range(0, len(events), CHUNK):
        rows = slice(start, start + CHUNK)
        _fill(abnormal_chunk(panel, events.take(rows), layout), layout, out.take(rows))


def _fill(found: AbnormalReturns, layout: Layout, out: MarketFit) -> None:
    expected, ar = found.expected, found.ar
    for name in ("alpha", "beta"):
        known = name in expected.loadings
        getattr(out, name)[:] = expected.theta[:, expected.loadings.index(name)] if known else np.nan
    out.n[:], out.sigma[:] = expected.n_estimation, np.sqrt(expected.sigma2)
    # A return that never changes has no variance.
    used = np.where(np.isfinite(expected.residuals), found.panel.estimation_returns, np.nan)
    still = (out.n > 0) & (np.fmin.reduce(used, axis=1) == np.fmax.reduce(used, axis=1))
    out.sigma[still] = 0.0
    for w, window in enumerate(layout.car):
        out.car[w] = found.car(window, ar=ar)
        out.variance[w] = found.variance(window) + 0.0 * out.car[w]


def abnormal_chunk(panel: WidePanel, events: FirmEvents, layout: Layout) -> AbnormalReturns:
    """Abnormal returns of these firm-events, and their fits."""
    (first, last), start = layout.estimation, layout.event[0]

    def cut(begin: int, length: int, returns: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        at, row = events.position + begin, np.zeros(len(events), dtype=np.intp)
        series = [windows_of(panel.indices, events.index, at, length)]
        series += [windows_of(factor[None, :], row, at, length) for factor in panel.factors.values()]
        return windows_of(returns, events.security, at, length), np.stack(series, axis=2)

    days = cut(first, last - first + 1, panel.estimation), cut(start, layout.n_event, panel.returns)
    nameless = nameless_panel(*days, layout, ("market", *panel.factors), panel.kind)
    with np.errstate(divide="ignore", invalid="ignore"):
        return subtract(nameless, fit(nameless, layout.model.name, settings=layout.model), alpha=layout.alpha)


Days = tuple[NDArray[np.float64], NDArray[np.float64]]


def nameless_panel(
    estimation: Days,
    event: Days,
    layout: Layout,
    factors: tuple[str, ...] = ("market",),
    kind: Literal["simple", "log"] = "simple",
) -> EventPanel:
    """Panel without names, for models: returns (m, L) and factors (m, L, K) of both windows."""
    n = len(event[0])
    text = np.broadcast_to(np.array("", dtype=np.str_), n)
    return EventPanel(
        event_id=text,
        shock_id=text,
        ticker=text,
        market=text,
        region=text,
        lead=np.broadcast_to(np.True_, n),
        tau=layout.tau,
        estimation_returns=estimation[0],
        estimation_factors=estimation[1],
        estimation_sessions=np.broadcast_to(np.int32(0), estimation[0].shape),
        event_returns=event[0],
        event_factors=event[1],
        event_sessions=np.broadcast_to(np.int32(0), event[0].shape),
        event_flags=np.broadcast_to(np.uint8(0), event[0].shape),
        factor_names=factors,
        kind=kind,
    )


def pulls(found: AbnormalReturns, layout: Layout) -> NDArray[np.float64]:
    """Weights of the estimation days in the prediction of each window's sum, (W, m, L1)."""
    expected = found.expected
    lever = []
    for window in layout.car:
        x = np.nan_to_num(expected.window_design(found.weights(window)))
        lever.append(np.einsum("nlp,npq,nq->nl", expected.estimation_design, expected.xtx_inv, x, optimize=True))
    return np.stack(lever)
