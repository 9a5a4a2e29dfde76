"""Whether prices can be trusted: all checks over all series of a study, and what follows from them."""

from __future__ import annotations

import datetime as dt
import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from eventstudy.config import Market, StudyConfig
from eventstudy.errors import PriceError, Problem
from eventstudy.exchanges.rules import board_of
from eventstudy.messages import say
from eventstudy.prices.faults import CHECKS, UNIT_CHECKS, QualityFinding, Severity, Subject
from eventstudy.prices.table import PriceOutcome, PriceSeries, PriceTable, price_unit

__all__ = ["QualityFinding", "check_quality", "sentences", "units_in_doubt", "vet"]

SessionSource = Callable[[str, dt.date, dt.date], NDArray[np.datetime64]]

#: A series that ends this many sessions before its market's last price has stopped.
STOPPED = 10
#: A pause this long with another price level after it is taken for another company.
REUSE_GAP, REUSE_FACTOR = 250, 1.5
#: Share of sessions without a price past which a series is no daily series.
TOO_MANY_GAPS = 0.5
#: Sessions in common from which identical returns are no accident.
COMMON = 20


def check_quality(
    prices: PriceTable,
    config: StudyConfig,
    *,
    sessions: SessionSource,
    event_days: Mapping[str, NDArray[np.datetime64]] | None = None,
) -> tuple[QualityFinding, ...]:
    """Look at every series of a study and return what is suspect, market by market.

    Simulated prices are made, not delivered: there is nothing to find.

    Parameters
    ----------
    sessions
        ``sessions(mic, start, end)`` gives the exchange's days.
    event_days
        Days 0 by MIC: a large move near one is expected.
    """
    if prices.simulated:
        return ()
    found: list[QualityFinding] = []
    for market in config.markets:
        days0 = (event_days or {}).get(market.mic, np.array([], dtype="datetime64[D]"))
        subjects = _subjects(market, config, prices, sessions, days0)
        for subject in subjects:
            for check in CHECKS:
                found += check(subject)
        found += _across(subjects)
    # An index may serve several markets; what it shows is said once.
    return tuple(dict.fromkeys(found))


def units_in_doubt(findings: Sequence[QualityFinding], config: StudyConfig) -> frozenset[str]:
    """Return the peers whose money traded may be off by a hundred, where the settings do not say the unit."""
    suspect = {(finding.ticker, finding.check) for finding in findings if finding.check in UNIT_CHECKS}
    market = {peer.ticker: peer.market for peer in config.peers}
    volume = config.prices.volume_unit
    return frozenset(
        ticker
        for ticker, check in suspect
        if ticker in market
        and (check == "price_unit" or (ticker not in volume and market[ticker] not in volume))
    )


def vet(prices: PriceTable, findings: Sequence[QualityFinding], *, accept: bool = False) -> PriceTable:
    """Return the prices that a study may use.

    Series with a finding ``drop`` are left out and the reason becomes their outcome. With ``accept``
    everything is kept as it is.

    Raises
    ------
    PriceError
        If any finding is ``stop`` and ``accept`` is false; one problem for each.
    """
    if accept:
        return prices
    stops = [finding for finding in findings if finding.severity == "stop"]
    if stops:
        raise PriceError([_problem(finding, prices) for finding in stops])
    dropped = {finding.ticker: finding for finding in reversed(findings) if finding.severity == "drop"}
    if not dropped:
        return prices
    outcomes = dict(prices.outcomes)
    for ticker, finding in dropped.items():
        text = say(
            "reason.suspect", check=say(f"check.{finding.check}"), day=finding.day, text=finding.message
        )
        outcomes[ticker] = PriceOutcome(ticker=ticker, status="refused", message=text)
    series = {ticker: item for ticker, item in prices.series.items() if ticker not in dropped}
    return replace(prices, series=series, outcomes=outcomes)


def sentences(findings: Sequence[QualityFinding], *, accept: bool = False) -> list[str]:
    """Return one sentence for each thing found, series with the same one together."""
    tickers: dict[tuple[str, str, str, str], list[str]] = {}
    for finding in findings:
        kind = "quality.accepted" if accept and finding.severity != "warn" else "quality.found"
        key = (kind, finding.check, finding.day, finding.message)
        tickers.setdefault(key, []).append(finding.ticker)
    return [
        say(kind, tickers=", ".join(names), check=say(f"check.{check}"), day=day, text=text)
        for (kind, check, day, text), names in tickers.items()
    ]


def _problem(finding: QualityFinding, prices: PriceTable) -> Problem:
    text = (
        f"{finding.ticker} on {finding.day}: {finding.check} ({finding.value:.6g}): {finding.message}; "
        "or go on with --accept-suspect"
    )
    return Problem(text, file=prices.series[finding.ticker].source)


def _subjects(
    market: Market,
    config: StudyConfig,
    prices: PriceTable,
    sessions: SessionSource,
    event_days: NDArray[np.datetime64],
) -> list[Subject]:
    """Put the series of one market, its index first, on the sessions from its first to its last price."""
    peers = {peer.ticker: peer for peer in config.peers if peer.market == market.mic}
    named = [market.benchmark, *peers] if peers else []
    series = [prices.series[ticker] for ticker in named if ticker in prices.series]
    series = [item for item in series if len(item.dates)]
    if not series:
        return []
    first, last = min(item.dates[0] for item in series), max(item.dates[-1] for item in series)
    days = sessions(market.mic, first.astype(dt.date), last.astype(dt.date))
    subjects = []
    for item in series:
        peer = peers.get(item.ticker)
        board = board_of(item.ticker, market.mic, peer=peer.board, market=market.board) if peer else ""
        values = _on_days(item, days)
        untraded = (values["volume"] == 0) & (peer is not None)
        values["price"] = np.where(untraded, np.nan, values.pop("adj_close"))
        unit = config.prices.shares(item.ticker, market.mic)
        money = price_unit(item, market.mic, config)
        subjects.append(
            Subject(
                item=item,
                market=market,
                peer=peer,
                board=board,
                days=days,
                unit=unit,
                money=money,
                event_days=event_days,
                **values,
            )
        )
    return subjects


def _on_days(item: PriceSeries, days: NDArray[np.datetime64]) -> dict[str, NDArray[np.float64]]:
    _, here, there = np.intersect1d(days, item.dates, assume_unique=True, return_indices=True)
    values = {}
    for name in ("adj_close", "close", "high", "low", "volume", "splits", "dividends", "amount"):
        values[name] = np.full(len(days), np.nan)
        # Sources without corporate actions leave their arrays empty.
        if len(getattr(item, name)):
            values[name][here] = getattr(item, name)[there]
    return values


def _across(subjects: Sequence[Subject]) -> Iterator[QualityFinding]:
    """Checks that need the other series of the market."""
    if not subjects:
        return
    there = np.array([np.isfinite(subject.price) for subject in subjects])
    open_days = np.any(there, axis=0)
    for subject, own in zip(subjects, there, strict=True):
        if own.any():
            yield from _gaps(subject, own, open_days)
            yield from _stops(subject, own, open_days)
    for one, other in itertools.combinations(subjects, 2):
        yield from _same(one, other)


def _gaps(subject: Subject, own: NDArray[np.bool_], open_days: NDArray[np.bool_]) -> Iterator[QualityFinding]:
    """Yield sessions without a trade while others traded, and pauses after which it is another company."""
    inside = np.flatnonzero(own)
    grid = np.flatnonzero(open_days)
    grid = grid[(grid >= inside[0]) & (grid <= inside[-1])]
    lacking = grid[~own[grid]]
    if not len(lacking):
        return
    share = len(lacking) / len(grid)
    text = say("quality.gaps", n=len(lacking), day=subject.days[lacking[0]])
    if share > TOO_MANY_GAPS:
        text = say("quality.no_daily", text=text, share=share)
    severity: Severity = "drop" if share > TOO_MANY_GAPS else "warn"
    yield subject.finding("gaps", lacking[0], len(lacking), severity, text)
    position = np.searchsorted(grid, inside)
    for at in np.flatnonzero(np.diff(position) > REUSE_GAP).tolist():
        before, after = inside[at], inside[at + 1]
        change = subject.price[after] / subject.price[before]
        if not 1 / REUSE_FACTOR < change < REUSE_FACTOR:
            text = say("quality.reuse", n=position[at + 1] - position[at] - 1, factor=change)
            yield subject.finding("ticker_reuse", after, change, "drop", text)


def _stops(
    subject: Subject, own: NDArray[np.bool_], open_days: NDArray[np.bool_]
) -> Iterator[QualityFinding]:
    """Yield a series that ends long before its market does, its listing or its life without a bid."""
    needed = open_days.copy()
    for day in (subject.peer.until, subject.peer.deal_bound_from) if subject.peer else ():
        if day is not None:
            needed &= subject.days <= np.datetime64(day, "D")
    last = int(np.flatnonzero(own)[-1])
    later = int(needed[last + 1 :].sum())
    if later > STOPPED:
        text = say("quality.stops", n=later)
        yield subject.finding("series_stops", last, later, "warn", text)


def _same(one: Subject, other: Subject) -> Iterator[QualityFinding]:
    """Yield two series with the same returns: one file under two names, or a security as its own index."""
    a, b = one.log_return, other.log_return
    both = np.isfinite(a) & np.isfinite(b)
    if both.sum() < COMMON or not np.any(a[both]) or np.abs(a[both] - b[both]).max() > 1e-9:
        return
    kind = "quality.same_index" if one.peer is None else "quality.same_peer"
    text = say(kind, n=int(both.sum()), ticker=one.item.ticker)
    row = int(np.flatnonzero(both)[0])
    yield other.finding("same_series", row, int(both.sum()), "stop", text)
