"""The PDF report: a fixed Typst template and a JSON file of strings, which Typst never reads as markup."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import Any

from eventstudy import plots
from eventstudy.report.pages import map_strings

#: Shocks drawn in the report; the pack's figures folder has them all.
MAX_SHOCKS = 40
_CJK = re.compile("[\u2e80-\u9fff\uac00-\ud7af\uf900-\ufaff\uff00-\uffef\U00020000-\U0003ffff]+")


def write_pdf(content: Mapping[str, Any], figures: Sequence[plots.Plot], scratch: Path, path: Path) -> None:
    """Write the report; ``scratch`` holds the drawings as figures/<name>.svg and takes the sources."""
    import typst

    fonts, family = _fonts()
    pages = {**(content if family else without_cjk(content)), **figure_lists(figures)}
    pages["families"] = ["Libertinus Serif", *([family] if family else [])]
    (scratch / "data.json").write_text(
        json.dumps(pages, ensure_ascii=False, allow_nan=False), encoding="utf-8"
    )
    template = resources.files("eventstudy.report") / "templates" / "report.typ"
    with resources.as_file(template) as source:
        shutil.copyfile(source, scratch / "report.typ")
    # Only embedded fonts and the one Chinese font: the pages do not change with a machine's other fonts.
    pdf = typst.compile(
        scratch / "report.typ", root=scratch, font_paths=fonts, ignore_system_fonts=True, timestamp=0,
    )  # fmt: skip
    path.write_bytes(pdf)


def figure_lists(figures: Sequence[plots.Plot]) -> dict[str, Any]:
    """Return the names of the drawings: those of page 1, and a pair for each shock shown."""
    names = {plot.kind: plot.name for plot in figures if not plot.shock_id}
    shocks: dict[str, dict[str, str]] = {}
    for plot in figures:
        if plot.shock_id:
            shocks.setdefault(plot.shock_id, {})[plot.kind] = plot.name
    pairs = [[pair["event_bars"], pair["shock_path"]] for pair in shocks.values()]
    return {
        "caar_figure": names.get("caar_by_label", ""),
        "dots_figure": names.get("shock_dots", ""),
        "shock_figures": pairs[:MAX_SHOCKS],
        "shock_figures_left_out": max(0, len(pairs) - MAX_SHOCKS),
    }


def without_cjk(content: Mapping[str, Any]) -> dict[str, Any]:
    """Return ``content`` without Chinese text, with a note where any was left out.

    A verdict in Chinese is replaced by its kind and numbers, never by a remainder of its sentence.
    """
    plain: dict[str, Any] = map_strings(content, lambda text: " ".join(_CJK.sub(" ", text).split()))
    verdict = content.get("verdict") or {}
    if _CJK.search(str(verdict.get("sentence", ""))):
        facts = "; ".join(f"{name} {value}" for name, value in verdict.get("facts", ()))
        plain["verdict"]["sentence"] = f"{str(verdict.get('kind', '')).capitalize()}. {facts}."
    if _CJK.search(json.dumps(content, ensure_ascii=False)):
        plain["font_note"] = "no Chinese font found: Chinese names left out"
    return plain


def _fonts() -> tuple[list[Any], str]:
    """Return the folders Typst reads fonts from and the Chinese family among them, empty for none."""
    import typst

    font = plots.cjk_font()
    if font is None:
        return [], ""
    known = typst.Fonts(include_system_fonts=False, include_embedded_fonts=False, font_paths=[font.parent])
    families = sorted(
        {info.family for info in known.fonts() if info.path and Path(info.path).name == font.name}
    )
    simplified = [family for family in families if family.endswith((" SC", " CN"))]
    chosen = [*simplified, *families]
    return ([font.parent], chosen[0]) if chosen else ([], "")
