"""Regressions of CARs on covariates of the firms and of the events."""

from __future__ import annotations

import functools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import linalg, special

from eventstudy.config import StudyConfig, Window
from eventstudy.core.abnormal import AbnormalReturns, shock_dates
from eventstudy.core.arrays import Bools, Floats, Places
from eventstudy.core.checks.regression import regress
from eventstudy.core.statistics import Sample
from eventstudy.errors import EstimationError, Reason
from eventstudy.optional import Parts
from eventstudy.prices.covariates import BUILT_IN, Covariates, names_of
from eventstudy.results.columns import window_name

#: Sessions before the event whose CAR is the covariate ``pre_trend``.
PRE_TREND = (-10, -1)
#: Smallest number of dates with each value of a covariate that has two values.
FEWEST_SIDE = 3
#: Largest number of components of a date's covariance, the default of csestudy; at most half its firms or days.
MOST_COMPONENTS = 100
#: Smallest firm-specific share of a firm's past variance; without it the covariance might be singular.
LEAST_OWN = 1e-4
#: Fewest days in either half of the estimation window.
FEWEST_DAYS = 20


@dataclass(frozen=True, slots=True)
class _Regression:
    """One formula on the CARs of one window: the firm-events with all its columns, and the number of the others."""

    formula: str
    window: Window
    frame: pd.DataFrame
    residuals: Floats
    left_out: int

    def head(self, estimator: str) -> dict[str, Any]:
        """Return the fields that all rows of the regression have in common."""
        return {
            "formula": self.formula,
            "window": window_name(self.window),
            "estimator": estimator,
            "n_events": len(self.frame),
            "n_left_out": self.left_out,
            "n_dates": self.frame["date"].nunique(),
            "reason": "",
        }

    def before(self, weight: Floats, first: int) -> Floats:
        """Coefficients for sums over windows of the same length in the estimation window, (p, M).

        The sums do not overlap and begin at the estimation day ``first``; a day without a residual counts as zero. The
        coefficients show how covariates and returns are related by chance on days without an event (Sefcik and
        Thompson 1986 do the same for the weights of a portfolio).
        """
        width = self.window[1] - self.window[0] + 1
        days = np.nan_to_num(self.residuals)[:, first:]
        count = days.shape[1] // width
        found: Floats = weight @ days[:, : count * width].reshape(len(days), count, width).sum(axis=2)
        return found


def regression_rows(
    sample: Sample, own: Covariates, windows: Sequence[Window], parts: Parts | None = None
) -> Iterator[dict[str, Any]]:
    """Yield a row for each formula of ``tests.regression``, window, estimator and coefficient.

    Firm-events are those of ``sample`` with all days of the window and a value in each column of the formula. ``ols``
    has CR2 errors with dates as clusters, HC3 if each date has one firm-event. A regression that cannot be estimated
    is one row with its reason, which is also recorded in ``parts``.
    """
    kept, config = Parts() if parts is None else parts, own.config
    frame = covariate_frame(sample.abnormal, own) if config.tests.regression else pd.DataFrame()
    for formula in config.tests.regression:
        named = frame[[name for name in names_of(formula) if name in frame]]
        complete = np.asarray((named.notna() & (named != "")).all(axis=1), dtype=bool)
        for window in windows:
            asked = _asked(formula, window, frame.assign(car=sample.abnormal.car(window)), complete, sample.abnormal)
            for name in config.tests.estimators:
                yield from kept.optional(
                    "regression",
                    functools.partial(_ols, asked, config) if name == "ols" else functools.partial(_gls, asked),
                    lambda why, asked=asked, name=name: [{**asked.head(name), "reason": why}],  # type: ignore[misc]
                    of=f"{formula}, {name}",
                )


def covariate_frame(abnormal: AbnormalReturns, own: Covariates) -> pd.DataFrame:
    """Return the columns for formulas, one row for each firm-event: `BUILT_IN` and the user's own columns.

    ``beta`` and ``sigma`` are of the fit, ``pre_trend`` is CAR[-10,-1], ``date`` the first day 0 of the shock,
    ``misreading`` one for events of that label, else zero.
    """
    panel, expected = abnormal.panel, abnormal.expected
    peers = [own.config.peer(str(name)) for name in panel.ticker]
    events = [own.events.by_id(str(name)) for name in panel.event_id]
    loadings = dict(zip(expected.loadings, expected.theta.T, strict=True))
    first, last = max(PRE_TREND[0], int(panel.tau[0])), PRE_TREND[1]
    nothing = np.full(len(panel), np.nan)
    columns = {
        "exposure": [peer.exposure for peer in peers],
        "peer_group": [peer.group for peer in peers],
        **{name: getattr(panel, name) for name in ("market", "region", "ticker", "event_id", "shock_id")},
        "beta": loadings.get("beta", nothing),
        "sigma": np.sqrt(expected.sigma2),
        "pre_trend": abnormal.car((first, last)) if first <= last else nothing,
        "date": shock_dates(panel),
        "label": [event.label for event in events],
        "kind": [event.kind for event in events],
        "dimension": [event.dimension or "none" for event in events],
        "misreading": [float(event.label == "misreading") for event in events],
    }
    named = dict.fromkeys(name for formula in own.config.tests.regression for name in names_of(formula))
    keys = (panel.event_id.tolist(), panel.ticker.tolist(), panel.day0)
    columns |= {name: own.column(name, *keys) for name in named if name not in BUILT_IN}
    return pd.DataFrame(columns)


def design_of(formula: str, frame: Any) -> tuple[Floats, Floats, tuple[str, ...]]:
    """Return the left side (n,), the regressors (n, p) and their names for a statsmodels formula and a pandas frame.

    Raises
    ------
    EstimationError
        If the formula cannot be read, or if a row has a missing value.
    """
    from statsmodels.formula.api import ols

    try:
        model = ols(formula, data=frame, missing="raise")
    except Exception as error:
        raise EstimationError(Reason("regression.formula", formula=formula, n=len(frame), error=str(error))) from error
    return np.asarray(model.endog, dtype=float), np.asarray(model.exog, dtype=float), tuple(model.exog_names)


def _asked(
    formula: str, window: Window, frame: pd.DataFrame, complete: Bools, abnormal: AbnormalReturns
) -> _Regression:
    windowed = np.isfinite(frame["car"].to_numpy())
    kept = windowed & complete
    rows = frame[kept].reset_index(drop=True)
    return _Regression(formula, window, rows, abnormal.expected.residuals[kept], int((windowed & ~complete).sum()))


def _ols(asked: _Regression, config: StudyConfig) -> list[dict[str, Any]]:
    y, x, names = _design(asked)
    date = asked.frame["date"].to_numpy()
    found = regress(
        *(y, x, date), names=names, constant=False, fewest=FEWEST_SIDE, draws=config.tests.draws, seed=config.study.seed
    )
    one_each = found.clusters == found.n
    fitted = (
        hc3(y, x)
        if one_each
        else Fitted(
            coefficient=found.coefficient,
            se=found.se_cr2,
            df=found.df_cr2,
            r_squared=found.r_squared,
            weight=np.linalg.pinv(x).astype(np.float64),
        )
    )
    return _rows(asked, "ols_hc3" if one_each else "ols_cr2", names, fitted, found.p_wild, 0)


def _gls(asked: _Regression) -> list[dict[str, Any]]:
    y, x, names = _design(asked)
    width = asked.window[1] - asked.window[0] + 1
    fitted = factor_gls(y, x, asked.frame["date"].to_numpy(), asked.residuals, width)
    nothing = np.full(len(names), np.nan)
    return _rows(asked, "gls", names, fitted, nothing, asked.residuals.shape[1] // 2)


def _design(asked: _Regression) -> tuple[Floats, Floats, tuple[str, ...]]:
    if asked.frame.empty:
        raise EstimationError(Reason("regression.none", formula=asked.formula, n=asked.left_out))
    return design_of(asked.formula, asked.frame)


def _rows(
    asked: _Regression, estimator: str, names: Sequence[str], fitted: Fitted, p_wild: Floats, first: int
) -> list[dict[str, Any]]:
    before = asked.before(fitted.weight, first)
    count = before.shape[1]
    extreme = (np.abs(before) >= np.abs(fitted.coefficient)[:, None]).sum(axis=1)
    return [
        {
            **asked.head(estimator),
            "term": term,
            "estimate": fitted.coefficient[j],
            "se": fitted.se[j],
            "t": fitted.t[j],
            "p_value": fitted.p_value[j],
            "df": fitted.df[j],
            "p_wild": p_wild[j],
            "p_pre_event": (1 + extreme[j]) / (1 + count) if count else math.nan,
            "r_squared": fitted.r_squared,
        }
        for j, term in enumerate(names)
    ]


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
