"""Accepted values of a setting, in its annotation: ``lags: Annotated[int, Range(1, 10)]``.

A test fails if a number has no `Range`, or if a text is neither a choice nor `FREE`, so every setting is checked.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import re
import types
import typing
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Union

from eventstudy.errors import nearest
from eventstudy.registry import Registry


@dataclass(frozen=True, slots=True)
class Range:
    """Smallest and largest accepted value; ``unit`` ends the message. NaN is never accepted."""

    least: float | dt.date
    most: float | dt.date
    unit: str = ""

    def fault(self, path: str, value: Any) -> str:
        """Return the accepted range if the value is outside it."""
        if self.least <= value <= self.most:
            return ""
        return f"{path} = {value}: accepted is {self.least} to {self.most}{self.unit and ' '}{self.unit}"


@dataclass(frozen=True, slots=True)
class OneOf:
    """One of several fixed names."""

    names: Sequence[str]

    def fault(self, path: str, value: str) -> str:
        """Return the accepted names, the most similar one first, if the value is none of them."""
        return "" if value in self.names else f"{path} = {value!r} is unknown; {nearest(value, self.names)}"


@dataclass(frozen=True, slots=True)
class Registered:
    """The name of a registry entry (shipped, installed or added); checked without importing the entry."""

    registry: Registry[Any]

    def fault(self, path: str, value: str) -> str:
        """Return the most similar name if the value is unknown."""
        return "" if self.registry.knows(value) else f"{path} = {self.registry.unknown(value)}"


@dataclass(frozen=True, slots=True)
class Form:
    """A text of a given form; ``accepted`` describes the form in words."""

    pattern: str
    accepted: str

    def fault(self, path: str, value: str | float) -> str:
        """Return the accepted form if the text has another one; numbers, if the setting allows them, are not
        checked."""
        return (
            ""
            if not isinstance(value, str) or re.fullmatch(self.pattern, value)
            else f"{path} = {value!r}: accepted {self.accepted}"
        )


@dataclass(frozen=True, slots=True)
class Distinct:
    """A list without repeated values."""

    def fault(self, path: str, value: Sequence[Any]) -> str:
        """Return the values that the list contains more than once."""
        twice = [str(item) for item in dict.fromkeys(value) if value.count(item) > 1]
        return f"{path} names {', '.join(twice)} twice" if twice else ""


#: Any text: a name, a note, a path, or a column of another file.
FREE = Form("(?s).*", "is any text")


def faults(value: Any, hint: Any, path: str = "") -> Iterator[tuple[str, str]]:
    """Yield path and fault of a setting at ``path``, or of all below it, by the limits in its annotation."""
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if value is None:
        return
    if origin is Annotated:
        yield from ((path, text) for limit in arguments[1:] if (text := limit.fault(path, value)))
        yield from faults(value, arguments[0], path)
    elif origin in (Union, types.UnionType):
        yield from faults(value, arguments[0], path)
    elif dataclasses.is_dataclass(hint):
        hints = typing.get_type_hints(hint, include_extras=True)
        for name, item in hints.items():
            key = name.rstrip("_")
            yield from faults(getattr(value, name), item, f"{path}.{key}" if path else key)
    elif origin is tuple:
        kinds = arguments * len(value) if arguments[-1] is not Ellipsis else arguments[:1] * len(value)
        for at, (item, kind) in enumerate(zip(value, kinds, strict=False)):
            yield from faults(item, kind, f"{path}[{at}]")
    elif origin is Mapping:
        for key, item in value.items():
            yield from faults(item, arguments[1], f"{path}.{key}")
