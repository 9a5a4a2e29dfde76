"""The HTML report: one page without outside files; every string is escaped by the template engine."""

from __future__ import annotations

import base64
import io
import re
from collections.abc import Iterable, Mapping
from html import escape, unescape
from pathlib import Path
from typing import Any

from eventstudy import plots
from eventstudy.errors import ConfigError, Problem

TEMPLATE = "report.html.j2"
_METADATA = re.compile(r"<metadata>.*?</metadata>\s*", re.S)
_IDS = re.compile(r'(\bid="|xlink:href="#|\bhref="#|url\(#)')
_ROOT = re.compile(r"<svg [^>]*?>", re.S)
_WORDS = re.compile(r"(?<=>)[^<]+(?=</(?:text|tspan)>)")
#: What a browser asks of a font that is set letter by letter.
_FONT_TABLES = frozenset({
    "GlyphOrder", "head", "hhea", "hmtx", "maxp", "OS/2", "cmap", "glyf", "loca", "name", "post",
})  # fmt: skip
_VIEW_BOX = re.compile(r'viewBox="([^"]+)"')


def write_html(content: Mapping[str, Any], home: Path, path: Path, *, templates: Path | None = None) -> None:
    """Write the page; ``home`` holds the drawings as <name>.svg.

    Raises
    ------
    ConfigError
        If a template of the user's own cannot be filled in.
    """
    import jinja2

    shipped = jinja2.PackageLoader("eventstudy.report")
    own = [jinja2.FileSystemLoader(templates)] if templates is not None else []
    environment = jinja2.Environment(
        loader=jinja2.ChoiceLoader([*own, shipped]), autoescape=True, trim_blocks=True,
        lstrip_blocks=True, undefined=jinja2.StrictUndefined,
    )  # fmt: skip
    environment.filters["fill"] = _fill
    drawings = {
        name: inline_svg((home / f"{name}.svg").read_text(encoding="utf-8"), name, alt)
        for name, alt in content["alts"].items()
        if (home / f"{name}.svg").is_file()
    }
    try:
        page = environment.get_template(TEMPLATE).render(
            **content, drawings=drawings, fonts=font_faces(drawings.values())
        )
    except jinja2.TemplateError as error:
        if templates is None:
            raise
        name = str(templates / (getattr(error, "name", None) or TEMPLATE))
        line = getattr(error, "lineno", None)
        raise ConfigError(
            Problem(f"cannot be filled in: {error}; the shipped template is a model", name, line)
        ) from error
    path.write_text(page + "\n", encoding="utf-8", newline="\n")


def inline_svg(text: str, name: str, alt: str) -> str:
    """Return a drawing as an element of a page: named for readers who cannot see it, ids its own.

    Inline, a drawing's parts say their values where the pointer rests; ids that two drawings share
    would point from one into the other.
    """
    view = _VIEW_BOX.search(text)
    body = _ROOT.split(_METADATA.sub("", text), maxsplit=1)[1]
    prefix = re.sub(r"[^A-Za-z0-9_-]", "_", name) + "-"
    body = _IDS.sub(lambda found: found[0] + prefix, body)
    box = view[1] if view else "0 0 504 216"
    label = escape(alt, quote=True)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" role="img" '
        f'aria-label="{label}" viewBox="{box}">{body.strip()}'
    )


def font_faces(drawings: Iterable[str]) -> str:
    """Return the style rules that bring along what the drawings use of DejaVu Sans, in both weights."""
    letters = {char for drawing in drawings for words in _WORDS.findall(drawing) for char in unescape(words)}
    faces = {
        weight: base64.b64encode(_subset(plots.latin_fonts() / file, letters)).decode()
        for weight, file in ((400, "DejaVuSans.ttf"), (700, "DejaVuSans-Bold.ttf"))
    }
    return "\n".join(
        f'@font-face {{ font-family: "DejaVu Sans"; font-weight: {weight}; '
        f"src: url(data:font/woff;base64,{data}); }}"
        for weight, data in faces.items()
    )


def _subset(file: Path, letters: set[str]) -> bytes:
    """Return a font cut to some letters, as WOFF.

    `fontTools.subset` does this for every kind of font and takes twice as long, most of it to start;
    here no table has anything but single glyphs.
    """
    from fontTools.ttLib import TTFont

    with TTFont(file, lazy=True, recalcBBoxes=False, recalcTimestamp=False) as font:
        for name in set(font.keys()) - _FONT_TABLES:
            del font[name]
        _cut(font, letters)
        font.flavor = "woff"
        made = io.BytesIO()
        font.save(made)
    return made.getvalue()


def _cut(font: Any, letters: set[str]) -> None:
    """Leave in a font what draws some letters; an accented one is drawn by its parts."""
    shapes, names = font["glyf"], font.getBestCmap()
    wanted = {".notdef", *(names[ord(char)] for char in letters if ord(char) in names)}
    parts = wanted
    while parts:
        # Taken apart while the font still knows them: letters name their parts by number.
        made = [shapes[name] for name in parts if shapes.glyphs[name].isComposite()]
        parts = {part for shape in made for part in shape.getComponentNames(shapes)} - wanted
        wanted |= parts
    order = [name for name in font.getGlyphOrder() if name in wanted]
    shapes.glyphs = {name: shapes.glyphs[name] for name in order}
    for shape in shapes.glyphs.values():
        shape.trim(remove_hinting=True)
    font["hmtx"].metrics = {name: font["hmtx"].metrics[name] for name in order}
    # Tables of other codes than Unicode call other letters by these numbers.
    font["cmap"].tables = [table for table in font["cmap"].tables if table.isUnicode()]
    for table in font["cmap"].tables:
        table.cmap = {code: name for code, name in table.cmap.items() if chr(code) in letters}
    # Copyright, family and version; without a table of names a browser takes no font.
    font["name"].names = [line for line in font["name"].names if line.nameID < 7]
    font["post"].formatType = 3.0
    font.setGlyphOrder(order)
    shapes.glyphOrder = order


def _fill(message: str, **values: object) -> str:
    """Return a message of the catalogue with its fields filled in; a filter of the template."""
    return message.format(**values)
