"""Studies of three peers over ten years of generated prices, judged; and days on which they fell."""

from __future__ import annotations

import functools
import tempfile
from pathlib import Path

import numpy as np
from studies import event_row, write_events, write_prices, write_study

from eventstudy.config import load_config
from eventstudy.core.estimation import Computed, compute, groups, headline_group
from eventstudy.events import Events, read_events
from eventstudy.prices.sources import get_prices
from eventstudy.reversal import Shocks, study_shocks
from eventstudy.reversal.controls import past_drops
from eventstudy.reversal.drops import PeerDrops
from eventstudy.reversal.history import History
from eventstudy.shocks import with_shocks

#: Ends of the price history that every list of events here must span, so that all see the same prices.
ENDS = (event_row("FIRST", "2014-02-04", kind="other"), event_row("LAST", "2022-10-04", kind="other"))
LOW = ("reversal.drop_min=0.01", "reversal.drop_k=1.0")


def study(tmp_path: Path, rows: list[str], *overrides: str) -> tuple[Computed, Shocks]:
    """Judge events of AAA, BBB, CCC on generated prices of ten years."""
    own = tmp_path / "prices"
    folder = own if own.exists() else Path(shared_prices().name)
    events = read_events(write_events(tmp_path, rows))
    settings = (*LOW, *overrides)
    config = load_config(tmp_path / "events.csv", config_file=write_study(tmp_path), overrides=settings)
    prices = get_prices(events, config, str(folder), tell=print)
    computed = compute(with_shocks(events, config), config, prices)
    samples = list(groups(computed.sample, events, config))
    headline = next(sample for sample in samples if sample.group == headline_group(config))
    return computed, study_shocks(computed, headline, config)


def misread(event_id: str, day: str, **cells: str) -> str:
    return event_row(event_id, day, label="misreading", label_asof=day, **cells)


@functools.lru_cache(maxsize=1)
def shared_prices() -> tempfile.TemporaryDirectory[str]:
    """Prices that all studies without their own use; written once, removed at the end."""
    folder: tempfile.TemporaryDirectory[str] = tempfile.TemporaryDirectory()
    write_prices(Path(folder.name), start="2013-01-02", end="2022-12-30")
    return folder


def portfolio_on(history: History, tickers: tuple[str, ...], days: np.ndarray) -> PeerDrops:
    """What the peers' portfolio did on days of the history on which it has every number."""
    found = past_drops([(history, {tickers: days})])[0][tickers]
    return found.take(np.isfinite(found.post) & np.isfinite(found.traits).all(axis=1))


def made_drops(day: np.ndarray, traits: np.ndarray, drop: np.ndarray, post: np.ndarray) -> PeerDrops:
    """Drops that qualify, with these numbers and no others."""
    n = len(day)
    return PeerDrops(
        day=day,
        drop=drop,
        post=post,
        share_negative=np.ones(n),
        qualifies=np.ones(n, dtype=bool),
        traits=traits,
        sigma=np.ones(n),
        recent=np.ones(n),
    )


@functools.lru_cache(maxsize=1)
def falls_of_history() -> PeerDrops:
    """The peers' portfolio on every day of the history."""
    with tempfile.TemporaryDirectory() as folder:
        _, shocks = study(Path(folder), [misread("E1", "2021-06-09")])
    days = shocks.history.days(("AAA", "BBB", "CCC"))
    return portfolio_on(shocks.history, ("AAA", "BBB", "CCC"), days[300:-40])


def drop_days(count: int, apart: int = 50) -> list[str]:
    """Days over ``apart`` days apart on which the peers fell together, ordinary falls chosen first."""
    falls = falls_of_history()
    typical = np.median(falls.traits[falls.qualifies], axis=0)
    spread = falls.traits[falls.qualifies].std(axis=0)
    far = (np.abs(falls.traits - typical) / spread).sum(axis=1)
    chosen: list[int] = []
    for row in np.argsort(np.where(falls.qualifies, far, np.inf)):
        if all(abs(int(row) - other) > apart for other in chosen):
            chosen.append(int(row))
    found = sorted(str(np.datetime64(int(falls.day[row]), "D")) for row in chosen[:count])
    assert len(found) == count, f"{len(found)} days, not {count}"
    return found


def many(tmp_path: Path, count: int = 8, *overrides: str) -> tuple[Computed, Shocks, Events]:
    """Misreadings and genuine news in turn on days when the peers fell."""
    days = drop_days(count)
    labels = ("misreading", "genuine")
    rows = [event_row(f"E{i}", day, label=labels[i % 2], label_asof=day) for i, day in enumerate(days)]
    computed, shocks = study(tmp_path, [*rows, *ENDS], *overrides)
    return computed, shocks, read_events(tmp_path / "events.csv")
