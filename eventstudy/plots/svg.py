"""A figure as SVG; texts stay text, each script in a common font."""

from __future__ import annotations

import io
import re
from collections.abc import Sequence
from html import unescape

from matplotlib.figure import Figure

from eventstudy.plots.fonts import LATIN, LATIN_STACK, advance, cjk_stack, runs
from eventstudy.plots.style import TIP, styled

#: Names of the texts that pages print themselves.
CAPTION, TITLE = "caption", "title"
_TEXT = re.compile(r'<text style="([^"]*)"([^>]*)>([^<]*)</text>')
_FAMILIES = re.compile(rf"'{LATIN}'(?:, '[^']*')*")
_NO_TURN = re.compile(r' transform="rotate\(-0 [^"]*"|(?<=\)) rotate\(-0\)(?=")')
_ANCHOR, _SIZE = re.compile(r"; text-anchor: (\w+)"), re.compile(r"([\d.]+)px")
_BOLD = re.compile(r"(?:font|weight): (?:700|bold)")
_X = re.compile(r'\bx="([-\d.]+)"')


def svg_text(figure: Figure) -> str:
    """Return the figure as SVG with its hover texts; texts stay text, each script in its own font."""
    buffer = io.StringIO()
    with styled():
        figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None})
    # The names that `style.tip` gave to groups become their titles.
    svg = re.sub(rf'<g id="{TIP}([^"]*)">', r"<g><title>\1</title>", buffer.getvalue())
    # Without this a browser rounds the width of each character, and separate runs would be misplaced.
    words = f'font-family="{LATIN_STACK}" text-rendering="geometricPrecision"'
    svg = svg.replace('<g id="figure_1">', f'<g id="figure_1" {words}>', 1)
    return _TEXT.sub(_as_text, svg)


def _as_text(found: re.Match[str]) -> str:
    """Return one text of a drawing, without attributes that its group already has."""
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
    """Return the runs of a text with two scripts, each in its font and at its own position.

    Without positions Typst would use one font for the whole text.
    """
    size, anchor, x = _SIZE.search(style), _ANCHOR.search(style), _X.search(rest)
    assert size is not None
    weight = "bold" if _BOLD.search(style) else "normal"
    widths = [float(size[1]) * advance(unescape(words), weight) for _, words in parts]
    # Each run is anchored like the whole text: at its start, middle or end.
    held = {"middle": 0.5, "end": 1.0}.get(anchor[1] if anchor else "", 0.0)
    start = (float(x[1]) if x else 0.0) - held * sum(widths)
    spans = []
    for (latin, words), width in zip(parts, widths, strict=True):
        family = "" if latin else f' font-family="{cjk_stack()}"'
        spans.append(f'<tspan x="{start + held * width:.2f}"{family}>{words}</tspan>')
        start += width
    return "".join(spans)


def without_words(svg: str, figure: Figure) -> str:
    """Return the drawing of ``figure`` cropped between title and caption, without both.

    For pages that print title and caption themselves; after cropping alone, a text search would still find them.
    """
    svg = re.sub(rf'<g id="(?:{CAPTION}|{TITLE})">.*?</g>\s*', "", svg, flags=re.S)
    width, height = (72 * inches for inches in figure.get_size_inches())
    texts = {str(text.get_gid()): text.get_text() for text in figure.texts}
    below = 72 * (0.04 + 0.107 * (texts[CAPTION].count("\n") + 1)) if CAPTION in texts else 0.0
    above = 72 * 0.16 if TITLE in texts else 0.0
    inner = height - above - below
    svg = re.sub(r'viewBox="[^"]*"', f'viewBox="0 {above:g} {width:g} {inner:g}"', svg, count=1)
    return re.sub(r'(<svg[^>]*?\bheight=")[^"]*"', rf'\g<1>{inner:g}pt"', svg, count=1)
