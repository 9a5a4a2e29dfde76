"""Peers whose price is locked at a limit: how long their drop lasts, and their days moved so that it is whole."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from eventstudy.core.abnormal import Window
from eventstudy.core.arrays import Counts
from eventstudy.core.models import ExpectedReturns
from eventstudy.core.returns import LOCKED_DOWN, LOCKED_UP
from eventstudy.core.windows import EventPanel

LOCKED = LOCKED_UP | LOCKED_DOWN
#: A drop window is extended by at most so many sessions.
LONGEST_LOCK = 5


def delays(flags: NDArray[np.uint8], tau: Counts, drop: Window) -> Counts:
    """Return by how many sessions each firm-event's aftermath starts later, shape (N,).

    Parameters
    ----------
    flags : (N, L2) uint8
        As in `EventPanel.event_flags`.
    drop
        The drop window that holds where nothing is locked.

    Notes
    -----
    Where the drop window has a locked session, u is the first session after the last one of that run
    that is not locked, at most +5: the drop lasts to u and the aftermath starts at u + ``drop[1]`` + 1, which is
    u + 2 for [0, +1]; the days between are in neither. Without a lock u is 0. A drop window that ends after u
    is long enough as it is.
    """
    locked = (flags & LOCKED) > 0
    first, last = np.searchsorted(tau, drop)
    delay = np.zeros(len(flags), dtype=np.int64)
    for row in np.flatnonzero(locked[:, first : last + 1].any(axis=1)):
        at = first + int(np.flatnonzero(locked[row, first : last + 1])[-1])
        while at < len(tau) and tau[at] < LONGEST_LOCK and locked[row, at]:
            at += 1
        unlocked = int(tau[min(at, len(tau) - 1)])
        delay[row] = unlocked if unlocked >= max(drop[1], 1) else 0
    return delay


def after_locks(
    panel: EventPanel, expected: ExpectedReturns, *, drop: Window, event: Window
) -> tuple[EventPanel, ExpectedReturns]:
    """Move the locked firm-events' days so that the drop window holds the whole drop.

    ``panel`` covers ``event`` and `LONGEST_LOCK` days more; the result covers ``event``. Sessions up
    to the last locked one are added up on the drop window's first day and the first unlocked session
    becomes its last: return, prediction and variance are sums, so CARs and their errors stay exact.
    """
    late = delays(panel.event_flags, panel.tau, drop)
    first, last = np.searchsorted(panel.tau, event)
    kept = slice(int(first), int(last) + 1)
    fields = {
        name: getattr(panel, name)[:, kept].copy()
        for name in ("event_returns", "event_factors", "event_sessions", "event_flags")
    }
    predicted = {name: getattr(expected, name)[:, kept].copy() for name in ("event_design", "scale")}
    for row in np.flatnonzero(late):
        for name, target in fields.items():
            target[row] = _run_together(getattr(panel, name)[row], panel.tau, int(late[row]), drop, event, name)
        for name, target in predicted.items():
            target[row] = _run_together(getattr(expected, name)[row], panel.tau, int(late[row]), drop, event, name)
    return (
        replace(panel, tau=panel.tau[kept], **fields),
        replace(expected, event_design=predicted["event_design"], scale=predicted["scale"]),
    )


def _run_together(
    values: NDArray[np.generic], tau: Counts, delay: int, drop: Window, event: Window, name: str
) -> NDArray[np.generic]:
    """One firm-event's days with the locked run put together; sessions keep the run's last day."""
    zero, length = int(np.flatnonzero(tau == drop[0])[0]), drop[1] - drop[0]
    unlocked = zero + delay - drop[0]
    run = values[zero : unlocked + (length == 0)]
    if name == "event_sessions":
        together = run[-1]
    else:
        together = np.bitwise_or.reduce(run) if name == "event_flags" else run.sum(axis=0)
    start = int(np.flatnonzero(tau == event[0])[0])
    between = np.zeros((max(length - 1, 0), *values.shape[1:]), dtype=values.dtype)
    if name == "event_sessions" and len(between):
        between[:] = together
    drop_days = [together[None], between, *([values[unlocked][None]] if length else [])]
    follow = int(np.flatnonzero(tau == drop[1] + 1)[0]) + delay
    moved = np.concatenate([values[start:zero], *drop_days, values[follow:]])
    return moved[: event[1] - event[0] + 1]
