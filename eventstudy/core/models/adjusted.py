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

    Uses all days with a return, even if the index has none. The coefficient is named ``mean``. It is the whole
    model, so no setting of ``model.alpha`` leaves it out.
    """
    return least_squares(panel.with_factors(), "mean_adjusted", ("mean",))


@model("market_adjusted", still_index=True)
def market_adjusted(panel: EventPanel, settings: Model) -> ExpectedReturns:  # noqa: ARG001 - one contract for all
    """Index-adjusted return R = R_m + e (Brown and Warner 1985, eq. 2); nothing is estimated.

    It also accepts an index that never moves. sigma2 is the mean of e^2 over the M estimation days (Brown and Warner
    use the variance about the mean, with M-1). alpha = 0 and beta = 1 are fixed, so they have no estimation error.
    """
    return fixed(panel.with_factors("market"), "market_adjusted", ("alpha", "beta"), (0.0, 1.0))


def fixed(panel: EventPanel, name: str, loadings: tuple[str, ...], theta: tuple[float, ...]) -> ExpectedReturns:
    """Predict with fixed coefficients of a constant and all factors of the panel.

    sigma2 = SSE/M about the prediction, since no coefficient is estimated; the coefficients have no error.
    """
    data = observations(panel)
    n, p, count = len(panel), len(theta), data.used.sum(axis=1)
    error = np.where(data.used, data.y - data.design @ np.array(theta), 0.0)
    sse, dof = (error**2).sum(axis=1), count.astype(float)
    with np.errstate(divide="ignore", invalid="ignore"):
        y_mean = (data.constant * data.y).sum(axis=1) / data.size
        total = (np.where(data.used, data.y - data.constant * y_mean[:, None], 0.0) ** 2).sum(axis=1)
        sigma2, r_squared = np.where(dof > 0, sse / dof, np.nan), 1.0 - sse / total
    return ExpectedReturns(
        model=name,
        loadings=loadings,
        theta=np.tile(theta, (n, 1)),
        estimation_design=data.design,
        event_design=event_regressors(panel),
        xtx_inv=np.zeros((n, p, p)),
        residuals=np.where(data.used, error, np.nan),
        sigma2=sigma2,
        dof=dof,
        n_estimation=count.astype(np.int64),
        r_squared=r_squared,
        scale=panel.spans()[1],
        remark=no_remarks(n),
    )
