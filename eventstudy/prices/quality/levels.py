"""Checks of single prices: no price at all, or closes that do not belong to the bars they stand in."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from eventstudy.messages import say
from eventstudy.prices.quality.subject import QualityFinding, Severity, Subject

#: A close outside low..high by less than this is rounding; on fewer days than that a slip.
OUTSIDE, OUTSIDE_DAYS = 0.005, 3


def not_positive(subject: Subject) -> Iterator[QualityFinding]:
    """Yield the first price that is zero or negative."""
    for name in ("adj_close", "close"):
        values = getattr(subject.item, name)
        rows = np.flatnonzero(values <= 0)
        if len(rows):
            day, value = str(subject.item.dates[rows[0]]), float(values[rows[0]])
            text = say("quality.not_positive", name=name, value=value, n=len(rows))
            yield QualityFinding(subject.item.ticker, "not_positive", day, value, "stop", text)


def adjusted_missing(subject: Subject) -> Iterator[QualityFinding]:
    """Yield how many days have a close but no adjusted close; more than a tenth stops."""
    lacking = np.isfinite(subject.item.close) & ~np.isfinite(subject.item.adj_close)
    count, total = int(lacking.sum()), int(np.isfinite(subject.item.close).sum())
    if count:
        day = str(subject.item.dates[lacking][0])
        text = say("quality.adjusted_missing", n=count, total=total)
        severity: Severity = "stop" if count > 0.1 * total else "warn"
        yield QualityFinding(subject.item.ticker, "adjusted_missing", day, count, severity, text)


def close_outside_range(subject: Subject) -> Iterator[QualityFinding]:
    """Yield closes outside the day's low and high: prices adjusted in different ways."""
    low, high = subject.close / subject.low - 1.0, subject.close / subject.high - 1.0
    below, above = low < -OUTSIDE, high > OUTSIDE
    rows = np.flatnonzero(below | above)
    if not len(rows):
        return
    size = np.where(below, low, high)
    worst = rows[np.abs(size[rows]).argmax()]
    one_sided = below[rows].all() or above[rows].all()
    cause = say("quality.half_adjusted" if one_sided else "quality.mixed_up")
    text = say(
        "quality.outside_range",
        n=len(rows),
        first=subject.days[rows[0]],
        last=subject.days[rows[-1]],
        worst=size[worst],
        cause=cause,
    )
    severity: Severity = "stop" if len(rows) >= OUTSIDE_DAYS else "warn"
    yield subject.finding("close_outside_range", worst, size[worst], severity, text)
