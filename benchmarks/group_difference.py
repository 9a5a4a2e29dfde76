"""How often the difference of two groups is found where there is none, firms of one date sharing its shock.

Each date has eight firms whose CARs share half of their variance. Run: python benchmarks/group_difference.py
"""

from __future__ import annotations

import numpy as np
from scipy import stats

from eventstudy.core.checks.regression import regress
from eventstudy.core.statistics.overlap import DateOverlap

DRAWS, FIRMS, SHARED = 1_000, 8, 0.5
#: Dates with both groups, with the first alone, and with the second alone.
DESIGNS = {"20 common": (20, 0, 0), "10 and 10": (0, 10, 10), "5 and 15": (0, 5, 15), "10, 5 and 5": (10, 5, 5)}


def rejections(both: int, first: int, second: int, rng: np.random.Generator) -> tuple[float, float]:
    """Shares of true nulls rejected at 5 %: by date portfolios, and by Welch's t over all firms."""
    ours = naive = 0
    for _ in range(DRAWS):
        dates = both + first + second
        car = SHARED**0.5 * rng.standard_t(5, (dates, 1)) + (1 - SHARED) ** 0.5 * rng.standard_t(5, (dates, FIRMS))
        group = np.zeros((dates, FIRMS), dtype=bool)
        group[:both, : FIRMS // 2] = True
        group[both : both + first] = True
        naive += stats.ttest_ind(car[group], car[~group], equal_var=False).pvalue <= 0.05
        sides = [
            [(d, side, car[d][group[d] == side].mean()) for d in range(dates) if (group[d] == side).any()]
            for side in (True, False)
        ]
        if first + second == 0:
            gap = np.array([a[2] - b[2] for a, b in zip(*sides, strict=True)])
            t, df = DateOverlap.none(both).student(gap)
            ours += 2 * stats.t.sf(abs(t), df) <= 0.05
        else:
            date, side, mean = map(np.array, zip(*sides[0], *sides[1], strict=True))
            ours += regress(mean, side.astype(float)[:, None], date, draws=1).p_cr2[1] <= 0.05
    return ours / DRAWS, naive / DRAWS


if __name__ == "__main__":
    for name, design in DESIGNS.items():
        ours, naive = rejections(*design, np.random.default_rng(7))
        print(f"| {name} | {100 * ours:.1f} | {100 * naive:.1f} |", flush=True)
