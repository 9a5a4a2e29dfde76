"""One look for all figures: palettes, axes in percent, shaded windows, names at the ends of lines."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.legend import Legend
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator, PercentFormatter

from eventstudy.messages import term
from eventstudy.plots.fonts import families, figure_words, shown

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.artist import Artist

    from eventstudy.results.result import StudyResult

#: Okabe & Ito's palette, told apart in the three common kinds of colour blindness.
LABEL_COLOURS: Mapping[str, str] = {
    "all": "#333333",
    "misreading": "#D55E00",
    "genuine": "#0072B2",
    "contested": "#AA4499",
    "denied": "#882255",
    "silent": "#5B7F00",
    "no_news": "#B8860B",
    "macro": "#3A8FB7",
    "good_news": "#009E73",
    "clarification": "#117733",
    "unknown": "#777777",
}
#: Lines differ in their dashes as well, for print without colour.
LABEL_DASHES: Mapping[str, Any] = {
    "misreading": "-",
    "genuine": (0, (6, 1.6)),
    "contested": (0, (2.4, 1.2)),
    "all": (0, (1, 1)),
    "denied": (0, (8, 1.2, 1.2, 1.2)),
    "silent": (0, (3.6, 1.2, 1.2, 1.2)),
}
REGION_COLOURS: Mapping[str, str] = {
    "CN": "#D55E00",
    "US": "#0072B2",
    "TW": "#009E73",
    "HK": "#B8860B",
    "JP": "#AA4499",
    "KR": "#3A8FB7",
    "EU": "#117733",
}
OTHER_COLOUR = "#777777"
PLACEBO_COLOUR = "#8C8C8C"
INK, FAINT = "#333333", "#DDDDDD"
Z95 = 1.96
#: What a hover text is kept under until the drawing is written, as the name of its group.
TIP = "tip:"

_STYLE: Any = {
    "font.size": 7.0,
    "axes.titlesize": 8.0,
    "axes.labelsize": 7.0,
    "xtick.labelsize": 6.5,
    "ytick.labelsize": 6.5,
    "legend.fontsize": 6.5,
    "axes.linewidth": 0.6,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "xtick.major.size": 2.5,
    "ytick.major.size": 2.5,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlelocation": "left",
    "axes.titleweight": "bold",
    "axes.unicode_minus": True,
    "legend.frameon": False,
    "text.parse_math": False,
    "text.usetex": False,
    "svg.fonttype": "none",
    "svg.hashsalt": "eventstudy",
    "path.simplify": True,
}


@contextmanager
def styled() -> Iterator[None]:
    """Draw in the figures' style, whatever the caller's matplotlib is set to."""
    with mpl.rc_context({**_STYLE, "font.family": list(families())}):
        yield


def tip(artist: Artist, text: str) -> None:
    """Give an artist a text that shows where the pointer rests on it in an SVG."""
    artist.set_gid(f"{TIP}{text}")


def window_text(window: Sequence[int] | None) -> str:
    """Return ``[a,b]`` as the tables write it, ``?`` for none."""
    return f"[{window[0]},{window[1]}]" if window else "?"


def window_of(result: StudyResult, name: str) -> str:
    """Return a window of the settings as the tables write it."""
    return window_text((result.facts.get("windows") or {}).get(name))


def label_text(result: StudyResult, label: str) -> str:
    """Return an event's label as a word of the figures' language."""
    return term(figure_words(result.facts), "label", label)


def label_colour(label: str) -> str:
    """Return the colour of a label."""
    return LABEL_COLOURS.get(label, OTHER_COLOUR)


def region_colour(region: str) -> str:
    """Return the colour of a region."""
    return REGION_COLOURS.get(region, OTHER_COLOUR)


def percent_tip(value: float) -> str:
    """Return a decimal return as percent for a hover text."""
    return f"{value:+.1%}".replace("-", "−")


def amount_tip(words: Mapping[str, str], value: float) -> str:
    """Return a value of what the study measures for a hover text: of returns in percent."""
    return words["amount.cell"].format(value=f"{100 * value:+.1f}").replace("-", "−")


def percent_axis(ax: Axes, text: str, *, horizontal: bool = False, ticks: int = 6) -> None:
    """Show decimal returns as percent along one axis, with a light grid."""
    axis = ax.xaxis if horizontal else ax.yaxis
    low, high = axis.get_view_interval()
    axis.set_major_locator(MaxNLocator(ticks, steps=[1, 2, 5, 10]))
    axis.set_major_formatter(PercentFormatter(xmax=1, decimals=0 if high - low > 0.06 else 1, symbol=""))
    ax.grid(axis="x" if horizontal else "y", color=FAINT, lw=0.4, zorder=0)
    ax.set_axisbelow(True)
    if horizontal:
        ax.set_xlabel(text)
    else:
        ax.set_ylabel(text)


def name_rows(ax: Axes, names: Sequence[str], *, colours: Sequence[str] = (), fontsize: float = 6.5) -> None:
    """Name the rows of an axes, the first at height 0, where labels of ticks would stand.

    As texts: a tick without its stroke and line is three lines more to make and to set.
    """
    transform, across, along = ax.get_yaxis_text1_transform(mpl.rcParams["ytick.major.pad"])
    ax.set_yticks([])
    for row, name in enumerate(names):
        colour = colours[row] if colours else "black"
        ax.text(0, row, name, transform=transform, va=across, ha=along, fontsize=fontsize, color=colour)


def name_shocks(ax: Axes, shocks: pd.DataFrame) -> None:
    """Name the rows by shock and day 0, in the colours of their labels."""
    names = [f"{shown(row.shock_id, limit=12)} {row.day0}" for row in shocks.itertuples()]
    name_rows(ax, names, colours=[label_colour(str(label)) for label in shocks["label"]])


def point(ax: Axes, x: Any, y: float, text: str = "", **look: Any) -> None:
    """Draw one point; ``text`` shows where the pointer rests on it in an SVG."""
    (dot,) = ax.plot([x], [y], ls="none", **look)
    if text:
        tip(dot, text)


def sign(marker: str, label: str, **look: Any) -> Line2D:
    """Return a mark with its name for `key`."""
    return Line2D([], [], ls="none", marker=marker, label=label, **look)


def key(
    ax: Axes, handles: Sequence[Any] | None = None, *, ncols: int = 3, at: Any = (-0.01, 0.99), **look: Any
) -> Legend:
    """Name marks and lines above the axes."""
    usual: Any = {"loc": "lower left", "borderpad": 0.1, "columnspacing": 0.9, "handletextpad": 0.35, "fontsize": 6.2}
    named = {} if handles is None else {"handles": handles}
    return ax.legend(ncols=ncols, bbox_to_anchor=at, **(usual | named | look))


def write_title(ax: Axes, text: str) -> None:
    """Write a title from the figure's edge, for axes that long names push to the right."""
    top = 1 - 0.02 / ax.get_figure(root=True).get_figheight()  # type: ignore[union-attr]
    ax.figure.text(0.012, top, text, va="top", fontsize=8, weight="bold", gid="title")
