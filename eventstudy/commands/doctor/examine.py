"""Checks of the machine: versions, folders, fonts, calendars, network, clock."""

from __future__ import annotations

import datetime as dt
import importlib.metadata
import platform
import socket
import tempfile
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import eventstudy
from eventstudy import __version__
from eventstudy.config import load_config, sector_file, sector_names
from eventstudy.errors import EventStudyError
from eventstudy.exchanges.calendars import exchange_sessions
from eventstudy.exchanges.exchange import boards, dated_facts, exchanges, further_files
from eventstudy.prices import TICKER, PriceRequest
from eventstudy.prices.fetch import snapshots_folder, utc_now, within
from eventstudy.prices.files import SUFFIXES, FilesProvider
from eventstudy.prices.snapshot import is_snapshot, open_snapshot

DISTRIBUTION = "eventstudy-kit"
CONSTRAINTS = "constraints.txt"
PACKAGES = (
    "arch",
    "exchange_calendars",
    "matplotlib",
    "numpy",
    "pandas",
    "pyarrow",
    "scipy",
    "statsmodels",
    "typst",
    "yfinance",
)
EXTRAS = ("baostock", "duckdb", "dask")
HOST, PORT = "query1.finance.yahoo.com", 443
#: Time limit of the network check, in seconds.
PATIENCE = 3.0
#: If the newest price is this many days ahead of the clock, the clock is slow.
DAYS_AHEAD, DAYS_BEHIND = 1, 10
#: A calendar that ends sooner than this needs a newer exchange_calendars.
DAYS_LEFT = 60


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the output: what was checked, the result, and what to do if there is a problem."""

    subject: str
    state: Literal["ok", "warning"]
    text: str


def examine(
    *, out: Path = Path("results"), prices: Path | None = None, now: Callable[[], dt.datetime] = utc_now
) -> Iterator[Finding]:
    """Yield the findings one by one; no error is raised and no file is left.

    ``out`` is the folder that runs will write to; the newest day of ``prices`` is compared with the clock.
    """
    yield from versions()
    yield tested(tested_versions(), _version)
    yield from name_clashes()
    for folder in (out, snapshots_folder()):
        yield writable(folder)
    yield fonts()
    yield known_exchanges()
    yield from calendars(now().date())
    yield network()
    try:
        yield clock(newest_price(prices) if prices else None, now())
    except EventStudyError as error:
        yield Finding("prices", "warning", str(error.problems[0]))


def versions() -> Iterator[Finding]:
    """Yield one line with all versions, and one for the extras that are missing."""
    own = f"eventstudy {__version__}, Python {platform.python_version()} on {platform.system()}"
    found = [f"{name} {_version(name)}" for name in PACKAGES if _version(name)]
    yield Finding("versions", "ok", ", ".join([own, *found]))
    absent = [name for name in PACKAGES if not _version(name)]
    if absent:
        text = f"not installed: {', '.join(absent)}; install {DISTRIBUTION} again"
        yield Finding("versions", "warning", text)
    extras = [name for name in EXTRAS if not _version(name)]
    if extras:
        yield Finding("extras", "ok", f"not installed, not needed: {', '.join(extras)}")


def tested_versions() -> dict[str, str]:
    """Versions that the tests ran with, by distribution; empty if their list is not installed."""
    package = Path(eventstudy.__file__).parent
    files = [path for path in (package / CONSTRAINTS, package.parent / CONSTRAINTS) if path.is_file()]
    lines = files[0].read_text(encoding="utf-8").splitlines() if files else []
    return {name: version for name, equal, version in (line.partition("==") for line in lines) if equal}


def tested(known: Mapping[str, str], installed: Callable[[str], str]) -> Finding:
    """Compare the installed versions with those of the tests; a different major version gives a warning."""
    found = {name: (installed(name), known[name]) for name in PACKAGES if known.get(name) and installed(name)}
    others = {name: pair for name, pair in found.items() if pair[0] != pair[1]}
    if not others:
        text = f"{len(found)} packages are those of the tests" if found else f"no {CONSTRAINTS} to compare with"
        return Finding("tested", "ok", text)
    apart = [name for name, (here, there) in others.items() if here.split(".")[0] != there.split(".")[0]]
    listed = ", ".join(f"{name} {here} (tests: {there})" for name, (here, there) in others.items())
    advice = f"; where something fails: python -m pip install -c {CONSTRAINTS} {DISTRIBUTION}" if apart else ""
    return Finding("tested", "warning" if apart else "ok", f"{listed}{advice}")


def name_clashes(
    providers: Callable[[], Mapping[str, Sequence[str]]] = importlib.metadata.packages_distributions,
) -> Iterator[Finding]:
    """Yield a finding if another distribution also installs a module named eventstudy."""
    listed = providers().get("eventstudy", [])
    others = sorted({name for name in listed if name.lower().replace("_", "-") != DISTRIBUTION})
    if others:
        text = f"{', '.join(others)} also installs a module eventstudy; uninstall one of the two"
        yield Finding("name", "warning", text)
    else:
        yield Finding("name", "ok", "no other distribution installs a module eventstudy")


def writable(folder: Path) -> Finding:
    """Check whether files can be written to a folder, or to its parent if it does not exist yet."""
    place = folder
    while not place.exists() and place != place.parent:
        place = place.parent
    try:
        with tempfile.TemporaryFile(dir=place):
            return Finding("folder", "ok", f"{folder} can be written")
    except OSError as error:
        text = f"{folder} cannot be written ({error.strerror}); give another one with --out"
        return Finding("folder", "warning", text)


def fonts(find: Callable[[], Path | None] | None = None) -> Finding:
    """Check whether a font with Chinese characters is available."""
    from eventstudy.plots import cjk_font

    found = (find or cjk_font)()
    if found:
        return Finding("fonts", "ok", f"Chinese names are drawn in {found.name}")
    text = "no font with Chinese characters: reports show tickers; install Noto Sans CJK for names"
    return Finding("fonts", "warning", text)


def known_exchanges() -> Finding:
    """Return the number of known exchanges, and the number of their facts without a checked source."""
    try:
        known, facts = exchanges(), list(dated_facts())
        rules = sum(bool(exchange.board) for exchange in known.values())
        further = "".join(f", {name} among their files" for name, _ in further_files())
    except EventStudyError as error:
        return Finding("exchanges", "warning", "; ".join(map(str, error.problems)))
    memory = sum(fact.certainty == "memory" for fact in facts)
    text = (
        f"{len(known)} known{further}, {rules} with rules on {len(boards())} boards; {memory} of "
        f"{len(facts)} dated facts are from memory, see docs/market-rules.md"
    )
    return Finding("exchanges", "ok", text)


def calendars(today: dt.date) -> Iterator[Finding]:
    """Yield the last session that the calendar of each shipped exchange knows."""
    ends: dict[str, list[str]] = {}
    for mic in _mics():
        try:
            ends.setdefault(str(exchange_sessions(mic).days[-1]), []).append(mic)
        except EventStudyError as error:
            yield Finding("calendars", "warning", f"{mic}: {error.problems[0].message}")
    for last, mics in sorted(ends.items()):
        left = (dt.date.fromisoformat(last) - today).days
        state: Literal["ok", "warning"] = "ok" if left >= DAYS_LEFT else "warning"
        advice = "" if left >= DAYS_LEFT else "; events after it have no session: upgrade exchange_calendars"
        yield Finding("calendars", state, f"{', '.join(mics)} know their sessions to {last}{advice}")


def network(connect: Callable[[tuple[str, int]], None] | None = None) -> Finding:
    """Check whether Yahoo's server, or the proxy in front of it, accepts a connection."""
    proxy = urllib.request.getproxies().get("https", "")
    parts = urllib.parse.urlsplit(proxy)
    place = (parts.hostname, parts.port or 8080) if parts.hostname else (HOST, PORT)
    named = f"the proxy {place[0]}" if parts.hostname else HOST
    reason = ""
    try:
        # Looking up a name has no time-out.
        within(PATIENCE, lambda: (connect or _connect)(place))
    except OSError as error:
        reason = error.strerror or str(error) or type(error).__name__
    if not reason:
        return Finding("network", "ok", f"{named} answers")
    text = f"offline: {named} cannot be reached ({reason}); give prices with --prices DIR"
    return Finding("network", "warning", text)


def _connect(place: tuple[str, int]) -> None:
    socket.create_connection(place, PATIENCE).close()


def clock(newest: dt.date | None, now: dt.datetime) -> Finding:
    """Compare the clock with the newest price, if prices are given."""
    shown = f"the clock says {now.astimezone(dt.UTC):%Y-%m-%d %H:%M} UTC"
    if newest is None:
        return Finding("clock", "ok", f"{shown}; --prices sets it against the newest price")
    ahead = (newest - now.astimezone(dt.UTC).date()).days
    if ahead > DAYS_AHEAD:
        text = f"{shown}, but there is a price of {newest}: set the clock, or distrust the prices"
        return Finding("clock", "warning", text)
    if -ahead > DAYS_BEHIND:
        text = f"{shown}, and the newest price is of {newest}: old prices, or a clock that runs ahead"
        return Finding("clock", "warning", text)
    return Finding("clock", "ok", f"{shown}; the newest price is of {newest}")


def newest_price(path: Path) -> dt.date | None:
    """Newest day of a snapshot or of a folder with a file for each ticker; None where there is none."""
    if is_snapshot(path):
        stored = [entry.outcome.last for entry in open_snapshot(path).tickers.values() if entry.file]
        return dt.date.fromisoformat(max(stored)) if stored else None
    files = [file for file in sorted(path.glob("*")) if file.suffix in SUFFIXES]
    tickers = dict.fromkeys(file.stem for file in files if TICKER.fullmatch(file.stem))
    request = PriceRequest(tuple(tickers), dt.date(1900, 1, 1), dt.date(9999, 12, 31))
    last = FilesProvider(path).fetch(request).last_date
    return dt.date.fromisoformat(last) if last else None


def _mics() -> Sequence[str]:
    found: dict[str, None] = {}
    for name in sector_names():
        config = load_config(sector_file(name).with_name("events.csv"), sector=name)
        found |= dict.fromkeys(market.mic for market in config.markets)
    return tuple(found)


def _version(name: str) -> str:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return ""
