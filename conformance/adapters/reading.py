"""What all adapters share: read a fixture, answer what it asks. Needs pandas alone."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

NOT_OFFERED = "not offered"
#: Value by (quantity, event_id), or the error it ends in; the event_id of a quantity of all events is "".
Values = Mapping[tuple[str, str], float | Exception]


class NotOffered(Exception):  # noqa: N818
    """What an adapter raises for a window that the package says it does not take."""


@dataclass(frozen=True)
class Fixture:
    """A fixture's files as frames by day; ``returns`` of a fixture of prices are made of them here."""

    folder: Path
    study: dict[str, Any]
    events: pd.DataFrame
    prices: pd.DataFrame | None
    returns: pd.DataFrame
    factors: pd.DataFrame | None
    asked: list[dict[str, Any]]

    @property
    def tickers(self) -> list[str]:
        return [name for name in self.returns if name not in ("MKT", "WORLD")]

    @property
    def one_date(self) -> bool:
        return self.events["date"].nunique() == 1


def read(folder: Path) -> Fixture:
    """Read a fixture. The index is the column MKT; the values that are expected are not read."""
    study = json.loads((folder / "study.json").read_text(encoding="utf-8"))
    table = _frame(folder / f"{study['input']}.csv").join(_frame(folder / "market.csv"))
    made_of_prices = study["input"] == "prices"
    change = table / table.shift(1)
    returns = (np.log(change) if study["returns"] == "log" else change - 1) if made_of_prices else table
    factors = _frame(folder / "factors.csv") if (folder / "factors.csv").exists() else None
    expected = json.loads((folder / "expected.json").read_text(encoding="utf-8"))
    asked = [{key: row[key] for key in ("quantity", "event_id", "window") if key in row} for row in expected]
    events = pd.read_csv(folder / "events.csv")
    return Fixture(folder, study, events, table if made_of_prices else None, returns, factors, asked)


def _frame(path: Path) -> pd.DataFrame:
    return pd.read_csv(path, index_col="date", parse_dates=True)


def key(row: Mapping[str, Any]) -> str:
    """Name of a quantity: what it is, of which event if of one, over which window."""
    parts = [row["quantity"], row.get("event_id", ""), "[{},{}]".format(*row["window"])]
    return " ".join(part for part in parts if part)


def answers(
    fixture: Fixture, offers: Callable[[Fixture], set[str]], compute: Callable[[Fixture, tuple[int, int]], Values]
) -> dict[str, Any]:
    """Return a value, "not offered" or ``{"error": text}`` for each key asked; one window after the other."""
    found: dict[str, Any] = {}
    offered = offers(fixture)
    for window in dict.fromkeys(tuple(row["window"]) for row in fixture.asked):
        wanted = [row for row in fixture.asked if tuple(row["window"]) == window]
        found |= {key(row): NOT_OFFERED for row in wanted if row["quantity"] not in offered}
        wanted = [row for row in wanted if row["quantity"] in offered]
        try:
            values = compute(fixture, window) if wanted else {}
            failure = "no value for it"
        except NotOffered:
            found |= {key(row): NOT_OFFERED for row in wanted}
            continue
        except Exception as error:  # every way in which a package can fail is a finding
            values, failure = {}, _said(error)
        for row in wanted:
            value = values.get((row["quantity"], row.get("event_id", "")))
            if value is None:
                found[key(row)] = {"error": failure}
            elif isinstance(value, Exception):
                found[key(row)] = {"error": _said(value)}
            else:
                found[key(row)] = float(value) if np.isfinite(value) else {"error": "NaN"}
    return found


def _said(error: Exception) -> str:
    """The first line of what a package says, without addresses of memory."""
    line = f"{type(error).__name__}: {error}".strip().splitlines()[0]
    return re.sub(r" at 0x[0-9a-f]+", "", line)[:120]


def main(offers: Callable[[Fixture], set[str]], compute: Callable[[Fixture, tuple[int, int]], Values]) -> None:
    """Print the answers to each fixture whose folder is named, a line of JSON each."""
    for folder in map(Path, sys.argv[1:]):
        found = answers(read(folder), offers, compute)
        print("\n" + json.dumps({"fixture": folder.name, "answers": found}), flush=True)
