"""Tests on the signs of the CARs."""

from __future__ import annotations

import numpy as np

from eventstudy.core.statistics.sample import TestResult, WindowSample, statistic
from eventstudy.errors import Reason


@statistic("sign", null="a CAR is positive as often as not", source="Fisher 1925; MacKinlay 1997, sec. 8", minimum=2)
def sign(sample: WindowSample) -> TestResult:
    """Sign test: z = (w - N/2) / sqrt(N/4) with w positive CARs (strictly above zero), normal.

    No continuity correction. Assumes independent firm-events and a median of zero. Skewed returns have another
    median; `generalized_sign` estimates the share of positive values from the estimation window.
    """
    return sample.result(_share_z(sample, 0.5), distribution="normal")


@statistic(
    "generalized_sign", null="a CAR is positive as often as an estimation residual", source="Cowan 1992", minimum=2
)
def generalized_sign(sample: WindowSample) -> TestResult:
    """Generalised sign test: z = (w - N p) / sqrt(N p (1-p)), normal.

    p is the mean over firm-events of the share of positive residuals on their estimation days; a firm with two
    events counts twice. No continuity correction.
    """
    share = sample.once(positive_share)
    if not 0 < share < 1:
        return sample.refuse(Reason("not_tested.one_sign"))
    return sample.result(_share_z(sample, share), distribution="normal")


def positive_share(sample: WindowSample) -> float:
    """Mean over the firm-events of the share of positive residuals on their estimation days."""
    residuals = sample.abnormal.expected.residuals
    days = np.isfinite(residuals).sum(axis=1)
    return float(((residuals > 0).sum(axis=1) / days).mean())


def _share_z(sample: WindowSample, share: float) -> float:
    return float(((sample.car > 0).sum() - sample.n * share) / np.sqrt(sample.n * share * (1 - share)))
