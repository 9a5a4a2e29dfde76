"""`eventstudy prereg`: lock the question of a study before its prices are read."""

from __future__ import annotations

from pathlib import Path

import click

from eventstudy.commands.help_layout import examples
from eventstudy.commands.options import CONFIG, EVENTS, SECTOR, SET, Inputs
from eventstudy.errors import ConfigError, Problem

SECTION = "Study"


@click.command(
    "prereg",
    epilog=examples(
        "eventstudy prereg events.csv", "eventstudy prereg events.csv --config study.toml --out question.toml"
    ),
)
@EVENTS
@SECTOR
@CONFIG
@SET
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    default=Path("prereg.toml"),
    show_default=True,
    help="File for the locked question; it must not exist yet.",
)
def command(events: Path, sector: str | None, config_file: Path | None, overrides: tuple[str, ...], out: Path) -> None:
    """Lock the question of a study in a file before you see its prices."""
    from eventstudy.results.prereg import as_toml, question

    read, config = Inputs(events=events, sector=sector, config_file=config_file, overrides=overrides).read()
    if out.exists():
        text = "is there already; a locked question is not overwritten, give another --out"
        raise ConfigError(Problem(text, str(out)))
    try:
        out.write_text(as_toml(question(read, config)), encoding="utf-8", newline="\n")
    except OSError as error:
        raise ConfigError(Problem(f"cannot be written: {error.strerror}", str(out))) from error
    click.echo(f"{out}: {len(read)} events, windows, endpoint and seed locked; run with --prereg {out}")
