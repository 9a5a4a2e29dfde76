"""The tool that holds two packs against each other finds what changed, and nothing else."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
from compare_packs import compare_packs, main
from keep_packs import market_files

CAR = "event_id,car,se,reason\nE1,0.01,0.002,\nE2,-0.03,,too few days\n"
SUMMARY = {
    "verdict": {"effect": 0.0287, "ci": [-0.06, 0.1], "sentence": "Inconclusive."},
    "n_shocks": 3,
    "warnings": ["few dates"],
}


@pytest.fixture
def packs(tmp_path: Path) -> tuple[Path, Path]:
    """Two equal packs."""
    old, new = tmp_path / "old", tmp_path / "new"
    (old / "tables").mkdir(parents=True)
    (old / "tables" / "car.csv").write_text(CAR, encoding="utf-8")
    (old / "ledger.csv").write_text("event_id,status\nE1,used\n", encoding="utf-8")
    (old / "summary.json").write_text(json.dumps(SUMMARY), encoding="utf-8")
    (old / "manifest.json").write_text('{"version": "1"}', encoding="utf-8")
    pd.DataFrame({"shock_id": ["S1"], "s": [1.5]}).to_parquet(old / "tables" / "shocks.parquet")
    shutil.copytree(old, new)
    return old, new


def rewrite(path: Path, change: Callable[[str], str]) -> None:
    text = path.read_text(encoding="utf-8")
    assert change(text) != text
    path.write_text(change(text), encoding="utf-8")


def test_equal_packs_differ_in_nothing(packs: tuple[Path, Path]) -> None:
    rewrite(packs[1] / "manifest.json", lambda text: text.replace("1", "2"))
    found = compare_packs(*packs)
    assert (found.failures, found.texts, found.added) == ([], [], [])
    # car and se of two rows but the empty one, effect, both ends, the count, and s.
    assert found.compared == 3 + 4 + 1
    assert main([str(pack) for pack in packs]) == 0


def test_the_last_digit_of_a_number_is_a_failure_unless_tolerated(packs: tuple[Path, Path]) -> None:
    rewrite(packs[1] / "tables" / "car.csv", lambda text: text.replace("0.002", "0.0020000000000000005"))
    found = compare_packs(*packs)
    assert found.failures == ["tables/car.csv.se: row 1: '0.002' is now '0.0020000000000000005'"]
    assert compare_packs(*packs, tolerance=1e-12).failures == []
    assert main([str(pack) for pack in packs]) == 1
    assert main([*(str(pack) for pack in packs), "--tolerance", "1e-12"]) == 0


@pytest.mark.parametrize("name", ["car", "car.se", "car.csv", "tables/car.csv.se"])
def test_what_may_change_is_told_and_no_failure(packs: tuple[Path, Path], name: str) -> None:
    rewrite(packs[1] / "tables" / "car.csv", lambda text: text.replace("0.002", "0.004"))
    found = compare_packs(*packs, allow=[name])
    assert (len(found.failures), len(found.allowed)) == (0, 1)
    assert len(compare_packs(*packs, allow=["car.car", "ledger"]).failures) == 1


@pytest.mark.parametrize(
    ("old", "new"), [("-0.03,,", "-0.03,0.1,"), ("E1,0.01,0.002", "E1,0.01,"), ("E1,0.01", "E1,nan")]
)
def test_a_number_that_comes_or_goes_is_a_failure(packs: tuple[Path, Path], old: str, new: str) -> None:
    rewrite(packs[1] / "tables" / "car.csv", lambda text: text.replace(old, new))
    assert len(compare_packs(*packs).failures) == 1


def test_texts_are_listed_apart(packs: tuple[Path, Path]) -> None:
    rewrite(packs[1] / "tables" / "car.csv", lambda text: text.replace("too few days", "12 days of 120"))
    rewrite(packs[1] / "summary.json", lambda text: text.replace("few dates", "three dates only"))
    found = compare_packs(*packs)
    assert found.failures == []
    assert found.texts == [
        "summary.json.warnings: ['few dates'] is now ['three dates only']",
        "tables/car.csv.reason: row 2: 'too few days' is now '12 days of 120'",
    ]


def test_added_columns_are_listed_and_missing_ones_fail(packs: tuple[Path, Path]) -> None:
    rewrite(packs[1] / "ledger.csv", lambda _: "event_id,status,note\nE1,used,\n")
    assert compare_packs(*packs).added == ["ledger.csv.note: new column"]
    assert compare_packs(packs[1], packs[0]).failures == ["ledger.csv.note: the column is missing"]


def test_missing_rows_and_tables_fail(packs: tuple[Path, Path]) -> None:
    rewrite(packs[1] / "tables" / "car.csv", lambda text: "".join(text.splitlines(keepends=True)[:2]))
    (packs[1] / "tables" / "shocks.parquet").unlink()
    failures = compare_packs(*packs).failures
    assert failures == ["tables/car.csv: 2 rows before, 1 now", "tables/shocks.parquet: missing"]


def test_numbers_of_a_parquet_table_and_of_the_summary_are_compared(packs: tuple[Path, Path]) -> None:
    pd.DataFrame({"shock_id": ["S1"], "s": [1.25]}).to_parquet(packs[1] / "tables" / "shocks.parquet")
    rewrite(packs[1] / "summary.json", lambda text: text.replace("-0.06, 0.1", "0.1, -0.06"))
    failures = compare_packs(*packs).failures
    assert [line.partition(":")[0] for line in failures] == [
        "summary.json.verdict.ci",
        "summary.json.verdict.ci",
        "tables/shocks.parquet.s",
    ]
    assert compare_packs(*packs, allow=["verdict", "shocks"]).failures == []


def test_another_order_of_the_rows_is_told_and_their_numbers_compared(packs: tuple[Path, Path]) -> None:
    def turned(text: str) -> str:
        head, first, second = text.splitlines(keepends=True)
        return head + second + first

    rewrite(packs[1] / "tables" / "car.csv", turned)
    found = compare_packs(*packs)
    assert (found.failures, found.texts) == ([], ["tables/car.csv: the rows stand in another order"])
    rewrite(packs[1] / "tables" / "car.csv", lambda text: text.replace("-0.03", "-0.031"))
    assert compare_packs(*packs).failures == ["tables/car.csv.car: row 2: '-0.03' is now '-0.031'"]


def test_folders_of_packs_are_compared_by_name(packs: tuple[Path, Path], tmp_path: Path) -> None:
    for side, pack in zip("ab", packs, strict=True):
        shutil.copytree(pack, tmp_path / side / "first")
    shutil.copytree(packs[0], tmp_path / "a" / "second")
    rewrite(tmp_path / "b" / "first" / "summary.json", lambda text: text.replace("0.0287", "0.0288"))
    failures = compare_packs(tmp_path / "a", tmp_path / "b").failures
    assert failures == ["first/summary.json.verdict.effect: 0.0287 is now 0.0288", "second/: the pack is missing"]


def test_the_market_of_the_kept_packs_comes_from_its_seed(tmp_path: Path) -> None:
    first, second = market_files(tmp_path / "one"), market_files(tmp_path / "two")
    for one, two in zip(first, second, strict=True):
        assert one.read_bytes() == two.read_bytes()
    prices, events = (pd.read_csv(path) for path in first)
    assert prices["ticker"].nunique() == 13
    assert len(events) == 150
    assert 0.99 < len(prices) / (13 * 300) < 1.0
