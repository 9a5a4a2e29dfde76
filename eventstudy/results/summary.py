"""The summary that page 1 shows, and the manifest of what it rests on."""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import platform
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from eventstudy import __version__
from eventstudy.config import StudyConfig
from eventstudy.config.json_values import plain_json
from eventstudy.core.abnormal import Window, shock_dates, shock_portfolios
from eventstudy.core.checks.diagnostics import diagnose, diagnose_study
from eventstudy.core.estimation import Computed, headline_note
from eventstudy.core.models.garch import compiled_fit
from eventstudy.core.statistics import Sample, TestResult, WindowSample, effective_number
from eventstudy.core.statistics.dates import (
    FEWEST_DATES,
    LARGE_CVR,
    common_volatility_ratio,
    dates_needed,
    minimum_detectable_effect,
)
from eventstudy.core.statistics.dependence import SMALL_RBAR
from eventstudy.core.statistics.sample import FEWEST_EFFECTIVE
from eventstudy.errors import Reason
from eventstudy.events import Events
from eventstudy.exchanges.exchange import further_files
from eventstudy.messages import catalogue, joined, retold, say, text
from eventstudy.optional import Parts
from eventstudy.prices import PriceTable
from eventstudy.results.columns import row_of, window_name
from eventstudy.results.counts import firm_event_counts
from eventstudy.results.measured import measured_facts
from eventstudy.results.warnings import input_warnings
from eventstudy.reversal import Findings, chronology, counted_markets, label_timing, reversal_summary
from eventstudy.shocks import together

#: Mean CAR for which the summary says how many dates it would need.
LITTLE = 0.02
#: Code of the verdict on a claim whose size is wrong.
OFF_BY = "claim.off_by"
VERSIONED = ("arch", "exchange_calendars", "matplotlib", "numpy", "pandas", "scipy", "statsmodels", "typst", "yfinance")


def build_summary(
    run_id: str,
    computed: Computed,
    results: Sequence[TestResult],
    found: Findings | None,
    headline: Sample,
    tables: Mapping[str, pd.DataFrame],
    events: Events,
    config: StudyConfig,
    prices: PriceTable,
    backtest: Mapping[str, Any],
    parts: Parts,
) -> dict[str, Any]:
    """Return the content of summary.json; ``backtest`` is what it says of the trade.

    Without ``found`` its verdict is the headline of what was measured.
    """
    overall = computed.sample.at(config.windows.drop)
    ours = headline.at(config.windows.drop)
    dense = {window: _date_power(headline.at(window)) for window in _main_windows(config)}
    ledger = tables["ledger"]
    counting = counted_markets(headline.abnormal.panel, computed.selection.requests)
    labels = label_timing(events, computed.alignments, config, counting)
    whole = together(events)
    untimed = {*labels["post_hoc_events"], *labels["undated_events"]}
    late = {name: event.label for name, event in whole.items() if event.event_id in untimed}
    distinct = {event.event_id: event for event in whole.values()}
    content: dict[str, Any] = plain_json(
        {
            "run_id": run_id,
            "study": config.study.name,
            "simulated": prices.simulated,
            "language": config.study.language,
            "data_date": prices.last_date,
            "price_source": prices.source,
            **(reversal_summary(found, config) if found is not None else measured_facts(results, headline, config)),
            "claims": Counter(_claim_kinds(tables["claims"])),
            "counts": firm_event_counts(zip(ledger["status"], ledger["reason_code"], strict=True)),
            "trust": joined(
                (
                    which_to_trust(ours.n, ours.k, ours.rbar, common_volatility_ratio(ours.shock_s)[0]),
                    _overlapping(found, config) if found is not None else "",
                    *_worth(dense),
                ),
                " ",
            ),
            "rbar": overall.rbar,
            "n_effective": overall.n_effective,
            "headline": {
                "n_events": ours.n,
                "n_dates": ours.k,
                "k_eff": ours.overlap.k_eff,
                "rbar": ours.rbar,
                "n_effective": ours.n_effective,
                "windows": {window_name(window): row for window, row in dense.items()},
            },
            "cvr": dict(zip(("value", "lower", "upper"), common_volatility_ratio(ours.shock_s), strict=True)),
            "events": {
                "n_events": len(distinct),
                "n_shocks": len({event.shock_id for event in events}),
                "n_peers": len(config.peers),
                "by_label": Counter(event.label for event in distinct.values()),
            },
            "windows": config.as_dict()["windows"],
            "model": config.as_dict()["model"],
            "kind": config.study.kind,
            "returns": config.returns.kind,
            "weights": config.tests.weights,
            "headline_group": headline.group,
            "small_table": _small_table(results, headline, late, dense),
            "chronology": chronology(events, computed.alignments, config),
            "labels": labels,
            "diagnostics": parts.optional(
                "diagnostics", lambda: _diagnostics(computed, headline, config), lambda _: {}
            ),
            "warnings": [
                *filter(None, [text(headline_note(headline, config))]),
                *input_warnings(events, config, prices, computed.returns, computed.findings, computed.selection.ledger),
                *_model_remarks(computed, config),
                *_without_band(tables["aar"], results),
            ],
            "more_data": _more_data(found) if found is not None else "",
            "backtest": backtest,
            "peers": {
                peer.ticker: {
                    "name": peer.name,
                    "name_local": peer.name_local,
                    "market": peer.market,
                    "region": config.market(peer.market).region,
                    "group": peer.group,
                }
                for peer in config.peers
            },
        }
    )
    kind = config.study.kind
    told: dict[str, Any] = content if kind == "return" else retold(content, catalogue("en", kind))
    return told


def _more_data(found: Findings) -> Reason:
    shocks = found.shocks
    return (shocks.verdict if shocks.verdict.n_dates else shocks.exploratory).more_data


def _claim_kinds(claims: pd.DataFrame) -> list[str]:
    """Return what the claims came to: how far one is off is no kind of its own."""
    verdicts = zip(claims["verdict"].astype(str), claims["verdict_code"], strict=True)
    return ["off" if code == OFF_BY else text for text, code in verdicts]


def which_to_trust(n: int, k: int, rbar: float, cvr: float) -> str:
    """Say which of the tests to believe with this many dates and this much correlation."""
    if k < 2:
        return say("trust.one")
    if np.isfinite(rbar) and rbar <= SMALL_RBAR and k == n:
        return say("trust.apart")
    parts = [say("trust.dates", n=n, k=k, rbar=rbar, effective=effective_number(n, rbar))]
    if np.isfinite(cvr) and cvr > LARGE_CVR:
        parts.append(say("trust.cvr", value=cvr))
    if k < FEWEST_DATES:
        parts.append(say("trust.few", k=k))
    return joined(parts, " ")


def _overlapping(found: Findings, config: StudyConfig) -> str:
    """Say how many dates fall into an earlier one's post window, or nothing."""
    late = sum(bool(name) for name in found.shocks.drops.overlaps)
    if not late:
        return ""
    return say("trust.overlaps", day=config.windows.post[1], late=late, k=len(found.shocks.drops.shock_id))


def _main_windows(config: StudyConfig) -> tuple[Window, ...]:
    """Windows of page 1. Volume and volatility have no drop: their first window is the headline's."""
    first = config.windows.drop if config.study.kind == "return" else config.windows.all_car[0]
    return tuple(dict.fromkeys((first, config.windows.post)))


def _date_power(sample: WindowSample) -> dict[str, float]:
    """K, k_eff, degrees of freedom and the smallest mean that the t over dates finds with 80 % power."""
    overlap, few = sample.overlap, sample.overlap.k_eff < FEWEST_EFFECTIVE
    spread = overlap.spread(sample.shock_car) if sample.k > 1 and not few else float("nan")
    return {
        "n_dates": sample.k,
        "k_eff": overlap.k_eff,
        "df": float("nan") if few else overlap.df,
        "sd": spread,
        "mde": minimum_detectable_effect(spread, overlap.k_eff, df=overlap.df) if spread > 0 else float("nan"),
        "cvr": common_volatility_ratio(sample.shock_s)[0],
    }


def _worth(dense: Mapping[Window, Mapping[str, float]]) -> list[str]:
    """Say for each window what its dates are worth where windows of two dates share sessions."""
    found: list[str] = []
    for window, row in dense.items():
        k, k_eff = row["n_dates"], row["k_eff"]
        # Rounding alone makes no overlap.
        if not k_eff < k * (1 - 1e-9):
            continue
        facts = {"window": window_name(window), "k": k, "k_eff": k_eff}
        if not np.isfinite(row["mde"]):
            found.append(say("trust.worth_little", **facts))
            continue
        needed = dates_needed(row["sd"], LITTLE, worth=k_eff / k)
        found.append(say("trust.worth", df=row["df"], mde=row["mde"], effect=LITTLE, needed=needed, **facts))
    return found


def _small_table(
    results: Sequence[TestResult],
    headline: Sample,
    late: Mapping[str, str],
    dense: Mapping[Window, Mapping[str, float]],
) -> list[dict[str, Any]]:
    """Rows of page 1's table; ``late`` has the events that were labelled after the drop, and their label.

    The common-volatility ratio is the headline group's in the window: labels have too few dates for one.
    """
    prefix = "" if headline.group == "all" else f"{headline.group};"
    wanted = [headline.group, *(f"{prefix}label={name}" for name in ("misreading", "genuine", "contested"))]
    table = {(r.group, r.window, r.name): r for r in results}
    rows = []
    for group in wanted:
        for window in dense:
            date = table.get((group, window, "date_t"))
            plain = table.get((group, window, "cross_sectional_t"))
            if date is None or plain is None:
                continue
            rows.append(
                {
                    "group": group,
                    "window": window_name(window),
                    "n_events": date.n_events,
                    "n_dates": date.n_dates,
                    "k_eff": date.k_eff,
                    "cvr": dense[window]["cvr"],
                    "n_late": _late_dates(headline, group, window, late),
                    "caar": plain.estimate,
                    "shock_mean": date.estimate,
                    **_p_values(table, group, window),
                }
            )
    return rows


def _late_dates(headline: Sample, group: str, window: Window, late: Mapping[str, str]) -> int:
    """Count the dates of a label's row whose label was set after the drop."""
    panel = headline.abnormal.panel
    mine = [name for name, label in late.items() if group.endswith(f"label={label}")]
    rows = np.isin(panel.event_id, mine) & np.isfinite(headline.abnormal.scar(window))
    return len(set(shock_dates(panel)[rows].tolist()))


def _p_values(table: Mapping[tuple[str, Window, str], TestResult], group: str, window: Window) -> dict[str, Any]:
    names = ("date_t", "sign_flip", "bmp_kp", "cross_sectional_t")
    found = {name: table.get((group, window, name)) for name in names}
    values = {f"{name}_p": None if result is None else result.p_value for name, result in found.items()}
    plain = values.pop("cross_sectional_t_p")
    return {**values, "cross_sectional_p": plain}


def _diagnostics(computed: Computed, headline: Sample, config: StudyConfig) -> dict[str, Any]:
    """Troubles of all fits, and of the headline group's dates in the drop window."""
    ours = headline.at(config.windows.drop)
    portfolios = shock_portfolios(headline.abnormal, weighting=headline.weighting, by="date")
    found = diagnose_study(
        diagnose(computed.abnormal),
        rbar=ours.rbar,
        n_effective=ours.n_effective,
        common_volatility_ratio=common_volatility_ratio(ours.shock_s)[0],
        shock_car=portfolios.car(config.windows.drop),
        shock_id=portfolios.shock_id.tolist(),
    )
    return row_of(found)


def _model_remarks(computed: Computed, config: StudyConfig) -> list[str]:
    """Fits that another model took over, and factors of one calendar on several markets."""
    remarks = [remark for remark in computed.abnormal.expected.remark if remark]
    gaps = [remark.fields["gap"] for remark in remarks if remark.code == "fits.other_optimum"]
    counted = Counter(text(remark) for remark in remarks if remark.code != "fits.other_optimum")
    total = len(computed.abnormal)
    found: list[str] = [say("fits.remark", text=remark, n=n, total=total) for remark, n in sorted(counted.items())]
    if gaps:
        optimum = say("fits.next_optimum", name=config.model.name, low=min(gaps), high=max(gaps))
        found.append(say("fits.remark", text=optimum, n=len(gaps), total=total))
    regions = sorted({config.market(str(mic)).region or str(mic) for mic in computed.abnormal.panel.market})
    if config.model.factors_file and config.model.name in ("capm", "factors") and len(regions) > 1:
        found.append(say("fits.factor_file", regions=", ".join(regions)))
    if config.study.kind == "return" and config.model.factors_file and config.returns.kind == "log":
        found.append(say("fits.factors_log"))
    return found


def _without_band(aar: pd.DataFrame, results: Sequence[TestResult]) -> list[str]:
    """Name the groups whose mean CAR has no band on some day because their windows overlap too far."""
    several = {result.group for result in results if result.n_dates > 1}
    missing = aar[aar["lower"].isna() & aar["caar"].notna() & aar["group"].isin(several)]
    if missing.empty:
        return []
    groups = ", ".join(dict.fromkeys(missing["group"]))
    return [say("overlap.band", groups=groups, tau=int(missing["tau"].min()))]


def _further_exchanges() -> dict[str, Any]:
    """Files of exchanges that are not the package's own, with their hashes; nothing where there are none."""
    files = [{"name": name, "sha256": sha256} for name, sha256 in further_files()]
    return {"exchanges": files} if files else {}


def build_manifest(events: Events, config: StudyConfig, prices: PriceTable) -> dict[str, Any]:
    """Return what the run rests on: settings, inputs by hash, price source, versions."""
    settings = config.as_dict()
    # Which workers did the work is no part of what was done.
    for name in ("jobs", "engine", "scheduler"):
        del settings["model"][name]
    inputs = [{"name": Path(events.path).name, "sha256": events.sha256}]
    inputs += [{"name": name, "sha256": series.sha256} for name, series in sorted(prices.series.items())]
    inputs += [{"name": rate.ticker, "sha256": rate.sha256} for _, rate in sorted(prices.fx.items())]
    if prices.factors is not None:
        inputs.append({"name": Path(prices.factors.source).name, "sha256": prices.factors.sha256})
    content: dict[str, Any] = plain_json(
        {
            "version": __version__,
            "seed": config.study.seed,
            "settings": settings,
            "inputs": inputs,
            "prices": {
                "source": prices.source,
                "simulated": prices.simulated,
                "data_date": prices.last_date,
                "outcomes": {name: row_of(outcome) for name, outcome in sorted(prices.outcomes.items())},
                "truth": prices.truth,
                "origin": prices.origin,
            },
            **_further_exchanges(),
            "versions": {
                "python": platform.python_version(),
                **{n: importlib.metadata.version(n) for n in VERSIONED},
                **_compiler(config),
            },
        }
    )
    return content


def _compiler(config: StudyConfig) -> dict[str, str]:
    """Version of numba where it fits the study's models: its optima are not `arch`'s to the last digit."""
    if config.model.name != "garch" or compiled_fit() is None:
        return {}
    return {"numba": importlib.metadata.version("numba")}


def run_id_of(config: StudyConfig, prices: PriceTable, manifest: Mapping[str, Any]) -> str:
    """Name of the run: the sector, the newest price, and a digest of inputs and settings."""
    digest = hashlib.sha256(json.dumps(manifest, sort_keys=True).encode()).hexdigest()[:8]
    sector = config.study.sector or "study"
    marked = "simulated-" if prices.simulated else ""
    return f"{sector}-{marked}{prices.last_date.replace('-', '')}-{digest}"
