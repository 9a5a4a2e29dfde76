"""Details of the verdict: other questions, measures of reversal, control drops, clarifications, claims."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from eventstudy.core.statistics.dates import FEWEST_DATES
from eventstudy.messages import said, say, term
from eventstudy.report.document import Block, Facts, Paragraph, TableBlock
from eventstudy.report.document import table as table_of
from eventstudy.report.sections.case import tallied
from eventstudy.report.wording import (
    MOST_ROWS,
    Words,
    amount,
    count,
    cut,
    finite,
    group_words,
    language_of,
    left_out_words,
    listing,
    number,
    p_text,
    percent,
    size,
    span,
    test_name,
)
from eventstudy.results.result import StudyResult
from eventstudy.reversal.verdict import SMALLEST_MARGIN

#: Measures of reversal in the order of the pages; those in `_PLAIN` are not returns.
MEASURES = tuple(
    """car_drop car_post excess_post excess_regression excess_weighted excess_matched excess_synthetic
    calendar_time_alpha post_random_days matched_less_random equivalence share_positive reversal_ratio
    reversal_ratio_placebos excess_[2,5] excess_[2,10] excess_log excess_bhar excess_alpha_zero
    excess_alpha_estimated excess_P0 excess_P1 excess_P2 excess_P3 recovery_50% recovery_50%_placebos recovery_100%
    recovery_100%_placebos""".split()
)
#: Measures of the drops in question above the comparison, and their formats.
_IN_QUESTION: Mapping[str, Callable[[Any], str]] = {
    "car_drop": percent,
    "car_post": percent,
    "excess_post": percent,
    "reversal_ratio": number,
    "share_positive": lambda value: size(value, 0),
}
#: Shares and ratios among them, which are left out below `FEWEST_DATES` dates.
_SHARES = ("reversal_ratio", "share_positive")
_PLAIN = ("reversal_ratio", "recovery", "half_life", "dates_needed")
_GATES = ("step", "hypothesis", "estimate", "p_value", "level", "passed", "reason")
_PLACEBOS = "shock_id label day0 car_drop car_post rank among p_rank n_placebos placebo_mean excess role".split()
_CLARIFICATIONS = "event_id shock_id flag delay car_before car_at car_after speedup p_value attributed reason".split()
_CLAIMS = ("claim_id", "ticker", "name_", "date", "date_to", "claimed", "verdict", "session", "actual", "source")


def verdict_numbers(verdict: Mapping[str, Any], words: Words) -> list[tuple[str, str]]:
    """Return the verdict's numbers as (name, value), without missing ones."""
    low, high = (*(verdict.get("ci") or ()), None, None)[:2]
    name = test_name(words, verdict.get("p_name") or "?")
    found = [
        (words["fact.effect"], amount(verdict.get("effect"), words)),
        (words["fact.se"], size(verdict.get("se"))),
        (words["fact.interval"], span(low, high, words)),
        (words["fact.p"].format(test=name), p_text(verdict.get("p_value"))),
        (words["fact.rank"], _place(verdict, words)),
        (words["fact.df"], number(verdict.get("df"), 1)),
        (words["fact.dates"], count(verdict.get("n_dates"))),
        (words["fact.k_eff"], number(verdict.get("k_eff"), 1)),
        (words["fact.events"], count(verdict.get("n_events"))),
        (words["fact.n_effective"], number(verdict.get("n_effective") or None, 1)),
        (words["fact.controls"], count(verdict.get("n_controls") or None)),
        (words["fact.clusters"], count(verdict.get("n_clusters") or None)),
        (words["fact.attainable"], count(verdict.get("attainable") or None)),
        (words["fact.placebos"], count(verdict.get("n_placebos") or None)),
        (words["fact.mde"], size(verdict.get("mde"))),
        (words["fact.shrunk"], _shrunk(verdict, words)),
    ]
    return [fact for fact in found if fact[1] != "–"]


def _place(verdict: Mapping[str, Any], words: Words) -> str:
    rank, among = verdict.get("rank"), verdict.get("among")
    return words["fact.rank_of"].format(rank=count(rank), among=count(among)) if rank and among else "–"


def _shrunk(verdict: Mapping[str, Any], words: Words) -> str:
    """Return the shrunken effect with its prior."""
    if not finite(verdict.get("shrunk")):
        return "–"
    return words["fact.shrunk_of"].format(
        shrunk=percent(verdict["shrunk"]),
        p=size(verdict["p_costs"], 0),
        costs=size(SMALLEST_MARGIN),
        prior=size(verdict["prior_sd"]),
    )


def ladder(facts: Mapping[str, Any], words: Words) -> list[str]:
    """Return the sentences below the verdict: its basis, and events in the post window.

    If all labels were set after the drop, the exploratory verdict is shown instead.
    """
    verdict, late = facts.get("verdict") or {}, facts.get("exploratory") or {}
    rests = said(verdict.get("ladder") or "", words)
    if late.get("n_dates") and not verdict.get("n_dates"):
        rests = words["verdict.exploratory"].format(sentence=said(late.get("sentence") or "", words))
    endpoints = facts.get("endpoints") or {}
    told = (rests, said(verdict.get("inside") or "", words), said(endpoints.get("sentence") or "", words))
    return [text for text in told if text]


def in_question(result: StudyResult, words: Words) -> list[tuple[str, str]]:
    """Return drop, post, excess, ratio and share of the verdict's drops, if there are enough dates."""
    table = result.tables.get("reversal_measures")
    verdict = result.facts.get("verdict") or {}
    if table is None or table.empty:
        return []
    mine = table[table["group"] == str(verdict.get("group") or "")]
    rows = mine.drop_duplicates("measure").set_index("measure")["estimate"]
    few = int(verdict.get("n_dates") or 0) < FEWEST_DATES
    found = {name: None if few and name in _SHARES else rows.get(name) for name in _IN_QUESTION}
    facts = [
        (term(words, "measure", name), show(found[name])) for name, show in _IN_QUESTION.items() if finite(found[name])
    ]
    among = rows.get("reversal_ratio_placebos")
    if finite(among) and finite(found["reversal_ratio"]):
        facts.append((words["measure.reversal_ratio_placebos"], number(among)))
    return facts


def verdicts(result: StudyResult, words: Words) -> list[Block]:
    """Return the numbers of the verdict, and the sentence of every other question and of the case study."""
    facts, late = result.facts, result.facts.get("exploratory")
    main = facts.get("verdict") or {}
    shown = late if late and late.get("n_dates") and not main.get("n_dates") else main
    told = verdict_numbers(shown, words), in_question(result, words)
    titles = group_words(str(shown.get("group") or "all"), words), words["page.in_question"]
    lines = zip(told, titles, strict=True)
    first: list[Block] = [Facts(tuple(rows), "line", title) for rows, title in lines if rows]
    # The exploratory answer has a row of its own below.
    told_of = (said(shown.get(name) or "", words) for name in ("ladder", "inside"))
    first += [Paragraph(text) for text in told_of if text]
    answers = [row for row in (main, *(facts.get("verdicts") or {}).values(), late) if row]
    rows = [
        (group_words(str(answer.get("group")), words), said(answer.get("sentence") or "", words)) for answer in answers
    ]
    case = facts.get("case_study")
    if case and case.get("sentence"):
        rows.append((f"{words['page.case_study']} {case.get('shock_id', '')}", said(case["sentence"], words)))
    k = count((facts.get("verdict") or {}).get("n_dates"))
    note = words["page.sequence"].format(k=k)
    gates = listing(result.tables.get("gates"), words, file="tables/gates.csv", columns=_GATES, note=note)
    return [*first, *([Facts(tuple(rows))] if rows else []), gates]


def reversal_measures(result: StudyResult, words: Words) -> list[Block]:
    """Return the measures of reversal, one column for each label, and the differences between groups."""
    frame = result.tables.get("reversal_measures")
    if frame is None or frame.empty:
        return []
    by_key = {(str(row["measure"]), str(row["group"])): row for row in frame.to_dict("records")}

    def known(name: str, group: str) -> bool:
        return finite((by_key.get((name, group)) or {}).get("estimate"))

    groups = [
        group
        for group in map(str, dict.fromkeys(frame["group"]))
        if (group.startswith("label=") or group == "all") and ";" not in group
        if any(known(name, group) for name in MEASURES)
    ]
    rows = [
        [term(words, "measure", name), *(_measure(by_key.get((name, group)), words) for group in groups)]
        for name in MEASURES
        if any(known(name, group) for group in groups)
    ]
    dates = [count((by_key.get(("car_drop", group)) or {}).get("n_dates")) for group in groups]
    heads = [f"{group_words(group, words)} (K {k})" for group, k in zip(groups, dates, strict=True)]
    pivot = table_of([words["column.measure"], *heads], rows, left=1)
    return [pivot, _contrasts(frame[~frame["group"].isin(groups) & ~frame["group"].str.contains(";")], words)]


def _contrasts(others: Any, words: Words) -> TableBlock:
    rows = [
        [
            term(words, "measure", row["measure"]),
            group_words(str(row["group"]), words),
            percent(row["estimate"]),
            span(row["lower"], row["upper"], words),
            p_text(row["p_value"]),
            count(row["n_dates"]),
            cut(said(row["note"] or "", words)),
        ]
        for row in others.to_dict("records")
        if finite(row["estimate"])
    ]
    head = [words[f"column.{name}"] for name in ("measure", "group", "estimate", "interval", "p_value", "n_dates")]
    left_out = left_out_words(len(rows) - MOST_ROWS, "tables/reversal_measures.csv", words)
    numbers = table_of(head, [], left=2)
    return TableBlock(
        columns=(*numbers.columns, *table_of([words["column.note"]], []).columns),
        rows=tuple(map(tuple, rows[:MOST_ROWS])),
        title=words["page.contrasts"],
        left_out=left_out,
    ).filled()


def _measure(row: Mapping[Any, Any] | None, words: Words) -> str:
    """Return a measure as ``+2.1% (−6.0% to +10.3%) p 0.31``, without missing parts."""
    if row is None or not finite(row["estimate"]):
        return "–"
    name = str(row["measure"])
    if name.startswith(_PLAIN):
        return number(row["estimate"], 1 if name.startswith("recovery") else 2)
    text = size(row["estimate"], 0) if name == "share_positive" else percent(row["estimate"])
    if name == "equivalence":
        text = f"±{size(row['upper'])}"
    elif finite(row["lower"]) and finite(row["upper"]):
        text += f" ({span(row['lower'], row['upper'], words)})"
    return text + (f" p {p_text(row['p_value'])}" if finite(row["p_value"]) else "")


def placebos(result: StudyResult, words: Words) -> list[Block]:
    """Return each shock's comparison: number and mean of its control drops, the excess and its rank."""
    frame = result.tables.get("reversal")
    if frame is None or "excess" not in frame:
        return []
    return [_dated(frame[frame["excess"].notna()], "reversal", _PLACEBOS, words)]


def clarifications(result: StudyResult, words: Words) -> list[Block]:
    """Return the returns around each clarification."""
    return [_dated(result.tables.get("clarifications"), "clarifications", _CLARIFICATIONS, words)]


def _dated(frame: Any, name: str, columns: list[str], words: Words) -> TableBlock:
    """Return a table of single dates, with a note on this."""
    return listing(frame, words, file=f"tables/{name}.csv", columns=columns, note=words["page.one_date_each"])


def claims(result: StudyResult, words: Words) -> list[Block]:
    """Return how many claims of each source were confirmed, and each claim with its result."""
    frame = result.tables.get("claims")
    if frame is None or frame.empty:
        return []
    blocks: list[Block] = [Facts(tuple(tallied(frame, words)), "line")]
    # In other tables a column of this name is the name of a statistic.
    named = frame.rename(columns={"name": "name_"})
    peers = result.facts.get("peers") or {}
    if language_of(result) == "zh":
        local = named["ticker"].map(lambda ticker: (peers.get(ticker) or {}).get("name_local") or None)
        named["name_"] = local.fillna(named["name_"])
    # A claim without a number shows its direction in this column.
    unsaid = named["claimed"].isna() & named["comparison"].isin(("fall", "rise"))
    if unsaid.any():
        import pandas as pd

        pairs = zip(named["claimed"], named["comparison"], unsaid, strict=True)
        moves = [say(f"claim.{name}") if empty else value for value, name, empty in pairs]
        named["claimed"] = pd.Series(moves, dtype=object, index=named.index)
    return [*blocks, listing(named, words, file="tables/claims.csv", columns=_CLAIMS, most=80)]
