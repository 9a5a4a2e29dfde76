"""Day 0 of every event on every exchange, one row for each event and one column for each region."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from eventstudy.messages import said, term
from eventstudy.report.document import Paragraph, Section
from eventstudy.report.document import table as table_of
from eventstudy.report.wording import Words, code_of, text
from eventstudy.results.result import StudyResult

if TYPE_CHECKING:
    import pandas as pd

ALIGNMENT_ROWS = 60
_MARKS = {"after_close": "+", "closed": "~"}


def alignment(result: StudyResult, words: Words) -> Section:
    """Return the table; unusual days have a mark or a footnote."""
    frame = result.tables["alignment"]
    regions = _regions(result, [str(mic) for mic in dict.fromkeys(frame["mic"])])
    names = list(dict.fromkeys(regions.values()))
    notes: dict[str, int] = {}
    rows = []
    for event_id, part in _apart(frame, "event_id").items():
        first = part[0]
        cells = [_day0([row for row in part if regions[str(row["mic"])] == name], notes) for name in names]
        moment = str(first["timestamp"]).replace("T", " ")[:16]
        rows.append([str(event_id), moment, term(words, "precision", first["precision"]), *cells])
    left = len(rows) - ALIGNMENT_ROWS
    table = table_of(
        [*(words[f"column.{name}"] for name in ("event", "timestamp", "precision")), *names],
        rows[:ALIGNMENT_ROWS],
        name="alignment",
        caption=words["page.alignment"],
        left_out=words["page.alignment_left_out"].format(n=left) if left > 0 else "",
    )
    told = [Paragraph(f"({at}) {said(note, words)}", tone="note") for note, at in notes.items()]
    intro = Paragraph(words["page.alignment_note"], tone="note")
    return Section(name="alignment", heading=words["page.alignment"], blocks=(table, intro, *told))


def _apart(frame: pd.DataFrame, column: str) -> Mapping[Any, Sequence[Mapping[Any, Any]]]:
    """Return the rows of a table grouped by the values of a column."""
    found: dict[Any, list[Mapping[Any, Any]]] = {}
    for row in frame.to_dict("records"):
        found.setdefault(row[column], []).append(row)
    return found


@functools.lru_cache(maxsize=8)
def by_shock(result: StudyResult, name: str) -> Mapping[Any, Sequence[Mapping[Any, Any]]]:
    """Return the rows of a result's table by shock (cached); empty if there is no such table."""
    return _apart(result.tables[name], "shock_id") if name in result.tables else {}


def _regions(result: StudyResult, mics: Sequence[str]) -> dict[str, str]:
    """Return exchange → region, from the settings or else from the peers."""
    found = {str(p.get("market")): str(p.get("region") or "") for p in (result.facts.get("peers") or {}).values()}
    for market in (result.manifest.get("settings") or {}).get("markets") or ():
        found[str(market.get("mic"))] = str(market.get("region") or "")
    return {mic: found.get(mic) or mic for mic in mics}


def _day0(part: Sequence[Mapping[Any, Any]], notes: dict[str, int]) -> str:
    """Return the days 0 of one region's exchanges; a single one if they agree."""
    found: dict[str, list[str]] = {}
    mark: dict[str, str] = {}
    for row in part:
        shown = str(row["session"])[:10] + _MARKS.get(str(row["reaction"]), "")
        note: str = row["note"] if text(row["note"]) else ""
        # Exchanges with the same day 0 were closed on the same days, so one footnote is enough.
        if note and code_of(row, "note") != "day0.date_only" and shown not in mark:
            mark[shown] = f" ({notes.setdefault(note, len(notes) + 1)})"
        found.setdefault(shown, []).append(str(row["mic"]))
    days = {shown + mark.get(shown, ""): mics for shown, mics in found.items()}
    if len(days) <= 1:
        return next(iter(days), "")
    return ", ".join(f"{'/'.join(mics)} {day}" for day, mics in days.items())
