"""The pages of a simulation: size and power of every test, and its folder."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from eventstudy.config.json_values import plain_json
from eventstudy.plots.simulation import SHORT, draw_simulation, power_tests, power_windows, sizes
from eventstudy.report.bundle import Bundle, digest
from eventstudy.report.document import Block, BulletList, Document, FigureBlock, Paragraph, Section, TableBlock, table
from eventstudy.report.render.csv import stamped
from eventstudy.results.columns import window_name
from eventstudy.simulate import DENSE, DESIGNS, POWER_DESIGNS, Rate, Simulation, dense_rows, planted
from eventstudy.simulate.plan import BROWN_WARNER_TEST, DAY0, PAIRS

if TYPE_CHECKING:
    from eventstudy.core.abnormal import Window

COLUMNS = tuple(
    """design test window effect n_draws reject_share mc_lower mc_upper holds n_events n_dates target k_eff""".split()
)
#: Heads of the printed table of the designs that are as dense as the study.
SHORT_DENSE = {"dense": "as they are", "dense_regime": "sd x2.5 later", "dense_doubled": "common x2"}
FIGURE = "size-and-power"
SIMULATED = "SIMULATED PRICES – nothing here is about real markets"


def simulation_bundle(simulation: Simulation, manifest: Mapping[str, Any], *, sector: str) -> Bundle:
    """Return the folder of a simulation; its name ends with a digest of inputs and settings.

    Parameters
    ----------
    manifest
        From `manifest.build_manifest`: settings, inputs by hash, price source, versions.
    """
    simulated = bool(manifest["prices"]["simulated"])
    record = {**manifest, "seed": simulation.plan.seed, "simulation": _settings(simulation)}
    marked, region = "simulated-" if simulated else "", simulation.pool.region.lower()
    note = f"prices to {manifest['prices']['data_date']}"
    return Bundle(
        name=f"simulation-{sector or 'study'}-{marked}{region}-{digest(record)}",
        document=simulation_document(simulation, note, simulated=simulated),
        pages="simulation",
        tables={"simulation": stamped(simulation_rows(simulation), simulated=simulated)},
        drawings={FIGURE: draw_simulation(simulation, note=note, simulated=simulated)},
        record="simulation.json",
        facts={
            **record,
            "rbar": simulation.rbar,
            "sigma": simulation.sigma,
            "conclusions": [conclusion(simulation, window) for window in simulation.plan.windows],
        },
    )


def _settings(simulation: Simulation) -> dict[str, Any]:
    pool = simulation.pool
    plan = simulation.plan
    dense = not set(plan.designs) - set(DENSE)
    days = pool.sessions[dense_rows(pool, plan.peers) if dense else pool.eligible(plan.peers)]
    return {
        **asdict(plan),
        "designs": {name: DESIGNS[name] for name in DESIGNS if name in plan.designs},
        "region": pool.region,
        "benchmark": pool.benchmark,
        "tickers": list(pool.tickers),
        "candidate_sessions": len(days),
        "first_candidate": str(days[0]),
        "last_candidate": str(days[-1]),
        "gaps": list(pool.gaps),
        "planted": {window_name(window): planted(window) for window in simulation.plan.windows},
    }


def simulation_rows(simulation: Simulation) -> list[dict[str, Any]]:
    """Return the rows of simulation.csv: by design, effect, window and test; None where undefined.

    ``mc_lower`` and ``mc_upper`` are the 99 % interval of the share over draws, ``holds`` whether the
    target lies in it, ``target`` the nominal level or the analytic power.
    """
    order = {name: at for at, name in enumerate(DESIGNS)}
    rates = sorted(simulation.rates, key=lambda r: (order[r.case.design], r.case.effect, r.window))
    return [dict(zip(COLUMNS, _cells(rate), strict=True)) for rate in rates]


def _cells(rate: Rate) -> tuple[Any, ...]:
    numbers = [plain_json(value) for value in (rate.share, *rate.interval)]
    holds = rate.verdict == "holds" if rate.verdict else None
    return (
        rate.case.design,
        rate.test,
        window_name(rate.window),
        rate.case.effect,
        rate.n_draws,
        *numbers,
        holds,
        rate.n_events,
        rate.n_dates,
        plain_json(rate.target),
        plain_json(rate.k_eff),
    )


def conclusion(simulation: Simulation, window: Window) -> str:
    """Return one sentence: which tests keep their level on common (or else dense) dates and which do not."""
    design = "common" if simulation.plan.has("common") else "dense"
    held, rarely, often = (
        [rate for rate in sizes(simulation, design, window) if rate.verdict == verdict]
        for verdict in ("holds", "too rarely", "too often")
    )
    level = f"{simulation.plan.level:.0%}"
    head = f"{design.capitalize()} dates, {window_name(window)}"
    parts = [f"{head}: {level} is held by {_listed(held, shares=False) or 'no test'}"]
    if rarely:
        parts.append(f"rejected too rarely by {_listed(rarely)}")
    parts.append(f"rejected too often by {_listed(often) or 'no test'}")
    return "; ".join(parts) + "."


def _listed(rates: Sequence[Rate], *, shares: bool = True) -> str:
    ordered = sorted(rates, key=lambda rate: -rate.share) if shares else rates
    return ", ".join(f"{rate.test} ({rate.share:.1%})" if shares else rate.test for rate in ordered)


def simulation_document(simulation: Simulation, note: str, *, simulated: bool) -> Document:
    """Return the pages: size by test and design, power, the check after Brown and Warner, and the conclusions."""
    plan, pool = simulation.plan, simulation.pool
    dates = plan.dates if plan.has(*SHORT) else len(pool.gaps) + 1
    told = (
        f"{pool.region} against {pool.benchmark}: {len(pool.tickers)} peers, {plan.draws} draws of {dates} dates × "
        f"{plan.peers} peers; mean residual correlation on a date {simulation.rbar:.2f}; seed {plan.seed}"
    )
    size: list[Block] = []
    for window in plan.windows:
        size += [_size_table(simulation, window)] if plan.has(*SHORT) else []
        size += [_dense_table(simulation, window)] if plan.has(*DENSE) and pool.gaps else []
    windows = power_windows(simulation) if plan.has("common") else []
    power: list[Block] = [_power_table(simulation, window) for window in windows]
    if plan.has("brown_warner"):
        power.append(Paragraph(brown_warner_line(simulation)))
    found = (
        Section(
            name="answer",
            blocks=(
                BulletList(tuple(Paragraph(conclusion(simulation, window)) for window in plan.windows)),
                Paragraph(told),
                FigureBlock(FIGURE, "Dot plot and line chart: size and power of the tests by design"),
            ),
        ),
        Section(
            name="size",
            heading="Size: rejections where nothing happened",
            blocks=(
                *size,
                Paragraph(f"↑ above, ↓ below {plan.level:.0%} ± 2.58 standard errors over the draws", tone="note"),
            ),
        ),
        Section(name="power", heading="Power", blocks=tuple(power)),
    )
    return Document(
        title=f"Size and power of the tests, {pool.region}",
        subject="simulation",
        origin=(f"seed {plan.seed}", note),
        sections=tuple(section for section in found if section.blocks),
        banner=SIMULATED if simulated else "",
    )


def _size_table(simulation: Simulation, window: Window) -> TableBlock:
    cells = {test: [simulation.rate(design, test, window) for design in SHORT] for test in simulation.tests}
    rows = [
        (test, *map(_size_cell, rates))
        for test, rates in cells.items()
        if any(rate is not None and rate.n_draws for rate in rates)
    ]
    return table(("test", *SHORT.values()), rows, left=1, title=f"Size, %, window {window_name(window)}")


def _dense_table(simulation: Simulation, window: Window) -> TableBlock:
    """Size and power on dates as dense as the study's own; – where a test did not apply."""
    effect = planted(window)
    shown = [name for name in SHORT_DENSE if simulation.plan.has(name)]
    rows = []
    for test in simulation.tests:
        rates = [simulation.rate(design, test, window) for design in shown]
        known = next((rate for rate in rates if rate is not None and rate.n_draws), None)
        if known is None:
            continue
        powers = [simulation.rate(design, test, window, effect) for design in shown]
        cells = [f"{_size_cell(size)} / {_power(power)}" for size, power in zip(rates, powers, strict=True)]
        rows.append((test, str(known.n_dates), f"{known.k_eff:.1f}", *cells))
    title = f"Dates as dense as the study's own: size / power at a drop of {effect:.1%}, %, window "
    return table(
        ("test", "K", "K_eff", *(SHORT_DENSE[name] for name in shown)), rows, left=1, title=title + window_name(window)
    )


def _size_cell(rate: Rate | None) -> str:
    if rate is None or not rate.n_draws:
        return "–"
    return f"{100 * rate.share:.1f}{ {'too often': '↑', 'too rarely': '↓'}.get(rate.verdict, ' ') }"


def _power_table(simulation: Simulation, window: Window) -> TableBlock:
    effects = simulation.plan.effects
    rows = [
        (
            test,
            *(
                " / ".join(_power(simulation.rate(design, test, window, e)) for design in POWER_DESIGNS)
                for e in effects
            ),
        )
        for test in power_tests(simulation, window)
    ]
    title = f"Power, %, random / common dates, window {window_name(window)}; tests that rejected too often left out"
    return table(("test", *(f"drop {effect:.1%}" for effect in effects)), rows, left=1, title=title)


def _power(rate: Rate | None) -> str:
    return f"{100 * rate.share:.0f}" if rate is not None and rate.n_draws else "–"


def brown_warner_line(simulation: Simulation) -> str:
    """Return one sentence that sets the check after Brown and Warner against its analytic target."""
    pairs = [
        f"drop {effect:.1%}: {rate.share:.1%} ({rate.target:.1%})"
        for effect in (0.0, *simulation.plan.effects)
        if (rate := simulation.rate("brown_warner", BROWN_WARNER_TEST, DAY0, effect)) is not None
    ]
    what = f"{PAIRS} random pairs, {BROWN_WARNER_TEST}, one-sided, day 0, rejected (analytic target)"
    return f"{what}: {', '.join(pairs)}"
