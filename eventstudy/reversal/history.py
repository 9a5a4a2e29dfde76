"""The whole price history of a study: peer portfolios at any day, and a quick look at all days."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from eventstudy.abnormal import ShockPortfolios, Window, abnormal_returns, shock_portfolios
from eventstudy.config import StudyConfig
from eventstudy.estimation import cut_and_fit
from eventstudy.returns import MarketPanel, ReturnsPanel
from eventstudy.windows import Request

from .locks import LOCKED, LONGEST_LOCK, after_locks


@dataclass(frozen=True, slots=True)
class PeerDay:
    """A peer portfolio to be formed: ``tickers`` around the first session of each on or after ``day``."""

    name: str
    tickers: tuple[str, ...]
    day: int


@dataclass(frozen=True, slots=True)
class History:
    """Returns of all sessions, with the days that no estimation may use."""

    panel: ReturnsPanel
    excluded: Mapping[str, NDArray[np.bool_]]
    config: StudyConfig

    def market_of(self, ticker: str) -> MarketPanel:
        """Return the exchange panel that holds a ticker."""
        return next(market for market in self.panel.markets.values() if ticker in market.tickers)

    def grids(self, tickers: Iterable[str]) -> tuple[NDArray[np.int64], ...]:
        """Sessions of every exchange of these tickers, as days since 1970."""
        mics = sorted({self.market_of(ticker).mic for ticker in tickers})
        return tuple(day_codes(self.panel.markets[mic].sessions) for mic in mics)

    def days(self, tickers: Iterable[str]) -> NDArray[np.int64]:
        """Every day on which some exchange of these tickers traded."""
        return np.unique(np.concatenate(self.grids(tickers)))

    def requests(self, wanted: Sequence[PeerDay]) -> dict[str, list[Request]]:
        """Firm-events of portfolios at these days, those past an exchange's end left out."""
        home = {ticker: self.market_of(ticker) for item in wanted for ticker in item.tickers}
        grids = {market.mic: day_codes(market.sessions) for market in home.values()}
        column = {ticker: market.tickers.index(ticker) for ticker, market in home.items()}
        region = {market.mic: market.region for market in self.config.markets}
        at = {mic: np.searchsorted(grid, [item.day for item in wanted]) for mic, grid in grids.items()}
        found: dict[str, list[Request]] = {mic: [] for mic in grids}
        for number, item in enumerate(wanted):
            for ticker in item.tickers:
                mic = home[ticker].mic
                row = int(at[mic][number])
                if row < len(grids[mic]):
                    found[mic].append(
                        Request(item.name, item.name, ticker, mic, region[mic], row, column[ticker])
                    )
        return found

    def portfolios(
        self, requests: Mapping[str, Sequence[Request]], *, alpha: str | None = None
    ) -> ShockPortfolios:
        """Estimate firm-events as the study does, locked days put right, one portfolio a shock.

        Firm-events with fewer estimation days than the settings ask for are left out.
        """
        config = self.config
        kept = {mic: [r for r in rows if self._enough(mic, r)] for mic, rows in requests.items()}
        if not any(kept.values()):
            kept = {mic: list(rows) for mic, rows in requests.items()}
        event = config.windows.event
        locked = any((market.flags & LOCKED).any() for market in self.panel.markets.values())
        wide = (event[0], event[1] + LONGEST_LOCK) if locked else event
        panel, expected = cut_and_fit(kept, self.excluded, self.panel, config, event=wide)
        if locked:
            panel, expected = after_locks(panel, expected, drop=config.windows.drop, event=event)
        abnormal = abnormal_returns(panel, expected, alpha=alpha or config.model.alpha)  # type: ignore[arg-type]
        return shock_portfolios(abnormal, weighting=config.tests.weights)

    def _enough(self, mic: str, request: Request) -> bool:
        first, last = self.config.windows.estimation
        rows = slice(max(request.position + first, 0), max(request.position + last + 1, 0))
        usable = np.isfinite(self.panel.markets[mic].returns[rows, request.column])
        usable &= ~self.excluded[mic][rows, request.column]
        return int(usable.sum()) >= self.config.windows.minimum


@dataclass(frozen=True, slots=True)
class RollingFit:
    """Market models whose estimation window ends before each session as day 0, all of shape (T, n)."""

    alpha: NDArray[np.float64]
    beta: NDArray[np.float64]
    sigma: NDArray[np.float64]
    count: NDArray[np.float64]


def rolling_fit(
    returns: NDArray[np.float64],
    market: NDArray[np.float64],
    usable: NDArray[np.bool_],
    estimation: Window,
) -> RollingFit:
    """Fit the market model at every session of every column from running sums.

    Parameters
    ----------
    returns : (T, n)
    market : (T,)
    usable : (T, n)
        Days that an estimation may use.

    Notes
    -----
    Both series are centred on their whole-sample means before sums are formed, so that no digits are
    lost to a level; a sum over a window is the difference of two running sums.
    """
    there = usable & np.isfinite(returns) & np.isfinite(market)[:, None]
    total = np.maximum(there.sum(axis=0), 1)
    x_level = float(np.nanmean(market))
    y_level = np.where(there, returns, 0.0).sum(axis=0) / total
    x = np.where(there, (market - x_level)[:, None], 0.0)
    y = np.where(there, returns - y_level, 0.0)
    n, sx, sy, sxx, sxy, syy = (
        window_sum(values, estimation) for values in (there.astype(float), x, y, x * x, x * y, y * y)
    )
    with np.errstate(divide="ignore", invalid="ignore"):
        beta = (sxy - sx * sy / n) / (sxx - sx * sx / n)
        alpha = (sy - beta * sx) / n + y_level - beta * x_level
        sse = np.maximum(syy - sy * sy / n - beta * (sxy - sx * sy / n), 0.0)
        sigma = np.sqrt(np.where(n > 2, sse / (n - 2), np.nan))
    return RollingFit(alpha, beta, sigma, n)


def window_sum(values: NDArray[np.float64], window: Window) -> NDArray[np.float64]:
    """Sum of the rows t+a … t+b at every row t, rows outside the data counting nothing; shape (T, n)."""
    running = np.concatenate([np.zeros((1, *values.shape[1:])), np.cumsum(values, axis=0)])
    rows = np.arange(len(values))
    first, stop = (np.clip(rows + edge, 0, len(values)) for edge in (window[0], window[1] + 1))
    total: NDArray[np.float64] = running[stop] - running[first]
    return total


def rolling_car(
    returns: NDArray[np.float64],
    market: NDArray[np.float64],
    fit: RollingFit,
    window: Window,
    *,
    minimum: int,
    alpha: bool = True,
) -> NDArray[np.float64]:
    """CAR of a window with every session as day 0, (T, n); NaN with a day missing or too short a fit."""
    there = np.isfinite(returns) & np.isfinite(market)[:, None]
    length = window[1] - window[0] + 1
    complete = window_sum(there.astype(float), window) == length
    own = window_sum(np.where(there, returns, 0.0), window)
    index = window_sum(np.where(np.isfinite(market), market, 0.0)[:, None], window)
    car = own - fit.beta * index - (length * fit.alpha if alpha else 0.0)
    return np.where(complete & (fit.count >= minimum), car, np.nan)


def day_codes(days: NDArray[np.datetime64]) -> NDArray[np.int64]:
    """Days since 1970."""
    return days.astype("datetime64[D]").astype(np.int64)
