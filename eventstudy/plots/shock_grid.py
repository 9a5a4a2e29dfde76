"""The shocks one by one: the paths of the peers, and beneath them their abnormal returns day by day."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from matplotlib.axes import Axes

from eventstudy.messages import asked, term
from eventstudy.plots import frames as read
from eventstudy.plots.event_days import mark_clarifications, shade_windows
from eventstudy.plots.fonts import figure_words, shown
from eventstudy.plots.heatmap import cells_of, heatmap, scale
from eventstudy.plots.kinds import Frame, Kind, register
from eventstudy.plots.style import (
    GREY,
    PALE,
    SMALLEST,
    amount_tip,
    figure_of,
    label_colour,
    name_rows,
    number_text,
    percent_axis,
    split,
    tip,
)

if TYPE_CHECKING:
    import pandas as pd

    from eventstudy.results.result import StudyResult

#: Shocks side by side, and height of a page in inches.
COLUMNS, PAGE = 3, 9.9
#: Largest number of shocks that are drawn one by one.
MOST = 54
#: Inches: the tallest cell with the gap below it, the gap, the path, the names of the peers, and a row.
TALL, ALONG, PATH, NAMES, MOST_ROW = 3.05, 0.42, 1.05, 0.58, 0.185
#: Largest number of peers with names.
NAMED = 14


def pages(result: StudyResult) -> list[str]:
    """Return the pages, ``"1"`` the first; none for more than `MOST` shocks, or if single dates have no paths."""
    n = len(read.used_shocks(result))
    if not 0 < n <= MOST or not read.date_paths(result, read.headline(result))[1]:
        return []
    return [str(page + 1) for page in range(-(-n // _on_page(result)))]


@functools.lru_cache(maxsize=4)
def _tall(result: StudyResult) -> float:
    """Return the height of a shock in inches; with few peers it is smaller."""
    most = max(len(cells_of(result, name)[0]) for name in read.used_shocks(result))
    return min(TALL, ALONG + PATH + 0.06 + MOST_ROW * most)


def _on_page(result: StudyResult) -> int:
    """Return the number of shocks on a page."""
    return COLUMNS * int(PAGE / _tall(result))


def shocks_of(result: StudyResult, page: str) -> list[str]:
    """Return the shocks of a page, the first being ``"1"``."""
    n = _on_page(result)
    return read.used_shocks(result)[n * (int(page) - 1) :][:n]


def shock_path(ax: Axes, result: StudyResult, shock_id: str) -> Axes:
    """Draw the path of each peer of one shock since the close before day 0, and that of their portfolio."""
    words, row = figure_words(result.facts), read.shock_rows(result)[shock_id]
    shade_windows(ax, result, named=False)
    peers = peer_paths(result, shock_id)
    for ticker in peers.columns:
        days = peers[ticker]
        (line,) = ax.plot(days.index, days, color=PALE, lw=0.6, zorder=2)
        tip(line, f"{read.peer_label(result, str(ticker))}: {amount_tip(words, float(days.iloc[-1]))}")
    ax.margins(x=0)
    for path in read.date_paths(result, read.headline(result))[1]:
        if shock_id in str(path["shock_id"].iloc[0]).split(", "):
            ax.plot(path["tau"], path["car"], color=label_colour(str(row["label"])), lw=1.6, zorder=5, label="mean")
    mark_clarifications(ax, result, shock_id)
    percent_axis(ax, words["figure.grid_axis"], ticks=4)
    return ax


def peer_paths(result: StudyResult, shock_id: str) -> pd.DataFrame:
    """Return the peers' sums of abnormal returns, days × peers, zero at the close before day 0.

    A missing day adds zero to the drawn path; the heat map marks it, and the tables do not fill it.
    """
    sums = cells_of(result, shock_id)[0].fillna(0.0).T.cumsum()
    base = max(read.base(result), int(sums.index[0]) - 1)
    if base not in sums.index:
        sums.loc[base] = 0.0
    return (sums - sums.loc[base]).sort_index()


def _cell(ax: Axes, result: StudyResult, shock_id: str) -> None:
    """Draw one shock: title, path, heat map with the peers' names."""
    words, row = figure_words(result.facts), read.shock_rows(result)[shock_id]
    figure, box = figure_of(ax), ax.get_position()
    height = figure.get_figheight()
    ax.set_position((box.x0, box.y1 - PATH / height, box.width, PATH / height))
    shock_path(ax, result, shock_id)
    ax.set_xticklabels([])
    # Without a day that the name says, or a label that nobody asked for.
    day, label = str(row["day0"])[:10], term(words, "label", row["label"]) if asked(result.facts) else ""
    line = " · ".join(filter(None, (shown(shock_id, limit=24), "" if day in shock_id else day, label)))
    title = ax.set_title(line, color=label_colour(str(row["label"])), fontsize=7, pad=3)
    # The title may extend over the peers' names.
    title.set_x(-NAMES / (box.width * figure.get_figwidth()))
    tickers = [str(ticker) for ticker in cells_of(result, shock_id)[0].index]
    tall = min(box.height - (PATH + 0.06) / height, MOST_ROW * len(tickers) / height)
    lower = figure.add_axes((box.x0, box.y1 - (PATH + 0.06) / height - tall, box.width, tall))
    heatmap(lower, result, shock_id)
    if len(tickers) <= NAMED:
        name_rows(lower, [shown(ticker, limit=11) for ticker in tickers])
    else:
        lower.set_ylabel(words["figure.peers"].format(n=len(tickers)))


def _panel(ax: Axes, result: StudyResult, page: str) -> Axes:
    words, figure, names = figure_words(result.facts), figure_of(ax), shocks_of(result, page)
    rows = -(-len(names) // COLUMNS)
    grid = split(ax, rows, COLUMNS, across=NAMES + 0.2, along=ALONG)
    for spare in grid[len(names) :]:
        spare.remove()
    for cell, name in zip(grid, names, strict=False):
        _cell(cell, result, name)
    width, height = figure.get_size_inches()
    figure.text(0.012, 1 - 0.02 / height, words["figure.grid_note"], fontsize=SMALLEST, color=GREY, va="top")
    scale(figure.add_axes((1 - 1.45 / width, 1 - 0.11 / height, 1.0 / width, 0.08 / height)), result)
    return ax


def _frame(result: StudyResult, page: str) -> Frame:
    rows, tall = -(-len(shocks_of(result, page)) // COLUMNS), _tall(result)
    height = 0.52 + 0.44 + rows * (tall - ALONG) + (rows - 1) * ALONG
    return Frame(width=7.0, height=height, left=NAMES + 0.1, right=0.12, bottom=0.44, top=0.52)


def _told(result: StudyResult, page: str, _words: Mapping[str, str]) -> Mapping[str, Any]:
    shocks = read.dots(result).set_index("shock_id")
    each = [f"{shock} {number_text(float(shocks['drop'][shock]))}" for shock in shocks_of(result, page)]
    return {"n": len(each), "window": read.main_windows(result)["drop"], "each": ", ".join(each)}


register(
    Kind(
        "shock_grid",
        40,
        pages,
        _frame,
        _panel,
        lambda result, page: (
            sum(len(cells_of(result, name)[0]) for name in shocks_of(result, page)),
            len(shocks_of(result, page)),
        ),
        _told,
    )
)
