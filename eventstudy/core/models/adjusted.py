"""Models without a regression: the security's own mean, and the index itself."""

from __future__ import annotations

import numpy as np

from eventstudy.config import Model
from eventstudy.core.models.base import ExpectedReturns, model, no_remarks
from eventstudy.core.models.ols import event_regressors, least_squares, observations
from eventstudy.core.windows import EventPanel


@model("mean_adjusted", still_index=True)
def mean_adjusted(panel: EventPanel, settings: Model) -> ExpectedReturns:  # noqa: ARG001 - one contract for all
    """Constant mean return R = mu + e (Brown and Warner 1985, eq. 1; MacKinlay 1997, eq. 2).

    Days count whether or not the index has a return. The coefficient is called ``mean``: it is the
    whole model, so no policy of the intercept drops it.
    """
    return least_squares(panel.with_factors(), "mean_adjusted", ("mean",))


@model("market_adjusted", still_index=True)
def market_adjusted(panel: EventPanel, settings: Model) -> ExpectedReturns:  # noqa: ARG001 - one contract for all
    """Index-adjusted return R = R_m + e (Brown and Warner 1985, eq. 2): nothing is estimated.

    So an index that never moves is no obstacle.

    sigma2 = SSE/M about zero, since k = 0 (Brown and Warner take the variance about the mean, with
    M-1); coefficients (0, 1) have no estimation error.
    """
    chosen = panel.with_factors("market")
    data = observations(chosen)
    n, count, span = len(panel), data.used.sum(axis=1), panel.spans()[0]
    excess = panel.estimation_returns - panel.factor("market")[0]
    error = np.where(data.used, excess / np.sqrt(np.where(data.used, span, 1.0)), 0.0)
    sse, dof = (error**2).sum(axis=1), count.astype(float)
    with np.errstate(divide="ignore", invalid="ignore"):
        y_mean = (data.constant * data.y).sum(axis=1) / data.size
        total = (np.where(data.used, data.y - data.constant * y_mean[:, None], 0.0) ** 2).sum(axis=1)
        sigma2, r_squared = np.where(dof > 0, sse / dof, np.nan), 1.0 - sse / total
    return ExpectedReturns(
        model="market_adjusted",
        loadings=("alpha", "beta"),
        theta=np.broadcast_to(np.array([0.0, 1.0]), (n, 2)).copy(),
        estimation_design=data.design,
        event_design=event_regressors(chosen),
        xtx_inv=np.zeros((n, 2, 2)),
        residuals=np.where(data.used, error, np.nan),
        sigma2=sigma2,
        dof=dof,
        n_estimation=count.astype(np.int64),
        r_squared=r_squared,
        scale=chosen.spans()[1],
        remark=no_remarks(n),
    )
