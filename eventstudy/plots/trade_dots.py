"""Every trade of the rule: what it earned."""

from __future__ import annotations

from typing import TYPE_CHECKING

from matplotlib.axes import Axes

from eventstudy.plots import frames as read
from eventstudy.plots.fonts import figure_words, shown
from eventstudy.plots.kinds import Frame, Kind, register
from eventstudy.plots.style import INK, label_colour, name_rows, percent_axis, percent_tip, point, write_title

if TYPE_CHECKING:
    import pandas as pd

    from eventstudy.results.result import StudyResult


def trade_dots(ax: Axes, result: StudyResult) -> Axes:
    """Draw each hedged trade's return after costs by the day of its entry, and what it was before them."""
    words, traded = figure_words(result.facts), trades(result)
    for row, trade in enumerate(traded.to_dict("records")):
        colour = label_colour(str(trade["label"]))
        if "hedged" in traded:
            ax.plot([trade["hedged"], trade["net"]], [row, row], color=colour, lw=0.8, zorder=2)
            point(ax, trade["hedged"], row, marker="o", ms=3.5, mfc="white", mec=colour, zorder=3)
        text = f"{trade['shock_id']}: {percent_tip(float(trade['net']))}"
        point(ax, trade["net"], row, text, marker="o", ms=4, color=colour, zorder=4)
    ax.axvline(0, color=INK, lw=0.6)
    names = [shown(f"{row.shock_id} {row.ticker} {str(row.entry_session)[:10]}") for row in traded.itertuples()]
    name_rows(ax, names)
    ax.set_ylim(max(len(traded), 3) - 0.5, -0.6)
    write_title(ax, words["figure.trades_title"])
    percent_axis(ax, words["figure.trades_axis"], horizontal=True)
    return ax


def trades(result: StudyResult) -> pd.DataFrame:
    """Return the rule's trades by the day of entry."""
    table = read.table(result, "trades", "shock_id", "ticker", "label", "entry_session", "net")
    return table[table["net"].notna()].sort_values(["entry_session", "shock_id", "ticker"], kind="stable")


def _frame(result: StudyResult, _: str) -> Frame:
    height = 1.0 + 0.15 * max(len(trades(result)), 4)
    return Frame(width=3.75, height=height, left=1.75, right=0.12, bottom=0.58, top=0.3)


def size(result: StudyResult, _: str) -> tuple[int, int]:
    rows = trades(result)
    return len(rows), rows["shock_id"].nunique()


register(
    Kind(
        "trade_dots",
        61,
        lambda result: ("",) if len(trades(result)) else (),
        _frame,
        (lambda ax, result, _: trade_dots(ax, result),),
        size,
    )
)
