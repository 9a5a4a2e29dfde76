"""tables.xlsx: the tables as one Excel workbook; numbers as numbers, text as text, never a formula."""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from eventstudy.report.output import Material, output
from eventstudy.report.wording import MEASURED_COLUMNS, PERCENT_COLUMNS, Words, asked, words_of
from eventstudy.results.result import StudyResult

if TYPE_CHECKING:
    import pandas as pd

MAX_ROWS, MAX_TEXT = 1_048_576, 32_767
#: A fixed date, so that the same tables give the same bytes: the zip entries take it too.
_CREATED = dt.datetime(2000, 1, 1)


@output("xlsx", place=10, apart=True, says="workbook")
def write(material: Material) -> None:
    """Write a summary sheet and one sheet a table; a table too long for Excel is named, not cut."""
    import xlsxwriter

    result, tables = material.result, material.tables
    words = words_of(result)
    if not asked(result.facts):
        # Sheets and columns of heads alone say nothing.
        tables = {name: table.dropna(axis=1, how="all") for name, table in tables.items() if len(table)}
    options = {"in_memory": True, "strings_to_formulas": False, "strings_to_urls": False, "strings_to_numbers": False}
    with xlsxwriter.Workbook(str(material.folder / "tables.xlsx"), options) as book:
        book.set_properties({"title": str(result.facts.get("study") or ""), "created": _CREATED})
        formats = {
            "head": book.add_format({"bold": True, "bottom": 1, "bg_color": "#EEEEEE"}),
            "percent": book.add_format({"num_format": "0.00%"}),
            "amount": book.add_format({"num_format": words["workbook.amount"]}),
            "p_value": book.add_format({"num_format": "0.0000"}),
            "real": book.add_format({"num_format": "0.0000"}),
            "whole": book.add_format({"num_format": "0"}),
            "wrap": book.add_format({"text_wrap": True, "valign": "top"}),
        }
        too_long = [name for name, table in tables.items() if len(table) >= MAX_ROWS]
        _write_summary(book, formats, result, too_long)
        for name, table in tables.items():
            if name not in too_long:
                _write_table(book, formats, name, table, words, simulated=result.simulated)


def _write_summary(book: Any, formats: Mapping[str, Any], result: StudyResult, too_long: list[str]) -> None:
    summary = result.facts
    verdict = summary.get("verdict") or {**(summary.get("effect") or {}), "effect": result.effect.estimate}
    counts = summary.get("counts") or {}
    sheet = book.add_worksheet("summary")
    rows: list[tuple[str, Any]] = [("study", summary.get("study")), ("run id", result.run_id)]
    if result.simulated:
        rows.append(("SIMULATED", "The prices are simulated; nothing here is market data."))
    measured = words_of(result)["workbook.measured"]
    rows += [("measured", measured)] if measured else []
    rows += [("verdict" if asked(summary) else "effect of the events", verdict.get("sentence"))]
    rows += [(key.replace("_", " "), verdict.get(key)) for key in ("effect", "p_value", "n_dates", "n_events", "mde")]
    named = {"used": "used", "shifted": "used, day 0 moved", "merged": "repeated and merged", "dropped": "dropped"}
    rows += [(f"firm-events {name}", counts.get(key)) for key, name in named.items()]
    rows += [("newest price", summary.get("data_date")), ("prices", summary.get("price_source"))]
    rows += [(f"table {name}", f"too long for Excel, see tables/{name}.csv") for name in too_long]
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
    sheet = book.add_worksheet(words.get(f"workbook.sheet_{name}", name)[:31])
    sheet.freeze_panes(1, 0)
    if simulated:
        sheet.set_header("&CSIMULATED")
    for place, column in enumerate(table.columns):
        values, style = table[column], formats[_style(str(column), table[column].dtype.kind)]
        texts = [str(value) for value in values.head(200)] if values.dtype.kind not in "f" else []
        head = words.get(f"workbook.{column}", str(column))
        width = max([len(head) + 2, 10, *map(len, texts)])
        sheet.set_column(place, place, min(width, 48))
        sheet.write_string(0, place, head, formats["head"])
        for row, value in enumerate(values.tolist(), 1):
            _write_cell(sheet, row, place, value, style)
    if len(table):
        sheet.autofilter(0, 0, len(table), len(table.columns) - 1)


def _style(column: str, kind: str) -> str:
    if column in MEASURED_COLUMNS:
        return "amount"
    if column in PERCENT_COLUMNS:
        return "percent"
    if column == "p_value":
        return "p_value"
    return "whole" if kind in "iu" or column in ("n_events", "n_dates", "n_peers", "n_markets") else "real"


def _write_cell(sheet: Any, row: int, column: int, value: Any, style: Any) -> None:
    """Write one cell: nothing for None and NaN, text as text whatever it begins with."""
    if isinstance(value, bool):
        sheet.write_boolean(row, column, value)
    elif isinstance(value, (int, float)):
        if math.isfinite(value):
            sheet.write_number(row, column, value, style)
        elif math.isinf(value):
            sheet.write_string(row, column, "inf" if value > 0 else "-inf")
    elif value is not None and value == value and str(value):
        sheet.write_string(row, column, str(value)[:MAX_TEXT])
