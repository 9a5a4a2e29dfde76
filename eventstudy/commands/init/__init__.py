"""`eventstudy init`: the files of a new sector."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import click

from eventstudy.commands.help_layout import examples
from eventstudy.exchanges.examples import EXAMPLE_INDEX, EXAMPLE_PEER

SECTION = "Set up"


@click.command("init", epilog=examples(f"eventstudy init airlines --peer {EXAMPLE_PEER}"))
@click.argument("sector", required=False)
@click.option(
    "--peer",
    "--peers",
    "peers",
    multiple=True,
    metavar="TICKER:MIC[:NAME]",
    help="A security; repeat the option, or separate several by commas.",
)
@click.option(
    "--benchmark",
    "--market",
    "benchmarks",
    multiple=True,
    metavar="MIC:TICKER",
    help=f"Index of an exchange, such as {EXAMPLE_INDEX}; default: its usual index.",
)
@click.option("--currency", default="", help="Currency of the study; default: that of its first exchange.")
@click.option(
    "--dir",
    "folder",
    type=click.Path(path_type=Path),
    help="Folder to write to; default: one with the name of the sector.",
)
def command(
    sector: str | None, peers: tuple[str, ...], benchmarks: tuple[str, ...], currency: str, folder: Path | None
) -> None:
    """Create the folder of a new sector: study file, events file, folder for prices."""
    from eventstudy.commands.init.new_sector import new_sector, next_steps, write_sector, yahoo_notes

    asking = sys.stdin is not None and sys.stdin.isatty()
    if sector is None:
        if not asking:
            raise click.UsageError(f"no sector named; write 'eventstudy init airlines --peer {EXAMPLE_PEER}'")
        sector = click.prompt("Name of the sector (small letters)")
    if not peers and asking:
        peers = tuple(_asked_for(f"Security as TICKER:MIC:Name, such as {EXAMPLE_PEER}; empty to end"))
        benchmarks += tuple(_asked_for("Index as MIC:TICKER where not the usual one; empty to end"))
    named = [part for text in peers for part in text.split(",") if part.strip()]
    plan = new_sector(str(sector), named, benchmarks=benchmarks, currency=currency)
    place = folder or Path(plan.name)
    write_sector(plan, place)
    for line in (*next_steps(plan, place), *yahoo_notes(plan)):
        click.echo(line)


def _asked_for(question: str) -> Iterator[str]:
    while answer := str(click.prompt(question, default="", show_default=False)).strip():
        yield answer
