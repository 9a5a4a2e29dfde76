"""Search for the best of several optima of a likelihood, with the same steps as the compiled `fast.garch`.

A climb (one local optimisation) is BFGS with bounds by an active set, starting with the information matrix. At usual
sample sizes the likelihood has several optima, often at a bound, so several starting values are used.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import numpy as np
from scipy.linalg.lapack import dpotrf, dpotrs

from eventstudy.core.arrays import Floats

#: A parameter this close to a bound counts as at the bound.
NEAR = 1e-8
#: A climb ends if a Newton step would gain half of this in log-likelihood; the smaller value is for the best optimum.
TOLERANCE, FINAL = 1e-3, 1e-11
#: After its first steps a climb is stopped if this many such gains would not reach the limit.
SURELY, FIRST = 30.0, 2
STEPS, HALVINGS = 60, 12
#: An optimum must be this much higher to replace that of an earlier start.
TIE = 1e-4
#: If the remaining gain is larger, the search has not clearly converged.
CLEAR = 1e-3
#: Optima that differ by less than this in every parameter of the variance equation count as one.
APART = 0.05
#: Optima that are lower by at most this much are hardly distinguishable from the best.
CLOSE = 1.0


class Optimum(NamedTuple):
    """Best point of a search, in the units of the returns, compared with other optima.

    ``coefficients`` are alpha, beta, omega, a, (g,) b and nu. ``first_gap`` is the difference in log-likelihood to the
    optimum of the best single start, ``second_gap`` that to the next distinct optimum; infinite if there is none.
    """

    coefficients: Floats
    path: Floats
    log_likelihood: float
    converged: bool
    first_gap: float = 0.0
    second_gap: float = math.inf


def optimum_of(
    coefficients: Floats, path: Floats, log_likelihood: float, gain: float, first_gap: float, second_gap: float
) -> Optimum:
    """Return the record of a finished search; gaps below `TIE` count as zero."""
    converged = math.isfinite(log_likelihood) and gain < CLEAR
    first, second = (0.0 if gap < TIE else gap for gap in (first_gap, second_gap))
    return Optimum(coefficients, path, log_likelihood, converged, first, second)


class Likelihood(Protocol):
    """Functions that a search needs from a likelihood, all for minus the log-likelihood."""

    def value(self, point: Floats) -> float: ...

    def gradient(self, point: Floats) -> tuple[float, Floats]: ...

    def information(self, point: Floats) -> Floats: ...


@dataclass(frozen=True, slots=True)
class Found:
    """Best optimum of a search, in minus log-likelihoods.

    ``gain`` is twice the gain of a further Newton step; ``first`` is the value at the optimum of the first climb,
    ``second`` that at the next best distinct optimum; infinite if there is none.
    """

    point: Floats
    value: float
    gain: float
    first: float
    second: float


def search(
    likelihood: Likelihood,
    rivals: Sequence[Floats],
    starts: Sequence[Floats],
    box: tuple[Floats, Floats],
    dynamics: Callable[[Floats], Floats],
) -> Found:
    """Climb from the best of ``rivals``, from every start, and again from the best optimum.

    The first climb starts from the point of ``rivals`` with the highest likelihood; all ``starts`` follow.
    ``dynamics`` returns the parameters of a point that must differ by `APART` for two optima to be distinct.

    Notes
    -----
    Of optima that are equal within `TIE` the first is kept. A climb is stopped if it will not come within `CLOSE` of
    the best optimum.
    """
    values = [likelihood.value(point) for point in rivals]
    points, found = [], []
    best, top = math.inf, 0
    for turn, point in enumerate([rivals[int(np.argmin(values))], *starts]):
        end, value, gain = climb(likelihood, point, box, TOLERANCE, best + CLOSE)
        points.append(end)
        found.append(value if gain < TOLERANCE else math.inf)
        if value < best - TIE:
            best, top = value, turn
    point, value, gain = climb(likelihood, points[top], box, FINAL, math.inf)
    apart = [float(np.abs(dynamics(end) - dynamics(point)).max()) > APART for end in points]
    others = np.where(apart, found, math.inf)
    following, second = int(np.argmin(others)), math.inf
    if others[following] < math.inf:
        second = climb(likelihood, points[following], box, FINAL, math.inf)[1]
    return Found(point, value, gain, found[0], second)


def climb(
    likelihood: Likelihood, point: Floats, box: tuple[Floats, Floats], tolerance: float, limit: float
) -> tuple[Floats, float, float]:
    """Return the optimum near a point, minus its log-likelihood, and twice the remaining gain.

    A climb that will not pass ``limit`` is stopped.
    """
    lowest, highest = box
    (value, g), gain = likelihood.gradient(point), math.inf
    curvature = likelihood.information(point)
    for taken in range(STEPS):
        step, gain = direction(point, g, curvature, box)
        if not tolerance <= gain < math.inf or (taken >= FIRST and value - SURELY * gain > limit):
            break
        share, better = 1.0, False
        for _ in range(HALVINGS):
            tried = np.minimum(np.maximum(point + share * step, lowest), highest)
            expected = float(g @ (tried - point))
            next_value, next_g = likelihood.gradient(tried)
            better = next_value <= value + 1e-4 * expected and expected < 0.0
            if better:
                break
            bend = next_value - value - expected
            share *= min(max(-0.5 * expected / bend, 0.1), 0.5) if bend > 0.0 else 0.25
        if not better:
            break
        update(curvature, tried - point, next_g - g)
        point, value, g = tried, next_value, next_g
    return point, value, gain


def direction(point: Floats, g: Floats, curvature: Floats, box: tuple[Floats, Floats]) -> tuple[Floats, float]:
    """Return the Newton step within the bounds and twice its gain; infinite if there is no step.

    Parameters at or very near a bound are kept fixed while the gradient or the step points outwards, because cutting
    the step there would shorten it for all parameters.
    """
    low, high = point <= box[0] + NEAR, point >= box[1] - NEAR
    free = ~((low & (g > 0)) | (high & (g < 0)))
    step = np.zeros(len(point))
    for _ in range(len(point)):
        step[:] = 0.0
        at = np.flatnonzero(free)
        if len(at):
            root, failed = dpotrf(curvature[np.ix_(at, at)], lower=1)
            if failed or not np.isfinite(root[0, 0]):
                return step, math.inf
            step[at] = dpotrs(root, -g[at], lower=1)[0]
        held = free & ((low & (step < 0)) | (high & (step > 0)))
        if not held.any():
            break
        free &= ~held
    return step, -float(g @ step)


def update(curvature: Floats, step: Floats, change: Floats) -> None:
    """BFGS update of the curvature, damped so that it stays positive definite (Powell 1978)."""
    moved = curvature @ step
    old, new = float(step @ moved), float(step @ change)
    if not old > 0.0:
        return
    if new < 0.2 * old:
        share = 0.8 * old / (old - new)
        change = share * change + (1.0 - share) * moved
        new = 0.2 * old
    curvature += np.outer(change, change) / new - np.outer(moved, moved) / old
