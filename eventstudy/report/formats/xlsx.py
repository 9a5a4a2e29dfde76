"""tables.xlsx: the summary and all tables as a workbook."""

from __future__ import annotations

from eventstudy.report.output import Material, output
from eventstudy.report.workbook import write_workbook


@output("xlsx", place=10, apart=True, says="workbook")
def write(material: Material) -> None:
    """Write the workbook."""
    write_workbook(material.result, material.tables, material.folder / "tables.xlsx")
