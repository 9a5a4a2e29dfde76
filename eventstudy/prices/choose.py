"""Which prices a study gets: what was asked for, and what happens when they cannot be had."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from eventstudy.calendars import FIRST_DAY, align_all, sessions
from eventstudy.config import StudyConfig
from eventstudy.errors import ConfigError, PriceError, nearest
from eventstudy.events import Event, Events, instant_utc

from .aliases import with_aliases
from .factors import FactorTable, read_factors
from .fetch import Watch, default_folder, fetch_snapshot, utc_now
from .fx import fx_tickers, with_fx
from .simulated import Listing, PlantedDrop, SimulatedProvider
from .snapshot import Snapshot, is_snapshot, read_snapshot
from .table import PriceRequest, PriceTable, get_provider, provider_names

Tell = Callable[[str], None]
LAST_DAY = dt.date(2100, 1, 1)
#: Calendar days for one session, generous by holidays.
DAYS_A_SESSION = 1.6
#: Drop planted at simulated events, and the share of it that is given back, by label.
PLANTED = {
    "misreading": (-0.10, 0.6),
    "genuine": (-0.10, 0.0),
    "contested": (-0.08, 0.0),
    "no_news": (-0.06, 0.3),
}


def price_request(events: Events, config: StudyConfig) -> PriceRequest:
    """Return the tickers and the days that the windows of all events and the placebo search can need.

    The exchange rates of the backtest are among the tickers.
    """
    # No calendar reaches further; an event outside is dropped, and must not widen what is asked for.
    days = [min(max(instant_utc(event.timestamp).date(), FIRST_DAY), LAST_DAY) for event in events]
    before = int(-config.windows.estimation[0] * DAYS_A_SESSION) + 10
    after = int(config.windows.event[1] * DAYS_A_SESSION) + 15
    names = [peer.ticker for peer in config.peers]
    names += [m.benchmark for m in config.markets if any(peer.market == m.mic for peer in config.peers)]
    if config.model.name == "two_index":
        names.append(config.model.world)
    names += fx_tickers(config).values()
    first = min(min(days), _shifted(max(days), -365 * config.reversal.history_years))
    return PriceRequest(tuple(dict.fromkeys(names)), _shifted(first, -before), _shifted(max(days), after))


def _shifted(day: dt.date, days: int) -> dt.date:
    """``day`` moved, at most to the ends of the calendar."""
    number = min(max(day.toordinal() + days, dt.date(1900, 1, 1).toordinal()), dt.date.max.toordinal())
    return dt.date.fromordinal(number)


def get_prices(
    events: Events, config: StudyConfig, asked: str | None = None, *, tell: Tell, watch: Watch | None = None
) -> PriceTable:
    """Deliver the prices of a study, with the factors of ``model.factors_file``.

    What a provider sends over a network goes into a snapshot first, and the study reads that.

    Parameters
    ----------
    asked : str or None
        A provider such as ``yahoo``, ``simulated``, a snapshot, a folder or file, or
        ``duckdb:FILE?QUERY``; None means the source of the settings.
    tell
        Called with a sentence when the prices are not the ones that were asked for.
    watch
        Called while tickers are fetched.

    Raises
    ------
    PriceError
        If they cannot be had and ``prices.offline`` is ``fail``, or a path was asked for.
    ConfigError
        If the factor file cannot be used.
    """
    factors = _factors(config)
    return with_fx(replace(_prices(events, config, asked, tell, watch), factors=factors), config)


def _factors(config: StudyConfig) -> FactorTable | None:
    """Read what `capm` and `factors` want; other models leave the file alone."""
    model = config.model
    if not model.factors_file or model.name not in ("capm", "factors"):
        return None
    names = [name for name in model.factors if name != "market"] if model.name == "factors" else []
    names += [model.risk_free] if model.risk_free and model.risk_free not in names else []
    return read_factors(Path(model.factors_file), names, percent=model.percent)


def _prices(
    events: Events, config: StudyConfig, asked: str | None, tell: Tell, watch: Watch | None
) -> PriceTable:
    source = asked or config.prices.source
    request = price_request(events, config)
    if source == "simulated":
        return simulated_prices(events, config, request)
    if source not in remote_names():
        return with_aliases(lambda asked: _from_path(source, asked), request, config)
    try:
        snapshot = fetch_prices(events, config, source, watch=watch)
    except PriceError as error:
        kept = any("the same command resumes" in problem.message for problem in error.problems)
        if config.prices.offline != "simulated" or asked or kept:
            raise
        reason = str(error.problems[0]).split(";")[0]
        tell(
            f"SIMULATED PRICES: {reason}. The settings say prices.offline = 'simulated', so the study runs "
            "on a simulated panel."
        )
        return simulated_prices(events, config, request)
    return read_snapshot(snapshot.folder, request)


def remote_names() -> tuple[str, ...]:
    """Names of the providers that ask over a network."""
    return tuple(name for name in provider_names() if name not in ("files", "simulated"))


def fetch_prices(
    events: Events,
    config: StudyConfig,
    source: str | None = None,
    *,
    folder: Path | None = None,
    watch: Watch | None = None,
) -> Snapshot:
    """Bring what a study needs into a snapshot: ``folder``, or this day's folder of the sector.

    Raises
    ------
    ConfigError
        If ``source`` is no provider that asks over a network.
    PriceError
        If a ticker was not answered; what was fetched is kept.
    """
    name = source or config.prices.source
    if name not in remote_names():
        raise ConfigError(f"--prices {name!r} is nothing to fetch from; {nearest(name, remote_names())}")
    # The study's name comes from a file: nothing of it may lead out of the data folder.
    slug = re.sub(r"[^a-z0-9]+", "-", config.study.name.lower())[:40].strip("-")
    return fetch_snapshot(
        price_request(events, config),
        name,
        folder or default_folder(config.study.sector or slug or "study", utc_now()),
        factory=get_provider(name),
        watch=watch,
    )


def _from_path(source: str, request: PriceRequest) -> PriceTable:
    scheme, _, rest = source.partition(":")
    if scheme == "duckdb" and rest:
        from .sql import query_prices

        return query_prices(rest, request)
    path = Path(source)
    if not path.exists():
        raise ConfigError(
            f"--prices {source!r} is neither yahoo nor simulated nor a folder or file that exists, "
            f"nor another provider; providers are {', '.join(remote_names())}"
        )
    if is_snapshot(path):
        return read_snapshot(path, request)
    kind = "folder" if path.is_dir() else "file"
    origin = {"kind": kind, "name": path.resolve().name}
    return replace(get_provider("files")(path).fetch(request), origin=origin)


def simulated_prices(events: Events, config: StudyConfig, request: PriceRequest) -> PriceTable:
    """Return a seeded panel on the study's calendars and membership, with drops at its events.

    There are no simulated exchange rates: the backtest counts in local currencies.
    """
    listings = [
        Listing(peer.ticker, peer.market, config.market(peer.market).benchmark, peer.from_, peer.until)
        for peer in config.peers
    ]
    drops = [drop for event in events if event.label in PLANTED and (drop := _planted(event, events, config))]
    rates = fx_tickers(config).values()
    request = replace(request, tickers=tuple(name for name in request.tickers if name not in rates))
    return SimulatedProvider(listings, drops, seed=config.study.seed, sessions=sessions).fetch(request)


def _planted(event: Event, events: Events, config: StudyConfig) -> PlantedDrop | None:
    alignments = align_all(Events((event,), events.path, events.sha256), config)
    days = {
        peer.ticker: alignments[event.event_id, peer.market].session
        for peer in config.peers
        if (not event.tickers or peer.ticker in event.tickers)
        and (event.event_id, peer.market) in alignments
        and peer.group == config.peers[0].group
    }
    size, share = PLANTED[event.label]
    return PlantedDrop(event.shock_id, tuple(days), days, size, share, event.label) if days else None
