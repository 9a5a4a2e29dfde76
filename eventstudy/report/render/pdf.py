"""Write report.pdf with Typst, from a template and a JSON file of strings (which are not read as markup)."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import replace
from importlib import resources
from pathlib import Path
from typing import Any

from eventstudy import plots
from eventstudy.errors import ConfigError, Problem
from eventstudy.messages import section
from eventstudy.report.document import Document, plain
from eventstudy.report.output import Material, output
from eventstudy.report.wording import CJK, language_of
from eventstudy.results.result import StudyResult

TEMPLATE = "report.typ"


@output("pdf", place=40, pages=True, says="report.pdf")
def write(material: Material) -> None:
    """Write the PDF; not in a forked child, because Typst uses threads."""
    # Without a Chinese font the characters would be missing.
    note = missing_font(material.result)
    document = replace(material.in_english(), notice=note) if note else material.document
    write_pdf(document, material.home, material.folder / "report.pdf", material.templates)


def missing_font(result: StudyResult) -> str:
    """Return a note in both languages if a Chinese report is in English because a font is missing; else empty."""
    if language_of(result) == "en" or plots.cjk_font():
        return ""
    return " ".join(section(language, "page")["font_missing"] for language in ("en", "zh"))


def write_pdf(document: Document, home: Path, path: Path, templates: Path | None = None) -> None:
    """Write the report; ``home`` holds the drawings as <name>.svg.

    Raises
    ------
    ConfigError
        If a template of the user does not compile.
    """
    import typst

    family = _cjk_family()
    words = section(document.language, "page", document.kind)
    content: dict[str, Any] = plain(document)
    _tell_drawn(content, home)
    if not family:
        # Chinese text is left out, with a note where there was any.
        note = {"font_note": words["font_note"]} if CJK.search(json.dumps(content, ensure_ascii=False)) else {}
        content = _strings_by(content, lambda text: " ".join(CJK.sub(" ", text).split())) | note
    content |= {"t": words, "families": ["Libertinus Serif", *([family] if family else [])]}
    own = templates / TEMPLATE if templates is not None and (templates / TEMPLATE).is_file() else None
    packaged = resources.files("eventstudy.report") / "templates" / TEMPLATE
    with tempfile.TemporaryDirectory() as scratch, resources.as_file(packaged) as shipped:
        # Typst reads only files in the folder of the source.
        source = Path(scratch) / TEMPLATE
        shutil.copyfile(own or shipped, source)
        source.with_name("data.json").write_text(
            json.dumps(content, ensure_ascii=False, allow_nan=False), encoding="utf-8"
        )
        source.with_name("figures").mkdir()
        for name in document.figures():
            if (home / f"{name}.svg").is_file():
                shutil.copyfile(home / f"{name}.svg", Path(scratch) / "figures" / f"{name}.svg")
        # Only embedded fonts and those of the figures, so that pages do not depend on the fonts of the machine.
        fonts: Any = {"font_paths": plots.font_folders(), "ignore_system_fonts": True}
        try:
            pdf = typst.compile(source, root=scratch, timestamp=0, **fonts)
        except typst.TypstError as error:
            if own is None:
                raise
            text = f"does not compile: {error}; the shipped template is a model"
            raise ConfigError(Problem(text, str(own))) from error
    path.write_bytes(pdf)


def _tell_drawn(part: Any, home: Path) -> None:
    """Mark for every figure whether its drawing exists."""
    if isinstance(part, dict):
        if part.get("type") == "figure":
            part["drawn"] = (home / f"{part['name']}.svg").is_file()
        part = list(part.values())
    for item in part if isinstance(part, list) else ():
        _tell_drawn(item, home)


def _strings_by(content: Any, change: Callable[[str], str]) -> Any:
    """Return ``content`` with ``change`` applied to each string in it; keys are not changed."""
    if isinstance(content, str):
        return change(content)
    if isinstance(content, dict):
        return {key: _strings_by(value, change) for key, value in content.items()}
    return [_strings_by(item, change) for item in content] if isinstance(content, list) else content


def _cjk_family() -> str:
    """Return the family name of a Chinese font for Typst, empty if there is none."""
    import typst

    font = plots.cjk_font()
    if font is None:
        return ""
    known = typst.Fonts(include_system_fonts=False, include_embedded_fonts=False, font_paths=[font.parent])
    families = sorted({info.family for info in known.fonts() if info.path and Path(info.path).name == font.name})
    simplified = [family for family in families if family.endswith((" SC", " CN"))]
    return next(iter([*simplified, *families]), "")
