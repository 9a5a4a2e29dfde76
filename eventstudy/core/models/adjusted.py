"""Models without a regression: the security's own mean, and the index itself."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from eventstudy.config import Model
from eventstudy.core.models.base import ExpectedReturns, model
from eventstudy.core.models.ols import least_squares
from eventstudy.core.windows import EventPanel


@model("mean_adjusted")
def mean_adjusted(panel: EventPanel, settings: Model) -> ExpectedReturns:  # noqa: ARG001 - one contract for all
    """Constant mean return R = mu + e (Brown and Warner 1985, eq. 1; MacKinlay 1997, eq. 2).

    Days count whether or not the index has a return. The coefficient is called ``mean``: it is the
    whole model, so no policy of the intercept drops it.
    """
    return least_squares(panel.with_factors(), "mean_adjusted", ("mean",))


@model("market_adjusted")
def market_adjusted(panel: EventPanel, settings: Model) -> ExpectedReturns:  # noqa: ARG001 - one contract for all
    """Index-adjusted return R = R_m + e (Brown and Warner 1985, eq. 2): nothing is estimated.

    sigma2 = SSE/M about zero, since k = 0 (Brown and Warner take the variance about the mean, with
    M-1); coefficients (0, 1) have no estimation error.
    """
    base = least_squares(panel.with_factors("market"), "market_adjusted", ("alpha", "beta"))
    n, p = base.theta.shape
    theta = np.broadcast_to(np.array([0.0, 1.0]), (n, p)).copy()
    used = np.isfinite(base.residuals)
    span, _ = panel.spans()
    error = np.where(
        used, (panel.estimation_returns - panel.factor("market")[0]) / np.sqrt(np.where(used, span, 1.0)), 0.0
    )
    sse, dof = (error**2).sum(axis=1), base.n_estimation.astype(float)
    ordinary = (1.0 - base.r_squared) / (base.sigma2 * base.dof)
    with np.errstate(divide="ignore", invalid="ignore"):
        sigma2 = np.where(dof > 0, sse / dof, np.nan)
    return replace(
        base,
        theta=theta,
        xtx_inv=np.zeros((n, p, p)),
        residuals=np.where(used, error, np.nan),
        sigma2=sigma2,
        dof=dof,
        r_squared=1.0 - sse * ordinary,
    )
