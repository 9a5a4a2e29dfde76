"""The study in Python gives what the command gives, takes what a notebook has, and can be added to."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from studies import event_row, write_events, write_prices, write_study

import eventstudy
from eventstudy import Study
from eventstudy.cli import main
from eventstudy.errors import ConfigError, EventsError, PriceError

ROWS = [
    event_row("E1", "2021-06-09", label="misreading", label_asof="2021-06-10", title="A drop"),
    event_row("E2", "2021-09-08T10:00:00-04:00", label="genuine", label_asof="2021-09-08", tickers="AAA;BBB"),
]
TABLES_ONLY = {"report.formats": ["csv", "json"], "reversal.specification_curve": False}


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small study with prices."""
    folder = tmp_path_factory.mktemp("api")
    write_prices(folder / "prices")
    write_events(folder, ROWS)
    write_study(folder)
    return folder


@pytest.fixture(scope="module")
def result(place: Path) -> eventstudy.StudyResult:
    return Study.from_toml(place / "study.toml", overrides=TABLES_ONLY).run(
        place / "events.csv", prices=place / "prices"
    )


def long_frame(place: Path) -> pd.DataFrame:
    files = sorted((place / "prices").glob("*.csv"))
    return pd.concat([pd.read_csv(path).assign(ticker=path.stem) for path in files])


def test_the_same_tables_as_the_command_to_the_byte(
    place: Path, result: eventstudy.StudyResult, tmp_path: Path
) -> None:
    command = [
        "run",
        str(place / "events.csv"),
        "--config",
        str(place / "study.toml"),
        "--prices",
        str(place / "prices"),
        "--out",
        str(tmp_path / "r"),
        "--quiet",
        "--set",
        'report.formats=["csv", "json"]',
        "--set",
        "reversal.specification_curve=false",
    ]
    assert main(command) == 0
    theirs, ours = (tmp_path / "r" / "latest").resolve(), result.write_pack(tmp_path / "ours")
    assert theirs.name == result.run_id
    files = sorted(path.relative_to(theirs) for path in theirs.rglob("*") if path.is_file())
    assert len(files) > 25
    assert files == sorted(path.relative_to(ours) for path in ours.rglob("*") if path.is_file())
    for name in files:
        assert (theirs / name).read_bytes() == (ours / name).read_bytes(), name
    with pytest.raises(ConfigError, match="is not empty"):
        result.write_pack(ours)


def test_events_and_prices_may_be_frames(place: Path, result: eventstudy.StudyResult) -> None:
    study = Study.from_toml(place / "study.toml", overrides=TABLES_ONLY)
    events = pd.read_csv(place / "events.csv", dtype=str)
    events["timestamp"] = [pd.Timestamp("2021-06-09"), pd.Timestamp("2021-09-08T10:00:00-04:00")]
    events["tickers"] = [None, ["AAA", "BBB"]]
    rows = long_frame(place)
    wide = rows.pivot(index="date", columns="ticker", values="adj_close")
    wide.index = pd.to_datetime(wide.index)
    wide_result = study.run(events, prices=wide)
    for name in ("car", "tests", "ledger", "reversal", "alignment"):
        for other in (study.run(events, prices=rows), wide_result):
            pd.testing.assert_frame_equal(other.to_frame(name), result.to_frame(name))


def test_wrong_frames_are_refused_as_files_are(place: Path) -> None:
    study = Study.from_toml(place / "study.toml")
    events = pd.read_csv(place / "events.csv", dtype=str)
    with pytest.raises(EventsError, match=r"events\.csv:3: label 'misread'; accepted: .*misreading"):
        study.run(events.assign(label=["genuine", "misread"], label_asof="2021-09-09"))
    rows = long_frame(place)
    rows.loc[rows["ticker"] == "AAA", "adj_close"] *= -1
    with pytest.raises(PriceError, match=r"adj_close -.* is zero or negative"):
        study.run(events, prices=rows)
    with pytest.raises(ConfigError, match="prices of the type int: accepted are a folder"):
        study.run(events, prices=3)  # type: ignore[arg-type]


def test_check_estimates_nothing_and_says_what_is_missing(place: Path, tmp_path: Path) -> None:
    study = Study.from_toml(place / "study.toml")
    assert study.check(place / "events.csv").ledger == ()
    assert len(study.check(place / "events.csv").to_frame("alignment")) == 2
    for ticker in ("AAA", "BBB"):
        (tmp_path / f"{ticker}.csv").write_bytes((place / "prices" / f"{ticker}.csv").read_bytes())
    found = study.check(place / "events.csv", prices=tmp_path)
    assert set(found.to_frame()["status"]) == {"dropped"}
    todo = "no file {0}.csv in the folder {1}; write one with the columns date,close,adj_close"
    assert found.missing == (
        f"no prices for CCC (XNYS): {todo.format('CCC', tmp_path.name)}",
        "no prices for IDX, the benchmark of XNYS, without which its 3 peers cannot be used: "
        + todo.format("IDX", tmp_path.name)
        + ", or name another index: --benchmark, or benchmark in [[markets]]",
    )
    with pytest.raises(KeyError, match="there are alignment, ledger, quality"):
        found.to_frame("legder")


def test_settings_are_checked_when_the_study_is_made(place: Path) -> None:
    changed = {"windows.car": [(0, 0), (0, 1)], "study.seed": 3}
    study = Study.from_toml(place / "study.toml", overrides=changed)
    assert study.settings.windows.car == ((0, 0), (0, 1))
    assert study.settings.study.seed == 3
    with pytest.raises(ConfigError, match="did you mean 'market'"):
        Study.from_toml(place / "study.toml", overrides=["model.name=markt"])
    with pytest.raises(ConfigError, match="'optcal' is not shipped"):
        Study.from_sector("optcal")
    optical = Study.from_sector("optical")
    assert optical.events_file.is_file()
    assert len(optical.settings.peers) == 24
    with pytest.raises(ConfigError, match="is not shipped"):
        study.events_file  # noqa: B018


def test_summary_is_text_of_a_hundred_columns(result: eventstudy.StudyResult) -> None:
    text = result.summary()
    lines = text.splitlines()
    assert max(map(len, lines)) <= 100
    assert lines[0].strip() == "Small study"
    assert lines[2].split() == ["Model:", "market", "Prices:", "files", "to", "2021-10-25"]
    assert lines[3].split() == ["Returns:", "simple", "Events,", "shocks,", "peers:", "2,", "2,", "3"]
    assert lines[4].split()[:3] == ["Estimation:", "[-250,", "-11]"]
    assert lines[4].split()[3:] == ["Firm-events", "used,", "dropped:", "5,", "0"]
    assert "Cannot say. The one shock labelled misreading fell far enough to count as a drop" in " ".join(text.split())
    (row,) = [line for line in lines if line.startswith("all events  ") and "[0, +1]" in line]
    found = result.to_frame("tests").set_index(["group", "window", "name"])["estimate"]
    mean = found["all", "[0,1]", "ibragimov_mueller"]
    assert row.split()[4] == f"{mean:+.1%}".replace("-", "−")
    assert row.split()[-3:] == ["5", "2", "2.0"]
    warned = replace(result, facts={**result.facts, "warnings": ["one", "two " * 40], "simulated": True})
    assert warned.summary().splitlines()[-3:-1] == ["- one", "- " + ("two " * 24).strip()]
    assert "SIMULATED" in warned.summary()


def test_a_simulated_run_has_placebos_and_says_that_they_were_planted(place: Path) -> None:
    result = Study.from_toml(place / "study.toml", overrides=TABLES_ONLY).run(place / "events.csv", prices="simulated")
    reversal = result.to_frame("reversal").set_index("shock_id")
    assert reversal.loc["E1", "qualifies"]
    assert reversal.loc["E1", "n_placebos"] >= 5
    planted = result.manifest["prices"]["truth"]["drops"]
    quiet = [drop for drop in planted if not drop["label"]]
    assert {drop["shock_id"] for drop in planted if drop["label"]} == {"E1", "E2"}
    assert len(quiet) > 40
    assert {drop["reversal"] for drop in quiet} == {0.0}
    assert result.facts["warnings"][0].startswith(
        f"Prices are simulated: 2 drops were placed at events, by their labels. {len(quiet)} more were placed on days "
        "without news"
    )
    days = pd.to_datetime([next(iter(drop["sessions"].values())) for drop in quiet if drop["sessions"]])
    assert abs(days - pd.Timestamp("2021-06-09")).min() >= pd.Timedelta(days=32)


@pytest.fixture
def registries() -> Iterator[None]:
    """The registries as they were, whatever a test adds."""
    kept = [dict(part) for part in (eventstudy.STATISTICS, eventstudy.MODELS, eventstudy.PROVIDERS)]
    yield
    for part, before in zip((eventstudy.STATISTICS, eventstudy.MODELS, eventstudy.PROVIDERS), kept, strict=True):
        part.clear()
        part.update(before)


@pytest.mark.usefixtures("registries")
def test_a_statistic_a_model_and_a_provider_of_ones_own(place: Path) -> None:
    @eventstudy.statistic("median_t", null="the median CAR is zero", source="here", minimum=2)
    def median_t(sample: eventstudy.WindowSample) -> eventstudy.TestResult:
        se = 1.2533 * sample.car.std(ddof=1) / np.sqrt(sample.n)
        return sample.result(np.median(sample.car) / se, distribution="normal")

    @eventstudy.model("half_market")
    def half_market(panel: eventstudy.EventPanel, settings: object) -> eventstudy.ExpectedReturns:
        fit = eventstudy.least_squares(panel.with_factors("market"), "half_market", ("alpha", "beta"))
        return replace(fit, theta=fit.theta / 2)

    frame = long_frame(place)

    @eventstudy.provider("mine")
    class Mine:
        def fetch(self, request: eventstudy.PriceRequest) -> eventstudy.PriceTable:
            series, outcomes = {}, {}
            for ticker, rows in frame.groupby("ticker"):
                rows = rows[rows["date"] <= request.end.isoformat()]
                close, none = rows["close"].to_numpy(), np.full(len(rows), np.nan)
                days = rows["date"].to_numpy(dtype="datetime64[D]")
                series[ticker] = eventstudy.PriceSeries(
                    ticker=ticker, dates=days, open=none, high=none, low=none, close=close, adj_close=close, volume=none
                )
                outcomes[ticker] = eventstudy.PriceOutcome(ticker=ticker, status="ok", rows=len(rows))
            return eventstudy.PriceTable(source="mine", series=series, outcomes=outcomes)

    overrides = {**TABLES_ONLY, "model.name": "half_market", "tests.names": ["median_t", "date_t"]}
    study = Study.from_toml(place / "study.toml", overrides=overrides)
    result = study.run(place / "events.csv", prices=Mine())
    named = study.run(place / "events.csv", prices="mine")
    pd.testing.assert_frame_equal(named.to_frame("car"), result.to_frame("car"))
    estimation, tests = result.to_frame("estimation"), result.to_frame("tests")
    assert set(estimation["model"]) == {"half_market"}
    assert set(tests["name"]) == {"median_t", "date_t"}
    car = result.to_frame("car").query("window == '[0,1]'")["car"]
    row = tests[(tests["name"] == "median_t") & (tests["group"] == "all") & (tests["window"] == "[0,1]")]
    by_hand = car.median() / (1.2533 * car.std(ddof=1) / len(car) ** 0.5)
    assert row["statistic"].item() == pytest.approx(by_hand, rel=1e-12)


def test_the_package_is_light_and_its_names_are_sorted() -> None:
    code = (
        "import sys, eventstudy; "
        "print(sorted(m for m in sys.modules if m.split('.')[0] in ('numpy', 'pandas', 'scipy')"
        " or m.startswith('eventstudy.')))"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert out.strip() == "[]"
    kinds = {name: (not name.isupper(), not name[0].isupper(), name) for name in eventstudy.__all__}
    assert sorted(eventstudy.__all__, key=kinds.__getitem__) == eventstudy.__all__
    for name in eventstudy.__all__:
        assert getattr(eventstudy, name) is not None
        assert name in dir(eventstudy)
    with pytest.raises(AttributeError, match=r"has no attribute 'Studdy'; it has .*Study"):
        eventstudy.Studdy  # noqa: B018
