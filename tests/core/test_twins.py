"""The fast kernels against their slow twins on drawn panels.

Firms recur, dates differ or are shared, days are missing on either side of the regression, listings
are late, regions are unequal and some windows are incomplete. The tolerance is 1e-12 of the value or of
one, whichever is larger: a statistic is a ratio of sums of size one, so near zero only its absolute error
means anything. p-values get 1e-10 relative, the conditioning of a tail probability at |t| of ten.
"""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest
import twins
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from eventstudy.core.abnormal import AbnormalReturns, abnormal_returns
from eventstudy.core.checks.regression import regress, wild_weights
from eventstudy.core.models import fit
from eventstudy.core.statistics import STATISTICS, Sample, residual_correlations
from eventstudy.core.statistics.dates import signs_of
from eventstudy.core.windows import NO_SESSION, EventPanel
from eventstudy.results.multiplicity import romano_wolf

SEED, DRAWS = 11, 99
EXACT, P_VALUE = 1e-12, 1e-10


@dataclasses.dataclass(frozen=True)
class Drawn:
    panel: EventPanel
    window: tuple[int, int]
    alpha: str
    weighting: str


@st.composite
def drawn_panels(draw: st.DrawFn) -> Drawn:
    n, k = draw(st.integers(1, 12)), draw(st.integers(1, 12))
    l1, l2 = draw(st.integers(20, 48)), draw(st.integers(5, 8))
    missing = draw(st.sampled_from([0.0, 0.05, 0.2]))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    first = draw(st.integers(0, l2 - 2))
    last = draw(st.integers(first, l2 - 1))
    panel = _panel(rng, n, min(k, n), l1, l2, missing)
    return Drawn(
        panel,
        (first - 2, last - 2),
        draw(st.sampled_from(["auto", "estimated", "zero"])),
        draw(st.sampled_from(["market-balanced", "equal"])),
    )


def _panel(rng: np.random.Generator, n: int, k: int, l1: int, l2: int, missing: float) -> EventPanel:
    days = l1 + l2
    shock = np.concatenate([np.arange(k), rng.integers(k, size=n - k)])
    start = rng.permutation(120)[:k]
    firm = np.array([int(np.sum(shock[:i] == s)) for i, s in enumerate(shock)])
    market = rng.normal(0.0005, 0.01, 120 + days)
    common = rng.normal(0, 0.01, 120 + days)
    own = rng.standard_t(5, (n, 120 + days)) * 0.02
    level, slope = rng.normal(0, 0.002, n), rng.uniform(0.3, 1.8, n)
    calendar = start[shock][:, None] + np.arange(days)
    factor = market[calendar]
    returns = level[firm][:, None] + slope[firm][:, None] * factor + common[calendar]
    returns += own[firm[:, None], calendar]
    factor, returns = factor.copy(), returns.copy()
    returns[rng.random((n, days)) < missing] = np.nan
    factor[:, :l1][rng.random((n, l1)) < missing / 4] = np.nan
    sessions = (18_000 + calendar).astype(np.int32)
    for i in np.flatnonzero(rng.random(n) < 0.2):
        late = int(rng.integers(1, l1 // 2))
        returns[i, :late], factor[i, :late], sessions[i, :late] = np.nan, np.nan, NO_SESSION
    names = np.array([f"S{s:02d}" for s in shock])
    event = np.array([f"E{s:02d}{'b' if rng.random() < 0.15 else ''}" for s in shock])
    return EventPanel(
        event_id=event,
        shock_id=names,
        ticker=np.array([f"T{f}" for f in firm]),
        market=np.array(["XNYS"] * n),
        region=np.where(rng.random(n) < 0.4, "CN", "US"),
        lead=np.char.str_len(event) == 3,
        tau=np.arange(l2) - 2,
        estimation_returns=returns[:, :l1],
        estimation_factors=factor[:, :l1, None],
        estimation_sessions=sessions[:, :l1],
        event_returns=returns[:, l1:],
        event_factors=factor[:, l1:, None],
        event_sessions=sessions[:, l1:],
        event_flags=np.zeros((n, l2), dtype=np.uint8),
    )


def abnormal_of(case: Drawn) -> AbnormalReturns:
    return abnormal_returns(case.panel, fit(case.panel), alpha=case.alpha)  # type: ignore[arg-type]


def slow_group(case: Drawn) -> twins.Group:
    day = {"auto": 1, "estimated": None, "zero": -99}[case.alpha]
    return twins.Group(case.panel, case.window, last_alpha_day=day, weighting=case.weighting, seed=SEED, draws=DRAWS)


def fast_sample(case: Drawn) -> Sample:
    abnormal = abnormal_of(case)
    correlations = residual_correlations(abnormal.expected.residuals, case.panel.estimation_sessions)
    return Sample(
        group="all", abnormal=abnormal, correlations=correlations, weighting=case.weighting, seed=SEED, draws=DRAWS
    )


def close(value: float, other: float, tolerance: float = EXACT) -> bool:
    return abs(value - other) <= tolerance * max(1.0, abs(other))


QUICK = settings(max_examples=300, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))


@QUICK
@given(drawn_panels())
def test_market_model(case: Drawn) -> None:
    expected, abnormal = fit(case.panel), abnormal_of(case)
    day = {"auto": 1, "estimated": None, "zero": -99}[case.alpha]
    for i in range(len(case.panel)):
        slow = twins.market_model(case.panel, i, last_alpha_day=day)
        np.testing.assert_allclose(expected.theta[i], [slow.alpha, slow.beta], rtol=1e-11, atol=1e-14)
        np.testing.assert_allclose(expected.sigma2[i], slow.s2, rtol=EXACT)
        assert (expected.dof[i], expected.n_estimation[i]) == (slow.dof, slow.days)
        there = np.flatnonzero(np.isfinite(expected.residuals[i]))
        assert there.tolist() == list(slow.residual)
        np.testing.assert_allclose(expected.residuals[i, there], list(slow.residual.values()), atol=1e-15)
        np.testing.assert_allclose(abnormal.ar[i], slow.ar, rtol=EXACT, atol=1e-15)


@QUICK
@given(drawn_panels())
def test_statistics(case: Drawn) -> None:
    group = slow_group(case)
    if group.n == 0:
        return
    observed = fast_sample(case).at(case.window)
    assert (observed.n, observed.k) == (group.n, group.k)
    np.testing.assert_allclose(observed.car, group.car, rtol=EXACT, atol=1e-15)
    np.testing.assert_allclose(observed.variance, group.variance, rtol=EXACT)
    assert close(observed.rbar, group.rbar()) or group.n == 1
    for name, compute in STATISTICS.items():
        fast, slow = compute(observed), twins.TWINS[name](group)
        if slow is None:
            assert fast.reason, f"{name} gives {fast.statistic} where it does not apply"
            assert math.isnan(fast.statistic)
            continue
        assert not fast.reason, f"{name}: {fast.reason}"
        assert close(fast.statistic, slow[0]), f"{name}: {fast.statistic!r} against {slow[0]!r}"
        assert fast.p_value == pytest.approx(slow[1], rel=P_VALUE, abs=1e-12), name


def test_every_statistic_has_a_twin() -> None:
    assert set(twins.TWINS) == set(STATISTICS)


@settings(max_examples=20, deadline=None, derandomize=True)
@given(st.integers(3, 7), st.integers(1, 5), st.booleans(), st.integers(0, 10**6))
def test_romano_wolf(k: int, endpoints: int, gaps: bool, seed: int) -> None:
    rng = np.random.default_rng(seed)
    values = rng.normal(0.5, 1, (k, endpoints)) + rng.normal(0, 1, (k, 1))
    if gaps and k > 4:
        values[0, 0] = np.nan
    signs = signs_of(k, DRAWS, SEED)
    np.testing.assert_allclose(
        romano_wolf(values, signs), twins.romano_wolf(values.tolist(), signs.tolist()), rtol=EXACT
    )


@settings(max_examples=15, deadline=None, derandomize=True)
@given(st.integers(3, 14), st.integers(2, 5), st.integers(1, 3), st.integers(0, 10**6))
def test_cluster_regression(clusters: int, size: int, k: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    code = np.concatenate([np.arange(clusters), rng.integers(clusters, size=clusters * (size - 1))])
    x = rng.normal(size=(len(code), k)) + rng.normal(size=(clusters, k))[code]
    y = 0.5 * x[:, 0] + rng.normal(size=clusters)[code] + rng.normal(size=len(code))
    fast = regress(y, x, code, draws=149, seed=SEED)
    weights, _ = wild_weights(clusters, draws=149, seed=SEED)
    if len(weights) > 600:
        return
    slow = twins.cluster_regression(y, np.column_stack([np.ones(len(y)), x]), code, weights)
    # Roots of I - H_gg lose digits where a cluster nearly determines a coefficient alone.
    np.testing.assert_allclose(fast.se_cr2, slow.se_cr2, rtol=1e-9)
    np.testing.assert_allclose(fast.df_cr2, slow.df_cr2, rtol=1e-8)
    np.testing.assert_allclose(fast.p_wild, slow.p_wild, rtol=EXACT)
