"""Timeline of the shocks, on the index of the sector and that of its benchmarks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import matplotlib.dates as dates
import numpy as np
from matplotlib.axes import Axes
from matplotlib.patheffects import withStroke
from matplotlib.ticker import LogLocator, NullFormatter, NullLocator, ScalarFormatter

from eventstudy.messages import asked
from eventstudy.plots import frames as read
from eventstudy.plots.fonts import figure_words, shown
from eventstudy.plots.kinds import Frame, Kind, register
from eventstudy.plots.style import (
    FAINT,
    GREY,
    INK,
    SMALLEST,
    date_axis,
    figure_of,
    key,
    label_colour,
    label_text,
    point,
    sign,
)

if TYPE_CHECKING:
    import pandas as pd

    from eventstudy.results.result import StudyResult


def timeline(ax: Axes, result: StudyResult) -> Axes:
    """Draw both indices on a logarithmic scale, with each shock on its day 0 on the index of the peers."""
    words, index, shocks = figure_words(result.facts), sector_index(result), read.dots(result)
    days = index["date"].to_numpy(dtype="datetime64[D]")
    for column, colour, width in (("benchmark", GREY, 0.9), ("peers", INK, 1.1)):
        ax.plot(days, index[column], color=colour, lw=width, label=column, zorder=2)
    at = np.minimum(np.searchsorted(days, shocks["day0"].to_numpy(dtype="datetime64[D]")), len(days) - 1)
    levels = index["peers"].to_numpy()[at]
    for shock, level in zip(shocks.to_dict("records"), levels, strict=True):
        colour, day = label_colour(str(shock["label"])), np.datetime64(shock["day0"])
        text = f"{shock['shock_id']} {shock['day0']} {label_text(result, str(shock['label']))}"
        point(ax, day, level, text, marker="o", ms=4.2, mew=0.6, mec="white", color=colour, zorder=4)
    both = index[["peers", "benchmark"]].to_numpy()
    wide = float(both.max() / both.min())
    ax.set_yscale("log")
    ax.yaxis.set_major_locator(
        LogLocator(subs=(1.0, 2.0, 5.0) if wide > 5 else (1.0, 1.2, 1.5, 2.0, 2.5, 3.0, 4.0, 5.0, 7.0))
    )
    ax.yaxis.set_major_formatter(ScalarFormatter())
    ax.yaxis.set_minor_locator(NullLocator())
    ax.yaxis.set_minor_formatter(NullFormatter())
    date_axis(ax, days)
    ax.grid(color=FAINT, lw=0.4)
    ax.set_axisbelow(True)
    _name_lines(ax, words, index)
    _name_shocks(ax, shocks if asked(result.facts) else shocks.iloc[:0], levels, read.asked_label(result))
    labels = dict.fromkeys(str(label) for label in shocks["label"] if asked(result.facts))
    key(ax, [sign("o", label_text(result, name), ms=4.2, mew=0, color=label_colour(name)) for name in labels], ncols=7)
    ax.set_title(words["figure.timeline_title"].format(**_told(result, "", words)), pad=15)
    ax.set_ylabel(words["figure.timeline_axis"])
    return ax


def sector_index(result: StudyResult) -> pd.DataFrame:
    """Return both indices by week."""
    return read.table(result, "sector_index", "date", "peers", "benchmark")


def _name_lines(ax: Axes, words: Mapping[str, str], index: pd.DataFrame) -> None:
    """Name both lines at their ends, without overlap."""
    peers, benchmark = (float(index[name].iloc[-1]) for name in ("peers", "benchmark"))
    for name, level, colour, above in (
        ("peers", peers, INK, peers >= benchmark),
        ("benchmark", benchmark, GREY, peers < benchmark),
    ):
        text = words[f"figure.timeline_{name}"].format(level=f"{level:,.0f}")
        look: Any = {"xycoords": ax.get_yaxis_transform(), "textcoords": "offset points", "fontsize": SMALLEST}
        shift = (4, 0) if abs(np.log(peers / benchmark)) > 0.3 else (4, 5 if above else -5)
        ax.annotate(text, (1.0, level), shift, color=colour, va="center", annotation_clip=False, **look)


def _name_shocks(ax: Axes, shocks: pd.DataFrame, levels: Any, label: str) -> None:
    """Name the shocks with enough room above them, those with the label in question first."""
    ax.autoscale_view()
    wide = float(ax.get_position().width * figure_of(ax).get_figwidth())
    low, high = ax.get_xlim()
    taken: list[tuple[float, float, float]] = []
    pairs = sorted(zip(shocks.to_dict("records"), levels, strict=False), key=lambda pair: pair[0]["label"] != label)
    for shock, level in pairs:
        name = shown(shock["shock_id"], limit=9)
        x = (float(dates.date2num(np.datetime64(shock["day0"]))) - low) / (high - low) * wide  # type: ignore[no-untyped-call]
        half, y = 0.028 * len(name), float(np.log(level))
        if all(abs(x - left) > half + other or abs(y - tall) > 0.42 for left, other, tall in taken):
            taken.append((x, half, y))
            look: Any = {"textcoords": "offset points", "ha": "center", "fontsize": SMALLEST, "zorder": 5}
            spot = np.datetime64(shock["day0"]), level
            text = ax.annotate(name, spot, (0, 5), color=label_colour(str(shock["label"])), **look)
            text.set_path_effects([withStroke(linewidth=2, foreground="white")])


def _told(result: StudyResult, _: str, _words: Mapping[str, str]) -> Mapping[str, Any]:
    index, shocks = sector_index(result), read.dots(result)
    ends = {name: f"{float(index[name].iloc[-1]) / 100:.1f}" for name in ("peers", "benchmark")}
    return {"k": len(shocks), "first": index["date"].iloc[0][:7], "last": index["date"].iloc[-1][:7], **ends}


register(
    Kind(
        "timeline",
        38,
        lambda result: ("",) if len(sector_index(result)) > 1 and len(read.dots(result)) > 1 else (),
        lambda *_: Frame(width=7.0, height=2.6, left=0.55, right=1.15, bottom=0.38, top=0.4, beneath=0.3),
        lambda ax, result, _: timeline(ax, result),
        read.headline_size,
        _told,
    )
)
