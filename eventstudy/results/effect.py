"""The effect of the events: the mean over a window with its interval and test, and what its dates are worth."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from eventstudy.config import StudyConfig, Window
from eventstudy.core.abnormal import shock_dates
from eventstudy.core.arrays import Floats
from eventstudy.core.statistics import Sample, TestResult, WindowSample, effective_number
from eventstudy.core.statistics.dates import (
    FEWEST_DATES,
    LARGE_CVR,
    common_volatility_ratio,
    dates_needed,
    minimum_detectable_effect,
)
from eventstudy.core.statistics.dependence import SMALL_RBAR
from eventstudy.core.statistics.overlap import DateOverlap
from eventstudy.core.statistics.sample import FEWEST_EFFECTIVE, Alternative, Tails
from eventstudy.errors import Reason
from eventstudy.messages import joined, say
from eventstudy.results.columns import window_name
from eventstudy.results.records import interval
from eventstudy.reversal import Findings

#: Test of the mean of several dates, and of the one date that there is.
OVER_DATES, ONE_DATE = "ibragimov_mueller", "car_t"
_UNKNOWN = (float("nan"), float("nan"))
#: Mean CAR for which the summary says how many dates it would need.
LITTLE = 0.02
#: Share of the firm-events that they must be worth for tests that count them to be read.
LITTLE_LOST = 0.95
#: Labels of page 1 besides the one in question.
MAIN_LABELS = ("misreading", "genuine", "contested", "denied", "silent")


def effect_of(sample: WindowSample) -> dict[str, Any]:
    """Return the mean over K dates of the peer portfolios' cumulative abnormal values, and its t test.

    Standard error, 95 % interval, statistic and p-value belong to this mean: those of ``ibragimov_mueller``,
    K-1 degrees of freedom, fewer where windows overlap. On a single date they are those of the portfolio's
    prediction error, with the degrees of freedom of its shortest estimation; for one firm that is ``car_t``.
    The p-value is of ``tests.alternative``.
    Values are decimals: returns, natural logarithms of volume, absolute returns. NaN where there is none.
    """
    alone = (float(sample.shock_s[0]), float(sample.abnormal.expected.dof.min())) if sample.k == 1 else _UNKNOWN
    return {
        "window": window_name(sample.window),
        **mean_over_dates(sample.shock_car, sample.overlap, sample.alternative, alone=alone),
        "n_events": sample.n,
        "n_dates": sample.k,
        "k_eff": sample.overlap.k_eff,
        "n_effective": sample.n_effective,
        "test": OVER_DATES if sample.k > 1 else ONE_DATE if sample.k else "",
    }


def mean_over_dates(
    values: Floats, overlap: DateOverlap, alternative: Alternative, *, alone: tuple[float, float] = _UNKNOWN
) -> dict[str, float]:
    """Return the mean of K dates' values with the standard error, 95 % interval and p-value of its own t.

    ``alone`` are the t and the degrees of freedom of a single date.
    """
    t, df = overlap.student(values) if len(values) > 1 else alone
    mean = float(values.mean()) if len(values) else float("nan")
    return {**of_mean(mean, t, df), "p_value": Tails.known(t, "t", df).of(alternative)}


def of_mean(mean: float, t: float, df: float) -> dict[str, float]:
    """Return a mean with the standard error and the 95 % interval that belong to its t and degrees of freedom."""
    se = abs(mean / t) if np.isfinite(t) and t != 0.0 else float("nan")
    lower, upper = interval(mean, se, df, 0.95)
    return {"estimate": mean, "se": se, "lower": lower, "upper": upper, "statistic": t, "df": df}


def tests_of(results: Iterable[TestResult], group: str, window: Window) -> dict[str, dict[str, float]]:
    """Return statistic and p-value of every test of a group in a window that has one, by its name."""
    return {
        result.name: {"statistic": result.statistic, "p_value": result.p_value}
        for result in results
        if (result.group, result.window) == (group, window) and np.isfinite(result.p_value)
    }


def headline_effect(sample: WindowSample, tickers: Collection[str], kind: str, level: float) -> dict[str, Any]:
    """Return the effect of the headline group over the study's first window, and the sentence that says it.

    ``tickers`` are those of the sample's firm-events.
    """
    effect = effect_of(sample)
    return {"group": sample.group, **effect, "sentence": _sentence(effect, sample.window, tickers, kind, level)}


def effects_by_window(samples: Iterable[WindowSample], results: Iterable[TestResult]) -> list[dict[str, Any]]:
    """Return the effect of a group over each window, with statistic and p-value of every test of it there."""
    run = list(results)
    return [{**effect_of(sample), "tests": tests_of(run, sample.group, sample.window)} for sample in samples]


def effects_by_day(headline: Sample) -> list[dict[str, Any]]:
    """Return one row an event day: the mean over dates on that day, and from the first event day to it."""
    days = [int(day) for day in headline.abnormal.tau]
    return [day_row(day, effect_of(headline.at((day, day))), effect_of(headline.at((days[0], day)))) for day in days]


def day_row(tau: int, own: Mapping[str, Any], summed: Mapping[str, Any]) -> dict[str, Any]:
    """Return the row of one event day from the effect on it and the effect from the first event day to it."""
    return {
        "tau": tau,
        "n_events": own["n_events"],
        "n_dates": own["n_dates"],
        "ar": own["estimate"],
        "ar_t": own["statistic"],
        "ar_p": own["p_value"],
        "car": summed["estimate"],
        "lower": summed["lower"],
        "upper": summed["upper"],
        "car_t": summed["statistic"],
        "car_p": summed["p_value"],
    }


def _sentence(effect: Mapping[str, Any], window: Window, tickers: Collection[str], kind: str, level: float) -> Reason:
    """Say the effect; values are times 100: percent, log points, or percentage points of absolute return."""
    shown = f"[{window[0]:+d}, {window[1]:+d}]".replace("+0", "0")
    if not effect["n_dates"]:
        return Reason("effect.none", window=shown)
    facts = {"window": shown, "effect": 100 * effect["estimate"], "n": effect["n_events"], "k": effect["n_dates"]}
    facts["firms"] = next(iter(tickers), "") if len(tickers) == 1 else Reason("effect.firms", n=len(tickers))
    if kind == "volume":
        facts["times"] = float(np.exp(effect["estimate"] / (window[1] - window[0] + 1)))
    if not np.isfinite(effect["lower"]):
        return Reason(f"effect.{kind}_alone", **facts)
    p = effect["p_value"]
    facts |= {"low": 100 * effect["lower"], "high": 100 * effect["upper"], "t": effect["statistic"]}
    facts["p"] = "p < 0.001" if p < 0.0005 else f"p = {p:.3f}"
    alone = effect["n_events"] == 1
    facts |= {"se": 100 * effect["se"]} if alone else {}
    parts = [Reason(f"effect.{kind}_one" if alone else f"effect.{kind}", **facts)]
    parts += [Reason("effect.one_date")] if effect["n_dates"] == 1 else []
    parts += [Reason("effect.uncertain")] if p >= level else []
    return Reason.join(parts, " ")


def which_to_trust(n: int, k: int, rbar: float, cvr: float) -> str:
    """Say which of the tests to believe with this many dates and this much correlation."""
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
    """Say how many dates fall into an earlier one's post window, or nothing."""
    late = sum(bool(name) for name in found.shocks.drops.overlaps)
    if not late:
        return ""
    return say("trust.overlaps", day=config.windows.post[1], late=late, k=len(found.shocks.drops.shock_id))


def main_windows(config: StudyConfig, *, asked: bool) -> tuple[Window, ...]:
    """Windows of page 1, the headline's first: drop and post where these are asked about, else all."""
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
    """Say for each window what its dates are worth where windows of two dates share sessions."""
    found: list[str] = []
    for window, row in dense.items():
        k, k_eff = row["n_dates"], row["k_eff"]
        # Rounding alone makes no overlap.
        if not k_eff < k * (1 - 1e-9):
            continue
        facts = {"window": window_name(window), "k": k, "k_eff": k_eff}
        if not np.isfinite(row["mde"]):
            found.append(say("trust.worth_little", **facts))
            continue
        # Two digits: the spread is not known better.
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
    """Count the dates of a label's row whose label was set after the drop."""
    panel = headline.abnormal.panel
    mine = [name for name, label in late.items() if group.endswith(f"label={label}")]
    rows = np.isin(panel.event_id, mine) & np.isfinite(headline.abnormal.scar(window))
    return len(set(shock_dates(panel)[rows].tolist()))
