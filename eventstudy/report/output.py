"""Input of an output (`Material`), and the registry of the outputs in `report.render`.

Another distribution adds one by the entry-point group ``eventstudy.outputs``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from eventstudy.plots import Plot
from eventstudy.registry import FORMATS as FORMATS
from eventstudy.report.document import Document
from eventstudy.report.pages import study_document
from eventstudy.results.result import StudyResult

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, kw_only=True)
class Material:
    """Input of an output.

    ``folder`` is that of the pack. ``tables`` are those of the result, with a column ``simulated`` if prices were
    simulated. ``document`` has the pages, made on first use, and ``in_english`` the same in English. ``drawn`` are the
    figures; ``home`` has them as SVG without the texts that a page prints itself. ``formats`` are the names of all
    outputs of the pack.
    """

    result: StudyResult
    folder: Path
    tables: Mapping[str, pd.DataFrame]
    drawn: Sequence[Plot]
    home: Path
    formats: Sequence[str] = ()

    @cached_property
    def document(self) -> Document:
        """The pages in the study's language."""
        return study_document(self.result, self.drawn)

    @property
    def templates(self) -> Path | None:
        """The folder of the user's own templates, see `config.Report`."""
        own = self.result.report.templates
        return Path(own) if own else None

    def in_english(self) -> Document:
        """Return the pages in English."""
        return study_document(self.result, self.drawn, language="en")


@dataclass(frozen=True, slots=True, kw_only=True)
class Output:
    """One output and its function.

    ``place`` orders the outputs. ``pages``: it shows the figures; ``images``: it needs them as files of the pack.
    ``apart``: it may be made in a forked child. ``says`` is its name in the progress display, empty for a fast one.
    """

    name: str
    write: Callable[[Material], None]
    place: int = 100
    pages: bool = False
    images: bool = False
    apart: bool = False
    says: str = ""


def output(name: str, **how: Any) -> Callable[[Callable[[Material], None]], Callable[[Material], None]]:
    """Register a function that writes an output of a pack; the parameters are those of `Output`.

    Examples
    --------
    >>> from eventstudy.report.output import FORMATS, Material, output
    >>> @output("peers.txt")
    ... def write(material: Material) -> None:
    ...     (material.folder / "peers.txt").write_text(" ".join(material.result.facts["peers"]))
    >>> FORMATS.pop("peers.txt").place
    100
    """

    def register(write: Callable[[Material], None]) -> Callable[[Material], None]:
        FORMATS[name] = Output(name=name, write=write, **how)
        return write

    return register
