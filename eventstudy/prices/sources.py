"""Resolve `--prices` to a PriceTable of daily prices, with former tickers and the offline fallback."""

from __future__ import annotations

import datetime as dt
import inspect
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from eventstudy.config import StudyConfig, sector_prices
from eventstudy.config.plain import index_file
from eventstudy.errors import ConfigError, PriceError, Problem, Reason, nearest
from eventstudy.events import Events, instant_utc
from eventstudy.exchanges.calendars import Sessions, exchange_sessions, forget_earlier, remember_earlier
from eventstudy.exchanges.exchange import FIRST_DAY
from eventstudy.messages import text
from eventstudy.prices.factors import FactorTable, read_factors
from eventstudy.prices.fetch import PartlyFetchedError, Watch, default_folder, fetch_snapshot, utc_now
from eventstudy.prices.files import SUFFIXES, prices_of_arrow, with_index_file
from eventstudy.prices.frames import arrow_of_frame
from eventstudy.prices.fx import fx_tickers, with_fx
from eventstudy.prices.simulated import simulated_prices
from eventstudy.prices.snapshot import Snapshot, is_snapshot, read_snapshot
from eventstudy.prices.table import PROVIDERS, PriceOutcome, PriceProvider, PriceRequest, PriceTable, get_provider

Tell = Callable[[str], None]
EARLIEST_DAY, LAST_DAY = dt.date(1900, 1, 1), dt.date(2100, 1, 1)
#: Calendar days for each session, with a margin for holidays.
DAYS_A_SESSION = 1.6
End = TypeVar("End", int, dt.date)


Fetch = Callable[[PriceRequest], PriceTable]
#: Share of sessions without any price above which prices are not daily.
MOST_EMPTY = 0.05
#: Number of sessions without any price that separates two periods, as in a file with only event windows.
APART = 42
#: Smallest number of sessions from the first to the last price for detecting a frequency.
LEAST_SESSIONS = 40
#: Usual numbers of calendar days from one price to the next, and their frequencies.
NAMES = ((80, "quarterly"), (25, "monthly"), (5, "weekly"), (0, "less than daily"))


def price_request(events: Events, config: StudyConfig) -> PriceRequest:
    """Return the tickers and days for the windows of all events and the search for control drops.

    The tickers include the exchange rates of the backtest.
    """
    # No calendar extends further; events outside are dropped and must not extend the request.
    days = [min(max(instant_utc(event.timestamp).date(), EARLIEST_DAY), LAST_DAY) for event in events]
    starts, ends = [event.estimation_start for event in events], [event.event_end for event in events]
    before = int(-min([config.windows.estimation[0], *_of_kind(starts, int)]) * DAYS_A_SESSION) + 10
    after = int(max([config.windows.event[1], *_of_kind(ends, int)]) * DAYS_A_SESSION) + 15
    names = [peer.ticker for peer in config.peers]
    names += [m.benchmark for m in config.markets if any(peer.market == m.mic for peer in config.peers)]
    names += [*(peer.benchmark for peer in config.peers), *(event.benchmark for event in events)]
    if config.model.name == "two_index":
        names.append(config.model.world)
    names += fx_tickers(config).values()
    first = min(min(days), _shifted(max(days), -365 * config.reversal.history_years))
    # The first day of a window needs the price before it.
    start = min(_shifted(first, -before), *(_shifted(day, -10) for day in _of_kind(starts, dt.date)), dt.date.max)
    end = max(_shifted(max(days), after), *_of_kind(ends, dt.date), dt.date.min)
    return PriceRequest(tuple(filter(None, dict.fromkeys(names))), start, end)


def _of_kind(ends: Iterable[Any], kind: type[End]) -> list[End]:
    """The ends of windows that are event days, or those that are dates."""
    return [end for end in ends if isinstance(end, kind)]


def _shifted(day: dt.date, days: int) -> dt.date:
    """``day`` shifted, at most to the ends of the calendar."""
    number = min(max(day.toordinal() + days, dt.date(1900, 1, 1).toordinal()), dt.date.max.toordinal())
    return dt.date.fromordinal(number)


def get_prices(
    events: Events, config: StudyConfig, asked: str | None = None, *, tell: Tell, watch: Watch | None = None
) -> PriceTable:
    """Return the prices of a study, with the factors of ``model.factors_file``.

    Downloaded prices are first stored in a snapshot, and the study reads the snapshot. A provider from outside the
    package that does not take ``progress`` is read directly.

    Parameters
    ----------
    asked : str or None
        A provider such as ``yahoo`` or one of the user's own, ``simulated``, a snapshot, a folder or file,
        ``example:SECTOR`` for the prices that ship with a sector, or ``duckdb:FILE?QUERY``; None means the source of
        the settings.
    tell
        Called with a sentence if other prices than the requested ones are used.
    watch
        Called while tickers are fetched.

    Raises
    ------
    PriceError
        If they are not available and ``prices.offline`` is ``fail``, or if a path was given.
    ConfigError
        If the factor file cannot be used.
    """
    factors, request, source = study_factors(config), price_request(events, config), asked or own_source(events, config)
    if source == "simulated":
        table = simulated_prices(events, config, request)
    elif _needs_no_snapshot(source):
        table = _local(PROVIDERS[source]().fetch, request, config)
    elif source not in remote_names():
        table = _local(lambda request: _from_path(source, request), request, config)
    else:
        try:
            table = read_snapshot(fetch_prices(events, config, source, watch=watch).folder, request)
        except PriceError as error:
            if config.prices.offline != "simulated" or asked or isinstance(error, PartlyFetchedError):
                raise
            tell(text(Reason("price.simulated", reason=str(error.problems[0]))))
            table = simulated_prices(events, config, request)
    return replace(_finished(table, events, config), factors=factors)


def _delivered(fetch: Fetch, events: Events, config: StudyConfig) -> PriceTable:
    """The requested prices from local data; former tickers replace missing ones."""
    table = _local(fetch, price_request(events, config), config)
    return replace(_finished(table, events, config), factors=study_factors(config))


def _local(fetch: Fetch, request: PriceRequest, config: StudyConfig) -> PriceTable:
    """Local prices; an index given as a file is read from it."""
    files = [name for name in request.tickers if index_file(name)]
    table = with_aliases(fetch, replace(request, tickers=tuple(t for t in request.tickers if t not in files)), config)
    for name in files:
        table = with_index_file(table, Path(name), request)
    return table


def _finished(table: PriceTable, events: Events, config: StudyConfig) -> PriceTable:
    """The prices with exchange rates separated; refused if they are not daily.

    For events before the calendars begin, the days of each index are the sessions of its exchange.
    """
    old = any(instant_utc(event.timestamp).date() < FIRST_DAY for event in events)
    for market in config.markets:
        if old and (series := table.series.get(market.benchmark)):
            remember_earlier(market.mic, series.dates[np.isfinite(series.adj_close)])
        elif not old:
            forget_earlier(market.mic)
    return with_fx(refuse_sparse(table, config), config)


def is_local(events: Events, config: StudyConfig, asked: str | None) -> bool:
    """Whether the requested prices are on this machine, so that no download is needed."""
    source = asked or own_source(events, config)
    return source not in remote_names() or _needs_no_snapshot(source)


def _needs_no_snapshot(source: str) -> bool:
    """Whether it is a provider from outside the package that does not take ``progress``: it downloads nothing."""
    if source in PROVIDERS.declared or not PROVIDERS.knows(source):
        return False
    parameters = inspect.signature(PROVIDERS[source]).parameters
    return "progress" not in parameters and all(each.kind is not each.VAR_KEYWORD for each in parameters.values())


def prices_and_calendars(
    events: Events, config: StudyConfig, asked: str | None
) -> tuple[PriceTable, list[str], dict[str, Sessions]]:
    """Return the prices and remarks of `get_prices`, and the sessions of each exchange of the study."""
    told: list[str] = []
    table = get_prices(events, config, asked, tell=told.append)
    return table, told, {market.mic: exchange_sessions(market.mic) for market in config.markets}


def study_factors(config: StudyConfig) -> FactorTable | None:
    """Read the factor file for `capm` and `factors`; other models do not use it."""
    model = config.model
    if not model.factors_file or model.name not in ("capm", "factors"):
        return None
    names = [name for name in model.factors if name != "market"] if model.name == "factors" else []
    names += [model.risk_free] if model.risk_free and model.risk_free not in names else []
    return read_factors(Path(model.factors_file), names, percent=model.percent)


def own_source(events: Events, config: StudyConfig) -> str:
    """Return ``prices.source``; a folder or file in the folder of the events is found from any working directory.

    It has priority over one of the same name in the working directory, which may belong to another study.
    """
    source = config.prices.source
    beside = Path(events.path).parent / source
    return str(beside) if source not in PROVIDERS.names() and beside.exists() else source


def prices_of(events: Events, config: StudyConfig, source: PriceProvider) -> PriceTable:
    """Return the prices of a study from a local provider; they are not stored."""
    return _delivered(source.fetch, events, config)


def frame_prices(events: Events, config: StudyConfig, frame: Any, *, returns: bool = False) -> PriceTable:
    """Return the prices of a study from a frame that `arrow_of_frame` accepts, with the same checks as for a file."""
    table = arrow_of_frame(frame, returns=returns)
    return _delivered(lambda request: prices_of_arrow(table, request, name="DataFrame"), events, config)


def local_prices(events: Events, config: StudyConfig, source: str) -> PriceTable:
    """Return the prices of a folder or file, which may be empty."""
    path, folder = Path(source), Path(source).resolve().name
    if not path.is_dir() or any(file.name.endswith(SUFFIXES) for file in path.iterdir()):
        return _delivered(lambda request: _from_path(source, request), events, config)
    asked = price_request(events, config).tickers
    whys = {ticker: Reason("price.no_file", ticker=ticker, folder=folder) for ticker in asked}
    outcomes = {ticker: PriceOutcome(ticker=ticker, status="no_prices", message=why) for ticker, why in whys.items()}
    return PriceTable(source="files", series={}, outcomes=outcomes, origin={"kind": "folder", "name": folder})


def prices_of_tickers(tickers: Sequence[str], source: Any, *, returns: bool = False) -> PriceTable:
    """Return all prices of some tickers from a folder, a file or a frame, for all days.

    Raises
    ------
    PriceError, ConfigError
        As `get_prices` and `frame_prices`.
    """
    request = PriceRequest(tuple(dict.fromkeys(tickers)), EARLIEST_DAY, LAST_DAY)
    if isinstance(source, str | Path):
        return _from_path(str(source), request)
    return prices_of_arrow(arrow_of_frame(source, returns=returns), request, name="DataFrame")


def remote_names() -> tuple[str, ...]:
    """Names of the providers that download prices."""
    return tuple(name for name in PROVIDERS.names() if name not in ("files", "simulated"))


def fetch_prices(
    events: Events,
    config: StudyConfig,
    source: str | None = None,
    *,
    folder: Path | None = None,
    again: Sequence[str] = (),
    watch: Watch | None = None,
) -> Snapshot:
    """Download the prices of a study into a snapshot: ``folder``, or today's folder of the sector.

    ``again`` names tickers to request again although the snapshot has an answer.

    Raises
    ------
    ConfigError
        If ``source`` is no provider that downloads prices.
    PriceError
        If there was no answer for a ticker, or if a benchmark or all tickers have no prices; fetched prices are kept.
    """
    name = source or config.prices.source
    if name not in remote_names() or _needs_no_snapshot(name):
        raise ConfigError(f"--prices {name!r} is not a source to fetch from; {nearest(name, remote_names())}")
    # The study's name comes from a file, so it must not contain a path out of the data folder.
    slug = re.sub(r"[^a-z0-9]+", "-", config.study.name.lower())[:40].strip("-")
    request = price_request(events, config)
    foreign = sorted(set(again) - set(request.tickers))
    if foreign:
        raise ConfigError([Problem(f"--again {name}: {nearest(name, request.tickers)}") for name in foreign])
    snapshot = fetch_snapshot(
        request,
        name,
        folder or default_folder(config.study.sector or slug or "study", utc_now()),
        factory=get_provider(name),
        again=again,
        watch=watch,
    )
    _refuse_without_benchmark(snapshot, request, config)
    return snapshot


def _refuse_without_benchmark(snapshot: Snapshot, request: PriceRequest, config: StudyConfig) -> None:
    """Raise if the provider has no prices of a benchmark, or no prices at all."""
    absent = [ticker for ticker in request.tickers if not snapshot.tickers[ticker].file]
    needed = {market.benchmark for market in config.markets} & set(absent)
    lacking = absent if len(absent) == len(request.tickers) else sorted(needed)
    if lacking:
        problems = [Problem(f"{ticker}: {text(snapshot.tickers[ticker].outcome.message)}") for ticker in lacking]
        again = " ".join(f"--again {ticker}" for ticker in lacking)
        way_out = f"the answers are kept in {snapshot.folder}; 'eventstudy fetch {again}' asks anew, "
        raise PartlyFetchedError([*problems, Problem(f"{way_out}or give a folder of price files with --prices DIR")])


def _from_path(source: str, request: PriceRequest) -> PriceTable:
    scheme, _, rest = source.partition(":")
    if scheme == "duckdb" and rest:
        from eventstudy.prices.sql import query_prices

        return query_prices(rest, request)
    if scheme == "example" and rest:
        path = sector_prices(rest)
        if path is None:
            raise ConfigError(f"--prices 'example:{rest}': this sector has no prices in the package; give others")
        said = text(Reason("source.shipped", sector=rest))
        return replace(
            get_provider("files")(path).fetch(request), source=said, origin={"kind": "example", "name": rest}
        )
    asked = Path(source)
    if not asked.exists():
        raise ConfigError(
            f"--prices {source!r} is neither yahoo nor simulated nor a folder or file that exists, "
            f"nor another provider; providers are {', '.join(remote_names())}"
        )
    if is_snapshot(asked):
        return read_snapshot(asked, request)
    kind = "folder" if asked.is_dir() else "file"
    origin = {"kind": kind, "name": asked.resolve().name}
    return replace(get_provider("files")(asked).fetch(request), origin=origin)


def with_aliases(fetch: Fetch, request: PriceRequest, config: StudyConfig) -> PriceTable:
    """Fetch a request; a peer without prices gets those of its first alias with prices.

    The message of the outcome then names the alias, for the remarks of the run. Two series are never joined, and a
    peer with its own prices keeps them.
    """
    table = fetch(request)
    absent = {
        alias: peer.ticker
        for peer in config.peers
        if peer.ticker in request.tickers and peer.ticker not in table.series
        for alias in reversed(peer.aliases)
    }
    if not absent:
        return table
    former = fetch(replace(request, tickers=tuple(absent)))
    series, outcomes = dict(table.series), dict(table.outcomes)
    for alias, ticker in absent.items():
        if alias in former.series:
            message = Reason("price.alias", alias=alias)
            series[ticker] = replace(former.series[alias], ticker=ticker)
            outcomes[ticker] = replace(former.outcomes[alias], ticker=ticker, message=message)
    return replace(table, series=series, outcomes=outcomes)


def refuse_sparse(prices: PriceTable, config: StudyConfig) -> PriceTable:
    """Return the prices; raise `PriceError` if an exchange has no prices on too many of its sessions."""
    problems = []
    for market in config.markets:
        names = {market.benchmark, *(peer.ticker for peer in config.peers if peer.market == market.mic)}
        series = [prices.series[name] for name in sorted(names) if name in prices.series]
        priced = [item.dates[np.isfinite(item.adj_close)].astype("datetime64[D]") for item in series]
        days = np.unique(np.concatenate([np.array([], dtype="datetime64[D]"), *priced]))
        at = np.unique(np.searchsorted(exchange_sessions(market.mic).days, days))
        if len(at) < 3 or at[-1] - at[0] < LEAST_SESSIONS:
            continue
        steps = np.diff(at)
        within = steps[steps <= APART]
        empty = float((within - 1).sum() / max(within.sum(), 1))
        if np.median(steps) < 2 and empty <= MOST_EMPTY:
            continue
        usual = float(np.median(np.diff(days)[np.diff(days) > np.timedelta64(3, "D")].astype(np.int64)))
        frequency, *_ = (name for least, name in NAMES if usual >= least)
        share = 1 - len(at) / (at[-1] - at[0] + 1)
        text = (
            f"on {share:.0%} of the sessions of {market.mic} from {days[0]} to {days[-1]} no ticker has a price: the "
            f"prices seem to be {frequency}; an event study needs daily ones"
        )
        problems.append(Problem(text, prices.origin.get("name", "")))
    if problems:
        raise PriceError(problems)
    return prices
