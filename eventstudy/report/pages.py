"""What the pages of a report say: rounded numbers, ordered tables, sentences.

`page_content` turns a result into plain JSON for the PDF and the HTML template alike, so both say
the same. Nothing is computed here beyond rounding, counting rows and sorting.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from eventstudy import plots
from eventstudy.messages import said, section, term
from eventstudy.report import listings, method, page_one
from eventstudy.report.extras import extra_sections
from eventstudy.report.verdict import chronology, verdict_content
from eventstudy.report.wording import Words, count, kind_of, language_of, words_of
from eventstudy.results.result import StudyResult

#: Shocks drawn in the report; the pack's figures folder has them all.
MAX_SHOCKS = 40
#: Figures narrower than this, in inches, are not spread over the page.
NARROW = 5.0


def page_content(
    result: StudyResult, *, language: str = "", drawn: Sequence[plots.Plot] | None = None
) -> dict[str, Any]:
    """Return everything the pages print, as plain JSON; strings are still to be escaped.

    ``drawn`` are the figures there are, where the caller knows them already. ``t`` holds the fixed
    words of the pages, everything else what this result has to say.
    """
    summary, chosen = result.facts, language or language_of(result)
    drawn = plots.plots_of(result) if drawn is None else drawn
    words = words_of(result, chosen)
    return {
        "language": chosen,
        "t": section(chosen, "page", kind_of(summary)),
        "study": str(summary.get("study") or words["page.untitled"]),
        "run_id": result.run_id,
        "data_date": str(summary.get("data_date") or "?"),
        "price_source": term(words, "price_source", summary.get("price_source") or "?"),
        "simulated": result.simulated,
        "verdict": verdict_content(summary, words),
        "small_table": page_one.small_table(summary, words),
        "counts": page_one.counts(summary, words),
        "facts": page_one.integrity(summary, words),
        "in_question": page_one.in_question(result, words),
        "strip": page_one.backtest_strip(summary, words),
        "chronology": chronology(summary, words),
        "trust": said(summary.get("trust") or "", words),
        "more_data": said(summary.get("more_data") or "", words),
        "warnings": [said(line, words) for line in summary.get("warnings") or ()],
        "method": method.method(summary, words),
        "settings": method.settings(result.manifest.get("settings") or {}),
        "tests": listings.tests(result, words),
        "multiplicity": listings.multiplicity(result, words),
        "shocks": listings.shocks(result, words),
        "shock_pages": _shock_pages(result, drawn, words),
        "alignment": listings.alignment(result, words),
        "reasons": page_one.reasons(summary, words),
        "matrix": listings.matrix(result, words),
        "peers": method.peers(summary, words),
        "peer_head": [
            words[f"column.{name}"] for name in ("ticker", "name_", "name_local", "market", "region", "peer_group")
        ],
        "extras": extra_sections(result, drawn, words),
        "how_to_read": method.how_to_read(words),
        "references": method.references(),
        "figure_note": _figure_note(result, words),
        **_figures(result, drawn),
        "alts": {plot.name: _alt(plot, words) for plot in drawn},
    }


def map_strings(content: Any, change: Callable[[str], str]) -> Any:
    """Return ``content`` with ``change`` applied to each string in it, keys left alone."""
    if isinstance(content, str):
        return change(content)
    if isinstance(content, Mapping):
        return {key: map_strings(value, change) for key, value in content.items()}
    if isinstance(content, (list, tuple)):
        return [map_strings(value, change) for value in content]
    return content


def _figures(result: StudyResult, drawn: Sequence[plots.Plot]) -> dict[str, Any]:
    """Return the names of the figures that stand by themselves, and how many shocks are left out."""
    whole = {plot.kind: plot.name for plot in drawn if not plot.shock_id}
    narrow = [p.name for p in drawn if not p.shock_id and plots.KINDS[p.kind].frame(result, "").width < NARROW]
    n_shocks = sum(plot.kind == "shock" for plot in drawn)
    return {
        "caar_figure": whole.get("caar_by_label", ""),
        "dots_figure": whole.get("shock_dots", ""),
        "other_caar_figure": whole.get("caar_other_labels", ""),
        "narrow": narrow,
        "shock_figures_left_out": max(0, n_shocks - MAX_SHOCKS),
    }


def _shock_pages(result: StudyResult, drawn: Sequence[plots.Plot], words: Words) -> list[dict[str, Any]]:
    """Return each shock's figure with what stands above it: title, days 0, notes, rank."""
    found = []
    for plot in drawn:
        if plot.kind != "shock":
            continue
        lines = [listings.shock_days(result, plot.shock_id, words), *_shock_notes(result, plot.shock_id, words)]
        found.append(
            {
                "figure": plot.name,
                "title": plots.shock_title(result, plot.shock_id, words=words),
                "lines": [line for line in lines if line],
            }
        )
    return found[:MAX_SHOCKS]


def _shock_notes(result: StudyResult, shock_id: str, words: Words) -> list[str]:
    """Return why a shock does not qualify, its clarifications' flags and its rank among placebos."""
    notes = []
    for row in listings.by_shock(result, "reversal").get(shock_id, ())[:1]:
        why = said(row["why_not"], words) if isinstance(row["why_not"], str) else ""
        if bool(row["qualifies"]):
            notes.append(words["page.qualifies"])
        if why:
            notes.append(words["page.left_out" if bool(row["qualifies"]) else "page.not_qualifies"].format(why=why))
    ids = {row["event_id"] for row in listings.by_shock(result, "ledger").get(shock_id, ())}
    for row in result.facts.get("chronology") or ():
        if row.get("flag") and row["clarifies"] in ids:
            notes.append(f"{row['event_id']}: {term(words, 'flag', row['flag'])}")
    rank = plots.placebo_rank(result, shock_id)
    if rank:
        notes.append(words["page.placebo_rank"].format(rank=count(rank[0]), m=count(rank[1])))
    return [" · ".join(notes)]


def _figure_note(result: StudyResult, words: Words) -> str:
    return " · ".join(plots.setting_parts(result.facts, words))


def _alt(plot: plots.Plot, words: Words) -> str:
    """Return what a figure shows, for readers who cannot see it."""
    return words[f"alt.{plot.kind}"].format(shock=plot.shock_id) if f"alt.{plot.kind}" in words else plot.name
