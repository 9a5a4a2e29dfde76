"""The contract of the tables: every numeric column of every table is recomputed from prices and events.

The world is small and made of arrays (`contract_world`); the numbers are computed once more by plain loops
and least squares (`table_twins` and its siblings), which ask the package for none. A table or a numeric
column that nobody recomputes is a failure, and so is one that this study leaves empty.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import backtest_table_twins
import contract_world
import numpy as np
import pandas as pd
import pytest
import reversal_table_twins
import table_twins
from reversal_table_twins import ASKED, reversal_of
from scipy import stats
from table_twins import Book, Columns

from eventstudy.api import Study
from eventstudy.results.columns import REASONS, TABLES, code_column
from eventstudy.results.result import StudyResult

#: Tables of texts and days alone.
WITHOUT_NUMBERS = ("ledger", "estimation_cuts")
#: Tables of an endpoint of its own windows: their numbers are held in tests/reversal/test_question_endpoints.py.
OF_ENDPOINTS = ("endpoints", "endpoint_drops")
#: Values come by other sums in another order; a probability far in a tail has fewer digits.
RELATIVE, ABSOLUTE = 1e-8, 1e-12


@pytest.fixture(scope="module")
def world() -> contract_world.World:
    return contract_world.make_world()


@pytest.fixture(scope="module")
def result(world: contract_world.World, tmp_path_factory: pytest.TempPathFactory) -> StudyResult:
    events, study, prices = contract_world.write_world(world, tmp_path_factory.mktemp("contract"))
    return Study.from_toml(study).run(events, prices=str(prices))


@pytest.fixture(scope="module")
def book(world: contract_world.World, result: StudyResult) -> Book:
    return Book(study=table_twins.study_of(world), tables=result.tables)


#: A study that asks about reversals has all tables but that of the other question, see test_effect.py.
NAMES = set(TABLES) - {"event_days"}


def twin_of(name: str) -> Callable[[Book], Columns] | None:
    for module in (table_twins, reversal_table_twins, backtest_table_twins):
        found: Callable[[Book], Columns] | None = getattr(module, name, None)
        if found is not None:
            return found
    return None


def is_number(value: Any) -> bool:
    if isinstance(value, (float, np.floating)):
        return not math.isnan(value)
    return isinstance(value, (bool, int, np.bool_, np.integer))


def numeric_columns(table: pd.DataFrame) -> list[str]:
    return [name for name in table.columns if table[name].map(is_number).any()]


def test_the_study_has_every_table_and_every_table_has_rows(result: StudyResult) -> None:
    assert set(result.tables) == NAMES
    assert [name for name, table in result.tables.items() if table.empty] == []


def test_no_column_is_left_empty(result: StudyResult) -> None:
    """What the study leaves empty nobody would recompute."""
    empty = [
        f"{name}.{column}"
        for name, table in result.tables.items()
        for column in table.columns
        if table[column].isna().all()
    ]
    assert empty == []


def test_the_world_has_what_the_rules_are_about(book: Book) -> None:
    """A locked peer, a halt, overlapping shocks, a late label, a clarification: all are met."""
    found = reversal_of(book)
    table = book.tables["reversal"].set_index("shock_id")
    assert table.loc["G1", "n_locked"] == 1
    assert book.tables["abnormal_returns"].query("event_id == 'G1-R'")["flags"].isin(["locked_down"]).any()
    assert book.tables["estimation"]["n_estimation"].min() < 60
    assert found.overlapped(found.names.index("OVER")) == "M1"
    assert table.loc["OVER", "qualifies"]
    assert table.loc["OVER", "n_placebos"] >= 5
    assert not table.loc["LATE", "label_in_time"]
    assert book.tables["clarifications"]["event_id"].tolist() == ["M5-C"]


def test_after_every_column_of_words_stands_the_one_of_their_codes(result: StudyResult) -> None:
    for name in NAMES:
        columns = TABLES[name]
        for place, column in enumerate(columns):
            if column in REASONS:
                assert columns[place + 1] == code_column(column), name
                rows = zip(result.tables[name][column], result.tables[name][code_column(column)], strict=True)
                assert [code for text, code in rows if code and not text] == [], name
    codes = {name: set(result.tables[name].filter(like="_code").to_numpy().ravel()) for name in NAMES}
    assert {"", "reason.locked_down", "reason.shifted_closed"} <= codes["ledger"]
    assert codes["quality"] == {"quality.gaps"}
    assert {"drop.overlaps", "drop.too_small;drop.too_few_errors", "benchmark.few"} <= codes["reversal"]
    assert codes["gates"] == {"", "gate.drops", "gate.excess", "gate.window", "gate.genuine"}
    assert {"left.horizon", "left.clarification"} <= codes["trades"]
    assert "claim.no_peer" in codes["claims"]


@pytest.mark.parametrize("name", sorted(NAMES))
def test_every_number_is_what_the_prices_and_events_say(book: Book, name: str) -> None:
    table = book.tables[name]
    numeric = numeric_columns(table)
    if name in WITHOUT_NUMBERS:
        assert numeric == []
        return
    if name in OF_ENDPOINTS:
        return
    twin = twin_of(name)
    assert twin is not None, f"no twin recomputes the table {name}"
    columns = twin(book)
    assert set(columns) == set(numeric), "a numeric column that no twin recomputes, or the other way round"
    for column, values in columns.items():
        np.testing.assert_allclose(
            pd.to_numeric(table[column]).to_numpy(dtype=float),
            np.asarray(values, dtype=float),
            rtol=RELATIVE,
            atol=ABSOLUTE,
            err_msg=f"{name}.{column}",
        )


def test_the_verdict_rests_on_these_numbers(book: Book, result: StudyResult) -> None:
    """Effect, error, interval, p-values, and the sizes."""
    found, verdict = reversal_of(book), result.facts["verdict"]
    names, rows = found.counted[ASKED], reversal_table_twins.group_measures(found, ASKED)
    fit = reversal_table_twins.regressed(found, ASKED)
    strata = {row.stratum for row in book.rows("falls") if row.event in names}
    expected = {
        "effect": rows["excess_post"]["estimate"],
        "se": fit["se"],
        "df": fit["df"],
        "p_value": rows["excess_post"]["p_value"],
        "p_greater": float(stats.t.sf(fit["effect"] / fit["se"], fit["df"])),
        "equivalence_p": rows["equivalence"]["p_value"],
        "n_dates": len(names),
        "n_events": sum(found.portfolio[name].count(contract_world.DROP) for name in names),
        "n_controls": sum(not row.event and row.stratum in strata for row in book.rows("falls")),
        "n_placebos": 0,
        "mde": rows["smallest_detectable_effect"]["estimate"],
        "sd": fit["own"].std(ddof=1),
        "margin": rows["equivalence"]["upper"],
    }
    assert {name: verdict[name] for name in expected} == pytest.approx(expected, rel=1e-9)
    assert verdict["ci"] == pytest.approx([rows["excess_post"]["lower"], rows["excess_post"]["upper"]], rel=1e-9)
    assert (verdict["estimator"], verdict["p_name"]) == ("moderated", "regression_t")


def test_overlapping_shocks_count_once(book: Book, result: StudyResult) -> None:
    """OVER is a drop with a benchmark of its own, but its days are those after M1."""
    table = result.tables["reversal"].set_index("shock_id")
    counted = table.index[table["role"] == "confirmatory"].tolist()
    assert counted == reversal_of(book).counted[ASKED]
    # One of the drops has no set of their own; the regression needs none.
    assert set(counted) - set(reversal_of(book).groups[ASKED]) == {"M2"}
    assert "OVER" not in counted
    assert result.facts["verdict"]["n_dates"] == len(counted) == 6
