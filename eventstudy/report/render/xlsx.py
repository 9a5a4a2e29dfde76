"""Write tables.xlsx: the table of page 1, a summary, an index of sheets and columns, and the tables.

Numbers are stored as numbers, dates as dates, and text as text, never as a formula.
"""

from __future__ import annotations

import datetime as dt
import math
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from eventstudy.messages import asked
from eventstudy.report.output import Material, output
from eventstudy.report.wording import MEASURED_COLUMNS, P_ENDINGS, PERCENT_COLUMNS, Words, words_of
from eventstudy.results.result import StudyResult

if TYPE_CHECKING:
    import pandas as pd

MAX_ROWS, MAX_TEXT = 1_048_576, 32_767
#: Form of days, and of times in UTC, in the tables.
_MOMENT = re.compile(r"(?:19|20|21)\d\d-\d\d-\d\d(T\d\d:\d\d:\d\d(?:\+00:00)?)?")
#: Tables of single days, and tables for figures and pools: if CSV files are written, the workbook only names them.
IN_CSV_ALONE = ("abnormal_returns", "pnl", "paths", "falls", "estimation_cuts")
#: A fixed date, also for the zip entries, so that the same tables give the same bytes.
_CREATED = dt.datetime(2000, 1, 1)


@output("xlsx", place=10, apart=True, says="workbook")
def write(material: Material) -> None:
    """Write the workbook, with one sheet for each table; tables too long for Excel are only named."""
    import pandas as pd
    import xlsxwriter

    result, tables = material.result, material.tables
    words = words_of(result)
    if not asked(result.facts):
        # Sheets with only a header are left out.
        tables = {name: table.dropna(axis=1, how="all") for name, table in tables.items() if len(table)}
    options = {"in_memory": True, "strings_to_formulas": False, "strings_to_urls": False, "strings_to_numbers": False}
    with xlsxwriter.Workbook(str(material.folder / "tables.xlsx"), options) as book:
        book.set_properties({"title": str(result.facts.get("study") or ""), "created": _CREATED})
        formats = {
            "head": book.add_format({"bold": True, "bottom": 1, "bg_color": "#EEEEEE"}),
            "percent": book.add_format({"num_format": "0.00%"}),
            "amount": book.add_format({"num_format": words["workbook.amount"]}),
            # The format hides small values; the cell keeps the exact value.
            "p_value": book.add_format({"num_format": '[<0.0005]"<0.001";0.000'}),
            "real": book.add_format({"num_format": "0.0000"}),
            "whole": book.add_format({"num_format": "0"}),
            "date": book.add_format({"num_format": "yyyy-mm-dd", "align": "left"}),
            "time": book.add_format({"num_format": "yyyy-mm-dd hh:mm", "align": "left"}),
            "wrap": book.add_format({"text_wrap": True, "valign": "top"}),
            "link": book.add_format({"font_color": "#0563C1", "underline": 1, "valign": "top"}),
        }
        too_long = [*(name for name, table in tables.items() if len(table) >= MAX_ROWS), *result.files]
        apart = [*too_long, *(name for name in IN_CSV_ALONE if name in tables and "csv" in material.formats)]
        first = pd.DataFrame(result.facts.get("small_table") or ())
        sheets = ({"page_1": first} if len(first) else {}) | {k: v for k, v in tables.items() if k not in apart}
        if len(first):
            _write_table(book, formats, "page_1", first, words, simulated=result.simulated)
        _write_summary(book, formats, result, apart)
        _write_index(book, formats, sheets, words, simulated=result.simulated)
        for name, table in sheets.items():
            if name != "page_1":
                _write_table(book, formats, name, table, words, simulated=result.simulated)


def _write_index(
    book: Any, formats: Mapping[str, Any], sheets: Mapping[str, pd.DataFrame], words: Words, *, simulated: bool
) -> None:
    """Write a link to each sheet with the meaning of its rows, then the meaning of each column."""
    sheet = book.add_worksheet("index")
    if simulated:
        sheet.set_header("&CSIMULATED")
    for at, width in enumerate((26, 10, 90)):
        sheet.set_column(at, at, width)
    for at, key in enumerate(("index_sheet", "index_rows", "index_each")):
        sheet.write_string(0, at, words[f"workbook.{key}"], formats["head"])
    for row, (name, table) in enumerate(sheets.items(), 1):
        called = _called(name, words)
        sheet.write_url(row, 0, f"internal:'{called}'!A1", formats["link"], called)
        sheet.write_number(row, 1, len(table), formats["whole"])
        sheet.write_string(row, 2, words.get(f"workbook_table.{name}", ""), formats["wrap"])
    row = len(sheets) + 2
    sheet.write_string(row, 0, words["workbook.index_column"], formats["head"])
    sheet.write_string(row, 2, words["workbook.index_holds"], formats["head"])
    for name in dict.fromkeys(str(column) for table in sheets.values() for column in table.columns):
        if note := words.get(f"workbook_note.{name}", ""):
            row += 1
            sheet.write_string(row, 0, words.get(f"workbook.{name}", name))
            sheet.write_string(row, 2, note, formats["wrap"])


def _called(name: str, words: Words) -> str:
    return words.get(f"workbook.sheet_{name}", name)[:31]


def _write_summary(book: Any, formats: Mapping[str, Any], result: StudyResult, apart: list[str]) -> None:
    summary = result.facts
    verdict = summary.get("verdict") or {**(summary.get("effect") or {}), "effect": result.effect.estimate}
    counts = summary.get("counts") or {}
    sheet = book.add_worksheet("summary")
    rows: list[tuple[str, Any]] = [("study", summary.get("study")), ("run id", result.run_id)]
    if result.simulated:
        rows.append(("SIMULATED", "The prices are simulated; nothing here is market data."))
    words = words_of(result)
    measured = words["workbook.measured"]
    rows += [("measured", measured)] if measured else []
    rows += [("verdict" if asked(summary) else "effect of the events", verdict.get("sentence"))]
    rows += [(key.replace("_", " "), verdict.get(key)) for key in ("effect", "p_value", "n_dates", "n_events", "mde")]
    named = {"used": "used", "shifted": "used, day 0 moved", "merged": "repeated and merged", "dropped": "dropped"}
    rows += [(f"firm-events {name}", counts.get(key)) for key, name in named.items()]
    rows += [("newest price", summary.get("data_date")), ("prices", summary.get("price_source"))]
    rows += [(f"table {_called(name, words)}", f"not in this workbook, see tables/{name}.csv") for name in apart]
    sheet.set_column(0, 0, 24)
    sheet.set_column(1, 1, 90)
    for place, (key, value) in enumerate(rows):
        sheet.write_string(place, 0, key, formats["head"])
        if isinstance(value, (int, float)) and math.isfinite(value):
            sheet.write_number(place, 1, value)
        elif value is not None and not isinstance(value, float):
            sheet.write_string(place, 1, str(value), formats["wrap"])
    if result.simulated:
        sheet.set_header("&CSIMULATED")


def _write_table(
    book: Any, formats: Mapping[str, Any], name: str, table: pd.DataFrame, words: Words, *, simulated: bool
) -> None:
    sheet = book.add_worksheet(_called(name, words))
    sheet.freeze_panes(1, 0)
    if simulated:
        sheet.set_header("&CSIMULATED")
    for place, column in enumerate(table.columns):
        values, moment = table[column], _moment(table[column])
        style = formats[moment or _style(str(column), values.dtype.kind)]
        texts = [str(value)[:16] if moment else str(value) for value in values.head(200)]
        texts = texts if values.dtype.kind not in "f" else []
        head = words.get(f"workbook.{column}", str(column))
        width = max([len(head) + 2, 10, *map(len, texts)])
        sheet.set_column(place, place, min(width, 48))
        sheet.write_string(0, place, head, formats["head"])
        cells = values.tolist()
        if moment:
            cells = [dt.datetime.fromisoformat(cell[:19]) if isinstance(cell, str) and cell else cell for cell in cells]
        for row, cell in enumerate(cells, 1):
            _write_cell(sheet, row, place, cell, style)
    if len(table):
        sheet.autofilter(0, 0, len(table), len(table.columns) - 1)


def _moment(values: pd.Series[Any]) -> str:
    """Return ``date`` or ``time`` if every cell is empty or an ISO date, or time, as text; else an empty string."""
    if values.dtype.kind in "biufcM":
        return ""
    texts = [value for value in values.tolist() if not (value is None or value != value or value == "")]
    found = [_MOMENT.fullmatch(value) if isinstance(value, str) else None for value in texts]
    if not texts or not all(found):
        return ""
    try:
        for value in texts:
            dt.datetime.fromisoformat(value[:19])
    except ValueError:
        return ""
    return "time" if any(match and match[1] for match in found) else "date"


def _style(column: str, kind: str) -> str:
    if column in MEASURED_COLUMNS:
        return "amount"
    if column in PERCENT_COLUMNS:
        return "percent"
    if column.endswith(P_ENDINGS):
        return "p_value"
    return "whole" if kind in "iu" or column in ("n_events", "n_dates", "n_peers", "n_markets") else "real"


def _write_cell(sheet: Any, row: int, column: int, value: Any, style: Any) -> None:
    """Write one cell: empty for None and NaN, text always as text."""
    if isinstance(value, bool):
        sheet.write_boolean(row, column, value)
    elif isinstance(value, (int, float)):
        if math.isfinite(value):
            sheet.write_number(row, column, value, style)
        elif math.isinf(value):
            sheet.write_string(row, column, "inf" if value > 0 else "-inf")
    elif isinstance(value, dt.datetime):
        sheet.write_datetime(row, column, value, style)
    elif value is not None and value == value and str(value):
        sheet.write_string(row, column, str(value)[:MAX_TEXT])
