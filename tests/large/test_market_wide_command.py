"""`eventstudy market` from files to folder: every event accounted for, figures of the kernels, bad inputs."""

from __future__ import annotations

import csv
import datetime as dt
import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq
import pytest
from market_panels import reduce_events, run_battery, wide_panel
from numpy.typing import NDArray

from eventstudy.cli import main
from eventstudy.exchanges.calendars import sessions
from eventstudy.large.fit import fit_events
from eventstudy.large.panel import FirmEvents, Layout, WidePanel
from eventstudy.messages import text
from eventstudy.prices.long import groups_of, open_long

LAYOUT = Layout((-80, -11), (-10, 20), ((0, 0), (0, 1), (-1, 1), (2, 5), (2, 10), (2, 20)), alpha="estimated")
PLAIN = (
    "windows.estimation=[-80,-11]",
    "windows.minimum=40",
    "windows.clean_estimation=false",
    "windows.allow_partial=true",
)
SETTINGS = (*(word for setting in PLAIN for word in ("--set", setting)), "--benchmark", "^IDX")
#: Formats without pages, where these are not looked at.
QUICK = ("--set", "report.formats=['csv','json']")
SESSIONS = 300
DAYS: NDArray[np.datetime64] = sessions("XNYS", dt.date(2024, 1, 1), dt.date(2025, 12, 31))[:SESSIONS]


def prices_of(panel: WidePanel) -> NDArray[np.float64]:
    prices = 50.0 * np.cumprod(1.0 + np.nan_to_num(panel.returns), axis=1)
    return np.where(np.isfinite(panel.returns), prices, np.nan)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Prices of eight tickers and an index, and events of every fate."""
    place = tmp_path_factory.mktemp("market")
    panel = wide_panel(11, sessions=SESSIONS, securities=8, indices=1, gaps=0.004, index_gap=False)
    prices = prices_of(panel)
    prices[7] = 10.0
    index = 1000.0 * np.cumprod(1.0 + panel.indices[0])
    wide = np.vstack([prices, index])
    row, at = np.nonzero(np.isfinite(wide))
    names = np.array([*(f"S{i}" for i in range(8)), "^IDX"])
    long = {"ticker": pa.array(names[row]), "date": pa.array(DAYS[at]), "adj_close": wide[row, at]}
    pq.write_table(pa.table(long), place / "prices.parquet", row_group_size=200)
    pa_csv.write_csv(pa.table(long), place / "prices.csv")
    np.save(place / "wide.npy", wide)
    rng = np.random.default_rng(12)
    days = DAYS[rng.integers(100, SESSIONS - 21, 120)]
    tickers = rng.choice(names[1:7], 120)
    saturday = DAYS[np.is_busday(DAYS, weekmask="0000100")][30] + 1
    fates = {"NOPE": DAYS[150], "S1": saturday, "S2": DAYS[-1] + 5, "S3": DAYS[0] - 9, "S4": DAYS[20], "S7": DAYS[150]}
    table = {
        "ticker": [*tickers.tolist(), *fates],
        "date": pa.array(np.array([*days, *fates.values()])),
        "group": ["even" if i % 2 else "odd" for i in range(120 + len(fates))],
    }
    pq.write_table(pa.table(table), place / "events.parquet")
    pa_csv.write_csv(pa.table(table), place / "events.csv")
    return place


def run(folder: Path, out: Path, *extra: str, events: str = "events.parquet", prices: str = "prices.parquet") -> Path:
    arguments = ["market", str(folder / events), "--prices", str(folder / prices), "--out", str(out)]
    assert main([*arguments, *SETTINGS, "--group", "group", "--quiet", *extra]) == 0
    return (out / "latest").resolve()


@pytest.fixture(scope="module")
def result(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return run(folder, tmp_path_factory.mktemp("out"))


def rows_of(pack: Path, name: str) -> list[dict[str, Any]]:
    """Rows of a table of a pack."""
    file = pack / "tables" / f"{name}.parquet"
    if file.exists():
        found: list[dict[str, Any]] = pq.read_table(file).to_pylist()
        return found
    with file.with_suffix(".csv").open(encoding="utf-8", newline="") as text_file:
        return list(csv.DictReader(text_file))


def test_every_event_has_one_row_that_says_what_became_of_it(folder: Path, result: Path) -> None:
    events, found = pq.read_table(folder / "events.parquet").to_pylist(), rows_of(result, "ledger")
    own = {f"{row['ticker']}-{row['date']:%Y-%m-%d}" for row in events}
    assert {row["event_id"].removesuffix("-2") for row in found} == own
    assert len(found) == len(events) == 126
    last = {f"{row['ticker']}-{row['date']:%Y-%m-%d}": row["ticker"] for row in events[120:]}
    fates = {last[row["event_id"]]: row["reason_code"] for row in found if row["event_id"] in last}
    assert fates == {
        "NOPE": "market.no_prices",
        "S1": "market.shifted",
        "S2": "market.after_prices",
        "S3": "market.before_prices",
        "S4": "market.estimation_short",
        "S7": "market.constant_returns",
    }
    counts = json.loads((result / "summary.json").read_text())["counts"]
    assert counts["used"] + counts["merged"] + counts["dropped"] == 126
    assert sum(counts["reasons"].values()) == counts["dropped"]
    assert counts["reasons"]["constant_returns"] == 1
    kept = {(row["ticker"], row["session"]) for row in found if row["status"] in ("used", "shifted")}
    again = [row for row in found if row["status"] == "merged"]
    assert len(kept) == counts["used"]
    assert {(row["ticker"], row["session"]) for row in again} <= kept
    shifted = next(row for row in found if row["status"] == "shifted")
    assert np.datetime64(shifted["session"]) - np.datetime64(shifted["event_id"][3:]) == np.timedelta64(2, "D")
    assert {row["event_id"] for row in rows_of(result, "car")} == {
        row["event_id"] for row in found if row["status"] in ("used", "shifted")
    }


def test_the_pack_has_what_any_study_leaves(result: Path, capsys: pytest.CaptureFixture[str]) -> None:
    files = {path.relative_to(result).as_posix() for path in result.rglob("*") if path.is_file()}
    assert files >= {
        "report.pdf",
        "report.html",
        "summary.md",
        "figures/caar_by_label.svg",
        "figures/caar_by_label.png",
        "tables.xlsx",
    }
    names = ("aar", "alignment", "event_days", "multiplicity", "quality", "regressions", "shocks", "tests")
    assert {f"tables/{name}.csv" for name in names} <= files
    assert {f"tables/{name}.parquet" for name in ("ledger", "estimation", "car")} <= files
    facts = json.loads((result / "summary.json").read_text(encoding="utf-8"))
    assert f"{facts['effect']['n_events']} firm-events on" in facts["effect"]["sentence"]
    rows = rows_of(result, "tests")
    first = next(row for row in rows if row["group"] == "all" and row["name"] == "date_t")
    assert facts["headline"]["n_events"] == int(first["n_events"])
    assert facts["rbar"] == float(first["rbar"]) == facts["headline"]["rbar"]
    t = next(row for row in rows if row["group"] == "all" and row["name"] == "ibragimov_mueller")
    assert facts["effect"]["window"] == t["window"] == facts["effects"][0]["window"]
    assert facts["effect"]["estimate"] == pytest.approx(float(t["estimate"]), rel=1e-12)
    assert facts["effect"]["estimate"] / facts["effect"]["se"] == pytest.approx(float(t["statistic"]), rel=1e-12)
    assert facts["effect"]["p_value"] == pytest.approx(float(t["p_value"]), rel=1e-9)
    assert main(["show", str(result)]) == 0
    assert "104 firm-events on 81 dates" in " ".join(capsys.readouterr().out.replace("│", " ").split())


def test_show_verify_and_compare_know_the_pack(
    folder: Path, result: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    inputs = ("--events", str(folder / "events.parquet"), "--prices", str(folder / "prices.parquet"))
    assert main(["verify", str(result), *inputs]) == 0
    assert "12 tables" in capsys.readouterr().out
    other = run(folder, tmp_path, *QUICK, "--set", "windows.clean_estimation=true")
    assert main(["compare", str(result), str(other)]) == 0
    assert "car.parquet" in capsys.readouterr().out
    table = pq.read_table(other / "tables" / "car.parquet")
    moved = table.set_column(table.schema.get_field_index("car"), "car", pa.array(np.append(0.5, table["car"][1:])))
    pq.write_table(moved, other / "tables" / "car.parquet")
    assert main(["verify", str(other), *inputs]) == 5


def test_the_pages_are_in_both_languages(folder: Path, tmp_path: Path) -> None:
    found = run(folder, tmp_path, "--language", "zh", "--set", "report.formats=['html','json']")
    page = (found / "report.html").read_text(encoding="utf-8")
    assert "公司" in page
    assert "made for up to" not in page
    assert not (found / "tables").exists()


def test_figures_and_tests_are_those_of_the_kernels(folder: Path, result: Path) -> None:
    sessions = {row["event_id"]: row["session"] for row in rows_of(result, "ledger")}
    found = [{**row, "session": sessions[row["event_id"]]} for row in rows_of(result, "estimation")]
    cars = {(row["event_id"], row["window"]): row for row in rows_of(result, "car")}
    wide = np.load(folder / "wide.npy")
    returns = np.full(wide.shape, np.nan)
    returns[:, 1:] = wide[:, 1:] / wide[:, :-1] - 1.0
    panel = WidePanel(returns[:8], returns[8:])
    at = np.searchsorted(DAYS, np.array([row["session"] for row in found], "datetime64[D]"))
    security = np.array([int(row["ticker"][1:]) for row in found])
    events = FirmEvents(at, security, np.zeros_like(security))
    fitted = fit_events(panel, events, LAYOUT)
    np.testing.assert_array_equal([row["n_estimation"] for row in found], fitted.n)
    for name in ("alpha", "beta", "sigma"):
        np.testing.assert_allclose([row[name] for row in found], getattr(fitted, name), rtol=1e-10, atol=1e-14)
    for w, window in enumerate(LAYOUT.car):
        for kind, values in (("car", fitted.car[w]), ("scar", fitted.scar(w)), ("se", np.sqrt(fitted.variance[w]))):
            name = f"[{window[0]},{window[1]}]"
            column = np.array([cars[row["event_id"], name][kind] for row in found], dtype=float)
            np.testing.assert_allclose(column, values, rtol=1e-9, atol=1e-13)
    expected = {
        (test.name, test.window): test
        for test in run_battery(fitted, reduce_events(panel, events, fitted, LAYOUT), LAYOUT)
    }
    rows = [row for row in rows_of(result, "tests") if row["group"] == "all"]
    assert len(rows) == len(expected) > 90
    for row in rows:
        first, last = row["window"][1:-1].split(",")
        test = expected[row["name"], (int(first), int(last))]
        assert float(row["statistic"] or "nan") == pytest.approx(test.statistic, rel=1e-9, nan_ok=True)
        assert row["reason"] == text(test.reason)


def test_groups_are_tested_by_themselves(result: Path) -> None:
    rows = [row for row in rows_of(result, "tests") if row["name"] == "bmp" and row["window"] == "[0,0]"]
    counts = {row["group"]: int(row["n_events"]) for row in rows}
    assert counts["all"] == counts["group=even"] + counts["group=odd"] > 100
    assert {row["group"] for row in rows_of(result, "aar")} == set(counts)


SAME = ("tables/car.parquet", "tables/ledger.parquet", "tables/tests.csv", "tables/aar.csv")


def test_processes_and_file_formats_change_no_byte(folder: Path, result: Path, tmp_path: Path) -> None:
    two = run(folder, tmp_path / "two", "--jobs", "2")
    assert two.name == result.name
    text = run(folder, tmp_path / "text", *QUICK, events="events.csv", prices="prices.csv")
    for name in SAME:
        assert (two / name).read_bytes() == (result / name).read_bytes(), name
        if name.startswith("tables"):
            assert (text / name).read_bytes() == (result / name).read_bytes(), name


def test_a_cluster_changes_no_byte(folder: Path, result: Path, tmp_path: Path) -> None:
    distributed = pytest.importorskip("distributed")
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, dashboard_address=":0", host="127.0.0.1", silence_logs=50
    ) as cluster:
        there = run(folder, tmp_path, "--engine", "dask", "--scheduler", cluster.scheduler_address)
    for name in SAME:
        assert (there / name).read_bytes() == (result / name).read_bytes(), name


def test_the_same_study_again_leaves_the_folder_and_no_scratch(folder: Path, tmp_path: Path) -> None:
    first = run(folder, tmp_path, *QUICK)
    before = (first / "manifest.json").stat().st_mtime_ns
    assert run(folder, tmp_path, *QUICK) == first
    assert (first / "manifest.json").stat().st_mtime_ns == before
    assert {path.name for path in tmp_path.iterdir()} <= {first.name, ".eventstudy.lock", "latest", "trials.jsonl"}


def test_only_groups_of_rows_that_can_hold_a_ticker_are_read(folder: Path) -> None:
    file = open_long(folder / "prices.parquet")
    count = pq.ParquetFile(folder / "prices.parquet").num_row_groups
    some = groups_of(file, ["S3"])
    assert 1 <= len(some) <= 3 < count
    assert groups_of(file, ["A", "R9"]) == ()


@pytest.mark.parametrize(
    ("header", "row", "said"),
    [
        ("ticker,date", "S1,2024-06-03T14:00Z", "events.csv:2: date '2024-06-03T14:00Z' is not a date such as"),
        ("ticker,date", "S1,2024-02-30", "events.csv:2: date '2024-02-30' is not a date such as"),
        ("ticker,date", ",2024-06-03", "events.csv:2: no ticker"),
        ("event_id,ticker,date", "a,S1,2024-06-03\na,S2,2024-06-03", "event_id 'a' is already on line 2"),
        ("ticker,date", "S1,03/04/2024", "could be 2024-03-04 or 2024-04-03, and no other row decides"),
        ("ticker,date", "S1;S2,2024-06-03", "tickers 'S1;S2': in a list of more than 0 events a row has one"),
        ("ticker,date", "S1 Ltd,2024-06-03", "ticker 'S1 Ltd': accepted are capital letters"),
        ("ticker,date,benchmark", "S1,2024-06-03,X", "events.csv:2: benchmark 'X': up to 0 events can have one"),
        ("ticker,date,label", "S1,2024-06-03,misreading", "events.csv:2: label 'misreading': up to 0 events"),
    ],
)
def test_events_that_cannot_be_used_say_where_and_what(
    header: str, row: str, said: str, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "events.csv").write_text(f"{header}\n{row}\n")
    arguments = ["market", str(tmp_path / "events.csv"), "--prices", str(folder / "prices.parquet")]
    assert main([*arguments, *SETTINGS, "--out", str(tmp_path / "out")]) == 2
    assert said in capsys.readouterr().err


PRICES = "ticker,date,adj_close\n" + "".join(f"^IDX,{day},{100 + i % 7}\n" for i, day in enumerate(DAYS))


@pytest.mark.parametrize(
    ("text", "extra", "code", "said"),
    [
        (PRICES + "S1,2024-06-03,-1\n", (), 4, "S1 on 2024-06-03: adj_close = -1 is no price"),
        (PRICES + "S1,2024-06-03,1\nS1,2024-06-03,2\n", (), 4, "S1 has more than one row on some day"),
        (PRICES + f"^IDX,{DAYS[5]},1\n", (), 4, f"^IDX has two rows on {DAYS[5]}"),
        (PRICES + "S1,2024-06-03,abc\n", (), 4, "cannot be read"),
        ("ticker,date,volume\nS1,2024-06-03,1\n", (), 4, "needed are date and close or adj_close"),
        (PRICES, ("--benchmark", "^OTHER"), 4, "no row of '^OTHER'"),
        (PRICES, (), 3, "no event can be studied (no_prices 1)"),
        (
            PRICES,
            ("--set", "model.name=garch"),
            2,
            "model.name = 'garch': with more than 0 firm-events accepted are market, market_adjusted",
        ),
        (PRICES, ("--set", 'tests.names=["bmpp"]'), 2, "did you mean 'bmp'"),
    ],
)
def test_prices_and_settings_that_cannot_be_used_say_what(
    text: str, extra: tuple[str, ...], code: int, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "prices.csv").write_text(text)
    (tmp_path / "events.csv").write_text("ticker,date\nS1,2024-09-03\n")
    arguments = ["market", str(tmp_path / "events.csv"), "--prices", str(tmp_path / "prices.csv")]
    out = tmp_path / "out"
    assert main([*arguments, *SETTINGS, "--out", str(out), *extra]) == code
    assert said in capsys.readouterr().err
    assert not [path for path in out.glob("*") if path.is_dir()]


def test_a_benchmark_may_be_a_file_of_its_own_and_a_missing_one_is_told_with_its_option(
    folder: Path, result: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["market", str(folder / "events.parquet"), "--prices", str(folder / "prices.parquet")]
    assert main([*arguments, "--out", str(tmp_path)]) == 4
    assert "no row of '^GSPC'; give another --benchmark" in capsys.readouterr().err
    wide = np.load(folder / "wide.npy")
    pq.write_table(pa.table({"date": pa.array(DAYS), "adj_close": wide[8]}), tmp_path / "index.parquet")
    other = run(folder, tmp_path / "out", *QUICK, "--benchmark", str(tmp_path / "index.parquet"))
    assert (other / "tables" / "tests.csv").read_bytes() == (result / "tables" / "tests.csv").read_bytes()
