"""Ranks of many firm-events at once: day numbers are packed into the low bits of sortable integers."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from eventstudy.inference.ranks import row_ranks

_SIGN = np.int64(63)
_MAGNITUDE = np.int64(2**63 - 1)


def packed_ranks(values: NDArray[np.float64], first: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Ranks along axis 1 with ties at their mean, zero where NaN: among all, and among the ``first`` days.

    Notes
    -----
    A double's bits, read as an integer and mirrored below zero, sort like the double. The low bits
    give way to the day, so one plain sort also tells whose rank it is. Rows in which two values agree
    in the bits that are left, which is where ties are, are ranked by `inference.ranks.row_ranks`.
    """
    n, length = values.shape
    there = np.isfinite(values)
    low = np.int64(2 ** int(length - 1).bit_length() - 1)
    # Adding zero makes one zero of two.
    keys = (values + 0.0).view(np.int64)
    keys ^= (keys >> _SIGN) & _MAGNITUDE
    keys[~there] = _MAGNITUDE
    keys &= ~low
    keys |= np.arange(length)
    keys.sort(axis=1)
    count = there.sum(axis=1)
    tied = _tied(keys, count, low)
    day = keys & low
    early = np.cumsum(day < first, axis=1, dtype=np.int16)
    day += np.arange(n)[:, None] * length
    rank, among = np.empty((n, length)), np.empty((n, length))
    rank.ravel()[day.ravel()] = np.broadcast_to(np.arange(1.0, length + 1), day.shape).ravel()
    among.ravel()[day.ravel()] = early.ravel()
    rank *= there
    among = among[:, :first] * there[:, :first]
    if len(tied):
        rank[tied] = np.nan_to_num(row_ranks(values[tied]))
        among[tied] = np.nan_to_num(row_ranks(values[tied, :first]))
    return rank, among


def _tied(keys: NDArray[np.int64], count: NDArray[np.intp], low: np.int64) -> NDArray[np.intp]:
    """Rows in which neighbours differ in nothing but the day; missing days stand at the end."""
    same = (keys[:, 1:] ^ keys[:, :-1]).view(np.uint64) <= np.uint64(low)
    same &= np.arange(1, keys.shape[1]) < count[:, None]
    return np.flatnonzero(same.any(axis=1))
