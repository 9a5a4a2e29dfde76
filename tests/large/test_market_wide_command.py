"""`eventstudy market` from files to folder: every event accounted for, figures of the kernels, bad inputs."""

from __future__ import annotations

import csv
import io
import json
import zipfile
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq
import pytest
from market_panels import wide_panel
from numpy.typing import NDArray
from rich.console import Console

from eventstudy.cli import main
from eventstudy.core.statistics import TestResult
from eventstudy.large import FirmEvents, Layout, WidePanel, fit_events, reduce_events, run_battery
from eventstudy.messages import text
from eventstudy.prices.long import groups_of, open_long
from eventstudy.report.sections.market import leading_tables
from eventstudy.report.terminal import print_blocks

LAYOUT = Layout((-80, -11), (-10, 20), ((0, 0), (0, 1), (-1, 1), (2, 5), (2, 10), (2, 20)))
PLAIN = (
    "windows.estimation=[-80,-11]",
    "windows.minimum=40",
    "windows.clean_estimation=false",
    "windows.allow_partial=true",
)
SETTINGS = (*(word for setting in PLAIN for word in ("--set", setting)), "--benchmark", "^IDX")
SESSIONS = 300
DAYS: NDArray[np.datetime64] = np.busday_offset("2024-01-01", np.arange(SESSIONS), roll="forward")


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
    assert main([*arguments, *SETTINGS, "--quiet", *extra]) == 0
    return next(path for path in out.iterdir() if path.name.startswith("market-"))


@pytest.fixture(scope="module")
def result(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return run(folder, tmp_path_factory.mktemp("out"))


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_every_event_has_one_row_that_says_what_became_of_it(folder: Path, result: Path) -> None:
    events, found = pq.read_table(folder / "events.parquet"), pq.read_table(result / "events.parquet")
    assert found["ticker"].to_pylist() == events["ticker"].to_pylist()
    assert found["date"].to_pylist() == events["date"].to_pylist()
    assert found["event_id"].to_pylist() == [str(i) for i in range(1, len(events) + 1)]
    fates = {row["ticker"]: row["reason_code"].removeprefix("market.") for row in found.slice(120).to_pylist()}
    assert fates == {
        "NOPE": "no_prices",
        "S1": "shifted",
        "S2": "after_prices",
        "S3": "before_prices",
        "S4": "estimation_short",
        "S7": "constant_returns",
    }
    facts = json.loads((result / "summary.json").read_text())
    assert facts["n_events"] == sum(facts["fates"].values()) == 126
    assert facts["n_used"] + facts["n_merged"] + facts["n_dropped"] == 126
    kept = {(row["ticker"], row["session"], row["group"]) for row in found.to_pylist() if row["status"] == "used"}
    again = [row for row in found.to_pylist() if row["status"] == "merged"]
    assert len(kept) == facts["n_used"]
    assert len(again) == facts["n_merged"] == 3
    assert {(row["ticker"], row["session"], row["group"]) for row in again} <= kept
    shifted = found.slice(121, 1).to_pylist()[0]
    assert (shifted["session"] - shifted["date"]).days == 2
    assert all(row["car[0,1]"] is None for row in found.to_pylist() if row["status"] == "dropped")


def test_the_folder_has_what_any_study_leaves(result: Path) -> None:
    files = {path.relative_to(result).as_posix() for path in result.rglob("*") if path.is_file()}
    assert files >= {f"market.{kind}" for kind in ("pdf", "html", "md")} | {"caar.svg", "caar.png", "tables.xlsx"}
    facts = json.loads((result / "summary.json").read_text(encoding="utf-8"))
    counts, rows = facts["counts"], rows_of(result / "tests.csv")
    assert counts["used"] + counts["merged"] + sum(counts["reasons"].values()) == facts["n_events"]
    first = next(row for row in rows if row["group"] == "all" and row["name"] == "date_t")
    assert facts["headline"]["n_events"] == int(first["n_events"])
    assert facts["rbar"] == float(first["rbar"]) == facts["headline"]["rbar"]
    assert facts["model"]["name"] == "market"
    t = next(row for row in rows if row["group"] == "all" and row["name"] == "ibragimov_mueller")
    assert facts["effect"]["window"] == t["window"] == facts["effects"][0]["window"]
    assert facts["effect"]["estimate"] == float(t["estimate"])
    assert facts["effect"]["estimate"] / facts["effect"]["se"] == pytest.approx(float(t["statistic"]), rel=1e-12)
    assert facts["effect"]["p_value"] == pytest.approx(float(t["p_value"]), rel=1e-9)
    latex = (result / "latex" / "tests.tex").read_text(encoding="utf-8")
    assert latex.count("\\\\\n") == 1 + len({(row["group"], row["window"]) for row in rows})
    with zipfile.ZipFile(result / "tables.xlsx") as book:
        assert [sheet in book.read("xl/workbook.xml").decode() for sheet in ('"summary"', '"tests"', '"aar"')] == [
            True
        ] * 3
    with (result / "caar.png").open("rb") as image:
        assert image.read(8) == b"\x89PNG\r\n\x1a\n"


def test_figures_and_tests_are_those_of_the_kernels(folder: Path, result: Path) -> None:
    found = [row for row in pq.read_table(result / "events.parquet").to_pylist() if row["status"] == "used"]
    wide = np.load(folder / "wide.npy")
    returns = np.full(wide.shape, np.nan)
    returns[:, 1:] = wide[:, 1:] / wide[:, :-1] - 1.0
    panel = WidePanel(returns[:8], returns[8:])
    at = np.searchsorted(DAYS, np.array([row["session"] for row in found], "datetime64[D]"))
    security = np.array([int(row["ticker"][1:]) for row in found])
    events = FirmEvents(at, security, np.zeros_like(security))
    fitted = fit_events(panel, events, LAYOUT)
    for name in ("alpha", "beta", "sigma", "n"):
        np.testing.assert_allclose([row[name] for row in found], getattr(fitted, name), rtol=1e-10, atol=1e-14)
    for w, window in enumerate(LAYOUT.car):
        for kind, values in (("car", fitted.car[w]), ("scar", fitted.scar(w)), ("se", np.sqrt(fitted.variance[w]))):
            column = np.array([row[f"{kind}[{window[0]},{window[1]}]"] for row in found], dtype=float)
            np.testing.assert_allclose(column, values, rtol=1e-9, atol=1e-13)
    expected = {
        (test.name, test.window): test
        for test in run_battery(fitted, reduce_events(panel, events, fitted, LAYOUT), LAYOUT)
    }
    rows = [row for row in rows_of(result / "tests.csv") if row["group"] == "all"]
    assert len(rows) == len(expected) > 90
    for row in rows:
        first, last = row["window"][1:-1].split(",")
        test = expected[row["name"], (int(first), int(last))]
        assert float(row["statistic"] or "nan") == pytest.approx(test.statistic, rel=1e-9, nan_ok=True)
        assert row["reason"] == text(test.reason)


def test_groups_are_tested_by_themselves(result: Path) -> None:
    rows = [row for row in rows_of(result / "tests.csv") if row["name"] == "bmp" and row["window"] == "[0,0]"]
    counts = {row["group"]: int(row["n_events"]) for row in rows}
    assert counts["all"] == counts["group=even"] + counts["group=odd"] > 100
    assert {row["group"] for row in rows_of(result / "aar.csv")} == set(counts)


def test_processes_and_file_formats_change_no_byte(folder: Path, result: Path, tmp_path: Path) -> None:
    two = run(folder, tmp_path / "two", "--jobs", "2")
    assert two.name == result.name
    text = run(folder, tmp_path / "text", events="events.csv", prices="prices.csv")
    for name in ("events.parquet", "tests.csv", "aar.csv", "summary.json", "manifest.json"):
        assert (two / name).read_bytes() == (result / name).read_bytes(), name
        if name not in ("summary.json", "manifest.json"):
            assert (text / name).read_bytes() == (result / name).read_bytes(), name


def test_a_cluster_changes_no_byte(folder: Path, result: Path, tmp_path: Path) -> None:
    distributed = pytest.importorskip("distributed")
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, dashboard_address=":0", host="127.0.0.1", silence_logs=50
    ) as cluster:
        there = run(folder, tmp_path, "--engine", "dask", "--scheduler", cluster.scheduler_address)
    for name in ("events.parquet", "tests.csv", "aar.csv", "summary.json", "manifest.json"):
        assert (there / name).read_bytes() == (result / name).read_bytes(), name


def test_the_same_study_again_leaves_the_folder_and_no_scratch(folder: Path, tmp_path: Path) -> None:
    first = run(folder, tmp_path)
    before = (first / "manifest.json").stat().st_mtime_ns
    assert run(folder, tmp_path) == first
    assert (first / "manifest.json").stat().st_mtime_ns == before
    assert {path.name for path in tmp_path.iterdir()} <= {first.name, ".eventstudy.lock"}


def test_only_groups_of_rows_that_can_hold_a_ticker_are_read(folder: Path) -> None:
    file = open_long(folder / "prices.parquet")
    count = pq.ParquetFile(folder / "prices.parquet").num_row_groups
    some = groups_of(file, ["S3"])
    assert 1 <= len(some) <= 3 < count
    assert groups_of(file, ["A", "R9"]) == ()


@pytest.mark.parametrize(
    ("header", "row", "said"),
    [
        ("ticker,when", "S1,2024-06-03", "events.csv:1: no column date; accepted are event_id, ticker, date, group"),
        ("ticker,date", "S1,2024-06-03T14:00Z", "events.csv:2: date '2024-06-03T14:00Z' is no date such as"),
        ("ticker,date", "S1,2024-02-30", "events.csv:2: date '2024-02-30' is no date such as"),
        ("ticker,date", ",2024-06-03", "events.csv:2: no ticker"),
        ("event_id,ticker,date", "a,S1,2024-06-03\na,S2,2024-06-03", "events.csv:3: event_id 'a' is there twice"),
        ("ticker,date", "", "has no event"),
        ("ticker,date,benchmark", "S1,2024-06-03,X", "events.csv:1: column benchmark: all events of a market-wide"),
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
        ("ticker,date,close\nS1,2024-06-03,1\n", (), 4, "no column adj_close; accepted are ticker, date, and"),
        (PRICES, ("--benchmark", "^OTHER"), 4, "no row of '^OTHER'"),
        (PRICES, (), 3, "no event can be studied (no_prices 1)"),
        (
            PRICES,
            ("--set", "model.name=garch"),
            2,
            "model.name = 'garch': a market-wide study accepts market, market_adjusted",
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


def test_a_benchmark_is_needed_and_may_be_a_file_of_its_own(
    folder: Path, result: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["market", str(folder / "events.parquet"), "--prices", str(folder / "prices.parquet")]
    assert main([*arguments, "--out", str(tmp_path)]) == 2
    assert "no benchmark: give --benchmark" in capsys.readouterr().err
    wide = np.load(folder / "wide.npy")
    pq.write_table(pa.table({"date": pa.array(DAYS), "adj_close": wide[8]}), tmp_path / "index.parquet")
    other = run(folder, tmp_path / "out", "--benchmark", str(tmp_path / "index.parquet"))
    assert (other / "tests.csv").read_bytes() == (result / "tests.csv").read_bytes()


def shown_market(cvr: float, names: tuple[str, ...]) -> str:
    """What the terminal shows of one window with this common-volatility ratio."""
    numbers = {"estimate": 0.01, "statistic": 2.0, "df": 8.0, "p_value": 0.0456, "k_eff": 7.4}
    texts = {"group": "all", "distribution": "t", "null": "", "source": ""}
    same: dict[str, Any] = {"window": (0, 1), "n_events": 40, "n_dates": 9, **numbers, **texts}
    tests = [TestResult(name=name, **same) for name in names]
    row = {"group": "all", "window": [0, 1], "n_events": 40, "n_dates": 9, "k_eff": 7.4, "cvr": cvr}
    result: Any = SimpleNamespace(tests=tests, facts={"dates": [row]})
    console = Console(file=io.StringIO(), width=120)
    print_blocks(leading_tables(result), console)
    text: str = console.file.getvalue()  # type: ignore[attr-defined]
    return text


def test_the_terminal_shows_robust_tests_first_and_marks_the_others_after_a_burst() -> None:
    names = ("grank_t", "sign_flip", "date_t", "calendar_time", "bmp_kp", "ibragimov_mueller")
    text = shown_market(1.6, names)
    first, second = text.split("group", 2)[1:]
    order = [first.index(f"p {name}") for name in ("date_t", "sign_flip", "ibragimov_mueller", "calendar_time")]
    assert order == sorted(order)
    assert first.count("0.0456") == 4
    assert "‡" not in first
    assert second.count("0.0456 ‡") == 2
    assert "(ratio 1.6 in all [0,1])" in " ".join(second.split())
    assert "‡" not in shown_market(1.3, names)


def test_the_summary_counts_the_dates_of_each_window(result: Path) -> None:
    facts = json.loads((result / "summary.json").read_text(encoding="utf-8"))
    with (result / "tests.csv").open(encoding="utf-8") as file:
        rows = {(row["group"], row["window"], row["name"]): row for row in csv.DictReader(file)}
    assert len(facts["dates"]) == len({key[:2] for key in rows})
    for row in facts["dates"]:
        first, last = row["window"]
        t = rows[row["group"], f"[{first},{last}]", "date_t"]
        assert (str(row["n_events"]), str(row["n_dates"])) == (t["n_events"], t["n_dates"])
        assert row["k_eff"] == float(t["k_eff"])
        assert row["k_eff"] < row["n_dates"] or last == first
