"""`eventstudy snapshot`: one price snapshot checked, or two compared."""

from __future__ import annotations

import json
from pathlib import Path

import click

from eventstudy.commands.help_layout import examples
from eventstudy.commands.output import console_for, plain

SECTION = "Prices"


@click.group(
    "snapshot",
    epilog=examples(
        "eventstudy snapshot verify prices/2026-08-11", "eventstudy snapshot diff prices/2026-07-01 prices/2026-08-11"
    ),
)
def command() -> None:
    """Check a price snapshot, or compare two."""


@command.command("verify")
@click.argument("folder", type=click.Path(path_type=Path))
def snapshot_verify(folder: Path) -> None:
    """Compare every file of the snapshot FOLDER with its sha256."""
    from eventstudy.prices.snapshot import verify_snapshot

    click.echo(f"{folder}: {verify_snapshot(folder)} files are as they were stored")


@command.command("diff")
@click.argument("before", type=click.Path(path_type=Path))
@click.argument("after", type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Print the differences as JSON.")
def snapshot_diff(before: Path, after: Path, as_json: bool) -> None:
    """List by ticker and day which prices differ between two snapshots."""
    from eventstudy.config.json_values import plain_json
    from eventstudy.prices.snapshot import diff_snapshots

    rows = diff_snapshots(before, after)
    if as_json:
        click.echo(json.dumps(plain_json([plain(row) for row in rows]), indent=2))
    else:
        from eventstudy.report.terminal import print_rewritten

        print_rewritten(rows, console_for(False))
