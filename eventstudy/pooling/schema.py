"""JSON Schema of a pool's summary.json, made from the records that it is written from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from eventstudy.config.schema import DIALECT, schema_of
from eventstudy.pooling.pool import POOL_EFFECTS, PoolTest
from eventstudy.results.summary_schema import verdict_schema


@dataclass(frozen=True, slots=True)
class Input:
    """A pack that was pooled."""

    run_id: str
    sector: str
    manifest_sha256: str


@dataclass(frozen=True, slots=True)
class Power:
    """Smallest detectable effect with these sectors."""

    group: str
    sectors: str
    n_dates: int
    sd: float
    mde: float


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolSummary:
    """Results of a pool of packs, for programs. Returns are decimals; a missing number is null."""

    version: str
    simulated: bool
    inputs: tuple[Input, ...]
    sectors: tuple[str, ...]
    labels: Mapping[str, str]
    tests: tuple[PoolTest, ...]
    shown_group: str
    left_out: Mapping[str, tuple[str, ...]]
    more_data: str
    mixed: str
    notes: tuple[str, ...]
    outputs: Mapping[str, str]


def pool_schema() -> dict[str, Any]:
    """Return the JSON Schema of the summary.json that `eventstudy pool` writes."""
    summary, power = schema_of(PoolSummary, written=True), schema_of(Power, written=True)
    dates = {f"dates_for_{effect:.0%}": schema_of(int | None, written=True) for effect in POOL_EFFECTS}
    power = {**power, "properties": {**power["properties"], **dates}, "required": [*power["required"], *dates]}
    verdict = verdict_schema()
    own = {
        "verdict": verdict,
        "verdicts": {"type": "object", "additionalProperties": verdict},
        "power": {"type": "array", "items": power},
    }
    properties = {**summary["properties"], **own}
    title = "summary.json of a pool of eventstudy"
    required = [name for name in properties if name != "outputs"]
    return {"$schema": DIALECT, "title": title, **summary, "properties": properties, "required": required}
