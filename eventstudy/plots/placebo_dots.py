"""Events among their matched placebo drops."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from matplotlib.lines import Line2D

from eventstudy.plots import frames as read
from eventstudy.plots.fonts import figure_words
from eventstudy.plots.kinds import Frame, Kind, register
from eventstudy.plots.style import (
    INK,
    PLACEBO_COLOUR,
    label_colour,
    name_shocks,
    percent_axis,
    percent_tip,
    tip,
    window_of,
)

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

    from eventstudy.results.result import StudyResult


def placebo_dots(ax: Axes, result: StudyResult) -> Axes:
    """Draw each shock's post-drop CAR over those of its matched placebo drops, with its rank."""
    words, rows = figure_words(result.facts), placebo_rows(result)
    matched = read.matched_placebos(result)
    for position, row in enumerate(rows.to_dict("records")):
        mine = matched[matched["shock_id"] == row["shock_id"]]["car_post"].to_numpy()
        ax.plot(
            mine,
            np.full(len(mine), position),
            ls="none",
            marker="o",
            ms=3,
            color=PLACEBO_COLOUR,
            alpha=0.5,
            mew=0,
            zorder=2,
        )
        ax.plot([np.median(mine)], [position], ls="none", marker="|", ms=8, mew=1.2, color=INK, zorder=3)
        (dot,) = ax.plot(
            [row["post"]], [position], ls="none", marker="D", ms=4.5, color=label_colour(str(row["label"])), zorder=4
        )
        place, among = read.placebo_rank(result, str(row["shock_id"])) or (0, 0)
        rank = words["figure.rank"].format(rank=place, m=among)
        tip(dot, f"{row['shock_id']}: {percent_tip(row['post'])}; {rank}")
        ax.text(1.01, position, rank, transform=ax.get_yaxis_transform(), va="center", fontsize=6)
    ax.axvline(0, color=INK, lw=0.6, zorder=1)
    name_shocks(ax, rows)
    ax.set_ylim(len(rows) - 0.5, -0.6)
    ax.set_title(words["figure.placebo_title"], pad=16)
    percent_axis(ax, words["figure.placebo_axis"].format(window=window_of(result, "post")), horizontal=True)
    _placebo_key(ax, result)
    return ax


def _placebo_key(ax: Axes, result: StudyResult) -> None:
    words = figure_words(result.facts)
    handles = [
        Line2D([], [], ls="none", marker="D", ms=4.5, color="#555555", label=words["figure.the_event"]),
        Line2D([], [], ls="none", marker="o", ms=3, color=PLACEBO_COLOUR, label=words["figure.a_placebo"]),
        Line2D([], [], ls="none", marker="|", ms=8, mew=1.2, color=INK, label=words["figure.placebo_median"]),
    ]
    ax.legend(
        handles=handles,
        ncols=3,
        loc="lower left",
        bbox_to_anchor=(-0.01, 0.99),
        borderpad=0.1,
        columnspacing=0.9,
        handletextpad=0.3,
    )


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
