"""The outputs of a pack: what one is made of, and the registry of those in `report.formats`.

Another distribution adds one by the entry-point group ``eventstudy.outputs``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from eventstudy.plots import Plot
from eventstudy.registry import Registry
from eventstudy.results.result import StudyResult

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, slots=True, kw_only=True)
class Material:
    """What an output may be made of.

    ``folder`` is the pack's. ``tables`` are the result's, with a column ``simulated`` where prices were.
    ``content`` is that of the pages, empty where no output asked for it. ``drawn`` are the figures;
    ``home`` holds them as SVG without the words that a page sets itself, and ``templates`` is a folder of
    templates of one's own.
    """

    result: StudyResult
    folder: Path
    tables: Mapping[str, pd.DataFrame]
    content: Mapping[str, Any]
    drawn: Sequence[Plot]
    home: Path
    templates: Path | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Output:
    """One output and how it is made.

    ``place`` orders the outputs. ``pages``: it needs the content of the pages with their figures;
    ``words``: the content, figures or not; ``images``: the figures as files of the pack. ``apart``: it may
    be made in a forked child. ``says`` is what progress calls it, empty for one that takes no time.
    """

    name: str
    write: Callable[[Material], None]
    place: int
    pages: bool = False
    words: bool = False
    images: bool = False
    apart: bool = False
    says: str = ""


FORMATS: Registry[Output] = Registry(
    "report format", "report/formats", declaration="@output(", group="eventstudy.outputs"
)


def output(
    name: str,
    *,
    place: int = 100,
    pages: bool = False,
    words: bool = False,
    images: bool = False,
    apart: bool = False,
    says: str = "",
) -> Callable[[Callable[[Material], None]], Callable[[Material], None]]:
    """Register a function that writes an output of a pack; the parameters are those of `Output`."""

    def register(write: Callable[[Material], None]) -> Callable[[Material], None]:
        FORMATS[name] = Output(
            name=name, write=write, place=place, pages=pages, words=words, images=images, apart=apart, says=says
        )
        return write

    return register
