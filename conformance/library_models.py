"""What libraries, or an exact search, give for the models that no closed form states: `model_twins.Twin` of each.

GARCH and EGARCH are of ``arch`` (Sheppard), the robust regression of ``statsmodels`` RLM, the weights of a synthetic
peer of a look at every set of donors.
"""

from __future__ import annotations

import itertools
import warnings
from collections.abc import Iterator

import model_twins
import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
#: ``arch`` is tuned to returns in percent.
PERCENT = 100.0


def by_arch(y: Floats, m: Floats, event: Floats, kind: str, gap: int) -> model_twins.Twin:
    """Market model with GARCH(1,1) or EGARCH(1,1,1) errors, Student t: the best that ``arch`` reaches from its starts.

    The variance of an event day is what ``arch`` forecasts for it, ``gap`` sessions after the estimation window; the
    coefficients' error is that of weighted least squares with the fitted variances.
    """
    import arch

    order = {"p": 1, "o": 1 if kind == "EGARCH" else 0, "q": 1}
    built = arch.arch_model(PERCENT * y, x=PERCENT * m[:, None], mean="LS", vol=kind, dist="t", rescale=False, **order)
    starts = (None, *_starts(y, m, kind))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        fits = [built.fit(disp="off", show_warning=False, starting_values=start, tol=1e-13) for start in starts]
    best = max((fit for fit in fits if fit.convergence_flag == 0), key=lambda fit: fit.loglikelihood)
    theta = best.params.to_numpy()[:2] / np.array([PERCENT, 1.0])
    design, star = (np.column_stack([np.ones(len(days)), days]) for days in (m, event))
    h = (best.conditional_volatility / PERCENT) ** 2
    error = np.linalg.inv(design.T @ (design / h[:, None]))
    ahead = np.full(len(event), np.nan)
    if kind == "GARCH":
        zeros = np.zeros((1, 1, gap + len(event)))
        ahead = best.forecast(horizon=gap + len(event), x=zeros).variance.to_numpy()[-1, gap:] / PERCENT**2
    residuals = y - design @ theta
    covariance = np.diag(ahead) + star @ error @ star.T
    return model_twins.Twin(theta, residuals, float("nan"), len(y) - 2, star @ theta, covariance)


def _starts(y: Floats, m: Floats, kind: str) -> Iterator[Floats]:
    slope, intercept = np.polyfit(m, y, 1)
    level = float(np.var(PERCENT * (y - intercept - slope * m)))
    for a, b, nu in itertools.product((0.05, 0.15), (0.3, 0.8), (5.0, 12.0)):
        variance = [np.log(level) * (1.0 - b), a, 0.0, b] if kind == "EGARCH" else [level * (1.0 - a - b), a, b]
        yield np.array([PERCENT * intercept, slope, *variance, nu])


def huber(y: Floats, m: Floats, event: Floats) -> model_twins.Twin:
    """Market model by Huber's M-estimator: RLM of ``statsmodels``, and SSE/(M-2) of its residuals."""
    import statsmodels.api as sm

    design, star = (np.column_stack([np.ones(len(days)), days]) for days in (m, event))
    fit = sm.RLM(y, design, M=sm.robust.norms.HuberT()).fit(tol=1e-12, maxiter=500)
    error = y - design @ fit.params
    s2 = float(error @ error) / (len(y) - 2)
    covariance = s2 * np.eye(len(event)) + star @ fit.cov_params() @ star.T
    return model_twins.Twin(fit.params, error, s2, len(y) - 2, star @ fit.params, covariance)


def synthetic(y: Floats, donors: Floats, event: Floats) -> model_twins.Twin:
    """Weights >= 0 with sum one and the least squares (Abadie, Diamond and Hainmueller 2010), by trying every set.

    ``donors`` (L, J). The solution with some weights zero is least squares under the sum alone on the other donors;
    the best set of those without a negative weight has the answer.
    """
    tried = []
    for size in range(1, donors.shape[1] + 1):
        for held in map(list, itertools.combinations(range(donors.shape[1]), size)):
            free = np.vstack([np.eye(size - 1), -np.ones((1, size - 1))])
            last = np.eye(size)[-1]
            part = donors[:, held]
            slope = np.linalg.lstsq(part @ free, y - part @ last, rcond=None)[0]
            weight = last + free @ slope
            if (weight > 0).all():
                error = y - part @ weight
                tried.append((float(error @ error), held, weight, free))
    sse, held, weight, free = min(tried, key=lambda row: row[0])
    theta = np.zeros(donors.shape[1])
    theta[held] = weight
    dof = len(y) - (len(held) - 1)
    moments = free.T @ donors[:, held].T @ donors[:, held] @ free
    spread = free @ np.linalg.inv(moments) @ free.T if len(held) > 1 else np.zeros((1, 1))
    star = event[:, held]
    covariance = sse / dof * (np.eye(len(event)) + star @ spread @ star.T)
    return model_twins.Twin(theta, y - donors @ theta, sse / dof, dof, event @ theta, covariance)
