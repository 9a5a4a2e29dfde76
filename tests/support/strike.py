"""Commands struck at random moments, by kill -9 and by Ctrl-C: ``python strike.py [--count 40] [TASK ...]``.

A strike may leave unfinished files after kill -9, until the next run; never a broken pack or snapshot. After Ctrl-C
nothing is left at once.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from bad_inputs_place import E1, make_study, whole
from fake_yahoo import FakeYahoo
from studies import event_row, write_events, write_prices, write_study

from eventstudy.cli import main
from eventstudy.errors import EventStudyError
from eventstudy.prices.snapshot import open_snapshot, read_series, verify_snapshot

HOW = ("kill", "interrupt")
TASKS = ("run", "fetch", "market", "pool")
SIGNALS = {"kill": signal.SIGKILL, "interrupt": signal.SIGINT}
#: Exit code of a try that lost its way out of the command.
LOST = 99

#: Runs in a process of its own, which imports everything once; each try is a fork of it that gets a signal after the
#: pause that stands on its line of standard input. It answers with the fork's exit code.
DRIVER = """
import os, signal, sys, time
sys.path.insert(0, sys.argv[1])
from kill_tasks import prepare, task
prepare(sys.argv[2:])
print("ready", flush=True)
for line in sys.stdin:
    pause, number = line.split()
    child = os.fork()
    if child == 0:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        code = 99
        try:
            code = task(sys.argv[2:])
        except KeyboardInterrupt:
            code = 130
        finally:
            os._exit(code)
    until = time.monotonic() + float(pause)
    done, status = 0, 0
    while not done and time.monotonic() < until:
        done, status = os.waitpid(child, os.WNOHANG)
        time.sleep(0.001)
    if not done:
        os.kill(child, int(number))
        status = os.waitpid(child, 0)[1]
    print(os.waitstatus_to_exitcode(status), flush=True)
"""


class Driver:
    """Starts a task again and again and strikes it at a moment of one's choice."""

    def __init__(self, *arguments: object, scratch: Path | None = None) -> None:
        env = {**os.environ, "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
        self.process = subprocess.Popen(
            [sys.executable, "-c", DRIVER, str(Path(__file__).parent), *map(str, arguments)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env=env | ({"TMPDIR": str(scratch)} if scratch else {}),
        )
        assert self._answer() == "ready"

    def strike_after(self, seconds: float, number: int = signal.SIGKILL) -> int:
        """Exit code of the task, -9 if it was killed."""
        assert self.process.stdin is not None
        self.process.stdin.write(f"{seconds} {int(number)}\n")
        self.process.stdin.flush()
        return int(self._answer())

    def _answer(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()

    def __enter__(self) -> Driver:
        return self

    def __exit__(self, *_: object) -> None:
        for stream in (self.process.stdin, self.process.stdout):
            assert stream is not None
            stream.close()
        self.process.wait(30)


def kills(driver: Driver, seed: int, tries: int, number: int = signal.SIGKILL) -> Iterator[int]:
    """Strike the task at so many random moments of its length; yields each exit code, of finished tries too.

    The length follows the quickest try that finished: the first one is the slowest.
    """
    moments = random.Random(seed)
    begun = time.monotonic()
    assert driver.strike_after(120) == 0
    length = time.monotonic() - begun
    yield 0
    struck = 0
    for _ in range(5 * tries):
        begun = time.monotonic()
        code = driver.strike_after(moments.uniform(0, length), number)
        assert code in (0, -signal.SIGKILL, 130), code
        if code == 0:
            length = min(length, time.monotonic() - begun)
        struck += code != 0
        yield code
        if struck == tries:
            return
    raise AssertionError(f"{struck} of {tries} strikes")


def strike(task: str, how: str, count: int, folder: Path, *, seed: int) -> list[str]:
    """Strike a task so many times; return what was broken or left."""
    scratch = folder / "tmp"
    scratch.mkdir(parents=True)
    faults: list[str] = []
    with _world(task, folder) as arguments, Driver(task, *arguments, scratch=scratch) as driver:
        begun = sorted(path.name for path in scratch.iterdir())
        for number, code in enumerate(kills(driver, seed, count, SIGNALS[how])):
            faults += [f"{number}: {text}" for text in _broken(task, folder)]
            if how == "interrupt" or code == 0:
                faults += [f"{number} (code {code}): left {name}" for name in _left(folder, begun)]
            _clear(task, folder)
        assert driver.strike_after(120) == 0
        if task == "fetch":
            verify_snapshot(folder / "snap")
        faults += [f"at the end: {text}" for text in (*_broken(task, folder), *_left(folder, begun))]
    return faults


@contextlib.contextmanager
def _world(task: str, folder: Path) -> Iterator[list[object]]:
    """Write what a task needs and give its arguments."""
    if task == "fetch":
        tickers = [f"T{n:02d}" for n in range(8)]
        write_study(folder, tickers)
        with FakeYahoo(n_bars=120, varied=True) as server:
            write_events(folder, [event_row("E1", server.days()[100].isoformat())])
            yield [folder, server.url]
        return
    if task == "pool":
        make_study(folder / "one")
        write_pack_of(folder / "one")
        make_other(folder / "two")
    else:
        make_study(folder)
        (folder / "results" / "latest").unlink()
        closes = [
            f"{path.stem},{line.split(',')[0]},{line.split(',')[2]}"
            for path in sorted((folder / "prices").glob("*.csv"))
            for line in path.read_text(encoding="utf-8").splitlines()[1:]
        ]
        (folder / "long.csv").write_text("\n".join(["ticker,date,adj_close", *closes, ""]), encoding="utf-8")
        (folder / "market.csv").write_text(f"ticker,date\nAAA,{E1}\nBBB,{E1}\nAAA,2021-09-08\n", encoding="utf-8")
    yield [folder]


def make_other(folder: Path) -> None:
    """A study of two other tickers on another day, and its pack."""
    write_prices(folder / "prices", ("CCC", "DDD"), start="2020-06-01", end="2021-12-30", seed=9)
    write_study(folder, ("CCC", "DDD"))
    write_events(folder, [event_row("F1", "2021-07-14")])
    write_pack_of(folder)


def write_pack_of(folder: Path) -> None:
    """Run a study so that its pack can be joined with others: its question is about reversals."""
    inputs = [folder / "events.csv", "--config", folder / "study.toml", "--prices", folder / "prices"]
    changed = ["--set", 'report.formats=["csv","json"]', "--set", 'reversal.ask="yes"']
    assert main(["run", *map(str, [*inputs, "--out", folder / "results", *changed, "--quiet"])]) == 0


def _broken(task: str, folder: Path) -> list[str]:
    """Packs that are not whole, and a snapshot that is not as it was stored."""
    if task == "fetch":
        try:
            # A series that was stored just before a kill stands in no manifest until the fetch goes on.
            snapshot = open_snapshot(folder / "snap") if (folder / "snap" / "manifest.json").exists() else None
            for ticker in snapshot.tickers if snapshot else ():
                read_series(snapshot, ticker)
        except EventStudyError as error:
            return [str(error)]
        return []
    results = folder / "results"
    packs = [path for path in results.iterdir() if path.is_dir() and not path.name.startswith(".")]
    named = "summary.json" if task == "pool" else "manifest.json"
    broken = [path.name for path in packs if not (path / named).is_file()]
    return broken + [path.name for path in packs if task != "pool" and path.name not in broken and not whole(path)]


def _left(folder: Path, begun: list[str]) -> list[str]:
    found = [path.name for path in (folder / "tmp").iterdir() if path.name not in begun]
    return found + [path.name for name in ("results", "snap") for path in (folder / name).glob(".[pu]*-*")]


def _clear(task: str, folder: Path) -> None:
    """Take away what is done, so that the next try has all to do again."""
    whole_ones = ["snap"] if task == "fetch" and (folder / "snap" / "T07.parquet").exists() else []
    if task in ("market", "pool"):
        whole_ones = [f"results/{path.name}" for path in (folder / "results").iterdir() if path.name[:4] == task[:4]]
    (folder / "done").mkdir(exist_ok=True)
    for name in whole_ones:
        (folder / name).rename(folder / "done" / f"{len(list((folder / 'done').iterdir()))}")


def _from_command_line() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("tasks", nargs="*", default=TASKS)
    parser.add_argument("--count", type=int, default=40)
    given = parser.parse_args()
    wrong = 0
    for task in given.tasks:
        for how in HOW:
            with tempfile.TemporaryDirectory() as scratch:
                faults = strike(task, how, given.count, Path(scratch) / "here", seed=given.count)
            wrong += len(faults)
            print(f"{task}, {how}: {given.count} strikes, {len(faults)} faults {faults[:5]}", flush=True)
    return bool(wrong)


if __name__ == "__main__":
    sys.exit(_from_command_line())
