"""Drops against controls that are weighted to be like them, and how alike both are without and with adjustment."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import special

from eventstudy.reversal.estimator import FEWEST_DATES, Falls, clusters, outcome, slope_row, traits_of, usable

NAN = float("nan")
#: Traits that drops and controls are compared in; the first two are in the regression.
TRAITS = ("drop_s", "run_up", "sigma", "recent")
#: Standardised mean difference beyond which a trait counts as unbalanced (Stuart 2010).
UNBALANCED = 0.25
#: Steps of Newton's method, and how near the weighted means must come.
STEPS, NEAR = 50, 1e-9


@dataclass(frozen=True, slots=True, kw_only=True)
class Balance:
    """One trait of drops and controls: means, and standardised differences before and after adjustment."""

    variable: str
    mean_events: float
    mean_controls: float
    smd_before: float
    smd_after: float
    n_events: int
    n_controls: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Weighted:
    """Excess over weighted controls, in returns; NaN where no weights make the means equal."""

    effect: float = NAN
    lower: float = NAN
    upper: float = NAN
    p_value: float = NAN


def balance(falls: Falls, *, moderated: bool = True) -> list[Balance]:
    """Compare drops with the controls that the regression sets them against.

    Notes
    -----
    Before: difference of the means over the root of the mean of both variances (Austin 2009), for one drop over the
    controls' deviation. After: what the regression's own traits leave of it, the coefficient of the drops in a
    least-squares fit of the trait on levels, depth of the drop and run-up, over the same deviation.
    """
    falls = falls.take(usable(falls))
    event = falls.event
    if not event.any():
        return []
    traits, every = traits_of(falls), np.column_stack([getattr(falls, n) for n in TRAITS])
    slope = np.append(slope_row(falls, traits) * moderated, 0.0)
    design = np.vstack([np.column_stack([traits, event]), slope])
    coefficient = np.linalg.lstsq(design, np.vstack([every, np.zeros(len(TRAITS))]), rcond=None)[0][-1]
    rows = []
    for name, values, left in zip(TRAITS, every.T, coefficient.tolist(), strict=True):
        variance = float(values[~event].var(ddof=1))
        deviation = np.sqrt((variance + (float(values[event].var(ddof=1)) if event.sum() > 1 else variance)) / 2)
        difference = float(values[event].mean() - values[~event].mean())
        rows.append(
            Balance(
                variable=name,
                mean_events=float(values[event].mean()),
                mean_controls=float(values[~event].mean()),
                smd_before=difference / deviation if deviation > 0 else NAN,
                smd_after=left / deviation if deviation > 0 else NAN,
                n_events=int(event.sum()),
                n_controls=int((~event).sum()),
            )
        )
    return rows


def weighted(falls: Falls, *, level: float = 0.05) -> Weighted:
    """Estimate the mean excess over controls with entropy weights, as a row beside the regression.

    Notes
    -----
    Hainmueller (2012): w maximises the entropy -sum w log w under sum w = 1 and equal means of drops and weighted
    controls in the traits of the regression: shares of the strata, S and run-up. With z as in the regression,

        effect = (mean z_event - sum w_j z_j) / mean(1 / (m_i sqrt(L))),

    its variance the sum over clusters, those of the regression, of the squared sums of a_i (z_i - own side's mean),
    a_i = 1/N for drops and -w_i for controls; t with K - 1 degrees of freedom, K the weeks. NaN below three weeks.
    """
    falls = falls.take(usable(falls))
    event, weeks = falls.event, len(np.unique(falls.week[falls.event]))
    if weeks < FEWEST_DATES:
        return Weighted()
    x = traits_of(falls)
    w = entropy_weights(x[~event], x[event].mean(axis=0))
    if w is None:
        return Weighted()
    z, share = outcome(falls), np.zeros(len(falls))
    share[event], share[~event] = 1.0 / event.sum(), -w
    about = z - np.where(event, z[event].mean(), w @ z[~event])
    of_cluster = np.bincount(np.unique(clusters(falls), return_inverse=True)[1], share * about)
    unit = float((1.0 / falls.scale()[event]).mean())
    effect, se = float(share @ z) / unit, float(np.sqrt((of_cluster**2).sum())) / unit
    half = float(special.stdtrit(weeks - 1, 1 - level / 2)) * se
    p = float(2 * special.stdtr(weeks - 1, -abs(effect / se)))
    return Weighted(effect=effect, lower=effect - half, upper=effect + half, p_value=p)


def entropy_weights(x: NDArray[np.float64], target: NDArray[np.float64]) -> NDArray[np.float64] | None:
    """Weights (N,) nearest to equal ones under which the columns of ``x`` (N, p) have these means; None without any."""
    spread = x.std(axis=0)
    c = (x - target) / np.where(spread > 0, spread, 1.0)
    slope = np.zeros(c.shape[1])
    value = special.logsumexp(-c @ slope)
    for _ in range(STEPS):
        w = special.softmax(-c @ slope)
        mean = w @ c
        if np.abs(mean).max() < NEAR:
            return np.asarray(w, dtype=np.float64)
        step = np.linalg.pinv((c * w[:, None]).T @ c - np.outer(mean, mean), hermitian=True) @ mean
        size = 1.0
        while (new := special.logsumexp(-c @ (slope + size * step))) > value - 1e-4 * size * (
            step @ mean
        ) and size > NEAR:
            size /= 2
        slope, value = slope + size * step, new
    return None
