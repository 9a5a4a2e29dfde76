"""What a label that already knows the outcome does to the test of labels against each other.

    python benchmarks/late_labels.py --out docs/late-labels.md

Dates have no reversal at all. A labeller who looks at what followed calls the half with the higher score
misreadings, the score having a given correlation with the later return. Labels that were set before the
return are independent of it.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from scipy import special

DATES, CORRELATIONS, SD = (20, 30, 60), (0.0, 0.2, 0.4, 0.6), 0.12


def main() -> None:
    """Simulate and write the table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--draws", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=20260624)
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    rng = np.random.default_rng(given.seed)
    opening = (
        "In these simulations no drop is followed by a reversal. Half of the dates are labelled misreadings, by a "
        "score that correlates with the later return. The one-sided test of misreadings against the other drops "
        "should reject in 2.5 % of draws."
    )
    heads = " | ".join(f"{g} dates" for g in DATES)
    lines = ["# Labels that know the outcome", "", opening, ""]
    lines.append(f"| correlation of label and later return | {heads} | spurious effect |")
    lines.append("|---" * (len(DATES) + 2) + "|")
    for correlation in CORRELATIONS:
        found = [simulate(g, correlation, given.draws, rng) for g in DATES]
        cells = " | ".join(f"{share:.1%}" for share, _ in found)
        lines.append(f"| {correlation:.1f} | {cells} | {100 * np.mean([effect for _, effect in found]):+.1f} points |")
    closing = (
        f"Returns after a drop have a standard deviation of {SD:.0%} between dates; {given.draws:,} draws, "
        f"seed {given.seed}. The first row shows labels that do not depend on the outcome. Labels that do "
        "depend on it produce false reversals. The verdict therefore counts a label only if the events file says when "
        "it was known, and if that was no later than the earliest close of the last drop day among the exchanges. "
        "`python benchmarks/late_labels.py --out docs/late-labels.md` makes this page again."
    )
    text = "\n".join([*lines, "", closing]) + "\n"
    if given.out:
        given.out.write_text(text, encoding="utf-8", newline="\n")
    print(text)


def simulate(dates: int, correlation: float, draws: int, rng: np.random.Generator) -> tuple[float, float]:
    """Share of one-sided rejections at 2.5 %, and the mean difference between the labels."""
    later = rng.normal(0, 1, (draws, dates))
    score = correlation * later + np.sqrt(1 - correlation**2) * rng.normal(0, 1, (draws, dates))
    labelled = score > np.median(score, axis=1, keepdims=True)
    half = dates // 2
    ours, theirs = later[labelled].reshape(draws, half), later[~labelled].reshape(draws, half)
    gap = ours.mean(axis=1) - theirs.mean(axis=1)
    se = np.sqrt((ours.var(axis=1, ddof=1) + theirs.var(axis=1, ddof=1)) / half)
    critical = special.stdtrit(dates - 2, 0.975)
    return float((gap / se > critical).mean()), float(gap.mean()) * SD


if __name__ == "__main__":
    main()
