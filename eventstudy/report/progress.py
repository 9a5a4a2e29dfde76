"""Progress display: stage and remaining time of a run, on stderr."""

from __future__ import annotations

import re
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from types import FrameType

from eventstudy.messages import catalogue

Say = Callable[[str], None]
#: Share of a run's time for each stage, by the beginning of its name: measured on 31 events of
#: 24 peers. Used only for the bar and the remaining time.
WEIGHTS = (
    ("returns", 0.03),
    ("reversal", 0.11),
    ("tests", 0.02),
    ("tables", 0.10),
    ("backtest", 0.065),
    ("figure", 0.215),
    ("images", 0.29),
    ("report.pdf", 0.10),
    ("tables", 0.04),
    ("workbook", 0.02),
    ("report.html", 0.01),
)
_PART = re.compile(r"(\d+)/(\d+)")


@contextmanager
def watched(*, silent: bool, language: str = "en", kind: str = "return") -> Iterator[Say]:
    """Context that yields a function for the name of each stage; it prints nothing if stderr is not a terminal."""
    if silent or not sys.stderr.isatty():
        yield lambda _: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    words = catalogue(language, kind)
    columns = (TextColumn("{task.description}"), BarColumn(), TimeRemainingColumn(elapsed_when_finished=True))
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task(words["progress.starting"], total=1.0)
        reached = 0.0

        def say(stage: str) -> None:
            nonlocal reached
            reached = done_before(stage, reached)
            progress.update(task, completed=reached, description=f"{stage_text(stage, words)} …")

        yield say


@contextmanager
def heeding(say: Say) -> Iterator[Say]:
    """Context that yields ``say`` with a check: it first raises a `KeyboardInterrupt` that was lost.

    Python ignores errors in callbacks of weak references, which garbage collection calls, so a Ctrl-C during one would
    be lost.
    """
    mine = threading.current_thread() is threading.main_thread()
    if not mine or signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
        yield say
        return
    came = False

    def note(number: int, frame: FrameType | None) -> None:
        nonlocal came
        came = True
        signal.default_int_handler(number, frame)

    def checked(stage: str) -> None:
        if came:
            raise KeyboardInterrupt
        say(stage)

    signal.signal(signal.SIGINT, note)
    try:
        yield checked
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def stage_text(stage: str, words: Mapping[str, str]) -> str:
    """Return the name of a stage for the terminal; a figure keeps its number and file name."""
    name, _, rest = stage.partition(" ")
    key = f"progress.{name.strip(',').replace('.', '_')}"
    return words[key].format(part=rest) if key in words else stage


def done_before(stage: str, reached: float) -> float:
    """Return the share of the work that is done when ``stage`` starts; at least ``reached``."""
    done = 0.0
    for name, weight in WEIGHTS:
        if stage.startswith(name):
            part = _PART.search(stage)
            inside = (int(part[1]) - 1) / int(part[2]) if part else 0.0
            # Tables are built before the figures and written after them; the later stage counts.
            if done + inside * weight >= reached - 1e-9:
                return min(done + inside * weight, 1.0)
        done += weight
    return reached
