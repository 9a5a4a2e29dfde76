"""Misread against genuine news: labels permuted over dates, the regression."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from reversal_studies import many

from eventstudy.core.checks.regression import regress
from eventstudy.messages import text
from eventstudy.reversal.contrasts import label_difference, regression


def test_labels_are_permuted_over_dates(tmp_path: Path) -> None:
    _, shocks, _ = many(tmp_path)
    row = label_difference(shocks, shocks.history.config)
    ours = shocks.excess[shocks.asked]
    theirs = shocks.excess[shocks.members["label=genuine"]]
    assert row.estimate == pytest.approx(ours.mean() - theirs.mean())
    assert row.n_dates == len(ours) + len(theirs)
    assert 0 < row.p_value <= 1


def test_the_regression_is_blocked_with_few_shocks_and_says_so(tmp_path: Path) -> None:
    _, shocks, _ = many(tmp_path, 6)
    rows = regression(shocks, shocks.history.config)
    assert [row.measure for row in rows] == [
        "regression_car_drop",
        "regression_misreading",
        "regression_misreading_x_car_drop",
    ]
    assert all(np.isnan(row.estimate) for row in rows)
    assert text(rows[0].note).startswith("n/a: 3 misreading and 3 genuine shocks, needs 3 of each and 10 in all")


def test_the_regression_has_the_drop_centred(tmp_path: Path) -> None:
    _, shocks, _ = many(tmp_path, 12)
    rows = {row.measure: row for row in regression(shocks, shocks.history.config)}
    portfolios = shocks.portfolios
    shock = np.repeat(np.arange(len(portfolios)), [b - a for a, b in portfolios.spans()])
    label = shocks.label[shock]
    kept = np.isin(label, ["misreading", "genuine"]) & shocks.drops.qualifies[shock]
    drop, post = (portfolios.abnormal.car(w)[portfolios.members][kept] for w in ((0, 1), (2, 20)))
    mis = (label[kept] == "misreading").astype(float)
    centred = drop - drop.mean()
    fit = regress(post, np.column_stack([centred, mis, mis * centred]), portfolios.shock_id[shock][kept])
    assert rows["regression_misreading"].estimate == pytest.approx(fit.coefficient[2])
    assert rows["regression_misreading"].p_value == pytest.approx(fit.p_cr2[2])
    plain = np.column_stack([np.ones(len(post)), drop, mis, mis * drop])
    at_mean = np.linalg.lstsq(plain, post, rcond=None)[0]
    assert rows["regression_misreading"].estimate == pytest.approx(at_mean[2] + at_mean[3] * drop.mean())
