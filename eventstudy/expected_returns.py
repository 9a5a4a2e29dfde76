"""Models of the expected return. A model only predicts; every statistic is built on what it gives."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .errors import ConfigError, nearest
from .windows import EventPanel


@dataclass(frozen=True, slots=True)
class ExpectedReturns:
    """What a model predicts, with the prediction-error variance in factored form.

    For weights g over the event window the prediction error g'(R - mean) has variance
    ``sigma2 * (sum_t g_t^2 scale_t + x' xtx_inv x)`` with ``x = event_design' g``: estimation error
    included, and nothing of size N x L2 x L2 stored.

    Attributes
    ----------
    loadings : tuple of str
        Names of the p coefficients.
    theta : (N, p)
    estimation_design : (N, L1, p)
        Regressors, zero on days that were not used.
    event_design : (N, L2, p)
    xtx_inv : (N, p, p)
    residuals : (N, L1)
        NaN on days that were not used.
    sigma2 : (N,)
        SSE / dof.
    dof : (N,)
        Estimation days used less the coefficients estimated.
    n_estimation : (N,)
    r_squared : (N,)
    scale : (N, L2)
        Variance of each event day relative to ``sigma2``; ones but for conditional variance models.
    """

    model: str
    loadings: tuple[str, ...]
    theta: NDArray[np.float64]
    estimation_design: NDArray[np.float64]
    event_design: NDArray[np.float64]
    xtx_inv: NDArray[np.float64]
    residuals: NDArray[np.float64]
    sigma2: NDArray[np.float64]
    dof: NDArray[np.float64]
    n_estimation: NDArray[np.int64]
    r_squared: NDArray[np.float64]
    scale: NDArray[np.float64]

    @property
    def mean(self) -> NDArray[np.float64]:
        """Expected returns over the event window, shape (N, L2)."""
        predicted: NDArray[np.float64] = np.einsum("nlp,np->nl", self.event_design, self.theta)
        return predicted

    def variance(self, weights: NDArray[np.float64]) -> NDArray[np.float64]:
        """Prediction-error variance of a weighting of the event days.

        Parameters
        ----------
        weights : (L2,)
            Weight of each event day, 1 inside a window for a CAR.

        Returns
        -------
        (N,) array

        Notes
        -----
        Var(CAR) = g' V g with V = s2 (I + X* (X'X)^-1 X*') (Campbell, Lo and MacKinlay 1997, ch. 4;
        Salinger 1992): the days share one estimation error, so their covariances count.
        """
        x = self.window_design(weights)
        own = (np.nan_to_num(self.scale) * weights**2).sum(axis=1)
        total: NDArray[np.float64] = self.sigma2 * (own + np.einsum("np,npq,nq->n", x, self.xtx_inv, x))
        return total

    def window_design(self, weights: NDArray[np.float64]) -> NDArray[np.float64]:
        """Regressors summed over the weighted event days, shape (N, p)."""
        inside = weights != 0
        summed: NDArray[np.float64] = np.einsum("nlp,l->np", self.event_design[:, inside], weights[inside])
        return summed

    def take(self, index: NDArray[np.intp] | NDArray[np.bool_]) -> ExpectedReturns:
        """Return the firm-events at ``index`` (positions or a mask)."""
        kept: dict[str, Any] = {f.name: getattr(self, f.name) for f in fields(self)}
        for name in kept.keys() - {"model", "loadings"}:
            kept[name] = kept[name][index]
        return ExpectedReturns(**kept)


Fit = Callable[[EventPanel], ExpectedReturns]
MODELS: dict[str, Fit] = {}


def model(name: str) -> Callable[[Fit], Fit]:
    """Register a model: a function from an `EventPanel` to `ExpectedReturns`."""

    def register(fit: Fit) -> Fit:
        MODELS[name] = fit
        return fit

    return register


def fit(panel: EventPanel, name: str = "market") -> ExpectedReturns:
    """Fit a registered model to all firm-events; `ConfigError` names the nearest for an unknown one."""
    if name not in MODELS:
        raise ConfigError(f"model.name = {name!r} is unknown; {nearest(name, MODELS)}")
    return MODELS[name](panel)


@model("market")
def market(panel: EventPanel) -> ExpectedReturns:
    """Market model R = alpha + beta R_m + e by OLS on complete pairs (MacKinlay 1997, eq. 3)."""
    names = ("alpha", "beta", *(f"beta_{k}" for k in range(2, panel.estimation_factors.shape[2] + 1)))
    return least_squares(panel, "market", names)


def least_squares(panel: EventPanel, name: str, loadings: tuple[str, ...]) -> ExpectedReturns:
    """OLS of each firm-event's returns on a constant and all its factors, batched.

    The regressors are centred before the cross products are formed, so no digits are lost to a
    mean that is large against the variation.
    """
    used = panel.complete()
    count = used.sum(axis=1)
    y = np.where(used, panel.estimation_returns, 0.0)
    x = np.where(used[:, :, None], panel.estimation_factors, 0.0)
    with np.errstate(divide="ignore", invalid="ignore"):
        y_mean, x_mean = y.sum(axis=1) / count, x.sum(axis=1) / count[:, None]
    y_centred = np.where(used, y - y_mean[:, None], 0.0)
    x_centred = np.where(used[:, :, None], x - x_mean[:, None, :], 0.0)
    inverse = _inverse(np.einsum("nlj,nlk->njk", x_centred, x_centred))
    slope = np.einsum("njk,nlk,nl->nj", inverse, x_centred, y_centred, optimize=True)
    theta = np.column_stack([y_mean - np.einsum("nk,nk->n", slope, x_mean), slope])
    error = y_centred - np.einsum("nlk,nk->nl", x_centred, slope)
    sse, total = (error**2).sum(axis=1), (y_centred**2).sum(axis=1)
    dof = (count - theta.shape[1]).astype(float)
    with np.errstate(divide="ignore", invalid="ignore"):
        sigma2 = np.where(dof > 0, sse / dof, np.nan)
        r_squared = 1.0 - sse / total
    ones = np.ones((*panel.event_returns.shape, 1))
    return ExpectedReturns(
        model=name, loadings=loadings, theta=theta,
        estimation_design=np.concatenate([used[:, :, None].astype(float), x], axis=2),
        event_design=np.concatenate([ones, panel.event_factors], axis=2),
        xtx_inv=_with_constant(inverse, x_mean, count),
        residuals=np.where(used, error, np.nan), sigma2=sigma2, dof=dof,
        n_estimation=count.astype(np.int64), r_squared=r_squared,
        scale=np.ones(panel.event_returns.shape),
    )  # fmt: skip


def _inverse(moments: NDArray[np.float64]) -> NDArray[np.float64]:
    """Inverses of (N, K, K) cross products, NaN where they have none."""
    if moments.shape[-1] == 1:
        with np.errstate(divide="ignore"):
            inverse: NDArray[np.float64] = np.where(moments > 0, 1.0 / moments, np.nan)
        return inverse
    regular = np.linalg.matrix_rank(moments, hermitian=True) == moments.shape[-1]
    safe = np.where(regular[:, None, None], moments, np.eye(moments.shape[-1]))
    return np.where(regular[:, None, None], np.linalg.inv(safe), np.nan)


def _with_constant(
    inverse: NDArray[np.float64], x_mean: NDArray[np.float64], count: NDArray[np.int64]
) -> NDArray[np.float64]:
    """(X'X)^-1 of [1, x] from the inverse of the centred cross products (partitioned inverse)."""
    n, k = x_mean.shape
    full = np.empty((n, k + 1, k + 1))
    border = -np.einsum("njk,nk->nj", inverse, x_mean)
    with np.errstate(divide="ignore"):
        full[:, 0, 0] = 1.0 / count - np.einsum("nj,nj->n", border, x_mean)
    full[:, 0, 1:] = full[:, 1:, 0] = border
    full[:, 1:, 1:] = inverse
    return full


def without_alpha(expected: ExpectedReturns, days: NDArray[np.bool_]) -> ExpectedReturns:
    """Return the same fit with its intercept taken as zero on the event days marked in ``days``.

    Parameters
    ----------
    days : (L2,) bool

    Notes
    -----
    After a run-up the estimated intercept is carried into the post window as a loss that nobody
    expected. With the intercept's column zero on those days both the prediction and its error lose
    that term: V = s2 (I + r_m r_m' / sum (R_m - mean R_m)^2). Slopes are those of the regression
    with intercept. Models without an ``alpha`` are returned as they are.
    """
    if "alpha" not in expected.loadings or not days.any():
        return expected
    column = expected.loadings.index("alpha")
    design = expected.event_design.copy()
    design[:, days, column] = 0.0
    kept = {f.name: getattr(expected, f.name) for f in fields(expected)}
    return ExpectedReturns(**{**kept, "event_design": design})
