"""HTML of a result in a notebook: verdict, counts and the table of page 1."""

from __future__ import annotations

from html import escape

from eventstudy.registry import VIEWS
from eventstudy.report.sections.answer import headline, small_table
from eventstudy.report.sections.ledger import counts
from eventstudy.report.wording import words_of
from eventstudy.results.result import StudyResult


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
