"""Pooling: the regression on falls joined by hand, the rules, the command."""

from __future__ import annotations

import csv
import json
import math
import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from jsonschema import Draft202012Validator
from scipy import stats
from small_study import changed, small_study
from statsmodels.stats.meta_analysis import combine_effects

from eventstudy.cli import main
from eventstudy.config import StudyConfig
from eventstudy.core.statistics.dates import dates_needed, detectable, minimum_detectable_effect
from eventstudy.errors import ConfigError, IntegrityError
from eventstudy.messages import text as worded
from eventstudy.pooling.pool import POOL_EFFECTS, POOLED, PackShocks, cochran_q, pool_packs, pooled_falls
from eventstudy.pooling.schema import pool_schema
from eventstudy.report.bundle import write_bundle
from eventstudy.report.pack import write_pack
from eventstudy.report.pack_shocks import read_shocks
from eventstudy.report.sections.pool import pool_bundle
from eventstudy.results.columns import TABLES
from eventstudy.results.result import StudyResult
from eventstudy.reversal.controls import Comparison
from eventstudy.reversal.estimator import Falls, estimate

SETTINGS = {
    f"{section}.{key}": value
    for section, values in StudyConfig().as_dict().items()
    if isinstance(values, dict)
    for key, value in values.items()
}


def shocks(
    sector: str,
    n: int,
    *,
    seed: int = 0,
    sd: float = 0.05,
    effect: float = 0.0,
    label: str = "misreading",
    first: str = "2015-01-05",
    tickers: tuple[str, ...] = (),
    **settings: Any,
) -> PackShocks:
    """A made-up pack: n qualifying drops, 61 days apart, and after them a control every 31 days."""
    rng = np.random.default_rng(seed)
    day0 = np.datetime64(first, "D") + 61 * np.arange(n)
    day = np.concatenate([day0, np.datetime64("2017-01-02", "D") + 31 * np.arange(60)]).astype(np.int64)
    peers = tickers or (f"{sector.upper()}1", f"{sector.upper()}2")
    event, size = np.arange(len(day)) < n, len(day)
    post = rng.normal(0.01, sd, size) + effect * event
    own = Falls(
        event=event,
        stratum=np.full(size, ", ".join(peers)),
        family=np.full(size, ", ".join(peers)),
        session=np.busday_count("1970-01-01", day.astype("datetime64[D]")),
        week=(day + 3) // 7,
        drop_s=rng.uniform(-4.0, -1.3, size),
        run_up=rng.normal(0.05, 0.1, size),
        post=post,
        sigma=np.full(size, 0.012),
        recent=rng.uniform(0.01, 0.02, size),
        length=19,
    )
    yes = np.ones(n, dtype=bool)
    shock = np.where(event, np.arange(size), -1)
    return PackShocks(
        run_id=f"{sector}-{first}-{seed}",
        sector=sector,
        settings={**SETTINGS, **settings},
        simulated=False,
        n_effective={"label=misreading": 1.5 * n},
        attainable={"label=misreading": 9 + n},
        shock_id=np.array([f"{sector}{k}" for k in range(n)]),
        label=np.array([label] * n),
        day0=day0,
        n_peers=np.full(n, 2),
        drop=np.full(n, -0.08),
        post=post[:n],
        qualifies=yes,
        in_time=yes,
        overlaps=("",) * n,
        tickers=(peers,) * n,
        comparison=Comparison(falls=own, shock=shock, day=day, drop=np.full(size, -0.08), drops={}),
        peers=(peers,) * size,
    )


def by_hand(packs: Sequence[PackShocks]) -> Falls:
    """Falls of packs without peers in common, one after the other, each sector a stratum."""
    names = ("event", "session", "week", "drop_s", "run_up", "post", "sigma", "recent")
    parts = [pack.comparison.falls for pack in packs]
    strata = np.concatenate([np.full(len(pack.peers), pack.sector) for pack in packs])
    joined = {name: np.concatenate([getattr(part, name) for part in parts]) for name in names}
    return Falls(**joined, stratum=strata, length=19)


PACKS = [shocks("chips", 5, seed=1, sd=0.12, effect=0.03), shocks("drugs", 4, seed=2, sd=0.02, effect=0.01)]
WHOLE = estimate(by_hand(PACKS))


def test_the_pooled_verdict_is_the_regression_on_all_falls_with_a_level_for_each_sector() -> None:
    pool = pool_packs(PACKS, seed=20260624, draws=99)
    answer = pool.verdicts["label=misreading"]
    assert (answer.effect, answer.se, answer.df) == pytest.approx((WHOLE.effect, WHOLE.se, WHOLE.df), rel=1e-9)
    assert answer.interval == pytest.approx((WHOLE.lower, WHOLE.upper), rel=1e-9)
    assert (answer.p_value, answer.k_eff) == pytest.approx((WHOLE.p_value, WHOLE.k_eff), rel=1e-9)
    assert (answer.shrunk, answer.p_costs) == pytest.approx(WHOLE.shrunken(0.008), rel=1e-9)
    # Four days are days 0 of both sectors: five dates of nine drops, and five weeks.
    assert (answer.n_dates, WHOLE.n_weeks, WHOLE.n_events) == (5, 5, 9)
    assert (answer.estimator, answer.p_name) == ("moderated", "regression_t")
    assert (answer.n_events, answer.n_effective, answer.attainable) == (18, 13.5, 27)
    assert (answer.n_controls, answer.n_clusters) == (120, WHOLE.n_clusters)
    assert set(answer.power) == {"0.02", "0.05", "0.10"}
    np.testing.assert_allclose(np.concatenate(pool.excess), WHOLE.own, rtol=1e-9)


def test_a_clear_effect_in_both_sectors_is_a_reversal() -> None:
    packs = [shocks("chips", 9, seed=3, effect=0.2), shocks("drugs", 8, seed=4, effect=0.15, first="2015-02-02")]
    pool = pool_packs(packs, seed=7, draws=99)
    assert pool.verdicts["label=misreading"].kind == "reversal"
    assert "(2 sectors" in worded(pool.verdicts["label=misreading;exploratory"].sentence)


def test_every_number_of_a_stratum_is_the_regression_on_its_own_falls() -> None:
    pool = pool_packs(PACKS, seed=20260624, draws=99)
    rows = {row.sector: row for row in pool.strata if row.group == "label=misreading"}
    assert list(rows) == ["chips", "drugs", POOLED]
    for name, own, k in (("chips", PACKS[:1], 5), ("drugs", PACKS[1:], 4), (POOLED, PACKS, 5)):
        row, found = rows[name], estimate(by_hand(own))
        assert (row.effect, row.lower, row.upper) == pytest.approx((found.effect, found.lower, found.upper), rel=1e-9)
        assert (row.se, row.df, row.p_value) == pytest.approx((found.se, found.df, found.p_value), rel=1e-9)
        assert row.mde == pytest.approx(detectable(found.se, found.df), rel=1e-9)
        assert (row.n_dates, row.n_controls, row.n_events) == (k, 60 * len(own), 2 * found.n_events)


def test_heterogeneity_against_statsmodels() -> None:
    found = [estimate(by_hand([shocks(name, n, seed=n, sd=sd)])) for name, n, sd in (("a", 9, 0.1), ("b", 8, 0.02))]
    oracle = combine_effects(np.array([each.effect for each in found]), np.array([each.se**2 for each in found]))
    row = cochran_q("all", found)
    assert (row.statistic, row.df) == pytest.approx((oracle.q, 1.0))
    assert row.p_value == pytest.approx(stats.chi2.sf(oracle.q, 1))
    assert row.estimate == pytest.approx(max(0.0, 1 - 1 / oracle.q))
    assert worded(row.reason) == "a sector has only 8 weeks, so its variance is uncertain and this p is too small"
    few = cochran_q("all", found[:1])
    assert worded(few.reason) == "needs two sectors with dates of three weeks or more"
    assert math.isnan(few.p_value)


def test_one_sector_in_two_packs_is_one_stratum_and_gives_the_study_back() -> None:
    whole = shocks("chips", 6, seed=9)
    pool = pool_packs([_part(whole, 0, 4), _part(whole, 4, 6)], seed=20260624, draws=99)
    one, pooled = (next(r for r in pool.strata if r.sector == name) for name in ("chips", POOLED))
    assert replace(one, sector=POOLED) == pooled
    found = estimate(by_hand([whole]))
    # The controls that both packs have count once.
    assert (pooled.n_dates, pooled.n_controls) == (6, 60)
    assert (pooled.effect, pooled.se, pooled.p_value) == pytest.approx(
        (found.effect, found.se, found.p_value), rel=1e-9
    )


def _part(pack: PackShocks, first: int, last: int) -> PackShocks:
    """Some of a pack's shocks with all its controls."""
    arrays = ("shock_id", "label", "day0", "n_peers", "drop", "post", "qualifies", "in_time", "overlaps", "tickers")
    cut = {name: getattr(pack, name)[first:last] for name in arrays}
    shock = pack.comparison.shock
    rows = np.flatnonzero((shock < 0) | ((shock >= first) & (shock < last)))
    falls = replace(
        pack.comparison,
        falls=pack.comparison.falls.take(rows),
        shock=np.where(shock[rows] < 0, -1, shock[rows] - first),
        day=pack.comparison.day[rows],
        drop=pack.comparison.drop[rows],
    )
    peers = tuple(pack.peers[row] for row in rows.tolist())
    return replace(pack, run_id=f"{pack.run_id}{first}", **cut, comparison=falls, peers=peers)


def test_controls_keep_away_from_the_events_of_every_pack_of_their_peers() -> None:
    chips, banks = shocks("chips", 4, seed=1), shocks("banks", 4, seed=3)
    near = shocks("drugs", 2, seed=2, tickers=("CHIPS2", "X"), first="2018-01-05")
    alone, beside = pooled_falls([chips, banks]), pooled_falls([chips, banks, near])
    assert (alone.falls.stratum == "chips: CHIPS1, CHIPS2").sum() == 64
    days = alone.day[(alone.falls.stratum == "chips: CHIPS1, CHIPS2") & (alone.shock < 0)]
    left = beside.day[(beside.falls.stratum == "chips: CHIPS1, CHIPS2") & (beside.shock < 0)]
    gone = np.array(sorted(set(days.tolist()) - set(left.tolist())), dtype="datetime64[D]")
    gaps = np.array([[np.busday_count(event, day) for event in near.day0] for day in gone])
    assert len(gone) == 2
    assert ((gaps >= -1) & (gaps < 21)).any(axis=1).all()
    assert (beside.falls.stratum == "banks: BANKS1, BANKS2").sum() == 64
    # Peer sets with a peer in common are one family, whose slides are one.
    assert len(set(beside.falls.family.tolist())) == 2
    # News of another company of that pack rules nothing out.
    elsewhere = replace(near, tickers=(("Z",), ("CHIPS2", "X")))
    kept = pooled_falls([chips, banks, elsewhere])
    still = kept.day[(kept.falls.stratum == "chips: CHIPS1, CHIPS2") & (kept.shock < 0)]
    lost = sorted(set(days.tolist()) - set(still.tolist()))
    assert [0 <= np.busday_count(near.day0[1], np.datetime64(day, "D")) < 21 for day in lost] == [True]


def test_groups_hold_what_each_verdict_counts() -> None:
    plain = shocks("chips", 5, seed=3)
    mixed = replace(
        plain,
        label=np.array(["misreading", "misreading", "genuine", "misreading", "macro"]),
        in_time=np.array([True, False, True, True, True]),
        qualifies=np.array([True, True, True, False, True]),
        overlaps=("", "chips0", "", "", "chips2"),
    )
    pool = pool_packs([mixed, shocks("drugs", 2, seed=4)], seed=1, draws=99)
    counted = {r.group: r.n_dates for r in pool.strata if r.sector == "chips"}
    # The second misreading overlaps the first; the last shock overlaps the genuine one.
    assert counted == {"label=misreading": 1, "label=misreading;exploratory": 1, "label=genuine": 1, "all": 2}


def test_a_late_label_counts_in_the_verdict_on_all_drops_alone() -> None:
    plain = shocks("chips", 3, seed=3, label="genuine")
    late = replace(plain, in_time=np.array([True, False, True]))
    pool = pool_packs([late, shocks("drugs", 2, seed=4)], seed=1, draws=99)
    counted = {r.group: r.n_dates for r in pool.strata if r.sector == "chips"}
    assert counted == {"label=misreading": 0, "label=misreading;exploratory": 0, "label=genuine": 2, "all": 3}


def test_an_exploratory_pool_says_whether_a_late_label_is_in_it() -> None:
    plain, other = shocks("chips", 3, seed=3), shocks("drugs", 2, seed=4)
    late = replace(plain, in_time=np.array([True, False, True]))
    name = "label=misreading;exploratory"
    with_late, without = (pool_packs([pack, other], seed=1, draws=99).verdicts[name] for pack in (late, plain))
    assert "(2 sectors, late labels included)" in worded(with_late.sentence)
    assert "(2 sectors, no late label among them)" in worded(without.sentence)


def test_power_grows_with_the_dates_of_every_sector() -> None:
    pool = pool_packs(PACKS, seed=20260624, draws=99)
    steps = [step for step in pool.power if step.group == "label=misreading"]
    assert [step.sectors for step in steps] == ["chips", "drugs", "chips + drugs"]
    assert [step.n_dates for step in steps] == [5, 4, 5]
    for step, own in zip(steps, (PACKS[:1], PACKS[1:], PACKS), strict=True):
        found = estimate(by_hand(own))
        assert step.sd == pytest.approx(found.se * math.sqrt(step.n_dates))
        assert step.mde == pytest.approx(detectable(found.se, found.df))
        for effect, needed in zip(POOL_EFFECTS, step.needed, strict=True):
            assert needed is not None
            at = [found.df * (k - 1) / (step.n_dates - 1) for k in (needed, needed - 1)]
            assert minimum_detectable_effect(step.sd, needed, df=at[0]) <= effect * (1 + 1e-9)
            assert needed == 2 or minimum_detectable_effect(step.sd, needed - 1, df=at[1]) > effect


def test_effects_far_above_the_spread_need_the_fewest_dates() -> None:
    """The noncentral t has no number far in its tail; that is no lack of power."""
    for sd in (0.0001, 0.0005, 0.00089026, 0.002):
        needed = dates_needed(sd, 0.01)
        assert needed == next(k for k in range(2, 30) if minimum_detectable_effect(sd, k) <= 0.01)


def test_packs_that_measure_different_things_are_refused_with_every_difference() -> None:
    other = shocks("drugs", 3, seed=2, **{"windows.post": [2, 10], "model.name": "garch"})
    with pytest.raises(ConfigError) as caught:
        pool_packs([PACKS[0], other], seed=1, draws=99)
    said = [str(problem) for problem in caught.value.problems]
    assert len(said) == 2
    assert "windows.post differs: [2, 20] in chips-2015-01-05-1, [2, 10] in drugs-2015-01-05-2" in said[0]
    assert "model.name differs" in said[1]


def test_packs_of_different_labels_are_pooled_when_asked_for_and_said_to_be_mixed() -> None:
    denied = shocks("drugs", 4, seed=2, sd=0.02, effect=0.01, label="denied", **{"reversal.label": "denied"})
    denied = replace(denied, n_effective={"label=denied": 6.0}, attainable={"label=denied": 13})
    # A misreading of a sector that asks about denials is not what it asks about.
    denied = replace(denied, label=np.array(["denied", "denied", "misreading", "denied"]))
    packs = [PACKS[0], denied]
    with pytest.raises(ConfigError, match="or pool what each asks about with --labels-differ"):
        pool_packs(packs, seed=1, draws=99)
    pool = pool_packs(packs, seed=20260624, draws=99, labels_differ=True)
    assert pool.headline == "label=misreading+denied"
    assert list(pool.verdicts) == [pool.headline, f"{pool.headline};exploratory", "all"]
    answer, found = pool.verdicts[pool.headline], estimate(by_hand([PACKS[0], _without(denied, 2)]))
    assert (answer.effect, answer.se, answer.p_value) == pytest.approx((found.effect, found.se, found.p_value))
    assert (answer.n_effective, answer.attainable) == (7.5 + 6.0, 14 + 13)
    assert {r.sector: r.n_events for r in pool.strata if r.group == pool.headline} == {
        "chips": 10,
        "drugs": 6,
        POOLED: 16,
    }
    assert "after misreading/denied-labelled drops (2 sectors)" in worded(answer.sentence)
    assert worded(pool.mixed) == (
        "The sectors ask about different labels (misreading for chips, denied for drugs): the pooled mean mixes drops "
        "of different kinds and does not answer the question of any single sector."
    )
    assert not pool_packs(PACKS, seed=1, draws=99, labels_differ=True).mixed


def _without(pack: PackShocks, k: int) -> PackShocks:
    """A pack without the falls row of one of its shocks."""
    rows = np.flatnonzero(pack.comparison.shock != k)
    falls = replace(pack.comparison, falls=pack.comparison.falls.take(rows), shock=pack.comparison.shock[rows])
    return replace(pack, comparison=falls, peers=tuple(pack.peers[row] for row in rows.tolist()))


def test_the_rule_of_what_is_a_drop_may_fit_the_sector_and_is_said() -> None:
    other = shocks("drugs", 3, seed=2, **{"reversal.drop_min": 0.01})
    pool = pool_packs([PACKS[0], other], seed=1, draws=99)
    assert "reversal.drop_min differs between the sectors: 0.03 for chips, 0.01 for drugs" in map(worded, pool.notes)


def test_the_same_shock_twice_is_refused() -> None:
    with pytest.raises(ConfigError, match="is given twice"):
        pool_packs([PACKS[0], PACKS[0]], seed=1, draws=99)
    again = shocks("drugs", 3, seed=2, tickers=("CHIPS2", "X"))
    with pytest.raises(ConfigError, match=r"drugs0 of .* is chips0 of .* with peers in common"):
        pool_packs([PACKS[0], again], seed=1, draws=99)
    with pytest.raises(ConfigError, match="two result packs or more"):
        pool_packs(PACKS[:1], seed=1, draws=99)


def test_a_shock_in_the_post_window_of_the_same_peers_elsewhere_is_left_out() -> None:
    # 19 weekdays after each shock of the first pack, then 21, which is outside [2, 20].
    near, far = (shocks("drugs", 2, seed=2, tickers=("CHIPS2",), first=day) for day in ("2015-01-30", "2015-02-04"))
    pool = pool_packs([PACKS[0], near], seed=1, draws=99)
    assert pool.left_out["label=misreading"] == ("drugs0", "drugs1")
    assert next(r for r in pool.strata if r.sector == "drugs").n_dates == 0
    far = replace(far, day0=far.day0[:1].repeat(2) + np.array([0, 1000]))
    assert pool_packs([PACKS[0], far], seed=1, draws=99).left_out["label=misreading"] == ()


def test_only_a_shock_that_counts_keeps_a_later_one_of_another_pack_out() -> None:
    chips = shocks("chips", 3, seed=1)
    # A few days after each shock of the first pack; the second shock of the first pack overlaps its first.
    drugs = shocks("drugs", 3, seed=2, tickers=("CHIPS2",), first="2015-01-12")
    for change in (
        {"qualifies": np.array([True, False, True])},
        {"in_time": np.array([True, False, True])},
        {"label": np.array(["misreading", "genuine", "misreading"])},
        {"overlaps": ("", "chips0", "")},
    ):
        pool = pool_packs([replace(chips, **change), drugs], seed=1, draws=99)
        assert pool.left_out["label=misreading"] == ("drugs0", "drugs2"), change
        kept = {row.sector: row.n_dates for row in pool.strata if row.group == "label=misreading"}
        assert kept == {"chips": 2, "drugs": 1, POOLED: 3}
    # Where all labels count the genuine shock does, too; and a shock left out keeps nothing else out.
    mixed = replace(chips, label=np.array(["misreading", "genuine", "misreading"]))
    assert pool_packs([mixed, drugs], seed=1, draws=99).left_out["all"] == ("drugs0", "drugs1", "drugs2")
    third = shocks("banks", 1, seed=3, tickers=("CHIPS2",), first="2015-02-04")
    pool = pool_packs([third, chips, drugs], seed=1, draws=99)
    assert pool.left_out["label=misreading"] == ("drugs0", "drugs1", "drugs2")


def test_a_shock_overlaps_nothing_where_the_one_before_gave_way_to_another_pack() -> None:
    days = np.array(["2015-01-12", "2015-02-06"], dtype="datetime64[D]")
    chips = replace(shocks("chips", 2, seed=1), day0=days, overlaps=("", "chips0"))
    banks = shocks("banks", 1, seed=3, tickers=("CHIPS2",), first="2015-01-05")
    pool = pool_packs([chips, banks], seed=1, draws=99)
    assert pool.left_out["label=misreading"] == ("chips0",)
    assert {r.sector: r.n_dates for r in pool.strata if r.group == "all"} == {"chips": 1, "banks": 1, POOLED: 2}


def test_drops_of_two_sectors_on_one_day_are_said() -> None:
    said = worded(pool_packs(PACKS, seed=1, draws=99).notes[0])
    assert said == (
        "drugs and chips have drops on the same day (2015-01-05, 2015-03-07, 2015-05-07, 2015-07-07): both depend on "
        "one market day, so they count as one date"
    )


def write_made_up(
    folder: Path, pack: PackShocks, *, simulated: bool = False, formats: Sequence[str] = ("csv", "json")
) -> Path:
    """Write a result pack whose reversal tables are those of a made-up `PackShocks`."""
    base = changed(small_study(), facts={"simulated": simulated})
    reversal = pd.DataFrame(
        {
            "shock_id": pack.shock_id,
            "label": pack.label,
            "day0": pack.day0.astype(str),
            "n_peers": pack.n_peers,
            "car_drop": pack.drop,
            "qualifies": pack.qualifies,
            "car_post": pack.post,
            "why_not": "",
            "overlaps": pack.overlaps,
            "label_in_time": pack.in_time,
        }
    )
    own, listed = pack.comparison.falls, pack.comparison.shock
    names = ("stratum", "drop_s", "run_up", "post", "sigma", "recent", "family", "session")
    falls = pd.DataFrame({name: getattr(own, name) for name in names}).assign(
        event=[str(pack.shock_id[k]) if k >= 0 else "" for k in listed],
        day0=pack.comparison.day.astype("datetime64[D]").astype(str),
        drop=pack.comparison.drop,
        label="",
    )
    ledger = pd.DataFrame(
        [
            {"shock_id": name, "ticker": ticker, "status": status}
            for name, tickers in zip(pack.shock_id, pack.tickers, strict=True)
            for ticker, status in (*((t, "used") for t in tickers), ("GONE", "dropped"))
        ]
    )
    made = {"reversal": reversal, "falls": falls, "ledger": ledger}
    tables = {**base.tables, **{k: v.reindex(columns=TABLES[k]) for k, v in made.items()}}
    settings = StudyConfig().as_dict()
    settings["study"]["sector"] = pack.sector
    settings["reversal"]["label"] = pack.asked
    group = {
        **base.facts["verdict"],
        "group": "label=misreading",
        "n_effective": 1.5 * len(pack),
        "attainable": 9 + len(pack),
    }
    facts = {**base.facts, "run_id": pack.run_id, "verdict": group}
    result = StudyResult(pack.run_id, tables, facts, {**base.manifest, "settings": settings})
    folder.mkdir()
    write_pack(result, folder, formats=formats)
    return folder


@pytest.fixture
def folders(tmp_path: Path) -> list[Path]:
    return [write_made_up(tmp_path / pack.sector, pack) for pack in PACKS]


def test_a_pack_is_read_back_as_it_was(folders: list[Path]) -> None:
    read = read_shocks(folders[0])
    for name in ("shock_id", "label", "day0", "n_peers", "qualifies", "in_time", "overlaps", "tickers"):
        np.testing.assert_array_equal(getattr(read, name), getattr(PACKS[0], name))
    for name in ("drop", "post"):
        np.testing.assert_allclose(getattr(read, name), getattr(PACKS[0], name), rtol=1e-12)
    for name in ("event", "stratum", "family", "session", "week", "drop_s", "run_up", "post", "sigma", "recent"):
        np.testing.assert_array_equal(getattr(read.comparison.falls, name), getattr(PACKS[0].comparison.falls, name))
    np.testing.assert_array_equal(read.comparison.shock, PACKS[0].comparison.shock)
    np.testing.assert_array_equal(read.comparison.day, PACKS[0].comparison.day)
    assert (read.peers, read.comparison.lead, read.attainable["label=misreading"]) == (PACKS[0].peers, 0, 14)
    assert (read.sector, read.run_id, read.simulated) == ("chips", PACKS[0].run_id, False)
    assert read.n_effective["label=misreading"] == 7.5
    assert read.settings["windows.post"] == [2, 20]


def test_packs_of_parquet_tables_give_the_same_pool(folders: list[Path], tmp_path: Path) -> None:
    formats = ("parquet", "json")
    others = [write_made_up(tmp_path / f"{pack.sector}-parquet", pack, formats=formats) for pack in PACKS]
    assert not list(tmp_path.glob("*-parquet/**/*.csv"))
    first, second = (pool_packs([read_shocks(home) for home in of], seed=1, draws=99) for of in (folders, others))
    assert second.strata == first.strata
    assert second.verdicts == first.verdicts
    (tmp_path / "chips-parquet" / "tables" / "falls.parquet").unlink()
    with pytest.raises(IntegrityError, match=r"falls.parquet: is missing"):
        read_shocks(others[0])
    with pytest.raises(ConfigError, match="has no table reversal; run the study with the format csv or parquet"):
        read_shocks(write_made_up(tmp_path / "json", PACKS[0], formats=("json",)))


def test_the_pages_of_different_labels_name_the_label_of_each_sector(
    folders: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    denied = shocks("banks", 3, seed=5, label="denied", **{"reversal.label": "denied"})
    packs = [str(folders[0]), str(write_made_up(tmp_path / "banks", denied, formats=("parquet", "json")))]
    out = tmp_path / "out"
    assert main(["pool", *packs, "--out", str(out)]) == 2
    assert "reversal.label differs: 'misreading' in chips" in capsys.readouterr().err
    assert main(["pool", *packs, "--labels-differ", "--out", str(out), "--quiet"]) == 0
    home = Path(capsys.readouterr().out.strip())
    pages, facts = (home / "pool.md").read_text(encoding="utf-8"), json.loads((home / "summary.json").read_text())
    assert "(misreading for chips, denied for banks): the pooled mean mixes drops of different kinds" in pages
    assert "label in question denied" in pages
    assert [error.message for error in Draft202012Validator(pool_schema()).iter_errors(facts)] == []
    assert facts["labels"] == {"chips": "misreading", "banks": "denied"}
    assert facts["verdict"]["group"] == "label=misreading+denied"


def test_the_command_writes_tables_figure_page_and_summary(
    folders: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "140")
    out = tmp_path / "out"
    assert main(["pool", *map(str, folders), "--out", str(out)]) == 0
    said = capsys.readouterr().out
    (home,) = [path for path in out.iterdir() if path.is_dir()]
    assert home.name.startswith("pool-chips-drugs-")
    for part in ("Pool of chips and drugs", "t of the regression", "dates for 5%", str(home)):
        assert part in said
    with (home / "tables" / "pool.csv").open(encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if row["group"] == "label=misreading"]
    assert {row["sector"]: row["n_dates"] for row in rows} == {"chips": "5", "drugs": "4", "pooled": "5"}
    assert float(rows[2]["effect"]) == pytest.approx(WHOLE.effect)
    assert [row["verdict"] for row in rows] == ["", "", "inconclusive"]
    with (home / "tables" / "pool_power.csv").open(encoding="utf-8") as file:
        power = [row for row in csv.DictReader(file) if row["group"] == "label=misreading"]
    assert float(power[2]["mde"]) == pytest.approx(detectable(WHOLE.se, WHOLE.df))
    assert int(power[2]["dates_for_5%"]) == dates_needed(WHOLE.se * math.sqrt(5), 0.05, df_share=WHOLE.df / 4)
    facts = json.loads((home / "summary.json").read_text(encoding="utf-8"))
    schema = Draft202012Validator(pool_schema())
    assert [error.message for error in schema.iter_errors(facts)] == []
    assert not schema.is_valid({**facts, "sectors": "chips"})
    assert not schema.is_valid({name: value for name, value in facts.items() if name != "power"})
    assert facts["sectors"] == ["chips", "drugs"]
    assert facts["verdict"]["effect"] == pytest.approx(WHOLE.effect)
    assert sorted(facts["outputs"]) == [
        "pool.html",
        "pool.md",
        "pool.pdf",
        "pool.png",
        "pool.svg",
        "tables/pool.csv",
        "tables/pool_power.csv",
        "tables/pool_shocks.csv",
        "tables/pool_tests.csv",
    ]
    assert "SIMULATED" not in said + (home / "pool.html").read_text(encoding="utf-8")
    assert facts["verdict"]["sentence"].split(":")[0] in (home / "pool.md").read_text(encoding="utf-8")


def test_packs_in_chinese_make_a_pool_in_chinese(folders: list[Path], tmp_path: Path) -> None:
    packs = [replace(pack, settings={**pack.settings, "study.language": "zh"}) for pack in map(read_shocks, folders)]
    home = write_bundle(pool_bundle(pool_packs(packs, seed=1, draws=99), folders), tmp_path)
    said = (home / "pool.md").read_text(encoding="utf-8")
    for part in ("chips与drugs 合并检验", "证据不足，尚无定论", "检出 5% 所需日期", "则在对照下跌中排名，没有区间"):
        assert part in said
    heads = [line for line in said.splitlines() if line.startswith(("#", "| 组", "| 检验", "| 行业"))]
    assert len(heads) == 8
    assert {"chips", "drugs", "K", "N", "p"} >= set(re.findall(r"[A-Za-z]+", " ".join(heads)))
    assert "> 证据不足，尚无定论：误读类下跌（2 个行业）之后" in said


def test_the_same_packs_again_leave_the_folder_as_it_is(folders: list[Path], tmp_path: Path) -> None:
    pool = pool_packs([read_shocks(folder) for folder in folders], seed=1, draws=99)
    out = tmp_path / "out"
    out.mkdir()
    first = write_bundle(pool_bundle(pool, folders), out)
    stamp = (first / "pool.html").stat().st_mtime_ns
    second = write_bundle(pool_bundle(pool, folders), out)
    assert first == second
    assert (second / "pool.html").stat().st_mtime_ns == stamp
    assert [path.name for path in out.iterdir()] == [first.name]


def test_one_simulated_pack_makes_the_pool_simulated(
    tmp_path: Path, folders: list[Path], capsys: pytest.CaptureFixture[str]
) -> None:
    made_up = write_made_up(tmp_path / "made-up", shocks("toys", 3, seed=8), simulated=True)
    out = tmp_path / "out"
    assert main(["pool", str(folders[0]), str(made_up), "--out", str(out)]) == 0
    (home,) = [path for path in out.iterdir() if path.is_dir()]
    assert "-simulated-" in home.name
    assert json.loads((home / "summary.json").read_text(encoding="utf-8"))["simulated"] is True
    pages = [(home / name).read_text(encoding="utf-8") for name in ("pool.md", "pool.html")]
    for text in (capsys.readouterr().out, *pages):
        assert "SIMULATED PRICES" in text
    with (home / "tables" / "pool.csv").open(encoding="utf-8") as file:
        assert {row["simulated"] for row in csv.DictReader(file)} == {"SIMULATED"}


def test_packs_that_were_changed_or_are_none_are_refused(
    folders: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    table = folders[1] / "tables" / "falls.csv"
    table.write_text(table.read_text(encoding="utf-8").replace("DRUGS1", "DRUGS3", 1), encoding="utf-8")
    assert main(["pool", *map(str, folders), "--out", str(tmp_path / "out")]) == 5
    assert "was changed after it was written" in capsys.readouterr().err
    assert main(["pool", str(folders[0]), str(tmp_path / "nothing"), "--out", str(tmp_path / "out")]) == 2
    assert "is no result pack" in capsys.readouterr().err
    table.unlink()
    with pytest.raises(IntegrityError, match=r"falls.csv: is missing"):
        read_shocks(folders[1])


def test_tables_that_do_not_belong_together_are_refused(tmp_path: Path) -> None:
    wrong = replace(PACKS[0], post=PACKS[0].post + 0.001)
    with pytest.raises(IntegrityError, match=r"chips0: its CAR is not that of falls.csv"):
        read_shocks(write_made_up(tmp_path / "wrong", wrong))


def test_the_written_pool_has_its_intervals_the_right_way_round(folders: list[Path], tmp_path: Path) -> None:
    """In the table and in the summary that the command writes: those of the falls joined by hand."""
    out = tmp_path / "out"
    assert main(["pool", *map(str, folders), "--out", str(out), "--quiet"]) == 0
    (home,) = [path for path in out.iterdir() if path.is_dir() and not path.is_symlink()]
    table = pd.read_csv(home / "tables" / "pool.csv").query("group == 'label=misreading'").set_index("sector")
    for name, own in (("chips", PACKS[:1]), ("drugs", PACKS[1:]), (POOLED, PACKS)):
        found = estimate(by_hand(own))
        written = table.loc[name, ["lower", "effect", "upper"]].tolist()
        assert written == pytest.approx([found.lower, found.effect, found.upper], rel=1e-9)
    facts = json.loads((home / "summary.json").read_text(encoding="utf-8"))
    assert facts["verdict"]["ci"] == pytest.approx([WHOLE.lower, WHOLE.upper], rel=1e-9)
