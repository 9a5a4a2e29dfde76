"""The Yahoo provider against a server on this machine: what each answer becomes."""

from __future__ import annotations

import datetime as dt
import json
import logging
import os
import stat
import subprocess
import sys
import time
import warnings
from pathlib import Path
from typing import Any

import fake_yahoo
import numpy as np
import pytest
from fake_yahoo import FakeYahoo

from eventstudy.errors import ConfigError, PriceError
from eventstudy.messages import text
from eventstudy.prices import PriceOutcome, PriceRequest, PriceSeries, PriceTable
from eventstudy.prices.yahoo import YahooProvider

RECORDINGS = Path(__file__).parents[3] / "shared" / "data" / "yahoo_v8"
START, END = dt.date(2024, 1, 1), dt.date(2024, 12, 31)
LATER = dt.datetime(2025, 1, 15, tzinfo=dt.UTC)


@pytest.fixture(autouse=True)
def _fresh(monkeypatch: pytest.MonkeyPatch) -> Any:
    with fake_yahoo.fresh_yfinance(monkeypatch):
        yield


def fetch(server: FakeYahoo, folder: Path, *tickers: str, **options: Any) -> PriceTable:
    settings: dict[str, Any] = {"deadline": 2.0, "pause": 0.01, "now": lambda: LATER, **options}
    provider = YahooProvider(session=server.session(), cache_dir=folder / "cache", **settings)
    return provider.fetch(PriceRequest(tickers, START, END))


def test_ok_values_days_and_currency(tmp_path: Path) -> None:
    with FakeYahoo() as server:
        table = fetch(server, tmp_path, "LITE", "^GSPC")
    bars = table.series["LITE"]
    assert [str(day) for day in bars.dates] == [day.isoformat() for day in server.days()]
    np.testing.assert_allclose(bars.close, server.closes(), rtol=1e-12)
    np.testing.assert_allclose(bars.adj_close, server.closes(), rtol=1e-12)
    np.testing.assert_allclose(bars.open, 0.99 * np.array(server.closes()), rtol=1e-12)
    assert bars.volume[3] == 1_000_003
    assert bars.currency == "USD"
    outcome = table.outcomes["LITE"]
    assert (outcome.status, outcome.rows, outcome.first) == ("ok", 60, "2024-01-02")
    assert (outcome.last, tuple(map(text, outcome.notes))) == (server.days()[-1].isoformat(), ())
    assert set(server.asked) == {"LITE", "^GSPC"}
    assert table.source == "yahoo"
    assert not table.simulated


def test_end_of_the_request_is_inclusive(tmp_path: Path) -> None:
    with FakeYahoo() as server:
        provider = YahooProvider(session=server.session(), cache_dir=tmp_path, now=lambda: LATER)
        table = provider.fetch(PriceRequest(("LITE",), dt.date(2024, 1, 4), dt.date(2024, 1, 9)))
    days = ["2024-01-04", "2024-01-05", "2024-01-08", "2024-01-09"]
    assert [str(day) for day in table.series["LITE"].dates] == days


def test_dividend_is_in_adjusted_closes_only(tmp_path: Path) -> None:
    with FakeYahoo({"MSFT": "dividend"}) as server:
        table = fetch(server, tmp_path, "MSFT")
    bars, row = table.series["MSFT"], fake_yahoo.DIVIDEND_ROW
    np.testing.assert_allclose(bars.close, server.closes(), rtol=1e-12)
    expected = 1 - fake_yahoo.DIVIDEND / server.closes()[row - 1]
    np.testing.assert_allclose(bars.adj_close[:row] / bars.close[:row], expected, rtol=1e-12)
    np.testing.assert_array_equal(bars.adj_close[row:], bars.close[row:])
    assert tuple(map(text, table.outcomes["MSFT"].notes)) == ("1 dividend(s)",)


def test_dividend_on_a_day_without_a_bar_makes_no_row(tmp_path: Path) -> None:
    with FakeYahoo({"MSFT": "holiday-dividend"}) as server:
        table = fetch(server, tmp_path, "MSFT")
    assert [str(day) for day in table.series["MSFT"].dates] == [d.isoformat() for d in server.days()]


def test_split_is_noted_with_its_day(tmp_path: Path) -> None:
    with FakeYahoo({"NVDA": "split"}) as server:
        table = fetch(server, tmp_path, "NVDA")
    day = server.days()[fake_yahoo.SPLIT_ROW]
    assert tuple(map(text, table.outcomes["NVDA"].notes)) == (f"split 4:1 on {day}",)


def test_pence_stay_pence(tmp_path: Path) -> None:
    with FakeYahoo({"OCDO.L": "GBp"}) as server:
        table = fetch(server, tmp_path, "OCDO.L")
    assert table.series["OCDO.L"].currency == "GBp"
    np.testing.assert_allclose(table.series["OCDO.L"].close, server.closes(), rtol=1e-12)


def test_null_rows_are_left_out_and_named(tmp_path: Path) -> None:
    with FakeYahoo({"LITE": "nulls"}) as server:
        table = fetch(server, tmp_path, "LITE")
    lost = [server.days()[row].isoformat() for row in fake_yahoo.NULL_ROWS]
    assert table.outcomes["LITE"].rows == 58
    assert tuple(map(text, table.outcomes["LITE"].notes)) == (f"2 day(s) without a price left out: {', '.join(lost)}",)
    assert not set(lost) & {str(day) for day in table.series["LITE"].dates}


@pytest.mark.parametrize(("mode", "shown"), [("negative", "close -"), ("zero", "close 0")])
def test_impossible_price_is_refused_with_its_day(tmp_path: Path, mode: str, shown: str) -> None:
    with FakeYahoo({"BAD": mode}) as server:
        table = fetch(server, tmp_path, "BAD", "LITE")
    outcome = table.outcomes["BAD"]
    assert outcome.status == "refused"
    assert shown in text(outcome.message)
    assert f"on {server.days()[fake_yahoo.NEGATIVE_ROW]}" in text(outcome.message)
    assert set(table.series) == {"LITE"}


@pytest.mark.parametrize(
    ("mode", "words"),
    [
        ("404", '; it says: "No data found, symbol may be delisted"'),
        ("norange", '; it says: "Data doesn\'t exist for startDate = 1, endDate = 2"'),
        ("empty", ""),
    ],
)
def test_no_such_data_keeps_yahoos_own_words(tmp_path: Path, mode: str, words: str) -> None:
    with FakeYahoo(dict.fromkeys(("A", "B", "C", "D"), mode)) as server:
        table = fetch(server, tmp_path, "A", "B", "C", "D", "LITE")
    for ticker in "ABCD":
        message = f"Yahoo has no prices of {ticker} in 2024-01-01..2024-12-31{words}"
        assert table.outcomes[ticker].status == "no_prices"
        assert text(table.outcomes[ticker].message) == message
    assert table.outcomes["LITE"].status == "ok"


def test_no_prices_of_any_ticker_is_an_answer_not_an_error(tmp_path: Path) -> None:
    with FakeYahoo({"A": "404"}) as server:
        assert not fetch(server, tmp_path, "A").series


@pytest.mark.parametrize(
    ("mode", "shown"),
    [
        ("500json", "HTTP status 500"),
        ("503json", "HTTP status 503"),
        ("other", "ValueError: prices of OTHER came for BAD"),
        ("500", "HTTP status 500"),
        ("html", "HTTP status 200"),
        ("truncate", "no answer"),
        ("down", "no answer"),
    ],
)
def test_garbage_is_the_providers_fault_after_retries(tmp_path: Path, mode: str, shown: str) -> None:
    with FakeYahoo({"BAD": mode}) as server:
        table = fetch(server, tmp_path, "LITE", "BAD", "COHR")
    outcome = table.outcomes["BAD"]
    assert outcome.status == "provider_broken"
    assert shown in text(outcome.message)
    assert "delisted" not in text(outcome.message)
    assert server.asked["BAD"] >= 3
    assert set(table.series) == {"LITE", "COHR"}


def test_a_server_in_trouble_is_asked_again(tmp_path: Path) -> None:
    with FakeYahoo({"LITE": "flaky-json:4"}) as server:
        table = fetch(server, tmp_path, "LITE")
    assert (table.outcomes["LITE"].status, table.outcomes["LITE"].rows) == ("ok", 60)


def test_what_a_server_writes_cannot_steer_the_terminal(tmp_path: Path) -> None:
    with FakeYahoo({"A": "404", "B": "404"}) as server:
        server.words = "gone\x1b[2J\r\nall of\u202eit"
        table = fetch(server, tmp_path, "A", "B", "LITE")
    said = text(table.outcomes["B"].message)
    assert said.endswith('it says: "gone [2J  all of it"')
    assert said.isprintable()


def test_null_volumes_are_unknown_and_no_halts(tmp_path: Path) -> None:
    with FakeYahoo({"SOME": "some-volumes", "NONE": "no-volumes", "ZERO": "zero-volumes"}) as server:
        table = fetch(server, tmp_path, "SOME", "NONE", "ZERO")
    assert np.flatnonzero(np.isnan(table.series["SOME"].volume)).tolist() == list(fake_yahoo.NULL_ROWS)
    assert np.nansum(table.series["SOME"].volume) == sum(1_000_000 + i for i in range(60) if i not in (10, 11))
    for ticker in ("NONE", "ZERO"):
        assert np.isnan(table.series[ticker].volume).all()
        assert np.isfinite(table.series[ticker].close).all()


def test_days_without_an_open_keep_their_closes(tmp_path: Path) -> None:
    with FakeYahoo({"LITE": "partial-opens"}) as server:
        series = fetch(server, tmp_path, "LITE").series["LITE"]
    assert np.flatnonzero(np.isnan(series.open)).tolist() == list(fake_yahoo.NULL_ROWS)
    np.testing.assert_allclose(series.close, server.closes(), rtol=1e-12)


def test_hang_ends_at_the_deadline(tmp_path: Path) -> None:
    with FakeYahoo({"SLOW": "hang"}) as server:
        began = time.monotonic()
        table = fetch(server, tmp_path, "LITE", "SLOW", deadline=0.6)
        took = time.monotonic() - began
    assert table.outcomes["SLOW"].status == "provider_broken"
    assert "in 0.6 s" in text(table.outcomes["SLOW"].message)
    assert table.outcomes["LITE"].status == "ok"
    assert took < 3


def test_error_answers_are_not_served_again_from_yfinances_cache(tmp_path: Path) -> None:
    # Each try makes two requests, since yfinance repeats an error once with another cookie.
    with FakeYahoo({"LITE": "flaky:4"}) as server:
        table = fetch(server, tmp_path, "LITE")
    assert table.outcomes["LITE"].status == "ok"
    assert table.outcomes["LITE"].rows == 60
    with FakeYahoo({"COHR": "flaky:4"}) as server, pytest.raises(PriceError):
        fetch(server, tmp_path, "COHR", retries=2)


def test_rate_limit_stops_all_further_requests_and_keeps_the_rest(tmp_path: Path) -> None:
    with FakeYahoo({"COHR": "429"}) as server:
        table = fetch(server, tmp_path, "LITE", "COHR", "NVDA", "MU")
    statuses = {ticker: outcome.status for ticker, outcome in table.outcomes.items()}
    limited = dict.fromkeys(("COHR", "NVDA", "MU"), "rate_limited")
    assert statuses == {"LITE": "ok", **limited}
    assert table.outcomes["NVDA"].ticker == "NVDA"
    assert "COHR" in text(table.outcomes["NVDA"].message)
    assert server.asked["NVDA"] == server.asked["MU"] == 0
    assert table.series["LITE"].close[0] == pytest.approx(server.closes()[0])


def test_rate_limit_at_the_first_ticker_raises(tmp_path: Path) -> None:
    with FakeYahoo({"LITE": "429"}) as server, pytest.raises(PriceError) as caught:
        fetch(server, tmp_path, "LITE", "COHR")
    assert caught.value.exit_code == 4
    assert "too many requests" in str(caught.value)
    assert "--prices DIR" in caught.value.problems[-1].message


def test_dead_line_stops_after_two_tickers(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    server = FakeYahoo()
    with server:
        session = server.session()
    provider = YahooProvider(session=session, cache_dir=tmp_path, deadline=2, pause=0.01)
    with pytest.raises(PriceError) as caught:
        provider.fetch(PriceRequest(("LITE", "COHR", "NVDA", "MU"), START, END))
    lines = str(caught.value).splitlines()
    assert "NVDA, MU: not requested: Yahoo had not answered for LITE and COHR" in lines
    assert "run the same command again" in lines[-1]
    # Without a line yfinance logs each cookie it fails to fetch; the error above says it once.
    assert [record.getMessage() for record in caplog.records if record.name == "yfinance"] == []


def test_default_session_uses_the_proxy_of_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with FakeYahoo() as server:
        closed = server.url
    for name in ("HTTPS_PROXY", "HTTP_PROXY", "https_proxy", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, closed)
    provider = YahooProvider(cache_dir=tmp_path, deadline=2, retries=2, pause=0.01)
    with pytest.raises(PriceError) as caught:
        provider.fetch(PriceRequest(("LITE",), START, END))
    assert "over proxy 127.0.0.1" in str(caught.value)
    assert caught.value.exit_code == 4


def test_progress_is_told_of_each_ticker_before_the_next(tmp_path: Path) -> None:
    told: list[tuple[str, str, int, int]] = []

    with FakeYahoo({"BAD": "404"}) as server:

        def note(outcome: PriceOutcome, bars: PriceSeries | None) -> None:
            rows = len(bars.dates) if bars else 0
            told.append((outcome.ticker, outcome.status, rows, server.asked["MU"]))

        fetch(server, tmp_path, "LITE", "BAD", "MU", progress=note)
    assert told[:2] == [("LITE", "ok", 60, 0), ("BAD", "no_prices", 0, 0)]
    assert told[2][:3] == ("MU", "ok", 60)


def test_certificate_error_names_what_to_set(tmp_path: Path) -> None:
    from curl_cffi import requests
    from curl_cffi.requests.exceptions import CertificateVerifyError

    calls = []

    class Intercepted(requests.Session):
        def request(self, _method: Any, url: str, *_args: Any, **_options: Any) -> Any:
            calls.append(url)
            raise CertificateVerifyError("SSL certificate problem: self-signed certificate")

    provider = YahooProvider(session=Intercepted(), cache_dir=tmp_path, pause=0.01, now=lambda: LATER)
    with pytest.raises(PriceError, match=r"SSL_CERT_FILE and CURL_CA_BUNDLE"):
        provider.fetch(PriceRequest(("LITE",), START, END))
    assert sum("/chart/LITE" in url for url in calls) == 1


@pytest.mark.parametrize("content", [b"this is no database " * 100, b"SQLite format 3\0" + b"\xff" * 4096])
@pytest.mark.parametrize("name", ["tkr-tz.db", "cookies.db"])
def test_damaged_cache_is_deleted(tmp_path: Path, name: str, content: bytes) -> None:
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache" / name).write_bytes(content)
    with FakeYahoo() as server:
        table = fetch(server, tmp_path, "LITE", "COHR")
    assert {outcome.status for outcome in table.outcomes.values()} == {"ok"}
    remade = tmp_path / "cache" / name
    assert not remade.exists() or remade.read_bytes()[:4096] != content[:4096]


def test_cache_folder_is_private(tmp_path: Path) -> None:
    with FakeYahoo() as server:
        fetch(server, tmp_path, "LITE")
    assert (tmp_path / "cache" / "tkr-tz.db").is_file()
    if sys.platform != "win32":
        assert stat.S_IMODE((tmp_path / "cache").stat().st_mode) == 0o700


@pytest.mark.parametrize(
    ("now", "kept"),
    [
        ("2024-01-12T15:59:00-05:00", False),
        ("2024-01-12T16:00:00-05:00", True),
        ("2024-01-12T23:30:00-05:00", True),
        ("2024-01-13T05:59:00+09:00", False),
        ("2024-01-11T20:00:00-05:00", False),
        ("2024-01-16T10:00:00-05:00", True),
    ],
)
def test_unfinished_session_is_left_out(tmp_path: Path, now: str, kept: bool) -> None:
    with FakeYahoo(n_bars=9) as server:
        assert server.days()[-1] == dt.date(2024, 1, 12)
        server.trading_day = dt.date(2024, 1, 12)
        table = fetch(server, tmp_path, "LITE", now=lambda: dt.datetime.fromisoformat(now))
    outcome = table.outcomes["LITE"]
    assert outcome.last == ("2024-01-12" if kept else "2024-01-11")
    left_out = "1 day(s) not finished when they were fetched left out: 2024-01-12"
    assert tuple(map(text, outcome.notes)) == (() if kept else (left_out,))


def test_stale_trading_period_does_not_prove_that_today_is_over(tmp_path: Path) -> None:
    with FakeYahoo(n_bars=9) as server:
        server.trading_day = dt.date(2024, 1, 11)
        after_close = dt.datetime.fromisoformat("2024-01-12T17:00:00-05:00")
        table = fetch(server, tmp_path, "LITE", now=lambda: after_close)
    assert table.outcomes["LITE"].last == "2024-01-11"


def test_tickers_are_checked_before_any_request(tmp_path: Path) -> None:
    bad = ("AAPL#x", "../../x", "A B", "lite", "002281", "603083", "US0378331005", "")
    with FakeYahoo() as server:
        with pytest.raises(ConfigError) as caught:
            fetch(server, tmp_path, "LITE", *bad)
        with pytest.raises(ConfigError) as bare:
            fetch(server, tmp_path, "LITE", "002281", "603083", "US0378331005")
    assert server.paths == []
    assert len(caught.value.problems) == 5
    messages = [problem.message for problem in bare.value.problems]
    assert "'002281.SZ'" in messages[0]
    assert "'603083.SS'" in messages[1]
    assert "ISIN" in messages[2]


def test_settings_that_make_no_sense_are_refused() -> None:
    for options in ({"deadline": 0.0}, {"retries": 0}, {"pause": -1.0}):
        with pytest.raises(ConfigError, match="deadline > 0"):
            YahooProvider(**options)  # type: ignore[arg-type]


def test_one_ticker_twice_is_asked_for_once(tmp_path: Path) -> None:
    with FakeYahoo() as server:
        fetch(server, tmp_path, "LITE")
        once = server.asked["LITE"]
        fetch(server, tmp_path, "COHR", "COHR")
    assert server.asked["COHR"] == once


def test_nothing_is_printed_warned_or_left_changed(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    import yfinance

    logger = logging.getLogger("yfinance")
    before = logger.level, yfinance.config.debug.hide_exceptions, list(warnings.filters)
    with FakeYahoo({"A": "404", "B": "500", "C": "down"}) as server, warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        filters = list(warnings.filters)
        fetch(server, tmp_path, "LITE", "A", "B", "C")
        assert warnings.filters == filters
    assert [record.getMessage() for record in caplog.records if record.name == "yfinance"] == []
    assert [str(warning.message) for warning in caught] == []
    assert capfd.readouterr() == ("", "")
    assert (logger.level, yfinance.config.debug.hide_exceptions, list(warnings.filters)) == before


FRESH_PROCESS = """
import datetime as dt, sys
from pathlib import Path
from fake_yahoo import FakeYahoo
from eventstudy.prices import PriceRequest, get_provider
with FakeYahoo({"A": "404", "B": "dividend"}) as server:
    provider = get_provider("yahoo")(session=server.session(), cache_dir=Path(sys.argv[1]), pause=0.01)
    table = provider.fetch(PriceRequest(("LITE", "A", "B"), dt.date(2024, 1, 1), dt.date(2024, 12, 31)))
print(*(outcome.status for outcome in table.outcomes.values()))
"""


def test_first_import_of_yfinance_warns_of_nothing(tmp_path: Path) -> None:
    tests = Path(__file__).parents[1]
    paths = os.pathsep.join([str(tests / "support"), str(tests.parent)])
    done = subprocess.run(
        [sys.executable, "-W", "default", "-c", FRESH_PROCESS, str(tmp_path)],
        env={**os.environ, "PYTHONPATH": paths, "NO_PROXY": "127.0.0.1"},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert (done.stdout.strip(), done.stderr) == ("ok no_prices ok", "")


def test_importing_the_package_imports_neither_pandas_nor_yfinance() -> None:
    code = (
        "import sys, eventstudy.prices as p; p.get_provider('simulated'); p.get_provider('files'); "
        "print([m for m in ('pandas', 'yfinance', 'pyarrow', 'eventstudy.prices.yahoo') if m in sys.modules])"
    )
    root = Path(__file__).parents[2]
    done = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def recorded(name: str) -> Any:
    return json.loads((RECORDINGS / name).read_text(encoding="utf-8"))["response"]["bodyJson"]


RECORDED = [
    ("AAPL", "chart-AAPL-2020-08-31-to-2020-11-07.json", ("split 4:1 on 2020-08-31", "1 dividend(s)")),
    ("MSFT", "historical-via-chart-MSFT-dividends-2021-02-01-to-2022-01-31.csv.json", ("4 dividend(s)",)),
    ("NVDA", "historical-via-chart-NVDA-split-2021-02-01-to-2022-01-31.csv.json", ("split 4:1 on 2021-07-20",)),
    ("OCDO.L", "chart-OCDO.L-2020-01-01-to-2020-01-03.json", ()),
]


@pytest.mark.skipif(not RECORDINGS.is_dir(), reason="recorded answers of Yahoo are not on this machine")
@pytest.mark.parametrize(("ticker", "name", "notes"), RECORDED)
def test_recorded_answers_of_yahoo(tmp_path: Path, ticker: str, name: str, notes: tuple[str, ...]) -> None:
    body = recorded(name)
    answer = body["chart"]["result"][0]
    with FakeYahoo() as server:
        server.recorded[ticker] = body
        provider = YahooProvider(session=server.session(), cache_dir=tmp_path, pause=0.01)
        table = provider.fetch(PriceRequest((ticker,), dt.date(2020, 1, 1), dt.date(2022, 12, 31)))
    bars = table.series[ticker]
    np.testing.assert_allclose(bars.close, answer["indicators"]["quote"][0]["close"], rtol=1e-12)
    np.testing.assert_allclose(bars.adj_close, answer["indicators"]["adjclose"][0]["adjclose"], rtol=1e-12)
    assert bars.currency == answer["meta"]["currency"]
    assert tuple(map(text, table.outcomes[ticker].notes)) == notes


@pytest.mark.skipif(not RECORDINGS.is_dir(), reason="recorded answers of Yahoo are not on this machine")
def test_recorded_empty_answer(tmp_path: Path) -> None:
    name = "chart-AAPL-2025-02-01-to-2025-02-02-includePrePost-false-interval-1m.json"
    with FakeYahoo() as server:
        server.recorded["AAPL"] = recorded(name)
        table = fetch(server, tmp_path, "AAPL")
    assert table.outcomes["AAPL"].status == "no_prices"
