"""The fonts of the figures: DejaVu Sans, and a font with Chinese glyphs if there is one."""

from __future__ import annotations

import dataclasses
import functools
import itertools
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import matplotlib
from matplotlib import font_manager
from matplotlib.ft2font import FT2Font
from matplotlib.textpath import text_to_path

from eventstudy.messages import catalogue, kind_of_study

#: File names of fonts with Chinese glyphs, the preferred first.
_CJK_FILES = (
    "notosanscjk-regular",
    "notosanscjksc-regular",
    "notosanssc",
    "sourcehansanssc-regular",
    "sourcehansans",
    "notosanscjk",
    "wqy-microhei",
    "wqy-zenhei",
    "msyh",
    "simhei",
    "pingfang",
    "hiragino sans gb",
    "stheiti",
    "droidsansfallback",
    "arial unicode",
)

LATIN = "DejaVu Sans"
#: Font families in SVG files; a viewer uses the first one that is installed.
LATIN_STACK = f"'{LATIN}', Verdana, sans-serif"
_CJK_STACK = "'Microsoft YaHei', 'PingFang SC', 'Noto Sans CJK SC', sans-serif"


@functools.cache
def cjk_font() -> Path | None:
    """Return the file of a font with Chinese glyphs, None if there is none."""
    found = sorted(Path(name) for name in font_manager.findSystemFonts())
    for wanted in _CJK_FILES:
        for path in found:
            if path.name.lower().startswith(wanted):
                return path
    return None


@functools.cache
def families() -> tuple[str, ...]:
    """Return the names of the fonts in the order of the search for a glyph."""
    path = cjk_font()
    if path is None:
        return (LATIN,)
    # Registered by path: matplotlib's own list of fonts is a cache that can be older than the font.
    manager = font_manager.fontManager
    manager.addfont(str(path))
    # A family with one weight is used for both; matplotlib would log this for every text.
    faces = [face for face in manager.ttflist if face.fname == str(path)]
    manager.ttflist[:] = [face for face in manager.ttflist if face.fname != str(path)]
    manager.ttflist += [dataclasses.replace(face, weight=weight) for face in faces for weight in (400, 700)]
    return (LATIN, font_manager.FontProperties(fname=str(path)).get_name())


def latin_fonts() -> Path:
    """Return the folder of the DejaVu fonts in matplotlib."""
    return Path(matplotlib.get_data_path()) / "fonts" / "ttf"


def font_folders() -> list[Any]:
    """Return the folders of the figures' fonts, for programs that render their texts."""
    font = cjk_font()
    return [latin_fonts(), *([font.parent] if font else [])]


def cjk_stack() -> str:
    """Return the families for a drawing's Chinese characters, the installed one first."""
    return f"'{families()[-1]}', {_CJK_STACK}"


def runs(text: str) -> Iterator[tuple[bool, str]]:
    """Return the parts of a text in order, each with a flag that DejaVu Sans has its characters.

    A space belongs to the preceding part.
    """
    latin = [char.isspace() or ord(char) in _latin_glyphs() for char in text]
    for place, char in enumerate(text):
        if place and char.isspace():
            latin[place] = latin[place - 1]
    for kind, part in itertools.groupby(zip(latin, text, strict=True), lambda pair: pair[0]):
        yield kind, "".join(char for _, char in part)


@functools.cache
def advance(text: str, weight: str) -> float:
    """Return the width of a text in units of the font size, with spaces and kerning."""
    font = font_manager.FontProperties(family=list(families()), weight=weight, size=100)
    # Only ink is measured, so a stroke is added at both ends to include spaces.
    wide, narrow = (
        text_to_path.get_text_width_height_descent(words, font, ismath=False)[0] for words in (f"|{text}|", "||")
    )
    return float(wide - narrow) / 100


@functools.cache
def _latin_glyphs() -> frozenset[int]:
    return frozenset(FT2Font(font_manager.findfont(LATIN)).get_charmap())


@functools.cache
def _glyphs() -> frozenset[int]:
    font = cjk_font()
    return _latin_glyphs() | frozenset(FT2Font(str(font)).get_charmap() if font else ())


def forget_fonts() -> None:
    """Search for fonts again, after one was installed or removed."""
    for found in (cjk_font, families, advance, _glyphs):
        found.cache_clear()


def shown(text: object, *, limit: int = 0) -> str:
    """Return ``text`` on one line, without characters that the fonts lack, cut at ``limit``."""
    line = " ".join(str(text).split())
    kept = " ".join("".join(char for char in line if ord(char) in _glyphs()).split())
    return kept if not limit or len(kept) <= limit else kept[: limit - 1].rstrip() + "…"


def figure_words(summary: Mapping[str, Any]) -> Mapping[str, str]:
    """Return the messages of the figures; in English if no font has the glyphs of the study's language."""
    wanted = str(summary.get("language") or "en")
    return catalogue(wanted if wanted == "en" or cjk_font() else "en", kind_of_study(summary))
