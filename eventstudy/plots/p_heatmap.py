"""The p-values of every test in every window, for one group."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap
from matplotlib.patches import Patch, Rectangle

from eventstudy.messages import term
from eventstudy.plots import frames as read
from eventstudy.plots.fonts import figure_words
from eventstudy.plots.kinds import Frame, Kind, register
from eventstudy.plots.style import GREY, INK, SMALLEST, key, name_rows, write_title

if TYPE_CHECKING:
    import pandas as pd

    from eventstudy.results.result import StudyResult

#: Upper ends of the steps of the scale, and their greys (only labels have colours).
STEPS = (0.01, 0.05, 0.10, 1.0)
SHADES = ("#3C3C3C", "#B4B4B4", "#DCDCDC", "#F7F7F7")
#: Inches of a row and of a column.
ROW, COLUMN = 0.128, 0.72


def p_heatmap(ax: Axes, result: StudyResult) -> Axes:
    """Draw each p-value in a cell shaded by its step; a test that does not apply is hatched."""
    words, cells = figure_words(result.facts), p_values(result)
    values = cells.to_numpy(dtype=float)
    steps = np.where(np.isnan(values), np.nan, np.searchsorted(STEPS, np.nan_to_num(values), side="right"))
    ax.imshow(np.minimum(steps, 3), cmap=ListedColormap(SHADES), vmin=-0.5, vmax=3.5, aspect="auto")
    for row, column in np.ndindex(values.shape):
        p = values[row, column]
        if np.isnan(p):
            look: Any = {"facecolor": "white", "edgecolor": GREY, "hatch": "//////", "lw": 0}
            ax.add_patch(Rectangle((column - 0.5, row - 0.5), 1, 1, **look))
        else:
            text, colour = "<0.001" if p < 0.0005 else f"{p:.3f}", "white" if p < STEPS[0] else INK
            ax.text(column, row, text, ha="center", va="center", fontsize=SMALLEST, color=colour)
    ax.set_xticks(range(len(cells.columns)), list(cells.columns))
    ax.xaxis.tick_top()
    ax.tick_params(axis="x", length=0, pad=1.5)
    ax.grid(visible=False)
    for spine in ax.spines.values():
        spine.set_visible(False)
    name_rows(ax, [term(words, "test", name) for name in cells.index])
    names = [
        f"p < {STEPS[0]}",
        *(f"{low:g}–{high:g}" for low, high in itertools.pairwise(STEPS[:3])),
        f"≥ {STEPS[2]:.2f}",
    ]
    handles: list[Any] = [
        Patch(facecolor=shade, edgecolor=GREY, lw=0.4, label=n) for shade, n in zip(SHADES, names, strict=True)
    ]
    handles.append(Patch(facecolor="white", edgecolor=GREY, hatch="//////", lw=0.4, label=words["figure.p_none"]))
    key(ax, handles, ncols=1, at=(1.02, 1.0), loc="upper left", handlelength=1.2)
    return ax


@functools.lru_cache(maxsize=4)
def p_values(result: StudyResult) -> pd.DataFrame:
    """Return the p-values, tests × windows in the order of the table, without tests that never apply."""
    table = read.table(result, "tests", "group", "window", "name", "p_value")
    own = table[table["group"] == read.headline(result)]
    cells = own.pivot(index="name", columns="window", values="p_value")
    return cells.loc[list(dict.fromkeys(own["name"])), list(dict.fromkeys(own["window"]))].dropna(how="all")


def _panel(ax: Axes, result: StudyResult, _: str) -> Axes:
    words = figure_words(result.facts)
    write_title(ax, words["figure.p_title"].format(**_told(result, "", words)))
    return p_heatmap(ax, result)


def _told(result: StudyResult, _: str, _words: Mapping[str, str]) -> Mapping[str, Any]:
    """Count the cells with a p-value, and those below 5 %."""
    values = p_values(result).to_numpy(dtype=float)
    return {"below": int((values < STEPS[1]).sum()), "n": int(np.isfinite(values).sum())}


def _frame(result: StudyResult, _: str) -> Frame:
    rows, columns = p_values(result).shape
    right = max(1.2, 7.0 - 1.15 - COLUMN * columns)
    return Frame(width=7.0, height=0.62 + ROW * rows, left=1.15, right=right, bottom=0.2, top=0.42, beneath=0.1)


register(
    Kind(
        "p_heatmap",
        45,
        lambda result: ("",) if p_values(result).shape[0] > 1 and p_values(result).shape[1] > 1 else (),
        _frame,
        _panel,
        read.headline_size,
        _told,
    )
)
