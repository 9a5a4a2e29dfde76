"""What the tests need of the days of all firm-events: sums that add up over blocks of dates."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .direct import estimation_pairs, event_pairs
from .fit import Kernel, abnormal, use_numba
from .packed import packed_ranks
from .panel import FirmEvents, Layout, MarketFit, WidePanel

#: Firm-events at a time: temporaries of about a megabyte, more where calls are dearer than memory.
CHUNK, COMPILED_CHUNK = 256, 1_024
#: Dates of one block. Each block also reads the firm-events of the `reach` sessions after it.
BLOCK_DATES = 128
#: Firm-events from which compiled code pays for being loaded.
MANY = 50_000
#: Fields of `DaySums` with one row a date, which are put one after the other; all others add up.
BY_DATE = ("date", "date_ar", "date_n", "shock_car", "shock_variance")


@dataclass(frozen=True, slots=True)
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

    def __add__(self, other: DaySums) -> DaySums:
        joined: dict[str, Any] = {}
        for f in fields(DaySums):
            pair = getattr(self, f.name), getattr(other, f.name)
            joined[f.name] = np.concatenate(pair) if f.name in BY_DATE else pair[0] + pair[1]
        return DaySums(**joined)


def total(parts: list[DaySums]) -> DaySums:
    """Add blocks up in their order, so that the sum does not depend on who made them when."""
    return functools.reduce(DaySums.__add__, parts)


def _zeros(layout: Layout, sessions: int, dates: NDArray[np.intp]) -> DaySums:
    w, before, around = len(layout.car), layout.n_estimation, layout.n_event
    lengths = {
        "residual": before, "residual_n": before, "rank": before + around, "uniform": before + around,
        "rank_n": before + around, "generalised": before + 1, "generalised_n": before + 1,
        "calendar": sessions, "calendar_n": sessions,
    }  # fmt: skip
    empty: dict[str, Any] = {name: np.zeros((w, length)) for name, length in lengths.items()}
    for name, length in {"date_ar": around, "date_n": around, "shock_car": w, "shock_variance": w}.items():
        empty[name] = np.zeros((len(dates), length))
    return DaySums(date=dates, positive=np.zeros(w), pairs=np.zeros(w), **empty)


@dataclass(frozen=True, slots=True)
class _ByDate:
    """Sums of a block by date and estimation day, (W, K, L1), the dates of its halo included.

    ``scaled`` are residuals over their root mean square, ``pull`` the weights by which the
    estimation days enter the prediction of the window's sum; ``members`` is (W, K).
    """

    date: NDArray[np.intp]
    residual: NDArray[np.float64]
    used: NDArray[np.float64]
    scaled: NDArray[np.float64]
    own: NDArray[np.float64]
    pull: NDArray[np.float64]
    members: NDArray[np.float64]

    @classmethod
    def empty(cls, dates: NDArray[np.intp], layout: Layout) -> _ByDate:
        """Room for these dates, zero."""
        shape = (len(layout.car), len(dates), layout.n_estimation)
        residual, used, scaled, pull = (np.zeros(shape) for _ in range(4))
        return cls(dates, residual, used, scaled, np.zeros(shape[:2]), pull, np.zeros(shape[:2]))


def day_sums(
    panel: WidePanel, events: FirmEvents, fit: MarketFit, layout: Layout, spread: NDArray[np.float64],
    *, own: int | None = None, kernel: Kernel = "numpy",
) -> DaySums:  # fmt: skip
    """Reduce one block of firm-events, sorted by ``position``.

    Parameters
    ----------
    fit : MarketFit
        Of these firm-events.
    spread : (W,)
        Standard deviation of the SCARs of the whole group, by which the generalised ranks rescale them.
    own
        Firm-events that the block counts. Those after it only complete its pairs of dates and are
        counted by their own block; a block must see `reach` sessions past its last date.
    kernel
        As for `fit_events`; loading compiled code pays earlier here, since ranks are dear.
    """
    own = len(events) if own is None else own
    kept = np.isfinite([fit.scar(w) for w in range(len(layout.car))])
    dates, code = np.unique(events.position, return_inverse=True)
    counted = int(code[own - 1]) + 1 if own else 0
    by_date = _ByDate.empty(dates, layout)
    sums = _zeros(layout, panel.sessions, dates[:counted])
    compiled = _compiled(kernel, len(events))
    for rows in _chunks(kept, code, own, COMPILED_CHUNK if compiled else CHUNK):
        if compiled is not None and kept[:, rows[0]].any():
            compiled(
                panel, events.take(rows), fit.take(rows), layout, code[rows],
                np.flatnonzero(kept[:, rows[0]]), spread, by_date, sums if rows[0] < own else None,
            )  # fmt: skip
            continue
        part = _cut(panel, events.take(rows), fit.take(rows), layout, code[rows])
        windows = np.flatnonzero(kept[:, rows[0]])
        if rows[0] < own:
            _add_returns(part, sums)
        if len(windows):
            _add_residuals(part, windows, by_date)
        if len(windows) and rows[0] < own:
            _add_pulls(part, windows, layout, by_date)
            _add_days(part, windows, layout, sums)
            _add_ranks(part, windows, spread, sums)
    _close(by_date, sums, counted, layout)
    return sums


def date_blocks(position: NDArray[np.intp], layout: Layout) -> list[tuple[slice, int]]:
    """Split firm-events sorted by ``position`` into blocks: the rows each sees, and how many it counts.

    The split depends on the dates alone, so that sums come out the same whoever makes them.
    """
    dates = np.unique(position)
    blocks = []
    for start in range(0, len(dates), BLOCK_DATES):
        mine = dates[start : start + BLOCK_DATES]
        first = int(np.searchsorted(position, mine[0]))
        end = int(np.searchsorted(position, mine[-1], side="right"))
        seen = int(np.searchsorted(position, mine[-1] + reach(layout), side="right"))
        blocks.append((slice(first, seen), end - first))
    return blocks


def reduce_events(
    panel: WidePanel, events: FirmEvents, fit: MarketFit, layout: Layout, *, kernel: Kernel = "auto",
    threads: int = 1,
) -> DaySums:  # fmt: skip
    """Day sums of firm-events in any order; the figures do not depend on ``threads``."""
    order = np.argsort(events.position, kind="stable")
    spread = scar_spread(fit)
    chosen: Kernel = "numba" if use_numba(kernel, len(events), MANY) else "numpy"

    def work(block: tuple[slice, int]) -> DaySums:
        rows = order[block[0]]
        taken = events.take(rows), fit.take(rows)
        return day_sums(panel, *taken, layout, spread, own=block[1], kernel=chosen)

    blocks = date_blocks(events.position[order], layout)
    if not blocks:
        return _zeros(layout, panel.sessions, np.zeros(0, dtype=np.intp))
    with ThreadPoolExecutor(threads) as pool:
        return total(list(pool.map(work, blocks)))


def scar_spread(fit: MarketFit) -> NDArray[np.float64]:
    """Standard deviation (ddof 1) of the SCARs over the firm-events that have each window, shape (W,)."""
    spread = np.full(len(fit.car), np.nan)
    for w in range(len(spread)):
        scar = fit.scar(w)
        scar = scar[np.isfinite(scar)]
        if len(scar) > 1:
            spread[w] = scar.std(ddof=1)
    return spread


def _compiled(kernel: Kernel, n: int) -> Callable[..., None] | None:
    if not use_numba(kernel, n, MANY):
        return None
    from .compiled_days import add_compiled

    return add_compiled


def _chunks(
    kept: NDArray[np.bool_], code: NDArray[np.intp], own: int, size: int
) -> Iterator[NDArray[np.intp]]:
    """Yield rows by date whose firm-events have the same windows complete, own ones and halo apart."""
    group = np.left_shift(1, np.arange(len(kept) + 1)) @ np.vstack([kept, np.arange(len(code)) >= own])
    order = np.lexsort((code, group))
    edges = [0, *(np.flatnonzero(np.diff(group[order])) + 1).tolist(), len(order)]
    for first, last in itertools.pairwise(edges):
        for start in range(first, last, size):
            yield order[start : min(start + size, last)]


@dataclass(frozen=True, slots=True)
class _Chunk:
    """Firm-events with the same windows complete, sorted by date, and their days.

    ``x`` (m, L1) and ``residual`` (m, L1) are zero on days not ``used``; ``starts`` and ``dates`` say
    where each date's rows begin and which of the block's dates it is.
    """

    fit: MarketFit
    used: NDArray[np.bool_]
    x: NDArray[np.float64]
    residual: NDArray[np.float64]
    ar: NDArray[np.float64]
    event_x: NDArray[np.float64]
    starts: NDArray[np.intp]
    dates: NDArray[np.intp]

    def by_date(self, values: NDArray[np.float64] | NDArray[np.bool_]) -> NDArray[np.float64]:
        """Sums of the rows of each date."""
        total: NDArray[np.float64] = np.add.reduceat(values, self.starts, axis=0, dtype=float)
        return total


def _cut(
    panel: WidePanel, events: FirmEvents, fit: MarketFit, layout: Layout, code: NDArray[np.intp]
) -> _Chunk:
    y, x = estimation_pairs(panel, events, layout)
    used = np.isfinite(y + x)
    residual = y - fit.alpha[:, None] - fit.beta[:, None] * x
    if not used.all():
        residual, x = np.where(used, residual, 0.0), np.where(used, x, 0.0)
    around, event_x = event_pairs(panel, events, layout)
    starts = np.flatnonzero(np.r_[True, code[1:] != code[:-1]])
    ar = abnormal(around, event_x, fit, layout)
    return _Chunk(fit, used, x, residual, ar, event_x, starts, code[starts])


def _add_residuals(part: _Chunk, windows: NDArray[np.intp], by_date: _ByDate) -> None:
    residual, used = part.by_date(part.residual), part.by_date(part.used)
    with np.errstate(divide="ignore", invalid="ignore"):
        root = part.fit.sigma * np.sqrt(part.fit.dof / part.fit.n)
    scaled = part.by_date(part.residual / root[:, None])
    own = part.by_date(part.fit.n.astype(float))
    members = np.diff(np.append(part.starts, len(part.fit)))
    for w in windows:
        by_date.residual[w, part.dates] += residual
        by_date.used[w, part.dates] += used
        by_date.scaled[w, part.dates] += scaled
        by_date.own[w, part.dates] += own
        by_date.members[w, part.dates] += members


def _add_pulls(part: _Chunk, windows: NDArray[np.intp], layout: Layout, by_date: _ByDate) -> None:
    """Add used_t (A/n + (x_t - xbar)(X - A xbar)/Sxx), see `direct.predict`."""
    n = part.fit.n
    x_mean = part.x.sum(axis=1) / n
    centred = (part.x - x_mean[:, None]) * part.used
    sxx = np.einsum("nl,nl->n", centred, centred)
    for w in windows:
        window = layout.car[w]
        alphas = layout.alpha_days(window)
        slope = (part.event_x[:, layout.inside(window)].sum(axis=1) - alphas * x_mean) / sxx
        pull = centred * slope[:, None]
        if alphas:
            pull += part.used * (alphas / n)[:, None]
        by_date.pull[w, part.dates] += part.by_date(pull)


def _add_returns(part: _Chunk, sums: DaySums) -> None:
    there = np.isfinite(part.ar)
    sums.date_ar[part.dates] += part.by_date(np.where(there, part.ar, 0.0))
    sums.date_n[part.dates] += part.by_date(there)


def _add_days(part: _Chunk, windows: NDArray[np.intp], layout: Layout, sums: DaySums) -> None:
    ar = part.by_date(part.ar)
    residual, used = part.residual.sum(axis=0), part.used.sum(axis=0)
    share = ((part.residual > 0).sum(axis=1) / part.fit.n).sum()
    members = np.diff(np.append(part.starts, len(part.fit)))
    for w in windows:
        sums.residual[w] += residual
        sums.residual_n[w] += used
        sums.positive[w] += share
        first, last = layout.car[w]
        sums.shock_car[part.dates, w] += part.by_date(part.fit.car[w])
        for day in range(first, last + 1):
            at = sums.date[part.dates] + day
            sums.calendar[w, at] += ar[:, day - layout.event[0]]
            sums.calendar_n[w, at] += members


def _add_ranks(part: _Chunk, windows: NDArray[np.intp], spread: NDArray[np.float64], sums: DaySums) -> None:
    before = part.used.shape[1]
    days = np.hstack([np.where(part.used, part.residual, np.nan), part.ar])
    rank, among = packed_ranks(days, before)
    there = np.isfinite(days)
    count = there.sum(axis=1)
    present = there.sum(axis=0)
    middle = np.einsum("n,nl->l", (count + 1) / 2, there)
    plain, uniform = rank.sum(axis=0) - middle, np.einsum("n,nl->l", 1.0 / (1 + count), rank) - present / 2
    weight = 1.0 / (part.fit.n + 2)
    estimation, used = np.einsum("n,nl->l", weight, among), present[:before]
    for w in windows:
        sums.rank[w] += plain
        sums.uniform[w] += uniform
        sums.rank_n[w] += present
        sums.generalised_n[w] += np.append(used, len(part.fit))
        if spread[w] > 0:
            # The SCAR on the residuals' own scale: only its place among them matters.
            level = (part.fit.scar(w) / spread[w] * part.fit.sigma)[:, None]
            above = (part.residual > level) * part.used + 0.5 * ((part.residual == level) & part.used)
            event = part.fit.n - above.sum(axis=1) + 1.0
            days_of = estimation + np.einsum("n,nl->l", weight, above) - used / 2
            sums.generalised[w] += np.append(days_of, (event * weight - 0.5).sum())


def _close(by_date: _ByDate, sums: DaySums, counted: int, layout: Layout) -> None:
    """Finish what is no plain sum over firm-events: the portfolios of dates and the pairs of dates."""
    for w, window in enumerate(layout.car):
        width = window[1] - window[0] + 1
        members = by_date.members[w, :counted]
        with np.errstate(divide="ignore", invalid="ignore"):
            mean = by_date.residual[w, :counted] / by_date.used[w, :counted]
            days = (by_date.used[w, :counted] > 0).sum(axis=1)
            s2 = np.where(days > 2, np.nansum(mean**2, axis=1) / (days - 2), np.nan)
            pull = ((by_date.pull[w, :counted] / members[:, None]) ** 2).sum(axis=1)
            sums.shock_car[:, w] /= members
        sums.shock_variance[:, w] = s2 * (width + pull)
        sums.pairs[w] = _pairs(by_date, w, width, counted)


def _pairs(by_date: _ByDate, w: int, width: int, counted: int) -> float:
    """Sum over pairs of dates, one of them the block's own; see `session_correlation`."""
    total, dates = 0.0, by_date.date
    length = by_date.used.shape[2]
    for apart in range(min(width, length)):
        late = np.searchsorted(dates, dates[:counted] + apart)
        late = np.minimum(late, len(dates) - 1)
        early = np.flatnonzero(dates[late] == dates[:counted] + apart)
        late = late[early]
        inner, outer = slice(apart, length), slice(0, length - apart)
        product, days = (
            np.einsum("kl,kl->k", values[w, early, inner], values[w, late, outer])
            for values in (by_date.scaled, by_date.used)
        )
        first, second = by_date.members[w, early], by_date.members[w, late]
        couples = first * second
        if apart == 0:
            product, days = product - by_date.own[w, early], days - by_date.own[w, early]
            couples = first * (first - 1)
        mean = np.divide(product, days, out=np.zeros(len(days)), where=days > 0)
        total += (2.0 if apart else 1.0) * float((couples * mean).sum()) * (1.0 - apart / width)
    return total


def reach(layout: Layout) -> int:
    """Sessions after a block's last date whose firm-events share a window with it."""
    return max((last - first for first, last in layout.car), default=0)


def session_correlation(pairs: float, n: int) -> float:
    """Mean residual correlation of n firm-events from the sums by session of `DaySums.pairs`.

    Notes
    -----
    Residuals are divided by their root mean square over the firm-event's own estimation days, u = e /
    sqrt(SSE/n_i). Two dates have as mean correlation the ratio of sum_s U_s V_s to sum_s N_s M_s,
    with U_s, V_s the sums of u over the firm-events of each date on calendar session s and N_s, M_s
    their numbers (own products taken out for one date), and count with their pairs of
    firm-events and the share of the window's sessions in common. Nothing of size N x N is made.

    It is `inference.mean_correlation` of `residual_correlations` and `window_overlap` to rounding
    where the firm-events of a date have the same estimation days and windows of two dates do not meet.
    Else it differs in two ways: means and variances are those of a firm-event's own days, not of those
    that a pair shares, and the pairs of two dates weigh by the days they share, not equally.
    """
    return pairs / (n * (n - 1.0)) if n > 1 else float("nan")
