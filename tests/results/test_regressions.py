"""CARs regressed on covariates, and groups compared: columns of the user's own, estimators, refusals."""

from __future__ import annotations

import dataclasses
import json
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
import twins
from studies import event_row, write_events, write_prices, write_study

from eventstudy.cli import main

TICKERS = tuple(f"T{i}" for i in range(8))
DAYS = ("2021-03-10", "2021-06-09", "2021-09-08", "2022-02-09", "2022-06-08", "2023-02-08")
COUNTRY = {ticker: "US" if i < 5 else "CA" for i, ticker in enumerate(TICKERS)}


@dataclasses.dataclass
class Place:
    """A study of eight peers with exposures 0.1 … 0.8 and six dates, and its command."""

    folder: Path
    command: list[str]

    def run(self, *settings: str, options: tuple[str, ...] = ()) -> int:
        pairs = [part for setting in settings for part in ("--set", setting)]
        return main([*self.command, *pairs, *options])

    def table(self, name: str) -> pd.DataFrame:
        return pd.read_csv(self.folder / "results" / "latest" / "tables" / f"{name}.csv")

    def cars(self, window: str) -> pd.Series:
        car = self.table("car")
        return car[car["window"] == window].set_index(["event_id", "ticker"])["car"]


@pytest.fixture
def place(tmp_path: Path) -> Place:
    write_prices(tmp_path / "prices", TICKERS, end="2023-12-29")
    events = write_events(tmp_path, [event_row(f"E{i}", day) for i, day in enumerate(DAYS)])
    # A column of numbers and one of texts of the events' own; E5 has no rating.
    lines = events.read_text(encoding="utf-8").splitlines()
    own = ["Rating,forum", "1.5,X", "2.5,Y", "-1,X", "4,Y", "0.5,X", ",Y"]
    events.write_text("\n".join(f"{line},{cells}" for line, cells in zip(lines, own, strict=True)), encoding="utf-8")
    extra = {
        ticker: f'exposure = {(i + 1) / 10}\ncountry = "{COUNTRY[ticker]}"\nlev = {i * i}'
        for i, ticker in enumerate(TICKERS)
    }
    command = ["run", str(events), "--config", str(write_study(tmp_path, TICKERS, extra)), "--prices"]
    command += [str(tmp_path / "prices"), "--out", str(tmp_path / "results"), "--quiet"]
    command += ["--set", 'report.formats=["csv", "json"]', "--set", "tests.draws=199"]
    return Place(tmp_path, command)


def test_coefficients_are_those_of_least_squares(place: Place) -> None:
    assert place.run('tests.regression=["car ~ exposure + pre_trend"]', 'tests.estimators=["ols"]') == 0
    found = place.table("regressions")
    windows = ["[0,0]", "[0,1]", "[-1,1]", "[2,5]", "[2,10]", "[2,20]"]
    assert found["window"].tolist() == np.repeat(windows, 3).tolist()
    assert found["term"].tolist() == ["Intercept", "exposure", "pre_trend"] * 6
    assert set(found["n_events"]) == {48}
    assert set(found["n_dates"]) == {6}
    assert set(found["estimator"]) == {"ols_cr2"}
    daily = place.table("abnormal_returns")
    trend = daily[daily["tau"].between(-10, -1)].groupby(["event_id", "ticker"])["ar"].sum()
    drop = place.cars("[0,1]")
    exposure = [(int(ticker[1:]) + 1) / 10 for _, ticker in drop.index]
    x = np.column_stack([np.ones(48), exposure, trend.reindex(drop.index)])
    mine = found[found["window"] == "[0,1]"]
    by_hand = np.linalg.lstsq(x, drop.to_numpy(), rcond=None)[0]
    np.testing.assert_allclose(mine["estimate"], by_hand, rtol=1e-9)
    slow = twins.cluster_regression(drop.to_numpy(), x, np.array([event for event, _ in drop.index]), np.ones((1, 6)))
    np.testing.assert_allclose(mine["se"], slow.se_cr2, rtol=1e-8)
    np.testing.assert_allclose(mine["df"], slow.df_cr2, rtol=1e-7)
    np.testing.assert_allclose(mine["t"], by_hand / slow.se_cr2, rtol=1e-8)
    assert ((found["p_pre_event"] > 0) & (found["p_pre_event"] <= 1)).all()
    # 240 residuals hold 120 windows of two days and 12 of nineteen.
    steps = found[found["window"].isin(["[0,1]", "[2,20]"])]["p_pre_event"].to_numpy() * np.repeat([121, 13], 3)
    np.testing.assert_allclose(steps, steps.round(), atol=1e-9)


def test_columns_of_events_peers_and_files_are_covariates(place: Place) -> None:
    """Numbers of the events, texts of the peers and a dated file; a firm-event without a value is counted."""
    rows = ["ticker,date,Size", *(f"{ticker},2021-01-04,{i}" for i, ticker in enumerate(TICKERS))]
    rows += [f"T3,{DAYS[1]},33", f"T3,{DAYS[3]},55"]
    (place.folder / "size.csv").write_text("\n".join(rows), encoding="utf-8")
    toml = place.folder / "study.toml"
    toml.write_text(f'[[covariates]]\nfile = "{place.folder / "size.csv"}"\n' + toml.read_text(encoding="utf-8"))
    assert place.run('tests.regression=["car ~ Rating + C(country) + Size"]', 'tests.estimators=["ols"]') == 0
    mine = place.table("regressions").query("window == '[0,1]'")
    assert mine["term"].tolist() == ["Intercept", "C(country)[T.US]", "Rating", "Size"]
    assert set(mine["n_events"]) == {40}
    assert set(mine["n_left_out"]) == {8}
    rating = dict(zip([f"E{i}" for i in range(5)], (1.5, 2.5, -1.0, 4.0, 0.5), strict=True))
    car = place.cars("[0,1]")
    car = car[[event != "E5" for event, _ in car.index]]

    def size(event: str, ticker: str) -> float:
        at = int(event[1:])
        return float(ticker[1:]) if ticker != "T3" or at < 1 else 33.0 if at < 3 else 55.0

    x = np.array([[1, COUNTRY[t] == "US", rating[e], size(e, t)] for e, t in car.index], dtype=float)
    np.testing.assert_allclose(mine["estimate"], np.linalg.lstsq(x, car.to_numpy(), rcond=None)[0], rtol=1e-9)
    settings = json.loads((place.folder / "results" / "latest" / "manifest.json").read_text())["settings"]
    assert (settings["peers"][0]["country"], settings["peers"][2]["lev"]) == ("US", 4.0)


def test_one_firm_a_date_has_hc3(place: Place) -> None:
    events = place.folder / "events.csv"
    rows = [event_row(f"E{i}", day, tickers=TICKERS[i]) for i, day in enumerate(DAYS)]
    write_events(place.folder, rows, events.name)
    assert place.run('tests.regression=["car ~ lev"]', 'tests.estimators=["ols"]') == 0
    mine = place.table("regressions").query("window == '[0,1]'")
    car = place.cars("[0,1]")
    x = sm.add_constant(np.array([int(ticker[1:]) ** 2 for _, ticker in car.index], dtype=float))
    theirs = sm.OLS(car.to_numpy(), x).fit(cov_type="HC3", use_t=True)
    assert set(mine["estimator"]) == {"ols_hc3"}
    np.testing.assert_allclose(mine["se"], theirs.bse, rtol=1e-9)
    np.testing.assert_allclose(mine["p_value"], theirs.pvalues, rtol=1e-8)
    np.testing.assert_allclose(mine["r_squared"], theirs.rsquared, rtol=1e-9)


def test_one_date_has_gls_and_says_why_no_clusters(place: Place) -> None:
    write_events(place.folder, [event_row("E0", DAYS[0])])
    assert place.run('tests.regression=["car ~ lev"]') == 0
    found = place.table("regressions").query("window == '[0,1]'").set_index("estimator")
    assert "1 cluster; a variance over clusters needs at least two" in found.loc["ols", "reason"]
    assert found.loc["gls", "term"].tolist() == ["Intercept", "lev"]
    assert np.isfinite(found.loc["gls", "p_value"]).all()


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        ('tests.regression=["bhar ~ exposure"]', "write car ~ covariates"),
        ('tests.regression=["car ~ exposur"]', "no column 'exposur'; .* did you mean 'exposure'"),
        ('tests.regression=["car ~ np.log(levv) + C(country)"]', "no column 'levv'; .*did you mean 'lev'"),
        ('tests.regression=["car ~ (lev"]', "cannot be read"),
        ('tests.group=["countri"]', "tests.group: there is no column 'countri'; .*did you mean 'country'"),
        ('tests.group=["beta"]', "tests.group: 'beta' is a number of each firm-event"),
    ],
)
def test_names_are_checked_before_prices_are_read(
    place: Place, capsys: pytest.CaptureFixture[str], setting: str, words: str
) -> None:
    for path in (place.folder / "prices").iterdir():
        path.unlink()
    assert place.run(setting) == 2
    said = " ".join(capsys.readouterr().err.split())
    assert re.search(words, said), said


def test_a_name_in_two_places_is_refused(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    events = place.folder / "events.csv"
    events.write_text(events.read_text(encoding="utf-8").replace("Rating", "lev"), encoding="utf-8")
    assert place.run('tests.regression=["car ~ lev"]') == 2
    assert "the column 'lev' stands in" in " ".join(capsys.readouterr().err.split())


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("country,x\nUS,1\n", "needs a column ticker or event_id"),
        ("ticker\nT1\n", "needs a column ticker or event_id, one of your own"),
        ("ticker,x\nT1,1\nT1,2\n", "T1 occurs a second time"),
        ("ticker,date,x\nT1,yesterday,1\n", "date 'yesterday': write 2024-06-12"),
        ("ticker,x\nZZ,1\n", "no row belongs to an event or peer of the study; the first row is for ZZ"),
        (None, "cannot be read"),
    ],
)
def test_a_file_of_covariates_that_does_not_fit(
    place: Place, capsys: pytest.CaptureFixture[str], text: str | None, words: str
) -> None:
    path = place.folder / "x.csv"
    if text is not None:
        path.write_text(text, encoding="utf-8")
    toml = place.folder / "study.toml"
    toml.write_text(f'[[covariates]]\nfile = "{path}"\n' + toml.read_text(encoding="utf-8"))
    assert place.run() == 2
    assert words in " ".join(capsys.readouterr().err.split())


def test_groups_are_tested_and_compared(place: Place) -> None:
    """Peers' groups meet on every date: paired dates. Events' groups never do: a regression on dates."""
    assert place.run(options=("--group", "country", "--group", "forum")) == 0
    tests = place.table("tests")
    assert {"country=US", "country=CA", "forum=X", "forum=Y"} <= set(tests["group"])
    assert {"country=US", "country=CA"} <= set(place.table("aar")["group"])
    found = place.table("group_differences").query("window == '[0,1]'").set_index("column")
    car = place.cars("[0,1]").unstack()
    us = car[[t for t in TICKERS if COUNTRY[t] == "US"]].mean(axis=1)
    ca = car[[t for t in TICKERS if COUNTRY[t] == "CA"]].mean(axis=1)
    row = found.loc["country"]
    assert (row["group"], row["against"], row["method"]) == ("CA", "US", "paired")
    assert (row["n_events"], row["n_against"], row["n_dates"], row["n_common"]) == (18, 30, 6, 6)
    gap = (ca - us).to_numpy()
    assert row["estimate"] == pytest.approx(gap.mean(), rel=1e-9)
    assert row["t"] == pytest.approx(gap.mean() / (gap.std(ddof=1) / np.sqrt(6)), rel=1e-9)
    assert row["se"] == pytest.approx(gap.std(ddof=1) / np.sqrt(6), rel=1e-9)
    assert row["df"] == 5
    row = found.loc["forum"]
    assert (row["group"], row["against"], row["method"], row["n_common"]) == ("Y", "X", "dates", 0)
    mean = car.mean(axis=1).to_numpy()
    y = np.concatenate([mean[1::2], mean[0::2]])
    x = np.column_stack([np.ones(6), np.repeat([1.0, 0.0], 3)])
    slow = twins.cluster_regression(y, x, np.arange(6), np.ones((1, 6)))
    assert row["estimate"] == pytest.approx(mean[1::2].mean() - mean[0::2].mean(), rel=1e-9)
    assert row["se"] == pytest.approx(slow.se_cr2[1], rel=1e-8)
    assert row["df"] == pytest.approx(slow.df_cr2[1], rel=1e-7)


def test_why_a_regression_is_missing_is_said_in_the_language_of_the_pages(place: Place) -> None:
    """Its reason has a code through the error, so that a page in Chinese says it in Chinese."""
    chinese = ('study.language="zh"', 'report.formats=["csv", "json", "html"]')
    assert place.run('tests.regression=["car ~ exposure + I(2 * exposure)"]', *chinese) == 0
    assert place.table("regressions")["reason"].str.contains("are collinear; leave one out").all()
    (page,) = (place.folder / "results" / "latest").glob("*.html")
    shown = page.read_text(encoding="utf-8")
    assert "共线；请去掉一个" in shown
    assert "collinear" not in shown
