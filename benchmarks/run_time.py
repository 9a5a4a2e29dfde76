"""What a run of today's code costs against that of another checkout, and when its verdict stands on the terminal.

    python benchmarks/run_time.py ../older --prices prices [--rounds 5] [events.csv]

Both checkouts take turns on the same events and prices, each run a process of its own with the checkout on PYTHONPATH.
Printed are the ratios of neighbouring runs, of the wall and of the processor with children, median and range, and the
share of the wall that had passed when the verdict's frame was printed.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

HERE = Path(__file__).resolve().parent.parent


class Run(NamedTuple):
    """Seconds of one run: wall, processor, and until the verdict was printed."""

    wall: float
    cpu: float
    verdict: float


def main() -> None:
    """Let both checkouts take turns and print the ratios."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("older", type=Path, help="root of the other checkout")
    parser.add_argument("events", type=Path, nargs="?", default=HERE / "events.csv")
    parser.add_argument("--prices", type=Path, required=True)
    parser.add_argument("--rounds", type=int, default=5)
    given = parser.parse_args()
    arguments = ["run", str(given.events.absolute()), "--prices", str(given.prices.resolve())]
    pairs = []
    for _ in range(given.rounds):
        old, new = (timed(root.resolve(), arguments) for root in (given.older, HERE))
        pairs.append((old, new))
        print(f"older {old.wall:.1f} s wall, {old.cpu:.1f} s of the processor; today {new.wall:.1f} and {new.cpu:.1f}")
    print(f"wall      {ratio([new.wall / old.wall for old, new in pairs])}")
    print(f"processor {ratio([new.cpu / old.cpu for old, new in pairs])}")
    print(f"verdict after {ratio([new.verdict / new.wall for _, new in pairs])} of today's wall")


def timed(root: Path, arguments: Sequence[str]) -> Run:
    """Run the command with the package of one checkout, in its folder."""
    environment = {**os.environ, "PYTHONPATH": str(root), "COLUMNS": "100"}
    with tempfile.TemporaryDirectory() as out:
        command = [sys.executable, "-u", "-m", "eventstudy", *arguments, "--out", out]
        start, verdict = time.perf_counter(), float("nan")
        process = subprocess.Popen(  # noqa: S603
            command, cwd=root, env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )
        for line in process.stdout or ():
            if line.startswith("╭") and verdict != verdict:
                verdict = time.perf_counter() - start
        _, status, used = os.wait4(process.pid, 0)
        assert status == 0, (root, command)
        return Run(time.perf_counter() - start, used.ru_utime + used.ru_stime, verdict)


def ratio(values: Sequence[float]) -> str:
    """Return the median with the smallest and the largest."""
    return f"{statistics.median(values):.2f} ({min(values):.2f} to {max(values):.2f})"


if __name__ == "__main__":
    main()
