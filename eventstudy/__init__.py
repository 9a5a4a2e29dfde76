"""Event studies with reversal tests.

Importing the package imports no other module: each name below is loaded on first use.
"""

TYPE_CHECKING = False  # Type checkers read it as true; `typing` takes a third of the time of a bare Python.
if TYPE_CHECKING:
    from eventstudy.api import Checked, Study, car
    from eventstudy.config import StudyConfig
    from eventstudy.core.models import MODELS, ExpectedReturns, least_squares, model
    from eventstudy.core.statistics import STATISTICS, TestResult, WindowSample, statistic
    from eventstudy.core.windows import EventPanel
    from eventstudy.errors import ConfigError, EstimationError, EventsError, EventStudyError, IntegrityError, PriceError
    from eventstudy.events import Events, read_events
    from eventstudy.prices import PROVIDERS, PriceOutcome, PriceRequest, PriceSeries, PriceTable, provider
    from eventstudy.results.result import StudyResult

__version__ = "0.2.0"

#: Where each public name lives.
_HOMES = {
    "api": ("Checked", "Study", "car"),
    "config": ("StudyConfig",),
    "errors": ("ConfigError", "EstimationError", "EventStudyError", "EventsError", "IntegrityError", "PriceError"),
    "events": ("Events", "read_events"),
    "core.models": ("ExpectedReturns", "MODELS", "least_squares", "model"),
    "core.statistics": ("STATISTICS", "TestResult", "WindowSample", "statistic"),
    "prices": ("PROVIDERS", "PriceOutcome", "PriceRequest", "PriceSeries", "PriceTable", "provider"),
    "results.result": ("StudyResult",),
    "core.windows": ("EventPanel",),
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
    "car",
    "least_squares",
    "model",
    "provider",
    "read_events",
    "statistic",
]


def __getattr__(name: str) -> object:
    if name not in _HOME:
        raise AttributeError(f"module 'eventstudy' has no attribute {name!r}; it has {', '.join(__all__)}")
    from importlib import import_module

    return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return __all__
