"""Further estimators for regressions of CARs on covariates: HC3 and GLS."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import linalg, special

from eventstudy.core.arrays import Floats, Places
from eventstudy.errors import EstimationError, Reason

#: Largest number of components of a date's covariance, the default of csestudy; at most half its firms or days.
MOST_COMPONENTS = 100
#: Smallest firm-specific share of a firm's past variance; without it the covariance might be singular.
LEAST_OWN = 1e-4
#: Fewest days in either half of the estimation window.
FEWEST_DAYS = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Fitted:
    """Coefficients of one estimator with their standard errors; arrays have shape (p,), ``weight`` (p, n).

    ``weight`` are the weights of the firm-events: the coefficients are ``weight @ y``.
    """

    coefficient: Floats
    se: Floats
    df: Floats
    r_squared: float
    weight: Floats

    @property
    def t(self) -> Floats:
        """Coefficients over their standard errors."""
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.asarray(self.coefficient / self.se, dtype=float)

    @property
    def p_value(self) -> Floats:
        """Two-sided, from Student's t with ``df`` degrees of freedom."""
        return np.asarray(2.0 * special.stdtr(self.df, -np.abs(self.t)), dtype=float)


def hc3(y: Floats, x: Floats) -> Fitted:
    """OLS with heteroscedasticity-robust errors, for dates with one firm-event each.

    Parameters
    ----------
    y : (n,)
    x : (n, p)
        With its column of ones.

    Raises
    ------
    EstimationError
        If there are no more rows than coefficients, if columns are collinear, or if a single row determines a
        coefficient.

    Notes
    -----
    V = B X' diag(e_i²/(1-h_i)²) X B with B = (X'X)^-1 and h the diagonal of XBX' (MacKinnon and White
    1985, HC3), t with n-p degrees of freedom.
    """
    _check(y, x)
    n, p = x.shape
    weight = np.linalg.inv(x.T @ x) @ x.T
    leverage = np.einsum("np,pn->n", x, weight)
    alone = np.flatnonzero(leverage > 1 - 1e-10)
    if len(alone):
        raise EstimationError(Reason("regression.alone", row=alone[0]))
    beta = weight @ y
    residual = y - x @ beta
    se = np.sqrt(((weight * (residual / (1.0 - leverage))) ** 2).sum(axis=1))
    scatter = float(((y - y.mean()) ** 2).sum())
    return Fitted(
        coefficient=beta,
        se=se,
        df=np.full(p, float(n - p)),
        r_squared=1.0 - float(residual @ residual) / scatter if scatter > 0 else float("nan"),
        weight=weight,
    )


def factor_gls(y: Floats, x: Floats, date: Sequence[Any] | NDArray[Any], residuals: Floats, width: int) -> Fitted:
    """GLS with the firms' past covariance; the standard error comes from past values of the coefficients.

    Parameters
    ----------
    y : (n,)
        CARs over a window of ``width`` days.
    x : (n, p)
        With its column of ones.
    date : (n,)
        Firm-events of one date are correlated, those of different dates are not.
    residuals : (n, L)
        Abnormal returns of the estimation window by event day, the earliest first; NaN counts as zero.

    Raises
    ------
    EstimationError
        As `hc3`, and if the estimation window is too short or a firm's returns do not vary.

    Notes
    -----
    Cohn, Johnson, Liu and Wardlaw (2026, Journal of Financial Economics 180, 104278) and their csestudy, on
    any number of dates. The earlier half of the estimation window gives each date's covariance W = V diag(l) V' +
    diag(d): the first k principal components of the firms' demeaned residuals with variances l, and the remaining
    variances d. k is the smallest of `MOST_COMPONENTS`, half the number of firms and half the number of days. The
    coefficients b = (X'W^-1 X)^-1 X'W^-1 y, with W block-diagonal by date, are weighted sums of the firms' abnormal
    returns. Applied to the M days of the later half, these weights give coefficients of days without an event. With s²
    the mean of their squares the standard error is s (width + width²/L)^(1/2); the last term is for the error of the
    expected return. t has M degrees of freedom. csestudy estimates W again for each past day, from earlier days.
    """
    _check(y, x)
    past = np.nan_to_num(residuals)
    half = past.shape[1] // 2
    if half < FEWEST_DAYS:
        raise EstimationError(Reason("regression.short_past", n=past.shape[1]))
    white_x, white_y, ones = np.empty_like(x), np.empty_like(y), np.empty_like(y)
    roots = []
    for rows in _by_date(np.asarray(date)):
        root = np.linalg.cholesky(past_covariance(past[rows, :half].T))
        white = linalg.solve_triangular(root, np.column_stack([x[rows], y[rows], np.ones(len(rows))]), lower=True)
        white_x[rows], white_y[rows], ones[rows] = white[:, :-2], white[:, -2], white[:, -1]
        roots.append((rows, root))
    bread = np.linalg.inv(white_x.T @ white_x)
    weight = np.empty((x.shape[1], len(y)))
    for rows, root in roots:
        weight[:, rows] = bread @ linalg.solve_triangular(root, white_x[rows], lower=True, trans="T").T
    beta = weight @ y
    later = weight @ past[:, half:]
    error = white_y - white_x @ beta
    scatter = white_y - ones * (ones @ white_y) / (ones @ ones)
    days = later.shape[1]
    return Fitted(
        coefficient=beta,
        se=np.sqrt((later**2).mean(axis=1) * (width + width**2 / past.shape[1])),
        df=np.full(len(beta), float(days)),
        r_squared=1.0 - float(error @ error) / float(scatter @ scatter),
        weight=weight,
    )


def past_covariance(days: Floats) -> Floats:
    """Covariance of n firms from T days of residuals, (T, n) to (n, n): components plus firm-specific variances."""
    length, n = days.shape
    centred = days - days.mean(axis=0)
    total = centred.var(axis=0, ddof=1)
    if not (total > 0).all():
        raise EstimationError(Reason("regression.still", n=length))
    kept = min(MOST_COMPONENTS, n // 2, length // 2)
    axes = np.linalg.svd(centred, full_matrices=False)[2][:kept].T
    score = centred @ axes
    own = (centred - score @ axes.T).var(axis=0, ddof=1)
    covariance: Floats = (axes * score.var(axis=0, ddof=1)) @ axes.T + np.diag(np.maximum(own, LEAST_OWN * total))
    return covariance


def _by_date(date: NDArray[Any]) -> Iterator[Places]:
    code = np.unique(date, return_inverse=True)[1]
    order = np.argsort(code, kind="stable")
    yield from np.split(order, np.flatnonzero(np.diff(code[order])) + 1)


def _check(y: Floats, x: Floats) -> None:
    n, p = x.shape
    if not (np.isfinite(y).all() and np.isfinite(x).all()):
        raise EstimationError("a value is missing or infinite; leave its row out")
    if n <= p:
        raise EstimationError(Reason("regression.rows", n=n, p=p))
    if np.linalg.matrix_rank(x) < p:
        raise EstimationError(Reason("regression.collinear_some"))
