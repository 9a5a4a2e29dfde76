"""Errors, one class for each person who must act.

EventStudyError
├── ConfigError        the study TOML or an option is wrong              exit 2
├── EventsError        events.csv is wrong                               exit 2
├── EstimationError    no event could be estimated                       exit 3
├── PriceError         prices could not be had                           exit 4
└── IntegrityError     a stored file is not what its manifest says       exit 5

Each carries all its problems at once; the command prints one line a problem.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong: where, what was found, what is accepted, what to do."""

    message: str
    file: str = ""
    line: int | None = None

    def __str__(self) -> str:
        where = self.file if self.line is None else f"{self.file}:{self.line}"
        return f"{where}: {self.message}" if where else self.message


#: Set in the environment it lets errors of the program itself through; ``--debug`` and the tests set it.
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

    def __init__(self, problems: str | Problem | Sequence[Problem]) -> None:
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
    sector 'helthcare' is not shipped; accepted: healthcare, optical; did you mean 'healthcare'?
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
    """Prices could not be had, or cannot be used as they are.

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
    """A stored file is not what was written.

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
    """Sentence part that lists what is accepted and names the closest match."""
    options = sorted(accepted)
    close = difflib.get_close_matches(word, options, n=1, cutoff=0.5)
    hint = f"; did you mean {close[0]!r}?" if close else ""
    return f"accepted: {', '.join(options)}{hint}"
