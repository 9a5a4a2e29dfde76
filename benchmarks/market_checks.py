"""What the checks of prices cost `eventstudy market`: whole runs with them and without, in turns.

    python benchmarks/market_checks.py [--events 1000000] [--rounds 3]

Without the checks prices become returns and nothing is looked at. Seconds of the processor, one process; the
ratio is the median of the turns'. The last run is kept in RESULTS-more.md.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from record import recorded

from eventstudy.config import StudyConfig
from eventstudy.core.returns import one_session_returns
from eventstudy.large import engine
from eventstudy.large.event_list import read_list
from eventstudy.large.trust import Checked
from eventstudy.prices.quality.wide import SuspectDays

SESSIONS, SECURITIES = 2_500, 1_000


def main() -> None:
    """Run in turns and print seconds and ratios."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--events", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_files(folder, given.events)
        seconds: dict[str, list[float]] = {"with": [], "without": []}
        for turn in range(given.rounds):
            for kind in ("with", "without") if turn % 2 == 0 else ("without", "with"):
                seconds[kind].append(timed(folder, checks=kind == "with"))
    ratios = np.array(seconds["with"]) / np.array(seconds["without"])
    print(f"{given.events} events on {SECURITIES} securities, {SESSIONS} sessions, prices from Parquet")
    for kind, spent in seconds.items():
        print(f"{kind + ' checks':<18}{np.median(spent):8.2f} s")
    print(f"{'ratio':<18}{np.median(ratios):8.3f}   {ratios.min():.3f} to {ratios.max():.3f} over {len(ratios)} turns")


def write_files(folder: Path, n: int) -> None:
    """Prices of a market with its index, sorted by ticker, and events all over them."""
    rng = np.random.default_rng(1)
    days = np.busday_offset("2014-01-01", np.arange(SESSIONS), roll="forward")
    market = 0.01 * rng.standard_normal(SESSIONS)
    noise = 0.02 * rng.standard_normal((SECURITIES, SESSIONS))
    returns = np.vstack([rng.uniform(0.5, 1.5, SECURITIES)[:, None] * market + noise, market])
    names = np.array([*(f"S{i:04}" for i in range(SECURITIES)), "_IDX"])
    prices = {
        "ticker": pa.array(np.repeat(names, SESSIONS)),
        "date": pa.array(np.tile(days, len(names))),
        "adj_close": 50.0 * np.cumprod(1.0 + returns, axis=1).ravel(),
    }
    pq.write_table(pa.table(prices), folder / "prices.parquet", row_group_size=250_000)
    tickers, dates = names[rng.integers(0, SECURITIES, n)], days[rng.integers(265, SESSIONS - 25, n)]
    pq.write_table(pa.table({"ticker": tickers, "date": pa.array(dates)}), folder / "events.parquet")


def timed(folder: Path, *, checks: bool) -> float:
    """Seconds of the processor that one run takes."""
    names = ("checked_block", "stop_or_tell")
    patched = {name: getattr(engine, name) for name in names} if checks else dict(zip(names, UNCHECKED, strict=True))
    with tempfile.TemporaryDirectory(dir=folder) as scratch, mock.patch.multiple(engine, **patched):
        start = time.process_time()
        events = read_list(folder / "events.parquet")
        engine.run_market(events, folder / "prices.parquet", "_IDX", StudyConfig(), scratch=Path(scratch))
        return time.process_time() - start


def unchecked_block(values: Any, kind: str, *_: Any, are_returns: bool) -> Any:
    """Returns of a block, and checks that saw nothing."""
    returns = values if are_returns else one_session_returns(values, kind)
    none = np.empty(0, dtype=np.intp)
    nothing = SuspectDays(none, none, none.astype(np.int8), none.astype(float))
    ends = np.full(len(values), values.shape[1] - 1)
    return returns, Checked(nothing, ends, np.zeros(len(values), dtype=bool), np.zeros((2, values.shape[1])))


UNCHECKED = (unchecked_block, lambda *_: [])

if __name__ == "__main__":
    recorded(main, ("numpy", "pyarrow", "numba"))
