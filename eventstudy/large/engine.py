"""Run the study of a long list: read files, fit by blocks of securities, sum by blocks of dates, test."""

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

from eventstudy.config import IN_MEMORY, StudyConfig, Windows
from eventstudy.core.selection import CUT_AROUND, LATEST_RESUMPTION
from eventstudy.core.statistics import STATISTICS, TestResult, WindowSample
from eventstudy.errors import ConfigError, EstimationError, Problem, Reason, nearest
from eventstudy.large.battery import AT_ANY_SIZE, window_samples
from eventstudy.large.days import DaySums, date_blocks, day_sums, scar_spread, total
from eventstudy.large.event_list import EventList
from eventstudy.large.figures import EventFigures, figures_of
from eventstudy.large.fit import fit_events
from eventstudy.large.panel import COEFFICIENTS, FirmEvents, Layout, MarketFit, WidePanel, empty_fit, put, windows_of
from eventstudy.large.tables import BLOCK_SECURITIES, Market, open_days, read_market
from eventstudy.large.trust import Checked, checked_block, stop_or_tell
from eventstudy.messages import text
from eventstudy.prices.factors import FactorTable
from eventstudy.prices.long import LongFile, new_table
from eventstudy.prices.quality.wide import too_far
from eventstudy.prices.sources import study_factors
from eventstudy.prices.table import on_days
from eventstudy.workers import run_blocks

#: If the residual standard error is below this share of the intercept, the returns are constant.
CONSTANT = 1e-10
#: Reasons by which an event is dropped, with the stage of the selection; indices in ``MarketResult.reason``.
FATES = {
    **dict.fromkeys(("used", "shifted"), "estimation"),
    "repeated": "shocks",
    **dict.fromkeys(("before_prices", "after_prices", "index_gap", "too_far"), "calendar"),
    **dict.fromkeys(
        ("no_prices", "outside_prices", "no_return", "lumped", "window_incomplete", "prices_end", "repeated_prices"),
        "prices",
    ),
    **dict.fromkeys(("estimation_short", "constant_returns"), "estimation"),
    "not_identified": "model",
    "overlaps": "windows",
    "not_a_peer": "events",
}
_CODE = {name: code for code, name in enumerate(FATES)}
_SHIFTED = _CODE["shifted"]


@dataclass(frozen=True, slots=True, kw_only=True)
class MarketResult:
    """Result of the study of a long list.

    Attributes
    ----------
    session : (N,) int32
        Day 0 in days since 1970, -1 if there is none.
    reason : (N,) int8
        Index in `FATES`.
    fit : MarketFit
        NaN, and zero days, for events that were not fitted; events dropped later keep their values.
    position : (N,)
        Index of day 0 in the sessions, -1 if there is none.
    figures
        Further columns of the tables for each fit.
    used : (N,) bool
        The events that are in the tests.
    groups
        The tested groups, all events first; empty without tests.
    market, factors
        The prices and factors used.
    remarks
        Notes for the reader.
    """

    events: EventList
    layout: Layout
    position: NDArray[np.intp]
    session: NDArray[np.int32]
    reason: NDArray[np.int8]
    fit: MarketFit
    figures: EventFigures
    used: NDArray[np.bool_]
    groups: Sequence[GroupResult]
    market: Market
    factors: FactorTable | None
    remarks: Sequence[Reason]


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupResult:
    """One group of events: its day sums, its samples by window and their tests."""

    name: str
    sums: DaySums
    samples: Sequence[WindowSample]
    tests: Sequence[TestResult]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Tables:
    """Files that a worker needs: returns, returns for estimations, and prices, if any.

    ``table`` is filled block by block if prices are given, ``clean`` if days are left out of estimations.
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
    """Sequence that builds each task on access, to avoid copying all events."""

    def __init__(self, make: Callable[[int], Any], n: int) -> None:
        self._make, self._n = make, n

    def __len__(self) -> int:
        return self._n

    def __getitem__(self, at: Any) -> Any:
        if at >= self._n:
            raise IndexError(at)
        return self._make(at)


def run_market(
    events: EventList,
    prices: Path | LongFile,
    benchmark: str,
    config: StudyConfig,
    *,
    scratch: Path,
    workers: Mapping[str, Any] = MappingProxyType({}),
    progress: Callable[[str], None] = lambda _: None,
    tests: bool = True,
) -> MarketResult:
    """Study all events against one benchmark.

    Parameters
    ----------
    benchmark
        A ticker or a further column of ``prices``, or the path of a CSV or Parquet file of its own.
    scratch
        Empty folder on a disk that all workers can read; it receives the wide tables, 8 bytes for each security and
        session.
    workers
        ``jobs``, ``engine`` and ``scheduler`` of `run_blocks`; results do not depend on them.
    tests
        Whether the tests are run; without them the result has no groups.

    Raises
    ------
    ConfigError
        For settings that a long list does not support.
    PriceError
        If the prices cannot be read, contain an impossible price, or have two rows for one ticker and day.
    EstimationError
        If no event can be used; the reasons are counted in the message.
    """
    layout = layout_of(config)
    progress("prices")
    run = functools.partial(run_blocks, **workers)
    market = read_market(events, prices, benchmark, config, scratch=scratch, run=run)
    position, reason = _positions(events, market, open_days(config, market.sessions))
    if config.peers:
        strange = ~np.isin(np.array(events.tickers), [peer.ticker for peer in config.peers])
        reason[strange[events.ticker]] = _CODE["not_a_peer"]
    again = _merge(events, position, reason)
    tables = _tables(events, reason, market, factors := study_factors(config), config)
    progress("fits")
    fit, figures, blocks = _fits(events, position, reason, tables, layout, run)
    remarks = [*events.remarks, *market.remarks]
    if blocks:
        remarks += stop_or_tell(blocks, fit.sigma, market, events.tickers, benchmark, config)
        padded = _after_last_trade(events, position, layout, blocks)
        ended = position + layout.event[1] >= len(market.sessions)
        _judge(fit, figures, reason, config.windows, padded=padded, ended=ended)
        reason[again[0]] = np.where(reason[again[1]] > _SHIFTED, reason[again[1]], reason[again[0]])
        if config.windows.overlapping == "drop_later":
            _drop_later(events, position, reason, layout.n_event - 1)
    used = _used(reason, market)
    fit = fit.without(~used)  # CARs of dropped events are removed, so that nobody uses them.
    groups = []
    if tests:
        progress("tests")
    for group, rows in _groups(events, position, used) if tests else ():
        at, fits = FirmEvents(position[rows], events.ticker[rows].astype(np.intp), np.zeros_like(rows)), fit.take(rows)
        groups.append(_tested(group, fits, _sums(at, fits, tables, layout, run), layout, config))
    return MarketResult(
        events=events,
        layout=layout,
        position=position,
        session=np.where(position >= 0, market.sessions[np.maximum(position, 0)], -1).astype(np.int32),
        reason=reason,
        fit=fit,
        figures=figures,
        used=used,
        groups=groups,
        market=market,
        factors=factors,
        remarks=remarks,
    )


def _tested(group: str, fit: MarketFit, sums: DaySums, layout: Layout, config: StudyConfig) -> GroupResult:
    """Run the tests on the firm-events of a group, of which these are the fits and the day sums."""
    drawn = {"seed": config.study.seed, "draws": config.tests.draws, "alternative": config.tests.alternative}
    samples = window_samples(fit, sums, layout, group=group, **drawn)
    tests = [STATISTICS[name](sample) for sample in samples for name in config.tests.names or AT_ANY_SIZE]
    return GroupResult(name=group, sums=sums, samples=samples, tests=tests)


def _used(reason: NDArray[np.int8], market: Market) -> NDArray[np.bool_]:
    """Which events are used; if none is, an error with the counted reasons."""
    used = np.asarray(reason <= _SHIFTED)
    if not used.any():
        counted = ", ".join(f"{kind} {n}" for kind, n in counts_of(reason).items())
        raise EstimationError(text(Reason.join([Reason("market.none", counts=counted), *market.remarks])))
    return used


def layout_of(config: StudyConfig) -> Layout:
    """Windows, model and policy of the intercept; `ConfigError` for settings that need the events in memory."""
    accepted: dict[str, tuple[Any, tuple[Any, ...]]] = {
        "model.name": (config.model.name, tuple(COEFFICIENTS)),
        "model.alpha": (config.model.alpha, ("auto", "estimated", "zero")),
        "returns.gaps": (config.returns.gaps, ("missing",)),
        "returns.currency": (config.returns.currency, ("local",)),
        "study.kind": (config.study.kind, ("return",)),
        "tests.weights": (config.tests.weights, ("market-balanced", "equal")),
        "tests.regression": (config.tests.regression, ((),)),
        "reversal.ask": (config.reversal.ask, ("auto", "no")),
        "covariates": (config.covariates, ((),)),
        "model.beta_path": (config.model.beta_path, (False,)),
    }
    own = [peer for peer in config.peers if peer.benchmark or peer.from_ or peer.until or peer.deal_bound_from]
    accepted |= {f"peers.{peer.ticker}": ("an index or dates of its own", ("neither",)) for peer in own[:1]}
    problems = [
        Problem(
            f"{name} = {value!r}: with more than {IN_MEMORY:,} firm-events accepted are {', '.join(map(str, known))}; "
            "with up to that many 'eventstudy run' has the others"
        )
        for name, (value, known) in accepted.items()
        if value not in known
    ]
    problems += [
        Problem(
            f"tests.names: {name!r} is no test of more than {IN_MEMORY:,} firm-events; {nearest(name, AT_ANY_SIZE)}"
        )
        for name in config.tests.names
        if name not in AT_ANY_SIZE
    ]
    if problems:
        raise ConfigError(problems)
    windows = config.windows
    return Layout(windows.estimation, windows.event, windows.tested(asked=False), config.model.alpha, config.model)


def _positions(
    events: EventList, market: Market, days: NDArray[np.int32] | None
) -> tuple[NDArray[np.intp], NDArray[np.int8]]:
    """Row of day 0 in the sessions, -1 if there is none, and the status of each event so far."""
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


def _merge(
    events: EventList, position: NDArray[np.intp], reason: NDArray[np.int8]
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Mark in ``reason`` the rows that repeat the ticker and day 0 of another; the earliest is kept.

    Returns these rows, and those that they repeat.
    """
    rows = np.flatnonzero(reason <= _SHIFTED)
    order = rows[np.lexsort((events.date[rows], position[rows], events.ticker[rows]))]
    key = np.stack([events.ticker[order], position[order]])
    new = np.append(True, (key[:, 1:] != key[:, :-1]).any(axis=0))[: len(order)]
    reason[order[~new]] = _CODE["repeated"]
    return order[~new], order[new][np.cumsum(new)[~new] - 1]


def _tables(
    events: EventList, reason: NDArray[np.int8], market: Market, factors: FactorTable | None, config: StudyConfig
) -> _Tables:
    """The market's files and series; a separate file for estimations only if days around events are left out."""
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
    events: EventList,
    position: NDArray[np.intp],
    reason: NDArray[np.int8],
    tables: _Tables,
    layout: Layout,
    run: Callable[[Callable[[Any], Any], Sequence[Any]], list[Any]],
) -> tuple[MarketFit, EventFigures, list[tuple[int, Checked]]]:
    """Fit all events that have a day 0.

    Also returns further figures of each, and the checks of each block of securities with its first security.
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

    fit, figures = empty_fit(len(events), len(layout.car)), EventFigures.empty(len(events), layout)
    for name in ("alpha", "beta", "sigma", "car", "variance"):
        getattr(fit, name)[...] = np.nan
    fit.n[:] = 0
    found = run(functools.partial(_fit_block, tables, layout), _Lazy(task, len(blocks)))
    for block, (part, known, _) in zip(blocks, found, strict=True):
        rows = order[edges[block] : edges[block + 1]]
        put(fit, rows, part)
        figures.put(rows, known)
    return fit, figures, [(int(starts[block]), checked) for block, (*_, checked) in zip(blocks, found, strict=True)]


def _fit_block(
    tables: _Tables, layout: Layout, task: tuple[tuple[int, int], FirmEvents]
) -> tuple[MarketFit, EventFigures, Checked]:
    """Check a block of securities and fit its events; if the table has prices, compute their returns first."""
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
    fit = fit_events(panel, events, layout)
    figures = figures_of(panel, events, fit, layout)
    # The share was halted on day 0 and traded again only days later.
    closed = ~np.isfinite(windows_of(values, events.security, events.position, LATEST_RESUMPTION + 1)).any(axis=1)
    priced = np.isfinite(values)
    start, last = priced.argmax(axis=1), values.shape[1] - 1 - priced[:, ::-1].argmax(axis=1)
    figures.lumped[:] = closed & (last[events.security] > events.position + LATEST_RESUMPTION)
    figures.outside[:] = (events.position < start[events.security]) | (events.position > last[events.security])
    return fit, figures, checked


def _store(table: str, rows: slice, values: NDArray[np.float64]) -> None:
    stored = open_memmap(table, mode="r+")
    stored[rows] = values
    stored.flush()


def _after_last_trade(
    events: EventList, position: NDArray[np.intp], layout: Layout, blocks: Sequence[tuple[int, Checked]]
) -> NDArray[np.bool_]:
    """Mark events whose window ends after the last trade of a security whose price was then repeated."""
    last = np.full(len(events.tickers), np.iinfo(np.intp).max)
    for first, part in blocks:
        last[first : first + len(part.ends)][part.cut] = part.ends[part.cut]
    past: NDArray[np.bool_] = position + max(day for _, day in layout.car) > last[events.ticker]
    return past


def _judge(
    fit: MarketFit,
    figures: EventFigures,
    reason: NDArray[np.int8],
    windows: Windows,
    *,
    padded: NDArray[np.bool_],
    ended: NDArray[np.bool_],
) -> None:
    """Mark in ``reason`` which of the fitted events cannot be used, by the first problem found."""
    fitted = reason <= _SHIFTED
    open_end = ~figures.ends & (not windows.allow_partial)
    with np.errstate(invalid="ignore"):
        wrong = {
            "repeated_prices": padded & (open_end | figures.outside),
            "outside_prices": figures.outside,
            "no_return": figures.empty_window,
            "lumped": figures.lumped,
            "window_incomplete": ended & (not windows.allow_partial),
            "prices_end": open_end,
            "estimation_short": fit.n < windows.minimum,
            "constant_returns": fit.sigma <= CONSTANT * np.abs(np.nan_to_num(fit.alpha)),
            "not_identified": ~np.isfinite(fit.sigma),
        }
    for name, rows in reversed(wrong.items()):
        reason[fitted & rows] = _CODE[name]


def _drop_later(events: EventList, position: NDArray[np.intp], reason: NDArray[np.int8], length: int) -> None:
    """Mark in ``reason`` the used events within ``length`` sessions after a kept event of the same ticker."""
    rows = np.flatnonzero(reason <= _SHIFTED)
    rows = rows[np.lexsort((position[rows], events.ticker[rows]))]
    ticker, first = -1, 0
    for row, own, at in zip(rows.tolist(), events.ticker[rows].tolist(), position[rows].tolist(), strict=True):
        if own == ticker and 0 < at - first <= length:
            reason[row] = _CODE["overlaps"]
        else:
            ticker, first = own, at


def why(fate: str) -> Reason:
    """Return the reason for a key of `FATES`; empty for an event that is used unchanged."""
    return Reason(f"market.{fate}") if fate != "used" else Reason()


def status_of(fate: str) -> str:
    """Return the status in the ledger of a key of `FATES`."""
    return {"used": "used", "shifted": "shifted", "repeated": "merged"}.get(fate, "dropped")


def counts_of(reason: NDArray[np.int8]) -> dict[str, int]:
    """Numbers of events by key of `FATES`, without zeros."""
    counts = np.bincount(reason, minlength=len(FATES)).tolist()
    return {name: n for name, n in zip(FATES, counts, strict=True) if n}


def _groups(
    events: EventList, position: NDArray[np.intp], used: NDArray[np.bool_]
) -> list[tuple[str, NDArray[np.intp]]]:
    """All used events, and those of each group of the columns in ``tests.group``, in order of day 0 and ticker."""
    rows = np.flatnonzero(used)
    rows = rows[np.lexsort((events.ticker[rows], position[rows]))]
    found = [("all", rows)]
    for column, (names, codes) in events.groups.items():
        for code, name in enumerate(names):
            mine = rows[codes[rows] == code]
            # A group with all events is not repeated.
            if name and 0 < len(mine) < len(rows):
                found.append((f"{column}={name.replace(';', ',')}", mine))
    return found


def _sums(
    events: FirmEvents,
    fit: MarketFit,
    tables: _Tables,
    layout: Layout,
    run: Callable[[Callable[[Any], Any], Sequence[Any]], list[Any]],
) -> DaySums:
    order = np.argsort(events.position, kind="stable")
    blocks = date_blocks(events.position[order], layout)
    spread = scar_spread(fit)

    def task(number: int) -> tuple[FirmEvents, MarketFit, int]:
        rows = order[blocks[number][0]]
        return events.take(rows), fit.take(rows), blocks[number][1]

    return total(run(functools.partial(_days_block, tables, layout, spread), _Lazy(task, len(blocks))))


def _days_block(
    tables: _Tables, layout: Layout, spread: NDArray[np.float64], task: tuple[FirmEvents, MarketFit, int]
) -> DaySums:
    events, fit, own = task
    clean = np.asarray(open_memmap(tables.clean, mode="r")) if tables.clean else None
    panel = tables.panel(np.asarray(open_memmap(tables.table, mode="r")), clean)
    return day_sums(panel, events, fit, layout, spread, own=own)
