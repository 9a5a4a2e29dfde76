"""Daily price limits, free first sessions, settlement and short selling, by board and date.

Every row names its source and how sure it is: ``exchange`` is a page of the exchange itself,
``secondary`` reports or reprints of its rules, ``memory`` common knowledge without a source at hand.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from eventstudy.errors import ConfigError, nearest

Certainty = Literal["exchange", "secondary", "memory"]
Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

#: Products of prices and ratios are wrong in the last bits; this many ticks decide a rounding.
_ROUNDING = 1e-6


@dataclass(frozen=True, slots=True)
class LimitRule:
    """The daily price limit of a board from ``first`` to ``until``, both included.

    ``kind`` is ``none``, ``fraction`` (``limit`` times the previous close) or ``yen`` (the amounts
    of `YEN_LIMITS`). ``until`` None means still in force.
    """

    board: str
    first: dt.date
    until: dt.date | None
    kind: Literal["none", "fraction", "yen"]
    limit: float
    source: str
    certainty: Certainty


@dataclass(frozen=True, slots=True)
class FreeRule:
    """How many first sessions of a new listing have no limit, for listings in the period."""

    board: str
    first: dt.date
    until: dt.date | None
    sessions: int
    source: str
    certainty: Certainty


@dataclass(frozen=True, slots=True)
class TradeRule:
    """Sessions that must pass before a share bought can be sold, and what is known of selling short."""

    board: str
    first: dt.date
    until: dt.date | None
    sessions_before_sale: int
    short_sales: str
    source: str
    certainty: Certainty


_SSE = "SSE, star.sse.com.cn/en/gettingstarted/features/trading: 10 %, ST 5 %, first day -36 % to +44 %"
_SZSE = "SZSE Trading Rules as told by asiaetrading.com: 10 %, ST 5 %, none on the first day"
_MAIN_2023 = "SSE and SZSE Trading Rules, 2023 revision, in force 2023-04-10"
_SSE_2026 = (
    "SSE Trading Rules, revision of 2026-04-24, in force 2026-07-06, "
    "sse.com.cn/lawandrules/sselawsrules2025/stocks/exchange/c/c_20260424_10816482.shtml"
)
_SZSE_2026 = (
    "SZSE Trading Rules, revision of 2026-04-24, in force 2026-07-06, "
    "investor.szse.cn/lawrules/rule/trade/t20260424_620190.html"
)
_CHINEXT = "SZSE special rules for ChiNext, reform of 2020, first day 2020-08-24; public rule tables agree"
_STAR = "SSE, Q&A on the trading mechanism of the STAR Market of 2019-07-19; opened 2019-07-22"
_BSE = "BSE Trading Rules (trial) of 2021-11-02 (newsdirectory3.com, CGTN); opened 2021-11-15"
_TWSE_7 = "TWSE Operating Rules art. 63, texts of 2000-11-30 and 2008-12-25"
_TWSE_10 = "TPEx, 'Daily price fluctuation limit': from 7 % to 10 % on 2015-06-01, by order of the FSC"
_TWSE_NEW = "TWSE, 'Trading mechanism - new stock': five sessions from 2005-03-01"
_TSE = "JPX, 'Daily price limits', jpx.co.jp/english/equities/trading/domestic/06.html"
_US = "No daily limit; the bands of the Limit Up-Limit Down plan only pause trading for minutes"

_MAIN_FIRST, _MAIN_FREE, _REFORM = dt.date(2006, 7, 1), dt.date(2023, 4, 10), dt.date(2020, 8, 24)
_ST_WIDENED, _DAY = dt.date(2026, 7, 6), dt.timedelta(days=1)

LIMIT_RULES: tuple[LimitRule, ...] = (
    LimitRule("us", dt.date(1900, 1, 1), None, "none", 0.0, _US, "secondary"),
    LimitRule("sse_main", dt.date(1996, 12, 16), _MAIN_FIRST - _DAY, "fraction", 0.10, "", "memory"),
    LimitRule("sse_main", _MAIN_FIRST, None, "fraction", 0.10, _SSE, "exchange"),
    LimitRule("szse_main", dt.date(1996, 12, 16), _MAIN_FIRST - _DAY, "fraction", 0.10, "", "memory"),
    LimitRule("szse_main", _MAIN_FIRST, None, "fraction", 0.10, _SZSE, "secondary"),
    LimitRule("chinext", dt.date(2009, 10, 30), _REFORM - _DAY, "fraction", 0.10, _SZSE, "secondary"),
    LimitRule("chinext", _REFORM, None, "fraction", 0.20, _CHINEXT, "secondary"),
    LimitRule("star", dt.date(2019, 7, 22), None, "fraction", 0.20, _STAR, "exchange"),
    LimitRule("bse", dt.date(2021, 11, 15), None, "fraction", 0.30, _BSE, "secondary"),
    LimitRule("twse", dt.date(2000, 11, 30), dt.date(2015, 5, 31), "fraction", 0.07, _TWSE_7, "exchange"),
    LimitRule("twse", dt.date(2015, 6, 1), None, "fraction", 0.10, _TWSE_10, "exchange"),
    LimitRule("tse", dt.date(2010, 1, 4), None, "yen", 0.0, _TSE, "exchange"),
)

#: Shares under risk warning (ST, *ST) on the two main boards. ChiNext, STAR and Beijing know no such
#: difference: there the board's own limit holds.
ST_RULES: tuple[LimitRule, ...] = (
    LimitRule("sse_main", _MAIN_FIRST, _ST_WIDENED - _DAY, "fraction", 0.05, _SSE, "exchange"),
    LimitRule("sse_main", _ST_WIDENED, None, "fraction", 0.10, _SSE_2026, "secondary"),
    LimitRule("szse_main", _MAIN_FIRST, _ST_WIDENED - _DAY, "fraction", 0.05, _SZSE, "secondary"),
    LimitRule("szse_main", _ST_WIDENED, None, "fraction", 0.10, _SZSE_2026, "secondary"),
)

#: From 2014 to 2023 the first session on a main board was held to +44 % and -36 % of the issue price;
#: that is no multiple of a previous close, so the day counts as one without a limit.
FREE_RULES: tuple[FreeRule, ...] = (
    FreeRule("sse_main", _MAIN_FIRST, _MAIN_FREE - _DAY, 1, _SSE, "exchange"),
    FreeRule("sse_main", _MAIN_FREE, None, 5, _MAIN_2023, "secondary"),
    FreeRule("szse_main", _MAIN_FIRST, _MAIN_FREE - _DAY, 1, _SZSE, "secondary"),
    FreeRule("szse_main", _MAIN_FREE, None, 5, _MAIN_2023, "secondary"),
    FreeRule("chinext", dt.date(2009, 10, 30), _REFORM - _DAY, 1, _SZSE, "secondary"),
    FreeRule("chinext", _REFORM, None, 5, _CHINEXT, "secondary"),
    FreeRule("star", dt.date(2019, 7, 22), None, 5, _STAR, "exchange"),
    FreeRule("bse", dt.date(2021, 11, 15), None, 1, _BSE, "secondary"),
    FreeRule("twse", dt.date(2005, 3, 1), None, 5, _TWSE_NEW, "exchange"),
    FreeRule("tse", dt.date(2010, 1, 4), None, 1, "", "memory"),
)

_RELENDING = "CSRC of 2024-07-10 (Xinhua, JunHe): relending of shares suspended from 2024-07-11"
_LENT = "by margin account and only where the broker has listed shares to lend; scarce"
_UNLENT = "relending is suspended: take single shares as not available, hedge with an index future"
_QUOTA = "by margin account, within the share's quota"
_MAINLAND = ("sse_main", "szse_main", "chinext", "star", "bse")
TRADE_RULES: tuple[TradeRule, ...] = (
    *(TradeRule(b, dt.date(1995, 1, 1), dt.date(2024, 7, 10), 1, _LENT, "", "memory") for b in _MAINLAND),
    *(TradeRule(b, dt.date(2024, 7, 11), None, 1, _UNLENT, _RELENDING, "secondary") for b in _MAINLAND),
    TradeRule("us", dt.date(1900, 1, 1), None, 0, "by borrowing, for a fee", "", "memory"),
    TradeRule("twse", dt.date(1900, 1, 1), None, 0, _QUOTA, "", "memory"),
    TradeRule("tse", dt.date(1900, 1, 1), None, 0, "by margin account, for loanable issues", "", "memory"),
)

BOARDS = tuple(dict.fromkeys(rule.board for rule in LIMIT_RULES))

#: Base price below the first number: limit of the second, in yen (`_TSE`).
YEN_LIMITS: tuple[tuple[float, float], ...] = (
    (100, 30),
    (200, 50),
    (500, 80),
    (700, 100),
    (1_000, 150),
    (1_500, 300),
    (2_000, 400),
    (3_000, 500),
    (5_000, 700),
    (7_000, 1_000),
    (10_000, 1_500),
    (15_000, 3_000),
    (20_000, 4_000),
    (30_000, 5_000),
    (50_000, 7_000),
    (70_000, 10_000),
    (100_000, 15_000),
    (150_000, 30_000),
    (200_000, 40_000),
    (300_000, 50_000),
    (500_000, 70_000),
    (700_000, 100_000),
    (1_000_000, 150_000),
    (1_500_000, 300_000),
    (2_000_000, 400_000),
    (3_000_000, 500_000),
    (5_000_000, 700_000),
    (7_000_000, 1_000_000),
    (10_000_000, 1_500_000),
    (15_000_000, 3_000_000),
    (20_000_000, 4_000_000),
    (30_000_000, 5_000_000),
    (50_000_000, 7_000_000),
    (np.inf, 10_000_000),
)

#: Price below the first number: tick of the second. Taiwan: six steps, in force 2005-03-01 (UDN of
#: 2026-01-23). Tokyo: the finer of its two tables, for the TOPIX 500.
_TICKS: dict[str, tuple[tuple[float, float], ...]] = {
    "twse": ((10, 0.01), (50, 0.05), (100, 0.1), (500, 0.5), (1_000, 1.0), (np.inf, 5.0)),
    "tse": (
        (1_000, 0.1),
        (3_000, 0.5),
        (10_000, 1.0),
        (30_000, 5.0),
        (100_000, 10.0),
        (300_000, 50.0),
        (1_000_000, 100.0),
        (3_000_000, 500.0),
        (10_000_000, 1_000.0),
        (30_000_000, 5_000.0),
        (np.inf, 10_000.0),
    ),
}
_CENT = ((np.inf, 0.01),)

_BY_MIC = {
    "XNYS": "us",
    "XNAS": "us",
    "XASE": "us",
    "XSHG": "sse_main",
    "XSHE": "szse_main",
    "BJSE": "bse",
    "XTAI": "twse",
    "ROCO": "twse",
    "XTKS": "tse",
}
#: The first digits of a mainland ticker say its board.
_BY_DIGITS = {
    "XSHG": {"688": "star", "689": "star"},
    "XSHE": {"300": "chinext", "301": "chinext", "302": "chinext"},
}


@dataclass(frozen=True, slots=True)
class Locks:
    """Where a close stood at the day's limit, shape (T,) each.

    ``all_day`` marks those whose high and low are the same price: nobody could trade away from the
    limit. ``no_limit`` marks the free first sessions of a new listing.
    """

    down: Bools
    up: Bools
    all_day: Bools
    no_limit: Bools


def board_of(ticker: str, mic: str, *, peer: str = "", market: str = "") -> str:
    """Return the board: as stated for the peer, else by the ticker's digits, the market, the MIC.

    An exchange that is not in the tables gives ``""``: its limits are unknown.

    Raises
    ------
    ConfigError
        If a stated board is not in `BOARDS`.
    """
    for stated in (peer, market):
        if stated and stated not in BOARDS:
            raise ConfigError(f"{ticker}: board {stated!r} is unknown; {nearest(stated, BOARDS)}")
    digits = _BY_DIGITS.get(mic, {}).get(ticker[:3], "")
    return peer or digits or market or _BY_MIC.get(mic, "")


def tick_size(board: str, price: ArrayLike) -> Floats:
    """Return the smallest price step at ``price``, same shape."""
    table = _TICKS.get(board, _CENT)
    return _step(table, np.asarray(price, dtype=np.float64))


def limit_prices(
    board: str, day: dt.date, previous_close: float, *, days_listed: int | None = None, st: bool = False
) -> tuple[float, float]:
    """Return the lowest and the highest price allowed on ``day``, rounded as the exchange rounds.

    Parameters
    ----------
    previous_close
        The exchange's reference price: the last close, lowered on an ex-date.
    days_listed
        1 on the first session; None when the listing is old enough not to matter.
    st
        Whether the share is under risk warning.

    Returns
    -------
    down, up
        ``(0.0, inf)`` without a limit, ``(nan, nan)`` where no rule is known.

    Raises
    ------
    ConfigError
        If the board is not in `BOARDS`.
    """
    if board not in BOARDS:
        raise ConfigError(f"board {board!r} is unknown; {nearest(board, BOARDS)}")
    days = np.array([day], dtype="datetime64[D]")
    listed = None if days_listed is None else np.array([days_listed])
    down, up = limit_bands(board, days, np.array([previous_close]), days_listed=listed, st=st)
    return float(down[0]), float(up[0])


def limit_bands(
    board: str,
    days: NDArray[np.datetime64],
    previous: Floats,
    *,
    days_listed: NDArray[np.int64] | None = None,
    st: bool = False,
) -> tuple[Floats, Floats]:
    """Return what `limit_prices` does for many days of one share, shape (T,) each.

    Notes
    -----
    Shanghai, Shenzhen and Beijing round half up to the tick and move at least one tick. Taipei takes
    the last tick inside the limit, or one tick where the limit is smaller. Tokyo adds and subtracts
    the amount of `YEN_LIMITS`; it widens one side fourfold after two days locked without trades,
    which daily prices do not show and this table does not know.
    """
    previous = np.asarray(previous, dtype=np.float64)
    down, up = np.full(len(days), np.nan), np.full(len(days), np.nan)
    for rule in _rules(board, st):
        here = _within(rule, days)
        if here.any():
            down[here], up[here] = _band(rule, previous[here])
    free = free_sessions(board, days, days_listed)
    return np.where(free, 0.0, down), np.where(free, np.inf, up)


def free_sessions(board: str, days: NDArray[np.datetime64], days_listed: NDArray[np.int64] | None) -> Bools:
    """Return which days belong to the first sessions of a listing that have no limit, shape (T,)."""
    free = np.zeros(len(days), dtype=bool)
    if days_listed is None:
        return free
    for rule in FREE_RULES:
        if rule.board == board:
            free |= _within(rule, days) & (days_listed >= 1) & (days_listed <= rule.sessions)
    return free


def limit_fraction(board: str, days: NDArray[np.datetime64], *, st: bool = False) -> Floats:
    """Return the limit as a share of the previous close, NaN where it is none, unknown or in yen."""
    found = np.full(len(days), np.nan)
    for rule in _rules(board, st):
        if rule.kind == "fraction":
            found[_within(rule, days)] = rule.limit
    return found


def in_yen(board: str) -> bool:
    """Return whether the board's limit is an amount of money, so that it needs traded prices."""
    return any(rule.kind == "yen" for rule in LIMIT_RULES if rule.board == board)


def locked(
    board: str,
    days: NDArray[np.datetime64],
    close: Floats,
    previous: Floats,
    *,
    high: Floats | None = None,
    low: Floats | None = None,
    days_listed: NDArray[np.int64] | None = None,
    st: bool = False,
    slack: Floats | float = 0.0,
) -> Locks:
    """Return the days whose close stands at the limit.

    Parameters
    ----------
    close, previous : (T,) float
        The close and the reference price it is compared with; NaN is never locked.
    high, low : (T,) float, optional
        A close at the limit is also the day's extreme; where they are given this is asked for.
    slack : (T,) float or float
        0 for traded prices, which must lie within half a tick of the limit. Else the allowance, as a
        share of ``previous`` and at least one and a half ticks, for prices adjusted and rounded again.

    Notes
    -----
    A close past the limit is a fault of the data or an exception of the exchange, never a lock.
    """
    down_price, up_price = limit_bands(board, days, previous, days_listed=days_listed, st=st)
    ticks = np.where(np.asarray(slack) > 0, 1.5, 0.5 + _ROUNDING)
    with np.errstate(invalid="ignore"):
        reach = np.maximum(tick_size(board, close) * ticks, slack * previous)
        down, up = _at(close, down_price, low, reach), _at(close, up_price, high, reach)
        flat = np.zeros(len(days), dtype=bool) if high is None or low is None else high - low < _ROUNDING
    return Locks(down, up, (down | up) & flat, free_sessions(board, days, days_listed))


def _at(close: Floats, limit: Floats, extreme: Floats | None, reach: Floats) -> Bools:
    at: Bools = np.isfinite(limit) & (limit > 0) & (np.abs(close - limit) <= reach)
    return at if extreme is None else at & ~(np.abs(close - extreme) > reach)


def sessions_before_sale(board: str, day: dt.date) -> int:
    """Return how many sessions must pass before a share bought on ``day`` can be sold; 1 is T+1."""
    return trade_rule(board, day).sessions_before_sale


def trade_rule(board: str, day: dt.date) -> TradeRule:
    """Return what holds for selling on a board; `ConfigError` where nothing is known."""
    for rule in TRADE_RULES:
        if rule.board == board and rule.first <= day and (rule.until is None or day <= rule.until):
            return rule
    raise ConfigError(f"board {board!r} on {day}: no rule for selling is known; {nearest(board, BOARDS)}")


def _within(rule: LimitRule | FreeRule, days: NDArray[np.datetime64]) -> Bools:
    inside: Bools = days >= np.datetime64(rule.first, "D")
    if rule.until is not None:
        inside &= days <= np.datetime64(rule.until, "D")
    return inside


def _rules(board: str, st: bool) -> list[LimitRule]:
    """Rules of a board in the order in which later ones win."""
    rules: Sequence[LimitRule] = (*LIMIT_RULES, *ST_RULES) if st else LIMIT_RULES
    return [rule for rule in rules if rule.board == board]


def _band(rule: LimitRule, previous: Floats) -> tuple[Floats, Floats]:
    if rule.kind == "none":
        return np.zeros(previous.shape), np.full(previous.shape, np.inf)
    if rule.kind == "yen":
        amount = _step(YEN_LIMITS, previous)
        return np.maximum(previous - amount, tick_size(rule.board, previous)), previous + amount
    down: Floats = previous * (1.0 - rule.limit)
    up: Floats = previous * (1.0 + rule.limit)
    step = tick_size(rule.board, previous)
    if rule.board == "twse":
        down, up = _inside(rule.board, down, np.ceil), _inside(rule.board, up, np.floor)
    else:
        down, up = _half_up(down, step), _half_up(up, step)
    small = step * (1 - _ROUNDING)
    down = np.where(previous - down < small, previous - step, down)
    up = np.where(up - previous < small, previous + step, up)
    lowest: Floats = np.maximum(down, step)
    # Six decimals are far finer than any tick and free of the last bits' noise.
    return np.round(lowest, 6), np.round(up, 6)


def _half_up(price: Floats, step: Floats) -> Floats:
    rounded: Floats = np.floor(price / step + 0.5 + _ROUNDING) * step
    return rounded


def _inside(board: str, price: Floats, towards: np.ufunc) -> Floats:
    step = tick_size(board, price)
    inward = -_ROUNDING if towards is np.ceil else _ROUNDING
    rounded: Floats = towards(price / step + inward) * step
    return rounded


def _step(table: Sequence[tuple[float, float]], price: Floats) -> Floats:
    bounds, steps = np.array(table).T
    where = np.minimum(np.searchsorted(bounds, price, side="right"), len(steps) - 1)
    return np.asarray(steps[where], dtype=np.float64)
