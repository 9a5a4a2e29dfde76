"""Size and power of the tests over dates whose windows overlap; prints Markdown tables.

    python benchmarks/overlap_size.py --draws 4000 --seed 1

One history of abnormal returns is drawn, and every date reads its own windows from it: dates with common
sessions have common abnormal returns. Dates are drawn at random without replacement from 2,000 sessions.
The variance designs: ``equal``; ``garch``, GARCH(1,1) with t(5) (0.08, 0.90); ``doubled``, the standard
deviation of every session in some window is twice that of the others; ``regime``, 2.5 times from the
middle on. For power every date's CAR gets a mean of 2 % (19 days), 4 % (60) or 8 % (249) at a standard
deviation of 1 % a day. The last table is the size of other registered statistics on whole samples.
"""

from __future__ import annotations

import argparse
import time

import numpy as np
from numpy.typing import NDArray

from eventstudy.core.abnormal import abnormal_returns
from eventstudy.core.models import fit
from eventstudy.core.statistics import STATISTICS, Sample
from eventstudy.core.statistics.dates import sign_flip_p, signs_of, student
from eventstudy.core.statistics.overlap import DateOverlap
from eventstudy.core.statistics.sample import two_sided
from eventstudy.core.windows import EventPanel
from eventstudy.large.battery import lagged_overlap

ESTIMATION, GAP, SESSIONS, BLOCK = 240, 10, 2_000, 100
SHAPES = ((17, 19), (33, 19), (100, 19), (300, 19), (30, 60), (30, 249))
DESIGNS = ("equal", "garch", "doubled", "regime")
MEANS = {19: 0.02, 60: 0.04, 249: 0.08}
WHOLE = ("grank_t", "corrado", "portfolio_t", "permutation", "bootstrap_blocks", "calendar_time", "bootstrap_dates")
Array = NDArray[np.float64]


def histories(design: str, length: int, rng: np.random.Generator) -> Array:
    """``BLOCK`` series of abnormal returns of 1 % a day, the volatility of `doubled` not yet in them."""
    if design != "garch":
        drawn = rng.standard_normal((BLOCK, length))
        if design == "regime":
            drawn[:, length // 2 :] *= 2.5
        return 0.01 * drawn
    shock = rng.standard_t(5, (BLOCK, length)) * np.sqrt(3 / 5)
    variance, made = np.ones(BLOCK), np.empty((BLOCK, length))
    for day in range(length):
        made[:, day] = np.sqrt(variance) * shock[:, day]
        variance = 0.02 + 0.08 * made[:, day] ** 2 + 0.90 * variance
    return 0.01 * made


def overlap_of(days: NDArray[np.intp], width: int) -> DateOverlap:
    """W of dates with the same peers."""
    return lagged_overlap(days, np.ones((len(days), width)), (2, 1 + width))


def draw(k: int, width: int, design: str, rng: np.random.Generator, draws: int) -> list[tuple[NDArray[np.intp], Array]]:
    """Sorted dates and the history that they read, ``draws`` times."""
    lead, found = ESTIMATION + GAP, []
    length = lead + SESSIONS + width + 2
    for start in range(0, draws, BLOCK):
        for series in histories(design, length, rng)[: draws - start]:
            days = np.sort(rng.choice(SESSIONS, k, replace=False)) + lead
            if design == "doubled":
                inside = np.unique(days[:, None] + np.arange(2, 2 + width))
                series[inside] *= 2.0
            found.append((days, series))
    return found


def rejections(cases: list[tuple[NDArray[np.intp], Array]], width: int, mean: float) -> dict[str, list[bool]]:
    """Whether each test over dates rejects; kernels of the registered statistics, the plain t beside them."""
    found: dict[str, list[bool]] = {name: [] for name in ("plain", "date_t", "ibragimov_mueller", "sign_flip")}
    for days, series in cases:
        car = series[days[:, None] + np.arange(2, 2 + width)].sum(axis=1) + mean
        before = series[days[:, None] + np.arange(-ESTIMATION - GAP, -GAP)]
        s = car / (before.std(axis=1) * np.sqrt(width))
        overlap = overlap_of(days, width)
        found["plain"].append(two_sided(student(s), "t", len(s) - 1.0) <= 0.05)
        for name, values in (("date_t", s), ("ibragimov_mueller", car)):
            t, df = overlap.student(values)
            found[name].append(two_sided(t, "t", df) <= 0.05)
        sums = np.bincount(overlap.blocks, s).astype(np.float64)
        if len(sums) >= 6:
            found["sign_flip"].append(sign_flip_p(sums, signs_of(len(sums), 999, 1)) <= 0.05)
    return found


def sample_of(days: NDArray[np.intp], series: Array, width: int, mean: float, rng: np.random.Generator) -> Sample:
    """One firm at all dates, its abnormal returns beside an index, as the registered statistics see it."""
    k, tau = len(days), np.arange(2 + width)
    market = rng.normal(0.0, 0.01, len(series))
    event, before = days[:, None] + tau, days[:, None] + np.arange(-ESTIMATION - GAP, -GAP)
    returns = series + market
    shifted = returns[event]
    shifted[:, 2:] += mean / width
    names = np.array([f"S{i:04d}" for i in range(k)])
    panel = EventPanel(
        event_id=names,
        shock_id=names,
        ticker=np.array(["A"] * k),
        market=np.array(["XNYS"] * k),
        region=np.array(["US"] * k),
        lead=np.ones(k, dtype=bool),
        tau=tau,
        estimation_returns=returns[before],
        estimation_factors=market[before][:, :, None],
        estimation_sessions=before.astype(np.int32),
        event_returns=shifted,
        event_factors=market[event][:, :, None],
        event_sessions=event.astype(np.int32),
        event_flags=np.zeros((k, len(tau)), dtype=np.uint8),
    )
    expected = fit(panel)
    # The tests here do not read the firm-events' correlations.
    return Sample(group="all", abnormal=abnormal_returns(panel, expected), correlations=np.zeros((k, k)), draws=399)


def whole(
    cases: list[tuple[NDArray[np.intp], Array]], width: int, mean: float, rng: np.random.Generator
) -> dict[str, list[bool]]:
    """Whether registered statistics reject; nothing where they refuse."""
    found: dict[str, list[bool]] = {name: [] for name in WHOLE}
    for days, series in cases:
        observed = sample_of(days, series, width, mean, rng).at((2, 1 + width))
        for name in WHOLE:
            result = STATISTICS[name](observed)
            if not result.reason:
                found[name].append(result.p_value <= 0.05)
    return found


def cells(found: dict[str, list[bool]], draws: int) -> str:
    """Rejection rates in per cent; – where a test refuses more than half of the draws."""
    return " | ".join(f"{100 * np.mean(hits):.1f}" if 2 * len(hits) > draws else "–" for hits in found.values())


def table(what: str, draws: int, seed: int, names: tuple[str, ...], *, power: bool) -> None:
    """Print one table of all shapes and designs."""
    print(f"\n{'Power' if power else 'Size'}, %, {draws:,} draws, two-sided 5 %\n")
    print("| dates × days | variance | K_eff | " + " | ".join(names) + " |")
    print("|---|---|---:|" + "---:|" * len(names))
    for k, width in SHAPES:
        for design in DESIGNS:
            rng = np.random.default_rng([seed, k, width, DESIGNS.index(design)])
            cases = draw(k, width, design, rng, draws)
            mean = MEANS[width] if power else 0.0
            found = rejections(cases, width, mean) if what == "kernels" else whole(cases, width, mean, rng)
            worth = np.mean([overlap_of(days, width).k_eff for days, _ in cases])
            print(f"| {k} × {width} | {design} | {worth:.0f} | {cells(found, draws)} |", flush=True)


def main() -> None:
    """Print size and power of the tests over dates, then of the other registered statistics."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--draws", type=int, default=4_000, help="histories of each size; power takes a quarter")
    parser.add_argument("--whole", type=int, default=200, help="histories on which whole samples are tested")
    parser.add_argument("--seed", type=int, default=1)
    asked = parser.parse_args()
    begin = time.perf_counter()
    kernels = ("plain t", "date_t", "ibragimov_mueller", "sign_flip")
    if asked.draws:
        table("kernels", asked.draws, asked.seed, kernels, power=False)
        table("kernels", max(asked.draws // 4, 1), asked.seed, kernels, power=True)
    if asked.whole:
        table("whole", asked.whole, asked.seed, WHOLE, power=False)
    print(f"\n{time.perf_counter() - begin:.0f} s on one core")


if __name__ == "__main__":
    main()
