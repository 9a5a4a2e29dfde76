"""The market model, and the batched least squares of all regression models."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from eventstudy.config import Model
from eventstudy.core.arrays import Bools, Floats
from eventstudy.core.models.base import ExpectedReturns, model, no_remarks
from eventstudy.core.windows import EventPanel

#: Share of a column's sum of squares below which its variation is rounding error.
CONSTANT = 1e-20


@model("market")
def market(panel: EventPanel, settings: Model) -> ExpectedReturns:  # noqa: ARG001 - one contract for all models
    """Market model R = alpha + beta R_m + e by OLS on complete pairs (MacKinlay 1997, eq. 3).

    A return over n sessions has weight 1/n (Maynes and Rumsey 1993); see `least_squares`.
    """
    return least_squares(panel.with_factors("market"), "market", ("alpha", "beta"))


@dataclass(frozen=True, slots=True)
class Regression:
    """Weighted observations of N regressions, zero on days that are not used.

    ``constant`` (N, L1) is sqrt(n) for a return over n sessions, ``y`` (N, L1) and ``x`` (N, L1, K)
    are divided by it; ``size`` (N,) is the sum of n. Without gaps: 1, R, the factors, their number.
    """

    used: Bools
    constant: Floats
    y: Floats
    x: Floats
    size: Floats

    @property
    def design(self) -> Floats:
        """Constant and factors, shape (N, L1, 1+K)."""
        return np.concatenate([self.constant[:, :, None], self.x], axis=2)


def observations(panel: EventPanel) -> Regression:
    """Return the complete pairs of a panel, all its factors as regressors."""
    used = panel.complete()
    names = [name for name in panel.factor_names if name != "span"]
    factors = np.stack([panel.factor(name)[0] for name in names], axis=2) if names else None
    x = np.zeros((*used.shape, 0)) if factors is None else np.where(used[:, :, None], factors, 0.0)
    y = np.where(used, panel.estimation_returns, 0.0)
    if "span" not in panel.factor_names:
        constant = used.astype(np.float64)
        return Regression(used, constant, y, x, constant.sum(axis=1))
    span = np.where(used, panel.spans()[0], 0.0)
    root = np.sqrt(np.where(used, span, 1.0))
    return Regression(used, np.where(used, root, 0.0), y / root, x / root[:, :, None], span.sum(axis=1))


def event_regressors(panel: EventPanel) -> Floats:
    """Constant and factors on the event days, shape (N, L2, 1+K).

    The constant is the number of sessions that the return covers; days inside a gap that a later
    return covers are all zero, so that each session counts once in a window.
    """
    _, span = panel.spans()
    names = [name for name in panel.factor_names if name != "span"]
    columns = [span, *(np.where(span == 0, 0.0, panel.factor(name)[1]) for name in names)]
    return np.stack(columns, axis=2)


def least_squares(panel: EventPanel, name: str, loadings: tuple[str, ...]) -> ExpectedReturns:
    """OLS of each firm-event's returns on a constant and all its factors, batched.

    Parameters
    ----------
    panel : EventPanel
        N firm-events with K factors.
    name : str
        Name of the model in the tables.
    loadings : tuple of str
        Names of the 1 + K coefficients, the constant's first.

    Returns
    -------
    ExpectedReturns
        With ``theta`` of shape (N, 1 + K).

    Examples
    --------
    ``panel`` is an `EventPanel`, such as a model is given.

    >>> import numpy as np
    >>> from eventstudy import least_squares
    >>> fit = least_squares(panel, "market", ("alpha", "beta"))
    >>> x, y = panel.estimation_factors[0, :, 0], panel.estimation_returns[0]
    >>> bool(np.allclose(fit.theta[0], np.polyfit(x, y, 1)[::-1]))
    True

    Notes
    -----
    The regressors are centred before the cross products are formed, so no digits are lost if the mean is large
    relative to the variation. A return over n sessions and its factors are divided by sqrt(n), and the constant is
    sqrt(n) (Maynes and Rumsey 1993). The residual has the same scale, and the prediction has n times the variance of
    one session.
    """
    data = observations(panel)
    count = data.used.sum(axis=1)
    slope, intercept, inverse, x_mean = solve(data)
    theta = np.column_stack([intercept, slope])
    with np.errstate(divide="ignore", invalid="ignore"):
        y_mean = (data.constant * data.y).sum(axis=1) / data.size
    y_centred = np.where(data.used, data.y - data.constant * y_mean[:, None], 0.0)
    x_centred = data.x - data.constant[:, :, None] * x_mean[:, None, :]
    error = np.where(data.used, y_centred - np.einsum("nlk,nk->nl", x_centred, slope), 0.0)
    sse, total = (error**2).sum(axis=1), (y_centred**2).sum(axis=1)
    # (X'X)^-1 of [1, x] from the inverse of the centred cross products, a partitioned inverse.
    full = np.empty((len(theta), theta.shape[1], theta.shape[1]))
    border = -np.einsum("njk,nk->nj", inverse, x_mean)
    with np.errstate(divide="ignore"):
        full[:, 0, 0] = 1.0 / data.size - np.einsum("nj,nj->n", border, x_mean)
    full[:, 0, 1:] = full[:, 1:, 0] = border
    full[:, 1:, 1:] = inverse
    dof = (count - theta.shape[1]).astype(float)
    with np.errstate(divide="ignore", invalid="ignore"):
        sigma2 = np.where(dof > 0, sse / dof, np.nan)
        r_squared = 1.0 - sse / total
    return ExpectedReturns(
        model=name,
        loadings=loadings,
        theta=theta,
        estimation_design=data.design,
        event_design=event_regressors(panel),
        xtx_inv=full,
        residuals=np.where(data.used, error, np.nan),
        sigma2=sigma2,
        dof=dof,
        n_estimation=count.astype(np.int64),
        r_squared=r_squared,
        scale=panel.spans()[1],
        remark=no_remarks(len(panel)),
    )


def solve(data: Regression, weights: Floats | None = None) -> tuple[Floats, Floats, Floats, Floats]:
    """Return slopes (N, K), intercepts (N,), inverse centred moments (N, K, K), factor means (N, K).

    ``weights`` (N, L1) are weights of the squared residuals, by default ones.
    """
    weigh = data.used.astype(float) if weights is None else np.where(data.used, weights, 0.0)
    base = weigh * data.constant
    with np.errstate(divide="ignore", invalid="ignore"):
        size = (base * data.constant).sum(axis=1)
        y_mean = (base * data.y).sum(axis=1) / size
        x_mean = np.einsum("nl,nlk->nk", base, data.x) / size[:, None]
    y_centred = data.y - data.constant * y_mean[:, None]
    x_centred = np.where(data.used[:, :, None], data.x - data.constant[:, :, None] * x_mean[:, None, :], 0.0)
    weighted = x_centred * weigh[:, :, None]
    products = np.einsum("nlj,nlk->njk", weighted, x_centred)
    # A centred constant column contains rounding errors instead of zeros.
    flat = np.einsum("nkk->nk", products) <= CONSTANT * np.einsum("nl,nlk->nk", weigh, data.x**2)
    inverse = inverses(np.where(flat.any(axis=1)[:, None, None], np.nan, products))
    moments = np.einsum("nlk,nl->nk", weighted, np.where(data.used, y_centred, 0.0))
    slope = np.einsum("njk,nk->nj", inverse, moments)
    return slope, y_mean - np.einsum("nk,nk->n", slope, x_mean), inverse, x_mean


def inverses(moments: Floats) -> Floats:
    """Inverses of (N, K, K) cross products, NaN if singular."""
    if moments.shape[-1] == 0:
        return moments
    if moments.shape[-1] == 1:
        with np.errstate(divide="ignore", invalid="ignore"):
            inverse: Floats = np.where(moments > 0, 1.0 / moments, np.nan)
        return inverse
    there = np.atleast_1d(np.isfinite(moments).all(axis=(1, 2)))
    moments = np.where(there[:, None, None], moments, 0.0)
    regular = np.linalg.matrix_rank(moments, hermitian=True) == moments.shape[-1]
    safe = np.where(regular[:, None, None], moments, np.eye(moments.shape[-1]))
    return np.where(regular[:, None, None], np.linalg.inv(safe), np.nan)
