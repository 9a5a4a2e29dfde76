"""Events among their matched placebo drops."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.axes import Axes

from eventstudy.plots import frames as read
from eventstudy.plots.fonts import figure_words
from eventstudy.plots.kinds import Frame, Kind, register
from eventstudy.plots.style import (
    INK,
    PLACEBO_COLOUR,
    key,
    label_colour,
    name_shocks,
    percent_axis,
    percent_tip,
    point,
    sign,
    window_of,
)

if TYPE_CHECKING:
    import pandas as pd

    from eventstudy.results.result import StudyResult

#: How a placebo drop and the median of a shock's are drawn.
PLACEBO: dict[str, Any] = {"marker": "o", "ms": 3, "color": PLACEBO_COLOUR, "alpha": 0.5, "mew": 0}
MEDIAN: dict[str, Any] = {"marker": "|", "ms": 8, "mew": 1.2, "color": INK}


def placebo_dots(ax: Axes, result: StudyResult) -> Axes:
    """Draw each shock's post-drop CAR over those of its matched placebo drops, with its rank."""
    words, shocks = figure_words(result.facts), placebo_rows(result)
    matched = read.matched_placebos(result)
    for row, shock in enumerate(shocks.to_dict("records")):
        placebos = matched[matched["shock_id"] == shock["shock_id"]]["car_post"].to_numpy()
        ax.plot(placebos, np.full(len(placebos), row), ls="none", zorder=2, **PLACEBO)
        point(ax, np.median(placebos), row, zorder=3, **MEDIAN)
        place, among = read.placebo_rank(result, str(shock["shock_id"])) or (0, 0)
        rank = words["figure.rank"].format(rank=place, m=among)
        text, colour = f"{shock['shock_id']}: {percent_tip(shock['post'])}; {rank}", label_colour(str(shock["label"]))
        point(ax, shock["post"], row, text, marker="D", ms=4.5, color=colour, zorder=4)
        ax.text(1.01, row, rank, transform=ax.get_yaxis_transform(), va="center", fontsize=6.2)
    ax.axvline(0, color=INK, lw=0.6, zorder=1)
    name_shocks(ax, shocks)
    ax.set_ylim(len(shocks) - 0.5, -0.6)
    ax.set_title(words["figure.placebo_title"], pad=16)
    percent_axis(ax, words["figure.placebo_axis"].format(window=window_of(result, "post")), horizontal=True)
    event = sign("D", words["figure.the_event"], ms=4.5, color="#555555")
    placebo = sign(label=words["figure.a_placebo"], **PLACEBO)
    key(ax, [event, placebo, sign(label=words["figure.placebo_median"], **MEDIAN)])
    return ax


def placebo_rows(result: StudyResult) -> pd.DataFrame:
    """Return the shocks that have matched placebos, by date."""
    rows, matched = read.dots(result), read.matched_placebos(result)
    if rows.empty or matched.empty:
        return rows.iloc[:0]
    return rows[rows["shock_id"].isin(set(matched["shock_id"])) & rows["post"].notna()]


def size(result: StudyResult, _: str) -> tuple[int, int]:
    rows = placebo_rows(result)
    return int(rows["n_peers"].sum()), len(rows)


register(
    Kind(
        "placebo_dots",
        51,
        lambda result: ("",) if len(placebo_rows(result)) else (),
        lambda result, _: Frame(
            width=7.0, height=1.15 + 0.17 * len(placebo_rows(result)), left=1.12, right=0.85, bottom=0.58, top=0.4
        ),
        (lambda ax, result, _: placebo_dots(ax, result),),
        size,
    )
)
