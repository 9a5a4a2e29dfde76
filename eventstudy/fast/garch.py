"""Maximum likelihood of the GARCH(1,1) market model, compiled by numba: `arch`'s likelihood, many starts."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, TypeVar, cast

import numba
import numpy as np
from numpy.typing import NDArray

from eventstudy.core.models.variance_likelihood import (
    GARCH_BOX,
    GARCH_RIVALS,
    GARCH_STARTS,
    LEAST_OMEGA,
    NOTHING,
    START_NU,
)
from eventstudy.core.models.variance_search import (
    APART,
    CLOSE,
    FINAL,
    FIRST,
    HALVINGS,
    NEAR,
    STEPS,
    SURELY,
    TIE,
    TOLERANCE,
    Optimum,
    optimum_of,
)
from eventstudy.registry import KERNELS

Vector = NDArray[np.float64]
Compiled = TypeVar("Compiled", bound=Callable[..., Any])

#: Parameters of the search: alpha, beta (in sd), omega, persistence p = a + b, share s = a / p of the ARCH
#: term in it, and 1 / nu. Starts, box and rules are those of the search without numba.
SIZE = 6
LOWEST, HIGHEST = GARCH_BOX
#: Factors whose product is taken before its logarithm; no such product can leave the range of floats.
GROUP = 16


def compiled(function: Compiled) -> Compiled:
    """Compile a function, and keep the machine code on disk if a folder can be written to.

    Sums are not reordered and multiply-adds not fused, although that would be 1.5 times as fast: a function compiled
    in this process and the same one read from the disk would then differ in their last digits.
    """
    options: dict[str, Any] = {"error_model": "numpy"}
    try:
        return cast(Compiled, numba.njit(cache=True, **options)(function))
    except RuntimeError:
        return cast(Compiled, numba.njit(**options)(function))


@KERNELS.add("garch")
def fit_garch(y: Vector, x: Vector) -> Optimum:
    """Return the best of the local optima reached from eight starts, as `garch_by_search` does in numpy.

    Parameters
    ----------
    y, x : (L,)
        Returns of the firm and of its index in the same unit.

    Notes
    -----
    The likelihood is that of ``arch`` with mean LS, Student's t and its backcast of the pre-sample
    variance, sum_{i<75} 0.94^i e_i^2 / sum 0.94^i of the OLS residuals. Each search is BFGS from the
    information matrix, with an active set for the bounds. At real sample sizes the surface has several
    optima, often at a bound: a = 0, b = 0 and a + b = 1 each have starts near them. If the
    index explains all returns exactly, there is no residual variance and the fit has not converged.
    """
    y, x = np.ascontiguousarray(y, dtype=np.float64), np.ascontiguousarray(x, dtype=np.float64)
    coefficients, path = np.empty(SIZE), np.empty(len(y))
    values = optimum(y, x, GARCH_RIVALS, GARCH_STARTS, LOWEST, HIGHEST, coefficients, path)
    return optimum_of(coefficients, path, *values)


@compiled
def optimum(
    y: Vector,
    x: Vector,
    rivals: Vector,
    starts: Vector,
    lowest: Vector,
    highest: Vector,
    coefficients: Vector,
    path: Vector,
) -> tuple[float, float, float, float]:
    """Write coefficients and path in the units of the returns.

    Returns the log-likelihood, twice the remaining gain, and how much lower the optimum of the first start and the
    next optimum are.
    """
    n, point = len(y), np.empty(SIZE)
    standard, sd, backcast = standardise(y, x, point)
    if not sd > NOTHING * (y.max() - y.min()):
        coefficients[:] = np.nan
        path[:] = np.nan
        return np.nan, np.inf, np.nan, np.nan
    value, gain, first, second = search(standard, x, backcast, rivals, starts, lowest, highest, point)
    variance_path(point, (standard - point[0] - point[1] * x) ** 2, backcast, path)
    path *= sd**2
    a = point[3] * point[4]
    coefficients[0], coefficients[1], coefficients[2] = point[0] * sd, point[1] * sd, point[2] * sd**2
    coefficients[3], coefficients[4], coefficients[5] = a, point[3] - a, 1.0 / point[5]
    return -value - n * math.log(sd), gain, first - value, second - value


@compiled
def standardise(y: Vector, x: Vector, point: Vector) -> tuple[Vector, float, float]:
    """Return y over the sd of its OLS residuals, the sd and the backcast; write the coefficients."""
    n = len(y)
    mean_y, mean_x = y.mean(), x.mean()
    spread = ((x - mean_x) ** 2).sum()
    slope = ((x - mean_x) * (y - mean_y)).sum() / spread
    residual = y - mean_y - slope * (x - mean_x)
    sd = math.sqrt((residual**2).sum() / n)
    point[0], point[1] = (mean_y - slope * mean_x) / sd, slope / sd
    total, weights, weight = 0.0, 0.0, 1.0
    for t in range(min(75, n)):
        total += weight * (residual[t] / sd) ** 2
        weights += weight
        weight *= 0.94
    return y / sd, sd, total / weights


@compiled
def digamma(x: float) -> float:
    """Derivative of ln Gamma: recurrence to 6, then the asymptotic series."""
    shift = 0.0
    while x < 6.0:
        shift -= 1.0 / x
        x += 1.0
    i = 1.0 / (x * x)
    series = i * (1 / 12 - i * (1 / 120 - i * (1 / 252 - i * (1 / 240 - i * (1 / 132 - i * 691 / 32760)))))
    return shift + math.log(x) - 0.5 / x - series


@compiled
def trigamma(x: float) -> float:
    """Derivative of the digamma function, computed in the same way."""
    shift = 0.0
    while x < 6.0:
        shift += 1.0 / (x * x)
        x += 1.0
    i = 1.0 / (x * x)
    series = i * (1 / 6 - i * (1 / 30 - i * (1 / 42 - i * (1 / 30 - i * (5 / 66 - i * 691 / 2730)))))
    return shift + (1.0 + 0.5 / x + series) / x


@compiled
def constant(nu: float) -> float:
    """Part of a day's log-likelihood that depends on nu alone."""
    return math.lgamma(0.5 * (nu + 1.0)) - math.lgamma(0.5 * nu) - 0.5 * math.log(math.pi * (nu - 2.0))


@compiled
def variance_path(point: Vector, e2: Vector, backcast: float, h: Vector) -> None:
    """Write h_t = omega + a e_{t-1}^2 + b h_{t-1}; before the sample both are the backcast.

    Each step computes two days, so that the second does not depend on the first; no h is below omega.
    """
    omega, a, n = point[2], point[3] * point[4], len(e2)
    b = point[3] - a
    squared, following = b * b, omega + point[3] * backcast
    for t in range(0, n - 1, 2):
        news = omega + a * e2[t]
        h[t], h[t + 1] = following, news + b * following
        following = (omega + a * e2[t + 1] + b * news) + squared * following
    if n % 2:
        h[n - 1] = following


@compiled
def log_sums(h: Vector, e2: Vector, inverse: float) -> tuple[float, float]:
    """Sums of ln h and of ln(h + e^2 / (nu - 2)), a logarithm for `GROUP` days at a time."""
    first, second = 0.0, 0.0
    for start in range(0, len(h), GROUP):
        product, full = 1.0, 1.0
        for t in range(start, min(start + GROUP, len(h))):
            product *= h[t]
            full *= h[t] + e2[t] * inverse
        first += math.log(product)
        second += math.log(full)
    return first, second


@compiled
def run(point: Vector, y: Vector, x: Vector, backcast: float, work: Vector) -> tuple[float, float]:
    """Write h, e and e^2 of a point into ``work`` (5, L) and return its sums of logarithms."""
    # Read once: the compiler cannot know that writing to `work` leaves the parameters unchanged.
    h, e, e2, alpha, beta = work[0], work[1], work[2], point[0], point[1]
    for t in range(len(y)):
        error = y[t] - alpha - beta * x[t]
        e[t], e2[t] = error, error * error
    variance_path(point, e2, backcast, h)
    return log_sums(h, e2, 1.0 / (1.0 / point[5] - 2.0))


@compiled
def minus(nu: float, first: float, second: float, n: int) -> float:
    """Return minus the log-likelihood from the sums of logarithms."""
    return 0.5 * ((nu + 1.0) * second - nu * first) - n * constant(nu)


@compiled
def likelihood(point: Vector, y: Vector, x: Vector, backcast: float, work: Vector) -> float:
    """Return minus the log-likelihood of a point."""
    first, second = run(point, y, x, backcast, work)
    return minus(1.0 / point[5], first, second, len(y))


@compiled
def accumulate(b: float, chain: Vector) -> float:
    """Put lambda_{t+1} in the place of dl_t/dh_t, lambda_t = dl_t/dh_t + b lambda_{t+1}; return the first."""
    squared, following, n = b * b, 0.0, len(chain)
    for t in range(n - 1, 0, -2):
        last, first = chain[t], chain[t - 1]
        chain[t], chain[t - 1] = following, last + b * following
        following = (first + b * last) + squared * following
    if n % 2:
        chain[0], following = following, chain[0] + b * following
    return following


@compiled
def gradient(point: Vector, y: Vector, x: Vector, backcast: float, work: Vector, g: Vector) -> float:
    """Return minus the log-likelihood and write its gradient, by one backward recursion.

    The chain lambda_t = dl_t/dh_t + b lambda_{t+1} is the derivative of all terms that depend on h_t.
    """
    first, second = run(point, y, x, backcast, work)
    h, e, e2, chain, pull = work[0], work[1], work[2], work[3], work[4]
    n, p, s, nu = len(y), point[3], point[4], 1.0 / point[5]
    a, inverse, k = p * s, 1.0 / (nu - 2.0), nu + 1.0
    share = 0.0
    for t in range(n):
        full = h[t] + e2[t] * inverse
        both = 1.0 / (h[t] * full)
        part = e2[t] * inverse * both * h[t]
        chain[t] = 0.5 * both * full * (1.0 - k * part)
        pull[t] = k * inverse * both * h[t]
        share += part
    following = accumulate(p - a, chain)
    alpha, beta, omega, arch, lagged = 0.0, 0.0, following, following * backcast, following * backcast
    for t in range(n):
        by_e = e[t] * (pull[t] + 2.0 * a * chain[t])
        alpha -= by_e
        beta -= by_e * x[t]
        omega += chain[t]
        arch += chain[t] * e2[t]
        lagged += chain[t] * h[t]
    g[0], g[1], g[2] = alpha, beta, omega
    g[3], g[4] = s * arch + (1.0 - s) * lagged, p * (arch - lagged)
    steep = 0.5 * digamma(0.5 * k) - 0.5 * digamma(0.5 * nu) - 0.5 * inverse
    g[5] = (n * steep + 0.5 * k * inverse * share - 0.5 * (second - first)) * nu * nu
    return minus(nu, first, second, n)


@compiled
def tail_information(nu: float) -> float:
    """Information on nu in one day."""
    spread = 0.25 * (trigamma(0.5 * nu) - trigamma(0.5 * (nu + 1.0)))
    return spread + 0.5 * nu / ((nu - 2.0) ** 2 * (nu + 3.0)) - 1.0 / ((nu + 1.0) * (nu - 2.0))


@compiled
def information(point: Vector, x: Vector, work: Vector, backcast: float, B: Vector) -> None:
    """Write the information matrix at a point whose path `run` wrote into ``work``.

    Notes
    -----
    With u = z^2 / (nu - 2 + z^2), distributed Beta(1/2, nu/2), the scores of h and nu are linear in u and
    ln(1 - u), that of e is z times 1 - u: all moments are known (Fiorentini, Sentana and Calzolari 2003).
    The blocks of mean and variance are separate because the errors are symmetric.
    """
    h, e, e2 = work[0], work[1], work[2]
    n, p, s, nu = len(h), point[3], point[4], 1.0 / point[5]
    b, moved, total = p - p * s, np.zeros(5), np.zeros(3)
    moved[2], moved[3] = 1.0, backcast
    for i in range(SIZE * SIZE):
        B[i // SIZE, i % SIZE] = 0.0
    by_h, by_e = 0.5 * nu / (nu + 3.0), nu * (nu + 1.0) / ((nu - 2.0) * (nu + 3.0))
    for t in range(n):
        precision = 1.0 / h[t]
        weight = by_h * precision * precision
        for i in range(2):
            for j in range(i + 1):
                B[i, j] += weight * moved[i] * moved[j]
        for i in range(2, 5):
            for j in range(2, i + 1):
                B[i, j] += weight * moved[i] * moved[j]
            total[i - 2] += precision * moved[i]
        B[0, 0] += by_e * precision
        B[1, 0] += by_e * precision * x[t]
        B[1, 1] += by_e * precision * x[t] * x[t]
        push = -2.0 * p * s * e[t]
        moved[0] = b * moved[0] + push
        moved[1] = b * moved[1] + push * x[t]
        moved[2] = b * moved[2] + 1.0
        moved[3] = b * moved[3] + s * e2[t] + (1.0 - s) * h[t]
        moved[4] = b * moved[4] + p * (e2[t] - h[t])
    both = 0.5 * nu * nu * (1.0 / (nu + 1.0) - nu / ((nu - 2.0) * (nu + 3.0)))
    for i in range(3):
        B[5, 2 + i] = both * total[i]
    B[5, 5] = n * nu**4 * tail_information(nu)
    for i in range(SIZE):
        for j in range(i):
            B[j, i] = B[i, j]
        B[i, i] = B[i, i] * (1.0 + 1e-6) + 1e-8


@compiled
def newton(B: Vector, g: Vector, free: NDArray[np.bool_], d: Vector, root: Vector) -> bool:
    """Write d = -B^-1 g over the free parameters by Cholesky; False if B is not positive definite there.

    ``root`` (SIZE + 1, SIZE) is memory; rows and columns of parameters that are held are zero in it.
    """
    z = root[SIZE]
    for i in range(SIZE):
        d[i] = z[i] = root[i, i] = 0.0
        rest = -g[i]
        for j in range(i):
            value = B[i, j]
            for m in range(j):
                value -= root[i, m] * root[j, m]
            root[i, j] = value / root[j, j] if free[i] and free[j] else 0.0
            rest -= root[i, j] * z[j]
        if free[i]:
            value = B[i, i]
            for m in range(i):
                value -= root[i, m] * root[i, m]
            if not value > 1e-300:
                return False
            root[i, i] = math.sqrt(value)
            z[i] = rest / root[i, i]
    for i in range(SIZE - 1, -1, -1):
        if free[i]:
            for m in range(i + 1, SIZE):
                z[i] -= root[m, i] * d[m]
            d[i] = z[i] / root[i, i]
    return True


@compiled
def direction(
    point: Vector,
    g: Vector,
    B: Vector,
    lowest: Vector,
    highest: Vector,
    free: NDArray[np.bool_],
    d: Vector,
    root: Vector,
) -> float:
    """Write the Newton step within the box and return twice its gain, infinite if there is no step.

    Parameters at a bound, or very near it, are held while the gradient or the step points outwards: otherwise
    the step of all parameters would be cut off at once.
    """
    for i in range(SIZE):
        low, high = point[i] <= lowest[i] + NEAR, point[i] >= highest[i] - NEAR
        free[i] = not ((low and g[i] > 0) or (high and g[i] < 0))
    for _ in range(SIZE):
        if not newton(B, g, free, d, root):
            return np.inf
        held = False
        for i in range(SIZE):
            low, high = point[i] <= lowest[i] + NEAR, point[i] >= highest[i] - NEAR
            if free[i] and ((low and d[i] < 0) or (high and d[i] > 0)):
                free[i] = False
                held = True
        if not held:
            break
    gain = 0.0
    for i in range(SIZE):
        gain -= g[i] * d[i]
    return gain


@compiled
def update(B: Vector, s: Vector, change: Vector, moved: Vector) -> None:
    """BFGS update of the curvature, damped so that it stays positive definite (Powell 1978); ``moved`` is memory."""
    old, new = 0.0, 0.0
    for i in range(SIZE):
        moved[i] = 0.0
        for j in range(SIZE):
            moved[i] += B[i, j] * s[j]
        old += s[i] * moved[i]
        new += s[i] * change[i]
    if not old > 0.0:
        return
    if new < 0.2 * old:
        share = 0.8 * old / (old - new)
        for i in range(SIZE):
            change[i] = share * change[i] + (1.0 - share) * moved[i]
        new = 0.2 * old
    for i in range(SIZE):
        for j in range(SIZE):
            B[i, j] += change[i] * change[j] / new - moved[i] * moved[j] / old


@compiled
def climb(
    point: Vector,
    y: Vector,
    x: Vector,
    backcast: float,
    lowest: Vector,
    highest: Vector,
    tolerance: float,
    best: float,
    work: Vector,
) -> tuple[float, float]:
    """Move a point to the optimum near it; return minus the log-likelihood and twice the remaining gain.

    A search that cannot become better than ``best`` is stopped.
    """
    B, root, free = np.empty((SIZE, SIZE)), np.empty((SIZE + 1, SIZE)), np.ones(SIZE, np.bool_)
    g, next_g, d, tried, s = np.empty((5, SIZE))
    value, gain = gradient(point, y, x, backcast, work, g), np.inf
    information(point, x, work, backcast, B)
    for taken in range(STEPS):
        gain = direction(point, g, B, lowest, highest, free, d, root)
        if not tolerance <= gain < np.inf or (taken >= FIRST and value - SURELY * gain > best):
            break
        step, better = 1.0, False
        for _ in range(HALVINGS):
            expected = 0.0
            for i in range(SIZE):
                tried[i] = min(max(point[i] + step * d[i], lowest[i]), highest[i])
                expected += g[i] * (tried[i] - point[i])
            next_value = gradient(tried, y, x, backcast, work, next_g)
            better = next_value <= value + 1e-4 * expected and expected < 0.0
            if better:
                break
            bend = next_value - value - expected
            step *= min(max(-0.5 * expected / bend, 0.1), 0.5) if bend > 0.0 else 0.25
        if not better:
            break
        for i in range(SIZE):
            s[i], d[i] = tried[i] - point[i], next_g[i] - g[i]
            point[i], g[i] = tried[i], next_g[i]
        update(B, s, d, root[SIZE])
        value = next_value
    return value, gain


@compiled
def copy(source: Vector, target: Vector) -> None:
    """Copy a point; a loop compiles much faster than an assignment of slices."""
    for i in range(SIZE):
        target[i] = source[i]


@compiled
def start(point: Vector, p: float, a: float) -> None:
    """Set the parameters of the variance; those of the mean are kept."""
    point[2], point[3], point[4] = max(1.0 - p, LEAST_OMEGA), p, a / p
    point[5] = 1.0 / START_NU


@compiled
def search(
    y: Vector,
    x: Vector,
    backcast: float,
    rivals: Vector,
    starts: Vector,
    lowest: Vector,
    highest: Vector,
    point: Vector,
) -> tuple[float, float, float, float]:
    """Search from the best rival, from every start, and again from the best optimum; write it into ``point``.

    Returns minus the log-likelihood, twice the remaining gain, and the values of the first start's optimum and of the
    next best one, see `variance_search.search`.
    """
    work, best, chosen, turns = np.empty((5, len(y))), np.inf, 0, len(starts) + 1
    ols, points, found = point.copy(), np.empty((turns, SIZE)), np.full(turns, np.inf)
    for i in range(len(rivals)):
        start(point, rivals[i, 0], rivals[i, 1])
        value = likelihood(point, y, x, backcast, work)
        if value < best:
            best, chosen = value, i
    best, top = np.inf, 0
    for turn in range(turns):
        p, a = rivals[chosen] if turn == 0 else starts[turn - 1]
        copy(ols, points[turn])
        start(points[turn], p, a)
        value, gain = climb(points[turn], y, x, backcast, lowest, highest, TOLERANCE, best + CLOSE, work)
        if gain < TOLERANCE:
            found[turn] = value
        if value < best - TIE:
            best, top = value, turn
    copy(points[top], point)
    best, gain = climb(point, y, x, backcast, lowest, highest, FINAL, np.inf, work)
    following, second = next_best(point, points, found), np.inf
    if following >= 0:
        second, _ = climb(points[following], y, x, backcast, lowest, highest, FINAL, np.inf, work)
    return best, gain, found[0], second


@compiled
def next_best(point: Vector, points: Vector, found: Vector) -> int:
    """Return the lowest of the points whose a or b differs from that of the chosen one, -1 for none."""
    chosen, best = -1, np.inf
    for turn in range(len(found)):
        gap = points[turn, 3] * points[turn, 4] - point[3] * point[4]
        apart = max(abs(gap), abs(points[turn, 3] - point[3] - gap))
        if apart > APART and found[turn] < best:
            chosen, best = turn, found[turn]
    return chosen
