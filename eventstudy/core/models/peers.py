"""Models that compute the expected return from the returns of peers."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from eventstudy.config import Model
from eventstudy.core.arrays import Bools, Floats, Places
from eventstudy.core.models.base import ExpectedReturns, model, no_remarks
from eventstudy.core.models.ols import least_squares
from eventstudy.core.windows import EventPanel

#: A donor is used if it has this share of the security's estimation days, and every event day.
DONOR_SHARE = 0.9


@model("leave_one_out", needs=("others",), still_index=True)
def leave_one_out(panel: EventPanel, settings: Model) -> ExpectedReturns:  # noqa: ARG001 - one contract for all
    """Regression by OLS on the equally weighted mean return of the other peers on the same exchange.

    The mean does not contain the security itself, but it contains other peers that the event affects. Their
    common move is part of the expected return. The abnormal return is the move of the security beyond it.
    """
    return least_squares(panel.with_factors("others"), "leave_one_out", ("alpha", "beta"))


@model("synthetic_peer", needs=("donors",), still_index=True)
def synthetic_peer(panel: EventPanel, settings: Model) -> ExpectedReturns:  # noqa: ARG001 - one contract for all
    """Portfolio of donors that tracked the security best, weights >= 0 with sum 1 (Abadie et al. 2010).

    Notes
    -----
    Least squares over the estimation window, without an intercept. The weights sum to one, so the residual
    R - sum_j w_j R_j equals sum_j w_j (R - R_j), and they give the point of smallest norm in the convex hull of the
    R - R_j. They are computed exactly by non-negative least squares on [R_j - R; 1] against [0; 1], then scaled so that
    they sum to one. A donor is left out (weight zero) if it has fewer than nine tenths of the security's estimation
    days or misses an event day. The error of the weights is that of least squares on the donors with positive weight,
    with the sum fixed at one; k is the number of these donors minus one.
    """
    names = tuple(name for name in panel.factor_names if name not in ("market", "span"))
    chosen = panel.with_factors(*names)
    shape = (len(panel), len(names))
    theta, xtx_inv = np.full(shape, np.nan), np.zeros((*shape, shape[1]))
    residuals = np.full(panel.estimation_returns.shape, np.nan)
    sigma2, dof, r_squared = np.full((3, shape[0]), np.nan)
    design = np.zeros(chosen.estimation_factors.shape)
    for row in range(shape[0]):
        pool, used = _donors(chosen, row)
        if not len(pool) or used.sum() <= len(pool):
            continue
        y, d = chosen.estimation_returns[row, used], chosen.estimation_factors[row][np.ix_(used, pool)]
        weight = simplex_weights(y, d)
        error = y - d @ weight
        theta[row], theta[row, pool] = 0.0, weight
        residuals[row, used] = error
        dof[row] = len(y) - (np.count_nonzero(weight) - 1)
        sigma2[row] = (error**2).sum() / dof[row]
        r_squared[row] = 1.0 - (error**2).sum() / ((y - y.mean()) ** 2).sum()
        held = pool[weight > 0]
        # Covariance over sigma2 of least-squares weights of which all but the last are free, their sum being one.
        free = np.vstack([np.eye(len(held) - 1), -np.ones((1, len(held) - 1))])
        if len(held) > 1:
            moments = free.T @ d[:, weight > 0].T @ d[:, weight > 0] @ free
            xtx_inv[row][np.ix_(held, held)] = free @ np.linalg.pinv(moments, hermitian=True) @ free.T
        design[row][np.ix_(used, held)] = d[:, weight > 0]
    return ExpectedReturns(
        model="synthetic_peer",
        loadings=names,
        theta=theta,
        estimation_design=design,
        # A missing return of a donor with weight zero does not matter.
        event_design=np.where(theta[:, None, :] == 0.0, 0.0, chosen.event_factors),
        xtx_inv=xtx_inv,
        residuals=residuals,
        sigma2=sigma2,
        dof=dof,
        n_estimation=np.isfinite(residuals).sum(axis=1),
        r_squared=r_squared,
        scale=np.ones(panel.event_returns.shape),
        remark=no_remarks(len(panel)),
    )


def _donors(panel: EventPanel, row: int) -> tuple[Places, Bools]:
    """Columns of the usable donors, and the estimation days on which all of them have returns."""
    own = np.isfinite(panel.estimation_returns[row])
    days = np.isfinite(panel.event_returns[row])
    there = np.isfinite(panel.estimation_factors[row])
    share = (there & own[:, None]).sum(axis=0) >= DONOR_SHARE * own.sum()
    pool = np.flatnonzero(share & np.isfinite(panel.event_factors[row][days]).all(axis=0))
    return pool, own & there[:, pool].all(axis=1)


def simplex_weights(y: Floats, d: Floats) -> Floats:
    """Weights >= 0 with sum 1 that minimise ||y - d w||, shape (J,), for y (L,) and d (L, J)."""
    from scipy import optimize

    gap = d - y[:, None]
    # Any scale gives the same weights; that of the gap gives both parts of the problem a similar size.
    size = np.sqrt((gap**2).sum(axis=0).min())
    stacked = np.vstack([gap / (size if size > 0 else 1.0), np.ones(d.shape[1])])
    target = np.zeros(len(stacked))
    target[-1] = 1.0
    raw, _ = optimize.nnls(stacked, target)
    weights: Floats = raw / raw.sum()
    return weights


def only_donors(panel: EventPanel, allowed: Bools, donors: tuple[str, ...]) -> EventPanel:
    """Return the panel with the returns of donors set to NaN if ``allowed`` (N, J) is false."""
    at = [panel.factor_names.index(name) for name in donors]
    before, around = panel.estimation_factors.copy(), panel.event_factors.copy()
    before[:, :, at] = np.where(allowed[:, None, :], before[:, :, at], np.nan)
    around[:, :, at] = np.where(allowed[:, None, :], around[:, :, at], np.nan)
    return replace(panel, estimation_factors=before, event_factors=around)
