"""Cumulative net return of the rule by day, with drawdown."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from eventstudy.plots import frames as read
from eventstudy.plots.fonts import figure_words
from eventstudy.plots.kinds import Frame, Kind, register
from eventstudy.plots.style import (
    GREY,
    INK,
    PALE,
    date_axis,
    figure_of,
    key,
    label_colour,
    percent_axis,
    percent_tip,
    point,
    write_title,
)

if TYPE_CHECKING:
    import pandas as pd

    from eventstudy.results.result import StudyResult

#: Curves of the pnl table with colour, dashes and width, and the run of the backtest that each is.
CURVES: tuple[tuple[str, str, Any, float], ...] = (
    ("rule", INK, "-", 1.5),
    ("every_drop", GREY, (0, (4, 1.5)), 1.0),
    ("placebo_drops", PALE, "-", 1.0),
)


def equity_curve(ax: Axes, result: StudyResult) -> Axes:
    """Draw the cumulative net return of the rule and of the comparison runs."""
    words, rows = figure_words(result.facts), pnl(result)
    days = rows["date"].to_numpy(dtype="datetime64[D]")
    for run, colour, dash, width in CURVES:
        column = "equity" if run == "rule" else f"{run}_equity"
        n = n_trades(result, run)
        if n and rows[column].notna().all():
            level = (
                rows[column].to_numpy(dtype=float)
                / float((result.facts["backtest"]).get("capital") or rows[column].iloc[0])
                - 1.0
            )
            name = words["figure.curve"].format(name=words[f"figure.run_{run}"], n=n)
            ax.plot(days, level, color=colour, ls=dash, lw=width, label=name, zorder=3 if run == "rule" else 2)
    for row in trades(result).to_dict("records"):
        day, text = (
            np.datetime64(str(row["entry_session"])[:10]),
            f"{row['shock_id']}: {percent_tip(float(row['net']))}",
        )
        look: Any = {"marker": "^", "ms": 4, "mew": 0, "clip_on": False, "zorder": 5}
        point(ax, day, 0.03, text, color=label_colour(str(row["label"])), transform=ax.get_xaxis_transform(), **look)
    ax.axhline(0, color=INK, lw=0.5)
    date_axis(ax, days)
    percent_axis(ax, words["figure.equity_axis"], ticks=5)
    return ax


def drawdown(ax: Axes, result: StudyResult) -> Axes:
    """Draw the drawdown of the rule's capital from its highest earlier level."""
    rows = pnl(result)
    days = rows["date"].to_numpy(dtype="datetime64[D]")
    ax.fill_between(days, rows["drawdown"], 0.0, color=PALE, lw=0)
    date_axis(ax, days)
    percent_axis(ax, figure_words(result.facts)["figure.drawdown_axis"], ticks=3)
    return ax


def pnl(result: StudyResult) -> pd.DataFrame:
    """Return the days of the backtest; empty if the rule made no trade."""
    rows = read.table(result, "pnl", "date", "equity", "drawdown")
    return rows if n_trades(result, "rule") else rows.iloc[:0]


def trades(result: StudyResult) -> pd.DataFrame:
    """Return the rule's trades by the day of entry."""
    table = read.table(result, "trades", "shock_id", "ticker", "label", "entry_session", "net")
    return table[table["net"].notna()].sort_values(["entry_session", "shock_id", "ticker"], kind="stable")


def n_trades(result: StudyResult, run: str) -> int:
    """Return the number of trades of a run of the backtest."""
    return int(comparison(result, run).get("n_trades") or 0)


def comparison(result: StudyResult, run: str) -> Mapping[str, Any]:
    """Return the facts of the summary on a run of the backtest (the rule or a comparison run)."""
    found = result.facts.get("backtest") or {}
    return found if run == "rule" else (found.get("comparison") or {}).get(run) or {}


def size(result: StudyResult, _: str) -> tuple[int, int]:
    """Return the trades of the rule and their shocks, for the caption."""
    rows = trades(result)
    return len(rows), rows["shock_id"].nunique()


def _panel(ax: Axes, result: StudyResult, _: str) -> Axes:
    words = figure_words(result.facts)
    write_title(ax, _title(result, words))
    figure, box = figure_of(ax), ax.get_position()
    ax.set_axis_off()
    height = figure.get_figheight()
    upper = figure.add_axes((box.x0, box.y0 + 0.75 / height, box.width, box.height - 0.75 / height))
    equity_curve(upper, result)
    handles: list[Any] = [*upper.get_legend_handles_labels()[0]]
    handles += [Line2D([], [], ls="none", marker="^", ms=4, mew=0, color=GREY, label=words["figure.entries"])]
    key(upper, handles, ncols=4, handletextpad=0.7)
    upper.set_xticklabels([])
    drawdown(figure.add_axes((box.x0, box.y0, box.width, 0.65 / height)), result)
    return ax


def _title(result: StudyResult, words: Mapping[str, str]) -> str:
    rows = pnl(result)
    first, last = (str(rows["date"].iloc[at])[:7] for at in (0, -1))
    return words["figure.equity_title"].format(**_numbers(result), first=first, last=last)


def _numbers(result: StudyResult) -> dict[str, Any]:
    rows, found = pnl(result), result.facts.get("backtest") or {}
    capital = float(found.get("capital") or rows["equity"].iloc[0])
    net, fall = float(rows["equity"].iloc[-1]) / capital - 1.0, float(rows["drawdown"].min())
    return {"n": n_trades(result, "rule"), "net": percent_tip(net), "fall": percent_tip(fall)}


register(
    Kind(
        "equity_curve",
        60,
        lambda result: ("",) if len(pnl(result)) else (),
        lambda *_: Frame(width=7.0, height=3.1, left=0.55, right=0.15, bottom=0.36, top=0.4),
        _panel,
        size,
        lambda result, _, words: {"found": _title(result, words)},
    )
)
