"""Tests over dates: the standardised peer portfolio of each date is one observation."""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence

import numpy as np
from scipy import special

from eventstudy.core.arrays import Counts, Floats
from eventstudy.core.statistics.overlap import DateOverlap, clustered
from eventstudy.core.statistics.sample import FEWEST_EFFECTIVE, Tails, TestResult, WindowSample, statistic
from eventstudy.errors import Reason

MEAN_ZERO = "the mean CAR of the shocks' peer portfolios is zero"
#: Up to this many dates all sign vectors are enumerated: 2^14 = 16,384.
FULL_ENUMERATION = 14
#: Above this number of dates sign vectors are drawn in batches; below it windows and groups share them.
MANY_DATES, CHUNK = 500, 500
#: Below this many dates no two-sided sign-flip test can reach 5 %: 2/2^5 is 6.25 %.
FEWEST_DATES = 6
#: Common-volatility ratio above which tests that use the variance of the estimation window reject too often.
LARGE_CVR = 1.3
#: Tests that use variances or correlations of the estimation window: they reject too often if the
#: common volatility of the peers is higher on event days.
SCALED_BY_THE_PAST = frozenset({"patell", "patell_kp", "bmp", "bmp_kp", "portfolio_t", "permutation"})
SCALED_BY_THE_PAST |= {"bootstrap_blocks", "grank_t", "grank_z", "corrado", "corrado_zivney"}


@statistic(
    "date_t",
    weighted=True,
    null=MEAN_ZERO,
    dates=2,
    source="Jaffe 1974; Mandelker 1974 (portfolios); t over dates as in Ibragimov and Müller 2010",
)
def date_t(sample: WindowSample) -> TestResult:
    """t over dates of the standardised portfolio CARs, t(K-1).

    The firm-events of a date form one portfolio, so each date is one observation. The correlation of the peers
    and a rise of common volatility therefore do not inflate t. If windows of two dates share sessions, their
    CARs are correlated; standard error and degrees of freedom are then those of `DateOverlap.student`.
    """
    value, df = sample.overlap.student(sample.shock_s)
    return sample.result(value, distribution="t", df=df, estimate=float(sample.shock_car.mean()))


@statistic(
    "sign_flip",
    weighted=True,
    null=MEAN_ZERO + " and their distribution is symmetric",
    source="Fisher 1935; Canay, Romano and Shaikh 2017",
    dates=2,
)
def sign_flip(sample: WindowSample) -> TestResult:
    """Exact test that flips the signs of the dates' standardised CARs.

    Uses all 2^K sign vectors for K <= 14, else random ones. The two-sided p is the share of vectors with |t*|
    >= |t|, the observed vector included, so it cannot be below 2/2^K (`sign_flip_floor`). A one-sided p, such
    as the share with t* >= t, cannot be below half of that. Dates with windows that share sessions are flipped
    together as one block. Then K is the number of blocks, the test needs six of them, and the standard error
    has the blocks as clusters.
    """
    blocks = sample.overlap.blocks
    sums: Floats = sample.shock_s
    if sample.overlap:
        sums = np.bincount(blocks, sample.shock_s).astype(np.float64)
    if sample.overlap and len(sums) < FEWEST_DATES:
        return sample.refuse(Reason("overlap.blocks", needed=FEWEST_DATES, k=sample.k, blocks=len(sums)))
    return sample.result(
        clustered(sample.shock_s, blocks) if sample.overlap else student(sample.shock_s),
        distribution="sign-flip",
        p_value=_flipped(sums, sample.draws, sample.seed),
        estimate=float(sample.shock_car.mean()),
    )


@statistic("ibragimov_mueller", weighted=True, null=MEAN_ZERO, dates=2, source="Ibragimov and Müller 2010")
def ibragimov_mueller(sample: WindowSample) -> TestResult:
    """t over dates of the raw portfolio CARs, t(K-1): ``date_t`` without standardising.

    Keeps its size if variances differ between dates (for levels up to 8.3 %). The cost is power, because dates
    with high volatility have the largest weight. Overlapping windows count as in `date_t`.
    """
    value, df = sample.overlap.student(sample.shock_car)
    return sample.result(value, distribution="t", df=df, estimate=float(sample.shock_car.mean()))


def student(values: Floats) -> float:
    """Mean over its standard error; NaN for fewer than two values or no variation."""
    return DateOverlap.none(len(values)).student(values)[0]


def sign_vectors(k: int, *, draws: int, rng: np.random.Generator) -> Floats:
    """All 2^k vectors of signs for k <= 14, else the identity and ``draws`` random ones; shape (B, k)."""
    if k <= FULL_ENUMERATION:
        bits = (np.arange(2**k)[:, None] >> np.arange(k)) & 1
        return np.where(bits == 1, -1.0, 1.0)
    random = 1.0 - 2.0 * rng.integers(0, 2, size=(draws, k))
    return np.vstack([np.ones(k), random])


@functools.lru_cache(maxsize=32)
def signs_of(k: int, draws: int, seed: int) -> Floats:
    """`sign_vectors` of a seed, cached, because all windows and groups of k dates use the same."""
    return sign_vectors(k, draws=draws, rng=np.random.default_rng(seed))


def sign_flip_p(values: Floats, signs: Floats) -> float:
    """Share of sign vectors under which |t| is at least as large as observed.

    |t| grows with |mean| when the sum of squares is fixed, as it is under flips, so means suffice.
    """
    return float(_extreme(signs @ values, values.sum())[0] / len(signs))


def _extreme(flipped: Floats, observed: float) -> Counts:
    """Number of sums of flipped values at least as extreme as the observed one: on both sides, below, above."""
    slack = abs(observed) * 1e-12
    return np.array(
        [
            (np.abs(flipped) >= abs(observed) * (1 - 1e-12)).sum(),
            (flipped <= observed + slack).sum(),
            (flipped >= observed - slack).sum(),
        ]
    )


def _flipped(values: Floats, draws: int, seed: int) -> Tails:
    """Shares of extreme sign vectors, see `sign_flip_p`; with many dates they are drawn in batches."""
    k = len(values)
    if k <= MANY_DATES:
        every = signs_of(k, draws, seed)
        return Tails(*(_extreme(every @ values, values.sum()) / len(every)).tolist())
    rng, beyond = np.random.default_rng(seed), np.ones(3, dtype=np.int64)
    for start in range(0, draws, CHUNK):
        signs = 1.0 - 2.0 * rng.integers(0, 2, size=(min(CHUNK, draws - start), k))
        beyond += _extreme(signs @ values, values.sum())
    return Tails(*(beyond / (draws + 1)).tolist())


def sign_flip_floor(k: int, draws: int) -> float:
    """Return the smallest two-sided p that k dates can give: 2/2^k, or 1/(draws + 1) if flips are drawn.

    A vector of signs and its negative give the same |t|; among random ones only the identity is certain.
    """
    return min(1.0, 2.0 / 2**k) if k <= FULL_ENUMERATION else 1.0 / (draws + 1)


def band_half_width(count: Floats, total: Floats, overlap: Sequence[DateOverlap]) -> Floats:
    """Half width of the CAAR's 95 % band by event day, (L2,); NaN if the number of dates or k_eff is below two.

    Parameters
    ----------
    count, total : (K, L2)
        Firm-events of each date that have the day, and the sum of their AR - AAR.
    overlap : L2 DateOverlaps
        Of the dates' windows from the first event day to each one.

    Notes
    -----
    The influence of a date on the CAAR up to a day is the sum over its firm-events of (AR - AAR)/n,
    accumulated over the days; `DateOverlap.clustering` makes the variance of the sum of their squares.
    The t distribution has the degrees of freedom of `DateOverlap.df`: K-1 without overlap.
    """
    k, days = count.shape
    half = np.full(days, np.nan)
    if k < 2:
        return half
    with np.errstate(invalid="ignore", divide="ignore"):
        influence = np.cumsum(total / count.sum(axis=0), axis=1)
        share = np.cumsum(count, axis=1) / np.cumsum(count.sum(axis=0))
    square = (influence**2).sum(axis=0)
    for day, between in enumerate(overlap):
        if between.k_eff < FEWEST_EFFECTIVE or not np.isfinite(square[day]):
            continue
        half[day] = special.stdtrit(between.df, 0.975) * np.sqrt(between.clustering(share[:, day]) * square[day])
    return half


def t_interval(values: Floats, level: float = 0.95) -> tuple[float, float]:
    """Confidence interval of the mean of independent values; NaN for fewer than two."""
    k = len(values)
    if k < 2:
        return float("nan"), float("nan")
    half = special.stdtrit(k - 1, 0.5 + level / 2) * values.std(ddof=1) / np.sqrt(k)
    return float(values.mean() - half), float(values.mean() + half)


def minimum_detectable_effect(
    sd: float, k: float, *, df: float | None = None, level: float = 0.05, power: float = 0.8
) -> float:
    """Smallest true mean that a two-sided t test over k dates finds with the given power.

    If windows overlap, ``k`` is `DateOverlap.k_eff` and ``df`` is `DateOverlap.df`; else ``df`` is k-1.
    """
    if not k > 1:
        return float("nan")
    return detectable(sd / float(np.sqrt(k)), k - 1 if df is None else df, level=level, power=power)


def detectable(se: float, df: float, *, level: float = 0.05, power: float = 0.8) -> float:
    """Smallest effect at which a two-sided t test with this standard error rejects with the given power.

    Notes
    -----
    Noncentral t with ``df`` degrees of freedom and noncentrality effect / se.
    """
    if df < 1 or not se > 0:
        return float("nan")
    critical = special.stdtrit(df, 1 - level / 2)
    low, high = 0.0, 1.0
    while _power(high, df, critical) < power:
        high *= 2.0
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if _power(middle, df, critical) < power else (low, middle)
    return float(high * se)


def dates_needed(
    sd: float, effect: float, *, worth: float = 1.0, df_share: float = 1.0, level: float = 0.05, power: float = 0.8
) -> int:
    """Smallest number of dates at which an effect of this size is found with the given power.

    ``worth`` is k_eff / K: further dates are assumed to overlap as much as the observed ones. The degrees of freedom
    are ``df_share`` times k - 1, and at least one.
    """

    def enough(k: int) -> bool:
        shift = abs(effect) / sd * float(np.sqrt(k))
        df = max(df_share * (k - 1), 1.0)
        return _power(shift, df, special.stdtrit(df, 1 - level / 2)) >= power

    high = 2
    while not enough(high):
        high *= 2
    low = max(high // 2, 1)
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if enough(middle) else (middle, high)
    return math.ceil(high / worth * (1 - 1e-12))


def _power(shift: float, df: float, critical: float) -> float:
    """Probability that a noncentral t lies beyond ±critical."""
    inside, below = special.nctdtr(df, shift, critical), special.nctdtr(df, shift, -critical)
    # Far in the tail the library returns NaN instead of zero.
    return float(1.0 - np.nan_to_num(inside) + np.nan_to_num(below))


def common_volatility_ratio(shock_s: Floats, level: float = 0.90) -> tuple[float, float, float]:
    """Standard deviation over dates of the standardised CARs with its chi-square interval.

    It is one if the variance equals that of the estimation window. Above about 1.3 the tests that use that variance
    (Patell, portfolio, KP) reject too often. Effects that differ between dates raise the ratio too.
    """
    k = len(shock_s)
    if k < 3:
        return float("nan"), float("nan"), float("nan")
    sd = float(shock_s.std(ddof=1))
    small, large = special.chdtri(k - 1, [0.5 + level / 2, 0.5 - level / 2])
    return sd, sd * float(np.sqrt((k - 1) / large)), sd * float(np.sqrt((k - 1) / small))
