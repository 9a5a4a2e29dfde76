"""Regressions of CARs on covariates, and differences between groups."""

from __future__ import annotations

from typing import TYPE_CHECKING

from eventstudy.messages import said, term
from eventstudy.report.document import Block, Facts
from eventstudy.report.document import table as table_of
from eventstudy.report.wording import Words, count, left_out_words, listing, number, p_text, significant, window_words
from eventstudy.results.result import StudyResult

if TYPE_CHECKING:
    import pandas as pd

#: Largest number of coefficients of a formula on the pages.
MOST_COEFFICIENTS = 120
_COEFFICIENT = "window estimator term estimate se t p_value df n_events n_dates r_squared".split()
_DIFFERENCE = "column group against window estimate se t p_value df n_events n_against n_dates n_common method".split()


def regressions(result: StudyResult, words: Words) -> list[Block]:
    """Return one table for each formula with the coefficients by window and estimator, and reasons for missing ones."""
    frame = result.tables.get("regressions")
    if frame is None or frame.empty:
        return []
    blocks: list[Block] = []
    for formula, part in frame[frame["term"].notna()].groupby("formula", sort=False):
        rows = [
            (
                window_words(row["window"]),
                term(words, "estimator", row["estimator"]),
                str(row["term"]),
                *(significant(row[name]) for name in ("estimate", "se")),
                number(row["t"]),
                p_text(row["p_value"]),
                number(row["df"], 1),
                *(count(row[name]) for name in ("n_events", "n_dates")),
                number(row["r_squared"], 3),
            )
            for row in part.head(MOST_COEFFICIENTS).to_dict("records")
        ]
        head = [words[f"column.{name}"] for name in _COEFFICIENT]
        left_out = left_out_words(len(part) - len(rows), "tables/regressions.csv", words)
        blocks.append(table_of(head, rows, left=3, title=str(formula), left_out=left_out))
    return [*blocks, *_missing(frame, "estimator", words)]


def group_differences(result: StudyResult, words: Words) -> list[Block]:
    """Return the difference of each group from the one it is compared with, and reasons for missing ones."""
    frame = result.tables.get("group_differences")
    if frame is None or frame.empty:
        return []
    had = frame[frame["method"].notna()]
    named = had.assign(method=[term(words, "difference", name) for name in had["method"]])
    table = listing(named, words, file="tables/group_differences.csv", columns=_DIFFERENCE, most=80)
    return [table, *_missing(frame, "group", words)]


def _missing(frame: pd.DataFrame, by: str, words: Words) -> list[Block]:
    """Return the reasons why rows of a table have no numbers, each once."""
    lost = frame[frame["estimate"].isna()].to_dict("records")
    told = dict.fromkeys((term(words, by, row[by]), said(row["reason"], words)) for row in lost)
    return [Facts(tuple(told))] if told else []
