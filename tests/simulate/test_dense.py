"""Designs as dense as the study's own dates: where dates go, what the histories are, size and power."""

from __future__ import annotations

import csv
import datetime as dt
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from test_simulate import CONFIG, SMALL, arguments, make_pool, pool_of, study

from eventstudy import config as settings
from eventstudy.cli import main
from eventstudy.config import Windows
from eventstudy.exchanges.calendars import sessions
from eventstudy.simulate import DENSE, Plan, Simulation, planted, simulate
from eventstudy.simulate.draws import _changed
from eventstudy.simulate.pseudo_events import dense_dates, uneventful

__all__ = ["study"]
NAMES = ("date_t", "sign_flip", "portfolio_t", "cross_sectional_t")


def test_dates_have_the_studys_gaps_in_another_order() -> None:
    rows = np.arange(50, 900)
    gaps = (3, 1, 40, 12, 7)
    drawn = dense_dates(rows, gaps, 300, np.random.default_rng(0))
    assert drawn.shape == (300, 6)
    assert (drawn >= 50).all()
    assert (drawn < 900).all()
    # Beyond the end a draw goes on at the beginning: its widest gap is then the rest of the history.
    whole = [np.diff(draw) for draw in drawn if np.ptp(draw) == sum(gaps)]
    assert len(whole) > 250
    assert {tuple(sorted(gap.tolist())) for gap in whole} == {tuple(sorted(gaps))}
    assert len({tuple(gap.tolist()) for gap in whole}) > 60
    assert len(set(drawn[:, 0].tolist())) > 150
    for draw in drawn:
        around = np.sort(np.append(np.diff(draw), 850 - np.ptp(draw)))
        np.testing.assert_array_equal(around, np.sort([*gaps, 850 - sum(gaps)]))


def test_a_date_without_a_place_moves_to_the_next_that_is_free() -> None:
    rows = np.r_[10:20, 40:50].astype(np.intp)
    drawn = dense_dates(rows, (1,) * 14, 200, np.random.default_rng(1))
    assert np.isin(drawn, rows).all()
    assert (np.diff(drawn, axis=1) >= 1).all()


def test_histories_have_none_of_the_studys_events() -> None:
    pool = make_pool(length=500)
    near = np.zeros(500, dtype=bool)
    near[200:231] = True
    returns = pool.returns.copy()
    returns[near] -= 0.5
    returns[210, 2] = np.nan
    made = replace(pool, returns=returns, near=near)
    expected, residuals = uneventful(made, np.random.default_rng(0))
    assert np.isnan(residuals[210, 2])
    assert np.isnan(residuals).sum() == 1
    assert np.nanmax(np.abs(residuals[near])) < 0.2
    # Each such session is another one's, of all peers at once, but for its sign.
    kept = {tuple(np.round(np.abs(row), 10)) for row in residuals[~near]}
    whole = np.delete(residuals, 210, axis=0)[200:230]
    assert all(tuple(np.round(np.abs(row), 10)) in kept for row in whole)
    again = uneventful(made, np.random.default_rng(1))[1]
    assert not np.allclose(np.abs(again[near]), np.abs(residuals[near]), equal_nan=True)
    # Elsewhere only signs differ, the same for all peers and for 21 sessions on end.
    sign = np.sign(again[~near] / residuals[~near])
    np.testing.assert_allclose(np.abs(again[~near]), np.abs(residuals[~near]), atol=0.03)
    assert (np.abs(np.nanmean(sign, axis=1)) > 0.5).mean() > 0.9
    assert {-1.0, 1.0} <= set(sign[:, 0].tolist())
    assert expected.shape == residuals.shape


def test_variance_and_common_part_change_where_they_should() -> None:
    rng = np.random.default_rng(2)
    residuals, dates = rng.normal(size=(100, 4)), np.array([20, 30, 60])
    plan = Plan(windows=((0, 1), (2, 5)))
    np.testing.assert_array_equal(_changed(residuals, "dense", dates, plan), residuals)
    later = _changed(residuals, "dense_regime", dates, plan)
    np.testing.assert_array_equal(later[:30], residuals[:30])
    np.testing.assert_array_equal(later[30:], 2.5 * residuals[30:])
    doubled = _changed(residuals, "dense_doubled", dates, plan)
    tested = np.isin(np.arange(100), [*range(20, 26), *range(30, 36), *range(60, 66)])
    np.testing.assert_array_equal(doubled[~tested], residuals[~tested])
    np.testing.assert_allclose(doubled[tested].mean(axis=1), 2 * residuals[tested].mean(axis=1))
    own = residuals - residuals.mean(axis=1, keepdims=True)
    np.testing.assert_allclose(doubled - doubled.mean(axis=1, keepdims=True), own, atol=1e-14)


def test_the_drop_that_is_planted_grows_with_the_root_of_the_days() -> None:
    assert planted((0, 0)) == 0.01
    assert planted((2, 20)) == pytest.approx(0.01 * 19**0.5, rel=1e-15)


@pytest.fixture(scope="module")
def simulation() -> Simulation:
    config = replace(CONFIG, windows=replace(CONFIG.windows, event=(-2, 20)))
    config = replace(config, tests=settings.Tests(names=NAMES))
    pool = make_pool(length=900)
    candidate = np.zeros_like(pool.candidate)
    candidate[90:-20] = True
    pool = replace(pool, candidate=candidate, gaps=(12,) * 19)
    return simulate(pool, config, Plan(draws=160, peers=3, windows=((2, 20),), seed=4, designs=DENSE))


def test_date_t_keeps_its_size_on_dense_dates_and_has_power(simulation: Simulation) -> None:
    """Twenty dates twelve sessions apart: 7 of 19 days in common; Monte Carlo error 1.7 points."""
    for design in DENSE:
        rate = simulation.rate(design, "date_t", (2, 20))
        assert rate is not None
        assert rate.n_dates == 20
        assert rate.n_events == 60
        assert rate.k_eff == pytest.approx(400 / (20 + 2 * 19 * 7 / 19), rel=0.03)
        assert rate.share < 0.105, (design, rate.share)
        power = simulation.rate(design, "date_t", (2, 20), planted((2, 20)))
        assert power is not None
        assert power.share > rate.share + 0.04


def test_a_burst_breaks_the_test_that_takes_the_pasts_variance(simulation: Simulation) -> None:
    """With windows twelve sessions apart most estimation windows have bursts as well, so by little here."""
    burst = simulation.rate("dense_doubled", "portfolio_t", (2, 20))
    calm = simulation.rate("dense", "portfolio_t", (2, 20))
    assert burst is not None
    assert calm is not None
    assert burst.share > calm.share
    plain = simulation.rate("dense", "cross_sectional_t", (2, 20))
    assert plain is not None
    assert plain.share > 0.2


def test_windows_of_249_days_can_be_simulated() -> None:
    config = replace(
        CONFIG,
        windows=Windows(estimation=(-90, -6), minimum=60, event=(-2, 250)),
        tests=settings.Tests(names=("date_t", "sign_flip")),
    )
    pool = make_pool(length=1_500)
    candidate = np.zeros_like(pool.candidate)
    candidate[90:-250] = True
    pool = replace(pool, candidate=candidate, gaps=(60,) * 11)
    found = simulate(pool, config, Plan(draws=10, peers=3, windows=((2, 250),), designs=("dense",)))
    t, flip = (found.rate("dense", name, (2, 250)) for name in ("date_t", "sign_flip"))
    assert t is not None
    assert flip is not None
    assert t.n_draws == 10
    # 144/(12 + 2 (11 x 189 + 10 x 129 + 9 x 69 + 8 x 9)/249), but for draws that begin anew at the start.
    assert t.k_eff == pytest.approx(3.2, abs=0.4)
    # The windows are one chain that shares sessions: nothing is left to flip.
    assert (flip.n_draws, flip.n_dates) == (0, 12)


def test_gaps_are_those_of_the_studys_own_dates(study: Path) -> None:
    pool = pool_of(study, Plan(dates=5, peers=3, designs=("dense",)))
    days = sessions("XNYS", dt.date(2020, 1, 2), pool.sessions[-1].astype(dt.date))
    at = [int(np.flatnonzero(days == np.datetime64(day))[0]) for day in ("2021-06-09", "2022-02-09")]
    assert pool.gaps == (at[1] - at[0],)


def test_the_command_simulates_the_designs_that_are_named(study: Path, capsys: pytest.CaptureFixture[str]) -> None:
    given = arguments(study, *SMALL, "--windows", "[0,1];[2,20]", "--designs", "dense,dense_doubled")
    assert main(given) == 0
    printed = " ".join(capsys.readouterr().out.split())
    assert "Dates as dense as the study's own: size / power at a drop of 4.4%, %, window [+2, +20]" in printed
    assert "Dates as dense as the study's, [0, +1]: 5% level kept by" in printed
    assert "50 random pairs" not in printed
    (folder,) = (study / "results").glob("simulation-*")
    with (folder / "simulation.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert {row["design"] for row in rows} == {"dense", "dense_doubled"}
    assert {row["n_dates"] for row in rows} == {"2"}
    assert {float(row["effect"]) for row in rows if row["window"] == "[2,20]"} == {0.0, planted((2, 20))}
    record = json.loads((folder / "simulation.json").read_text(encoding="utf-8"))
    assert len(record["simulation"]["gaps"]) == 1
    assert main(arguments(study, *SMALL, "--designs", "dense,denser")) == 2
    assert "--designs 'denser' is unknown; accepted: all_doubled" in " ".join(capsys.readouterr().err.split())
