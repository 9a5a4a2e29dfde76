"""Read and check the data that a pool needs from a result pack."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from eventstudy.core.selection import USED
from eventstudy.errors import ConfigError, IntegrityError, Problem
from eventstudy.messages import asked
from eventstudy.pooling.pool import PackShocks
from eventstudy.report.packs import as_written, check_files, flat, home_of, read_pack, read_table, table_file
from eventstudy.results.result import StudyResult
from eventstudy.reversal.controls import Comparison, is_moderated, lead_of, week_of
from eventstudy.reversal.estimator import Falls

if TYPE_CHECKING:
    import pandas as pd

#: Tables of a pack that a pool uses.
NEEDED = ("reversal", "falls", "ledger")
#: Largest difference of a shock's CAR between two tables of one pack.
ROUNDING = 1e-9


def read_shocks(folder: Path) -> PackShocks:
    """Read the data that a pool needs from a result pack.

    Raises
    ------
    ConfigError
        If ``folder`` is no pack, or lacks one of the tables.
    IntegrityError
        If a table was changed after it was written, or they do not belong together.
    """
    pack, home = read_pack(folder), home_of(folder)
    if not asked(pack.facts):
        raise ConfigError(Problem(_no_verdict(pack), str(home)))
    files = [table_file(pack.manifest, name) for name in NEEDED]
    for name, file in zip(NEEDED, files, strict=True):
        if not file:
            raise ConfigError(Problem(f"has no table {name}; run the study with the format csv or parquet", str(home)))
    check_files(home, pack.manifest, files)
    with as_written(home, "tables"):
        return _shocks(pack, *(home / file for file in files))


def _no_verdict(pack: StudyResult) -> str:
    """Return an error that says why a pack has no verdict for a pool."""
    if (kind := pack.facts.get("kind")) != "return":
        return f"{pack.run_id} measures {kind}: a pool joins excess returns; give packs of returns"
    label = pack.manifest["settings"]["reversal"]["label"]
    return (
        f"{pack.run_id} has no verdict: it asks for the effect of its events, not about reversals; a pool joins "
        f"verdicts. Label events {label!r} (reversal.label) or run it with --set reversal.ask=yes"
    )


def _shocks(pack: StudyResult, reversal: Path, fallen: Path, ledger: Path) -> PackShocks:
    """Return the shocks of a pack from its tables."""
    shocks, listed = read_table(reversal), read_table(fallen)
    if "overlaps" not in shocks:
        raise ConfigError(Problem("lacks the column overlaps; run the study again", str(reversal)))
    shocks = shocks.sort_values(["day0", "shock_id"], kind="stable").reset_index(drop=True)
    names = [str(name) for name in shocks["shock_id"]]
    settings = flat(pack.manifest["settings"])
    peers = _peers(read_table(ledger))
    post = shocks["car_post"].to_numpy(float)
    comparison = _comparison(listed, names, settings)
    own = comparison.shock >= 0
    differ = ~(np.abs(post[comparison.shock[own]] - comparison.falls.post[own]) < ROUNDING)
    if differ.any():
        name = names[int(comparison.shock[own][differ][0])]
        raise IntegrityError(Problem(f"{name}: its CAR is not that of {fallen.name}", str(reversal)))
    return PackShocks(
        run_id=str(pack.facts.get("run_id") or pack.run_id),
        sector=settings.get("study.sector") or settings["study.name"],
        settings=settings,
        simulated=pack.simulated,
        n_effective={name: _number(row.get("n_effective")) for name, row in _answers(pack.facts).items()},
        attainable={name: int(row.get("attainable") or 0) for name, row in _answers(pack.facts).items()},
        shock_id=np.array(names, dtype=np.str_),
        label=shocks["label"].to_numpy(np.str_),
        day0=shocks["day0"].to_numpy("datetime64[D]"),
        n_peers=shocks["n_peers"].to_numpy(np.int64),
        drop=shocks["car_drop"].to_numpy(float),
        post=post,
        qualifies=_truth(shocks["qualifies"]),
        in_time=_truth(shocks["label_in_time"]),
        overlaps=tuple(shocks["overlaps"]),
        tickers=tuple(peers.get(name, ()) for name in names),
        comparison=comparison,
        peers=tuple(tuple(str(name).split(", ")) for name in listed["stratum"]),
    )


def _comparison(listed: pd.DataFrame, names: Sequence[str], settings: Mapping[str, Any]) -> Comparison:
    """Return the falls of a pack; shocks among them have their index in ``names``."""
    number = {name: at for at, name in enumerate(names)}
    shock = np.array([number.get(str(name), -1) for name in listed["event"]], dtype=np.int64)
    day = listed["day0"].to_numpy("datetime64[D]").astype(np.int64)
    first, last = settings["windows.post"]
    decimals = {name: listed[name].to_numpy(float) for name in ("drop_s", "run_up", "post", "sigma", "recent")}
    return Comparison(
        falls=Falls(
            event=shock >= 0,
            stratum=listed["stratum"].to_numpy(np.str_),
            family=listed["family"].to_numpy(np.str_),
            session=listed["session"].to_numpy(np.int64),
            week=week_of(day),
            length=last - first + 1,
            **decimals,
        ),
        shock=shock,
        day=day,
        drop=listed["drop"].to_numpy(float),
        drops={},
        moderated=is_moderated(settings["reversal.estimator"]),
        lead=lead_of(settings["reversal.controls"], settings["windows.drop"], (first, last)),
    )


def _truth(column: pd.Series[Any]) -> np.ndarray[Any, np.dtype[np.bool_]]:
    return (column.astype(str) == "True").to_numpy(bool)


def _peers(ledger: pd.DataFrame) -> dict[str, tuple[str, ...]]:
    used = ledger[ledger["status"].isin(USED)]
    return {str(name): tuple(sorted(set(rows))) for name, rows in used.groupby("shock_id")["ticker"]}


def _answers(facts: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    """Verdicts of a summary by group."""
    answers = [facts.get("verdict"), facts.get("exploratory"), *(facts.get("verdicts") or {}).values()]
    return {row["group"]: row for row in answers if row}


def _number(value: Any) -> float:
    return float("nan") if value is None else float(value)
