"""Write tables/latex/*.tex: the tables of the pages and those for a paper, each within the width of the text.

Each file is read in by \\input; ``tables.tex`` sets them all.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from eventstudy.report.document import Column, Document, TableBlock, walk
from eventstudy.report.output import Material, output
from eventstudy.report.sections.paper import paper
from eventstudy.report.wording import CJK, words_of

_SPECIAL = {
    "\\": r"\textbackslash{}",
    "{": r"\{",
    "}": r"\}",
    "$": r"\$",
    "&": r"\&",
    "#": r"\#",
    "_": r"\_",
    "%": r"\%",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "−": "$-$",
    "–": "--",
    "—": "---",
    "±": r"$\pm$",
    "×": r"$\times$",
    "·": r"$\cdot$",
    "…": r"\dots{}",
    "●": r"$\bullet$",
    "†": r"\dag{}",
    "‡": r"\ddag{}",
    "r̄": r"$\bar r$",
    "‘": "`",
    "’": "'",
    "“": "``",
    "”": "''",
    "|": r"\textbar{}",
    '"': "''",
    "²": "$^2$",
    "≥": r"$\ge$",
    "≤": r"$\le$",
    "→": r"$\to$",
    "α": r"$\alpha$",
    "β": r"$\beta$",
    "σ": r"$\sigma$",
    "é": r"\'e",
    "ü": r"\"u",
    "ö": r"\"o",
}
#: A table with more rows breaks over pages, with its header on each.
LONG = 40
PACKAGES = "array,booktabs,graphicx,longtable,threeparttable"
#: Width of the text of LaTeX's article at 10 points on A4, in points: the narrowest that a table must fit.
TEXT_WIDTH = 345.0
#: Font sizes for tables, in points, the largest first.
_SIZES = {"small": 9.3, "footnotesize": 8.5, "scriptsize": 7.9}
#: Smaller sizes for tables that break over pages, because these cannot be scaled.
_LONG_ONLY = {"tiny": 6.8}
#: Space between columns in points, normal and smallest; smallest width of a column of words, in ems.
_GAPS, _NARROWEST = (7.0, 3.5), 6.0
#: Widths of characters of Computer Modern in ems; all others have the width of a digit.
_WIDTHS: Mapping[float, str] = {
    0.31: "ijl.,;:'`!| ",
    0.42: "rstfz()[]I-/",
    0.57: "bdhknpquvxy–",
    0.80: "ABCDEFGHJKLNOPQRSTUVXYZ+−±×=<>·",
    1.03: "mwMW%@…&—",
}
_EMS = {letter: width for width, letters in _WIDTHS.items() for letter in letters}
#: Characters after which a line in a narrow column may break, besides spaces.
_BREAKS = re.compile(r"(?<=[-/_;=])(?=\w)")
_SUFFIX = re.compile(r"[)*]+$")


@dataclass(frozen=True, slots=True)
class _Fit:
    """Font size, space between columns, and column widths in points (0 for the natural width)."""

    size: str
    gap: float
    widths: tuple[float, ...]
    heads: tuple[float, ...]
    shrunk: bool


@output("tex", place=60)
def write(material: Material) -> None:
    """Write the tables of the pages and those for a paper."""
    words = words_of(material.result, material.document.language)
    own = [block for block in paper(material.result, words).blocks if isinstance(block, TableBlock)]
    write_latex(material.document, material.folder / "tables" / "latex", own)


def write_latex(document: Document, folder: Path, further: Iterable[TableBlock] = ()) -> None:
    """Write each table that has a name as ``folder``/<name>.tex, those for a paper first in ``tables.tex``."""
    folder.mkdir(parents=True)
    tables = {table.name: table for table in further} | document.tables()
    if document.language == "en":
        # pdfLaTeX cannot print Chinese characters.
        tables = {name: _without_cjk(table) for name, table in tables.items()}
    for name, table in tables.items():
        _save(folder / f"{name}.tex", tabular(table, simulated=bool(document.banner)))
    _save(folder / "tables.tex", _whole(document, tables))


def _save(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8", newline="\n")


def _whole(document: Document, tables: Mapping[str, TableBlock]) -> str:
    """Return a document with all tables and their captions."""
    chinese = document.language != "en"
    title = document.title if chinese else CJK.sub("", document.title)
    author = document.author if chinese else CJK.sub("", document.author)
    parts = [
        "% Compile with XeLaTeX." if chinese else "% Compile with pdfLaTeX.",
        r"\documentclass[a4paper]{article}",
        f"\\usepackage{{{PACKAGES}}}",
        *([r"\usepackage[scheme=plain]{ctex}"] if chinese else []),
        f"\\title{{{escaped(title)}}}\\author{{{escaped(author)}}}\\date{{{escaped(document.origin[0])}}}",
        r"\begin{document}",
        r"\maketitle",
    ]
    headings = {
        block.name: section.heading
        for section in document.sections
        for block in walk(section.blocks)
        if isinstance(block, TableBlock)
    }
    for name, table in tables.items():
        caption = escaped(table.caption or table.title or headings.get(name) or name)
        if len(table.rows) > LONG:
            parts.append(f"{{\\centering {caption}\\par}}\\input{{{name}}}")
        else:
            parts.append(f"\\begin{{table}}[!htbp]\\centering\\caption{{{caption}}}\\input{{{name}}}\\end{{table}}")
    return "\n".join([*parts, r"\end{document}", ""])


def tabular(table: TableBlock, *, simulated: bool = False) -> str:
    """Return a table with its notes, or a longtable if it is long; text is escaped."""
    fit = _fit(table)
    long = len(table.rows) > LONG
    notes = [text for text in (table.mark_note, table.foot, table.left_out) if text]
    notes += ["SIMULATED"] if simulated else []
    specs = [_spec(column, width) for column, width in zip(table.columns, fit.widths, strict=True)]
    suffixes = [_suffix([row[at] for row in table.rows]) for at in range(len(table.columns))]
    rows = [_row(row, table, fit, suffixes) for row in table.rows]
    if table.totals:
        rows.insert(len(rows) - table.totals, r"\midrule")
    head = " & ".join(_head(*column) for column in zip(table.columns, fit.widths, fit.heads, strict=True))
    lines = [r"\toprule", head + r" \\", r"\midrule", *([r"\endhead"] if long else []), *rows, r"\bottomrule"]
    lines = _long(lines, specs, notes) if long else _short(lines, specs, notes, fit)
    comments = [f"% \\usepackage{{{PACKAGES}}}"]
    comments += ["% SIMULATED prices: nothing here is market data."] if simulated else []
    return "\n".join([*comments, f"{{\\{fit.size}\\setlength{{\\tabcolsep}}{{{fit.gap / 2}pt}}%", *lines, "}", ""])


def _short(lines: Sequence[str], specs: Sequence[str], notes: Sequence[str], fit: _Fit) -> list[str]:
    """Return a tabular of the width of the text, with its notes; with few columns it has its natural width."""
    wide = len(specs) > 3 and not any(fit.widths) and not fit.shrunk
    start = "tabular*}{\\textwidth}{@{\\extracolsep{\\fill}}" if wide else "tabular}{@{}"
    body = [f"\\begin{{{start}{''.join(specs)}@{{}}}}", *lines, f"\\end{{tabular{'*' if wide else ''}}}"]
    items = [f"\\item {escaped(note)}" for note in notes]
    under = [r"\begin{tablenotes}[flushleft]\footnotesize", *items, r"\end{tablenotes}"] if items else []
    whole = [r"\begin{threeparttable}", *body, *under, r"\end{threeparttable}%"]
    return [r"\resizebox{\textwidth}{!}{%", *whole, "}%"] if fit.shrunk else whole


def _long(lines: Sequence[str], specs: Sequence[str], notes: Sequence[str]) -> list[str]:
    """Return a longtable; its notes are its last rows."""
    last = [
        f"\\multicolumn{{{len(specs)}}}{{@{{}}p{{\\textwidth}}@{{}}}}{{\\footnotesize {escaped(note)}}} \\\\"
        for note in notes
    ]
    return [f"\\begin{{longtable}}{{@{{}}{''.join(specs)}@{{}}}}", *lines, *last, r"\end{longtable}"]


def _fit(table: TableBlock) -> _Fit:
    """Return the largest font size at which the table fits, with wide columns broken into lines."""
    columns = [(column, [row[at] for row in table.rows]) for at, column in enumerate(table.columns)]
    own = [max(map(_ems, cells), default=0.0) for _, cells in columns]
    pieces = [[piece for text in (column.head, *cells) for piece in _pieces(text)] for column, cells in columns]
    least = [max(min(width, _NARROWEST), *map(_ems, texts), 0.0) for width, texts in zip(own, pieces, strict=True)]
    wanted = [
        max(width, _ems(column.head)) - small for width, small, (column, _) in zip(own, least, columns, strict=True)
    ]
    sizes = _SIZES | (_LONG_ONLY if len(table.rows) > LONG else {})
    options = [(size, em, gap) for gap in _GAPS for size, em in sizes.items()]
    rooms = [(TEXT_WIDTH - gap * (len(columns) - 1)) / em - sum(least) for _, em, gap in options]
    chosen = next((at for at, room in enumerate(rooms) if room >= 0.0), len(options) - 1)
    size, em, gap = options[chosen]
    more = _shared(max(rooms[chosen], 0.0), wanted)
    given = [small + added for small, added in zip(least, more, strict=True)]
    widths = [room * em if room < width - 1e-9 else 0.0 for room, width in zip(given, own, strict=True)]
    return _Fit(size, gap, tuple(widths), tuple(given), rooms[chosen] < 0.0)


def _shared(room: float, wanted: Sequence[float]) -> list[float]:
    """Return the width of each column: its full width, or an equal share of the remaining room."""
    given, left = [0.0] * len(wanted), room
    order = sorted(range(len(wanted)), key=wanted.__getitem__)
    for done, at in enumerate(order):
        given[at] = min(wanted[at], left / (len(order) - done))
        left -= given[at]
    return given


def _spec(column: Column, width: float) -> str:
    if width:
        side = "left" if column.kind == "number" else "right"
        return f">{{\\ragged{side}\\arraybackslash}}p{{{width / TEXT_WIDTH:.4f}\\textwidth}}"
    return "r" if column.kind == "number" else "l"


def _head(column: Column, width: float, room: float) -> str:
    """Return the header of a column, broken into lines if it is wider than the column."""
    if width or _ems(column.head) <= room:
        return _broken(column.head) if width else _cell(column.head)
    lines = [""]
    for word in _pieces(column.head):
        if lines[-1] and _ems(lines[-1] + word) > room:
            lines.append("")
        lines[-1] += word
    side = "r" if column.kind == "number" else "l"
    inner = r" \\ ".join(_cell(line) for line in lines)
    return f"\\begin{{tabular}}[b]{{@{{}}{side}@{{}}}}{inner}\\end{{tabular}}"


def _row(cells: Sequence[str], table: TableBlock, fit: _Fit, suffixes: Sequence[str]) -> str:
    """Return one row; brackets and stars are to the right of the aligned ends of the numbers."""
    texts = []
    for cell, column, width, longest in zip(cells, table.columns, fit.widths, suffixes, strict=True):
        if width:
            texts.append(_broken(cell))
        elif column.kind == "number" and longest and cell:
            suffix = _SUFFIX.search(cell)
            bare = cell[: suffix.start()] if suffix else cell
            texts.append(_cell(bare) + (f"\\rlap{{{suffix[0]}}}" if suffix else "") + f"\\phantom{{{longest}}}")
        else:
            texts.append(_cell(cell))
    return " & ".join(texts) + r" \\"


def _suffix(cells: Sequence[str]) -> str:
    """Return the longest bracket or stars at the end of a number in a column."""
    found = [_SUFFIX.search(cell) for cell in cells if cell[:1] and cell[0] in "(−0123456789"]
    return max((match[0] for match in found if match), key=len, default="")


def _cell(text: str) -> str:
    # A bracket after \\ would be read as its optional argument.
    text = escaped(text)
    return f"{{{text}}}" if text.startswith(("[", "*")) else text


def _broken(text: str) -> str:
    """Return the text of a column of given width; lines may break within long names."""
    return r"\allowbreak{}".join(_cell(part) for part in _BREAKS.split(" ".join(text.split())))


def _pieces(text: str) -> list[str]:
    """Return the unbreakable pieces of a text, each with the space after it."""
    return [piece for word in re.findall(r"(?:\[[^\]]*\]|\S)+\s*", text) for piece in _BREAKS.split(word)]


def _ems(text: str) -> float:
    """Return the approximate width of a text in ems; a Chinese character is slightly more than one."""
    return sum(1.1 if CJK.match(char) else _EMS.get(char, 0.52) for char in text.strip())


def _without_cjk(table: TableBlock) -> TableBlock:
    """Return a table without Chinese characters, and without columns that had only these."""
    rows = [[CJK.sub("", cell).strip() for cell in row] for row in table.rows]
    kept = [
        at
        for at in range(len(table.columns))
        if not rows or any(row[at] for row in rows) or not any(row[at] for row in table.rows)
    ]
    return replace(
        table,
        columns=tuple(table.columns[at] for at in kept),
        rows=tuple(tuple(row[at] for at in kept) for row in rows),
    )


def escaped(text: str) -> str:
    """Return ``text`` escaped for LaTeX, on one line."""
    line = " ".join(text.split()).replace("r̄", "\0")
    return "".join(r"$\bar r$" if char == "\0" else _SPECIAL.get(char, char) for char in line)
