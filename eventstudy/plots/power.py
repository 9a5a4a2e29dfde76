"""Power: share of simulated studies that find a true effect, for this study or by number of dates."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from matplotlib.axes import Axes
from matplotlib.ticker import PercentFormatter

from eventstudy.plots.fonts import figure_words
from eventstudy.plots.kinds import Frame, Kind, register
from eventstudy.plots.style import FAINT, GREY, INK, SMALLEST, key, write_title

if TYPE_CHECKING:
    import pandas as pd

    from eventstudy.results.result import StudyResult

#: Usual target of power.
WANTED = 0.8
#: Colour, dashes and marker of the effects, in points.
LOOKS: Mapping[int, Any] = {
    2: {"color": "#A8A8A8", "ls": (0, (1, 1)), "marker": "o"},
    5: {"color": GREY, "ls": (0, (4, 1.5)), "marker": "s"},
    10: {"color": INK, "ls": "-", "marker": "D"},
}


def power_curve(ax: Axes, rates: pd.DataFrame, words: Mapping[str, str]) -> Axes:
    """Draw the share of studies that find each true effect by the requested number of dates.

    ``rates`` has one row for each number of dates ``k`` and true ``effect`` with the share ``reversal``, for one
    design.
    """
    shown = rates[rates["effect"] > 0].assign(points=(100 * rates["effect"]).round().astype(int)).sort_values("k")
    for points in sorted(set(shown["points"].tolist())):
        rows = shown[shown["points"] == points]
        name = words["figure.power_effect"].format(points=points)
        look: Any = {"lw": 1.3, "ms": 3.4, "clip_on": False, **LOOKS.get(points, LOOKS[10])}
        ax.plot(rows["k"], rows["reversal"], label=name, **look)
    ax.axhline(WANTED, color=FAINT, lw=0.8, zorder=0)
    ticks = sorted(set(shown["k"]))
    ax.set_xscale("log")
    ax.set_xticks(ticks, list(map(str, ticks)))
    ax.minorticks_off()
    ax.set_xlabel(words["figure.power_dates"])
    _shares(ax, words)
    key(ax)
    return ax


def power(ax: Axes, result: StudyResult) -> Axes:
    """Draw the share of simulated studies with these dates that find each true effect."""
    words = figure_words(result.facts)
    for x, (effect, share) in enumerate(shares(result).items()):
        ax.bar([x], [share], width=0.55, color=GREY, zorder=2)
        ax.text(x, share + 0.02, f"{share:.0%}", ha="center", va="bottom", fontsize=SMALLEST)
        ax.text(
            x,
            -0.04,
            words["figure.power_effect"].format(points=f"{100 * effect:g}"),
            ha="center",
            va="top",
            fontsize=SMALLEST,
        )
    ax.axhline(WANTED, color=INK, lw=0.7, ls=(0, (4, 2)), zorder=1)
    ax.set_xticks([])
    _shares(ax, words)
    return ax


def _shares(ax: Axes, words: Mapping[str, str]) -> None:
    ax.set_ylim(0, 1.0)
    ax.yaxis.set_major_formatter(PercentFormatter(1, symbol="", decimals=0))
    ax.grid(axis="y", color=FAINT, lw=0.4)
    ax.set_axisbelow(True)
    ax.set_ylabel(words["figure.power_axis"])


def shares(result: StudyResult) -> dict[float, float]:
    """Return true effect → share of studies in which the verdict finds it; empty if it was not computed."""
    verdict = result.verdict
    return {
        float(effect): float(share)
        for effect, share in sorted((verdict.power if verdict else {}).items(), key=lambda item: float(item[0]))
    }


def _told(result: StudyResult, _: str, _words: Mapping[str, str]) -> Mapping[str, Any]:
    effect, share = list(shares(result).items())[-1]
    k = result.verdict.n_dates if result.verdict else 0
    return {"points": f"{100 * effect:g}", "share": f"{share:.0%}", "k": k}


def _panel(ax: Axes, result: StudyResult, _: str) -> Axes:
    words = figure_words(result.facts)
    write_title(ax, words["figure.power_title"].format(**_told(result, "", words)))
    return power(ax, result)


register(
    Kind(
        "power",
        54,
        lambda result: ("",) if shares(result) else (),
        lambda *_: Frame(width=3.75, height=2.2, left=0.55, right=0.12, bottom=0.3, top=0.3, beneath=0.22),
        _panel,
        lambda result, _: (result.verdict.n_events, result.verdict.n_dates) if result.verdict else (0, 0),
        _told,
    )
)
