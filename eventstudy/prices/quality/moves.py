"""Checks of large moves: splits, currencies, wrong adjustments."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from eventstudy.errors import Reason
from eventstudy.exchanges.rules import limit_fraction, tick_size
from eventstudy.prices.quality.subject import Floats, QualityFinding, Severity, Subject

#: Log returns at least this large are checked; turnover of this multiple of its median shows a real move.
JUMP, CROWD = float(np.log(1.4)), 3.0
#: Splits and bonus issues that happen, new shares for one old one.
SPLITS = (1.5, 2, 3, 4, 5, 6, 7, 8, 10, 15, 20, 25, 30, 40, 50)
SPLIT_TOLERANCE = 0.06
#: A return this far beyond the exchange's limit cannot come from an unadjusted dividend.
PAST_LIMIT = 0.02
#: Sessions around an event within which a large move is expected.
NEAR_EVENT = 3
#: First sessions of a listing that may have no limit.
FIRST_SESSIONS = 5


def jumps(subject: Subject) -> Iterator[QualityFinding]:
    """Yield moves that are errors in the data: changes of currency, unadjusted splits, wrong adjustments.

    Notes
    -----
    Turnover separates a crash from a split: with a real move of this size turnover is several times the usual one, in
    money and in shares; with a split it is as usual. On a board with a price limit a return beyond the limit is
    enough, and so is a split that the source lists.
    """
    limit, past = past_limit(subject)
    additive = set(limit_constants(subject)[0].tolist())
    change, traded, crowd = subject.log_return, subject.traded_return, _turnover_ratio(subject)
    with np.errstate(invalid="ignore"):
        rows = np.flatnonzero(past | (np.abs(change) > JUMP))
    for row in rows.tolist():
        if is_currency_slip(change[row]):
            text = Reason("quality.currency_slip", factor=np.exp(change[row]))
            yield subject.finding("currency_slip", row, change[row], "stop", text)
        elif abs(change[row] - traded[row]) > np.log(1.2) > abs(traded[row]):
            text = Reason("quality.phantom", adjusted=np.expm1(change[row]), close=np.expm1(traded[row]))
            yield subject.finding("phantom_adjustment", row, np.expm1(change[row]), "stop", text)
        elif past[row]:
            if row not in additive:
                yield _beyond_limit(subject, row, float(limit[row]))
        elif not np.isfinite(limit[row]):
            yield from _jump(subject, row, float(change[row]), float(crowd[row]))


def _beyond_limit(subject: Subject, row: int, limit: float) -> QualityFinding:
    change = float(np.expm1(subject.log_return[row]))
    facts = {"move": change, "board": subject.board, "limit": limit}
    if abs(change) - limit <= PAST_LIMIT:
        return subject.finding("beyond_limit", row, change, "warn", Reason("quality.limit_rounding", **facts))
    nearest = subject.high[row] if change < 0 else subject.low[row]
    inside = abs(nearest / subject.previous[row] - 1.0) <= limit + PAST_LIMIT
    if inside:
        return subject.finding("beyond_limit", row, change, "stop", Reason("quality.limit_bars", **facts))
    return subject.finding("unadjusted_split", row, change, "stop", Reason("quality.limit_ex_date", **facts))


def _jump(subject: Subject, row: int, change: float, crowd: float) -> Iterator[QualityFinding]:
    """Yield a large move without high turnover, on a board without a limit."""
    listed = subject.splits[row]
    if listed > 0 and abs(change + np.log(listed)) < 2 * SPLIT_TOLERANCE:
        text = Reason("quality.split_listed", move=np.expm1(change), ratio=listed)
        yield subject.finding("unadjusted_split", row, np.expm1(change), "stop", text)
        return
    if crowd >= CROWD:
        return
    ratio = float(nearest_split(change))
    likely = bool(likely_split(change, least=1.0))
    large = abs(np.expm1(change)) > 0.5
    near = subject.days[max(row - NEAR_EVENT, 0) : row + NEAR_EVENT + 1]
    proved = np.isfinite(crowd)
    usual = Reason("quality.turnover", times=crowd) if proved else Reason("quality.no_turnover")
    if likely and (proved or ratio >= 2):
        text = Reason("quality.split_likely", move=np.expm1(change), ratio=ratio, usual=usual)
        yield subject.finding("unadjusted_split", row, np.expm1(change), "stop", text)
    elif large and not np.isin(near, subject.event_days).any():
        text = Reason("quality.extreme", move=np.expm1(change), usual=usual)
        severity: Severity = "stop" if proved else "warn"
        yield subject.finding("extreme_return", row, np.expm1(change), severity, text)


def is_currency_slip(change: Floats | float) -> NDArray[np.bool_]:
    """Whether log returns correspond to a factor of about a hundred."""
    slip: NDArray[np.bool_] = np.abs(np.abs(change) - np.log(100)) < 0.15
    return slip


def nearest_split(change: Floats | float) -> Floats:
    """Return the ratio of `SPLITS` that is nearest to each log return."""
    apart = np.abs(np.log(SPLITS) - np.abs(np.asarray(change))[..., None])
    ratio: Floats = np.array(SPLITS)[apart.argmin(axis=-1)]
    return ratio


def likely_split(change: Floats | float, *, least: float = 2.0) -> NDArray[np.bool_]:
    """Whether log returns are near those of an unadjusted split of at least so many new shares for one."""
    ratio = nearest_split(change)
    likely: NDArray[np.bool_] = np.abs(np.log(ratio) - np.abs(change)) < SPLIT_TOLERANCE
    return likely & (ratio >= least)


def _turnover_ratio(subject: Subject) -> Floats:
    """Turnover on days of jumps divided by the median of the twenty sessions before, NaN if unknown.

    The smaller of the ratios in money and in shares is used: a split multiplies the number of shares, and a reverse
    split with adjusted volumes the money, without more trading.
    """
    money = np.where(np.isfinite(subject.close), subject.close, subject.price) * subject.volume
    ratio = np.full(len(money), np.nan)
    with np.errstate(invalid="ignore"):
        wanted = np.flatnonzero(np.abs(subject.log_return) > JUMP)
    for row in wanted.tolist():
        against = []
        for values in (money, subject.volume):
            before = values[max(row - 20, 0) : row]
            before = before[np.isfinite(before)]
            usual = np.median(before) if len(before) >= 5 else 0.0
            against.append(values[row] / usual if usual > 0 else np.nan)
        ratio[row] = np.min(against)
    return ratio


def past_limit(subject: Subject) -> tuple[Floats, NDArray[np.bool_]]:
    """Return the limit on each session, and whether the return is beyond it by more than rounding."""
    limit = limit_fraction(subject.board, subject.days)
    listed = subject.peer.from_ if subject.peer else None
    there = np.flatnonzero(np.isfinite(subject.price))
    if len(there):
        # The first sessions may be those of the listing: within two weeks of it, or if its day is unknown.
        late = 0 if listed is None else (subject.days[there[0]] - np.datetime64(listed, "D")).astype(int)
        if 0 <= late < 15:
            limit[: there[0] + FIRST_SESSIONS] = np.nan
    with np.errstate(invalid="ignore"):
        tick = tick_size(subject.board, subject.previous, subject.days)
        rounding = 0.001 + 1.5 * tick / subject.previous
        return limit, np.abs(np.expm1(subject.log_return)) > limit + rounding


def limit_constants(subject: Subject) -> tuple[NDArray[np.intp], Floats]:
    """Days with a close at their extreme slightly beyond the limit, and the constant that each implies."""
    limit, past = past_limit(subject)
    change = np.expm1(subject.log_return)
    extreme = np.where(change > 0, subject.high, subject.low)
    with np.errstate(invalid="ignore"):
        at = np.abs(subject.close - extreme) <= 1.5 * tick_size(subject.board, subject.close, subject.days)
        rows = np.flatnonzero(past & at & (np.abs(change) < limit + 0.05))
    moved, signed = change[rows] * subject.previous[rows], np.sign(change[rows]) * limit[rows]
    return rows, (moved - signed * subject.previous[rows]) / signed
