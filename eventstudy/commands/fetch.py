"""`eventstudy fetch`: download the prices of a study into a snapshot."""

from __future__ import annotations

import json
from pathlib import Path

import click

from eventstudy.commands.help_layout import examples
from eventstudy.commands.options import Inputs, study_options
from eventstudy.commands.output import console_for, plain, watching

SECTION = "Prices"


@click.command(
    "fetch",
    epilog=examples("eventstudy fetch events.csv", "eventstudy fetch events.csv --again DAL --out prices/today"),
)
@study_options
@click.option(
    "--out", type=click.Path(path_type=Path), help="Folder of the snapshot; default: a new one in your data folder."
)
@click.option(
    "--again",
    multiple=True,
    metavar="TICKER",
    help="Request this ticker again even if the snapshot has an answer; may be repeated.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the result for every ticker as JSON.")
@click.option("--quiet", is_flag=True, help="Print only the path of the snapshot.")
def command(inputs: Inputs, out: Path | None, again: tuple[str, ...], as_json: bool, quiet: bool) -> None:
    """Download the prices for EVENTS into a snapshot; repeat it to continue."""
    from eventstudy.config.json_values import plain_json
    from eventstudy.prices.sources import fetch_prices

    read, config = inputs.read()
    with watching(quiet or as_json) as watch:
        snapshot = fetch_prices(read, config, inputs.prices, folder=out, again=again, watch=watch)
    outcomes = {name: entry.outcome for name, entry in sorted(snapshot.tickers.items())}
    if as_json:
        found = {name: plain(outcome) for name, outcome in outcomes.items()}
        click.echo(json.dumps(plain_json({"snapshot": str(snapshot.folder), "outcomes": found}), indent=2))
    elif quiet:
        click.echo(str(snapshot.folder))
    else:
        from eventstudy.report.terminal import print_outcomes

        print_outcomes(outcomes, snapshot.folder, console_for(False))
