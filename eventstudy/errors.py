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
    """Base of all errors that a user can act on."""

    exit_code = 1

    def __init__(self, problems: str | Problem | Sequence[Problem]) -> None:
        if isinstance(problems, str):
            problems = Problem(problems)
        self.problems: tuple[Problem, ...] = (problems,) if isinstance(problems, Problem) else tuple(problems)
        super().__init__("\n".join(str(problem) for problem in self.problems))


class ConfigError(EventStudyError):
    """The study's settings are wrong."""

    exit_code = 2


class EventsError(EventStudyError):
    """The events file is wrong."""

    exit_code = 2


class EstimationError(EventStudyError):
    """No event could be used."""

    exit_code = 3


class PriceError(EventStudyError):
    """Prices could not be had, or cannot be used as they are."""

    exit_code = 4


class IntegrityError(EventStudyError):
    """A stored file is not what was written."""

    exit_code = 5


def nearest(word: str, accepted: Iterable[str]) -> str:
    """Sentence part that lists what is accepted and names the closest match."""
    options = sorted(accepted)
    close = difflib.get_close_matches(word, options, n=1, cutoff=0.5)
    hint = f"; did you mean {close[0]!r}?" if close else ""
    return f"accepted: {', '.join(options)}{hint}"
