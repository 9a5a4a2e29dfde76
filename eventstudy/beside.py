"""Work beside other work: in a copy of this process, where the machine can copy one and has processors."""

from __future__ import annotations

import ctypes
import gc
import multiprocessing
import os
import signal
import sys
import threading
import traceback
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Protocol

from eventstudy.errors import EventStudyError

#: Linux: the signal that a process gets when its parent ends.
_PR_SET_PDEATHSIG = 1


class Work(Protocol):
    """Something begun, whose result can be asked for once."""

    def result(self) -> Any:
        """Wait for the function begun, and return what it returned or raise what it raised."""


#: Begins ``function(*arguments)`` and gives the work at once.
Start = Callable[..., Work]


@dataclass(frozen=True, slots=True)
class _Postponed:
    function: Callable[..., Any]
    arguments: tuple[Any, ...]

    def result(self) -> Any:
        return self.function(*self.arguments)


def in_turn(function: Callable[..., Any], *arguments: Any) -> Work:
    """Do the work in this process, once its result is asked for."""
    return _Postponed(function, arguments)


@dataclass(slots=True)
class _Copies:
    """Copies of this process at work."""

    running: list[Any] = field(default_factory=list)

    def start(self, function: Callable[..., Any], *arguments: Any) -> Work:
        context = multiprocessing.get_context("fork")
        reader, writer = context.Pipe(duplex=False)
        process = context.Process(target=_work, args=(reader, writer, function, arguments), daemon=True)
        # An interrupt from the keyboard reaches the whole group, and the first process answers for all;
        # one that comes now waits until the copy, which is to ignore it, is made.
        before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        try:
            with warnings.catch_warnings():
                # Python warns of other threads, whose locks a copy may find closed: of those here the
                # linear algebra library's look after themselves, and a copy never writes to a terminal.
                warnings.simplefilter("ignore", DeprecationWarning)
                # What is there already is neither garbage nor to be looked at, page by page, by a copy.
                gc.freeze()
                process.start()
        finally:
            gc.unfreeze()
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
        writer.close()
        self.running.append(process)
        return _Copy(reader, process)

    def end(self) -> None:
        for process in self.running:
            process.terminate()
            process.join()


@dataclass(frozen=True, slots=True)
class _Copy:
    link: Connection
    process: Any

    def result(self) -> Any:
        try:
            value, failure = self.link.recv()
        except EOFError as error:
            self.process.join()
            raise EventStudyError(
                "a process that worked beside this one was ended from outside (exit code "
                f"{self.process.exitcode}): the system does that where memory runs out; free some"
            ) from error
        finally:
            self.link.close()
        if failure is not None:
            raise failure
        return value


@contextmanager
def copies() -> Iterator[Start]:
    """Give a `Start` whose work runs in copies of this process, which end with the block.

    Their arguments need no copying, results go back pickled. A library with threads of its own, such as
    Typst, must not work in them: its threads do not live on in a copy.

    `in_turn` with one processor, in a thread, in a process that may have no children, or off Linux: a
    process begun anew would import longer than it works, and elsewhere a copy of a process with threads
    of the system is not safe.
    """
    if not _can_copy():
        yield in_turn
        return
    mine = _Copies()
    try:
        yield mine.start
    finally:
        mine.end()


def _can_copy() -> bool:
    return (
        sys.platform == "linux"
        and len(os.sched_getaffinity(0)) > 1
        and threading.current_thread() is threading.main_thread()
        and not multiprocessing.current_process().daemon
    )


def _work(
    reader: Connection, writer: Connection, function: Callable[..., Any], arguments: tuple[Any, ...]
) -> None:
    """Send what the function returns or raises, and end without what a process does when it ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    reader.close()
    value, failure = None, None
    try:
        _die_with(multiprocessing.parent_process())
        # The process that will wait for this one goes first where processors are short.
        os.nice(5)
        with Path(os.devnull).open("w") as nowhere, redirect_stdout(nowhere), redirect_stderr(nowhere):
            try:
                value = function(*arguments)
            except Exception as error:
                # Where it was raised stays here; --debug shows the note.
                error.add_note(traceback.format_exc())
                failure = error
        writer.send((value, failure))
    finally:
        os._exit(0)


def _die_with(parent: Any) -> None:
    """Let the system end this process with its parent, whose locks and unfinished files it would hold."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if parent is None or os.getppid() != parent.pid:
        raise ProcessLookupError("the process that this one worked beside has ended")
