"""Adjustment of p-values for several windows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from eventstudy.config import Window
from eventstudy.core.arrays import Counts, Floats, Places
from eventstudy.core.checks.multiplicity import days_of, holm, stepwise
from eventstudy.core.statistics.dates import signs_of
from eventstudy.core.statistics.overlap import DateOverlap
from eventstudy.core.statistics.sample import Alternative, TestResult, WindowSample

#: Statistics over dates, for which the step-down with common sign vectors is computed.
STEPPED_DOWN = ("date_t", "sign_flip")


@dataclass(frozen=True, slots=True, kw_only=True)
class Adjusted:
    """One test's p-value adjusted over the windows of its group; NaN if it does not apply.

    ``holm`` and ``romano_wolf`` bound the chance of any false rejection among the windows, ``bh``
    and ``by`` the expected share of false ones among the rejections.
    """

    group: str
    window: Window
    name: str
    p_value: float
    holm: float
    bh: float
    by: float
    romano_wolf: float


def adjust(observed: Sequence[WindowSample], results: Sequence[TestResult]) -> list[Adjusted]:
    """Adjust every statistic of one group over the windows in which it was ``observed``.

    ``results`` may contain other groups and windows. Romano and Wolf's step-down is computed only for the statistics
    over dates; dates that share sessions in any window are flipped together.
    """
    sample, windows = observed[0], [found.window for found in observed]
    p_values = {(r.name, r.window): r.p_value for r in results if r.group == sample.group}
    matrix = by_block(*shock_matrix(observed))
    step_down = romano_wolf(matrix, signs_of(len(matrix), sample.draws, sample.seed), sample.alternative)
    rows: list[Adjusted] = []
    for name in dict.fromkeys(name for name, _ in p_values):
        family = np.array([p_values.get((name, window), np.nan) for window in windows])
        stepped = step_down if name in STEPPED_DOWN else np.full(len(windows), np.nan)
        adjusted = {
            "p_value": family,
            "holm": holm(family),
            "bh": benjamini_hochberg(family),
            "by": benjamini_yekutieli(family),
            "romano_wolf": np.where(np.isnan(family), np.nan, stepped),
        }
        rows += [
            Adjusted(group=sample.group, window=window, name=name, **{key: float(p[at]) for key, p in adjusted.items()})
            for at, window in enumerate(windows)
        ]
    return rows


def shock_matrix(observed: Sequence[WindowSample]) -> tuple[Floats, Places]:
    """Standardised portfolio CARs by date and window, (K, E), NaN if a date lacks the window; and blocks, (K,).

    Dates linked by sessions of any of the windows are one block.
    """
    days = [found.of(days_of) for found in observed]
    dates = np.unique(np.concatenate(days))
    matrix = np.full((len(dates), len(observed)), np.nan)
    early, late = [], []
    for column, found in enumerate(observed):
        place = np.searchsorted(dates, days[column])
        matrix[place, column] = found.shock_s
        early.append(place[found.overlap.early])
        late.append(place[found.overlap.late])
    pairs = np.concatenate(early), np.concatenate(late)
    return matrix, DateOverlap(len(dates), *pairs, np.zeros(len(pairs[0]))).blocks


def by_block(matrix: Floats, blocks: Places) -> Floats:
    """Sums of the rows of each block, (K, E) to (B, E); NaN if a block has no value."""
    if len(np.unique(blocks)) == len(matrix):
        return matrix
    sums, there = np.zeros((2, blocks.max() + 1, matrix.shape[1]))
    np.add.at(sums, blocks, np.nan_to_num(matrix))
    np.add.at(there, blocks, np.isfinite(matrix))
    return np.where(there > 0, sums, np.nan)


def benjamini_hochberg(p: Floats) -> Floats:
    """q-values min_{l>=j} m p_(l) / l (Benjamini and Hochberg 1995); NaN stays NaN."""
    return stepwise(p, _step_up)


def benjamini_yekutieli(p: Floats) -> Floats:
    """q-values under any dependence: Benjamini and Hochberg's times sum_l 1/l (2001); NaN stays NaN."""
    return stepwise(p, lambda ordered, m: _step_up(ordered, m) * (1.0 / np.arange(1, m + 1)).sum())


def _step_up(ordered: Floats, m: int) -> Floats:
    scaled = ordered * m / np.arange(1, m + 1)
    return np.minimum.accumulate(scaled[::-1])[::-1]


def romano_wolf(values: Floats, signs: Floats, alternative: Alternative = "two-sided") -> Floats:
    """Step-down p-values of the t statistics of several endpoints under common sign flips.

    ``values`` (K, E) has one observation for each shock and endpoint, NaN if missing; each of the ``signs`` (B, K)
    flips all endpoints of a shock together, which preserves their dependence. NaN for an endpoint with fewer than two
    shocks or without variation.

    Notes
    -----
    With |T_(1)| >= |T_(2)| >= …, p_(j) = mean_b [max_{l>=j} |T*_(l),b| >= |T_(j)|], made monotone
    (Romano and Wolf 2005, 2016). The sign vectors include the identity. One-sided tests use T or -T instead of |T|.
    """
    there = np.isfinite(values)
    count = there.sum(axis=0)
    filled = np.where(there, values, 0.0)
    far = {"two-sided": np.abs, "less": np.negative, "greater": np.positive}[alternative]
    observed = far(_students(filled.sum(axis=0)[None, :], (filled**2).sum(axis=0), count)[0])
    defined = np.flatnonzero(np.isfinite(observed))
    order = defined[np.argsort(-observed[defined], kind="stable")]
    flipped = far(_students(signs @ filled[:, order], (filled[:, order] ** 2).sum(axis=0), count[order]))
    largest = np.maximum.accumulate(np.nan_to_num(flipped, nan=np.inf)[:, ::-1], axis=1)[:, ::-1]
    share = (largest >= observed[order] - 1e-10 * np.abs(observed[order])).mean(axis=0)
    adjusted = np.full(values.shape[1], np.nan)
    adjusted[order] = np.maximum.accumulate(share)
    return adjusted


def _students(total: Floats, square: Floats, count: Counts) -> Floats:
    """Return t from sums (B, E) and sums of squares (E,) of ``count`` values; NaN if undefined."""
    with np.errstate(divide="ignore", invalid="ignore"):
        scatter = square - total**2 / count
        scatter = np.where(scatter > 1e-12 * square, scatter, np.nan)
        t: Floats = total / np.sqrt(scatter * count / (count - 1))
    return np.where(count > 1, t, np.nan)
