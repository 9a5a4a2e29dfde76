"""Which shocks are drops, judged by what was known at the close of the drop window, and how long one lasts."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from eventstudy.config import Reversal
from eventstudy.core.abnormal import PeerWeights, ShockPortfolios, Window
from eventstudy.core.arrays import Bools, Counts, Days, Floats, Texts
from eventstudy.core.models import ExpectedReturns
from eventstudy.core.windows import EventPanel
from eventstudy.errors import Reason

#: Bits of `EventPanel.event_flags` of a session that closed locked up (32) or down (64).
LOCKED = 32 | 64
#: A drop window is extended by at most so many sessions.
LONGEST_LOCK = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Drops:
    """Drop and aftermath of K shocks' peer portfolios, all of shape (K,).

    Attributes
    ----------
    day0
        Days since 1970.
    drop, drop_s, post, post_s
        CARs of the drop and the post window, decimal, and in units of their pre-event standard errors.
    why_not : tuple of Reason
        Why a shock is no drop; empty where it qualifies.
    overlaps : tuple of str
        Earlier shock of some of the same peers whose post window the drop falls into, or empty.
    """

    shock_id: Texts
    day0: Days
    n_peers: Counts
    drop: Floats
    drop_s: Floats
    share_negative: Floats
    qualifies: Bools
    why_not: tuple[Reason, ...]
    post: Floats
    post_s: Floats
    overlaps: tuple[str, ...]


def drops(portfolios: ShockPortfolios, drop: Window, post: Window, rule: Reversal) -> Drops:
    """Judge every shock by what was known at the close of the drop window's last day.

    A drop qualifies when the portfolio's CAR is at most ``-drop_k`` of its pre-event standard errors
    and at most ``-drop_min``, and at least ``share_negative`` of the peers fell. The rule never looks
    at the post window.
    """
    fall = fall_of(portfolios, drop)
    return Drops(
        shock_id=portfolios.shock_id,
        day0=portfolios.day0,
        n_peers=fall.n_peers,
        drop=fall.car,
        drop_s=fall.s,
        share_negative=fall.share_negative,
        qualifies=fall.qualifies(rule),
        why_not=tuple(_why_not(*numbers, rule) for numbers in zip(fall.car, fall.s, fall.share_negative, strict=True)),
        post=portfolios.car(post),
        post_s=portfolios.standardised(post),
        overlaps=_overlaps(portfolios, post),
    )


@dataclass(frozen=True, slots=True)
class Fall:
    """What K portfolios did in the drop window, with the weights of their peers; arrays of shape (K,)."""

    peers: PeerWeights
    n_peers: Counts
    car: Floats
    s: Floats
    share_negative: Floats

    def qualifies(self, rule: Reversal) -> Bools:
        """Which are drops by the rule, see `drops`; without a portfolio there is none."""
        missed = (self.car > -rule.drop_min) | (self.s > -rule.drop_k)
        return np.isfinite(self.car) & ~missed & ~(self.share_negative < rule.share_negative)


def fall_of(portfolios: ShockPortfolios, drop: Window) -> Fall:
    """Return what every portfolio did in the drop window."""
    peers, car = portfolios.weighted(drop), portfolios.abnormal.car(drop)
    counted = peers.weight > 0
    count = portfolios.total(counted.astype(float))
    with np.errstate(invalid="ignore"):
        share = portfolios.total((counted & (car[portfolios.members] < 0)).astype(float)) / count
    mean, s = portfolios.mean_of(car, peers.weight), portfolios.standardised(drop, peers=peers)
    return Fall(peers, count.astype(np.int64), mean, s, share)


def _why_not(car: float, s: float, share: float, rule: Reversal) -> Reason:
    if not np.isfinite(car):
        return Reason("drop.no_peer")
    failed = []
    if car > -rule.drop_min:
        failed.append(Reason("drop.too_small", car=car, limit=-rule.drop_min))
    if s > -rule.drop_k:
        failed.append(Reason("drop.too_few_errors", s=s, limit=-rule.drop_k))
    if share < rule.share_negative:
        failed.append(Reason("drop.too_few_peers", share=share, limit=rule.share_negative))
    return Reason.join(failed)


def _overlaps(portfolios: ShockPortfolios, post: Window) -> tuple[str, ...]:
    """Earlier shock of some of the same peers within whose post window each shock starts.

    Shocks of one day do not overlap: they are one date.
    """
    panel = portfolios.abnormal.panel
    last = int(np.flatnonzero(panel.tau == post[1])[0])
    ends = panel.event_sessions[portfolios.members, last]
    latest = np.maximum.reduceat(ends, portfolios.starts) if len(portfolios) else ends
    peers = [set(panel.ticker[portfolios.members[first:stop]].tolist()) for first, stop in portfolios.spans()]
    names: list[str] = []
    for k, day in enumerate(portfolios.day0):
        open_ = np.flatnonzero((latest[:k] >= day) & (portfolios.day0[:k] < day))[::-1]
        earlier = next((int(j) for j in open_ if peers[int(j)] & peers[k]), None)
        names.append("" if earlier is None else str(portfolios.shock_id[earlier]))
    return tuple(names)


def delays(flags: NDArray[np.uint8], tau: Counts, drop: Window) -> Counts:
    """Return by how many sessions each firm-event's aftermath starts later, shape (N,).

    Parameters
    ----------
    flags : (N, L2) uint8
        As in `EventPanel.event_flags`.
    drop
        The drop window that holds where nothing is locked.

    Notes
    -----
    Where the drop window has a locked session, u is the first session after the last one of that run
    that is not locked, at most +5: the drop lasts to u and the aftermath starts at u + ``drop[1]`` + 1, which is
    u + 2 for [0, +1]; the days between are in neither. Without a lock u is 0. A drop window that ends after u
    is long enough as it is.
    """
    locked = (flags & LOCKED) > 0
    first, last = np.searchsorted(tau, drop)
    delay = np.zeros(len(flags), dtype=np.int64)
    for row in np.flatnonzero(locked[:, first : last + 1].any(axis=1)):
        at = first + int(np.flatnonzero(locked[row, first : last + 1])[-1])
        while at < len(tau) and tau[at] < LONGEST_LOCK and locked[row, at]:
            at += 1
        unlocked = int(tau[min(at, len(tau) - 1)])
        delay[row] = unlocked if unlocked >= max(drop[1], 1) else 0
    return delay


def after_locks(
    panel: EventPanel, expected: ExpectedReturns, *, drop: Window, event: Window
) -> tuple[EventPanel, ExpectedReturns]:
    """Move the locked firm-events' days so that the drop window holds the whole drop.

    ``panel`` covers ``event`` and `LONGEST_LOCK` days more; the result covers ``event``. Sessions up
    to the last locked one are added up on the drop window's first day and the first unlocked session
    becomes its last: return, prediction and variance are sums, so CARs and their errors stay exact.
    """
    late = delays(panel.event_flags, panel.tau, drop)
    first, last = np.searchsorted(panel.tau, event)
    kept = slice(int(first), int(last) + 1)
    fields = {
        name: getattr(panel, name)[:, kept].copy()
        for name in ("event_returns", "event_factors", "event_sessions", "event_flags")
    }
    predicted = {name: getattr(expected, name)[:, kept].copy() for name in ("event_design", "scale")}
    for row in np.flatnonzero(late):
        for name, target in fields.items():
            target[row] = _moved(getattr(panel, name)[row], panel.tau, int(late[row]), drop, event, name)
        for name, target in predicted.items():
            target[row] = _moved(getattr(expected, name)[row], panel.tau, int(late[row]), drop, event, name)
    return (
        replace(panel, tau=panel.tau[kept], **fields),
        replace(expected, event_design=predicted["event_design"], scale=predicted["scale"]),
    )


def _moved(
    values: NDArray[np.generic], tau: Counts, delay: int, drop: Window, event: Window, name: str
) -> NDArray[np.generic]:
    """One firm-event's days with the locked run put together; sessions keep the run's last day."""
    zero, length = int(np.flatnonzero(tau == drop[0])[0]), drop[1] - drop[0]
    unlocked = zero + delay - drop[0]
    run = values[zero : unlocked + (length == 0)]
    if name == "event_sessions":
        together = run[-1]
    else:
        together = np.bitwise_or.reduce(run) if name == "event_flags" else run.sum(axis=0)
    start = int(np.flatnonzero(tau == event[0])[0])
    between = np.zeros((max(length - 1, 0), *values.shape[1:]), dtype=values.dtype)
    if name == "event_sessions" and len(between):
        between[:] = together
    drop_days = [together[None], between, *([values[unlocked][None]] if length else [])]
    follow = int(np.flatnonzero(tau == drop[1] + 1)[0]) + delay
    moved = np.concatenate([values[start:zero], *drop_days, values[follow:]])
    return moved[: event[1] - event[0] + 1]
