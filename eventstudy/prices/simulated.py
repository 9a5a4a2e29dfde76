"""A seeded price panel with drops of known size, on real calendars and membership dates.

It makes a study possible without internet. `PriceTable.truth` lists every artificial drop and every beta, so the
results can be compared with the truth.
"""

from __future__ import annotations

import datetime as dt
import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eventstudy.config import StudyConfig
from eventstudy.errors import ConfigError, PriceError, Problem, Reason
from eventstudy.events import Event, Events, instant_utc
from eventstudy.exchanges.calendars import align_all, exchange_sessions, sessions
from eventstudy.prices.fx import fx_tickers
from eventstudy.prices.table import PriceOutcome, PriceRequest, PriceSeries, PriceTable, check_tickers, provider
from eventstudy.shocks import together, with_shocks

#: Artificial drop at events, and the share of it that is recovered, by label.
PLANTED = {"misreading": (-0.10, 0.6), "genuine": (-0.10, 0.0), "contested": (-0.08, 0.0), "no_news": (-0.06, 0.3)}
#: Further falls, for control drops: their range and recovered share, the calendar days between two of them,
#: and their distance from every event.
QUIET = (-0.16, -0.08)
QUIET_SHARE = 0.0
QUIET_EVERY, QUIET_FROM_EVENTS = 36, 32

#: ``sessions(mic, start, end)`` gives the trading days of an exchange, both ends included.
Sessions = Callable[[str, dt.date, dt.date], NDArray[np.datetime64]]

#: First day of every random stream, so that a day's return does not depend on the requested days.
EPOCH = dt.date(2000, 1, 1)

DRIFT = 0.0003
MARKET_SD = 0.011
WORLD_SHARE = 0.5
RESIDUAL_SD = 0.022
RESIDUAL_CORRELATION = 0.4
BETA_RANGE = (0.8, 1.6)
REVERSAL_TAUS = range(2, 21)

_ALPHA, _BETA = 0.09, 0.87
_T_DF = 5
#: Limits of innovations (in standard deviations) and of the variance (in units of its mean); without them one
#: panel in five would have a day that looks like an unadjusted split.
_T_CUT, _VARIANCE_CUT = 5.0, 6.0


@dataclass(frozen=True, slots=True)
class Listing:
    """A peer, its exchange and benchmark, and the days between which it is listed (None: open)."""

    ticker: str
    mic: str
    benchmark: str
    first: dt.date | None = None
    last: dt.date | None = None


@dataclass(frozen=True, slots=True)
class PlantedDrop:
    """An artificial abnormal return.

    Parameters
    ----------
    sessions
        Day 0 of each ticker that drops, a session of its exchange.
    drop
        Abnormal simple return on day 0, e.g. ``-0.10``.
    reversal
        Share of the drop that is recovered in equal parts over the sessions +2 to +20.
    """

    shock_id: str
    sessions: Mapping[str, dt.date]
    drop: float
    reversal: float = 0.0
    label: str = ""


@provider("simulated")
class SimulatedProvider:
    """Returns simulated bars for the listings and their benchmarks.

    Parameters
    ----------
    listings, drops
        The panel and its artificial drops.
    seed
        Not negative. A ticker's arrays depend only on the seed, its listing and its drops.
    sessions
        The exchanges' calendars.

    Notes
    -----
    A benchmark earns ``DRIFT + MARKET_SD * (sqrt(w) world + sqrt(1 - w) local)`` with w the world's
    share; a peer earns ``beta * benchmark + s * (sqrt(rho) sector + sqrt(1 - rho) own)`` with rho the
    correlation of residuals and s between 0.8 and 1.25 times `RESIDUAL_SD`. World, local, sector and
    own are unit-variance GARCH(1,1) processes (Bollerslev 1986) with Student t(5) innovations, one
    value for each calendar day; an exchange uses the values of its sessions. Extreme innovations and variances are cut.
    """

    def __init__(
        self, listings: Sequence[Listing], drops: Sequence[PlantedDrop] = (), *, seed: int, sessions: Sessions
    ) -> None:
        _check_plan(listings, drops, seed)
        self.listings = {listing.ticker: listing for listing in listings}
        self.drops = tuple(drops)
        self.seed = seed
        self.sessions = sessions
        # Each has the sessions of the first exchange by name of those that use it.
        backwards = sorted(listings, key=lambda listing: listing.mic, reverse=True)
        self.benchmarks = {listing.benchmark: listing.mic for listing in backwards}

    def fetch(self, request: PriceRequest) -> PriceTable:
        """Return simulated bars of the requested days; ``truth`` is JSON-able."""
        check_tickers(request.tickers)
        if request.start < EPOCH:
            raise PriceError(f"simulated prices begin on {EPOCH}; {request.start} was asked for")
        known = [t for t in sorted(set(request.tickers)) if t in self.listings or t in self.benchmarks]
        panel = _Panel(self, known, request)
        series = {ticker: panel.series(ticker) for ticker in request.tickers if ticker in known}
        series = {ticker: bars for ticker, bars in series.items() if len(bars.dates)}
        outcomes = {}
        for ticker in request.tickers:
            reason = Reason("price.not_listed" if ticker in known else "price.not_simulated")
            absent = PriceOutcome(ticker=ticker, status="no_prices", message=reason)
            outcomes[ticker] = PriceOutcome.of(series[ticker]) if ticker in series else absent
        truth = {
            "seed": self.seed,
            "residual_correlation": RESIDUAL_CORRELATION,
            "beta": {ticker: panel.beta(ticker) for ticker in series if ticker in self.listings},
            "drops": [_drop_truth(drop, series) for drop in self.drops],
        }
        return PriceTable(source="simulated", series=series, outcomes=outcomes, simulated=True, truth=truth)


class _Panel:
    """All factors of one request on the grid of calendar days from `EPOCH` to the request's end."""

    def __init__(self, plan: SimulatedProvider, tickers: Sequence[str], request: PriceRequest) -> None:
        self.plan = plan
        self.request = request
        self.n_days = (request.end - EPOCH).days + 1
        self.calendars: dict[tuple[str, dt.date, dt.date], NDArray[np.datetime64]] = {}
        peers = [ticker for ticker in tickers if ticker in plan.listings]
        markets = {plan.listings[ticker].benchmark for ticker in peers}
        markets |= plan.benchmarks.keys() & set(tickers)
        names = ["world", "sector", *(f"local {name}" for name in sorted(markets))]
        self.factors = _garch(plan.seed, [*names, *(f"own {ticker}" for ticker in peers)], self.n_days)

    def beta(self, ticker: str) -> float:
        """Slope of the peer on its benchmark."""
        return float(_stream(self.plan.seed, f"beta {ticker}").uniform(*BETA_RANGE))

    def market(self, benchmark: str) -> NDArray[np.float64]:
        """Return of a benchmark on each calendar day, shape ``(n_days,)``."""
        world, local = self.factors["world"], self.factors[f"local {benchmark}"]
        mixed: NDArray[np.float64] = np.sqrt(WORLD_SHARE) * world + np.sqrt(1 - WORLD_SHARE) * local
        return DRIFT + MARKET_SD * mixed

    def peer(self, ticker: str) -> NDArray[np.float64]:
        """Return of a peer on each calendar day, without artificial drops, shape ``(n_days,)``."""
        scale = RESIDUAL_SD * _stream(self.plan.seed, f"scale {ticker}").uniform(0.8, 1.25)
        own, sector = self.factors[f"own {ticker}"], self.factors["sector"]
        shared, rest = np.sqrt(RESIDUAL_CORRELATION), np.sqrt(1 - RESIDUAL_CORRELATION)
        residual: NDArray[np.float64] = shared * sector + rest * own
        return self.beta(ticker) * self.market(self.plan.listings[ticker].benchmark) + scale * residual

    def series(self, ticker: str) -> PriceSeries:
        """Bars of a peer or a benchmark on its own sessions."""
        if ticker in self.plan.listings:
            dates, returns = self._planted(self.plan.listings[ticker])
        else:
            dates = self._sessions(self.plan.benchmarks[ticker], self.request.start, self.request.end)
            returns = self.market(ticker)[_days(dates)]
        return _bars(self.plan.seed, ticker, dates, returns, self.n_days)

    def _planted(self, listing: Listing) -> tuple[NDArray[np.datetime64], NDArray[np.float64]]:
        """Requested sessions, and returns with the artificial ones added."""
        drops = [drop for drop in self.plan.drops if listing.ticker in drop.sessions]
        # A drop before the first requested day may recover within the requested days.
        start = min([self.request.start, *(drop.sessions[listing.ticker] for drop in drops)])
        start = max(start, listing.first or start, EPOCH)
        dates = self._sessions(listing.mic, start, min(self.request.end, listing.last or self.request.end))
        returns = self.peer(listing.ticker)[_days(dates)]
        for drop in drops:
            _plant(returns, dates, drop, listing)
        inside = dates >= np.datetime64(self.request.start)
        return dates[inside], returns[inside]

    def _sessions(self, mic: str, start: dt.date, end: dt.date) -> NDArray[np.datetime64]:
        if start > end:
            return np.array([], dtype="datetime64[D]")
        key = (mic, start, end)
        if key not in self.calendars:
            self.calendars[key] = np.asarray(self.plan.sessions(*key), dtype="datetime64[D]")
        return self.calendars[key]


def _plant(returns: NDArray[np.float64], dates: NDArray[np.datetime64], drop: PlantedDrop, listing: Listing) -> None:
    """Add a drop and its reversal to ``returns`` in place, up to the last session."""
    day = np.datetime64(drop.sessions[listing.ticker], "D")
    if not len(dates) or not dates[0] <= day <= dates[-1]:
        return
    zero = int(np.searchsorted(dates, day))
    if dates[zero] != day:
        raise ConfigError(f"drop {drop.shock_id!r} of {listing.ticker}: {day} is not a session of {listing.mic}")
    returns[zero] += drop.drop
    back = slice(zero + REVERSAL_TAUS.start, zero + REVERSAL_TAUS.stop)
    returns[back] -= drop.drop * drop.reversal / len(REVERSAL_TAUS)


def _stream(seed: int, name: str) -> np.random.Generator:
    """Random stream for one name; it does not depend on other names or their order."""
    words = np.frombuffer(hashlib.sha256(name.encode("utf-8")).digest(), dtype="<u4")
    return np.random.default_rng(np.random.SeedSequence([seed, *words.tolist()]))


def _garch(seed: int, names: Sequence[str], n_days: int) -> dict[str, NDArray[np.float64]]:
    """Unit-variance GARCH(1,1) paths with t innovations, one stream for each name."""
    to_unit = np.sqrt((_T_DF - 2) / _T_DF)
    drawn = [_stream(seed, name).standard_t(_T_DF, n_days) * to_unit for name in names]
    path = np.clip(np.stack(drawn, axis=1), -_T_CUT, _T_CUT)
    variance = np.ones(len(names))
    for shock in path:
        shock *= np.sqrt(variance)
        variance = (1 - _ALPHA - _BETA) + _ALPHA * shock * shock + _BETA * variance
        np.minimum(variance, _VARIANCE_CUT, out=variance)
    return dict(zip(names, np.ascontiguousarray(path.T), strict=True))


def _days(dates: NDArray[np.datetime64]) -> NDArray[np.int64]:
    """Position of each date on the grid that starts at `EPOCH`."""
    return (dates - np.datetime64(EPOCH, "D")).astype(np.int64)


def _bars(
    seed: int, ticker: str, dates: NDArray[np.datetime64], returns: NDArray[np.float64], n_days: int
) -> PriceSeries:
    """Bars whose closes have ``returns`` from the second day on; low <= open, close <= high."""
    rng = _stream(seed, f"bars {ticker}")
    base, typical_volume = np.exp(rng.uniform(np.log(10), np.log(200))), np.exp(rng.uniform(13, 17))
    gap, up, down, busy = rng.standard_normal((n_days, 4))[_days(dates)].T
    steps = np.maximum(returns, -0.95)
    steps[:1] = 0.0
    close = base * np.cumprod(1 + steps)
    before = np.concatenate([close[:1], close[:-1]])
    open_ = before * (close / before) ** 0.5 * np.exp(0.004 * gap)
    return PriceSeries(
        ticker=ticker,
        dates=dates,
        open=open_,
        high=np.maximum(open_, close) * np.exp(0.006 * np.abs(up)),
        low=np.minimum(open_, close) * np.exp(-0.006 * np.abs(down)),
        close=close,
        adj_close=close.copy(),
        volume=np.rint(typical_volume * np.exp(0.3 * busy) * (1 + 10 * np.abs(steps))),
        source=f"simulated, seed {seed}",
    )


def _drop_truth(drop: PlantedDrop, series: Mapping[str, PriceSeries]) -> dict[str, Any]:
    """The artificial drops as JSON types, for the tickers whose bars include the day."""
    planted = {
        ticker: day.isoformat()
        for ticker, day in drop.sessions.items()
        if ticker in series and np.datetime64(day, "D") in series[ticker].dates
    }
    return {
        "shock_id": drop.shock_id,
        "label": drop.label,
        "drop": drop.drop,
        "reversal": drop.reversal,
        "reversal_taus": [REVERSAL_TAUS.start, REVERSAL_TAUS.stop - 1],
        "sessions": planted,
    }


def _check_plan(listings: Sequence[Listing], drops: Sequence[PlantedDrop], seed: int) -> None:
    """Raise one `ConfigError` with all problems of the plan."""
    wrong = [] if seed >= 0 else [f"simulation seed {seed} is negative; give 0 or more"]
    tickers = [listing.ticker for listing in listings]
    wrong += [f"{ticker} is listed twice" for ticker in sorted({t for t in tickers if tickers.count(t) > 1})]
    for drop in drops:
        if not -0.9 < drop.drop < 0.9:
            wrong.append(f"drop {drop.shock_id!r} is {drop.drop}; it must lie between -0.9 and 0.9")
    if wrong:
        raise ConfigError([Problem(message) for message in wrong])


def simulated_prices(events: Events, config: StudyConfig, request: PriceRequest) -> PriceTable:
    """Return a seeded panel on the study's calendars and membership.

    Artificial drops are added at its events, by label, and on days without news, so that a simulated run has control
    drops; ``truth`` in the manifest lists both. There are no simulated exchange rates, so the backtest uses local
    currencies.
    """
    listings = [
        Listing(peer.ticker, peer.market, config.market(peer.market).benchmark, peer.from_, peer.until)
        for peer in config.peers
    ]
    # One drop for each piece of news, even if it has several rows.
    news = dict.fromkeys(together(with_shocks(events, config)).values())
    drops = [drop for event in news if event.label in PLANTED and (drop := _drop_at(event, events, config))]
    drops += _quiet_drops(events, config, request)
    rates = fx_tickers(config).values()
    request = replace(request, tickers=tuple(name for name in request.tickers if name not in rates))
    return SimulatedProvider(listings, drops, seed=config.study.seed, sessions=sessions).fetch(request)


def _drop_at(event: Event, events: Events, config: StudyConfig) -> PlantedDrop | None:
    alignments = align_all(Events((event,), events.path, events.sha256), config)
    days = {
        peer.ticker: alignments[event.event_id, peer.market].session
        for peer in config.peers
        if (not event.tickers or peer.ticker in event.tickers)
        and (event.event_id, peer.market) in alignments
        and peer.group == config.peers[0].group
    }
    size, share = PLANTED[event.label]
    return PlantedDrop(event.shock_id, days, size, share, event.label) if days else None


def _quiet_drops(events: Events, config: StudyConfig, request: PriceRequest) -> list[PlantedDrop]:
    """Falls of the first group's peers away from every event, independent of the requested days."""
    # Separate streams, so that the second does not depend on the requested days.
    streams = [np.random.default_rng([config.study.seed, QUIET_EVERY, number]) for number in range(2)]
    count = (request.end - EPOCH).days // QUIET_EVERY + 1
    sizes, shifts = streams[0].uniform(*QUIET, count), streams[1].integers(0, 7, count)
    taken = [instant_utc(event.timestamp).date() for event in events]
    found = []
    for number in range(count):
        day = EPOCH + dt.timedelta(days=number * QUIET_EVERY + int(shifts[number]))
        near = any(abs((day - other).days) < QUIET_FROM_EVENTS for other in taken)
        if request.start <= day <= request.end and not near:
            days = _first_sessions(day, config)
            found.append(PlantedDrop(f"quiet-{day}", days, float(sizes[number]), QUIET_SHARE))
    return found


def _first_sessions(day: dt.date, config: StudyConfig) -> dict[str, dt.date]:
    """First session on or after ``day`` for each peer of the first group whose calendar reaches it."""
    found = {}
    for peer in config.peers:
        table = exchange_sessions(peer.market)
        at = table.position(day)
        if peer.group == config.peers[0].group and at < len(table.days):
            found[peer.ticker] = table.days[at].astype(dt.date)
    return found
