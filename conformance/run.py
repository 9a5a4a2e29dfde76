"""Run packages on the fixtures: ``python conformance/run.py [PACKAGE …]``; none named means all of packages.toml.

Each package is installed into an environment of its own and given every fixture. ``results.json`` keeps what it
answered; docs/conformance.md is written from that. ``--environments FOLDER`` keeps the environments,
``--page`` only writes the page.
"""

from __future__ import annotations

import argparse
import datetime as dt
import hashlib
import json
import os
import subprocess
import sys
import tempfile
import tomllib
import venv
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE / "adapters"))

from reading import NOT_OFFERED, key  # noqa: E402

PAGE = HERE.parent / "docs" / "conformance.md"
LISTED: dict[str, dict[str, Any]] = tomllib.loads((HERE / "packages.toml").read_text(encoding="utf-8"))
PACKAGES = {name: package for name, package in LISTED.items() if "not_run" not in package}
SECONDS = 3600
#: Without PYTHONPATH: each package from its own environment alone.
CLEAN = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}


def folders() -> list[Path]:
    """Return the fixtures' folders."""
    return sorted(path for path in (HERE / "fixtures").iterdir() if path.is_dir())


def digest(folder: Path) -> str:
    """Return a short digest of a fixture's files: answers are of these numbers and no others."""
    content = b"".join(path.read_bytes() for path in sorted(folder.iterdir()))
    return hashlib.sha256(content).hexdigest()[:8]


def expected(folder: Path) -> list[dict[str, Any]]:
    """Return what is expected of a fixture, a mapping a number."""
    found: list[dict[str, Any]] = json.loads((folder / "expected.json").read_text(encoding="utf-8"))
    return found


def environment(name: str, kept: Path) -> Path:
    """Return the Python of the package's environment, made where it is not there yet."""
    python = kept / name / "bin" / "python"
    if not python.exists():
        venv.create(kept / name, with_pip=True)
        install = [str(python), "-m", "pip", "install", "--quiet", PACKAGES[name]["install"]]
        subprocess.run(install, check=True, cwd=HERE.parent, env=CLEAN)  # noqa: S603
    return python


def answered(python: Path, name: str, left: list[Path]) -> dict[str, dict[str, Any]]:
    """Return what the package says of each fixture; what it does not offer is left out.

    One process takes them in turn. Where it ends early, the fixture it was at has failed and another goes on.
    """
    found: dict[str, dict[str, Any]] = {}
    digests = {folder.name: digest(folder) for folder in left}
    while left:
        command = [str(python), str(HERE / "adapters" / f"{name}.py"), *map(str, left)]
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, check=False, env=CLEAN)  # noqa: S603
            printed, said = done.stdout, done.stderr.strip().splitlines()[-1:]
        except subprocess.TimeoutExpired as late:
            printed, said = (late.stdout or b"").decode(), [f"no answer within {SECONDS} seconds"]
        lines = [json.loads(line) for line in printed.splitlines() if line.startswith('{"fixture"')]
        found |= {line["fixture"]: _short(line["answers"]) for line in lines}
        left = left[len(lines) :]
        if left:
            failure = {"error": (said or ["no answer"])[0][:120]}
            found[left[0].name] = {key(row): failure for row in expected(left[0])}
            left = left[1:]
        print(name, len(found), "fixtures", flush=True)
    return {fixture: {"of": digests[fixture], **answers} for fixture, answers in found.items() if answers}


def _short(answers: Mapping[str, Any]) -> dict[str, Any]:
    offered = {name: answer for name, answer in answers.items() if answer != NOT_OFFERED}
    return {name: float(f"{v:.10g}") if isinstance(v, float) else v for name, v in offered.items()}


def status(row: Mapping[str, Any], answer: Any, documents: Mapping[str, str]) -> str:
    """Return what an answer is: right, other definition, differs, fails or not offered."""
    if answer is None:
        return NOT_OFFERED
    if isinstance(answer, dict):
        return "fails"
    if abs(answer - row["value"]) <= row["tolerance"]:
        return "right"
    other = row.get("other", {}).get(documents.get(row["quantity"], ""))
    if other is not None and abs(answer - other) <= row["tolerance"]:
        return "other definition"
    return "differs"


def cell(rows: list[dict[str, Any]], answers: Mapping[str, Any], documents: Mapping[str, str]) -> str:
    """Return one cell of the table: the state of one quantity of a fixture, over its events and windows."""
    states = [status(row, answers.get(key(row)), documents) for row in rows]
    offered = [state for state in states if state != NOT_OFFERED]
    if not offered:
        return "–"
    largest = max(abs(row["value"]) for row in rows)
    far = [abs(answers[key(r)] - r["value"]) for r, state in zip(rows, states, strict=True) if state == "differs"]
    parts = []
    for state in ("right", "other definition", "differs", "fails"):
        n = offered.count(state)
        by = f" by {_size(max(far) / largest)}" if state == "differs" and far else ""
        count = f" ({n} of {len(offered)})" if n < len(offered) else ""
        parts += [f"{state}{by}{count}"] if n else []
    return ", ".join(parts)


def _size(share: float) -> str:
    if share >= 10:
        return f"{share:,.0f} times"
    return f"{100 * share:.0f} %" if share >= 0.1 else f"{100 * share:.2g} %"


HEAD = """# Who computes what right

This page compares packages on small event studies with known answers. Each study (fixture) has simulated returns, an
index, events, and the numbers that follow from the formulas in the papers. These numbers were computed by plain loops
that share no code with any package. Some numbers can be found only by a numerical search. These come from a library:
GARCH and EGARCH from `arch` (the best of nine starts), the robust regression from `statsmodels`. The folder
`conformance/` of the source has the fixtures, one adapter for each package, and the command that wrote this page:

<!-- not run: installs other packages -->
```sh
python conformance/run.py
```

Each package runs in its own environment, in the version below, as its documentation says. Its dependencies are
installed in their present versions, so a package may fail because a library is newer than the package.

- **right**: within the tolerance of the fixture: a millionth of the number, for GARCH and EGARCH a ten-thousandth
- **other definition**: a different number, by a definition that the package documents
- **differs by**: a different number; the largest difference, as a share of the largest right number
- **fails**: an error, or no number
- **–**: not offered
"""

FORMAT = """## A fixture

| file | content |
|---|---|
| `returns.csv` or `prices.csv` | `date` and one column for each firm; an empty cell is a day without a price |
| `market.csv` | `date` and the index, `MKT`; for `two_index` also `WORLD` |
| `factors.csv` | for `capm` and `factors`: `Mkt-RF`, `SMB`, `HML`, `RF`, as decimals |
| `events.csv` | `event_id`, `ticker`, `date` |
| `study.json` | model, windows in sessions (both ends included), kind and unit of returns, requested quantities |
| `expected.json` | each number with its quantity, window and tolerance, and its event if it belongs to a single event |

Rules for cases that the formulas leave open:

- Day 0 of an event on a closed day is the next session.
- A return needs the price of its session and of the session before.
- Regressions use only days that have a value of every variable of the regression. No day after the estimation window is
  used, not even for leads.
- `car_se` is the standard error of the prediction. It includes the estimation error; its degrees of freedom are the
  number of days minus the number of coefficients.
- A firm-event with a gap in a window is not in the tests of that window.
- Two identical rows count once.
- `calendar_time` uses the standard error of Newey and West. `date_t`, `ibragimov_mueller` and `portfolio_t` allow for
  overlapping windows.
- A name ending in `_p` is the two-sided p-value.

[Tests](statistics.md) and [Models](models.md) have all formulas. `python conformance/make_fixtures.py` makes all
fixtures again. To add a package, add a file in `conformance/adapters` and a section in `packages.toml`.
"""


def summary(results: Mapping[str, Any]) -> list[str]:
    """Return the table of packages: how many numbers of each state."""
    states = ("right", "other definition", "differs", "fails", NOT_OFFERED)
    heads = ("right", "other", "differs", "fails", "–")
    lines = ["| package | version, run on | " + " | ".join(heads) + " |", "|---" * 2 + "|---:" * 5 + "|"]
    for name, found in results.items():
        documents = PACKAGES[name].get("documents", {})
        every = [
            status(row, found["answers"].get(folder.name, {}).get(key(row)), documents)
            for folder in folders()
            for row in expected(folder)
        ]
        counts = " | ".join(str(every.count(state)) for state in states)
        lines.append(f"| {PACKAGES[name]['title']} | {found['version']}, {found['date']} | {counts} |")
    for package in LISTED.values():
        if "not_run" in package:
            lines.append(f"| {package['title']} | {package['install'].partition('==')[2]}, {package['not_run']} |||||")
    return lines


def by_fixture(results: Mapping[str, Any]) -> list[str]:
    """Return a section a fixture with a table of its quantities; packages that offer none of them are left out.

    So are p-values that this package alone, the first, gives.
    """
    lines = []
    for folder in folders():
        study = json.loads((folder / "study.json").read_text(encoding="utf-8"))
        quantities: dict[str, list[dict[str, Any]]] = {}
        for row in expected(folder):
            quantities.setdefault(row["quantity"], []).append(row)
        said = {name: found["answers"].get(folder.name, {}) for name, found in results.items()}
        said = {name: answers for name, answers in said.items() if answers}
        lines += ["", f"### {folder.name}", "", study["catches"][0].upper() + study["catches"][1:] + ".", ""]
        lines += ["| quantity | " + " | ".join(said) + " |", "|---" * (1 + len(said)) + "|"]
        for quantity, rows in quantities.items():
            cells = [cell(rows, answers, PACKAGES[name].get("documents", {})) for name, answers in said.items()]
            if quantity.endswith("_p") and not any(text.strip("–") for text in cells[1:]):
                continue
            lines.append(f"| `{quantity}` | " + " | ".join(cells) + " |")
    return lines


def failures(results: Mapping[str, Any]) -> Iterable[str]:
    """Yield each package's error texts with the fixtures in which they came."""
    for name, found in results.items():
        texts: dict[str, list[str]] = {}
        for fixture, answers in found["answers"].items():
            for answer in answers.values():
                if isinstance(answer, dict) and fixture not in texts.setdefault(answer["error"], []):
                    texts[answer["error"]].append(fixture)
        for text, fixtures in texts.items():
            yield f"| {name} | `{text.replace('|', '/').replace('`', '')}` | {', '.join(fixtures)} |"


def page(results: Mapping[str, Any]) -> str:
    """Return docs/conformance.md."""
    lines = [HEAD, "## Summary", "", f"Numbers in {len(folders())} fixtures, by package.", "", *summary(results)]
    lines += ["", NOTES, "## By fixture", *by_fixture(results)]
    lines += ["", "## How they fail", "", "| package | error | fixtures |", "|---|---|---|", *failures(results)]
    return "\n".join([*lines, "", FORMAT])


NOTES = (HERE / "notes.md").read_text(encoding="utf-8")


def main() -> None:
    """Run the packages named, keep their answers and write the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("packages", nargs="*", metavar="PACKAGE", help="by default all")
    parser.add_argument("--environments", type=Path, help="folder of the environments; kept")
    parser.add_argument("--fixtures", nargs="+", metavar="NAME", help="these alone; other answers stay as they are")
    parser.add_argument("--page", action="store_true", help="only write the page again")
    asked = parser.parse_args()
    path = HERE / "results.json"
    results = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    with tempfile.TemporaryDirectory() as passing:
        for name in [] if asked.page else asked.packages or PACKAGES:
            python = environment(name, asked.environments or Path(passing))
            today = dt.datetime.now(dt.UTC).date().isoformat()
            before = results.get(name, {}).get("answers", {}) if asked.fixtures else {}
            results[name] = {"version": version(python, name), "date": today}
            asked_of = [folder for folder in folders() if folder.name in (asked.fixtures or [folder.name])]
            answers = {**before, **answered(python, name, asked_of)}
            results[name]["answers"] = {
                folder.name: answers[folder.name] for folder in folders() if folder.name in answers
            }
            keep(path, {each: results[each] for each in PACKAGES if each in results})
    PAGE.write_text(page(json.loads(path.read_text(encoding="utf-8"))), encoding="utf-8", newline="\n")


def version(python: Path, name: str) -> str:
    """Return the version that the environment has."""
    install = PACKAGES[name]["install"]
    distribution = "eventstudy-kit" if install == "." else install.partition("==")[0]
    script = f"import importlib.metadata as m; print(m.version({distribution!r}))"
    done = subprocess.run([str(python), "-c", script], capture_output=True, text=True, check=True, env=CLEAN)  # noqa: S603
    return done.stdout.strip()


def keep(path: Path, results: Mapping[str, Any]) -> None:
    """Write the answers, one fixture a line."""
    parts = []
    for name, found in results.items():
        lines = [f"   {json.dumps(fixture)}: {json.dumps(answers)}" for fixture, answers in found["answers"].items()]
        head = json.dumps({k: v for k, v in found.items() if k != "answers"})[:-1]
        parts.append(f' {json.dumps(name)}: {head}, "answers": {{\n' + ",\n".join(lines) + "\n  }}")
    path.write_text("{\n" + ",\n".join(parts) + "\n}\n", encoding="utf-8")


if __name__ == "__main__":
    main()
