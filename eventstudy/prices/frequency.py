"""Whether prices are daily: weekly or monthly ones look like daily ones with holes."""

from __future__ import annotations

import numpy as np

from eventstudy.config import StudyConfig
from eventstudy.errors import PriceError, Problem
from eventstudy.exchanges.calendars import exchange_sessions
from eventstudy.prices.table import PriceTable

#: Share of sessions without a price of anyone above which prices are not daily.
MOST_EMPTY = 0.05
#: Sessions without a price of anyone that part two stretches of prices, as of a file of windows alone.
APART = 42
#: Fewest sessions from the first price to the last that tell a frequency.
LEAST_SESSIONS = 40
#: Usual calendar days from one price to the next at least, and what they mean.
NAMES = ((80, "quarterly"), (25, "monthly"), (5, "weekly"), (0, "less than daily"))


def refuse_sparse(prices: PriceTable, config: StudyConfig) -> PriceTable:
    """Return the prices; raise `PriceError` where an exchange has none of anyone on too many of its sessions."""
    problems = []
    for market in config.markets:
        names = {market.benchmark, *(peer.ticker for peer in config.peers if peer.market == market.mic)}
        series = [prices.series[name] for name in sorted(names) if name in prices.series]
        priced = [item.dates[np.isfinite(item.adj_close)].astype("datetime64[D]") for item in series]
        days = np.unique(np.concatenate([np.array([], dtype="datetime64[D]"), *priced]))
        at = np.unique(np.searchsorted(exchange_sessions(market.mic).days, days))
        if len(at) < 3 or at[-1] - at[0] < LEAST_SESSIONS:
            continue
        steps = np.diff(at)
        within = steps[steps <= APART]
        empty = float((within - 1).sum() / max(within.sum(), 1))
        if np.median(steps) < 2 and empty <= MOST_EMPTY:
            continue
        usual = float(np.median(np.diff(days)[np.diff(days) > np.timedelta64(3, "D")].astype(np.int64)))
        frequency, *_ = (name for least, name in NAMES if usual >= least)
        share = 1 - len(at) / (at[-1] - at[0] + 1)
        text = (
            f"on {share:.0%} of the sessions of {market.mic} from {days[0]} to {days[-1]} no ticker has a price: the "
            f"prices seem to be {frequency}; an event study needs daily ones"
        )
        problems.append(Problem(text, prices.origin.get("name", "")))
    if problems:
        raise PriceError(problems)
    return prices
