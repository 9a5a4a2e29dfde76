"""Checks of how prices were adjusted: by subtraction, or without a dividend or split to adjust for."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from eventstudy.exchanges.rules import limit_fraction, tick_size
from eventstudy.messages import say
from eventstudy.prices.quality.moves import limit_constants
from eventstudy.prices.quality.subject import QualityFinding, Subject

#: Adjusted closes nearer to the traded ones than this are not adjusted enough to tell how.
APART = 0.005
#: Days that must show it.
DAYS = 10
#: The constants that limit days imply may differ by this factor: each dividend changes the constant.
CONSTANTS_SPREAD = 2.0
#: Adjusted and traded returns further apart than this want a dividend or a split on the day.
UNLISTED = 0.02


def additive_adjustment(subject: Subject) -> Iterator[QualityFinding]:
    """Yield a series adjusted by subtracting constants, which bends every return.

    Notes
    -----
    Two signs. Beside traded closes, the difference to the adjusted close stands still while their
    ratio moves. Alone, days that closed at a price limit L give it away: with the constant c taken
    off, a limit-up day shows ``C(t) = (1 + L) C(t-1) + c L``, a return that the exchange does not
    allow, and all such days imply nearly the same c.
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
        text = say("quality.additive_limits", n=len(rows), excess=excess.max(), low=low, high=high)
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
    # Adjusted by factors, the gap between both closes moves with the price: by ``moves``.
    still = np.median(np.abs(np.diff(close - price))[telling] / moves[telling])
    if still < 0.1:
        row = int(np.flatnonzero(telling)[0]) + 1
        gap = float(close[row] - price[row])
        text = say("quality.additive_closes", gap=gap)
        yield subject.finding("additive_adjustment", row, gap, "stop", text)


def unlisted_adjustment(subject: Subject) -> Iterator[QualityFinding]:
    """Yield days on which adj_close was adjusted though the source lists no dividend and no split."""
    paid = subject.dividends
    with np.errstate(invalid="ignore"):
        apart = np.abs(subject.log_return - subject.traded_return)
        rows = np.flatnonzero((apart > UNLISTED) & (paid == 0) & ~(subject.splits > 0))
    if len(rows):
        worst = rows[apart[rows].argmax()]
        text = say("quality.unlisted", n=len(rows), apart=np.expm1(apart[worst]))
        yield subject.finding("unlisted_adjustment", worst, np.expm1(apart[worst]), "warn", text)
