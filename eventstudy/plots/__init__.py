"""Figures of a study.

Each drawing function draws what the tables hold on one axes and returns it; the axes keep decimal
returns and only their tick labels are percent. `plots_of` lists the figures of a result, `draw`
makes one with its frame, caption and, for simulated prices, its watermark.
"""

from eventstudy.plots.accessor import Plots
from eventstudy.plots.cost_sensitivity import cost_sensitivity
from eventstudy.plots.dots import shock_dots
from eventstudy.plots.draw import caption, draw, save, setting_parts, svg_text, without_words
from eventstudy.plots.equity_curve import equity_curve
from eventstudy.plots.fonts import cjk_font, figure_words, font_folders, forget_fonts, latin_fonts, shown
from eventstudy.plots.frames import peer_label, placebo_rank, shock_title, used_shocks
from eventstudy.plots.kinds import KINDS, Frame, Kind, Plot, plots_of, register
from eventstudy.plots.paths import caar_by_label, caar_other_labels, event_bars, reversal_paths, shock_path
from eventstudy.plots.placebo_balance import placebo_balance
from eventstudy.plots.placebo_dots import placebo_dots
from eventstudy.plots.specification_curve import specification_curve
from eventstudy.plots.style import LABEL_COLOURS, REGION_COLOURS, window_text
from eventstudy.plots.trade_dots import trade_dots

KINDS.load_all()

__all__ = [
    "KINDS",
    "LABEL_COLOURS",
    "REGION_COLOURS",
    "Frame",
    "Kind",
    "Plot",
    "Plots",
    "caar_by_label",
    "caar_other_labels",
    "caption",
    "cjk_font",
    "cost_sensitivity",
    "draw",
    "equity_curve",
    "event_bars",
    "figure_words",
    "font_folders",
    "forget_fonts",
    "latin_fonts",
    "peer_label",
    "placebo_balance",
    "placebo_dots",
    "placebo_rank",
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
    "svg_text",
    "trade_dots",
    "used_shocks",
    "window_text",
    "without_words",
]
