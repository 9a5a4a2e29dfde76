"""Rejection rates of the tests, with Monte Carlo errors."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from eventstudy.config import Window
from eventstudy.simulate.plan import Plan
from eventstudy.simulate.pseudo_events import Pool

#: Acceptance and error bars are 99 %: |share - target| <= 2.58 standard errors.
Z99 = 2.58


@dataclass(frozen=True, slots=True)
class Case:
    """One design with one drop added to day 0."""

    design: str
    effect: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Rate:
    """Rejection rate of one test in one case; ``n_draws`` is the number of draws to which it applied.

    ``target`` is the nominal level without an effect, the analytic power in the Brown-Warner check,
    NaN if there is none; ``k_eff`` is the mean over these draws of the number of dates without overlap that carry the
    same information.
    """

    case: Case
    test: str
    window: Window
    n_draws: int
    n_rejected: int
    target: float
    n_events: int
    n_dates: int
    k_eff: float = float("nan")

    @property
    def share(self) -> float:
        """Share of draws that rejected, NaN if the test never applied."""
        return self.n_rejected / self.n_draws if self.n_draws else float("nan")

    @property
    def interval(self) -> tuple[float, float]:
        """Wilson's 99 % interval of the share over draws."""
        if not self.n_draws:
            return float("nan"), float("nan")
        p, n, z2 = self.share, self.n_draws, Z99**2
        centre = (p + z2 / (2 * n)) / (1 + z2 / n)
        half = Z99 * np.sqrt(p * (1 - p) / n + z2 / (4 * n * n)) / (1 + z2 / n)
        return float(max(centre - half, 0.0)), float(min(centre + half, 1.0))

    @property
    def verdict(self) -> str:
        """``holds``, ``too often`` or ``too rarely`` against the target ± 2.58 standard errors, or empty.

        The target lies inside Wilson's interval exactly when the share lies inside that band.
        """
        if not self.n_draws or np.isnan(self.target):
            return ""
        lower, upper = self.interval
        if lower <= self.target <= upper:
            return "holds"
        return "too often" if self.share > self.target else "too rarely"


@dataclass(frozen=True, slots=True)
class Simulation:
    """Rates of all tests, and the data of the simulation.

    ``rbar`` is the mean residual correlation of the peers on one date, ``sigma`` the root mean square
    of the residual standard deviations, both over the draws.
    """

    plan: Plan
    pool: Pool
    rates: tuple[Rate, ...]
    rbar: float
    sigma: float

    def rate(self, design: str, test: str, window: Window, effect: float = 0.0) -> Rate | None:
        """Return one rate, None if it was not simulated."""
        wanted = Case(design, effect)
        return next((r for r in self.rates if (r.case, r.test, r.window) == (wanted, test, window)), None)

    @property
    def tests(self) -> tuple[str, ...]:
        """Names of all tests, in the registry's order."""
        return tuple(dict.fromkeys(rate.test for rate in self.rates))
