"""Hold two result packs against each other, number by number: ``python compare_packs.py A B``.

Rows are paired by what their texts say, so that another order of the same rows is told and no failure.

A and B are packs, or folders of packs, which are then paired by name. Every CSV and Parquet table and every
JSON of numbers is compared. A number that differs is a failure, and so is a row, a column, a table or a
whole pack that is no longer there. What the packs *say* may improve: texts that differ are listed and
counted, not held against the new pack; columns, tables and numbers that are new are listed too.

``--tolerance`` allows numbers that are that close, relative to the larger of the two and of one.
``--allow NAME`` names what may change: a table, ``table.column``, or the path of a number in a JSON.
"""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

#: What a JSON tells of the run itself: hashes, versions, times and names of folders.
OF_THE_RUN = frozenset({"manifest.json"})
#: Differences of one kind that are printed for one table.
SHOWN = 5
#: Columns of messages: they may be worded anew, so no row is known by them.
MESSAGES = ("reason", "note", "notes", "message", "why_not", "why_left", "why_entered", "hypothesis", "verdict")
MESSAGES += ("benchmark", "blocked", "refusal", "advice", "sentence", "source", "title")


@dataclass(kw_only=True)
class Differences:
    """What two packs differ in: ``failures`` count, the rest is only told; ``compared`` counts numbers."""

    failures: list[str] = field(default_factory=list)
    texts: list[str] = field(default_factory=list)
    added: list[str] = field(default_factory=list)
    allowed: list[str] = field(default_factory=list)
    compared: int = 0


def compare_packs(old: Path, new: Path, *, tolerance: float = 0.0, allow: Sequence[str] = ()) -> Differences:
    """Compare two packs, or two folders of packs pack by pack."""
    found = Differences()
    inner = _packs(old)
    if not inner:
        _compare_pack(old, new, found, tolerance, frozenset(allow), "")
        return found
    for name in inner:
        if not (new / name).is_dir():
            _failure(found, frozenset(allow), f"{name}/", "the pack is missing")
            continue
        _compare_pack(old / name, new / name, found, tolerance, frozenset(allow), f"{name}/")
    found.added += [f"{name}/: new pack" for name in _packs(new) if name not in inner]
    return found


def _packs(folder: Path) -> list[str]:
    """Names of the packs inside a folder; none where the folder is a pack itself."""
    if any(folder.glob("*.csv")) or any(folder.glob("*.json")):
        return []
    return sorted(path.name for path in folder.iterdir() if path.is_dir() and any(path.glob("*.json")))


def _compare_pack(
    old: Path, new: Path, found: Differences, tolerance: float, allow: frozenset[str], prefix: str
) -> None:
    before, after = _files(old), _files(new)
    if not before:
        raise SystemExit(f"{old} holds no table and no JSON")
    for name, path in before.items():
        if name not in after:
            _failure(found, allow, f"{prefix}{name}", "missing")
        elif path.suffix == ".json":
            pair = (json.loads(file.read_text(encoding="utf-8")) for file in (path, after[name]))
            _compare_json(*pair, found, tolerance, allow, f"{prefix}{name}")
        else:
            _compare_tables(_read(path), _read(after[name]), found, tolerance, allow, f"{prefix}{name}")
    found.added += [f"{prefix}{name}: new" for name in after if name not in before]


def _files(pack: Path) -> dict[str, Path]:
    files = [*pack.rglob("*.csv"), *pack.rglob("*.parquet"), *pack.rglob("*.json")]
    return {str(path.relative_to(pack)): path for path in sorted(files) if path.name not in OF_THE_RUN}


def _read(path: Path) -> pd.DataFrame:
    """Read a table with every cell as it was written; only an empty cell is missing."""
    if path.suffix == ".parquet":
        return pd.read_parquet(path)
    # Text first: pandas would read "nan" of a message, or a ticker of digits, as a number.
    return pd.read_csv(path, dtype=str, keep_default_na=False, encoding="utf-8-sig")


def _failure(found: Differences, allow: frozenset[str], place: str, what: str) -> None:
    known = _names(place) & allow
    (found.allowed if known else found.failures).append(f"{place}: {what}")


def _names(place: str) -> frozenset[str]:
    """Names by which a place may be allowed: ``optical/tables/car.csv.se`` is car, car.se, and so on."""
    tail = place.rpartition("/")[2]
    stem, _, column = tail.replace(".parquet", ".csv").partition(".csv")
    found = {place, tail, stem, f"{stem}.csv"}
    if column:
        found.add(f"{stem}{column}")
    if ".json" in tail:
        path = tail.partition(".json")[2].lstrip(".")
        parts = path.split(".")
        found |= {".".join(parts[: end + 1]) for end in range(len(parts))} - {""}
    return frozenset(found)


def _compare_tables(
    old: pd.DataFrame, new: pd.DataFrame, found: Differences, tolerance: float, allow: frozenset[str], place: str
) -> None:
    for column in old.columns.difference(new.columns, sort=False):
        _failure(found, allow, f"{place}.{column}", "the column is missing")
    found.added += [f"{place}.{column}: new column" for column in new.columns if column not in old.columns]
    if len(old) != len(new):
        _failure(found, allow, place, f"{len(old)} rows before, {len(new)} now")
        return
    old, new = _paired(old, new, found, place)
    for column in old.columns.intersection(new.columns, sort=False):
        for row, (a, b) in enumerate(zip(old[column].tolist(), new[column].tolist(), strict=True)):
            _compare_cell(a, b, found, tolerance, allow, f"{place}.{column}", f"row {row + 1}: ")


def _paired(old: pd.DataFrame, new: pd.DataFrame, found: Differences, place: str) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Put the new rows in the order of the old ones where both hold the same rows by their texts."""
    texts = [
        column
        for column in old.columns.intersection(new.columns, sort=False)
        if column not in MESSAGES and all(_number(cell) is None for cell in old[column].tolist())
    ]
    before, after = (_keys(table, texts) for table in (old, new))
    if before == after or set(before) != set(after):
        return old, new
    found.texts.append(f"{place}: the rows stand in another order")
    at = {key: row for row, key in enumerate(after)}
    return old, new.iloc[[at[key] for key in before]]


def _keys(table: pd.DataFrame, columns: Sequence[str]) -> list[tuple[Any, ...]]:
    """Texts of each row with how often they stood before: no two rows have one key."""
    seen: dict[tuple[Any, ...], int] = {}
    keys = []
    for texts in zip(*(table[column].map(str).tolist() for column in columns), strict=True):
        seen[texts] = seen.get(texts, 0) + 1
        keys.append((*texts, seen[texts]))
    return keys


def _compare_json(old: Any, new: Any, found: Differences, tolerance: float, allow: frozenset[str], place: str) -> None:
    if isinstance(old, dict) and isinstance(new, dict):
        for key, value in old.items():
            if key in new:
                _compare_json(value, new[key], found, tolerance, allow, f"{place}.{key}")
            else:
                _failure(found, allow, f"{place}.{key}", "missing")
        found.added += [f"{place}.{key}: new" for key in new if key not in old]
    elif isinstance(old, list) and isinstance(new, list) and _of_numbers(old) | _of_numbers(new):
        if len(old) != len(new):
            _failure(found, allow, place, f"{len(old)} items before, {len(new)} now")
        for a, b in zip(old, new, strict=False):
            _compare_json(a, b, found, tolerance, allow, place)
    elif isinstance(old, list) and isinstance(new, list):
        if old != new:
            found.texts.append(f"{place}: {old!r} is now {new!r}")
    else:
        _compare_cell(old, new, found, tolerance, allow, place, "")


def _of_numbers(items: list[Any]) -> bool:
    """Whether a list holds anything but texts: a list of messages may grow, one of numbers may not."""
    return any(not isinstance(item, str) for item in items)


def _compare_cell(
    old: Any, new: Any, found: Differences, tolerance: float, allow: frozenset[str], place: str, where: str
) -> None:
    a, b = _number(old), _number(new)
    if a is None and b is None:
        if old != new:
            found.texts.append(f"{place}: {where}{old!r} is now {new!r}")
        return
    found.compared += 1
    if a is None or b is None or not _equal(a, b, tolerance):
        _failure(found, allow, place, f"{where}{old!r} is now {new!r}")


def _number(value: Any) -> float | None:
    """Read a number, or a yes or no as one; None for a text, an empty cell and null."""
    if isinstance(value, str):
        text = value.strip()
        if text in ("True", "False"):
            return float(text == "True")
        try:
            return float(text)
        except ValueError:
            return None
    try:
        return float(value)
    except (TypeError, ValueError):
        return None


def _equal(a: float, b: float, tolerance: float) -> bool:
    if math.isnan(a) or math.isnan(b):
        return math.isnan(a) and math.isnan(b)
    return a == b or (math.isfinite(a - b) and abs(a - b) <= tolerance * max(1.0, abs(a), abs(b)))


def report(found: Differences) -> Iterator[str]:
    """Yield lines on what was found, a few of each table."""
    for title, lines in (
        ("failures", found.failures),
        ("allowed", found.allowed),
        ("texts", found.texts),
        ("added", found.added),
    ):
        yield f"{title}: {len(lines)}"
        shown: dict[str, int] = {}
        for line in lines:
            place = line.partition(": ")[0]
            shown[place] = shown.get(place, 0) + 1
            if shown[place] <= SHOWN:
                yield f"  {line}"
        yield from (f"  {place}: and {n - SHOWN} more" for place, n in shown.items() if n > SHOWN)
    yield f"{found.compared} numbers compared"


def main(arguments: Sequence[str] | None = None) -> int:
    """Print what differs; 1 where a number does or something is missing."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("old", type=Path, metavar="A")
    parser.add_argument("new", type=Path, metavar="B")
    parser.add_argument("--tolerance", type=float, default=0.0)
    parser.add_argument("--allow", nargs="+", default=[], metavar="NAME")
    given = parser.parse_args(arguments)
    found = compare_packs(given.old, given.new, tolerance=given.tolerance, allow=given.allow)
    print("\n".join(report(found)))
    return 1 if found.failures or not found.compared else 0


if __name__ == "__main__":
    raise SystemExit(main())
