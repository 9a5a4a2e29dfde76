"""`eventstudy schema`: JSON Schema of a study file, for editors, and of summary.json, for programs that read it."""

from __future__ import annotations

import click

from eventstudy.commands.help_layout import examples

SECTION = "Set up"


@click.command(
    "schema",
    epilog=examples("eventstudy schema > eventstudy.schema.json", "eventstudy schema summary > summary.schema.json"),
)
@click.argument("of", metavar="[study|summary]", type=click.Choice(["study", "summary"]), default="study")
def command(of: str) -> None:
    """Print a JSON Schema: of a study file (TOML), or of the summary.json that a run writes.

    Keep that of the study beside the study file and write "#:schema eventstudy.schema.json" as its first line:
    editors then complete and check it.
    """
    import json

    from eventstudy.config.schema import study_schema
    from eventstudy.results.summary_schema import summary_schema

    click.echo(json.dumps(study_schema() if of == "study" else summary_schema(), indent=1, ensure_ascii=False))
