"""Checks of the identity of a series: listing, currency, unit of prices."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from eventstudy.errors import Reason
from eventstudy.exchanges.exchange import currency_in_hundredths
from eventstudy.prices.quality.subject import QualityFinding, Subject


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
            text = Reason("quality.outside_listing", n=len(rows), name=name, day=day)
            yield subject.finding("outside_listing", rows[0], len(rows), "warn", text)


def price_unit(subject: Subject) -> Iterator[QualityFinding]:
    """Yield prices of an exchange that quotes hundredths, if their unit is unknown."""
    traded = subject.close * subject.volume
    if subject.peer is not None and subject.money is None and np.nansum(traded) > 0:
        row, mic = int(np.flatnonzero(np.isfinite(traded))[0]), subject.market.mic
        yield subject.finding("price_unit", row, subject.close[row], "warn", Reason("quality.price_unit", mic=mic))


def currency(subject: Subject) -> Iterator[QualityFinding]:
    """Yield a currency that is neither the market's nor a hundredth of it (which is converted)."""
    here, market = subject.item.currency, subject.market.currency
    if here and market and here != market and currency_in_hundredths().get(here) != market:
        text = Reason("quality.currency", here=here, mic=subject.market.mic, market=market)
        yield subject.finding("currency", 0, np.nan, "warn", text)
