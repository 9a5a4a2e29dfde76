"""The mean path of the drops in question against that of their matched placebo drops."""

from __future__ import annotations

from typing import TYPE_CHECKING

from matplotlib.axes import Axes

from eventstudy.plots import frames as read
from eventstudy.plots.event_days import draw_line, finish, shade_windows
from eventstudy.plots.fonts import figure_words
from eventstudy.plots.kinds import Frame, Kind, register
from eventstudy.plots.style import PLACEBO_COLOUR, label_colour, label_text

if TYPE_CHECKING:
    from eventstudy.results.result import StudyResult


def reversal_paths(ax: Axes, result: StudyResult) -> Axes:
    """Draw the mean path of the drops in question against that of their matched placebo drops."""
    words, group = figure_words(result.facts), read.path_group(result)
    label = group.removeprefix("label=")
    shade_windows(ax, result)
    ends = []
    for series, colour in (("events", label_colour(label)), ("placebos", PLACEBO_COLOUR)):
        days = read.reversal_path(result, group, series)
        if len(days):
            name = words[f"figure.path_{series}"].format(k=int(days["n_dates"].max()), m=read.paths_behind(days))
            ends.append(
                draw_line(ax, words, days, "car", name, band=True, color=colour, lw=1.8, label=series, zorder=3)
            )
    title = words["figure.paths_title"].format(label=label_text(result, label))
    return finish(ax, result, ends, title, "figure.path_axis")


def _size(result: StudyResult, _: str) -> tuple[int, int]:
    group, table = read.path_group(result), result.tables["reversal"]
    asked = (group == "all") | (table["label"] == group.removeprefix("label="))
    used = table[table["excess"].notna() & asked & table["qualifies"]]
    return int(used["n_peers"].sum()), int(read.reversal_path(result, group, "events")["n_dates"].max())


register(
    Kind(
        "reversal_paths",
        50,
        lambda result: ("",) if len(read.reversal_path(result, read.path_group(result), "events")) else (),
        lambda *_: Frame(width=7.0, height=2.7, left=0.5, right=1.62, bottom=0.55, top=0.26),
        (lambda ax, result, _: reversal_paths(ax, result),),
        _size,
    )
)
