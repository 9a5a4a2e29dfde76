"""report.html: one page without outside files; every string is escaped by the template engine."""

from __future__ import annotations

import base64
import io
import re
from collections.abc import Iterable
from contextlib import closing
from html import escape, unescape
from pathlib import Path

from eventstudy import plots
from eventstudy.errors import ConfigError, Problem
from eventstudy.messages import section
from eventstudy.report.document import Document, plain
from eventstudy.report.output import Material, output

TEMPLATE = "report.html.j2"
_METADATA = re.compile(r"<metadata>.*?</metadata>\s*", re.S)
_IDS = re.compile(r'(\bid="|xlink:href="#|\bhref="#|url\(#)')
_ROOT = re.compile(r"<svg [^>]*?>", re.S)
_WORDS = re.compile(r"(?<=>)[^<]+(?=</(?:text|tspan)>)")
_VIEW_BOX = re.compile(r'viewBox="([^"]+)"')


@output("html", place=20, pages=True, apart=True, says="report.html")
def write(material: Material) -> None:
    """Write the page."""
    write_html(material.document, material.home, material.folder / "report.html", material.templates)


def write_html(document: Document, home: Path, path: Path, templates: Path | None = None) -> None:
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
        loader=jinja2.ChoiceLoader([*own, shipped]),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    drawings = {
        name: inline_svg((home / f"{name}.svg").read_text(encoding="utf-8"), name, figure.alt)
        for name, figure in document.figures().items()
        if (home / f"{name}.svg").is_file()
    }
    content = {**document.meta, **plain(document), "t": section(document.language, "page", document.kind)}
    try:
        page = environment.get_template(TEMPLATE).render(
            **content, drawings=drawings, fonts=font_faces(drawings.values()) if drawings else ""
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
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" role="img" '
        f'aria-label="{escape(alt, quote=True)}" viewBox="{box}">{body.strip()}'
    )


def font_faces(drawings: Iterable[str]) -> str:
    """Return the style rules that bring along what the drawings use of DejaVu Sans, in both weights."""
    letters = {char for drawing in drawings for words in _WORDS.findall(drawing) for char in unescape(words)}
    faces = {
        weight: base64.b64encode(_subset(plots.latin_fonts() / file, letters)).decode()
        for weight, file in ((400, "DejaVuSans.ttf"), (700, "DejaVuSans-Bold.ttf"))
    }
    return "\n".join(
        f'@font-face {{ font-family: "DejaVu Sans"; font-weight: {weight}; src: url(data:font/woff;base64,{data}); }}'
        for weight, data in faces.items()
    )


def _subset(file: Path, letters: set[str]) -> bytes:
    """Return a font cut to some letters, as WOFF."""
    from fontTools.subset import Options, Subsetter, load_font, save_font

    options = Options(flavor="woff", hinting=False, layout_features=[], glyph_names=False, recalc_timestamp=False)
    # Single letters are set, none joined or kerned.
    options.drop_tables += ["FFTM", "GDEF", "GPOS", "GSUB", "MATH", "gasp"]
    cut, made = Subsetter(options), io.BytesIO()
    cut.populate(text="".join(sorted(letters)))
    with closing(load_font(str(file), options)) as font:
        cut.subset(font)
        save_font(font, made, options)
    return made.getvalue()
