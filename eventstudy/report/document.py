"""A page before any format: a document of sections, a section of blocks.

`run`, `pool` and `simulate` each make one document; a renderer of `eventstudy.report.render` sets
any document. Every string is plain text: what is markup in a format is for its renderer to escape.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields, is_dataclass, replace
from typing import Any, ClassVar, Literal


@dataclass(frozen=True, slots=True)
class Paragraph:
    """Some sentences; ``lead`` are words in strong type before them."""

    type: ClassVar[str] = "paragraph"
    text: str
    lead: str = ""
    tone: Literal["plain", "note", "emphasis"] = "plain"


@dataclass(frozen=True, slots=True)
class BulletList:
    """Sentences of one kind; ``more`` is said where a page has no room for all of them."""

    type: ClassVar[str] = "bullets"
    items: tuple[Paragraph, ...]
    more: str = ""


@dataclass(frozen=True, slots=True)
class Facts:
    """Names with their values.

    ``pairs`` sets values to the right, ``grid`` beside their names; ``line`` puts all into one line, after
    ``title`` where there is one. ``links`` name for each row the section that says more, or nothing.
    """

    type: ClassVar[str] = "facts"
    rows: tuple[tuple[str, str], ...]
    layout: Literal["pairs", "grid", "line"] = "grid"
    title: str = ""
    links: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Column:
    """The head of a column and how its cells are set.

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
        Its columns, see `Column`.
    rows : tuple of tuple of str
        Its cells, as they are printed.
    name : str
        Of its file where a format writes tables apart; empty for one that has none.
    title, caption : str
        Heading above it; what it is called for those who listen.
    note, left_out : str
        What stands above it; what is said of rows that it leaves out.
    mark, mark_note : str
        End of cells that a reader is warned of; why, said under the table.
    foot : str
        What else is said under it.
    layout
        ``matrix`` sets many narrow columns with upright heads.
    totals : int
        How many of its last rows a rule sets off.
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
    """A drawing by the name of its file; ``alt`` says what it shows to those who cannot see it."""

    type: ClassVar[str] = "figure"
    name: str
    alt: str
    narrow: bool = False


@dataclass(frozen=True, slots=True)
class Callout:
    """The one sentence that a reader is to take away."""

    type: ClassVar[str] = "callout"
    text: str
    kind: Literal["verdict", "warning"] = "verdict"


@dataclass(frozen=True, slots=True)
class Group:
    """Blocks that stay together under a title of their own: a ``panel`` on its ground, or ``whole`` on one page."""

    type: ClassVar[str] = "group"
    title: str
    blocks: tuple[Block, ...]
    kind: Literal["panel", "whole"] = "whole"


@dataclass(frozen=True, slots=True)
class Columns:
    """Blocks side by side, one tuple a column."""

    type: ClassVar[str] = "columns"
    parts: tuple[tuple[Block, ...], ...]


Block = Paragraph | BulletList | Facts | TableBlock | FigureBlock | Callout | Group | Columns


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """Some blocks under a heading.

    ``fitted`` sets it on one page whatever it has to say; ``level`` 2 belongs to the section before it;
    ``folded`` is opened by the reader where a format can; ``appendix`` is set in smaller type.
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
    """Everything that a page says.

    Attributes
    ----------
    title, subject : str
        What it is about, and what it is, such as "event study".
    origin : tuple of str
        Where its numbers come from: the run, then the newest day of the data, then the source.
    sections
        Its sections, in order.
    banner : str
        What is said on every page where prices were simulated; empty where they were not.
    notice : str
        What is said above everything else, such as that a font is missing.
    language, kind : str
        Of its words; what the study measures.
    author : str
        Who signs it; empty for nobody.
    meta : Mapping
        What templates of a user's own may ask for besides, such as ``verdict``.
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
        """Yield all blocks, those within others too."""
        for section in self.sections:
            yield from walk(section.blocks)

    def tables(self) -> dict[str, TableBlock]:
        """Return the tables that have a file of their own and at least one row, by name."""
        tables = (block for block in self.blocks() if isinstance(block, TableBlock))
        return {table.name: table for table in tables if table.name and table.rows}

    def figures(self) -> dict[str, FigureBlock]:
        """Return the figures by name."""
        return {block.name: block for block in self.blocks() if isinstance(block, FigureBlock)}


def walk(blocks: Sequence[Block]) -> Iterator[Block]:
    """Yield blocks, and after each what is within it."""
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
