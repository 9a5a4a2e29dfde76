"""`eventstudy doctor`: check versions, folders, fonts, calendars, network and clock."""

from __future__ import annotations

from pathlib import Path

import click

from eventstudy.commands.help_layout import examples
from eventstudy.commands.options import OUT

SECTION = "Set up"


@click.command("doctor", epilog=examples("eventstudy doctor", "eventstudy doctor --prices prices"))
@OUT
@click.option(
    "--prices", type=click.Path(path_type=Path), help="Snapshot or folder of prices to compare the clock with."
)
def command(out: Path, prices: Path | None) -> None:
    """Check versions, folders, fonts, calendars, network and clock of this machine."""
    from eventstudy.commands.doctor.examine import examine

    for finding in examine(out=out, prices=prices):
        mark = "ok  " if finding.state == "ok" else "warn"
        click.echo(f"{mark}  {finding.subject}: {finding.text}")
