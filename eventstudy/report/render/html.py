"""Write report.html: one file without external files; the template engine escapes every string."""

from __future__ import annotations

import base64
import io
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing
from html import escape, unescape
from importlib import resources
from pathlib import Path
from typing import Any

from eventstudy import plots
from eventstudy.errors import ConfigError, Problem
from eventstudy.messages import section
from eventstudy.report.document import Document, plain
from eventstudy.report.explore import at_night, explored_data
from eventstudy.report.output import Material, output
from eventstudy.report.render.data import csv_path
from eventstudy.results.study_run import MOST

TEMPLATE = "report.html.j2"
_METADATA = re.compile(r"<metadata>.*?</metadata>\s*", re.S)
_IDS = re.compile(r'(\bid="|xlink:href="#|\bhref="#|url\(#)')
_ROOT = re.compile(r"<svg [^>]*?>", re.S)
_WORDS = re.compile(r"(?<=>)[^<]+(?=</(?:text|tspan)>)")
_VIEW_BOX = re.compile(r'viewBox="([^"]+)"')
_COLOUR = re.compile(r"(?<=[: \"])#([0-9a-f]{6})(?=[;\"])")
_LONG, _INDENT = re.compile(r"(\d+\.\d{2})\d+"), re.compile(r"\n\s+")
#: Scripts of every page, and those of pages that compute.
_ALWAYS, _COMPUTING = ("tables.js",), ("uplot.min.js", "statistics.js", "explore.js")
#: Largest size of a page in bytes; a larger page would have no firm-events and would say so.
LARGEST = 1_500_000
#: Part of it for scripts, fonts and tables.
REST = 250_000
#: Files of other formats that a page links to.
_FILES: Mapping[str, str] = {"pdf": "report.pdf", "xlsx": "tables.xlsx", "docx": "report.docx", "md": "summary.md"}


@output("html", place=20, pages=True, apart=True, says="report.html")
def write(material: Material) -> None:
    """Write the page."""
    study = explored_data(material.result, material.document.language)
    used = int((material.result.facts.get("counts") or {}).get("used") or 0)
    named = {name for name in material.document.tables() if name in material.tables and "csv" in material.formats}
    write_html(
        material.document,
        material.home,
        material.folder / "report.html",
        material.templates,
        study=study,
        used=used if study or used > MOST else 0,
        files={name: csv_path(name) for name in named},
        linked=[file for name, file in _FILES.items() if name in material.formats],
    )


def write_html(
    document: Document,
    home: Path,
    path: Path,
    templates: Path | None = None,
    *,
    study: Mapping[str, Any] | None = None,
    used: int = 0,
    files: Mapping[str, str] = {},
    linked: Sequence[str] = (),
) -> None:
    """Write the page.

    Parameters
    ----------
    document, path
        The content, and the file.
    home
        Folder with the drawings as <name>.svg.
    templates
        A folder with a report.html.j2 that replaces that of the package.
    study
        Data for its scripts, see `explored_data`.
    used
        Number of firm-events, for the note of a page that has no data for them.
    files
        Files in the same folder with all rows of a table, by table name.
    linked
        Other files in the same folder.

    Raises
    ------
    ConfigError
        If a template of the user fails.
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
    content = _content(document, drawings, study)
    content |= {"files": files, "linked": linked, "used": used}
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


def _content(document: Document, drawings: Mapping[str, str], study: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return the values for the template, without the files in the same folder."""
    # No text in a script may close the script element.
    carried = json.dumps(study, ensure_ascii=False).replace("<", "\\u003c") if study else ""
    if len(carried) + sum(map(len, drawings.values())) > LARGEST - REST:
        carried = ""
    return {
        **document.meta,
        **plain(document),
        "t": section(document.language, "page", document.kind),
        "e": section(document.language, "explore", document.kind),
        "study": carried,
        "scripts": [asset(name) for name in (*_ALWAYS, *(_COMPUTING if carried else ()))],
        "chart_style": asset("uplot.min.css"),
        "night": night_colours("".join(drawings.values())),
    }


def asset(name: str) -> str:
    """Return a script or style of the page."""
    return (resources.files("eventstudy.report") / "assets" / name).read_text(encoding="utf-8").strip()


def night_colours(drawings: str) -> str:
    """Return style variables with the drawings' colours on a dark page."""
    colours = sorted(set(re.findall(r"var\(--c([0-9a-f]{6}),", drawings)) | {"000000"})
    return " ".join(f"--c{colour}: {at_night(colour)};" for colour in colours)


def inline_svg(text: str, name: str, alt: str) -> str:
    """Return a drawing as an element of a page, with a text alternative and unique ids.

    Parts of an inline drawing show their values at the pointer; ids must be unique across the drawings of a page.
    """
    view = _VIEW_BOX.search(text)
    body = _ROOT.split(_METADATA.sub("", text), maxsplit=1)[1]
    prefix = re.sub(r"[^A-Za-z0-9_-]", "_", name) + "-"
    body = _IDS.sub(lambda found: found[0] + prefix, body)
    # Colours become variables for dark pages; numbers are rounded to a hundredth of a point.
    body = _LONG.sub(r"\1", _INDENT.sub("\n", _COLOUR.sub(lambda found: f"var(--c{found[1]}, {found[0]})", body)))
    box = view[1] if view else "0 0 504 216"
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" role="img" '
        f'aria-label="{escape(alt, quote=True)}" viewBox="{box}">{body.strip()}'
    )


def font_faces(drawings: Iterable[str]) -> str:
    """Return style rules with the characters of DejaVu Sans that the drawings use, in both weights."""
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
    """Return a font with only the given characters, as WOFF."""
    from fontTools.subset import Options, Subsetter, load_font, save_font

    options = Options(flavor="woff", hinting=False, layout_features=[], glyph_names=False, recalc_timestamp=False)
    # Ligatures and kerning are not needed.
    options.bidi_closure = False
    options.drop_tables += ["FFTM", "GDEF", "GPOS", "GSUB", "MATH", "gasp"]
    cut, made = Subsetter(options), io.BytesIO()
    cut.populate(text="".join(sorted(letters)))
    with closing(load_font(str(file), options)) as font:
        cut.subset(font)
        save_font(font, made, options)
    return made.getvalue()
