"""Studies of any number of firm-events on a wide panel: linear models and the tests, from sums."""

from eventstudy.large.battery import AT_ANY_SIZE, AverageReturns, average_returns, run_battery, window_sample
from eventstudy.large.days import (
    DaySums,
    date_blocks,
    day_sums,
    reach,
    reduce_events,
    scar_spread,
    session_correlation,
    total,
)
from eventstudy.large.fit import abnormal_returns, fit_events
from eventstudy.large.panel import FirmEvents, Layout, MarketFit, WidePanel, join_fits

__all__ = [
    "AT_ANY_SIZE",
    "AverageReturns",
    "DaySums",
    "FirmEvents",
    "Layout",
    "MarketFit",
    "WidePanel",
    "abnormal_returns",
    "average_returns",
    "date_blocks",
    "day_sums",
    "fit_events",
    "join_fits",
    "reach",
    "reduce_events",
    "run_battery",
    "scar_spread",
    "session_correlation",
    "total",
    "window_sample",
]
