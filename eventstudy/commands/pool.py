"""`eventstudy pool`: the shocks of several packs in one test."""

from __future__ import annotations

import json
from pathlib import Path

import click

from eventstudy.commands.help_layout import examples
from eventstudy.commands.options import OUT, PACK
from eventstudy.commands.output import console_for

SECTION = "Results"


@click.command(
    "pool",
    epilog=examples(
        "eventstudy pool results/optical-2026-06 results/healthcare-2022",
        "eventstudy pool results/optical-2026-06 results/answered-reports-2024 --labels-differ",
    ),
)
@click.argument("packs", type=PACK, nargs=-1, required=True)
@OUT
@click.option("--labels-differ", is_flag=True, help="Pool packs although they ask about different labels.")
@click.option("--json", "as_json", is_flag=True, help="Print summary.json instead of the summary.")
@click.option("--quiet", is_flag=True, help="Print only the path of the folder.")
def command(packs: tuple[Path, ...], out: Path, labels_differ: bool, as_json: bool, quiet: bool) -> None:
    """Test the shocks of several result PACKS together, with one level for each sector."""
    from eventstudy.pooling.pool import pool_packs
    from eventstudy.report.bundle import write_bundle
    from eventstudy.report.pack_shocks import read_shocks
    from eventstudy.report.packs import MANIFEST, as_written, home_of
    from eventstudy.report.sections.pool import pool_bundle
    from eventstudy.report.staging import reserve

    read = [read_shocks(folder) for folder in packs]
    settings = read[0].settings
    with as_written(home_of(packs[0]), MANIFEST):
        seed, draws = int(settings["study.seed"]), int(settings["tests.draws"])
    found = pool_packs(read, seed=seed, draws=draws, labels_differ=labels_differ)
    with reserve(out) as place:
        bundle = pool_bundle(found, packs)
        folder = write_bundle(bundle, place)
    if as_json:
        click.echo(json.dumps(bundle.facts, indent=2, sort_keys=True, ensure_ascii=False))
    elif quiet:
        click.echo(str(folder))
    else:
        from eventstudy.report.terminal import print_document

        print_document(bundle.document, console_for(False), f"Pool: {folder}")
