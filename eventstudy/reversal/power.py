"""Power of the verdict on lists of random events among a history's falls."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from threadpoolctl import threadpool_limits

from eventstudy.core.arrays import Bools, Floats, Places
from eventstudy.reversal.comparison import Comparison
from eventstudy.reversal.estimator import APART, FEWEST_DATES, SAME_FALL, Excess, Falls, estimates, slides, usable
from eventstudy.reversal.verdict import REVERSAL, kind_of, smallest_margin

#: How pseudo-events are drawn among the drops: any of them, the first of each slide, or one of each whole slide,
#: which no one could have done in time.
PLACEMENTS = ("day", "first", "slide")
#: True effects whose power is told, and lists drawn for a study's own.
EFFECTS, DRAWS = (0.02, 0.05, 0.10), 200
#: With more falls fewer lists are drawn, in proportion, but so many at least: 200 of them take a quarter of a minute.
MOST_FALLS, FEWEST_DRAWS = 10_000, 40
#: Pairs of controls that two events of a drawn list are ranked among.
PAIRS = 999
#: Power of lists by what went in: a study that is run again in one process does not pay for it twice.
_KNOWN: dict[str, dict[str, float]] = {}


@dataclass(frozen=True, slots=True)
class Past:
    """All falls of one or several peer sets, none of them an event.

    ``drop`` (N,) holds the CARs of the drop window, ``can`` (N,) marks the falls that are drops by the rule;
    ``moderated`` says how lists are judged, see `estimator.estimate`.
    """

    falls: Falls
    drop: Floats
    can: Bools
    moderated: bool = True

    def take(self, rows: Bools) -> Past:
        """Return the marked falls."""
        return replace(self, falls=self.falls.take(rows), drop=self.drop[rows], can=self.can[rows])


def past_of(own: Comparison, drop_k: float | Floats, drop_min: float | Floats) -> Past:
    """Return the controls of a study, those marked that are drops by size; the share of falling peers is not asked.

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
        Events to ask for in each stratum, or in all of them together; fewer where there are no more drops. Of
        events of one family whose post windows overlap the first stays, as in a study.
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
    """Rows of a stratum's drops, one of each slide unless any drop may be drawn, in order of their sessions."""
    own = np.flatnonzero(past.can & (past.falls.stratum == name))
    own = own[np.argsort(past.falls.session[own], kind="stable")]
    if placement == "day" or not len(own):
        return own
    slide = slides(past.falls.session[own])
    order = rng.permutation(len(own)) if placement == "slide" else np.arange(len(own))
    return own[order][np.unique(slide[order], return_index=True)[1]]


def as_list(falls: Falls, events: Places) -> Falls:
    """Return the falls with these rows as events, without the controls that they rule out."""
    event = np.zeros(len(falls), dtype=np.bool_)
    event[events] = True
    gap = _gaps(falls, events)
    near = ((gap >= -SAME_FALL) & (gap < APART)).any(axis=1)
    return replace(falls, event=event).take(event | ~near)


def shares(falls: Falls) -> Floats:
    """Share of an event's post window in that of each fall, (N,): one for events, less for controls before them."""
    gap = np.abs(_gaps(falls, np.flatnonzero(falls.event)))
    share: Floats = np.maximum(1.0 - gap / falls.length, 0.0).max(axis=1, initial=0.0)
    return share


def judged(past: Past, events: Places, effects: tuple[float, ...], *, seed: int) -> list[tuple[Excess, str]]:
    """Judge one list as a study's own is: what was estimated, and the verdict.

    Each of the effects is put into the events' post windows, spread evenly over the days.
    """
    listed, margin = as_list(past.falls, events), smallest_margin(past.drop[events])
    share = shares(listed)
    posts = [listed.post + effect * share for effect in effects]
    found = estimates(listed, posts, draws=PAIRS, seed=seed, moderated=past.moderated)
    return [(one, kind_of(one, margin)) for one in found]


def power(past: Past, wanted: Mapping[str, int], *, seed: int, draws: int = DRAWS) -> dict[str, float]:
    """Return the share of lists like a study's own in which a true effect is called a reversal, by the effect.

    Parameters
    ----------
    past
        Falls of the study's peers with no event of it near.
    wanted
        Dates behind the study's verdict, by stratum; without any nothing is told, and one or two are never called
        a reversal.
    draws
        Lists, with more than `MOST_FALLS` falls in the strata fewer.
    """
    past = past.take(np.isin(past.falls.stratum, list(wanted)))
    if not sum(wanted.values()) or not past.can.any():
        return {}
    if sum(wanted.values()) < FEWEST_DATES:
        return {f"{effect:.2f}": 0.0 for effect in EFFECTS}
    draws = min(draws, max(FEWEST_DRAWS, draws * MOST_FALLS // len(past.falls)))
    key = _digest(past, wanted, seed, draws)
    if key not in _KNOWN:
        rng = np.random.default_rng(seed)
        # Sums of the linear algebra depend on the number of threads, which small products do not need.
        with threadpool_limits(1, "blas"):
            lists = [judged(past, draw_events(past, wanted, rng), EFFECTS, seed=seed) for _ in range(draws)]
        kinds = np.array([[kind == REVERSAL for _, kind in one] for one in lists])
        _KNOWN[key] = {f"{effect:.2f}": float(share) for effect, share in zip(EFFECTS, kinds.mean(axis=0), strict=True)}
    return dict(_KNOWN[key])


def _digest(past: Past, wanted: Mapping[str, int], seed: int, draws: int) -> str:
    arrays = [getattr(past.falls, name) for name in Falls.__slots__ if name != "length"]
    parts = [np.ascontiguousarray(values).tobytes() for values in (*arrays, past.drop, past.can)]
    settings = repr((past.falls.length, past.moderated, sorted(wanted.items()), seed, draws)).encode()
    return hashlib.sha256(b"|".join([*parts, settings])).hexdigest()


def _gaps(falls: Falls, events: Places) -> Floats:
    """Sessions from each event to each fall of its family, without end to others, (N, K)."""
    gap = (falls.session[:, None] - falls.session[events]).astype(np.float64)
    family = falls.families
    return np.where(family[:, None] == family[events], gap, np.inf)
