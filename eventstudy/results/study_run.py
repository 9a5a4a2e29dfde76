"""All intermediate results of a run, before tables and summary are made, and its firm-events for the web page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from eventstudy.config import StudyConfig, Window
from eventstudy.core.arrays import Bools, Texts
from eventstudy.core.estimation import Computed, group_values, headline_of
from eventstudy.core.statistics import Sample, TestResult
from eventstudy.events import Events
from eventstudy.optional import Parts
from eventstudy.prices import PriceTable
from eventstudy.prices.covariates import Covariates
from eventstudy.reversal import Findings
from eventstudy.reversal.claims import ClaimVerdict

#: Largest number of firm-events in a page: the residuals of each take two thirds of a kilobyte.
MOST = 1_500


@dataclass(frozen=True, slots=True, kw_only=True)
class StudyRun:
    """Inputs and results of a run; ``found`` is None if the study does not ask about reversals.

    ``samples`` are the tested groups; ``parts`` records what could not be computed.
    """

    events: Events
    config: StudyConfig
    own: Covariates
    prices: PriceTable
    computed: Computed
    samples: Sequence[Sample]
    tests: Sequence[TestResult]
    found: Findings | None
    claims: Sequence[ClaimVerdict]
    parts: Parts

    @property
    def asked(self) -> bool:
        """Whether the study asks about reversals."""
        return self.found is not None

    @property
    def windows(self) -> tuple[Window, ...]:
        """The tested windows, the headline's first."""
        return self.config.windows.tested(asked=self.asked)

    @property
    def headline(self) -> Sample:
        """The headline group."""
        return headline_of(self.samples, self.config)


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
