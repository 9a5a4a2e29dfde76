"""Write a result pack, the same bytes for the same result, and publish it: stage, rename, repoint ``latest``."""

from __future__ import annotations

import functools
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from eventstudy import plots
from eventstudy.config import Report
from eventstudy.errors import ConfigError, Problem
from eventstudy.optional import Missing, Parts, warnings_of
from eventstudy.registry import VIEWS
from eventstudy.report.bundle import write_record
from eventstudy.report.output import FORMATS, Material, Output
from eventstudy.report.packs import MANIFEST
from eventstudy.report.render.pdf import missing_font
from eventstudy.report.staging import UNFINISHED, aside, settle
from eventstudy.results.result import StudyResult
from eventstudy.results.severity import worst_first
from eventstudy.workers import Start, in_turn


@VIEWS.add("pack")
def write_pack(
    result: StudyResult,
    folder: Path,
    *,
    formats: Sequence[str] = Report().formats,
    progress: Callable[[str], None] | None = None,
    start: Start = in_turn,
) -> tuple[Path, ...]:
    """Write ``result`` into an existing empty ``folder`` and return the files, sorted by name.

    The manifest is always written, with the sha256 of every other file under ``outputs``. Simulated tables get a last
    column ``simulated``. ``start`` runs a function in parallel, see `workers.forked_children`; the files are the same
    without it.

    Raises
    ------
    ConfigError
        Unknown format; ``folder`` missing or not empty; templates of the settings missing or not usable.
    """
    _check(folder, formats, result.report.templates)
    say = progress or (lambda _: None)
    outputs = sorted((FORMATS[name] for name in dict.fromkeys(formats)), key=lambda output: output.place)
    # In a results folder the next run removes the files of a killed run; in other folders this must be done here.
    own = folder.parent if folder.parent.name.startswith(UNFINISHED) else None
    with tempfile.TemporaryDirectory(dir=own) as scratch:
        home = Path(scratch) / "figures"
        figures = any(output.pages or output.images for output in outputs)
        drawn: Sequence[plots.Plot] = ()
        if figures:
            drawn, missing = _draw(result, folder, outputs, home, say, start)
            result = _without(result, missing)
        material = Material(
            result=result,
            folder=folder,
            tables={
                name: table.assign(simulated="SIMULATED") if result.simulated else table
                for name, table in result.tables.items()
            },
            drawn=drawn,
            home=home,
            formats=formats,
        )
        if any(output.pages for output in outputs):
            # Made before forking, because children need it too.
            _ = material.document
        begun = [(output.says, start(output.write, material)) for output in outputs if output.apart]
        for output in outputs:
            if not output.apart:
                if output.says:
                    say(output.says)
                output.write(material)
        for says, work in begun:
            say(says)
            work.result()
    note = missing_font(result) if "pdf" in formats else ""
    return write_record({**result.manifest, **({"missing_font": note} if note else {})}, folder, MANIFEST)


def _check(folder: Path, formats: Sequence[str], templates: str) -> None:
    problems = [Problem(f"report format {FORMATS.unknown(name)}") for name in formats if not FORMATS.knows(name)]
    if not folder.is_dir():
        problems.append(Problem("is not a folder; a result pack is written into an existing empty one", str(folder)))
    elif any(folder.iterdir()):
        problems.append(Problem("is not empty; a result pack is written into an empty folder", str(folder)))
    if templates and not Path(templates).is_dir():
        problems.append(
            Problem("is not a folder; report.templates names one with report.typ or report.html.j2", templates)
        )
    if problems:
        raise ConfigError(problems)


def _draw(
    result: StudyResult, folder: Path, outputs: Sequence[Output], home: Path, say: Callable[[str], None], start: Start
) -> tuple[Sequence[plots.Plot], Sequence[Missing]]:
    """Draw each figure once, in two processes; return the drawn and the missing figures."""
    home.mkdir()
    target = folder / "figures" if any(output.images for output in outputs) else None
    if target is not None:
        target.mkdir()
    pages = any(output.pages for output in outputs)
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
    """Return the result with the missing figures listed as not available."""
    if not missing:
        return result
    facts = dict(result.facts)
    facts["not_available"] = [*facts.get("not_available", ()), *(row.as_dict() for row in missing)]
    facts["warnings"] = worst_first([*facts.get("warnings", ()), *warnings_of(missing)])
    return replace(result, facts=facts)


def draw_all(
    result: StudyResult,
    drawn: Sequence[plots.Plot],
    home: Path,
    folder: Path | None,
    pages: bool,
    *,
    say: Callable[[str], None] = lambda _: None,
) -> Sequence[Missing]:
    """Draw each figure twice: without the texts that pages print themselves, and complete for the folder.

    Returns the figures that cannot be drawn; they have no file.
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
    """Return a figure as complete SVG and as SVG for the pages; the latter is empty if there are no pages."""
    figure = plots.draw(result, plot)
    whole = plots.svg_text(figure)
    if not pages:
        return whole, ""
    return whole, plots.without_words(whole, figure) if plot.shock_id else whole


def publish(
    result: StudyResult,
    out: Path,
    *,
    formats: Sequence[str],
    progress: Callable[[str], None] | None = None,
    start: Start = in_turn,
) -> Path:
    """Write the pack into ``out/<run-id>`` and point ``out/latest`` to it.

    If a pack with the same run id and the same content exists, it is not changed. If its content differs, it keeps its
    name and the new pack gets a number. Earlier packs are never changed.

    Raises
    ------
    OSError
        If the disk is full or not writable; partly written files are removed.
    """
    with aside(out) as unfinished:
        write_pack(result, unfinished, formats=formats, progress=progress, start=start)
        target = _target(out, result.run_id, unfinished)
        settle(unfinished, target)
    _point(out / "latest", target.name)
    return target


def _target(out: Path, run_id: str, unfinished: Path) -> Path:
    manifest = (unfinished / "manifest.json").read_bytes() if (unfinished / "manifest.json").exists() else b""
    number = 1
    while True:
        target = out / (run_id if number == 1 else f"{run_id}-{number}")
        there = target / "manifest.json"
        if not target.exists() or (manifest and there.exists() and there.read_bytes() == manifest):
            return target
        number += 1


def _point(link: Path, name: str) -> None:
    """Replace a symbolic link in one step; if links are not allowed, a text file names the pack."""
    aside = link.with_name(f"{UNFINISHED}latest")
    aside.unlink(missing_ok=True)
    try:
        aside.symlink_to(name, target_is_directory=True)
        aside.replace(link)
    except OSError:
        aside.unlink(missing_ok=True)
        link.with_suffix(".txt").write_text(f"{name}\n", encoding="utf-8")
