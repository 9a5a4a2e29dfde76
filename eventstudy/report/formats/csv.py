"""tables/*.csv and ledger.csv."""

from __future__ import annotations

from eventstudy.report.output import Material, output
from eventstudy.report.values import csv_safe


@output("csv", place=50, says="tables")
def write(material: Material) -> None:
    """Write the tables as text that no spreadsheet runs as a formula."""
    folder = material.folder
    (folder / "tables").mkdir(exist_ok=True)
    for name, table in material.tables.items():
        path = folder / "ledger.csv" if name == "ledger" else folder / "tables" / f"{name}.csv"
        safe = table.copy()
        for column in safe.columns:
            if safe[column].dtype.kind not in "biufM":
                safe[column] = safe[column].astype(object).map(csv_safe)
        safe.columns = [csv_safe(str(column)) for column in safe.columns]
        safe.to_csv(path, index=False, lineterminator="\n", encoding="utf-8")
