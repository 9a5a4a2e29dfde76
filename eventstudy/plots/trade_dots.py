"""Every trade of the rule: what it earned."""

from __future__ import annotations

from typing import TYPE_CHECKING

from eventstudy.plots.fonts import figure_words, shown
from eventstudy.plots.kinds import Frame, Kind, register
from eventstudy.plots.style import INK, label_colour, name_rows, percent_axis, percent_tip, tip

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

    from eventstudy.results.result import StudyResult


def trade_dots(ax: Axes, result: StudyResult) -> Axes:
    """Draw each hedged trade's return after costs by the day of its entry, and what it was before them."""
    words, rows = figure_words(result.facts), trades(result)
    for place, row in enumerate(rows.to_dict("records")):
        colour = label_colour(str(row["label"]))
        if "hedged" in rows:
            ax.plot([row["hedged"], row["net"]], [place, place], color=colour, lw=0.8, zorder=2)
            before = row["hedged"]
            ax.plot([before], [place], ls="none", marker="o", ms=3.5, mfc="white", mec=colour, zorder=3)
        (dot,) = ax.plot([row["net"]], [place], ls="none", marker="o", ms=4, color=colour, zorder=4)
        tip(dot, f"{row['shock_id']}: {percent_tip(float(row['net']))}")
    ax.axvline(0, color=INK, lw=0.6)
    names = [shown(f"{row.shock_id} {row.ticker} {str(row.entry_session)[:10]}") for row in rows.itertuples()]
    name_rows(ax, names)
    ax.set_ylim(max(len(rows), 3) - 0.5, -0.6)
    # Names of trades are long: the title starts at the figure's edge instead of the axes'.
    ax.figure.text(0.015, 0.985, words["figure.trades_title"], va="top", fontsize=8, weight="bold")
    percent_axis(ax, words["figure.trades_axis"], horizontal=True)
    return ax


def trades(result: StudyResult) -> pd.DataFrame:
    """Return the rule's trades by the day of entry."""
    import pandas as pd

    table = result.tables.get("trades")
    if table is None or table.empty:
        return pd.DataFrame(columns=["shock_id", "ticker", "label", "entry_session", "net"])
    return table[table["net"].notna()].sort_values(["entry_session", "shock_id", "ticker"], kind="stable")


def size(result: StudyResult, _: str) -> tuple[int, int]:
    rows = trades(result)
    return len(rows), rows["shock_id"].nunique()


register(
    Kind(
        "trade_dots",
        61,
        lambda result: ("",) if len(trades(result)) else (),
        lambda result, _: Frame(
            width=3.75, height=1.0 + 0.15 * max(len(trades(result)), 4), left=1.75, right=0.12, bottom=0.58, top=0.3
        ),
        (lambda ax, result, _: trade_dots(ax, result),),
        size,
    )
)
