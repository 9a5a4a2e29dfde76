"""`eventstudy verify`: the study of a pack run again and every table compared."""

from __future__ import annotations

from pathlib import Path

import click

from eventstudy.commands.output import console_for


@click.command("verify")
@click.argument("result", type=click.Path(path_type=Path))
@click.option("--events", type=click.Path(path_type=Path), help="Where the events file is now.")
@click.option("--prices", help="Where the prices are now.")
def command(result: Path, events: Path | None, prices: str | None) -> None:
    """Run the study of a result pack again and compare every table."""
    from eventstudy.commands.verify.recompute import verify_pack

    with console_for(False).status("starting") as status:
        done = verify_pack(result, events=events, prices=prices, progress=lambda stage: status.update(f"{stage} …"))
    equal = f"{done.tables} tables with {done.cells} cells recomputed and equal"
    click.echo(f"{result}: {equal}, {done.files} files intact")
