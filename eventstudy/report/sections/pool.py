"""The pages of a pool: the verdict on all shocks together, excess, tests and power by sector, and its folder."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from eventstudy import __version__
from eventstudy.config.json_values import plain_json
from eventstudy.messages import catalogue, said, term
from eventstudy.plots.pooled import draw_pool
from eventstudy.pooling.pool import POOL_EFFECTS, POOLED, Pool, PoolTest, PowerStep, Stratum
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
from eventstudy.report.render.data import stamped
from eventstudy.report.wording import number, p_text, percent, size, span, test_name, window_words
from eventstudy.results.columns import window_name
from eventstudy.reversal.findings import verdict_facts
from eventstudy.reversal.question import EXPLORATORY

FIGURE = "pool"


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
        drawings={FIGURE: draw_pool(pool, _caption(pool, _words(pool)), _words(pool))},
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
            "labels": {pack.sector: pack.asked for pack in pool.packs},
            "verdict": answers.pop(pool.headline),
            "verdicts": answers,
            "tests": [asdict(row) for row in pool.tests if row.group == pool.shown],
            "power": [_power_row(row) for row in pool.power if row.group == pool.shown],
            "shown_group": pool.shown,
            "left_out": {k: list(v) for k, v in pool.left_out.items() if v},
            "more_data": pool.verdicts[pool.headline].more_data,
            "mixed": pool.mixed,
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
    needed = {f"dates_for_{effect:.0%}": n for effect, n in zip(POOL_EFFECTS, row.needed, strict=True)}
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
    """Return the pages of a pool, in the language of its first pack."""
    words, answer = _words(pool), pool.verdicts[pool.headline]
    others = [
        Paragraph(said(row.sentence, words), f"{_group(name, words)}:")
        for name, row in pool.verdicts.items()
        if row.n_dates and name != pool.headline
    ]
    window = window_words(pool.packs[0].settings["windows.post"])
    asked = words["pool.asked"].format(label=_group(pool.headline, words), post=window)
    first: list[Block] = [Paragraph(asked, words["headline.question"]), Callout(said(answer.sentence, words))]
    first += [Paragraph(said(pool.mixed, words), tone="emphasis")] if pool.mixed else []
    first += [Paragraph(said(answer.ladder, words), tone="emphasis")] if answer.ladder else []
    first += [BulletList(tuple(others))] if others else []
    first.append(FigureBlock(FIGURE, _caption(pool, words)))
    packs = [
        words["pool.pack"].format(
            sector=pack.sector, run=pack.run_id, n=len(pack), label=term(words, "label", pack.asked)
        )
        for pack in pool.packs
    ]
    more = [Paragraph(said(answer.more_data, words))] if answer.more_data else []
    remarks = BulletList(tuple(map(Paragraph, [*_remarks(pool, words), *packs])))
    parts = (("excess", effects_table), ("tests", tests_table), ("power", power_table))
    shown = _group(pool.shown, words)
    return Document(
        title=words["pool.title"].format(sectors=words["pool.and"].join(_sectors(pool))),
        subject=words["pool.subject"],
        origin=(words["pool.packs"].format(n=len(pool.packs)), f"eventstudy {__version__}"),
        sections=(
            Section(name="answer", blocks=tuple(first)),
            *(
                Section(name=name, heading=words[f"pool.{name}"].format(group=shown), blocks=(build(pool, words),))
                for name, build in parts
            ),
            Section(name="notes", heading=words["page.notes"], blocks=(*more, remarks)),
        ),
        banner=words["pool.simulated"] if pool.simulated else "",
        language=language_in(pool),
    )


def language_in(pool: Pool) -> str:
    """Return the language of the first pack."""
    return str(pool.packs[0].settings.get("study.language") or "en")


def _words(pool: Pool) -> Mapping[str, str]:
    return catalogue(language_in(pool))


def _heads(names: str, words: Mapping[str, str]) -> list[str]:
    return [words[f"pool.head_{name}"] for name in names.split()]


def effects_table(pool: Pool, words: Mapping[str, str]) -> TableBlock:
    """Mean excess by group and sector; groups without a date in any sector are left out."""
    filled = {row.group for row in pool.strata if row.n_dates}
    rows = [
        (
            _group(row.group, words),
            words["pool.pooled"] if row.sector == POOLED else row.sector,
            str(row.n_dates),
            str(row.n_events),
            percent(row.effect),
            span(row.lower, row.upper, words) if row.se > 0 else "–",
            p_text(row.p_value),
            str(row.n_controls),
        )
        for row in pool.strata
        if row.group in filled
    ]
    return table(_heads("group sector k n excess interval p falls", words), rows, left=2)


def tests_table(pool: Pool, words: Mapping[str, str]) -> TableBlock:
    """The tests of the group in the figure."""
    texts = table(_heads("note", words), ()).columns
    numbers = table(_heads("test estimate statistic df p", words), (), left=1).columns
    rows = tuple(_test_row(row, words) for row in pool.tests if row.group == pool.shown)
    return TableBlock(columns=(*numbers, *texts), rows=rows)


def _test_row(row: PoolTest, words: Mapping[str, str]) -> tuple[str, ...]:
    share = f"I² {row.estimate:.0%}" if np.isfinite(row.estimate) else "–"
    estimate = share if row.name == "cochran_q" else percent(row.estimate)
    name = test_name(words, row.name)
    return name, estimate, number(row.statistic), number(row.df), p_text(row.p_value), said(row.reason, words)


def power_table(pool: Pool, words: Mapping[str, str]) -> TableBlock:
    """Power of each sector alone, and of the pool as sectors are added."""
    head = _heads("sectors k error detectable", words)
    head += [words["pool.dates_for"].format(effect=effect) for effect in POOL_EFFECTS]
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


def _remarks(pool: Pool, words: Mapping[str, str]) -> list[str]:
    found = [said(note, words) for note in pool.notes]
    for name, shocks in pool.left_out.items():
        if shocks:
            found.append(words["pool.left_out"].format(group=_group(name, words), shocks=", ".join(shocks)))
    if pool.shown != pool.headline:
        groups = {"asked": _group(pool.headline, words), "shown": _group(pool.shown, words)}
        found.append(words["pool.shown"].format(**groups))
    return [*found, words["pool.method"]]


def _caption(pool: Pool, words: Mapping[str, str]) -> str:
    settings = pool.packs[0].settings
    (row,) = [row for row in pool.strata if row.group == pool.shown and row.sector == POOLED]
    return words["pool.caption"].format(
        group=_group(pool.shown, words),
        k=row.n_dates,
        n=row.n_events,
        drop=window_name(settings["windows.drop"]),
        post=window_name(settings["windows.post"]),
        model=term(words, "model", settings["model.name"]),
    )


def _group(name: str, words: Mapping[str, str]) -> str:
    if name == "all":
        return words["pool.all"]
    labels = name.removeprefix("label=").removesuffix(EXPLORATORY).split("+")
    label = "/".join(term(words, "label", each) for each in labels)
    return words["pool.late"].format(label=label) if name.endswith(EXPLORATORY) else label
