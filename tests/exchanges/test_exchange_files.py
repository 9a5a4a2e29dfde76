"""The facts of exchanges: one file a country, read by one module, and one file to add an exchange."""

from __future__ import annotations

import ast
import datetime as dt
import importlib
import importlib.util
import itertools
import os
import re
import shutil
import subprocess
import sys
import zoneinfo
from pathlib import Path

import numpy as np
import pytest
from studies import event_row, write_events, write_prices, write_study

from eventstudy.api import Study
from eventstudy.backtest.costs import cost_table
from eventstudy.cli import main
from eventstudy.commands.doctor import examine
from eventstudy.config import Model, load_config
from eventstudy.errors import ConfigError
from eventstudy.events import Event
from eventstudy.exchanges import examples
from eventstudy.exchanges import exchange as known
from eventstudy.exchanges.calendars import align, exchange_sessions, session_close
from eventstudy.exchanges.rules import board_of, limit_prices, sessions_before_sale, tick_size

PACKAGE = Path(known.__file__).parents[1]
DOCS = PACKAGE.parent / "docs"

WARSAW = """
country = "PL"
name = "Poland"
time_zone = "Europe/Warsaw"
currency = "PLN"

[sources]
rules = { kind = "exchange", text = "A page of the exchange" }

[[exchanges]]
mic = "XWAR"
name = "Warsaw Stock Exchange"
known_as = ["GPW"]
suffix = ".WA"
index = "WIG20.WA"
board = "warsaw"

[[boards]]
name = "warsaw"

[[limits]]
boards = ["warsaw"]
from = 2015-01-01
limit = 0.15
source = "rules"

[[selling]]
boards = ["warsaw"]
sessions_before_sale = 0
short_sales = "by borrowing"
verified = false

[[fees]]
exchanges = ["XWAR"]
name = "commission"
side = "both"
bps = 19.0
until = 2020-12-31
source = "rules"

[[fees]]
exchanges = ["XWAR"]
name = "commission"
side = "both"
bps = 12.0
from = 2021-01-01
verified = false

[[extra_sessions]]
exchanges = ["XWAR"]
day = 2021-06-12
open = 09:00:00
close = 12:00:00
source = "rules"
"""


@pytest.fixture(autouse=True)
def _no_further_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(known.FOLDER, raising=False)


@pytest.fixture
def warsaw(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "exchanges"
    folder.mkdir()
    (folder / "poland.toml").write_text(WARSAW, encoding="utf-8")
    monkeypatch.setenv(known.FOLDER, str(folder))
    # The sessions of a MIC are worked out once a process.
    monkeypatch.setattr("eventstudy.exchanges.calendars._SESSIONS", {})
    return folder


def day(text: str) -> dt.date:
    return dt.date.fromisoformat(text)


def bps(mic: str, side: str, on: str) -> dict[str, float]:
    return {fee.name: fee.bps for fee in cost_table([mic]).in_force(mic, side, day(on))}  # type: ignore[arg-type]


def test_an_exchange_is_one_file_in_a_folder(warsaw: Path, tmp_path: Path) -> None:
    assert board_of("PKO.WA", "XWAR") == "warsaw"
    assert limit_prices("warsaw", day("2021-06-09"), 10.0) == (8.5, 11.5)
    assert limit_prices("warsaw", day("2014-12-31"), 10.0) == pytest.approx((np.nan, np.nan), nan_ok=True)
    assert bps("XWAR", "sell", "2020-12-31") == {"commission": 19.0}
    assert bps("XWAR", "buy", "2021-01-01") == {"commission": 12.0}
    assert sessions_before_sale("warsaw", day("2021-06-09")) == 0
    assert session_close("XWAR", day("2021-06-12")) == dt.datetime(2021, 6, 12, 10, tzinfo=dt.UTC)
    assert main(["init", "banks", "--peer", "PKO:XWAR", "--dir", str(tmp_path / "banks")]) == 0
    market = load_config(tmp_path / "banks" / "events.csv").markets[0]
    assert (market.benchmark, market.region, market.currency, market.board) == ("WIG20.WA", "PL", "PLN", "warsaw")
    assert "poland.toml" in examine.known_exchanges().text


def test_a_pack_names_the_files_of_the_folder(warsaw: Path, tmp_path: Path) -> None:
    write_prices(tmp_path / "prices")
    events = write_events(tmp_path, [event_row("E1", "2021-06-09")])
    study = Study.from_toml(write_study(tmp_path), overrides={"report.formats": ["csv", "json"]})
    result = study.run(events, prices=tmp_path / "prices")
    assert [item["name"] for item in result.manifest["exchanges"]] == ["poland.toml"]
    assert len(result.manifest["exchanges"][0]["sha256"]) == 64


def test_an_exchange_is_one_file_in_the_package(tmp_path: Path) -> None:
    copied = tmp_path / "eventstudy"
    shutil.copytree(PACKAGE, copied, ignore=shutil.ignore_patterns("__pycache__"))
    (copied / "exchanges" / "poland.toml").write_text(WARSAW, encoding="utf-8")
    code = (
        "import datetime as dt; import eventstudy; print(eventstudy.__file__);"
        "from eventstudy.exchanges.rules import board_of, limit_prices;"
        "print(board_of('PKO.WA', 'XWAR'), limit_prices('warsaw', dt.date(2021, 6, 9), 10.0));"
        "from eventstudy.exchanges.exchange import further_files; print(further_files())"
    )
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment, cwd=tmp_path
    )
    assert done.stdout.splitlines() == [str(copied / "__init__.py"), "warsaw (8.5, 11.5)", "()"]


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("limit = 0.15", "limt = 0.15", "PriceLimit: key 'limt'; accepted: .*did you mean 'limit'"),
        ("[[limits]]", "[[limit]]", "key 'limit'; accepted: .*did you mean 'limits'"),
        ('name = "Poland"', "", "name is missing, or no text"),
        ('name = "Warsaw Stock Exchange"', "", "Exchange: name is missing"),
        ('boards = ["warsaw"]', 'boards = ["warsw"]', "boards 'warsw'; accepted: warsaw; did you mean"),
        ('source = "rules"', 'source = "rule"', "source 'rule'; accepted: rules; did you mean 'rules'"),
        ('source = "rules"', "", "a line without source; name one, or write verified = false"),
        ("from = 2015-01-01", 'from = "2015-01-01"', "limits: '2015-01-01' is not a date"),
        ('kind = "exchange"', 'kind = "rumour"', "source 'rules': give text and kind, one of exchange, "),
        ('board = "warsaw"', 'board = "gpw"', "exchange XWAR: board 'gpw': accepted: bse, "),
        ('mic = "XWAR"', 'mic = "XLON"', "XLON is described in .*uk.toml already"),
        ("limit = 0.15", "limit = ", "cannot be read as TOML"),
    ],
)
def test_a_faulty_file_is_named_with_what_is_wrong(warsaw: Path, old: str, new: str, said: str) -> None:
    text = WARSAW.replace(old, new)
    if 'mic = "XLON"' in text:
        text = text.replace('["XWAR"]', '["XLON"]')
    # Each text is read from a folder of its own: what is known is kept by folder.
    folder = warsaw / "faulty"
    folder.mkdir()
    (folder / "poland.toml").write_text(text, encoding="utf-8")
    os.environ[known.FOLDER] = str(folder)
    with pytest.raises(ConfigError, match=said) as caught:
        known.exchanges()
    assert "poland.toml" in str(caught.value)
    assert examine.known_exchanges().state == "warning"


def test_a_folder_that_is_none_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(known.FOLDER, str(tmp_path / "nowhere"))
    with pytest.raises(ConfigError, match="EVENTSTUDY_EXCHANGES does not name a folder"):
        known.exchanges()


def _texts(path: Path) -> list[tuple[int, str]]:
    """Every string of a module that is no docstring, with its line."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    docstrings = {
        id(node.value)
        for holder in ast.walk(tree)
        if isinstance(getattr(holder, "body", None), list)
        for node in holder.body
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    }
    return [
        (node.lineno, node.value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in docstrings
    ]


def foreign_facts(path: Path) -> list[str]:
    """Strings of a module that name an exchange or end a ticker as one does."""
    all_mics = "|".join(known.exchanges())
    endings = "|".join(re.escape(item.suffix) for item in known.exchanges().values() if item.suffix)
    pattern = re.compile(rf"\b({all_mics})\b|^({endings})$|\b\d{{4,6}}({endings})\b")
    return [f"{path.name}:{line}: {text!r}" for line, text in _texts(path) if pattern.search(text)]


def test_no_module_outside_knows_an_exchange_by_name() -> None:
    modules = [path for path in PACKAGE.rglob("*.py") if path.parent != PACKAGE / "exchanges"]
    assert len(modules) > 100
    assert [found for path in modules for found in foreign_facts(path)] == []


def test_such_a_name_would_be_found(tmp_path: Path) -> None:
    path = tmp_path / "costs.py"
    path.write_text('"""XNYS may stand here."""\nA = ("XSHG",)\nB = f"{A}.SS"\nC = "BTF.L"\nD = "600000.SS"\n')
    assert sorted(found.split(":")[1] for found in foreign_facts(path)) == ["2", "3", "5"]


def test_the_stamp_duty_of_2023_stands_in_one_place() -> None:
    assert bps("XSHG", "sell", "2023-08-27")["stamp_duty"] == 10.0
    assert bps("XSHG", "sell", "2023-08-28")["stamp_duty"] == 5.0
    assert "stamp_duty" not in bps("XSHG", "buy", "2023-08-28")
    files = [*PACKAGE.rglob("*.py"), *PACKAGE.rglob("*.toml")]
    named = {path.name for path in files if re.search(r"2023-08-28|2023, 8, 28", path.read_text("utf-8"))}
    assert named == {"china.toml"}


def test_beijing_is_as_complete_as_shanghai() -> None:
    beijing, shanghai = known.exchanges()["BJSE"], known.exchanges()["XSHG"]
    assert {fee.name for fee in beijing.fees} == {fee.name for fee in shanghai.fees}
    assert [fee.bps for fee in beijing.fees if fee.name == "transfer"] == [0.25, 0.1]
    assert [fee.bps for fee in beijing.fees if fee.name == "stamp_duty"] == [10.0, 5.0]
    assert (beijing.calendar, beijing.currency, beijing.index) == ("XSHG", "CNY", "899050.BJ")
    bse = known.boards()["bse"]
    assert [lot.size for lot in bse.lots] == [100]
    assert [rule.limit for rule in bse.limits] == [0.3]


def test_hong_kong_has_rules_and_dated_fees() -> None:
    assert board_of("0700.HK", "XHKG") == "hkex"
    assert limit_prices("hkex", day("2022-03-15"), 300.0) == (0.0, np.inf)
    assert sessions_before_sale("hkex", day("2022-03-15")) == 0
    taxes = [bps("XHKG", "buy", on)["stamp_duty"] for on in ("2021-07-31", "2021-08-01", "2023-11-17")]
    assert taxes == [10.0, 13.0, 10.0]
    # 10 + 0.27 + 0.015 + 0.565 + 0.42 of charges, 5 of commission.
    assert cost_table(["XHKG"]).fee_bps("XHKG", "buy", day("2025-07-02")) == pytest.approx(16.27)
    assert cost_table(["XHKG"]).half_spread_bps("XHKG", "buy", day("2025-07-02")) == 10.0
    days = np.array(["2025-08-01", "2025-08-04", "2025-08-01", "2025-08-04"], dtype="datetime64[D]")
    assert tick_size("hkex", [15.0, 15.0, 30.0, 30.0], days).tolist() == [0.02, 0.01, 0.05, 0.02]
    assert tick_size("hkex", [9.99, 60.0, 7000.0]).tolist() == [0.01, 0.05, 5.0]
    assert tick_size("hkex", [15.0], np.array(["2001-01-02"], dtype="datetime64[D]")).tolist() == [0.02]


def test_mumbai_trades_on_some_saturdays() -> None:
    sessions = exchange_sessions("XBOM")
    weekend = sessions.days[(sessions.days.astype(int) + 3) % 7 >= 5]
    assert weekend.astype(str).tolist() == [
        "2015-02-28",
        "2016-10-30",
        "2019-10-27",
        "2020-02-01",
        "2020-11-14",
        "2023-11-12",
        "2024-01-20",
        "2024-03-02",
        "2024-05-18",
        "2025-02-01",
        "2026-02-01",
    ]
    assert (np.diff(sessions.days).astype(int) > 0).all()
    assert (sessions.opens < sessions.closes).all()
    assert (sessions.closes[:-1] < sessions.opens[1:]).all()
    assert session_close("XBOM", day("2024-03-02")) == dt.datetime(2024, 3, 2, 7, tzinfo=dt.UTC)
    found = align(
        Event(event_id="E", timestamp=day("2024-03-02"), precision="date", kind="report", label="unknown"), "XBOM"
    )
    assert found is not None
    assert (found.session, found.reaction) == (day("2024-03-02"), "date")


def test_no_session_is_added_past_the_end_of_a_calendar(warsaw: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    later = warsaw / "later"
    later.mkdir()
    (later / "poland.toml").write_text(WARSAW.replace("2021-06-12", "2199-06-12"), encoding="utf-8")
    monkeypatch.setenv(known.FOLDER, str(later))
    assert exchange_sessions("XWAR").days[-1] < np.datetime64("2199-01-01")


def test_a_ticker_of_digits_is_given_its_exchange() -> None:
    given = ("600000", "900901", "002281", "300308", "200011", "430047", "830799", "920001", "510300")
    assert [known.with_suffix(ticker)[-3:] for ticker in given] == [
        ".SS",
        ".SS",
        ".SZ",
        ".SZ",
        ".SZ",
        ".BJ",
        ".BJ",
        ".BJ",
        ".SS",
    ]
    assert [known.with_suffix(ticker) for ticker in ("2330", "LITE", "499999")] == ["", "", ""]


def test_zones_and_currencies_are_real_and_the_calendars() -> None:
    assert len(known.exchanges()) >= 27
    for mic, exchange in known.exchanges().items():
        assert re.fullmatch(r"[A-Z0-9]{4}", mic)
        assert re.fullmatch(r"[A-Z]{3}", exchange.currency)
        assert re.fullmatch(r"[A-Z]{2}", exchange.country)
        name = exchange.calendar
        if name == "24/7":
            assert exchange.time_zone == "UTC"
            continue
        module = importlib.import_module(f"exchange_calendars.exchange_calendar_{name.lower()}")
        kind = getattr(module, f"{name}ExchangeCalendar")
        moment = dt.datetime(2024, 7, 1, 12)
        zone = zoneinfo.ZoneInfo(exchange.time_zone)
        assert moment.replace(tzinfo=zone).utcoffset() == moment.replace(tzinfo=kind.tz).utcoffset(), mic


def test_dates_of_a_fact_follow_each_other() -> None:
    for exchange in known.exchanges().values():
        names = {(fee.name, fee.side) for fee in exchange.fees}
        for name, side in names:
            fees = [fee for fee in exchange.fees if (fee.name, fee.side) == (name, side)]
            for one, other in itertools.pairwise(fees):
                assert one.until == other.first - dt.timedelta(days=1), (exchange.mic, name)
            assert fees[-1].until is None
        for one, other in itertools.pairwise(exchange.settlement):
            assert one.until == other.first - dt.timedelta(days=1)


def test_every_fact_has_a_source_or_says_that_it_is_from_memory() -> None:
    facts = list(known.dated_facts())
    assert len(facts) > 150
    assert [fact for fact in facts if not fact.source and fact.certainty != "memory"] == []


def test_examples_and_the_worlds_index_are_facts() -> None:
    mic, _, index = examples.EXAMPLE_INDEX.partition(":")
    assert known.exchanges()[mic].index == index
    assert known.exchanges()[known.WORLD_MARKET].index == Model().world
    assert examples.EXAMPLE_PEER.split(":")[1] in known.exchanges()
    assert examples.EXAMPLE_MARKET.split(":")[1] in known.exchanges()


def test_reading_them_imports_neither_numpy_nor_pandas() -> None:
    code = (
        "import sys; from eventstudy.exchanges.exchange import exchanges; print(len(exchanges()));"
        "print(sorted(m for m in ('numpy', 'pandas', 'exchange_calendars') if m in sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == [str(len(known.exchanges())), "[]"]


def test_the_page_of_market_rules_is_that_of_the_files() -> None:
    spec = importlib.util.spec_from_file_location("make_market_rules", DOCS / "make_market_rules.py")
    assert spec is not None
    assert spec.loader is not None
    made = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(made)
    text = (DOCS / "market-rules.md").read_text(encoding="utf-8")
    assert made.page(text) == text, "run docs/make_market_rules.py"
    assert set(re.findall(r"<!-- table: (\w+) -->", text)) == set(made.TABLES)
    assert "| XSHG, XSHE, BJSE | stamp_duty | sell | 2023-08-28 |  | 5 | source |" in text
