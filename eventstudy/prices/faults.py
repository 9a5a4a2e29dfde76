"""Faults that the bars of one series show by themselves: each check yields what it found."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from eventstudy.config import Market, Peer
from eventstudy.exchanges.exchange import currency_in_hundredths, exchanges
from eventstudy.exchanges.rules import limit_fraction, tick_size
from eventstudy.messages import say
from eventstudy.prices.limits import has_traded_prices
from eventstudy.prices.table import PriceSeries

Severity = Literal["stop", "drop", "warn"]
Floats = NDArray[np.float64]

#: A close outside low..high by less than this is rounding; on fewer days than that a slip.
OUTSIDE, OUTSIDE_DAYS = 0.005, 3
#: Log returns this large are looked at; turnover of so many times its median proves a real move.
JUMP, CROWD = float(np.log(1.4)), 3.0
#: Splits and bonus issues that happen, new shares for one old one.
SPLITS = (1.5, 2, 3, 4, 5, 6, 7, 8, 10, 15, 20, 25, 30, 40, 50)
SPLIT_TOLERANCE = 0.06
#: Adjusted and traded returns further apart than this want a dividend or a split on the day.
UNLISTED = 0.02
#: A return this far past the exchange's limit cannot come from a dividend left unadjusted.
PAST_LIMIT = 0.02
#: The constants that limit days imply may differ by this factor: each dividend changes the constant.
CONSTANTS_SPREAD = 2.0
STALE_RUN, STALE_SHARE, STALE_WINDOW = 10, 0.20, 250
#: Sessions around an event within which a large move is expected.
NEAR_EVENT = 3
#: Money traded and close times volume may differ by this factor: prices move, some are adjusted.
SAME_UNIT = 3.0
#: Million yuan a day under which hardly any mainland share trades, and where that is asked.
LEAST_TRADED = 10.0
#: Checks after which nobody knows what was traded in money, unless the settings say it.
UNIT_CHECKS = ("volume_unit", "volume_step", "price_unit")
#: Sessions on each side of a change of the volume's unit.
UNIT_SIDE = 40
#: First sessions of a listing that may have no limit.
FIRST_SESSIONS = 5


@dataclass(frozen=True, slots=True)
class QualityFinding:
    """One suspect thing about a series, with its first or worst day and its value there.

    ``severity``: ``stop`` – the run stops, ``drop`` – the series is left out, ``warn`` – it is listed.
    """

    ticker: str
    check: str
    day: str
    value: float
    severity: Severity
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """One series on the sessions of its exchange, shape (T,) each; ``peer`` is None for an index.

    ``price`` is the adjusted close, for a peer only where there was trade; ``splits`` are new shares
    for one old one and ``dividends`` cash a share: 0 without one, NaN where the source lists none.
    ``unit`` is how many shares the settings take one unit of ``volume`` for, ``money`` how much of the
    market's currency a unit of price is, None where nobody says.
    """

    item: PriceSeries
    market: Market
    peer: Peer | None
    board: str
    days: NDArray[np.datetime64]
    price: Floats
    close: Floats
    high: Floats
    low: Floats
    volume: Floats
    splits: Floats
    dividends: Floats
    amount: Floats
    unit: int
    money: float | None
    event_days: NDArray[np.datetime64]

    @property
    def previous(self) -> Floats:
        """The adjusted close of the session before."""
        return np.concatenate([[np.nan], self.price[:-1]])

    @property
    def log_return(self) -> Floats:
        """One-session log returns of the adjusted close."""
        with np.errstate(divide="ignore", invalid="ignore"):
            change: Floats = np.log(self.price / self.previous)
        return change

    def finding(
        self, check: str, row: int | np.intp, value: float, severity: Severity, message: str
    ) -> QualityFinding:
        """Return a finding on the session ``row``."""
        return QualityFinding(self.item.ticker, check, str(self.days[row]), float(value), severity, message)


Check = Callable[[Subject], Iterator[QualityFinding]]


def not_positive(subject: Subject) -> Iterator[QualityFinding]:
    """Yield the first price that is zero or negative."""
    for name in ("adj_close", "close"):
        values = getattr(subject.item, name)
        rows = np.flatnonzero(values <= 0)
        if len(rows):
            day, value = str(subject.item.dates[rows[0]]), float(values[rows[0]])
            text = say("quality.not_positive", name=name, value=value, n=len(rows))
            yield QualityFinding(subject.item.ticker, "not_positive", day, value, "stop", text)


def adjusted_missing(subject: Subject) -> Iterator[QualityFinding]:
    """Yield how many days have a close but no adjusted close; more than a tenth stops."""
    lacking = np.isfinite(subject.item.close) & ~np.isfinite(subject.item.adj_close)
    count, total = int(lacking.sum()), int(np.isfinite(subject.item.close).sum())
    if count:
        day = str(subject.item.dates[lacking][0])
        text = say("quality.adjusted_missing", n=count, total=total)
        severity: Severity = "stop" if count > 0.1 * total else "warn"
        yield QualityFinding(subject.item.ticker, "adjusted_missing", day, count, severity, text)


def close_outside_range(subject: Subject) -> Iterator[QualityFinding]:
    """Yield closes outside the day's low and high: prices adjusted in different ways."""
    low, high = subject.close / subject.low - 1.0, subject.close / subject.high - 1.0
    below, above = low < -OUTSIDE, high > OUTSIDE
    rows = np.flatnonzero(below | above)
    if not len(rows):
        return
    size = np.where(below, low, high)
    worst = rows[np.abs(size[rows]).argmax()]
    one_sided = below[rows].all() or above[rows].all()
    cause = say("quality.half_adjusted" if one_sided else "quality.mixed_up")
    text = say(
        "quality.outside_range",
        n=len(rows),
        first=subject.days[rows[0]],
        last=subject.days[rows[-1]],
        worst=size[worst],
        cause=cause,
    )
    severity: Severity = "stop" if len(rows) >= OUTSIDE_DAYS else "warn"
    yield subject.finding("close_outside_range", worst, size[worst], severity, text)


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
    rows, constants = _limit_constants(subject)
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
        telling = np.isfinite(moves) & (moves > 4 * ticks) & (share > OUTSIDE)
    if telling.sum() < STALE_RUN:
        return
    # Adjusted by factors, the gap between both closes moves with the price: by ``moves``.
    still = np.median(np.abs(np.diff(close - price))[telling] / moves[telling])
    if still < 0.1:
        row = int(np.flatnonzero(telling)[0]) + 1
        gap = float(close[row] - price[row])
        text = say("quality.additive_closes", gap=gap)
        yield subject.finding("additive_adjustment", row, gap, "stop", text)


def _limit_constants(subject: Subject) -> tuple[NDArray[np.intp], Floats]:
    """Days that closed at their extreme a little past the limit, and the constant each implies."""
    limit, past = _past_limit(subject)
    change = np.expm1(subject.log_return)
    extreme = np.where(change > 0, subject.high, subject.low)
    with np.errstate(invalid="ignore"):
        at = np.abs(subject.close - extreme) <= 1.5 * tick_size(subject.board, subject.close, subject.days)
        rows = np.flatnonzero(past & at & (np.abs(change) < limit + 0.05))
    moved, signed = change[rows] * subject.previous[rows], np.sign(change[rows]) * limit[rows]
    return rows, (moved - signed * subject.previous[rows]) / signed


def _past_limit(subject: Subject) -> tuple[Floats, NDArray[np.bool_]]:
    """Return the limit on each session and where the return lies past it by more than rounding."""
    limit = limit_fraction(subject.board, subject.days)
    listed = subject.peer.from_ if subject.peer else None
    there = np.flatnonzero(np.isfinite(subject.price))
    if len(there) and _just_listed(subject.days[there[0]], listed):
        limit[: there[0] + FIRST_SESSIONS] = np.nan
    with np.errstate(invalid="ignore"):
        tick = tick_size(subject.board, subject.previous, subject.days)
        rounding = 0.001 + 1.5 * tick / subject.previous
        return limit, np.abs(np.expm1(subject.log_return)) > limit + rounding


def _just_listed(first: np.datetime64, listed: dt.date | None) -> bool:
    """Whether a series may begin with its listing: within a fortnight, or on a day nobody stated."""
    return listed is None or 0 <= (first - np.datetime64(listed, "D")).astype(int) < 15


def jumps(subject: Subject) -> Iterator[QualityFinding]:
    """Yield moves that no market made: currency slips, unadjusted splits, wrong adjustments.

    Notes
    -----
    A crash and a split are told apart by turnover: a real move of this size comes with several times
    the usual turnover, in money and in shares, a split with the usual one. On a board with a price
    limit a return past the limit is enough, and so is a split that the source itself lists.
    """
    limit, past = _past_limit(subject)
    additive = set(_limit_constants(subject)[0].tolist())
    change, crowd = subject.log_return, _turnover_ratio(subject)
    with np.errstate(invalid="ignore"):
        rows = np.flatnonzero(past | (np.abs(change) > JUMP))
    for row in rows.tolist():
        raw = _traded_move(subject, row)
        if abs(abs(change[row]) - np.log(100)) < 0.15:
            text = say("quality.currency_slip", factor=np.exp(change[row]))
            yield subject.finding("currency_slip", row, change[row], "stop", text)
        elif abs(change[row] - raw) > np.log(1.2) > abs(raw):
            text = say("quality.phantom", adjusted=np.expm1(change[row]), close=np.expm1(raw))
            yield subject.finding("phantom_adjustment", row, np.expm1(change[row]), "stop", text)
        elif past[row]:
            if row not in additive:
                yield _beyond_limit(subject, row, float(limit[row]))
        elif not np.isfinite(limit[row]):
            yield from _jump(subject, row, float(change[row]), float(crowd[row]))


def unlisted_adjustment(subject: Subject) -> Iterator[QualityFinding]:
    """Yield days on which adj_close was adjusted though the source lists no dividend and no split."""
    paid = subject.dividends
    with np.errstate(invalid="ignore", divide="ignore"):
        raw = np.concatenate([[np.nan], np.log(subject.close[1:] / subject.close[:-1])])
        apart = np.abs(subject.log_return - raw)
        rows = np.flatnonzero((apart > UNLISTED) & (paid == 0) & ~(subject.splits > 0))
    if len(rows):
        worst = rows[apart[rows].argmax()]
        text = say("quality.unlisted", n=len(rows), apart=np.expm1(apart[worst]))
        yield subject.finding("unlisted_adjustment", worst, np.expm1(apart[worst]), "warn", text)


def _beyond_limit(subject: Subject, row: int, limit: float) -> QualityFinding:
    change = float(np.expm1(subject.log_return[row]))
    facts = {"move": change, "board": subject.board, "limit": limit}
    if abs(change) - limit <= PAST_LIMIT:
        text = say("quality.limit_rounding", **facts)
        return subject.finding("beyond_limit", row, change, "warn", text)
    nearest = subject.high[row] if change < 0 else subject.low[row]
    inside = abs(nearest / subject.previous[row] - 1.0) <= limit + PAST_LIMIT
    if inside:
        text = say("quality.limit_bars", **facts)
        return subject.finding("beyond_limit", row, change, "stop", text)
    text = say("quality.limit_ex_date", **facts)
    return subject.finding("unadjusted_split", row, change, "stop", text)


def _jump(subject: Subject, row: int, change: float, crowd: float) -> Iterator[QualityFinding]:
    """Yield a large move without the turnover of one, on a board without a limit."""
    listed = subject.splits[row]
    if listed > 0 and abs(change + np.log(listed)) < 2 * SPLIT_TOLERANCE:
        text = say("quality.split_listed", move=np.expm1(change), ratio=listed)
        yield subject.finding("unadjusted_split", row, np.expm1(change), "stop", text)
        return
    if crowd >= CROWD:
        return
    ratio = min(SPLITS, key=lambda k: abs(np.log(k) - abs(change)))
    likely = abs(np.log(ratio) - abs(change)) < SPLIT_TOLERANCE
    large = abs(np.expm1(change)) > 0.5
    proved = np.isfinite(crowd)
    usual = say("quality.turnover", times=crowd) if proved else say("quality.no_turnover")
    if likely and (proved or ratio >= 2):
        text = say("quality.split_likely", move=np.expm1(change), ratio=ratio, usual=usual)
        yield subject.finding("unadjusted_split", row, np.expm1(change), "stop", text)
    elif large and not _near_event(subject, row):
        text = say("quality.extreme", move=np.expm1(change), usual=usual)
        severity: Severity = "stop" if proved else "warn"
        yield subject.finding("extreme_return", row, np.expm1(change), severity, text)


def _near_event(subject: Subject, row: int) -> bool:
    near = subject.days[max(row - NEAR_EVENT, 0) : row + NEAR_EVENT + 1]
    return bool(np.isin(near, subject.event_days).any())


def _turnover_ratio(subject: Subject) -> Floats:
    """Turnover on days of jumps against the median of the twenty sessions before, NaN where unknown.

    The smaller of the ratios in money and in shares: shares multiply in a split, and money in a
    reverse split whose volumes were adjusted, though nobody traded more.
    """
    money = np.where(np.isfinite(subject.close), subject.close, subject.price) * subject.volume
    ratio = np.full(len(money), np.nan)
    with np.errstate(invalid="ignore"):
        wanted = np.flatnonzero(np.abs(subject.log_return) > JUMP)
    for row in wanted.tolist():
        ratio[row] = np.min([_against_median(values, row) for values in (money, subject.volume)])
    return ratio


def _against_median(values: Floats, row: int) -> float:
    before = values[max(row - 20, 0) : row]
    before = before[np.isfinite(before)]
    if len(before) < 5 or not np.median(before) > 0:
        return np.nan
    return float(values[row] / np.median(before))


def _traded_move(subject: Subject, row: int) -> float:
    """Log return of the traded close, NaN where there is none beside the adjusted one."""
    if not has_traded_prices(subject.item):
        return np.nan
    return float(np.log(subject.close[row] / subject.close[row - 1]))


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
        text = say("quality.stale_run", n=longest + 1, day=subject.days[end])
        yield subject.finding("stale", end - longest, longest + 1, "warn", text)
    known = np.flatnonzero(np.isfinite(change))
    width = min(STALE_WINDOW, len(known))
    if width >= 50:
        share = np.convolve(zero[known], np.ones(width), "valid") / width
        worst = int(share.argmax())
        if STALE_SHARE < share[worst] < 1:
            text = say("quality.stale_share", share=share[worst], n=width)
            yield subject.finding("stale", known[worst], share[worst], "warn", text)


def thin_bars(subject: Subject) -> Iterator[QualityFinding]:
    """Yield bars of one price with next to no volume that are not at a price limit."""
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
        text = say("quality.thin_bars", n=len(rows))
        yield subject.finding("thin_bar", rows[0], len(rows), "warn", text)


def volume_unit(subject: Subject) -> Iterator[QualityFinding]:
    """Yield volumes that are not in shares, by the money traded or, on the mainland, by common sense.

    Notes
    -----
    Where the source has the money traded, its ratio to close times volume is the shares in one unit.
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
    if len(there) < STALE_RUN:
        return
    told = np.isfinite(ratio) & (ratio > 0)
    if told.sum() >= STALE_RUN:
        shares = float(np.median(ratio[told]))
        if not 1 / SAME_UNIT < shares < SAME_UNIT:
            text = say("quality.amount", times=shares)
            yield subject.finding("volume_unit", np.flatnonzero(told)[0], shares, "warn", text)
        return
    yield from _step_of_unit(subject, money, there)
    usual = float(np.median(money[there])) / 1e6
    exchange = exchanges().get(subject.market.mic)
    if exchange and exchange.sources_count_lots and usual < LEAST_TRADED:
        # One sentence for all series: how much it is stands in the table.
        text = say("quality.thin_value", millions=LEAST_TRADED)
        yield subject.finding("volume_unit", there[0], usual * 1e6, "warn", text)


def _step_of_unit(subject: Subject, money: Floats, there: NDArray[np.intp]) -> Iterator[QualityFinding]:
    """Yield the day from which the volume is about a hundred times what it was, or a hundredth."""
    logs, least = np.log(money[there]), np.log(100 / SAME_UNIT)
    for at in (np.flatnonzero(np.abs(np.diff(logs)) > least / 2) + 1).tolist():
        before, after = logs[max(at - UNIT_SIDE, 0) : at], logs[at : at + UNIT_SIDE]
        step = abs(float(np.median(after) - np.median(before)))
        if min(len(before), len(after)) >= STALE_RUN and step > least:
            factor = float(np.exp(step))
            text = say("quality.volume_step", factor=factor)
            yield subject.finding("volume_step", there[at], factor, "warn", text)
            return


def membership(subject: Subject) -> Iterator[QualityFinding]:
    """Yield prices outside the peer's listing: another company may have had the ticker."""
    if subject.peer is None:
        return
    there = np.isfinite(subject.price)
    for name, day in (("from", subject.peer.from_), ("until", subject.peer.until)):
        if day is None:
            continue
        limit = np.datetime64(day, "D")
        rows = np.flatnonzero(there & (subject.days < limit if name == "from" else subject.days > limit))
        if len(rows):
            text = say("quality.outside_listing", n=len(rows), name=name, day=day)
            yield subject.finding("outside_listing", rows[0], len(rows), "warn", text)


def price_unit(subject: Subject) -> Iterator[QualityFinding]:
    """Yield prices of an exchange that quotes hundredths, where nobody says what they are in."""
    traded = subject.close * subject.volume
    if subject.peer is not None and subject.money is None and np.nansum(traded) > 0:
        row, mic = int(np.flatnonzero(np.isfinite(traded))[0]), subject.market.mic
        text = say("quality.price_unit", mic=mic)
        yield subject.finding("price_unit", row, subject.close[row], "warn", text)


def currency(subject: Subject) -> Iterator[QualityFinding]:
    """Yield a currency that is not the market's, nor a hundredth of it, which is known what to do with."""
    here, market = subject.item.currency, subject.market.currency
    if here and market and here != market and currency_in_hundredths().get(here) != market:
        text = say("quality.currency", here=here, mic=subject.market.mic, market=market)
        yield subject.finding("currency", 0, np.nan, "warn", text)


#: All checks of one series, in the order in which they are reported.
CHECKS: tuple[Check, ...] = (
    not_positive,
    adjusted_missing,
    close_outside_range,
    additive_adjustment,
    jumps,
    unlisted_adjustment,
    stale,
    thin_bars,
    volume_unit,
    price_unit,
    membership,
    currency,
)
