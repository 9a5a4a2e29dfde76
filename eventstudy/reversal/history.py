"""The price history of a study: peer portfolios on any day with the study's estimator, and rolling fits."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eventstudy.config import Model, StudyConfig, Window
from eventstudy.core.abnormal import ShockPortfolios, abnormal_returns, shock_portfolios
from eventstudy.core.arrays import Bools, Counts, Floats
from eventstudy.core.estimation import cut_and_fit
from eventstudy.core.models import ExpectedReturns
from eventstudy.core.returns import FactorColumns, MarketPanel, ReturnsPanel
from eventstudy.core.windows import EventPanel, Request
from eventstudy.reversal.drops import LATEST_UNLOCKED, LOCKED, after_locks

#: Number of securities that are summed at a time, so that their arrays fit into the processor's cache.
BLOCK = 16
#: An index counts as constant in a window if its sum of squares is at most this share of that of all days.
STILL = 1e-12


@dataclass(frozen=True, slots=True)
class PeerDay:
    """Request for a peer portfolio: ``tickers`` around the first session of each on or after ``day``."""

    name: str
    tickers: tuple[str, ...]
    day: int


@dataclass(frozen=True, slots=True)
class Fits:
    """Firm-events cut and fitted for any drop window; ``locked`` marks those whose days may be shifted."""

    panel: EventPanel
    expected: ExpectedReturns
    locked: bool


@dataclass(frozen=True, slots=True)
class History:
    """Returns of all sessions, with the days that no estimation may use and the settings of the estimator."""

    panel: ReturnsPanel
    excluded: Mapping[str, Bools]
    config: StudyConfig

    def market_of(self, ticker: str) -> MarketPanel:
        """Return the exchange panel with a ticker."""
        for market in self.panel.markets.values():
            if ticker in market.tickers:
                return market
        raise KeyError(ticker)

    def grids(self, tickers: Iterable[str]) -> tuple[Counts, ...]:
        """Sessions of every exchange of these tickers, as days since 1970."""
        mics = sorted({self.market_of(ticker).mic for ticker in tickers})
        return tuple(day_codes(self.panel.markets[mic].sessions) for mic in mics)

    def days(self, tickers: Iterable[str]) -> Counts:
        """Every day on which some exchange of these tickers traded."""
        return np.unique(np.concatenate(self.grids(tickers)))

    def requests(self, wanted: Sequence[PeerDay]) -> dict[str, list[Request]]:
        """Firm-events of portfolios on these days, without those after the end of an exchange's data."""
        home = {ticker: self.market_of(ticker) for item in wanted for ticker in item.tickers}
        # In the order of the exchanges, so that sums over peers do not depend on other requests.
        mics = {market.mic for market in home.values()}
        grids = {mic: day_codes(market.sessions) for mic, market in self.panel.markets.items() if mic in mics}
        column = {ticker: market.tickers.index(ticker) for ticker, market in home.items()}
        region = {market.mic: market.region for market in self.config.markets}
        weight = {peer.ticker: peer.weight or 1.0 for peer in self.config.peers}
        at = {mic: np.searchsorted(grid, [item.day for item in wanted]) for mic, grid in grids.items()}
        requests: dict[str, list[Request]] = {mic: [] for mic in grids}
        for number, item in enumerate(wanted):
            for ticker in item.tickers:
                mic = home[ticker].mic
                row = int(at[mic][number])
                if row < len(grids[mic]):
                    requests[mic].append(
                        Request(
                            event_id=item.name,
                            shock_id=item.name,
                            ticker=ticker,
                            market=mic,
                            region=region[mic],
                            position=row,
                            column=column[ticker],
                            weight=weight.get(ticker, 1.0),
                        )
                    )
        return requests

    def of_windows(self, drop: Window, post: Window) -> History:
        """Return the same history with other drop and post windows."""
        config = self.config
        return replace(self, config=replace(config, windows=replace(config.windows, drop=drop, post=post)))

    def fits(self, requests: Mapping[str, Sequence[Request]]) -> Fits:
        """Cut and fit firm-events as in the study, without those with too few estimation days."""
        kept = {
            mic: [r for r, enough in zip(rows, self._enough(mic, rows), strict=True) if enough]
            for mic, rows in requests.items()
        }
        if not any(kept.values()):
            kept = {mic: list(rows) for mic, rows in requests.items()}
        event = self.config.windows.event
        locked = any((market.flags & LOCKED).any() for market in self.panel.markets.values())
        wide = (event[0], event[1] + LATEST_UNLOCKED) if locked else event
        return Fits(*cut_and_fit(kept, self.excluded, self.panel, self.config, event=wide), locked)

    def portfolios(self, fits: Fits, *, alpha: str | None = None) -> ShockPortfolios:
        """Form one portfolio for each shock from abnormal returns, with the days of locked peers shifted."""
        config, panel, expected = self.config, fits.panel, fits.expected
        if fits.locked:
            windows = config.windows
            panel, expected = after_locks(panel, expected, drop=windows.drop, event=windows.event)
        abnormal = abnormal_returns(panel, expected, alpha=alpha or config.model.alpha)  # type: ignore[arg-type]
        return shock_portfolios(abnormal, weighting=config.tests.weights)

    def _enough(self, mic: str, requests: Sequence[Request]) -> list[bool]:
        """Whether each firm-event of an exchange has enough estimation days."""
        windows, returns = self.config.windows, self.panel.markets[mic].returns
        usable = np.isfinite(returns) & ~self.excluded[mic]
        running = np.concatenate([np.zeros((1, usable.shape[1]), dtype=np.int64), np.cumsum(usable, axis=0)])
        position = np.array([request.position for request in requests], dtype=np.intp)
        column = np.array([request.column for request in requests], dtype=np.intp)
        first, stop = (
            np.clip(position + edge, 0, len(returns)) for edge in (windows.estimation[0], windows.estimation[1] + 1)
        )
        count = running[stop, column] - running[first, column]
        enough: list[bool] = (count >= windows.minimum).tolist()
        return enough


def as_kind(panel: ReturnsPanel, kind: str, model: Model) -> ReturnsPanel:
    """Return the panel with simple or log returns of the securities and of the factors.

    Series of the factor file and counts of sessions are not changed.
    """
    if panel.kind == kind:
        return panel
    change = np.log1p if kind == "log" else np.expm1
    stay = {"span", "risk_free", *model.factors} - {"market"}

    def changed(columns: FactorColumns) -> FactorColumns:
        values = columns.values.copy()
        for at, name in enumerate(columns.names):
            if name not in stay:
                values[..., at] = change(values[..., at])
        return replace(columns, values=values)

    markets = {
        mic: replace(
            market,
            returns=change(market.returns),
            market_return=change(market.market_return),
            factors=changed(market.factors) if market.factors else None,
        )
        for mic, market in panel.markets.items()
    }
    return replace(panel, kind=kind, markets=markets)  # type: ignore[arg-type]


@dataclass(frozen=True, slots=True)
class RollingFit:
    """Market models whose estimation window ends before each session as day 0, all of shape (T, n)."""

    alpha: Floats
    beta: Floats
    count: Floats


def rolling_fit(returns: Floats, market: Floats, usable: Bools, estimation: Window) -> RollingFit:
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
    lost to a level; a sum over a window is the difference of two running sums. Where the index does not
    move in a window, alpha and beta are NaN.
    """
    fits = np.empty((3, *returns.shape[::-1]))
    for block in _blocks(returns.shape[1]):
        own = _rows(returns[:, block])
        known = _rows(usable[:, block]) & np.isfinite(own) & np.isfinite(market)
        _fit_block(own, market, known, estimation, fits[:, block])
    return RollingFit(*fits.transpose(0, 2, 1))


def _blocks(columns: int) -> list[slice]:
    return [slice(first, first + BLOCK) for first in range(0, columns, BLOCK)]


def _rows(columns: NDArray[Any]) -> NDArray[Any]:
    """One security in each row, so that summed values are contiguous in memory."""
    return np.ascontiguousarray(columns.T)


def _fit_block(returns: Floats, market: Floats, known: Bools, estimation: Window, fits: Floats) -> None:
    """Write alpha, beta and the count of one block of securities, (3, n, T)."""
    missing = ~known
    total = np.maximum(known.sum(axis=1), 1)
    x_level = float(np.nanmean(market))
    y = np.where(known, returns, 0.0)
    y_level = (y.sum(axis=1) / total)[:, None]
    y -= y_level
    y[missing] = 0.0
    x = np.where(known, market - x_level, 0.0)
    n, sx, sy, sxx, sxy = (window_sums(values, estimation) for values in (known, x, y, x * x, x * y))
    alpha, beta, count = fits
    with np.errstate(divide="ignore", invalid="ignore"):
        x_mean = sx / n
        spread = sxx - x_mean * sx
        # For a constant index the differences of running sums are rounding errors, so there is no beta.
        spread[spread <= STILL * (x * x).sum(axis=1)[:, None]] = np.nan
        np.divide(sxy - x_mean * sy, spread, out=beta)
        np.subtract(sy / n + y_level, beta * (x_mean + x_level), out=alpha)
    count[:] = n


def window_sums(values: NDArray[Any], window: Window) -> NDArray[Any]:
    """Sum of the days t+a … t+b at every day t of each row, (n, T); days outside the data count as zero.

    For a mask it is a count.
    """
    (first, stop), (n, days) = (window[0], window[1] + 1), values.shape
    before, after = max(-first, -stop, 0), max(first, stop, 0)
    # Running sums, extended on both sides by their first and last values.
    running = np.empty((n, before + 1 + days + after), dtype=int if values.dtype == np.bool_ else float)
    running[:, : before + 1] = 0
    np.cumsum(values, axis=1, out=running[:, before + 1 : before + 1 + days])
    running[:, before + 1 + days :] = running[:, before + days, None]
    total: NDArray[Any] = running[:, before + stop :][:, :days] - running[:, before + first :][:, :days]
    return total


def rolling_car(
    returns: Floats, market: Floats, fit: RollingFit, window: Window, *, minimum: int, alpha: bool = True
) -> Floats:
    """CAR of a window with every session as day 0, (T, n); NaN with a missing day or too few estimation days."""
    length = window[1] - window[0] + 1
    quoted = np.isfinite(market)
    index = window_sums(np.where(quoted, market, 0.0)[None], window)
    car_by_security = np.empty(returns.shape[::-1])
    for block in _blocks(returns.shape[1]):
        own = _rows(returns[:, block])
        known = np.isfinite(own) & quoted
        complete = window_sums(known, window) == length
        car = window_sums(np.where(known, own, 0.0), window) - fit.beta.T[block] * index
        if alpha:
            car -= length * fit.alpha.T[block]
        car_by_security[block] = np.where(complete & (fit.count.T[block] >= minimum), car, np.nan)
    return car_by_security.T


def day_codes(days: NDArray[np.datetime64]) -> Counts:
    """Days since 1970."""
    return days.astype("datetime64[D]").astype(np.int64)
