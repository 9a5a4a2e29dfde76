"""The firm-events of a small study, as data for the interactive page."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from eventstudy.core.arrays import Bools, Texts
from eventstudy.core.estimation import group_values
from eventstudy.core.statistics import Sample
from eventstudy.results.study_run import StudyRun

#: Largest number of firm-events in a page: the residuals of each take two thirds of a kilobyte.
MOST = 1_500


@dataclass(frozen=True, slots=True)
class Explored:
    """All firm-events of a study.

    Attributes
    ----------
    sample : Sample
        N firm-events with their residuals, and how they are weighted and tested.
    label : (N,) str
        Label of each one's event.
    headline : (N,) bool
        Which of them the study's headline is about.
    """

    sample: Sample
    label: Texts
    headline: Bools


def explored_of(run: StudyRun) -> Explored | None:
    """Return a run's firm-events; None if there are too many for a page."""
    sample = run.computed.sample
    panel = sample.abnormal.panel
    if len(panel) > MOST:
        return None
    of_headline = run.headline.abnormal.panel
    asked = set(zip(of_headline.event_id.tolist(), of_headline.ticker.tolist(), strict=True))
    names = zip(panel.event_id.tolist(), panel.ticker.tolist(), strict=True)
    headline = np.array([name in asked for name in names], dtype=bool)
    return Explored(sample, group_values("label", panel, run.events, run.config), headline)
