"""Result packs read for a pool, and what a pool leaves behind: tables, a figure, a page, a summary."""

from __future__ import annotations

import csv
import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from rich.console import Console
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from eventstudy import __version__
from eventstudy.config.json_values import plain_json, write_json
from eventstudy.core.selection import USED
from eventstudy.errors import ConfigError, IntegrityError, Problem
from eventstudy.messages import text as worded
from eventstudy.pooling.pool import EFFECTS, POOLED, PackShocks, Pool, PoolTest, PowerStep, Stratum
from eventstudy.report.markdown import bullets, escaped, table
from eventstudy.report.packs import as_written, check_files, home_of, read_pack, sha256_of
from eventstudy.report.staging import moved_in
from eventstudy.results.result import StudyResult
from eventstudy.reversal.findings import verdict_facts
from eventstudy.reversal.shocks import EXPLORATORY

if TYPE_CHECKING:
    import pandas as pd

TEMPLATE = "pool.html.j2"
FIGURE = "pool"
#: Tables of a pack that a pool rests on.
NEEDED = ("tables/reversal.csv", "tables/placebo.csv", "ledger.csv")
SIMULATED = "SIMULATED PRICES – at least one of these studies is not about real markets"
POWER = "Smallest detectable effect and dates needed"
#: An excess and its placebos that differ by more were not written together.
ROUNDING = 1e-9


def read_shocks(folder: Path) -> PackShocks:
    """Read what a pool needs of a result pack.

    Raises
    ------
    ConfigError
        If ``folder`` is no pack, or lacks one of the tables.
    IntegrityError
        If a table was changed after it was written, or they do not belong together.
    """
    pack, home = read_pack(folder), home_of(folder)
    for name in NEEDED:
        if name not in pack.manifest["outputs"]:
            raise ConfigError(Problem(f"has no {name}; run the study with the format csv", str(home)))
    check_files(home, pack.manifest, NEEDED)
    with as_written(home, "tables"):
        return _shocks(pack, home)


def _shocks(pack: StudyResult, home: Path) -> PackShocks:
    """Return what the tables of a pack say of its shocks."""
    shocks, placebos = _table(home, NEEDED[0]), _table(home, NEEDED[1])
    if "overlaps" not in shocks:
        raise ConfigError(Problem(f"{NEEDED[0]} has no column overlaps; run the study again", str(home)))
    shocks = shocks.sort_values(["day0", "shock_id"], kind="stable").reset_index(drop=True)
    names = [str(name) for name in shocks["shock_id"]]
    matched = placebos[placebos["tier"] == "P1"].groupby("shock_id")["car_post"]
    sets = {str(name): values.to_numpy(float) for name, values in matched}
    excess = shocks["excess"].to_numpy(float)
    chosen = tuple(
        sets.get(name, np.zeros(0)) if known else np.zeros(0)
        for name, known in zip(names, np.isfinite(excess), strict=True)
    )
    _check_excess(home, names, shocks["car_post"].to_numpy(float), chosen, excess)
    settings = _flat(pack.manifest["settings"])
    peers = _peers(_table(home, NEEDED[2]))
    return PackShocks(
        run_id=str(pack.facts.get("run_id") or pack.run_id),
        sector=settings.get("study.sector") or settings["study.name"],
        settings=settings,
        simulated=pack.simulated,
        n_effective=_effective(pack.facts),
        shock_id=np.array(names, dtype=np.str_),
        label=shocks["label"].to_numpy(np.str_),
        day0=shocks["day0"].to_numpy("datetime64[D]"),
        n_peers=shocks["n_peers"].to_numpy(np.int64),
        drop=shocks["car_drop"].to_numpy(float),
        post=shocks["car_post"].to_numpy(float),
        excess=excess,
        excess_log=shocks["excess_log"].to_numpy(float),
        excess_bhar=shocks["excess_bhar"].to_numpy(float),
        qualifies=_truth(shocks["qualifies"]),
        in_time=_truth(shocks["label_in_time"]),
        overlaps=tuple(shocks["overlaps"].fillna("").astype(str)),
        placebos=chosen,
        tickers=tuple(peers.get(name, ()) for name in names),
    )


def _table(home: Path, name: str) -> pd.DataFrame:
    import pandas as pd

    texts = {"shock_id": str, "label": str, "overlaps": str, "ticker": str, "tier": str}
    return pd.read_csv(home / name, dtype=texts, keep_default_na=False, na_values=[""])


def _check_excess(
    home: Path,
    names: Sequence[str],
    post: np.ndarray[Any, Any],
    sets: Sequence[np.ndarray[Any, Any]],
    excess: np.ndarray[Any, Any],
) -> None:
    for name, value, others, stated in zip(names, post, sets, excess, strict=True):
        if np.isfinite(stated) and not (len(others) and abs(value - others.mean() - stated) < ROUNDING):
            text = f"{name}: its excess is not its CAR less the mean of its placebos in placebo.csv"
            raise IntegrityError(Problem(text, str(home / NEEDED[0])))


def _truth(column: pd.Series[Any]) -> np.ndarray[Any, np.dtype[np.bool_]]:
    return (column.astype(str) == "True").to_numpy(bool)


def _peers(ledger: pd.DataFrame) -> dict[str, tuple[str, ...]]:
    used = ledger[ledger["status"].isin(USED)]
    return {str(name): tuple(sorted(set(rows))) for name, rows in used.groupby("shock_id")["ticker"]}


def _effective(facts: Mapping[str, Any]) -> dict[str, float]:
    answers = [facts.get("verdict"), facts.get("exploratory"), *(facts.get("verdicts") or {}).values()]
    found = {row["group"]: row.get("n_effective") for row in answers if row}
    return {name: float("nan") if value is None else float(value) for name, value in found.items()}


def _flat(settings: Mapping[str, Any]) -> dict[str, Any]:
    return {
        f"{section}.{key}": value
        for section, values in settings.items()
        if isinstance(values, Mapping)
        for key, value in values.items()
    }


def pool_facts(pool: Pool, inputs: Sequence[Mapping[str, str]]) -> dict[str, Any]:
    """Return the content of summary.json."""
    first, last = pool.packs[0].settings["windows.post"]
    window = f"[{first},{last}]"
    content: dict[str, Any] = plain_json(
        {
            "version": __version__,
            "simulated": pool.simulated,
            "inputs": list(inputs),
            "sectors": list(dict.fromkeys(pack.sector for pack in pool.packs)),
            "verdict": verdict_facts(pool.verdicts[pool.headline], pool.headline, window),
            "verdicts": {
                name: verdict_facts(answer, name, window)
                for name, answer in pool.verdicts.items()
                if name != pool.headline
            },
            "tests": [asdict(row) for row in pool.tests if row.group == pool.shown],
            "power": [_power_row(row) for row in pool.power if row.group == pool.shown],
            "shown_group": pool.shown,
            "left_out": {k: list(v) for k, v in pool.left_out.items() if v},
            "more_data": pool.verdicts[pool.headline].more_data,
            "notes": list(pool.notes),
        }
    )
    return content


def write_pool(pool: Pool, folders: Sequence[Path], out: Path) -> tuple[Path, dict[str, Any]]:
    """Write the folder of a pool into ``out``; return it and its summary.

    The name ends with a digest of the packs; the same packs again leave the folder as it is.
    """
    inputs = [
        {"run_id": pack.run_id, "sector": pack.sector, "manifest_sha256": sha256_of(home_of(folder) / "manifest.json")}
        for pack, folder in zip(pool.packs, folders, strict=True)
    ]
    facts = pool_facts(pool, inputs)
    digest = hashlib.sha256(json.dumps([__version__, inputs], sort_keys=True).encode()).hexdigest()[:8]
    marked = "simulated-" if pool.simulated else ""
    name = f"pool-{'-'.join(_slug(sector) for sector in facts['sectors'])[:80]}-{marked}{digest}"
    with moved_in(out, name) as folder:
        _write(pool, facts, folder)
    return out / name, facts


def _slug(name: str) -> str:
    return "".join(c if c.isascii() and c.isalnum() else "-" for c in name.lower()).strip("-")


def _write(pool: Pool, facts: Mapping[str, Any], folder: Path) -> None:
    from eventstudy import plots
    from eventstudy.plots.pooled import draw_pool

    (folder / "tables").mkdir()
    tables = {
        "pool": [_pool_row(row, pool) for row in pool.strata],
        "pool_tests": [asdict(row) for row in pool.tests],
        "pool_power": [_power_row(row) for row in pool.power],
        "pool_shocks": list(_shock_rows(pool)),
    }
    for name, rows in tables.items():
        _write_csv(folder / "tables" / f"{name}.csv", rows, simulated=pool.simulated)
    content = page_content(pool, facts)
    plots.save(draw_pool(pool, content["caption"]), folder / FIGURE)
    (folder / "pool.md").write_text(pool_markdown(content), encoding="utf-8", newline="\n")
    svg = (folder / f"{FIGURE}.svg").read_text(encoding="utf-8")
    (folder / "pool.html").write_text(_html(content, svg), encoding="utf-8", newline="\n")
    outputs = {
        path.relative_to(folder).as_posix(): sha256_of(path) for path in sorted(folder.rglob("*")) if path.is_file()
    }
    write_json({**facts, "outputs": outputs}, folder / "summary.json")


def _write_csv(path: Path, rows: Sequence[Mapping[str, Any]], *, simulated: bool) -> None:
    from eventstudy.report.values import csv_safe

    extra = {"simulated": "SIMULATED"} if simulated else {}
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, [*rows[0], *extra], lineterminator="\n")
        writer.writeheader()
        writer.writerows({k: csv_safe(_cell(v)) for k, v in row.items()} | extra for row in rows)


def _cell(value: Any) -> Any:
    return "" if value is None or (isinstance(value, float) and np.isnan(value)) else value


def _pool_row(row: Stratum, pool: Pool) -> dict[str, Any]:
    answer = pool.verdicts[row.group] if row.sector == POOLED else None
    kind, margin = (answer.kind, answer.margin) if answer else ("", None)
    return {**asdict(row), "verdict": kind, "margin": margin}


def _power_row(row: PowerStep) -> dict[str, Any]:
    needed = {f"dates_for_{effect:.0%}": n for effect, n in zip(EFFECTS, row.needed, strict=True)}
    plain = {name: getattr(row, name) for name in ("group", "sectors", "n_dates", "sd", "mde")}
    return {**plain, **needed}


def _shock_rows(pool: Pool) -> Iterator[dict[str, Any]]:
    for pack in pool.packs:
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
                "n_placebos": len(pack.placebos[k]),
                "excess": float(pack.excess[k]),
            }


def page_content(pool: Pool, facts: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the page and the Markdown show, all numbers as text."""
    answer = pool.verdicts[pool.headline]
    others = [(name, row) for name, row in pool.verdicts.items() if name != pool.headline]
    return {
        "title": f"Pool of {' and '.join(facts['sectors'])}",
        "simulated": SIMULATED if pool.simulated else "",
        "sentence": worded(answer.sentence),
        "ladder": worded(answer.ladder),
        "more_data": worded(answer.more_data),
        "others": [(_group(name), worded(row.sentence)) for name, row in others if row.n_dates],
        "tables": [effects_table(pool), tests_table(pool), power_table(pool)],
        "notes": _remarks(pool),
        "packs": [f"{pack.sector}: {pack.run_id}, {len(pack)} shocks" for pack in pool.packs],
        "caption": _caption(pool),
    }


def effects_table(pool: Pool) -> dict[str, Any]:
    """Mean excess by group and sector; rows without a date are left out where no sector has one."""
    head = ("group", "sector", "K", "N", "excess", "95 % interval", "p date t", "p sign-flip", "p permutation")
    filled = {row.group for row in pool.strata if row.n_dates}
    rows = [
        (
            _group(row.group),
            row.sector,
            str(row.n_dates),
            str(row.n_events),
            _percent(row.effect),
            f"{_percent(row.lower)} to {_percent(row.upper)}" if row.n_dates > 1 else "–",
            _p(row.date_t_p),
            _p(row.sign_flip_p),
            _p(row.permutation_p),
        )
        for row in pool.strata
        if row.group in filled
    ]
    return {"title": "Excess over matched drops, by sector and pooled", "head": head, "rows": rows}


def tests_table(pool: Pool) -> dict[str, Any]:
    """The tests of the shown group."""
    head = ("test", "estimate", "statistic", "df", "p", "note")
    rows = [_test_row(row) for row in pool.tests if row.group == pool.shown]
    return {"title": f"Tests, {_group(pool.shown)}", "head": head, "rows": rows}


def _test_row(row: PoolTest) -> tuple[str, ...]:
    share = f"I² {row.estimate:.0%}" if np.isfinite(row.estimate) else "–"
    estimate = share if row.name == "cochran_q" else _percent(row.estimate)
    return row.name, estimate, _number(row.statistic), _number(row.df), _p(row.p_value), row.reason


def power_table(pool: Pool) -> dict[str, Any]:
    """How power grows: each sector alone and the pool with each sector added."""
    head = ("sectors", "K", "sd of dates", "detectable", *(f"dates for {effect:.0%}" for effect in EFFECTS))
    rows = [
        (
            row.sectors,
            str(row.n_dates),
            _percent(row.sd, sign=False),
            _percent(row.mde, sign=False),
            *("–" if n is None else str(n) for n in row.needed),
        )
        for row in pool.power
        if row.group == pool.shown
    ]
    return {"title": f"{POWER} (80 % power at 5 %), {_group(pool.shown)}", "head": head, "rows": rows}


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
        "Every date weighs the same. A sector whose dates differ more widens the interval of the pool: the "
        "detectable effect can grow when it is added. The scaled tests weigh sectors by their spread."
    )
    return found


def _caption(pool: Pool) -> str:
    settings = pool.packs[0].settings
    drop, post = settings["windows.drop"], settings["windows.post"]
    (row,) = [row for row in pool.strata if row.group == pool.shown and row.sector == POOLED]
    return (
        f"{_group(pool.shown)} · K = {row.n_dates} dates, N = {row.n_events} firm-events · "
        f"drop [{drop[0]},{drop[1]}], post [{post[0]},{post[1]}] · {settings['model.name']} model · "
        "bars: 95 % t interval over dates\n"
        "broken line: six dates, below which no two-sided sign-flip test reaches 5 %"
    )


def _group(name: str) -> str:
    label = name.removeprefix("label=").replace(EXPLORATORY, ", late labels too").replace("_", " ")
    return "all drops" if name == "all" else label


def _percent(value: float, *, sign: bool = True) -> str:
    return f"{value:{'+' if sign else ''}.1%}".replace("-", "−") if np.isfinite(value) else "–"


def _p(value: float) -> str:
    return "–" if not np.isfinite(value) else "<0.001" if value < 0.001 else f"{value:.3f}"


def _number(value: float) -> str:
    return f"{value:.2f}".replace("-", "−") if np.isfinite(value) else "–"


def pool_markdown(content: Mapping[str, Any]) -> str:
    """Return the page as Markdown."""
    parts = [f"# {escaped(content['title'])}", f"**{content['simulated']}**" if content["simulated"] else ""]
    parts += [f"> {escaped(content['sentence'])}"]
    parts += [f"*{escaped(content['ladder'])}*" if content["ladder"] else ""]
    parts += [bullets(f"{name}: {sentence}" for name, sentence in content["others"])]
    for item in content["tables"]:
        parts += [f"## {escaped(item['title'])}", table(item["head"], item["rows"])]
    parts += [f"![{escaped(POWER)}]({FIGURE}.png)", escaped(content["more_data"])]
    parts += ["## Notes", bullets([*content["notes"], *content["packs"]])]
    return "\n\n".join(part for part in parts if part) + "\n"


def _html(content: Mapping[str, Any], svg: str) -> str:
    import jinja2

    from eventstudy.report.html import font_faces, inline_svg

    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("eventstudy.report"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    drawing = inline_svg(svg, FIGURE, content["caption"])
    page = environment.get_template(TEMPLATE).render(**content, drawing=drawing, fonts=font_faces([drawing]))
    return page + "\n"


def print_pool(pool: Pool, facts: Mapping[str, Any], folder: Path, console: Console) -> None:
    """Print the verdict, the tables and where the folder is."""
    content = page_content(pool, facts)
    if content["simulated"]:
        console.print(Text(content["simulated"], style="bold red"))
    body = Text(content["sentence"])
    if content["ladder"]:
        body.append(f"\n{content['ladder']}", style="dim")
    console.print(Panel(body, title=Text(content["title"]), title_align="left"))
    for item in content["tables"]:
        shown = Table(box=None, pad_edge=False, title=item["title"], title_justify="left")
        for place, name in enumerate(item["head"]):
            shown.add_column(Text(name), justify="left" if place < 2 or name == "note" else "right")
        for row in item["rows"]:
            shown.add_row(*map(Text, row))
        console.print(shown)
    for note in content["notes"]:
        console.print(Text(note, style="dim"))
    console.print(Text(f"Pool: {folder}"), soft_wrap=True)
