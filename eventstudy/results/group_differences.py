"""Differences between the groups that ``tests.group`` asks for."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from eventstudy.core.abnormal import Window
from eventstudy.core.checks.group_difference import group_difference
from eventstudy.core.estimation import group_values
from eventstudy.core.statistics import Sample
from eventstudy.optional import Parts
from eventstudy.prices.covariates import Covariates
from eventstudy.results.columns import row_of, window_name


def difference_rows(
    sample: Sample, own: Covariates, windows: Sequence[Window], parts: Parts
) -> Iterator[dict[str, Any]]:
    """Yield a row for each column of ``tests.group``, group but the largest, and window.

    Each group is set against the one with most firm-events (the first of them by name where several have as
    many). A difference that cannot be had is a row with its reason, and ``parts`` keeps it.
    """
    for column in own.config.tests.group:
        values = group_values(column, sample.abnormal.panel, own.events, own.config, own)
        names, counts = np.unique(values[values != ""], return_counts=True)
        against = str(names[counts.argmax()]) if len(names) else ""
        for name in (str(name) for name in names if name != against):
            for window in windows:
                head = {"column": column, "group": name, "against": against, "window": window_name(window)}
                make = functools.partial(group_difference, sample, values == name, values == against, window)
                yield parts.optional(
                    "group_difference",
                    lambda make=make, head=head: {**head, **row_of(make()), "reason": ""},  # type: ignore[misc]
                    lambda why, head=head: {**head, "reason": why},  # type: ignore[misc]
                    of=f"{column}: {name} – {against}",
                )
