"""One row a shock: its abnormal return in the drop and after it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from eventstudy.messages import asked
from eventstudy.plots import frames as read
from eventstudy.plots.fonts import figure_words
from eventstudy.plots.kinds import Frame, Kind, register
from eventstudy.plots.style import (
    INK,
    Z95,
    amount_tip,
    key,
    label_colour,
    label_text,
    name_shocks,
    percent_axis,
    point,
    sign,
    write_title,
)

if TYPE_CHECKING:
    from eventstudy.results.result import StudyResult

#: Most dates of a study of the events' effect whose figure stands on page 1.
MOST_DATES = 24
#: Height of the mark above or below the row's middle, by what it shows.
MARKS = (("drop", -0.18, "o"), ("post", 0.18, "D"))


def shock_dots(ax: Axes, result: StudyResult) -> Axes:
    """Draw each shock's CAR in the drop and in the post window with its 95 % interval, by date."""
    words, shocks, windows = figure_words(result.facts), read.dots(result), read.main_windows(result)
    shown = [mark for mark in MARKS if mark[0] in windows]
    for row, shock in enumerate(shocks.to_dict("records")):
        colour = label_colour(str(shock["label"]))
        look: Any = {"ms": 3.4, "mfc": colour if bool(shock["qualifies"]) else "white", "mec": colour, "mew": 0.9}
        for name, offset, marker in shown:
            value, half = float(shock[name]), Z95 * np.nan_to_num(float(shock[f"{name}_se"]))
            if np.isfinite(value):
                ax.plot([value - half, value + half], [row + offset] * 2, color=colour, lw=0.8, zorder=2)
                what = f"{shock['shock_id']} {words['figure.' + name]} {windows[name]}"
                point(ax, value, row + offset, f"{what}: {amount_tip(words, value)}", marker=marker, zorder=3, **look)
    ax.axvline(0, color=INK, lw=0.6, zorder=1)
    name_shocks(ax, shocks)
    ax.set_ylim(len(shocks) - 0.5, -0.6)
    percent_axis(ax, words["figure.dots_axis"], horizontal=True, ticks=5)
    # The marks are named above the axes, and the labels' colours in the lines below.
    plain: Any = {"ms": 3.4, "color": "#555555"}
    marks = [sign(form, f"{words['figure.' + name]} {windows[name]}", **plain) for name, _, form in shown]
    # Without the reversal question no fall is judged, and every mark is filled.
    if len(read.qualifying(result)):
        marks.append(sign("o", words["figure.not_qualified"], mfc="white", **plain))
    labels = dict.fromkeys(str(label) for label in shocks["label"])
    colours = [Line2D([], [], color=label_colour(name), lw=2.5, label=label_text(result, name)) for name in labels]
    spot: Any = {"bbox_transform": ax.figure.transFigure, "loc": "upper left", "handlelength": 0.9}
    height = _frame(result, "").height
    ax.add_artist(key(ax, marks, at=(0.0, 1 - 0.17 / height), **spot))
    key(ax, colours, ncols=4, at=(0.0, 1 - 0.30 / height), **spot)
    return ax


def _panel(ax: Axes, result: StudyResult, _: str) -> Axes:
    write_title(ax, figure_words(result.facts)["figure.dots_title"])
    return shock_dots(ax, result)


def _frame(result: StudyResult, _: str) -> Frame:
    shocks = read.dots(result)
    each = 0.15 if len(shocks) <= 20 else 0.125
    top = 0.36 + 0.13 * -(-shocks["label"].nunique() // 4)
    return Frame(
        width=3.75, height=top + 0.72 + each * max(len(shocks), 4), left=1.12, right=0.12, bottom=0.58, top=top
    )


def _readable(n: int, *, asked: bool) -> bool:
    """Whether so many rows say something on page 1: one repeats its table, more than `MOST_DATES` cannot be read."""
    return n > 0 if asked else 1 < n <= MOST_DATES


register(
    Kind(
        "shock_dots",
        20,
        lambda result: ("",) if _readable(len(read.dots(result)), asked=asked(result.facts)) else (),
        _frame,
        (_panel,),
        lambda result, _: (int(read.dots(result)["n_peers"].sum()), len(read.dots(result))),
    )
)
