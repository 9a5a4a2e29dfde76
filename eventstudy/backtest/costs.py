"""Costs of a trade: dated fees of each exchange, half the spread, and price impact."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from eventstudy.config import Cost
from eventstudy.exchanges.exchange import EVER, Fee, exchanges

#: Assumed costs of an exchange without known fees, in basis points.
_UNKNOWN = {"commission": 10.0, "half_spread": 10.0}
_ROUND = "This market is not in the table: a round figure"
Side = Literal["buy", "sell"]


@dataclass(frozen=True, slots=True)
class CostTable:
    """Fees of all markets of a study, with price impact and the costs of the hedge.

    ``impact`` scales the square-root law, ``hedge_bps`` is the one-sided cost of the index leg,
    ``open_multiple`` multiplies spread and impact of orders at the open.
    """

    fees: tuple[Fee, ...]
    impact: float = 0.1
    hedge_bps: float = 2.0
    open_multiple: float = 2.0

    def fee_bps(self, mic: str, side: Side, day: dt.date) -> float:
        """Taxes and commissions of one side on one day, without the spread."""
        return sum(fee.bps for fee in self.in_force(mic, side, day) if fee.name != "half_spread")

    def half_spread_bps(self, mic: str, side: Side, day: dt.date) -> float:
        """Half the spread on one day."""
        return sum(fee.bps for fee in self.in_force(mic, side, day) if fee.name == "half_spread")

    def in_force(self, mic: str, side: Side, day: dt.date) -> list[Fee]:
        """Return the fees for one side (purchase or sale) on one day."""
        return [fee for fee in self.fees if fee.market == mic and fee.side in (side, "both") and fee.holds(day)]

    def share(
        self, mic: str, side: Side, day: dt.date, *, order: float, adv: float, sigma: float, at_open: bool = False
    ) -> float:
        """Cost of one order as a share of its value.

        Parameters
        ----------
        order, adv
            Value of the order and the mean daily value traded, in one currency.
        sigma
            Daily standard deviation of the security's returns.

        Notes
        -----
        fees + m (half spread + impact sigma sqrt(order / adv)), m = ``open_multiple`` at the open and
        1 at the close. The square-root law of market impact as in Grinold and Kahn (2000), ch. 16,
        and Almgren et al. (2005), with the coefficient as a setting. Without volume the impact is
        unknown and left out; the trade's row says so.
        """
        slip = self.half_spread_bps(mic, side, day) / 1e4
        if np.isfinite(adv) and adv > 0 and np.isfinite(sigma):
            slip += self.impact * sigma * float(np.sqrt(order / adv))
        return self.fee_bps(mic, side, day) / 1e4 + slip * (self.open_multiple if at_open else 1.0)


def known_fees(mic: str) -> tuple[Fee, ...]:
    """Return the fees of an exchange for all dates; empty if none are known."""
    return exchanges()[mic].fees if mic in exchanges() else ()


def cost_table(
    markets: Sequence[str], overrides: Sequence[Cost] = (), *, impact: float = 0.1, hedge_bps: float = 2.0
) -> CostTable:
    """Return the fees of these markets. An override replaces every row of its market and name."""
    replaced = {(row.market, row.name) for row in overrides}
    rows: list[Fee] = []
    for mic in dict.fromkeys(markets):
        rows += known_fees(mic) or [
            Fee(market=mic, name=name, side="both", bps=bps, source=_ROUND, certainty="assumption")
            for name, bps in _UNKNOWN.items()
        ]
    rows = [fee for fee in rows if (fee.market, fee.name) not in replaced]
    rows += [
        Fee(
            market=row.market,
            name=row.name,
            side=row.side,
            bps=row.bps,
            first=row.from_ or EVER,
            until=row.until,
            source="The study's settings",
            certainty="source",
        )
        for row in overrides
        if row.market in markets
    ]
    return CostTable(tuple(rows), impact, hedge_bps)
