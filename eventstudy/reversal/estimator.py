"""Excess return after the drops in question, from one regression over all control drops."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray
from scipy import special

from eventstudy.core.checks.regression import LastCoefficient, last_coefficient
from eventstudy.core.statistics.dates import detectable
from eventstudy.errors import Reason

#: Smallest fall of a control in the drop window, in standard errors and as a decimal.
CONTROL_S, CONTROL_DROP = -1.2, -0.015
#: Smallest number of sessions from an event to a later control, and between falls of different slides.
APART = 21
#: A fall this number of sessions before an event counts as the same fall.
SAME_FALL = 1
#: Outcomes are winsorised at this number of robust standard deviations from the controls' median.
WINSOR = 2.0
#: Normal consistency of the median absolute deviation.
ROBUST = 1.4826
#: Limits at which the characteristics are clipped.
DEEPEST_S, LARGEST_RUN_UP = -5.0, 0.6
#: Prior standard deviation of the slope of the depth (prior mean 0): standardised outcomes for one standard error.
SLOPE_SD = 0.1
#: Number of weeks for which the spread of single controls counts in the events' part of the variance.
SPREAD_WEEKS = 2
#: With fewer weeks the spread over clusters is too uncertain, and the rank among controls is used.
FEWEST_WEEKS = 3
#: Sessions of a calendar week.
SESSIONS_A_WEEK = 5
NAN = float("nan")
#: Smallest number of controls for estimating the level of a stratum.
FEWEST_CONTROLS = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Falls:
    """Drops in question and control falls of one or several strata; arrays of shape (N,).

    Attributes
    ----------
    event : bool
        The drops in question; the others are controls.
    stratum : str
        Peer set, whose falls have a common level: a sector, or a company that is its own peer.
    session : int
        Index of day 0 in the sessions of its stratum.
    week : int
        Calendar week of day 0: events of one week are one cluster, in all strata.
    drop_s, run_up : float
        Standardised CAR of the drop window, and return over the 60 sessions before it.
    post : float
        CAR of the post window of ``length`` days.
    sigma, recent : float
        Daily residual standard deviation of the estimation window, and the EWMA (0.94) of daily abnormal
        returns at the close of the drop window.
    family : str
        Strata with common peers, whose slides are common; empty if each stratum is its own family.
        ``session`` counts the same sessions in all strata of a family.
    """

    event: NDArray[np.bool_]
    stratum: NDArray[np.str_]
    session: NDArray[np.int64]
    week: NDArray[np.int64]
    drop_s: NDArray[np.float64]
    run_up: NDArray[np.float64]
    post: NDArray[np.float64]
    sigma: NDArray[np.float64]
    recent: NDArray[np.float64]
    length: int
    family: NDArray[np.str_] = field(default_factory=lambda: np.zeros(0, dtype=np.str_))

    def __len__(self) -> int:
        return len(self.event)

    @property
    def families(self) -> NDArray[np.str_]:
        """Family of each fall, (N,)."""
        return self.family if len(self.family) else self.stratum

    def scale(self) -> NDArray[np.float64]:
        """Standard deviation used to standardise the post window's CAR, (N,)."""
        scale: NDArray[np.float64] = (self.sigma + self.recent) / 2.0 * np.sqrt(self.length)
        return scale

    def take(self, rows: NDArray[np.bool_] | NDArray[np.intp]) -> Falls:
        """Return the falls at ``rows``, positions or a mask."""
        arrays = {name: getattr(self, name)[rows] for name in self.__slots__ if name not in ("length", "family")}
        family = self.family[rows] if len(self.family) else self.family
        return Falls(**arrays, length=self.length, family=family)


@dataclass(frozen=True, slots=True, kw_only=True)
class Excess:
    """Mean excess of the drops in question, in units of return; NaN with a ``reason`` if not available.

    Attributes
    ----------
    effect, se, df, lower, upper, p_value, p_greater
        Coefficient, standard error, degrees of freedom, 95 % interval, two-sided p and one-sided p towards a reversal.
        Below `FEWEST_WEEKS` the p-values are those of the rank, and there is no standard error and no interval.
    own : (K,)
        Excess of each drop over the prediction from the controls, in the order of the events.
    entered : (M,)
        Which of the given events are the K used ones; the others lack controls or a number.
    n_events, n_weeks, n_controls, n_clusters
        Numbers of drops in question, their weeks, controls, and clusters of the standard error.
    k_eff
        Number of weeks without overlap that carry the same information.
    spread
        Standard error of the mean of one or two events, from leave-one-out excesses of controls.
    prior_sd
        Standard deviation of a single control's excess.
    rank, among
        Rank of the mean standardised excess by size, 1 the largest, and the number ranked; 0 if it is not ranked.
    p_floor
        Smallest possible p-value of the rank; 0 for the regression.
    moderated
        Whether the regression is moderated, see `estimate`.
    """

    effect: float = NAN
    se: float = NAN
    df: float = NAN
    lower: float = NAN
    upper: float = NAN
    p_value: float = NAN
    p_greater: float = NAN
    own: NDArray[np.float64]
    entered: NDArray[np.bool_]
    n_events: int = 0
    n_weeks: int = 0
    n_controls: int = 0
    n_clusters: int = 0
    k_eff: float = NAN
    spread: float = NAN
    prior_sd: float = NAN
    rank: int = 0
    among: int = 0
    p_floor: float = 0.0
    moderated: bool = True
    reason: Reason = field(default_factory=Reason)

    @property
    def test(self) -> str:
        """Name of the test of the p-values."""
        return "rank_among_controls" if self.rank else "regression_t"

    @property
    def mde(self) -> float:
        """Smallest effect that is found with 80 % power at the two-sided 5 % level."""
        if self.rank:
            return detectable(self.spread, self.n_controls - 1.0)
        return detectable(self.se, self.df)

    def per_date(self, k: int) -> tuple[float, float]:
        """Standard error of the excess of one of k dates, and the degrees of freedom divided by k - 1."""
        if self.rank:
            return self.spread * float(np.sqrt(k)), 1.0
        return self.se * float(np.sqrt(k)), self.df / max(k - 1, 1)

    @property
    def statistic(self) -> float:
        """Effect over its standard error."""
        return self.effect / self.se if self.se > 0 else NAN

    def equivalence_p(self, margin: float) -> float:
        """P-value of two one-sided tests (Schuirmann 1987) that the effect lies within ±``margin``."""
        if not self.se > 0:
            return NAN
        nearer = (margin - abs(self.effect)) / self.se
        return float(special.stdtr(self.df, -nearer))

    def shrunken(self, costs: float) -> tuple[float, float]:
        """Posterior mean of the true effect, and the probability that it exceeds ``costs``.

        Normal prior with mean 0 and standard deviation `prior_sd`, normal likelihood with `se` (Efron and Morris
        1973). NaN without a standard error.
        """
        if not (self.se > 0 and self.prior_sd > 0):
            return NAN, NAN
        weight = self.prior_sd**2 / (self.prior_sd**2 + self.se**2)
        return weight * self.effect, float(special.ndtr((weight * self.effect - costs) / (np.sqrt(weight) * self.se)))


def is_control(drop_s: NDArray[np.float64], drop: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Which days fell far enough to be compared with drops, (N,)."""
    fell: NDArray[np.bool_] = (drop_s <= CONTROL_S) & (drop <= CONTROL_DROP)
    return fell


def ruled_out(session: NDArray[np.int64], events: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Which sessions cannot be controls: from one before an event to twenty after it, (N,).

    Earlier falls are kept although an event lies in their post windows. Without them only controls that no drop in
    question followed would be left, and these have better returns than usual.
    """
    gap = session[:, None] - events
    return np.asarray(((gap >= -SAME_FALL) & (gap < APART)).any(axis=1))


def slides(session: NDArray[np.int64]) -> NDArray[np.int64]:
    """Number each fall's slide, a chain of falls less than `APART` sessions apart; sessions ascend, (N,)."""
    return np.cumsum(np.diff(session, prepend=session[:1]) >= APART)


def clusters(falls: Falls) -> NDArray[np.int64]:
    """Cluster of each fall, (N,): the slide of a control, the calendar week of an event."""
    found = np.zeros(len(falls), dtype=np.int64)
    last = 0
    for name in np.unique(falls.families):
        rows = np.flatnonzero((falls.families == name) & ~falls.event)
        rows = rows[np.argsort(falls.session[rows], kind="stable")]
        if len(rows):
            found[rows] = slides(falls.session[rows]) + last
            last = int(found[rows].max()) + 1
    found[falls.event] = last + np.unique(falls.week[falls.event], return_inverse=True)[1]
    return found


def estimate(
    falls: Falls, *, level: float = 0.05, draws: int = 9_999, seed: int = 20260624, moderated: bool = True
) -> Excess:
    """Estimate the mean excess of the drops in question over control drops.

    Parameters
    ----------
    falls
        Events, and as controls every fall of their strata that is not near an event, see `ruled_out`.
    level
        One minus the coverage of the interval.
    draws, seed
        For drawing the pairs of controls with which events of two weeks are ranked.
    moderated
        Shrink the slope of the depth towards zero, and use the controls' spread in the standard error.

    Notes
    -----
    With z_i = CAR_post,i / (m_i sqrt(L)), winsorised at `WINSOR` robust standard deviations of the
    controls, m_i the mean of the two daily standard deviations,

        z_i = a_stratum + b1 max(S_i, -5) + b2 clip(run-up_i, ±0.6) + delta event_i / (m_i sqrt(L)) + u_i,

    so that delta is a return. All events use all controls with equal weights. The variance is CR2 over
    slides of controls and weeks of events, with the smaller of Bell and McCaffrey's (2002) degrees of
    freedom and K - 1, K the weeks. Events of one or two weeks have no spread of their own: their mean
    standardised excess is ranked by size among the excesses of controls whose slides are left out of the fit,
    for two weeks among those of pairs of controls of different slides, two-sided.

    Moderated: a further row with outcome 0 and 1/`SLOPE_SD` instead of the depth expresses the prior that b1 is 0 ±
    `SLOPE_SD` (an outcome's standard deviation is about one). Events are deeper than most controls, so an error of a
    free slope affects all events. The events' part V of the variance is replaced by (d V0 + (K - 1) V) / (d + K - 1)
    with d = `SPREAD_WEEKS`. V0 is its expectation if an event's outcome varies like that of a single control and
    events of one week move together. The degrees of freedom increase by d (Smyth 2004, with fixed d).

    docs/size-and-power.md describes the alternatives that were tried in simulations.
    """
    return estimates(falls, [falls.post], level=level, draws=draws, seed=seed, moderated=moderated)[0]


def estimates(
    falls: Falls,
    posts: Sequence[NDArray[np.float64]],
    *,
    level: float = 0.05,
    draws: int = 9_999,
    seed: int = 20260624,
    moderated: bool = True,
) -> list[Excess]:
    """Estimate as `estimate` for several arrays of post-window CARs, (N,), of the same falls."""
    comparable = usable(falls)
    entered, falls = comparable[falls.event], falls.take(comparable)
    if not falls.event.any():
        reason = Reason("excess.no_controls", fewest=FEWEST_CONTROLS)
        return [Excess(own=np.zeros(0), entered=entered, moderated=moderated, reason=reason)] * len(posts)
    given = [replace(falls, post=post[comparable]) for post in posts]
    z, traits = np.column_stack([outcome(each) for each in given]), traits_of(falls)
    slope = slope_row(falls, traits) * moderated
    left, free = _excess(falls, z, traits, slope), max(int((~falls.event).sum()) - traits.shape[1], 1)
    scaled = left * falls.scale()[:, None]
    own, prior_sd = scaled[falls.event], np.sqrt((scaled[~falls.event] ** 2).sum(axis=0) / free)
    weeks = np.unique(falls.week[falls.event])
    if len(weeks) < FEWEST_WEEKS:
        ranked = functools.partial(_ranked, traits=traits, slope=slope, entered=entered, draws=draws, seed=seed)
        parts = zip(given, z.T, own.T, prior_sd.tolist(), strict=True)
        return [replace(ranked(each, of, excess), prior_sd=sd) for each, of, excess, sd in parts]
    x = np.vstack([np.column_stack([traits, falls.event / falls.scale()]), np.append(slope, 0.0)])
    fit = last_coefficient(np.vstack([z, np.zeros(z.shape[1])]), x, np.append(clusters(falls), -1))
    usual, weight = (left[~falls.event] ** 2).sum(axis=0) / free, SPREAD_WEEKS * moderated
    errors, df = np.sqrt(_variance(falls, fit, usual, weight)), max(min(fit.df, len(weeks) - 1.0), 1.0) + weight
    quantile = float(special.stdtrit(df, 1 - level / 2))
    excess_of = functools.partial(
        Excess,
        df=df,
        entered=entered,
        n_events=int(falls.event.sum()),
        n_weeks=len(weeks),
        n_controls=_distinct(falls),
        n_clusters=len(fit.expected) - 1,
        k_eff=_worth(weeks, falls.length),
        moderated=moderated,
    )
    return [
        excess_of(
            effect=effect,
            se=se,
            lower=effect - quantile * se,
            upper=effect + quantile * se,
            p_value=float(2 * special.stdtr(df, -abs(effect / se))),
            p_greater=float(special.stdtr(df, -effect / se)),
            own=excess,
            prior_sd=sd,
        )
        for effect, se, excess, sd in zip(fit.value.tolist(), errors.tolist(), own.T, prior_sd.tolist(), strict=True)
    ]


def _variance(falls: Falls, fit: LastCoefficient, usual: NDArray[np.float64], weight: int) -> NDArray[np.float64]:
    """Variance of the mean excess, (m,), given that of single controls, which counts for ``weight`` weeks."""
    events = np.bincount(np.unique(falls.week[falls.event], return_inverse=True)[1])
    # Clusters of events are last; the sum of n events that move together has n times the variance of independent ones.
    k, expected = len(events), usual * (events * fit.expected[-len(events) :]).sum()
    found = fit.squares[-k:].sum(axis=0)
    own = (weight * expected + (k - 1) * found) / (weight + k - 1)
    return np.asarray(fit.squares[:-k].sum(axis=0) + own, dtype=np.float64)


def _worth(weeks: NDArray[np.int64], length: int) -> float:
    """K_eff = K^2 / sum(W) of K weeks, with W_jk the common share of two post windows."""
    gap = np.abs(weeks[:, None] - weeks) * SESSIONS_A_WEEK
    return float(len(weeks) ** 2 / np.maximum(1.0 - gap / length, 0.0).sum())


def usable(falls: Falls) -> NDArray[np.bool_]:
    """Which falls have all numbers, in a stratum with events and `FEWEST_CONTROLS` such controls, (N,)."""
    known = np.isfinite(falls.post) & np.isfinite(falls.drop_s + falls.run_up) & (falls.scale() > 0)
    names = np.unique(falls.stratum[falls.event]).tolist()
    control = known & ~falls.event
    placed = [name for name in names if (control & (falls.stratum == name)).sum() >= FEWEST_CONTROLS]
    found: NDArray[np.bool_] = known & np.isin(falls.stratum, placed)
    return found


def outcome(falls: Falls) -> NDArray[np.float64]:
    """Winsorised standardised post-window CARs, (N,)."""
    z = falls.post / falls.scale()
    level = np.median(z[~falls.event])
    spread = WINSOR * ROBUST * np.median(np.abs(z[~falls.event] - level))
    return np.clip(z, level - spread, level + spread)


def traits_of(falls: Falls) -> NDArray[np.float64]:
    """A level for each stratum, the depth of the drop and the run-up, (N, strata + 2)."""
    traits: NDArray[np.float64] = (falls.stratum[:, None] == np.unique(falls.stratum)).astype(np.float64)
    run_up = np.clip(falls.run_up, -LARGEST_RUN_UP, LARGEST_RUN_UP)
    for trait in (np.clip(falls.drop_s, DEEPEST_S, 0.0), run_up):
        more = np.column_stack([traits, trait])
        # A characteristic that does not vary among the controls of a stratum gets no slope.
        if np.linalg.matrix_rank(more[~falls.event]) == more.shape[1]:
            traits = more
    return traits


def slope_row(falls: Falls, traits: NDArray[np.float64]) -> NDArray[np.float64]:
    """Row of the regression that shrinks the slope of the depth towards zero; its outcome is 0, (p,)."""
    depth = np.clip(falls.drop_s, DEEPEST_S, 0.0)
    row: NDArray[np.float64] = np.where((traits == depth[:, None]).all(axis=0), 1.0 / SLOPE_SD, 0.0)
    return row


def _excess(
    falls: Falls, z: NDArray[np.float64], traits: NDArray[np.float64], slope: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Excess of outcomes (N, m) over the prediction from controls with the same characteristics, (N, m)."""
    x, y = np.vstack([traits[~falls.event], slope]), np.vstack([z[~falls.event], np.zeros(z.shape[1])])
    return np.asarray(z - traits @ np.linalg.lstsq(x, y, rcond=None)[0])


def _distinct(falls: Falls) -> int:
    """Count the controls; a control that several events use counts once."""
    control = ~falls.event
    columns = (falls.session, falls.drop_s, falls.post)
    return len(
        set(zip(falls.families[control].tolist(), *(column[control].tolist() for column in columns), strict=True))
    )


def _ranked(
    falls: Falls,
    z: NDArray[np.float64],
    own: NDArray[np.float64],
    *,
    traits: NDArray[np.float64],
    slope: NDArray[np.float64],
    entered: NDArray[np.bool_],
    draws: int,
    seed: int,
) -> Excess:
    """Rank the mean standardised excess of events of one or two weeks among the controls."""
    control, scale = ~falls.event, falls.scale()[falls.event]
    weeks, week = np.unique(falls.week[falls.event], return_inverse=True)
    found = float((np.bincount(week, own / scale) / np.bincount(week)).mean())
    cluster = clusters(falls)
    slide = np.unique(cluster[control], return_inverse=True)[1]
    sets = np.arange(len(slide))[:, None] if len(weeks) == 1 else _pairs(slide, draws=draws, seed=seed)
    others = _left_out(z[control], traits[control], slide, sets, np.diag(slope**2))
    among = 1 + len(others)
    as_large = int((np.abs(others) >= abs(found) * (1 - 1e-12)).sum())
    as_high = int((others >= found - abs(found) * 1e-12).sum())
    return Excess(
        effect=float((np.bincount(week, own) / np.bincount(week)).mean()),
        p_value=(1 + as_large) / among,
        p_greater=(1 + as_high) / among,
        own=own,
        entered=entered,
        n_events=len(own),
        n_weeks=len(weeks),
        n_controls=_distinct(falls),
        n_clusters=len(np.unique(cluster)),
        k_eff=_worth(weeks, falls.length),
        spread=float(others.std(ddof=1) * scale.mean()) if among > 2 else NAN,
        rank=1 + as_large,
        among=among,
        p_floor=1 / among,
    )


def _pairs(slide: NDArray[np.int64], *, draws: int, seed: int) -> NDArray[np.int64]:
    """Draw pairs of controls from different slides, at most (draws, 2)."""
    pairs: NDArray[np.int64] = np.random.default_rng(seed).integers(len(slide), size=(draws, 2))
    apart: NDArray[np.bool_] = slide[pairs[:, 0]] != slide[pairs[:, 1]]
    return pairs.compress(apart, axis=0)


def _left_out(
    z: NDArray[np.float64],
    x: NDArray[np.float64],
    slide: NDArray[np.int64],
    sets: NDArray[np.int64],
    prior: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Mean excess of each set of controls, (D, q), over a fit without their slides, as for events, (D,)."""
    p = x.shape[1]
    cross, product = np.zeros((slide.max() + 1, p, p)), np.zeros((slide.max() + 1, p))
    np.add.at(cross, slide, x[:, :, None] * x[:, None, :])
    np.add.at(product, slide, x * z[:, None])
    left = np.linalg.pinv(prior + cross.sum(axis=0) - cross[slide[sets]].sum(axis=1), hermitian=True)
    slope = np.einsum("dij,dj->di", left, product.sum(axis=0) - product[slide[sets]].sum(axis=1))
    excess: NDArray[np.float64] = (z[sets] - np.einsum("dqi,di->dq", x[sets], slope)).mean(axis=1)
    return excess
