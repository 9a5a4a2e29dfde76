"""Events among their matched placebo drops, and how alike the two are."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from matplotlib.lines import Line2D

from eventstudy.messages import term
from eventstudy.plots import frames as read
from eventstudy.plots.fonts import figure_words, shown
from eventstudy.plots.kinds import Frame, Kind, register
from eventstudy.plots.style import (
    FAINT,
    INK,
    PLACEBO_COLOUR,
    label_colour,
    label_text,
    name_rows,
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

#: Standardised differences that count as small and as too large (Stuart 2010).
CLOSE, FAR = 0.1, 0.25


def placebo_dots(ax: Axes, result: StudyResult) -> Axes:
    """Draw each shock's post-drop CAR over those of its matched placebo drops, with its rank."""
    words, rows = figure_words(result.facts), _placebo_rows(result)
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
            [row["post"]],
            [position],
            ls="none",
            marker="D",
            ms=4.5,
            color=label_colour(str(row["label"])),
            zorder=4,
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


def placebo_balance(ax: Axes, result: StudyResult) -> Axes:
    """Draw the standardised difference between events and placebos in what was known before."""
    words, rows = figure_words(result.facts), _balance(result)
    traits = list(dict.fromkeys(rows["variable"]))
    ax.axvspan(-CLOSE, CLOSE, color="#EEEEEE", lw=0, zorder=0)
    for edge in (-FAR, FAR):
        ax.axvline(edge, color="#AAAAAA", lw=0.7, ls=(0, (3, 2)), zorder=1)
    for (group, part), marker in zip(rows.groupby("group", sort=False), "oDs^v", strict=False):
        label = str(group).removeprefix("label=")
        name = words["figure.balance_group"].format(
            name=label_text(result, label), k=int(part["n_events"].max()), m=int(part["n_placebos"].max())
        )
        ax.plot(
            part["smd"],
            [traits.index(trait) for trait in part["variable"]],
            ls="none",
            marker=marker,
            ms=4.5,
            color=label_colour(label),
            mew=0,
            alpha=0.85,
            label=name,
            zorder=3,
        )
    ax.axvline(0, color=INK, lw=0.6, zorder=1)
    name_rows(ax, [shown(term(words, "trait", name)) for name in traits])
    ax.set_ylim(len(traits) - 0.5, -0.6)
    ax.grid(axis="x", color=FAINT, lw=0.4)
    ax.set_axisbelow(True)
    ax.set_xlabel(words["figure.balance_axis"])
    ax.set_title(words["figure.balance_title"], pad=16)
    ax.legend(
        ncols=5,
        loc="lower left",
        bbox_to_anchor=(-0.3, 0.99),
        borderpad=0.1,
        handletextpad=0.2,
        fontsize=6,
        columnspacing=0.9,
    )
    return ax


def _balance(result: StudyResult) -> pd.DataFrame:
    """Return the balance of each label's drops and of all; single shocks and doubles are left out."""
    import pandas as pd

    table = result.tables.get("placebo_balance")
    if table is None or table.empty:
        return pd.DataFrame(columns=["group", "variable", "smd"])
    plain = ~table["group"].str.contains("exploratory|shock_id=")
    return table[plain & table["smd"].notna()]


def _placebo_rows(result: StudyResult) -> pd.DataFrame:
    """Return the shocks that have matched placebos, by date."""
    rows, matched = read.dots(result), read.matched_placebos(result)
    if rows.empty or matched.empty:
        return rows.iloc[:0]
    return rows[rows["shock_id"].isin(set(matched["shock_id"])) & rows["post"].notna()]


def _size(result: StudyResult, _: str) -> tuple[int, int]:
    rows = _placebo_rows(result)
    return int(rows["n_peers"].sum()), len(rows)


def _balance_present(result: StudyResult) -> tuple[str, ...]:
    return ("",) if len(_balance(result)) else ()


def _balance_frame(result: StudyResult, _: str) -> Frame:
    return Frame(7.0, 1.2 + 0.2 * _balance(result)["variable"].nunique(), 1.8, 0.15, 0.58, 0.4)


register(
    Kind(
        "placebo_dots",
        51,
        lambda result: ("",) if len(_placebo_rows(result)) else (),
        lambda result, _: Frame(7.0, 1.15 + 0.17 * len(_placebo_rows(result)), 1.12, 0.85, 0.58, 0.4),
        (lambda ax, result, _: placebo_dots(ax, result),),
        _size,
    )
)
register(
    Kind(
        "placebo_balance",
        52,
        _balance_present,
        _balance_frame,
        (lambda ax, result, _: placebo_balance(ax, result),),
        _size,
    )
)
