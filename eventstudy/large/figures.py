"""Further values of each firm-event for the tables, besides its fit and its CARs."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eventstudy.core.abnormal import compounded
from eventstudy.large.by_model import CHUNK, abnormal_chunk
from eventstudy.large.panel import FirmEvents, Layout, MarketFit, WidePanel, pairs_of


@dataclass(frozen=True, slots=True, kw_only=True)
class EventFigures:
    """Further values of N firm-events over W windows.

    Attributes
    ----------
    r_squared : (N,)
        R² of the fit.
    first, last : (N,) int32
        Indices of the first and the last used estimation day in the sessions.
    bhar : (W, N)
        Buy-and-hold abnormal returns.
    ends, empty_window, lumped, outside : (N,) bool
        Whether the last event day has a return, whether no event day has one, whether the first return after day 0 is
        too late, and whether day 0 is outside the prices.
    loadings
        Further coefficients (N,) besides alpha and beta, by name.
    """

    r_squared: NDArray[np.float64]
    first: NDArray[np.int32]
    last: NDArray[np.int32]
    bhar: NDArray[np.float64]
    ends: NDArray[np.bool_]
    empty_window: NDArray[np.bool_]
    lumped: NDArray[np.bool_]
    outside: NDArray[np.bool_]
    loadings: dict[str, NDArray[np.float64]] = field(default_factory=dict)

    @classmethod
    def empty(cls, n: int, layout: Layout) -> EventFigures:
        """Empty arrays for n firm-events."""
        places, flags = np.zeros((2, n), dtype=np.int32), np.zeros((4, n), dtype=bool)
        return cls(
            r_squared=np.full(n, np.nan),
            first=places[0],
            last=places[1],
            bhar=np.full((len(layout.car), n), np.nan),
            ends=flags[0],
            empty_window=flags[1],
            lumped=flags[2],
            outside=flags[3],
        )

    def put(self, rows: Any, part: EventFigures) -> None:
        """Write the firm-events of ``part`` into ``rows``."""
        for name in ("r_squared", "first", "last", "bhar", "ends", "empty_window", "lumped", "outside"):
            getattr(self, name)[..., rows] = getattr(part, name)
        for name, values in part.loadings.items():
            self.loadings.setdefault(name, np.full(len(self.first), np.nan))[rows] = values


def figures_of(panel: WidePanel, events: FirmEvents, fit: MarketFit, layout: Layout) -> EventFigures:
    """Return the further values of these firm-events from their ``fit``, without prices."""
    found = EventFigures.empty(len(events), layout)
    for start in range(0, len(events), CHUNK):
        rows = slice(start, start + CHUNK)
        with np.errstate(divide="ignore", invalid="ignore"):
            part = (_of_line if layout.model.name == "market" else _of_model)(
                panel, events.take(rows), fit.take(rows), layout
            )
        found.put(rows, part)
    return found


def _of_line(panel: WidePanel, events: FirmEvents, fit: MarketFit, layout: Layout) -> EventFigures:
    y, x = pairs_of(panel, panel.estimation, events, layout.estimation[0], layout.n_estimation)
    used = np.isfinite(y + x)
    mean = np.where(used, y, 0.0).sum(axis=1) / fit.n
    centred = np.where(used, y - mean[:, None], 0.0)
    r_squared = 1.0 - fit.sigma**2 * (fit.n - 2) / np.vecdot(centred, centred)
    y, x = pairs_of(panel, panel.returns, events, layout.event[0], layout.n_event)
    expected = fit.beta[:, None] * x + fit.alpha[:, None] * layout.carries_alpha
    return _figures(panel, events, layout, used, y, expected, r_squared)


def _of_model(panel: WidePanel, events: FirmEvents, _: MarketFit, layout: Layout) -> EventFigures:
    found = abnormal_chunk(panel, events, layout)
    fitted = found.expected
    used, returns = np.isfinite(fitted.residuals), found.panel.event_returns
    part = _figures(panel, events, layout, used, returns, fitted.mean, fitted.r_squared)
    others = {name: fitted.theta[:, at] for at, name in enumerate(fitted.loadings) if name not in ("alpha", "beta")}
    part.loadings.update(others)
    return part


def _figures(
    panel: WidePanel,
    events: FirmEvents,
    layout: Layout,
    used: NDArray[np.bool_],
    returns: NDArray[np.float64],
    expected: NDArray[np.float64],
    r_squared: NDArray[np.float64],
) -> EventFigures:
    found, begin = EventFigures.empty(len(events), layout), events.position + layout.estimation[0]
    found.r_squared[:] = r_squared
    found.first[:], found.last[:] = (
        begin + used.argmax(axis=1),
        begin + used.shape[1] - 1 - used[:, ::-1].argmax(axis=1),
    )
    for w, window in enumerate(layout.car):
        days = layout.inside(window)
        found.bhar[w] = compounded(returns[:, days], panel.kind) - compounded(expected[:, days], panel.kind)
    there = np.isfinite(returns)
    found.ends[:], found.empty_window[:] = there[:, -1], ~there.any(axis=1)
    return found
