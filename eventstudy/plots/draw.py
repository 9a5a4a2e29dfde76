"""One figure with frame, caption and watermark, and its files."""

from __future__ import annotations

import io
import re
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import replace
from html import unescape
from pathlib import Path
from typing import TYPE_CHECKING

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from eventstudy.messages import term
from eventstudy.plots.fonts import LATIN, LATIN_STACK, advance, cjk_stack, figure_words, runs, shown
from eventstudy.plots.kinds import KINDS, Frame, Plot
from eventstudy.plots.style import TIP, styled

if TYPE_CHECKING:
    from eventstudy.results.result import StudyResult

#: Names of the texts that a page says in its own type, once, instead of under each figure.
CAPTION, TITLE = "caption", "title"
_TEXT = re.compile(r'<text style="([^"]*)"([^>]*)>([^<]*)</text>')
_FAMILIES = re.compile(rf"'{LATIN}'(?:, '[^']*')*")
_NO_TURN = re.compile(r' transform="rotate\(-0 [^"]*"|(?<=\)) rotate\(-0\)(?=")')
_ANCHOR, _SIZE = re.compile(r"; text-anchor: (\w+)"), re.compile(r"([\d.]+)px")
_BOLD = re.compile(r"(?:font|weight): (?:700|bold)")
_X = re.compile(r'\bx="([-\d.]+)"')
#: Inches that ticks and the name of an axis take beneath it, with a little air.
AXIS_NAME = 0.44


def draw(result: StudyResult, plot: Plot) -> Figure:
    """Return the figure of ``plot``, with title, caption line and watermark."""
    kind, text = KINDS[plot.kind], caption(result, plot)
    frame = _with_room(kind.frame(result, plot.shock_id), text)
    with styled():
        figure = Figure(figsize=(frame.width, frame.height))
        FigureCanvasAgg(figure)
        for panel, box in zip(kind.panels, _boxes(frame), strict=True):
            panel(figure.add_axes(box), result, plot.shock_id)
        _write_caption(figure, frame, text)
        if result.simulated:
            _write_watermark(figure, frame, figure_words(result.facts)["figure.watermark"])
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


def svg_text(figure: Figure) -> str:
    """Return the figure as SVG with its hover texts; its words are text, each script in its own font."""
    buffer = io.StringIO()
    with styled():
        figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None})
    # The names that `style.tip` gave to groups become their titles.
    svg = re.sub(rf'<g id="{TIP}([^"]*)">', r"<g><title>\1</title>", buffer.getvalue())
    # Precision: a browser would else round each letter's width, and runs held apart would drift.
    words = f'font-family="{LATIN_STACK}" text-rendering="geometricPrecision"'
    svg = svg.replace('<g id="figure_1">', f'<g id="figure_1" {words}>', 1)
    return _TEXT.sub(_as_text, svg)


def _as_text(found: re.Match[str]) -> str:
    """Return one text of a drawing; what its group says already is left out."""
    style, rest, words = found.groups()
    style = _FAMILIES.sub(LATIN_STACK, style).replace(f"; font-family: {LATIN_STACK}", "")
    style, rest = style.replace("; text-anchor: start", ""), _NO_TURN.sub("", rest)
    parts = [(True, words)] if words.isascii() else list(runs(words))
    if len(parts) > 1 or words != " ".join(words.split()):
        rest += ' xml:space="preserve"'
    if len(parts) > 1:
        words = _side_by_side(parts, style, rest)
    elif not parts[0][0]:
        style += f"; font-family: {cjk_stack()}"
    return f'<text style="{style}"{rest}>{words}</text>'


def _side_by_side(parts: Sequence[tuple[bool, str]], style: str, rest: str) -> str:
    """Return the runs of a text of two scripts, each in its font and at a place of its own.

    Where they only followed each other, Typst would set the whole text in the font that has it all.
    """
    size, anchor, x = _SIZE.search(style), _ANCHOR.search(style), _X.search(rest)
    assert size is not None
    weight = "bold" if _BOLD.search(style) else "normal"
    widths = [float(size[1]) * advance(unescape(words), weight) for _, words in parts]
    # Each run is held where the whole text is: at its start, in its middle or at its end.
    held = {"middle": 0.5, "end": 1.0}.get(anchor[1] if anchor else "", 0.0)
    start = (float(x[1]) if x else 0.0) - held * sum(widths)
    spans = []
    for (latin, words), width in zip(parts, widths, strict=True):
        family = "" if latin else f' font-family="{cjk_stack()}"'
        spans.append(f'<tspan x="{start + held * width:.2f}"{family}>{words}</tspan>')
        start += width
    return "".join(spans)


def without_words(svg: str, figure: Figure) -> str:
    """Return the drawing of ``figure`` without title and caption, cut to what lies between them.

    For a page that sets these two in its own type; cut off only, they would still be found in it.
    """
    svg = re.sub(rf'<g id="(?:{CAPTION}|{TITLE})">.*?</g>\s*', "", svg, flags=re.S)
    width, height = (72 * inches for inches in figure.get_size_inches())
    texts = {str(text.get_gid()): text.get_text() for text in figure.texts}
    below = 72 * (0.04 + 0.1 * (texts[CAPTION].count("\n") + 1)) if CAPTION in texts else 0.0
    above = 72 * 0.16 if TITLE in texts else 0.0
    inner = height - above - below
    svg = re.sub(r'viewBox="[^"]*"', f'viewBox="0 {above:g} {width:g} {inner:g}"', svg, count=1)
    return re.sub(r'(<svg[^>]*?\bheight=")[^"]*"', rf'\g<1>{inner:g}pt"', svg, count=1)


def caption(result: StudyResult, plot: Plot) -> str:
    """Return the line under a figure: n, K, windows, model, data date."""
    words, summary = figure_words(result.facts), result.facts
    n_events, n_dates = KINDS[plot.kind].size(result, plot.shock_id)
    parts = [
        words["figure.size_one" if n_dates == 1 else "figure.size"].format(n=n_events, k=n_dates),
        *setting_parts(summary, words),
    ]
    if result.simulated:
        parts.insert(0, words["figure.simulated"])
    return shown(" · ".join(parts))


def setting_parts(summary: Mapping[str, object], words: Mapping[str, str]) -> list[str]:
    """Return what every figure rests on: windows, model, returns, data date."""
    windows, model = summary.get("windows") or {}, summary.get("model") or {}
    assert isinstance(windows, Mapping)
    assert isinstance(model, Mapping)
    ends = {name: _window(windows.get(name)) for name in ("estimation", "event")}
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


def _window(window: Sequence[int] | None) -> str:
    return f"[{window[0]},{window[1]}]" if window else "?"


def _boxes(frame: Frame) -> list[tuple[float, float, float, float]]:
    """Return the axes' places as shares of the figure."""
    widths = frame.widths or (frame.width - frame.left - frame.right,)
    height = frame.height - frame.bottom - frame.top
    boxes, left = [], frame.left
    for width, gap in zip(widths, (*frame.gaps, 0.0), strict=True):
        boxes.append((left / frame.width, frame.bottom / frame.height, width / frame.width, height / frame.height))
        left += width + gap
    return boxes


def _lines(frame: Frame, text: str) -> list[str]:
    """Return the caption in lines that fit; its parts stay whole."""
    lines: list[str] = []
    for part in text.split(" · "):
        longer = f"{lines[-1]} · {part}" if lines else part
        if lines and _caption_width(longer) <= frame.width - 0.1:
            lines[-1] = longer
        else:
            lines += textwrap.wrap(part, max(20, int((frame.width - 0.1) / 0.042)))
    return lines


def _caption_width(text: str) -> float:
    """Return about how many inches a line of the caption takes, at 5.5 points."""
    return sum(0.078 if ord(char) > 0x2E7F else 0.0435 for char in text)


def _with_room(frame: Frame, text: str) -> Frame:
    """Return the frame, taller where the caption would reach the name of the axis above it."""
    more = AXIS_NAME + 0.09 * len(_lines(frame, text)) - frame.bottom
    if more <= 0:
        return frame
    return replace(frame, height=frame.height + more, bottom=frame.bottom + more)


def _write_caption(figure: Figure, frame: Frame, text: str) -> None:
    lines = "\n".join(_lines(frame, text))
    figure.text(
        0.05 / frame.width,
        0.05 / frame.height,
        lines,
        fontsize=5.5,
        color="#555555",
        va="bottom",
        linespacing=1.15,
        gid=CAPTION,
    )


def _write_watermark(figure: Figure, frame: Frame, text: str) -> None:
    figure.text(
        0.5,
        0.5,
        text,
        fontsize=min(9.5 * frame.width, 22 * frame.height),
        rotation=15,
        color="#0072B2",
        alpha=0.16,
        ha="center",
        va="center",
        weight="bold",
        zorder=20,
    )
