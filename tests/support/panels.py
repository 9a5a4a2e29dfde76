"""Event panels made by hand from arrays, for tests of the kernels."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from eventstudy.core.windows import EventPanel


def make_panel(
    returns: NDArray[np.float64],
    market: NDArray[np.float64],
    *,
    n_estimation: int,
    first_tau: int = -2,
    shock_id: Sequence[str] | None = None,
    region: Sequence[str] | None = None,
    start: int = 18_000,
    starts: Sequence[int] | None = None,
) -> EventPanel:
    """Panel of N firm-events whose rows are estimation days, then event days.

    ``returns`` is (N, L1+L2), ``market`` (L1+L2,) or (N, L1+L2). ``starts`` gives each row's first
    calendar day; rows of one shock share sessions when they start on the same day.
    """
    n, length = returns.shape
    factors = np.broadcast_to(market, returns.shape)[:, :, None]
    begin = np.array(starts if starts is not None else [start] * n)
    sessions = (begin[:, None] + np.arange(length)).astype(np.int32)
    shocks = np.array(shock_id if shock_id is not None else ["S"] * n, dtype=np.str_)
    return EventPanel(
        event_id=shocks,
        shock_id=shocks,
        ticker=np.array([f"T{i}" for i in range(n)]),
        market=np.array(["XNYS"] * n),
        region=np.array(region if region is not None else ["US"] * n),
        lead=np.ones(n, dtype=bool),
        tau=first_tau + np.arange(length - n_estimation),
        estimation_returns=returns[:, :n_estimation],
        estimation_factors=factors[:, :n_estimation],
        estimation_sessions=sessions[:, :n_estimation],
        event_returns=returns[:, n_estimation:],
        event_factors=factors[:, n_estimation:],
        event_sessions=sessions[:, n_estimation:],
        event_flags=np.zeros((n, length - n_estimation), dtype=np.uint8),
    )
