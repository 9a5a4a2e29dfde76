"""The backtest: the rule compared with other runs, and its trades."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from eventstudy.messages import said, term
from eventstudy.report.document import Block, Facts, Paragraph
from eventstudy.report.document import table as table_of
from eventstudy.report.wording import Words, cell_text, count, finite, listing, number, percent, size
from eventstudy.results.result import StudyResult

_TRADES = "shock_id ticker label entry_session exit_session gross hedged cost net adverse_excursion why_left".split()
_GRID = ("run", "entry", "horizon", "gate", "n_trades", "n_shocks", "net_per_trade", "net_total", "sharpe", "own")
#: Numbers in the line above the table, and their formats.
_STRIP: Mapping[str, Callable[[Any], str]] = {
    "hit_rate": lambda value: size(value, 0),
    "sharpe": number,
    "psr": number,
    "dsr": number,
    "max_drawdown": percent,
    "break_even_bps": lambda value: number(value, 0),
}
#: Numbers that are left out with few shocks, because they would look like evidence.
_OF_MANY = ("hit_rate", "sharpe", "psr", "dsr")
_RUNS = ("rule", "every_drop", "placebo_drops", "walk_forward")
_RUN_NUMBERS: Mapping[str, Callable[[Any], str]] = {
    "n_trades": count,
    "n_shocks": count,
    "net_per_trade": percent,
    "net_ci": percent,
    "gross_per_trade": percent,
    "cost_per_trade": lambda value: size(value, 2),
    "hit_rate": lambda value: size(value, 0),
    "hit_ci": lambda value: size(value, 0),
    "sharpe": number,
    "sharpe_ci": number,
    "psr": number,
    "dsr": number,
    "max_drawdown": percent,
    "break_even_bps": lambda value: number(value, 0),
    "days_held": lambda value: number(value, 1),
}


def backtest(result: StudyResult, words: Words) -> list[Block]:
    """Return the rule's sentence, its numbers next to those of the comparison runs, and its trades."""
    found = result.facts.get("backtest") or {}
    strip = backtest_strip(result.facts, words)
    told = [said(found[key], words) for key in ("caution", "pbo_reason") if found.get(key)]
    told += [said(line, words) for line in found.get("caveats") or ()]
    facts = [
        (term(words, "backtest", key), cell_text(key, found[key], words))
        for key in ("rule", "gate", "currency", "trials", "snooping")
        if found.get(key)
    ]
    if finite(found.get("gap")):
        facts.append((words["backtest.gap"], percent(found["gap"])))
    runs = {"rule": found, **(found.get("comparison") or {}), "walk_forward": found.get("walk_forward")}
    shown = [name for name in _RUNS if isinstance(runs.get(name), Mapping) and runs[name].get("n_trades")]
    cells = {key: [_run_cell(runs[name], key, words) for name in shown] for key in _RUN_NUMBERS}
    rows = [[words[f"backtest.{key}"], *row] for key, row in cells.items() if set(row) - {"–"}]
    head = [words["column.measure"], *(words[f"figure.run_{name}"] for name in shown)]
    trades, grid = (
        listing(
            result.tables.get(name),
            words,
            file=f"tables/{name}.csv",
            columns=columns,
            most=6 if name == "specifications" else 12,
            title=title,
        )
        for name, columns, title in (
            ("trades", _TRADES, words["page.trades"]),
            ("specifications", _GRID, words["page.grid"]),
        )
    )
    return [
        *([Facts(tuple(strip), "line")] if strip else []),
        *map(Paragraph, told),
        *([Facts(tuple(facts))] if facts else []),
        table_of(head, rows, left=1),
        trades,
        *([grid] if found.get("n_trades") else []),
    ]


def backtest_strip(facts: Mapping[str, Any], words: Words) -> list[tuple[str, str]]:
    """Return the rule's result with the number of trades, and its numbers if it traded."""
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


def _run_cell(run: Mapping[str, Any], key: str, words: Words) -> str:
    value, show = run.get(key), _RUN_NUMBERS[key]
    if isinstance(value, (list, tuple)):
        ends = [show(item) for item in value]
        return "–" if "–" in ends else words["page.span"].format(low=ends[0], high=ends[-1])
    return show(value)
