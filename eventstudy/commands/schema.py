"""`eventstudy schema`: JSON Schema of a study file, for editors, and of summary.json, for programs that read it."""

from __future__ import annotations

import click

from eventstudy.commands.help_layout import examples

SECTION = "Set up"


@click.command(
    "schema",
    epilog=examples("eventstudy schema > eventstudy.schema.json", "eventstudy schema summary > summary.schema.json"),
)
@click.argument("of", metavar="[study|summary|pool]", type=click.Choice(["study", "summary", "pool"]), default="study")
def command(of: str) -> None:
    """Print the JSON Schema of a study file (TOML), or of the summary.json of a run or of a pool.

    Save the schema of the study in the folder of the study file and write "#:schema eventstudy.schema.json" as the
    first line of the study file. Editors then complete and check the file.
    """
    import json

    from eventstudy.config.schema import study_schema
    from eventstudy.pooling.schema import pool_schema
    from eventstudy.results.summary_schema import summary_schema

    schema = {"study": study_schema, "summary": summary_schema, "pool": pool_schema}[of]()
    click.echo(json.dumps(schema, indent=1, ensure_ascii=False))
