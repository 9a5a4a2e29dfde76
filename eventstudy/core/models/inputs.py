"""Further input series of models, on the sessions of one exchange."""

from __future__ import annotations

import numpy as np

from eventstudy.config import Model, StudyConfig
from eventstudy.core.arrays import Bools, Counts, Floats
from eventstudy.core.models.base import needs
from eventstudy.core.models.betas import lag_names
from eventstudy.core.returns import (
    DEAL_BOUND,
    HALTED,
    MISSING,
    UNLISTED,
    FactorColumns,
    MarketPanel,
    ReturnsPanel,
    one_session_returns,
)
from eventstudy.errors import ConfigError, PriceError
from eventstudy.exchanges.calendars import exchange_sessions
from eventstudy.prices import PriceTable
from eventstudy.prices.table import on_days


def factor_columns(mic: str, panel: ReturnsPanel, prices: PriceTable, config: StudyConfig) -> FactorColumns:
    """Return the factors that the study's model needs, the market first.

    ``lags``: leads and lags of the index. ``risk_free`` and ``factors``: columns of the factor file by
    calendar day. ``world``: the world index as known at each close. ``others``: the mean of the other
    peers. ``donors``: each donor of the region by calendar day. With ``returns.gaps`` trade to trade
    all of them cover the same sessions as the return, and a column ``span`` counts these.

    Raises
    ------
    ConfigError, PriceError
        If the factor file or the world index that the model needs is not available.
    """
    market = panel.markets[mic]
    model, wanted = config.model, needs(config.model.name)
    index = _index(market, prices, config)
    columns = {"market": (index, 0)}
    if "lags" in wanted:
        lags = 1 if model.name == "scholes_williams" else model.lags
        shifts = [shift for shift in range(-lags, lags + 1) if shift]
        for name, shift in zip(lag_names(lags), shifts, strict=True):
            columns[name] = (shifted(index, shift), max(shift, 0))
    if "risk_free" in wanted or "factors" in wanted:
        columns |= _from_file(market, prices, model)
    if "world" in wanted:
        columns["world"] = (_world(market, prices, config, panel.kind), 0)
    if "others" in wanted:
        columns["others"] = (mean_of_others(market.returns), 0)
    if "donors" in wanted:
        columns |= {name: (series, 0) for name, series in _donors(mic, panel, config).items()}
    shape = market.returns.shape
    values = np.stack([np.broadcast_to(v if v.ndim == 2 else v[:, None], shape) for v, _ in columns.values()], axis=2)
    result = FactorColumns(tuple(columns), values, tuple(ahead for _, ahead in columns.values()))
    return _trade_to_trade(result, market, panel.kind) if config.returns.gaps == "trade_to_trade" else result


Columns = dict[str, tuple[Floats, int]]


def _index(market: MarketPanel, prices: PriceTable, config: StudyConfig) -> Floats:
    """Return of the index, (T,), or of each peer's index, (T, n), if a peer has its own."""
    own = {at: config.peer(ticker).benchmark for at, ticker in enumerate(market.tickers)}
    if not any(own.values()):
        return market.market_return
    index = np.repeat(market.market_return[:, None], len(own), axis=1)
    for at, name in own.items():
        if name:
            index[:, at] = index_returns(market, name, prices, config.returns.kind)
    return index


def index_returns(market: MarketPanel, name: str, prices: PriceTable, kind: str) -> Floats:
    """Return of another index on the sessions of a market, (T,); all NaN if it has no prices."""
    series = prices.series.get(name)
    if series is None:
        return np.full(len(market.sessions), np.nan)
    rate = 1.0 if market.rate is None else market.rate
    return one_session_returns(series.on(market.sessions, "adj_close") * rate, kind)


def shifted(series: Floats, shift: int) -> Floats:
    """Return the value ``shift`` sessions later on each session, NaN past the ends."""
    moved = np.full(series.shape, np.nan)
    if shift < 0:
        moved[-shift:] = series[:shift]
    else:
        moved[: len(series) - shift] = series[shift:]
    return moved


def _from_file(market: MarketPanel, prices: PriceTable, model: Model) -> Columns:
    table = prices.factors
    if table is None:
        raise ConfigError(
            f"model.name = {model.name!r} needs the factors of {model.factors_file!r}, but the prices came "
            "without them; read them with prices.factors.read_factors"
        )
    names = {name: name for name in model.factors if name != "market"} if model.name == "factors" else {}
    if model.risk_free:
        names["risk_free"] = model.risk_free
    return {name: (on_days(market.sessions, table.dates, table.column(column)), 0) for name, column in names.items()}


def _world(market: MarketPanel, prices: PriceTable, config: StudyConfig, kind: str) -> Floats:
    """Return of the world index from its last known value at the previous close to that at this close.

    For an Asian exchange this is New York's previous day, after a holiday all days since; a day without a new value of
    the world index has a return of zero. All NaN if it is the market's own benchmark.
    """
    name = config.model.world
    if market.benchmark == name:
        return np.full(len(market.sessions), np.nan)
    series = prices.series.get(name)
    if series is None:
        why = prices.why_missing(name)
        raise PriceError(f"model.world = {name!r} has no prices: {why}; name another index or another model")
    abroad, home = exchange_sessions(config.model.world_market), exchange_sessions(market.mic)
    level = on_days(abroad.days, series.dates, series.adj_close)
    closes = home.closes[np.searchsorted(home.days, market.sessions)]
    return known_returns(level, abroad.closes, closes, kind)


def known_returns(level: Floats, struck: Counts, closes: Counts, kind: str) -> Floats:
    """Return of a foreign index from one home close to the next, (T,).

    ``level`` (S,) is the index (NaN if missing), ``struck`` the ascending times of its values, and ``closes`` (T,) the
    times of the home closes.
    """
    at = np.searchsorted(struck, closes, side="right") - 1
    known = np.where(at >= 0, level[np.maximum(at, 0)], np.nan)
    return one_session_returns(known, kind)


def mean_of_others(returns: Floats) -> Floats:
    """Mean return of all other columns with a return on the day, shape (T, n); NaN if there is none."""
    there = np.isfinite(returns)
    values = np.where(there, returns, 0.0)
    count = there.sum(axis=1)[:, None] - there
    total = np.stack([np.delete(values, i, axis=1).sum(axis=1) for i in range(values.shape[1])], axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        mean: Floats = total / count
    return np.where(count > 0, mean, np.nan)


def _donors(mic: str, panel: ReturnsPanel, config: StudyConfig) -> dict[str, Floats]:
    """Returns of each peer of the study on this market's days, NaN for peers of other regions."""
    region, here = config.market(mic).region, panel.markets[mic]
    found = {}
    for peer in config.peers:
        series = np.full(len(here.sessions), np.nan)
        there = panel.markets.get(peer.market)
        near = peer.market == mic or (region and config.market(peer.market).region == region)
        if there is not None and near and peer.ticker in there.tickers:
            own = there.returns[:, there.tickers.index(peer.ticker)]
            series = on_days(here.sessions, there.sessions, own)
        found[peer.ticker] = series
    return found


def spans(market: MarketPanel) -> Floats:
    """Sessions that each return covers, shape (T, n).

    1 after a session with a trade, n after n-1 sessions without; 0 on the sessions of a gap before a later trade; NaN
    if no later trade follows, and before the first trade.
    """
    traded = (market.flags & (MISSING | HALTED | DEAL_BOUND | UNLISTED)) == 0
    rows = np.arange(len(traded))[:, None]
    last = np.maximum.accumulate(np.where(traded, rows, -1), axis=0)
    before = np.vstack([np.full((1, traded.shape[1]), -1), last[:-1]])
    after = np.flip(np.maximum.accumulate(np.flip(traded, axis=0), axis=0), axis=0)
    inside = ~traded & (before >= 0) & after
    return np.where(traded & (before >= 0), rows - before, np.where(inside, 0.0, np.nan))


def _trade_to_trade(columns: FactorColumns, market: MarketPanel, kind: str) -> FactorColumns:
    span = spans(market)
    values = columns.values.copy()
    for row, column in np.argwhere(span > 1):
        first = row - int(span[row, column]) + 1
        values[row, column] = lumped(columns.values[first : row + 1, column], kind)
    return FactorColumns(
        (*columns.names, "span"), np.concatenate([values, span[:, :, None]], axis=2), (*columns.ahead, 0)
    )


def lumped(returns: Floats, kind: str) -> Floats:
    """Return over several sessions (n, K): the sum of log returns, the compounded simple ones."""
    total: Floats = returns.sum(axis=0) if kind == "log" else np.prod(1.0 + returns, axis=0) - 1.0
    return total


def excluded_with_gaps(market: MarketPanel, excluded: Bools) -> Bools:
    """Mark returns over several sessions if one of these is excluded, because they contain the news of that day."""
    marked = excluded.copy()
    span = spans(market)
    for row, column in np.argwhere(span > 1):
        marked[row, column] |= excluded[row - int(span[row, column]) + 1 : row + 1, column].any()
    return marked
