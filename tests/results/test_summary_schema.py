"""The JSON Schema of summary.json takes every summary that a run writes, and no other field."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from small_study import small_study

from eventstudy.cli import main
from eventstudy.results.summary_schema import summary_schema

ROOT = Path(__file__).parents[2]
SHIPPED = sorted(path for path in ROOT.glob("results/*/summary.json") if not path.parent.is_symlink())


@pytest.fixture(scope="module")
def schema() -> Draft202012Validator:
    document = summary_schema()
    Draft202012Validator.check_schema(document)
    return Draft202012Validator(document)


def faults(schema: Draft202012Validator, facts: Any) -> list[str]:
    return [f"{'.'.join(map(str, error.absolute_path))}: {error.message[:200]}" for error in schema.iter_errors(facts)]


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.parent.name)
def test_every_shipped_summary_is_valid(schema: Draft202012Validator, path: Path) -> None:
    assert faults(schema, json.loads(path.read_text(encoding="utf-8"))) == []


@pytest.mark.parametrize(("language", "kind"), [("en", "return"), ("zh", "return"), ("en", "volatility")])
def test_the_summary_of_a_small_run_is_valid(schema: Draft202012Validator, language: str, kind: str) -> None:
    assert faults(schema, small_study(language, kind).facts) == []


def test_what_a_summary_cannot_be_is_refused(schema: Draft202012Validator) -> None:
    facts = small_study().facts
    for section, field, value in (
        (None, "runid", "x"),
        (None, "kind", "returns"),
        (None, "data_date", "21.8.2026"),
        ("counts", "used", "many"),
        ("verdict", "interval", [0, 1]),
        ("backtest", "net_interval", [0, 1]),
        ("effect", "window", [0, 1]),
    ):
        wrong = copy.deepcopy(facts)
        (wrong if section is None else wrong[section])[field] = value
        assert not schema.is_valid(wrong), (section, field)
    for missing in ("run_id", "exploratory"):
        assert not schema.is_valid({name: value for name, value in facts.items() if name != missing}), missing


def test_the_command_prints_it(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["schema", "summary"]) == 0
    assert json.loads(capsys.readouterr().out) == summary_schema()
    for other in ("pool", "simulation"):
        assert main(["schema", other]) == 0
        Draft202012Validator.check_schema(json.loads(capsys.readouterr().out))
