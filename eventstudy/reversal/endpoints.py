"""The two endpoints fixed beforehand: the drop window of the settings, and day 0 alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from eventstudy.config import Reversal, StudyConfig
from eventstudy.core.abnormal import Window
from eventstudy.core.arrays import Bools, Floats
from eventstudy.core.checks.multiplicity import holm
from eventstudy.core.estimation import Computed
from eventstudy.core.statistics import Sample
from eventstudy.errors import Reason
from eventstudy.reversal.drops import fall_of
from eventstudy.reversal.estimator import Excess
from eventstudy.reversal.falls import Fallen, StudyFalls, fallen_of, study_falls
from eventstudy.reversal.history import History
from eventstudy.reversal.measures import span
from eventstudy.reversal.shocks import Shocks, event_days, label_reasons, leads_of_shocks, named_peers, without_overlaps
from eventstudy.reversal.verdict import kind_of, smallest_margin
from eventstudy.shocks import Lead

#: Drop window of endpoint B; for news of a bare date the worse of it and of the day before with it.
DAY_0, DAY_BEFORE = (0, 0), (-1, 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """What one endpoint makes of K shocks; arrays of shape (K,).

    Attributes
    ----------
    name
        ``A``, the windows of the settings, or ``B``, the drop of day 0.
    drop, post
        The windows.
    fallen, share_negative, qualifies
        Drop and aftermath of each shock, and whether it is a drop by the rule of the settings.
    next_day
        CAR of the day after day 0.
    in_time, counted
        Whether the label was known before the post window, and which shocks the answer rests on.
    falls, found
        Controls, and the regression on them.
    """

    name: str
    drop: Window
    post: Window
    fallen: Fallen
    share_negative: Floats
    qualifies: Bools
    next_day: Floats
    in_time: Bools
    counted: Bools
    falls: StudyFalls
    found: Excess

    @property
    def kind(self) -> str:
        """Kind of verdict by this endpoint alone."""
        return kind_of(self.found, smallest_margin(self.fallen.drop[self.counted]))


def endpoints(shocks: Shocks, computed: Computed, headline: Sample, config: StudyConfig) -> tuple[Endpoint, ...]:
    """Answer the question about the label asked by both endpoints; by one where the settings' is day 0."""
    own = config.windows
    names = [("A", config)]
    if own.drop != DAY_0 and own.event[0] <= DAY_BEFORE[0]:
        names.append(("B", replace(config, windows=replace(own, drop=DAY_0, post=(1, own.post[1])))))
    leads = leads_of_shocks(shocks.drops.shock_id, computed)
    return tuple(_endpoint(name, shocks, leads, computed, headline, other) for name, other in names)


def _endpoint(
    name: str, shocks: Shocks, leads: Sequence[Lead], computed: Computed, headline: Sample, config: StudyConfig
) -> Endpoint:
    history = replace(shocks.history, config=config)
    portfolios = shocks.portfolios if name == "A" else history.portfolios(shocks.requests)
    fallen, share = fallen_of(portfolios, history), fall_of(portfolios, config.windows.drop).share_negative
    falls, label = shocks.falls, shocks.label
    if name == "B":
        fallen, share = _worse(fallen, share, shocks, leads, history)
        asked = (label == config.reversal.label) | (np.arange(len(label)) == shocks.case)
        asked &= fallen.qualifies & np.isfinite(fallen.post)
        falls = study_falls(history, fallen, asked, named_peers(leads, headline, config), event_days(computed))
    in_time = label_reasons(leads, computed, headline, config) == ""
    comparable = falls.comparable(len(label)) & fallen.qualifies & in_time & (label == config.reversal.label)
    counted = without_overlaps(comparable, shocks.drops.shock_id, shocks.drops.overlaps)
    return Endpoint(
        name=name,
        drop=config.windows.drop,
        post=config.windows.post,
        fallen=fallen,
        share_negative=share,
        qualifies=fallen.qualifies,
        next_day=portfolios.car((1, 1)),
        in_time=in_time,
        counted=counted,
        falls=falls,
        found=falls.excess(counted),
    )


def _worse(
    fallen: Fallen, share: Floats, shocks: Shocks, leads: Sequence[Lead], history: History
) -> tuple[Fallen, Floats]:
    """For news of a bare date take the deeper drop of day 0 alone and of day 0 with the day before it."""
    windows = replace(history.config.windows, drop=DAY_BEFORE)
    wide = replace(history, config=replace(history.config, windows=windows))
    portfolios = wide.portfolios(shocks.requests)
    other, other_share = fallen_of(portfolios, wide), fall_of(portfolios, DAY_BEFORE).share_negative
    bare = np.array([lead.event.precision == "date" for lead in leads], dtype=bool)
    deeper = bare & (other.drop < fallen.drop)
    return fallen.where(deeper, other), np.where(deeper, other_share, share)


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
            "n_drops": int((label & each.qualifies).sum()),
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
            "car_drop": each.fallen.drop[k],
            "s_drop": each.fallen.drop_s[k],
            "qualifies": bool(each.qualifies[k]),
            **_distances(each, k, rule),
            "car_next": each.next_day[k],
            "car_post": each.fallen.post[k],
            "label_in_time": bool(each.in_time[k]),
            "counted": bool(each.counted[k]),
        }
        for k, shock in enumerate(shocks.drops.shock_id)
        for each in found
    ]


def _distances(each: Endpoint, k: int, rule: Reversal) -> dict[str, float]:
    """By how much a shock qualifies by each threshold; negative where it does not."""
    return {
        "by_s": -rule.drop_k - float(each.fallen.drop_s[k]),
        "by_drop": -rule.drop_min - float(each.fallen.drop[k]),
        "by_share": float(each.share_negative[k]) - rule.share_negative,
    }


def told(found: Sequence[Endpoint], shocks: Shocks, config: StudyConfig) -> dict[str, Any]:
    """Return what page 1 says of the endpoints: drops that had bounced by the next close, and the case by day 0."""
    if len(found) < 2:
        return {}
    first, second = found
    bounced = second.qualifies & ~first.qualifies & (second.next_day > 0)
    facts = {"n_day0": int(second.qualifies.sum()), "n_bounced": int(bounced.sum())}
    sentence = Reason("endpoints.bounced", bounced=facts["n_bounced"], n=facts["n_day0"])
    case = _of_case(second, shocks, config)
    return {**facts, "case": case, "sentence": Reason.join([sentence, case], " ")}


def _of_case(each: Endpoint, shocks: Shocks, config: StudyConfig) -> Reason:
    """Say what endpoint B makes of the case study: its drop, its distance, what followed, its rank and no more."""
    k = shocks.case
    if k is None or not np.isfinite(each.fallen.drop[k]):
        return Reason()
    facts: Mapping[str, Any] = {
        "shock": str(shocks.drops.shock_id[k]),
        "drop": each.fallen.drop[k],
        "s": each.fallen.drop_s[k],
        "by": abs(_distances(each, k, config.reversal)["by_s"]),
        "next": each.next_day[k],
        "post": each.fallen.post[k],
        "first": each.post[0],
        "last": each.post[1],
    }
    only = np.arange(len(shocks.label)) == k
    if not each.qualifies[k] or not each.falls.comparable(len(only))[k]:
        return Reason("endpoints.no_drop", **facts)
    alone = each.falls.excess(only)
    return Reason("endpoints.case", rank=alone.rank, among=alone.among, p=alone.p_value, excess=alone.effect, **facts)
