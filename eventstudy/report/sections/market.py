"""The pages of a market-wide study: what became of the events, the tests; and its folder with a row an event."""

from __future__ import annotations

import importlib.metadata
import platform
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from eventstudy import __version__, plots
from eventstudy.config import StudyConfig, Window
from eventstudy.config.json_values import plain_json, write_json
from eventstudy.core.statistics import TestResult
from eventstudy.core.statistics.dates import LARGE_CVR, SCALED_BY_THE_PAST
from eventstudy.large.engine import FATES, MarketResult, why
from eventstudy.messages import text
from eventstudy.report.bundle import Bundle, digest
from eventstudy.report.document import (
    Block,
    BulletList,
    Document,
    Facts,
    FigureBlock,
    Paragraph,
    Section,
    TableBlock,
    table,
)
from eventstudy.report.output import Material
from eventstudy.report.render.csv import stamped
from eventstudy.report.render.tex import write_latex
from eventstudy.report.render.xlsx import write as write_workbook
from eventstudy.results.columns import TABLES, row_of, window_name, with_codes
from eventstudy.results.effect import OVER_DATES, of_mean, tests_of
from eventstudy.results.result import StudyResult

#: Marks p-values of tests that reject too often here.
STRUCK = "‡"
#: Name of the figure, and what it shows to those who cannot see it.
FIGURE, ALT = "caar", "Mean cumulative abnormal return by event day with its 95 % band"
#: Events in one group of rows of events.parquet.
ROWS = 1_000_000
#: Ratios that the note under the tests names.
RATIOS = 4
VERSIONED = ("numpy", "pyarrow", "scipy")
#: Settings that say who does the work, and change no figure.
WORKERS = ("jobs", "engine", "scheduler")
#: Tests that the terminal shows, in two tables; tests.csv has all. Those of the first hold their size where
#: the common volatility is higher on the event days, those of the second are then marked.
ROBUST = ("date_t", "sign_flip", "ibragimov_mueller", "calendar_time")
OTHERS = ("grank_t", "corrado", "bmp_kp", "portfolio_t")
#: Tests whose estimate is no mean CAR over firm-events.
OTHER_MEANS = ROBUST


def market_bundle(result: MarketResult, config: StudyConfig) -> Bundle:
    """Return the folder of a market-wide study; its name ends with a digest of inputs and settings."""
    manifest, stem = _manifest(result, config), Path(result.events.path).stem
    study = _as_study(result, config, f"market-{stem}-{digest(manifest)}", manifest)
    document = market_document(result, stem)

    def others(folder: Path) -> None:
        _write_events(result, folder / "events.parquet")
        write_json(study.facts, folder / "summary.json")
        write_latex(document, folder / "latex")
        write_workbook(
            Material(result=study, folder=folder, tables=study.tables, drawn=(), home=folder, templates=None)
        )

    return Bundle(
        name=study.run_id,
        document=document,
        pages="market",
        tables=study.tables,
        drawings={FIGURE: plots.draw(study, plots.Plot(FIGURE, "caar_by_label"))},
        record="manifest.json",
        facts=manifest,
        others=others,
    )


def _as_study(result: MarketResult, config: StudyConfig, name: str, manifest: Mapping[str, Any]) -> StudyResult:
    """The tables and the summary as figures and workbook read those of any study."""
    rows = (with_codes({**row_of(test), "window": window_name(test.window)}) for test in result.tests)
    tests = [{column: row[column] for column in TABLES["tests"]} for row in rows]
    facts, chosen, first = result.facts, config.as_dict(), result.tests[0]
    reasons = {fate: n for fate, n in facts["fates"].items() if FATES[fate] == "dropped"}
    worth = {key: getattr(first, key) for key in ("n_events", "n_dates", "k_eff", "rbar", "n_effective")}
    summary = {
        **facts,
        "run_id": name,
        "study": config.study.name,
        "simulated": False,
        "language": config.study.language,
        "data_date": facts["last_session"],
        "price_source": facts["prices"],
        "counts": {
            "used": facts["n_used"],
            "shifted": facts["fates"].get("shifted", 0),
            "dropped": facts["n_dropped"],
            "merged": facts["n_merged"],
            "reasons": dict(sorted(reasons.items())),
        },
        "events": {"n_events": facts["n_events"], "n_shocks": first.n_dates, "n_peers": facts["n_tickers"]},
        "effect": {"group": "all", **_effect(result, result.layout.car[0])},
        "effects": [_effect(result, window) for window in result.layout.car],
        "rbar": first.rbar,
        "n_effective": first.n_effective,
        "headline": worth,
        "headline_group": "all",
        "windows": chosen["windows"],
        "model": manifest["settings"]["model"],
        "kind": "return",
        "returns": config.returns.kind,
        "weights": "equal",
        "warnings": facts["remarks"],
    }
    rows_of = {"tests": tests, "aar": list(_aar_rows(result))}
    tables = {table: stamped(cells, simulated=False).infer_objects() for table, cells in rows_of.items()}
    return StudyResult(name, tables, plain_json(summary), manifest)


def _effect(result: MarketResult, window: Window) -> dict[str, Any]:
    """The mean over dates of all events' CARs, with the t interval of ``ibragimov_mueller``; NaN without this test."""
    tests = {test.name: test for test in result.tests if (test.group, test.window) == ("all", window)}
    (of, *_), name = tests.values(), OVER_DATES if OVER_DATES in tests else ""
    mean, t, df, p = (
        getattr(tests[name], key) if name else np.nan for key in ("estimate", "statistic", "df", "p_value")
    )
    return {
        "window": window_name(window),
        **of_mean(mean, t, df),
        "p_value": p,
        **{key: getattr(of, key) for key in ("n_events", "n_dates", "k_eff", "n_effective")},
        "test": name,
        "tests": tests_of(result.tests, "all", window),
    }


def _manifest(result: MarketResult, config: StudyConfig) -> dict[str, Any]:
    settings = config.as_dict()
    files = {(file.name, file.sha256) for file in (result.prices, result.benchmark)}
    files.add((Path(result.events.path).name, result.events.sha256))
    if result.factors is not None:
        files.add((Path(result.factors.source).name, result.factors.sha256))
    return {
        "version": __version__,
        "settings": {name: settings[name] for name in ("windows", "returns", "tests")}
        | {"model": {name: value for name, value in settings["model"].items() if name not in WORKERS}},
        "benchmark": result.facts["benchmark"],
        "kernels": result.facts["kernels"],
        "inputs": [{"name": name, "sha256": digest} for name, digest in sorted(files)],
        "versions": {"python": platform.python_version(), **{n: importlib.metadata.version(n) for n in VERSIONED}},
    }


def _write_events(result: MarketResult, path: Path) -> None:
    """One row for every event of the file, in its order, with what became of it."""
    reasons = [why(fate) for fate in FATES]
    writer = None
    for start in range(0, len(result.events), ROWS):
        rows = slice(start, start + ROWS)
        codes, found = result.reason[rows], result.fit.take(rows)
        columns: dict[str, Any] = {
            "event_id": result.events.event_id[rows],
            "ticker": _named(result.events.tickers, result.events.ticker[rows]),
            "date": pa.array(result.events.date[rows], pa.date32()),
            "session": pa.array(result.session[rows], pa.date32(), mask=result.session[rows] < 0),
            "status": _named(list(FATES.values()), codes),
            "reason": _named([text(reason) for reason in reasons], codes),
            "reason_code": _named([reason.code for reason in reasons], codes),
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
    """Names by their places; several places may have one name."""
    known = list(dict.fromkeys(names))
    places = np.array([known.index(name) for name in names])[codes] if len(known) < len(names) else codes
    return pa.DictionaryArray.from_arrays(pa.array(places, pa.int32()), pa.array(known, pa.string()))


def _number(values: Any) -> pa.Array:
    """Missing figures are null."""
    return pa.array(values, pa.float64(), from_pandas=True)


def _aar_rows(result: MarketResult) -> Iterator[dict[str, Any]]:
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


def market_document(result: MarketResult, title: str) -> Document:
    """Return the pages: what became of the events, the mean CARs and the tests of most use."""
    facts = result.facts
    told = (
        f"{facts['n_used']:,} of {facts['n_events']:,} events of {facts['n_tickers']:,} tickers used, "
        f"against {facts['benchmark']}, {facts['first_session']} to {facts['last_session']}"
    )
    counted = Facts(
        tuple((text(why(fate)) or "used as they are", f"{n:,}") for fate, n in facts["fates"].items()), "grid"
    )
    remarks = BulletList(tuple(Paragraph(str(remark), "Note:") for remark in facts["remarks"]))
    blocks: tuple[Block, ...] = (Paragraph(told), counted, *([remarks] if remarks.items else []))
    return Document(
        title=f"Market-wide study of {title}",
        subject="event study",
        origin=(f"eventstudy {__version__}", f"data to {facts['last_session']}", f"against {facts['benchmark']}"),
        sections=(
            Section(name="events", heading="Events", blocks=blocks),
            Section(name="tests", heading="Tests", blocks=(FigureBlock(FIGURE, ALT), *leading_tables(result))),
        ),
    )


def leading_tables(result: MarketResult) -> tuple[TableBlock, ...]:
    """Return the robust tests, and the others, marked where the past's variance makes them too quick."""
    known = {test.name for test in result.tests}
    first = replace(_table_of(result, [name for name in ROBUST if name in known], means=True), name="tests")
    others = [name for name in OTHERS if name in known]
    return (first, replace(_table_of(result, others, means=False), name="more_tests")) if others else (first,)


def _table_of(result: MarketResult, shown: Sequence[str], *, means: bool) -> TableBlock:
    heads = ("group", "window", *(("events", "dates", "k_eff", "CAAR") if means else ("dates", "k_eff")))
    rows = []
    for row in result.facts["dates"]:
        group, window = row["group"], tuple(row["window"])
        tests = {test.name: test for test in result.tests if (test.group, test.window) == (group, window)}
        caar = next((test.estimate for test in tests.values() if test.name not in OTHER_MEANS), np.nan)
        counted = {
            "events": f"{row['n_events']:,}",
            "dates": f"{row['n_dates']:,}",
            "k_eff": f"{row['k_eff']:,.0f}",
            "CAAR": f"{caar:+.3%}",
        }
        cells = [counted[name] for name in heads[2:]]
        rows.append((group, window_name(window), *cells, *(_cell(tests[name], row) for name in shown)))
    note = _why_marked(result) if SCALED_BY_THE_PAST.intersection(shown) else ""
    return table((*heads, *(f"p {name}" for name in shown)), rows, left=2, mark=STRUCK, mark_note=note)


def _cell(test: TestResult, row: Mapping[str, Any]) -> str:
    if test.reason:
        return "n/a"
    mark = f" {STRUCK}" if test.name in SCALED_BY_THE_PAST and _bursts(row) else ""
    return f"{test.p_value:.4f}{mark}"


def _bursts(row: Mapping[str, Any]) -> bool:
    return bool(row["cvr"] > LARGE_CVR)


def _why_marked(result: MarketResult) -> str:
    ratios = [
        f"{row['cvr']:.1f} in {row['group']} {window_name(tuple(row['window']))}"
        for row in result.facts["dates"]
        if _bursts(row)
    ]
    if not ratios:
        return ""
    more = f" and {len(ratios) - RATIOS} more" if len(ratios) > RATIOS else ""
    return (
        f"{STRUCK} The common volatility of the dates is above that of the estimation window (ratio "
        f"{', '.join(ratios[:RATIOS])}{more}): tests that take variances or correlations from there "
        "reject a true null too often."
    )
