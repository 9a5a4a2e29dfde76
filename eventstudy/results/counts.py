"""The counts of firm-events that every page, table and summary shows: made here and nowhere else."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from eventstudy.core.selection import USED

#: Kinds of reasons by their codes, where several codes are of one kind or the kind has another name.
KINDS: Mapping[str, str] = {
    "reason.listed_from": "not_listed",
    "reason.listed_until": "not_listed",
    "reason.bid": "deal_bound",
    "reason.bid_holds": "deal_bound",
    "reason.no_index": "no_benchmark",
    "reason.index_ends": "no_benchmark",
    "reason.index_starts": "no_benchmark",
    "reason.series_ends": "no_prices",
    "reason.series_starts": "no_prices",
    "reason.no_return": "no_prices",
    "reason.prices_end": "prices_end_before_window",
    "reason.constant": "constant_returns",
}


def drop_kind(code: str) -> str:
    """Return the kind of a reason for a drop: ``no_prices`` for ``reason.series_ends``, ``none`` for no code."""
    return KINDS.get(code, code.rpartition(".")[2] or "none")


def firm_event_counts(rows: Iterable[tuple[str, str]]) -> dict[str, Any]:
    """Count the ledger's rows by (status, code of the reason).

    Returns
    -------
    dict
        ``used``, all firm-events in the study; ``shifted``, those of them whose day 0 has moved;
        ``dropped``, the others; ``reasons``, the dropped ones by the kind of their reason. Other
        statuses are counted by their own name.
    """
    kept = list(rows)
    status = Counter(name for name, _ in kept)
    reasons = Counter(drop_kind(code) for name, code in kept if name == "dropped")
    others = {name: n for name, n in sorted(status.items()) if name not in (*USED, "dropped")}
    return {
        "used": sum(status[name] for name in USED),
        "shifted": status["shifted"],
        "dropped": status["dropped"],
        **others,
        "reasons": dict(sorted(reasons.items())),
    }
