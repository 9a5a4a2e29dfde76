"""One run from events and prices to a `StudyResult`."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any, TypeVar

from .backtest import trade_study
from .claims import check_claims, read_claims
from .config import StudyConfig
from .estimation import compute, groups, headline_group
from .events import Events
from .inference import run_tests
from .prices import PriceTable
from .results import StudyResult
from .reversal import findings, judge, read_confounders
from .reversal.prereg import specification_digest
from .summary import build_manifest, build_summary, run_id_of
from .tables import backtest_tables, build_tables

Progress = Callable[[str], None]
Row = TypeVar("Row")


def run_study(
    events: Events,
    config: StudyConfig,
    prices: PriceTable,
    *,
    progress: Progress | None = None,
    prereg: Mapping[str, Any] | None = None,
    trials: Collection[str] = (),
) -> StudyResult:
    """Run a whole study.

    Parameters
    ----------
    events, config, prices
        From `events.read_events`, `config.load_config` and a price provider.
    progress
        Called with the name of each stage as it starts.
    prereg
        What the run departs from its pre-registration in, from `reversal.prereg.summary_of`.
    trials
        Digests of the specifications that were run before.

    Raises
    ------
    EstimationError
        If no event × peer can be studied.
    PriceError
        If a benchmark has gaps or never moves.
    """
    tell = progress or (lambda _: None)
    tell("returns, windows, market model")
    computed = compute(events, config, prices)
    tell("tests")
    samples = list(groups(computed.sample, events, config))
    results = run_tests(samples, config.windows.all_car, config.tests.names)
    tell("reversal")
    headline = next(sample for sample in samples if sample.group == headline_group(config))
    judgement = judge(computed, headline, events, config)
    beside = Path(events.path).parent
    news = _beside(beside / "confounders.csv", lambda path: read_confounders(path, config))
    found = findings(judgement, events, computed.alignments, config, news=news)
    claims = check_claims(_beside(beside / "claims.csv", read_claims), prices, config)
    tell("backtest")
    traded = trade_study(computed, judgement, events, config, prices)
    tell("tables")
    tables = build_tables(computed, samples, results, judgement, found, claims, events, config)
    tables |= backtest_tables(traded)
    manifest = build_manifest(events, config, prices)
    manifest["inputs"] += [
        {"name": path.name, "sha256": hashlib.sha256(path.read_bytes()).hexdigest()}
        for path in (beside / "claims.csv", beside / "confounders.csv")
        if path.is_file()
    ]
    run_id = run_id_of(config, prices, manifest)
    summary = build_summary(
        run_id, computed, results, judgement, found, headline, tables, events, config, prices, traded
    )  # fmt: skip
    summary["trials"] = len({*trials, specification_digest(config)})
    if prereg is not None:
        summary["prereg"] = dict(prereg)
        summary["warnings"] = [*(row["sentence"] for row in prereg["departures"]), *summary["warnings"]]
    return StudyResult(run_id, tables, summary, {**manifest, "run_id": run_id})


def _beside(path: Path, read: Callable[[Path], tuple[Row, ...]]) -> tuple[Row, ...]:
    """Read a file that may stand beside the events; nothing where there is none."""
    return read(path) if path.is_file() else ()
