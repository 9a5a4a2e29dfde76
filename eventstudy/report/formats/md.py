"""summary.md."""

from __future__ import annotations

from eventstudy.report.markdown import markdown
from eventstudy.report.output import Material, output


@output("md", place=70, words=True)
def write(material: Material) -> None:
    """Write verdict and small tables as Markdown."""
    path = material.folder / "summary.md"
    path.write_text(markdown(material.content), encoding="utf-8", newline="\n")
