"""The tests of any number of firm-events: the registered statistics on sums in place of days."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import special

from eventstudy.core.abnormal import AbnormalReturns, shock_portfolios
from eventstudy.core.models import ExpectedReturns
from eventstudy.core.statistics import STATISTICS, DayFigures, TestResult, WindowSample
from eventstudy.core.statistics.overlap import lagged_overlap
from eventstudy.core.statistics.ranks import EventRanks
from eventstudy.core.windows import EventPanel
from eventstudy.errors import ConfigError, nearest
from eventstudy.large.days import DaySums, session_correlation
from eventstudy.large.panel import Layout, MarketFit

#: Statistics that are made of figures by firm-event, by date and by day alone: first those that hold
#: their size with many firms on a date and dates whose windows overlap, last those for firms apart.
AT_ANY_SIZE = (
    "date_t",
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


def run_battery(
    fit: MarketFit, sums: DaySums, layout: Layout, *, group: str = "all", names: Sequence[str] = AT_ANY_SIZE
) -> list[TestResult]:
    """Run the named statistics on every window of one group.

    Parameters
    ----------
    fit : MarketFit
        Of all firm-events of the group; those without a window are in none of its tests.
    sums : DaySums
        Of the same firm-events, all blocks added up.

    Notes
    -----
    A date is one information shock: its firm-events are one equally weighted portfolio. The mean
    residual correlation is that of `session_correlation`.

    Raises
    ------
    ConfigError
        For a name that is not in `AT_ANY_SIZE`, with the nearest one.
    """
    for name in names:
        if name not in AT_ANY_SIZE:
            raise ConfigError(f"tests.names: {name!r} is no market-wide test; {nearest(name, AT_ANY_SIZE)}")
    samples = [window_sample(fit, sums, layout, w, group=group) for w in range(len(layout.car))]
    return [STATISTICS[name](sample) for sample in samples for name in names]


def window_sample(
    fit: MarketFit, sums: DaySums, layout: Layout, w: int, *, group: str = "all"
) -> WindowSample:
    """Return the firm-events that have the window complete, as the statistics see them."""
    scar = fit.scar(w)
    kept = np.isfinite(scar)
    n = int(kept.sum())
    abnormal = _without_days(fit.dof[kept], layout)
    portfolios = shock_portfolios(abnormal.take(np.zeros(n, dtype=bool)), weighting="equal")
    there = np.isfinite(sums.shock_car[:, w])
    shock_car, variance = sums.shock_car[there, w], sums.shock_variance[there, w]
    overlap = lagged_overlap(sums.date[there], sums.alike[there, w], layout.car[w])
    ranks = EventRanks(np.empty((n, 0)), np.empty(0, dtype=np.int64))
    return WindowSample(
        group=group,
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
        ranks=ranks,
        seed=0,
        draws=0,
        days=_day_figures(sums, w, n),
    )


def _day_figures(sums: DaySums, w: int, n: int) -> DayFigures:
    days, ranked, held = sums.residual_n[w] > 0, sums.generalised_n[w], sums.calendar_n[w] > 0
    varies = n > 1 and sums.generalised[w].any()
    return DayFigures(
        residual=sums.residual[w, days] / sums.residual_n[w, days],
        positive=float(sums.positive[w] / n) if n else np.nan,
        rank=sums.rank[w],
        uniform=sums.uniform[w],
        rank_n=sums.rank_n[w],
        generalised=sums.generalised[w] / np.maximum(ranked, 1) if varies else None,
        generalised_n=ranked,
        calendar=sums.calendar[w, held] / sums.calendar_n[w, held],
        members=sums.members[np.isfinite(sums.shock_car[:, w]), w],
    )


def _without_days(dof: NDArray[np.float64], layout: Layout) -> AbnormalReturns:
    """Firm-events of which only the degrees of freedom are held; their days are in `DayFigures`."""
    n, days = len(dof), layout.n_event
    none, text = np.empty((n, 0)), np.broadcast_to(np.array("", dtype=np.str_), n)
    no_day, no_session = np.empty((n, 0, 0)), np.empty((n, 0), dtype=np.int32)
    panel = EventPanel(
        event_id=text,
        shock_id=text,
        ticker=text,
        market=text,
        region=text,
        lead=np.broadcast_to(np.True_, n),
        tau=layout.tau,
        estimation_returns=none,
        estimation_factors=no_day,
        estimation_sessions=no_session,
        event_returns=np.broadcast_to(np.nan, (n, days)),
        event_factors=np.broadcast_to(np.nan, (n, days, 1)),
        event_sessions=np.broadcast_to(np.int32(0), (n, days)),
        event_flags=np.broadcast_to(np.uint8(0), (n, days)),
    )
    missing = np.broadcast_to(np.nan, n)
    expected = ExpectedReturns(
        model="market",
        loadings=("alpha", "beta"),
        theta=np.broadcast_to(np.nan, (n, 2)),
        estimation_design=no_day,
        event_design=np.broadcast_to(np.nan, (n, days, 2)),
        xtx_inv=np.broadcast_to(np.nan, (n, 2, 2)),
        residuals=none,
        sigma2=missing,
        dof=dof,
        n_estimation=(dof + 2).astype(np.int64),
        r_squared=missing,
        scale=np.broadcast_to(np.nan, (n, days)),
        remark=text,
    )
    return AbnormalReturns(panel, expected)


def average_returns(sums: DaySums) -> AverageReturns:
    """Mean AR by event day of all firm-events, and the running sum's band with dates as clusters.

    The influence of a date on the CAAR up to a day is the sum over its firm-events of (AR - AAR)/n,
    accumulated over the days (Cameron and Miller 2015, eq. 12 for a mean); t with K-1 degrees of freedom.
    """
    n = sums.date_n.sum(axis=0)
    dates = len(sums.date)
    with np.errstate(divide="ignore", invalid="ignore"):
        aar = sums.date_ar.sum(axis=0) / n
        influence = (sums.date_ar - sums.date_n * aar) / n
    half = np.full(len(n), np.nan)
    if dates > 1:
        variance = dates / (dates - 1) * (np.cumsum(influence, axis=1) ** 2).sum(axis=0)
        half = special.stdtrit(dates - 1, 0.975) * np.sqrt(variance)
    return AverageReturns(n.astype(np.int64), aar, np.cumsum(aar), half)
