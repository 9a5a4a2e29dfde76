"""Ranks of many firm-events at once: day numbers are packed into the low bits of sortable integers."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from eventstudy.core.arrays import row_ranks

_SIGN = np.int64(63)
_MAGNITUDE = np.int64(2**63 - 1)
_SHIFT, _LOWER = np.int32(15), np.int32(2**15 - 1)


def packed_ranks(values: NDArray[np.float64], first: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Ranks along axis 1 with ties at their mean, zero where NaN: among all, and among the ``first`` days.

    Notes
    -----
    A double's bits, read as an integer and mirrored below zero, sort like the double. The low bits
    give way to the day, so one plain sort also tells whose rank it is. Rows in which two values agree
    in the bits that are left, which is where ties are, are ranked by `row_ranks`.
    """
    n, length = values.shape
    low = np.int64(2 ** int(length - 1).bit_length() - 1)
    keys, gaps = _keys(values, low)
    keys.sort(axis=1)
    tied = _tied(keys, low)
    day = keys & low
    # Both ranks in one integer, so that one scatter takes them to their days.
    places = np.cumsum(day < first, axis=1, dtype=np.int32)
    places |= np.arange(1, length + 1, dtype=np.int32) << _SHIFT
    day += np.arange(n)[:, None] * length
    found = np.empty((n, length), dtype=np.int32)
    found.ravel()[day.ravel()] = places.ravel()
    rank = (found >> _SHIFT).astype(float)
    among = (found[:, :first] & _LOWER).astype(float)
    if len(gaps):
        there = np.isfinite(values[gaps])
        rank[gaps] *= there
        among[gaps] *= there[:, :first]
    if len(tied):
        rank[tied] = np.nan_to_num(row_ranks(values[tied]))
        among[tied] = np.nan_to_num(row_ranks(values[tied, :first]))
    return rank, among


def _keys(values: NDArray[np.float64], low: np.int64) -> tuple[NDArray[np.int64], NDArray[np.intp]]:
    """Sortable integers with the day in their low bits, and the rows that have a day missing.

    Missing days come last, each with bits of its own above the day, so that no two of them are tied.
    """
    day = np.arange(values.shape[1])
    # Adding zero makes one zero of two.
    keys = (values + 0.0).view(np.int64)
    fold = keys >> _SIGN
    fold &= _MAGNITUDE
    keys ^= fold
    gaps = np.flatnonzero(~np.isfinite(values.sum(axis=1)))
    if len(gaps):
        last = (_MAGNITUDE & ~low) - day * (low + 1)
        keys[gaps] = np.where(np.isfinite(values[gaps]), keys[gaps], last)
    keys &= ~low
    keys |= day
    return keys, gaps


def _tied(keys: NDArray[np.int64], low: np.int64) -> NDArray[np.intp]:
    """Rows in which neighbours differ in nothing but the day."""
    same = (keys[:, 1:] ^ keys[:, :-1]).view(np.uint64) <= np.uint64(low)
    return np.flatnonzero(same.any(axis=1)) if same.any() else np.zeros(0, dtype=np.intp)
