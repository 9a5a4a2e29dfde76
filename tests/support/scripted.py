"""A provider that answers as it is told, ticker by ticker, and counts what it was asked for."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from eventstudy.exchanges.calendars import sessions
from eventstudy.prices import PriceOutcome, PriceRequest, PriceSeries, PriceTable


class Scripted:
    """Stands for a provider and for its registered factory.

    ``answers`` maps a ticker to a status, or to an exception that is raised when it is asked for;
    every other ticker is delivered. ``history`` lets one change the prices of a ticker.
    """

    def __init__(self, answers: Mapping[str, Any] | None = None) -> None:
        self.answers = dict(answers or {})
        self.asked: list[str] = []
        self.ranges: list[tuple[dt.date, dt.date]] = []
        self.history: dict[str, Callable[[PriceSeries], PriceSeries]] = {}

    def __call__(self, *, progress: Any = None) -> Scripted:
        self.progress = progress
        return self

    def fetch(self, request: PriceRequest) -> PriceTable:
        self.ranges.append((request.start, request.end))
        series: dict[str, PriceSeries] = {}
        outcomes: dict[str, PriceOutcome] = {}
        for ticker in request.tickers:
            self.asked.append(ticker)
            answer = self.answers.get(ticker, "ok")
            if isinstance(answer, BaseException):
                raise answer
            if answer == "ok":
                series[ticker] = self.history.get(ticker, lambda s: s)(bars(ticker, request))
                days = series[ticker].dates
                outcomes[ticker] = PriceOutcome(
                    ticker=ticker, status="ok", rows=len(days), first=str(days[0]), last=str(days[-1])
                )
            else:
                outcomes[ticker] = PriceOutcome(
                    ticker=ticker, status=answer, message=f"the provider's own words of {ticker}"
                )
            if self.progress:
                self.progress(outcomes[ticker], series.get(ticker))
            if answer == "rate_limited":
                break
        return PriceTable(source="scripted", series=series, outcomes=outcomes)


def bars(ticker: str, request: PriceRequest) -> PriceSeries:
    """Bars that depend on the ticker and the day alone, whatever range is asked for."""
    every = sessions("XNYS", dt.date(2019, 1, 2), dt.date(2023, 12, 29))
    market = np.random.default_rng(1).standard_t(5, len(every)) * 0.008
    own = np.random.default_rng(sum(map(ord, ticker))).standard_t(5, len(every)) * 0.012
    close = 100 * np.cumprod(1 + market + (0 if ticker == "IDX" else own))
    inside = (every >= np.datetime64(request.start)) & (every <= np.datetime64(request.end))
    close, days = close[inside], every[inside]
    dividends = np.where(np.arange(len(days)) % 63 == 5, 0.2, 0.0)
    return PriceSeries(
        ticker=ticker,
        dates=days,
        open=close * 0.99,
        high=close * 1.02,
        low=close * 0.98,
        close=close,
        adj_close=close * 0.9,
        volume=np.full(len(days), 1e6),
        currency="USD",
        source="scripted 1",
        dividends=dividends,
        splits=np.zeros(len(days)),
    )
