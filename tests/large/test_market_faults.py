"""`eventstudy market` on prices that are not what they seem: none gives a wrong number without a word."""

from __future__ import annotations

import datetime as dt
import errno
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from numpy.typing import NDArray

from eventstudy.cli import main
from eventstudy.exchanges.calendars import sessions
from eventstudy.prices import long
from eventstudy.prices.quality.quantities import better_lag, no_price, no_return, unit_of
from eventstudy.prices.quality.wide import closed_sessions, covered, repeated_to_the_end, suspect_days, too_far

Floats = NDArray[np.float64]
Days = NDArray[np.datetime64]
T = 420
DAYS: Days = sessions("XNYS", dt.date(2022, 1, 3), dt.date(2024, 12, 31))[:T]
NAMES = ("AAA", "BBB", "CCC", "IDX")
AT = 330


def returns(seed: int = 5) -> Floats:
    """Returns of three securities and their index."""
    rng = np.random.default_rng(seed)
    index = 0.01 * rng.standard_normal(T)
    own = 0.012 * rng.standard_normal((3, T))
    return np.vstack([index * np.array([[0.8], [1.0], [1.2]]) + own, index])


def levels(change: Floats) -> Floats:
    return 80.0 * np.cumprod(1.0 + change, axis=1)


def market(
    folder: Path,
    values: Floats,
    capsys: pytest.CaptureFixture[str],
    *more: str,
    column: str = "adj_close",
    days: Days = DAYS,
    date: object = DAYS[AT],
) -> tuple[int, list[dict[str, Any]], str]:
    """Exit code, rows of the ledger with the CARs of two windows, and all that was said."""
    row, at = np.nonzero(np.isfinite(values))
    long_table = {"ticker": pa.array(np.array(NAMES)[row]), "date": pa.array(days[at]), column: values[row, at]}
    pq.write_table(pa.table(long_table), folder / "prices.parquet")
    (folder / "events.csv").write_text("ticker,date\n" + "".join(f"{name},{date}\n" for name in NAMES[:3]))
    out = folder / "out"
    arguments = ["market", str(folder / "events.csv"), "--prices", str(folder / "prices.parquet"), "--benchmark", "IDX"]
    code = main(
        [*arguments, "--out", str(out), "--set", "windows.minimum=100", "--set", "report.formats=['csv','json']", *more]
    )
    said = capsys.readouterr()
    place = (out / "latest").resolve() if code == 0 else None
    rows = pq.read_table(place / "tables" / "ledger.parquet").to_pylist() if place else []
    cars = pq.read_table(place / "tables" / "car.parquet").to_pylist() if place else []
    found = {(row["event_id"], row["window"]): row["car"] for row in cars}
    windows = ("[0,1]", "[2,20]")
    rows = [{**row, **{f"car{name}": found.get((row["event_id"], name)) for name in windows}} for row in rows]
    notes = json.loads((place / "summary.json").read_text())["warnings"] if place else []
    return code, rows, " ".join([said.out, said.err, *notes])


def scaled(row: int, day: int, factor: float) -> Callable[[Floats], Floats]:
    def change(prices: Floats) -> Floats:
        prices[row, day:] *= factor
        return prices

    return change


@pytest.mark.parametrize(
    ("values", "column", "said"),
    [
        (100 * returns(), "return", "they are in percent"),
        (10_000 * returns(), "return", "they are in basis points"),
        (np.where(np.arange(4)[:, None] == 3, 100, 1) * returns(), "return", "daily returns of IDX have a standard"),
        (np.where((np.arange(T) == AT) & (np.arange(4)[:, None] == 1), -1.5, returns()), "return", "BBB: impossible"),
        (np.where((np.arange(T) == 300) & (np.arange(4)[:, None] == 0), 200.0, returns()), "return", "AAA: impossible"),
        (scaled(0, AT, 0.5)(levels(returns())), "adj_close", "near a split of 2 for 1"),
        (scaled(2, 250, 3.0)(levels(returns())), "adj_close", "near a split of 3 for 1"),
        (scaled(1, 320, 0.01)(levels(returns())), "adj_close", "pence and pounds"),
        (np.vstack([np.roll(returns()[:3], 1, axis=1), returns()[3]]), "return", "better +1 session(s) away"),
        (levels(np.vstack([np.roll(returns()[:3], -1, axis=1), returns()[3]])), "adj_close", "better -1 session(s)"),
    ],
)
def test_prices_that_no_market_made_stop(
    values: Floats, column: str, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, _, told = market(tmp_path, values, capsys, column=column)
    assert code == 4
    assert said in told


def test_suspect_prices_go_on_where_they_are_accepted_and_impossible_ones_never(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    accept = ("--set", "prices.accept_suspect=true")
    split = scaled(0, AT, 0.5)(levels(returns()))
    code, rows, told = market(tmp_path, split, capsys, *accept)
    assert code == 0
    assert rows[0]["car[0,1]"] < -0.4
    assert "1 suspect finding(s) accepted, the first: AAA: unadjusted split" in told
    code, _, told = market(tmp_path, split, capsys)
    assert (code, f'prices.accept_days=["AAA:{DAYS[AT]}"]' in told) == (4, True)
    one = ("--set", f'prices.accept_days=["AAA:{DAYS[AT]}"]')
    assert market(tmp_path, split, capsys, *one)[1] == rows
    assert market(tmp_path, scaled(1, AT, 0.5)(split), capsys, *one)[0] == 4
    broken = returns()
    broken[0, AT] = -1.0
    assert market(tmp_path, broken, capsys, *accept, column="return")[0] == 4
    # A split that no window covers changes no figure.
    assert market(tmp_path, scaled(0, 40, 0.5)(levels(returns())), capsys, "--quiet")[0] == 0


@pytest.mark.parametrize("gap", [slice(AT - 3, AT + 40), slice(200, 204)])
def test_an_index_without_days_stops_or_its_days_are_no_events(
    gap: slice, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    prices = levels(returns())
    prices[3, gap] = np.nan
    code, _, told = market(tmp_path, prices, capsys)
    assert code == 4
    assert f"IDX lacks {gap.stop - gap.start} day(s) on which its market traded" in told
    code, rows, _ = market(tmp_path, prices, capsys, "--set", "prices.benchmark_gaps=drop", date=DAYS[gap.start])
    assert (code, rows) == (3, [])


@pytest.mark.parametrize("holidays", [(AT,), (120, 260, 333)])
def test_days_on_which_only_a_padded_index_has_a_row_are_closed(
    holidays: tuple[int, ...], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    prices = levels(returns())
    clean = market(tmp_path, np.delete(prices, holidays, axis=1), capsys, days=np.delete(DAYS, holidays))
    prices[:3, holidays] = np.nan
    for day in holidays:
        prices[3, day] = prices[3, day - 1]
    code, rows, told = market(tmp_path, prices, capsys)
    assert code == clean[0] == 0
    assert f"{len(holidays)} day(s) of IDX without trade in any security are not sessions" in told
    for row, right in zip(rows, clean[1], strict=True):
        assert row["session"] == right["session"]
        assert row["car[0,1]"] == pytest.approx(right["car[0,1]"], abs=0.002)


@pytest.mark.parametrize(("last", "reason"), [(AT + 1, None), (AT - 20, "repeated_prices")])
def test_prices_repeated_to_the_end_fill_no_window(
    last: int, reason: str | None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    prices = levels(returns())
    prices[0, last + 1 :] = prices[0, last]
    code, rows, told = market(tmp_path, prices, capsys, "--set", "windows.allow_partial=true")
    assert code == 0
    assert "prices of 1 security(ies) repeat until the end of their series" in told
    assert rows[0]["car[2,20]"] is None
    assert (rows[0]["car[0,1]"] is None) == (reason is not None)
    assert rows[0]["reason_code"] == (f"market.{reason}" if reason else "")
    change = returns()
    change[0, last + 1 :] = 0.0
    apart = tmp_path / "returns"
    apart.mkdir()
    # Without a return on the last event day the event is left out whole.
    row = market(apart, change, capsys, column="return")[1][0]
    assert row["car[2,20]"] is None
    assert row["reason_code"] == "market.repeated_prices"


def test_day_0_is_not_moved_past_open_days(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    prices, closed = levels(returns()), slice(AT, AT + 12)
    shut = np.delete(prices, closed, axis=1), np.delete(DAYS, closed)
    code, _, told = market(tmp_path, shut[0], capsys, days=shut[1])
    assert code == 3
    assert "too_far 3" in told
    code, rows, _ = market(tmp_path, shut[0], capsys, days=shut[1], date=DAYS[AT + 10])
    assert code == 0
    assert {row["reason_code"] for row in rows} == {"market.shifted"}


@pytest.mark.parametrize("days", [-1, 1])
def test_all_dates_a_day_off_stop(days: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    moved = DAYS + days
    code, _, told = market(tmp_path, levels(returns()), capsys, days=moved)
    assert code == 4
    assert "Dates may be one day off" in told


def test_a_ticker_that_lost_its_zeros_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    market(tmp_path, levels(returns()), capsys)
    table = pq.read_table(tmp_path / "prices.parquet").to_pydict()
    number = {"AAA": "000001", "BBB": "002281", "CCC": "600519", "IDX": "IDX"}
    table["ticker"] = [number[name] for name in table["ticker"]]
    pq.write_table(pa.table(table), tmp_path / "p.parquet")
    (tmp_path / "e.csv").write_text(f"permno,date\n1,{DAYS[AT]}\n2281,{DAYS[AT]}\n600519,{DAYS[AT]}\n")
    arguments = ["market", str(tmp_path / "e.csv"), "--prices", str(tmp_path / "p.parquet"), "--benchmark", "IDX"]
    assert main([*arguments, "--out", str(tmp_path / "o"), "--set", "windows.minimum=100"]) == 0
    assert "1 → 000001, 2281 → 002281" in capsys.readouterr().out.replace("\n", " ")


def test_a_full_disk_is_an_error_and_no_signal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(long, "write_array_header_1_0", full)
    code, _, told = market(tmp_path, levels(returns()), capsys)
    assert code == 1
    assert "the disk is full or a file is too large at " in told
    assert not list((tmp_path / "out").glob("[!.]*"))


def test_quantities_know_what_they_can_be() -> None:
    assert no_price(np.array([0.0, -1.0, np.inf, np.nan, 2.0])).tolist() == [True, True, True, False, False]
    simple = np.array([-1.0, -0.99, 0.5, 147.0, 148.0, np.nan])
    assert no_return(simple, "simple").tolist() == [True, False, False, False, True, False]
    assert no_return(np.array([-5.0, -1.5, 4.9, 5.0]), "log").tolist() == [True, False, False, True]
    assert [unit_of(sigma) for sigma in (0.0, 0.02, 0.19, 1.5, 150.0)] == ["", "", "", "percent", "basis points"]
    change = returns()
    assert [better_lag(np.roll(change[1], lag), change[3]) for lag in (-1, 0, 1)] == [-1, 0, 1]
    assert better_lag(change[1][:50], np.roll(change[3], 1)[:50]) == 0


def test_checks_of_a_wide_table() -> None:
    nan = np.nan
    prices = np.array([[1.0, 2, 3] + [3.0] * 11, [nan] * 14, [5.0] * 14, [1.0, 2, 3] + [3.0] * 5 + [nan] * 6])
    assert repeated_to_the_end(prices, returns=False).tolist() == [2, -1, 13, 7]
    zeros = np.array([[0.1, 0.2] + [0.0] * 12, [0.1] * 14])
    assert repeated_to_the_end(zeros, returns=True).tolist() == [1, 13]
    cells = covered((2, 5), np.array([0, 1, 1]), np.array([-2, 1, 2]), np.array([1, 1, 9]))
    assert cells.astype(int).tolist() == [[1, 1, 0, 0, 0], [0, 1, 1, 1, 1]]
    moves = np.array([[-0.5, 0.6, -1.2, 99.0, 0.01]])
    found = suspect_days(moves, "simple", from_prices=True)
    assert list(zip(found.session.tolist(), found.check.tolist(), strict=True)) == [(0, 2), (1, 3), (2, 0), (3, 1)]
    assert suspect_days(moves, "simple", from_prices=False).check.tolist() == [3, 0, 1]
    still = np.array([True, True, False, False])
    shut = closed_sessions(np.array([0, 1, 0, 0]), np.array([3, 3, 3, 5]), still)
    assert shut.tolist() == [True, False, False, True]
    friday = np.array(["2024-09-27", "2024-09-30"], "datetime64[D]").astype(np.int32)
    reopened = np.array(["2024-10-08", "2024-10-08"], "datetime64[D]").astype(np.int32)
    assert too_far(friday, reopened, None).tolist() == [True, True]
    assert too_far(friday, reopened, reopened[:1]).tolist() == [False, False]
