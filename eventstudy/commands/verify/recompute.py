"""Recompute a result pack from its manifest and compare every table with what was written."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from eventstudy.backtest import Trials
from eventstudy.config import StudyConfig, config_from_dict, sector_file, sector_names
from eventstudy.errors import ConfigError, IntegrityError, Problem
from eventstudy.events import read_events
from eventstudy.prices.fetch import snapshots_folder
from eventstudy.prices.sources import get_prices
from eventstudy.results.summary import build_manifest
from eventstudy.study import run_study

if TYPE_CHECKING:
    import pandas as pd

#: Another processor may round a sum differently in the last digits; a changed price moves far more.
RELATIVE, ABSOLUTE = 1e-9, 1e-12
#: What an input is by whether the pack had it and whether it is there now.
_CHANGED = {
    (True, True): "not the one that the pack was made of",
    (True, False): "missing; the pack was made with it",
    (False, True): "one that the pack was made without",
}
#: Differences that are listed; the rest is counted.
LISTED = 20


@dataclass(frozen=True, slots=True)
class Verified:
    """What was compared: tables, cells, and files checked by their sha256."""

    tables: int
    cells: int
    files: int


def verify_pack(
    folder: Path,
    *,
    events: Path | None = None,
    prices: str | None = None,
    progress: Callable[[str], None] | None = None,
) -> Verified:
    """Run the study of a pack again and return what was compared.

    Parameters
    ----------
    events, prices
        Where the inputs are now; by default by their names in the working directory, prices also
        beside the events, a snapshot in the user's data folder, an example in the package.

    Raises
    ------
    ConfigError
        If ``folder`` is no pack with tables, or an input is not where it is looked for.
    IntegrityError
        If a file of the pack was changed, an input is another one, or a table comes out differently.
    """
    manifest = _manifest(folder)
    _check_files(folder, manifest)
    stored = {name: folder / path for name, path in _table_files(manifest).items()}
    if not stored:
        raise ConfigError(Problem("holds no CSV tables to compare; run with the format csv", str(folder)))
    config = config_from_dict(manifest["settings"])
    read = read_events(events or _shipped_events(manifest, config) or _found_events(manifest))
    asked = prices or _origin(manifest, Path(read.path).parent)
    table = get_prices(read, config, asked, tell=lambda _: None)
    _check_inputs(_events_and_prices(manifest), build_manifest(read, config, table)["inputs"])
    trials = Trials.from_dict(manifest.get("trials", {}))
    result = run_study(read, config, table, progress=progress, trials=trials)
    _check_inputs(manifest["inputs"], result.manifest["inputs"])
    problems: list[Problem] = []
    cells = 0
    for name in sorted({*stored, *result.tables}):
        if name not in stored or name not in result.tables:
            where = "recomputed only" if name in result.tables else "in the pack only"
            problems.append(Problem(f"table {name} is {where}", str(folder)))
            continue
        new = _rows(result.tables[name], simulated=result.simulated)
        cells += sum(len(row) for row in new[1:])
        problems += _differences(stored[name].relative_to(folder).as_posix(), _read(stored[name]), new)
    if problems:
        more = [Problem(f"{len(problems) - LISTED} more differences")] if len(problems) > LISTED else []
        raise IntegrityError([*problems[:LISTED], *more])
    return Verified(len(stored), cells, len(manifest["outputs"]))


def _manifest(folder: Path) -> dict[str, Any]:
    path = folder / "manifest.json"
    try:
        manifest: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        message = f"is no result pack: manifest.json cannot be read ({error.strerror})"
        raise ConfigError(Problem(message, str(folder))) from error
    except ValueError as error:
        raise IntegrityError(Problem("is not what was written; it cannot be read", str(path))) from error
    lacking = [key for key in ("settings", "inputs", "outputs", "prices") if key not in manifest]
    if lacking:
        raise ConfigError(Problem(f"is no result pack's manifest: no {', '.join(lacking)}", str(path)))
    return manifest


def _check_files(folder: Path, manifest: Mapping[str, Any]) -> None:
    """Compare every file of the pack with the digest in its manifest."""
    problems = []
    for name, sha256 in manifest["outputs"].items():
        path = folder / name
        if not path.resolve().is_relative_to(folder.resolve()):
            message = f"names {name!r}, which lies outside the pack"
            problems.append(Problem(message, str(folder / "manifest.json")))
        elif not path.is_file():
            problems.append(Problem("is missing", str(path)))
        elif hashlib.sha256(path.read_bytes()).hexdigest() != sha256:
            problems.append(Problem("was changed after it was written (sha256 differs)", str(path)))
    if problems:
        raise IntegrityError(problems)


def _table_files(manifest: Mapping[str, Any]) -> dict[str, str]:
    names = [name for name in manifest["outputs"] if name.endswith(".csv")]
    return {Path(name).stem: name for name in names if name == "ledger.csv" or name.startswith("tables/")}


def _shipped_events(manifest: Mapping[str, Any], config: StudyConfig) -> Path | None:
    """The events of the study's sector that ship with the package, where the pack was made of them."""
    if config.study.sector not in sector_names():
        return None
    path = sector_file(config.study.sector).with_name("events.csv")
    same = hashlib.sha256(path.read_bytes()).hexdigest() == manifest["inputs"][0]["sha256"]
    return path if same else None


def _found_events(manifest: Mapping[str, Any]) -> Path:
    return _found(manifest["inputs"][0]["name"], "--events")


def _found(name: str, option: str) -> Path:
    path = Path(name)
    if not path.exists():
        raise ConfigError(f"{name} is not in the working directory; say where it is with {option}")
    return path


def _origin(manifest: Mapping[str, Any], beside: Path) -> str:
    """The ``--prices`` that the pack was made with, looked for by name, also beside the events."""
    prices = manifest["prices"]
    if prices["simulated"]:
        return "simulated"
    origin = prices.get("origin", {})
    name = origin.get("name", "")
    if origin.get("kind") == "duckdb":
        return f"duckdb:{name}"
    if origin.get("kind") == "example":
        return f"example:{name}"
    kept = snapshots_folder() / name
    if origin.get("kind") == "snapshot" and kept.is_dir():
        return str(kept)
    if not name:
        raise ConfigError("the manifest does not say where the prices are; give --prices")
    here = Path(name).exists() or not (beside / name).exists()
    return str(_found(name, "--prices") if here else beside / name)


def _events_and_prices(manifest: Mapping[str, Any]) -> list[Mapping[str, str]]:
    """Inputs without the files that stand beside the events: those are read by the run itself."""
    first, *others = manifest["inputs"]
    beside = ("claims.csv", "confounders.csv")
    return [first, *(row for row in others if row["name"] not in beside)]


def _check_inputs(stored: Sequence[Mapping[str, str]], now: Sequence[Mapping[str, str]]) -> None:
    old = {row["name"]: row["sha256"] for row in stored[1:]}
    new = {row["name"]: row["sha256"] for row in now[1:]}
    problems = []
    if stored[0]["sha256"] != now[0]["sha256"]:
        problems.append(Problem(f"is not the {stored[0]['name']} that the pack was made of", now[0]["name"]))
    for name in sorted({*old, *new}):
        if old.get(name) != new.get(name):
            problems.append(Problem(f"the input {name} is {_CHANGED[name in old, name in new]}"))
    if problems:
        raise IntegrityError(problems)


def _rows(table: pd.DataFrame, *, simulated: bool) -> list[list[str]]:
    """The table as cells of text, as a CSV file holds them."""
    stamped = table.assign(simulated="SIMULATED") if simulated else table
    text = stamped.to_csv(index=False, lineterminator="\n")
    return list(csv.reader(io.StringIO(text)))


def _read(path: Path) -> list[list[str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.reader(file))


def _differences(name: str, stored: list[list[str]], new: list[list[str]]) -> Iterator[Problem]:
    if [_plain(cell) for cell in stored[0]] != new[0]:
        yield Problem(f"has the columns {', '.join(stored[0])}; recomputed: {', '.join(new[0])}", name, 1)
        return
    if len(stored) != len(new):
        yield Problem(f"has {len(stored) - 1} rows; recomputed: {len(new) - 1}", name)
    for number, (old_row, new_row) in enumerate(zip(stored[1:], new[1:], strict=False), 2):
        for column, old, value in zip(new[0], old_row, new_row, strict=True):
            if not _same(old, value):
                yield Problem(f"{column} is {old or 'empty'}; recomputed: {value or 'empty'}", name, number)


def _same(old: str, new: str) -> bool:
    if old == new or _plain(old) == new:
        return True
    try:
        return math.isclose(float(old), float(new), rel_tol=RELATIVE, abs_tol=ABSOLUTE)
    except ValueError:
        return False


def _plain(cell: str) -> str:
    """A cell without the apostrophe that keeps spreadsheets from running it."""
    return cell[1:] if cell[:1] == "'" and cell[1:2] in ("=", "+", "-", "@", "\t", "\r") else cell
