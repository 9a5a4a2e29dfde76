"""Market models with a changing residual variance: GARCH and EGARCH, each the best of several optima.

With numba (the extra ``fast``) the optimisation of GARCH is compiled; starting values, rules and the choice of the
optimum are the same with and without it. If a search has not clearly converged, ``arch`` fits the series too.
"""

from __future__ import annotations

import functools
import math
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np
from scipy import special

from eventstudy.config import Model
from eventstudy.core.arrays import Floats
from eventstudy.core.models.base import ExpectedReturns, merge, model
from eventstudy.core.models.ols import least_squares, observations
from eventstudy.core.models.variance_likelihood import egarch_by_search, garch_by_search
from eventstudy.core.models.variance_search import CLOSE
from eventstudy.core.windows import EventPanel
from eventstudy.errors import Reason
from eventstudy.registry import KERNELS
from eventstudy.workers import run_blocks

if TYPE_CHECKING:
    from eventstudy.core.models.variance_search import Optimum

#: With this persistence or more the variance does not return to a mean; the constant-variance model is used.
PERSISTENCE_LIMIT = 0.999
#: A daily variance this many times above or below that of the estimation window is not accepted: EGARCH
#: reacts exponentially to a shock, and with |g| > a it can reach zero or infinity within an event.
PLAUSIBLE = 100.0
#: Smallest number of returns for a model of a changing variance.
FEWEST_RETURNS = 30
#: Series that a worker fits at once: by ``arch``, and compiled.
BLOCK, FAST_BLOCK = 20, 500
#: If a search has not clearly converged, its point is kept if the likelihood of ``arch`` is lower by this much.
BETTER = 1e-2
#: Returns are multiplied by this, because ``arch`` works best with percent.
PERCENT = 100.0


@model("garch")
def garch(panel: EventPanel, settings: Model) -> ExpectedReturns:
    """Market model with GARCH(1,1) errors, Student t (Bollerslev 1986, 1987).

    h_t = omega + a e_{t-1}^2 + b h_{t-1}; the best of several optima is used. ``frozen`` forecasts h from the
    end of the estimation window to each event day. ``conditional`` updates h with the residuals of the event
    days, with fixed coefficients.
    """
    return _fit_all(panel, settings, "garch")


@model("egarch")
def egarch(panel: EventPanel, settings: Model) -> ExpectedReturns:
    """Market model with EGARCH(1,1,1) errors, Student t (Nelson 1991, as in ``arch``).

    ln h_t = omega + a (|z_{t-1}| - sqrt(2/pi)) + g z_{t-1} + b ln h_{t-1} with a >= 0. Event days as in
    ``garch``.
    """
    return _fit_all(panel, settings, "egarch")


@dataclass(frozen=True, slots=True)
class VarianceFit:
    """One fit in percent: mean and variance coefficients, the path of h, and whether it can be used.

    ``trouble`` is the reason if it cannot be used; ``remark`` compares the next optimum if it is close.
    """

    theta: tuple[float, float]
    variance: tuple[float, ...]
    path: Floats
    trouble: Reason = field(default_factory=Reason)
    log_likelihood: float = math.nan
    remark: Reason = field(default_factory=Reason)


def _fit_all(panel: EventPanel, settings: Model, name: str) -> ExpectedReturns:
    """Fit every firm-event and compute the variance of each event day.

    Notes
    -----
    ``frozen``: h is forecast from the end of the estimation window, through the gap, to each event
    day; ``conditional``: h is updated with the event's own residuals, coefficients fixed. Missing days
    are left out of the fit; on event days they count as average days. The coefficients' error is
    that of weighted least squares, (X' H^-1 X)^-1 with the fitted h; sigma2 = SSE/(M-2), and ``scale``
    is h_t / sigma2. A fit is replaced by OLS, with a ``remark``, if it did not converge, if its persistence is 0.999
    or more, or if the variance of an event day is a hundred times above or below sigma2. If the likelihood has another
    optimum that is nearly as high, the remark gives the difference.
    """
    chosen = panel.with_factors("market")
    base = least_squares(chosen, name, ("alpha", "beta"))
    data = observations(chosen)
    series = [(PERCENT * data.y[i, data.used[i]], PERCENT * data.x[i, data.used[i]], name) for i in range(len(panel))]
    size = FAST_BLOCK if name == "garch" and compiled_fit() else BLOCK
    blocks = [series[first : first + size] for first in range(0, len(series), size)]
    done = run_blocks(_fit_block, blocks, jobs=settings.jobs, engine=settings.engine, scheduler=settings.scheduler)
    fits = [fit for block in done for fit in block]
    trouble = np.array([fit.trouble for fit in fits], dtype=object)
    good = np.flatnonzero(~trouble.astype(bool))
    if len(good):
        fitted = _assemble(chosen.take(good), base.take(good), [fits[i] for i in good], settings.variance, name)
        bounded = np.all((fitted.scale > 1.0 / PLAUSIBLE) & (fitted.scale < PLAUSIBLE), axis=1)
        trouble[good[~bounded]] = Reason("fits.unbounded")
        base = merge(base, fitted.take(bounded), ~trouble.astype(bool))
    remarks = [
        Reason("fits.fell_back", name=name, why=why) if why else fit.remark
        for why, fit in zip(trouble, fits, strict=True)
    ]
    return replace(base, remark=np.array(remarks, dtype=object))


def _fit_block(series: Sequence[tuple[Floats, Floats, str]]) -> list[VarianceFit]:
    return [fit_variance(*one) for one in series]


@functools.cache
def compiled_fit() -> Callable[[Floats, Floats], Optimum] | None:
    """Return the compiled GARCH fit, None if numba is not installed."""
    try:
        fit: Callable[[Floats, Floats], Optimum] = KERNELS["garch"]
    except ImportError:
        return None
    return fit


def fit_variance(y: Floats, x: Floats, name: str) -> VarianceFit:
    """Fit one series of returns in percent on its regressors (L, 1): the best of several optima.

    GARCH is optimised by compiled code if numba is installed. If the search has not clearly converged, ``arch`` fits
    the series too, and the fit with the higher likelihood is kept.
    """
    if len(y) < FEWEST_RETURNS or not np.ptp(y) > 0:
        return VarianceFit((np.nan, np.nan), (), np.zeros(0), Reason("fits.few_returns", fewest=FEWEST_RETURNS))
    climbs = egarch_by_search if name == "egarch" else compiled_fit() or garch_by_search
    found = climbs(y, x[:, 0])
    if name == "garch" and not found.converged:
        checked = _fit_by_arch(y, x)
        if not found.log_likelihood > checked.log_likelihood + BETTER:
            return checked
    fit = _fit_of(found.coefficients, found.path, found.log_likelihood, name, converged=found.converged)
    return replace(fit, remark=_of_optima(found, name))


def _of_optima(found: Optimum, name: str) -> Reason:
    """Difference to the next optimum, if it is close or if the best single start does not lead to the best optimum.

    Both are judged by `CLOSE`, one point of log-likelihood.
    """
    if not (found.second_gap < CLOSE or CLOSE < found.first_gap < math.inf):
        return Reason()
    gap = found.second_gap if math.isfinite(found.second_gap) else found.first_gap
    return Reason("fits.other_optimum", name=name, gap=round(gap, 2))


def _fit_by_arch(y: Floats, x: Floats) -> VarianceFit:
    import arch

    with warnings.catch_warnings():
        # A fit that did not converge is reported in the remark of its firm-event.
        warnings.simplefilter("ignore")
        built = arch.arch_model(y, x=x, mean="LS", vol="GARCH", p=1, q=1, dist="t", rescale=False)
        result = built.fit(disp="off", show_warning=False)
    coefficients = np.asarray(result.params, dtype=float)
    path = np.asarray(result.conditional_volatility, dtype=float) ** 2
    converged = result.convergence_flag == 0
    return _fit_of(coefficients, path, float(result.loglikelihood), "garch", converged=converged)


def _fit_of(coefficients: Floats, path: Floats, log_likelihood: float, name: str, *, converged: bool) -> VarianceFit:
    theta, variance = (float(coefficients[0]), float(coefficients[1])), tuple(map(float, coefficients[2:]))
    finite = np.isfinite(coefficients).all() and np.isfinite(path).all() and (path > 0).all()
    persistence = abs(coefficients[5] if name == "egarch" else coefficients[3] + coefficients[4])
    trouble = Reason()
    if not (converged and finite):
        trouble = Reason("fits.no_convergence")
    elif persistence >= PERSISTENCE_LIMIT:
        trouble = Reason("fits.persistence", value=round(persistence, 3))
    return VarianceFit(theta, variance, path, trouble, log_likelihood)


def _assemble(
    panel: EventPanel, base: ExpectedReturns, fits: Sequence[VarianceFit], variance: str, name: str
) -> ExpectedReturns:
    theta = np.array([fit.theta for fit in fits]).reshape(-1, 2) / np.array([PERCENT, 1.0])
    used = np.isfinite(base.residuals)
    design = base.estimation_design
    path = np.ones(used.shape)
    for row, fit in enumerate(fits):
        path[row, used[row]] = fit.path / PERCENT**2
    error = np.where(used, panel.estimation_returns - np.einsum("nlp,np->nl", design, theta), 0.0)
    sse = (error**2).sum(axis=1)
    sigma2 = sse / base.dof
    weighted = design / path[:, :, None]
    covariance = np.linalg.inv(np.einsum("nlp,nlq->npq", weighted, design))
    event = panel.event_returns - np.einsum("nlp,np->nl", base.event_design, theta)
    ahead = event_variance(
        np.array([fit.variance for fit in fits]).reshape(len(fits), -1),
        last_h=np.array([fit.path[-1] for fit in fits]),
        last_e=PERCENT * np.array([row[there][-1] for row, there in zip(error, used, strict=True)]),
        event=PERCENT * event if variance == "conditional" else np.full(event.shape, np.nan),
        gap=panel.gap,
        name=name,
    )
    ordinary = (1.0 - base.r_squared) / (base.sigma2 * base.dof)
    return replace(
        base,
        theta=theta,
        residuals=np.where(used, error, np.nan),
        sigma2=sigma2,
        r_squared=1.0 - sse * ordinary,
        xtx_inv=covariance / sigma2[:, None, None],
        estimation_design=weighted * sigma2[:, None, None],
        scale=ahead / PERCENT**2 / sigma2[:, None],
    )


def event_variance(variance: Floats, *, last_h: Floats, last_e: Floats, event: Floats, gap: int, name: str) -> Floats:
    """Return h on each event day, shape (N, L2), in squared percent.

    ``variance`` (N, 4 or 5) is omega, a, (g,) b and the degrees of freedom; ``last_h`` and ``last_e`` (N,) are the
    variance and the residual of the last estimation day, ``gap`` the average sessions after it. ``event`` (N, L2)
    are residuals that update h; NaN is an average day: e^2 = h, and the mean of |z| for EGARCH.

    Notes
    -----
    The EGARCH forecast is exp(E ln h): E h itself is infinite for Student's t errors.
    """
    n, length = event.shape
    residuals = np.concatenate([last_e[:, None], np.full((n, gap), np.nan), event], axis=1)
    h = np.empty((n, gap + length + 1))
    h[:, 0] = last_h
    step = _egarch_step if name == "egarch" else _garch_step
    # A path may diverge; `PLAUSIBLE` then discards it.
    with np.errstate(all="ignore"):
        for day in range(gap + length):
            h[:, day + 1] = step(variance, h[:, day], residuals[:, day])
    return h[:, gap + 1 :]


def _garch_step(variance: Floats, h: Floats, error: Floats) -> Floats:
    omega, a, b = variance[:, 0], variance[:, 1], variance[:, 2]
    return omega + a * np.where(np.isfinite(error), error**2, h) + b * h


def _egarch_step(variance: Floats, h: Floats, error: Floats) -> Floats:
    omega, a, g, b, nu = variance.T
    z = error / np.sqrt(h)
    size = np.where(np.isfinite(z), np.abs(z), mean_absolute_t(nu))
    shock = a * (size - np.sqrt(2.0 / np.pi)) + g * np.nan_to_num(z)
    following: Floats = np.exp(omega + shock + b * np.log(h))
    return following


def mean_absolute_t(nu: Floats) -> Floats:
    """E|z| of Student's t with variance 1, 2 sqrt(nu-2) G((nu+1)/2) / ((nu-1) sqrt(pi) G(nu/2))."""
    ratio = np.exp(special.gammaln((nu + 1.0) / 2.0) - special.gammaln(nu / 2.0))
    mean: Floats = 2.0 * np.sqrt(nu - 2.0) * ratio / ((nu - 1.0) * np.sqrt(np.pi))
    return mean
