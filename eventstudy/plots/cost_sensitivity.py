"""What costs take from the mean trade."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from matplotlib.axes import Axes

from eventstudy.plots import frames as read
from eventstudy.plots.fonts import figure_words
from eventstudy.plots.kinds import Frame, Kind, register
from eventstudy.plots.style import FAINT, INK, key, percent_axis
from eventstudy.plots.trade_dots import size

if TYPE_CHECKING:
    import pandas as pd

    from eventstudy.results.result import StudyResult


def cost_sensitivity(ax: Axes, result: StudyResult) -> Axes:
    """Draw the mean net trade against the cost of a side, and where it turns to nothing."""
    words, points = figure_words(result.facts), _costs(result)
    for run, colour, dash in (("every_drop", "#8C8C8C", (0, (4, 1.5))), ("rule", "#0072B2", "-")):
        own = points[points["run"] == run]
        if len(own):
            look: Any = {
                "color": colour,
                "ls": dash,
                "lw": 1.3,
                "marker": "o",
                "ms": 3,
                "label": words[f"figure.run_{run}"],
            }
            ax.plot(own["cost_bps"], own["net_per_trade"], **look)
    key(ax, ncols=2, handletextpad=0.7)
    # Nought belongs in the picture: how far the mean trade is from it is the question.
    low, high = ax.get_ylim()
    ax.set_ylim(min(low, -0.05 * max(high, 0.01)), high)
    ax.axhline(0, color=INK, lw=0.6)
    even = (result.facts.get("backtest") or {}).get("break_even_bps")
    if even is not None and points["cost_bps"].min() <= even <= points["cost_bps"].max():
        ax.axvline(even, color="#D55E00", lw=0.9, ls=(0, (3, 2)))
        name, across = " " + words["figure.break_even"].format(bps=f"{even:.0f}"), ax.get_xaxis_transform()
        ax.text(even, 0.97, name, va="top", fontsize=6.5, color="#D55E00", transform=across)
    ax.grid(axis="x", color=FAINT, lw=0.4)
    ax.set_title(words["figure.costs_title"], pad=15)
    ax.set_xlabel(words["figure.costs_axis"])
    percent_axis(ax, words["figure.trades_axis"])
    return ax


def _costs(result: StudyResult) -> pd.DataFrame:
    """Return the mean trade at each cost, of runs that traded."""
    table = read.table(result, "cost_sensitivity", "run", "cost_bps", "net_per_trade")
    return table[table["net_per_trade"].notna() & table["run"].isin(("rule", "every_drop"))]


register(
    Kind(
        "cost_sensitivity",
        62,
        lambda result: ("",) if len(_costs(result)) > 1 else (),
        lambda *_: Frame(width=3.75, height=2.4, left=0.5, right=0.12, bottom=0.6, top=0.42),
        (lambda ax, result, _: cost_sensitivity(ax, result),),
        size,
    )
)
