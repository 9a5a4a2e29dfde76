"""Cumulative abnormal returns: groups of events on one axes, and the peers of one shock."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from eventstudy.plots import frames as read
from eventstudy.plots.fonts import figure_words, shown
from eventstudy.plots.kinds import Frame, Kind, register
from eventstudy.plots.style import (
    INK,
    LABEL_COLOURS,
    LABEL_DASHES,
    PLACEBO_COLOUR,
    Z95,
    amount_tip,
    label_colour,
    label_text,
    name_rows,
    percent_axis,
    region_colour,
    shade_windows,
    tip,
    window_of,
    write_line_ends,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from eventstudy.results.result import StudyResult

#: Label of the line of the matched placebo drops.
PLACEBO_GROUP = "placebos"
#: Labels whose 95 % bands are drawn.
BANDED = ("misreading", "all")
#: Names drawn at the ends of one shock's paths.
ENDS = 2


def caar_by_label(ax: Axes, result: StudyResult) -> Axes:
    """Draw the CAAR of the headline peers for misreading, genuine and contested events and for all."""
    words = figure_words(result.facts)
    groups = read.headline_groups(result)
    shade_windows(ax, result)
    ends = _draw_groups(ax, result, {name: groups[name] for name in read.MAIN_LABELS if name in groups})
    ends += _draw_placebos(ax, result)
    ax.margins(x=0)
    _keep_to_lines(ax)
    write_line_ends(ax, ends)
    _draw_ticks(ax, result)
    ax.set_title(words["figure.caar_title"], pad=13)
    ax.set_xlabel(words["figure.sessions"])
    percent_axis(ax, words["figure.caar_axis"])
    return ax


def caar_other_labels(ax: Axes, result: StudyResult) -> Axes:
    """Draw the CAAR of the labels that `caar_by_label` leaves out."""
    words = figure_words(result.facts)
    shade_windows(ax, result)
    ends = _draw_groups(ax, result, _other_groups(result))
    ax.margins(x=0)
    _keep_to_lines(ax)
    write_line_ends(ax, ends)
    ax.set_title(words["figure.caar_other_title"])
    ax.set_xlabel(words["figure.sessions"])
    percent_axis(ax, words["figure.caar_axis"])
    return ax


def _draw_groups(ax: Axes, result: StudyResult, groups: dict[str, str]) -> list[tuple[float, str, Any]]:
    """Draw one line with its band a group; return height, name and colour of each line's end."""
    words, aar = figure_words(result.facts), result.tables["aar"]
    ends = []
    for label, group in groups.items():
        rows = aar[aar["group"] == group].sort_values("tau")
        seen = rows["caar"].dropna()
        if seen.empty:
            continue
        colour = label_colour(label)
        (line,) = ax.plot(
            rows["tau"].to_numpy(),
            rows["caar"].to_numpy(),
            color=colour,
            lw=1.5,
            ls=LABEL_DASHES.get(label, "-"),
            label=label,
            zorder=3,
        )
        # Bands of five lines lie over each other and show none: two are enough to compare.
        if label in BANDED and rows["lower"].notna().any():
            ax.fill_between(rows["tau"], rows["lower"], rows["upper"], color=colour, alpha=0.12, lw=0, zorder=2)
        n_events, n_dates = read.group_size(result, group)
        name = words["figure.line_end"].format(name=label_text(result, label), n=n_events, k=n_dates)
        tip(line, f"{name}: {amount_tip(words, float(seen.iloc[-1]))}")
        ends.append((float(seen.iloc[-1]), name, colour))
    return ends


def _draw_placebos(ax: Axes, result: StudyResult) -> list[tuple[float, str, Any]]:
    """Draw the mean path of the placebo drops matched to the drops in question."""
    words, group = figure_words(result.facts), _path_group(result)
    rows = read.reversal_path(result, group, "placebos")
    # Their paths are of returns, whatever the study measures.
    if rows.empty or result.facts.get("kind", "return") != "return":
        return []
    (line,) = ax.plot(
        rows["tau"], rows["car"], color=PLACEBO_COLOUR, lw=2.2, alpha=0.8, label=PLACEBO_GROUP, zorder=2.5
    )
    name = words["figure.placebo_end"].format(m=read.paths_behind(rows))
    tip(line, f"{name}: {amount_tip(words, float(rows['car'].iloc[-1]))}")
    return [(float(rows["car"].iloc[-1]), name, PLACEBO_COLOUR)]


def reversal_paths(ax: Axes, result: StudyResult) -> Axes:
    """Draw the mean path of the drops in question against that of their matched placebo drops."""
    words, group = figure_words(result.facts), _path_group(result)
    shade_windows(ax, result)
    ends = []
    for series, colour in (("events", label_colour(group.removeprefix("label="))), ("placebos", PLACEBO_COLOUR)):
        rows = read.reversal_path(result, group, series)
        if rows.empty:
            continue
        (line,) = ax.plot(rows["tau"], rows["car"], color=colour, lw=1.8, label=series, zorder=3)
        if rows["lower"].notna().any():
            ax.fill_between(rows["tau"], rows["lower"], rows["upper"], color=colour, alpha=0.13, lw=0, zorder=2)
        name = words[f"figure.path_{series}"].format(k=int(rows["n_dates"].max()), m=read.paths_behind(rows))
        tip(line, f"{name}: {amount_tip(words, float(rows['car'].iloc[-1]))}")
        ends.append((float(rows["car"].iloc[-1]), name, colour))
    ax.margins(x=0)
    _keep_to_lines(ax)
    write_line_ends(ax, ends)
    ax.set_title(words["figure.paths_title"].format(label=label_text(result, group.removeprefix("label="))))
    ax.set_xlabel(words["figure.sessions"])
    percent_axis(ax, words["figure.path_axis"])
    return ax


def _path_group(result: StudyResult) -> str:
    """Return the group of the verdict where it has a path, else the one of all qualifying drops."""
    group = str((result.facts.get("verdict") or {}).get("group") or "")
    there = not read.reversal_path(result, group, "events").empty
    return group if there else "all"


def _keep_to_lines(ax: Axes) -> None:
    """Set the height by the lines: a band of few dates is so wide that they would look flat."""
    heights = np.concatenate(
        [
            np.asarray(line.get_ydata(), dtype=float)
            for line in ax.get_lines()
            if line.get_label() and not str(line.get_label()).startswith("_")
        ]
        or [np.zeros(1)]
    )
    low, high = float(np.nanmin([np.nanmin(heights), 0.0])), float(np.nanmax([np.nanmax(heights), 0.0]))
    room = 0.75 * max(high - low, 0.02)
    bottom, top = ax.get_ylim()
    ax.set_ylim(max(bottom, low - room), min(top, high + room))


def _draw_ticks(ax: Axes, result: StudyResult) -> None:
    """Mark clarifications above the axis, and days with locked, halted or missing prices on it."""
    words = figure_words(result.facts)
    low, high = ax.get_xlim()
    across = ax.get_xaxis_transform()
    handles: list[Any] = []
    days = [day for day in read.clarification_days(result) if low <= day[1] <= high]
    for name, tau in days:
        (mark,) = ax.plot(
            [tau], [0.03], marker="^", ms=4, color="#117733", mew=0, transform=across, clip_on=False, zorder=6
        )
        tip(mark, words["figure.clarification_tip"].format(event=name, tau=f"{tau:+d}"))
    if days:
        handles.append(
            Line2D([], [], ls="none", marker="^", ms=4, color="#117733", label=words["figure.clarification"])
        )
    share = read.censored_share(result)
    for tau, value in zip(share.index.astype(int), share, strict=True):
        if value > 0 and low - 0.5 <= tau <= high + 0.5:
            grey = str(round(0.8 - 0.5 * float(value), 3))
            bar = ax.axvspan(tau - 0.4, tau + 0.4, 0, 0.014, color=grey, lw=0, zorder=5)
            tip(bar, words["figure.censored_tip"].format(tau=f"{tau:+d}", share=f"{value:.0%}"))
    if (share > 0).any():
        handles.append(Patch(color="0.55", label=words["figure.censored_days"]))
    handles.append(Patch(color="0.85", label=words["figure.bands"]))
    ax.set_xlim(low, high)
    if handles:
        ax.legend(
            handles=handles,
            loc="lower left",
            ncols=3,
            fontsize=6,
            bbox_to_anchor=(-0.01, 0.99),
            handlelength=0.9,
            handleheight=0.5,
            borderpad=0.1,
            handletextpad=0.4,
            columnspacing=1.0,
        )


def event_bars(ax: Axes, result: StudyResult, shock_id: str) -> Axes:
    """Draw each peer's CAR of the drop window for one shock, with ±1.96 standard errors."""
    words = figure_words(result.facts)
    rows = read.bars(result, shock_id)
    regions = [read.region(result, ticker) for ticker in rows["ticker"]]
    y = np.arange(len(rows))
    bars = ax.barh(y, rows["car"], color=[region_colour(name) for name in regions], height=0.72, zorder=2)
    ax.errorbar(
        rows["car"],
        y,
        xerr=Z95 * rows["se"].fillna(0.0),
        fmt="none",
        ecolor=INK,
        elinewidth=0.7,
        capsize=1.5,
        capthick=0.7,
        zorder=3,
    )
    names = [read.peer_label(result, ticker) for ticker in rows["ticker"]]
    for bar, name, value, se in zip(bars, names, rows["car"], rows["se"], strict=True):
        tip(bar, f"{name}: {amount_tip(words, value)} ± {amount_tip(words, Z95 * se).removeprefix('+')}")
    name_rows(ax, names)
    ax.set_ylim(max(len(rows), 4) - 0.4, -0.6)
    ax.axvline(0, color=INK, lw=0.6)
    title = words["figure.bars_axis"].format(window=window_of(result, "drop"))
    percent_axis(ax, title, horizontal=True, ticks=4)
    return ax


def shock_path(ax: Axes, result: StudyResult, shock_id: str) -> Axes:
    """Draw the cumulative abnormal return of each peer of one shock and of their mean."""
    words = figure_words(result.facts)
    rows = read.paths(result, shock_id)
    shade_windows(ax, result)
    ends: list[tuple[float, str, Any]] = []
    # A missing day adds nothing to the drawn path; it is marked, not filled in the tables.
    days, moves = rows["tau"].to_numpy(), rows["ar"].fillna(0.0).to_numpy()
    censored = rows["censored"].to_numpy()
    for ticker, place in rows.groupby("ticker", sort=True).indices.items():
        tau, height, marked = days[place], moves[place].cumsum(), censored[place]
        colour = region_colour(read.region(result, str(ticker)))
        (line,) = ax.plot(tau, height, color=colour, lw=0.6, alpha=0.5, zorder=2)
        tip(line, f"{read.peer_label(result, str(ticker))}: {amount_tip(words, float(height[-1]))}")
        ends.append((float(height[-1]), shown(ticker), colour))
        if marked.any():
            ax.plot(tau[marked], height[marked], ls="none", marker="x", ms=4, mew=0.9, color="#555555", zorder=6)
    mean = read.mean_path(rows)
    ax.plot(mean.index.to_numpy(), mean.to_numpy(), color="#111111", lw=1.7, zorder=5, label="mean")
    ax.margins(x=0)
    _name_ends(ax, ends, (float(mean.iloc[-1]), words["figure.mean"], "#111111"))
    _mark_clarifications(ax, result, shock_id)
    ax.set_xlabel(words["figure.sessions_short"])
    percent_axis(ax, words["figure.path_axis"])
    return ax


def _name_ends(ax: Axes, ends: Sequence[tuple[float, str, Any]], mean: tuple[float, str, Any]) -> None:
    """Name the mean and the peers that end highest and lowest; with few peers, all of them."""
    ordered = sorted(ends, key=lambda end: end[0])
    named = ordered if len(ordered) <= 2 * ENDS else [*ordered[:ENDS], *ordered[-ENDS:]]
    write_line_ends(ax, [*(named if len(ends) > 1 else []), mean])


def _mark_clarifications(ax: Axes, result: StudyResult, shock_id: str) -> None:
    low, high = ax.get_xlim()
    for name, tau in read.clarification_days(result, shock_id):
        if low <= tau <= high:
            (mark,) = ax.plot(
                [tau],
                [0.03],
                marker="^",
                ms=4.5,
                color="#117733",
                mew=0,
                transform=ax.get_xaxis_transform(),
                clip_on=False,
                zorder=7,
            )
            tip(mark, figure_words(result.facts)["figure.clarification_tip"].format(event=name, tau=f"{tau:+d}"))
    ax.set_xlim(low, high)


def _region_key(ax: Axes, result: StudyResult, shock_id: str) -> None:
    """Write the colours of the regions and the marks of the path beneath the bars."""
    words = figure_words(result.facts)
    rows = read.paths(result, shock_id)
    regions = sorted({read.region(result, ticker) for ticker in rows["ticker"].unique()})
    handles: list[Any] = [Patch(color=region_colour(name), label=name or words["figure.other"]) for name in regions]
    if rows["censored"].any():
        handles.append(Line2D([], [], ls="none", marker="x", ms=4, color="#555555", label=words["figure.censored"]))
    if read.clarification_days(result, shock_id):
        handles.append(
            Line2D([], [], ls="none", marker="^", ms=4, color="#117733", label=words["figure.clarification"])
        )
    ax.legend(
        handles=handles,
        ncols=len(handles),
        loc="lower right",
        bbox_to_anchor=(1.02, 1.0),
        handlelength=0.9,
        handleheight=0.8,
        borderpad=0.1,
        columnspacing=0.9,
        handletextpad=0.4,
        fontsize=6.2,
    )


def _bars_panel(ax: Axes, result: StudyResult, shock_id: str) -> Axes:
    event_bars(ax, result, shock_id)
    # Long names push the axes to the right: the title starts at the figure's edge instead.
    ax.figure.text(
        0.008,
        0.995,
        shown(read.shock_title(result, shock_id), limit=112),
        va="top",
        fontsize=8,
        weight="bold",
        gid="title",
    )
    return ax


def _path_panel(ax: Axes, result: StudyResult, shock_id: str) -> Axes:
    shock_path(ax, result, shock_id)
    _region_key(ax, result, shock_id)
    return ax


def _shock_frame(result: StudyResult, shock_id: str) -> Frame:
    tickers = read.bars(result, shock_id)["ticker"]
    # At 6.5 points a Latin letter is about 0.052 inch wide, a Chinese one 0.09.
    names = [read.peer_label(result, ticker) for ticker in tickers]
    left = min(2.2, 0.14 + max(sum(0.052 if char < "⺀" else 0.09 for char in name) for name in names))
    height = max(2.1, 1.05 + 0.118 * len(tickers))
    bars = 7.0 - left - 0.52 - 2.5 - 0.66
    return Frame(width=7.0, height=height, left=left, right=0.66, bottom=0.5, top=0.4, widths=(bars, 2.5), gaps=(0.52,))


def _other_groups(result: StudyResult) -> dict[str, str]:
    found = {name: group for name, group in read.headline_groups(result).items() if name not in read.MAIN_LABELS}
    return found if set(found) <= set(LABEL_COLOURS) else dict(list(found.items())[:6])


def _headline_size(result: StudyResult, _: str) -> tuple[int, int]:
    return read.group_size(result, str(result.facts.get("headline_group") or "all"))


def _other_size(result: StudyResult, _: str) -> tuple[int, int]:
    sizes = [read.group_size(result, group) for group in _other_groups(result).values()]
    return sum(n for n, _ in sizes), sum(k for _, k in sizes)


def _shock_size(result: StudyResult, shock_id: str) -> tuple[int, int]:
    return len(read.bars(result, shock_id)), 1


def _path_size(result: StudyResult, _: str) -> tuple[int, int]:
    rows = read.reversal_path(result, _path_group(result), "events")
    table = result.tables["reversal"]
    group = _path_group(result).removeprefix("label=")
    used = table[table["excess"].notna() & ((table["label"] == group) | (group == "all")) & table["qualifies"]]
    return int(used["n_peers"].sum()), int(rows["n_dates"].max())


def _whole_caar(result: StudyResult) -> Sequence[str]:
    return ("",) if set(read.headline_groups(result)) & set(read.MAIN_LABELS) else ()


_CAAR = Frame(width=7.0, height=3.05, left=0.5, right=1.7, bottom=0.55, top=0.26)
register(
    Kind(
        "caar_by_label",
        10,
        _whole_caar,
        lambda *_: Frame(width=7.0, height=3.2, left=0.5, right=1.7, bottom=0.55, top=0.4),
        (lambda ax, result, _: caar_by_label(ax, result),),
        _headline_size,
    )
)
register(
    Kind(
        "caar_other_labels",
        30,
        lambda result: ("",) if _other_groups(result) else (),
        lambda *_: _CAAR,
        (lambda ax, result, _: caar_other_labels(ax, result),),
        _other_size,
    )
)
register(
    Kind(
        "reversal_paths",
        50,
        lambda result: ("",) if len(read.reversal_path(result, _path_group(result), "events")) else (),
        lambda *_: Frame(width=7.0, height=2.7, left=0.5, right=1.62, bottom=0.55, top=0.26),
        (lambda ax, result, _: reversal_paths(ax, result),),
        _path_size,
    )
)
register(Kind("shock", 40, read.used_shocks, _shock_frame, (_bars_panel, _path_panel), _shock_size))
