"""Drops of portfolios, locked days, and characteristics of drops, all from data known at the close of the drop."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from eventstudy.config import Reversal, StudyConfig, Window
from eventstudy.core.abnormal import PeerWeights, ShockPortfolios
from eventstudy.core.arrays import Bools, Counts, Days, Floats, Places, Texts
from eventstudy.core.models import ExpectedReturns
from eventstudy.core.returns import LOCKED_DOWN, LOCKED_UP
from eventstudy.core.windows import EventPanel
from eventstudy.errors import Reason

#: Matching variables, all known at the close of the drop.
VARIABLES = ("s_drop", "vol_ratio", "run_up", "market_return", "year")
RECENT_DAYS, RUN_UP_DAYS = 20, 60
#: Decay of the exponentially weighted variance (RiskMetrics 1996).
DECAY = 0.94
LOCKED = LOCKED_UP | LOCKED_DOWN
#: Last event day that can become the first unlocked session, the end of an extended drop window.
LATEST_UNLOCKED = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Drops:
    """Drops and post-window returns of the peer portfolios of K shocks, all of shape (K,).

    Attributes
    ----------
    day0
        Days since 1970.
    drop, drop_s, post, post_s
        CARs of the drop and the post window, decimal, and in units of their pre-event standard errors.
    why_not : tuple of Reason
        Why a shock is no drop; empty if it qualifies.
    overlaps : tuple of str
        Earlier shock of some of the same peers whose post window contains the drop, or empty.
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
    """Determine which shocks are drops, from data known at the close of the drop window's last day.

    A drop qualifies when the portfolio's CAR is at most ``-drop_k`` of its pre-event standard errors
    and at most ``-drop_min``, and at least ``share_negative`` of the peers fell. The rule never looks
    at the post window.
    """
    size = drop_size(portfolios, drop)
    return Drops(
        shock_id=portfolios.shock_id,
        day0=portfolios.day0,
        n_peers=size.n_peers,
        drop=size.car,
        drop_s=size.s,
        share_negative=size.share_negative,
        qualifies=size.qualifies(rule),
        why_not=tuple(_why_not(*numbers, rule) for numbers in zip(size.car, size.s, size.share_negative, strict=True)),
        post=portfolios.car(post),
        post_s=portfolios.standardised(post),
        overlaps=_overlaps(portfolios, post),
    )


@dataclass(frozen=True, slots=True)
class DropSize:
    """Size of the moves of K portfolios in the drop window, with the weights of their peers; arrays of shape (K,)."""

    peers: PeerWeights
    n_peers: Counts
    car: Floats
    s: Floats
    share_negative: Floats

    def qualifies(self, rule: Reversal) -> Bools:
        """Which portfolios are drops by the rule, see `drops`; false without a portfolio."""
        missed = (self.car > -rule.drop_min) | (self.s > -rule.drop_k)
        return np.isfinite(self.car) & ~missed & ~(self.share_negative < rule.share_negative)


def drop_size(portfolios: ShockPortfolios, drop: Window) -> DropSize:
    """Return the size of every portfolio's move in the drop window."""
    peers, car = portfolios.weighted(drop), portfolios.abnormal.car(drop)
    counted = peers.weight > 0
    count = portfolios.total(counted.astype(float))
    with np.errstate(invalid="ignore"):
        share = portfolios.total((counted & (car[portfolios.members] < 0)).astype(float)) / count
    mean, s = portfolios.mean_of(car, peers.weight), portfolios.standardised(drop, peers=peers)
    return DropSize(peers, count.astype(np.int64), mean, s, share)


@dataclass(frozen=True, slots=True, kw_only=True)
class PeerDrops:
    """P peer portfolios before, in and after the drop window; arrays of shape (P,), ``traits`` (P, V).

    Attributes
    ----------
    day
        Days since 1970.
    drop, post
        CARs of the two windows.
    traits
        By `VARIABLES`, all known at the close of the drop: the standardised drop; the log ratio of the portfolio's
        abnormal volatility over its last 20 sessions to that over the estimation window; its return over the last
        60; its index's return in the drop window; and the date in years.
    sigma, recent
        Daily standard deviation of the estimation window, and the exponentially weighted one at the close of the drop.
    """

    day: Counts
    drop: Floats
    post: Floats
    share_negative: Floats
    qualifies: Bools
    traits: Floats
    sigma: Floats
    recent: Floats

    def __len__(self) -> int:
        return len(self.day)

    @property
    def drop_s(self) -> Floats:
        """Drop in its pre-event standard errors."""
        return self.traits[:, VARIABLES.index("s_drop")]

    @property
    def run_up(self) -> Floats:
        """Return over the sessions before the drop."""
        return self.traits[:, VARIABLES.index("run_up")]

    def take(self, index: Bools | Places) -> PeerDrops:
        """Return the portfolios at ``index``, positions or a mask."""
        return PeerDrops(**{name: getattr(self, name)[index] for name in self.__slots__})

    @classmethod
    def none(cls) -> PeerDrops:
        """Return no portfolios."""
        arrays = {name: np.zeros(0) for name in cls.__slots__} | {"traits": np.zeros((0, len(VARIABLES)))}
        return cls(**arrays | {"day": np.zeros(0, dtype=np.int64), "qualifies": np.zeros(0, dtype=np.bool_)})

    @classmethod
    def joined(cls, parts: Sequence[PeerDrops]) -> PeerDrops:
        """Return the portfolios of all parts, at least one."""
        return cls(**{name: np.concatenate([getattr(part, name) for part in parts]) for name in cls.__slots__})


def peer_drops(portfolios: ShockPortfolios, config: StudyConfig) -> PeerDrops:
    """Return the portfolios' returns and characteristics for the windows of the settings."""
    windows = config.windows
    size = drop_size(portfolios, windows.drop)
    traits = _traits(portfolios, windows.drop, size)
    return PeerDrops(
        day=portfolios.day0.astype(np.int64),
        drop=size.car,
        post=portfolios.car(windows.post),
        share_negative=size.share_negative,
        qualifies=size.qualifies(config.reversal),
        traits=traits,
        sigma=np.sqrt(size.peers.s2),
        recent=recent_deviation(_daily_returns(portfolios, size, before=windows.drop[1] + 1)),
    )


def _traits(portfolios: ShockPortfolios, drop: Window, size: DropSize) -> Floats:
    """Return the traits in the order of `VARIABLES`, (K, V)."""
    abnormal, weight, errors = portfolios.abnormal, size.peers.weight, size.peers.residual
    rows = portfolios.members
    before = abnormal.tau < drop[0]
    lately = _daily_returns(portfolios, size, before=drop[0])[:, -RECENT_DAYS:]
    panel = abnormal.panel
    past = np.concatenate([panel.estimation_returns[rows], panel.event_returns[rows][:, before]], axis=1)
    run_up = np.nansum(mean_by_day(portfolios, weight, past[:, -RUN_UP_DAYS:]), axis=1)
    market = panel.event_factors[rows][:, abnormal.weights(drop) > 0, 0].sum(axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        vol_ratio = np.log(_spread(lately) / _spread(errors))
    return np.column_stack(
        [size.s, vol_ratio, run_up, portfolios.total(weight * np.nan_to_num(market)), portfolios.day0 / 365.25]
    )


def _daily_returns(portfolios: ShockPortfolios, size: DropSize, *, before: int) -> Floats:
    """Abnormal returns of the estimation window and of the event days before one, (K, days)."""
    abnormal = portfolios.abnormal
    lately = abnormal.ar[portfolios.members][:, abnormal.tau < before]
    return np.concatenate([size.peers.residual, mean_by_day(portfolios, size.peers.weight, lately)], axis=1)


def mean_by_day(portfolios: ShockPortfolios, weight: Floats, values: Floats) -> Floats:
    """Weighted mean over the peers with a return on the day, (K, days); NaN if there is none."""
    known = np.isfinite(values)
    share = portfolios.total(weight[:, None] * known)
    total = portfolios.total(weight[:, None] * np.where(known, values, 0.0))
    return np.where(share > 0, total / np.where(share > 0, share, 1.0), np.nan)


def _spread(values: Floats) -> Floats:
    """Standard deviation over the days with values, (K,)."""
    known = np.isfinite(values)
    count = np.maximum(known.sum(axis=1), 1)
    level = np.where(known, values, 0.0).sum(axis=1) / count
    squares = np.where(known, values - level[:, None], 0.0) ** 2
    spread: Floats = np.sqrt(squares.sum(axis=1) / np.maximum(count - 1, 1))
    return spread


def recent_deviation(daily: Floats) -> Floats:
    """Root of the exponentially weighted mean square of daily values, the newest last: (P, D) to (P,)."""
    known = np.isfinite(daily)
    age = known[:, ::-1].cumsum(axis=1)[:, ::-1] - 1
    weight = np.where(known, DECAY**age, 0.0)
    total = weight.sum(axis=1)
    square = (weight * np.nan_to_num(daily) ** 2).sum(axis=1)
    root: Floats = np.sqrt(np.where(total > 0, square / np.where(total > 0, total, 1.0), np.nan))
    return root


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
    """For each shock, the earlier shock of some of the same peers in whose post window it starts.

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
    """Return the number of sessions by which each firm-event's post window is delayed, shape (N,).

    Parameters
    ----------
    flags : (N, L2) uint8
        As in `EventPanel.event_flags`.
    drop
        The drop window without locked days.

    Notes
    -----
    If the drop window has a locked session, u is the first unlocked session after the run of locked ones, at most +5.
    The drop lasts to u and the post window starts at u + ``drop[1]`` + 1, which is u + 2 for [0, +1]; the days between
    are in neither. Without a lock u is 0. A drop window that ends after u is not changed.
    """
    locked = (flags & LOCKED) > 0
    first, last = np.searchsorted(tau, drop)
    delay = np.zeros(len(flags), dtype=np.int64)
    for row in np.flatnonzero(locked[:, first : last + 1].any(axis=1)):
        at = first + int(np.flatnonzero(locked[row, first : last + 1])[-1])
        while at < len(tau) and tau[at] < LATEST_UNLOCKED and locked[row, at]:
            at += 1
        unlocked = int(tau[min(at, len(tau) - 1)])
        delay[row] = unlocked if unlocked >= max(drop[1], 1) else 0
    return delay


def after_locks(
    panel: EventPanel, expected: ExpectedReturns, *, drop: Window, event: Window
) -> tuple[EventPanel, ExpectedReturns]:
    """Shift the days of locked firm-events so that the drop window contains the whole drop.

    ``panel`` covers ``event`` and `LATEST_UNLOCKED` days more; the result covers ``event``. Sessions up
    to the last locked one are summed on the drop window's first day, and the first unlocked session becomes its last
    day. Returns, predictions and variances are sums, so CARs and their errors are exact.
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
            target[row] = _run_together(getattr(panel, name)[row], panel.tau, int(late[row]), drop, event, name)
        for name, target in predicted.items():
            target[row] = _run_together(getattr(expected, name)[row], panel.tau, int(late[row]), drop, event, name)
    return (
        replace(panel, tau=panel.tau[kept], **fields),
        replace(expected, event_design=predicted["event_design"], scale=predicted["scale"]),
    )


def _run_together(
    values: NDArray[np.generic], tau: Counts, delay: int, drop: Window, event: Window, name: str
) -> NDArray[np.generic]:
    """One firm-event's days with the locked run combined; its session is the last day of the run."""
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
