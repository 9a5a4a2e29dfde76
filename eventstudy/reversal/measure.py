"""One number on one kind of drops: a row of the table of measures; and the mean over dates as such a row."""

from __future__ import annotations

from dataclasses import dataclass

from eventstudy.core.arrays import Floats
from eventstudy.core.statistics.dates import student, t_interval
from eventstudy.core.statistics.sample import two_sided
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


def mean_measure(name: str, group: str, values: Floats, *, note: Reason | None = None) -> Measure:
    """Mean over dates with its 95 % t interval and two-sided p."""
    k = len(values)
    low, high = t_interval(values)
    mean, p = float(values.mean()) if k else NAN, two_sided(student(values), "t", k - 1.0) if k > 1 else NAN
    note = note or Reason("note.one_date" if k == 1 else "")
    return Measure(measure=name, group=group, estimate=mean, lower=low, upper=high, p_value=p, n_dates=k, note=note)
