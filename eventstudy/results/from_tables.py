"""Tables and summary of a pack as records, and the mean effect in each event window as one frame."""

from __future__ import annotations

import functools
import math
import typing
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, TypeVar

from eventstudy.config import Model, Report, Window, Windows
from eventstudy.messages import code_of
from eventstudy.results.columns import columns_of, row_of, window_name
from eventstudy.results.records import Counts, EffectRow, Records, TestRow, Tests, VerdictRow, WarningRow, interval
from eventstudy.results.severity import severity

if TYPE_CHECKING:
    import pandas as pd

Row = TypeVar("Row")
Settings = TypeVar("Settings", Windows, Model, Report)
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


def rows_of(table: pd.DataFrame, kind: type[Row]) -> Records[Row]:
    """Return the rows of a table as records, whose fields are columns of the table.

    A text that is missing becomes empty, a float NaN.

    Raises
    ------
    ValueError
        If an integer or a boolean is missing, since no value stands for that.
    """
    hints = typing.get_type_hints(kind)
    names = [name for name in kind.__dataclass_fields__ if name in table]  # type: ignore[attr-defined]
    columns = [list(map(_reader(hints[name]), table[name].tolist())) for name in names]
    made = (kind(**dict(zip(names, values, strict=True))) for values in zip(*columns, strict=True))
    return Records(kind, made, table)


def no_rows(kind: type[Row]) -> Records[Row]:
    """Return empty records for a table that the pack does not have."""
    import pandas as pd

    return Records(kind, (), pd.DataFrame(columns=columns_of(kind)))


def tests_of(table: pd.DataFrame) -> Tests:
    """Return the table of tests as `Tests`."""
    return Tests(TestRow, rows_of(table, TestRow), table)


def verdict_of(facts: Mapping[str, Any]) -> VerdictRow:
    """Return one answer in the summary: ``verdict`` or one of ``verdicts``."""
    return VerdictRow(**{"kind": "", "sentence": "", **_known({**facts, "interval": facts.get("ci")}, VerdictRow)})


def effect_of(facts: Mapping[str, Any]) -> EffectRow:
    """Return the effect of the events in one window, from the summary."""
    return EffectRow(**_known(facts, EffectRow))


def _known(facts: Mapping[str, Any], kind: type) -> dict[str, Any]:
    """Return the fields of a record for which the summary has a value, converted to their types."""
    readers = {name: _reader(hint) for name, hint in typing.get_type_hints(kind).items()}
    return {name: read(facts[name]) for name, read in readers.items() if facts.get(name) is not None}


def counts_of(facts: Mapping[str, Any]) -> Counts:
    """Return the counts, which the summary has in several places."""
    tally, events, headline = (facts.get(name) or {} for name in ("counts", "events", "headline"))
    return Counts(
        reasons={str(name): int(n) for name, n in (tally.get("reasons") or {}).items()},
        n_dates=int(headline.get("n_dates") or 0),
        k_eff=_number(headline.get("k_eff")),
        **{name: int(tally.get(name) or 0) for name in ("used", "shifted", "dropped", "merged")},
        **{name: int(events.get(name) or 0) for name in ("n_events", "n_shocks", "n_peers")},
    )


def warnings_of(texts: Sequence[str]) -> Records[WarningRow]:
    """Return the warnings, worst first, as the summary has them."""
    import pandas as pd

    rows = [WarningRow(text=str(text), severity=severity(text), code=code_of(text)) for text in texts]
    return Records(WarningRow, rows, pd.DataFrame(map(row_of, rows), columns=columns_of(WarningRow)))


def settings_of(values: Mapping[str, Any], kind: type[Settings]) -> Settings:
    """Return one section of the settings from its JSON; names that this version lacks are left out."""
    known = kind.__dataclass_fields__
    return kind(**{name: _tuples(value) for name, value in values.items() if name in known})


def _tuples(value: Any) -> Any:
    return tuple(_tuples(item) for item in value) if isinstance(value, list) else value


@functools.cache
def _reader(hint: Any) -> Callable[[Any], Any]:
    """Return the function that converts a cell or a JSON value to a type."""
    readers: dict[Any, Callable[[Any], Any]] = {str: _text, float: _number, int: int, bool: _yes, Window: _window}
    return readers.get(hint, dict if hint == Mapping[str, float] else _pair)


def _missing(value: Any) -> bool:
    # NaN and pandas' NA are not equal to themselves.
    return value is None or value != value


def _text(value: Any) -> Any:
    return "" if _missing(value) else value if isinstance(value, str) else str(value)


def _number(value: Any) -> float:
    return math.nan if _missing(value) else float(value)


def _yes(value: Any) -> bool:
    if _missing(value):
        raise ValueError("a yes or no is missing")
    return bool(value)


def _window(value: Any) -> Window:
    parts = value.strip("[]").split(",") if isinstance(value, str) else value
    first, last = (int(part) for part in parts)
    return first, last


def _pair(value: Any) -> tuple[float, float]:
    low, high = value or (math.nan, math.nan)
    return _number(low), _number(high)


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
