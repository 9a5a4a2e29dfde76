"""Market models with another beta: Scholes–Williams, Dimson, rolling."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from eventstudy.config import Model
from eventstudy.core.arrays import Bools, Floats, centred
from eventstudy.core.models.base import ExpectedReturns, from_daily_weights, model
from eventstudy.core.models.ols import least_squares, observations, solve
from eventstudy.core.windows import EventPanel


def lag_names(lags: int) -> tuple[str, ...]:
    """Names of the index's lags and leads, from ``market-k`` to ``market+k``, without the index itself."""
    return tuple(f"market{shift:+d}" for shift in range(-lags, lags + 1) if shift)


@model("scholes_williams", needs=("lags",))
def scholes_williams(panel: EventPanel, settings: Model) -> ExpectedReturns:  # noqa: ARG001 - one contract for all
    """Market model with the beta of Scholes and Williams (1977) for nonsynchronous trading.

    Notes
    -----
    beta = (b_-1 + b_0 + b_+1) / (1 + 2 rho). b_k is the slope of a regression on R_m,t+k alone, rho the
    correlation of R_mt with R_m,t-1; alpha = mean R - beta mean R_m. All use the days on which the three index
    returns exist and the lead lies in the estimation window. The abnormal return is R - alpha - beta R_m, and
    sigma2 = SSE/(M-2) of these residuals. NaN if 1 + 2 rho is not positive.
    """
    columns = ("market-1", "market", "market+1")
    used = panel.with_factors(*columns).complete()
    series = [centred(panel.factor(name)[0], used) for name in columns]
    with np.errstate(divide="ignore", invalid="ignore"):
        single = [x / (x**2).sum(axis=1)[:, None] for x in series]
        before, now = series[0], series[1]
        rho = (before * now).sum(axis=1) / np.sqrt((before**2).sum(axis=1) * (now**2).sum(axis=1))
        divisor = np.where(1.0 + 2.0 * rho > 0, 1.0 + 2.0 * rho, np.nan)
        daily = (single[0] + single[1] + single[2]) / divisor[:, None]
    return _one_beta(panel, "scholes_williams", daily, used)


@model("dimson", needs=("lags",))
def dimson(panel: EventPanel, settings: Model) -> ExpectedReturns:
    """Market model with Dimson's (1979) beta: the sum of the slopes on ``lags`` leads and lags.

    Notes
    -----
    The slopes come from one regression on all 2k+1 columns and are added without weights. (Fowler and Rorke
    1983 weight them by the autocorrelations of the index, which matters if these are large.) alpha = mean R -
    beta mean R_m. The abnormal return is R - alpha - beta R_m, and sigma2 = SSE/(M-2) of these residuals.
    """
    names = ("market", *lag_names(settings.lags))
    chosen = panel.with_factors(*names)
    data = observations(chosen)
    _, _, inverse, x_mean = solve(data)
    deviation = np.where(data.used[:, :, None], data.x - x_mean[:, None, :], 0.0)
    daily = np.einsum("nlj,njk->nl", deviation, inverse)
    return _one_beta(panel, "dimson", daily, data.used)


def _one_beta(panel: EventPanel, name: str, daily: Floats, used: Bools) -> ExpectedReturns:
    """Fit R = alpha + beta R_m from the weights of the days in beta; alpha = mean R - beta mean R_m."""
    before, around = panel.factor("market")
    count = used.sum(axis=1)
    index = np.where(used, before, 0.0)
    with np.errstate(divide="ignore", invalid="ignore"):
        mean = index.sum(axis=1) / count
        in_alpha = np.where(used, 1.0 / count[:, None] - mean[:, None] * daily, 0.0)
    returns = np.where(used, panel.estimation_returns, 0.0)
    weights = np.stack([in_alpha, daily], axis=2)
    theta = np.einsum("nlp,nl->np", weights, returns)
    ones = used.astype(float)
    regressors = np.stack([ones, index], axis=2), np.stack([np.ones(around.shape), around], axis=2)
    return from_daily_weights(
        panel, name, ("alpha", "beta"), weights, theta, regressors=regressors, used=used, estimated=2
    )


@model("rolling")
def rolling(panel: EventPanel, settings: Model) -> ExpectedReturns:
    """Market model by OLS on only the last ``span`` sessions of the estimation window.

    Alpha, beta and sigma2 all come from these sessions. If some of them are missing, or are left out around
    other events, earlier sessions do not replace them.
    """
    returns = panel.estimation_returns.copy()
    returns[:, : max(returns.shape[1] - settings.span, 0)] = np.nan
    recent = replace(panel, estimation_returns=returns).with_factors("market")
    return least_squares(recent, "rolling", ("alpha", "beta"))


def beta_path(panel: EventPanel, span: int) -> tuple[Floats, Floats]:
    """Slopes of OLS on the ``span`` sessions up to each session of the estimation window, and their errors.

    Returns
    -------
    (N, L1) arrays
        NaN for the first span-1 sessions, and if less than half of the span has returns of share and index.

    Notes
    -----
    Computed from running sums of centred returns; se² = SSE/((n-2) sum (R_m - mean)²). The slope at the last session
    is that of the model ``rolling``.
    """
    used = panel.with_factors("market").complete()
    x, y = centred(panel.factor("market")[0], used), centred(panel.estimation_returns, used)
    running = np.cumsum(np.stack([used.astype(float), x, y, x * x, x * y, y * y]), axis=2)
    sums = np.full(running.shape, np.nan)
    sums[..., span - 1 :] = running[..., span - 1 :]
    sums[..., span:] -= running[..., :-span]
    n, x_sum, y_sum, xx, xy, yy = np.where(sums[0] >= max(span // 2, 3), sums, np.nan)
    with np.errstate(divide="ignore", invalid="ignore"):
        xx, xy, yy = xx - x_sum**2 / n, xy - x_sum * y_sum / n, yy - y_sum**2 / n
        beta = xy / xx
        return beta, np.sqrt(np.maximum(yy - beta * xy, 0.0) / ((n - 2) * xx))
