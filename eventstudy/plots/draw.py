"""One figure with frame, caption and watermark, and its files."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from eventstudy.messages import term
from eventstudy.plots.fonts import figure_words, shown
from eventstudy.plots.kinds import KINDS, Frame, Plot
from eventstudy.plots.style import SMALLEST, styled, window_text
from eventstudy.plots.svg import CAPTION, svg_text

if TYPE_CHECKING:
    from eventstudy.results.result import StudyResult

CAPTION_SIZE = SMALLEST


def draw(result: StudyResult, plot: Plot) -> Figure:
    """Return the figure of ``plot``, with title, caption line and watermark."""
    kind, text = KINDS[plot.kind], caption(result, plot)
    frame = kind.frame(result, plot.shock_id)
    lines = _lines(frame, text)
    # Taller if the caption would touch the axis label.
    more = max(frame.beneath + 0.105 * len(lines) - frame.bottom, 0.0)
    frame = replace(frame, height=frame.height + more, bottom=frame.bottom + more)
    with styled():
        figure = Figure(figsize=(frame.width, frame.height))
        FigureCanvasAgg(figure)
        wide, tall = frame.width - frame.left - frame.right, frame.height - frame.bottom - frame.top
        box = frame.left / frame.width, frame.bottom / frame.height, wide / frame.width, tall / frame.height
        kind.panel(figure.add_axes(box), result, plot.shock_id)
        write_caption(figure, "\n".join(lines))
        if result.simulated:
            write_watermark(figure, figure_words(result.facts)["figure.watermark"])
    return figure


def save(figure: Figure, stem: Path, *, suffixes: Sequence[str] = ("png", "svg")) -> tuple[Path, ...]:
    """Write ``figure`` to ``stem`` with each suffix; PNG at 300 dpi; no date, no program name."""
    paths = []
    for suffix in suffixes:
        path = stem.with_name(f"{stem.name}.{suffix}")
        if suffix == "png":
            with styled():
                # Level 3 writes twice as fast as the default 6 for files a tenth larger.
                figure.savefig(path, dpi=300, metadata={"Software": None}, pil_kwargs={"compress_level": 3})
        else:
            path.write_text(svg_text(figure), encoding="utf-8", newline="\n")
        paths.append(path)
    return tuple(paths)


def caption(result: StudyResult, plot: Plot) -> str:
    """Return the line under a figure: n, K, windows, model, data date."""
    words, summary = figure_words(result.facts), result.facts
    n_events, n_dates = KINDS[plot.kind].size(result, plot.shock_id)
    size = "size_single" if n_events == n_dates == 1 else "size_one" if n_dates == 1 else "size"
    parts = [words[f"figure.{size}"].format(n=n_events, k=n_dates), *setting_parts(summary, words)]
    if result.simulated:
        parts.insert(0, words["figure.simulated"])
    return shown(" · ".join(parts))


def alt_text(result: StudyResult, plot: Plot, words: Mapping[str, str]) -> str:
    """Return the description of a figure for readers who cannot see it; its name if there is none."""
    kind = KINDS[plot.kind]
    told = kind.told(result, plot.shock_id, words) if kind.told else {}
    return words.get(f"alt.{kind.name}", plot.name).format(shock=plot.shock_id, **told)


def setting_parts(summary: Mapping[str, object], words: Mapping[str, str]) -> list[str]:
    """Return the parts that all captions have: windows, model, returns, data date."""
    windows, model = summary.get("windows") or {}, summary.get("model") or {}
    assert isinstance(windows, Mapping)
    assert isinstance(model, Mapping)
    ends = {name: window_text(windows.get(name)) for name in ("estimation", "event")}
    return [
        words["figure.windows"].format(**ends),
        words["figure.model"].format(
            name=term(words, "model", model.get("name", "?")), alpha=term(words, "alpha_short", model.get("alpha", "?"))
        ),
        words["figure.returns"].format(
            kind=words.get(f"returns.{summary.get('returns')}", summary.get("returns", "?"))
        ),
        words["figure.data_to"].format(date=summary.get("data_date", "?")),
    ]


def _lines(frame: Frame, text: str) -> list[str]:
    """Return the caption in lines that fit, broken between its parts."""
    lines: list[str] = []
    for part in text.split(" · "):
        longer = f"{lines[-1]} · {part}" if lines else part
        # At 6.5 points a Latin letter takes about 0.047 inch, a Chinese one 0.092.
        if lines and sum(0.092 if ord(char) > 0x2E7F else 0.047 for char in longer) <= frame.width - 0.1:
            lines[-1] = longer
        else:
            lines += textwrap.wrap(part, max(20, int((frame.width - 0.1) / 0.05)))
    return lines


def write_caption(figure: Figure, text: str) -> None:
    """Write the caption at the lower edge of a figure."""
    x, y = (0.05 / inches for inches in figure.get_size_inches())
    figure.text(x, y, text, fontsize=CAPTION_SIZE, color="#555555", va="bottom", linespacing=1.15, gid=CAPTION)


def write_watermark(figure: Figure, text: str) -> None:
    """Write across a figure that its prices are simulated."""
    width, height = figure.get_size_inches()
    look: Any = {"color": "#0072B2", "alpha": 0.16, "ha": "center", "va": "center", "weight": "bold", "zorder": 20}
    figure.text(0.5, 0.5, text, fontsize=min(9.5 * width, 22 * height), rotation=15, **look)
