"""Does the primary test keep its level without a reversal, and find one that is there?"""

from __future__ import annotations

import numpy as np
import pytest
from reversal_studies import made_drops
from reversal_twins import garch_paths
from scipy import special

from eventstudy.core.statistics.dates import minimum_detectable_effect
from eventstudy.reversal.drops import PeerDrops
from eventstudy.reversal.estimator import APART
from eventstudy.reversal.history import window_sums
from eventstudy.reversal.matching import match
from eventstudy.reversal.permutation import excess, matched_permutation

#: Events a replication, drawn at random from the drops of one series.
EVENTS = 3


def pool_of_series(series: np.ndarray) -> tuple[PeerDrops, np.ndarray]:
    """Drops of a series of abnormal returns as candidates, and the post CARs of days at regular distance."""
    row = series[None]
    drop, post = window_sums(row, (0, 1))[0], window_sums(row, (2, 20))[0]
    long, short = (
        np.sqrt(window_sums(row**2, (-length - gap, -1 - gap))[0] / length) for length, gap in ((240, 10), (20, 0))
    )
    days = np.arange(300, len(series) - 30)
    s = drop[days] / (long[days] * np.sqrt(2))
    traits = np.zeros((len(days), 5))
    traits[:, 0], traits[:, 1] = s, np.log(short[days] / long[days])
    traits[:, 2] = window_sums(row, (-60, -1))[0, days]
    falls = (s <= -2.0) & (drop[days] <= -0.03)
    pool = made_drops(days[falls].astype(np.int64), traits[falls], drop[days][falls], post[days][falls])
    return pool, post[days[::APART]]


def apart(days: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Events drawn at random whose post windows share no session."""
    chosen: list[int] = []
    for row in rng.permutation(len(days)):
        if len(chosen) < EVENTS and all(abs(days[row] - days[other]) >= APART for other in chosen):
            chosen.append(int(row))
    return np.array(chosen)


def one_sample(series: np.ndarray, rng: np.random.Generator) -> tuple[float, float]:
    """p-values of matched drops and of all days for drops drawn at random: nothing follows them."""
    pool, every_day = pool_of_series(series)
    if len(pool) < 40:
        return float("nan"), float("nan")
    rows = apart(pool.day, rng)
    far = np.ones(len(pool), dtype=bool)
    for row in rows:
        far &= np.abs(pool.day - pool.day[row]) >= APART
    others = pool.take(far)
    grids = (np.arange(len(series)),)
    sets = match(pool.traits[rows], [others] * EVENTS, [grids] * EVENTS, many=False)
    posts = [others.post[each.rows] for each in sets]
    if min(len(values) for values in posts) < 5:
        return float("nan"), float("nan")
    events = pool.post[rows]
    matched = matched_permutation(events, posts, draws=999, seed=7)
    naive = matched_permutation(events, [every_day] * EVENTS, draws=999, seed=7)
    return matched.two_sided, naive.two_sided


def test_matched_drops_keep_the_level_and_all_days_do_not() -> None:
    rng = np.random.default_rng(20260624)
    paths = garch_paths(700, 6000, rng=rng)
    p = np.array([one_sample(series, rng) for series in paths])
    p = p[np.isfinite(p[:, 0])]
    assert len(p) > 450
    matched, naive = (p <= 0.05).mean(axis=0)
    error = 2.58 * np.sqrt(0.05 * 0.95 / len(p))
    assert abs(matched - 0.05) < error
    assert naive > 0.05 + error
    assert naive > matched + 0.02


def noncentral_power(effect_in_sd: float, k: int) -> float:
    critical = special.stdtrit(k - 1, 0.975)
    shift = effect_in_sd * np.sqrt(k)
    return float(1 - special.nctdtr(k - 1, shift, critical) + special.nctdtr(k - 1, shift, -critical))


@pytest.mark.parametrize("reversal", [0.0, 0.08])
def test_power_for_a_planted_reversal_is_near_the_formula(reversal: float) -> None:
    """Twelve dates, ten placebos each, 9 % spread after a drop: the formula says about 80 %."""
    k, m, sd, replications = 12, 10, 0.09, 500
    rng = np.random.default_rng(12)
    hits = 0
    for _ in range(replications):
        events = reversal + rng.normal(0, sd, k)
        placebos = list(rng.normal(0, sd, (k, m)))
        hits += matched_permutation(events, placebos, draws=999, seed=3).two_sided <= 0.05
        assert np.isfinite(excess(events, placebos)).all()
    power = noncentral_power(reversal / (sd * np.sqrt(1 + 1 / m)), k)
    found = hits / replications
    assert abs(found - power) < 2.58 * np.sqrt(max(power * (1 - power), 0.05) / replications) + 0.06
    assert found > 0.7 if reversal else found < 0.08


def test_the_smallest_detectable_effect_is_where_power_is_80_percent() -> None:
    effect = minimum_detectable_effect(0.09 * np.sqrt(1.1), 12)
    assert noncentral_power(effect / (0.09 * np.sqrt(1.1)), 12) == pytest.approx(0.8, abs=1e-6)
    assert effect == pytest.approx(0.084, abs=0.002)


def test_labels_chosen_by_the_later_return_find_what_is_not_there() -> None:
    """Half the drops labelled with correlation 0.4 to what follows: many false misreading effects."""
    rng = np.random.default_rng(4)
    replications, dates = 1_000, 20
    hits, gated = 0, 0
    for _ in range(replications):
        post = rng.normal(0, 0.12, dates)
        for late in (True, False):
            chance = rng.normal(0, 1, dates)
            score = 0.4 * post / 0.12 + np.sqrt(1 - 0.16) * chance if late else chance
            labelled = score > np.median(score)
            gap = post[labelled].mean() - post[~labelled].mean()
            se = np.sqrt(post[labelled].var(ddof=1) / 10 + post[~labelled].var(ddof=1) / 10)
            hit = gap / se > special.stdtrit(18, 0.975)
            hits, gated = hits + (hit and late), gated + (hit and not late)
    assert hits / replications > 0.12
    assert abs(gated / replications - 0.025) < 0.015
