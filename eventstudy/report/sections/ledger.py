"""What was used and what was dropped: the counts, their reasons, and the ledger as events × peers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from eventstudy.core.selection import drop_kind
from eventstudy.messages import term
from eventstudy.report.document import Block, Column, Facts, Paragraph, Section, TableBlock
from eventstudy.report.document import table as table_of
from eventstudy.report.wording import Words, count
from eventstudy.results.result import StudyResult

MATRIX_ROWS, MATRIX_COLUMNS = 60, 26
#: With more tickers the matrix is left out; ledger.csv has all rows.
MOST_TICKERS = 4 * MATRIX_COLUMNS
_SIGNS = {"used": "●", "shifted": "s", "merged": "="}


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
