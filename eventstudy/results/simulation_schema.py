"""JSON Schema of the simulation.json that `eventstudy simulate` writes, made from the records behind it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from eventstudy.config import StudyConfig
from eventstudy.config.schema import DIALECT, schema_of
from eventstudy.prices import PriceOutcome
from eventstudy.results.summary_schema import Day, WindowName
from eventstudy.simulate.plan import Plan
from eventstudy.simulate.verdict_rates import VerdictPlan


@dataclass(frozen=True, slots=True)
class InputFile:
    """A file or series that was read, and the SHA-256 of its content."""

    name: str
    sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PricesRead:
    """Where the prices came from, by ticker; ``truth`` is what simulated prices were made of."""

    source: str
    simulated: bool
    data_date: Day
    outcomes: Mapping[str, PriceOutcome]
    truth: Mapping[str, Any]
    origin: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Simulated:
    """Inputs, settings and versions of a simulation, what it found, and the SHA-256 of its other files."""

    version: str
    seed: int
    settings: StudyConfig
    inputs: tuple[InputFile, ...]
    prices: PricesRead
    exchanges: tuple[InputFile, ...] = ()
    versions: Mapping[str, str]
    conclusions: tuple[str, ...]
    outputs: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawn:
    """What a simulation of the tests drew from: peers, candidate sessions, sessions between the study's dates."""

    designs: Mapping[str, str]
    region: str
    benchmark: str
    tickers: tuple[str, ...]
    candidate_sessions: int
    first_candidate: Day
    last_candidate: Day
    gaps: tuple[int, ...]
    planted: Mapping[WindowName, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Falls:
    """What a simulation of the verdict drew from.

    ``sets`` are the study's peer sets that share no security; ``asked`` counts its own dates by stratum.
    """

    sets: tuple[str, ...]
    n_falls: int
    n_drops: int
    n_sessions: int
    asked: Mapping[str, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class OfTests(Simulated):
    """A simulation of the tests: its plan with what it drew from, and the peers' mean correlation and deviation."""

    simulation: Drawn
    rbar: float
    sigma: float


@dataclass(frozen=True, slots=True, kw_only=True)
class OfVerdict(Simulated):
    """A simulation of the verdict: its plan, and the falls that it drew from."""

    simulation: VerdictPlan
    falls: Falls


def simulation_schema() -> dict[str, Any]:
    """Return the JSON Schema of the simulation.json of the tests, or, with ``--verdict``, of the verdict."""
    of_tests, of_verdict, plan = (schema_of(kind, written=True) for kind in (OfTests, OfVerdict, Plan))
    drawn = of_tests["properties"]["simulation"]
    # The fields of the plan stand beside what was drawn; the designs have their descriptions there.
    drawn["properties"] = {**plan["properties"], **drawn["properties"]}
    for simulation in (drawn, of_verdict["properties"]["simulation"]):
        simulation["required"] = list(simulation["properties"])
    return {"$schema": DIALECT, "title": "simulation.json of eventstudy", "anyOf": [of_tests, of_verdict]}
