"""Page 1: the answer with interval and power, the case, one figure, one table, integrity."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from eventstudy.messages import asked, day_text, said, term
from eventstudy.report.document import Block, Callout, Column, Facts, FigureBlock, Paragraph, Section, TableBlock
from eventstudy.report.sections import case, effect
from eventstudy.report.wording import (
    Words,
    amount,
    count,
    finite,
    group_words,
    number,
    p_text,
    percent,
    points,
    span,
    window_words,
)
from eventstudy.results.result import StudyResult

_LABEL_TIMES = ("ex_ante", "post_hoc", "undated")
#: Mark of rows in the table of page 1 that use labels set after the drop.
_LATE = "†"
#: The figures of page 1.
_FIGURES = ("forest", "caar_by_label")


def answer(result: StudyResult, words: Words, figures: Mapping[str, FigureBlock], *, alone: bool = False) -> Section:
    """Return page 1; ``figures`` are those of the whole study by kind; ``alone`` if no other page shows the shocks."""
    facts = result.facts
    blocks: list[Block] = [question(facts, words), Callout(headline(facts, words))]
    if asked(facts) and (boxed := case.case_facts(result, words)):
        blocks.append(boxed)
    more = said(facts.get("more_data") or "", words)
    blocks += [Paragraph(more, words["page.more_data"], "note")] if more else []
    blocks += filter(None, [effect.firm_events(result, words)])
    shown = [figures[kind] for kind in _FIGURES if kind in figures]
    blocks += shown if alone else shown[:1]
    blocks += [small_table(facts, words)]
    blocks += [integrity(facts, words), Paragraph(words["page.read_it"], words["page.how_to_read"], "note")]
    return Section(name="answer", blocks=tuple(blocks), fitted=True)


def question(facts: Mapping[str, Any], words: Words) -> Paragraph:
    """Return the question of the study."""
    if asked(facts):
        label = term(words, "label", (facts.get("asked") or {}).get("label"))
        post = window_words((facts.get("windows") or {}).get("post"))
        return Paragraph(words["headline.asked"].format(label=label, post=post), words["headline.question"])
    days = effect.days_words(str((facts.get("effect") or {}).get("window")), words)
    told = words[f"headline.asked_{facts.get('kind') or 'return'}"].format(days=days)
    return Paragraph(told, words["headline.question"])


def headline(facts: Mapping[str, Any], words: Words) -> str:
    """Return the answer in plain words: yes, no or cannot say, the numbers, and the power."""
    if not asked(facts):
        return effect.effect_sentence(facts, words)
    verdict, late = facts["verdict"], facts.get("exploratory") or {}
    shown = late if late.get("n_dates") and not verdict.get("n_dates") else verdict
    kind = words[f"headline.{verdict['kind'].replace(' ', '_')}"]
    parts = [kind.format(margin=points(verdict.get("margin"))), _drops(facts, words)]
    if shown.get("n_dates"):
        parts.append(_found(shown, words))
    if shown is late:
        parts.append(words["headline.exploratory"])
    return words["headline.joint"].join([*parts, *_could_see(shown, words)])


def _drops(facts: Mapping[str, Any], words: Words) -> str:
    """Return how many shocks with the label in question count as drops; a single one is named."""
    found = facts.get("asked") or {}
    label, m, n = found.get("label"), int(found.get("n_shocks") or 0), int(found.get("n_drops") or 0)
    if not m:
        return words["headline.no_label"].format(label=term(words, "label", label))
    numbers = {"m": count(m), "n": count(n), "label": term(words, "label", label)}
    if n != 1:
        told = words["headline.drops" if n else "headline.no_drop"].format(**numbers)
        return words["headline.joint"].join(filter(None, (told, _left_out(facts, words))))
    which = {"shock": found["shock_id"], "day": day_text(words, found["day0"]), "fall": percent(found["car_drop"])}
    return words["headline.only_drop" if m == 1 else "headline.one_drop"].format(**numbers, **which)


def _left_out(facts: Mapping[str, Any], words: Words) -> str:
    """Return which drops the answer leaves out, if it uses some of them."""
    found, judged = facts.get("asked") or {}, int(facts["verdict"].get("n_dates") or 0)
    numbers = {name: int(found.get(f"n_{name}") or 0) for name in ("late", "overlapping", "uncompared")}
    why = [words[f"headline.left_{name}"].format(n=n) for name, n in numbers.items() if n]
    if not judged or not why:
        return ""
    return words["headline.left_out"].format(n=sum(numbers.values()), why=words["small.late_comma"].join(why))


def _found(shown: Mapping[str, Any], words: Words) -> str:
    """Return the effect: for one date with its rank and p, for several with the interval and p."""
    low, high = (*(shown.get("ci") or ()), None, None)[:2]
    value = float(shown["effect"])
    more = words["headline.more" if value >= 0 else "headline.less"]
    numbers = {"points": points(abs(value)), "more": more, "k": count(shown["n_dates"])}
    numbers |= {"p": p_text(shown.get("p_value")), "low": points(low, sign=True), "high": points(high, sign=True)}
    if finite(low):
        return words["headline.effect"].format(**numbers)
    one = "_one" if numbers["k"] == "1" else ""
    if shown.get("rank"):
        numbers |= {"rank": count(shown["rank"]), "among": count(shown["among"])}
    return words[f"headline.{'ranked' if shown.get('rank') else 'alone'}{one}"].format(**numbers)


def _could_see(shown: Mapping[str, Any], words: Words) -> list[str]:
    """Return how often a true effect would be found: from simulations, else from the smallest detectable effect."""
    power = shown.get("power") or {}
    found = [
        words["headline.power_of"].format(points=f"{100 * float(size):g}", n=f"{100 * share:.0f}")
        for size, share in power.items()
        if float(size) >= 0.05 and finite(share)
    ]
    if found:
        return [words["headline.power"].format(found=words["small.late_comma"].join(found))]
    if finite(shown.get("mde")):
        return [words["headline.mde"].format(points=points(shown["mde"], 0))]
    return []


def small_table(facts: Mapping[str, Any], words: Words) -> TableBlock:
    """Return the table of page 1: drop and post window of each group, with interval and p.

    Without a verdict it is the table of the event windows.
    """
    if not asked(facts):
        return effect.windows_table(facts, words)
    heads = ("group", "window", "date_mean", "interval", "p", "n", "k", "k_eff")
    return TableBlock(
        name="summary",
        caption=words["page.results"],
        columns=tuple(
            Column(words[f"small.{name}"], "number" if at > 1 else "text", name, 1 if name == "k_eff" else 0)
            for at, name in enumerate(heads)
        ),
        rows=tuple(_small_row(row, words) for row in facts.get("small_table") or ()),
        foot=" ".join(filter(None, (words.get(f"alternative.{facts.get('alternative')}", ""), _late(facts, words)))),
    )


def _small_row(row: Mapping[str, Any], words: Words) -> tuple[str, ...]:
    group = group_words(str(row.get("group", "")), words)
    return (
        f"{group} {_LATE}" if row.get("n_late") else group,
        window_words(row.get("window")),
        amount(row.get("estimate"), words),
        span(row.get("lower"), row.get("upper"), words),
        p_text(row.get("p_value")),
        count(row.get("n_events")),
        count(row.get("n_dates")),
        number(row.get("k_eff"), 1),
    )


def _late(facts: Mapping[str, Any], words: Words) -> str:
    """Return how many dates of each label were labelled after the drop; empty if none."""
    found: dict[str, str] = {}
    for row in facts.get("small_table") or ():
        if row.get("n_late"):
            # Only the label, because the peer group is the same for all rows.
            label = group_words(str(row["group"]).rpartition(";")[2], words)
            late, k = count(row["n_late"]), count(row["n_dates"])
            found.setdefault(label, words["small.late_of"].format(late=late, k=k, label=label))
    said_of = words["small.late_comma"].join(found.values())
    return words["small.late"].format(mark=_LATE, dates=said_of) if found else ""


def integrity(facts: Mapping[str, Any], words: Words) -> Facts:
    """Return the line on the evidence: numbers of events, labels, dropped firm-events and warnings."""
    events, labels, tally = (facts.get(name) or {} for name in ("events", "labels", "counts"))
    used = int(tally.get("used") or 0)
    rows = [
        (
            words["fact.sizes"],
            " / ".join(count(events.get(k)) for k in ("n_events", "n_shocks", "n_peers")),
            "alignment",
        ),
        (words["fact.used"], words["fact.used_of"].format(used=used, dropped=int(tally.get("dropped") or 0)), "ledger"),
    ]
    if labels:
        times = " / ".join(count(labels.get(name)) for name in _LABEL_TIMES)
        rows.append((words["fact.labels"], times, "alignment"))
    rows.append((words["fact.n_effective_all"], number(facts.get("n_effective"), 0), "tests"))
    rows.append((words["fact.warnings"], count(len(facts.get("warnings") or ())), "notes"))
    return Facts(
        tuple((name, value) for name, value, _ in rows),
        "line",
        words["page.integrity"],
        tuple(section for *_, section in rows),
    )
