"""Checks of single prices: impossible values, closes outside the range of their day."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from eventstudy.errors import Reason
from eventstudy.prices.quality.moves import JUMP
from eventstudy.prices.quality.quantities import no_price, no_return
from eventstudy.prices.quality.subject import QualityFinding, Severity, Subject
from eventstudy.prices.table import PriceSeries

#: Tolerance for a close outside low..high, and smallest number of days that is reported.
OUTSIDE, OUTSIDE_DAYS = 0.005, 3


def not_positive(subject: Subject) -> Iterator[QualityFinding]:
    """Yield the first price that is zero or negative."""
    for name in ("adj_close", "close"):
        values = getattr(subject.item, name)
        rows = np.flatnonzero(no_price(values))
        if len(rows):
            day, value = str(subject.item.dates[rows[0]]), float(values[rows[0]])
            text = Reason("quality.not_positive", name=name, value=value, n=len(rows))
            yield QualityFinding(subject.item.ticker, "not_positive", day, value, "stop", text)


def adjusted_missing(subject: Subject) -> Iterator[QualityFinding]:
    """Yield the number of days with a close but no adjusted close; more than a tenth stops the run."""
    lacking = np.isfinite(subject.item.close) & ~np.isfinite(subject.item.adj_close)
    count, total = int(lacking.sum()), int(np.isfinite(subject.item.close).sum())
    if count:
        day = str(subject.item.dates[lacking][0])
        text = Reason("quality.adjusted_missing", n=count, total=total)
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
    cause = Reason("quality.half_adjusted" if one_sided else "quality.mixed_up")
    text = Reason(
        "quality.outside_range",
        n=len(rows),
        first=subject.days[rows[0]],
        last=subject.days[rows[-1]],
        worst=size[worst],
        cause=cause,
    )
    severity: Severity = "stop" if len(rows) >= OUTSIDE_DAYS else "warn"
    yield subject.finding("close_outside_range", worst, size[worst], severity, text)


def impossible(subject: Subject) -> Iterator[QualityFinding]:
    """Yield an impossible return."""
    rows = np.flatnonzero(no_return(subject.log_return, "log"))
    if len(rows):
        yield subject.finding("impossible", rows[0], subject.log_return[rows[0]], "stop", Reason("market.impossible"))


def opens_outside(item: PriceSeries) -> NDArray[np.bool_]:
    """Mark opens that are invalid or outside the day's range.

    If the source has no high or low, an open is wrong if it differs by more than a large move from its close and from
    the close before.
    """
    tops, floors = (np.where(np.isfinite(side), side, item.close) for side in (item.high, item.low))
    ranged = np.isfinite(item.high) & np.isfinite(item.low) & (item.high >= item.low)
    before = np.append(np.nan, item.close[:-1])
    with np.errstate(divide="ignore", invalid="ignore"):
        out = (item.open > tops * (1 + OUTSIDE)) | (item.open < floors * (1 - OUTSIDE))
        far = [np.abs(np.log(item.open / close)) > JUMP for close in (item.close, before)]
        marked: NDArray[np.bool_] = no_price(item.open) | np.where(ranged, out, far[0] & far[1])
    return marked


def open_outside_range(subject: Subject) -> Iterator[QualityFinding]:
    """Yield impossible opens; no order is filled at them."""
    item = subject.item
    rows = np.flatnonzero(opens_outside(item) & ~(item.volume == 0))
    if len(rows):
        size = np.abs(item.open[rows] / item.close[rows] - 1.0)
        worst = rows[np.nan_to_num(size, nan=-1.0).argmax()]
        value = float(item.open[worst] / item.close[worst] - 1.0)
        text = Reason("quality.open_outside", n=len(rows), worst=value)
        yield QualityFinding(item.ticker, "open_outside_range", str(item.dates[worst]), value, "warn", text)


def without_wrong_opens(item: PriceSeries) -> PriceSeries:
    """Return a series without the opens found by `open_outside_range`."""
    return replace(item, open=np.where(opens_outside(item), np.nan, item.open))
