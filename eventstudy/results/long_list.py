"""The result of a long list: tables and summary as in any study; tables with rows of events are Parquet files."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from eventstudy.config import IN_MEMORY, StudyConfig
from eventstudy.config.json_values import plain_json
from eventstudy.core.statistics.firm import p_values
from eventstudy.errors import Reason
from eventstudy.exchanges.calendars import DAYS_APART
from eventstudy.large.battery import average_returns, means_by_day
from eventstudy.large.engine import FATES, GroupResult, MarketResult, status_of, why
from eventstudy.messages import catalogue, kind_of, retold, say, text
from eventstudy.results.columns import TABLES, row_of, window_name
from eventstudy.results.counts import firm_event_counts
from eventstudy.results.effect import day_row, effects_by_window, headline_effect, mean_over_dates
from eventstudy.results.manifest import manifest_of, run_id_of
from eventstudy.results.multiplicity import adjust
from eventstudy.results.records import interval
from eventstudy.results.result import StudyResult
from eventstudy.results.severity import worst_first
from eventstudy.results.summary import peers_of, title_of, worth_of
from eventstudy.results.tables import frame_of
from eventstudy.results.warnings import NAMED, beside, without_car

if TYPE_CHECKING:
    import pandas as pd

#: Number of rows of a Parquet file that are written at a time.
ROWS = 500_000
#: Tables that are not available for more than `IN_MEMORY` firm-events.
LEFT_OUT = ("abnormal_returns", "diagnostics", "estimation_cuts", "paths", "sector_index")


def result_of_list(found: MarketResult, config: StudyConfig, mic: str, folder: Path) -> StudyResult:
    """Return the result of a list studied by sums over dates; tables with rows of events are written to ``folder``.

    Without tests it has the ledger, day 0 of each date, the counts and the warnings alone.
    """
    shocks = _shocks(found)
    if not found.groups:
        tables = {"alignment": frame_of("alignment", list(_alignment_rows(found, mic, shocks)))}
        files = dict(_write_rows(found, config, mic, shocks, folder, names=("ledger",)))
        return StudyResult("", tables, _selection(found), {}, files)
    tables = _tables(found, config, mic, shocks)
    summary = _summary(found, config)
    manifest = _manifest(found, config)
    run_id = run_id_of(config, manifest)
    facts = {"run_id": run_id, **summary}
    files = dict(_write_rows(found, config, mic, shocks, folder))
    return StudyResult(run_id, tables, facts, {**manifest, "run_id": run_id}, files)


def _selection(found: MarketResult) -> dict[str, Any]:
    """Return the counts of firm-events, and the warnings."""
    fates = np.bincount(found.reason, minlength=len(FATES)).tolist()
    counted = {(status_of(fate), why(fate).code): n for fate, n in zip(FATES, fates, strict=True) if n}
    left_out = text(Reason("market.left_out", most=IN_MEMORY))
    return {
        "counts": firm_event_counts(counted),
        "warnings": worst_first([left_out, *map(text, found.remarks), *_warnings(found)]),
    }


def _summary(found: MarketResult, config: StudyConfig) -> dict[str, Any]:
    chosen, everyone = config.as_dict(), found.groups[0]
    fit, first = found.fit, everyone.samples[0]
    studied = np.unique(found.events.ticker[np.isfinite(fit.scar(0))]).tolist()
    dates, shocks = len(np.unique(found.events.date)), len(np.unique(found.position[found.position >= 0]))
    groups = ("group_differences",) if found.events.groups else ()
    reason = text(Reason("market.left_out", most=IN_MEMORY))
    content = {
        "study": title_of(config),
        "simulated": False,
        "language": config.study.language,
        "data_date": str(_iso(found.market.sessions[-1:])[0]),
        "price_source": "files",
        "effect": headline_effect(first, [found.events.tickers[at] for at in studied], config.study.kind),
        "effects": effects_by_window(everyone.samples, everyone.tests),
        **_selection(found),
        "rbar": first.rbar,
        "n_effective": first.n_effective,
        **worth_of(everyone.samples, asked=False),
        "events": {
            "n_events": dates,
            "n_shocks": shocks,
            "n_peers": len(config.peers) or len(found.events.tickers),
            "by_label": {"unknown": dates},
        },
        **{name: chosen[name] for name in ("windows", "model")},
        "kind": config.study.kind,
        "returns": config.returns.kind,
        "weights": config.tests.weights,
        **({} if config.tests.alternative == "two-sided" else {"alternative": config.tests.alternative}),
        "diagnostics": {},
        "peers": peers_of(config),
        "not_available": [
            {"part": name, "of": "", "code": "market.left_out", "reason": reason} for name in (*LEFT_OUT, *groups)
        ],
    }
    told: dict[str, Any] = retold(plain_json(content), catalogue("en", kind_of(config.study.kind, asked=False)))
    return told


def _warnings(found: MarketResult) -> list[str]:
    """Warnings on firm-events in the event window of an earlier one of their security, and on those without a CAR."""
    events, position = found.events, found.position
    rows = np.flatnonzero(found.used)
    rows = rows[np.lexsort((events.ticker[rows], position[rows]))]
    ordered = rows[np.argsort(events.ticker[rows], kind="stable")]
    near = np.diff(position[ordered]) < found.layout.n_event
    late = ordered[1:][near & (np.diff(events.ticker[ordered]) == 0)]
    late = late[np.lexsort((events.ticker[late], position[late]))]

    def name(row: int) -> str:
        return f"{events.event_id[row].as_py()} {events.tickers[events.ticker[row]]}"

    return [
        *beside([name(row) for row in late[:NAMED].tolist()], len(late)),
        *without_car(found.layout.car, found.fit.car[:, rows], lambda at: name(int(rows[at]))),
    ]


def _manifest(found: MarketResult, config: StudyConfig) -> dict[str, Any]:
    files = {(file.name, file.sha256) for file in (found.market.prices, found.market.benchmark)}
    if found.factors is not None:
        files.add((Path(found.factors.source).name, found.factors.sha256))
    inputs = [(Path(found.events.path).name, found.events.sha256), *sorted(files)]
    prices = {
        "source": "files",
        "simulated": False,
        "data_date": str(_iso(found.market.sessions[-1:])[0]),
        "outcomes": {},
        "truth": {},
        "origin": {"kind": "file", "name": found.market.prices.name},
    }
    return manifest_of(config, inputs, prices, ("pyarrow",))


def _tables(found: MarketResult, config: StudyConfig, mic: str, shocks: pa.Array) -> dict[str, pd.DataFrame]:
    """The tables whose size does not depend on the number of events."""
    everyone, day = found.groups[0], found.layout
    tests = [test for group in found.groups for test in group.tests]
    rows: dict[str, Sequence[Mapping[str, Any]]] = {
        "alignment": list(_alignment_rows(found, mic, shocks)),
        "quality": [],
        "aar": [row for group in found.groups for row in _aar_rows(group, found)],
        "event_days": [
            day_row(tau, *(_effect(means, config) for means in both)) for tau, *both in means_by_day(everyone.sums, day)
        ],
        "shocks": list(_shock_rows(everyone, found, shocks)),
        "tests": [{**row_of(test), "window": window_name(test.window)} for test in tests],
        "regressions": [],
        "group_differences": [],
        "multiplicity": [
            {**row_of(row), "window": window_name(row.window)} for row in adjust(everyone.samples, everyone.tests)
        ],
    }
    tables = {name: frame_of(name, rows[name]) for name in TABLES if name in rows}
    if config.tests.alternative != "two-sided":
        tables |= {
            name: tables[name].assign(alternative=config.tests.alternative) for name in ("tests", "multiplicity")
        }
    return tables


def _effect(means: Any, config: StudyConfig) -> dict[str, Any]:
    told = mean_over_dates(means.values, means.overlap, config.tests.alternative)
    return {**told, "n_events": means.n, "n_dates": len(means.values)}


def _aar_rows(group: GroupResult, found: MarketResult) -> Iterator[dict[str, Any]]:
    mean = average_returns(group.sums, found.layout, sessions=len(found.market.sessions))
    for at, tau in enumerate(found.layout.tau.tolist()):
        caar, half = mean.caar[at], mean.half_width[at]
        row = {"n": mean.n[at], "aar": mean.aar[at], "caar": caar, "lower": caar - half, "upper": caar + half}
        yield {"group": group.name, "tau": tau, **row}


def _alignment_rows(found: MarketResult, mic: str, shocks: pa.Array) -> Iterator[dict[str, Any]]:
    """Yield day 0 of each date that has one: the events of a date are one piece of news."""
    events = found.events
    rows = np.flatnonzero(found.position >= 0)
    first = _first_by(events.date[rows], events.event_id.take(pa.array(rows)))
    for row in rows[first].tolist():
        date, session = int(events.date[row]), int(found.session[row])
        late = session - date
        closed = Reason("day0.closed", mic=mic, session=str(_iso(session)), days=late)
        yield {
            "event_id": events.event_id[row].as_py(),
            "shock_id": shocks[row].as_py(),
            "mic": mic,
            "timestamp": str(_iso(date)),
            "precision": "date",
            "session": str(_iso(session)),
            "reaction": "closed" if late else "date",
            "days_after": late,
            "note": closed if late > DAYS_APART else say("day0.date_only"),
        }


def _shock_rows(everyone: GroupResult, found: MarketResult, shocks: pa.Array) -> Iterator[dict[str, Any]]:
    """Yield each date's portfolio of all events: the events of one day 0 are one shock."""
    sums, at_day = everyone.sums, found.position
    rows = np.flatnonzero(at_day >= 0)
    dates, first = np.unique(at_day[rows], return_index=True)
    names = shocks.take(pa.array(rows[first[np.searchsorted(dates, sums.date)]])).to_pylist()
    days = _iso(found.market.sessions[sums.date]).tolist()
    dof = found.fit.n.astype(np.float64) - found.layout.coefficients
    for w, window in enumerate(found.layout.car):
        # As for lists in memory: the smallest degrees of freedom among the events of the date.
        fewest = np.full(len(sums.date), np.inf)
        there = rows[np.isfinite(found.fit.car[w][rows])]
        np.minimum.at(fewest, np.searchsorted(sums.date, at_day[there]), dof[there])
        for k in np.flatnonzero(np.isfinite(sums.shock_car[:, w])).tolist():
            car, se = sums.shock_car[k, w], np.sqrt(sums.shock_variance[k, w])
            yield {
                "shock_id": names[k],
                "window": window_name(window),
                "label": "unknown",
                "title": "",
                "day0": str(days[k]),
                "n_peers": int(sums.members[k, w]),
                "n_markets": 1,
                "car": car,
                "se": se,
                "s": car / se,
                **dict(zip(("lower", "upper"), interval(float(car), float(se), fewest[k], 0.95), strict=True)),
            }


def _shocks(found: MarketResult) -> pa.Array:
    """Name of each event's shock, (N,): the first event id in alphabetical order with its day 0, or its own."""
    event_id = found.events.event_id
    rows = np.flatnonzero(found.position >= 0)
    first = rows[_first_by(found.position[rows], event_id.take(pa.array(rows)))]
    place = np.arange(len(event_id))
    place[rows] = first[np.searchsorted(found.position[first], found.position[rows])]
    return event_id.take(pa.array(place))


def _first_by(key: NDArray[Any], names: pa.Array) -> NDArray[np.intp]:
    """For each key, in order, the index of the row whose name comes first in alphabetical order."""
    table = pa.table({"key": pa.array(key), "name": names})
    order = pc.sort_indices(table, [("key", "ascending"), ("name", "ascending")]).to_numpy()
    ordered = key[order]
    first: NDArray[np.intp] = order[np.flatnonzero(np.append(True, ordered[1:] != ordered[:-1])[: len(ordered)])]
    return first.astype(np.intp)


def _iso(days: Any) -> NDArray[np.str_]:
    return np.asarray(days).astype("datetime64[D]").astype(str)


def _write_rows(
    found: MarketResult,
    config: StudyConfig,
    mic: str,
    shocks: pa.Array,
    folder: Path,
    names: Sequence[str] = ("ledger", "estimation", "car"),
) -> Iterator[tuple[str, Path]]:
    """Write the tables with one row for each firm-event; yield their names and files."""
    folder.mkdir(exist_ok=True)
    events, shocks = found.events, pc.dictionary_encode(shocks)
    order = np.lexsort((events.ticker, events.date))
    used = order[found.used[order]]
    one_sided = {} if config.tests.alternative == "two-sided" else {"alternative": config.tests.alternative}
    makers: dict[str, tuple[NDArray[np.intp], int, Any]] = {
        "ledger": (order, 1, lambda rows, _: _ledger(found, shocks, mic, rows)),
        "estimation": (used, 1, lambda rows, _: _estimation(found, rows)),
        "car": (used, len(found.layout.car), lambda rows, w: _car(found, config, shocks, rows, w, one_sided)),
    }
    for name in names:
        rows, times, make = makers[name]
        path, writer = folder / f"{name}.parquet", None
        for part in range(times):
            for start in range(0, len(rows), ROWS):
                table = pa.table(make(rows[start : start + ROWS], part))
                texts = [item.name for item in table.schema if pa.types.is_dictionary(item.type)]
                writer = writer or pq.ParquetWriter(path, table.schema, use_dictionary=texts)
                writer.write_table(table)
        if writer is not None:
            writer.close()
            yield name, path


def _keys(found: MarketResult, rows: NDArray[np.intp], shocks: pa.Array | None = None) -> dict[str, pa.Array]:
    at = pa.array(rows)
    keys = {"event_id": found.events.event_id.take(at)}
    keys |= {} if shocks is None else {"shock_id": shocks.take(at)}
    return {**keys, "ticker": _named(found.events.tickers, found.events.ticker[rows])}


def _ledger(found: MarketResult, shocks: pa.Array, mic: str, rows: NDArray[np.intp]) -> dict[str, pa.Array]:
    codes, session = found.reason[rows], found.session[rows]
    days = _named(_iso(found.market.sessions).tolist(), np.maximum(found.position[rows], 0))
    reasons = [why(fate) for fate in FATES]
    return {
        **_keys(found, rows, shocks),
        "market": _named([mic], np.zeros(len(rows), dtype=np.int32)),
        "status": _named([status_of(fate) for fate in FATES], codes),
        "stage": _named(list(FATES.values()), codes),
        "reason": _named([text(reason) for reason in reasons], codes),
        "reason_code": _named([reason.code for reason in reasons], codes),
        "session": pc.if_else(pa.array(session >= 0), days.cast(pa.string()), ""),
    }


def _estimation(found: MarketResult, rows: NDArray[np.intp]) -> dict[str, pa.Array]:
    fit, known = found.fit.take(rows), found.figures
    sessions = _iso(found.market.sessions).tolist()
    return {
        **_keys(found, rows),
        "model": _named([found.layout.model.name], np.zeros(len(rows), dtype=np.int32)),
        **{name: _number(getattr(fit, name)) for name in ("alpha", "beta", "sigma")},
        "n_estimation": pa.array(fit.n.astype(np.int64)),
        "r_squared": _number(known.r_squared[rows]),
        "first_session": _named(sessions, known.first[rows]),
        "last_session": _named(sessions, known.last[rows]),
        **{name: _number(values[rows]) for name, values in known.loadings.items()},
    }


def _car(
    found: MarketResult, config: StudyConfig, shocks: pa.Array, rows: NDArray[np.intp], w: int, more: Mapping[str, str]
) -> dict[str, pa.Array]:
    car, se = found.fit.car[w][rows], np.sqrt(found.fit.variance[w][rows])
    df = found.fit.n[rows].astype(np.float64) - found.layout.coefficients
    t = car / se
    p = p_values(t, df, config.tests.alternative)
    one = np.zeros(len(rows), dtype=np.int32)
    values = {"car": car, "se": se, "t": t, "p_value": p, "df": df, "scar": t, "bhar": found.figures.bhar[w][rows]}
    return {
        **_keys(found, rows, shocks),
        "window": _named([window_name(found.layout.car[w])], one),
        **{name: _number(cells) for name, cells in values.items()},
        **{name: _named([cell], one) for name, cell in more.items()},
    }


def _named(names: Sequence[str], codes: Any) -> pa.DictionaryArray:
    """Names by index; several indices may have one name."""
    known = list(dict.fromkeys(names))
    places = np.array([known.index(name) for name in names])[codes] if len(known) < len(names) else codes
    return pa.DictionaryArray.from_arrays(pa.array(places, pa.int32()), pa.array(known, pa.string()))


def _number(values: Any) -> pa.Array:
    """Convert an array for Parquet; missing numbers become null."""
    return pa.array(values, pa.float64(), from_pandas=True)
