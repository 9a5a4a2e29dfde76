"""`ExpectedReturns` (output of every model), the `@model` registry, and the treatment of the intercept."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np

from eventstudy import registry
from eventstudy.config import Model
from eventstudy.core.arrays import Bools, Counts, Floats, Places, Reasons, centred
from eventstudy.core.windows import EventPanel
from eventstudy.errors import ConfigError, Reason
from eventstudy.registry import Registry


@dataclass(frozen=True, slots=True, kw_only=True)
class ExpectedReturns:
    """What a model predicts, with the prediction-error variance in factored form.

    For weights g over the event window the prediction error g'(R - mean) has variance
    ``sigma2 * (sum_t g_t^2 scale_t + x' xtx_inv x)`` with ``x = event_design' g``. It includes the estimation error
    and needs no array of size N x L2 x L2.

    Attributes
    ----------
    loadings : tuple of str
        Names of the p coefficients.
    theta : (N, p)
    estimation_design : (N, L1, p)
        Regressors, zero on days that were not used. For every model ``estimation_design @ xtx_inv`` are the weights
        with which the estimation days enter the coefficients.
    event_design : (N, L2, p)
    xtx_inv : (N, p, p)
        Covariance of the coefficients divided by ``sigma2``.
    residuals : (N, L1)
        NaN on days that were not used.
    sigma2 : (N,)
        SSE / dof.
    dof : (N,)
        Estimation days used minus the number of estimated coefficients.
    n_estimation : (N,)
    r_squared : (N,)
    scale : (N, L2)
        Variance of each event day relative to ``sigma2``: one, except for returns over several sessions and for models
        of the conditional variance.
    remark : (N,) Reason
        Note on a single fit, for example that another model replaced it; else empty.

    Examples
    --------
    ``panel`` is an `EventPanel`, the input of a model.

    >>> from eventstudy import MODELS, StudyConfig
    >>> expected = MODELS["market"](panel, StudyConfig().model)
    >>> expected.loadings
    ('alpha', 'beta')
    >>> expected.theta.shape == (len(panel), 2)
    True
    """

    model: str
    loadings: tuple[str, ...]
    theta: Floats
    estimation_design: Floats
    event_design: Floats
    xtx_inv: Floats
    residuals: Floats
    sigma2: Floats
    dof: Floats
    n_estimation: Counts
    r_squared: Floats
    scale: Floats
    remark: Reasons

    @property
    def mean(self) -> Floats:
        """Expected returns over the event window, shape (N, L2)."""
        predicted: Floats = np.einsum("nlp,np->nl", self.event_design, self.theta)
        return predicted

    def variance(self, weights: Floats) -> Floats:
        """Prediction-error variance (N,) of a weighted sum of event days; a CAR has weights (L2,) of 1 in its window.

        Notes
        -----
        Var(CAR) = g' V g with V = s2 (I + X* (X'X)^-1 X*') (Campbell, Lo and MacKinlay 1997, ch. 4;
        Salinger 1992): all days contain the same estimation error, so their covariances are included.
        """
        x = self.window_design(weights)
        own = (np.nan_to_num(self.scale) * weights**2).sum(axis=1)
        total: Floats = self.sigma2 * (own + np.einsum("np,npq,nq->n", x, self.xtx_inv, x))
        return total

    def window_design(self, weights: Floats) -> Floats:
        """Regressors summed over the weighted event days, shape (N, p)."""
        inside = weights != 0
        summed: Floats = np.einsum("nlp,l->np", self.event_design[:, inside], weights[inside])
        return summed

    def take(self, index: Places | Bools) -> ExpectedReturns:
        """Return the firm-events at ``index`` (positions or a mask)."""
        kept: dict[str, Any] = {f.name: getattr(self, f.name) for f in fields(self)}
        for name in kept.keys() - {"model", "loadings"}:
            kept[name] = kept[name][index]
        return ExpectedReturns(**kept)


Fit = Callable[[EventPanel, Model], ExpectedReturns]
MODELS: Registry[Fit] = registry.MODELS
_NEEDS: dict[str, tuple[str, ...]] = {}
_STILL_INDEX: set[str] = set()


def model(name: str, *, needs: tuple[str, ...] = (), still_index: bool = False) -> Callable[[Fit], Fit]:
    """Register a model: a function from an `EventPanel` and the settings to `ExpectedReturns`.

    Parameters
    ----------
    name : str
        The name for ``model.name`` in the settings.
    needs : tuple of str
        Further series that it needs besides the index, see `inputs.factor_columns`.
    still_index : bool
        Whether it works with an index that never moves, because it estimates nothing from the index.

    Returns
    -------
    callable
        A decorator that returns the function unchanged.

    Examples
    --------
    ``panel`` is an `EventPanel`.

    >>> from eventstudy import MODELS, EventPanel, ExpectedReturns, StudyConfig, least_squares, model
    >>> @model("own_mean")
    ... def own_mean(panel: EventPanel, settings: object) -> ExpectedReturns:
    ...     return least_squares(panel.with_factors(), "own_mean", ("mean",))
    >>> MODELS["own_mean"](panel, StudyConfig().model).theta.shape == (len(panel), 1)
    True
    """

    def register(fit: Fit) -> Fit:
        MODELS[name] = fit
        _NEEDS[name] = needs
        if still_index:
            _STILL_INDEX.add(name)
        return fit

    return register


def needs(name: str) -> tuple[str, ...]:
    """Series that a model needs besides the index; `ConfigError` suggests the nearest name for an unknown model."""
    _known(name)
    return _NEEDS.get(name, ())


def takes_still_index(name: str) -> bool:
    """Whether a model works with an index that never moves; `ConfigError` for an unknown model."""
    _known(name)
    return name in _STILL_INDEX


def fit(panel: EventPanel, name: str = "market", *, settings: Model | None = None) -> ExpectedReturns:
    """Fit a registered model to all firm-events; `ConfigError` suggests the nearest name for an unknown model."""
    _known(name)
    return MODELS[name](panel, settings or Model(name=name))


def _known(name: str) -> None:
    if not MODELS.knows(name):
        raise ConfigError(f"model.name = {MODELS.unknown(name)}")
    # Access loads a model that another distribution declares.
    MODELS[name]


def no_remarks(n: int) -> Reasons:
    """Empty remarks of n fits."""
    return np.full(n, Reason(), dtype=object)


def merge(base: ExpectedReturns, other: ExpectedReturns, rows: Bools) -> ExpectedReturns:
    """Return ``base`` with the marked rows replaced by the fits of ``other``."""
    merged: dict[str, Any] = {}
    for item in fields(ExpectedReturns):
        if item.name not in ("model", "loadings"):
            merged[item.name] = getattr(base, item.name).copy()
            merged[item.name][rows] = getattr(other, item.name)
    return replace(base, **merged)


def without_alpha(expected: ExpectedReturns, days: Bools) -> ExpectedReturns:
    """Return the same fit with its intercept taken as zero on the event days marked in ``days``, (L2,).

    Notes
    -----
    After a run-up the estimated intercept would appear in the post window as a loss that nobody expected. If the
    intercept's column is zero on those days, the prediction and its error lose this term: V = s2 (I + r_m r_m' / sum
    (R_m - mean R_m)^2). Slopes are those of the regression with intercept. Models without an ``alpha`` are returned
    unchanged.
    """
    if "alpha" not in expected.loadings or not days.any():
        return expected
    design = expected.event_design.copy()
    design[:, days, expected.loadings.index("alpha")] = 0.0
    return replace(expected, event_design=design)


#: Smallest number of peers for which the spread of the intercepts is estimated from the event alone.
PEERS_FOR_SPREAD = 3


def shrink_alpha(expected: ExpectedReturns, news: Places) -> ExpectedReturns:
    """Return the same fit with intercepts shrunk towards zero.

    Their spread is estimated over the firm-events of one piece of ``news`` (N,), see `abnormal.news_of`, or over all
    firm-events if it has fewer than three.

    Notes
    -----
    alpha_s = w alpha with w = tau2 / (tau2 + s2/L); tau2 = max(0, var(alpha) - mean(s2/L)) over the
    peers. The error of alpha_s consists of its sampling error times w, and of the part (1-w) of a true intercept with
    variance tau2, which is added to its variance. Other coefficients do not change.
    """
    if "alpha" not in expected.loadings:
        return expected
    at = expected.loadings.index("alpha")
    noise = expected.sigma2 / expected.n_estimation
    tau2 = _spread(expected.theta[:, at], noise, news)
    with np.errstate(invalid="ignore"):
        weight = np.where(tau2 > 0, tau2 / (tau2 + noise), 0.0)
    draw = np.ones(expected.theta.shape)
    draw[:, at] = weight
    pulled = expected.xtx_inv * draw[:, None, :]
    covariance = pulled * draw[:, :, None]
    covariance[:, at, at] += (1.0 - weight) ** 2 * tau2 / expected.sigma2
    # The design is solved for, so that the weights of the estimation days are still estimation_design @ xtx_inv.
    daily = np.einsum("nlp,npq->nlq", expected.estimation_design, pulled)
    design = np.einsum("nlp,npq->nlq", daily, _pseudo_inverse(covariance))
    return replace(expected, theta=expected.theta * draw, xtx_inv=covariance, estimation_design=design)


def _spread(alpha: Floats, noise: Floats, news: Places) -> Floats:
    """Variance of the true intercepts of the peers (method of moments), for each firm-event's group."""

    def moments(rows: Bools) -> float:
        rows = rows & np.isfinite(alpha) & np.isfinite(noise)
        return max(0.0, float(alpha[rows].var(ddof=1) - noise[rows].mean())) if rows.sum() > 1 else 0.0

    tau2 = np.full(len(alpha), moments(np.ones(len(alpha), dtype=bool)))
    for code in np.unique(news):
        rows = news == code
        if rows.sum() >= PEERS_FOR_SPREAD:
            tau2[rows] = moments(rows)
    return tau2


def _pseudo_inverse(matrices: Floats) -> Floats:
    """Pseudo-inverses of (N, p, p) symmetric matrices; NaN for a matrix that contains NaN."""
    there = np.atleast_1d(np.isfinite(matrices).all(axis=(1, 2)))
    safe = np.where(there[:, None, None], matrices, 0.0)
    # Scaled to a unit diagonal first, because the variance of a slope is thousands of times that of the intercept.
    root = np.sqrt(np.einsum("npp->np", safe))
    unit = np.where(root > 0, root, 1.0)
    scaled = safe / (unit[:, :, None] * unit[:, None, :])
    inverse = np.linalg.pinv(scaled, hermitian=True) / (unit[:, :, None] * unit[:, None, :])
    return np.where(there[:, None, None], inverse, np.nan)


def from_daily_weights(
    panel: EventPanel,
    name: str,
    loadings: tuple[str, ...],
    daily: Floats,
    theta: Floats,
    *,
    regressors: tuple[Floats, Floats],
    used: Bools,
    estimated: int,
) -> ExpectedReturns:
    """Return the result of an estimator that is linear in the returns: theta = sum_t daily_t R_t.

    ``daily`` (N, L1, p) are the weights of the estimation days in each coefficient; ``regressors`` (N, L1, p) and (N,
    L2, p) are the regressors of both windows; ``estimated`` is the number of estimated coefficients.

    Notes
    -----
    Under homoscedastic errors the coefficients have covariance s2 A'A with A = daily. A design
    A (A'A)^-1 with (A'A) as inverse moments reproduces both, as X and (X'X)^-1 do for OLS.
    """
    covariance = np.einsum("nlp,nlq->npq", daily, daily)
    before, around = regressors
    error = np.where(used, panel.estimation_returns - np.einsum("nlp,np->nl", before, theta), 0.0)
    count = used.sum(axis=1)
    sse = (error**2).sum(axis=1)
    dof = (count - estimated).astype(float)
    with np.errstate(divide="ignore", invalid="ignore"):
        total = (centred(panel.estimation_returns, used) ** 2).sum(axis=1)
        sigma2, r_squared = np.where(dof > 0, sse / dof, np.nan), 1.0 - sse / total
    return ExpectedReturns(
        model=name,
        loadings=loadings,
        theta=theta,
        estimation_design=np.einsum("nlp,npq->nlq", daily, _pseudo_inverse(covariance)),
        event_design=around,
        xtx_inv=covariance,
        residuals=np.where(used, error, np.nan),
        sigma2=sigma2,
        dof=dof,
        n_estimation=count.astype(np.int64),
        r_squared=r_squared,
        scale=np.ones(panel.event_returns.shape),
        remark=no_remarks(len(panel)),
    )
