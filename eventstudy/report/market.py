"""What a market-wide study leaves behind: a row for every event, tests, mean abnormal returns, a summary."""

from __future__ import annotations

import csv
import hashlib
import importlib.metadata
import json
import platform
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from rich.console import Console
from rich.table import Table
from rich.text import Text

from eventstudy import __version__
from eventstudy.config import StudyConfig
from eventstudy.config.json_values import plain_json, write_json
from eventstudy.core.statistics import TestResult
from eventstudy.core.statistics.dates import LARGE_CVR, SCALED_BY_THE_PAST
from eventstudy.large.engine import REASONS, MarketResult
from eventstudy.report.packs import sealed
from eventstudy.report.page_one import STRUCK
from eventstudy.report.staging import moved_in
from eventstudy.report.values import csv_safe
from eventstudy.results.columns import TABLES, row_of, window_name, with_codes

#: Events in one group of rows of events.parquet.
ROWS = 1_000_000
#: Ratios that the note under the tests names.
RATIOS = 4
VERSIONED = ("numpy", "pyarrow", "scipy")
#: Tests that the terminal shows, in two tables; tests.csv has all. Those of the first hold their size where
#: the common volatility is higher on the event days, those of the second are then marked.
ROBUST = ("date_t", "sign_flip", "ibragimov_mueller", "calendar_time")
OTHERS = ("grank_t", "corrado", "bmp_kp", "portfolio_t")
#: Tests whose estimate is no mean CAR over firm-events.
OTHER_MEANS = ROBUST


def write_market(result: MarketResult, config: StudyConfig, out: Path) -> Path:
    """Write the folder of a market-wide study into ``out`` and return it.

    It is written aside and moved in whole. The name ends with a digest of inputs and settings; the same
    study again leaves the folder as it is.

    Raises
    ------
    OSError
        If the disk is full or refuses; what was half written is removed.
    """
    manifest = _manifest(result, config)
    digest = hashlib.sha256(json.dumps(plain_json(manifest), sort_keys=True).encode()).hexdigest()[:8]
    name = f"market-{Path(result.events.path).stem}-{digest}"
    with moved_in(out, name) as unfinished:
        _write_files(result, manifest, unfinished)
    return out / name


def _write_files(result: MarketResult, manifest: Mapping[str, Any], folder: Path) -> None:
    _write_events(result, folder / "events.parquet")
    tests = [with_codes({**row_of(test), "window": window_name(test.window)}) for test in result.tests]
    _write_csv(folder / "tests.csv", TABLES["tests"], tests)
    _write_csv(folder / "aar.csv", TABLES["aar"], _aar_rows(result))
    write_json(result.facts, folder / "summary.json")
    outputs = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(folder.iterdir())}
    write_json(sealed({**manifest, "outputs": outputs}), folder / "manifest.json")


def _manifest(result: MarketResult, config: StudyConfig) -> dict[str, Any]:
    settings = config.as_dict()
    files = {(file.name, file.sha256) for file in (result.prices, result.benchmark)}
    files.add((Path(result.events.path).name, result.events.sha256))
    return {
        "version": __version__,
        "settings": {name: settings[name] for name in ("windows", "returns", "tests")}
        | {"model": {"name": "market", "alpha": config.model.alpha}},
        "benchmark": result.facts["benchmark"],
        "kernels": result.facts["kernels"],
        "inputs": [{"name": name, "sha256": digest} for name, digest in sorted(files)],
        "versions": {"python": platform.python_version(), **{n: importlib.metadata.version(n) for n in VERSIONED}},
    }


def _write_events(result: MarketResult, path: Path) -> None:
    """One row for every event of the file, in its order, with what became of it."""
    texts = list(REASONS)
    statuses = list(dict.fromkeys(REASONS.values()))
    status = np.array([statuses.index(of) for of in REASONS.values()])
    writer = None
    for start in range(0, len(result.events), ROWS):
        rows = slice(start, start + ROWS)
        codes, found = result.reason[rows], result.fit.take(rows)
        columns: dict[str, Any] = {
            "event_id": result.events.event_id[rows],
            "ticker": _named(result.events.tickers, result.events.ticker[rows]),
            "date": pa.array(result.events.date[rows], pa.date32()),
            "session": pa.array(result.session[rows], pa.date32(), mask=result.session[rows] < 0),
            "status": _named(statuses, status[codes]),
            "reason": _named(texts, codes),
            "n": found.n,
            "n_windows": np.isfinite(found.variance).sum(axis=0),
        }
        if result.events.group is not None:
            columns["group"] = _named(result.events.groups, result.events.group[rows])
        columns |= {name: _number(getattr(found, name)) for name in ("alpha", "beta", "sigma")}
        for w, window in enumerate(result.layout.car):
            name = window_name(window)
            columns |= {
                f"car{name}": _number(found.car[w]),
                f"se{name}": _number(np.sqrt(found.variance[w])),
                f"scar{name}": _number(found.scar(w)),
            }
        table = pa.table(columns)
        writer = writer or pq.ParquetWriter(path, table.schema, compression="zstd")
        writer.write_table(table)
    if writer is not None:
        writer.close()


def _named(names: Sequence[str], codes: Any) -> pa.DictionaryArray:
    return pa.DictionaryArray.from_arrays(pa.array(codes, pa.int32()), pa.array(names, pa.string()))


def _number(values: Any) -> pa.Array:
    """Missing figures are null."""
    return pa.array(values, pa.float64(), from_pandas=True)


def _aar_rows(result: MarketResult) -> Iterable[dict[str, Any]]:
    for group, mean in result.averages.items():
        for day, tau in enumerate(result.layout.tau):
            caar, half = mean.caar[day], mean.half_width[day]
            yield {
                "group": group,
                "tau": int(tau),
                "n": mean.n[day],
                "aar": mean.aar[day],
                "caar": caar,
                "lower": caar - half,
                "upper": caar + half,
            }


def _write_csv(path: Path, columns: Sequence[str], rows: Iterable[Mapping[str, Any]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, columns, lineterminator="\n", extrasaction="ignore")
        writer.writeheader()
        writer.writerows({name: csv_safe(plain_json(value)) for name, value in row.items()} for row in rows)


def print_market(result: MarketResult, folder: Path, console: Console) -> None:
    """Print what became of the events, the mean CARs and a few of the tests."""
    facts = result.facts
    console.print(
        Text(
            f"{facts['n_used']:,} of {facts['n_events']:,} events of {facts['n_tickers']:,} tickers used, "
            f"against {facts['benchmark']}, {facts['first_session']} to {facts['last_session']}"
        )
    )
    for reason, count in facts["events"].items():
        console.print(Text(f"  {count:>12,}  {reason}"))
    for remark in facts["remarks"]:
        console.print(Text(f"  note: {remark}", style="dim"))
    for part in _tests_tables(result):
        console.print(part)
    console.print(Text(f"Results: {folder}"), soft_wrap=True)


def _tests_tables(result: MarketResult) -> Iterator[Table | Text]:
    """Yield the robust tests, the others, and one note where some of these are marked."""
    there = {test.name for test in result.tests}
    yield _tests_table(result, [name for name in ROBUST if name in there], means=True)
    others = [name for name in OTHERS if name in there]
    if not others:
        return
    yield Text()
    yield _tests_table(result, others, means=False)
    ratios = [
        f"{row['cvr']:.1f} in {row['group']} {window_name(tuple(row['window']))}"
        for row in result.facts["dates"]
        if _bursts(row)
    ]
    if ratios and SCALED_BY_THE_PAST.intersection(others):
        more = f" and {len(ratios) - RATIOS} more" if len(ratios) > RATIOS else ""
        yield Text(
            f"{STRUCK} The common volatility of the dates is above that of the estimation window (ratio "
            f"{', '.join(ratios[:RATIOS])}{more}): tests that take variances or correlations from there "
            "reject a true null too often."
        )


def _bursts(row: Mapping[str, Any]) -> bool:
    return bool(row["cvr"] > LARGE_CVR)


def _tests_table(result: MarketResult, shown: Sequence[str], *, means: bool) -> Table:
    table = Table(box=None, pad_edge=False)
    heads = ("group", "window", *(("events", "dates", "k_eff", "CAAR") if means else ("dates", "k_eff")))
    for name in (*heads, *(f"p {name}" for name in shown)):
        table.add_column(name, justify="left" if name in ("group", "window") else "right", no_wrap=True)
    for row in result.facts["dates"]:
        group, window = row["group"], tuple(row["window"])
        mine = {t.name: t for t in result.tests if (t.group, t.window) == (group, window)}
        caar = next((t.estimate for t in mine.values() if t.name not in OTHER_MEANS), np.nan)
        counted = {
            "events": f"{row['n_events']:,}",
            "dates": f"{row['n_dates']:,}",
            "k_eff": f"{row['k_eff']:,.0f}",
            "CAAR": f"{caar:+.3%}",
        }
        cells = [counted[name] for name in heads[2:]]
        table.add_row(group, window_name(window), *cells, *(_cell(mine[name], row) for name in shown))
    return table


def _cell(test: TestResult, row: Mapping[str, Any]) -> str:
    if test.reason:
        return "n/a"
    mark = f" {STRUCK}" if test.name in SCALED_BY_THE_PAST and _bursts(row) else ""
    return f"{test.p_value:.4f}{mark}"
