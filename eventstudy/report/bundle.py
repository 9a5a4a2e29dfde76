"""The folder that `pool` and `simulate` write: tables, drawings, pages, and a list of all files."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from eventstudy.config.json_values import plain_json, write_json
from eventstudy.report.document import Document
from eventstudy.report.packs import MANIFEST, sealed, sha256_of
from eventstudy.report.staging import moved_in

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure


@dataclass(frozen=True, kw_only=True)
class Bundle:
    """The content of one folder.

    Attributes
    ----------
    name : str
        Name of the folder; it ends with a digest of the inputs, so that the same study gives the same folder.
    document, pages
        The content of the pages, and the name of their files without the ending.
    tables, drawings
        By path in the folder, without the ending.
    record, facts
        Name and content of the JSON file that also lists every other file with its sha256.
    """

    name: str
    document: Document
    pages: str
    tables: Mapping[str, pd.DataFrame]
    drawings: Mapping[str, Figure] = field(default_factory=dict)
    record: str
    facts: Mapping[str, Any]


def write_bundle(bundle: Bundle, out: Path) -> Path:
    """Write the folder into ``out`` and return it; an existing folder is not changed.

    Raises
    ------
    OSError
        If the disk is full or refuses; what was half written is removed.
    """
    from eventstudy import plots
    from eventstudy.report.render.data import write_csv
    from eventstudy.report.render.html import write_html
    from eventstudy.report.render.md import markdown
    from eventstudy.report.render.pdf import write_pdf

    target, document = out / bundle.name, bundle.document
    if target.exists():
        return target
    with moved_in(out, bundle.name) as folder:
        for name, table in bundle.tables.items():
            write_csv(table, folder / f"{name}.csv")
        for name, figure in bundle.drawings.items():
            plots.save(figure, folder / name)
        text = markdown(document, document.sections, figures=".png")
        (folder / f"{bundle.pages}.md").write_text(text, encoding="utf-8", newline="\n")
        write_html(document, folder, folder / f"{bundle.pages}.html")
        write_pdf(document, folder, folder / f"{bundle.pages}.pdf")
        write_record(bundle.facts, folder, bundle.record)
    return target


def write_record(facts: Mapping[str, Any], folder: Path, name: str) -> tuple[Path, ...]:
    """Write ``facts`` as JSON with the sha256 of every other file of the folder; return all files, sorted."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    outputs = {path.relative_to(folder).as_posix(): sha256_of(path) for path in files}
    content = {**facts, "outputs": outputs}
    write_json(sealed(content) if name == MANIFEST else content, folder / name)
    return tuple(sorted([*files, folder / name]))


def digest(content: Any) -> str:
    """Return a digest of eight characters of a study's inputs."""
    return hashlib.sha256(json.dumps(plain_json(content), sort_keys=True).encode()).hexdigest()[:8]
