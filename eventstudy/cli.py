"""The command line. Heavy imports happen inside the commands, so that --help is quick."""

from __future__ import annotations

import errno
import functools
import importlib
import io
import json
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, cast

import click

from eventstudy import __version__
from eventstudy.errors import ConfigError, EventStudyError, Problem

if TYPE_CHECKING:
    from rich.console import Console

    from eventstudy.beside import Start
    from eventstudy.config import StudyConfig
    from eventstudy.events import Events
    from eventstudy.prices import PriceTable
    from eventstudy.prices.fetch import Watch

INTERRUPTED = 130
Command = TypeVar("Command", bound=Callable[..., Any])
DISK_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code; see design of exit codes in the README."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    debug = "--debug" in arguments
    _make_writable()
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
    except (click.Abort, KeyboardInterrupt) as stop:
        # click wraps the interrupt; what was kept of a fetch is its message.
        said = str(stop.__cause__ or stop) or "no result was written, earlier ones are as they were"
        click.echo(f"eventstudy: stopped; {said}", err=True)
        return INTERRUPTED
    except (BrokenPipeError, SystemExit):
        # click leaves by SystemExit when the reader of its output has gone away.
        _drop_output()
        return 0
    except Exception as error:
        if debug:
            raise
        if isinstance(error, OSError) and error.errno in DISK_FULL:
            click.echo(f"eventstudy: {_disk_full(error)}", err=True)
            return 1
        click.echo(
            f"eventstudy: internal error: {type(error).__name__}: {error}; --debug shows where", err=True
        )
        return 1


def entry() -> None:
    """Console script: run and exit; a reader that has gone away, as of `| head`, is no error."""
    code = main()
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        _drop_output()
    sys.exit(code)


def _make_writable() -> None:
    """Let output go on where a terminal lacks a character, or where there is no output at all."""
    if sys.stdout is None:
        sys.stdout = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115, PTH123
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")


def _drop_output() -> None:
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _disk_full(error: OSError) -> str:
    where = f" at {error.filename}" if error.filename else ""
    return (
        f"the disk is full or a file is too large{where} ({error.strerror}); what was half written is "
        "removed, earlier results are as they were. Make room and give the same command again"
    )


def _events_given(context: click.Context, __: click.Parameter, path: Path | None) -> Path | None:
    """Say what to give where neither an events file nor an example was named."""
    if path is None and not context.params.get("example"):
        here = " 'events.csv' in this folder is one:" if Path("events.csv").is_file() else ""
        raise click.UsageError(
            f"no events file given.{here} write 'eventstudy run events.csv'; 'eventstudy init SECTOR' writes "
            "one to start from with a study file, 'eventstudy run --example healthcare' needs none"
        )
    return path


EVENTS = click.argument(
    "events", required=False, type=click.Path(path_type=Path), callback=_events_given, metavar="EVENTS"
)
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


JOBS = click.option(
    "--jobs",
    type=click.IntRange(min=1),
    default=1,
    show_default=True,
    help="Processes on this machine for what is computed piece by piece; the result is the same.",
)
ENGINE = click.option(
    "--engine",
    type=click.Choice(["local", "dask"]),
    default="local",
    show_default=True,
    help="Workers: processes on this machine, or those of a Dask cluster.",
)
SCHEDULER = click.option(
    "--scheduler", default="", metavar="URL", help="Address of the Dask scheduler: tcp://HOST:8786."
)
EXAMPLE = click.option(
    "--example",
    metavar="SECTOR",
    is_eager=True,
    help="A shipped sector with its events and, where it has them, prices.",
)


def study_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command what names a study: its events, sector or TOML, prices and changed settings."""

    @functools.wraps(command)
    def with_example(
        *, events: Path | None, example: str | None, sector: str | None, prices: str | None, **others: Any
    ) -> Any:
        if example:
            events, sector, prices = _example(example, events, sector, others["config_file"], prices)
        assert events is not None, "the callback of the argument has refused it"
        return command(events=events, sector=sector, prices=prices, **others)

    wrapped: Callable[..., Any] = with_example
    for option in (SET, PRICES, CONFIG, SECTOR, EXAMPLE, EVENTS):
        wrapped = option(wrapped)
    return wrapped


def _example(
    name: str, events: Path | None, sector: str | None, config_file: Path | None, prices: str | None
) -> tuple[Path, str, str | None]:
    """Return events, sector and prices of a shipped sector; events or prices given go before its own."""
    from eventstudy.config import sector_file, sector_prices

    if sector or config_file:
        raise click.UsageError("--example names the sector itself; leave --sector and --config out")
    shipped = sector_file(name).with_name("events.csv")
    return events or shipped, name, prices or (f"example:{name}" if sector_prices(name) else None)


def worker_options(command: Command) -> Command:
    """Give a command what names its workers; none of it changes a result."""
    for option in (SCHEDULER, ENGINE, JOBS):
        command = option(command)
    return command


ACCEPT = click.option(
    "--accept-suspect", is_flag=True, help="Go on with prices that the quality checks refuse."
)


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, package_name="eventstudy-kit", prog_name="eventstudy")
def cli() -> None:
    """Event studies with reversal tests over several exchanges."""


@cli.command()
@study_options
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    default=Path("results"),
    show_default=True,
    help="Folder of the result packs.",
)
@click.option("--json", "as_json", is_flag=True, help="Print summary.json instead of the summary.")
@click.option("--quiet", is_flag=True, help="Print nothing but the path of the pack.")
@click.option(
    "--prereg",
    "prereg_file",
    type=click.Path(path_type=Path),
    help="Hold the run against a question locked by 'eventstudy prereg'.",
)
@click.option("--allow-departures", is_flag=True, help="With --prereg, go on with other events or windows.")
@click.option("--language", type=click.Choice(["en", "zh"]), help="Language of the report.")
@worker_options
@ACCEPT
def run(
    events: Path,
    sector: str | None,
    config_file: Path | None,
    prices: str | None,
    overrides: tuple[str, ...],
    out: Path,
    as_json: bool,
    quiet: bool,
    prereg_file: Path | None,
    allow_departures: bool,
    language: str | None,
    jobs: int,
    engine: str,
    scheduler: str,
    accept_suspect: bool,
) -> None:
    """Run the study of EVENTS and write a result pack."""
    from eventstudy.beside import copies
    from eventstudy.report.staging import reserve

    if language:
        overrides = (*overrides, f'study.language="{language}"')
    workers = {"jobs": jobs, "engine": engine, "scheduler": scheduler}
    overrides = (*overrides, *(f"model.{k}={json.dumps(v)}" for k, v in workers.items() if _given(k)))
    read, config = _inputs(events, sector, config_file, overrides, accept_suspect=accept_suspect)
    console = _console(quiet or as_json)
    locked = _departures(prereg_file, read, config, allow=allow_departures) if prereg_file else None
    with reserve(out) as place, copies() as start:
        reading = _begin_prices(start, read, config, prices, console)
        # What the study imports takes as long as reading its prices.
        from eventstudy.report.progress import heeding, watched
        from eventstudy.report.publish import log_trial, past_trials, publish
        from eventstudy.study import run_study

        table = reading()
        study = config.study
        watch = watched(silent=quiet or as_json, language=study.language, kind=study.kind)
        with watch as tell, heeding(tell) as say:
            result = run_study(
                read, config, table, progress=say, prereg=locked, trials=past_trials(place), start=start
            )
            own = Path(config.report.templates) if config.report.templates else None
            folder = publish(
                result, place, formats=config.report.formats, templates=own, progress=say, start=start
            )
        log_trial(place, result, config)
    if as_json:
        click.echo(json.dumps(result.facts, indent=2, sort_keys=True, ensure_ascii=False))
    elif quiet:
        click.echo(str(folder))
    else:
        from eventstudy.report.terminal import print_summary

        print_summary(result, folder, console)


PACK = click.Path(path_type=Path)


@cli.command()
@click.argument("result", type=PACK)
@click.option("--json", "as_json", is_flag=True, help="Print summary.json.")
def show(result: Path, as_json: bool) -> None:
    """Print the summary of the pack RESULT again."""
    from eventstudy.report.packs import read_pack
    from eventstudy.report.terminal import print_summary

    pack = read_pack(result)
    if as_json:
        click.echo(json.dumps(pack.facts, indent=2, sort_keys=True, ensure_ascii=False))
    else:
        print_summary(pack, result, _console(False))


@cli.command()
@click.argument("first", type=PACK)
@click.argument("second", type=PACK)
@click.option("--json", "as_json", is_flag=True, help="Print the differences as JSON.")
def compare(first: Path, second: Path, as_json: bool) -> None:
    """Put two packs side by side: settings, data, verdict and tables that differ."""
    from eventstudy.report.packs import compare_packs, read_pack
    from eventstudy.report.terminal import print_changes
    from eventstudy.report.wording import language_of

    changes = compare_packs(first, second)
    if as_json:
        click.echo(json.dumps([_plain(change) for change in changes], indent=2, ensure_ascii=False))
    else:
        print_changes(changes, first, second, _console(False), language=language_of(read_pack(first)))


@cli.command()
@EVENTS
@SECTOR
@CONFIG
@SET
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    default=Path("prereg.toml"),
    show_default=True,
    help="File of the locked question; it must not exist.",
)
def prereg(
    events: Path, sector: str | None, config_file: Path | None, overrides: tuple[str, ...], out: Path
) -> None:
    """Lock the question of a study before its prices are looked at."""
    from eventstudy.reversal.prereg import as_toml, question

    read, config = _inputs(events, sector, config_file, overrides)
    if out.exists():
        text = "is there already; a locked question is not overwritten, give another --out"
        raise ConfigError(Problem(text, str(out)))
    try:
        out.write_text(as_toml(question(read, config)), encoding="utf-8", newline="\n")
    except OSError as error:
        raise ConfigError(Problem(f"cannot be written: {error.strerror}", str(out))) from error
    click.echo(f"{out}: {len(read)} events, windows, endpoint and seed locked; run with --prereg {out}")


@cli.command()
@study_options
@click.option("--json", "as_json", is_flag=True, help="Print the alignment and the ledger as JSON.")
@ACCEPT
def check(
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

    read, config = _inputs(events, sector, config_file, overrides, accept_suspect=accept_suspect)
    console = _console(as_json)
    source = prices or own_source(read, config)
    table: PriceTable | None = None
    if Path(source).is_dir():
        table = local_prices(read, config, source)
    elif prices or Path(source).is_file():
        table = _prices(read, config, prices, console)
    found = check_study(read, config, table)
    if as_json:
        parts = {
            "alignment": found.alignments.values(),
            "ledger": found.ledger,
            "quality": found.quality,
        }
        rows: dict[str, Any] = {name: [_plain(row) for row in part] for name, part in parts.items()}
        click.echo(json.dumps(rows | {"missing": found.missing}, indent=2, default=str))
        return
    print_alignment(read, config, found.alignments, console)
    if found.ledger:
        print_ledger(found.ledger, console, language=config.study.language, kind=config.study.kind)
    words = catalogue(config.study.language, config.study.kind)
    for sentence in remarks_on(found, read, config, source):
        console.print(said(sentence, words), style="yellow", highlight=False, markup=False, soft_wrap=True)


@cli.command()
@study_options
@ACCEPT
@click.option("--draws", type=int, default=1_000, show_default=True, help="Draws of each design.")
@click.option("--dates", type=int, default=10, show_default=True, help="Dates of each draw.")
@click.option("--peers", type=int, default=8, show_default=True, help="Peers on each common date.")
@click.option("--windows", metavar="[A,B];[C,D]", help="Windows to test; default the study's drop and post.")
@click.option("--region", help="Region whose peers are used; default the one with the longest history.")
@worker_options
@click.option("--seed", type=int, help="Seed of the draws; default the study's.")
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    default=Path("results"),
    show_default=True,
    help="Folder that the simulation's own folder is put into.",
)
@click.option("--quiet", is_flag=True, help="Print nothing but the path of the folder.")
def simulate(
    events: Path,
    sector: str | None,
    config_file: Path | None,
    prices: str | None,
    overrides: tuple[str, ...],
    draws: int,
    dates: int,
    peers: int,
    windows: str | None,
    region: str | None,
    jobs: int,
    engine: str,
    scheduler: str,
    seed: int | None,
    out: Path,
    quiet: bool,
    accept_suspect: bool,
) -> None:
    """Size and power of every test on pseudo-events in the peers' own returns."""
    from eventstudy.report.simulation import print_simulation, write_simulation
    from eventstudy.report.staging import reserve
    from eventstudy.results.summary import build_manifest
    from eventstudy.simulate import Plan, draw_pool, parse_windows, reaching_back
    from eventstudy.simulate import simulate as run_simulation

    read, config = _inputs(events, sector, config_file, overrides, accept_suspect=accept_suspect)
    asked = parse_windows(windows) if windows else (config.windows.drop, config.windows.post)
    plan = Plan(draws, dates, peers, asked, seed=config.study.seed if seed is None else seed)
    console = _console(quiet)
    with reserve(out) as place:
        table = _prices(read, reaching_back(read, config), prices, console)
        with console.status("starting") as status:
            pool = draw_pool(read, config, table, plan, region=region)
            result = run_simulation(
                pool,
                config,
                plan,
                jobs=jobs,
                engine=engine,
                scheduler=scheduler,
                progress=lambda n, all_: status.update(f"draw {n} of {all_} …"),
            )
        manifest = build_manifest(read, config, table)
        folder = write_simulation(result, manifest, place, sector=config.study.sector)
    if quiet:
        click.echo(str(folder))
    else:
        print_simulation(result, folder, console, simulated=table.simulated)


@cli.command()
@study_options
@click.option(
    "--out", type=click.Path(path_type=Path), help="Folder of the snapshot; default one in your data folder."
)
@click.option("--json", "as_json", is_flag=True, help="Print the outcome of every ticker as JSON.")
@click.option("--quiet", is_flag=True, help="Print nothing but the path of the snapshot.")
def fetch(
    events: Path,
    sector: str | None,
    config_file: Path | None,
    prices: str | None,
    overrides: tuple[str, ...],
    out: Path | None,
    as_json: bool,
    quiet: bool,
) -> None:
    """Bring the prices that EVENTS needs into a snapshot; the same command resumes."""
    from eventstudy.prices.sources import fetch_prices

    read, config = _inputs(events, sector, config_file, overrides)
    with _watch(quiet or as_json) as watch:
        snapshot = fetch_prices(read, config, prices, folder=out, watch=watch)
    outcomes = {name: entry.outcome for name, entry in sorted(snapshot.tickers.items())}
    if as_json:
        found = {name: _plain(outcome) for name, outcome in outcomes.items()}
        click.echo(json.dumps({"snapshot": str(snapshot.folder), "outcomes": found}, indent=2))
    elif quiet:
        click.echo(str(snapshot.folder))
    else:
        from eventstudy.report.terminal import print_outcomes

        print_outcomes(outcomes, snapshot.folder, _console(False))


@cli.group()
def snapshot() -> None:
    """Check a price snapshot, or compare two."""


@snapshot.command("verify")
@click.argument("folder", type=click.Path(path_type=Path))
def snapshot_verify(folder: Path) -> None:
    """Compare every file of a snapshot with its sha256."""
    from eventstudy.prices.snapshot import verify_snapshot

    click.echo(f"{folder}: {verify_snapshot(folder)} files are as they were stored")


@snapshot.command("diff")
@click.argument("before", type=click.Path(path_type=Path))
@click.argument("after", type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Print the differences as JSON.")
def snapshot_diff(before: Path, after: Path, as_json: bool) -> None:
    """List by ticker and day what the provider has rewritten from BEFORE to AFTER."""
    from eventstudy.prices.rewritten import diff_snapshots

    rows = diff_snapshots(before, after)
    if as_json:
        click.echo(json.dumps([_finite(_plain(row)) for row in rows], indent=2))
    else:
        from eventstudy.report.terminal import print_rewritten

        print_rewritten(rows, _console(False))


@cli.command()
@click.argument("result", type=click.Path(path_type=Path))
@click.option("--events", type=click.Path(path_type=Path), help="Where the events file is now.")
@click.option("--prices", help="Where the prices are now.")
def verify(result: Path, events: Path | None, prices: str | None) -> None:
    """Run the study of a result pack again and compare every table."""
    from eventstudy.commands.verify import verify_pack

    with _console(False).status("starting") as status:
        done = verify_pack(
            result, events=events, prices=prices, progress=lambda stage: status.update(f"{stage} …")
        )
    equal = f"{done.tables} tables with {done.cells} cells recomputed and equal"
    click.echo(f"{result}: {equal}, {done.files} files intact")


@cli.command()
@EVENTS
@CONFIG
@SET
@click.option(
    "--prices",
    type=click.Path(path_type=Path),
    required=True,
    help="Long CSV or Parquet file: ticker, date, adj_close or return.",
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
def market(
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
    import tempfile

    from eventstudy.config import load_config
    from eventstudy.large.engine import Parallel, run_market
    from eventstudy.readers.market_events import read_market_events
    from eventstudy.report.market import print_market, write_market
    from eventstudy.report.staging import UNFINISHED, reserve

    config = load_config(events, config_file=config_file, overrides=overrides, peers=False)
    name = benchmark or next((item.benchmark for item in config.markets), "")
    if not name:
        raise ConfigError("no benchmark: give --benchmark, a ticker of the prices or a file of its own")
    read = read_market_events(events)
    console = _console(quiet)
    with reserve(out) as place, tempfile.TemporaryDirectory(dir=place, prefix=UNFINISHED) as scratch:
        with console.status("starting") as status:
            result = run_market(
                read,
                prices,
                name,
                config,
                scratch=Path(scratch).resolve(),
                kernel=kernel,
                parallel=Parallel(jobs, engine, scheduler),
                progress=lambda stage: status.update(f"{stage} …"),
            )
        folder = write_market(result, config, place)
    if quiet:
        click.echo(str(folder))
    else:
        print_market(result, folder, console)


@cli.command()
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    default=Path("results"),
    show_default=True,
    help="Folder of the result packs.",
)
@click.option("--prices", type=click.Path(path_type=Path), help="Snapshot or folder to set the clock by.")
def doctor(out: Path, prices: Path | None) -> None:
    """Look at versions, folders, fonts, calendars, network and clock."""
    from eventstudy.commands.doctor import examine

    for finding in examine(out=out, prices=prices):
        mark = "ok  " if finding.state == "ok" else "warn"
        click.echo(f"{mark}  {finding.subject}: {finding.text}")


@cli.command()
@click.argument("sector", required=False)
@click.option(
    "--peer",
    "--peers",
    "peers",
    multiple=True,
    metavar="TICKER:MIC[:NAME]",
    help="A security; give it again for each, or several with commas between them.",
)
@click.option(
    "--benchmark",
    "--market",
    "benchmarks",
    multiple=True,
    metavar="MIC:TICKER",
    help="Index of an exchange, such as XNYS:^GSPC; default its usual one.",
)
@click.option("--currency", default="", help="The study's currency; default that of its first exchange.")
@click.option(
    "--dir",
    "folder",
    type=click.Path(path_type=Path),
    help="Folder to write into; default one of the sector's name.",
)
def init(
    sector: str | None,
    peers: tuple[str, ...],
    benchmarks: tuple[str, ...],
    currency: str,
    folder: Path | None,
) -> None:
    """Write the files of a new sector: study, events, a folder for prices."""
    from eventstudy.commands.init import new_sector, next_steps, write_sector, yahoo_notes

    asking = sys.stdin is not None and sys.stdin.isatty()
    if sector is None:
        if not asking:
            raise click.UsageError("no sector named; write 'eventstudy init airlines --peer DAL:XNYS:Delta'")
        sector = click.prompt("Name of the sector (small letters)")
    if not peers and asking:
        peers = tuple(_asked_for("Security as TICKER:MIC:Name, such as DAL:XNYS:Delta; empty to end"))
        benchmarks += tuple(_asked_for("Index as MIC:TICKER where not the usual one; empty to end"))
    named = [part for text in peers for part in text.split(",") if part.strip()]
    plan = new_sector(str(sector), named, benchmarks=benchmarks, currency=currency)
    place = folder or Path(plan.name)
    write_sector(plan, place)
    for line in (*next_steps(plan, place), *yahoo_notes(plan)):
        click.echo(line)


def _asked_for(question: str) -> Iterator[str]:
    while answer := str(click.prompt(question, default="", show_default=False)).strip():
        yield answer


@cli.command("import-est")
@click.argument("request", type=click.Path(path_type=Path))
@click.argument("firms", type=click.Path(path_type=Path))
@click.argument("market", type=click.Path(path_type=Path))
@click.option(
    "--dir",
    "folder",
    type=click.Path(path_type=Path),
    required=True,
    help="Folder to write the study into.",
)
@click.option(
    "--market",
    "exchanges",
    multiple=True,
    metavar="NAME:MIC",
    help="Exchange of a market of the request, such as DAX:XETR.",
)
def import_est_files(
    request: Path, firms: Path, market: Path, folder: Path, exchanges: tuple[str, ...]
) -> None:
    """Make a study of EventStudyTools' request file, firm data and market data."""
    from eventstudy.commands.import_est import import_est, write_import

    pairs = {name: mic for name, _, mic in (text.rpartition(":") for text in exchanges)}
    found = import_est(request, firms, market, exchanges=pairs)
    write_import(found, folder)
    for remark in found.remarks:
        click.echo(remark)
    click.echo(f"Written into {folder}, with import-report.txt")
    click.echo(f"Next: eventstudy check {folder / 'events.csv'}")


@cli.command()
def sectors() -> None:
    """List the sectors that ship with the package."""
    from eventstudy.config import load_config, sector_file, sector_names, sector_prices

    for name in sector_names():
        config = load_config(sector_file(name).with_name("events.csv"), sector=name)
        markets = ", ".join(market.mic for market in config.markets)
        ships = "events and prices" if sector_prices(name) else "events, no prices"
        click.echo(f"{name}: {config.study.name}; {len(config.peers)} peers on {markets}; ships {ships}")


@cli.command()
@click.argument("packs", type=PACK, nargs=-1, required=True)
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    default=Path("results"),
    show_default=True,
    help="Folder that the pool's own folder is put into.",
)
@click.option("--json", "as_json", is_flag=True, help="Print summary.json instead of the summary.")
@click.option("--quiet", is_flag=True, help="Print nothing but the path of the folder.")
def pool(packs: tuple[Path, ...], out: Path, as_json: bool, quiet: bool) -> None:
    """Join the shocks of several result packs into one test, sector by sector."""
    from eventstudy.pooling.pool import pool_packs
    from eventstudy.report.pooled import print_pool, read_shocks, write_pool
    from eventstudy.report.staging import reserve

    read = [read_shocks(folder) for folder in packs]
    settings = read[0].settings
    found = pool_packs(read, seed=settings["study.seed"], draws=settings["tests.draws"])
    with reserve(out) as place:
        folder, facts = write_pool(found, packs, place)
    if as_json:
        click.echo(json.dumps(facts, indent=2, sort_keys=True, ensure_ascii=False))
    elif quiet:
        click.echo(str(folder))
    else:
        print_pool(found, facts, folder, _console(False))


def _inputs(
    events: Path,
    sector: str | None,
    config_file: Path | None,
    overrides: tuple[str, ...],
    *,
    accept_suspect: bool = False,
) -> tuple[Events, StudyConfig]:
    """Read both inputs and report the problems of both together."""
    from eventstudy.config import load_config
    from eventstudy.events import read_events

    if accept_suspect:
        overrides = (*overrides, "prices.accept_suspect=true")
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


def _given(option: str) -> bool:
    """Whether an option stands on the command line, rather than having its default."""
    source = click.get_current_context().get_parameter_source(option)
    return source is not click.core.ParameterSource.DEFAULT


def _departures(path: Path, events: Events, config: StudyConfig, *, allow: bool) -> dict[str, Any]:
    """Hold a run against its locked question; other events or windows need leave."""
    import hashlib
    import tomllib

    from eventstudy.reversal.prereg import departures, summary_of

    try:
        raw = path.read_bytes()
        locked = tomllib.loads(raw.decode("utf-8-sig"))
    except OSError as error:
        raise ConfigError(Problem(f"cannot be read: {error.strerror}", str(path))) from error
    except ValueError as error:
        text = f"is not TOML: {error}; 'eventstudy prereg' writes such a file"
        raise ConfigError(Problem(text, str(path))) from error
    found = departures(locked, events, config)
    strict = [item for item in found if item.strict]
    if strict and not allow:
        raise ConfigError(
            [
                Problem(f"{item.sentence}; run the locked question, or give --allow-departures", str(path))
                for item in strict
            ]
        )
    return summary_of(found, path.name, hashlib.sha256(raw).hexdigest())


def _prices(events: Events, config: StudyConfig, asked: str | None, console: Console) -> PriceTable:
    from eventstudy.prices.sources import get_prices

    with _watch(console.quiet) as watch:
        return get_prices(events, config, asked, watch=watch, tell=_teller(config, console))


def _teller(config: StudyConfig, console: Console) -> Callable[[str], None]:
    """Give a function that prints what is to be known of the prices, in the study's language."""
    from eventstudy.messages import catalogue, said

    words = catalogue(config.study.language)
    return lambda text: console.print(said(text, words), style="yellow", highlight=False)


def _begin_prices(
    start: Start, events: Events, config: StudyConfig, asked: str | None, console: Console
) -> Callable[[], PriceTable]:
    """Begin to read prices that are on this machine; others are fetched here, where one can watch."""
    from eventstudy.exchanges.calendars import remember
    from eventstudy.prices.sources import is_local, prices_and_calendars

    if not is_local(events, config, asked):
        return functools.partial(_prices, events, config, asked, console)
    # Both processes need it: imported once.
    importlib.import_module("pandas")
    work, tell = start(prices_and_calendars, events, config, asked), _teller(config, console)

    def finish() -> PriceTable:
        table, told, sessions = work.result()
        for text in told:
            tell(text)
        remember(sessions)
        return cast("PriceTable", table)

    return finish


@contextmanager
def _watch(silent: bool) -> Iterator[Watch | None]:
    """Show on stderr which ticker is being fetched; nothing where nobody watches."""
    if silent or not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("prices", total=None)

        def watch(done: int, total: int, ticker: str) -> None:
            doing = f"fetching {ticker}" if ticker else "done"
            progress.update(task, completed=done, total=total, description=doing)

        yield watch


def _finite(row: dict[str, Any]) -> dict[str, Any]:
    """JSON has no NaN: it becomes null."""
    return {key: None if value != value else value for key, value in row.items()}


def _plain(row: Any) -> dict[str, Any]:
    return {name: getattr(row, name) for name in row.__dataclass_fields__}


def _console(silent: bool) -> Console:
    from rich.console import Console

    # Into a pipe or a file a table keeps all its columns; a terminal has its own width.
    width = None if sys.stdout.isatty() or "COLUMNS" in os.environ else 140
    return Console(quiet=silent, soft_wrap=False, width=width)
