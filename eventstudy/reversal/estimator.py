"""What followed the drops in question, over all comparable falls: one regression with reusable controls."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from scipy import special

from eventstudy.core.checks.regression import regress
from eventstudy.errors import Reason

#: A control fell by at least so many standard errors and so much in the drop window.
CONTROL_S, CONTROL_DROP = -1.2, -0.015
#: Sessions between a control and any event, and between two falls of different slides.
APART = 21
#: Outcomes are moved in to so many robust standard deviations of the controls' median.
WINSOR = 2.0
#: Normal consistency of the median absolute deviation.
ROBUST = 1.4826
#: Traits beyond these say no more.
DEEPEST_S, LARGEST_RUN_UP = -5.0, 0.6
#: With fewer dates the spread over clusters says next to nothing; the rank among controls stands for it.
FEWEST_DATES = 3
#: Controls that a stratum needs: fewer do not place its level.
FEWEST_CONTROLS = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Falls:
    """Drops in question and control falls of one or several strata; arrays of shape (N,).

    Attributes
    ----------
    event : bool
        The drops in question; the others are controls.
    stratum : str
        Peer set, whose falls share a level; such as a sector, or a company that is its own peer.
    session : int
        Place of day 0 among the sessions of its stratum.
    week : int
        Calendar week of day 0: events of one week are one cluster, whatever their stratum.
    drop_s, run_up : float
        Standardised CAR of the drop window, and return over the 60 sessions before it.
    post : float
        CAR of the post window of ``length`` days.
    sigma, recent : float
        Daily residual standard deviation of the estimation window, and the EWMA (0.94) of daily abnormal
        returns at the close of the drop window.
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

    def __len__(self) -> int:
        return len(self.event)

    def scale(self) -> NDArray[np.float64]:
        """Standard deviation that the post window's CAR is measured in, (N,)."""
        scale: NDArray[np.float64] = (self.sigma + self.recent) / 2.0 * np.sqrt(self.length)
        return scale

    def take(self, rows: NDArray[np.bool_] | NDArray[np.intp]) -> Falls:
        """Return the falls at ``rows``, positions or a mask."""
        arrays = {name: getattr(self, name)[rows] for name in self.__slots__ if name != "length"}
        return Falls(**arrays, length=self.length)


@dataclass(frozen=True, slots=True, kw_only=True)
class Excess:
    """Mean excess of the drops in question, in units of return; NaN where ``reason`` says why.

    Attributes
    ----------
    effect, se, df, lower, upper, p_value
        Coefficient, CR2 standard error, degrees of freedom, 95 % interval and two-sided p. Below
        `FEWEST_DATES` the p-value is that of the rank, and there is no error and no interval.
    own : (K,)
        Excess of each drop over what the controls lead one to expect, in the order of the events.
    n_events, n_controls, n_clusters
        Drops in question, controls, and clusters of the standard error.
    rank, among
        Place of the mean standardised excess by size, 1 the largest, and how many it is ranked with;
        0 where it is not ranked.
    p_floor
        Smallest p-value that the rank could have given; 0 for the regression.
    """

    effect: float
    se: float
    df: float
    lower: float
    upper: float
    p_value: float
    own: NDArray[np.float64]
    n_events: int
    n_controls: int
    n_clusters: int
    rank: int = 0
    among: int = 0
    p_floor: float = 0.0
    reason: Reason = field(default_factory=Reason)

    @property
    def statistic(self) -> float:
        """Effect over its standard error."""
        return self.effect / self.se if self.se > 0 else float("nan")

    def detectable(self, *, level: float = 0.05, power: float = 0.8) -> float:
        """Smallest effect that a test at ``level`` finds with ``power``; NaN without a standard error."""
        if not self.se > 0:
            return float("nan")
        return float((special.stdtrit(self.df, 1 - level / 2) + special.stdtrit(self.df, power)) * self.se)


def is_control(drop_s: NDArray[np.float64], drop: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Which days fell far enough to be compared with drops, (N,)."""
    fell: NDArray[np.bool_] = (drop_s <= CONTROL_S) & (drop <= CONTROL_DROP)
    return fell


def slides(session: NDArray[np.int64]) -> NDArray[np.int64]:
    """Number each fall's slide, a chain of falls less than `APART` sessions apart; sessions ascend, (N,)."""
    return np.cumsum(np.diff(session, prepend=session[:1]) >= APART)


def clusters(falls: Falls) -> NDArray[np.int64]:
    """Cluster of each fall, (N,): its slide for a control, its calendar week for an event."""
    found = np.zeros(len(falls), dtype=np.int64)
    last = 0
    for name in np.unique(falls.stratum):
        rows = np.flatnonzero((falls.stratum == name) & ~falls.event)
        rows = rows[np.argsort(falls.session[rows], kind="stable")]
        if len(rows):
            found[rows] = slides(falls.session[rows]) + last
            last = int(found[rows].max()) + 1
    found[falls.event] = last + np.unique(falls.week[falls.event], return_inverse=True)[1]
    return found


def estimate(falls: Falls, *, level: float = 0.05, draws: int = 9_999, seed: int = 20260624) -> Excess:
    """Estimate the mean excess of the drops in question over comparable falls.

    Parameters
    ----------
    falls
        Events, and as controls every fall of their strata that lies `APART` sessions from all events.
    level
        One less the coverage of the interval.
    draws, seed
        Of sets of controls that two events are ranked among.

    Notes
    -----
    With z_i = CAR_post,i / (m_i sqrt(L)), winsorised at `WINSOR` robust standard deviations of the
    controls, m_i the mean of the two daily standard deviations,

        z_i = a_stratum + b1 max(S_i, -5) + b2 clip(run-up_i, ±0.6) + delta event_i / (m_i sqrt(L)) + u_i,

    so that delta is a return. Controls are used by all events and weigh alike. The variance is CR2 over
    slides of controls and weeks of events, with the smaller of Bell and McCaffrey's (2002) degrees of
    freedom and K - 1. One or two events have no spread of their own: their mean standardised excess is
    ranked by size among the leave-one-out excesses of controls, for two events among pairs of controls of
    different slides, two-sided.
    """
    falls = falls.take(np.isfinite(falls.post) & np.isfinite(falls.drop_s + falls.run_up) & (falls.scale() > 0))
    kept = _placed(falls)
    falls = falls.take(np.isin(falls.stratum, kept))
    k = int(falls.event.sum())
    if not k:
        return _none(Reason("excess.no_controls", fewest=FEWEST_CONTROLS))
    z, traits = outcome(falls), _traits(falls)
    scale = falls.scale()
    own = _own(falls, z, traits)
    if k < FEWEST_DATES:
        return _ranked(falls, z, traits, own, draws=draws, seed=seed)
    x = np.column_stack([traits, falls.event / scale])
    cluster = clusters(falls)
    names = [*(f"x{j}" for j in range(traits.shape[1])), "event"]
    fit = regress(z, x, cluster, names=names, constant=False, draws=0)
    effect, se = float(fit.coefficient[-1]), float(fit.se_cr2[-1])
    df = max(min(float(fit.df_cr2[-1]), len(np.unique(cluster[falls.event])) - 1.0), 1.0)
    half = float(special.stdtrit(df, 1 - level / 2)) * se
    return Excess(
        effect=effect,
        se=se,
        df=df,
        lower=effect - half,
        upper=effect + half,
        p_value=float(2 * special.stdtr(df, -abs(effect / se))),
        own=own,
        n_events=k,
        n_controls=len(falls) - k,
        n_clusters=fit.clusters,
    )


def outcome(falls: Falls) -> NDArray[np.float64]:
    """Winsorised standardised post-window CARs, (N,)."""
    z = falls.post / falls.scale()
    level = np.median(z[~falls.event])
    spread = WINSOR * ROBUST * np.median(np.abs(z[~falls.event] - level))
    return np.clip(z, level - spread, level + spread)


def _placed(falls: Falls) -> list[str]:
    """Strata with events and controls enough."""
    names = np.unique(falls.stratum[falls.event]).tolist()
    return [name for name in names if (~falls.event & (falls.stratum == name)).sum() >= FEWEST_CONTROLS]


def _traits(falls: Falls) -> NDArray[np.float64]:
    """A level for each stratum, the depth of the drop and the run-up, (N, strata + 2)."""
    levels = falls.stratum[:, None] == np.unique(falls.stratum)
    depth = np.clip(falls.drop_s, DEEPEST_S, 0.0)
    return np.column_stack([levels, depth, np.clip(falls.run_up, -LARGEST_RUN_UP, LARGEST_RUN_UP)])


def _own(falls: Falls, z: NDArray[np.float64], traits: NDArray[np.float64]) -> NDArray[np.float64]:
    """Each event's outcome less what controls of its traits lead one to expect, in returns, (K,)."""
    control = ~falls.event
    expected = traits[falls.event] @ np.linalg.lstsq(traits[control], z[control], rcond=None)[0]
    own: NDArray[np.float64] = (z[falls.event] - expected) * falls.scale()[falls.event]
    return own


def _ranked(
    falls: Falls,
    z: NDArray[np.float64],
    traits: NDArray[np.float64],
    own: NDArray[np.float64],
    *,
    draws: int,
    seed: int,
) -> Excess:
    """Rank the mean standardised excess of one or two events among controls'."""
    control = ~falls.event
    x = traits[control]
    inverse = np.linalg.pinv(x.T @ x)
    residual = z[control] - x @ (inverse @ (x.T @ z[control]))
    alone = residual / (1.0 - np.einsum("ij,jk,ik->i", x, inverse, x))
    found = float((own / falls.scale()[falls.event]).mean())
    others = alone if len(own) == 1 else _pairs(alone, clusters(falls)[control], draws=draws, seed=seed)
    as_large = int((np.abs(others) >= abs(found) * (1 - 1e-12)).sum())
    return Excess(
        effect=float(own.mean()),
        se=np.nan,
        df=np.nan,
        lower=np.nan,
        upper=np.nan,
        p_value=(1 + as_large) / (1 + len(others)),
        own=own,
        n_events=len(own),
        n_controls=int(control.sum()),
        n_clusters=len(np.unique(clusters(falls))),
        rank=1 + as_large,
        among=1 + len(others),
        p_floor=1 / (1 + len(others)),
    )


def _pairs(alone: NDArray[np.float64], slide: NDArray[np.int64], *, draws: int, seed: int) -> NDArray[np.float64]:
    """Means of pairs of controls from different slides, drawn at random, at most (draws,)."""
    first, second = np.random.default_rng(seed).integers(len(alone), size=(2, draws))
    apart = slide[first] != slide[second]
    means: NDArray[np.float64] = (alone[first] + alone[second])[apart] / 2.0
    return means


def _none(reason: Reason) -> Excess:
    nan = float("nan")
    return Excess(
        effect=nan,
        se=nan,
        df=nan,
        lower=nan,
        upper=nan,
        p_value=nan,
        own=np.zeros(0),
        n_events=0,
        n_controls=0,
        n_clusters=0,
        reason=reason,
    )
