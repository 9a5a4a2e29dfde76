"""Cumulative average abnormal returns of the headline peers: the labels in question, and the others."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from matplotlib.axes import Axes
from matplotlib.patches import Patch

from eventstudy.messages import asked
from eventstudy.plots import frames as read
from eventstudy.plots.event_days import CLARIFIED, End, draw_line, finish, mark_clarifications, shade_windows
from eventstudy.plots.fonts import figure_words
from eventstudy.plots.kinds import Frame, Kind, register
from eventstudy.plots.style import LABEL_COLOURS, LABEL_DASHES, PLACEBO_COLOUR, key, label_colour, label_text, sign, tip

if TYPE_CHECKING:
    from eventstudy.results.result import StudyResult

#: Labels whose 95 % bands are drawn: those of five lines lie over each other and show none.
BANDED = ("misreading", "all")


def caar_by_label(ax: Axes, result: StudyResult) -> Axes:
    """Draw the CAAR of the headline peers for misreading, genuine and contested events and for all."""
    words = figure_words(result.facts)
    shade_windows(ax, result)
    ends = _draw_groups(ax, result, _groups(result, main=True))
    placebos = read.reversal_path(result, read.path_group(result), "placebos")
    # Their paths are of returns, whatever the study measures.
    if len(placebos) and result.facts.get("kind", "return") == "return":
        name = words["figure.placebo_end"].format(m=read.paths_behind(placebos))
        look: Any = {"color": PLACEBO_COLOUR, "lw": 2.2, "alpha": 0.8, "label": "placebos", "zorder": 2.5}
        ends.append(draw_line(ax, words, placebos, "car", name, **look))
    title = "caar_title" if _labelled(result) else "caar_alone"
    finish(ax, result, ends, words[f"figure.{title}"], "figure.caar_axis", pad=13)
    _draw_ticks(ax, result)
    return ax


def caar_other_labels(ax: Axes, result: StudyResult) -> Axes:
    """Draw the CAAR of the labels that `caar_by_label` leaves out."""
    shade_windows(ax, result)
    ends = _draw_groups(ax, result, _groups(result, main=False))
    return finish(ax, result, ends, figure_words(result.facts)["figure.caar_other_title"], "figure.caar_axis")


def _labelled(result: StudyResult) -> bool:
    """Whether the figure tells labels apart: always where reversals are asked about, else where there are several."""
    return asked(result.facts) or set(_groups(result, main=True)) != {"all"}


def _groups(result: StudyResult, *, main: bool) -> dict[str, str]:
    """Return label → group of the first figure, or of the second: at most six of a study's own labels."""
    found = read.headline_groups(result)
    kept = {label: group for label, group in found.items() if (label in read.MAIN_LABELS) is main}
    return kept if set(kept) <= set(LABEL_COLOURS) else dict(list(kept.items())[:6])


def _draw_groups(ax: Axes, result: StudyResult, groups: Mapping[str, str]) -> list[End]:
    """Draw one line a group, some with a band."""
    words, aar = figure_words(result.facts), result.tables["aar"]
    ends = []
    for label, group in groups.items():
        days = aar[aar["group"] == group].sort_values("tau")
        if days["caar"].notna().any():
            n_events, n_dates = read.group_size(result, group)
            name = words["figure.line_end"].format(name=label_text(result, label), n=n_events, k=n_dates)
            look: Any = {"color": label_colour(label), "lw": 1.5, "ls": LABEL_DASHES.get(label, "-"), "label": label}
            ends.append(draw_line(ax, words, days, "caar", name, band=label in BANDED, zorder=3, **look))
    return ends


def _draw_ticks(ax: Axes, result: StudyResult) -> None:
    """Mark clarifications above the axis, and days with locked, halted or missing prices on it."""
    words = figure_words(result.facts)
    low, high = ax.get_xlim()
    handles: list[Any] = []
    if mark_clarifications(ax, result, read.clarification_days(result)):
        handles.append(sign("^", words["figure.clarification"], ms=4, color=CLARIFIED))
    share = read.censored_share(result)
    for tau, value in zip(share.index.astype(int), share, strict=True):
        if value > 0 and low - 0.5 <= tau <= high + 0.5:
            grey = str(round(0.8 - 0.5 * float(value), 3))
            bar = ax.axvspan(tau - 0.4, tau + 0.4, 0, 0.014, color=grey, lw=0, zorder=5)
            tip(bar, words["figure.censored_tip"].format(tau=f"{tau:+d}", share=f"{value:.0%}"))
    if (share > 0).any():
        handles.append(Patch(color="0.55", label=words["figure.censored_days"]))
    if _banded(result):
        handles.append(Patch(color="0.85", label=words["figure.bands" if _labelled(result) else "figure.bands_alone"]))
    ax.set_xlim(low, high)
    key(ax, handles, handlelength=0.9, handleheight=0.5)


def _banded(result: StudyResult) -> bool:
    """Whether the figure draws a band: a single date has none, nor have dates that overlap too far."""
    aar = result.tables["aar"]
    groups = [group for label, group in _groups(result, main=True).items() if label in BANDED]
    return bool(aar.loc[aar["group"].isin(groups), "lower"].notna().any())


def _headline_size(result: StudyResult, _: str) -> tuple[int, int]:
    return read.group_size(result, str(result.facts.get("headline_group") or "all"))


def _other_size(result: StudyResult, _: str) -> tuple[int, int]:
    sizes = [read.group_size(result, group) for group in _groups(result, main=False).values()]
    return sum(n for n, _ in sizes), sum(k for _, k in sizes)


register(
    Kind(
        "caar_by_label",
        10,
        lambda result: ("",) if _groups(result, main=True) and _labelled(result) else (),
        lambda *_: Frame(width=7.0, height=3.2, left=0.5, right=1.7, bottom=0.55, top=0.4),
        (lambda ax, result, _: caar_by_label(ax, result),),
        _headline_size,
    )
)
register(
    Kind(
        "caar",
        10,
        lambda result: ("",) if _groups(result, main=True) and not _labelled(result) else (),
        lambda *_: Frame(width=7.0, height=3.2, left=0.5, right=1.7, bottom=0.55, top=0.4),
        (lambda ax, result, _: caar_by_label(ax, result),),
        _headline_size,
    )
)
register(
    Kind(
        "caar_other_labels",
        30,
        lambda result: ("",) if _groups(result, main=False) else (),
        lambda *_: Frame(width=7.0, height=3.05, left=0.5, right=1.7, bottom=0.55, top=0.26),
        (lambda ax, result, _: caar_other_labels(ax, result),),
        _other_size,
    )
)
