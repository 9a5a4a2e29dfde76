"""Tables for a paper: CARs by window and group, AARs by day, regressions; estimates with t or s.e. in brackets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from eventstudy.config import Report
from eventstudy.report.document import Column, Section, TableBlock
from eventstudy.report.sections.tests import ordered_groups
from eventstudy.report.wording import Words, amount, count, finite, group_words, number, span, test_name, window_words
from eventstudy.results.result import StudyResult

#: Tests for a group's column, in order of preference. The statistic of each is the estimate divided by its
#: own standard error.
TESTS = ("ibragimov_mueller", "portfolio_t", "cross_sectional_t")
#: Largest number of regressions in one table.
MOST_MODELS = 5
#: Levels of the stars, the smallest first.
STARS = (0.10, 0.05, 0.01)
Row = tuple[str, ...]


def paper(result: StudyResult, words: Words) -> Section:
    """Return the tables that the study has numbers for."""
    tables = [car_table(result, words), *aar_tables(result, words), *regression_tables(result, words)]
    blocks = tuple(table for table in tables if table.rows)
    return Section(name="paper", heading=words["paper.heading"], blocks=blocks)


def car_table(result: StudyResult, words: Words) -> TableBlock:
    """Return mean CARs, one column for each group and two rows for each window; N and K below, or by window if they
    differ."""
    frame = result.tables["tests"]
    test = next((name for name in TESTS if name in set(frame["name"])), "")
    cells = frame[frame["name"] == test].set_index(["window", "group"]).to_dict("index")
    named, windows = ([str(name) for name in dict.fromkeys(frame[column])] for column in ("group", "window"))
    groups = [group for group, headline in ordered_groups(result, named) if headline]
    sizes = {
        (title, window): tuple(count((cells.get((window, group)) or {}).get(key)) for group in groups)
        for title, key in (("N", "n_events"), ("K", "n_dates"))
        for window in windows
    }
    same = len({sizes["N", window] + sizes["K", window] for window in windows}) == 1
    rows: list[Row] = []
    for window in windows:
        found = [_estimate(cells.get((window, group)) or {}, result.report, words) for group in groups]
        rows += [(window_words(window), *(cell[0] for cell in found)), ("", *(cell[1] for cell in found))]
        rows += [] if same else [(title, *sizes[title, window]) for title in ("N", "K")]
    totals = [(title, *sizes[title, windows[0]]) for title in ("N", "K")] if same and windows else []
    heads = [group_words(_short(group, result), words) for group in groups]
    # A label within a peer group and the same label over all peers would have the same name.
    heads = heads if len(set(heads)) == len(heads) else [group_words(group, words) for group in groups]
    return TableBlock(
        name="paper_car",
        caption=words["paper.car"],
        columns=(Column(words["small.window"]), *(Column(head, "number") for head in heads)),
        rows=(*rows, *totals) if test else (),
        totals=len(totals),
        foot=_note("paper.car_note", result, words, test=test_name(words, test)),
    )


def aar_tables(result: StudyResult, words: Words) -> list[TableBlock]:
    """Return AAR and CAAR by day: for the headline group, and for the verdict's group if it differs."""
    frame = result.tables["aar"]
    verdict = str((result.facts.get("verdict") or {}).get("group") or "")
    head = str(result.facts.get("headline_group") or "all")
    groups = [group for group in dict.fromkeys((head, verdict)) if group in set(frame["group"])]
    names = ["paper.day", "small.n", "paper.aar", "paper.caar", "small.interval"]
    return [
        TableBlock(
            name="paper_aar" if at == 1 else f"paper_aar_{at}",
            caption=words["paper.aar_caption"].format(group=group_words(_short(group, result), words)),
            columns=tuple(Column(words[name], "number") for name in names),
            rows=tuple(_day(row, words) for row in frame[frame["group"] == group].to_dict("records")),
            foot=words["paper.aar_note"],
        )
        for at, group in enumerate(groups, 1)
    ]


def _day(row: Mapping[Any, Any], words: Words) -> Row:
    day, interval = int(row["tau"]), span(row["lower"], row["upper"], words)
    return (
        f"{day:+d}".replace("-", "−") if day else "0",
        count(row["n"]),
        _bare(row["aar"], words),
        _bare(row["caar"], words),
        interval.replace("%", ""),
    )


def regression_tables(result: StudyResult, words: Words) -> list[TableBlock]:
    """Return the regressions, one column each, two rows for each term, at most `MOST_MODELS` in a table."""
    frame = result.tables.get("regressions")
    if frame is None or frame.empty:
        return []
    frame = frame[frame["estimate"].notna()]
    keys = ["formula", "window", "estimator"]
    models = [(dict(zip(keys, key, strict=True)), rows) for key, rows in frame.groupby(keys, sort=False)]
    parts = [models[at : at + MOST_MODELS] for at in range(0, len(models), MOST_MODELS)]
    return [_regressions(part, at, result, words) for at, part in enumerate(parts)]


def _regressions(models: Sequence[tuple[Mapping[str, Any], Any]], part: int, result: StudyResult, words: Words) -> Any:
    first = 1 + part * MOST_MODELS
    found = [rows.set_index("term").to_dict("index") for _, rows in models]
    rows: list[Row] = []
    for term in dict.fromkeys(term for cells in found for term in cells):
        pairs = [_estimate(cells.get(term) or {}, result.report, words, plain=True) for cells in found]
        rows += [(str(term), *(pair[0] for pair in pairs)), ("", *(pair[1] for pair in pairs))]
    heads = [head for head, *_ in (cells.values() for cells in found)]
    totals: list[Row] = [
        (words["small.window"], *(window_words(key["window"]) for key, _ in models)),
        (words["paper.estimator"], *(str(key["estimator"]) for key, _ in models)),
        ("N", *(count(cells["n_events"]) for cells in heads)),
        ("K", *(count(cells["n_dates"]) for cells in heads)),
        ("R²", *(number(cells["r_squared"]) for cells in heads)),
    ]
    formulas = "; ".join(f"({at}) {key['formula']}" for at, (key, _) in enumerate(models, first))
    return TableBlock(
        name=f"paper_regressions_{part + 1}" if part else "paper_regressions",
        caption=words["paper.regressions"],
        columns=(Column(""), *(Column(f"({at})", "number") for at in range(first, first + len(models)))),
        rows=(*rows, *totals),
        totals=len(totals),
        foot=f"{_note('paper.regressions_note', result, words)} {formulas}.",
    )


def _estimate(cells: Mapping[Any, Any], asked: Report, words: Words, *, plain: bool = False) -> tuple[str, str]:
    """Return an estimate with its stars, and the value in brackets below it; ``plain`` numbers are decimals."""
    estimate: Any = cells.get("estimate")
    if not finite(estimate):
        return "", ""

    def printed(value: Any) -> str:
        return number(value, 4) if plain else _bare(value, words)

    p: Any = cells.get("p_value")
    stars = "*" * sum(float(p) < level for level in STARS) if asked.stars and finite(p) else ""
    t: Any = cells.get("statistic", cells.get("t"))
    se: Any = cells.get("se")
    if not finite(se):
        se = float(estimate) / float(t) if finite(t) and float(t) else None
    elif not finite(t):
        t = float(estimate) / float(se) if float(se) else None
    beneath = number(t) if asked.brackets == "t" else printed(se)
    return f"{printed(estimate)}{stars}", f"({beneath})" if beneath != "–" else ""


def _note(key: str, result: StudyResult, words: Words, **fields: str) -> str:
    """Return the note of a table: its numbers, the values in brackets, and the meaning of stars."""
    brackets = words[f"paper.{result.report.brackets}"]
    stars = [words["paper.stars"]] if result.report.stars else []
    return " ".join([words[key].format(brackets=brackets, **fields), *stars])


def _short(group: str, result: StudyResult) -> str:
    """Return a group's name without the peer group that all columns share."""
    return group.removeprefix(f"{result.facts.get('headline_group') or 'all'};")


def _bare(value: Any, words: Words) -> str:
    """Return a value with two decimals and without its unit, which the note gives."""
    return amount(value, words, 2).removesuffix("%").removeprefix("+")
