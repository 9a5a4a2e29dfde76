"""Checks of a long list: on a table of securities by sessions, and on the sessions."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from eventstudy.prices.quality.moves import JUMP, is_currency_slip, likely_split
from eventstudy.prices.quality.quantities import Bools, Floats, no_return
from eventstudy.prices.quality.trade import STALE_RUN

Rows = NDArray[np.intp]
#: Number of listed securities without a price from which on a day is closed even if the index moved.
ENOUGH = 5
#: Share of the securities that must trade on a day for the index to lack it.
MANY = 0.5
#: Share of rows on other days above which the dates are wrong.
OFF_SESSION = 0.02
#: Largest number of open days from an event's date to its day 0.
FARTHEST = 5
#: Kinds of suspect days; all but the last stop a study.
SUSPECT = ("impossible", "currency_slip", "unadjusted_split", "extreme_return")


@dataclass(frozen=True, slots=True)
class SuspectDays:
    """Suspect days of a table: row of the security, session, index in `SUSPECT`, log return."""

    security: Rows
    session: Rows
    check: NDArray[np.int8]
    move: Floats


def suspect_days(returns: Floats, kind: str, *, from_prices: bool, wanted: Bools | None = None) -> SuspectDays:
    """Return the days of a table (S, T) with an impossible return, a change of unit, a split or an extreme return.

    Parameters
    ----------
    from_prices
        Whether the returns were computed from prices; only then unadjusted splits are possible.
    wanted : (S, T)
        Cells in any window; others are not checked.
    """
    low, high = (-JUMP, JUMP) if kind == "log" else (float(np.expm1(-JUMP)), float(np.expm1(JUMP)))
    large = (returns < low) | (returns > high)
    if wanted is not None and large.any():
        large &= wanted
    security, session = np.nonzero(large)
    value = returns[security, session]
    impossible = no_return(value, kind)
    with np.errstate(divide="ignore", invalid="ignore"):
        move = value if kind == "log" else np.log1p(value)
    split = likely_split(move) if from_prices else np.zeros(len(move), dtype=bool)
    slip = is_currency_slip(move)
    extreme = np.abs(np.expm1(move)) > 0.5
    check = np.select([impossible, slip, split, extreme], range(len(SUSPECT)), -1).astype(np.int8)
    kept = check >= 0
    return SuspectDays(security[kept], session[kept], check[kept], move[kept])


def covered(shape: tuple[int, int], security: Rows, first: Rows, last: Rows) -> Bools:
    """Mark the cells of a table between the first and the last session of each window."""
    rows, sessions = shape
    steps = np.zeros(rows * (sessions + 1), dtype=np.int32)
    base = security * (sessions + 1)
    steps += np.bincount(base + np.clip(first, 0, sessions), minlength=len(steps)).astype(np.int32)
    steps -= np.bincount(base + np.clip(last + 1, 0, sessions), minlength=len(steps)).astype(np.int32)
    inside: Bools = np.cumsum(steps.reshape(rows, sessions + 1), axis=1)[:, :-1] > 0
    return inside


def repeated_to_the_end(values: Floats, *, returns: bool) -> Rows:
    """Return the last session on which each security of a table (S, T) was traded, (S,).

    Some sources repeat the price of a delisted security, or give it returns of zero. If at least `STALE_RUN` sessions
    at the end do not change, trading ended before them. -1 if there is no value; a series that never changes is not
    cut.
    """
    backwards = values[:, ::-1]
    there = np.isfinite(backwards)
    newest = there.argmax(axis=1)
    lines = np.arange(len(values))
    still = np.zeros(len(values)) if returns else backwards[lines, newest]
    other = there & (backwards != still[:, None])
    oldest = other.argmax(axis=1)
    empty, never = ~there.any(axis=1), ~other.any(axis=1)
    end = values.shape[1] - 1 - newest
    # A repeated price was traded on its first day; returns of zero were not traded on any.
    first = values.shape[1] - oldest - returns
    last = np.where((end - first >= STALE_RUN) & ~never, first, end)
    return np.where(empty, -1, last).astype(np.intp)


def closed_sessions(traded: Rows, listed: Rows, index_still: Bools) -> Bools:
    """Mark sessions of the index on which no security traded, so that the index was padded.

    Parameters
    ----------
    traded, listed : (T,)
        Numbers of securities with a value on the session, and of those whose first and last values are around it.
    index_still : (T,)
        Whether the index did not change; not required if `ENOUGH` securities are listed.
    """
    closed: Bools = (traded == 0) & (listed > 0) & (index_still | (listed >= ENOUGH))
    return closed


def lacking_days(days: NDArray[np.int32], counts: Rows, sessions: NDArray[np.int32], traded: Rows) -> NDArray[np.int32]:
    """Return the days within the index's period on which its securities traded but it has no row.

    Parameters
    ----------
    days, counts
        Other days, and the number of securities with a new value on each.
    sessions, traded
        The index's sessions, and the number of securities with a value on each.
    """
    between = (days > sessions[0]) & (days < sessions[-1])
    before = np.searchsorted(sessions, days[between]) - 1
    usual = np.maximum(np.minimum(traded[before], traded[before + 1]), 1)
    lacking: NDArray[np.int32] = days[between][counts[between] >= MANY * usual]
    return lacking


def too_far(date: NDArray[np.int32], session: NDArray[np.int32], open_days: NDArray[np.int32] | None) -> Bools:
    """Mark events whose day 0 is more than `FARTHEST` open days after their date.

    ``open_days`` are the exchange's open days if its calendar is known; else Saturdays and Sundays are closed.
    """
    if open_days is not None:
        days = np.searchsorted(open_days, session) - np.searchsorted(open_days, date)
    else:
        days = np.busday_count(date.astype("datetime64[D]"), session.astype("datetime64[D]"))
    return np.asarray(days > FARTHEST)


def off_calendar(sessions: NDArray[np.int32], open_days: NDArray[np.int32] | None) -> float:
    """Share of sessions on which the exchange is closed (Sundays, if its calendar is unknown)."""
    closed = ~np.isin(sessions, open_days) if open_days is not None else (sessions + 3) % 7 == 6
    return float(closed.mean())
