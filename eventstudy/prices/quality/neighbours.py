"""Checks of one series against the others of its market: gaps, an early end, identical series."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from eventstudy.errors import Reason
from eventstudy.prices.quality.subject import QualityFinding, Severity, Subject

#: A series that ends this many sessions before its market's last price has stopped.
STOPPED = 10
#: A pause this long, followed by another price level, indicates another company.
REUSE_GAP, REUSE_FACTOR = 250, 1.5
#: Share of sessions without a price above which a series is not daily.
TOO_MANY_GAPS = 0.5
#: Number of common sessions from which on identical returns are no coincidence.
COMMON = 20


def across(subjects: Sequence[Subject]) -> Iterator[QualityFinding]:
    """Checks that need the other series of the market."""
    if not subjects:
        return
    there = np.array([np.isfinite(subject.price) for subject in subjects])
    open_days = np.any(there, axis=0)
    for subject, own in zip(subjects, there, strict=True):
        if own.any():
            yield from _gaps(subject, own, open_days)
            yield from _stops(subject, own, open_days)
    for one, other in itertools.combinations(subjects, 2):
        yield from _same(one, other)


def _gaps(subject: Subject, own: NDArray[np.bool_], open_days: NDArray[np.bool_]) -> Iterator[QualityFinding]:
    """Yield sessions without a trade while others traded, and pauses that indicate another company."""
    inside = np.flatnonzero(own)
    grid = np.flatnonzero(open_days)
    grid = grid[(grid >= inside[0]) & (grid <= inside[-1])]
    lacking = grid[~own[grid]]
    if not len(lacking):
        return
    share = len(lacking) / len(grid)
    text = Reason("quality.gaps", n=len(lacking), day=subject.days[lacking[0]])
    if share > TOO_MANY_GAPS:
        text = Reason("quality.no_daily", text=text, share=share)
    severity: Severity = "drop" if share > TOO_MANY_GAPS else "warn"
    yield subject.finding("gaps", lacking[0], len(lacking), severity, text)
    position = np.searchsorted(grid, inside)
    for at in np.flatnonzero(np.diff(position) > REUSE_GAP).tolist():
        before, after = inside[at], inside[at + 1]
        change = subject.price[after] / subject.price[before]
        if not 1 / REUSE_FACTOR < change < REUSE_FACTOR:
            text = Reason("quality.reuse", n=position[at + 1] - position[at] - 1, factor=change)
            yield subject.finding("ticker_reuse", after, change, "drop", text)


def _stops(subject: Subject, own: NDArray[np.bool_], open_days: NDArray[np.bool_]) -> Iterator[QualityFinding]:
    """Yield a series that ends long before its market, its listing, or a takeover bid."""
    needed = open_days.copy()
    for day in (subject.peer.until, subject.peer.deal_bound_from) if subject.peer else ():
        if day is not None:
            needed &= subject.days <= np.datetime64(day, "D")
    last = int(np.flatnonzero(own)[-1])
    later = int(needed[last + 1 :].sum())
    if later > STOPPED:
        yield subject.finding("series_stops", last, later, "warn", Reason("quality.stops", n=later))


def _same(one: Subject, other: Subject) -> Iterator[QualityFinding]:
    """Yield two series with the same returns: one file under two names, or a security as its own index."""
    a, b = one.log_return, other.log_return
    both = np.isfinite(a) & np.isfinite(b)
    if both.sum() < COMMON or not np.any(a[both]) or np.abs(a[both] - b[both]).max() > 1e-9:
        return
    kind = "quality.same_index" if one.peer is None else "quality.same_peer"
    text = Reason(kind, n=int(both.sum()), ticker=one.item.ticker)
    row = int(np.flatnonzero(both)[0])
    yield other.finding("same_series", row, int(both.sum()), "stop", text)
