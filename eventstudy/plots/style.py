"""Common style of all figures: palettes, axes in percent, names at the ends of lines."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import matplotlib as mpl
import matplotlib.dates as dates
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.legend import Legend
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator, PercentFormatter

from eventstudy.messages import term
from eventstudy.plots.fonts import families, figure_words

if TYPE_CHECKING:
    from matplotlib.artist import Artist

    from eventstudy.results.result import StudyResult

#: Only labels have colours; regions are named. Each has a contrast of at least 4.5 : 1 on white, and any two differ
#: (CIE 1976
#: distance of 15) for readers without red or green cones, in the simulation of Machado, Oliveira and Fernandes 2009.
LABEL_COLOURS: Mapping[str, str] = {
    "all": "#222222",
    "misreading": "#D53106",
    "genuine": "#2161DF",
    "contested": "#CD1AB0",
    "denied": "#5B2E4B",
    "silent": "#10597C",
    "no_news": "#604B23",
    "macro": "#16084E",
    "good_news": "#06874F",
    "clarification": "#158412",
    "unknown": "#6B6B6B",
}
OTHER_COLOUR = "#6B6B6B"
#: Comparison drops and single dates; of them the texts, and of marks and lines that are no label's.
PALE, GREY, INK, FAINT = "#A8A8A8", "#666666", "#222222", "#DDDDDD"
#: Smallest font size, in points: narrow figures are reduced to 0.94 of their width, and 6 points are still readable.
SMALLEST = 6.5
#: Prefix of group names that carry hover texts until the drawing is written.
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
    """Draw in the style of the figures, independent of the caller's matplotlib settings."""
    with mpl.rc_context({**_STYLE, "font.family": list(families())}):
        yield


def tip(artist: Artist, text: str) -> None:
    """Give an artist a hover text for the SVG."""
    artist.set_gid(f"{TIP}{text}")


def window_text(window: Sequence[int] | None) -> str:
    """Return ``[a,b]`` as in the tables, ``?`` if missing."""
    return f"[{window[0]},{window[1]}]" if window else "?"


def window_of(result: StudyResult, name: str) -> str:
    """Return a window of the settings in the form of the tables."""
    return window_text((result.facts.get("windows") or {}).get(name))


def label_text(result: StudyResult, label: str) -> str:
    """Return an event's label as a word of the figures' language."""
    return term(figure_words(result.facts), "label", label)


def label_colour(label: str) -> str:
    """Return the colour of a label."""
    return LABEL_COLOURS.get(label, OTHER_COLOUR)


def percent_tip(value: float) -> str:
    """Return a decimal return as percent for a hover text."""
    return f"{value:+.1%}".replace("-", "−")


def amount_tip(words: Mapping[str, str], value: float) -> str:
    """Return a value of the study's quantity for a hover text; returns in percent."""
    return words["amount.cell"].format(value=number_text(value))


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


def name_rows(ax: Axes, names: Sequence[str], *, colours: Sequence[str] = (), fontsize: float = SMALLEST) -> None:
    """Write row names at the positions of tick labels, the first at height 0.

    Texts are used, because invisible ticks would add three more lines each to the drawing.
    """
    transform, across, along = ax.get_yaxis_text1_transform(mpl.rcParams["ytick.major.pad"])
    ax.set_yticks([])
    for row, name in enumerate(names):
        colour = colours[row] if colours else "black"
        ax.text(0, row, name, transform=transform, va=across, ha=along, fontsize=fontsize, color=colour)


def point(ax: Axes, x: Any, y: float, text: str = "", **look: Any) -> None:
    """Draw one point; ``text`` is its hover text in the SVG."""
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
    usual: Any = {
        "loc": "lower left",
        "borderpad": 0.1,
        "columnspacing": 0.9,
        "handletextpad": 0.35,
        "fontsize": SMALLEST,
    }
    named = {} if handles is None else {"handles": handles}
    return ax.legend(ncols=ncols, bbox_to_anchor=at, **(usual | named | look))


def key_of_figure(ax: Axes, handles: Sequence[Any], **look: Any) -> None:
    """Name marks and lines of all axes of a figure beneath its title."""
    figure = figure_of(ax)
    spot = (0.0, 1 - 0.19 / figure.get_figheight())
    key(ax, handles, at=spot, loc="upper left", bbox_transform=figure.transFigure, **look)


def figure_of(ax: Axes) -> Figure:
    """Return the figure that axes belong to."""
    figure = ax.get_figure(root=True)
    assert figure is not None
    return figure


def number_text(value: float) -> str:
    """Return a decimal in hundredths with its sign, as ``+4.2``."""
    text = f"{100 * value:+.1f}"
    return ("0.0" if float(text) == 0 else text).replace("-", "−")


def interval_text(value: float, lower: float, upper: float) -> str:
    """Return a value with its interval as ``+4.2 [−1.0, 9.4]``, or only the value if there is none."""
    ends = f" [{number_text(lower)}, {number_text(upper)}]".replace("+", "") if lower == lower else ""
    return number_text(value) + ends


def split(ax: Axes, rows: int, columns: int, *, across: float, along: float) -> list[Axes]:
    """Replace ``ax`` by a grid of axes, row by row; ``across`` and ``along`` are the distances in inches."""
    figure, box = figure_of(ax), ax.get_position()
    width, height = figure.get_size_inches()
    ax.set_axis_off()
    wide = (box.width - (columns - 1) * across / width) / columns
    tall = (box.height - (rows - 1) * along / height) / rows
    return [
        figure.add_axes((box.x0 + c * (wide + across / width), box.y1 - tall - r * (tall + along / height), wide, tall))
        for r in range(rows)
        for c in range(columns)
    ]


def date_axis(ax: Axes, days: Any) -> None:
    """Label the axis with years, or with months for short periods."""
    years = (days[-1] - days[0]).astype("timedelta64[D]").astype(int) / 365
    if years > 2.5:
        ax.xaxis.set_major_locator(dates.YearLocator(max(1, int(years // 8))))  # type: ignore[no-untyped-call]
    ax.xaxis.set_major_formatter(dates.DateFormatter("%Y" if years > 2.5 else "%Y-%m"))  # type: ignore[no-untyped-call]
    ax.margins(x=0.01)


def write_title(ax: Axes, text: str) -> None:
    """Write a title from the figure's edge, for axes that long names push to the right."""
    figure = figure_of(ax)
    figure.text(0.012, 1 - 0.02 / figure.get_figheight(), text, va="top", fontsize=8, weight="bold", gid="title")
