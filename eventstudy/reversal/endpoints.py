"""The two endpoints fixed beforehand: the drop window of the settings, and day 0 alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from eventstudy.config import Reversal, StudyConfig
from eventstudy.core.abnormal import Window
from eventstudy.core.arrays import Bools, Floats
from eventstudy.core.checks.multiplicity import holm
from eventstudy.core.estimation import Computed
from eventstudy.core.statistics import Sample
from eventstudy.errors import Reason
from eventstudy.reversal.comparison import Comparison
from eventstudy.reversal.drops import PeerDrops
from eventstudy.reversal.estimator import Excess
from eventstudy.reversal.measures import span
from eventstudy.reversal.study_shocks import Shocks, label_reasons, leads_of_shocks, without_overlaps
from eventstudy.reversal.verdict import kind_of, smallest_margin


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """What one endpoint makes of K shocks; arrays of shape (K,).

    Attributes
    ----------
    name
        ``A``, the windows of the settings, or ``B``, the drop of day 0.
    drop, post
        The windows.
    drops
        Drop and aftermath of each shock.
    next_day
        CAR of the day after day 0.
    in_time, counted
        Whether the label was known before the post window, and which shocks the answer rests on.
    comparison, found
        Controls, and the regression on them.
    """

    name: str
    drop: Window
    post: Window
    drops: PeerDrops
    next_day: Floats
    in_time: Bools
    counted: Bools
    comparison: Comparison
    found: Excess

    @property
    def kind(self) -> str:
        """Kind of verdict by this endpoint alone."""
        return kind_of(self.found, smallest_margin(self.drops.drop[self.counted]))


def endpoints(shocks: Shocks, computed: Computed, headline: Sample) -> tuple[Endpoint, ...]:
    """Answer the question about the label asked by both endpoints; by one where the settings' is day 0."""
    leads, label = leads_of_shocks(shocks.drops.shock_id, computed), shocks.label
    found = []
    for name, end, comparison in zip("AB", shocks.ends, shocks.comparisons, strict=False):
        config = end.history.config
        in_time = label_reasons(leads, computed, headline, config) == ""
        asked = end.drops.qualifies & in_time & (label == config.reversal.label)
        comparable = comparison.comparable(len(label)) & asked
        counted = without_overlaps(comparable, shocks.drops.shock_id, shocks.drops.overlaps)
        found.append(
            Endpoint(
                name=name,
                drop=config.windows.drop,
                post=config.windows.post,
                drops=end.drops,
                next_day=end.next_day,
                in_time=in_time,
                counted=counted,
                comparison=comparison,
                found=comparison.excess(counted),
            )
        )
    return tuple(found)


def endpoint_rows(found: Sequence[Endpoint], shocks: Shocks, config: StudyConfig) -> list[dict[str, Any]]:
    """One row for each endpoint, with Holm's adjustment over them."""
    label = shocks.label == config.reversal.label
    adjusted = holm(np.array([each.found.p_value for each in found])).tolist()
    return [
        {
            "endpoint": each.name,
            "window_drop": span(each.drop),
            "window_post": span(each.post),
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
        }
        for each, p_holm in zip(found, adjusted, strict=True)
    ]


def drop_rows(found: Sequence[Endpoint], shocks: Shocks, config: StudyConfig) -> list[dict[str, Any]]:
    """One row for each shock and endpoint: its drop, how far it lies from each threshold, and what followed."""
    rule = config.reversal
    return [
        {
            "shock_id": str(shock),
            "label": str(shocks.label[k]),
            "endpoint": each.name,
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
        for each in found
    ]


def _distances(each: Endpoint, k: int, rule: Reversal) -> dict[str, float]:
    """By how much a shock qualifies by each threshold; negative where it does not."""
    return {
        "by_s": -rule.drop_k - float(each.drops.drop_s[k]),
        "by_drop": -rule.drop_min - float(each.drops.drop[k]),
        "by_share": float(each.drops.share_negative[k]) - rule.share_negative,
    }


def told(found: Sequence[Endpoint], shocks: Shocks, config: StudyConfig) -> dict[str, Any]:
    """Return what page 1 says of the endpoints: drops that had bounced by the next close, and the case by day 0."""
    if len(found) < 2:
        return {}
    first, second = found
    bounced = second.drops.qualifies & ~first.drops.qualifies & (second.next_day > 0)
    facts = {"n_day0": int(second.drops.qualifies.sum()), "n_bounced": int(bounced.sum())}
    sentence = Reason("endpoints.bounced", bounced=facts["n_bounced"], n=facts["n_day0"])
    case = _of_case(second, shocks, config)
    return {**facts, "case": case, "sentence": Reason.join([sentence, case], " ")}


def _of_case(each: Endpoint, shocks: Shocks, config: StudyConfig) -> Reason:
    """Say what endpoint B makes of the case study: its drop, its distance, what followed, its rank and no more."""
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
        "first": each.post[0],
        "last": each.post[1],
    }
    only = np.arange(len(shocks.label)) == k
    if not each.drops.qualifies[k] or not each.comparison.comparable(len(only))[k]:
        return Reason("endpoints.no_drop", **facts)
    alone = each.comparison.excess(only)
    return Reason("endpoints.case", rank=alone.rank, among=alone.among, p=alone.p_value, excess=alone.effect, **facts)
