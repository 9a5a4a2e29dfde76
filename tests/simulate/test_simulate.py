"""Size and power: where pseudo-events go, what the designs do, and what the tests make of them."""

from __future__ import annotations

import csv
import datetime as dt
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from jsonschema import Draft202012Validator
from scipy import stats
from studies import event_row, write_events, write_prices, write_study

from eventstudy import config as settings
from eventstudy.cli import main
from eventstudy.config import StudyConfig, Windows, load_config
from eventstudy.core.statistics import STATISTICS
from eventstudy.errors import ConfigError, EstimationError
from eventstudy.events import read_events
from eventstudy.exchanges.calendars import sessions
from eventstudy.messages import catalogue
from eventstudy.plots.simulation import power_tests
from eventstudy.prices.sources import get_prices
from eventstudy.report.sections.simulation import COLUMNS, conclusion, simulation_rows
from eventstudy.results.simulation_schema import simulation_schema
from eventstudy.simulate import (
    DESIGNS,
    Case,
    Plan,
    Pool,
    Rate,
    Simulation,
    draw_pool,
    parse_windows,
    reaching_back,
    simulate,
)
from eventstudy.simulate.draws import draw_dates
from eventstudy.simulate.pseudo_events import simulated_returns, surroundings

WINDOW = (0, 1)
NAMES = ("cross_sectional_t", "patell", "bmp", "portfolio_t", "date_t", "sign_flip", "grank_t", "wilcoxon")
CONFIG = StudyConfig(
    windows=Windows(estimation=(-90, -6), minimum=60, event=(-2, 5)), tests=settings.Tests(names=NAMES)
)


def make_pool(*, seed: int = 5, length: int = 700, peers: int = 6, correlation: float = 0.5) -> Pool:
    """Peers whose t(5) residuals share a factor, standard deviation 2 % each."""
    rng = np.random.default_rng(seed)
    index = 0.01 * rng.standard_normal(length)
    common = rng.standard_t(5, (length, 1)) * np.sqrt(3 / 5)
    own = rng.standard_t(5, (length, peers)) * np.sqrt(3 / 5)
    residual = 0.02 * (np.sqrt(correlation) * common + np.sqrt(1 - correlation) * own)
    candidate = np.zeros((length, peers), dtype=bool)
    candidate[90:-5] = True
    none = np.zeros((length, peers), dtype=bool)
    return Pool(
        region="US",
        benchmark="IDX",
        tickers=tuple(f"T{i}" for i in range(peers)),
        sessions=np.datetime64("2020-01-01", "D") + np.arange(length),
        returns=index[:, None] + residual,
        market_return=index,
        flags=none.astype(np.uint8),
        excluded=none,
        candidate=candidate,
    )


@pytest.fixture(scope="module")
def simulation() -> Simulation:
    plan = Plan(draws=160, dates=7, peers=6, windows=(WINDOW,), effects=(0.04,), seed=1, resamples=39)
    with pytest.MonkeyPatch.context() as patch:
        # On a busy machine threads that multiply small matrices mostly wait for each other.
        patch.setenv("OPENBLAS_NUM_THREADS", "1")
        return simulate(make_pool(), CONFIG, plan, jobs=2)


def share(simulation: Simulation, design: str, test: str, effect: float = 0.0) -> float:
    rate = simulation.rate(design, test, WINDOW, effect)
    assert rate is not None
    assert rate.n_draws == simulation.plan.draws
    return rate.share


@pytest.mark.parametrize("design", ["common", "all_doubled", "common_doubled", "fat_tails"])
def test_one_value_a_date_keeps_its_size_on_common_dates(simulation: Simulation, design: str) -> None:
    for name in ("date_t", "sign_flip"):
        rate = simulation.rate(design, name, WINDOW)
        assert rate is not None
        assert rate.verdict == "holds"
        assert (rate.n_events, rate.n_dates) == (42, 7)


def test_the_cross_sectional_t_rejects_far_too_often_on_common_dates(simulation: Simulation) -> None:
    # sqrt((1+(N-1) r)/(1-r)) with r = 0.5 within a date of six peers: 5 % becomes about a third.
    assert 0.2 < share(simulation, "common", "cross_sectional_t") < 0.5
    assert share(simulation, "random", "cross_sectional_t") < 0.12
    assert simulation.rbar == pytest.approx(0.5, abs=0.06)
    assert simulation.sigma == pytest.approx(0.02, abs=0.001)


def test_only_the_common_part_doubled_breaks_tests_that_scale_by_the_past(simulation: Simulation) -> None:
    for name in ("portfolio_t", "patell"):
        assert share(simulation, "common_doubled", name) > share(simulation, "common", name) + 0.1
    assert share(simulation, "common_doubled", "bmp") > share(simulation, "all_doubled", "bmp") + 0.05


def test_doubling_everything_leaves_tests_without_a_scale_as_they_are(simulation: Simulation) -> None:
    for name in ("cross_sectional_t", "bmp", "date_t", "sign_flip", "wilcoxon"):
        assert share(simulation, "all_doubled", name) == share(simulation, "common", name)


def test_a_planted_drop_raises_power(simulation: Simulation) -> None:
    for name in ("date_t", "bmp", "grank_t"):
        for design in ("random", "common"):
            assert share(simulation, design, name, 0.04) > share(simulation, design, name) + 0.3
    assert share(simulation, "common", "date_t", 0.04) > share(simulation, "random", "date_t", 0.04)


def test_brown_warner_power_is_the_analytic_one(simulation: Simulation) -> None:
    rates = [simulation.rate("brown_warner", "portfolio_t", (0, 0), effect) for effect in (0.0, 0.04)]
    assert [rate.verdict for rate in rates if rate] == ["holds", "holds"]
    assert rates[0] is not None
    assert rates[0].target == pytest.approx(0.05, rel=1e-12)
    assert rates[1] is not None
    assert rates[1].target == pytest.approx(1.0, abs=1e-6)


@pytest.mark.parametrize(("sigma", "powers"), [(0.02, (54.9, 97.1)), (0.0253, (40.2, 87.5)), (0.03, (32.0, 76.2))])
def test_the_analytic_target_is_the_published_one(sigma: float, powers: tuple[float, float]) -> None:
    pool = make_pool(seed=8, length=400, correlation=0.0)
    index = pool.market_return[:, None]
    scaled = replace(pool, returns=index + (pool.returns - index) * sigma / 0.02)
    plan = Plan(draws=2, dates=2, peers=2, windows=(WINDOW,), effects=(0.005, 0.01), resamples=39)
    found = simulate(scaled, CONFIG, plan)
    exact = [stats.norm.cdf(a * np.sqrt(50) / found.sigma - stats.norm.ppf(0.95)) for a in plan.effects]
    for effect, value, power in zip(plan.effects, exact, powers, strict=True):
        rate = found.rate("brown_warner", "portfolio_t", (0, 0), effect)
        assert rate is not None
        # Two draws have not quite one sigma; and the sample's sigma is not quite the population's.
        assert rate.target == pytest.approx(value, abs=0.005)
        assert 100 * rate.target == pytest.approx(power, abs=4.0)


def test_without_names_every_registered_test_is_counted_in_every_design() -> None:
    plan = Plan(draws=2, dates=3, peers=6, windows=(WINDOW,), effects=(), resamples=39)
    pool = replace(make_pool(length=300), gaps=(7, 30))
    simulation = simulate(pool, replace(CONFIG, tests=settings.Tests()), plan)
    assert set(simulation.tests) == set(STATISTICS)
    sized = [rate.case.design for rate in simulation.rates if rate.case.effect == 0 and rate.test == "date_t"]
    assert sorted(sized) == sorted(set(DESIGNS) - {"brown_warner"})
    one = simulation.rate("one_date", "date_t", WINDOW)
    assert one is not None
    assert (one.n_draws, one.n_events, one.n_dates) == (0, 6, 1)
    assert np.isnan(one.share)
    assert one.verdict == ""


def test_rows_and_conclusion_say_the_same(simulation: Simulation) -> None:
    rows = simulation_rows(simulation)
    assert tuple(rows[0]) == COLUMNS
    by_key = {(r["design"], r["test"], r["window"], r["effect"]): r for r in rows}
    assert len(by_key) == len(rows)
    bad = by_key["common", "cross_sectional_t", "[0,1]", 0.0]
    assert bad["holds"] is False
    assert bad["mc_lower"] > 0.05
    assert bad["reject_share"] == share(simulation, "common", "cross_sectional_t")
    assert by_key["one_date", "date_t", "[0,1]", 0.0]["reject_share"] is None
    assert by_key["common", "date_t", "[0,1]", 0.04]["holds"] is None
    held, often = conclusion(simulation, WINDOW, catalogue("en")).split("rejected too often by ")
    assert "date-level t" in held
    assert f"cross-sect. t ({bad['reject_share']:.1%})" in often
    assert "cross_sectional_t" not in power_tests(simulation, WINDOW)
    assert "date_t" in power_tests(simulation, WINDOW)


def test_the_verdict_is_the_band_of_two_and_a_half_standard_errors() -> None:
    for draws in (200, 1_000):
        half = 2.58 * np.sqrt(0.05 * 0.95 / draws)
        for rejected in range(draws // 5):
            rate = Rate(
                case=Case("common"),
                test="t",
                window=WINDOW,
                n_draws=draws,
                n_rejected=rejected,
                target=0.05,
                n_events=80,
                n_dates=10,
            )
            inside = abs(rejected / draws - 0.05) <= half
            expected = "holds" if inside else "too often" if rejected / draws > 0.05 else "too rarely"
            assert rate.verdict == expected
    wilson = stats.binomtest(50, 1_000).proportion_ci(2 * stats.norm.cdf(2.58) - 1, method="wilson")
    rate = Rate(
        case=Case("common"), test="t", window=WINDOW, n_draws=1_000, n_rejected=50, target=0.05, n_events=80, n_dates=10
    )
    assert rate.interval == pytest.approx(tuple(wilson), rel=1e-9)


def test_the_number_of_processes_and_the_run_change_nothing() -> None:
    pool = make_pool(length=300, peers=3)
    plan = Plan(draws=24, dates=4, peers=2, windows=(WINDOW,), effects=(0.01,), seed=3, resamples=39)
    done: list[tuple[int, int]] = []
    one = simulate(pool, CONFIG, plan, jobs=1, progress=lambda n, all_: done.append((n, all_)))
    two = simulate(pool, CONFIG, plan, jobs=2)
    assert simulation_rows(one) == simulation_rows(two)
    assert (one.rbar, one.sigma) == (two.rbar, two.sigma)
    assert done == [(20, 24), (24, 24)]
    other = simulate(pool, CONFIG, replace(plan, seed=4))
    assert simulation_rows(other) != simulation_rows(one)


def test_drawn_dates_lie_apart_and_are_spread_over_all_that_are_eligible() -> None:
    eligible = np.r_[10:200, 260:300].astype(np.intp)
    drawn = draw_dates(eligible, 400, 5, 21, np.random.default_rng(0))
    assert drawn.shape == (400, 5)
    assert np.isin(drawn, eligible).all()
    assert np.diff(np.sort(drawn, axis=1), axis=1).min() == 21
    assert set(drawn.ravel().tolist()) == set(eligible.tolist())


def test_simulated_histories_have_the_peers_moments() -> None:
    pool = make_pool(length=1_500, correlation=0.4)
    gap = pool.returns.copy()
    gap[7, 2] = np.nan
    drawn = simulated_returns(replace(pool, returns=gap), 40, np.random.default_rng(0)).reshape(1_500, 40, 6)
    assert np.isnan(drawn[7, :, 2]).all()
    assert np.isnan(drawn).sum() == 40
    real = pool.returns - pool.market_return[:, None]
    residual = (drawn - pool.market_return[:, None, None]).reshape(-1, 6)
    residual = residual[np.isfinite(residual).all(axis=1)]
    np.testing.assert_allclose(residual.std(axis=0), real.std(axis=0), rtol=0.06)
    np.testing.assert_allclose(np.corrcoef(residual.T), np.corrcoef(real.T), atol=0.05)
    # The fourth moment of t(5) is 9 times the squared variance; the normal's is 3.
    assert stats.kurtosis(residual, axis=0, fisher=False).min() > 4.5


def test_surroundings_are_ten_sessions_before_to_twenty_after() -> None:
    days = np.datetime64("2024-01-01", "D") + np.arange(100)
    assert np.flatnonzero(surroundings(days, [dt.date(2024, 2, 20)])).tolist() == list(range(40, 71))
    assert np.flatnonzero(surroundings(days, [dt.date(2024, 1, 3)])).tolist() == list(range(23))
    assert not surroundings(days, []).any()


ROWS = [event_row("E1", "2021-06-09"), event_row("E2", "2022-02-09", tickers="AAA")]


@pytest.fixture
def study(tmp_path: Path) -> Path:
    write_prices(tmp_path / "prices")
    write_events(tmp_path, ROWS)
    write_study(tmp_path)
    return tmp_path


def pool_of(folder: Path, plan: Plan, *overrides: str, region: str | None = None) -> Pool:
    events = read_events(folder / "events.csv")
    config = load_config(folder / "events.csv", config_file=folder / "study.toml", overrides=overrides)
    prices = get_prices(events, reaching_back(events, config), str(folder / "prices"), tell=print)
    return draw_pool(events, config, prices, plan, region=region)


def test_candidates_leave_out_the_studys_events(study: Path) -> None:
    pool = pool_of(study, Plan(dates=5, peers=3))
    days = sessions("XNYS", dt.date(2020, 1, 2), pool.sessions[-1].astype(dt.date))
    np.testing.assert_array_equal(pool.sessions, days)
    assert (pool.region, pool.benchmark, pool.tickers) == ("US", "IDX", ("AAA", "BBB", "CCC"))
    free = np.flatnonzero(pool.candidate.all(axis=1))
    assert set(free.tolist()) == set(np.flatnonzero(pool.candidate.any(axis=1)).tolist())
    # Day 0 is not within [-10,20] of an event, and neither are the days up to +20 that are tested.
    near = {
        at + offset
        for day in ("2021-06-09", "2022-02-09")
        for at in np.flatnonzero(days == np.datetime64(day))
        for offset in range(-10 - 20, 21)
    }
    # The first day has no return; the 120 returns before the gap start there, the window ends inside.
    last = len(pool.sessions) - 1 - 20
    expected = set(range(1 + 120 + 10, last + 1)) - near
    assert set(free.tolist()) == expected


def test_the_pools_returns_have_no_intercept(study: Path) -> None:
    pool = pool_of(study, Plan(dates=5, peers=3))
    for column in range(3):
        tested = np.flatnonzero(pool.candidate[:, column])[:, None] + np.arange(21)
        usable = np.unique(tested)
        assert len(usable) > 300
        slope, intercept = np.polyfit(pool.market_return[usable], pool.returns[usable, column], 1)
        assert intercept == pytest.approx(0.0, abs=1e-12)
        assert slope == pytest.approx(0.8 + 0.2 * column, abs=0.15)


@pytest.mark.parametrize(
    ("plan", "override", "region", "error", "said"),
    [
        (Plan(dates=5, peers=4), "", None, EstimationError, "room for 0 dates"),
        (Plan(dates=40, peers=3), "", None, EstimationError, "40 dates a draw need 80; give fewer --dates"),
        (Plan(dates=5, peers=3), "", "CN", ConfigError, "--region 'CN' has no prices; accepted: US"),
        (Plan(dates=5, peers=3, windows=((0, 30),)), "", None, ConfigError, r"\[0,30\]: accepted are"),
        (Plan(dates=5, peers=3), "model.name=two_index", None, ConfigError, "needs world.*model.name=market"),
        (Plan(dates=5, peers=3), "study.kind=volume", None, ConfigError, "says nothing about another quantity"),
    ],
)
def test_what_cannot_be_simulated_says_why(
    study: Path, plan: Plan, override: str, region: str | None, error: type[Exception], said: str
) -> None:
    with pytest.raises(error, match=said):
        pool_of(study, plan, *filter(None, [override]), region=region)


def test_windows_are_read_as_they_are_written() -> None:
    assert parse_windows("[0,1];[2,20]") == ((0, 1), (2, 20))
    assert parse_windows(" [-1, +1] ; [-1,1]") == ((-1, 1),)
    for text in ("0,1", "[1,0]", "[0,1];", "[0;1]"):
        with pytest.raises(ConfigError, match="accepted are windows of sessions"):
            parse_windows(text)


def arguments(folder: Path, *more: str) -> list[str]:
    return [
        "simulate",
        str(folder / "events.csv"),
        "--config",
        str(folder / "study.toml"),
        "--prices",
        str(folder / "prices"),
        "--out",
        str(folder / "results"),
        *more,
    ]


SMALL = ("--draws", "4", "--dates", "4", "--peers", "3")


def test_the_command_leaves_a_table_a_figure_and_its_settings(study: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(arguments(study, *SMALL, "--windows", "[0,1]", "--seed", "9", "--quiet")) == 0
    folder = Path(capsys.readouterr().out.strip())
    assert folder.parent == study / "results"
    assert sorted(path.name for path in folder.iterdir()) == [
        "simulation.csv",
        "simulation.html",
        "simulation.json",
        "simulation.md",
        "simulation.pdf",
        "size-and-power.png",
        "size-and-power.svg",
    ]
    with (folder / "simulation.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert tuple(rows[0]) == COLUMNS
    assert {row["n_events"] for row in rows if row["design"] == "common"} == {"12"}
    assert {row["design"] for row in rows} == set(DESIGNS)
    assert {row["n_dates"] for row in rows if row["design"] == "dense"} == {"2"}
    record = json.loads((folder / "simulation.json").read_text(encoding="utf-8"))
    schema = Draft202012Validator(simulation_schema()["anyOf"][0])
    assert [error.message for error in schema.iter_errors(record)] == []
    assert not schema.is_valid({**record, "rbar": "high"})
    assert not schema.is_valid({**record, "simulation": {**record["simulation"], "draws": None}})
    for missing in ("sigma", "outputs", "conclusions"):
        assert not schema.is_valid({name: value for name, value in record.items() if name != missing}), missing
    assert record["seed"] == record["simulation"]["seed"] == 9
    assert record["simulation"]["windows"] == [[0, 1]]
    assert record["prices"]["source"]
    pages = {"simulation.html", "simulation.md", "simulation.pdf"}
    assert set(record["outputs"]) == {"simulation.csv", "size-and-power.png", "size-and-power.svg"} | pages
    before = {path: path.stat().st_mtime_ns for path in folder.iterdir()}
    assert main(arguments(study, *SMALL, "--windows", "[0,1]", "--seed", "9")) == 0
    printed = " ".join(capsys.readouterr().out.split())
    assert "Common dates, [0, +1]: 5% level kept by" in printed
    assert {path: path.stat().st_mtime_ns for path in folder.iterdir()} == before


def test_simulated_prices_are_stamped(study: Path, capsys: pytest.CaptureFixture[str]) -> None:
    given = arguments(study, *SMALL, "--windows", "[0,1]")
    given[given.index("--prices") + 1] = "simulated"
    assert main(given) == 0
    assert "SIMULATED – these prices are made up" in capsys.readouterr().out
    (folder,) = (study / "results").glob("simulation-study-simulated-us-*")
    with (folder / "simulation.csv").open(encoding="utf-8") as file:
        assert {row["simulated"] for row in csv.DictReader(file)} == {"SIMULATED"}
    assert "SIMULATED" in (folder / "size-and-power.svg").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("more", "code", "said"),
    [
        (("--draws", "0"), 2, "--draws 0: accepted is 1 or more"),
        (("--dates", "1"), 2, "--dates 1: accepted is 2 or more"),
        (("--windows", "0,1"), 2, "accepted are windows of sessions"),
        (("--windows", "[0,40]"), 2, "accepted are windows inside windows.event"),
        (("--region", "US2", *SMALL), 2, "did you mean 'US'?"),
        (("--jobs", "0"), 2, "--jobs"),
        (("--peers", "9"), 3, "room for 0 dates"),
    ],
)
def test_exit_codes(
    study: Path, capsys: pytest.CaptureFixture[str], more: tuple[str, ...], code: int, said: str
) -> None:
    assert main(arguments(study, *more)) == code
    assert said in " ".join(capsys.readouterr().err.split())
    assert not list((study / "results").glob("[!.]*"))


@pytest.mark.parametrize(
    "more",
    [("--draws", "0"), ("--dates", "1"), ("--windows", "0,1"), ("--designs", "denser"), ("--verdict", "--draws", "0")],
    ids=" ".join,
)
def test_wrong_options_are_refused_before_prices_are_read(
    study: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, more: tuple[str, ...]
) -> None:
    def read(*_: object) -> None:
        raise AssertionError("prices were read")

    monkeypatch.setattr("eventstudy.commands.simulate.prices_of_study", read)
    assert main(arguments(study, *more)) == 2
    assert more[-2] in capsys.readouterr().err
