"""`eventstudy import-est`: EventStudyTools' files as a study."""

from __future__ import annotations

from pathlib import Path

import click

from eventstudy.commands.help_layout import examples
from eventstudy.commands.options import InputFile
from eventstudy.exchanges.examples import EXAMPLE_MARKET

SECTION = "Set up"


@click.command(
    "import-est",
    epilog=examples(f"eventstudy import-est request.csv firms.csv market.csv --dir study --market {EXAMPLE_MARKET}"),
)
@click.argument("request", type=InputFile())
@click.argument("firms", type=InputFile())
@click.argument("market", type=InputFile())
@click.option("--dir", "folder", type=click.Path(path_type=Path), required=True, help="Folder for the study.")
@click.option(
    "--market",
    "exchanges",
    multiple=True,
    metavar="NAME:MIC",
    help=f"Exchange of a market in the request file, such as {EXAMPLE_MARKET}; may be repeated.",
)
def command(request: Path, firms: Path, market: Path, folder: Path, exchanges: tuple[str, ...]) -> None:
    """Make a study from the three files of EventStudyTools: request, firm data and market data."""
    from eventstudy.commands.import_est.request_files import import_est, write_import

    pairs = {name: mic for name, _, mic in (text.rpartition(":") for text in exchanges)}
    found = import_est(request, firms, market, exchanges=pairs)
    write_import(found, folder)
    for remark in found.remarks:
        click.echo(remark)
    click.echo(f"Written into {folder}, with import-report.txt")
    click.echo(f"Next: eventstudy check {folder / 'events.csv'}")
