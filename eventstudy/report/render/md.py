"""Write summary.md: the first section as Markdown, for example for a mail."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

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


@output("md", place=70)
def write(material: Material) -> None:
    """Write verdict and small tables as Markdown."""
    document = material.document
    text = markdown(document, [part for part in document.sections if part.name in ("answer", "notes")])
    (material.folder / "summary.md").write_text(text, encoding="utf-8", newline="\n")


def markdown(document: Document, sections: Sequence[Section], *, figures: str = "") -> str:
    """Return sections as Markdown; ``figures`` is the ending of the drawings' files, empty to leave them out."""
    parts = [f"# {escaped(document.title)}", f"**{escaped(document.banner)}**" if document.banner else ""]
    parts.append(" · ".join(escaped(line) for line in (document.author, *document.origin) if line))
    for section in sections:
        parts.append(f"{'#' * (section.level + 1)} {escaped(section.heading)}" if section.heading else "")
        parts += _blocks(section.blocks, figures, section.level + 2)
    return "\n\n".join(part for part in parts if part) + "\n"


def _blocks(blocks: Sequence[Block], figures: str, level: int) -> Iterator[str]:
    for block in blocks:
        if isinstance(block, Paragraph):
            yield _sentence(block)
        elif isinstance(block, Callout):
            yield f"> {escaped(block.text)}"
        elif isinstance(block, BulletList):
            yield "\n".join(f"- {_sentence(item)}" for item in block.items)
        elif isinstance(block, Facts) and block.layout == "line":
            line = " · ".join(escaped(f"{name} {value}".strip()) for name, value in block.rows)
            yield f"**{escaped(block.title)}** {line}" if block.title else line
        elif isinstance(block, Facts):
            yield "\n".join(f"- {escaped(f'{name}: {value}' if name else value)}" for name, value in block.rows)
        elif isinstance(block, TableBlock):
            yield from _table(block, level)
        elif isinstance(block, FigureBlock):
            yield f"![{escaped(block.alt)}]({block.name}{figures})" if figures else ""
        elif isinstance(block, Group):
            yield f"**{escaped(block.title)}**"
            yield from _blocks(block.blocks, figures, level)
        elif isinstance(block, Columns):
            for part in block.parts:
                yield from _blocks(part, figures, level)


def _sentence(block: Paragraph) -> str:
    text = escaped(block.text)
    text = f"*{text}*" if block.tone == "emphasis" else text
    return f"**{escaped(block.lead)}** {text}".rstrip() if block.lead else text


def _table(block: TableBlock, level: int) -> Iterator[str]:
    if not block.rows:
        return
    yield f"{'#' * level} {escaped(block.title)}" if block.title else ""
    yield escaped(block.note)
    lines = ["| " + " | ".join(map(escaped, row)) + " |" for row in (block.head, *block.rows)]
    yield "\n".join([lines[0], "|" + "---|" * len(block.columns), *lines[1:]])
    yield from (escaped(text) for text in (block.mark_note, block.foot, block.left_out))


def escaped(text: str) -> str:
    """Return ``text`` with Markdown's special characters escaped."""
    return "".join(f"\\{char}" if char in "\\`*_{}[]<>#|~$" else char for char in " ".join(text.split()))
