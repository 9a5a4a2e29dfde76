"""The tables of the result pack, from the arrays of the study."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from eventstudy.backtest import TABLES as BACKTEST
from eventstudy.backtest import Traded
from eventstudy.backtest import rows as backtest_rows
from eventstudy.config import Window
from eventstudy.core.abnormal import AbnormalReturns, shock_dates, shock_portfolios
from eventstudy.core.estimation import Computed
from eventstudy.core.models.betas import beta_path
from eventstudy.core.returns import FLAG_NAMES
from eventstudy.core.statistics import Alternative, Sample
from eventstudy.core.statistics.dates import band_half_width
from eventstudy.core.statistics.firm import car_tests
from eventstudy.core.statistics.overlap import growing_overlap
from eventstudy.errors import Reason
from eventstudy.events import Events
from eventstudy.exchanges.calendars import Alignment
from eventstudy.messages import catalogue, kind_of, retold
from eventstudy.results.columns import REASONS, TABLES, row_of, window_name, with_codes
from eventstudy.results.diagnostics import diagnose
from eventstudy.results.effect import effects_by_day
from eventstudy.results.group_differences import difference_rows
from eventstudy.results.multiplicity import adjust
from eventstudy.results.paths import base_day, path_rows, sector_rows
from eventstudy.results.records import interval
from eventstudy.results.regressions import regression_rows
from eventstudy.results.study_run import StudyRun
from eventstudy.reversal import tables as reversal_tables
from eventstudy.reversal.claims import ClaimVerdict
from eventstudy.shocks import together


def build_tables(run: StudyRun, aar: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """Return the tables of the pack, without those of the backtest, by the names of their files.

    ``aar`` is from `aar_table`. Tables of optional parts that cannot be computed are empty, and ``run.parts`` records
    the reason. A study that does not ask about reversals has ``event_days`` instead of the tables on reversals.
    """
    computed, config, optional = run.computed, run.config, run.parts.optional
    abnormal, windows, kind = computed.abnormal, run.windows, config.study.kind
    base, head = base_day(config.windows.drop if run.asked else windows[0]), run.headline.group
    prefix = "label=" if head == "all" else f"{head};label="
    labelled = [sample for sample in run.samples if sample.group == head or sample.group.startswith(prefix)]
    asked: Mapping[str, Sequence[Mapping[str, Any]]]
    if run.found is None:
        asked = {"event_days": effects_by_day(run.headline)}
    else:
        asked = {**reversal_tables(run.found, config), "claims": [_claim_row(claim) for claim in run.claims]}
    rows: dict[str, Sequence[Mapping[str, Any]]] = {
        "ledger": [row_of(row) for row in computed.selection.ledger],
        "alignment": list(_alignment_rows(computed.alignments, run.events)),
        "diagnostics": optional("diagnostics", lambda: _diagnostics_rows(abnormal), lambda _: []),
        "estimation_cuts": _cut_rows(computed),
        "quality": [row_of(finding) for finding in computed.findings],
        "paths": [row for sample in labelled for row in path_rows(sample, base)],
        "sector_index": list(sector_rows(computed.returns, run.headline.abnormal.panel)) if kind == "return" else [],
        "shocks": list(_shock_rows(run, windows)),
        "tests": [{**row_of(test), "window": window_name(test.window)} for test in run.tests],
        "regressions": list(regression_rows(run.headline, run.own, windows, run.parts)),
        "group_differences": list(difference_rows(computed.sample, run.own, windows, run.parts)),
        "multiplicity": optional("multiplicity", lambda: list(_multiplicity_rows(labelled, run)), lambda _: []),
        **asked,
    }
    made = {
        "abnormal_returns": _abnormal_table(abnormal),
        "estimation": _estimation_table(abnormal),
        "car": _car_table(abnormal, windows, config.tests.alternative, compounds=kind == "return"),
        "aar": aar,
        **{name: frame_of(name, cells) for name, cells in rows.items()},
    }
    tables = {name: made[name] for name in TABLES if name in made}
    if config.model.beta_path:
        tables["beta_path"] = _beta_path(abnormal, config.model.span)
    if config.tests.alternative != "two-sided":
        one_sided = ("car", "tests", "multiplicity")
        tables |= {name: tables[name].assign(alternative=config.tests.alternative) for name in one_sided}
    return tables if run.asked else _retold(tables, kind_of(kind, asked=False))


def _retold(tables: Mapping[str, pd.DataFrame], kind: str) -> dict[str, pd.DataFrame]:
    """Return the tables with their messages in the words for the quantity of the study."""
    words = catalogue("en", kind)
    return {
        name: table.assign(
            **{
                column: pd.Series(retold(table[column].tolist(), words), dtype=object, index=table.index)
                for column in REASONS.intersection(table.columns)
            }
        )
        for name, table in tables.items()
    }


def backtest_tables(traded: Traded | None) -> dict[str, pd.DataFrame]:
    """Return the tables of the backtest by the names of their files; empty tables if there is no backtest."""
    found = {key: [] for key in BACKTEST} if traded is None else backtest_rows(traded)
    return {name: frame_of(name, rows) for name, rows in found.items()}


def frame_of(name: str, rows: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    """Return rows as a table of the pack, with the codes of its reasons in further columns."""
    cells = [with_codes(row) for row in rows]
    frame = pd.DataFrame(cells, columns=list(TABLES[name]))
    for column in REASONS.intersection(frame.columns):
        # The string type of pandas would lose the key and fields of a message.
        frame[column] = pd.Series([row.get(column) for row in cells], dtype=object, index=frame.index)
    return frame


def _alignment_rows(alignments: Mapping[tuple[str, str], Alignment], events: Events) -> Iterator[dict[str, Any]]:
    """Yield day 0 of each piece of news on each exchange, for any number of rows in the file."""
    whole = together(events)
    for alignment in alignments.values():
        event = whole[alignment.event_id]
        if event.event_id != alignment.event_id:
            continue
        yield {
            **row_of(alignment),
            "shock_id": event.shock_id,
            "precision": event.precision,
            "timestamp": event.timestamp.isoformat(),
            "session": str(alignment.session),
        }


def _days(codes: NDArray[np.int32]) -> NDArray[np.str_]:
    return codes.astype("datetime64[D]").astype(str)


def _abnormal_table(abnormal: AbnormalReturns) -> pd.DataFrame:
    panel = abnormal.panel
    n, length = panel.event_returns.shape
    names = np.array([";".join(n for bit, n in FLAG_NAMES.items() if code & bit) for code in range(256)], dtype=object)
    return pd.DataFrame(
        {
            **{key: np.repeat(getattr(panel, key), length) for key in ("event_id", "shock_id", "ticker")},
            "tau": np.tile(panel.tau, n),
            "session": _days(panel.event_sessions.ravel()),
            "return": panel.event_returns.ravel(),
            "expected": abnormal.expected.mean.ravel(),
            "ar": abnormal.ar.ravel(),
            "sar": abnormal.sar.ravel(),
            "flags": names[panel.event_flags.ravel()],
        }
    )


def _estimation_table(abnormal: AbnormalReturns) -> pd.DataFrame:
    panel, expected = abnormal.panel, abnormal.expected
    used = np.isfinite(expected.residuals)
    first, last = used.argmax(axis=1), used.shape[1] - 1 - used[:, ::-1].argmax(axis=1)
    rows = np.arange(len(panel))
    table = {
        "event_id": panel.event_id,
        "ticker": panel.ticker,
        "model": expected.model,
        **dict(zip(expected.loadings, expected.theta.T, strict=True)),
        "sigma": np.sqrt(expected.sigma2),
        "n_estimation": expected.n_estimation,
        "r_squared": expected.r_squared,
        "first_session": _days(panel.estimation_sessions[rows, first]),
        "last_session": _days(panel.estimation_sessions[rows, last]),
    }
    for name in ("alpha", "beta"):
        table.setdefault(name, np.full(len(panel), np.nan))
    extra = [name for name in table if name not in TABLES["estimation"]]
    return pd.DataFrame(table)[[*TABLES["estimation"], *extra]]


def _beta_path(abnormal: AbnormalReturns, span: int) -> pd.DataFrame:
    panel = abnormal.panel
    beta, se = beta_path(panel, span)
    row, day = np.nonzero(np.isfinite(beta))
    return pd.DataFrame(
        {
            "event_id": panel.event_id[row],
            "ticker": panel.ticker[row],
            "session": _days(panel.estimation_sessions[row, day]),
            "beta": beta[row, day],
            "se": se[row, day],
        }
    )


def _diagnostics_rows(abnormal: AbnormalReturns) -> list[dict[str, Any]]:
    panel = abnormal.panel
    columns = {"event_id": panel.event_id, "ticker": panel.ticker, **row_of(diagnose(abnormal))}
    rows = pd.DataFrame(columns).to_dict("records")
    return [{str(name): cell for name, cell in row.items()} for row in rows]


def _cut_rows(computed: Computed) -> list[dict[str, Any]]:
    """Estimation days that were left out, with the reason, so that a fit can be reproduced."""
    rows = []
    panel = computed.abnormal.panel
    by_ticker: dict[tuple[str, str], list[tuple[int, Reason]]] = {}
    for (mic, ticker, row), cut in sorted(computed.selection.cut_reasons.items(), key=lambda item: item[0]):
        day = int(computed.returns.markets[mic].sessions[row].astype("datetime64[D]").astype(int))
        by_ticker.setdefault((mic, ticker), []).append((day, cut))
    for i in range(len(panel)):
        sessions = panel.estimation_sessions[i]
        for day, reason in by_ticker.get((str(panel.market[i]), str(panel.ticker[i])), ()):
            if sessions[0] <= day <= sessions[-1]:
                session = str(np.datetime64(day, "D"))
                rows.append(
                    {"event_id": panel.event_id[i], "ticker": panel.ticker[i], "session": session, "reason": reason}
                )
    return rows


def _car_table(
    abnormal: AbnormalReturns, windows: Sequence[Window], alternative: Alternative, *, compounds: bool
) -> pd.DataFrame:
    panel = abnormal.panel
    parts = []
    for window in windows:
        test = car_tests(abnormal, window, alternative)
        parts.append(
            pd.DataFrame(
                {
                    "event_id": panel.event_id,
                    "shock_id": panel.shock_id,
                    "ticker": panel.ticker,
                    "window": window_name(window),
                    "car": test.value,
                    "se": test.se,
                    "t": test.t,
                    "p_value": test.p_value,
                    "df": test.df,
                    "scar": test.t,
                    "bhar": abnormal.bhar(window) if compounds else np.nan,
                }
            )
        )
    return pd.concat(parts, ignore_index=True)


def aar_table(samples: Sequence[Sample]) -> pd.DataFrame:
    """Return the mean abnormal return of each group on each event day, and its running sum with a 95 % band."""
    columns = [_aar_columns(sample) for sample in samples]
    table = {name: np.concatenate([column[name] for column in columns]) for name in TABLES["aar"][1:]}
    days = [len(column["tau"]) for column in columns]
    return pd.DataFrame({"group": np.repeat([sample.group for sample in samples], days), **table})


def _aar_columns(sample: Sample) -> dict[str, NDArray[Any]]:
    """Mean AR by day, its running sum, and the sum's 95 % band with dates as clusters."""
    ar = sample.abnormal.ar
    there = np.isfinite(ar)
    n, weight = there.sum(axis=0), _daily_weights(sample, there)
    with np.errstate(invalid="ignore"):
        aar = (weight * np.where(there, ar, 0.0)).sum(axis=0) / weight.sum(axis=0)
    caar = np.cumsum(aar)
    half = _clustered_half_width(sample, aar)
    return {"tau": sample.abnormal.tau, "n": n, "aar": aar, "caar": caar, "lower": caar - half, "upper": caar + half}


def _daily_weights(sample: Sample, there: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Weight of each firm-event in the mean of each day, (N, L2): one, or its value weight (on average one)."""
    value = sample.abnormal.panel.weight
    if sample.weighting != "value" or value is None:
        return there.astype(np.float64)
    return np.where(there, (value / value.mean())[:, None], 0.0)


def _clustered_half_width(sample: Sample, aar: NDArray[np.float64]) -> NDArray[np.float64]:
    """Half width of the CAAR's 95 % band by event day: dates are clusters, see `band_half_width`."""
    ar = sample.abnormal.ar
    portfolios = shock_portfolios(sample.abnormal, weighting=sample.weighting, by="date")
    k = len(portfolios)
    if k < 2:
        return np.full(ar.shape[1], np.nan)
    # Portfolios are in the order of their dates.
    code = np.unique(shock_dates(sample.abnormal.panel), return_inverse=True)[1]
    there = np.isfinite(ar)
    weight = _daily_weights(sample, there)
    count, total = np.zeros((k, ar.shape[1])), np.zeros((k, ar.shape[1]))
    np.add.at(count, code, weight)
    np.add.at(total, code, weight * np.where(there, ar - aar, 0.0))
    day = 0 if 0 in sample.abnormal.tau else int(sample.abnormal.tau[0])
    weights = portfolios.weighted((day, day))
    return band_half_width(count, total, growing_overlap(portfolios, weights))


def _shock_rows(run: StudyRun, windows: Sequence[Window]) -> Iterator[dict[str, Any]]:
    """Yield each shock of the headline group; date_t and sign_flip combine shocks with one day 0."""
    headline, leads, events = run.headline, run.computed.selection.leads, run.events
    local = run.config.study.language == "zh"
    for window in windows:
        portfolios = shock_portfolios(headline.at(window).abnormal, weighting=headline.weighting)
        car, se = portfolios.car(window), np.sqrt(portfolios.variance(window))
        weight, dof = portfolios.peer_weights(window), portfolios.abnormal.expected.dof[portfolios.members]
        for k, (first, last) in enumerate(portfolios.spans()):
            rows, there = portfolios.members[first:last], weight[first:last] > 0
            df = float(dof[first:last][there].min()) if there.any() else np.nan
            lower, upper = interval(float(car[k]), float(se[k]), df, 0.95)
            panel = portfolios.abnormal.panel
            event = events.by_id(str(panel.event_id[rows[0]]))
            if panel.lead[rows[0]] and event.shock_id in leads:
                event = leads[event.shock_id].event
            yield {
                "shock_id": portfolios.shock_id[k],
                "window": window_name(window),
                "label": event.label,
                "title": (local and event.title_local) or event.title,
                "day0": str(np.datetime64(int(portfolios.day0[k]), "D")),
                "n_peers": int(there.sum()),
                "n_markets": len(set(portfolios.abnormal.panel.market[rows])),
                "car": car[k],
                "se": se[k],
                "s": car[k] / se[k],
                "lower": lower,
                "upper": upper,
            }


def _multiplicity_rows(samples: Sequence[Sample], run: StudyRun) -> Iterator[dict[str, Any]]:
    """Yield the p-values of these groups, adjusted over the windows."""
    for sample in samples:
        for row in adjust(list(sample.each(run.windows)), run.tests):
            yield {**row_of(row), "window": window_name(row.window)}


def _claim_row(result: ClaimVerdict) -> dict[str, Any]:
    claim = result.claim
    return {
        **row_of(claim),
        **{name: value for name, value in row_of(result).items() if name != "claim"},
        "date": claim.date or "",
        "date_to": claim.date_to or "",
    }
