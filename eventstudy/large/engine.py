"""A market-wide study from its files: read, fit by blocks of securities, reduce by blocks of dates, test."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal

import numpy as np
from numpy.lib.format import open_memmap
from numpy.typing import NDArray

from eventstudy.config import IN_MEMORY, StudyConfig
from eventstudy.core.selection import CUT_AROUND
from eventstudy.core.statistics import STATISTICS, TestResult
from eventstudy.errors import ConfigError, EstimationError, Problem, Reason, nearest
from eventstudy.large.battery import AT_ANY_SIZE, AverageReturns, average_returns, date_figures, window_samples
from eventstudy.large.days import MANY, DaySums, date_blocks, day_sums, scar_spread, total
from eventstudy.large.fit import MANY as MANY_FITS
from eventstudy.large.fit import Kernel, fit_events, use_numba
from eventstudy.large.panel import COEFFICIENTS, FirmEvents, Layout, MarketFit, WidePanel, empty_fit, put, windows_of
from eventstudy.large.tables import BLOCK_SECURITIES, Market, open_days, read_market
from eventstudy.large.trust import Checked, checked_block, stop_or_tell
from eventstudy.messages import text
from eventstudy.prices.factors import FactorTable
from eventstudy.prices.long import LongFile, new_table
from eventstudy.prices.quality.wide import too_far
from eventstudy.prices.sources import study_factors
from eventstudy.prices.table import on_days
from eventstudy.readers.market_events import MarketEvents
from eventstudy.workers import run_blocks

#: Standard errors of residuals below this share of the intercept are rounding of returns that never change.
CONSTANT = 1e-10
#: What becomes of an event, and the status that this is; places in ``MarketResult.reason``.
FATES = {"used": "used", "shifted": "used", "repeated": "merged"} | dict.fromkeys(
    "no_prices before_prices after_prices estimation_short constant_returns not_identified window_incomplete "
    "index_gap too_far repeated_prices overlaps".split(),
    "dropped",
)
_CODE = {name: code for code, name in enumerate(FATES)}
_SHIFTED = _CODE["shifted"]


@dataclass(frozen=True, slots=True, kw_only=True)
class MarketResult:
    """What a market-wide study found.

    Attributes
    ----------
    session : (N,) int32
        Day 0 in days since 1970, -1 where there is none.
    reason : (N,) int8
        Place in `FATES`.
    fit : MarketFit
        NaN, and no days, for events that were not fitted; those dropped later keep their figures.
    used : (N,) bool
        The events that are in the tests.
    averages
        Mean abnormal returns by group.
    prices, benchmark, factors
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
    factors: FactorTable | None
    facts: dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Tables:
    """What a worker needs of the market: files of returns, of those that estimations use, and of prices, if any.

    ``table`` is filled block by block while there are prices, ``clean`` while days are cut out.
    """

    table: str
    clean: str
    prices: str
    kind: Literal["simple", "log"]
    index: NDArray[np.float64]
    factors: Mapping[str, NDArray[np.float64]]

    def panel(self, returns: NDArray[np.float64], clean: NDArray[np.float64] | None) -> WidePanel:
        """Return these securities with the market's own series."""
        return WidePanel(returns, self.index[None, :], self.kind, clean, self.factors)


class _Lazy(Sequence[Any]):
    """Tasks that are made when they are asked for: together they hold a copy of all events."""

    def __init__(self, make: Callable[[int], Any], n: int) -> None:
        self._make, self._n = make, n

    def __len__(self) -> int:
        return self._n

    def __getitem__(self, at: Any) -> Any:
        if at >= self._n:
            raise IndexError(at)
        return self._make(at)


def run_market(
    events: MarketEvents,
    prices: Path,
    benchmark: str,
    config: StudyConfig,
    *,
    scratch: Path,
    workers: Mapping[str, Any] = MappingProxyType({}),
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
    workers
        ``jobs``, ``engine`` and ``scheduler`` of `run_blocks`; no figure depends on them.
    kernel
        Of `fit_events` and `day_sums`: figures of the two differ by rounding.

    Raises
    ------
    ConfigError
        For settings that a market-wide study does not have.
    PriceError
        If the prices cannot be read, or hold a price that is none, or two rows of one ticker and day.
    EstimationError
        If no event can be used; the reasons are counted in the message.
    """
    layout, kernels = layout_of(config), _kernels(kernel, len(events))
    progress("prices")
    run = functools.partial(run_blocks, **workers)
    market = read_market(events.tickers, prices, benchmark, config, scratch=scratch, run=run)
    position, reason = _positions(events, market, open_days(config, market.sessions))
    _merge(events, position, reason)
    tables = _tables(events, reason, market, factors := study_factors(config), config)
    progress("fits")
    fit, ends, blocks = _fits(events, position, reason, tables, layout, run, kernels["fits"])
    remarks = [*market.remarks]
    if blocks:
        remarks += stop_or_tell(blocks, fit.sigma, market, events.tickers, benchmark, config)
        whole = np.asarray(np.isfinite(fit.variance).any(axis=0)) if config.windows.allow_partial else ends
        _judge(fit, reason, config.windows.minimum, whole, _after_last_trade(events, position, layout, blocks))
        if config.windows.overlapping == "drop_later":
            _drop_later(events, position, reason, layout.n_event - 1)
    used = _used(reason, market)
    fit = fit.without(~used)  # No reader shall take the CARs of dropped events for tested ones.
    progress("tests")
    tests, averages, dates = [], {}, []
    drawn = {"seed": config.study.seed, "draws": config.tests.draws, "alternative": config.tests.alternative}
    for group, rows in _groups(events, position, used):
        security = events.ticker[rows].astype(np.intp)
        members, fits = FirmEvents(position[rows], security, np.zeros_like(rows)), fit.take(rows)
        sums = _sums(members, fits, tables, layout, run, kernels["days"])
        samples = window_samples(fits, sums, layout, group=group, **drawn)
        tests += [STATISTICS[name](sample) for sample in samples for name in config.tests.names or AT_ANY_SIZE]
        dates += [date_figures(sample) for sample in samples]
        averages[group] = average_returns(sums, layout)
    session = np.where(position >= 0, market.sessions[np.maximum(position, 0)], -1).astype(np.int32)
    facts = _facts(events, reason, market, benchmark, remarks) | {"kernels": kernels, "dates": dates}
    return MarketResult(
        events=events,
        layout=layout,
        session=session,
        reason=reason,
        fit=fit,
        used=used,
        tests=tests,
        averages=averages,
        prices=market.prices,
        benchmark=market.benchmark,
        factors=factors,
        facts=facts,
    )


def _kernels(asked: Kernel, n: int) -> dict[str, Kernel]:
    """Which kernel fits n events and which sums their days."""
    return {
        name: "numba" if use_numba(asked, n, many) else "numpy" for name, many in (("fits", MANY_FITS), ("days", MANY))
    }


def _used(reason: NDArray[np.int8], market: Market) -> NDArray[np.bool_]:
    """Which events are used; an error with the counted reasons where none is."""
    used = np.array([status == "used" for status in FATES.values()])[reason]
    if not used.any():
        counted = ", ".join(f"{kind} {n}" for kind, n in counts_of(reason).items())
        raise EstimationError(text(Reason.join([Reason("market.none", counts=counted), *market.remarks])))
    return used


def layout_of(config: StudyConfig) -> Layout:
    """Windows, model and policy of the intercept; `ConfigError` for settings that need the events in memory."""
    accepted = {
        "model.name": (config.model.name, tuple(COEFFICIENTS)),
        "model.alpha": (config.model.alpha, ("auto", "estimated", "zero")),
        "returns.gaps": (config.returns.gaps, ("missing",)),
        "returns.currency": (config.returns.currency, ("local",)),
        "study.kind": (config.study.kind, ("return",)),
        "tests.weights": (config.tests.weights, ("market-balanced", "equal")),
        "tests.regression": (config.tests.regression, ((),)),
        "tests.group": (config.tests.group, ((),)),
    }
    problems = [
        Problem(
            f"{name} = {value!r}: a market-wide study accepts {', '.join(map(str, known))}; "
            f"'eventstudy run' has the others for up to {IN_MEMORY:,} firm-events"
        )
        for name, (value, known) in accepted.items()
        if value not in known
    ]
    problems += [
        Problem(f"tests.names: {name!r} is no market-wide test; {nearest(name, AT_ANY_SIZE)}")
        for name in config.tests.names
        if name not in AT_ANY_SIZE
    ]
    if problems:
        raise ConfigError(problems)
    windows = config.windows
    return Layout(windows.estimation, windows.event, windows.all_car, config.model.alpha, config.model)


def _positions(
    events: MarketEvents, market: Market, days: NDArray[np.int32] | None
) -> tuple[NDArray[np.intp], NDArray[np.int8]]:
    """Row of day 0 on the sessions, -1 where there is none, and what is known of each event so far."""
    sessions = market.sessions
    at = np.searchsorted(sessions, events.date)
    after, before = at == len(sessions), events.date < sessions[0]
    session = sessions[np.minimum(at, len(sessions) - 1)]
    moved = session != events.date
    reasons = {
        "no_prices": ~market.present[events.ticker],
        "before_prices": before,
        "after_prices": after,
        "index_gap": np.isin(events.date, market.lacking),
        "too_far": moved & too_far(events.date, session, days),
        "shifted": moved,
    }
    reason = np.select(list(reasons.values()), [_CODE[name] for name in reasons], _CODE["used"])
    return np.where(before | after, -1, at), reason.astype(np.int8)


def _merge(events: MarketEvents, position: NDArray[np.intp], reason: NDArray[np.int8]) -> None:
    """Note in ``reason`` the rows that repeat another one's ticker, day 0 and group; one of them stays."""
    rows = np.flatnonzero(reason <= _SHIFTED)
    group = np.zeros(len(events), dtype=np.int32) if events.group is None else events.group
    # The row whose date is day 0 stays before those that were moved to it.
    order = rows[np.lexsort((events.date[rows], reason[rows], group[rows], position[rows], events.ticker[rows]))]
    key = np.stack([events.ticker[order], position[order], group[order]])
    reason[order[1:][(key[:, 1:] == key[:, :-1]).all(axis=0)]] = _CODE["repeated"]


def _tables(
    events: MarketEvents, reason: NDArray[np.int8], market: Market, factors: FactorTable | None, config: StudyConfig
) -> _Tables:
    """The market's files and series; a file for what estimations use only where events can be near one."""
    series = {}
    if factors is not None:
        days = market.sessions.astype("datetime64[D]")
        named = {name: name for name in config.model.factors if name != "market" and config.model.name == "factors"}
        if config.model.risk_free:
            named["risk_free"] = config.model.risk_free
        series = {name: on_days(days, factors.dates, factors.column(column)) for name, column in named.items()}
    clean = market.table.with_name("clean.npy")
    again = np.bincount(events.ticker[reason <= _SHIFTED], minlength=1).max() > 1
    cut = config.windows.clean_estimation and (again or config.windows.estimation[1] >= CUT_AROUND[0])
    if cut:
        new_table(clean, len(events.tickers), len(market.sessions))
    return _Tables(
        table=str(market.table),
        clean=str(clean) if cut else "",
        prices=str(market.price_table or ""),
        kind=config.returns.kind,
        index=market.index,
        factors=series,
    )


def _fits(
    events: MarketEvents,
    position: NDArray[np.intp],
    reason: NDArray[np.int8],
    tables: _Tables,
    layout: Layout,
    run: Callable[[Callable[[Any], Any], Sequence[Any]], list[Any]],
    kernel: Kernel,
) -> tuple[MarketFit, NDArray[np.bool_], list[tuple[int, Checked]]]:
    """Fit all events that have a day 0.

    Also returns which have a return on the last event day, and what each block of securities shows, with
    its first security.
    """
    wanted = np.flatnonzero(reason <= _SHIFTED)
    order = wanted[np.lexsort((position[wanted], events.ticker[wanted]))]
    security = events.ticker[order].astype(np.intp)
    starts = np.arange(0, len(events.tickers), BLOCK_SECURITIES)
    edges = np.searchsorted(security, [*starts, len(events.tickers)])
    blocks = np.flatnonzero(np.diff(edges))

    def task(number: int) -> tuple[tuple[int, int], FirmEvents]:
        block = int(blocks[number])
        rows = slice(edges[block], edges[block + 1])
        first = int(starts[block])
        last = min(first + BLOCK_SECURITIES, len(events.tickers))
        index = np.zeros(rows.stop - rows.start, dtype=np.intp)
        return (first, last), FirmEvents(position[order[rows]], security[rows] - first, index)

    fit, ends = empty_fit(len(events), len(layout.car)), np.zeros(len(events), dtype=bool)
    for name in ("alpha", "beta", "sigma", "car", "variance"):
        getattr(fit, name)[...] = np.nan
    fit.n[:] = 0
    found = run(functools.partial(_fit_block, tables, layout, kernel), _Lazy(task, len(blocks)))
    for block, (part, ended, _) in zip(blocks, found, strict=True):
        rows = order[edges[block] : edges[block + 1]]
        put(fit, rows, part)
        ends[rows] = ended
    return fit, ends, [(int(starts[block]), checked) for block, (*_, checked) in zip(blocks, found, strict=True)]


def _fit_block(
    tables: _Tables, layout: Layout, kernel: Kernel, task: tuple[tuple[int, int], FirmEvents]
) -> tuple[MarketFit, NDArray[np.bool_], Checked]:
    """Check a block of securities and fit its events; makes their returns first where the table holds prices."""
    rows, events = slice(*task[0]), task[1]
    values = np.array(open_memmap(tables.prices or tables.table, mode="r")[rows])
    returns, checked = checked_block(values, tables.kind, events, layout, are_returns=not tables.prices)
    if tables.prices or checked.cut.any():
        _store(tables.table, rows, returns)
    clean = None
    if tables.clean:
        clean = returns.copy()
        for day in range(CUT_AROUND[0], CUT_AROUND[1] + 1):
            at = events.position + day
            known = (at >= 0) & (at < clean.shape[1])
            clean[events.security[known], at[known]] = np.nan
        _store(tables.clean, rows, clean)
    panel = tables.panel(returns, clean)
    last = windows_of(returns, events.security, events.position + layout.event[1], 1)[:, 0]
    return fit_events(panel, events, layout, kernel=kernel), np.isfinite(last), checked


def _store(table: str, rows: slice, values: NDArray[np.float64]) -> None:
    stored = open_memmap(table, mode="r+")
    stored[rows] = values
    stored.flush()


def _after_last_trade(
    events: MarketEvents, position: NDArray[np.intp], layout: Layout, blocks: Sequence[tuple[int, Checked]]
) -> NDArray[np.bool_]:
    """Mark events whose last window reaches past the last trade of a security whose price was repeated."""
    last = np.full(len(events.tickers), np.iinfo(np.intp).max)
    for first, part in blocks:
        last[first : first + len(part.ends)][part.cut] = part.ends[part.cut]
    past: NDArray[np.bool_] = position + max(day for _, day in layout.car) > last[events.ticker]
    return past


def _judge(
    fit: MarketFit, reason: NDArray[np.int8], minimum: int, whole: NDArray[np.bool_], padded: NDArray[np.bool_]
) -> None:
    """Note in ``reason`` which of the fitted events cannot be used, by the first thing that is wrong."""
    fitted = reason <= _SHIFTED
    with np.errstate(invalid="ignore"):
        wrong = {
            "estimation_short": fit.n < minimum,
            "not_identified": ~np.isfinite(fit.sigma),
            "constant_returns": fit.sigma <= CONSTANT * np.abs(np.nan_to_num(fit.alpha)),
            "repeated_prices": padded & ~whole,
            "window_incomplete": ~whole,
        }
    for name, rows in reversed(wrong.items()):
        reason[fitted & rows] = _CODE[name]


def _drop_later(events: MarketEvents, position: NDArray[np.intp], reason: NDArray[np.int8], length: int) -> None:
    """Note in ``reason`` which used events of a ticker come no more than ``length`` sessions after one that stays."""
    rows = np.flatnonzero(reason <= _SHIFTED)
    rows = rows[np.lexsort((position[rows], events.ticker[rows]))]
    ticker, first = -1, 0
    for row, own, at in zip(rows.tolist(), events.ticker[rows].tolist(), position[rows].tolist(), strict=True):
        if own == ticker and 0 < at - first <= length:
            reason[row] = _CODE["overlaps"]
        else:
            ticker, first = own, at


def why(fate: str) -> Reason:
    """Return the reason of a key of `FATES`; empty for an event that is used as it is."""
    return Reason(f"market.{fate}") if fate != "used" else Reason()


def counts_of(reason: NDArray[np.int8]) -> dict[str, int]:
    """Events by what became of them; only what there is."""
    counts = np.bincount(reason, minlength=len(FATES)).tolist()
    return {name: n for name, n in zip(FATES, counts, strict=True) if n}


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
    tables: _Tables,
    layout: Layout,
    run: Callable[[Callable[[Any], Any], Sequence[Any]], list[Any]],
    kernel: Kernel,
) -> DaySums:
    order = np.argsort(events.position, kind="stable")
    blocks = date_blocks(events.position[order], layout)
    spread = scar_spread(fit)

    def task(number: int) -> tuple[FirmEvents, MarketFit, int]:
        rows = order[blocks[number][0]]
        return events.take(rows), fit.take(rows), blocks[number][1]

    return total(run(functools.partial(_days_block, tables, layout, spread, kernel), _Lazy(task, len(blocks))))


def _days_block(
    tables: _Tables,
    layout: Layout,
    spread: NDArray[np.float64],
    kernel: Kernel,
    task: tuple[FirmEvents, MarketFit, int],
) -> DaySums:
    events, fit, own = task
    clean = np.asarray(open_memmap(tables.clean, mode="r")) if tables.clean else None
    panel = tables.panel(np.asarray(open_memmap(tables.table, mode="r")), clean)
    return day_sums(panel, events, fit, layout, spread, own=own, kernel=kernel)


def _facts(
    events: MarketEvents, reason: NDArray[np.int8], market: Market, benchmark: str, remarks: Sequence[Reason]
) -> dict[str, Any]:
    counts = counts_of(reason)
    used, merged = (sum(n for name, n in counts.items() if FATES[name] == status) for status in ("used", "merged"))
    notes = [Reason("market.dates"), *remarks]
    if events.ignored:
        notes.append(Reason("market.ignored", columns=", ".join(events.ignored)))
    sessions = market.sessions
    return {
        "n_events": len(events),
        "n_used": used,
        "n_merged": merged,
        "n_dropped": len(events) - used - merged,
        "fates": counts,
        "n_tickers": len(events.tickers),
        "benchmark": benchmark,
        "n_sessions": len(sessions),
        "first_session": str(np.datetime64(int(sessions[0]), "D")),
        "last_session": str(np.datetime64(int(sessions[-1]), "D")),
        "prices": market.prices.name,
        "remarks": [text(note) for note in notes],
    }
