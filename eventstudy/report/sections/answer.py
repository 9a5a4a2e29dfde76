"""Page 1: the counts, the verdict, the small table, the integrity of the evidence and the backtest's strip."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from eventstudy.core.statistics.dates import FEWEST_DATES, LARGE_CVR, SCALED_BY_THE_PAST
from eventstudy.messages import asked, said, term
from eventstudy.report.document import (
    Block,
    BulletList,
    Callout,
    Column,
    Columns,
    Facts,
    FigureBlock,
    Group,
    Paragraph,
    Section,
    TableBlock,
)
from eventstudy.report.sections import effect
from eventstudy.report.wording import (
    Words,
    amount,
    count,
    finite,
    group_words,
    number,
    p_text,
    percent,
    size,
    span,
    test_name,
    window_words,
)
from eventstudy.results.result import StudyResult

_LABEL_TIMES = ("ex_ante", "post_hoc", "undated")
Pairs = list[tuple[str, str]]
#: Below this ratio of effective to counted firm-events the cross-sectional t rejects too often: a ratio
#: of 0.9 makes 5 % into about 6 %. Its p-values are then marked.
FEWEST_EFFECTIVE = 0.9
#: Marks rows of the small table that rest on labels set after the drop.
_LATE = "†"
#: Marks p-values of tests that reject too often here; HTML and PDF strike them through as well.
STRUCK = "‡"
_P_COLUMNS = ("date_t_p", "sign_flip_p", "bmp_kp_p", "cross_sectional_p")
#: Columns of the small table; those of `_FIXED` are always there.
_COLUMNS = ("group", "window", "n", "k", "k_eff", "caar", "date_mean", "interval", *_P_COLUMNS)
_FIXED = ("group", "window", "n", "k", "caar")
#: What a narrow terminal leaves out first: the last tests are the least trusted, and page 1 has all of them.
_SPARE = ("cross_sectional_p", "bmp_kp_p", "interval", "date_mean", "k_eff", "sign_flip_p")
#: Numbers of the backtest that page 1 shows where there are any, and how they are printed.
_STRIP: Mapping[str, Any] = {
    "hit_rate": lambda value: size(value, 0),
    "sharpe": number,
    "psr": number,
    "dsr": number,
    "max_drawdown": percent,
    "break_even_bps": lambda value: number(value, 0),
}
#: Those that few shocks do not bear: they would read as evidence that there is not.
_OF_MANY = ("hit_rate", "sharpe", "psr", "dsr")
#: Measures of the drops in question that page 1 shows, and how they are printed.
_MEASURES: Mapping[str, Any] = {
    "car_drop": percent,
    "car_post": percent,
    "excess_post": percent,
    "reversal_ratio": number,
    "share_positive": lambda value: size(value, 0),
}
#: Shares and ratios among them: below `FEWEST_DATES` dates they are left out.
_SHARES = ("reversal_ratio", "share_positive")
#: Reasons for dropped firm-events that page 1 names.
_REASONS = 4


def answer(result: StudyResult, words: Words, figures: Mapping[str, FigureBlock]) -> Section:
    """Return page 1; ``figures`` are those of the whole study by kind."""
    facts = result.facts
    panels = [Group(words["page.integrity"], (Facts(tuple(integrity(facts, words)), "pairs"),), "panel")]
    panels += [_chronicle(facts, words)] if asked(facts) else []
    blocks: list[Block] = [Paragraph("", counts(facts, words)), *_dropped(facts, words), *verdict_blocks(facts, words)]
    blocks += filter(None, [effect.firm_events(result, words)])
    blocks += [figures[kind] for kind in ("forest" if "forest" in figures else "caar_by_label",) if kind in figures]
    blocks += [small_table(facts, words)]
    blocks += [Columns(tuple((panel,) for panel in panels))]
    for name, rows in (("in_question", in_question(result, words)), ("backtest", backtest_strip(facts, words))):
        blocks += [Facts(tuple(rows), "line", words[f"page.{name}"])] if rows else []
    for name in ("trust", "more_data"):
        text = said(facts.get(name) or "", words)
        blocks += [Paragraph(text, words[f"page.{name}"])] if text else []
    return Section(name="answer", blocks=tuple(blocks), fitted=True)


def _chronicle(facts: Mapping[str, Any], words: Words) -> Group:
    told = chronology(facts, words)
    more = words["page.more_notes"].format(n=len(told) - 4)
    block = BulletList(tuple(told), more) if told else Paragraph(words["page.no_chronology"])
    return Group(words["page.chronology"], (block,), "panel")


def _dropped(facts: Mapping[str, Any], words: Words) -> list[Paragraph]:
    """Return one line on why firm-events were dropped; none where none was."""
    dropped = [f"{n} × {reason}" for reason, n in reasons(facts, words)]
    more = [words["page.more_below"]] if len(dropped) > _REASONS else []
    return [Paragraph("; ".join([*dropped[:_REASONS], *more]), tone="note")] if dropped else []


def verdict_blocks(facts: Mapping[str, Any], words: Words) -> list[Block]:
    """Return the headline's sentence with its numbers, and what else must be known to read it."""
    group = group_words(str(_headline(facts).get("group") or "all"), words)
    named = [("", words["page.headline"].format(group=group))] if asked(facts) or group != words["group.all"] else []
    blocks: list[Block] = [
        Callout(verdict_sentence(facts, words)),
        Facts((*named, *headline_facts(facts, words)), "line"),
    ]
    return blocks + [Paragraph(text, tone="emphasis") for text in ladder(facts, words)]


def verdict_sentence(facts: Mapping[str, Any], words: Words) -> str:
    """Return the headline in one sentence: the verdict, or the effect where no verdict was asked for."""
    return said(_headline(facts).get("sentence") or "", words)


def _headline(facts: Mapping[str, Any]) -> Mapping[str, Any]:
    return facts.get("verdict" if asked(facts) else "effect") or {}


def ladder(facts: Mapping[str, Any], words: Words) -> list[str]:
    """Return the sentences under the verdict: what it rests on, and events within the post window.

    Where labels set after the drop leave nothing to the main verdict, the exploratory one stands there.
    """
    verdict, late = facts.get("verdict") or {}, facts.get("exploratory") or {}
    rests = said(verdict.get("ladder") or "", words)
    if late.get("n_dates") and not verdict.get("n_dates"):
        rests = words["verdict.exploratory"].format(sentence=said(late.get("sentence") or "", words))
    return [text for text in (rests, said(verdict.get("inside") or "", words)) if text]


def headline_facts(facts: Mapping[str, Any], words: Words) -> Pairs:
    """Return the headline's numbers as (name, value), those that are missing left out."""
    if not asked(facts):
        return effect.effect_facts(facts, words)
    verdict = facts.get("verdict") or {}
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
    return [fact for fact in found if fact[1] != "–"]


def chronology(facts: Mapping[str, Any], words: Words, *, flagged: bool = False) -> list[Paragraph]:
    """Return one sentence a clarification after the words of its flag, the gravest first; or those with a flag."""
    order = ("PRECEDES_DROP", "SAME_SESSION")
    rows = [(str(row.get("flag") or ""), row) for row in facts.get("chronology") or ()]
    rows.sort(key=lambda row: order.index(row[0]) if row[0] in order else len(order))
    return [
        Paragraph(said(row.get("sentence") or "", words), term(words, "flag", flag) if flag else "")
        for flag, row in rows
        if flag or not flagged
    ]


def small_table(facts: Mapping[str, Any], words: Words) -> TableBlock:
    """Return the table of page 1; a column that no row has a value for is left out.

    P-values of tests that reject too often here end with `STRUCK`; the note on the mark says why. Without a verdict
    it is the table of the event windows.
    """
    if not asked(facts):
        return effect.windows_table(facts, words)
    together = _moved_together(facts)
    rows = [_small_row(row, together, words) for row in facts.get("small_table") or ()]
    kept = [at for at, name in enumerate(_COLUMNS) if name in _FIXED or any(row[at] != "–" for row in rows)]
    cells = tuple(tuple(row[at] for at in kept) for row in rows)
    spare = {name: at for at, name in enumerate(_SPARE, 1)}
    sides = words.get(f"alternative.{facts.get('alternative')}", "")
    return TableBlock(
        name="summary",
        caption=words["page.results"],
        columns=tuple(
            Column(words[f"small.{name}"], "number" if at > 1 else "text", name, spare.get(name, 0))
            for at, name in ((at, _COLUMNS[at]) for at in kept)
        ),
        rows=cells,
        mark=STRUCK,
        mark_note=_why_struck(facts, cells, together, words),
        foot=" ".join(filter(None, (sides, _late_labels(facts, words)))),
    )


def _moved_together(facts: Mapping[str, Any]) -> bool:
    """Whether the cross-sectional test takes firm-events for independent that are not."""
    head = facts.get("headline") or {}
    n: Any = head.get("n_events")
    effective: Any = head.get("n_effective")
    return finite(n) and finite(effective) and float(effective) < FEWEST_EFFECTIVE * float(n)


def _bursts(row: Mapping[str, Any]) -> bool:
    """Whether the common volatility of the row's days is large against the estimation window's."""
    ratio: Any = row.get("cvr")
    return finite(ratio) and float(ratio) > LARGE_CVR


def _why_struck(facts: Mapping[str, Any], cells: Sequence[Sequence[str]], together: bool, words: Words) -> str:
    """Return the one note on marked p-values; empty where there is none."""
    if not any(cell.endswith(STRUCK) for row in cells for cell in row):
        return ""
    ratios = {
        window_words(row.get("window")): number(row.get("cvr"), 1)
        for row in facts.get("small_table") or ()
        if _bursts(row)
    }
    head = facts.get("headline") or {}
    parts = []
    if together:
        n, effective = count(head.get("n_events")), number(head.get("n_effective"), 0)
        parts.append(words["small.struck"].format(n=n, effective=effective))
    if ratios:
        told = words["small.late_comma"].join(
            words["small.ratio"].format(window=window, value=value) for window, value in ratios.items()
        )
        parts.append(words["small.struck_cvr"].format(ratios=told))
    return " ".join((STRUCK, *parts))


def _late_labels(facts: Mapping[str, Any], words: Words) -> str:
    """Say how many dates of each label were labelled after the drop, or nothing."""
    found: dict[str, str] = {}
    for row in facts.get("small_table") or ():
        if row.get("n_late"):
            # The label alone: the group of peers is the same for all rows.
            label = group_words(str(row["group"]).rpartition(";")[2], words)
            late, k = count(row["n_late"]), count(row["n_dates"])
            found.setdefault(label, words["small.late_of"].format(late=late, k=k, label=label))
    said_of = words["small.late_comma"].join(found.values())
    return words["small.late"].format(mark=_LATE, dates=said_of) if found else ""


def _small_row(row: Mapping[str, Any], together: bool, words: Words) -> list[str]:
    group = group_words(str(row.get("group", "")), words)
    marked = {f"{name}_p" for name in SCALED_BY_THE_PAST} if _bursts(row) else set()
    marked |= {"cross_sectional_p"} if together else set()
    p_cells = {name: p_text(row.get(name)) for name in _P_COLUMNS}
    return [
        f"{group} {_LATE}" if row.get("n_late") else group,
        window_words(row.get("window")),
        count(row.get("n_events")),
        count(row.get("n_dates")),
        number(row.get("k_eff"), 1),
        amount(row.get("caar"), words),
        amount(row.get("shock_mean"), words),
        span(row.get("lower"), row.get("upper"), words),
        *(f"{p} {STRUCK}" if name in marked and finite(row.get(name)) else p for name, p in p_cells.items()),
    ]


def counts(facts: Mapping[str, Any], words: Words) -> str:
    """Return the ledger's counts, see `results.counts`: firm-events whose day 0 moved are among the used."""
    found = facts.get("counts") or {}
    used, moved, dropped = (int(found.get(name) or 0) for name in ("used", "shifted", "dropped"))
    line = words["page.counts_moved" if moved else "page.counts"].format(used=used, moved=moved, dropped=dropped)
    if found.get("merged"):
        line = words["terminal.comma"].join((line, words["terminal.merged"].format(n=found["merged"])))
    return line


def reasons(facts: Mapping[str, Any], words: Words) -> Pairs:
    """Return (reason, firm-events dropped for it), the commonest first."""
    found = (facts.get("counts") or {}).get("reasons") or {}
    ordered = sorted(found.items(), key=lambda item: (-item[1], item[0]))
    return [(term(words, "reason", reason), count(n)) for reason, n in ordered]


def integrity(facts: Mapping[str, Any], words: Words) -> Pairs:
    """Return how many events, labels and independent firm-events the verdict rests on."""
    events, labels = facts.get("events") or {}, facts.get("labels") or {}
    found = [
        (words["fact.sizes"], " · ".join(count(events.get(k)) for k in ("n_events", "n_shocks", "n_peers"))),
        *([(words["fact.labels"], " / ".join(count(labels.get(k)) for k in _LABEL_TIMES))] if labels else []),
        (words["fact.rbar"], number(facts.get("rbar"))),
        (words["fact.n_effective_all"], number(facts.get("n_effective"), 1)),
    ]
    ratio = facts.get("cvr") or {}
    if finite(ratio.get("value")):
        interval = f"{number(ratio.get('lower'))}–{number(ratio.get('upper'))}"
        found.append((words["fact.cvr"], f"{number(ratio.get('value'))} ({interval})"))
    left = facts.get("leave_one_out")
    if left:
        found.append((words["fact.leave_one_out"], span(left.get("lower"), left.get("upper"), words)))
        found.append((words["fact.most_weight"], str(left.get("most_influential"))))
    return found


def backtest_strip(facts: Mapping[str, Any], words: Words) -> Pairs:
    """Return what the rule earned, the number of trades with it, and its numbers where it traded."""
    found = facts.get("backtest") or {}
    if not found:
        return []
    strip = [("", said(found["sentence"], words))]
    if not found.get("n_trades"):
        return strip
    strip += [
        (term(words, "backtest", name), show(found[name]))
        for name, show in _STRIP.items()
        if finite(found.get(name)) and not (name in _OF_MANY and found.get("caution"))
    ]
    for currency, capacity in sorted((found.get("capacity") or {}).items()):
        if finite(capacity):
            text = words["backtest.amount"].format(currency=currency, millions=float(capacity) / 1e6)
            strip.append((words["backtest.capacity"], text))
    strip += [("", said(why, words)) for why in (found.get("capacity_withheld") or {}).values()]
    other = ((found.get("comparison") or {}).get("every_drop") or {}).get("net_per_trade")
    if finite(other):
        strip.append((words["backtest.every_drop"], percent(other)))
    return strip


def in_question(result: StudyResult, words: Words) -> Pairs:
    """Return drop, post, excess, ratio and share of the verdict's drops, as far as there are enough."""
    table = result.tables.get("reversal_measures")
    verdict = result.facts.get("verdict") or {}
    if table is None or table.empty:
        return []
    mine = table[table["group"] == str(verdict.get("group") or "")]
    rows = mine.drop_duplicates("measure").set_index("measure")["estimate"]
    few = int(verdict.get("n_dates") or 0) < FEWEST_DATES
    found = {name: None if few and name in _SHARES else rows.get(name) for name in _MEASURES}
    facts = [
        (term(words, "measure", name), show(found[name])) for name, show in _MEASURES.items() if finite(found[name])
    ]
    among = rows.get("reversal_ratio_placebos")
    if finite(among) and finite(found["reversal_ratio"]):
        facts.append((words["measure.reversal_ratio_placebos"], number(among)))
    return facts
