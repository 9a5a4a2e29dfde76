"""The tables of the pages as LaTeX: booktabs tabulars to be read in with \\input."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

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


def write_latex(content: Mapping[str, Any], folder: Path) -> None:
    """Write one .tex a table into ``folder``."""
    folder.mkdir()
    for name, (head, rows, left) in tables_of(content).items():
        if rows:
            (folder / f"{name}.tex").write_text(
                tabular(head, rows, left=left, simulated=bool(content["simulated"])), encoding="utf-8", newline="\n"
            )


def tables_of(content: Mapping[str, Any]) -> dict[str, tuple[list[str], list[list[str]], int]]:
    """Return name → (head, rows, number of leading columns set to the left) of the pages' tables."""
    small, tests, shocks, adjusted = (content[k] for k in ("small_table", "tests", "shocks", "multiplicity"))
    found = {
        "summary": (small["head"], small["rows"], 2),
        "tests": (tests["head"], tests["rows"], 2),
        "multiplicity": (adjusted["head"], adjusted["rows"], 2),
        "shocks": (shocks["head"], [row["cells"] for row in shocks["rows"]], 3),
        "alignment": (content["alignment"]["head"], content["alignment"]["rows"], 9),
        "peers": (content["peer_head"], content["peers"], 9),
    }
    for part in content["extras"]:
        for place, table in enumerate(part["tables"], 1):
            name = part["name"] if place == 1 else f"{part['name']}_{place}"
            left = next((place for place, right in enumerate(table["right"]) if right), len(table["head"]))
            found[name] = (table["head"], table["rows"], left)
    return found


def tabular(head: Sequence[str], rows: Sequence[Sequence[str]], *, left: int, simulated: bool = False) -> str:
    """Return a tabular, or a longtable where it is long; text is escaped."""
    kind = "longtable" if len(rows) > LONG else "tabular"
    columns = "".join("l" if place < left else "r" for place in range(len(head)))
    lines = ["% \\usepackage{booktabs,longtable}; names in Chinese need XeLaTeX or LuaLaTeX with ctex."]
    lines += ["% SIMULATED prices: nothing here is market data."] if simulated else []
    lines += [f"\\begin{{{kind}}}{{@{{}}{columns}@{{}}}}", "\\toprule", _row(head), "\\midrule"]
    lines += ["\\endhead"] if kind == "longtable" else []
    lines += [_row(row) for row in rows]
    lines += ["\\bottomrule"]
    lines += [f"\\multicolumn{{{len(head)}}}{{@{{}}l}}{{SIMULATED}} \\\\"] if simulated else []
    return "\n".join([*lines, f"\\end{{{kind}}}", ""])


def escaped(text: str) -> str:
    """Return ``text`` as LaTeX sets it, on one line; nothing in it is a command."""
    line = " ".join(text.split()).replace("r̄", "\0")
    return "".join(r"$\bar r$" if char == "\0" else _SPECIAL.get(char, char) for char in line)


def _row(cells: Sequence[str]) -> str:
    # A bracket after \\ would be read as its optional argument.
    return " & ".join(f"{{{text}}}" if (text := escaped(cell)).startswith("[") else text for cell in cells) + r" \\"
