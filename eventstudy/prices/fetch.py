"""Fetching into a snapshot: each ticker is kept as it arrives, and the same command resumes."""

from __future__ import annotations

import datetime as dt
import os
import shutil
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

from filelock import FileLock, Timeout

from eventstudy.errors import ConfigError, PriceError, Problem
from eventstudy.messages import text
from eventstudy.prices.snapshot import (
    MANIFEST,
    Snapshot,
    StoredTicker,
    intact,
    open_snapshot,
    remove_parts,
    write_manifest,
    write_series,
)
from eventstudy.prices.table import UNANSWERED, PriceOutcome, PriceRequest, PriceSeries, ProviderFactory, check_tickers

T = TypeVar("T")
LOCK = ".eventstudy.lock"
#: Called with how many tickers are done, how many there are, and the one that is being asked for.
Watch = Callable[[int, int, str], None]


class PartlyFetchedError(PriceError):
    """Some prices did not come; what did is kept in a snapshot."""


def utc_now() -> dt.datetime:
    """The clock, aware, in UTC."""
    return dt.datetime.now(dt.UTC)


def within(seconds: float, call: Callable[[], T]) -> T:
    """Return what ``call`` gives; `TimeoutError` after the deadline, when the thread that it runs in is left behind."""
    outcome: list[T] = []
    failure: list[BaseException] = []

    def work() -> None:
        try:
            outcome.append(call())
        except BaseException as error:
            failure.append(error)

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    thread.join(seconds)
    if failure:
        raise failure[0]
    if not outcome:
        raise TimeoutError(f"no answer in {seconds:g} s")
    return outcome[0]


def snapshots_folder() -> Path:
    """The user's own folder of snapshots."""
    import platformdirs

    return Path(platformdirs.user_data_dir("eventstudy")) / "snapshots"


def default_folder(name: str, now: dt.datetime) -> Path:
    """Where a study's snapshot of this day lies unless another folder is given."""
    return snapshots_folder() / f"{name}-{now.astimezone(dt.UTC):%Y%m%d}"


def fetch_snapshot(
    request: PriceRequest,
    name: str,
    folder: Path,
    *,
    factory: ProviderFactory,
    again: Sequence[str] = (),
    watch: Watch | None = None,
    now: Callable[[], dt.datetime] = utc_now,
) -> Snapshot:
    """Fetch what a snapshot lacks of a request, and the tickers ``again``, and return it complete.

    ``factory``, registered under ``name``, makes the provider; it is called with ``progress``.

    Raises
    ------
    ConfigError
        If the folder cannot be written, is held by another fetch, or has another provider's prices.
    PartlyFetchedError
        If a ticker was not answered. What was fetched is kept; the same call asks for the rest.
    PriceError
        If no ticker was answered.
    """
    check_tickers(request.tickers)
    with _held(folder) as fresh:
        store = _Store(_begin(folder, name), now)
        wanted = tuple(dict.fromkeys(request.tickers))
        due = _due(store.snapshot, request, again)
        if due.tickers:
            _fetch(store, due, wanted, factory, watch or (lambda *_: None), fresh)
        return store.snapshot


@dataclass(slots=True)
class _Store:
    """The snapshot as it grows, ticker by ticker."""

    snapshot: Snapshot
    now: Callable[[], dt.datetime]

    def keep(self, outcome: PriceOutcome, series: PriceSeries | None, asked: PriceRequest) -> None:
        """Store one answer, file first: a manifest never names a file that is not there."""
        days = (asked.start.isoformat(), asked.end.isoformat())
        entry = StoredTicker(outcome=outcome, asked=days, fetched_at=self.now().isoformat(timespec="seconds"))
        if series is not None:
            file, sha256, content = write_series(self.snapshot.folder, series)
            entry = replace(
                entry, file=file, sha256=sha256, content_sha256=content, currency=series.currency, source=series.source
            )
        tickers = {**self.snapshot.tickers, outcome.ticker: entry}
        self.snapshot = replace(self.snapshot, tickers=tickers)
        write_manifest(self.snapshot)

    def missing(self, tickers: Sequence[str]) -> list[str]:
        """Those that were not answered yet."""
        known = self.snapshot.tickers
        return [t for t in tickers if t not in known or known[t].outcome.status in UNANSWERED]


def _fetch(
    store: _Store, due: PriceRequest, wanted: Sequence[str], factory: ProviderFactory, watch: Watch, fresh: bool
) -> None:
    waiting = list(due.tickers)
    have = len(wanted) - len(waiting)

    def keep(outcome: PriceOutcome, series: PriceSeries | None) -> None:
        store.keep(outcome, series, due)
        if outcome.ticker in waiting:
            waiting.remove(outcome.ticker)
        watch(len(wanted) - len(waiting), len(wanted), waiting[0] if waiting else "")

    watch(have, len(wanted), waiting[0])
    problems: list[Problem] = []
    try:
        table = factory(progress=keep).fetch(due)
        for ticker in [t for t in waiting if t in table.outcomes]:
            if table.outcomes[ticker].status not in UNANSWERED:
                keep(table.outcomes[ticker], table.series.get(ticker))
        problems = unanswered(table.outcomes.values())
    except PriceError as error:
        problems = list(error.problems)
    except KeyboardInterrupt:
        raise KeyboardInterrupt(_kept(store, wanted)) from None
    finally:
        if fresh and len(store.missing(wanted)) == len(wanted):
            shutil.rmtree(store.snapshot.folder, ignore_errors=True)
    missing = store.missing(wanted)
    if missing and len(missing) == len(wanted):
        raise PriceError(problems)
    if missing:
        raise PartlyFetchedError([*problems, Problem(_kept(store, wanted))])


def _kept(store: _Store, wanted: Sequence[str]) -> str:
    count = len(wanted) - len(store.missing(wanted))
    if not count:
        return "nothing had been fetched; the same command starts again"
    folder = store.snapshot.folder
    return f"{count} of {len(wanted)} tickers are fetched and kept in {folder}; the same command resumes"


def unanswered(outcomes: Iterable[PriceOutcome]) -> list[Problem]:
    """Return one problem for each reason why tickers were not answered."""
    tickers: dict[str, list[str]] = {}
    for outcome in outcomes:
        if outcome.status in UNANSWERED:
            tickers.setdefault(text(outcome.message), []).append(outcome.ticker)
    return [Problem(f"{', '.join(names)}: {why}") for why, names in tickers.items()]


def _due(snapshot: Snapshot, request: PriceRequest, again: Sequence[str]) -> PriceRequest:
    """What must be asked for: tickers absent, unanswered, damaged, asked for fewer days, or ``again``.

    The range is the hull of the request and of what is stored, so that no file becomes shorter.
    """
    tickers = tuple(
        ticker
        for ticker in dict.fromkeys(request.tickers)
        if ticker not in snapshot.tickers
        or ticker in again
        or snapshot.tickers[ticker].outcome.status in UNANSWERED
        or not snapshot.tickers[ticker].covers(request)
        or not intact(snapshot, ticker)
    )
    asked = [snapshot.tickers[ticker].asked for ticker in tickers if ticker in snapshot.tickers]
    start = min([request.start, *(dt.date.fromisoformat(first) for first, _ in asked)])
    end = max([request.end, *(dt.date.fromisoformat(last) for _, last in asked)])
    return PriceRequest(tickers, start, end)


def _begin(folder: Path, provider: str) -> Snapshot:
    remove_parts(folder)
    if not (folder / MANIFEST).exists():
        return Snapshot(folder, provider, {})
    snapshot = open_snapshot(folder)
    if snapshot.provider != provider:
        message = f"holds prices from {snapshot.provider}, not from {provider}; give another folder"
        raise ConfigError(Problem(message, str(folder)))
    return snapshot


@contextmanager
def _held(folder: Path) -> Iterator[bool]:
    """Hold the folder for one fetch; yields whether it was made just now.

    The folder is private: what a user studies is nobody else's business.
    """
    fresh = not folder.exists()
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if any(folder.iterdir()) and not (folder / MANIFEST).exists() and not (folder / LOCK).exists():
            raise ConfigError(Problem("is neither empty nor a snapshot; give another folder", str(folder)))
        if not os.access(folder, os.W_OK):
            raise PermissionError(13, "Permission denied")
    except OSError as error:
        raise _unwritable(folder, error) from error
    try:
        with FileLock(folder / LOCK, timeout=0):
            yield fresh
    except Timeout as error:
        raise ConfigError(
            Problem("another fetch is writing there; wait for it or give another folder", str(folder))
        ) from error
    except PermissionError as error:
        raise _unwritable(folder, error) from error


def _unwritable(folder: Path, error: OSError) -> ConfigError:
    message = f"cannot be written ({error.strerror}); give another folder with 'eventstudy fetch --out DIR'"
    return ConfigError(Problem(message, str(folder)))
