"""The rule that the study implies, traded with what was known at the time, and what it cost."""

from eventstudy.backtest.evaluate import RULE
from eventstudy.backtest.outcome import summarise
from eventstudy.backtest.trade_tables import TABLES, rows
from eventstudy.backtest.trading import Traded, trade_study
from eventstudy.backtest.trials import Trials

__all__ = ["RULE", "TABLES", "Traded", "Trials", "rows", "summarise", "trade_study"]
