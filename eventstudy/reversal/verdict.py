"""One of four verdicts on what followed the drops in question, against comparable falls."""

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
from eventstudy.reversal.estimator import Excess
from eventstudy.reversal.permutation import (
    NO_SPREAD,
    NO_TEST,
    PermutationTest,
    PlaceboSpread,
    equivalence_p,
    shown_floor,
)

REVERSAL, DRIFT, EQUIVALENT, INCONCLUSIVE = "reversal", "drift", "equivalent to none", "inconclusive"
#: Two round trips at 0.2 % a side: a smaller move is worth nothing to anybody.
SMALLEST_MARGIN = 0.008
#: Two-sided level of a verdict.
LEVEL = 0.05
#: Effects that the dates needed are told for.
EFFECTS = {"two": 0.02, "five": 0.05, "ten": 0.10}


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """One of four answers with what it rests on; numbers are decimal returns.

    ``effect`` is the mean excess over comparable falls by ``estimator``: the regression over all of them, the
    rank among them for one or two dates, or matched placebo sets. ``interval`` is its 95 % t interval,
    ``p_value`` two-sided, by the test that ``p_name`` names, ``p_floor`` the smallest that this p can be, and
    ``p_greater`` the one-sided p towards a reversal. ``mde`` rests on the standard error of the effect; where
    there is none on ``se_placebos``, the one that the spread of the controls or placebos gives it. ``needed`` are
    the dates by which each of `EFFECTS` would be found, by that error and its degrees of freedom. ``sd`` is the
    spread between the dates. ``sentence``, ``ladder`` (what so many dates can show) and ``more_data`` (what more
    of them would) are reasons without words, ``reason`` a code for why no date entered, empty where one did.
    """

    kind: str
    sentence: Reason
    effect: float
    interval: tuple[float, float]
    p_value: float
    p_name: str
    p_greater: float
    p_floor: float
    sign_flip_p: float = math.nan
    equivalence_p: float = math.nan
    n_dates: int
    n_events: int
    n_effective: float
    n_placebos: int = 0
    sd: float
    se_placebos: float
    mde: float
    margin: float
    needed: Mapping[str, int]
    ladder: Reason
    more_data: Reason
    reason: str = ""
    estimator: str
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
    """What a verdict rests on: K dates that can be compared.

    Attributes
    ----------
    subject : Reason
        What the drops are called; its code with ``_one`` at the end names a single one of them.
    excess, drop : (K,)
        Excess and CARs of the drops.
    falls
        The regression over all comparable falls; without it the verdict rests on matched placebo drops.
    unbalanced
        Traits in which the drops differ from the controls even after adjustment, see `weights.balance`.
    attainable : int
        Most dates that the history can give, 0 where unknown.
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
    falls: Excess | None = None
    unbalanced: tuple[str, ...] = ()
    attainable: int = 0
    permutation: PermutationTest = NO_TEST
    spread: PlaceboSpread = NO_SPREAD
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
    """Say what the excess over comparable falls allows, by the estimator that the evidence has."""
    return _of_sets(evidence, seed=seed, draws=draws) if evidence.falls is None else _of_falls(evidence, evidence.falls)


def smallest_margin(drop: Floats) -> float:
    """Effects within ± this count as none: a quarter of the mean drop, or two round trips' cost if that is more."""
    return max(0.25 * abs(float(drop.mean())), SMALLEST_MARGIN) if len(drop) else float("nan")


def kind_of(found: Excess, margin: float) -> str:
    """Return which of the four verdicts the regression over all comparable falls allows, see `verdict`."""
    if found.se > 0 and found.p_value <= LEVEL:
        return REVERSAL if found.effect > 0 else DRIFT
    return EQUIVALENT if found.equivalence_p(margin) <= LEVEL else INCONCLUSIVE


def _of_falls(evidence: Evidence, found: Excess) -> Verdict:
    """Answer by the regression over all comparable falls.

    Notes
    -----
    Reversal (drift): dates of at least three weeks, the two-sided p is at most 5 % and the effect is positive
    (negative). Equivalent to none: its 90 % interval lies within the margin (two one-sided tests, Schuirmann
    1987). Else inconclusive, with the smallest effect that 80 % power would have found; all from one standard
    error with its degrees of freedom. Dates of one or two weeks are ranked, and never more than inconclusive.
    """
    x, k = evidence.excess, len(evidence.excess)
    margin = smallest_margin(evidence.drop)
    ranked = found.rank > 0
    equivalence = found.equivalence_p(margin)
    kind = kind_of(found, margin)
    sd = float(x.std(ddof=1)) if k > 1 else float("nan")
    shrunk, p_costs = found.shrunken(SMALLEST_MARGIN)
    between, df_share = found.per_date(k)
    needed = _needed(between, df_share)
    return Verdict(
        kind=kind,
        sentence=_sentence_of_falls(evidence, found, kind, margin),
        effect=found.effect,
        interval=(found.lower, found.upper),
        p_value=found.p_value,
        p_name=found.test,
        p_greater=found.p_greater,
        p_floor=found.p_floor if ranked else math.nan,
        equivalence_p=equivalence,
        n_dates=k,
        n_events=evidence.n_events,
        n_effective=evidence.n_effective,
        sd=sd,
        se_placebos=found.spread,
        mde=found.mde,
        margin=margin,
        needed=needed,
        ladder=Reason.join([_ladder_of_falls(k, found), _unlike(evidence.unbalanced)], " "),
        more_data=_more_data(evidence, between, needed),
        reason="" if k else _why_nothing(evidence),
        estimator="rank" if ranked else "regression",
        se=found.se,
        df=found.df,
        k_eff=found.k_eff,
        n_controls=found.n_controls,
        n_clusters=found.n_clusters,
        rank=found.rank,
        among=found.among,
        attainable=evidence.attainable,
        shrunk=shrunk,
        p_costs=p_costs,
        prior_sd=found.prior_sd,
    )


def _sentence_of_falls(evidence: Evidence, found: Excess, kind: str, margin: float) -> Reason:
    k, (first, last) = len(evidence.excess), evidence.window
    if k == 0:
        return _nothing_to_test(evidence)
    side = "above" if found.effect >= 0 else "below"
    facts = {"first": first, "last": last, "size": abs(found.effect), "p": found.p_value, "n": evidence.n_events}
    facts |= {"k": k, "k_eff": found.k_eff, "controls": found.n_controls, "mde": found.mde}
    if not found.se > 0:
        subject = _one(evidence.subject) if k == 1 else evidence.subject
        code = f"verdict.ranked_{side}{'_one' if k == 1 else ''}"
        floor = shown_floor(found.p_floor)
        return Reason(code, subject=subject, rank=found.rank, among=found.among, floor=floor, **facts)
    return Reason(
        f"verdict.falls_{kind.replace(' ', '_')}",
        subject=evidence.subject,
        effect=found.effect,
        low=found.lower,
        high=found.upper,
        margin=margin,
        **facts,
    )


def _ladder_of_falls(k: int, found: Excess) -> Reason:
    """Notice on what dates of so many weeks can show."""
    if k == 0:
        return Reason("ladder.none")
    if not found.se > 0:
        return Reason("ladder.ranked_one" if k == 1 else "ladder.ranked", rank=found.rank, among=found.among, k=k)
    if found.n_weeks < FEWEST_DATES:
        return Reason("ladder.few_falls", k=k, df=found.df, mde=found.mde)
    if found.n_weeks < 15:
        return Reason("ladder.low_falls", mde=found.mde)
    return Reason("ladder.moderate" if k < 30 else "")


def _unlike(traits: tuple[str, ...]) -> Reason:
    """Name the traits in which drops and controls differ."""
    if not traits:
        return Reason()
    return Reason("ladder.unbalanced", traits=Reason.join([Reason(f"trait.{name}") for name in traits], ", "))


def _of_sets(evidence: Evidence, *, seed: int, draws: int) -> Verdict:
    """Answer by matched placebo sets.

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
    margin = smallest_margin(evidence.drop)
    spread = evidence.spread
    mde = minimum_detectable_effect(sd, k) if k != 1 else detectable(spread.se, spread.df)
    kind = _kind(evidence, margin)
    test = evidence.permutation
    between = spread.se if k == 1 else sd
    needed = _needed(between)
    return Verdict(
        kind=kind,
        sentence=_sentence(evidence, kind, flip, mde, margin),
        effect=effect,
        interval=t_interval(x),
        p_value=test.two_sided,
        p_name="matched_permutation",
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
        needed=needed,
        ladder=_ladder(evidence, sd, mde),
        more_data=_more_data(evidence, between, needed),
        reason="" if k else _why_nothing(evidence),
        estimator="matched",
        attainable=evidence.attainable,
    )


def _kind(evidence: Evidence, margin: float) -> str:
    x = evidence.excess
    if len(x) < FEWEST_DATES or not np.isfinite(student(x)):
        return INCONCLUSIVE
    low, high = t_interval(x)
    side = 1 if low > 0 else -1 if high < 0 else 0
    agreed = all(side * value > 0 for value in evidence.other_measures)
    if side and evidence.permutation.two_sided <= LEVEL and agreed:
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
        return Reason("verdict.uncompared" if evidence.falls else "verdict.unmatched", subject=subject)
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


def _needed(between: float, df_share: float = 1.0) -> dict[str, int]:
    """Dates by which each of `EFFECTS` would be found, from the standard error ``between`` of one of them."""
    if not between > 0:
        return {}
    return {name: dates_needed(between, effect, df_share=df_share) for name, effect in EFFECTS.items()}


def _more_data(evidence: Evidence, between: float, needed: Mapping[str, int]) -> Reason:
    """Dates needed by the standard error ``between`` of one date, and which of them the history cannot give."""
    k, falls = len(evidence.excess), evidence.falls
    if evidence.n_unmatched and not k:
        return Reason("more.no_controls" if falls else "more.unmatched", n=evidence.n_unmatched)
    if not needed:
        return Reason("more.unknown")
    by = "dates" if k > 1 and not (falls and falls.rank) else "controls" if falls else "placebos"
    # Two digits: the spread is not known better.
    about = {name: int(float(f"{dates:.2g}")) for name, dates in needed.items()}
    told = Reason(f"more.{by}", sd=between, **about)
    most = evidence.attainable
    beyond = [effect for name, effect in EFFECTS.items() if needed[name] > most]
    if not most or not beyond:
        return told
    limit = Reason(
        f"more.{'all' if len(beyond) == len(EFFECTS) else 'some'}_unattainable", most=most, effect=max(beyond)
    )
    return Reason.join([told, limit], " ")
