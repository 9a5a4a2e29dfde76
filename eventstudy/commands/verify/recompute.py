"""Make a result pack again from its manifest and compare every file with what was written."""

from __future__ import annotations

import contextlib
import json
import math
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from eventstudy.backtest import Trials
from eventstudy.commands.options import locked_question
from eventstudy.config import StudyConfig, config_from_dict, sector_file, sector_names
from eventstudy.errors import ConfigError, IntegrityError, Problem
from eventstudy.events import read_events
from eventstudy.large.event_list import read_list
from eventstudy.large.length import is_long
from eventstudy.prices.fetch import snapshots_folder
from eventstudy.prices.sources import get_prices
from eventstudy.report.pack import write_pack
from eventstudy.report.packs import (
    DIGEST,
    MANIFEST,
    SUMMARY,
    as_written,
    check_files,
    home_of,
    read_manifest,
    sha256_of,
)
from eventstudy.report.trials import inputs_of_run
from eventstudy.results.manifest import build_manifest, run_id_of
from eventstudy.results.result import StudyResult
from eventstudy.study import run_list, run_study

#: Processors may differ in the last digits of a sum; a changed price changes results far more.
RELATIVE, ABSOLUTE = 1e-9, 1e-12
#: Formats whose numbers are compared; all others are compared byte by byte.
NUMBERS = ("csv", "json", "parquet")
#: Parts of the manifest that are identical if the inputs are.
SAME = ("seed", "prices", "exchanges")
#: Messages by whether the pack had an input and whether it exists now.
_CHANGED = {
    (True, True): "not the one that the pack was made of",
    (True, False): "missing; the pack was made with it",
    (False, True): "one that the pack was made without",
}
#: Number of differences that are listed; the rest is counted.
LISTED = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Given:
    """Present absolute paths of a pack's inputs; inputs without a path are searched for."""

    events: Path | None = None
    prices: str | None = None
    prereg: Path | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Verified:
    """What was compared: tables, cells, recomputed pages, and files checked by their sha256.

    ``left`` are the pages that were not recomputed, ``why`` gives the reason.
    """

    tables: int
    cells: int
    pages: int
    files: int
    left: tuple[str, ...] = ()
    why: str = ""


def verify_pack(
    folder: Path, given: Given = Given(), *, pages: bool = True, progress: Callable[[str], None] | None = None
) -> Verified:
    """Make a pack again and return what was compared.

    Parameters
    ----------
    given
        Present paths of the inputs. By default they are searched for at the paths of the run, then by name in the
        working directory, prices also in the folder of the events, a snapshot in the user's data folder, an example in
        the package.
    pages
        Whether pages, figures and the workbook are also recomputed. This needs the versions with which the pack was
        made.

    Raises
    ------
    ConfigError
        If ``folder`` is no pack with tables, or an input is not found.
    IntegrityError
        If a file of the pack was changed or added, an input has changed, or a result differs.
    """
    manifest, home = read_manifest(folder), home_of(folder).resolve()
    check_files(home, manifest)
    if not any(_is_table(name) for name in manifest["outputs"]):
        raise ConfigError(Problem("has no CSV tables to compare; run with the format csv", str(folder)))
    with as_written(home, MANIFEST):
        # The settings of a list that does not fit in memory name no peers.
        config = config_from_dict(manifest["settings"], peers=bool(manifest["prices"]["outcomes"]))
    with _folder_of_run(home, given) as found, tempfile.TemporaryDirectory() as scratch:
        again, apart = Path(scratch) / "pack", Path(scratch) / "rows"
        again.mkdir()
        result = _run_again(home, manifest, config, found, apart, progress)
        why = _kept_from(manifest, result) if pages else "left out with --no-pages"
        # Inputs keep the names that they had when the pack was written.
        content = {key: value for key, value in manifest.items() if key not in ("outputs", DIGEST)}
        named = replace(result, facts={**result.facts, "run_id": result.run_id}, manifest=content)
        formats = [name for name in config.report.formats if name in NUMBERS or not why]
        write_pack(named, again, formats=formats, progress=progress)
        return _compare(home, again, manifest["outputs"], why)


@contextlib.contextmanager
def _folder_of_run(home: Path, given: Given) -> Iterator[Given]:
    """Change to the working directory of the run, if it is known and has the inputs."""
    known = inputs_of_run(home)
    folder = home.parent / known.get("folder", "")
    events = given.events or (Path(known["events"]) if known.get("events") else None)
    if not known or events is None or not folder.is_dir() or not (folder / events).is_file():
        yield given
        return
    prices = known.get("prices") if given.prices is None else given.prices
    locked = given.prereg or (Path(known["prereg"]) if known.get("prereg") else None)
    with contextlib.chdir(folder):
        yield Given(
            events=events,
            prices=prices if prices and (given.prices or Path(prices).exists()) else None,
            prereg=locked if locked and locked.is_file() else None,
        )


def _run_again(
    home: Path,
    manifest: Mapping[str, Any],
    config: StudyConfig,
    given: Given,
    apart: Path,
    progress: Callable[[str], None] | None,
) -> StudyResult:
    """Run the study of a manifest on the same inputs; ``apart`` is a folder for the rows of a long list."""
    first = manifest["inputs"][0]
    path = given.events or _found(first["name"], "--events", config.study.sector, first["sha256"])
    asked = given.prices or _origin(manifest, home, path.parent)
    with as_written(home, MANIFEST):
        trials = Trials.from_dict(manifest.get("trials", {}))
    if is_long(path):
        apart.mkdir()
        listed = read_list(path, config.tests.group)
        result = run_list(listed, config, Path(asked), scratch=apart, progress=progress, trials=trials)
        return _of_same_inputs(manifest, config, result)
    read = read_events(path)
    table = get_prices(read, config, asked, tell=lambda _: None)
    # The run itself reads the optional files in the folder of the events.
    first, *others = manifest["inputs"]
    stored_inputs = [first, *(row for row in others if row["name"] not in ("claims.csv", "confounders.csv"))]
    _check_inputs(stored_inputs, build_manifest(read, config, table)["inputs"])
    stored = _facts(home).get("prereg")
    locked = None
    if stored:
        with as_written(home):
            path = given.prereg or _found(stored["file"], "--prereg")
            is_own = sha256_of(path) == stored["sha256"]
        if not is_own:
            raise IntegrityError(Problem(f"is not the {stored['file']} that the pack was made with", str(path)))
        locked = {**locked_question(path, read, config, allow=True), "file": stored["file"]}
    result = run_study(read, config, table, progress=progress, prereg=locked, trials=trials)
    return _of_same_inputs(manifest, config, result)


def _of_same_inputs(manifest: Mapping[str, Any], config: StudyConfig, result: StudyResult) -> StudyResult:
    """Check that the inputs are those of the manifest, and return the result under the name of its pack."""
    _check_inputs(manifest["inputs"], result.manifest["inputs"])
    with as_written(Path(), MANIFEST):
        named = {key: value for key, value in manifest.items() if key not in ("outputs", "trials", "run_id", DIGEST)}
        own_name = run_id_of(config, named)
        same = [(name, _own(manifest, name), _own(result.manifest, name)) for name in SAME]
        problems = [Problem(text, MANIFEST) for parts in same for text in _unlike(*parts)]
    if problems:
        raise IntegrityError(problems[:LISTED])
    return replace(result, run_id=own_name)


def _own(manifest: Mapping[str, Any], name: str) -> Any:
    """A part of a manifest without the names of folders, which may have changed."""
    part = manifest.get(name)
    if not isinstance(part, Mapping):
        return part
    outcomes = {
        ticker: {key: value for key, value in row.items() if key not in ("message", "notes")}
        for ticker, row in part.get("outcomes", {}).items()
    }
    return {**part, "outcomes": outcomes, "origin": None}


def _kept_from(manifest: Mapping[str, Any], result: StudyResult) -> str:
    """Why pages cannot be compared byte by byte on this machine; empty if they can."""
    stored, here = ({"eventstudy": m.get("version"), **m.get("versions", {})} for m in (manifest, result.manifest))
    other = [f"{name} {stored[name]}, here {here.get(name)}" for name in stored if stored[name] != here.get(name)]
    return f"made with {'; '.join(other)}" if other else ""


def _facts(home: Path) -> dict[str, Any]:
    path = home / SUMMARY
    with as_written(home):
        facts: dict[str, Any] = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    return facts


def _compare(home: Path, again: Path, outputs: Mapping[str, str], why: str) -> Verified:
    """Compare each file of the pack with the recomputed one; ``why`` gives the reason if pages were not made."""
    problems: list[Problem] = []
    left: list[str] = []
    tables = cells = pages = 0
    made = {path.relative_to(again).as_posix() for path in again.rglob("*") if path.is_file()} - {MANIFEST}
    for name in sorted({*made, *outputs}):
        number = _is_table(name) or name == SUMMARY
        if name not in made and why and not number:
            left.append(name)
        elif name not in made or name not in outputs:
            what = f"table {Path(name).stem}" if number and name != SUMMARY else name
            where = "recomputed only" if name in made else "in the pack only"
            problems.append(Problem(f"{what} is {where}", str(home)))
        elif _is_table(name):
            with as_written(home, name):
                made_again = _table(again / name)
                problems += _compare_tables(name, _table(home / name), made_again)
            cells += made_again.size
            tables += 1
        elif name == SUMMARY:
            with as_written(home):
                problems += [Problem(text, name) for text in _unlike("", _facts(home), _facts(again))]
        elif (home / name).read_bytes() != (again / name).read_bytes():
            text = "is not what this study's numbers give here; it was changed, or the fonts of this machine are others"
            problems.append(Problem(f"{text} (--no-pages leaves pages out)", name))
        else:
            pages += 1
    if problems:
        more = [Problem(f"{len(problems) - LISTED} more differences")] if len(problems) > LISTED else []
        raise IntegrityError([*problems[:LISTED], *more])
    told = why if left else ""
    return Verified(tables=tables, cells=cells, pages=pages, files=len(outputs), left=tuple(left), why=told)


def _table(path: Path) -> pd.DataFrame:
    """A table as it was written; the cells of a CSV are texts."""
    if path.suffix == ".parquet":
        return pd.read_parquet(path)
    return pd.read_csv(path, dtype=str, keep_default_na=False)


def _compare_tables(name: str, stored: pd.DataFrame, made: pd.DataFrame) -> Iterator[Problem]:
    """Yield the differences of two tables; line numbers of a CSV count the header."""
    if list(stored.columns) != list(made.columns):
        yield Problem(f"has the columns {', '.join(stored.columns)}; recomputed: {', '.join(made.columns)}", name, 1)
        return
    if len(stored) != len(made):
        yield Problem(f"has {len(stored)} rows; recomputed: {len(made)}", name)
    rows, header = min(len(stored), len(made)), 1 if name.endswith(".parquet") else 2
    for column in made.columns:
        one, other = (table[column].iloc[:rows] for table in (stored, made))
        differ = np.flatnonzero((one != other) & ~(one.isna() & other.isna()))
        old_number, new_number = (pd.to_numeric(part.iloc[differ], errors="coerce") for part in (one, other))
        for row in differ[~np.isclose(old_number, new_number, rtol=RELATIVE, atol=ABSOLUTE)].tolist():
            old, new = (part.iloc[row] for part in (one, other))
            yield Problem(
                f"{column} is {'empty' if old == '' else old}; recomputed: {'empty' if new == '' else new}",
                name,
                row + header,
            )


def _is_table(name: str) -> bool:
    return name.endswith((".csv", ".parquet")) and (name == "ledger.csv" or name.startswith("tables/"))


def _found(name: str, option: str, sector: str = "", sha256: str = "") -> Path:
    """Find an input by its name: the events of a sector of the package, or a file in the working directory."""
    shipped = sector_file(sector).with_name("events.csv") if sector in sector_names() else None
    if shipped and sha256_of(shipped) == sha256:
        return shipped
    path = Path(name)
    if not path.exists():
        raise ConfigError(f"{name} is not in the working directory; say where it is with {option}")
    return path


def _origin(manifest: Mapping[str, Any], home: Path, events_folder: Path) -> str:
    """Find the ``--prices`` of the pack by name, also in the folder of the events."""
    with as_written(home, MANIFEST):
        simulated, origin = manifest["prices"]["simulated"], manifest["prices"].get("origin", {})
        kind, name = origin.get("kind"), str(origin.get("name", ""))
    if simulated:
        return "simulated"
    if kind in ("duckdb", "example"):
        return f"{kind}:{name}"
    kept = snapshots_folder() / name
    if kind == "snapshot" and kept.is_dir():
        return str(kept)
    if not name:
        raise ConfigError("the manifest does not say where the prices are; give --prices")
    here = Path(name).exists() or not (events_folder / name).exists()
    return str(_found(name, "--prices") if here else events_folder / name)


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


def _unlike(path: str, stored: Any, new: Any) -> Iterator[str]:
    """Yield each value that differs between two JSON contents."""
    new = str(new) if isinstance(new, str) else new
    if isinstance(stored, Mapping) and isinstance(new, Mapping):
        for key in dict.fromkeys([*stored, *new]):
            yield from _unlike(f"{path}.{key}" if path else str(key), stored.get(key), new.get(key))
    elif isinstance(stored, list) and isinstance(new, list) and len(stored) == len(new):
        for at, (old, value) in enumerate(zip(stored, new, strict=True)):
            yield from _unlike(f"{path}[{at}]", old, value)
    elif type(stored) is not type(new) or not _same(str(stored), str(new)):
        yield f"{path} is {_short(stored)}; recomputed: {_short(new)}"


def _short(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 80 else f"{text[:79]}…"


def _same(old: str, new: str) -> bool:
    if old == new:
        return True
    try:
        return math.isclose(float(old), float(new), rel_tol=RELATIVE, abs_tol=ABSOLUTE)
    except ValueError:
        return False
