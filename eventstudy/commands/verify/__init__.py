"""`eventstudy verify`: repeat the run of a pack and compare every file."""

from __future__ import annotations

from pathlib import Path

import click

from eventstudy.commands.help_layout import examples
from eventstudy.commands.output import console_for

SECTION = "Results"
HERE = click.Path(path_type=Path, resolve_path=True)


@click.command(
    "verify",
    epilog=examples(
        "eventstudy verify results/latest",
        "eventstudy verify results/latest --events moved/events.csv --prices moved/prices",
    ),
)
@click.argument("result", type=click.Path(path_type=Path))
@click.option("--events", type=HERE, help="Present path of the events file, if it has moved.")
@click.option("--prices", help="Present path of the prices, if they have moved.")
@click.option("--prereg", type=HERE, help="Present path of the locked question, if it has moved.")
@click.option("--no-pages", is_flag=True, help="Compare only numbers, not pages, figures and workbook.")
def command(result: Path, events: Path | None, prices: str | None, prereg: Path | None, no_pages: bool) -> None:
    """Compute the result pack RESULT again from its manifest and compare every file."""
    from eventstudy.commands.verify.recompute import Given, verify_pack

    # The inputs are searched from other working directories too.
    if prices and Path(prices).exists():
        prices = str(Path(prices).resolve())
    given = Given(events=events, prices=prices, prereg=prereg)
    with console_for(False).status("starting") as status:
        done = verify_pack(result, given, pages=not no_pages, progress=lambda stage: status.update(f"{stage} …"))
    equal = f"{done.tables} tables with {done.cells} cells recomputed and equal"
    pages = f", {done.pages} pages and figures made again and equal" if done.pages else ""
    click.echo(f"{result}: {equal}{pages}, {done.files} files intact")
    if done.left:
        click.echo(f"not compared ({done.why}): {', '.join(done.left)}")
