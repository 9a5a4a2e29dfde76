"""Figures of a study.

Each drawing function draws numbers of the tables on one axes and returns it. The data are decimal returns; only tick
labels are in percent. `plots_of` lists the figures of a result; `draw` makes one with its frame, caption and, for
simulated prices, its watermark.
"""

from eventstudy.plots.accessor import Plots
from eventstudy.plots.draw import alt_text, caption, draw, save, setting_parts
from eventstudy.plots.fonts import cjk_font, font_folders, forget_fonts, latin_fonts
from eventstudy.plots.frames import peer_label, shock_title
from eventstudy.plots.kinds import KINDS, Frame, Kind, Plot, plots_of, register
from eventstudy.plots.style import LABEL_COLOURS
from eventstudy.plots.svg import svg_text, without_words

KINDS.load_all()

__all__ = ["KINDS", "LABEL_COLOURS", "Frame", "Kind", "Plot", "Plots", "alt_text", "caption", "cjk_font", "draw"]
__all__ += ["font_folders", "forget_fonts", "latin_fonts", "peer_label", "plots_of", "register", "save"]
__all__ += ["setting_parts", "shock_title", "svg_text", "without_words"]
