"""Time of GARCH fits against a plain `arch` loop, and how their log-likelihoods differ.

    python benchmarks/garch_speed.py [FITS]

Prints seconds and ratios of one run, so that a slow machine shows in all of them alike; `arch` and the
fits it is compared with take turns, in seconds of the processor. Also: two processes from cold, warm
starts, and the batched OLS. The last run is kept in RESULTS-more.md.
"""

from __future__ import annotations

import sys
import time
import warnings
from collections.abc import Callable

import numpy as np
from record import recorded
from threadpoolctl import threadpool_limits

from eventstudy.config import Model
from eventstudy.core.models import fit
from eventstudy.core.models.garch import compiled_fit, fit_variance
from eventstudy.core.windows import EventPanel

ESTIMATION, EVENT = 240, 31


def panel(fits: int, seed: int = 20260624) -> EventPanel:
    """Firm-events with GARCH(1,1) errors of Student's t on one index."""
    rng = np.random.default_rng(seed)
    length = ESTIMATION + EVENT
    market = 0.01 * rng.standard_normal(length)
    h, e = np.full(fits, 4e-4), np.zeros(fits)
    returns = np.empty((fits, length))
    for day in range(length):
        h = 2e-5 + 0.10 * e**2 + 0.85 * h
        e = np.sqrt(h) * rng.standard_t(6, fits) / np.sqrt(1.5)
        returns[:, day] = 1.2 * market[day] + e
    names = np.array([f"T{i}" for i in range(fits)])
    factors = np.broadcast_to(market[None, :, None], (fits, length, 1))
    sessions = np.broadcast_to(np.arange(length, dtype=np.int32), (fits, length))
    return EventPanel(
        event_id=names,
        shock_id=names,
        ticker=names,
        market=names,
        region=names,
        lead=np.ones(fits, dtype=bool),
        tau=np.arange(EVENT) - 10,
        estimation_returns=returns[:, :ESTIMATION],
        estimation_factors=factors[:, :ESTIMATION],
        estimation_sessions=sessions[:, :ESTIMATION],
        event_returns=returns[:, ESTIMATION:],
        event_factors=factors[:, ESTIMATION:],
        event_sessions=sessions[:, ESTIMATION:],
        event_flags=np.zeros((fits, EVENT), dtype=np.uint8),
    )


def seconds(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def arch_loop(drawn: EventPanel) -> np.ndarray:
    """Log-likelihoods of the loop that a user of `arch` would write."""
    from arch import arch_model

    found = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for y, x in zip(100 * drawn.estimation_returns, 100 * drawn.estimation_factors, strict=True):
            model = arch_model(y, x=x, mean="LS", vol="GARCH", p=1, q=1, dist="t", rescale=False)
            found.append(model.fit(disp="off", show_warning=False).loglikelihood)
    return np.array(found)


def our_loop(drawn: EventPanel) -> np.ndarray:
    return np.array(
        [
            fit_variance(y, x, "garch").log_likelihood
            for y, x in zip(100 * drawn.estimation_returns, 100 * drawn.estimation_factors, strict=True)
        ]
    )


def against_arch(drawn: EventPanel, turns: int = 40) -> None:
    """Print the ratio of both loops, turn by turn, and the quantiles of ours minus `arch`'s likelihood."""
    gaps, ratios, ours_all, archs_all = [], [], 0.0, 0.0
    for rows in np.array_split(np.arange(len(drawn)), turns):
        part = drawn.take(rows)
        start = time.process_time()
        theirs = arch_loop(part)
        middle = time.process_time()
        ours = our_loop(part)
        end = time.process_time()
        gaps.append(ours - theirs)
        ratios.append((middle - start) / (end - middle))
        archs_all, ours_all = archs_all + middle - start, ours_all + end - middle
    gap = np.concatenate(gaps)
    each = 1_000 / len(drawn)
    print(f"arch loop              {archs_all:8.3f} s  {each * archs_all:6.2f} ms a fit")
    print(f"compiled, numba        {ours_all:8.3f} s  {each * ours_all:6.2f} ms a fit")
    spread = f"{min(ratios):.0f} to {max(ratios):.0f} over {turns} turns; one process and one thread each"
    print(f"ratio, median turn     {np.median(ratios):8.0f}    {spread}")
    print(f"ratio, all seconds     {archs_all / ours_all:8.0f}")
    print("log-likelihood, ours minus arch's:")
    print(
        f"  worse by more than 1e-2 {(gap < -1e-2).sum()}, than 1e-3 {(gap < -1e-3).sum()}; "
        f"better by more than 1e-2 {(gap > 1e-2).sum()}"
    )
    levels = (0, 1, 5, 50, 95, 99, 100)
    print(
        "  quantiles " + "  ".join(f"{q}%: {v:+.1e}" for q, v in zip(levels, np.percentile(gap, levels), strict=True))
    )


def warm_starts(drawn: EventPanel, fits: int) -> str:
    """Fit by arch itself from its own start, and from the parameters of the fit before."""
    from arch import arch_model

    models = [
        arch_model(
            100 * drawn.estimation_returns[i],
            x=drawn.estimation_factors[i],
            mean="LS",
            vol="GARCH",
            p=1,
            q=1,
            dist="t",
            rescale=False,
        )
        for i in range(fits)
    ]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        start = time.perf_counter()
        own = [model.fit(disp="off", show_warning=False) for model in models]
        middle = time.perf_counter()
        warm, before = [], own[0].params
        for model in models:
            warm.append(model.fit(disp="off", show_warning=False, starting_values=before))
            before = warm[-1].params
        end = time.perf_counter()
    gap = np.array([b.loglikelihood - a.loglikelihood for a, b in zip(own, warm, strict=True)])
    return (
        f"warm starts            {(middle - start) / (end - middle):8.2f} times as fast over {fits} fits; "
        f"log-likelihood worse by more than 1e-2 in {(gap < -1e-2).mean():.1%}, "
        f"better in {(gap > 1e-2).mean():.1%}"
    )


def main() -> None:
    fits = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000
    drawn = panel(fits)
    few = drawn.take(np.arange(min(3, fits)))
    start = time.perf_counter()
    our_loop(few)
    print(f"first fits, from cold  {time.perf_counter() - start:8.3f} s  (imports, and compiling once)")
    arch_loop(few)
    ols = min(seconds(lambda: fit(drawn, "market")) for _ in range(3))
    print(f"{fits} fits, {ESTIMATION} estimation and {EVENT} event days")
    print(f"market (batched OLS)   {ols:8.3f} s")
    if compiled_fit() is None:
        print("numba is not installed: garch is fitted by arch itself")
    else:
        # On one thread each: on small matrices arch's linear algebra loses time to its threads.
        with threadpool_limits(1, "blas"):
            against_arch(drawn)
    # EGARCH is fitted by arch itself, each as long as the other: a hundred are enough.
    for name, part in (("garch", drawn), ("egarch", drawn.take(np.arange(min(100, fits))))):
        one = seconds(lambda name=name, part=part: fit(part, name))
        two = seconds(lambda name=name, part=part: fit(part, name, settings=Model(name=name, jobs=2)))
        each = one / len(part)
        print(f"{len(part)} fits by one call, all threads, wall clock:")
        times = f"{1e3 * each:6.1f} ms a fit  {each * fits / ols:7.0f} x OLS"
        print(f"{name:6s} jobs=1          {one:8.3f} s  {times}")
        print(f"{name:6s} jobs=2, cold     {two:8.3f} s  {one / two:6.2f} times as fast as jobs=1")
    print(warm_starts(drawn, min(fits, 100)))


if __name__ == "__main__":
    recorded(main, ("numpy", "scipy", "numba", "arch"))
