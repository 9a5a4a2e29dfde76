"""Results of the reversal analysis as records, table rows and summary facts."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from eventstudy.config import Reversal, StudyConfig, Windows
from eventstudy.core.arrays import Counts
from eventstudy.core.checks.multiplicity import holm
from eventstudy.errors import Reason
from eventstudy.events import Events
from eventstudy.exchanges.calendars import Alignment
from eventstudy.optional import Parts
from eventstudy.reversal.claims import Clarification, clarifications
from eventstudy.reversal.contrasts import (
    GROUP,
    Confounder,
    OtherEvent,
    confounder_runs,
    dimension_measures,
    label_difference,
    news_days,
    no_regression,
    other_events,
    other_events_of,
    regression,
)
from eventstudy.reversal.controls import UNBALANCED
from eventstudy.reversal.drops import delays
from eventstudy.reversal.labels import LATE, UNDATED
from eventstudy.reversal.matching import Placebo, placebo_balance, placebo_rows
from eventstudy.reversal.measures import (
    Gate,
    Measure,
    PathDay,
    answer_measures,
    gates,
    influence,
    path_rows,
    set_measures,
    span,
)
from eventstudy.reversal.permutation import Rank, rank_among, shown_floor
from eventstudy.reversal.question import EXPLORATORY, Endpoint, Shocks, sign_flips
from eventstudy.reversal.robustness import Gaps, Specification, robustness, specification_curve, synthetic_gaps
from eventstudy.reversal.verdict import Verdict

#: Smallest number of dates for the range of the mean with one date left out.
FEWEST_FOR_RANGE = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Findings:
    """The shocks with all results; ``balance`` and ``endpoints`` are rows of their tables."""

    shocks: Shocks
    placebos: Sequence[Placebo]
    measures: Sequence[Measure]
    gates: Sequence[Gate]
    clarifications: Sequence[Clarification]
    specifications: Sequence[Specification]
    other_events: Sequence[OtherEvent]
    paths: Sequence[PathDay]
    balance: Sequence[Mapping[str, Any]]
    endpoints: Sequence[Mapping[str, Any]]


def findings(
    shocks: Shocks,
    events: Events,
    alignments: Mapping[tuple[str, str], Alignment],
    config: StudyConfig,
    *,
    news: Sequence[Confounder] = (),
    parts: Parts | None = None,
) -> Findings:
    """Compute all results on reversals for the tables and the report.

    Parts that cannot be computed are rows with NaN and the reason, or are left out; ``parts`` records them.
    """
    kept = Parts() if parts is None else parts
    optional = kept.optional
    own, genuine = shocks.endpoints[0].drops, (shocks.label == "genuine") & shocks.in_time
    placebos = optional(
        "placebos",
        lambda: placebo_rows(shocks.benchmarks, shocks.drops.shock_id, own, genuine, news_days(news)),
        lambda _: [],
    )
    difference = optional(
        "difference", lambda: label_difference(shocks, config), lambda why: _missing("difference", GROUP, why)[0]
    )
    rows = [
        *measures(shocks, placebos, config, kept),
        difference,
        *optional("contrast", lambda: regression(shocks, config), no_regression),
        *dimension_measures(shocks, events, config, kept),
        *optional("confounders", lambda: confounder_runs(shocks, news, config), lambda _: []),
    ]
    curve = config.reversal.specification_curve
    return Findings(
        shocks=shocks,
        placebos=placebos,
        measures=rows,
        gates=optional("gates", lambda: gates(shocks, difference, config), lambda _: []),
        clarifications=optional(
            "clarifications", lambda: clarifications(shocks, events, alignments, config), lambda _: []
        ),
        specifications=optional("curve", lambda: specification_curve(shocks, config) if curve else [], lambda _: []),
        other_events=optional("inside", lambda: other_events(shocks, events, alignments, config), lambda _: []),
        paths=optional("paths", lambda: list(path_rows(shocks, config.windows)), lambda _: []),
        balance=optional("balance", lambda: balance_rows(shocks), lambda _: []),
        endpoints=optional("endpoints", lambda: endpoint_rows(shocks, config), lambda _: []),
    )


def tables(found: Findings, config: StudyConfig) -> dict[str, list[dict[str, Any]]]:
    """Return the rows of every table of the reversal analysis by its name."""
    return {
        "reversal": shock_rows(found.shocks, config),
        "endpoints": [dict(row) for row in found.endpoints],
        "endpoint_drops": drop_rows(found.shocks, config),
        "falls": fall_rows(found.shocks),
        "falls_balance": [
            {"group": group, **_row(row)} for group, rows in found.shocks.balances.items() for row in rows
        ],
        "reversal_measures": [_row(item) for item in found.measures],
        "reversal_paths": [_row(item) for item in found.paths],
        "gates": [_row(item) for item in found.gates],
        "placebo": [{**_row(item), "placebo_date": day(item.day)} for item in found.placebos],
        "placebo_balance": [dict(row) for row in found.balance],
        "clarifications": [_row(item) for item in found.clarifications],
        "specification_curve": [_row(item) for item in found.specifications],
    }


def _row(record: Any) -> dict[str, Any]:
    return {field.name: getattr(record, field.name) for field in fields(record)}


def day(code: int) -> str:
    """Return days since 1970 as an ISO date."""
    return str(np.datetime64(int(code), "D"))


def shock_rows(shocks: Shocks, config: StudyConfig) -> list[dict[str, Any]]:
    """One row for each shock: the drop, the return after it, its control drops, and its role."""
    drops, benchmarks = shocks.drops, shocks.benchmarks
    locked = locked_peers(shocks, config.windows)
    rows = []
    for k, shock in enumerate(drops.shock_id):
        placebos, overlaps = benchmarks.placebos(k), drops.overlaps[k]
        place = rank_of(shocks, k, config)
        rows.append(
            {
                "shock_id": shock,
                "label": shocks.label[k],
                "day0": day(drops.day0[k]),
                "n_peers": drops.n_peers[k],
                "car_drop": drops.drop[k],
                "s_drop": drops.drop_s[k],
                "share_negative": drops.share_negative[k],
                "qualifies": bool(drops.qualifies[k]),
                "why_not": drops.why_not[k] or (Reason("drop.overlaps", shock=overlaps) if overlaps else Reason()),
                "overlaps": overlaps,
                "car_post": drops.post[k],
                "s_post": drops.post_s[k],
                "n_locked": locked[k],
                "n_placebos": len(placebos),
                "placebo_mean": placebos.mean() if len(placebos) else np.nan,
                "excess": shocks.excess[k],
                "rank": place.rank if place else None,
                "among": place.among if place else None,
                "p_rank": place.p_value if place else np.nan,
                "p_rank_floor": place.floor if place else np.nan,
                "widened": bool(benchmarks.matched[k].widened),
                "benchmark": benchmarks.reasons[k],
                "label_in_time": bool(shocks.in_time[k]),
                "label_reason": str(shocks.label_reason[k]),
                "role": _role(shocks, k),
                **{f"excess_{name}": values[k] for name, values in shocks.variants.items()},
            }
        )
    return rows


def rank_of(shocks: Shocks, k: int, config: StudyConfig) -> Rank | None:
    """Return one shock's rank by the verdict's estimator: among all control drops, or among its matched ones."""
    if config.reversal.estimator == "matched":
        return rank_among(shocks.drops.post[k], shocks.benchmarks.placebos(k))
    found = shocks.comparison.excess(np.arange(len(shocks.label)) == k)
    return Rank(found.rank, found.among, found.p_value, found.p_floor) if found.rank else None


def fall_rows(shocks: Shocks) -> list[dict[str, Any]]:
    """One row for each fall in the regression: the drops of the study, then the controls."""
    found = shocks.comparison
    names = [str(shocks.drops.shock_id[k]) if k >= 0 else "" for k in found.shock]
    labels = [str(shocks.label[k]) if k >= 0 else "" for k in found.shock]
    columns = ("stratum", "drop_s", "run_up", "post", "sigma", "recent", "family", "session")
    cells = {name: getattr(found.falls, name).tolist() for name in columns}
    cells |= {"event": names, "label": labels, "day0": [day(code) for code in found.day], "drop": found.drop.tolist()}
    return [dict(zip(cells, row, strict=True)) for row in zip(*cells.values(), strict=True)]


def locked_peers(shocks: Shocks, windows: Windows) -> Counts:
    """Number of peers of each shock whose drop window was extended because of a locked price, (K,)."""
    panel = shocks.portfolios.abnormal.panel
    late = delays(panel.event_flags, panel.tau, windows.drop) > 0
    return shocks.portfolios.total(late[shocks.portfolios.members].astype(float)).astype(np.int64)


def _role(shocks: Shocks, k: int) -> str:
    """Role of a shock: verdict, exploratory verdict, case study, or comparison."""
    if shocks.counted[shocks.question][k]:
        return "confirmatory"
    if shocks.counted[shocks.question + EXPLORATORY][k]:
        return "exploratory"
    if k == shocks.case:
        return "case study"
    return "comparison" if any(mask[k] for mask in shocks.counted.values()) else ""


def balance_rows(shocks: Shocks) -> list[dict[str, Any]]:
    """Balance of shocks and matched control drops for each kind of drop, and for the case study."""
    groups = {group: np.flatnonzero(mask) for group, mask in shocks.members.items()}
    if shocks.case is not None and not shocks.benchmarks.reasons[shocks.case]:
        groups[f"shock_id={shocks.drops.shock_id[shocks.case]}"] = np.array([shocks.case])
    rows = []
    for group, chosen in groups.items():
        sets = [shocks.benchmarks.placebo_traits(int(k)) for k in chosen]
        counts = {"n_events": len(chosen), "n_placebos": sum(map(len, sets))}
        rows += [{"group": group, **row, **counts} for row in placebo_balance(shocks.traits[chosen], sets)]
    return rows


def case_study(shocks: Shocks, config: StudyConfig) -> dict[str, Any] | None:
    """The case study's numbers and its sentence; None without a shock that fell."""
    k = shocks.case
    if k is None:
        return None
    drops, benchmarks = shocks.drops, shocks.benchmarks
    placebos, rank = benchmarks.placebos(k), rank_of(shocks, k, config)
    facts = {
        "shock_id": str(drops.shock_id[k]),
        "label": str(shocks.label[k]),
        "day0": day(drops.day0[k]),
        "car_drop": drops.drop[k],
        "s_drop": drops.drop_s[k],
        "qualifies": bool(drops.qualifies[k]),
        "car_post": drops.post[k],
        "excess": shocks.excess[k],
        "n_placebos": len(placebos),
    }
    moved = {"shock": facts["shock_id"], "drop": drops.drop[k], "s": drops.drop_s[k], "post": drops.post[k]}
    if rank is None:
        matched = config.reversal.estimator == "matched"
        why = Reason("case.none", shock=facts["shock_id"], why=benchmarks.reasons[k])
        return {**facts, "rank": None, "sentence": why if matched else Reason("case.not_compared", **moved)}
    place = {"rank": rank.rank, "among": rank.among, "p_rank": rank.p_value, "p_rank_floor": rank.floor}
    numbers = {"rank": rank.rank, "among": rank.among, "p": rank.p_value, "floor": shown_floor(rank.floor)}
    if config.reversal.estimator != "matched":
        return {**facts, **place, "sentence": Reason("case.compared", **numbers, **moved)}
    kind = "drop" if drops.qualifies[k] else "fall"
    sentence = Reason(f"case.{kind}", m=len(placebos), placebos=placebos.mean(), **numbers, **moved)
    return {**facts, **place, "sentence": sentence}


def reversal_summary(found: Findings, config: StudyConfig) -> dict[str, Any]:
    """Return the part of summary.json about reversals."""
    shocks, question = found.shocks, found.shocks.question
    answers = {
        name: {
            **verdict_facts(shocks.verdicts[name], name, span(config.windows.post)),
            "inside": other_events_of(found.other_events, shocks.drops.shock_id[mask]),
            "n_shared_placebos": shocks.benchmarks.shared(shocks.members[name]),
        }
        for name, mask in shocks.counted.items()
    }
    exploratory = answers.pop(question + EXPLORATORY)
    among = shocks.label_reason[shocks.counted[question + EXPLORATORY]]
    late = {"n_late": int((among == LATE).sum()), "n_undated": int((among == UNDATED).sum())}
    balanced = [row for row in found.balance if row["group"] == question]
    return {
        "verdict": answers.pop(question),
        "exploratory": {**exploratory, **late},
        "verdicts": answers,
        "case_study": case_study(shocks, config),
        "endpoints": told(shocks, config),
        "gates": [_row(gate) for gate in found.gates],
        "sign_flips": sign_flips(shocks, shocks.asked),
        "leave_one_out": _range(shocks),
        "balance": balanced,
        "unbalanced": [str(row["variable"]) for row in balanced if abs(row["smd"]) > UNBALANCED],
        "specification_curve": len(found.specifications),
    }


def _range(shocks: Shocks) -> dict[str, Any] | None:
    """Range of the mean excess with one date left out, and the date that changes it most."""
    counted, day0 = shocks.counted[shocks.question], shocks.drops.day0
    if len(np.unique(day0[counted])) < FEWEST_FOR_RANGE:
        return None
    if shocks.verdict.estimator == "matched":
        lower, upper, worst = influence(shocks, counted)
        return {"lower": lower, "upper": upper, "most_influential": worst}
    days = np.unique(day0[counted])
    effects = np.array([shocks.comparison.excess(counted & (day0 != day)).effect for day in days])
    moved = days[int(np.abs(effects - shocks.verdict.effect).argmax())]
    names = ", ".join(shocks.drops.shock_id[counted & (day0 == moved)].tolist())
    return {"lower": float(effects.min()), "upper": float(effects.max()), "most_influential": names}


def verdict_facts(answer: Verdict, group: str, window: str) -> dict[str, Any]:
    """Return a verdict in the form of the summary."""
    facts = {field.name: getattr(answer, field.name) for field in fields(answer)}
    del facts["more_data"], facts["needed"]
    interval = list(facts.pop("interval"))
    return {**facts, "ci": interval, "group": group, "window": window}


def measures(
    shocks: Shocks, placebos: Sequence[Placebo], config: StudyConfig, parts: Parts | None = None
) -> list[Measure]:
    """Return all measures of every kind of drop that has a verdict.

    If the measures of a kind cannot be computed, there is one row with the reason, also recorded in ``parts``.
    """
    kept = Parts() if parts is None else parts
    rows: list[Measure] = []
    gaps = kept.optional("synthetic", lambda: synthetic_gaps(shocks), lambda why: why)
    for group in shocks.members:
        make = functools.partial(_measures_of, shocks, placebos, group, gaps, config)
        missing = functools.partial(_missing, "excess_post", group)
        rows += kept.optional("measures", make, missing, of=group)
    return rows


def _missing(measure: str, group: str, why: Reason) -> list[Measure]:
    return [Measure(measure=measure, group=group, note=why)]


def _measures_of(
    shocks: Shocks, placebos: Sequence[Placebo], group: str, gaps: Gaps | Reason, config: StudyConfig
) -> list[Measure]:
    return [
        *answer_measures(shocks, group),
        *robustness(shocks, group, gaps, config),
        *set_measures(shocks, placebos, group, config),
    ]


def endpoint_rows(shocks: Shocks, config: StudyConfig) -> list[dict[str, Any]]:
    """One row for each endpoint, with Holm's adjustment over them."""
    label = shocks.label == config.reversal.label
    adjusted = holm(np.array([each.found.p_value for each in shocks.endpoints])).tolist()
    return [
        {
            "endpoint": name,
            "window_drop": span(each.windows.drop),
            "window_post": span(each.windows.post),
            "n_asked": int(label.sum()),
            "n_drops": int((label & each.drops.qualifies).sum()),
            "n_judged": len(np.unique(shocks.drops.day0[each.counted])),
            "effect": each.found.effect,
            "lower": each.found.lower,
            "upper": each.found.upper,
            "p_value": each.found.p_value,
            "p_holm": p_holm,
            "k_eff": each.found.k_eff,
            "kind": each.kind,
            "n_late": len(np.unique(shocks.drops.day0[each.late])),
            "effect_late": each.found_late.effect,
            "lower_late": each.found_late.lower,
            "upper_late": each.found_late.upper,
        }
        for name, each, p_holm in zip("AB", shocks.endpoints, adjusted, strict=False)
    ]


def drop_rows(shocks: Shocks, config: StudyConfig) -> list[dict[str, Any]]:
    """One row for each shock and endpoint: its drop, its distance from each threshold, and the return after it."""
    rule = config.reversal
    return [
        {
            "shock_id": str(shock),
            "label": str(shocks.label[k]),
            "endpoint": name,
            "car_drop": each.drops.drop[k],
            "s_drop": each.drops.drop_s[k],
            "qualifies": bool(each.drops.qualifies[k]),
            **_distances(each, k, rule),
            "car_next": each.next_day[k],
            "car_post": each.drops.post[k],
            "label_in_time": bool(each.in_time[k]),
            "counted": bool(each.counted[k]),
        }
        for k, shock in enumerate(shocks.drops.shock_id)
        for name, each in zip("AB", shocks.endpoints, strict=False)
    ]


def _distances(each: Endpoint, k: int, rule: Reversal) -> dict[str, float]:
    """Distance of a shock from each threshold; negative if it does not qualify."""
    return {
        "by_s": -rule.drop_k - float(each.drops.drop_s[k]),
        "by_drop": -rule.drop_min - float(each.drops.drop[k]),
        "by_share": float(each.drops.share_negative[k]) - rule.share_negative,
    }


def told(shocks: Shocks, config: StudyConfig) -> dict[str, Any]:
    """Return the facts of page 1 on the endpoints: drops that had recovered by the next close, and the case by day
    0."""
    if len(shocks.endpoints) < 2:
        return {}
    first, second = shocks.endpoints
    bounced = second.drops.qualifies & ~first.drops.qualifies & (second.next_day > 0)
    facts = {"n_day0": int(second.drops.qualifies.sum()), "n_bounced": int(bounced.sum())}
    sentence = Reason("endpoints.bounced", bounced=facts["n_bounced"], n=facts["n_day0"]) if bounced.any() else Reason()
    case = _of_case(second, shocks, config)
    return {**facts, "case": case, "sentence": Reason.join([sentence, case], " ")}


def _of_case(each: Endpoint, shocks: Shocks, config: StudyConfig) -> Reason:
    """Return the case study by endpoint B: its drop, distance from the threshold, return after it, and rank."""
    k = shocks.case
    if k is None or not np.isfinite(each.drops.drop[k]):
        return Reason()
    facts: Mapping[str, Any] = {
        "shock": str(shocks.drops.shock_id[k]),
        "drop": each.drops.drop[k],
        "s": each.drops.drop_s[k],
        "by": abs(_distances(each, k, config.reversal)["by_s"]),
        "next": each.next_day[k],
        "post": each.drops.post[k],
        "first": each.windows.post[0],
        "last": each.windows.post[1],
    }
    only = np.arange(len(shocks.label)) == k
    if not each.drops.qualifies[k] or not each.comparison.comparable(len(only))[k]:
        return Reason("endpoints.no_drop", **facts)
    alone = each.comparison.excess(only)
    return Reason("endpoints.case", rank=alone.rank, among=alone.among, p=alone.p_value, excess=alone.effect, **facts)
