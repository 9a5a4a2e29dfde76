"""Cross-sectional regression of CARs on covariates, with shocks as clusters."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import special

from eventstudy.core.arrays import Floats, Places
from eventstudy.errors import EstimationError, Reason

#: Up to this many clusters all Rademacher vectors are enumerated: 2^12 = 4,096.
ENUMERATED_CLUSTERS = 12
#: Webb's weights replace Rademacher's up to this many clusters where 2/2^G exceeds `FLOOR`.
WEBB_CLUSTERS = 10
FLOOR = 0.01
#: Number of weight vectors in one product, so that it fits into the processor's cache.
CHUNK = 1_024
_WEBB = (0.5**0.5, 1.0, 1.5**0.5)


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterRegression:
    """OLS coefficients with three kinds of inference over G clusters; arrays have shape (p,).

    ``se_cr1`` and ``p_cr1`` use the usual cluster variance with t(G-1), which rejects far too often with few or
    unequal clusters. ``se_cr2``, ``df_cr2`` and ``p_cr2`` are those of Bell and McCaffrey; reports print them.
    ``p_wild`` is from the wild cluster restricted bootstrap-t with the null imposed, NaN if it is undefined.
    ``wild_weights`` names the weights and the number of vectors.
    """

    names: tuple[str, ...]
    coefficient: Floats
    se_cr1: Floats
    p_cr1: Floats
    se_cr2: Floats
    df_cr2: Floats
    p_cr2: Floats
    p_wild: Floats
    wild_weights: str
    n: int
    clusters: int
    r_squared: float


@dataclass(frozen=True, slots=True, kw_only=True)
class LastCoefficient:
    """The last coefficient of m regressions on the same covariates, with the inference of Bell and McCaffrey.

    ``value`` is (m,); ``squares`` (G, m) are the clusters' parts of its variance in the order of their labels, and
    ``expected`` (G,) their expectations under independent errors with variance one. ``expected`` and the degrees of
    freedom ``df`` depend only on the covariates.
    """

    value: Floats
    squares: Floats
    expected: Floats
    df: float


@dataclass(frozen=True, slots=True)
class _Design:
    """Regressors sorted by cluster; ``starts`` marks each cluster's first row, ``inverse`` is (X'X)^-1."""

    x: Floats
    y: Floats
    starts: Places
    inverse: Floats

    @property
    def cross(self) -> Floats:
        """X_g'X_g of each cluster, (G, p, p)."""
        return np.add.reduceat(self.x[:, :, None] * self.x[:, None, :], self.starts, axis=0)

    @property
    def correction(self) -> float:
        """CR1's factor G/(G-1) (n-1)/(n-p)."""
        g, (n, p) = len(self.starts), self.x.shape
        return float(g / (g - 1) * (n - 1) / (n - p))

    def scores(self, residual: Floats) -> Floats:
        """X_g'u_g of each cluster, (G, p)."""
        return np.add.reduceat(self.x * residual[:, None], self.starts, axis=0)


def regress(
    y: Floats,
    x: Floats,
    cluster: Sequence[str] | NDArray[Any],
    *,
    names: Sequence[str] = (),
    constant: bool = True,
    fewest: int = 0,
    draws: int = 9_999,
    seed: int = 20260624,
) -> ClusterRegression:
    """Regress n values on k covariates by OLS, with inference over clusters.

    Parameters
    ----------
    y : (n,)
        Dependent variable, such as CARs.
    x : (n, k)
        Covariates. With ``constant`` a column of ones comes first, named ``const``.
    cluster : (n,)
        Shock of each row. Fixed effects of shocks would absorb all covariates that are equal for all its firms.
    fewest
        Smallest number of clusters with each value of a covariate that has two values. A single cluster with one value
        would be fitted exactly, and its p-value would come from rounding errors.
    draws, seed
        Of the bootstrap, if weights are not enumerated.

    Raises
    ------
    EstimationError
        For values that are not finite, fewer than two clusters, no more rows than coefficients, or
        covariates that are collinear; for a covariate of two values if one of them occurs in fewer than ``fewest``
        clusters.

    Notes
    -----
    V = B (sum_g X_g' A_g e_g e_g' A_g X_g) B with B = (X'X)^-1. CR1: A_g = I, times
    G/(G-1) (n-1)/(n-p) (Liang and Zeger 1986). CR2: A_g = (I - H_gg)^(-1/2), the symmetric root of
    the pseudo-inverse, with the degrees of freedom of Bell and McCaffrey (2002) under independent
    errors. Bootstrap: Cameron, Gelbach and Miller (2008); weights of Webb (2023).
    """
    design, named = _design(y, x, cluster, names, constant)
    _check_sides(design, named, fewest)
    beta = design.inverse @ (design.x.T @ design.y)
    residual = design.y - design.x @ beta
    g = len(design.starts)
    scores = design.scores(residual) @ design.inverse
    se_cr1 = np.sqrt(np.maximum(np.diag(design.correction * scores.T @ scores), 0.0))
    squares, _, df_cr2 = _cr2(design, residual[:, None], np.arange(len(beta)))
    variance = squares.sum(axis=0)[:, 0]
    se_cr2 = np.where(variance > 0, np.sqrt(variance), np.nan)
    weights, description = wild_weights(g, draws=draws, seed=seed)
    with np.errstate(divide="ignore", invalid="ignore"):
        p_cr1 = 2.0 * special.stdtr(g - 1, -np.abs(beta / se_cr1))
        p_cr2 = 2.0 * special.stdtr(df_cr2, -np.abs(beta / se_cr2))
    wild = [_wild_p(design, j, beta[j], se_cr1[j], weights) for j in range(len(beta))]
    scatter = ((design.y - design.y.mean()) ** 2).sum()
    r_squared = 1.0 - float(residual @ residual / scatter) if scatter > 0 else float("nan")
    return ClusterRegression(
        names=named,
        coefficient=beta,
        se_cr1=se_cr1,
        p_cr1=p_cr1,
        se_cr2=se_cr2,
        df_cr2=df_cr2,
        p_cr2=p_cr2,
        p_wild=np.array(wild),
        wild_weights=description,
        n=len(y),
        clusters=g,
        r_squared=r_squared,
    )


def last_coefficient(y: Floats, x: Floats, cluster: Sequence[str] | NDArray[Any]) -> LastCoefficient:
    """Regress m outcomes (n, m) on covariates (n, p) as `regress` does, but only for the last coefficient.

    Quantities that depend only on the covariates are computed once. Raises `EstimationError` as `regress` does.
    """
    design, _ = _design(y, x, cluster, (), constant=False)
    beta = design.inverse @ (design.x.T @ design.y)
    squares, expected, df = _cr2(design, design.y - design.x @ beta, np.array([x.shape[1] - 1]))
    return LastCoefficient(value=beta[-1], squares=squares[:, 0], expected=expected[:, 0], df=float(df[0]))


def _design(
    y: Floats, x: Floats, cluster: Sequence[str] | NDArray[Any], names: Sequence[str], constant: bool
) -> tuple[_Design, tuple[str, ...]]:
    n = len(y)
    if x.ndim != 2 or len(x) != n or len(cluster) != n:
        raise EstimationError(f"{n} values need x of shape ({n}, k) and {n} clusters; got {x.shape}, {len(cluster)}")
    labels = tuple(names) or tuple(f"x{j + 1}" for j in range(x.shape[1]))
    if len(labels) != x.shape[1]:
        raise EstimationError(f"{x.shape[1]} covariates need as many names; got {len(labels)}")
    if constant:
        x, labels = np.column_stack([np.ones(n), x]), ("const", *labels)
    bad = np.flatnonzero(~(np.isfinite(y).reshape(n, -1).all(axis=1) & np.isfinite(x).all(axis=1)))
    if len(bad):
        raise EstimationError(Reason("regression.missing", row=bad[0], n=len(bad)))
    shocks, code = np.unique(np.asarray(cluster), return_inverse=True)
    if len(shocks) < 2:
        raise EstimationError(Reason("regression.clusters", n=len(shocks)))
    if n <= x.shape[1]:
        raise EstimationError(Reason("regression.rows", n=n, p=x.shape[1]))
    if np.linalg.matrix_rank(x) < x.shape[1]:
        raise EstimationError(Reason("regression.collinear", names=", ".join(labels)))
    order = np.argsort(code, kind="stable")
    sizes = np.bincount(code)
    starts = (np.cumsum(sizes) - sizes).astype(np.intp)
    x = x[order]
    inverse = np.linalg.inv(x.T @ x).astype(np.float64)
    return _Design(x, y[order], starts, inverse), labels


def _check_sides(design: _Design, names: Sequence[str], fewest: int) -> None:
    """Refuse covariates with two values, one of which occurs in fewer than ``fewest`` clusters."""
    for j, name in enumerate(names) if fewest else ():
        column = design.x[:, j]
        sides = np.unique(column)
        if len(sides) != 2:
            continue
        counts = [int((np.add.reduceat(column == side, design.starts) > 0).sum()) for side in sides]
        if min(counts) < fewest:
            low, high = (f"{side:g}" for side in sides)
            raise EstimationError(
                Reason("regression.sides", name=name, low=low, n=counts[0], high=high, m=counts[1], fewest=fewest)
            )


def _cr2(design: _Design, residual: Floats, wanted: Places) -> tuple[Floats, Floats, Floats]:
    """Clusters' parts of the variances of q coefficients, from residuals (n, m), with their degrees of freedom.

    The parts are (G, q, m), their means under independent errors of variance one (G, q), the degrees (q,).
    """
    (n, p), g, q = design.x.shape, len(design.starts), len(wanted)
    sizes = np.diff(design.starts, append=n)
    parts, own, pull = np.empty((g, q, residual.shape[1])), np.empty((g, q)), np.empty((g, q, p))
    low = 0
    for high in (*(2**power for power in range(p.bit_length()) if 2**power < p), p, n):
        # Clusters of similar size are computed together, padded with rows of zeros.
        alike = np.flatnonzero((sizes > low) & (sizes <= high))
        low = high
        if len(alike):
            weigh = _by_rows if high <= p else _by_coefficients
            parts[alike], own[alike], pull[alike] = weigh(design, residual, alike, sizes[alike], wanted)
    # G'G for the columns (I-H)_g' A_g X_g B l is their cross product minus the part in the fit, pull B pull'.
    inner = pull @ design.inverse
    taken = (inner * pull).sum(axis=2)
    both = inner.transpose(1, 2, 0) @ pull.transpose(1, 0, 2)
    square = (own**2 - 2 * own * taken).sum(axis=0) + (both * both.transpose(0, 2, 1)).sum(axis=(1, 2))
    expected = own - taken
    with np.errstate(divide="ignore", invalid="ignore"):
        df = np.where(square > 0, expected.sum(axis=0) ** 2 / square, np.nan)
    return parts**2, expected, df


def _by_rows(
    design: _Design, residual: Floats, alike: Places, sizes: Places, wanted: Places
) -> tuple[Floats, Floats, Floats]:
    """Weight c clusters of few rows: weighted residuals (c, q, m), squares (c, q), and products with X_g (c, q, p).

    Columns of A_g X_g B are one weighting of the cluster's residuals for each coefficient.
    """
    step = np.arange(sizes.max())
    there = step < sizes[:, None]
    rows = np.where(there, design.starts[alike, None] + step, 0)
    x = design.x[rows] * there[:, :, None]
    scaled = x @ design.inverse
    values, vectors = np.linalg.eigh(np.eye(len(step)) - scaled @ x.transpose(0, 2, 1))
    weight = (vectors * _root(values)) @ (vectors.transpose(0, 2, 1) @ scaled[:, :, wanted])
    turned = weight.transpose(0, 2, 1)
    return turned @ (residual[rows] * there[:, :, None]), (weight**2).sum(axis=1), turned @ x


def _by_coefficients(
    design: _Design, residual: Floats, alike: Places, sizes: Places, wanted: Places
) -> tuple[Floats, Floats, Floats]:
    """Weight clusters with more rows than coefficients, as `_by_rows`.

    With B = LL' and X_g L = USV', A_g X_g B = X_g L V (1 - S^2)^(-1/2) V'L'. So only the root of a p × p matrix is
    needed, whatever the number of rows.
    """
    blocks = [slice(first, first + size) for first, size in zip(design.starts[alike], sizes, strict=True)]
    cross = np.array([design.x[block].T @ design.x[block] for block in blocks])
    scores = np.array([design.x[block].T @ residual[block] for block in blocks])
    lower = np.linalg.cholesky(design.inverse)
    values, vectors = np.linalg.eigh(lower.T @ cross @ lower)
    turned = lower @ vectors
    weight = (turned[:, wanted] * _root(1.0 - values)) @ turned.transpose(0, 2, 1)
    pull = weight @ cross
    return weight @ scores, (pull * weight).sum(axis=2), pull


def _root(values: Floats) -> Floats:
    """Inverse roots of eigenvalues (m, q) for `_cr2`, (m, 1, q).

    Roots of the pseudo-inverse: directions that are determined by a single cluster are left out.
    """
    return np.where(values > 1e-10, 1.0 / np.sqrt(np.maximum(values, 1e-10)), 0.0)[:, None, :]


def wild_weights(clusters: int, *, draws: int, seed: int) -> tuple[Floats, str]:
    """Weights of the wild bootstrap, (B, G), the identity first, and their description.

    All Rademacher vectors for G <= 12, but Webb's six points if the p-value could not be as small as 1 % (2/2^G >
    0.01, G <= 7); random Rademacher vectors for G > 12.
    """
    rng = np.random.default_rng(seed)
    identity = np.ones((1, clusters))
    if clusters <= WEBB_CLUSTERS and 2.0 / 2**clusters > FLOOR:
        points = np.array([*_WEBB, *(-w for w in _WEBB)])
        webb: Floats = points[rng.integers(6, size=(draws, clusters))]
        return np.vstack([identity, webb]), f"Webb, {draws} draws"
    if clusters <= ENUMERATED_CLUSTERS:
        bits = (np.arange(2**clusters)[:, None] >> np.arange(clusters)) & 1
        return np.where(bits == 1, -1.0, 1.0), f"Rademacher, all {2**clusters}"
    weights = np.ones((draws + 1, clusters))
    np.multiply(rng.integers(0, 2, size=(draws, clusters)), -2.0, out=weights[1:])
    weights[1:] += 1.0
    return weights, f"Rademacher, {draws} draws"


def _wild_p(design: _Design, j: int, beta: float, se: float, weights: Floats) -> float:
    """Share of bootstrap |t| at least as large as the observed one, coefficient ``j`` zero under the null.

    Notes
    -----
    With u the residuals of the fit without column j, s_g = X_g'u_g, a the j-th row of B and weights
    v, the bootstrap coefficient is sum_g v_g a's_g and the score of cluster g is
    v_g a's_g - a'X_g'X_g B sum_h v_h s_h. It is linear in v, so one (G, G) matrix is enough for all draws.
    """
    others = np.delete(design.x, j, axis=1)
    fitted = others @ np.linalg.lstsq(others, design.y, rcond=None)[0] if others.shape[1] else 0.0
    scores = design.scores(design.y - fitted)
    a = design.inverse[j]
    own = scores @ a
    taken = (design.cross @ a) @ design.inverse @ scores.T
    if not se > 0:
        return float("nan")
    both, extreme = np.column_stack([(np.diag(own) - taken).T, own]), 0
    for first in range(0, len(weights), CHUNK):
        moved = weights[first : first + CHUNK] @ both
        spread = np.sqrt(design.correction * np.einsum("bg,bg->b", moved[:, :-1], moved[:, :-1]))
        with np.errstate(divide="ignore", invalid="ignore"):
            simulated = np.abs(moved[:, -1]) / spread
        extreme += int((~(simulated < abs(beta / se) * (1 - 1e-10))).sum())
    return extreme / len(weights)
