"""The compiled GARCH search against the paper's likelihood, a slow twin, and `arch`'s own optima."""

from __future__ import annotations

import os
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import special, stats

from eventstudy.core.models import garch
from eventstudy.core.models.garch import VarianceFit, compiled_fit, fit_variance

pytest.importorskip("numba")
from eventstudy.core.models.variance_search import Optimum
from eventstudy.errors import Reason
from eventstudy.fast import garch as garch_fast
from eventstudy.fast.garch import HIGHEST, LOWEST, SIZE, fit_garch
from eventstudy.registry import KERNELS

Floats = NDArray[np.float64]
PRICES = Path(__file__).parents[3] / "shared" / "data" / "prices"
#: omega, a, b, nu of simulated errors, what is special about them, and at which edge the optimum may lie.
CASES = {
    "ordinary": (0.05, 0.10, 0.85, 6.0),
    "no_arch": (1.0, 0.0, 0.0, 8.0),
    "arch_only": (0.3, 0.6, 0.0, 6.0),
    "integrated": (0.02, 0.15, 0.85, 5.0),
    "low_df": (0.1, 0.1, 0.8, 2.3),
    "normal": (0.1, 0.1, 0.8, 400.0),
}


def simulated(case: str, seed: int, n: int = 240) -> tuple[Floats, Floats]:
    rng = np.random.default_rng([seed, len(case)])
    omega, a, b, nu = CASES[case]
    x, e, h = 1.2 * rng.standard_normal(n), 0.0, 1.0
    y = np.empty(n)
    for t in range(n):
        h = omega + a * e * e + b * h
        e = np.sqrt(h * (nu - 2.0) / nu) * rng.standard_t(nu)
        y[t] = 0.03 + 1.2 * x[t] + e
    return y, x


def twin(coefficients: Floats, y: Floats, x: Floats) -> tuple[float, Floats]:
    """Log-likelihood and path, day by day: Bollerslev (1987), with an EWMA for the day before the first."""
    alpha, beta, omega, a, b, nu = coefficients
    design = np.column_stack([np.ones(len(y)), x])
    ols = y - design @ np.linalg.lstsq(design, y, rcond=None)[0]
    weights = 0.94 ** np.arange(min(75, len(y)))
    before = float(weights @ ols[: len(weights)] ** 2 / weights.sum())
    e2, h, total, path = before, before, 0.0, []
    for day in range(len(y)):
        h = omega + a * e2 + b * h
        e2 = float(y[day] - alpha - beta * x[day]) ** 2
        total += (
            special.gammaln((nu + 1) / 2)
            - special.gammaln(nu / 2)
            - np.log(np.pi * (nu - 2) * h) / 2
            - (nu + 1) / 2 * np.log(1 + e2 / (h * (nu - 2)))
        )
        path.append(h)
    return total, np.array(path)


def by_arch(y: Floats, x: Floats) -> float:
    return garch._fit_by_arch(y, x[:, None]).log_likelihood


def inside(found: Optimum, y: Floats) -> bool:
    _, _, omega, a, b, nu = found.coefficients
    return bool(omega > 0 and a >= 0 and b >= 0 and a + b <= 1 + 1e-12 and 2.05 <= nu * (1 + 1e-12) <= 500.1)


@pytest.mark.parametrize("case", CASES)
def test_no_fit_is_worse_than_arch(case: str) -> None:
    for seed in range(6):
        y, x = simulated(case, seed)
        found = fit_garch(y, x)
        assert found.converged
        assert inside(found, y)
        expected, path = twin(found.coefficients, y, x)
        assert found.log_likelihood == pytest.approx(expected, abs=1e-8)
        np.testing.assert_allclose(found.path, path, rtol=1e-9)
        assert found.log_likelihood >= by_arch(y, x) - 1e-2


def test_the_edges_are_reached() -> None:
    """Each edge of the region is the optimum of some series, so that the cases above are about edges."""
    found = [fit_garch(*simulated(case, seed)).coefficients for case in CASES for seed in range(12)]
    _, _, _, a, b, nu = np.array(found).T
    assert (a < 1e-9).any()
    assert (b < 1e-9).any()
    assert (a + b > 1 - 1e-9).any()
    assert (nu > 499).any()
    assert (nu < 2.5).any()


def test_no_small_step_in_the_region_is_better() -> None:
    rng = np.random.default_rng(1)
    for case in CASES:
        y, x = simulated(case, 3)
        found = fit_garch(y, x)
        best = twin(found.coefficients, y, x)[0]
        for _ in range(60):
            step = 10.0 ** rng.uniform(-4, -1) * rng.standard_normal(6)
            near = found.coefficients + step * np.array([0.2, 0.2, 0.1, 0.2, 0.2, 1.0])
            near[2:5] = np.clip(near[2:5], [1e-6, 0.0, 0.0], 1.0)
            near[3:5] /= max(1.0, near[3] + near[4])
            near[5] = np.clip(near[5], 2.05, 500.0)
            assert twin(near, y, x)[0] <= best + 1e-4


@pytest.mark.parametrize("length", [30, 75, 240, 243])
def test_the_gradient_is_that_of_the_likelihood(length: int) -> None:
    """At the third point h is a millionth of e^2 and less, and differences say little of it."""
    y, x = simulated("ordinary", 1, length)
    work, g = np.empty((5, length)), np.empty(SIZE)
    for point in ([0.1, 1.1, 0.1, 0.9, 0.1, 0.2], [0.0, 1.3, 0.5, 1.0, 0.0, 0.4], [0, 1, 1e-8, 0.2, 0, 0.1]):
        at = np.array(point, dtype=float)
        value = garch_fast.gradient(at, y, x, 0.8, work, g)
        assert value == pytest.approx(garch_fast.likelihood(at, y, x, 0.8, work), rel=1e-13)
        numeric = np.empty(SIZE)
        for i in range(SIZE):
            size = 1e-6 * max(abs(at[i]), 1e-3)
            ends = []
            for sign in (1.0, -1.0):
                moved = at.copy()
                moved[i] += sign * size
                ends.append(garch_fast.likelihood(moved, y, x, 0.8, work))
            numeric[i] = (ends[0] - ends[1]) / (2 * size)
        if at[2] > 1e-6:
            np.testing.assert_allclose(g, numeric, rtol=2e-4, atol=2e-4)
        else:
            np.testing.assert_allclose(g[[0, 1, 5]], numeric[[0, 1, 5]], rtol=2e-4)


def expected_scores(nu: float, h: float) -> Floats:
    """E ss' for s = dl/d(e, h, 1/nu) of one day, by quadrature over e."""
    k, scale = nu + 1, np.sqrt(h * (nu - 2) / nu)
    # The substitution e = sinh(w) reaches far into the tails of few degrees of freedom.
    w = np.linspace(-30.0, 30.0, 6_001)
    e, weight = scale * np.sinh(w), np.cosh(w) * (w[1] - w[0])
    full = h * (nu - 2) + e**2
    steep = special.digamma(k / 2) - special.digamma(nu / 2) - 1 / (nu - 2)
    by_nu = (steep - np.log(full / (h * (nu - 2))) + k * e**2 / (full * (nu - 2))) / 2
    scores = np.array([-k * e / full, -1 / (2 * h) + k * e**2 / full / (2 * h), -(nu**2) * by_nu])
    return np.einsum("in,jn,n->ij", scores, scores, stats.t.pdf(e / scale, nu) * weight)


def path_of(point: Floats, y: Floats, x: Floats, before: float) -> Floats:
    alpha, beta, omega, p, s, _ = point
    e2, h, path = before, before, []
    for day in range(len(y)):
        h = omega + p * s * e2 + p * (1 - s) * h
        e2 = (y[day] - alpha - beta * x[day]) ** 2
        path.append(h)
    return np.array(path)


@pytest.mark.parametrize("nu", [2.5, 6.0, 60.0])
def test_the_information_is_the_mean_square_of_the_scores(nu: float) -> None:
    """Given the path, by quadrature; slopes of the path by differences."""
    y, x = simulated("ordinary", 2, 50)
    at, work, found = np.array([0.1, 1.1, 0.1, 0.9, 0.1, 1 / nu]), np.empty((5, 50)), np.empty((SIZE, SIZE))
    garch_fast.run(at, y, x, 0.8, work)
    garch_fast.information(at, x, work, 0.8, found)
    slopes = np.zeros((50, 3, SIZE))
    for i in range(5):
        step = 1e-6 * np.eye(SIZE)[i]
        slopes[:, 1, i] = (path_of(at + step, y, x, 0.8) - path_of(at - step, y, x, 0.8)) / 2e-6
    slopes[:, 0, 0], slopes[:, 0, 1], slopes[:, 2, 5] = -1.0, -x, 1.0
    path = path_of(at, y, x, 0.8)
    expected = np.sum([d.T @ expected_scores(nu, h) @ d for d, h in zip(slopes, path, strict=True)], axis=0)
    np.testing.assert_allclose(found[:2, :2], expected[:2, :2], rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(found[2:, 2:], expected[2:, 2:], rtol=1e-5)
    assert not found[2:, :2].any()
    np.testing.assert_array_equal(found, found.T)


def test_digamma_and_trigamma_are_scipys() -> None:
    for x in (0.525, 1.0, 3.3, 6.0, 40.0, 250.5):
        assert garch_fast.digamma(x) == pytest.approx(special.digamma(x), rel=2e-12)
        assert garch_fast.trigamma(x) == pytest.approx(special.polygamma(1, x), rel=1e-9)


def test_the_unit_of_the_returns_only_scales_the_fit() -> None:
    y, x = simulated("ordinary", 5)
    one, hundred = fit_garch(y, x), fit_garch(100 * y, 100 * x)
    scaled = one.coefficients * np.array([100.0, 1.0, 1e4, 1.0, 1.0, 1.0])
    np.testing.assert_allclose(hundred.coefficients, scaled, rtol=1e-6)
    assert hundred.log_likelihood == pytest.approx(one.log_likelihood - len(y) * np.log(100), abs=1e-8)


@pytest.mark.skipif(not PRICES.exists(), reason="real prices are not beside this checkout")
@pytest.mark.parametrize("ticker", ["AAOI", "LITE", "NVDA", "CSCO", "INFN", "TSM"])
def test_no_fit_of_real_returns_is_worse_than_arch(ticker: str) -> None:
    def returns(name: str) -> dict[str, float]:
        table = np.genfromtxt(PRICES / f"{name}.csv", delimiter=",", names=True, dtype=None, encoding="utf-8")
        level, days = table["adj_close"].astype(float), table["date"][1:]
        return dict(zip(days.tolist(), (100.0 * (level[1:] / level[:-1] - 1.0)).tolist(), strict=True))

    own, index = returns(ticker), returns("SPY")
    days = sorted(set(own) & set(index))
    y, x = np.array([own[day] for day in days]), np.array([index[day] for day in days])
    for first in range(0, 1_500, 250):
        window = slice(first, first + 240)
        found = fit_garch(y[window], x[window])
        assert found.log_likelihood >= by_arch(y[window], x[window]) - 1e-2
        assert found.log_likelihood == pytest.approx(twin(found.coefficients, y[window], x[window])[0], abs=1e-7)


def unclear(log_likelihood: float) -> Optimum:
    return Optimum(np.array([0.0, 1.0, 0.1, 0.1, 0.8, 6.0]), np.ones(240), log_likelihood, converged=False)


def test_an_unclear_search_is_checked_by_arch(monkeypatch: pytest.MonkeyPatch) -> None:
    y, x = simulated("ordinary", 1)
    reference = by_arch(y, x)
    for surplus, kept in ((-1.0, False), (0.5e-2, False), (2e-2, True)):
        monkeypatch.setattr(garch, "compiled_fit", lambda s=surplus: lambda *_: unclear(reference + s))
        fit = fit_variance(y, x[:, None], "garch")
        assert (fit.log_likelihood == reference + surplus) == kept
        assert fit.trouble == Reason("fits.no_convergence" if kept else "")


def test_a_constant_index_is_left_to_arch_and_says_so() -> None:
    y, x = simulated("ordinary", 1)
    assert not fit_garch(y, np.zeros_like(x)).converged


def test_an_index_that_explains_everything_is_left_to_arch() -> None:
    """An index on itself, and on itself doubled, whose residuals are rounding or exactly zero."""
    _, x = simulated("ordinary", 1)
    for y in (x, 2.0 * x, x + 0.1):
        found = fit_garch(y, x)
        assert not found.converged
        assert np.isnan(found.log_likelihood)
        assert fit_variance(y, x[:, None], "garch").trouble == Reason("fits.no_convergence")


def test_numba_is_optional(monkeypatch: pytest.MonkeyPatch) -> None:
    y, x = simulated("ordinary", 2)
    quick = fit_variance(y, x[:, None], "garch")
    monkeypatch.setitem(sys.modules, "numba", None)
    monkeypatch.delitem(sys.modules, "eventstudy.fast.garch")
    monkeypatch.delattr("eventstudy.fast.garch")
    monkeypatch.delitem(KERNELS, "garch")
    compiled_fit.cache_clear()
    try:
        assert compiled_fit() is None
        slow = fit_variance(y, x[:, None], "garch")
    finally:
        compiled_fit.cache_clear()
    assert isinstance(slow, VarianceFit)
    assert slow.log_likelihood == pytest.approx(quick.log_likelihood, rel=1e-8)
    np.testing.assert_allclose(slow.theta, quick.theta, atol=1e-6)
    np.testing.assert_allclose(slow.variance, quick.variance, atol=1e-6)
    assert slow.remark == quick.remark


def test_without_a_place_for_machine_code_it_is_compiled_anew(tmp_path: Path) -> None:
    """A read-only installation and no home: numba finds no folder, which must not be an error."""
    code = (
        "import numba.core.caching as c; c.CacheImpl._locator_classes = []\n"
        "from eventstudy.fast.garch import digamma\n"
        "print(digamma(1.0), type(digamma._cache).__name__)"
    )
    with warnings.catch_warnings():
        done = subprocess.run(
            [sys.executable, "-c", code],
            capture_output=True,
            text=True,
            check=True,
            env={**os.environ, "HOME": str(tmp_path)},
        )
    value, cache = done.stdout.split()
    assert float(value) == pytest.approx(-np.euler_gamma)
    assert cache == "NullCache"


def test_bounds_are_those_of_arch() -> None:
    """In residual variances, for omega; the persistence and its share stand for a and b."""
    assert (LOWEST[2], HIGHEST[2]) == (1e-8, 10.0)
    assert (1 / HIGHEST[5], 1 / LOWEST[5]) == pytest.approx((2.05, 500.0))


@pytest.mark.parametrize(("model", "said"), [("garch", True), ("egarch", False), ("market", False)])
def test_a_manifest_names_the_compiler_where_it_fits(model: str, said: bool, tmp_path: Path) -> None:
    from eventstudy.config import load_config
    from eventstudy.results.manifest import manifest_of

    config = load_config(tmp_path / "events.csv", sector="optical", overrides=[f'model.name="{model}"'])
    assert ("numba" in manifest_of(config, [], {})["versions"]) == said


def test_compiling_and_reading_the_compiled_give_the_same_bytes(tmp_path: Path) -> None:
    code = (
        "import numpy as np\n"
        "from eventstudy.fast.garch import fit_garch\n"
        "rng = np.random.default_rng(3)\n"
        "x = rng.standard_normal((12, 130))\n"
        "y = 1.2 * x + rng.standard_t(5, (12, 130))\n"
        "found = [fit_garch(a, b) for a, b in zip(y, x)]\n"
        "print(b''.join(one.coefficients.tobytes() + one.path.tobytes() for one in found).hex())\n"
    )
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path)}
    first, second = (
        subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True).stdout
        for _ in range(2)
    )
    assert list(tmp_path.rglob("*.nbc"))
    assert len(first) > 20_000
    assert first == second
