"""Pooling: the pooled statistics against slow twins and other programs, the rules, the size, the command."""

from __future__ import annotations

import csv
import itertools
import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray
from scipy import stats
from small_study import changed, small_study
from statsmodels.stats.meta_analysis import combine_effects

from eventstudy.cli import main
from eventstudy.config import StudyConfig
from eventstudy.core.statistics.dates import dates_needed, minimum_detectable_effect, sign_flip_p, sign_vectors
from eventstudy.errors import ConfigError, IntegrityError, Reason
from eventstudy.messages import text as worded
from eventstudy.pooling.pool import (
    EFFECTS,
    POOLED,
    PackShocks,
    cochran_q,
    mean_tests,
    permutations,
    pool_packs,
    precision_weighted,
)
from eventstudy.report.bundle import write_bundle
from eventstudy.report.pack import write_pack
from eventstudy.report.pack_shocks import read_shocks
from eventstudy.report.sections.pool import pool_bundle
from eventstudy.results.columns import TABLES
from eventstudy.results.result import StudyResult
from eventstudy.reversal.permutation import matched_permutation, placebo_spread
from eventstudy.reversal.verdict import Evidence, verdict

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
    placebos: int = 7,
    label: str = "misreading",
    first: str = "2015-01-05",
    tickers: tuple[str, ...] = (),
    **settings: Any,
) -> PackShocks:
    """A made-up pack: n qualifying drops, two months apart, with exchangeable members in each set."""
    rng = np.random.default_rng(seed)
    sets = tuple(rng.normal(0.01, sd, placebos) for _ in range(n))
    post = rng.normal(0.01 + effect, sd, n)
    over = np.array([value - others.mean() for value, others in zip(post, sets, strict=True)])
    day0 = np.datetime64(first, "D") + 61 * np.arange(n)
    peers = tickers or (f"{sector.upper()}1", f"{sector.upper()}2")
    yes = np.ones(n, dtype=bool)
    return PackShocks(
        run_id=f"{sector}-{first}-{seed}",
        sector=sector,
        settings={**SETTINGS, **settings},
        simulated=False,
        n_effective={"label=misreading": 1.5 * n},
        shock_id=np.array([f"{sector}{k}" for k in range(n)]),
        label=np.array([label] * n),
        day0=day0,
        n_peers=np.full(n, 2),
        drop=np.full(n, -0.08),
        post=post,
        excess=over,
        excess_log=over + 0.001,
        excess_bhar=over - 0.001,
        qualifies=yes,
        in_time=yes,
        overlaps=("",) * n,
        placebos=sets,
        tickers=(peers,) * n,
    )


def joined(packs: list[PackShocks]) -> tuple[NDArray[np.float64], NDArray[np.str_]]:
    return (
        np.concatenate([pack.excess for pack in packs]),
        np.concatenate([np.full(len(pack), pack.sector) for pack in packs]),
    )


PACKS = [shocks("chips", 4, seed=1, sd=0.12, effect=0.03), shocks("drugs", 3, seed=2, sd=0.02, effect=0.01)]
X, SECTOR = joined(PACKS)


def test_date_t_is_the_plain_t_over_all_dates() -> None:
    name, estimate, t, df, p, _ = mean_tests(X, SECTOR, draws=99, seed=1)[0]
    oracle = stats.ttest_1samp(X, 0.0)
    assert name == "date_t"
    assert (estimate, t, df, p) == pytest.approx((X.mean(), oracle.statistic, 6.0, oracle.pvalue))


def test_stratified_t_against_its_twin() -> None:
    """Variance of the mean from the spread within each sector, with Satterthwaite's degrees of freedom."""
    variance, squares = 0.0, 0.0
    for name in ("chips", "drugs"):
        values = [float(x) for x, s in zip(X, SECTOR, strict=True) if s == name]
        k = len(values)
        mean = sum(values) / k
        spread = sum((value - mean) ** 2 for value in values) / (k - 1)
        term = (k / len(X)) ** 2 * spread / k
        variance += term
        squares += term**2 / (k - 1)
    t, df = float(X.mean()) / math.sqrt(variance), variance**2 / squares
    row = mean_tests(X, SECTOR, draws=99, seed=1)[1]
    assert row[0] == "stratified_t"
    assert row[1:5] == pytest.approx((X.mean(), t, df, 2 * stats.t.sf(abs(t), df)))


def test_stratified_t_of_one_sector_is_the_plain_t() -> None:
    rows = mean_tests(X[:4], SECTOR[:4], draws=99, seed=1)
    assert rows[1][1:5] == pytest.approx(rows[0][1:5])


def test_sign_flips_against_all_signs_in_a_loop() -> None:
    level = {name: math.sqrt(np.mean(X[np.isin(SECTOR, name)] ** 2)) for name in ("chips", "drugs")}
    scaled = [x / level[s] for x, s in zip(X, SECTOR, strict=True)]
    rows = {row[0]: row for row in mean_tests(X, SECTOR, draws=99, seed=1)}
    for name, values in (("sign_flip", X.tolist()), ("sign_flip_scaled", scaled)):
        hits = [
            abs(sum(sign * value for sign, value in zip(signs, values, strict=True))) >= abs(sum(values)) * (1 - 1e-12)
            for signs in itertools.product((1, -1), repeat=len(values))
        ]
        assert rows[name][4] == pytest.approx(sum(hits) / len(hits))
    assert rows["sign_flip"][4] == sign_flip_p(X, sign_vectors(7, draws=9, rng=np.random.default_rng(0)))


def twin_permutation(post: list[float], sets: list[list[float]], weights: list[float]) -> float:
    """Two-sided p with every member of every set in the event's place, the excess written out."""
    sums = []
    for chosen in itertools.product(*(range(len(others) + 1) for others in sets)):
        total = 0.0
        for place, value, others, weight in zip(chosen, post, sets, weights, strict=True):
            members = [value, *others]
            event = members.pop(place)
            total += weight * (event - sum(members) / len(members))
        sums.append(total)
    slack = 1e-12 * max(map(abs, sums))
    return sum(abs(value) >= abs(sums[0]) - slack for value in sums) / len(sums)


def test_permutations_against_every_choice_in_a_loop() -> None:
    packs = [
        shocks("chips", 3, seed=5, sd=0.2, placebos=4, effect=0.15),
        shocks("drugs", 2, seed=6, sd=0.02, placebos=3),
    ]
    post = np.concatenate([pack.post for pack in packs])
    sets = [values for pack in packs for values in pack.placebos]
    _, sector = joined(packs)
    scale = []
    for name in sector:
        about = []
        for value, others, own in zip(post, sets, sector, strict=True):
            if own == name:
                members = [float(value), *others.tolist()]
                about += [member - sum(members) / len(members) for member in members]
        scale.append(math.sqrt(sum(d**2 for d in about) / len(about)))
    plain, scaled = permutations(post, sets, sector, draws=99, seed=1)
    lists = [values.tolist() for values in sets]
    assert plain[1] == pytest.approx(np.concatenate([pack.excess for pack in packs]).mean())
    assert plain[4] == pytest.approx(twin_permutation(post.tolist(), lists, [1.0] * 5))
    assert scaled[4] == pytest.approx(twin_permutation(post.tolist(), lists, [1 / s for s in scale]))
    assert plain[4] != scaled[4]


def test_heterogeneity_against_statsmodels() -> None:
    asked = (("a", 12, 0.1), ("b", 15, 0.02), ("c", 11, 0.05))
    packs = [shocks(name, n, seed=n, sd=sd) for name, n, sd in asked]
    x, sector = joined(packs)
    means = np.array([pack.excess.mean() for pack in packs])
    variances = np.array([pack.excess.var(ddof=1) / len(pack) for pack in packs])
    oracle = combine_effects(means, variances)
    _, share, q, df, p, note = cochran_q(x, sector)
    assert (q, df) == pytest.approx((oracle.q, 2.0))
    assert p == pytest.approx(stats.chi2.sf(oracle.q, 2))
    assert share == pytest.approx(max(0.0, 1 - 2 / oracle.q))
    assert "variance is a guess" in note
    _, mean, _, _, p, _ = precision_weighted(x, sector)
    assert mean == pytest.approx(oracle.mean_effect_fe)
    assert math.isnan(p)


def test_tests_that_do_not_apply_say_why() -> None:
    alone = np.array(["chips", "chips", "drugs"])
    assert mean_tests(X[:3], alone, draws=99, seed=1)[1][5] == "drugs: one date has no spread"
    assert math.isnan(cochran_q(X[:3], alone)[4])
    assert "drugs" in cochran_q(X[:3], alone)[5]
    assert cochran_q(X[:4], SECTOR[:4])[5] == "needs two sectors with two dates or more"
    assert "needs two dates" in mean_tests(X[:1], SECTOR[:1], draws=99, seed=1)[0][5]
    assert "cannot reach 5 %" in mean_tests(X[:5], SECTOR[:5], draws=99, seed=1)[2][5]
    assert "7 dates" not in mean_tests(X, SECTOR, draws=99, seed=1)[2][5]
    assert permutations(np.zeros(0), [], np.zeros(0, dtype=str), draws=9, seed=1)[0][5]
    assert "variance is a guess" in cochran_q(X, SECTOR)[5]


def test_the_pooled_verdict_is_that_of_a_single_study_on_all_shocks() -> None:
    packs = [shocks("chips", 9, seed=3, effect=0.2), shocks("drugs", 8, seed=4, effect=0.15, sd=0.03)]
    pool = pool_packs(packs, seed=7, draws=499)
    x, _ = joined(packs)
    post = np.concatenate([pack.post for pack in packs])
    sets = [values for pack in packs for values in pack.placebos]
    test, mean = matched_permutation(post, sets, draws=499, seed=7), float(x.mean())
    evidence = Evidence(
        subject=Reason("subject.pool", label="misreading", sectors=Reason("subject.sectors", n=2)),
        window=(2, 20),
        excess=x,
        drop=np.full(17, -0.08),
        permutation=test,
        spread=placebo_spread(sets),
        other_measures=(mean + 0.001, mean - 0.001),
        n_events=34,
        n_effective=25.5,
        n_placebos=17 * 7,
        n_candidates=17,
        n_drops=17,
    )
    assert pool.verdicts["label=misreading"] == verdict(evidence, seed=7, draws=499)
    assert pool.verdicts["label=misreading"].kind == "reversal"


def test_one_sector_in_two_packs_is_one_stratum_and_gives_the_study_back() -> None:
    whole = shocks("chips", 6, seed=9)
    parts = [_part(whole, slice(0, 4), "a"), _part(whole, slice(4, 6), "b")]
    pool = pool_packs(parts, seed=1, draws=199)
    one, pooled = (next(r for r in pool.strata if r.sector == name) for name in ("chips", POOLED))
    assert replace(one, sector=POOLED) == pooled
    assert (pooled.n_dates, pooled.effect) == (6, pytest.approx(whole.excess.mean()))
    # Student's t with five degrees of freedom: 2.5706 standard errors either way.
    half = 2.570582 * whole.excess.std(ddof=1) / np.sqrt(6)
    assert pooled.lower == pytest.approx(whole.excess.mean() - half, rel=1e-5)
    assert pooled.upper == pytest.approx(whole.excess.mean() + half, rel=1e-5)
    test = matched_permutation(whole.post, list(whole.placebos), draws=199, seed=1)
    assert pooled.permutation_p == test.two_sided


def _part(pack: PackShocks, rows: slice, name: str) -> PackShocks:
    cut = {
        field: getattr(pack, field)[rows]
        for field in PackShocks.__dataclass_fields__
        if field not in ("run_id", "sector", "settings", "simulated", "n_effective")
    }
    return replace(pack, run_id=f"{pack.run_id}{name}", **cut)


def test_groups_hold_what_each_verdict_counts() -> None:
    mine = shocks("chips", 5, seed=3)
    mixed = replace(
        mine,
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
    mine = shocks("chips", 3, seed=3, label="genuine")
    late = replace(mine, in_time=np.array([True, False, True]))
    pool = pool_packs([late, shocks("drugs", 2, seed=4)], seed=1, draws=99)
    counted = {r.group: r.n_dates for r in pool.strata if r.sector == "chips"}
    assert counted == {"label=misreading": 0, "label=misreading;exploratory": 0, "label=genuine": 2, "all": 3}


def test_an_exploratory_pool_says_whether_a_late_label_is_in_it() -> None:
    mine, other = shocks("chips", 3, seed=3), shocks("drugs", 2, seed=4)
    late = replace(mine, in_time=np.array([True, False, True]))
    name = "label=misreading;exploratory"
    with_late, without = (pool_packs([pack, other], seed=1, draws=99).verdicts[name] for pack in (late, mine))
    assert "(2 sectors, late labels included)" in worded(with_late.sentence)
    assert "(2 sectors, no late label among them)" in worded(without.sentence)


def test_power_grows_with_the_dates_of_every_sector() -> None:
    pool = pool_packs(PACKS, seed=1, draws=99)
    steps = [step for step in pool.power if step.group == "label=misreading"]
    assert [step.sectors for step in steps] == ["chips", "drugs", "chips + drugs"]
    assert [step.n_dates for step in steps] == [4, 3, 7]
    for step, x in zip(steps, (X[:4], X[4:], X), strict=True):
        assert step.sd == pytest.approx(x.std(ddof=1))
        assert step.mde == pytest.approx(minimum_detectable_effect(step.sd, step.n_dates))
        for effect, needed in zip(EFFECTS, step.needed, strict=True):
            assert needed is not None
            assert minimum_detectable_effect(step.sd, needed) <= effect * (1 + 1e-9)
            assert needed == 2 or minimum_detectable_effect(step.sd, needed - 1) > effect
    assert steps[2].mde < steps[0].mde


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


def test_the_rule_of_what_is_a_drop_may_fit_the_sector_and_is_said() -> None:
    other = shocks("drugs", 3, seed=2, **{"reversal.drop_min": 0.01})
    pool = pool_packs([PACKS[0], other], seed=1, draws=99)
    assert "reversal.drop_min fits the sector: 0.03 for chips, 0.01 for drugs" in pool.notes


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
        {"excess": np.array([0.01, np.nan, 0.02])},
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
    assert "chips have drops on the same day (2015-01-05, 2015-03-07, 2015-05-07)" in pool_packs(
        PACKS, seed=1, draws=99
    ).notes[0].replace("drugs and ", "")


@pytest.mark.parametrize("louder", [1.0, 8.0])
def test_size_under_the_null(louder: float) -> None:
    """Share of rejections at 5 % without an effect, sectors of unlike spread: within four standard errors."""
    draws, rng = 400, np.random.default_rng(5)
    sector = np.array(["loud"] * 8 + ["quiet"] * 6)
    scale = np.where(sector == "loud", 0.01 * louder, 0.01)
    rejected: dict[str, int] = {}
    for draw in range(draws):
        sets = [rng.normal(0.0, s, 9) for s in scale]
        post = rng.normal(0.0, scale)
        x = np.array([value - others.mean() for value, others in zip(post, sets, strict=True)])
        rows = mean_tests(x, sector, draws=99, seed=1)
        for row in rows + permutations(post, sets, sector, draws=199, seed=draw):
            rejected[row[0]] = rejected.get(row[0], 0) + (row[4] <= 0.05)
    room = 4 * math.sqrt(0.05 * 0.95 / draws)
    for name, count in rejected.items():
        # Unequal variances make the t over all dates conservative, never liberal.
        low = 0.0 if name in ("date_t", "stratified_t") and louder > 1 else 0.05 - room
        assert low <= count / draws <= 0.05 + room, name


def write_made_up(folder: Path, pack: PackShocks, *, simulated: bool = False) -> Path:
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
            "excess": pack.excess,
            "why_not": "",
            "overlaps": pack.overlaps,
            "label_in_time": pack.in_time,
            "excess_log": pack.excess_log,
            "excess_bhar": pack.excess_bhar,
        }
    )
    placebo = pd.DataFrame(
        [
            {"shock_id": name, "tier": tier, "car_post": value}
            for name, values in zip(pack.shock_id, pack.placebos, strict=True)
            for tier, shift in (("P0", 1.0), ("P1", 0.0))
            for value in values + shift
        ]
    )
    ledger = pd.DataFrame(
        [
            {"shock_id": name, "ticker": ticker, "status": status}
            for name, tickers in zip(pack.shock_id, pack.tickers, strict=True)
            for ticker, status in (*((t, "used") for t in tickers), ("GONE", "dropped"))
        ]
    )
    made = {"reversal": reversal, "placebo": placebo, "ledger": ledger}
    tables = {**base.tables, **{k: v.reindex(columns=TABLES[k]) for k, v in made.items()}}
    settings = StudyConfig().as_dict()
    settings["study"]["sector"] = pack.sector
    group = {**base.facts["verdict"], "group": "label=misreading", "n_effective": 1.5 * len(pack)}
    facts = {**base.facts, "run_id": pack.run_id, "verdict": group}
    result = StudyResult(pack.run_id, tables, facts, {**base.manifest, "settings": settings})
    folder.mkdir()
    write_pack(result, folder, formats=("csv", "json"))
    return folder


@pytest.fixture
def folders(tmp_path: Path) -> list[Path]:
    return [write_made_up(tmp_path / pack.sector, pack) for pack in PACKS]


def test_a_pack_is_read_back_as_it_was(folders: list[Path]) -> None:
    read = read_shocks(folders[0])
    for name in ("shock_id", "label", "day0", "n_peers", "qualifies", "in_time", "overlaps", "tickers"):
        np.testing.assert_array_equal(getattr(read, name), getattr(PACKS[0], name))
    for name in ("drop", "post", "excess", "excess_log", "excess_bhar", "placebos"):
        np.testing.assert_allclose(getattr(read, name), getattr(PACKS[0], name), rtol=1e-12)
    assert (read.sector, read.run_id, read.simulated) == ("chips", PACKS[0].run_id, False)
    assert read.n_effective["label=misreading"] == 6.0
    assert read.settings["windows.post"] == [2, 20]


def test_the_command_writes_tables_figure_page_and_summary(
    folders: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "140")
    out = tmp_path / "out"
    assert main(["pool", *map(str, folders), "--out", str(out)]) == 0
    said = capsys.readouterr().out
    (home,) = [path for path in out.iterdir() if path.is_dir()]
    assert home.name.startswith("pool-chips-drugs-")
    for part in ("Pool of chips and drugs", "stratified_t", "dates for 5%", str(home)):
        assert part in said
    with (home / "tables" / "pool.csv").open(encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if row["group"] == "label=misreading"]
    assert {row["sector"]: row["n_dates"] for row in rows} == {"chips": "4", "drugs": "3", "pooled": "7"}
    assert float(rows[2]["effect"]) == pytest.approx(X.mean())
    assert [row["verdict"] for row in rows] == ["", "", "inconclusive"]
    with (home / "tables" / "pool_power.csv").open(encoding="utf-8") as file:
        power = [row for row in csv.DictReader(file) if row["group"] == "label=misreading"]
    assert float(power[2]["mde"]) == pytest.approx(minimum_detectable_effect(X.std(ddof=1), 7))
    assert int(power[2]["dates_for_5%"]) > 7
    facts = json.loads((home / "summary.json").read_text(encoding="utf-8"))
    assert facts["sectors"] == ["chips", "drugs"]
    assert facts["verdict"]["effect"] == pytest.approx(X.mean())
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
    table = folders[1] / "tables" / "placebo.csv"
    table.write_text(table.read_text(encoding="utf-8").replace("P1", "P2", 1), encoding="utf-8")
    assert main(["pool", *map(str, folders), "--out", str(tmp_path / "out")]) == 5
    assert "was changed after it was written" in capsys.readouterr().err
    assert main(["pool", str(folders[0]), str(tmp_path / "nothing"), "--out", str(tmp_path / "out")]) == 2
    assert "is no result pack" in capsys.readouterr().err
    table.unlink()
    with pytest.raises(IntegrityError, match=r"placebo.csv: is missing"):
        read_shocks(folders[1])


def test_tables_that_do_not_belong_together_are_refused(tmp_path: Path) -> None:
    wrong = replace(PACKS[0], excess=PACKS[0].excess + 0.001)
    with pytest.raises(IntegrityError, match="chips0: its excess is not its CAR less the mean"):
        read_shocks(write_made_up(tmp_path / "wrong", wrong))


def test_every_number_of_a_stratum_by_its_name() -> None:
    """Against scipy on the sector's own dates, and on all dates for the pool."""
    pool = pool_packs(PACKS, seed=7, draws=499)
    rows = {row.sector: row for row in pool.strata if row.group == "label=misreading"}
    assert list(rows) == ["chips", "drugs", POOLED]
    for name, row in rows.items():
        x = X if name == POOLED else X[[sector == name for sector in SECTOR]]
        k = len(x)
        interval = stats.ttest_1samp(x, 0).confidence_interval(0.95)
        assert row.lower < row.effect < row.upper
        assert (row.lower, row.upper) == pytest.approx((interval.low, interval.high), rel=1e-12)
        assert (row.effect, row.sd) == pytest.approx((x.mean(), x.std(ddof=1)), rel=1e-12)
        assert row.date_t_p == pytest.approx(stats.ttest_1samp(x, 0).pvalue, rel=1e-12)
        assert row.sign_flip_p == pytest.approx(_all_flips(x))
        assert (row.n_dates, row.n_events, row.n_placebos) == (k, 2 * k, 7 * k)


def _all_flips(x: NDArray[np.float64]) -> float:
    flips = [abs(sum(s * v for s, v in zip(signs, x, strict=True))) for signs in _signs(len(x))]
    return sum(value >= abs(x.sum()) - 1e-12 for value in flips) / len(flips)


def _signs(k: int) -> list[tuple[float, ...]]:
    return list(itertools.product((-1.0, 1.0), repeat=k))


def test_the_written_pool_has_its_intervals_the_right_way_round(folders: list[Path], tmp_path: Path) -> None:
    """In the table and in the summary that the command writes: those of scipy."""
    out = tmp_path / "out"
    assert main(["pool", *map(str, folders), "--out", str(out), "--quiet"]) == 0
    (home,) = [path for path in out.iterdir() if path.is_dir() and not path.is_symlink()]
    table = pd.read_csv(home / "tables" / "pool.csv").query("group == 'label=misreading'").set_index("sector")
    for name, x in (("chips", X[:4]), ("drugs", X[4:]), (POOLED, X)):
        interval = stats.ttest_1samp(x, 0).confidence_interval(0.95)
        written = table.loc[name, ["lower", "effect", "upper"]].tolist()
        assert written == pytest.approx([interval.low, x.mean(), interval.high], rel=1e-9)
    facts = json.loads((home / "summary.json").read_text(encoding="utf-8"))
    interval = stats.ttest_1samp(X, 0).confidence_interval(0.95)
    assert facts["verdict"]["ci"] == pytest.approx([interval.low, interval.high], rel=1e-9)
