"""Output of the commands: console, progress of a fetch, remarks, rows as JSON."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Console

    from eventstudy.config import StudyConfig
    from eventstudy.prices.fetch import Watch


def console_for(silent: bool) -> Console:
    from rich.console import Console

    # In a pipe or a file a table keeps all columns; on a terminal it is fitted to the width.
    width = None if sys.stdout.isatty() or "COLUMNS" in os.environ else 140
    return Console(quiet=silent, soft_wrap=False, width=width)


def teller(config: StudyConfig, console: Console) -> Callable[[str], None]:
    """Return a function that prints remarks on the prices, in the study's language."""
    from eventstudy.messages import catalogue, said

    words = catalogue(config.study.language, config.study.kind)
    return lambda text: console.print(said(text, words), style="yellow", highlight=False)


@contextmanager
def watching(silent: bool) -> Iterator[Watch | None]:
    """Show on stderr which ticker is being fetched; show nothing if stderr is not a terminal."""
    if silent or not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("prices", total=None)

        def watch(done: int, total: int, ticker: str) -> None:
            doing = f"fetching {ticker}" if ticker else "done"
            progress.update(task, completed=done, total=total, description=doing)

        yield watch


def plain(row: Any) -> dict[str, Any]:
    return {name: getattr(row, name) for name in row.__dataclass_fields__}
