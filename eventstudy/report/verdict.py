"""The verdict and what goes with it, in the language of the report."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from eventstudy.messages import said, term
from eventstudy.report.wording import Words, amount, count, group_words, number, p_text, size, span, test_name


def verdict_content(summary: Mapping[str, Any], words: Words) -> dict[str, Any]:
    """Return the verdict's sentence and what stands around it, ready to print."""
    verdict = summary.get("verdict") or {}
    return {
        "kind": term(words, "verdict", str(verdict.get("kind") or "")),
        "sentence": said(verdict.get("sentence") or "", words),
        "ladder": _beside(summary, words) or said(verdict.get("ladder") or "", words),
        "inside": said(verdict.get("inside") or "", words),
        "group": group_words(str(verdict.get("group") or "all"), words),
        "facts": facts(verdict, words),
    }


def _beside(summary: Mapping[str, Any], words: Words) -> str:
    """Return the exploratory verdict where labels set after the drop leave nothing to the main one."""
    verdict, late = summary.get("verdict") or {}, summary.get("exploratory") or {}
    if verdict.get("n_dates") or not late.get("n_dates"):
        return ""
    return words["verdict.exploratory"].format(sentence=said(late.get("sentence") or "", words))


def facts(verdict: Mapping[str, Any], words: Words) -> list[list[str]]:
    """Return the verdict's numbers as (name, value), those that are missing left out."""
    low, high = (*(verdict.get("ci") or ()), None, None)[:2]
    name = test_name(words, verdict.get("p_name") or "?")
    found = [
        (words["fact.effect"], amount(verdict.get("effect"), words)),
        (words["fact.interval"], span(low, high, words)),
        (words["fact.p"].format(test=name), p_text(verdict.get("p_value"))),
        (words["fact.dates"], count(verdict.get("n_dates"))),
        (words["fact.events"], count(verdict.get("n_events"))),
        (words["fact.n_effective"], number(verdict.get("n_effective") or None, 1)),
        (words["fact.placebos"], count(verdict.get("n_placebos") or None)),
        (words["fact.mde"], size(verdict.get("mde"))),
    ]
    return [list(fact) for fact in found if fact[1] != "–"]


def chronology(summary: Mapping[str, Any], words: Words) -> list[dict[str, str]]:
    """Return one row a clarification, the gravest flag first."""
    rows = []
    for row in summary.get("chronology") or ():
        kept = {key: str(row.get(key) or "") for key in ("event_id", "clarifies", "flag")}
        flag = term(words, "flag", kept["flag"]) if kept["flag"] else ""
        rows.append({**kept, "flag_words": flag, "sentence": said(row.get("sentence") or "", words)})
    order = ("PRECEDES_DROP", "SAME_SESSION")
    return sorted(rows, key=lambda row: order.index(row["flag"]) if row["flag"] in order else len(order))
