"""Types of prices, and the registry of providers."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from eventstudy import registry
from eventstudy.config import StudyConfig
from eventstudy.errors import ConfigError, Problem, Reason, printable
from eventstudy.events import TICKER
from eventstudy.exchanges.exchange import currency_in_hundredths, quotes_hundredths
from eventstudy.messages import JOINED, Message, text
from eventstudy.registry import Registry

if TYPE_CHECKING:
    from eventstudy.prices.factors import FactorTable

Status = Literal["ok", "no_prices", "provider_broken", "rate_limited", "refused"]
#: Outcomes that another try may change; all others are final answers of the provider and are stored.
UNANSWERED: tuple[Status, ...] = ("provider_broken", "rate_limited")


@dataclass(frozen=True, slots=True, kw_only=True)
class PriceSeries:
    """Daily bars of one ticker, dates strictly increasing, NaN where the source has no value.

    ``close`` is the traded price, ``adj_close`` is adjusted for splits and dividends and is what
    returns are made of. All arrays have shape ``(T,)``. ``dividends`` (cash a share) and ``splits``
    (new shares for one old) are 0 on days without one, and of length 0 where the source lists none.
    ``amount`` is the money traded, of length 0 where the source has none; it only checks ``volume``.

    Examples
    --------
    >>> import numpy as np
    >>> from eventstudy import PriceSeries
    >>> days = np.array(["2021-06-08", "2021-06-09"], dtype="datetime64[D]")
    >>> none, close = np.full(2, np.nan), np.array([10.0, 9.5])
    >>> unknown = dict.fromkeys(("open", "high", "low", "volume"), none)
    >>> series = PriceSeries(ticker="AAA", dates=days, close=close, adj_close=close, **unknown)
    >>> float(series.adj_close[-1] / series.adj_close[0] - 1).__round__(4)
    -0.05
    """

    ticker: str
    dates: NDArray[np.datetime64]
    open: NDArray[np.float64]
    high: NDArray[np.float64]
    low: NDArray[np.float64]
    close: NDArray[np.float64]
    adj_close: NDArray[np.float64]
    volume: NDArray[np.float64]
    currency: str = ""
    source: str = ""
    sha256: str = ""
    dividends: NDArray[np.float64] = field(default_factory=lambda: np.empty(0))
    splits: NDArray[np.float64] = field(default_factory=lambda: np.empty(0))
    amount: NDArray[np.float64] = field(default_factory=lambda: np.empty(0))

    def on(self, days: NDArray[np.datetime64], name: str) -> NDArray[np.float64]:
        """Return one of the arrays on other days, shape of ``days``; NaN without a row or value."""
        values: NDArray[np.float64] = getattr(self, name)
        return on_days(days, self.dates, values) if len(values) else np.full(len(days), np.nan)

    def taken(self, rows: slice | NDArray[np.bool_]) -> PriceSeries:
        """Return some of the rows."""
        arrays = {name: getattr(self, name) for name in self.__dataclass_fields__}
        cut: dict[str, Any] = {n: a[rows] for n, a in arrays.items() if isinstance(a, np.ndarray) and len(a)}
        return replace(self, **cut)

    def within(self, request: PriceRequest) -> PriceSeries:
        """Return the rows of the requested days."""
        return self.taken((self.dates >= np.datetime64(request.start)) & (self.dates <= np.datetime64(request.end)))


def on_days(
    days: NDArray[np.datetime64], dates: NDArray[np.datetime64], values: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return the values of the same calendar days (not by position), NaN on days without a value."""
    found = np.full(len(days), np.nan)
    _, here, there = np.intersect1d(days, dates, assume_unique=True, return_indices=True)
    found[here] = values[there]
    return found


def known_volume(
    volume: NDArray[np.float64], close: NDArray[np.float64], status: NDArray[np.float64] | None = None
) -> NDArray[np.float64]:
    """Return volumes with 0 on halts and NaN if unknown, shape (T,).

    A day without a volume that repeats the last close is a halt, and so is one whose trading ``status`` is 0.
    A column without any positive number is ignored, because some sources write zeros for unknown volumes.
    """
    known = np.full(len(volume), np.nan)
    if np.any(volume > 0):
        repeated = np.append(False, close[1:] == close[:-1])[: len(close)]
        known = np.where(np.isnan(volume) & repeated, 0.0, volume)
    return known if status is None else np.where(status == 0, 0.0, known)


def price_unit(series: PriceSeries, mic: str, config: StudyConfig) -> float | None:
    """Return the amount of the market's currency in one unit of a price, None if unknown.

    In order of priority: the setting for the ticker, the source, the setting for the exchange. Without any of these it
    is 1, or None if the exchange quotes hundredths.
    """
    said, currency = config.prices.price_unit, config.traded_in(mic)
    if series.ticker in said:
        return said[series.ticker]
    if currency_in_hundredths().get(series.currency) == currency:
        return 0.01
    if series.currency:
        return 1.0
    return said.get(mic, None if quotes_hundredths(mic) else 1.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class PriceOutcome:
    """Outcome of the request for one ticker.

    ``message`` says why there are no prices, or which alias they belong to; a text of a provider is stored as a
    `Reason`. ``notes`` say how the prices were read.

    Examples
    --------
    >>> from eventstudy import PriceOutcome
    >>> PriceOutcome(ticker="AAA", status="ok", rows=250, last="2021-06-09").status
    'ok'
    """

    ticker: str
    status: Status
    message: Reason = field(default_factory=Reason)
    rows: int = 0
    first: str = ""
    last: str = ""
    notes: tuple[Reason, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "message", _reason(self.message))
        object.__setattr__(self, "notes", tuple(_reason(note) for note in self.notes))

    @classmethod
    def of(cls, series: PriceSeries, notes: tuple[Reason, ...] = ()) -> PriceOutcome:
        """Return the outcome of a series that has prices."""
        first, last = str(series.dates[0]), str(series.dates[-1])
        return cls(ticker=series.ticker, status="ok", rows=len(series.dates), first=first, last=last, notes=notes)


def _reason(said: Reason | str) -> Reason:
    """A message as a reason, also if it is a text."""
    if isinstance(said, Reason):
        return said
    if isinstance(said, Message) and said.key not in ("", JOINED):
        return Reason(said.key, **said.fields)
    return Reason("price.words", text=printable(said)) if said else Reason()


@dataclass(frozen=True, slots=True)
class PriceRequest:
    """Tickers and the inclusive range of days that the study needs.

    Examples
    --------
    >>> import datetime as dt
    >>> from eventstudy import PriceRequest
    >>> request = PriceRequest(("AAA", "^GSPC"), dt.date(2020, 1, 2), dt.date(2021, 7, 9))
    >>> request.end > request.start
    True
    """

    tickers: tuple[str, ...]
    start: dt.date
    end: dt.date


@dataclass(frozen=True, slots=True, kw_only=True)
class PriceTable:
    """All series of a study with one outcome for each requested ticker.

    ``origin`` has ``kind`` and ``name`` of the folder, file or snapshot, without a path. ``fx`` has the exchange rates
    by currency.

    Examples
    --------
    >>> import numpy as np
    >>> from eventstudy import PriceOutcome, PriceSeries, PriceTable
    >>> days, none = np.array(["2021-06-09"], dtype="datetime64[D]"), np.full(1, np.nan)
    >>> unknown = dict.fromkeys(("open", "high", "low", "volume"), none)
    >>> series = PriceSeries(ticker="AAA", dates=days, close=np.ones(1), adj_close=np.ones(1), **unknown)
    >>> outcomes = {"AAA": PriceOutcome(ticker="AAA", status="ok", rows=1)}
    >>> PriceTable(source="mine", series={"AAA": series}, outcomes=outcomes).last_date
    '2021-06-09'
    """

    source: str
    series: Mapping[str, PriceSeries]
    outcomes: Mapping[str, PriceOutcome]
    simulated: bool = False
    truth: Mapping[str, Any] = field(default_factory=dict)
    factors: FactorTable | None = None
    origin: Mapping[str, str] = field(default_factory=dict)
    fx: Mapping[str, PriceSeries] = field(default_factory=dict)

    @property
    def last_date(self) -> str:
        """Newest day with any price, ISO, or an empty string."""
        ends = [series.dates[-1] for series in self.series.values() if len(series.dates)]
        return str(max(ends)) if ends else ""

    def why_missing(self, ticker: str) -> str:
        """Return in words why a ticker has no prices, for error messages."""
        outcome = self.outcomes.get(ticker)
        return text(outcome.message) if outcome else "it was not asked for"


class PriceProvider(Protocol):
    """Returns a table for a request. A problem with one ticker is an outcome, not an error.

    It raises `PriceError` only if no prices are available at all. The factory of a provider that downloads prices
    takes the keyword ``progress``: a function that is called with the outcome and the series (or None) after each
    ticker, so that fetched prices can be saved at once.
    """

    def fetch(self, request: PriceRequest) -> PriceTable: ...


ProviderFactory = Callable[..., PriceProvider]
PROVIDERS: Registry[ProviderFactory] = registry.PROVIDERS


def provider(name: str) -> Callable[[ProviderFactory], ProviderFactory]:
    """Register a provider class or factory.

    Parameters
    ----------
    name : str
        The name for ``--prices`` and ``prices.source``.

    Returns
    -------
    callable
        A decorator that returns the class unchanged.

    Examples
    --------
    >>> import datetime as dt
    >>> from eventstudy import PROVIDERS, PriceOutcome, PriceRequest, PriceTable, provider
    >>> @provider("nothing")
    ... class Nothing:
    ...     def fetch(self, request: PriceRequest) -> PriceTable:
    ...         none = {name: PriceOutcome(ticker=name, status="no_prices") for name in request.tickers}
    ...         return PriceTable(source="nothing", series={}, outcomes=none)
    >>> asked = PriceRequest(("AAA",), dt.date(2021, 1, 4), dt.date(2021, 6, 30))
    >>> PROVIDERS["nothing"]().fetch(asked).outcomes["AAA"].status
    'no_prices'
    """

    return PROVIDERS.add(name)


def check_tickers(tickers: Iterable[str]) -> None:
    """Raise one `ConfigError` for all tickers that cannot be sent to a provider."""
    wrong = [ticker for ticker in tickers if not TICKER.fullmatch(ticker)]
    if wrong:
        text = "is not a ticker: capital letters, digits and . - = _ ^ only"
        raise ConfigError([Problem(f"ticker {ticker!r} {text}") for ticker in wrong])


def get_provider(name: str) -> ProviderFactory:
    """Return the factory registered under ``name``, or raise `ConfigError` with the nearest one."""
    if not PROVIDERS.knows(name):
        raise ConfigError(f"price source {PROVIDERS.unknown(name)}")
    return PROVIDERS[name]
