"""Size and power of every test on the peers' own returns: pseudo-events where nothing happened."""

from eventstudy.simulate.draws import draw_dates, simulate
from eventstudy.simulate.plan import (
    BROWN_WARNER_TEST,
    DAY0,
    DENSE,
    DESIGNS,
    PAIRS,
    PEERS,
    POWER_DESIGNS,
    Plan,
    parse_windows,
    planted,
)
from eventstudy.simulate.pseudo_events import (
    Pool,
    dense_dates,
    dense_rows,
    draw_fitting,
    draw_pool,
    reaching_back,
    simulated_returns,
    surroundings,
    uneventful,
)
from eventstudy.simulate.rates import Case, Rate, Simulation

__all__ = [
    "BROWN_WARNER_TEST",
    "DAY0",
    "DENSE",
    "DESIGNS",
    "PAIRS",
    "PEERS",
    "POWER_DESIGNS",
    "Case",
    "Plan",
    "Pool",
    "Rate",
    "Simulation",
    "dense_dates",
    "dense_rows",
    "draw_dates",
    "draw_fitting",
    "draw_pool",
    "parse_windows",
    "planted",
    "reaching_back",
    "simulate",
    "simulated_returns",
    "surroundings",
    "uneventful",
]
