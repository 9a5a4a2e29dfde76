"""Log of all trading specifications that were ever run; each counts in the deflated Sharpe ratio."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from eventstudy.backtest.rule import Rule
from eventstudy.config import StudyConfig
from eventstudy.errors import Reason
from eventstudy.events import Events
from eventstudy.shocks import with_shocks

#: Settings outside the rule that affect its result on the same prices.
DECIDING = {
    "study": ("currency", "headline"),
    "windows": ("clean_estimation",),
    "returns": ("gaps",),
    "backtest": ("impact", "hedge_bps", "fx", "fx_stale_days"),
    "prices": ("benchmark_gaps", "accept_suspect", "accept_days"),
}
#: Fields of a peer that do not affect trades.
FOR_READERS = ("name", "name_local", "note", "exposure")


@dataclass(frozen=True, slots=True)
class Trials:
    """Earlier runs in the same folder, by digest.

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
    """Number of trading specifications tried: in this run, in the log, and declared in the settings."""

    grid: int
    logged: int
    declared: int

    @property
    def total(self) -> int:
        """The number of trials for the deflated Sharpe ratio."""
        return self.grid + self.logged + self.declared

    @property
    def sentence(self) -> Reason:
        """Return a sentence on the parts of the number."""
        key = "trials.declared" if self.declared else "trials.logged"
        return Reason(key, total=self.total, grid=self.grid, logged=self.logged, declared=self.declared)


def question_of(events: Events, config: StudyConfig) -> str:
    """Return as one text everything that affects a rule's result, except the rule and the prices.

    Other prices and units of volume are no new trial. Neither are texts (title, source and notes of an event, name of
    a peer) or another layout of the file (ids of events and shocks, tickers on several rows).
    """
    plain = config.as_dict()
    content = {
        "events": _decisive(with_shocks(events, config), config),
        "markets": plain["markets"],
        "costs": plain["costs"],
        "peers": [{k: v for k, v in peer.items() if k not in FOR_READERS} for peer in plain["peers"]],
        **{section: {name: plain[section][name] for name in names} for section, names in DECIDING.items()},
    }
    return json.dumps(content, sort_keys=True)


def _decisive(events: Events, config: StudyConfig) -> list[list[str]]:
    """The fields of events that the backtest uses; of the kind only whether it is a clarification."""
    shocks = {name: str(at) for at, name in enumerate(dict.fromkeys(event.shock_id for event in events))}
    known = {event.event_id: event for event in events}
    every = {peer.ticker for peer in config.peers}
    found: dict[tuple[str, ...], set[str]] = {}
    for event in events:
        answered = known.get(event.clarifies)
        key = (
            event.timestamp.isoformat(),
            event.label,
            event.label_asof.isoformat() if event.label_asof else "",
            shocks[event.shock_id],
            shocks[answered.shock_id] if answered else "",
            "clarification" if event.kind == "clarification" else "",
        )
        found.setdefault(key, set()).update(event.tickers or every)
    return [[*key, "" if every <= tickers else ";".join(sorted(tickers))] for key, tickers in sorted(found.items())]


def rule_digest(rule: Rule, question: str) -> str:
    """Short digest of one trading specification."""
    text = json.dumps(dataclasses.asdict(rule), sort_keys=True) + question
    return hashlib.sha256(text.encode()).hexdigest()[:12]
