"""A server on 127.0.0.1 that answers as Yahoo Finance does, with a fault for each symbol.

Modes: ``ok`` ``404`` ``429`` ``500`` ``html`` ``truncate`` ``hang`` ``nulls`` ``empty`` ``down``
``norange`` ``flaky:N`` ``split`` ``dividend`` ``GBp`` ``negative`` ``zero`` ``holiday-dividend``
``slip`` (one price in a unit 100 times smaller) ``500json`` ``503json`` ``flaky-json:N`` ``other`` (the answer
is for another symbol) ``shifted`` (every stamp a day early) ``some-volumes`` ``no-volumes`` (null) ``zero-volumes``
``partial-opens``.

With ``tls`` it is also an HTTPS proxy that ends TLS itself and lets nobody through to any other host.
"""

from __future__ import annotations

import datetime as dt
import json
import math
import random
import ssl
import threading
import warnings
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit
from zoneinfo import ZoneInfo

import pytest

from eventstudy.exchanges.calendars import sessions

FIRST_DAY = dt.date(2024, 1, 2)
OPEN, CLOSE = dt.time(9, 30), dt.time(16, 0)
NEGATIVE_ROW = 20
NULL_ROWS = (10, 11)
SPLIT_ROW, DIVIDEND_ROW = 30, 40
DIVIDEND = 0.5


class FakeYahoo:
    """Serves `n_bars` bars, one a session of New York from `FIRST_DAY` on; use it as a context manager.

    ``modes`` maps a symbol to its mode (``ok`` if absent) and ``recorded`` to a recorded answer.
    ``asked`` counts the requests by chart symbol, ``paths`` lists all of them. With ``varied`` every
    symbol has prices of its own; ``dies_after`` is the number of symbols after which no chart comes.
    """

    def __init__(
        self,
        modes: dict[str, str] | None = None,
        *,
        n_bars: int = 60,
        tls: tuple[Path, Path] | None = None,
        varied: bool = False,
        dies_after: int | None = None,
    ) -> None:
        self.modes = modes or {}
        self.varied = varied
        self.dies_after = dies_after
        self.context: ssl.SSLContext | None = None
        if tls:
            self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self.context.load_cert_chain(*tls)
        self.recorded: dict[str, Any] = {}
        self.words = "No data found, symbol may be delisted"
        self.n_bars = n_bars
        self.zone = ZoneInfo("America/New_York")
        self.trading_day: dt.date | None = None
        self.asked: Counter[str] = Counter()
        self.paths: list[str] = []
        self.closing = threading.Event()

    def __enter__(self) -> FakeYahoo:
        self.server = _Server(("127.0.0.1", 0), _Handler)
        self.server.daemon_threads = True
        self.server.fake = self  # type: ignore[attr-defined]
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True)
        self.thread.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self.closing.set()
        self.server.shutdown()
        self.server.server_close()
        self.thread.join(5)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server.server_address[1]}"

    def days(self) -> list[dt.date]:
        """The days that have a bar."""
        last = FIRST_DAY + dt.timedelta(days=2 * self.n_bars)
        days: list[dt.date] = sessions("XNYS", FIRST_DAY, last)[: self.n_bars].tolist()
        return days

    def closes(self) -> list[float]:
        """The traded closes of every symbol in mode ``ok``."""
        return [100 + 5 * math.sin(i / 3) + 0.1 * i for i in range(self.n_bars)]

    def closes_of(self, symbol: str) -> list[float]:
        """The traded closes of one symbol: the common ones, or with ``varied`` a walk of its own."""
        if not self.varied:
            return self.closes()
        market, own = random.Random("market"), random.Random(symbol)
        price, found = 100.0, []
        for _ in range(self.n_bars):
            price *= 1 + market.gauss(0.0003, 0.008) + own.gauss(0, 0.01)
            found.append(price)
        return found

    def stamp(self, day: dt.date, clock: dt.time = OPEN) -> int:
        return int(dt.datetime.combine(day, clock, self.zone).timestamp())

    def session(self) -> Any:
        """A curl_cffi session whose requests to Yahoo reach this server, and no other host."""
        from curl_cffi import requests

        base = self.url

        class LoopbackSession(requests.Session):
            def request(self, method: Any, url: str, *args: Any, **options: Any) -> Any:
                parts = urlsplit(url)
                host = parts.hostname or ""
                if host != "yahoo.com" and not host.endswith(".yahoo.com"):
                    raise AssertionError(f"a request to {host!r} would leave this machine")
                query = f"?{parts.query}" if parts.query else ""
                return super().request(method, f"{base}{parts.path or '/'}{query}", *args, **options)

        return LoopbackSession()

    def chart(self, symbol: str, first: int, last: int) -> dict[str, Any]:
        """The body of ``/v8/finance/chart/SYMBOL`` for stamps in ``first <= t < last``."""
        mode = self.modes.get(symbol, "ok")
        days = self.days()
        rows = [i for i, day in enumerate(days) if first <= self.stamp(day) < last]
        closes = self.closes_of(symbol)
        if mode == "slip":
            closes[NEGATIVE_ROW] /= 100
        if mode == "negative":
            closes[NEGATIVE_ROW] *= -1
        if mode == "zero":
            closes[NEGATIVE_ROW] = 0.0
        # Yahoo takes a dividend off every earlier adjusted close in proportion.
        paid = mode in ("dividend", "holiday-dividend")
        factor = 1 - DIVIDEND / closes[DIVIDEND_ROW - 1] if paid else 1.0
        columns: dict[str, list[float | None]] = {
            "open": [c * 0.99 for c in closes],
            "high": [abs(c) * 1.02 for c in closes],
            "low": [c * 0.97 for c in closes],
            "close": list(closes),
            "volume": [1_000_000.0 + i for i in range(self.n_bars)],
        }
        adjusted: list[float | None] = [c * factor if i < DIVIDEND_ROW else c for i, c in enumerate(closes)]
        if mode == "nulls":
            for column in (*columns.values(), adjusted):
                for row in NULL_ROWS:
                    column[row] = None
        if mode in ("some-volumes", "partial-opens"):
            for row in NULL_ROWS:
                columns["volume" if mode == "some-volumes" else "open"][row] = None
        if mode in ("no-volumes", "zero-volumes"):
            columns["volume"] = [None if mode == "no-volumes" else 0.0] * self.n_bars
        result: dict[str, Any] = {"meta": self._meta(symbol, mode)}
        quote = {name: [column[i] for i in rows] for name, column in columns.items()}
        if mode == "empty" or not rows:
            result["indicators"] = {"quote": [{}], "adjclose": [{}]}
            return {"chart": {"result": [result], "error": None}}
        result["timestamp"] = [self.stamp(days[i]) - 86_400 * (mode == "shifted") for i in rows]
        result["indicators"] = {"quote": [quote], "adjclose": [{"adjclose": [adjusted[i] for i in rows]}]}
        events = self._events(mode)
        if events:
            result["events"] = events
        return {"chart": {"result": [result], "error": None}}

    def _meta(self, symbol: str, mode: str) -> dict[str, Any]:
        day = self.trading_day or self.days()[-1]
        period = {"timezone": "EST", "gmtoffset": -18000}
        span = {**period, "start": self.stamp(day), "end": self.stamp(day, CLOSE)}
        return {
            "currency": "GBp" if mode == "GBp" else "USD",
            "symbol": "OTHER" if mode == "other" else symbol,
            "exchangeName": "NMS",
            "instrumentType": "EQUITY",
            "firstTradeDate": self.stamp(FIRST_DAY),
            "regularMarketTime": self.stamp(day, CLOSE),
            "gmtoffset": -18000,
            "timezone": "EST",
            "exchangeTimezoneName": self.zone.key,
            "regularMarketPrice": self.closes()[-1],
            "priceHint": 2,
            "currentTradingPeriod": {"pre": dict(span), "regular": dict(span), "post": dict(span)},
            "dataGranularity": "1d",
            "range": "",
            "validRanges": ["1d", "5d", "1mo", "3mo", "6mo", "1y", "2y", "5y", "10y", "ytd", "max"],
        }

    def _events(self, mode: str) -> dict[str, Any]:
        if mode == "split":
            stamp = self.stamp(self.days()[SPLIT_ROW])
            split = {"date": stamp, "numerator": 4, "denominator": 1, "splitRatio": "4:1"}
            return {"splits": {str(stamp): split}}
        if mode in ("dividend", "holiday-dividend"):
            day = self.days()[DIVIDEND_ROW]
            if mode == "holiday-dividend":
                day += dt.timedelta(days=5 - day.weekday())
            stamp = self.stamp(day)
            return {"dividends": {str(stamp): {"amount": DIVIDEND, "date": stamp}}}
        return {}


@contextmanager
def fresh_yfinance(patch: pytest.MonkeyPatch) -> Iterator[None]:
    """yfinance keeps its session, crumb, caches and open databases for the whole process: forget them."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from yfinance import base, cache, data
    patch.setenv("NO_PROXY", "127.0.0.1")
    patch.setattr(cache._TzCacheManager, "_tz_cache", None)
    patch.setattr(cache._CookieCacheManager, "_Cookie_cache", None)
    patch.setattr(cache._TzDBManager, "_db", None)
    patch.setattr(cache._CookieDBManager, "_db", None)
    patch.setattr(data.SingletonMeta, "_instances", {})
    patch.setattr(base, "_tz_info_fetch_ctr", 0)
    data.YfData.cache_get.cache_clear()
    yield
    cache._TzDBManager.close_db()
    cache._CookieDBManager.close_db()


class _Server(ThreadingHTTPServer):
    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that was killed or hung up is nothing to print."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    # Head and body in one packet: in two, each answer would wait for a delayed acknowledgement.
    wbufsize = -1

    def do_CONNECT(self) -> None:
        fake: FakeYahoo = self.server.fake  # type: ignore[attr-defined]
        host = self.path.partition(":")[0]
        if fake.context is None or not host.endswith(".yahoo.com"):
            self._send(403, b"", "text/plain")
            return
        self.send_response(200)
        self.end_headers()
        self.wfile.flush()
        try:
            self.connection = fake.context.wrap_socket(self.connection, server_side=True)
        except OSError:
            self.close_connection = True
            return
        self.rfile, self.wfile = self.connection.makefile("rb"), self.connection.makefile("wb")
        self.close_connection = False

    def finish(self) -> None:
        with suppress(OSError):
            super().finish()
        if isinstance(self.connection, ssl.SSLSocket):
            self.connection.close()

    def do_GET(self) -> None:
        fake: FakeYahoo = self.server.fake  # type: ignore[attr-defined]
        parts = urlsplit(self.path)
        fake.paths.append(parts.path)
        if parts.path == "/":
            self._send(404, b"", "text/plain", cookie=True)
        elif parts.path.endswith("/getcrumb"):
            self._send(200, b"crumb", "text/plain")
        elif parts.path.startswith("/v8/finance/chart/"):
            self._chart(fake, unquote(parts.path.removeprefix("/v8/finance/chart/")), parse_qs(parts.query))
        else:
            self._send(404, b"{}")

    def _chart(self, fake: FakeYahoo, symbol: str, query: dict[str, list[str]]) -> None:
        fake.asked[symbol] += 1
        mode = fake.modes.get(symbol, "ok")
        if fake.dies_after is not None and symbol not in list(fake.asked)[: fake.dies_after]:
            mode = "down"
        if mode.startswith("flaky:"):
            mode = "500" if fake.asked[symbol] <= int(mode.removeprefix("flaky:")) else "ok"
        if mode.startswith("flaky-json:"):
            mode = "503json" if fake.asked[symbol] <= int(mode.removeprefix("flaky-json:")) else "ok"
        if mode == "hang":
            fake.closing.wait(10)
        if mode in ("hang", "down"):
            self.close_connection = True
            return
        if symbol in fake.recorded:
            self._json(200, fake.recorded[symbol])
        elif mode == "404":
            self._fault(404, "Not Found", fake.words)
        elif mode in ("500json", "503json"):
            self._fault(int(mode[:3]), "Internal Server Error", "Something went wrong")
        elif mode == "norange":
            self._fault(400, "Bad Request", "Data doesn't exist for startDate = 1, endDate = 2")
        elif mode == "429":
            self._send(429, b"Too Many Requests", "text/plain")
        elif mode == "500":
            self._send(500, b"<html>Internal error</html>", "text/html")
        elif mode == "html":
            self._send(200, b"<html>Will be right back</html>", "text/html")
        else:
            first, last = (
                int(query.get(key, [default])[0]) for key, default in (("period1", "0"), ("period2", "99999999999"))
            )
            self._json(200, fake.chart(symbol, first, last), cut=mode == "truncate")

    def _fault(self, status: int, code: str, description: str) -> None:
        self._json(status, {"chart": {"result": None, "error": {"code": code, "description": description}}})

    def _json(self, status: int, body: Any, *, cut: bool = False) -> None:
        self._send(status, json.dumps(body).encode(), cut=cut)

    def _send(
        self, status: int, body: bytes, kind: str = "application/json", *, cookie: bool = False, cut: bool = False
    ) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        if cookie:
            self.send_header("Set-Cookie", "A3=fake; Max-Age=31557600; Path=/")
        self.end_headers()
        self.wfile.write(body[: len(body) // 2] if cut else body)
        self.close_connection = self.close_connection or cut

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        """Requests are kept in `FakeYahoo.paths`, not printed."""
