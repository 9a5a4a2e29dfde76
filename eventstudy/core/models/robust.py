"""The market model by robust regression."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from scipy import special

from eventstudy.config import Model
from eventstudy.core.arrays import Bools, Counts, Floats
from eventstudy.core.models.base import ExpectedReturns, model
from eventstudy.core.models.ols import Regression, least_squares, observations, solve
from eventstudy.core.windows import EventPanel
from eventstudy.errors import Reason

#: Huber's t: 95 % efficient under normal errors.
TUNING = 1.345
TOLERANCE = 1e-8
MAX_ITERATIONS = 50


@model("market_robust")
def market_robust(panel: EventPanel, settings: Model) -> ExpectedReturns:  # noqa: ARG001 - one contract for all
    """Market model by Huber's M-estimator (Huber 1981, ch. 7), computed in batches.

    Notes
    -----
    Iteratively reweighted least squares, starting from OLS, with scale = median |e| / 0.6745 computed again at
    each step. It stops when the objective changes by less than 1e-8, or after 50 steps. The numbers equal those
    of ``statsmodels`` RLM with HuberT. ``sigma2`` is not this scale but SSE/(M-k) of the robust residuals:
    event days have outliers as estimation days do, and a scale that ignores outliers would call each of them
    abnormal. The covariance of the coefficients is Huber's (1981, ch. 7; H1 of RLM).
    """
    chosen = panel.with_factors("market")
    base = least_squares(chosen, "market_robust", ("alpha", "beta"))
    data = observations(chosen)
    theta, scale, steps = _huber(data, base)
    error = np.where(data.used, data.y - np.einsum("nlp,np->nl", data.design, theta), 0.0)
    sse = (error**2).sum(axis=1)
    ordinary = (1.0 - base.r_squared) / (base.sigma2 * base.dof)
    with np.errstate(divide="ignore", invalid="ignore"):
        sigma2 = sse / base.dof
        inflation = _inflation(error, scale, data.used, base.dof) / sigma2
    remark = base.remark.copy()
    remark[steps >= MAX_ITERATIONS] = Reason("fits.not_converged")
    return replace(
        base,
        theta=theta,
        residuals=np.where(data.used, error, np.nan),
        sigma2=sigma2,
        r_squared=1.0 - sse * ordinary,
        xtx_inv=base.xtx_inv * inflation[:, None, None],
        estimation_design=base.estimation_design / np.sqrt(inflation)[:, None, None],
        remark=remark,
    )


def _huber(data: Regression, base: ExpectedReturns) -> tuple[Floats, Floats, Counts]:
    """Coefficients (N, 2), scale (N,) and number of steps (N,); converged rows are not changed any more."""
    design = data.design
    theta = base.theta.copy()
    error = data.y - np.einsum("nlp,np->nl", design, theta)
    scale = _median_scale(error, data.used)
    objective = _objective(error, scale, data.used)
    steps = np.ones(len(theta), dtype=np.int64)
    active = (scale > 0) & np.isfinite(theta).all(axis=1)
    while active.any():
        part = Regression(*(getattr(data, name)[active] for name in Regression.__dataclass_fields__))
        standard = np.abs(error[active] / scale[active, None])
        weights = np.where(standard <= TUNING, 1.0, TUNING / np.maximum(standard, TUNING))
        slope, intercept, _, _ = solve(part, weights)
        theta[active] = np.column_stack([intercept, slope])
        error[active] = part.y - np.einsum("nlp,np->nl", design[active], theta[active])
        scale[active] = _median_scale(error[active], part.used)
        previous = objective[active]
        objective[active] = _objective(error[active], scale[active], part.used)
        steps[active] += 1
        moving = (np.abs(objective[active] - previous) > TOLERANCE) & (steps[active] < MAX_ITERATIONS)
        active[active] = moving & (scale[active] > 0)
    return theta, scale, steps


def _median_scale(error: Floats, used: Bools) -> Floats:
    """Median of |e| over the used days, over the normal distribution's 0.6745."""
    ordered = np.sort(np.where(used, np.abs(error), np.inf), axis=1)
    count = used.sum(axis=1)
    rows = np.arange(len(error))
    low, high = np.maximum(count - 1, 0) // 2, count // 2
    high = np.minimum(high, error.shape[1] - 1)
    middle = (ordered[rows, low] + ordered[rows, high]) / 2.0
    median: Floats = np.where(count > 0, middle, np.nan) / special.ndtri(0.75)
    return median


def _objective(error: Floats, scale: Floats, used: Bools) -> Floats:
    """Sum over the used days of Huber's rho(e / scale)."""
    with np.errstate(divide="ignore", invalid="ignore"):
        z = np.abs(error / scale[:, None])
    rho = np.where(z <= TUNING, 0.5 * z**2, TUNING * z - 0.5 * TUNING**2)
    total: Floats = np.where(used, rho, 0.0).sum(axis=1)
    return total


def _inflation(error: Floats, scale: Floats, used: Bools, dof: Floats) -> Floats:
    """Factor of (X'X)^-1 in the covariance of the coefficients, shape (N,).

    k^2 [sum psi^2 / (n-p)] scale^2 / m^2 with m the share of days with |e| <= 1.345 scale and
    k = 1 + p (1-m) / (n m): psi' is one or zero.
    """
    count = used.sum(axis=1)
    p = count - dof
    z = error / scale[:, None]
    psi2 = np.where(used, np.clip(z, -TUNING, TUNING) ** 2, 0.0).sum(axis=1)
    m = (used & (np.abs(z) <= TUNING)).sum(axis=1) / count
    k = 1.0 + p * (1.0 - m) / (count * m)
    factor: Floats = k**2 * psi2 / dof * scale**2 / m**2
    return factor
