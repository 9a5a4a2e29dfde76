"""Small studies on disk: a TOML, events, and one CSV of prices a ticker, all from a seed."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from eventstudy.events import COLUMNS
from eventstudy.exchanges.calendars import sessions

HEADER = ",".join(COLUMNS)


def event_row(event_id: str, timestamp: str, **cells: str) -> str:
    """One line of events.csv; ``precision`` follows from the timestamp unless it is given."""
    row = {
        "event_id": event_id,
        "timestamp": timestamp,
        "precision": "minute" if "T" in timestamp else "date",
        "kind": "report",
        "label": "unknown",
        **cells,
    }
    return ",".join(row.get(column, "") for column in HEADER.split(","))


def write_events(folder: Path, rows: Sequence[str], name: str = "events.csv") -> Path:
    path = folder / name
    path.write_text("\n".join([HEADER, *rows, ""]), encoding="utf-8")
    return path


def write_study(
    folder: Path, tickers: Sequence[str] = ("AAA", "BBB", "CCC"), extra: Mapping[str, str] | None = None
) -> Path:
    """A study of ``tickers`` on XNYS against IDX; ``extra`` adds lines to a ticker's table."""
    lines = ["[study]", 'name = "Small study"', "[[markets]]", 'mic = "XNYS"', 'region = "US"', 'benchmark = "IDX"']
    for ticker in tickers:
        lines += ["[[peers]]", f'ticker = "{ticker}"', 'market = "XNYS"', (extra or {}).get(ticker, "")]
    path = folder / "study.toml"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def write_prices(
    folder: Path,
    tickers: Sequence[str] = ("AAA", "BBB", "CCC"),
    *,
    start: str = "2020-01-02",
    end: str = "2022-12-30",
    seed: int = 7,
    mic: str = "XNYS",
) -> dict[str, np.ndarray]:
    """Write IDX.csv and one CSV for each ticker; returns the one-session returns that were used."""
    folder.mkdir(parents=True, exist_ok=True)
    days = sessions(mic, dt.date.fromisoformat(start), dt.date.fromisoformat(end))
    rng = np.random.default_rng(seed)
    market = rng.standard_t(5, len(days)) * 0.008
    returns = {"IDX": market}
    for number, ticker in enumerate(tickers):
        returns[ticker] = 0.0002 + (0.8 + 0.2 * number) * market + rng.standard_t(5, len(days)) * 0.012
    for ticker, values in returns.items():
        close = 100.0 * np.cumprod(1.0 + values)
        rows = [f"{day},{price!r},{price!r},1000" for day, price in zip(days, close.tolist(), strict=True)]
        (folder / f"{ticker}.csv").write_text("\n".join(["date,close,adj_close,volume", *rows, ""]), encoding="utf-8")
    return returns


def edit_prices(path: Path, **changes: str | None) -> None:
    """Replace the rows of the days named as ``d2021_03_04``; None deletes the row."""
    lines = path.read_text(encoding="utf-8").splitlines()
    for key, row in changes.items():
        day = key.removeprefix("d").replace("_", "-")
        at = next(i for i, line in enumerate(lines) if line.startswith(day))
        lines[at : at + 1] = [] if row is None else [f"{day},{row}"]
    path.write_text("\n".join([*lines, ""]), encoding="utf-8")
