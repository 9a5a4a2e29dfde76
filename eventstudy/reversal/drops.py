"""Which shocks are drops, judged by what was known at the close of the drop window."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from eventstudy.config import Reversal
from eventstudy.core.abnormal import PeerWeights, ShockPortfolios, Window
from eventstudy.messages import joined, say


@dataclass(frozen=True, slots=True, kw_only=True)
class Drops:
    """Drop and aftermath of K shocks' peer portfolios, all arrays of shape (K,).

    ``why_not`` is empty where the shock qualifies. ``overlaps`` names the earlier shock whose post
    window the drop falls into, or is empty.
    """

    shock_id: NDArray[np.str_]
    day0: NDArray[np.int32]
    n_peers: NDArray[np.int64]
    drop: NDArray[np.float64]
    drop_s: NDArray[np.float64]
    share_negative: NDArray[np.float64]
    qualifies: NDArray[np.bool_]
    why_not: tuple[str, ...]
    post: NDArray[np.float64]
    post_s: NDArray[np.float64]
    overlaps: tuple[str, ...]


def drops(portfolios: ShockPortfolios, drop: Window, post: Window, rule: Reversal) -> Drops:
    """Judge every shock by what was known at the close of the drop window's last day.

    A drop qualifies when the portfolio's CAR is at most ``-drop_k`` of its pre-event standard errors
    and at most ``-drop_min``, and at least ``share_negative`` of the peers fell. The rule never looks
    at the post window.
    """
    fall = fall_of(portfolios, drop)
    car, s, share = fall.car, fall.s, fall.share_negative
    return Drops(
        shock_id=portfolios.shock_id,
        day0=portfolios.day0,
        n_peers=fall.n_peers,
        drop=car,
        drop_s=s,
        share_negative=share,
        qualifies=fall.qualifies(rule),
        why_not=tuple(_why_not(car[k], s[k], share[k], rule) for k in range(len(portfolios))),
        post=portfolios.car(post),
        post_s=portfolios.standardised(post),
        overlaps=_overlaps(portfolios, post),
    )


@dataclass(frozen=True, slots=True)
class Fall:
    """What K portfolios did in the drop window, with the weights of their peers; arrays of shape (K,)."""

    peers: PeerWeights
    n_peers: NDArray[np.int64]
    car: NDArray[np.float64]
    s: NDArray[np.float64]
    share_negative: NDArray[np.float64]

    def qualifies(self, rule: Reversal) -> NDArray[np.bool_]:
        """Which are drops by the rule, see `drops`; without a portfolio there is none."""
        missed = (self.car > -rule.drop_min) | (self.s > -rule.drop_k)
        return np.isfinite(self.car) & ~missed & ~(self.share_negative < rule.share_negative)


def fall_of(portfolios: ShockPortfolios, drop: Window) -> Fall:
    """Measure every portfolio's drop."""
    peers, car = portfolios.weighted(drop), portfolios.abnormal.car(drop)
    there = peers.weight > 0
    count = portfolios.total(there.astype(float))
    with np.errstate(invalid="ignore"):
        share = portfolios.total((there & (car[portfolios.members] < 0)).astype(float)) / count
    return Fall(
        peers,
        count.astype(np.int64),
        portfolios.mean_of(car, peers.weight),
        portfolios.standardised(drop, peers=peers),
        share,
    )


def _why_not(car: float, s: float, share: float, rule: Reversal) -> str:
    if not np.isfinite(car):
        return say("drop.no_peer")
    failed = []
    if car > -rule.drop_min:
        failed.append(say("drop.too_small", car=car, limit=-rule.drop_min))
    if s > -rule.drop_k:
        failed.append(say("drop.too_few_errors", s=s, limit=-rule.drop_k))
    if share < rule.share_negative:
        failed.append(say("drop.too_few_peers", share=share, limit=rule.share_negative))
    return joined(failed)


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
