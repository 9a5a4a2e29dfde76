"""`eventstudy show`: the summary of a result pack printed again."""

from __future__ import annotations

import json
from pathlib import Path

import click

from eventstudy.commands.help_layout import examples
from eventstudy.commands.options import PACK
from eventstudy.commands.output import console_for

SECTION = "Results"


@click.command("show", epilog=examples("eventstudy show results/latest", "eventstudy show results/latest --json"))
@click.argument("result", type=PACK)
@click.option("--json", "as_json", is_flag=True, help="Print summary.json.")
def command(result: Path, as_json: bool) -> None:
    """Print the summary of the result pack RESULT again."""
    from eventstudy.report.packs import as_written, home_of, read_pack
    from eventstudy.report.terminal import print_pack, print_summary

    pack = read_pack(result)
    if as_json:
        click.echo(json.dumps(pack.facts, indent=2, sort_keys=True, ensure_ascii=False))
    else:
        with as_written(home_of(result)):
            console = console_for(False)
            print_summary(pack, console)
            print_pack(pack, result, console)
