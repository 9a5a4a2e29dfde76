"""Do reversals follow misreading-driven drops?"""

from .confounders import read_confounders
from .drops import Drops, drops
from .findings import Findings, findings, reversal_summary, tables
from .judge import Judgement, judge
from .labels import chronology, label_timing
from .verdict import Verdict, verdict

__all__ = [
    "Drops",
    "Findings",
    "Judgement",
    "Verdict",
    "chronology",
    "drops",
    "findings",
    "judge",
    "label_timing",
    "read_confounders",
    "reversal_summary",
    "tables",
    "verdict",
]
