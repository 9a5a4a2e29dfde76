"""What a list too long for memory costs: the whole pack of `eventstudy run` against its two files and the engine alone.

    python benchmarks/long_list.py [--events 100000 1000000]

Prices and events are CSV files of 5,000 tickers over five years. Each run is a process of its own: its wall time,
the processor's time, and the most memory that it or one of its children held. The last run is kept in RESULTS-more.md.
"""

from __future__ import annotations

import argparse
import datetime as dt
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv as pa_csv
from record import recorded

from eventstudy.exchanges.calendars import sessions

SECURITIES = 5_000
#: The engine alone, as a program: events, prices, scratch folder.
ENGINE = """
import sys
from pathlib import Path
from eventstudy.config import StudyConfig
from eventstudy.large.engine import run_market
from eventstudy.large.event_list import read_list
events, prices, scratch = map(Path, sys.argv[1:])
run_market(read_list(events), prices, "^GSPC", StudyConfig(), scratch=scratch)
"""


def main() -> None:
    """Run both for each number of events and print seconds, megabytes and the ratio."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--events", type=int, nargs="+", default=[100_000, 1_000_000])
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        days = write_prices(folder / "prices.csv")
        print(f"{SECURITIES} tickers, {len(days)} sessions, both files CSV")
        for n in given.events:
            events = write_events(folder / f"events-{n}.csv", n, days)
            scratch = folder / f"scratch-{n}"
            scratch.mkdir()
            engine = measured(["-c", ENGINE, str(events), str(folder / "prices.csv"), str(scratch)])
            options = ["--prices", str(folder / "prices.csv"), "--out", str(folder / f"out-{n}"), "--quiet"]
            pack = measured(["-m", "eventstudy", "run", str(events), *options])
            for name, (wall, cpu, memory) in (("files and engine", engine), ("whole pack", pack)):
                print(f"{n:>9,} events  {name:<16} {wall:6.1f} s, of the processor {cpu:6.1f} s {memory:6.0f} MB")
            print(f"{'':>16}  ratio {pack[1] / engine[1]:.2f} of the processor's time")


def write_prices(path: Path) -> np.ndarray:
    """Prices of a market and its index in one long file; return the sessions."""
    rng = np.random.default_rng(1)
    days = sessions("XNYS", dt.date(2019, 1, 1), dt.date(2023, 12, 31))
    market = 0.01 * rng.standard_normal(len(days))
    noise = 0.02 * rng.standard_normal((SECURITIES, len(days)))
    returns = np.vstack([rng.uniform(0.5, 1.5, SECURITIES)[:, None] * market + noise, market])
    names = np.array([*(f"S{i:04}" for i in range(SECURITIES)), "^GSPC"])
    prices = {
        "ticker": pa.array(np.repeat(names, len(days))),
        "date": pa.array(np.tile(days, len(names))),
        "adj_close": np.round(50.0 * np.cumprod(1.0 + returns, axis=1), 6).ravel(),
    }
    pa_csv.write_csv(pa.table(prices), path)
    return days


def write_events(path: Path, n: int, days: np.ndarray) -> Path:
    """Events of all tickers on all days that have an estimation window."""
    rng = np.random.default_rng(n)
    tickers = np.array([f"S{i:04}" for i in rng.integers(0, SECURITIES, n)])
    table = {"ticker": tickers, "date": pa.array(days[rng.integers(265, len(days) - 25, n)])}
    pa_csv.write_csv(pa.table(table), path)
    return path


def measured(arguments: list[str]) -> tuple[float, float, float]:
    """Wall seconds, seconds of the processor and peak megabytes of a Python process, its children counted."""
    start = time.perf_counter()
    process = subprocess.Popen([sys.executable, *arguments], stdout=subprocess.DEVNULL)  # noqa: S603
    _, status, used = os.wait4(process.pid, 0)
    assert status == 0, arguments
    return time.perf_counter() - start, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024


if __name__ == "__main__":
    recorded(main, ("numpy", "pyarrow", "numba"))
