"""Whatever is written as JSON is cleaned in one place: what it makes of each kind of value."""

from __future__ import annotations

import datetime as dt
import json
import math
from pathlib import Path

import numpy as np

from eventstudy.config.json_values import json_text, plain_json, write_json
from eventstudy.messages import say


def test_each_kind_of_value_becomes_plain() -> None:
    told = say("ladder.few")
    found = plain_json(
        {
            1: np.float64(0.5),
            "n": np.int64(3),
            "yes": np.bool_(True),
            "text": np.str_("a"),
            "none": [math.nan, np.float32("nan"), math.inf, None],
            "pair": (1, dt.date(2026, 6, 9)),
            "told": told,
        }
    )
    assert found == {
        "1": 0.5,
        "n": 3,
        "yes": True,
        "text": "a",
        "none": [None] * 4,
        "pair": [1, "2026-06-09"],
        "told": str(told),
    }
    assert [type(found[key]) for key in ("1", "n", "yes", "text", "pair")] == [float, int, bool, str, list]
    assert found["told"] is told


def test_a_file_has_sorted_keys_and_null_for_nan(tmp_path: Path) -> None:
    content = {"b": math.nan, "a": [np.int8(1)], "c": "中"}
    write_json(content, tmp_path / "x.json")
    text = (tmp_path / "x.json").read_bytes().decode()
    assert text == json_text(content) == '{\n  "a": [\n    1\n  ],\n  "b": null,\n  "c": "中"\n}\n'
    assert json.loads(text) == {"a": [1], "b": None, "c": "中"}
