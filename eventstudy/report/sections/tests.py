"""The tests: p-values of the main tests by group and window, and p-values adjusted for the number of windows."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from eventstudy.messages import asked, said
from eventstudy.report.document import Block, Column, FigureBlock, Paragraph, Section, TableBlock
from eventstudy.report.document import table as table_of
from eventstudy.report.wording import Words, amount, count, finite, group_words, number, p_text, test_name, window_words
from eventstudy.results.columns import window_name
from eventstudy.results.result import StudyResult

#: Labels whose groups come first.
MAIN_LABELS = ("misreading", "genuine", "contested", "denied", "silent")
#: The tests whose p-values the pages show, in order; tests.csv has all with their statistics.
LEADING_TESTS = ("date_t", "sign_flip", "permutation", "bmp_kp", "grank_t", "portfolio_t", "cross_sectional_t")
#: Largest number of rows, so that table and figure fit on one page.
TEST_ROWS = 18


def tests(result: StudyResult, words: Words, figures: Mapping[str, FigureBlock]) -> Section:
    """Return the figure of all p-values and the table of the main tests: one page."""
    trust = said(result.facts.get("trust") or "", words)
    first = [Paragraph(trust, words["page.trust"])] if trust else []
    intro = Paragraph(words["page.tests_intro"], tone="note")
    drawn = [figures[kind] for kind in ("p_heatmap",) if kind in figures]
    blocks: tuple[Block, ...] = (*first, intro, *drawn, leading_tests(result, words))
    return Section(name="tests", heading=words["page.tests"], blocks=blocks)


def leading_tests(result: StudyResult, words: Words) -> TableBlock:
    """Return one row for each group and window with the p-values of the main tests."""
    frame = result.tables["tests"]
    present = set(frame["name"] if asked(result.facts) else frame.loc[frame["p_value"].notna(), "name"])
    names = [name for name in LEADING_TESTS if name in present]
    head = [words[f"small.{name}"] for name in ("group", "window", "n", "k", "date_mean")]
    order = _order(result)
    mine = frame[frame["group"].isin({group for group, _ in order})]
    found = mine.set_index(["group", "window", "name"])[["estimate", "statistic", "p_value"]].to_dict("index")
    sizes = mine.groupby(["group", "window"])[["n_events", "n_dates"]].max().to_dict("index")
    show = p_only if asked(result.facts) else statistic_text
    rows = [_row(key, found, sizes.get(key, {}), names, words, show) for key in order]
    left = len(rows) - TEST_ROWS
    return table_of(
        [*head, *(test_name(words, name) for name in names)],
        rows[:TEST_ROWS],
        left=2,
        name="tests",
        caption=words["page.tests"],
        left_out=words["page.tests_left_out"].format(n=left) if left > 0 else "",
    )


def _row(
    key: tuple[str, str],
    found: Mapping[Any, Any],
    sizes: Mapping[Any, Any],
    names: Sequence[str],
    words: Words,
    show: Callable[[Mapping[str, Any], Words], str],
) -> list[str]:
    def cell(name: str, column: str) -> Any:
        return found[(*key, name)][column] if (*key, name) in found else None

    return [
        group_words(key[0], words),
        window_words(key[1]),
        count(sizes.get("n_events")),
        count(sizes.get("n_dates")),
        amount(cell("date_t", "estimate"), words, 2),
        *(show(found.get((*key, name)) or {}, words) for name in names),
    ]


def p_only(test: Mapping[str, Any], _: Words) -> str:
    """Return the p-value of a test."""
    return p_text(test.get("p_value"))


def statistic_text(test: Mapping[str, Any], words: Words) -> str:
    """Return a test as ``2.31 (0.024)``; only its p-value if it has no statistic."""
    p = p_text(test.get("p_value"))
    if not (finite(test.get("statistic")) and finite(test.get("p_value"))):
        return p
    return words["small.t_p"].format(t=number(test["statistic"]), p=p)


def _order(result: StudyResult) -> list[tuple[str, str]]:
    """Return (group, window): headline groups with every window, the others with drop and post."""
    frame = result.tables["tests"]
    groups = ordered_groups(result, [str(group) for group in dict.fromkeys(frame["group"])])
    windows = result.facts.get("windows") or {}
    main = [window_name(w) for w in (windows.get("drop"), windows.get("post")) if w]
    if not asked(result.facts):
        main = [str(result.facts["effect"]["window"])]
    every = [str(window) for window in dict.fromkeys(frame["window"])]
    return [
        (group, window)
        for group, headline in groups
        for window in (every if headline else [name for name in main if name in every])
    ]


def ordered_groups(result: StudyResult, groups: Sequence[str]) -> list[tuple[str, bool]]:
    """Return (group, whether it is a headline group); single shocks have their own table."""
    head = str(result.facts.get("headline_group") or "all")
    prefix = "" if head == "all" else f"{head};"
    labels = [f"{prefix}label={label}" for label in MAIN_LABELS]
    verdict = str((result.facts.get("verdict") or {}).get("group") or "")
    first = [group for group in dict.fromkeys([head, *labels, verdict]) if group in groups]
    rest = [group for group in groups if group not in first and "shock_id=" not in group]
    return [(group, True) for group in first] + [(group, False) for group in rest]


def multiplicity(result: StudyResult, words: Words) -> list[Block]:
    """Return the headline groups' main p-values with their adjustments; studies of drops have two windows."""
    frame = result.tables.get("multiplicity")
    head = [words[f"small.{name}"] for name in ("group", "window", "k")]
    head += [words["column.name"], "p", "Holm", "BH", "BY", "Romano–Wolf"]
    rows: list[tuple[str, ...]] = []
    if frame is not None and not frame.empty:
        group = str(result.facts.get("headline_group") or "all")
        mine = [group, f"{'' if group == 'all' else group + ';'}label=misreading"]
        kept = frame[frame["group"].isin(mine) & frame["name"].isin(("date_t", "sign_flip"))]
        windows = result.facts.get("windows") or {}
        if asked(result.facts):
            kept = kept[kept["window"].isin([window_name(windows[name]) for name in ("drop", "post")])]
        else:
            kept = kept[kept["p_value"].notna()]
        all_tests = result.tables["tests"]
        dates = all_tests[all_tests["group"].isin(mine)].set_index(["group", "window", "name"])["n_dates"].to_dict()
        rows = [
            (
                group_words(str(row["group"]), words),
                window_words(row["window"]),
                count(dates.get((row["group"], row["window"], row["name"]))),
                test_name(words, row["name"]),
                *(p_text(row[name]) for name in ("p_value", "holm", "bh", "by", "romano_wolf")),
            )
            for row in kept.to_dict("records")
        ]
    columns = tuple(Column(name, "text" if at in (0, 1, 3) else "number") for at, name in enumerate(head))
    return [TableBlock(columns=columns, rows=tuple(rows))]
