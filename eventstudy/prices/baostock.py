"""A-share prices from baostock, which needs no account. Needs the extra ``baostock``.

Closes are traded prices; adjusted closes are the back-adjusted ones (flag 1), which later dividends
do not rewrite. baostock has no time-out and prints its errors, so each call has a deadline and its output is hidden.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import io
import re
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from eventstudy.errors import ConfigError, PriceError, Problem, Reason, printable
from eventstudy.exchanges.calendars import exchange_sessions
from eventstudy.exchanges.exchange import Exchange, exchanges
from eventstudy.messages import text
from eventstudy.prices.fetch import utc_now, within
from eventstudy.prices.table import (
    PriceOutcome,
    PriceRequest,
    PriceSeries,
    PriceTable,
    check_tickers,
    known_volume,
    provider,
)

RAW, BACK_ADJUSTED = "3", "1"
FIELDS = ("date", "open", "high", "low", "close", "volume")
NAME = "baostock"

_TICKER = re.compile(r"([0-9]{6})(\.[A-Z]+)")


@provider("baostock")
class BaostockProvider:
    """Fetches daily bars of Shanghai and Shenzhen, with tickers as in Yahoo: 300308.SZ, 000300.SS.

    Parameters
    ----------
    client
        The ``baostock`` module, or an object with the same interface; imported by default.
    deadline
        Seconds for one ticker.
    now
        Clock that decides whether the newest session is over; returns an aware datetime.
    progress
        Called after each requested ticker.
    """

    def __init__(
        self,
        *,
        client: Any = None,
        deadline: float = 60.0,
        now: Callable[[], dt.datetime] | None = None,
        progress: Callable[[PriceOutcome, PriceSeries | None], None] | None = None,
    ) -> None:
        if deadline <= 0:
            raise ConfigError("baostock needs deadline > 0 seconds")
        self.client = client
        self.deadline = deadline
        self.now = now or utc_now
        self.progress = progress

    def fetch(self, request: PriceRequest) -> PriceTable:
        """Return baostock's prices for the requested days, with one outcome for each ticker."""
        check_tickers(request.tickers)
        client = self.client or _module()
        self._login(client)
        series: dict[str, PriceSeries] = {}
        outcomes: dict[str, PriceOutcome] = {}
        for ticker in dict.fromkeys(request.tickers):
            bars, outcomes[ticker] = self._one(client, ticker, request)
            if bars is not None:
                series[ticker] = bars
            if self.progress:
                self.progress(outcomes[ticker], bars)
            if outcomes[ticker].status == "provider_broken":
                # Its only connection is in an unknown state, so further requests would only wait.
                break
        return PriceTable(source="baostock", series=series, outcomes=outcomes)

    def _login(self, client: Any) -> None:
        try:
            with contextlib.redirect_stdout(io.StringIO()):
                answer = within(self.deadline, client.login)
        except Exception as error:
            raise PriceError(_unreachable(f"{type(error).__name__}: {error}")) from error
        if answer.error_code != "0":
            raise PriceError(_unreachable(f"{answer.error_code} {answer.error_msg}"))

    def _one(self, client: Any, ticker: str, request: PriceRequest) -> tuple[PriceSeries | None, PriceOutcome]:
        match = _TICKER.fullmatch(ticker)
        exchange = _served().get(match[2]) if match else None
        if match is None or exchange is None:
            endings = ", ".join(_served())
            message = Reason("baostock.elsewhere", endings=endings, ticker=ticker)
            return None, PriceOutcome(ticker=ticker, status="no_prices", message=message)
        code = f"{exchange.vendors[NAME]}.{match[1]}"
        try:
            with contextlib.redirect_stdout(io.StringIO()):
                raw, adjusted = within(
                    self.deadline, lambda: [_rows(client, code, request, flag) for flag in (RAW, BACK_ADJUSTED)]
                )
            return self._series(ticker, exchange, raw, adjusted, request)
        except Exception as error:
            message = Reason("baostock.broken", error=f"{type(error).__name__}: {printable(error)}")
            return None, PriceOutcome(ticker=ticker, status="provider_broken", message=message)

    def _series(
        self,
        ticker: str,
        exchange: Exchange,
        raw: Sequence[Sequence[str]],
        adjusted: Sequence[Sequence[str]],
        request: PriceRequest,
    ) -> tuple[PriceSeries | None, PriceOutcome]:
        finished = [row for row in raw if self._over(dt.date.fromisoformat(row[0]), exchange.mic)]
        back = {row[0]: _number(row[4]) for row in adjusted}
        if not finished:
            message = Reason("price.unfinished", source=NAME, ticker=ticker, start=request.start, end=request.end)
            return None, PriceOutcome(ticker=ticker, status="no_prices", message=message)
        dates = np.array([row[0] for row in finished], dtype="datetime64[D]")
        columns = np.array([[_number(cell) for cell in row[1:6]] for row in finished]).T
        # A halted day has the last close and an empty volume.
        columns[4] = known_volume(np.nan_to_num(columns[4], nan=0.0), columns[3])
        adj_close = np.array([back[row[0]] for row in finished])
        if np.any(dates[1:] <= dates[:-1]) or np.any(columns[3] <= 0) or np.any(adj_close <= 0):
            message = Reason("baostock.refused", ticker=ticker)
            return None, PriceOutcome(ticker=ticker, status="refused", message=message)
        fields: dict[str, Any] = dict(zip(FIELDS[1:], columns, strict=True))
        fields |= {"currency": exchange.currency, "source": NAME}
        series = PriceSeries(ticker=ticker, dates=dates, **fields, adj_close=adj_close)
        return series, PriceOutcome.of(series)

    def _over(self, day: dt.date, mic: str) -> bool:
        """Whether the session of a day has ended; a day without a session ends with the next session."""
        table = exchange_sessions(mic)
        at = table.position(day)
        return at < len(table.days) and self.now().timestamp() * 1e9 >= table.closes[at]


def _served() -> dict[str, Exchange]:
    """The exchanges whose prices baostock has, by the ending of their tickers."""
    return {item.suffix: item for item in exchanges().values() if NAME in item.vendors}


def _module() -> Any:
    try:
        import baostock
    except ImportError as error:
        raise ConfigError(
            "--prices baostock needs the package baostock; pip install 'eventstudy-kit[baostock]'"
        ) from error
    return baostock


def _rows(client: Any, code: str, request: PriceRequest, flag: str) -> list[list[str]]:
    """All rows of one query; `ValueError` with baostock's own words if it refuses."""
    answer = client.query_history_k_data_plus(
        code,
        ",".join(FIELDS),
        start_date=request.start.isoformat(),
        end_date=request.end.isoformat(),
        frequency="d",
        adjustflag=flag,
    )
    rows = []
    while answer.error_code == "0" and answer.next():
        rows.append(answer.get_row_data())
    if answer.error_code != "0":
        raise ValueError(f"{answer.error_code} {answer.error_msg}")
    return rows


def _number(cell: str) -> float:
    return float(cell) if cell else float("nan")


def _unreachable(reason: str) -> Problem:
    return Problem(f"baostock cannot be reached ({printable(reason)}); {text(Reason('price.way_out'))}")
