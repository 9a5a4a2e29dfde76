"""Differences between the groups of ``tests.group``, from the groups' portfolios on each date."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from scipy import special

from eventstudy.config import Window
from eventstudy.core.abnormal import shock_dates, shock_portfolios
from eventstudy.core.arrays import Bools, Days, Floats
from eventstudy.core.checks.regression import regress
from eventstudy.core.estimation import group_values
from eventstudy.core.statistics import Sample
from eventstudy.core.statistics.overlap import date_overlap
from eventstudy.core.statistics.sample import FEWEST_EFFECTIVE, WindowSample
from eventstudy.errors import EstimationError, Reason
from eventstudy.optional import Parts
from eventstudy.prices.covariates import Covariates
from eventstudy.results.columns import window_name

#: Smallest number of blocks of dates with each group that the regression needs.
FEWEST_SIDE = 3


def difference_rows(
    sample: Sample, own: Covariates, windows: Sequence[Window], parts: Parts
) -> Iterator[dict[str, Any]]:
    """Yield a row for each column of ``tests.group``, each group except the largest, and each window.

    Each group is compared with the one with most firm-events (if there are several, the first by name). A difference
    that cannot be computed is a row with its reason, which is also recorded in ``parts``.
    """
    for column in own.config.tests.group:
        values = group_values(column, sample.abnormal.panel, own.events, own.config, own)
        names, counts = np.unique(values[values != ""], return_counts=True)
        against = str(names[counts.argmax()]) if len(names) else ""
        for name in (str(name) for name in names if name != against):
            for window in windows:
                head = {"column": column, "group": name, "against": against, "window": window_name(window)}
                make = functools.partial(group_difference, sample, values == name, values == against, window)
                yield parts.optional(
                    "group_difference",
                    lambda make=make, head=head: {**head, **make(), "reason": ""},  # type: ignore[misc]
                    lambda why, head=head: {**head, "reason": why},  # type: ignore[misc]
                    of=f"{column}: {name} – {against}",
                )


@dataclass(frozen=True, slots=True)
class _Portfolios:
    """One group's portfolios: CAR and date of each, (K,), and their estimation residuals, (K, L1)."""

    car: Floats
    date: Days
    residual: Floats
    used: Bools


def group_difference(sample: Sample, one: Bools, other: Bools, window: Window) -> dict[str, Any]:
    """Test whether two groups of firm-events have the same mean CAR; return the fields of the table.

    Parameters
    ----------
    sample
        N firm-events.
    one, other : (N,) bool
        The groups; a firm-event is in at most one of them.

    Raises
    ------
    EstimationError
        With too few dates: two are needed if each has both groups, else three with each group.

    Notes
    -----
    Each group has one portfolio on each date, as in the tests over dates. Where every date has both,
    ``paired``: t over the K differences, in which common movements cancel, with the standard error and degrees of
    freedom of `DateOverlap.student`. Else ``dates``: regression of the portfolios' CARs on a
    constant and an indicator of the group, by OLS with CR2 errors and Bell and McCaffrey's (2002) degrees of
    freedom; clusters are dates, or blocks of dates whose windows share sessions. The coefficient is the
    difference of the groups' means over their dates. If all dates have both groups and no windows overlap, both
    methods give the same t with K-1 degrees of freedom.
    """
    both = np.flatnonzero(one | other)
    union = sample.take("both", one | other)
    complete = np.isfinite(union.abnormal.scar(window))
    observed = union.at(window)
    first = one[both][complete]
    if not first.any() or first.all():
        raise EstimationError(Reason("group_difference.empty"))
    date = shock_dates(observed.abnormal.panel)
    sides = [_portfolios(observed, rows, date, sample.weighting) for rows in (first, ~first)]
    common = np.intersect1d(sides[0].date, sides[1].date)
    paired = all(len(side.date) == len(common) for side in sides) and len(common) == observed.k
    estimate, t, df = _paired(observed, *sides) if paired else _by_dates(observed, *sides)
    return {
        "method": "paired" if paired else "dates",
        "estimate": estimate,
        "se": estimate / t if t else float("nan"),
        "t": t,
        "p_value": float(2.0 * special.stdtr(df, -abs(t))),
        "df": df,
        "n_events": int(first.sum()),
        "n_against": int((~first).sum()),
        "n_dates": observed.k,
        "n_common": len(common),
    }


def _portfolios(observed: WindowSample, rows: Bools, date: Days, weighting: str) -> _Portfolios:
    """Return the portfolios of the firm-events in ``rows`` in the order of the dates of both groups."""
    places = np.flatnonzero(rows)
    portfolios = shock_portfolios(observed.abnormal.take(places), weighting=weighting, by="date")
    peers = portfolios.weighted(observed.window)
    dates = date[places[portfolios.members[portfolios.starts]]]
    order = np.argsort(dates, kind="stable")
    car = portfolios.mean_of(observed.car[places], peers.weight)
    return _Portfolios(car[order], dates[order], peers.residual[order], peers.used[order])


def _paired(observed: WindowSample, one: _Portfolios, other: _Portfolios) -> tuple[float, float, float]:
    """Mean difference over the dates, its t and degrees of freedom."""
    assert observed.peers is not None, "a study's own sample has them"
    used = one.used & other.used
    peers = replace(observed.peers, residual=np.where(used, one.residual - other.residual, np.nan), used=used)
    days = observed.abnormal.weights(observed.window) > 0
    overlap = date_overlap(observed.portfolios, peers, days)
    if overlap.k_eff < FEWEST_EFFECTIVE:
        raise EstimationError(Reason("group_difference.worth", k=overlap.k, k_eff=overlap.k_eff))
    return float((one.car - other.car).mean()), *overlap.student(one.car - other.car)


def _by_dates(observed: WindowSample, one: _Portfolios, other: _Portfolios) -> tuple[float, float, float]:
    date = np.concatenate([one.date, other.date])
    block = observed.overlap.blocks[np.searchsorted(observed.portfolios.day0, date)]
    group = np.repeat([1.0, 0.0], [len(one.date), len(other.date)])
    n, m = (len(np.unique(block[group == side])) for side in (1.0, 0.0))
    if min(n, m) < FEWEST_SIDE:
        raise EstimationError(Reason("group_difference.few", n=n, m=m, fewest=FEWEST_SIDE))
    fit = regress(np.concatenate([one.car, other.car]), group[:, None], block, names=("group",), draws=1)
    return float(fit.coefficient[1]), float(fit.coefficient[1] / fit.se_cr2[1]), float(fit.df_cr2[1])
