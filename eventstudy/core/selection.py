"""Which firm-events can be studied, and the ledger of those that cannot and of those that moved."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from eventstudy.config import Peer, StudyConfig
from eventstudy.core.arrays import Bools
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
from eventstudy.messages import joined, say, text
from eventstudy.prices import PriceTable
from eventstudy.readers.tickers import of_ticker
from eventstudy.shocks import Lead, leads_of

#: Sessions around another event of the same peer that no estimation window uses.
CUT_AROUND = (-1, 2)
#: A peer that did not trade on day 0 and comes back later than this is no observation of the event.
LATEST_RESUMPTION = 3
#: Ledger statuses of firm-events that are in the study.
USED = ("used", "shifted")
#: Why the rules of the exchange keep a session out of an estimation, the first that applies.
RULE_CUTS = {LOCKED_UP | LOCKED_DOWN: "limit-locked", NO_LIMIT: "no-limit day", LUMPED: "resumption"}


@dataclass(frozen=True, slots=True, kw_only=True)
class LedgerRow:
    """What became of one event × ticker, and why.

    ``status`` is used, shifted (used, day 0 moved), merged (the shock has this security and day 0 already)
    or dropped. `results.counts.firm_event_counts` counts the shifted among the used.
    """

    event_id: str
    shock_id: str
    ticker: str
    market: str
    status: str
    stage: str
    reason: str
    session: str


@dataclass(frozen=True, slots=True)
class Selection:
    """Firm-events to cut by market, days no estimation may use by market, and the ledger.

    ``excluded`` maps a MIC to a (T, n) mask, ``cut_reasons`` a (MIC, ticker, row) to why it was cut,
    ``leads`` a shock to the rows that set it off.
    """

    requests: Mapping[str, tuple[Request, ...]]
    excluded: Mapping[str, Bools]
    cut_reasons: Mapping[tuple[str, str, int], str]
    ledger: tuple[LedgerRow, ...]
    leads: Mapping[str, Lead] = field(default_factory=dict)


class _DroppedError(Exception):
    """Ends the checks of one event × ticker at the first stage that it does not pass."""

    def __init__(self, stage: str, reason: str, session: str = "") -> None:
        super().__init__(reason)
        self.stage, self.reason, self.session = stage, reason, session


def select(
    events: Events,
    config: StudyConfig,
    prices: PriceTable,
    panel: ReturnsPanel,
    alignments: Mapping[tuple[str, str], Alignment],
) -> Selection:
    """Decide for every event × ticker whether it can be studied.

    ``alignments`` maps (event_id, MIC) to day 0. Every pair gets exactly one ledger row, in order of time
    and of the peers, so that neither depends on how the file spreads them over rows. A security that a
    shock names twice with one day 0 counts once. Pairs that would need prices the study does not have are
    dropped with the reason; nothing is filled.
    """
    excluded, cut_reasons = _excluded(events, config, panel, alignments)
    leads = leads_of(events, config, alignments)
    leading = frozenset(pair for lead in leads.values() for pair in lead.pairs)
    tried = [
        _tried(event, ticker, config, prices, panel, alignments, excluded, leading)
        for event, ticker in _pairs(events, config)
    ]
    ledger, chosen = _once_a_shock(tried)
    requests: dict[str, list[Request]] = {mic: [] for mic in panel.markets}
    for request in chosen:
        requests[request.market].append(request)
    double = _doubles(requests, config)
    kept = {m: tuple(r for r in rows if (r.event_id, r.ticker) not in double) for m, rows in requests.items()}
    rows = tuple(
        replace(row, status="dropped", stage="windows", reason=double[row.event_id, row.ticker])
        if (row.event_id, row.ticker) in double and row.status in USED
        else row
        for row in ledger
    )
    return Selection(kept, excluded, cut_reasons, rows, leads)


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


def _tried(
    event: Event,
    ticker: str,
    config: StudyConfig,
    prices: PriceTable,
    panel: ReturnsPanel,
    alignments: Mapping[tuple[str, str], Alignment],
    excluded: Mapping[str, Bools],
    leading: frozenset[tuple[str, str]],
) -> tuple[LedgerRow, Request | None]:
    """The ledger row of one event × ticker, and what is to be cut where it can be studied."""
    row = LedgerRow(
        event_id=event.event_id,
        shock_id=event.shock_id,
        ticker=ticker,
        market="",
        status="dropped",
        stage="",
        reason="",
        session="",
    )
    try:
        peer = _peer(config, ticker)
        row = replace(row, market=peer.market)
        alignment = alignments.get((event.event_id, peer.market))
        lead = (event.event_id, peer.market) in leading
        request, reason = _request(event, peer, alignment, config, prices, panel, excluded, lead)
    except _DroppedError as drop:
        return replace(row, stage=drop.stage, reason=drop.reason, session=drop.session), None
    status = "shifted" if reason.startswith("shifted") else "used"
    session = str(panel.markets[peer.market].sessions[request.position])
    used = replace(row, ticker=peer.ticker, status=status, stage="estimation", reason=reason, session=session)
    return used, request


def _once_a_shock(tried: Sequence[tuple[LedgerRow, Request | None]]) -> tuple[list[LedgerRow], list[Request]]:
    """Keep each security once for a shock and day 0: a row that leads before others, else the first."""
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
            reason = say("reason.repeated", event=known.event_id)
            row = replace(row, status="merged", stage="shocks", reason=reason)
        elif request is not None:
            chosen.append(request)
        ledger.append(row)
    return ledger, chosen


def _doubles(requests: Mapping[str, Sequence[Request]], config: StudyConfig) -> dict[tuple[str, str], str]:
    """Firm-events that give way to another of the same peer, where the settings ask for it, and why."""
    windows = config.windows
    length = windows.event[1] - windows.event[0]
    reasons: dict[tuple[str, str], str] = {}
    last: dict[str, Request] = {}
    for request in sorted((r for rows in requests.values() for r in rows), key=lambda r: r.position):
        before = last.get(request.ticker)
        if before is not None and windows.same_day == "merge" and before.position == request.position:
            reason = say("reason.merged", event=before.event_id)
        elif (
            before is not None and windows.overlapping == "drop_later" and request.position - before.position <= length
        ):
            reason = say("reason.overlaps", event=before.event_id)
        else:
            last[request.ticker] = request
            continue
        reasons[request.event_id, request.ticker] = reason
    return reasons


def _peer(config: StudyConfig, ticker: str) -> Peer:
    try:
        return config.peer(ticker)
    except KeyError:
        peer = of_ticker([peer.ticker for peer in config.peers], ticker)
        meant = Reason("reason.meant", ticker=peer) if peer else Reason()
        raise _DroppedError("events", say("reason.not_a_peer", ticker=ticker, meant=meant)) from None


def _request(
    event: Event,
    peer: Peer,
    alignment: Alignment | None,
    config: StudyConfig,
    prices: PriceTable,
    panel: ReturnsPanel,
    excluded: Mapping[str, Bools],
    lead: bool,
) -> tuple[Request, str]:
    if alignment is None:
        raise _DroppedError("calendar", say("reason.no_session", mic=peer.market))
    _check_membership(peer, alignment.session)
    market = panel.markets.get(peer.market)
    benchmark = config.market(peer.market).benchmark
    _check_prices(peer, alignment.session, benchmark, prices, market)
    assert market is not None
    position = market.position(alignment.session)
    column = market.tickers.index(peer.ticker)
    session = str(market.sessions[position]) if position < len(market.sessions) else ""
    _check_window(peer, position, column, market, config, session)
    _check_estimation(position, column, market, excluded[peer.market], config, session)
    request = Request(
        event_id=event.event_id,
        shock_id=event.shock_id,
        ticker=peer.ticker,
        market=peer.market,
        region=config.market(peer.market).region,
        position=position,
        column=column,
        lead=lead,
    )
    return request, _used_reason(alignment, session, market, position, column, config)


def _check_membership(peer: Peer, session: dt.date) -> None:
    label = f"{peer.name} ({peer.ticker})" if peer.name else peer.ticker
    if peer.from_ and session < peer.from_:
        text = say("reason.listed_from", label=label, day=peer.from_)
        raise _DroppedError("membership", text, str(session))
    if peer.until and session > peer.until:
        text = say("reason.listed_until", label=label, day=peer.until)
        raise _DroppedError("membership", text, str(session))
    if peer.deal_bound_from and session >= peer.deal_bound_from:
        text = say("reason.bid", label=label, day=peer.deal_bound_from)
        raise _DroppedError("membership", text, str(session))


def _check_prices(peer: Peer, session: dt.date, benchmark: str, prices: PriceTable, market: MarketPanel | None) -> None:
    day = str(session)
    if peer.ticker not in prices.series:
        outcome = prices.outcomes.get(peer.ticker)
        said = outcome.message if outcome else Reason("reason.not_delivered")
        why = text(said) if said.code == "reason.suspect" else say("reason.no_prices", text=said)
        raise _DroppedError("prices", why, day)
    if market is None:
        outcome = prices.outcomes.get(benchmark)
        said = outcome.message if outcome else Reason("reason.not_delivered")
        raise _DroppedError("prices", say("reason.no_index", index=benchmark, text=said), day)
    dates = prices.series[peer.ticker].dates
    if np.datetime64(session, "D") > dates[-1]:
        raise _DroppedError("prices", say("reason.series_ends", last=dates[-1]), day)
    if np.datetime64(session, "D") < dates[0]:
        raise _DroppedError("prices", say("reason.series_starts", first=dates[0]), day)
    first, last = market.sessions[0], market.sessions[-1]
    if not first <= np.datetime64(session, "D") <= last:
        late = np.datetime64(session, "D") > last
        kind = "reason.index_ends" if late else "reason.index_starts"
        raise _DroppedError("prices", say(kind, index=benchmark, day=last if late else first), day)


def _check_window(
    peer: Peer, position: int, column: int, market: MarketPanel, config: StudyConfig, session: str
) -> None:
    first, last = config.windows.event
    here = market.returns[max(position + first, 0) : position + last + 1, column]
    if not np.isfinite(here).any():
        raise _DroppedError(
            "prices", say(f"reason.{'no_volume' if config.study.kind == 'volume' else 'no_return'}"), session
        )
    _check_resumption(position, column, market, session)
    if config.windows.allow_partial:
        return
    if position + last >= len(market.sessions):
        text = say("reason.window_incomplete", day=last, end=market.sessions[-1], index=market.benchmark)
        raise _DroppedError("prices", text, session)
    tail = np.flatnonzero(np.isfinite(here))[-1]
    end = market.sessions[position + first + tail] if position + first >= 0 else market.sessions[tail]
    after = min(max(position + first, 0) + int(tail) + 1, position + last)
    if tail < len(here) - 1 and market.flags[after, column] & DEAL_BOUND:
        text = say("reason.bid_holds", first=peer.deal_bound_from, day=after - position)
        raise _DroppedError("membership", text, session)
    if tail < len(here) - 1:
        due = market.sessions[position + last]
        text = say("reason.prices_end", end=end, day=last, due=due)
        raise _DroppedError("prices", text, session)


def _check_resumption(position: int, column: int, market: MarketPanel, session: str) -> None:
    """Drop a peer that was halted across day 0 and came back only days later: its return is lumped."""
    flags = market.flags[position:, column]
    closed = (flags & (MISSING | HALTED)) > 0
    if not closed[: LATEST_RESUMPTION + 1].all() or len(closed) <= LATEST_RESUMPTION or closed.all():
        return
    back = int(np.argmin(closed))
    text = say("reason.lumped", last=back - 1, back=back)
    raise _DroppedError("prices", text, session)


def _check_estimation(
    position: int, column: int, market: MarketPanel, excluded: Bools, config: StudyConfig, session: str
) -> None:
    first, last = config.windows.estimation
    rows = slice(max(position + first, 0), max(position + last + 1, 0))
    usable = (
        np.isfinite(market.returns[rows, column]) & np.isfinite(market.market_return[rows]) & ~excluded[rows, column]
    )
    count = int(usable.sum())
    if count < config.windows.minimum:
        text = say(
            "reason.estimation_short",
            n=count,
            minimum=config.windows.minimum,
            first=first,
            last=last,
            cut=int(excluded[rows, column].sum()),
        )
        raise _DroppedError("estimation", text, session)
    if not np.ptp(market.returns[rows, column][usable]) > 0:
        raise _DroppedError("estimation", say("reason.constant"), session)


def _used_reason(
    alignment: Alignment, session: str, market: MarketPanel, position: int, column: int, config: StudyConfig
) -> str:
    parts = []
    if session != str(alignment.session):
        parts.append(say("reason.shifted_no_price", day=alignment.session))
    elif alignment.reaction == "after_close":
        parts.append(say("reason.shifted_close", days=alignment.days_after))
    elif alignment.reaction == "closed":
        parts.append(say("reason.shifted_closed", mic=alignment.mic, days=alignment.days_after))
    first, last = config.windows.event
    here = market.returns[max(position + first, 0) : position + last + 1, column]
    missing = int((~np.isfinite(here)).sum())
    if missing:
        parts.append(say("reason.missing", n=missing, total=last - first + 1))
    return joined([*parts, *_locks_said(market, position, column, config.windows.drop)])


def _locks_said(market: MarketPanel, position: int, column: int, drop: tuple[int, int]) -> list[str]:
    """Say which days of the drop window closed at the price limit."""
    told: list[str] = []
    for tau in range(drop[0], drop[1] + 1):
        row = position + tau
        code = int(market.flags[row, column]) if 0 <= row < len(market.flags) else 0
        for bit, key in ((LOCKED_DOWN, "reason.locked_down"), (LOCKED_UP, "reason.locked_up")):
            if code & bit:
                told.append(say(key, day=tau))
    return told


def _excluded(
    events: Events, config: StudyConfig, panel: ReturnsPanel, alignments: Mapping[tuple[str, str], Alignment]
) -> tuple[dict[str, Bools], dict[tuple[str, str, int], str]]:
    """Mark what no estimation uses: days around events, locked days, resumptions, days without a limit.

    A peer's own event is among the events: day 0 is in no estimation. Trade to trade, a resumption is
    an ordinary return over several sessions and stays.
    """
    masks = {mic: np.zeros(market.returns.shape, dtype=bool) for mic, market in panel.markets.items()}
    reasons: dict[tuple[str, str, int], str] = {}
    if not config.windows.clean_estimation:
        return masks, reasons
    for event in events:
        for mic, market in panel.markets.items():
            alignment = alignments.get((event.event_id, mic))
            if alignment is None:
                continue
            position = market.position(alignment.session)
            first, last = (max(position + CUT_AROUND[0], 0), min(position + CUT_AROUND[1], len(market.sessions) - 1))
            for column in _columns(event, config, market.tickers):
                masks[mic][first : last + 1, column] = True
                for row in range(first, last + 1):
                    reasons.setdefault((mic, market.tickers[column], row), f"near event {event.event_id}")
    for mic, market in panel.markets.items():
        masks[mic] |= _cut_by_rule(mic, market, config.returns.gaps, reasons)
    return masks, reasons


def _cut_by_rule(mic: str, market: MarketPanel, gaps: str, reasons: dict[tuple[str, str, int], str]) -> Bools:
    """Return the (T, n) sessions that the exchange's rules keep out, and note why in ``reasons``."""
    cut = np.zeros(market.returns.shape, dtype=bool)
    for bits, reason in RULE_CUTS.items():
        here = (market.flags & bits) > 0
        if bits == LUMPED:
            # The first price of a series follows days without one, too, but resumes nothing.
            traded = (market.flags & MISSING) == 0
            here &= (np.cumsum(traded, axis=0) > 1) & (gaps != "trade_to_trade")
        cut |= here
        for row, column in zip(*np.nonzero(here), strict=True):
            reasons.setdefault((mic, market.tickers[column], int(row)), reason)
    return cut


def _columns(event: Event, config: StudyConfig, tickers: Sequence[str]) -> list[int]:
    if not event.tickers:
        return list(range(len(tickers)))
    named = set()
    for ticker in event.tickers:
        try:
            named.add(config.peer(ticker).ticker)
        except KeyError:
            continue
    return [column for column, ticker in enumerate(tickers) if ticker in named]
