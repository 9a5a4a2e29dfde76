"""The effect of the events: its sentence, the table of windows, the event days, and the firm-events of small
studies."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from eventstudy.messages import asked, said
from eventstudy.report.document import Column, Section, TableBlock
from eventstudy.report.sections.tests import LEADING_TESTS, statistic_text
from eventstudy.report.wording import (
    Words,
    amount,
    count,
    finite,
    left_out_words,
    number,
    p_text,
    span,
    test_name,
    window_words,
)
from eventstudy.results.result import StudyResult

#: Largest number of firm-events on page 1.
MOST_FIRM_EVENTS = 12
#: Further tests in the table of windows; a narrow terminal leaves out the last ones first.
_TESTS = [name for name in LEADING_TESTS if name not in ("permutation", "portfolio_t")]


def effect_sentence(facts: Mapping[str, Any], words: Words) -> str:
    """Return the effect in plain words with its interval, and the smallest detectable mean."""
    effect = facts.get("effect") or {}
    told = said(effect.get("sentence") or "", words)
    seen = ((facts.get("headline") or {}).get("windows") or {}).get(str(effect.get("window"))) or {}
    if not finite(seen.get("mde")):
        return told
    mde = words["headline.effect_mde"].format(mde=amount(seen["mde"], words).lstrip("+"))
    return words["headline.joint"].join((told, mde))


def days_words(window: str, words: Words) -> str:
    """Return a window in the words of the headline: on the event day, or over some days."""
    return words["headline.on_day" if window == "[0,0]" else "headline.over_days"].format(window=window_words(window))


def windows_table(facts: Mapping[str, Any], words: Words) -> TableBlock:
    """Return one row for each event window: the mean, its interval, t and p, and the main tests as ``t (p)``."""
    effects = facts.get("effects") or ()
    names = [name for name in _TESTS if any(name in (row.get("tests") or {}) for row in effects)]
    heads = [("window", "text", 0), ("n", "number", 0), ("k", "number", 0), ("k_eff", "number", len(names) + 1)]
    heads += [("date_mean", "number", 0), ("interval", "number", 0)]
    columns = [
        Column(words[f"small.{name}"], "text" if kind == "text" else "number", name, spare)
        for name, kind, spare in heads
    ]
    columns += [Column(words[f"column.{name}"], "number", name) for name in ("t", "p_value")]
    columns += [Column(test_name(words, name), "number", name, len(names) - at) for at, name in enumerate(names)]
    rows = []
    for row in effects:
        tests = row.get("tests") or {}
        rows.append(
            (
                window_words(row.get("window")),
                count(row.get("n_events")),
                count(row.get("n_dates")),
                number(row.get("k_eff"), 1),
                amount(row.get("estimate"), words, 2),
                span(row.get("lower"), row.get("upper"), words, 2),
                number(row.get("statistic")),
                p_text(row.get("p_value")),
                *(statistic_text(tests.get(name) or {}, words) for name in names),
            )
        )
    return TableBlock(
        name="summary",
        caption=words["page.results"],
        columns=tuple(columns),
        rows=tuple(rows),
        foot=words.get(f"alternative.{facts.get('alternative')}", ""),
    )


def firm_events(result: StudyResult, words: Words) -> TableBlock | None:
    """Return the firm-events of the first window if there is only one event or one firm, else nothing."""
    effect, table = result.effect, result.tables.get("car")
    if asked(result.facts) or table is None:
        return None
    rows = table[table["window"] == str(result.facts["effect"]["window"])]
    rows = rows[rows["car"].notna()]
    if len(rows) < 2 or min(rows["event_id"].nunique(), rows["ticker"].nunique()) > 1:
        return None
    records = rows.sort_values(["event_id", "ticker"], kind="stable").to_dict("records")
    heads = [words["column.event"], words["column.ticker"]]
    columns = [Column(head) for head in heads]
    columns += [Column(words[f"column.{name}"], "number", name) for name in ("car", "se", "t", "p_value")]
    return TableBlock(
        name="firm_events",
        title=words["page.firm_events_one"].format(window=window_words(effect.window)),
        columns=tuple(columns),
        rows=tuple(_firm_event(row, words) for row in records[:MOST_FIRM_EVENTS]),
        left_out=left_out_words(len(records) - MOST_FIRM_EVENTS, "tables/car.csv", words),
    )


def _firm_event(row: Mapping[Any, Any], words: Words) -> tuple[str, ...]:
    return (
        str(row["event_id"]),
        str(row["ticker"]),
        amount(row["car"], words, 2),
        amount(row["se"], words, 2).removeprefix("+"),
        number(row["t"]),
        p_text(row["p_value"]),
    )


def event_days(result: StudyResult, words: Words) -> Section | None:
    """Return the mean of each event day and the sum up to it, each with its t and p."""
    table = result.tables.get("event_days")
    if table is None or table.empty:
        return None
    names = ("day", "n_events", "n_dates", "aar", "t", "p_value", "caar", "interval", "t", "p_value")
    rows = [_day(row, words) for row in table.to_dict("records")]
    columns = tuple(Column(words[f"column.{name}"], "number") for name in names)
    heading = words["section.event_days"]
    block = TableBlock(name="event_days", caption=heading, columns=columns, rows=tuple(rows))
    return Section(name="event_days", heading=heading, blocks=(block,))


def _day(row: Mapping[Any, Any], words: Words) -> tuple[str, ...]:
    tau = int(row["tau"])
    return (
        f"{tau:+d}".replace("-", "−") if tau else "0",
        count(row["n_events"]),
        count(row["n_dates"]),
        amount(row["ar"], words, 2),
        number(row["ar_t"]),
        p_text(row["ar_p"]),
        amount(row["car"], words, 2),
        span(row["lower"], row["upper"], words, 2),
        number(row["car_t"]),
        p_text(row["car_p"]),
    )
