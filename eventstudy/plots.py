"""Figures of a study.

Each drawing function draws what the tables hold on one axes and returns it; the axes keep decimal
returns and only their tick labels are percent. `plots_of` lists the figures of a result, `draw`
makes one with its frame, caption and, for simulated prices, its watermark.
"""

from __future__ import annotations

import functools
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import matplotlib as mpl
import numpy as np
from matplotlib import font_manager
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ft2font import FT2Font
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator, PercentFormatter

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

    from eventstudy.results import StudyResult

Kind = Literal["caar_by_label", "shock_dots", "event_bars", "shock_path"]

#: Okabe & Ito's palette, told apart in the three common kinds of colour blindness.
LABEL_COLOURS: Mapping[str, str] = {
    "all": "#333333", "misreading": "#D55E00", "genuine": "#0072B2", "contested": "#CC79A7",
    "no_news": "#E69F00", "macro": "#56B4E9", "good_news": "#009E73", "clarification": "#117733",
    "unknown": "#888888",
}  # fmt: skip
REGION_COLOURS: Mapping[str, str] = {
    "CN": "#D55E00", "US": "#0072B2", "TW": "#009E73", "HK": "#E69F00", "JP": "#CC79A7", "KR": "#56B4E9",
    "EU": "#117733",
}  # fmt: skip
OTHER_COLOUR = "#777777"
#: Labels whose line carries a band and a name; the rest of the labels are thin lines.
MAIN_LABELS = ("misreading", "genuine", "contested", "all")
#: Flags of abnormal_returns that mark a day on which no free price was seen.
CENSORED = frozenset({"locked_up", "locked_down", "halted", "missing"})
Z95 = 1.96

#: File names of fonts with Chinese glyphs, the preferred first.
_CJK_FILES = (
    "notosanscjk-regular", "notosanscjksc-regular", "notosanssc", "sourcehansanssc-regular", "sourcehansans",
    "notosanscjk", "wqy-microhei", "wqy-zenhei", "msyh", "simhei", "pingfang", "hiragino sans gb",
    "stheiti", "droidsansfallback", "arial unicode",
)  # fmt: skip

_STYLE: Any = {
    "font.size": 7.0, "axes.titlesize": 8.0, "axes.labelsize": 7.0, "xtick.labelsize": 6.5,
    "ytick.labelsize": 6.5, "legend.fontsize": 6.5, "axes.linewidth": 0.6, "xtick.major.width": 0.6,
    "ytick.major.width": 0.6, "xtick.major.size": 2.5, "ytick.major.size": 2.5, "axes.spines.top": False,
    "axes.spines.right": False, "axes.titlelocation": "left", "axes.titleweight": "bold",
    "axes.unicode_minus": True, "legend.frameon": False, "text.parse_math": False, "text.usetex": False,
    "svg.fonttype": "path", "svg.hashsalt": "eventstudy", "path.simplify": True,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Plot:
    """One figure of a result: its file name without suffix, its kind, and its shock if it has one."""

    name: str
    kind: Kind
    shock_id: str = ""


@dataclass(frozen=True, slots=True)
class _Frame:
    """Size and margins of a figure, in inches."""

    width: float
    height: float
    left: float
    right: float
    bottom: float
    top: float


@functools.cache
def cjk_font() -> Path | None:
    """Return the file of a font with Chinese glyphs, None where the machine has none."""
    found = sorted(Path(name) for name in font_manager.findSystemFonts())
    for wanted in _CJK_FILES:
        for path in found:
            if path.name.lower().startswith(wanted):
                return path
    return None


@functools.cache
def _families() -> tuple[str, ...]:
    path = cjk_font()
    if path is None:
        return ("DejaVu Sans",)
    # Registered by path: matplotlib's own list of fonts is a cache that can be older than the font.
    font_manager.fontManager.addfont(str(path))
    return ("DejaVu Sans", font_manager.FontProperties(fname=str(path)).get_name())


@functools.cache
def _glyphs() -> frozenset[int]:
    files = [font_manager.findfont("DejaVu Sans"), cjk_font()]
    return frozenset(code for file in files if file for code in FT2Font(str(file)).get_charmap())


def shown(text: object, *, limit: int = 0) -> str:
    """Return ``text`` on one line, without what the figures' fonts cannot show, cut at ``limit``."""
    line = " ".join(str(text).split())
    kept = " ".join("".join(char for char in line if ord(char) in _glyphs()).split())
    return kept if not limit or len(kept) <= limit else kept[: limit - 1].rstrip() + "…"


@contextmanager
def _styled() -> Iterator[None]:
    with mpl.rc_context({**_STYLE, "font.family": list(_families())}):
        yield


def plots_of(result: StudyResult) -> tuple[Plot, ...]:
    """Return the figures that ``result`` has data for, the two of page 1 first.

    Shocks labelled misreading and contested come before the others, each by date.
    """
    plots = []
    if _headline_groups(result):
        plots.append(Plot("caar_by_label", "caar_by_label"))
    if len(_dots(result)):
        plots.append(Plot("shock_dots", "shock_dots"))
    taken: set[str] = set()
    for shock_id in _used_shocks(result):
        stem = _file_stem(shock_id, taken)
        plots.append(Plot(f"event_bars_{stem}", "event_bars", shock_id))
        plots.append(Plot(f"shock_path_{stem}", "shock_path", shock_id))
    return tuple(plots)


def draw(result: StudyResult, plot: Plot) -> Figure:
    """Return the figure of ``plot``, with title, caption line and watermark."""
    frame = _frame(result, plot)
    with _styled():
        figure = Figure(figsize=(frame.width, frame.height))
        FigureCanvasAgg(figure)
        ax = figure.add_axes(
            (
                frame.left / frame.width,
                frame.bottom / frame.height,
                1 - (frame.left + frame.right) / frame.width,
                1 - (frame.bottom + frame.top) / frame.height,
            )
        )
        if plot.kind == "caar_by_label":
            caar_by_label(ax, result)
        elif plot.kind == "shock_dots":
            shock_dots(ax, result)
        elif plot.kind == "event_bars":
            event_bars(ax, result, plot.shock_id)
        else:
            shock_path(ax, result, plot.shock_id)
        _write_caption(figure, frame, caption(result, plot))
        if result.simulated:
            _write_watermark(figure, frame)
    return figure


def save(figure: Figure, stem: Path, *, suffixes: Sequence[str] = ("png", "svg")) -> tuple[Path, ...]:
    """Write ``figure`` to ``stem`` with each suffix; PNG at 300 dpi; no date, no program name."""
    paths = []
    with _styled():
        for suffix in suffixes:
            path = stem.with_name(f"{stem.name}.{suffix}")
            if suffix == "png":
                # Level 3 writes twice as fast as the default 6 for files a tenth larger.
                figure.savefig(path, dpi=300, metadata={"Software": None}, pil_kwargs={"compress_level": 3})
            else:
                figure.savefig(path, metadata={"Date": None, "Creator": None})
            paths.append(path)
    return tuple(paths)


def caption(result: StudyResult, plot: Plot) -> str:
    """Return the line under a figure: n, K, windows, model, data date."""
    summary = result.summary
    windows, model = summary.get("windows") or {}, summary.get("model") or {}
    n_events, n_dates = _sizes(result, plot)
    parts = [
        f"n = {n_events} firm-events, K = {n_dates} date{'' if n_dates == 1 else 's'}",
        f"estimation {window_text(windows.get('estimation'))}, event {window_text(windows.get('event'))}",
        f"{model.get('name', '?')} model, alpha {model.get('alpha', '?')}",
        f"{summary.get('returns', '?')} returns",
        f"data to {summary.get('data_date', '?')}",
    ]
    if result.simulated:
        parts.insert(0, "SIMULATED prices")
    return shown(" · ".join(parts))


def window_text(window: Sequence[int] | None) -> str:
    """Return ``[a,b]`` as the tables write it, ``?`` for none."""
    return f"[{window[0]},{window[1]}]" if window else "?"


def caar_by_label(ax: Axes, result: StudyResult) -> Axes:
    """Draw the cumulative average abnormal return of the headline group, one line a label."""
    groups = _headline_groups(result)
    aar = result.tables["aar"]
    _shade_windows(ax, result)
    ends = []
    for label, group in groups.items():
        rows = aar[aar["group"] == group].sort_values("tau")
        colour, main = LABEL_COLOURS.get(label, OTHER_COLOUR), label in MAIN_LABELS
        (line,) = ax.plot(
            rows["tau"].to_numpy(), rows["caar"].to_numpy(), color=colour, lw=1.6 if main else 0.8,
            ls="-" if label != "all" else (0, (4, 1.5)), label=label, zorder=3,
        )  # fmt: skip
        if main and rows["lower"].notna().any():
            ax.fill_between(
                rows["tau"], rows["lower"], rows["upper"], color=colour, alpha=0.11, lw=0, zorder=2
            )
        seen = rows["caar"].dropna()
        if len(seen):
            n_events, n_dates = _group_size(result, group)
            text = f"{label.replace('_', ' ')} (n {n_events}, K {n_dates})"
            ends.append((float(seen.iloc[-1]), text, line.get_color()))
    ax.margins(x=0)
    _write_line_ends(ax, ends)
    ax.set_title("Cumulative average abnormal return by label of the event")
    ax.set_xlabel("sessions from the event (0 = first session that could react)")
    _percent_axis(ax, "CAAR, %")
    return ax


def event_bars(ax: Axes, result: StudyResult, shock_id: str) -> Axes:
    """Draw each peer's CAR of the drop window for one shock, with ±1.96 standard errors."""
    rows = _bars(result, shock_id)
    regions = [_region(result, ticker) for ticker in rows["ticker"]]
    y = np.arange(len(rows))
    ax.barh(y, rows["car"], color=[_region_colour(region) for region in regions], height=0.72, zorder=2)
    ax.errorbar(
        rows["car"], y, xerr=Z95 * rows["se"].fillna(0.0), fmt="none", ecolor="#333333", elinewidth=0.7,
        capsize=1.5, capthick=0.7, zorder=3,
    )  # fmt: skip
    ax.set_yticks(y, [peer_label(result, ticker) for ticker in rows["ticker"]])
    ax.tick_params(axis="y", length=0)
    ax.set_ylim(len(rows) - 0.4, -0.6)
    ax.axvline(0, color="#333333", lw=0.6)
    # Long names push the axes to the right; a title that began at its left edge would be cut.
    ax.set_title(shown(_shock_title(result, shock_id), limit=46), loc="right")
    _percent_axis(ax, f"CAR{_drop(result)}, % (whiskers: ±1.96 s.e.)", horizontal=True)
    _region_key(ax, regions)
    return ax


def shock_dots(ax: Axes, result: StudyResult) -> Axes:
    """Draw each shock's CAR in the drop and in the post window with its 95 % interval, by date."""
    rows = _dots(result)
    for position, (_, row) in enumerate(rows.iterrows()):
        colour = LABEL_COLOURS.get(str(row["label"]), OTHER_COLOUR)
        fill = colour if bool(row["qualifies"]) else "white"
        for offset, marker, value, se in (
            (-0.14, "o", row["drop"], row["drop_se"]),
            (0.14, "D", row["post"], row["post_se"]),
        ):
            ax.errorbar(
                [position + offset], [value], yerr=[0.0 if np.isnan(se) else Z95 * se], fmt=marker, ms=3.6,
                mfc=fill, mec=colour, mew=0.9, ecolor=colour, elinewidth=0.8, zorder=3,
            )  # fmt: skip
    ax.axhline(0, color="#333333", lw=0.6, zorder=1)
    many = len(rows) > 8
    gap = " " if many else "\n"
    names = [f"{shown(row.shock_id, limit=14)}{gap}{row.day0}" for row in rows.itertuples()]
    ax.set_xticks(range(len(rows)), names, rotation=90 if many else 0)
    ax.tick_params(axis="x", length=0)
    ax.set_xlim(-0.6, len(rows) - 0.4)
    ax.set_title("Each shock: abnormal return in the drop and after it (bars: 95 % interval)", pad=15)
    _percent_axis(ax, "CAR of the peer portfolio, %")
    _dots_key(ax, result, [str(label) for label in rows["label"]])
    return ax


def shock_path(ax: Axes, result: StudyResult, shock_id: str) -> Axes:
    """Draw the cumulative abnormal return of each peer of one shock and of their mean."""
    rows = _paths(result, shock_id)
    _shade_windows(ax, result)
    for ticker, path in rows.groupby("ticker", sort=True):
        # A missing day adds nothing to the drawn path; it is marked, not filled in the tables.
        height = path["ar"].fillna(0.0).cumsum().to_numpy()
        tau = path["tau"].to_numpy()
        ax.plot(tau, height, color=_region_colour(_region(result, str(ticker))), lw=0.6, alpha=0.45, zorder=2)
        marked = _censored(path)
        if marked.any():
            ax.plot(
                tau[marked], height[marked], ls="none", marker="x", ms=4, mew=0.9, color="#666666", zorder=6
            )
    mean = _mean_path(rows)
    ax.plot(mean.index.to_numpy(), mean.to_numpy(), color="#111111", lw=1.6, zorder=5, label="mean")
    ax.margins(x=0)
    ax.set_title(shown(_shock_title(result, shock_id), limit=38))
    censored = bool(_censored(rows).any())
    key = "black: mean of the peers" + (" · ×: locked, halted or missing" if censored else "")
    ax.set_xlabel(f"sessions from the event\n{key}")
    _percent_axis(ax, "cumulative AR, %")
    return ax


def peer_label(result: StudyResult, ticker: str, *, local: bool = True) -> str:
    """Return a peer as ``InnoLight 300308.SZ``, with its local name where the fonts have it."""
    peer = (result.summary.get("peers") or {}).get(ticker) or {}
    name = shown(peer.get("name") or "", limit=24)
    native = str(peer.get("name_local") or "") if local else ""
    native = native if native and shown(native) == native and native != name else ""
    return " ".join(part for part in (name, native, shown(ticker)) if part)


def _frame(result: StudyResult, plot: Plot) -> _Frame:
    if plot.kind == "caar_by_label":
        return _Frame(7.0, 3.1, 0.55, 1.45, 0.66, 0.28)
    if plot.kind == "shock_dots":
        n = len(_dots(result))
        return _Frame(max(7.0, 0.55 + 0.14 * n), 2.85, 0.55, 0.1, 1.2 if n > 8 else 0.62, 0.44)
    if plot.kind == "event_bars":
        tickers = _bars(result, plot.shock_id)["ticker"]
        longest = max(len(peer_label(result, ticker)) for ticker in tickers)
        left = min(2.2, max(1.2, 0.12 + 0.056 * longest))
        return _Frame(3.95, max(2.0, 1.25 + 0.16 * len(tickers)), left, 0.12, 0.74, 0.3)
    return _Frame(3.1, 2.85, 0.5, 0.1, 0.86, 0.3)


def _write_caption(figure: Figure, frame: _Frame, text: str) -> None:
    # At 5.5 points a character of DejaVu Sans is about 0.042 inch wide.
    lines = textwrap.wrap(text, max(20, int((frame.width - 0.1) / 0.042)))
    figure.text(
        0.05 / frame.width, 0.05 / frame.height, "\n".join(lines), fontsize=5.5, color="#555555",
        va="bottom", linespacing=1.15,
    )  # fmt: skip


def _write_watermark(figure: Figure, frame: _Frame) -> None:
    figure.text(
        0.5, 0.5, "SIMULATED", fontsize=min(9.5 * frame.width, 22 * frame.height), rotation=15,
        color="#0072B2", alpha=0.16, ha="center", va="center", weight="bold", zorder=20,
    )  # fmt: skip


def _percent_axis(ax: Axes, text: str, *, horizontal: bool = False) -> None:
    axis = ax.xaxis if horizontal else ax.yaxis
    low, high = axis.get_view_interval()
    axis.set_major_locator(MaxNLocator(6, steps=[1, 2, 5, 10]))
    axis.set_major_formatter(PercentFormatter(xmax=1, decimals=0 if high - low > 0.06 else 1, symbol=""))
    ax.grid(axis="x" if horizontal else "y", color="#DDDDDD", lw=0.4, zorder=0)
    ax.set_axisbelow(True)
    if horizontal:
        ax.set_xlabel(text)
    else:
        ax.set_ylabel(text)


def _shade_windows(ax: Axes, result: StudyResult) -> None:
    """Shade the drop and the post window and mark day 0."""
    windows = result.summary.get("windows") or {}
    for name, colour in (("drop", "#BBBBBB"), ("post", "#EEEEEE")):
        window = windows.get(name)
        if window:
            ax.axvspan(window[0] - 0.5, window[1] + 0.5, color=colour, alpha=0.55, lw=0, zorder=0)
            ax.text(
                window[0] + (0.1 if name == "drop" else 1.0), 0.985, name, va="top", fontsize=6,
                color="#555555", transform=ax.get_xaxis_transform(),
            )  # fmt: skip
    ax.axvline(0, color="#333333", lw=0.8, zorder=1)
    ax.axhline(0, color="#333333", lw=0.5, zorder=1)


def _write_line_ends(ax: Axes, ends: Sequence[tuple[float, str, Any]]) -> None:
    """Name each line at its end, moved apart so that no two names overlap."""
    low, high = ax.get_ylim()
    gap = 0.062 * (high - low)
    heights: list[float] = []
    ordered = sorted(ends, key=lambda end: end[0])
    for value, _, _ in ordered:
        heights.append(max(value, heights[-1] + gap) if heights else value)
    excess = max(0.0, heights[-1] - high) if heights else 0.0
    for height, (_, text, colour) in zip(heights, ordered, strict=True):
        ax.text(
            1.01, height - excess, text, transform=ax.get_yaxis_transform(), color=colour, va="center",
            fontsize=6.5,
        )  # fmt: skip
    ax.set_ylim(low, high)


def _region_key(ax: Axes, regions: Sequence[str]) -> None:
    # Below the names of the peers, left of the axis' own label, is the one place that is always free.
    handles = [Patch(color=_region_colour(name), label=name or "other") for name in sorted(set(regions))]
    ax.legend(
        handles=handles, ncols=min(4, len(handles)), loc="upper right", bbox_to_anchor=(-0.07, -0.02),
        bbox_transform=ax.transAxes, handlelength=0.9, handleheight=0.8, borderpad=0.1, columnspacing=0.8,
        handletextpad=0.4, fontsize=6.0,
    )  # fmt: skip


def _dots_key(ax: Axes, result: StudyResult, labels: Sequence[str]) -> None:
    post = window_text((result.summary.get("windows") or {}).get("post"))
    handles = [
        Line2D([], [], ls="none", marker="o", ms=3.6, color="#555555", label=f"drop {_drop(result)}"),
        Line2D([], [], ls="none", marker="D", ms=3.6, color="#555555", label=f"after {post}"),
        Line2D(
            [], [], ls="none", marker="o", ms=3.6, mfc="white", color="#555555", label="drop did not qualify"
        ),
    ]
    for label in dict.fromkeys(labels):
        colour = LABEL_COLOURS.get(label, OTHER_COLOUR)
        handles.append(Line2D([], [], color=colour, lw=2.5, label=label.replace("_", " ")))
    ax.legend(
        handles=handles, ncols=len(handles), loc="lower left", bbox_to_anchor=(-0.01, 0.985), borderpad=0.1,
        columnspacing=0.9, handletextpad=0.3, handlelength=1.0,
    )  # fmt: skip


def _headline_groups(result: StudyResult) -> dict[str, str]:
    """Return label → group of the aar table for the headline peers, in drawing order."""
    present = set(result.tables["aar"]["group"]) if "aar" in result.tables else set()
    head = str(result.summary.get("headline_group") or "all")
    prefix = "" if head == "all" else f"{head};"
    start = f"{prefix}label="
    labels = {group.removeprefix(start): group for group in present if group.startswith(start)}
    if head in present:
        labels["all"] = head
    order = [*MAIN_LABELS, *sorted(set(labels) - set(MAIN_LABELS))]
    return {label: labels[label] for label in order if label in labels}


def _group_size(result: StudyResult, group: str) -> tuple[int, int]:
    """Return firm-events and dates of a group, the largest over its tests."""
    tests = result.tables.get("tests")
    if tests is None:
        return 0, 0
    rows = tests[tests["group"] == group]
    events, dates = rows["n_events"].max(), rows["n_dates"].max()
    return (0 if np.isnan(events) else int(events)), (0 if np.isnan(dates) else int(dates))


def _sizes(result: StudyResult, plot: Plot) -> tuple[int, int]:
    if plot.kind == "event_bars":
        return len(_bars(result, plot.shock_id)), 1
    if plot.kind == "shock_path":
        return _paths(result, plot.shock_id)["ticker"].nunique(), 1
    if plot.kind == "shock_dots":
        rows = _dots(result)
        return int(rows["n_peers"].sum()), len(rows)
    return _group_size(result, str(result.summary.get("headline_group") or "all"))


def _drop(result: StudyResult) -> str:
    return window_text((result.summary.get("windows") or {}).get("drop"))


def _paths(result: StudyResult, shock_id: str) -> pd.DataFrame:
    """Return the abnormal returns of one shock, of each peer those of its first event.

    A later event of the shock, say the clarification, has a day 0 of its own; on one axis with the
    drop it would show the peer twice.
    """
    table = result.tables["abnormal_returns"]
    rows = table[table["shock_id"] == shock_id]
    day0 = rows[rows["tau"] == 0].sort_values(["session", "event_id"], kind="stable")
    first = day0.drop_duplicates("ticker")[["event_id", "ticker"]]
    return rows.merge(first, on=["event_id", "ticker"]).sort_values(["ticker", "tau"], kind="stable")


def _bars(result: StudyResult, shock_id: str) -> pd.DataFrame:
    car = result.tables["car"]
    rows = car[(car["shock_id"] == shock_id) & (car["window"] == _drop(result)) & car["car"].notna()]
    first = _paths(result, shock_id)[["event_id", "ticker"]].drop_duplicates()
    return rows.merge(first, on=["event_id", "ticker"]).sort_values(["car", "ticker"], kind="stable")


def _dots(result: StudyResult) -> pd.DataFrame:
    """Return one row a shock, by date: label, day0, drop and post CAR with standard errors."""
    import pandas as pd

    shocks = result.tables.get("shocks")
    if shocks is None or shocks.empty:
        return pd.DataFrame()
    windows = result.summary.get("windows") or {}
    keep = ["shock_id", "label", "day0", "n_peers"]
    rows = shocks.drop_duplicates("shock_id")[keep].set_index("shock_id")
    for name in ("drop", "post"):
        cut = shocks[shocks["window"] == window_text(windows.get(name))].drop_duplicates("shock_id")
        cut = cut.set_index("shock_id")
        rows[name], rows[f"{name}_se"] = cut["car"], cut["se"]
    rows = rows[rows["drop"].notna() | rows["post"].notna()]
    rows["qualifies"] = _qualifying(result).reindex(rows.index, fill_value=False)
    rows["day0"] = rows["day0"].astype(str).str[:10]
    return rows.reset_index().sort_values(["day0", "shock_id"], kind="stable")


def _qualifying(result: StudyResult) -> pd.Series:
    import pandas as pd

    reversal = result.tables.get("reversal")
    if reversal is None or reversal.empty:
        return pd.Series(dtype=bool)
    return reversal.drop_duplicates("shock_id").set_index("shock_id")["qualifies"].astype(bool)


def _mean_path(rows: pd.DataFrame) -> pd.Series:
    """Return the mean of the drawn peers by tau, cumulated; a day without a value does not count."""
    return rows.groupby("tau")["ar"].mean().sort_index().cumsum()


def _censored(rows: pd.DataFrame) -> np.ndarray[Any, np.dtype[np.bool_]]:
    flags = [bool(CENSORED & set(str(flag).split(";"))) for flag in rows["flags"].fillna("")]
    return np.asarray(flags, dtype=bool) | rows["ar"].isna().to_numpy()


def _used_shocks(result: StudyResult) -> list[str]:
    """Return the shocks that have a CAR in the drop window; misreading and contested first, by date."""
    car = result.tables.get("car")
    if car is None or car.empty:
        return []
    used = set(car.loc[(car["window"] == _drop(result)) & car["car"].notna(), "shock_id"])
    shocks = result.tables["shocks"].drop_duplicates("shock_id").set_index("shock_id")

    def rank(shock_id: str) -> tuple[int, str, str]:
        if shock_id not in shocks.index:
            return 2, "", shock_id
        label, day0 = shocks.at[shock_id, "label"], shocks.at[shock_id, "day0"]
        return {"misreading": 0, "contested": 1}.get(str(label), 2), str(day0), shock_id

    return sorted(used, key=rank)


def _shock_title(result: StudyResult, shock_id: str) -> str:
    rows = result.tables["shocks"]
    rows = rows[rows["shock_id"] == shock_id]
    if rows.empty:
        return shock_id
    row = rows.iloc[0]
    return f"{shock_id} · {str(row['day0'])[:10]} · {row['label']}"


def _file_stem(shock_id: str, taken: set[str]) -> str:
    """Return a file name for a shock that no other shock has, also where case does not count."""
    plain = "".join(c if c.isascii() and (c.isalnum() or c in "._-") else "_" for c in shock_id)
    stem, number = plain[:60] or "shock", 2
    while stem.casefold() in taken:
        stem, number = f"{plain[:60]}-{number}", number + 1
    taken.add(stem.casefold())
    return stem


def _region(result: StudyResult, ticker: str) -> str:
    return str(((result.summary.get("peers") or {}).get(ticker) or {}).get("region") or "")


def _region_colour(region: str) -> str:
    return REGION_COLOURS.get(region, OTHER_COLOUR)
