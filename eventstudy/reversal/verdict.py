"""One of four verdicts on what followed the drops, in one sentence."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import special

from eventstudy.abnormal import Window
from eventstudy.inference.dates import (
    dates_needed,
    minimum_detectable_effect,
    sign_flip_p,
    sign_vectors,
    student,
    t_interval,
)

REVERSAL, DRIFT, EQUIVALENT, INCONCLUSIVE = "reversal", "drift", "equivalent to none", "inconclusive"
#: Two round trips at 0.2 % a side: a smaller move is worth nothing to anybody.
SMALLEST_MARGIN = 0.008
#: Below this many dates no two-sided sign-flip test can reach 5 %.
FEWEST_DATES = 6


@dataclass(frozen=True, slots=True)
class Verdict:
    """One of four answers with what it rests on; numbers are decimal returns."""

    kind: str
    sentence: str
    effect: float
    interval: tuple[float, float]
    p_value: float
    n_dates: int
    n_events: int
    sd: float
    mde: float
    margin: float
    ladder: str
    more_data: str


def verdict(
    post: NDArray[np.float64],
    post_s: NDArray[np.float64],
    drop: NDArray[np.float64],
    *,
    n_events: int,
    n_candidates: int,
    subject: str,
    window: Window,
    seed: int,
    draws: int,
) -> Verdict:
    """Say what K post-drop CARs allow.

    Parameters
    ----------
    post, drop : (K,)
        CARs of the portfolios after and during the drops.
    post_s : (K,)
        ``post`` over its pre-event standard error: the sign-flip p rests on it.
    n_events : int
        Firm-events behind them.
    n_candidates : int
        Shocks of this kind before the rule for a drop was applied.
    subject : str
        What kind of drops these are, in the plural, for the sentence.

    Notes
    -----
    Reversal (drift): the 95 % t interval over dates lies above (below) zero and, from six dates on,
    the sign-flip p agrees. Equivalent to none: the 90 % interval lies within the margin, the larger
    of a quarter of the mean drop and two round trips' cost (two one-sided tests, Schuirmann 1987).
    Else inconclusive, with the smallest effect that 80 % power would have found.
    """
    k = len(post)
    effect = float(post.mean()) if k else float("nan")
    sd = float(post.std(ddof=1)) if k > 1 else float("nan")
    interval = t_interval(post)
    signs = sign_vectors(k, draws=draws, rng=np.random.default_rng(seed)) if k > 1 else np.zeros((0, 0))
    p = sign_flip_p(post_s, signs) if k > 1 else float("nan")
    margin = max(0.25 * abs(float(drop.mean())), SMALLEST_MARGIN) if k else float("nan")
    mde = minimum_detectable_effect(sd, k)
    kind = _kind(post, interval, p, margin)
    if k == 0:
        sentence = _nothing_to_test(subject, n_candidates)
    else:
        sentence = _sentence(kind, subject, window, effect, interval, p, k, n_events, mde, margin)
    return Verdict(
        kind, sentence, effect, interval, p, k, n_events, sd, mde, margin, ladder(k, sd, mde), _more_data(sd)
    )


def _kind(post: NDArray[np.float64], interval: tuple[float, float], p: float, margin: float) -> str:
    k = len(post)
    if k < 2 or not np.isfinite(student(post)):
        return INCONCLUSIVE
    if k >= FEWEST_DATES and p <= 0.05 and interval[0] > 0:
        return REVERSAL
    if k >= FEWEST_DATES and p <= 0.05 and interval[1] < 0:
        return DRIFT
    low, high = t_interval(post, 0.90)
    return EQUIVALENT if -margin <= low and high <= margin else INCONCLUSIVE


def _sentence(
    kind: str, subject: str, window: Window, effect: float, interval: tuple[float, float], p: float,
    k: int, n_events: int, mde: float, margin: float,
) -> str:  # fmt: skip
    span = f"days +{window[0]} to +{window[1]}"
    count = f"{k} shock{'s' if k > 1 else ''}, {n_events} firm-events"
    if k == 1:
        return (
            f"Inconclusive: one {subject.removesuffix('s')} only ({effect:+.1%} over {span}; {count}); "
            "one date cannot separate an effect from chance."
        )
    numbers = (
        f"{effect:+.1%} over {span} (95 % interval {interval[0]:+.1%} to {interval[1]:+.1%}, "
        f"sign-flip p = {p:.2f}; {count})"
    )
    tail = {
        REVERSAL: "the fall was partly given back.",
        DRIFT: "the fall went on.",
        EQUIVALENT: f"any move beyond ±{margin:.1%} can be ruled out.",
        INCONCLUSIVE: f"the smallest effect these dates could have shown is {mde:.1%}.",
    }[kind]
    return f"{kind.capitalize()}: after {subject} the peers' abnormal return was {numbers}; {tail}"


def _nothing_to_test(subject: str, n_candidates: int) -> str:
    if not n_candidates:
        return f"Inconclusive: there are no {subject} with prices, so nothing can be said about them."
    return (
        f"Inconclusive: none of the {n_candidates} shocks behind the {subject} was a fall large enough "
        "to count as a drop, so there is no reversal to test."
    )


def ladder(k: int, sd: float, mde: float) -> str:
    """Notice on what K dates can show, printed beside every verdict."""
    if k == 0:
        return "No information shock qualifies."
    if k == 1:
        return "Case study. One information shock. No claim about misreadings in general."
    if k < FEWEST_DATES:
        return "Descriptive. On dates alone no two-sided 5% result is attainable."
    if k < 15:
        return f"Low power: MDE = {mde / sd:.2f} sd = {mde:.1%}."
    return "Moderate." if k < 30 else ""


def _more_data(sd: float) -> str:
    if not np.isfinite(sd) or sd <= 0:
        return "Two or more qualifying dates are needed before the spread between dates can be measured."
    needed = ", ".join(f"{dates_needed(sd, effect)} for {effect:.0%}" for effect in (0.02, 0.05, 0.10))
    return (
        f"With the spread seen here (standard deviation {sd:.1%} between dates), 80 % power at the 5 % level "
        f"needs {needed} – dates, not peers."
    )


def equivalence_p(values: NDArray[np.float64], margin: float) -> float:
    """Larger p of the two one-sided t tests against ±margin (Schuirmann 1987)."""
    k = len(values)
    if k < 2:
        return float("nan")
    se = values.std(ddof=1) / np.sqrt(k)
    worst = min((values.mean() + margin) / se, (margin - values.mean()) / se)
    return float(special.stdtr(k - 1, -worst))
