"""The user's own columns: of the events file, of the peers' tables and of files of covariates."""

from __future__ import annotations

import bisect
import datetime as dt
import io
import keyword
import re
import tokenize
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from eventstudy.config import StudyConfig
from eventstudy.errors import ConfigError, EventsError, Problem, nearest
from eventstudy.events import Events, own_column
from eventstudy.readers.containers import table_of_bytes, texts
from eventstudy.readers.text import read_file

#: Columns that are available in every study: of the firm, of its fit, of the event.
BUILT_IN = (
    *("exposure", "peer_group", "market", "region", "ticker"),
    *("beta", "sigma", "pre_trend"),
    *("event_id", "shock_id", "date", "label", "kind", "dimension", "misreading"),
)
#: Columns of these whose values define groups.
GROUPS = ("peer_group", "market", "region", "ticker", "shock_id", "label", "kind", "dimension")
#: Largest number of distinct numbers in a column of groups.
MOST_NUMBERS = 10
#: Columns of a file of covariates that say which firm-events a row belongs to.
KEYS = ("ticker", "event_id", "date")
#: Words in formulas that are no columns, although no bracket follows them.
_WORDS = frozenset({*keyword.kwlist, "Treatment", "Sum", "Poly", "Helmert", "Diff", "np", "numpy"})
_QUOTED = re.compile(r"""\bQ\(\s*(['"])(?P<name>.*?)\1\s*\)""")
Cell = str | float


@dataclass(frozen=True, slots=True)
class CovariatesFile:
    """A file of covariates: the cells of its own columns by key, dated rows in the order of their days."""

    path: str
    keys: tuple[str, ...]
    columns: tuple[str, ...]
    cells: Mapping[tuple[str, ...], Sequence[tuple[str, Mapping[str, Cell]]]]

    def cell(self, column: str, event_id: str, ticker: str, day0: str) -> Cell | None:
        """Return the cell for a firm-event; of dated rows the newest on or before day 0."""
        named = {"event_id": event_id, "ticker": ticker}
        rows = self.cells.get(tuple(named[key] for key in self.keys if key != "date"), ())
        at = bisect.bisect_right([day for day, _ in rows], day0) - 1
        return rows[at][1].get(column) if at >= 0 else None


@dataclass(frozen=True, slots=True)
class Covariates:
    """All own columns of the user in a study, and the source of each."""

    events: Events
    config: StudyConfig
    files: tuple[CovariatesFile, ...]

    @property
    def sources(self) -> Mapping[str, Sequence[str]]:
        """Sources of each column; several if a name is used more than once."""
        found: dict[str, list[str]] = {}
        columns = [(self.events.path, name) for event in self.events for name in event.own]
        columns += [("[[peers]]", name) for peer in self.config.peers for name in peer.own]
        columns += [(file.path, name) for file in self.files for name in file.columns]
        for source, name in dict.fromkeys(columns):
            found.setdefault(name, []).append(source)
        return found

    def cells(self, name: str) -> Iterator[Cell]:
        """Yield what stands in a column, wherever it is."""
        owners: list[Mapping[str, Cell]] = [event.own for event in self.events]
        owners += [peer.own for peer in self.config.peers]
        owners += [row for file in self.files for dated in file.cells.values() for _, row in dated]
        yield from (own[name] for own in owners if not _empty(own.get(name)))

    def column(
        self, name: str, event_id: Sequence[str], ticker: Sequence[str], day0: NDArray[np.int32]
    ) -> NDArray[np.float64] | NDArray[np.object_]:
        """Return a column of the user's own for N firm-events, (N,).

        Numbers with NaN where there is none; texts with an empty one. ``day0`` are days since 1970.
        """
        days = day0.astype("datetime64[D]").astype(str)
        cells = [self._cell(name, *key) for key in zip(event_id, ticker, days, strict=True)]
        if all(cell is None or isinstance(cell, float) for cell in cells):
            return np.array([np.nan if cell is None else cell for cell in cells], dtype=np.float64)
        return np.array(
            ["" if cell is None else f"{cell:g}" if isinstance(cell, float) else cell for cell in cells], dtype=object
        )

    def _cell(self, name: str, event_id: str, ticker: str, day0: str) -> Cell | None:
        peer, event = self.config.peer(ticker), self.events.by_id(event_id)
        for own in (event.own, peer.own):
            if not _empty(own.get(name)):
                return own[name]
        names = (ticker, peer.ticker, *peer.aliases)
        found = (file.cell(name, event_id, known, day0) for file in self.files for known in dict.fromkeys(names))
        return next((cell for cell in found if not _empty(cell)), None)


def read_covariates(events: Events, config: StudyConfig) -> Covariates:
    """Read the study's columns of its own and check every name that a formula or a group uses."""
    found = Covariates(events, config, tuple(_read(Path(item.file), events, config) for item in config.covariates))
    problems = [Problem(text) for text in _faults(found, config)]
    if problems:
        raise ConfigError(problems)
    return found


def names_of(formula: str) -> tuple[str, ...]:
    """Return the columns that a formula's right side names, in order of first mention."""
    right = formula.partition("~")[2]
    quoted = [match["name"] for match in _QUOTED.finditer(right)]
    try:
        words = list(tokenize.generate_tokens(io.StringIO(_QUOTED.sub("1", right)).readline))
    except (tokenize.TokenError, SyntaxError) as error:
        raise ConfigError(f"tests.regression: {formula!r} cannot be read: {error}") from error
    found = [
        word.string
        for before, word, after in zip([words[0], *words], words, words[1:], strict=False)
        if word.type == tokenize.NAME
        and word.string not in _WORDS
        and before.string != "."
        and after.string not in ("(", "=", ".")
    ]
    return tuple(dict.fromkeys([*found, *quoted]))


def _faults(own: Covariates, config: StudyConfig) -> Iterator[str]:
    known = (*BUILT_IN, *own.sources)
    used = []
    for formula in config.tests.regression:
        if formula.partition("~")[0].strip() != "car":
            yield f"tests.regression: {formula!r}: write car ~ covariates"
        else:
            used += [(f"tests.regression: {formula!r}", name) for name in names_of(formula)]
    used += [("tests.group", name) for name in config.tests.group]
    for where, name in dict.fromkeys(used):
        places = [*own.sources.get(name, ()), *(["eventstudy itself"] if name in BUILT_IN else [])]
        if not places:
            yield f"{where}: there is no column {name!r}; {nearest(name, known)}"
        elif len(places) > 1:
            yield f"{where}: the column {name!r} stands in {' and in '.join(places)}; rename one"
        elif where == "tests.group" and name in BUILT_IN and name not in GROUPS:
            yield f"tests.group: {name!r} is a number of each firm-event; {nearest(name, (*GROUPS, *own.sources))}"
        elif where == "tests.group" and name not in BUILT_IN:
            numbers = {cell for cell in own.cells(name) if isinstance(cell, float)}
            if len(numbers) > MOST_NUMBERS:
                yield f"tests.group: {name!r} has {len(numbers)} different numbers; make classes of it: low, high"


def _read(path: Path, events: Events, config: StudyConfig) -> CovariatesFile:
    table = table_of_bytes(read_file(path, EventsError), str(path), EventsError)
    names = [name.lower() if name.lower() in KEYS else name for name in table.names]
    columns = {name: [cell.strip() for cell in texts(cells)] for name, cells in zip(names, table.columns, strict=True)}
    keys = tuple(key for key in ("event_id", "ticker", "date") if key in columns)
    own = {name: own_column(cells) for name, cells in columns.items() if name not in KEYS}
    if not table.lines or not own or not set(keys) & {"ticker", "event_id"}:
        what = "needs a column ticker or event_id, one of your own beside it, and a row"
        raise EventsError(Problem(what, str(path), 1))
    cells: dict[tuple[str, ...], dict[str, Mapping[str, Cell]]] = {}
    problems = list(table.ragged)
    for row, line in enumerate(table.lines):
        day = _day(columns["date"][row]) if "date" in keys else ""
        key = tuple(columns[name][row] for name in keys if name != "date")
        if day is None:
            problems.append(Problem(f"date {columns['date'][row]!r}: write 2024-06-12", str(path), line))
        elif day in cells.setdefault(key, {}):
            problems.append(Problem(f"{', '.join([*key, day]).strip(', ')} occurs a second time", str(path), line))
        else:
            cells[key][day] = {name: column[row] for name, column in own.items()}
    tickers = {name for peer in config.peers for name in (peer.ticker, *peer.aliases)}
    of_study = {"event_id": {event.event_id for event in events}, "ticker": tickers}
    named = [of_study[name] for name in keys if name != "date"]
    anyone = any(all(cell in known for cell, known in zip(key, named, strict=True)) for key in cells)
    if not problems and not anyone:
        first = ", ".join(columns[key][0] for key in keys)
        problems.append(
            Problem(f"no row belongs to an event or peer of the study; the first row is for {first}", str(path))
        )
    if problems:
        raise EventsError(problems)
    return CovariatesFile(str(path), keys, tuple(own), {key: sorted(rows.items()) for key, rows in cells.items()})


def _empty(cell: Cell | None) -> bool:
    return cell is None or cell == "" or cell != cell


def _day(text: str) -> str | None:
    try:
        return dt.date.fromisoformat(text.strip()[:10].replace("/", "-")).isoformat()
    except ValueError:
        return None
