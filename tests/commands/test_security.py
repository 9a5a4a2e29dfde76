"""What the package never does, read from its own source."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[2] / "eventstudy"
FILES = sorted(PACKAGE.rglob("*.py"))
MODULES = {"pickle", "cPickle", "dill", "shelve", "marshal", "subprocess", "pty", "code", "yaml"}
CALLS = {"eval", "exec", "compile", "__import__"}
ATTRIBUTES = {
    ("os", "system"),
    ("os", "popen"),
    ("os", "execv"),
    ("os", "spawnl"),
    ("np", "load"),
    ("numpy", "load"),
    ("pd", "read_pickle"),
    ("pd", "eval"),
    ("joblib", "load"),
}


def findings(source: str) -> list[str]:
    """Names of what is forbidden in a module's source, with their lines."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found += [f"{node.lineno}: {a.name}" for a in node.names if a.name.split(".")[0] in MODULES]
        elif isinstance(node, ast.ImportFrom) and not node.level:
            if (node.module or "").split(".")[0] in MODULES:
                found.append(f"{node.lineno}: {node.module}")
        elif isinstance(node, ast.Call):
            call = node.func
            if isinstance(call, ast.Name) and call.id in CALLS:
                found.append(f"{node.lineno}: {call.id}")
            named = isinstance(call, ast.Attribute) and isinstance(call.value, ast.Name)
            if named and (call.value.id, call.attr) in ATTRIBUTES:
                found.append(f"{node.lineno}: {call.value.id}.{call.attr}")
            found += [
                f"{node.lineno}: {option.arg}"
                for option in node.keywords
                if option.arg in ("shell", "allow_pickle") and getattr(option.value, "value", True)
            ]
    return found


@pytest.mark.parametrize("path", FILES, ids=[str(path.relative_to(PACKAGE)) for path in FILES])
def test_no_pickle_no_evaluation_no_shell(path: Path) -> None:
    assert findings(path.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("import pickle", ["1: pickle"]),
        ("from subprocess import run", ["1: subprocess"]),
        ("x = eval('1')", ["1: eval"]),
        ("import os\nos.system('ls')", ["2: os.system"]),
        ("np.load('x', allow_pickle=True)", ["1: np.load", "1: allow_pickle"]),
        ("run('ls', shell=True)", ["1: shell"]),
        ("re.compile('x')", []),
        ("from .code import x", []),
    ],
)
def test_the_search_finds_what_it_looks_for(source: str, found: list[str]) -> None:
    assert findings(source) == found
