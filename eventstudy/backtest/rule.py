"""The trading rule: which shocks are traded, and the orders of a decision, from past data only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from eventstudy.backtest.past_view import Floats, PastView, Tape
from eventstudy.config import Reversal, StudyConfig, Window
from eventstudy.core.abnormal import abnormal_returns, shock_portfolios
from eventstudy.core.models import ExpectedReturns, fit
from eventstudy.core.windows import EventPanel, Request, cut, join
from eventstudy.errors import Reason
from eventstudy.reversal.drops import Drops, drops

Gate = Literal["strict", "post_hoc", "off"]


@dataclass(frozen=True, slots=True)
class Answer:
    """A clarification: when it was public (UTC nanoseconds) and its day 0 on each exchange."""

    event_id: str
    known: int
    day0: Mapping[str, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Shock:
    """One shock as input of the backtest.

    ``day0`` maps a MIC to the row of day 0, ``columns`` to its securities. ``label_known`` is when the label could
    first be known in UTC nanoseconds, None if unknown. ``known`` is when the event was certainly public, None for
    control drops.
    """

    shock_id: str
    label: str
    label_known: int | None
    day0: Mapping[str, int]
    columns: Mapping[str, tuple[int, ...]]
    answers: tuple[Answer, ...] = ()
    known: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """All settings of a trade. Windows are in event days; money is in units of ``capital``."""

    drop: Window = (0, 1)
    entry_day: int = 2
    entry_at: Literal["open", "close"] = "close"
    horizon: int = 20
    clarification_exit: bool = True
    stop: float = 0.0
    label: str = "misreading"
    gate: Gate = "strict"
    criteria: Reversal = field(default_factory=Reversal)
    estimation: Window = (-250, -11)
    minimum: int = 120
    weights: str = "market-balanced"
    hedge: bool = True
    gross_cap: float = 1.0
    per_shock: float = 0.5
    capacity_share: float = 0.05
    adv_days: int = 20
    retry: int = 0
    capital: float = 1_000_000.0

    @property
    def signal(self) -> Window:
        """The part of the drop window that is over when the entry is decided."""
        return self.drop[0], min(self.drop[1], self.entry_day - 1)

    def trades(self, label: str) -> bool:
        """Whether the rule trades shocks with this label."""
        return self.gate == "off" or label == self.label

    @property
    def name(self) -> str:
        """Short name of the specification."""
        return f"{self.entry_at}+{self.entry_day}, exit +{self.horizon}"


#: Settings that are copied to the rule unchanged.
_SAME = {"horizon", "clarification_exit", "stop", "hedge", "gross_cap", "per_shock", "capacity_share", "adv_days"}
_SAME |= {"retry", "capital"}


def rule_of(config: StudyConfig) -> Rule:
    """Return the rule of the study's settings."""
    trade, windows, asked = config.backtest, config.windows, config.reversal
    at, _, day = trade.entry.partition("+")
    return Rule(
        drop=windows.drop,
        entry_day=int(day),
        entry_at="open" if at == "open" else "close",
        label=asked.label,
        gate=trade.label_gate,
        # Only settings that define a drop; the case study, for example, does not change the rule.
        criteria=Reversal(drop_k=asked.drop_k, drop_min=asked.drop_min, share_negative=asked.share_negative),
        estimation=windows.estimation,
        minimum=windows.minimum,
        weights=config.tests.weights,
        **{name: getattr(trade, name) for name in _SAME},
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """Order to buy one peer at the first possible session from ``row`` on, and to sell short ``beta`` units of the
    index.

    ``horizon_row`` is the session of the last event day, counted from day 0 even if the purchase is late. ``adv`` is
    the mean daily value traded in the exchange's currency, ``sigma`` the daily standard deviation of its returns
    before the drop, ``car`` its abnormal return in the drop. All are known at the decision.
    """

    mic: str
    column: int
    row: int
    horizon_row: int
    beta: float
    sigma: float
    adv: float
    car: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """The rule's decision on one shock.

    ``refusal`` is empty if it trades; ``time`` is 0 if there was no decision.
    """

    shock_id: str
    label: str
    time: int
    car: float = float("nan")
    s: float = float("nan")
    share_negative: float = float("nan")
    n_peers: int = 0
    qualifies: bool = False
    refusal: Reason = Reason()
    orders: tuple[Order, ...] = ()


def decision_time(rule: Rule, tapes: Mapping[str, Tape], shock: Shock) -> int | None:
    """Return when the last of the shock's exchanges closes the signal window, in UTC nanoseconds.

    Exchanges whose data end before are ignored; None if none is left. There is one decision for the whole shock,
    because the study treats it as one portfolio.
    """
    ends = [
        int(tape.closes[row])
        for mic, tape in tapes.items()
        if mic in shock.day0 and shock.columns.get(mic) and (row := shock.day0[mic] + rule.signal[1]) < len(tape)
    ]
    return max(ends) if ends else None


@dataclass(frozen=True, slots=True)
class Judged:
    """One shock as a drop: its firm-events with their fit, whether it is a drop, and each peer's CAR and weight."""

    panel: EventPanel
    expected: ExpectedReturns
    drop: Drops
    car: Floats
    weight: Floats


def orders_of(rule: Rule, past: PastView, shock: Shock, judged: Judged | None) -> Decision:
    """Return the orders of a judgement.

    A shock is traded when it is a drop by the study's own rule over the part of the drop window that
    has passed, and if the gate accepts its label. It buys the peers that fell themselves.
    """
    undecided = Decision(shock_id=shock.shock_id, label=shock.label, time=past.now)
    if judged is None:
        return replace(undecided, refusal=Reason("refusal.no_peer"))
    drop = judged.drop
    qualifies = bool(drop.qualifies[0])
    refusal = _gate(rule, past, shock) if qualifies else Reason("refusal.no_drop", why=drop.why_not[0])
    fallen = np.flatnonzero((judged.weight > 0) & (judged.car < 0))
    return replace(
        undecided,
        car=float(drop.drop[0]),
        s=float(drop.drop_s[0]),
        share_negative=float(drop.share_negative[0]),
        n_peers=int(drop.n_peers[0]),
        qualifies=qualifies,
        refusal=refusal,
        orders=() if refusal else tuple(_order(rule, past, shock, judged, int(i)) for i in fallen),
    )


def _gate(rule: Rule, past: PastView, shock: Shock) -> Reason:
    """Return why the event or its label excludes the shock; empty if it is traded."""
    if shock.known is not None and not past.knows(shock.known):
        return Reason("refusal.not_public")
    if rule.gate == "off":
        return Reason()
    if shock.label != rule.label:
        return Reason("refusal.other_label", label=shock.label, asked=rule.label)
    if rule.gate == "strict" and not past.knows(shock.label_known):
        return Reason("refusal.late_label")
    return Reason()


def judge_shock(rule: Rule, past: PastView, shock: Shock) -> Judged | None:
    """Estimate a shock's peers and judge the drop from past data; None without a usable peer."""
    panels = [
        _panel(rule, past, mic, shock)
        for mic in past.exchanges
        if mic in shock.day0 and shock.columns.get(mic) and shock.day0[mic] + rule.signal[1] < past.sessions(mic)
    ]
    known = [panel for panel in panels if panel is not None and len(panel)]
    if not known:
        return None
    panel = join(known)
    panel = panel.take(panel.complete().sum(axis=1) >= rule.minimum)
    if not len(panel):
        return None
    expected = fit(panel, "market")
    portfolios = shock_portfolios(abnormal_returns(panel, expected), weighting=rule.weights)
    # The post window is not known yet; the drop window replaces it, and its result is not used.
    drop = drops(portfolios, rule.signal, rule.signal, rule.criteria)
    order = np.argsort(portfolios.members)
    car = portfolios.abnormal.car(rule.signal)[portfolios.members][order]
    return Judged(panel, expected, drop, car, portfolios.peer_weights(rule.signal)[order])


def _panel(rule: Rule, past: PastView, mic: str, shock: Shock) -> EventPanel | None:
    day0 = shock.day0[mic]
    tape = past.through(mic, day0 + rule.signal[1])
    columns = [column for column in shock.columns[mic] if tape.member[day0, column]]
    if not columns:
        return None
    requests = [
        Request(
            event_id=shock.shock_id,
            shock_id=shock.shock_id,
            ticker=f"{mic}:{column}",
            market=mic,
            region=tape.region,
            position=day0,
            column=column,
        )
        for column in columns
    ]
    return cut(
        requests,
        tape.returns,
        tape.index_returns[:, None],
        tape.sessions,
        np.zeros(tape.price.shape, dtype=np.uint8),
        ~tape.usable,
        estimation=rule.estimation,
        event=(min(rule.signal[0], 0), max(rule.signal[1], 0)),
    )


def _order(rule: Rule, past: PastView, shock: Shock, judged: Judged, i: int) -> Order:
    mic, _, column = str(judged.panel.ticker[i]).partition(":")
    expected, day0 = judged.expected, shock.day0[mic]
    beta = float(expected.theta[i, expected.loadings.index("beta")]) if rule.hedge else 0.0
    return Order(
        mic=mic,
        column=int(column),
        row=max(day0 + rule.entry_day, past.known(mic)),
        horizon_row=day0 + rule.horizon,
        beta=beta,
        sigma=float(np.nanstd(judged.panel.estimation_returns[i], ddof=1)),
        adv=mean_value_traded(past.closed(mic), int(column), rule.adv_days),
        car=float(judged.car[i]),
    )


def mean_value_traded(tape: Tape, column: int, days: int) -> float:
    """Mean daily value traded over the last sessions of the tape; NaN if volume is unknown."""
    value: NDArray[np.float64] = tape.close[-days:, column] * tape.volume[-days:, column]
    there = np.isfinite(value)
    return float(value[there].mean()) if there.any() else float("nan")
