"""Write tables as CSV, for packs of all commands, and as Parquet, and summary.json."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from eventstudy.config.json_values import plain_json, write_json
from eventstudy.messages import recorded
from eventstudy.report.output import Material, output

if TYPE_CHECKING:
    import pandas as pd

#: First characters of texts that a spreadsheet would read as a formula.
_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")


@output("csv", place=50, says="tables")
def write_tables(material: Material) -> None:
    """Write the tables."""
    for name, table in material.tables.items():
        write_csv(table, material.folder / csv_path(name))
    copy_files(material)


def copy_files(material: Material) -> None:
    """Copy tables with too many rows for memory as Parquet files."""
    for name, path in material.result.files.items():
        target = material.folder / "tables" / f"{name}.parquet"
        target.parent.mkdir(exist_ok=True)
        shutil.copyfile(path, target)


def csv_path(name: str) -> str:
    """Return the path of a table's file in a pack."""
    return "ledger.csv" if name == "ledger" else f"tables/{name}.csv"


def write_csv(table: pd.DataFrame, path: Path) -> None:
    """Write a table as text that no spreadsheet runs as a formula."""
    safe = table.copy()
    for column in safe.columns:
        if safe[column].dtype.kind not in "biufM":
            safe[column] = safe[column].astype(object).map(csv_safe)
    safe.columns = [csv_safe(str(column)) for column in safe.columns]
    path.parent.mkdir(exist_ok=True)
    safe.to_csv(path, index=False, lineterminator="\n", encoding="utf-8")


def stamped(rows: Sequence[Mapping[str, Any]], *, simulated: bool) -> pd.DataFrame:
    """Return rows as a table with exact values and integers kept, with the column ``simulated`` if needed."""
    import pandas as pd

    plain = [plain_json(dict(row)) for row in rows]
    # Built column by column, because from rows pandas would convert integers with missing values to floats.
    table = pd.DataFrame({name: pd.Series([row[name] for row in plain], dtype=object) for name in plain[0]})
    return table.assign(simulated="SIMULATED") if simulated else table


def csv_safe(value: Any) -> Any:
    """Return ``value``; text that a spreadsheet would run as a formula gets a leading apostrophe."""
    return f"'{value}" if isinstance(value, str) and value.startswith(_FORMULA_STARTS) else value


@output("json", place=90)
def write_summary(material: Material) -> None:
    """Write the facts, with the keys and fields of their messages."""
    facts = material.result.facts
    write_json({**facts, "messages": recorded(facts)}, material.folder / "summary.json")


@output("parquet", place=80)
def write_parquet(material: Material) -> None:
    """Write the tables as Parquet."""
    (material.folder / "tables").mkdir(exist_ok=True)
    for name, table in material.tables.items():
        table.to_parquet(material.folder / "tables" / f"{name}.parquet", index=False)
    copy_files(material)
