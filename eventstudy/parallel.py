"""Blocks of work in one process or in several on this machine."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

from .errors import ConfigError

Task = TypeVar("Task")
Result = TypeVar("Result")


def run_blocks(
    function: Callable[[Task], Result], tasks: Sequence[Task], *, jobs: int = 1, engine: str = "local",
    scheduler: str = "",
) -> list[Result]:  # fmt: skip
    """Return ``function`` of every task, in the order of the tasks.

    Raises
    ------
    ConfigError
        For an engine other than ``local``.
    """
    if engine != "local" or scheduler:
        raise ConfigError(f"engine {engine!r} is not available; accepted: local")
    if jobs == 1 or len(tasks) < 2:
        return [function(task) for task in tasks]
    from joblib import Parallel, delayed

    done: list[Result] = Parallel(n_jobs=jobs)(delayed(function)(task) for task in tasks)
    return done
