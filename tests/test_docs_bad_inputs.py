"""The committed table of bad inputs is the one that its tests give."""

from __future__ import annotations

import importlib.util
from pathlib import Path

from test_bad_inputs import ROWS

DOCS = Path(__file__).parents[1] / "docs"


def _script() -> object:
    spec = importlib.util.spec_from_file_location("make_bad_inputs", DOCS / "make_bad_inputs.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_page_names_all_rows_and_each_passed() -> None:
    rows = {number: (row.given, row.gets) for number, row in ROWS.items()}
    expected = _script().render(rows, dict.fromkeys(ROWS, "passed"))  # type: ignore[attr-defined]
    assert (DOCS / "bad-inputs.md").read_text(encoding="utf-8") == expected


def test_outcomes_are_read_from_junit(tmp_path: Path) -> None:
    cases = (
        '<testcase name="test_bad_input[1]"/><testcase name="test_bad_input[2]"><failure/></testcase>'
        '<testcase name="test_bad_input[3]"><skipped/></testcase><testcase name="test_every_row"/>'
    )
    (tmp_path / "j.xml").write_text(f"<testsuites><testsuite>{cases}</testsuite></testsuites>", encoding="utf-8")
    read = _script().outcomes(tmp_path / "j.xml")  # type: ignore[attr-defined]
    assert read == {1: "passed", 2: "failed", 3: "skipped"}
    page = _script().render({1: ("a | b", "<c>"), 4: ("d", "e")}, read)  # type: ignore[attr-defined]
    assert page.endswith("| 1 | a \\| b | &lt;c> | passed |\n| 4 | d | e | not run |\n")
