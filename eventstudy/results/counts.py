"""The counts of firm-events that every page, table and summary shows: made here and nowhere else."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any

from eventstudy.core.selection import USED, drop_kind


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
