"""Write a result pack: the same result gives the same bytes."""

from __future__ import annotations

import hashlib
import json
import math
import shutil
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from eventstudy.errors import ConfigError, Problem, nearest
from eventstudy.results import StudyResult

if TYPE_CHECKING:
    import pandas as pd

FORMATS = ("pdf", "html", "png", "xlsx", "csv", "json")
#: Text that a spreadsheet would take for a formula begins with one of these.
_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")


def write_pack(
    result: StudyResult,
    folder: Path,
    *,
    formats: Sequence[str] = FORMATS,
    progress: Callable[[str], None] | None = None,
) -> tuple[Path, ...]:
    """Write ``result`` into an existing empty ``folder`` and return the files, sorted by name.

    The manifest is written whatever the formats, with the sha256 of every other file under
    ``outputs``. Simulated tables get a last column ``simulated`` that says so.

    Raises
    ------
    ConfigError
        Unknown format, or ``folder`` is missing or not empty.
    """
    _check(folder, formats)
    say = progress or (lambda _: None)
    if {"png", "pdf", "html"} & set(formats):
        with tempfile.TemporaryDirectory() as scratch:
            _write_pages(result, folder, formats, Path(scratch), say)
    tables = {name: _stamped(result, table) for name, table in result.tables.items()}
    if "xlsx" in formats:
        from eventstudy.report.workbook import write_workbook

        say("workbook")
        write_workbook(result, tables, folder / "tables.xlsx")
    if "csv" in formats:
        say("tables")
        _write_tables(tables, folder)
    if "json" in formats:
        _write_json(result.summary, folder / "summary.json")
    return _write_manifest(result, folder)


def csv_safe(value: Any) -> Any:
    """Return ``value``; text that a spreadsheet would run as a formula gets a leading apostrophe."""
    return f"'{value}" if isinstance(value, str) and value.startswith(_FORMULA_STARTS) else value


def plain_json(value: Any) -> Any:
    """Return ``value`` of plain JSON types: NaN and infinities as None, numpy scalars as numbers."""
    if isinstance(value, Mapping):
        return {str(key): plain_json(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain_json(item) for item in value]
    if hasattr(value, "item") and not isinstance(value, (str, bytes)):
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def _check(folder: Path, formats: Sequence[str]) -> None:
    problems = [
        Problem(f"report format {name!r} is unknown; {nearest(name, FORMATS)}")
        for name in formats
        if name not in FORMATS
    ]
    if not folder.is_dir():
        problems.append(
            Problem("is not a folder; a result pack is written into an existing empty one", str(folder))
        )
    elif any(folder.iterdir()):
        problems.append(Problem("is not empty; a result pack is written into an empty folder", str(folder)))
    if problems:
        raise ConfigError(problems)


def _write_pages(
    result: StudyResult, folder: Path, formats: Sequence[str], scratch: Path, say: Callable[[str], None]
) -> None:
    """Render each figure once, then the PDF and the HTML page from the same drawings."""
    from eventstudy import plots
    from eventstudy.report.html import write_html
    from eventstudy.report.pages import page_content
    from eventstudy.report.pdf import write_pdf

    figures = plots.plots_of(result)
    home = scratch / "figures"
    home.mkdir()
    for place, plot in enumerate(figures, 1):
        say(f"figure {place}/{len(figures)} {plot.name}")
        suffixes = ("svg", "png") if "png" in formats else ("svg",)
        plots.save(plots.draw(result, plot), home / plot.name, suffixes=suffixes)
    content = page_content(result)
    if "pdf" in formats:
        say("report.pdf")
        write_pdf(content, figures, scratch, folder / "report.pdf")
    if "html" in formats:
        say("report.html")
        write_html(content, figures, home, folder / "report.html")
    if "png" in formats:
        shutil.copytree(home, folder / "figures")


def _stamped(result: StudyResult, table: pd.DataFrame) -> pd.DataFrame:
    return table.assign(simulated="SIMULATED") if result.simulated else table


def _write_tables(tables: Mapping[str, pd.DataFrame], folder: Path) -> None:
    (folder / "tables").mkdir()
    for name, table in tables.items():
        path = folder / "ledger.csv" if name == "ledger" else folder / "tables" / f"{name}.csv"
        safe = table.copy()
        for column in safe.columns:
            if safe[column].dtype.kind not in "biufM":
                safe[column] = safe[column].astype(object).map(csv_safe)
        safe.columns = [csv_safe(str(column)) for column in safe.columns]
        safe.to_csv(path, index=False, lineterminator="\n", encoding="utf-8")


def _write_json(content: Any, path: Path) -> None:
    text = json.dumps(plain_json(content), sort_keys=True, indent=2, allow_nan=False, ensure_ascii=False)
    path.write_text(text + "\n", encoding="utf-8", newline="\n")


def _write_manifest(result: StudyResult, folder: Path) -> tuple[Path, ...]:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    outputs = {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in files
    }
    path = folder / "manifest.json"
    _write_json({**result.manifest, "outputs": outputs}, path)
    return tuple(sorted([*files, path]))
