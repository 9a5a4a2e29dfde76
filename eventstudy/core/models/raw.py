"""The model without an expected return: the abnormal return is the return itself."""

from __future__ import annotations

from eventstudy.config import Model
from eventstudy.core.models.adjusted import fixed
from eventstudy.core.models.base import ExpectedReturns, model
from eventstudy.core.windows import EventPanel


@model("raw", still_index=True)
def raw(panel: EventPanel, settings: Model) -> ExpectedReturns:  # noqa: ARG001 - one contract for all
    """Raw return R = 0 + e (Brown and Warner 1980): the expected return is zero and nothing is estimated.

    sigma2 is the mean square of the returns in the estimation window, on all days with a return, even if the
    index has none. The coefficient is named ``mean`` and is zero without error.
    """
    return fixed(panel.with_factors(), "raw", ("mean",), (0.0,))
