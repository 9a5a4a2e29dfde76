"""One flow, one direction: a module imports only from modules above it in the list."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import click
import pytest

from eventstudy.cli import cli, main
from eventstudy.commands import SHARED

PACKAGE = Path(__file__).parents[1] / "eventstudy"
ORDER = (
    "errors",
    "messages",
    "optional",
    "workers",
    "registry",
    # What is known of exchanges is ground; calendars and rules of a study stand on it.
    "exchanges.exchange",
    "exchanges.tickers",
    "readers",
    "config",
    "events",
    "exchanges",
    "shocks",
    "prices",
    "core",
    "reversal",
    "backtest",
    "simulate",
    "large",
    "fast",
    "results",
    "study",
    "pooling",
    "plots",
    "report",
    "api",
    "commands",
    "cli",
    "__main__",
)
#: Most lines of a function's body, its docstring not counted: more is no longer read at one glance.
LONGEST = 45
#: Most modules, and most folders, at the top of the package.
MODULES, FOLDERS = 10, 16
#: Files that import by a name made at run time, and what they find so.
LOADERS = {
    "__init__.py": "public names on first use",
    "registry.py": "files that declare something, entry points",
    "cli.py": "the file of a command",
    "exchanges/calendars.py": "modules of exchange_calendars",
}
KERNELS = ("core", "reversal", "backtest", "simulate")
HEAVY_IN_KERNELS = ("pandas", "matplotlib", "yfinance", "click", "rich", "requests")


def room(path: Path) -> str:
    return place_of(path.relative_to(PACKAGE).with_suffix("").parts)


def place_of(parts: Sequence[str]) -> str:
    """The place of a dotted name in `ORDER`: a module's own, or that of its folder."""
    own = ".".join(parts[:2])
    return own if own in ORDER else parts[0]


def imports(path: Path) -> list[tuple[str, bool]]:
    """Return (dotted name, at run time) of all that a file imports, in functions and by strings too."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    typing_only = {
        id(node)
        for block in ast.walk(tree)
        if isinstance(block, ast.If) and "TYPE_CHECKING" in ast.unparse(block.test)
        for node in ast.walk(block)
    }
    package = ["eventstudy", *path.relative_to(PACKAGE).with_suffix("").parts]
    found: list[tuple[str, bool]] = []
    for node in ast.walk(tree):
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = ".".join(package[: len(package) - node.level]) if node.level else ""
            stem = ".".join(part for part in (base, node.module or "") if part)
            names = [_module(stem, alias.name) for alias in node.names]
        elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith(("import_module", "__import__")):
            names = [_literal(node.args[0])]
        found += [(name, id(node) not in typing_only) for name in names if name]
    return found


def _module(stem: str, name: str) -> str:
    """``from stem import name``: the submodule, where the name is one."""
    place = PACKAGE.parent.joinpath(*stem.split("."), name)
    inside = stem.split(".")[0] == "eventstudy"
    return f"{stem}.{name}" if inside and (place.is_dir() or place.with_suffix(".py").exists()) else stem


def _literal(argument: ast.expr) -> str:
    """Name of a module that is written out; empty for one made at run time."""
    return argument.value if isinstance(argument, ast.Constant) and isinstance(argument.value, str) else ""


def dotted(path: Path) -> str:
    parts = ["eventstudy", *path.relative_to(PACKAGE).with_suffix("").parts]
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


FILES = sorted(path for path in PACKAGE.rglob("*.py") if path != PACKAGE / "__init__.py")


@pytest.mark.parametrize("path", FILES, ids=[str(path.relative_to(PACKAGE)) for path in FILES])
def test_a_module_imports_only_from_above(path: Path) -> None:
    here = room(path)
    assert here in ORDER, f"{here} has no place in the order of modules"
    for name, _ in imports(path):
        parts = name.split(".")
        if parts[0] != "eventstudy" or len(parts) == 1:
            continue
        other = place_of(parts[1:])
        if other in ORDER:
            assert ORDER.index(other) <= ORDER.index(here), f"{here} imports {other} from below"


def test_no_circle_of_imports() -> None:
    """Of all imports: at the top, in functions, by strings, and for types alone.

    The package itself, whose names come on first use, is left out: see the test of its version.
    """
    graph = {dotted(path): {name for name, _ in imports(path)} for path in FILES}
    done: set[str] = set()

    def walk(module: str, trail: tuple[str, ...]) -> None:
        assert module not in trail, " -> ".join((*trail[trail.index(module) :], module))
        if module not in done:
            for name in sorted(graph[module] & set(graph) - {module}):
                walk(name, (*trail, module))
            done.add(module)

    for module in sorted(graph):
        walk(module, ())


def test_of_the_package_itself_modules_take_the_version_alone() -> None:
    taken = {
        alias.name
        for path in FILES
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.ImportFrom) and node.module == "eventstudy"
        for alias in node.names
        if _module("eventstudy", alias.name) == "eventstudy"
    }
    assert taken == {"__version__"}


def test_modules_named_at_run_time_are_imported_by_loaders_alone() -> None:
    users = set()
    for path in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and ast.unparse(node.func).endswith(("import_module", "__import__")):
                named = _literal(node.args[0])
                assert not named.startswith("eventstudy"), f"{path}: write 'import {named}'"
                users |= set() if named else {path.relative_to(PACKAGE).as_posix()}
    assert users == set(LOADERS)


@pytest.mark.parametrize("path", [p for p in FILES if room(p) in KERNELS], ids=str)
def test_kernels_know_no_pandas_and_no_input_or_output(path: Path) -> None:
    found = {name.split(".")[0] for name, at_run_time in imports(path) if at_run_time}
    assert not found & set(HEAVY_IN_KERNELS)


def test_the_core_knows_no_words_no_files_and_no_clock() -> None:
    """It computes on arrays and typed inputs, and says why by codes; `text` of messages makes words at the edge."""
    apart = ("messages", "report", "results", "readers")
    for path in (PACKAGE / "core").rglob("*.py"):
        names = {name for name, _ in imports(path)}
        assert not {name for name in names if name.startswith(tuple(f"eventstudy.{room}" for room in apart))}, path
        assert not {name.split(".")[0] for name in names} & {"pandas", "os", "io", "time", "pathlib"}, path
        called = {
            ast.unparse(node.func)
            for node in ast.walk(ast.parse(path.read_text("utf-8")))
            if isinstance(node, ast.Call)
        }
        assert not {name for name in called if name == "open" or name.endswith((".now", ".today", ".read_text"))}, path


def test_yfinance_is_imported_in_one_place() -> None:
    users = {str(p.relative_to(PACKAGE)) for p in FILES if any(n.split(".")[0] == "yfinance" for n, _ in imports(p))}
    assert users == {"prices/yahoo.py"}


def test_help_imports_neither_pandas_nor_numpy() -> None:
    code = (
        "import sys; from eventstudy.cli import main; main(['--help']);"
        "print(sorted(m for m in ('numpy', 'pandas', 'scipy', 'matplotlib') if m in sys.modules))"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert out.strip().endswith("[]")


def test_help_of_all_commands_imports_nothing_of_the_package_but_commands() -> None:
    code = (
        "import sys; from eventstudy.cli import main; main(['--help']);"
        "print(sorted({'.'.join(m.split('.')[:2]) for m in sys.modules if m.startswith('eventstudy.')}))"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    light = ["cli", "commands", "errors", "exchanges"]
    assert out.strip().splitlines()[-1] == str([f"eventstudy.{name}" for name in light])
    assert "  sectors     List the sectors of the package" in out
    assert "  check     Check EVENTS" in out


def test_a_command_is_a_file_and_only_its_own_is_imported(capsys: pytest.CaptureFixture[str]) -> None:
    context = click.Context(cli)
    files = {path.stem for path in (PACKAGE / "commands").iterdir() if not path.name.startswith("__")}
    assert {name.replace("-", "_") for name in cli.list_commands(context)} == files - set(SHARED)
    code = (
        "import sys; from eventstudy.cli import main; main(['sectors', '--help']);"
        "print(sorted(m for m in sys.modules if m.startswith('eventstudy.commands.')))"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    loaded = ["help_layout", "machine", "sectors"]
    assert out.strip().endswith(str([f"eventstudy.commands.{name}" for name in loaded]))
    assert main(["chek"]) == 2
    assert "No such command 'chek'" in capsys.readouterr().err


def test_check_imports_nothing_that_estimates_or_draws(tmp_path: Path) -> None:
    events = PACKAGE / "sectors" / "healthcare" / "events.csv"
    code = (
        "import sys; from eventstudy.cli import main;"
        f"assert main(['check', {str(events)!r}, '--sector', 'healthcare', "
        "'--prices', 'example:healthcare']) == 0;"
        "names = ('statsmodels', 'arch', 'matplotlib', 'yfinance');"
        "print(sorted(m for m in names if m in sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=tmp_path)
    assert done.stdout.strip().endswith("[]")


def test_a_study_imports_no_library_that_it_does_not_use() -> None:
    """Each of these takes as long to import as many a study takes to compute."""
    folder = PACKAGE / "sectors" / "healthcare"
    code = (
        "import sys; from pathlib import Path; from eventstudy.config import load_config;"
        "from eventstudy.events import read_events; from eventstudy.prices.sources import get_prices;"
        "from eventstudy.study import run_study;"
        f"events = read_events(Path({str(folder / 'events.csv')!r}));"
        "config = load_config(Path(events.path), sector='healthcare');"
        "prices = get_prices(events, config, 'example:healthcare', tell=lambda _: None);"
        "result = run_study(events, config, prices); assert len(result.tables['track_record']);"
        "names = ('scipy.stats', 'scipy.optimize', 'statsmodels', 'arch', 'numba', 'yfinance', 'matplotlib');"
        "print(sorted(m for m in names if m in sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip().endswith("[]")


def test_the_tree_of_contributing_is_the_order_of_the_folders() -> None:
    text = (PACKAGE.parent / "CONTRIBUTING.md").read_text(encoding="utf-8")
    tree = re.findall(r"^  (\w[\w.]*)/? ", text.partition("```\neventstudy/\n")[2].partition("```")[0], re.M)
    assert [name.removesuffix(".py") for name in tree] == [
        name for name in ORDER if name != "__main__" and "." not in name
    ] + ["sectors"]
    inner = re.findall(r"^    (\w[\w.]*)/? ", text, re.M)
    there = {path.name for f in ("core", "reversal") for path in (PACKAGE / f).iterdir() if path.name[0] != "_"}
    assert set(inner) == there


def test_no_room_for_odds_and_ends() -> None:
    assert not {p.stem for p in FILES} & {"utils", "helpers", "types", "common", "misc"}


def lengths(tree: ast.AST) -> dict[str, int]:
    """Lines of each function's body without its docstring; those that numba compiles, which inlines none, left out."""
    found: dict[str, int] = {}
    for node in ast.walk(tree):
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        if any(re.search(r"\b(n?jit|vectorize)\b", ast.unparse(decorator)) for decorator in node.decorator_list):
            continue
        body = node.body[1:] if ast.get_docstring(node) is not None else node.body
        found[node.name] = max(found.get(node.name, 0), body[-1].end_lineno - body[0].lineno + 1 if body else 0)
    return found


@pytest.mark.parametrize("path", FILES, ids=[str(path.relative_to(PACKAGE)) for path in FILES])
def test_no_function_is_longer_than_a_screen(path: Path) -> None:
    found = lengths(ast.parse(path.read_text(encoding="utf-8")))
    assert {name: lines for name, lines in found.items() if lines > LONGEST} == {}


def test_the_lines_of_a_function_are_those_of_its_body() -> None:
    long = 'def f():\n    """Say.\n\n    More.\n    """\n' + "    x = 1\n" * 46
    assert lengths(ast.parse(long)) == {"f": 46}
    assert lengths(ast.parse("@njit(cache=True)\n" + long)) == {}
    assert lengths(ast.parse("@registered(name='f')\n" + long)) == {"f": 46}


def test_the_top_of_the_package_can_be_taken_in_at_once() -> None:
    modules = {path.stem for path in PACKAGE.glob("*.py")} - {"__init__", "__main__"}
    folders = {path.parent.name for path in PACKAGE.glob("*/*") if path.parent.name != "__pycache__"}
    assert len(modules) <= MODULES, sorted(modules)
    assert len(folders) <= FOLDERS, sorted(folders)


def test_dotted_names_in_docstrings_and_comments_exist() -> None:
    modules = {".".join(path.relative_to(PACKAGE).with_suffix("").parts): path for path in PACKAGE.rglob("*.py")}
    names: dict[str, set[str]] = {"str": {"format"}}
    for module, path in modules.items():
        tree = ast.parse(path.read_text(encoding="utf-8"))
        parts = module.removesuffix(".__init__").split(".")
        for owner, body in [*((".".join(parts[at:]), tree) for at in range(len(parts))), *classes(tree)]:
            names.setdefault(owner, set()).update(word.id for word in ast.walk(body) if isinstance(word, ast.Name))
            names[owner].update(getattr(node, "name", "") for node in ast.walk(body))
            names[owner].update(str(word.value) for word in ast.walk(body) if isinstance(word, ast.Constant))
    whole = {f".eventstudy.{name.removesuffix('.__init__')}" for name in modules}
    dotted = re.compile(r"(?<!`)`(?:eventstudy\.)?(_?[A-Za-z][\w.]*)\.(\w+)`(?!`)")
    found = [(str(path), *each) for path in modules.values() for each in dotted.findall(path.read_text("utf-8"))]
    assert len(found) > 40
    lost = [each for each in found if each[2] not in names.get(each[1], ())]
    assert [each for each in lost if not any(name.endswith(f".{each[1]}.{each[2]}") for name in whole)] == []


def classes(tree: ast.Module) -> list[tuple[str, ast.AST]]:
    return [(node.name, node) for node in ast.walk(tree) if isinstance(node, ast.ClassDef)]
