"""Other news around the shocks, and the verdict without the peers or dates that it touches."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from eventstudy.config import StudyConfig
from eventstudy.core.statistics.dates import t_interval
from eventstudy.core.windows import Request
from eventstudy.errors import EventsError, Problem
from eventstudy.events import read_records
from eventstudy.messages import joined, say
from eventstudy.reversal.dates import date_sets
from eventstudy.reversal.history import day_codes
from eventstudy.reversal.matching import matched_sets
from eventstudy.reversal.measured import NAN, Measure
from eventstudy.reversal.permutation import excess, matched_permutation
from eventstudy.reversal.shocks import Judgement

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
    rows, problems = [], []
    for line, record in read_records(path, COLUMNS, REQUIRED):
        try:
            date = dt.date.fromisoformat(record["date"])
        except ValueError:
            text = f"date {record['date']!r} is no date; write it as 2026-06-09"
            problems.append(Problem(text, str(path), line))
            continue
        if record["ticker"] not in known:
            text = f"ticker {record['ticker']!r} is no peer of this study; name a peer, or * for all of them"
            problems.append(Problem(text, str(path), line))
            continue
        ticker = record["ticker"]
        name = ticker if ticker == EVERYONE else config.peer(ticker).ticker
        rows.append(Confounder(date, name, record["kind"], record.get("note", "")))
    if problems:
        raise EventsError(problems)
    return tuple(rows)


def touched(judgement: Judgement, news: Sequence[Confounder]) -> NDArray[np.bool_]:
    """Which rows of the shocks' panel have other news of their own or of all in [-1, +20], (N,)."""
    panel = judgement.portfolios.abnormal.panel
    marks = np.zeros(len(panel), dtype=bool)
    for row in range(len(panel)):
        marks[row] = any(
            item.ticker in (EVERYONE, str(panel.ticker[row])) for item in news if _near(judgement, row, item.date)
        )
    return marks


def _near(judgement: Judgement, row: int, date: dt.date) -> bool:
    panel = judgement.portfolios.abnormal.panel
    grid = day_codes(judgement.history.panel.markets[str(panel.market[row])].sessions)
    code = int(day_codes(np.array([date], dtype="datetime64[D]"))[0])
    gap = int(np.searchsorted(grid, code) - np.searchsorted(grid, panel.day0[row]))
    return AROUND[0] <= gap <= AROUND[1]


def confounder_runs(judgement: Judgement, news: Sequence[Confounder]) -> list[Measure]:
    """Measure the excess three times: all, without the peers touched, without the dates touched.

    Notes
    -----
    Without a peer its shock's placebos are formed without it as well. News of all peers (``*``)
    touches the date, not single peers.
    """
    if not news:
        return []
    own = [item for item in news if item.ticker != EVERYONE]
    mask = judgement.asked
    group = f"label={judgement.history.config.reversal.label}"
    return [
        _run(judgement, f"{group};confounders=all", mask, np.zeros(len(judgement.portfolios.abnormal), bool)),
        _run(judgement, f"{group};confounders=without_peers", mask, touched(judgement, own)),
        _run(
            judgement,
            f"{group};confounders=without_dates",
            mask & ~_dates_touched(judgement, news),
            np.zeros(len(judgement.portfolios.abnormal), bool),
        ),
    ]


def _dates_touched(judgement: Judgement, news: Sequence[Confounder]) -> NDArray[np.bool_]:
    portfolios = judgement.portfolios
    marks = touched(judgement, news)[portfolios.members].astype(float)
    return portfolios.total(marks) > 0


def _run(judgement: Judgement, group: str, mask: NDArray[np.bool_], left_out: NDArray[np.bool_]) -> Measure:
    panel = judgement.portfolios.abnormal.panel
    config = judgement.history.config
    gone = set(zip(panel.shock_id[left_out].tolist(), panel.ticker[left_out].tolist(), strict=True))
    requests: Mapping[str, Sequence[Request]] = {
        mic: [r for r in rows if (r.shock_id, r.ticker) not in gone] for mic, rows in judgement.requests.items()
    }
    rows = np.flatnonzero(mask)
    tickers = [
        tuple(t for t in mine if (str(shock), t) not in gone)
        for shock, mine in zip(judgement.drops.shock_id, judgement.tickers, strict=True)
    ]
    found = judgement.benchmarks
    days = [found.days(k) if mask[k] else np.zeros(0, dtype=np.int64) for k in range(len(tickers))]
    note = say("note.left_out", n=len(gone), k=int((judgement.asked & ~mask).sum()))
    if not len(rows) or not any(tickers[k] for k in rows):
        return Measure(
            measure="excess_post",
            group=group,
            estimate=NAN,
            lower=NAN,
            upper=NAN,
            p_value=NAN,
            n_dates=0,
            note=joined((say("note.no_date"), note)),
        )
    shocks = [str(name) for name in judgement.drops.shock_id]
    sets = matched_sets(replace(judgement.history), requests, shocks, tickers, days)
    events, others = sets.car(config.windows.post)
    rows = np.array([k for k in rows if np.isfinite(events[k]) and len(others[k])], dtype=np.intp)
    post, kept = date_sets(judgement.drops.day0[rows], events[rows], [others[k] for k in rows])
    x = excess(post, kept)
    test = matched_permutation(post, kept, draws=config.tests.draws, seed=config.study.seed)
    low, high = t_interval(x)
    mean = float(x.mean()) if len(x) else NAN
    return Measure(
        measure="excess_post",
        group=group,
        estimate=mean,
        lower=low,
        upper=high,
        p_value=test.two_sided,
        n_dates=len(x),
        note=note,
    )


def news_days(news: Sequence[Confounder]) -> NDArray[np.int64]:
    """Days of the news, as days since 1970."""
    return np.unique(day_codes(np.array([item.date for item in news], dtype="datetime64[D]")))
