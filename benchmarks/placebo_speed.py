"""Time of placebo draws and of the permutation test, against loops over statsmodels and over numpy.

    python benchmarks/placebo_speed.py [SECURITIES] [DRAWS]

Every window's CAR of a panel of 5,000 sessions is computed once by `rolling_fit` and `rolling_car`, as the
placebo search does; portfolios of 20 peers at drawn dates are then looked up. The statsmodels loop fits
the same pseudo-events one by one, 2,000 of them, and is extrapolated to all. Seconds are of the processor,
one thread each, in one run, so that a busy machine shows in all figures alike. The last run is kept in
RESULTS-more.md.
"""

from __future__ import annotations

import sys
import time

import numpy as np
import statsmodels.api as sm
from record import recorded
from threadpoolctl import threadpool_limits

from eventstudy.reversal.history import rolling_car, rolling_fit
from eventstudy.reversal.permutation import ENUMERATED, matched_permutation

SESSIONS, PEERS, SAMPLE, TURNS, BLOCK = 5_000, 20, 2_000, 20, 16
ESTIMATION, WINDOW, MINIMUM = (-250, -11), (2, 20), 120


def panel(securities: int) -> tuple[np.ndarray, np.ndarray]:
    """Returns with 11 % of the days missing, late listings among them, and their index."""
    rng = np.random.default_rng(20260624)
    market = 0.01 * rng.standard_normal(SESSIONS)
    returns = 1.1 * market[:, None] + 0.02 * rng.standard_normal((SESSIONS, securities))
    returns[rng.random(returns.shape) < 0.01] = np.nan
    returns[np.arange(SESSIONS)[:, None] < rng.integers(0, SESSIONS // 5, securities)] = np.nan
    return returns, market


def all_cars(returns: np.ndarray, market: np.ndarray) -> np.ndarray:
    """Return the CAR of every window, by blocks of securities whose fits reuse each other's memory."""
    car = np.empty(returns.shape[::-1]).T
    for first in range(0, returns.shape[1], BLOCK):
        # Chosen by a list, as the search chooses its peers: a security's days then lie together.
        part = returns[:, list(range(first, min(first + BLOCK, returns.shape[1])))]
        fit = rolling_fit(part, market, np.isfinite(part), ESTIMATION)
        car[:, first : first + BLOCK] = rolling_car(part, market, fit, WINDOW, minimum=MINIMUM)
    return car


def drawn(car: np.ndarray, draws: int) -> tuple[np.ndarray, np.ndarray]:
    """Dates with enough complete peers, and 20 of these at each."""
    rng = np.random.default_rng(1)
    rows = rng.choice(np.flatnonzero(np.isfinite(car).sum(axis=1) >= PEERS), draws)
    key = np.where(np.isfinite(car[rows]), rng.random((draws, car.shape[1])), np.inf)
    return rows, np.argpartition(key, PEERS, axis=1)[:, :PEERS]


def statsmodels_loop(returns: np.ndarray, market: np.ndarray, events: list[tuple[int, int]]) -> np.ndarray:
    found = []
    for row, column in events:
        y, x = (values[row + ESTIMATION[0] : row + ESTIMATION[1] + 1] for values in (returns[:, column], market))
        kept = np.isfinite(y)
        fitted = sm.OLS(y[kept], sm.add_constant(x[kept])).fit()
        ahead = slice(row + WINDOW[0], row + WINDOW[1] + 1)
        expected = fitted.predict(sm.add_constant(market[ahead]))
        found.append((returns[ahead, column] - expected).sum())
    return np.array(found)


def lookups(securities: int, draws: int) -> None:
    returns, market = panel(securities)
    rows, columns = drawn(all_cars(returns, market), draws)
    late = np.flatnonzero(rows >= -ESTIMATION[0])[: SAMPLE // PEERS]
    sample = [(int(rows[d]), int(c)) for d in late for c in columns[d]]
    once, looked, loop = [], [], []
    for turn in range(TURNS):
        start = time.process_time()
        car = all_cars(returns, market)
        middle = time.process_time()
        portfolios = car.T.ravel().take(columns * len(car) + rows[:, None]).mean(axis=1)
        end = time.process_time()
        part = sample[turn::TURNS]
        theirs = statsmodels_loop(returns, market, part)
        loop.append((time.process_time() - end) / len(part))
        once.append(middle - start)
        looked.append(end - middle)
        np.testing.assert_allclose(theirs, [car[at] for at in part], rtol=1e-8, atol=1e-12)
    assert np.isfinite(portfolios).all()
    ratios = np.array(loop) * draws * PEERS / (np.array(once) + looked)
    print(f"{SESSIONS} sessions x {securities} securities, {draws} draws of {PEERS} peers")
    print(f"CAR of every window, once  {1e3 * np.median(once):9.1f} ms  ({car.size:,} windows)")
    print(f"portfolios looked up       {1e3 * np.median(looked):9.1f} ms")
    print(f"statsmodels loop           {np.median(loop) * draws * PEERS:9.1f} s   (from {len(sample)} fits)")
    print(f"ratio                      {np.median(ratios):9.0f}     {ratios.min():.0f} to {ratios.max():.0f}")


def permutation(draws: int) -> None:
    """Matched sets of a shock and its placebos; more ways than are enumerated."""
    rng = np.random.default_rng(2)
    events, placebos = rng.standard_normal(12), [rng.standard_normal(10) for _ in range(12)]
    assert ENUMERATED < 11**12
    sets = [np.append(value, others) for value, others in zip(events, placebos, strict=True)]
    ours, loop = [], []
    for _ in range(TURNS):
        start = time.process_time()
        matched_permutation(events, placebos, draws=draws, seed=1)
        middle = time.process_time()
        for _ in range(draws // 100):
            means = []
            for members in sets:
                j = int(rng.integers(len(members)))
                means.append(members[j] - np.delete(members, j).mean())
            np.mean(means)
        loop.append(100 * (time.process_time() - middle))
        ours.append(middle - start)
    ratios = np.array(loop) / ours
    print(f"matched permutation, {draws} draws of 12 sets of 11")
    print(f"by sums of drawn members   {1e3 * np.median(ours):9.2f} ms")
    print(f"loop over sets             {np.median(loop):9.2f} s   (extrapolated from 1 %)")
    print(f"ratio                      {np.median(ratios):9.0f}     {ratios.min():.0f} to {ratios.max():.0f}")


def main() -> None:
    securities = int(sys.argv[1]) if len(sys.argv) > 1 else 500
    draws = int(sys.argv[2]) if len(sys.argv) > 2 else 10_000
    with threadpool_limits(1, "blas"):
        lookups(securities, draws)
        permutation(draws)


if __name__ == "__main__":
    recorded(main, ("numpy", "statsmodels"))
