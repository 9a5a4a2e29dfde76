"""What the layout of the events must not change in `eventstudy market`, and that `run` says the same."""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from studies import event_row, write_events, write_prices, write_study

from eventstudy.cli import main
from eventstudy.config import load_config
from eventstudy.events import read_events
from eventstudy.prices.sources import get_prices
from eventstudy.study import run_study

TICKERS = ("AAA", "BBB", "CCC", "DDD")
DATES = ("2021-04-07", "2021-06-09", "2021-08-11", "2021-10-13", "2021-11-17")
ROWS = [(ticker, day) for day in DATES for ticker in TICKERS[: 4 if day < "2021-10-01" else 3]]
SAME = ("tests.weights=equal",)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("layout")
    write_prices(place / "prices", TICKERS, start="2019-09-03", end="2021-12-30")
    write_study(place, TICKERS)
    lines = ["ticker,date,adj_close"]
    for ticker in (*TICKERS, "IDX"):
        with (place / "prices" / f"{ticker}.csv").open(encoding="utf-8", newline="") as file:
            lines += [f"{ticker},{row['date']},{row['adj_close']}" for row in csv.DictReader(file)]
    (place / "long.csv").write_text("\n".join([*lines, ""]), encoding="utf-8")
    return place


def market(folder: Path, header: str, rows: Sequence[Sequence[str]], out: Path, *more: str) -> Path:
    """Write the rows, run the command, and return its folder."""
    events = folder / "market.csv"
    events.write_text("\n".join([header, *map(",".join, rows), ""]), encoding="utf-8")
    arguments = ["market", str(events), "--prices", str(folder / "long.csv"), "--benchmark", "IDX", *more]
    assert main([*arguments, "--set", "report.formats=['csv','json']", "--out", str(out), "--quiet"]) == 0
    return (out / "latest").resolve()


@pytest.fixture(scope="module")
def plain(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    found = market(folder, "ticker,date", ROWS, tmp_path_factory.mktemp("plain"))
    names = ("tests.csv", "aar.csv", "event_days.csv", "multiplicity.csv")
    return {name: (found / "tables" / name).read_bytes() for name in names}


@settings(
    max_examples=8,
    deadline=None,
    database=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    st.permutations(ROWS),
    st.lists(st.sampled_from(ROWS), max_size=3),
    st.sampled_from(("ticker,date", "event_id,ticker,date")),
)
def test_order_and_repeats_of_rows_change_no_table(
    folder: Path,
    plain: dict[str, bytes],
    tmp_path_factory: pytest.TempPathFactory,
    rows: list[tuple[str, str]],
    again: list[tuple[str, str]],
    header: str,
) -> None:
    named = [*rows, *again]
    if header.startswith("event_id"):
        # A row that comes again may have its old id or a new one.
        ids = [f"{ticker}-{day}" for ticker, day in rows] + [f"x{k}" for k in range(len(again))]
        if again:
            ids[-1] = "-".join(again[-1])
        written: list[Sequence[str]] = [(name, *row) for name, row in zip(ids, named, strict=True)]
    else:
        written = list(named)
    found = market(folder, header, written, tmp_path_factory.mktemp("out"))
    for name, content in plain.items():
        assert (found / "tables" / name).read_bytes() == content, name
    counts = json.loads((found / "summary.json").read_text())["counts"]
    assert (counts["used"], counts.get("merged", 0), counts["dropped"]) == (len(ROWS), len(again), 0)
    ledger = pq.read_table(found / "tables" / "ledger.parquet").to_pylist()
    assert sum(row["status"] == "merged" for row in ledger) == len(again)
    assert len(ledger) == len(named)


def test_a_date_moved_to_the_next_session_meets_the_row_of_that_session(
    folder: Path, plain: dict[str, bytes], tmp_path: Path
) -> None:
    rows = [("AAA", "2021-04-03"), ("AAA", "2021-04-05"), *ROWS]
    found = market(folder, "ticker,date", rows, tmp_path)
    first, second = pq.read_table(found / "tables" / "ledger.parquet").slice(0, 2).to_pylist()
    assert first["session"] == second["session"]
    assert (first["status"], second["status"]) == ("shifted", "merged")
    alone = market(folder, "ticker,date", rows[1:], tmp_path / "alone")
    tests = [(pack / "tables" / "tests.csv").read_bytes() for pack in (found, alone)]
    assert tests[0] == tests[1] != plain["tests.csv"]


def test_a_row_counts_once_and_groups_are_those_that_are_asked_for(
    folder: Path, plain: dict[str, bytes], tmp_path: Path
) -> None:
    rows = [(*row, "x" if at % 3 else "y") for at, row in enumerate(ROWS)] + [(*row, "z") for row in ROWS[:6]]
    found = market(folder, "ticker,date,group", rows, tmp_path, "--group", "group")
    with (found / "tables" / "tests.csv").open(encoding="utf-8", newline="") as file:
        tests = [row for row in csv.DictReader(file) if row["name"] == "date_t" and row["window"] == "[0,1]"]
    assert [(row["group"], row["n_events"], row["n_dates"]) for row in tests] == [
        ("all", "18", "5"),
        ("group=x", "12", "5"),
        ("group=y", "6", "5"),
    ]
    whole = [line for line in (found / "tables" / "tests.csv").read_bytes().splitlines() if b"group=" not in line]
    assert whole == plain["tests.csv"].splitlines()


def test_run_market_and_every_layout_of_a_file_agree(folder: Path, plain: dict[str, bytes], tmp_path: Path) -> None:
    by_firm = [event_row(f"{t}-{day}", day, tickers=t) for t, day in reversed(ROWS)]
    by_date = [
        event_row(f"D{k}", day, tickers=";".join(t for t, other in ROWS if other == day)) for k, day in enumerate(DATES)
    ]
    tests = list(csv.DictReader(plain["tests.csv"].decode().splitlines()))
    expected = {(row["window"], row["name"]): row for row in tests if row["name"] in ("cross_sectional_t", "date_t")}
    config = load_config(folder / "events.csv", config_file=folder / "study.toml", overrides=SAME)
    for rows in (by_firm, by_date):
        events = read_events(write_events(tmp_path, rows))
        prices = get_prices(events, config, str(folder / "prices"), tell=lambda _: None)
        table = run_study(events, config, prices).tables["tests"].set_index(["group", "window", "name"])
        for (window, name), row in expected.items():
            mine = table.loc["all", window, name]
            assert (mine["n_events"], mine["n_dates"]) == (int(row["n_events"]), int(row["n_dates"]))
            np.testing.assert_allclose(
                mine[["estimate", "statistic", "p_value"]].to_numpy(float),
                [float(row[column]) for column in ("estimate", "statistic", "p_value")],
                rtol=1e-9,
            )
    assert int(expected["[0,1]", "date_t"]["n_dates"]) == 5
