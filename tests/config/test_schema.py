"""The JSON Schema of study files: it takes what the package takes, and refuses what it can say is wrong."""

from __future__ import annotations

import datetime as dt
import json
import tomllib
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from eventstudy.cli import main
from eventstudy.config.load import SECTORS, config_from_dict
from eventstudy.config.schema import study_schema
from eventstudy.errors import EventStudyError

ROOT = Path(__file__).parents[2]
SHIPPED = sorted([*SECTORS.glob("*/study.toml"), *ROOT.glob("*.toml"), *ROOT.glob("docs/**/*.toml")])


def as_json(value: Any) -> Any:
    """TOML's dates as texts, the way that TOML tools hand them to a schema."""
    if isinstance(value, dict):
        return {key: as_json(item) for key, item in value.items()}
    if isinstance(value, list):
        return [as_json(item) for item in value]
    return value.isoformat() if isinstance(value, dt.date) else value


@pytest.fixture(scope="module")
def schema() -> Draft202012Validator:
    document = study_schema()
    Draft202012Validator.check_schema(document)
    return Draft202012Validator(document)


STUDY = """
[study]
name = "Two banks"
[[markets]]
mic = "XNYS"
benchmark = "^GSPC"
[[peers]]
ticker = "AAA"
market = "XNYS"
from = 2020-01-02
size = 3.5
"""


@pytest.mark.parametrize("path", [path for path in SHIPPED if path.name != "pyproject.toml"], ids=str)
def test_every_shipped_study_file_is_accepted(schema: Draft202012Validator, path: Path) -> None:
    assert [error.message for error in schema.iter_errors(as_json(tomllib.loads(path.read_text())))] == []


def test_a_study_with_a_column_of_its_own_is_accepted(schema: Draft202012Validator) -> None:
    assert schema.is_valid(as_json(tomllib.loads(STUDY)))


@pytest.mark.parametrize(
    ("section", "setting"),
    [
        ("windows", "minimun = 150"),
        ("windows", "minimum = 'many'"),
        ("windows", "minimum = true"),
        ("windows", "post = [2]"),
        ("windows", "post = [2, 9999]"),
        ("tests", "draws = -1"),
        ("tests", "names = ['no_such_test']"),
        ("tests", "names = ['date_t', 'date_t']"),
        ("reversal", "share_negative = 1.5"),
        ("reversal", "drop_k = -1"),
        ("reversal", "label = 'rumour'"),
        ("tests", "level = inf"),
        ("returns", "kind = 'logs'"),
        ("study", "seed = -1"),
        ("study", "sector = '../x'"),
        ("study", "currency = 'dollars'"),
        ("report", "formats = ['csv', 'csv']"),
        ("costs", "bps = 3"),
        ("stduy", "name = 'x'"),
    ],
)
def test_what_the_package_refuses_by_one_setting_the_schema_refuses(
    schema: Draft202012Validator, section: str, setting: str
) -> None:
    table = tomllib.loads(STUDY)
    table[section] = {**table.get(section, {}), **tomllib.loads(setting)}
    with pytest.raises(EventStudyError):
        config_from_dict(as_json(table), source="study.toml")
    assert not schema.is_valid(as_json(table))


@pytest.mark.parametrize(
    ("setting", "reason"),
    [
        ("estimation = [-250, -5]", "a relation of two keys: it overlaps windows.event"),
        ("post = [20, 2]", "a relation of two numbers: the window runs backwards"),
    ],
)
def test_relations_of_bad_inputs_are_refused_by_the_package_alone(
    schema: Draft202012Validator, setting: str, reason: str
) -> None:
    """Rows 69, 70 and 89 of docs/bad-inputs.md hold settings; the schema refuses the others of them."""
    table = as_json(tomllib.loads(STUDY))
    table["windows"] = tomllib.loads(setting)
    with pytest.raises(EventStudyError):
        config_from_dict(table, source="study.toml")
    assert schema.is_valid(table), f"{reason}: the schema can say this now"


def test_a_market_without_its_index_is_refused(schema: Draft202012Validator) -> None:
    table = as_json(tomllib.loads(STUDY.replace('benchmark = "^GSPC"', "")))
    assert [error.message for error in schema.iter_errors(table)] == ["'benchmark' is a required property"]


def test_the_command_prints_the_schema_and_init_names_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["schema"]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert printed["properties"]["windows"]["properties"]["minimum"] == {
        "type": "integer",
        "minimum": 10,
        "maximum": 5000,
        "default": 120,
    }
    assert main(["init", "airlines", "--peer", "DAL:XNYS"]) == 0
    folder = tmp_path / "airlines"
    assert (folder / "eventstudy.toml").read_text(encoding="utf-8").startswith("#:schema eventstudy.schema.json\n")
    assert json.loads((folder / "eventstudy.schema.json").read_text(encoding="utf-8")) == printed
