"""The verdict on the returns after the drops in question, and its power for such a list."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from eventstudy.config import Window
from eventstudy.core.arrays import Bools, Floats, Places
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
from eventstudy.reversal.controls import Comparison
from eventstudy.reversal.estimator import APART, FEWEST_WEEKS, SAME_FALL, Excess, Falls, estimates, slides, usable
from eventstudy.reversal.permutation import (
    NO_SPREAD,
    NO_TEST,
    PermutationTest,
    PlaceboSpread,
    equivalence_p,
    shown_floor,
)

REVERSAL, DRIFT, EQUIVALENT, INCONCLUSIVE = "reversal", "drift", "equivalent to none", "inconclusive"
#: Two round trips at 0.2 % a side; smaller effects do not cover the costs of a trade.
SMALLEST_MARGIN = 0.008
#: Two-sided level of a verdict.
LEVEL = 0.05
#: Effects for which the number of dates needed is given.
EFFECTS = {"two": 0.02, "five": 0.05, "ten": 0.10}
#: Numbers that a verdict takes over from the regression, by name.
OF_REGRESSION = tuple("effect se df p_value p_greater mde k_eff prior_sd n_controls n_clusters rank among".split())
#: Placements of pseudo-events: any drop, the first of each slide, or one from each whole slide (looks ahead).
PLACEMENTS = ("day", "first", "slide")
#: Number of lists that are drawn for a study.
DRAWS = 200
#: With more falls proportionally fewer lists are drawn, down to a minimum; 200 lists take about 15 seconds.
MOST_FALLS, FEWEST_DRAWS = 10_000, 40
#: Number of pairs of controls for ranking the events of two weeks in a drawn list.
PAIRS = 999
#: Cache of the power by its inputs, for repeated runs in one process.
_POWER: dict[str, dict[str, float]] = {}


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """One of four answers with its numbers; returns are decimals.

    ``effect`` is the mean excess over control drops by ``estimator``: the value of ``reversal.estimator``, or ``rank``
    for dates in one or two weeks. ``interval`` is its 95 % t interval, ``p_value`` two-sided, from the test ``p_name``,
    ``p_floor`` its smallest possible value, and ``p_greater`` the one-sided p towards a reversal. ``mde`` uses the
    standard error of the effect, or ``se_placebos`` (from the spread of the control drops) if there is none.
    ``needed`` are the numbers of dates at which each of `EFFECTS` would be found, by the same error and degrees of
    freedom. ``sd`` is the spread between the dates. ``sentence``, ``ladder`` (what this number of dates can show) and
    ``more_data`` (what more dates would show) are reasons. ``reason`` is the code of the reason if no date entered,
    else empty.
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
    """Input of a verdict: K dates that can be compared.

    Attributes
    ----------
    subject : Reason
        Name of the drops; its code with ``_one`` at the end names a single drop.
    excess, drop : (K,)
        Excess and CARs of the drops.
    regression
        The regression over all control drops; without it the verdict uses matched control drops.
    unbalanced
        Characteristics in which the drops differ from the controls after adjustment, see `controls.balance`.
    attainable : int
        Largest number of dates that the history can give, 0 if unknown.
    other_measures
        Mean excess with log returns, BHAR and so on; a reversal (drift) needs the same sign for all.
    n_events : int
        Number of firm-events in the K shocks; ``n_placebos`` is that of control dates; ``rank`` is the rank of a
        single shock among its matched control drops, the strongest rebound first.
    n_candidates, n_drops, n_late, n_undated, n_unmatched : int
        Shocks of this kind; those that were drops; drops left out because their label was not known in
        time; those of them whose label has no time; drops without a valid comparison.
    """

    subject: Reason
    window: Window
    excess: Floats
    drop: Floats
    regression: Excess | None = None
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
    """Return the verdict on the excess over control drops, by the estimator of the evidence."""
    x, k, found = evidence.excess, len(evidence.excess), evidence.regression
    sd = float(x.std(ddof=1)) if k > 1 else math.nan
    # Standard error of one date, and the degrees of freedom as a share of K - 1.
    between, df_share = found.per_date(k) if found else (evidence.spread.se if k == 1 else sd, 1.0)
    needed = _needed(between, df_share)
    shared = {
        "n_dates": k,
        "n_events": evidence.n_events,
        "n_effective": evidence.n_effective,
        "sd": sd,
        "margin": margin_for(evidence.drop),
        "reason": "" if k else _why_nothing(evidence),
        "attainable": evidence.attainable,
        "needed": needed,
        "more_data": _more_data(evidence, between, needed),
    }
    return _of_falls(evidence, found, shared) if found else _of_sets(evidence, shared, seed=seed, draws=draws)


def margin_for(drop: Floats) -> float:
    """Effects within ± this count as none: a quarter of the mean drop, or two round trips' cost if that is more."""
    return max(0.25 * abs(float(drop.mean())), SMALLEST_MARGIN) if len(drop) else float("nan")


def kind_of(found: Excess, margin: float) -> str:
    """Return which of the four verdicts follows from the regression, see `verdict`."""
    if found.se > 0 and found.p_value <= LEVEL:
        return REVERSAL if found.effect > 0 else DRIFT
    return EQUIVALENT if found.equivalence_p(margin) <= LEVEL else INCONCLUSIVE


def _of_falls(evidence: Evidence, found: Excess, shared: Mapping[str, Any]) -> Verdict:
    """Return the verdict by the regression over all control drops.

    Notes
    -----
    Reversal (drift): dates of at least three weeks, the two-sided p is at most 5 % and the effect is positive
    (negative). Equivalent to none: its 90 % interval lies within the margin (two one-sided tests, Schuirmann
    1987). Else inconclusive, with the smallest effect found with 80 % power. All use one standard error with its
    degrees of freedom. Dates in one or two weeks are ranked and always inconclusive.
    """
    k, margin, ranked = len(evidence.excess), shared["margin"], found.rank > 0
    kind = kind_of(found, margin)
    shrunk, p_costs = found.shrunken(SMALLEST_MARGIN)
    traits = Reason.join([Reason(f"trait.{name}") for name in evidence.unbalanced], ", ")
    unlike = Reason("ladder.unbalanced", traits=traits) if evidence.unbalanced else Reason()
    return Verdict(
        **shared,
        **{name: getattr(found, name) for name in OF_REGRESSION},
        kind=kind,
        sentence=_sentence_of_falls(evidence, found, kind, margin),
        interval=(found.lower, found.upper),
        p_name=found.test,
        p_floor=found.p_floor if ranked else math.nan,
        equivalence_p=found.equivalence_p(margin),
        se_placebos=found.spread,
        ladder=Reason.join([_ladder_of_falls(k, found), unlike], " "),
        estimator="rank" if ranked else "moderated" if found.moderated else "regression",
        shrunk=shrunk,
        p_costs=p_costs,
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
    """Return a note on what this number of dates can show."""
    if k == 0:
        return Reason("ladder.none")
    if not found.se > 0:
        return Reason("ladder.ranked_one" if k == 1 else "ladder.ranked", rank=found.rank, among=found.among, k=k)
    if found.n_weeks < FEWEST_DATES:
        return Reason("ladder.few_falls", k=k, df=found.df, mde=found.mde)
    if found.n_weeks < 15:
        return Reason("ladder.low_falls", mde=found.mde)
    return Reason("ladder.moderate" if k < 30 else "")


def _of_sets(evidence: Evidence, shared: Mapping[str, Any], *, seed: int, draws: int) -> Verdict:
    """Return the verdict by matched sets.

    Notes
    -----
    Reversal (drift): at least six dates, the 95 % t interval over dates lies above (below) zero, the
    matched permutation's two-sided p is at most 5 %, and simple, log and buy-and-hold returns agree
    in sign. Equivalent to none: at least six dates and the 90 % interval lies within the margin, the
    larger of a quarter of the mean drop and two round trips' cost (two one-sided tests, Schuirmann
    1987). Else inconclusive, with the smallest effect found with 80 % power: by a t test over the dates, or for one
    date from the spread of its control drops.
    """
    x, k, sd, margin = evidence.excess, len(evidence.excess), shared["sd"], shared["margin"]
    flip = sign_flip_p(x, sign_vectors(k, draws=draws, rng=np.random.default_rng(seed))) if k > 1 else math.nan
    test, spread = evidence.permutation, evidence.spread
    mde = minimum_detectable_effect(sd, k) if k != 1 else detectable(spread.se, spread.df)
    kind = _kind(evidence, margin)
    return Verdict(
        **shared,
        kind=kind,
        sentence=_sentence(evidence, kind, flip, mde, margin),
        effect=float(x.mean()) if k else math.nan,
        interval=t_interval(x),
        p_value=test.two_sided,
        p_name="matched_permutation",
        p_greater=test.greater,
        p_floor=test.floor,
        sign_flip_p=flip,
        equivalence_p=equivalence_p(x, margin) if k > 1 else math.nan,
        n_placebos=evidence.n_placebos,
        se_placebos=spread.se,
        mde=mde,
        ladder=_ladder(evidence, sd, mde),
        estimator="matched",
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
    """Return the name of a single drop of a kind."""
    return Reason(f"{subject.code}_one", **subject.fields)


def _nothing_to_test(evidence: Evidence) -> Reason:
    subject, why = evidence.subject, _why_nothing(evidence)
    if why == "no_candidates":
        return Reason("verdict.no_candidates", subject=subject)
    if why == "no_drops":
        return Reason("verdict.no_drops", n=evidence.n_candidates, subject=subject)
    if why == "unmatched":
        return Reason("verdict.uncompared" if evidence.regression else "verdict.unmatched", subject=subject)
    n, undated = evidence.n_late, evidence.n_undated
    if 0 < undated < n:
        return Reason("verdict.untimely", n=n, late=n - undated, undated=undated, subject=subject)
    key = "undated" if undated else "late"
    if n == 1:
        return Reason(f"verdict.{key}_one", subject=_one(subject))
    return Reason(f"verdict.{key}", n=n, subject=subject)


def _why_nothing(evidence: Evidence) -> str:
    """Return the code of the reason why no date entered."""
    if not evidence.n_candidates:
        return "no_candidates"
    if not evidence.n_drops:
        return "no_drops"
    if evidence.n_unmatched:
        return "unmatched"
    return "label_undated" if evidence.n_undated == evidence.n_late else "label_late"


def _ladder(evidence: Evidence, sd: float, mde: float) -> Reason:
    """Return a note on what K dates can show, printed with every verdict."""
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


def _needed(between: float, df_share: float) -> dict[str, int]:
    """Numbers of dates at which each of `EFFECTS` would be found, from the standard error ``between`` of one date."""
    if not between > 0:
        return {}
    return {name: dates_needed(between, effect, df_share=df_share) for name, effect in EFFECTS.items()}


def _more_data(evidence: Evidence, between: float, needed: Mapping[str, int]) -> Reason:
    """Return a note on the dates needed, from the standard error ``between`` of one date, and on the limits of the
    history."""
    k, regression = len(evidence.excess), evidence.regression
    if evidence.n_unmatched and not k:
        return Reason("more.no_controls" if regression else "more.unmatched", n=evidence.n_unmatched)
    if not needed:
        return Reason("more.unknown")
    by = "dates" if k > 1 and not (regression and regression.rank) else "controls" if regression else "placebos"
    # Rounded to two digits, since the spread is not known more precisely.
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


@dataclass(frozen=True, slots=True)
class Past:
    """All falls of one or several peer sets, without events.

    ``drop`` (N,) holds the CARs of the drop window, ``can`` (N,) marks the falls that are drops by the rule;
    ``moderated`` is that of `estimator.estimate` for the lists.
    """

    falls: Falls
    drop: Floats
    can: Bools
    moderated: bool = True

    def take(self, rows: Bools) -> Past:
        """Return the marked falls."""
        return replace(self, falls=self.falls.take(rows), drop=self.drop[rows], can=self.can[rows])


def past_of(own: Comparison, drop_k: float | Floats, drop_min: float | Floats) -> Past:
    """Return the controls of a study, and which of them are drops by size (the share of falling peers is not used).

    The limits are those of the settings, one for all falls or one for each, (N,).
    """
    can = (own.falls.drop_s <= -drop_k) & (own.drop <= -drop_min)
    return Past(own.falls, own.drop, can, own.moderated).take(own.shock < 0)


def asked_of(own: Comparison, counted: Bools) -> dict[str, int]:
    """Count the events among the marked shocks of a study, (K,), by stratum."""
    falls = own.of(counted)
    names, counts = np.unique(falls.stratum[falls.event & usable(falls)], return_counts=True)
    return dict(zip(names.tolist(), counts.tolist(), strict=True))


def draw_events(
    past: Past, wanted: Mapping[str, int] | int, rng: np.random.Generator, *, placement: str = "day"
) -> Places:
    """Draw a list of pseudo-events among the drops, rows of the falls in order of their sessions.

    Parameters
    ----------
    wanted
        Requested numbers of events in each stratum, or in all together; fewer if there are not enough drops. Of events
        of one family with overlapping post windows the first is kept, as in a study.
    """
    falls, family = past.falls, past.falls.families
    drawn: list[int] = []
    every = np.unique(falls.stratum).tolist()
    groups = [(every, wanted)] if isinstance(wanted, int) else [([name], count) for name, count in wanted.items()]
    for names, count in groups:
        own = np.concatenate([_placed(past, name, placement, rng) for name in names])
        drawn += rng.choice(own, min(count, len(own)), replace=False).tolist()
    kept: list[int] = []
    last: dict[str, int] = {}
    for row in sorted(drawn, key=lambda row: (falls.session[row], row)):
        if falls.session[row] - last.get(family[row], -APART) >= APART:
            kept.append(row)
            last[family[row]] = int(falls.session[row])
    return np.array(kept, dtype=np.intp)


def _placed(past: Past, name: str, placement: str, rng: np.random.Generator) -> Places:
    """Rows of a stratum's drops in order of their sessions, one from each slide unless any drop may be drawn."""
    own = np.flatnonzero(past.can & (past.falls.stratum == name))
    own = own[np.argsort(past.falls.session[own], kind="stable")]
    if placement == "day" or not len(own):
        return own
    slide = slides(past.falls.session[own])
    order = rng.permutation(len(own)) if placement == "slide" else np.arange(len(own))
    return own[order][np.unique(slide[order], return_index=True)[1]]


def as_list(falls: Falls, events: Places) -> Falls:
    """Return the falls with these rows as events, without controls near them."""
    event = np.zeros(len(falls), dtype=np.bool_)
    event[events] = True
    gap = _gaps(falls, events)
    near = ((gap >= -SAME_FALL) & (gap < APART)).any(axis=1)
    return replace(falls, event=event).take(event | ~near)


def shares(falls: Falls) -> Floats:
    """Common share of each fall's post window with that of an event, (N,): one for events, less for earlier
    controls."""
    gap = np.abs(_gaps(falls, np.flatnonzero(falls.event)))
    share: Floats = np.maximum(1.0 - gap / falls.length, 0.0).max(axis=1, initial=0.0)
    return share


def judged(past: Past, events: Places, effects: tuple[float, ...], *, seed: int) -> list[tuple[Excess, str]]:
    """Return estimate and verdict of one list, as for a study.

    Each effect is added to the events' post windows, spread evenly over the days.
    """
    listed, margin = as_list(past.falls, events), margin_for(past.drop[events])
    share = shares(listed)
    posts = [listed.post + effect * share for effect in effects]
    found = estimates(listed, posts, draws=PAIRS, seed=seed, moderated=past.moderated)
    return [(one, kind_of(one, margin)) for one in found]


def power(past: Past, wanted: Mapping[str, int], *, seed: int, draws: int = DRAWS) -> dict[str, float]:
    """Return for each true effect the share of lists like the study's in which the verdict is "reversal".

    Parameters
    ----------
    past
        Falls of the study's peers away from its events.
    wanted
        Numbers of dates in the study's verdict, by stratum. Without dates the result is empty; one or two dates never
        give a reversal.
    draws
        Number of lists; fewer with more than `MOST_FALLS` falls in the strata.
    """
    past = past.take(np.isin(past.falls.stratum, list(wanted)))
    if not sum(wanted.values()) or not past.can.any():
        return {}
    if sum(wanted.values()) < FEWEST_WEEKS:
        return {f"{effect:.2f}": 0.0 for effect in EFFECTS.values()}
    effects = tuple(EFFECTS.values())
    draws = min(draws, max(FEWEST_DRAWS, draws * MOST_FALLS // len(past.falls)))
    key = _digest(past, wanted, seed, draws)
    if key not in _POWER:
        rng = np.random.default_rng(seed)
        # One thread, because sums depend on the number of threads and small products do not need more.
        with threadpool_limits(1, "blas"):
            lists = [judged(past, draw_events(past, wanted, rng), effects, seed=seed) for _ in range(draws)]
        kinds = np.array([[kind == REVERSAL for _, kind in one] for one in lists])
        _POWER[key] = {f"{effect:.2f}": float(share) for effect, share in zip(effects, kinds.mean(axis=0), strict=True)}
    return dict(_POWER[key])


def _digest(past: Past, wanted: Mapping[str, int], seed: int, draws: int) -> str:
    arrays = [getattr(past.falls, name) for name in Falls.__slots__ if name != "length"]
    parts = [np.ascontiguousarray(values).tobytes() for values in (*arrays, past.drop, past.can)]
    settings = repr((past.falls.length, past.moderated, sorted(wanted.items()), seed, draws)).encode()
    return hashlib.sha256(b"|".join([*parts, settings])).hexdigest()


def _gaps(falls: Falls, events: Places) -> Floats:
    """Sessions from each event to each fall of its family, infinite for other falls, (N, K)."""
    gap = (falls.session[:, None] - falls.session[events]).astype(np.float64)
    family = falls.families
    return np.where(family[:, None] == family[events], gap, np.inf)
