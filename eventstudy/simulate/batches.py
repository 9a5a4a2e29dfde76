"""Draws in batches, each with a stream of random numbers of its own."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import numpy as np

from eventstudy.workers import run_blocks

Result = TypeVar("Result")
#: Draws that are made at once.
BATCH = 20


def run_batches(
    function: Callable[[tuple[int, np.random.SeedSequence]], Result],
    *,
    draws: int,
    seed: int,
    jobs: int = 1,
    engine: str = "local",
    scheduler: str = "",
    progress: Callable[[int, int], None] | None = None,
) -> list[Result]:
    """Return ``function`` of every batch, a number of draws and a seed: the same whatever the workers of `run_blocks`.

    ``progress`` is called with the draws done and all draws.
    """
    sizes = [min(BATCH, draws - done) for done in range(0, draws, BATCH)]
    return run_blocks(
        function,
        list(zip(sizes, np.random.SeedSequence(seed).spawn(len(sizes)), strict=True)),
        jobs=jobs,
        engine=engine,
        scheduler=scheduler,
        progress=progress and (lambda done, _: progress(min(done * BATCH, draws), draws)),
    )
