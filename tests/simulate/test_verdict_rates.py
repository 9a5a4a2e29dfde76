"""Size and power of the verdict: what the designs draw from, and the folder of a simulation."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from jsonschema import Draft202012Validator

from eventstudy.cli import main
from eventstudy.config import Reversal, StudyConfig, Windows
from eventstudy.errors import ConfigError
from eventstudy.messages import catalogue
from eventstudy.simulate.schema import simulation_schema
from eventstudy.simulate.sectors import DAILY, LIMIT, pasts, reordered, sector_returns
from eventstudy.simulate.verdict_rates import DESIGNS, Material, VerdictPlan, verdict_rates

CONFIG = StudyConfig()


@pytest.fixture(scope="module")
def material() -> Material:
    returns = sector_returns(1, np.random.default_rng(6))
    return Material(pasts(returns, Windows(), Reversal())[0], "S00", returns[0], {"S00": 4})


def test_falls_of_a_sector_are_what_loops_over_its_returns_give() -> None:
    returns = sector_returns(2, np.random.default_rng(1))
    past = pasts(returns, Windows(), Reversal())[1]
    falls, own = past.falls, returns[1]
    recent = (own[:60] ** 2).mean()
    by_day = []
    for value in own:
        recent = 0.94 * recent + 0.06 * value**2
        by_day.append(recent**0.5)
    for row in range(0, len(falls), 7):
        t = int(falls.session[row])
        assert past.drop[row] == pytest.approx(own[t : t + 2].sum())
        assert falls.post[row] == pytest.approx(own[t + 2 : t + 21].sum())
        assert falls.sigma[row] == pytest.approx(own[t - 250 : t - 10].std(ddof=2))
        assert falls.recent[row] == pytest.approx(by_day[t + 1])
        assert falls.run_up[row] == pytest.approx(own[t - 60 : t].sum())
        assert past.can[row] == (falls.drop_s[row] <= -2 and past.drop[row] <= -0.03)


def test_sectors_have_clustered_volatility_and_limits_carry_over() -> None:
    free = sector_returns(200, np.random.default_rng(2))
    bound = sector_returns(200, np.random.default_rng(2), limits=True)
    size = np.abs(free - free.mean(axis=1, keepdims=True))
    near = np.mean([np.corrcoef(row[1:], row[:-1])[0, 1] for row in size])
    assert 0.1 < near < 0.4
    assert 0.7 * DAILY < np.median(free.std(axis=1)) < 1.5 * DAILY
    assert np.abs(bound).max() == pytest.approx(LIMIT * DAILY)
    # What is cut off on one day moves another: the sums over years stay nearly the same.
    assert np.median(np.abs(bound.sum(axis=1) - free.sum(axis=1))) < 0.05


def test_reordered_histories_are_made_of_half_years() -> None:
    own = np.arange(1_000.0)
    made = reordered(own, 3, np.random.default_rng(3)) + own.mean()
    assert made.shape == (3, 1_000)
    step = np.diff(made, axis=1)[:, np.arange(999) % 125 != 124]
    assert np.isin(step, (1.0, -999.0)).all()


def test_counts_do_not_depend_on_the_batches_or_on_other_designs(material: Material) -> None:
    plan = VerdictPlan(draws=24, dates=(2, 6), effects=(0.1,), seed=3, designs=("this_list", "own_first", "pooled_12"))
    rates = verdict_rates(material, CONFIG, plan)
    assert rates == verdict_rates(material, CONFIG, plan, jobs=2)
    alone = verdict_rates(
        material, CONFIG, VerdictPlan(draws=24, dates=(2, 6), effects=(0.1,), seed=3, designs=("own_first",))
    )
    assert alone == tuple(rate for rate in rates if rate.design == "own_first")
    assert [(rate.design, rate.k) for rate in rates if not rate.effect] == [
        ("this_list", 4),
        ("own_first", 2),
        ("own_first", 6),
        ("pooled_12", 12),
    ]
    for rate in rates:
        assert rate.reversal + rate.drift + rate.equivalent + rate.inconclusive == pytest.approx(1.0)
        assert rate.k_used <= rate.k
    found = {(rate.design, rate.k, rate.effect): rate for rate in rates}
    assert found["own_first", 2, 0.1].inconclusive == 1.0
    assert found["pooled_12", 12, 0.1].reversal > 0.5 > found["pooled_12", 12, 0.0].p_below


def test_an_unknown_design_is_refused() -> None:
    with pytest.raises(ConfigError, match="own_day"):
        VerdictPlan(designs=("own_days",))


@pytest.mark.parametrize("language", ["en", "zh"])
def test_every_design_has_a_name(language: str) -> None:
    words = catalogue(language)
    assert len({words[f"verdict_rates.{name}"] for name in DESIGNS}) == len(DESIGNS)


def test_the_folder_of_a_simulation_has_the_shape_of_the_schema(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    plan = ["--verdict", "--draws", "2", "--designs", "own_day"]
    assert main(["simulate", "--example", "healthcare", *plan, "--out", str(tmp_path), "--quiet"]) == 0
    record = json.loads((Path(capsys.readouterr().out.strip()) / "simulation.json").read_text(encoding="utf-8"))
    assert record["simulation"]["designs"] == ["own_day"]
    schema = Draft202012Validator(simulation_schema()["anyOf"][1])
    assert [error.message for error in schema.iter_errors(record)] == []
    assert not schema.is_valid({**record, "falls": {**record["falls"], "n_falls": "many"}})
    assert not schema.is_valid({name: value for name, value in record.items() if name != "falls"})
