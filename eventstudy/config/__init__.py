"""The study's settings: their names, accepted values, and how they are read."""

from __future__ import annotations

from eventstudy.config.load import (
    SECTORS,
    config_from_dict,
    load_config,
    sector_file,
    sector_names,
    sector_prices,
    unknown_keys,
)
from eventstudy.config.settings import (
    IN_MEMORY,
    LABELS,
    Backtest,
    Cost,
    Market,
    Model,
    Peer,
    Prices,
    Report,
    Returns,
    Reversal,
    Study,
    StudyConfig,
    Tests,
    Window,
    Windows,
)

__all__ = [
    "IN_MEMORY",
    "LABELS",
    "SECTORS",
    "Backtest",
    "Cost",
    "Market",
    "Model",
    "Peer",
    "Prices",
    "Report",
    "Returns",
    "Reversal",
    "Study",
    "StudyConfig",
    "Tests",
    "Window",
    "Windows",
    "config_from_dict",
    "load_config",
    "sector_file",
    "sector_names",
    "sector_prices",
    "unknown_keys",
]
