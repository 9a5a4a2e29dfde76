"""A user's script is checked with the package's own types: no attribute of a result is unknown to mypy."""

from __future__ import annotations

import importlib.util
import os
import re
import subprocess
import sys
import sysconfig
import tomllib
import venv
import zipfile
from pathlib import Path

import pytest

from eventstudy import __version__

ROOT = Path(__file__).parents[2]
SCRIPT = """
from eventstudy import Study, StudyResult, car

result = Study.from_toml("study.toml").run("events.csv")
assert result.verdict is not None
reveal_type(result)
"""
#: What a script reads, and the type that mypy must find.
TYPES = {
    "result.verdict.effect": "float",
    "result.effect.estimate": "float",
    "result.verdict.interval": "tuple[float, float]",
    "result.verdict.n_dates": "int",
    'result.verdicts["all"].sentence': "str",
    'result.tests.get("date_t", (0, 1))': "TestRow",
    'result.tests.get(name="date_t", window=(0, 1), group="all").k_eff': "float",
    'result.tests.get("date_t", (0, 1)).conf_int()': "tuple[float, float]",
    "result.tests.to_frame()": "DataFrame",
    "result.car[0].window": "tuple[int, int]",
    'result.car.one(ticker="AAA", window=(0, 1)).se': "float",
    "[row.caar for row in result.aar]": "list[float]",
    'result.shocks.where(label="misreading")': "Records[ShockRow]",
    "result.drops[0].qualifies": "bool",
    "result.trades[0].net": "float",
    "result.ledger[0].reason": "str",
    "result.counts.used": "int",
    "result.counts.reasons": "Mapping[str, int]",
    "result.warnings[0].text": "str",
    "result.windows.post": "tuple[int, int]",
    "result.model.name": "str",
    "result.simulated": "bool",
    "result.summary()": "str",
    "result.params": "Series[float]",
    'result.params["[0,1]"]': "float",
    "result.pvalues": "Series[float]",
    "result.conf_int(alpha=0.1)": "DataFrame",
    "result.to_frame()": "DataFrame",
    "result.to_latex()": "str",
    'car(events={}, prices={}, benchmark="^GSPC", window=(-1, 1))': "StudyResult",
    'Study(peers=["AAA"], benchmark={"XNYS": "IDX"}, windows=(-1, 1)).settings': "StudyConfig",
}
PIP = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]
WRONG = "wrong: str = result.verdict.effect\n"

pytest.importorskip("mypy", reason="mypy is in the extra 'dev'")


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What mypy has learned of numpy and pandas serves both tests."""
    return tmp_path_factory.mktemp("mypy")


def told(folder: Path, cache: Path, python: Path, path: str = "") -> str:
    """Return what mypy says of the script in strict mode, with the packages of an interpreter."""
    lines = [f"reveal_type({expression})" for expression in TYPES]
    (folder / "script.py").write_text(SCRIPT + "\n".join(lines) + "\n" + WRONG, encoding="utf-8")
    command = [sys.executable, "-m", "mypy", "--strict", "--config-file", os.devnull]
    command += ["--no-error-summary", "--no-pretty", "--hide-error-context"]
    command += ["--cache-dir", str(cache), "--python-executable", str(python), "script.py"]
    if path:
        command += ["--follow-imports", "silent"]
    environment = {**os.environ, "MYPYPATH": path, "PYTHONPATH": ""}
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, env=environment)
    assert done.returncode == 1, done.stdout + done.stderr
    return done.stdout


def check(output: str) -> None:
    revealed = re.findall(r'note: Revealed type is ["\'](.*)["\']$', output, re.MULTILINE)
    # Which module a class is told to be of differs between versions of mypy.
    short = [re.sub(r"\b(?:\w+\.)+(?=\w)", "", text) for text in revealed]
    assert short[:1] == ["StudyResult"], output
    assert dict(zip(TYPES, short[1:], strict=True)) == TYPES
    errors = [line for line in output.splitlines() if ": error:" in line]
    assert len(errors) == 1, output
    assert 'expression has type "float", variable has type "str"' in errors[0]


def test_of_the_sources_a_script_knows_every_type(tmp_path: Path, cache: Path) -> None:
    check(told(tmp_path, cache, Path(sys.executable), str(ROOT)))


def built(folder: Path) -> Path:
    """Return a wheel of the package: by hatchling, or without it with the same files zipped."""
    if importlib.util.find_spec("hatchling") is not None:
        build = [*PIP, "wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", str(folder), str(ROOT)]
        subprocess.run(build, check=True, cwd=folder)
        return next(folder.glob("*.whl"))
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    stem = f"{project['name'].replace('-', '_')}-{__version__}"
    metadata = f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {__version__}\n"
    tag = "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
    texts = {"METADATA": metadata, "WHEEL": tag, "RECORD": ""}
    wheel = folder / f"{stem}-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        for path in sorted((ROOT / "eventstudy").rglob("*")):
            if path.is_file() and "__pycache__" not in path.parts:
                archive.write(path, path.relative_to(ROOT))
        for name, text in texts.items():
            archive.writestr(f"{stem}.dist-info/{name}", text)
    return wheel


def test_of_the_wheel_a_script_knows_every_type(tmp_path: Path, cache: Path) -> None:
    """The wheel brings ``py.typed``: without it mypy takes every name of the package for Any."""
    wheel = built(tmp_path)
    home = tmp_path / "env"
    venv.create(home, system_site_packages=True, symlinks=True)
    scheme = {"base": str(home), "platbase": str(home)}
    packages = Path(sysconfig.get_path("purelib", "venv", scheme))
    # The dependencies are those of this interpreter, which may be a virtual environment itself. Lines of
    # a .pth file within that folder are not read, so that its own eventstudy does not come along.
    (packages / "dependencies.pth").write_text(f"{sysconfig.get_path('purelib')}\n", encoding="utf-8")
    install = ["install", "--no-deps", "--no-index", "--target", str(packages), str(wheel)]
    subprocess.run([*PIP, *install], check=True, cwd=tmp_path)
    python = home / "bin" / "python"
    where = "import eventstudy; print(eventstudy.__file__)"
    found = subprocess.run(
        [python, "-c", where],
        capture_output=True,
        text=True,
        check=True,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": ""},
    ).stdout
    assert Path(found.strip()).is_relative_to(packages)
    check(told(tmp_path, cache, python))
