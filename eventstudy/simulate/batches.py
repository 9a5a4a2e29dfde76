"""Run draws in batches, each with its own stream of random numbers."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import numpy as np

from eventstudy.workers import run_blocks

Result = TypeVar("Result")
#: Number of draws in a batch.
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
    """Apply ``function`` to every batch (number of draws and seed); results do not depend on the workers.

    ``progress`` is called with the number of finished draws and of all draws.
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
