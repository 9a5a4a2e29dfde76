"""Registry of the kinds of figures, and the figures for which a result has data."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from eventstudy.registry import Registry

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from eventstudy.results.result import StudyResult


@dataclass(frozen=True, slots=True)
class Plot:
    """One figure of a result: its file name without suffix, its kind, and its shock or number if it has one."""

    name: str
    kind: str
    shock_id: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """Size and margins of a figure in inches; ``beneath`` is the space for ticks and axis label above the caption."""

    width: float
    height: float
    left: float
    right: float
    bottom: float
    top: float
    beneath: float = 0.44


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of figure.

    ``place`` orders the kinds on the pages. ``present`` returns the shocks for which it is drawn: ``("",)`` for a
    figure of the whole study, nothing if the result has no data. ``frame`` gives its size, ``panel`` draws on the
    axes, ``size`` counts firm-events and dates for the caption. ``told`` gives the fields of its description for
    readers who cannot see it, ``alt.NAME`` of the catalogue.
    """

    name: str
    place: int
    present: Callable[[StudyResult], Sequence[str]]
    frame: Callable[[StudyResult, str], Frame]
    panel: Callable[[Axes, StudyResult, str], Axes]
    size: Callable[[StudyResult, str], tuple[int, int]]
    told: Callable[[StudyResult, str, Mapping[str, str]], Mapping[str, object]] | None = None


#: Kinds by name. Those of another distribution come by the entry-point group ``eventstudy.figures``.
KINDS: Registry[Kind] = Registry("figure", "plots", declaration="register( Kind(", group="eventstudy.figures")


def register(kind: Kind) -> Kind:
    """Add a kind of figure; it is drawn for every result with data for it."""
    KINDS[kind.name] = kind
    return kind


def plots_of(result: StudyResult) -> tuple[Plot, ...]:
    """Return the figures for which ``result`` has data, those of the whole study first."""
    KINDS.load_installed()
    plots = []
    for kind in sorted(KINDS.values(), key=lambda kind: kind.place):
        taken: set[str] = set()
        for shock_id in kind.present(result):
            name = f"{kind.name}_{_file_stem(shock_id, taken)}" if shock_id else kind.name
            plots.append(Plot(name, kind.name, shock_id))
    return tuple(plots)


def _file_stem(shock_id: str, taken: set[str]) -> str:
    """Return a unique file name for a shock, also on systems that ignore case."""
    plain = "".join(c if c.isascii() and (c.isalnum() or c in "._-") else "_" for c in shock_id)
    stem, number = plain[:60] or "shock", 2
    while stem.casefold() in taken:
        stem, number = f"{plain[:60]}-{number}", number + 1
    taken.add(stem.casefold())
    return stem
