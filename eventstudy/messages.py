"""The words of reports, figures and tables in each language, from TOML catalogues."""

from __future__ import annotations

import functools
import tomllib
from collections.abc import Mapping
from importlib import resources
from types import MappingProxyType
from typing import Any

from .errors import ConfigError, nearest

LANGUAGES = ("en", "zh")


@functools.cache
def catalogue(language: str) -> Mapping[str, str]:
    """Return the messages of a language by key, ``section.name``; placeholders are `str.format` fields.

    Raises
    ------
    ConfigError
        If there is no catalogue of that language.
    """
    if language not in LANGUAGES:
        raise ConfigError(f"language {language!r} has no catalogue; {nearest(language, LANGUAGES)}")
    file = resources.files("eventstudy") / "report" / "locale" / f"{language}.toml"
    found: dict[str, str] = {}
    _flatten("", tomllib.loads(file.read_text(encoding="utf-8")), found)
    return MappingProxyType(found)


def section(language: str, name: str) -> dict[str, str]:
    """Return the messages of one section by their names without the section's."""
    start = f"{name}."
    return {
        key.removeprefix(start): text for key, text in catalogue(language).items() if key.startswith(start)
    }


def term(words: Mapping[str, str], kind: str, name: object) -> str:
    """Return the word for a code such as a label or a reason; without one the code itself, spaced."""
    return words.get(f"{kind}.{name}", str(name).replace("_", " "))


def day_text(words: Mapping[str, str], day: object) -> str:
    """Return an ISO date as ``9 June 2026``; anything else as it is."""
    parts = str(day)[:10].split("-")
    if len(parts) != 3 or not all(part.isdigit() for part in parts):
        return str(day)
    year, month, number = (int(part) for part in parts)
    return words["date.pattern"].format(year=year, month=words[f"date.month_{month}"], day=number)


def _flatten(prefix: str, table: Mapping[str, Any], found: dict[str, str]) -> None:
    for key, value in table.items():
        path = f"{prefix}.{key}" if prefix else key
        if isinstance(value, Mapping):
            _flatten(path, value, found)
        else:
            found[path] = str(value)
