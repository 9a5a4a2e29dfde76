"""Make the packs that a change of the code is held against: ``python keep_packs.py DIR``.

The packs are made by whatever ``eventstudy`` this Python imports, from the events beside this project, so
that two versions of the code can be held against each other with the same inputs:

    PYTHONPATH=OLD python tests/support/keep_packs.py kept/old
    PYTHONPATH=NEW python tests/support/keep_packs.py kept/new
    python tests/support/compare_packs.py kept/old kept/new

Packs hold tables and numbers, no pages: these say nothing that the tables do not. Real prices are those of
the folder that ``--prices`` names; where it is absent the packs that need it are left out, and told.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np

PROJECT = Path(__file__).parents[2]
#: Only what the comparison reads.
TABLES_ONLY = ("--set", 'report.formats=["csv","json"]')
#: Settings of the long price file: short windows, since it holds 300 sessions.
MARKET = ("--set", "windows.estimation=[-80,-11]", "--set", "windows.minimum=40", "--benchmark", "^IDX")
#: Its days are those of no exchange: every weekday.
MARKET += ("--accept-suspect",)
SESSIONS, SECURITIES, EVENTS, SEED = 300, 12, 150, 20240101


def run_command(arguments: list[str], home: Path) -> Path:
    """Run ``eventstudy`` with these arguments and return the folder that it says it wrote.

    It runs in ``home``, with caches of its own: neither settings nor prices nor logged trials of this
    machine's user reach a pack.
    """
    home.mkdir(parents=True, exist_ok=True)
    own = {"HOME": str(home), "XDG_CACHE_HOME": str(home / "cache"), "XDG_DATA_HOME": str(home / "data")}
    done = subprocess.run(
        [sys.executable, "-m", "eventstudy", *arguments],
        cwd=home,
        env={**os.environ, **own},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise SystemExit(f"eventstudy {' '.join(arguments)} ended with {done.returncode}:\n{done.stderr}")
    return home / done.stdout.strip().splitlines()[-1]


def market_files(folder: Path) -> tuple[Path, Path]:
    """Write a long price file of a market with gaps and its events, from a seed; prices and events."""
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(SEED)
    days = np.busday_offset("2024-01-01", np.arange(SESSIONS), roll="forward")
    index = rng.standard_t(5, SESSIONS) * 0.008
    rows = ["ticker,date,adj_close"]
    names = [f"S{number}" for number in range(SECURITIES)]
    for number, name in enumerate(["^IDX", *names]):
        beta = 1.0 if number == 0 else 0.6 + 0.1 * number
        own = 0.0 if number == 0 else rng.standard_t(5, SESSIONS) * 0.015
        price = 50.0 * np.cumprod(1.0 + beta * index + own)
        there = rng.random(SESSIONS) > (0.0 if number == 0 else 0.004)
        pairs = zip(days[there], price[there].tolist(), strict=True)
        rows += [f"{name},{day},{value!r}" for day, value in pairs]
    events = zip(rng.choice(names, EVENTS), days[rng.integers(100, SESSIONS - 21, EVENTS)], strict=True)
    prices, asked = folder / "prices.csv", folder / "events.csv"
    prices.write_text("\n".join([*rows, ""]), encoding="utf-8")
    asked.write_text("\n".join(["ticker,date", *(f"{t},{d}" for t, d in events), ""]), encoding="utf-8")
    return prices, asked


def commands(prices: Path | None, made: Mapping[str, Path], home: Path) -> dict[str, Callable[[], list[str]]]:
    """What makes each pack, by its name; ``made`` holds the packs that are there when it is asked."""
    events = str(PROJECT / "events.csv")
    plain: dict[str, Callable[[], list[str]]] = {
        "healthcare": lambda: ["run", "--example", "healthcare", *TABLES_ONLY],
        "simulated": lambda: ["run", events, "--prices", "simulated", *TABLES_ONLY],
        "volume_simulated": lambda: [
            *("run", events, "--prices", "simulated", "--set", "study.kind=volume", *TABLES_ONLY)
        ],
        "market": lambda: _market(home),
        "simulate": lambda: [*("simulate", "--example", "healthcare", "--draws", "60", "--dates", "6", "--peers", "4")],
    }
    if prices is None:
        return plain
    real = ["run", events, "--prices", str(prices), *TABLES_ONLY]
    return {
        "optical": lambda: real,
        **plain,
        "volume": lambda: [*real, "--set", "study.kind=volume"],
        "pool": lambda: ["pool", str(made["optical"]), str(made["healthcare"])],
    }


def _market(home: Path) -> list[str]:
    prices, events = market_files(home / "market_files")
    return ["market", str(events), "--prices", str(prices), *MARKET]


def keep_packs(target: Path, prices: Path | None, only: tuple[str, ...] = ()) -> dict[str, Path]:
    """Make every pack as ``target/NAME`` in place of one that is there, and return them by name."""
    home = (target / "home").resolve()
    made: dict[str, Path] = {}
    for name, command in commands(prices, made, home).items():
        place = target.resolve() / name
        if only and name not in only:
            if place.is_dir():
                made[name] = place
            continue
        start = time.monotonic()
        arguments = command()
        written = run_command([*arguments, "--quiet", "--out", str(home / name)], home)
        shutil.rmtree(place, ignore_errors=True)
        shutil.move(str(written.resolve()), place)
        made[name] = place
        print(f"{name}: {time.monotonic() - start:.0f} s", flush=True)
    shutil.rmtree(home, ignore_errors=True)
    return made


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("target", type=Path, metavar="DIR")
    parser.add_argument("--prices", type=Path, default=PROJECT.parent / "shared" / "data" / "prices")
    parser.add_argument("--only", nargs="+", default=[], metavar="NAME", help="make these packs again")
    given = parser.parse_args()
    if hasattr(os, "nice"):
        os.nice(1)
    prices = given.prices.resolve() if given.prices.is_dir() else None
    if prices is None:
        print(f"no prices at {given.prices}: optical, volume and pool are left out", file=sys.stderr)
    keep_packs(given.target, prices, tuple(given.only))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
