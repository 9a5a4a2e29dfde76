"""Ranks of every firm-event's abnormal returns among all its days, made once and shared by the windows."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

from eventstudy.abnormal import AbnormalReturns


@dataclass(frozen=True, slots=True)
class EventRanks:
    """Ranks over the estimation window followed by the whole event window.

    Attributes
    ----------
    rank : (N, L1 + L2)
        1 for a firm-event's lowest abnormal return, ties at their mean, NaN where it has none.
    count : (N,)
        Days that were ranked, M_i.
    """

    rank: NDArray[np.float64]
    count: NDArray[np.int64]

    def take(self, index: NDArray[np.intp] | NDArray[np.bool_]) -> EventRanks:
        """Return the firm-events at ``index`` (positions or a mask)."""
        return EventRanks(self.rank[index], self.count[index])


def rank_events(abnormal: AbnormalReturns) -> EventRanks:
    """Rank each firm-event's estimation residuals and event-window abnormal returns together."""
    rank = row_ranks(np.hstack([abnormal.expected.residuals, abnormal.ar]))
    return EventRanks(rank, np.isfinite(rank).sum(axis=1))


def row_ranks(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Ranks along axis 1 with ties at their mean; NaN stays NaN and is not counted."""
    there = np.isfinite(values)
    ranks: NDArray[np.float64] = rankdata(np.where(there, values, np.inf), axis=1)
    return np.where(there, ranks, np.nan)
