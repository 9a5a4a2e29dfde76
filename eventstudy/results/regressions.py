"""Regressions of CARs on covariates of the firms and of the events."""

from __future__ import annotations

import functools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from eventstudy.config import StudyConfig, Window
from eventstudy.core.abnormal import AbnormalReturns, shock_dates
from eventstudy.core.arrays import Bools, Floats
from eventstudy.core.checks.regression import regress
from eventstudy.core.statistics import Sample
from eventstudy.errors import EstimationError, Reason
from eventstudy.optional import Parts
from eventstudy.prices.covariates import BUILT_IN, Covariates, names_of
from eventstudy.results.columns import window_name
from eventstudy.results.regression_estimators import Fitted, factor_gls, hc3

#: Sessions before the event whose CAR is the covariate ``pre_trend``.
PRE_TREND = (-10, -1)
#: Smallest number of dates with each value of a covariate that has two values.
FEWEST_SIDE = 3


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
