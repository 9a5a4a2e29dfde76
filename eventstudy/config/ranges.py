"""Accepted values of a setting, beside its annotation: ``lags: Annotated[int, Range(1, 10)]``.

A number without a `Range`, or a text that is neither a choice nor `FREE`, fails a test: no setting goes
unchecked because somebody forgot.
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
    """Least and largest value, both allowed; ``unit`` ends the message. NaN is in no range."""

    least: float | dt.date
    most: float | dt.date
    unit: str = ""

    def fault(self, path: str, value: Any) -> str:
        """Return what is accepted where the value lies outside."""
        if self.least <= value <= self.most:
            return ""
        return f"{path} = {value}: accepted is {self.least} to {self.most}{self.unit and ' '}{self.unit}"


@dataclass(frozen=True, slots=True)
class OneOf:
    """One of some names."""

    names: Sequence[str]

    def fault(self, path: str, value: str) -> str:
        """Return the nearest name where the value is none."""
        return "" if value in self.names else f"{path} = {value!r} is unknown; {nearest(value, self.names)}"


@dataclass(frozen=True, slots=True)
class Registered:
    """The name of something that ships or is installed or added; nothing is imported to check it."""

    registry: Registry[Any]

    def fault(self, path: str, value: str) -> str:
        """Return the nearest name where there is no such thing."""
        return "" if self.registry.knows(value) else f"{path} = {self.registry.unknown(value)}"


@dataclass(frozen=True, slots=True)
class Form:
    """A text of one form; ``accepted`` says it in words."""

    pattern: str
    accepted: str

    def fault(self, path: str, value: str | float) -> str:
        """Return what is accepted where the text has another form; a number, where one may stand, has none."""
        return (
            ""
            if not isinstance(value, str) or re.fullmatch(self.pattern, value)
            else f"{path} = {value!r}: accepted {self.accepted}"
        )


@dataclass(frozen=True, slots=True)
class Distinct:
    """A list in which nothing stands twice."""

    def fault(self, path: str, value: Sequence[Any]) -> str:
        """Return what stands in the list more than once."""
        twice = [str(item) for item in dict.fromkeys(value) if value.count(item) > 1]
        return f"{path} names {', '.join(twice)} twice" if twice else ""


#: Any text: a name, a note, a path, or what another file is asked about.
FREE = Form("(?s).*", "is any text")


def faults(value: Any, hint: Any, path: str = "") -> Iterator[str]:
    """Yield what is wrong with a setting at ``path``, or with all below it, by the limits in its annotation."""
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if value is None:
        return
    if origin is Annotated:
        yield from filter(None, (limit.fault(path, value) for limit in arguments[1:]))
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
