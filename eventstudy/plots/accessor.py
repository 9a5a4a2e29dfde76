"""``result.plot``: every figure by a method of its own, on an axes of the caller's or a new one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from eventstudy.plots.caar_by_label import caar_by_label
from eventstudy.plots.cost_sensitivity import cost_sensitivity
from eventstudy.plots.draw import draw
from eventstudy.plots.equity_curve import equity_curve
from eventstudy.plots.kinds import Plot, plots_of
from eventstudy.plots.placebo_balance import placebo_balance
from eventstudy.plots.placebo_dots import placebo_dots
from eventstudy.plots.shock import event_bars, shock_path
from eventstudy.plots.shock_dots import shock_dots
from eventstudy.plots.specification_curve import specification_curve
from eventstudy.plots.style import styled
from eventstudy.plots.trade_dots import trade_dots
from eventstudy.registry import VIEWS

if TYPE_CHECKING:
    from eventstudy.results.result import StudyResult


@VIEWS.add("plot")
@dataclass(frozen=True, slots=True)
class Plots:
    """Figures of one result; each method draws on ``ax``, or on a new figure's, and returns it."""

    result: StudyResult

    def available(self) -> tuple[Plot, ...]:
        """Return the figures that the result has data for."""
        return plots_of(self.result)

    def figure(self, name: str) -> Figure:
        """Return a figure as the pack has it, with caption; `KeyError` names those there are."""
        found = {plot.name: plot for plot in self.available()}
        if name not in found:
            raise KeyError(f"no figure {name!r}; there are {', '.join(found)}")
        return draw(self.result, found[name])

    def __call__(self, *, ax: Axes | None = None) -> Axes:
        """Draw the mean cumulative abnormal return, as `caar`."""
        return self.caar(ax=ax)

    def caar(self, *, ax: Axes | None = None) -> Axes:
        """Draw the mean cumulative abnormal return by label."""
        return self._on(ax, caar_by_label)

    def dots(self, *, ax: Axes | None = None) -> Axes:
        """Draw each shock in the drop and after it."""
        return self._on(ax, shock_dots)

    def bars(self, shock_id: str, *, ax: Axes | None = None) -> Axes:
        """Draw the peers of one shock in the drop."""
        return self._on(ax, event_bars, shock_id)

    def path(self, shock_id: str, *, ax: Axes | None = None) -> Axes:
        """Draw the way of one shock's peers."""
        return self._on(ax, shock_path, shock_id)

    def placebos(self, *, ax: Axes | None = None) -> Axes:
        """Draw each shock among its matched placebo drops."""
        return self._on(ax, placebo_dots)

    def balance(self, *, ax: Axes | None = None) -> Axes:
        """Draw how alike shocks and placebos are before they are compared."""
        return self._on(ax, placebo_balance)

    def equity(self, *, ax: Axes | None = None) -> Axes:
        """Draw the backtest's cumulative return with its trades."""
        return self._on(ax, equity_curve)

    def trades(self, *, ax: Axes | None = None) -> Axes:
        """Draw the return of each trade."""
        return self._on(ax, trade_dots)

    def costs(self, *, ax: Axes | None = None) -> Axes:
        """Draw the mean trade against the cost of trading."""
        return self._on(ax, cost_sensitivity)

    def specifications(self, *, ax: Axes | None = None) -> Axes:
        """Draw the effect under every set of choices."""
        return self._on(ax, specification_curve)

    def _on(self, ax: Axes | None, drawing: Any, *shock: str) -> Axes:
        with styled():
            if ax is None:
                ax = Figure(figsize=(7.0, 3.2), layout="constrained").add_subplot()
            drawn: Axes = drawing(ax, self.result, *shock)
            return drawn
