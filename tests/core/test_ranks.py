"""Ranks within rows against scipy's, row by row."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import rankdata

from eventstudy.core.arrays import row_ranks


@pytest.mark.parametrize("digits", [15, 1, 0])
def test_ranks_are_scipys_with_missing_days_and_ties(digits: int) -> None:
    rng = np.random.default_rng(digits)
    values = rng.standard_normal((12, 60)).round(digits)
    values[rng.random(values.shape) < 0.2] = np.nan
    values[3], values[4, :-1], values[5] = np.nan, np.nan, 0.0
    found = row_ranks(values)
    for row, ranks in zip(values, found, strict=True):
        there = np.isfinite(row)
        np.testing.assert_array_equal(ranks[there], rankdata(row[there]))
        assert np.isnan(ranks[~there]).all()
