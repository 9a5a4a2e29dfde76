"""Tests with a simulated null distribution: bootstraps and placebo windows. The seed is the sample's."""

from __future__ import annotations

import functools

import numpy as np

from eventstudy.core.arrays import Counts, Floats, Places
from eventstudy.core.statistics.cross_section import mean_residuals
from eventstudy.core.statistics.dates import student
from eventstudy.core.statistics.overlap import clustered
from eventstudy.core.statistics.sample import Tails, TestResult, WindowSample, statistic
from eventstudy.errors import Reason

#: Largest number of draws of the skewness-adjusted bootstrap, the slowest test; its authors used 1,000.
SKEWNESS_DRAWS = 1_999
#: Smallest number of firm-events for the skewness-adjusted bootstrap.
FEWEST_SKEWED = 10
#: Its resamples are a quarter of the sample, but at least as large as its authors' (50 of 200 firms): with
#: ten values the tails are so wide that the test hardly ever rejects.
SMALLEST_RESAMPLE = 50
#: Smallest number of dates for resampling dates: with fewer, many resamples have two or three distinct dates.
FEWEST_DATES = 10
#: Smallest number of placebo windows: with 39 the smallest two-sided p of a quantile is 2/40 = 5 %.
FEWEST_PLACEBOS = 39


@statistic(
    "bootstrap",
    null="the mean buy-and-hold abnormal return is zero",
    source="Lyon, Barber and Tsai 1999, skewness-adjusted bootstrapped t",
    minimum=FEWEST_SKEWED,
)
def bootstrap(sample: WindowSample) -> TestResult:
    """Skewness-adjusted t of the BHARs against its bootstrap distribution.

    Notes
    -----
    J = sqrt(n) (S + g S^2/3 + g/(6n)) with S = mean/s (ddof 1) and g = sum (BHAR - mean)^3 / (n s^3). Resamples
    have size N/4, but at least min(N, 50), and are centred on the sample mean. Two-sided p = 2 min(share J* <=
    J, share J* >= J), the sample included, from at most 1,999 draws. Assumes independent firm-events.
    """
    bhar = np.sort(sample.abnormal.bhar(sample.window))
    mean = float(bhar.mean())
    if not bhar.std(ddof=1) > 0:
        return sample.refuse(Reason("not_tested.no_variation"))
    value = float(skewness_adjusted(bhar[None, :])[0])
    size = max(sample.n // 4, min(sample.n, SMALLEST_RESAMPLE))
    rows = _resamples(sample.n, size, min(sample.draws, SKEWNESS_DRAWS), sample.seed)
    simulated = skewness_adjusted(bhar[rows] - mean)
    p_value = Tails.drawn(value, simulated, symmetric=False)
    return sample.result(value, distribution="bootstrap", p_value=p_value, estimate=mean)


def skewness_adjusted(values: Floats) -> Floats:
    """Johnson's t of each row (Lyon, Barber and Tsai 1999), (B, n) to (B,); NaN without variation."""
    n = values.shape[1]
    mean = values.mean(axis=1)
    deviation = values - mean[:, None]
    square = deviation * deviation
    with np.errstate(divide="ignore", invalid="ignore"):
        sd = np.sqrt(square.sum(axis=1) / (n - 1))
        s = mean / sd
        g = (square * deviation).sum(axis=1) / (n * sd**3)
    adjusted: Floats = np.sqrt(n) * (s + g * s**2 / 3 + g / (6 * n))
    return adjusted


@statistic(
    "bootstrap_dates",
    weighted=True,
    null="the mean CAR of the shocks' peer portfolios is zero",
    source="Efron 1979; Hall 1992 (symmetric percentile-t over clusters)",
    dates=FEWEST_DATES,
)
def bootstrap_dates(sample: WindowSample) -> TestResult:
    """Cluster bootstrap of the t over dates of the raw portfolio CARs: whole dates are resampled.

    Notes
    -----
    t* = (mean* - mean)/se* over K dates drawn with replacement; p = share of |t*| >= |t|, the sample included.
    Unlike `sign_flip` it does not assume a symmetric distribution, but it needs more dates. A resample that
    contains only one date counts as extreme. Dates with windows that share sessions are one block. Then blocks
    are drawn, at least ten are needed, and they are the clusters of se.
    """
    values = sample.shock_car
    if sample.overlap:
        return _bootstrap_linked(sample, values)
    value = student(values)
    rows = _resamples(sample.k, sample.k, sample.draws, sample.seed)
    drawn = values[rows] - values.mean()
    mean, sd = drawn.mean(axis=1), drawn.std(axis=1, ddof=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        simulated = mean * np.sqrt(sample.k) / sd
    return _percentile_t(sample, value, simulated)


def _bootstrap_linked(sample: WindowSample, values: Floats) -> TestResult:
    """Draw blocks of dates; their sums and sizes determine a mean and its clustered error."""
    blocks = sample.overlap.blocks
    size = np.bincount(blocks).astype(np.float64)
    if len(size) < FEWEST_DATES:
        return sample.refuse(Reason("overlap.blocks", needed=FEWEST_DATES, k=sample.k, blocks=len(size)))
    sums = np.bincount(blocks, values - values.mean())
    rows = _resamples(len(size), len(size), sample.draws, sample.seed)
    dates = size[rows].sum(axis=1)
    mean = sums[rows].sum(axis=1) / dates
    residual = sums[rows] - size[rows] * mean[:, None]
    se = np.sqrt(len(size) / (len(size) - 1.0) * (residual**2).sum(axis=1)) / dates
    with np.errstate(divide="ignore", invalid="ignore"):
        return _percentile_t(sample, clustered(values, blocks), mean / se)


def _percentile_t(sample: WindowSample, value: float, simulated: Floats) -> TestResult:
    # A resample without variation counts as extreme on both sides.
    p_value = Tails.drawn(value, np.where(np.isfinite(simulated), simulated, np.nan), symmetric=True)
    estimate = float(sample.shock_car.mean())
    return sample.result(value, distribution="bootstrap", p_value=p_value, estimate=estimate)


@statistic(
    "bootstrap_blocks",
    weighted=True,
    null="the CAAR is that of any days of the estimation window",
    source="Politis and Romano 1994",
)
def bootstrap_blocks(sample: WindowSample) -> TestResult:
    """Stationary bootstrap of the event-time portfolio: CAAR against sums of resampled residual days.

    Notes
    -----
    The mean residual of the firm-events on each of the M estimation days, in event time, is resampled in blocks
    of geometric length with mean M^(1/3), wrapped around. W such days make one placebo CAAR. Residuals lack the
    estimation error, so placebos are multiplied by sqrt(M/(M-p) v), with v the mean ratio of the CAR's
    prediction-error variance to s^2 W. The statistic is the CAAR in units of the placebos' standard deviation;
    p = share of |placebo| >= |CAAR|, the event included. It keeps correlation on common dates and over days,
    but not a volatility that the event raises. With overlapping windows single days are drawn instead of
    blocks, because blocks would contain an unknown part of the overlap. Their variance is then multiplied by
    n'Wn/n'n, see `DateOverlap`.
    """
    series = sample.once(mean_residuals)
    width = sample.window[1] - sample.window[0] + 1
    if len(series) < max(FEWEST_PLACEBOS, 2 * width):
        return sample.refuse(Reason("not_tested.short_estimation", n=len(series), width=width))
    mean_block = 1.0 if sample.overlap else None
    rows = _stationary_rows(len(series), width, sample.draws, sample.seed, mean_block)
    ratio = sample.mean(sample.variance / (sample.abnormal.expected.sigma2 * width)) * sample.inflation
    days = len(series)
    widening = np.sqrt(days / max(days - _coefficients(sample), 1.0) * ratio)
    sums = (series - series.mean())[rows].sum(axis=1) * widening
    sd = sums.std()
    if not sd > 0:
        return sample.refuse(Reason("not_tested.residuals_alike"))
    caar = sample.mean(sample.car)
    return sample.result(caar / sd, distribution="bootstrap", p_value=Tails.drawn(caar, sums, symmetric=True))


def _coefficients(sample: WindowSample) -> float:
    """Mean number of estimated coefficients of the firm-events' fits; zero for fixed coefficients."""
    expected = sample.abnormal.expected
    return float((expected.n_estimation - expected.dof).mean())


@statistic(
    "permutation",
    weighted=True,
    null="the event dates' standardised portfolio CARs are those of any dates",
    source="placebo windows of the estimation residuals, as in Gelbach, Helland and Klick 2013",
)
def permutation(sample: WindowSample) -> TestResult:
    """Mean standardised portfolio CAR over the shocks against placebo windows of equal length.

    Notes
    -----
    A placebo of a shock is a run of W sessions without gaps in the estimation residuals of its own portfolio.
    The sum is divided by its standard deviation s sqrt(W (1 - W/M)) in a fit with intercept over M days (by s
    sqrt(W) if nothing was estimated), as the event's CAR is divided by its prediction error. T is the mean over
    shocks of S_k. With one shock all placebos are used. With more, one placebo is drawn for each shock,
    ``draws`` times; p = share of |T*| >= |T|, the event included. Placebos are all days, not matched drops: if
    volatility is higher around events, the test rejects too often. With overlapping windows T* is multiplied by
    sqrt(sum(W)/K), see `DateOverlap`, because residuals sum to zero over their window and overlapping placebos
    vary too little.
    """
    width = sample.window[1] - sample.window[0] + 1
    placebos = [row[np.isfinite(row)] for row in _placebo_sums(sample, width, standardised=True)]
    fewest = min(len(row) for row in placebos)
    if fewest < FEWEST_PLACEBOS:
        return sample.refuse(Reason("not_tested.few_placebos", needed=FEWEST_PLACEBOS, n=fewest))
    rng = np.random.default_rng(sample.seed)
    if sample.k == 1:
        simulated = placebos[0]
    else:
        drawn = [row[rng.integers(len(row), size=sample.draws)] for row in placebos]
        simulated = np.mean(drawn, axis=0) * np.sqrt(sample.overlap.total / sample.k)
    value, estimate = float(sample.shock_s.mean()), float(sample.shock_car.mean())
    p_value = Tails.drawn(value, simulated, symmetric=True)
    return sample.result(value, distribution="permutation", p_value=p_value, estimate=estimate)


@statistic(
    "sq",
    weighted=True,
    null="the portfolio's CAR is a draw from those of its estimation window",
    source="Gelbach, Helland and Klick 2013, SQ test",
)
def sq(sample: WindowSample) -> TestResult:
    """Position of the CAR of one date's portfolio, or of one firm, among the CARs of its estimation window.

    Notes
    -----
    The M overlapping runs of W sessions of the portfolio's residuals give an empirical distribution. The
    statistic is the CAR; p = 2 min((1 + #{<= CAR})/(1+M), (1 + #{>= CAR})/(1+M)), at most one. Normality is not
    assumed. For several dates see `permutation`.
    """
    if sample.k != 1:
        return sample.refuse(Reason("not_tested.one_date", k=sample.k))
    width = sample.window[1] - sample.window[0] + 1
    sums = _placebo_sums(sample, width, standardised=False)[0]
    sums = sums[np.isfinite(sums)]
    if len(sums) < FEWEST_PLACEBOS:
        return sample.refuse(Reason("not_tested.few_windows", needed=FEWEST_PLACEBOS, width=width, n=len(sums)))
    value = float(sample.shock_car[0])
    return sample.result(
        value, distribution="quantile", p_value=Tails.drawn(value, sums, symmetric=False), estimate=value
    )


def _placebo_sums(sample: WindowSample, width: int, *, standardised: bool) -> Floats:
    """Sums of each portfolio's residuals over ``width`` days, (K, L1-W+1), NaN if a day is missing."""
    padded, there, s2 = sample.once(_running_residuals)
    if padded.shape[1] <= width:
        return np.empty((len(padded), 0))
    sums = padded[:, width:] - padded[:, :-width]
    sums[there[:, width:] - there[:, :-width] < width] = np.nan
    if standardised:
        with np.errstate(divide="ignore", invalid="ignore"):
            narrower = 1.0 - width / there[:, -1] if _coefficients(sample) > 0 else 1.0
            sums /= np.sqrt(s2 * width * narrower)[:, None]
    return sums


def _running_residuals(sample: WindowSample) -> tuple[Floats, Counts, Floats]:
    """Running sum and count of each portfolio's residuals, both (K, L1+1), and their variance, (K,)."""
    peers = sample.peers or sample.portfolios.weighted(sample.window)
    k, length = peers.residual.shape
    padded, there = np.zeros((k, length + 1)), np.zeros((k, length + 1), dtype=np.int64)
    padded[:, 1:] = np.cumsum(np.where(peers.used, peers.residual, 0.0), axis=1)
    there[:, 1:] = np.cumsum(peers.used, axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        s2 = np.nansum(peers.residual**2, axis=1) / (there[:, -1] - _coefficients(sample))
    return padded, there, s2


@functools.lru_cache(maxsize=16)
def _resamples(n: int, size: int, draws: int, seed: int) -> Places:
    """Positions drawn with replacement, (draws, size), cached for groups of one size."""
    return np.asfortranarray(np.random.default_rng(seed).integers(n, size=(draws, size)))


@functools.lru_cache(maxsize=32)
def _stationary_rows(length: int, width: int, draws: int, seed: int, mean_block: float | None = None) -> Places:
    """`stationary_positions`, cached for groups and windows of one width."""
    rng = np.random.default_rng(seed)
    mean = mean_block or length ** (1 / 3)
    rows = stationary_positions(length, draws, width=width, mean_block=mean, rng=rng)
    return np.asfortranarray(rows)


def stationary_positions(length: int, draws: int, *, width: int, mean_block: float, rng: np.random.Generator) -> Places:
    """Positions of ``width`` days of the stationary bootstrap (Politis and Romano 1994), (draws, width).

    Blocks start anywhere in the ``length`` days, have geometric lengths and wrap around the end.
    """
    new = rng.random((draws, width)) < 1 / mean_block
    new[:, 0] = True
    starts = rng.integers(length, size=(draws, width))
    column = np.arange(width)
    began = np.maximum.accumulate(np.where(new, column, 0), axis=1)
    return (np.take_along_axis(starts, began, axis=1) + column - began) % length
