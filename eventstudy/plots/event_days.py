"""Axes of event days: shaded windows, paths from the last close before day 0, and marks for cut lines."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from eventstudy.messages import asked
from eventstudy.plots import frames as read
from eventstudy.plots.fonts import figure_words
from eventstudy.plots.style import GREY, INK, SMALLEST, amount_tip, point, tip

if TYPE_CHECKING:
    import pandas as pd

    from eventstudy.results.result import StudyResult

#: Days before the drop that its name takes.
ROOM = 5


def shade_windows(ax: Axes, result: StudyResult, *, named: bool = True) -> None:
    """Shade the drop and the post window, or the headline's, and mark day 0."""
    words, windows = figure_words(result.facts), result.facts.get("windows") or {}
    if not asked(result.facts):
        windows = {"drop": result.effect.window}
    for name, colour in (("drop", "#D9D9D9"), ("post", "#F3F3F3")):
        if window := windows.get(name):
            ax.axvspan(window[0] - 0.5, window[1] + 0.5, color=colour, lw=0, zorder=0)
            if named:
                before = (
                    "post" in windows and name == "drop" and window[0] - int(result.facts["windows"]["event"][0]) > ROOM
                )
                side = "right" if before else "left"
                look: Any = {"va": "top", "ha": side, "fontsize": SMALLEST, "color": INK}
                across = ax.get_xaxis_transform()
                ax.text(
                    window[0] - 0.7 if before else window[1] + 0.7 if "post" not in windows else window[0] - 0.3,
                    0.985,
                    words[f"figure.{name}"],
                    transform=across,
                    **look,
                )
    ax.xaxis.set_major_locator(MaxNLocator(7, integer=True, steps=[1, 2, 5, 10]))
    ax.axvline(read.base(result), color=INK, lw=0.5, ls=(0, (2, 2)), zorder=1)
    ax.axhline(0, color=INK, lw=0.5, zorder=1)


def draw_path(ax: Axes, words: Mapping[str, str], days: pd.DataFrame, name: str, **look: Any) -> None:
    """Draw a mean path, with its 95 % band if it has one."""
    (line,) = ax.plot(days["tau"].to_numpy(), days["car"].to_numpy(), **look)
    if days["lower"].notna().sum() > 1:
        ax.fill_between(days["tau"], days["lower"], days["upper"], color=look["color"], alpha=0.15, lw=0, zorder=2)
    tip(line, f"{name}: {amount_tip(words, float(days['car'].iloc[-1]))}")


def common_height(axes: Iterable[Axes], means: Iterable[pd.DataFrame]) -> None:
    """Set common limits: they include the means, and bands and single dates unless these are much wider."""
    known = list(axes)
    ends = np.concatenate([np.zeros(1), *(days["car"].to_numpy(dtype=float) for days in means)])
    low, high = float(np.nanmin(ends)), float(np.nanmax(ends))
    room = 1.2 * max(high - low, 0.02)
    bottom, top = (
        pick(values)
        for pick, values in ((min, [a.get_ylim()[0] for a in known]), (max, [a.get_ylim()[1] for a in known]))
    )
    for ax in known:
        ax.set_ylim(max(bottom, low - room), min(top, high + room))
        mark_cuts(ax)


def mark_cuts(ax: Axes) -> None:
    """Draw an arrow at the edge of the axes where a line or a band first leaves it."""
    low, high = ax.get_ylim()
    lines = [(np.asarray(line.get_xdata()), np.asarray(line.get_ydata()), line.get_color()) for line in ax.get_lines()]
    paths: list[tuple[Any, Any, Any]] = [path for path in lines if len(path[0]) > 2]
    for band in ax.collections:
        if len(band.get_paths()):
            corners = np.asarray(band.get_paths()[0].vertices)
            paths.append((corners[:, 0], corners[:, 1], np.asarray(band.get_facecolor())[0, :3]))
    for x, y, colour in paths:
        days, values = np.asarray(x, dtype=float), np.asarray(y, dtype=float)
        for beyond, edge, marker in ((values > high, high, "^"), (values < low, low, "v")):
            if beyond.any():
                first = float(days[beyond].min())
                ax.plot([first], [edge], ls="none", marker=marker, ms=3.2, mew=0, color=colour, clip_on=False, zorder=6)


def mark_clarifications(ax: Axes, result: StudyResult, shock_id: str) -> bool:
    """Mark the clarifications of a shock above the axis, each with its day; return whether any is on the axis."""
    words, (low, high) = figure_words(result.facts), ax.get_xlim()
    on_axis = [(name, tau) for name, tau in read.clarification_days(result, shock_id) if low <= tau <= high]
    for name, tau in on_axis:
        text = words["figure.clarification_tip"].format(event=name, tau=f"{tau:+d}")
        look: Any = {"marker": "^", "ms": 4.5, "color": GREY, "mew": 0, "clip_on": False, "zorder": 7}
        point(ax, tau, 0.04, text, transform=ax.get_xaxis_transform(), **look)
    return bool(on_axis)
