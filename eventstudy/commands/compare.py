"""`eventstudy compare`: two result packs side by side."""

from __future__ import annotations

import json
from pathlib import Path

import click

from eventstudy.commands.help_layout import examples
from eventstudy.commands.options import PACK
from eventstudy.commands.output import console_for, plain

SECTION = "Results"


@click.command(
    "compare",
    epilog=examples(
        "eventstudy compare results/healthcare-2022 results/latest",
        "eventstudy compare results/healthcare-2022 results/latest --json",
    ),
)
@click.argument("first", type=PACK)
@click.argument("second", type=PACK)
@click.option("--json", "as_json", is_flag=True, help="Print the differences as JSON.")
def command(first: Path, second: Path, as_json: bool) -> None:
    """List the differences between two packs: settings, data, verdict and tables."""
    from eventstudy.report.packs import compare_packs, read_pack
    from eventstudy.report.terminal import print_changes
    from eventstudy.report.wording import language_of

    changes = compare_packs(first, second)
    if as_json:
        click.echo(json.dumps([plain(change) for change in changes], indent=2, ensure_ascii=False))
    else:
        print_changes(changes, first, second, console_for(False), language=language_of(read_pack(first)))
