"""Which peers fell more: CARs regressed on covariates of the peers and of the events."""

from __future__ import annotations

import functools
import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from eventstudy.config import StudyConfig
from eventstudy.core.abnormal import AbnormalReturns, Window, shock_dates
from eventstudy.core.checks.regression import ClusterRegression, regress
from eventstudy.core.statistics import Sample
from eventstudy.errors import ConfigError, EstimationError, Reason
from eventstudy.events import Events
from eventstudy.optional import Parts

#: Sessions before the event whose CAR is the covariate ``pre_trend``.
PRE_TREND = (-10, -1)
#: Shocks that a covariate of two values needs with either of them.
FEWEST_SIDE = 3


def regress_formula(
    formula: str, frame: Any, cluster: str, *, fewest: int = 0, draws: int = 9_999, seed: int = 20260624
) -> ClusterRegression:
    """Regress by a statsmodels formula on the columns of a pandas frame; ``cluster`` names one of them.

    Raises
    ------
    EstimationError
        For a cluster column that is not there, a formula that cannot be read, a row with a missing
        value (none is left out silently), and what `regress` refuses.
    """
    from statsmodels.formula.api import ols

    if cluster not in frame.columns:
        raise EstimationError(f"no column {cluster!r} for the clusters; there are {', '.join(map(str, frame))}")
    try:
        model = ols(formula, data=frame, missing="raise")
    except Exception as error:
        raise EstimationError(f"formula {formula!r} on {len(frame)} rows: {error}") from error
    return regress(
        np.asarray(model.endog, dtype=float),
        np.asarray(model.exog, dtype=float),
        frame[cluster].to_numpy(),
        names=model.exog_names,
        constant=False,
        fewest=fewest,
        draws=draws,
        seed=seed,
    )


def regression_rows(
    sample: Sample, events: Events, config: StudyConfig, windows: Sequence[Window], parts: Parts | None = None
) -> Iterator[dict[str, Any]]:
    """Yield a row for each formula of ``tests.regression``, window and coefficient.

    Firm-events are those of ``sample`` that have the window complete, clusters its dates. Formulas
    are statsmodels', on the columns of `covariates`. A regression that cannot be had is one row with
    its reason, and ``parts`` keeps it.

    Raises
    ------
    ConfigError
        For a formula whose left side is not ``car``.
    """
    kept = Parts() if parts is None else parts
    for formula in config.tests.regression:
        if formula.split("~")[0].strip() != "car":
            raise ConfigError(f"tests.regression: {formula!r}: write car ~ covariates")
        for window in windows:
            frame, abnormal = _complete(sample, window, events, config)
            yield from kept.optional(
                "regression",
                functools.partial(_regressed, formula, window, frame, abnormal, config),
                functools.partial(_not_regressed, formula, window, frame),
                of=f"{formula} [{window[0]},{window[1]}]",
            )


def _regressed(
    formula: str, window: Window, frame: pd.DataFrame, abnormal: AbnormalReturns, config: StudyConfig
) -> list[dict[str, Any]]:
    settings = {"draws": config.tests.draws, "seed": config.study.seed}
    found = regress_formula(formula, frame, "date", fewest=FEWEST_SIDE, **settings)
    return list(_rows(formula, window, found, frame, _before(formula, frame, abnormal, window)))


def _not_regressed(formula: str, window: Window, frame: pd.DataFrame, why: Reason) -> list[dict[str, Any]]:
    return [{**_head(formula, window, frame), "reason": why}]


def covariates(abnormal: AbnormalReturns, events: Events, config: StudyConfig) -> pd.DataFrame:
    """Return what a formula may name, one row a firm-event.

    Of the peer: ``exposure``, ``peer_group``, ``market``, ``region``, ``ticker``. Of its fit: ``beta``,
    ``sigma``, ``pre_trend`` (CAR[-10,-1]). Of the event: ``event_id``, ``shock_id``, ``date`` (first day 0
    of the shock), ``label``, ``kind``, ``dimension``, ``misreading`` (0 or 1).
    """
    panel, expected = abnormal.panel, abnormal.expected
    peers = [config.peer(str(name)) for name in panel.ticker]
    rows = [events.by_id(str(name)) for name in panel.event_id]
    loadings = dict(zip(expected.loadings, expected.theta.T, strict=True))
    first, last = max(PRE_TREND[0], int(panel.tau[0])), PRE_TREND[1]
    trend = abnormal.car((first, last)) if first <= last else np.full(len(panel), np.nan)
    return pd.DataFrame(
        {
            "event_id": panel.event_id,
            "shock_id": panel.shock_id,
            "date": shock_dates(panel),
            "ticker": panel.ticker,
            "market": panel.market,
            "region": panel.region,
            "exposure": [peer.exposure for peer in peers],
            "peer_group": [peer.group for peer in peers],
            "beta": loadings.get("beta", np.full(len(panel), np.nan)),
            "sigma": np.sqrt(expected.sigma2),
            "pre_trend": trend,
            "label": [event.label for event in rows],
            "kind": [event.kind for event in rows],
            "dimension": [event.dimension or "none" for event in rows],
            "misreading": [float(event.label == "misreading") for event in rows],
        }
    )


def _complete(
    sample: Sample, window: Window, events: Events, config: StudyConfig
) -> tuple[pd.DataFrame, AbnormalReturns]:
    abnormal = sample.abnormal
    frame = covariates(abnormal, events, config).assign(car=abnormal.car(window))
    kept = np.isfinite(frame["car"].to_numpy()) & np.isfinite(frame["pre_trend"].to_numpy())
    return frame[kept].reset_index(drop=True), abnormal.take(kept)


def _before(formula: str, frame: pd.DataFrame, abnormal: AbnormalReturns, window: Window) -> NDArray[np.float64]:
    """Coefficients of the same regression on CARs of the estimation window, (M, p).

    The estimation residuals are summed over windows of the same length that do not overlap. Where
    nothing happened, this is how far covariates and returns go together by chance (Sefcik and
    Thompson 1986 ask the same of a portfolio's weights). A day without a residual counts zero.
    """
    from statsmodels.formula.api import ols

    width = window[1] - window[0] + 1
    residuals = np.nan_to_num(abnormal.expected.residuals)
    count = residuals.shape[1] // width
    sums = residuals[:, : count * width].reshape(len(residuals), count, width).sum(axis=2)
    design = np.asarray(ols(formula, data=frame).exog, dtype=float)
    coefficients: NDArray[np.float64] = (np.linalg.pinv(design) @ sums).T
    return coefficients


def _head(formula: str, window: Window, frame: pd.DataFrame) -> dict[str, Any]:
    return {
        "formula": formula,
        "window": f"[{window[0]},{window[1]}]",
        "n_events": len(frame),
        "n_dates": frame["date"].nunique(),
        "reason": "",
    }


def _rows(
    formula: str, window: Window, found: ClusterRegression, frame: pd.DataFrame, before: NDArray[np.float64]
) -> Iterator[dict[str, Any]]:
    for j, term in enumerate(found.names):
        extreme = int((np.abs(before[:, j]) >= abs(found.coefficient[j])).sum())
        yield {
            **_head(formula, window, frame),
            "term": term,
            "estimate": found.coefficient[j],
            "se_cr1": found.se_cr1[j],
            "p_cr1": found.p_cr1[j],
            "se_cr2": found.se_cr2[j],
            "df_cr2": found.df_cr2[j],
            "p_cr2": found.p_cr2[j],
            "p_wild": found.p_wild[j],
            "p_pre_event": (1 + extreme) / (1 + len(before)) if len(before) else math.nan,
            "r_squared": found.r_squared,
        }
