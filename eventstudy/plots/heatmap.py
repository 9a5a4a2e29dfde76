"""Heat map of the abnormal returns of one shock: peers by days."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import PathPatch, Rectangle
from matplotlib.path import Path
from matplotlib.ticker import MaxNLocator

from eventstudy.messages import asked
from eventstudy.plots import frames as read
from eventstudy.plots.fonts import figure_words, shown
from eventstudy.plots.kinds import Frame, Kind, register
from eventstudy.plots.style import GREY, INK, SMALLEST, amount_tip, figure_of, name_rows, split, write_title

if TYPE_CHECKING:
    import pandas as pd

    from eventstudy.results.result import StudyResult

#: Brown for falls, green for rises: different from the colours of labels and distinguishable for colour-blind readers.
PALETTE = "BrBG"
#: Ends of the colour scale, by kind of study; the same in all figures, so that they can be compared.
ENDS: Mapping[str, float] = {"return": 0.10, "volume": 1.5, "volatility": 0.05}
#: Pixels of a cell, so that viewers that smooth images do not change its centre.
CELL = 6
#: Inches of a row.
ROW = 0.135


def heatmap(ax: Axes, result: StudyResult, shock_id: str) -> Axes:
    """Draw each peer's abnormal return by day: hatched if missing, dotted if there was no free price."""
    cells, censored = cells_of(result, shock_id)
    days, end = cells.columns.to_numpy(dtype=int), ENDS[str(result.facts.get("kind") or "return")]
    across = (days[0] - 0.5, days[-1] + 0.5, len(cells) - 0.5, -0.5)
    large = np.kron(cells.to_numpy(dtype=float), np.ones((CELL, CELL)))
    ax.imshow(large, cmap=PALETTE, vmin=-end, vmax=end, extent=across, aspect="auto", interpolation="none")
    lost = np.argwhere(cells.isna().to_numpy())
    if len(lost):
        unit = np.asarray(Path.unit_rectangle().vertices)
        boxes = [unit + np.array([days[day] - 0.5, row - 0.5]) for row, day in lost]
        path = Path.make_compound_path(*(Path(box, Path.unit_rectangle().codes) for box in boxes))
        ax.add_patch(PathPatch(path, facecolor="white", edgecolor=GREY, hatch="//////", lw=0, label="missing"))
    locked = np.argwhere(censored.to_numpy() & cells.notna().to_numpy())
    if len(locked):
        ax.plot(days[locked[:, 1]], locked[:, 0], ls="none", marker=".", ms=2.6, mew=0, color=INK, label="censored")
    ax.add_patch(Rectangle((-0.5, -0.5), 1, len(cells), fill=False, ec=INK, lw=0.8, zorder=4, label="day 0"))
    ax.set_xlim(across[0], across[1])
    ax.set_yticks([])
    ax.xaxis.set_major_locator(MaxNLocator(7, integer=True, steps=[1, 2, 5, 10]))
    ax.grid(visible=False)
    for side in ("left", "bottom"):
        ax.spines[side].set_visible(False)
    return ax


@functools.lru_cache(maxsize=64)
def cells_of(result: StudyResult, shock_id: str) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the abnormal returns (peers × days, by region), and the cells without a free price."""
    rows = read.paths(result, shock_id)
    cells, censored = (rows.pivot(index="ticker", columns="tau", values=name) for name in ("ar", "censored"))
    order = sorted(cells.index, key=lambda ticker: (read.region(result, str(ticker)), str(ticker)))
    return cells.loc[order], censored.loc[order].fillna(value=True).astype(bool)


def scale(ax: Axes, result: StudyResult) -> Axes:
    """Draw the colour scale."""
    words, end = figure_words(result.facts), ENDS[str(result.facts.get("kind") or "return")]
    ax.imshow(np.linspace(-end, end, 64)[None, :], cmap=PALETTE, extent=(-end, end, 0, 1), aspect="auto")
    ax.set_yticks([])
    ax.set_xticks([-end, 0, end], [f"≤ {amount_tip(words, -end)}", "0", f"≥ {amount_tip(words, end)}"])
    ax.tick_params(axis="x", length=0, pad=1.5, labelsize=SMALLEST)
    for spine in ax.spines.values():
        spine.set_visible(False)
    return ax


def _panel(ax: Axes, result: StudyResult, _: str) -> Axes:
    shock_id = read.case_shock(result)
    words, figure = figure_words(result.facts), figure_of(ax)
    (panel,) = split(ax, 1, 1, across=0.0, along=0.0)
    heatmap(panel, result, shock_id)
    tickers = [str(ticker) for ticker in cells_of(result, shock_id)[0].index]
    name_rows(panel, [read.peer_label(result, ticker) for ticker in tickers])
    regions = [read.region(result, ticker) for ticker in tickers]
    for region in dict.fromkeys(regions):
        own = [row for row, name in enumerate(regions) if name == region]
        panel.text(
            1.008, float(np.mean(own)), region, transform=panel.get_yaxis_transform(), va="center", fontsize=SMALLEST
        )
        if own[0]:
            panel.axhline(own[0] - 0.5, color="white", lw=1.4)
    panel.set_xlabel(words["figure.sessions"])
    write_title(panel, shown(read.shock_title(result, shock_id), limit=96))
    width, height = figure.get_size_inches()
    bar = figure.add_axes((1 - 2.1 / width, 1 - 0.33 / height, 1.5 / width, 0.09 / height))
    scale(bar, result)
    note = words["figure.heat_note"]
    figure.text(0.012, 1 - 0.33 / height, note, fontsize=SMALLEST, color=GREY, va="bottom")
    return ax


def _frame(result: StudyResult, _: str) -> Frame:
    # At 6.5 points a Latin letter is about 0.052 inch wide, a Chinese one 0.09.
    tickers = cells_of(result, read.case_shock(result))[0].index
    names = [read.peer_label(result, str(ticker)) for ticker in tickers]
    left = min(2.2, 0.14 + max(sum(0.052 if char < "⺀" else 0.09 for char in name) for name in names))
    return Frame(width=7.0, height=1.05 + ROW * len(names), left=left, right=0.4, bottom=0.44, top=0.56)


def _told(result: StudyResult, _: str, words: Mapping[str, str]) -> Mapping[str, Any]:
    """Return the text fields: peer and day of the deepest fall."""
    shock_id = read.case_shock(result)
    cells = cells_of(result, shock_id)[0]
    values = cells.to_numpy(dtype=float)
    row, day = divmod(int(np.nanargmin(values)), values.shape[1])
    title = read.shock_title(result, shock_id, words=words)
    told = {
        "ticker": cells.index[row],
        "tau": f"{cells.columns[day]:+d}",
        "deepest": amount_tip(words, float(values[row, day])),
    }
    return {"title": title, "n": len(cells), **told}


def _present(result: StudyResult) -> tuple[str, ...]:
    """The shock in question, or the only shock; not drawn for a single peer, whose path is enough."""
    name = read.case_shock(result) if asked(result.facts) or len(read.dots(result)) == 1 else ""
    return ("",) if name and read.paths(result, name)["ticker"].nunique() > 1 else ()


register(
    Kind(
        "heatmap",
        35,
        _present,
        _frame,
        _panel,
        lambda result, _: (len(cells_of(result, read.case_shock(result))[0]), 1),
        _told,
    )
)
