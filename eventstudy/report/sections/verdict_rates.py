"""The pages of a simulation of the verdict: how often it is wrong, and how often it finds a true effect."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import pandas as pd

from eventstudy.config import StudyConfig
from eventstudy.config.json_values import plain_json
from eventstudy.messages import catalogue
from eventstudy.report.bundle import Bundle, digest
from eventstudy.report.document import BulletList, Document, FigureBlock, Paragraph, Section, TableBlock, table
from eventstudy.report.render.data import stamped
from eventstudy.results.summary import title_of
from eventstudy.reversal.verdict import DRIFT, LEVEL, REVERSAL
from eventstudy.simulate.rates import Z99
from eventstudy.simulate.verdict_rates import THIS_LIST, Material, VerdictPlan, VerdictRate

if TYPE_CHECKING:
    from matplotlib.figure import Figure

FIGURE = "power"
#: Designs for the figure of power; the first simulated one is used.
DRAWN = ("own_day", "simulated_day", "simulated_first")


def verdict_bundle(
    rates: Sequence[VerdictRate],
    material: Material,
    plan: VerdictPlan,
    config: StudyConfig,
    manifest: Mapping[str, Any],
) -> Bundle:
    """Return the folder of a simulation of the verdict; its name ends with a digest of inputs and settings."""
    simulated = bool(manifest["prices"]["simulated"])
    record = {**manifest, "seed": plan.seed, "simulation": plain_json(asdict(plan)), "falls": _falls(material)}
    frame = pd.DataFrame([asdict(rate) for rate in rates])
    words = catalogue(config.study.language)
    marked = "simulated-" if simulated else ""
    return Bundle(
        name=f"verdict-{config.study.sector or 'study'}-{marked}{digest(record)}",
        document=verdict_document(rates, material, plan, config, manifest),
        pages="verdict_rates",
        tables={"verdict_rates": stamped([asdict(rate) for rate in rates], simulated=simulated)},
        drawings={FIGURE: _drawn(frame, words, simulated=simulated)},
        record="simulation.json",
        facts={**record, "conclusions": conclusions(rates, words)},
    )


def _falls(material: Material) -> dict[str, Any]:
    own = material.own
    return {
        "sets": list(material.sets),
        "n_falls": len(own.falls),
        "n_drops": int(own.can.sum()),
        "n_sessions": len(material.returns),
        "asked": dict(material.asked),
    }


def _drawn(frame: pd.DataFrame, words: Mapping[str, str], *, simulated: bool) -> Figure:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    from eventstudy.plots.draw import write_watermark
    from eventstudy.plots.power import power_curve
    from eventstudy.plots.style import styled

    design = next((name for name in DRAWN if (frame["design"] == name).any()), frame["design"].iloc[0])
    with styled():
        figure = Figure(figsize=(7.0, 2.7), layout="constrained")
        FigureCanvasAgg(figure)
        ax = power_curve(figure.add_subplot(), frame[frame["design"] == design], words)
        ax.set_title(words[f"verdict_rates.{design}"], pad=15)
        if simulated:
            write_watermark(figure, words["figure.watermark"])
    return figure


def conclusions(rates: Sequence[VerdictRate], words: Mapping[str, str]) -> list[str]:
    """Return sentences: what this list would find, and where the verdict is wrong too often."""
    found = [
        words["verdict_rates.this_finds"].format(k=rate.k, effect=rate.effect, n=round(100 * rate.reversal))
        for rate in rates
        if rate.design == THIS_LIST and rate.effect > 0
    ]
    sizes = [rate for rate in rates if rate.effect == 0]
    sides = {"often": ("p_below", LEVEL), "often_reversal": (REVERSAL, LEVEL / 2), "often_drift": (DRIFT, LEVEL / 2)}
    for key, (side, level) in sides.items():
        often = [(rate, getattr(rate, side)) for rate in sizes if too_often(getattr(rate, side), level, rate.draws)]
        told = ", ".join(
            words["verdict_rates.cell"].format(name=words[f"verdict_rates.{rate.design}"], k=rate.k, share=share)
            for rate, share in often
        )
        if often:
            found.append(words[f"verdict_rates.{key}"].format(level=level, told=told))
        elif side == "p_below":
            found.append(words["verdict_rates.held"].format(n=len(sizes), level=level))
    return found


def too_often(share: float, level: float, draws: int) -> bool:
    """Whether a share of draws exceeds a level by more than `Z99` standard errors."""
    return share > level + Z99 * math.sqrt(level * (1 - level) / draws)


def verdict_document(
    rates: Sequence[VerdictRate],
    material: Material,
    plan: VerdictPlan,
    config: StudyConfig,
    manifest: Mapping[str, Any],
) -> Document:
    """Return the pages: conclusions, size by design, power by design."""
    words = catalogue(config.study.language)
    facts = _falls(material)
    told = words["verdict_rates.told"].format(draws=plan.draws, seed=plan.seed, n_sets=len(material.sets), **facts)
    alt = words["verdict_rates.alt"]
    asked = Paragraph(words["verdict_rates.asked"], words["headline.question"])
    items = tuple(Paragraph(sentence) for sentence in conclusions(rates, words))
    return Document(
        title=words["verdict_rates.title"].format(study=title_of(config)),
        subject=words["verdict_rates.subject"],
        origin=(f"seed {plan.seed}", words["verdict_rates.prices_to"].format(day=manifest["prices"]["data_date"])),
        sections=(
            Section(
                name="answer", blocks=(asked, BulletList(items), Paragraph(told, tone="note"), FigureBlock(FIGURE, alt))
            ),
            Section(
                name="size",
                heading=words["verdict_rates.size"],
                blocks=(_sizes(rates, words), Paragraph(words["verdict_rates.size_note"], tone="note")),
            ),
            Section(
                name="power",
                heading=words["verdict_rates.power"],
                blocks=(_powers(rates, plan, words), Paragraph(words["verdict_rates.power_note"], tone="note")),
            ),
        ),
        banner=words["page.simulated_banner"] if manifest["prices"]["simulated"] else "",
        language=config.study.language,
    )


def _sizes(rates: Sequence[VerdictRate], words: Mapping[str, str]) -> TableBlock:
    null = [rate for rate in rates if rate.effect == 0]

    def marked(share: float, level: float, draws: int) -> str:
        return f"{100 * share:.1f}{'↑' if too_often(share, level, draws) else ' '}"

    first = {rate.design: rate for rate in reversed(null)}
    rows = [
        (
            # A design is named only in its first row.
            words[f"verdict_rates.{rate.design}"] if first[rate.design] is rate else "",
            str(rate.k),
            f"{rate.k_used:.1f}",
            f"{rate.k_eff:.1f}",
            marked(rate.reversal, LEVEL / 2, rate.draws),
            marked(rate.drift, LEVEL / 2, rate.draws),
            f"{100 * rate.equivalent:.1f}",
            marked(rate.p_below, LEVEL, rate.draws),
        )
        for rate in null
    ]
    names = ("drawn", "k", "k_used", "k_eff", "reversal", "drift", "equivalent", "p_below")
    return table([words[f"verdict_rates.head_{name}"] for name in names], rows, left=1)


def _powers(rates: Sequence[VerdictRate], plan: VerdictPlan, words: Mapping[str, str]) -> TableBlock:
    """One row for each design, one column for each number of dates; cells have the power by effect, smallest first."""
    shares = {(rate.design, rate.k, rate.effect): rate.reversal for rate in rates}
    dates = sorted({rate.k for rate in rates})

    def cell(design: str, k: int) -> str:
        found = [shares[design, k, effect] for effect in plan.effects if (design, k, effect) in shares]
        return " / ".join(f"{100 * share:.0f}" for share in found)

    rows = [
        (words[f"verdict_rates.{design}"], *(cell(design, k) for k in dates))
        for design in dict.fromkeys(rate.design for rate in rates)
    ]
    heads = [words["verdict_rates.head_k_of"].format(k=k) for k in dates]
    title = words["verdict_rates.head_effects"].format(effects=" / ".join(f"{effect:.0%}" for effect in plan.effects))
    return table([words["verdict_rates.head_drawn"], *heads], rows, left=1, note=title)
