"""Abnormal returns: the exact variance of a CAR, the intercept's policy, and shock portfolios."""

from __future__ import annotations

import dataclasses
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from panels import make_panel

from eventstudy.core.abnormal import AbnormalReturns, abnormal_returns, shock_dates, shock_portfolios
from eventstudy.core.models import fit

L1, L2 = 60, 23


def draw(seed: int, n: int = 4, **options: object) -> AbnormalReturns:
    rng = np.random.default_rng(seed)
    market = rng.normal(0.0005, 0.01, L1 + L2)
    returns = 0.001 + rng.uniform(0.5, 1.5, n)[:, None] * market + rng.normal(0, 0.02, (n, L1 + L2))
    panel = make_panel(returns, market, n_estimation=L1, **options)  # type: ignore[arg-type]
    return abnormal_returns(panel, fit(panel), alpha="estimated")


def test_variance_of_a_car_is_the_matrix_form_and_the_closed_form() -> None:
    abnormal = draw(1)
    panel, expected = abnormal.panel, abnormal.expected
    window = (2, 20)
    inside = (abnormal.tau >= 2) & (abnormal.tau <= 20)
    for i in range(len(abnormal)):
        x = np.column_stack([np.ones(L1), panel.estimation_factors[i, :, 0]])
        star = np.column_stack([np.ones(L2), panel.event_factors[i, :, 0]])
        v = expected.sigma2[i] * (np.eye(L2) + star @ np.linalg.inv(x.T @ x) @ star.T)
        g = inside.astype(float)
        assert abnormal.variance(window)[i] == pytest.approx(g @ v @ g, rel=1e-12)
        r, r_star = x[:, 1], star[inside, 1]
        w = inside.sum()
        closed = w + w**2 / L1 + (r_star - r.mean()).sum() ** 2 / ((r - r.mean()) ** 2).sum()
        assert abnormal.variance(window)[i] == pytest.approx(expected.sigma2[i] * closed, rel=1e-12)


def test_variance_of_a_car_is_what_simulation_gives() -> None:
    rng = np.random.default_rng(5)
    n = 20_000
    market = rng.normal(0, 0.01, L1 + L2)
    panel = make_panel(0.001 + 1.2 * market + rng.normal(0, 0.02, (n, L1 + L2)), market, n_estimation=L1)
    abnormal = abnormal_returns(panel, fit(panel), alpha="estimated")
    # The Monte Carlo error of a variance from 20,000 draws is 1 %.
    assert abnormal.car((2, 20)).var() == pytest.approx(abnormal.variance((2, 20)).mean(), rel=0.03)
    naive = 0.02**2 * 19
    assert abnormal.car((2, 20)).var() > 1.25 * naive


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10_000), a=st.integers(-2, 5), b=st.integers(6, 12), c=st.integers(13, 20))
def test_cars_of_adjoining_windows_add_up(seed: int, a: int, b: int, c: int) -> None:
    drawn = draw(seed)
    for alpha in ("auto", "estimated", "zero"):
        abnormal = abnormal_returns(drawn.panel, fit(drawn.panel), alpha=alpha)  # type: ignore[arg-type]
        np.testing.assert_allclose(
            abnormal.car((a, b)) + abnormal.car((b + 1, c)), abnormal.car((a, c)), rtol=1e-11, atol=1e-14
        )


def test_alpha_auto_is_estimated_to_day_1_and_zero_from_day_2() -> None:
    drawn = draw(3)
    auto = abnormal_returns(drawn.panel, fit(drawn.panel))
    theta = auto.expected.theta
    market = auto.panel.event_factors[:, :, 0]
    early, late = auto.tau <= 1, auto.tau >= 2
    np.testing.assert_allclose(auto.expected.mean[:, early], theta[:, :1] + theta[:, 1:] * market[:, early], rtol=1e-12)
    np.testing.assert_allclose(auto.expected.mean[:, late], theta[:, 1:] * market[:, late], rtol=1e-12)
    r = auto.panel.estimation_factors[:, :, 0]
    star = market[:, late][:, :19].sum(axis=1)
    by_hand = auto.expected.sigma2 * (19 + star**2 / ((r - r.mean(axis=1, keepdims=True)) ** 2).sum(axis=1))
    np.testing.assert_allclose(auto.variance((2, 20)), by_hand, rtol=1e-12)


def test_missing_days_make_the_window_missing_not_zero() -> None:
    drawn = draw(4)
    returns = drawn.panel.event_returns.copy()
    returns[0, 5] = np.nan
    panel = make_panel(
        np.hstack([drawn.panel.estimation_returns, returns]),
        np.concatenate([drawn.panel.estimation_factors[0, :, 0], drawn.panel.event_factors[0, :, 0]]),
        n_estimation=L1,
    )
    abnormal = abnormal_returns(panel, fit(panel))
    assert np.isnan(abnormal.car((2, 20))[0])
    assert np.isfinite(abnormal.car((2, 20))[1:]).all()
    assert np.isfinite(abnormal.car((0, 1))).all()


def test_bhar_by_hand() -> None:
    abnormal = draw(6)
    real = np.prod(1 + abnormal.panel.event_returns[:, 2:4], axis=1)
    normal = np.prod(1 + abnormal.expected.mean[:, 2:4], axis=1)
    np.testing.assert_allclose(abnormal.bhar((0, 1)), real - normal, rtol=1e-14)


def test_bhar_of_log_returns_by_hand() -> None:
    """Sums are compounded by exp: +10 % and -5 % as logs are 1.10 * 0.95, whatever the split over days."""
    drawn = draw(6)
    simple = np.tile(np.array([0.10, -0.05]), (len(drawn), 1))
    returns = drawn.panel.event_returns.copy()
    returns[:, 2:4] = np.log1p(simple)
    panel = replace(drawn.panel, event_returns=returns, kind="log")
    abnormal = abnormal_returns(panel, drawn.expected)
    normal = np.exp(abnormal.expected.mean[:, 2] + abnormal.expected.mean[:, 3])
    np.testing.assert_allclose(abnormal.bhar((0, 1)), 1.10 * 0.95 - normal, rtol=1e-13)
    plain = replace(abnormal, panel=replace(panel, kind="simple")).bhar((0, 1))
    assert (np.abs(plain - abnormal.bhar((0, 1))) > 1e-4).all()


def test_a_window_outside_the_event_days_is_refused() -> None:
    with pytest.raises(ValueError, match=r"window \[2,30\] lies outside"):
        draw(1).car((2, 30))


def test_a_shock_portfolio_is_the_market_model_of_the_portfolio() -> None:
    abnormal = draw(7)
    portfolio = shock_portfolios(abnormal, weighting="equal")
    series = np.hstack([abnormal.panel.estimation_returns, abnormal.panel.event_returns]).mean(axis=0)
    market = np.concatenate([abnormal.panel.estimation_factors[0, :, 0], abnormal.panel.event_factors[0, :, 0]])
    panel = make_panel(series[None, :], market, n_estimation=L1)
    alone = abnormal_returns(panel, fit(panel), alpha="estimated")
    for window in ((0, 1), (2, 20)):
        assert portfolio.car(window)[0] == pytest.approx(alone.car(window)[0], rel=1e-10)
        assert portfolio.variance(window)[0] == pytest.approx(alone.variance(window)[0], rel=1e-10)


def test_regions_weigh_the_same_whatever_their_number_of_peers() -> None:
    abnormal = draw(8, region=["US", "US", "US", "CN"])
    portfolio = shock_portfolios(abnormal)
    car = abnormal.car((0, 1))
    assert portfolio.car((0, 1))[0] == pytest.approx(0.5 * car[:3].mean() + 0.5 * car[3], rel=1e-12)
    assert portfolio.peer_weights((0, 1)).tolist() == pytest.approx([1 / 6, 1 / 6, 1 / 6, 1 / 2])
    assert shock_portfolios(abnormal, weighting="equal").car((0, 1))[0] == pytest.approx(car.mean())


def test_shocks_are_one_observation_each_in_order_of_day0() -> None:
    abnormal = draw(9, n=5, shock_id=["B", "A", "B", "A", "B"], starts=[100, 300, 100, 300, 100])
    portfolio = shock_portfolios(abnormal, weighting="equal")
    assert portfolio.shock_id.tolist() == ["B", "A"]
    assert portfolio.count((0, 1)).tolist() == [3, 2]
    car = abnormal.car((0, 1))
    np.testing.assert_allclose(portfolio.car((0, 1)), [car[[0, 2, 4]].mean(), car[[1, 3]].mean()])


@pytest.mark.parametrize("by", ["shock", "date"])
@pytest.mark.parametrize("seed", range(6))
def test_portfolios_against_a_loop(seed: int, by: str) -> None:
    """Shocks with followers, some without a lead in the sample, days 0 that tie, securities named twice."""
    rng = np.random.default_rng(seed)
    n = 40
    shock, starts = rng.integers(0, 7, n), 18_000 + rng.integers(0, 4, n)
    panel = dataclasses.replace(
        draw(seed, n, shock_id=[f"S{k}" for k in shock], starts=starts.tolist()).panel,
        ticker=np.array([f"T{i}" for i in rng.integers(0, 12, n)]),
        market=np.array([("XNYS", "XSHG")[i] for i in rng.integers(0, 2, n)]),
        lead=(rng.random(n) < 0.5) & (shock < 5),
    )
    found = shock_portfolios(AbnormalReturns(panel, fit(panel)), by=by)  # type: ignore[arg-type]
    expected: dict[tuple[int, str], list[int]] = {}
    dates = np.zeros(n, dtype=int)
    for k in sorted(set(shock.tolist())):
        rows = [i for i in range(n) if shock[i] == k]
        members = [i for i in rows if panel.lead[i]]
        if not members:
            first = {m: min(panel.day0[i] for i in rows if panel.market[i] == m) for m in panel.market[rows]}
            members = [i for i in rows if panel.day0[i] == first[panel.market[i]]]
        day = min(int(panel.day0[i]) for i in members)
        dates[rows] = day
        expected.setdefault((day, f"S{k}" if by == "shock" else ""), []).extend(members)
    assert found.day0.tolist() == [day for day, _ in sorted(expected)]
    for k, key in enumerate(sorted(expected)):
        members = sorted(expected[key])
        names = sorted({str(panel.shock_id[i]) for i in members})
        if by == "date":
            seen = [(panel.market[i], panel.ticker[i], panel.day0[i]) for i in members]
            members = [i for at, i in enumerate(members) if seen.index(seen[at]) == at]
        assert found.shock_id[k] == ", ".join(names)
        assert found.members[slice(*found.spans()[k])].tolist() == members
    np.testing.assert_array_equal(shock_dates(panel), dates)
    nobody = found.abnormal.take(np.zeros(n, dtype=bool))
    assert len(shock_portfolios(nobody)) == len(shock_portfolios(nobody).members) == 0
    assert len(shock_portfolios(nobody, by="date")) == len(shock_dates(nobody.panel)) == 0
