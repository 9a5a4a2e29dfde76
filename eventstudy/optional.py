"""Optional parts of a study: a failure becomes "n/a" with its reason and does not end the run.

Returns, windows, models, tests over dates and the verdict are what a study is; without them there is no
pack. Contrasts, regressions, curves, the backtest, claims and figures stand beside it. `Parts.optional`
makes one of these or, where it cannot be made, what stands in its place, and keeps why.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, TypeVar

from eventstudy.errors import DEBUG, ConfigError, EstimationError, EventsError, EventStudyError, PriceError, Reason
from eventstudy.messages import Message, say, text

Part = TypeVar("Part")
#: Errors that end a run wherever they happen: an input that must be corrected, a machine that is full.
PASSED_ON = (ConfigError, EventsError, OSError, MemoryError)


@dataclass(frozen=True, slots=True)
class Missing:
    """A part that is not there: its name and which one of several, a code for what kind of failure, and the reason."""

    part: str
    of: str
    code: str
    reason: Reason

    def as_dict(self) -> dict[str, Any]:
        """Return the entry of ``not_available`` in summary.json."""
        return {"part": self.part, "of": self.of, "code": self.code, "reason": text(self.reason)}


@dataclass(slots=True)
class Parts:
    """The parts of one study that could not be had, in the order in which they were tried."""

    missing: list[Missing] = field(default_factory=list)

    def optional(self, name: str, make: Callable[[], Part], empty: Callable[[Reason], Part], *, of: str = "") -> Part:
        """Return ``make()``; where it fails, ``empty(reason)``, and keep the reason.

        Parameters
        ----------
        name
            Of the part, a key of ``say.part`` in the catalogues.
        make
            May raise anything. Errors that users act on and of arithmetic are expected; others are
            mistakes of the program, which `DEBUG` lets through.
        empty
            Makes what stands in its place, a row with NaN and the reason for its note, say.
        of
            Which one of several parts of this name.

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
    """Return one sentence for each part that is missing, parts alike once."""
    found = [
        say("missing.program" if row.code == "internal" else "missing.part", part=_named(row), why=row.reason)
        for row in missing
    ]
    return list(dict.fromkeys(found))


def _named(row: Missing) -> Reason:
    part = Reason(f"part.{row.part}")
    return Reason("part.of", part=part, of=row.of) if row.of else part


def code_of(error: Exception) -> str:
    """Return the code of an error: what a reader can do about it differs."""
    if isinstance(error, EstimationError):
        return "not_estimable"
    if isinstance(error, PriceError):
        return "no_prices"
    if isinstance(error, EventStudyError):
        return "not_possible"
    return "numerical" if isinstance(error, (ArithmeticError, ValueError)) else "internal"


def _expected(error: Exception) -> bool:
    # By name: numpy is not imported for it alone.
    return isinstance(error, (EventStudyError, ArithmeticError)) or type(error).__name__ == "LinAlgError"


def _reason(error: Exception) -> Reason:
    if isinstance(error, EventStudyError):
        return Reason("missing.why", text=error.reason or str(error))
    key = "missing.numerical" if code_of(error) == "numerical" else "missing.internal"
    return Reason(key, kind=type(error).__name__, text=str(error))
