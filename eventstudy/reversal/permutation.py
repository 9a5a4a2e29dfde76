"""Inference on the excess over matched control drops: dates, permutation within sets, equivalence."""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import special

from eventstudy.core.arrays import Days, Floats, Texts

#: Up to this number of ways to choose one member of every set, all are enumerated.
ENUMERATED = 100_000


@dataclass(frozen=True, slots=True)
class PermutationTest:
    """p-values of the matched permutation; ``exact`` if all ``draws`` ways were enumerated.

    ``two_sided`` is the share of ways with |T*| >= |T|, T the mean excess, and ``floor`` its smallest possible value
    with these sets. ``greater`` is one-sided towards a reversal, ``less`` towards drift.
    """

    greater: float
    less: float
    two_sided: float
    floor: float
    draws: int
    exact: bool


_NAN = float("nan")
NO_TEST = PermutationTest(greater=_NAN, less=_NAN, two_sided=_NAN, floor=_NAN, draws=0, exact=False)


def date_means(day0: Days, values: Floats) -> Floats:
    """Mean over the shocks of each date, in order of the dates.

    Parameters
    ----------
    day0 : (K,)
        Day 0 of the shocks.
    values : (K,) or (K, ...)

    Returns
    -------
    (D,) or (D, ...) array
    """
    days, date = np.unique(day0, return_inverse=True)
    if len(days) == len(day0):
        return values[np.argsort(day0, kind="stable")]
    return np.array([values[date == d].mean(axis=0) for d in range(len(days))])


def date_sets(day0: Days, events: Floats, placebos: Sequence[Floats]) -> tuple[Floats, list[Floats]]:
    """CARs of each date and of its control drops, from those of K shocks.

    Notes
    -----
    Shocks of one date move together, so the date is one observation: the mean of their CARs, compared with the control
    drops of all of them. Each set is shifted to the mean of the sets' means, so that the date's excess is the mean of
    its shocks' excesses. A single portfolio varies more than the mean of several, so the test is conservative.
    """
    days, date = np.unique(day0, return_inverse=True)
    sets = []
    for d in range(len(days)):
        own = [placebos[int(k)] for k in np.flatnonzero(date == d)]
        if len(own) > 1:
            level = [float(np.nanmean(values)) for values in own]
            own = [values - at + float(np.mean(level)) for values, at in zip(own, level, strict=True)]
        sets.append(np.concatenate(own))
    return date_means(day0, events), sets


def date_names(day0: Days, names: Texts) -> list[str]:
    """Names of the shocks of each date side by side, in order of the dates."""
    return [", ".join(names[day0 == day].tolist()) for day in np.unique(day0)]


def excess(events: Floats, placebos: Sequence[Floats]) -> Floats:
    """X_k = CAR_k minus the mean CAR of its control drops, (K,); NaN for a set without control drops."""
    return np.array(
        [value - others.mean() if len(others) else float("nan") for value, others in zip(events, placebos, strict=True)]
    )


def matched_permutation(events: Floats, placebos: Sequence[Floats], *, draws: int, seed: int) -> PermutationTest:
    """Test mean(X_k) by permuting which member of each matched set is the event.

    Parameters
    ----------
    events : (K,)
        Post-drop CARs of the shocks.
    placebos
        K non-empty arrays with the CARs of their control drops.

    Notes
    -----
    With member j of set k in the event's place the excess is (v_kj - mean_k)(M_k + 1)/M_k. Exact
    under exchangeability within sets (Fisher 1935; Rosenbaum 2002, ch. 2). All ways are enumerated
    up to 100,000: the two-sided p is #{|T*| >= |T|} / ways, the observed one among them. Else it is
    (1 + #{|T*| >= |T|}) / (1 + draws) over random ways (Phipson and Smyth 2010).
    """
    if not len(events):
        return NO_TEST
    sets = [_as_event(np.append(value, others)) for value, others in zip(events, placebos, strict=True)]
    observed = sum(float(members[0]) for members in sets)
    ways = float(np.prod([float(len(members)) for members in sets]))
    exact = ways <= ENUMERATED
    if exact:
        sums = functools.reduce(lambda some, members: np.add.outer(some, members).ravel(), sets)
    else:
        rng = np.random.default_rng(seed)
        sums = np.sum([members[rng.integers(0, len(members), size=draws)] for members in sets], axis=0)
    slack = 1e-12 * max(float(np.abs(sums).max()), abs(observed), 1e-300)
    size = np.abs(sums)
    hits = [sums >= observed - slack, sums <= observed + slack, size >= abs(observed) - slack]
    count, own = (len(sums), 0) if exact else (len(sums) + 1, 1)
    greater, less, both = ((int(hit.sum()) + own) / count for hit in hits)
    floor = int((size >= float(size.max()) - slack).sum()) / count if exact else 1.0 / count
    return PermutationTest(greater=greater, less=less, two_sided=both, floor=floor, draws=len(sums), exact=exact)


def sets_test(
    day0: Days, events: Floats, placebos: Sequence[Floats], *, draws: int, seed: int
) -> tuple[Floats, PermutationTest]:
    """Excess of each date over its control drops, (D,), and the test of its mean, without shocks with missing
    numbers."""
    rows = [k for k, others in enumerate(placebos) if np.isfinite(events[k]) and len(others)]
    own, sets = date_sets(day0[rows], events[rows], [placebos[k] for k in rows])
    return excess(own, sets), matched_permutation(own, sets, draws=draws, seed=seed)


def shown_floor(floor: float) -> float:
    """Round the smallest possible p down to two significant digits, so that no p below the shown value is possible."""
    if not floor > 0:
        return floor
    digit = 10.0 ** (math.floor(math.log10(floor)) - 1)
    # Rounded first, because 0.05 / 0.001 is not exactly 50.
    return math.floor(floor / digit * (1 + 1e-12)) * digit


@dataclass(frozen=True, slots=True)
class Rank:
    """Rank of a shock's post-drop CAR among itself and its M matched control drops.

    ``rank`` counts from 1, the largest CAR; control drops that tie with the shock rank before it. ``among`` is
    M + 1. ``p_value`` is two-sided, that of `matched_permutation` for this one set, with its ``floor``.
    """

    rank: int
    among: int
    p_value: float
    floor: float


def rank_among(value: float, placebos: Floats) -> Rank | None:
    """Return the rank of a CAR among its matched control drops; None if there are none."""
    if not len(placebos) or not np.isfinite(value):
        return None
    test = matched_permutation(np.array([value]), [placebos], draws=0, seed=0)
    return Rank(int((placebos >= value).sum()) + 1, len(placebos) + 1, test.two_sided, test.floor)


def _as_event(values: Floats) -> Floats:
    """Excess of each member of a set over the mean of the others."""
    m = len(values) - 1
    over: Floats = (values - values.mean()) * (m + 1) / m
    return over


@dataclass(frozen=True, slots=True)
class PlaceboSpread:
    """Spread within matched sets.

    ``sd`` is the pooled standard deviation within the sets with ``df`` degrees of freedom, ``se`` the resulting
    standard error of the mean excess; NaN with fewer than two control drops.
    """

    sd: float
    df: int
    se: float


NO_SPREAD = PlaceboSpread(_NAN, 0, _NAN)


def placebo_spread(placebos: Sequence[Floats]) -> PlaceboSpread:
    """Return the spread of K sets of control drops.

    Notes
    -----
    s^2 = sum_k sum_j (v_kj - mean_k)^2 / sum_k (M_k - 1). An event that does not differ from its control drops has X_k
    = v_k - mean_k with variance s^2 (1 + 1/M_k).
    """
    k, df = len(placebos), sum(len(values) - 1 for values in placebos)
    if not k or df < 1:
        return PlaceboSpread(float("nan"), max(df, 0), float("nan"))
    square = sum(float(((values - values.mean()) ** 2).sum()) for values in placebos)
    sd = float(np.sqrt(square / df))
    return PlaceboSpread(sd, df, sd * float(np.sqrt(sum(1 + 1 / len(values) for values in placebos))) / k)


def difference_p(treated: Floats, others: Floats, *, draws: int, seed: int) -> tuple[float, float, float]:
    """Difference of two groups' means with its two-sided permutation p and the smallest possible p.

    The p is the share of choices of the treated dates with an absolute difference at least as large. Up to 100,000
    choices are enumerated, else ``draws`` random ones are used with the +1 rule. The floor is the share of choices
    with the largest difference; if the groups have the same size, each choice has a mirror image.
    """
    values = np.concatenate([treated, others])
    g1, g = len(treated), len(treated) + len(others)
    if not g1 or g1 == g:
        return float("nan"), float("nan"), float("nan")
    observed = float(treated.mean() - others.mean())
    ways = special.comb(g, g1)
    total = values.sum()
    if ways <= ENUMERATED:
        chosen = _subset_sums(values, g1)
        observed_included = 0
    else:
        rng = np.random.default_rng(seed)
        order = rng.permuted(np.tile(values, (draws, 1)), axis=1)
        chosen, observed_included = order[:, :g1].sum(axis=1), 1
    gaps = np.abs(chosen / g1 - (total - chosen) / (g - g1))
    hits = int((gaps >= abs(observed) * (1 - 1e-12)).sum()) + observed_included
    count = len(gaps) + observed_included
    most = 1 if observed_included else int((gaps >= float(gaps.max()) * (1 - 1e-12)).sum())
    return observed, hits / count, most / count


def _subset_sums(values: Floats, size: int) -> Floats:
    """Sums of all subsets of a size, by adding one value at a time."""
    sums = [np.zeros(1), *(np.zeros(0) for _ in range(size))]
    for value in values:
        for k in range(size, 0, -1):
            sums[k] = np.concatenate([sums[k], sums[k - 1] + value])
    return sums[size]


def equivalence_p(values: Floats, margin: float) -> float:
    """Larger p of the two one-sided t tests against ±margin (Schuirmann 1987)."""
    k = len(values)
    se = values.std(ddof=1) / np.sqrt(k) if k > 1 else 0.0
    if not se > 0:
        return float("nan")
    worst = min((values.mean() + margin) / se, (margin - values.mean()) / se)
    return float(special.stdtr(k - 1, -worst))


def leave_one_out(values: Floats) -> Floats:
    """Mean without each date in turn, (K,); NaN for one date."""
    k = len(values)
    if k < 2:
        return np.full(k, np.nan)
    means: Floats = (values.sum() - values) / (k - 1)
    return means
