"""``result.plot``: one method for each figure, on given or new axes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from eventstudy.plots.caar_by_label import caar_by_label
from eventstudy.plots.cost_sensitivity import cost_sensitivity
from eventstudy.plots.draw import draw
from eventstudy.plots.equity_curve import equity_curve
from eventstudy.plots.forest import forest
from eventstudy.plots.heatmap import heatmap
from eventstudy.plots.kinds import Plot, plots_of
from eventstudy.plots.p_heatmap import p_heatmap
from eventstudy.plots.placebo_balance import placebo_balance
from eventstudy.plots.shock_grid import shock_path
from eventstudy.plots.specification_curve import specification_curve
from eventstudy.plots.style import styled
from eventstudy.plots.timeline import timeline
from eventstudy.registry import VIEWS

if TYPE_CHECKING:
    from eventstudy.results.result import StudyResult


@VIEWS.add("plot")
@dataclass(frozen=True, slots=True)
class Plots:
    """Figures of one result; each method draws on ``ax``, or on a new figure's, and returns it."""

    result: StudyResult

    def available(self) -> tuple[Plot, ...]:
        """Return the names of the figures for which the result has data."""
        return plots_of(self.result)

    def figure(self, name: str) -> Figure:
        """Return a figure as in the pack, with caption; `KeyError` lists the available names."""
        found = {plot.name: plot for plot in self.available()}
        if name not in found:
            raise KeyError(f"no figure {name!r}; there are {', '.join(found)}")
        return draw(self.result, found[name])

    def __call__(self, *, ax: Axes | None = None) -> Axes:
        """Draw the mean cumulative abnormal return, as `caar`."""
        return self.caar(ax=ax)

    def caar(self, label: str = "", *, ax: Axes | None = None) -> Axes:
        """Draw the mean path of a label's dates and the single dates; by default the label in question, or all."""
        return self._on(ax, caar_by_label, *([label] if label else []))

    def forest(self, window: str = "", *, ax: Axes | None = None) -> Axes:
        """Draw each shock and the mean of its label in one window, ``drop`` or ``post``; by default the last."""
        return self._on(ax, forest, *([window] if window else []))

    def heatmap(self, shock_id: str, *, ax: Axes | None = None) -> Axes:
        """Draw the abnormal returns of one shock, its peers by its days."""
        return self._on(ax, heatmap, shock_id)

    def path(self, shock_id: str, *, ax: Axes | None = None) -> Axes:
        """Draw the paths of one shock's peers."""
        return self._on(ax, shock_path, shock_id)

    def timeline(self, *, ax: Axes | None = None) -> Axes:
        """Draw the shocks over the sector's index."""
        return self._on(ax, timeline)

    def balance(self, *, ax: Axes | None = None) -> Axes:
        """Draw the balance of shocks and control drops."""
        return self._on(ax, placebo_balance)

    def equity(self, *, ax: Axes | None = None) -> Axes:
        """Draw the backtest's cumulative return with its trades."""
        return self._on(ax, equity_curve)

    def p_values(self, *, ax: Axes | None = None) -> Axes:
        """Draw the p-value of every test in every window."""
        return self._on(ax, p_heatmap)

    def costs(self, *, ax: Axes | None = None) -> Axes:
        """Draw the mean return of a trade by trading cost."""
        return self._on(ax, cost_sensitivity)

    def specifications(self, *, ax: Axes | None = None) -> Axes:
        """Draw the effect under every set of choices."""
        return self._on(ax, specification_curve)

    def _on(self, ax: Axes | None, drawing: Any, *what: str) -> Axes:
        with styled():
            if ax is None:
                ax = Figure(figsize=(7.0, 3.2), layout="constrained").add_subplot()
            drawn: Axes = drawing(ax, self.result, *what)
            return drawn
