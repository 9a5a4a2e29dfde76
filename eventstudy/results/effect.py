"""The effect of the events: the mean abnormal value over a window, with its interval and its test."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any

import numpy as np

from eventstudy.config import Window
from eventstudy.core.arrays import Floats
from eventstudy.core.statistics import Sample, TestResult
from eventstudy.core.statistics.overlap import DateOverlap
from eventstudy.core.statistics.sample import Alternative, Tails, WindowSample
from eventstudy.errors import Reason
from eventstudy.results.columns import window_name
from eventstudy.results.records import interval

#: Test of the mean over several dates, and test for a single date.
OVER_DATES, ONE_DATE = "ibragimov_mueller", "car_t"
_UNKNOWN = (float("nan"), float("nan"))


def effect_of(sample: WindowSample) -> dict[str, Any]:
    """Return the mean over K dates of the peer portfolios' cumulative abnormal values, and its t test.

    Standard error, 95 % interval, statistic and p-value belong to this mean: those of ``ibragimov_mueller``,
    K-1 degrees of freedom, fewer if windows overlap. For a single date they use the portfolio's prediction error, with
    the smallest degrees of freedom of its peers' estimations; for one firm this is ``car_t``. The p-value is for
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
        "test": OVER_DATES if sample.k > 1 else ONE_DATE if sample.k else "",
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
