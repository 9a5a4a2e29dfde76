"""One of four verdicts on the excess over matched placebo drops."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from eventstudy.core.abnormal import Window
from eventstudy.core.arrays import Floats
from eventstudy.core.statistics.dates import (
    FEWEST_DATES,
    dates_needed,
    detectable,
    minimum_detectable_effect,
    sign_flip_p,
    sign_vectors,
    student,
    t_interval,
)
from eventstudy.errors import Reason
from eventstudy.reversal.permutation import PermutationTest, PlaceboSpread, equivalence_p, shown_floor

REVERSAL, DRIFT, EQUIVALENT, INCONCLUSIVE = "reversal", "drift", "equivalent to none", "inconclusive"
#: Two round trips at 0.2 % a side: a smaller move is worth nothing to anybody.
SMALLEST_MARGIN = 0.008


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """One of four answers with what it rests on; numbers are decimal returns.

    ``effect`` is the mean excess X_k over matched placebo drops, ``interval`` its 95 % t interval over
    dates, ``p_value`` the two-sided matched permutation's, ``p_floor`` the smallest that this p can be, and
    ``p_greater`` the one-sided p towards a reversal. ``mde`` rests on the spread ``sd`` between the
    dates; for a single date on ``se_placebos``, the standard error that the spread of the placebo drops
    gives the effect. ``sentence``, ``ladder`` (what so many dates can show) and ``more_data`` (what more of
    them would) are reasons without words, ``reason`` a code for why no date entered, empty where one did.
    """

    kind: str
    sentence: Reason
    effect: float
    interval: tuple[float, float]
    p_value: float
    p_greater: float
    p_floor: float
    sign_flip_p: float
    equivalence_p: float
    n_dates: int
    n_events: int
    n_effective: float
    n_placebos: int
    sd: float
    se_placebos: float
    mde: float
    margin: float
    ladder: Reason
    more_data: Reason
    reason: str = ""
    estimator: str = "matched"
    se: float = math.nan
    df: float = math.nan
    k_eff: float = math.nan
    n_controls: int = 0
    n_clusters: int = 0
    rank: int = 0
    among: int = 0
    power: Mapping[str, float] = field(default_factory=dict)
    attainable: int = 0
    shrunk: float = math.nan
    p_costs: float = math.nan
    prior_sd: float = math.nan


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """What a verdict rests on: K shocks with a benchmark.

    Attributes
    ----------
    subject : Reason
        What the drops are called; its code with ``_one`` at the end names a single one of them.
    excess, drop : (K,)
        X_k and the CARs of the drops.
    other_measures
        Mean excess with log returns, as BHAR and so on: a reversal (drift) needs all of one sign.
    n_events : int
        Firm-events behind the K shocks, ``n_placebos`` the placebo dates, ``rank`` that of a single
        shock among its matched drops, the strongest rebound first.
    n_candidates, n_drops, n_late, n_undated, n_unmatched : int
        Shocks of this kind; those that were drops; drops left out because their label was not known in
        time; those of them whose label carries no time at all; drops without a benchmark.
    """

    subject: Reason
    window: Window
    excess: Floats
    drop: Floats
    permutation: PermutationTest
    spread: PlaceboSpread
    other_measures: tuple[float, ...] = ()
    n_events: int = 0
    n_effective: float = float("nan")
    n_placebos: int = 0
    rank: int = 0
    n_candidates: int = 0
    n_drops: int = 0
    n_late: int = 0
    n_undated: int = 0
    n_unmatched: int = 0


def verdict(evidence: Evidence, *, seed: int, draws: int) -> Verdict:
    """Say what the excess over matched placebo drops allows.

    Notes
    -----
    Reversal (drift): at least six dates, the 95 % t interval over dates lies above (below) zero, the
    matched permutation's two-sided p is at most 5 %, and simple, log and buy-and-hold returns agree
    in sign. Equivalent to none: at least six dates and the 90 % interval lies within the margin, the
    larger of a quarter of the mean drop and two round trips' cost (two one-sided tests, Schuirmann
    1987). Else inconclusive, with the smallest effect that 80 % power would have found: by a t test
    over the dates, or where there is one, of that date against its placebos.
    """
    x = evidence.excess
    k = len(x)
    effect = float(x.mean()) if k else float("nan")
    sd = float(x.std(ddof=1)) if k > 1 else float("nan")
    signs = sign_vectors(k, draws=draws, rng=np.random.default_rng(seed)) if k > 1 else np.zeros((0, 0))
    flip = sign_flip_p(x, signs) if k > 1 else float("nan")
    margin = max(0.25 * abs(float(evidence.drop.mean())), SMALLEST_MARGIN) if k else float("nan")
    spread = evidence.spread
    mde = minimum_detectable_effect(sd, k) if k != 1 else detectable(spread.se, spread.df)
    kind = _kind(evidence, margin)
    test = evidence.permutation
    return Verdict(
        kind=kind,
        sentence=_sentence(evidence, kind, flip, mde, margin),
        effect=effect,
        interval=t_interval(x),
        p_value=test.two_sided,
        p_greater=test.greater,
        p_floor=test.floor,
        sign_flip_p=flip,
        equivalence_p=equivalence_p(x, margin) if k > 1 else float("nan"),
        n_dates=k,
        n_events=evidence.n_events,
        n_effective=evidence.n_effective,
        n_placebos=evidence.n_placebos,
        sd=sd,
        se_placebos=spread.se,
        mde=mde,
        margin=margin,
        ladder=_ladder(evidence, sd, mde),
        more_data=_more_data(sd, evidence),
        reason="" if k else _why_nothing(evidence),
    )


def _kind(evidence: Evidence, margin: float) -> str:
    x = evidence.excess
    if len(x) < FEWEST_DATES or not np.isfinite(student(x)):
        return INCONCLUSIVE
    low, high = t_interval(x)
    side = 1 if low > 0 else -1 if high < 0 else 0
    agreed = all(side * value > 0 for value in evidence.other_measures)
    if side and evidence.permutation.two_sided <= 0.05 and agreed:
        return REVERSAL if side > 0 else DRIFT
    low, high = t_interval(x, 0.90)
    return EQUIVALENT if -margin <= low and high <= margin else INCONCLUSIVE


def _sentence(evidence: Evidence, kind: str, flip: float, mde: float, margin: float) -> Reason:
    k, test = len(evidence.excess), evidence.permutation
    if k == 0:
        return _nothing_to_test(evidence)
    (first, last), effect = evidence.window, float(evidence.excess.mean())
    facts = {"first": first, "last": last, "size": abs(effect), "p": test.two_sided, "n": evidence.n_events, "mde": mde}
    if k == 1:
        return Reason(
            f"verdict.one_{'above' if effect >= 0 else 'below'}",
            subject=_one(evidence.subject),
            rank=evidence.rank,
            among=evidence.n_placebos + 1,
            m=evidence.n_placebos,
            floor=shown_floor(test.floor),
            **facts,
        )
    low, high = t_interval(evidence.excess)
    return Reason(
        f"verdict.{kind.replace(' ', '_')}",
        subject=evidence.subject,
        effect=effect,
        low=low,
        high=high,
        flip=flip,
        k=k,
        n_effective=evidence.n_effective,
        margin=margin,
        **facts,
    )


def _one(subject: Reason) -> Reason:
    """Return what a single drop of a kind is called."""
    return Reason(f"{subject.code}_one", **subject.fields)


def _nothing_to_test(evidence: Evidence) -> Reason:
    subject, why = evidence.subject, _why_nothing(evidence)
    if why == "no_candidates":
        return Reason("verdict.no_candidates", subject=subject)
    if why == "no_drops":
        return Reason("verdict.no_drops", n=evidence.n_candidates, subject=subject)
    if why == "unmatched":
        return Reason("verdict.unmatched", subject=subject)
    n, undated = evidence.n_late, evidence.n_undated
    if 0 < undated < n:
        return Reason("verdict.untimely", n=n, late=n - undated, undated=undated, subject=subject)
    key = "undated" if undated else "late"
    if n == 1:
        return Reason(f"verdict.{key}_one", subject=_one(subject))
    return Reason(f"verdict.{key}", n=n, subject=subject)


def _why_nothing(evidence: Evidence) -> str:
    """Return a code for why no date entered."""
    if not evidence.n_candidates:
        return "no_candidates"
    if not evidence.n_drops:
        return "no_drops"
    if evidence.n_unmatched:
        return "unmatched"
    return "label_undated" if evidence.n_undated == evidence.n_late else "label_late"


def _ladder(evidence: Evidence, sd: float, mde: float) -> Reason:
    """Notice on what K dates can show, printed with every verdict."""
    k = len(evidence.excess)
    if k == 0:
        return Reason("ladder.none")
    if k == 1:
        m = evidence.n_placebos
        return Reason("ladder.one", rank=evidence.rank, among=m + 1, m=m)
    if k < FEWEST_DATES:
        return Reason("ladder.few")
    if k < 15:
        return Reason("ladder.low", ratio=mde / sd, mde=mde)
    return Reason("ladder.moderate" if k < 30 else "")


def _more_data(sd: float, evidence: Evidence) -> Reason:
    if evidence.n_unmatched and not len(evidence.excess):
        return Reason("more.unmatched", n=evidence.n_unmatched)
    one = len(evidence.excess) == 1
    between = evidence.spread.se if one else sd
    if not between > 0:
        return Reason("more.unknown")
    two, five, ten = (dates_needed(between, effect) for effect in (0.02, 0.05, 0.10))
    return Reason(f"more.{'placebos' if one else 'dates'}", sd=between, two=two, five=five, ten=ten)
