"""The excess of page 1 by other estimators."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from eventstudy.config import StudyConfig
from eventstudy.errors import Reason
from eventstudy.reversal.estimator import Excess
from eventstudy.reversal.measure import NO_NOTE, Measure, mean_measure
from eventstudy.reversal.permutation import date_sets, matched_permutation
from eventstudy.reversal.study_shocks import Shocks
from eventstudy.reversal.synthetic import Gaps, by_synthetic
from eventstudy.reversal.weights import Weighted, weighted


def robustness(shocks: Shocks, group: str, gaps: Gaps | Reason, config: StudyConfig) -> Iterator[Measure]:
    """Yield the mean excess of one kind of drops by each estimator, whichever the verdict rests on."""
    seed, draws = config.study.seed, config.tests.draws
    yield _by_regression(shocks, group)
    yield _by_weights(shocks, group)
    yield _by_days(shocks, group, config)
    yield _by_sets(shocks, group, draws=draws, seed=seed)
    yield by_synthetic(shocks, group, gaps, config)


def _by_regression(shocks: Shocks, group: str) -> Measure:
    """Return the regression over all comparable falls, or the rank among them."""
    found = shocks.comparison.excess(shocks.counted[group])
    name = "rank" if found.rank else "regression"
    note = Reason(f"note.by_{name}", p=found.p_greater, floor=found.p_floor, n=found.n_controls)
    return _measure("excess_regression", shocks, group, found, found.reason or note)


def _by_weights(shocks: Shocks, group: str) -> Measure:
    """Return the excess over controls weighted to be like the drops."""
    found = weighted(shocks.comparison.of(shocks.counted[group]))
    note = Reason("note.by_weights" if np.isfinite(found.effect) else "note.no_weights")
    return _measure("excess_weighted", shocks, group, found, note)


def _measure(name: str, shocks: Shocks, group: str, found: Excess | Weighted, note: Reason) -> Measure:
    row = Measure(measure=name, group=group, estimate=found.effect, n_dates=_dates(shocks, group), note=note)
    return replace(row, lower=found.lower, upper=found.upper, p_value=found.p_value)


def _dates(shocks: Shocks, group: str) -> int:
    """Dates that the verdict on these drops counts."""
    return len(np.unique(shocks.drops.day0[shocks.counted[group]]))


def _by_days(shocks: Shocks, group: str, config: StudyConfig) -> Measure:
    """Return the calendar-time alpha of the drops over their post windows, times the length of the window.

    Notes
    -----
    Jaffe (1974), Mandelker (1974): on each calendar day d the mean a_d of the abnormal returns of all shocks whose
    post window holds it, each the weighted mean of its peers. The alpha is the mean of a_d over the D days, its error
    s(a_d) / sqrt(D), t(D - 1). Days count alike however many shocks are open, and no control is taken off.
    """
    portfolios, (first, last) = shocks.portfolios, config.windows.post
    abnormal, members = portfolios.abnormal, portfolios.members
    days = (abnormal.tau >= first) & (abnormal.tau <= last)
    sizes = np.diff(np.append(portfolios.starts, len(members)))
    weight = np.repeat(portfolios.peer_weights(config.windows.post)[:, None], int(days.sum()), axis=1)
    ar, day = abnormal.ar[members][:, days], abnormal.panel.event_sessions[members][:, days]
    shock = np.broadcast_to(np.repeat(np.arange(len(portfolios)), sizes)[:, None], ar.shape)
    used = (weight > 0) & np.isfinite(ar) & np.isin(shock, np.flatnonzero(shocks.counted[group]))
    pairs, at = np.unique(np.column_stack([shock[used], day[used]]), axis=0, return_inverse=True)
    value = np.bincount(at.ravel(), weight[used] * ar[used]) / np.bincount(at.ravel(), weight[used])
    number = np.unique(pairs[:, 1], return_inverse=True)[1]
    alpha = (last - first + 1) * np.bincount(number, value) / np.bincount(number) if len(value) else np.zeros(0)
    row = mean_measure("calendar_time_alpha", group, alpha, note=Reason("note.by_days", n=len(alpha)))
    return replace(row, n_dates=_dates(shocks, group))


def _by_sets(shocks: Shocks, group: str, *, draws: int, seed: int) -> Measure:
    """Return the mean over matched placebo sets and the p-value of their permutation."""
    mask = shocks.members[group]
    rows, x = np.flatnonzero(mask), shocks.by_date(shocks.excess, mask)
    post, sets = date_sets(
        shocks.drops.day0[rows], shocks.drops.post[rows], [shocks.benchmarks.placebos(int(k)) for k in rows]
    )
    test = matched_permutation(post, sets, draws=draws, seed=seed)
    note = Reason("note.by_matched", p=test.greater, floor=test.floor) if len(x) else NO_NOTE
    return replace(mean_measure("excess_matched", group, x, note=note), p_value=test.two_sided)
