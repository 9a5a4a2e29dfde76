"""Tests of abnormal returns. Importing this package registers all statistics."""

from . import calendar_time, cross_section, dates, firm, rank_tests, resampling, signs
from .dependence import effective_number, mean_correlation, residual_correlations
from .sample import STATISTICS, DayFigures, Sample, TestResult, WindowSample, run_tests, statistic

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
