"""`eventstudy schema`: JSON Schema of a study file, for editors, and of JSON files of packs, for programs."""

from __future__ import annotations

import click

from eventstudy.commands.help_layout import examples

SECTION = "Set up"


@click.command(
    "schema",
    epilog=examples("eventstudy schema > eventstudy.schema.json", "eventstudy schema summary > summary.schema.json"),
)
@click.argument("of", type=click.Choice(["study", "summary", "pool", "simulation"]), default="study")
def command(of: str) -> None:
    """Print the JSON Schema of a study file, or of a JSON file in a pack.

    The choices are the study file (TOML), the summary.json of a run ("summary") or of a pool, and simulation.json.

    Save the schema of the study in the folder of the study file and write "#:schema eventstudy.schema.json" as the
    first line of the study file. Editors then complete and check the file.
    """
    import json

    from eventstudy.config.schema import study_schema
    from eventstudy.pooling.schema import pool_schema
    from eventstudy.results.simulation_schema import simulation_schema
    from eventstudy.results.summary_schema import summary_schema

    schemas = {"study": study_schema, "summary": summary_schema, "pool": pool_schema, "simulation": simulation_schema}
    click.echo(json.dumps(schemas[of](), indent=1, ensure_ascii=False))
