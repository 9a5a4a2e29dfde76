"""Size and power of every test on pseudo-events in the peers' own returns."""

from eventstudy.simulate.draws import simulate
from eventstudy.simulate.plan import DENSE, DESIGNS, PEERS, POWER_DESIGNS, Plan, parse_windows, planted
from eventstudy.simulate.pseudo_events import Pool, dense_rows, draw_fitting, draw_pool, reaching_back
from eventstudy.simulate.rates import Case, Rate, Simulation

__all__ = ["DENSE", "DESIGNS", "PEERS", "POWER_DESIGNS", "Case", "Plan", "Pool", "Rate", "Simulation"]
__all__ += ["dense_rows", "draw_fitting", "draw_pool", "parse_windows", "planted", "reaching_back", "simulate"]
