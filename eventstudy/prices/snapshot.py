"""Price snapshots: one Parquet file for each ticker and a manifest with the sha256 of each.

Yahoo changes adjusted prices with every later dividend and split, so a reproducible study reads only a snapshot. A
Parquet file with a changed byte can often be read without an error. So every file is compared with the manifest each
time it is read, and the manifest with its own digest.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import io
import json
import os
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from operator import attrgetter
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from eventstudy import __version__
from eventstudy.errors import ConfigError, IntegrityError, Problem, Reason, printable
from eventstudy.prices.table import PriceOutcome, PriceRequest, PriceSeries, PriceTable

KIND = "eventstudy price snapshot 1"
MANIFEST = "manifest.json"
#: Arrays of a series in the order in which they are stored and hashed.
ARRAYS = ("open", "high", "low", "close", "adj_close", "volume", "dividends", "splits")
VERSIONED = ("baostock", "curl_cffi", "numpy", "pyarrow", "yfinance")
_PART = ".part-"
#: Yahoo's adjusted closes differ by about 1e-7 between two calls; a larger change of a return is reported.
TOLERANCE = 1e-6
Kind = Literal["return", "new", "absent"]


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredTicker:
    """One ticker of a snapshot: the request, the outcome, and the file.

    ``asked`` is the inclusive range of days, ISO. ``file`` is empty if there are no prices. ``content_sha256`` is
    computed from the arrays, so it does not depend on the encoding of Parquet.
    """

    outcome: PriceOutcome
    asked: tuple[str, str]
    fetched_at: str
    file: str = ""
    sha256: str = ""
    content_sha256: str = ""
    currency: str = ""
    source: str = ""

    def covers(self, request: PriceRequest) -> bool:
        """Whether the stored range includes the request's range."""
        return self.asked[0] <= request.start.isoformat() and request.end.isoformat() <= self.asked[1]


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A snapshot's manifest: the provider and the entry of each ticker."""

    folder: Path
    provider: str
    tickers: Mapping[str, StoredTicker]


def is_snapshot(folder: Path) -> bool:
    """Whether a folder's manifest is that of a snapshot, possibly damaged."""
    path = folder / MANIFEST
    if not path.is_file():
        return False
    try:
        manifest = json.loads(path.read_bytes())
    except ValueError:
        return any(folder.glob("*.parquet"))
    return isinstance(manifest, dict) and (manifest.get("kind") == KIND or "tickers" in manifest)


def open_snapshot(folder: Path) -> Snapshot:
    """Read a snapshot's manifest."""
    path = folder / MANIFEST
    if not path.is_file():
        message = "is no snapshot: it has no manifest.json; 'eventstudy fetch' makes one"
        raise ConfigError(Problem(message, str(folder)))
    try:
        manifest = json.loads(path.read_bytes())
        if manifest.pop("digest") != _digest(manifest):
            raise ValueError("digest")
        tickers = {name: _stored(entry) for name, entry in manifest["tickers"].items()}
        return Snapshot(folder, manifest["provider"], tickers)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        message = "is damaged or was edited; restore it, or fetch into a new folder"
        raise IntegrityError(Problem(message, str(path))) from error


def write_manifest(snapshot: Snapshot) -> None:
    """Replace the manifest in one step."""
    manifest: dict[str, Any] = {
        "kind": KIND,
        "provider": snapshot.provider,
        "versions": _versions(),
        "tickers": {name: asdict(entry) for name, entry in sorted(snapshot.tickers.items())},
    }
    manifest = json.loads(json.dumps(manifest, default=_kept))
    manifest["digest"] = _digest(manifest)
    text = json.dumps(manifest, sort_keys=True, indent=1, ensure_ascii=False) + "\n"
    _replace(snapshot.folder / MANIFEST, text.encode())


def write_series(folder: Path, series: PriceSeries) -> tuple[str, str, str]:
    """Store one series; return the file's name, its sha256, and the sha256 of the arrays."""
    content = _parquet(series)
    name = f"{series.ticker}.parquet"
    _replace(folder / name, content)
    return name, hashlib.sha256(content).hexdigest(), content_sha256(series)


def read_series(snapshot: Snapshot, ticker: str) -> PriceSeries:
    """Return one stored series, checked against the manifest."""
    entry = snapshot.tickers[ticker]
    path = snapshot.folder / entry.file
    message = "is not what was stored (sha256 differs); restore it, or delete it and fetch again"
    problem = Problem(message, str(path))
    try:
        content = path.read_bytes()
    except OSError as error:
        raise IntegrityError(Problem(f"cannot be read: {error.strerror}; fetch again", str(path))) from error
    if hashlib.sha256(content).hexdigest() != entry.sha256:
        raise IntegrityError(problem)
    series = _series(ticker, content, entry)
    if content_sha256(series) != entry.content_sha256:
        raise IntegrityError(problem)
    return series


def read_snapshot(folder: Path, request: PriceRequest) -> PriceTable:
    """Return the requested tickers and days of a snapshot."""
    snapshot = open_snapshot(folder)
    series: dict[str, PriceSeries] = {}
    outcomes: dict[str, PriceOutcome] = {}
    problems: list[Problem] = []
    for ticker in dict.fromkeys(request.tickers):
        entry = snapshot.tickers.get(ticker)
        if entry is None:
            message = Reason("snapshot.without", ticker=ticker, folder=printable(folder.name))
            outcomes[ticker] = PriceOutcome(ticker=ticker, status="no_prices", message=message)
        elif not entry.file:
            outcomes[ticker] = entry.outcome
        else:
            try:
                found, outcomes[ticker] = _cut(read_series(snapshot, ticker), entry, request)
            except IntegrityError as error:
                problems.extend(error.problems)
                continue
            if len(found.dates):
                series[ticker] = found
    if problems:
        raise IntegrityError(problems)
    origin = {"kind": "snapshot", "name": folder.resolve().name}
    return PriceTable(source=snapshot.provider, series=series, outcomes=outcomes, origin=origin)


def verify_snapshot(folder: Path) -> int:
    """Check every file of a snapshot and return their number."""
    snapshot = open_snapshot(folder)
    stored = [ticker for ticker, entry in snapshot.tickers.items() if entry.file]
    problems: list[Problem] = []
    for ticker in stored:
        try:
            read_series(snapshot, ticker)
        except IntegrityError as error:
            problems += error.problems
    known = {entry.file for entry in snapshot.tickers.values()}
    for path in sorted(folder.glob("*.parquet")):
        if path.name not in known:
            problems.append(Problem("is not in the manifest; delete it", str(path)))
    if problems:
        raise IntegrityError(problems)
    return len(stored)


def intact(snapshot: Snapshot, ticker: str) -> bool:
    """Whether a ticker's file is unchanged; also true if there were no prices."""
    if not snapshot.tickers[ticker].file:
        return True
    try:
        read_series(snapshot, ticker)
    except IntegrityError:
        return False
    return True


def content_sha256(series: PriceSeries) -> str:
    """Digest of the ticker, the days and all arrays of a series."""
    digest = hashlib.sha256(series.ticker.encode())
    columns = {"dates": series.dates.astype("datetime64[D]").astype("<i8")}
    columns |= {name: getattr(series, name).astype("<f8") for name in ARRAYS}
    for name, column in columns.items():
        # All NaN are made equal, because their payload bits are not part of the content.
        plain = np.where(np.isnan(column), np.nan, column) if column.dtype.kind == "f" else column
        digest.update(f"{name}:{len(column)};".encode())
        digest.update(plain.tobytes())
    return digest.hexdigest()


def _cut(series: PriceSeries, entry: StoredTicker, request: PriceRequest) -> tuple[PriceSeries, PriceOutcome]:
    found, outcome = series.within(request), entry.outcome
    if not len(found.dates):
        days = {"first": outcome.first, "last": outcome.last, "start": request.start, "end": request.end}
        message = Reason("snapshot.outside", **days)
        return found, PriceOutcome(ticker=series.ticker, status="no_prices", message=message, notes=outcome.notes)
    notes = outcome.notes
    if not entry.covers(request):
        notes += (Reason("snapshot.asked", first=entry.asked[0], last=entry.asked[1]),)
    return found, replace(PriceOutcome.of(found, notes), status=outcome.status, message=outcome.message)


def _stored(entry: Mapping[str, Any]) -> StoredTicker:
    message, notes = entry["outcome"]["message"], entry["outcome"]["notes"]
    read = {"message": _recalled(message), "notes": tuple(_recalled(note) for note in notes)}
    outcome = PriceOutcome(**{**entry["outcome"], **read})
    if entry["file"] not in ("", f"{outcome.ticker}.parquet"):
        # The name comes from outside, so it must not contain a path out of the folder.
        raise ValueError("file")
    return StoredTicker(**{**entry, "outcome": outcome, "asked": tuple(entry["asked"])})


def _kept(reason: Reason) -> dict[str, Any]:
    return {"code": reason.code, "fields": dict(reason.fields)}


def _recalled(kept: Any) -> Any:
    """The reason that `_kept` stored; texts of older snapshots are not changed."""
    if not isinstance(kept, Mapping):
        return kept
    return Reason(kept["code"], **{name: _recalled(field) for name, field in kept["fields"].items()})


def _series(ticker: str, content: bytes, entry: StoredTicker) -> PriceSeries:
    import pyarrow as pa
    import pyarrow.parquet as pq

    table = pq.read_table(pa.BufferReader(content))
    arrays: dict[str, Any] = {
        name: np.asarray(table[name].to_numpy(), dtype=np.float64) for name in ARRAYS if name in table.column_names
    }
    dates = table["date"].to_numpy().astype("datetime64[D]")
    return PriceSeries(
        ticker=ticker, dates=dates, **arrays, currency=entry.currency, source=entry.source, sha256=entry.content_sha256
    )


def _parquet(series: PriceSeries) -> bytes:
    import pyarrow as pa
    import pyarrow.parquet as pq

    columns = {"date": pa.array(series.dates.astype("datetime64[D]"), type=pa.date32())}
    for name in ARRAYS:
        column = getattr(series, name)
        if len(column) == len(series.dates):
            columns[name] = pa.array(column, type=pa.float64())
    sink = io.BytesIO()
    pq.write_table(pa.table(columns), sink)
    return sink.getvalue()


def _replace(path: Path, content: bytes) -> None:
    """Write to a temporary file and rename it, so that after a kill either the old or the new file exists."""
    handle, aside = tempfile.mkstemp(dir=path.parent, prefix=_PART)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        Path(aside).replace(path)
    except BaseException:
        Path(aside).unlink(missing_ok=True)
        raise


def remove_parts(folder: Path) -> None:
    """Remove partly written files of a killed fetch."""
    for path in folder.glob(f"{_PART}*"):
        path.unlink(missing_ok=True)


def _digest(manifest: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(manifest, sort_keys=True).encode()).hexdigest()


def _versions() -> dict[str, str]:
    found = {"eventstudy": __version__}
    for name in VERSIONED:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


@dataclass(frozen=True, slots=True)
class Rewritten:
    """One day of one ticker that differs between two snapshots.

    ``before`` and ``after`` are returns of adjusted closes; for a ``new`` or ``absent`` day the
    adjusted close itself, NaN in the snapshot without that day. For a ticker in only one snapshot ``day`` is empty.
    """

    ticker: str
    day: str
    kind: Kind
    before: float
    after: float


def diff_snapshots(before: Path, after: Path, *, tolerance: float = TOLERANCE) -> tuple[Rewritten, ...]:
    """Return every difference, by ticker and day.

    Returns are compared over common days, so that a missing row is reported once.
    """
    old, new = open_snapshot(before), open_snapshot(after)
    held = [{t for t, entry in snapshot.tickers.items() if entry.file} for snapshot in (old, new)]
    rows: list[Rewritten] = []
    for ticker in sorted(held[0] | held[1]):
        if ticker not in held[0] or ticker not in held[1]:
            kind: Kind = "new" if ticker in held[1] else "absent"
            rows.append(Rewritten(ticker, "", kind, np.nan, np.nan))
            continue
        found = _differences(read_series(old, ticker), read_series(new, ticker), tolerance)
        rows += sorted(found, key=attrgetter("day"))
    return tuple(rows)


def _differences(old: PriceSeries, new: PriceSeries, tolerance: float) -> Iterator[Rewritten]:
    common, here, there = np.intersect1d(old.dates, new.dates, assume_unique=True, return_indices=True)
    before, after = _returns(old.adj_close[here]), _returns(new.adj_close[there])
    moved = ~np.isclose(before, after, rtol=0.0, atol=tolerance, equal_nan=True)
    for at in np.flatnonzero(moved):
        yield Rewritten(old.ticker, str(common[at + 1]), "return", float(before[at]), float(after[at]))
    for at in np.flatnonzero(~np.isin(new.dates, common)):
        yield Rewritten(old.ticker, str(new.dates[at]), "new", np.nan, float(new.adj_close[at]))
    for at in np.flatnonzero(~np.isin(old.dates, common)):
        yield Rewritten(old.ticker, str(old.dates[at]), "absent", float(old.adj_close[at]), np.nan)


def _returns(price: NDArray[np.float64]) -> NDArray[np.float64]:
    change: NDArray[np.float64] = price[1:] / price[:-1] - 1.0
    return change
