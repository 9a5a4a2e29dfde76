"""How often tests reject a true null when eight peers share their event dates."""

from __future__ import annotations

import numpy as np
import pytest
from panels import make_panel

from eventstudy.core.abnormal import abnormal_returns
from eventstudy.core.models import fit
from eventstudy.core.statistics import STATISTICS, Sample

L1, SHOCKS, PEERS, CORRELATION = 240, 10, 8, 0.4
DRAWS, BATCH = 2_000, 50
WINDOW = (0, 1)
NAMES = ("date_t", "sign_flip", "cross_sectional_t")


def rejections(
    seed: int,
    *,
    common_scale: float = 1.0,
    shocks: int = SHOCKS,
    correlation: float = CORRELATION,
    row_a_firm: bool = False,
) -> dict[str, float]:
    """Share of studies without any effect in which each test has p <= 5 %.

    t5 errors; ``common_scale`` multiplies the peers' common shock on the event days. With ``row_a_firm``
    every firm-event is a shock of its own, as in a list with one row a firm and ids of its own.
    """
    rng = np.random.default_rng(seed)
    counts = dict.fromkeys(NAMES, 0)
    size, length = shocks * PEERS, L1 + 4
    for _ in range(DRAWS // BATCH):
        dates = BATCH * shocks
        market = np.repeat(rng.normal(0.0005, 0.01, (dates, length)), PEERS, axis=0)
        common = rng.standard_t(5, (dates, length))
        common[:, L1:] *= common_scale
        own = rng.standard_t(5, (dates * PEERS, length))
        error = np.sqrt(correlation) * np.repeat(common, PEERS, axis=0) + np.sqrt(1 - correlation) * own
        name = [f"S{d:04d}" for d in range(dates)]
        panel = make_panel(
            1.1 * market + 0.02 * error,
            market,
            n_estimation=L1,
            shock_id=[f"{d}-{k}" if row_a_firm else d for d in name for k in range(PEERS)],
            starts=np.repeat(18_000 + 400 * np.arange(dates), PEERS).tolist(),
        )
        abnormal = abnormal_returns(panel, fit(panel))
        for first in range(0, len(panel), size):
            study = abnormal.take(np.arange(first, first + size))
            # No test here uses the residual correlations.
            observed = Sample(group="all", abnormal=study, correlations=np.zeros((size, size))).at(WINDOW)
            for name in NAMES:
                counts[name] += STATISTICS[name](observed).p_value <= 0.05
    return {name: count / DRAWS for name, count in counts.items()}


@pytest.mark.slow
def test_tests_over_dates_keep_their_size_and_the_cross_sectional_t_does_not() -> None:
    rates = rejections(7)
    # 5 % within 2.7 Monte Carlo errors of 0.49 points.
    assert 0.037 <= rates["date_t"] <= 0.063, rates
    assert 0.037 <= rates["sign_flip"] <= 0.063, rates
    assert rates["cross_sectional_t"] > 0.20, rates


@pytest.mark.slow
def test_tests_over_dates_keep_their_size_when_common_volatility_doubles() -> None:
    rates = rejections(8, common_scale=2.0)
    assert 0.037 <= rates["date_t"] <= 0.063, rates
    assert 0.037 <= rates["sign_flip"] <= 0.063, rates
    assert rates["cross_sectional_t"] > 0.30, rates


@pytest.mark.slow
def test_tests_over_dates_keep_their_size_with_one_row_a_firm() -> None:
    """Six dates of eight firms: with a firm for a date these tests rejected a third of true nulls."""
    rates = rejections(9, shocks=6, correlation=0.5, row_a_firm=True)
    assert 0.035 <= rates["date_t"] <= 0.065, rates
    assert 0.015 <= rates["sign_flip"] <= 0.065, rates
    assert rates["cross_sectional_t"] > 0.20, rates
