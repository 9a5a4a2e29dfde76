"""The mean path of each label's dates from the last close before day 0, and the single dates."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from eventstudy.plots import frames as read
from eventstudy.plots.event_days import common_height, draw_path, shade_windows
from eventstudy.plots.fonts import figure_words
from eventstudy.plots.kinds import Frame, Kind, register
from eventstudy.plots.style import (
    GREY,
    INK,
    PALE,
    amount_tip,
    key_of_figure,
    label_colour,
    label_text,
    percent_axis,
    split,
    write_title,
)

if TYPE_CHECKING:
    from eventstudy.results.result import StudyResult

#: Largest number of panels, and number of panels side by side.
MOST, COLUMNS = 6, 3
#: Inches of a row of panels, and from one to the next.
TALL, ALONG = 1.2, 0.36


def caar_by_label(ax: Axes, result: StudyResult, label: str = "") -> Axes:
    """Draw one label: its dates in grey, their mean with the 95 % band over dates; by default that of the title."""
    words, groups = figure_words(result.facts), panels(result)
    label = label or _asked(result)
    mean, dates = read.date_paths(result, groups[label])
    shade_windows(ax, result, named=label == next(iter(groups), ""))
    for days in dates:
        ax.plot(days["tau"], days["car"], color=PALE, lw=0.6, zorder=1.5)
    name = label_text(result, label)
    draw_path(ax, words, mean, name, color=label_colour(label), lw=1.7, zorder=3, label=label)
    others = _matched(result, label)
    if len(others):
        ax.plot(others["tau"], others["car"], color=GREY, lw=1.2, ls=(0, (4, 2)), zorder=2.5, label="matched")
    ax.margins(x=0)
    ax.set_title(
        read.label_dates(words, label, _k(result, groups[label])), color=label_colour(label), fontsize=7, pad=3
    )
    percent_axis(ax, words["figure.caar_axis"], ticks=4)
    ax.set_xlabel(words["figure.sessions_short"])
    return ax


def panels(result: StudyResult) -> dict[str, str]:
    """Return label → group of the panels: the label in question, the labels with most dates, and all."""
    known = {"all", *read.table(result, "shocks", "label")["label"]}
    found = {name: group for name, group in read.headline_groups(result).items() if name in known and _k(result, group)}
    labels, asked = [name for name in found if name != "all"], _asked(result)
    if len(labels) == 1:
        # With only one label, one panel is enough.
        return {asked: found[asked]}
    labels.sort(key=lambda name: (name != asked, -_k(result, found[name])))
    return {name: found[name] for name in [*labels[: MOST - 1], *(["all"] if "all" in found else [])]}


def _asked(result: StudyResult) -> str:
    """Return the label of the title: that of the verdict if it has dates, else all."""
    found, label = read.headline_groups(result), read.asked_label(result)
    return label if label in found and _k(result, found[label]) else "all"


def _k(result: StudyResult, group: str) -> int:
    mean = read.date_paths(result, group)[0]
    return int(mean["n_dates"].max()) if len(mean) else 0


def _matched(result: StudyResult, label: str) -> Any:
    """Return the mean path of the control drops matched to a label's drops, from the close before day 0; may be
    empty."""
    base = read.base(result)
    days = read.reversal_path(result, f"label={label}" if label != "all" else "all", "placebos")
    before = days.loc[days["tau"] == base, "car"]
    # Control drops have paths of returns only.
    usable = len(before) and result.facts.get("kind", "return") == "return" and label == _asked(result)
    return days.assign(car=days["car"] - before.iloc[0]) if usable else days.iloc[:0]


def _panel(ax: Axes, result: StudyResult, _: str) -> Axes:
    words, groups = figure_words(result.facts), panels(result)
    columns = min(COLUMNS, len(groups))
    grid = split(ax, -(-len(groups) // columns), columns, across=0.3, along=ALONG)
    for spare in grid[len(groups) :]:
        spare.remove()
    del grid[len(groups) :]
    for panel, label in zip(grid, groups, strict=False):
        caar_by_label(panel, result, label)
    if len(groups) == 1:
        grid[0].set_title("")
    common_height(grid[: len(groups)], [read.date_paths(result, group)[0] for group in groups.values()])
    for at, panel in enumerate(grid[: len(groups)]):
        if at % columns:
            panel.set_yticklabels([])
            panel.set_ylabel("")
        if at + columns < len(groups):
            panel.set_xlabel("")
    write_title(ax, title(result))
    matched = _matched(result, _asked(result))
    lines: list[Any] = []
    if any(len(read.date_paths(result, group)[1]) > 1 for group in groups.values()):
        lines.append(Line2D([], [], color=PALE, lw=0.8, label=words["figure.one_date"]))
    base = words["figure.base"].format(base=_signed(read.base(result)))
    lines.append(Line2D([], [], color=INK, lw=0.5, ls=(0, (2, 2)), label=base))
    lines += [Line2D([], [], color=INK, lw=1.7, label=words["figure.mean"])]
    # A single date, and dates that overlap too much, have no band.
    if any(panel.collections for panel in grid):
        lines.append(Patch(color="0.85", label=words["figure.bands_alone"]))
    if len(matched):
        name = words["figure.placebo_end"].format(m=int(matched["n_paths"].max()))
        lines.append(Line2D([], [], color=GREY, lw=1.2, ls=(0, (4, 2)), label=name))
    key_of_figure(grid[0], lines, ncols=5, handlelength=1.6)
    return ax


def title(result: StudyResult, words: Mapping[str, str] | None = None) -> str:
    """Return the title: the mean path at the end of the first main window, and on the last day."""
    words, label = words or figure_words(result.facts), _asked(result)
    mean = read.date_paths(result, panels(result)[label])[0].set_index("tau")["car"]
    end, last = read.pair(read.main_windows(result)["drop"])[1], int(mean.index.max())
    told = {"day": end, "first": amount_tip(words, float(mean[end])), "last": amount_tip(words, float(mean[last]))}
    told |= {"start": _signed(int(mean.index.min()))}
    named = read.label_dates(words, label, _k(result, panels(result)[label]))
    named = named[:1].upper() + named[1:]
    # Paths of a long list begin on its first event day.
    kind = "whole" if read.table(result, "paths", "group").empty else "title" if last > end else "alone"
    return words[f"figure.caar_{kind}"].format(name=named, end=last, **told)


def _signed(day: int) -> str:
    return f"{day:+d}".replace("-", "−")


def _frame(result: StudyResult, _: str) -> Frame:
    n = len(panels(result))
    rows, tall = -(-n // COLUMNS), TALL if n > 1 else 1.9
    height = 0.95 + 0.15 + rows * tall + (rows - 1) * ALONG
    # Log points have ticks of five letters.
    left = 0.48 if result.facts.get("kind", "return") == "return" else 0.7
    return Frame(width=7.0, height=height, left=left, right=0.12, bottom=0.46, top=0.56)


register(
    Kind(
        "caar_by_label",
        10,
        lambda result: ("",) if panels(result) else (),
        _frame,
        _panel,
        read.headline_size,
        lambda result, _, words: {
            "found": title(result, words),
            "labels": len(panels(result)),
            "base": _signed(read.base(result)),
        },
    )
)
