"""A small real study, run once: four peers on two exchanges, three shocks and a clarification, prices from a seed."""

from __future__ import annotations

import datetime as dt
import functools
import tempfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from studies import event_row, write_events

from eventstudy.config import load_config
from eventstudy.events import read_events
from eventstudy.exchanges.calendars import sessions
from eventstudy.prices.sources import get_prices
from eventstudy.results.result import StudyResult
from eventstudy.study import run_study

PEERS = {
    "300308.SZ": ("XSHE", "InnoLight", "中际旭创"),
    "300502.SZ": ("XSHE", "Eoptolink", "新易盛"),
    "LITE": ("XNAS", "Lumentum", ""),
    "AAOI": ("XNAS", "Applied Optoelectronics", ""),
}
REGIONS = {"XSHE": "CN", "XNAS": "US"}
#: Day 0, label and what the peers did on it and in the weeks after, beside chance.
SHOCKS = {
    "GTC25": ("2025-03-19", "misreading", -0.03, 0.05),
    "LITE26": ("2026-02-04", "misreading", -0.04, 0.06),
    "SA26": ("2026-06-09", "genuine", 0.0, -0.02),
}
CLAIMS = """claim_id,ticker,name,date,date_to,claimed,comparison,source,source_url,notes
C-1,LITE,Lumentum,2026-06-08,2026-06-24,-12%,at_least,Newsletter,http://127.0.0.1/,
C-2,INFN,Infinera,2026-06-08,2026-06-24,-12%,at_least,Newsletter,http://127.0.0.1/,
"""
FIRST, LAST = dt.date(2017, 1, 3), dt.date(2026, 8, 21)
_TITLES = {"GTC25": "Keynote shows switches", "LITE26": "Laser order misread", "SA26": "Later start of volume"}


@functools.cache
def small_study(language: str = "en", kind: str = "return") -> StudyResult:
    """The study's result; one of volatility has neither reversal, claims nor backtest."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        _write_prices(folder / "prices")
        rows = [
            event_row(shock, day, label=label, label_asof="2025-01-02", shock_id=shock, title=_TITLES[shock])
            for shock, (day, label, *_) in SHOCKS.items()
        ]
        rows.append(event_row("CPX26", "2026-06-03", kind="clarification", label="clarification", clarifies="SA26"))
        events = read_events(write_events(folder, rows))
        (folder / "claims.csv").write_text(CLAIMS, encoding="utf-8")
        config = load_config(Path(events.path), config_file=_write_settings(folder, language, kind))
        prices = get_prices(events, config, str(folder / "prices"), tell=lambda _: None)
        return run_study(events, config, prices)


def changed(
    result: StudyResult,
    *,
    facts: Mapping[str, Any] | None = None,
    verdict: Mapping[str, Any] | None = None,
    **tables: Any,
) -> StudyResult:
    """The result with other facts, other fields of the verdict, or other tables."""
    told = {**result.facts, **(facts or {})}
    if verdict:
        told["verdict"] = {**told["verdict"], **verdict}
    return replace(result, facts=told, tables={**result.tables, **tables})


def _write_settings(folder: Path, language: str, kind: str) -> Path:
    lines = [f'[study]\nname = "Small study"\nlanguage = "{language}"\nkind = "{kind}"']
    lines += ['[reversal]\ndrop_min = 0.02\ndrop_k = 1.0\nhistory_years = 8\ncase = "SA26"', "[tests]\ndraws = 999"]
    lines += [
        f'[[markets]]\nmic = "{mic}"\nregion = "{region}"\nbenchmark = "IDX{region}"' for mic, region in REGIONS.items()
    ]
    lines += [
        f'[[peers]]\nticker = "{ticker}"\nmarket = "{mic}"\nname = "{name}"\nname_local = "{local}"'
        for ticker, (mic, name, local) in PEERS.items()
    ]
    lines.append('[[peers]]\nticker = "INFN"\nmarket = "XNAS"\nname = "Infinera"\nuntil = 2025-02-28')
    path = folder / "study.toml"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def _write_prices(folder: Path) -> None:
    folder.mkdir()
    rng = np.random.default_rng(20)
    for mic, region in REGIONS.items():
        days = sessions(mic, FIRST, LAST)
        market = rng.normal(0.0003, 0.009, len(days))
        # What the peers of an exchange have in common beside the index, and the news on top of it.
        news = rng.standard_t(6, len(days)) * 0.012
        for day, _, drop, after in SHOCKS.values():
            at = int(np.searchsorted(days, np.datetime64(day)))
            news[at : at + 2] += drop / 2
            news[at + 2 : at + 21] += after / 19
        for ticker in (f"IDX{region}", *(name for name, peer in PEERS.items() if peer[0] == mic)):
            own = 0.0 if ticker.startswith("IDX") else news + rng.normal(0, 0.011, len(days))
            close = 50.0 * np.cumprod(1.0 + market + own)
            opened = np.append(50.0, close[:-1])
            table = pd.DataFrame({"date": days, "open": opened, "high": np.maximum(opened, close) * 1.001})
            table = table.assign(low=np.minimum(opened, close) * 0.999, close=close, adj_close=close, volume=2_000_000)
            table.to_csv(folder / f"{ticker}.csv", index=False)
