"""Input and output of the fits of a long list: a wide panel, events, windows, results."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Literal

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from eventstudy.config import Model, Window
from eventstudy.core.abnormal import LAST_ALPHA_DAY, Alpha
from eventstudy.errors import ConfigError

#: Supported models, with their numbers of estimated coefficients; that of ``factors`` follows from the settings.
COEFFICIENTS = {"market": 2, "market_adjusted": 0, "mean_adjusted": 1, "raw": 0, "capm": 2, "factors": 0}


@dataclass(frozen=True, slots=True)
class Layout:
    """Sessions of the windows relative to day 0, both ends included, the model and the policy of its intercept."""

    estimation: Window = (-250, -11)
    event: Window = (-10, 20)
    car: tuple[Window, ...] = ((0, 1), (2, 20))
    alpha: Alpha = "auto"
    model: Model = field(default_factory=Model)

    def __post_init__(self) -> None:
        first, last = self.event
        wrong = [f"[{a},{b}]" for a, b in self.car if not first <= a <= b <= last]
        if wrong:
            raise ConfigError(f"windows {', '.join(wrong)} lie outside the event window [{first},{last}]")
        if self.alpha == "shrink":
            raise ConfigError(
                "model.alpha = 'shrink' needs the peers of one event; market-wide studies accept auto, "
                "estimated and zero"
            )

    @property
    def coefficients(self) -> int:
        """Number of estimated coefficients of each firm-event."""
        name = self.model.name
        return 1 + len(self.model.factors) if name == "factors" else COEFFICIENTS[name]

    @property
    def n_estimation(self) -> int:
        """Days of the estimation window, L1."""
        return self.estimation[1] - self.estimation[0] + 1

    @property
    def n_event(self) -> int:
        """Days of the event window, L2."""
        return self.event[1] - self.event[0] + 1

    @property
    def tau(self) -> NDArray[np.int64]:
        """Event days, shape (L2,)."""
        return np.arange(self.event[0], self.event[1] + 1)

    @property
    def carries_alpha(self) -> NDArray[np.bool_]:
        """Event days on which the intercept is part of the expected return, shape (L2,)."""
        if self.alpha == "auto":
            kept: NDArray[np.bool_] = self.tau <= LAST_ALPHA_DAY
            return kept
        return np.full(self.n_event, self.alpha == "estimated")

    def inside(self, window: Window) -> slice:
        """Positions of a window's days among the event days."""
        return slice(window[0] - self.event[0], window[1] - self.event[0] + 1)

    def alpha_days(self, window: Window) -> int:
        """Number of days of a window on which the intercept is used."""
        return int(np.count_nonzero(self.carries_alpha[self.inside(window)]))


@dataclass(frozen=True, slots=True)
class WidePanel:
    """Returns of a whole market on one axis of sessions.

    Attributes
    ----------
    returns : (S, T)
        One row for each security; NaN if there is no return.
    indices : (K, T)
        Returns of the indices.
    kind
        Whether returns are simple or log.
    clean : (S, T), optional
        The returns without those that estimations leave out; by default all.
    factors
        Series (T,) of other factors and of the risk-free return, by the names of the model's settings.
    """

    returns: NDArray[np.float64]
    indices: NDArray[np.float64]
    kind: Literal["simple", "log"] = "simple"
    clean: NDArray[np.float64] | None = None
    factors: Mapping[str, NDArray[np.float64]] = field(default_factory=dict)

    @property
    def estimation(self) -> NDArray[np.float64]:
        """Returns for estimation windows, (S, T)."""
        return self.returns if self.clean is None else self.clean

    @property
    def sessions(self) -> int:
        """Number of sessions, T."""
        return int(self.returns.shape[1])


@dataclass(frozen=True, slots=True)
class FirmEvents:
    """N firm-events: ``position`` of day 0 on the sessions, ``security`` and ``index`` by row, all (N,)."""

    position: NDArray[np.intp]
    security: NDArray[np.intp]
    index: NDArray[np.intp]

    def __len__(self) -> int:
        return len(self.position)

    def take(self, rows: NDArray[np.intp] | NDArray[np.bool_] | slice) -> FirmEvents:
        """Return the firm-events at ``rows``."""
        return FirmEvents(self.position[rows], self.security[rows], self.index[rows])


@dataclass(frozen=True, slots=True)
class MarketFit:
    """Fits and CARs of N firm-events over W windows.

    Attributes
    ----------
    alpha, beta, sigma : (N,)
        sigma = sqrt(SSE/(n-k)), with the n days of the estimation window that have all returns and k
        coefficients; alpha and beta are NaN where the model has none.
    n : (N,) int32
        Number of these days.
    car, variance : (W, N)
        CAR and its exact prediction-error variance, estimation error included; both NaN where a day
        of the window is missing.
    """

    alpha: NDArray[np.float64]
    beta: NDArray[np.float64]
    sigma: NDArray[np.float64]
    n: NDArray[np.int32]
    car: NDArray[np.float64]
    variance: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.alpha)

    def scar(self, window: int) -> NDArray[np.float64]:
        """CAR of a window, by its index, over its prediction-error standard deviation, shape (N,)."""
        with np.errstate(divide="ignore", invalid="ignore"):
            scaled: NDArray[np.float64] = self.car[window] / np.sqrt(self.variance[window])
        return scaled

    def take(self, rows: NDArray[np.intp] | NDArray[np.bool_] | slice) -> MarketFit:
        """Return the firm-events at ``rows``."""
        return MarketFit(**{f.name: getattr(self, f.name)[..., rows] for f in fields(self)})

    def without(self, rows: NDArray[np.bool_]) -> MarketFit:
        """Return the same fit with the CARs of the marked firm-events set to NaN."""
        missing = np.where(rows, np.nan, 0.0)
        return replace(self, car=self.car + missing, variance=self.variance + missing)


def empty_fit(n: int, windows: int) -> MarketFit:
    """Return uninitialised arrays for n firm-events."""
    one = {name: np.empty(n) for name in ("alpha", "beta", "sigma")}
    both = {name: np.empty((windows, n)) for name in ("car", "variance")}
    return MarketFit(n=np.empty(n, dtype=np.int32), **one, **both)


def put(out: MarketFit, rows: NDArray[np.intp], part: MarketFit) -> None:
    """Write the firm-events of ``part`` into ``rows`` of ``out``."""
    for f in fields(MarketFit):
        there, new = getattr(out, f.name), getattr(part, f.name)
        for line, values in zip(np.atleast_2d(there), np.atleast_2d(new), strict=True):
            line[rows] = values


def windows_of(
    values: NDArray[np.float64], row: NDArray[np.intp], first: NDArray[np.intp], length: int
) -> NDArray[np.float64]:
    """Copy ``length`` sessions from ``first`` on of each row, (m, length), NaN outside the data."""
    sessions = values.shape[1]
    inside = (first >= 0) & (first + length <= sessions)
    if length <= sessions and inside.all():
        return _views(values, length)[row, first]
    at = first[:, None] + np.arange(length)
    there = (at >= 0) & (at < sessions)
    return np.where(there, values[row[:, None], np.where(there, at, 0)], np.nan)


def _views(values: NDArray[np.float64], length: int) -> NDArray[np.float64]:
    """All windows of each row, (rows, starts, length), without a copy."""
    if not values.flags.c_contiguous:
        return sliding_window_view(values, length, axis=1)
    # A tenth of the time of numpy's function, which matters in small chunks.
    row, day = values.strides
    shape = len(values), values.shape[1] - length + 1, length
    return np.ndarray(shape, values.dtype, values, 0, (row, day, day))


def pairs_of(
    panel: WidePanel, returns: NDArray[np.float64], events: FirmEvents, first: int, length: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Copy ``length`` sessions from event day ``first`` on, of these returns and of the index, (m, length)."""
    at = events.position + first
    return windows_of(returns, events.security, at, length), windows_of(panel.indices, events.index, at, length)
