"""What a pool needs of a result pack, read back and checked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from eventstudy.core.selection import USED
from eventstudy.errors import ConfigError, IntegrityError, Problem
from eventstudy.messages import asked
from eventstudy.pooling.pool import PackShocks
from eventstudy.report.packs import as_written, check_files, flat, home_of, read_pack
from eventstudy.results.result import StudyResult

if TYPE_CHECKING:
    import pandas as pd

#: Tables of a pack that a pool rests on.
NEEDED = ("tables/reversal.csv", "tables/placebo.csv", "ledger.csv")
#: An excess and its placebos that differ by more were not written together.
ROUNDING = 1e-9


def read_shocks(folder: Path) -> PackShocks:
    """Read what a pool needs of a result pack.

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
    for name in NEEDED:
        if name not in pack.manifest["outputs"]:
            raise ConfigError(Problem(f"has no {name}; run the study with the format csv", str(home)))
    check_files(home, pack.manifest, NEEDED)
    with as_written(home, "tables"):
        return _shocks(pack, home)


def _no_verdict(pack: StudyResult) -> str:
    """Say why a pack has no verdict that could be pooled."""
    if (kind := pack.facts.get("kind")) != "return":
        return f"{pack.run_id} measures {kind}: a pool joins excess returns; give packs of returns"
    label = pack.manifest["settings"]["reversal"]["label"]
    return (
        f"{pack.run_id} has no verdict: it asks for the effect of its events, not about reversals; a pool joins "
        f"verdicts. Label events {label!r} (reversal.label) or run it with --set reversal.ask=yes"
    )


def _shocks(pack: StudyResult, home: Path) -> PackShocks:
    """Return what the tables of a pack say of its shocks."""
    shocks, placebos = _table(home, NEEDED[0]), _table(home, NEEDED[1])
    if "overlaps" not in shocks:
        raise ConfigError(Problem("lacks the column overlaps; run the study again", str(home / NEEDED[0])))
    shocks = shocks.sort_values(["day0", "shock_id"], kind="stable").reset_index(drop=True)
    names = [str(name) for name in shocks["shock_id"]]
    matched = placebos[placebos["tier"] == "P1"].groupby("shock_id")["car_post"]
    sets = {str(name): values.to_numpy(float) for name, values in matched}
    excess = shocks["excess"].to_numpy(float)
    chosen = tuple(
        sets.get(name, np.zeros(0)) if known else np.zeros(0)
        for name, known in zip(names, np.isfinite(excess), strict=True)
    )
    _check_excess(home, names, shocks["car_post"].to_numpy(float), chosen, excess)
    settings = flat(pack.manifest["settings"])
    peers = _peers(_table(home, NEEDED[2]))
    return PackShocks(
        run_id=str(pack.facts.get("run_id") or pack.run_id),
        sector=settings.get("study.sector") or settings["study.name"],
        settings=settings,
        simulated=pack.simulated,
        n_effective=_effective(pack.facts),
        shock_id=np.array(names, dtype=np.str_),
        label=shocks["label"].to_numpy(np.str_),
        day0=shocks["day0"].to_numpy("datetime64[D]"),
        n_peers=shocks["n_peers"].to_numpy(np.int64),
        drop=shocks["car_drop"].to_numpy(float),
        post=shocks["car_post"].to_numpy(float),
        excess=excess,
        excess_log=shocks["excess_log"].to_numpy(float),
        excess_bhar=shocks["excess_bhar"].to_numpy(float),
        qualifies=_truth(shocks["qualifies"]),
        in_time=_truth(shocks["label_in_time"]),
        overlaps=tuple(shocks["overlaps"].fillna("").astype(str)),
        placebos=chosen,
        tickers=tuple(peers.get(name, ()) for name in names),
    )


def _table(home: Path, name: str) -> pd.DataFrame:
    import pandas as pd

    texts = {"shock_id": str, "label": str, "overlaps": str, "ticker": str, "tier": str}
    return pd.read_csv(home / name, dtype=texts, keep_default_na=False, na_values=[""])


def _check_excess(
    home: Path,
    names: Sequence[str],
    post: np.ndarray[Any, Any],
    sets: Sequence[np.ndarray[Any, Any]],
    excess: np.ndarray[Any, Any],
) -> None:
    for name, value, others, stated in zip(names, post, sets, excess, strict=True):
        if np.isfinite(stated) and not (len(others) and abs(value - others.mean() - stated) < ROUNDING):
            text = f"{name}: its excess is not its CAR less the mean of its placebos in placebo.csv"
            raise IntegrityError(Problem(text, str(home / NEEDED[0])))


def _truth(column: pd.Series[Any]) -> np.ndarray[Any, np.dtype[np.bool_]]:
    return (column.astype(str) == "True").to_numpy(bool)


def _peers(ledger: pd.DataFrame) -> dict[str, tuple[str, ...]]:
    used = ledger[ledger["status"].isin(USED)]
    return {str(name): tuple(sorted(set(rows))) for name, rows in used.groupby("shock_id")["ticker"]}


def _effective(facts: Mapping[str, Any]) -> dict[str, float]:
    answers = [facts.get("verdict"), facts.get("exploratory"), *(facts.get("verdicts") or {}).values()]
    found = {row["group"]: row.get("n_effective") for row in answers if row}
    return {name: float("nan") if value is None else float(value) for name, value in found.items()}
