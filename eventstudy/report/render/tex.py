"""tables/latex/*.tex: the tables of the pages as booktabs tabulars to be read in with \\input."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from eventstudy.report.document import Document, TableBlock
from eventstudy.report.output import Material, output

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
    '"': r"\textquotedbl{}",
}
#: A table longer than this breaks over pages, with its head on each.
LONG = 45


@output("tex", place=60)
def write(material: Material) -> None:
    """Write the tables of the pages for LaTeX."""
    write_latex(material.document, material.folder / "tables" / "latex")


def write_latex(document: Document, folder: Path) -> None:
    """Write each table of the document that has a name as ``folder``/<name>.tex."""
    folder.mkdir(parents=True)
    for name, table in document.tables().items():
        text = tabular(table, simulated=bool(document.banner))
        (folder / f"{name}.tex").write_text(text, encoding="utf-8", newline="\n")


def tabular(table: TableBlock, *, simulated: bool = False) -> str:
    """Return a tabular, or a longtable where it is long; text is escaped."""
    kind = "longtable" if len(table.rows) > LONG else "tabular"
    columns = "".join("r" if column.kind == "number" else "l" for column in table.columns)
    lines = ["% \\usepackage{booktabs,longtable}; names in Chinese need XeLaTeX or LuaLaTeX with ctex."]
    lines += ["% SIMULATED prices: nothing here is market data."] if simulated else []
    lines += [f"\\begin{{{kind}}}{{@{{}}{columns}@{{}}}}", "\\toprule", _row(table.head), "\\midrule"]
    lines += ["\\endhead"] if kind == "longtable" else []
    lines += [_row(row) for row in table.rows]
    lines += ["\\bottomrule"]
    lines += [f"\\multicolumn{{{len(columns)}}}{{@{{}}l}}{{SIMULATED}} \\\\"] if simulated else []
    return "\n".join([*lines, f"\\end{{{kind}}}", ""])


def escaped(text: str) -> str:
    """Return ``text`` as LaTeX sets it, on one line; nothing in it is a command."""
    line = " ".join(text.split()).replace("r̄", "\0")
    return "".join(r"$\bar r$" if char == "\0" else _SPECIAL.get(char, char) for char in line)


def _row(cells: Sequence[str]) -> str:
    # A bracket after \\ would be read as its optional argument.
    return " & ".join(f"{{{text}}}" if (text := escaped(cell)).startswith("[") else text for cell in cells) + r" \\"
