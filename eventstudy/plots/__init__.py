"""Figures of a study.

Each drawing function draws what the tables hold on one axes and returns it; the axes keep decimal
returns and only their tick labels are percent. `plots_of` lists the figures of a result, `draw`
makes one with its frame, caption and, for simulated prices, its watermark.
"""

from . import backtest, dots, paths, placebos, specifications
from .accessor import Plots
from .backtest import cost_sensitivity, equity_curve, trade_dots
from .dots import shock_dots
from .draw import caption, draw, save, setting_parts, svg_text, without_words
from .fonts import cjk_font, figure_words, font_folders, forget_fonts, latin_fonts, shown
from .paths import caar_by_label, caar_other_labels, event_bars, reversal_paths, shock_path
from .placebos import placebo_balance, placebo_dots
from .registry import KINDS, Frame, Kind, Plot, plots_of, register
from .rows import peer_label, placebo_rank, shock_title, used_shocks
from .specifications import specification_curve
from .style import LABEL_COLOURS, REGION_COLOURS, window_text

__all__ = [
    "KINDS",
    "LABEL_COLOURS",
    "REGION_COLOURS",
    "Frame",
    "Kind",
    "Plot",
    "Plots",
    "backtest",
    "caar_by_label",
    "caar_other_labels",
    "caption",
    "cjk_font",
    "cost_sensitivity",
    "dots",
    "draw",
    "equity_curve",
    "event_bars",
    "figure_words",
    "font_folders",
    "forget_fonts",
    "latin_fonts",
    "paths",
    "peer_label",
    "placebo_balance",
    "placebo_dots",
    "placebo_rank",
    "placebos",
    "plots_of",
    "register",
    "reversal_paths",
    "save",
    "setting_parts",
    "shock_dots",
    "shock_path",
    "shock_title",
    "shown",
    "specification_curve",
    "specifications",
    "svg_text",
    "trade_dots",
    "used_shocks",
    "window_text",
    "without_words",
]
