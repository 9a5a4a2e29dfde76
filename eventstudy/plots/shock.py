"""One shock: its peers in the drop window as bars, and their paths."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import Patch

from eventstudy.plots import frames as read
from eventstudy.plots.event_days import CLARIFIED, End, mark_clarifications, shade_windows, write_line_ends
from eventstudy.plots.fonts import figure_words, shown
from eventstudy.plots.kinds import Frame, Kind, register
from eventstudy.plots.style import (
    INK,
    Z95,
    amount_tip,
    key,
    name_rows,
    percent_axis,
    region_colour,
    sign,
    tip,
    write_title,
)

if TYPE_CHECKING:
    from eventstudy.results.result import StudyResult

#: Names drawn at the ends of the paths, at the top and at the bottom.
ENDS = 2


def event_bars(ax: Axes, result: StudyResult, shock_id: str) -> Axes:
    """Draw each peer's CAR of the drop window for one shock, with ±1.96 standard errors."""
    words, peers = figure_words(result.facts), read.bars(result, shock_id)
    rows, names = np.arange(len(peers)), [read.peer_label(result, ticker) for ticker in peers["ticker"]]
    colours = [region_colour(read.region(result, ticker)) for ticker in peers["ticker"]]
    bars = ax.barh(rows, peers["car"], color=colours, height=0.72, zorder=2)
    look: Any = {"fmt": "none", "ecolor": INK, "elinewidth": 0.7, "capsize": 1.5, "capthick": 0.7, "zorder": 3}
    ax.errorbar(peers["car"], rows, xerr=Z95 * peers["se"].fillna(0.0), **look)
    for bar, name, value, se in zip(bars, names, peers["car"], peers["se"], strict=True):
        tip(bar, f"{name}: {amount_tip(words, value)} ± {amount_tip(words, Z95 * se).removeprefix('+')}")
    name_rows(ax, names)
    ax.set_ylim(max(len(peers), 4) - 0.4, -0.6)
    ax.axvline(0, color=INK, lw=0.6)
    title = words["figure.bars_axis"].format(window=read.main_windows(result)["drop"])
    percent_axis(ax, title, horizontal=True, ticks=4)
    return ax


def shock_path(ax: Axes, result: StudyResult, shock_id: str) -> Axes:
    """Draw the cumulative abnormal return of each peer of one shock and of their mean."""
    words, rows = figure_words(result.facts), read.paths(result, shock_id)
    shade_windows(ax, result)
    ends: list[End] = []
    # A missing day adds nothing to the drawn path; it is marked, not filled in the tables.
    days, moves = rows["tau"].to_numpy(), rows["ar"].fillna(0.0).to_numpy()
    censored = rows["censored"].to_numpy()
    for ticker, own in rows.groupby("ticker", sort=True).indices.items():
        tau, height, marked = days[own], moves[own].cumsum(), censored[own]
        colour = region_colour(read.region(result, str(ticker)))
        (line,) = ax.plot(tau, height, color=colour, lw=0.6, alpha=0.5, zorder=2)
        tip(line, f"{read.peer_label(result, str(ticker))}: {amount_tip(words, float(height[-1]))}")
        ends.append((float(height[-1]), shown(ticker), colour))
        if marked.any():
            ax.plot(tau[marked], height[marked], ls="none", marker="x", ms=4, mew=0.9, color="#555555", zorder=6)
    # The mean of the drawn peers by tau, cumulated; a day without a value does not count.
    mean = rows.groupby("tau")["ar"].mean().sort_index().cumsum()
    ax.plot(mean.index.to_numpy(), mean.to_numpy(), color="#111111", lw=1.7, zorder=5, label="mean")
    ax.margins(x=0)
    # Named are the mean and the peers that end highest and lowest; with few peers, all of them.
    ordered = sorted(ends, key=lambda end: end[0])
    named = ordered if len(ordered) <= 2 * ENDS else [*ordered[:ENDS], *ordered[-ENDS:]]
    own_end = (float(mean.iloc[-1]), words["figure.mean"], "#111111")
    write_line_ends(ax, [*(named if len(ends) > 1 else []), own_end])
    mark_clarifications(ax, result, read.clarification_days(result, shock_id))
    ax.set_xlabel(words["figure.sessions_short"])
    percent_axis(ax, words["figure.path_axis"])
    return ax


def _bars_panel(ax: Axes, result: StudyResult, shock_id: str) -> Axes:
    # Long names push the axes to the right: the title starts at the figure's edge instead.
    write_title(ax, shown(read.shock_title(result, shock_id), limit=112))
    return event_bars(ax, result, shock_id)


def _path_panel(ax: Axes, result: StudyResult, shock_id: str) -> Axes:
    """Draw the paths; the colours of the regions and the marks are named above them."""
    words, rows = figure_words(result.facts), read.paths(result, shock_id)
    shock_path(ax, result, shock_id)
    regions = sorted({read.region(result, ticker) for ticker in rows["ticker"].unique()})
    handles: list[Any] = [Patch(color=region_colour(name), label=name or words["figure.other"]) for name in regions]
    if rows["censored"].any():
        handles.append(sign("x", words["figure.censored"], ms=4, color="#555555"))
    if read.clarification_days(result, shock_id):
        handles.append(sign("^", words["figure.clarification"], ms=4, color=CLARIFIED))
    key(ax, handles, ncols=len(handles), at=(1.02, 1.0), loc="lower right", handlelength=0.9, handleheight=0.8)
    return ax


def _frame(result: StudyResult, shock_id: str) -> Frame:
    tickers = read.bars(result, shock_id)["ticker"]
    # At 6.5 points a Latin letter is about 0.052 inch wide, a Chinese one 0.09.
    names = [read.peer_label(result, ticker) for ticker in tickers]
    left = min(2.2, 0.14 + max(sum(0.052 if char < "⺀" else 0.09 for char in name) for name in names))
    height = max(2.1, 1.05 + 0.118 * len(tickers))
    widths = (7.0 - left - 0.52 - 2.5 - 0.66, 2.5)
    return Frame(width=7.0, height=height, left=left, right=0.66, bottom=0.5, top=0.4, widths=widths, gaps=(0.52,))


register(
    Kind(
        "shock",
        40,
        read.used_shocks,
        _frame,
        (_bars_panel, _path_panel),
        lambda result, shock_id: (len(read.bars(result, shock_id)), 1),
    )
)
