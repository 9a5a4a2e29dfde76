"""Other news around the shocks: the verdict without affected shocks, other events in the post window."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from eventstudy.config import StudyConfig
from eventstudy.core.arrays import Bools, Counts, Texts
from eventstudy.errors import EventsError, Problem, Reason
from eventstudy.events import Event, Events, read_records
from eventstudy.exchanges.calendars import Alignment
from eventstudy.reversal.history import day_codes, matched_sets
from eventstudy.reversal.measure import Measure, mean_measure
from eventstudy.reversal.permutation import date_sets, excess, matched_permutation
from eventstudy.reversal.study_shocks import Shocks

COLUMNS = ("date", "ticker", "kind", "note")
REQUIRED = ("date", "ticker", "kind")
#: Ticker that stands for all peers.
EVERYONE = "*"
#: Sessions around day 0 in which other news confounds a shock.
AROUND = (-1, 20)


@dataclass(frozen=True, slots=True)
class Confounder:
    """One piece of other news: earnings, an index change, a macro release. ``*`` touches every peer."""

    date: dt.date
    ticker: str
    kind: str
    note: str = ""


def read_confounders(path: Path, config: StudyConfig) -> tuple[Confounder, ...]:
    """Read and check a confounders file.

    Raises
    ------
    EventsError
        With every problem found: a column missing or unknown, a date that is none, a ticker that is
        neither a peer nor ``*``.
    """
    known = {name for peer in config.peers for name in (peer.ticker, *peer.aliases)} | {EVERYONE}
    rows: list[Confounder] = []
    problems: list[Problem] = []
    for line, record in read_records(path, COLUMNS, REQUIRED):
        ticker = record["ticker"]
        try:
            date = dt.date.fromisoformat(record["date"])
        except ValueError:
            problems.append(Problem(f"date {record['date']!r} is not a date; write it as 2026-06-09", str(path), line))
            continue
        if ticker not in known:
            text = f"ticker {ticker!r} is no peer of this study; name a peer, or * for all of them"
            problems.append(Problem(text, str(path), line))
            continue
        name = ticker if ticker == EVERYONE else config.peer(ticker).ticker
        rows.append(Confounder(date, name, record["kind"], record.get("note", "")))
    if problems:
        raise EventsError(problems)
    return tuple(rows)


def news_days(news: Sequence[Confounder]) -> Counts:
    """Days of the news, as days since 1970."""
    return np.unique(day_codes(np.array([item.date for item in news], dtype="datetime64[D]")))


def touched(shocks: Shocks, news: Sequence[Confounder]) -> Bools:
    """Which rows of the shocks' panel have other news of their own or of all in [-1, +20], (N,)."""
    panel = shocks.portfolios.abnormal.panel
    days = day_codes(np.array([item.date for item in news], dtype="datetime64[D]"))
    marks = np.zeros(len(panel), dtype=bool)
    for row, ticker in enumerate(panel.ticker.tolist()):
        grid = day_codes(shocks.history.panel.markets[str(panel.market[row])].sessions)
        gaps = np.searchsorted(grid, days) - np.searchsorted(grid, panel.day0[row])
        about = np.array([item.ticker in (EVERYONE, ticker) for item in news], dtype=bool)
        marks[row] = (about & (gaps >= AROUND[0]) & (gaps <= AROUND[1])).any()
    return marks


def confounder_runs(shocks: Shocks, news: Sequence[Confounder], config: StudyConfig) -> list[Measure]:
    """Measure the excess three times: all, without the peers touched, without the dates touched.

    Notes
    -----
    Without a peer its shock's placebos are formed without it as well. News of all peers (``*``)
    touches the date, not single peers.
    """
    if not news:
        return []
    mask, portfolios = shocks.asked, shocks.portfolios
    none = np.zeros(len(portfolios.abnormal), dtype=bool)
    own = touched(shocks, [item for item in news if item.ticker != EVERYONE])
    dates = portfolios.total(touched(shocks, news)[portfolios.members].astype(float)) > 0
    group = f"{shocks.question};confounders"
    return [
        _without(shocks, f"{group}=all", mask, none, config),
        _without(shocks, f"{group}=without_peers", mask, own, config),
        _without(shocks, f"{group}=without_dates", mask & ~dates, none, config),
    ]


def _without(shocks: Shocks, group: str, mask: Bools, left_out: Bools, config: StudyConfig) -> Measure:
    """Excess of the marked shocks without the firm-events that are left out, by portfolios formed anew."""
    panel, drops = shocks.portfolios.abnormal.panel, shocks.drops
    gone = set(zip(panel.shock_id[left_out].tolist(), panel.ticker[left_out].tolist(), strict=True))
    requests = {mic: [r for r in rows if (r.shock_id, r.ticker) not in gone] for mic, rows in shocks.requests.items()}
    tickers = [
        tuple(ticker for ticker in peers if (str(shock), ticker) not in gone)
        for shock, peers in zip(drops.shock_id, shocks.tickers, strict=True)
    ]
    note = Reason("note.left_out", n=len(gone), k=int((shocks.asked & ~mask).sum()))
    if not any(tickers[k] for k in np.flatnonzero(mask)):
        return Measure(measure="excess_post", group=group, note=Reason.join([Reason("note.no_date"), note]))
    sets = matched_sets(shocks.history, requests, drops.shock_id, tickers, shocks.benchmarks.days_of(mask))
    events, others = sets.car(config.windows.post)
    rows = np.array([k for k in np.flatnonzero(mask) if np.isfinite(events[k]) and len(others[k])], dtype=np.intp)
    post, kept = date_sets(drops.day0[rows], events[rows], [others[k] for k in rows])
    test = matched_permutation(post, kept, draws=config.tests.draws, seed=config.study.seed)
    return replace(mean_measure("excess_post", group, excess(post, kept), note=note), p_value=test.two_sided)


@dataclass(frozen=True, slots=True)
class OtherEvent:
    """One event of another shock in a shock's post window, on the first session that it has there."""

    shock_id: str
    event_id: str
    day: str


def other_events(
    shocks: Shocks, events: Events, alignments: Mapping[tuple[str, str], Alignment], config: StudyConfig
) -> list[OtherEvent]:
    """List the events of other shocks that meet a shock's peers within its post window, by their day.

    Placebos keep 21 sessions away from every event, the shocks themselves do not keep away from each
    other: what is listed here moved the one and cannot have moved the other.
    """
    rows = []
    for k, shock in enumerate(shocks.drops.shock_id.tolist()):
        days = [
            (min(met), event.event_id)
            for event in events
            if event.shock_id != shock and (met := list(_met(shocks, k, event, alignments, config)))
        ]
        rows += [OtherEvent(shock, name, str(day)) for day, name in sorted(days)]
    return rows


def _met(
    shocks: Shocks, k: int, event: Event, alignments: Mapping[tuple[str, str], Alignment], config: StudyConfig
) -> Iterator[np.datetime64]:
    """Sessions of an event that a peer of shock k which it is about has in the post window."""
    panel = shocks.portfolios.abnormal.panel
    first, stop = shocks.portfolios.spans()[k]
    post = (panel.tau >= config.windows.post[0]) & (panel.tau <= config.windows.post[1])
    for row in shocks.portfolios.members[first:stop]:
        peer = config.peer(str(panel.ticker[row]))
        alignment = alignments.get((event.event_id, str(panel.market[row])))
        about = not event.tickers or set(event.tickers) & {peer.ticker, *peer.aliases}
        if alignment is not None and about:
            day = np.datetime64(alignment.session, "D")
            if day_codes(np.array([day]))[0] in panel.event_sessions[row, post]:
                yield day


def other_events_of(rows: Sequence[OtherEvent], shock_id: Texts) -> Reason:
    """Say which events lie in the post windows of these shocks; the empty reason where none does."""
    shocks = []
    for shock in shock_id.tolist():
        named = [f"{item.event_id} ({item.day})" for item in rows if item.shock_id == shock]
        if named:
            shocks.append(Reason("inside.shock", shock=shock, events=", ".join(named)))
    return Reason("inside.all", shocks=Reason.join(shocks)) if shocks else Reason()
