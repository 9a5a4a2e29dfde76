"""Balance of drops and their matched control drops in characteristics known before."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.axes import Axes

from eventstudy.messages import term
from eventstudy.plots import frames as read
from eventstudy.plots.fonts import figure_words, shown
from eventstudy.plots.kinds import Frame, Kind, register
from eventstudy.plots.style import FAINT, INK, key, label_colour, label_text, name_rows

if TYPE_CHECKING:
    import pandas as pd

    from eventstudy.results.result import StudyResult

#: Standardised differences that count as small and as too large (Stuart 2010).
CLOSE, FAR = 0.1, 0.25


def placebo_balance(ax: Axes, result: StudyResult) -> Axes:
    """Draw the standardised differences between drops and matched control drops."""
    words, table = figure_words(result.facts), _balance(result)
    traits = list(dict.fromkeys(table["variable"]))
    ax.axvspan(-CLOSE, CLOSE, color="#EEEEEE", lw=0, zorder=0)
    for edge in (-FAR, FAR):
        ax.axvline(edge, color="#AAAAAA", lw=0.7, ls=(0, (3, 2)), zorder=1)
    for (group, part), marker in zip(table.groupby("group", sort=False), "oDs^v", strict=False):
        label = str(group).removeprefix("label=")
        name = words["figure.balance_group"].format(
            name=label_text(result, label), k=int(part["n_events"].max()), m=int(part["n_placebos"].max())
        )
        look: dict[str, Any] = {"ls": "none", "marker": marker, "ms": 4.5, "mew": 0, "alpha": 0.85, "zorder": 3}
        rows = [traits.index(trait) for trait in part["variable"]]
        ax.plot(part["smd"], rows, color=label_colour(label), label=name, **look)
    ax.axvline(0, color=INK, lw=0.6, zorder=1)
    name_rows(ax, [shown(term(words, "trait", name)) for name in traits])
    ax.set_ylim(len(traits) - 0.5, -0.6)
    ax.grid(axis="x", color=FAINT, lw=0.4)
    ax.set_axisbelow(True)
    ax.set_xlabel(words["figure.balance_axis"])
    ax.set_title(words["figure.balance_title"], pad=16)
    key(ax, ncols=5, at=(-0.3, 0.99))
    return ax


def _balance(result: StudyResult) -> pd.DataFrame:
    """Return the balance of each label's drops and of all; single shocks and repeated groups are left out."""
    table = read.table(result, "placebo_balance", "group", "variable", "smd")
    plain = ~table["group"].str.contains("exploratory|shock_id=")
    return table[plain & table["smd"].notna()]


def _frame(result: StudyResult, _: str) -> Frame:
    height = 1.2 + 0.2 * _balance(result)["variable"].nunique()
    return Frame(width=7.0, height=height, left=1.8, right=0.15, bottom=0.58, top=0.4)


def _size(result: StudyResult, _: str) -> tuple[int, int]:
    shocks = read.dots(result)
    judged = shocks[shocks["shock_id"].isin(set(read.matched_placebos(result)["shock_id"]))]
    return int(judged["n_peers"].sum()), len(judged)


def _told(result: StudyResult, _: str, words: Mapping[str, str]) -> Mapping[str, Any]:
    """Return the text fields: the characteristic that differs most."""
    table = _balance(result)
    worst = table.iloc[int(np.argmax(table["smd"].abs().to_numpy()))]
    return {"trait": term(words, "trait", worst["variable"]), "smd": f"{worst['smd']:+.2f}".replace("-", "−")}


register(
    Kind(
        "placebo_balance",
        52,
        lambda result: ("",) if len(_balance(result)) else (),
        _frame,
        lambda ax, result, _: placebo_balance(ax, result),
        _size,
        _told,
    )
)
