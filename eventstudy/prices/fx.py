"""Exchange rates of a study: their tickers, and the rate known when a session opened."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from eventstudy.config import StudyConfig
from eventstudy.prices.table import PriceSeries, PriceTable

DAY = 86_400 * 10**9


def fx_tickers(config: StudyConfig) -> dict[str, str]:
    """Return the ticker of the exchange rate for each foreign currency of the peers."""
    traded = {config.traded_in(peer.market) for peer in config.peers}
    return {currency: name for currency, name in config.backtest.fx.items() if currency in traded}


def with_fx(prices: PriceTable, config: StudyConfig) -> PriceTable:
    """Return the prices with the exchange rates separated from the securities, in `PriceTable.fx` by currency.

    So returns, checks and the date of the data do not include them.
    """
    wanted = fx_tickers(config)
    series = {name: item for name, item in prices.series.items() if name not in wanted.values()}
    found: Mapping[str, PriceSeries] = {
        currency: prices.series[name] for currency, name in wanted.items() if name in prices.series
    }
    return replace(prices, series=series, fx=found)


def known_rates(item: PriceSeries, base: str, opens: NDArray[np.int64], stale_days: int) -> NDArray[np.float64]:
    """Return units of ``base`` for one of the foreign currency, as known when each session opened.

    Parameters
    ----------
    item
        Series of the rate; its ticker gives the direction: ``USDCNY=X`` is yuan for one dollar.
    opens : (T,) int64
        UTC nanoseconds.
    stale_days
        Largest age of a quote in calendar days; sessions without a newer quote are NaN.

    Notes
    -----
    A daily quote is fixed late on its day, in London or New York. It counts from 24:00 UTC on, so a session never uses
    the quote of its own day. Days without a quote use the last one before.
    """
    quote = np.where(np.isfinite(item.close), item.close, item.adj_close)
    there = np.isfinite(quote) & (quote > 0)
    days = item.dates[there].astype("datetime64[D]").astype(np.int64)
    rate = 1.0 / quote[there] if item.ticker.startswith(base) else quote[there]
    today = opens // DAY
    last = np.searchsorted(days, today, side="left") - 1
    known = last >= 0
    known[known] = today[known] - days[last[known]] <= stale_days
    rates: NDArray[np.float64] = np.where(known, rate[np.maximum(last, 0)] if len(rate) else np.nan, np.nan)
    return rates
