"""Pages independent of a format: a document consists of sections, a section of blocks.

`run`, `pool` and `simulate` each make one document; the renderers in `eventstudy.report.render` write any document.
Every string is plain text; each renderer escapes the markup of its format.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields, is_dataclass, replace
from typing import Any, ClassVar, Literal


@dataclass(frozen=True, slots=True)
class Paragraph:
    """Sentences; ``lead`` is printed in bold before them."""

    type: ClassVar[str] = "paragraph"
    text: str
    lead: str = ""
    tone: Literal["plain", "note", "emphasis"] = "plain"


@dataclass(frozen=True, slots=True)
class BulletList:
    """A list of sentences; ``more`` is printed if a page has no room for all of them."""

    type: ClassVar[str] = "bullets"
    items: tuple[Paragraph, ...]
    more: str = ""


@dataclass(frozen=True, slots=True)
class Facts:
    """Names with their values.

    ``pairs`` aligns values on the right, ``grid`` next to their names; ``line`` puts all into one line, after
    ``title`` if there is one. ``links`` has for each row the section with details, or nothing.
    """

    type: ClassVar[str] = "facts"
    rows: tuple[tuple[str, str], ...]
    layout: Literal["pairs", "grid", "line"] = "grid"
    title: str = ""
    links: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Column:
    """The header of a column and the layout of its cells.

    ``spare`` orders the columns that a narrow page leaves out, the lowest first; 0 is never left out.
    """

    head: str
    kind: Literal["text", "number"] = "text"
    name: str = ""
    spare: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class TableBlock:
    """A table of text.

    Attributes
    ----------
    columns
        Columns of the table, see `Column`.
    rows : tuple of tuple of str
        Cells of the table, as printed.
    name : str
        Name of its file in formats that write tables separately; empty if it has none.
    title, caption : str
        Heading above the table; caption for screen readers.
    note, left_out : str
        Text above the table; note on rows that are left out.
    mark, mark_note : str
        Mark at the end of some cells, and its explanation below the table.
    foot : str
        Further text below the table.
    layout
        ``matrix`` is for many narrow columns with rotated headers.
    totals : int
        Number of last rows that are separated by a rule.
    """

    type: ClassVar[str] = "table"
    columns: tuple[Column, ...]
    rows: tuple[tuple[str, ...], ...]
    name: str = ""
    title: str = ""
    caption: str = ""
    note: str = ""
    left_out: str = ""
    mark: str = ""
    mark_note: str = ""
    foot: str = ""
    layout: Literal["list", "matrix"] = "list"
    totals: int = 0

    @property
    def head(self) -> list[str]:
        """Heads of the columns."""
        return [column.head for column in self.columns]

    @property
    def names(self) -> list[str]:
        """Names of the columns."""
        return [column.name for column in self.columns]

    def filled(self) -> TableBlock:
        """Return the table without columns that have no text in any row."""
        kept = [at for at in range(len(self.columns)) if any(row[at] for row in self.rows)]
        rows = tuple(tuple(row[at] for at in kept) for row in self.rows)
        return replace(self, columns=tuple(self.columns[at] for at in kept), rows=rows)

    def column(self, name: str) -> list[str]:
        """Cells of the column of this name."""
        at = self.names.index(name)
        return [row[at] for row in self.rows]


@dataclass(frozen=True, slots=True)
class FigureBlock:
    """A drawing by the name of its file; ``alt`` describes it for readers who cannot see it."""

    type: ClassVar[str] = "figure"
    name: str
    alt: str
    narrow: bool = False


@dataclass(frozen=True, slots=True)
class Callout:
    """The main sentence of the pages."""

    type: ClassVar[str] = "callout"
    text: str
    kind: Literal["verdict", "warning"] = "verdict"


@dataclass(frozen=True, slots=True)
class Group:
    """Blocks under a common title: a ``panel`` with a background, or ``whole`` to keep them on one page."""

    type: ClassVar[str] = "group"
    title: str
    blocks: tuple[Block, ...]
    kind: Literal["panel", "whole"] = "whole"


@dataclass(frozen=True, slots=True)
class Columns:
    """Blocks side by side, one tuple for each column."""

    type: ClassVar[str] = "columns"
    parts: tuple[tuple[Block, ...], ...]


Block = Paragraph | BulletList | Facts | TableBlock | FigureBlock | Callout | Group | Columns


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """Some blocks under a heading.

    ``fitted`` fits it on one page; a section with ``level`` 2 belongs to the one before it; ``folded`` sections are
    collapsed in formats that allow it; ``appendix`` is printed in smaller type.
    """

    name: str
    heading: str = ""
    blocks: tuple[Block, ...]
    level: int = 1
    fitted: bool = False
    folded: bool = False
    appendix: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """The content of the pages.

    Attributes
    ----------
    title, subject : str
        Title, and kind of document, such as "event study".
    origin : tuple of str
        Origin of the numbers: the run, the newest day of the data, the source.
    sections
        Its sections, in order.
    banner : str
        Text on every page if prices were simulated; else empty.
    notice : str
        Text above everything else, for example that a font is missing.
    language, kind : str
        Language of its words; quantity of the study.
    author : str
        Author; may be empty.
    meta : Mapping
        Further values for templates of users, such as ``verdict``.
    """

    title: str
    subject: str
    origin: tuple[str, ...]
    sections: tuple[Section, ...]
    banner: str = ""
    notice: str = ""
    language: str = "en"
    kind: str = "return"
    author: str = ""
    meta: Mapping[str, Any] = field(default_factory=dict)

    def section(self, name: str) -> Section:
        """Return the section of this name."""
        return {section.name: section for section in self.sections}[name]

    def blocks(self) -> Iterator[Block]:
        """Yield all blocks, nested ones included."""
        for section in self.sections:
            yield from walk(section.blocks)

    def tables(self) -> dict[str, TableBlock]:
        """Return the tables with a file name and at least one row, by name."""
        tables = (block for block in self.blocks() if isinstance(block, TableBlock))
        return {table.name: table for table in tables if table.name and table.rows}

    def figures(self) -> dict[str, FigureBlock]:
        """Return the figures by name."""
        return {block.name: block for block in self.blocks() if isinstance(block, FigureBlock)}


def walk(blocks: Sequence[Block]) -> Iterator[Block]:
    """Yield blocks, each followed by the blocks in it."""
    for block in blocks:
        yield block
        if isinstance(block, Group):
            yield from walk(block.blocks)
        if isinstance(block, Columns):
            for part in block.parts:
                yield from walk(part)


def plain(part: Any) -> Any:
    """Return a document, or a part of one, as lists and dicts of plain values; blocks say their type."""
    if is_dataclass(part) and not isinstance(part, type):
        values = {item.name: plain(getattr(part, item.name)) for item in fields(part)}
        return values | ({"type": part.type} if hasattr(part, "type") else {})
    if isinstance(part, Mapping):
        return {key: plain(value) for key, value in part.items()}
    return [plain(item) for item in part] if isinstance(part, tuple | list) else part


def table(head: Sequence[str], rows: Sequence[Sequence[str]], *, left: int | None = None, **others: Any) -> TableBlock:
    """Return a table whose first ``left`` columns hold text and the others numbers; by default all hold text."""
    texts = len(head) if left is None else left
    columns = tuple(Column(name, "text" if at < texts else "number") for at, name in enumerate(head))
    return TableBlock(columns=columns, rows=tuple(map(tuple, rows)), **others)
