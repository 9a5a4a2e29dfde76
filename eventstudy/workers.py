"""Run a function in a forked child, or blocks of work in several processes.

`forked_children` runs a function in a forked child while this process goes on (Linux, two or more CPUs).
`run_blocks` runs one function on many tasks: here, in processes of this machine, or on a Dask cluster.
"""

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
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import CancelledError
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from threadpoolctl import threadpool_limits

from eventstudy.errors import ConfigError, EventStudyError, nearest

if TYPE_CHECKING:
    from multiprocessing.connection import Connection

ENGINES = ("dask", "local")
#: Number of workers that may die in a row, with no block finished in between, before the run gives up.
DEATHS = 3
#: Seconds to wait for the scheduler of a cluster, and for its first worker.
PATIENCE = 5
MEMORY = "workers die where memory runs out: give fewer --jobs, or workers with more memory"
#: Linux: the signal that a process gets when its parent ends.
_PR_SET_PDEATHSIG = 1
Task = TypeVar("Task")
Result = TypeVar("Result")


class Work(Protocol):
    """A function that was started; its result can be collected once."""

    def result(self) -> Any:
        """Wait for the function, and return what it returned or raise what it raised."""


#: Starts ``function(*arguments)`` and returns the work at once.
Start = Callable[..., Work]


@dataclass(frozen=True, slots=True)
class _Postponed:
    function: Callable[..., Any]
    arguments: tuple[Any, ...]

    def result(self) -> Any:
        return self.function(*self.arguments)


def in_turn(function: Callable[..., Any], *arguments: Any) -> Work:
    """Run the function in this process, when its result is collected."""
    return _Postponed(function, arguments)


@contextmanager
def forked_children() -> Iterator[Start]:
    """Context that yields a `Start`, which runs each function in a forked child; children end with the context.

    Arguments are not copied; results are pickled. A library with its own threads, such as Typst, must not be used in a
    child, because a fork does not copy threads.

    Yields `in_turn` with one CPU, in a thread, in a process that may not have children, and on systems other than
    Linux: there forking is not safe if system libraries have threads, and a new process would spend more time on
    imports than on work.
    """
    if not _can_fork():
        yield in_turn
        return
    running: list[Any] = []

    def start(function: Callable[..., Any], *arguments: Any) -> Work:
        child = _fork(function, arguments)
        running.append(child.process)
        return child

    try:
        yield start
    finally:
        for process in running:
            process.terminate()
            process.join()


def _can_fork() -> bool:
    return (
        sys.platform == "linux"
        and len(os.sched_getaffinity(0)) > 1
        and threading.current_thread() is threading.main_thread()
        and not multiprocessing.current_process().daemon
    )


@dataclass(frozen=True, slots=True)
class _Child:
    link: Connection
    process: Any

    def result(self) -> Any:
        try:
            value, failure = self.link.recv()
        except EOFError as error:
            self.process.join()
            raise EventStudyError(
                "a child process of this run was ended from outside (exit code "
                f"{self.process.exitcode}): the system does this when memory runs out; free some memory"
            ) from error
        finally:
            self.link.close()
        if failure is not None:
            raise failure
        return value


def _fork(function: Callable[..., Any], arguments: tuple[Any, ...]) -> _Child:
    context = multiprocessing.get_context("fork")
    reader, writer = context.Pipe(duplex=False)
    process = context.Process(target=_serve, args=(reader, writer, function, arguments), daemon=True)
    # Ctrl-C reaches the whole process group, and the parent handles it for all. It is blocked until the
    # child, which ignores it, exists.
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        with warnings.catch_warnings():
            # Python warns that other threads may hold locks in the child. The linear algebra library handles
            # its own threads, and a child never writes to a terminal.
            warnings.simplefilter("ignore", DeprecationWarning)
            # So the child's garbage collector does not touch, and thereby copy, existing memory pages.
            gc.freeze()
            process.start()
    finally:
        gc.unfreeze()
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
    writer.close()
    return _Child(reader, process)


def _serve(reader: Connection, writer: Connection, function: Callable[..., Any], arguments: tuple[Any, ...]) -> None:
    """In the child: send what the function returns or raises, and exit without running exit handlers."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    reader.close()
    value, failure = None, None
    try:
        _die_with(multiprocessing.parent_process())
        # If CPUs are short, the parent has priority; it waits for this child later.
        os.nice(5)
        with Path(os.devnull).open("w") as nowhere, redirect_stdout(nowhere), redirect_stderr(nowhere):
            try:
                value = function(*arguments)
            except Exception as error:
                # The traceback is not pickled; --debug shows this note instead.
                error.add_note(traceback.format_exc())
                failure = error
        writer.send((value, failure))
    finally:
        os._exit(0)


def _die_with(parent: Any) -> None:
    """Let the system end this process with its parent; otherwise it would keep the parent's locks and open files."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if parent is None or os.getppid() != parent.pid:
        raise ProcessLookupError("the parent process has ended")


def run_blocks(
    function: Callable[[Task], Result],
    tasks: Sequence[Task],
    *,
    jobs: int = 1,
    engine: str = "local",
    scheduler: str = "",
    progress: Callable[[int, int], None] | None = None,
) -> list[Result]:
    """Apply ``function`` to every task and return the results in the order of the tasks.

    Parameters
    ----------
    function
        Depends only on the task: no state, and random numbers only from a seed in the task. Then results are
        identical, byte by byte, for every ``jobs`` and ``engine``.
    jobs
        Processes of the engine ``local``; 1 works in this process. A cluster uses all its workers.
    scheduler
        Address of the cluster's scheduler, for the engine ``dask``.
    progress
        Called with the number of finished blocks and the number of all blocks.

    Raises
    ------
    ConfigError
        If the engine is unknown, Dask is not installed or the scheduler cannot be reached.
    EventStudyError
        If workers die repeatedly.

    Notes
    -----
    If a worker is killed, another worker computes its block again; finished blocks are kept. If processes cannot share
    locks, the blocks are computed in this process, one by one.
    """
    say = progress or _silent
    if problem := engine_problem(engine, scheduler):
        raise ConfigError(problem)
    if engine == "dask":
        with _cluster(scheduler) as client:
            return _gather(function, tasks, {"backend": "dask", "client": client, "n_jobs": -1}, say)
    if jobs == 1 or len(tasks) < 2 or not have_shared_locks():
        return list(_one_by_one(function, tasks, say))
    return _gather(function, tasks, {"backend": "loky", "n_jobs": min(jobs, len(tasks))}, say)


def have_shared_locks() -> bool:
    """Return whether processes can share a lock; they cannot if, for example, /dev/shm is missing or read-only."""
    try:
        multiprocessing.get_context("spawn").Lock()
    except (ImportError, OSError):
        return False
    return True


def engine_problem(engine: str, scheduler: str) -> str:
    """Return the problem with an engine or its scheduler's address, empty if there is none."""
    if engine not in ENGINES:
        return f"engine {engine!r} is unknown; {nearest(engine, ENGINES)}"
    if engine == "local" and scheduler:
        return f"scheduler {scheduler!r} is of use with the engine dask only; add --engine dask"
    if engine == "dask" and not scheduler:
        return (
            "the engine dask needs the address of a scheduler; 'dask scheduler' starts one and prints it: "
            "--scheduler tcp://HOST:8786"
        )
    return ""


def _silent(*_: int) -> None:
    """Report no progress."""


def _one_by_one(
    function: Callable[[Task], Result], tasks: Sequence[Task], say: Callable[[int, int], None]
) -> Iterator[Result]:
    for done, task in enumerate(tasks, start=1):
        yield _with_number(function, done, task)[1]
        say(done, len(tasks))


def _gather(
    function: Callable[[Task], Result], tasks: Sequence[Task], settings: dict[str, Any], say: Callable[[int, int], None]
) -> list[Result]:
    """Collect results by number as they arrive; after a worker dies, continue with the missing ones."""
    from joblib.externals.loky.process_executor import BrokenProcessPool

    found: dict[int, Result] = {}
    deaths = 0
    while len(found) < len(tasks):
        before = len(found)
        try:
            for number, result in _numbered(function, tasks, found, settings):
                found[number] = result
                say(len(found), len(tasks))
        except BrokenProcessPool as error:
            deaths = 1 if len(found) > before else deaths + 1
            if deaths == DEATHS:
                raise _given_up(len(found), len(tasks)) from error
    return [found[number] for number in range(len(tasks))]


def _numbered(
    function: Callable[[Task], Result], tasks: Sequence[Task], found: dict[int, Result], settings: dict[str, Any]
) -> Iterator[tuple[int, Result]]:
    from joblib import Parallel, delayed, parallel_config

    missing = [number for number in range(len(tasks)) if number not in found]
    with parallel_config(**settings):
        # One block in each message: grouped blocks would wait for each other and be lost together.
        results = Parallel(return_as="generator_unordered", batch_size=1)(
            delayed(_with_number)(function, number, tasks[number]) for number in missing
        )
        yield from results


def _with_number(function: Callable[[Task], Result], number: int, task: Task) -> tuple[int, Result]:
    """Compute one block on one thread, because sums in linear algebra depend on the number of threads.

    Small products are also faster on one thread.
    """
    with threadpool_limits(1, "blas"):
        return number, function(task)


def _given_up(done: int, total: int) -> EventStudyError:
    return EventStudyError(f"workers died {DEATHS} times in a row with {done} of {total} blocks done; {MEMORY}")


@contextmanager
def _cluster(scheduler: str) -> Iterator[Any]:
    """Connect to a Dask scheduler; the workers need the same versions of this package and of Python."""
    import asyncio

    try:
        from distributed import Client, KilledWorker
    except ImportError as error:
        raise ConfigError(
            "the engine dask needs Dask, which is not installed; install eventstudy-kit[scale]"
        ) from error
    try:
        asyncio.run(_knock(scheduler))
    except (OSError, ValueError, TypeError) as error:
        raise ConfigError(
            f"scheduler {scheduler!r} cannot be reached ({error}); give the address that 'dask scheduler' "
            "prints, tcp://HOST:8786"
        ) from error
    with Client(scheduler, timeout=PATIENCE, set_as_default=False) as client:
        try:
            client.wait_for_workers(1, timeout=PATIENCE)
        except TimeoutError as error:
            raise ConfigError(f"scheduler {scheduler!r} has no worker; 'dask worker {scheduler}' starts one") from error
        try:
            yield client
        except KilledWorker as error:
            raise EventStudyError(f"{error}; {MEMORY}") from error
        except CancelledError as error:
            raise EventStudyError(
                f"scheduler {scheduler!r} has stopped; start it and its workers again, then repeat the command"
            ) from error


async def _knock(scheduler: str) -> None:
    """Open and close one connection: a client that found no scheduler keeps trying when it is thrown away."""
    from distributed.comm import connect

    comm = await connect(scheduler, timeout=PATIENCE)
    await comm.close()
