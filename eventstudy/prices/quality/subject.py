"""Input and output of a price check: one series on the sessions of its exchange, and its findings."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from eventstudy.config import Market, Peer, StudyConfig
from eventstudy.errors import Reason
from eventstudy.exchanges.rules import board_of
from eventstudy.prices.limits import has_traded_prices
from eventstudy.prices.table import PriceSeries, PriceTable, price_unit

Severity = Literal["stop", "drop", "warn"]
Floats = NDArray[np.float64]
SessionSource = Callable[[str, dt.date, dt.date], NDArray[np.datetime64]]


@dataclass(frozen=True, slots=True)
class QualityFinding:
    """One finding on a series, with its first or worst day and the value there.

    ``severity``: ``stop`` – the run stops, ``drop`` – the series is left out, ``warn`` – it is listed.
    ``message`` is the finding as a code with its numbers.
    """

    ticker: str
    check: str
    day: str
    value: float
    severity: Severity
    message: Reason


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """One series on the sessions of its exchange, shape (T,) each; ``peer`` is None for an index.

    ``price`` is the adjusted close, for a peer only on days with trade; ``splits`` are new shares for one old share
    and ``dividends`` cash for each share: 0 without one, NaN if the source lists none. ``windows`` are the sessions in
    an estimation or event window. ``unit`` is the number of shares in one unit of ``volume`` by the settings,
    ``money`` the amount of the market's currency in one unit of price, None if unknown.
    """

    item: PriceSeries
    market: Market
    peer: Peer | None
    board: str
    days: NDArray[np.datetime64]
    price: Floats
    open: Floats
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
    windows: NDArray[np.bool_]

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

    @property
    def traded_return(self) -> Floats:
        """One-session log returns of the traded close, NaN if there are no traded closes."""
        change = np.full(len(self.close), np.nan)
        if has_traded_prices(self.item):
            with np.errstate(divide="ignore", invalid="ignore"):
                change[1:] = np.log(self.close[1:] / self.close[:-1])
        return change

    def finding(
        self, check: str, row: int | np.intp, value: float, severity: Severity, message: Reason
    ) -> QualityFinding:
        """Return a finding on the session ``row``."""
        return QualityFinding(self.item.ticker, check, str(self.days[row]), float(value), severity, message)


def subjects_of(
    market: Market, config: StudyConfig, prices: PriceTable, sessions: SessionSource, event_days: NDArray[np.datetime64]
) -> list[Subject]:
    """Return the series of one market, its index first, on the sessions from the first to the last price of each."""
    peers = {peer.ticker: peer for peer in config.peers if peer.market == market.mic}
    named = [market.benchmark, *peers] if peers else []
    series = [prices.series[ticker] for ticker in named if ticker in prices.series]
    series = [item for item in series if len(item.dates)]
    if not series:
        return []
    first, last = min(item.dates[0] for item in series), max(item.dates[-1] for item in series)
    days = sessions(market.mic, first.astype(dt.date), last.astype(dt.date))
    windows = _windows(days, event_days, config)
    subjects = []
    for item in series:
        peer = peers.get(item.ticker)
        board = board_of(item.ticker, market.mic, peer=peer.board, market=market.board) if peer else ""
        names = ("adj_close", "open", "close", "high", "low", "volume", "splits", "dividends", "amount")
        values = {name: item.on(days, name) for name in names}
        untraded = (values["volume"] == 0) & (peer is not None)
        values["price"] = np.where(untraded, np.nan, values.pop("adj_close"))
        unit = config.prices.shares(item.ticker, market.mic)
        money = price_unit(item, market.mic, config)
        subjects.append(
            Subject(
                item=item,
                market=replace(market, currency=config.traded_in(market.mic)),
                peer=peer,
                board=board,
                days=days,
                unit=unit,
                money=money,
                event_days=event_days,
                windows=windows,
                **values,
            )
        )
    return subjects


def _windows(
    days: NDArray[np.datetime64], event_days: NDArray[np.datetime64], config: StudyConfig
) -> NDArray[np.bool_]:
    """Mark the sessions in the estimation or event window of any day 0, (T,)."""
    first = min(config.windows.estimation[0], config.windows.event[0])
    last = max(config.windows.estimation[1], config.windows.event[1])
    covered = np.zeros(len(days), dtype=bool)
    for at in np.unique(np.searchsorted(days, event_days)).tolist():
        covered[max(at + first, 0) : max(at + last + 1, 0)] = True
    return covered
