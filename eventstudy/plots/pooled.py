"""The figure of a pool: the effect of each sector, and power by number of dates."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, NullLocator

from eventstudy.core.statistics.dates import minimum_detectable_effect
from eventstudy.plots.draw import write_caption, write_watermark
from eventstudy.plots.style import FAINT, GREY, INK, percent_axis, styled
from eventstudy.pooling.pool import POOLED, Pool, PowerStep, Stratum

#: Marks of the sectors (colours are for labels); the pool is a diamond.
MARKS, WHOLE = ("o", "s", "^", "v", "P", "X", "<", ">"), "D"


def draw_pool(pool: Pool, caption: str, words: Mapping[str, str]) -> Figure:
    """Return the figure of a group: mean excess by sector, and detectable effect by number of dates."""
    with styled():
        figure = Figure(figsize=(7.2, 3.0))
        FigureCanvasAgg(figure)
        draw_effects(figure.add_axes((0.135, 0.24, 0.31, 0.65)), pool, words)
        draw_growth(figure.add_axes((0.56, 0.24, 0.42, 0.65)), pool, words)
        write_caption(figure, caption)
        if pool.simulated:
            write_watermark(figure, words["figure.watermark"])
    return figure


def draw_effects(ax: Axes, pool: Pool, words: Mapping[str, str]) -> Axes:
    """Draw the mean excess of each sector and of the pool with its 95 % interval."""
    rows = [row for row in pool.strata if row.group == pool.shown]
    marks = _marks(pool)
    for at, row in enumerate(rows):
        colour = INK if row.sector == POOLED else GREY
        ax.plot(row.effect, at, marker=marks.get(row.sector, WHOLE), ms=4, color=colour, zorder=3)
        if row.se > 0:
            ax.plot((row.lower, row.upper), (at, at), color=colour, lw=1.1)
    ax.axvline(0, color=INK, lw=0.6)
    ax.set_yticks(range(len(rows)), [_sector(row, words) for row in rows])
    ax.set_ylim(len(rows) - 0.5, -0.5)
    ax.tick_params(axis="y", length=0)
    percent_axis(ax, words["pool.axis_excess"], horizontal=True, ticks=4)
    ax.set_title(words["pool.title_excess"])
    return ax


def draw_growth(ax: Axes, pool: Pool, words: Mapping[str, str]) -> Axes:
    """Draw the smallest detectable effect against the number of dates, on two logarithmic scales."""
    steps = [step for step in pool.power if step.group == pool.shown and step.n_dates > 1 and step.sd > 0]
    ax.set_title(words["pool.title_power"])
    if not steps:
        ax.text(0.5, 0.5, words["pool.no_power"], ha="center", va="center", transform=ax.transAxes)
        ax.set_axis_off()
        return ax
    most = max(30, *(3 * step.n_dates for step in steps))
    grid = sorted({round(2 * (most / 2) ** (i / 40)) for i in range(41)})
    marks = _marks(pool)
    for step in steps:
        colour = GREY if step.sectors in marks else INK
        ax.plot(grid, [_smallest(step, k) for k in grid], color=colour, lw=0.8, alpha=0.6)
        marker = marks.get(step.sectors, WHOLE)
        name = words["pool.step"].format(sectors=step.sectors, mde=step.mde, dates=_dates(step.n_dates, words))
        ax.plot(step.n_dates, step.mde, marker=marker, ms=4, color=colour, label=name, ls="none")
    ax.set_xscale("log")
    ax.set_yscale("log")
    _level(ax, steps, grid)
    ax.set_xlabel(words["pool.axis_dates"])
    ax.legend(loc="upper right", frameon=True, framealpha=0.9, edgecolor="none")
    return ax


def _smallest(step: PowerStep, k: int) -> float:
    """Smallest detectable effect of k dates, by the formula of the step."""
    return minimum_detectable_effect(step.sd, k, df=max(step.df_share * (k - 1), 1.0))


def _level(ax: Axes, steps: Sequence[PowerStep], grid: Sequence[int]) -> None:
    """Draw ticks in plain numbers, and a line at each effect of the table."""
    lines = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0)
    low = min(_smallest(step, grid[-1]) for step in steps)
    high = max(step.mde for step in steps)
    shown = [value for value in lines if low * 0.8 <= value <= high * 1.5]
    ax.set_ylim(low * 0.8, high * 1.6)
    ax.set_yticks(shown, [f"{value:.0%}" for value in shown])
    ticks = [k for k in (2, 5, 10, 20, 50, 100, 200, 500) if k <= grid[-1]]
    ax.set_xticks(ticks, list(map(str, ticks)))
    for axis in (ax.xaxis, ax.yaxis):
        axis.set_minor_locator(NullLocator())
        axis.set_minor_formatter(FuncFormatter(lambda *_: ""))
    ax.grid(color=FAINT, lw=0.4)
    ax.set_axisbelow(True)


def _sector(row: Stratum, words: Mapping[str, str]) -> str:
    name = words["pool.pooled"] if row.sector == POOLED else row.sector
    return f"{name}\n{_dates(row.n_dates, words)}"


def _dates(n: int, words: Mapping[str, str]) -> str:
    return words["pool.one_date" if n == 1 else "pool.dates"].format(n=n)


def _marks(pool: Pool) -> dict[str, str]:
    names = dict.fromkeys(pack.sector for pack in pool.packs)
    return {name: MARKS[i % len(MARKS)] for i, name in enumerate(names)}
