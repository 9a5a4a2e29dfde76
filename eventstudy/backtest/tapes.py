"""Make the tapes and shocks of the backtest from a study's prices, settings and events."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from eventstudy.backtest.past_view import Bools, Floats, Tape
from eventstudy.backtest.rule import Answer, Shock
from eventstudy.config import Peer, StudyConfig
from eventstudy.core.estimation import OF_PEERS
from eventstudy.core.returns import FLAG_NAMES, MarketPanel, ReturnsPanel
from eventstudy.errors import ConfigError
from eventstudy.events import Event, Events, instant_utc, over_everywhere
from eventstudy.exchanges.calendars import Alignment, exchange_sessions
from eventstudy.exchanges.rules import board_of, sessions_before_sale
from eventstudy.prices import PriceTable
from eventstudy.prices.fx import known_rates
from eventstudy.prices.table import price_unit
from eventstudy.shocks import leads_of, together

_BITS = {name: bit for bit, name in FLAG_NAMES.items()}
#: Tolerance for prices outside the day's low and high, because of rounding.
_ROUNDING = 1e-3


def tapes_of(
    panel: ReturnsPanel, excluded: Mapping[str, NDArray[np.bool_]], prices: PriceTable, config: StudyConfig
) -> dict[str, Tape]:
    """Return one tape for each exchange of the study, on the sessions of its returns.

    ``excluded`` are the days that no estimation may use, from the study's selection.
    """
    return {mic: _tape(market, excluded[mic], prices, config) for mic, market in panel.markets.items()}


def _tape(market: MarketPanel, excluded: Bools, prices: PriceTable, config: StudyConfig) -> Tape:
    peers = [config.peer(ticker) for ticker in market.tickers]
    series = [prices.series[peer.ticker] for peer in peers]
    empty = np.zeros((len(market.sessions), 0))
    on_grid = {
        name: np.column_stack([empty, *(item.on(market.sessions, name) for item in series)])
        for name in ("adj_close", "open", "high", "low", "close", "volume")
    }
    price, volume = on_grid["adj_close"], on_grid["volume"]
    price[(volume == 0) | ~np.isfinite(price)] = np.nan
    # Prices in the market's currency, so that price × volume is money.
    money = np.array([price_unit(item, market.mic, config) or 1.0 for item in series])
    opened, low = _in_range(*(on_grid[name] * money for name in ("open", "high", "low", "close")))
    clock = exchange_sessions(market.mic)
    at = np.searchsorted(clock.days, market.sessions.astype(clock.days.dtype))
    setting, currency = config.market(market.mic), config.traded_in(market.mic)
    units = np.array([config.prices.shares(peer.ticker, market.mic) for peer in peers], dtype=float)
    member, base = _members(peers, market.sessions), config.study.currency
    rates = np.full(len(at), 1.0 if currency == base else np.nan)
    if currency != base and currency in prices.fx:
        rates = known_rates(prices.fx[currency], base, clock.opens[at], config.backtest.fx_stale_days)
    return Tape(
        mic=market.mic,
        region=setting.region,
        currency=currency,
        tickers=market.tickers,
        sessions=market.sessions.astype("datetime64[D]").astype(np.int32),
        opens=clock.opens[at],
        closes=clock.closes[at],
        price=price,
        open=opened,
        low=low,
        close=on_grid["close"] * money,
        volume=volume * units,
        index=prices.series[market.benchmark].on(market.sessions, "adj_close"),
        member=member,
        usable=~excluded & member,
        locked_up=(market.flags & _BITS["locked_up"]) > 0,
        locked_down=(market.flags & _BITS["locked_down"]) > 0,
        settle=np.array([_settle(peer, setting.board, market) for peer in peers], dtype=np.int64),
        fx=rates,
    )


def _in_range(opened: Floats, high: Floats, low: Floats, close: Floats) -> tuple[Floats, Floats]:
    """Return opens and lows; NaN if they contradict the other prices of the day."""
    above = np.fmax(high, close) * (1 + _ROUNDING)
    low = np.where(low > close * (1 + _ROUNDING), np.nan, low)
    beyond = (opened > above) & np.isfinite(high) | (opened < low * (1 - _ROUNDING))
    return np.where(beyond, np.nan, opened), low


def _members(peers: Sequence[Peer], sessions: NDArray[np.datetime64]) -> Bools:
    member = np.ones((len(sessions), len(peers)), dtype=bool)
    for column, peer in enumerate(peers):
        if peer.from_:
            member[:, column] &= sessions >= np.datetime64(peer.from_, "D")
        if peer.until:
            member[:, column] &= sessions <= np.datetime64(peer.until, "D")
        if peer.deal_bound_from:
            member[:, column] &= sessions < np.datetime64(peer.deal_bound_from, "D")
    return member


def _settle(peer: Peer, board: str, market: MarketPanel) -> int:
    """Sessions before a bought share can be sold; zero if no rule is known."""
    found = board_of(peer.ticker, peer.market, peer=peer.board, market=board)
    try:
        return sessions_before_sale(found, market.sessions[-1].astype("datetime64[D]").item())
    except ConfigError:
        return 0


def shocks_of(
    events: Events,
    config: StudyConfig,
    tapes: Mapping[str, Tape],
    alignments: Mapping[tuple[str, str], Alignment],
    *,
    group: str = "all",
) -> list[Shock]:
    """Return the shocks of a study, each with the peers of its lead.

    ``group`` is a group of firm-events: `OF_PEERS` and the name of a peer group, or ``all``. Membership is taken from
    the tape session by session; availability of data is checked when the trade is decided.
    """
    shocks = []
    whole = dict.fromkeys(together(events).values())
    for shock_id, lead in leads_of(events, config, alignments).items():
        event, leading = lead.event, {row.event_id for row in lead.rows}
        day0 = _rows(event, tapes, alignments)
        hit = {mic: _hit(event, config, tapes[mic], group) for mic in day0}
        if any(hit.values()):
            answers = [other for other in whole if other.clarifies in leading]
            shock = Shock(
                shock_id=shock_id,
                label=event.label,
                label_known=_nanoseconds(over_everywhere(event.label_asof)) if event.label_asof else None,
                day0=day0,
                columns=hit,
                answers=tuple(
                    Answer(other.event_id, _nanoseconds(other.timestamp), _rows(other, tapes, alignments))
                    for other in answers
                ),
                known=_nanoseconds(event.timestamp),
            )
            shocks.append(shock)
    return shocks


def _rows(event: Event, tapes: Mapping[str, Tape], alignments: Mapping[tuple[str, str], Alignment]) -> dict[str, int]:
    """Row of day 0 on each exchange whose data include it."""
    rows = {}
    for mic, tape in tapes.items():
        alignment = alignments.get((event.event_id, mic))
        if alignment is not None and len(tape):
            day = int(np.datetime64(alignment.session, "D").astype(np.int64))
            if tape.sessions[0] <= day <= tape.sessions[-1]:
                rows[mic] = int(np.searchsorted(tape.sessions, day))
    return rows


def _hit(event: Event, config: StudyConfig, tape: Tape, group: str) -> tuple[int, ...]:
    """Columns of the peers that an event names, or of all peers; other names are ignored."""
    known = {name for peer in config.peers for name in (peer.ticker, *peer.aliases)}
    names = {config.peer(ticker).ticker for ticker in event.tickers or tape.tickers if ticker in known}
    if group != "all":
        names = {name for name in names if f"{OF_PEERS}{config.peer(name).group}" == group}
    return tuple(column for column, ticker in enumerate(tape.tickers) if ticker in names)


def _nanoseconds(moment: dt.datetime | dt.date) -> int:
    """UTC nanoseconds; a bare date counts as known when it is over."""
    return int(instant_utc(moment, end_of_day=True).timestamp()) * 10**9


def placebo_shocks(pairs: Sequence[tuple[str, int]], shocks: Sequence[Shock], tapes: Mapping[str, Tape]) -> list[Shock]:
    """Return one shock for each (shock, calendar day) of a control drop, with that shock's peers.

    Days are days since 1970. A day of several shocks is traded once.
    """
    known = {shock.shock_id: shock for shock in shocks}
    found: dict[int, Shock] = {}
    for name, day in pairs:
        parent = known.get(name)
        if parent is None or day in found:
            continue
        rows = {mic: int(np.searchsorted(tapes[mic].sessions, day)) for mic in parent.day0}
        rows = {mic: row for mic, row in rows.items() if row < len(tapes[mic])}
        placebo = f"{name}@{np.datetime64(day, 'D')}"
        label = f"placebo of {name}"
        found[day] = Shock(shock_id=placebo, label=label, label_known=None, day0=rows, columns=parent.columns)
    return [found[day] for day in sorted(found)]
