"""The excess of page 1 by other estimators."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from eventstudy.config import StudyConfig
from eventstudy.core.statistics.dates import t_interval
from eventstudy.errors import Reason
from eventstudy.reversal.estimator import Excess, estimate
from eventstudy.reversal.measure import NAN, NO_NOTE, Measure
from eventstudy.reversal.permutation import date_sets, matched_permutation
from eventstudy.reversal.shocks import Shocks


def robustness(shocks: Shocks, group: str, config: StudyConfig) -> Iterator[Measure]:
    """Yield the mean excess of one kind of drops by each estimator, whichever the verdict rests on."""
    seed, draws = config.study.seed, config.tests.draws
    found = estimate(shocks.falls.of(shocks.counted[group]), draws=draws, seed=seed)
    yield _by_regression(found, shocks, group)
    yield _by_sets(shocks, group, draws=draws, seed=seed)


def _by_regression(found: Excess, shocks: Shocks, group: str) -> Measure:
    """Return the regression over all comparable falls, or the rank among them."""
    name = "rank" if found.rank else "regression"
    note = Reason(f"note.by_{name}", p=found.p_greater, floor=found.p_floor, n=found.n_controls)
    return Measure(
        measure="excess_regression",
        group=group,
        estimate=found.effect,
        lower=found.lower,
        upper=found.upper,
        p_value=found.p_value,
        n_dates=len(np.unique(shocks.drops.day0[shocks.counted[group]])),
        note=found.reason or note,
    )


def _by_sets(shocks: Shocks, group: str, *, draws: int, seed: int) -> Measure:
    """Return the mean over matched placebo sets and the p-value of their permutation."""
    mask = shocks.members[group]
    rows, x = np.flatnonzero(mask), shocks.by_date(shocks.excess, mask)
    post, sets = date_sets(
        shocks.drops.day0[rows], shocks.drops.post[rows], [shocks.benchmarks.placebos(int(k)) for k in rows]
    )
    test, (low, high) = matched_permutation(post, sets, draws=draws, seed=seed), t_interval(x)
    mean = float(x.mean()) if len(x) else NAN
    note = Reason("note.by_matched", p=test.greater, floor=test.floor) if len(x) else NO_NOTE
    return Measure(
        measure="excess_matched",
        group=group,
        estimate=mean,
        lower=low,
        upper=high,
        p_value=test.two_sided,
        n_dates=len(x),
        note=note,
    )
