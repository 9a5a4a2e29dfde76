"""Providers beside Yahoo and files: baostock, DuckDB, and those of other distributions."""

from __future__ import annotations

import datetime as dt
import threading
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from studies import event_row, write_events, write_prices, write_study

from eventstudy import registry
from eventstudy.cli import main
from eventstudy.errors import ConfigError, PriceError
from eventstudy.messages import text
from eventstudy.prices import PROVIDERS, PriceRequest, get_provider
from eventstudy.prices.baostock import BaostockProvider
from eventstudy.prices.sql import query_prices

REQUEST = PriceRequest(("300308.SZ", "000300.SS"), dt.date(2024, 1, 2), dt.date(2024, 1, 5))
EVENING = dt.datetime(2024, 1, 5, 20, tzinfo=dt.timezone(dt.timedelta(hours=8)))


class Answer:
    """The shape of baostock's ResultData: codes as text, rows one by one."""

    def __init__(self, rows: list[list[str]], code: str = "0", message: str = "success") -> None:
        self.error_code, self.error_msg, self.rows, self.at = code, message, rows, -1

    def next(self) -> bool:
        self.at += 1
        return self.at < len(self.rows)

    def get_row_data(self) -> list[str]:
        return self.rows[self.at]


class FakeBaostock:
    """Stands for the module ``baostock``: prints as it does, and answers from a table."""

    def __init__(self) -> None:
        self.queries: list[dict[str, str]] = []
        self.signed_in = "0"
        self.fault: Any = None
        self.days = ["2024-01-02", "2024-01-03", "2024-01-04", "2024-01-05"]

    def login(self) -> Answer:
        print("login success!")
        return Answer([], self.signed_in, "服务器连接失败")

    def query_history_k_data_plus(self, code: str, fields: str, **options: str) -> Answer:
        self.queries.append({"code": code, "fields": fields, **options})
        if isinstance(self.fault, Answer):
            return self.fault
        if isinstance(self.fault, threading.Event):
            self.fault.wait(10)
        factor = {"3": 1.0, "1": 7.5}[options["adjustflag"]]
        rows = [
            [day, *(f"{(10 + i + add) * factor:.4f}" for add in (0.1, 0.5, -0.5, 0.0)), "" if i == 2 else "1000"]
            for i, day in enumerate(self.days)
        ]
        return Answer(rows)


def test_baostock_gives_traded_and_back_adjusted_closes(capsys: pytest.CaptureFixture[str]) -> None:
    client = FakeBaostock()
    kept: list[str] = []
    provider = BaostockProvider(
        client=client, now=lambda: EVENING, progress=lambda outcome, _: kept.append(outcome.ticker)
    )
    table = provider.fetch(REQUEST)
    series = table.series["300308.SZ"]
    assert [str(day) for day in series.dates] == client.days
    np.testing.assert_allclose(series.close, [10, 11, 12, 13])
    np.testing.assert_allclose(series.open, [10.1, 11.1, 12.1, 13.1])
    np.testing.assert_allclose(series.adj_close, [75, 82.5, 90, 97.5])
    np.testing.assert_array_equal(series.volume, [1000, 1000, 0, 1000])
    assert series.currency == "CNY"
    assert [(q["code"], q["adjustflag"]) for q in client.queries] == [
        ("sz.300308", "3"),
        ("sz.300308", "1"),
        ("sh.000300", "3"),
        ("sh.000300", "1"),
    ]
    assert client.queries[0]["start_date"] == "2024-01-02"
    assert client.queries[0]["end_date"] == "2024-01-05"
    assert kept == ["300308.SZ", "000300.SS"]
    assert capsys.readouterr().out == ""


def test_baostock_leaves_out_a_session_that_is_not_over() -> None:
    noon = EVENING.replace(hour=12)
    table = BaostockProvider(client=FakeBaostock(), now=lambda: noon).fetch(REQUEST)
    assert str(table.series["300308.SZ"].dates[-1]) == "2024-01-04"


@pytest.mark.parametrize(
    ("fault", "status", "said"),
    [
        (Answer([], "10004020", "错误"), "provider_broken", "ValueError: 10004020 错误"),
        (Answer([]), "no_prices", "no finished session of 300308.SZ"),
        (Answer([["2024-01-02", "1", "1", "1", "0", "5"]]), "refused", "a close of zero or less"),
        (Answer([["2024-01-02", "x", "1", "1", "1", "5"]]), "provider_broken", "could not convert"),
    ],
)
def test_what_baostock_answers_becomes_an_outcome(fault: Answer, status: str, said: str) -> None:
    client = FakeBaostock()
    client.fault = fault
    # The second query of a ticker reads the same rows again.
    fault.get_row_data = lambda: fault.rows[0]  # type: ignore[method-assign]
    fault.next = iter([True, False] * 4 if fault.rows else [False] * 4).__next__  # type: ignore[method-assign]
    outcome = BaostockProvider(client=client, now=lambda: EVENING).fetch(REQUEST).outcomes["300308.SZ"]
    assert outcome.status == status
    assert said in text(outcome.message)


def test_baostock_stops_asking_when_no_answer_comes() -> None:
    client = FakeBaostock()
    client.fault = threading.Event()
    try:
        table = BaostockProvider(client=client, deadline=0.1, now=lambda: EVENING).fetch(REQUEST)
    finally:
        client.fault.set()
    assert text(table.outcomes["300308.SZ"].message).endswith("TimeoutError: no answer in 0.1 s")
    assert "000300.SS" not in table.outcomes


def test_baostock_has_no_other_exchange_and_its_login_may_fail() -> None:
    client = FakeBaostock()
    table = BaostockProvider(client=client).fetch(PriceRequest(("LITE",), REQUEST.start, REQUEST.end))
    assert text(table.outcomes["LITE"].message).startswith("baostock has Shanghai and Shenzhen only")
    assert client.queries == []
    client.signed_in = "10002007"
    with pytest.raises(PriceError, match=r"baostock cannot be reached \(10002007 服务器连接失败\); run the same"):
        BaostockProvider(client=client).fetch(REQUEST)
    client.login = lambda: 1 / 0  # type: ignore[method-assign, return-value, assignment]
    with pytest.raises(PriceError, match="ZeroDivisionError"):
        BaostockProvider(client=client).fetch(REQUEST)
    with pytest.raises(ConfigError, match="deadline > 0"):
        BaostockProvider(deadline=0)


def test_a_missing_extra_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(__import__("sys").modules, "baostock", None)
    with pytest.raises(ConfigError, match=r"pip install 'eventstudy-kit\[baostock\]'"):
        BaostockProvider().fetch(REQUEST)
    monkeypatch.setitem(__import__("sys").modules, "duckdb", None)
    (tmp_path / "p.duckdb").write_bytes(b"")
    with pytest.raises(ConfigError, match=r"pip install 'eventstudy-kit\[sql\]'"):
        query_prices(str(tmp_path / "p.duckdb"), REQUEST)


@pytest.fixture
def database(tmp_path: Path) -> Path:
    """A DuckDB file with the prices of the small study in a table ``prices``."""
    duckdb = pytest.importorskip("duckdb")
    write_prices(tmp_path / "prices")
    path = tmp_path / "p.duckdb"
    with duckdb.connect(str(path)) as connection:
        connection.execute(
            "CREATE TABLE prices AS SELECT parse_filename(filename, true) AS ticker, date, close, adj_close, "
            "CAST(volume AS BIGINT) AS volume FROM read_csv(?, filename = true)",
            [str(tmp_path / "prices" / "*.csv")],
        )
    return path


def test_duckdb_gives_the_same_tables_as_the_files(database: Path, tmp_path: Path) -> None:
    events = write_events(tmp_path, [event_row("E1", "2021-06-09"), event_row("E2", "2021-09-08")])
    options = [str(events), "--config", str(write_study(tmp_path)), "--set", 'report.formats=["csv"]', "--quiet"]
    query = f"duckdb:{database}?FROM prices SELECT * WHERE volume > 0;"
    for prices in (str(tmp_path / "prices"), f"duckdb:{database}", query):
        assert main(["run", *options, "--prices", prices, "--out", str(tmp_path / "r" / str(len(prices)))]) == 0
    files, table, selected = (
        (tmp_path / "r" / str(len(p)) / "latest" / "tables" / "car.csv").read_bytes()
        for p in (str(tmp_path / "prices"), f"duckdb:{database}", query)
    )
    assert files == table == selected


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("SELECT 1 AS x", "must give columns ticker, date and close"),
        ("COPY prices TO 'out.csv'", "the query failed"),
        ("SELECT ticker, date, content AS close FROM read_text('/etc/hostname')", "the query failed"),
        ("SELECT ticker, date, -close AS close FROM prices", "is zero or negative"),
        ("DROP TABLE prices", "the query failed"),
    ],
)
def test_duckdb_queries_that_are_refused(database: Path, query: str, said: str) -> None:
    before = database.read_bytes()
    with pytest.raises(PriceError, match=said):
        query_prices(f"{database}?{query}", PriceRequest(("AAA",), dt.date(2021, 1, 1), dt.date(2021, 2, 1)))
    assert database.read_bytes() == before


def test_duckdb_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"no such DuckDB file; write duckdb:FILE\?QUERY"):
        query_prices(str(tmp_path / "none.duckdb"), REQUEST)


def make_plugin(**_: Any) -> Any:
    return BaostockProvider(client=FakeBaostock())


NOT_CALLABLE = 7


@pytest.fixture
def entries(monkeypatch: pytest.MonkeyPatch) -> list[EntryPoint]:
    """Entry points that stand for installed distributions."""
    found: list[EntryPoint] = []
    monkeypatch.setattr(registry, "entry_points", lambda group: [e for e in found if e.group == group])
    for name in ("mine", "broken", "number"):
        monkeypatch.delitem(PROVIDERS, name, raising=False)
    yield found  # type: ignore[misc]
    for name in ("mine", "broken", "number"):
        PROVIDERS.pop(name, None)


def test_an_installed_provider_is_found_by_name(entries: list[EntryPoint]) -> None:
    entries += [
        EntryPoint("mine", "test_prices_extras:make_plugin", PROVIDERS.group),
        EntryPoint("yahoo", "test_prices_extras:make_plugin", PROVIDERS.group),
        EntryPoint("other", "test_prices_extras:make_plugin", "somebody.else"),
    ]
    assert "mine" in PROVIDERS.names()
    assert "other" not in PROVIDERS.names()
    assert get_provider("mine")(progress=None).fetch(REQUEST).outcomes["300308.SZ"].status == "ok"
    assert get_provider("yahoo") is not make_plugin
    PROVIDERS.pop("mine")
    PROVIDERS.load_all()
    PROVIDERS.load_installed()
    assert "mine" in PROVIDERS


def test_a_provider_that_cannot_be_loaded_names_its_distribution(entries: list[EntryPoint]) -> None:
    entries += [
        EntryPoint("broken", "no_such_module:x", PROVIDERS.group),
        EntryPoint("number", "test_prices_extras:NOT_CALLABLE", PROVIDERS.group),
    ]
    with pytest.raises(ConfigError, match=r"'broken' of no_such_module:x cannot be loaded \(ModuleNotFoundError"):
        get_provider("broken")
    with pytest.raises(ConfigError, match=r"'number' of .* is no price source: not callable"):
        get_provider("number")


def test_two_providers_of_one_name_are_refused(entries: list[EntryPoint]) -> None:
    entries += [EntryPoint("mine", f"module_{n}:x", PROVIDERS.group) for n in (1, 2)]
    with pytest.raises(ConfigError, match=r"'mine' comes from both module_1:x and module_2:x; uninstall one"):
        get_provider("mine")
