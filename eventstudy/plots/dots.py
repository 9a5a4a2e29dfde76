"""One row a shock: its abnormal return in the drop and after it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.lines import Line2D

from eventstudy.plots import frames as read
from eventstudy.plots.fonts import figure_words
from eventstudy.plots.kinds import Frame, Kind, register
from eventstudy.plots.style import (
    INK,
    Z95,
    amount_tip,
    label_colour,
    label_text,
    name_shocks,
    percent_axis,
    tip,
    window_of,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from eventstudy.results.result import StudyResult


def shock_dots(ax: Axes, result: StudyResult) -> Axes:
    """Draw each shock's CAR in the drop and in the post window with its 95 % interval, by date."""
    words, rows = figure_words(result.facts), read.dots(result)
    for position, row in enumerate(rows.to_dict("records")):
        colour = label_colour(str(row["label"]))
        fill = colour if bool(row["qualifies"]) else "white"
        for offset, marker, name in ((-0.18, "o", "drop"), (0.18, "D", "post")):
            value, se = float(row[name]), float(row[f"{name}_se"])
            if np.isnan(value):
                continue
            half = 0.0 if np.isnan(se) else Z95 * se
            ax.plot([value - half, value + half], [position + offset] * 2, color=colour, lw=0.8, zorder=2)
            (dot,) = ax.plot(
                [value], [position + offset], ls="none", marker=marker, ms=3.4, mfc=fill, mec=colour, mew=0.9, zorder=3
            )
            tip(
                dot,
                f"{row['shock_id']} {words['figure.' + name]} {window_of(result, name)}: {amount_tip(words, value)}",
            )
    ax.axvline(0, color=INK, lw=0.6, zorder=1)
    name_shocks(ax, rows)
    ax.set_ylim(len(rows) - 0.5, -0.6)
    percent_axis(ax, words["figure.dots_axis"], horizontal=True, ticks=5)
    _dots_key(ax, result, [str(label) for label in rows["label"]])
    return ax


def _dots_key(ax: Axes, result: StudyResult, labels: Sequence[str]) -> None:
    """Name the marks above the axes and the labels' colours in a second line."""
    words = figure_words(result.facts)
    plain: Any = {"ls": "none", "ms": 3.4, "color": "#555555"}
    marks = [
        Line2D([], [], marker="o", label=f"{words['figure.drop']} {window_of(result, 'drop')}", **plain),
        Line2D([], [], marker="D", label=f"{words['figure.post']} {window_of(result, 'post')}", **plain),
    ]
    # Without the reversal question no fall is judged, and every mark is filled.
    if len(read.qualifying(result)):
        marks.append(Line2D([], [], marker="o", mfc="white", label=words["figure.not_qualified"], **plain))
    colours = [
        Line2D([], [], color=label_colour(label), lw=2.5, label=label_text(result, label))
        for label in dict.fromkeys(labels)
    ]
    spot: Any = {
        "borderpad": 0.1,
        "columnspacing": 0.8,
        "handletextpad": 0.3,
        "handlelength": 0.9,
        "fontsize": 6,
        "bbox_transform": ax.figure.transFigure,
        "loc": "upper left",
    }
    height = _frame(result, "").height
    first = ax.legend(handles=marks, ncols=3, bbox_to_anchor=(0.0, 1 - 0.17 / height), **spot)
    ax.add_artist(first)
    ax.legend(handles=colours, ncols=4, bbox_to_anchor=(0.0, 1 - 0.30 / height), **spot)


def _panel(ax: Axes, result: StudyResult, _: str) -> Axes:
    shock_dots(ax, result)
    title = figure_words(result.facts)["figure.dots_title"]
    ax.figure.text(0.015, 0.995, title, va="top", fontsize=8, weight="bold", gid="title")
    return ax


def _frame(result: StudyResult, _: str) -> Frame:
    rows = read.dots(result)
    each = 0.15 if len(rows) <= 20 else 0.125
    lines = -(-len(set(rows["label"])) // 4)
    top = 0.36 + 0.13 * lines
    return Frame(width=3.75, height=top + 0.72 + each * max(len(rows), 4), left=1.12, right=0.12, bottom=0.58, top=top)


def _size(result: StudyResult, _: str) -> tuple[int, int]:
    rows = read.dots(result)
    return int(rows["n_peers"].sum()), len(rows)


register(Kind("shock_dots", 20, lambda result: ("",) if len(read.dots(result)) else (), _frame, (_panel,), _size))
