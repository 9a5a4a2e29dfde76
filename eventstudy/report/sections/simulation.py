"""The pages of a simulation: size and power of every test, and its folder."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from eventstudy.config import StudyConfig
from eventstudy.config.json_values import plain_json
from eventstudy.messages import catalogue, term
from eventstudy.plots.simulation import SHORT, draw_simulation, power_tests, power_windows, sizes
from eventstudy.report.bundle import Bundle, digest
from eventstudy.report.document import Block, BulletList, Document, FigureBlock, Paragraph, Section, TableBlock, table
from eventstudy.report.render.data import stamped
from eventstudy.report.wording import Words, test_name, window_words
from eventstudy.results.columns import window_name
from eventstudy.simulate import DENSE, DESIGNS, POWER_DESIGNS, Rate, Simulation, dense_rows, planted
from eventstudy.simulate.plan import BROWN_WARNER_TEST, DAY0, PAIRS

if TYPE_CHECKING:
    from eventstudy.config import Window

COLUMNS = tuple(
    """design test window effect n_draws reject_share mc_lower mc_upper holds n_events n_dates target k_eff""".split()
)
#: Designs with dates as dense as those of the study, in the order of their table.
SHORT_DENSE = ("dense", "dense_regime", "dense_doubled")
FIGURE = "size-and-power"
#: Arrows for shares outside the band around the level.
_ARROWS = {"too often": "↑", "too rarely": "↓"}


def simulation_bundle(simulation: Simulation, manifest: Mapping[str, Any], config: StudyConfig) -> Bundle:
    """Return the folder of a simulation; its name ends with a digest of inputs and settings.

    Parameters
    ----------
    manifest
        From `manifest.build_manifest`: settings, inputs by hash, price source, versions.
    """
    simulated = bool(manifest["prices"]["simulated"])
    record = {**manifest, "seed": simulation.plan.seed, "simulation": _settings(simulation)}
    marked, region = "simulated-" if simulated else "", simulation.pool.region.lower()
    words = catalogue(config.study.language)
    note = words["verdict_rates.prices_to"].format(day=manifest["prices"]["data_date"])
    drawing = draw_simulation(simulation, words, note=note, simulated=simulated)
    return Bundle(
        name=f"simulation-{config.study.sector or 'study'}-{marked}{region}-{digest(record)}",
        document=simulation_document(simulation, words, config.study.language, note, simulated=simulated),
        pages="simulation",
        tables={"simulation": stamped(simulation_rows(simulation), simulated=simulated)},
        drawings={FIGURE: drawing},
        record="simulation.json",
        facts={
            **record,
            "rbar": simulation.rbar,
            "sigma": simulation.sigma,
            "conclusions": [conclusion(simulation, window, words) for window in simulation.plan.windows],
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

    ``mc_lower`` and ``mc_upper`` are the 99 % interval of the share over draws, ``target`` is the nominal level or the
    analytic power, ``holds`` says whether the interval contains it.
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


def conclusion(simulation: Simulation, window: Window, words: Words) -> str:
    """Return one sentence: which tests keep their level on common (else dense) dates and which do not."""
    design = "common" if simulation.plan.has("common") else "dense"
    held, rarely, often = (
        [rate for rate in sizes(simulation, design, window) if rate.verdict == verdict]
        for verdict in ("holds", "too rarely", "too often")
    )
    parts = [words["simulation.held"].format(tests=_listed(held, words, shares=False))]
    if rarely:
        parts.append(words["simulation.rarely"].format(tests=_listed(rarely, words)))
    parts.append(words["simulation.often"].format(tests=_listed(often, words)))
    level, dates = f"{simulation.plan.level:.0%}", words[f"simulation.dates_{design}"]
    told = words["simulation.semicolon"].join(parts).format(level=level)
    return words["simulation.conclusion"].format(dates=dates, window=window_words(window), told=told)


def _listed(rates: Sequence[Rate], words: Words, *, shares: bool = True) -> str:
    ordered = sorted(rates, key=lambda rate: -rate.share) if shares else rates
    named = [test_name(words, rate.test) + (f" ({rate.share:.1%})" if shares else "") for rate in ordered]
    return words["small.late_comma"].join(named) or words["simulation.no_test"]


def simulation_document(simulation: Simulation, words: Words, language: str, note: str, *, simulated: bool) -> Document:
    """Return the pages: size by test and design, power, the check after Brown and Warner, and the conclusions."""
    plan, pool = simulation.plan, simulation.pool
    told = words["simulation.told"].format(
        region=term(words, "region", pool.region),
        benchmark=pool.benchmark,
        n=len(pool.tickers),
        draws=plan.draws,
        dates=plan.dates if plan.has(*SHORT) else len(pool.gaps) + 1,
        peers=plan.peers,
        rbar=simulation.rbar,
        seed=plan.seed,
    )
    size: list[Block] = []
    for window in plan.windows:
        size += [_size_table(simulation, window, words)] if plan.has(*SHORT) else []
        size += [_dense_table(simulation, window, words)] if plan.has(*DENSE) and pool.gaps else []
    windows = power_windows(simulation) if plan.has("common") else []
    power: list[Block] = [_power_table(simulation, window, words) for window in windows]
    if plan.has("brown_warner"):
        power.append(Paragraph(brown_warner_line(simulation, words)))
    arrows = Paragraph(words["simulation.arrows"].format(level=f"{plan.level:.0%}"), tone="note")
    conclusions = tuple(Paragraph(conclusion(simulation, window, words)) for window in plan.windows)
    found = (
        Section(
            name="answer",
            blocks=(
                Paragraph(words["simulation.asked"], words["headline.question"]),
                BulletList(conclusions),
                Paragraph(told, tone="note"),
                FigureBlock(FIGURE, words["simulation.alt"]),
            ),
        ),
        Section(name="size", heading=words["simulation.size"], blocks=(*size, arrows)),
        Section(name="power", heading=words["simulation.power"], blocks=tuple(power)),
    )
    return Document(
        title=words["simulation.title"].format(region=term(words, "region", pool.region)),
        subject=words["simulation.subject"],
        origin=(words["simulation.seed"].format(seed=plan.seed), note),
        sections=tuple(section for section in found if section.blocks),
        banner=words["page.simulated_banner"] if simulated else "",
        language=language,
    )


def _size_table(simulation: Simulation, window: Window, words: Words) -> TableBlock:
    cells = {test: [simulation.rate(design, test, window) for design in SHORT] for test in simulation.tests}
    rows = [
        (test_name(words, test), *map(_size_cell, rates))
        for test, rates in cells.items()
        if any(rate is not None and rate.n_draws for rate in rates)
    ]
    heads = [words[f"simulation.{name}"] for name in ("test", *SHORT)]
    return table(heads, rows, left=1, title=words["simulation.size_of"].format(window=window_words(window)))


def _dense_table(simulation: Simulation, window: Window, words: Words) -> TableBlock:
    """Size and power on dates as dense as the study's own; – if a test did not apply."""
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
        rows.append((test_name(words, test), str(known.n_dates), f"{known.k_eff:.1f}", *cells))
    heads = [words["simulation.test"], words["small.k"], words["small.k_eff"]]
    title = words["simulation.dense_of"].format(effect=f"{effect:.1%}", window=window_words(window))
    return table([*heads, *(words[f"simulation.{name}"] for name in shown)], rows, left=1, title=title)


def _size_cell(rate: Rate | None) -> str:
    return f"{100 * rate.share:.1f}{_ARROWS.get(rate.verdict, ' ')}" if rate is not None and rate.n_draws else "–"


def _power_table(simulation: Simulation, window: Window, words: Words) -> TableBlock:
    effects = simulation.plan.effects

    def cell(test: str, effect: float) -> str:
        return " / ".join(_power(simulation.rate(design, test, window, effect)) for design in POWER_DESIGNS)

    rows = [
        (test_name(words, test), *(cell(test, effect) for effect in effects))
        for test in power_tests(simulation, window)
    ]
    heads = [words["simulation.test"], *(words["simulation.drop"].format(effect=f"{e:.1%}") for e in effects)]
    return table(heads, rows, left=1, title=words["simulation.power_of"].format(window=window_words(window)))


def _power(rate: Rate | None) -> str:
    return f"{100 * rate.share:.0f}" if rate is not None and rate.n_draws else "–"


def brown_warner_line(simulation: Simulation, words: Words) -> str:
    """Return one sentence that compares the check after Brown and Warner with its analytic target."""
    pairs = [
        words["simulation.pair"].format(effect=f"{effect:.1%}", share=f"{rate.share:.1%}", target=f"{rate.target:.1%}")
        for effect in (0.0, *simulation.plan.effects)
        if (rate := simulation.rate("brown_warner", BROWN_WARNER_TEST, DAY0, effect)) is not None
    ]
    told = words["small.late_comma"].join(pairs)
    return words["simulation.brown_warner"].format(n=PAIRS, test=test_name(words, BROWN_WARNER_TEST), told=told)
