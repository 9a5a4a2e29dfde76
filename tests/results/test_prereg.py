"""The locked question knows what changed."""

from __future__ import annotations

import tomllib
from dataclasses import replace
from pathlib import Path

from reversal_studies import many, misread
from studies import write_events

from eventstudy.events import read_events
from eventstudy.messages import text
from eventstudy.results.prereg import as_toml, departures, question, specification_digest


def test_the_locked_question_knows_what_changed(tmp_path: Path) -> None:
    _, shocks, events = many(tmp_path, 2)
    config = shocks.history.config
    locked = tomllib.loads(as_toml(question(events, config)))
    assert departures(locked, events, config) == []
    other = replace(config, windows=replace(config.windows, post=(2, 10)), model=replace(config.model, alpha="zero"))
    found = {d.key: d for d in departures(locked, events, other)}
    assert found["windows.post"].strict
    assert not found["model.alpha"].strict
    assert text(found["windows.post"].sentence) == (
        "departure from the pre-registration: windows.post was locked as [2, 20], is now [2, 10]"
    )
    assert set(found) == {"windows.post", "model.alpha", "primary_endpoint", "second_endpoint"}
    write_events(tmp_path, [misread("E9", "2021-06-09")], "other.csv")
    changed = {d.key for d in departures(locked, read_events(tmp_path / "other.csv"), config) if d.strict}
    assert changed == {"events_sha256"}
    assert specification_digest(config) != specification_digest(other)
