"""Prices from Yahoo Finance through yfinance, one ticker at a time.

Each ticker has an outcome with Yahoo's answer. Guesses of yfinance ("possibly delisted") are not passed on, and its
repairs and filling of prices are not used.
"""

from __future__ import annotations

import datetime as dt
import logging
import re
import sqlite3
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eventstudy.errors import ConfigError, PriceError, Problem, Reason, printable
from eventstudy.messages import text
from eventstudy.prices.fetch import unanswered, utc_now
from eventstudy.prices.table import (
    UNANSWERED,
    PriceOutcome,
    PriceRequest,
    PriceSeries,
    PriceTable,
    check_tickers,
    known_volume,
    provider,
)

#: Yahoo's column to the field of `PriceSeries`.
COLUMNS = {"Open": "open", "High": "high", "Low": "low", "Close": "close", "Adj Close": "adj_close", "Volume": "volume"}
#: Time limit of one HTTP request in seconds, within the ticker's deadline.
REQUEST_SECONDS = 10.0

_ISIN = re.compile(r"[A-Z]{2}[A-Z0-9]{9}[0-9]")
_BARE_CHINESE = re.compile(r"[0-9]{6}")


@provider("yahoo")
class YahooProvider:
    """Fetches daily bars from Yahoo Finance.

    Parameters
    ----------
    session
        A curl_cffi or requests session; by default that of yfinance.
    deadline
        Seconds for one ticker, all retries included.
    retries
        Largest number of requests for a ticker before it counts as broken.
    cache_dir
        Folder for yfinance's time zones and cookie. The cookie file is a pickle, so the folder is private (mode 0700);
        by default it is in the user's cache folder.
    pause
        Seconds before the first retry; doubled each time.
    now
        Clock that decides whether the newest session is over; returns an aware datetime.
    progress
        Called after each requested ticker, for example to save its series before the next one.
    """

    def __init__(
        self,
        *,
        session: Any = None,
        deadline: float = 60.0,
        retries: int = 3,
        cache_dir: str | Path | None = None,
        pause: float = 1.0,
        now: Callable[[], dt.datetime] | None = None,
        progress: Callable[[PriceOutcome, PriceSeries | None], None] | None = None,
    ) -> None:
        if deadline <= 0 or retries < 1 or pause < 0:
            raise ConfigError("yahoo needs deadline > 0 seconds, retries >= 1 and pause >= 0 seconds")
        self.session = session
        self.deadline = deadline
        self.retries = retries
        self.cache_dir = None if cache_dir is None else Path(cache_dir)
        self.pause = pause
        self.now = now or utc_now
        self.progress = progress

    def fetch(self, request: PriceRequest) -> PriceTable:
        """Return Yahoo's prices for the requested days, with one outcome for each ticker."""
        _refuse_tickers(request.tickers)
        series: dict[str, PriceSeries] = {}
        outcomes: dict[str, PriceOutcome] = {}
        with _quiet_yfinance() as yfinance:
            client = _Client(self, yfinance)
            stopped: PriceOutcome | None = None
            for ticker in dict.fromkeys(request.tickers):
                if stopped:
                    outcomes[ticker] = replace(stopped, ticker=ticker)
                    continue
                bars, outcomes[ticker] = client.fetch(ticker, request)
                if bars is not None:
                    series[ticker] = bars
                if self.progress:
                    self.progress(outcomes[ticker], bars)
                stopped = client.stopped_by(outcomes[ticker])
        if outcomes and all(outcome.status in UNANSWERED for outcome in outcomes.values()):
            failed = Problem(f"no prices could be fetched from Yahoo; {text(Reason('price.way_out'))}")
            raise PriceError([*unanswered(outcomes.values()), failed])
        return PriceTable(source="yahoo", series=series, outcomes=outcomes)


@dataclass(slots=True)
class _Wire:
    """Network traffic for one ticker: number of answers, and content of the last chart answer.

    ``without_volume`` has the timestamps with a null volume, which yfinance converts to zero.
    """

    status: int = 0
    words: str = ""
    symbol: str = ""
    answers: int = 0
    without_volume: tuple[int, ...] = ()

    def note(self, url: str, response: Any) -> None:
        self.answers += 1
        if "/v8/finance/chart/" not in url:
            return
        self.status, self.words, self.symbol, self.without_volume = int(response.status_code), "", "", ()
        with suppress(ValueError, LookupError, TypeError):
            chart = response.json()["chart"]
            if chart["error"]:
                self.words = printable(chart["error"]["description"])[:200]
                return
            result = chart["result"][0]
            self.symbol = printable(result["meta"].get("symbol", ""))
            volumes = zip(result["timestamp"], result["indicators"]["quote"][0]["volume"], strict=True)
            self.without_volume = tuple(stamp for stamp, volume in volumes if volume is None)

    def has_no_prices(self, error: Exception) -> bool:
        """Whether Yahoo answered that it has no prices: 404, 400 for these days, or an empty 200."""
        from yfinance.exceptions import YFTickerMissingError

        if self.status == 200:
            return isinstance(error, YFTickerMissingError) and not self.words
        return self.status == 404 or (self.status == 400 and self.words.startswith("Data doesn't exist"))


@dataclass(slots=True)
class _Client:
    """One fetch: the session, the retries, and whether further requests make sense."""

    provider: YahooProvider
    yfinance: Any
    session: Any = field(init=False)
    cache: Path = field(init=False)
    silent: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.cache = _private_cache(self.provider.cache_dir)
        _delete_damaged(self.cache)
        self.yfinance.set_tz_cache_location(str(self.cache))
        # A Ticker creates the session of yfinance's installed backend.
        self.session = self.provider.session or self.yfinance.Ticker("SPY").session

    def fetch(self, ticker: str, request: PriceRequest) -> tuple[PriceSeries | None, PriceOutcome]:
        """Request one ticker until there is an answer, a refusal, or its deadline is over."""
        wire = _Wire()
        ends = time.monotonic() + self.provider.deadline
        failure: Exception | None = None
        for attempt in range(self.provider.retries):
            if attempt:
                pause = self.provider.pause * 2 ** (attempt - 1)
                if time.monotonic() + pause >= ends:
                    break
                time.sleep(pause)
            try:
                with _bounded(self.session, wire, ends):
                    frame, meta = self._ask(ticker, request)
                if wire.symbol.upper() not in ("", ticker):
                    raise ValueError(f"prices of {wire.symbol} came for {ticker}")
                self.silent.clear()
                frame = _unknown_volumes(frame, wire.without_volume)
                return _series(ticker, frame, meta, request, self._source(), self.provider.now())
            except Exception as error:
                failure = error
                verdict = self._verdict(ticker, error, wire, request)
                if verdict:
                    return None, verdict
        self.silent = [] if wire.answers else [*self.silent, ticker]
        return None, PriceOutcome(ticker=ticker, status="provider_broken", message=self._broken(failure, wire))

    def stopped_by(self, outcome: PriceOutcome) -> PriceOutcome | None:
        """The outcome of all further tickers if requests are stopped."""
        if outcome.status == "rate_limited":
            message = Reason("yahoo.stopped", ticker=outcome.ticker)
            return PriceOutcome(ticker="", status="rate_limited", message=message)
        # Two tickers in a row without any answer mean that the connection is down.
        if len(self.silent) == 2:
            message = Reason("yahoo.silent", one=self.silent[0], other=self.silent[1])
            return PriceOutcome(ticker="", status="provider_broken", message=message)
        return None

    def _ask(self, ticker: str, request: PriceRequest) -> tuple[Any, dict[str, Any]]:
        """One try: the frame of bars and Yahoo's metadata."""
        # yfinance also caches error answers; without this every retry would get the same one.
        from yfinance.data import YfData

        YfData().cache_get.cache_clear()
        asked = self.yfinance.Ticker(ticker, session=self.session)
        frame = asked.history(
            start=request.start.isoformat(),
            end=(request.end + dt.timedelta(days=1)).isoformat(),
            interval="1d",
            auto_adjust=False,
            actions=True,
            repair=False,
            keepna=True,
            timeout=REQUEST_SECONDS,
        )
        meta = asked.get_history_metadata()
        return frame, {key: meta.get(key) for key in ("currency", "currentTradingPeriod")}

    def _verdict(self, ticker: str, error: Exception, wire: _Wire, request: PriceRequest) -> PriceOutcome | None:
        """The outcome for an error, or None if another try may help."""
        from yfinance.exceptions import YFRateLimitError

        if isinstance(error, YFRateLimitError) or wire.status == 429:
            return PriceOutcome(ticker=ticker, status="rate_limited", message=Reason("yahoo.limited"))
        if wire.has_no_prices(error):
            words = Reason("yahoo.says", words=wire.words) if wire.words else Reason()
            message = Reason("yahoo.no_prices", ticker=ticker, start=request.start, end=request.end, words=words)
            return PriceOutcome(ticker=ticker, status="no_prices", message=message)
        # curl_cffi and requests have no common exception class.
        if type(error).__name__ in ("CertificateVerifyError", "SSLError"):
            message = Reason("yahoo.certificate", error=_in_one_line(error))
            return PriceOutcome(ticker=ticker, status="provider_broken", message=message)
        return None

    def _broken(self, failure: Exception | None, wire: _Wire) -> Reason:
        answer = Reason("yahoo.status", status=wire.status) if wire.status else Reason("yahoo.no_answer")
        # yfinance's interpretation of an error answer ("possibly delisted") is a guess.
        error = wire.words or _in_one_line(failure)
        seconds, tries = f"{self.provider.deadline:g}", self.provider.retries
        return Reason("yahoo.broken", seconds=seconds, tries=tries, answer=answer, error=error)

    def _source(self) -> str:
        return f"Yahoo Finance, yfinance {self.yfinance.__version__}"


def _refuse_tickers(tickers: Sequence[str]) -> None:
    """Raise one `ConfigError` for all tickers that would request something else from Yahoo."""
    check_tickers(tickers)
    problems = []
    for ticker in tickers:
        if _BARE_CHINESE.fullmatch(ticker):
            suffix = "SS" if ticker[0] in "569" else "SZ"
            message = f"ticker {ticker!r} names no exchange; Yahoo writes it '{ticker}.{suffix}'"
            problems.append(Problem(message))
        elif _ISIN.fullmatch(ticker):
            problems.append(Problem(f"{ticker!r} is an ISIN; give the ticker as Yahoo writes it"))
    if problems:
        raise ConfigError(problems)


def _private_cache(folder: Path | None) -> Path:
    """A folder that only this user can read; if it cannot be created, yfinance works without it."""
    import platformdirs

    path = folder or Path(platformdirs.user_cache_dir("eventstudy")) / "yfinance"
    with suppress(OSError):
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        path.chmod(0o700)
    return path


def _delete_damaged(folder: Path) -> None:
    """Remove yfinance's databases that sqlite cannot read, because then every ticker would fail.

    yfinance can download their content again.
    """
    for path in [folder / name for name in ("tkr-tz.db", "cookies.db", "isin-tkr.db")]:
        if path.is_file() and _is_damaged(path):
            for part in folder.glob(f"{path.name}*"):
                part.unlink(missing_ok=True)


def _is_damaged(path: Path) -> bool:
    try:
        with closing(sqlite3.connect(path, timeout=1)) as database:
            return bool(database.execute("PRAGMA quick_check").fetchone() != ("ok",))
    except sqlite3.OperationalError:
        # A database that is locked, or that cannot be opened, is not damaged.
        return False
    except sqlite3.DatabaseError:
        return True


@contextmanager
def _quiet_yfinance() -> Iterator[Any]:
    """Import yfinance, make it raise errors instead of logging them, and hide its warnings."""
    logger = logging.getLogger("yfinance")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import yfinance

        # The import adds warning filters that would show its deprecation warnings again.
        warnings.simplefilter("ignore")
        level, hidden = logger.level, yfinance.config.debug.hide_exceptions
        logger.setLevel(logging.CRITICAL)
        yfinance.config.debug.hide_exceptions = False
        try:
            yield yfinance
        finally:
            logger.setLevel(level)
            yfinance.config.debug.hide_exceptions = hidden


@contextmanager
def _bounded(session: Any, wire: _Wire, ends: float) -> Iterator[None]:
    """Limit every request of ``session`` to the deadline, and record the answers.

    yfinance requests cookies and time zones with separate timeouts, which would add up.
    """
    send = session.request

    def request(method: str, url: str, *args: Any, timeout: Any = None, **options: Any) -> Any:
        left = ends - time.monotonic()
        if left <= 0:
            raise TimeoutError("the deadline is over")
        asked = timeout if isinstance(timeout, (int, float)) else REQUEST_SECONDS
        response = send(method, url, *args, timeout=min(asked, REQUEST_SECONDS, left), **options)
        wire.note(url, response)
        return response

    session.request = request
    try:
        yield
    finally:
        del session.request


def _in_one_line(error: Exception | None) -> str:
    said = printable(error or "").partition(" See https://curl.se")[0]
    return f"{type(error).__name__}: {said[:160]}" if said else type(error).__name__


def _unknown_volumes(frame: Any, stamps: Sequence[int]) -> Any:
    """Return the frame with NaN for volumes that Yahoo lacks."""
    import pandas as pd

    days = pd.to_datetime(list(stamps), unit="s", utc=True).tz_convert(frame.index.tz).normalize()
    return frame.assign(Volume=frame["Volume"].astype(float).mask(frame.index.isin(days))) if len(days) else frame


def _series(
    ticker: str, frame: Any, meta: dict[str, Any], request: PriceRequest, source: str, now: dt.datetime
) -> tuple[PriceSeries | None, PriceOutcome]:
    """Convert Yahoo's frame to a series, without rows of unfinished sessions."""
    dates = frame.index.tz_localize(None).to_numpy().astype("datetime64[D]")
    fields = {ours: frame[theirs].to_numpy(dtype=np.float64) for theirs, ours in COLUMNS.items()}
    keep, notes = _finished(dates, fields, meta, frame.index.tz, now)
    # Notes for the comparison with suspect days: the splits, and the number of dividends.
    paid, ratio = (frame[name].fillna(0.0).to_numpy(dtype=np.float64) for name in ("Dividends", "Stock Splits"))
    notes += [Reason("yahoo.split", ratio=f"{ratio[row]:g}", day=dates[row]) for row in np.flatnonzero(ratio > 0)]
    notes += [Reason("yahoo.dividends", n=int((paid > 0).sum()))] if (paid > 0).any() else []
    # A split or dividend on a day that is left out is moved to the next day.
    at = np.searchsorted(dates[keep], dates)
    inside = at < keep.sum()
    dividends, splits = np.zeros(keep.sum()), np.zeros(keep.sum())
    np.add.at(dividends, at[inside], paid[inside])
    np.maximum.at(splits, at[inside], ratio[inside])
    dates = dates[keep]
    fields = {name: column[keep] for name, column in fields.items()}
    fault = _fault(dates, fields)
    if fault:
        message = Reason("yahoo.refused", ticker=ticker, fault=fault)
        return None, PriceOutcome(ticker=ticker, status="refused", message=message, notes=tuple(notes))
    if not len(dates):
        message = Reason("price.unfinished", source="Yahoo", ticker=ticker, start=request.start, end=request.end)
        return None, PriceOutcome(ticker=ticker, status="no_prices", message=message, notes=tuple(notes))
    fields["volume"] = known_volume(fields["volume"], fields["close"])
    currency = printable(meta["currency"] or "")
    series = PriceSeries(
        ticker=ticker, dates=dates, **fields, currency=currency, source=source, dividends=dividends, splits=splits
    )
    return series, PriceOutcome.of(series, tuple(notes))


def _finished(
    dates: NDArray[np.datetime64],
    fields: dict[str, NDArray[np.float64]],
    meta: dict[str, Any],
    zone: dt.tzinfo,
    now: dt.datetime,
) -> tuple[NDArray[np.bool_], list[Reason]]:
    """Rows to keep, shape ``(T,)``, and a note for each kind of row that is left out."""
    empty = np.isnan(fields["close"]) & np.isnan(fields["adj_close"])
    today = now.astimezone(zone).date()
    running = dates > np.datetime64(today)
    if not _is_over(today, meta, zone, now):
        running = dates >= np.datetime64(today)
    kinds = {"yahoo.empty": empty, "yahoo.running": running & ~empty}
    notes = []
    for code, count, days in ((code, int(rows.sum()), dates[rows].astype(str)) for code, rows in kinds.items()):
        shown = [*days[:5], *([f"+{count - 5}"] if count > 5 else [])]
        notes += [Reason(code, n=count, days=", ".join(shown))] if count else []
    return ~(empty | running), notes


def _is_over(today: dt.date, meta: dict[str, Any], zone: dt.tzinfo, now: dt.datetime) -> bool:
    """Whether the exchange's regular session of ``today`` has ended, by Yahoo's own trading period.

    If the period is of an earlier day or missing, the session counts as not finished.
    """
    period = (meta.get("currentTradingPeriod") or {}).get("regular") or {}
    end = period.get("end")
    if not isinstance(end, dt.datetime):
        return False
    day = end.astimezone(zone).date()
    return day > today or (day == today and end <= now)


def _fault(dates: NDArray[np.datetime64], fields: dict[str, NDArray[np.float64]]) -> Reason:
    """Return why the bars cannot be used; empty if they can."""
    if np.any(dates[1:] <= dates[:-1]):
        return Reason("price.disorder")
    for name in ("close", "adj_close"):
        column = fields[name]
        for row in np.flatnonzero((column <= 0) | np.isinf(column)):
            return Reason("price.impossible", name=name, value=f"{column[row]:g}", day=dates[row])
    return Reason()
