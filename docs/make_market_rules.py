"""Write the tables of docs/market-rules.md from the files of exchanges: ``python docs/make_market_rules.py``.

The page's sentences are written by hand. Between ``<!-- table: NAME -->`` and ``<!-- end -->`` stands what
NAME of `TABLES` gives.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from eventstudy.exchanges.exchange import EVER, Dated, PriceLimit, boards, exchanges

PAGE = Path(__file__).parent / "market-rules.md"
BLOCK = re.compile(r"(<!-- table: (\w+) -->\n).*?(<!-- end -->)", re.DOTALL)


def page(text: str) -> str:
    """Return the page with every table made again."""
    return BLOCK.sub(lambda match: f"{match[1]}\n{TABLES[match[2]]()}\n\n{match[3]}", text)


def table(head: str, rows: Iterable[Sequence[object]]) -> str:
    """Return a Markdown table; ``head`` names the columns with bars between them."""
    names = head.split(" | ")
    lines = [f"| {head} |", "|" + "---|" * len(names)]
    return "\n".join([*lines, *("| " + " | ".join(map(str, row)) + " |" for row in rows)])


def period(fact: Dated) -> tuple[str, str]:
    """First and last day; empty where the fact has always held, or still does."""
    return "" if fact.first == EVER else str(fact.first), str(fact.until or "")


def known(fact: Dated) -> tuple[str, str]:
    """How sure, and the source."""
    return fact.certainty, fact.source or "common knowledge, no source at hand"


def together(rows: Iterable[tuple[str, tuple[object, ...]]]) -> list[tuple[object, ...]]:
    """Rows that are equal but for the first cell as one row, in the order in which they come."""
    found: dict[tuple[object, ...], list[str]] = {}
    for name, row in rows:
        found.setdefault(row, []).append(name)
    return [(", ".join(names), *row) for row, names in found.items()]


def number(value: float) -> str:
    """A number with commas; ``any`` where there is no bound."""
    return "any" if math.isinf(value) else f"{value:,.15g}"


def steps(pairs: Iterable[tuple[float, float]]) -> str:
    """Ticks in one line."""
    return "; ".join(
        number(tick) if math.isinf(below) else f"{number(tick)} below {number(below)}" for below, tick in pairs
    )


def exchanges_table() -> str:
    """Every exchange."""
    rows = []
    for mic, item in sorted(exchanges().items()):
        sessions = item.calendar if item.calendar != mic else ""
        unit = "" if item.price_unit == 1 else f" in units of {item.price_unit:g}"
        digits = ", ".join(f"{start} {board}" for start, board in item.boards_by_digits.items())
        named = "; ".join(filter(None, (item.board, digits)))
        rows.append((mic, item.name, item.country, item.currency + unit, item.suffix, item.index, sessions, named))
    return table("MIC | name | country | currency | ending | index | sessions of | board", rows)


def limit(rule: PriceLimit) -> str:
    """The size of a limit."""
    words = {"none": "none", "amounts": "table of amounts"}
    return words.get(rule.kind, f"{100 * rule.limit:.0f} %")


def limits_table() -> str:
    """Daily price limits."""
    rows = [
        (board.name, *period(rule), limit(rule), *known(rule)) for board in boards().values() for rule in board.limits
    ]
    return table("board | from | until | limit | sure | source", rows)


def free_table() -> str:
    """First sessions without a limit."""
    rows = [
        (board.name, *period(rule), rule.sessions, *known(rule))
        for board in boards().values()
        for rule in board.free_sessions
    ]
    return table("board | listings from | until | sessions | sure | source", rows)


def amounts_table() -> str:
    """Limits that are amounts, in two columns."""
    rules = [rule for board in boards().values() for rule in board.limits if rule.amounts]
    pairs = [(number(below), number(amount)) for rule in rules for below, amount in rule.amounts]
    half = (len(pairs) + 1) // 2
    right = [*pairs[half:], *[("", "")] * (2 * half - len(pairs))]
    rows = [(*one, "", *other) for one, other in zip(pairs[:half], right, strict=True)]
    return table("base price below | limit |  | base price below | limit", rows)


def ticks_table() -> str:
    """Price steps."""
    rows = together(
        (board.name, (*period(rule), steps(rule.steps), *known(rule)))
        for board in boards().values()
        for rule in board.ticks
    )
    return table("board | from | until | tick | sure | source", rows)


def lots_table() -> str:
    """Sizes of orders."""
    rows = together(
        (board.name, (*period(lot), lot.size or "set by each issuer", lot.step or "", *known(lot)))
        for board in boards().values()
        for lot in board.lots
    )
    return table("board | from | until | fewest shares | then by | sure | source", rows)


def selling_table() -> str:
    """Rules of selling."""
    rows = together(
        (board.name, (*period(rule), rule.sessions_before_sale, rule.short_sales, *known(rule)))
        for board in boards().values()
        for rule in board.selling
    )
    return table("board | from | until | sessions before a sale | short sales | sure | source", rows)


def fees_table() -> str:
    """Charges in basis points."""
    rows = together(
        (mic, (fee.name, fee.side, *period(fee), f"{fee.bps:g}", *known(fee)))
        for mic, exchange in exchanges().items()
        for fee in exchange.fees
    )
    return table("exchange | charge | side | from | until | bp | sure | source", rows)


def settlement_table() -> str:
    """Sessions from trade to settlement."""
    rows = together(
        (mic, (*period(fact), f"T+{fact.days}", *known(fact)))
        for mic, exchange in exchanges().items()
        for fact in exchange.settlement
    )
    return table("exchange | from | until | settled | sure | source", rows)


def sessions_table() -> str:
    """Sessions that the calendar lacks."""
    rows = [
        (mic, f"{item.day:%A}, {item.day}", f"{item.open:%H:%M}–{item.close:%H:%M}", item.source)
        for mic, exchange in exchanges().items()
        for item in exchange.extra_sessions
    ]
    return table("exchange | day | hours | source", rows)


TABLES: dict[str, Callable[[], str]] = {
    "exchanges": exchanges_table,
    "limits": limits_table,
    "free_sessions": free_table,
    "amounts": amounts_table,
    "ticks": ticks_table,
    "lots": lots_table,
    "selling": selling_table,
    "fees": fees_table,
    "settlement": settlement_table,
    "extra_sessions": sessions_table,
}


def main() -> None:
    """Write the page."""
    PAGE.write_text(page(PAGE.read_text(encoding="utf-8")), encoding="utf-8", newline="\n")


if __name__ == "__main__":
    main()
