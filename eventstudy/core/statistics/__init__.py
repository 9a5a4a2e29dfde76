"""Tests of abnormal returns. Importing this package registers all statistics."""

from eventstudy.core.statistics import bootstrap as resampling
from eventstudy.core.statistics import calendar_time, cross_section, dates, firm, rank_tests, signs
from eventstudy.core.statistics.dependence import effective_number, mean_correlation, residual_correlations
from eventstudy.core.statistics.sample import (
    STATISTICS,
    DayFigures,
    Sample,
    TestResult,
    WindowSample,
    run_tests,
    statistic,
)

__all__ = [
    "STATISTICS",
    "DayFigures",
    "Sample",
    "TestResult",
    "WindowSample",
    "calendar_time",
    "cross_section",
    "dates",
    "effective_number",
    "firm",
    "mean_correlation",
    "rank_tests",
    "resampling",
    "residual_correlations",
    "run_tests",
    "signs",
    "statistic",
]
