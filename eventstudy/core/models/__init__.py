"""Models of the expected return. Importing this package registers all of them.

A model only predicts; every statistic is built on what it gives and knows no model.
"""

from eventstudy.core.models import adjusted, betas, garch, multifactor, peers, robust
from eventstudy.core.models.base import (
    MODELS,
    ExpectedReturns,
    Fit,
    fit,
    model,
    needs,
    shrink_alpha,
    without_alpha,
)
from eventstudy.core.models.ols import least_squares

__all__ = [
    "MODELS",
    "ExpectedReturns",
    "Fit",
    "adjusted",
    "betas",
    "fit",
    "garch",
    "least_squares",
    "model",
    "multifactor",
    "needs",
    "peers",
    "robust",
    "shrink_alpha",
    "without_alpha",
]
