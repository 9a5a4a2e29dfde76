"""Branches of the readers and the providers that no ordinary input takes."""

from __future__ import annotations

import datetime as dt
import errno
import os
import sqlite3
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from bad_inputs_place import E1, Place, make_study, settle
from scripted import Scripted
from studies import event_row, write_events, write_prices, write_study

from eventstudy.cli import main
from eventstudy.commands.output import watching
from eventstudy.config import load_config
from eventstudy.errors import ConfigError, EventsError, PriceError
from eventstudy.events import read_events, read_records
from eventstudy.messages import text
from eventstudy.prices import PriceRequest, get_provider, yahoo
from eventstudy.prices.fetch import fetch_snapshot
from eventstudy.prices.sources import get_prices, price_request

REQUEST = PriceRequest(("AAA",), dt.date(2021, 1, 4), dt.date(2021, 3, 31))


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Place:
    return settle(make_study(tmp_path / "template"), tmp_path / "here", monkeypatch, capsys)


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("windows.drop=[0,3]", "windows.post starts at 2, before the drop has ended"),
        ("windows.car=[[0,30]]", "windows.car[0] = [0, 30] lies outside windows.event = [-10, 20]"),
        ("model.name=capm", "needs model.factors_file"),
        ("model.name=factors", "needs model.factors, such as"),
        ("model.lags=11", "model.lags = 11: accepted is 1 to 10"),
        ("model.factors=['a','a']", "model.factors names a twice"),
        ("returns.gaps=trade_to_trade", None),
        ("backtest.horizon=999", "backtest.horizon = 999: accepted is 2 to 250"),
        ("backtest.stop=2", "backtest.stop = 2.0: accepted is 0.0 to 0.99"),
        ("windows.minimum", "write section.key=value, for example windows.minimum=150"),
        ("windows.event=[1]", "windows.event = [1]: accepted are 2 values"),
        ("windows=3", "write section.key=value"),
        ("study.seed=1.5", "study.seed = 1.5: accepted is a whole number"),
    ],
)
def test_settings_that_are_refused(tmp_path: Path, override: str, said: str | None) -> None:
    config = write_study(tmp_path)
    events = write_events(tmp_path, [event_row("E1", E1)])
    if said is None:
        assert load_config(events, config_file=config, overrides=[override]).returns.gaps == "trade_to_trade"
        return
    with pytest.raises(ConfigError) as caught:
        load_config(events, config_file=config, overrides=[override])
    assert said in str(caught.value)


def test_models_and_costs_that_do_not_fit(tmp_path: Path) -> None:
    config = write_study(tmp_path)
    events = write_events(tmp_path, [event_row("E1", E1)])
    costs = '[[costs]]\nmarket = "XNSY"\nname = "tax"\nbps = 5000.0\n'
    config.write_text(config.read_text(encoding="utf-8") + costs, encoding="utf-8")
    overrides = ["model.name=two_index", "model.world=''", "returns.gaps=trade_to_trade", "windows.drop=[1,1]"]
    overrides += ["backtest.entry=close+1"]
    with pytest.raises(ConfigError) as caught:
        load_config(events, config_file=config, overrides=overrides)
    text = str(caught.value)
    assert "needs model.world, such as" in text
    assert "returns.gaps = 'trade_to_trade' with model.name = 'two_index': accepted are raw, mean_adjusted" in text
    assert "costs: market 'XNSY'; accepted: XNYS; did you mean 'XNYS'?" in text
    assert "costs[0].bps = 5000.0: accepted is -100 to 1000" in text
    assert "backtest.entry = 'close+1' is decided at the close of day 0, before the drop window [1, 1]" in text


def test_unknown_names_raise_key_errors(tmp_path: Path) -> None:
    events = write_events(tmp_path, [event_row("E1", E1)])
    with pytest.raises(KeyError):
        read_events(events).by_id("E2")
    with pytest.raises(KeyError):
        load_config(events, config_file=write_study(tmp_path)).peer("ZZZ")


def test_other_tables_are_read_as_strictly(tmp_path: Path) -> None:
    path = tmp_path / "claims.csv"
    path.write_text("a,b\n1, x \n", encoding="utf-8")
    assert read_records(path, ("a", "b"), ("a",)) == [(2, {"a": "1", "b": "x"})]
    path.write_text("a,b\n1\n2,y,z\n", encoding="utf-8")
    with pytest.raises(EventsError) as caught:
        read_records(path, ("a", "b"), ("a",))
    assert [(p.line, p.message) for p in caught.value.problems] == [
        (2, "row has 1 cell(s) fewer than the header"),
        (3, "row has 1 cell(s) more than the header"),
    ]


def test_offset_and_zone_together_are_refused(tmp_path: Path) -> None:
    events = write_events(tmp_path, [event_row("E1", "2021-06-09T10:00+02:00[Europe/Berlin]")])
    with pytest.raises(EventsError, match="has both an offset and a zone; keep one"):
        read_events(events)


@pytest.mark.parametrize("day", ["0001-01-01", "9999-12-31", "1600-02-29"])
def test_days_beyond_two_centuries_are_slips(place: Place, day: str) -> None:
    place.rows(event_row("E1", E1), event_row("E2", day))
    answer = place.run("--quiet")
    assert answer.code == 2, answer.said
    assert "the year is not one of 1900 to 2199" in answer.said
    place.assert_earlier_results_intact()


@pytest.mark.parametrize("day", ["1900-01-01", "2199-12-31"])
def test_days_at_the_ends_of_the_calendar(place: Place, day: str) -> None:
    place.rows(event_row("E1", E1), event_row("E2", day))
    answer = place.run("--quiet")
    assert answer.code == 0, answer.said
    assert place.reason("AAA") == "used "
    assert place.reason("AAA", "E2").startswith("dropped ")
    place.assert_earlier_results_intact()


def test_windows_that_reach_past_every_calendar(place: Place) -> None:
    answer = place.run("--set", "windows.estimation=[-99999999,-11]")
    assert answer.code == 2
    assert "windows.estimation[0] = -99999999: accepted is -5000 to 5000" in answer.err
    place.rows(event_row("E1", "2000-01-05"))
    overrides = ["windows.estimation=[-5000,-11]", "reversal.history_years=120"]
    config = load_config(place.events, config_file=place.folder / "study.toml", overrides=overrides)
    assert price_request(read_events(place.events), config).start == dt.date(1900, 1, 1)


def test_an_unreadable_price_file(tmp_path: Path) -> None:
    (tmp_path / "AAA.csv").mkdir()
    with pytest.raises(PriceError, match=r"AAA\.csv: cannot be read: Is a directory"):
        get_provider("files")(tmp_path).fetch(REQUEST)


def test_a_parquet_file_with_dictionary_text(tmp_path: Path) -> None:
    columns = {
        "ticker": pa.array(["AAA", "AAA"]).dictionary_encode(),
        "date": pa.array([dt.date(2021, 1, 4), dt.date(2021, 1, 5)]),
        "close": [1.0, 2.0],
    }
    pq.write_table(pa.table(columns), tmp_path / "all.parquet")
    table = get_provider("files")(tmp_path / "all.parquet").fetch(REQUEST)
    np.testing.assert_array_equal(table.series["AAA"].close, [1, 2])


@pytest.mark.parametrize(
    ("cell", "said"), [("1e400", "is not a number"), ("1e300", "is out of any price's range"), (" 7 ", "")]
)
def test_numbers_at_the_ends_of_their_range(tmp_path: Path, cell: str, said: str) -> None:
    (tmp_path / "AAA.csv").write_text(f"date,close\n2021-01-04,{cell}\n2021-01-05,\n", encoding="utf-8")
    if said:
        with pytest.raises(PriceError, match=said):
            get_provider("files")(tmp_path).fetch(REQUEST)
    else:
        table = get_provider("files")(tmp_path).fetch(REQUEST)
        np.testing.assert_array_equal(table.series["AAA"].close, [7, np.nan])


def test_factors_of_a_model_are_read_with_the_prices(tmp_path: Path) -> None:
    write_prices(tmp_path / "prices", end="2021-12-30")
    events = write_events(tmp_path, [event_row("E1", E1)])
    days = pd.bdate_range("2020-01-02", "2021-12-30").strftime("%Y-%m-%d")
    lines = [f"{day},{0.1 * (i % 7)},{0.01}" for i, day in enumerate(days)]
    (tmp_path / "ff.csv").write_text("\n".join(["date,SMB,RF", *lines, ""]), encoding="utf-8")
    overrides = [
        "model.name=factors",
        f"model.factors_file='{tmp_path / 'ff.csv'}'",
        "model.factors=['market','SMB']",
        "model.risk_free=RF",
    ]
    config = load_config(events, config_file=write_study(tmp_path), overrides=overrides)
    table = get_prices(read_events(events), config, str(tmp_path / "prices"), tell=print)
    assert table.factors is not None
    two = load_config(events, config_file=tmp_path / "study.toml", overrides=["model.name=two_index"])
    assert price_request(read_events(events), two).tickers[-1] == "^GSPC"


def test_a_database_that_another_run_holds_is_not_damaged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def locked(*_: Any, **__: Any) -> Any:
        raise sqlite3.OperationalError("database is locked")

    path = tmp_path / "tkr-tz.db"
    path.write_bytes(b"x")
    monkeypatch.setattr(sqlite3, "connect", locked)
    yahoo._delete_damaged(tmp_path)
    assert path.exists()


def test_bars_that_come_twice_or_never_finish_are_no_series() -> None:
    index = pd.DatetimeIndex(["2024-01-03", "2024-01-03"], tz="America/New_York")
    columns = {name: [1.0, 2.0] for name in yahoo.COLUMNS} | {"Dividends": [0.0, 0.0], "Stock Splits": [0.0, 0.0]}
    frame = pd.DataFrame(columns, index=index)
    request = PriceRequest(("AAA",), dt.date(2024, 1, 1), dt.date(2024, 1, 31))
    meta: dict[str, Any] = {"currency": "USD", "currentTradingPeriod": {"regular": {"end": 0}}}
    late = dt.datetime(2024, 2, 1, tzinfo=dt.UTC)
    series, outcome = yahoo._series("AAA", frame, meta, request, "test", late)
    assert series is None
    assert text(outcome.message) == "Yahoo's prices of AAA: a day occurs twice or out of order"
    noon = dt.datetime(2024, 1, 3, 17, tzinfo=dt.UTC)
    series, outcome = yahoo._series("AAA", frame.iloc[:1], meta, request, "test", noon)
    assert series is None
    assert text(outcome.message) == "Yahoo has no finished session of AAA in 2024-01-01..2024-01-31"


def test_a_disk_that_is_full_leaves_no_part(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(handle: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        fetch_snapshot(REQUEST, "scripted", tmp_path / "s", factory=Scripted())
    assert not (tmp_path / "s").exists()


def test_a_folder_without_leave_to_write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "access", lambda *_: False)
    with pytest.raises(ConfigError, match=r"s: cannot be written \(Permission denied\); give another folder"):
        fetch_snapshot(REQUEST, "scripted", tmp_path / "s", factory=Scripted())


def test_a_fault_of_our_own_is_one_line_unless_debug(place: Place) -> None:
    def broken(*_: Any, **__: Any) -> None:
        raise ZeroDivisionError("division by zero")

    place.patch.setattr("eventstudy.study.answer_study", broken)
    answer = place.run()
    assert answer.code == 1
    assert answer.err == "eventstudy: internal error: ZeroDivisionError: division by zero; --debug shows where"
    with pytest.raises(ZeroDivisionError):
        place.run("--debug")
    place.rows(event_row("E1", "never"))
    with pytest.raises(EventsError):
        place.check("--debug")
    place.assert_earlier_results_intact()


def test_no_output_at_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", None)
    assert main(["sectors"]) == 0
    assert sys.stdout is not None
    sys.stdout.close()


def test_a_terminal_shows_what_is_fetched(place: Place) -> None:
    place.patch.setenv("XDG_DATA_HOME", str(place.folder / "data"))
    place.patch.setenv("TERM", "xterm")
    place.patch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    with watching(False) as watch:
        assert watch is not None
        watch(1, 3, "AAA")
        watch(3, 3, "")
    with watching(True) as watch:
        assert watch is None


def test_answers_alone_are_no_shocks(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = write_study(tmp_path)
    events = write_events(
        tmp_path,
        [
            event_row("R", E1, label="misreading", label_asof=E1[:10], tickers="NOPE"),
            event_row("C", E1, kind="clarification", label="clarification", clarifies="R", shock_id="R"),
        ],
    )
    prices = tmp_path / "prices"
    write_prices(prices)
    code = main(["run", str(events), "--config", str(config), "--prices", str(prices), "--out", str(tmp_path / "out")])
    assert code == 3
    assert "no shock can be judged: answers to reports" in capsys.readouterr().err
    assert not list((tmp_path / "out").glob("[!.]*"))
