"""No module decides by the words of a sentence: reasons have codes and fields, see `eventstudy.errors.Reason`."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "eventstudy"
METHODS = ("startswith", "endswith", "removeprefix", "removesuffix", "partition", "rpartition", "split", "rsplit")
#: Words of names that hold sentences.
TEXTS = {
    "advice",
    "error",
    "headline",
    "line",
    "message",
    "messages",
    "note",
    "notes",
    "outcome",
    "problem",
    "reason",
    "reasons",
    "refusal",
    "remark",
    "remarks",
    "said",
    "sentence",
    "text",
    "texts",
    "title",
    "told",
    "verdict",
    "warning",
    "warnings",
    "why",
}
#: Texts that are parsed because they come from a file, a command line or another program, never from this package.
FROM_OUTSIDE = {
    ("commands/import_est/__init__.py", "text.rpartition(':')"): "an option of the command, NAME:MIC",
    ("commands/init/new_sector.py", "text.partition(':')"): "an answer of the user, MIC:TICKER",
    ("commands/init/new_sector.py", "text.split(':', 2)"): "an answer of the user, TICKER:MIC:NAME",
    ("prices/yahoo.py", "printable(error or '').partition(' See https://curl.se')"): "words of curl",
}


def sentence_sites(tree: ast.AST) -> Iterator[ast.expr]:
    """Yield the calls and comparisons that look for a piece of a sentence in what is named like a text."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in METHODS:
            if node.args and _is_piece(node.args[0]) and _is_text(node.func.value):
                yield node
        elif (
            isinstance(node, ast.Compare)
            and isinstance(node.ops[0], ast.In | ast.NotIn)
            and _is_piece(node.left)
            and _is_text(node.comparators[0])
        ):
            yield node


def _is_piece(argument: ast.expr) -> bool:
    """Whether a literal, or one of a tuple of them, holds a space between words or ends in a colon."""
    if isinstance(argument, ast.Tuple):
        return any(map(_is_piece, argument.elts))
    if isinstance(argument, ast.JoinedStr):
        return any(_is_piece(part) for part in argument.values)
    value = argument.value if isinstance(argument, ast.Constant) else None
    return isinstance(value, str) and (value.rstrip().endswith(":") or bool(re.search(r"\w \w|\w $|^ \w", value)))


def _is_text(node: ast.expr) -> bool:
    """Whether the last name in an expression is one of a text."""
    names = [
        part.id if isinstance(part, ast.Name) else part.attr
        for part in ast.walk(node)
        if isinstance(part, ast.Name | ast.Attribute)
    ]
    keys = [part.value for part in ast.walk(node) if isinstance(part, ast.Constant) and isinstance(part.value, str)]
    return any(word in TEXTS for name in names + keys for word in name.lower().split("_"))


def test_no_module_decides_by_the_words_of_a_sentence() -> None:
    found = {
        (path.relative_to(PACKAGE).as_posix(), ast.unparse(site))
        for path in sorted(PACKAGE.rglob("*.py"))
        for site in sentence_sites(ast.parse(path.read_text(encoding="utf-8")))
    }
    assert found - set(FROM_OUTSIDE) == set()
    assert set(FROM_OUTSIDE) <= found, "an entry is no longer needed"


@pytest.mark.parametrize(
    "line",
    [
        'row.reason.split(":")[0]',
        'said.startswith("suspect: ")',
        'outcome.message.startswith(("no file", "no row"))',
        '"no adj_close" in note',
        'ledger["reason"].str.split(":")',
        'str(reason).partition(": ")',
        'text.removeprefix("overlaps ")',
        'why.endswith(f"of {n} dates")',
    ],
)
def test_a_parsed_sentence_is_seen(line: str) -> None:
    assert len(list(sentence_sites(ast.parse(line)))) == 1


@pytest.mark.parametrize(
    "line", ['name.split(":")', 'reason.code.split(".")', 'text.split(",")', '"shifted" in statuses']
)
def test_codes_names_and_lists_may_be_taken_apart(line: str) -> None:
    assert list(sentence_sites(ast.parse(line))) == []
