"""A result in Python: its summary as plain text, its ten lines at the prompt, its HTML in a notebook."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from html import escape

from eventstudy.messages import asked, said
from eventstudy.registry import VIEWS
from eventstudy.report.sections.answer import headline, small_table
from eventstudy.report.sections.ledger import counts
from eventstudy.report.wording import Words, amount, count, number, p_text, span, test_name, window_words, words_of
from eventstudy.results.records import TestRow
from eventstudy.results.result import StudyResult

WIDTH = 100
#: Largest number of lines for the verdict, so that the whole text has ten.
VERDICT_LINES = 2
#: Tests in order of preference: the mean over dates with an interval, then the first test of the pages.
HEADLINE = ("ibragimov_mueller", "date_t")


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
    if warnings := facts["warnings"]:
        parts.append(f"{words['page.warnings_n'].format(n=count(len(warnings)))}:")
    for warning in warnings:
        parts += textwrap.wrap(said(warning, words), WIDTH, initial_indent="- ", subsequent_indent="  ")
    return "\n".join(parts)


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


@VIEWS.add("repr")
def brief(result: StudyResult) -> str:
    """Return study, run, verdict, counts, the first window's mean, dates, warnings, and how to go on."""
    words, facts = words_of(result), result.facts
    counts = result.counts
    lines = [words["brief.study"].format(name=facts.get("study") or "")]
    if result.simulated:
        lines.append(words["page.simulated_banner"])
    source, date = facts.get("price_source") or "", facts.get("data_date") or ""
    lines.append(words["brief.run"].format(id=result.run_id, source=source, date=date))
    sentence = headline(facts, words)
    lines += _cut(words["brief.verdict"].format(sentence=sentence), VERDICT_LINES)
    lines += _cut(
        words["brief.counts"].format(
            used=counts.used,
            shifted=counts.shifted,
            dropped=counts.dropped,
            events=counts.n_events,
            shocks=counts.n_shocks,
            peers=counts.n_peers,
        )
    )
    window = next(iter(result.windows.car), (0, 1))
    following, texts = words["brief.next"].format(window=tuple(window)), facts.get("warnings") or ()
    told = words["brief.no_warnings"]
    if texts:
        told = words["brief.warnings"].format(n=len(texts), text=said(texts[0], words))
    return "\n".join([*lines, *_first_window(result, words), *_cut(told), following])


def _first_window(result: StudyResult, words: Words) -> list[str]:
    """Two lines on the headline group in the first window; none without tests."""
    test = headline_test(result)
    if test is None:
        return []
    mean = words["brief.car"].format(
        name=words["column.car_of"].format(window=window_words(test.window)),
        estimate=amount(test.estimate, words),
        interval=span(*test.conf_int(), words),
        p=p_text(test.p_value),
        test=test_name(words, test.name),
    )
    return [*_cut(mean), words["brief.dates"].format(k=test.n_dates, k_eff=number(test.k_eff, 1))]


def headline_test(result: StudyResult) -> TestRow | None:
    """Return the test of the headline group's mean in the first window of ``windows.car``, None if there is none."""
    facts = result.facts
    if "tests" not in result.tables or not result.windows.car:
        return None
    group, window = facts.get("headline_group") or "all", result.windows.car[0]
    rows = {row.name: row for row in result.tests.where(group=group, window=window)}
    return next((rows[name] for name in (*HEADLINE, *rows) if name in rows), None)


def _cut(text: str, lines: int = 1) -> list[str]:
    return textwrap.wrap(text, WIDTH, max_lines=lines, placeholder=" …") or [""]


@VIEWS.add("notebook")
def notebook_html(result: StudyResult) -> str:
    """Return a fragment of HTML without styles or scripts of its own; every string is escaped."""
    words, facts = words_of(result), result.facts
    table = small_table(facts, words)
    head = "".join(f"<th>{escape(cell)}</th>" for cell in table.head)
    rows = "".join("<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>" for row in table.rows)
    banner = f"<p><strong>{escape(words['page.simulated_banner'])}</strong></p>" if result.simulated else ""
    return (
        f"<h3>{escape(str(facts.get('study') or ''))}</h3>{banner}"
        f"<p>{escape(headline(facts, words))}</p>"
        f"<table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>"
        f"<p>{escape(counts(facts, words))} · {escape(result.run_id)}</p>"
    )
