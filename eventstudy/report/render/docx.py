"""Write report.docx: text, tables and figures of the report, and the tables for a paper at its end."""

from __future__ import annotations

import datetime as dt
import io
import tempfile
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from eventstudy.errors import ConfigError, Problem
from eventstudy.report.document import (
    Block,
    BulletList,
    Callout,
    Columns,
    Document,
    Facts,
    FigureBlock,
    Group,
    Paragraph,
    Section,
    TableBlock,
)
from eventstudy.report.output import Material, output
from eventstudy.report.render.png import write_pngs
from eventstudy.report.sections.paper import paper
from eventstudy.report.wording import words_of

#: A fixed date, so that the same report gives the same bytes.
_CREATED = dt.datetime(2000, 1, 1)
#: Widths of A4's text and of a narrow figure, in centimetres; largest number of characters that a column
#: is fitted to; font size of a table, in points, by its number of columns.
_TEXT_WIDTH, _NARROW = 17.0, 9.5
_LONGEST = 34
#: Padding of a cell in centimetres; length in characters of columns that are never broken.
_MARGIN, _SHORT = 0.08, 12
_SIZES = ((6, 9.0), (9, 8.0), (99, 7.0))


@output("docx", place=45, pages=True, says="report.docx")
def write(material: Material) -> None:
    """Write the report; not in a forked child, because Typst makes its images."""
    document = material.document
    tables = paper(material.result, words_of(material.result, document.language))
    further = [tables] if tables.blocks else []
    write_docx(document, material.home, material.folder / "report.docx", further)


def write_docx(document: Document, home: Path, path: Path, further: Sequence[Section] = ()) -> None:
    """Write the report and further sections; ``home`` holds the drawings as <name>.svg.

    Raises
    ------
    ConfigError
        If python-docx is not installed.
    """
    word = _opened(document)
    with tempfile.TemporaryDirectory() as scratch:
        images = Path(scratch)
        drawn = [name for name in document.figures() if (home / f"{name}.svg").is_file()]
        for name in drawn:
            (images / f"{name}.svg").write_bytes((home / f"{name}.svg").read_bytes())
        write_pngs(drawn, images)
        word.add_heading(document.title, 0)
        if document.author:
            word.add_paragraph(document.author)
        word.add_paragraph(" · ".join((document.subject, *document.origin)))
        if document.banner:
            word.add_paragraph().add_run(document.banner).bold = True
        for section in (*document.sections, *further):
            if section.heading:
                word.add_heading(section.heading, section.level)
            _add(word, section.blocks, images, section.level + 1)
    made = io.BytesIO()
    word.save(made)
    with zipfile.ZipFile(made) as parts, zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as target:
        for name in parts.namelist():
            target.writestr(zipfile.ZipInfo(name, _CREATED.timetuple()[:6]), parts.read(name), zipfile.ZIP_DEFLATED)


def _opened(document: Document) -> Any:
    """Return an empty A4 document with its properties and the banner in the page header."""
    try:
        import docx
    except ImportError as error:
        message = "report format docx needs the package python-docx; pip install 'eventstudy-kit[word]'"
        raise ConfigError(Problem(message)) from error
    from docx.oxml.ns import qn
    from docx.shared import Cm, Pt

    word = docx.Document()
    known = word.core_properties
    known.title, known.author = document.title[:255], document.author[:255]
    known.created = known.modified = _CREATED
    page = word.sections[0]
    page.page_width, page.page_height = Cm(21), Cm(29.7)
    page.left_margin = page.right_margin = page.top_margin = page.bottom_margin = Cm(2)
    page.header.paragraphs[0].text = document.banner
    page.footer.paragraphs[0].text = " · ".join(document.origin[:2])
    style = word.styles["Normal"]
    style.font.name, style.font.size = "Times New Roman", Pt(10)
    style.element.rPr.rFonts.set(qn("w:eastAsia"), "SimSun")
    return word


def _add(word: Any, blocks: Sequence[Block], images: Path, level: int) -> None:
    for block in blocks:
        if isinstance(block, Paragraph):
            _sentence(word.add_paragraph(), block)
        elif isinstance(block, Callout):
            word.add_paragraph(style="Intense Quote").add_run(block.text)
        elif isinstance(block, BulletList):
            for item in block.items:
                _sentence(word.add_paragraph(style="List Bullet"), item)
        elif isinstance(block, Facts):
            _facts(word, block)
        elif isinstance(block, TableBlock):
            _table(word, block, level)
        elif isinstance(block, FigureBlock):
            _figure(word, block, images)
        elif isinstance(block, Group):
            word.add_heading(block.title, level)
            _add(word, block.blocks, images, level + 1)
        elif isinstance(block, Columns):
            for part in block.parts:
                _add(word, part, images, level)


def _sentence(paragraph: Any, block: Paragraph) -> None:
    if block.lead:
        paragraph.add_run(f"{block.lead} ").bold = True
    paragraph.add_run(block.text).italic = block.tone == "emphasis"


def _facts(word: Any, block: Facts) -> None:
    if block.layout == "line":
        line = " · ".join(f"{name} {value}".strip() for name, value in block.rows)
        _sentence(word.add_paragraph(), Paragraph(line, block.title))
        return
    for name, value in block.rows:
        _sentence(word.add_paragraph(style="List Bullet"), Paragraph(value, f"{name}:" if name else ""))


def _table(word: Any, block: TableBlock, level: int) -> None:
    from docx.enum.table import WD_TABLE_ALIGNMENT
    from docx.enum.text import WD_ALIGN_PARAGRAPH
    from docx.shared import Cm, Pt

    if not block.rows:
        return
    title, headings = (
        block.title or block.caption,
        [p.text for p in word.paragraphs if p.style.name.startswith("Heading")],
    )
    if title and title not in headings:
        word.add_heading(title, level)
    if block.note:
        word.add_paragraph(block.note)
    size, *_ = (points for most, points in _SIZES if len(block.columns) <= most)
    widths = _widths(block, size)
    table = word.add_table(rows=0, cols=len(block.columns), style="Light Shading")
    table.autofit, table.alignment = False, WD_TABLE_ALIGNMENT.CENTER
    _narrow_margins(table)
    for at, width in enumerate(widths):
        table.columns[at].width = Cm(width)
    for cells in (block.head, *block.rows):
        for cell, text, column, width in zip(table.add_row().cells, cells, block.columns, widths, strict=True):
            cell.width = Cm(width)
            paragraph = cell.paragraphs[0]
            paragraph.add_run(text).font.size = Pt(size)
            paragraph.paragraph_format.space_before = paragraph.paragraph_format.space_after = Pt(1)
            if column.kind == "number":
                paragraph.alignment = WD_ALIGN_PARAGRAPH.RIGHT
    _repeat_head(table)
    for text in (block.mark_note, block.foot, block.left_out):
        if text:
            word.add_paragraph().add_run(text).font.size = Pt(8)


def _widths(block: TableBlock, size: float) -> list[float]:
    """Return the widths of the columns, in centimetres, by their longest cells and the longest words of their heads.

    Columns of numbers, days and names get the width of one line; columns of longer texts share the rest.
    """
    letters = [
        min(max([4, *map(len, column.head.split()), *(len(row[at]) for row in block.rows)]), _LONGEST)
        for at, column in enumerate(block.columns)
    ]
    needed = [2 * _MARGIN + 0.027 * size * count for count in letters]
    short = sum(width for width, count in zip(needed, letters, strict=True) if count <= _SHORT)
    long = sum(width for width, count in zip(needed, letters, strict=True) if count > _SHORT)
    if not long or short > 0.8 * _TEXT_WIDTH:
        return [_TEXT_WIDTH * width / (short + long) for width in needed]
    share = (_TEXT_WIDTH - short) / long
    return [width if count <= _SHORT else width * share for width, count in zip(needed, letters, strict=True)]


def _narrow_margins(table: Any) -> None:
    """Use smaller cell margins than Word's default."""
    from docx.oxml import OxmlElement
    from docx.oxml.ns import qn

    margins = OxmlElement("w:tblCellMar")
    for side in ("left", "right"):
        margin = OxmlElement(f"w:{side}")
        margin.set(qn("w:w"), str(round(_MARGIN * 567)))
        margin.set(qn("w:type"), "dxa")
        margins.append(margin)
    # Word requires the parts of a table's properties in order, with the look last.
    table._tbl.tblPr.find(qn("w:tblLook")).addprevious(margins)


def _repeat_head(table: Any) -> None:
    """Repeat the header row on each page."""
    from docx.oxml import OxmlElement
    from docx.oxml.ns import qn

    repeated = OxmlElement("w:tblHeader")
    repeated.set(qn("w:val"), "true")
    table.rows[0]._tr.get_or_add_trPr().append(repeated)


def _figure(word: Any, block: FigureBlock, images: Path) -> None:
    from docx.shared import Cm

    image = images / f"{block.name}.png"
    if not image.is_file():
        return
    shape = word.add_picture(str(image), width=Cm(_NARROW if block.narrow else _TEXT_WIDTH))
    shape._inline.docPr.set("descr", block.alt)
