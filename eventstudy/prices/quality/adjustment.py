"""Checks of the adjustment of prices: by subtraction, or without a dividend or split."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from eventstudy.errors import Reason
from eventstudy.exchanges.rules import limit_fraction, tick_size
from eventstudy.prices.quality.moves import JUMP, likely_split, limit_constants
from eventstudy.prices.quality.subject import QualityFinding, Subject

#: Smallest difference of adjusted and traded closes for this check.
APART = 0.005
#: Smallest number of days that must show it.
DAYS = 10
#: Largest ratio of the constants implied by days at the limit (each dividend changes the constant).
CONSTANTS_SPREAD = 2.0
#: Difference of adjusted and traded returns above which there must be a dividend or split on the day.
UNLISTED = 0.02
#: The same if the source lists none; and the limit above which it is no dividend if adj_close rises unusually.
UNKNOWN, PHANTOM, USUAL_MOVES = 0.05, 0.10, 3.0


def additive_adjustment(subject: Subject) -> Iterator[QualityFinding]:
    """Yield a series adjusted by subtracting constants, which distorts every return.

    Notes
    -----
    Two signs. If there are traded closes, their difference to the adjusted closes is constant while the ratio changes.
    Otherwise, days at a price limit L show it: if the constant c was subtracted, a limit-up day has ``C(t) = (1 + L)
    C(t-1) + c L``, a return that the exchange does not allow, and all such days imply nearly the same c.
    """
    yield from _additive_beside_closes(subject)
    rows, constants = limit_constants(subject)
    if len(rows) < 2:
        return
    low, high = np.abs(constants).min(), np.abs(constants).max()
    same_sign = (constants > 0).all() or (constants < 0).all()
    if same_sign and high <= CONSTANTS_SPREAD * low:
        allowed = limit_fraction(subject.board, subject.days[rows])
        excess = np.abs(np.expm1(subject.log_return[rows])) - allowed
        worst = rows[excess.argmax()]
        text = Reason("quality.additive_limits", n=len(rows), excess=excess.max(), low=low, high=high)
        yield subject.finding("additive_adjustment", worst, float(np.median(constants)), "stop", text)


def _additive_beside_closes(subject: Subject) -> Iterator[QualityFinding]:
    price, close = subject.price, subject.close
    with np.errstate(invalid="ignore"):
        share = np.abs(1.0 - price[1:] / close[1:])
        moves = np.abs(np.diff(close)) * share
        ticks = tick_size(subject.board, close[1:], subject.days[1:])
        telling = np.isfinite(moves) & (moves > 4 * ticks) & (share > APART)
    if telling.sum() < DAYS:
        return
    # With adjustment by factors, the difference of both closes changes with the price, by ``moves``.
    still = np.median(np.abs(np.diff(close - price))[telling] / moves[telling])
    if still < 0.1:
        row = int(np.flatnonzero(telling)[0]) + 1
        gap = float(close[row] - price[row])
        yield subject.finding("additive_adjustment", row, gap, "stop", Reason("quality.additive_closes", gap=gap))


def unlisted_adjustment(subject: Subject) -> Iterator[QualityFinding]:
    """Yield days on which adj_close was adjusted although the source lists no dividend and no split.

    Notes
    -----
    If the source lists none at all, an adjustment above `UNKNOWN` is reported. One above `PHANTOM` inside a window
    stops the run if it cannot be a dividend, that is, if adj_close itself rises by more than its usual moves.
    """
    paid = subject.dividends
    with np.errstate(invalid="ignore"):
        gap = subject.log_return - subject.traded_return
        apart = np.abs(gap)
        listed = apart > np.where(np.isnan(paid), np.log1p(UNKNOWN), UNLISTED)
        # A split changes the close and not adj_close; `jumps` checks the largest moves of adj_close.
        other = np.isnan(paid) & (likely_split(apart, least=1.0) | (np.abs(subject.log_return) > JUMP))
        rows = np.flatnonzero(listed & ~(paid > 0) & ~(subject.splits > 0) & ~other)
        usual = 1.4826 * np.nanmedian(np.abs(subject.log_return)) if len(rows) else 0.0
        phantom = subject.windows & (gap > np.log1p(PHANTOM)) & (subject.log_return > USUAL_MOVES * usual)
    if len(rows):
        wrong = rows[phantom[rows]]
        worst = (wrong if len(wrong) else rows)[apart[wrong if len(wrong) else rows].argmax()]
        size = float(np.expm1(apart[worst]))
        text = Reason("quality.unlisted", n=len(rows), apart=size)
        yield subject.finding("unlisted_adjustment", worst, size, "stop" if len(wrong) else "warn", text)
