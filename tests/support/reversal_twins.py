"""Slow twins of the reversal analysis, in plain loops from the definitions."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

import numpy as np


def rolling_car_loop(
    returns: np.ndarray,
    market: np.ndarray,
    usable: np.ndarray,
    estimation: tuple[int, int],
    window: tuple[int, int],
    minimum: int,
    alpha: bool,
) -> np.ndarray:
    """CAR of every session by one least-squares fit each; NaN where a day is missing."""
    length, n = returns.shape
    found = np.full((length, n), np.nan)
    for column in range(n):
        for day in range(length):
            rows = [
                r
                for r in range(day + estimation[0], day + estimation[1] + 1)
                if 0 <= r < length and usable[r, column] and np.isfinite(returns[r, column] + market[r])
            ]
            inside = range(day + window[0], day + window[1] + 1)
            if len(rows) < minimum or inside[0] < 0 or inside[-1] >= length:
                continue
            design = np.column_stack([np.ones(len(rows)), market[rows]])
            a, b = np.linalg.lstsq(design, returns[rows, column], rcond=None)[0]
            found[day, column] = sum(returns[r, column] - (a if alpha else 0.0) - b * market[r] for r in inside)
    return found


def permutation_loop(events: Sequence[float], placebos: Sequence[Sequence[float]]) -> tuple[float, float]:
    """One-sided p-values (greater, less) over every choice of one member a set."""
    sets = [[value, *others] for value, others in zip(events, placebos, strict=True)]

    def mean_excess(choice: Sequence[int]) -> float:
        total = 0.0
        for members, chosen in zip(sets, choice, strict=True):
            others = [v for i, v in enumerate(members) if i != chosen]
            total += members[chosen] - sum(others) / len(others)
        return total / len(sets)

    observed = mean_excess([0] * len(sets))
    values = [mean_excess(choice) for choice in itertools.product(*(range(len(s)) for s in sets))]
    greater = sum(value >= observed - 1e-12 for value in values) / len(values)
    less = sum(value <= observed + 1e-12 for value in values) / len(values)
    return greater, less


def difference_loop(treated: Sequence[float], others: Sequence[float]) -> float:
    """Two-sided p of the difference in means over all ways to choose the treated."""
    values = [*treated, *others]
    g1, g = len(treated), len(values)

    def gap(chosen: tuple[int, ...]) -> float:
        inside = [values[i] for i in chosen]
        outside = [values[i] for i in range(g) if i not in chosen]
        return abs(sum(inside) / g1 - sum(outside) / (g - g1))

    observed = gap(tuple(range(g1)))
    gaps = [gap(chosen) for chosen in itertools.combinations(range(g), g1)]
    return sum(value >= observed - 1e-12 for value in gaps) / len(gaps)


def fieller_holds(rho: float, drop: Sequence[float], post: Sequence[float], t: float) -> bool:
    """Whether a ratio lies in the Fieller set, from its inequality."""
    k = len(drop)
    m_d, m_p = sum(drop) / k, sum(post) / k
    v_d = sum((d - m_d) ** 2 for d in drop) / (k - 1) / k
    v_p = sum((p - m_p) ** 2 for p in post) / (k - 1) / k
    c = sum((d - m_d) * (p - m_p) for d, p in zip(drop, post, strict=True)) / (k - 1) / k
    return (m_p + rho * m_d) ** 2 <= t**2 * (v_p + 2 * rho * c + rho**2 * v_d)


def clopper_pearson_holds(share: float, hits: int, n: int, tail: float) -> bool:
    """Whether a share is in the exact interval: neither tail probability is below ``tail``."""

    def mass(k: int) -> float:
        return math.comb(n, k) * share**k * (1 - share) ** (n - k)

    above = sum(mass(k) for k in range(hits, n + 1))
    below = sum(mass(k) for k in range(hits + 1))
    return above >= tail and below >= tail


def survival_loop(time: Sequence[float], seen: Sequence[bool], at: float) -> float:
    """Kaplan-Meier survival just after ``at``."""
    survival = 1.0
    for t in sorted({t for t, event in zip(time, seen, strict=True) if event and t <= at}):
        at_risk = sum(other >= t for other in time)
        events = sum(other == t and event for other, event in zip(time, seen, strict=True))
        survival *= 1 - events / at_risk
    return survival


def garch_paths(
    n: int, length: int, *, rng: np.random.Generator, a: float = 0.08, b: float = 0.90, sd: float = 0.02
) -> np.ndarray:
    """n series of GARCH(1,1) returns with t5 innovations and unconditional standard deviation ``sd``."""
    omega = sd**2 * (1 - a - b)
    variance = np.full(n, sd**2)
    series = np.empty((n, length))
    for day in range(length):
        shock = rng.standard_t(5, n) * math.sqrt(3 / 5)
        series[:, day] = np.sqrt(variance) * shock
        variance = omega + a * series[:, day] ** 2 + b * variance
    return series
