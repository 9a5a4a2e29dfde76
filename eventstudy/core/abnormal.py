"""Abnormal returns of firm-events, and of one peer portfolio for each shock."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import Literal

import numpy as np

from eventstudy.config import Window
from eventstudy.core.arrays import Bools, Counts, Days, Floats, Places, Texts
from eventstudy.core.models import ExpectedReturns, shrink_alpha, without_alpha
from eventstudy.core.windows import EventPanel

Alpha = Literal["auto", "estimated", "zero", "shrink"]
#: With alpha ``auto`` the estimated intercept is used up to this event day and set to zero after it.
LAST_ALPHA_DAY = 1


@dataclass(frozen=True, slots=True)
class AbnormalReturns:
    """Abnormal returns AR = R - E[R] of N firm-events over L2 event days."""

    panel: EventPanel
    expected: ExpectedReturns

    def __len__(self) -> int:
        return len(self.panel)

    @property
    def tau(self) -> Counts:
        """Event days, shape (L2,)."""
        return self.panel.tau

    @property
    def ar(self) -> Floats:
        """Abnormal returns, shape (N, L2), NaN where the return is missing."""
        return self.panel.event_returns - self.expected.mean

    @property
    def sar(self) -> Floats:
        """Abnormal returns over their prediction-error standard deviation, shape (N, L2)."""
        standard = np.empty(self.panel.event_returns.shape)
        for day in range(len(self.tau)):
            weights = np.zeros(len(self.tau))
            weights[day] = 1.0
            standard[:, day] = np.sqrt(self.expected.variance(weights))
        return self.ar / standard

    def weights(self, window: Window) -> Floats:
        """Ones inside the window, zeros elsewhere, shape (L2,); `ValueError` if it does not fit."""
        first, last = window
        if not self.tau[0] <= first <= last <= self.tau[-1]:
            raise ValueError(f"window [{first},{last}] lies outside the event days")
        return ((self.tau >= first) & (self.tau <= last)).astype(float)

    def car(self, window: Window, *, ar: Floats | None = None) -> Floats:
        """Sum of the abnormal returns of the window, shape (N,); NaN if any of its days is missing.

        A day without a trade is not missing if a later return in the window covers it. ``ar`` can be given if it has
        been computed already.
        """
        inside = self.weights(window) > 0
        values = (self.ar if ar is None else ar)[:, inside]
        if "span" not in self.panel.factor_names:
            total: Floats = values.sum(axis=1)
            return total
        span = self.panel.spans()[1][:, inside]
        # If a window ends inside a gap, its last return reaches beyond it and cannot be split.
        return np.where(span[:, -1] == 0, np.nan, np.where(span == 0, 0.0, values).sum(axis=1))

    def variance(self, window: Window) -> Floats:
        """Exact prediction-error variance of the CAR, shape (N,)."""
        return self.expected.variance(self.weights(window))

    def scar(self, window: Window) -> Floats:
        """CAR over its prediction-error standard deviation, shape (N,)."""
        return self.car(window) / np.sqrt(self.variance(window))

    def bhar(self, window: Window) -> Floats:
        """Buy-and-hold abnormal return, shape (N,).

        Notes
        -----
        prod(1+R) - prod(1+E[R]) of simple returns, exp(sum R) - exp(sum E[R]) of log returns (Barber and
        Lyon 1997): both are the gain on one unit of money minus the expected gain.
        """
        inside = self.weights(window) > 0
        normal = compounded(self.expected.mean[:, inside], self.panel.kind)
        if "span" not in self.panel.factor_names:
            return compounded(self.panel.event_returns[:, inside], self.panel.kind) - normal
        covered = self.panel.spans()[1] == 0
        real = compounded(np.where(covered, 0.0, self.panel.event_returns)[:, inside], self.panel.kind)
        return np.where(covered[:, inside][:, -1], np.nan, real - normal)

    def take(self, index: Places | Bools) -> AbnormalReturns:
        """Return the firm-events at ``index`` (positions or a mask)."""
        return AbnormalReturns(self.panel.take(index), self.expected.take(index))


def compounded(returns: Floats, kind: Literal["simple", "log"]) -> Floats:
    """Value of one unit of money after the returns of each row, (N, days) to (N,)."""
    value: Floats = np.exp(returns.sum(axis=1)) if kind == "log" else np.prod(1.0 + returns, axis=1)
    return value


def abnormal_returns(panel: EventPanel, expected: ExpectedReturns, *, alpha: Alpha = "auto") -> AbnormalReturns:
    """Subtract the expected returns; the treatment of the intercept is applied day by day.

    ``auto`` keeps the estimated intercept up to day +1 and sets it to zero from day +2 on. Because this is decided day
    by day, CARs of adjacent windows add up. ``estimated``, ``zero`` and ``shrink`` (intercepts shrunk towards zero)
    apply to all days.
    """
    if alpha == "shrink":
        return AbnormalReturns(panel, shrink_alpha(expected, news_of(panel)))
    zero = {"auto": panel.tau > LAST_ALPHA_DAY, "zero": np.ones(len(panel.tau), dtype=bool)}
    days = zero.get(alpha, np.zeros(len(panel.tau), dtype=bool))
    return AbnormalReturns(panel, without_alpha(expected, days))


@dataclass(frozen=True, slots=True)
class PeerWeights:
    """Weights of the peers that have a window and the portfolios' residuals with these weights.

    Windows with the same peers share one instance. ``weight`` (n,) are the weights of the members, see
    `ShockPortfolios`; they sum to one in each shock with at least one peer. ``residual`` (K, L1) are the portfolios'
    residuals in event time, ``used`` (K, L1) says where they exist, ``s2`` (K,) is their variance, with degrees of
    freedom reduced by the number of coefficients.
    """

    weight: Floats
    residual: Floats
    used: Bools
    s2: Floats


@dataclass(frozen=True, slots=True)
class ShockPortfolios:
    """One peer portfolio for each shock of a sample, or for each date, in order of day 0.

    ``shock_id`` (K,) are the names of the shocks (for portfolios by date, all shocks of the date), and ``day0`` (K,)
    the earliest calendar day of day 0 over a shock's peers. ``members`` (n,) are the rows of ``abnormal`` in any
    portfolio, sorted by shock; ``starts`` (K,) is the first position of each shock in it.
    """

    abnormal: AbnormalReturns
    shock_id: Texts
    day0: Days
    members: Places
    starts: Places
    weighting: str

    def __len__(self) -> int:
        return len(self.shock_id)

    def peer_weights(self, window: Window) -> Floats:
        """Weight of each member among those of its shock that have the whole window, shape (n,)."""
        there = np.isfinite(self.abnormal.car(window)[self.members]).astype(float)
        sizes = np.diff(np.append(self.starts, len(self.members)))
        value = self.abnormal.panel.weight
        if self.weighting == "value" and value is not None:
            total = np.repeat(self.total(there * value[self.members]), sizes)
            return there * value[self.members] / np.where(total > 0, total, 1.0)
        shock = np.repeat(np.arange(len(self.starts)), sizes)
        name = np.zeros(len(self.members), dtype=np.intp)
        if self.weighting == "market-balanced":
            name = np.unique(self.abnormal.panel.region[self.members], return_inverse=True)[1]
        key = shock * (name.max(initial=0) + 1) + name
        alike = np.bincount(key, weights=there, minlength=1)[key] if len(key) else there
        weight = np.where(there > 0, 1.0 / np.maximum(alike, 1.0), 0.0)
        total = np.repeat(self.total(weight), sizes)
        return weight / np.where(total > 0, total, 1.0)

    def count(self, window: Window) -> Counts:
        """Number of peers in each portfolio, shape (K,)."""
        return self.total((self.peer_weights(window) > 0).astype(float)).astype(np.int64)

    def weighted(self, window: Window) -> PeerWeights:
        """`peer_weights` and the quantities that depend on them but not on the days of the window."""
        weight = self.peer_weights(window)
        residual, used = self.residuals(weight)
        expected, days = self.abnormal.expected, used.sum(axis=1)
        estimated = (expected.n_estimation - expected.dof)[self.members]
        # Largest number of coefficients estimated for a member of each portfolio.
        p = np.array([estimated[first:last].max() for first, last in self.spans()], dtype=np.float64)
        with np.errstate(divide="ignore", invalid="ignore"):
            s2 = np.where(days > p, np.nansum(residual**2, axis=1) / (days - p), np.nan)
        return PeerWeights(weight, residual, used, s2)

    def car(self, window: Window) -> Floats:
        """Weighted mean CAR of each shock's peers, shape (K,); NaN if no peer has the window."""
        return self.mean_of(self.abnormal.car(window), self.peer_weights(window))

    def mean_of(self, car: Floats, weight: Floats) -> Floats:
        """Mean of the firm-events' (N,) values by shock with the members' weights, shape (K,)."""
        total = self.total(weight * np.where(weight > 0, car[self.members], 0.0))
        return np.where(self.total(weight) > 0, total, np.nan)

    def variance(self, window: Window, *, peers: PeerWeights | None = None) -> Floats:
        """Prediction-error variance of each portfolio's CAR, shape (K,).

        Notes
        -----
        The portfolio's own residuals e_pt = sum_i w_i e_it, day by day of the estimation window in
        event time, contain the peers' correlation (Jaffe 1974; Brown and Warner 1985), also between exchanges, with
        the time difference of the event. With a_it the weights with which the estimation days enter the prediction,
        the variance is s_p^2 (sum_t g_t^2 + sum_t (sum_i w_i a_it)^2). If all peers have one index and complete data,
        this is the exact variance of the market model fitted to the portfolio; with several indices the second, small
        term assumes that the residuals of the regional portfolios are the same. ``peers`` is `weighted`, if it has
        been computed already.
        """
        peers = peers or self.weighted(window)
        expected, days = self.abnormal.expected, self.abnormal.weights(window)
        scale = np.nan_to_num(expected.scale[self.members], nan=1.0)
        own = self.total(peers.weight * (scale * days**2).sum(axis=1))
        pull = np.einsum("npq,nq->np", expected.xtx_inv, np.nan_to_num(expected.window_design(days)))
        daily = np.einsum("nlp,np->nl", expected.estimation_design, pull)
        lever = self.total(peers.weight[:, None] * daily[self.members])
        variance: Floats = peers.s2 * (own + (lever**2).sum(axis=1))
        return variance

    def residuals(self, weight: Floats) -> tuple[Floats, Bools]:
        """Portfolio residuals in event time, and whether they exist, both (K, L1)."""
        error = self.abnormal.expected.residuals[self.members]
        there = np.isfinite(error)
        total = self.total(weight[:, None] * np.where(there, error, 0.0))
        share = self.total(weight[:, None] * there)
        used = share > 0
        return np.where(used, total / np.where(used, share, 1.0), np.nan), used

    def standardised(self, window: Window, *, peers: PeerWeights | None = None) -> Floats:
        """S_k = CAR_k over its prediction-error standard deviation, shape (K,)."""
        peers = peers or self.weighted(window)
        car = self.mean_of(self.abnormal.car(window), peers.weight)
        return car / np.sqrt(self.variance(window, peers=peers))

    def spans(self) -> list[tuple[int, int]]:
        """First position of each shock in ``members``, and the position after its last."""
        return list(itertools.pairwise([*self.starts.tolist(), len(self.members)]))

    def total(self, values: Floats) -> Floats:
        """Sum of the members' values by shock: (n, ...) to (K, ...)."""
        if not len(self.starts):
            return np.zeros((0, *values.shape[1:]))
        return np.add.reduceat(values, self.starts, axis=0)


def shock_portfolios(
    abnormal: AbnormalReturns, *, weighting: str = "market-balanced", by: Literal["shock", "date"] = "shock"
) -> ShockPortfolios:
    """Group a sample's firm-events into one portfolio for each shock, or for each date.

    A shock's portfolio is its lead (`EventPanel.lead`): all firm-events that start it. If none of them is in the
    sample, it consists of the firm-events with the earliest day 0 on each exchange. Shocks with the same first day 0
    in the sample are one date: tests use one portfolio for each date, with the leads of all its shocks and each
    security once. ``market-balanced`` weights peers equally within a region and regions equally; ``equal`` weights all
    peers equally, ``value`` by the panel's weights.
    """
    panel = abnormal.panel
    shocks, code = np.unique(panel.shock_id, return_inverse=True)
    rows, first_day = _first_days(panel, code, len(shocks))
    if by == "date" and len(np.unique(first_day)) < len(shocks):
        days, date = np.unique(first_day, return_inverse=True)
        shocks = np.array([", ".join(shocks[date == k].tolist()) for k in range(len(days))], dtype=np.str_)
        first_day, code = days, date[code]
        # A security in two shocks of one day counts once.
        security = np.unique(
            np.strings.add(panel.market[rows], np.strings.add(" ", panel.ticker[rows])), return_inverse=True
        )[1]
        keys = np.column_stack([code[rows], security, panel.day0[rows]])
        rows = rows[np.sort(np.unique(keys, axis=0, return_index=True)[1])]
    order = np.argsort(first_day, kind="stable")
    place = np.empty(len(shocks), dtype=np.intp)
    place[order] = np.arange(len(shocks))
    sizes = np.bincount(place[code[rows]], minlength=len(shocks))
    return ShockPortfolios(
        abnormal,
        shocks[order],
        first_day[order],
        rows[np.argsort(place[code[rows]], kind="stable")],
        (np.cumsum(sizes) - sizes).astype(np.intp),
        weighting,
    )


def shock_dates(panel: EventPanel) -> Days:
    """Date of the shock of each firm-event, shape (N,): the clusters of tests over dates.

    Days since 1970 of the first day 0 in the shock's portfolio, see `shock_portfolios`; later firm-events belong to
    the date of their shock.
    """
    shocks, code = np.unique(panel.shock_id, return_inverse=True)
    return _first_days(panel, code, len(shocks))[1][code]


def news_of(panel: EventPanel) -> Places:
    """Code of the news that each firm-event reacts to, shape (N,).

    The leads of one date are one piece of news on all exchanges; later firm-events are grouped by shock and day 0.
    """
    shock = np.unique(panel.shock_id, return_inverse=True)[1]
    shock = np.where(panel.lead, -1, shock)
    day = np.where(panel.lead, shock_dates(panel), panel.day0)
    code: Places = np.unique(np.column_stack([shock, day]), axis=0, return_inverse=True)[1]
    return code.reshape(-1)


def _first_days(panel: EventPanel, code: Places, n_shocks: int) -> tuple[Places, Days]:
    """Rows in the portfolio of their shock (its lead, else the earliest on each exchange), and its first day, (K,)."""
    led = np.bincount(code, weights=panel.lead, minlength=n_shocks) > 0
    markets, market = np.unique(panel.market, return_inverse=True)
    place = code * max(len(markets), 1) + market
    earliest = _earliest(panel.day0, place, n_shocks * max(len(markets), 1))
    rows = np.flatnonzero(np.where(led[code], panel.lead, panel.day0 == earliest[place]))
    return rows, _earliest(panel.day0[rows], code[rows], n_shocks)


def _earliest(days: Days, code: Places, n: int) -> Days:
    """Earliest day of each of n codes; the largest integer if a code has none."""
    first = np.full(n, np.iinfo(np.int32).max, dtype=np.int32)
    np.minimum.at(first, code, days)
    return first
