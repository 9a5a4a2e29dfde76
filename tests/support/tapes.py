"""Tapes of the backtest, made from returns: weekdays, and traded prices equal to adjusted ones."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from eventstudy.backtest.past_view import Tape
from eventstudy.backtest.rule import Shock

#: Close in hours UTC.
CLOSES = {"XSHE": 7, "XNYS": 21}
CURRENCY = {"XSHE": "CNY", "XNYS": "USD"}
HOUR = 3_600 * 10**9


def weekdays(start: str, count: int) -> NDArray[np.int32]:
    first = np.busday_offset(start, 0, roll="forward")
    return np.busday_offset(first, np.arange(count)).astype("datetime64[D]").astype(np.int32)


def make_tape(
    mic: str,
    returns: NDArray[np.float64],
    index: NDArray[np.float64],
    *,
    start: str = "2021-01-04",
    value_traded: float = 12_500_000.0,
    settle: int | None = None,
) -> Tape:
    """A tape whose first price is 100 and whose mean daily value traded is the same every day."""
    length, n = returns.shape
    sessions = weekdays(start, length)
    midnight = sessions.astype(np.int64) * 24 * HOUR
    price = 100.0 * np.cumprod(1.0 + returns, axis=0)
    nothing = np.zeros((length, n), dtype=bool)
    return Tape(
        mic=mic,
        region={"XSHE": "CN", "XNYS": "US"}[mic],
        currency=CURRENCY[mic],
        tickers=tuple(f"{mic[-2:]}{i}" for i in range(n)),
        sessions=sessions,
        opens=midnight + (CLOSES[mic] - 6) * HOUR,
        closes=midnight + CLOSES[mic] * HOUR,
        price=price,
        open=price.copy(),
        low=price.copy(),
        close=price.copy(),
        volume=value_traded / price,
        index=100.0 * np.cumprod(1.0 + index),
        member=np.ones((length, n), dtype=bool),
        usable=np.ones((length, n), dtype=bool),
        locked_up=nothing.copy(),
        locked_down=nothing.copy(),
        settle=np.full(n, (mic == "XSHE") if settle is None else settle, dtype=np.int64),
        fx=np.ones(length),
    )


def random_tapes(seed: int, *, length: int = 900, n: int = 4) -> dict[str, Tape]:
    """Two exchanges with betas about one and common sector moves, so that drops occur."""
    rng = np.random.default_rng(seed)
    sector = rng.standard_t(4, length) * 0.012
    tapes = {}
    for mic in ("XNYS", "XSHE"):
        index = rng.normal(0, 0.008, length)
        own = rng.normal(0, 0.01, (length, n))
        returns = index[:, None] * rng.uniform(0.8, 1.4, n) + sector[:, None] + own
        tapes[mic] = make_tape(mic, returns, index)
    return tapes


def random_shocks(
    tapes: dict[str, Tape], seed: int, count: int, *, label: str = "misreading", earliest: int = 255
) -> list[Shock]:
    """Shocks at random rows, the same on both exchanges, hitting all peers."""
    rng = np.random.default_rng(seed)
    length = min(len(tape) for tape in tapes.values())
    rows = np.sort(rng.choice(np.arange(earliest, length - 30), count, replace=False))
    columns = {mic: tuple(range(len(tape.tickers))) for mic, tape in tapes.items()}
    return [
        Shock(shock_id=f"S{row}", label=label, label_known=0, day0={mic: int(row) for mic in tapes}, columns=columns)
        for row in rows
    ]
