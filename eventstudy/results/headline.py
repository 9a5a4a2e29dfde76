"""The headline of a study of volume or volatility: the mean abnormal value over its first window."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from scipy import special

from eventstudy.config import StudyConfig
from eventstudy.core.statistics import Sample, TestResult
from eventstudy.core.statistics.sample import WindowSample
from eventstudy.messages import Message, say
from eventstudy.results.columns import window_name

#: The test whose p-value stands beside the headline.
TEST = "date_t"


def measured_facts(results: Sequence[TestResult], headline: Sample, config: StudyConfig) -> dict[str, dict[str, Any]]:
    """Return the part of summary.json that a study of returns fills with its verdict.

    The effect is the mean over K dates of the peer portfolios' cumulative abnormal values, over the
    first window of ``windows.car``: natural logarithms of volume, or absolute returns as decimals.
    Its 95 % interval is that of a t over these means, as ``ibragimov_mueller`` has it: K-1 degrees of
    freedom, fewer where windows overlap. The p-value is that of ``date_t``, which standardises first.
    """
    window = config.windows.all_car[0]
    ours = headline.at(window)
    test = {(r.group, r.window, r.name): r for r in results}.get((headline.group, window, TEST))
    effect, ci = _mean_of_dates(ours)
    p = test.p_value if test is not None else float("nan")
    shown = f"[{window[0]:+d}, {window[1]:+d}]".replace("+0", "0")
    days = window[1] - window[0] + 1
    return {
        "verdict": {
            "kind": "measured",
            "group": headline.group,
            "window": window_name(window),
            "effect": effect,
            "ci": ci,
            "p_value": p,
            "p_name": TEST,
            "n_dates": ours.k,
            "k_eff": test.k_eff if test is not None else float("nan"),
            "n_events": ours.n,
            "n_effective": ours.n_effective,
            "n_placebos": 0,
            "mde": float("nan"),
            "ladder": "",
            "inside": "",
            "sentence": _sentence(config.study.kind, shown, days, effect, ci, p, ours.n, ours.k),
        },
        "exploratory": {},
        "verdicts": {},
    }


def _mean_of_dates(sample: WindowSample) -> tuple[float, list[float]]:
    """Return the mean of the dates' values and its 95 % interval; NaN for fewer than two dates."""
    values = sample.shock_car
    if not len(values):
        return float("nan"), [float("nan")] * 2
    mean = float(values.mean())
    t, df = sample.overlap.student(values)
    if not np.isfinite(t) or t == 0.0:
        return mean, [float("nan")] * 2
    half = float(special.stdtrit(df, 0.975)) * abs(mean / t)
    return mean, [mean - half, mean + half]


def _sentence(
    kind: str, window: str, days: int, effect: float, ci: Sequence[float], p: float, n: int, k: int
) -> Message:
    """Say the headline; values are times 100: log points, or percentage points of absolute return."""
    if not k:
        return say("measured.none", window=window)
    common = {"window": window, "effect": 100 * effect, "n": n}
    extra = {"times": float(np.exp(effect / days))} if kind == "volume" else {}
    if not np.isfinite(ci[0]):
        return say(f"measured.{kind}_one", **common, **extra)
    p_text = "p = –" if not np.isfinite(p) else "p < 0.001" if p < 0.0005 else f"p = {p:.3f}"
    return say(f"measured.{kind}", **common, **extra, low=100 * ci[0], high=100 * ci[1], p=p_text, k=k)
