"""One number on one kind of drops: a row of the table of measures."""

from __future__ import annotations

from dataclasses import dataclass

from eventstudy.errors import Reason

NAN = float("nan")
NO_NOTE = Reason()


@dataclass(frozen=True, slots=True, kw_only=True)
class Measure:
    """One number on one kind of drops; NaN where it is not defined, ``note`` says why."""

    measure: str
    group: str
    estimate: float = NAN
    lower: float = NAN
    upper: float = NAN
    p_value: float = NAN
    n_dates: int = 0
    note: Reason = NO_NOTE
