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

#: Test of the mean over several dates. A single date has that of its firm-event or, with several, of its portfolio.
OVER_DATES, ONE_EVENT, ONE_DATE = "ibragimov_mueller", "car_t", "portfolio_car_t"
_UNKNOWN = (float("nan"), float("nan"))
#: Mean CAR for which the summary gives the number of dates needed.
LITTLE = 0.02
#: N_eff as a share of N above which tests over firm-events are acceptable.
LITTLE_LOST = 0.95
#: Further labels on page 1, besides the one in question.
MAIN_LABELS = ("misreading", "genuine", "contested", "denied", "silent")


def effect_of(sample: WindowSample) -> dict[str, Any]:
    """Return the mean over K dates of the peer portfolios' cumulative abnormal values, and its t test.

    Standard error, 95 % interval, statistic and p-value belong to this mean: those of ``ibragimov_mueller``,
    K-1 degrees of freedom, fewer if windows overlap. For a single date they use the portfolio's prediction error, with
    the smallest degrees of freedom of its peers' estimations: ``portfolio_car_t``, which the table of tests does not
    have, and for one firm ``car_t``. The p-value is for
    ``tests.alternative``. Values are decimals: returns, natural logarithms of volume, absolute returns; NaN if
    missing.
    """
    alone = (float(sample.shock_s[0]), float(sample.abnormal.expected.dof.min())) if sample.k == 1 else _UNKNOWN
    return {
        "window": window_name(sample.window),
        **mean_over_dates(sample.shock_car, sample.overlap, sample.alternative, alone=alone),
        "n_events": sample.n,
        "n_dates": sample.k,
        "k_eff": sample.overlap.k_eff,
        "n_effective": sample.n_effective,
        "test": OVER_DATES if sample.k > 1 else ONE_EVENT if sample.n == 1 else ONE_DATE if sample.k else "",
    }


def mean_over_dates(
    values: Floats, overlap: DateOverlap, alternative: Alternative, *, alone: tuple[float, float] = _UNKNOWN
) -> dict[str, float]:
    """Return the mean of K dates' values with the standard error, 95 % interval and p-value of its own t.

    ``alone`` has the t and the degrees of freedom for a single date.
    """
    t, df = overlap.student(values) if len(values) > 1 else alone
    mean = float(values.mean()) if len(values) else float("nan")
    return {**of_mean(mean, t, df), "p_value": Tails.known(t, "t", df).of(alternative)}


def of_mean(mean: float, t: float, df: float) -> dict[str, float]:
    """Return a mean with the standard error and the 95 % interval that follow from its t and degrees of freedom."""
    se = abs(mean / t) if np.isfinite(t) and t != 0.0 else float("nan")
    lower, upper = interval(mean, se, df, 0.95)
    return {"estimate": mean, "se": se, "lower": lower, "upper": upper, "statistic": t, "df": df}


def tests_of(results: Iterable[TestResult], group: str, window: Window) -> dict[str, dict[str, float]]:
    """Return statistic and p-value of every applicable test of a group in a window, by name."""
    return {
        result.name: {"statistic": result.statistic, "p_value": result.p_value}
        for result in results
        if (result.group, result.window) == (group, window) and np.isfinite(result.p_value)
    }


def headline_effect(sample: WindowSample, tickers: Collection[str], kind: str) -> dict[str, Any]:
    """Return the effect of the headline group over the study's first window, and its sentence.

    ``tickers`` are those of the sample's firm-events.
    """
    effect = effect_of(sample)
    return {"group": sample.group, **effect, "sentence": _sentence(effect, sample.window, tickers, kind)}


def effects_by_window(samples: Iterable[WindowSample], results: Iterable[TestResult]) -> list[dict[str, Any]]:
    """Return the effect of a group over each window, with statistic and p-value of every test."""
    run = list(results)
    return [{**effect_of(sample), "tests": tests_of(run, sample.group, sample.window)} for sample in samples]


def effects_by_day(headline: Sample) -> list[dict[str, Any]]:
    """Return one row for each event day: the mean over dates on that day, and from the first event day to it."""
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


def _sentence(effect: Mapping[str, Any], window: Window, tickers: Collection[str], kind: str) -> Reason:
    """Return the sentence on the effect, in percent, log points, or percentage points of absolute return."""
    shown, k = f"[{window[0]:+d}, {window[1]:+d}]".replace("+0", "0"), effect["n_dates"]
    if not k:
        return Reason("effect.none", window=shown)
    facts = {"window": shown, "effect": 100 * effect["estimate"], "n": effect["n_events"], "k": k}
    facts["firms"] = next(iter(tickers), "") if len(tickers) == 1 else Reason("effect.firms", n=len(tickers))
    if kind == "volume":
        facts["times"] = float(np.exp(effect["estimate"] / (window[1] - window[0] + 1)))
    if not np.isfinite(effect["lower"]):
        return Reason(f"effect.{kind}_alone", **facts)
    facts |= {"low": 100 * effect["lower"], "high": 100 * effect["upper"], "t": effect["statistic"]}
    facts |= {"p": "<0.001" if effect["p_value"] < 0.0005 else f"{effect['p_value']:.3f}", "se": 100 * effect["se"]}
    facts["days"] = Reason("headline.on_day" if window == (0, 0) else "headline.over_days", window=shown)
    many = "return_one_date" if kind == "return" and k == 1 else kind
    told = Reason(f"effect.{kind}_one" if effect["n_events"] == 1 else f"effect.{many}", **facts)
    if k == 1:
        return Reason.join([told, Reason("effect.one_date")], " ")
    return Reason.join([told, Reason("effect.uncertain")], " ") if effect["lower"] <= 0 <= effect["upper"] else told


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
            told = of_mean(mean.estimate, mean.statistic, mean.df)
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
