"""Convert values to plain JSON: numpy numbers, dates, NaN."""

from __future__ import annotations

import datetime as dt
import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from eventstudy.errors import Reason
from eventstudy.messages import text


def plain_json(value: Any) -> Any:
    """Return ``value`` as plain JSON types.

    Numbers of numpy become Python's, NaN and infinities None, dates ISO texts, tuples lists, keys texts.
    A `Message` is kept, since it is a text with its key and fields.
    """
    if isinstance(value, Reason):
        return text(value)
    if isinstance(value, Mapping):
        return {str(key): plain_json(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain_json(item) for item in value]
    if hasattr(value, "item"):
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value.isoformat() if isinstance(value, dt.date) else value


def json_text(content: Any) -> str:
    """Return ``content`` as JSON with sorted keys, indented by two, NaN as null, and a final newline."""
    text = json.dumps(plain_json(content), sort_keys=True, indent=2, allow_nan=False, ensure_ascii=False)
    return text + "\n"


def write_json(content: Any, path: Path) -> None:
    """Write ``content`` in the form of `json_text`."""
    path.write_text(json_text(content), encoding="utf-8", newline="\n")
