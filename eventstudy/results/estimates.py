"""The mean effect in each event window as a frame, with names as in statsmodels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING

from eventstudy.results.columns import window_name
from eventstudy.results.records import EffectRow, interval

if TYPE_CHECKING:
    import pandas as pd

_COLUMNS = ["estimate", "se", "lower", "upper", "statistic", "df", "p_value", "n_events", "n_dates", "k_eff", "test"]
#: Columns of the LaTeX table: heading, factor, decimals.
_SHOWN = {
    "estimate": (r"CAR (\%)", 100, 2),
    "se": (r"SE (\%)", 100, 2),
    "lower": (r"lower (\%)", 100, 2),
    "upper": (r"upper (\%)", 100, 2),
    "statistic": ("$t$", 1, 2),
    "p_value": ("$p$", 1, 3),
    "n_events": ("$N$", 1, 0),
    "n_dates": ("$K$", 1, 0),
}


def effects_frame(effects: Sequence[EffectRow], alpha: float = 0.05) -> pd.DataFrame:
    """Return effects as a frame, one row for each window, with intervals at the level 1 - ``alpha``."""
    import pandas as pd

    rows = []
    for row in effects:
        lower, upper = interval(row.estimate, row.se, row.df, 1.0 - alpha)
        rows.append({**asdict(row), "lower": lower, "upper": upper})
    names = [window_name(row.window) for row in effects]
    return pd.DataFrame(rows, index=pd.Index(names, name="window"))[_COLUMNS]


def effects_latex(frame: pd.DataFrame) -> str:
    """Return a frame of `effects_frame` as a LaTeX table with the rules of booktabs."""
    # LaTeX would read a bracket after the end of a line as its option.
    shown = frame[list(_SHOWN)].set_axis([f"${window}$" for window in frame.index])
    for name, (heading, factor, decimals) in _SHOWN.items():
        cells = [f"{factor * value:.{decimals}f}" if value == value else "--" for value in frame[name]]
        shown = shown.assign(**{name: cells}).rename(columns={name: heading})
    latex: str = shown.style.to_latex(hrules=True, column_format="@{}l" + "r" * len(_SHOWN) + "@{}")
    return latex
