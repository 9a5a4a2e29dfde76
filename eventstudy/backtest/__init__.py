"""The rule that the study implies, traded with what was known at the time, and what it cost."""

from eventstudy.backtest.costs import CostTable, cost_table
from eventstudy.backtest.evaluate import EVERY_DROP, PLACEBO, RULE, Evaluation, cost_curve, evaluate
from eventstudy.backtest.execution import Legs, Trade
from eventstudy.backtest.outcome import summarise
from eventstudy.backtest.past_view import LookAheadError, PastView, Tape
from eventstudy.backtest.portfolio import Daily, Run, daily, run
from eventstudy.backtest.rule import Answer, Decision, Order, Rule, Shock, decide, rule_of
from eventstudy.backtest.tapes import placebo_shocks, shocks_of, tapes_of
from eventstudy.backtest.track_record import Record
from eventstudy.backtest.trade_tables import TABLES, rows
from eventstudy.backtest.trading import Traded, trade_study
from eventstudy.backtest.trials import TrialCount, Trials

__all__ = [
    "EVERY_DROP",
    "PLACEBO",
    "RULE",
    "TABLES",
    "Answer",
    "CostTable",
    "Daily",
    "Decision",
    "Evaluation",
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
