"""Checks of the days of rows: days without a trade, days that are no sessions, dates that are one day off."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from eventstudy.config import StudyConfig
from eventstudy.errors import Reason
from eventstudy.prices.quality.quantities import better_lag
from eventstudy.prices.quality.subject import QualityFinding, SessionSource, Subject
from eventstudy.prices.quality.trade import STALE_RUN
from eventstudy.prices.quality.wide import OFF_SESSION, repeated_to_the_end
from eventstudy.prices.table import PriceSeries, PriceTable

Days = NDArray[np.datetime64]
#: Smallest number of rows on other days that counts as wrong dates.
FEWEST_OFF = 3


def suspended_days(item: PriceSeries) -> NDArray[np.bool_]:
    """Mark rows with the close of the row before and no volume, in a series that has volumes: halts."""
    if not (item.volume > 0).sum() >= 0.5 * len(item.dates):
        return np.zeros(len(item.dates), dtype=bool)
    still = np.append(False, np.diff(item.adj_close) == 0)
    marked: NDArray[np.bool_] = still & np.isnan(item.volume)
    return marked


def last_trade(item: PriceSeries) -> int:
    """Return the row of the last trade, after which the price only repeats, without volume, to the end."""
    quoted = np.where(item.volume > 0, np.nan, item.adj_close)
    last = int(repeated_to_the_end(item.adj_close[None, :], returns=False)[0])
    return last if np.isfinite(quoted[last + 1 :]).sum() >= STALE_RUN else len(item.dates) - 1


def without_trade(subject: Subject) -> Iterator[QualityFinding]:
    """Yield halts that have a price and no volume, and prices repeated to the end as after a delisting."""
    if subject.peer is None:
        return
    item = subject.item
    last = last_trade(item)
    halts = np.flatnonzero(suspended_days(item)[: last + 1])
    if len(halts):
        text = Reason("quality.suspended", n=len(halts))
        yield QualityFinding(item.ticker, "suspended", str(item.dates[halts[0]]), len(halts), "warn", text)
    repeated = len(item.dates) - 1 - last
    if repeated >= STALE_RUN:
        text = Reason("quality.repeated", n=repeated, day=item.dates[last])
        yield QualityFinding(item.ticker, "repeated_prices", str(item.dates[last + 1]), repeated, "warn", text)


def off_session(subject: Subject) -> Iterator[QualityFinding]:
    """Yield a series with moves on days on which its exchange was closed, on more than 2 % of its rows."""
    item = subject.item
    stray = ~np.isin(item.dates, subject.days) & moved(item)
    share = stray.sum() / len(item.dates)
    if share > OFF_SESSION and stray.sum() >= FEWEST_OFF:
        text = Reason("quality.off_session", share=share, mic=subject.market.mic)
        yield QualityFinding(item.ticker, "off_session", str(item.dates[stray][0]), share, "stop", text)


def day_shift(subjects: Sequence[Subject]) -> Iterator[QualityFinding]:
    """Yield series whose returns fit their index better on the session before or after."""
    index = next((subject for subject in subjects if subject.peer is None), None)
    for subject in subjects if index else ():
        lag = better_lag(subject.log_return, index.log_return) if index and subject.peer else 0
        if lag:
            text = Reason("quality.day_shift", benchmark=index.item.ticker if index else "", lag=lag)
            yield subject.finding("day_shift", 0, lag, "stop", text)


def moved(item: PriceSeries) -> NDArray[np.bool_]:
    """Mark rows with a price that differs from the row before (sources that fill every weekday repeat it)."""
    same = np.append(False, np.diff(item.adj_close) == 0)
    marked: NDArray[np.bool_] = np.isfinite(item.adj_close) & ~same & ~(item.volume == 0)
    return marked


def with_special_sessions(prices: PriceTable, config: StudyConfig, sessions: SessionSource) -> SessionSource:
    """Return ``sessions`` plus the days on which an index and at least half of its peers traded.

    Exchanges open on some Saturdays that calendars lack. If such days are more than 2 % of the sessions, the dates are
    wrong, and nothing is added.
    """
    added: dict[str, Days] = {}
    for market in config.markets:
        index = prices.series.get(market.benchmark)
        named = (peer.ticker for peer in config.peers if peer.market == market.mic)
        peers = [prices.series[ticker] for ticker in named if ticker in prices.series]
        if prices.simulated or index is None or not len(index.dates) or not peers:
            continue
        first, last = (day.astype(dt.date) for day in (index.dates[0], index.dates[-1]))
        known = sessions(market.mic, first, last)
        stray = np.setdiff1d(index.dates[moved(index)], known)
        traded = np.sum([np.isin(stray, item.dates[moved(item)]) for item in peers], axis=0)
        special = stray[traded >= 0.5 * len(peers)]
        if 0 < len(special) <= max(OFF_SESSION * len(known), 1):
            added[market.mic] = special
    return _joined(sessions, added) if added else sessions


def _joined(sessions: SessionSource, added: Mapping[str, Days]) -> SessionSource:
    def both(mic: str, start: dt.date, end: dt.date) -> Days:
        more = added.get(mic, np.array([], dtype="datetime64[D]"))
        more = more[(more >= np.datetime64(start, "D")) & (more <= np.datetime64(end, "D"))]
        return np.union1d(sessions(mic, start, end), more)

    return both


def traded_alone(item: PriceSeries) -> PriceSeries:
    """Return a series up to its last trade, with a volume of zero on halts."""
    end = last_trade(item) + 1
    volume = np.where(suspended_days(item), 0.0, item.volume)
    return replace(item.taken(slice(end)), volume=volume[:end])
