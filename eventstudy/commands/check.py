"""`eventstudy check`: the inputs of a study looked at, nothing estimated."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from eventstudy.commands.options import ACCEPT, inputs, prices_of_study, study_options
from eventstudy.commands.output import console_for, plain

if TYPE_CHECKING:
    from eventstudy.prices import PriceTable


@click.command("check")
@study_options
@click.option("--json", "as_json", is_flag=True, help="Print the alignment and the ledger as JSON.")
@ACCEPT
def command(
    events: Path,
    sector: str | None,
    config_file: Path | None,
    prices: str | None,
    overrides: tuple[str, ...],
    as_json: bool,
    accept_suspect: bool,
) -> None:
    """Validate EVENTS, show day 0 on each exchange and, where --prices is given, the ledger."""
    from eventstudy.api import check_study, remarks_on
    from eventstudy.messages import catalogue, said
    from eventstudy.prices.sources import local_prices, own_source
    from eventstudy.report.terminal import print_alignment, print_ledger

    read, config = inputs(events, sector, config_file, overrides, accept_suspect=accept_suspect)
    console = console_for(as_json)
    source = prices or own_source(read, config)
    table: PriceTable | None = None
    if Path(source).is_dir():
        table = local_prices(read, config, source)
    elif prices or Path(source).is_file():
        table = prices_of_study(read, config, prices, console)
    found = check_study(read, config, table)
    if as_json:
        parts = {
            "alignment": found.alignments.values(),
            "ledger": found.ledger,
            "quality": found.quality,
        }
        rows: dict[str, Any] = {name: [plain(row) for row in part] for name, part in parts.items()}
        click.echo(json.dumps(rows | {"missing": found.missing}, indent=2, default=str))
        return
    print_alignment(read, config, found.alignments, console)
    if found.ledger:
        print_ledger(found.ledger, console, language=config.study.language)
    words = catalogue(config.study.language)
    for sentence in remarks_on(found, read, config, source):
        console.print(said(sentence, words), style="yellow", highlight=False, markup=False, soft_wrap=True)
