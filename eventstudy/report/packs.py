"""Result packs read back: shown again, or two of them side by side."""

from __future__ import annotations

import csv
import json
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from eventstudy.errors import ConfigError, Problem
from eventstudy.messages import recalled, say
from eventstudy.results.result import StudyResult

#: Numbers of the verdict that two packs are compared by.
VERDICT = ("kind", "effect", "ci", "p_value", "n_dates", "n_events", "n_placebos", "mde", "sentence")


@dataclass(frozen=True, slots=True)
class Change:
    """One difference between two packs; None where a pack does not have it."""

    part: str
    name: str
    first: Any
    second: Any


def read_pack(folder: Path) -> StudyResult:
    """Return the summary and the manifest of a pack as a result without its tables.

    Raises
    ------
    ConfigError
        If ``folder`` is no result pack with a summary.
    """
    # results/ itself stands for the newest pack in it.
    home = home_of(folder)
    facts = _json(home, "summary.json", folder)
    facts = recalled(facts, facts.pop("messages", {}))
    return StudyResult(home.resolve().name, {}, facts, _json(home, "manifest.json", folder))


def _json(home: Path, name: str, asked: Path) -> dict[str, Any]:
    try:
        found = json.loads((home / name).read_text(encoding="utf-8"))
    except OSError as error:
        text = f"is no result pack: {name} cannot be read ({error.strerror}); give the folder that run printed"
        raise ConfigError(Problem(text, str(asked))) from error
    except ValueError as error:
        raise ConfigError(Problem(f"is not JSON: {error}; run the study again", str(home / name))) from error
    if not isinstance(found, dict):
        raise ConfigError(Problem("holds no JSON object; run the study again", str(home / name)))
    return found


def compare_packs(first: Path, second: Path) -> list[Change]:
    """Return what differs: settings, data, verdict, counts and tables, in this order."""
    a, b = read_pack(first), read_pack(second)
    return [
        *_differences("settings", flat(a.manifest.get("settings")), flat(b.manifest.get("settings"))),
        *_differences("data", _data(a), _data(b)),
        *_differences("verdict", _verdict(a), _verdict(b)),
        *_differences("counts", flat(a.facts.get("counts")), flat(b.facts.get("counts"))),
        *_tables(home_of(first), home_of(second)),
    ]


def home_of(folder: Path) -> Path:
    """The pack's own folder: results/ itself stands for the newest pack in it."""
    return folder if (folder / "summary.json").is_file() else folder / "latest"


def _data(pack: StudyResult) -> dict[str, Any]:
    inputs = {f"input {item['name']}": item["sha256"][:12] for item in pack.manifest.get("inputs") or ()}
    keys = ("data_date", "price_source", "simulated")
    versions = {f"version {name}": value for name, value in (pack.manifest.get("versions") or {}).items()}
    program = {"version eventstudy": pack.manifest.get("version")}
    return {**{key: pack.facts.get(key) for key in keys}, **inputs, **program, **versions}


def _verdict(pack: StudyResult) -> dict[str, Any]:
    found = pack.facts.get("verdict") or {}
    return {name: found.get(name) for name in VERDICT if name in found}


def flat(value: Any, prefix: str = "") -> dict[str, Any]:
    """Return what is nested in dicts by dotted names."""
    if not isinstance(value, Mapping):
        return {prefix: value} if prefix else {}
    found: dict[str, Any] = {}
    for key, item in value.items():
        found.update(flat(item, f"{prefix}.{key}" if prefix else str(key)))
    return found


def _differences(part: str, first: Mapping[str, Any], second: Mapping[str, Any]) -> Iterator[Change]:
    for name in dict.fromkeys([*first, *second]):
        if first.get(name) != second.get(name) or (name in first) != (name in second):
            yield Change(part, name, first.get(name), second.get(name))


def _tables(first: Path, second: Path) -> Iterator[Change]:
    """Yield each table whose rows differ, with its number of rows and of those that only one pack has."""
    names = {path.relative_to(home) for home in (first, second) for path in _csv_files(home)}
    for name in sorted(names):
        rows = [_rows(home / name) for home in (first, second)]
        only = [rows[0] - rows[1], rows[1] - rows[0]]
        if any(part.total() for part in only) or any(not (home / name).is_file() for home in (first, second)):
            said = [
                say("pack.rows", n=sum(part.values()), own=alone.total()) if (home / name).is_file() else None
                for home, part, alone in zip((first, second), rows, only, strict=True)
            ]
            yield Change("tables", name.as_posix(), *said)


def _csv_files(home: Path) -> list[Path]:
    return [path for path in (home / "ledger.csv", *(home / "tables").glob("*.csv")) if path.is_file()]


def _rows(path: Path) -> Counter[tuple[str, ...]]:
    if not path.is_file():
        return Counter()
    with path.open(encoding="utf-8", newline="") as file:
        reader = csv.reader(file)
        next(reader, None)
        return Counter(tuple(row) for row in reader)
