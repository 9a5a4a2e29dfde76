"""Rank tests: event days ranked among the estimation days of the same firm-event."""

from __future__ import annotations

import functools

import numpy as np

from eventstudy.core.arrays import Bools, Counts, Floats, row_ranks
from eventstudy.core.statistics.sample import Tails, TestResult, WindowSample, statistic
from eventstudy.errors import Reason

NO_EXTREME_RANK = "event days rank among the estimation days like any other"
MEDIAN_ZERO = "the CARs are distributed symmetrically about zero"
#: Up to this many firm-events without ties the signed-rank test is exact.
EXACT_WILCOXON = 50


@statistic("corrado", null=NO_EXTREME_RANK, source="Corrado 1989", minimum=2)
def corrado(sample: WindowSample) -> TestResult:
    """Rank test: mean rank deviation of the event days over its standard deviation over all days.

    Notes
    -----
    K_it is the rank of AR_it among the M_i days of the estimation window and the event window
    (``windows.event``). d_t is the mean of K_it - (M_i+1)/2 over the N_t firm-events with a return on day t, S
    = sqrt(mean_t d_t^2) over all T days, and Z = sum_{t in window} d_t / (S sqrt(W)), standard normal. All days
    of ``windows.event`` are ranked, so a longer event window changes p, even for the same tested window.
    Differences from the paper: windows of several days (the sum over sqrt(W), Cowan 1992), and N_t may differ
    between days. With overlapping windows Z is divided by sqrt(n'Wn/n'n), see `DateOverlap`, because event days
    of one date are then also days of another. This is conservative, since the ranks of a firm-event sum to zero
    over all its days.
    """
    total, _, ranked = sample.once(rank_sums)
    return _of_days(sample, total, ranked)


@statistic("corrado_zivney", null=NO_EXTREME_RANK, source="Corrado and Zivney 1992", minimum=2)
def corrado_zivney(sample: WindowSample) -> TestResult:
    """Rank test with uniform ranks, for firm-events with different numbers of days.

    Notes
    -----
    U_it = K_it/(1+M_i) - 1/2, d_t = sum_i U_it / sqrt(N_t), S = sqrt(mean_t d_t^2) and Z = sum_{t in window}
    d_t / (S sqrt(W)), standard normal. Ranked days and overlapping windows as in `corrado`.
    """
    _, total, ranked = sample.once(rank_sums)
    return _of_days(sample, total, np.sqrt(ranked))


def rank_sums(sample: WindowSample) -> tuple[Floats, Floats, Counts]:
    """Sums by day of the firm-events' K - (M+1)/2 and K/(1+M) - 1/2, and the number ranked, all (L1+L2,)."""
    rank = sample.ranks
    days = np.isfinite(rank).sum(axis=1)[:, None]
    deviation, uniform = (np.nan_to_num(centred) for centred in (rank - (days + 1) / 2, rank / (1 + days) - 0.5))
    return deviation.sum(axis=0), uniform.sum(axis=0), np.isfinite(rank).sum(axis=0)


def _of_days(sample: WindowSample, total: Floats, divisor: Floats | Counts) -> TestResult:
    """Z of the window's days from the sums over firm-events and their divisors, both (L1+L2,)."""
    present = divisor > 0
    day = total / np.where(present, divisor, 1)
    spread = np.sqrt((day[present] ** 2).mean())
    inside = np.flatnonzero(sample.abnormal.weights(sample.window)) + len(day) - len(sample.abnormal.tau)
    if not spread > 0:
        return sample.refuse(Reason("not_tested.ranks_alike"))
    error = spread * np.sqrt(len(inside) * sample.inflation)
    return sample.result(day[inside].sum() / error, distribution="normal")


@statistic("grank_t", null=NO_EXTREME_RANK, source="Kolari and Pynnönen 2011", minimum=2)
def grank_t(sample: WindowSample) -> TestResult:
    """Generalised rank t: ranks the CAR as one more day among the standardised residuals, t(T-2).

    Notes
    -----
    GSAR_it = e_it/s_i on the L estimation days. The one event column is SCAR_i over its cross-sectional
    standard deviation. U_it = rank/(M_i+1) - 1/2 over T = L+1 columns, Ubar_t is its mean over the N_t
    firm-events with a value, S = sqrt(mean_t (N_t/N) Ubar_t^2), Z = Ubar_0/S and t = Z sqrt((T-2)/(T-1-Z^2)).
    It allows for correlation on common dates. With one date and few firm-events it still rejects about twice
    too often, and more if common volatility rises. With overlapping windows Z is divided by sqrt(n'Wn/n'n), see
    `DateOverlap`.
    """
    mean, present = sample.of(generalised_ranks)
    if mean is None or present is None:
        return sample.refuse(Reason("not_tested.scars_alike"))
    days = present > 0
    length = int(days.sum())
    spread = np.sqrt((present[days] / sample.n * mean[days] ** 2).mean())
    z = mean[-1] / (spread * np.sqrt(sample.inflation))
    if length < 4 or not length - 1 - z * z > 0:
        return sample.refuse(Reason("not_tested.days_alike"))
    value = z * np.sqrt((length - 2) / (length - 1 - z * z))
    return sample.result(value, distribution="t", df=float(length - 2))


@statistic("grank_z", null=NO_EXTREME_RANK, source="Kolari and Pynnönen 2011", minimum=2)
def grank_z(sample: WindowSample) -> TestResult:
    """Generalised rank Z, for independent firm-events only.

    Notes
    -----
    Z = sqrt(12 N (T+1)/(T-1)) Ubar_0 with Ubar_0 as in `grank_t`. It assumes the known variance of a uniform
    rank and independent firm-events.
    """
    if sample.k < sample.n:
        return sample.refuse(Reason("not_tested.shared_dates", n=sample.n, k=sample.k))
    if sample.overlap:
        return sample.refuse(Reason("overlap.independent", k=sample.k, k_eff=round(sample.overlap.k_eff, 1)))
    return sample.result(grank_z_value(sample), distribution="normal")


def grank_z_value(sample: WindowSample) -> float:
    """Z = sqrt(12 N (T+1)/(T-1)) Ubar_0, without a check of the dates; NaN if the SCARs do not vary.

    It assumes the variance (T-1)/(12(T+1)) of a uniform rank and independent firm-events, so on common dates it
    rejects far too often.
    """
    mean, present = sample.of(generalised_ranks)
    if mean is None or present is None:
        return float("nan")
    length = int((present > 0).sum())
    return float(np.sqrt(12.0 * sample.n * (length + 1) / (length - 1)) * mean[-1])


def generalised_ranks(sample: WindowSample) -> tuple[Floats | None, Floats | Counts | None]:
    """Mean over the firm-events of the centred uniform ranks by column, and the number of firm-events."""
    sd = sample.scar.std(ddof=1)
    if not sd > 0:
        return None, None
    standard, among, there = sample.once(_standard_residuals)
    event = (sample.scar / sd)[:, None]
    above, level = standard > event, standard == event
    own = 1.0 + (there & ~above).sum(axis=1) - 0.5 * level.sum(axis=1)
    rank = np.column_stack([among + above + 0.5 * level, own])
    uniform = np.where(np.isfinite(rank), rank / (there.sum(axis=1)[:, None] + 2) - 0.5, 0.0)
    present = np.append(there.sum(axis=0), sample.n)
    return uniform.sum(axis=0) / np.maximum(present, 1), present


def _standard_residuals(sample: WindowSample) -> tuple[Floats, Floats, Bools]:
    """Standardised estimation residuals, their ranks, and whether they exist, all (N, L1)."""
    expected = sample.abnormal.expected
    standard = expected.residuals / np.sqrt(expected.sigma2)[:, None]
    return standard, row_ranks(standard), np.isfinite(standard)


@statistic("wilcoxon", null=MEDIAN_ZERO, source="Wilcoxon 1945")
def wilcoxon(sample: WindowSample) -> TestResult:
    """Signed-rank test: W+ is the sum of the ranks of |CAR| over the positive CARs.

    Notes
    -----
    Zeros are left out. Two-sided p = 2 min(P(W <= w), P(W >= w)), exact for N <= 50 without ties. Otherwise p
    is normal, with variance n(n+1)(2n+1)/24 - sum(t^3-t)/48 over ties of size t and no continuity correction.
    Assumes independent firm-events.
    """
    values = sample.car[sample.car != 0]
    n = len(values)
    if n == 0:
        return sample.refuse(Reason("not_tested.all_zero"))
    rank = row_ranks(np.abs(values)[None, :])[0]
    w = float(rank[values > 0].sum())
    _, ties = np.unique(rank, return_counts=True)
    if n <= EXACT_WILCOXON and (ties == 1).all():
        return sample.result(w, distribution="signed rank", p_value=signed_rank_tails(w, n))
    variance = n * (n + 1) * (2 * n + 1) / 24 - (ties**3 - ties).sum() / 48
    z = (w - n * (n + 1) / 4) / np.sqrt(variance)
    return sample.result(w, distribution="normal", p_value=Tails.known(z, "normal"))


def signed_rank_tails(w: float, n: int) -> Tails:
    """Exact p-values of the signed-rank sum of n values without ties."""
    share = _signed_rank_distribution(n)
    at = round(w)
    less, greater = float(share[: at + 1].sum()), float(share[at:].sum())
    return Tails(min(1.0, 2.0 * min(less, greater)), less, greater)


@functools.lru_cache(maxsize=EXACT_WILCOXON)
def _signed_rank_distribution(n: int) -> Floats:
    """Probability of each sum 0 … n(n+1)/2; each rank is included with probability one half."""
    share = np.zeros(n * (n + 1) // 2 + 1)
    share[0] = 1.0
    for rank in range(1, n + 1):
        moved = np.zeros_like(share)
        moved[rank:] = share[:-rank]
        share = (share + moved) / 2
    return share
