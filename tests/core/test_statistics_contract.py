"""What every registered statistic keeps to, whichever it is."""

from __future__ import annotations

import dataclasses
import math
import time

import numpy as np
import pytest
from panels import make_panel

from eventstudy.config import Windows
from eventstudy.core.abnormal import AbnormalReturns, abnormal_returns
from eventstudy.core.models import fit
from eventstudy.core.statistics import STATISTICS, Sample, residual_correlations, run_tests
from eventstudy.core.windows import EventPanel
from eventstudy.errors import ConfigError
from eventstudy.messages import text

L1, L2, SHOCKS, PEERS = 90, 12, 12, 3
#: Statistics of a single firm-event or a single date.
SINGLE = ("ar_t", "car_t", "sq")
NAMES = list(STATISTICS)


def panel_of(seed: int, *, shocks: int = SHOCKS, peers: int = PEERS, scale: float = 1.0) -> EventPanel:
    """Peers on common dates a hundred sessions apart; ``peers=1`` gives independent firm-events."""
    rng = np.random.default_rng(seed)
    length, n = L1 + L2, shocks * peers
    market = np.repeat(rng.normal(0.0005, 0.01, (shocks, length)), peers, axis=0)
    returns = 1.2 * market + np.repeat(rng.normal(0, 0.01, (shocks, length)), peers, axis=0)
    returns += 0.015 * rng.standard_t(5, (n, length)) / math.sqrt(5 / 3)
    return make_panel(
        returns * scale,
        market * scale,
        n_estimation=L1,
        shock_id=np.repeat([f"S{k:03d}" for k in range(shocks)], peers).tolist(),
        region=[("US", "CN")[i % peers == 0] for i in range(n)],
        starts=np.repeat(18_000 + 200 * np.arange(shocks), peers).tolist(),
    )


def sample_of(panel: EventPanel, *, draws: int = 299) -> Sample:
    abnormal = abnormal_returns(panel, fit(panel))
    correlations = residual_correlations(abnormal.expected.residuals, panel.estimation_sessions)
    return Sample(group="all", abnormal=abnormal, correlations=correlations, draws=draws)


def fitting(name: str, seed: int = 1) -> Sample:
    """A sample on which the statistic applies: one firm-event, independent ones, or peers on dates."""
    if name in SINGLE:
        return sample_of(panel_of(seed, shocks=1, peers=1))
    return sample_of(panel_of(seed, shocks=SHOCKS, peers=1 if name == "grank_z" else PEERS))


@pytest.mark.parametrize("name", NAMES)
def test_result_has_its_numbers_or_a_reason(name: str) -> None:
    result = STATISTICS[name](fitting(name).at((0, 0)))
    assert not result.reason
    assert (result.name, result.group, result.window) == (name, "all", (0, 0))
    assert math.isfinite(result.statistic)
    assert math.isfinite(result.estimate)
    assert 0 < result.p_value <= 1
    assert result.distribution
    assert result.null
    assert any(character.isdigit() for character in result.source) or name == "permutation"
    assert (result.distribution == "t") == math.isfinite(result.df)


@pytest.mark.parametrize("name", NAMES)
def test_a_large_effect_is_found(name: str) -> None:
    """Every statistic has a small p-value when the event day falls by about eight standard deviations."""
    panel = fitting(name).abnormal.panel
    panel.event_returns[:, 2] -= 0.15
    result = STATISTICS[name](sample_of(panel).at((0, 0)))
    assert result.p_value < 0.05
    assert result.estimate < -0.1
    assert result.statistic < 0 or name == "wilcoxon"


@pytest.mark.parametrize("name", NAMES)
def test_an_incomplete_window_counts_as_no_event(name: str) -> None:
    """Neither zero nor an error: with one firm-event incomplete the result is that of the others."""
    sample = fitting(name)
    if name in SINGLE:
        sample = sample_of(panel_of(1, shocks=1, peers=2))
    panel, n = sample.abnormal.panel, len(sample.abnormal)
    event, estimation = panel.event_returns.copy(), panel.estimation_returns.copy()
    event[0] = np.nan
    missing = sample_of(dataclasses.replace(panel, event_returns=event))
    estimation[0] = np.nan
    unfitted = sample_of(dataclasses.replace(panel, estimation_returns=estimation))
    without = sample_of(panel.take(np.arange(1, n)))
    expected = STATISTICS[name](without.at((0, 0)))
    for left in (missing, unfitted):
        result = STATISTICS[name](left.at((0, 0)))
        assert result.n_events == n - 1
        assert not result.reason
        assert not expected.reason
        assert result.statistic == pytest.approx(expected.statistic, rel=1e-12)
        assert result.p_value == pytest.approx(expected.p_value, rel=1e-10)


@pytest.mark.parametrize("name", NAMES)
def test_one_event_and_none(name: str) -> None:
    one = STATISTICS[name](sample_of(panel_of(5, shocks=1, peers=1)).at((0, 1)))
    assert one.n_events == one.n_dates == 1
    assert math.isnan(one.statistic) == bool(one.reason)
    assert math.isnan(one.p_value) == bool(one.reason)
    panel = panel_of(5, shocks=1, peers=1)
    panel.event_returns[:] = np.nan
    none = STATISTICS[name](sample_of(panel).at((0, 1)))
    assert none.n_events == 0
    assert text(none.reason).startswith("n/a, needs ")
    assert math.isnan(none.statistic)
    assert math.isnan(none.estimate)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("window", [(0, 0), (0, 1), (2, 9)])
def test_order_of_the_events_does_not_matter(name: str, window: tuple[int, int]) -> None:
    panel = fitting(name).abnormal.panel
    order = np.random.default_rng(3).permutation(len(panel))
    first = STATISTICS[name](sample_of(panel).at(window))
    second = STATISTICS[name](sample_of(panel.take(order)).at(window))
    assert first.reason == second.reason
    assert second.statistic == pytest.approx(first.statistic, rel=1e-12, nan_ok=True)
    assert second.p_value == pytest.approx(first.p_value, rel=1e-11, nan_ok=True)


@pytest.mark.parametrize("name", NAMES)
def test_names_of_the_firms_do_not_matter(name: str) -> None:
    panel = fitting(name).abnormal.panel
    renamed = dataclasses.replace(panel, ticker=np.array(["SAME"] * len(panel)))
    assert STATISTICS[name](sample_of(renamed).at((0, 1))) == STATISTICS[name](sample_of(panel).at((0, 1)))


@pytest.mark.parametrize("name", NAMES)
def test_returns_in_percent_give_the_same_statistic(name: str) -> None:
    """On one day; over several, compounding knows its unit: (1 + R) needs R as a decimal."""
    shocks, peers = (1, 1) if name in SINGLE else (SHOCKS, 1 if name == "grank_z" else PEERS)
    first, second = (
        STATISTICS[name](sample_of(panel_of(1, shocks=shocks, peers=peers, scale=scale)).at((0, 0)))
        for scale in (1.0, 100.0)
    )
    # The SQ test's statistic is the CAR itself, in units of return.
    unit = 100.0 if name == "sq" else 1.0
    assert second.statistic == pytest.approx(unit * first.statistic, rel=1e-9)
    assert second.p_value == pytest.approx(first.p_value, rel=1e-8)
    assert second.estimate == pytest.approx(100 * first.estimate, rel=1e-9)


def test_the_same_seed_gives_the_same_draws_and_another_seed_others() -> None:
    sample = fitting("bootstrap")
    other = dataclasses.replace(sample, seed=sample.seed + 1)
    for name in ("bootstrap", "bootstrap_dates", "bootstrap_blocks", "permutation"):
        first, again, moved = (STATISTICS[name](s.at((0, 1))) for s in (sample, sample, other))
        assert first.p_value == again.p_value
        assert first.p_value != moved.p_value
        assert first.p_value == pytest.approx(moved.p_value, abs=0.15)


def slices(panel: EventPanel, size: int) -> list[AbnormalReturns]:
    abnormal = abnormal_returns(panel, fit(panel))
    return [abnormal.take(np.arange(i, i + size)) for i in range(0, len(panel), size)]


def test_size_on_independent_dates() -> None:
    """Every statistic rejects a true null near 5 % of the time when firm-events are independent."""
    draws, n = 600, 30
    uncorrelated = np.zeros((n, n))
    counts = dict.fromkeys(NAMES, 0)
    for abnormal in slices(panel_of(17, shocks=draws * n, peers=1), n):
        observed = Sample(group="all", abnormal=abnormal, correlations=uncorrelated, draws=199).at((0, 0))
        for name in NAMES:
            counts[name] += STATISTICS[name](observed).p_value <= 0.05
    for abnormal in slices(panel_of(18, shocks=draws, peers=1), 1):
        observed = Sample(group="all", abnormal=abnormal, correlations=np.zeros((1, 1)), draws=199).at((0, 0))
        for name in SINGLE:
            counts[name] += STATISTICS[name](observed).p_value <= 0.05
    rates = {name: count / draws for name, count in counts.items()}
    # Monte Carlo error 0.9 points. Hall's t takes a normal reference, which at N = 30 costs two points.
    assert 0.05 <= rates.pop("skewness_t") <= 0.095
    outside = {name: rate for name, rate in rates.items() if not 0.028 <= rate <= 0.073}
    assert not outside


def test_two_hundred_firm_events_over_six_windows_take_less_than_two_seconds() -> None:
    sample = sample_of(panel_of(2, shocks=25, peers=8), draws=9_999)
    windows = ((0, 0), (0, 1), (-1, 1), (2, 5), (2, 8), (2, 9))
    begin = time.thread_time()
    results = run_tests([sample], windows)
    assert time.thread_time() - begin < 2.0
    assert len(results) == len(windows) * len(STATISTICS)


def test_all_statistics_run_unless_some_are_named() -> None:
    sample = sample_of(panel_of(2))
    assert {r.name for r in run_tests([sample], [(0, 1)])} == set(STATISTICS)
    assert [r.name for r in run_tests([sample], [(0, 1)], ["bmp", "sign"])] == ["bmp", "sign"]
    with pytest.raises(ConfigError, match=r"tests.names: 'bpm' is unknown; .*bmp"):
        run_tests([sample], [(0, 1)], ["bpm"])


def test_shared_ranks_are_those_made_anew() -> None:
    sample = sample_of(panel_of(3))
    sample.abnormal.panel.event_returns[4, 6] = np.nan
    windows = Windows().car[:2]
    for window in (*windows, (2, 9)):
        shared, own = sample.ranked().at(window), sample.at(window)
        np.testing.assert_array_equal(shared.ranks, own.ranks)
    part = sample.ranked().take("some", np.arange(len(sample.abnormal)) < 9)
    np.testing.assert_array_equal(part.at((0, 1)).ranks, part.ranked().at((0, 1)).ranks)


@pytest.mark.parametrize("peers", [1, PEERS])
def test_windows_tested_together_give_what_each_gives_alone(peers: int) -> None:
    """Days missing in some windows only: firm-events, weights and all that is shared differ by window."""
    panel = panel_of(4, peers=peers)
    panel.event_returns[1, 11] = panel.event_returns[7, 5] = panel.event_returns[-1, 3] = np.nan
    sample = sample_of(panel)
    tau = panel.tau
    spans = ((0, 1), (2, 4), (4, 6), (6, 6), (8, 11), (0, 11), (0, 2))
    windows = [(int(tau[first]), int(tau[last])) for first, last in spans]
    together = run_tests([sample], windows)
    alone = [STATISTICS[name](sample.at(window)) for window in windows for name in STATISTICS]
    assert len({r.n_events for r in together}) > 2
    for one, other in zip(together, alone, strict=True):
        assert str(one) == str(other)
    for window, observed in zip(windows, sample.each(windows), strict=True):
        portfolios = observed.portfolios
        np.testing.assert_array_equal(observed.shock_car, portfolios.car(window))
        np.testing.assert_array_equal(observed.shock_s, portfolios.standardised(window))
        np.testing.assert_array_equal(observed.car, observed.abnormal.car(window))
        np.testing.assert_array_equal(observed.scar, observed.abnormal.scar(window))
