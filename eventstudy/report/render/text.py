"""The summary as plain text: a box of facts, the table of page 1, and the verdict with its basis."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

from eventstudy.messages import asked, said
from eventstudy.registry import VIEWS
from eventstudy.report.sections.answer import headline, small_table
from eventstudy.report.wording import Words, count, number, words_of
from eventstudy.results.result import StudyResult

WIDTH = 100


@VIEWS.add("summary")
def summary_text(result: StudyResult) -> str:
    """Return the text, without control characters and with lines of at most `WIDTH` characters."""
    words, facts = words_of(result), result.facts
    table = small_table(facts, words)
    parts = [str(facts["study"]).center(WIDTH).rstrip(), "=" * WIDTH]
    if result.simulated:
        parts += [words["page.simulated_banner"].center(WIDTH).rstrip(), "-" * WIDTH]
    parts += [*_box(result, words), "=" * WIDTH, *_columns(table.head, table.rows), "=" * WIDTH]
    trust = said(facts.get("trust") or "", words)
    for text in (headline(facts, words), trust, table.foot, table.mark_note):
        parts += textwrap.wrap(text, WIDTH) if text else []
    return "\n".join([*parts, *_warnings([said(text, words) for text in facts["warnings"]], words)])


def _box(result: StudyResult, words: Words) -> list[str]:
    """Facts of the run in two columns."""
    facts = result.facts
    events, windows, tally = facts["events"], facts["windows"], facts["counts"]
    left = [
        (words["box.model"], facts["model"]["name"]),
        (words["box.returns"], words["box.measure"].format(returns=facts["returns"])),
        (words["box.estimation"], _window(windows["estimation"])),
    ]
    main = {"drop": windows["drop"], "post": windows["post"]}
    if not asked(facts):
        main = {"window": result.effect.window, "event": windows["event"]}
    left += [(words[f"box.{name}"], _window(window)) for name, window in main.items()]
    right = [
        ("Prices:", f"{facts['price_source']} to {facts['data_date']}"),
        ("Events, shocks, peers:", f"{events['n_events']}, {events['n_shocks']}, {events['n_peers']}"),
        ("Firm-events used, dropped:", f"{tally['used']}, {tally['dropped']}"),
        ("Mean residual correlation:", number(facts["rbar"])),
        ("Effective firm-events:", number(facts["n_effective"], 1)),
    ]
    half = WIDTH // 2 - 2
    return [f"{a}{b:>{half - len(a)}}    {c}{d:>{half - len(c)}}" for (a, b), (c, d) in zip(left, right, strict=True)]


def _window(window: Sequence[int]) -> str:
    return f"[{window[0]}, {window[1]}]"


def _columns(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """The table with aligned columns; the last columns are left out until it fits."""
    shown = len(head)
    while True:
        widths = [max(len(row[place]) for row in (head, *rows)) for place in range(shown)]
        if sum(widths) + 2 * (shown - 1) <= WIDTH or shown <= 2:
            break
        shown -= 1
    lines = [
        "  ".join(
            cell.ljust(width) if place < 2 else cell.rjust(width)
            for place, (cell, width) in enumerate(zip(row, widths, strict=False))
        ).rstrip()
        for row in (head, *rows)
    ]
    return [lines[0], "-" * WIDTH, *lines[1:]]


def _warnings(warnings: Sequence[str], words: Words) -> list[str]:
    if not warnings:
        return []
    head = f"{words['page.warnings_n'].format(n=count(len(warnings)))}:"
    return [
        head,
        *(
            line
            for text in warnings
            for line in textwrap.wrap(text, WIDTH, initial_indent="- ", subsequent_indent="  ")
        ),
    ]
