"""Mean net return of a trade by cost."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from matplotlib.axes import Axes

from eventstudy.plots import frames as read
from eventstudy.plots.equity_curve import comparison, n_trades
from eventstudy.plots.fonts import figure_words
from eventstudy.plots.kinds import Frame, Kind, register
from eventstudy.plots.style import FAINT, GREY, INK, SMALLEST, key, percent_axis, percent_tip

if TYPE_CHECKING:
    import pandas as pd

    from eventstudy.results.result import StudyResult


def cost_sensitivity(ax: Axes, result: StudyResult) -> Axes:
    """Draw the mean net return of a trade by cost of a side, and the break-even cost."""
    words, points = figure_words(result.facts), _costs(result)
    for run, colour, dash in (("every_drop", GREY, (0, (4, 1.5))), ("rule", INK, "-")):
        own = points[points["run"] == run]
        if len(own):
            look: Any = {
                "color": colour,
                "ls": dash,
                "lw": 1.3,
                "marker": "o",
                "ms": 3,
                "label": words["figure.curve"].format(name=words[f"figure.run_{run}"], n=n_trades(result, run)),
            }
            ax.plot(own["cost_bps"], own["net_per_trade"], **look)
    key(ax, ncols=2, handletextpad=0.7)
    # Zero must be visible, because the distance from zero matters.
    low, high = ax.get_ylim()
    ax.set_ylim(min(low, -0.05 * max(high, 0.01)), high)
    ax.axhline(0, color=INK, lw=0.6)
    even = (result.facts.get("backtest") or {}).get("break_even_bps")
    if even is not None and points["cost_bps"].min() <= even <= points["cost_bps"].max():
        ax.axvline(even, color=GREY, lw=0.9, ls=(0, (3, 2)))
        name, across = f" {words['figure.break_even'].format(bps=f'{even:.0f}')} ", ax.get_xaxis_transform()
        side = "left" if even < points["cost_bps"].max() / 2 else "right"
        ax.text(even, 0.97, name, va="top", ha=side, fontsize=SMALLEST, color=GREY, transform=across)
    ax.grid(axis="x", color=FAINT, lw=0.4)
    ax.set_title(words["figure.costs_title"], pad=15)
    ax.set_xlabel(words["figure.costs_axis"])
    percent_axis(ax, words["figure.trades_axis"])
    return ax


def _costs(result: StudyResult) -> pd.DataFrame:
    """Return the mean return of a trade at each cost, for runs with trades."""
    table = read.table(result, "cost_sensitivity", "run", "cost_bps", "net_per_trade")
    return table[table["net_per_trade"].notna() & table["run"].isin(("rule", "every_drop"))]


def _run(result: StudyResult) -> str:
    """Return the run of the figure: the rule if it traded."""
    return "rule" if "rule" in set(_costs(result)["run"]) else "every_drop"


def _size(result: StudyResult, _: str) -> tuple[int, int]:
    run = _run(result)
    return n_trades(result, run), int(comparison(result, run).get("n_shocks") or 0)


def _told(result: StudyResult, _: str, words: Mapping[str, str]) -> Mapping[str, Any]:
    """Return the text fields: mean return of a trade at the lowest and at the highest cost."""
    points = _costs(result)
    run = _run(result)
    own = points[points["run"] == run].sort_values("cost_bps")
    (low, first), (high, last) = (own[["cost_bps", "net_per_trade"]].iloc[at] for at in (0, -1))
    told = {"first": percent_tip(float(first)), "last": percent_tip(float(last))}
    return {"run": words[f"figure.run_{run}"], "low": f"{low:.0f}", "high": f"{high:.0f}", **told}


register(
    Kind(
        "cost_sensitivity",
        62,
        lambda result: ("",) if len(_costs(result)) > 1 else (),
        lambda *_: Frame(width=3.75, height=2.4, left=0.5, right=0.12, bottom=0.6, top=0.42),
        lambda ax, result, _: cost_sensitivity(ax, result),
        _size,
        _told,
    )
)
