"""report.html: the pages in one file."""

from __future__ import annotations

from eventstudy.report.html import write_html
from eventstudy.report.output import Material, output


@output("html", place=20, pages=True, apart=True, says="report.html")
def write(material: Material) -> None:
    """Write the page."""
    write_html(material.content, material.home, material.folder / "report.html", material.templates)
