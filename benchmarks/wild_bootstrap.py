"""Time of the wild cluster bootstrap against PyPI `wildboottest`, and both p-values of the same data.

    pip install wildboottest
    python benchmarks/wild_bootstrap.py [DRAWS]

Both impose the null and draw Rademacher weights for 20 clusters. `wildboottest` tests the slope, ours both
coefficients, with the CR1 and CR2 errors besides. In turns, after each has run once, in seconds of the
processor on one thread each. The last run is kept in RESULTS-more.md.
"""

from __future__ import annotations

import sys
import time

import numpy as np
import statsmodels.api as sm
from record import recorded
from threadpoolctl import threadpool_limits
from wildboottest.wildboottest import wildboottest

from eventstudy.core.checks.regression import regress

ROWS, CLUSTERS, SEED, TURNS = 400, 20, 20260624, 7


def data(seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """CARs with a common shock a cluster, and a covariate of each cluster's own level; a weak slope."""
    rng = np.random.default_rng(seed)
    cluster = np.sort(rng.integers(0, CLUSTERS, ROWS))
    x = rng.standard_normal(CLUSTERS)[cluster] + rng.standard_normal(ROWS)
    y = 0.15 * x + 0.5 * rng.standard_normal(CLUSTERS)[cluster] + rng.standard_normal(ROWS)
    return y, x, cluster


def ours(y: np.ndarray, x: np.ndarray, cluster: np.ndarray, draws: int) -> float:
    return float(regress(y, x[:, None], cluster, draws=draws, seed=SEED).p_wild[1])


def theirs(y: np.ndarray, x: np.ndarray, cluster: np.ndarray, draws: int) -> float:
    model = sm.OLS(y, sm.add_constant(x))
    found = wildboottest(model, B=draws, param="x1", cluster=cluster, bootstrap_type="11", seed=SEED, show=False)
    return float(found["p-value"].iloc[0])


def main() -> None:
    draws = int(sys.argv[1]) if len(sys.argv) > 1 else 9_999
    ours(*data(0), 99), theirs(*data(0), 99)
    seconds, ps = [], []
    for turn in range(TURNS):
        drawn = data(turn)
        start = time.process_time()
        own = ours(*drawn, draws)
        middle = time.process_time()
        other = theirs(*drawn, draws)
        seconds.append((middle - start, time.process_time() - middle))
        ps.append((own, other))
    own_time, other_time = np.array(seconds).T
    ratio = other_time / own_time
    print(f"{ROWS} rows, {CLUSTERS} clusters, {draws} draws; ours tests both coefficients")
    print(f"ours           {1e3 * np.median(own_time):8.1f} ms")
    print(f"wildboottest   {1e3 * np.median(other_time):8.1f} ms")
    spread = f"{ratio.min():.0f} to {ratio.max():.0f} over {TURNS} turns"
    print(f"ratio          {np.median(ratio):8.0f}     {spread}")
    for own, other in ps:
        error = np.sqrt(2 * max(own * (1 - own), 1 / draws) / draws)
        apart = f"{abs(own - other) / error:4.1f} Monte Carlo standard errors apart"
        print(f"p  {own:.4f}  {other:.4f}  {apart}")


if __name__ == "__main__":
    with threadpool_limits(1, "blas"):
        recorded(main, ("numpy", "statsmodels", "wildboottest"))
