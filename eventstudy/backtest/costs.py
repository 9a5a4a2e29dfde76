"""What a trade costs: dated fees of each exchange, half the spread, and the price that an order moves."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from eventstudy.config import Cost

Side = Literal["buy", "sell", "both"]
#: ``source`` is a published rule, ``assumption`` a round figure that the settings can replace,
#: ``memory`` a rate without a source at hand.
Certainty = Literal["source", "assumption", "memory"]
#: First day of a rate that has no other.
EVER = dt.date(1900, 1, 1)


@dataclass(frozen=True, slots=True)
class Fee:
    """One charge of one market in basis points of the traded value, from ``first`` to ``until``."""

    market: str
    name: str
    side: Side
    bps: float
    first: dt.date
    until: dt.date | None
    source: str
    certainty: Certainty


_SPREAD = "Round figure for a liquid stock; replace it with [[costs]]"
_BROKER = "Negotiable; round figure of an online broker with exchange handling fees"
_STAMP = "Ministry of Finance and State Taxation Administration, notice 39 of 2023: halved from 2023-08-28"
_TRANSFER = "China Clearing, notice of 2022-04-28: 0.02 to 0.01 per mille on both sides from 2022-04-29"
_TWSE = "TWSE, 'Transaction costs and taxes', twse.com.tw/en/page/products/trading_rules/costs.html"
_SEC = "Section 31 fee on sales, FINRA information notice of that date"


def _mainland() -> list[Fee]:
    # Before 2008-09-19 (stamp duty) and 2015-08-01 (transfer fee) other rates held that are not in the table.
    rows = []
    for mic in ("XSHG", "XSHE"):
        rows += [
            Fee(mic, "stamp_duty", "sell", 10.0, EVER, dt.date(2023, 8, 27), _STAMP, "source"),
            Fee(mic, "stamp_duty", "sell", 5.0, dt.date(2023, 8, 28), None, _STAMP, "source"),
            Fee(mic, "transfer", "both", 0.2, EVER, dt.date(2022, 4, 28), _TRANSFER, "source"),
            Fee(mic, "transfer", "both", 0.1, dt.date(2022, 4, 29), None, _TRANSFER, "source"),
            Fee(mic, "commission", "both", 2.5, EVER, None, _BROKER, "assumption"),
            Fee(mic, "half_spread", "both", 5.0, EVER, None, _SPREAD, "assumption"),
        ]
    return rows


#: Rate in basis points from each day on; 1 bp is 100 dollars a million. Before 2017-07-04 other rates held
#: that are not in the table; the first row stands for them.
_SECTION_31: tuple[tuple[dt.date, float, Certainty], ...] = (
    (EVER, 0.231, "memory"),
    (dt.date(2017, 7, 4), 0.231, "source"),
    (dt.date(2018, 5, 22), 0.130, "source"),
    (dt.date(2019, 4, 16), 0.207, "source"),
    (dt.date(2020, 2, 18), 0.221, "source"),
    (dt.date(2021, 2, 25), 0.051, "source"),
    (dt.date(2022, 5, 14), 0.229, "memory"),
    (dt.date(2023, 2, 27), 0.080, "memory"),
    (dt.date(2024, 5, 22), 0.278, "memory"),
    (dt.date(2025, 5, 14), 0.0, "source"),
    (dt.date(2026, 4, 4), 0.206, "memory"),
)


def _united_states() -> list[Fee]:
    rows = []
    for mic in ("XNYS", "XNAS", "XASE"):
        ends = [*(first - dt.timedelta(days=1) for first, _, _ in _SECTION_31[1:]), None]
        rows += [
            Fee(mic, "section_31", "sell", bps, first, until, _SEC, certainty)
            for (first, bps, certainty), until in zip(_SECTION_31, ends, strict=True)
        ]
        rows += [
            Fee(mic, "commission", "both", 0.0, EVER, None, _BROKER, "assumption"),
            Fee(mic, "half_spread", "both", 5.0, EVER, None, _SPREAD, "assumption"),
        ]
    return rows


def _taiwan_and_japan() -> list[Fee]:
    rows = []
    for mic in ("XTAI", "ROCO"):
        rows += [
            Fee(mic, "transaction_tax", "sell", 30.0, EVER, None, _TWSE, "source"),
            Fee(
                mic,
                "commission",
                "both",
                14.25,
                EVER,
                None,
                f"{_TWSE}: the standard rate; online brokers give 40 to 70 % off",
                "source",
            ),
            Fee(mic, "half_spread", "both", 10.0, EVER, None, _SPREAD, "assumption"),
        ]
    return [
        *rows,
        Fee("XTKS", "commission", "both", 5.0, EVER, None, _BROKER, "assumption"),
        Fee("XTKS", "half_spread", "both", 5.0, EVER, None, _SPREAD, "assumption"),
    ]


FEES: tuple[Fee, ...] = (*_mainland(), *_united_states(), *_taiwan_and_japan())
#: What an exchange costs that the table does not know.
_UNKNOWN = (("commission", 10.0), ("half_spread", 10.0))
_SETTINGS = "The study's settings"
_UNKNOWN_SOURCE = "This market is not in the table: a round figure"


@dataclass(frozen=True, slots=True)
class CostTable:
    """Fees of all markets of a study, with what moves the price and what the hedge costs.

    ``impact`` scales the square-root law, ``hedge_bps`` is the one-sided cost of the index leg,
    ``open_multiple`` multiplies spread and impact of orders at the open.
    """

    fees: tuple[Fee, ...]
    impact: float = 0.1
    hedge_bps: float = 2.0
    open_multiple: float = 2.0

    def fee_bps(self, mic: str, side: Literal["buy", "sell"], day: dt.date) -> float:
        """Taxes and commissions of one side on one day, without the spread."""
        return sum(fee.bps for fee in self.in_force(mic, side, day) if fee.name != "half_spread")

    def half_spread_bps(self, mic: str, side: Literal["buy", "sell"], day: dt.date) -> float:
        """Half the spread on one day."""
        return sum(fee.bps for fee in self.in_force(mic, side, day) if fee.name == "half_spread")

    def in_force(self, mic: str, side: Literal["buy", "sell"], day: dt.date) -> list[Fee]:
        """Return the rows that apply to one side on one day."""
        return [
            fee
            for fee in self.fees
            if fee.market == mic
            and fee.side in (side, "both")
            and fee.first <= day
            and (fee.until is None or day <= fee.until)
        ]

    def share(
        self,
        mic: str,
        side: Literal["buy", "sell"],
        day: dt.date,
        *,
        order: float,
        adv: float,
        sigma: float,
        at_open: bool = False,
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


def cost_table(
    markets: Sequence[str], overrides: Sequence[Cost] = (), *, impact: float = 0.1, hedge_bps: float = 2.0
) -> CostTable:
    """Return the fees of these markets. An override replaces every row of its market and name."""
    replaced = {(row.market, row.name) for row in overrides}
    rows = [fee for fee in FEES if fee.market in markets and (fee.market, fee.name) not in replaced]
    known = {fee.market for fee in FEES}
    for mic in markets:
        if mic not in known:
            rows += [
                Fee(mic, name, "both", bps, EVER, None, _UNKNOWN_SOURCE, "assumption")
                for name, bps in _UNKNOWN
                if (mic, name) not in replaced
            ]
    rows += [
        Fee(row.market, row.name, row.side, row.bps, row.from_ or EVER, row.until, _SETTINGS, "source")
        for row in overrides
        if row.market in markets
    ]
    return CostTable(tuple(rows), impact, hedge_bps)
