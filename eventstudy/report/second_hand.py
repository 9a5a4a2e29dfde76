"""A second process that draws half the figures and writes the workbook while the first does the rest.

It is started before the numbers are there, so that its imports cost no waiting.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from typing import Any


class SecondHand:
    """Runs functions of `eventstudy.report.pack` by name in a process of its own, one after another."""

    def __init__(self, link: Connection) -> None:
        self._link = link
        self._open = 0

    def start(self, name: str, *arguments: Any) -> None:
        """Begin ``pack.name(*arguments)``; both must be picklable."""
        self._link.send((name, arguments))
        self._open += 1

    def finish(self) -> None:
        """Wait for the oldest function begun, and raise what it raised.

        Raises
        ------
        OSError
            If the process has ended.
        """
        self._open -= 1
        try:
            failure = self._link.recv()
        except EOFError as error:
            raise OSError("the process that draws figures has ended") from error
        if failure is not None:
            raise failure


@contextmanager
def second_hand(*, wanted: bool) -> Iterator[SecondHand | None]:
    """Give a second hand, or None where it is not wanted or the machine has one processor."""
    if not wanted or (os.cpu_count() or 1) < 2:
        yield None
        return
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_serve, args=(theirs,), daemon=True)
    # An interrupt from the keyboard reaches the whole group; the first process answers for both.
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        process.start()
    finally:
        signal.signal(signal.SIGINT, before)
    theirs.close()
    try:
        yield SecondHand(ours)
    finally:
        # The end of the link ends the process, also when this one is killed.
        ours.close()
        process.join(timeout=5)
        if process.is_alive():
            process.terminate()


def _serve(link: Connection) -> None:
    from eventstudy import plots
    from eventstudy.report import pack, workbook

    del plots, workbook
    while True:
        try:
            name, arguments = link.recv()
        except (EOFError, OSError):
            return
        failure: Exception | None = None
        try:
            getattr(pack, name)(*arguments)
        except Exception as error:
            failure = error
        link.send(failure)
