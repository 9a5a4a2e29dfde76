"""Which prices a study gets: what was asked for, and what happens when they cannot be had."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from pathlib import Path

from eventstudy.calendars import align_all, sessions
from eventstudy.config import StudyConfig
from eventstudy.errors import ConfigError, PriceError
from eventstudy.events import Event, Events, instant_utc

from .simulated import Listing, PlantedDrop, SimulatedProvider
from .table import PriceRequest, PriceTable, get_provider

Tell = Callable[[str], None]
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
    """Return the tickers and the days that the windows of all events can need."""
    days = [instant_utc(event.timestamp).date() for event in events]
    before = int(-config.windows.estimation[0] * DAYS_A_SESSION) + 10
    after = int(config.windows.event[1] * DAYS_A_SESSION) + 15
    names = [peer.ticker for peer in config.peers]
    names += [m.benchmark for m in config.markets if any(peer.market == m.mic for peer in config.peers)]
    return PriceRequest(
        tuple(dict.fromkeys(names)),
        min(days) - dt.timedelta(days=before),
        max(days) + dt.timedelta(days=after),
    )


def get_prices(events: Events, config: StudyConfig, asked: str | None = None, *, tell: Tell) -> PriceTable:
    """Deliver the prices of a study.

    Parameters
    ----------
    asked : str or None
        ``yahoo``, ``simulated``, or a folder or file; None means the source of the settings.
    tell
        Called with a sentence when the prices are not the ones that were asked for.

    Raises
    ------
    PriceError
        If they cannot be had and ``prices.offline`` is ``fail``, or a path was asked for.
    """
    source = asked or config.prices.source
    request = price_request(events, config)
    if source == "simulated":
        return simulated_prices(events, config, request)
    if source != "yahoo":
        return _from_path(source, request)
    try:
        return get_provider("yahoo")().fetch(request)
    except PriceError as error:
        if config.prices.offline != "simulated" or asked:
            raise
        reason = str(error.problems[0]).split(";")[0]
        tell(
            f"SIMULATED PRICES: {reason}. The settings say prices.offline = 'simulated', so the study runs "
            "on a simulated panel."
        )
        return simulated_prices(events, config, request)


def _from_path(source: str, request: PriceRequest) -> PriceTable:
    path = Path(source)
    if not path.exists():
        raise ConfigError(
            f"--prices {source!r} is neither yahoo nor simulated nor a folder or file that exists"
        )
    return get_provider("files")(path).fetch(request)


def simulated_prices(events: Events, config: StudyConfig, request: PriceRequest) -> PriceTable:
    """Return a seeded panel on the study's calendars and membership, with drops at its events."""
    listings = [
        Listing(peer.ticker, peer.market, config.market(peer.market).benchmark, peer.from_, peer.until)
        for peer in config.peers
    ]
    drops = [drop for event in events if event.label in PLANTED and (drop := _planted(event, events, config))]
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
