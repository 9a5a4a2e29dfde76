"""`eventstudy simulate`: size and power of the tests on pseudo-events."""

from __future__ import annotations

from pathlib import Path

import click

from eventstudy.commands.help_layout import examples
from eventstudy.commands.options import ACCEPT, inputs, prices_of_study, study_options, worker_options
from eventstudy.commands.output import console_for

SECTION = "Study"


@click.command("simulate", epilog=examples("eventstudy simulate events.csv --prices prices --draws 2000"))
@study_options
@ACCEPT
@click.option("--draws", type=int, default=1_000, show_default=True, help="Draws of each design.")
@click.option("--dates", type=int, default=10, show_default=True, help="Dates of each draw.")
@click.option("--peers", type=int, help="Peers on each common date; default 8, or as many as have room where fewer do.")
@click.option("--windows", metavar="[A,B];[C,D]", help="Windows to test; default the study's drop and post.")
@click.option("--designs", metavar="NAME,NAME", help="Designs to simulate, such as dense,dense_regime; default all.")
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
def command(
    events: Path,
    sector: str | None,
    config_file: Path | None,
    prices: str | None,
    overrides: tuple[str, ...],
    draws: int,
    dates: int,
    peers: int | None,
    windows: str | None,
    designs: str | None,
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
    from eventstudy.report.bundle import write_bundle
    from eventstudy.report.sections.simulation import simulation_bundle
    from eventstudy.report.staging import reserve
    from eventstudy.results.evidence import main_windows
    from eventstudy.results.manifest import build_manifest
    from eventstudy.reversal import asks_reversal
    from eventstudy.simulate import DESIGNS, PEERS, Plan, draw_fitting, draw_pool, parse_windows, reaching_back
    from eventstudy.simulate import simulate as run_simulation

    read, config = inputs(events, sector, config_file, overrides, accept_suspect=accept_suspect)
    asked = parse_windows(windows) if windows else main_windows(config, asked=asks_reversal(read, config))[:2]
    wanted = tuple(name.strip() for name in designs.split(",")) if designs else tuple(DESIGNS)
    seed = config.study.seed if seed is None else seed
    common = PEERS if peers is None else peers
    plan = Plan(draws=draws, dates=dates, peers=common, windows=asked, seed=seed, designs=wanted)
    console = console_for(quiet)
    with reserve(out) as place:
        table = prices_of_study(read, reaching_back(read, config), prices, console)
        with console.status("starting") as status:
            if peers is None:
                pool, plan = draw_fitting(read, config, table, plan, region=region)
            else:
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
        bundle = simulation_bundle(result, manifest, sector=config.study.sector)
        folder = write_bundle(bundle, place)
    if quiet:
        click.echo(str(folder))
    else:
        from eventstudy.report.terminal import print_document

        print_document(bundle.document, console, f"Simulation: {folder}")
