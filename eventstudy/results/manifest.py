"""The manifest of a run: its inputs, settings, versions and id."""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import platform
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from eventstudy import __version__
from eventstudy.config import StudyConfig
from eventstudy.config.json_values import plain_json
from eventstudy.core.models.garch import compiled_fit
from eventstudy.events import Events
from eventstudy.exchanges.exchange import further_files
from eventstudy.prices import PriceTable
from eventstudy.results.columns import row_of

VERSIONED = ("arch", "exchange_calendars", "matplotlib", "numpy", "pandas", "scipy", "statsmodels", "typst", "yfinance")


def build_manifest(events: Events, config: StudyConfig, prices: PriceTable) -> dict[str, Any]:
    """Return the origin of a run: settings, hashes of inputs, price source, versions."""
    inputs = [(Path(events.path).name, events.sha256)]
    inputs += [(name, series.sha256) for name, series in sorted(prices.series.items())]
    inputs += [(rate.ticker, rate.sha256) for _, rate in sorted(prices.fx.items())]
    if prices.factors is not None:
        inputs.append((Path(prices.factors.source).name, prices.factors.sha256))
    told = {
        "source": prices.source,
        "simulated": prices.simulated,
        "data_date": prices.last_date,
        "outcomes": {name: row_of(outcome) for name, outcome in sorted(prices.outcomes.items())},
        "truth": prices.truth,
        "origin": prices.origin,
    }
    return manifest_of(config, inputs, told)


def manifest_of(
    config: StudyConfig, inputs: Sequence[tuple[str, str]], prices: Mapping[str, Any], versioned: Sequence[str] = ()
) -> dict[str, Any]:
    """Return a manifest with the inputs by name and sha256, events first, and the facts on the prices.

    ``versioned`` are packages whose versions are recorded in addition to `VERSIONED`.
    """
    settings, files = config.as_dict(), [{"name": name, "sha256": sha256} for name, sha256 in further_files()]
    # Workers do not change results, so they are left out.
    for name in ("jobs", "engine", "scheduler"):
        del settings["model"][name]
    # The optima of the compiled fit differ from those of `arch` in the last digits.
    compiled = ("numba",) if config.model.name == "garch" and compiled_fit() is not None else ()
    used = (*VERSIONED, *versioned, *compiled)
    content: dict[str, Any] = plain_json(
        {
            "version": __version__,
            "seed": config.study.seed,
            "settings": settings,
            "inputs": [{"name": name, "sha256": sha256} for name, sha256 in inputs],
            "prices": prices,
            # Files of exchanges that the user has added.
            **({"exchanges": files} if files else {}),
            "versions": {"python": platform.python_version(), **{n: importlib.metadata.version(n) for n in used}},
        }
    )
    return content


def run_id_of(config: StudyConfig, manifest: Mapping[str, Any]) -> str:
    """Name of the run: the sector, the newest price, and a digest of inputs and settings."""
    digest = hashlib.sha256(json.dumps(manifest, sort_keys=True).encode()).hexdigest()[:8]
    sector = config.study.sector or "study"
    prices = manifest["prices"]
    marked = "simulated-" if prices["simulated"] else ""
    return f"{sector}-{marked}{prices['data_date'].replace('-', '')}-{digest}"
