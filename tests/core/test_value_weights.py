"""Means by value: firm-events weigh by their size in every mean, and tests that cannot are refused."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray
from test_statistics_contract import NAMES, fitting, panel_of, sample_of

from eventstudy.core.abnormal import shock_portfolios
from eventstudy.core.statistics import STATISTICS, Sample
from eventstudy.messages import text
from eventstudy.results.tables import _aar_columns

ALIKE = ("skewness_t", "corrado", "corrado_zivney", "grank_t", "grank_z", "wilcoxon", "sign", "generalized_sign")
#: Statistics that weigh every firm-event alike, whatever its value.
REFUSED = {*ALIKE, "bootstrap"}


def by_value(sample: Sample, weight: NDArray[np.float64]) -> Sample:
    panel = replace(sample.abnormal.panel, weight=weight)
    return replace(sample, abnormal=replace(sample.abnormal, panel=panel), weighting="value")


def drawn(seed: int = 3) -> tuple[Sample, NDArray[np.float64]]:
    """Twelve dates with three peers, and their sizes over two powers of ten."""
    sample = sample_of(panel_of(seed))
    weight = 10 ** np.random.default_rng(seed).uniform(0, 2, len(sample.abnormal))
    return by_value(sample, weight), weight / weight.sum()


@pytest.mark.parametrize("name", NAMES)
def test_weights_that_are_alike_change_nothing(name: str) -> None:
    plain = fitting(name)
    alike = by_value(plain, np.full(len(plain.abnormal), 250.0))
    expected = STATISTICS[name](replace(plain, weighting="equal").at((0, 1 if name != "ar_t" else 0)))
    found = STATISTICS[name](alike.at((0, 1 if name != "ar_t" else 0)))
    if name in REFUSED:
        assert (
            text(found.reason)
            == "n/a, the test gives all firm-events the same weight, but means are weighted by value (tests.weights)"
        )
        return
    assert found.statistic == pytest.approx(expected.statistic, rel=1e-11)
    assert found.estimate == pytest.approx(expected.estimate, rel=1e-11)
    assert found.p_value == pytest.approx(expected.p_value, rel=1e-9)


def test_pooled_statistics_by_loops() -> None:
    sample, w = drawn()
    at = sample.at((0, 1))
    n, car, scar, dof = at.n, at.car, at.scar, at.abnormal.expected.dof
    squares = math.fsum(x * x for x in w)

    def ratio(values: NDArray[np.float64]) -> tuple[float, float]:
        mean = math.fsum(w[i] * values[i] for i in range(n))
        variance = n / (n - 1) * math.fsum((w[i] * (values[i] - mean)) ** 2 for i in range(n))
        return mean, mean / math.sqrt(variance)

    plain = STATISTICS["cross_sectional_t"](at)
    assert (plain.estimate, plain.statistic) == pytest.approx(ratio(car), rel=1e-12)
    bmp = ratio(scar)[1]
    assert STATISTICS["bmp"](at).statistic == pytest.approx(bmp, rel=1e-12)
    kp = math.sqrt((1 - at.rbar) / (1 + (1 / squares - 1) * at.rbar))
    assert STATISTICS["bmp_kp"](at).statistic == pytest.approx(bmp * kp, rel=1e-12)
    z = math.fsum(w * scar) / math.sqrt(math.fsum(w[i] ** 2 * dof[i] / (dof[i] - 2) for i in range(n)))
    assert STATISTICS["patell"](at).statistic == pytest.approx(z, rel=1e-12)
    patell_kp = z / math.sqrt(1 + (1 / squares - 1) * at.rbar)
    assert STATISTICS["patell_kp"](at).statistic == pytest.approx(patell_kp, rel=1e-12)
    bhar = at.abnormal.bhar((0, 1))
    assert STATISTICS["bhar_t"](at).statistic == pytest.approx(ratio(bhar)[1], rel=1e-12)


def test_portfolios_by_loops() -> None:
    """Of a date by its peers' sizes; dates weigh alike. The series of days is the whole sample's by size."""
    sample, w = drawn()
    at = sample.at((0, 1))
    shocks = at.abnormal.panel.shock_id
    dates = [np.flatnonzero(shocks == name) for name in dict.fromkeys(shocks.tolist())]
    expected = [math.fsum(w[rows] * at.car[rows]) / math.fsum(w[rows]) for rows in dates]
    np.testing.assert_allclose(at.shock_car, expected, rtol=1e-12)
    t = np.mean(expected) / (np.std(expected, ddof=1) / math.sqrt(len(expected)))
    assert STATISTICS["ibragimov_mueller"](at).statistic == pytest.approx(t, rel=1e-12)
    residuals = at.abnormal.expected.residuals
    days = [math.fsum(w * residuals[:, t]) for t in range(residuals.shape[1])]
    caar = math.fsum(w * at.car)
    portfolio = caar / (np.std(days, ddof=1) * math.sqrt(2))
    assert STATISTICS["portfolio_t"](at).statistic == pytest.approx(portfolio, rel=1e-11)
    daily = [math.fsum(w[rows] * at.abnormal.ar[rows, day]) / math.fsum(w[rows]) for rows in dates for day in (2, 3)]
    assert STATISTICS["calendar_time"](at).estimate == pytest.approx(np.mean(daily), rel=1e-11)


def test_average_returns_by_loops() -> None:
    sample, w = drawn()
    ar = sample.abnormal.ar.copy()
    sample.abnormal.panel.event_returns[0, 4] = np.nan
    found = _aar_columns(sample)
    for day in range(ar.shape[1]):
        rows = range(day == 4, len(ar))
        mean = math.fsum(w[i] * ar[i, day] for i in rows) / math.fsum(w[i] for i in rows)
        assert found["aar"][day] == pytest.approx(mean, rel=1e-12)
    assert found["n"].tolist() == [len(ar) - (day == 4) for day in range(ar.shape[1])]
    assert (found["upper"] > found["lower"]).all()


def test_a_portfolio_leaves_out_peers_without_the_window() -> None:
    sample, w = drawn()
    sample.abnormal.panel.event_returns[1, 2] = np.nan
    weight = shock_portfolios(sample.abnormal, weighting="value").peer_weights((0, 0))
    assert weight[:3] == pytest.approx([w[0] / (w[0] + w[2]), 0.0, w[2] / (w[0] + w[2])], rel=1e-12)
