"""Ranks of every firm-event's abnormal returns among all its days, made once and shared by the windows."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from eventstudy.core.abnormal import AbnormalReturns
from eventstudy.core.arrays import Bools, Counts, Floats, Places


@dataclass(frozen=True, slots=True)
class EventRanks:
    """Ranks over the estimation window followed by the whole event window.

    ``rank`` (N, L1 + L2) is 1 for a firm-event's lowest abnormal return, ties at their mean, NaN where it has
    none; ``count`` (N,) are the days that were ranked, M_i.
    """

    rank: Floats
    count: Counts

    def take(self, index: Places | Bools) -> EventRanks:
        """Return the firm-events at ``index`` (positions or a mask)."""
        return EventRanks(self.rank[index], self.count[index])


def rank_events(abnormal: AbnormalReturns) -> EventRanks:
    """Rank each firm-event's estimation residuals and event-window abnormal returns together."""
    rank = row_ranks(np.hstack([abnormal.expected.residuals, abnormal.ar]))
    return EventRanks(rank, np.isfinite(rank).sum(axis=1))


def row_ranks(values: Floats) -> Floats:
    """Ranks along axis 1 with ties at their mean; NaN stays NaN and is not counted."""
    there = np.isfinite(values)
    filled = np.where(there, values, np.inf)
    order = np.argsort(filled, axis=1)
    ranks = np.empty(values.shape)
    np.put_along_axis(ranks, order, np.arange(1.0, values.shape[1] + 1.0)[None, :], axis=1)
    ordered = np.take_along_axis(filled, order, axis=1)
    # Infinity stands for a missing day: those need no rank of their own.
    tied = ((ordered[:, 1:] == ordered[:, :-1]) & (ordered[:, 1:] < np.inf)).any(axis=1)
    for row in np.flatnonzero(tied):
        _, place, count = np.unique(filled[row], return_inverse=True, return_counts=True)
        ranks[row] = (np.cumsum(count) - (count - 1) / 2.0)[place]
    return np.where(there, ranks, np.nan)
