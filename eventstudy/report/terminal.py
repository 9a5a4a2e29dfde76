"""What a run and a check print: as wide as the window, plain where there is no terminal."""

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
from eventstudy.core.selection import LedgerRow
from eventstudy.errors import Reason
from eventstudy.events import Events
from eventstudy.exchanges.calendars import Alignment
from eventstudy.messages import catalogue, code_of, said, term
from eventstudy.prices import PriceOutcome
from eventstudy.prices.rewritten import Rewritten
from eventstudy.report import page_one
from eventstudy.report.packs import Change
from eventstudy.report.verdict import chronology, verdict_content
from eventstudy.report.wording import Words, words_of
from eventstudy.results.counts import firm_event_counts
from eventstudy.results.result import StudyResult
from eventstudy.results.severity import severity, worst_first

#: How warnings of each level look.
_STYLES = {"serious": "bold red", "caution": "yellow", "note": "dim"}


def print_summary(result: StudyResult, folder: Path, console: Console) -> None:
    """Print counts, verdict, the small table and where the pack is."""
    summary = result.facts
    words = words_of(result)
    answer = verdict_content(summary, words)
    title = f"{summary['study']} – {words['terminal.shown_data'].format(date=summary['data_date'])}"
    if result.simulated:
        console.print(Text(words["terminal.simulated"], style="bold red"))
    console.print(Text(_counts_line(summary["counts"], words)))
    body = Text(answer["sentence"])
    for name in ("ladder", "inside"):
        if answer[name]:
            body.append(f"\n{answer[name]}", style="dim")
    console.print(Panel(body, title=Text(title), title_align="left"))
    for part in _small_table(summary, words, console.width):
        console.print(part)
    console.print(Text(said(summary.get("trust") or "", words)))
    for row in chronology(summary, words):
        if row["flag"]:
            line = words["terminal.named"].format(name=row["flag_words"], text=row["sentence"])
            console.print(Text(line, style="yellow"))
    print_warnings(summary.get("warnings") or (), console, words)
    console.print(Text(words["terminal.pack"].format(folder=folder)), soft_wrap=True)


def print_warnings(warnings: Sequence[str], console: Console, words: Words) -> None:
    """Print how many warnings there are and each of them, worst first and coloured by how grave it is."""
    if not warnings:
        return
    console.print(Text(words["page.warnings_n"].format(n=len(warnings)), style="bold"))
    for warning in worst_first(warnings):
        line = f"– {said(warning, words)}"
        console.print(Text(line, style=_STYLES[severity(warning)]), soft_wrap=True)


def print_changes(
    changes: Sequence[Change], first: Path, second: Path, console: Console, *, language: str = "en"
) -> None:
    """Print the differences of two packs, one part after the other, in two columns."""
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


def _counts_line(counts: Mapping[str, Any], words: Words) -> str:
    reasons = [(term(words, "ledger", name), n) for name, n in counts["reasons"].items()]
    told = words["terminal.comma"].join(f"{name} {n}" for name, n in reasons)
    line = words["terminal.ledger"].format(used=counts["used"], shifted=counts["shifted"], dropped=counts["dropped"])
    if counts.get("merged"):
        line = words["terminal.comma"].join((line, words["terminal.merged"].format(n=counts["merged"])))
    return words["terminal.named"].format(name=line, text=told) if told else line


def _small_table(summary: Mapping[str, Any], words: Mapping[str, str], width: int) -> Iterator[Table | Text]:
    """Yield the table of page 1, without what finds no room, and the notes on what is left."""
    shown = page_one.small_table(summary, words)
    places = _with_room(shown, width)
    table = Table(box=None, pad_edge=False)
    for place in places:
        right = place > 1
        table.add_column(Text(shown["head"][place]), justify="right" if right else "left", no_wrap=right)
    for row in shown["rows"]:
        table.add_row(*(Text(row[place]) for place in places))
    yield table
    for note in filter(None, (shown["sides"], shown["late"])):
        yield Text(note)
    if any(row[place].endswith(page_one.STRUCK) for row in shown["rows"] for place in places):
        yield Text(shown["struck"])


def _with_room(shown: Mapping[str, Any], width: int) -> list[int]:
    """Return the columns that find room; the last tests are the least trusted, and page 1 has all of them."""
    names, places = shown["names"], list(range(len(shown["head"])))
    first = ("cross_sectional_p", "bmp_kp_p", "interval", "date_mean", "k_eff", "sign_flip_p")
    for name in first:
        place = names.index(name) if name in names else -1
        if _needed(shown, places) > width and place in places and len(places) > 6:
            places.remove(place)
    return places


def _needed(shown: Mapping[str, Any], places: Sequence[int]) -> int:
    """Return the width that these columns take, with one blank on either side of each."""
    rows = [shown["head"], *shown["rows"]]
    return sum(2 + max(cell_len(row[place]) for row in rows) for place in places)


def print_alignment(
    events: Events, config: StudyConfig, alignments: Mapping[tuple[str, str], Alignment], console: Console
) -> None:
    """Print day 0 of every event on every exchange; markets with the same sessions share a column."""
    words = catalogue(config.study.language, config.study.kind)
    regions: dict[str, str] = {}
    for market in config.markets:
        regions.setdefault(market.region or market.mic, market.mic)
    table = Table(box=None, pad_edge=False)
    # On a narrow terminal the label makes room: day 0 is what this table is for.
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


def print_ledger(ledger: Sequence[LedgerRow], console: Console, *, language: str = "en", kind: str = "return") -> None:
    """Print what would be used, and every drop with its reason, alike ones together."""
    words = catalogue(language, kind)
    console.print(Text(_counts_line(firm_event_counts((row.status, code_of(row.reason)) for row in ledger), words)))
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
    console.print(table)


def print_outcomes(outcomes: Mapping[str, PriceOutcome], folder: Path, console: Console) -> None:
    """Print what became of each ticker that was not simply delivered, the counts, and the folder."""
    for name, outcome in outcomes.items():
        if outcome.status != "ok":
            console.print(Text(f"{name}: {said(outcome.message, catalogue('en'))}", style="yellow"))
    delivered = [outcome for outcome in outcomes.values() if outcome.status == "ok"]
    rows = sum(outcome.rows for outcome in delivered)
    console.print(Text(f"{len(delivered)} of {len(outcomes)} tickers with prices, {rows} days in all"))
    console.print(Text(f"Snapshot: {folder}"), soft_wrap=True)


def print_rewritten(rows: Sequence[Rewritten], console: Console) -> None:
    """Print one line for each day that two snapshots tell differently."""
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
