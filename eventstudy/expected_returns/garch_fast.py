"""Maximum likelihood of the GARCH(1,1) market model, compiled by numba: `arch`'s likelihood, many starts."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar, cast

import numba
import numpy as np
from numpy.typing import NDArray

Vector = NDArray[np.float64]
Compiled = TypeVar("Compiled", bound=Callable[..., Any])

#: Parameters of the search, on returns divided by the OLS residuals' sd: alpha, beta (in sd), omega,
#: persistence p = a + b, share s = a / p of the ARCH term in it, and 1 / nu. A box in them is arch's region.
SIZE = 6
LOWEST = np.array([-np.inf, -np.inf, 1e-8, 0.0, 0.0, 1.0 / 500.0])
HIGHEST = np.array([np.inf, np.inf, 10.0, 1.0, 1.0, 1.0 / 2.05])
#: Floor of h, in residual variances.
FLOOR = 1e-8
#: (p, a) of the starts that compete for one climb by their likelihood, and of those that all climb.
RIVALS = np.array([
    [0.3, 0.25], [0.6, 0.05], [0.6, 0.4], [0.8, 0.2], [0.9, 0.05], [0.9, 0.2],
    [0.95, 0.08], [0.98, 0.03], [0.98, 0.12], [0.995, 0.05], [1.0, 0.05], [0.5, 0.5],
])  # fmt: skip
STARTS = np.array([[1.0, 0.03], [0.3, 0.05], [1.0, 0.005], [1.0, 0.8], [1.0, 0.08], [0.8, 0.3]])
START_NU, LEAST_OMEGA = 6.0, 3e-4
#: A climb ends where a Newton step would gain half of this in log-likelihood; at the best optimum the lower.
TOLERANCE, FINAL = 1e-4, 1e-6
#: Above this the search has not clearly converged.
CLEAR = 1e-3
STEPS, HALVINGS = 60, 12
#: Factors whose product is taken before its logarithm; no such product can leave the range of floats.
GROUP = 8


class Optimum(NamedTuple):
    """Best point found: (alpha, beta, omega, a, b, nu) and h in the units of the returns."""

    coefficients: Vector
    path: Vector
    log_likelihood: float
    converged: bool


def compiled(function: Compiled) -> Compiled:
    """Compile a function, and keep the machine code on disk where there is a place to write to.

    Sums may be reordered and multiply-adds fused; infinities and NaN keep their meaning.
    """
    options = {"error_model": "numpy", "fastmath": {"contract", "reassoc"}}
    try:
        return cast(Compiled, numba.njit(cache=True, **options)(function))
    except RuntimeError:
        return cast(Compiled, numba.njit(**options)(function))


def fit_garch(y: Vector, x: Vector) -> Optimum:
    """Return the best of the local optima that seven starts climb to.

    Parameters
    ----------
    y, x : (L,)
        Returns of the firm and of its index in the same unit.

    Notes
    -----
    The likelihood is that of ``arch`` with mean LS, Student's t and its backcast of the pre-sample
    variance, sum_{i<75} 0.94^i e_i^2 / sum 0.94^i of the OLS residuals. Each climb is BFGS from the
    outer product of the scores, within the box by an active set. At real sample sizes the surface has
    several optima, often on the edge: a = 0, b = 0 and a + b = 1 each have starts near them.
    """
    y, x = np.ascontiguousarray(y, dtype=np.float64), np.ascontiguousarray(x, dtype=np.float64)
    point, scale, backcast = np.empty(SIZE), np.empty(1), np.empty(1)
    standard = standardise(y, x, point, scale, backcast)
    value, gain = search(standard, x, backcast[0], RIVALS, STARTS, LOWEST, HIGHEST, point)
    sd = float(scale[0])
    path = np.empty(len(y))
    variance_path(point, (standard - point[0] - point[1] * x) ** 2, backcast[0], path)
    a = point[3] * point[4]
    coefficients = np.array([
        point[0] * sd, point[1] * sd, point[2] * sd**2, a, point[3] - a, 1.0 / point[5],
    ])  # fmt: skip
    finite = bool(np.isfinite(value) and np.isfinite(path).all())
    return Optimum(coefficients, path * sd**2, -value - len(y) * math.log(sd), finite and gain < CLEAR)


@compiled
def standardise(y: Vector, x: Vector, point: Vector, scale: Vector, backcast: Vector) -> Vector:
    """Return y over the sd of its OLS residuals; write the coefficients, the sd and the backcast."""
    n = len(y)
    mean_y, mean_x = y.mean(), x.mean()
    spread = ((x - mean_x) ** 2).sum()
    slope = ((x - mean_x) * (y - mean_y)).sum() / spread
    residual = y - mean_y - slope * (x - mean_x)
    scale[0] = math.sqrt((residual**2).sum() / n)
    point[0], point[1] = (mean_y - slope * mean_x) / scale[0], slope / scale[0]
    total, weights, weight = 0.0, 0.0, 1.0
    for t in range(min(75, n)):
        total += weight * (residual[t] / scale[0]) ** 2
        weights += weight
        weight *= 0.94
    backcast[0] = total / weights
    standard: Vector = y / scale[0]
    return standard


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
def constant(nu: float) -> float:
    """Part of a day's log-likelihood that depends on nu alone."""
    return math.lgamma(0.5 * (nu + 1.0)) - math.lgamma(0.5 * nu) - 0.5 * math.log(math.pi * (nu - 2.0))


@compiled
def variance_path(point: Vector, e2: Vector, backcast: float, h: Vector) -> None:
    """Write h_t = omega + a e_{t-1}^2 + b h_{t-1}; before the sample both are the backcast."""
    a = point[3] * point[4]
    b = point[3] - a
    following = point[2] + point[3] * backcast
    for t in range(len(e2)):
        # A branch that is hardly ever taken is quicker than a maximum in each link of the chain.
        if following < FLOOR:
            following = FLOOR
        h[t] = following
        following = point[2] + a * e2[t] + b * following


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
    h, e, e2 = work[0], work[1], work[2]
    for t in range(len(y)):
        e[t] = y[t] - point[0] - point[1] * x[t]
        e2[t] = e[t] * e[t]
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
def gradient(point: Vector, y: Vector, x: Vector, backcast: float, work: Vector, g: Vector) -> float:
    """Return minus the log-likelihood and write its gradient, by one backward recursion.

    The chain lambda_t = dl_t/dh_t + b lambda_{t+1} is the derivative of all that h_t moves.
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
    # From here on chain[t] is the chain of the day after t.
    following = 0.0
    for t in range(n - 1, -1, -1):
        own = chain[t] + (p - a) * following
        if h[t] <= FLOOR:
            own = 0.0
        chain[t], following = following, own
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
def outer_scores(point: Vector, y: Vector, x: Vector, backcast: float, work: Vector, outer: Vector) -> None:
    """Write the outer product of the days' scores (BHHH), the first guess of the curvature."""
    run(point, y, x, backcast, work)
    h, e, e2 = work[0], work[1], work[2]
    p, s, nu = point[3], point[4], 1.0 / point[5]
    a, inverse, k = p * s, 1.0 / (nu - 2.0), nu + 1.0
    steep = 0.5 * digamma(0.5 * k) - 0.5 * digamma(0.5 * nu) - 0.5 * inverse
    moved, score = np.zeros(5), np.empty(SIZE)
    moved[2], moved[3] = 1.0, backcast
    for i in range(SIZE * SIZE):
        outer[i // SIZE, i % SIZE] = 0.0
    for t in range(len(y)):
        full = h[t] + e2[t] * inverse
        part = e2[t] * inverse / full
        by_h, by_e = 0.5 * (1.0 - k * part) / h[t], k * inverse * e[t] / full
        for i in range(5):
            score[i] = by_h * moved[i]
        score[0] -= by_e
        score[1] -= by_e * x[t]
        score[5] = (steep - 0.5 * math.log(full / h[t]) + 0.5 * k * inverse * part) * nu * nu
        for i in range(SIZE):
            for j in range(i + 1):
                outer[i, j] += score[i] * score[j]
        push = -2.0 * a * e[t]
        moved[0] = (p - a) * moved[0] + push
        moved[1] = (p - a) * moved[1] + push * x[t]
        moved[2] = (p - a) * moved[2] + 1.0
        moved[3] = (p - a) * moved[3] + s * e2[t] + (1.0 - s) * h[t]
        moved[4] = (p - a) * moved[4] + p * (e2[t] - h[t])
    for i in range(SIZE):
        for j in range(i):
            outer[j, i] = outer[i, j]
        outer[i, i] = outer[i, i] * (1.0 + 1e-6) + 1e-8


@compiled
def newton(B: Vector, g: Vector, free: NDArray[np.bool_], d: Vector) -> bool:
    """Write d = -B^-1 g over the free parameters by Cholesky; False where B is not positive there."""
    root, z, index, k = np.empty((SIZE, SIZE)), np.empty(SIZE), np.empty(SIZE, np.int64), 0
    for i in range(SIZE):
        d[i] = 0.0
        if free[i]:
            index[k] = i
            k += 1
    for i in range(k):
        rest = -g[index[i]]
        for j in range(i + 1):
            value = B[index[i], index[j]]
            for m in range(j):
                value -= root[i, m] * root[j, m]
            if j < i:
                root[i, j] = value / root[j, j]
                rest -= root[i, j] * z[j]
            elif value > 1e-300:
                root[i, i] = math.sqrt(value)
            else:
                return False
        z[i] = rest / root[i, i]
    for i in range(k - 1, -1, -1):
        for m in range(i + 1, k):
            z[i] -= root[m, i] * d[index[m]]
        d[index[i]] = z[i] / root[i, i]
    return True


@compiled
def direction(
    point: Vector, g: Vector, B: Vector, lowest: Vector, highest: Vector, free: NDArray[np.bool_], d: Vector
) -> float:
    """Write the Newton step within the box and return twice its gain, infinite where there is none.

    Parameters at a bound stay there while the gradient, or the step itself, pushes outwards.
    """
    for i in range(SIZE):
        free[i] = not ((point[i] <= lowest[i] and g[i] > 0) or (point[i] >= highest[i] and g[i] < 0))
    for _ in range(SIZE):
        if not newton(B, g, free, d):
            return np.inf
        held = False
        for i in range(SIZE):
            if free[i] and ((point[i] <= lowest[i] and d[i] < 0) or (point[i] >= highest[i] and d[i] > 0)):
                free[i] = False
                held = True
        if not held:
            break
    gain: float = -(g * d).sum()
    return gain


@compiled
def update(B: Vector, s: Vector, change: Vector) -> None:
    """BFGS update of the curvature, damped so that it stays positive (Powell 1978)."""
    moved = np.zeros(SIZE)
    for i in range(SIZE):
        for j in range(SIZE):
            moved[i] += B[i, j] * s[j]
    old, new = (s * moved).sum(), (s * change).sum()
    if not old > 0.0:
        return
    if new < 0.2 * old:
        share = 0.8 * old / (old - new)
        change = share * change + (1.0 - share) * moved
        new = 0.2 * old
    for i in range(SIZE):
        for j in range(SIZE):
            B[i, j] += change[i] * change[j] / new - moved[i] * moved[j] / old


@compiled
def climb(
    point: Vector, y: Vector, x: Vector, backcast: float, lowest: Vector, highest: Vector,
    tolerance: float, work: Vector,
) -> tuple[float, float]:  # fmt: skip
    """Move a point to the optimum near it; return minus the log-likelihood and twice the gain left."""
    B, g, next_g, d = np.empty((SIZE, SIZE)), np.empty(SIZE), np.empty(SIZE), np.empty(SIZE)
    tried, free = np.empty(SIZE), np.ones(SIZE, np.bool_)
    outer_scores(point, y, x, backcast, work, B)
    value = gradient(point, y, x, backcast, work, g)
    gain = np.inf
    for _ in range(STEPS):
        gain = direction(point, g, B, lowest, highest, free, d)
        if not tolerance <= gain < np.inf:
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
        update(B, tried - point, next_g - g)
        copy(tried, point)
        copy(next_g, g)
        value = next_value
    return value, gain


@compiled
def copy(source: Vector, target: Vector) -> None:
    """Copy a point; a loop compiles in a fraction of the time of an assignment of slices."""
    for i in range(SIZE):
        target[i] = source[i]


@compiled
def start(point: Vector, p: float, a: float) -> None:
    """Set the variance's parameters of a point; the mean's stay."""
    point[2], point[3], point[4] = max(1.0 - p, LEAST_OMEGA), p, a / p
    point[5] = 1.0 / START_NU


@compiled
def search(
    y: Vector, x: Vector, backcast: float, rivals: Vector, starts: Vector, lowest: Vector, highest: Vector,
    point: Vector,
) -> tuple[float, float]:  # fmt: skip
    """Climb from the best rival, from every start, and on from the best optimum, left in ``point``."""
    work, ols, best, chosen = np.empty((5, len(y))), point.copy(), np.inf, 0
    for i in range(len(rivals)):
        start(point, rivals[i, 0], rivals[i, 1])
        value = likelihood(point, y, x, backcast, work)
        if value < best:
            best, chosen = value, i
    top, best, gain, turns = ols.copy(), np.inf, np.inf, len(starts) + 2
    for turn in range(turns):
        if turn == turns - 1:
            copy(top, point)
        else:
            copy(ols, point)
            p, a = (
                (rivals[chosen, 0], rivals[chosen, 1])
                if turn == 0
                else (starts[turn - 1, 0], starts[turn - 1, 1])
            )
            start(point, p, a)
        tolerance = FINAL if turn == turns - 1 else TOLERANCE
        value, gain = climb(point, y, x, backcast, lowest, highest, tolerance, work)
        if value <= best:
            best = value
            copy(point, top)
    return best, gain
