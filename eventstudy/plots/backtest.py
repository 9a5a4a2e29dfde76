"""What trading the rule would have earned: its curve, its trades, and what costs take."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from eventstudy.plots.fonts import figure_words, shown
from eventstudy.plots.kinds import Frame, Kind, register
from eventstudy.plots.style import FAINT, INK, label_colour, name_rows, percent_axis, percent_tip, tip

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

    from eventstudy.results.result import StudyResult

#: Curves of the pnl table with colour and dashes: the rule, and the two that it is set against.
_CURVES = (
    ("equity", "#0072B2", "-"),
    ("every_drop_equity", "#D55E00", (0, (4, 1.5))),
    ("placebo_drops_equity", "#8C8C8C", (0, (1, 1))),
)


def equity_curve(ax: Axes, result: StudyResult) -> Axes:
    """Draw the rule's cumulative net return day by day; sessions without a position are shaded."""
    import matplotlib.dates as dates

    words, rows = figure_words(result.facts), _pnl(result)
    days = rows["date"].to_numpy(dtype="datetime64[D]")
    for column, colour, dash in _CURVES:
        if column in rows and (rows[column] != rows[column].iloc[0]).any():
            level = rows[column].to_numpy(dtype=float) / float(rows[column].iloc[0]) - 1.0
            own = column == "equity"
            ax.plot(
                days,
                level,
                color=colour,
                ls=dash,
                lw=1.5 if own else 0.9,
                zorder=3 if own else 2,
                label=words[f"figure.curve_{column}"],
            )
    flat = rows["n_positions"].to_numpy() == 0
    ax.fill_between(
        days, 0, 1, where=flat, transform=ax.get_xaxis_transform(), color="#F1F1F1", lw=0, zorder=0
    )
    for row in _trades(result).to_dict("records"):
        (mark,) = ax.plot(
            [np.datetime64(str(row["entry_session"])[:10])],
            [0.02],
            marker="^",
            ms=4,
            mew=0,
            clip_on=False,
            color=label_colour(str(row["label"])),
            transform=ax.get_xaxis_transform(),
        )
        tip(mark, f"{row['shock_id']}: {percent_tip(float(row['net']))}")
    ax.axhline(0, color=INK, lw=0.5)
    pattern = "%Y" if (days[-1] - days[0]).astype(int) > 900 else "%Y-%m"
    ax.xaxis.set_major_formatter(dates.DateFormatter(pattern))  # type: ignore[no-untyped-call]
    ax.margins(x=0.01)
    ax.set_title(words["figure.equity_title"], pad=14)
    if ax.get_legend_handles_labels()[0]:
        ax.legend(ncols=3, loc="lower left", bbox_to_anchor=(-0.01, 0.99), borderpad=0.1, fontsize=6.2)
    ax.set_xlabel(words["figure.equity_note"])
    percent_axis(ax, words["figure.equity_axis"])
    return ax


def trade_dots(ax: Axes, result: StudyResult) -> Axes:
    """Draw each hedged trade's return after costs by the day of its entry, and what it was before them."""
    words, rows = figure_words(result.facts), _trades(result)
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


def cost_sensitivity(ax: Axes, result: StudyResult) -> Axes:
    """Draw the mean net trade against the cost of a side, and where it turns to nothing."""
    words, points = figure_words(result.facts), _costs(result)
    for run, colour, dash in (("every_drop", "#8C8C8C", (0, (4, 1.5))), ("rule", "#0072B2", "-")):
        mine = points[points["run"] == run]
        if len(mine):
            ax.plot(
                mine["cost_bps"],
                mine["net_per_trade"],
                color=colour,
                ls=dash,
                lw=1.3,
                marker="o",
                ms=3,
                label=words[f"figure.run_{run}"],
            )
    ax.legend(ncols=2, loc="lower left", bbox_to_anchor=(-0.01, 0.99), borderpad=0.1, fontsize=6.2)
    # Nought belongs in the picture: how far the mean trade is from it is the question.
    low, high = ax.get_ylim()
    ax.set_ylim(min(low, -0.05 * max(high, 0.01)), high)
    ax.axhline(0, color=INK, lw=0.6)
    even = (result.facts.get("backtest") or {}).get("break_even_bps")
    if even is not None and points["cost_bps"].min() <= even <= points["cost_bps"].max():
        ax.axvline(even, color="#D55E00", lw=0.9, ls=(0, (3, 2)))
        ax.text(
            even,
            0.97,
            " " + words["figure.break_even"].format(bps=f"{even:.0f}"),
            va="top",
            fontsize=6.5,
            color="#D55E00",
            transform=ax.get_xaxis_transform(),
        )
    ax.grid(axis="x", color=FAINT, lw=0.4)
    ax.set_title(words["figure.costs_title"], pad=15)
    ax.set_xlabel(words["figure.costs_axis"])
    percent_axis(ax, words["figure.trades_axis"])
    return ax


def _pnl(result: StudyResult) -> pd.DataFrame:
    """Return the days of the backtest; nothing where neither the rule nor what it is set against traded."""
    import pandas as pd

    table = result.tables.get("pnl")
    moves = table is not None and any(table[name].nunique() > 1 for name, *_ in _CURVES if name in table)
    if table is None or not moves:
        return pd.DataFrame(columns=["date", "equity", "n_positions"])
    return table


def _trades(result: StudyResult) -> pd.DataFrame:
    """Return the rule's trades by the day of entry."""
    import pandas as pd

    table = result.tables.get("trades")
    if table is None or table.empty:
        return pd.DataFrame(columns=["shock_id", "ticker", "label", "entry_session", "net"])
    return table[table["net"].notna()].sort_values(["entry_session", "shock_id", "ticker"], kind="stable")


def _costs(result: StudyResult) -> pd.DataFrame:
    """Return the mean trade at each cost, of runs that traded."""
    import pandas as pd

    table = result.tables.get("cost_sensitivity")
    if table is None or table.empty or "run" not in table:
        return pd.DataFrame(columns=["run", "cost_bps", "net_per_trade"])
    return table[table["net_per_trade"].notna() & table["run"].isin(("rule", "every_drop"))]


def _size(result: StudyResult, _: str) -> tuple[int, int]:
    rows = _trades(result)
    return len(rows), rows["shock_id"].nunique()


register(
    Kind(
        "equity_curve",
        60,
        lambda result: ("",) if len(_pnl(result)) else (),
        lambda *_: Frame(7.0, 2.7, 0.5, 0.15, 0.62, 0.4),
        (lambda ax, result, _: equity_curve(ax, result),),
        _size,
    )
)
register(
    Kind(
        "trade_dots",
        61,
        lambda result: ("",) if len(_trades(result)) else (),
        lambda result, _: Frame(3.75, 1.0 + 0.15 * max(len(_trades(result)), 4), 1.75, 0.12, 0.58, 0.3),
        (lambda ax, result, _: trade_dots(ax, result),),
        _size,
    )
)
register(
    Kind(
        "cost_sensitivity",
        62,
        lambda result: ("",) if len(_costs(result)) > 1 else (),
        lambda *_: Frame(3.75, 2.4, 0.5, 0.12, 0.6, 0.42),
        (lambda ax, result, _: cost_sensitivity(ax, result),),
        _size,
    )
)
