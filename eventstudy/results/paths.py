"""Paths of the peers' portfolios from the last close before day 0, and the index of the sector."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eventstudy.core.abnormal import PeerWeights, ShockPortfolios, shock_portfolios
from eventstudy.core.arrays import Dates, Floats
from eventstudy.core.returns import MarketPanel, ReturnsPanel
from eventstudy.core.statistics import Sample
from eventstudy.core.statistics.overlap import date_overlap
from eventstudy.core.windows import EventPanel
from eventstudy.results.effect import of_mean

#: Largest number of dates for which the table has the single paths besides their mean.
MOST_PATHS = 60
#: Calendar days of the sector's index before the first day 0.
BEFORE = 180


def base_day(window: tuple[int, int]) -> int:
    """Return the day at whose close paths are zero: the last before day 0 and before the headline window."""
    return min(window[0], 0) - 1


def path_rows(sample: Sample, base: int) -> Iterator[dict[str, Any]]:
    """Yield the CAR of each event day since the close of day ``base``, for each date's portfolio and then their mean.

    The mean has the t interval over dates of ``ibragimov_mueller``. Days before ``base`` have minus the return from
    then to ``base``. A base before the first event day means the close before that day.
    """
    tau = [int(day) for day in sample.abnormal.tau]
    base = max(base, tau[0] - 1)
    dates: dict[tuple[str, str], list[tuple[int, float]]] = {}
    means = [{"tau": base, "n_dates": 0, "car": 0.0, "lower": 0.0, "upper": 0.0}]
    known: dict[bytes, tuple[ShockPortfolios, PeerWeights]] = {}
    for day in tau:
        if day == base:
            continue
        window, sign = ((base + 1, day), 1.0) if day > base else ((day + 1, base), -1.0)
        complete = np.isfinite(sample.abnormal.scar(window))
        if not complete.any():
            continue
        if (key := complete.tobytes()) not in known:
            part = sample.abnormal if complete.all() else sample.abnormal.take(complete)
            portfolios = shock_portfolios(part, weighting=sample.weighting, by="date")
            known[key] = portfolios, portfolios.weighted(window)
        portfolios, peers = known[key]
        car = sign * portfolios.mean_of(portfolios.abnormal.car(window), peers.weight)
        overlap = date_overlap(portfolios, peers, portfolios.abnormal.weights(window) > 0)
        found = of_mean(float(car.mean()), *(overlap.student(car) if len(car) > 1 else (np.nan, np.nan)))
        ends = {"car": found["estimate"], "lower": found["lower"], "upper": found["upper"]}
        means.append({"tau": day, "n_dates": len(car), **ends})
        for name, first, value in zip(portfolios.shock_id, portfolios.day0, car, strict=True):
            dates.setdefault((str(name), str(np.datetime64(int(first), "D"))), []).append((day, float(value)))
    if len(dates) <= MOST_PATHS:
        for (name, date), path in dates.items():
            for day, value in sorted([*path, (base, 0.0)]):
                yield {"group": sample.group, "shock_id": name, "day0": date, "tau": day, "n_dates": 1, "car": value}
    most = max((row["n_dates"] for row in means), default=0)
    for row in sorted(means, key=lambda row: row["tau"]):
        yield {"group": sample.group, "shock_id": "", "day0": "", **row, "n_dates": row["n_dates"] or most}


def sector_rows(returns: ReturnsPanel, panel: EventPanel) -> Iterator[dict[str, Any]]:
    """Yield the last session of each week with the index of the sector and that of its benchmarks; both start at 100.

    The sector's return is the equally weighted mean of the daily returns of the panel's securities; the benchmark's
    return is the mean over the indices of the securities with a return on the day. Both begin half a year before the
    first day 0.
    """
    tickers, first = set(panel.ticker.tolist()), int(panel.day0.min())
    parts = [_daily(market, tickers) for market in returns.markets.values()]
    days = np.unique(np.concatenate([sessions for sessions, *_ in parts]))
    days = days[days >= np.datetime64(first - BEFORE, "D")]
    if not len(days):
        return
    total = np.zeros((3, len(days)))
    for sessions, *sums in parts:
        kept = sessions >= days[0]
        total[:, np.searchsorted(days, sessions[kept])] += np.array(sums)[:, kept]
    with np.errstate(invalid="ignore"):
        daily = np.nan_to_num(total[:2] / total[2])
    level = 100.0 * (np.exp(np.cumsum(daily, axis=1)) if returns.kind == "log" else np.cumprod(1.0 + daily, axis=1))
    # Day 4 of 1970 was a Monday.
    week = (days.astype("datetime64[D]").astype(int) - 4) // 7
    for day in np.flatnonzero(np.append(np.diff(week) > 0, True)):
        yield {"date": str(days[day].astype("datetime64[D]")), "peers": level[0, day], "benchmark": level[1, day]}


def _daily(market: MarketPanel, tickers: Collection[str]) -> tuple[Dates, Floats, Floats, NDArray[np.int64]]:
    """Sessions, the sum of the securities' returns, the index return times their number, and their number."""
    own = market.returns[:, [ticker in tickers for ticker in market.tickers]]
    n = np.isfinite(own).sum(axis=1) * np.isfinite(market.market_return)
    return market.sessions, np.nansum(own, axis=1) * (n > 0), np.nan_to_num(market.market_return) * n, n
