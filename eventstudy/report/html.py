"""The HTML report: one page without outside files; every string is escaped by the template engine."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from eventstudy import plots
from eventstudy.report.pdf import figure_lists


def write_html(content: Mapping[str, Any], figures: Sequence[plots.Plot], home: Path, path: Path) -> None:
    """Write the page; ``home`` holds the drawings as <name>.svg."""
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("eventstudy.report"), autoescape=True, trim_blocks=True,
        lstrip_blocks=True, undefined=jinja2.StrictUndefined,
    )  # fmt: skip
    # As an image an SVG runs no script and its ids cannot meet those of another figure.
    images = {
        plot.name: "data:image/svg+xml;base64,"
        + base64.b64encode((home / f"{plot.name}.svg").read_bytes()).decode()
        for plot in figures
    }
    page = environment.get_template("report.html.j2").render(
        **content, **figure_lists(figures), images=images
    )
    path.write_text(page + "\n", encoding="utf-8", newline="\n")
