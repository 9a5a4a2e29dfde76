"""Rolling fits against a regression a day; portfolios formed anew; returns of another kind."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from reversal_studies import ENDS, drop_days, misread, study
from reversal_twins import rolling_car_loop

from eventstudy.reversal.history import as_kind, rolling_car, rolling_fit, window_sums


def test_window_sums_count_nothing_outside_the_data() -> None:
    values = np.arange(1.0, 7.0)[None]
    np.testing.assert_array_equal(window_sums(values, (-2, -1))[0], [0, 1, 3, 5, 7, 9])
    np.testing.assert_array_equal(window_sums(values, (0, 1))[0], [3, 5, 7, 9, 11, 6])


@pytest.mark.parametrize("alpha", [True, False])
def test_rolling_cars_are_those_of_one_regression_a_day(alpha: bool) -> None:
    rng = np.random.default_rng(2)
    market = rng.normal(0.0005, 0.01, 120)
    returns = 0.001 + np.outer(market, [0.5, 1.5]) + rng.normal(0, 0.02, (120, 2))
    returns[40:43, 0] = np.nan
    usable = rng.random((120, 2)) > 0.05
    fit = rolling_fit(returns, market, usable, (-40, -5))
    found = rolling_car(returns, market, fit, (0, 3), minimum=20, alpha=alpha)
    slow = rolling_car_loop(returns, market, usable, (-40, -5), (0, 3), 20, alpha)
    np.testing.assert_allclose(found, slow, atol=1e-12)
    assert np.isfinite(found).sum() > 100


@pytest.mark.filterwarnings("error")
def test_an_index_that_does_not_move_in_a_window_gives_no_rolling_car() -> None:
    rng = np.random.default_rng(4)
    market = rng.normal(0.0005, 0.01, 160)
    market[20:100] = 0.0
    returns = np.outer(market, [0.5, 1.5]) + rng.normal(0, 0.02, (160, 2))
    usable = np.ones((160, 2), dtype=bool)
    fit = rolling_fit(returns, market, usable, (-40, -1))
    found = rolling_car(returns, market, fit, (0, 1), minimum=40)
    # Days 60 to 100 look back on days of the flat stretch alone.
    still = np.zeros(160, dtype=bool)
    still[60:101] = True
    assert np.isnan(fit.beta[still]).all()
    assert np.isfinite(fit.beta[~still][2:]).all()
    assert np.flatnonzero(np.isfinite(found).all(axis=1)).tolist() == [*range(40, 60), *range(101, 159)]
    slow = rolling_car_loop(returns[101:], market[101:], usable[101:], (-40, -1), (0, 1), 40, True)
    np.testing.assert_allclose(found[141:159], slow[40:58], atol=1e-12)


def test_sets_formed_anew_agree_with_the_pool(tmp_path: Path) -> None:
    _, shocks = study(tmp_path, [misread("E0", drop_days(1)[0])])
    assert shocks.sets is not None
    events, placebos = shocks.sets.car((2, 20))
    assert events[0] == pytest.approx(shocks.drops.post[0])
    np.testing.assert_allclose(placebos[0], shocks.benchmarks.placebos(0))
    assert shocks.variants["simple"][0] == pytest.approx(shocks.excess[0])
    assert shocks.variants["alpha_zero"][0] == pytest.approx(shocks.excess[0])
    assert abs(shocks.variants["alpha_estimated"][0] - shocks.excess[0]) > 1e-6


@pytest.mark.parametrize("kind", ["simple", "log"])
def test_other_returns_change_the_index_too(kind: str, tmp_path: Path) -> None:
    """A panel of the other kind is the one that a study of that kind makes, factors and all."""
    computed, _ = study(tmp_path, [misread("E0", drop_days(1)[0]), *ENDS], f'returns.kind="{kind}"')
    other = "log" if kind == "simple" else "simple"
    wanted, shocks = study(tmp_path, [misread("E0", drop_days(1)[0]), *ENDS], f'returns.kind="{other}"')
    changed = as_kind(computed.returns, other, shocks.history.config.model)
    assert changed.kind == other == wanted.returns.kind
    for mic, market in wanted.returns.markets.items():
        found = changed.markets[mic]
        np.testing.assert_allclose(found.returns, market.returns, rtol=1e-9, atol=1e-15)
        np.testing.assert_allclose(found.market_return, market.market_return, rtol=1e-9, atol=1e-15)
        assert found.factors is not None
        assert market.factors is not None
        np.testing.assert_allclose(found.factors.values, market.factors.values, rtol=1e-9, atol=1e-15)
