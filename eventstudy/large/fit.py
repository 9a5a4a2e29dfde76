"""Fit the model to any number of firm-events."""

from __future__ import annotations

import numpy as np

from eventstudy.large.by_model import fit_by_model
from eventstudy.large.one_pass import fit_one_pass
from eventstudy.large.panel import FirmEvents, Layout, MarketFit, WidePanel, empty_fit, put
from eventstudy.large.prefix import fit_prefix

#: Number of sessions of prefix sums that take as long as one pass over the days of one firm-event.
SESSIONS_AN_EVENT = 64


def fit_events(panel: WidePanel, events: FirmEvents, layout: Layout) -> MarketFit:
    """Fit the model to every firm-event, in any order, and sum its abnormal returns over the windows."""
    fitted = empty_fit(len(events), len(layout.car))
    key = events.security * len(panel.indices) + events.index
    fill = fit_by_model
    if layout.model.name == "market":
        few = len(key) * SESSIONS_AN_EVENT < np.count_nonzero(np.bincount(key)) * panel.sessions
        fill = fit_one_pass if few else fit_prefix
    if np.all(key[1:] >= key[:-1]):
        fill(panel, events, layout, fitted)
        return fitted
    # Two-byte integers are sorted by radix sort, in a tenth of the time.
    order = np.argsort(key.astype(np.uint16) if key.max() < 2**16 else key, kind="stable")
    by_security = empty_fit(len(events), len(layout.car))
    fill(panel, events.take(order), layout, by_security)
    put(fitted, order, by_security)
    return fitted
