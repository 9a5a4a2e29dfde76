"""Backtest of the trading rule that the study implies: point-in-time information and dated costs."""

from eventstudy.backtest.evaluate import RULE
from eventstudy.backtest.outcome import TABLES, rows, summarise
from eventstudy.backtest.trading import Traded, trade_study
from eventstudy.backtest.trials import Trials

__all__ = ["RULE", "TABLES", "Traded", "Trials", "rows", "summarise", "trade_study"]
