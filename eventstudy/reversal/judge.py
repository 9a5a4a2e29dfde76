"""The study's shocks judged: drops, labels, and the verdict on those that the question is about."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from eventstudy.abnormal import ShockPortfolios, shock_portfolios
from eventstudy.config import StudyConfig
from eventstudy.events import Events
from eventstudy.inference import Sample

from .drops import Drops, drops
from .verdict import Verdict, verdict


@dataclass(frozen=True, slots=True)
class Judgement:
    """K shocks of the headline group, one lead event each.

    ``event_id`` and ``label`` are the lead events' (K,), ``asked`` marks the shocks that the verdict
    rests on: qualifying drops with the label in question whose post window overlaps no earlier one.
    """

    portfolios: ShockPortfolios
    drops: Drops
    event_id: NDArray[np.str_]
    label: NDArray[np.str_]
    asked: NDArray[np.bool_]
    verdict: Verdict


def judge(headline: Sample, events: Events, config: StudyConfig) -> Judgement:
    """Judge the shocks of the headline group by the rule of the settings."""
    leads = headline.take(headline.group, headline.abnormal.panel.lead)
    portfolios = shock_portfolios(leads.abnormal, weighting=config.tests.weights)
    judged = drops(portfolios, config.windows.drop, config.windows.post, config.reversal)
    event_id = leads.abnormal.panel.event_id[portfolios.members[portfolios.starts]]
    label = np.array([events.by_id(str(name)).label for name in event_id], dtype=np.str_)
    mine = label == config.reversal.label
    asked = _without_overlaps(mine & judged.qualifies & np.isfinite(judged.post), judged)
    answer = verdict(
        judged.post[asked], judged.post_s[asked], judged.drop[asked],
        n_events=int(judged.n_peers[asked].sum()), n_candidates=int(mine.sum()),
        subject=f"{config.reversal.label}-labelled drops", window=config.windows.post,
        seed=config.study.seed, draws=config.tests.draws,
    )  # fmt: skip
    return Judgement(portfolios, judged, event_id, label, asked, answer)


def _without_overlaps(asked: NDArray[np.bool_], judged: Drops) -> NDArray[np.bool_]:
    """Keep the first of shocks whose post windows overlap: they would count the same days twice."""
    kept = asked.copy()
    for k, earlier in enumerate(judged.overlaps):
        if earlier and kept[judged.shock_id == earlier].any():
            kept[k] = False
    return kept
