"""CARs regressed on covariates: coefficients, clusters, and the pre-event benchmark."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from studies import event_row, write_events, write_prices, write_study

from eventstudy.cli import main

TICKERS = tuple(f"T{i}" for i in range(8))


@pytest.fixture
def study(tmp_path: Path) -> list[str]:
    """Eight peers with exposures 0.1 … 0.8 and six dates."""
    write_prices(tmp_path / "prices", TICKERS, end="2023-12-29")
    days = ("2021-03-10", "2021-06-09", "2021-09-08", "2022-02-09", "2022-06-08", "2023-02-08")
    events = write_events(tmp_path, [event_row(f"E{i}", day) for i, day in enumerate(days)])
    extra = {ticker: f"exposure = {(i + 1) / 10}" for i, ticker in enumerate(TICKERS)}
    return [
        "run",
        str(events),
        "--config",
        str(write_study(tmp_path, TICKERS, extra)),
        "--prices",
        str(tmp_path / "prices"),
        "--out",
        str(tmp_path / "results"),
        "--quiet",
        "--set",
        'report.formats=["csv", "json"]',
    ]


def test_coefficients_are_those_of_least_squares(study: list[str], tmp_path: Path) -> None:
    asked = ["--set", "reversal.ask=yes"]
    assert main([*study, *asked, "--set", 'tests.regression=["car ~ exposure + pre_trend"]']) == 0
    tables = tmp_path / "results" / "latest" / "tables"
    found = pd.read_csv(tables / "regression.csv")
    assert found["term"].tolist() == ["Intercept", "exposure", "pre_trend"] * 2
    assert found["n_events"].tolist() == [48] * 6
    assert found["n_dates"].tolist() == [6] * 6
    car = pd.read_csv(tables / "car.csv")
    daily = pd.read_csv(tables / "abnormal_returns.csv")
    key = ["event_id", "ticker"]
    trend = daily[daily["tau"].between(-10, -1)].groupby(key)["ar"].sum()
    drop = car[car["window"] == "[0,1]"].set_index(key)["car"]
    exposure = [(int(ticker[1:]) + 1) / 10 for _, ticker in drop.index]
    x = np.column_stack([np.ones(48), exposure, trend.reindex(drop.index)])
    by_hand = np.linalg.lstsq(x, drop.to_numpy(), rcond=None)[0]
    np.testing.assert_allclose(found["estimate"].to_numpy()[:3], by_hand, rtol=1e-9)
    assert ((found["p_pre_event"] > 0) & (found["p_pre_event"] <= 1)).all()
    # 240 residuals hold 120 windows of two days and 12 of nineteen.
    steps = found["p_pre_event"].to_numpy() * np.repeat([121, 13], 3)
    np.testing.assert_allclose(steps, steps.round(), atol=1e-9)


def test_a_regression_that_cannot_be_had_says_why(study: list[str], tmp_path: Path) -> None:
    assert main([*study, "--set", 'tests.regression=["car ~ nonsense"]']) == 0
    found = pd.read_csv(tmp_path / "results" / "latest" / "tables" / "regression.csv")
    assert found["estimate"].isna().all()
    assert found["reason"].str.contains("nonsense").all()


def test_the_left_side_is_car(study: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*study, "--set", 'tests.regression=["bhar ~ exposure"]']) == 2
    assert "write car ~ covariates" in capsys.readouterr().err
