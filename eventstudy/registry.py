"""Things by name: those of the package's folders, those of other distributions, and those added at run time.

A registry knows every name without importing what the name stands for, so that settings can be checked
before numpy is loaded. A thing of the package is declared where it is made, by a decorator with its name::

    @statistic("median_t", ...)

Another distribution declares one as an entry point in its own ``pyproject.toml``::

    [project.entry-points."eventstudy.statistics"]
    median_t = "mypackage.tests:median_t"
"""

from __future__ import annotations

import importlib
import re
from collections.abc import Callable
from functools import cached_property
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Any, Generic, TypeVar, cast

from eventstudy.errors import ConfigError, Problem, nearest

Thing = TypeVar("Thing")
Given = TypeVar("Given")


class Registry(dict[str, Thing], Generic[Thing]):
    """A dict of what is loaded, which also knows the names of what is not loaded yet.

    Indexing by a name that is known loads it: the file of the package that declares it, or the entry point
    of another distribution.

    Parameters
    ----------
    what
        What one of the things is called in messages, such as "price source".
    folders
        Folders of the package whose files declare them, such as "core/models".
    declaration
        Beginning of the line that declares one, up to its name; spaces stand for any white space.
    group
        Entry-point group of other distributions; empty where they have none.
    bare
        Whether the object behind an entry point will do as it is; else its module must declare it.

    Examples
    --------
    >>> from eventstudy import MODELS, PROVIDERS, STATISTICS
    >>> MODELS.knows("market"), STATISTICS.knows("date_t"), PROVIDERS.knows("yahoo")
    (True, True, True)
    >>> "ibragimov_mueller" in STATISTICS.names()
    True
    >>> callable(STATISTICS["date_t"])
    True
    """

    def __init__(self, what: str, *folders: str, declaration: str, group: str = "", bare: bool = False) -> None:
        super().__init__()
        self.what, self.folders, self.declaration, self.group = what, folders, declaration, group
        self.bare = bare

    @cached_property
    def declared(self) -> dict[str, str]:
        """Module by name of what the package's folders declare; read from the text, nothing is imported."""
        # A regular expression: parsing these files takes thirty times as long, in every command.
        start = re.escape(self.declaration).replace("\\ ", r"\s*")
        declaration = re.compile(rf'^{start}\s*"([^"]+)"', re.MULTILINE)
        files = [
            (f"{__package__}.{folder.replace('/', '.')}.{path.stem}", path)
            for folder in self.folders
            for path in sorted((Path(__file__).parent / folder).glob("[!_]*.py"))
        ]
        return {
            name: module for module, path in files for name in declaration.findall(path.read_text(encoding="utf-8"))
        }

    def installed(self) -> dict[str, EntryPoint]:
        """Return the entry points of other distributions by name; names of the package stay its own.

        Raises
        ------
        ConfigError
            If two distributions want the same name.
        """
        if not self.group:
            return {}
        found: dict[str, EntryPoint] = {}
        problems = []
        for entry in sorted(entry_points(group=self.group), key=lambda entry: (entry.name, entry.value)):
            if entry.name in self.declared:
                continue
            other = found.setdefault(entry.name, entry)
            if other.value != entry.value:
                text = f"{self.what} {entry.name!r} comes from both {_origin(other)} and {_origin(entry)}"
                problems.append(Problem(f"{text}; uninstall one"))
        if problems:
            raise ConfigError(problems)
        return found

    def add(self, name: str) -> Callable[[Given], Given]:
        """Return a decorator that adds what it decorates under ``name``."""

        def register(given: Given) -> Given:
            self[name] = cast("Thing", given)
            return given

        return register

    def names(self) -> tuple[str, ...]:
        """Return all names there are, sorted: loaded, declared and installed."""
        return tuple(sorted({*self, *self.declared, *self.installed()}))

    def knows(self, name: str) -> bool:
        """Whether there is a thing of this name; asks other distributions last."""
        return name in self or name in self.declared or name in self.installed()

    def unknown(self, name: str) -> str:
        """Say that there is no such name, with the nearest of those there are."""
        return f"{name!r} is unknown; {nearest(name, self.names())}"

    def load_all(self) -> None:
        """Import every file that declares something; the things then stand in the order of files."""
        for module in dict.fromkeys(self.declared.values()):
            importlib.import_module(module)
        # Rows of tables follow this order: that of the files and lines, not of who imports whom first.
        for name in self.declared:
            if name in self:
                self[name] = self.pop(name)

    def load_installed(self) -> None:
        """Load what other distributions declare."""
        for name in self.installed():
            if name not in self:
                self[name]

    def __missing__(self, name: str) -> Thing:
        if name in self.declared:
            importlib.import_module(self.declared[name])
        elif entry := self.installed().get(name):
            loaded = self._load(entry)
            if self.bare:
                self.setdefault(name, loaded)
        if name not in self:
            raise KeyError(name)
        return self[name]

    def _load(self, entry: EntryPoint) -> Any:
        """Return what is behind an entry point, or raise `ConfigError` that names its distribution."""
        whose = f"{self.what} {entry.name!r} of {_origin(entry)}"
        try:
            thing = entry.load()
        except Exception as error:
            # Whatever another distribution raises at import is its fault, not the study's.
            reason = f"{type(error).__name__}: {error}"
            raise ConfigError(f"{whose} cannot be loaded ({reason}); update or uninstall that distribution") from error
        if self.bare and not callable(thing):
            raise ConfigError(f"{whose} is no {self.what}: not callable")
        if not self.bare and entry.name not in self:
            raise ConfigError(f'{whose}: its module does not declare {self.declaration}"{entry.name}", …)')
        return thing


def _origin(entry: EntryPoint) -> str:
    return entry.dist.name if entry.dist is not None else entry.value


#: Filled by the modules that define the decorators; here so that settings can be checked against the names.
MODELS: Registry[Any] = Registry("model", "core/models", declaration="@model(", group="eventstudy.models")
STATISTICS: Registry[Any] = Registry(
    "statistic", "core/statistics", declaration="@statistic(", group="eventstudy.statistics"
)
PROVIDERS: Registry[Any] = Registry(
    "price source", "prices", declaration="@provider(", group="eventstudy.providers", bare=True
)
#: Twins of kernels of `core`, compiled by numba; neither of them knows of the other's files.
KERNELS: Registry[Any] = Registry("compiled kernel", "fast", declaration="@KERNELS.add(")
#: What a result can show of itself: `results` knows neither the figures nor the report, which come after it.
VIEWS: Registry[Any] = Registry("view", "plots", "report", "report/render", declaration="@VIEWS.add(")
