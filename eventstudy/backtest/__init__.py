"""The rule that the study implies, traded with what was known at the time, and what it cost."""

from .book import Daily, Run, daily, run
from .costs import FEES, CostTable, Fee, cost_table
from .evaluate import EVERY_DROP, PLACEBO, RULE, Evaluation, Record, cost_curve, evaluate
from .execution import Legs, Trade
from .inputs import placebo_shocks, shocks_of, tapes_of
from .rule import Answer, Decision, Order, Rule, Shock, decide, rule_of
from .trading import Traded, rows, summarise, trade_study
from .trials import TrialCount, Trials
from .view import LookAheadError, PastView, Tape

__all__ = [
    "EVERY_DROP",
    "FEES",
    "PLACEBO",
    "RULE",
    "Answer",
    "CostTable",
    "Daily",
    "Decision",
    "Evaluation",
    "Fee",
    "Legs",
    "LookAheadError",
    "Order",
    "PastView",
    "Record",
    "Rule",
    "Run",
    "Shock",
    "Tape",
    "Trade",
    "Traded",
    "TrialCount",
    "Trials",
    "cost_curve",
    "cost_table",
    "daily",
    "decide",
    "evaluate",
    "placebo_shocks",
    "rows",
    "rule_of",
    "run",
    "shocks_of",
    "summarise",
    "tapes_of",
    "trade_study",
]
