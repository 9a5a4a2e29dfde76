"""The return itself as the abnormal one."""

from __future__ import annotations

from eventstudy.config import Model
from eventstudy.core.models.adjusted import fixed
from eventstudy.core.models.base import ExpectedReturns, model
from eventstudy.core.windows import EventPanel


@model("raw", still_index=True)
def raw(panel: EventPanel, settings: Model) -> ExpectedReturns:  # noqa: ARG001 - one contract for all
    """Raw return R = 0 + e (Brown and Warner 1980): nothing is expected and nothing is estimated.

    sigma2 is the mean square of the estimation window's returns, of all days that have one whether or
    not the index has. The coefficient is called ``mean`` and is zero without error.
    """
    return fixed(panel.with_factors(), "raw", ("mean",), (0.0,))
