"""Sums over event days for the tests; they add up over blocks of dates."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Iterator
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from eventstudy.core.arrays import row_ranks
from eventstudy.core.statistics.overlap import FEWEST_SHARED
from eventstudy.large.by_model import abnormal_chunk, pulls
from eventstudy.large.panel import FirmEvents, Layout, MarketFit, WidePanel, pairs_of

#: Number of firm-events at a time: temporary arrays of about a megabyte.
CHUNK = 448
#: Smallest numbers of dates and firm-events of a block, and its largest number of dates. Each block also
#: reads the firm-events of the `reach` sessions after it.
BLOCK_DATES, BLOCK_EVENTS, MOST_DATES = 128, 1_024, 512
#: Fields of `DaySums` with one row for each date, which are concatenated; all others are summed.
BY_DATE = frozenset("date date_ar date_n shock_car shock_variance members alike grown_car grown_n grown_alike".split())


@dataclass(frozen=True, slots=True, kw_only=True)
class DaySums:
    """Sums over firm-events by day, for W windows; those of a window are over its complete firm-events.

    Attributes
    ----------
    residual, residual_n : (W, L1)
        Estimation residuals and how many there are, by day of the estimation window.
    rank, uniform, rank_n : (W, L1+L2)
        K - (M+1)/2 and K/(1+M) - 1/2 of the ranks K among a firm-event's M days, and the number ranked.
    generalised, generalised_n : (W, L1+1)
        Centred uniform ranks of the standardised residuals and, last, of the rescaled SCAR.
    positive : (W,)
        Shares of positive residuals.
    pairs : (W,)
        Mean residual correlations of pairs of dates times their pairs of firm-events and the share of
        the window that they have in common, see `session_correlation`.
    calendar, calendar_n : (W, T)
        Abnormal returns inside the window, by session.
    date, date_ar, date_n : (K,), (K, L2), (K, L2)
        Day 0 of each date, its abnormal returns of all firm-events by event day, and their number.
    shock_car, shock_variance : (K, W)
        CAR of the date's equally weighted portfolio and its prediction-error variance, as
        `abnormal.ShockPortfolios`; NaN where the date has no firm-event with the window complete.
    members : (K, W)
        Firm-events of these portfolios.
    alike : (K, W, R)
        Correlation of a date's portfolio residuals with those of the date r sessions later, r up to the length of the
        longest window, see `likeness`; column 0 and pairs without a date are zero.
    grown_car, grown_n : (K, L2)
        Sums over firm-events of abnormal returns from the first event day to each one, and the number of firm-events
        with all these days.
    grown_alike : (K, L2 + 1, L2)
        ``alike`` of the firm-events of ``grown_n``, one row for each day; the last row is for those with day 0.
    """

    residual: NDArray[np.float64]
    residual_n: NDArray[np.float64]
    rank: NDArray[np.float64]
    uniform: NDArray[np.float64]
    rank_n: NDArray[np.float64]
    generalised: NDArray[np.float64]
    generalised_n: NDArray[np.float64]
    positive: NDArray[np.float64]
    pairs: NDArray[np.float64]
    calendar: NDArray[np.float64]
    calendar_n: NDArray[np.float64]
    date: NDArray[np.intp]
    date_ar: NDArray[np.float64]
    date_n: NDArray[np.float64]
    shock_car: NDArray[np.float64]
    shock_variance: NDArray[np.float64]
    members: NDArray[np.float64]
    alike: NDArray[np.float64]
    grown_car: NDArray[np.float64]
    grown_n: NDArray[np.float64]
    grown_alike: NDArray[np.float64]

    def __add__(self, other: DaySums) -> DaySums:
        joined: dict[str, Any] = {}
        for f in fields(DaySums):
            pair = getattr(self, f.name), getattr(other, f.name)
            joined[f.name] = np.concatenate(pair) if f.name in BY_DATE else pair[0] + pair[1]
        return DaySums(**joined)


def total(parts: list[DaySums]) -> DaySums:
    """Sum blocks in their order, so that the result does not depend on the workers."""
    return functools.reduce(DaySums.__add__, parts)


def _zeros(layout: Layout, sessions: int, dates: NDArray[np.intp]) -> DaySums:
    w, before, around = len(layout.car), layout.n_estimation, layout.n_event
    lengths = {
        "residual": before,
        "residual_n": before,
        "rank": before + around,
        "uniform": before + around,
        "rank_n": before + around,
        "generalised": before + 1,
        "generalised_n": before + 1,
        "calendar": sessions,
        "calendar_n": sessions,
    }
    empty: dict[str, Any] = {name: np.zeros((w, length)) for name, length in lengths.items()}
    rows = {"date_ar": around, "date_n": around, "shock_car": w, "shock_variance": w, "members": w}
    for name, length in rows.items():
        empty[name] = np.zeros((len(dates), length))
    empty["alike"] = np.zeros((len(dates), w, widest(layout)))
    empty["grown_car"], empty["grown_n"] = np.zeros((2, len(dates), around))
    empty["grown_alike"] = np.zeros((len(dates), around + 1, around))
    return DaySums(date=dates, positive=np.zeros(w), pairs=np.zeros(w), **empty)


@dataclass(frozen=True, slots=True, kw_only=True)
class _ByDate:
    """Sums of a block by date and estimation day, (W, K, L1), the dates of its halo included.

    ``scaled`` are residuals over their root mean square, ``pull`` the weights by which the
    estimation days enter the prediction of the window's sum, ``around`` (W, K, L2) abnormal returns;
    ``own``, the number of estimation days, and ``members`` are (W, K).
    """

    date: NDArray[np.intp]
    residual: NDArray[np.float64]
    used: NDArray[np.float64]
    scaled: NDArray[np.float64]
    own: NDArray[np.float64]
    pull: NDArray[np.float64]
    members: NDArray[np.float64]
    around: NDArray[np.float64]

    @classmethod
    def empty(cls, dates: NDArray[np.intp], layout: Layout) -> _ByDate:
        """Arrays of zeros for these dates."""
        shape = (len(layout.car), len(dates), layout.n_estimation)
        residual, used, scaled, pull = (np.zeros(shape) for _ in range(4))
        own, members = np.zeros((2, *shape[:2]))
        around = np.zeros((*shape[:2], layout.n_event))
        return cls(
            date=dates, residual=residual, used=used, scaled=scaled, own=own, pull=pull, members=members, around=around
        )


def day_sums(
    panel: WidePanel, events: FirmEvents, fit: MarketFit, layout: Layout, spread: NDArray[np.float64], *, own: int
) -> DaySums:
    """Reduce one block of firm-events, sorted by ``position``.

    Parameters
    ----------
    fit : MarketFit
        Of these firm-events.
    spread : (W,)
        Standard deviation of the SCARs of the whole group, used to rescale them for generalised ranks.
    own
        Number of firm-events of the block itself. Later ones only complete its pairs of dates and are counted in their
        own block; a block needs `reach` sessions after its last date.
    """
    kept = np.isfinite([fit.scar(w) for w in range(len(layout.car))])
    dates, code = np.unique(events.position, return_inverse=True)
    counted = int(code[own - 1]) + 1 if own else 0
    by_date = _ByDate.empty(dates, layout)
    sums, growing = _zeros(layout, panel.sessions, dates[:counted]), Growing(dates, layout)
    whole: NDArray[np.bool_] = np.logical_and.reduce(kept, axis=0)
    for at in _chunks(np.stack([whole, kept.any(axis=0)]), code, own):
        weights = np.ones((1, len(at))) if whole[at[0]] else kept[:, at].astype(float)
        part = _cut(panel, events.take(at), fit.take(at), layout, code[at], weights)
        growing.add(part.days, code[at])
        _add(part, layout, spread, by_date, sums if at[0] < own else None)
    _close(by_date, sums, counted, layout)
    growing.close(sums, counted)
    return sums


def date_blocks(position: NDArray[np.intp], layout: Layout) -> list[tuple[slice, int]]:
    """Split firm-events sorted by ``position`` into blocks: the rows that each reads, and how many are its own.

    The split depends only on the dates, so that sums do not depend on the workers.
    """
    dates, starts = np.unique(position, return_index=True)
    starts = np.append(starts, len(position))
    blocks, start = [], 0
    while start < len(dates):
        enough = int(np.searchsorted(starts, starts[start] + BLOCK_EVENTS))
        end = min(max(start + BLOCK_DATES, min(enough, start + MOST_DATES)), len(dates))
        seen = int(np.searchsorted(position, dates[end - 1] + reach(layout), side="right"))
        blocks.append((slice(int(starts[start]), seen), int(starts[end] - starts[start])))
        start = end
    return blocks


def scar_spread(fit: MarketFit) -> NDArray[np.float64]:
    """Standard deviation (ddof 1) of the SCARs over the firm-events that have each window, shape (W,)."""
    spread = np.full(len(fit.car), np.nan)
    for w in range(len(spread)):
        scar = fit.scar(w)
        scar = scar[np.isfinite(scar)]
        if len(scar) > 1:
            spread[w] = scar.std(ddof=1)
    return spread


def _chunks(kept: NDArray[np.bool_], code: NDArray[np.intp], own: int) -> Iterator[NDArray[np.intp]]:
    """Yield rows by date with the same complete windows, own firm-events and later ones separately."""
    group = np.left_shift(1, np.arange(len(kept) + 1)) @ np.vstack([kept, np.arange(len(code)) >= own])
    order = np.lexsort((code, group))
    edges = [0, *(np.flatnonzero(np.diff(group[order])) + 1).tolist(), len(order)]
    for first, last in itertools.pairwise(edges):
        for start in range(first, last, CHUNK):
            yield order[start : min(start + CHUNK, last)]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Chunk:
    """Firm-events sorted by date, and their days of both windows.

    ``days`` (m, L1+L2) are residuals and abnormal returns, ``x`` the index's returns on the same days,
    both NaN where missing; ``kept``, (W, m) or one row for all windows, is one where the window is
    complete; ``starts`` says where each date's rows begin, ``dates`` which of the block's dates they are.
    ``pulls`` (W, m, L1) replace ``x`` for models other than the market model.
    """

    fit: MarketFit
    days: NDArray[np.float64]
    x: NDArray[np.float64]
    kept: NDArray[np.float64]
    starts: NDArray[np.intp]
    dates: slice | NDArray[np.intp]
    pulls: NDArray[np.float64] | None = None

    def by_date(self, weights: NDArray[np.float64], values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Sums of weighted rows of each date, (k, K, L), for weights (k, m)."""
        k, m = weights.shape
        first = (np.arange(k)[:, None] * m + self.starts).ravel()
        rows = np.tile(np.arange(m), k)
        matrix = sparse.csr_array((weights.ravel(), rows, np.append(first, k * m)), shape=(len(first), m))
        total: NDArray[np.float64] = (matrix @ values).reshape(k, len(self.starts), -1)
        return total

    def clear(self) -> tuple[NDArray[np.float64], NDArray[np.intp]]:
        """Set days and index returns to zero where the day is missing; return ones elsewhere, and rows."""
        there = np.ones(self.days.shape)
        rows = np.flatnonzero(~np.isfinite(self.days.sum(axis=1)))
        if len(rows):
            finite = np.isfinite(self.days[rows])
            there[rows] = finite
            for values in (self.days, self.x) if self.pulls is None else (self.days,):
                values[rows] = np.where(finite, values[rows], 0.0)
        return there, rows


def _cut(
    panel: WidePanel,
    events: FirmEvents,
    fit: MarketFit,
    layout: Layout,
    code: NDArray[np.intp],
    kept: NDArray[np.float64],
) -> _Chunk:
    starts = np.flatnonzero(np.r_[True, code[1:] != code[:-1]])
    together = code[-1] - code[0] + 1 == len(starts)
    dates = slice(int(code[0]), int(code[-1]) + 1) if together else code[starts]
    if layout.model.name != "market":
        found = abnormal_chunk(panel, events, layout)
        days = np.hstack([found.expected.residuals, found.ar])
        lever = pulls(found, layout)
        return _Chunk(fit=fit, days=days, x=days, kept=kept, starts=starts, dates=dates, pulls=lever)
    (first, last), length = layout.estimation, layout.n_event
    if panel.clean is None and last + 1 == layout.event[0]:
        y, x = pairs_of(panel, panel.returns, events, first, layout.n_estimation + length)
    else:
        before_pair = pairs_of(panel, panel.estimation, events, first, layout.n_estimation)
        around_pair = pairs_of(panel, panel.returns, events, layout.event[0], length)
        y, x = map(np.hstack, zip(before_pair, around_pair, strict=True))
    before, alpha = layout.n_estimation, fit.alpha[:, None]
    days = fit.beta[:, None] * x
    days[:, :before] += alpha
    days[:, before:] += alpha * layout.carries_alpha
    np.subtract(y, days, out=days)
    return _Chunk(fit=fit, days=days, x=x, kept=kept, starts=starts, dates=dates)


def _add(part: _Chunk, layout: Layout, spread: NDArray[np.float64], by_date: _ByDate, sums: DaySums | None) -> None:
    """Add firm-events to both kinds of sums; ``sums`` is None in the halo."""
    before, used = layout.n_estimation, bool(part.kept.any())
    if sums is None:
        there, _ = part.clear()
        if used:
            _add_by_date(part, layout, there, np.zeros((0, len(part.fit))), by_date)
        return
    ranks = None
    if used:
        ranks = np.nan_to_num(row_ranks(part.days)), np.nan_to_num(row_ranks(part.days[:, :before]))
    if used:
        _add_above(part, before, spread, sums)
    there, gaps = part.clear()
    around = np.hstack([part.days[:, before:], there[:, before:]])
    ar, n = np.hsplit(part.by_date(np.ones((1, len(part.fit))), around)[0], 2)
    sums.date_ar[part.dates] += ar
    sums.date_n[part.dates] += n
    if ranks is None:
        return
    _add_ranks(part, ranks, there, spread, sums)
    bases = _add_pulls(part, layout, there, gaps, by_date)
    _add_by_date(part, layout, there, bases, by_date)
    share = _count(part.days[:, :before] > 0) / np.maximum(part.fit.n, 1)
    sums.positive[:] += part.kept @ share
    car = np.where(part.kept > 0, part.fit.car, 0.0)
    sums.shock_car[part.dates] += np.add.reduceat(car, part.starts, axis=1).T


def _weighed(weights: NDArray[np.float64], values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Sums of weighted rows, (k, L), for two weights at a time, so that the product uses one thread."""
    pairs = np.vstack([weights, weights[-1:]]) if len(weights) % 2 else weights
    found = np.vstack([pairs[at : at + 2] @ values for at in range(0, len(pairs), 2)])
    return found[: len(weights)]


def _count(true: NDArray[np.bool_]) -> NDArray[np.intp]:
    """How many are true in each row; eight at a time."""
    number: NDArray[np.intp] = np.bitwise_count(np.packbits(true, axis=1)).sum(axis=1, dtype=np.intp)
    return number


def _add_by_date(
    part: _Chunk, layout: Layout, there: NDArray[np.float64], bases: NDArray[np.float64], by_date: _ByDate
) -> None:
    dates, kept, before = part.dates, part.kept, layout.n_estimation
    with np.errstate(divide="ignore", invalid="ignore"):
        root = 1.0 / (part.fit.sigma * np.sqrt((part.fit.n - layout.coefficients) / part.fit.n))
    both = part.by_date(np.vstack([kept, np.where(kept > 0, root, 0.0)]), part.days)
    plain, scaled = both[: len(kept)], both[len(kept) :]
    by_date.residual[:, dates] += plain[..., :before]
    by_date.around[:, dates] += plain[..., before:]
    by_date.scaled[:, dates] += scaled[..., :before]
    days = part.by_date(np.vstack([kept, bases]), there)[..., :before]
    by_date.used[:, dates] += days[: len(kept)]
    if len(bases):
        by_date.pull[:, dates] += days[len(kept) :]
    by_date.own[:, dates] += np.add.reduceat(kept * part.fit.n, part.starts, axis=1)
    by_date.members[:, dates] += np.add.reduceat(kept, part.starts, axis=1)


def _add_pulls(
    part: _Chunk, layout: Layout, there: NDArray[np.float64], gaps: NDArray[np.intp], by_date: _ByDate
) -> NDArray[np.float64]:
    """Add used_t (x_t - xbar)(X - A xbar)/Sxx, see `prefix.predict`; return A/n, which weighs used_t.

    For other models than the market model `_Chunk.pulls` has these weights.
    """
    if part.pulls is not None:
        shape = len(layout.car), len(part.fit)
        for w, weights in enumerate(np.broadcast_to(part.kept, shape)):
            by_date.pull[w, part.dates] += part.by_date(weights[None, :], np.nan_to_num(part.pulls[w]))[0]
        return np.zeros((0, len(part.fit)))
    before, n = layout.n_estimation, np.maximum(part.fit.n, 1)
    x_mean = part.x[:, :before].sum(axis=1) / n
    centred = part.x - x_mean[:, None]
    centred[gaps] *= there[gaps]
    sxx = np.vecdot(centred[:, :before], centred[:, :before])
    shape = len(layout.car), len(part.fit)
    slopes, bases, kept = np.zeros(shape), np.zeros(shape), np.broadcast_to(part.kept > 0, shape)
    for w, window in enumerate(layout.car):
        alphas, days = layout.alpha_days(window), layout.inside(window)
        moved = part.x[:, before + days.start : before + days.stop].sum(axis=1) - alphas * x_mean
        np.divide(moved, sxx, out=slopes[w], where=kept[w])
        np.divide(alphas, n, out=bases[w], where=kept[w])
    by_date.pull[:, part.dates] += part.by_date(slopes, centred)[..., :before]
    return bases


def _add_above(part: _Chunk, before: int, spread: NDArray[np.float64], sums: DaySums) -> None:
    """Add the effect of the rescaled SCAR on the generalised ranks of the residuals, and its own rank.

    The SCAR is converted to the scale of the residuals, because only its rank among them matters.
    """
    residual, n = part.days[:, :before], part.fit.n
    kept = np.broadcast_to(part.kept, (len(spread), len(n)))
    weights = kept / (n + 2)
    for w in np.flatnonzero(spread > 0).tolist():
        level = (part.fit.scar(w) / spread[w] * part.fit.sigma)[:, None]
        above = (residual > level).astype(float)
        alike = residual == level
        if alike.any():
            above += 0.5 * alike
        days = _weighed(weights[w : w + 1], above)[0]
        sums.generalised[w, :-1] += days
        sums.generalised[w, -1] += weights[w] @ (n + 1.0) - days.sum() - 0.5 * kept[w].sum()


def _add_ranks(
    part: _Chunk,
    ranks: tuple[NDArray[np.float64], NDArray[np.float64]],
    there: NDArray[np.float64],
    spread: NDArray[np.float64],
    sums: DaySums,
) -> None:
    rank, among = ranks
    before, kept = among.shape[1], part.kept
    count = there.sum(axis=1)
    present = _weighed(kept, there)
    by_rank = _weighed(np.vstack([kept, kept / (1 + count)]), rank)
    sums.rank[:] += by_rank[: len(kept)] - _weighed(kept * ((count + 1) / 2), there)
    sums.uniform[:] += by_rank[len(kept) :] - present / 2
    sums.rank_n[:] += present
    sums.generalised_n[:, :-1] += present[:, :before]
    sums.generalised_n[:, -1] += kept.sum(axis=1)
    estimation = _weighed(kept / (part.fit.n + 2), among) - present[:, :before] / 2
    sums.generalised[:, :-1] += np.where(spread[:, None] > 0, estimation, 0.0)


def _close(by_date: _ByDate, sums: DaySums, counted: int, layout: Layout) -> None:
    """Compute the results by date: sums by day and session, portfolios, and pairs of dates."""
    sums.residual[:] = by_date.residual[:, :counted].sum(axis=1)
    sums.residual_n[:] = by_date.used[:, :counted].sum(axis=1)
    for w, window in enumerate(layout.car):
        width = window[1] - window[0] + 1
        members = by_date.members[w, :counted]
        held = np.flatnonzero(members)
        for day in range(window[0], window[1] + 1):
            session = sums.date[held] + day
            sums.calendar[w, session] += by_date.around[w, held, day - layout.event[0]]
            sums.calendar_n[w, session] += members[held]
        with np.errstate(divide="ignore", invalid="ignore"):
            mean = by_date.residual[w, :counted] / np.maximum(by_date.used[w, :counted], 1.0)
            days = _count(by_date.used[w, :counted] > 0)
            k = layout.coefficients
            s2 = np.where(days > k, np.vecdot(mean, mean) / (days - k), np.nan)
            pull = np.vecdot(by_date.pull[w, :counted], by_date.pull[w, :counted]) / members**2
            sums.shock_car[:, w] /= members
        sums.shock_variance[:, w] = s2 * (width + pull)
        sums.pairs[w] = _pairs(by_date, w, width, counted)
        sums.members[:, w] = members
        if counted:
            used, residual = by_date.used[w], by_date.residual[w]
            sums.alike[:, w, :width] = alike(by_date.date, residual, used, width, counted)


def _pairs(by_date: _ByDate, w: int, width: int, counted: int) -> float:
    """Sum over pairs of dates, one of them the block's own; see `session_correlation`."""
    total, length = 0.0, by_date.used.shape[2]
    date, values, figures, mine = _on_sessions(by_date, w, counted)
    for apart in range(min(width, length)):
        early, late = _apart(date, mine, apart)
        product, days = np.vecdot(values[:, early, apart:], values[:, late, : length - apart])
        own, first = figures[:, early]
        couples = first * figures[1, late]
        if apart == 0:
            product, days = product - own, days - own
            couples = first * (first - 1)
        mean = np.divide(product, days, out=np.zeros(len(days)), where=days > 0)
        total += (2.0 if apart else 1.0) * float((couples * mean).sum()) * (1.0 - apart / width)
    return total


def alike(
    date: NDArray[np.intp],
    total: NDArray[np.float64],
    n: NDArray[np.float64],
    width: int,
    counted: int,
    known: NDArray[np.float64] | None = None,
    changed: NDArray[np.bool_] | None = None,
) -> NDArray[np.float64]:
    """Correlation of the portfolio residuals of dates less than ``width`` sessions apart, (counted, width).

    ``total`` and ``n`` (K, L1) are sums of residuals by date and day, and their numbers. It is
    `statistics.overlap.likeness`, over the sessions on which both portfolios have a residual.
    """
    used = (n > 0).astype(np.float64)
    residual = total / np.maximum(n, 1.0)
    square, length = residual**2, residual.shape[1]
    # If no portfolio lacks a day, running sums give the squares over common days.
    running = np.cumsum(square, axis=1) if used.all() else None
    found = np.zeros((counted, width)) if known is None else known[:, :width].copy()
    for apart in range(1, width):
        early, late = _apart(date, counted, apart)
        if changed is not None:
            rows = np.flatnonzero(changed[early] | changed[late])
            early, late = (np.arange(len(date))[at][rows] for at in (early, late))
        shared = length - apart
        if shared < FEWEST_SHARED:
            found[early, apart] = 1.0
            continue
        product = np.vecdot(residual[early, apart:], residual[late, :shared])
        if running is not None:
            days = np.full(len(product), shared)
            size = (running[early, -1] - running[early, apart - 1]) * running[late, shared - 1]
        else:
            days = np.vecdot(used[early, apart:], used[late, :shared])
            size = np.vecdot(square[early, apart:], used[late, :shared])
            size *= np.vecdot(used[early, apart:], square[late, :shared])
        enough = (days >= FEWEST_SHARED) & (size > 0)
        ratio = np.divide(product, np.sqrt(size), out=np.ones(len(product)), where=enough)
        found[early, apart] = np.clip(ratio, 0.0, 1.0)
    return found


def _on_sessions(
    by_date: _ByDate, w: int, counted: int
) -> tuple[NDArray[np.intp], NDArray[np.float64], NDArray[np.float64], int]:
    """Scaled residuals and days (2, K, L1), own days and members (2, K), and how many rows are counted.

    If most sessions are dates, each session gets a row, so that neighbours are slices.
    """
    date = by_date.date
    values, figures = (by_date.scaled[w], by_date.used[w]), (by_date.own[w], by_date.members[w])
    if not counted or date[-1] - date[0] >= 2 * len(date):
        return date, np.stack(values), np.stack(figures), counted
    row = date - date[0]
    spread, more = np.zeros((2, row[-1] + 1, values[0].shape[1])), np.zeros((2, row[-1] + 1))
    for at in range(2):
        spread[at, row], more[at, row] = values[at], figures[at]
    return np.arange(date[0], date[-1] + 1), spread, more, int(row[counted - 1]) + 1


def _apart(date: NDArray[np.intp], mine: int, apart: int) -> tuple[slice | NDArray[np.intp], slice | NDArray[np.intp]]:
    """Rows of the block's own dates and of the dates r sessions later, if both exist."""
    if len(date) and date[-1] - date[0] + 1 == len(date):
        end = min(mine, len(date) - apart)
        return slice(0, max(end, 0)), slice(apart, apart + max(end, 0))
    late = np.minimum(np.searchsorted(date, date[:mine] + apart), len(date) - 1)
    early = np.flatnonzero(date[late] == date[:mine] + apart)
    return early, late[early]


def reach(layout: Layout) -> int:
    """Sessions after a block's last date whose firm-events share an event day with it."""
    return layout.n_event - 1


def widest(layout: Layout) -> int:
    """Days of the longest window."""
    return max((last - first + 1 for first, last in layout.car), default=1)


class Growing:
    """Sums by date of the windows that begin with the first event day and end with each one.

    A firm-event is in all of them up to its first day without a return. Residuals are summed by that day and by
    whether day 0 has a return, so that firm-events without a gap (most of them) are summed once.
    """

    def __init__(self, date: NDArray[np.intp], layout: Layout) -> None:
        self._date, self._before, self._around = date, layout.n_estimation, layout.n_event
        self._day0 = max(-layout.event[0], 0) if layout.event[1] >= 0 else 0
        self._car, self._n = np.zeros((2, len(date), layout.n_event))
        #: Sums of residuals and their numbers, (2, K, L1), by first missing day and whether day 0 is there.
        self._parts: dict[tuple[int, bool], NDArray[np.float64]] = {}

    def add(self, days: NDArray[np.float64], code: NDArray[np.intp]) -> None:
        """Add firm-events: residuals and abnormal returns (m, L1 + L2), and the place of each one's date."""
        ar, residual = days[:, self._before :], days[:, : self._before]
        there, known = np.isfinite(ar), np.isfinite(residual)
        gap = np.where(there.all(axis=1), self._around, there.argmin(axis=1))
        inside = np.arange(self._around) < gap[:, None]
        both = np.hstack([np.cumsum(np.where(inside, ar, 0.0), axis=1) * inside, inside])
        values = np.hstack([both, np.where(known, residual, 0.0), known])
        kind = gap * 2 + there[:, self._day0]
        keys, place = np.unique(np.stack([kind, code]), axis=1, return_inverse=True)
        rows = sparse.csr_array(
            (np.ones(len(code)), (place.ravel(), np.arange(len(code)))), shape=(keys.shape[1], len(code))
        )
        total: NDArray[np.float64] = rows @ values
        np.add.at(self._car, keys[1], total[:, : self._around])
        np.add.at(self._n, keys[1], total[:, self._around : 2 * self._around])
        for each in np.unique(keys[0]).tolist():
            mine = keys[0] == each
            part = self._parts.setdefault((each // 2, bool(each % 2)), np.zeros((2, len(self._date), self._before)))
            part[:, keys[1, mine]] += total[mine, 2 * self._around :].reshape(-1, 2, self._before).swapaxes(0, 1)

    def close(self, sums: DaySums, counted: int) -> None:
        """Set the sums of the block's own dates."""
        sums.grown_car[:], sums.grown_n[:] = self._car[:counted], self._n[:counted]
        if not counted:
            return
        total, n = np.zeros((2, len(self._date), self._before))
        known, changed = None, None
        for day in reversed(range(self._around)):
            fresh = [part for (gap, _), part in self._parts.items() if gap == day + 1]
            for part in fresh:
                total += part[0]
                n += part[1]
            if known is None or fresh:
                # Few dates have a gap; the pairs of all others do not change.
                changed = None if known is None else np.any([part[1].any(axis=1) for part in fresh], axis=0)
                known = alike(self._date, total, n, day + 1, counted, known, changed)
            sums.grown_alike[:, day, : day + 1] = known[:, : day + 1]
        total, n = sum(
            (part for (_, day0), part in self._parts.items() if day0), np.zeros((2, len(self._date), self._before))
        )
        sums.grown_alike[:, -1] = alike(self._date, total, n, self._around, counted)


def session_correlation(pairs: float, n: int) -> float:
    """Mean residual correlation of n firm-events from the sums by session of `DaySums.pairs`.

    Notes
    -----
    Residuals are divided by their root mean square over the firm-event's own estimation days, u = e /
    sqrt(SSE/n_i). Two dates have as mean correlation the ratio of sum_s U_s V_s to sum_s N_s M_s,
    with U_s, V_s the sums of u over the firm-events of each date on calendar session s and N_s, M_s
    their numbers (for one date, the products of firm-events with themselves are subtracted). A pair of dates is
    weighted by its pairs of firm-events and by the common share of the window's sessions. No N x N array is needed.

    It is `dependence.mean_correlation` of `residual_correlations` and `window_overlap` to rounding
    if the firm-events of a date have the same estimation days and windows of two dates do not overlap.
    Otherwise it differs in two ways: means and variances use all days of a firm-event, not only the common days of a
    pair; and the pairs of two dates are weighted by their number of common days, not equally.
    """
    return pairs / (n * (n - 1.0)) if n > 1 else float("nan")
