"""Axes of event days: shaded windows, lines of cumulative returns, and their names at the right."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.axes import Axes

from eventstudy.messages import asked
from eventstudy.plots.fonts import figure_words
from eventstudy.plots.style import INK, amount_tip, percent_axis, point, tip

if TYPE_CHECKING:
    import pandas as pd

    from eventstudy.results.result import StudyResult

#: Height, name and colour of the end of a line.
End = tuple[float, str, Any]
#: Inches from one name at the end of a line to the next.
LINE_NAME = 0.125
CLARIFIED = "#117733"


def shade_windows(ax: Axes, result: StudyResult) -> None:
    """Shade the drop and the post window, or the headline's, and mark day 0."""
    words, windows = figure_words(result.facts), result.facts.get("windows") or {}
    if not asked(result.facts):
        windows = {"drop": result.effect.window}
    for name, colour, shift, side in (("drop", "#BBBBBB", -0.7, "right"), ("post", "#EEEEEE", 0.0, "left")):
        if window := windows.get(name):
            ax.axvspan(window[0] - 0.5, window[1] + 0.5, color=colour, alpha=0.55, lw=0, zorder=0)
            look: Any = {"va": "top", "ha": side, "fontsize": 6.2, "color": "#444444"}
            across = ax.get_xaxis_transform()
            ax.text(window[0] + shift, 0.985, words[f"figure.{name}"], transform=across, **look)
    ax.axvline(0, color=INK, lw=0.8, zorder=1)
    ax.axhline(0, color=INK, lw=0.5, zorder=1)


def draw_line(
    ax: Axes, words: Mapping[str, str], days: pd.DataFrame, values: str, name: str, *, band: bool = False, **look: Any
) -> End:
    """Draw a column of ``days`` by tau, with its 95 % band if asked; return how to name its end."""
    (line,) = ax.plot(days["tau"].to_numpy(), days[values].to_numpy(), **look)
    if band and days["lower"].notna().any():
        ax.fill_between(days["tau"], days["lower"], days["upper"], color=look["color"], alpha=0.12, lw=0, zorder=2)
    last = float(days[values].dropna().iloc[-1])
    tip(line, f"{name}: {amount_tip(words, last)}")
    return last, name, look["color"]


def finish(ax: Axes, result: StudyResult, ends: Sequence[End], title: str, axis: str, *, pad: float = 6.0) -> Axes:
    """Set the height by the lines, name their ends and the axes."""
    words = figure_words(result.facts)
    ax.margins(x=0)
    # A band of few dates is so wide that the lines would look flat.
    lines = [line.get_ydata() for line in ax.get_lines() if not str(line.get_label()).startswith("_")]
    heights = np.concatenate([np.zeros(1), *(np.asarray(line, dtype=float) for line in lines)])
    low, high = float(np.nanmin(heights)), float(np.nanmax(heights))
    room = 0.75 * max(high - low, 0.02)
    bottom, top = ax.get_ylim()
    ax.set_ylim(max(bottom, low - room), min(top, high + room))
    write_line_ends(ax, ends)
    ax.set_title(title, pad=pad)
    ax.set_xlabel(words["figure.sessions"])
    percent_axis(ax, words[axis])
    return ax


def write_line_ends(ax: Axes, ends: Sequence[End]) -> None:
    """Name each line at its end, moved apart so that no two names overlap."""
    low, high = ax.get_ylim()
    tall = ax.get_position().height * ax.get_figure(root=True).get_figheight()  # type: ignore[union-attr]
    step = LINE_NAME / tall * (high - low)
    heights: list[float] = []
    ordered = sorted(ends, key=lambda end: end[0])
    for value, *_ in ordered:
        heights.append(max(value, heights[-1] + step) if heights else value)
    excess = max(0.0, heights[-1] - high) if heights else 0.0
    right = ax.get_yaxis_transform()
    for height, (_, text, colour) in zip(heights, ordered, strict=True):
        ax.text(1.01, height - excess, text, transform=right, color=colour, va="center", fontsize=6.5)
    ax.set_ylim(low, high)


def mark_clarifications(ax: Axes, result: StudyResult, days: Sequence[tuple[str, int]]) -> bool:
    """Mark clarifications, each with its day, above the axis; return whether any lies on it."""
    words, (low, high) = figure_words(result.facts), ax.get_xlim()
    on_axis = [(name, tau) for name, tau in days if low <= tau <= high]
    for name, tau in on_axis:
        text = words["figure.clarification_tip"].format(event=name, tau=f"{tau:+d}")
        across = ax.get_xaxis_transform()
        point(
            ax, tau, 0.03, text, marker="^", ms=4.5, color=CLARIFIED, mew=0, transform=across, clip_on=False, zorder=7
        )
    ax.set_xlim(low, high)
    return bool(on_axis)
