"""The prices of a long list as a wide table on disk, on the sessions of the market."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.lib.format import open_memmap
from numpy.typing import NDArray

from eventstudy.config import StudyConfig
from eventstudy.config.plain import index_file
from eventstudy.core.returns import one_session_returns
from eventstudy.errors import PriceError, Problem, Reason
from eventstudy.exchanges import calendars
from eventstudy.large.event_list import EventList
from eventstudy.messages import text
from eventstudy.prices import PriceTable
from eventstudy.prices.long import (
    Filled,
    LongFile,
    fill,
    is_long_file,
    new_table,
    open_long,
    pieces,
    read_series,
    tickers_of,
    write_long,
)
from eventstudy.prices.quality.wide import OFF_SESSION, closed_sessions, lacking_days, off_calendar
from eventstudy.prices.sources import prices_of_tickers

#: Securities of one block.
BLOCK_SECURITIES = 256
#: Largest number of days and tickers in a sentence.
_SHOWN = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Market:
    """Prices or returns of the events' tickers, and their index.

    Attributes
    ----------
    prices, benchmark
        The files they came from.
    table : Path
        Table of returns, (S, T); empty as long as only ``price_table`` is filled.
    sessions : (T,) int32
        The index's days, without days on which no security traded.
    index : (T,)
        Its returns.
    present : (S,)
        Whether the ticker is in the prices.
    lacking : (L,) int32
        Days on which the market traded and the index has no row.
    remarks
        Notes on what was left out.
    """

    prices: LongFile
    benchmark: LongFile
    table: Path
    price_table: Path | None
    sessions: NDArray[np.int32]
    index: NDArray[np.float64]
    present: NDArray[np.bool_]
    lacking: NDArray[np.int32]
    remarks: tuple[Reason, ...]


def read_market(
    events: EventList,
    path: Path | LongFile,
    benchmark: str,
    config: StudyConfig,
    *,
    scratch: Path,
    run: Callable[[Callable[[Any], Any], Sequence[Any]], list[Any]],
) -> Market:
    """Read the prices of the events' tickers and of the benchmark, and check their days.

    Raises
    ------
    PriceError
        If they cannot be read, contain an impossible price or two rows for one ticker and day, or are on days that are
        no sessions.
    """
    source, tickers = path if isinstance(path, LongFile) else open_long(path), events.tickers
    own = open_long(Path(benchmark), one_series=True) if index_file(benchmark) else source.index(benchmark)
    origin = own or source
    sessions, level = read_series(origin, "" if origin is not source else benchmark)
    first, table = scratch / ("returns.npy" if source.holds_returns else "prices.npy"), scratch / "returns.npy"
    new_table(first, len(tickers), len(sessions))
    parts: list[Filled] = run(fill, pieces(source, tickers, sessions, first, also=events.spellings))
    rows = sum((part.rows for part in parts), np.zeros(len(tickers), dtype=np.int64))
    traded, listed, cells = _counts(first)
    problems = [Problem(said, source.path) for part in parts for said in part.problems][:20]
    twice = [tickers[at] for at in np.flatnonzero(cells < rows)[:20]]
    problems += [Problem(f"{name} has more than one row on some day; accepted is one", source.path) for name in twice]
    if problems:
        raise PriceError(problems)
    stray = np.vstack([part.off_session for part in parts])
    stray = stray[~_padded(stray, first, sessions, source.holds_returns)]
    lacking = lacking_days(*np.unique(stray[:, 1].astype(np.int32), return_counts=True), sessions, traded)
    _check_days(sessions, lacking, len(stray), int(rows.sum()), benchmark, config, source.path)
    still = level == 0 if origin.holds_returns else np.diff(level, prepend=np.nan) == 0
    closed = closed_sessions(traded, listed, still)
    remarks = [*source.remarks, *_remarks(benchmark, sum(part.n_off for part in parts), lacking, sessions[closed])]
    remarks += _other_spellings(source, [name for name, n in zip(tickers, rows, strict=True) if not n])
    if closed.any():
        _leave_out(first, ~closed)
        sessions, level = sessions[~closed], level[~closed]
    if not source.holds_returns:
        new_table(table, len(tickers), len(sessions))
    index = level if origin.holds_returns else one_session_returns(level, config.returns.kind)
    if not origin.holds_returns:
        # The index's return over a gap is not a return of one session.
        after = np.searchsorted(sessions, lacking)
        index[after] = np.nan
    return Market(
        prices=source,
        benchmark=origin,
        table=table,
        price_table=None if source.holds_returns else first,
        sessions=sessions,
        index=index,
        present=rows > 0,
        lacking=lacking,
        remarks=tuple(remarks),
    )


def long_file(events: EventList, prices: Any, benchmark: str, scratch: Path, *, returns: bool = False) -> LongFile:
    """Return prices as one long file; prices that cannot be read in pieces are copied to ``scratch`` first.

    Parameters
    ----------
    prices
        A folder or file, a frame, or a `PriceTable`.
    returns
        Whether the numbers of a frame are returns.

    Raises
    ------
    PriceError, ConfigError
        If they cannot be read.
    """
    if isinstance(prices, Path) and prices.is_file() and is_long_file(prices):
        return open_long(prices)
    index = () if index_file(benchmark) else (benchmark,)
    if not isinstance(prices, PriceTable):
        given, prices = prices, prices_of_tickers([*events.tickers, *index], prices, returns=returns)
        name = given.name if isinstance(given, Path) else "DataFrame"
    else:
        name = str(prices.origin.get("name", prices.source))
    return write_long(prices, scratch / "copy.parquet", name)


def _counts(table: Path) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.intp]]:
    """Securities with a value and securities listed by session, and values by security."""
    filled = open_memmap(table, mode="r")
    sessions = filled.shape[1]
    traded, steps, cells = np.zeros(sessions, dtype=np.intp), np.zeros(sessions + 1, dtype=np.intp), []
    for start in range(0, len(filled), BLOCK_SECURITIES):
        there = np.isfinite(filled[start : start + BLOCK_SECURITIES])
        cells.append(there.sum(axis=1))
        traded += there.sum(axis=0)
        held = there[cells[-1] > 0]
        steps += np.bincount(held.argmax(axis=1), minlength=sessions + 1)
        steps -= np.bincount(sessions - held[:, ::-1].argmax(axis=1), minlength=sessions + 1)
    return traded, np.cumsum(steps)[:-1], np.concatenate(cells)


def _padded(stray: NDArray[np.float64], table: Path, sessions: NDArray[np.int32], returns: bool) -> NDArray[np.bool_]:
    """Mark rows on other days that only repeat the session before, from sources that fill every weekday."""
    if returns:
        return np.asarray(stray[:, 2] == 0)
    before = np.maximum(np.searchsorted(sessions, stray[:, 1]) - 1, 0)
    padded: NDArray[np.bool_] = open_memmap(table, mode="r")[stray[:, 0].astype(np.intp), before] == stray[:, 2]
    return padded


def _check_days(
    sessions: NDArray[np.int32],
    lacking: NDArray[np.int32],
    stray: int,
    rows: int,
    benchmark: str,
    config: StudyConfig,
    file: str,
) -> None:
    problems = []
    share = off_calendar(sessions, open_days(config, sessions))
    if share > OFF_SESSION and not config.prices.accept_suspect:
        problems.append(Reason("market.off_calendar", benchmark=benchmark, share=share))
    if config.prices.benchmark_gaps == "stop" and not config.prices.accept_suspect:
        if len(lacking):
            problems.append(Reason("market.lacking", benchmark=benchmark, n=len(lacking), days=_some(lacking)))
        elif rows and stray > OFF_SESSION * (stray + rows):
            problems.append(Reason("market.stray_stop", benchmark=benchmark, share=stray / (stray + rows)))
    if problems:
        raise PriceError([Problem(text(reason), file) for reason in problems])


def open_days(config: StudyConfig, sessions: NDArray[np.int32]) -> NDArray[np.int32] | None:
    """Return the days around the sessions on which the named exchange is open, None if no exchange is named."""
    mics = {market.mic for market in config.markets}
    if len(mics) != 1:
        return None
    first, last = (np.datetime64(int(day), "D").astype(dt.date) for day in (sessions[0], sessions[-1]))
    return calendars.sessions(mics.pop(), first, last).astype("datetime64[D]").astype(np.int32)


def _remarks(benchmark: str, off_session: int, lacking: NDArray[np.int32], closed: NDArray[np.int32]) -> list[Reason]:
    found = []
    if off_session:
        found.append(Reason("market.stray", n=off_session, benchmark=benchmark))
    if len(lacking):
        found.append(Reason("market.lacking_dropped", benchmark=benchmark, n=len(lacking), days=_some(lacking)))
    if len(closed):
        found.append(Reason("market.closed", benchmark=benchmark, n=len(closed), days=_some(closed)))
    return found


def _some(days: NDArray[np.int32]) -> str:
    shown = ", ".join(str(np.datetime64(int(day), "D")) for day in days[:_SHOWN])
    return shown + (" …" if len(days) > _SHOWN else "")


def _other_spellings(source: LongFile, absent: Sequence[str]) -> list[Reason]:
    """Tickers of digits that lost their leading zeros, with the matching tickers of the prices."""
    numbers = [name for name in absent if name.isdigit()]
    if not numbers or not source.ticker:
        return []
    known = {name.lstrip("0"): name for name in tickers_of(source) if name.isdigit()}
    pairs = [(name, known[name.lstrip("0")]) for name in numbers if name.lstrip("0") in known]
    if not pairs:
        return []
    shown = ", ".join(f"{name} → {meant}" for name, meant in pairs[:_SHOWN])
    return [Reason("market.leading_zeros", n=len(pairs), pairs=shown)]


def _leave_out(table: Path, kept: NDArray[np.bool_]) -> None:
    """Rewrite a table with only the kept sessions."""
    old, narrower = open_memmap(table, mode="r"), table.with_suffix(".kept.npy")
    new_table(narrower, len(old), int(kept.sum()))
    new = open_memmap(narrower, mode="r+")
    for start in range(0, len(old), BLOCK_SECURITIES):
        new[start : start + BLOCK_SECURITIES] = old[start : start + BLOCK_SECURITIES, kept]
    new.flush()
    del old, new
    narrower.replace(table)
