"""The pages of a pool: the verdict on all shocks together, excess, tests and power by sector, and its folder."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from eventstudy import __version__
from eventstudy.config.json_values import plain_json
from eventstudy.messages import text as worded
from eventstudy.plots.pooled import draw_pool
from eventstudy.pooling.pool import EFFECTS, POOLED, Pool, PoolTest, PowerStep, Stratum
from eventstudy.report.bundle import Bundle, digest
from eventstudy.report.document import (
    Block,
    BulletList,
    Callout,
    Document,
    FigureBlock,
    Paragraph,
    Section,
    TableBlock,
    table,
)
from eventstudy.report.packs import MANIFEST, home_of, sha256_of
from eventstudy.report.render.csv import stamped
from eventstudy.report.wording import number, p_text, percent, size
from eventstudy.results.columns import window_name
from eventstudy.reversal.findings import verdict_facts
from eventstudy.reversal.shocks import EXPLORATORY

FIGURE = "pool"
SIMULATED = "SIMULATED PRICES – at least one of these studies is not about real markets"
POWER = "Smallest detectable effect and dates needed"


def pool_bundle(pool: Pool, folders: Sequence[Path]) -> Bundle:
    """Return the folder of a pool; its name ends with a digest of the packs."""
    inputs = [
        {"run_id": pack.run_id, "sector": pack.sector, "manifest_sha256": sha256_of(home_of(folder) / MANIFEST)}
        for pack, folder in zip(pool.packs, folders, strict=True)
    ]
    facts = pool_facts(pool, inputs)
    sectors = "-".join(
        "".join(c if c.isascii() and c.isalnum() else "-" for c in sector.lower()).strip("-")
        for sector in facts["sectors"]
    )
    rows = {
        "pool": [_pool_row(row, pool) for row in pool.strata],
        "pool_tests": [asdict(row) for row in pool.tests],
        "pool_power": [_power_row(row) for row in pool.power],
        "pool_shocks": list(_shock_rows(pool)),
    }
    return Bundle(
        name=f"pool-{sectors[:80]}-{'simulated-' if pool.simulated else ''}{digest([__version__, inputs])}",
        document=pool_document(pool),
        pages="pool",
        tables={f"tables/{name}": stamped(part, simulated=pool.simulated) for name, part in rows.items()},
        drawings={FIGURE: draw_pool(pool, _caption(pool))},
        record="summary.json",
        facts=facts,
    )


def pool_facts(pool: Pool, inputs: Sequence[Mapping[str, str]]) -> dict[str, Any]:
    """Return the content of summary.json."""
    window = window_name(pool.packs[0].settings["windows.post"])
    answers = {name: verdict_facts(answer, name, window) for name, answer in pool.verdicts.items()}
    content: dict[str, Any] = plain_json(
        {
            "version": __version__,
            "simulated": pool.simulated,
            "inputs": list(inputs),
            "sectors": _sectors(pool),
            "verdict": answers.pop(pool.headline),
            "verdicts": answers,
            "tests": [asdict(row) for row in pool.tests if row.group == pool.shown],
            "power": [_power_row(row) for row in pool.power if row.group == pool.shown],
            "shown_group": pool.shown,
            "left_out": {k: list(v) for k, v in pool.left_out.items() if v},
            "more_data": pool.verdicts[pool.headline].more_data,
            "notes": list(pool.notes),
        }
    )
    return content


def _sectors(pool: Pool) -> list[str]:
    return list(dict.fromkeys(pack.sector for pack in pool.packs))


def _pool_row(row: Stratum, pool: Pool) -> dict[str, Any]:
    answer = pool.verdicts[row.group] if row.sector == POOLED else None
    kind, margin = (answer.kind, answer.margin) if answer else ("", None)
    return {**asdict(row), "verdict": kind, "margin": margin}


def _power_row(row: PowerStep) -> dict[str, Any]:
    needed = {f"dates_for_{effect:.0%}": n for effect, n in zip(EFFECTS, row.needed, strict=True)}
    return {**{name: getattr(row, name) for name in ("group", "sectors", "n_dates", "sd", "mde")}, **needed}


def _shock_rows(pool: Pool) -> Iterator[dict[str, Any]]:
    for pack, excess in zip(pool.packs, pool.excess, strict=True):
        for k in range(len(pack)):
            yield {
                "sector": pack.sector,
                "run_id": pack.run_id,
                "shock_id": str(pack.shock_id[k]),
                "label": str(pack.label[k]),
                "day0": str(pack.day0[k]),
                "n_peers": int(pack.n_peers[k]),
                "qualifies": bool(pack.qualifies[k]),
                "label_in_time": bool(pack.in_time[k]),
                "overlaps": pack.overlaps[k],
                "car_drop": float(pack.drop[k]),
                "car_post": float(pack.post[k]),
                "excess": float(excess[k]),
            }


def pool_document(pool: Pool) -> Document:
    """Return the pages of a pool."""
    answer = pool.verdicts[pool.headline]
    others = [Paragraph(worded(row.sentence), f"{_group(name)}:") for name, row in pool.verdicts.items() if row.n_dates]
    others = [other for other in others if other.lead != f"{_group(pool.headline)}:"]
    first: list[Block] = [Callout(worded(answer.sentence))]
    first += [Paragraph(worded(answer.ladder), tone="emphasis")] if answer.ladder else []
    first += [BulletList(tuple(others))] if others else []
    first.append(FigureBlock(FIGURE, _caption(pool)))
    packs = [f"{pack.sector}: {pack.run_id}, {len(pack)} shocks" for pack in pool.packs]
    return Document(
        title=f"Pool of {' and '.join(_sectors(pool))}",
        subject="pool of result packs",
        origin=(f"{len(pool.packs)} result packs", f"eventstudy {__version__}"),
        sections=(
            Section(name="answer", blocks=tuple(first)),
            _section("excess", "Excess over comparable falls, by sector and pooled", effects_table(pool)),
            _section("tests", f"Tests, {_group(pool.shown)}", tests_table(pool)),
            _section("power", f"{POWER} (80 % power at 5 %), {_group(pool.shown)}", power_table(pool)),
            Section(
                name="notes",
                heading="Notes",
                blocks=(
                    *([Paragraph(worded(answer.more_data))] if answer.more_data else []),
                    BulletList(tuple(map(Paragraph, [*_remarks(pool), *packs]))),
                ),
            ),
        ),
        banner=SIMULATED if pool.simulated else "",
    )


def _section(name: str, heading: str, block: TableBlock) -> Section:
    return Section(name=name, heading=heading, blocks=(block,))


def effects_table(pool: Pool) -> TableBlock:
    """Mean excess by group and sector; rows without a date are left out where no sector has one."""
    head = ("group", "sector", "K", "N", "excess", "95 % interval", "p", "comparable falls")
    filled = {row.group for row in pool.strata if row.n_dates}
    rows = [
        (
            _group(row.group),
            row.sector,
            str(row.n_dates),
            str(row.n_events),
            percent(row.effect),
            f"{percent(row.lower)} to {percent(row.upper)}" if row.se > 0 else "–",
            p_text(row.p_value),
            str(row.n_controls),
        )
        for row in pool.strata
        if row.group in filled
    ]
    return table(head, rows, left=2)


def tests_table(pool: Pool) -> TableBlock:
    """The tests of the shown group."""
    texts = table(("note",), ()).columns
    numbers = table(("test", "estimate", "statistic", "df", "p"), (), left=1).columns
    rows = tuple(_test_row(row) for row in pool.tests if row.group == pool.shown)
    return TableBlock(columns=(*numbers, *texts), rows=rows)


def _test_row(row: PoolTest) -> tuple[str, ...]:
    share = f"I² {row.estimate:.0%}" if np.isfinite(row.estimate) else "–"
    estimate = share if row.name == "cochran_q" else percent(row.estimate)
    return row.name, estimate, number(row.statistic), number(row.df), p_text(row.p_value), row.reason


def power_table(pool: Pool) -> TableBlock:
    """How power grows: each sector alone and the pool with each sector added."""
    head = ("sectors", "K", "error × √K", "detectable", *(f"dates for {effect:.0%}" for effect in EFFECTS))
    rows = [
        (
            row.sectors,
            str(row.n_dates),
            size(row.sd),
            size(row.mde),
            *("–" if n is None else str(n) for n in row.needed),
        )
        for row in pool.power
        if row.group == pool.shown
    ]
    return table(head, rows, left=1)


def _remarks(pool: Pool) -> list[str]:
    found = list(pool.notes)
    for name, shocks in pool.left_out.items():
        if shocks:
            found.append(
                f"{_group(name)}: {', '.join(shocks)} left out, within the post window of another pack's "
                "shock of the same peers"
            )
    if pool.shown != pool.headline:
        found.append(
            f"{_group(pool.headline)} has fewer than two dates: tests, power and figure are of {_group(pool.shown)}"
        )
    found.append(
        "One regression over the falls of all sectors: each peer set has its level, depth of the drop and run-up have "
        "one slope. Dates of one or two weeks are ranked among the falls compared with, and have no interval."
    )
    return found


def _caption(pool: Pool) -> str:
    settings = pool.packs[0].settings
    drop, post = settings["windows.drop"], settings["windows.post"]
    (row,) = [row for row in pool.strata if row.group == pool.shown and row.sector == POOLED]
    return (
        f"{_group(pool.shown)} · K = {row.n_dates} dates, N = {row.n_events} firm-events · "
        f"drop {window_name(drop)}, post {window_name(post)} · {settings['model.name']} model · "
        "bars: 95 % interval of the regression"
    )


def _group(name: str) -> str:
    label = name.removeprefix("label=").replace(EXPLORATORY, ", late labels too").replace("_", " ")
    return "all drops" if name == "all" else label
