"""Optional parts of a study: a failure becomes "n/a" with its reason and does not end the run.

Returns, windows, models, tests over dates and the verdict are required; without them there is no pack. Differences
between labels, regressions, curves, the backtest, claims and figures are optional. `Parts.optional` computes one of
these; if that fails, it returns a substitute and records the reason.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, TypeVar

from eventstudy.errors import DEBUG, ConfigError, EstimationError, EventsError, EventStudyError, PriceError, Reason
from eventstudy.messages import Message, say, text

Part = TypeVar("Part")
#: Errors that always end a run: an input must be corrected, or disk or memory is full.
PASSED_ON = (ConfigError, EventsError, OSError, MemoryError)


@dataclass(frozen=True, slots=True)
class Missing:
    """A part that is missing: its name, which one of several, the code of the failure, and the reason."""

    part: str
    of: str
    code: str
    reason: Reason

    def as_dict(self) -> dict[str, Any]:
        """Return the entry of ``not_available`` in summary.json."""
        return {"part": self.part, "of": self.of, "code": self.code, "reason": text(self.reason)}


@dataclass(slots=True)
class Parts:
    """The parts of one study that could not be computed, in the order in which they were tried."""

    missing: list[Missing] = field(default_factory=list)

    def optional(self, name: str, make: Callable[[], Part], empty: Callable[[Reason], Part], *, of: str = "") -> Part:
        """Return ``make()``; if it fails, record the reason and return ``empty(reason)``.

        Parameters
        ----------
        name
            Name of the part, a key of ``say.part`` in the catalogues.
        make
            May raise any error. Errors that users can correct and arithmetic errors are expected; others are errors of
            the program, which are raised if `DEBUG` is set.
        empty
            Makes the substitute, for example a row with NaN and the reason as its note.
        of
            Which one of several parts with this name.

        Raises
        ------
        ConfigError, EventsError, OSError, MemoryError
            As ``make`` raised it.
        """
        try:
            return make()
        except PASSED_ON:
            raise
        except Exception as error:
            if os.environ.get(DEBUG) and not _expected(error):
                raise
            lost = Missing(name, of, code_of(error), _reason(error))
            self.missing.append(lost)
            return empty(lost.reason)

    def warnings(self) -> list[Message]:
        """Return one sentence for each part that is missing."""
        return warnings_of(self.missing)


def warnings_of(missing: Iterable[Missing]) -> list[Message]:
    """Return one sentence for each missing part; equal sentences only once."""
    found = [
        say("missing.program" if row.code == "internal" else "missing.part", part=_named(row), why=row.reason)
        for row in missing
    ]
    return list(dict.fromkeys(found))


def _named(row: Missing) -> Reason:
    part = Reason(f"part.{row.part}")
    return Reason("part.of", part=part, of=row.of) if row.of else part


def code_of(error: Exception) -> str:
    """Return the code of an error, by what a reader can do about it."""
    if isinstance(error, EstimationError):
        return "not_estimable"
    if isinstance(error, PriceError):
        return "no_prices"
    if isinstance(error, EventStudyError):
        return "not_possible"
    return "numerical" if isinstance(error, (ArithmeticError, ValueError)) else "internal"


def _expected(error: Exception) -> bool:
    # Compared by name, so that numpy need not be imported here.
    return isinstance(error, (EventStudyError, ArithmeticError)) or type(error).__name__ == "LinAlgError"


def _reason(error: Exception) -> Reason:
    if isinstance(error, EventStudyError):
        return Reason("missing.why", text=error.reason or str(error))
    key = "missing.numerical" if code_of(error) == "numerical" else "missing.internal"
    return Reason(key, kind=type(error).__name__, text=str(error))
