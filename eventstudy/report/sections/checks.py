"""Robustness and checks: specification curve, diagnostics, prices, pre-registration."""

from __future__ import annotations

from eventstudy.messages import said, term
from eventstudy.report.document import Block, Facts, Paragraph
from eventstudy.report.wording import Words, cell_text, count, finite, listing, p_text, percent, size
from eventstudy.results.result import StudyResult


def specifications(result: StudyResult, words: Words) -> list[Block]:
    """Return the median of the specification curve and its joint test."""
    frame = result.tables.get("specification_curve")
    if frame is None or "estimate" not in frame or not frame["estimate"].notna().any():
        return []
    first = frame[frame["estimate"].notna()].iloc[0]
    facts = (
        (words["column.median"], percent(first.get("median"))),
        (words["column.share_positive"], size(first.get("share_positive"), 0)),
        (words["column.joint_p"], p_text(first.get("joint_p"))),
        (words["column.n_specifications"], count(len(frame))),
        (words["fact.dates"], count(frame["n_dates"].max())),
    )
    return [Facts(tuple(fact for fact in facts if fact[1] != "–"))]


def diagnostics(result: StudyResult, words: Words) -> list[Block]:
    """Return the shares of fits that fail each check, with advice."""
    found = result.facts.get("diagnostics") or {}
    facts = [(words["column.n_fits"], count(found.get("n_fits")))] if finite(found.get("n_fits")) else []
    facts += [(term(words, "diagnostic", name), size(share, 0)) for name, share in (found.get("shares") or {}).items()]
    advice = [Paragraph(said(line, words)) for line in found.get("advice") or ()]
    return [*([Facts(tuple(facts))] if facts else []), *advice]


def quality(result: StudyResult, words: Words) -> list[Block]:
    """Return the findings of the checks on the prices."""
    return [listing(result.tables.get("quality"), words, file="tables/quality.csv")]


def prereg(result: StudyResult, words: Words) -> list[Block]:
    """Return the facts on the pre-registration, if there is one."""
    found = result.facts.get("prereg") or {}
    if isinstance(found, str):
        return [Paragraph(found)]
    kept = {k: v for k, v in found.items() if isinstance(v, (str, int, float, bool)) and v != ""}
    facts = tuple((term(words, "column", k), cell_text(k, v, words)) for k, v in kept.items())
    return [Facts(facts)] if facts else []
