"""What was tried: every trading specification that was ever run counts against the best of them."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from eventstudy.config import StudyConfig
from eventstudy.events import Events
from eventstudy.messages import say

from .rule import Rule

#: What of the backtest's settings lies outside the rule and still decides what it earns.
OUTSIDE = ("impact", "hedge_bps")


@dataclass(frozen=True, slots=True)
class Trials:
    """What was run into the same folder before, by digest.

    ``studies`` are specifications of the study, ``rules`` trading specifications with their daily Sharpe
    ratio, NaN where one never traded.
    """

    studies: frozenset[str] = frozenset()
    rules: Mapping[str, float] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        """Return plain JSON for the manifest."""
        rules = {name: ratio if math.isfinite(ratio) else None for name, ratio in sorted(self.rules.items())}
        return {"studies": sorted(self.studies), "rules": rules}

    @classmethod
    def from_dict(cls, plain: Mapping[str, Any]) -> Trials:
        """Return what `as_dict` wrote."""
        known = plain.get("rules", {})
        rules = {name: math.nan if ratio is None else float(ratio) for name, ratio in known.items()}
        return cls(frozenset(plain.get("studies", ())), rules)


@dataclass(frozen=True, slots=True)
class TrialCount:
    """How many trading specifications were tried: in this run, in the log of runs, and said to have been."""

    grid: int
    logged: int
    declared: int

    @property
    def total(self) -> int:
        """The number that the Sharpe ratio is deflated by."""
        return self.grid + self.logged + self.declared

    @property
    def sentence(self) -> str:
        """Say where the number comes from."""
        key = "trials.declared" if self.declared else "trials.logged"
        return say(key, total=self.total, grid=self.grid, logged=self.logged, declared=self.declared)


def question_of(events: Events, config: StudyConfig) -> str:
    """Return all that decides what a rule earns beside the rule and the prices, as one text.

    Other prices, rates and units of volume make no new trial; other events, peers or costs do.
    """
    plain = config.as_dict()
    content = {
        "events": events.sha256, "peers": plain["peers"], "costs": plain["costs"],
        "backtest": {name: plain["backtest"][name] for name in OUTSIDE},
    }  # fmt: skip
    return json.dumps(content, sort_keys=True)


def rule_digest(rule: Rule, question: str) -> str:
    """Short digest of one trading specification."""
    text = json.dumps(dataclasses.asdict(rule), sort_keys=True) + question
    return hashlib.sha256(text.encode()).hexdigest()[:12]
