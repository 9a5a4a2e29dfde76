"""The log of the runs in one results folder: their specifications and the paths of their inputs."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from eventstudy.backtest import RULE, Trials
from eventstudy.backtest.statistics import SESSIONS_A_YEAR
from eventstudy.config import StudyConfig
from eventstudy.results.prereg import specification_digest
from eventstudy.results.result import StudyResult

#: File with one line for each run in the folder.
TRIALS = "trials.jsonl"


def past_trials(out: Path) -> Trials:
    """Return the earlier runs in this folder; unreadable lines are ignored."""
    studies, rules = set(), dict[str, float]()
    for row in _logged(out):
        try:
            studies.add(str(row["specification"]))
            rules |= Trials.from_dict(row).rules
        except (ValueError, KeyError, TypeError, AttributeError):
            continue
    return Trials(frozenset(studies), rules)


def inputs_of_run(pack: Path) -> dict[str, str]:
    """Return the paths of the inputs of a pack's run, as written by `log_trial`; empty if unknown.

    ``folder`` is the run's working directory, relative to the folder of the packs; other paths are relative to it.
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
    """Append one line on a finished run with its specifications.

    Trading specifications have their daily Sharpe ratio, except in runs with simulated prices. ``inputs`` are paths
    from the working directory. They are stored here because the pack contains no paths.
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
    """The relative path from one folder to another; the absolute path if there is none, as on another drive."""
    try:
        return Path(os.path.relpath(folder, out)).as_posix()
    except ValueError:
        return str(folder)
