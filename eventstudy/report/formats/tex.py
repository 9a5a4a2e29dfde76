"""tables/latex/*.tex."""

from __future__ import annotations

from eventstudy.report.latex import write_latex
from eventstudy.report.output import Material, output


@output("tex", place=60, words=True)
def write(material: Material) -> None:
    """Write the tables of the pages for LaTeX."""
    (material.folder / "tables").mkdir(exist_ok=True)
    write_latex(material.content, material.folder / "tables" / "latex")
