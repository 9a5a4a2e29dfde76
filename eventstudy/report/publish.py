"""Write a pack atomically: stage, rename, repoint ``latest``."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from eventstudy.backtest import RULE, Trials
from eventstudy.backtest.statistics import SESSIONS_A_YEAR
from eventstudy.config import StudyConfig
from eventstudy.report.pack import write_pack
from eventstudy.report.staging import UNFINISHED, aside, settle
from eventstudy.results.result import StudyResult
from eventstudy.reversal.prereg import specification_digest
from eventstudy.workers import Start, in_turn

#: One line for every run into this folder.
TRIALS = "trials.jsonl"


def publish(
    result: StudyResult,
    out: Path,
    *,
    formats: Sequence[str],
    templates: Path | None = None,
    progress: Callable[[str], None] | None = None,
    start: Start = in_turn,
) -> Path:
    """Write the pack into ``out/<run-id>`` and point ``out/latest`` to it.

    A pack of the same run id with the same content is left as it is; one with other content keeps
    its name and the new one gets a number. Earlier packs are never touched.

    Raises
    ------
    OSError
        If the disk is full or refuses; what was half written is removed.
    """
    with aside(out) as unfinished:
        write_pack(result, unfinished, formats=formats, templates=templates, progress=progress, start=start)
        target = _target(out, result.run_id, unfinished)
        settle(unfinished, target)
    _point(out / "latest", target.name)
    return target


def _target(out: Path, run_id: str, unfinished: Path) -> Path:
    manifest = (unfinished / "manifest.json").read_bytes() if (unfinished / "manifest.json").exists() else b""
    number = 1
    while True:
        target = out / (run_id if number == 1 else f"{run_id}-{number}")
        there = target / "manifest.json"
        if not target.exists() or (manifest and there.exists() and there.read_bytes() == manifest):
            return target
        number += 1


def _point(link: Path, name: str) -> None:
    """Swap a symbolic link in one step; where links are not allowed, a text file names the pack."""
    aside = link.with_name(f"{UNFINISHED}latest")
    aside.unlink(missing_ok=True)
    try:
        aside.symlink_to(name, target_is_directory=True)
        aside.replace(link)
    except OSError:
        aside.unlink(missing_ok=True)
        link.with_suffix(".txt").write_text(f"{name}\n", encoding="utf-8")


def past_trials(out: Path) -> Trials:
    """Return what was run into this folder before; lines that cannot be read are none."""
    studies, rules = set(), dict[str, float]()
    for row in _logged(out):
        try:
            studies.add(str(row["specification"]))
            rules |= Trials.from_dict(row).rules
        except (ValueError, KeyError, TypeError, AttributeError):
            continue
    return Trials(frozenset(studies), rules)


def inputs_of_run(pack: Path) -> dict[str, str]:
    """Return where the run of a pack found its inputs, as `log_trial` wrote it; empty where nobody knows.

    ``folder`` is the run's working directory, from the folder of the packs on; the others are paths from it.
    """
    found: Any = {}
    for row in _logged(pack.parent):
        found = row.get("inputs", {}) if row.get("pack") == pack.name else found
    return {str(k): v for k, v in found.items() if isinstance(v, str)} if isinstance(found, Mapping) else {}


def _logged(out: Path) -> Iterator[Mapping[str, Any]]:
    path = out / TRIALS
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines() if path.is_file() else ():
        try:
            row = json.loads(line)
        except (ValueError, RecursionError):
            continue
        if isinstance(row, Mapping):
            yield row


def log_trial(out: Path, result: StudyResult, config: StudyConfig, pack: Path, inputs: Mapping[str, str]) -> None:
    """Append one line on a finished run: every specification that was tried counts.

    Those of the trade come with their daily Sharpe ratio, but for a run on simulated prices. ``inputs`` are paths
    from the working directory; they stand here and not in the pack, which shows nobody the folders of this machine.
    """
    config = config if result.verdict is not None else config.of_effect
    effect = result.facts.get("effect") or {}
    answer = result.facts.get("verdict") or {**effect, "kind": "effect", "effect": effect["estimate"]}
    rules: Mapping[str, Any] = {}
    if result.verdict is not None:
        tried = result.tables["specifications"]
        mine = tried[(tried["run"] == RULE) & (not result.simulated)]
        ratios = (mine["sharpe"] / SESSIONS_A_YEAR**0.5).astype(float)
        rules = Trials(rules=dict(zip(mine["specification"].astype(str), ratios, strict=True))).as_dict()["rules"]
    row = {
        "run_id": result.run_id,
        "specification": specification_digest(config),
        "verdict": answer["kind"],
        "effect": answer["effect"],
        "p_value": answer["p_value"],
        "n_dates": answer["n_dates"],
        "window": answer["window"],
        "model": config.model.name,
        "returns": config.returns.kind,
        "alpha": config.model.alpha,
        "rules": rules,
        "pack": pack.name,
        "inputs": {"folder": _from(out, Path.cwd()), **inputs},
    }
    with (out / TRIALS).open("a", encoding="utf-8", newline="\n") as file:
        file.write(json.dumps(row, sort_keys=True) + "\n")


def _from(out: Path, folder: Path) -> str:
    """The way from one folder to another; the other's own path where there is none, as on another drive."""
    try:
        return Path(os.path.relpath(folder, out)).as_posix()
    except ValueError:
        return str(folder)
