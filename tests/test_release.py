"""What a release needs: one version everywhere, and distributions that hold the whole package and nothing else."""

from __future__ import annotations

import re
import tarfile
import zipfile
from pathlib import Path

import pytest

from eventstudy import __version__

ROOT = Path(__file__).parents[1]


def test_citation_and_changelog_are_of_the_package_version() -> None:
    citation = (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    assert re.findall(r"^version: (.+)$", citation, re.MULTILINE) == [__version__]
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    released = re.findall(r"^## (\d\S+) \((\d{4}-\d\d-\d\d)\)$", changelog, re.MULTILINE)
    assert released[0][0] == __version__
    assert re.findall(r"^date-released: (.+)$", citation, re.MULTILINE) == [released[0][1]]


def test_the_distributions_hold_the_whole_package_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hooks = pytest.importorskip("hatchling.build", reason="hatchling is not installed: nothing can be built")
    monkeypatch.chdir(ROOT)
    with tarfile.open(tmp_path / hooks.build_sdist(str(tmp_path))) as archive:
        archive.extractall(tmp_path / "source", filter="data")
    (source,) = (tmp_path / "source").iterdir()
    package = _files(ROOT / "eventstudy")
    assert _files(source / "eventstudy") == package
    assert {path.name for path in source.iterdir()} >= {"README.md", "docs", "tests", "conformance", "examples"}
    assert not (source / "results").exists()
    # As `python -m build` does: the wheel from what the source distribution holds.
    monkeypatch.chdir(source)
    with zipfile.ZipFile(tmp_path / hooks.build_wheel(str(tmp_path))) as archive:
        names = {name for name in archive.namelist() if ".dist-info/" not in name}
    assert names == {f"eventstudy/{name}" for name in package | {"LICENSE", "constraints.txt"}}
    asked = ("results/result.py", "sectors/healthcare/prices.parquet", "report/locale/zh.toml", "py.typed")
    assert package >= {*asked, "config/schema.py", "exchanges/us.toml", "report/templates/report.typ"}


def _files(folder: Path) -> set[str]:
    """Files below a folder, without what Python and tools leave there."""
    every = (path.relative_to(folder) for path in folder.rglob("*") if path.is_file())
    return {path.as_posix() for path in every if "__pycache__" not in path.parts and path.name != ".eventstudy.lock"}
