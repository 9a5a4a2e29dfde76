"""Models with more than the local index: excess returns, factor columns, a world index."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from eventstudy.config import Model
from eventstudy.core.arrays import Floats, centred
from eventstudy.core.models.base import ExpectedReturns, merge, model
from eventstudy.core.models.ols import least_squares
from eventstudy.core.windows import EventPanel


@model("capm", needs=("risk_free",))
def capm(panel: EventPanel, settings: Model) -> ExpectedReturns:  # noqa: ARG001 - one contract for all models
    """Market model in excess returns: R - R_f = alpha + beta (R_m - R_f) + e (Jensen 1968).

    Under the CAPM the intercept is zero. The risk-free return is a regressor with the known coefficient 1: it
    changes the prediction and adds no estimation error.
    """
    return _excess(panel, "capm", ("market",), ("beta",))


@model("factors", needs=("risk_free", "factors"))
def factors(panel: EventPanel, settings: Model) -> ExpectedReturns:
    """Regression on any daily factors by OLS (Fama and French 1993, 2015; Carhart 1997).

    With ``risk_free`` the returns are excess returns. The factor ``market`` is the peer's own benchmark, also
    as an excess return. All other columns are used as they are in the file.
    """
    names = settings.factors
    loadings = ("beta", *(f"beta_{name}" for name in names[1:]))
    if settings.risk_free:
        return _excess(panel, "factors", names, loadings)
    return least_squares(panel.with_factors(*names), "factors", ("alpha", *loadings))


def _excess(panel: EventPanel, name: str, factors: tuple[str, ...], loadings: tuple[str, ...]) -> ExpectedReturns:
    before, around = panel.factor("risk_free")
    chosen = panel.with_factors(*factors)
    at = [column for column, factor in enumerate(chosen.factor_names) if factor == "market"]
    estimation, event = chosen.estimation_factors.copy(), chosen.event_factors.copy()
    estimation[:, :, at] -= before[:, :, None]
    event[:, :, at] -= around[:, :, None]
    excess = replace(
        chosen, estimation_returns=panel.estimation_returns - before, estimation_factors=estimation, event_factors=event
    )
    fitted = least_squares(excess, name, ("alpha", *loadings))
    known = np.where(panel.spans()[1] == 0, 0.0, around)
    return with_known(fitted, "risk_free", known)


def with_known(expected: ExpectedReturns, name: str, event: Floats) -> ExpectedReturns:
    """Add a regressor with the known coefficient 1; ``event`` (N, L2) are its values on event days."""
    n, p = expected.theta.shape
    bordered = np.zeros((n, p + 1, p + 1))
    bordered[:, :p, :p] = expected.xtx_inv
    padded = np.zeros((n, expected.residuals.shape[1], 1))
    return replace(
        expected,
        loadings=(*expected.loadings, name),
        xtx_inv=bordered,
        theta=np.column_stack([expected.theta, np.ones(n)]),
        estimation_design=np.concatenate([expected.estimation_design, padded], axis=2),
        event_design=np.concatenate([expected.event_design, event[:, :, None]], axis=2),
    )


@model("two_index", needs=("world",))
def two_index(panel: EventPanel, settings: Model) -> ExpectedReturns:  # noqa: ARG001 - one contract for all models
    """Local and world index: R = alpha + beta R_L + beta_world R_W + e (Park 2004, without currency).

    The world index enters as its residual from a regression on the local index over the estimation window, with
    the same coefficients on event days. So predictions equal those with both indices, and ``beta`` keeps its
    meaning. A market whose own benchmark is the world index gets the market model, with ``beta_world`` zero.
    """
    world, _ = panel.factor("world")
    both = np.atleast_1d(np.isfinite(world).any(axis=1))
    plain = least_squares(panel.with_factors("market"), "two_index", ("alpha", "beta"))
    padded = replace(
        with_known(plain, "beta_world", np.zeros(panel.event_returns.shape)),
        theta=np.column_stack([plain.theta, np.zeros(len(panel))]),
    )
    if not both.any():
        return padded
    chosen = panel.take(both).with_factors("market", "world")
    used = chosen.complete()
    # The world index is replaced by its residual on the local index over the used days.
    series = [chosen.factor(name)[0] for name in ("market", "world")]
    left, right = (centred(values, used) for values in series)
    with np.errstate(divide="ignore", invalid="ignore"):
        means = [np.where(used, values, 0.0).sum(axis=1) / used.sum(axis=1) for values in series]
        slope = (left * right).sum(axis=1) / (left**2).sum(axis=1)
    start = means[1] - slope * means[0]
    parts = []
    for block in (chosen.estimation_factors, chosen.event_factors):
        rest = block[:, :, 1] - start[:, None] - slope[:, None] * block[:, :, 0]
        parts.append(np.stack([block[:, :, 0], rest], axis=2))
    orthogonal = replace(chosen, estimation_factors=parts[0], event_factors=parts[1])
    fitted = least_squares(orthogonal, "two_index", padded.loadings)
    return merge(padded, fitted, both)
