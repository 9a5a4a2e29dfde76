"""The day sums compiled by numba (extra ``fast``): a pass over a firm-event's days, a sort, a pass."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numba import njit
from numpy.typing import NDArray

from eventstudy.large.panel import FirmEvents, Layout, MarketFit, WidePanel
from eventstudy.registry import KERNELS

if TYPE_CHECKING:
    from eventstudy.large.days import DaySums, _ByDate

#: Residuals of so many standard errors are told apart in the sortable integers; beyond, by value.
RANGE = 8.0


@KERNELS.add("market_days")
def add_compiled(
    panel: WidePanel,
    events: FirmEvents,
    fit: MarketFit,
    layout: Layout,
    code: NDArray[np.intp],
    windows: NDArray[np.intp],
    spread: NDArray[np.float64],
    by_date: _ByDate,
    sums: DaySums | None,
) -> None:
    """Add firm-events with the same ``windows`` complete, sorted by date; ``sums`` is None in the halo.

    Twin of `days._add_numpy`; ``windows`` may be none.
    """
    if sums is None and not len(windows):
        return
    n, before, around = len(events), layout.n_estimation, layout.n_event
    chosen = np.array(layout.car, dtype=np.intp)[windows] - layout.event[0]
    alphas = np.array([layout.alpha_days(window) for window in layout.car], dtype=np.intp)[windows]
    with np.errstate(divide="ignore", invalid="ignore"):
        levels = np.array([fit.scar(w) / spread[w] * fit.sigma for w in windows]).reshape(len(windows), n)
    values, keys = np.empty((n, before + around)), np.empty((n, before + around), dtype=np.int32)
    day, ar = np.zeros(before), np.zeros((int(code[-1] - code[0]) + 1, 2, around))
    rank, above = np.zeros((before + around, 4)), np.zeros((len(windows), before + 1))
    prices = (panel.returns, panel.estimation, panel.indices)
    fitted = (events.position, events.security, events.index, fit.alpha, fit.beta, fit.sigma, fit.n, code)
    days = (layout.estimation[0], layout.event[0], layout.carries_alpha, chosen, alphas, levels, windows)
    dates = (by_date.residual, by_date.used, by_date.scaled, by_date.own, by_date.pull, by_date.members)
    share = _days(*prices, *fitted, *days, sums is not None, *dates, day, ar, above, values, keys)
    if sums is None:
        return
    if len(windows):
        keys.sort(axis=1)
        _ranks(keys, values, before, rank)
    held = slice(int(code[0]), int(code[-1]) + 1)
    sums.date_ar[held] += ar[:, 0]
    sums.date_n[held] += ar[:, 1]
    for place, w in enumerate(windows):
        sums.positive[w] += share
        sums.rank[w] += rank[:, 0]
        sums.uniform[w] += rank[:, 1]
        sums.rank_n[w] += rank[:, 3]
        sums.generalised_n[w] += np.append(day, n)
        if spread[w] > 0:
            sums.generalised[w] += above[place]
            sums.generalised[w, :-1] += rank[:before, 2]
        sums.shock_car[held, w] += np.bincount(code - code[0], fit.car[w])
        by_date.around[w, held] += ar[:, 0]


@njit(cache=True, nogil=True, error_model="numpy")  # type: ignore[untyped-decorator]
def _days(
    returns: NDArray[np.float64],
    estimation: NDArray[np.float64],
    indices: NDArray[np.float64],
    position: NDArray[np.intp],
    security: NDArray[np.intp],
    index: NDArray[np.intp],
    alpha: NDArray[np.float64],
    beta: NDArray[np.float64],
    sigma: NDArray[np.float64],
    n: NDArray[np.int32],
    code: NDArray[np.intp],
    begin: int,
    begin_event: int,
    carries: NDArray[np.bool_],
    chosen: NDArray[np.intp],
    alphas: NDArray[np.intp],
    levels: NDArray[np.float64],
    windows: NDArray[np.intp],
    own: bool,
    residual_: NDArray[np.float64],
    used_: NDArray[np.float64],
    scaled_: NDArray[np.float64],
    own_: NDArray[np.float64],
    pull_: NDArray[np.float64],
    members_: NDArray[np.float64],
    day: NDArray[np.float64],
    ar: NDArray[np.float64],
    above: NDArray[np.float64],
    values: NDArray[np.float64],
    keys: NDArray[np.int32],
) -> float:
    length, before, around = returns.shape[1], len(day), len(carries)
    size = 1
    while size < before + around:
        size *= 2
    low, missing = np.int32(size), np.int32(2**31 // size - 1)
    most = float(missing - 1)
    used, x_ = np.zeros(before), np.zeros(before)
    y_pad, x_pad = np.empty(before), np.empty(before)
    share = 0.0
    for i in range(len(position)):
        first = position[i] + begin
        y, z, x = returns[security[i]], estimation[security[i]], indices[index[i]]
        value, key = values[i], keys[i]
        for t in range(max(0, -first), min(before, length - first)):
            y_pad[t], x_pad[t] = z[first + t], x[first + t]
        y_pad[: max(0, -first)] = np.nan
        y_pad[max(0, length - first) :] = np.nan
        for t in range(before):
            there = np.isfinite(y_pad[t]) and np.isfinite(x_pad[t])
            used[t] = 1.0 if there else 0.0
            x_[t] = x_pad[t] if there else 0.0
            value[t] = y_pad[t] - alpha[i] - beta[i] * x_pad[t] if there else 0.0
        k = code[i]
        root = 1.0 / (sigma[i] * np.sqrt((n[i] - 2.0) / n[i]))
        for w in windows:
            own_[w, k] += n[i]
            members_[w, k] += 1.0
            e, c, u = residual_[w, k], used_[w, k], scaled_[w, k]
            for t in range(before):
                e[t] += value[t]
                c[t] += used[t]
                u[t] += value[t] * root
        if not own:
            continue
        total = positive = 0.0
        for t in range(before):
            day[t] += used[t]
            total += x_[t]
            positive += 1.0 if value[t] > 0 else 0.0
        share += positive / n[i]
        x_mean, sxx = total / n[i], 0.0
        for t in range(before):
            sxx += used[t] * (x_[t] - x_mean) ** 2
        weight = 1.0 / (n[i] + 2.0)
        for p in range(len(windows)):
            move = 0.0
            for at in range(chosen[p, 0], chosen[p, 1] + 1):
                move += x[position[i] + begin_event + at]
            slope, base = (move - alphas[p] * x_mean) / sxx, alphas[p] / n[i]
            row, level, under = pull_[windows[p], k], levels[p, i], 0.0
            for t in range(before):
                row[t] += used[t] * (base + slope * (x_[t] - x_mean))
                over = used[t] if value[t] > level else (0.5 * used[t] if value[t] == level else 0.0)
                above[p, t] += weight * over - 0.5 * used[t]
                under += used[t] - over
            above[p, before] += (1.0 + under) * weight - 0.5
        for at in range(around):
            s = position[i] + begin_event + at
            v = np.nan
            if 0 <= s < length:
                v = y[s] - beta[i] * x[s] - (alpha[i] if carries[at] else 0.0)
            value[before + at] = v
            if np.isfinite(v):
                ar[k - code[0], 0, at] += v
                ar[k - code[0], 1, at] += 1.0
        scale = most / (RANGE * sigma[i])
        for t in range(before):
            value[t] = value[t] if used[t] > 0.0 else np.nan
        # Integers of 32 bits all through, so that the loop runs on vectors.
        for t in range(before + around):
            v = value[t] * scale
            v = most if v > most else v
            v = -most if v < -most else v
            q = np.int32(v) if v == v else missing
            key[t] = np.int32(np.int32(q * low) + np.int32(t))
    return share


@njit(cache=True, nogil=True, error_model="numpy")  # type: ignore[untyped-decorator]
def _ranks(keys: NDArray[np.int32], values: NDArray[np.float64], before: int, rank: NDArray[np.float64]) -> None:
    """Add K - (M+1)/2, K/(1+M) - 1/2, the rank among estimation days over n+2, and 1, by day.

    The rank among estimation days means nothing on the event days.
    """
    length = keys.shape[1]
    low = 1
    while low < length:
        low *= 2
    shift = 0
    while 1 << shift < low:
        shift += 1
    days = np.empty(length, dtype=np.int64)
    missing = 2**31 // low - 1
    for i in range(len(keys)):
        key = keys[i]
        count, shared = length, False
        while count > 0 and key[count - 1] >> shift == missing:
            count -= 1
        early = 0
        for j in range(count):
            days[j] = key[j] & (low - 1)
            early += days[j] < before
            shared |= j > 0 and key[j] >> shift == key[j - 1] >> shift
        middle, over, weight = (count + 1) / 2.0, 1.0 / (1.0 + count), 1.0 / (early + 2.0)
        if shared:
            _put_in_order(days, key, values[i], count, shift)
            _add_with_ties(days, values[i], count, before, middle, over, weight, rank)
            continue
        among = 0
        for j in range(count):
            row = rank[days[j]]
            among += days[j] < before
            row[0] += j + 1 - middle
            row[1] += (j + 1) * over - 0.5
            row[2] += among * weight
            row[3] += 1.0


@njit(cache=True, nogil=True, error_model="numpy")  # type: ignore[untyped-decorator]
def _put_in_order(
    days: NDArray[np.int64], key: NDArray[np.int32], value: NDArray[np.float64], count: int, shift: int
) -> None:
    """Put days whose values share an integer in order by the values themselves."""
    for j in range(1, count):
        held, at = days[j], j
        while at > 0 and key[at - 1] >> shift == key[j] >> shift and value[days[at - 1]] > value[held]:
            days[at] = days[at - 1]
            at -= 1
        days[at] = held


@njit(cache=True, nogil=True, error_model="numpy")  # type: ignore[untyped-decorator]
def _add_with_ties(
    days: NDArray[np.int64],
    value: NDArray[np.float64],
    count: int,
    before: int,
    middle: float,
    over: float,
    weight: float,
    rank: NDArray[np.float64],
) -> None:
    seen, j = 0, 0
    while j < count:
        last = j
        while last + 1 < count and value[days[last + 1]] == value[days[j]]:
            last += 1
        alike = 0
        for m in range(j, last + 1):
            alike += days[m] < before
        place, among = (j + last) / 2.0 + 1.0, seen + (alike + 1) / 2.0
        for m in range(j, last + 1):
            row = rank[days[m]]
            row[0] += place - middle
            row[1] += place * over - 0.5
            row[2] += among * weight
            row[3] += 1.0
        seen += alike
        j = last + 1
