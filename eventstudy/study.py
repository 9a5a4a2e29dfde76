"""One run from events and prices to a `StudyResult`."""

from __future__ import annotations

import functools
import hashlib
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from eventstudy.backtest import Trials, summarise, trade_study
from eventstudy.config import IN_MEMORY, StudyConfig, Window
from eventstudy.config.json_values import plain_json
from eventstudy.core.estimation import Computed, compute, distinct, groups, headline_of
from eventstudy.core.statistics import Sample, TestResult, run_tests
from eventstudy.errors import ConfigError, Reason
from eventstudy.events import Events
from eventstudy.messages import text
from eventstudy.optional import Parts
from eventstudy.prices import PriceTable
from eventstudy.prices.covariates import read_covariates
from eventstudy.results.manifest import build_manifest, run_id_of
from eventstudy.results.prereg import specification_digest
from eventstudy.results.result import StudyResult
from eventstudy.results.severity import worst_first
from eventstudy.results.study_run import StudyRun, explored_of
from eventstudy.results.summary import build_summary
from eventstudy.results.tables import aar_table, backtest_tables, build_tables
from eventstudy.reversal import Findings, asks_reversal, findings, read_confounders, study_shocks
from eventstudy.reversal.claims import ClaimVerdict, check_claims, read_claims
from eventstudy.shocks import with_shocks
from eventstudy.workers import Start, in_turn

if TYPE_CHECKING:
    import pandas as pd

    from eventstudy.large.event_list import EventList

Progress = Callable[[str], None]
Row = TypeVar("Row")
#: Statistics of buy-and-hold returns.
COMPOUNDING = ("bhar_t", "bootstrap")


def run_study(
    events: Events,
    config: StudyConfig,
    prices: PriceTable,
    *,
    progress: Progress | None = None,
    prereg: Mapping[str, Any] | None = None,
    trials: Trials | None = None,
    start: Start = in_turn,
) -> StudyResult:
    """Run a study: estimation, tests, reversal question, tables and summary.

    Parameters
    ----------
    events, config, prices
        From `events.read_events`, `config.load_config` and a price provider.
    progress
        Called with the name of each stage when it starts.
    prereg
        Departures of the run from its pre-registration, from `results.prereg.summary_of`.
    trials
        Trading specifications that were run before; the deflated Sharpe ratio uses their number.
    start
        How to run a function while this process continues, see `workers.forked_children`; changes no number.

    Raises
    ------
    EstimationError
        If no event × peer can be studied.
    PriceError
        If a benchmark has gaps or never moves.
    """
    tell = progress or (lambda _: None)
    return answer_study(events, config, prices, progress=tell, prereg=prereg, trials=trials, start=start).finish(tell)


@dataclass(frozen=True, slots=True)
class Answered:
    """A study whose answer is known: the summary in ``result`` lacks the backtest, and there are no tables yet.

    ``finish`` adds both and returns the whole result; it calls its argument with the name of each stage.
    """

    result: StudyResult
    finish: Callable[[Progress], StudyResult]


def answer_study(
    events: Events,
    config: StudyConfig,
    prices: PriceTable,
    *,
    progress: Progress,
    prereg: Mapping[str, Any] | None = None,
    trials: Trials | None = None,
    start: Start = in_turn,
) -> Answered:
    """Run a study until its answer is known; parameters and errors as in `run_study`."""
    events = with_shocks(events, config)
    own = read_covariates(events, config)
    progress("returns, windows, market model")
    asks = asks_reversal(events, config)
    config = config if asks else config.of_effect
    computed = compute(events, config, prices)
    samples = list(groups(computed.sample, events, config, own))
    samples = samples if asks else list(distinct(samples))
    tests = start(_tests, samples, config, config.windows.tested(asked=asks))
    parts = Parts()
    progress("reversal")
    found, claims = _ask(computed, samples, events, config, prices, parts) if asks else (None, ())
    manifest = build_manifest(events, config, prices)
    manifest["inputs"] += _covariates_files(config) + (_inputs_beside(events) if asks else [])
    progress("tests")
    run = StudyRun(
        events=events,
        config=config,
        own=own,
        prices=prices,
        computed=computed,
        samples=samples,
        tests=tests.result(),
        found=found,
        claims=claims,
        parts=parts,
    )
    run_id, aar = run_id_of(config, manifest), aar_table(samples)
    facts = build_summary(run, run_id, aar)
    sentences: list[str] = []
    if prereg is not None:
        facts["prereg"] = plain_json(prereg)
        sentences = [row["sentence"] for row in facts["prereg"]["departures"]]
    facts["warnings"] = worst_first([*sentences, *facts["warnings"], *parts.warnings()])
    answer = StudyResult(run_id, {}, facts, {**manifest, "run_id": run_id})
    return Answered(answer, functools.partial(_finished, run, answer, aar, trials or Trials(), start))


def _finished(
    run: StudyRun, answer: StudyResult, aar: pd.DataFrame, earlier: Trials, start: Start, tell: Progress
) -> StudyResult:
    """Add the tables and, if the study asks about reversals, the backtest to an answer."""
    # Sharpe ratios from real and from simulated prices are not comparable.
    logged = {} if run.prices.simulated else earlier.rules
    trade = start(_trade, run, logged) if run.asked else None
    tell("tables")
    tables, facts, manifest, before = build_tables(run, aar), dict(answer.facts), dict(answer.manifest), logged
    if trade is not None:
        tell("backtest")
        untraded = functools.partial(_untraded, logged)
        traded = run.parts.optional("backtest", trade.result, untraded)
        tables |= traded.tables
        facts["backtest"], before = plain_json(traded.summary), traded.before
    facts["not_available"] = [missing.as_dict() for missing in run.parts.missing]
    later = [warning for warning in run.parts.warnings() if warning not in facts["warnings"]]
    facts["warnings"] = worst_first([*facts["warnings"], *later])
    _count_trials(facts, manifest, earlier.studies, before, run.config)
    return StudyResult(answer.run_id, tables, facts, manifest, explored=explored_of(run))


def run_list(
    events: EventList,
    config: StudyConfig,
    prices: Any,
    *,
    scratch: Path,
    returns: bool = False,
    progress: Progress | None = None,
    trials: Trials | None = None,
    **how: Any,
) -> StudyResult:
    """Run a study of more firm-events than fit in memory, from sums over dates.

    Parameters
    ----------
    events, config
        From `event_list.read_list` and `config.load_config`; the study's only market names the index.
    prices
        A long file, which is read in pieces; or a folder, another file, a frame or a `PriceTable`.
    returns
        Whether the numbers of a frame of prices are returns.
    scratch
        Empty folder on a disk that all workers can read. It receives tables of returns and the tables with one row for
        each firm-event; keep it as long as these are read.
    **how
        ``workers`` and ``tests`` of `large.engine.run_market`; without tests only the selection is in the result.

    Raises
    ------
    ConfigError
        For settings that need the events in memory, and for several markets.
    PriceError, EstimationError
        As for `run_study`.
    """
    from eventstudy.large.engine import layout_of, run_market
    from eventstudy.large.tables import long_file
    from eventstudy.results.long_list import result_of_list

    config, tell = config.of_effect, progress or (lambda _: None)
    if len(config.markets) != 1:
        raise ConfigError(
            f"{len(config.markets)} markets: more than {IN_MEMORY:,} firm-events are studied on one exchange, "
            "against one index, at a time; split the list"
        )
    market = config.markets[0]
    # Settings that need the events in memory are refused before the prices are copied.
    layout_of(config)
    source = long_file(events, prices, market.benchmark, scratch, returns=returns)
    found = run_market(events, source, market.benchmark, config, scratch=scratch, progress=tell, **how)
    tell("tables")
    result = result_of_list(found, config, market.mic, scratch / "tables")
    facts, manifest, earlier = dict(result.facts), dict(result.manifest), trials or Trials()
    _count_trials(facts, manifest, earlier.studies, earlier.rules, config)
    return replace(result, facts=facts, manifest=manifest)


def _count_trials(
    summary: dict[str, Any],
    manifest: dict[str, Any],
    studies: frozenset[str],
    rules: Mapping[str, float],
    config: StudyConfig,
) -> None:
    """Record the number of specifications, this run included, and those run before."""
    own = specification_digest(config)
    summary["trials"] = len({*studies, own})
    manifest["trials"] = Trials(studies - {own}, rules).as_dict()


@dataclass(frozen=True, slots=True)
class _Traded:
    """The backtest as tables and sentences, and the trading specifications that were run before it."""

    tables: Mapping[str, pd.DataFrame]
    summary: Mapping[str, Any]
    before: Mapping[str, float]


def _ask(
    computed: Computed, samples: Sequence[Sample], events: Events, config: StudyConfig, prices: PriceTable, parts: Parts
) -> tuple[Findings, tuple[ClaimVerdict, ...]]:
    """Return the results on reversals, and the claims compared with the prices."""
    headline = headline_of(samples, config)
    shocks = study_shocks(computed, headline, config)
    beside = Path(events.path).parent
    news = _beside(beside / "confounders.csv", lambda path: read_confounders(path, config))
    found = findings(shocks, events, computed.alignments, config, news=news, parts=parts)
    claimed = _beside(beside / "claims.csv", read_claims)
    return found, parts.optional("claims", lambda: tuple(check_claims(claimed, prices, config)), lambda _: ())


def _trade(run: StudyRun, logged: Mapping[str, float]) -> _Traded:
    assert run.found is not None
    group, config = run.headline.group, run.config
    traded = trade_study(run.computed, run.found.shocks, run.events, config, run.prices, group=group, logged=logged)
    return _Traded(backtest_tables(traded), summarise(traded), traded.evaluation.before)


def _untraded(logged: Mapping[str, float], why: Reason) -> _Traded:
    return _Traded(backtest_tables(None), {"n_trades": 0, "sentence": text(why)}, logged)


def _tests(samples: Sequence[Sample], config: StudyConfig, windows: Sequence[Window]) -> list[TestResult]:
    """Run the tests; those that compound returns do not apply to volume and volatility."""
    results = run_tests(samples, windows, config.tests.names)
    if config.study.kind == "return":
        return results
    reason = Reason("not_tested.no_compounding", kind=Reason(f"study.{config.study.kind}"))
    return [
        replace(r, estimate=math.nan, statistic=math.nan, p_value=math.nan, df=math.nan, reason=reason)
        if r.name in COMPOUNDING
        else r
        for r in results
    ]


def _inputs_beside(events: Events) -> list[dict[str, str]]:
    beside = Path(events.path).parent
    return _inputs([path for path in (beside / "claims.csv", beside / "confounders.csv") if path.is_file()])


def _covariates_files(config: StudyConfig) -> list[dict[str, str]]:
    return _inputs([Path(item.file) for item in config.covariates])


def _inputs(paths: Sequence[Path]) -> list[dict[str, str]]:
    return [{"name": path.name, "sha256": hashlib.sha256(path.read_bytes()).hexdigest()} for path in paths]


def _beside(path: Path, read: Callable[[Path], tuple[Row, ...]]) -> tuple[Row, ...]:
    """Read an optional file in the folder of the events; return nothing if it does not exist."""
    return read(path) if path.is_file() else ()
