"""Sections that a result has only where the study went that far: placebos, claims, backtest, checks."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from eventstudy import plots
from eventstudy.messages import said, say, term
from eventstudy.report.wording import (
    Words,
    cell_text,
    count,
    finite,
    group_words,
    listing,
    number,
    p_text,
    percent,
    significant,
    size,
    span,
    window_words,
)
from eventstudy.results.result import StudyResult

if TYPE_CHECKING:
    import pandas as pd

Facts = list[list[str]]
#: Measures of reversal in the order of the pages; those of `_PLAIN` are no returns.
MEASURES = (
    "car_drop",
    "car_post",
    "excess_post",
    "equivalence",
    "share_positive",
    "reversal_ratio",
    "reversal_ratio_placebos",
    "excess_[2,5]",
    "excess_[2,10]",
    "excess_log",
    "excess_bhar",
    "excess_alpha_zero",
    "excess_alpha_estimated",
    "excess_P0",
    "excess_P1",
    "excess_P2",
    "excess_P3",
    "recovery_50%",
    "recovery_50%_placebos",
    "recovery_100%",
    "recovery_100%_placebos",
)
_PLAIN = ("reversal_ratio", "recovery", "half_life", "dates_needed")
_CLAIMS = ("claim_id", "ticker", "name_", "date", "date_to", "claimed", "verdict", "session", "actual", "source")
_TRADES = (
    "shock_id",
    "ticker",
    "label",
    "entry_session",
    "exit_session",
    "gross",
    "hedged",
    "cost",
    "net",
    "adverse_excursion",
    "why_left",
)
_GRID = ("run", "entry", "horizon", "gate", "n_trades", "n_shocks", "net_per_trade", "net_total", "sharpe", "own")
_RUNS = ("rule", "every_drop", "placebo_drops", "walk_forward")
LONGEST_CELL, MOST_ROWS, MOST_REGRESSION_ROWS = 90, 40, 120


def extra_sections(result: StudyResult, drawn: Sequence[plots.Plot], words: Words) -> list[dict[str, Any]]:
    """Return the sections that this result has something for, in order."""
    figures = {plot.kind: plot.name for plot in drawn if not plot.shock_id}
    found: list[dict[str, Any]] = []
    for name, kinds, build in _SECTIONS:
        part = build(result, words)
        shown = [figures[kind] for kind in kinds if kind in figures]
        if shown or part["facts"] or any(table["rows"] for table in part["tables"]):
            found.append(
                {
                    "name": name,
                    "title": words[f"section.{name}"],
                    "intro": words.get(f"section.{name}_intro", ""),
                    "figures": shown,
                    "facts": part["facts"],
                    "tables": [{"note": "", **table} for table in part["tables"] if table["rows"]],
                }
            )
    return found


def _verdicts(result: StudyResult, words: Words) -> dict[str, Any]:
    """Return the sentence of every question beside the main one, the exploratory and the case study's."""
    summary = result.facts
    answers = [
        *(summary.get("verdicts") or {}).values(),
        *([summary["exploratory"]] if summary.get("exploratory") else []),
    ]
    facts = [
        [group_words(str(answer.get("group")), words), said(answer.get("sentence") or "", words)] for answer in answers
    ]
    case = summary.get("case_study")
    if case and case.get("sentence"):
        name = f"{words['page.case_study']} {case.get('shock_id', '')}"
        facts.append([name, said(case["sentence"], words)])
    gates = _some(
        result, "gates", words, columns=("step", "hypothesis", "estimate", "p_value", "level", "passed", "reason")
    )
    k = count((summary.get("verdict") or {}).get("n_dates"))
    return {"facts": facts, "tables": [{**gates, "note": words["page.sequence"].format(k=k)}]}


def _measures(result: StudyResult, words: Words) -> dict[str, Any]:
    """Return the measures of reversal, a column a label, and the contrasts between groups."""
    table = result.tables.get("reversal_measures")
    if table is None or table.empty:
        return {"facts": [], "tables": []}
    groups = [
        str(group)
        for group in dict.fromkeys(table["group"])
        if (str(group).startswith("label=") or group == "all") and ";" not in str(group)
    ]
    by_key = {(str(row["measure"]), str(row["group"])): row for row in table.to_dict("records")}
    groups = [
        group for group in groups if any(finite((by_key.get((name, group)) or {}).get("estimate")) for name in MEASURES)
    ]
    rows = [
        [term(words, "measure", name), *(_measure(by_key.get((name, group)), words) for group in groups)]
        for name in MEASURES
        if any(finite((by_key.get((name, group)) or {}).get("estimate")) for group in groups)
    ]
    dates = [count((by_key.get(("car_drop", group)) or {}).get("n_dates")) for group in groups]
    head = [words["column.measure"], *(f"{group_words(g, words)} (K {k})" for g, k in zip(groups, dates, strict=True))]
    pivot = {
        "title": "",
        "head": head,
        "rows": rows,
        "right": [False] + [True] * len(groups),
        "left_out": 0,
        "file": "",
    }
    others = table[~table["group"].isin(groups) & ~table["group"].str.contains(";")]
    rest = [
        [
            term(words, "measure", row["measure"]),
            group_words(str(row["group"]), words),
            percent(row["estimate"]),
            span(row["lower"], row["upper"], words),
            p_text(row["p_value"]),
            count(row["n_dates"]),
            _cut(said(row["note"] or "", words)),
        ]
        for row in others.to_dict("records")
        if finite(row["estimate"])
    ]
    names = ("measure", "group", "estimate", "interval", "p_value", "n_dates", "note")
    contrasts = {
        "title": words["page.contrasts"],
        "head": [words[f"column.{name}"] for name in names],
        "rows": rest[:MOST_ROWS],
        "right": [False, False, True, True, True, True, False],
        "left_out": max(0, len(rest) - MOST_ROWS),
        "file": "tables/reversal_measures.csv",
    }
    return {"facts": [], "tables": [pivot, contrasts]}


def _measure(row: Mapping[Any, Any] | None, words: Words) -> str:
    """Return a measure as ``+2.1% (−6.0% to +10.3%) p 0.31``, as far as it has these."""
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


def _placebos(result: StudyResult, words: Words) -> dict[str, Any]:
    """Return each shock's benchmark: how many placebos, their mean, the excess and its rank."""
    table = result.tables.get("reversal")
    if table is None or "excess" not in table:
        return {"facts": [], "tables": []}
    rows = table[table["excess"].notna()]
    columns = (
        "shock_id",
        "label",
        "day0",
        "car_drop",
        "car_post",
        "n_placebos",
        "placebo_mean",
        "excess",
        "rank",
        "p_rank",
        "p_rank_floor",
        "role",
    )
    shown = _shown(rows, "reversal", words, columns=columns)
    return {"facts": [], "tables": [{**shown, "note": words["page.one_date_each"]}]}


def _clarifications(result: StudyResult, words: Words) -> dict[str, Any]:
    columns = (
        "event_id",
        "shock_id",
        "flag",
        "delay",
        "car_before",
        "car_at",
        "car_after",
        "speedup",
        "p_value",
        "attributed",
        "reason",
    )
    shown = _some(result, "clarifications", words, columns=columns)
    return {"facts": [], "tables": [{**shown, "note": words["page.one_date_each"]}]}


def _claims(result: StudyResult, words: Words) -> dict[str, Any]:
    tally = result.facts.get("claims") or {}
    order = {name: place for place, name in enumerate(("confirmed", "off", "refuted", "not testable"))}
    known = sorted(tally, key=lambda name: order.get(name, len(order)))
    facts = [[term(words, "claim", name), count(tally[name])] for name in known if finite(tally[name])]
    table = result.tables.get("claims")
    if table is None or table.empty:
        return {"facts": facts, "tables": []}
    # Elsewhere a column of this name holds a statistic's.
    named = table.rename(columns={"name": "name_"})
    # A claim without a number shows its direction there.
    unsaid = named["claimed"].isna() & named["comparison"].isin(("fall", "rise"))
    if unsaid.any():
        import pandas as pd

        pairs = zip(named["claimed"], named["comparison"], unsaid, strict=True)
        moves = [say(f"claim.{name}") if empty else value for value, name, empty in pairs]
        named["claimed"] = pd.Series(moves, dtype=object, index=named.index)
    return {"facts": facts, "tables": [_shown(named, "claims", words, columns=_CLAIMS, most=80)]}


def _backtest(result: StudyResult, words: Words) -> dict[str, Any]:
    """Return the rule's sentence, its numbers beside those of the runs it is set against, and its trades."""
    found = result.facts.get("backtest") or {}
    facts = [["", said(found[key], words)] for key in ("sentence", "caution", "pbo_reason") if found.get(key)]
    facts += [
        [term(words, "backtest", key), cell_text(key, found[key], words)]
        for key in ("rule", "gate", "currency", "trials", "snooping")
        if found.get(key)
    ]
    if finite(found.get("gap")):
        facts.append([words["backtest.gap"], percent(found["gap"])])
    facts += [["", said(line, words)] for line in found.get("caveats") or ()]
    runs = {"rule": found, **(found.get("comparison") or {}), "walk_forward": found.get("walk_forward")}
    shown = [name for name in _RUNS if isinstance(runs.get(name), Mapping) and runs[name].get("n_trades")]
    rows = [
        [words[f"backtest.{key}"], *(_run_cell(runs[name], key, words) for name in shown)]
        for key in _RUN_NUMBERS
        if any(_run_cell(runs[name], key, words) != "–" for name in shown)
    ]
    head = [words["column.measure"], *(words[f"figure.run_{name}"] for name in shown)]
    numbers = {
        "title": "",
        "head": head,
        "rows": rows if shown else [],
        "right": [False] + [True] * len(shown),
        "left_out": 0,
        "file": "",
    }
    trades = _some(result, "trades", words, columns=_TRADES, most=25)
    grid = _some(result, "specifications", words, columns=_GRID, most=25)
    tables = [numbers, {**trades, "title": words["page.trades"]}, {**grid, "title": words["page.grid"]}]
    return {"facts": facts, "tables": tables}


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


def _run_cell(run: Mapping[str, Any], key: str, words: Words) -> str:
    value, show = run.get(key), _RUN_NUMBERS[key]
    if isinstance(value, (list, tuple)):
        ends = [show(item) for item in value]
        return "–" if "–" in ends else words["page.span"].format(low=ends[0], high=ends[-1])
    return show(value)


def _specifications(result: StudyResult, words: Words) -> dict[str, Any]:
    table = result.tables.get("specification_curve")
    if table is None or "estimate" not in table or not table["estimate"].notna().any():
        return {"facts": [], "tables": []}
    first = table[table["estimate"].notna()].iloc[0]
    facts = [
        [words["column.median"], percent(first.get("median"))],
        [words["column.share_positive"], size(first.get("share_positive"), 0)],
        [words["column.joint_p"], p_text(first.get("joint_p"))],
        [words["column.n_specifications"], count(len(table))],
        [words["fact.dates"], count(table["n_dates"].max())],
    ]
    return {"facts": [fact for fact in facts if fact[1] != "–"], "tables": []}


def _regressions(result: StudyResult, words: Words) -> dict[str, Any]:
    """Return one table a formula: each window's and estimator's coefficients, and why some cannot be had."""
    table = result.tables.get("regressions")
    if table is None or table.empty:
        return {"facts": [], "tables": []}
    names = ("window", "estimator", "term", "estimate", "se", "t", "p_value", "df", "n_events", "n_dates", "r_squared")
    head, right = [words[f"column.{name}"] for name in names], [place > 2 for place in range(len(names))]
    tables, facts = [], _lost(table, "estimator", words)
    for formula, part in table[table["term"].notna()].groupby("formula", sort=False):
        rows = [
            [
                window_words(row["window"]),
                term(words, "estimator", row["estimator"]),
                str(row["term"]),
                *(significant(row[name]) for name in ("estimate", "se")),
                number(row["t"]),
                p_text(row["p_value"]),
                number(row["df"], 1),
                *(count(row[name]) for name in ("n_events", "n_dates")),
                number(row["r_squared"], 3),
            ]
            for row in part.to_dict("records")
        ]
        left = max(0, len(rows) - MOST_REGRESSION_ROWS)
        shown = {"head": head, "right": right, "rows": rows[:MOST_REGRESSION_ROWS], "left_out": left}
        tables.append({**shown, "title": str(formula), "file": "tables/regressions.csv"})
    return {"facts": facts, "tables": tables}


def _group_differences(result: StudyResult, words: Words) -> dict[str, Any]:
    table = result.tables.get("group_differences")
    if table is None or table.empty:
        return {"facts": [], "tables": []}
    names = (
        *("column", "group", "against", "window", "estimate", "se", "t", "p_value", "df"),
        *("n_events", "n_against", "n_dates", "n_common", "method"),
    )
    found = table[table["method"].notna()]
    named = found.assign(method=[term(words, "difference", name) for name in found["method"]])
    shown = _shown(named, "group_differences", words, columns=names, most=80)
    return {"facts": _lost(table, "group", words), "tables": [shown]}


def _lost(table: pd.DataFrame, by: str, words: Words) -> Facts:
    """Return why rows of a table have no numbers, each reason once."""
    lost = table[table["estimate"].isna()]
    told = {(str(row[by]), said(row["reason"], words)): row["window"] for row in lost.to_dict("records")}
    return [[term(words, by, name), why] for name, why in told if why]


def _diagnostics(result: StudyResult, words: Words) -> dict[str, Any]:
    found = result.facts.get("diagnostics") or {}
    facts = [[words["column.n_fits"], count(found.get("n_fits"))]] if finite(found.get("n_fits")) else []
    facts += [[term(words, "diagnostic", name), size(share, 0)] for name, share in (found.get("shares") or {}).items()]
    facts += [["", said(line, words)] for line in found.get("advice") or ()]
    return {"facts": facts, "tables": []}


def _quality(result: StudyResult, words: Words) -> dict[str, Any]:
    return {"facts": [], "tables": [_some(result, "quality", words)]}


def _prereg(result: StudyResult, words: Words) -> dict[str, Any]:
    """Return what was registered beforehand, where the study says so."""
    found = result.facts.get("prereg")
    if isinstance(found, str):
        return {"facts": [["", found]] if found else [], "tables": []}
    plain = {k: v for k, v in (found or {}).items() if isinstance(v, (str, int, float, bool)) and v != ""}
    return {"facts": [[term(words, "column", k), cell_text(k, v, words)] for k, v in plain.items()], "tables": []}


#: Name, kinds of figures, and what fills each section, in the order of the pages.
_SECTIONS: Sequence[tuple[str, tuple[str, ...], Callable[[StudyResult, Words], dict[str, Any]]]] = (
    ("verdicts", (), _verdicts),
    ("reversal_measures", (), _measures),
    ("placebos", ("reversal_paths", "placebo_dots", "placebo_balance"), _placebos),
    ("clarifications", (), _clarifications),
    ("claims", (), _claims),
    ("backtest", ("equity_curve", "trade_dots", "cost_sensitivity"), _backtest),
    ("regressions", (), _regressions),
    ("group_differences", (), _group_differences),
    ("specifications", ("specification_curve",), _specifications),
    ("diagnostics", (), _diagnostics),
    ("quality", (), _quality),
    ("prereg", (), _prereg),
)


def _some(
    result: StudyResult, name: str, words: Words, *, columns: Sequence[str] = (), most: int = MOST_ROWS
) -> dict[str, Any]:
    table = result.tables.get(name)
    if table is None or table.empty:
        return {"title": "", "head": [], "rows": [], "right": [], "left_out": 0, "file": ""}
    return _shown(table, name, words, columns=columns, most=most)


def _shown(
    table: pd.DataFrame, name: str, words: Words, *, columns: Sequence[str] = (), most: int = MOST_ROWS
) -> dict[str, Any]:
    shown = listing(table, words, columns=columns, most=most)
    shown["rows"] = [[_cut(cell) for cell in row] for row in shown["rows"]]
    return {"title": "", "file": f"tables/{name}.csv", **shown}


def _cut(cell: str, limit: int = LONGEST_CELL) -> str:
    return cell if len(cell) <= limit else cell[: limit - 1].rstrip() + "…"
