"""Tests for long lists: the registered statistics, computed from sums over event days."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eventstudy.core.abnormal import AbnormalReturns, shock_portfolios
from eventstudy.core.checks.multiplicity import days_of
from eventstudy.core.models import ExpectedReturns
from eventstudy.core.statistics import WindowSample
from eventstudy.core.statistics.calendar_time import calendar_returns
from eventstudy.core.statistics.cross_section import mean_residuals
from eventstudy.core.statistics.dates import band_half_width
from eventstudy.core.statistics.overlap import DateOverlap
from eventstudy.core.statistics.rank_tests import generalised_ranks, rank_sums
from eventstudy.core.statistics.sample import members
from eventstudy.core.statistics.signs import positive_share
from eventstudy.errors import Reason
from eventstudy.large.by_model import nameless_panel
from eventstudy.large.days import DaySums, session_correlation
from eventstudy.large.panel import Layout, MarketFit

#: Statistics that are made of figures by firm-event, by date and by day alone: first those that hold
#: their size with many firms on a date and dates whose windows overlap, last those for firms apart.
AT_ANY_SIZE = (
    "date_t",
    "sign_flip",
    "ibragimov_mueller",
    "calendar_time",
    "grank_t",
    "corrado",
    "corrado_zivney",
    "bmp_kp",
    "patell_kp",
    "portfolio_t",
    "bmp",
    "patell",
    "cross_sectional_t",
    "skewness_t",
    "sign",
    "generalized_sign",
    "wilcoxon",
    "grank_z",
)


@dataclass(frozen=True, slots=True)
class AverageReturns:
    """Mean abnormal return by event day, its running sum, and the sum's 95 % band, all (L2,)."""

    n: NDArray[np.int64]
    aar: NDArray[np.float64]
    caar: NDArray[np.float64]
    half_width: NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class DateMeans:
    """Mean abnormal return of each of K dates over a window, the number of firm-events, and how far dates overlap."""

    n: int
    values: NDArray[np.float64]
    overlap: DateOverlap


def window_samples(fit: MarketFit, sums: DaySums, layout: Layout, **settings: Any) -> list[WindowSample]:
    """Return for each window the firm-events with all its days, as input of the statistics.

    A date is one shock: its firm-events form one equally weighted portfolio. The mean residual
    correlation is that of `session_correlation`. ``sums`` are of all firm-events of ``fit``, blocks added up;
    ``settings`` are ``group``, ``seed``, ``draws`` and ``alternative`` of a `WindowSample`.
    """
    return [_window_sample(fit, sums, layout, w, settings) for w in range(len(layout.car))]


def _window_sample(fit: MarketFit, sums: DaySums, layout: Layout, w: int, settings: Mapping[str, Any]) -> WindowSample:
    scar = fit.scar(w)
    kept = np.isfinite(scar)
    n = int(kept.sum())
    abnormal = _without_days(fit.n[kept], layout)
    portfolios = shock_portfolios(abnormal.take(np.zeros(n, dtype=bool)), weighting="equal")
    there = np.isfinite(sums.shock_car[:, w])
    shock_car, variance = sums.shock_car[there, w], sums.shock_variance[there, w]
    overlap = lagged_overlap(sums.date[there], sums.alike[there, w], layout.car[w])
    return WindowSample(
        window=layout.car[w],
        abnormal=abnormal,
        car=fit.car[w][kept],
        variance=fit.variance[w][kept],
        scar=scar[kept],
        rbar=session_correlation(float(sums.pairs[w]), n),
        portfolios=portfolios,
        shock_car=shock_car,
        shock_s=shock_car / np.sqrt(variance),
        overlap=overlap,
        ranks=np.empty((n, 0)),
        given=_of_days(sums, w, n),
        **settings,
    )


def _of_days(sums: DaySums, w: int, n: int) -> dict[Callable[[WindowSample], Any], Any]:
    """Precomputed inputs of the tests that use single days, from sums over firm-events."""
    days, ranked, held = sums.residual_n[w] > 0, sums.generalised_n[w], sums.calendar_n[w] > 0
    varies = n > 1 and sums.generalised[w].any()
    return {
        mean_residuals: sums.residual[w, days] / sums.residual_n[w, days],
        positive_share: float(sums.positive[w] / n) if n else np.nan,
        rank_sums: (sums.rank[w], sums.uniform[w], sums.rank_n[w]),
        generalised_ranks: (sums.generalised[w] / np.maximum(ranked, 1) if varies else None, ranked),
        calendar_returns: sums.calendar[w, held] / sums.calendar_n[w, held],
        members: sums.members[np.isfinite(sums.shock_car[:, w]), w],
        days_of: sums.date[np.isfinite(sums.shock_car[:, w])],
    }


def _without_days(count: NDArray[np.int32], layout: Layout) -> AbnormalReturns:
    """Firm-events with only their degrees of freedom; `_of_days` gives what tests need from single days."""
    n, days = len(count), layout.n_event
    none, no_day, missing = np.empty((n, 0)), np.empty((n, 0, 1)), np.broadcast_to(np.nan, n)
    around = np.broadcast_to(np.nan, (n, days)), np.broadcast_to(np.nan, (n, days, 1))
    panel = nameless_panel((none, no_day), around, layout)
    expected = ExpectedReturns(
        model=layout.model.name,
        loadings=("alpha", "beta"),
        theta=np.broadcast_to(np.nan, (n, 2)),
        estimation_design=np.empty((n, 0, 2)),
        event_design=np.broadcast_to(np.nan, (n, days, 2)),
        xtx_inv=np.broadcast_to(np.nan, (n, 2, 2)),
        residuals=none,
        sigma2=missing,
        dof=count.astype(np.float64) - layout.coefficients,
        n_estimation=count.astype(np.int64),
        r_squared=missing,
        scale=np.broadcast_to(np.nan, (n, days)),
        remark=np.broadcast_to(np.array(Reason(), dtype=object), n),
    )
    return AbnormalReturns(panel, expected)


def average_returns(sums: DaySums, layout: Layout, *, sessions: int) -> AverageReturns:
    """Mean AR by event day of all firm-events, and the running sum's band of `band_half_width`: dates are clusters.

    ``sessions`` is the number of sessions: windows that end after the last one share no session there.
    """
    n = sums.date_n.sum(axis=0)
    with np.errstate(divide="ignore", invalid="ignore"):
        aar = sums.date_ar.sum(axis=0) / n
    total = sums.date_ar - sums.date_n * np.nan_to_num(aar)
    first = int(layout.tau[0])
    overlap = [lagged_overlap(sums.date, sums.grown_alike[:, -1], (first, int(day)), sessions) for day in layout.tau]
    return AverageReturns(n.astype(np.int64), aar, np.cumsum(aar), band_half_width(sums.date_n, total, overlap))


def means_by_day(sums: DaySums, layout: Layout) -> Iterator[tuple[int, DateMeans, DateMeans]]:
    """Yield each event day with the dates' means on it, and those from the first event day to it."""
    first = int(layout.tau[0])
    for at, day in enumerate(layout.tau.tolist()):
        there, grown = sums.date_n[:, at] > 0, sums.grown_n[:, at] > 0
        overlap = lagged_overlap(sums.date[grown], sums.grown_alike[grown, at], (first, day))
        own, summed = (
            sums.date_ar[there, at] / sums.date_n[there, at],
            sums.grown_car[grown, at] / sums.grown_n[grown, at],
        )
        alone = DateOverlap.none(int(there.sum()))
        yield (
            day,
            DateMeans(int(sums.date_n[:, at].sum()), own, alone),
            DateMeans(int(sums.grown_n[:, at].sum()), summed, overlap),
        )


def lagged_overlap(
    position: NDArray[np.intp], alike: NDArray[np.float64], window: tuple[int, int], sessions: int | None = None
) -> DateOverlap:
    """W of dates on one axis of sessions, from their positions and the correlations by distance.

    ``position`` (K,) is the session of each date, ascending; ``alike`` (K, R) the correlation of its portfolio
    with that of the date r sessions later, see `likeness`. Column 0 is not read, and R is at least the
    window's width. Windows are cut at the end of the axis, where its length ``sessions`` is given. Work and memory are
    K times the width.
    """
    width = window[1] - window[0] + 1
    early, late, weight = [], [], []
    for apart in range(1, width):
        at = np.minimum(np.searchsorted(position, position + apart), len(position) - 1)
        rows = np.flatnonzero(position[at] == position + apart)
        early.append(rows)
        late.append(at[rows])
        past = np.maximum(position[rows] + window[1] + 1 - sessions, 0) if sessions else 0
        weight.append(np.maximum(1.0 - (apart + past) / width, 0.0) * alike[rows, apart])
    if not early:
        return DateOverlap.none(len(position))
    return DateOverlap(len(position), np.concatenate(early), np.concatenate(late), np.concatenate(weight))
