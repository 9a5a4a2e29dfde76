"""Price data of each exchange, and the view of the past that a decision may read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]


class LookAheadError(IndexError):
    """A decision asked for data of a session that had not closed yet."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tape:
    """One exchange's sessions, oldest first: T sessions, n securities.

    Attributes
    ----------
    sessions : (T,) int32
        Days since 1970.
    opens, closes : (T,) int64
        UTC nanoseconds.
    price : (T, n)
        Adjusted close, NaN without trade. Only ratios are used; they do not change if a later split or dividend
        rescales the past.
    open, low, close : (T, n)
        Traded prices in the currency of the exchange, NaN where unknown.
    volume : (T, n)
        Shares.
    index : (T,)
        Level of the benchmark.
    member, usable : (T, n)
        Whether the security belonged to the peers on that day, and whether an estimation may use it.
    locked_up, locked_down : (T, n)
        Whether it closed at the limit.
    settle : (n,) int
        Sessions that must pass before a share bought can be sold; 1 is T+1.
    fx : (T,)
        Units of the base currency for one of the exchange's, as known when the session opened; NaN where
        no rate was known.
    """

    mic: str
    region: str
    currency: str
    tickers: tuple[str, ...]
    sessions: NDArray[np.int32]
    opens: NDArray[np.int64]
    closes: NDArray[np.int64]
    price: Floats
    open: Floats
    low: Floats
    close: Floats
    volume: Floats
    index: Floats
    member: Bools
    usable: Bools
    locked_up: Bools
    locked_down: Bools
    settle: NDArray[np.int64]
    fx: Floats

    def __len__(self) -> int:
        return len(self.sessions)

    @property
    def returns(self) -> Floats:
        """Simple returns between neighbouring sessions, (T, n), NaN where either has no price."""
        return _returns(self.price)

    @property
    def index_returns(self) -> Floats:
        """Returns of the benchmark, (T,)."""
        return _returns(self.index)

    def until(self, count: int) -> Tape:
        """Return the first ``count`` sessions, read-only."""
        cut = {name: getattr(self, name)[:count] for name in _BY_SESSION}
        for array in cut.values():
            array.flags.writeable = False
        return replace(self, **cut)

    def day(self, row: int) -> str:
        """ISO date of a session."""
        return str(np.datetime64(int(self.sessions[row]), "D"))


_BY_SESSION = tuple(
    item.name for item in fields(Tape) if item.name not in ("mic", "region", "currency", "tickers", "settle")
)


def _returns(price: Floats) -> Floats:
    returns = np.full(price.shape, np.nan)
    returns[1:] = price[1:] / price[:-1] - 1.0
    return returns


@dataclass(frozen=True, slots=True)
class PastView:
    """The data known at one instant: only sessions that had closed.

    A decision receives this object instead of the tapes, so that it cannot use later data. ``now`` is in UTC
    nanoseconds; a session is known from its close on.
    """

    _tapes: Mapping[str, Tape]
    now: int

    @property
    def exchanges(self) -> tuple[str, ...]:
        """MICs of the exchanges with data."""
        return tuple(self._tapes)

    def sessions(self, mic: str) -> int:
        """Number of sessions in an exchange's calendar, which is public in advance (data are not)."""
        return len(self._tapes[mic])

    def known(self, mic: str) -> int:
        """Number of sessions of an exchange that have closed."""
        return int(np.searchsorted(self._tapes[mic].closes, self.now, side="right"))

    def closed(self, mic: str) -> Tape:
        """Return the tape of an exchange up to its last closed session."""
        return self._tapes[mic].until(self.known(mic))

    def through(self, mic: str, row: int) -> Tape:
        """Return the tape up to and including session ``row``.

        Raises
        ------
        LookAheadError
            If that session had not closed.
        """
        if row >= self.known(mic):
            raise LookAheadError(
                f"{mic}: session {row} had not closed at {np.datetime64(self.now, 'ns')}, when the decision "
                f"was taken; the last closed one is {self.known(mic) - 1}"
            )
        return self._tapes[mic].until(row + 1)

    def knows(self, instant: int | None) -> bool:
        """Whether something published at ``instant`` is known now; false for None."""
        return instant is not None and instant <= self.now
