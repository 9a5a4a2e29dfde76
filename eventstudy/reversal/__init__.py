"""Do reversals follow misreading-driven drops?"""

from .drops import Drops, drops
from .judge import Judgement, judge
from .labels import chronology, label_timing
from .verdict import Verdict, verdict

__all__ = ["Drops", "Judgement", "Verdict", "chronology", "drops", "judge", "label_timing", "verdict"]
