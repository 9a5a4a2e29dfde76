"""The conformance fixtures are what their script makes, this package is right on each, the page is of the results."""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[1] / "conformance"
FIXTURES = sorted(path.name for path in (ROOT / "fixtures").iterdir())


def _load(path: Path) -> Any:
    spec = importlib.util.spec_from_file_location(f"conformance {path.stem}", path)
    assert spec is not None
    assert spec.loader is not None
    module = sys.modules[spec.name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


run = _load(ROOT / "run.py")
adapter = _load(ROOT / "adapters" / "this-package.py")


def _values(name: str) -> dict[str, float]:
    return {run.key(row): row["value"] for row in run.expected(ROOT / "fixtures" / name)}


def test_the_fixtures_are_what_their_script_makes(tmp_path: Path) -> None:
    made = _load(ROOT / "make_fixtures.py")
    made.main(tmp_path / "again")
    assert sorted(path.name for path in (tmp_path / "again").iterdir()) == FIXTURES
    for path in sorted((tmp_path / "again").glob("*/*")):
        kept = ROOT / "fixtures" / path.parent.name / path.name
        if path.name != "expected.json":
            assert path.read_bytes() == kept.read_bytes(), kept
            continue
        for again, before in zip(run.expected(path.parent), run.expected(kept.parent), strict=True):
            # What a library fits may end a little elsewhere with another version of it.
            near = before["tolerance"] if path.parent.name in ("model_garch", "model_egarch") else 1e-12
            assert again.pop("value") == pytest.approx(before.pop("value"), rel=1e-9, abs=near), before
            assert again.pop("other", {}) == pytest.approx(before.pop("other", {}), rel=1e-9)
            assert again == before


@pytest.mark.parametrize("name", FIXTURES)
def test_this_package_is_right(name: str) -> None:
    fixture = adapter.reading.read(ROOT / "fixtures" / name)
    answers = adapter.reading.answers(fixture, adapter.offers, adapter.compute)
    wrong = {
        run.key(row): (answers[run.key(row)], row["value"])
        for row in run.expected(fixture.folder)
        if run.status(row, answers[run.key(row)], {}) != "right"
    }
    assert wrong == {}


def test_results_and_page_agree() -> None:
    results = json.loads((ROOT / "results.json").read_text(encoding="utf-8"))
    assert list(results) == list(run.PACKAGES)
    assert run.PAGE.read_text(encoding="utf-8") == run.page(results)
    for found in results.values():
        for name, answers in found["answers"].items():
            assert answers.pop("of") == run.digest(ROOT / "fixtures" / name), f"{name} has changed: run it again"
            assert set(answers) <= set(_values(name))
    for name in FIXTURES:
        ours = results["this-package"]["answers"][name]
        assert {run.status(row, ours[run.key(row)], {}) for row in run.expected(ROOT / "fixtures" / name)} == {"right"}


def test_an_answer_is_judged_by_its_tolerance_and_by_what_is_documented() -> None:
    row = {"quantity": "car", "value": 0.02, "tolerance": 1e-8, "other": {"gross": 0.03}}
    answers = (None, {"error": "NaN"}, 0.02 + 5e-9, 0.02 + 2e-8, 0.03)
    assert [run.status(row, answer, {}) for answer in answers] == [
        "not offered",
        "fails",
        "right",
        "differs",
        "differs",
    ]
    assert run.status(row, 0.03, {"car": "gross"}) == "other definition"
    rows = [{**row, "window": [0, day]} for day in range(3)]
    assert run.cell(rows, {"car [0,0]": 0.02, "car [0,1]": 0.025}, {}) == "right (1 of 2), differs by 25 % (1 of 2)"
    assert run.cell(rows, {}, {}) == "–"


def test_the_fixtures_are_small_and_say_what_they_are_for() -> None:
    common, permuted, doubled = (_values(n) for n in ("tests_common_date", "names_permuted", "shock_doubled"))
    statistics = [name for name in permuted if not name.startswith("car ")]
    assert {n: permuted[n] for n in statistics} == pytest.approx({n: common[n] for n in statistics}, rel=1e-12)
    assert doubled["portfolio_t [0,0]"] == pytest.approx(2 * common["portfolio_t [0,0]"], rel=1e-5)
    sizes = [sum(file.stat().st_size for file in (ROOT / "fixtures" / name).iterdir()) for name in FIXTURES]
    assert max(sizes) < 100_000
    assert sum(sizes) < 1_000_000
    percent = adapter.reading.read(ROOT / "fixtures" / "returns_in_percent")
    assert percent.returns["ABLE"].std() > 1
