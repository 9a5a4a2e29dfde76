"""The summary that page 1 shows and summary.json holds."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import pandas as pd

from eventstudy.config import StudyConfig, Window
from eventstudy.config.json_values import plain_json
from eventstudy.core.abnormal import shock_portfolios
from eventstudy.core.estimation import Computed, headline_note
from eventstudy.core.statistics import Sample, TestResult, WindowSample
from eventstudy.core.statistics.dates import common_volatility_ratio
from eventstudy.errors import Reason
from eventstudy.messages import catalogue, code_of, joined, kind_of, retold, say, text
from eventstudy.results.columns import row_of, window_name
from eventstudy.results.counts import firm_event_counts
from eventstudy.results.diagnostics import diagnose, diagnose_study
from eventstudy.results.effect import (
    date_power,
    effects_by_window,
    headline_effect,
    main_windows,
    overlapping_dates,
    small_table,
    which_to_trust,
    worth_of_dates,
)
from eventstudy.results.study_run import StudyRun
from eventstudy.results.warnings import input_warnings, without_car, without_prices
from eventstudy.reversal import Findings, chronology, counted_markets, label_timing, reversal_summary
from eventstudy.reversal.findings import day
from eventstudy.reversal.labels import label_evidence
from eventstudy.shocks import together


def title_of(config: StudyConfig) -> str:
    """Return the study's name in its language; without a name, the word for an event study."""
    study = config.study
    if study.language == "zh" and study.name_local:
        return study.name_local
    return catalogue(study.language)["page.untitled"] if study.name == StudyConfig().study.name else study.name


def build_summary(run: StudyRun, run_id: str, aar: pd.DataFrame) -> dict[str, Any]:
    """Return the content of summary.json without the backtest; ``aar`` is from `tables.aar_table`.

    If the study does not ask about reversals, verdict, labels, claims and backtest are left out.
    """
    config, headline, found = run.config, run.headline, run.found
    chosen, kind = config.as_dict(), config.study.kind
    first = main_windows(config, asked=run.asked)[0]
    overall, effect = run.computed.sample.at(first), headline.at(run.windows[0])
    content: dict[str, Any] = plain_json(
        {
            "run_id": run_id,
            "study": title_of(config),
            "simulated": run.prices.simulated,
            "language": config.study.language,
            "data_date": run.prices.last_date,
            "price_source": run.prices.source,
            "effect": headline_effect(effect, set(effect.abnormal.panel.ticker.tolist()), kind),
            "effects": effects_by_window(map(headline.at, run.windows), run.tests),
            **(_reversal(run, found) if found else {}),
            "counts": firm_event_counts((row.status, code_of(row.reason)) for row in run.computed.selection.ledger),
            "rbar": overall.rbar,
            "n_effective": overall.n_effective,
            **_evidence(run),
            "windows": chosen["windows"],
            "model": chosen["model"],
            "kind": kind,
            "returns": config.returns.kind,
            "weights": config.tests.weights,
            **({} if config.tests.alternative == "two-sided" else {"alternative": config.tests.alternative}),
            "diagnostics": run.parts.optional(
                "diagnostics", lambda: _diagnostics(run.computed, headline, first), lambda _: {}
            ),
            "warnings": _warnings(run, aar),
            "peers": peers_of(config),
        }
    )
    told: dict[str, Any] = content if run.asked else retold(content, catalogue("en", kind_of(kind, asked=False)))
    return told


def _reversal(run: StudyRun, found: Findings) -> dict[str, Any]:
    """Return the part of summary.json about reversals, without the backtest: verdict, labels and claims."""
    config, headline, alignments = run.config, run.headline, run.computed.alignments
    windows = {window: date_power(headline.at(window)) for window in main_windows(config, asked=True)}
    markets = counted_markets(headline.abnormal.panel, run.computed.selection.requests)
    labels = label_timing(run.events, alignments, config, markets)
    untimed = {*labels["post_hoc_events"], *labels["undated_events"]}
    news = together(run.events)
    late = {name: event.label for name, event in news.items() if event.event_id in untimed}
    verdicts, shocks = (claim.verdict for claim in run.claims), found.shocks
    return {
        **reversal_summary(found, config),
        "asked": _drops_asked(found, config),
        # "off by x points" is counted as "off".
        "claims": Counter("off" if isinstance(verdict, Reason) else verdict for verdict in verdicts),
        "chronology": chronology(run.events, alignments, config),
        "labels": labels,
        "label_evidence": label_evidence(run.events, shocks.event_id[shocks.counted[shocks.question]].tolist()),
        "small_table": small_table(run.tests, headline, config.reversal.label, late, windows),
        "more_data": (shocks.verdict if shocks.verdict.n_dates else shocks.exploratory).more_data,
    }


def _evidence(run: StudyRun) -> dict[str, Any]:
    """Return the events, and the information in the headline group's dates."""
    config = run.config
    distinct = {event.event_id: event for event in together(run.events).values()}
    overlapping = overlapping_dates(run.found, config) if run.found else ""
    return {
        **worth_of(run.headline.each(main_windows(config, asked=run.asked)), asked=run.asked, overlapping=overlapping),
        "events": {
            "n_events": len(distinct),
            "n_shocks": len({event.shock_id for event in run.events}),
            "n_peers": len(config.peers),
            "by_label": Counter(event.label for event in distinct.values()),
        },
    }


def worth_of(samples: Iterable[WindowSample], *, asked: bool, overlapping: str = "") -> dict[str, Any]:
    """Return k_eff, degrees of freedom and power of the headline group's dates in the main windows."""
    sample, *others = samples
    windows = {found.window: date_power(found) for found in (sample, *others)}
    ratio = common_volatility_ratio(sample.shock_s)
    told = windows if asked else {sample.window: windows[sample.window]}
    trust = (which_to_trust(sample.n, sample.k, sample.rbar, ratio[0]), overlapping, *worth_of_dates(told))
    return {
        "trust": joined(trust, " "),
        "headline": {
            "n_events": sample.n,
            "n_dates": sample.k,
            "k_eff": sample.overlap.k_eff,
            "rbar": sample.rbar,
            "n_effective": sample.n_effective,
            "windows": {window_name(window): row for window, row in windows.items()},
        },
        "cvr": dict(zip(("value", "lower", "upper"), ratio, strict=True)),
        "headline_group": sample.group,
    }


def _warnings(run: StudyRun, aar: pd.DataFrame) -> list[str]:
    """Return the warnings of the study."""
    config, computed = run.config, run.computed
    ledger, panel = computed.selection.ledger, computed.abnormal.panel
    cars = np.stack([computed.abnormal.car(window) for window in run.windows])
    return [
        *filter(None, [text(headline_note(run.headline, config))]),
        *input_warnings(run.events, config, run.prices, computed.returns, computed.findings, ledger, asked=run.asked),
        *without_prices(ledger),
        *without_car(run.windows, cars, lambda row: f"{panel.event_id[row]} {panel.ticker[row]}"),
        *_model_remarks(computed, config),
        *_without_band(aar, run.tests),
    ]


def peers_of(config: StudyConfig) -> dict[str, dict[str, str]]:
    """Return names, exchange, group and region of each peer."""
    names = ("name", "name_local", "market", "group")
    return {
        peer.ticker: {**{name: getattr(peer, name) for name in names}, "region": config.market(peer.market).region}
        for peer in config.peers
    }


def _drops_asked(found: Findings, config: StudyConfig) -> dict[str, Any]:
    """Count the shocks with the label in question, the drops among them, and those that the verdict leaves out.

    A single drop is also named.
    """
    drops, label = found.shocks.drops, config.reversal.label
    mine = found.shocks.label == label if label != "all" else np.ones(len(drops.shock_id), dtype=bool)
    fell = np.flatnonzero(mine & drops.qualifies)
    late = ~found.shocks.in_time[fell] & (label != "all")
    spare = ~found.shocks.counted[found.shocks.question][fell] & ~late
    overlapping = spare & (np.array(drops.overlaps, dtype=np.str_)[fell] != "")
    facts: dict[str, Any] = {
        "label": label,
        "n_shocks": int(mine.sum()),
        "n_drops": len(fell),
        "n_late": int(late.sum()),
        "n_overlapping": int(overlapping.sum()),
        "n_uncompared": int((spare & ~overlapping).sum()),
    }
    if len(fell) != 1:
        return facts
    k = int(fell[0])
    return {**facts, "shock_id": str(drops.shock_id[k]), "day0": day(drops.day0[k]), "car_drop": drops.drop[k]}


def _diagnostics(computed: Computed, headline: Sample, window: Window) -> dict[str, Any]:
    """Problems of all fits, and of the headline group's dates in the first main window."""
    ours = headline.at(window)
    portfolios = shock_portfolios(headline.abnormal, weighting=headline.weighting, by="date")
    found = diagnose_study(
        diagnose(computed.abnormal),
        rbar=ours.rbar,
        n_effective=ours.n_effective,
        common_volatility_ratio=common_volatility_ratio(ours.shock_s)[0],
        shock_car=portfolios.car(window),
        shock_id=portfolios.shock_id.tolist(),
    )
    return row_of(found)


def _model_remarks(computed: Computed, config: StudyConfig) -> list[str]:
    """Remarks on fits that another model replaced, and on factors of one calendar for several markets."""
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
    """Return a note on groups whose mean CAR has no band on some day because their windows overlap too much."""
    several = {result.group for result in results if result.n_dates > 1}
    missing = aar[aar["lower"].isna() & aar["caar"].notna() & aar["group"].isin(several)]
    if missing.empty:
        return []
    groups = ", ".join(dict.fromkeys(missing["group"]))
    return [say("overlap.band", groups=groups, tau=int(missing["tau"].min()))]
