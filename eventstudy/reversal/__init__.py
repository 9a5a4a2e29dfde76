"""Do reversals follow misreading-driven drops?"""

from eventstudy.reversal.confounders import read_confounders
from eventstudy.reversal.drops import Drops, drops
from eventstudy.reversal.findings import Findings, findings, reversal_summary, tables
from eventstudy.reversal.labels import asks_reversal, chronology, counted_markets, label_timing
from eventstudy.reversal.study_shocks import Shocks, study_shocks
from eventstudy.reversal.verdict import Verdict, verdict

__all__ = [
    "Drops",
    "Findings",
    "Shocks",
    "Verdict",
    "asks_reversal",
    "chronology",
    "counted_markets",
    "drops",
    "findings",
    "label_timing",
    "read_confounders",
    "reversal_summary",
    "study_shocks",
    "tables",
    "verdict",
]
