"""Likelihoods of the market model with GARCH(1,1) and EGARCH(1,1,1) errors of Student's t, in numpy.

Both equal those of ``arch`` (mean model LS, its backcast of the variance before the sample), for returns divided by
the standard deviation of their OLS residuals.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy import special

from eventstudy.core.arrays import Floats
from eventstudy.core.models.variance_search import Found, Optimum, optimum_of, search

#: Mean of |z| for a normal z; ``arch`` subtracts it for every distribution.
NORMAL_MEAN = math.sqrt(2.0 / math.pi)
#: ln h is limited to a millionth and a million times the residual variance.
WIDEST = math.log(1e6)
#: Degrees of freedom and smallest omega of the starting values.
START_NU, LEAST_OMEGA = 6.0, 3e-4
#: Bounds of the parameters of `Garch`, as in ``arch``.
GARCH_BOX = (
    np.array([-np.inf, -np.inf, 1e-8, 0.0, 0.0, 1.0 / 500.0]),
    np.array([np.inf, np.inf, 10.0, 1.0, 1.0, 1.0 / 2.05]),
)
#: (p, a) of the starts of which only the best is used, and of the starts that are all used.
GARCH_RIVALS = np.column_stack(
    (
        [0.3, 0.6, 0.6, 0.8, 0.9, 0.9, 0.95, 0.98, 0.98, 0.995, 1.0, 0.5],
        [0.25, 0.05, 0.4, 0.2, 0.05, 0.2, 0.08, 0.03, 0.12, 0.05, 0.05, 0.5],
    )
)
GARCH_STARTS = np.array([[0.99, 0.01], [0.3, 0.05], [1.0, 0.8], [1.0, 0.005], [0.5, 0.5], [0.85, 0.01], [0.95, 0.005]])
#: Bounds of the parameters of `Egarch`, as in ``arch`` but with a >= 0, see `egarch_by_search`.
EGARCH_BOX = (
    np.array([-np.inf, -np.inf, -9.21, 0.0, -5.0, 0.0, 1.0 / 500.0]),
    np.array([np.inf, np.inf, 9.21, 5.0, 5.0, 1.0, 1.0 / 2.05]),
)
#: (a, g, b) of its starts, in the same way.
EGARCH_RIVALS = np.array(
    [(a, g, b) for a in (0.05, 0.2, 0.5) for g in (-0.15, 0.0, 0.15) for b in (0.2, 0.6, 0.9, 0.98)]
)
EGARCH_STARTS = np.array([(a, g, b) for a, b in ((0.02, 0.97), (0.4, 0.1), (0.4, 0.7)) for g in (-0.15, 0.15)])
#: A residual standard deviation below this share of the returns' range is rounding error.
NOTHING = 1e-12


@dataclass(frozen=True, slots=True)
class Series:
    """Returns y (L,) divided by the sd of their OLS residuals, the index x (L,), and starting values.

    ``line`` holds the OLS intercept and slope in sd, ``backcast`` the variance before the first day,
    sum_{i<75} 0.94^i e_i^2 / sum 0.94^i.
    """

    y: Floats
    x: Floats
    sd: float
    line: tuple[float, float]
    backcast: float


def standardised(y: Floats, x: Floats) -> Series | None:
    """Divide returns by the sd of their OLS residuals; None if there are no residuals."""
    moved = x - x.mean()
    spread = float(moved @ moved)
    with np.errstate(divide="ignore", invalid="ignore"):
        slope = float(np.float64(moved @ (y - y.mean())) / spread)
    residual = y - y.mean() - slope * moved
    sd = math.sqrt(float(residual @ residual) / len(y)) if math.isfinite(slope) else math.nan
    if not sd > NOTHING * float(np.ptp(y)):
        return None
    weights = 0.94 ** np.arange(min(75, len(y)))
    backcast = float(weights @ (residual[: len(weights)] / sd) ** 2 / weights.sum())
    return Series(y / sd, x, sd, (float(y.mean() - slope * x.mean()) / sd, slope / sd), backcast)


def constant(nu: float) -> float:
    """Part of a day's log-likelihood that depends on nu alone."""
    return math.lgamma(0.5 * (nu + 1.0)) - math.lgamma(0.5 * nu) - 0.5 * math.log(math.pi * (nu - 2.0))


def _steepness(nu: float) -> float:
    """Derivative of `constant` by nu."""
    return float(0.5 * (special.digamma(0.5 * (nu + 1.0)) - special.digamma(0.5 * nu)) - 0.5 / (nu - 2.0))


def _tail_information(nu: float) -> float:
    """Information on nu in one day (Fiorentini, Sentana and Calzolari 2003)."""
    spread = 0.25 * float(special.polygamma(1, 0.5 * nu) - special.polygamma(1, 0.5 * (nu + 1.0)))
    return spread + 0.5 * nu / ((nu - 2.0) ** 2 * (nu + 3.0)) - 1.0 / ((nu + 1.0) * (nu - 2.0))


def _information(slopes: Floats, precision: Floats, x: Floats, nu: float) -> Floats:
    """Information matrix from the slopes of ln h (L, q) by all parameters but nu, and 1/h (L,).

    With u = z^2 / (nu - 2 + z^2), distributed Beta(1/2, nu/2), all moments of the scores are known
    (Fiorentini, Sentana and Calzolari 2003). The last row and column are those of 1/nu.
    """
    n, q = slopes.shape
    found = np.zeros((q + 1, q + 1))
    found[:q, :q] = 0.5 * nu / (nu + 3.0) * (slopes.T @ slopes)
    design = np.column_stack([np.ones(n), x])
    by_e = nu * (nu + 1.0) / ((nu - 2.0) * (nu + 3.0))
    found[:2, :2] += by_e * (design.T @ (design * precision[:, None]))
    both = 0.5 * nu * nu * (1.0 / (nu + 1.0) - nu / ((nu - 2.0) * (nu + 3.0)))
    found[q, 2:q] = found[2:q, q] = both * slopes[:, 2:].sum(axis=0)
    found[q, q] = n * nu**4 * _tail_information(nu)
    # Errors are symmetric, so the information between mean and variance parameters is zero.
    found[:2, 2:q] = found[2:q, :2] = 0.0
    diagonal = np.einsum("ii->i", found)
    diagonal *= 1.0 + 1e-6
    diagonal += 1e-8
    return found


@dataclass(frozen=True, slots=True)
class Garch:
    """GARCH(1,1) of one series.

    A point is alpha, beta, omega, persistence p = a + b, share s = a / p of the ARCH term in it, 1/nu.
    """

    series: Series

    def value(self, point: Floats) -> float:
        """Return minus the log-likelihood."""
        return self._run(point)[0]

    def path(self, point: Floats) -> Floats:
        """Return h_t = omega + a e_{t-1}^2 + b h_{t-1}, (L,); before the sample both are the backcast."""
        return self._run(point)[1]

    def _run(self, point: Floats) -> tuple[float, Floats, Floats, Floats]:
        alpha, beta, omega, p, s, inverse_nu = point.tolist()
        one, a = self.series, p * s
        b, nu = p - a, 1.0 / inverse_nu
        e = one.y - alpha - beta * one.x
        e2 = e * e
        news = omega + a * e2
        following, h = omega + p * one.backcast, []
        for step in news.tolist():
            h.append(following)
            following = step + b * following
        path = np.array(h)
        full = path + e2 / (nu - 2.0)
        value = 0.5 * float((nu + 1.0) * np.log(full).sum() - nu * np.log(path).sum())
        return value - len(e) * constant(nu), path, e, e2

    def gradient(self, point: Floats) -> tuple[float, Floats]:
        """Return minus the log-likelihood and its gradient, by one backward recursion.

        lambda_t = dl_t/dh_t + b lambda_{t+1} is the derivative with respect to h_t, later days included.
        """
        value, h, e, e2 = self._run(point)
        _, _, _, p, s, inverse_nu = point.tolist()
        a, nu, n = p * s, 1.0 / inverse_nu, len(h)
        inverse, k, b = 1.0 / (nu - 2.0), nu + 1.0, p - a
        full = h + e2 * inverse
        part = e2 * inverse / full
        following, chain = 0.0, []
        for own in (0.5 / h * (1.0 - k * part))[::-1].tolist():
            chain.append(following)
            following = own + b * following
        ahead = np.array(chain[::-1])
        by_e = e * (k * inverse / full + 2.0 * a * ahead)
        arch = following * self.series.backcast + float(ahead @ e2)
        lagged = following * self.series.backcast + float(ahead @ h)
        logs = float(np.log(full / h).sum())
        by_nu = n * _steepness(nu) + 0.5 * k * inverse * float(part.sum()) - 0.5 * logs
        found = [
            -float(by_e.sum()),
            -float(by_e @ self.series.x),
            following + float(ahead.sum()),
            s * arch + (1.0 - s) * lagged,
            p * (arch - lagged),
            by_nu * nu * nu,
        ]
        return value, np.array(found)

    def information(self, point: Floats) -> Floats:
        """Return the information matrix, (6, 6)."""
        _, h, e, e2 = self._run(point)
        _, _, _, p, s, inverse_nu = point.tolist()
        push = np.column_stack(
            [-2.0 * p * s * e, -2.0 * p * s * e * self.series.x, np.ones(len(h)), s * e2 + (1.0 - s) * h, p * (e2 - h)]
        )
        first = np.array([0.0, 0.0, 1.0, self.series.backcast, 0.0])
        slopes = _accumulated(first, np.full(len(h), p - p * s), push) / h[:, None]
        return _information(slopes, 1.0 / h, self.series.x, 1.0 / inverse_nu)

    def coefficients(self, point: Floats) -> Floats:
        """Return alpha, beta, omega, a, b and nu in the unit of the returns."""
        sd, a = self.series.sd, point[3] * point[4]
        return np.array([point[0] * sd, point[1] * sd, point[2] * sd**2, a, point[3] - a, 1.0 / point[5]], dtype=float)

    def start(self, p: float, a: float, nu: float) -> Floats:
        """Return a point with the OLS line, persistence p and ARCH term a."""
        return np.array([*self.series.line, max(1.0 - p, LEAST_OMEGA), p, a / p, 1.0 / nu])


@dataclass(frozen=True, slots=True)
class Egarch:
    """EGARCH(1,1,1) of one series; a point is alpha, beta, omega, a, g, b and 1/nu."""

    series: Series

    def value(self, point: Floats) -> float:
        """Return minus the log-likelihood."""
        return self._run(point)[0]

    def path(self, point: Floats) -> Floats:
        """Return h, (L,): ln h_t = omega + a (|z_{t-1}| - sqrt(2/pi)) + g z_{t-1} + b ln h_{t-1}."""
        return np.exp(self._run(point)[1])

    def _run(self, point: Floats) -> tuple[float, Floats, Floats, Floats]:
        """Return minus the log-likelihood, ln h, z, and the days on which ln h is not at its limit."""
        alpha, beta, omega, a, g, b, inverse_nu = point.tolist()
        one, nu, exp = self.series, 1.0 / inverse_nu, math.exp
        e = one.y - alpha - beta * one.x
        following, log_h = omega + b * math.log(one.backcast), []
        base = omega - a * NORMAL_MEAN
        for error in e.tolist():
            if not -WIDEST <= following <= WIDEST:
                following = WIDEST if following > 0 else -WIDEST
            log_h.append(following)
            z = error * exp(-0.5 * following)
            following = base + a * abs(z) + g * z + b * following
        path = np.array(log_h)
        scaled = e * np.exp(-0.5 * path)
        free = (np.abs(path) < WIDEST).astype(float)
        logs = float(np.log1p(scaled * scaled / (nu - 2.0)).sum())
        value = 0.5 * float(path.sum()) + 0.5 * (nu + 1.0) * logs - len(e) * constant(nu)
        return value, path, scaled, free

    def gradient(self, point: Floats) -> tuple[float, Floats]:
        """Return minus the log-likelihood and its gradient, by one backward recursion.

        lambda_t = dl_t/d ln h_t + m_t lambda_{t+1} with m_t = b - (a |z_t| + g z_t) / 2.
        """
        value, log_h, z, free = self._run(point)
        _, _, _, a, g, b, inverse_nu = point.tolist()
        nu, n = 1.0 / inverse_nu, len(z)
        k, size, z2 = nu + 1.0, np.abs(z), z * z
        full = nu - 2.0 + z2
        own = -0.5 + 0.5 * k * z2 / full
        pass_on = b - 0.5 * (a * size + g * z)
        following, chain = 0.0, []
        for day, step, alive in zip(own[::-1].tolist(), pass_on[::-1].tolist(), free[::-1].tolist(), strict=True):
            chain.append(following)
            following = alive * (day + step * following)
        ahead = np.array(chain[::-1])
        by_e = (-k * z / full + ahead * (a * np.sign(z) + g)) * np.exp(-0.5 * log_h)
        logs = float(np.log1p(z2 / (nu - 2.0)).sum())
        by_nu = n * _steepness(nu) - 0.5 * logs + 0.5 * k / (nu - 2.0) * float((z2 / full).sum())
        found = [
            float(by_e.sum()),
            float(by_e @ self.series.x),
            -following - float(ahead.sum()),
            -float(ahead @ (size - NORMAL_MEAN)),
            -float(ahead @ z),
            -following * math.log(self.series.backcast) - float(ahead @ log_h),
            by_nu * nu * nu,
        ]
        return value, np.array(found)

    def information(self, point: Floats) -> Floats:
        """Return the information matrix, (7, 7)."""
        _, log_h, z, free = self._run(point)
        _, _, _, a, g, b, inverse_nu = point.tolist()
        pull = (a * np.sign(z) + g) * np.exp(-0.5 * log_h)
        push = np.column_stack([-pull, -pull * self.series.x, np.ones(len(z)), np.abs(z) - NORMAL_MEAN, z, log_h])
        first = np.array([0.0, 0.0, 1.0, 0.0, 0.0, math.log(self.series.backcast)])
        slopes = _accumulated(first, b - 0.5 * (a * np.abs(z) + g * z), push) * free[:, None]
        return _information(slopes, np.exp(-log_h), self.series.x, 1.0 / inverse_nu)

    def coefficients(self, point: Floats) -> Floats:
        """Return alpha, beta, omega, a, g, b and nu in the unit of the returns."""
        sd = self.series.sd
        omega = point[2] + (1.0 - point[5]) * 2.0 * math.log(sd)
        return np.array(
            [point[0] * sd, point[1] * sd, omega, point[3], point[4], point[5], 1.0 / point[6]], dtype=float
        )

    def start(self, a: float, g: float, b: float, nu: float) -> Floats:
        """Return a point with the OLS line and the mean level of ln h at zero."""
        return np.array([*self.series.line, 0.0, a, g, b, 1.0 / nu])


def _accumulated(first: Floats, factor: Floats, push: Floats) -> Floats:
    """Return d_0 = first and d_{t+1} = factor_t d_t + push_t, (L, q)."""
    found, current = np.empty_like(push), first
    with np.errstate(over="ignore", invalid="ignore"):
        for day, step in enumerate(factor.tolist()):
            found[day] = current
            current = step * current + push[day]
    return found


def garch_by_search(y: Floats, x: Floats) -> Optimum:
    """Return the best optimum of `Garch` from eight starting values; y and x (L,) in one unit."""
    series = standardised(y, x)
    if series is None:
        return NO_OPTIMUM
    one = Garch(series)
    rivals, starts = ([one.start(p, a, START_NU) for p, a in rows] for rows in (GARCH_RIVALS, GARCH_STARTS))
    found = search(one, rivals, starts, GARCH_BOX, lambda at: at[3] * np.array([at[4], 1.0 - at[4]]))
    return _in_units(one, found)


def egarch_by_search(y: Floats, x: Floats) -> Optimum:
    """Return the best optimum of `Egarch` from several starting values; y and x (L,) in one unit.

    Notes
    -----
    Only a >= 0 is accepted: news raises the variance. With a < 0 and b near 1 the recursion is not invertible
    (Wintenberger 2013): the variance of a day depends on all earlier days. The likelihood then has so many local
    optima that every start leads to another one, and some are higher than any optimum with a >= 0.
    """
    series = standardised(y, x)
    if series is None:
        return NO_OPTIMUM
    one = Egarch(series)
    rivals, starts = ([one.start(a, g, b, START_NU) for a, g, b in rows] for rows in (EGARCH_RIVALS, EGARCH_STARTS))
    return _in_units(one, search(one, rivals, starts, EGARCH_BOX, lambda at: at[3:6]))


#: Result of a search if the index explains the returns exactly.
NO_OPTIMUM = Optimum(np.full(6, np.nan), np.zeros(0), math.nan, converged=False)


def _in_units(one: Garch | Egarch, found: Found) -> Optimum:
    sd, n = one.series.sd, len(one.series.y)
    return optimum_of(
        one.coefficients(found.point),
        one.path(found.point) * sd**2,
        -found.value - n * math.log(sd),
        found.gain,
        found.first - found.value,
        found.second - found.value,
    )
