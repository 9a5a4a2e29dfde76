"""Event studies with reversal tests.

Importing the package imports nothing else: each name below comes on first use.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .api import Checked, Study
    from .config import StudyConfig
    from .errors import ConfigError, EstimationError, EventsError, EventStudyError, IntegrityError, PriceError
    from .events import Events, read_events
    from .expected_returns import MODELS, ExpectedReturns, least_squares, model
    from .inference import STATISTICS, TestResult, WindowSample, statistic
    from .prices import PROVIDERS, PriceOutcome, PriceRequest, PriceSeries, PriceTable, provider
    from .results import StudyResult
    from .windows import EventPanel

__version__ = "0.1.0"

#: Where each public name lives.
_HOMES = {
    "api": ("Checked", "Study"),
    "config": ("StudyConfig",),
    "errors": (
        "ConfigError",
        "EstimationError",
        "EventStudyError",
        "EventsError",
        "IntegrityError",
        "PriceError",
    ),
    "events": ("Events", "read_events"),
    "expected_returns": ("ExpectedReturns", "MODELS", "least_squares", "model"),
    "inference": ("STATISTICS", "TestResult", "WindowSample", "statistic"),
    "prices": (
        "PROVIDERS",
        "PriceOutcome",
        "PriceRequest",
        "PriceSeries",
        "PriceTable",
        "provider",
    ),
    "results": ("StudyResult",),
    "windows": ("EventPanel",),
}
_HOME = {name: module for module, names in _HOMES.items() for name in names}

__all__ = [
    "MODELS",
    "PROVIDERS",
    "STATISTICS",
    "Checked",
    "ConfigError",
    "EstimationError",
    "EventPanel",
    "EventStudyError",
    "Events",
    "EventsError",
    "ExpectedReturns",
    "IntegrityError",
    "PriceError",
    "PriceOutcome",
    "PriceRequest",
    "PriceSeries",
    "PriceTable",
    "Study",
    "StudyConfig",
    "StudyResult",
    "TestResult",
    "WindowSample",
    "__version__",
    "least_squares",
    "model",
    "provider",
    "read_events",
    "statistic",
]


def __getattr__(name: str) -> object:
    if name not in _HOME:
        raise AttributeError(f"module 'eventstudy' has no attribute {name!r}; it has {', '.join(__all__)}")
    return getattr(importlib.import_module(f"{__name__}.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return __all__
