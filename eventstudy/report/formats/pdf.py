"""report.pdf."""

from __future__ import annotations

from eventstudy import plots
from eventstudy.report.output import Material, output
from eventstudy.report.pages import page_content
from eventstudy.report.pdf import write_pdf
from eventstudy.report.wording import language_of


@output("pdf", place=40, pages=True, says="report.pdf")
def write(material: Material) -> None:
    """Write the PDF; Typst has threads of its own, so this is done in no forked child."""
    # Without a font for it, a page in Chinese would be a page of gaps.
    readable = language_of(material.result) == "en" or plots.cjk_font()
    words = material.content
    if not readable:
        words = page_content(material.result, language="en", drawn=material.drawn)
    write_pdf(words, material.home.parent, material.folder / "report.pdf", templates=material.templates)
