"""Page 1: the small table, the counts, the integrity box and the backtest's strip."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from eventstudy.core.statistics.dates import FEWEST_DATES, LARGE_CVR, SCALED_BY_THE_PAST
from eventstudy.messages import said, term
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
    window_words,
)
from eventstudy.results.result import StudyResult

#: Below this ratio of effective to counted firm-events the cross-sectional t rejects too often: a ratio
#: of 0.9 makes 5 % into about 6 %. Its p-values are then marked.
FEWEST_EFFECTIVE = 0.9
#: Marks rows of the small table that rest on labels set after the drop.
_LATE = "†"
#: Marks p-values of tests that reject too often here; HTML and PDF strike them through as well.
STRUCK = "‡"
#: Columns of the small table that are always there.
_FIXED = ("group", "window", "n", "k", "caar")
_P_COLUMNS = ("date_t_p", "sign_flip_p", "bmp_kp_p", "cross_sectional_p")
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


def small_table(summary: Mapping[str, Any], words: Words) -> dict[str, Any]:
    """Return the table of page 1; a column that no row has a value for is left out.

    P-values of tests that reject too often here end with `STRUCK`, and ``struck`` says why.
    """
    together = _moved_together(summary)
    names = ("group", "window", "n", "k", "k_eff", "caar", "date_mean", "interval", *_P_COLUMNS)
    rows = [_small_row(row, together, words) for row in summary.get("small_table") or ()]
    kept = [place for place, name in enumerate(names) if name in _FIXED or any(r[place] != "–" for r in rows)]
    cells = [[row[place] for place in kept] for row in rows]
    late = _late_labels(summary, words)
    struck = _why_struck(summary, cells, together, words)
    sides = words.get(f"alternative.{summary.get('alternative')}", "")
    return {
        "names": [names[place] for place in kept],
        "head": [words[f"small.{names[place]}"] for place in kept],
        "rows": cells,
        "mark": STRUCK,
        "note": " ".join(filter(None, (sides, late, struck))),
        "late": late,
        "sides": sides,
        "struck": struck,
        "right": [place > 1 for place in kept],
    }


def _moved_together(summary: Mapping[str, Any]) -> bool:
    """Whether the cross-sectional test takes firm-events for independent that are not."""
    head = summary.get("headline") or {}
    n: Any = head.get("n_events")
    effective: Any = head.get("n_effective")
    return finite(n) and finite(effective) and float(effective) < FEWEST_EFFECTIVE * float(n)


def _bursts(row: Mapping[str, Any]) -> bool:
    """Whether the common volatility of the row's days is large against the estimation window's."""
    ratio: Any = row.get("cvr")
    return finite(ratio) and float(ratio) > LARGE_CVR


def _why_struck(summary: Mapping[str, Any], cells: list[list[str]], together: bool, words: Words) -> str:
    """Return the one note on marked p-values; empty where there is none."""
    if not any(cell.endswith(STRUCK) for row in cells for cell in row):
        return ""
    ratios = {
        window_words(row.get("window")): number(row.get("cvr"), 1)
        for row in summary.get("small_table") or ()
        if _bursts(row)
    }
    head = summary.get("headline") or {}
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


def _late_labels(summary: Mapping[str, Any], words: Words) -> str:
    """Say how many dates of each label were labelled after the drop, or nothing."""
    found: dict[str, str] = {}
    for row in summary.get("small_table") or ():
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
    return [
        f"{group} {_LATE}" if row.get("n_late") else group,
        window_words(row.get("window")),
        count(row.get("n_events")),
        count(row.get("n_dates")),
        number(row.get("k_eff"), 1),
        amount(row.get("caar"), words),
        amount(row.get("shock_mean"), words),
        span(row.get("lower"), row.get("upper"), words),
        *(_p_cell(row.get(name), name in marked) for name in _P_COLUMNS),
    ]


def _p_cell(value: Any, marked: bool) -> str:
    return f"{p_text(value)} {STRUCK}" if marked and finite(value) else p_text(value)


def counts(summary: Mapping[str, Any], words: Words) -> dict[str, Any]:
    """Return the ledger's counts, see `results.counts`: firm-events whose day 0 moved are among the used."""
    found = summary.get("counts") or {}
    used, moved, dropped = (int(found.get(name) or 0) for name in ("used", "shifted", "dropped"))
    line = words["page.counts_moved" if moved else "page.counts"]
    line = line.format(used=used, moved=moved, dropped=dropped)
    if found.get("merged"):
        line = words["terminal.comma"].join((line, words["terminal.merged"].format(n=found["merged"])))
    return {"line": line, "used": used, "dropped": dropped}


def reasons(summary: Mapping[str, Any], words: Words) -> list[list[str]]:
    """Return (reason, firm-events dropped for it), the commonest first."""
    found = (summary.get("counts") or {}).get("reasons") or {}
    ordered = sorted(found.items(), key=lambda item: (-item[1], item[0]))
    return [[term(words, "reason", reason), count(n)] for reason, n in ordered]


def integrity(summary: Mapping[str, Any], words: Words) -> list[list[str]]:
    """Return the short lines beside the counts."""
    events, labels = summary.get("events") or {}, summary.get("labels") or {}
    sizes = " · ".join(count(events.get(k)) for k in ("n_events", "n_shocks", "n_peers"))
    facts = [
        [words["fact.sizes"], sizes],
        [words["fact.labels"], " / ".join(count(labels.get(k)) for k in ("ex_ante", "post_hoc", "undated"))],
        [words["fact.rbar"], number(summary.get("rbar"))],
        [words["fact.n_effective_all"], number(summary.get("n_effective"), 1)],
    ]
    ratio = summary.get("cvr") or {}
    if finite(ratio.get("value")):
        interval = f"{number(ratio.get('lower'))}–{number(ratio.get('upper'))}"
        facts.append([words["fact.cvr"], f"{number(ratio.get('value'))} ({interval})"])
    left = summary.get("leave_one_out")
    if left:
        facts.append([words["fact.leave_one_out"], span(left.get("lower"), left.get("upper"), words)])
        facts.append([words["fact.most_weight"], str(left.get("most_influential"))])
    return facts


def backtest_strip(summary: Mapping[str, Any], words: Words) -> list[list[str]]:
    """Return what the rule earned, the number of trades with it, and its numbers where it traded."""
    found = summary.get("backtest") or {}
    if not found:
        return []
    strip = [["", said(found["sentence"], words)]]
    if not found.get("n_trades"):
        return strip
    strip += [
        [term(words, "backtest", name), show(found[name])]
        for name, show in _STRIP.items()
        if finite(found.get(name)) and not (name in _OF_MANY and found.get("caution"))
    ]
    for currency, capacity in sorted((found.get("capacity") or {}).items()):
        if finite(capacity):
            text = words["backtest.amount"].format(currency=currency, millions=float(capacity) / 1e6)
            strip.append([words["backtest.capacity"], text])
    strip += [["", said(why, words)] for why in (found.get("capacity_withheld") or {}).values()]
    other = ((found.get("comparison") or {}).get("every_drop") or {}).get("net_per_trade")
    if finite(other):
        strip.append([words["backtest.every_drop"], percent(other)])
    return strip


def in_question(result: StudyResult, words: Words) -> list[list[str]]:
    """Return drop, post, excess, ratio and share of the verdict's drops, as far as there are enough."""
    table = result.tables.get("reversal_measures")
    verdict = result.facts.get("verdict") or {}
    group = str(verdict.get("group") or "")
    if table is None or table.empty:
        return []
    rows = table[table["group"] == group].drop_duplicates("measure").set_index("measure")["estimate"]
    few = int(verdict.get("n_dates") or 0) < FEWEST_DATES
    found = {name: None if few and name in _SHARES else rows.get(name) for name in _MEASURES}
    facts = [
        [term(words, "measure", name), show(found[name])] for name, show in _MEASURES.items() if finite(found[name])
    ]
    among = rows.get("reversal_ratio_placebos")
    if finite(among) and finite(found["reversal_ratio"]):
        facts.append([words["measure.reversal_ratio_placebos"], number(among)])
    return facts
