"""Size and power of the verdict: what the designs draw from, and the folder of a simulation."""

from __future__ import annotations

import datetime as dt
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from jsonschema import Draft202012Validator

from eventstudy.cli import main
from eventstudy.config import Reversal, StudyConfig, Windows, load_config
from eventstudy.core.estimation import compute, groups, headline_of
from eventstudy.errors import ConfigError
from eventstudy.events import Events, read_events
from eventstudy.messages import catalogue
from eventstudy.prices import PriceTable
from eventstudy.prices.sources import get_prices
from eventstudy.report.sections.verdict_rates import conclusions
from eventstudy.results.simulation_schema import simulation_schema
from eventstudy.reversal.estimator import APART
from eventstudy.reversal.history import day_codes
from eventstudy.reversal.question import Shocks, study_shocks
from eventstudy.reversal.verdict import draw_events, judged
from eventstudy.shocks import with_shocks
from eventstudy.simulate.pseudo_events import reaching_back
from eventstudy.simulate.sectors import DAILY, LIMIT, pasts, reordered, sector_returns, together
from eventstudy.simulate.verdict_rates import (
    DESIGNS,
    Material,
    VerdictPlan,
    VerdictRate,
    disjoint,
    draw_material,
    verdict_rates,
)

CONFIG = StudyConfig()
SECTOR = Path(__file__).parents[2] / "eventstudy" / "sectors" / "healthcare"
Study = tuple[Events, StudyConfig, PriceTable]


@pytest.fixture(scope="module")
def material() -> Material:
    returns = sector_returns(1, np.random.default_rng(6))
    return Material(pasts(returns, Windows(), Reversal())[0], ("S00",), returns[0], {"S00": 4})


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


@pytest.fixture(scope="module")
def healthcare() -> Study:
    events = read_events(SECTOR / "events.csv")
    config = load_config(SECTOR / "events.csv", sector="healthcare")
    return events, config, get_prices(events, reaching_back(events, config), "example:healthcare", tell=lambda _: None)


def alone(events: Events) -> Events:
    """Events that name one company, with the label genuine: sets that share no security."""
    lone = [event for event in events if len(event.tickers) == 1 and event.kind != "clarification"]
    return replace(events, rows=tuple(replace(event, label="genuine") for event in lone))


def shocks_of(study: Study) -> Shocks:
    events, config, prices = study
    computed = compute(with_shocks(events, config), config, prices)
    return study_shocks(computed, headline_of([*groups(computed.sample, events, config)], config), config)


def test_sets_are_taken_in_order_unless_they_share_a_security() -> None:
    def taken(*names: str) -> tuple[str, ...]:
        return disjoint({name: name.split(", ") for name in names})

    assert taken("A, B", "B", "C", "C, D", "B, E", "D") == ("A, B", "C", "D")
    assert taken("A") == ("A",)
    # Part of a ticker is no ticker.
    assert taken("AB", "A") == ("AB", "A")


def test_lists_come_from_every_set_without_a_common_security(healthcare: Study) -> None:
    """Its shocks name each of five companies, and all of them together: the five are drawn from, by their drops."""
    own = draw_material(*healthcare)
    falls = own.own.falls
    count = {name: int(own.own.can[falls.stratum == name].sum()) for name in own.sets}
    assert list(count) == ["PFE", "MRK", "LLY", "JNJ", "UNH"]
    assert list(count.values()) == sorted(count.values(), reverse=True)
    assert "JNJ, LLY, MRK, PFE, UNH" in own.past.falls.stratum
    assert set(falls.stratum.tolist()) == set(own.sets)
    assert set(own.past.falls.families.tolist()) == {"JNJ"}
    assert falls.families.tolist() == falls.stratum.tolist()
    assert not falls.event.any()
    rng = np.random.default_rng(1)
    drawn = np.array([np.isin(list(own.sets), falls.stratum[draw_events(own.own, 1, rng)]) for _ in range(2_000)])
    share = np.array(list(count.values())) / sum(count.values())
    assert drawn.mean(axis=0) == pytest.approx(share, abs=0.04)


def test_a_region_or_one_peer_set_can_be_asked_for(healthcare: Study) -> None:
    whole, one = draw_material(*healthcare, region="US"), draw_material(*healthcare, peer_set="UNH")
    assert (len(whole.sets), one.sets) == (5, ("UNH",))
    assert set(one.own.falls.stratum.tolist()) == {"UNH"}
    assert len(one.own.falls) == (whole.own.falls.stratum == "UNH").sum()
    assert draw_material(*healthcare, peer_set="UNH, PFE,MRK,LLY,JNJ").sets == ("JNJ, LLY, MRK, PFE, UNH",)
    with pytest.raises(ConfigError, match="accepted: JNJ; JNJ, LLY, MRK, PFE, UNH; LLY; MRK; PFE; UNH"):
        draw_material(*healthcare, peer_set="UNH,PFE")
    with pytest.raises(ConfigError, match="accepted: US"):
        draw_material(*healthcare, region="CN")


def test_a_list_is_drawn_among_the_drops_of_all_strata() -> None:
    parts = pasts(sector_returns(3, np.random.default_rng(8)), Windows(), Reversal())
    past, falls = together(parts), together(parts).falls
    for placement in ("day", "first"):
        names = dict.fromkeys(("S00", "S01", "S02"), 99)
        every = draw_events(past, names, np.random.default_rng(1), placement=placement)
        assert draw_events(past, 999, np.random.default_rng(2), placement=placement).tolist() == every.tolist()
        some = draw_events(past, 12, np.random.default_rng(3), placement=placement)
        assert len(set(falls.stratum[some].tolist())) == 3
        assert past.can[some].all()
        assert placement == "day" or set(some.tolist()) <= set(every.tolist())
        for name in names:
            assert (np.diff(falls.session[some][falls.stratum[some] == name]) >= APART).all()
    # Days of different sets may be near: they have no security in common.
    assert (np.diff(falls.session[every]) < APART).any()


@pytest.mark.parametrize("placement", ["day", "first"])
def test_a_list_has_the_numbers_of_a_study_of_the_same_events(healthcare: Study, placement: str) -> None:
    """Pseudo-events written into the events file of a study of single companies, and that study run.

    Days near events stay in estimation windows here, which would otherwise be cut near pseudo-events too.
    """
    events, config, prices = healthcare
    config = replace(config, windows=replace(config.windows, clean_estimation=False))
    base = alone(events)
    own = draw_material(base, config, prices).own
    before = shocks_of((base, config, prices))
    rows = draw_events(own, 9, np.random.default_rng(5), placement=placement)
    assert len(set(own.falls.stratum[rows].tolist())) >= 3
    days = before.history.days(set(own.falls.stratum.tolist()))[own.falls.session[rows]].tolist()
    dates = [dt.date(1970, 1, 1) + dt.timedelta(day) for day in days]
    more = [
        replace(
            base.rows[0],
            event_id=f"P{at}",
            shock_id=f"P{at}",
            timestamp=date,
            precision="date",
            label=config.reversal.label,
            label_asof=date,
            tickers=(str(name),),
        )
        for at, (date, name) in enumerate(zip(dates, own.falls.stratum[rows], strict=True))
    ]
    run = shocks_of((replace(base, rows=(*base.rows, *more)), config, prices))
    found, _ = judged(own, rows, (0.0,), seed=1)[0]
    answer = run.verdict
    assert answer.n_dates == len(set(days)) > 3
    assert (answer.effect, answer.se, answer.df) == pytest.approx((found.effect, found.se, found.df), rel=1e-9)
    assert (answer.n_controls, answer.n_clusters) == (found.n_controls, found.n_clusters)
    assert day_codes(run.drops.day0[run.counted[run.question]]).tolist() == days


def test_counts_over_several_sets_do_not_depend_on_the_workers() -> None:
    returns = sector_returns(3, np.random.default_rng(9))
    past = together(pasts(returns, Windows(), Reversal()))
    several = Material(past, ("S02", "S00"), returns[2])
    plan = VerdictPlan(draws=44, dates=(1, 6), effects=(0.1,), seed=3, designs=("own_day", "own_first"))
    rates = verdict_rates(several, CONFIG, plan)
    assert rates == verdict_rates(several, CONFIG, plan, jobs=2)
    # S01 is not drawn from, and its falls are no controls.
    two = replace(several, past=past.take(past.falls.stratum != "S01"))
    assert rates == verdict_rates(two, CONFIG, plan)
    assert {(rate.design, rate.k) for rate in rates} == {(name, k) for name in plan.designs for k in (1, 6)}


def test_an_unknown_design_is_refused() -> None:
    with pytest.raises(ConfigError, match="own_day"):
        VerdictPlan(designs=("own_days",))


@pytest.mark.parametrize("language", ["en", "zh"])
def test_every_design_has_a_name(language: str) -> None:
    words = catalogue(language)
    assert len({words[f"verdict_rates.{name}"] for name in DESIGNS}) == len(DESIGNS)


def test_pages_say_where_either_side_is_wrong_too_often() -> None:
    # 2.5 % and 2.58 standard errors of 2,000 draws are 3.4 %, 5 % and as many are 6.3 %.
    def rate(k: int, **shares: float) -> VerdictRate:
        held = {"reversal": 0.034, "drift": 0.034, "p_below": 0.062, "equivalent": 0.0, "inconclusive": 0.0}
        known = {"design": "own_first", "k": k, "k_used": k, "k_eff": k, "effect": 0.0, "draws": 2_000}
        return VerdictRate(**{**known, **held, **shares})

    words = catalogue("en")
    (held,) = conclusions([rate(6), rate(10)], words)
    assert held.startswith("In none of the 2 combinations of design and number of dates")
    told = conclusions([rate(6, reversal=0.035), rate(10, drift=0.05, p_below=0.08)], words)
    name = "own history, first drop of a slide"
    assert [sentence.partition(": ")[2] for sentence in told] == [
        f"{name}, 10 dates (8.0%).",
        f"{name}, 6 dates (3.5%).",
        f"{name}, 10 dates (5.0%).",
    ]
    assert [word in sentence for word, sentence in zip(("5%", "reversal", "drift"), told, strict=True)] == [True] * 3


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
