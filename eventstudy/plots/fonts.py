"""The fonts of the figures: DejaVu Sans, and behind it one with Chinese glyphs where there is one."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from matplotlib import font_manager
from matplotlib.ft2font import FT2Font

from eventstudy.messages import catalogue

#: File names of fonts with Chinese glyphs, the preferred first.
_CJK_FILES = (
    "notosanscjk-regular", "notosanscjksc-regular", "notosanssc", "sourcehansanssc-regular", "sourcehansans",
    "notosanscjk", "wqy-microhei", "wqy-zenhei", "msyh", "simhei", "pingfang", "hiragino sans gb",
    "stheiti", "droidsansfallback", "arial unicode",
)  # fmt: skip


@functools.cache
def cjk_font() -> Path | None:
    """Return the file of a font with Chinese glyphs, None where the machine has none."""
    found = sorted(Path(name) for name in font_manager.findSystemFonts())
    for wanted in _CJK_FILES:
        for path in found:
            if path.name.lower().startswith(wanted):
                return path
    return None


@functools.cache
def families() -> tuple[str, ...]:
    """Return the names of the fonts in the order in which a glyph is looked for."""
    path = cjk_font()
    if path is None:
        return ("DejaVu Sans",)
    # Registered by path: matplotlib's own list of fonts is a cache that can be older than the font.
    manager = font_manager.fontManager
    manager.addfont(str(path))
    # A family of one weight stands for both; matplotlib would say so for every text that it sets.
    faces = [face for face in manager.ttflist if face.fname == str(path)]
    manager.ttflist[:] = [face for face in manager.ttflist if face.fname != str(path)]
    manager.ttflist += [dataclasses.replace(face, weight=weight) for face in faces for weight in (400, 700)]
    return ("DejaVu Sans", font_manager.FontProperties(fname=str(path)).get_name())


@functools.cache
def _glyphs() -> frozenset[int]:
    files = [font_manager.findfont("DejaVu Sans"), cjk_font()]
    return frozenset(code for file in files if file for code in FT2Font(str(file)).get_charmap())


def forget_fonts() -> None:
    """Look for fonts anew: for a program that has installed or removed one since it started."""
    for found in (cjk_font, families, _glyphs):
        found.cache_clear()


def shown(text: object, *, limit: int = 0) -> str:
    """Return ``text`` on one line, without what the figures' fonts cannot show, cut at ``limit``."""
    line = " ".join(str(text).split())
    kept = " ".join("".join(char for char in line if ord(char) in _glyphs()).split())
    return kept if not limit or len(kept) <= limit else kept[: limit - 1].rstrip() + "…"


def figure_words(summary: Mapping[str, Any]) -> Mapping[str, str]:
    """Return the messages of the figures: English where no font has the glyphs of the study's language."""
    wanted = str(summary.get("language") or "en")
    return catalogue(wanted if wanted == "en" or cjk_font() else "en")
