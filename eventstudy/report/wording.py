"""Text forms of numbers, windows and groups for the pages."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from eventstudy.errors import Reason
from eventstudy.messages import LANGUAGES, Message, catalogue, kind_of_study, said, term
from eventstudy.report.document import Column, TableBlock
from eventstudy.results.columns import REASONS, code_column

if TYPE_CHECKING:
    import pandas as pd

    from eventstudy.results.result import StudyResult

Words = Mapping[str, str]

#: Columns of the study's quantity; for volume and volatility they are not percentages.
MEASURED_COLUMNS = frozenset("return expected ar car se bhar aar caar lower upper alpha sigma estimate mean sd".split())
#: Columns that hold decimal returns or shares, shown as percent.
PERCENT_COLUMNS = MEASURED_COLUMNS | set(
    """car_drop car_post share_negative share effect gross net cost costs hedge excess placebo_mean market_return
    run_up max_drawdown mde mean_net mean_gross hit_rate margin drop post event_mean placebo_median missing_share
    adverse gap claimed actual off_by car_before car_at car_after speedup hedged net_total adverse_excursion
    net_per_trade""".split()
)
#: Columns of codes, and the section of the catalogue with their words.
_CODES: Mapping[str, str] = {
    "label": "label",
    "flag": "flag",
    "role": "role",
    "check": "say.check",
    "severity": "severity",
    "gate": "gate",
    "verdict": "claim",
}
#: Largest length of a cell and largest number of rows of a table on the pages.
LONGEST_CELL, MOST_ROWS = 110, 40
#: Chinese characters, which many fonts lack.
CJK = re.compile("[\u2e80-\u9fff\uac00-\ud7af\uf900-\ufaff\uff00-\uffef\U00020000-\U0003ffff]+")
#: Endings of the names of columns with p-values.
P_ENDINGS = ("_p", "p_value", "p_rank", "p_rank_floor", "holm", "bh", "by", "romano_wolf")


def language_of(result: StudyResult) -> str:
    """Return the language of the study."""
    wanted = str(result.facts.get("language") or "en")
    return wanted if wanted in LANGUAGES else "en"


def words_of(result: StudyResult, language: str = "") -> Words:
    """Return the words of a result's pages, for its language (or another) and its quantity."""
    return catalogue(language or language_of(result), kind_of_study(result.facts))


def amount(value: Any, words: Words, digits: int = 1) -> str:
    """Return a value of the study's quantity, times 100, in the form of its catalogue.

    Returns are printed in percent; log points and percentage points without a unit, which the column header names.
    """
    text = percent(value, digits)
    return words["amount.cell"].format(value=text.removesuffix("%")) if finite(value) else text


def percent(value: Any, digits: int = 1) -> str:
    """Return a decimal return as percent with a typographic minus sign; a dash if missing."""
    if not finite(value):
        return "–"
    text = f"{100 * float(value):+.{digits}f}"
    return (f"{0:.{digits}f}" if float(text) == 0 else text).replace("-", "−") + "%"


def size(value: Any, digits: int = 1) -> str:
    """Return a decimal as percent without a plus sign."""
    return percent(value, digits).removeprefix("+")


def points(value: Any, digits: int = 1, *, sign: bool = False) -> str:
    """Return a difference of decimal returns in percentage points; a dash if missing."""
    text = percent(value, digits).removesuffix("%")
    return text if sign else text.lstrip("+")


def p_text(value: Any) -> str:
    """Return a p-value with three decimals."""
    if not finite(value):
        return "–"
    return "<0.001" if float(value) < 0.0005 else f"{float(value):.3f}"


def number(value: Any, digits: int = 2) -> str:
    """Return a plain number with a typographic minus sign; a dash if missing."""
    return f"{float(value):.{digits}f}".replace("-", "−") if finite(value) else "–"


def significant(value: Any, digits: int = 3) -> str:
    """Return a number with the given significant digits and a typographic minus sign; a dash if missing."""
    return f"{float(value):#.{digits}g}".rstrip(".").replace("-", "−") if finite(value) else "–"


def count(value: Any) -> str:
    """Return a whole number; a dash if missing."""
    return f"{int(value)}".replace("-", "−") if finite(value) else "–"


def span(low: Any, high: Any, words: Words, digits: int = 1) -> str:
    """Return ``−6.0% to +10.3%``; a dash if one end is missing."""
    if not (finite(low) and finite(high)):
        return "–"
    return words["page.span"].format(low=amount(low, words, digits), high=amount(high, words, digits))


def window_words(window: Any) -> str:
    """Return a window as ``[−10, +20]`` from ``[-10,20]`` or a pair of integers."""
    parts = str(window).strip("[]").split(",") if isinstance(window, str) else list(window or ())
    try:
        first, last = (int(part) for part in parts)
    except ValueError:
        return str(window)
    return f"[{_signed(first)}, {_signed(last)}]"


def group_words(group: str, words: Words) -> str:
    """Return a group of the tables in words: ``peers=core;label=no_news`` is ``core peers · no news``."""
    parts = []
    for part in group.split(";"):
        key, _, value = part.partition("=")
        if not value:
            parts.append(term(words, "group", key))
        elif key == "peers":
            parts.append(words["group.peers"].format(name=term(words, "peer_group", value)))
        elif f"{key}.{value}" in words or key in ("market", "region", "shock_id", "ticker"):
            parts.append(term(words, key, value))
        else:
            parts.append(f"{key.replace('_', ' ')} {value}")
    return " · ".join(parts)


def test_name(words: Words, name: object) -> str:
    """Return a statistic's name for the pages."""
    return term(words, "test", name)


def cell_text(column: str, value: Any, words: Words) -> str:
    """Return the text of a cell, by the kind of its column."""
    if value is None or value != value:
        return "–" if isinstance(value, float) else ""
    if isinstance(value, bool) or type(value).__name__ == "bool":
        return words["page.yes"] if value else words["page.no"]
    if isinstance(value, Message | Reason):
        return said(value, words)
    if column == "window":
        return window_words(value)
    if column == "run":
        return term(words, "figure", f"run_{value}")
    if column == "group":
        return group_words(str(value), words)
    if column in _CODES:
        return term(words, _CODES[column], value).replace("_", " ") if value else ""
    if isinstance(value, int) or ((column in ("rank", "delay") or column.startswith("n_")) and finite(value)):
        return count(value)
    if isinstance(value, float):
        return _real(column, value, words)
    return str(value).replace("_", " ") if column in ("variable", "trait", "name") else str(value)


def _real(column: str, value: float, words: Words) -> str:
    if column in MEASURED_COLUMNS:
        return amount(value, words)
    if column in PERCENT_COLUMNS:
        return percent(value)
    if column.endswith(P_ENDINGS):
        return p_text(value)
    return count(value) if value.is_integer() and abs(value) >= 10 else number(value)


def listing(
    frame: pd.DataFrame | None,
    words: Words,
    *,
    file: str = "",
    columns: Sequence[str] = (),
    most: int = MOST_ROWS,
    **others: Any,
) -> TableBlock:
    """Return any table as text: its non-empty columns and first rows, with cells cut to a length.

    ``file`` has the rows that are left out; ``others`` are parameters of `TableBlock`.
    """
    if frame is None or frame.empty:
        return TableBlock(columns=(), rows=(), **others)
    codes = set(map(code_column, REASONS))
    kept = [str(name) for name in columns or frame.columns if name in frame and name not in codes]
    kept = [name for name in kept if frame[name].notna().any()]
    records = frame[kept].head(most).to_dict("records") if kept else []
    rows = [tuple(cut(cell_text(name, row[name], words)) for name in kept) for row in records]
    return TableBlock(
        columns=tuple(
            Column(term(words, "column", name), "number" if frame[name].dtype.kind in "if" else "text", name)
            for name in kept
        ),
        rows=tuple(rows),
        left_out=left_out_words(len(frame) - len(rows), file, words),
        **others,
    )


def left_out_words(n: int, file: str, words: Words) -> str:
    """Return a note on the number of rows that are only in a file; empty if there are none."""
    return words["page.rows_left_out"].format(n=n, file=file) if n > 0 else ""


def cut(cell: str, limit: int = LONGEST_CELL) -> str:
    """Return a text cut to ``limit`` characters, with dots if something was cut."""
    return cell if len(cell) <= limit else cell[: limit - 1].rstrip() + "…"


def finite(value: Any) -> bool:
    """Return whether ``value`` is a number that can be printed."""
    try:
        return value is not None and math.isfinite(float(value))
    except (TypeError, ValueError):
        return False


def text(value: Any) -> str:
    """Return a table's text cell; empty for None and NaN."""
    return "" if value is None or value != value else str(value)


def code_of(row: Mapping[Any, Any], column: str) -> str:
    """Return the code of a row's message: from its column of codes, or from the message; else empty."""
    value = row[column]
    if isinstance(value, Reason):
        return value.code
    return str(row.get(f"{column}_code") or (value.key if isinstance(value, Message) else ""))


def _signed(day: int) -> str:
    return f"+{day}" if day > 0 else str(day).replace("-", "−")
