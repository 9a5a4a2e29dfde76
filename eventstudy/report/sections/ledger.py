"""What was used and what was dropped, as events × peers with the reasons, and day 0 of every event."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from eventstudy.core.selection import drop_kind
from eventstudy.messages import said, term
from eventstudy.report.document import Block, Column, Facts, Paragraph, Section, TableBlock
from eventstudy.report.document import table as table_of
from eventstudy.report.wording import Words, code_of, count, text
from eventstudy.results.result import StudyResult

if TYPE_CHECKING:
    import pandas as pd

MATRIX_ROWS, MATRIX_COLUMNS = 60, 26
#: With more tickers the matrix is left out; ledger.csv has all rows.
MOST_TICKERS = 4 * MATRIX_COLUMNS
_SIGNS = {"used": "●", "shifted": "s", "merged": "="}
ALIGNMENT_ROWS = 60
_MARKS = {"after_close": "+", "closed": "~"}


def ledger(result: StudyResult, words: Words) -> Section:
    """Return the counts, the reasons and the matrix."""
    head = (words["page.reason"], words["page.firm_events"])
    why = table_of(head, reasons(result.facts, words), left=1, caption=words["page.reason"])
    blocks: list[Block] = [Paragraph(counts(result.facts, words)), why]
    # A long list has no matrix.
    if "ledger" in result.tables and len(set(result.tables["ledger"]["ticker"])) <= MOST_TICKERS:
        cells, legend = matrix(result, words)
        blocks += [*cells, Facts(legend, "line")]
    return Section(name="ledger", heading=words["page.ledger"], blocks=tuple(blocks))


def counts(facts: Mapping[str, Any], words: Words) -> str:
    """Return the ledger's counts, see `results.counts`; used firm-events include those with a moved day 0."""
    found = facts.get("counts") or {}
    used, moved, dropped = (int(found.get(name) or 0) for name in ("used", "shifted", "dropped"))
    line = words["page.counts_moved" if moved else "page.counts"].format(used=used, moved=moved, dropped=dropped)
    if found.get("merged"):
        line = words["terminal.comma"].join((line, words["terminal.merged"].format(n=found["merged"])))
    return line


def reasons(facts: Mapping[str, Any], words: Words) -> list[tuple[str, str]]:
    """Return (reason, number of dropped firm-events), the most frequent first."""
    found = (facts.get("counts") or {}).get("reasons") or {}
    ordered = sorted(found.items(), key=lambda item: (-item[1], item[0]))
    return [(term(words, "reason", reason), count(n)) for reason, n in ordered]


def matrix(result: StudyResult, words: Words) -> tuple[list[TableBlock], tuple[tuple[str, str], ...]]:
    """Return the ledger as events × peers, with the meaning of the cells.

    ``●`` is used, ``s`` used with a moved day 0, ``=`` already in the same shock, else the letter of a reason.
    """
    table = result.tables["ledger"]
    kinds = table["reason_code"].map(drop_kind)
    letters = {kind: _letter(at) for at, kind in enumerate(sorted(set(kinds[table["status"] == "dropped"])))}
    cells = {
        (str(event), str(ticker)): _SIGNS.get(str(status)) or letters[kind]
        for event, ticker, status, kind in zip(table["event_id"], table["ticker"], table["status"], kinds, strict=True)
    }
    events = [str(event) for event in dict.fromkeys(table["event_id"])]
    known = {ticker: at for at, ticker in enumerate(result.facts.get("peers") or {})}
    tickers = sorted(
        map(str, dict.fromkeys(table["ticker"])), key=lambda ticker: (known.get(ticker, len(known)), ticker)
    )
    left = len(events) - MATRIX_ROWS
    blocks = [
        TableBlock(
            columns=(Column(words["page.event"]), *map(Column, part)),
            rows=tuple((event, *(cells.get((event, ticker), "") for ticker in part)) for event in events[:MATRIX_ROWS]),
            caption=words["page.ledger"],
            layout="matrix",
            left_out=words["page.matrix_left_out"].format(n=left) if left > 0 else "",
        )
        for part in (tickers[at : at + MATRIX_COLUMNS] for at in range(0, len(tickers), MATRIX_COLUMNS))
    ]
    legend = [("●", words["page.matrix_used"]), ("s", words["page.matrix_moved"])]
    if (table["status"] == "merged").any():
        legend.append(("=", words["page.matrix_merged"]))
    legend += [(letter, term(words, "reason", kind)) for kind, letter in letters.items()]
    return blocks, (*legend, (words["page.blank"], words["page.matrix_blank"]))


def _letter(at: int) -> str:
    """Return a, b, … z, a1, b1, … without ``s``, which means moved."""
    letters = "abcdefghijklmnopqrtuvwxyz"
    turn, letter = divmod(at, len(letters))
    return letters[letter] + (str(turn) if turn else "")


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
