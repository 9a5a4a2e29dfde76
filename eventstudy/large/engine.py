"""A market-wide study from its files: read, fit by blocks of securities, reduce by blocks of dates, test."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeVar, overload

import numpy as np
from numpy.lib.format import open_memmap
from numpy.typing import NDArray

from eventstudy.config import StudyConfig
from eventstudy.core.returns import one_session_returns
from eventstudy.core.statistics import TestResult
from eventstudy.errors import ConfigError, EstimationError, PriceError, Problem, nearest
from eventstudy.large.battery import AT_ANY_SIZE, AverageReturns, average_returns, date_figures, run_battery
from eventstudy.large.days import MANY, DaySums, date_blocks, day_sums, scar_spread, total
from eventstudy.large.fit import MANY as MANY_FITS
from eventstudy.large.fit import Kernel, fit_events, use_numba
from eventstudy.large.panel import FirmEvents, Layout, MarketFit, WidePanel, empty_fit, put
from eventstudy.prices.long import Filled, LongFile, fill, new_table, open_long, pieces, read_series
from eventstudy.readers.market_events import MarketEvents
from eventstudy.workers import run_blocks

#: Securities of one block of fits.
BLOCK_SECURITIES = 256
#: Standard errors of residuals below this share of the intercept are rounding of returns that never change.
CONSTANT = 1e-10
#: What becomes of an event; places in ``MarketResult.reason``.
REASONS = {
    "": "used",
    "shifted: no session on the date, day 0 is the next one": "used",
    "no_prices: the ticker is not in the prices": "dropped",
    "before_prices: the date lies before the first session of the benchmark": "dropped",
    "after_prices: the date lies after the last session of the benchmark": "dropped",
    "estimation_short: fewer returns in the estimation window than windows.minimum": "dropped",
    "constant_returns: the return never changes in the estimation window": "dropped",
    "not_identified: the benchmark's return never changes in the estimation window": "dropped",
    "window_incomplete: every window has a day without a return": "dropped",
    "repeated: another row has the same ticker, day 0 and group": "merged",
}
_USED, _SHIFTED, _NO_PRICES, _BEFORE, _AFTER, _SHORT, _CONSTANT, _FLAT, _INCOMPLETE, _REPEATED = range(len(REASONS))
Item = TypeVar("Item")


@dataclass(frozen=True, slots=True)
class Parallel:
    """How the blocks are worked on; no figure depends on it."""

    jobs: int = 1
    engine: str = "local"
    scheduler: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class MarketResult:
    """What a market-wide study found.

    Attributes
    ----------
    session : (N,) int32
        Day 0 in days since 1970, -1 where there is none.
    reason : (N,) int8
        Place in `REASONS`.
    fit : MarketFit
        NaN, and no days, for events that were not fitted; those dropped later keep their figures.
    used : (N,) bool
        The events that are in the tests.
    averages
        Mean abnormal returns by group.
    prices, benchmark
        The files they came from.
    facts
        Counts and remarks for the summary.
    """

    events: MarketEvents
    layout: Layout
    session: NDArray[np.int32]
    reason: NDArray[np.int8]
    fit: MarketFit
    used: NDArray[np.bool_]
    tests: Sequence[TestResult]
    averages: dict[str, AverageReturns]
    prices: LongFile
    benchmark: LongFile
    facts: dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class _FitTask:
    table: str
    prices: str
    kind: Literal["simple", "log"]
    rows: tuple[int, int]
    index: NDArray[np.float64]
    events: FirmEvents
    layout: Layout
    kernel: Kernel


@dataclass(frozen=True, slots=True, kw_only=True)
class _DaysTask:
    table: str
    index: NDArray[np.float64]
    events: FirmEvents
    fit: MarketFit
    layout: Layout
    spread: NDArray[np.float64]
    own: int
    kernel: Kernel


class _Lazy(Sequence[Item]):
    """Tasks that are made when they are asked for: together they hold a copy of all events."""

    def __init__(self, make: Callable[[int], Item], n: int) -> None:
        self._make, self._n = make, n

    def __len__(self) -> int:
        return self._n

    @overload
    def __getitem__(self, at: int) -> Item: ...
    @overload
    def __getitem__(self, at: slice) -> Sequence[Item]: ...
    def __getitem__(self, at: int | slice) -> Item | Sequence[Item]:
        if isinstance(at, slice):
            return [self._make(i) for i in range(*at.indices(self._n))]
        if not -self._n <= at < self._n:
            raise IndexError(at)
        return self._make(at % self._n)


def run_market(
    events: MarketEvents,
    prices: Path,
    benchmark: str,
    config: StudyConfig,
    *,
    scratch: Path,
    parallel: Parallel = Parallel(),
    kernel: Kernel = "auto",
    progress: Callable[[str], None] = lambda _: None,
) -> MarketResult:
    """Study all events against one benchmark.

    Parameters
    ----------
    benchmark
        A ticker of ``prices``, or the path of a CSV or Parquet file of its own.
    scratch
        Empty folder on a disk that all workers see; it gets the wide tables, 8 bytes a security and
        session each.

    Raises
    ------
    ConfigError
        For settings that a market-wide study does not have.
    PriceError
        If the prices cannot be read, or hold a price that is none, or two rows of one ticker and day.
    EstimationError
        If no event can be used; the reasons are counted in the message.
    """
    layout = layout_of(config)
    kernels = _kernels(kernel, len(events))
    progress("prices")
    source = open_long(prices)
    origin, sessions, index = _benchmark(source, benchmark, config.returns.kind)
    table, as_prices, present, off = _tables(events, source, sessions, scratch, parallel)
    position, reason = _positions(events, sessions, present)
    _merge(events, position, reason)
    progress("fits")
    fit = _fits(events, position, reason, table, as_prices, index, layout, config, parallel, kernels["fits"])
    _judge(fit, reason, config.windows.minimum)
    used = np.array([status == "used" for status in REASONS.values()])[reason]
    if not used.any():
        raise EstimationError(f"no event can be studied ({_counted(reason)})")
    # No reader shall take the CARs of dropped events for tested ones.
    fit = fit.without(~used)
    progress("tests")
    tests, averages, dates = [], {}, []
    names = config.tests.names or AT_ANY_SIZE
    for group, rows in _groups(events, position, used):
        security = events.ticker[rows].astype(np.intp)
        members, fits = FirmEvents(position[rows], security, np.zeros_like(rows)), fit.take(rows)
        sums = _sums(members, fits, table, index, layout, parallel, kernels["days"])
        seed, flips = config.study.seed, config.tests.draws
        tests += run_battery(fits, sums, layout, group=group, names=names, seed=seed, draws=flips)
        dates += date_figures(fits, sums, layout, group=group)
        averages[group] = average_returns(sums, layout)
    session = np.where(position >= 0, sessions[np.maximum(position, 0)], -1).astype(np.int32)
    facts = _facts(events, reason, source, sessions, off, benchmark) | {"kernels": kernels, "dates": dates}
    return MarketResult(
        events=events,
        layout=layout,
        session=session,
        reason=reason,
        fit=fit,
        used=used,
        tests=tests,
        averages=averages,
        prices=source,
        benchmark=origin,
        facts=facts,
    )


def _kernels(asked: Kernel, n: int) -> dict[str, Kernel]:
    """Which kernel fits n events and which sums their days: figures of the two differ by rounding."""
    return {
        name: "numba" if use_numba(asked, n, many) else "numpy" for name, many in (("fits", MANY_FITS), ("days", MANY))
    }


def layout_of(config: StudyConfig) -> Layout:
    """Windows and policy of the intercept; `ConfigError` for settings that need a study's own engine."""
    refused = {
        "model.name": (config.model.name, "market"),
        "returns.gaps": (config.returns.gaps, "missing"),
        "study.kind": (config.study.kind, "return"),
    }
    problems = [
        Problem(f"{name} = {value!r}: a market-wide study accepts {only!r}; 'eventstudy run' has the others")
        for name, (value, only) in refused.items()
        if value != only
    ]
    problems += [
        Problem(f"tests.names: {name!r} is no market-wide test; {nearest(name, AT_ANY_SIZE)}")
        for name in config.tests.names
        if name not in AT_ANY_SIZE
    ]
    if problems:
        raise ConfigError(problems)
    windows = config.windows
    return Layout(windows.estimation, windows.event, windows.all_car, config.model.alpha)


def _benchmark(source: LongFile, name: str, kind: str) -> tuple[LongFile, NDArray[np.int32], NDArray[np.float64]]:
    """Return the benchmark's file, its sessions, which are those of the study, and its returns."""
    own = Path(name)
    file = open_long(own, one_series=True) if own.suffix in (".csv", ".parquet") else source
    day, value = read_series(file, "" if file is not source else name)
    return file, day, value if file.holds_returns else one_session_returns(value, kind)


def _tables(
    events: MarketEvents, source: LongFile, sessions: NDArray[np.int32], scratch: Path, parallel: Parallel
) -> tuple[Path, Path | None, NDArray[np.bool_], int]:
    """Fill the wide table; return those of returns and of prices, who is in it, and rows left out."""
    table, first = (scratch / "returns.npy", scratch / ("returns.npy" if source.holds_returns else "prices.npy"))
    new_table(first, len(events.tickers), len(sessions))
    found: list[Filled] = _run(fill, pieces(source, events.tickers, sessions, first), parallel)
    problems = [Problem(text, source.path) for part in found for text in part.problems][:20]
    rows = sum((part.rows for part in found), np.zeros(len(events.tickers), dtype=np.int64))
    filled = open_memmap(first, mode="r")
    cells = np.concatenate(
        [
            np.isfinite(filled[start : start + BLOCK_SECURITIES]).sum(axis=1)
            for start in range(0, len(filled), BLOCK_SECURITIES)
        ]
    )
    problems += [
        Problem(f"{events.tickers[at]} has more than one row on some day; accepted is one", source.path)
        for at in np.flatnonzero(cells < rows)[:20]
    ]
    if problems:
        raise PriceError(problems)
    if not source.holds_returns:
        new_table(table, len(events.tickers), len(sessions))
    as_prices = None if source.holds_returns else first
    return table, as_prices, rows > 0, sum(part.off_session for part in found)


def _run(function: Callable[[Any], Any], tasks: Sequence[Any], parallel: Parallel) -> list[Any]:
    return run_blocks(function, tasks, jobs=parallel.jobs, engine=parallel.engine, scheduler=parallel.scheduler)


def _positions(
    events: MarketEvents, sessions: NDArray[np.int32], present: NDArray[np.bool_]
) -> tuple[NDArray[np.intp], NDArray[np.int8]]:
    """Row of day 0 on the sessions, -1 where there is none, and what is known of each event so far."""
    at = np.searchsorted(sessions, events.date)
    after, before = at == len(sessions), events.date < sessions[0]
    moved = sessions[np.minimum(at, len(sessions) - 1)] != events.date
    reason = np.select([~present[events.ticker], before, after, moved], [_NO_PRICES, _BEFORE, _AFTER, _SHIFTED], _USED)
    return np.where(before | after, -1, at), reason.astype(np.int8)


def _merge(events: MarketEvents, position: NDArray[np.intp], reason: NDArray[np.int8]) -> None:
    """Note in ``reason`` the rows that repeat another one's ticker, day 0 and group; one of them stays."""
    rows = np.flatnonzero(reason <= _SHIFTED)
    group = np.zeros(len(events), dtype=np.int32) if events.group is None else events.group
    # The row whose date is day 0 stays before those that were moved to it.
    order = rows[np.lexsort((events.date[rows], reason[rows], group[rows], position[rows], events.ticker[rows]))]
    key = np.stack([events.ticker[order], position[order], group[order]])
    reason[order[1:][(key[:, 1:] == key[:, :-1]).all(axis=0)]] = _REPEATED


def _fits(
    events: MarketEvents,
    position: NDArray[np.intp],
    reason: NDArray[np.int8],
    table: Path,
    prices: Path | None,
    index: NDArray[np.float64],
    layout: Layout,
    config: StudyConfig,
    parallel: Parallel,
    kernel: Kernel,
) -> MarketFit:
    wanted = np.flatnonzero(reason <= _SHIFTED)
    order = wanted[np.lexsort((position[wanted], events.ticker[wanted]))]
    security = events.ticker[order].astype(np.intp)
    starts = np.arange(0, len(events.tickers), BLOCK_SECURITIES)
    edges = np.searchsorted(security, [*starts, len(events.tickers)])
    blocks = np.flatnonzero(np.diff(edges))

    def task(number: int) -> _FitTask:
        block = int(blocks[number])
        rows = slice(edges[block], edges[block + 1])
        first = int(starts[block])
        last = min(first + BLOCK_SECURITIES, len(events.tickers))
        taken = FirmEvents(
            position[order[rows]], security[rows] - first, np.zeros(rows.stop - rows.start, dtype=np.intp)
        )
        return _FitTask(
            table=str(table),
            prices=str(prices or ""),
            kind=config.returns.kind,
            rows=(first, last),
            index=index,
            events=taken,
            layout=layout,
            kernel=kernel,
        )

    fit = empty_fit(len(events), len(layout.car))
    for name in ("alpha", "beta", "sigma", "car", "variance"):
        getattr(fit, name)[...] = np.nan
    fit.n[:] = 0
    found: list[MarketFit] = _run(_fit_block, _Lazy(task, len(blocks)), parallel)
    for block, part in zip(blocks, found, strict=True):
        put(fit, order[edges[block] : edges[block + 1]], part)
    return fit


def _fit_block(task: _FitTask) -> MarketFit:
    """Fit the events of a block of securities; makes their returns first where the table holds prices."""
    rows = slice(*task.rows)
    if task.prices:
        prices = open_memmap(task.prices, mode="r")[rows]
        returns = np.stack([one_session_returns(row, task.kind) for row in prices])
        table = open_memmap(task.table, mode="r+")
        table[rows] = returns
        table.flush()
    else:
        returns = np.array(open_memmap(task.table, mode="r")[rows])
    panel = WidePanel(returns, task.index[None, :], task.kind)
    return fit_events(panel, task.events, task.layout, kernel=task.kernel)


def _judge(fit: MarketFit, reason: NDArray[np.int8], minimum: int) -> None:
    """Note in ``reason`` which of the fitted events cannot be used, by the first thing that is wrong."""
    fitted = reason <= _SHIFTED
    with np.errstate(invalid="ignore"):
        tests = (
            (_SHORT, fit.n < minimum),
            (_FLAT, ~np.isfinite(fit.beta)),
            (_CONSTANT, fit.sigma <= CONSTANT * np.abs(fit.alpha)),
            (_INCOMPLETE, ~np.isfinite(fit.variance).any(axis=0)),
        )
    for code, wrong in reversed(tests):
        reason[fitted & wrong] = code


def _counted(reason: NDArray[np.int8]) -> str:
    counts = np.bincount(reason, minlength=len(REASONS))
    return ", ".join(f"{text.split(':')[0]} {n}" for text, n in zip(REASONS, counts, strict=True) if n and text)


def _groups(
    events: MarketEvents, position: NDArray[np.intp], used: NDArray[np.bool_]
) -> list[tuple[str, NDArray[np.intp]]]:
    """All used events, and those of each group that the file names, in order of day 0 and ticker.

    A ticker that two groups name with one day 0 is in each of them, and once in all.
    """
    rows = np.flatnonzero(used)
    group = np.zeros(len(events), dtype=np.int32) if events.group is None else events.group
    rows = rows[np.lexsort((group[rows], events.ticker[rows], position[rows]))]
    key = np.stack([events.ticker[rows], position[rows]])
    new = np.append(True, (key[:, 1:] != key[:, :-1]).any(axis=0))
    found = [("all", rows[new])]
    for code, name in enumerate(events.groups):
        mine = rows[group[rows] == code]
        if name and len(mine):
            found.append((f"group={name}", mine))
    return found


def _sums(
    events: FirmEvents,
    fit: MarketFit,
    table: Path,
    index: NDArray[np.float64],
    layout: Layout,
    parallel: Parallel,
    kernel: Kernel,
) -> DaySums:
    order = np.argsort(events.position, kind="stable")
    blocks = date_blocks(events.position[order], layout)
    spread = scar_spread(fit)

    def task(number: int) -> _DaysTask:
        seen, own = blocks[number]
        rows = order[seen]
        return _DaysTask(
            table=str(table),
            index=index,
            events=events.take(rows),
            fit=fit.take(rows),
            layout=layout,
            spread=spread,
            own=own,
            kernel=kernel,
        )

    return total(_run(_days_block, _Lazy(task, len(blocks)), parallel))


def _days_block(task: _DaysTask) -> DaySums:
    panel = WidePanel(np.asarray(open_memmap(task.table, mode="r")), task.index[None, :])
    return day_sums(panel, task.events, task.fit, task.layout, task.spread, own=task.own, kernel=task.kernel)


def _facts(
    events: MarketEvents,
    reason: NDArray[np.int8],
    source: LongFile,
    sessions: NDArray[np.int32],
    off_session: int,
    benchmark: str,
) -> dict[str, Any]:
    counts = np.bincount(reason, minlength=len(REASONS))
    by_reason = {text or "used as they are": int(n) for text, n in zip(REASONS, counts, strict=True) if n}
    used, merged = (
        sum(int(n) for of, n in zip(REASONS.values(), counts, strict=True) if of == status)
        for status in ("used", "merged")
    )
    remarks = [
        "estimation windows are not cut around other events of the same ticker",
        "a date is one shock; rbar is by sums over sessions, see docs/market-wide.md",
    ]
    if off_session:
        remarks.append(f"{off_session} prices on days that are no session of {benchmark} are not used")
    if events.ignored:
        remarks.append(f"columns of the events that are not read: {', '.join(events.ignored)}")
    return {
        "n_events": len(events),
        "n_used": used,
        "n_merged": merged,
        "n_dropped": len(events) - used - merged,
        "events": by_reason,
        "n_tickers": len(events.tickers),
        "benchmark": benchmark,
        "n_sessions": len(sessions),
        "first_session": str(np.datetime64(int(sessions[0]), "D")),
        "last_session": str(np.datetime64(int(sessions[-1]), "D")),
        "prices": source.name,
        "rbar": "sessions",
        "remarks": remarks,
    }
