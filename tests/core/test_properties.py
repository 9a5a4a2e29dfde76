"""What must not matter, and what must add up, over inputs that hypothesis makes."""

from __future__ import annotations

import io
import itertools
from collections.abc import Mapping
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from studies import HEADER, event_row, write_events, write_prices, write_study

from eventstudy.cli import main
from eventstudy.config import load_config
from eventstudy.events import read_events
from eventstudy.prices.sources import get_prices
from eventstudy.study import run_study

TICKERS = ("AAA", "BBB", "CCC")
ROWS = [
    event_row("E1", "2021-04-07", label="misreading", label_asof="2021-04-08"),
    event_row("E2", "2021-06-09T16:30-04:00", label="genuine", label_asof="2021-06-10"),
    event_row("E3", "2021-08-11", label="misreading", label_asof="2021-08-12", tickers="AAA;CCC"),
    event_row("E4", "2021-10-06", label="contested"),
]
SOME = settings(
    max_examples=5,
    deadline=None,
    database=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
MANY = settings(
    max_examples=150, deadline=None, database=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A study of three tickers and four events."""
    place = tmp_path_factory.mktemp("properties")
    write_prices(place / "prices", TICKERS, start="2020-03-02", end="2021-12-30")
    write_study(place, TICKERS)
    write_events(place, ROWS)
    return place


def tables(
    folder: Path, *, events: str = "events.csv", prices: str = "prices", car: str = ""
) -> dict[str, pd.DataFrame]:
    """All tables of a run, rows in an order that does not depend on that of the inputs."""
    overrides = [f"windows.car={car}"] if car else []
    config = load_config(folder / "events.csv", config_file=folder / "study.toml", overrides=overrides)
    read = read_events(folder / events)
    table = get_prices(read, config, str(folder / prices), tell=lambda _: None)
    return {name: ordered(frame) for name, frame in run_study(read, config, table).tables.items()}


def ordered(frame: pd.DataFrame) -> pd.DataFrame:
    keys = [name for name in frame.columns if frame[name].dtype.kind not in "fb"]
    return frame.sort_values(keys, key=lambda column: column.astype(str), kind="stable").reset_index(drop=True)


@pytest.fixture(scope="module")
def plain(folder: Path) -> dict[str, pd.DataFrame]:
    return tables(folder)


def assert_same(got: Mapping[str, pd.DataFrame], expected: Mapping[str, pd.DataFrame], *, but: str = "") -> None:
    assert got.keys() == expected.keys()
    for name, frame in expected.items():
        if name != but:
            pd.testing.assert_frame_equal(got[name], frame, rtol=1e-8, atol=1e-10, obj=name)
    assert len(expected["car"]) > 60


def rewrite(source: Path, target: Path, change: object) -> None:
    """Copy a price file with its data lines changed."""
    header, *body = source.read_text(encoding="utf-8").splitlines()
    target.parent.mkdir(exist_ok=True)
    target.write_text("\n".join([header, *change(body), ""]), encoding="utf-8")  # type: ignore[operator]


@SOME
@given(st.permutations(ROWS))
def test_order_of_events_changes_no_table(folder: Path, plain: dict[str, pd.DataFrame], rows: list[str]) -> None:
    write_events(folder, rows, name="permuted.csv")
    assert_same(tables(folder, events="permuted.csv"), plain)


@SOME
@given(st.randoms(use_true_random=False))
def test_order_of_price_rows_changes_no_table(folder: Path, plain: dict[str, pd.DataFrame], dice: object) -> None:
    for ticker in (*TICKERS, "IDX"):
        rewrite(
            folder / "prices" / f"{ticker}.csv",
            folder / "shuffled" / f"{ticker}.csv",
            lambda body: dice.sample(body, len(body)),  # type: ignore[attr-defined]
        )
    assert_same(tables(folder, prices="shuffled"), plain)


@SOME
@given(st.floats(1e-3, 1e3), st.floats(1e-2, 1.0), st.sampled_from((*TICKERS, "IDX")))
def test_units_and_adjustment_factors_change_no_return(
    folder: Path, plain: dict[str, pd.DataFrame], unit: float, factor: float, ticker: str
) -> None:
    def scaled(body: list[str]) -> list[str]:
        cells = [line.split(",") for line in body]
        return [f"{d},{float(c) * unit!r},{float(a) * unit * factor!r},{v}" for d, c, a, v in cells]

    for name in (*TICKERS, "IDX"):
        change = scaled if name == ticker else list
        rewrite(folder / "prices" / f"{name}.csv", folder / "scaled" / f"{name}.csv", change)
    changed = tables(folder, prices="scaled")
    returns = ("abnormal_returns", "estimation", "car", "aar", "shocks", "tests", "reversal", "ledger")
    assert_same({name: changed[name] for name in returns}, {name: plain[name] for name in returns})


@SOME
@given(st.lists(st.integers(-9, 20), min_size=3, max_size=3, unique=True).map(sorted))
def test_windows_add_up(folder: Path, cuts: list[int]) -> None:
    a, b, c = cuts
    parts = [[a, b - 1], [b, c], [a, c]] if a < b else [[a, a], [b, c], [a, c]]
    car = tables(folder, car=str(parts))["car"].set_index(["event_id", "ticker", "window"])["car"].unstack()
    first, second, both = (car[f"[{first},{last}]"].to_numpy() for first, last in parts)
    assert len(both) == 11
    np.testing.assert_allclose(first + second, both, rtol=0, atol=1e-12)


def outcome(*arguments: object) -> tuple[int, str]:
    """Exit code and all that was printed."""
    said = io.StringIO()
    with redirect_stdout(said), redirect_stderr(said):
        code = main([str(argument) for argument in arguments])
    return code, said.getvalue()


def assert_clean(code: int, said: str, accepted: tuple[int, ...]) -> None:
    assert code in accepted, said
    assert "Traceback" not in said
    assert "internal error" not in said


CELLS = st.text(st.characters(codec="utf-8"), max_size=12)
LIKELY = st.sampled_from(
    (
        "E1",
        "2021-06-09",
        "2021-06-09T10:00Z",
        "date",
        "minute",
        "report",
        "misreading",
        "",
        "46196",
        "06/07/2026",
        "0001-01-01",
        "9999-12-31",
        "9999-12-31T23:59:59-12:00",
        "2021-06-09T10:00[Europe/Nowhere]",
        "2021-06-09T10:00 ../../etc/passwd",
        "AAA;../x",
        "\x00",
        '"',
        "1e400",
        "²⁵",
        "٢٠٢١-٠٦-٠٩",
        "99999",
        "99999999.5",
    )
)


@MANY
@given(st.binary(max_size=400))
@example(b"PK\x03\x04")
@example(HEADER.encode() + b"\n" + b'"' * 131_100)
@example(HEADER.encode("utf-16"))
def test_any_bytes_as_events(folder: Path, content: bytes) -> None:
    path = folder / "any.csv"
    path.write_bytes(content)
    assert_clean(*outcome("check", path, "--config", folder / "study.toml"), accepted=(0, 2, 3))


@MANY
@given(st.lists(st.lists(CELLS | LIKELY, min_size=5, max_size=14), max_size=4))
@example([["E1", "99999999.5", "date", "report", "unknown"]])
def test_any_cells_as_events(folder: Path, rows: list[list[str]]) -> None:
    path = folder / "cells.csv"
    padded = [[*row, *[""] * (14 - len(row))] for row in rows]
    path.write_text("\n".join([HEADER, *map(",".join, padded), ""]), encoding="utf-8")
    assert_clean(*outcome("check", path, "--config", folder / "study.toml"), accepted=(0, 2, 3))


SECTIONS = st.sampled_from(
    (
        "[study]",
        "[windows]",
        "[[markets]]",
        "[[peers]]",
        "[prices]",
        "[tests]",
        "[model]",
        "[returns]",
        "[report]",
        "[reversal]",
        "[nonsense]",
        "[study.name]",
        "[[windows]]",
    )
)
KEYS = st.sampled_from(
    (
        "name",
        "mic",
        "benchmark",
        "ticker",
        "market",
        "minimum",
        "estimation",
        "event",
        "car",
        "names",
        "level",
        "source",
        "formats",
        "sector",
        "from",
        "kind",
        "seed",
        "aliases",
        "x y",
    )
)
VALUES = st.sampled_from(
    (
        "1",
        "-1",
        "1e999",
        "nan",
        "true",
        '"XNYS"',
        '"AAA"',
        '"../x"',
        "[]",
        "[1, 2]",
        "[[1, 2]]",
        '["a", 1]',
        "{}",
        "2021-06-09",
        "2021-06-09T10:00:00Z",
        '""',
        "99999999999999999999",
        "[-250, -11]",
        "{a = 1}",
        "10:00:00",
    )
)
LINES = st.lists(SECTIONS | st.tuples(KEYS, VALUES).map(" = ".join), max_size=12).map("\n".join)


@MANY
@given(
    st.binary(max_size=200) | LINES.map(str.encode) | st.text(max_size=60).map(lambda t: t.encode("utf-8", "replace"))
)
@example(b"[[windows]]\nminimum = 3")
@example(b"study = 3")
@example(b"markets = [1]")
@example(b"[study]\nname = {}")
def test_any_bytes_as_settings(folder: Path, content: bytes) -> None:
    path = folder / "any.toml"
    path.write_bytes(content)
    assert_clean(*outcome("check", folder / "events.csv", "--config", path), accepted=(0, 2, 3))


@MANY
@given(st.tuples(KEYS, KEYS, VALUES | CELLS).map(lambda parts: f"{parts[0]}.{parts[1]}={parts[2]}") | CELLS)
def test_any_override(folder: Path, text: str) -> None:
    arguments = ("check", folder / "events.csv", "--config", folder / "study.toml", f"--set={text}")
    assert_clean(*outcome(*arguments), accepted=(0, 2, 3))


@MANY
@given(st.binary(max_size=300) | st.lists(CELLS | LIKELY, max_size=12).map(lambda c: "\n".join(c).encode("utf-8")))
@example(b"date,close\n2021-01-04,1e400\n2021-01-05,1e308")
@example(b"date,close\n0000-00-00,1")
def test_any_bytes_as_prices(folder: Path, content: bytes) -> None:
    place = folder / "anyprices"
    place.mkdir(exist_ok=True)
    for ticker, other in itertools.product(("AAA",), ("BBB", "CCC", "IDX")):
        (place / f"{ticker}.csv").write_bytes(content)
        (place / f"{other}.csv").write_bytes((folder / "prices" / f"{other}.csv").read_bytes())
    arguments = ("check", folder / "events.csv", "--config", folder / "study.toml", "--prices", place)
    assert_clean(*outcome(*arguments), accepted=(0, 3, 4))
