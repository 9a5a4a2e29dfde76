"""Adjusted p-values: by hand, against statsmodels, and their place in a study."""

from __future__ import annotations

import numpy as np
import pytest
from panels import make_panel
from statsmodels.stats.multitest import multipletests

from eventstudy.core.abnormal import abnormal_returns
from eventstudy.core.models import fit
from eventstudy.core.statistics import Sample, residual_correlations, run_tests
from eventstudy.core.statistics.dates import signs_of
from eventstudy.results.multiplicity import (
    adjust,
    benjamini_hochberg,
    benjamini_yekutieli,
    holm,
    romano_wolf,
    shock_matrix,
)

P = np.array([0.04, np.nan, 0.001, 0.03, 0.2, 0.03])


@pytest.mark.parametrize(
    ("method", "ours"),
    [("holm", holm), ("fdr_bh", benjamini_hochberg), ("fdr_by", benjamini_yekutieli)],
    ids=["holm", "bh", "by"],
)
def test_against_statsmodels_with_missing_ones_kept(method: str, ours: object) -> None:
    there = np.isfinite(P)
    adjusted = ours(P)  # type: ignore[operator]
    np.testing.assert_allclose(adjusted[there], multipletests(P[there], method=method)[1], rtol=1e-13)
    assert np.isnan(adjusted[~there]).all()


def test_holm_by_hand() -> None:
    np.testing.assert_allclose(holm(np.array([0.03, 0.01, 0.04])), [0.06, 0.03, 0.06], rtol=1e-14)


def test_nothing_to_adjust() -> None:
    assert np.isnan(holm(np.array([np.nan, np.nan]))).all()
    assert len(benjamini_hochberg(np.array([]))) == 0


def test_romano_wolf_of_one_endpoint_is_the_sign_flip_p() -> None:
    values = np.random.default_rng(1).normal(0.6, 1, (8, 1))
    signs = signs_of(8, 99, 1)
    share = (np.abs(signs @ values[:, 0]) >= abs(values.sum()) * (1 - 1e-12)).mean()
    assert romano_wolf(values, signs)[0] == share


def test_romano_wolf_of_copies_is_not_penalised_and_of_strangers_is() -> None:
    rng = np.random.default_rng(4)
    first = rng.normal(0.8, 1, (10, 1))
    signs = signs_of(10, 99, 1)
    alone = romano_wolf(first, signs)[0]
    np.testing.assert_array_equal(romano_wolf(np.hstack([first] * 3), signs), [alone] * 3)
    with_noise = romano_wolf(np.hstack([first, rng.normal(0, 1, (10, 4))]), signs)
    assert with_noise[0] > alone


def test_romano_wolf_holds_the_chance_of_any_false_rejection() -> None:
    """Six independent endpoints without effect: some raw p is below 5 % in 26 %, an adjusted one in 5 %."""
    rng = np.random.default_rng(6)
    signs = signs_of(10, 99, 1)
    raw, adjusted = 0, 0
    for _ in range(400):
        values = rng.normal(0, 1, (10, 6))
        raw += min(romano_wolf(values[:, [j]], signs)[0] for j in range(6)) <= 0.05
        adjusted += romano_wolf(values, signs).min() <= 0.05
    assert 0.20 < raw / 400 < 0.33
    assert 0.02 < adjusted / 400 < 0.08


def study_sample() -> Sample:
    rng = np.random.default_rng(2)
    length, shocks = 60 + 12, 7
    market = rng.normal(0, 0.01, length)
    returns = market + rng.normal(0, 0.02, (shocks * 3, length))
    panel = make_panel(
        returns,
        market,
        n_estimation=60,
        shock_id=np.repeat([f"S{k}" for k in range(shocks)], 3).tolist(),
        starts=np.repeat(18_000 + 100 * np.arange(shocks), 3).tolist(),
    )
    panel.event_returns[:3, -1] = np.nan
    abnormal = abnormal_returns(panel, fit(panel))
    return Sample(
        group="all",
        abnormal=abnormal,
        correlations=residual_correlations(abnormal.expected.residuals, panel.estimation_sessions),
    )


def test_the_family_of_a_statistic_is_its_windows() -> None:
    sample, windows = study_sample(), ((0, 0), (0, 1), (2, 9))
    results = run_tests([sample], windows)
    rows = {(row.name, row.window): row for row in adjust(list(sample.each(windows)), results)}
    raw = {(r.name, r.window): r.p_value for r in results}
    p = np.array([raw["bmp", window] for window in windows])
    np.testing.assert_array_equal([rows["bmp", window].holm for window in windows], holm(p))
    assert all(np.isnan(rows["bmp", window].romano_wolf) for window in windows)
    stepped = romano_wolf(shock_matrix(list(sample.each(windows)))[0], signs_of(7, sample.draws, sample.seed))
    np.testing.assert_array_equal([rows["date_t", window].romano_wolf for window in windows], stepped)
    np.testing.assert_array_equal([rows["sign_flip", window].romano_wolf for window in windows], stepped)
    assert all(np.isnan(rows["car_t", window].holm) for window in windows)


def test_a_shock_without_a_window_is_missing_there_only() -> None:
    matrix, _ = shock_matrix(list(study_sample().each(((0, 1), (2, 9)))))
    assert np.isfinite(matrix[:, 0]).all()
    assert np.isnan(matrix[0, 1])
    assert np.isfinite(matrix[1:, 1]).all()
