"""Terminal output of runs and checks: fitted to the window, without colours in files."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.cells import cell_len
from rich.console import Console
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from eventstudy.config import StudyConfig
from eventstudy.core.selection import LedgerEntry
from eventstudy.errors import Reason
from eventstudy.events import Events
from eventstudy.exchanges.calendars import Alignment
from eventstudy.messages import catalogue, code_of, said, term
from eventstudy.prices import PriceOutcome
from eventstudy.prices.snapshot import Rewritten
from eventstudy.report.document import Block, BulletList, Callout, Document, Facts, Group, Paragraph, TableBlock
from eventstudy.report.packs import Change
from eventstudy.report.sections.answer import headline, small_table
from eventstudy.report.sections.case import chronology
from eventstudy.report.sections.evidence import ladder
from eventstudy.report.wording import Words, left_out_words, words_of
from eventstudy.results.counts import firm_event_counts
from eventstudy.results.result import StudyResult
from eventstudy.results.severity import severity, worst_first

#: Style of warnings by level.
_STYLES = {"serious": "bold red", "caution": "yellow", "note": "dim"}
#: Warnings that a run prints; its pack has all.
MOST_WARNINGS = 40


def print_blocks(blocks: Sequence[Block], console: Console, *, title: str = "", style: str = "") -> None:
    """Print blocks, fitted to the window, with ``title`` above the verdict; without figures and folded sections."""
    for block in blocks:
        if isinstance(block, Callout):
            console.print(Panel(Text(block.text), title=Text(title), title_align="left"))
        elif isinstance(block, Paragraph):
            dim = "dim" if block.tone == "note" else style
            console.print(Text(f"{block.lead} {block.text}".strip(), style=dim))
        elif isinstance(block, BulletList):
            print_blocks(block.items, console, style=style)
        elif isinstance(block, Facts) and block.layout == "line":
            console.print(Text(" · ".join(f"{name} {value}".strip() for name, value in block.rows)))
        elif isinstance(block, Facts):
            for name, value in block.rows:
                console.print(Text(f"{name}: {value}"))
        elif isinstance(block, TableBlock) and block.rows:
            for part in table_parts(block, console.width):
                console.print(part)
        elif isinstance(block, Group):
            print_blocks(block.blocks, console, style=style)


def print_document(document: Document, console: Console, closing: str) -> None:
    """Print every section of a document, and finally the path of its folder."""
    if document.banner:
        console.print(Text(document.banner, style="bold red"))
    for section in document.sections:
        if section.heading:
            console.print(Text(section.heading, style="italic"))
        print_blocks(section.blocks, console, title=document.title)
    console.print(Text(closing), soft_wrap=True)


def table_parts(block: TableBlock, width: int) -> Iterator[Table | Text]:
    """Yield a table without the columns that do not fit, and its notes."""
    places = _with_room(block, width)
    table = Table(box=None, pad_edge=False, title=block.title or None, title_justify="left")
    for at in places:
        number = block.columns[at].kind == "number"
        table.add_column(Text(block.head[at]), justify="right" if number else "left", no_wrap=number)
    for row in block.rows:
        table.add_row(*(Text(row[at]) for at in places))
    yield table
    if block.foot:
        yield Text(block.foot)
    if block.mark and any(row[at].endswith(block.mark) for row in block.rows for at in places):
        yield Text(block.mark_note)


def _with_room(block: TableBlock, width: int) -> list[int]:
    """Return the columns that fit; optional columns are removed one by one, but six are kept."""
    rows = [block.head, *block.rows]
    # Plus one blank on each side.
    needed = [2 + max(cell_len(row[at]) for row in rows) for at in range(len(block.columns))]
    places = list(range(len(needed)))
    for at in sorted((at for at in places if block.columns[at].spare), key=lambda at: block.columns[at].spare):
        if sum(needed[place] for place in places) > width and len(places) > 6:
            places.remove(at)
    return places


def print_summary(result: StudyResult, console: Console) -> None:
    """Print counts, the answer, the small table and the warnings."""
    facts, words = result.facts, words_of(result)
    if result.simulated:
        console.print(Text(words["terminal.simulated"], style="bold red"))
    print_counts(facts["counts"], console, words)
    title = f"{facts['study']} – {words['terminal.shown_data'].format(date=facts['data_date'])}"
    console.print(Panel(Text(headline(facts, words)), title=Text(title), title_align="left"))
    for line in ladder(facts, words):
        console.print(Text(line, style="dim"))
    print_blocks([small_table(facts, words)], console)
    console.print(Text(said(facts.get("trust") or "", words)))
    for row in chronology(facts, words, flagged=True):
        console.print(Text(words["terminal.named"].format(name=row.lead, text=row.text), style="yellow"))
    print_warnings(facts.get("warnings") or (), console, words, most=MOST_WARNINGS)


def print_pack(result: StudyResult, folder: Path, console: Console) -> None:
    """Print the path of the pack."""
    console.print(Text(words_of(result)["terminal.pack"].format(folder=folder)), soft_wrap=True)


def print_warnings(warnings: Sequence[str], console: Console, words: Words, *, most: int | None = None) -> None:
    """Print the number of warnings and the first ``most``, the most serious first, coloured by level."""
    if not warnings:
        return
    console.print(Text(words["page.warnings_n"].format(n=len(warnings)), style="bold"))
    listed = worst_first(warnings)
    shown = listed[:most]
    for warning in shown:
        line = f"– {said(warning, words)}"
        console.print(Text(line, style=_STYLES[severity(warning)]), soft_wrap=True)
    if left := left_out_words(len(listed) - len(shown), "summary.json", words):
        console.print(Text(left))


def print_changes(
    changes: Sequence[Change], first: Path, second: Path, console: Console, *, language: str = "en"
) -> None:
    """Print the differences of two packs, part by part, in two columns."""
    words = catalogue(language)
    if not changes:
        console.print(Text(words["terminal.agree"].format(first=first, second=second)))
        return
    for part in dict.fromkeys(change.part for change in changes):
        name = words[f"terminal.part_{part}"]
        table = Table(box=None, pad_edge=False, title=name, title_justify="left", expand=True)
        for head in (name, str(first), str(second)):
            table.add_column(Text(head, overflow="fold"), ratio=1, overflow="fold")
        for change in changes:
            if change.part == part:
                sides = (Text(_side(value, words)) for value in (change.first, change.second))
                table.add_row(Text(change.name), *sides)
        console.print(table)


def _side(value: Any, words: Words) -> str:
    if isinstance(value, str):
        return said(value, words)
    return "–" if value is None else f"{value:.6g}" if isinstance(value, float) else str(value)


def print_counts(counts: Mapping[str, Any], console: Console, words: Words) -> None:
    """Print the numbers of used and dropped firm-events, with the reasons."""
    reasons = [(term(words, "ledger", name), n) for name, n in counts["reasons"].items()]
    told = words["terminal.comma"].join(f"{name} {n}" for name, n in reasons)
    line = words["terminal.ledger"].format(used=counts["used"], shifted=counts["shifted"], dropped=counts["dropped"])
    if counts.get("merged"):
        line = words["terminal.comma"].join((line, words["terminal.merged"].format(n=counts["merged"])))
    console.print(Text(words["terminal.named"].format(name=line, text=told) if told else line))


def print_alignment(
    events: Events, config: StudyConfig, alignments: Mapping[tuple[str, str], Alignment], console: Console
) -> None:
    """Print day 0 of every event on every exchange; markets with the same sessions share a column."""
    words = catalogue(config.study.language, config.study.kind)
    regions: dict[str, str] = {}
    for market in config.markets:
        regions.setdefault(market.region or market.mic, market.mic)
    table = Table(box=None, pad_edge=False)
    # On a narrow terminal the label is left out, because the table is about day 0.
    wide = console.width >= 60 + 14 * len(regions)
    heads = [words[f"column.{name}"] for name in ("event", *(("label",) if wide else ()), "timestamp")]
    for name in (*heads, *regions):
        table.add_column(name, no_wrap=True)
    for event in events:
        cells = [_day0(alignments.get((event.event_id, mic)), words) for mic in regions.values()]
        moment = f"{event.timestamp:%Y-%m-%d %H:%M}" if event.precision != "date" else f"{event.timestamp}"
        label = (term(words, "label", event.label),) if wide else ()
        table.add_row(Text(event.event_id), *label, moment, *cells)
    console.print(table)
    console.print(Text(words["terminal.day0"], style="dim"))


def _day0(alignment: Alignment | None, words: Words) -> str:
    if alignment is None:
        return words["terminal.no_session"]
    return f"{alignment.session}{ {'after_close': ' +', 'closed': ' ~'}.get(alignment.reaction, '') }"


def print_ledger(
    ledger: Sequence[LedgerEntry], console: Console, *, language: str = "en", kind: str = "return"
) -> None:
    """Print what would be used, and dropped firm-events by reason."""
    words = catalogue(language, kind)
    print_counts(firm_event_counts((row.status, code_of(row.reason)) for row in ledger), console, words)
    table = Table(box=None, pad_edge=False)
    for name in ("event", "dropped_peers", "stage", "reason"):
        table.add_column(words[f"column.{name}"])
    grouped: dict[tuple[str, str, Reason], list[str]] = {}
    for row in ledger:
        if row.status == "dropped":
            grouped.setdefault((row.event_id, row.stage, row.reason), []).append(row.ticker)
    for (event_id, stage, reason), tickers in grouped.items():
        shown = term(words, "stage", stage)
        table.add_row(Text(event_id), Text(", ".join(tickers)), shown, Text(said(reason, words)))
    if grouped:
        console.print(table)


def print_outcomes(outcomes: Mapping[str, PriceOutcome], folder: Path, console: Console) -> None:
    """Print the outcome of each ticker with a problem, the counts, and the folder."""
    for name, outcome in outcomes.items():
        if outcome.status != "ok":
            console.print(Text(f"{name}: {said(outcome.message, catalogue('en'))}", style="yellow"))
    delivered = [outcome for outcome in outcomes.values() if outcome.status == "ok"]
    rows = sum(outcome.rows for outcome in delivered)
    console.print(Text(f"{len(delivered)} of {len(outcomes)} tickers with prices, {rows} days in all"))
    console.print(Text(f"Snapshot: {folder}"), soft_wrap=True)


def print_rewritten(rows: Sequence[Rewritten], console: Console) -> None:
    """Print one line for each day that differs between two snapshots."""
    for row in rows:
        if not row.day:
            text = f"{row.ticker}: only in the {'second' if row.kind == 'new' else 'first'} snapshot"
        elif row.kind == "return":
            text = f"{row.ticker} {row.day}: return {row.before:.6%} is now {row.after:.6%}"
        else:
            price = row.after if row.kind == "new" else row.before
            text = f"{row.ticker} {row.day}: row is {row.kind} (adjusted close {price:g})"
        console.print(Text(text), soft_wrap=True)
    tickers = len({row.ticker for row in rows})
    console.print(Text(f"{len(rows)} difference(s) in {tickers} ticker(s)" if rows else "no difference"))
