"""Compute returns from prices on each exchange's own sessions; gaps are not filled."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from eventstudy.config import Market, Peer, Returns, StudyConfig
from eventstudy.core.arrays import Bools, Dates, Floats
from eventstudy.core.models.base import takes_still_index
from eventstudy.errors import PriceError, Problem, Reason
from eventstudy.exchanges.rules import board_of, in_yen
from eventstudy.prices import PriceSeries, PriceTable
from eventstudy.prices.fx import DAY, known_rates
from eventstudy.prices.limits import ADJUSTED_SLACK, limit_days
from eventstudy.prices.quality.wide import closed_sessions

#: Reasons why a session has no return, and other marks; bits of `MarketPanel.flags`.
#: A session with one of the last three may have a return.
MISSING, HALTED, LUMPED, DEAL_BOUND, UNLISTED = 1, 2, 4, 8, 16
LOCKED_UP, LOCKED_DOWN, NO_LIMIT = 32, 64, 128
FLAG_NAMES = {MISSING: "missing", HALTED: "halted", LUMPED: "lumped", DEAL_BOUND: "deal_bound", UNLISTED: "unlisted"}
FLAG_NAMES |= {LOCKED_UP: "locked_up", LOCKED_DOWN: "locked_down", NO_LIMIT: "no_limit"}

SessionSource = Callable[[str, dt.date, dt.date], Dates]


@dataclass(frozen=True, slots=True)
class FactorColumns:
    """Factors of a model: ``values`` (T, n, K), one set for each security.

    ``ahead`` (K,) counts the sessions that each factor looks ahead. A column ``span`` counts the
    sessions that each return covers.
    """

    names: tuple[str, ...]
    values: Floats
    ahead: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class MarketPanel:
    """Returns of one exchange's peers and of its index.

    Attributes
    ----------
    sessions : (T,) datetime64[D]
        Days on which the exchange traded, from the index's first to its last price.
    returns : (T, n) float
        Returns since the last session; NaN where the security did not trade on this or the last one.
        Trade to trade, a return after a gap is the one since the last trade.
    market_return : (T,) float
        Returns of the index.
    flags : (T, n) uint8
        Why a return is NaN, see `FLAG_NAMES`.
    factors : FactorColumns or None
        Factors of the study's model; None means only the index.
    benchmarks
        Returns (T,) of indices that are given for single events.
    rate : (T,), optional
        Exchange rate: units of the currency of the returns for one unit of the exchange's currency.
    """

    mic: str
    benchmark: str
    sessions: Dates
    tickers: tuple[str, ...]
    returns: Floats
    market_return: Floats
    flags: NDArray[np.uint8]
    factors: FactorColumns | None = None
    benchmarks: Mapping[str, Floats] = field(default_factory=dict)
    rate: Floats | None = None

    def position(self, day: dt.date) -> int:
        """Index of the first session on or after ``day``; ``len(sessions)`` past the end."""
        return int(np.searchsorted(self.sessions, np.datetime64(day, "D")))


@dataclass(frozen=True, slots=True)
class ReturnsPanel:
    """One `MarketPanel` for each exchange that has a benchmark; ``remarks`` list what was left out."""

    kind: Literal["simple", "log"]
    markets: Mapping[str, MarketPanel]
    remarks: tuple[Reason, ...] = ()


def to_returns(prices: PriceTable, config: StudyConfig, *, sessions: SessionSource) -> ReturnsPanel:
    """Compute the returns of all peers of a study.

    ``sessions(mic, start, end)`` gives the exchange's days. Days on which neither the index nor any
    peer traded count as closures and are removed. Rows on other days are left out with a remark, and so are days
    without volume, because nobody paid their price.

    Raises
    ------
    PriceError
        If the index lacks days on which its peers traded and ``prices.benchmark_gaps`` is ``stop``,
        if it never moves and the model estimates something from it, or if no security of a study of volume has volumes.
    """
    markets: dict[str, MarketPanel] = {}
    remarks: list[Reason] = []
    problems: list[Problem] = []
    for market in config.markets:
        index = prices.series.get(market.benchmark)
        peers = tuple(p for p in config.peers if p.market == market.mic and p.ticker in prices.series)
        if index is None or len(index.dates) < 2:
            continue
        series = tuple(prices.series[peer.ticker] for peer in peers)
        told = ((item.ticker, prices.outcomes.get(item.ticker)) for item in series)
        remarks += [
            Reason("price.of", ticker=ticker, text=outcome.message)
            for ticker, outcome in told
            if outcome and outcome.message
        ]
        grid = _grid(market, index, series, config.prices.benchmark_gaps, sessions, remarks, problems)
        rate = _rate(market, grid, prices, config, problems)
        panel = _market_panel(market, index, peers, series, grid, config.returns, rate)
        # Simulated prices have no limits, so no day is marked as locked.
        if not prices.simulated:
            panel = _with_limits(panel, market, peers, series, remarks)
        if not (takes_still_index(config.model.name) or np.nanstd(panel.market_return) > 0):
            problems.append(Problem(f"benchmark {market.benchmark} never moves; give another index"))
        markets[market.mic] = _of_kind(panel, config, index, series, problems)
    names = ", ".join(ticker for market in markets.values() for ticker in market.tickers)
    measured = any(np.isfinite(market.returns).any() for market in markets.values())
    if config.study.kind == "volume" and names and not measured:
        problems.append(Problem(f"no volume: the prices of {names} have none, so abnormal volume cannot be measured"))
    if problems:
        raise PriceError(problems)
    return ReturnsPanel(config.returns.kind, markets, tuple(remarks))


def _of_kind(
    panel: MarketPanel, config: StudyConfig, index: PriceSeries, series: Sequence[PriceSeries], problems: list[Problem]
) -> MarketPanel:
    """Return the panel with the quantity of the study (volume or volatility) instead of the returns.

    Notes
    -----
    ``volume`` is ln V of the security, explained by ln V of its index (Ajinkya and Jain 1989: the logarithm of volume
    is nearly normal). ``volatility`` is |R|, explained by |R_m|. If no security of an exchange has volumes, all its
    values are NaN.
    """
    kind = config.study.kind
    if kind == "return":
        return panel
    if kind == "volatility":
        return replace(panel, returns=np.abs(panel.returns), market_return=np.abs(panel.market_return))
    volumes = np.full(panel.returns.shape, np.nan)
    for column, item in enumerate(series):
        volumes[:, column] = _log_volume(item, panel.sessions)
    volumes[(panel.flags & (MISSING | HALTED | DEAL_BOUND | UNLISTED)) > 0] = np.nan
    market = _log_volume(index, panel.sessions)
    if not np.isfinite(volumes).any():
        # The peers of this exchange are dropped; the other exchanges are studied.
        return replace(panel, returns=volumes)
    if config.model.name == "mean_adjusted":
        market = np.zeros(len(panel.sessions))
    elif np.isfinite(market).mean() < 0.5:
        problems.append(
            Problem(
                f"benchmark {index.ticker} has hardly any volumes; --set model.name=mean_adjusted measures "
                "abnormal volume from each security's own mean"
            )
        )
    return replace(panel, returns=volumes, market_return=market)


def _log_volume(item: PriceSeries, grid: Dates) -> Floats:
    volume = item.on(grid, "volume")
    with np.errstate(divide="ignore", invalid="ignore"):
        logs: Floats = np.where(volume > 0, np.log(volume), np.nan)
    return logs


def _grid(
    market: Market,
    index: PriceSeries,
    series: Sequence[PriceSeries],
    on_gap: str,
    sessions: SessionSource,
    remarks: list[Reason],
    problems: list[Problem],
) -> Dates:
    first, last = index.dates[0].astype(dt.date), index.dates[-1].astype(dt.date)
    days = sessions(market.mic, first, last)
    for item in (index, *series):
        inside = item.dates[(item.dates >= index.dates[0]) & (item.dates <= index.dates[-1])]
        stray = np.setdiff1d(inside, days)
        if len(stray):
            remarks.append(Reason("price.stray", ticker=item.ticker, n=len(stray), mic=market.mic, days=_some(stray)))
    quoted = np.isin(days, index.dates[np.isfinite(index.adj_close)])
    counts, listed = np.zeros((2, len(days)), dtype=np.intp)
    for item in series:
        own = item.dates[np.isfinite(item.adj_close) & ~(item.volume == 0)]
        counts += np.isin(days, own)
        listed += (days >= own.min()) & (days <= own.max()) if len(own) else False
    traded = counts > 0
    level = index.on(days, "adj_close")
    quoted &= ~closed_sessions(counts, listed, np.diff(level, prepend=np.nan) == 0)
    gaps = days[~quoted & traded]
    if len(gaps):
        told = Reason("price.index_gaps", ticker=index.ticker, n=len(gaps), days=_some(gaps))
        remarks.append(Reason("price.index_gaps_dropped", text=told))
        if on_gap == "stop":
            days_said = ", ".join(map(str, gaps[:5])) + (f", … {len(gaps) - 5} more" if len(gaps) > 5 else "")
            text = f"benchmark {index.ticker} lacks {len(gaps)} session(s) on which peers traded: {days_said}"
            problems.append(Problem(f"{text}; give a complete index, or --set prices.benchmark_gaps=drop"))
    closed = days[~quoted & ~traded]
    if len(closed):
        remarks.append(Reason("price.closures", mic=market.mic, n=len(closed), days=_some(closed)))
    return days[quoted | traded]


def _rate(market: Market, grid: Dates, prices: PriceTable, config: StudyConfig, problems: list[Problem]) -> Floats:
    """Exchange rate of each session (units of the currency of the returns for one local unit), by the last quote."""
    currency, base = config.traded_in(market.mic), config.study.currency
    if config.returns.currency == "local" or currency == base:
        return np.ones(len(grid))
    if currency not in prices.fx:
        problems.append(
            Problem(
                f"returns.currency = 'study' needs the rate of {currency} to {base}, and none was delivered; "
                f'name its ticker, such as --set backtest.fx.{currency}="{base}{currency}=X"'
            )
        )
        return np.ones(len(grid))
    midnights = (grid.astype("datetime64[D]").astype(np.int64) + 1) * DAY
    return known_rates(prices.fx[currency], base, midnights, config.backtest.fx_stale_days)


def _market_panel(
    market: Market,
    index: PriceSeries,
    peers: Sequence[Peer],
    series: Sequence[PriceSeries],
    grid: Dates,
    rule: Returns,
    rate: Floats,
) -> MarketPanel:
    made = trade_to_trade_returns if rule.gaps == "trade_to_trade" else one_session_returns
    returns = np.full((len(grid), len(peers)), np.nan)
    flags = np.zeros((len(grid), len(peers)), dtype=np.uint8)
    for column, (peer, item) in enumerate(zip(peers, series, strict=True)):
        price = item.on(grid, "adj_close")
        flags[:, column] = _flags(peer, grid, price, item.on(grid, "volume") == 0)
        price[(flags[:, column] & (DEAL_BOUND | UNLISTED | HALTED)) > 0] = np.nan
        returns[:, column] = made(price * rate, rule.kind)
    return MarketPanel(
        mic=market.mic,
        benchmark=market.benchmark,
        sessions=grid,
        tickers=tuple(peer.ticker for peer in peers),
        returns=returns,
        market_return=one_session_returns(index.on(grid, "adj_close") * rate, rule.kind),
        rate=rate,
        flags=flags,
    )


def _with_limits(
    panel: MarketPanel, market: Market, peers: Sequence[Peer], series: Sequence[PriceSeries], remarks: list[Reason]
) -> MarketPanel:
    """Return the panel with flags for sessions that closed at the limit or had no limit."""
    flags = panel.flags.copy()
    adjusted: list[str] = []
    unseen: list[str] = []
    boards = [board_of(peer.ticker, market.mic, peer=peer.board, market=market.board) for peer in peers]
    for column, (peer, item, board) in enumerate(zip(peers, series, boards, strict=True)):
        locks, from_adjusted = limit_days(item, panel.sessions, board, listed=peer.from_)
        traded = (flags[:, column] & (MISSING | HALTED | UNLISTED)) == 0
        for rows, bit in ((locks.up, LOCKED_UP), (locks.down, LOCKED_DOWN), (locks.no_limit, NO_LIMIT)):
            flags[:, column] |= np.where(rows & traded, bit, 0).astype(np.uint8)
        if board and from_adjusted:
            (unseen if in_yen(board) else adjusted).append(peer.ticker)
    if not all(boards):
        remarks.append(Reason("price.limits_unknown", mic=market.mic))
    if adjusted:
        tickers = ", ".join(adjusted)
        remarks.append(Reason("price.limits_adjusted", mic=market.mic, tickers=tickers, slack=ADJUSTED_SLACK))
    if unseen:
        remarks.append(Reason("price.limits_unseen", mic=market.mic, tickers=", ".join(unseen)))
    return replace(panel, flags=flags)


def _flags(peer: Peer, grid: Dates, price: Floats, without_volume: Bools) -> NDArray[np.uint8]:
    missing = ~np.isfinite(price)
    gap = missing | without_volume
    flags = np.where(missing, MISSING, np.where(without_volume, HALTED, 0))
    flags[1:] |= np.where(~gap[1:] & gap[:-1], LUMPED, 0)
    bounds = ((peer.deal_bound_from, np.greater_equal, DEAL_BOUND), (peer.from_, np.less, UNLISTED))
    for day, outside, bit in (*bounds, (peer.until, np.greater, UNLISTED)):
        if day:
            flags |= np.where(outside(grid, np.datetime64(day, "D")), bit, 0)
    return flags.astype(np.uint8)


def one_session_returns(price: Floats, kind: str) -> Floats:
    """Return simple or log returns between neighbouring sessions (…, T), NaN if either price is missing."""
    returns = np.full(price.shape, np.nan)
    ratio = price[..., 1:] / price[..., :-1]
    returns[..., 1:] = np.log(ratio) if kind == "log" else ratio - 1.0
    return returns


def trade_to_trade_returns(price: Floats, kind: str) -> Floats:
    """Return simple or log returns since the last price, NaN on sessions without one."""
    there = np.flatnonzero(np.isfinite(price))
    returns = np.full(len(price), np.nan)
    returns[there] = one_session_returns(price[there], kind)
    return returns


def _some(days: Dates) -> str | Reason:
    """Text with the first five days and the number of the others."""
    shown = ", ".join(map(str, days[:5]))
    return shown if len(days) <= 5 else Reason("price.days_more", days=shown, n=len(days) - 5)
