"""Shocks of one day 0 are one date in every verdict and measure."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from reversal_studies import drop_days, misread, study

from eventstudy.reversal.contrasts import label_difference
from eventstudy.reversal.measures import gates, measures
from eventstudy.reversal.permutation import date_means, date_names, date_sets

DAY0 = np.array([3, 5, 3], dtype=np.int32)


def test_means_and_names_by_date_in_order_of_the_dates() -> None:
    np.testing.assert_allclose(date_means(DAY0, np.array([0.2, 0.5, 0.4])), [0.3, 0.5])
    np.testing.assert_allclose(date_means(DAY0, np.array([[1.0, 2.0], [5.0, 6.0], [3.0, 4.0]])), [[2, 3], [5, 6]])
    np.testing.assert_array_equal(date_means(np.array([9, 4], dtype=np.int32), np.array([1.0, 2.0])), [2.0, 1.0])
    assert date_names(DAY0, np.array(["B", "C", "A"])) == ["B, A", "C"]


def test_a_dates_placebos_are_those_of_all_its_shocks_about_their_common_mean() -> None:
    placebos = [np.array([0.0, 0.2]), np.array([0.1, 0.3]), np.array([0.3, 0.5, 0.7])]
    post, sets = date_sets(DAY0, np.array([0.2, 0.5, 0.4]), placebos)
    np.testing.assert_allclose(post, [0.3, 0.5])
    # Means 0.1 and 0.5: both are moved to 0.3, and the excess is the mean of 0.1 and -0.1.
    np.testing.assert_allclose(sets[0], [0.2, 0.4, 0.1, 0.3, 0.5])
    assert post[0] - sets[0].mean() == pytest.approx(0.0)
    np.testing.assert_array_equal(sets[1], placebos[1])


def test_two_shocks_of_one_day_count_once_in_the_verdict(tmp_path: Path) -> None:
    first, second = drop_days(2)
    rows = [misread("A", first, tickers="AAA;BBB"), misread("B", first, tickers="CCC"), misread("C", second)]
    rows[1] = rows[1].replace(f"misreading,{first},", f"misreading,{first},S")
    _, shocks = study(tmp_path, rows, "reversal.share_negative=0.1", "reversal.drop_k=0.1", "reversal.drop_min=0.0001")
    assert shocks.drops.shock_id.tolist() == ["A", "S", "C"]
    assert shocks.drops.overlaps == ("", "", "")
    assert shocks.asked.tolist() == [True, True, True]
    x = shocks.excess
    assert shocks.verdict.n_dates == 2
    assert shocks.verdict.effect == pytest.approx((x[:2].mean() + x[2]) / 2, rel=1e-12)
    found = {m.measure: m for m in measures(shocks, [], shocks.history.config) if m.group == "label=misreading"}
    assert {found[name].n_dates for name in ("car_drop", "car_post", "excess_post", "share_positive")} == {2}
    drop = shocks.drops.drop
    assert found["car_drop"].estimate == pytest.approx((drop[:2].mean() + drop[2]) / 2, rel=1e-12)
    step = gates(shocks, label_difference(shocks, shocks.history.config), shocks.history.config)[0]
    assert step.estimate == pytest.approx(found["car_drop"].estimate, rel=1e-12)
