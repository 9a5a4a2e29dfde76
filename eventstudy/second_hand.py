"""A second process that takes its share of the tests and the drawing while the first does the rest.

It is started before the numbers are there, so that its imports cost no waiting.
"""

from __future__ import annotations

import importlib
import multiprocessing
import os
import signal
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from multiprocessing.connection import Connection
from typing import Any


class SecondHand:
    """Runs functions in a process of its own, one after another."""

    def __init__(self, link: Connection) -> None:
        self._link = link

    def start(self, function: Callable[..., Any], *arguments: Any) -> None:
        """Begin ``function(*arguments)``; a function of a module, and arguments that can be pickled."""
        self._link.send((function, arguments))

    def finish(self) -> Any:
        """Wait for the oldest function begun, and return what it returned or raise what it raised.

        Raises
        ------
        OSError
            If the process has ended.
        """
        try:
            value, failure = self._link.recv()
        except EOFError as error:
            raise OSError("the second process has ended") from error
        if failure is not None:
            raise failure
        return value


@contextmanager
def second_hand(*, wanted: bool, ready: Sequence[str] = ()) -> Iterator[SecondHand | None]:
    """Give a second hand, or None where it is not wanted or the machine has one processor.

    It imports the modules named in ``ready`` before it takes work.
    """
    if not wanted or (os.cpu_count() or 1) < 2:
        yield None
        return
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_serve, args=(theirs, tuple(ready)), daemon=True)
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


def _serve(link: Connection, ready: Sequence[str]) -> None:
    for module in ready:
        importlib.import_module(module)
    while True:
        try:
            function, arguments = link.recv()
        except (EOFError, OSError):
            return
        value, failure = None, None
        try:
            value = function(*arguments)
        except Exception as error:
            failure = error
        try:
            link.send((value, failure))
        except OSError:
            return
