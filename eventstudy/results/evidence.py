"""Effective number of dates, which test to trust, and the table of page 1."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from eventstudy.config import StudyConfig, Window
from eventstudy.core.abnormal import shock_dates
from eventstudy.core.statistics import Sample, TestResult, WindowSample, effective_number
from eventstudy.core.statistics.dates import (
    FEWEST_DATES,
    LARGE_CVR,
    common_volatility_ratio,
    dates_needed,
    minimum_detectable_effect,
)
from eventstudy.core.statistics.dependence import SMALL_RBAR
from eventstudy.core.statistics.sample import FEWEST_EFFECTIVE
from eventstudy.messages import joined, say
from eventstudy.results.columns import window_name
from eventstudy.results.effect import OVER_DATES, of_mean
from eventstudy.reversal import Findings

#: Mean CAR for which the summary gives the number of dates needed.
LITTLE = 0.02
#: N_eff as a share of N above which tests over firm-events are acceptable.
LITTLE_LOST = 0.95
#: Further labels on page 1, besides the one in question.
MAIN_LABELS = ("misreading", "genuine", "contested", "denied", "silent")


def which_to_trust(n: int, k: int, rbar: float, cvr: float) -> str:
    """Return a note on which tests to trust, given the number of dates and the correlation."""
    if k < 2:
        return say("trust.one")
    apart = np.isfinite(rbar) and rbar <= SMALL_RBAR
    if apart and k == n:
        return say("trust.apart")
    effective = effective_number(n, rbar)
    alike = apart and effective > LITTLE_LOST * n
    parts = [say("trust.alike" if alike else "trust.dates", n=n, k=k, rbar=rbar, effective=effective)]
    if np.isfinite(cvr) and cvr > LARGE_CVR:
        parts.append(say("trust.cvr", value=cvr))
    if k < FEWEST_DATES:
        parts.append(say("trust.few", k=k))
    return joined(parts, " ")


def overlapping_dates(found: Findings, config: StudyConfig) -> str:
    """Return a note with the number of dates in an earlier date's post window; empty if there are none."""
    late = sum(bool(name) for name in found.shocks.drops.overlaps)
    if not late:
        return ""
    return say("trust.overlaps", day=config.windows.post[1], late=late, k=len(found.shocks.drops.shock_id))


def main_windows(config: StudyConfig, *, asked: bool) -> tuple[Window, ...]:
    """Windows of page 1, the headline's first: drop and post in a study about reversals, else all."""
    return (config.windows.drop, config.windows.post) if asked else config.windows.tested(asked=False)


def date_power(sample: WindowSample) -> dict[str, float]:
    """K, k_eff, degrees of freedom and the smallest mean that the t over dates finds with 80 % power."""
    overlap, few = sample.overlap, sample.overlap.k_eff < FEWEST_EFFECTIVE
    spread = overlap.spread(sample.shock_car) if sample.k > 1 and not few else float("nan")
    return {
        "n_dates": sample.k,
        "k_eff": overlap.k_eff,
        "df": float("nan") if few else overlap.df,
        "sd": spread,
        "mde": minimum_detectable_effect(spread, overlap.k_eff, df=overlap.df) if spread > 0 else float("nan"),
        "cvr": common_volatility_ratio(sample.shock_s)[0],
    }


def worth_of_dates(dense: Mapping[Window, Mapping[str, float]]) -> list[str]:
    """Return a note for each window in which windows of two dates share sessions: K, k_eff and power."""
    found: list[str] = []
    for window, row in dense.items():
        k, k_eff = row["n_dates"], row["k_eff"]
        # Rounding errors are no overlap.
        if not k_eff < k * (1 - 1e-9):
            continue
        facts = {"window": window_name(window), "k": k, "k_eff": k_eff}
        if not np.isfinite(row["mde"]):
            found.append(say("trust.worth_little", **facts))
            continue
        # Rounded to two digits, since the spread is not known more precisely.
        needed = int(float(f"{dates_needed(row['sd'], LITTLE, worth=k_eff / k):.2g}"))
        found.append(say("trust.worth", df=row["df"], mde=row["mde"], effect=LITTLE, needed=needed, **facts))
    return found


def small_table(
    results: Sequence[TestResult],
    headline: Sample,
    label: str,
    late: Mapping[str, str],
    dense: Mapping[Window, Mapping[str, float]],
) -> list[dict[str, Any]]:
    """Rows of page 1's table: the mean over dates with the interval and p of its own t.

    ``label`` is the one in question; ``late`` has the events that were labelled after the drop, and their label.
    The common-volatility ratio is the headline group's in the window: labels have too few dates for one.
    """
    prefix = "" if headline.group == "all" else f"{headline.group};"
    wanted = [headline.group, *(f"{prefix}label={name}" for name in dict.fromkeys((label, *MAIN_LABELS)))]
    table = {(r.group, r.window, r.name): r for r in results}
    rows = []
    for group in wanted:
        for window in dense:
            mean = table.get((group, window, OVER_DATES))
            if mean is None:
                continue
            told = of_mean(mean.estimate, mean.statistic, float("nan") if mean.df is None else mean.df)
            rows.append(
                {
                    "group": group,
                    "window": window_name(window),
                    "n_events": mean.n_events,
                    "n_dates": mean.n_dates,
                    "k_eff": mean.k_eff,
                    "cvr": dense[window]["cvr"],
                    "n_late": _late_dates(headline, group, window, late),
                    **{name: told[name] for name in ("estimate", "lower", "upper")},
                    "p_value": mean.p_value,
                }
            )
    return rows


def _late_dates(headline: Sample, group: str, window: Window, late: Mapping[str, str]) -> int:
    """Count the dates in a label's row with labels that were set after the drop."""
    panel = headline.abnormal.panel
    mine = [name for name, label in late.items() if group.endswith(f"label={label}")]
    rows = np.isin(panel.event_id, mine) & np.isfinite(headline.abnormal.scar(window))
    return len(set(shock_dates(panel)[rows].tolist()))
