"""Known mistakes of event-study programs: each wrong formula beside ours, on data where they part.

Every test states the mistake as code, shows that it changes the number visibly, and that ours is the
right one.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import math
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from panels import make_panel
from scipy import stats
from studies import event_row, write_events, write_prices, write_study

from eventstudy.config import load_config
from eventstudy.core.abnormal import AbnormalReturns, abnormal_returns
from eventstudy.core.arrays import row_ranks
from eventstudy.core.checks.regression import regress
from eventstudy.core.estimation import compute
from eventstudy.core.models import fit
from eventstudy.core.returns import one_session_returns
from eventstudy.core.selection import drop_kind
from eventstudy.core.statistics import STATISTICS, Sample, residual_correlations
from eventstudy.core.statistics.dates import t_interval
from eventstudy.core.statistics.dependence import mean_correlation
from eventstudy.core.statistics.firm import car_tests
from eventstudy.core.windows import EventPanel, Request, cut
from eventstudy.events import Event, read_events
from eventstudy.exchanges.calendars import align, sessions
from eventstudy.messages import text
from eventstudy.prices import PriceRequest, get_provider
from eventstudy.prices.sources import get_prices
from eventstudy.prices.table import on_days
from eventstudy.shocks import with_shocks

L1, TAU = 60, np.arange(-5, 6)
Array = NDArray[np.float64]


def draw(
    seed: int = 1,
    *,
    shocks: int = 4,
    peers: int = 5,
    rho: float = 0.3,
    effect: float = 0.0,
    gap: int = 150,
    scale: float = 1.0,
) -> EventPanel:
    """Peers with residual correlation ``rho`` on each date; day 0 moves by ``effect`` more."""
    rng = np.random.default_rng(seed)
    length, n = L1 + len(TAU), shocks * peers
    market = np.repeat(rng.normal(0.0005, 0.012, (shocks, length)), peers, axis=0)
    error = np.sqrt(rho) * np.repeat(rng.normal(size=(shocks, length)), peers, axis=0)
    error += np.sqrt(1 - rho) * rng.normal(size=(n, length))
    returns = 0.001 + 1.1 * market + 0.02 * error * rng.uniform(0.5, 2, n)[:, None]
    returns[:, L1 + 5] += effect
    return make_panel(
        returns * scale,
        market * scale,
        n_estimation=L1,
        first_tau=int(TAU[0]),
        shock_id=np.repeat([f"S{k}" for k in range(shocks)], peers).tolist(),
        starts=np.repeat(18_000 + gap * np.arange(shocks), peers).tolist(),
    )


def ours(panel: EventPanel) -> AbnormalReturns:
    return abnormal_returns(panel, fit(panel), alpha="estimated")


def sample_of(panel: EventPanel) -> Sample:
    abnormal = ours(panel)
    correlations = residual_correlations(abnormal.expected.residuals, panel.estimation_sessions)
    return Sample(group="all", abnormal=abnormal, correlations=correlations, draws=499)


def value(panel: EventPanel, name: str, window: tuple[int, int] = (0, 0)) -> float:
    return STATISTICS[name](sample_of(panel).at(window)).statistic


def apart(right: float, wrong: float, *, by: float = 0.02) -> bool:
    """Whether two numbers differ by more than ``by`` of the right one."""
    return abs(right - wrong) > by * abs(right)


def t_of(values: Array) -> float:
    return float(values.mean() / (values.std(ddof=1) / np.sqrt(len(values))))


# Ranks, signs and calendar time


def test_each_day_has_its_own_rank_statistic() -> None:
    panel = draw(effect=-0.15)
    by_day = [value(panel, "corrado", (t, t)) for t in TAU]
    recycled = [by_day[0]] * len(by_day)
    assert len(set(by_day)) == len(TAU)
    assert apart(by_day[5], recycled[5])
    assert by_day[5] < -3 < max(map(abs, by_day[:5]))


def test_a_recurring_firm_is_ranked_event_by_event() -> None:
    panel = draw(effect=-0.04)
    calm = panel.shock_id != "S0"
    panel.estimation_returns[~calm] *= 8
    panel.event_returns[~calm] *= 8
    firm = np.arange(len(panel)) % 5
    abnormal = ours(panel)
    series = np.hstack([abnormal.expected.residuals, abnormal.ar])
    pooled = np.empty_like(series)
    for name in range(5):
        pooled[firm == name] = row_ranks(series[firm == name].reshape(1, -1)).reshape(4, -1)
    pooled = pooled / 4
    deviation = (pooled - (series.shape[1] + 0.25) / 2).mean(axis=0)
    wrong = deviation[L1 + 5] / np.sqrt((deviation**2).mean())
    recurring = dataclasses.replace(panel, ticker=np.array([f"T{f}" for f in firm]))
    assert value(recurring, "corrado") == value(panel, "corrado")
    assert apart(value(panel, "corrado"), wrong)


def test_the_share_of_positive_residuals_counts_events_not_firms() -> None:
    panel = draw(3, shocks=6)
    abnormal = ours(panel)
    residuals = abnormal.expected.residuals
    once = np.array([0] * 26 + [1, 2, 3, 4])
    share_by_firm = np.mean([(residuals[once == f] > 0).mean() for f in range(5)])
    share_by_event = (residuals > 0).mean(axis=1).mean()
    w, n = (abnormal.car((0, 0)) > 0).sum(), len(panel)

    def z(p: float) -> float:
        return float((w - n * p) / np.sqrt(n * p * (1 - p)))

    recurring = dataclasses.replace(panel, ticker=np.array([f"T{f}" for f in once]))
    assert value(recurring, "generalized_sign") == pytest.approx(z(share_by_event), rel=1e-12)
    assert abs(z(share_by_event) - z(share_by_firm)) > 0.02


def test_zero_is_not_positive() -> None:
    panel = draw()
    sample = sample_of(panel).at((0, 0))
    zeros = sample.car.copy()
    zeros[:8] = 0.0
    right = STATISTICS["sign"](dataclasses.replace(sample, car=zeros)).statistic
    n = len(zeros)
    assert right == pytest.approx(((zeros > 0).sum() - n / 2) / np.sqrt(n / 4), rel=1e-12)
    assert apart(right, float(((zeros >= 0).sum() - n / 2) / np.sqrt(n / 4)), by=0.5)


def test_ranks_are_taken_over_days_not_over_events() -> None:
    """Ranked across the events of one day the mean rank is (n+1)/2 whatever happened."""
    panel = draw(effect=-0.30)
    ar = ours(panel).ar[:, 5]
    across = stats.rankdata(ar) - (len(ar) + 1) / 2
    assert abs(across.mean()) < 1e-12
    assert value(panel, "corrado") < -4


def test_the_rank_test_takes_the_spread_of_the_daily_mean() -> None:
    """The pooled spread of independent ranks forgets that peers fall together."""
    panel = draw(rho=0.8, effect=-0.03)
    ranks = sample_of(panel).at((0, 0)).ranks
    deviation = ranks - (ranks.shape[1] + 1) / 2
    pooled = deviation.std() / np.sqrt(len(panel))
    wrong = deviation[:, L1 + 5].mean() / pooled
    assert abs(wrong) > 1.5 * abs(value(panel, "corrado"))


def test_the_calendar_time_portfolio_follows_calendar_days() -> None:
    """Grouped by event day with the window's own spread t stays near sqrt(L), however large the shock."""
    wrong, right = [], []
    for effect in (-0.2, -2.0):
        aar = ours(draw(effect=effect)).ar.mean(axis=0)
        wrong.append(aar[5] / aar.std(ddof=1))
        right.append(value(draw(effect=effect), "portfolio_t"))
    assert wrong == pytest.approx([-math.sqrt(len(TAU))] * 2, rel=0.03)
    assert right[1] / right[0] == pytest.approx(10, rel=0.02)
    panel = draw(gap=3)
    sessions, ar = panel.event_sessions, ours(panel).ar
    days = np.unique(sessions)
    series = np.array([ar[sessions == day].mean() for day in days])
    result = STATISTICS["calendar_time"](sample_of(panel).at((-5, 5)))
    assert len(days) == len(TAU) + 9
    assert result.df == len(days) - 1
    assert result.estimate == pytest.approx(series.mean(), rel=1e-12)
    assert apart(series.mean(), float(ar.mean()))


def test_the_portfolio_t_doubles_with_the_shock() -> None:
    panel = draw()
    fallen = [
        dataclasses.replace(panel, event_returns=panel.event_returns + size * (TAU == 0)) for size in (0.0, -0.1, -0.2)
    ]
    one, two, three = (value(each, "portfolio_t") for each in fallen)
    assert three - one == pytest.approx(2 * (two - one), rel=1e-10)


# Buy and hold


def test_buy_and_hold_returns_are_compounded_once() -> None:
    abnormal = ours(draw(effect=0.05))
    window = (-5, 5)
    daily = [np.prod(1 + abnormal.panel.event_returns[:, : d + 1], axis=1) for d in range(len(TAU))]
    normal = [np.prod(1 + abnormal.expected.mean[:, : d + 1], axis=1) for d in range(len(TAU))]
    path = np.array(daily) - np.array(normal)
    result = STATISTICS["bhar_t"](sample_of(abnormal.panel).at(window))
    assert result.estimate == pytest.approx(path[-1].mean(), rel=1e-12)
    assert apart(result.estimate, float(path.sum(axis=0).mean()), by=1.0)


# Correlated firm-events


def test_an_undefined_correlation_is_no_correlation_of_zero() -> None:
    sample = sample_of(draw()).at((0, 0))
    undefined = dataclasses.replace(sample, rbar=math.nan)
    for name in ("patell_kp", "bmp_kp"):
        result = STATISTICS[name](undefined)
        assert math.isnan(result.statistic)
        assert text(result.reason) == "n/a, the mean residual correlation is undefined"
    assert apart(STATISTICS["bmp_kp"](sample).statistic, STATISTICS["bmp"](sample).statistic)


def test_residuals_are_paired_on_calendar_days() -> None:
    """Two events a week apart: on event days unrelated days are paired, on sessions the same ones."""
    rng = np.random.default_rng(5)
    days = L1 + len(TAU) + 5
    common, market = rng.normal(0, 0.02, days), rng.normal(0, 0.01, days)
    rows = [slice(0, days - 5), slice(5, days)]
    panel = make_panel(
        np.array([market[r] + common[r] + rng.normal(0, 0.002, days - 5) for r in rows]),
        np.array([market[r] for r in rows]),
        n_estimation=L1,
        first_tau=-5,
        shock_id=["A", "B"],
        starts=[18_000, 18_005],
    )
    residuals = ours(panel).expected.residuals
    by_session = residual_correlations(residuals, panel.estimation_sessions)[0, 1]
    by_event_day = np.corrcoef(residuals)[0, 1]
    assert by_session > 0.95
    assert abs(by_event_day) < 0.3


def test_the_mean_correlation_leaves_out_the_diagonal() -> None:
    panel = draw(shocks=1, peers=4, rho=0.2)
    residuals = ours(panel).expected.residuals
    correlation = np.corrcoef(residuals)
    right = mean_correlation(residual_correlations(residuals, panel.estimation_sessions))
    assert right == pytest.approx((correlation.sum() - 4) / 12, rel=1e-10)
    assert apart(right, correlation.mean(), by=0.3)


def test_correlations_have_no_unit() -> None:
    """A raw product of residuals instead grows ten-thousandfold when returns are in percent."""
    decimals, percent = (draw(shocks=1, scale=scale) for scale in (1.0, 100.0))
    right = [sample_of(panel).at((0, 0)).rbar for panel in (decimals, percent)]
    wrong = [float((r := ours(p).expected.residuals)[0] @ r[1]) for p in (decimals, percent)]
    assert right[1] == pytest.approx(right[0], rel=1e-9)
    assert wrong[1] == pytest.approx(1e4 * wrong[0], rel=1e-6)
    assert apart(right[0], wrong[0], by=0.5)


def test_common_dates_are_not_independent() -> None:
    """Independence makes eight firms of one date eight observations; the t over dates counts dates."""
    rejected = {"wrong": 0, "right": 0}
    for seed in range(300):
        sample = sample_of(draw(seed, shocks=6, peers=8, rho=0.5)).at((0, 0))
        independent = sample.car.mean() / (np.sqrt(sample.variance.sum()) / sample.n)
        rejected["wrong"] += abs(independent) > 1.96
        rejected["right"] += STATISTICS["date_t"](sample).p_value < 0.05
    assert rejected["wrong"] / 300 > 0.30
    assert 0.01 < rejected["right"] / 300 < 0.09


# Variances and degrees of freedom


def test_degrees_of_freedom_are_estimation_days_less_coefficients() -> None:
    panel = draw()
    firm = car_tests(ours(panel), (0, 1))
    assert (firm.df == L1 - 2).all()
    window = TAU.size - 2
    assert stats.t.sf(2, L1 - 1) != pytest.approx(stats.t.sf(2, L1 - 2), rel=1e-4)
    assert 2 * stats.t.sf(2, window) > 1.5 * firm.p_value[0] * stats.t.sf(2, L1 - 2) / firm.p_value[0]
    np.testing.assert_allclose(firm.p_value, 2 * stats.t.sf(np.abs(firm.t), L1 - 2), rtol=1e-10)


@pytest.mark.parametrize("wrong_divisor", [L1, L1 - 1], ids=["ddof 0", "ddof 1"])
def test_sigma_divides_by_the_degrees_of_freedom(wrong_divisor: int) -> None:
    expected = fit(draw())
    sse = (expected.residuals**2).sum(axis=1)
    np.testing.assert_allclose(expected.sigma2, sse / (L1 - 2), rtol=1e-12)
    assert (sse / wrong_divisor < 0.99 * expected.sigma2).all()


def test_sigma_does_not_see_the_event_window() -> None:
    calm, crash = draw(effect=0.0), draw(effect=-0.5)
    np.testing.assert_array_equal(fit(calm).sigma2, fit(crash).sigma2)
    before, after = (np.hstack([each.estimation_returns, each.event_returns]).var(axis=1) for each in (calm, crash))
    assert (after > 1.5 * before).all()


def test_the_estimation_window_ends_before_the_event() -> None:
    """A slice with the gap's sign turned reaches past day 0 and learns from the event."""
    rng = np.random.default_rng(2)
    market = rng.normal(0, 0.01, 200)
    returns = (market + rng.normal(0, 0.01, 200))[:, None]
    returns[150:] -= 0.2
    request = Request(event_id="E", shock_id="E", ticker="A", market="XNYS", region="US", position=150, column=0)
    flags, excluded = np.zeros((200, 1), dtype=np.uint8), np.zeros((200, 1), dtype=bool)
    sessions = np.arange(200, dtype=np.int32)
    panel = cut([request], returns, market[:, None], sessions, flags, excluded, estimation=(-100, -4), event=(-3, 5))
    assert panel.estimation_sessions.max() == 146
    ahead = returns[50:155, 0] - market[50:155]
    assert fit(panel).theta[0, 0] == pytest.approx((returns[50:147, 0] - market[50:147]).mean(), abs=0.002)
    assert ahead.mean() < -0.005


def test_a_standardised_return_divides_by_the_prediction_error() -> None:
    panel = draw()
    factors = panel.event_factors.copy()
    factors[:, 5] = 0.08
    panel = dataclasses.replace(panel, event_factors=factors)
    expected = fit(panel)
    m = panel.estimation_factors[:, :, 0]
    leverage = 1 / L1 + (0.08 - m.mean(axis=1)) ** 2 / ((m - m.mean(axis=1, keepdims=True)) ** 2).sum(axis=1)
    ar, sigma = ours(panel).ar[:, 5], np.sqrt(expected.sigma2)
    right = ours(panel).sar[:, 5]
    np.testing.assert_allclose(right, ar / (sigma * np.sqrt(1 + leverage)), rtol=1e-10)
    for wrong in (ar / sigma, ar / sigma * np.sqrt(1 + leverage)):
        assert (np.abs(wrong / right) > 1.1).all()


def test_the_leverage_divides_by_the_estimation_windows_sum_of_squares() -> None:
    panel = draw()
    m, star = panel.estimation_factors[0, :, 0], panel.event_factors[0, :, 0]
    top = (star[5] - m.mean()) ** 2
    right, wrong = (1 + 1 / L1 + top / ((s - s.mean()) ** 2).sum() for s in (m, star))
    abnormal = ours(panel)
    assert abnormal.variance((0, 0))[0] / abnormal.expected.sigma2[0] == pytest.approx(right, rel=1e-10)
    assert abs(wrong - right) > 2 * (right - 1 - 1 / L1)


def test_the_days_of_a_car_share_one_estimation_error() -> None:
    """Added up day by day, the variance lacks the covariances: about W/L of it."""
    abnormal = ours(draw())
    window = (-5, 5)
    right = abnormal.variance(window)
    wrong = sum(abnormal.variance((int(t), int(t))) for t in TAU)
    assert (right > wrong).all()
    assert (right / wrong).mean() > 1.1
    sample = sample_of(abnormal.panel).at(window)
    too_large = (abnormal.car(window) / np.sqrt(wrong)).sum() / np.sqrt(len(sample.car) * (L1 - 2) / (L1 - 4))
    assert abs(too_large) > 1.03 * abs(STATISTICS["patell"](sample).statistic)


def test_a_cars_variance_is_that_of_its_own_days() -> None:
    abnormal = ours(draw())
    right, whole = abnormal.variance((0, 1)), abnormal.variance((-5, 5))
    assert (whole > 4 * right).all()
    assert (right > 1.9 * abnormal.expected.sigma2).all()


@pytest.mark.parametrize("width", [2, 5, 7, 11])
def test_standardised_cars_work_for_windows_of_any_length(width: int) -> None:
    panel = draw()
    window = (-5, -6 + width)
    scar = ours(panel).scar(window)
    assert scar.shape == (len(panel),)
    assert value(panel, "bmp", window) == pytest.approx(t_of(scar), rel=1e-12)


def test_the_cross_section_has_one_degree_of_freedom_less() -> None:
    panel = draw(shocks=1, peers=4)
    car = ours(panel).car((0, 0))
    right = value(panel, "cross_sectional_t")
    assert right == pytest.approx(t_of(car), rel=1e-12)
    assert apart(right, float(car.mean() / (car.std(ddof=0) / 2)), by=0.1)


def test_a_clustered_p_value_has_clusters_less_one_degrees_of_freedom() -> None:
    panel = draw(shocks=5)
    car, cluster = ours(panel).car((0, 1)), panel.shock_id
    fitted = regress(car, np.ones((len(car), 1)), cluster, names=["mean"], constant=False)
    t = abs(fitted.coefficient[0] / fitted.se_cr1[0])
    assert fitted.p_cr1[0] == pytest.approx(2 * stats.t.sf(t, 4), rel=1e-10)
    assert apart(fitted.p_cr1[0], 2 * stats.t.sf(t, 5), by=0.001)


def test_a_ninety_percent_interval_is_two_sided() -> None:
    values = np.random.default_rng(1).normal(0.1, 1, 400)
    low, high = t_interval(values, 0.90)
    se = values.std(ddof=1) / 20
    assert (high - low) / 2 / se == pytest.approx(1.6487, abs=1e-3)
    assert apart((high - low) / 2 / se, stats.norm.ppf(0.90))


def test_an_interval_of_the_mean_uses_its_own_spread_not_a_days() -> None:
    abnormal = ours(draw())
    car = abnormal.car((-5, 5))
    low, high = t_interval(car)
    one_day = abnormal.ar[:, -1].std(ddof=1) / np.sqrt(len(car)) * stats.t.ppf(0.975, len(car) - 1)
    assert (high - low) / 2 > 2 * one_day


# Missing values


def test_a_missing_day_is_not_a_zero() -> None:
    panel = draw(effect=-0.05)
    panel.event_returns[0, 5] = np.nan
    abnormal = ours(panel)
    result = STATISTICS["cross_sectional_t"](sample_of(panel).at((0, 1)))
    assert result.n_events == len(panel) - 1
    zero_filled = np.nan_to_num(abnormal.ar[:, 5:7]).sum(axis=1)
    assert result.estimate == pytest.approx(np.nanmean(abnormal.car((0, 1))), rel=1e-12)
    assert apart(result.estimate, float(zero_filled.mean()), by=0.005)


def test_missing_days_are_not_taken_for_zero_returns_in_the_fit() -> None:
    panel = draw()
    panel.estimation_returns[0, 10:30] = np.nan
    factors = panel.estimation_factors.copy()
    factors[0, 25:35] = np.nan
    panel = dataclasses.replace(panel, estimation_factors=factors)
    pairs = np.isfinite(panel.estimation_returns[0]) & np.isfinite(panel.estimation_factors[0, :, 0])
    y, x = panel.estimation_returns[0], panel.estimation_factors[0, :, 0]
    right = np.polyfit(x[pairs], y[pairs], 1)
    filled = np.polyfit(np.nan_to_num(x), np.nan_to_num(y), 1)
    expected = fit(panel)
    np.testing.assert_allclose(expected.theta[0], right[::-1], rtol=1e-9)
    assert expected.n_estimation[0] == pairs.sum() == L1 - 25
    assert expected.dof[0] == L1 - 27
    assert apart(right[0], filled[0], by=0.005)


def test_each_day_is_averaged_over_those_present() -> None:
    panel = draw()
    panel.estimation_returns[:15, 20] = np.nan
    residuals = fit(panel).residuals
    series = np.nanmean(residuals, axis=0)
    wrong = np.nan_to_num(residuals).sum(axis=0) / len(panel)
    caar = ours(panel).car((0, 0)).mean()
    assert value(panel, "portfolio_t") == pytest.approx(caar / series.std(ddof=1), rel=1e-10)
    assert apart(caar / series.std(ddof=1), caar / wrong.std(ddof=1), by=1e-4)


def test_an_event_without_any_return_does_not_spread() -> None:
    panel = draw()
    panel.event_returns[3] = np.nan
    panel.estimation_returns[4] = np.nan
    sample = sample_of(panel).at((0, 1))
    assert sample.n == len(panel) - 2
    for name, test in STATISTICS.items():
        result = test(sample)
        assert result.n_events == len(panel) - 2
        assert math.isfinite(result.p_value) != bool(result.reason), name


def test_no_draw_of_a_bootstrap_is_missing() -> None:
    panel = draw(shocks=12, peers=3)
    panel.event_returns[0] = np.nan
    for name in ("bootstrap", "bootstrap_dates", "bootstrap_blocks"):
        result = STATISTICS[name](sample_of(panel).at((0, 1)))
        assert math.isfinite(result.statistic)
        assert 1 / 500 <= result.p_value <= 1


def test_two_events_with_one_id_stay_two_rows() -> None:
    panel = draw(shocks=1, peers=6)
    twice = dataclasses.replace(panel, ticker=np.array(["A", "A", "B", "C", "D", "E"]))
    assert sample_of(twice).at((0, 0)).n == 6
    assert value(twice, "cross_sectional_t") == value(panel, "cross_sectional_t")


# Tests that are there


def test_the_permutation_test_computes_something() -> None:
    calm, crash = (STATISTICS["permutation"](sample_of(draw(effect=e)).at((0, 0))) for e in (0.0, -0.15))
    assert crash.p_value == 1 / 500
    assert calm.p_value > 0.05


def test_the_generalised_rank_z_is_not_another_test() -> None:
    """On independent events the rank Z exists and is neither the sign test nor its generalisation."""
    panel = draw(2, shocks=9, peers=1)
    names = ("grank_z", "sign", "generalized_sign", "grank_t")
    assert len({round(value(panel, name), 6) for name in names}) == 4


# ---- returns, dates and inputs -----------------------------------------------------------------


def test_a_simple_return_divides_by_the_price_before() -> None:
    price = np.array([100.0, 50.0, 100.0])
    wrong = np.diff(price) / price[1:]
    assert wrong.tolist() == [-1.0, 0.5]
    assert one_session_returns(price, "simple")[1:].tolist() == [-0.5, 1.0]


def test_a_lag_is_a_shift_of_the_values() -> None:
    price = np.array([100.0, 110.0, 99.0])
    wrong = price / price - 1.0  # a lag that moves time stamps and leaves the values where they are
    assert (wrong == 0.0).all()
    np.testing.assert_allclose(one_session_returns(price, "simple")[1:], [0.10, -0.10])
    np.testing.assert_allclose(one_session_returns(price, "log")[1:], np.log([1.1, 0.9]))


def event_on(day: str) -> Event:
    return Event(event_id="E", timestamp=dt.date.fromisoformat(day), precision="date", kind="report", label="unknown")


@pytest.mark.parametrize(
    ("day", "before", "session"),
    [
        ("2025-02-22", "2025-02-21", "2025-02-24"),  # a Saturday
        ("2025-02-23", "2025-02-21", "2025-02-24"),  # a Sunday, which a count of 6 and 7 from Monday forgets
        ("2025-05-26", "2025-05-23", "2025-05-27"),  # a holiday in New York alone
    ],
)
def test_weekend_news_is_priced_on_the_next_session_not_before(day: str, before: str, session: str) -> None:
    days = sessions("XNYS", dt.date(2025, 1, 2), dt.date(2025, 12, 31))
    wrong = days[np.searchsorted(days, np.datetime64(day), side="right") - 1]
    assert str(wrong) == before
    found = align(event_on(day), "XNYS")
    assert found is not None
    assert str(found.session) == session


def test_news_after_the_close_belongs_to_the_next_session() -> None:
    late = Event(
        event_id="E",
        timestamp=dt.datetime(2026, 2, 3, 21, 5, tzinfo=dt.UTC),
        precision="minute",
        kind="earnings",
        label="unknown",
    )
    found = align(late, "XNYS")
    assert found is not None
    assert (str(late.timestamp.date()), str(found.session)) == ("2026-02-03", "2026-02-04")


def test_each_exchange_keeps_its_own_dates() -> None:
    start, end = dt.date(2025, 5, 20), dt.date(2025, 6, 5)
    new_york, shanghai = (sessions(mic, start, end) for mic in ("XNYS", "XSHG"))
    union = np.union1d(new_york, shanghai)
    # One line of dates for all would leave New York without a return on the day it was closed.
    assert np.setdiff1d(union, new_york).astype(str).tolist() == ["2025-05-26"]
    assert np.setdiff1d(union, shanghai).astype(str).tolist() == ["2025-06-02"]
    days = [align(event_on("2025-05-26"), mic) for mic in ("XNYS", "XSHG")]
    assert [str(found.session) for found in days if found] == ["2025-05-27", "2025-05-26"]


def test_an_event_past_the_end_of_the_prices_is_told_not_lost(tmp_path: Path) -> None:
    write_prices(tmp_path / "prices")
    rows = [event_row("IN", "2021-06-09"), event_row("OUT", "2023-07-11")]
    events = read_events(write_events(tmp_path, rows))
    config = load_config(tmp_path / "events.csv", config_file=write_study(tmp_path))
    prices = get_prices(events, config, str(tmp_path / "prices"), tell=lambda _: None)
    computed = compute(with_shocks(events, config), config, prices)
    merged = [row for row in computed.selection.ledger if row.status != "dropped"]
    assert {row.event_id for row in merged} == {"IN"}  # all that an inner join would have kept
    dropped = [row for row in computed.selection.ledger if row.event_id == "OUT"]
    told = {row.ticker: drop_kind(row.reason.code) for row in dropped}
    assert told == {"AAA": "no_prices", "BBB": "no_prices", "CCC": "no_prices"}


def test_a_missing_adjusted_close_is_said_and_the_close_is_used(tmp_path: Path) -> None:
    path = tmp_path / "AAA.csv"
    path.write_text("date,close\n2021-01-04,10\n2021-01-05,11\n", encoding="utf-8")
    request = PriceRequest(("AAA",), dt.date(2021, 1, 1), dt.date(2021, 1, 31))
    table = get_provider("files")(tmp_path).fetch(request)
    assert table.series["AAA"].adj_close.tolist() == [10.0, 11.0]
    assert any(note.code == "read.unadjusted" for note in table.outcomes["AAA"].notes)


def test_factors_are_merged_by_day_not_by_position() -> None:
    days = np.array(["2021-01-04", "2021-01-05", "2021-01-06"], dtype="datetime64[D]")
    table_days = days[[0, 2]]
    values = np.array([0.01, 0.03])
    wrong = values[: len(days)]
    assert wrong[1] == 0.03  # what a slice by position gives to 5 January
    np.testing.assert_array_equal(on_days(days, table_days, values), [0.01, np.nan, 0.03])
