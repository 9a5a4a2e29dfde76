"""Providers of other distributions, found by the entry-point group ``eventstudy.providers``.

A distribution names its factory in its own ``pyproject.toml``::

    [project.entry-points."eventstudy.providers"]
    mydata = "mypackage.prices:MyProvider"
"""

from __future__ import annotations

from collections.abc import Collection
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from eventstudy.errors import ConfigError, Problem

GROUP = "eventstudy.providers"


def installed(taken: Collection[str]) -> dict[str, EntryPoint]:
    """Return the installed providers by name; names in ``taken`` stay with the package.

    Raises
    ------
    ConfigError
        If two distributions want the same name.
    """
    found: dict[str, EntryPoint] = {}
    problems = []
    for entry in sorted(entry_points(group=GROUP), key=lambda entry: (entry.name, entry.value)):
        if entry.name in taken:
            continue
        other = found.setdefault(entry.name, entry)
        if other.value != entry.value:
            text = f"price source {entry.name!r} comes from both {_origin(other)} and {_origin(entry)}"
            problems.append(Problem(f"{text}; uninstall one"))
    if problems:
        raise ConfigError(problems)
    return found


def load(entry: EntryPoint) -> Any:
    """Return the factory behind an entry point, or raise `ConfigError` that names its distribution."""
    try:
        factory = entry.load()
    except Exception as error:
        # Whatever another distribution raises at import is its fault, not the study's.
        reason = f"{type(error).__name__}: {error}"
        raise ConfigError(
            f"price source {entry.name!r} of {_origin(entry)} cannot be loaded ({reason}); "
            "update or uninstall that distribution"
        ) from error
    if not callable(factory):
        raise ConfigError(f"price source {entry.name!r} of {_origin(entry)} is no provider: not callable")
    return factory


def _origin(entry: EntryPoint) -> str:
    return entry.dist.name if entry.dist is not None else entry.value
