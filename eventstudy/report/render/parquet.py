"""Write tables/*.parquet."""

from __future__ import annotations

from eventstudy.report.output import Material, output
from eventstudy.report.render.csv import copy_files


@output("parquet", place=80)
def write(material: Material) -> None:
    """Write the tables as Parquet."""
    (material.folder / "tables").mkdir(exist_ok=True)
    for name, table in material.tables.items():
        table.to_parquet(material.folder / "tables" / f"{name}.parquet", index=False)
    copy_files(material)
