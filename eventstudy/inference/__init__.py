"""Tests of abnormal returns. Importing this package registers all statistics."""

from . import cross_section, dates, firm
from .dependence import effective_number, mean_correlation, residual_correlations
from .sample import STATISTICS, Sample, TestResult, WindowSample, run_tests, statistic

__all__ = [
    "STATISTICS",
    "Sample",
    "TestResult",
    "WindowSample",
    "cross_section",
    "dates",
    "effective_number",
    "firm",
    "mean_correlation",
    "residual_correlations",
    "run_tests",
    "statistic",
]
