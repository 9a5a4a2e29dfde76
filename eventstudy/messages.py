"""The words of reports, figures and tables in each language, from TOML catalogues."""

from __future__ import annotations

import functools
import re
import tomllib
from collections.abc import Iterable, Mapping
from importlib import resources
from types import MappingProxyType
from typing import Any

from eventstudy.errors import ConfigError, EventStudyError, Reason, nearest

LANGUAGES = ("en", "zh")
#: Quantities that a study can measure; words for all but the first are in the catalogues under ``kind``.
KINDS = ("return", "volume", "volatility")
#: Section of words for studies that do not ask about reversals; volume and volatility use it too.
EFFECT = "effect"
#: Section of words that volume and volatility share.
MEASURED = "measured"
#: Key of a text that joins several sentences.
JOINED = "joined"
_MINUS = re.compile(r"(?<![\w–−-])-(?=\d)")


class Message(str):
    """An English sentence that keeps its key and fields, so that it can be rendered in another language.

    Tables, JSON and comparisons treat it as a plain string. ``key`` is its name in the catalogues under ``say``,
    ``fields`` are the values filled in; a field may be a message itself.
    """

    __slots__ = ("fields", "key")

    key: str
    fields: Mapping[str, Any]

    def __new__(cls, text: str, key: str = "", fields: Mapping[str, Any] | None = None) -> Message:
        made = super().__new__(cls, text)
        made.key, made.fields = key, dict(fields or {})
        return made

    def __getnewargs__(self) -> tuple[str, str, Mapping[str, Any]]:  # type: ignore[override]
        return str(self), self.key, self.fields


def say(key: str, /, **fields: Any) -> Message:
    """Return the English message ``say.<key>``, or else ``<key>``, with its fields filled in."""
    plain = {name: _plain(value) for name, value in fields.items()}
    return Message(_pattern(catalogue("en"), key).format(**plain), key, plain)


def text(reason: Reason) -> Message:
    """Return a reason's English sentence, a `Message` with its code and fields; empty for the empty reason.

    Called only where tables, pages and terminal output are written.
    """
    if reason.parts:
        return joined([text(part) for part in reason.parts], reason.separator)
    return say(reason.code, **reason.fields) if reason else Message("")


EventStudyError.words = text


def code_of(value: object) -> str:
    """Return the code of a reason or message (several are joined by ``;``); empty for any other text."""
    if isinstance(value, Reason):
        return ";".join(value.codes)
    if not isinstance(value, Message):
        return ""
    return ";".join(filter(None, map(code_of, value.fields["parts"]))) if value.key == JOINED else value.key


def _pattern(words: Mapping[str, str], key: str) -> str:
    return words[f"say.{key}"] if f"say.{key}" in words else words[key]


def _plain(value: Any) -> Any:
    """Return a field as a JSON value: numbers of numpy as Python's, dates as text."""
    value = text(value) if isinstance(value, Reason) else value
    value = value.item() if hasattr(value, "item") else value
    return value if isinstance(value, (str, int, float)) else str(value)


def joined(parts: Iterable[str | Reason], separator: str = "; ") -> Message:
    """Join texts into one message that keeps its parts; empty ones are left out."""
    kept = [text(part) if isinstance(part, Reason) else part for part in parts if part]
    if len(kept) == 1 and isinstance(kept[0], Message):
        return kept[0]
    return Message(separator.join(kept), JOINED, {"separator": separator, "parts": kept})


def said(message: str | Reason, words: Mapping[str, str]) -> str:
    """Return a message in the language of ``words``, and any other text unchanged, with typographic minus signs."""
    return _MINUS.sub("−", _said(message, words))


def _said(message: Any, words: Mapping[str, str]) -> Any:
    message = text(message) if isinstance(message, Reason) else message
    if not isinstance(message, Message):
        return message
    if not message.key:
        return str(message)
    if message.key == JOINED:
        separator = words.get(f"joined.{message.fields['separator'].strip()}", message.fields["separator"])
        return separator.join(str(_said(part, words)) for part in message.fields["parts"])
    fields = {name: _said(value, words) for name, value in message.fields.items()}
    return _pattern(words, message.key).format(**fields)


def retold(value: Any, words: Mapping[str, str]) -> Any:
    """Return ``value`` with each message in it rendered in ``words``; everything else is unchanged.

    Used for volume and volatility, whose tables and summary have English sentences of their own.
    """
    value = text(value) if isinstance(value, Reason) else value
    if isinstance(value, Message):
        return Message(str(_said(value, words)), value.key, retold(value.fields, words))
    if isinstance(value, Mapping):
        return {key: retold(part, words) for key, part in value.items()}
    if isinstance(value, (list, tuple)):
        return [retold(part, words) for part in value]
    return value


def recorded(value: Any) -> dict[str, Any]:
    """Return all messages in ``value`` as plain JSON: English text → key and fields."""
    value = text(value) if isinstance(value, Reason) else value
    if isinstance(value, Message) and value.key:
        inner = recorded(list(value.fields.values()))
        return {**inner, str(value): {"key": value.key, "fields": dict(value.fields)}}
    parts = list(value.values()) if isinstance(value, Mapping) else value
    found: dict[str, Any] = {}
    for part in parts if isinstance(parts, (list, tuple)) else ():
        found.update(recorded(part))
    return found


def recalled(value: Any, known: Mapping[str, Any]) -> Any:
    """Return ``value`` with its texts turned back into the messages that `recorded` stored."""
    if isinstance(value, str) and value in known:
        # A joined message with one part has the same text as that part; it is not looked up again.
        others = {text: entry for text, entry in known.items() if text != value}
        fields = {name: recalled(part, others) for name, part in known[value]["fields"].items()}
        return Message(value, known[value]["key"], fields)
    if isinstance(value, Mapping):
        return {key: recalled(part, known) for key, part in value.items()}
    return [recalled(part, known) for part in value] if isinstance(value, list) else value


def kind_of(kind: str, *, asked: bool) -> str:
    """Return which words a study uses: those of the quantity it measures, or `EFFECT` for returns without a verdict."""
    return EFFECT if kind == "return" and not asked else kind


def asked(facts: Mapping[str, Any]) -> bool:
    """Return whether the study with this summary asked about reversals, that is, has a verdict."""
    return "verdict" in facts or "effects" not in facts


def kind_of_study(facts: Mapping[str, Any]) -> str:
    """Return which words the study with this summary uses, see `kind_of`."""
    return kind_of(str(facts.get("kind") or "return"), asked=asked(facts))


@functools.cache
def catalogue(language: str, kind: str = "return") -> Mapping[str, str]:
    """Return the messages of a language by key, ``section.name``; placeholders are `str.format` fields.

    For a study that does not ask about reversals, the words under ``kind.effect`` replace those about drops. For
    volume or volatility, those under ``kind.measured`` and then under the kind's name replace nouns, headers, units
    and number formats.

    Raises
    ------
    ConfigError
        If there is no catalogue of that language.
    """
    if kind != "return":
        words = dict(catalogue(language))
        for part in (EFFECT,) if kind == EFFECT else (EFFECT, MEASURED, kind):
            start = f"kind.{part}."
            words |= {key.removeprefix(start): text for key, text in words.items() if key.startswith(start)}
        return MappingProxyType(words)
    if language not in LANGUAGES:
        raise ConfigError(f"language {language!r} has no catalogue; {nearest(language, LANGUAGES)}")
    file = resources.files("eventstudy") / "report" / "locale" / f"{language}.toml"
    found: dict[str, str] = {}
    _flatten("", tomllib.loads(file.read_text(encoding="utf-8")), found)
    return MappingProxyType(found)


def section(language: str, name: str, kind: str = "return") -> dict[str, str]:
    """Return the messages of one section, by name without the prefix of the section."""
    start, words = f"{name}.", catalogue(language, kind)
    return {key.removeprefix(start): text for key, text in words.items() if key.startswith(start)}


def term(words: Mapping[str, str], kind: str, name: object) -> str:
    """Return the word for a code such as a label; if there is none, the code with blanks for underscores."""
    if isinstance(name, Message | Reason):
        return said(name, words)
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
