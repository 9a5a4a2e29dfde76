"""`eventstudy sectors`: the sectors that ship with the package."""

from __future__ import annotations

import click

from eventstudy.commands.help_layout import examples

SECTION = "Set up"


@click.command("sectors", epilog=examples("eventstudy sectors"))
def command() -> None:
    """List the sectors of the package, with their peers, events and prices."""
    from eventstudy.config import load_config, sector_file, sector_names, sector_prices

    for name in sector_names():
        config = load_config(sector_file(name).with_name("events.csv"), sector=name)
        markets = ", ".join(market.mic for market in config.markets)
        ships = "events and prices" if sector_prices(name) else "events, no prices"
        click.echo(f"{name}: {config.study.name}; {len(config.peers)} peers on {markets}; ships {ships}")
