"""`eventstudy schema`: JSON Schema of a study file, for editors."""

from __future__ import annotations

import click

from eventstudy.commands.help_layout import examples

SECTION = "Set up"


@click.command("schema", epilog=examples("eventstudy schema > eventstudy.schema.json"))
def command() -> None:
    """Print the JSON Schema of a study file (TOML), for editors that complete and check it.

    Keep it beside the study file and write "#:schema eventstudy.schema.json" as the first line of that.
    """
    import json

    from eventstudy.config.schema import study_schema

    click.echo(json.dumps(study_schema(), indent=1, ensure_ascii=False))
