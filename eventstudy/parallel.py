"""Blocks of work in one process, in several on this machine, or on the workers of a Dask cluster."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import CancelledError
from contextlib import contextmanager
from typing import Any, TypeVar

from threadpoolctl import threadpool_limits

from eventstudy.errors import ConfigError, EventStudyError, nearest

ENGINES = ("dask", "local")
#: Deaths of a worker in a row, without a single block finished in between, after which to give up.
DEATHS = 3
#: Seconds to wait for the scheduler of a cluster, and for its first worker.
PATIENCE = 5
MEMORY = "workers die where memory runs out: give fewer --jobs, or workers with more memory"
Task = TypeVar("Task")
Result = TypeVar("Result")


def run_blocks(
    function: Callable[[Task], Result],
    tasks: Sequence[Task],
    *,
    jobs: int = 1,
    engine: str = "local",
    scheduler: str = "",
    progress: Callable[[int, int], None] | None = None,
) -> list[Result]:
    """Return ``function`` of every task, in the order of the tasks.

    Parameters
    ----------
    function
        Of one block and nothing else: no state, and no random numbers but from a seed in the task.
        Then the results have the same bytes whatever ``jobs`` and ``engine``.
    jobs
        Processes of the engine ``local``; 1 works in this process. A cluster uses all its workers.
    scheduler
        Address of the cluster's scheduler, for the engine ``dask``.
    progress
        Called with the blocks done, in whatever order, and all blocks.

    Raises
    ------
    ConfigError
        Where the engine is unknown, Dask is not installed or the scheduler cannot be reached.
    EventStudyError
        Where workers die again and again.

    Notes
    -----
    A block whose worker was killed is done again by another; blocks that are done are kept.
    """
    say = progress or _silent
    if problem := engine_problem(engine, scheduler):
        raise ConfigError(problem)
    if engine == "dask":
        with _cluster(scheduler) as client:
            return _gather(function, tasks, {"backend": "dask", "client": client, "n_jobs": -1}, say)
    if jobs == 1 or len(tasks) < 2:
        return list(_one_by_one(function, tasks, say))
    return _gather(function, tasks, {"backend": "loky", "n_jobs": min(jobs, len(tasks))}, say)


def engine_problem(engine: str, scheduler: str) -> str:
    """Return what is wrong with an engine and its scheduler's address, empty where nothing is."""
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
    function: Callable[[Task], Result],
    tasks: Sequence[Task],
    settings: dict[str, Any],
    say: Callable[[int, int], None],
) -> list[Result]:
    """Collect results by number as they come; after a death go on with those that are missing."""
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
    function: Callable[[Task], Result],
    tasks: Sequence[Task],
    found: dict[int, Result],
    settings: dict[str, Any],
) -> Iterator[tuple[int, Result]]:
    from joblib import Parallel, delayed, parallel_config

    missing = [number for number in range(len(tasks)) if number not in found]
    with parallel_config(**settings):
        # One block a message: grouped ones would have to wait for, and die with, each other.
        results = Parallel(return_as="generator_unordered", batch_size=1)(
            delayed(_with_number)(function, number, tasks[number]) for number in missing
        )
        yield from results


def _with_number(function: Callable[[Task], Result], number: int, task: Task) -> tuple[int, Result]:
    """One block, on one thread: sums of the linear algebra depend on how many threads share them.

    Small products are quicker so, too; threads would mostly wait for each other.
    """
    with threadpool_limits(1, "blas"):
        return number, function(task)


def _given_up(done: int, total: int) -> EventStudyError:
    return EventStudyError(
        f"workers died {DEATHS} times in a row with {done} of {total} blocks done; {MEMORY}"
    )


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
            raise ConfigError(
                f"scheduler {scheduler!r} has no worker; 'dask worker {scheduler}' starts one"
            ) from error
        try:
            yield client
        except KilledWorker as error:
            raise EventStudyError(f"{error}; {MEMORY}") from error
        except CancelledError as error:
            raise EventStudyError(
                f"scheduler {scheduler!r} went away; start it and its workers again, then the same command"
            ) from error


async def _knock(scheduler: str) -> None:
    """Open and close one connection: a client that found no scheduler keeps trying when it is thrown away."""
    from distributed.comm import connect

    comm = await connect(scheduler, timeout=PATIENCE)
    await comm.close()
