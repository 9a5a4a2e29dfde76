"""The HTML report: one page without outside files; every string is escaped by the template engine."""

from __future__ import annotations

import re
from collections.abc import Mapping
from html import escape
from pathlib import Path
from typing import Any

from eventstudy.errors import ConfigError, Problem

TEMPLATE = "report.html.j2"
_METADATA = re.compile(r"<metadata>.*?</metadata>\s*", re.S)
_IDS = re.compile(r'(\bid="|xlink:href="#|\bhref="#|url\(#)')
_ROOT = re.compile(r"<svg [^>]*?>", re.S)
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
        page = environment.get_template(TEMPLATE).render(**content, drawings=drawings)
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


def _fill(message: str, **values: object) -> str:
    """Return a message of the catalogue with its fields filled in; a filter of the template."""
    return message.format(**values)
