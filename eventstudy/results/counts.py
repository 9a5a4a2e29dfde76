"""Counts of firm-events for all pages, tables and the summary."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from eventstudy.core.selection import USED, drop_kind


def firm_event_counts(rows: Iterable[tuple[str, str]] | Mapping[tuple[str, str], int]) -> dict[str, Any]:
    """Count the ledger's rows by (status, code of the reason), given one by one or as counts.

    Returns
    -------
    dict
        ``used``, all firm-events in the study; ``shifted``, those of them whose day 0 has moved;
        ``dropped``, the others; ``reasons``, the dropped ones by the kind of their reason. Other
        statuses are counted by their own name.
    """
    status, reasons = Counter[str](), Counter[str]()
    for (name, code), n in Counter(rows).items():
        status[name] += n
        if name == "dropped":
            reasons[drop_kind(code)] += n
    others = {name: n for name, n in sorted(status.items()) if name not in (*USED, "dropped")}
    return {
        "used": sum(status[name] for name in USED),
        "shifted": status["shifted"],
        "dropped": status["dropped"],
        **others,
        "reasons": dict(sorted(reasons.items())),
    }
