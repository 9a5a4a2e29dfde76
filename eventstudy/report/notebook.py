"""What a notebook shows of a result: verdict, counts and the table of page 1."""

from __future__ import annotations

from html import escape

from eventstudy.registry import VIEWS
from eventstudy.report import page_one
from eventstudy.report.verdict import verdict_content
from eventstudy.report.wording import words_of
from eventstudy.results.result import StudyResult


@VIEWS.add("notebook")
def notebook_html(result: StudyResult) -> str:
    """Return a fragment of HTML without styles or scripts of its own; every string is escaped."""
    words = words_of(result)
    verdict = verdict_content(result.facts, words)
    table = page_one.small_table(result.facts, words)
    head = "".join(f"<th>{escape(cell)}</th>" for cell in table["head"])
    rows = "".join("<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>" for row in table["rows"])
    banner = f"<p><strong>{escape(words['page.simulated_banner'])}</strong></p>" if result.simulated else ""
    facts = " · ".join(f"{name} {value}" for name, value in verdict["facts"])
    return (
        f"<h3>{escape(str(result.facts.get('study') or ''))}</h3>{banner}"
        f"<p>{escape(verdict['sentence'])}</p><p>{escape(facts)}</p>"
        f"<table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>"
        f"<p>{escape(page_one.counts(result.facts, words)['line'])} · {escape(result.run_id)}</p>"
    )
