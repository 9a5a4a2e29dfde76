"""What trading the rule would have earned, day by day."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import matplotlib.dates as dates
import numpy as np
from matplotlib.axes import Axes

from eventstudy.plots import frames as read
from eventstudy.plots.fonts import figure_words
from eventstudy.plots.kinds import Frame, Kind, register
from eventstudy.plots.style import INK, key, label_colour, percent_axis, percent_tip, point
from eventstudy.plots.trade_dots import size, trades

if TYPE_CHECKING:
    import pandas as pd

    from eventstudy.results.result import StudyResult

#: Curves of the pnl table with colour and dashes: the rule, and the two that it is set against.
_CURVES = (
    ("equity", "#0072B2", "-"),
    ("every_drop_equity", "#D55E00", (0, (4, 1.5))),
    ("placebo_drops_equity", "#8C8C8C", (0, (1, 1))),
)

#: How a purchase is drawn.
MARK: Any = {"marker": "^", "ms": 4, "mew": 0, "clip_on": False}


def equity_curve(ax: Axes, result: StudyResult) -> Axes:
    """Draw the rule's cumulative net return day by day; sessions without a position are shaded."""
    words, rows = figure_words(result.facts), _pnl(result)
    days = rows["date"].to_numpy(dtype="datetime64[D]")
    for column, colour, dash in _CURVES:
        if column in rows and (rows[column] != rows[column].iloc[0]).any():
            level = rows[column].to_numpy(dtype=float) / float(rows[column].iloc[0]) - 1.0
            own = column == "equity"
            look: Any = {"lw": 1.5, "zorder": 3} if own else {"lw": 0.9, "zorder": 2}
            ax.plot(days, level, color=colour, ls=dash, label=words[f"figure.curve_{column}"], **look)
    flat = rows["n_positions"].to_numpy() == 0
    ax.fill_between(days, 0, 1, where=flat, transform=ax.get_xaxis_transform(), color="#F1F1F1", lw=0, zorder=0)
    for row in trades(result).to_dict("records"):
        day, text = (
            np.datetime64(str(row["entry_session"])[:10]),
            f"{row['shock_id']}: {percent_tip(float(row['net']))}",
        )
        point(ax, day, 0.02, text, color=label_colour(str(row["label"])), transform=ax.get_xaxis_transform(), **MARK)
    ax.axhline(0, color=INK, lw=0.5)
    pattern = "%Y" if (days[-1] - days[0]).astype(int) > 900 else "%Y-%m"
    ax.xaxis.set_major_formatter(dates.DateFormatter(pattern))  # type: ignore[no-untyped-call]
    ax.margins(x=0.01)
    ax.set_title(words["figure.equity_title"], pad=14)
    if ax.get_legend_handles_labels()[0]:
        key(ax, handletextpad=0.7)
    ax.set_xlabel(words["figure.equity_note"])
    percent_axis(ax, words["figure.equity_axis"])
    return ax


def _pnl(result: StudyResult) -> pd.DataFrame:
    """Return the days of the backtest; nothing where neither the rule nor what it is set against traded."""
    table = read.table(result, "pnl", "date", "equity", "n_positions")
    return table if any(table[name].nunique() > 1 for name, *_ in _CURVES if name in table) else table.iloc[:0]


register(
    Kind(
        "equity_curve",
        60,
        lambda result: ("",) if len(_pnl(result)) else (),
        lambda *_: Frame(width=7.0, height=2.7, left=0.5, right=0.15, bottom=0.62, top=0.4),
        (lambda ax, result, _: equity_curve(ax, result),),
        size,
    )
)
