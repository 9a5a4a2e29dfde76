"""Checks of trading: stale prices, bars with one price, volumes that are not in shares."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from eventstudy.errors import Reason
from eventstudy.exchanges.exchange import exchanges
from eventstudy.exchanges.rules import limit_fraction
from eventstudy.prices.quality.subject import Floats, QualityFinding, Subject

STALE_RUN, STALE_SHARE, STALE_WINDOW = 10, 0.20, 250
#: Largest ratio of traded money and close × volume; prices move, and some are adjusted.
SAME_UNIT = 3.0
#: Daily turnover in million yuan below which hardly any mainland share trades, and the exchanges checked.
LEAST_TRADED = 10.0
#: Sessions on each side of a change of the volume's unit, and the smallest number for detecting one.
UNIT_SIDE, UNIT_DAYS = 40, 10


def stale(subject: Subject) -> Iterator[QualityFinding]:
    """Yield runs of more than ten equal closes, and years in which a fifth of the returns is zero."""
    change = subject.log_return
    zero = change == 0
    run, longest, end = 0, 0, 0
    for row, still in enumerate(zero.tolist()):
        run = run + 1 if still else 0
        if run > longest:
            longest, end = run, row
    if longest >= STALE_RUN:
        text = Reason("quality.stale_run", n=longest + 1, day=subject.days[end])
        yield subject.finding("stale", end - longest, longest + 1, "warn", text)
    known = np.flatnonzero(np.isfinite(change))
    width = min(STALE_WINDOW, len(known))
    if width >= 50:
        share = np.convolve(zero[known], np.ones(width), "valid") / width
        worst = int(share.argmax())
        if STALE_SHARE < share[worst] < 1:
            text = Reason("quality.stale_share", share=share[worst], n=width)
            yield subject.finding("stale", known[worst], share[worst], "warn", text)


def thin_bars(subject: Subject) -> Iterator[QualityFinding]:
    """Yield bars with one price and very little volume that are not at a price limit."""
    limit = limit_fraction(subject.board, subject.days)
    with np.errstate(invalid="ignore"):
        inside = ~(np.abs(np.expm1(subject.log_return)) >= limit - 0.005)
        flat = (subject.high - subject.low <= 1e-9) & (subject.volume > 0) & inside
    rows = []
    for row in np.flatnonzero(flat):
        before = subject.volume[max(row - 60, 0) : row]
        before = before[np.isfinite(before) & (before > 0)]
        if len(before) >= 20 and subject.volume[row] < 0.02 * np.median(before):
            rows.append(int(row))
    if rows:
        yield subject.finding("thin_bar", rows[0], len(rows), "warn", Reason("quality.thin_bars", n=len(rows)))


def volume_unit(subject: Subject) -> Iterator[QualityFinding]:
    """Yield volumes that are not in shares, by the traded money or, for mainland shares, by a plausible minimum.

    Notes
    -----
    If the source has the traded money, its ratio to close × volume is the number of shares in one unit.
    Without it, a mainland share that trades less than 10 million yuan on a median day is either among
    the least traded of all or counted in lots of 100. A unit that changes along the series shows as
    a hundredfold step that lasts.
    """
    if subject.peer is None:
        return
    with np.errstate(divide="ignore", invalid="ignore"):
        money = subject.close * subject.volume * subject.unit * (subject.money or 1.0)
        money = np.where(money > 0, money, np.nan)
        ratio = subject.amount / money
    there = np.flatnonzero(np.isfinite(money))
    if len(there) < UNIT_DAYS:
        return
    told = np.isfinite(ratio) & (ratio > 0)
    if told.sum() >= UNIT_DAYS:
        shares = float(np.median(ratio[told]))
        if not 1 / SAME_UNIT < shares < SAME_UNIT:
            text = Reason("quality.amount", times=shares)
            yield subject.finding("volume_unit", np.flatnonzero(told)[0], shares, "warn", text)
        return
    yield from _step_of_unit(subject, money, there)
    usual = float(np.median(money[there])) / 1e6
    exchange = exchanges().get(subject.market.mic)
    if exchange and exchange.sources_count_lots and usual < LEAST_TRADED:
        # One sentence for all series; the table has the numbers.
        text = Reason("quality.thin_value", millions=LEAST_TRADED)
        yield subject.finding("volume_unit", there[0], usual * 1e6, "warn", text)


def _step_of_unit(subject: Subject, money: Floats, there: NDArray[np.intp]) -> Iterator[QualityFinding]:
    """Yield the day from which on the volume is about a hundred times, or a hundredth of, its former level."""
    logs, least = np.log(money[there]), np.log(100 / SAME_UNIT)
    for at in (np.flatnonzero(np.abs(np.diff(logs)) > least / 2) + 1).tolist():
        before, after = logs[max(at - UNIT_SIDE, 0) : at], logs[at : at + UNIT_SIDE]
        step = abs(float(np.median(after) - np.median(before)))
        if min(len(before), len(after)) >= UNIT_DAYS and step > least:
            factor = float(np.exp(step))
            text = Reason("quality.volume_step", factor=factor)
            yield subject.finding("volume_step", there[at], factor, "warn", text)
            return
