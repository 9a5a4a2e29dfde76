"""Errors, one class for each person who must act.

EventStudyError
├── ConfigError        the study TOML or an option is wrong              exit 2
├── EventsError        events.csv is wrong                               exit 2
├── EstimationError    no event could be estimated                       exit 3
├── PriceError         prices are not available or not usable            exit 4
└── IntegrityError     a stored file is not what its manifest says       exit 5

Each error lists all its problems; the command prints one line for each.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, ClassVar, Self

#: Characters that a terminal would interpret: control characters, line breaks, marks of text direction.
_UNPRINTABLE = re.compile("[\\x00-\\x1f\\x7f-\\x9f\\u200e\\u200f\\u2028-\\u202e\\u2066-\\u2069]")


def printable(foreign: object) -> str:
    """Return a text from a file or a server as one line without characters that a terminal would interpret."""
    return _UNPRINTABLE.sub(" ", str(foreign)).strip()


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong: where, what was found, what is accepted, what to do."""

    message: str
    file: str = ""
    line: int | None = None

    def __str__(self) -> str:
        where = self.file if self.line is None else f"{self.file}:{self.line}"
        return printable(f"{where}: {self.message}" if where else self.message)


class Reason:
    """A reason as a code with fields, without words.

    Modules that compute return reasons; `eventstudy.messages.text` makes sentences of them. A field is a text, a
    number or another reason. The empty reason is false.

    Attributes
    ----------
    code : str
        Key of its sentence in the catalogues, such as ``reason.overlaps``; empty if the reason has parts.
    fields : Mapping
        Values that are filled into the sentence.
    parts : tuple of Reason
        The reasons of which this one consists; empty for a single reason.
    separator : str
        Text between the sentences of the parts.

    Examples
    --------
    >>> from eventstudy.errors import Reason
    >>> short = Reason("reason.window_short", n=80)
    >>> both = Reason.join([short, Reason("reason.constant"), Reason("")])
    >>> short.code, short.fields["n"], both.codes, bool(Reason(""))
    ('reason.window_short', 80, ('reason.window_short', 'reason.constant'), False)
    """

    __slots__ = ("code", "fields", "parts", "separator")

    code: str
    fields: Mapping[str, Any]
    parts: tuple[Reason, ...]
    separator: str

    def __init__(self, code: str = "", /, **fields: Any) -> None:
        self.code, self.parts, self.separator = code, (), "; "
        self.fields = MappingProxyType({name: _plain(value) for name, value in fields.items()})

    @classmethod
    def join(cls, parts: Iterable[Reason], separator: str = "; ") -> Self | Reason:
        """Join reasons into one; empty ones are left out, and a single one is returned unchanged."""
        kept = tuple(part for part in parts if part)
        if len(kept) == 1:
            return kept[0]
        joined = cls()
        joined.parts, joined.separator = kept, separator
        return joined

    @property
    def codes(self) -> tuple[str, ...]:
        """Its own code, or those of its parts."""
        return (
            tuple(code for part in self.parts for code in part.codes) if self.parts else (self.code,) * bool(self.code)
        )

    def __bool__(self) -> bool:
        return bool(self.code or self.parts)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Reason) and self._key() == other._key()

    def __hash__(self) -> int:
        return hash(self._key())

    def __repr__(self) -> str:
        fields = "".join(f", {name}={value!r}" for name, value in self.fields.items())
        return f"Reason.join({list(self.parts)!r})" if self.parts else f"Reason({self.code!r}{fields})"

    def __reduce__(self) -> tuple[Any, ...]:
        return _unpickled, self._key()

    def _key(self) -> tuple[Any, ...]:
        return self.code, tuple(sorted(self.fields.items())), self.parts, self.separator


def _unpickled(code: str, fields: tuple[tuple[str, Any], ...], parts: tuple[Reason, ...], separator: str) -> Reason:
    made = Reason(code, **dict(fields))
    made.parts, made.separator = parts, separator
    return made


def _plain(value: Any) -> Any:
    """Return a field as a JSON value: numbers of numpy as Python's, dates as text; a reason stays a reason."""
    value = value.item() if hasattr(value, "item") else value
    return value if isinstance(value, str | int | float | Reason) else str(value)


#: Environment variable: if set, errors of the program itself are not caught. ``--debug`` and the tests set it.
DEBUG = "EVENTSTUDY_DEBUG"


class EventStudyError(Exception):
    """Base of all errors that a user can act on; ``exit_code`` is the command's.

    Examples
    --------
    >>> from eventstudy import EventStudyError, Study
    >>> try:
    ...     Study.from_sector("healthcare", overrides={"windows.minimums": 5, "study.seeds": 1})
    ... except EventStudyError as error:
    ...     print(len(error.problems), error.exit_code)
    2 2
    """

    exit_code = 1
    #: Function that renders a reason in English; `messages`, which has the words, sets it.
    words: ClassVar[Callable[[Reason], str]] = repr

    def __init__(self, problems: str | Reason | Problem | Sequence[Problem]) -> None:
        #: The reason as a code, if there is one; else empty.
        self.reason = problems if isinstance(problems, Reason) else Reason()
        if isinstance(problems, Reason):
            problems = EventStudyError.words(problems)
        if isinstance(problems, str):
            problems = Problem(problems)
        self.problems: tuple[Problem, ...] = (problems,) if isinstance(problems, Problem) else tuple(problems)
        super().__init__("\n".join(str(problem) for problem in self.problems))


class ConfigError(EventStudyError):
    """The study's settings are wrong.

    Examples
    --------
    >>> from eventstudy import ConfigError, Study
    >>> try:
    ...     Study.from_sector("helthcare")
    ... except ConfigError as error:
    ...     print(error)
    sector 'helthcare' is not shipped; accepted: answered_reports, healthcare, optical; did you mean 'healthcare'?
    """

    exit_code = 2


class EventsError(EventStudyError):
    """The events file is wrong.

    Examples
    --------
    >>> import pandas as pd
    >>> from eventstudy import EventsError, Study
    >>> row = {"event_id": "E1", "timestamp": "9 June", "precision": "date", "kind": "report"}
    >>> try:
    ...     Study.from_sector("healthcare").check(pd.DataFrame([row | {"label": "misread"}]))
    ... except EventsError as error:
    ...     print([problem.line for problem in error.problems])
    [2, 2]
    """

    exit_code = 2


class EstimationError(EventStudyError):
    """No event could be used.

    Examples
    --------
    >>> import pandas as pd
    >>> from eventstudy import EstimationError, Study
    >>> row = {"event_id": "E1", "timestamp": "1995-06-09", "precision": "date", "kind": "report"}
    >>> study = Study.from_sector("healthcare")
    >>> try:
    ...     study.run(pd.DataFrame([row | {"label": "unknown"}]), prices="example:healthcare")
    ... except EstimationError as error:
    ...     print(error.exit_code)
    3
    """

    exit_code = 3


class PriceError(EventStudyError):
    """Prices are not available, or cannot be used as they are.

    Examples
    --------
    >>> import pandas as pd
    >>> from eventstudy import PriceError, Study
    >>> study = Study.from_sector("healthcare")
    >>> prices = pd.DataFrame({"JNJ": [-1.0]}, index=["2020-01-02"])
    >>> try:
    ...     study.run(study.events_file, prices=prices)
    ... except PriceError as error:
    ...     print(error.exit_code)
    4
    """

    exit_code = 4


class IntegrityError(EventStudyError):
    """A stored file differs from what was written.

    Examples
    --------
    >>> from eventstudy import IntegrityError
    >>> from eventstudy.errors import Problem
    >>> error = IntegrityError(Problem("its sha256 is not that of the manifest", "AAA.csv"))
    >>> print(error, error.exit_code)
    AAA.csv: its sha256 is not that of the manifest 5
    """

    exit_code = 5


def nearest(word: str, accepted: Iterable[str]) -> str:
    """Return a clause that lists the accepted names and suggests the closest one."""
    options = sorted(accepted)
    close = difflib.get_close_matches(word, options, n=1, cutoff=0.5)
    hint = f"; did you mean {close[0]!r}?" if close else ""
    return f"accepted: {', '.join(options)}{hint}"
