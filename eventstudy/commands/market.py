"""`eventstudy market`: events of a whole market, in any number."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from eventstudy.commands.help_layout import examples
from eventstudy.commands.options import CONFIG, EVENTS, SET, InputFile, worker_options
from eventstudy.commands.output import console_for
from eventstudy.errors import ConfigError

if TYPE_CHECKING:
    from eventstudy.config import StudyConfig


SECTION = "Study"


@click.command("market", epilog=examples("eventstudy market events.parquet --prices prices.parquet --benchmark ^GSPC"))
@EVENTS
@CONFIG
@SET
@click.option(
    "--prices", type=InputFile(), required=True, help="Long CSV or Parquet file: ticker, date, adj_close or return."
)
@click.option("--benchmark", help="A ticker of the prices, or a file of its own; default the study's first.")
@worker_options
@click.option(
    "--kernel",
    type=click.Choice(["auto", "numpy", "numba"]),
    default="auto",
    show_default=True,
    help="numba needs the extra 'fast'; auto takes it where it pays.",
)
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    default=Path("results"),
    show_default=True,
    help="Folder that the study's own folder is put into.",
)
@click.option("--quiet", is_flag=True, help="Print nothing but the path of the folder.")
def command(
    events: Path,
    config_file: Path | None,
    overrides: tuple[str, ...],
    prices: Path,
    benchmark: str | None,
    jobs: int,
    engine: str,
    scheduler: str,
    kernel: Any,
    out: Path,
    quiet: bool,
) -> None:
    """Study EVENTS of a whole market, a ticker and a date a row, in any number."""
    from eventstudy.config import load_config

    config = load_config(events, config_file=config_file, overrides=overrides, peers=False)
    workers: dict[str, Any] = {"jobs": jobs, "engine": engine, "scheduler": scheduler}
    study_list(events, config, prices, benchmark, out=out, quiet=quiet, kernel=kernel, **workers)


def is_long_list(events: Path) -> bool:
    """Whether a file is a list of tickers and dates of more firm-events than `run` holds in memory."""
    from eventstudy.config import IN_MEMORY

    try:
        # A byte is less than any event takes, even packed.
        if events.stat().st_size < IN_MEMORY:
            return False
        from eventstudy.readers.market_events import count_events

        return count_events(events) > IN_MEMORY
    except OSError:
        return False


def study_list(
    events: Path,
    config: StudyConfig,
    prices: Path,
    benchmark: str | None,
    *,
    out: Path,
    quiet: bool,
    as_json: bool = False,
    kernel: Any = "auto",
    **workers: Any,
) -> None:
    """Study a list of any length by sums over dates, write its folder and say what was found."""
    import tempfile

    from eventstudy.large.engine import run_market
    from eventstudy.readers.market_events import read_market_events
    from eventstudy.report.bundle import write_bundle
    from eventstudy.report.sections.market import market_bundle
    from eventstudy.report.staging import UNFINISHED, reserve

    name = benchmark or next((item.benchmark for item in config.markets), "")
    if not name:
        raise ConfigError("no benchmark: give --benchmark, a ticker of the prices or a file of its own")
    read = read_market_events(events)
    console = console_for(quiet or as_json)
    with reserve(out) as place, tempfile.TemporaryDirectory(dir=place, prefix=UNFINISHED) as scratch:
        with console.status("starting") as status:
            result = run_market(
                read,
                prices,
                name,
                config,
                scratch=Path(scratch).resolve(),
                kernel=kernel,
                workers=workers,
                progress=lambda stage: status.update(f"{stage} …"),
            )
        bundle = market_bundle(result, config)
        folder = write_bundle(bundle, place)
    if as_json:
        click.echo((folder / "summary.json").read_text(encoding="utf-8"), nl=False)
    elif quiet:
        click.echo(str(folder))
    else:
        from eventstudy.report.terminal import print_document

        print_document(bundle.document, console, f"Results: {folder}")
