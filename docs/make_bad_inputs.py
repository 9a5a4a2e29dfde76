"""Write docs/bad-inputs.md from the results of its own tests: ``python docs/make_bad_inputs.py``.

Runs tests/commands/test_bad_inputs.py, reads the outcome of each row from pytest's JUnit file, and renders
the table. A row whose test failed says so and the script exits with 1.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import xml.etree.ElementTree as ET
from collections.abc import Mapping
from pathlib import Path

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "bad-inputs.md"
HEAD = """# Bad inputs

The table lists faulty or unusual inputs and what `eventstudy` does with each. `docs/make_bad_inputs.py` writes it
from the results of `tests/commands/test_bad_inputs.py`, where each row is a test with the same number. Every test
also checks that the results of an earlier run are unchanged and that `results/latest` is a complete pack.

Exit codes: 2 bad input, 3 no usable event, 4 prices not available, 5 integrity failure, 130 interrupted. **Dropped**
means a row in `ledger.csv` with the reason, counted on page 1.

| # | input | result | test |
|---|---|---|---|
"""


def outcomes(junit: Path) -> dict[int, str]:
    """Return ``passed``, ``failed`` or ``skipped`` for each row's number."""
    found: dict[int, str] = {}
    for case in ET.parse(junit).iter("testcase"):  # noqa: S314 - written by pytest a moment ago
        name = case.get("name", "")
        if name.startswith("test_bad_input["):
            number = int(name.partition("[")[2].rstrip("]"))
            kinds = {child.tag for child in case}
            bad = "failed" if kinds & {"failure", "error"} else "skipped" if "skipped" in kinds else "passed"
            found[number] = bad
    return found


def render(rows: Mapping[int, tuple[str, str]], results: Mapping[int, str]) -> str:
    """Return the page."""
    lines = [
        f"| {number} | {_cell(given)} | {_cell(gets)} | {results.get(number, 'not run')} |"
        for number, (given, gets) in sorted(rows.items())
    ]
    return HEAD + "\n".join(lines) + "\n"


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("<", "&lt;").replace("\n", " ")


def main() -> int:
    """Run the tests and write the page."""
    sys.path[:0] = [str(ROOT / "tests" / name) for name in ("support", "commands")]
    from test_bad_inputs import ROWS

    with tempfile.TemporaryDirectory() as folder:
        junit = Path(folder) / "junit.xml"
        command = [sys.executable, "-m", "pytest", "-q", "tests/commands/test_bad_inputs.py", f"--junitxml={junit}"]
        subprocess.run(command, cwd=ROOT, check=False)  # noqa: S603
        results = outcomes(junit)
    PAGE.write_text(render({n: (r.given, r.gets) for n, r in ROWS.items()}, results), encoding="utf-8")
    return 0 if len(results) == len(ROWS) and set(results.values()) == {"passed"} else 1


if __name__ == "__main__":
    sys.exit(main())
