"""Tests of abnormal returns. Importing this package registers those of its files."""

from eventstudy.core.statistics.dependence import effective_number, mean_correlation, residual_correlations
from eventstudy.core.statistics.sample import (
    STATISTICS,
    Alternative,
    Sample,
    Tails,
    TestResult,
    WindowSample,
    run_tests,
    statistic,
)

STATISTICS.load_all()

__all__ = ["STATISTICS", "Alternative", "Sample", "Tails", "TestResult", "WindowSample", "run_tests", "statistic"]
__all__ += ["effective_number", "mean_correlation", "residual_correlations"]
