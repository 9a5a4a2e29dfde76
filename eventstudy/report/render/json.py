"""summary.json."""

from __future__ import annotations

from eventstudy.config.json_values import write_json
from eventstudy.messages import recorded
from eventstudy.report.output import Material, output


@output("json", place=90)
def write(material: Material) -> None:
    """Write the facts, with the keys and fields of their messages."""
    facts = material.result.facts
    write_json({**facts, "messages": recorded(facts)}, material.folder / "summary.json")
