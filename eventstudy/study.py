"""One run from events and prices to a `StudyResult`."""

from __future__ import annotations

from collections.abc import Callable

from .config import StudyConfig
from .estimation import compute, groups, headline_group
from .events import Events
from .inference import run_tests
from .prices import PriceTable
from .results import StudyResult
from .reversal import judge
from .summary import build_manifest, build_summary, run_id_of
from .tables import build_tables

Progress = Callable[[str], None]


def run_study(
    events: Events, config: StudyConfig, prices: PriceTable, *, progress: Progress | None = None
) -> StudyResult:
    """Run a whole study.

    Parameters
    ----------
    events, config, prices
        From `events.read_events`, `config.load_config` and a price provider.
    progress
        Called with the name of each stage as it starts.

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
    tell("tables")
    tables = build_tables(computed, samples, results, judgement, events, config)
    manifest = build_manifest(events, config, prices)
    run_id = run_id_of(config, prices, manifest)
    summary = build_summary(run_id, computed, results, judgement, headline, tables, events, config, prices)
    return StudyResult(run_id, tables, summary, {**manifest, "run_id": run_id})
