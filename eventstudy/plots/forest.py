"""Forest plot: each shock in the drop and after it with its interval, by label, and the mean of each label."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.axes import Axes

from eventstudy.messages import asked
from eventstudy.plots import frames as read
from eventstudy.plots.fonts import figure_words, shown
from eventstudy.plots.kinds import Frame, Kind, register
from eventstudy.plots.style import (
    INK,
    PALE,
    SMALLEST,
    amount_tip,
    figure_of,
    interval_text,
    key_of_figure,
    label_colour,
    name_rows,
    percent_axis,
    point,
    sign,
    split,
    tip,
    write_title,
)
from eventstudy.results.from_tables import tests_of

if TYPE_CHECKING:
    from eventstudy.results.result import StudyResult

#: Largest number of shocks with a row each (with more, only means are drawn); the same for a single window.
MOST = 27
#: Inches of a row, of the names on the left, the numbers on the right, and the ranks.
ROW, NAMES, NUMBERS, RANK = 0.128, 1.32, 1.22, 0.72
#: Limit of the axes as a multiple of the largest estimate; intervals beyond it are cut at an arrow.
REACH = 2.2
COMPARISON: Any = {"marker": "|", "ms": 5, "mew": 0.6, "color": PALE}


def forest(ax: Axes, result: StudyResult, name: str = "") -> Axes:
    """Draw one window: each shock with its 95 % interval and numbers, and above them the mean of their label."""
    words, rows, windows = figure_words(result.facts), forest_rows(result), read.main_windows(result)
    name = name or list(windows)[-1]
    low, high = _reach(rows, name)
    matched = read.matched_placebos(result) if name == "post" else None
    # Ranks stand an inch beyond the numbers.
    beyond = 1.03 + 1.03 / float(ax.get_position().width * figure_of(ax).get_figwidth())
    for y, row in enumerate(rows):
        value, lower, upper = (float(row[f"{name}{end}"]) for end in ("", "_lower", "_upper"))
        colour = label_colour(str(row["label"]))
        if not np.isfinite(value):
            continue
        if not np.isfinite(lower):
            lower = upper = np.nan
        text = f"{row['name']} {words['figure.' + name]} {windows[name]}: {amount_tip(words, value)}"
        if row["shock_id"]:
            if matched is not None:
                own = matched.loc[matched["shock_id"] == row["shock_id"], "car_post"].to_numpy()
                ax.plot(own, np.full(len(own), y), ls="none", zorder=1, **COMPARISON)
            ax.plot([lower, upper], [y, y], color=colour, lw=0.9, zorder=2)
            filled = colour if row["qualifies"] else "white"
            point(ax, value, y, text, marker="o", ms=3.6, mec=colour, mew=0.9, mfc=filled, zorder=3)
        elif np.isfinite(lower):
            corners = [lower, value, upper, value], [y, y - 0.36, y, y + 0.36]
            (diamond,) = ax.fill(*corners, color=colour, lw=0, zorder=2)
            tip(diamond, text)
        else:
            point(ax, value, y, text, marker="D", ms=3.6, color=colour, zorder=3)
        for end, cut, marker in ((low, lower < low, "<"), (high, upper > high, ">")):
            if cut:
                ax.plot([end], [y], marker=marker, ms=3.5, mew=0, color=colour, clip_on=False, zorder=4)
        weight = "normal" if row["shock_id"] else "bold"
        numbers: Any = {"transform": ax.get_yaxis_transform(), "va": "center", "fontsize": SMALLEST, "weight": weight}
        ax.text(1.03, y, interval_text(value, lower, upper), color=INK, **numbers)
        if name == "post" and (rank := read.rank_of(result, row["shock_id"])):
            ax.text(beyond, y, words["figure.rank"].format(rank=rank[0], m=rank[1]), **numbers)
    ax.axvline(0, color=INK, lw=0.6, zorder=1)
    ax.set_xlim(low, high)
    ax.set_ylim(len(rows) - 0.4, -0.6)
    ax.set_yticks([])
    percent_axis(ax, words[f"figure.forest_{name}"].format(window=windows[name]), horizontal=True, ticks=4)
    return ax


def _reach(rows: list[dict[Any, Any]], name: str) -> tuple[float, float]:
    """Return the limits of the axis: they include every estimate, and intervals unless these are much wider."""
    values = np.array([[row[f"{name}{end}"] for end in ("", "_lower", "_upper")] for row in rows], dtype=float)
    most = REACH * max(float(np.nanmax(np.abs(values[:, 0]))), 0.01)
    low, high = max(float(np.nanmin(values)), -most), min(float(np.nanmax(values)), most)
    return min(low, 0.0) - 0.02 * (high - low), max(high, 0.0) + 0.02 * (high - low)


@functools.lru_cache(maxsize=4)
def forest_rows(result: StudyResult) -> list[dict[Any, Any]]:
    """Return the rows of the figure: each label with its mean and its shocks (if there is room), and all."""
    shocks, words = read.dots(result), figure_words(result.facts)
    if shocks.empty:
        return []
    groups = read.headline_groups(result)
    found: list[dict[Any, Any]] = []
    first = read.asked_label(result)
    present = set(shocks["label"])
    labels = sorted(present, key=lambda label: (label != first, list(groups).index(label) if label in groups else -1))
    room = MOST
    for label in labels:
        own = shocks[shocks["label"] == label]
        many = len(labels) > 1
        if many:
            name = read.label_dates(words, str(label), read.group_size(result, groups[label])[1])
            found.append({"label": label, "shock_id": "", "name": name, **_means(result, groups[label])})
        if len(own) <= room or not many:
            room -= len(own)
            found += [{**row, "name": _name(row)} for row in own.to_dict("records")]
    name = read.label_dates(words, "all", read.group_size(result, groups["all"])[1])
    return [*found, {"label": "all", "shock_id": "", "name": name, **_means(result, groups["all"])}]


def _name(row: Mapping[str, Any]) -> str:
    """Return the name of a shock with its day 0, unless the name contains it."""
    day = str(row["day0"])
    return shown(row["shock_id"], limit=22) if day in row["shock_id"] else f"{shown(row['shock_id'], limit=10)} {day}"


def _means(result: StudyResult, group: str) -> Mapping[str, float]:
    """Return the mean over dates of a group with its interval in each window; NaN if there is no such test."""
    found: dict[str, float] = {}
    tests = read.table(result, "tests", "name", "group")
    own = tests_of(tests[(tests["name"] == "ibragimov_mueller") & (tests["group"] == group)])
    for name, window in read.main_windows(result).items():
        rows = own.where(window=read.pair(window))
        low, high = rows[0].conf_int() if rows else (np.nan, np.nan)
        found |= {name: rows[0].estimate if rows else np.nan, f"{name}_lower": low, f"{name}_upper": high}
    return found


def _panel(ax: Axes, result: StudyResult, _: str) -> Axes:
    """Draw the windows side by side, with row names on the left and a legend above."""
    words, rows, windows = figure_words(result.facts), forest_rows(result), read.main_windows(result)
    panels = split(ax, 1, len(windows), across=NUMBERS, along=0.0)
    for panel, name in zip(panels, windows, strict=True):
        forest(panel, result, name)
    name_rows(panels[0], [row["name"] for row in rows], colours=[label_colour(str(row["label"])) for row in rows])
    for text, row in zip(panels[0].texts[-len(rows) :], rows, strict=True):
        text.set_fontweight("normal" if row["shock_id"] else "bold")
    write_title(ax, _title(rows, windows, words))
    plain: Any = {"ms": 3.6, "color": INK}
    marks = [sign("D", words["figure.forest_mean"], **plain)]
    # With many shocks only the means are drawn.
    if any(row["shock_id"] for row in rows):
        marks.insert(0, sign("o", words[f"figure.forest_{'shock' if 'post' in windows else 'any'}"], **plain))
        if len(read.qualifying(result)):
            marks.insert(1, sign("o", words["figure.not_qualified"], mfc="white", **plain))
        if len(read.matched_placebos(result)):
            marks.append(sign(label=words["figure.a_placebo"], **COMPARISON))
    key_of_figure(panels[0], marks, ncols=4)
    return ax


def _title(rows: list[dict[Any, Any]], windows: Mapping[str, str], words: Mapping[str, str]) -> str:
    """Return the title: the means of the first label, or of all dates without labels."""
    row = rows[0] if "post" in windows and not rows[0]["shock_id"] else rows[-1]
    told = {name: amount_tip(words, float(row[name])) for name in windows}
    title = "forest_title" if "post" in windows else "forest_title_alone"
    return words[f"figure.{title}"].format(name=row["name"][:1].upper() + row["name"][1:], **told)


def _frame(result: StudyResult, _: str) -> Frame:
    right = NUMBERS + (RANK if len(read.main_windows(result)) > 1 else 0.0)
    height = 0.85 + ROW * max(len(forest_rows(result)), 3)
    return Frame(width=7.0, height=height, left=NAMES, right=right, bottom=0.44, top=0.41)


def _told(result: StudyResult, _: str, _words: Mapping[str, str]) -> Mapping[str, object]:
    windows, last = read.main_windows(result), forest_rows(result)[-1]
    name = list(windows)[-1]
    ends = (float(last[f"{name}{end}"]) for end in ("", "_lower", "_upper"))
    return {"k": len(read.dots(result)), "window": windows[name], "mean": interval_text(*ends)}


def _present(result: StudyResult) -> tuple[str, ...]:
    """Whether the figure is drawn: not for a single date without a question about drops, nor for too many shocks."""
    n = len(read.dots(result))
    return ("",) if (n > 0 if asked(result.facts) else 1 < n <= MOST) else ()


register(Kind("forest", 5, _present, _frame, _panel, read.headline_size, _told))
