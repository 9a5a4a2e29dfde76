"""`eventstudy simulate`: size and power of the tests on pseudo-events."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from eventstudy.commands.help_layout import examples
from eventstudy.commands.options import ACCEPT, OUT, Inputs, prices_of_study, study_options, worker_options
from eventstudy.commands.output import console_for

if TYPE_CHECKING:
    from eventstudy.config import StudyConfig
    from eventstudy.events import Events
    from eventstudy.prices import PriceTable
    from eventstudy.report.bundle import Bundle
    from eventstudy.simulate import Plan
    from eventstudy.simulate.verdict_rates import VerdictPlan

SECTION = "Study"


@click.command(
    "simulate",
    epilog=examples(
        "eventstudy simulate events.csv --prices prices --draws 2000",
        "eventstudy simulate --example healthcare --verdict --draws 200",
    ),
)
@study_options
@ACCEPT
@click.option(
    "--verdict",
    "of_verdict",
    is_flag=True,
    help="Measure size and power of the verdict instead of the tests; --designs are then those of the verdict.",
)
@click.option("--draws", type=int, default=1_000, show_default=True, help="Number of draws of each design.")
@click.option("--dates", type=int, default=10, show_default=True, help="Number of dates in each draw.")
@click.option("--peers", type=int, help="Peers on each common date; default: 8, or fewer if fewer have prices.")
@click.option(
    "--windows", metavar="[A,B];[C,D]", help="Windows to test; default: the drop and post windows of the study."
)
@click.option("--designs", metavar="NAME,NAME", help="Designs to simulate, such as dense,dense_regime; default: all.")
@click.option("--region", help="Region of the peers; default: the region with the most usable sessions.")
@click.option("--peer-set", metavar="TICKER,TICKER", help="With --verdict: draw from one peer set of the study alone.")
@worker_options
@click.option("--seed", type=int, help="Seed of the draws; default: that of the study.")
@OUT
@click.option("--quiet", is_flag=True, help="Print only the path of the folder.")
def command(
    inputs: Inputs,
    of_verdict: bool,
    draws: int,
    dates: int,
    peers: int | None,
    windows: str | None,
    designs: str | None,
    region: str | None,
    peer_set: str | None,
    jobs: int,
    engine: str,
    scheduler: str,
    seed: int | None,
    out: Path,
    quiet: bool,
) -> None:
    """Measure size and power of the tests, or of the verdict, on pseudo-events."""
    from eventstudy.report.bundle import write_bundle
    from eventstudy.report.staging import reserve
    from eventstudy.simulate import reaching_back, verdict_rates

    read, config = inputs.read()
    seed = config.study.seed if seed is None else seed
    chosen = tuple(name.strip() for name in designs.split(",")) if designs else ()
    # Wrong options are refused before prices are read.
    plan: Any
    if of_verdict:
        plan = verdict_rates.VerdictPlan(draws=draws, seed=seed, designs=chosen or verdict_rates.DESIGNS)
    else:
        plan = _plan(read, config, draws=draws, dates=dates, peers=peers, windows=windows, seed=seed, designs=chosen)
    console = console_for(quiet)
    with reserve(out) as place:
        table = prices_of_study(read, reaching_back(read, config), inputs.prices, console)
        with console.status("starting") as status:
            workers: dict[str, Any] = {"jobs": jobs, "engine": engine, "scheduler": scheduler}
            workers["progress"] = lambda n, all_: status.update(f"draw {n} of {all_} …")
            if of_verdict:
                bundle = _of_verdict(read, config, table, plan, workers, region=region, peer_set=peer_set)
            else:
                bundle = _of_tests(read, config, table, plan, workers, region=region, fitting=peers is None)
        folder = write_bundle(bundle, place)
    if quiet:
        click.echo(str(folder))
    else:
        from eventstudy.report.terminal import print_document

        print_document(bundle.document, console, f"Simulation: {folder}")


def _plan(
    read: Events,
    config: StudyConfig,
    *,
    draws: int,
    dates: int,
    peers: int | None,
    windows: str | None,
    seed: int,
    designs: tuple[str, ...],
) -> Plan:
    """Plan a simulation of the tests, in the main windows of the study if no others are named."""
    from eventstudy.results.effect import main_windows
    from eventstudy.reversal import asks_reversal
    from eventstudy.simulate import DESIGNS, PEERS, Plan, parse_windows

    asked = parse_windows(windows) if windows else main_windows(config, asked=asks_reversal(read, config))[:2]
    common = PEERS if peers is None else peers
    return Plan(draws=draws, dates=dates, peers=common, windows=asked, seed=seed, designs=designs or tuple(DESIGNS))


def _of_tests(
    read: Events,
    config: StudyConfig,
    table: PriceTable,
    plan: Plan,
    workers: Mapping[str, Any],
    *,
    region: str | None,
    fitting: bool,
) -> Bundle:
    """Simulate every test; ``fitting``: with fewer peers on a date than planned where there is no room for more."""
    from eventstudy.report.sections.simulation import simulation_bundle
    from eventstudy.results.manifest import build_manifest
    from eventstudy.reversal import asks_reversal
    from eventstudy.simulate import draw_fitting, draw_pool, simulate

    config = config if asks_reversal(read, config) else config.of_effect
    if fitting:
        pool, plan = draw_fitting(read, config, table, plan, region=region)
    else:
        pool = draw_pool(read, config, table, plan, region=region)
    result = simulate(pool, config, plan, **workers)
    return simulation_bundle(result, build_manifest(read, config, table), config)


def _of_verdict(
    read: Events,
    config: StudyConfig,
    table: PriceTable,
    plan: VerdictPlan,
    workers: Mapping[str, Any],
    *,
    region: str | None,
    peer_set: str | None,
) -> Bundle:
    """Simulate the answer on page 1."""
    from eventstudy.report.sections.verdict_rates import verdict_bundle
    from eventstudy.results.manifest import build_manifest
    from eventstudy.simulate.verdict_rates import draw_material, verdict_rates

    material = draw_material(read, config, table, region=region, peer_set=peer_set)
    rates = verdict_rates(material, config, plan, **workers)
    return verdict_bundle(rates, material, plan, config, build_manifest(read, config, table))
