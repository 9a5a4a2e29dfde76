"""Models of the expected return. Importing this package registers those of its files.

A model only predicts; statistics use its predictions and do not depend on the model.
"""

from eventstudy.core.models.base import MODELS, ExpectedReturns, fit, model, needs, shrink_alpha, without_alpha
from eventstudy.core.models.ols import least_squares

MODELS.load_all()

__all__ = ["MODELS", "ExpectedReturns", "fit", "least_squares", "model", "needs", "shrink_alpha", "without_alpha"]
