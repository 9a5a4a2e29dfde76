"""Daily prices: the types, the registry of providers, and the providers that come with the package.

Importing this package imports no provider; `get_provider` imports the requested one.
"""

from __future__ import annotations

from eventstudy.events import TICKER
from eventstudy.prices.table import (
    PROVIDERS,
    PriceOutcome,
    PriceProvider,
    PriceRequest,
    PriceSeries,
    PriceTable,
    check_tickers,
    get_provider,
    provider,
)

__all__ = [
    "PROVIDERS",
    "TICKER",
    "PriceOutcome",
    "PriceProvider",
    "PriceRequest",
    "PriceSeries",
    "PriceTable",
    "check_tickers",
    "get_provider",
    "provider",
]
