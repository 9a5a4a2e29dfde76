"""Facts about each exchange, read once from the TOML files of this folder, one for each country.

Every dated fact names its source and the kind of the source. To add an exchange, add a file: in this folder, or in the
folder that the environment variable `FOLDER` names. docs/extending.md describes the file.
"""

from __future__ import annotations

import datetime as dt
import functools
import hashlib
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import MISSING, dataclass, field, fields, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal, TypeVar

from eventstudy.errors import ConfigError, Problem, nearest

#: ``exchange`` is a page of the exchange itself, ``source`` a law, a notice of an authority or a published
#: tariff, ``secondary`` reports or reprints, ``assumption`` a round figure that the settings can replace,
#: ``memory`` common knowledge that has not been checked (``verified = false`` in the file).
Certainty = Literal["exchange", "source", "secondary", "assumption", "memory"]
Side = Literal["buy", "sell", "both"]
#: First day of a fact without a given first day.
EVER = dt.date(1900, 1, 1)
#: First day for which calendars are requested.
FIRST_DAY = dt.date(2000, 1, 1)
#: Environment variable with a folder of further files.
FOLDER = "EVENTSTUDY_EXCHANGES"
#: Exchange of the world index of `config.Model`.
WORLD_MARKET = "XNYS"
#: Default exchange of tickers without an ending.
HOME = WORLD_MARKET

T = TypeVar("T")
Steps = tuple[tuple[float, float], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Dated:
    """A fact from ``first`` to ``until``, both included; ``until`` None means still in force."""

    first: dt.date = EVER
    until: dt.date | None = None
    source: str = ""
    certainty: Certainty = "memory"

    def holds(self, day: dt.date) -> bool:
        """Return whether the fact is in force on a day."""
        return self.first <= day and (self.until is None or day <= self.until)


@dataclass(frozen=True, slots=True, kw_only=True)
class PriceLimit(Dated):
    """The daily price limit of a board.

    ``kind`` is ``none``, ``fraction`` (``limit`` times the previous close) or ``amounts``: below the first number of
    each pair in ``amounts`` the limit is the second number, in the exchange's currency.
    """

    board: str
    kind: Literal["none", "fraction", "amounts"] = "fraction"
    limit: float = 0.0
    amounts: Steps = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class FreeSessions(Dated):
    """Number of first sessions of a new listing without a price limit, for listings in the period."""

    board: str
    sessions: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Selling(Dated):
    """Number of sessions before a bought share can be sold, and the rule on short sales."""

    board: str
    sessions_before_sale: int
    short_sales: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Ticks(Dated):
    """Tick sizes: below the first number of each pair in ``steps`` the tick is the second number."""

    board: str
    steps: Steps


@dataclass(frozen=True, slots=True, kw_only=True)
class Lot(Dated):
    """Smallest order and its increment, in shares; ``size`` 0 means that each issuer sets its own."""

    board: str
    size: int
    step: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Fee(Dated):
    """One cost of trading on one market, in basis points of the traded value; ``half_spread`` is also one."""

    market: str
    name: str
    side: Side
    bps: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Settlement(Dated):
    """Number of sessions from the trade to its settlement."""

    market: str
    days: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ExtraSession:
    """A session that the calendar lacks; hours in the exchange's time zone."""

    market: str
    day: dt.date
    open: dt.time
    close: dt.time
    source: str = ""
    certainty: Certainty = "memory"


@dataclass(frozen=True, slots=True, kw_only=True)
class Board:
    """A part of an exchange with its own rules; ``rounding`` says how the price limit is rounded."""

    name: str
    rounding: Literal["half_up", "inside"] = "half_up"
    limits: tuple[PriceLimit, ...] = ()
    free_sessions: tuple[FreeSessions, ...] = ()
    selling: tuple[Selling, ...] = ()
    ticks: tuple[Ticks, ...] = ()
    lots: tuple[Lot, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Exchange:
    """Facts about one exchange.

    ``mic`` is its ISO 10383 code, ``calendar`` the name of its calendar in exchange_calendars if it differs; sessions
    are known from ``first_day`` on. ``suffix`` and ``index`` are the ending of its tickers and its usual index, in
    Yahoo's spelling if Yahoo has the exchange, empty if unknown. ``on_yahoo`` says whether Yahoo has prices of its
    shares. ``vendors`` are its names at vendors of prices, ``known_as`` its common names.

    ``board`` is the default `Board` of a share, empty if no rules are known; ``boards_by_digits`` gives the board by
    the first digits of a ticker. A ticker of ``n_digits`` digits that begins with one of ``first_digits`` belongs to
    this exchange. ``price_unit`` is the amount of the currency in one unit of a price (0.01 if prices are in pence),
    ``hundredths`` are the names that sources use for a hundredth of the currency. ``sources_count_lots`` says whether
    some sources count volume in lots.
    """

    mic: str
    name: str
    country: str
    country_name: str
    time_zone: str
    currency: str
    calendar: str = ""
    first_day: dt.date = FIRST_DAY
    suffix: str = ""
    index: str = ""
    on_yahoo: bool = True
    board: str = ""
    boards_by_digits: Mapping[str, str] = field(default_factory=dict)
    first_digits: tuple[str, ...] = ()
    n_digits: int = 6
    price_unit: float = 1.0
    hundredths: tuple[str, ...] = ()
    sources_count_lots: bool = False
    vendors: Mapping[str, str] = field(default_factory=dict)
    known_as: tuple[str, ...] = ()
    fees: tuple[Fee, ...] = ()
    settlement: tuple[Settlement, ...] = ()
    extra_sessions: tuple[ExtraSession, ...] = ()

    def board_of(self, ticker: str) -> str:
        """Return the board that follows from a ticker's first digits, or an empty string."""
        found = [start for start in self.boards_by_digits if ticker.startswith(start)]
        return self.boards_by_digits[max(found, key=len)] if found else ""


#: Tables of facts in a file: the record, the key that its lines refer to, and the field that stores it.
_TABLES: dict[str, tuple[type, str, str]] = {
    "limits": (PriceLimit, "boards", "board"),
    "free_sessions": (FreeSessions, "boards", "board"),
    "selling": (Selling, "boards", "board"),
    "ticks": (Ticks, "boards", "board"),
    "lots": (Lot, "boards", "board"),
    "fees": (Fee, "exchanges", "market"),
    "settlement": (Settlement, "exchanges", "market"),
    "extra_sessions": (ExtraSession, "exchanges", "market"),
}
_COUNTRY = ("country", "name", "time_zone", "currency")
_KINDS = ("exchange", "source", "secondary", "assumption")


@dataclass(frozen=True, slots=True)
class _Known:
    exchanges: Mapping[str, Exchange]
    boards: Mapping[str, Board]


def exchanges() -> Mapping[str, Exchange]:
    """Return all exchanges by MIC.

    Raises
    ------
    ConfigError
        If a file of exchanges is faulty; the message names the file and all problems.
    """
    return _known(os.environ.get(FOLDER, "")).exchanges


def boards() -> Mapping[str, Board]:
    """Return all boards by name; raises as `exchanges` does."""
    return _known(os.environ.get(FOLDER, "")).boards


def with_suffix(ticker: str) -> str:
    """Return a ticker of digits with the ending of its exchange; an empty string for any other ticker.

    >>> with_suffix("300308"), with_suffix("600000"), with_suffix("920001"), with_suffix("LITE")
    ('300308.SZ', '600000.SS', '920001.BJ', '')
    """
    if not (ticker.isascii() and ticker.isdecimal()):
        return ""
    fitting = [
        (len(start), exchange.suffix)
        for exchange in exchanges().values()
        if exchange.n_digits == len(ticker)
        for start in exchange.first_digits
        if ticker.startswith(start)
    ]
    return ticker + max(fitting)[1] if fitting else ""


def by_common_name() -> dict[str, str]:
    """Return the MICs of exchanges by their common names."""
    return {name: mic for mic, exchange in exchanges().items() for name in exchange.known_as}


def currency_in_hundredths() -> dict[str, str]:
    """Return currencies by the names that sources use for a hundredth of them."""
    return {name: item.currency for item in exchanges().values() for name in item.hundredths}


def quotes_hundredths(mic: str) -> bool:
    """Return whether an exchange quotes prices in hundredths of its currency, as London does in pence."""
    return mic in exchanges() and exchanges()[mic].price_unit < 1.0


def dated_facts() -> Iterator[Dated | ExtraSession]:
    """Yield every dated fact of every board and exchange, in the order of the files."""
    for holder in (*boards().values(), *exchanges().values()):
        for name in _TABLES:
            yield from getattr(holder, name, ())


def further_files(folder: str | None = None) -> tuple[tuple[str, str], ...]:
    """Return the files of the user's folder that are read, as (name, SHA-256)."""
    there = os.environ.get(FOLDER, "") if folder is None else folder
    return tuple((path.name, hashlib.sha256(path.read_bytes()).hexdigest()) for path in _files(there, own=False))


def _files(folder: str, *, own: bool = True) -> list[Path]:
    found = sorted(Path(__file__).parent.glob("*.toml")) if own else []
    if folder:
        if not Path(folder).is_dir():
            raise ConfigError(Problem(f"{FOLDER} does not name a folder", folder))
        found += sorted(Path(folder).glob("*.toml"))
    return found


@functools.lru_cache(maxsize=8)
def _known(folder: str) -> _Known:
    by_mic: dict[str, Exchange] = {}
    by_name: dict[str, Board] = {}
    origin: dict[str, Path] = {}
    problems: list[Problem] = []
    for path in _files(folder):
        found = _read(path, problems)
        for name in (*found.exchanges, *found.boards):
            if name in origin:
                problems.append(Problem(f"{name} is described in {origin[name]} already", str(path)))
            origin.setdefault(name, path)
        by_mic |= found.exchanges
        by_name |= found.boards
    for mic, exchange in by_mic.items():
        for board in filter(None, (exchange.board, *exchange.boards_by_digits.values())):
            if board not in by_name:
                text = f"exchange {mic}: board {board!r}: {nearest(board, by_name)}"
                problems.append(Problem(text, str(origin[mic])))
    if problems:
        raise ConfigError(problems)
    return _Known(MappingProxyType(by_mic), MappingProxyType(by_name))


def _read(path: Path, problems: list[Problem]) -> _Known:
    """Read one file; its problems are added to ``problems``."""
    import tomllib

    before = len(problems)
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        problems.append(Problem(f"cannot be read as TOML: {error}", str(path)))
        return _Known({}, {})

    def wrong(text: str) -> None:
        problems.append(Problem(text, str(path)))

    for key in table:
        accepted = (*_COUNTRY, "sources", "boards", "exchanges", *_TABLES)
        if key not in accepted:
            wrong(f"key {key!r}; {nearest(key, accepted)}")
    for key in _COUNTRY:
        if not isinstance(table.get(key), str):
            wrong(f"{key} is missing, or no text")
    for name, source in table.get("sources", {}).items():
        if set(source) != {"kind", "text"} or source["kind"] not in _KINDS:
            wrong(f"source {name!r}: give text and kind, one of {', '.join(_KINDS)}")
    if len(problems) > before:
        return _Known({}, {})
    try:
        country = {"country_name" if key == "name" else key: table[key] for key in _COUNTRY}
        found = _described(Exchange, table, "exchanges", "mic", **country)
        # By default the calendar has the name of the exchange.
        own = {mic: replace(item, calendar=item.calendar or mic) for mic, item in found.items()}
        return _Known(own, _described(Board, table, "boards", "name"))
    except ValueError as error:
        wrong(str(error))
        return _Known({}, {})


def _described(record: type[T], table: Mapping[str, Any], named: str, key: str, **shared: str) -> dict[str, T]:
    """The boards or the exchanges of a file by their ``key``, each with its facts."""
    rows = {row.get(key, ""): row for row in table.get(named, ())}
    facts = {name: _facts(table, name, rows) for name, (_, holders, _) in _TABLES.items() if holders == named}
    return {
        name: _record(record, row, **shared, **{kind: tuple(found[name]) for kind, found in facts.items()})
        for name, row in rows.items()
    }


def _facts(table: Mapping[str, Any], name: str, known: Iterable[str]) -> dict[str, list[Any]]:
    """The records of one table of facts, by board or exchange."""
    record, named, holder = _TABLES[name]
    found: dict[str, list[Any]] = {key: [] for key in known}
    for row in table.get(name, ()):
        kept = {key: value for key, value in row.items() if key not in (named, "from", "source", "verified")}
        if "from" in row:
            kept["first"] = row["from"]
        for key in ("first", "until", "day"):
            if key in kept and type(kept[key]) is not dt.date:
                raise ValueError(f"{name}: {kept[key]!r} is not a date; write 2020-12-31 without quotes")
        about, certainty = _source(table, row, name)
        for key in row.get(named, ()):
            if key not in found:
                raise ValueError(f"{name}: {named} {key!r}; {nearest(key, found)}")
            given = {holder: key, "source": about, "certainty": certainty}
            found[key].append(_record(record, kept, **given))
        if not row.get(named):
            raise ValueError(f"{name}: a line without {named}")
    return found


def _source(table: Mapping[str, Any], row: Mapping[str, Any], name: str) -> tuple[str, Certainty]:
    """The text and the kind of a line's source."""
    key, sources = row.get("source", ""), table.get("sources", {})
    if key and key not in sources:
        raise ValueError(f"{name}: source {key!r}; {nearest(key, sources)}")
    text = sources[key]["text"] if key else ""
    if row.get("verified", True) is False:
        return text, "memory"
    if not key:
        raise ValueError(f"{name}: a line without source; name one, or write verified = false")
    kind: Certainty = sources[key]["kind"]
    return text, kind


def _record(record: type[T], row: Mapping[str, Any], **given: Any) -> T:
    """Make a record from a TOML table: unknown and missing keys are refused, lists become tuples."""
    accepted = {item.name: item for item in fields(record)}  # type: ignore[arg-type]
    for key in row:
        if key not in accepted or key in given:
            raise ValueError(f"{record.__name__}: key {key!r}; {nearest(key, set(accepted) - set(given))}")
    for item in accepted.values():
        needed = item.default is MISSING and item.default_factory is MISSING
        if needed and item.name not in row and item.name not in given:
            raise ValueError(f"{record.__name__}: {item.name} is missing")
    return record(**{key: _frozen(value) for key, value in row.items()}, **given)


def _frozen(value: Any) -> Any:
    if isinstance(value, list):
        return tuple(_frozen(item) for item in value)
    return MappingProxyType(value) if isinstance(value, dict) else value
