"""All intermediate results of a run, before tables and summary are made."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from eventstudy.config import StudyConfig, Window
from eventstudy.core.estimation import Computed, headline_of
from eventstudy.core.statistics import Sample, TestResult
from eventstudy.events import Events
from eventstudy.optional import Parts
from eventstudy.prices import PriceTable
from eventstudy.prices.covariates import Covariates
from eventstudy.reversal import Findings
from eventstudy.reversal.claims import ClaimVerdict


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
