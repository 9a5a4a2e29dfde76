"""One-sided p-values: the tail of the alternative, of computed and of drawn distributions."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pytest
from scipy import stats
from test_statistics_contract import NAMES, SINGLE, fitting

from eventstudy.core.abnormal import abnormal_returns
from eventstudy.core.models import fit
from eventstudy.core.statistics import STATISTICS, Sample, WindowSample, residual_correlations
from eventstudy.core.statistics.dates import sign_vectors
from eventstudy.core.statistics.firm import car_tests
from eventstudy.core.statistics.sample import TestResult
from eventstudy.messages import text
from eventstudy.results.multiplicity import romano_wolf

SIDES = ("less", "greater")


def p_values(name: str, sample: Sample, window: tuple[int, int] = (0, 0)) -> dict[str, float]:
    """p-values of one statistic by alternative."""
    found = {}
    for side in ("two-sided", *SIDES):
        found[side] = STATISTICS[name](replace(sample, alternative=side).at(window)).p_value
    return found


@pytest.mark.parametrize("name", NAMES)
def test_a_fall_is_found_by_less_and_not_by_greater(name: str) -> None:
    panel = fitting(name).abnormal.panel
    panel.event_returns[:, 2] -= 0.05
    abnormal = abnormal_returns(panel, fit(panel))
    correlations = residual_correlations(abnormal.expected.residuals, panel.estimation_sessions)
    found = p_values(name, Sample(group="all", abnormal=abnormal, correlations=correlations, draws=299))
    assert found["less"] < 0.05
    assert found["greater"] > 0.95
    assert found["less"] <= found["two-sided"]


@pytest.mark.parametrize("name", [n for n in NAMES if n not in ("wilcoxon", "sign_flip", "permutation", "sq")])
def test_tails_add_up_where_the_distribution_is_continuous(name: str) -> None:
    sample = fitting(name)
    found = p_values(name, sample)
    drawn = STATISTICS[name](sample.at((0, 0))).distribution == "bootstrap"
    # Of B draws and the value itself this one is in both tails.
    count = min(sample.draws, 1_999) + 1
    assert found["less"] + found["greater"] == pytest.approx(1.0 + drawn / count, abs=1e-12)
    if not drawn:
        assert found["two-sided"] == pytest.approx(2 * min(found["less"], found["greater"]), rel=1e-12)


@pytest.mark.parametrize("side", SIDES)
def test_against_scipy(side: str) -> None:
    sample = replace(fitting("date_t"), alternative=side).at((-1, 1))
    plain = stats.ttest_1samp(sample.car, 0.0, alternative=side)
    assert STATISTICS["cross_sectional_t"](sample).p_value == pytest.approx(plain.pvalue, rel=1e-10)
    dates = stats.ttest_1samp(sample.shock_s, 0.0, alternative=side)
    assert STATISTICS["date_t"](sample).p_value == pytest.approx(dates.pvalue, rel=1e-10)
    ranks = stats.wilcoxon(sample.car, alternative=side, method="exact")
    assert STATISTICS["wilcoxon"](sample).p_value == pytest.approx(ranks.pvalue, rel=1e-10)


@pytest.mark.parametrize("side", SIDES)
def test_sign_flips_by_enumeration(side: str) -> None:
    sample = replace(fitting("date_t"), alternative=side).at((-1, 1))
    total, beyond = sample.shock_s.sum(), 0
    for signs in itertools.product((-1.0, 1.0), repeat=sample.k):
        flipped = float(np.dot(signs, sample.shock_s))
        beyond += flipped <= total + 1e-12 if side == "less" else flipped >= total - 1e-12
    assert STATISTICS["sign_flip"](sample).p_value == pytest.approx(beyond / 2**sample.k, rel=1e-12)


@pytest.mark.parametrize("side", SIDES)
def test_placebo_windows_of_one_firm_are_counted_on_one_side(side: str) -> None:
    sample = replace(fitting("sq"), alternative=side).at((0, 2))
    residuals = sample.abnormal.expected.residuals[0]
    sums = [residuals[t : t + 3].sum() for t in range(len(residuals) - 2)]
    beyond = sum(s <= sample.car[0] if side == "less" else s >= sample.car[0] for s in sums)
    assert STATISTICS["sq"](sample).p_value == pytest.approx((1 + beyond) / (1 + len(sums)), rel=1e-12)


def test_every_firm_event_by_itself() -> None:
    abnormal = fitting("date_t").abnormal
    two, less, greater = (car_tests(abnormal, (0, 1), side) for side in ("two-sided", *SIDES))
    np.testing.assert_allclose(less.p_value, stats.t.cdf(two.t, two.df), rtol=1e-10)
    np.testing.assert_allclose(less.p_value + greater.p_value, 1.0, rtol=1e-12)


def test_step_down_of_one_endpoint_is_the_one_sided_sign_flip() -> None:
    values, signs = np.random.default_rng(4).normal(0.4, 1.0, (7, 1)), sign_vectors(7, draws=0, rng=None)  # type: ignore[arg-type]
    share = (signs @ values[:, 0] >= values.sum() - 1e-12).mean()
    assert romano_wolf(values, signs, "greater")[0] == share
    assert romano_wolf(values, signs, "less")[0] == (signs @ values[:, 0] <= values.sum() + 1e-12).mean()


def test_a_number_for_p_is_two_sided_and_refused_otherwise() -> None:
    def own(sample: WindowSample) -> TestResult:
        return sample.result(1.0, distribution="own", p_value=0.3)

    sample = fitting("date_t")
    assert own(sample.at((0, 0))).p_value == 0.3
    refused = own(replace(sample, alternative="less").at((0, 0)))
    assert np.isnan(refused.p_value)
    assert text(refused.reason) == 'n/a, the test has no one-sided p-value (tests.alternative = "less")'


def test_single_tests_are_of_one_firm_event() -> None:
    assert {fitting(name).at((0, 0)).n for name in SINGLE} == {1}
