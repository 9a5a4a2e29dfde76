"""The specification curve: the effect under every set of choices, the lowest first."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from eventstudy.messages import term
from eventstudy.plots import frames as read
from eventstudy.plots.fonts import figure_words, shown
from eventstudy.plots.kinds import Frame, Kind, register
from eventstudy.plots.style import (
    GREY,
    INK,
    PALE,
    SMALLEST,
    interval_text,
    key,
    name_rows,
    percent_axis,
    percent_tip,
    point,
    sign,
    window_of,
    write_title,
)

if TYPE_CHECKING:
    import pandas as pd

    from eventstudy.results.result import StudyResult

#: The choices of a specification, in the order of the figure.
_CHOICES = ("window", "model", "returns", "alpha")
_SECTIONS: Mapping[str, str] = {"model": "model", "returns": "returns", "alpha": "alpha_short"}


def specification_curve(ax: Axes, result: StudyResult) -> Axes:
    """Draw the effect of each specification with its interval, sorted; the study's own is a diamond."""
    words, rows = figure_words(result.facts), _specifications(result)
    places = np.arange(len(rows))
    ax.vlines(places, rows["lower"], rows["upper"], color=PALE, lw=1.2, zorder=2)
    for x, row in enumerate(rows.to_dict("records")):
        own: Any = {"marker": "D", "ms": 5, "color": INK, "zorder": 4}
        other: Any = {"marker": "o", "ms": 2.8, "color": GREY, "zorder": 3}
        ends = interval_text(*(float(row[name]) for name in ("estimate", "lower", "upper")))
        point(ax, x, row["estimate"], ends, **(own if _is_own(result, row) else other))
    ax.axhline(0, color=INK, lw=0.6)
    ax.axhline(rows["median"].iloc[0], color=GREY, lw=0.8, ls=(0, (4, 2)), zorder=1)
    ax.set_xlim(-0.8, len(rows) - 0.2)
    ax.set_xticks([])
    handles: list[Any] = [sign("D", words["figure.own_choice"], ms=5, color=INK)]
    handles += [Line2D([], [], color=PALE, lw=1.2, label=words["figure.bands_alone"])]
    handles += [Line2D([], [], color=GREY, lw=0.8, ls=(0, (4, 2)), label=words["column.median"])]
    key(ax, handles, handlelength=1.4)
    write_title(ax, words["figure.specifications_title"].format(**_told(result, "", words)))
    percent_axis(ax, words["figure.specifications_axis"])
    return ax


def _told(result: StudyResult, _: str, _words: Mapping[str, str]) -> Mapping[str, Any]:
    """Return the text fields: number of specifications, share of positive effects, median, joint p."""
    rows = _specifications(result)
    first = rows.iloc[0]
    share, median = f"{first['share_positive']:.0%}", percent_tip(float(first["median"]))
    return {"n": len(rows), "share": share, "median": median, "p": f"{first['joint_p']:.2f}"}


def specification_choices(ax: Axes, result: StudyResult) -> Axes:
    """Draw the choices of each specification below the curve."""
    rows = _specifications(result)
    words = figure_words(result.facts)
    marks: list[tuple[str, Any]] = []
    for column in _choices(rows):
        values = rows[column].astype(str)
        for value in dict.fromkeys(values):
            said = value if column == "window" else term(words, _SECTIONS[column], value)
            marks.append((f"{words[f'column.{column}']}: {said}", values.to_numpy() == value))
    for y, (_, chosen) in enumerate(marks):
        ax.plot(np.flatnonzero(chosen), np.full(int(chosen.sum()), y), ls="none", marker="s", ms=2.2, color=INK, mew=0)
    name_rows(ax, [shown(name, limit=30) for name, _ in marks], fontsize=SMALLEST)
    ax.set_ylim(len(marks) - 0.5, -0.5)
    ax.set_xlim(-0.8, len(rows) - 0.2)
    ax.set_xticks([])
    for side in ("left", "bottom"):
        ax.spines[side].set_visible(False)
    return ax


def _specifications(result: StudyResult) -> pd.DataFrame:
    table = read.table(
        result, "specification_curve", "estimate", "lower", "upper", "median", "share_positive", *_CHOICES
    )
    return table[table["estimate"].notna()].sort_values("estimate", kind="stable").reset_index(drop=True)


def _choices(rows: pd.DataFrame) -> list[str]:
    return [name for name in _CHOICES if rows[name].astype(str).nunique() > 1]


def _is_own(result: StudyResult, row: Mapping[Any, Any]) -> bool:
    """Return whether a specification is that of the study."""
    summary = result.facts
    own = {
        "window": window_of(result, "post"),
        "model": (summary.get("model") or {}).get("name"),
        "returns": summary.get("returns"),
        "alpha": (summary.get("model") or {}).get("alpha"),
    }
    return all(str(row[name]) == str(own[name]) for name in _CHOICES)


def _panel(ax: Axes, result: StudyResult, _: str) -> Axes:
    """Divide the axes into the curve and, below it, the choices."""
    figure = ax.figure
    height = _frame(result, "").height
    box = ax.get_position()
    upper = 1.9 / height
    ax.set_position((box.x0, box.y1 - upper, box.width, upper))
    below = figure.add_axes((box.x0, box.y0, box.width, max(box.height - upper - 0.08 / height, 0.02)))
    specification_curve(ax, result)
    specification_choices(below, result)
    return ax


def _frame(result: StudyResult, _: str) -> Frame:
    rows = _specifications(result)
    lines = sum(rows[column].astype(str).nunique() for column in _choices(rows))
    return Frame(width=7.0, height=2.7 + 0.125 * max(lines, 1), left=1.75, right=0.12, bottom=0.32, top=0.4)


register(
    Kind(
        "specification_curve",
        70,
        lambda result: ("",) if len(_specifications(result)) > 1 else (),
        _frame,
        _panel,
        lambda result, _: (
            result.verdict.n_events if result.verdict else 0,
            int(_specifications(result)["n_dates"].max()),
        ),
        _told,
    )
)
