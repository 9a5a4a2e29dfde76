"""Fits of any number of firm-events, split over securities."""

from __future__ import annotations

import importlib.util
import itertools
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from eventstudy.errors import ConfigError
from eventstudy.large.by_model import fit_by_model
from eventstudy.large.one_pass import fit_one_pass
from eventstudy.large.panel import FirmEvents, Layout, MarketFit, WidePanel, empty_fit, pairs_of, put
from eventstudy.large.prefix import fit_prefix
from eventstudy.registry import KERNELS

Kernel = Literal["auto", "numpy", "numba"]
Fill = Callable[[WidePanel, FirmEvents, Layout, MarketFit], None]
#: Firm-events from which compiled code pays for being loaded.
MANY = 2_000_000
#: Sessions of prefix sums that cost as much as one pass over the days of one firm-event.
SESSIONS_AN_EVENT = 64
#: Firm-events whose abnormal returns are made at a time.
AR_CHUNK = 4_096
#: Firm-events of one security after another that one thread takes.
PART = 65_536
#: Below so many firm-events numpy's threads wait for each other longer than they work.
THREADED = 500_000


def fit_events(
    panel: WidePanel, events: FirmEvents, layout: Layout, *, kernel: Kernel = "auto", threads: int = 1
) -> MarketFit:
    """Fit the model to every firm-event and sum its abnormal returns over the windows.

    Parameters
    ----------
    kernel
        ``numba`` compiles the market model (extra ``fast``), ``numpy`` does not; ``auto`` takes numba where it
        is installed and the events are so many that loading it pays.
    threads
        The figures do not depend on it.

    Raises
    ------
    ConfigError
        If numba is asked for and is not installed.
    """
    out = empty_fit(len(events), len(layout.car))
    key = events.security * len(panel.indices) + events.index
    order = _order(key)
    key = key if order is None else key[order]
    compiled = layout.model.name == "market" and use_numba(kernel, len(events), MANY)
    fill: Fill = KERNELS["market_fit"] if compiled else _plain(key, panel.sessions, layout)

    def work(part: slice) -> None:
        if order is None:
            fill(panel, events.take(part), layout, out.take(part))
            return
        rows = order[part]
        room = empty_fit(len(rows), len(layout.car))
        fill(panel, events.take(rows), layout, room)
        put(out, rows, room)

    if not compiled and len(events) < THREADED:
        threads = 1
    parts = _parts(key, threads)
    if threads == 1 or len(parts) == 1:
        for part in parts:
            work(part)
    else:
        with ThreadPoolExecutor(threads) as pool:
            list(pool.map(work, parts))
    return out


def _order(key: NDArray[np.intp]) -> NDArray[np.intp] | None:
    """Stable order of the firm-events by security, None where they are in it."""
    if np.all(key[1:] >= key[:-1]):
        return None
    # Two bytes are sorted by radix, in a tenth of the time.
    small = key.astype(np.uint16) if key.max() < 2**16 else key
    return np.argsort(small, kind="stable")


def _parts(key: NDArray[np.intp], threads: int) -> list[slice]:
    """Split sorted firm-events where security or index change, into parts of a size."""
    n = len(key)
    starts = np.flatnonzero(np.r_[True, key[1:] != key[:-1]]) if n else np.zeros(0, dtype=np.intp)
    size = min(PART, n // (4 * threads) + 1)
    at = np.searchsorted(starts, np.arange(0, n, size))
    edges = [*np.unique(starts[at[at < len(starts)]]).tolist(), n]
    return [slice(a, b) for a, b in itertools.pairwise(edges)]


def _plain(key: NDArray[np.intp], sessions: int, layout: Layout) -> Fill:
    """The model's own fit, for the market model whichever of two ways is quicker for sorted firm-events."""
    if layout.model.name != "market":
        return fit_by_model
    securities = 1 + np.count_nonzero(key[1:] != key[:-1])
    few = len(key) * SESSIONS_AN_EVENT < securities * sessions
    return fit_one_pass if few else fit_prefix


def abnormal_returns(
    panel: WidePanel, events: FirmEvents, fit: MarketFit, layout: Layout
) -> Iterator[tuple[slice, NDArray[np.float64]]]:
    """Yield abnormal returns over the event window, (rows, (m, L2)), a few thousand firm-events at a time.

    They are made when asked for: of a million firm-events they are a quarter of a gigabyte.
    """
    for start in range(0, len(events), AR_CHUNK):
        rows = slice(start, start + AR_CHUNK)
        pairs = pairs_of(panel, panel.returns, events.take(rows), layout.event[0], layout.n_event)
        yield rows, _abnormal(*pairs, fit.take(rows), layout)


def _abnormal(y: NDArray[np.float64], x: NDArray[np.float64], fit: MarketFit, layout: Layout) -> NDArray[np.float64]:
    """R - alpha - beta R_m, the intercept on the days that carry it, (m, L2)."""
    expected: NDArray[np.float64] = fit.beta[:, None] * x
    expected += fit.alpha[:, None] * layout.carries_alpha
    return np.subtract(y, expected, out=expected)


def use_numba(kernel: Kernel, n: int, many: int) -> bool:
    """Whether compiled code does the work on n firm-events; `ConfigError` if it cannot and must."""
    there = importlib.util.find_spec("numba") is not None
    if kernel == "numba" and not there:
        raise ConfigError("the numba kernel is not installed: pip install 'eventstudy-kit[fast]'")
    return there and (kernel == "numba" or (kernel == "auto" and n >= many))
