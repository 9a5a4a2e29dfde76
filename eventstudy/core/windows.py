"""Cut the estimation and event windows of all firm-events."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from eventstudy.core.arrays import Bools, Counts, Days, Floats, Places, Texts

#: Marks a day before the start of the data; sorts before every session.
NO_SESSION = np.iinfo(np.int32).min
#: Fields of `EventPanel` that all its firm-events share.
SHARED = ("tau", "factor_names", "gap", "kind")


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One firm-event to be cut: column ``column`` of a market's returns around row ``position``.

    ``estimation`` and ``event`` are its own windows, if they differ from the study's; ``benchmark`` is its own index.
    """

    event_id: str
    shock_id: str
    ticker: str
    market: str
    region: str
    position: int
    column: int
    lead: bool = True
    weight: float = 1.0
    benchmark: str = ""
    estimation: tuple[int, int] | None = None
    event: tuple[int, int] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class EventPanel:
    """Returns of N firm-events around day 0.

    Attributes
    ----------
    event_id, shock_id, ticker, market, region : (N,) str
    lead : (N,) bool
        Whether the firm-event belongs to the lead of the shock (and is no follower).
    tau : (L2,) int
        Event days, day 0 = event session.
    estimation_returns : (N, L1) float
        Returns of the estimation window, NaN where missing or cut.
    estimation_factors : (N, L1, K) float
        The factors on the same sessions, the market first.
    estimation_sessions : (N, L1) int32
        Calendar day (days since 1970) of each session; used to find sessions that events share.
    event_returns, event_factors, event_sessions
        The same over the event window: (N, L2), (N, L2, K), (N, L2).
    event_flags : (N, L2) uint8
        Reason why a return is missing, see `returns.FLAG_NAMES`.
    factor_names : tuple of str
        Names of the K factors. A column ``span`` is no factor: it counts the sessions that a return
        covers, more than one after a gap, zero on the days of the gap.
    gap : int
        Sessions between the estimation window's last day and the first event day.
    kind
        ``simple`` (returns compound by products) or ``log`` (by sums).
    weight : (N,), optional
        Weight of each firm-event in value-weighted means; None gives equal weights.

    Examples
    --------
    ``panel`` is an `EventPanel`, the input of a model.

    >>> days, around = panel.factor("market")
    >>> days.shape == panel.estimation_returns.shape, around.shape == (len(panel), len(panel.tau))
    (True, True)
    """

    event_id: Texts
    shock_id: Texts
    ticker: Texts
    market: Texts
    region: Texts
    lead: Bools
    tau: Counts
    estimation_returns: Floats
    estimation_factors: Floats
    estimation_sessions: Days
    event_returns: Floats
    event_factors: Floats
    event_sessions: Days
    event_flags: NDArray[np.uint8]
    factor_names: tuple[str, ...] = ("market",)
    gap: int = 0
    kind: Literal["simple", "log"] = "simple"
    weight: Floats | None = None

    def __len__(self) -> int:
        return len(self.event_id)

    @property
    def day0(self) -> Days:
        """Calendar day of day 0, shape (N,)."""
        return self.event_sessions[:, int(np.flatnonzero(self.tau == 0)[0])]

    def complete(self) -> Bools:
        """Estimation days with a return and all factors, shape (N, L1)."""
        return np.isfinite(self.estimation_returns) & np.isfinite(self.estimation_factors).all(axis=2)

    def take(self, index: Places | Bools) -> EventPanel:
        """Return the firm-events at ``index`` (positions or a mask)."""
        kept: dict[str, Any] = {f.name: getattr(self, f.name) for f in fields(self)}
        return EventPanel(**{name: v if name in SHARED or v is None else v[index] for name, v in kept.items()})

    def factor(self, name: str) -> tuple[Floats, Floats]:
        """Return one factor over both windows, (N, L1) and (N, L2); `KeyError` lists the available ones."""
        if name not in self.factor_names:
            raise KeyError(f"no factor {name!r}; there are {', '.join(self.factor_names)}")
        at = self.factor_names.index(name)
        return self.estimation_factors[:, :, at], self.event_factors[:, :, at]

    def spans(self) -> tuple[Floats, Floats]:
        """Return the number of sessions of each return in both windows; ones without a column ``span``."""
        if "span" in self.factor_names:
            return self.factor("span")
        return np.ones(self.estimation_returns.shape), np.ones(self.event_returns.shape)

    def with_factors(self, *names: str) -> EventPanel:
        """Return the panel with only these factors, and with ``span`` if it exists."""
        kept = (*names, *(name for name in self.factor_names if name == "span"))
        both = [self.factor(name) for name in kept]
        before, around = (
            np.stack([pair[side] for pair in both], axis=2) if both else np.zeros((*shape, 0))
            for side, shape in enumerate((self.estimation_returns.shape, self.event_returns.shape))
        )
        return replace(self, factor_names=kept, estimation_factors=before, event_factors=around)


def cut(
    requests: Sequence[Request],
    returns: Floats,
    factors: Floats,
    sessions: Days,
    flags: NDArray[np.uint8],
    excluded: Bools,
    *,
    estimation: tuple[int, int],
    event: tuple[int, int],
    factor_names: tuple[str, ...] = ("market",),
    ahead: Sequence[int] = (),
    kind: Literal["simple", "log"] = "simple",
    benchmarks: Mapping[str, Floats] = {},
) -> EventPanel:
    """Cut the windows of one market's firm-events.

    Parameters
    ----------
    returns, flags, excluded : (T, n)
        The market's panel; ``excluded`` marks days that no estimation of that column may use.
    factors : (T, K) or (T, n, K)
        The same for all columns, or one set for each.
    sessions : (T,) int32
        Days since 1970.
    estimation, event
        First and last day relative to day 0, both included.
    ahead : (K,) int
        Number of sessions by which each factor looks ahead. If this would leave the estimation window, the factor is
        NaN, so that no estimation uses the gap or the event.

    benchmarks
        Returns (T,) of indices of single requests; they replace the first factor.

    Days outside a request's own windows are NaN, also in the factors of its estimation window. Days before the start
    and after the end of the data are NaN with session `NO_SESSION`.
    """
    position = np.array([request.position for request in requests], dtype=np.intp)
    column = np.array([request.column for request in requests], dtype=np.intp)[:, None]
    before, around = (np.arange(first, last + 1) for first, last in (estimation, event))
    rows, there = _rows(position, before, len(sessions))
    own = np.array([request.estimation or estimation for request in requests])
    usable = there & ~excluded[rows, column] & (before >= own[:, :1]) & (before <= own[:, 1:])
    event_rows, event_there = _rows(position, around, len(sessions))
    asked = np.array([request.event or event for request in requests])
    inside = event_there & (around >= asked[:, :1]) & (around <= asked[:, 1:])
    names = {
        name: np.array([getattr(request, name) for request in requests], dtype=np.str_)
        for name in ("event_id", "shock_id", "ticker", "market", "region")
    }
    shape = (*returns.shape, factors.shape[-1])
    by_column = factors if factors.ndim == 3 else np.broadcast_to(factors[:, None], shape)
    seen = before[:, None] + np.array(ahead or [0] * shape[-1]) <= own[:, 1, None, None]
    before_factors, around_factors = by_column[rows, column], by_column[event_rows, column]
    for at, request in enumerate(requests):
        if request.benchmark:
            before_factors[at, :, 0] = benchmarks[request.benchmark][rows[at]]
            around_factors[at, :, 0] = benchmarks[request.benchmark][event_rows[at]]
    return EventPanel(
        **names,
        lead=np.array([request.lead for request in requests], dtype=bool),
        tau=around.astype(np.int64),
        estimation_returns=np.where(usable, returns[rows, column], np.nan),
        estimation_factors=np.where(there[:, :, None] & seen, before_factors, np.nan),
        estimation_sessions=np.where(there, sessions[rows], NO_SESSION).astype(np.int32),
        event_returns=np.where(inside, returns[event_rows, column], np.nan),
        event_factors=np.where(event_there[:, :, None], around_factors, np.nan),
        event_sessions=np.where(event_there, sessions[event_rows], NO_SESSION).astype(np.int32),
        event_flags=np.where(event_there, flags[event_rows, column], 1).astype(np.uint8),
        factor_names=factor_names,
        gap=max(event[0] - estimation[1] - 1, 0),
        kind=kind,
        weight=np.array([request.weight for request in requests], dtype=np.float64),
    )


def join(panels: Sequence[EventPanel]) -> EventPanel:
    """Stack the panels of several markets, in the order given."""
    stacked: dict[str, Any] = {
        f.name: getattr(panels[0], f.name)
        if f.name in SHARED or getattr(panels[0], f.name) is None
        else np.concatenate([getattr(panel, f.name) for panel in panels])
        for f in fields(EventPanel)
    }
    return EventPanel(**stacked)


def _rows(position: Places, offsets: Counts, length: int) -> tuple[Places, Bools]:
    rows = position[:, None] + offsets[None, :]
    there = (rows >= 0) & (rows < length)
    return np.where(there, rows, 0), there
