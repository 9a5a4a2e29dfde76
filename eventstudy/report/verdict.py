"""The verdict and what goes with it, in the language of the report.

English sentences are the summary's own. Another language's are made from the same numbers: nothing
is translated back from a sentence.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from eventstudy.inference.dates import FEWEST_DATES, LARGE_CVR, dates_needed
from eventstudy.inference.dependence import SMALL_RBAR
from eventstudy.messages import term

from .wording import Words, count, finite, group_words, number, p_text, percent, size, span, test_name

#: Effects for which the number of dates is given.
EFFECTS = (0.02, 0.05, 0.10)


def verdict_content(summary: Mapping[str, Any], words: Words, language: str) -> dict[str, Any]:
    """Return kind, sentence, ladder, group and facts of the verdict, ready to print."""
    verdict = summary.get("verdict") or {}
    own = language == "en"
    return {
        "kind": term(words, "verdict", str(verdict.get("kind") or "")),
        "sentence": str(verdict.get("sentence") or "") if own else sentence(verdict, words),
        "ladder": str(verdict.get("ladder") or "") if own else ladder(verdict, words),
        "group": group_words(str(verdict.get("group") or "all"), words),
        "facts": facts(verdict, words),
    }


def facts(verdict: Mapping[str, Any], words: Words) -> list[list[str]]:
    """Return the verdict's numbers as (name, value), those that are missing left out."""
    low, high = (*(verdict.get("ci") or ()), None, None)[:2]
    name = test_name(words, verdict.get("p_name") or "?")
    found = [
        (words["fact.effect"], percent(verdict.get("effect"))),
        (words["fact.interval"], span(low, high, words)),
        (words["fact.p"].format(test=name), p_text(verdict.get("p_value"))),
        (words["fact.dates"], count(verdict.get("n_dates"))),
        (words["fact.events"], count(verdict.get("n_events"))),
        (words["fact.n_effective"], number(verdict.get("n_effective") or None, 1)),
        (words["fact.placebos"], count(verdict.get("n_placebos") or None)),
        (words["fact.mde"], size(verdict.get("mde"))),
    ]
    return [list(fact) for fact in found if fact[1] != "–"]


def sentence(verdict: Mapping[str, Any], words: Words) -> str:
    """Return the verdict as a sentence made of its numbers."""
    kind, k = str(verdict.get("kind") or "inconclusive"), int(verdict.get("n_dates") or 0)
    if k == 0:
        return words["verdict.nothing"].format(group=group_words(str(verdict.get("group") or "all"), words))
    low, high = (*(verdict.get("ci") or ()), None, None)[:2]
    first, last = (*str(verdict.get("window") or "").strip("[]").split(","), "?")[:2]
    parts = {
        "kind": term(words, "verdict", kind), "group": group_words(str(verdict.get("group") or "all"), words),
        "effect": percent(verdict.get("effect")), "first": first, "last": last, "k": k,
        "n": count(verdict.get("n_events")), "interval": span(low, high, words),
        "p_name": test_name(words, verdict.get("p_name") or "?"), "p": p_text(verdict.get("p_value")),
    }  # fmt: skip
    if k == 1 or not finite(low):
        # With one date the one-sided p is the rank over the number of drops compared.
        among = int(verdict.get("n_placebos") or 0) + 1
        rank = round(float(verdict.get("p_greater") or 0.0) * among)
        return words["verdict.one"].format(**parts, rank=rank, among=among, m=among - 1)
    parts |= {
        "m": count(verdict.get("n_placebos")),
        "flip": p_text(verdict.get("sign_flip_p")),
        "n_effective": number(verdict.get("n_effective"), 1),
        "mde": size(verdict.get("mde")),
    }
    tail = words[f"verdict.tail_{kind.replace(' ', '_')}"].format(
        margin=size(verdict.get("margin")), mde=size(verdict.get("mde"))
    )
    return words["verdict.sentence"].format(**parts) + tail


def ladder(verdict: Mapping[str, Any], words: Words) -> str:
    """Return the notice on what this many dates can show."""
    k, sd, mde = int(verdict.get("n_dates") or 0), verdict.get("sd"), verdict.get("mde")
    if k >= 30:
        return ""
    step = (
        "0" if k == 0 else "1" if k == 1 else "few" if k < FEWEST_DATES else "low" if k < 15 else "moderate"
    )
    ratio = mde / sd if mde is not None and finite(mde) and sd else None
    return words[f"verdict.ladder_{step}"].format(ratio=number(ratio), mde=size(mde))


def trust(summary: Mapping[str, Any], words: Words, language: str) -> str:
    """Return which of the tests to believe."""
    if language == "en":
        return str(summary.get("trust") or "")
    head = summary.get("headline") or {}
    n, k = int(head.get("n_events") or 0), int(head.get("n_dates") or 0)
    rbar: Any = head.get("rbar")
    if k < 2:
        return words["verdict.trust_one"]
    if finite(rbar) and rbar <= SMALL_RBAR and n == k:
        return words["verdict.trust_apart"]
    said = words["verdict.trust_dates"].format(n=n, k=k, rbar=number(rbar))
    ratio: Any = (summary.get("cvr") or {}).get("value")
    if finite(ratio) and ratio > LARGE_CVR:
        said += words["verdict.trust_cvr"].format(value=number(ratio, 1))
    return said + (words["verdict.trust_few"].format(k=k) if k < FEWEST_DATES else "")


def more_data(summary: Mapping[str, Any], words: Words, language: str) -> str:
    """Return how many dates would be needed."""
    if language == "en":
        return str(summary.get("more_data") or "")
    sd: Any = (summary.get("verdict") or {}).get("sd")
    if not finite(sd) or sd <= 0:
        return words["verdict.more_unknown"]
    needed = [str(dates_needed(float(sd), effect)) for effect in EFFECTS]
    return words["verdict.more"].format(sd=size(sd), two=needed[0], five=needed[1], ten=needed[2])


def chronology(summary: Mapping[str, Any], words: Words, language: str) -> list[dict[str, str]]:
    """Return one row a clarification, the gravest flag first."""
    keys = ("event_id", "clarifies", "flag", "sentence")
    rows = [{key: str(row.get(key) or "") for key in keys} for row in summary.get("chronology") or ()]
    for row in rows:
        if language != "en":
            name = (row["flag"] or "after").lower()
            row["sentence"] = words[f"chronology.{name}"].format(event=row["event_id"], of=row["clarifies"])
        row["flag_words"] = term(words, "flag", row["flag"]) if row["flag"] else ""
    order = ("PRECEDES_DROP", "SAME_SESSION")
    return sorted(rows, key=lambda row: order.index(row["flag"]) if row["flag"] in order else len(order))
