"""Studies of any number of firm-events on a wide panel: linear models and the tests, from sums."""

from eventstudy.large.battery import AT_ANY_SIZE, AverageReturns, average_returns, run_battery
from eventstudy.large.days import DaySums, reduce_events, session_correlation
from eventstudy.large.fit import fit_events
from eventstudy.large.panel import FirmEvents, Layout, MarketFit, WidePanel

__all__ = [
    "AT_ANY_SIZE",
    "AverageReturns",
    "DaySums",
    "FirmEvents",
    "Layout",
    "MarketFit",
    "WidePanel",
    "average_returns",
    "fit_events",
    "reduce_events",
    "run_battery",
    "session_correlation",
]
