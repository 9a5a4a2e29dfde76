"""GARCH and EGARCH from several starts: the same choice with and without numba, and none that is better."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from eventstudy.core.models import garch
from eventstudy.core.models.garch import fit_variance
from eventstudy.core.models.variance_likelihood import (
    EGARCH_BOX,
    GARCH_BOX,
    Egarch,
    Garch,
    egarch_by_search,
    garch_by_search,
    standardised,
)
from eventstudy.core.models.variance_search import Optimum, climb, search
from eventstudy.errors import Reason
from eventstudy.messages import text

Floats = NDArray[np.float64]
Window = tuple[str, Floats, Floats]
PRICES = Path(__file__).parents[3] / "shared" / "data" / "prices"
TRUTHS = {
    "ordinary": (0.05, 0.10, 0.85, 6.0),
    "no_arch": (1.0, 0.0, 0.0, 8.0),
    "arch_only": (0.3, 0.6, 0.0, 6.0),
    "integrated": (0.02, 0.15, 0.85, 5.0),
    "low_df": (0.1, 0.1, 0.8, 2.3),
}


def simulated(case: str, seed: int, n: int = 240) -> tuple[Floats, Floats]:
    """Errors of GARCH(1,1)-t on one index; omega, a, b and nu by name."""
    rng = np.random.default_rng([seed, len(case)])
    omega, a, b, nu = TRUTHS[case]
    x, e, h, y = 1.2 * rng.standard_normal(n), 0.0, 1.0, np.empty(n)
    for t in range(n):
        h = omega + a * e * e + b * h
        e = np.sqrt(h * (nu - 2.0) / nu) * rng.standard_t(nu)
        y[t] = 0.03 + 1.2 * x[t] + e
    return y, x


def real() -> Iterator[Window]:
    """Five windows of 240 days of each of four securities, in percent; none without the prices."""

    def returns(name: str) -> dict[str, float]:
        table = np.genfromtxt(PRICES / f"{name}.csv", delimiter=",", names=True, dtype=None, encoding="utf-8")
        level, days = table["adj_close"].astype(float), table["date"][1:]
        return dict(zip(days.tolist(), (100.0 * (level[1:] / level[:-1] - 1.0)).tolist(), strict=True))

    if not PRICES.exists():
        return
    index = returns("SPY")
    for ticker in ("AAOI", "LITE", "CSCO", "INFN"):
        own = returns(ticker)
        days = sorted(set(own) & set(index))
        y, x = np.array([own[day] for day in days]), np.array([index[day] for day in days])
        for first in range(0, 1_250, 250):
            yield f"{ticker}@{first}", y[first : first + 240], x[first : first + 240]


def windows(each: int) -> list[Window]:
    return [*((f"{case}-{seed}", *simulated(case, seed)) for case in TRUTHS for seed in range(each)), *real()]


def test_numba_changes_no_optimum() -> None:
    fast = pytest.importorskip("eventstudy.fast.garch", reason="numba is not installed")
    many = windows(8)
    assert len(many) >= 40
    for name, y, x in many:
        quick, slow = fast.fit_garch(y, x), garch_by_search(y, x)
        assert quick.converged == slow.converged, name
        np.testing.assert_allclose(quick.coefficients, slow.coefficients, atol=1e-6, err_msg=name)
        assert quick.log_likelihood == pytest.approx(slow.log_likelihood, rel=1e-8), name
        np.testing.assert_allclose(quick.path, slow.path, rtol=1e-6, err_msg=name)
        assert quick.second_gap == pytest.approx(slow.second_gap, abs=1e-6), name
        # The first climb ends where a step would gain half a thousandth.
        assert quick.first_gap == pytest.approx(slow.first_gap, abs=1e-3), name


def best_of_random_starts(likelihood: Garch | Egarch, rng: np.random.Generator, times: int) -> float:
    """Highest log-likelihood, on standardised returns, that climbs from anywhere in the region reach."""
    best = math.inf
    for _ in range(times):
        nu, persistence = rng.choice([3.0, 6.0, 30.0]), rng.uniform(0.05, 0.999)
        if isinstance(likelihood, Garch):
            start = likelihood.start(persistence, persistence * rng.uniform(), nu)
            value = climb(likelihood, start, GARCH_BOX, 1e-5, math.inf)[1]
        else:
            start = likelihood.start(rng.uniform(0, 0.8), rng.uniform(-0.4, 0.4), persistence, nu)
            value = climb(likelihood, start, EGARCH_BOX, 1e-5, math.inf)[1]
        best = min(best, value)
    return -best


@pytest.mark.parametrize("name", ["garch", "egarch"])
def test_no_start_is_better_than_the_choice(name: str) -> None:
    rng = np.random.default_rng(11)
    for case, y, x in windows(8):
        found = (garch_by_search if name == "garch" else egarch_by_search)(y, x)
        assert found.converged, case
        series = standardised(y, x)
        assert series is not None
        one = Garch(series) if name == "garch" else Egarch(series)
        other = best_of_random_starts(one, rng, 4) - len(y) * math.log(series.sd)
        assert found.log_likelihood >= other - 1e-3, case


@pytest.mark.parametrize("name", ["garch", "egarch"])
def test_the_gradient_is_that_of_the_likelihood(name: str) -> None:
    series = standardised(*simulated("ordinary", 1))
    assert series is not None
    one = Garch(series) if name == "garch" else Egarch(series)
    at = one.start(0.9, 0.1, 6.0) if isinstance(one, Garch) else one.start(0.2, -0.05, 0.9, 6.0)
    value, g = one.gradient(at)
    assert value == pytest.approx(one.value(at), rel=1e-14)
    for i in range(len(at)):
        ends = []
        for sign in (1.0, -1.0):
            moved = at.copy()
            moved[i] += sign * 1e-6
            ends.append(one.value(moved))
        assert g[i] == pytest.approx((ends[0] - ends[1]) / 2e-6, abs=2e-5)


def test_egarch_has_the_likelihood_of_arch() -> None:
    """On the same coefficients, in percent, where ``arch``'s own search ends with a >= 0."""
    arch = pytest.importorskip("arch")
    y, x = simulated("ordinary", 0)
    built = arch.arch_model(y, x=x, mean="LS", vol="EGARCH", p=1, o=1, q=1, dist="t", rescale=False)
    theirs = built.fit(disp="off", show_warning=False)
    assert theirs.params.iloc[3] > 0
    found = egarch_by_search(y, x)
    assert found.log_likelihood >= theirs.loglikelihood - 1e-4
    again = built.fix(found.coefficients)
    assert again.loglikelihood == pytest.approx(found.log_likelihood, abs=1e-6)
    np.testing.assert_allclose(again.conditional_volatility**2, found.path, rtol=1e-9)


class TwoWells:
    """Minus log-likelihood (v^2 - 1)^2 + tilt v of one parameter: minima near v = -1 and v = 1."""

    def __init__(self, tilt: float) -> None:
        self.tilt = tilt

    def value(self, point: Floats) -> float:
        return float((point[0] ** 2 - 1.0) ** 2 + self.tilt * point[0])

    def gradient(self, point: Floats) -> tuple[float, Floats]:
        return self.value(point), np.array([4.0 * point[0] * (point[0] ** 2 - 1.0) + self.tilt])

    def information(self, point: Floats) -> Floats:
        return np.full((len(point), len(point)), 8.0)


@pytest.mark.parametrize(("first", "gap"), [(0.9, 0.4), (-0.9, 0.0)])
def test_the_gaps_are_those_of_the_first_climb_and_of_the_next_optimum(first: float, gap: float) -> None:
    """The wells differ by about twice the tilt: 0.2 makes 0.4."""
    box = np.array([-3.0]), np.array([3.0])
    starts = [np.array([1.2]), np.array([-1.2])]
    found = search(TwoWells(0.2), [np.array([first])], starts, box, lambda at: at)
    assert found.point[0] == pytest.approx(-1.024, abs=1e-3)
    assert found.first - found.value == pytest.approx(gap, abs=1e-2)
    assert found.second - found.value == pytest.approx(0.4, abs=1e-2)


def test_of_two_equal_optima_the_first_found_stays() -> None:
    box = np.array([-3.0]), np.array([3.0])
    for first in (0.9, -0.9):
        found = search(TwoWells(0.0), [np.array([first])], [np.array([-first])], box, lambda at: at)
        assert found.point[0] == pytest.approx(math.copysign(1.0, first), abs=1e-5)
        assert found.second - found.value == pytest.approx(0.0, abs=1e-3)


@pytest.mark.parametrize(
    ("first", "second", "said"),
    [(0.0, 0.25, "0.25"), (3.55, 3.55, "3.55"), (0.0, 1.5, ""), (0.2, 5.0, ""), (0.0, math.inf, "")],
)
def test_a_remark_tells_of_another_optimum(
    first: float, second: float, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where it is within one point, or where the best single start would have missed the best by more."""
    y, x = simulated("ordinary", 1)
    found = Optimum(np.array([0.0, 1.0, 0.1, 0.1, 0.8, 6.0]), np.ones(240), -300.0, True, first, second)
    monkeypatch.setattr(garch, "compiled_fit", lambda: lambda *_: found)
    fit = fit_variance(y, x[:, None], "garch")
    assert not fit.trouble
    assert fit.remark == (Reason("fits.other_optimum", name="garch", gap=float(said)) if said else Reason())
    assert text(fit.remark) == (f"garch: log-likelihood has another optimum, lower by {said}" if said else "")
