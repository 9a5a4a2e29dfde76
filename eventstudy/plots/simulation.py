"""The figure of a simulation: size of each test, and power against an added drop."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from eventstudy.messages import term
from eventstudy.plots.style import SMALLEST
from eventstudy.results.columns import window_name
from eventstudy.simulate import Rate, Simulation

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from eventstudy.config import Window

#: Marker and colour (Okabe and Ito's palette) of the designs of size, in the order of their table.
MARKS = {
    "random": ("o", "#56B4E9"),
    "common": ("D", "#000000"),
    "all_doubled": ("^", "#E69F00"),
    "common_doubled": ("s", "#D55E00"),
    "fat_tails": ("v", "#009E73"),
    "one_date": ("x", "#888888"),
}
SHORT = tuple(MARKS)
#: Tests in the figure; the tables have all registered tests.
SHOWN = tuple(
    """cross_sectional_t wilcoxon patell bmp corrado grank_t portfolio_t patell_kp bmp_kp date_t sign_flip""".split()
)
#: Lowest share on the logarithmic axis.
EDGE = 0.004
#: Colours of the power curves.
LINES = ("#D55E00", "#0072B2", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#888888", "#117733")


def sizes(simulation: Simulation, design: str, window: Window) -> list[Rate]:
    """Return the size of each simulated test."""
    rates = [simulation.rate(design, test, window) for test in simulation.tests]
    return [rate for rate in rates if rate is not None and rate.n_draws]


def power_tests(simulation: Simulation, window: Window) -> list[str]:
    """Tests that do not reject too often on common dates; only their power is meaningful."""
    return [rate.test for rate in sizes(simulation, "common", window) if rate.verdict != "too often"]


def power_windows(simulation: Simulation) -> list[Window]:
    """Windows with day 0."""
    return [window for window in simulation.plan.windows if window[0] <= 0 <= window[1]]


def draw_simulation(simulation: Simulation, words: Mapping[str, str], *, note: str, simulated: bool) -> Figure:
    """Return the figure: size by test and design on the left, power of the tests that hold it on the right.

    It shows the first window and the tests in `SHOWN`.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    from eventstudy.plots.draw import write_watermark
    from eventstudy.plots.style import styled

    with styled():
        figure = Figure(figsize=(7.0, 4.0))
        FigureCanvasAgg(figure)
        draw_sizes(figure.add_axes((0.135, 0.25, 0.435, 0.675)), simulation, words)
        draw_power(figure.add_axes((0.645, 0.25, 0.335, 0.675)), simulation, words)
        figure.text(0.01, 0.015, _caption(simulation, words, note), fontsize=SMALLEST, color="#555555", va="bottom")
        if simulated:
            write_watermark(figure, words["figure.watermark"])
    return figure


def _caption(simulation: Simulation, words: Mapping[str, str], note: str) -> str:
    plan, pool = simulation.plan, simulation.pool
    return words["simulation.caption"].format(
        draws=plan.draws,
        k=plan.dates,
        peers=plan.peers,
        n=len(pool.tickers),
        region=term(words, "region", pool.region),
        benchmark=pool.benchmark,
        window=window_name(plan.windows[0]),
        level=f"{plan.level:.0%}",
        rbar=simulation.rbar,
        all=plan.dates * plan.peers,
        note=note,
    )


def draw_sizes(ax: Axes, simulation: Simulation, words: Mapping[str, str]) -> Axes:
    """Draw the share of rejections without an effect, one row a test, one mark a design."""
    from matplotlib.ticker import NullLocator

    plan, window = simulation.plan, simulation.plan.windows[0]
    tests = [test for test in SHOWN if test in simulation.tests]
    half = 2.58 * (plan.level * (1 - plan.level) / plan.draws) ** 0.5
    low = EDGE
    ax.axvspan(max(plan.level - half, low), plan.level + half, color="#009E73", alpha=0.18, lw=0)
    ax.axvline(plan.level, color="#009E73", lw=0.7)
    for place, (design, (marker, colour)) in enumerate(MARKS.items()):
        points = [
            (max(rate.share, low), at + 0.11 * (place - 2.5))
            for at, test in enumerate(tests)
            if (rate := simulation.rate(design, test, window)) is not None and rate.n_draws
        ]
        x, y = zip(*points, strict=True) if points else ((), ())
        name = words[f"simulation.{design}"]
        ax.plot(x, y, ls="none", marker=marker, ms=3.6, color=colour, label=name, zorder=3, clip_on=False)
    for at in range(1, len(tests)):
        ax.axhline(at - 0.5, color="#E4E4E4", lw=0.5, zorder=0)
    ax.set_xscale("log")
    ax.set_xlim(low, 1.0)
    ticks = (low, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0)
    ax.set_xticks(ticks, [f"≤{100 * low:g}", *(f"{100 * tick:g}" for tick in ticks[1:])])
    ax.xaxis.set_minor_locator(NullLocator())
    ax.set_yticks(range(len(tests)), [term(words, "test", test) for test in tests])
    ax.set_ylim(len(tests) - 0.45, -0.55)
    ax.tick_params(axis="y", length=0)
    ax.set_xlabel(words["simulation.size_axis"])
    ax.set_title(words["simulation.size_title"])
    ax.legend(
        loc="upper center", bbox_to_anchor=(0.4, -0.145), ncols=6, fontsize=6.5, handletextpad=0.1, columnspacing=0.9
    )
    return ax


def draw_power(ax: Axes, simulation: Simulation, words: Mapping[str, str]) -> Axes:
    """Draw the share of rejections on common dates against the drop that was added to day 0."""
    from matplotlib.ticker import PercentFormatter

    plan = simulation.plan
    window = next(iter(power_windows(simulation)), None)
    tests = [test for test in SHOWN if window and test in power_tests(simulation, window)]
    effects = (0.0, *plan.effects)
    for test, colour in zip(tests, LINES, strict=False):
        rates = [simulation.rate("common", test, window, effect) for effect in effects if window]
        shares = [rate.share if rate is not None else float("nan") for rate in rates]
        ax.plot(
            effects, shares, color=colour, lw=1.3, marker="o", ms=2.6, label=term(words, "test", test), clip_on=False
        )
    ax.axhline(plan.level, color="#009E73", lw=0.7, zorder=0)
    ax.set_ylim(0, 1.0)
    ax.set_xlim(0, max(effects))
    ax.set_xticks(effects, [f"{100 * effect:g}" for effect in effects])
    ax.yaxis.set_major_formatter(PercentFormatter(1, symbol=""))
    ax.grid(color="#E4E4E4", lw=0.5)
    ax.set_xlabel(words["simulation.power_axis"])
    ax.set_ylabel(words["simulation.rejections"], labelpad=1)
    ax.set_title(words["simulation.power_title"])
    if tests:
        ax.legend(loc="lower right", fontsize=6.5, frameon=True, framealpha=1.0, edgecolor="none")
    return ax
