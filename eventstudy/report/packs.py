"""Read and check result packs, and compare two of them."""

from __future__ import annotations

import csv
import hashlib
import json
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from eventstudy.config.json_values import json_text
from eventstudy.errors import ConfigError, IntegrityError, Problem
from eventstudy.messages import recalled, say
from eventstudy.results.result import StudyResult

if TYPE_CHECKING:
    import pandas as pd

MANIFEST, SUMMARY = "manifest.json", "summary.json"
#: Key of the manifest's own sha256, which covers all its other keys.
DIGEST = "digest"
#: Keys of a run's manifest, and their JSON types.
PARTS: Mapping[str, type] = {"settings": dict, "inputs": list, "outputs": dict, "prices": dict}
#: Numbers of the verdict that are compared between packs.
VERDICT = ("kind", "effect", "ci", "p_value", "n_dates", "n_events", "n_placebos", "mde", "sentence")
#: Advice for a damaged pack.
AGAIN = "run the study again, or take the pack from a copy"


@dataclass(frozen=True, slots=True)
class Change:
    """One difference between two packs; None if a pack lacks the value."""

    part: str
    name: str
    first: Any
    second: Any


def sealed(manifest: Mapping[str, Any]) -> dict[str, Any]:
    """Return a manifest with the sha256 of its own content, to detect damage."""
    content = {name: value for name, value in manifest.items() if name != DIGEST}
    return {**content, DIGEST: hashlib.sha256(json_text(content).encode()).hexdigest()}


def home_of(folder: Path) -> Path:
    """The pack's folder; results/ means the newest pack in it."""
    if (folder / SUMMARY).is_file() or (folder / MANIFEST).is_file():
        return folder
    results = folder.parent if folder.name == "latest" else folder
    named = results / "latest.txt"
    # If links are not allowed, a text file names the newest pack.
    if named.is_file() and not (results / "latest").exists():
        return results / named.read_text(encoding="utf-8", errors="replace").strip()
    return folder / "latest" if (folder / "latest").is_dir() else folder


def read_manifest(folder: Path) -> dict[str, Any]:
    """Return the manifest of a pack that `eventstudy run` wrote.

    Raises
    ------
    ConfigError
        If ``folder`` has no pack, or one of another command.
    IntegrityError
        If the manifest is missing or was changed.
    """
    home = home_of(folder)
    path = home / MANIFEST
    if not path.is_file() and not (home / SUMMARY).is_file():
        why = "No such file or directory" if not path.exists() else "it is no file"
        text = f"is no result pack: {MANIFEST} cannot be read ({why}); give the folder that run printed"
        raise ConfigError(Problem(text, str(folder)))
    manifest = _json(path)
    lacking = [name for name in PARTS if name not in manifest]
    if DIGEST in manifest and manifest != sealed(manifest):
        raise IntegrityError(Problem(f"is not what was written (its digest differs); {AGAIN}", str(path)))
    if lacking:
        text = f"is no result pack's manifest: no {', '.join(lacking)}; packs are made by 'eventstudy run'"
        raise ConfigError(Problem(text, str(path)))
    with as_written(home, MANIFEST):
        texts = [row[name] for row in manifest["inputs"] for name in ("name", "sha256")]
        fit = [isinstance(manifest[name], kind) for name, kind in PARTS.items()]
        fit += [isinstance(value, str) for value in (*texts, *manifest["outputs"].values())]
        if not (all(fit) and texts):
            raise TypeError("a part of another type")
    return manifest


def check_files(folder: Path, manifest: Mapping[str, Any], names: Collection[str] | None = None) -> None:
    """Compare files of a pack with the digests in its manifest: the named ones, or all.

    Raises
    ------
    IntegrityError
        With every file that is missing, was changed or, if all are checked, was added.
    """
    home, problems = home_of(folder), []
    for name in manifest["outputs"] if names is None else names:
        path, stored = home / name, manifest["outputs"].get(name)
        if not path.resolve().is_relative_to(home.resolve()):
            problems.append(Problem(f"names {name!r}, which lies outside the pack", str(home / MANIFEST)))
        elif not path.is_file():
            problems.append(Problem(f"is missing; {AGAIN}", str(path)))
        elif stored is None:
            problems.append(Problem(f"is not listed in the manifest; {AGAIN}", str(path)))
        elif sha256_of(path) != stored:
            problems.append(Problem(f"was changed after it was written (sha256 differs); {AGAIN}", str(path)))
    if names is None:
        known = {MANIFEST, *manifest["outputs"]}
        extra = [path for path in sorted(home.rglob("*")) if not path.is_dir() or path.is_symlink()]
        problems += [
            Problem("is not a file of the pack: it was added later; remove it", str(path))
            for path in extra
            if path.relative_to(home).as_posix() not in known
        ]
    if problems:
        raise IntegrityError(problems)


def sha256_of(path: Path) -> str:
    """Return the sha256 of a file of a pack."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise IntegrityError(Problem(f"cannot be read ({error.strerror}); {AGAIN}", str(path))) from error


def read_pack(folder: Path) -> StudyResult:
    """Return the summary and the manifest of a pack as a result without its tables.

    Raises
    ------
    ConfigError
        If ``folder`` is no result pack, or has no summary.
    IntegrityError
        If the summary or the manifest was changed.
    """
    manifest, home = read_manifest(folder), home_of(folder)
    if SUMMARY not in manifest["outputs"] and not (home / SUMMARY).exists():
        raise ConfigError(Problem(f"has no {SUMMARY}; run the study with the format json", str(folder)))
    check_files(home, manifest, [SUMMARY])
    facts = _json(home / SUMMARY)
    with as_written(home):
        facts = recalled(facts, facts.pop("messages", {}))
    return StudyResult(home.resolve().name, {}, facts, manifest)


@contextmanager
def as_written(home: Path, name: str = SUMMARY) -> Iterator[None]:
    """Turn errors from the content of a pack into an `IntegrityError`, because no run writes such content."""
    try:
        yield
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError, csv.Error) as error:
        text = f"holds what no run writes ({type(error).__name__}: {str(error)[:80]}); {AGAIN}"
        raise IntegrityError(Problem(text, str(home / name))) from error


def _json(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise IntegrityError(Problem(f"cannot be read ({error.strerror}); {AGAIN}", str(path))) from error
    except (ValueError, RecursionError) as error:
        text = f"is not what was written; it cannot be read as JSON ({str(error)[:80]}); {AGAIN}"
        raise IntegrityError(Problem(text, str(path))) from error
    if not isinstance(content, dict):
        raise IntegrityError(Problem(f"is not what was written: it contains no JSON object; {AGAIN}", str(path)))
    return content


def compare_packs(first: Path, second: Path) -> list[Change]:
    """Return the differences in verdict, effect, settings, data, counts and tables, in this order."""
    a, b = (read_pack(folder) for folder in (first, second))
    homes = home_of(first), home_of(second)
    for home, pack in zip(homes, (a, b), strict=True):
        check_files(home, pack.manifest, _table_files(pack))
    with as_written(homes[0]):
        return [
            *_differences("verdict", _verdict(a), _verdict(b)),
            *_differences("effect", a.facts.get("effect") or {}, b.facts.get("effect") or {}),
            *_differences("settings", flat(a.manifest["settings"]), flat(b.manifest["settings"])),
            *_differences("data", _data(a), _data(b)),
            *_differences("counts", flat(a.facts.get("counts")), flat(b.facts.get("counts"))),
            *_tables((a, b), homes),
        ]


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
    """Return nested dicts as one dict with dotted names."""
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


def _table_files(pack: StudyResult) -> list[str]:
    return [name for name in pack.manifest["outputs"] if name.endswith((".csv", ".parquet"))]


def _tables(packs: Sequence[StudyResult], homes: Sequence[Path]) -> Iterator[Change]:
    """Yield each table whose rows differ, with its number of rows and the number that only one pack has."""
    names = {name for pack in packs for name in _table_files(pack)}
    for name in sorted(names, key=lambda name: (name.endswith(".parquet"), name)):
        digests = [pack.manifest["outputs"].get(name) for pack in packs]
        if digests[0] == digests[1]:
            continue
        if name.endswith(".parquet"):
            told = [digest and _of_file(home / name) for home, digest in zip(homes, digests, strict=True)]
            yield Change("tables", name, *told)
            continue
        rows = [_rows(home / name) if digest else Counter() for home, digest in zip(homes, digests, strict=True)]
        only = [rows[0] - rows[1], rows[1] - rows[0]]
        # The same rows in another order are no difference.
        if any(part.total() for part in only) or not all(digests):
            counted = zip(rows, only, digests, strict=True)
            told = [digest and say("pack.rows", n=part.total(), own=own.total()) for part, own, digest in counted]
            yield Change("tables", name, *told)


def table_file(manifest: Mapping[str, Any], name: str) -> str:
    """Return the path of the table ``name`` in a pack (CSV or Parquet); empty if it has neither."""
    files = (f"{name}.csv", f"tables/{name}.csv", f"tables/{name}.parquet")
    return next((path for path in files if path in manifest["outputs"]), "")


def read_table(path: Path) -> pd.DataFrame:
    """Read a table of a pack; empty cells become NaN in columns of numbers and stay empty in columns of text."""
    import pandas as pd

    if path.suffix == ".parquet":
        return pd.read_parquet(path)
    texts = dict.fromkeys(("shock_id", "label", "overlaps", "ticker", "event", "stratum", "family"), str)
    found = pd.read_csv(path, dtype=texts, keep_default_na=False, na_values=[""])
    return found.fillna({name: "" for name in texts if name in found})


def _of_file(path: Path) -> str:
    """Number of rows of a Parquet file and the beginning of its sha256, to compare two files."""
    import pyarrow.parquet as pq

    return str(say("pack.file", n=pq.ParquetFile(path).metadata.num_rows, digest=sha256_of(path)[:12]))


def _rows(path: Path) -> Counter[tuple[str, ...]]:
    with path.open(encoding="utf-8", newline="") as file:
        reader = csv.reader(file)
        next(reader, None)
        return Counter(tuple(row) for row in reader)
