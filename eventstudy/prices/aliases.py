"""Prices under a former ticker, where a source has none under the present one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from eventstudy.config import StudyConfig
from eventstudy.errors import Reason
from eventstudy.prices.table import PriceRequest, PriceTable

Fetch = Callable[[PriceRequest], PriceTable]


def with_aliases(fetch: Fetch, request: PriceRequest, config: StudyConfig) -> PriceTable:
    """Fetch a request; a peer without prices gets those of its first alias that has any.

    The outcome then keeps the alias's name in its message, for the remarks of the run. Two series
    are never joined, and a peer that has prices of its own keeps them.
    """
    table = fetch(request)
    absent = {
        alias: peer.ticker
        for peer in config.peers
        if peer.ticker in request.tickers and peer.ticker not in table.series
        for alias in reversed(peer.aliases)
    }
    if not absent:
        return table
    former = fetch(replace(request, tickers=tuple(absent)))
    series, outcomes = dict(table.series), dict(table.outcomes)
    for alias, ticker in absent.items():
        if alias in former.series:
            message = Reason("price.alias", alias=alias)
            series[ticker] = replace(former.series[alias], ticker=ticker)
            outcomes[ticker] = replace(former.outcomes[alias], ticker=ticker, message=message)
    return replace(table, series=series, outcomes=outcomes)
