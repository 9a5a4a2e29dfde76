"""All that the reversal analysis found, as rows of the pack's tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eventstudy.config import StudyConfig
from eventstudy.events import Events
from eventstudy.exchanges.calendars import Alignment
from eventstudy.messages import say
from eventstudy.optional import Parts
from eventstudy.reversal.clarifications import Clarification, clarifications
from eventstudy.reversal.confounders import Confounder, confounder_runs, news_days
from eventstudy.reversal.contrasts import label_difference, no_difference, no_regression, regression
from eventstudy.reversal.dates import date_names
from eventstudy.reversal.dimensions import dimension_measures
from eventstudy.reversal.inside import Inside, inside, inside_words
from eventstudy.reversal.labels import LATE, UNDATED
from eventstudy.reversal.locks import delays
from eventstudy.reversal.matching import placebo_rows
from eventstudy.reversal.measured import Gate, Measure, gates, measures, path_rows
from eventstudy.reversal.permutation import leave_one_out, rank_among, shown_floor
from eventstudy.reversal.placebo import Placebo, balance
from eventstudy.reversal.shocks import EXPLORATORY, Judgement
from eventstudy.reversal.specifications import Specification, specification_curve
from eventstudy.reversal.verdict import Verdict

#: Standardised mean difference beyond which a variable counts as unbalanced (Stuart 2010).
UNBALANCED = 0.25


@dataclass(frozen=True, slots=True)
class Findings:
    """Rows found beside the judgement of the shocks."""

    placebos: tuple[Placebo, ...]
    measures: tuple[Measure, ...]
    gates: tuple[Gate, ...]
    clarifications: tuple[Clarification, ...]
    specifications: tuple[Specification, ...]
    inside: tuple[Inside, ...]


def findings(
    judgement: Judgement,
    events: Events,
    alignments: Mapping[tuple[str, str], Alignment],
    config: StudyConfig,
    *,
    news: Sequence[Confounder] = (),
    parts: Parts | None = None,
) -> Findings:
    """Measure, contrast and part everything that the tables and the report show.

    What cannot be had is a row with NaN and the reason, or no rows at all; ``parts`` keeps which.
    """
    kept = Parts() if parts is None else parts
    optional = kept.optional
    genuine = (judgement.label == "genuine") & judgement.in_time
    placebos = optional(
        "placebos",
        lambda: placebo_rows(judgement.benchmarks, judgement.drops, judgement.traits, genuine, news_days(news)),
        lambda _: [],
    )
    difference = optional("difference", lambda: label_difference(judgement), no_difference)
    rows = [
        *measures(judgement, placebos, kept),
        difference,
        *optional("contrast", lambda: regression(judgement), no_regression),
        *dimension_measures(judgement, events, config, kept),
        *optional("confounders", lambda: confounder_runs(judgement, news), lambda _: []),
    ]
    return Findings(
        tuple(placebos),
        tuple(rows),
        tuple(optional("gates", lambda: gates(judgement, difference), lambda _: [])),
        tuple(optional("clarifications", lambda: clarifications(judgement, events, alignments, config), lambda _: [])),
        tuple(optional("curve", lambda: _curve(judgement), lambda _: [])),
        tuple(optional("inside", lambda: inside(judgement, events, alignments), lambda _: [])),
    )


def _curve(judgement: Judgement) -> list[Specification]:
    wanted = judgement.history.config.reversal.specification_curve
    return specification_curve(judgement) if wanted else []


def tables(judgement: Judgement, found: Findings, parts: Parts | None = None) -> dict[str, list[dict[str, Any]]]:
    """Return the rows of every table of the reversal analysis by its name; ``parts`` as in `findings`."""
    optional = (Parts() if parts is None else parts).optional
    return {
        "reversal": reversal_rows(judgement),
        "reversal_measures": [_row(item) for item in found.measures],
        "reversal_paths": optional("paths", lambda: [dict(row) for row in path_rows(judgement)], lambda _: []),
        "gates": [_row(item) for item in found.gates],
        "placebo": [{**_row(item), "placebo_date": day(item.day)} for item in found.placebos],
        "placebo_balance": optional("balance", lambda: balance_rows(judgement), lambda _: []),
        "clarifications": [_row(item) for item in found.clarifications],
        "specification_curve": [_row(item) for item in found.specifications],
    }


def _row(item: Any) -> dict[str, Any]:
    return {name: getattr(item, name) for name in item.__dataclass_fields__}


def day(code: int) -> str:
    """Write days since 1970 as a date."""
    return str(np.datetime64(int(code), "D"))


def reversal_rows(judgement: Judgement) -> list[dict[str, Any]]:
    """One row for each shock: the drop, what came after, its benchmark, and what it counts for."""
    judged, found = judgement.drops, judgement.benchmarks
    locked = locked_peers(judgement)
    rows = []
    for k, shock in enumerate(judged.shock_id):
        placebos = found.placebos(k)
        overlap = say("drop.overlaps", shock=judged.overlaps[k]) if judged.overlaps[k] else ""
        place = rank_among(judged.post[k], placebos)
        rows.append(
            {
                "shock_id": shock,
                "label": judgement.label[k],
                "day0": day(judged.day0[k]),
                "n_peers": judged.n_peers[k],
                "car_drop": judged.drop[k],
                "s_drop": judged.drop_s[k],
                "share_negative": judged.share_negative[k],
                "qualifies": bool(judged.qualifies[k]),
                "why_not": judged.why_not[k] or overlap,
                "overlaps": "" if judged.why_not[k] else judged.overlaps[k],
                "car_post": judged.post[k],
                "s_post": judged.post_s[k],
                "n_locked": locked[k],
                "n_placebos": len(placebos),
                "placebo_mean": placebos.mean() if len(placebos) else np.nan,
                "excess": judgement.excess[k],
                "rank": place.rank if place else None,
                "p_rank": place.p_value if place else np.nan,
                "p_rank_floor": place.floor if place else np.nan,
                "widened": bool(found.matched[k].widened),
                "benchmark": found.reasons[k],
                "label_in_time": bool(judgement.in_time[k]),
                "label_reason": str(judgement.label_reason[k]),
                "role": _role(judgement, k),
                **{f"excess_{name}": values[k] for name, values in judgement.variants.excess.items()},
            }
        )
    return rows


def locked_peers(judgement: Judgement) -> NDArray[np.int64]:
    """Peers of each shock whose drop window was extended because they were locked at a limit, (K,)."""
    portfolios, windows = judgement.portfolios, judgement.history.config.windows
    panel = portfolios.abnormal.panel
    late = delays(panel.event_flags, panel.tau, windows.drop) > 0
    return portfolios.total(late[portfolios.members].astype(float)).astype(np.int64)


def _role(judgement: Judgement, k: int) -> str:
    """What a shock counts for: the verdict, the exploratory one, a case study, or the other kinds."""
    if judgement.asked[k]:
        return "confirmatory"
    if any(mask[k] for name, mask in judgement.members.items() if name.endswith(EXPLORATORY)):
        return "exploratory"
    if k == judgement.case:
        return "case study"
    return "comparison" if any(mask[k] for mask in judgement.members.values()) else ""


def balance_rows(judgement: Judgement) -> list[dict[str, Any]]:
    """Balance of shocks and matched placebos for each kind of drop, and for the case study."""
    groups = dict(judgement.members)
    if judgement.case is not None:
        mask = np.zeros(len(judgement.label), dtype=bool)
        mask[judgement.case] = not judgement.benchmarks.reasons[judgement.case]
        groups[f"shock_id={judgement.drops.shock_id[judgement.case]}"] = mask
    rows = []
    for group, mask in groups.items():
        chosen = np.flatnonzero(mask)
        if not len(chosen):
            continue
        sets = [judgement.benchmarks.placebo_traits(int(k)) for k in chosen]
        counts = {"n_events": len(chosen), "n_placebos": sum(len(values) for values in sets)}
        rows += [{"group": group, **row, **counts} for row in balance(judgement.traits[chosen], sets)]
    return rows


def case_study(judgement: Judgement) -> dict[str, Any] | None:
    """The case study's numbers and its sentence; None without a shock that fell."""
    k = judgement.case
    if k is None:
        return None
    judged, found = judgement.drops, judgement.benchmarks
    placebos = found.placebos(k)
    facts = {
        "shock_id": str(judged.shock_id[k]),
        "label": str(judgement.label[k]),
        "day0": day(judged.day0[k]),
        "car_drop": judged.drop[k],
        "s_drop": judged.drop_s[k],
        "qualifies": bool(judged.qualifies[k]),
        "car_post": judged.post[k],
        "excess": judgement.excess[k],
        "n_placebos": len(placebos),
    }
    place = rank_among(judged.post[k], placebos)
    if place is None:
        why = say("case.none", shock=facts["shock_id"], why=found.reasons[k])
        return {**facts, "rank": None, "sentence": why}
    sentence = say(
        "case.drop" if judged.qualifies[k] else "case.fall",
        shock=facts["shock_id"],
        rank=place.rank,
        among=place.among,
        m=len(placebos),
        p=place.p_value,
        floor=shown_floor(place.floor),
        drop=judged.drop[k],
        s=judged.drop_s[k],
        post=judged.post[k],
        placebos=placebos.mean(),
    )
    return {
        **facts,
        "rank": place.rank,
        "among": place.among,
        "p_rank": place.p_value,
        "p_rank_floor": place.floor,
        "sentence": sentence,
    }


def reversal_summary(judgement: Judgement, found: Findings) -> dict[str, Any]:
    """Return the part of summary.json that the reversal analysis fills."""
    config = judgement.history.config
    window = f"[{config.windows.post[0]},{config.windows.post[1]}]"
    answers = {
        name: {
            **verdict_facts(judgement.answer(name), name, window),
            "inside": inside_words(found.inside, judgement.drops.shock_id[mask]),
            "n_shared_placebos": judgement.benchmarks.shared(mask),
        }
        for name, mask in judgement.members.items()
    }
    primary = f"label={config.reversal.label}"
    exploratory = answers.pop(f"{primary}{EXPLORATORY}")
    among = judgement.label_reason[judgement.members[f"{primary}{EXPLORATORY}"]]
    late = {"n_late": int((among == LATE).sum()), "n_undated": int((among == UNDATED).sum())}
    return {
        "verdict": answers.pop(primary),
        "exploratory": {**exploratory, **late},
        "verdicts": answers,
        "case_study": case_study(judgement),
        "gates": [_row(g) for g in found.gates],
        "sign_flips": judgement.variants.flips(judgement.asked),
        "leave_one_out": _range(judgement),
        "balance": [row for row in balance_rows(judgement) if row["group"] == primary],
        "unbalanced": _unbalanced(judgement, primary),
        "specification_curve": len(found.specifications),
    }


def _unbalanced(judgement: Judgement, group: str) -> list[str]:
    """Matching variables in which a group differs clearly from its placebos."""
    rows = [row for row in balance_rows(judgement) if row["group"] == group]
    return [str(row["variable"]) for row in rows if abs(row["smd"]) > UNBALANCED]


def _range(judgement: Judgement) -> dict[str, Any] | None:
    """Range of the mean excess with each date left out, and the date that moves it most."""
    mask = judgement.asked
    x = judgement.by_date(judgement.excess, mask)
    names = date_names(judgement.drops.day0[mask], judgement.drops.shock_id[mask])
    if len(x) < 3:
        return None
    means = leave_one_out(x)
    worst = int(np.abs(means - x.mean()).argmax())
    return {"lower": means.min(), "upper": means.max(), "most_influential": str(names[worst])}


def verdict_facts(answer: Verdict, group: str, window: str) -> dict[str, Any]:
    """Return a verdict as the summary states it."""
    return {
        "kind": answer.kind,
        "sentence": answer.sentence,
        "effect": answer.effect,
        "ci": list(answer.interval),
        "p_value": answer.p_value,
        "p_name": "matched_permutation",
        "p_greater": answer.p_greater,
        "p_floor": answer.p_floor,
        "sign_flip_p": answer.sign_flip_p,
        "equivalence_p": answer.equivalence_p,
        "n_dates": answer.n_dates,
        "n_events": answer.n_events,
        "n_effective": answer.n_effective,
        "n_placebos": answer.n_placebos,
        "mde": answer.mde,
        "sd": answer.sd,
        "se_placebos": answer.se_placebos,
        "margin": answer.margin,
        "ladder": answer.ladder,
        "reason": answer.reason,
        "group": group,
        "window": window,
    }
