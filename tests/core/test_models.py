"""Every model against its plain twin, against statsmodels and arch, and on hand-made cases."""

from __future__ import annotations

import warnings
from dataclasses import replace
from pathlib import Path

import model_twins as twins
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from panels import make_panel
from threadpoolctl import threadpool_limits

from eventstudy.config import Model
from eventstudy.core.abnormal import abnormal_returns
from eventstudy.core.models import MODELS, ExpectedReturns, fit, shrink_alpha
from eventstudy.core.models.betas import beta_path
from eventstudy.core.models.garch import event_variance, fit_variance, mean_absolute_t
from eventstudy.core.models.inputs import excluded_with_gaps, known_returns, lumped, mean_of_others, shifted, spans
from eventstudy.core.models.peers import simplex_weights
from eventstudy.core.returns import MISSING, FactorColumns, MarketPanel, one_session_returns, trade_to_trade_returns
from eventstudy.core.windows import EventPanel, Request, cut
from eventstudy.errors import ConfigError
from eventstudy.messages import text
from eventstudy.prices.table import on_days

Floats = NDArray[np.float64]
L1, L2 = 80, 12
COLUMNS = ("market", "market-1", "market+1", "world", "risk_free", "SMB", "HML", "others", "D1", "D2", "D3")
NAMED = {"market", "market-1", "market+1", "world", "risk_free", "others"}
ONE_BY_ONE = ("garch", "egarch")
SETTINGS = Model(factors=("SMB", "HML"), risk_free="risk_free", lags=1)
PLAIN = [name for name in MODELS if name not in ONE_BY_ONE]


def full_panel(seed: int, n: int = 4, *, missing: float = 0.0, late: int = 0, l1: int = L1) -> EventPanel:
    """Panel with every column that some model wants; some returns missing, row 0 listed late."""
    rng = np.random.default_rng(seed)
    length = l1 + L2
    wide = rng.standard_t(5, size=length + 2) * 0.01
    market = wide[1:-1]
    columns = {
        "market": market,
        "market-1": wide[:-2],
        "market+1": wide[2:],
        "world": 0.4 * market + 0.008 * rng.standard_normal(length),
        "risk_free": np.full(length, 1e-4) + 1e-5 * rng.standard_normal(length),
        "SMB": 0.006 * rng.standard_normal(length),
        "HML": 0.005 * rng.standard_normal(length),
        "others": market + 0.004 * rng.standard_normal(length),
        **{f"D{i}": 0.9 * market + 0.01 * rng.standard_normal(length) for i in (1, 2, 3)},
    }
    beta = rng.uniform(0.4, 1.8, size=(n, 1))
    returns = 0.0005 + beta * market + 0.02 * rng.standard_t(5, size=(n, length))
    returns[:, :l1][rng.random((n, l1)) < missing] = np.nan
    returns[0, :late] = np.nan
    factors = np.stack([np.broadcast_to(columns[name], returns.shape) for name in COLUMNS], axis=2).copy()
    factors[:, l1 - 1, 2] = np.nan
    panel = make_panel(returns, market, n_estimation=l1, first_tau=-2)
    return replace(panel, factor_names=COLUMNS, estimation_factors=factors[:, :l1], event_factors=factors[:, l1:])


def test_the_model_of_the_docs_is_a_whole_result(monkeypatch: pytest.MonkeyPatch) -> None:
    page = (Path(__file__).parents[2] / "docs" / "extending.md").read_text(encoding="utf-8")
    block = next(text for text in page.split("```python\n") if "def unit_beta_with_mean" in text).split("```")[0]
    monkeypatch.setitem(MODELS, "unit_beta_with_mean", MODELS["market"])
    exec(compile("import numpy as np\n" + block, "extending.md", "exec"), {})  # noqa: S102 - the page's own code
    panel = full_panel(3, missing=0.1)
    own = run(panel, "unit_beta_with_mean")
    for i in range(len(panel)):
        kept = np.isfinite(panel.estimation_returns[i])
        returns, index = panel.estimation_returns[i][kept], panel.factor("market")[0][i][kept]
        over, n = returns - index, kept.sum()
        np.testing.assert_allclose(own.theta[i], [over.mean(), 1.0])
        np.testing.assert_allclose(own.mean[i], over.mean() + panel.factor("market")[1][i])
        assert (own.dof[i], own.n_estimation[i]) == (n - 1, n)
        assert own.sigma2[i] == pytest.approx(over.var(ddof=1))
        assert own.r_squared[i] == pytest.approx(1 - over.var() / returns.var())
        weights = np.zeros(L2)
        weights[2:4] = 1.0
        assert own.variance(weights)[i] == pytest.approx(over.var(ddof=1) * (2 + 4 / n))
        daily = own.estimation_design[i] @ own.xtx_inv[i]
        np.testing.assert_allclose(daily[kept], np.tile([1 / n, 0.0], (n, 1)), atol=1e-12)


def chosen(panel: EventPanel, name: str) -> EventPanel:
    """The panel with the columns that one model is given."""
    donors = ("D1", "D2", "D3")
    return panel.with_factors("market", *donors) if name == "synthetic_peer" else panel


def run(panel: EventPanel, name: str, options: Model = SETTINGS) -> ExpectedReturns:
    return fit(chosen(panel, name), name, settings=options)


def twin_of(panel: EventPanel, name: str, i: int) -> twins.Twin:
    y = panel.estimation_returns[i]
    before = {c: panel.factor(c)[0][i] for c in COLUMNS}
    around = {c: panel.factor(c)[1][i] for c in COLUMNS}
    m, star, rf = before["market"], around["market"], around["risk_free"]
    excess = m - before["risk_free"]
    recent = np.where(np.arange(len(y)) >= len(y) - 60, y, np.nan)
    made = {
        "market": lambda: twins.ols(y, [m], [star]),
        "rolling": lambda: twins.ols(recent, [m], [star]),
        "leave_one_out": lambda: twins.ols(y, [before["others"]], [around["others"]]),
        "mean_adjusted": lambda: twins.mean_adjusted(y, len(star)),
        "raw": lambda: twins.raw(y, len(star)),
        "market_adjusted": lambda: twins.market_adjusted(y, m, star),
        "capm": lambda: twins.excess(y, before["risk_free"], [excess], [star - rf], rf),
        "factors": lambda: twins.excess(
            y, before["risk_free"], [before["SMB"], before["HML"]], [around["SMB"], around["HML"]], rf
        ),
        "two_index": lambda: twins.two_index(y, m, before["world"], (star, around["world"])),
        "scholes_williams": lambda: twins.scholes_williams(y, before["market-1"], m, before["market+1"], star),
        "dimson": lambda: twins.dimson(y, [before["market-1"], m, before["market+1"]], m, star),
    }
    return made[name]()


TWINNED = (
    "market",
    "rolling",
    "leave_one_out",
    "mean_adjusted",
    "market_adjusted",
    "raw",
    "capm",
    "factors",
    "two_index",
    "scholes_williams",
    "dimson",
)


@pytest.mark.parametrize("name", TWINNED)
@settings(max_examples=15, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    missing=st.sampled_from([0.0, 0.05, 0.3]),
    late=st.integers(0, 25),
    n=st.integers(1, 4),
)
def test_models_equal_their_twins(name: str, seed: int, missing: float, late: int, n: int) -> None:
    panel = full_panel(seed, n, missing=missing, late=late)
    expected = run(panel, name)
    weights = np.zeros(L2)
    weights[2:9] = 1.0
    for i in range(n):
        twin = twin_of(panel, name, i)
        k = len(twin.theta)
        np.testing.assert_allclose(expected.theta[i, :k], twin.theta, rtol=1e-10, atol=1e-12)
        used = np.isfinite(expected.residuals[i])
        np.testing.assert_allclose(expected.residuals[i, used], twin.residuals, rtol=0, atol=1e-12)
        np.testing.assert_allclose(expected.mean[i], twin.mean, rtol=0, atol=1e-12)
        np.testing.assert_allclose(expected.sigma2[i], twin.sigma2, rtol=1e-11)
        assert expected.dof[i] == twin.dof
        assert expected.n_estimation[i] == len(twin.residuals) == used.sum()
        for day in (0, L2 - 1):
            one = np.eye(L2)[day]
            np.testing.assert_allclose(expected.variance(one)[i], twin.variance(one), rtol=1e-10)
        np.testing.assert_allclose(expected.variance(weights)[i], twin.variance(weights), rtol=1e-10)


@pytest.mark.parametrize("name", PLAIN)
def test_daily_weights_reproduce_coefficients_and_their_covariance(name: str) -> None:
    """estimation_design @ xtx_inv are the weights of the days; what they leave is the known part."""
    panel = full_panel(3, missing=0.1)
    expected = run(panel, name)
    daily = np.einsum("nlp,npq->nlq", expected.estimation_design, expected.xtx_inv)
    covariance = np.einsum("nlp,nlq->npq", daily, daily)
    np.testing.assert_allclose(covariance, expected.xtx_inv, rtol=1e-8, atol=1e-10)
    if name in ("market", "rolling", "leave_one_out", "mean_adjusted", "scholes_williams", "dimson"):
        y = np.nan_to_num(panel.estimation_returns)
        np.testing.assert_allclose(np.einsum("nlp,nl->np", daily, y), expected.theta, rtol=0, atol=1e-12)


@pytest.mark.parametrize("name", list(MODELS))
def test_contract(name: str) -> None:
    panel = full_panel(11, 3, missing=0.1, late=5, l1=160 if name in ONE_BY_ONE else L1)
    expected = run(panel, name)
    n, length = panel.estimation_returns.shape
    p = len(expected.loadings)
    shapes = {
        "theta": (n, p),
        "estimation_design": (n, length, p),
        "event_design": (n, L2, p),
        "xtx_inv": (n, p, p),
        "residuals": (n, length),
        "sigma2": (n,),
        "dof": (n,),
        "n_estimation": (n,),
        "r_squared": (n,),
        "scale": (n, L2),
        "remark": (n,),
    }
    assert {key: getattr(expected, key).shape for key in shapes} == shapes
    assert expected.model == name
    assert np.isfinite(expected.mean).all()
    assert (expected.variance(np.ones(L2)) > 0).all()
    np.testing.assert_allclose(np.nansum(expected.residuals**2, axis=1) / expected.dof, expected.sigma2, rtol=1e-10)
    one = run(panel.take(np.array([2])), name)
    order = np.array([2, 0, 1])
    turned = run(panel.take(order), name)
    for key in ("theta", "sigma2", "mean", "scale", "r_squared"):
        np.testing.assert_allclose(getattr(one, key)[0], getattr(expected, key)[2], rtol=1e-9, atol=1e-12)
        np.testing.assert_allclose(getattr(turned, key), getattr(expected, key)[order], rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("name", PLAIN)
def test_percent_returns_give_percent_results(name: str) -> None:
    panel = full_panel(5, missing=0.1)
    percent = replace(
        panel,
        estimation_returns=100 * panel.estimation_returns,
        event_returns=100 * panel.event_returns,
        estimation_factors=100 * panel.estimation_factors,
        event_factors=100 * panel.event_factors,
    )
    small, large = run(panel, name), run(percent, name)
    tolerance = 1e-6 if name == "market_robust" else 1e-10
    np.testing.assert_allclose(large.mean, 100 * small.mean, rtol=tolerance, atol=1e-9)
    np.testing.assert_allclose(large.sigma2, 1e4 * small.sigma2, rtol=tolerance)
    slopes = [i for i, loading in enumerate(small.loadings) if loading not in ("alpha", "mean")]
    np.testing.assert_allclose(large.theta[:, slopes], small.theta[:, slopes], rtol=tolerance, atol=1e-12)
    np.testing.assert_allclose(
        abnormal_returns(chosen(percent, name), large).scar((0, 5)),
        abnormal_returns(chosen(panel, name), small).scar((0, 5)),
        rtol=tolerance,
        atol=1e-10,
    )


@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), missing=st.sampled_from([0.0, 0.2]))
def test_ols_equals_statsmodels(seed: int, missing: float) -> None:
    import statsmodels.api as sm

    panel = full_panel(seed, 2, missing=missing)
    expected = run(panel, "market")
    m, star = panel.factor("market")
    for i in range(2):
        used = np.isfinite(panel.estimation_returns[i])
        result = sm.OLS(panel.estimation_returns[i, used], sm.add_constant(m[i, used])).fit()
        np.testing.assert_allclose(expected.theta[i], result.params, rtol=1e-10, atol=1e-12)
        np.testing.assert_allclose(expected.sigma2[i], result.mse_resid, rtol=1e-10)
        np.testing.assert_allclose(expected.r_squared[i], result.rsquared, rtol=1e-9)
        predicted = result.get_prediction(sm.add_constant(star[i]))
        variances = [expected.variance(day)[i] for day in np.eye(L2)]
        np.testing.assert_allclose(np.sqrt(variances), predicted.se_obs, rtol=1e-9)


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), missing=st.sampled_from([0.0, 0.2]))
def test_robust_equals_statsmodels(seed: int, missing: float) -> None:
    import statsmodels.api as sm

    panel = full_panel(seed, 3, missing=missing)
    returns = panel.estimation_returns.copy()
    returns[:, 7] = 0.4
    panel = replace(panel, estimation_returns=returns)
    expected = run(panel, "market_robust")
    m, _ = panel.factor("market")
    for i in range(3):
        used = np.isfinite(returns[i])
        result = sm.RLM(returns[i, used], sm.add_constant(m[i, used]), M=sm.robust.norms.HuberT()).fit()
        # Both stop when the objective moves by less than 1e-8; rounding may cost one of them a step more.
        np.testing.assert_allclose(expected.theta[i], result.params, rtol=1e-7, atol=1e-8)
        covariance = expected.sigma2[i] * expected.xtx_inv[i]
        np.testing.assert_allclose(covariance, result.cov_params(), rtol=1e-6)
        np.testing.assert_allclose(expected.sigma2[i], (result.resid**2).sum() / result.df_resid, rtol=1e-8)


def test_robust_is_not_pulled_by_an_outlier() -> None:
    panel = full_panel(8, 1)
    clean = run(panel, "market_robust").theta[0]
    returns = panel.estimation_returns.copy()
    returns[0, int(np.argmax(panel.factor("market")[0][0]))] = -0.9
    hit = replace(panel, estimation_returns=returns)
    assert abs(run(hit, "market_robust").theta[0, 1] - clean[1]) < 0.15
    assert abs(run(hit, "market").theta[0, 1] - run(panel, "market").theta[0, 1]) > 0.5


def test_market_ignores_other_columns() -> None:
    panel = full_panel(2)
    np.testing.assert_array_equal(run(panel, "market").theta, run(panel.with_factors("market"), "market").theta)


def test_mean_adjusted_keeps_days_without_an_index() -> None:
    panel = full_panel(2, 1)
    factors = panel.estimation_factors.copy()
    factors[:, 10, 0] = np.nan
    expected = run(replace(panel, estimation_factors=factors), "mean_adjusted")
    assert expected.n_estimation[0] == L1
    np.testing.assert_allclose(expected.theta[0, 0], panel.estimation_returns[0].mean(), rtol=1e-13)


def test_mean_is_no_alpha_that_a_policy_drops() -> None:
    panel = full_panel(2, 1)
    expected = run(panel, "mean_adjusted")
    np.testing.assert_array_equal(
        abnormal_returns(panel, expected, alpha="zero").ar, abnormal_returns(panel, expected, alpha="estimated").ar
    )


def test_dimson_on_independent_trading_finds_the_true_beta() -> None:
    """Half of every move arrives a day late: OLS sees half of beta, the leads and lags all of it."""
    rng = np.random.default_rng(1)
    m = 0.01 * rng.standard_normal(3_001 + L2)
    y = 0.6 * m[1:] + 0.6 * m[:-1] + 0.001 * rng.standard_normal(3_000 + L2)
    now, before, after = m[1:], m[:-1], np.append(m[2:], np.nan)
    panel = make_panel(y[None], now, n_estimation=3_000)
    stack = np.stack([now, before, after], axis=1)[None]
    panel = replace(
        panel,
        factor_names=("market", "market-1", "market+1"),
        estimation_factors=stack[:, :3_000],
        event_factors=stack[:, 3_000:],
    )
    assert run(panel, "market").theta[0, 1] == pytest.approx(0.6, abs=0.03)
    assert run(panel, "dimson").theta[0, 1] == pytest.approx(1.2, abs=0.03)
    assert run(panel, "scholes_williams").theta[0, 1] == pytest.approx(1.2, abs=0.06)


def test_two_index_without_a_world_column_is_the_market_model() -> None:
    panel = full_panel(4, 3)
    at = COLUMNS.index("world")
    before, around = panel.estimation_factors.copy(), panel.event_factors.copy()
    before[1, :, at], around[1, :, at] = np.nan, np.nan
    mixed = replace(panel, estimation_factors=before, event_factors=around)
    expected, plain = run(mixed, "two_index"), run(panel, "market")
    np.testing.assert_allclose(expected.theta[1], [*plain.theta[1], 0.0], rtol=1e-13)
    assert expected.dof[1] == plain.dof[1] == L1 - 2
    assert expected.dof[0] == L1 - 3
    np.testing.assert_allclose(expected.variance(np.ones(L2))[1], plain.variance(np.ones(L2))[1], rtol=1e-12)
    np.testing.assert_allclose(expected.theta[0], run(panel, "two_index").theta[0], rtol=1e-13)


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_synthetic_weights_are_the_constrained_minimum(seed: int) -> None:
    """Against a general solver, and by the Karush-Kuhn-Tucker conditions to 1e-12."""
    from scipy import optimize

    rng = np.random.default_rng(seed)
    d = 0.01 * rng.standard_normal((60, 4)) + 0.01 * rng.standard_normal((60, 1))
    y = d @ np.array([0.7, 0.5, -0.2, 0.0]) + 0.004 * rng.standard_normal(60)
    w = simplex_weights(y, d)
    assert (w >= 0).all()
    assert w.sum() == pytest.approx(1.0, abs=1e-14)
    gradient = d.T @ (d @ w - y)
    level = gradient[w > 0].mean()
    np.testing.assert_allclose(gradient[w > 0], level, rtol=0, atol=1e-12)
    assert (gradient >= level - 1e-12).all()
    general = optimize.minimize(
        lambda v: 1e4 * ((y - d @ v) ** 2).sum(),
        np.full(4, 0.25),
        bounds=[(0, 1)] * 4,
        constraints={"type": "eq", "fun": lambda v: v.sum() - 1.0},
        method="SLSQP",
        tol=1e-12,
    )
    np.testing.assert_allclose(w, general.x, atol=1e-4)


def test_synthetic_peer_leaves_out_a_donor_without_an_event_day() -> None:
    panel = full_panel(6, 2).with_factors("market", "D1", "D2", "D3")
    around = panel.event_factors.copy()
    around[:, 4, 2] = np.nan
    expected = fit(replace(panel, event_factors=around), "synthetic_peer")
    assert expected.loadings == ("D1", "D2", "D3")
    np.testing.assert_array_equal(expected.theta[:, 1], 0.0)
    assert np.isfinite(expected.mean).all()
    np.testing.assert_allclose(expected.theta.sum(axis=1), 1.0, rtol=1e-14)


def test_shrunk_alpha_equals_its_twin() -> None:
    panel = full_panel(12, 5)
    base = run(panel, "market")
    drawn = shrink_alpha(base, np.array(["E"] * 5))
    _, star = panel.factor("market")
    for i in range(5):
        one = twin_of(panel, "market", i)
        event = np.column_stack([np.ones(L2), star[i]])
        alpha, v = twins.shrunk_alpha(base.theta[:, 0], base.sigma2 / base.n_estimation, i, one, event, base.xtx_inv[i])
        np.testing.assert_allclose(drawn.theta[i], [alpha, base.theta[i, 1]], rtol=1e-12, atol=1e-15)
        np.testing.assert_allclose(drawn.variance(np.ones(L2))[i], v.sum(), rtol=1e-11)
    alike = replace(base, theta=np.column_stack([np.full(5, 0.004), base.theta[:, 1]]))
    np.testing.assert_array_equal(shrink_alpha(alike, np.array(["E"] * 5)).theta[:, 0], 0.0)


def test_shrinking_keeps_the_weights_of_the_days() -> None:
    base = run(full_panel(12, 5), "market")
    spread = replace(base, theta=base.theta + np.array([[0.01 * i, 0.0] for i in range(5)]))
    drawn = shrink_alpha(spread, np.array(["E"] * 5))
    weight = drawn.theta[:, 0] / spread.theta[:, 0]
    assert ((weight > 0.5) & (weight < 1)).all()
    plain = np.einsum("nlp,npq->nlq", base.estimation_design, base.xtx_inv)
    daily = np.einsum("nlp,npq->nlq", drawn.estimation_design, drawn.xtx_inv)
    np.testing.assert_allclose(daily[:, :, 0], weight[:, None] * plain[:, :, 0], rtol=0, atol=1e-12)
    np.testing.assert_allclose(daily[:, :, 1], plain[:, :, 1], rtol=0, atol=1e-9)


def market_panel(price: Floats, index: Floats, *, gaps: bool) -> MarketPanel:
    days = np.datetime64("2021-01-01", "D") + np.arange(len(price))
    made = trade_to_trade_returns if gaps else one_session_returns
    flags = np.where(np.isfinite(price), 0, MISSING).astype(np.uint8)[:, None]
    return MarketPanel(
        mic="XNYS",
        benchmark="IDX",
        sessions=days,
        tickers=("A",),
        returns=made(price, "simple")[:, None],
        market_return=one_session_returns(index, "simple"),
        flags=flags,
    )


def lumped_panel(price: Floats, index: Floats, position: int) -> EventPanel:
    from eventstudy.core.models.inputs import _trade_to_trade

    market = market_panel(price, index, gaps=True)
    plain = FactorColumns(("market",), market.market_return[:, None, None], (0,))
    columns = _trade_to_trade(plain, market, "simple")
    return cut(
        [Request(event_id="E", shock_id="E", ticker="A", market="XNYS", region="US", position=position, column=0)],
        market.returns,
        columns.values,
        np.arange(len(price), dtype=np.int32),
        market.flags,
        np.zeros(market.returns.shape, dtype=bool),
        estimation=(-90, -3),
        event=(-2, 9),
        factor_names=columns.names,
        ahead=columns.ahead,
    )


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_trade_to_trade_equals_its_twin(seed: int) -> None:
    rng = np.random.default_rng(seed)
    index = 100 * np.cumprod(1 + 0.01 * rng.standard_normal(120))
    price = index * np.cumprod(1 + 0.02 * rng.standard_normal(120))
    price[5:90][rng.random(85) < 0.25] = np.nan
    price[[97, 101, 102]] = np.nan
    panel = lumped_panel(price, index, 100)
    expected = fit(panel, "market")
    star = [(97 - 1, 98), (98, 99), (99, 100), (100, 103), *((t - 1, t) for t in range(104, 110))]
    twin = twins.trade_to_trade(price, index, 10, 98, star[1:])
    np.testing.assert_allclose(expected.theta[0], twin.theta, rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(expected.sigma2[0], twin.sigma2, rtol=1e-10)
    abnormal = abnormal_returns(panel, expected, alpha="estimated")
    real = np.array([price[to] / price[since] - 1 for since, to in star[1:]])
    # Event days -1, 0, then the lump of three sessions on day 3.
    np.testing.assert_allclose(abnormal.ar[0, [1, 2, 5]], (real - twin.mean)[:3], rtol=0, atol=1e-12)
    assert np.isnan(abnormal.ar[0, [3, 4]]).all()
    assert expected.scale[0, 5] == 3.0
    np.testing.assert_allclose(abnormal.car((0, 4))[0], (real - twin.mean)[1:4].sum(), rtol=0, atol=1e-12)
    g = np.array([0.0, 1.0, 1.0, 1.0, *[0.0] * 5])
    np.testing.assert_allclose(abnormal.variance((0, 4))[0], twin.variance(g), rtol=1e-10)
    lump = np.array([0.0, 0.0, 1.0, *[0.0] * 6])
    np.testing.assert_allclose(abnormal.variance((3, 3))[0], twin.variance(lump), rtol=1e-10)
    assert np.isnan(abnormal.car((0, 2))[0])
    real_bhar = np.prod(1 + real[1:4]) - np.prod(1 + twin.mean[1:4])
    np.testing.assert_allclose(abnormal.bhar((0, 4))[0], real_bhar, rtol=0, atol=1e-12)


def test_trade_to_trade_without_gaps_is_the_market_model() -> None:
    rng = np.random.default_rng(5)
    index = 100 * np.cumprod(1 + 0.01 * rng.standard_normal(120))
    price = index * np.cumprod(1 + 0.02 * rng.standard_normal(120))
    lumps = lumped_panel(price, index, 100)
    plain = lumps.with_factors("market")
    plain = replace(
        plain,
        factor_names=("market",),
        estimation_factors=plain.estimation_factors[:, :, :1],
        event_factors=plain.event_factors[:, :, :1],
    )
    for name in ("market", "mean_adjusted", "market_adjusted"):
        with_span, without = fit(lumps, name), fit(plain, name)
        np.testing.assert_array_equal(with_span.theta, without.theta)
        np.testing.assert_array_equal(with_span.sigma2, without.sigma2)
        np.testing.assert_array_equal(with_span.scale, without.scale)


def test_spans_count_sessions() -> None:
    nan = np.nan
    price = np.array([nan, 10.0, 11.0, nan, nan, 12.0, 12.5, nan])
    span = spans(market_panel(price, np.arange(1.0, 9.0), gaps=True))[:, 0]
    np.testing.assert_array_equal(span, [nan, nan, 1, 0, 0, 3, 1, nan])


def test_a_lump_over_an_excluded_day_is_excluded() -> None:
    nan = np.nan
    market = market_panel(np.array([9.0, 10.0, nan, nan, 12.0, 12.5]), np.arange(1.0, 7.0), gaps=True)
    excluded = np.zeros((6, 1), dtype=bool)
    excluded[2] = True
    np.testing.assert_array_equal(excluded_with_gaps(market, excluded)[:, 0], [0, 0, 1, 0, 1, 0])


def test_lumped_returns_compound_or_add() -> None:
    returns = np.array([[0.1], [0.2], [-0.5]])
    assert lumped(returns, "simple")[0] == pytest.approx(1.1 * 1.2 * 0.5 - 1.0, abs=1e-15)
    assert lumped(returns, "log")[0] == pytest.approx(-0.2, abs=1e-15)
    assert np.isnan(lumped(np.array([[0.1], [np.nan]]), "simple")[0])


def test_shifted_looks_back_and_ahead() -> None:
    nan = np.nan
    np.testing.assert_array_equal(shifted(np.array([1.0, 2, 3]), -1), [nan, 1, 2])
    np.testing.assert_array_equal(shifted(np.array([1.0, 2, 3]), 2), [3, nan, nan])


def test_leads_do_not_see_the_gap() -> None:
    """The last estimation day's lead is a day after the window: missing, so that pair is out."""
    m = np.arange(40.0)
    columns = np.stack([m, shifted(m, -1), shifted(m, 1), shifted(m, 2)], axis=1)
    panel = cut(
        [Request(event_id="E", shock_id="E", ticker="A", market="XNYS", region="US", position=30, column=0)],
        m[:, None] * 2,
        columns,
        np.arange(40, dtype=np.int32),
        np.zeros((40, 1), dtype=np.uint8),
        np.zeros((40, 1), dtype=bool),
        estimation=(-20, -6),
        event=(-2, 5),
        factor_names=("market", "market-1", "market+1", "market+2"),
        ahead=(0, 0, 1, 2),
    )
    assert panel.gap == 3
    last = panel.estimation_factors[0]
    np.testing.assert_array_equal(last[-1], [24.0, 23.0, np.nan, np.nan])
    np.testing.assert_array_equal(last[-2], [23.0, 22.0, 24.0, np.nan])
    np.testing.assert_array_equal(panel.event_factors[0, 0], [28.0, 27.0, 29.0, 30.0])
    assert panel.complete().sum() == 13


def test_foreign_index_is_what_was_known_at_each_close() -> None:
    """Home closes at 6, 30, 54 h; abroad at 21, 45 h: the second home day sees the first foreign one."""
    level = np.array([100.0, 110.0, 121.0, np.nan])
    struck = np.array([-3, 21, 45, 69])
    returns = known_returns(level, struck, np.array([6, 30, 54, 60, 78]), "simple")
    np.testing.assert_allclose(returns, [np.nan, 0.1, 0.1, 0.0, np.nan], rtol=1e-12)
    logs = known_returns(level, struck, np.array([6, 54]), "log")
    assert logs[1] == pytest.approx(np.log(1.21), abs=1e-15)


def test_others_leave_the_own_return_out() -> None:
    nan = np.nan
    found = mean_of_others(np.array([[0.1, 0.2, 0.6], [nan, 0.2, 0.4], [nan, nan, 0.4]]))
    np.testing.assert_allclose(found, [[0.4, 0.35, 0.15], [0.3, 0.4, 0.2], [0.4, 0.4, nan]], rtol=1e-12)


def test_factors_merge_by_day_and_never_by_position() -> None:
    days = np.array(["2024-01-02", "2024-01-03", "2024-01-05"], dtype="datetime64[D]")
    dates = np.array(["2024-01-01", "2024-01-03", "2024-01-04", "2024-01-05"], dtype="datetime64[D]")
    np.testing.assert_array_equal(on_days(days, dates, np.array([1.0, 2.0, 3.0, 4.0])), [np.nan, 2.0, 4.0])


def garch_series(n: int, seed: int) -> tuple[Floats, Floats]:
    rng = np.random.default_rng(seed)
    x, h, e = rng.standard_normal(n), 1.0, 0.0
    y = np.empty(n)
    for t in range(n):
        h = 0.1 + 0.12 * e * e + 0.8 * h
        e = np.sqrt(h) * rng.standard_t(6) / np.sqrt(1.5)
        y[t] = 0.05 + 1.3 * x[t] + e
    return y / 100, x / 100


def garch_panel(seed: int, n_estimation: int = 400) -> EventPanel:
    y, x = garch_series(n_estimation + L2, seed)
    return make_panel(y[None], x, n_estimation=n_estimation)


def arch_fit(panel: EventPanel, **volatility: object) -> tuple[Floats, Floats]:
    import arch

    used = np.isfinite(panel.estimation_returns[0])
    y, x = panel.estimation_returns[0, used], panel.factor("market")[0][0, used]
    with warnings.catch_warnings(), threadpool_limits(1, "blas"):
        warnings.simplefilter("ignore")
        model = arch.arch_model(100 * y, x=100 * x[:, None], mean="LS", dist="t", rescale=False, **volatility)
        result = model.fit(disp="off")
    return np.asarray(result.params), np.asarray(result.conditional_volatility) ** 2


def own_fit(panel: EventPanel, name: str) -> tuple[Floats, Floats]:
    """Coefficients and path of the first firm-event in percent: ``arch``'s but for its tolerance."""
    with threadpool_limits(1, "blas"):
        found = fit_variance(100 * panel.estimation_returns[0], 100 * panel.factor("market")[0][0][:, None], name)
    parameters = np.array([*found.theta, *found.variance])
    volatility = {"vol": "EGARCH", "o": 1} if name == "egarch" else {"vol": "GARCH"}
    theirs, path = arch_fit(panel, p=1, q=1, **volatility)
    np.testing.assert_allclose(parameters, theirs, rtol=5e-3, atol=1e-3)
    np.testing.assert_allclose(found.path, path, rtol=5e-3)
    return parameters, found.path


@pytest.fixture
def plainly(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fit as without numba; `test_garch_optima` is about both searches being one."""
    monkeypatch.setattr("eventstudy.core.models.garch.compiled_fit", lambda: None)


@pytest.mark.usefixtures("plainly")
def test_garch_agrees_with_arch_and_its_own_forecast() -> None:
    panel = garch_panel(1)
    expected = fit(panel, "garch")
    assert not expected.remark[0]
    parameters, path = own_fit(panel, "garch")
    np.testing.assert_allclose(expected.theta[0], parameters[:2] / [100, 1], rtol=1e-10)
    omega, a, b = parameters[2:5]
    e = 100 * expected.residuals[0, -1]
    ahead = twins.garch_path(omega, a, b, path[-1], e, [np.nan] * L2)
    h = expected.scale[0] * expected.sigma2[0] * 1e4
    np.testing.assert_allclose(h, ahead, rtol=1e-9)
    x = np.column_stack([np.ones(400), panel.factor("market")[0][0]])
    star = np.column_stack([np.ones(L2), panel.factor("market")[1][0]])
    error = np.linalg.inv(x.T @ np.diag(1e4 / path) @ x)
    v = np.diag(h / 1e4) + star @ error @ star.T
    g = np.where(np.arange(L2) >= 4, 1.0, 0.0)
    np.testing.assert_allclose(expected.variance(g)[0], g @ v @ g, rtol=1e-9)


def test_garch_forecast_is_that_of_arch() -> None:
    import arch

    y, x = garch_series(400, 3)
    model = arch.arch_model(100 * y, x=100 * x[:, None], mean="LS", vol="GARCH", dist="t", rescale=False)
    result = model.fit(disp="off")
    future = result.forecast(horizon=L2, x=np.zeros((1, 1, L2)), reindex=False).variance.to_numpy()[0]
    p = np.asarray(result.params)
    h = event_variance(
        p[None, 2:],
        last_h=np.array([result.conditional_volatility[-1] ** 2]),
        last_e=np.array([result.resid[-1]]),
        event=np.full((1, L2), np.nan),
        gap=0,
        name="garch",
    )
    np.testing.assert_allclose(h[0], future, rtol=1e-9)


@pytest.mark.usefixtures("plainly")
@pytest.mark.parametrize("name", ONE_BY_ONE)
def test_conditional_variance_is_filtered_with_fixed_parameters(name: str) -> None:
    """The path on the event days is arch's own filter over the whole series at the estimated parameters."""
    import arch

    panel = garch_panel(1)
    expected = fit(panel, name, settings=Model(name=name, variance="conditional"))
    assert not expected.remark[0]
    volatility = {"vol": "EGARCH", "o": 1} if name == "egarch" else {"vol": "GARCH"}
    parameters, path = own_fit(panel, name)
    y = np.concatenate([panel.estimation_returns[0], panel.event_returns[0]])
    x = np.concatenate([panel.factor("market")[0][0], panel.factor("market")[1][0]])
    whole = arch.arch_model(100 * y, x=100 * x[:, None], mean="LS", p=1, q=1, dist="t", rescale=False, **volatility)
    filtered = np.asarray(whole.fix(parameters).conditional_volatility) ** 2
    h = expected.scale[0] * expected.sigma2[0] * 1e4
    # The filter's start value is that of the longer series; after 400 days nothing is left of it.
    np.testing.assert_allclose(path[-1], filtered[399], rtol=1e-5)
    np.testing.assert_allclose(h, filtered[400:], rtol=1e-5)


def test_egarch_parameters_agree_with_arch() -> None:
    panel = garch_panel(1)
    parameters, path = own_fit(panel, "egarch")
    expected = fit(panel, "egarch")
    assert not expected.remark[0]
    np.testing.assert_allclose(expected.theta[0], parameters[:2] / [100, 1], rtol=1e-10)
    omega, a, g, b, nu = parameters[2:]
    z = 100 * expected.residuals[0, -1] / np.sqrt(path[-1])
    log_h = omega + a * (abs(z) - np.sqrt(2 / np.pi)) + g * z + b * np.log(path[-1])
    h = expected.scale[0] * expected.sigma2[0] * 1e4
    np.testing.assert_allclose(h[0], np.exp(log_h), rtol=1e-8)
    size = float(mean_absolute_t(np.array([nu]))[0])
    np.testing.assert_allclose(h[1], np.exp(omega + a * (size - np.sqrt(2 / np.pi)) + b * log_h), rtol=1e-8)


def test_mean_absolute_t_is_that_of_many_draws() -> None:
    draws = np.random.default_rng(2).standard_t(6, size=2_000_000) * np.sqrt(4 / 6)
    assert mean_absolute_t(np.array([6.0]))[0] == pytest.approx(np.abs(draws).mean(), abs=2e-3)


def test_gap_days_are_average_ones() -> None:
    variance = np.array([[0.1, 0.1, 0.8, 5.0]])
    kwargs = {"last_h": np.array([2.0]), "last_e": np.array([3.0]), "name": "garch"}
    long = event_variance(variance, event=np.full((1, 6), np.nan), gap=0, **kwargs)
    short = event_variance(variance, event=np.full((1, 2), np.nan), gap=4, **kwargs)
    np.testing.assert_allclose(short[0], long[0, 4:], rtol=1e-14)
    np.testing.assert_allclose(long[0, 0], 0.1 + 0.1 * 9.0 + 0.8 * 2.0, rtol=1e-14)


def test_a_fit_that_cannot_be_trusted_is_ols_and_says_so() -> None:
    """A variance that doubles every sixty days has no level: persistence reaches one."""
    rng = np.random.default_rng(4)
    x = 0.01 * rng.standard_normal(300 + L2)
    growth = 0.002 * np.exp(np.arange(300 + L2) / 80.0)
    bad = x + growth * rng.standard_normal(300 + L2)
    good, index = garch_series(300 + L2, 1)
    market = np.stack([x, index])
    panel = make_panel(np.stack([bad, good]), market, n_estimation=300)
    expected, ols = fit(panel, "garch"), fit(panel, "market")
    assert text(expected.remark[0]).startswith("garch fell back to OLS: persistence")
    assert not expected.remark[1]
    np.testing.assert_array_equal(expected.theta[0], ols.theta[0])
    np.testing.assert_array_equal(expected.scale[0], 1.0)
    assert (expected.scale[1] != 1.0).all()


def test_processes_give_the_same_fits() -> None:
    panel = make_panel(
        np.stack([garch_series(200 + L2, seed)[0] for seed in range(21)]),
        np.stack([garch_series(200 + L2, seed)[1] for seed in range(21)]),
        n_estimation=200,
    )
    one, two = fit(panel, "garch"), fit(panel, "garch", settings=Model(name="garch", jobs=2))
    np.testing.assert_array_equal(one.theta, two.theta)
    np.testing.assert_array_equal(one.scale, two.scale)


@pytest.mark.parametrize("name", ["market_adjusted", "mean_adjusted", "raw"])
def test_a_flat_index_is_no_obstacle_where_nothing_is_estimated_from_it(name: str) -> None:
    """By hand: R - R_m with the mean square of the estimation window, R less its mean with n - 1."""
    panel = full_panel(1, 2)
    factors = panel.estimation_factors.copy()
    factors[0, :, 0] = 0.0
    found = run(replace(panel, estimation_factors=factors), name)
    before = panel.estimation_returns[0][np.isfinite(panel.estimation_returns[0])]
    n = len(before)
    index = {"market_adjusted": panel.factor("market")[1][0], "raw": np.zeros(L2)}.get(name, np.full(L2, before.mean()))
    variance = before.var(ddof=1) if name == "mean_adjusted" else (before**2).sum() / n
    np.testing.assert_allclose(found.mean[0], index, rtol=1e-12, atol=1e-15)
    assert found.sigma2[0] == pytest.approx(variance, rel=1e-12)
    g = np.where(np.arange(L2) < 3, 1.0, 0.0)
    error = 9.0 / n if name == "mean_adjusted" else 0.0
    assert found.variance(g)[0] == pytest.approx(variance * (3.0 + error), rel=1e-12)


@pytest.mark.parametrize("name", ["market", "two_index", "dimson", "market_robust"])
def test_a_constant_index_gives_nan_and_no_number(name: str) -> None:
    panel = full_panel(1, 2)
    factors = panel.estimation_factors.copy()
    factors[0, :, :3] = 0.001
    expected = run(replace(panel, estimation_factors=factors), name)
    assert np.isnan(expected.theta[0]).any()
    assert np.isfinite(expected.theta[1]).all()


def test_a_path_of_betas_is_a_regression_for_each_session() -> None:
    panel, span = full_panel(5, 3, missing=0.2), 30
    beta, se = beta_path(panel, span)
    index = panel.factor("market")[0]
    assert np.isnan(beta[:, : span - 1]).all()
    for i in range(3):
        for t in range(span - 1, L1):
            days = [d for d in range(t - span + 1, t + 1) if np.isfinite(panel.estimation_returns[i, d])]
            slope, intercept = np.polyfit(index[i, days], panel.estimation_returns[i, days], 1)
            error = panel.estimation_returns[i, days] - intercept - slope * index[i, days]
            spread = ((index[i, days] - index[i, days].mean()) ** 2).sum()
            assert beta[i, t] == pytest.approx(slope, rel=1e-9)
            assert se[i, t] == pytest.approx(np.sqrt((error**2).sum() / (len(days) - 2) / spread), rel=1e-9)
    last = run(panel, "rolling", replace(SETTINGS, span=span)).theta[:, 1]
    np.testing.assert_allclose(beta[:, -1], last, rtol=1e-9)


def test_a_path_needs_half_of_the_span() -> None:
    panel = full_panel(5, 2)
    panel.estimation_returns[0, 10:26] = np.nan
    beta, _ = beta_path(panel, 30)
    assert np.isnan(beta[0, 29])
    assert np.isfinite(beta[1, 29:]).all()


def test_unknown_model_names_the_nearest() -> None:
    with pytest.raises(ConfigError, match="did you mean 'scholes_williams'"):
        fit(full_panel(1), "scholes_william")
