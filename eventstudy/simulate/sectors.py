"""Simulate sectors: abnormal returns with clustered volatility and jumps, and their falls."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.signal import lfilter

from eventstudy.config import Reversal, Window, Windows
from eventstudy.reversal.estimator import Falls, is_control
from eventstudy.reversal.verdict import Past

#: Sessions of a simulated sector, and burn-in sessions before them.
SESSIONS, BURN_IN = 2_100, 300
#: Standard deviation of a usual day.
DAILY = 0.018
#: GARCH(1,1): weights of yesterday's squared shock and of yesterday's variance.
ARCH, GARCH = 0.08, 0.90
DEGREES = 5
#: Persistence of the slow logarithm of volatility, and its daily standard deviation.
SLOW, SLOW_SD = 0.998, 0.02
#: Share of days that jump, and the jump's standard deviation in usual days.
JUMPS, JUMP_SD = 0.01, 3.0
#: Decay of the recent variance, and number of days for its starting value.
DECAY, FIRST_DAYS = 0.94, 60
#: Price limit in standard deviations of a usual day; the rest of a larger move is carried to the next day.
LIMIT = 3.0
#: Sessions of the run-up before day 0.
RUN_UP = 60
#: Block length in sessions for histories from a sector's own returns, and sessions in a week.
HALF_YEAR, SESSIONS_A_WEEK = 125, 5


def sector_returns(count: int, rng: np.random.Generator, *, limits: bool = False) -> NDArray[np.float64]:
    """Simulate abnormal returns of sectors without effects, (count, T).

    Notes
    -----
    r_t = 0.018 exp(s_t) (e_t + j_t): e_t is GARCH(1,1) with t(5) shocks, s_t = 0.998 s_(t-1) + 0.02 n_t moves
    the level of volatility over years, and one day in a hundred has a jump j_t of three usual days' standard
    deviation. With ``limits`` a day moves by three usual days at most; the rest is carried over.
    """
    days = SESSIONS + BURN_IN
    shock = rng.standard_t(DEGREES, (days, count)) * np.sqrt((DEGREES - 2) / DEGREES)
    moved = np.empty((days, count))
    variance = np.ones(count)
    for day in range(days):
        moved[day] = np.sqrt(variance) * shock[day]
        variance = (1.0 - ARCH - GARCH) + ARCH * moved[day] ** 2 + GARCH * variance
    moved += (rng.random((days, count)) < JUMPS) * rng.standard_normal((days, count)) * JUMP_SD
    slow = lfilter([1.0], [1.0, -SLOW], SLOW_SD * rng.standard_normal((days, count)), axis=0)
    returns = DAILY * np.exp(slow) * moved
    if limits:
        carried = np.zeros(count)
        for day in range(days):
            wanted = returns[day] + carried
            returns[day] = np.clip(wanted, -LIMIT * DAILY, LIMIT * DAILY)
            carried = wanted - returns[day]
    return np.asarray(returns[BURN_IN:].T, dtype=np.float64)


def reordered(returns: NDArray[np.float64], count: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """Return histories of the same length as a given one (T,), from its half-years in random order, (count, T)."""
    days = len(returns)
    starts = rng.integers(days, size=(count, -(-days // HALF_YEAR)))
    rows = (starts[:, :, None] + np.arange(HALF_YEAR)).reshape(count, -1)[:, :days] % days
    centred: NDArray[np.float64] = (returns - returns.mean()).take(rows)
    return centred


def pasts(returns: NDArray[np.float64], windows: Windows, rule: Reversal) -> list[Past]:
    """Find the falls of every sector (rows of ``returns`` (n, T)); each sector is a stratum.

    Notes
    -----
    sigma is the standard deviation over the estimation window, the recent one the root of the exponentially
    weighted mean of squares at the close of the drop window, as in a study (here the returns are already abnormal).
    """
    days, (first, last) = returns.shape[1], windows.estimation
    at = np.arange(max(-first, RUN_UP), days - windows.post[1])
    running, squares = _running(returns), _running(returns**2)

    def over(total: NDArray[np.float64], window: Window) -> NDArray[np.float64]:
        summed: NDArray[np.float64] = total[:, at + window[1] + 1] - total[:, at + window[0]]
        return summed

    n, length = last - first + 1, windows.drop[1] - windows.drop[0] + 1
    sigma = np.sqrt((over(squares, windows.estimation) - over(running, windows.estimation) ** 2 / n) / (n - 2))
    start = (returns[:, :FIRST_DAYS] ** 2).mean(axis=1, keepdims=True) * DECAY
    variance = lfilter([1.0 - DECAY], [1.0, -DECAY], returns**2, axis=1, zi=start)[0]
    drop = over(running, windows.drop)
    drop_s = drop / (sigma * np.sqrt(length))
    can = (drop_s <= -rule.drop_k) & (drop <= -rule.drop_min)
    by_day = {
        "drop_s": drop_s,
        "run_up": over(running, (-RUN_UP, -1)),
        "post": over(running, windows.post),
        "sigma": sigma,
        "recent": np.sqrt(variance[:, at + windows.drop[1]]),
    }
    found = []
    for row, kept in enumerate(is_control(drop_s, drop) | can):
        falls = Falls(
            event=np.zeros(int(kept.sum()), dtype=np.bool_),
            stratum=np.full(int(kept.sum()), f"S{row:02d}"),
            session=at[kept],
            week=at[kept] // SESSIONS_A_WEEK,
            length=windows.post[1] - windows.post[0] + 1,
            **{name: values[row, kept] for name, values in by_day.items()},
        )
        found.append(Past(falls, drop[row, kept], can[row, kept], rule.estimator != "regression"))
    return found


def together(parts: Sequence[Past]) -> Past:
    """Join the falls of several sectors."""
    arrays = {
        name: np.concatenate([getattr(part.falls, name) for part in parts])
        for name in Falls.__slots__
        if name != "length"
    }
    return Past(
        Falls(**arrays, length=parts[0].falls.length),
        np.concatenate([part.drop for part in parts]),
        np.concatenate([part.can for part in parts]),
        parts[0].moderated,
    )


def _running(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Running sums of the values before each day, and of all values, (n, T + 1)."""
    return np.concatenate([np.zeros((len(values), 1)), np.cumsum(values, axis=1)], axis=1)
