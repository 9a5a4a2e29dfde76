"""Severity of each warning; warnings are shown in this order."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from eventstudy.messages import JOINED, Message
from eventstudy.results.records import Level

#: The most serious first. ``serious``: a number may be wrong, or may not measure what it seems to measure.
#: ``caution``: something was left out, assumed, or counts for less. ``note``: further information.
LEVELS: tuple[Level, ...] = ("serious", "caution", "note")
#: Level by the code of the message, or by its section if all messages of the section have the same level.
SEVERITY: Mapping[str, Level] = {
    "simulated": "serious",
    "prereg": "serious",
    "study.kind": "caution",
    "labels.undated": "serious",
    "missing.program": "serious",
    "missing.part": "caution",
    "quality.accepted": "serious",
    "quality.found": "caution",
    "price.unadjusted": "serious",
    "price.index_gaps": "serious",
    "price.index_gaps_dropped": "serious",
    "price.stray": "caution",
    "price.closures": "note",
    "price.alias": "note",
    "price.limits_unknown": "caution",
    "price.limits_adjusted": "caution",
    "price.limits_unseen": "caution",
    "absent.fields": "caution",
    "trade.unknown_market": "caution",
    "fits": "caution",
    "events.not_a_peer": "caution",
    "events.clarifies_none": "caution",
    "events.shared_day": "caution",
    "events.labels_differ": "serious",
    "headline": "serious",
    "events.no_prices": "caution",
    "events.beside": "caution",
    "events.without_car": "caution",
    "events.same_day": "note",
    "events.ticker": "note",
}
#: Level of texts without a code, and of codes that are not in the table.
DEFAULT: Level = "caution"


def severity(warning: str) -> Level:
    """Return the level of a warning; a joined warning has the most serious level of its parts."""
    if own := known(warning):
        return own
    return min((severity(part) for part in _parts(warning)), key=LEVELS.index, default=DEFAULT)


def known(warning: str) -> Level | None:
    """Return the level of a warning's own code in the table, None if it has none."""
    code = warning.key if isinstance(warning, Message) else ""
    return SEVERITY.get(code) or SEVERITY.get(code.partition(".")[0])


def worst_first(warnings: Iterable[str]) -> list[str]:
    """Return the warnings, the most serious first, each once; the order within a level is kept."""
    return sorted(dict.fromkeys(warnings), key=lambda text: LEVELS.index(severity(text)))


def _parts(warning: str) -> list[Message]:
    """Parts of a joined message."""
    if not isinstance(warning, Message):
        return []
    fields: Any = warning.fields.get("parts", ()) if warning.key == JOINED else warning.fields.values()
    return [part for part in fields if isinstance(part, Message)]
