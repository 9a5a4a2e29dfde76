"""Test whether drops reversed, compared with control drops."""

from eventstudy.reversal.contrasts import read_confounders
from eventstudy.reversal.findings import Findings, findings, reversal_summary, tables
from eventstudy.reversal.labels import asks_reversal, chronology, counted_markets, label_timing
from eventstudy.reversal.question import Shocks, study_shocks

__all__ = [
    "Findings",
    "Shocks",
    "asks_reversal",
    "chronology",
    "counted_markets",
    "findings",
    "label_timing",
    "read_confounders",
    "reversal_summary",
    "study_shocks",
    "tables",
]
