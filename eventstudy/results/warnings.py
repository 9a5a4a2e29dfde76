"""Warnings about events, prices and selection, for runs and for checks."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from eventstudy.backtest.costs import known_fees
from eventstudy.config import StudyConfig, Window
from eventstudy.core.returns import ReturnsPanel
from eventstudy.core.selection import BESIDE, USED, LedgerEntry
from eventstudy.events import Events
from eventstudy.exchanges.calendars import align_all
from eventstudy.messages import joined, say, text
from eventstudy.prices import PriceTable
from eventstudy.prices.quality import QualityFinding, sentences
from eventstudy.results.columns import window_name
from eventstudy.shocks import leads_of, with_shocks

#: Number of firm-events that a warning names.
NAMED = 5


def event_warnings(events: Events, config: StudyConfig) -> list[str]:
    """Return warnings on the events, which need no prices."""
    found: list[str] = [
        say("events.clarifies_none", event=event.event_id)
        for event in events
        if event.kind == "clarification" and not event.clarifies
    ]
    found += _labels_apart(events, config)
    asked = [event for event in events if event.label == config.reversal.label]
    if undated := [event.event_id for event in asked if event.label_asof is None]:
        label = say(f"label.{config.reversal.label}")
        found.append(say("labels.undated", label=label, events=", ".join(undated), n=len(undated)))
    for ticker, names in sorted(_strangers(events, config).items()):
        found.append(say("events.not_a_peer", ticker=ticker, events=", ".join(names)))
    return [*found, *map(text, events.remarks)]


def _labels_apart(events: Events, config: StudyConfig) -> list[str]:
    """Name the shocks whose lead rows have different labels."""
    events = with_shocks(events, config)
    labels: dict[str, set[str]] = {}
    for event in events:
        labels.setdefault(event.shock_id, set()).add(event.label)
    if all(len(found) == 1 for found in labels.values()):
        return []
    leads = leads_of(events, config, align_all(events, config))
    return [
        say("events.labels_differ", shock=name, labels=", ".join(lead.labels))
        for name, lead in leads.items()
        if len(lead.labels) > 1
    ]


def _strangers(events: Events, config: StudyConfig) -> dict[str, list[str]]:
    """Tickers in events that are no peers, with these events."""
    known = {name for peer in config.peers for name in (peer.ticker, *peer.aliases)}
    found: dict[str, list[str]] = {}
    for event in events:
        for ticker in dict.fromkeys(event.tickers):
            if ticker not in known:
                found.setdefault(ticker, []).append(event.event_id)
    return found


def input_warnings(
    events: Events,
    config: StudyConfig,
    prices: PriceTable,
    returns: ReturnsPanel,
    findings: Sequence[QualityFinding],
    ledger: Sequence[LedgerEntry],
    *,
    asked: bool,
) -> list[str]:
    """Return warnings on all inputs of a study, before estimation.

    ``asked`` says whether the study asks about reversals (and has a backtest).
    """
    kind, accept = config.study.kind, config.prices
    late = [f"{row.event_id} {row.ticker}" for row in ledger if BESIDE in row.reason.codes]
    return [
        *([] if kind == "return" else [say("study.kind", kind=say(f"study.{kind}"))]),
        *_simulated(prices),
        *event_warnings(events, config),
        *map(text, returns.remarks),
        *(_unknown_markets(returns, config) if asked else []),
        *(text(seen) for seen in sentences(findings, accept=accept.accept_suspect, days=accept.accept_days)),
        *_same_days(ledger),
        *beside(late, len(late)),
        *_unadjusted(prices),
        *(text(note) for note in (prices.factors.notes if prices.factors else ())),
        *_absent(prices, config, asked=asked),
    ]


def _simulated(prices: PriceTable) -> list[str]:
    """Return a note on the artificial drops in simulated prices."""
    if not prices.simulated:
        return []
    planted = list(prices.truth.get("drops", ()))
    quiet = sum(not drop["label"] for drop in planted)
    return [say("simulated.planted", n=len(planted) - quiet, quiet=quiet)]


def _unadjusted(prices: PriceTable) -> list[str]:
    """Name the series whose closes are used as adjusted ones; an unadjusted split would be a false drop."""
    names = [
        name
        for name, outcome in prices.outcomes.items()
        if name in prices.series and any(note.code == "read.unadjusted" for note in outcome.notes)
    ]
    return [say("price.unadjusted", tickers=", ".join(sorted(names)))] if names else []


def _absent(prices: PriceTable, config: StudyConfig, *, asked: bool) -> list[str]:
    """Name the fields that all peers' prices lack, and the consequences; only the backtest needs the open."""
    series = [prices.series[peer.ticker] for peer in config.peers if peer.ticker in prices.series]
    fields = [
        name
        for name in ("volume", *(("open",) if asked else ()), "high", "low")
        if series and not any(np.isfinite(getattr(item, name)).any() for item in series)
    ]
    unseen = [
        say(f"absent.{name}")
        for name, missing in (("volume", {"volume"}), ("range", {"high", "low"}), ("open", {"open"}))
        if missing & set(fields)
    ]
    return [say("absent.fields", fields=", ".join(fields), unseen=joined(unseen))] if fields else []


def _unknown_markets(returns: ReturnsPanel, config: StudyConfig) -> list[str]:
    """Return a note on the assumptions of the backtest for exchanges without known fees and rules for sales."""
    given = {row.market for row in config.costs}
    unknown = [mic for mic in returns.markets if mic not in given and not known_fees(mic)]
    return [say("trade.unknown_market", mic=mic) for mic in unknown]


def _same_days(ledger: Sequence[LedgerEntry]) -> list[str]:
    """Name events and shocks that share day 0."""
    events: dict[tuple[str, str], list[str]] = {}
    shocks: dict[str, set[str]] = {}
    for row in ledger:
        if row.status in USED:
            events.setdefault((row.session, row.ticker), []).append(row.event_id)
            shocks.setdefault(row.session, set()).add(row.shock_id)
    peers: dict[tuple[str, str], int] = {}
    for (session, _), names in events.items():
        if len(names) > 1:
            key = session, ", ".join(sorted(names))
            peers[key] = peers.get(key, 0) + 1
    return [
        *(say("events.same_day", events=names, day=day, n=n) for (day, names), n in sorted(peers.items())),
        *(
            say("events.shared_day", shocks=", ".join(sorted(names)), day=day)
            for day, names in sorted(shocks.items())
            if len(names) > 1
        ),
    ]


def without_prices(ledger: Sequence[LedgerEntry]) -> list[str]:
    """Name the peers whose firm-events are dropped because they have no prices, with the reason of the first."""
    rows = [row for row in ledger if row.reason.code == "reason.no_prices"]
    if not rows:
        return []
    tickers = list(dict.fromkeys(row.ticker for row in rows))
    return [
        say("events.no_prices", tickers=_some(tickers, len(tickers)), n=len(rows), text=rows[0].reason.fields["text"])
    ]


def beside(names: Sequence[str], n: int) -> list[str]:
    """Count the firm-events in the event window of an earlier one of their security, and name the first few."""
    return [say("events.beside", n=n, events=_some(names, n))] if n else []


def without_car(windows: Sequence[Window], cars: NDArray[np.float64], name: Callable[[int], str]) -> list[str]:
    """Count the used firm-events without a CAR in each window; ``cars`` (W, N)."""
    lacking = ~np.isfinite(cars)
    rows = np.flatnonzero(lacking.any(axis=0)).tolist()
    if not rows:
        return []
    counts = zip(windows, lacking.sum(axis=1).tolist(), strict=True)
    told = ", ".join(f"{window_name(window)} {n}" for window, n in counts if n)
    names = _some([name(row) for row in rows[:NAMED]], len(rows))
    return [say("events.without_car", n=len(rows), total=cars.shape[1], windows=told, events=names)]


def _some(names: Sequence[str], n: int) -> str:
    """The first few of n names."""
    return ", ".join(names[:NAMED]) + (" …" if n > NAMED else "")
