"""Registries of models, statistics, providers, figures and outputs, by name.

Entries come from the package's folders, from other distributions, and from code that adds them at run time. A registry
knows all names without importing the entries, so that settings can be checked before numpy is loaded. An entry of the
package is declared where it is defined, by a decorator with its name::

    @statistic("median_t", ...)

Another distribution declares one as an entry point in its ``pyproject.toml``::

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
    """A dict of the loaded entries that also knows the names of those not loaded yet.

    Indexing by a known name loads the entry: from the file of the package that declares it, or from the entry point of
    another distribution.

    Parameters
    ----------
    what
        What an entry is called in messages, such as "price source".
    folders
        Folders of the package whose files declare entries, such as "core/models".
    declaration
        Beginning of the line that declares an entry, up to its name; a space matches any white space.
    group
        Entry-point group for other distributions; empty if there is none.
    bare
        Whether the object of an entry point is used as it is; otherwise its module must declare the entry.

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
        """Modules of the package's entries, by name; read from the source text, nothing is imported."""
        # A regular expression, because parsing these files would take thirty times as long in every command.
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
        """Return the entry points of other distributions by name; they cannot replace names of the package.

        Raises
        ------
        ConfigError
            If two distributions use the same name.
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
        """Return a decorator that registers an object under ``name``."""

        def register(given: Given) -> Given:
            self[name] = cast("Thing", given)
            return given

        return register

    def names(self) -> tuple[str, ...]:
        """Return all names, sorted: loaded, declared and installed."""
        return tuple(sorted({*self, *self.declared, *self.installed()}))

    def knows(self, name: str) -> bool:
        """Whether there is an entry with this name; other distributions are searched last."""
        return name in self or name in self.declared or name in self.installed()

    def unknown(self, name: str) -> str:
        """Return a problem that says that the name is unknown and suggests the nearest one."""
        return f"{name!r} is unknown; {nearest(name, self.names())}"

    def load_all(self) -> None:
        """Import every file that declares an entry; entries are then in the order of the files."""
        for module in dict.fromkeys(self.declared.values()):
            importlib.import_module(module)
        # Rows of tables follow this order, so it must not depend on which module is imported first.
        for name in self.declared:
            if name in self:
                self[name] = self.pop(name)

    def load_installed(self) -> None:
        """Load the entries of other distributions."""
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
        """Return the object of an entry point, or raise a `ConfigError` that names its distribution."""
        whose = f"{self.what} {entry.name!r} of {_origin(entry)}"
        try:
            thing = entry.load()
        except Exception as error:
            # Any error that another distribution raises at import is reported as its error.
            reason = f"{type(error).__name__}: {error}"
            raise ConfigError(f"{whose} cannot be loaded ({reason}); update or uninstall that distribution") from error
        if self.bare and not callable(thing):
            raise ConfigError(f"{whose} is no {self.what}: not callable")
        if not self.bare and entry.name not in self:
            raise ConfigError(f'{whose}: its module does not declare {self.declaration}"{entry.name}", …)')
        return thing


def _origin(entry: EntryPoint) -> str:
    return entry.dist.name if entry.dist is not None else entry.value


#: Filled by the modules that define the decorators; defined here so that settings can be checked against the names.
MODELS: Registry[Any] = Registry("model", "core/models", declaration="@model(", group="eventstudy.models")
STATISTICS: Registry[Any] = Registry(
    "statistic", "core/statistics", declaration="@statistic(", group="eventstudy.statistics"
)
PROVIDERS: Registry[Any] = Registry(
    "price source", "prices", declaration="@provider(", group="eventstudy.providers", bare=True
)
#: What a pack is written as.
FORMATS: Registry[Any] = Registry("report format", "report/render", declaration="@output(", group="eventstudy.outputs")
#: Versions of kernels of `core` that numba compiles; `core` and `fast` do not import each other.
KERNELS: Registry[Any] = Registry("compiled kernel", "fast", declaration="@KERNELS.add(")
#: Methods of a result that later folders provide: `results` cannot import `plots` and `report`.
VIEWS: Registry[Any] = Registry("view", "plots", "report", "report/render", declaration="@VIEWS.add(")
