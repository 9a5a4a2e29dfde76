"""The difference of two groups' mean CARs, by the portfolios that they have on each date."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from scipy import special

from eventstudy.core.abnormal import shock_dates, shock_portfolios
from eventstudy.core.arrays import Bools, Days, Floats
from eventstudy.core.checks.regression import regress
from eventstudy.core.statistics import Sample
from eventstudy.core.statistics.overlap import date_overlap
from eventstudy.core.statistics.sample import FEWEST_EFFECTIVE, WindowSample
from eventstudy.errors import EstimationError, Reason

#: Blocks of dates that the regression needs with either group.
FEWEST_SIDE = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupDifference:
    """Mean CAR of one group's date portfolios less that of another's, tested against zero.

    ``method`` is ``paired`` or ``dates``, see `group_difference`; ``n_common`` dates have both groups.
    """

    method: str
    estimate: float
    se: float
    t: float
    p_value: float
    df: float
    n_events: int
    n_against: int
    n_dates: int
    n_common: int


@dataclass(frozen=True, slots=True)
class _Portfolios:
    """One group's portfolios: CAR and date of each, (K,), and their estimation residuals, (K, L1)."""

    car: Floats
    date: Days
    residual: Floats
    used: Bools


def group_difference(sample: Sample, one: Bools, other: Bools, window: tuple[int, int]) -> GroupDifference:
    """Test whether two groups of firm-events have the same mean CAR.

    Parameters
    ----------
    sample
        N firm-events.
    one, other : (N,) bool
        The groups; a firm-event is in one of them at most.

    Raises
    ------
    EstimationError
        For dates too few or too much alike: two where each has both groups, else three on either side.

    Notes
    -----
    Each group has one portfolio on each date, as in the tests over dates. Where every date has both,
    ``paired``: t over the K differences of a date, in which what moves both groups cancels, with the
    standard error and degrees of freedom of `DateOverlap.student`. Else ``dates``: the portfolios' CARs on a
    constant and an indicator of the group, by OLS with CR2 errors and Bell and McCaffrey's (2002) degrees of
    freedom; clusters are dates, or blocks of dates whose windows share sessions. The coefficient is the
    difference of the groups' means over their dates. With all dates paired and none overlapping both are
    the same t with K-1 degrees of freedom.
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
    found = _paired(observed, *sides) if paired else _by_dates(observed, *sides)
    n_events, n_against = int(first.sum()), int((~first).sum())
    return replace(found, n_events=n_events, n_against=n_against, n_dates=observed.k, n_common=len(common))


def _portfolios(observed: WindowSample, rows: Bools, date: Days, weighting: str) -> _Portfolios:
    """Return the portfolios of the firm-events in ``rows`` in the order of the dates of both groups."""
    places = np.flatnonzero(rows)
    portfolios = shock_portfolios(observed.abnormal.take(places), weighting=weighting, by="date")
    peers = portfolios.weighted(observed.window)
    dates = date[places[portfolios.members[portfolios.starts]]]
    order = np.argsort(dates, kind="stable")
    car = portfolios.mean_of(observed.car[places], peers.weight)
    return _Portfolios(car[order], dates[order], peers.residual[order], peers.used[order])


def _paired(observed: WindowSample, one: _Portfolios, other: _Portfolios) -> GroupDifference:
    assert observed.peers is not None, "a study's own sample has them"
    used = one.used & other.used
    peers = replace(observed.peers, residual=np.where(used, one.residual - other.residual, np.nan), used=used)
    days = observed.abnormal.weights(observed.window) > 0
    overlap = date_overlap(observed.portfolios, peers, days)
    if overlap.k_eff < FEWEST_EFFECTIVE:
        raise EstimationError(Reason("group_difference.worth", k=overlap.k, k_eff=overlap.k_eff))
    t, df = overlap.student(one.car - other.car)
    return _found("paired", float((one.car - other.car).mean()), t, df)


def _by_dates(observed: WindowSample, one: _Portfolios, other: _Portfolios) -> GroupDifference:
    date = np.concatenate([one.date, other.date])
    block = observed.overlap.blocks[np.searchsorted(observed.portfolios.day0, date)]
    group = np.repeat([1.0, 0.0], [len(one.date), len(other.date)])
    fit = regress(np.concatenate([one.car, other.car]), group[:, None], block, fewest=FEWEST_SIDE, draws=1)
    return _found("dates", float(fit.coefficient[1]), float(fit.coefficient[1] / fit.se_cr2[1]), float(fit.df_cr2[1]))


def _found(method: str, estimate: float, t: float, df: float) -> GroupDifference:
    return GroupDifference(
        method=method,
        estimate=estimate,
        se=estimate / t if t else float("nan"),
        t=t,
        p_value=float(2.0 * special.stdtr(df, -abs(t))),
        df=df,
        n_events=0,
        n_against=0,
        n_dates=0,
        n_common=0,
    )
