"""Select the firm-events that can be studied, and write the ledger with the status of each."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from eventstudy.config import Peer, StudyConfig, Window
from eventstudy.config.settings import MAX_SESSIONS
from eventstudy.core.arrays import Bools, Floats
from eventstudy.core.models import needs
from eventstudy.core.returns import (
    DEAL_BOUND,
    HALTED,
    LOCKED_DOWN,
    LOCKED_UP,
    LUMPED,
    MISSING,
    NO_LIMIT,
    MarketPanel,
    ReturnsPanel,
)
from eventstudy.core.windows import Request
from eventstudy.errors import Reason
from eventstudy.events import Event, Events, instant_utc
from eventstudy.exchanges.calendars import Alignment
from eventstudy.exchanges.tickers import of_ticker
from eventstudy.prices import PriceTable
from eventstudy.shocks import Lead, leads_of

#: Sessions around another event of the same peer that are left out of estimation windows.
CUT_AROUND = (-1, 2)
#: A peer that did not trade from day 0 to this event day is dropped (`lumped`).
LATEST_RESUMPTION = 3
#: Ledger statuses of firm-events that are in the study.
USED = ("used", "shifted")
#: Code of a used firm-event that begins within the event window of an earlier one of the same security.
BESIDE = "reason.beside"
#: Reasons by which rules of the exchange exclude a session from estimations; the first that applies is used.
RULE_CUTS = {
    LOCKED_UP | LOCKED_DOWN: Reason("cut.limit_locked"),
    NO_LIMIT: Reason("cut.no_limit"),
    LUMPED: Reason("cut.resumption"),
}
#: Kinds of dropped firm-events in counts, if several codes are one kind or the kind has another name.
KINDS = {
    **dict.fromkeys(("listed_from", "listed_until"), "not_listed"),
    **dict.fromkeys(("bid", "bid_holds"), "deal_bound"),
    **dict.fromkeys(("no_index", "index_ends", "index_starts", "index_gap"), "no_benchmark"),
    **dict.fromkeys(
        ("series_ends", "series_starts", "no_return", "before_prices", "outside_prices", "after_prices"), "no_prices"
    ),
    **dict.fromkeys(("prices_end", "repeated_prices"), "prices_end_before_window"),
    "constant": "constant_returns",
    "too_far": "no_session",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class LedgerEntry:
    """Status of one event × ticker, and the reason.

    ``status`` is used, shifted (used, day 0 moved), merged (the shock has this security and day 0 already)
    or dropped. `results.counts.firm_event_counts` includes shifted ones in the number of used ones.
    """

    event_id: str
    shock_id: str
    ticker: str
    market: str = ""
    status: str = "dropped"
    stage: str = ""
    reason: Reason = field(default_factory=Reason)
    session: str = ""


@dataclass(frozen=True, slots=True)
class Selection:
    """By market, the firm-events to cut and the days that no estimation may use; and the ledger.

    ``excluded`` maps a MIC to a (T, n) mask, ``cut_reasons`` a (MIC, ticker, row) to the reason of its exclusion,
    ``leads`` a shock to the rows that start it.
    """

    requests: Mapping[str, tuple[Request, ...]]
    excluded: Mapping[str, Bools]
    cut_reasons: Mapping[tuple[str, str, int], Reason]
    ledger: tuple[LedgerEntry, ...]
    leads: Mapping[str, Lead] = field(default_factory=dict)


class _DroppedError(Exception):
    """Raised to end the checks of one event × ticker at the first failed stage."""

    def __init__(self, stage: str, reason: Reason, session: object = "") -> None:
        super().__init__(reason)
        self.stage, self.reason, self.session = stage, reason, str(session)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Inputs:
    """Inputs of the checks of every event × ticker; ``leading`` are the (event_id, MIC) that start a shock."""

    config: StudyConfig
    peers: Mapping[str, Peer]
    prices: PriceTable
    panel: ReturnsPanel
    alignments: Mapping[tuple[str, str], Alignment]
    excluded: Mapping[str, Bools]
    leading: frozenset[tuple[str, str]]


def drop_kind(code: str) -> str:
    """Return the kind of a reason for a drop: ``no_prices`` for ``reason.series_ends``, ``none`` for no code."""
    name = code.rpartition(".")[2] or "none"
    return KINDS.get(name, name)


def select(
    events: Events,
    config: StudyConfig,
    prices: PriceTable,
    panel: ReturnsPanel,
    alignments: Mapping[tuple[str, str], Alignment],
) -> Selection:
    """Determine for every event × ticker whether it can be studied.

    ``alignments`` maps (event_id, MIC) to day 0. Every pair gets exactly one ledger row. Rows are in order of time and
    of the peers, so they do not depend on the layout of the file. A security that a shock names twice with one day 0
    counts once. Pairs without the necessary prices are dropped with the reason; nothing is filled.
    """
    excluded, cut_reasons = _excluded(events, config, panel, alignments)
    leads = leads_of(events, config, alignments)
    inputs = _Inputs(
        config=config,
        peers=_by_name(config),
        prices=prices,
        panel=panel,
        alignments=alignments,
        excluded=excluded,
        leading=frozenset(pair for lead in leads.values() for pair in lead.pairs),
    )
    ledger, chosen = _once_a_shock([_tried(event, ticker, inputs) for event, ticker in _pairs(events, config)])
    near, rows = _near(chosen, config), []
    for row in ledger:
        reason = near.get((row.event_id, row.ticker)) if row.status in USED else None
        if reason and reason.code == BESIDE:
            row = replace(row, reason=Reason.join((row.reason, reason)))
        elif reason:
            row = replace(row, status="dropped", stage="windows", reason=reason)
        rows.append(row)
    kept = [r for r in chosen if near.get((r.event_id, r.ticker), Reason(BESIDE)).code == BESIDE]
    requests = {mic: tuple(request for request in kept if request.market == mic) for mic in panel.markets}
    return Selection(requests, excluded, cut_reasons, tuple(rows), leads)


def _by_name(config: StudyConfig) -> dict[str, Peer]:
    """Peers by ticker and alias; if two have the same name, the first counts."""
    return {name: peer for peer in reversed(config.peers) for name in (peer.ticker, *peer.aliases)}


def _pairs(events: Events, config: StudyConfig) -> list[tuple[Event, str]]:
    """Every event × ticker in order of the timestamps, then of the peers."""
    place = {name: at for at, peer in enumerate(config.peers) for name in (peer.ticker, *peer.aliases)}
    every = tuple(peer.ticker for peer in config.peers)
    pairs = [
        (instant_utc(event.timestamp), place.get(ticker, len(place)), ticker, at, event)
        for at, event in enumerate(events)
        for ticker in event.tickers or every
    ]
    return [(event, ticker) for _, _, ticker, _, event in sorted(pairs, key=lambda pair: pair[:4])]


def _tried(event: Event, ticker: str, inputs: _Inputs) -> tuple[LedgerEntry, Request | None]:
    """The ledger row of one event × ticker, and the request for its windows if it can be studied."""
    config = inputs.config
    row = LedgerEntry(event_id=event.event_id, shock_id=event.shock_id, ticker=ticker)
    peer = inputs.peers.get(ticker)
    if peer is None:
        near = of_ticker(list(inputs.peers), ticker)
        meant = Reason("reason.meant", ticker=near) if near else Reason()
        return replace(row, stage="events", reason=Reason("reason.not_a_peer", ticker=ticker, meant=meant)), None
    row = replace(row, market=peer.market)
    alignment = inputs.alignments.get((event.event_id, peer.market))
    if alignment is None:
        return replace(row, stage="calendar", reason=Reason("reason.no_session", mic=peer.market)), None
    try:
        request = _request(event, peer, alignment, inputs)
    except _DroppedError as drop:
        return replace(row, stage=drop.stage, reason=drop.reason, session=drop.session), None
    market = inputs.panel.markets[peer.market]
    session = str(market.sessions[request.position])
    moved = _moved(alignment, session)
    return replace(
        row,
        ticker=peer.ticker,
        status="shifted" if moved else "used",
        stage="estimation",
        reason=Reason.join([moved, *_noted(market, request.position, request.column, config)]),
        session=session,
    ), request


def _once_a_shock(tried: Sequence[tuple[LedgerEntry, Request | None]]) -> tuple[list[LedgerEntry], list[Request]]:
    """Keep each security once for a shock and day 0: preferably a row of the lead, else the first row."""
    first: dict[tuple[str, str, int], Request] = {}
    for _, request in tried:
        if request is not None:
            key = (request.shock_id, request.ticker, request.position)
            known = first.get(key)
            if known is None or (request.lead and not known.lead):
                first[key] = request
    ledger, chosen = [], []
    for row, request in tried:
        known = request and first[request.shock_id, request.ticker, request.position]
        if request is not known and known is not None:
            row = replace(row, status="merged", stage="shocks", reason=Reason("reason.repeated", event=known.event_id))
        elif request is not None:
            chosen.append(request)
        ledger.append(row)
    return ledger, chosen


def _near(chosen: Sequence[Request], config: StudyConfig) -> dict[tuple[str, str], Reason]:
    """Find firm-events in the event window of an earlier one of the same peer: code `BESIDE`, or the reason for
    dropping."""
    windows = config.windows
    length = windows.event[1] - windows.event[0]
    reasons: dict[tuple[str, str], Reason] = {}
    last: dict[str, Request] = {}
    for request in sorted(chosen, key=lambda request: request.position):
        before = last.get(request.ticker)
        apart = request.position - before.position if before else length + 1
        if before and windows.same_day == "merge" and not apart:
            reasons[request.event_id, request.ticker] = Reason("reason.merged", event=before.event_id)
        elif before and windows.overlapping == "drop_later" and apart <= length:
            reasons[request.event_id, request.ticker] = Reason("reason.overlaps", event=before.event_id)
        else:
            if before and 0 < apart <= length:
                reasons[request.event_id, request.ticker] = Reason(BESIDE, event=before.event_id, days=apart)
            last[request.ticker] = request
    return reasons


def _request(event: Event, peer: Peer, alignment: Alignment, inputs: _Inputs) -> Request:
    """The request for the windows of one event × peer, or `_DroppedError`."""
    config, session = inputs.config, alignment.session
    _check_membership(peer, session)
    given = event.own.get("weight")
    weight = given if isinstance(given, float) and np.isfinite(given) else peer.weight
    if config.tests.weights == "value" and not (weight and weight > 0):
        raise _DroppedError("events", Reason("reason.no_weight"), session)
    market = _priced(peer, session, config.market(peer.market).benchmark, inputs)
    position, column = market.position(session), market.tickers.index(peer.ticker)
    estimation, window = _own_windows(event, position, market, config)
    index = _own_index(event, peer, market, config)
    _check_window(peer, position, column, market, config, window or config.windows.event)
    used = estimation or config.windows.estimation
    _check_estimation(position, column, market, inputs.excluded[peer.market], config, used, index)
    return Request(
        event_id=event.event_id,
        shock_id=event.shock_id,
        ticker=peer.ticker,
        market=peer.market,
        region=config.market(peer.market).region,
        position=position,
        column=column,
        lead=(event.event_id, peer.market) in inputs.leading,
        weight=weight or 1.0,
        benchmark=event.benchmark,
        estimation=estimation,
        event=window,
    )


def _own_windows(
    event: Event, position: int, market: MarketPanel, config: StudyConfig
) -> tuple[Window | None, Window | None]:
    """Estimation and event window of an event with its own windows, in event days; missing ends are those of the
    study."""
    ends = (event.estimation_start, event.estimation_end, event.event_start, event.event_end)
    if all(end is None for end in ends):
        return None, None
    windows = config.windows
    days = []
    for end, usual, last in zip(ends, (*windows.estimation, *windows.event), (False, True) * 2, strict=True):
        if isinstance(end, dt.date):
            # A window ends at the last session on or before its end, and starts at the first session from its start on.
            end = market.position(end + dt.timedelta(days=last)) - last - position
        days.append(usual if end is None else end)
    if not days[0] <= days[1] < days[2] <= days[3] or max(map(abs, days)) > MAX_SESSIONS:
        reason = Reason("reason.own_windows", **dict(zip(("first", "last", "begin", "end"), days, strict=True)))
        raise _DroppedError("windows", reason)
    return (days[0], days[1]), (days[2], days[3])


def _own_index(event: Event, peer: Peer, market: MarketPanel, config: StudyConfig) -> Floats:
    """Return of the event's own index, else that of the peer, (T,)."""
    name = event.benchmark or peer.benchmark
    plain = config.returns.gaps == "missing" and "lags" not in needs(config.model.name)
    if event.benchmark and not plain:
        raise _DroppedError("windows", Reason("reason.own_index", index=name, model=config.model.name))
    if event.benchmark:
        return market.benchmarks[name]
    if name and market.factors is not None:
        return market.factors.values[:, market.tickers.index(peer.ticker), 0]
    return market.market_return


def _check_membership(peer: Peer, session: dt.date) -> None:
    label = f"{peer.name} ({peer.ticker})" if peer.name else peer.ticker
    for code, day, outside in (
        ("listed_from", peer.from_, peer.from_ and session < peer.from_),
        ("listed_until", peer.until, peer.until and session > peer.until),
        ("bid", peer.deal_bound_from, peer.deal_bound_from and session >= peer.deal_bound_from),
    ):
        if outside:
            raise _DroppedError("membership", Reason(f"reason.{code}", label=label, day=day), session)


def _priced(peer: Peer, session: dt.date, benchmark: str, inputs: _Inputs) -> MarketPanel:
    """The panel of a peer's exchange, if peer and index have prices on day 0."""
    series, day = inputs.prices.series.get(peer.ticker), np.datetime64(session, "D")
    market = inputs.panel.markets.get(peer.market)
    reason = Reason()
    if series is None:
        told = _told(inputs.prices, peer.ticker)
        reason = told if told.code == "reason.suspect" else Reason("reason.no_prices", text=told)
    elif market is None:
        reason = Reason("reason.no_index", index=benchmark, text=_told(inputs.prices, benchmark))
    elif day > series.dates[-1]:
        reason = Reason("reason.series_ends", last=series.dates[-1])
    elif day < series.dates[0]:
        reason = Reason("reason.series_starts", first=series.dates[0])
    elif day > market.sessions[-1]:
        reason = Reason("reason.index_ends", index=benchmark, day=market.sessions[-1])
    elif day < market.sessions[0]:
        reason = Reason("reason.index_starts", index=benchmark, day=market.sessions[0])
    if reason or market is None:
        raise _DroppedError("prices", reason, session)
    return market


def _told(prices: PriceTable, ticker: str) -> Reason:
    """Reason why a ticker has no prices, as given by the source of the prices."""
    outcome = prices.outcomes.get(ticker)
    return outcome.message if outcome else Reason("reason.not_delivered")


def _check_window(
    peer: Peer, position: int, column: int, market: MarketPanel, config: StudyConfig, window: Window
) -> None:
    first, last = window
    begin = max(position + first, 0)
    returns = market.returns[begin : position + last + 1, column]
    session = market.sessions[position] if position < len(market.sessions) else ""
    if not np.isfinite(returns).any():
        raise _DroppedError(
            "prices", Reason("reason.no_volume" if config.study.kind == "volume" else "reason.no_return"), session
        )
    closed = (market.flags[position:, column] & (MISSING | HALTED)) > 0
    # The share was halted on day 0 and traded again only days later, so its return covers several days.
    if closed[: LATEST_RESUMPTION + 1].all() and len(closed) > LATEST_RESUMPTION and not closed.all():
        back = int(np.argmin(closed))
        raise _DroppedError("prices", Reason("reason.lumped", last=back - 1, back=back), session)
    if config.windows.allow_partial:
        return
    if position + last >= len(market.sessions):
        reason = Reason("reason.window_incomplete", day=last, end=market.sessions[-1], index=market.benchmark)
        raise _DroppedError("prices", reason, session)
    tail = int(np.flatnonzero(np.isfinite(returns))[-1])
    if tail == len(returns) - 1:
        return
    after = min(begin + tail + 1, position + last)
    if market.flags[after, column] & DEAL_BOUND:
        reason = Reason("reason.bid_holds", first=peer.deal_bound_from, day=after - position)
        raise _DroppedError("membership", reason, session)
    end, due = market.sessions[begin + tail], market.sessions[position + last]
    raise _DroppedError("prices", Reason("reason.prices_end", end=end, day=last, due=due), session)


def _check_estimation(
    position: int, column: int, market: MarketPanel, excluded: Bools, config: StudyConfig, window: Window, index: Floats
) -> None:
    first, last = window
    rows = slice(max(position + first, 0), max(position + last + 1, 0))
    returns, cut = market.returns[rows, column], excluded[rows, column]
    usable = np.isfinite(returns) & np.isfinite(index[rows]) & ~cut
    count, minimum = int(usable.sum()), config.windows.minimum
    session = market.sessions[position] if position < len(market.sessions) else ""
    if count < minimum:
        reason = Reason("reason.estimation_short", n=count, minimum=minimum, first=first, last=last, cut=int(cut.sum()))
        raise _DroppedError("estimation", reason, session)
    if not np.ptp(returns[usable]) > 0:
        raise _DroppedError("estimation", Reason("reason.constant"), session)


def _moved(alignment: Alignment, session: str) -> Reason:
    """Reason why day 0 is not the day of the news; empty if it is."""
    if session != str(alignment.session):
        return Reason("reason.shifted_no_price", day=alignment.session)
    if alignment.reaction == "after_close":
        return Reason("reason.shifted_close", days=alignment.days_after)
    if alignment.reaction == "closed":
        return Reason("reason.shifted_closed", mic=alignment.mic, days=alignment.days_after)
    return Reason()


def _noted(market: MarketPanel, position: int, column: int, config: StudyConfig) -> Iterator[Reason]:
    """Note on a used firm-event: missing days, days of the drop at the price limit."""
    first, last = config.windows.event
    missing = np.flatnonzero(~np.isfinite(market.returns[max(position + first, 0) : position + last + 1, column]))
    if len(missing):
        day = int(missing[0]) + max(first, -position)
        yield Reason("reason.missing", n=len(missing), total=last - first + 1, day=day)
    for tau in range(config.windows.drop[0], config.windows.drop[1] + 1):
        row = position + tau
        code = int(market.flags[row, column]) if 0 <= row < len(market.flags) else 0
        for bit, key in ((LOCKED_DOWN, "reason.locked_down"), (LOCKED_UP, "reason.locked_up")):
            if code & bit:
                yield Reason(key, day=tau)


def _excluded(
    events: Events, config: StudyConfig, panel: ReturnsPanel, alignments: Mapping[tuple[str, str], Alignment]
) -> tuple[dict[str, Bools], dict[tuple[str, str, int], Reason]]:
    """Mark the days that no estimation uses: around events, locked days, resumptions, days without a limit.

    The peer's own events count too, so day 0 is in no estimation. With ``trade_to_trade`` a resumption is an ordinary
    return over several sessions and is kept.
    """
    masks = {mic: np.zeros(market.returns.shape, dtype=bool) for mic, market in panel.markets.items()}
    reasons: dict[tuple[str, str, int], Reason] = {}
    if not config.windows.clean_estimation:
        return masks, reasons
    peers = _by_name(config)
    for event in events:
        named = {peers[name].ticker for name in event.tickers if name in peers}
        for mic, market in panel.markets.items():
            alignment = alignments.get((event.event_id, mic))
            if alignment is None:
                continue
            position = market.position(alignment.session)
            first, last = (max(position + CUT_AROUND[0], 0), min(position + CUT_AROUND[1], len(market.sessions) - 1))
            for column, ticker in enumerate(market.tickers):
                if event.tickers and ticker not in named:
                    continue
                masks[mic][first : last + 1, column] = True
                for row in range(first, last + 1):
                    reasons.setdefault((mic, ticker, row), Reason("cut.near_event", event=event.event_id))
    for mic, market in panel.markets.items():
        # The first price of a series also follows days without prices, but is no resumption.
        resumes = np.cumsum((market.flags & MISSING) == 0, axis=0) > 1
        for bits, reason in RULE_CUTS.items():
            cut = (market.flags & bits) > 0
            if bits == LUMPED:
                cut &= resumes & (config.returns.gaps != "trade_to_trade")
            masks[mic] |= cut
            for row, column in zip(*np.nonzero(cut), strict=True):
                reasons.setdefault((mic, market.tickers[column], int(row)), reason)
    return masks, reasons
