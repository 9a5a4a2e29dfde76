"""Prices from Yahoo Finance through yfinance, one ticker at a time.

Each ticker ends in an outcome that says what Yahoo answered. yfinance's own guesses ("possibly
delisted") are never passed on, and nothing it would repair, fill or hide is repaired, filled or
hidden here.
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

from eventstudy.errors import ConfigError, PriceError, Problem
from eventstudy.prices.table import PriceOutcome, PriceRequest, PriceSeries, PriceTable, check_tickers, provider

#: Yahoo's column to the field of `PriceSeries`.
COLUMNS = {"Open": "open", "High": "high", "Low": "low", "Close": "close", "Adj Close": "adj_close", "Volume": "volume"}
#: Seconds that one HTTP request may take while the ticker's deadline is not reached.
REQUEST_SECONDS = 10.0

_ISIN = re.compile(r"[A-Z]{2}[A-Z0-9]{9}[0-9]")
_BARE_CHINESE = re.compile(r"[0-9]{6}")
_WAY_OUT = "run the same command again later, or give a folder of price files with --prices DIR"


def utc_now() -> dt.datetime:
    """The clock, aware, in UTC."""
    return dt.datetime.now(dt.UTC)


@provider("yahoo")
class YahooProvider:
    """Fetches daily bars from Yahoo Finance.

    Parameters
    ----------
    session
        A curl_cffi or requests session; by default the one yfinance makes.
    deadline
        Seconds for one ticker, all retries included.
    retries
        How often a ticker is asked for in all before it counts as broken.
    cache_dir
        Where yfinance keeps time zones and its cookie. The cookie file is a pickle, so the folder
        is private (mode 0700) and never shared; by default it lies in the user's cache folder.
    pause
        Seconds before the first retry; doubled each time.
    now
        Clock that decides whether the newest session is over; returns an aware datetime.
    progress
        Called after each ticker that was asked for, e.g. to save its series before the next one.
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
        """Return what Yahoo has for the requested days, with one outcome a ticker.

        Raises
        ------
        ConfigError
            A ticker is not one that Yahoo could know; no request is made.
        PriceError
            Nothing was fetched because the provider failed for every ticker.
        """
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
        _raise_if_all_failed(outcomes)
        return PriceTable(source="yahoo", series=series, outcomes=outcomes)


@dataclass(slots=True)
class _Wire:
    """What went over the line for one ticker: the last chart answer and how many answers came."""

    status: int = 0
    words: str = ""
    answers: int = 0

    def note(self, url: str, response: Any) -> None:
        self.answers += 1
        if "/v8/finance/chart/" not in url:
            return
        self.status, self.words = int(response.status_code), ""
        with suppress(ValueError, KeyError, TypeError):
            self.words = str(response.json()["chart"]["error"]["description"])


@dataclass(slots=True)
class _Client:
    """One fetch: the session, the retries, and whether asking on makes sense."""

    provider: YahooProvider
    yfinance: Any
    session: Any = field(init=False)
    cache: Path = field(init=False)
    silent: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.cache = _private_cache(self.provider.cache_dir)
        _delete_damaged(self.cache)
        self.yfinance.set_tz_cache_location(str(self.cache))
        # A Ticker makes the session of whichever backend yfinance was installed with.
        self.session = self.provider.session or self.yfinance.Ticker("SPY").session

    def fetch(self, ticker: str, request: PriceRequest) -> tuple[PriceSeries | None, PriceOutcome]:
        """Ask for one ticker until it is answered, refused, or its deadline is over."""
        wire = _Wire()
        ends = time.monotonic() + self.provider.deadline
        failure: Exception | None = None
        for attempt in range(self.provider.retries):
            if attempt and not _rest(self.provider.pause * 2 ** (attempt - 1), ends):
                break
            try:
                with _bounded(self.session, wire, ends):
                    frame, meta = self._ask(ticker, request)
                self.silent.clear()
                return _series(ticker, frame, meta, request, self._source(), self.provider.now())
            except Exception as error:
                failure = error
                verdict = self._verdict(ticker, error, wire, request)
                if verdict:
                    return None, verdict
        self.silent = [] if wire.answers else [*self.silent, ticker]
        return None, PriceOutcome(ticker=ticker, status="provider_broken", message=self._broken(failure, wire))

    def stopped_by(self, outcome: PriceOutcome) -> PriceOutcome | None:
        """The outcome of all further tickers if it makes no sense to ask for them."""
        if outcome.status == "rate_limited":
            message = f"not asked for: Yahoo had refused {outcome.ticker} for too many requests"
            return PriceOutcome(ticker="", status="rate_limited", message=message)
        # Two tickers in a row without a single answer: the line is down, not the ticker.
        if len(self.silent) == 2:
            message = f"not asked for: Yahoo had answered neither {' nor '.join(self.silent)}"
            return PriceOutcome(ticker="", status="provider_broken", message=message)
        return None

    def _ask(self, ticker: str, request: PriceRequest) -> tuple[Any, dict[str, Any]]:
        """One try: the frame of bars and Yahoo's metadata."""
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
        """The outcome that an error means, or None if trying again may help."""
        from yfinance.exceptions import YFRateLimitError, YFTickerMissingError

        if isinstance(error, YFRateLimitError):
            return PriceOutcome(ticker=ticker, status="rate_limited", message="Yahoo answers: too many requests")
        if isinstance(error, YFTickerMissingError) or _http_status(error) == 404:
            says = f'; it says: "{wire.words}"' if wire.words else ""
            message = f"Yahoo has no prices of {ticker} in {request.start}..{request.end}{says}"
            return PriceOutcome(ticker=ticker, status="no_prices", message=message)
        if _is_certificate(error):
            return PriceOutcome(ticker=ticker, status="provider_broken", message=_certificate_message(error))
        # yfinance keeps error answers too: without this, every retry would see the same one.
        from yfinance.data import YfData

        YfData().cache_get.cache_clear()
        return None

    def _broken(self, failure: Exception | None, wire: _Wire) -> str:
        tried = f"{self.provider.deadline:g} s and at most {self.provider.retries} tries"
        answer = f"HTTP status {wire.status}" if wire.status else "no answer"
        return f"Yahoo gave no usable prices in {tried}: {answer}, {_in_one_line(failure)}"

    def _source(self) -> str:
        return f"Yahoo Finance, yfinance {self.yfinance.__version__}"


def _refuse_tickers(tickers: Sequence[str]) -> None:
    """Raise one `ConfigError` for every ticker that would ask Yahoo for something else."""
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
    """A folder that only this user can read. yfinance works without one that cannot be made."""
    import platformdirs

    path = folder or Path(platformdirs.user_cache_dir("eventstudy")) / "yfinance"
    with suppress(OSError):
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        path.chmod(0o700)
    return path


def _delete_damaged(folder: Path) -> None:
    """Remove yfinance's databases that sqlite cannot read; with one of them every ticker fails.

    They hold nothing that yfinance cannot ask for again.
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
        # Locked by another run, or not ours to open: neither is damage.
        return False
    except sqlite3.DatabaseError:
        return True


@contextmanager
def _quiet_yfinance() -> Iterator[Any]:
    """Import yfinance, let it raise instead of log, and keep its warnings off the screen."""
    logger = logging.getLogger("yfinance")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import yfinance

        # The import adds filters of its own that bring its deprecation warnings back.
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
    """Keep every request of ``session`` inside the deadline, and write down what it answers.

    yfinance asks for cookies and time zones with timeouts of its own that add up.
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


def _rest(seconds: float, ends: float) -> bool:
    """Wait before a retry; False if the deadline would be over."""
    if time.monotonic() + seconds >= ends:
        return False
    time.sleep(seconds)
    return True


def _http_status(error: Exception) -> int:
    return int(getattr(getattr(error, "response", None), "status_code", 0) or 0)


def _is_certificate(error: Exception) -> bool:
    # curl_cffi and requests have no common class for it.
    return type(error).__name__ in {"CertificateVerifyError", "SSLError"}


def _certificate_message(error: Exception) -> str:
    return (
        "the certificate of Yahoo's server was not accepted; behind a company proxy, point SSL_CERT_FILE "
        f"and CURL_CA_BUNDLE to the company's root certificates ({_in_one_line(error)})"
    )


def _in_one_line(error: Exception | None) -> str:
    text = " ".join(str(error).split()).partition(" See https://curl.se")[0]
    return f"{type(error).__name__}: {text[:160]}" if text else type(error).__name__


def _series(
    ticker: str, frame: Any, meta: dict[str, Any], request: PriceRequest, source: str, now: dt.datetime
) -> tuple[PriceSeries | None, PriceOutcome]:
    """Turn Yahoo's frame into a series, leaving out rows that are no finished session."""
    dates = frame.index.tz_localize(None).to_numpy().astype("datetime64[D]")
    fields = {ours: frame[theirs].to_numpy(dtype=np.float64) for theirs, ours in COLUMNS.items()}
    keep, notes = _finished(dates, fields, meta, frame.index.tz, now)
    notes += _actions(dates, frame)
    dividends, splits = _kept_actions(dates, keep, frame)
    dates = dates[keep]
    fields = {name: column[keep] for name, column in fields.items()}
    fault = _fault(dates, fields)
    if fault:
        return None, PriceOutcome(
            ticker=ticker, status="refused", message=f"Yahoo's prices of {ticker}: {fault}", notes=notes
        )
    if not len(dates):
        message = f"Yahoo has no finished session of {ticker} in {request.start}..{request.end}"
        return None, PriceOutcome(ticker=ticker, status="no_prices", message=message, notes=notes)
    currency = str(meta["currency"] or "")
    series = PriceSeries(
        ticker=ticker, dates=dates, **fields, currency=currency, source=source, dividends=dividends, splits=splits
    )
    first, last = str(dates[0]), str(dates[-1])
    return series, PriceOutcome(ticker=ticker, status="ok", rows=len(dates), first=first, last=last, notes=notes)


def _finished(
    dates: NDArray[np.datetime64],
    fields: dict[str, NDArray[np.float64]],
    meta: dict[str, Any],
    zone: dt.tzinfo,
    now: dt.datetime,
) -> tuple[NDArray[np.bool_], tuple[str, ...]]:
    """Rows to keep, shape ``(T,)``, and a note for each kind that is left out."""
    empty = np.isnan(fields["close"]) & np.isnan(fields["adj_close"])
    today = now.astimezone(zone).date()
    running = dates > np.datetime64(today)
    if not _is_over(today, meta, zone, now):
        running = dates >= np.datetime64(today)
    kinds = ((empty, "without a price"), (running & ~empty, "not finished when they were fetched"))
    notes = tuple(f"{_named_days(dates[rows])} {what}: left out" for rows, what in kinds if rows.any())
    return ~(empty | running), notes


def _is_over(today: dt.date, meta: dict[str, Any], zone: dt.tzinfo, now: dt.datetime) -> bool:
    """Whether the exchange's regular session of ``today`` has ended, by Yahoo's own trading period.

    A period of an earlier day, or none at all, says nothing of today: then it counts as running.
    """
    period = (meta.get("currentTradingPeriod") or {}).get("regular") or {}
    end = period.get("end")
    if not isinstance(end, dt.datetime):
        return False
    day = end.astimezone(zone).date()
    return day > today or (day == today and end <= now)


def _named_days(dates: NDArray[np.datetime64]) -> str:
    shown = ", ".join(str(day) for day in dates[:5])
    more = f" and {len(dates) - 5} more" if len(dates) > 5 else ""
    return f"{len(dates)} {'day' if len(dates) == 1 else 'days'} ({shown}{more})"


def _actions(dates: NDArray[np.datetime64], frame: Any) -> tuple[str, ...]:
    """Notes that list the splits and count the dividends, to compare with suspect days."""
    splits = frame["Stock Splits"].to_numpy(dtype=np.float64)
    listed = [f"split {splits[row]:g}:1 on {dates[row]}" for row in np.flatnonzero(splits > 0)]
    n_dividends = int((frame["Dividends"].to_numpy(dtype=np.float64) > 0).sum())
    paid = f"{n_dividends} {'dividend' if n_dividends == 1 else 'dividends'}"
    return (*listed, paid) if n_dividends else tuple(listed)


def _kept_actions(
    dates: NDArray[np.datetime64], keep: NDArray[np.bool_], frame: Any
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Dividends and splits on the kept rows; one on a day left out moves to the next kept day."""
    kept = dates[keep]
    at = np.searchsorted(kept, dates)
    inside = at < len(kept)
    dividends, splits = np.zeros(len(kept)), np.zeros(len(kept))
    paid, ratio = (frame[name].fillna(0.0).to_numpy(dtype=np.float64) for name in ("Dividends", "Stock Splits"))
    np.add.at(dividends, at[inside], paid[inside])
    np.maximum.at(splits, at[inside], ratio[inside])
    return dividends, splits


def _fault(dates: NDArray[np.datetime64], fields: dict[str, NDArray[np.float64]]) -> str:
    """Why the bars cannot be used, or an empty string."""
    if np.any(dates[1:] <= dates[:-1]):
        return "a day comes twice or out of order"
    for name in ("close", "adj_close"):
        column = fields[name]
        for row in np.flatnonzero((column <= 0) | np.isinf(column)):
            return f"{name} {column[row]:g} on {dates[row]} is no price; give a file with --prices DIR"
    return ""


def _raise_if_all_failed(outcomes: dict[str, PriceOutcome]) -> None:
    """Raise if not one ticker was answered; one problem for each reason."""
    if not outcomes or any(o.status not in ("provider_broken", "rate_limited") for o in outcomes.values()):
        return
    reasons: dict[str, list[str]] = {}
    for outcome in outcomes.values():
        reasons.setdefault(outcome.message, []).append(outcome.ticker)
    problems = [Problem(f"{', '.join(tickers)}: {reason}") for reason, tickers in reasons.items()]
    raise PriceError([*problems, Problem(f"no prices could be fetched from Yahoo; {_WAY_OUT}")])
