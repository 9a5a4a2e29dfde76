"""The command line. Heavy imports happen inside the commands, so that --help is quick."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from . import __version__
from .errors import EventStudyError, Problem

if TYPE_CHECKING:
    from rich.console import Console

    from .config import StudyConfig
    from .events import Events
    from .prices import PriceTable

INTERRUPTED = 130


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code; see design of exit codes in the README."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    debug = "--debug" in arguments
    try:
        outcome = cli.main(
            args=[a for a in arguments if a != "--debug"], prog_name="eventstudy", standalone_mode=False
        )
        return int(outcome or 0)
    except EventStudyError as error:
        if debug:
            raise
        for problem in error.problems:
            click.echo(f"eventstudy: {problem}", err=True)
        return error.exit_code
    except click.ClickException as error:
        error.show()
        return 2
    except (click.Abort, KeyboardInterrupt):
        click.echo("eventstudy: stopped; no result was written, earlier ones are as they were", err=True)
        return INTERRUPTED
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except Exception as error:
        if debug:
            raise
        click.echo(
            f"eventstudy: internal error: {type(error).__name__}: {error}; --debug shows where", err=True
        )
        return 1


def entry() -> None:
    """Console script: run and exit."""
    sys.exit(main())


EVENTS = click.argument("events", type=click.Path(path_type=Path))
SECTOR = click.option("--sector", help="A shipped sector; 'eventstudy sectors' lists them.")
CONFIG = click.option(
    "--config", "config_file", type=click.Path(path_type=Path), help="A study's TOML of your own."
)
PRICES = click.option(
    "--prices", help="yahoo, simulated, or a folder or file of prices; default from the TOML."
)
SET = click.option(
    "--set", "overrides", multiple=True, metavar="KEY=VALUE", help="Change one setting: windows.minimum=150."
)


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, package_name="eventstudy-kit", prog_name="eventstudy")
def cli() -> None:
    """Event studies with reversal tests over several exchanges."""


@cli.command()
@EVENTS
@SECTOR
@CONFIG
@PRICES
@SET
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    default=Path("results"),
    show_default=True,
    help="Folder of the result packs.",
)
@click.option("--json", "as_json", is_flag=True, help="Print summary.json instead of the summary.")
@click.option("--quiet", is_flag=True, help="Print nothing but the path of the pack.")
def run(
    events: Path, sector: str | None, config_file: Path | None, prices: str | None,
    overrides: tuple[str, ...], out: Path, as_json: bool, quiet: bool,
) -> None:  # fmt: skip
    """Run the study of EVENTS and write a result pack."""
    from .report.publish import publish, reserve
    from .study import run_study

    read, config = _inputs(events, sector, config_file, overrides)
    console = _console(quiet or as_json)
    with reserve(out) as place:
        table = _prices(read, config, prices, console)
        with console.status("starting") as status:
            result = run_study(read, config, table, progress=lambda stage: status.update(f"{stage} …"))
            folder = publish(
                result, place, formats=config.report.formats, progress=lambda s: status.update(f"{s} …")
            )
    if as_json:
        click.echo(json.dumps(result.summary, indent=2, sort_keys=True, ensure_ascii=False))
    elif quiet:
        click.echo(str(folder))
    else:
        from .report.terminal import print_summary

        print_summary(result, folder, console)


@cli.command()
@EVENTS
@SECTOR
@CONFIG
@PRICES
@SET
@click.option("--json", "as_json", is_flag=True, help="Print the alignment and the ledger as JSON.")
def check(
    events: Path, sector: str | None, config_file: Path | None, prices: str | None,
    overrides: tuple[str, ...], as_json: bool,
) -> None:  # fmt: skip
    """Validate EVENTS, show day 0 on each exchange and, where --prices is given, the ledger."""
    from .calendars import align_all
    from .report.terminal import print_alignment, print_ledger

    read, config = _inputs(events, sector, config_file, overrides)
    alignments = align_all(read, config)
    console = _console(as_json)
    ledger = _ledger(read, config, _prices(read, config, prices, console), alignments) if prices else ()
    if as_json:
        rows = [_plain(row) for row in alignments.values()]
        click.echo(
            json.dumps({"alignment": rows, "ledger": [_plain(row) for row in ledger]}, indent=2, default=str)
        )
        return
    print_alignment(read, config, alignments, console)
    if ledger:
        print_ledger(ledger, console)


@cli.command()
def sectors() -> None:
    """List the sectors that ship with the package."""
    from .config import load_config, sector_file, sector_names

    for name in sector_names():
        config = load_config(sector_file(name).with_name("events.csv"), sector=name)
        markets = ", ".join(market.mic for market in config.markets)
        click.echo(f"{name}: {config.study.name}; {len(config.peers)} peers on {markets}")


def _inputs(
    events: Path, sector: str | None, config_file: Path | None, overrides: tuple[str, ...]
) -> tuple[Events, StudyConfig]:
    """Read both inputs and report the problems of both together."""
    from .config import load_config
    from .events import read_events

    if sector and config_file:
        raise click.UsageError("--sector and --config exclude each other; a TOML may say study.sector itself")
    problems: list[Problem] = []
    outcome: list[Any] = []
    for read in (
        lambda: read_events(events),
        lambda: load_config(events, sector=sector, config_file=config_file, overrides=overrides),
    ):
        try:
            outcome.append(read())
        except EventStudyError as error:
            problems += error.problems
            kind = type(error)
    if problems:
        raise kind(problems)
    return outcome[0], outcome[1]


def _prices(events: Events, config: StudyConfig, asked: str | None, console: Console) -> PriceTable:
    from .prices.choose import get_prices

    return get_prices(
        events, config, asked, tell=lambda text: console.print(text, style="yellow", highlight=False)
    )


def _ledger(events: Events, config: StudyConfig, prices: PriceTable, alignments: Any) -> Any:
    from .calendars import sessions
    from .returns import to_returns
    from .selection import select

    return select(events, config, prices, to_returns(prices, config, sessions=sessions), alignments).ledger


def _plain(row: Any) -> dict[str, Any]:
    return {name: getattr(row, name) for name in row.__dataclass_fields__}


def _console(silent: bool) -> Console:
    from rich.console import Console

    return Console(quiet=silent, soft_wrap=False)
