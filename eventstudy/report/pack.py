"""Write a result pack: the same result gives the same bytes."""

from __future__ import annotations

import functools
import hashlib
import json
import math
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from eventstudy import plots
from eventstudy.errors import ConfigError, Problem, nearest
from eventstudy.messages import recorded
from eventstudy.optional import Missing, Parts, warnings_of
from eventstudy.report.html import write_html
from eventstudy.report.pages import page_content
from eventstudy.report.pdf import write_pdf
from eventstudy.report.raster import write_pngs
from eventstudy.report.wording import language_of
from eventstudy.report.workbook import write_workbook
from eventstudy.results.result import StudyResult
from eventstudy.results.severity import worst_first
from eventstudy.workers import Start, in_turn

if TYPE_CHECKING:
    import pandas as pd

FORMATS = ("pdf", "html", "png", "xlsx", "csv", "json", "tex", "md", "parquet")
#: Formats that are made of the drawn pages.
_PAGES = frozenset({"pdf", "html", "png"})
DEFAULT_FORMATS = tuple(name for name in FORMATS if name != "parquet")
#: Text that a spreadsheet would take for a formula begins with one of these.
_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")


def write_pack(
    result: StudyResult,
    folder: Path,
    *,
    formats: Sequence[str] = DEFAULT_FORMATS,
    templates: Path | None = None,
    progress: Callable[[str], None] | None = None,
    start: Start = in_turn,
) -> tuple[Path, ...]:
    """Write ``result`` into an existing empty ``folder`` and return the files, sorted by name.

    The manifest is written whatever the formats, with the sha256 of every other file under
    ``outputs``. Simulated tables get a last column ``simulated`` that says so. ``templates`` is a
    folder whose report.typ and report.html.j2 stand in for the shipped ones. ``start`` begins work
    beside other work, see `workers.forked_children`; the files are the same without it.

    Raises
    ------
    ConfigError
        Unknown format; ``folder`` missing or not empty; ``templates`` missing or not usable.
    """
    _check(folder, formats, templates)
    say = progress or (lambda _: None)
    with tempfile.TemporaryDirectory() as scratch:
        home = Path(scratch) / "figures"
        drawn: Sequence[plots.Plot] = ()
        if _PAGES & set(formats):
            drawn, missing = _draw(result, folder, formats, home, say, start)
            result = _without(result, missing)
        content = page_content(result, drawn=drawn) if {"pdf", "html"} & set(formats) else {}
        tables = {name: _stamped(result, table) for name, table in result.tables.items()}
        beside = {}
        if "xlsx" in formats:
            beside["workbook"] = start(write_workbook, result, tables, folder / "tables.xlsx")
        if "html" in formats:
            beside["report.html"] = start(write_html, content, home, folder / "report.html", templates)
        # What Typst makes is made here: a forked child does not have its threads.
        if "png" in formats:
            say("images")
            write_pngs([plot.name for plot in drawn], folder / "figures")
        if "pdf" in formats:
            say("report.pdf")
            _write_pdf(result, content, folder, drawn, home, templates)
        if "csv" in formats:
            say("tables")
            _write_tables(tables, folder)
        _write_small(result, tables, content, folder, formats)
        for name, work in beside.items():
            say(name)
            work.result()
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


def _check(folder: Path, formats: Sequence[str], templates: Path | None) -> None:
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
    if templates is not None and not templates.is_dir():
        problems.append(
            Problem(
                "is not a folder; report.templates names one with report.typ or report.html.j2",
                str(templates),
            )
        )
    if problems:
        raise ConfigError(problems)


def _draw(
    result: StudyResult,
    folder: Path,
    formats: Sequence[str],
    home: Path,
    say: Callable[[str], None],
    start: Start,
) -> tuple[Sequence[plots.Plot], Sequence[Missing]]:
    """Draw each figure once, half of them beside the other half; return those there are and the others."""
    home.mkdir()
    target = folder / "figures" if "png" in formats else None
    if target is not None:
        target.mkdir()
    pages = bool({"pdf", "html"} & set(formats))
    parts = Parts()
    drawn: Sequence[plots.Plot] = parts.optional("figure", lambda: plots.plots_of(result), lambda _: ())
    mine, others = (drawn, ()) if start is in_turn else (drawn[::2], drawn[1::2])
    beside = start(draw_all, result, others, home, target, pages)
    missing = [*parts.missing, *draw_all(result, mine, home, target, pages, say=say), *beside.result()]
    order = [plot.name for plot in drawn]
    missing.sort(key=lambda row: order.index(row.of) if row.of in order else -1)
    lost = {row.of for row in missing}
    return [plot for plot in drawn if plot.name not in lost], missing


def _without(result: StudyResult, missing: Sequence[Missing]) -> StudyResult:
    """Return the result with the figures that could not be drawn among what is not available."""
    if not missing:
        return result
    facts = dict(result.facts)
    facts["not_available"] = [*facts.get("not_available", ()), *(row.as_dict() for row in missing)]
    facts["warnings"] = worst_first([*facts.get("warnings", ()), *warnings_of(missing)])
    return replace(result, facts=facts)


def _write_pdf(
    result: StudyResult,
    content: Mapping[str, Any],
    folder: Path,
    drawn: Sequence[plots.Plot],
    home: Path,
    templates: Path | None,
) -> None:
    # Without a font for it, a page in Chinese would be a page of gaps.
    readable = language_of(result) == "en" or plots.cjk_font()
    words = content if readable else page_content(result, language="en", drawn=drawn)
    write_pdf(words, home.parent, folder / "report.pdf", templates=templates)


def draw_all(
    result: StudyResult,
    drawn: Sequence[plots.Plot],
    home: Path,
    folder: Path | None,
    pages: bool,
    *,
    say: Callable[[str], None] = lambda _: None,
) -> Sequence[Missing]:
    """Draw each figure: for the pages without the words that they set themselves, for the folder whole.

    Returns those that cannot be drawn, of which there is no file.
    """
    parts = Parts()
    for place, plot in enumerate(drawn, 1):
        say(f"figure {place}/{len(drawn)} {plot.name}")
        make = functools.partial(_texts, result, plot, pages=pages)
        whole, page = parts.optional("figure", make, lambda _: ("", ""), of=plot.name)
        if pages and page:
            (home / f"{plot.name}.svg").write_text(page, encoding="utf-8", newline="\n")
        if folder is not None and whole:
            (folder / f"{plot.name}.svg").write_text(whole, encoding="utf-8", newline="\n")
    return parts.missing


def _texts(result: StudyResult, plot: plots.Plot, *, pages: bool) -> tuple[str, str]:
    """Return a figure as SVG whole, and for the pages; the latter is empty where there are none."""
    figure = plots.draw(result, plot)
    whole = plots.svg_text(figure)
    if not pages:
        return whole, ""
    return whole, plots.without_words(whole, figure) if plot.shock_id else whole


def _write_small(
    result: StudyResult,
    tables: Mapping[str, pd.DataFrame],
    content: Mapping[str, Any],
    folder: Path,
    formats: Sequence[str],
) -> None:
    """Write what takes little time: LaTeX, Markdown, Parquet, JSON."""
    if {"tex", "md"} & set(formats) and content.get("language") != language_of(result):
        # Neither needs a figure, so none is looked for.
        content = page_content(result, drawn=())
    if "tex" in formats:
        from eventstudy.report.latex import write_latex

        (folder / "tables").mkdir(exist_ok=True)
        write_latex(content, folder / "tables" / "latex")
    if "md" in formats:
        from eventstudy.report.markdown import markdown

        (folder / "summary.md").write_text(markdown(content), encoding="utf-8", newline="\n")
    if "parquet" in formats:
        _write_parquet(tables, folder)
    if "json" in formats:
        _write_json({**result.facts, "messages": recorded(result.facts)}, folder / "summary.json")


def _write_parquet(tables: Mapping[str, pd.DataFrame], folder: Path) -> None:
    (folder / "tables").mkdir(exist_ok=True)
    for name, table in tables.items():
        table.to_parquet(folder / "tables" / f"{name}.parquet", index=False)


def _stamped(result: StudyResult, table: pd.DataFrame) -> pd.DataFrame:
    return table.assign(simulated="SIMULATED") if result.simulated else table


def _write_tables(tables: Mapping[str, pd.DataFrame], folder: Path) -> None:
    (folder / "tables").mkdir(exist_ok=True)
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
