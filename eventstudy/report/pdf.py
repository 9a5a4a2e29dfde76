"""The PDF report: a Typst template and a JSON file of strings, which Typst never reads as markup."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from typing import Any

from eventstudy import plots
from eventstudy.errors import ConfigError, Problem
from eventstudy.report.pages import map_strings

TEMPLATE = "report.typ"
_CJK = re.compile("[\u2e80-\u9fff\uac00-\ud7af\uf900-\ufaff\uff00-\uffef\U00020000-\U0003ffff]+")


def write_pdf(content: Mapping[str, Any], scratch: Path, path: Path, *, templates: Path | None = None) -> None:
    """Write the report; ``scratch`` holds the drawings as figures/<name>.svg and takes the sources.

    Raises
    ------
    ConfigError
        If a template of the user's own does not compile.
    """
    import typst

    family = _cjk_family()
    pages = {**(content if family else without_cjk(content))}
    pages["families"] = ["Libertinus Serif", *([family] if family else [])]
    (scratch / "data.json").write_text(json.dumps(pages, ensure_ascii=False, allow_nan=False), encoding="utf-8")
    own = templates / TEMPLATE if templates is not None and (templates / TEMPLATE).is_file() else None
    _copy_template(own, scratch / TEMPLATE)
    # Only embedded fonts and those of the figures: the pages do not change with a machine's other fonts.
    try:
        pdf = typst.compile(
            scratch / TEMPLATE, root=scratch, font_paths=plots.font_folders(), ignore_system_fonts=True, timestamp=0
        )
    except typst.TypstError as error:
        if own is None:
            raise
        raise ConfigError(Problem(f"does not compile: {error}; the shipped template is a model", str(own))) from error
    path.write_bytes(pdf)


def without_cjk(content: Mapping[str, Any]) -> dict[str, Any]:
    """Return ``content`` without Chinese text, with a note where any was left out."""
    plain: dict[str, Any] = map_strings(content, lambda text: " ".join(_CJK.sub(" ", text).split()))
    # A field's surroundings in the fixed words keep their spaces.
    plain["t"] = dict(content.get("t") or {})
    shown = {key: value for key, value in content.items() if key != "t"}
    if _CJK.search(json.dumps(shown, ensure_ascii=False)):
        plain["font_note"] = plain["t"]["font_note"]
    return plain


def _copy_template(own: Path | None, target: Path) -> None:
    if own is not None:
        shutil.copyfile(own, target)
        return
    with resources.as_file(resources.files("eventstudy.report") / "templates" / TEMPLATE) as source:
        shutil.copyfile(source, target)


def _cjk_family() -> str:
    """Return the name by which Typst knows the Chinese font, empty for none."""
    import typst

    font = plots.cjk_font()
    if font is None:
        return ""
    known = typst.Fonts(include_system_fonts=False, include_embedded_fonts=False, font_paths=[font.parent])
    families = sorted({info.family for info in known.fonts() if info.path and Path(info.path).name == font.name})
    simplified = [family for family in families if family.endswith((" SC", " CN"))]
    return next(iter([*simplified, *families]), "")
