"""Synthetic controls from outside the sector: the papers' formula by loops, the rank, and the level under the null."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from reversal_studies import ENDS, LOW, drop_days, misread, study
from reversal_twins import garch_paths
from scipy import optimize
from studies import write_events, write_prices, write_study

from eventstudy.config import StudyConfig, load_config
from eventstudy.core.estimation import compute, groups, headline_of
from eventstudy.errors import ConfigError, Reason
from eventstudy.events import read_events
from eventstudy.prices.sources import get_prices
from eventstudy.reversal import Shocks, study_shocks
from eventstudy.reversal.estimator import APART, slides
from eventstudy.reversal.findings import measures
from eventstudy.reversal.history import window_sums
from eventstudy.reversal.robustness import Gaps, Stratum, by_synthetic, donor_weights, gap_of, placebo_p, synthetic_gaps
from eventstudy.shocks import with_shocks

PEERS, DONORS = ("AAA", "BBB", "CCC"), ("DDD", "EEE", "FFF")


def with_donors(folder: Path, rows: list[str], *overrides: str) -> Shocks:
    """A study of the usual three peers, with three securities of another group beside them."""
    write_prices(folder / "prices", (*PEERS, *DONORS), start="2013-01-02", end="2022-12-30")
    file = write_study(folder, (*PEERS, *DONORS), dict.fromkeys(DONORS, 'group = "outside"'))
    events = read_events(write_events(folder, rows))
    config = load_config(folder / "events.csv", config_file=file, overrides=(*LOW, *overrides))
    computed = compute(
        with_shocks(events, config), config, get_prices(events, config, str(folder / "prices"), tell=print)
    )
    headline = headline_of(list(groups(computed.sample, events, config)), config)
    return study_shocks(computed, headline, config)


def slow_weights(own: np.ndarray, donors: np.ndarray) -> np.ndarray:
    """Abadie, Diamond and Hainmueller (2010): least squares over the simplex, by a general solver."""
    count = donors.shape[1]
    found = optimize.minimize(
        lambda w: 1e4 * ((own - donors @ w) ** 2).sum(),
        np.full(count, 1 / count),
        jac=lambda w: -2e4 * donors.T @ (own - donors @ w),
        bounds=[(0, 1)] * count,
        constraints={"type": "eq", "fun": lambda w: w.sum() - 1, "jac": lambda _: np.ones(count)},
        options={"ftol": 1e-15, "maxiter": 1_000},
    )
    return np.asarray(found.x)


@pytest.mark.parametrize("seed", range(5))
def test_the_weights_are_those_of_least_squares_over_the_simplex(seed: int) -> None:
    rng = np.random.default_rng(seed)
    donors = rng.standard_normal((240, 7)) * 0.02
    own = donors @ np.array([0.5, 0.3, 0.2, 0, 0, 0, -0.4]) + rng.standard_normal(240) * 0.01
    found = donor_weights(own, donors)
    np.testing.assert_allclose(found, slow_weights(own, donors), atol=1e-4)
    assert found.sum() == pytest.approx(1.0)
    assert (found >= 0).all()
    assert found[-1] == 0


def test_one_donor_is_the_whole_portfolio_and_a_copy_is_found() -> None:
    rng = np.random.default_rng(1)
    donors = rng.standard_normal((100, 3))
    assert donor_weights(rng.standard_normal(100), donors[:, :1]).tolist() == [1.0]
    np.testing.assert_allclose(donor_weights(donors[:, 1], donors), [0, 1, 0], atol=1e-12)


def test_every_gap_is_that_of_the_papers_formula(tmp_path: Path) -> None:
    shocks = with_donors(
        tmp_path, [misread(f"E{i}", day) for i, day in enumerate(drop_days(3))], "reversal.donors=['outside']"
    )
    gaps = synthetic_gaps(shocks)
    assert isinstance(gaps, Gaps)
    assert gaps.n_donors == 3
    market, comparison = shocks.history.panel.markets["XNYS"], shocks.comparison
    days = market.sessions.astype("datetime64[D]").astype(int)
    column = [market.tickers.index(name) for name in (*PEERS, *DONORS)]
    returns, usable = market.returns[:, column], ~shocks.history.excluded["XNYS"][:, column].any(axis=1)
    control = np.flatnonzero(comparison.shock < 0)
    for row in [0, 1, 2, *np.random.default_rng(4).choice(control, 8, replace=False).tolist()]:
        zero = int(np.searchsorted(days, comparison.day[row]))
        before = [t for t in range(max(zero - 250, 1), zero - 10) if usable[t]]
        own, donors = returns[:, :3].mean(axis=1), returns[:, 3:]
        w = slow_weights(own[before], donors[before])
        after = slice(zero + 2, zero + 21)
        assert gaps.gap[row] == pytest.approx(float((own[after] - donors[after] @ w).sum()), abs=1e-5)
        errors = own[before] - donors[before] @ w
        until = [*before, *range(zero - 10, zero + 2)]
        aged = [0.94 ** (len(until) - 1 - n) for n in range(len(until))]
        recent = np.sqrt(np.average((own[until] - donors[until] @ w) ** 2, weights=aged))
        scale = (np.sqrt((errors**2).mean()) + recent) / 2 * np.sqrt(19)
        assert gaps.scale[row] == pytest.approx(float(scale), rel=1e-4)
    # The effect is the drops' mean gap over that of the controls, in units of each drop's scale.
    found = by_synthetic(shocks, shocks.question, gaps, shocks.history.config)
    z = gaps.gap / gaps.scale
    own = np.flatnonzero(comparison.shock >= 0)
    excess = gaps.gap[own] - gaps.scale[own] * z[control][np.isfinite(z[control])].mean()
    assert found.estimate == pytest.approx(excess.mean())
    assert found.n_dates == 3
    assert 1 / 10_000 <= found.p_value <= 1
    assert found.note == Reason("note.by_synthetic", n=3, floor=1 / 10_000)


def test_controls_that_must_be_over_before_are_those_of_each_drop(tmp_path: Path) -> None:
    rows = [misread(f"E{i}", day) for i, day in enumerate(drop_days(3))]
    shocks = with_donors(tmp_path, rows, "reversal.donors=['DDD', 'EEE']", "reversal.controls=before")
    gaps, comparison = synthetic_gaps(shocks), shocks.comparison
    assert isinstance(gaps, Gaps)
    found = by_synthetic(shocks, shocks.question, gaps, shocks.history.config)
    session, z, excess = comparison.falls.session, gaps.gap / gaps.scale, []
    for row in np.flatnonzero(comparison.shock >= 0):
        past = (comparison.shock < 0) & (session + comparison.lead <= session[row]) & np.isfinite(z)
        if past.sum() >= 10:
            excess.append(gaps.gap[row] - gaps.scale[row] * z[past].mean())
    assert len(excess) >= 2
    assert found.estimate == pytest.approx(np.mean(excess))


def test_without_donors_the_row_says_so(tmp_path: Path) -> None:
    _, shocks = study(tmp_path, [misread(f"E{i}", day) for i, day in enumerate(drop_days(3))])
    rows = [row for row in measures(shocks, [], shocks.history.config) if row.measure == "excess_synthetic"]
    assert {row.note for row in rows} == {Reason("note.no_donors")}
    assert all(np.isnan(row.estimate) for row in rows)


def test_peers_of_the_drop_are_no_donors(tmp_path: Path) -> None:
    shocks = with_donors(tmp_path, [misread("E0", drop_days(1)[0]), *ENDS], "reversal.donors=['core']")
    gaps = synthetic_gaps(shocks)
    assert isinstance(gaps, Gaps)
    assert np.isnan(gaps.gap).all()
    assert by_synthetic(shocks, shocks.question, gaps, shocks.history.config).note == Reason("note.no_synthetic")


def test_a_donor_that_is_no_peer_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="'outsid' is neither a peer nor a group of peers; accepted: AAA"):
        with_donors(tmp_path, [misread("E0", drop_days(1)[0])], "reversal.donors=['outsid']")


def test_donors_with_holes_are_left_out_and_short_windows_have_no_gap() -> None:
    config = StudyConfig()
    rng = np.random.default_rng(2)
    length = 240 + config.windows.event[1] - config.windows.event[0] + 1
    own, donors = rng.standard_normal(length), rng.standard_normal((3, length))
    whole = gap_of(own, donors[:2], config)
    holed = donors.copy()
    holed[2, -1] = np.nan
    assert gap_of(own, holed, config) == whole
    holed[2], holed[2, :40] = donors[2], np.nan
    assert gap_of(own, holed, config) == whole
    holed[2, :40] = donors[2, :40]
    assert gap_of(own, holed, config) != whole
    short = own.copy()
    short[:130] = np.nan
    assert np.isnan(gap_of(short, donors, config)).all()


def test_the_p_of_one_drop_is_its_place_among_the_falls() -> None:
    rng = np.random.default_rng(3)
    z = rng.standard_normal(40)
    z[0] = 1.4
    over = (z - z.mean()) * 40 / 39
    exact = (np.abs(over) >= abs(over[0]) - 1e-12).mean()
    p = placebo_p([Stratum(z, np.arange(40), np.ones(1))], draws=20_000, seed=1)
    assert p == pytest.approx(exact, abs=0.01)


def test_one_fall_of_each_slide_is_drawn_and_its_slide_is_no_control() -> None:
    """Two drops among falls of three slides: every choice by loops."""
    z, cluster = np.array([2.0, 1.0, 0.5, -0.5, 0.2, 0.4, -1.0]), np.array([5, 6, 0, 0, 1, 1, 2])
    share = np.array([0.5, 0.5])
    rng, hits, draws = np.random.default_rng(8), 0, 20_000
    found = 0.5 * (z[0] + z[1]) - z[2:].mean()
    for _ in range(draws):
        chosen: list[int] = []
        for row in rng.permutation(7):
            if len(chosen) < 2 and cluster[row] not in cluster[chosen]:
                chosen.append(int(row))
        rest = ~np.isin(cluster, cluster[chosen])
        hits += abs(z[chosen] @ share - z[rest].mean()) >= abs(found) - 1e-12
    assert placebo_p([Stratum(z, cluster, share)], draws=draws, seed=2) == pytest.approx(hits / draws, abs=0.015)


def found_p(k: int, effect: float, seed: int) -> float:
    """p of a simulated sector of four peers beside eight donors, with k events among its drops; NaN with too few."""
    rng, config = np.random.default_rng(seed), StudyConfig()
    sector, *own = garch_paths(13, 2_100, rng=rng)
    market = rng.standard_t(5, 2_100) * 0.008
    peers = 1.1 * market + 0.7 * sector + np.mean(own[:4], axis=0)
    donors = np.linspace(0.7, 1.3, 8)[:, None] * market + np.linspace(0, 0.4, 8)[:, None] * sector + np.array(own[4:12])
    abnormal = peers - 1.1 * market
    drop = window_sums(abnormal[None], (0, 1))[0]
    sessions = np.arange(300, 2_070)
    s = np.zeros(2_100)
    s[sessions] = drop[sessions] / np.sqrt(2 * window_sums(abnormal[None] ** 2, (-250, -11))[0, sessions] / 240)
    falls = sessions[(s[sessions] <= -1.2) & (drop[sessions] <= -0.015)]
    can, events = falls[(s[falls] <= -2) & (drop[falls] <= -0.03)], list[int]()
    for day in rng.permutation(can):
        if len(events) < k and all(abs(day - other) >= APART for other in events):
            events.append(int(day))
    if len(events) < k:
        return float("nan")
    gap = falls[:, None] - np.array(events)
    controls = falls[~((gap >= -1) & (gap < APART)).any(axis=1)]
    window = config.windows.event
    cut = np.arange(-250, -10), np.arange(window[0], window[1] + 1)
    z = []
    for n, day in enumerate([*events, *controls.tolist()]):
        rows = day + np.concatenate(cut)
        path = peers[rows].copy()
        path[-19:] += effect / 19 if n < k else 0.0
        value, scale = gap_of(path, donors[:, rows], config)
        z.append(value / scale)
    cluster = np.append(10_000 + np.arange(k), slides(controls))
    return placebo_p([Stratum(np.array(z), cluster, np.full(k, 1 / k))], draws=499, seed=seed)


def rates(k: int, effect: float, draws: int) -> float:
    p = np.array([found_p(k, effect, seed) for seed in range(draws)])
    return float((p[np.isfinite(p)] <= 0.05).mean())


@pytest.mark.slow
@pytest.mark.parametrize("k", [1, 3, 6, 10])
def test_the_level_is_kept_under_the_null(k: int) -> None:
    assert rates(k, 0.0, 400) <= 0.05 + 2.58 * np.sqrt(0.05 * 0.95 / 400)


@pytest.mark.slow
def test_an_effect_is_found() -> None:
    assert rates(6, 0.10, 200) > 0.4
