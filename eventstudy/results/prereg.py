"""Lock the question before the prices are read, and list departures of a run from it."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from eventstudy.config import StudyConfig
from eventstudy.config.json_values import plain_json
from eventstudy.errors import Reason
from eventstudy.events import Events
from eventstudy.reversal.estimator import CONTROL_DROP, CONTROL_S, SLOPE_SD, SPREAD_WEEKS
from eventstudy.reversal.labels import asks_reversal

#: Sections of the settings that the lock contains completely.
SECTIONS = ("windows", "returns", "model", "reversal", "tests")
#: Keys whose change stops a run without --allow-departures: other events or windows are another question.
STRICT = ("events_sha256", "windows")


@dataclass(frozen=True, slots=True)
class Departure:
    """One setting that differs from the locked one; ``strict`` departures need --allow-departures."""

    key: str
    locked: str
    found: str
    strict: bool

    @property
    def sentence(self) -> Reason:
        """The departure as a reason."""
        return Reason("prereg.departure", key=self.key, locked=self.locked, found=self.found)


def question(events: Events, config: StudyConfig) -> dict[str, dict[str, Any]]:
    """Return the locked question as tables of plain values."""
    config = config if asks_reversal(events, config) else config.of_effect
    plain = config.as_dict()
    (first, last), (start, end), label = config.windows.post, config.windows.drop, config.reversal.label
    falls = "comparable falls of the same peers by one regression on peer set, depth of the drop and run-up "
    falls += f"(controls: S <= {CONTROL_S}, CAR <= {CONTROL_DROP:.1%})"
    against = {
        "moderated": f"{falls}, slope of the depth 0 +- {SLOPE_SD}; CR2, the spread of single controls counts for "
        f"{SPREAD_WEEKS} dates, t with at most K - 1 + {SPREAD_WEEKS} degrees of freedom",
        "regression": f"{falls}; CR2, t with at most K - 1 degrees of freedom",
        "matched": "the mean of its matched placebo drops; matched permutation",
    }[config.reversal.estimator]
    endpoint = f"mean CAR[{first},{last}] after {label}-labelled drops over [{start},{end}] against {against}"
    peers = json.dumps(plain["peers"], sort_keys=True).encode()
    return {
        "question": {
            "primary_endpoint": f"{endpoint}, two-sided 5 %",
            "second_endpoint": f"the same with the drop of day 0 alone and CAR[1,{last}]; Holm over both",
            "events_sha256": events.sha256,
            "n_events": len(events),
            "peers_sha256": hashlib.sha256(peers).hexdigest(),
            "seed": config.study.seed,
        },
        **{name: plain[name] for name in SECTIONS},
    }


def as_toml(tables: Mapping[str, Mapping[str, Any]]) -> str:
    """Return the locked question as TOML; empty values are left out."""
    lines = ["# The question of a study, locked before its prices were looked at. 'eventstudy run --prereg'"]
    lines.append("# holds a run against it and reports every departure.")
    for name, values in tables.items():
        lines += ["", f"[{name}]"]
        lines += [f"{key} = {_value(value)}" for key, value in values.items() if value is not None]
    return "\n".join(lines) + "\n"


def _value(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def departures(locked: Mapping[str, Any], events: Events, config: StudyConfig) -> list[Departure]:
    """Compare a run's question with the locked one."""
    now = question(events, config)
    differing = []
    for section, values in now.items():
        before = locked.get(section, {})
        for key in sorted({*values, *before}):
            old, new = before.get(key), plain_json(values.get(key))
            # A setting that did not exist when the question was locked is no departure while it is empty.
            if old != new and (key in before or new):
                name = key if section == "question" else f"{section}.{key}"
                strict = key in STRICT or section in STRICT
                differing.append(Departure(name, _value(old), _value(new), strict))
    return differing


def specification_digest(config: StudyConfig) -> str:
    """Short digest of all settings that affect the measurement of the endpoint; it identifies a specification.

    Donors are left out, because they do not affect the verdict.
    """
    plain = config.as_dict()
    del plain["reversal"]["donors"]
    text = json.dumps({name: plain[name] for name in SECTIONS}, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def summary_of(rows: list[Departure], path: str, sha256: str) -> dict[str, Any]:
    """Return the facts on the pre-registration for summary.json."""
    return {
        "file": path,
        "sha256": sha256,
        "n_departures": len(rows),
        "departures": [{**dataclasses.asdict(item), "sentence": item.sentence} for item in rows],
    }
